/* SPDX-License-Identifier: ISC */
/* Opening an index: its schema, whose it is, and a new one for a bad one. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "index/index_internal.h"

#define APPLICATION_ID 0x51534958 /* "QSIX" */
#define VERSION 1

#define TEXT_OF_(x) #x
#define TEXT_OF(x) TEXT_OF_(x)

/*
 * chunks has no index by pack, which would double the cost of adding one:
 * pack_dirs holds each pack's entries as they are in the pack, and a pack is
 * forgotten by their ids.  spares: further copies of chunks.  packs is apart
 * from pack_dirs so that going through it does not touch the large blobs.  dirs
 * keeps its rowid since rows of a kilobyte and more would leave its key tree
 * no fan-out.
 */
static const char schema[] =
	"PRAGMA application_id = " TEXT_OF(APPLICATION_ID) ";"
	"PRAGMA user_version = " TEXT_OF(VERSION) ";"
	"CREATE TABLE meta ("
	" key TEXT NOT NULL PRIMARY KEY, value NOT NULL) WITHOUT ROWID;"
	"INSERT INTO meta VALUES ('" QS_META_GENERATION "', 1),"
	" ('" QS_META_NEXT_PACK "', 1), ('" QS_META_NEXT_RUN "', 1);"
	"CREATE TABLE packs ("
	" number INTEGER PRIMARY KEY, name BLOB NOT NULL UNIQUE,"
	" size INTEGER NOT NULL, epoch INTEGER NOT NULL, salt BLOB NOT NULL,"
	" chunk_count INTEGER NOT NULL);"
	"CREATE TABLE pack_dirs ("
	" number INTEGER PRIMARY KEY, frames BLOB NOT NULL,"
	" chunks BLOB NOT NULL);"
	"CREATE TABLE chunks ("
	" id BLOB NOT NULL PRIMARY KEY, pack INTEGER NOT NULL,"
	" frame INTEGER NOT NULL, off INTEGER NOT NULL,"
	" len INTEGER NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE spares ("
	" id BLOB NOT NULL, pack INTEGER NOT NULL,"
	" frame INTEGER NOT NULL, off INTEGER NOT NULL,"
	" len INTEGER NOT NULL, PRIMARY KEY (id, pack)) WITHOUT ROWID;"
	"CREATE TABLE dirs ("
	" key BLOB NOT NULL UNIQUE, run INTEGER NOT NULL,"
	" row BLOB NOT NULL);"
	"CREATE TABLE runs ("
	" run INTEGER PRIMARY KEY, generation INTEGER NOT NULL);"
	"CREATE TABLE names ("
	" list INTEGER NOT NULL, name BLOB NOT NULL,"
	" PRIMARY KEY (list, name)) WITHOUT ROWID;"
	"CREATE TABLE facts ("
	" key BLOB NOT NULL PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;";

static const char settings[] =
	"PRAGMA cell_size_check = ON;"
	"PRAGMA cache_size = -8192;"
	"PRAGMA mmap_size = 0;"
	"PRAGMA temp_store = MEMORY;"
	"PRAGMA journal_size_limit = 33554432;";

/* ------------------------------------------------------- connection */

static enum qs_code
run_text(struct qs_index *index, const char *text, struct qs_err *err)
{
	int result = sqlite3_exec(index->db, text, NULL, NULL, NULL);

	if (result == SQLITE_OK)
		return QS_OK;
	return qs_index_fail(index, sqlite3_extended_errcode(index->db), err);
}

/* A statement of one row that is needed once. */
static enum qs_code
ask(struct qs_index *index, const char *text, sqlite3_stmt **out,
	struct qs_err *err)
{
	sqlite3_stmt *stmt = NULL;
	int result = sqlite3_prepare_v2(index->db, text, -1, &stmt, NULL);

	if (result == SQLITE_OK)
		result = sqlite3_step(stmt);
	if (result == SQLITE_ROW) {
		*out = stmt;
		return QS_OK;
	}
	if (result == SQLITE_DONE)
		(void)qs_index_damaged(index, err);
	else
		(void)qs_index_fail(index,
			sqlite3_extended_errcode(index->db), err);
	(void)sqlite3_finalize(stmt);
	return err->code;
}

