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
	for (size_t i = 0; i < QS_SQL_STATEMENTS; i++) {
		int result = sqlite3_prepare_v3(index->db, sql[i], -1,
			SQLITE_PREPARE_PERSISTENT, &index->stmt[i], NULL);

		if (result != SQLITE_OK)
			return qs_index_fail(index, result, err);
	}
	return QS_OK;
}

void
qs_index_finalize(struct qs_index *index)
{
	for (size_t i = 0; i < QS_SQL_STATEMENTS; i++) {
		(void)sqlite3_finalize(index->stmt[i]);
		index->stmt[i] = NULL;
	}
}

enum qs_code
qs_sqlite_damaged(const char *what, const char *path, struct qs_err *err)
{
	return qs_fail(err, QS_EINDEX, "%s %s is damaged: it is set aside and "
		"made anew from the store", what, path);
}

enum qs_code
qs_index_damaged(struct qs_index *index, struct qs_err *err)
{
	atomic_store(&index->is_damaged, true);
	return qs_sqlite_damaged("index", index->path, err);
}

/* SQLite tells "disk full" apart by ENOSPC of write alone; we by errno. */
static enum qs_code
fail_io(sqlite3 *db, const char *what, const char *path, int result,
	struct qs_err *err)
{
	int sys = sqlite3_system_errno(db);

	if (result == SQLITE_IOERR_NOMEM)
		return qs_fail(err, QS_ENOMEM, "out of memory while using the "
			"%s", what);
	if (sys == 0)
		return qs_fail(err, QS_EIO, "%s %s: %s", what, path,
			sqlite3_errstr(result));
	errno = sys;
	return qs_fail_errno(err, "%s %s", what, path);
}

enum qs_code
qs_sqlite_fail(sqlite3 *db, const char *what, const char *path, int result,
	struct qs_err *err)
{
	switch (result & 0xff) {
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return qs_fail(err, QS_EBUSY, "%s %s is in use by another "
			"qstore process", what, path);
	case SQLITE_NOMEM:
		return qs_fail(err, QS_ENOMEM, "out of memory while using the "
			"%s", what);
	case SQLITE_FULL:
		return qs_fail(err, QS_ENOSPC, "%s %s: no space left on "
			"its disk", what, path);
	case SQLITE_IOERR:
	case SQLITE_CANTOPEN:
		return fail_io(db, what, path, result, err);
	/*
	 * The statements are right: tables or values that do not suit them are
	 * not ours.
	 */
	case SQLITE_ERROR:
	case SQLITE_SCHEMA:
	case SQLITE_CONSTRAINT:
	case SQLITE_MISMATCH:
	case SQLITE_TOOBIG:
	case SQLITE_FORMAT:
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return qs_sqlite_damaged(what, path, err);
	default:
		return qs_fail(err, QS_EIO, "%s %s: %s", what, path,
			sqlite3_errstr(result));
	}
}

enum qs_code
qs_index_fail(struct qs_index *index, int result, struct qs_err *err)
{
	enum qs_code rc = qs_sqlite_fail(index->db, "index", index->path,
		result, err);

	if (rc == QS_EINDEX)
		atomic_store(&index->is_damaged, true);
	return rc;
}

/* ------------------------------------------------------- statements */

void
qs_index_bind(sqlite3_stmt *stmt, int at, uint64_t value)
{
	assert(value <= INT64_MAX);
	(void)sqlite3_bind_int64(stmt, at, (sqlite3_int64)value);
}

void
qs_index_bind_blob(sqlite3_stmt *stmt, int at, const void *data, size_t len)
{
	/* A NULL pointer would be bound as NULL and not as an empty blob. */
	(void)sqlite3_bind_blob64(stmt, at, data == NULL ? "" : data, len,
		SQLITE_STATIC);
}

enum qs_code
qs_index_step(struct qs_index *index, sqlite3_stmt *stmt, bool *is_row,
	struct qs_err *err)
{
	int result = sqlite3_step(stmt);

	if (result == SQLITE_ROW) {
		*is_row = true;
		return QS_OK;
	}
	if (result == SQLITE_DONE) {
		(void)sqlite3_reset(stmt);
		*is_row = false;
		return QS_OK;
	}
	/* The reset may run I/O of its own and change what errno is kept. */
	result = sqlite3_extended_errcode(index->db);
	(void)qs_index_fail(index, result, err);
	(void)sqlite3_reset(stmt);
	return err->code;
}

