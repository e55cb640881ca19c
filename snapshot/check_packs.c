/* SPDX-License-Identifier: ISC */
/*
 * check_packs: the directory inside each pack against what the index has of
 * it.  The pack is right, as far as it can be read: an index is a cache.
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
find_chunks(struct check *check, const struct check_pack *pack,
	const struct qs_pack_dir *dir, enum check_rows *rows,
	struct qs_err *err)
{
	struct qs_id ids[BATCH];
	struct qs_chunk_loc locs[BATCH];

	*rows = CHECK_ROWS_RIGHT;
	for (uint32_t at = 0; at < dir->chunk_count; at += BATCH) {
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
				*rows = CHECK_ROWS_MISSING;
			/* Another pack's place is checked with that pack. */
			if (loc->pack != pack->number ||
			    (loc->frame == chunk->frame &&
			    loc->off == chunk->off && loc->len == chunk->len))
				continue;
			if (is_place(dir, &chunk->id, loc))
				continue;
			*rows = CHECK_ROWS_WRONG;
			return QS_OK;
		}
	}
	return QS_OK;
}

static enum qs_code
compare(struct check *check, const struct check_pack *pack,
	const struct qs_pack_head *head, const struct qs_pack_dir *dir,
	enum check_rows *out, struct qs_err *err)
{
	struct qs_index_pack known = {.frames = NULL};
	struct qs_pack_dir rows = {.frames = NULL};
	enum qs_code rc;

	rc = qs_index_pack(check->index, pack->number, &known, err);
	if (rc == QS_OK)
		rc = qs_index_pack_dir(check->index, pack->number, &rows, err);
	if (rc == QS_OK) {
		if (known.ref.epoch == head->ref.epoch &&
		    known.ref.size == head->ref.size &&
		    memcmp(known.ref.salt, head->ref.salt, 32) == 0 &&
		    same_frames(&rows, dir) && same_chunks(&rows, dir))
			rc = find_chunks(check, pack, dir, out, err);
		else
			*out = CHECK_ROWS_WRONG;
	}
	free(known.frames);
	qs_pack_dir_clear(&rows);
	return rc;
}

/*
 * Rows that differ are not put right here: the directory says what should be
 * in the pack, and check_read what is.
 */
static enum qs_code
check_one(struct check *check, struct check_pack *pack, struct qs_err *err)
{
	struct qs_pack_head head;
	struct qs_pack_dir dir = {.frames = NULL};
	struct qs_err cause;
	enum qs_code rc;

	rc = qs_folder_read_dir(check->folder, &pack->name, pack->size, &head,
		&dir, &cause);
	if (rc != QS_OK && check_is_finding(rc))
		return check_bad_pack(check, pack, &cause, err);
	if (rc != QS_OK) {
		*err = cause;
		return rc;
	}
	rc = compare(check, pack, &head, &dir, &pack->rows, &cause);
	/* Rows that cannot even be read are wrong rows. */
	if (rc == QS_ECORRUPT || rc == QS_ENOTFOUND) {
		pack->rows = CHECK_ROWS_WRONG;
		rc = QS_OK;
	}
	if (rc != QS_OK)
		*err = cause;
	qs_pack_dir_clear(&dir);
	return rc;
}

/* -------------------------------------------------- after it was read */

static void
tell_put_right(struct check *check, const struct check_pack *pack)
{
	struct qs_err what;
	char hex[17];

	qs_hex(hex, pack->name.b, 8);
	if (pack->number == 0)
		(void)qs_fail(&what, QS_ENOTFOUND, "object %s was not in the "
			"index on this machine: it is sound and was added",
			hex);
	else if (pack->rows == CHECK_ROWS_MISSING)
		(void)qs_fail(&what, QS_ENOTFOUND, "chunks of object %s were "
			"not in the index on this machine: it is sound and "
			"they were added", hex);
	else {
		check_count_error(check);
		(void)qs_fail(&what, QS_ECORRUPT, "the index on this machine "
			"was wrong about object %s: repaired", hex);
	}
	check_tell(check, NULL, QS_NODE_FILE, pack->size, &what);
}

static enum qs_code
drop_lost(struct check *check, const struct check_pack *pack,
	const struct check_found *found, struct qs_err *err)
{
	struct qs_id *ids = calloc(found->lost, sizeof(*ids));
	size_t count = 0;
	enum qs_code rc;

	if (ids == NULL)
		return qs_fail_nomem(err, "forgetting chunks");
	for (uint32_t i = 0; i < found->dir.chunk_count; i++)
		if (found->is_lost[i] && count < found->lost)
			ids[count++] = found->dir.chunks[i].id;
	rc = qs_index_forget_chunks(check->index, &pack->name, ids, count,
		err);
	free(ids);
	return rc;
}

/*
 * Every byte of a pack verifies with its salt: if nothing in it is bad and its
 * name still is, these are another object's bytes.  If the index has the same
 * of it, what it has is there all the same.
 */
static bool
is_another(const struct check_pack *pack, const struct check_found *found)
{
	return found->is_misnamed && (pack->rows == CHECK_ROWS_WRONG ||
		(pack->number == 0 && found->lost == 0));
}

enum qs_code
check_settle(struct check *check, struct check_pack *pack,
	const struct check_found *found, struct qs_err *err)
{
	const bool is_right = pack->number != 0 &&
		pack->rows == CHECK_ROWS_RIGHT;
	enum qs_code rc = QS_OK;

	if (is_another(pack, found))
		return check_bad_pack(check, pack, &found->cause, err);
	if (!is_right) {
		/* Wanted again first: a crash in between must not lose it. */
		if (pack->number != 0)
			rc = check_want_again(check, &pack->name, err);
		if (rc == QS_OK && pack->number != 0)
			rc = qs_index_forget(check->index, &pack->name, err);
		if (rc == QS_OK)
			rc = qs_index_add(check->index, &found->head.ref,
				&found->dir, err);
	}
	/* What was added waits in memory: written and dropped at once. */
	if (rc == QS_OK && found->lost > 0)
		rc = drop_lost(check, pack, found, err);
	if (rc != QS_OK)
		return rc;
	if (found->is_damaged)
		check_tell_damage(check, pack, found);
	else if (!is_right)
		tell_put_right(check, pack);
	return QS_OK;
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
