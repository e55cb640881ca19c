/* SPDX-License-Identifier: ISC */
/* Opening a catalogue: its schema, whose it is, and a new one for a bad one. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "index/catalogue_internal.h"

#define APPLICATION_ID 0x51534341 /* "QSCA" */
#define VERSION 1

#define TEXT_OF_(x) #x
#define TEXT_OF(x) TEXT_OF_(x)

/*
 * AUTOINCREMENT: the number of a row that is gone is not given again, so that
 * who has asked for all up to a number never misses one.
 */
static const char schema[] =
	"PRAGMA application_id = " TEXT_OF(APPLICATION_ID) ";"
	"PRAGMA user_version = " TEXT_OF(VERSION) ";"
	"CREATE TABLE meta ("
	" key TEXT NOT NULL PRIMARY KEY, value NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE items ("
	" number INTEGER PRIMARY KEY AUTOINCREMENT,"
	" key BLOB NOT NULL UNIQUE, size INTEGER NOT NULL,"
	" arrived INTEGER NOT NULL, xxh3 INTEGER, state INTEGER NOT NULL,"
	" state_ms INTEGER NOT NULL, record_type INTEGER NOT NULL);"
	"CREATE TABLE totals ("
	" area INTEGER NOT NULL, state INTEGER NOT NULL,"
	" files INTEGER NOT NULL, bytes INTEGER NOT NULL,"
	" PRIMARY KEY (area, state)) WITHOUT ROWID;"
	"CREATE TABLE facts ("
	" key TEXT NOT NULL PRIMARY KEY, value INTEGER NOT NULL)"
	" WITHOUT ROWID;"
	"INSERT INTO totals VALUES (1,0,0,0), (1,1,0,0), (1,2,0,0), (1,3,0,0),"
	" (2,0,0,0), (2,1,0,0), (2,2,0,0), (2,3,0,0),"
	" (3,0,0,0), (3,1,0,0), (3,2,0,0), (3,3,0,0);";

/*
 * synchronous FULL, although the files are the truth: a number that was told to
 * somebody must not be given to another file after a power cut, or he would
 * never ask for that one.  It costs one fsync more than those of the files.
 */
static const char settings[] =
	"PRAGMA cell_size_check = ON;"
	"PRAGMA cache_size = -4096;"
	"PRAGMA mmap_size = 0;"
	"PRAGMA temp_store = MEMORY;"
	"PRAGMA journal_mode = WAL;"
	"PRAGMA synchronous = FULL;"
	"PRAGMA journal_size_limit = 4194304;";

static enum qs_code
run_text(struct qs_catalogue *catalogue, const char *text, struct qs_err *err)
{
	int result = sqlite3_exec(catalogue->db, text, NULL, NULL, NULL);

	if (result == SQLITE_OK)
		return QS_OK;
	return qs_catalogue_fail(catalogue,
		sqlite3_extended_errcode(catalogue->db), err);
}

/* A statement of one row that is needed once. */
static enum qs_code
ask(struct qs_catalogue *catalogue, const char *text, sqlite3_stmt **out,
	struct qs_err *err)
{
	sqlite3_stmt *stmt = NULL;
	int result = sqlite3_prepare_v2(catalogue->db, text, -1, &stmt, NULL);

	if (result == SQLITE_OK)
		result = sqlite3_step(stmt);
	if (result == SQLITE_ROW) {
		*out = stmt;
		return QS_OK;
	}
	if (result == SQLITE_DONE)
		(void)qs_catalogue_damaged(catalogue, err);
	else
		(void)qs_catalogue_fail(catalogue,
			sqlite3_extended_errcode(catalogue->db), err);
	(void)sqlite3_finalize(stmt);
	return err->code;
}

static enum qs_code
ask_number(struct qs_catalogue *catalogue, const char *text, uint64_t *out,
	struct qs_err *err)
{
	sqlite3_stmt *stmt = NULL;
	enum qs_code rc = ask(catalogue, text, &stmt, err);

	if (rc == QS_OK && !qs_index_column(stmt, 0, INT64_MAX, out))
		rc = qs_catalogue_damaged(catalogue, err);
	(void)sqlite3_finalize(stmt);
	return rc;
}

/* --------------------------------------------------------- connection */

/*
 * Private from its first moment; SQLite gives the files beside it the same
 * mode.  O_EXCL: to open and close a file that this process has open already
 * would release SQLite's locks on it.
 */
static enum qs_code
make_private(const char *path, struct qs_err *err)
{
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0 && errno != EEXIST)
		return qs_fail_errno(err, "create catalogue %s", path);
	qs_fd_close(&fd);
	return QS_OK;
}

