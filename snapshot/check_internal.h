/* SPDX-License-Identifier: ISC */
/* check, between its own files: what is known of the objects, findings. */
#ifndef QS_CHECK_INTERNAL_H
#define QS_CHECK_INTERNAL_H

#include <pthread.h>

#include "snapshot/snapshot_internal.h"

struct check_pack { /* an object that a record or the index names */
	struct qs_name name;
	uint64_t size;   /* in the store; 0: it is not there */
	uint32_t number; /* in the index; 0: the index does not have it */
	uint32_t index_size;
	bool is_logged;
	bool is_bad; /* told already, and out of the index */
};

struct check {
	struct qs_folder *folder;
	struct qs_store *store;
	struct qs_index *index;
	const struct qs_check_options *options;
	const struct qs_report *report;
	struct check_pack *packs; /* sorted by name */
	size_t count, cap;
	pthread_mutex_t lock;
	struct qs_check_result result; /* guarded by lock */
};

/* ------------------------------------------------------------- check.c */

/* One event at a time, from any thread; not counted as an error. */
void check_tell(struct check *check, const char *path,
	enum qs_node_type type, uint64_t size, const struct qs_err *what);
/* A pack is missing or damaged: told, counted, out of the index. */
QS_MUST_CHECK enum qs_code check_bad_pack(struct check *check,
	struct check_pack *pack, const struct qs_err *cause,
	struct qs_err *err);
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

/* ------------------------------------------------------ check_packs.c */

/* Each pack's own directory against the index. */
QS_MUST_CHECK enum qs_code check_packs(struct check *check,
	struct qs_err *err);

/* ------------------------------------------------------- check_read.c */

/*
 * Read the chosen packs whole, and those that the index does not have: what is
 * good of them is added to it.
 */
QS_MUST_CHECK enum qs_code check_read(struct check *check,
	struct qs_err *err);

/* ------------------------------------------------------ check_trees.c */

/* Every tree, every reference; names the files that suffer. */
QS_MUST_CHECK enum qs_code check_trees(struct check *check,
	struct qs_err *err);

#endif
