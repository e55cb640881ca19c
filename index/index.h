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
/*
 * Not patient: what has to write while another process does fails with QS_EBUSY
 * at once and can be called again; rows that wait are kept.  At first it waits
 * for its turn, and all other calls wait with it.
 */
void qs_index_set_patient(struct qs_index *index, bool is_patient);
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

/* ------------------------------------------------------ the catalogue */

/*
 * What a hub knows of the files of one folder: one row each, in the order in
 * which they came.  A cache of the files, but for the times of their arrival
 * (for those the files' own ctime stands in when it is made anew).  Numbers
 * rise; the first is the time in ms at which the catalogue was made, so that
 * those of one that was made anew are above the old one's.
 * All calls are thread-safe; several processes may have it open.
 */
struct qs_catalogue;

enum qs_item_state {
	QS_ITEM_HERE = 0,
	QS_ITEM_TRASH = 1,
	QS_ITEM_DAMAGED = 2, /* as the last scrub saw it */
	QS_ITEM_MISSING = 3,
};

#define QS_CATALOGUE_SIZE_MAX ((uint64_t)1 << 40) /* so that they add up */

struct qs_item { /* a row */
	struct qs_ref ref;     /* area, name, device, seq, size */
	uint64_t number;       /* of arrival; given by the catalogue */
	uint64_t arrived_ms;
	uint64_t xxh3;         /* XXH3-64 of the bytes, where has_xxh3 */
	bool has_xxh3;
	enum qs_item_state state;
	uint64_t state_ms;     /* since when */
	uint8_t record_type;   /* of a log record, else 0 */
};

/*
 * Open or create DIR/catalogue.sqlite (and DIR) of a folder.  One of another
 * folder, or damaged, is set aside and made anew, empty: *is_new tells (also
 * when there was none) that it is to be filled from the files, until somebody
 * has put the fact QS_CATALOGUE_FILLED.
 */
#define QS_CATALOGUE_FILLED "filled"

QS_MUST_CHECK enum qs_code qs_catalogue_open(const char *dir,
	const uint8_t folder_id[static QS_FOLDER_ID_LEN],
	struct qs_catalogue **out, bool *is_new, struct qs_err *err);
void qs_catalogue_close(struct qs_catalogue *catalogue); /* NULL is fine */
/*
 * Rows for files that are durable by now, in one transaction; one that is
 * there keeps its number and time.  number is not looked at.
 */
QS_MUST_CHECK enum qs_code qs_catalogue_add(struct qs_catalogue *catalogue,
	const struct qs_item *items, size_t count, struct qs_err *err);
/*
 * Another state, and what else is known by now: size, xxh3 and record_type
 * stay as they were where item has none (0, false, 0).  QS_ENOTFOUND.
 */
QS_MUST_CHECK enum qs_code qs_catalogue_update(struct qs_catalogue *catalogue,
	const struct qs_item *item, struct qs_err *err);
/* Several, in one transaction; those that are not there are passed over. */
QS_MUST_CHECK enum qs_code qs_catalogue_update_all(
	struct qs_catalogue *catalogue, const struct qs_item *items,
	size_t count, struct qs_err *err);
QS_MUST_CHECK enum qs_code qs_catalogue_drop(struct qs_catalogue *catalogue,
	const struct qs_ref *ref, struct qs_err *err);
QS_MUST_CHECK enum qs_code qs_catalogue_get(struct qs_catalogue *catalogue,
	const struct qs_ref *ref, struct qs_item *out, bool *found,
	struct qs_err *err);
typedef enum qs_code (*qs_item_fn)(void *arg, const struct qs_item *item,
	struct qs_err *err);
/*
 * Rows with a number above since, ascending, at most max (0: all); fn runs
 * without the lock and may call other functions here.
 */
QS_MUST_CHECK enum qs_code qs_catalogue_each(struct qs_catalogue *catalogue,
	uint64_t since, uint64_t max, qs_item_fn fn, void *arg,
	struct qs_err *err);
QS_MUST_CHECK enum qs_code qs_catalogue_newest(struct qs_catalogue *catalogue,
	uint64_t *number, struct qs_err *err);

struct qs_catalogue_counts {
	uint64_t objects, records, slots, bytes;    /* here or damaged */
	uint64_t trash_objects, trash_bytes, damaged, missing;
	uint64_t last_snapshot_ms; /* arrival of the newest SNAPSHOT */
	uint64_t newest;           /* number */
};

/* Kept as totals: the cost does not grow with the number of rows. */
QS_MUST_CHECK enum qs_code qs_catalogue_count(struct qs_catalogue *catalogue,
	struct qs_catalogue_counts *out, struct qs_err *err);
/* No rows, and not filled; the numbers go on, the other facts stay. */
QS_MUST_CHECK enum qs_code qs_catalogue_clear(struct qs_catalogue *catalogue,
	struct qs_err *err);
/*
 * Named numbers: when the last scrub ended, refusals of a kind ...  fact_add
 * begins with 0 and ends at UINT64_MAX.
 */
QS_MUST_CHECK enum qs_code qs_catalogue_fact_get(
	struct qs_catalogue *catalogue, const char *key, uint64_t *value,
	bool *found, struct qs_err *err);
QS_MUST_CHECK enum qs_code qs_catalogue_fact_put(
	struct qs_catalogue *catalogue, const char *key, uint64_t value,
	struct qs_err *err);
QS_MUST_CHECK enum qs_code qs_catalogue_fact_add(
	struct qs_catalogue *catalogue, const char *key, uint64_t more,
	struct qs_err *err);

#endif
