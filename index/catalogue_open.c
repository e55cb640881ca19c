/* SPDX-License-Identifier: ISC */
/* Opening a catalogue: its schema, whose it is, and a new one for a bad one. */
#include <stdio.h>
#include <stdlib.h>

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

/* Where its numbers begin: index.h says why there. */
static enum qs_code
put_first(struct qs_db *db, struct qs_err *err)
{
	char text[80];

	(void)snprintf(text, sizeof(text), "INSERT INTO sqlite_sequence "
		"VALUES ('items', %lld)", (long long)(qs_now_ns() / 1000000));
	return qs_db_text(db, text, err);
}

static const struct qs_db_kind kind = {
	.what = "catalogue",
	.application_id = APPLICATION_ID,
	.version = VERSION,
	.length_max = 1 << 20,
	.schema = schema,
	.settings = settings,
	.made = put_first,
};

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
	rc = qs_db_open(&catalogue->db, &kind, path, folder_id, err);
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
	atomic_store(&catalogue->db.is_damaged, false);
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
	if (catalogue == NULL)
		return;
	for (size_t i = 0; i < QS_CAT_STATEMENTS; i++)
		(void)sqlite3_finalize(catalogue->stmt[i]);
	qs_db_close(&catalogue->db);
	(void)pthread_mutex_destroy(&catalogue->lock);
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
		rc = qs_catalogue_end(catalogue, qs_db_text(&catalogue->db,
			"DELETE FROM items;"
			"UPDATE totals SET files = 0, bytes = 0;"
			"DELETE FROM facts WHERE key IN ('"
			QS_CATALOGUE_FILLED "', '" QS_FACT_LAST_SNAPSHOT "')",
			err), err);
	(void)pthread_mutex_unlock(&catalogue->lock);
	return rc;
}
