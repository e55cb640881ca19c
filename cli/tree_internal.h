/* SPDX-License-Identifier: ISC */
/* Paths while walking a snapshot's tree: what ls, find, diff and dump share. */
#ifndef QS_CLI_TREE_INTERNAL_H
#define QS_CLI_TREE_INTERNAL_H

#include "cli/cli_internal.h"

/* qs_tree_find in a snapshot, which a failure names. */
QS_MUST_CHECK enum qs_code qs_cli_find_node(struct qs_source *source,
	const struct qs_snapshot *snapshot, const char *path,
	struct qs_buf *bytes, struct qs_node *node, struct qs_err *err);
/* "/sub" without a slash at its end; *base_len is what stays. */
QS_MUST_CHECK enum qs_code qs_cli_base(struct qs_buf *path, const char *sub,
	size_t *base_len, struct qs_err *err);
/* base, '/', name, NUL */
QS_MUST_CHECK enum qs_code qs_cli_join(struct qs_buf *path, size_t base_len,
	const char *name, size_t len, struct qs_err *err);
/* 1: right below where the walk began */
size_t qs_cli_depth(const struct qs_visit *visit);
/* A line of ls. */
void qs_cli_put_node(const struct qs_node *node, const char *path,
	bool is_long);

#endif
