/* SPDX-License-Identifier: ISC */
/* A database of ours: connecting to it, making it, whose it is. */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "index/db_internal.h"
#include "index/index_internal.h"

bool
qs_db_is_memory(const char *path)
{
	return strcmp(path, ":memory:") == 0;
}

/*
 * Private from its first moment; SQLite gives the files beside it the same
 * mode.  O_EXCL: to open and close a file that this process has open already
 * would release SQLite's locks on it.
 */
static enum qs_code
make_private(const struct qs_db *db, struct qs_err *err)
{
	int fd = open(db->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0 && errno != EEXIST)
		return qs_fail_errno(err, "create %s %s", db->what, db->path);
	qs_fd_close(&fd);
	return QS_OK;
}

/* A forged file must neither run code of its own nor take memory. */
static void
harden(sqlite3 *handle, int length_max)
{
	(void)sqlite3_limit(handle, SQLITE_LIMIT_LENGTH, length_max);
	(void)sqlite3_db_config(handle, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	(void)sqlite3_db_config(handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0,
		NULL);
	(void)sqlite3_db_config(handle, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0,
		NULL);
	(void)sqlite3_db_config(handle, SQLITE_DBCONFIG_ENABLE_VIEW, 0, NULL);
}

static enum qs_code
connect_db(struct qs_db *db, const struct qs_db_kind *kind, struct qs_err *err)
{
	enum qs_code rc = QS_OK;
	struct stat st;
	int result;

	if (!qs_db_is_memory(db->path))
		rc = make_private(db, err);
	if (rc != QS_OK)
		return rc;
	/* The owner's lock is around every use. */
	result = sqlite3_open_v2(db->path, &db->handle, SQLITE_OPEN_READWRITE |
		SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
	if (db->handle == NULL)
		return qs_fail(err, QS_ENOMEM, "out of memory while opening "
			"the %s", db->what);
	if (result != SQLITE_OK)
		return qs_db_fail(db, result, err);
	if (stat(db->path, &st) == 0) { /* :memory: has none */
		db->dev = st.st_dev;
		db->ino = st.st_ino;
	}
	(void)sqlite3_extended_result_codes(db->handle, 1);
	(void)sqlite3_busy_timeout(db->handle, QS_INDEX_BUSY_MS);
	harden(db->handle, kind->length_max);
	rc = qs_db_text(db, kind->settings, err);
	if (rc == QS_OK && kind->connected != NULL)
		rc = kind->connected(db, err);
	return rc;
}

/* ------------------------------------------------------------- schema */

static enum qs_code
put_folder(struct qs_db *db, const uint8_t *folder_id, struct qs_err *err)
{
	sqlite3_stmt *stmt = NULL;
	int result = sqlite3_prepare_v2(db->handle,
		"INSERT INTO meta VALUES ('folder', ?1)", -1, &stmt, NULL);
	enum qs_code rc;

	if (result != SQLITE_OK)
		return qs_db_fail(db, result, err);
	qs_index_bind_blob(stmt, 1, folder_id, QS_FOLDER_ID_LEN);
	rc = qs_db_run(db, stmt, err);
	(void)sqlite3_finalize(stmt);
	return rc;
}

/* In a transaction, in which another process may have come first. */
static enum qs_code
create_if_empty(struct qs_db *db, const struct qs_db_kind *kind,
	const uint8_t *folder_id, struct qs_err *err)
{
	uint64_t tables = 0;
	enum qs_code rc = qs_db_text(db, "BEGIN IMMEDIATE", err);

	if (rc != QS_OK)
		return rc;
	rc = qs_db_ask_number(db, "SELECT count(*) FROM sqlite_schema",
		&tables, err);
	if (rc == QS_OK && tables == 0) {
		rc = qs_db_text(db, kind->schema, err);
		if (rc == QS_OK)
			rc = put_folder(db, folder_id, err);
		if (rc == QS_OK && kind->made != NULL)
			rc = kind->made(db, err);
	}
	if (rc == QS_OK)
		rc = qs_db_text(db, "COMMIT", err);
	if (rc != QS_OK && !sqlite3_get_autocommit(db->handle))
		(void)sqlite3_exec(db->handle, "ROLLBACK", NULL, NULL, NULL);
	return rc;
}

static enum qs_code
check_owner(struct qs_db *db, const struct qs_db_kind *kind,
	const uint8_t *folder_id, struct qs_err *err)
{
	sqlite3_stmt *stmt = NULL;
	uint64_t id = 0, version = 0;
	const uint8_t *folder;
	enum qs_code rc = qs_db_ask_number(db, "PRAGMA application_id", &id,
		err);

	if (rc == QS_OK && id == 0) {
		rc = create_if_empty(db, kind, folder_id, err);
		if (rc == QS_OK)
			rc = qs_db_ask_number(db, "PRAGMA application_id",
				&id, err);
	}
	if (rc == QS_OK)
		rc = qs_db_ask_number(db, "PRAGMA user_version", &version,
			err);
	if (rc == QS_OK && (id != kind->application_id ||
		version != kind->version))
		rc = qs_fail(err, QS_EINDEX, "%s %s is not of this version of "
			"qstore", db->what, db->path);
	if (rc == QS_OK)
		rc = qs_db_ask(db, "SELECT value FROM meta WHERE "
			"key = 'folder'", &stmt, err);
	if (rc != QS_OK)
		return rc;
	folder = qs_index_column_blob(stmt, 0, QS_FOLDER_ID_LEN);
	if (folder == NULL || memcmp(folder, folder_id, QS_FOLDER_ID_LEN) != 0)
		rc = qs_fail(err, QS_EINDEX, "%s %s is of another folder",
			db->what, db->path);
	(void)sqlite3_finalize(stmt);
	return rc;
}

enum qs_code
qs_db_open(struct qs_db *db, const struct qs_db_kind *kind, const char *path,
	const uint8_t folder_id[static QS_FOLDER_ID_LEN], struct qs_err *err)
{
	enum qs_code rc;

	db->what = kind->what;
	db->path = strdup(path);
	if (db->path == NULL)
		return qs_fail(err, QS_ENOMEM, "out of memory while opening "
			"the %s", db->what);
	rc = connect_db(db, kind, err);
	return rc != QS_OK ? rc : check_owner(db, kind, folder_id, err);
}

void
qs_db_close(struct qs_db *db)
{
	struct qs_err ignored;

	(void)sqlite3_close(db->handle);
	/* Failing that, the next one finds the damage again. */
	if (atomic_load(&db->is_damaged) && !qs_db_is_memory(db->path))
		(void)!qs_index_set_this_aside(db->path, db->dev, db->ino,
			&ignored);
	free(db->path);
}
