/* SPDX-License-Identifier: ISC */
/*
 * A database of ours, whatever is in it: connected warily, of one folder, and
 * set aside when it is damaged.  The index and the catalogue stand on this; it
 * needs no key.  To be used under the owner's lock, but for is_damaged.
 */
#ifndef QS_DB_INTERNAL_H
#define QS_DB_INTERNAL_H

#include <sqlite3.h>
#include <sys/types.h>

#include "base/base.h"
#include "crypto/crypto.h"

#define QS_INDEX_BUSY_MS 30000

struct qs_db {
	const char *what; /* "index", for sentences */
	char *path;
	dev_t dev; /* of the file that was opened */
	ino_t ino;
	_Atomic bool is_damaged; /* closing sets it aside */
	sqlite3 *handle;
};

/* ------------------------------------------------------------- db_open.c */

struct qs_db_kind {
	const char *what;
	uint32_t application_id;
	uint32_t version;
	int length_max; /* bytes of a value or a statement */
	const char *schema; /* sets application_id and user_version */
	const char *settings; /* after each connection */
	/* NULL: nothing.  After these; and in the schema's transaction. */
	enum qs_code (*connected)(struct qs_db *db, struct qs_err *err);
	enum qs_code (*made)(struct qs_db *db, struct qs_err *err);
};

/*
 * Open path (":memory:" too), made if need be.  QS_EINDEX: damaged, of another
 * version or another folder.  To be closed in every case.
 */
QS_MUST_CHECK enum qs_code qs_db_open(struct qs_db *db,
	const struct qs_db_kind *kind, const char *path,
	const uint8_t folder_id[static QS_FOLDER_ID_LEN],
	struct qs_err *err);
/* Statements are finalized before. */
void qs_db_close(struct qs_db *db);
bool qs_db_is_memory(const char *path);

/* ------------------------------------------------------------------ db.c */

/* From an SQLite result code, in words; QS_EINDEX: damaged. */
enum qs_code qs_db_fail(struct qs_db *db, int result, struct qs_err *err);
/* QS_EINDEX, and closing will set the file aside. */
enum qs_code qs_db_damaged(struct qs_db *db, struct qs_err *err);

QS_MUST_CHECK enum qs_code qs_db_prepare(struct qs_db *db,
	const char *const *texts, size_t count, sqlite3_stmt **out,
	struct qs_err *err);
/* Statements without values or rows. */
QS_MUST_CHECK enum qs_code qs_db_text(struct qs_db *db, const char *text,
	struct qs_err *err);
/* A statement of one row that is needed once; to be finalized. */
QS_MUST_CHECK enum qs_code qs_db_ask(struct qs_db *db, const char *text,
	sqlite3_stmt **out, struct qs_err *err);
QS_MUST_CHECK enum qs_code qs_db_ask_number(struct qs_db *db,
	const char *text, uint64_t *out, struct qs_err *err);
/* *is_row false: the statement has ended and is reset. */
QS_MUST_CHECK enum qs_code qs_db_step(struct qs_db *db, sqlite3_stmt *stmt,
	bool *is_row, struct qs_err *err);
/* A statement that gives no rows (or whose rows do not matter). */
QS_MUST_CHECK enum qs_code qs_db_run(struct qs_db *db, sqlite3_stmt *stmt,
	struct qs_err *err);
/* Commit if code is QS_OK, else roll back; what came of it. */
QS_MUST_CHECK enum qs_code qs_db_end(struct qs_db *db, sqlite3_stmt *commit,
	sqlite3_stmt *rollback, enum qs_code code, struct qs_err *err);

/*
 * Bind.  Neither can fail: blobs are borrowed until the statement is reset, and
 * a parameter that was not bound is NULL, which no column takes and no row has.
 */
void qs_index_bind(sqlite3_stmt *stmt, int at, uint64_t value);
void qs_index_bind_blob(sqlite3_stmt *stmt, int at, const void *data,
	size_t len);
/* Columns whose type or size is not what we write: false, NULL. */
bool qs_index_column(sqlite3_stmt *stmt, int at, uint64_t max,
	uint64_t *out);
bool qs_index_column32(sqlite3_stmt *stmt, int at, uint32_t max,
	uint32_t *out);
const uint8_t *qs_index_column_blob(sqlite3_stmt *stmt, int at, size_t len);
/* Any length, borrowed until the next step. */
bool qs_index_column_span(sqlite3_stmt *stmt, int at, struct qs_span *out);

#endif
