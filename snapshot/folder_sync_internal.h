/* SPDX-License-Identifier: ISC */
/* Bringing the index up to date, between the files that do it. */
#ifndef QS_FOLDER_SYNC_INTERNAL_H
#define QS_FOLDER_SYNC_INTERNAL_H

#include "snapshot/folder_internal.h"

struct sync {
	struct qs_folder *folder;
	struct qs_name *names; /* wanted: sorted, unique */
	uint64_t *sizes;       /* in the store; 0: not there */
	bool *done;            /* in the index, or given up */
	size_t count;
	size_t uncommitted;
	bool had_absent;
	struct qs_buf absent; /* names that could not be taken in */
	struct qs_buf listed; /* wanted by a record: sorted */
	struct qs_buf others; /* met in an index chunk, and not wanted */
};

/* ------------------------------------------------------ folder_index.c */

/* Has the chain records that the index has not seen? */
bool sync_is_fresh(const struct qs_chain *chain);
/* Sorted, once each, without what is retired: how many are left. */
size_t sync_tidy(const struct qs_folder *folder, struct qs_name *names,
	size_t count);
/* Sizes and done; what is missing or can't be looked for is given up. */
QS_MUST_CHECK enum qs_code sync_look_up(struct sync *sync,
	struct qs_err *err);
/* To be called before the first pack is added. */
QS_MUST_CHECK enum qs_code sync_queue(struct sync *sync, struct qs_err *err);
/* Add a pack by its own directory, or give it up. */
QS_MUST_CHECK enum qs_code sync_adopt(struct sync *sync, size_t at,
	struct qs_err *err);
/* It was added to the index. */
QS_MUST_CHECK enum qs_code sync_added(struct sync *sync, size_t at,
	struct qs_err *err);

/* ------------------------------------------------------ folder_cover.c */

/* The packs that the covers of fresh chains name are wanted as well. */
QS_MUST_CHECK enum qs_code sync_want_covers(const struct qs_folder *folder,
	struct qs_buf *wanted, struct qs_err *err);
/* Add packs out of the index chunks of fresh chains. */
QS_MUST_CHECK enum qs_code sync_read_covers(struct sync *sync,
	struct qs_err *err);

#endif
