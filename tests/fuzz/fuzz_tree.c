/* SPDX-License-Identifier: ISC */
/*
 * Fuzzes the parsers of trees and content lists.  What decodes must encode to
 * the same bytes: there is one way to write an entry.
 */
#include <stdint.h>
#include <stdlib.h>

#include "snapshot/content_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_node(struct qs_span bytes, struct qs_node *node, size_t *used)
{
	struct qs_buf again = {NULL, 0, 0};
	struct qs_span at, name, value;
	size_t xattrs = 0;
	struct qs_err err;

	if (qs_node_encode(node, &again, &err) != QS_OK ||
	    again.len != *used ||
	    memcmp(again.data, bytes.data, again.len) != 0)
		abort();
	at = node->xattrs;
	while (qs_xattr_next(&at, &name, &value))
		xattrs++;
	if (xattrs != node->xattr_count)
		abort();
	qs_buf_clear(&again);
}

static void
check_tree(struct qs_span tree)
{
	struct qs_node node;
	struct qs_err err;
	uint32_t count = 0;
	size_t used = 0;

	if (qs_tree_check(tree, &count, &err) != QS_OK)
		return;
	tree = qs_span(tree.data + QS_TREE_HEAD, tree.len - QS_TREE_HEAD);
	for (; count > 0; count--) {
		if (qs_node_decode(tree, &node, &used, &err) != QS_OK)
			abort();
		check_node(tree, &node, &used);
		tree = qs_span(tree.data + used, tree.len - used);
	}
	if (tree.len != 0)
		abort();
}

static void
check_list(struct qs_span list)
{
	for (uint8_t depth = 0; depth < QS_CONTENT_DEPTH_MAX; depth++) {
		struct qs_buf again = {NULL, 0, 0};
		const uint8_t *refs = NULL;
		uint32_t count = 0;
		uint64_t sum = 0;
		struct qs_err err;

		if (qs_list_decode(list, depth, &refs, &count, &sum, &err) !=
		    QS_OK)
			continue;
		if (qs_list_encode(depth, refs, count, &again, &err) !=
		    QS_OK || again.len != list.len ||
		    memcmp(again.data, list.data, list.len) != 0)
			abort();
		qs_buf_clear(&again);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct qs_node node;
	struct qs_err err;
	size_t used = 0;

	if (size == 0)
		return 0;
	check_tree(qs_span(data, size));
	check_list(qs_span(data, size));
	/* An entry alone: a mutation need not keep a whole tree right. */
	if (qs_node_decode(qs_span(data, size), &node, &used, &err) == QS_OK)
		check_node(qs_span(data, size), &node, &used);
	return 0;
}
