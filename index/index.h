/* SPDX-License-Identifier: ISC */
/*
 * index: what a data qube knows of its folder's packs, in SQLite: which chunk
 * is where, and what each directory looked like when it was last saved.  A
 * cache: it can be thrown away and is rebuilt from the packs.
 *
 * Order: a pack is durable in the store before its rows are committed here,
 * so that a row never names what a crash has lost.
 *
 * Threads: every function may be called from several threads (one lock
 * inside).  Processes: several may have the same index open (WAL, short write
 * transactions, busy timeout); QS_EBUSY when one holds it too long.
 */
#ifndef QS_INDEX_H
#define QS_INDEX_H

#include "base/base.h"
#include "store/store.h"

struct qs_index;

/*
 * Open or create.  A file that is damaged, of another version or of another
 * folder is set aside (renamed with ".damaged") and begun anew; *rebuilt says
 * so.  path ":memory:" keeps it in memory only.
 */
QS_MUST_CHECK enum qs_code qs_index_open(const char *path,
	const uint8_t folder_id[static QS_FOLDER_ID_LEN],
	struct qs_index **out, bool *rebuilt, struct qs_err *err);
/*
 * Uncommitted rows are given up; NULL is fine.  One that was found damaged is
 * set aside: the next one is made anew.
 */
void qs_index_close(struct qs_index *index);
/*
 * Has any call found damage?  It then failed with QS_EINDEX, as every call may.
 * NULL is fine.
 */
bool qs_index_is_damaged(struct qs_index *index);
/* Make everything since the last commit visible to others. */
QS_MUST_CHECK enum qs_code qs_index_commit(struct qs_index *index,
	struct qs_err *err);

/* ------------------------------------------------------ packs, chunks */

struct qs_chunk_loc {
	uint32_t pack; /* number within this index; 0: not known */
	uint32_t frame, off, len;
};

/* Many at once under one lock; unknown ones get .pack 0. */
QS_MUST_CHECK enum qs_code qs_index_find(struct qs_index *index,
	const struct qs_id *ids, size_t count, struct qs_chunk_loc *out,
	struct qs_err *err);

/*
 * Another place of a chunk, in a pack with a number above after (0: the first);
 * .pack 0: there is none.  For when its own place can't be read.
 */
QS_MUST_CHECK enum qs_code qs_index_find_spare(struct qs_index *index,
	const struct qs_id *id, uint32_t after, struct qs_chunk_loc *out,
	struct qs_err *err);

/* A pack's ref and frames; frames is heap-allocated for the caller. */
struct qs_index_pack {
	struct qs_pack_ref ref;
	struct qs_frame_entry *frames;
	uint32_t frame_count;
};

QS_MUST_CHECK enum qs_code qs_index_pack(struct qs_index *index,
	uint32_t number, struct qs_index_pack *out, struct qs_err *err);

/*
 * Add a pack's rows (it is durable in the store).  A pack that is there
 * already is left alone; a chunk that another pack has keeps its place.
 */
QS_MUST_CHECK enum qs_code qs_index_add(struct qs_index *index,
	const struct qs_pack_ref *ref, const struct qs_pack_dir *dir,
	struct qs_err *err);
/*
 * A pack is gone or damaged: forget it and its chunks, so that what is still
 * at hand is stored again.  Directory rows lose their freshness.
 */
QS_MUST_CHECK enum qs_code qs_index_forget(struct qs_index *index,
	const struct qs_name *name, struct qs_err *err);
/*
 * The pack is there, but these chunks of it cannot be read: forget that they
 * are in it (every place of each), and keep the pack and its directory.  A
 * copy in another pack takes over.  Directory rows lose their freshness.
 */
QS_MUST_CHECK enum qs_code qs_index_forget_chunks(struct qs_index *index,
	const struct qs_name *pack, const struct qs_id *ids, size_t count,
	struct qs_err *err);
/* true where the pack is known */
QS_MUST_CHECK enum qs_code qs_index_has_packs(struct qs_index *index,
	const struct qs_name *names, size_t count, bool *out,
	struct qs_err *err);

typedef enum qs_code (*qs_index_pack_fn)(void *arg, uint32_t number,
	const struct qs_pack_ref *ref, struct qs_err *err);

