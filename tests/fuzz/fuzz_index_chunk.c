/* SPDX-License-Identifier: ISC */
/* Fuzz target: index chunks, whose entries would be read from packs. */
#include <stdlib.h>

#include "snapshot/folder_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* All that a reader will use lies within its pack and its frame. */
static enum qs_code
check(void *arg, const struct qs_pack_ref *ref, const struct qs_pack_dir *dir,
	struct qs_err *err)
{
	(void)arg;
	(void)err;
	for (uint32_t i = 0; i < dir->frame_count; i++) {
		if (!qs_frame_entry_ok(&dir->frames[i], ref->size))
			abort();
	}
	for (uint32_t i = 0; i < dir->chunk_count; i++) {
		const struct qs_chunk_entry *chunk = &dir->chunks[i];

		if (chunk->frame >= dir->frame_count ||
			(uint64_t)chunk->off + chunk->len >
				dir->frames[chunk->frame].plain_len)
			abort();
	}
	return QS_OK;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct qs_err err;

	(void)!qs_index_chunk_decode(qs_span(data, size), check, NULL, &err);
	return 0;
}
