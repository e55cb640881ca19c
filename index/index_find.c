/* SPDX-License-Identifier: ISC */
/* Where chunks are. */
#include <stdlib.h>

#include "index/index_internal.h"

static int
compare(const void *va, const void *vb, void *arg)
{
	const struct qs_id *ids = arg;

	return memcmp(ids[*(const size_t *)va].b, ids[*(const size_t *)vb].b,
		sizeof(ids->b));
}

/* Heap-allocated: the order of ids, so that lookups go through the tree once */
static enum qs_code
sort_ids(const struct qs_id *ids, size_t count, size_t **out,
	struct qs_err *err)
{
	size_t *sorted = calloc(count, sizeof(*sorted));

	if (sorted == NULL)
		return qs_fail_nomem(err, "looking up chunks");
	for (size_t i = 0; i < count; i++)
		sorted[i] = i;
	qsort_r(sorted, count, sizeof(*sorted), compare,
		(void *)(uintptr_t)ids);
	*out = sorted;
	return QS_OK;
}

/* One row of pack, frame, off, len; *out stays as it is when there is none. */
static enum qs_code
step_place(struct qs_index *index, sqlite3_stmt *stmt,
	struct qs_chunk_loc *out, struct qs_err *err)
{
	struct qs_chunk_loc loc = {0};
	enum qs_code rc;
	bool is_row;

	rc = qs_db_step(&index->db, stmt, &is_row, err);
	if (rc != QS_OK || !is_row)
		return rc;
	/* That it lies within its frame is for who reads the frame to check. */
	if (!qs_index_column32(stmt, 0, UINT32_MAX, &loc.pack) ||
		!qs_index_column32(stmt, 1, QS_PACK_CHUNKS - 1, &loc.frame) ||
		!qs_index_column32(stmt, 2, QS_CHUNK_MAX, &loc.off) ||
		!qs_index_column32(stmt, 3, QS_CHUNK_MAX - loc.off,
			&loc.len) || loc.pack == 0)
		rc = qs_db_damaged(&index->db, err);
	(void)sqlite3_reset(stmt);
	if (rc == QS_OK)
		*out = loc;
	return rc;
}

static enum qs_code
find_one(struct qs_index *index, const struct qs_id *id,
	struct qs_chunk_loc *out, struct qs_err *err)
{
	sqlite3_stmt *stmt = index->stmt[QS_SQL_CHUNK_GET];

	qs_index_bind_blob(stmt, 1, id->b, sizeof(id->b));
	return step_place(index, stmt, out, err);
}

enum qs_code
qs_index_find_spare(struct qs_index *index, const struct qs_id *id,
	uint32_t after, struct qs_chunk_loc *out, struct qs_err *err)
{
	sqlite3_stmt *stmt = index->stmt[QS_SQL_SPARE_GET];
	struct qs_chunk_loc loc = {0};
	enum qs_code rc;

	(void)pthread_mutex_lock(&index->lock);
	qs_index_bind_blob(stmt, 1, id->b, sizeof(id->b));
	qs_index_bind(stmt, 2, after);
	rc = step_place(index, stmt, &loc, err);
	(void)pthread_mutex_unlock(&index->lock);
	if (rc == QS_OK)
		*out = loc;
	return rc;
}

static enum qs_code
find_on_disk(struct qs_index *index, const struct qs_id *ids,
	const size_t *sorted, size_t count, struct qs_chunk_loc *locs,
	struct qs_err *err)
{
	enum qs_code rc;
	bool is_row = false;

	/* One transaction: the locks of each statement would cost as much. */
	rc = qs_index_begin(index, false, err);
	if (rc != QS_OK)
		return rc;
	rc = qs_db_step(&index->db, index->stmt[QS_SQL_CHUNK_ANY], &is_row,
		err);
	if (rc == QS_OK && is_row) {
		(void)sqlite3_reset(index->stmt[QS_SQL_CHUNK_ANY]);
		for (size_t i = 0; i < count && rc == QS_OK; i++)
			rc = find_one(index, &ids[sorted[i]],
				&locs[sorted[i]], err);
	}
	return qs_index_end(index, rc, err);
}

static void
find_in_memory(const struct qs_index_rows *rows, const struct qs_id *id,
	struct qs_chunk_loc *out)
{
	uint32_t count, row = qs_index_rows_lookup(rows, QS_SET_CHUNKS, id->b);
	const struct qs_index_new_chunk *chunk;
	const uint8_t *entry;

	if (row == QS_INDEX_NO_ROW)
		return;
	chunk = &qs_index_new_chunks(rows, &count)[row];
	entry = qs_index_new_entry(rows, chunk);
	out->pack = qs_index_new_packs(rows, &count)[chunk->pack].number;
	out->frame = qs_load32(entry + 32);
	out->off = qs_load32(entry + 36);
	out->len = qs_load32(entry + 40);
}

enum qs_code
qs_index_find(struct qs_index *index, const struct qs_id *ids, size_t count,
	struct qs_chunk_loc *out, struct qs_err *err)
{
	struct qs_chunk_loc *locs;
	size_t *sorted = NULL;
	enum qs_code rc;

	if (count == 0)
		return QS_OK;
	rc = sort_ids(ids, count, &sorted, err);
	if (rc != QS_OK)
		return rc;
	locs = calloc(count, sizeof(*locs));
	if (locs == NULL) {
		rc = qs_fail_nomem(err, "looking up chunks");
		goto out;
	}
	(void)pthread_mutex_lock(&index->lock);
	/* What is on disk comes first: a chunk keeps its place. */
	rc = find_on_disk(index, ids, sorted, count, locs, err);
	for (size_t i = 0; i < count && rc == QS_OK; i++) {
		if (locs[i].pack == 0)
			find_in_memory(&index->rows, &ids[i], &locs[i]);
	}
	(void)pthread_mutex_unlock(&index->lock);
	if (rc == QS_OK)
		memcpy(out, locs, count * sizeof(*locs));
out:
	free(locs);
	free(sorted);
	return rc;
}
