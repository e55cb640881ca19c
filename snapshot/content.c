/* SPDX-License-Identifier: ISC */
/*
 * content: references to chunks as lists of lists.  Layout: docs/FORMAT.md,
 * "Content".
 *
 * Canonical: the references of a level are cut into lists of QS_LIST_REFS, the
 * last one may be shorter, and so on upwards until QS_LIST_REFS or fewer are
 * left for the node itself.  So equal bytes have equal lists, and appending
 * to a file changes the last list of each level only.
 */
#include <stdlib.h>

#include "snapshot/content_internal.h"

#define LIST_VERSION 1

/* ---------------------------------------------------------- list chunks */

enum qs_code
qs_list_encode(uint8_t depth, const uint8_t *refs, uint32_t count,
	struct qs_buf *out, struct qs_err *err)
{
	const size_t len = (size_t)count * QS_REF_LEN;
	uint8_t *at;
	enum qs_code rc;

	if (depth >= QS_CONTENT_DEPTH_MAX || count < 1 || count > QS_LIST_REFS)
		return qs_fail(err, QS_EINVAL,
			"content list: %u references at depth %u",
			(unsigned)count, (unsigned)depth);
	rc = qs_buf_extend(out, QS_LIST_HEAD + len, &at, err);
	if (rc != QS_OK)
		return rc;
	memcpy(at, "QSTN", 4);
	qs_store16(at + 4, LIST_VERSION);
	at[6] = depth;
	at[7] = 0;
	qs_store32(at + 8, count);
	memcpy(at + QS_LIST_HEAD, refs, len);
	return QS_OK;
}

/* false: a reference that can't be, or lengths that overflow */
static bool
refs_ok(const uint8_t *refs, uint32_t count, uint8_t depth, uint64_t *sum)
{
	for (uint32_t i = 0; i < count; i++, refs += QS_REF_LEN) {
		const bool hole = qs_is_zero(refs, 32);
		const uint64_t len = qs_load64(refs + 32);

		if (len == 0 || (hole && depth > 0) ||
		    (!hole && depth == 0 && len > QS_CHUNK_MAX) ||
		    __builtin_add_overflow(*sum, len, sum))
			return false;
	}
	return true;
}

enum qs_code
qs_list_decode(struct qs_span bytes, uint8_t expected_depth,
	const uint8_t **refs, uint32_t *count, uint64_t *sum,
	struct qs_err *err)
{
	uint64_t total = 0;
	uint32_t n;

	if (bytes.len < QS_LIST_HEAD || memcmp(bytes.data, "QSTN", 4) != 0)
		return qs_fail(err, QS_ECORRUPT,
			"content list: not a list chunk");
	if (qs_load16(bytes.data + 4) != LIST_VERSION)
		return qs_fail(err, QS_EUNSUPPORTED,
			"content list: made by a newer version of qstore");
	if (bytes.data[6] != expected_depth || bytes.data[7] != 0)
		return qs_fail(err, QS_ECORRUPT,
			"content list: it is for another depth");
	n = qs_load32(bytes.data + 8);
	if (n < 1 || n > QS_LIST_REFS ||
	    bytes.len - QS_LIST_HEAD != (size_t)n * QS_REF_LEN)
		return qs_fail(err, QS_ECORRUPT,
			"content list: its length does not fit its count");
	if (!refs_ok(bytes.data + QS_LIST_HEAD, n, expected_depth, &total))
		return qs_fail(err, QS_ECORRUPT,
			"content list: a reference is not allowed");
	*refs = bytes.data + QS_LIST_HEAD;
	*count = n;
	*sum = total;
	return QS_OK;
}

enum qs_code
qs_content_list(struct qs_span bytes, uint8_t depth, uint64_t len,
	struct qs_content *out, struct qs_err *err)
{
	struct qs_content found = {.depth = depth};
	uint64_t sum = 0;
	enum qs_code rc = qs_list_decode(bytes, depth, &found.refs,
		&found.count, &sum, err);

	if (rc == QS_OK && sum != len)
		rc = qs_fail(err, QS_ECORRUPT, "content list: its lengths do "
			"not add up to what its reference says");
	if (rc == QS_OK)
		*out = found;
	return rc;
}

/* -------------------------------------------------------------- builder */

void
qs_content_builder_init(struct qs_content_builder *builder,
	qs_list_emit_fn emit, void *arg)
{
	memset(builder, 0, sizeof(*builder));
	builder->emit = emit;
	builder->arg = arg;
}

void
qs_content_builder_clear(struct qs_content_builder *builder)
{
	if (builder == NULL)
		return;
	for (size_t i = 0; i <= QS_CONTENT_DEPTH_MAX; i++)
		qs_buf_clear(&builder->levels[i].refs);
	qs_buf_clear(&builder->list);
	qs_content_builder_reset(builder);
}

void
qs_content_builder_reset(struct qs_content_builder *builder)
{
	for (size_t i = 0; i <= QS_CONTENT_DEPTH_MAX; i++) {
		builder->levels[i].refs.len = 0;
		builder->levels[i].bytes = 0;
	}
	builder->list.len = 0;
	builder->size = 0;
}

