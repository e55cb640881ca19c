/* SPDX-License-Identifier: ISC */
/* Frame and chunk entries on their way in and out: nothing out of bounds. */
#include <assert.h>
#include <stdlib.h>

#include "index/index_internal.h"

static_assert(QS_INDEX_FRAME == 16 && QS_INDEX_CHUNK == 48,
	"entries are as FORMAT.md has them");
static_assert(sizeof(struct qs_id) == 32 && sizeof(struct qs_name) == 32,
	"ids and names are 32 bytes");

bool
qs_index_ref_ok(const struct qs_pack_ref *ref)
{
	return ref->size >= QS_PACK_MIN && ref->size <= QS_PACK_MAX;
}

static bool
frame_ok(const struct qs_frame_entry *frame, uint32_t pack_size)
{
	return frame->off >= QS_PACK_HEAD && frame->off <= pack_size &&
		frame->sealed_len != 0 &&
		frame->sealed_len <= pack_size - frame->off &&
		frame->plain_len <= QS_CHUNK_MAX &&
		frame->comp <= QS_COMP_ZSTD &&
		frame->kind >= QS_KIND_DATA && frame->kind <= QS_KIND_LIST;
}

static bool
chunk_ok(const struct qs_chunk_entry *chunk,
	const struct qs_frame_entry *frames, uint32_t frame_count)
{
	uint32_t plain_len;

	if (chunk->frame >= frame_count)
		return false;
	plain_len = frames[chunk->frame].plain_len;
	return chunk->off <= plain_len && chunk->len <= plain_len - chunk->off;
}

bool
qs_index_dir_ok(const struct qs_pack_ref *ref, const struct qs_pack_dir *dir)
{
	if (!qs_index_ref_ok(ref) || dir->frame_count > QS_PACK_CHUNKS ||
		dir->chunk_count > QS_PACK_CHUNKS)
		return false;
	for (uint32_t i = 0; i < dir->frame_count; i++) {
		if (!frame_ok(&dir->frames[i], ref->size))
			return false;
	}
	for (uint32_t i = 0; i < dir->chunk_count; i++) {
		if (!chunk_ok(&dir->chunks[i], dir->frames, dir->frame_count))
			return false;
	}
	return true;
}

enum qs_code
qs_index_frames_load(struct qs_index *index, struct qs_span blob,
	uint32_t pack_size, struct qs_frame_entry **out, uint32_t *count,
	struct qs_err *err)
{
	const uint8_t *in = blob.data;
	size_t n = blob.len / QS_INDEX_FRAME;
	struct qs_frame_entry *frames;

	if (blob.len % QS_INDEX_FRAME != 0 || n > QS_PACK_CHUNKS)
		return qs_db_damaged(&index->db, err);
	/* One more, so that none is an array too. */
	frames = calloc(n + 1, sizeof(*frames));
	if (frames == NULL)
		return qs_fail_nomem(err, "reading a pack's frames");
	for (size_t i = 0; i < n; i++, in += QS_INDEX_FRAME) {
		frames[i].off = qs_load32(in);
		frames[i].sealed_len = qs_load32(in + 4);
		frames[i].plain_len = qs_load32(in + 8);
		frames[i].comp = in[12];
		frames[i].kind = in[13];
		frames[i].domain = in[14];
		if (in[15] != 0 || !frame_ok(&frames[i], pack_size)) {
			free(frames);
			return qs_db_damaged(&index->db, err);
		}
	}
	*out = frames;
	*count = (uint32_t)n;
	return QS_OK;
}

enum qs_code
qs_index_chunks_load(struct qs_index *index, struct qs_span blob,
	const struct qs_frame_entry *frames, uint32_t frame_count,
	struct qs_chunk_entry **out, uint32_t *count, struct qs_err *err)
{
	const uint8_t *in = blob.data;
	size_t n = blob.len / QS_INDEX_CHUNK;
	struct qs_chunk_entry *chunks;

	if (blob.len % QS_INDEX_CHUNK != 0 || n > QS_PACK_CHUNKS)
		return qs_db_damaged(&index->db, err);
	chunks = calloc(n + 1, sizeof(*chunks));
	if (chunks == NULL)
		return qs_fail_nomem(err, "reading a pack's chunks");
	for (size_t i = 0; i < n; i++, in += QS_INDEX_CHUNK) {
		memcpy(chunks[i].id.b, in, sizeof(chunks[i].id.b));
		chunks[i].frame = qs_load32(in + 32);
		chunks[i].off = qs_load32(in + 36);
		chunks[i].len = qs_load32(in + 40);
		if (qs_load32(in + 44) != 0 ||
			!chunk_ok(&chunks[i], frames, frame_count)) {
			free(chunks);
			return qs_db_damaged(&index->db, err);
		}
	}
	*out = chunks;
	*count = (uint32_t)n;
	return QS_OK;
}