QS_MUST_CHECK enum qs_code qs_index_each_pack(struct qs_index *index,
	qs_index_pack_fn fn, void *arg, struct qs_err *err);
/* 0 when the pack is not known. */
QS_MUST_CHECK enum qs_code qs_index_pack_number(struct qs_index *index,
	const struct qs_name *name, uint32_t *out, struct qs_err *err);
/*
 * What qs_index_add was given, in that order (for index chunks), with what
 * qs_index_forget_chunks has dropped since.
 */
QS_MUST_CHECK enum qs_code qs_index_pack_dir(struct qs_index *index,
	uint32_t number, struct qs_pack_dir *out, struct qs_err *err);

struct qs_index_counts {
	uint64_t packs, pack_bytes, chunks;
};

QS_MUST_CHECK enum qs_code qs_index_count(struct qs_index *index,
	struct qs_index_counts *out, struct qs_err *err);

/* ------------------------------------------------------------ pending */

/*
 * Names about to be committed to the store, written down (and committed)
 * first, so that the next run finds what a killed one had stored.
 */
QS_MUST_CHECK enum qs_code qs_index_pending_add(struct qs_index *index,
	const struct qs_name *names, size_t count, struct qs_err *err);
typedef enum qs_code (*qs_index_name_fn)(void *arg,
	const struct qs_name *name, struct qs_err *err);
QS_MUST_CHECK enum qs_code qs_index_each_pending(struct qs_index *index,
	qs_index_name_fn fn, void *arg, struct qs_err *err);
QS_MUST_CHECK enum qs_code qs_index_pending_drop(struct qs_index *index,
	const struct qs_name *name, struct qs_err *err);

/*
 * Objects in the store that no snapshot names yet (an interrupted run's):
 * the next snapshot of this device lists them among those it added.
 */
QS_MUST_CHECK enum qs_code qs_index_unlogged_add(struct qs_index *index,
	const struct qs_name *names, size_t count, struct qs_err *err);
QS_MUST_CHECK enum qs_code qs_index_each_unlogged(struct qs_index *index,
	qs_index_name_fn fn, void *arg, struct qs_err *err);
QS_MUST_CHECK enum qs_code qs_index_unlogged_drop(struct qs_index *index,
	const struct qs_name *names, size_t count, struct qs_err *err);

/* ---------------------------------------------------- directory cache */

#define QS_DIR_KEY_LEN 16 /* hash of the directory's path */
#define QS_DIR_ROW_MAX (64 << 20)

/*
 * *found false: no row.  *fresh true: written by a finished run, and no pack
 * was forgotten since: the chunks it names need not be looked up.  The row's
 * bytes are appended to out.
 */
QS_MUST_CHECK enum qs_code qs_index_dir_get(struct qs_index *index,
	const uint8_t key[static QS_DIR_KEY_LEN], struct qs_buf *out,
	bool *found, bool *fresh, struct qs_err *err);
/*
 * Buffered until qs_index_commit; counts as fresh after qs_index_run_end.  A
 * row over QS_DIR_ROW_MAX is not kept, and that is no failure: the directory
 * is read anew the next time.
 */
QS_MUST_CHECK enum qs_code qs_index_dir_put(struct qs_index *index,
	const uint8_t key[static QS_DIR_KEY_LEN], struct qs_span row,
	struct qs_err *err);
/* Begin a run: rows put from now on belong to it. */
QS_MUST_CHECK enum qs_code qs_index_run_begin(struct qs_index *index,
	struct qs_err *err);
/* Its packs are durable and its snapshot is saved. Commits. */
QS_MUST_CHECK enum qs_code qs_index_run_end(struct qs_index *index,
	struct qs_err *err);

/* --------------------------------------------------------- small facts */

/* Named values (at most 1 MiB): how far the log was read, and the like. */
QS_MUST_CHECK enum qs_code qs_index_fact_get(struct qs_index *index,
	const char *key, struct qs_buf *out, bool *found, struct qs_err *err);
QS_MUST_CHECK enum qs_code qs_index_fact_put(struct qs_index *index,
	const char *key, struct qs_span value, struct qs_err *err);

#endif
