/* SPDX-License-Identifier: ISC */
/*
 * Fuzz target: rows of the directory cache, which lie in the user's cache
 * folder.  A row that is read to its end is written the same way again.
 */
#include <stdlib.h>

#include "snapshot/create_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_same(struct qs_span row, const struct row_head *head,
	struct row_writer *writer)
{
	struct qs_err err;

	if (row_finish(writer, head->is_last, &head->content, &err) != QS_OK ||
		writer->bytes.len != row.len ||
		memcmp(writer->bytes.data, row.data, row.len) != 0)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct qs_span row = qs_span(data, size);
	struct row_writer writer = {.count = 0};
	struct prior_entry entry;
	struct qs_reader entries;
	struct row_head head;
	struct qs_err err;
	uint32_t left;

	if (!row_open(row, &head, &entries))
		return 0;
	for (left = head.count; left > 0; left--) {
		if (!row_next(&entries, &entry))
			break;
		if (row_add(&writer, entry.ino, entry.ctime_ns,
			entry.node.encoded, &err) != QS_OK)
			abort();
	}
	if (left == 0 && entries.left == 0)
		check_same(row, &head, &writer);
	qs_buf_clear(&writer.bytes);
	return 0;
}
