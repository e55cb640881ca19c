/* SPDX-License-Identifier: ISC */
/* idset, between snapshot's own files: a set of ids that were seen. */
#ifndef QS_IDSET_INTERNAL_H
#define QS_IDSET_INTERNAL_H

#include "base/base.h"

/*
 * Ids cut to their first bytes, in an open table that is at most 3/4 full.
 * Chunk ids are keyed hashes: nobody without the folder's key can make two
 * that begin alike.  With 16 bytes none ever do by chance, with 8 bytes two of
 * 10 million do once in 400,000 times, which is good enough to count by.
 *
 * Cost: 21 to 43 bytes an id with 16 bytes, 11 to 21 with 8, and 1.5 times as
 * much while it grows.
 */
struct qs_idset { /* all-zero but for words is the empty set */
	uint64_t *slots; /* cap x words; a first word of 0: empty */
	size_t cap, count;
	unsigned words; /* 1 or 2 */
};

#define QS_IDSET(n) ((struct qs_idset){NULL, 0, 0, n})

/* *is_new false: it was there already.  id has at least 8 x words bytes. */
QS_MUST_CHECK enum qs_code qs_idset_add(struct qs_idset *set, const void *id,
	bool *is_new, struct qs_err *err);
bool qs_idset_has(const struct qs_idset *set, const void *id);
void qs_idset_clear(struct qs_idset *set);

#endif