static uint32_t
level_count(const struct qs_content_builder *builder, size_t level)
{
	return (uint32_t)(builder->levels[level].refs.len / QS_REF_LEN);
}

/* Store the open list of a level, which is then empty: one reference more. */
static enum qs_code
flush_level(struct qs_content_builder *builder, size_t level,
	uint8_t ref[static QS_REF_LEN], struct qs_err *err)
{
	struct qs_id id;
	enum qs_code rc;

	builder->list.len = 0;
	rc = qs_list_encode((uint8_t)level, builder->levels[level].refs.data,
		level_count(builder, level), &builder->list, err);
	if (rc != QS_OK)
		return rc;
	rc = builder->emit(builder->arg, qs_buf_span(&builder->list), &id,
		err);
	if (rc != QS_OK)
		return rc;
	memcpy(ref, id.b, sizeof(id.b));
	qs_store64(ref + 32, builder->levels[level].bytes);
	builder->levels[level].refs.len = 0;
	builder->levels[level].bytes = 0;
	return QS_OK;
}

/*
 * A list is stored only when another reference comes after it: exactly
 * QS_LIST_REFS of them stay with the node.
 */
static enum qs_code
add_ref(struct qs_content_builder *builder, size_t level,
	const uint8_t ref[static QS_REF_LEN], struct qs_err *err)
{
	uint8_t carried[QS_REF_LEN], added[QS_REF_LEN];
	enum qs_code rc;

	memcpy(added, ref, QS_REF_LEN);
	for (bool full = true; full; level++) {
		if (level > QS_CONTENT_DEPTH_MAX)
			return qs_fail(err, QS_EINVAL,
				"content: too many references");
		full = level_count(builder, level) == QS_LIST_REFS;
		if (full && level == QS_CONTENT_DEPTH_MAX)
			return qs_fail(err, QS_EINVAL,
				"content: too many references");
		if (full) {
			rc = flush_level(builder, level, carried, err);
			if (rc != QS_OK)
				return rc;
		}
		rc = qs_buf_append(&builder->levels[level].refs, added,
			QS_REF_LEN, err);
		if (rc != QS_OK)
			return rc;
		/* Cannot overflow: the size of the whole did not. */
		builder->levels[level].bytes += qs_load64(added + 32);
		memcpy(added, carried, full ? QS_REF_LEN : 0);
	}
	return QS_OK;
}

enum qs_code
qs_content_builder_add(struct qs_content_builder *builder,
	const struct qs_id *id, uint64_t len, struct qs_err *err)
{
	uint8_t ref[QS_REF_LEN];
	uint64_t size, sum = 0;

	memcpy(ref, id->b, sizeof(id->b));
	qs_store64(ref + 32, len);
	if (!refs_ok(ref, 1, 0, &sum) ||
	    __builtin_add_overflow(builder->size, len, &size))
		return qs_fail(err, QS_EINVAL,
			"content: a reference of %llu bytes is not allowed",
			(unsigned long long)len);
	builder->size = size;
	return add_ref(builder, 0, ref, err);
}

enum qs_code
qs_content_builder_finish(struct qs_content_builder *builder,
	struct qs_content *out, uint64_t *size, struct qs_err *err)
{
	uint8_t ref[QS_REF_LEN];
	enum qs_code rc;
	size_t top = 0;

	/* Adding to a level may open the one above: top moves with it. */
	while (top < QS_CONTENT_DEPTH_MAX &&
	    level_count(builder, top + 1) > 0) {
		rc = flush_level(builder, top, ref, err);
		if (rc == QS_OK)
			rc = add_ref(builder, top + 1, ref, err);
		if (rc != QS_OK)
			return rc;
		top++;
	}
	out->depth = (uint8_t)top;
	out->count = level_count(builder, top);
	out->refs = builder->levels[top].refs.data;
	*size = builder->size;
	return QS_OK;
}

/* --------------------------------------------------------------- cursor */

enum qs_code
qs_content_cursor_init(struct qs_content_cursor *cursor,
	struct qs_source *source, const struct qs_content *content,
	struct qs_err *err)
{
	if (content->depth > QS_CONTENT_DEPTH_MAX ||
	    content->count > QS_LIST_REFS)
		return qs_fail(err, QS_ECORRUPT,
			"content: too deep or too many references");
	memset(cursor, 0, sizeof(*cursor));
	cursor->source = source;
	cursor->levels[0].refs = content->refs;
	cursor->levels[0].count = content->count;
	cursor->levels[0].depth = content->depth;
	return QS_OK;
}

static void
leave_level(struct qs_content_cursor *cursor)
{
	free(cursor->levels[cursor->top].owned);
	cursor->levels[cursor->top].owned = NULL;
	cursor->top--;
}

size_t
qs_content_cursor_bytes(const struct qs_content_cursor *cursor)
{
	size_t sum = 0;

	for (size_t i = 1; i <= cursor->top; i++)
		sum += (size_t)cursor->levels[i].count * QS_REF_LEN;
	return sum;
}

