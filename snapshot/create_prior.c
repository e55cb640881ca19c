/* SPDX-License-Identifier: ISC */
/*
 * A folder as it was before: from its directory rows, or the parent's tree.  Of
 * a made-up folder each target has a row of its own, since the next run may
 * name others there.
 */
#include <stdlib.h>

#include "snapshot/create_internal.h"

struct prior {
	struct create *create;
	uint8_t path_hash[32];
	/* rows */
	bool rows, fresh, ended, made_up;
	uint32_t segment, left; /* left: entries of this segment not read */
	struct qs_buf row;
	struct row_head head;
	struct qs_reader entries;
	/* the parent's tree, when there are no rows */
	struct qs_dir *dir;
	struct prior_entry target; /* made up: from its row */
	/* the entry at hand */
	struct prior_entry entry;
	bool has_entry;
	uint32_t next_place, skipped;
};

static enum qs_code
load_segment(struct prior *p, struct qs_err *err)
{
	uint8_t key[QS_DIR_KEY_LEN];
	bool found, fresh;
	enum qs_code rc;

	row_key(p->path_hash, p->segment, key);
	p->row.len = 0;
	rc = qs_index_dir_get(p->create->index, key, &p->row, &found, &fresh,
		err);
	if (rc != QS_OK)
		return rc;
	if (!found || !row_open(qs_buf_span(&p->row), &p->head, &p->entries)) {
		p->rows = false;
		p->ended = true;
		return QS_OK;
	}
	p->fresh = p->fresh && fresh;
	p->left = p->head.count;
	return QS_OK;
}

enum qs_code
prior_open(struct create *create, const struct folder *folder,
	const struct qs_content *parent_content, struct prior **out,
	struct qs_err *err)
{
	struct prior *p = calloc(1, sizeof(struct prior));
	struct qs_err ignored;
	enum qs_code rc;

	if (p == NULL)
		return qs_fail_nomem(err, "reading the directory cache");
	p->create = create;
	p->rows = true;
	p->fresh = true;
	memcpy(p->path_hash, folder->path_hash, 32);
	p->made_up = folder->made_up;
	if (p->made_up)
		p->rows = false, p->ended = true;
	else if ((rc = load_segment(p, err)) != QS_OK) {
		prior_close(p);
		return rc;
	}
	/* A parent that can't be read any more only costs time. */
	if (!p->rows && parent_content != NULL && create->source != NULL &&
		qs_dir_read(create->source, parent_content, &p->dir,
			&ignored) != QS_OK)
		p->dir = NULL;
	*out = p;
	return QS_OK;
}

void
prior_close(struct prior *p)
{
	if (p == NULL)
		return;
	qs_dir_close(p->dir);
	qs_buf_clear(&p->row);
	free(p);
}

/* The next entry into p->entry; has_entry false at the end. */
static void
advance(struct prior *p)
{
	struct qs_err ignored;
	bool end = false;

	p->has_entry = false;
	if (p->dir != NULL) {
		p->entry = (struct prior_entry){.has_inode = false};
		if (qs_dir_next(p->dir, &p->entry.node, &end, &ignored) ==
			QS_OK && !end)
			p->has_entry = true;
		else {
			qs_dir_close(p->dir);
			p->dir = NULL;
		}
		return;
	}
	while (p->rows && !p->ended && p->left == 0) {
		if (p->head.is_last) {
			p->ended = true;
			return;
		}
		p->segment++;
		if (load_segment(p, &ignored) != QS_OK)
			p->rows = false, p->ended = true;
	}
	if (!p->rows || p->ended)
		return;
	if (!row_next(&p->entries, &p->entry)) {
		p->rows = false;
		p->ended = true;
		return;
	}
	p->left--;
	p->entry.place = p->next_place++;
	p->entry.is_fresh = p->fresh;
	p->has_entry = true;
}

/* The row of one target in a made-up folder, into p->target. */
static bool
load_target(struct prior *p, struct qs_span name)
{
	uint8_t hash[32], key[QS_DIR_KEY_LEN];
	bool found, fresh;
	struct qs_err ignored;

	child_hash(p->path_hash, name, hash);
	row_key(hash, ROW_TARGET, key);
	p->row.len = 0;
	if (qs_index_dir_get(p->create->index, key, &p->row, &found, &fresh,
		&ignored) != QS_OK || !found || !row_open(qs_buf_span(&p->row),
		&p->head, &p->entries) || p->head.count != 1 ||
		!row_next(&p->entries, &p->target) ||
		qs_name_order(p->target.node.name, name) != 0)
		return false;
	p->target.place = UINT32_MAX;
	p->target.is_fresh = fresh;
	return true;
}

const struct prior_entry *
prior_seek(struct prior *p, struct qs_span name, bool is_target)
{
	if (p == NULL)
		return NULL;
	if (p->made_up && is_target && load_target(p, name))
		return &p->target;
	for (;;) {
		int order;

		if (!p->has_entry)
			advance(p);
		if (!p->has_entry)
			return NULL;
		order = qs_name_order(p->entry.node.name, name);
		if (order > 0)
			return NULL;
		/* What it borrows lives until the next seek. */
		p->has_entry = false;
		if (order == 0)
			return &p->entry;
		p->skipped++;
	}
}

bool
prior_all_matched(struct prior *p, uint32_t matched)
{
	if (p == NULL || !p->rows || p->skipped > 0 || p->has_entry)
		return false;
	advance(p);
	return !p->has_entry && p->rows && p->ended && p->next_place == matched;
}

bool
prior_fresh(const struct prior *p)
{
	return p != NULL && p->rows && p->fresh;
}

struct qs_content
prior_content(const struct prior *p)
{
	/* Known once the last segment is loaded. */
	if (p == NULL || !p->rows || !p->head.is_last)
		return (struct qs_content){0};
	return p->head.content;
}
