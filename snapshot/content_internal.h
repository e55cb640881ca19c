/* SPDX-License-Identifier: ISC */
/*
 * content, between snapshot's own files: extended attributes and list chunks
 * being made, a content list being read piece by piece.
 */
#ifndef QS_CONTENT_INTERNAL_H
#define QS_CONTENT_INTERNAL_H

#include "snapshot/idset_internal.h"
#include "snapshot/snapshot.h"

/* Levels of list chunks above the references of a content. */
#define QS_CONTENT_DEPTH_MAX 8
#define QS_LIST_HEAD 12
/* An entry must fit into a tree chunk. */
#define QS_ENTRY_MAX (QS_CHUNK_MAX - QS_TREE_HEAD)

/*
 * Append one attribute to a node's encoded xattrs; the caller appends them in
 * strictly ascending order of name and counts them.  QS_EINVAL beyond limits.
 */
QS_MUST_CHECK enum qs_code qs_xattr_append(struct qs_buf *xattrs,
	struct qs_span name, struct qs_span value, struct qs_err *err);

/* The order of names within a folder: bytes, shorter first; as memcmp. */
int qs_name_order(struct qs_span a, struct qs_span b);

/* Append a list chunk of count (1 .. QS_LIST_REFS) references to out. */
QS_MUST_CHECK enum qs_code qs_list_encode(uint8_t depth, const uint8_t *refs,
	uint32_t count, struct qs_buf *out, struct qs_err *err);
/*
 * expected_depth: of what is listed.  *refs is borrowed from bytes, *sum is
 * the sum of their lengths.  QS_ECORRUPT.
 */
QS_MUST_CHECK enum qs_code qs_list_decode(struct qs_span bytes,
	uint8_t expected_depth, const uint8_t **refs, uint32_t *count,
	uint64_t *sum, struct qs_err *err);

/* Stores a list chunk (kind list) and gives its id. */
typedef enum qs_code (*qs_list_emit_fn)(void *arg, struct qs_span list,
	struct qs_id *id, struct qs_err *err);

/*
 * Makes the one content that stands for a sequence of references: of a file's
 * data chunks and holes, or of a folder's tree chunks.  Only the open list of
 * each level is kept.  After a failure only reset and clear may be called.
 */
struct qs_content_builder {
	qs_list_emit_fn emit;
	void *arg;
	struct {
		struct qs_buf refs;
		uint64_t bytes; /* the sum of their lengths */
	} levels[QS_CONTENT_DEPTH_MAX + 1];
	struct qs_buf list; /* the list chunk being emitted */
	uint64_t size;      /* of all that was added */
};

void qs_content_builder_init(struct qs_content_builder *builder,
	qs_list_emit_fn emit, void *arg);
void qs_content_builder_clear(struct qs_content_builder *builder);
/* Begin another content; the memory is kept. */
void qs_content_builder_reset(struct qs_content_builder *builder);
/* A hole is an all-zero id. */
QS_MUST_CHECK enum qs_code qs_content_builder_add(
	struct qs_content_builder *builder, const struct qs_id *id,
	uint64_t len, struct qs_err *err);
/* *out is borrowed from the builder until it is reset; *size is its bytes. */
QS_MUST_CHECK enum qs_code qs_content_builder_finish(
	struct qs_content_builder *builder, struct qs_content *out,
	uint64_t *size, struct qs_err *err);

typedef enum qs_code (*qs_chunk_fn)(void *arg, const struct qs_id *id,
	struct qs_err *err);

/*
 * The references of a content, one after the other; list chunks are fetched as
 * needed and copied out of their frames (one of each level): a walk through
 * many folders would pin a frame of each else.  The content is borrowed until
 * clear.  One thread at a time.
 */
struct qs_content_cursor {
	struct qs_source *source;
	uint64_t offset;
	size_t top; /* the level being read */
	qs_chunk_fn on_list; /* of each list chunk, or NULL; after init */
	void *arg;
	struct {
		const uint8_t *refs;
		uint32_t count, next;
		uint8_t depth;
		uint8_t *owned; /* what refs are; not of level 0 */
	} levels[QS_CONTENT_DEPTH_MAX + 1];
};

QS_MUST_CHECK enum qs_code qs_content_cursor_init(
	struct qs_content_cursor *cursor, struct qs_source *source,
	const struct qs_content *content, struct qs_err *err);
void qs_content_cursor_clear(struct qs_content_cursor *cursor);
/* Of memory that it has now. */
size_t qs_content_cursor_bytes(const struct qs_content_cursor *cursor);
struct qs_content_piece {
	struct qs_id id; /* zeros: a hole */
	uint64_t len, offset;
};

/* false in *more: the end, *piece is untouched. */
QS_MUST_CHECK enum qs_code qs_content_cursor_next(
	struct qs_content_cursor *cursor, struct qs_content_piece *piece,
	bool *more, struct qs_err *err);

/* All chunks of a file or folder, and those that list them; no holes. */
QS_MUST_CHECK enum qs_code qs_content_chunks(struct qs_source *source,
	const struct qs_content *content, qs_chunk_fn fn, void *arg,
	struct qs_err *err);
/* Is this the first time that a content is met?  It is noted in set. */
QS_MUST_CHECK enum qs_code qs_content_is_first(struct qs_idset *set,
	const struct qs_content *content, bool *is_first, struct qs_err *err);

#endif
