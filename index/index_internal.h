/* SPDX-License-Identifier: ISC */
/*
 * What the files of index/ share: the connection, its statements, and the rows
 * that wait in memory.
 *
 * Rows given to the index wait in memory until a commit, or until they fill
 * the buffer, and then go to SQLite in one short transaction sorted by chunk
 * id: a B-tree takes sorted rows faster, and another process is never kept
 * waiting for long.  A flush always writes everything that waits.  So what is
 * on disk is at each moment what some prefix of the calls has left: a fact ("I
 * have read the log so far") is never there without the rows before it.
 */
#ifndef QS_INDEX_INTERNAL_H
#define QS_INDEX_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/types.h>

#include "index/db_internal.h"
#include "index/index.h"

#define QS_INDEX_BUFFER (8u << 20) /* bytes of waiting rows before a flush */
#define QS_INDEX_FACT_MAX (1u << 20)
#define QS_INDEX_NUMBERS 64 /* pack numbers taken at a time */
#define QS_INDEX_FRAME 16   /* bytes of a frame entry, as in a pack */
#define QS_INDEX_CHUNK 48   /* bytes of a chunk entry, as in a pack */
#define QS_INDEX_BATCH 64   /* rows read under one lock by the each_ calls */

enum qs_index_sql {
	QS_SQL_BEGIN,
	QS_SQL_BEGIN_WRITE,
	QS_SQL_COMMIT,
	QS_SQL_ROLLBACK,
	QS_SQL_META_GET,
	QS_SQL_META_PUT,
	QS_SQL_PACK_ADD,
	QS_SQL_PACK_DIR_ADD,
	QS_SQL_PACK_NUMBER,
	QS_SQL_PACK_GET,
	QS_SQL_PACK_DIR_GET,
	QS_SQL_PACKS_AFTER,
	QS_SQL_PACK_FEWER,
	QS_SQL_PACK_DROP,
	QS_SQL_PACK_DIR_DROP,
	QS_SQL_CHUNK_ANY,
	QS_SQL_CHUNK_GET,
	QS_SQL_CHUNK_ADD,
	QS_SQL_CHUNK_DROP,
	QS_SQL_SPARE_GET,
	QS_SQL_SPARE_ADD,
	QS_SQL_SPARE_DROP,
	QS_SQL_SPARE_USE,
	QS_SQL_SPARE_USED,
	QS_SQL_COUNT_ALL,
	QS_SQL_DIR_GET,
	QS_SQL_DIR_PUT,
	QS_SQL_RUN_ADD,
	QS_SQL_RUNS_DROP,
	QS_SQL_FACT_GET,
	QS_SQL_FACT_PUT,
	QS_SQL_NAME_ADD,
	QS_SQL_NAME_DROP,
	QS_SQL_NAMES_AFTER,
	QS_SQL_STATEMENTS,
};

/* Counters in the table meta. */
#define QS_META_GENERATION "generation" /* bumped by forgetting */
#define QS_META_NEXT_PACK "next_pack"
#define QS_META_NEXT_RUN "next_run"

/* ---------------------------------------------------- rows in memory */

enum qs_index_set { QS_SET_CHUNKS, QS_SET_PACKS, QS_SET_DIRS, QS_SETS };

#define QS_INDEX_NO_ROW UINT32_MAX

struct qs_index_slots { /* open addressing; row + 1, 0 is free */
	uint32_t *at;
	size_t cap, used; /* cap is a power of two; at most half are used */
};

struct qs_index_new_pack {
	struct qs_pack_ref ref;
	uint32_t number, frame_count, chunk_count;
	uint32_t known; /* while flushing: its number on disk, or 0 */
	size_t at;      /* in bytes: frame entries, then chunk entries */
};

struct qs_index_new_chunk {
	uint32_t pack, entry; /* row of the pack, and which of its chunks */
};

struct qs_index_new_dir {
	uint8_t key[QS_DIR_KEY_LEN];
	uint64_t run; /* 0: none, never fresh */
	size_t at, len;
};

