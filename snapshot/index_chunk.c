/* SPDX-License-Identifier: ISC */
/*
 * Index chunks, docs/FORMAT.md "Index chunk": copies of packs' directories, so
 * that somebody without an index need not read each pack's own.
 */
#include <stdlib.h>

#include "snapshot/folder_internal.h"

#define INDEX_HEAD 12
#define INDEX_VERSION 1
#define INDEX_PACK 80 /* a pack's fields before its entries */
#define FRAME_LEN 16
#define CHUNK_LEN 48

/* -------------------------------------------------------------- encode */

/* The packs an index chunk is asked for, and where the index has them. */
struct lookup {
	const struct qs_name *name;
	uint32_t number; /* 0: not found */
	struct qs_pack_ref ref;
};

struct lookups {
	struct lookup *items; /* in the caller's order */
	struct lookup **sorted;
	size_t count;
};

static int
by_name(const void *a, const void *b)
{
	const struct lookup *const *left = (const struct lookup *const *)a;
	const struct lookup *const *right = (const struct lookup *const *)b;

	return memcmp((*left)->name->b, (*right)->name->b, 32);
}

static enum qs_code
note_number(void *arg, uint32_t number, const struct qs_pack_ref *ref,
	struct qs_err *err)
{
	struct lookups *lookups = (struct lookups *)arg;
	size_t low = 0, high = lookups->count;

	(void)err;
	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (memcmp(lookups->sorted[mid]->name->b, ref->name.b,
			32) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	for (; low < lookups->count && memcmp(lookups->sorted[low]->name->b,
		ref->name.b, 32) == 0; low++) {
		lookups->sorted[low]->number = number;
		lookups->sorted[low]->ref = *ref;
	}
	return QS_OK;
}

static void
lookups_clear(struct lookups *lookups)
{
	free(lookups->items);
	free(lookups->sorted);
}

/* One scan of the table of packs, which is short. */
static enum qs_code
find_numbers(struct qs_index *index, const struct qs_name *names,
	size_t count, struct lookups *lookups, struct qs_err *err)
{
	lookups->items = calloc(count, sizeof(*lookups->items));
	lookups->sorted = calloc(count, sizeof(*lookups->sorted));
	if (lookups->items == NULL || lookups->sorted == NULL)
		return qs_fail_nomem(err, "making an index chunk");
	for (size_t i = 0; i < count; i++) {
		lookups->items[i].name = &names[i];
		lookups->sorted[i] = &lookups->items[i];
	}
	lookups->count = count;
	qsort(lookups->sorted, count, sizeof(*lookups->sorted), by_name);
	return qs_index_each_pack(index, note_number, lookups, err);
}

static size_t
encoded_len(const struct qs_pack_dir *dir)
{
	return INDEX_PACK + (size_t)dir->frame_count * FRAME_LEN +
		(size_t)dir->chunk_count * CHUNK_LEN;
}

static enum qs_code
put_pack(const struct qs_pack_ref *ref, const struct qs_pack_dir *dir,
	struct qs_buf *out, struct qs_err *err)
{
	uint8_t *at;
	enum qs_code rc = qs_buf_extend(out, encoded_len(dir), &at, err);

	if (rc != QS_OK)
		return rc;
	memcpy(at, ref->name.b, 32);
	qs_store32(at + 32, ref->size);
	qs_store32(at + 36, ref->epoch);
	memcpy(at + 40, ref->salt, 32);
	qs_store32(at + 72, dir->frame_count);
	qs_store32(at + 76, dir->chunk_count);
	at += INDEX_PACK;
	for (uint32_t i = 0; i < dir->frame_count; i++, at += FRAME_LEN)
		qs_frame_entry_encode(&dir->frames[i], at);
	for (uint32_t i = 0; i < dir->chunk_count; i++, at += CHUNK_LEN)
		qs_chunk_entry_encode(&dir->chunks[i], at);
	return QS_OK;
}

/* *fits is false when there is no room for it any more. */
static enum qs_code
add_pack(struct qs_index *index, const struct lookup *lookup,
	struct qs_buf *out, size_t limit, bool *fits, struct qs_err *err)
{
	struct qs_pack_dir dir = {0};
	char hex[QS_HEX_LEN + 1];
	enum qs_code rc;

