/* SPDX-License-Identifier: ISC */
/*
 * What is in use: every chunk that is reachable from the remembered snapshots,
 * trees and lists among them.  Ids are kept in a few bytes each, folders that
 * several snapshots share are walked once.  Nothing is gone around: what can't
 * be read may refer to anything.
 */
#include "retention/retention_internal.h"
#include "snapshot/content_internal.h"

void
live_init(struct live *live, struct qs_source *source,
	struct qs_progress *progress)
{
	*live = (struct live){.source = source, .progress = progress,
		.chunks = QS_IDSET(2), .trees = QS_IDSET(2),
		.helpers = QS_IDSET(2)};
}

void
live_clear(struct live *live)
{
	qs_idset_clear(&live->chunks);
	qs_idset_clear(&live->trees);
	qs_idset_clear(&live->helpers);
}

static enum qs_code
add_chunk(void *arg, const struct qs_id *id, struct qs_err *err)
{
	struct live *live = arg;
	bool is_new;
	enum qs_code rc = qs_idset_add(&live->chunks, id->b, &is_new, err);

	if (rc == QS_OK && is_new && live->on_chunk != NULL)
		rc = live->on_chunk(live->arg, id, err);
	return rc;
}

static enum qs_code
see(struct live *live, const struct qs_node *node, bool *is_new,
	struct qs_err *err)
{
	enum qs_code rc = QS_OK;

	if (live->progress != NULL && atomic_load(&live->progress->cancel))
		return qs_fail(err, QS_ECANCELED, "interrupted");
	if (live->progress != NULL && node->type == QS_NODE_FILE)
		atomic_fetch_add(&live->progress->files_done, 1);
	if (node->type == QS_NODE_DIR)
		rc = qs_content_is_first(&live->trees, &node->content, is_new,
			err);
	if (rc == QS_OK && *is_new && node->content.count > 0)
		rc = qs_content_chunks(live->source, &node->content, add_chunk,
			live, err);
	return rc;
}

/* Is it a thing of this snapshot, so that the walk can go on around it? */
static bool
is_hole(const struct live *live, enum qs_code code)
{
	return live->goes_on && (code == QS_ENOTFOUND ||
		code == QS_ECORRUPT || code == QS_EKEY ||
		code == QS_EUNSUPPORTED);
}

static void
fail_at(struct live *live, const struct qs_err *what, const char *kind,
	const char *path)
{
	struct qs_err err = *what;

	if (err.code != QS_ECANCELED)
		(void)qs_fail_while(&err, "%s/%.300s", kind, path);
	if (!is_hole(live, err.code)) {
		live->rc = err.code;
		live->err = err;
	} else if (live->hole.code == QS_OK) {
		live->hole = err;
	}
}

static enum qs_visit_next
visit(void *arg, const struct qs_visit *it)
{
	struct live *live = arg;
	struct qs_err err;
	bool is_new = true;

	if (live->rc == QS_OK && it->what == QS_VISIT_NODE) {
		if (see(live, it->node, &is_new, &err) != QS_OK)
			fail_at(live, &err, "", it->path);
	}
	if (live->rc != QS_OK)
		return QS_VISIT_STOP;
	return is_new ? QS_VISIT_GO : QS_VISIT_SKIP;
}

static void
trouble(void *arg, const char *path, const struct qs_err *what)
{
	struct live *live = arg;

	if (live->rc == QS_OK)
		fail_at(live, what, "folder ", path);
}

enum qs_code
live_add_snapshot(struct live *live, const struct qs_snapshot *snapshot,
	struct qs_err *err)
{
	const struct qs_visitor visitor = {visit, trouble, live};
	const struct qs_content root = qs_snapshot_root(snapshot);
	enum qs_code rc;

	live->rc = live->hole.code = QS_OK;
	rc = qs_tree_walk(live->source, &root, &visitor, err);
	if (live->rc != QS_OK) {
		*err = live->err;
		rc = live->rc;
	}
	/* What is missing here is missing in others that have it, too. */
	if (live->hole.code != QS_OK) {
		qs_idset_clear(&live->chunks);
		qs_idset_clear(&live->trees);
	}
	if (rc != QS_OK && rc != QS_ECANCELED) {
		char hex[9];

		qs_hex(hex, snapshot->record.b, 4);
		return qs_fail_while(err, "snapshot %s", hex);
	}
	return rc;
}

enum qs_code
live_add_covers(struct live *live, const struct qs_folder *folder,
	struct qs_err *err)
{
	enum qs_code rc = QS_OK;
	bool is_new;

	for (size_t i = 0; i < folder->chain_count; i++) {
		const struct qs_cover *cover = &folder->chains[i].cover;

		for (size_t j = 0; rc == QS_OK && j < cover->index_count; j++)
			rc = qs_idset_add(&live->helpers,
				cover->indexes[j].id.b, &is_new, err);
	}
	return rc;
}
