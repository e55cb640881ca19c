/* SPDX-License-Identifier: ISC */
/* check, between its own files: what is known of the objects, findings. */
#ifndef QS_CHECK_INTERNAL_H
#define QS_CHECK_INTERNAL_H

#include <pthread.h>

#include "snapshot/snapshot_internal.h"

enum check_rows { /* the index against the pack's directory */
	CHECK_ROWS_RIGHT,
	CHECK_ROWS_MISSING, /* of chunks: perhaps dropped as bad before */
	CHECK_ROWS_WRONG,
};

struct check_pack { /* an object that a record or the index names */
	struct qs_name name;
	uint64_t size;   /* in the store; 0: it is not there */
	uint32_t number; /* in the index; 0: the index does not have it */
	uint32_t index_size;
	enum check_rows rows;
	bool is_logged; /* a valid record lists it */
	bool is_bad; /* told already, and not to be read */
};

struct check {
	struct qs_folder *folder;
	struct qs_store *store;
	struct qs_index *index;
	const struct qs_check_options *options;
	const struct qs_report *report;
	struct check_pack *packs; /* sorted by name */
	size_t count, cap;
	/* Where some are not logged: by number in the index, is it needed? */
	bool *uses; /* use_count of them; NULL: all are logged */
	uint32_t use_count;
	pthread_mutex_t lock;
	bool has_loss; /* guarded by lock: something was forgotten */
	struct qs_check_result result; /* guarded by lock */
};

struct check_found { /* in a pack whose head and directory are sound */
	struct qs_pack_head head;
	struct qs_pack_dir dir;
	uint8_t *is_lost; /* by chunk: cannot be read; QS_PACK_CHUNKS */
	uint32_t lost;    /* how many */
	bool is_misnamed; /* its bytes are not those that its name says */
	bool is_damaged;
	struct qs_err cause; /* the first, if is_damaged */
};

/* ------------------------------------------------------------- check.c */

/* One event at a time, from any thread; not counted as an error. */
void check_tell(struct check *check, const char *path,
	enum qs_node_type type, uint64_t size, const struct qs_err *what);
/*
 * A pack is missing or damaged as a whole: told, counted, out of the index.
 * One that the system could not read (QS_EIO) may be whole: told and counted
 * as an error, and the index keeps it.
 */
QS_MUST_CHECK enum qs_code check_bad_pack(struct check *check,
	struct check_pack *pack, const struct qs_err *cause,
	struct qs_err *err);
/*
 * Before a pack's rows are forgotten: the next run looks for it again.  From
 * any thread.
 */
QS_MUST_CHECK enum qs_code check_want_again(struct check *check,
	const struct qs_name *name, struct qs_err *err);
/* What is damaged of a pack that can be opened: told, counted. */
void check_tell_damage(struct check *check, const struct check_pack *pack,
	const struct check_found *found);
void check_count_error(struct check *check);
/*
 * Is it the object's fault?  Else (no memory, the other end is gone ...) the
 * check itself has failed.
 */
bool check_is_finding(enum qs_code code);
bool check_is_cancelled(const struct check *check);

/* ------------------------------------------------------- check_list.c */

/* Fill check->packs from the log, the index and the store's listing. */
QS_MUST_CHECK enum qs_code check_list(struct check *check,
	struct qs_err *err);
/* A snapshot needs something in the pack of that number in the index. */
void check_use(struct check *check, uint32_t number);
/*
 * After the trees: packs that are used and that no record lists are told, and
 * queued for the next record.
 */
QS_MUST_CHECK enum qs_code check_unlisted(struct check *check,
	struct qs_err *err);

/* ---------------------------------------------------- check_foreign.c */

/* A thing in the store that is none of its own: told, counted. */
void check_see_foreign(struct check *check, const char *path);
/* All such things outside of the objects' area, which check_list lists. */
QS_MUST_CHECK enum qs_code check_foreign(struct check *check,
	struct qs_err *err);

/* ------------------------------------------------------ check_packs.c */

/* Each pack's own directory against the index: sets pack->rows. */
QS_MUST_CHECK enum qs_code check_packs(struct check *check,
	struct qs_err *err);
/*
 * A pack was read whole: leave in the index exactly its chunks that verify,
 * and tell what there is to tell.  From any thread.
 */
QS_MUST_CHECK enum qs_code check_settle(struct check *check,
	struct check_pack *pack, const struct check_found *found,
	struct qs_err *err);

/* ------------------------------------------------------- check_read.c */

/*
 * Read the chosen packs whole, and those that the index does not have, or not
 * right: rows are put back for what verifies and for nothing else.
 */
QS_MUST_CHECK enum qs_code check_read(struct check *check,
	struct qs_err *err);

/* ------------------------------------------------------ check_trees.c */

/* Every tree, every reference; names the files that suffer. */
QS_MUST_CHECK enum qs_code check_trees(struct check *check,
	struct qs_err *err);

#endif