enum qs_code
qs_index_run(struct qs_index *index, sqlite3_stmt *stmt, struct qs_err *err)
{
	bool is_row = false;
	enum qs_code rc = qs_index_step(index, stmt, &is_row, err);

	if (is_row)
		(void)sqlite3_reset(stmt);
	return rc;
}

bool
qs_index_column(sqlite3_stmt *stmt, int at, uint64_t max, uint64_t *out)
{
	sqlite3_int64 value;

	if (sqlite3_column_type(stmt, at) != SQLITE_INTEGER)
		return false;
	value = sqlite3_column_int64(stmt, at);
	if (value < 0 || (uint64_t)value > max)
		return false;
	*out = (uint64_t)value;
	return true;
}

bool
qs_index_column32(sqlite3_stmt *stmt, int at, uint32_t max, uint32_t *out)
{
	uint64_t value;

	if (!qs_index_column(stmt, at, max, &value))
		return false;
	*out = (uint32_t)value;
	return true;
}

bool
qs_index_column_span(sqlite3_stmt *stmt, int at, struct qs_span *out)
{
	const void *data;
	int len;

	if (sqlite3_column_type(stmt, at) != SQLITE_BLOB)
		return false;
	data = sqlite3_column_blob(stmt, at);
	len = sqlite3_column_bytes(stmt, at);
	if (len < 0 || (data == NULL && len != 0))
		return false;
	*out = qs_span(data, (size_t)len);
	return true;
}

const uint8_t *
qs_index_column_blob(sqlite3_stmt *stmt, int at, size_t len)
{
	struct qs_span span;

	if (!qs_index_column_span(stmt, at, &span) || span.len != len)
		return NULL;
	return span.data;
}

/* ----------------------------------------------------- transactions */

enum qs_code
qs_index_begin(struct qs_index *index, bool is_write, struct qs_err *err)
{
	const bool is_at_once = is_write && index->is_impatient;
	enum qs_code rc;

	if (is_at_once)
		(void)sqlite3_busy_timeout(index->db, 0);
	/*
	 * IMMEDIATE: a transaction that began reading cannot wait for its turn
	 * to write, SQLite fails it at once.
	 */
	rc = qs_index_run(index, index->stmt[is_write ? QS_SQL_BEGIN_WRITE :
		QS_SQL_BEGIN], err);
	if (is_at_once)
		(void)sqlite3_busy_timeout(index->db, QS_INDEX_BUSY_MS);
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
	sqlite3_stmt *rollback = index->stmt[QS_SQL_ROLLBACK];
	enum qs_code rc = code;

	if (rc == QS_OK)
		rc = qs_index_run(index, index->stmt[QS_SQL_COMMIT], err);
	/* After some failures SQLite has rolled back already. */
	if (rc != QS_OK && !sqlite3_get_autocommit(index->db)) {
		(void)sqlite3_step(rollback);
		(void)sqlite3_reset(rollback);
	}
	return rc;
}

enum qs_code
qs_index_meta_get(struct qs_index *index, const char *counter, uint64_t max,
	uint64_t *out, struct qs_err *err)
{
	sqlite3_stmt *stmt = index->stmt[QS_SQL_META_GET];
	enum qs_code rc;
	bool is_row;

	(void)sqlite3_bind_text(stmt, 1, counter, -1, SQLITE_STATIC);
	rc = qs_index_step(index, stmt, &is_row, err);
	if (rc != QS_OK)
		return rc;
	if (!is_row)
		return qs_index_damaged(index, err);
	if (!qs_index_column(stmt, 0, max, out))
		rc = qs_index_damaged(index, err);
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
		rc = qs_index_damaged(index, err);
	if (rc != QS_OK)
		return rc;
	(void)sqlite3_bind_text(stmt, 1, counter, -1, SQLITE_STATIC);
	qs_index_bind(stmt, 2, next + count);
	rc = qs_index_run(index, stmt, err);
	if (rc == QS_OK)
		*first = next;
	return rc;
}
