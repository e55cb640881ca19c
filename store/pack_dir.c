/* SPDX-License-Identifier: ISC */
/* The codec of a pack's directory: hostile plaintext in, entries out. */
#include <inttypes.h>
#include <stdlib.h>

#include "store/store_internal.h"

/*
 * frame entry 16: u32 off, u32 sealed_len, u32 plain_len, u8 comp, u8 kind,
 *                 u8 domain, u8 0
 * chunk entry 48: id 32, u32 frame, u32 off, u32 len, u32 0
 */

void
qs_frame_entry_encode(const struct qs_frame_entry *entry,
	uint8_t out[static FRAME_ENTRY])
{
	qs_store32(out, entry->off);
	qs_store32(out + 4, entry->sealed_len);
	qs_store32(out + 8, entry->plain_len);
	out[12] = entry->comp;
	out[13] = entry->kind;
	out[14] = entry->domain;
	out[15] = 0;
}

void
qs_frame_entry_decode(const uint8_t in[static FRAME_ENTRY],
	struct qs_frame_entry *out)
{
	out->off = qs_load32(in);
	out->sealed_len = qs_load32(in + 4);
	out->plain_len = qs_load32(in + 8);
	out->comp = in[12];
	out->kind = in[13];
	out->domain = in[14];
}

void
qs_chunk_entry_encode(const struct qs_chunk_entry *entry,
	uint8_t out[static CHUNK_ENTRY])
{
	memcpy(out, entry->id.b, 32);
	qs_store32(out + 32, entry->frame);
	qs_store32(out + 36, entry->off);
	qs_store32(out + 40, entry->len);
	qs_store32(out + 44, 0);
}

void
qs_chunk_entry_decode(const uint8_t in[static CHUNK_ENTRY],
	struct qs_chunk_entry *out)
{
	memcpy(out->id.b, in, 32);
	out->frame = qs_load32(in + 32);
	out->off = qs_load32(in + 36);
	out->len = qs_load32(in + 40);
}

bool
qs_frame_entry_within(const struct qs_frame_entry *entry, size_t limit)
{
	uint32_t payload_len;

	if (entry->off < QS_PACK_HEAD || entry->off > limit ||
		entry->sealed_len <= QS_TAG_LEN ||
		entry->sealed_len > limit - entry->off)
		return false;
	if (entry->plain_len == 0 || entry->plain_len > QS_CHUNK_MAX)
		return false;
	if (entry->kind < QS_KIND_DATA || entry->kind > QS_KIND_LIST)
		return false;
	payload_len = entry->sealed_len - QS_TAG_LEN;
	if (entry->comp == QS_COMP_RAW)
		return payload_len == entry->plain_len;
	/* One form only: what does not shrink is stored raw. */
	return entry->comp == QS_COMP_ZSTD && payload_len < entry->plain_len;
}

bool
qs_frame_entry_ok(const struct qs_frame_entry *entry, uint32_t pack_size)
{
	/* At least the directory's tag comes after the frames. */
	return pack_size >= QS_PACK_MIN && pack_size <= QS_PACK_MAX &&
		qs_frame_entry_within(entry, pack_size - QS_TAG_LEN);
}

void
qs_pack_dir_clear(struct qs_pack_dir *dir)
{
	free(dir->frames);
	free(dir->chunks);
	memset(dir, 0, sizeof(*dir));
}

/* frames[] must tile [QS_PACK_HEAD, end_off): no gap, no overlap. */
static enum qs_code
decode_frames(const uint8_t *in, uint32_t end_off, struct qs_pack_dir *dir,
	struct qs_err *err)
{
	uint32_t next = QS_PACK_HEAD;

	for (uint32_t i = 0; i < dir->frame_count; i++) {
		struct qs_frame_entry *frame = &dir->frames[i];

		qs_frame_entry_decode(in, frame);
		if (in[FRAME_ENTRY - 1] != 0 || frame->off != next ||
			!qs_frame_entry_within(frame, end_off))
			return qs_fail(err, QS_ECORRUPT, "directory: frame "
				"%" PRIu32 " is out of bounds", i);
		next = frame->off + frame->sealed_len;
		in += FRAME_ENTRY;
	}
	if (next != end_off)
		return qs_fail(err, QS_ECORRUPT,
			"directory: frames do not reach up to it");
	return QS_OK;
}

static bool
chunk_ok(const struct qs_chunk_entry *chunk, const struct qs_pack_dir *dir)
{
	uint32_t plain_len;

	if (chunk->frame >= dir->frame_count)
		return false;
	plain_len = dir->frames[chunk->frame].plain_len;
	return chunk->len != 0 && chunk->off <= plain_len &&
		chunk->len <= plain_len - chunk->off;
}

/* Chunks are in the order of their frames and lie within them. */
static enum qs_code
decode_chunks(const uint8_t *in, struct qs_pack_dir *dir, struct qs_err *err)
{
	uint32_t least = 0;

	for (uint32_t i = 0; i < dir->chunk_count; i++) {
		struct qs_chunk_entry *chunk = &dir->chunks[i];

		qs_chunk_entry_decode(in, chunk);
		if (qs_load32(in + CHUNK_ENTRY - 4) != 0 ||
			chunk->frame < least || !chunk_ok(chunk, dir))
			return qs_fail(err, QS_ECORRUPT, "directory: chunk "
				"%" PRIu32 " is out of bounds", i);
		least = chunk->frame;
		in += CHUNK_ENTRY;
	}
	return QS_OK;
}

static enum qs_code
allocate(struct qs_pack_dir *dir, struct qs_err *err)
{
	/* One more, so that an empty directory has arrays too. */
	dir->frames = calloc((size_t)dir->frame_count + 1,
		sizeof(*dir->frames));
	dir->chunks = calloc((size_t)dir->chunk_count + 1,
		sizeof(*dir->chunks));
	if (dir->frames == NULL || dir->chunks == NULL)
		return qs_fail_nomem(err, "reading a pack's directory");
	return QS_OK;
}

enum qs_code
qs_pack_dir_decode(struct qs_span plain, uint32_t frame_count,
	uint32_t chunk_count, uint32_t end_off, struct qs_pack_dir *out,
	struct qs_err *err)
{
	enum qs_code rc;
	struct qs_pack_dir dir = {
		.frame_count = frame_count,
		.chunk_count = chunk_count,
	};
	size_t frames_len, used;

	if (frame_count > QS_PACK_CHUNKS || chunk_count > QS_PACK_CHUNKS)
		return qs_fail(err, QS_ECORRUPT,
			"directory: too many entries");
	frames_len = (size_t)FRAME_ENTRY * frame_count;
	used = frames_len + (size_t)CHUNK_ENTRY * chunk_count;
	if (used > plain.len)
		return qs_fail(err, QS_ECORRUPT,
			"directory: shorter than its entries");
	if (!qs_is_zero(plain.data + used, plain.len - used))
		return qs_fail(err, QS_ECORRUPT,
			"directory: padding is not zero");
	rc = allocate(&dir, err);
	if (rc == QS_OK)
		rc = decode_frames(plain.data, end_off, &dir, err);
	if (rc == QS_OK)
		rc = decode_chunks(plain.data + frames_len, &dir, err);
	if (rc != QS_OK)
		goto out;
	*out = dir;
	memset(&dir, 0, sizeof(dir)); /* handed over */
out:
	qs_pack_dir_clear(&dir);
	return rc;
}
