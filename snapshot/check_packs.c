/* SPDX-License-Identifier: ISC */
/*
 * check_packs: the directory inside each pack against what the index has of
 * it.  The pack is right: an index is a cache.
 */
#include <stdlib.h>

#include "snapshot/check_internal.h"
#include "snapshot/folder_internal.h"

#define BATCH 1024u /* chunks looked up at once */

static bool
same_frames(const struct qs_pack_dir *a, const struct qs_pack_dir *b)
{
	if (a->frame_count != b->frame_count)
		return false;
	for (uint32_t i = 0; i < a->frame_count; i++) {
		const struct qs_frame_entry *x = &a->frames[i];
		const struct qs_frame_entry *y = &b->frames[i];

		if (x->off != y->off || x->sealed_len != y->sealed_len ||
		    x->plain_len != y->plain_len || x->comp != y->comp ||
		    x->kind != y->kind || x->domain != y->domain)
			return false;
	}
	return true;
}

static bool
same_chunks(const struct qs_pack_dir *a, const struct qs_pack_dir *b)
{
	if (a->chunk_count != b->chunk_count)
		return false;
	for (uint32_t i = 0; i < a->chunk_count; i++) {
		const struct qs_chunk_entry *x = &a->chunks[i];
		const struct qs_chunk_entry *y = &b->chunks[i];

		if (memcmp(x->id.b, y->id.b, 32) != 0 ||
		    x->frame != y->frame || x->off != y->off ||
		    x->len != y->len)
			return false;
	}
	return true;
}

/* A pack may hold a chunk twice: any of its places is right. */
static bool
is_place(const struct qs_pack_dir *dir, const struct qs_id *id,
	const struct qs_chunk_loc *loc)
{
	for (uint32_t i = 0; i < dir->chunk_count; i++) {
		const struct qs_chunk_entry *chunk = &dir->chunks[i];

		if (chunk->frame == loc->frame && chunk->off == loc->off &&
		    chunk->len == loc->len &&
		    memcmp(chunk->id.b, id->b, sizeof(id->b)) == 0)
			return true;
	}
	return false;
}

/* Is each chunk found, and where the directory says if it is this pack's? */
static enum qs_code
chunks_are_found(struct check *check, const struct check_pack *pack,
	const struct qs_pack_dir *dir, bool *same, struct qs_err *err)
{
	struct qs_id ids[BATCH];
	struct qs_chunk_loc locs[BATCH];

	*same = true;
	for (uint32_t at = 0; at < dir->chunk_count && *same; at += BATCH) {
		const uint32_t left = dir->chunk_count - at;
		const uint32_t count = left < BATCH ? left : BATCH;
		enum qs_code rc;

		for (uint32_t i = 0; i < count; i++)
			ids[i] = dir->chunks[at + i].id;
		rc = qs_index_find(check->index, ids, count, locs, err);
		if (rc != QS_OK)
			return rc;
		for (uint32_t i = 0; i < count; i++) {
			const struct qs_chunk_entry *chunk =
				&dir->chunks[at + i];
			const struct qs_chunk_loc *loc = &locs[i];

			if (loc->pack == 0)
				*same = false;
			/* Another pack's place is checked with that pack. */
			if (loc->pack != pack->number ||
			    (loc->frame == chunk->frame &&
			    loc->off == chunk->off && loc->len == chunk->len))
				continue;
			if (!is_place(dir, &chunk->id, loc))
				*same = false;
		}
	}
	return QS_OK;
}

static enum qs_code
compare(struct check *check, const struct check_pack *pack,
	const struct qs_pack_head *head, const struct qs_pack_dir *dir,
	bool *same, struct qs_err *err)
{
	struct qs_index_pack known = {.frames = NULL};
	struct qs_pack_dir rows = {.frames = NULL};
	enum qs_code rc;

	rc = qs_index_pack(check->index, pack->number, &known, err);
	if (rc == QS_OK)
		rc = qs_index_pack_dir(check->index, pack->number, &rows, err);
	if (rc == QS_OK) {
		*same = known.ref.epoch == head->ref.epoch &&
			known.ref.size == head->ref.size &&
			memcmp(known.ref.salt, head->ref.salt, 32) == 0 &&
			same_frames(&rows, dir) && same_chunks(&rows, dir);
		if (*same)
			rc = chunks_are_found(check, pack, dir, same, err);
	}
	free(known.frames);
	qs_pack_dir_clear(&rows);
	return rc;
}

static enum qs_code
repair(struct check *check, struct check_pack *pack,
	const struct qs_pack_head *head, const struct qs_pack_dir *dir,
	struct qs_err *err)
{
	struct qs_err what;
	char hex[17];
	enum qs_code rc;

	qs_hex(hex, pack->name.b, 8);
	rc = qs_index_forget(check->index, &pack->name, err);
	if (rc == QS_OK)
		rc = qs_index_add(check->index, &head->ref, dir, err);
	if (rc != QS_OK)
		return rc;
	check->result.errors++;
	(void)qs_fail(&what, QS_ECORRUPT, "the index on this machine was wrong "
		"about object %s: repaired", hex);
	check_tell(check, NULL, QS_NODE_FILE, pack->size, &what);
	return QS_OK;
}

static enum qs_code
check_one(struct check *check, struct check_pack *pack, struct qs_err *err)
{
	struct qs_pack_head head;
	struct qs_pack_dir dir = {.frames = NULL};
	struct qs_err cause;
	bool same = false;
	enum qs_code rc;

	rc = qs_folder_read_dir(check->folder, &pack->name, pack->size, &head,
		&dir, &cause);
	if (rc != QS_OK && check_is_finding(rc))
		return check_bad_pack(check, pack, &cause, err);
	if (rc != QS_OK) {
		*err = cause;
		return rc;
	}
	rc = compare(check, pack, &head, &dir, &same, &cause);
	/* Rows that cannot even be read are wrong rows. */
	if (rc == QS_ECORRUPT || rc == QS_ENOTFOUND)
		rc = QS_OK;
	if (rc != QS_OK)
		*err = cause;
	else if (!same)
		rc = repair(check, pack, &head, &dir, err);
	qs_pack_dir_clear(&dir);
	return rc;
}

enum qs_code
check_packs(struct check *check, struct qs_err *err)
{
	for (size_t i = 0; i < check->count; i++) {
		struct check_pack *pack = &check->packs[i];
		enum qs_code rc;

		if (check_is_cancelled(check))
			return qs_fail(err, QS_ECANCELED, "interrupted");
		/* What the index does not have is read whole: check_read. */
		if (pack->is_bad || pack->number == 0)
			continue;
		rc = check_one(check, pack, err);
		if (rc != QS_OK)
			return rc;
	}
	return QS_OK;
}