static enum qs_code
ask_number(struct qs_index *index, const char *text, uint64_t *out,
	struct qs_err *err)
{
	sqlite3_stmt *stmt = NULL;
	enum qs_code rc = ask(index, text, &stmt, err);

	if (rc == QS_OK && !qs_index_column(stmt, 0, INT64_MAX, out))
		rc = qs_index_damaged(index, err);
	(void)sqlite3_finalize(stmt);
	return rc;
}

/*
 * NORMAL is enough with a write-ahead log: a power cut may take the last
 * transactions, never their order.  Where a log cannot be had (some network
 * file systems) it would not be.
 */
static enum qs_code
set_journal(struct qs_index *index, struct qs_err *err)
{
	sqlite3_stmt *stmt = NULL;
	const unsigned char *mode;
	bool is_wal;
	enum qs_code rc = ask(index, "PRAGMA journal_mode = WAL", &stmt, err);

	if (rc != QS_OK)
		return rc;
	mode = sqlite3_column_text(stmt, 0);
	is_wal = mode != NULL && strcmp((const char *)mode, "wal") == 0;
	(void)sqlite3_finalize(stmt);
	return run_text(index, is_wal ? "PRAGMA synchronous = NORMAL" :
		"PRAGMA synchronous = FULL", err);
}

static bool
is_memory(const char *path)
{
	return strcmp(path, ":memory:") == 0;
}

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
		return qs_fail_errno(err, "create index %s", path);
	qs_fd_close(&fd);
	return QS_OK;
}

