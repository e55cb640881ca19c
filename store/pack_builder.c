/* SPDX-License-Identifier: ISC */
/* Packs, out: frames are laid at their final offsets and sealed in place. */
#include <assert.h>
#include <stdlib.h>

#include "store/store_internal.h"

#define TAIL_JITTER 32768

/*
 * Until it is sealed, object holds the frames' payloads, each followed by
 * QS_TAG_LEN bytes of room for its tag: no byte moves when it is sealed.
 */
struct qs_pack_builder {
	const struct qs_keys *keys; /* borrowed */
	struct qs_aead *aead;
	uint8_t *okm;    /* locked, PACK_OKM bytes */
	uint8_t *object; /* QS_PACK_MAX bytes */
	struct qs_frame_entry *frames; /* QS_PACK_CHUNKS of them */
	struct qs_chunk_entry *chunks; /* QS_PACK_CHUNKS of them */
	uint32_t frame_count, chunk_count;
	uint32_t end;  /* of the frames: where the directory will be */
	uint32_t size; /* of the sealed object; 0 before */
	uint8_t salt[32];
};

enum qs_code
qs_pack_builder_new(const struct qs_keys *keys, struct qs_pack_builder **out,
	struct qs_err *err)
{
	enum qs_code rc;
	struct qs_pack_builder *builder = calloc(1, sizeof(*builder));

	if (builder == NULL)
		return qs_fail_nomem(err, "setting up a pack");
	builder->keys = keys;
	rc = qs_aead_new(QS_AEAD_BEST, &builder->aead, err);
	if (rc != QS_OK)
		goto out;
	/*
	 * The entries' arrays have their greatest size from the start, so
	 * that adding cannot fail; the system gives pages as they are used.
	 */
	builder->okm = qs_secret_alloc(PACK_OKM);
	builder->object = malloc(QS_PACK_MAX);
	builder->frames = calloc(QS_PACK_CHUNKS, sizeof(*builder->frames));
	builder->chunks = calloc(QS_PACK_CHUNKS, sizeof(*builder->chunks));
	if (builder->okm == NULL || builder->object == NULL ||
		builder->frames == NULL || builder->chunks == NULL) {
		rc = qs_fail_nomem(err, "setting up a pack");
		goto out;
	}
	qs_pack_builder_reset(builder);
	*out = builder;
	builder = NULL; /* handed over */
out:
	qs_pack_builder_free(builder);
	return rc;
}

void
qs_pack_builder_free(struct qs_pack_builder *builder)
{
	if (builder == NULL)
		return;
	qs_aead_free(builder->aead);
	qs_secret_free(builder->okm);
	free(builder->object);
	free(builder->frames);
	free(builder->chunks);
	free(builder);
}

void
qs_pack_builder_reset(struct qs_pack_builder *builder)
{
	builder->frame_count = 0;
	builder->chunk_count = 0;
	builder->end = QS_PACK_HEAD;
	builder->size = 0;
}

bool
qs_pack_builder_is_empty(const struct qs_pack_builder *builder)
{
	return builder->frame_count == 0;
}

static size_t
directory_len(size_t frame_count, size_t chunk_count)
{
	return FRAME_ENTRY * frame_count + CHUNK_ENTRY * chunk_count;
}

bool
qs_pack_builder_fits(const struct qs_pack_builder *builder,
	size_t payload_len, size_t chunk_count)
{
	size_t frames = (size_t)builder->frame_count + 1;
	size_t chunks;

	/* With these bounds no sum below can overflow. */
	if (payload_len > QS_CHUNK_MAX || chunk_count > QS_PACK_CHUNKS)
		return false;
	chunks = builder->chunk_count + chunk_count;
	if (frames > QS_PACK_CHUNKS || chunks > QS_PACK_CHUNKS)
		return false;
	return builder->end + payload_len + QS_TAG_LEN +
		directory_len(frames, chunks) + QS_TAG_LEN <= QS_PACK_MAX;
}

void
qs_pack_builder_add(struct qs_pack_builder *builder, enum qs_kind kind,
	uint8_t domain, enum qs_comp comp, struct qs_span payload,
	uint32_t plain_len, const struct qs_chunk_entry *chunks, size_t count)
{
	struct qs_frame_entry entry = {
		.off = builder->end,
		.sealed_len = (uint32_t)(payload.len + QS_TAG_LEN),
		.plain_len = plain_len,
		.comp = (uint8_t)comp,
		.kind = (uint8_t)kind,
		.domain = domain,
	};

	assert(builder->size == 0);
	assert(qs_pack_builder_fits(builder, payload.len, count));
	assert(qs_frame_entry_within(&entry, QS_PACK_MAX));
	memcpy(builder->object + entry.off, payload.data, payload.len);
	for (size_t i = 0; i < count; i++) {
		struct qs_chunk_entry *chunk =
			&builder->chunks[builder->chunk_count++];

		assert(chunks[i].len > 0 && chunks[i].off <= plain_len &&
			chunks[i].len <= plain_len - chunks[i].off);
		*chunk = chunks[i];
		chunk->frame = builder->frame_count;
	}
	builder->end = entry.off + entry.sealed_len;
	builder->frames[builder->frame_count++] = entry;
}

/* The least power of two that holds len bytes, within the classes. */
static uint32_t
class_size(size_t len)
{
	uint32_t size = QS_PACK_MIN;

	while (size < len && size < QS_PACK_MAX)
		size *= 2;
	return size;
}

