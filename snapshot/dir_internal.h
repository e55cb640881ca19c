/* SPDX-License-Identifier: ISC */
/* dir, between snapshot's own files: folders that are open at a time. */
#ifndef QS_DIR_INTERNAL_H
#define QS_DIR_INTERNAL_H

#include "snapshot/snapshot.h"

/*
 * Most bytes that the open folders of one walk may hold together: no honest
 * tree comes near it, a forged one must not eat the memory.
 */
#define QS_WALK_BYTES_MAX ((size_t)96 << 20)

/* What an open folder holds in memory. */
size_t qs_dir_bytes(const struct qs_dir *dir);

/* The bytes of a path in a tree, without a '/' in front, NUL-terminated. */
struct qs_path {
	struct qs_buf buf;
};

/* Cut to len bytes and append '/' (unless it is empty) and name. */
QS_MUST_CHECK enum qs_code qs_path_set(struct qs_path *path, size_t len,
	struct qs_span name, struct qs_err *err);
void qs_path_cut(struct qs_path *path, size_t len);
const char *qs_path_text(const struct qs_path *path); /* never NULL */

#endif