struct qs_index_new_fact {
	size_t key_at, key_len, at, len;
};

enum qs_index_list { QS_LIST_PENDING = 1, QS_LIST_UNLOGGED = 2 };

struct qs_index_new_name {
	struct qs_name name;
	uint8_t list;
	bool is_drop;
};

struct qs_index_rows {
	struct qs_buf bytes;
	struct qs_buf packs, chunks, dirs, facts, names; /* of the structs */
	struct qs_index_slots slots[QS_SETS];
};

static inline uint32_t
qs_index_rows_of(const struct qs_buf *buf, size_t row_size)
{
	return (uint32_t)(buf->len / row_size);
}

static inline struct qs_index_new_pack *
qs_index_new_packs(const struct qs_index_rows *rows, uint32_t *count)
{
	*count = qs_index_rows_of(&rows->packs,
		sizeof(struct qs_index_new_pack));
	return (struct qs_index_new_pack *)(void *)rows->packs.data;
}

static inline struct qs_index_new_chunk *
qs_index_new_chunks(const struct qs_index_rows *rows, uint32_t *count)
{
	*count = qs_index_rows_of(&rows->chunks,
		sizeof(struct qs_index_new_chunk));
	return (struct qs_index_new_chunk *)(void *)rows->chunks.data;
}

static inline struct qs_index_new_dir *
qs_index_new_dirs(const struct qs_index_rows *rows, uint32_t *count)
{
	*count = qs_index_rows_of(&rows->dirs,
		sizeof(struct qs_index_new_dir));
	return (struct qs_index_new_dir *)(void *)rows->dirs.data;
}

static inline const uint8_t *
qs_index_new_frames(const struct qs_index_rows *rows,
	const struct qs_index_new_pack *pack)
{
	return rows->bytes.data + pack->at;
}

/* A waiting chunk's 48-byte entry, which begins with its id. */
const uint8_t *qs_index_new_entry(const struct qs_index_rows *rows,
	const struct qs_index_new_chunk *chunk);

size_t qs_index_rows_size(const struct qs_index_rows *rows);
/* The row with this key, or QS_INDEX_NO_ROW; of a chunk the first. */
uint32_t qs_index_rows_lookup(const struct qs_index_rows *rows,
	enum qs_index_set set, const uint8_t *key);
/* Each of these adds all or, on failure, nothing. */
QS_MUST_CHECK enum qs_code qs_index_rows_pack(struct qs_index_rows *rows,
	uint32_t number, const struct qs_pack_ref *ref,
	const struct qs_pack_dir *dir, struct qs_err *err);
QS_MUST_CHECK enum qs_code qs_index_rows_dir(struct qs_index_rows *rows,
	const uint8_t *key, uint64_t run, struct qs_span row,
	struct qs_err *err);
QS_MUST_CHECK enum qs_code qs_index_rows_fact(struct qs_index_rows *rows,
	const char *key, struct qs_span value, struct qs_err *err);
QS_MUST_CHECK enum qs_code qs_index_rows_names(struct qs_index_rows *rows,
	enum qs_index_list list, bool is_drop, const struct qs_name *names,
	size_t count, struct qs_err *err);
/* Forget the rows; memory over limit is given back. */
void qs_index_rows_reset(struct qs_index_rows *rows, size_t limit);
void qs_index_rows_clear(struct qs_index_rows *rows);

/* ------------------------------------------------------ the connection */

struct qs_index_alias { /* of ascending from */
	uint32_t from, to;
};

struct qs_index {
	pthread_mutex_t lock;
	/* all below guarded by lock */
	struct qs_db db;
	bool is_impatient;
	sqlite3_stmt *stmt[QS_SQL_STATEMENTS];
	struct qs_index_rows rows;
	size_t limit; /* QS_INDEX_BUFFER */
	/*
	 * Numbers handed out for packs that another process turned out to have
	 * added first: what qs_index_find said before still leads there.
	 */
	struct qs_buf aliases;
	uint32_t next_pack, end_pack; /* numbers taken and not used */
	uint64_t run, run_generation; /* run 0: none was begun */
};

