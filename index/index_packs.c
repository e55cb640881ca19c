/* SPDX-License-Identifier: ISC */
/* Adding packs, forgetting them, and telling what is known of one. */
#include <stdlib.h>

#include "index/index_internal.h"

enum qs_code
qs_index_number_on_disk(struct qs_index *index, const struct qs_name *name,
	uint32_t *number, struct qs_err *err)
{
	sqlite3_stmt *stmt = index->stmt[QS_SQL_PACK_NUMBER];
	uint32_t found = 0;
	enum qs_code rc;
	bool is_row;

	qs_index_bind_blob(stmt, 1, name->b, sizeof(name->b));
	rc = qs_db_step(&index->db, stmt, &is_row, err);
	if (rc != QS_OK)
		return rc;
	if (is_row && (!qs_index_column32(stmt, 0, UINT32_MAX, &found) ||
		found == 0))
		rc = qs_db_damaged(&index->db, err);
	(void)sqlite3_reset(stmt);
	if (rc == QS_OK)
		*number = found;
	return rc;
}

/* *number 0: not known, neither in memory nor on disk. */
static enum qs_code
number_of(struct qs_index *index, const struct qs_name *name,
	uint32_t *number, struct qs_err *err)
{
	uint32_t count, row = qs_index_rows_lookup(&index->rows, QS_SET_PACKS,
		name->b);

	if (row == QS_INDEX_NO_ROW)
		return qs_index_number_on_disk(index, name, number, err);
	*number = qs_index_new_packs(&index->rows, &count)[row].number;
	return QS_OK;
}

enum qs_code
qs_index_pack_number(struct qs_index *index, const struct qs_name *name,
	uint32_t *out, struct qs_err *err)
{
	uint32_t number = 0;
	enum qs_code rc;

	(void)pthread_mutex_lock(&index->lock);
	rc = number_of(index, name, &number, err);
	(void)pthread_mutex_unlock(&index->lock);
	if (rc == QS_OK)
		*out = number;
	return rc;
}

enum qs_code
qs_index_has_packs(struct qs_index *index, const struct qs_name *names,
	size_t count, bool *out, struct qs_err *err)
{
	uint32_t number = 0;
	bool *known;
	enum qs_code rc;

	if (count == 0)
		return QS_OK;
	known = calloc(count, sizeof(*known));
	if (known == NULL)
		return qs_fail_nomem(err, "looking up packs");
	(void)pthread_mutex_lock(&index->lock);
	rc = qs_index_begin(index, false, err);
	if (rc == QS_OK) {
		for (size_t i = 0; i < count && rc == QS_OK; i++) {
			rc = number_of(index, &names[i], &number, err);
			known[i] = number != 0;
		}
		rc = qs_index_end(index, rc, err);
	}
	(void)pthread_mutex_unlock(&index->lock);
	if (rc == QS_OK)
		memcpy(out, known, count * sizeof(*known));
	free(known);
	return rc;
}

/* -------------------------------------------------------------- adding */

/*
 * Numbers are taken on disk, some at a time, so that no two processes give out
 * the same, and are never used again: one that a caller still holds cannot
 * come to mean another pack.
 */
static enum qs_code
take_numbers(struct qs_index *index, struct qs_err *err)
{
	uint64_t first = 0;
	enum qs_code rc = qs_index_begin(index, true, err);

	if (rc != QS_OK)
		return rc;
	rc = qs_index_take(index, QS_META_NEXT_PACK, QS_INDEX_NUMBERS,
		UINT32_MAX, &first, err);
	rc = qs_index_end(index, rc, err);
	if (rc == QS_OK) {
		index->next_pack = (uint32_t)first;
		index->end_pack = (uint32_t)first + QS_INDEX_NUMBERS;
	}
	return rc;
}

static enum qs_code
add(struct qs_index *index, const struct qs_pack_ref *ref,
	const struct qs_pack_dir *dir, struct qs_err *err)
{
	uint32_t number = 0;
	enum qs_code rc;

	rc = number_of(index, &ref->name, &number, err);
	if (rc != QS_OK || number != 0)
		return rc;
	rc = qs_index_room(index, sizeof(struct qs_index_new_pack) +
		(size_t)dir->frame_count * QS_INDEX_FRAME +
		(size_t)dir->chunk_count * (QS_INDEX_CHUNK +
		sizeof(struct qs_index_new_chunk)), err);
	if (rc == QS_OK && index->next_pack == index->end_pack)
		rc = take_numbers(index, err);
	if (rc == QS_OK)
		rc = qs_index_rows_pack(&index->rows, index->next_pack, ref,
			dir, err);
	if (rc == QS_OK)
		index->next_pack++;
	return rc;
}

enum qs_code
qs_index_add(struct qs_index *index, const struct qs_pack_ref *ref,
	const struct qs_pack_dir *dir, struct qs_err *err)
{
	char hex[QS_HEX_LEN + 1];
	enum qs_code rc;

	if (!qs_index_dir_ok(ref, dir)) {
		qs_hex(hex, ref->name.b, sizeof(ref->name.b));
		return qs_fail(err, QS_EINVAL, "pack %s: its directory is out "
			"of bounds", hex);
	}
	(void)pthread_mutex_lock(&index->lock);
	rc = add(index, ref, dir, err);
	(void)pthread_mutex_unlock(&index->lock);
	return rc;
}

/* ---------------------------------------------------------- forgetting */

/*
 * A chunk of a pack that goes: another pack's copy takes its place.  *dropped
 * grows by the rows that the pack has lost.
 */
