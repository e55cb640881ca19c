/* SPDX-License-Identifier: ISC */
/*
 * check_trees: every tree of every snapshot, the newest first, each distinct
 * folder once, and every chunk that a file refers to.
 */
#include <stdlib.h>

#include "snapshot/check_internal.h"
#include "snapshot/content_internal.h"
#include "snapshot/idset_internal.h"
#include "snapshot/source_internal.h"

#define IDS 64                 /* looked up for what packs they are in */
#define BATCH 2048             /* chunks looked up at once */
#define PATH_BYTES (256u << 10) /* of the files they belong to, about */

struct file { /* whose references are in the batch */
	size_t path; /* offset in trees->paths */
	uint64_t size;
	bool is_told;
};

struct trees {
	struct check *check;
	struct qs_source *source;
	char snapshot[9]; /* being walked: 8 hex digits */
	struct qs_idset folders; /* contents walked already */
	struct qs_fetch batch[BATCH];
	size_t file_of[BATCH]; /* in files */
	size_t batch_count;
	struct file files[BATCH];
	size_t file_count;
	struct qs_buf paths;
	enum qs_code rc; /* what ends the check, and not a finding */
	struct qs_err err;
};

static void
tell(struct trees *trees, const char *path, enum qs_node_type type,
	uint64_t size, const struct qs_err *cause)
{
	struct check *check = trees->check;
	struct qs_err what;

	pthread_mutex_lock(&check->lock);
	check->result.errors++;
	check->result.files_affected++;
	pthread_mutex_unlock(&check->lock);
	atomic_fetch_add(&check->report->progress->errors, 1);
	(void)qs_fail(&what, cause->code, "in snapshot %s: %s%.300s",
		trees->snapshot, type == QS_NODE_DIR ?
		"this folder cannot be read, nor what is in it: " : "needs: ",
		cause->msg);
	check_tell(check, path, type, size, &what);
}

/* ------------------------------------------------------------ references */

static const char *
path_of(const struct trees *trees, const struct file *file)
{
	return (const char *)trees->paths.data + file->path;
}

/* Why a chunk that is located is not good for its file. */
static void
explain(const struct qs_fetch *item, struct qs_err *cause)
{
	if (item->code == QS_ENOTFOUND)
		(void)qs_fail(cause, item->code, "chunk %s, which is in no "
			"object that a valid record lists",
			source_hex(&item->id).hex);
	else
		(void)qs_fail(cause, item->code, "chunk %s, which is not what "
			"it should be in object %s",
			source_hex(&item->id).hex,
			source_hex(&item->pack).hex);
}

/* Of the chunk itself, and not of an index that cannot be read. */
static bool
is_about_chunk(const struct qs_fetch *item)
{
	return item->code == QS_ENOTFOUND || (item->code == QS_ECORRUPT &&
		!qs_is_zero(item->pack.b, sizeof(item->pack.b)));
}

/* Which packs these are in, where some are in no record. */
static enum qs_code
note_use(struct trees *trees, const struct qs_id *ids, size_t count,
	struct qs_err *err)
{
	struct qs_chunk_loc locs[IDS];
	enum qs_code rc = qs_index_find(trees->check->index, ids, count, locs,
		err);

	for (size_t i = 0; rc == QS_OK && i < count; i++)
		if (locs[i].pack != 0)
			check_use(trees->check, locs[i].pack);
	return rc;
}

static enum qs_code
note_batch(struct trees *trees, struct qs_err *err)
{
	struct qs_id ids[IDS];
	enum qs_code rc = QS_OK;

	for (size_t at = 0; rc == QS_OK && at < trees->batch_count;) {
		size_t n = 0;

		while (n < IDS && at < trees->batch_count)
			ids[n++] = trees->batch[at++].id;
		rc = note_use(trees, ids, n, err);
	}
	return rc;
}

