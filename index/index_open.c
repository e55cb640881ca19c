/* SPDX-License-Identifier: ISC */
/* Opening an index: its schema, whose it is, and a new one for a bad one. */
#include <stdlib.h>

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

/*
 * NORMAL is enough with a write-ahead log: a power cut may take the last
 * transactions, never their order.  Where a log cannot be had (some network
 * file systems) it would not be.
 */
static enum qs_code
set_journal(struct qs_db *db, struct qs_err *err)
{
	sqlite3_stmt *stmt = NULL;
	const unsigned char *mode;
	bool is_wal;
	enum qs_code rc = qs_db_ask(db, "PRAGMA journal_mode = WAL", &stmt,
		err);

	if (rc != QS_OK)
		return rc;
	mode = sqlite3_column_text(stmt, 0);
	is_wal = mode != NULL && strcmp((const char *)mode, "wal") == 0;
	(void)sqlite3_finalize(stmt);
	return qs_db_text(db, is_wal ? "PRAGMA synchronous = NORMAL" :
		"PRAGMA synchronous = FULL", err);
}

static const struct qs_db_kind kind = {
	.what = "index",
	.application_id = APPLICATION_ID,
	.version = VERSION,
	.length_max = QS_DIR_ROW_MAX + (1 << 20),
	.schema = schema,
	.settings = settings,
	.connected = set_journal,
};

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
	rc = qs_db_open(&index->db, &kind, path, folder_id, err);
	if (rc == QS_OK)
		rc = qs_index_prepare(index, err);
	if (rc == QS_OK) {
		*out = index;
		return QS_OK;
	}
	/* Whoever opens it holds the lock, and sets it aside. */
	atomic_store(&index->db.is_damaged, false);
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

	if (!qs_db_is_memory(path))
		rc = qs_index_lock_folder(path, &lock_fd, err);
	if (rc == QS_OK)
		rc = open_once(path, folder_id, out, err);
	if (rc == QS_EINDEX && !qs_db_is_memory(path)) {
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
	if (index == NULL)
		return;
	qs_index_finalize(index);
	qs_db_close(&index->db);
	qs_index_rows_clear(&index->rows);
	qs_buf_clear(&index->aliases);
	(void)pthread_mutex_destroy(&index->lock);
	free(index);
}

bool
qs_index_is_damaged(struct qs_index *index)
{
	return index != NULL && atomic_load(&index->db.is_damaged);
}
