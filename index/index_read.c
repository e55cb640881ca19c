/* SPDX-License-Identifier: ISC */
/* What is known of packs: their frames and chunks, one by one and in all. */
#include <stdlib.h>

#include "index/index_internal.h"

static int
compare_alias(const void *key, const void *member)
{
	uint32_t number = *(const uint32_t *)key;
	const struct qs_index_alias *alias = member;

	return number < alias->from ? -1 : number > alias->from;
}

static uint32_t
resolve(const struct qs_index *index, uint32_t number)
{
	const struct qs_index_alias *alias = NULL;

	if (index->aliases.len != 0)
		alias = bsearch(&number, index->aliases.data,
			index->aliases.len / sizeof(*alias), sizeof(*alias),
			compare_alias);
	return alias == NULL ? number : alias->to;
}

static int
compare_number(const void *key, const void *member)
{
	uint32_t number = *(const uint32_t *)key;
	const struct qs_index_new_pack *pack = member;

	return number < pack->number ? -1 : number > pack->number;
}

/* Those that wait are in order of number. */
static const struct qs_index_new_pack *
waiting(const struct qs_index *index, uint32_t number)
{
	uint32_t count;
	const struct qs_index_new_pack *packs = qs_index_new_packs(
		&index->rows, &count);

	if (count == 0)
		return NULL;
	return bsearch(&number, packs, count, sizeof(*packs), compare_number);
}

static enum qs_code
not_known(const struct qs_index *index, uint32_t number, struct qs_err *err)
{
	return qs_fail(err, QS_ENOTFOUND, "index %s has no pack number %u",
		index->db.path, (unsigned)number);
}

/* Columns number, name, size, epoch, salt. */
static bool
read_ref(sqlite3_stmt *stmt, uint32_t *number, struct qs_pack_ref *ref)
{
	const uint8_t *name = qs_index_column_blob(stmt, 1,
		sizeof(ref->name.b));
	const uint8_t *salt = qs_index_column_blob(stmt, 4, sizeof(ref->salt));

	if (name == NULL || salt == NULL ||
		!qs_index_column32(stmt, 0, UINT32_MAX, number) ||
		!qs_index_column32(stmt, 2, QS_PACK_MAX, &ref->size) ||
		!qs_index_column32(stmt, 3, UINT32_MAX, &ref->epoch))
		return false;
	memcpy(ref->name.b, name, sizeof(ref->name.b));
	memcpy(ref->salt, salt, sizeof(ref->salt));
	return *number != 0 && qs_index_ref_ok(ref);
}

/* --------------------------------------------------------------- a pack */

static enum qs_code
pack_in_memory(struct qs_index *index,
	const struct qs_index_new_pack *pack, struct qs_index_pack *out,
	struct qs_err *err)
{
	out->ref = pack->ref;
	return qs_index_frames_load(index,
		qs_span(qs_index_new_frames(&index->rows, pack),
			(size_t)pack->frame_count * QS_INDEX_FRAME),
		pack->ref.size, &out->frames, &out->frame_count, err);
}

static enum qs_code
pack_on_disk(struct qs_index *index, uint32_t number,
	struct qs_index_pack *out, struct qs_err *err)
{
	sqlite3_stmt *stmt = index->stmt[QS_SQL_PACK_GET];
	uint32_t found;
	struct qs_span blob;
	enum qs_code rc;
	bool is_row;

	qs_index_bind(stmt, 1, number);
	rc = qs_db_step(&index->db, stmt, &is_row, err);
	if (rc != QS_OK)
		return rc;
	if (!is_row)
		return not_known(index, number, err);
	if (!read_ref(stmt, &found, &out->ref) ||
		!qs_index_column_span(stmt, 5, &blob))
		rc = qs_db_damaged(&index->db, err);
	else
		rc = qs_index_frames_load(index, blob, out->ref.size,
			&out->frames, &out->frame_count, err);
	(void)sqlite3_reset(stmt);
	return rc;
}

enum qs_code
qs_index_pack(struct qs_index *index, uint32_t number,
	struct qs_index_pack *out, struct qs_err *err)
{
	const struct qs_index_new_pack *pack;
	struct qs_index_pack found = {0};
	enum qs_code rc;

	(void)pthread_mutex_lock(&index->lock);
	pack = waiting(index, number);
	if (pack != NULL)
		rc = pack_in_memory(index, pack, &found, err);
	else
		rc = pack_on_disk(index, resolve(index, number), &found, err);
	(void)pthread_mutex_unlock(&index->lock);
	if (rc == QS_OK)
		*out = found;
	return rc;
}

static enum qs_code
read_dir(struct qs_index *index, uint32_t number, struct qs_pack_dir *out,
	struct qs_err *err)
{
	sqlite3_stmt *stmt = index->stmt[QS_SQL_PACK_DIR_GET];
	struct qs_span frames, chunks;
	uint32_t size;
	enum qs_code rc;
	bool is_row;