static enum qs_code
look_up(struct trees *trees, struct qs_err *err)
{
	struct qs_err first, cause;
	enum qs_code rc = QS_OK;

	if (trees->check->uses != NULL)
		rc = note_batch(trees, err);
	if (rc != QS_OK)
		return rc;
	rc = qs_source_locate(trees->source, trees->batch, trees->batch_count,
		&first);
	if (rc == QS_OK)
		return QS_OK;
	for (size_t i = 0; i < trees->batch_count; i++) {
		const struct qs_fetch *item = &trees->batch[i];
		struct file *file = &trees->files[trees->file_of[i]];

		if (item->code == QS_OK || file->is_told)
			continue;
		if (!is_about_chunk(item)) {
			*err = first;
			return rc;
		}
		explain(item, &cause);
		tell(trees, path_of(trees, file), QS_NODE_FILE, file->size,
			&cause);
		file->is_told = true;
	}
	return QS_OK;
}

/* Look the batch up.  The file being added to, if any, stays as file 0. */
static enum qs_code
flush(struct trees *trees, bool keeps_last, struct qs_err *err)
{
	enum qs_code rc = look_up(trees, err);

	trees->batch_count = 0;
	if (keeps_last && trees->file_count > 0) {
		struct file last = trees->files[trees->file_count - 1];
		const size_t len = trees->paths.len - last.path;

		memmove(trees->paths.data, trees->paths.data + last.path, len);
		trees->paths.len = len;
		last.path = 0;
		trees->files[0] = last;
		trees->file_count = 1;
	} else {
		trees->paths.len = 0;
		trees->file_count = 0;
	}
	return rc;
}

static enum qs_code
add_ref(void *arg, const struct qs_id *id, uint64_t len, uint64_t offset,
	struct qs_err *err)
{
	struct trees *trees = arg;

	(void)offset;
	if (qs_is_zero(id->b, sizeof(id->b)))
		return QS_OK;
	if (trees->batch_count == BATCH) {
		trees->rc = flush(trees, true, &trees->err);
		if (trees->rc != QS_OK) {
			*err = trees->err;
			return trees->rc;
		}
	}
	trees->file_of[trees->batch_count] = trees->file_count - 1;
	trees->batch[trees->batch_count++] = (struct qs_fetch){.id = *id,
		.kind = QS_KIND_DATA, .len = (uint32_t)len};
	return QS_OK;
}

static enum qs_code
add_file(struct trees *trees, const struct qs_visit *it, struct qs_err *err)
{
	struct file *file;
	enum qs_code rc = QS_OK;

	if (trees->file_count == BATCH || trees->paths.len > PATH_BYTES)
		rc = flush(trees, false, err);
	if (rc != QS_OK)
		return rc;
	file = &trees->files[trees->file_count];
	*file = (struct file){trees->paths.len, it->node->size, false};
	rc = qs_buf_append(&trees->paths, "/", 1, err);
	if (rc == QS_OK)
		rc = qs_buf_append(&trees->paths, it->path, it->path_len + 1,
			err);
	if (rc == QS_OK)
		trees->file_count++;
	return rc;
}

static enum qs_code
check_file(struct trees *trees, const struct qs_visit *it,
	struct qs_err *err)
{
	struct qs_err cause;
	struct file *file;
	enum qs_code rc;

	atomic_fetch_add(&trees->check->report->progress->files_done, 1);
	if (it->node->content.count == 0)
		return QS_OK;
	rc = add_file(trees, it, err);
	if (rc != QS_OK)
		return rc;
	rc = qs_content_each(trees->source, &it->node->content, add_ref,
		trees, &cause);
	if (rc == QS_OK)
		return QS_OK;
	/* A failure of the look-up is not this file's. */
	if (trees->rc != QS_OK || !check_is_finding(rc)) {
		*err = cause;
		return rc;
	}
	file = &trees->files[trees->file_count - 1];
	if (!file->is_told)
		tell(trees, path_of(trees, file), QS_NODE_FILE, file->size,
			&cause);
	file->is_told = true;
	return QS_OK;
}

/* ---------------------------------------------------------------- walk */

