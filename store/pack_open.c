/* SPDX-License-Identifier: ISC */
/* Packs, in: nothing is parsed before what covers it has verified. */
#include <inttypes.h>
#include <stdlib.h>

#include "store/store_internal.h"

struct qs_opener {
	const struct qs_keys *keys; /* borrowed */
	struct qs_aead *aead;
	struct qs_unpacker *unpacker;
	uint8_t *okm;     /* locked, PACK_OKM bytes, of the pack with salt */
	bool has_key;     /* okm and aead are set */
	uint8_t salt[32];
	struct qs_buf payload; /* scratch */
};

enum qs_code
qs_opener_new(const struct qs_keys *keys, struct qs_opener **out,
	struct qs_err *err)
{
	enum qs_code rc;
	struct qs_opener *opener = calloc(1, sizeof(*opener));

	if (opener == NULL)
		return qs_fail_nomem(err, "setting up to open packs");
	opener->keys = keys;
	rc = qs_aead_new(QS_AEAD_BEST, &opener->aead, err);
	if (rc != QS_OK)
		goto out;
	rc = qs_unpacker_new(&opener->unpacker, err);
	if (rc != QS_OK)
		goto out;
	opener->okm = qs_secret_alloc(PACK_OKM);
	if (opener->okm == NULL) {
		rc = qs_fail_nomem(err, "setting up to open packs");
		goto out;
	}
	*out = opener;
	opener = NULL; /* handed over */
out:
	qs_opener_free(opener);
	return rc;
}

void
qs_opener_free(struct qs_opener *opener)
{
	if (opener == NULL)
		return;
	qs_aead_free(opener->aead);
	qs_unpacker_free(opener->unpacker);
	qs_secret_free(opener->okm);
	qs_buf_clear(&opener->payload);
	free(opener);
}

/* Derive the key of the pack with this salt, unless it is the last one's. */
static enum qs_code
use_salt(struct qs_opener *opener, const uint8_t salt[static 32],
	struct qs_err *err)
{
	uint8_t header[PACK_KEYED];
	enum qs_code rc;

	if (opener->has_key && memcmp(opener->salt, salt, 32) == 0)
		return QS_OK;
	opener->has_key = false;
	qs_pack_header(opener->keys, salt, header);
	qs_pack_okm(opener->keys, header, opener->okm);
	rc = qs_aead_set_key(opener->aead, opener->okm, err);
	if (rc != QS_OK)
		return rc;
	memcpy(opener->salt, salt, 32);
	opener->has_key = true;
	return QS_OK;
}

static enum qs_code
check_epoch(const struct qs_opener *opener, const struct qs_name *name,
	uint32_t epoch, struct qs_err *err)
{
	if (epoch == opener->keys->epoch)
		return QS_OK;
	return qs_fail(err, QS_EKEY, "object %s: sealed with the key of epoch "
		"%" PRIu32 ", which is not at hand", qs_short_name(name).hex,
		epoch);
}

static enum qs_code
check_header(const struct qs_opener *opener, const struct qs_name *name,
	const uint8_t *header, struct qs_err *err)
{
	if (qs_pack_header_check(header, opener->keys->folder_id, err) != QS_OK)
		return qs_fail_while(err, "object %s",
			qs_short_name(name).hex);
	return check_epoch(opener, name, qs_load32(header + 12), err);
}

/* Counts and bounds before anything is allocated by them. */
static bool
superblock_ok(const uint8_t *plain, const struct qs_pack_head *head)
{
	uint64_t least = (uint64_t)FRAME_ENTRY * head->frame_count +
		(uint64_t)CHUNK_ENTRY * head->chunk_count + QS_TAG_LEN;

	return qs_load32(plain + 16) == head->ref.size &&
		qs_is_zero(plain + 20, PACK_SUPER - 20) &&
		head->frame_count <= QS_PACK_CHUNKS &&
		head->chunk_count <= QS_PACK_CHUNKS &&
		head->dir_off >= QS_PACK_HEAD && head->dir_len >= least &&
		(uint64_t)head->dir_off + head->dir_len == head->ref.size;
}

