/* SPDX-License-Identifier: ISC */
/* Rows that wait in memory for the next flush, and how to find one of them. */
#include <stdlib.h>

#include "index/index_internal.h"

#define SLOTS_MIN 256

const uint8_t *
qs_index_new_entry(const struct qs_index_rows *rows,
	const struct qs_index_new_chunk *chunk)
{
	uint32_t count;
	const struct qs_index_new_pack *pack =
		&qs_index_new_packs(rows, &count)[chunk->pack];

	return rows->bytes.data + pack->at +
		(size_t)pack->frame_count * QS_INDEX_FRAME +
		(size_t)chunk->entry * QS_INDEX_CHUNK;
}

size_t
qs_index_rows_size(const struct qs_index_rows *rows)
{
	return rows->bytes.len + rows->packs.len + rows->chunks.len +
		rows->dirs.len + rows->facts.len + rows->names.len;
}

/* ------------------------------------------------------------ lookup */

static const uint8_t *
key_of(const struct qs_index_rows *rows, enum qs_index_set set, uint32_t row)
{
	uint32_t count;

	if (set == QS_SET_CHUNKS)
		return qs_index_new_entry(rows,
			&qs_index_new_chunks(rows, &count)[row]);
	if (set == QS_SET_PACKS)
		return qs_index_new_packs(rows, &count)[row].ref.name.b;
	return qs_index_new_dirs(rows, &count)[row].key;
}

static size_t
key_len(enum qs_index_set set)
{
	return set == QS_SET_DIRS ? QS_DIR_KEY_LEN : sizeof(struct qs_id);
}

/* The slot that holds the key, or the free one where it would go. */
static size_t
find_slot(const struct qs_index_rows *rows, enum qs_index_set set,
	const uint8_t *key)
{
	const struct qs_index_slots *slots = &rows->slots[set];
	size_t len = key_len(set);
	/* Keys are hashes already; the product spreads those of tests. */
	uint64_t hash = (qs_load64(key) ^ qs_load64(key + len - 8)) *
		UINT64_C(0x9e3779b97f4a7c15);
	size_t at = (size_t)(hash >> 32) & (slots->cap - 1);

	while (slots->at[at] != 0 &&
		memcmp(key_of(rows, set, slots->at[at] - 1), key, len) != 0)
		at = (at + 1) & (slots->cap - 1);
	return at;
}

uint32_t
qs_index_rows_lookup(const struct qs_index_rows *rows, enum qs_index_set set,
	const uint8_t *key)
{
	const struct qs_index_slots *slots = &rows->slots[set];
	uint32_t held;

	if (slots->used == 0)
		return QS_INDEX_NO_ROW;
	held = slots->at[find_slot(rows, set, key)];
	return held == 0 ? QS_INDEX_NO_ROW : held - 1;
}

/* A key that is there keeps its row. */
static void
enter(struct qs_index_rows *rows, enum qs_index_set set, uint32_t row)
{
	struct qs_index_slots *slots = &rows->slots[set];
	size_t at = find_slot(rows, set, key_of(rows, set, row));

	if (slots->at[at] == 0) {
		slots->at[at] = row + 1;
		slots->used++;
	}
}

/* Make room for more keys, so that enter cannot fail. */
static enum qs_code
widen(struct qs_index_rows *rows, enum qs_index_set set, size_t more,
	struct qs_err *err)
{
	struct qs_index_slots *slots = &rows->slots[set];
	struct qs_index_slots old = *slots;
	size_t cap = old.cap < SLOTS_MIN ? SLOTS_MIN : old.cap;

	while (cap / 2 < old.used + more)
		cap *= 2; /* used and more are far below 2^32 */
	if (cap == old.cap)
		return QS_OK;
	slots->at = calloc(cap, sizeof(*slots->at));
	if (slots->at == NULL) {
		*slots = old;
		return qs_fail_nomem(err, "buffering rows of the index");
	}
	slots->cap = cap;
	slots->used = 0;
	for (size_t i = 0; i < old.cap; i++) {
		if (old.at[i] != 0)
			enter(rows, set, old.at[i] - 1);
	}
	free(old.at);
	return QS_OK;
}

/* -------------------------------------------------------------- adding */

static enum qs_code
reserve(struct qs_buf *buf, size_t more, struct qs_err *err)
{
	size_t cap;

	if (!qs_add_size(buf->len, more, &cap))
		return qs_fail_nomem(err, "buffering rows of the index");
	/* A reservation of nothing must not leave a NULL pointer to add to. */
	return qs_buf_reserve(buf, cap == 0 ? 1 : cap, err);
}

/* There is room: reserved before. */
static uint8_t *
grow(struct qs_buf *buf, size_t more)
{
	uint8_t *at = buf->data + buf->len;

	buf->len += more;
	return at;
}

static size_t
put(struct qs_index_rows *rows, const void *data, size_t len)
{
	size_t at = rows->bytes.len;

	if (len != 0)
		memcpy(grow(&rows->bytes, len), data, len);
	return at;
}

enum qs_code
qs_index_rows_pack(struct qs_index_rows *rows, uint32_t number,
	const struct qs_pack_ref *ref, const struct qs_pack_dir *dir,
	struct qs_err *err)
{
	struct qs_index_new_pack pack = {
		.ref = *ref, .number = number, .at = rows->bytes.len,
		.frame_count = dir->frame_count,
		.chunk_count = dir->chunk_count,
	};
	struct qs_index_new_chunk chunk = {0};
	size_t len = (size_t)dir->frame_count * QS_INDEX_FRAME +
		(size_t)dir->chunk_count * QS_INDEX_CHUNK;
	uint32_t row;
	enum qs_code rc;

