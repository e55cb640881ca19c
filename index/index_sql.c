/* SPDX-License-Identifier: ISC */
/* The index's SQL, and what stands between SQLite and the rest of index/. */
#include <assert.h>
#include <errno.h>
#include <limits.h>

#include "index/index_internal.h"

/*
 * ON CONFLICT DO NOTHING and not OR IGNORE: only the named conflict is
 * expected, any other is damage.
 */
static const char *const sql[QS_SQL_STATEMENTS] = {
	[QS_SQL_BEGIN] = "BEGIN",
	[QS_SQL_BEGIN_WRITE] = "BEGIN IMMEDIATE",
	[QS_SQL_COMMIT] = "COMMIT",
	[QS_SQL_ROLLBACK] = "ROLLBACK",
	[QS_SQL_META_GET] = "SELECT value FROM meta WHERE key = ?1",
	[QS_SQL_META_PUT] = "UPDATE meta SET value = ?2 WHERE key = ?1",
	[QS_SQL_PACK_ADD] =
		"INSERT INTO packs VALUES (?1, ?2, ?3, ?4, ?5, ?6)"
		" ON CONFLICT (name) DO NOTHING",
	[QS_SQL_PACK_DIR_ADD] = "INSERT INTO pack_dirs VALUES (?1, ?2, ?3)",
	[QS_SQL_PACK_NUMBER] = "SELECT number FROM packs WHERE name = ?1",
	[QS_SQL_PACK_GET] =
		"SELECT number, name, size, epoch, salt, frames"
		" FROM packs JOIN pack_dirs USING (number) WHERE number = ?1",
	[QS_SQL_PACK_DIR_GET] =
		"SELECT size, frames, chunks"
		" FROM packs JOIN pack_dirs USING (number) WHERE number = ?1",
	[QS_SQL_PACKS_AFTER] =
		"SELECT number, name, size, epoch, salt FROM packs"
		" WHERE number > ?1 ORDER BY number LIMIT ?2",
	[QS_SQL_PACK_FEWER] =
		"UPDATE packs SET chunk_count = chunk_count - ?2"
		" WHERE number = ?1 AND chunk_count >= ?2",
	[QS_SQL_PACK_DROP] = "DELETE FROM packs WHERE number = ?1",
	[QS_SQL_PACK_DIR_DROP] = "DELETE FROM pack_dirs WHERE number = ?1",
	[QS_SQL_CHUNK_ANY] = "SELECT 1 FROM chunks LIMIT 1",
	[QS_SQL_CHUNK_GET] =
		"SELECT pack, frame, off, len FROM chunks WHERE id = ?1",
	[QS_SQL_CHUNK_ADD] =
		"INSERT INTO chunks VALUES (?1, ?2, ?3, ?4, ?5)"
		" ON CONFLICT (id) DO NOTHING",
	[QS_SQL_CHUNK_DROP] =
		"DELETE FROM chunks WHERE id = ?1 AND pack = ?2",
	[QS_SQL_SPARE_GET] =
		"SELECT pack, frame, off, len FROM spares"
		" WHERE id = ?1 AND pack > ?2 ORDER BY pack LIMIT 1",
	[QS_SQL_SPARE_ADD] =
		"INSERT INTO spares VALUES (?1, ?2, ?3, ?4, ?5)"
		" ON CONFLICT (id, pack) DO NOTHING",
	[QS_SQL_SPARE_DROP] =
		"DELETE FROM spares WHERE id = ?1 AND pack = ?2",
	[QS_SQL_SPARE_USE] =
		"INSERT INTO chunks SELECT id, pack, frame, off, len"
		" FROM spares WHERE id = ?1 ORDER BY pack LIMIT 1",
	[QS_SQL_SPARE_USED] =
		"DELETE FROM spares WHERE id = ?1 AND pack ="
		" (SELECT pack FROM chunks WHERE id = ?1)",
	[QS_SQL_COUNT_ALL] =
		"SELECT count(*), ifnull(sum(size), 0),"
		" ifnull(sum(chunk_count), 0) - (SELECT count(*) FROM spares)"
		" FROM packs",
	[QS_SQL_DIR_GET] =
		"SELECT row, EXISTS (SELECT 1 FROM runs"
		" WHERE runs.run = dirs.run AND generation ="
		" (SELECT value FROM meta WHERE meta.key = 'generation'))"
		" FROM dirs WHERE dirs.key = ?1",
	[QS_SQL_DIR_PUT] =
		"INSERT INTO dirs (key, run, row) VALUES (?1, ?2, ?3)"
		" ON CONFLICT (key) DO UPDATE"
		" SET run = excluded.run, row = excluded.row",
	[QS_SQL_RUN_ADD] =
		"INSERT INTO runs VALUES (?1, ?2)"
		" ON CONFLICT (run) DO NOTHING",
	[QS_SQL_RUNS_DROP] = "DELETE FROM runs WHERE generation <> ?1",
	[QS_SQL_FACT_GET] = "SELECT value FROM facts WHERE key = ?1",
	[QS_SQL_FACT_PUT] =
		"INSERT INTO facts VALUES (?1, ?2)"
		" ON CONFLICT (key) DO UPDATE SET value = excluded.value",
	[QS_SQL_NAME_ADD] =
		"INSERT INTO names VALUES (?1, ?2)"
		" ON CONFLICT (list, name) DO NOTHING",
	[QS_SQL_NAME_DROP] =
		"DELETE FROM names WHERE list = ?1 AND name = ?2",
	[QS_SQL_NAMES_AFTER] =
		"SELECT name FROM names WHERE list = ?1 AND name > ?2"
		" ORDER BY name LIMIT ?3",
};