/* index_sql.c */
QS_MUST_CHECK enum qs_code qs_index_prepare(struct qs_index *index,
	struct qs_err *err);
void qs_index_finalize(struct qs_index *index);
QS_MUST_CHECK enum qs_code qs_index_begin(struct qs_index *index,
	bool is_write, struct qs_err *err);
/* Commit if code is QS_OK, else roll back; what came of it. */
QS_MUST_CHECK enum qs_code qs_index_end(struct qs_index *index,
	enum qs_code code, struct qs_err *err);
/* Inside a write transaction: take count numbers, *first the lowest. */
QS_MUST_CHECK enum qs_code qs_index_take(struct qs_index *index,
	const char *counter, uint64_t count, uint64_t max, uint64_t *first,
	struct qs_err *err);
QS_MUST_CHECK enum qs_code qs_index_meta_get(struct qs_index *index,
	const char *counter, uint64_t max, uint64_t *out, struct qs_err *err);

/* index_aside.c: the folder's lock is released by closing *out */
QS_MUST_CHECK enum qs_code qs_index_lock_folder(const char *path, int *out,
	struct qs_err *err);
QS_MUST_CHECK enum qs_code qs_index_set_aside(const char *path,
	struct qs_err *err);
/* The same for one that was open, unless another took its place meanwhile. */
QS_MUST_CHECK enum qs_code qs_index_set_this_aside(const char *path,
	dev_t dev, ino_t ino, struct qs_err *err);

/* index_flush.c */
typedef enum qs_code (*qs_index_write_fn)(struct qs_index *index, void *arg,
	struct qs_err *err);

/*
 * Write all waiting rows, then (NULL: nothing) call also in the same
 * transaction.  On failure nothing is written and the rows still wait.
 */
QS_MUST_CHECK enum qs_code qs_index_flush(struct qs_index *index,
	qs_index_write_fn also, void *arg, struct qs_err *err);
/* Flush first if more bytes would go over the limit. */
QS_MUST_CHECK enum qs_code qs_index_room(struct qs_index *index, size_t more,
	struct qs_err *err);

/* index_packs.c: 0 when it is not there */
QS_MUST_CHECK enum qs_code qs_index_number_on_disk(struct qs_index *index,
	const struct qs_name *name, uint32_t *number, struct qs_err *err);

/* ----------------------------------------------------------- entries */

/* The entries as they are in packs: FORMAT.md, "Pack". */
static inline void
qs_index_frame_store(uint8_t out[static QS_INDEX_FRAME],
	const struct qs_frame_entry *entry)
{
	qs_store32(out, entry->off);
	qs_store32(out + 4, entry->sealed_len);
	qs_store32(out + 8, entry->plain_len);
	out[12] = entry->comp;
	out[13] = entry->kind;
	out[14] = entry->domain;
	out[15] = 0;
}

static inline void
qs_index_chunk_store(uint8_t out[static QS_INDEX_CHUNK],
	const struct qs_chunk_entry *entry)
{
	memcpy(out, entry->id.b, sizeof(entry->id.b));
	qs_store32(out + 32, entry->frame);
	qs_store32(out + 36, entry->off);
	qs_store32(out + 40, entry->len);
	qs_store32(out + 44, 0);
}

/* index_entries.c: decode and check; false when anything is out of bounds. */
bool qs_index_ref_ok(const struct qs_pack_ref *ref);
bool qs_index_dir_ok(const struct qs_pack_ref *ref,
	const struct qs_pack_dir *dir);
/* Heap arrays for the caller. */
QS_MUST_CHECK enum qs_code qs_index_frames_load(struct qs_index *index,
	struct qs_span blob, uint32_t pack_size, struct qs_frame_entry **out,
	uint32_t *count, struct qs_err *err);
QS_MUST_CHECK enum qs_code qs_index_chunks_load(struct qs_index *index,
	struct qs_span blob, const struct qs_frame_entry *frames,
	uint32_t frame_count, struct qs_chunk_entry **out, uint32_t *count,
	struct qs_err *err);

#endif
