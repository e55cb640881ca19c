/* SPDX-License-Identifier: ISC */
/*
 * patterns: which paths a user means, in restic's notation; see qstore(1).  No
 * file is looked at, but one that patterns are read from.
 *
 * Threads: a struct qs_patterns does not change once it is made, and may then
 * be asked by any number of threads.
 */
#ifndef QS_PATTERNS_H
#define QS_PATTERNS_H

#include "base/base.h"

/* restic's patterns; see qstore(1).  Immutable once made: thread-safe. */
struct qs_patterns;
QS_MUST_CHECK enum qs_code qs_patterns_new(struct qs_patterns **out,
	struct qs_err *err);
void qs_patterns_free(struct qs_patterns *patterns);
QS_MUST_CHECK enum qs_code qs_patterns_add(struct qs_patterns *patterns,
	const char *pattern, bool ignore_case, struct qs_err *err);
/* One pattern a line; empty lines and '#' comments are skipped. */
QS_MUST_CHECK enum qs_code qs_patterns_add_file(struct qs_patterns *patterns,
	const char *path, bool ignore_case, struct qs_err *err);
bool qs_patterns_empty(const struct qs_patterns *patterns);
/*
 * Does the path (absolute within the snapshot, "/a/b") match?  *below: could
 * something below it match (for including)?  below may be NULL.
 */
bool qs_patterns_match(const struct qs_patterns *patterns, const char *path,
	bool *below);

#endif
