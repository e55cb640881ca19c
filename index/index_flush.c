/* SPDX-License-Identifier: ISC */
/* Writing the rows that wait in memory: one transaction, chunks by id. */
#include <stdlib.h>

#include "index/index_internal.h"

struct order { /* what qsort_r compares by */
	const struct qs_index_rows *rows;
	const struct qs_index_new_chunk *chunks;
};

static int
compare(const void *va, const void *vb, void *arg)
{
	const struct order *order = arg;
	uint32_t a = *(const uint32_t *)va, b = *(const uint32_t *)vb;
	int result = memcmp(qs_index_new_entry(order->rows, &order->chunks[a]),
		qs_index_new_entry(order->rows, &order->chunks[b]),
		sizeof(struct qs_id));

	/* Who came first keeps the chunk. */
	if (result == 0)
		result = a < b ? -1 : 1;
	return result;
}

/* The waiting chunks in order of id; heap-allocated. */
static enum qs_code
sort_chunks(const struct qs_index_rows *rows, uint32_t **out,
	struct qs_err *err)
{
	uint32_t count;
	struct order order = {rows, qs_index_new_chunks(rows, &count)};
	uint32_t *sorted = calloc((size_t)count + 1, sizeof(*sorted));

	if (sorted == NULL)
		return qs_fail_nomem(err, "writing the index");
	for (uint32_t i = 0; i < count; i++)
		sorted[i] = i;
	qsort_r(sorted, count, sizeof(*sorted), compare, &order);
	*out = sorted;
	return QS_OK;
}

static enum qs_code
write_pack(struct qs_index *index, struct qs_index_new_pack *pack,
	struct qs_err *err)
{
	sqlite3_stmt *stmt = index->stmt[QS_SQL_PACK_ADD];
	const uint8_t *entries = qs_index_new_frames(&index->rows, pack);
	size_t frames_len = (size_t)pack->frame_count * QS_INDEX_FRAME;
	enum qs_code rc;

	pack->known = 0;
	qs_index_bind(stmt, 1, pack->number);
	qs_index_bind_blob(stmt, 2, pack->ref.name.b,
		sizeof(pack->ref.name.b));
	qs_index_bind(stmt, 3, pack->ref.size);
	qs_index_bind(stmt, 4, pack->ref.epoch);
	qs_index_bind_blob(stmt, 5, pack->ref.salt, sizeof(pack->ref.salt));
	qs_index_bind(stmt, 6, pack->chunk_count);
	rc = qs_db_run(&index->db, stmt, err);
	if (rc != QS_OK)
		return rc;
	if (sqlite3_changes(index->db.handle) == 0) {
		/* Another process has added it since we looked. */
		rc = qs_index_number_on_disk(index, &pack->ref.name,
			&pack->known, err);
		if (rc == QS_OK && pack->known == 0)
			rc = qs_db_damaged(&index->db, err);
		return rc;
	}
	stmt = index->stmt[QS_SQL_PACK_DIR_ADD];
	qs_index_bind(stmt, 1, pack->number);
	qs_index_bind_blob(stmt, 2, entries, frames_len);
	qs_index_bind_blob(stmt, 3, entries + frames_len,
		(size_t)pack->chunk_count * QS_INDEX_CHUNK);
	return qs_db_run(&index->db, stmt, err);
}

static enum qs_code
write_packs(struct qs_index *index, struct qs_err *err)
{
	uint32_t count;
	struct qs_index_new_pack *packs = qs_index_new_packs(&index->rows,
		&count);
	enum qs_code rc = QS_OK;

	for (uint32_t i = 0; i < count && rc == QS_OK; i++)
		rc = write_pack(index, &packs[i], err);
	/* After the commit it is too late to run out of memory. */
	if (rc == QS_OK && count != 0)
		rc = qs_buf_reserve(&index->aliases, index->aliases.len +
			count * sizeof(struct qs_index_alias), err);
	return rc;
}

static void
bind_chunk(sqlite3_stmt *stmt, const uint8_t *entry, uint32_t number)
{
	qs_index_bind_blob(stmt, 1, entry, sizeof(struct qs_id));
	qs_index_bind(stmt, 2, number);
	qs_index_bind(stmt, 3, qs_load32(entry + 32));
	qs_index_bind(stmt, 4, qs_load32(entry + 36));
	qs_index_bind(stmt, 5, qs_load32(entry + 40));
}

static enum qs_code
write_chunks(struct qs_index *index, const uint32_t *sorted,
	struct qs_err *err)
{
	const struct qs_index_rows *rows = &index->rows;
	uint32_t count, pack_count;
	const struct qs_index_new_chunk *chunks = qs_index_new_chunks(rows,
		&count);
	const struct qs_index_new_pack *packs = qs_index_new_packs(rows,
		&pack_count);
	sqlite3_stmt *add = index->stmt[QS_SQL_CHUNK_ADD];
	sqlite3_stmt *spare = index->stmt[QS_SQL_SPARE_ADD];
	enum qs_code rc = QS_OK;