static enum qs_code
enter_folder(struct trees *trees, const struct qs_content *content,
	bool *is_new, struct qs_err *err)
{
	uint8_t key[16];
	enum qs_code rc = QS_OK;

	for (uint32_t i = 0; rc == QS_OK && i < content->count &&
	    trees->check->uses != NULL; i++) {
		struct qs_id id;

		memcpy(id.b, content->refs + (size_t)i * QS_REF_LEN, 32);
		rc = note_use(trees, &id, 1, err);
	}
	if (rc != QS_OK)
		return rc;
	qs_hash_plain(key, sizeof(key), qs_span(content->refs,
		(size_t)content->count * QS_REF_LEN));
	/* The same references one level up or down are another content. */
	key[0] ^= content->depth;
	return qs_idset_add(&trees->folders, key, is_new, err);
}

static enum qs_visit_next
visit(void *arg, const struct qs_visit *it)
{
	struct trees *trees = arg;
	bool is_new = true;

	if (it->what == QS_VISIT_LEAVE)
		return trees->rc == QS_OK ? QS_VISIT_GO : QS_VISIT_STOP;
	if (check_is_cancelled(trees->check) && trees->rc == QS_OK)
		trees->rc = qs_fail(&trees->err, QS_ECANCELED, "interrupted");
	if (trees->rc == QS_OK && it->node->type == QS_NODE_DIR)
		trees->rc = enter_folder(trees, &it->node->content, &is_new,
			&trees->err);
	else if (trees->rc == QS_OK && it->node->type == QS_NODE_FILE)
		trees->rc = check_file(trees, it, &trees->err);
	if (trees->rc != QS_OK)
		return QS_VISIT_STOP;
	return is_new ? QS_VISIT_GO : QS_VISIT_SKIP;
}

static void
trouble(void *arg, const char *path, const struct qs_err *what)
{
	struct trees *trees = arg;
	struct qs_buf full = {NULL, 0, 0};
	struct qs_err err;
	enum qs_code rc;

	if (trees->rc != QS_OK)
		return;
	if (!check_is_finding(what->code)) {
		trees->rc = what->code;
		trees->err = *what;
		return;
	}
	rc = qs_buf_append(&full, "/", 1, &err);
	if (rc == QS_OK)
		rc = qs_buf_append(&full, path, strlen(path) + 1, &err);
	tell(trees, rc == QS_OK ? (const char *)full.data : path,
		QS_NODE_DIR, 0, what);
	qs_buf_clear(&full);
}

static enum qs_code
walk_snapshot(struct trees *trees, const struct qs_snapshot *snapshot,
	struct qs_err *err)
{
	const struct qs_visitor visitor = {visit, trouble, trees};
	const struct qs_content root = qs_snapshot_root(snapshot);
	enum qs_code rc;

	qs_hex(trees->snapshot, snapshot->record.b, 4);
	rc = qs_tree_walk(trees->source, &root, &visitor, err);
	if (rc == QS_OK && trees->rc != QS_OK) {
		*err = trees->err;
		return trees->rc;
	}
	/* Findings name the snapshot: none may be left for the next one. */
	if (rc == QS_OK)
		rc = flush(trees, false, err);
	trees->check->result.snapshots++;
	return rc;
}

enum qs_code
check_trees(struct check *check, struct qs_err *err)
{
	struct trees *trees = calloc(1, sizeof(*trees));
	enum qs_code rc;

	if (trees == NULL)
		return qs_fail_nomem(err, "checking trees");
	trees->check = check;
	trees->folders = QS_IDSET(2);
	rc = qs_source_new(check->folder, QS_SOURCE_CACHE, &trees->source,
		err);
	for (size_t i = qs_folder_snapshot_count(check->folder);
	    rc == QS_OK && i > 0; i--)
		rc = walk_snapshot(trees, qs_folder_snapshot(check->folder,
			i - 1), err);
	qs_source_free(trees->source);
	qs_idset_clear(&trees->folders);
	qs_buf_clear(&trees->paths);
	free(trees);
	return rc;
}
