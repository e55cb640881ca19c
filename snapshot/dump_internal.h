/* SPDX-License-Identifier: ISC */
/* dump, between its own files: a file's bytes in order; entries of archives. */
#ifndef QS_DUMP_INTERNAL_H
#define QS_DUMP_INTERNAL_H

#include "snapshot/snapshot.h"

#define DUMP_PIECES 64       /* chunks fetched at once */
#define DUMP_BYTES (4u << 20)

typedef enum qs_code (*qs_dump_fn)(void *arg, const uint8_t *data, size_t len,
	struct qs_err *err);

/* Holes are given as zeros. What was given before a failure stays given. */
QS_MUST_CHECK enum qs_code qs_dump_each(struct qs_source *source,
	const struct qs_node *node, qs_dump_fn fn, void *arg,
	struct qs_progress *progress, struct qs_err *err);

/* -------------------------------------------------------- dump_entry.c */

struct archive_entry;

/*
 * Is the attribute a POSIX ACL?  Then it was added to entry as one, in the
 * form that tar programs take.
 */
bool qs_dump_acl(struct archive_entry *entry, struct qs_span name,
	struct qs_span value);
bool qs_dump_is_utf8(const char *text);

#endif