enum qs_code
qs_pack_open_head(struct qs_opener *opener, const struct qs_name *name,
	struct qs_span first, uint64_t size, struct qs_pack_head *out,
	struct qs_err *err)
{
	struct qs_short hex = qs_short_name(name);
	struct qs_pack_head head = {.ref = {.name = *name}};
	uint8_t plain[PACK_SUPER];
	enum qs_code rc;

	if (!qs_pack_is_size(size) || first.len < QS_PACK_HEAD)
		return qs_fail(err, QS_ECORRUPT, "object %s: %" PRIu64
			" bytes is not the length of a pack", hex.hex, size);
	rc = check_header(opener, name, first.data, err);
	if (rc != QS_OK)
		return rc;
	rc = use_salt(opener, first.data + 32, err);
	if (rc != QS_OK)
		return qs_fail_while(err, "object %s", hex.hex);
	/* The folder id pins the key: a mismatch means changed bytes. */
	if (!qs_equal(first.data + PACK_KEYED, opener->okm + 32, 32))
		return qs_fail(err, QS_ECORRUPT, "object %s: its commitment "
			"does not match the folder's key: damaged or forged",
			hex.hex);
	rc = qs_aead_open(opener->aead, 0, qs_span(first.data, PACK_HEADER),
		qs_span(first.data + PACK_HEADER, PACK_SUPER + QS_TAG_LEN),
		plain, err);
	if (rc == QS_ECORRUPT)
		return qs_fail(err, rc, "object %s: its superblock does not "
			"verify: damaged or forged", hex.hex);
	if (rc != QS_OK)
		return qs_fail_while(err, "object %s", hex.hex);
	head.ref.size = (uint32_t)size;
	head.ref.epoch = qs_load32(first.data + 12);
	memcpy(head.ref.salt, first.data + 32, 32);
	head.dir_off = qs_load32(plain);
	head.dir_len = qs_load32(plain + 4);
	head.frame_count = qs_load32(plain + 8);
	head.chunk_count = qs_load32(plain + 12);
	if (!superblock_ok(plain, &head))
		return qs_fail(err, QS_ECORRUPT,
			"object %s: its superblock is out of bounds", hex.hex);
	*out = head;
	return QS_OK;
}

enum qs_code
qs_pack_open_dir(struct qs_opener *opener, const struct qs_pack_head *head,
	struct qs_span sealed, struct qs_pack_dir *out, struct qs_err *err)
{
	struct qs_short hex = qs_short_name(&head->ref.name);
	enum qs_code rc = check_epoch(opener, &head->ref.name,
		head->ref.epoch, err);
	uint8_t *plain = NULL;

	if (rc != QS_OK)
		return rc;
	if (sealed.len != head->dir_len || sealed.len < QS_TAG_LEN ||
		sealed.len > QS_PACK_MAX)
		return qs_fail(err, QS_ECORRUPT,
			"object %s: its directory is cut short", hex.hex);
	plain = malloc(sealed.len);
	if (plain == NULL)
		return qs_fail_nomem(err, "reading a pack's directory");
	rc = use_salt(opener, head->ref.salt, err);
	if (rc == QS_OK)
		rc = qs_aead_open(opener->aead, head->frame_count + 1,
			qs_span("dir", 3), sealed, plain, err);
	if (rc == QS_ECORRUPT) {
		rc = qs_fail(err, rc, "object %s: its directory does not "
			"verify: damaged or forged", hex.hex);
		goto out;
	}
	if (rc == QS_OK)
		rc = qs_pack_dir_decode(
			qs_span(plain, sealed.len - QS_TAG_LEN),
			head->frame_count, head->chunk_count, head->dir_off,
			out, err);
	if (rc != QS_OK)
		rc = qs_fail_while(err, "object %s", hex.hex);
out:
	free(plain);
	return rc;
}

