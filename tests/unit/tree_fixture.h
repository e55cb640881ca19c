/* SPDX-License-Identifier: ISC */
/* Folders made by hand on top of source_fixture.h. */
#ifndef TREE_FIXTURE_H
#define TREE_FIXTURE_H

#include "source_fixture.h"

/* A list chunk of its own frame: what a content builder emits. */
static enum qs_code
fixture_emit(void *arg, struct qs_span list, struct qs_id *id,
	struct qs_err *err)
{
	(void)err;
	*id = fixture_chunk(arg, QS_KIND_LIST, list);
	return QS_OK;
}

struct maker {
	struct fixture *fx;
	struct qs_content_builder builder;
};

struct folder { /* being made, and made */
	struct qs_buf part;
	uint32_t count; /* entries of the part */
	struct qs_buf parts; /* references to the finished ones */
	struct qs_content content;
	struct qs_buf refs; /* content's */
	uint64_t size;
};

static void
maker_init(struct maker *maker, struct fixture *fx)
{
	maker->fx = fx;
	qs_content_builder_init(&maker->builder, fixture_emit, fx);
}

static void
maker_clear(struct maker *maker)
{
	qs_content_builder_clear(&maker->builder);
}

static void
folder_clear(struct folder *folder)
{
	qs_buf_clear(&folder->part);
	qs_buf_clear(&folder->parts);
	qs_buf_clear(&folder->refs);
}

static void
maker_node(struct maker *maker, struct folder *folder,
	const struct qs_node *node)
{
	uint8_t *head;
	struct qs_err err;

	(void)maker;
	if (folder->part.len == 0)
		OK(qs_buf_extend(&folder->part, QS_TREE_HEAD, &head, &err));
	OK(qs_node_encode(node, &folder->part, &err));
	folder->count++;
}

static inline void
maker_file(struct maker *maker, struct folder *folder, const char *name,
	int64_t mtime_ns)
{
	const struct qs_node node = {.type = QS_NODE_FILE, .links = 1,
		.mode = 0644, .mtime_ns = mtime_ns,
		.name = qs_span(name, strlen(name))};

	maker_node(maker, folder, &node);
}

static inline void
maker_folder(struct maker *maker, struct folder *folder, const char *name,
	const struct folder *inner)
{
	const struct qs_node node = {.type = QS_NODE_DIR, .links = 1,
		.mode = 0755, .size = inner->size,
		.name = qs_span(name, strlen(name)),
		.content = inner->content};

	maker_node(maker, folder, &node);
}

/* What was added since the last part becomes one tree chunk. */
static void
maker_part(struct maker *maker, struct folder *folder)
{
	uint8_t *ref;
	struct qs_id id;
	struct qs_err err;

	if (folder->count == 0)
		return;
	qs_tree_head(folder->part.data, folder->count);
	id = fixture_chunk(maker->fx, QS_KIND_TREE,
		qs_buf_span(&folder->part));
	OK(qs_buf_extend(&folder->parts, QS_REF_LEN, &ref, &err));
	memcpy(ref, id.b, sizeof(id.b));
	qs_store64(ref + 32, folder->part.len);
	folder->part.len = 0;
	folder->count = 0;
}

static void
maker_finish(struct maker *maker, struct folder *folder)
{
	struct qs_content content;
	struct qs_err err;

	maker_part(maker, folder);
	qs_content_builder_reset(&maker->builder);
	for (size_t at = 0; at < folder->parts.len; at += QS_REF_LEN) {
		struct qs_id id;

		memcpy(id.b, folder->parts.data + at, sizeof(id.b));
		OK(qs_content_builder_add(&maker->builder, &id,
			qs_load64(folder->parts.data + at + 32), &err));
	}
	OK(qs_content_builder_finish(&maker->builder, &content,
		&folder->size, &err));
	if (content.count > 0)
		OK(qs_buf_append(&folder->refs, content.refs,
			(size_t)content.count * QS_REF_LEN, &err));
	folder->content = content;
	folder->content.refs = folder->refs.data;
}

#endif