static enum qs_code
connect_db(struct qs_catalogue *catalogue, struct qs_err *err)
{
	enum qs_code rc = make_private(catalogue->path, err);
	struct stat st;
	int result;

	if (rc != QS_OK)
		return rc;
	/* Our own lock is around every use. */
	result = sqlite3_open_v2(catalogue->path, &catalogue->db,
		SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
	if (catalogue->db == NULL)
		return qs_fail_nomem(err, "opening the catalogue");
	if (result != SQLITE_OK)
		return qs_catalogue_fail(catalogue, result, err);
	if (stat(catalogue->path, &st) == 0) {
		catalogue->dev = st.st_dev;
		catalogue->ino = st.st_ino;
	}
	(void)sqlite3_extended_result_codes(catalogue->db, 1);
	(void)sqlite3_busy_timeout(catalogue->db, QS_INDEX_BUSY_MS);
	/* A forged file must neither run code of its own nor take memory. */
	(void)sqlite3_limit(catalogue->db, SQLITE_LIMIT_LENGTH, 1 << 20);
	(void)sqlite3_db_config(catalogue->db, SQLITE_DBCONFIG_DEFENSIVE, 1,
		NULL);
	(void)sqlite3_db_config(catalogue->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA,
		0, NULL);
	(void)sqlite3_db_config(catalogue->db, SQLITE_DBCONFIG_ENABLE_TRIGGER,
		0, NULL);
	(void)sqlite3_db_config(catalogue->db, SQLITE_DBCONFIG_ENABLE_VIEW, 0,
		NULL);
	return run_text(catalogue, settings, err);
}

/* ------------------------------------------------------------- schema */

/* Whose it is, and where its numbers begin: index.h says why there. */
static enum qs_code
put_first(struct qs_catalogue *catalogue, const uint8_t *folder_id,
	struct qs_err *err)
{
	static const char *const texts[] = {
		"INSERT INTO meta VALUES ('folder', ?1)",
		"INSERT INTO sqlite_sequence VALUES ('items', ?1)",
	};
	enum qs_code rc = QS_OK;

	for (size_t i = 0; i < 2 && rc == QS_OK; i++) {
		sqlite3_stmt *stmt = NULL;
		int result = sqlite3_prepare_v2(catalogue->db, texts[i], -1,
			&stmt, NULL);

		if (result != SQLITE_OK)
			return qs_catalogue_fail(catalogue, result, err);
		if (i == 0)
			qs_index_bind_blob(stmt, 1, folder_id,
				QS_FOLDER_ID_LEN);
		else
			qs_index_bind(stmt, 1, (uint64_t)(qs_now_ns() /
				1000000));
		rc = qs_catalogue_run(catalogue, stmt, err);
		(void)sqlite3_finalize(stmt);
	}
	return rc;
}

/* In a transaction, in which another process may have come first. */
static enum qs_code
create_if_empty(struct qs_catalogue *catalogue, const uint8_t *folder_id,
	struct qs_err *err)
{
	uint64_t tables = 0;
	enum qs_code rc = run_text(catalogue, "BEGIN IMMEDIATE", err);

	if (rc != QS_OK)
		return rc;
	rc = ask_number(catalogue, "SELECT count(*) FROM sqlite_schema",
		&tables, err);
	if (rc == QS_OK && tables == 0) {
		rc = run_text(catalogue, schema, err);
		if (rc == QS_OK)
			rc = put_first(catalogue, folder_id, err);
	}
	if (rc == QS_OK)
		rc = run_text(catalogue, "COMMIT", err);
	if (rc != QS_OK && !sqlite3_get_autocommit(catalogue->db))
		(void)sqlite3_exec(catalogue->db, "ROLLBACK", NULL, NULL,
			NULL);
	return rc;
}

static enum qs_code
check_owner(struct qs_catalogue *catalogue, const uint8_t *folder_id,
	struct qs_err *err)
{
	sqlite3_stmt *stmt = NULL;
	uint64_t id = 0, version = 0;
	const uint8_t *folder;
	enum qs_code rc = ask_number(catalogue, "PRAGMA application_id", &id,
		err);

	if (rc == QS_OK && id == 0) {
		rc = create_if_empty(catalogue, folder_id, err);
		if (rc == QS_OK)
			rc = ask_number(catalogue, "PRAGMA application_id",
				&id, err);
	}
	if (rc == QS_OK)
		rc = ask_number(catalogue, "PRAGMA user_version", &version,
			err);
	if (rc == QS_OK && (id != APPLICATION_ID || version != VERSION))
		rc = qs_fail(err, QS_EINDEX, "catalogue %s is not of this "
			"version of qstore", catalogue->path);
	if (rc == QS_OK)
		rc = ask(catalogue, "SELECT value FROM meta WHERE "
			"key = 'folder'", &stmt, err);
	if (rc != QS_OK)
		return rc;
	folder = qs_index_column_blob(stmt, 0, QS_FOLDER_ID_LEN);
	if (folder == NULL || memcmp(folder, folder_id, QS_FOLDER_ID_LEN) != 0)
		rc = qs_fail(err, QS_EINDEX, "catalogue %s is of another "
			"folder", catalogue->path);
	(void)sqlite3_finalize(stmt);
	return rc;
}

static enum qs_code
open_once(const char *path, const uint8_t *folder_id,
	struct qs_catalogue **out, bool *is_new, struct qs_err *err)
{
	struct qs_catalogue *catalogue = calloc(1, sizeof(*catalogue));
	bool is_filled = false;
	uint64_t value;
	enum qs_code rc;

	if (catalogue == NULL)
		return qs_fail_nomem(err, "opening the catalogue");
	(void)pthread_mutex_init(&catalogue->lock, NULL);
	catalogue->path = strdup(path);
	if (catalogue->path == NULL)
		rc = qs_fail_nomem(err, "opening the catalogue");
	else
		rc = connect_db(catalogue, err);
	if (rc == QS_OK)
		rc = check_owner(catalogue, folder_id, err);
	if (rc == QS_OK)
		rc = qs_catalogue_prepare(catalogue, err);
	if (rc == QS_OK)
		rc = qs_catalogue_fact_get(catalogue, QS_CATALOGUE_FILLED,
			&value, &is_filled, err);
	if (rc == QS_OK) {
		*is_new = !is_filled;
		*out = catalogue;
		return QS_OK;
	}
	/* Whoever opens it holds the lock, and sets it aside. */
	atomic_store(&catalogue->is_damaged, false);
	qs_catalogue_close(catalogue);
	return rc;
}

enum qs_code
qs_catalogue_open(const char *dir,
	const uint8_t folder_id[static QS_FOLDER_ID_LEN],
	struct qs_catalogue **out, bool *is_new, struct qs_err *err)
{
	char *path = NULL;
	int lock_fd = -1;
	enum qs_code rc;

	if (asprintf(&path, "%s/catalogue.sqlite", dir) < 0)
		return qs_fail_nomem(err, "opening the catalogue");
	rc = qs_dir_make(dir, 0700, err);
	if (rc == QS_OK)
		rc = qs_index_lock_folder(path, &lock_fd, err);
	if (rc == QS_OK)
		rc = open_once(path, folder_id, out, is_new, err);
	if (rc == QS_EINDEX) {
		rc = qs_index_set_aside(path, err);
		if (rc == QS_OK)
			rc = open_once(path, folder_id, out, is_new, err);
	}
	qs_fd_close(&lock_fd);
	free(path);
	return rc;
}

void
qs_catalogue_close(struct qs_catalogue *catalogue)
{
	struct qs_err ignored;

	if (catalogue == NULL)
		return;
	for (size_t i = 0; i < QS_CAT_STATEMENTS; i++)
		(void)sqlite3_finalize(catalogue->stmt[i]);
	(void)sqlite3_close(catalogue->db);
	/* Failing that, the next one finds the damage again. */
	if (atomic_load(&catalogue->is_damaged))
		(void)!qs_index_set_this_aside(catalogue->path, catalogue->dev,
			catalogue->ino, &ignored);
	(void)pthread_mutex_destroy(&catalogue->lock);
	free(catalogue->path);
	free(catalogue);
}

/* ---------------------------------------------------------------- anew */

enum qs_code
qs_catalogue_clear(struct qs_catalogue *catalogue, struct qs_err *err)
{
	enum qs_code rc;

	(void)pthread_mutex_lock(&catalogue->lock);
	rc = qs_catalogue_begin(catalogue, err);
	if (rc == QS_OK)
		rc = qs_catalogue_end(catalogue, run_text(catalogue,
			"DELETE FROM items;"
			"UPDATE totals SET files = 0, bytes = 0;"
			"DELETE FROM facts WHERE key IN ('"
			QS_CATALOGUE_FILLED "', '" QS_FACT_LAST_SNAPSHOT "')",
			err), err);
	(void)pthread_mutex_unlock(&catalogue->lock);
	return rc;
}
