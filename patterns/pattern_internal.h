/* SPDX-License-Identifier: ISC */
/* pattern, between its own files: one component of a pattern. */
#ifndef QS_PATTERN_INTERNAL_H
#define QS_PATTERN_INTERNAL_H

#include "patterns/patterns.h"

/*
 * Letters to lower case, by Unicode's tables whatever the user's locale is, so
 * that a pattern means the same everywhere.
 */
struct qs_fold;

struct qs_fold *qs_fold_new(void); /* NULL: out of memory */
void qs_fold_free(struct qs_fold *fold);

struct qs_glob {
	uint8_t *text; /* folded when case is ignored */
	size_t len;
	const struct qs_fold *fold; /* NULL: case counts; borrowed */
	bool is_literal;            /* to be compared byte by byte */
	bool is_any_depth;          /* '**' */
};

/* QS_EINVAL for a '[' without ']', a '\' at the end, a range upside down. */
QS_MUST_CHECK enum qs_code qs_glob_compile(struct qs_span text,
	bool ignore_case, const struct qs_fold *fold, struct qs_glob *out,
	struct qs_err *err);
void qs_glob_clear(struct qs_glob *glob);
/* Bounded by length of the glob x length of the name. */
bool qs_glob_match(const struct qs_glob *glob, struct qs_span name);

#endif