void
qs_content_cursor_clear(struct qs_content_cursor *cursor)
{
	if (cursor == NULL)
		return;
	while (cursor->top > 0)
		leave_level(cursor);
	cursor->levels[0].next = cursor->levels[0].count; /* at its end */
}

/* Fetch the list chunk a reference names: it becomes the top level. */
static enum qs_code
enter_list(struct qs_content_cursor *cursor, const struct qs_id *id,
	uint64_t len, struct qs_err *err)
{
	const uint8_t depth =
		(uint8_t)(cursor->levels[cursor->top].depth - 1);
	/* A reference tells the length of what is below it, not the list's. */
	struct qs_fetch fetch = {.id = *id, .kind = QS_KIND_LIST, .len = 0};
	struct qs_content list;
	uint8_t *owned = NULL;
	enum qs_code rc = qs_source_fetch(cursor->source, &fetch, 1, err);

	if (rc == QS_OK)
		rc = qs_content_list(qs_span(fetch.data, fetch.len), depth,
			len, &list, err);
	if (rc == QS_OK) {
		owned = malloc((size_t)list.count * QS_REF_LEN);
		if (owned == NULL)
			rc = qs_fail_nomem(err, "reading a content list");
		else
			memcpy(owned, list.refs,
				(size_t)list.count * QS_REF_LEN);
	}
	qs_source_release(cursor->source, &fetch, 1);
	if (rc != QS_OK)
		return rc;
	cursor->top++;
	cursor->levels[cursor->top].refs = owned;
	cursor->levels[cursor->top].owned = owned;
	cursor->levels[cursor->top].count = list.count;
	cursor->levels[cursor->top].depth = depth;
	cursor->levels[cursor->top].next = 0;
	return cursor->on_list == NULL ? QS_OK :
		cursor->on_list(cursor->arg, id, err);
}

enum qs_code
qs_content_cursor_next(struct qs_content_cursor *cursor,
	struct qs_content_piece *piece, bool *more, struct qs_err *err)
{
	for (;;) {
		const size_t top = cursor->top;
		const uint32_t i = cursor->levels[top].next;
		const uint8_t *ref;
		struct qs_id id;
		uint64_t len;
		enum qs_code rc;

		if (i == cursor->levels[top].count) {
			if (top == 0)
				break;
			leave_level(cursor);
			continue;
		}
		cursor->levels[top].next = i + 1;
		ref = cursor->levels[top].refs + (size_t)i * QS_REF_LEN;
		memcpy(id.b, ref, sizeof(id.b));
		len = qs_load64(ref + 32);
		if (cursor->levels[top].depth > 0) {
			rc = enter_list(cursor, &id, len, err);
			if (rc != QS_OK)
				return rc;
			continue;
		}
		*piece = (struct qs_content_piece){id, len, cursor->offset};
		if (__builtin_add_overflow(cursor->offset, len,
		    &cursor->offset))
			return qs_fail(err, QS_ECORRUPT,
				"content: its lengths do not add up");
		*more = true;
		return QS_OK;
	}
	*more = false;
	return QS_OK;
}

enum qs_code
qs_content_each(struct qs_source *source, const struct qs_content *content,
	qs_ref_fn fn, void *arg, struct qs_err *err)
{
	struct qs_content_cursor cursor;
	struct qs_content_piece piece;
	bool more = true;
	enum qs_code rc;

	rc = qs_content_cursor_init(&cursor, source, content, err);
	if (rc != QS_OK)
		return rc;
	for (;;) {
		rc = qs_content_cursor_next(&cursor, &piece, &more, err);
		if (rc != QS_OK || !more)
			break;
		rc = fn(arg, &piece.id, piece.len, piece.offset, err);
		if (rc != QS_OK)
			break;
	}
	qs_content_cursor_clear(&cursor);
	return rc;
}

enum qs_code
qs_content_chunks(struct qs_source *source, const struct qs_content *content,
	qs_chunk_fn fn, void *arg, struct qs_err *err)
{
	struct qs_content_cursor cursor;
	struct qs_content_piece piece;
	bool more = true;
	enum qs_code rc = qs_content_cursor_init(&cursor, source, content,
		err);

	if (rc != QS_OK)
		return rc;
	cursor.on_list = fn;
	cursor.arg = arg;
	while (rc == QS_OK && more) {
		rc = qs_content_cursor_next(&cursor, &piece, &more, err);
		if (rc == QS_OK && more &&
			!qs_is_zero(piece.id.b, sizeof(piece.id.b)))
			rc = fn(arg, &piece.id, err);
	}
	qs_content_cursor_clear(&cursor);
	return rc;
}

enum qs_code
qs_content_is_first(struct qs_idset *set, const struct qs_content *content,
	bool *is_first, struct qs_err *err)
{
	uint8_t key[16];

	qs_hash_plain(key, sizeof(key), qs_span(content->refs,
		(size_t)content->count * QS_REF_LEN));
	/* The same references one level up or down are another content. */
	key[0] ^= content->depth;
	return qs_idset_add(set, key, is_first, err);
}
