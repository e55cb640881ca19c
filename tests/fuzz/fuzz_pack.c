/* SPDX-License-Identifier: ISC */
/*
 * Fuzz target: what comes out of a pack's seals, as if its writer were a liar:
 * directories, frame entries, zstd payloads.
 */
#include <stdlib.h>

#include "store/store_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What was accepted must be canonical, and within the pack. */
static void
check_dir(const struct qs_pack_dir *dir, const uint8_t *plain,
	uint32_t end_off)
{
	uint8_t entry[CHUNK_ENTRY];

	for (uint32_t i = 0; i < dir->frame_count; i++) {
		qs_frame_entry_encode(&dir->frames[i], entry);
		if (memcmp(entry, plain, FRAME_ENTRY) != 0 ||
			!qs_frame_entry_within(&dir->frames[i], end_off))
			abort();
		plain += FRAME_ENTRY;
	}
	for (uint32_t i = 0; i < dir->chunk_count; i++) {
		const struct qs_chunk_entry *chunk = &dir->chunks[i];

		qs_chunk_entry_encode(chunk, entry);
		if (memcmp(entry, plain, CHUNK_ENTRY) != 0 ||
			(uint64_t)chunk->off + chunk->len >
				dir->frames[chunk->frame].plain_len)
			abort();
		plain += CHUNK_ENTRY;
	}
}

static void
fuzz_dir(struct qs_reader *reader)
{
	uint32_t frames = qs_read32(reader), chunks = qs_read32(reader);
	uint32_t end_off = qs_read32(reader);
	struct qs_pack_dir dir;
	struct qs_err err;

	if (reader->failed || qs_pack_dir_decode(qs_span(reader->data,
		reader->left), frames, chunks, end_off, &dir, &err) != QS_OK)
		return;
	check_dir(&dir, reader->data, end_off);
	qs_pack_dir_clear(&dir);
}

static void
fuzz_entry(struct qs_reader *reader)
{
	uint32_t pack_size = qs_read32(reader);
	const uint8_t *in = qs_read_bytes(reader, FRAME_ENTRY);
	struct qs_frame_entry entry;

	if (in == NULL)
		return;
	qs_frame_entry_decode(in, &entry);
	if (qs_frame_entry_ok(&entry, pack_size) &&
		(uint64_t)entry.off + entry.sealed_len > pack_size)
		abort();
}

static void
fuzz_payload(struct qs_reader *reader)
{
	struct qs_frame_entry entry = {
		.off = QS_PACK_HEAD,
		.plain_len = qs_read32(reader),
		.comp = QS_COMP_ZSTD,
		.kind = QS_KIND_DATA,
	};
	struct qs_unpacker *unpacker = NULL;
	uint8_t *out;
	struct qs_err err;

	if (reader->failed || reader->left > QS_PACK_MAX / 2)
		return;
	entry.sealed_len = (uint32_t)reader->left + QS_TAG_LEN;
	if (!qs_frame_entry_ok(&entry, QS_PACK_MAX))
		return;
	out = malloc(entry.plain_len);
	if (out != NULL && qs_unpacker_new(&unpacker, &err) == QS_OK &&
		qs_frame_unpack(unpacker, &entry,
			qs_span(reader->data, reader->left), out, &err) ==
			QS_OK)
		(void)qs_is_zero(out, entry.plain_len);
	qs_unpacker_free(unpacker);
	free(out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct qs_reader reader = qs_reader(qs_span(data, size));

	switch (qs_read8(&reader)) {
	case 'd':
		fuzz_dir(&reader);
		break;
	case 'e':
		fuzz_entry(&reader);
		break;
	case 'z':
		fuzz_payload(&reader);
		break;
	default:
		break;
	}
	return 0;
}