	for (uint32_t i = 0; i < count && rc == QS_OK; i++) {
		const struct qs_index_new_chunk *chunk = &chunks[sorted[i]];
		const struct qs_index_new_pack *pack = &packs[chunk->pack];
		const uint8_t *entry = qs_index_new_entry(rows, chunk);

		if (pack->known != 0)
			continue; /* whoever added it added these */
		bind_chunk(add, entry, pack->number);
		rc = qs_db_run(&index->db, add, err);
		/*
		 * Another pack has it: remember the second copy, it is needed
		 * when the first one's pack is lost.
		 */
		if (rc == QS_OK && sqlite3_changes(index->db.handle) == 0) {
			bind_chunk(spare, entry, pack->number);
			rc = qs_db_run(&index->db, spare, err);
		}
	}
	return rc;
}

static enum qs_code
write_dirs(struct qs_index *index, struct qs_err *err)
{
	sqlite3_stmt *stmt = index->stmt[QS_SQL_DIR_PUT];
	uint32_t count;
	const struct qs_index_new_dir *dirs = qs_index_new_dirs(&index->rows,
		&count);
	enum qs_code rc = QS_OK;

	for (uint32_t i = 0; i < count && rc == QS_OK; i++) {
		qs_index_bind_blob(stmt, 1, dirs[i].key, sizeof(dirs[i].key));
		qs_index_bind(stmt, 2, dirs[i].run);
		qs_index_bind_blob(stmt, 3,
			index->rows.bytes.data + dirs[i].at, dirs[i].len);
		rc = qs_db_run(&index->db, stmt, err);
	}
	return rc;
}

static enum qs_code
write_facts(struct qs_index *index, struct qs_err *err)
{
	const struct qs_buf *buf = &index->rows.facts;
	const struct qs_index_new_fact *facts =
		(const struct qs_index_new_fact *)(const void *)buf->data;
	uint32_t count = qs_index_rows_of(buf, sizeof(*facts));
	sqlite3_stmt *stmt = index->stmt[QS_SQL_FACT_PUT];
	const uint8_t *bytes = index->rows.bytes.data;
	enum qs_code rc = QS_OK;

	for (uint32_t i = 0; i < count && rc == QS_OK; i++) {
		qs_index_bind_blob(stmt, 1, bytes + facts[i].key_at,
			facts[i].key_len);
		qs_index_bind_blob(stmt, 2, bytes + facts[i].at, facts[i].len);
		rc = qs_db_run(&index->db, stmt, err);
	}
	return rc;
}

static enum qs_code
write_names(struct qs_index *index, struct qs_err *err)
{
	const struct qs_buf *buf = &index->rows.names;
	const struct qs_index_new_name *names =
		(const struct qs_index_new_name *)(const void *)buf->data;
	size_t count = buf->len / sizeof(*names);
	enum qs_code rc = QS_OK;

	for (size_t i = 0; i < count && rc == QS_OK; i++) {
		sqlite3_stmt *stmt = index->stmt[names[i].is_drop ?
			QS_SQL_NAME_DROP : QS_SQL_NAME_ADD];

		qs_index_bind(stmt, 1, names[i].list);
		qs_index_bind_blob(stmt, 2, names[i].name.b,
			sizeof(names[i].name.b));
		rc = qs_db_run(&index->db, stmt, err);
	}
	return rc;
}

static enum qs_code
write_all(struct qs_index *index, const uint32_t *sorted, struct qs_err *err)
{
	enum qs_code rc = write_packs(index, err);

	if (rc == QS_OK)
		rc = write_chunks(index, sorted, err);
	if (rc == QS_OK)
		rc = write_dirs(index, err);
	if (rc == QS_OK)
		rc = write_facts(index, err);
	if (rc == QS_OK)
		rc = write_names(index, err);
	return rc;
}

/* The rows are on disk: forget them, but not the numbers handed out. */
static void
written(struct qs_index *index)
{
	uint32_t count;
	const struct qs_index_new_pack *packs = qs_index_new_packs(
		&index->rows, &count);

	for (uint32_t i = 0; i < count; i++) {
		struct qs_index_alias alias = {packs[i].number,
			packs[i].known};

		if (alias.to == 0 || alias.to == alias.from)
			continue;
		memcpy(index->aliases.data + index->aliases.len, &alias,
			sizeof(alias));
		index->aliases.len += sizeof(alias);
	}
	qs_index_rows_reset(&index->rows, index->limit);
}

enum qs_code
qs_index_flush(struct qs_index *index, qs_index_write_fn also, void *arg,
	struct qs_err *err)
{
	uint32_t *sorted = NULL;
	enum qs_code rc;

	if (also == NULL && qs_index_rows_size(&index->rows) == 0)
		return QS_OK;
	/* Before the transaction, which keeps others waiting. */
	rc = sort_chunks(&index->rows, &sorted, err);
	if (rc != QS_OK)
		return rc;
	rc = qs_index_begin(index, true, err);
	if (rc == QS_OK) {
		rc = write_all(index, sorted, err);
		if (rc == QS_OK && also != NULL)
			rc = also(index, arg, err);
		rc = qs_index_end(index, rc, err);
	}
	if (rc == QS_OK)
		written(index);
	free(sorted);
	return rc;
}

enum qs_code
qs_index_room(struct qs_index *index, size_t more, struct qs_err *err)
{
	size_t size = qs_index_rows_size(&index->rows);

	if (size == 0 || (size <= index->limit && more <= index->limit - size))
		return QS_OK;
	return qs_index_flush(index, NULL, NULL, err);
}