enum qs_code
qs_index_prepare(struct qs_index *index, struct qs_err *err)
{
	return qs_db_prepare(&index->db, sql, QS_SQL_STATEMENTS, index->stmt,
		err);
}

void
qs_index_finalize(struct qs_index *index)
{
	for (size_t i = 0; i < QS_SQL_STATEMENTS; i++) {
		(void)sqlite3_finalize(index->stmt[i]);
		index->stmt[i] = NULL;
	}
}

/* ----------------------------------------------------- transactions */

enum qs_code
qs_index_begin(struct qs_index *index, bool is_write, struct qs_err *err)
{
	const bool is_at_once = is_write && index->is_impatient;
	enum qs_code rc;

	if (is_at_once)
		(void)sqlite3_busy_timeout(index->db.handle, 0);
	/*
	 * IMMEDIATE: a transaction that began reading cannot wait for its turn
	 * to write, SQLite fails it at once.
	 */
	rc = qs_db_run(&index->db, index->stmt[is_write ? QS_SQL_BEGIN_WRITE :
		QS_SQL_BEGIN], err);
	if (is_at_once)
		(void)sqlite3_busy_timeout(index->db.handle, QS_INDEX_BUSY_MS);
	return rc;
}

void
qs_index_set_patient(struct qs_index *index, bool is_patient)
{
	(void)pthread_mutex_lock(&index->lock);
	index->is_impatient = !is_patient;
	(void)pthread_mutex_unlock(&index->lock);
}

enum qs_code
qs_index_end(struct qs_index *index, enum qs_code code, struct qs_err *err)
{
	return qs_db_end(&index->db, index->stmt[QS_SQL_COMMIT],
		index->stmt[QS_SQL_ROLLBACK], code, err);
}

enum qs_code
qs_index_meta_get(struct qs_index *index, const char *counter, uint64_t max,
	uint64_t *out, struct qs_err *err)
{
	sqlite3_stmt *stmt = index->stmt[QS_SQL_META_GET];
	enum qs_code rc;
	bool is_row;

	(void)sqlite3_bind_text(stmt, 1, counter, -1, SQLITE_STATIC);
	rc = qs_db_step(&index->db, stmt, &is_row, err);
	if (rc != QS_OK)
		return rc;
	if (!is_row)
		return qs_db_damaged(&index->db, err);
	if (!qs_index_column(stmt, 0, max, out))
		rc = qs_db_damaged(&index->db, err);
	(void)sqlite3_reset(stmt);
	return rc;
}

enum qs_code
qs_index_take(struct qs_index *index, const char *counter, uint64_t count,
	uint64_t max, uint64_t *first, struct qs_err *err)
{
	sqlite3_stmt *stmt = index->stmt[QS_SQL_META_PUT];
	uint64_t next = 0;
	enum qs_code rc;

	/* 0 means "none" wherever these numbers are used. */
	rc = qs_index_meta_get(index, counter, max - count, &next, err);
	if (rc == QS_OK && next == 0)
		rc = qs_db_damaged(&index->db, err);
	if (rc != QS_OK)
		return rc;
	(void)sqlite3_bind_text(stmt, 1, counter, -1, SQLITE_STATIC);
	qs_index_bind(stmt, 2, next + count);
	rc = qs_db_run(&index->db, stmt, err);
	if (rc == QS_OK)
		*first = next;
	return rc;
}