	if (lookup->number == 0) {
		qs_hex(hex, lookup->name->b, 32);
		return qs_fail(err, QS_ENOTFOUND,
			"object %.16s: is not in the index", hex);
	}
	rc = qs_index_pack_dir(index, lookup->number, &dir, err);
	if (rc != QS_OK)
		return rc;
	*fits = out->len <= limit && encoded_len(&dir) <= limit - out->len;
	if (*fits)
		rc = put_pack(&lookup->ref, &dir, out, err);
	qs_pack_dir_clear(&dir);
	return rc;
}

enum qs_code
qs_index_chunk_encode(struct qs_index *index, const struct qs_name *names,
	size_t count, struct qs_buf *out, size_t *done, struct qs_err *err)
{
	struct lookups lookups = {0};
	size_t old_len = out->len, taken = 0;
	uint8_t head[INDEX_HEAD] = "QSTI";
	bool fits = true;
	enum qs_code rc;

	if (count == 0)
		return qs_fail(err, QS_EINVAL, "an index chunk of no packs");
	qs_store16(head + 4, INDEX_VERSION);
	rc = qs_buf_append(out, head, sizeof(head), err);
	if (rc != QS_OK)
		return rc;
	rc = find_numbers(index, names, count, &lookups, err);
	while (rc == QS_OK && fits && taken < count) {
		rc = add_pack(index, &lookups.items[taken], out,
			old_len + QS_CHUNK_MAX, &fits, err);
		taken += rc == QS_OK && fits;
	}
	if (rc == QS_OK && taken == 0) {
		char hex[QS_HEX_LEN + 1];

		qs_hex(hex, names[0].b, 32);
		rc = qs_fail(err, QS_EUNSUPPORTED, "object %.16s: has too "
			"many chunks for an index chunk", hex);
	}
	lookups_clear(&lookups);
	if (rc != QS_OK) {
		out->len = old_len;
		return rc;
	}
	qs_store32(out->data + old_len + 8, (uint32_t)taken);
	*done = taken;
	return QS_OK;
}

/* -------------------------------------------------------------- decode */

static enum qs_code
corrupt(struct qs_err *err, const char *what)
{
	return qs_fail(err, QS_ECORRUPT, "index chunk: %s", what);
}

static bool
is_pack_size(uint32_t size)
{
	return size >= QS_PACK_MIN && size <= QS_PACK_MAX &&
		(size & (size - 1)) == 0;
}

/*
 * Where the frames end, which is where the directory begins: that follows
 * from the last one, and the codec checks that they all tile up to there.
 */
static bool
find_end(const uint8_t *entries, uint32_t frame_count, uint32_t size,
	uint32_t *end)
{
	struct qs_frame_entry last;

	*end = QS_PACK_HEAD;
	if (frame_count == 0)
		return true;
	qs_frame_entry_decode(entries + (size_t)(frame_count - 1) * FRAME_LEN,
		&last);
	if (last.off > size || last.sealed_len > size - last.off)
		return false;
	*end = last.off + last.sealed_len;
	return true;
}

static enum qs_code
get_pack(struct qs_reader *reader, struct qs_pack_ref *ref,
	struct qs_pack_dir *dir, struct qs_err *err)
{
	const uint8_t *at = qs_read_bytes(reader, INDEX_PACK), *entries;
	uint32_t frames, chunks, end;
	size_t len;

	if (at == NULL)
		return corrupt(err, "ends inside a pack");
	memcpy(ref->name.b, at, 32);
	ref->size = qs_load32(at + 32);
	ref->epoch = qs_load32(at + 36);
	memcpy(ref->salt, at + 40, 32);
	frames = qs_load32(at + 72);
	chunks = qs_load32(at + 76);
	if (!is_pack_size(ref->size) || frames > QS_PACK_CHUNKS ||
		chunks > QS_PACK_CHUNKS)
		return corrupt(err, "a pack's size or counts can't be");
	len = (size_t)frames * FRAME_LEN + (size_t)chunks * CHUNK_LEN;
	entries = qs_read_bytes(reader, len);
	if (entries == NULL)
		return corrupt(err, "ends inside a pack");
	if (!find_end(entries, frames, ref->size, &end) ||
		len + QS_TAG_LEN > ref->size - end)
		return corrupt(err, "a frame lies outside its pack");
	return qs_pack_dir_decode(qs_span(entries, len), frames, chunks, end,
		dir, err);
}

enum qs_code
qs_index_chunk_decode(struct qs_span bytes, qs_index_chunk_fn fn, void *arg,
	struct qs_err *err)
{
	struct qs_reader reader = qs_reader(bytes);
	const uint8_t *magic = qs_read_bytes(&reader, 4);
	uint16_t version = qs_read16(&reader), zero = qs_read16(&reader);
	uint32_t count = qs_read32(&reader);
	enum qs_code rc = QS_OK;

	if (bytes.len > QS_CHUNK_MAX || magic == NULL || reader.failed ||
		memcmp(magic, "QSTI", 4) != 0)
		return corrupt(err, "does not begin as one");
	if (version != INDEX_VERSION)
		return qs_fail(err, QS_EUNSUPPORTED, "index chunk of version "
			"%u: made by a newer version of qstore", version);
	if (zero != 0 || count == 0 || count > reader.left / INDEX_PACK)
		return corrupt(err, "has a count that can't be");
	for (uint32_t i = 0; rc == QS_OK && i < count; i++) {
		struct qs_pack_ref ref;
		struct qs_pack_dir dir = {0};

		rc = get_pack(&reader, &ref, &dir, err);
		if (rc == QS_OK && i == count - 1 && reader.left != 0)
			rc = corrupt(err, "has bytes behind its end");
		if (rc == QS_OK)
			rc = fn(arg, &ref, &dir, err);
		qs_pack_dir_clear(&dir);
	}
	return rc;
}