	rc = reserve(&rows->bytes, len, err);
	if (rc == QS_OK)
		rc = reserve(&rows->packs, sizeof(pack), err);
	if (rc == QS_OK)
		rc = reserve(&rows->chunks, dir->chunk_count * sizeof(chunk),
			err);
	if (rc == QS_OK)
		rc = widen(rows, QS_SET_PACKS, 1, err);
	if (rc == QS_OK)
		rc = widen(rows, QS_SET_CHUNKS, dir->chunk_count, err);
	if (rc != QS_OK)
		return rc;

	chunk.pack = qs_index_rows_of(&rows->packs, sizeof(pack));
	memcpy(grow(&rows->packs, sizeof(pack)), &pack, sizeof(pack));
	enter(rows, QS_SET_PACKS, chunk.pack);
	for (uint32_t i = 0; i < dir->frame_count; i++)
		qs_index_frame_store(grow(&rows->bytes, QS_INDEX_FRAME),
			&dir->frames[i]);
	for (uint32_t i = 0; i < dir->chunk_count; i++) {
		qs_index_chunk_store(grow(&rows->bytes, QS_INDEX_CHUNK),
			&dir->chunks[i]);
		row = qs_index_rows_of(&rows->chunks, sizeof(chunk));
		chunk.entry = i;
		memcpy(grow(&rows->chunks, sizeof(chunk)), &chunk,
			sizeof(chunk));
		enter(rows, QS_SET_CHUNKS, row);
	}
	return QS_OK;
}

enum qs_code
qs_index_rows_dir(struct qs_index_rows *rows, const uint8_t *key,
	uint64_t run, struct qs_span row, struct qs_err *err)
{
	struct qs_index_new_dir dir = {.run = run, .len = row.len};
	uint32_t at = qs_index_rows_lookup(rows, QS_SET_DIRS, key), count;
	enum qs_code rc;

	rc = reserve(&rows->bytes, row.len, err);
	if (rc == QS_OK)
		rc = reserve(&rows->dirs, sizeof(dir), err);
	if (rc == QS_OK)
		rc = widen(rows, QS_SET_DIRS, 1, err);
	if (rc != QS_OK)
		return rc;
	memcpy(dir.key, key, sizeof(dir.key));
	dir.at = put(rows, row.data, row.len);
	if (at != QS_INDEX_NO_ROW) {
		qs_index_new_dirs(rows, &count)[at] = dir;
		return QS_OK;
	}
	memcpy(grow(&rows->dirs, sizeof(dir)), &dir, sizeof(dir));
	enter(rows, QS_SET_DIRS, qs_index_rows_of(&rows->dirs, sizeof(dir)) -
		1);
	return QS_OK;
}

enum qs_code
qs_index_rows_fact(struct qs_index_rows *rows, const char *key,
	struct qs_span value, struct qs_err *err)
{
	struct qs_index_new_fact fact = {
		.key_len = strlen(key), .len = value.len,
	};
	enum qs_code rc;

	rc = reserve(&rows->bytes, fact.key_len + fact.len, err);
	if (rc == QS_OK)
		rc = reserve(&rows->facts, sizeof(fact), err);
	if (rc != QS_OK)
		return rc;
	fact.key_at = put(rows, key, fact.key_len);
	fact.at = put(rows, value.data, value.len);
	memcpy(grow(&rows->facts, sizeof(fact)), &fact, sizeof(fact));
	return QS_OK;
}

enum qs_code
qs_index_rows_names(struct qs_index_rows *rows, enum qs_index_list list,
	bool is_drop, const struct qs_name *names, size_t count,
	struct qs_err *err)
{
	struct qs_index_new_name row = {0};
	size_t len;
	enum qs_code rc;

	if (!qs_mul_size(count, sizeof(row), &len))
		return qs_fail_nomem(err, "buffering names in the index");
	rc = reserve(&rows->names, len, err);
	if (rc != QS_OK)
		return rc;
	row.list = (uint8_t)list;
	row.is_drop = is_drop;
	for (size_t i = 0; i < count; i++) {
		row.name = names[i];
		memcpy(grow(&rows->names, sizeof(row)), &row, sizeof(row));
	}
	return QS_OK;
}

/* ----------------------------------------------------------- clean-up */

static void
reset_buf(struct qs_buf *buf, size_t limit)
{
	if (buf->cap > limit)
		qs_buf_clear(buf);
	buf->len = 0;
}

void
qs_index_rows_reset(struct qs_index_rows *rows, size_t limit)
{
	reset_buf(&rows->bytes, limit);
	reset_buf(&rows->packs, limit);
	reset_buf(&rows->chunks, limit);
	reset_buf(&rows->dirs, limit);
	reset_buf(&rows->facts, limit);
	reset_buf(&rows->names, limit);
	for (size_t i = 0; i < QS_SETS; i++) {
		struct qs_index_slots *slots = &rows->slots[i];

		if (slots->cap * sizeof(*slots->at) > limit) {
			free(slots->at);
			*slots = (struct qs_index_slots){0};
		} else if (slots->used != 0) {
			memset(slots->at, 0, slots->cap * sizeof(*slots->at));
			slots->used = 0;
		}
	}
}

void
qs_index_rows_clear(struct qs_index_rows *rows)
{
	qs_index_rows_reset(rows, 0);
}