	qs_index_bind(stmt, 1, number);
	rc = qs_db_step(&index->db, stmt, &is_row, err);
	if (rc != QS_OK)
		return rc;
	if (!is_row)
		return not_known(index, number, err);
	if (!qs_index_column32(stmt, 0, QS_PACK_MAX, &size) ||
		!qs_index_column_span(stmt, 1, &frames) ||
		!qs_index_column_span(stmt, 2, &chunks))
		rc = qs_db_damaged(&index->db, err);
	if (rc == QS_OK)
		rc = qs_index_frames_load(index, frames, size, &out->frames,
			&out->frame_count, err);
	if (rc == QS_OK)
		rc = qs_index_chunks_load(index, chunks, out->frames,
			out->frame_count, &out->chunks, &out->chunk_count,
			err);
	(void)sqlite3_reset(stmt);
	return rc;
}

enum qs_code
qs_index_pack_dir(struct qs_index *index, uint32_t number,
	struct qs_pack_dir *out, struct qs_err *err)
{
	struct qs_pack_dir dir = {0};
	enum qs_code rc;

	(void)pthread_mutex_lock(&index->lock);
	rc = qs_index_flush(index, NULL, NULL, err);
	if (rc == QS_OK)
		rc = read_dir(index, resolve(index, number), &dir, err);
	(void)pthread_mutex_unlock(&index->lock);
	if (rc == QS_OK) {
		*out = dir;
		return QS_OK;
	}
	free(dir.frames);
	free(dir.chunks);
	return rc;
}

/* ------------------------------------------------------------ all packs */

struct batch {
	uint32_t number[QS_INDEX_BATCH];
	struct qs_pack_ref ref[QS_INDEX_BATCH];
	size_t count;
};

static enum qs_code
next_batch(struct qs_index *index, uint32_t after, struct batch *out,
	struct qs_err *err)
{
	sqlite3_stmt *stmt = index->stmt[QS_SQL_PACKS_AFTER];
	enum qs_code rc;
	bool is_row = true;

	out->count = 0;
	qs_index_bind(stmt, 1, after);
	qs_index_bind(stmt, 2, QS_INDEX_BATCH);
	for (;;) {
		rc = qs_db_step(&index->db, stmt, &is_row, err);
		if (rc != QS_OK || !is_row)
			return rc;
		if (out->count == QS_INDEX_BATCH || !read_ref(stmt,
			&out->number[out->count], &out->ref[out->count])) {
			(void)sqlite3_reset(stmt);
			return qs_db_damaged(&index->db, err);
		}
		out->count++;
	}
}

enum qs_code
qs_index_each_pack(struct qs_index *index, qs_index_pack_fn fn, void *arg,
	struct qs_err *err)
{
	struct batch batch = {.count = 0};
	uint32_t after = 0;
	enum qs_code rc;

	do {
		(void)pthread_mutex_lock(&index->lock);
		rc = qs_index_flush(index, NULL, NULL, err);
		if (rc == QS_OK)
			rc = next_batch(index, after, &batch, err);
		(void)pthread_mutex_unlock(&index->lock);
		/* Without the lock: fn may use the index, forget the pack. */
		for (size_t i = 0; i < batch.count && rc == QS_OK; i++) {
			after = batch.number[i];
			rc = fn(arg, after, &batch.ref[i], err);
		}
	} while (rc == QS_OK && batch.count != 0);
	return rc;
}

static enum qs_code
count_all(struct qs_index *index, struct qs_index_counts *out,
	struct qs_err *err)
{
	sqlite3_stmt *stmt = index->stmt[QS_SQL_COUNT_ALL];
	enum qs_code rc;
	bool is_row;

	rc = qs_db_step(&index->db, stmt, &is_row, err);
	if (rc != QS_OK)
		return rc;
	if (!is_row)
		return qs_db_damaged(&index->db, err);
	if (!qs_index_column(stmt, 0, INT64_MAX, &out->packs) ||
		!qs_index_column(stmt, 1, INT64_MAX, &out->pack_bytes) ||
		!qs_index_column(stmt, 2, INT64_MAX, &out->chunks))
		rc = qs_db_damaged(&index->db, err);
	(void)sqlite3_reset(stmt);
	return rc;
}

enum qs_code
qs_index_count(struct qs_index *index, struct qs_index_counts *out,
	struct qs_err *err)
{
	struct qs_index_counts counts = {0};
	enum qs_code rc;

	(void)pthread_mutex_lock(&index->lock);
	rc = qs_index_flush(index, NULL, NULL, err);
	if (rc == QS_OK)
		rc = count_all(index, &counts, err);
	(void)pthread_mutex_unlock(&index->lock);
	if (rc == QS_OK)
		*out = counts;
	return rc;
}