/*
 * The salt depends on the content's ids besides the random bytes: a virtual
 * machine that was cloned or rolled back may draw the same random bytes again,
 * and must not then seal other content under the same key.
 */
static void
make_salt(struct qs_pack_builder *builder, struct qs_span entries,
	const uint8_t random[static 32])
{
	uint8_t msg[64];

	memcpy(msg, random, 32);
	qs_hash_plain(msg + 32, 32, entries);
	qs_b2b(builder->salt, 32, builder->keys->pack, "salt", msg,
		sizeof(msg));
}

static enum qs_code
seal_frames(struct qs_pack_builder *builder, struct qs_err *err)
{
	const uint8_t *entries = builder->object + builder->end;

	for (uint32_t i = 0; i < builder->frame_count; i++) {
		const struct qs_frame_entry *frame = &builder->frames[i];
		uint8_t *at = builder->object + frame->off;
		enum qs_code rc = qs_aead_seal(builder->aead, i + 1,
			qs_span(entries + (size_t)FRAME_ENTRY * i,
				FRAME_ENTRY),
			at, frame->sealed_len - QS_TAG_LEN, at, err);

		if (rc != QS_OK)
			return rc;
	}
	return QS_OK;
}

static enum qs_code
seal_superblock(struct qs_pack_builder *builder, uint32_t object_len,
	struct qs_err *err)
{
	uint8_t *at = builder->object + PACK_HEADER;

	memset(at, 0, PACK_SUPER);
	qs_store32(at, builder->end);
	qs_store32(at + 4, object_len - builder->end);
	qs_store32(at + 8, builder->frame_count);
	qs_store32(at + 12, builder->chunk_count);
	qs_store32(at + 16, object_len);
	return qs_aead_seal(builder->aead, 0,
		qs_span(builder->object, PACK_HEADER), at, PACK_SUPER, at,
		err);
}

/* Lay the directory's plaintext down, with its padding, at builder->end. */
static struct qs_span
lay_directory(struct qs_pack_builder *builder, uint32_t object_len)
{
	uint8_t *start = builder->object + builder->end, *at = start;
	uint8_t *limit = builder->object + object_len;

	for (uint32_t i = 0; i < builder->frame_count; i++) {
		qs_frame_entry_encode(&builder->frames[i], at);
		at += FRAME_ENTRY;
	}
	for (uint32_t i = 0; i < builder->chunk_count; i++) {
		qs_chunk_entry_encode(&builder->chunks[i], at);
		at += CHUNK_ENTRY;
	}
	memset(at, 0, (size_t)(limit - at));
	return qs_span(start, (size_t)(at - start));
}

enum qs_code
qs_pack_builder_seal_seeded(struct qs_pack_builder *builder, bool is_tail,
	const struct qs_pack_seed *seed, struct qs_span *object,
	struct qs_err *err)
{
	enum qs_code rc;
	size_t needed = builder->end + QS_TAG_LEN +
		directory_len(builder->frame_count, builder->chunk_count);
	uint32_t size = class_size(needed + (is_tail ? seed->jitter : 0));
	struct qs_span entries;
	uint8_t *dir = builder->object + builder->end;

	assert(builder->size == 0 && needed <= QS_PACK_MAX);
	entries = lay_directory(builder, size);
	make_salt(builder, entries, seed->random);
	qs_pack_header(builder->keys, builder->salt, builder->object);
	qs_pack_okm(builder->keys, builder->object, builder->okm);
	memcpy(builder->object + PACK_KEYED, builder->okm + 32, 32);
	rc = qs_aead_set_key(builder->aead, builder->okm, err);
	/* The frames first: their entries, still in the clear, are the AAD. */
	if (rc == QS_OK)
		rc = seal_frames(builder, err);
	if (rc == QS_OK)
		rc = qs_aead_seal(builder->aead, builder->frame_count + 1,
			qs_span("dir", 3), dir,
			size - builder->end - QS_TAG_LEN, dir, err);
	if (rc == QS_OK)
		rc = seal_superblock(builder, size, err);
	qs_wipe(builder->okm, PACK_OKM);
	if (rc != QS_OK)
		return qs_fail_while(err, "seal a pack");
	builder->size = size;
	*object = qs_span(builder->object, size);
	return QS_OK;
}

enum qs_code
qs_pack_builder_seal(struct qs_pack_builder *builder, bool is_tail,
	struct qs_span *object, struct qs_err *err)
{
	struct qs_pack_seed seed;

	qs_random(seed.random, sizeof(seed.random));
	seed.jitter = is_tail ? qs_random_below(TAIL_JITTER) : 0;
	return qs_pack_builder_seal_seeded(builder, is_tail, &seed, object,
		err);
}

void
qs_pack_builder_ref(const struct qs_pack_builder *builder,
	struct qs_pack_ref *ref)
{
	assert(builder->size != 0);
	ref->size = builder->size;
	ref->epoch = builder->keys->epoch;
	memcpy(ref->salt, builder->salt, sizeof(ref->salt));
}

void
qs_pack_builder_dir(const struct qs_pack_builder *builder,
	struct qs_pack_dir *dir)
{
	dir->frames = builder->frames;
	dir->chunks = builder->chunks;
	dir->frame_count = builder->frame_count;
	dir->chunk_count = builder->chunk_count;
}
