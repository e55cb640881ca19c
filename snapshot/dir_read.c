/* SPDX-License-Identifier: ISC */
/*
 * dir_read: a folder's nodes, part by part.  A part is copied out of its
 * frame: a walk through many levels then keeps small parts and not frames.
 */
#include <stdlib.h>

#include "snapshot/content_internal.h"
#include "snapshot/dir_internal.h"

struct qs_dir {
	struct qs_source *source;
	struct qs_content_cursor cursor;
	uint8_t *refs; /* the content's, so that a node may go away */
	struct qs_buf part;
	size_t at;     /* in part */
	uint32_t left; /* entries in part from there */
	bool is_last_set;
	size_t last_len; /* the name before, also across parts */
	uint8_t last[QS_NAME_MAX];
};

enum qs_code
qs_dir_read(struct qs_source *source, const struct qs_content *content,
	struct qs_dir **out, struct qs_err *err)
{
	struct qs_content own = *content;
	struct qs_dir *dir;
	enum qs_code rc;

	if (content->count > QS_LIST_REFS)
		return qs_fail(err, QS_ECORRUPT,
			"folder: it has too many references");
	dir = calloc(1, sizeof(*dir));
	if (dir == NULL)
		return qs_fail_nomem(err, "reading a folder");
	dir->source = source;
	if (content->count > 0) {
		dir->refs = malloc((size_t)content->count * QS_REF_LEN);
		if (dir->refs == NULL) {
			rc = qs_fail_nomem(err, "reading a folder");
			goto out;
		}
		memcpy(dir->refs, content->refs,
			(size_t)content->count * QS_REF_LEN);
	}
	own.refs = dir->refs;
	rc = qs_content_cursor_init(&dir->cursor, source, &own, err);
	if (rc != QS_OK)
		goto out;
	*out = dir;
	dir = NULL; /* handed over */
out:
	qs_dir_close(dir);
	return rc;
}

void
qs_dir_close(struct qs_dir *dir)
{
	if (dir == NULL)
		return;
	qs_content_cursor_clear(&dir->cursor);
	qs_buf_clear(&dir->part);
	free(dir->refs);
	free(dir);
}

size_t
qs_dir_bytes(const struct qs_dir *dir)
{
	return dir->part.cap + qs_content_cursor_bytes(&dir->cursor) +
		(size_t)dir->cursor.levels[0].count * QS_REF_LEN;
}

/* The next part; *end when there is none. */
static enum qs_code
next_part(struct qs_dir *dir, bool *end, struct qs_err *err)
{
	struct qs_content_piece piece;
	struct qs_fetch fetch;
	bool more = false;
	enum qs_code rc;

	rc = qs_content_cursor_next(&dir->cursor, &piece, &more, err);
	if (rc != QS_OK)
		return rc;
	if (!more) {
		*end = true;
		return QS_OK;
	}
	/* A hole's length is not bounded by a chunk's, so it comes first. */
	if (qs_is_zero(piece.id.b, sizeof(piece.id.b)) ||
	    piece.len > QS_CHUNK_MAX)
		return qs_fail(err, QS_ECORRUPT,
			"folder: it has a hole where none can be");
	fetch = (struct qs_fetch){.id = piece.id, .kind = QS_KIND_TREE,
		.len = (uint32_t)piece.len};
	dir->part.len = 0;
	rc = qs_source_fetch(dir->source, &fetch, 1, err);
	if (rc == QS_OK)
		rc = qs_buf_append(&dir->part, fetch.data, fetch.len, err);
	qs_source_release(dir->source, &fetch, 1);
	if (rc == QS_OK)
		rc = qs_tree_head_decode(qs_buf_span(&dir->part), &dir->left,
			err);
	dir->at = QS_TREE_HEAD;
	return rc;
}

static enum qs_code
fail_dir(struct qs_dir *dir, enum qs_code rc)
{
	/* After a failure it is at its end: no entry is read twice. */
	qs_content_cursor_clear(&dir->cursor);
	dir->left = 0;
	dir->part.len = 0;
	return rc;
}

enum qs_code
qs_dir_next(struct qs_dir *dir, struct qs_node *node, bool *end,
	struct qs_err *err)
{
	struct qs_node found;
	bool at_end = false;
	size_t used;
	enum qs_code rc;

	while (dir->left == 0) {
		if (dir->part.len > 0 && dir->at != dir->part.len)
			return fail_dir(dir, qs_fail(err, QS_ECORRUPT,
				"tree: bytes after its last entry"));
		rc = next_part(dir, &at_end, err);
		if (rc != QS_OK)
			return fail_dir(dir, rc);
		if (at_end) {
			*end = true;
			return QS_OK;
		}
	}
	rc = qs_node_decode(qs_span(dir->part.data + dir->at,
		dir->part.len - dir->at), &found, &used, err);
	if (rc != QS_OK)
		return fail_dir(dir, rc);
	if (dir->is_last_set && qs_name_order(
	    qs_span(dir->last, dir->last_len), found.name) >= 0)
		return fail_dir(dir, qs_fail(err, QS_ECORRUPT,
			"tree: its names are not in order"));
	memcpy(dir->last, found.name.data, found.name.len);
	dir->last_len = found.name.len;
	dir->is_last_set = true;
	dir->at += used;
	dir->left--;
	*node = found;
	*end = false;
	return QS_OK;
}
