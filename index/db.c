/* SPDX-License-Identifier: ISC */
/* A database of ours: its failures in words, and its statements. */
#include <assert.h>
#include <errno.h>
#include <stdatomic.h>

#include "index/db_internal.h"

enum qs_code
qs_db_damaged(struct qs_db *db, struct qs_err *err)
{
	atomic_store(&db->is_damaged, true);
	return qs_fail(err, QS_EINDEX, "%s %s is damaged: it is set aside and "
		"made anew from the store", db->what, db->path);
}

/* SQLite tells "disk full" apart by ENOSPC of write alone; we by errno. */
static enum qs_code
fail_io(const struct qs_db *db, int result, struct qs_err *err)
{
	const char *what = db->what, *path = db->path;
	int sys = sqlite3_system_errno(db->handle);

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
qs_db_fail(struct qs_db *db, int result, struct qs_err *err)
{
	const char *what = db->what, *path = db->path;

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
		return fail_io(db, result, err);
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
		return qs_db_damaged(db, err);
	default:
		return qs_fail(err, QS_EIO, "%s %s: %s", what, path,
			sqlite3_errstr(result));
	}
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
qs_db_step(struct qs_db *db, sqlite3_stmt *stmt, bool *is_row,
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
	result = sqlite3_extended_errcode(db->handle);
	(void)qs_db_fail(db, result, err);
	(void)sqlite3_reset(stmt);
	return err->code;
}

enum qs_code
qs_db_run(struct qs_db *db, sqlite3_stmt *stmt, struct qs_err *err)
{
	bool is_row = false;
	enum qs_code rc = qs_db_step(db, stmt, &is_row, err);

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

enum qs_code
qs_db_prepare(struct qs_db *db, const char *const *texts, size_t count,
	sqlite3_stmt **out, struct qs_err *err)
{
	for (size_t i = 0; i < count; i++) {
		int result = sqlite3_prepare_v3(db->handle, texts[i], -1,
			SQLITE_PREPARE_PERSISTENT, &out[i], NULL);

		if (result != SQLITE_OK)
			return qs_db_fail(db, result, err);
	}
	return QS_OK;
}

enum qs_code
qs_db_text(struct qs_db *db, const char *text, struct qs_err *err)
{
	int result = sqlite3_exec(db->handle, text, NULL, NULL, NULL);

	if (result == SQLITE_OK)
		return QS_OK;
	return qs_db_fail(db, sqlite3_extended_errcode(db->handle), err);
}

enum qs_code
qs_db_ask(struct qs_db *db, const char *text, sqlite3_stmt **out,
	struct qs_err *err)
{
	sqlite3_stmt *stmt = NULL;
	int result = sqlite3_prepare_v2(db->handle, text, -1, &stmt, NULL);

	if (result == SQLITE_OK)
		result = sqlite3_step(stmt);
	if (result == SQLITE_ROW) {
		*out = stmt;
		return QS_OK;
	}
	if (result == SQLITE_DONE)
		(void)qs_db_damaged(db, err);
	else
		(void)qs_db_fail(db, sqlite3_extended_errcode(db->handle),
			err);
	(void)sqlite3_finalize(stmt);
	return err->code;
}

enum qs_code
qs_db_ask_number(struct qs_db *db, const char *text, uint64_t *out,
	struct qs_err *err)
{
	sqlite3_stmt *stmt = NULL;
	enum qs_code rc = qs_db_ask(db, text, &stmt, err);

	if (rc == QS_OK && !qs_index_column(stmt, 0, INT64_MAX, out))
		rc = qs_db_damaged(db, err);
	(void)sqlite3_finalize(stmt);
	return rc;
}

enum qs_code
qs_db_end(struct qs_db *db, sqlite3_stmt *commit, sqlite3_stmt *rollback,
	enum qs_code code, struct qs_err *err)
{
	enum qs_code rc = code == QS_OK ? qs_db_run(db, commit, err) : code;

	/* After some failures SQLite has rolled back already. */
	if (rc != QS_OK && !sqlite3_get_autocommit(db->handle)) {
		(void)sqlite3_step(rollback);
		(void)sqlite3_reset(rollback);
	}
	return rc;
}