static enum qs_code
connect_db(struct qs_index *index, struct qs_err *err)
{
	enum qs_code rc = QS_OK;
	struct stat st;
	int result;

	if (!is_memory(index->path))
		rc = make_private(index->path, err);
	if (rc != QS_OK)
		return rc;
	/* Our own lock is around every use. */
	result = sqlite3_open_v2(index->path, &index->db,
		SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE |
		SQLITE_OPEN_NOMUTEX, NULL);
	if (index->db == NULL)
		return qs_fail_nomem(err, "opening the index");
	if (result != SQLITE_OK)
		return qs_index_fail(index, result, err);
	if (stat(index->path, &st) == 0) { /* :memory: has none */
		index->dev = st.st_dev;
		index->ino = st.st_ino;
	}
	(void)sqlite3_extended_result_codes(index->db, 1);
	(void)sqlite3_busy_timeout(index->db, QS_INDEX_BUSY_MS);
	/* A forged file must neither run code of its own nor take memory. */
	(void)sqlite3_limit(index->db, SQLITE_LIMIT_LENGTH,
		QS_DIR_ROW_MAX + (1 << 20));
	(void)sqlite3_db_config(index->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	(void)sqlite3_db_config(index->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0,
		NULL);
	(void)sqlite3_db_config(index->db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0,
		NULL);
	(void)sqlite3_db_config(index->db, SQLITE_DBCONFIG_ENABLE_VIEW, 0,
		NULL);
	rc = run_text(index, settings, err);
	if (rc == QS_OK)
		rc = set_journal(index, err);
	return rc;
}

/* ------------------------------------------------------------- schema */

static enum qs_code
put_folder(struct qs_index *index, const uint8_t *folder_id,
	struct qs_err *err)
{
	sqlite3_stmt *stmt = NULL;
	int result = sqlite3_prepare_v2(index->db,
		"INSERT INTO meta VALUES ('folder', ?1)", -1, &stmt, NULL);
	enum qs_code rc;

	if (result != SQLITE_OK)
		return qs_index_fail(index, result, err);
	qs_index_bind_blob(stmt, 1, folder_id, QS_FOLDER_ID_LEN);
	rc = qs_index_run(index, stmt, err);
	(void)sqlite3_finalize(stmt);
	return rc;
}

/* In a transaction, in which another process may have come first. */
static enum qs_code
create_if_empty(struct qs_index *index, const uint8_t *folder_id,
	struct qs_err *err)
{
	uint64_t tables = 0;
	enum qs_code rc;

	rc = run_text(index, "BEGIN IMMEDIATE", err);
	if (rc != QS_OK)
		return rc;
	rc = ask_number(index, "SELECT count(*) FROM sqlite_schema", &tables,
		err);
	if (rc == QS_OK && tables == 0) {
		rc = run_text(index, schema, err);
		if (rc == QS_OK)
			rc = put_folder(index, folder_id, err);
	}
	if (rc == QS_OK)
		rc = run_text(index, "COMMIT", err);
	if (rc != QS_OK && !sqlite3_get_autocommit(index->db))
		(void)sqlite3_exec(index->db, "ROLLBACK", NULL, NULL, NULL);
	return rc;
}

static enum qs_code
check_owner(struct qs_index *index, const uint8_t *folder_id,
	struct qs_err *err)
{
	sqlite3_stmt *stmt = NULL;
	uint64_t id = 0, version = 0;
	const uint8_t *folder;
	enum qs_code rc;

	rc = ask_number(index, "PRAGMA application_id", &id, err);
	if (rc == QS_OK && id == 0) {
		rc = create_if_empty(index, folder_id, err);
		if (rc == QS_OK)
			rc = ask_number(index, "PRAGMA application_id", &id,
				err);
	}
	if (rc == QS_OK)
		rc = ask_number(index, "PRAGMA user_version", &version, err);
	if (rc == QS_OK && (id != APPLICATION_ID || version != VERSION))
		rc = qs_fail(err, QS_EINDEX, "index %s is not of this "
			"version of qstore", index->path);
	if (rc == QS_OK)
		rc = ask(index, "SELECT value FROM meta WHERE key = 'folder'",
			&stmt, err);
	if (rc != QS_OK)
		return rc;
	folder = qs_index_column_blob(stmt, 0, QS_FOLDER_ID_LEN);
	if (folder == NULL || memcmp(folder, folder_id, QS_FOLDER_ID_LEN) != 0)
		rc = qs_fail(err, QS_EINDEX, "index %s is of another folder",
			index->path);
	(void)sqlite3_finalize(stmt);
	return rc;
}

static enum qs_code
open_once(const char *path, const uint8_t *folder_id, struct qs_index **out,
	struct qs_err *err)
{
	struct qs_index *index = calloc(1, sizeof(*index));
	enum qs_code rc;

	if (index == NULL)
		return qs_fail_nomem(err, "opening the index");
	(void)pthread_mutex_init(&index->lock, NULL);
	index->limit = QS_INDEX_BUFFER;
	index->path = strdup(path);
	if (index->path == NULL) {
		rc = qs_fail_nomem(err, "opening the index");
		goto out;
	}
	rc = connect_db(index, err);
	if (rc == QS_OK)
		rc = check_owner(index, folder_id, err);
	if (rc == QS_OK)
		rc = qs_index_prepare(index, err);
	if (rc == QS_OK) {
		*out = index;
		index = NULL; /* handed over */
	}
out:
	if (index != NULL) /* whoever opens it holds the lock, and does that */
		atomic_store(&index->is_damaged, false);
	qs_index_close(index);
	return rc;
}

enum qs_code
qs_index_open(const char *path, const uint8_t folder_id[static
	QS_FOLDER_ID_LEN], struct qs_index **out, bool *rebuilt,
	struct qs_err *err)
{
	bool was_damaged = false;
	int lock_fd = -1;
	enum qs_code rc = QS_OK;

	if (!is_memory(path))
		rc = qs_index_lock_folder(path, &lock_fd, err);
	if (rc == QS_OK)
		rc = open_once(path, folder_id, out, err);
	if (rc == QS_EINDEX && !is_memory(path)) {
		was_damaged = true;
		rc = qs_index_set_aside(path, err);
		if (rc == QS_OK)
			rc = open_once(path, folder_id, out, err);
	}
	if (rc == QS_OK)
		*rebuilt = was_damaged;
	qs_fd_close(&lock_fd);
	return rc;
}

void
qs_index_close(struct qs_index *index)
{
	struct qs_err ignored;

	if (index == NULL)
		return;
	qs_index_finalize(index);
	(void)sqlite3_close(index->db);
	/* Failing that, the next one finds the damage again. */
	if (atomic_load(&index->is_damaged) && !is_memory(index->path))
		(void)!qs_index_set_this_aside(index->path, index->dev,
			index->ino, &ignored);
	qs_index_rows_clear(&index->rows);
	qs_buf_clear(&index->aliases);
	(void)pthread_mutex_destroy(&index->lock);
	free(index->path);
	free(index);
}

bool
qs_index_is_damaged(struct qs_index *index)
{
	return index != NULL && atomic_load(&index->is_damaged);
}