enum qs_code
qs_pack_open(struct qs_opener *opener, const struct qs_name *name,
	struct qs_span object, struct qs_pack_head *head,
	struct qs_pack_dir *dir, struct qs_err *err)
{
	struct qs_pack_head found;
	enum qs_code rc = qs_pack_open_head(opener, name, object, object.len,
		&found, err);

	if (rc != QS_OK)
		return rc;
	rc = qs_pack_open_dir(opener, &found,
		qs_span(object.data + found.dir_off, found.dir_len), dir, err);
	if (rc == QS_OK)
		*head = found;
	return rc;
}

/* Decrypt a frame: to out if it is raw, else to the scratch buffer. */
static enum qs_code
decrypt_frame(struct qs_opener *opener, uint32_t frame_number,
	const struct qs_frame_entry *entry, struct qs_span sealed,
	uint8_t *out, struct qs_err *err)
{
	uint8_t aad[FRAME_ENTRY];
	enum qs_code rc = QS_OK;

	if (entry->comp != QS_COMP_RAW) {
		rc = qs_buf_reserve(&opener->payload, sealed.len, err);
		if (rc != QS_OK)
			return rc;
		out = opener->payload.data;
	}
	qs_frame_entry_encode(entry, aad);
	rc = qs_aead_open(opener->aead, frame_number + 1,
		qs_span(aad, sizeof(aad)), sealed, out, err);
	if (rc == QS_ECORRUPT)
		return qs_fail(err, rc, "does not verify: damaged or forged");
	return rc;
}

enum qs_code
qs_frame_open(struct qs_opener *opener, const struct qs_pack_ref *ref,
	uint32_t frame_number, const struct qs_frame_entry *entry,
	struct qs_span sealed, uint8_t *out, struct qs_err *err)
{
	struct qs_short hex = qs_short_name(&ref->name);
	enum qs_code rc = check_epoch(opener, &ref->name, ref->epoch, err);

	if (rc != QS_OK)
		return rc;
	if (frame_number >= QS_PACK_CHUNKS ||
		!qs_frame_entry_ok(entry, ref->size))
		return qs_fail(err, QS_ECORRUPT, "object %s: the entry of "
			"frame %" PRIu32 " is out of bounds", hex.hex,
			frame_number);
	if (sealed.len != entry->sealed_len)
		return qs_fail(err, QS_ECORRUPT, "object %s: frame %" PRIu32
			" is cut short", hex.hex, frame_number);
	rc = use_salt(opener, ref->salt, err);
	if (rc == QS_OK)
		rc = decrypt_frame(opener, frame_number, entry, sealed, out,
			err);
	if (rc == QS_OK && entry->comp != QS_COMP_RAW)
		rc = qs_frame_unpack(opener->unpacker, entry,
			qs_span(opener->payload.data, sealed.len - QS_TAG_LEN),
			out, err);
	if (rc != QS_OK)
		return qs_fail_while(err, "object %s: frame %" PRIu32,
			hex.hex, frame_number);
	return QS_OK;
}

enum qs_code
qs_chunk_check(const struct qs_keys *keys, const struct qs_pack_ref *ref,
	const struct qs_frame_entry *frame, const struct qs_chunk_entry *chunk,
	struct qs_span frame_plain, struct qs_span *plain, struct qs_err *err)
{
	struct qs_short hex = qs_short_name(&ref->name);
	struct qs_span found;
	struct qs_id id;

	if (chunk->off > frame_plain.len ||
		chunk->len > frame_plain.len - chunk->off)
		return qs_fail(err, QS_ECORRUPT, "object %s: a chunk of frame "
			"%" PRIu32 " is out of bounds", hex.hex, chunk->frame);
	found = qs_span(frame_plain.data + chunk->off, chunk->len);
	qs_chunk_id(keys, frame->kind, frame->domain, found, &id);
	if (!qs_equal(id.b, chunk->id.b, sizeof(id.b)))
		return qs_fail(err, QS_ECORRUPT, "object %s: a chunk of frame "
			"%" PRIu32 " is not what its id says", hex.hex,
			chunk->frame);
	*plain = found;
	return QS_OK;
}