static enum qs_code
free_chunk(struct qs_index *index, const uint8_t *id, uint32_t number,
	uint64_t *dropped, struct qs_err *err)
{
	sqlite3_stmt *stmt = index->stmt[QS_SQL_SPARE_DROP];
	enum qs_code rc;

	qs_index_bind_blob(stmt, 1, id, sizeof(struct qs_id));
	qs_index_bind(stmt, 2, number);
	rc = qs_db_run(&index->db, stmt, err);
	if (rc != QS_OK)
		return rc;
	*dropped += (uint64_t)sqlite3_changes(index->db.handle);
	stmt = index->stmt[QS_SQL_CHUNK_DROP];
	qs_index_bind_blob(stmt, 1, id, sizeof(struct qs_id));
	qs_index_bind(stmt, 2, number);
	rc = qs_db_run(&index->db, stmt, err);
	if (rc != QS_OK || sqlite3_changes(index->db.handle) == 0)
		return rc;
	*dropped += 1;
	stmt = index->stmt[QS_SQL_SPARE_USE];
	qs_index_bind_blob(stmt, 1, id, sizeof(struct qs_id));
	rc = qs_db_run(&index->db, stmt, err);
	if (rc != QS_OK || sqlite3_changes(index->db.handle) == 0)
		return rc;
	stmt = index->stmt[QS_SQL_SPARE_USED];
	qs_index_bind_blob(stmt, 1, id, sizeof(struct qs_id));
	return qs_db_run(&index->db, stmt, err);
}

static enum qs_code
free_chunks(struct qs_index *index, uint32_t number, struct qs_err *err)
{
	sqlite3_stmt *stmt = index->stmt[QS_SQL_PACK_DIR_GET];
	struct qs_span blob = {0};
	uint64_t dropped = 0; /* the pack's own row goes as well */
	enum qs_code rc;
	bool is_row;

	qs_index_bind(stmt, 1, number);
	rc = qs_db_step(&index->db, stmt, &is_row, err);
	if (rc != QS_OK)
		return rc;
	if (!is_row)
		return qs_db_damaged(&index->db, err);
	if (!qs_index_column_span(stmt, 2, &blob) ||
		blob.len % QS_INDEX_CHUNK != 0)
		rc = qs_db_damaged(&index->db, err);
	for (size_t at = 0; at < blob.len && rc == QS_OK; at += QS_INDEX_CHUNK)
		rc = free_chunk(index, blob.data + at, number,
			&dropped, err);
	(void)sqlite3_reset(stmt);
	return rc;
}

/* Directory rows written so far are fresh no longer, nor will this run's be. */
static enum qs_code
bump_generation(struct qs_index *index, struct qs_err *err)
{
	sqlite3_stmt *stmt = index->stmt[QS_SQL_RUNS_DROP];
	uint64_t old = 0;
	enum qs_code rc;

	rc = qs_index_take(index, QS_META_GENERATION, 1, INT64_MAX, &old, err);
	if (rc != QS_OK)
		return rc;
	qs_index_bind(stmt, 1, old + 1);
	return qs_db_run(&index->db, stmt, err);
}

static enum qs_code
forget(struct qs_index *index, void *arg, struct qs_err *err)
{
	const struct qs_name *name = arg;
	sqlite3_stmt *stmt;
	uint32_t number = 0;
	enum qs_code rc;

	rc = bump_generation(index, err);
	/* On disk: what waited in memory is written by now. */
	if (rc == QS_OK)
		rc = qs_index_number_on_disk(index, name, &number, err);
	if (rc != QS_OK || number == 0)
		return rc;
	rc = free_chunks(index, number, err);
	if (rc != QS_OK)
		return rc;
	stmt = index->stmt[QS_SQL_PACK_DIR_DROP];
	qs_index_bind(stmt, 1, number);
	rc = qs_db_run(&index->db, stmt, err);
	if (rc != QS_OK)
		return rc;
	stmt = index->stmt[QS_SQL_PACK_DROP];
	qs_index_bind(stmt, 1, number);
	return qs_db_run(&index->db, stmt, err);
}

enum qs_code
qs_index_forget(struct qs_index *index, const struct qs_name *name,
	struct qs_err *err)
{
	struct qs_name copy = *name;
	enum qs_code rc;

	(void)pthread_mutex_lock(&index->lock);
	rc = qs_index_flush(index, forget, &copy, err);
	(void)pthread_mutex_unlock(&index->lock);
	return rc;
}

struct some { /* chunks of one pack */
	struct qs_name pack;
	const struct qs_id *ids;
	size_t count;
};

static enum qs_code
forget_some(struct qs_index *index, void *arg, struct qs_err *err)
{
	const struct some *some = arg;
	sqlite3_stmt *stmt = index->stmt[QS_SQL_PACK_FEWER];
	uint64_t dropped = 0;
	uint32_t number = 0;
	enum qs_code rc;

	rc = bump_generation(index, err);
	if (rc == QS_OK)
		rc = qs_index_number_on_disk(index, &some->pack, &number, err);
	if (rc != QS_OK || number == 0)
		return rc;
	for (size_t i = 0; i < some->count && rc == QS_OK; i++)
		rc = free_chunk(index, some->ids[i].b, number, &dropped, err);
	if (rc != QS_OK)
		return rc;
	/* qs_index_count adds these up. */
	qs_index_bind(stmt, 1, number);
	qs_index_bind(stmt, 2, dropped);
	return qs_db_run(&index->db, stmt, err);
}

enum qs_code
qs_index_forget_chunks(struct qs_index *index, const struct qs_name *pack,
	const struct qs_id *ids, size_t count, struct qs_err *err)
{
	struct some some = {*pack, ids, count};
	enum qs_code rc;

	(void)pthread_mutex_lock(&index->lock);
	rc = qs_index_flush(index, forget_some, &some, err);
	(void)pthread_mutex_unlock(&index->lock);
	return rc;
}
