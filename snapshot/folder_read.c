/* SPDX-License-Identifier: ISC */
/* Directories of packs, and index chunks, read from the store in slices. */
#include <stdio.h>
#include <stdlib.h>

#include "snapshot/folder_internal.h"

static enum qs_code
get_opener(struct qs_folder *folder, struct qs_opener **out,
	struct qs_err *err)
{
	if (folder->opener == NULL) {
		enum qs_code rc = qs_opener_new(folder->keys, &folder->opener,
			err);

		if (rc != QS_OK)
			return rc;
	}
	*out = folder->opener;
	return QS_OK;
}

/*
 * Bytes [from, to) of an object, read as the slices they lie in; *out points
 * into buf.  to is at most QS_PACK_MAX.
 */
static enum qs_code
read_range(struct qs_store *store, const struct qs_name *name,
	uint32_t from, uint32_t to, struct qs_buf *buf, struct qs_span *out,
	struct qs_err *err)
{
	struct qs_ref ref = {.area = QS_AREA_OBJ, .name = *name};
	uint32_t first = from / QS_SLICE * QS_SLICE;
	size_t len = ((size_t)to - first + QS_SLICE - 1) / QS_SLICE *
		QS_SLICE;
	size_t got;
	enum qs_code rc = qs_buf_reserve(buf, len, err);

	if (rc == QS_OK)
		rc = store->ops->get(store->self, &ref, first, buf->data, len,
			&got, err);
	if (rc != QS_OK)
		return rc;
	if (got > len || got < to - first) {
		char hex[QS_HEX_LEN + 1];

		qs_hex(hex, name->b, 32);
		return qs_fail(err, QS_ECORRUPT, "object %.16s in %s: is "
			"shorter than its size", hex, store->place);
	}
	buf->len = got;
	*out = qs_span(buf->data + (from - first), to - from);
	return QS_OK;
}

enum qs_code
qs_pack_read_dir(struct qs_store *store, struct qs_opener *opener,
	const struct qs_name *name, uint64_t size, struct qs_pack_head *head,
	struct qs_pack_dir *dir, struct qs_err *err)
{
	struct qs_buf buf = {0};
	struct qs_pack_head found;
	struct qs_span bytes;
	char hex[QS_HEX_LEN + 1];
	enum qs_code rc;

	qs_hex(hex, name->b, 32);
	if (size < QS_PACK_MIN || size > QS_PACK_MAX)
		return qs_fail(err, QS_ECORRUPT,
			"object %.16s in %s: has a size that no object has",
			hex, store->place);
	rc = read_range(store, name, 0, size < QS_SLICE ? (uint32_t)size :
		QS_SLICE, &buf, &bytes, err);
	if (rc == QS_OK)
		rc = qs_pack_open_head(opener, name,
			qs_span(bytes.data, QS_PACK_HEAD), size, &found, err);
	if (rc != QS_OK)
		goto out;
	/* Often the directory is in the slice that is here already. */
	if (size <= bytes.len)
		bytes = qs_span(bytes.data + found.dir_off, found.dir_len);
	else
		rc = read_range(store, name, found.dir_off, (uint32_t)size,
			&buf, &bytes, err);
	if (rc == QS_OK)
		rc = qs_pack_open_dir(opener, &found, bytes, dir, err);
	if (rc == QS_OK)
		*head = found;
out:
	qs_buf_clear(&buf);
	return rc;
}

enum qs_code
qs_folder_read_dir(struct qs_folder *folder, const struct qs_name *name,
	uint64_t size, struct qs_pack_head *head, struct qs_pack_dir *dir,
	struct qs_err *err)
{
	struct qs_opener *opener;
	enum qs_code rc = get_opener(folder, &opener, err);

	return rc != QS_OK ? rc : qs_pack_read_dir(folder->store, opener, name,
		size, head, dir, err);
}

enum qs_code
qs_folder_adopt_sized(struct qs_folder *folder, const struct qs_name *name,
	uint64_t size, struct qs_err *err)
{
	struct qs_pack_head head;
	struct qs_pack_dir dir = {0};
	enum qs_code rc = qs_folder_read_dir(folder, name, size, &head, &dir,
		err);

	if (rc == QS_OK)
		rc = qs_index_add(folder->index, &head.ref, &dir, err);
	qs_pack_dir_clear(&dir);
	return rc;
}

enum qs_code
qs_folder_fail_unknown(struct qs_folder *folder, const struct qs_name *name,
	struct qs_err *err)
{
	const struct qs_ref ref = {.area = QS_AREA_OBJ, .name = *name};
	struct qs_buf buf = {0};
	char hex[QS_HEX_LEN + 1];
	size_t got;
	enum qs_code rc = qs_buf_reserve(&buf, QS_SLICE, err);

	qs_hex(hex, name->b, 32);
	if (rc == QS_OK)
		rc = folder->store->ops->get(folder->store->self, &ref, 0,
			buf.data, QS_SLICE, &got, err);
	qs_buf_clear(&buf);
	if (rc == QS_OK)
		return qs_fail(err, QS_EIO, "object %.16s: whether it is in "
			"%s can't be told", hex, folder->store->place);
	return qs_fail_while(err, "object %.16s can't be looked for in %s",
		hex, folder->store->place);
}

/* -------------------------------------------------------- index chunks */

/* The whole frame that the chunk lies in, opened; loc is within it. */
static enum qs_code
open_chunk(struct qs_folder *folder, const struct qs_index_pack *pack,
	const struct qs_chunk_loc *loc, struct qs_buf *plain,
	struct qs_err *err)
{
	const struct qs_frame_entry *frame;
	struct qs_opener *opener;
	struct qs_buf buf = {0};
	struct qs_span sealed;
	enum qs_code rc = get_opener(folder, &opener, err);

	if (rc != QS_OK)
		return rc;
	if (loc->frame >= pack->frame_count)
		return qs_fail(err, QS_ECORRUPT, "the index is damaged");
	frame = &pack->frames[loc->frame];
	if (!qs_frame_entry_ok(frame, pack->ref.size) ||
		frame->kind != QS_KIND_INDEX || loc->off > frame->plain_len ||
		loc->len > frame->plain_len - loc->off)
		return qs_fail(err, QS_ECORRUPT, "is no index chunk");
	rc = qs_buf_reserve(plain, frame->plain_len, err);
	if (rc == QS_OK)
		rc = read_range(folder->store, &pack->ref.name, frame->off,
			frame->off + frame->sealed_len, &buf, &sealed, err);
	if (rc == QS_OK)
		rc = qs_frame_open(opener, &pack->ref, loc->frame, frame,
			sealed, plain->data, err);
	if (rc == QS_OK)
		plain->len = frame->plain_len;
	qs_buf_clear(&buf);
	return rc;
}

static enum qs_code
find_chunk(struct qs_folder *folder, const struct qs_index_at *at,
	struct qs_chunk_loc *loc, struct qs_err *err)
{
	enum qs_code rc = qs_index_find(folder->index, &at->id, 1, loc, err);

	if (rc != QS_OK)
		return rc;
	/* A pack is taken in where it is queued to be listed, not here. */
	if (loc->pack == 0)
		return qs_fail(err, QS_ENOTFOUND, "is in no known object");
	if (loc->len != at->len)
		return qs_fail(err, QS_ECORRUPT, "has another length");
	return QS_OK;
}

enum qs_code
qs_folder_read_index_chunk(struct qs_folder *folder,
	const struct qs_index_at *at, struct qs_buf *out, struct qs_err *err)
{
	struct qs_index_pack pack = {0};
	struct qs_chunk_loc loc;
	struct qs_buf plain = {0};
	struct qs_span chunk;
	struct qs_id id;
	char hex[QS_HEX_LEN + 1];
	enum qs_code rc = find_chunk(folder, at, &loc, err);

	if (rc == QS_OK)
		rc = qs_index_pack(folder->index, loc.pack, &pack, err);
	if (rc == QS_OK)
		rc = open_chunk(folder, &pack, &loc, &plain, err);
	if (rc != QS_OK)
		goto out;
	chunk = qs_span(plain.data + loc.off, loc.len);
	qs_chunk_id(folder->keys, QS_KIND_INDEX,
		pack.frames[loc.frame].domain, chunk, &id);
	rc = qs_equal(id.b, at->id.b, 32) ?
		qs_buf_append(out, chunk.data, chunk.len, err) :
		qs_fail(err, QS_ECORRUPT, "is not what its id says");
out:
	if (rc != QS_OK) {
		qs_hex(hex, at->pack.b, 32);
		rc = qs_fail_while(err, "index chunk in object %.16s", hex);
	}
	free(pack.frames);
	qs_buf_clear(&plain);
	return rc;
}

static enum qs_code
collect_pack(void *arg, const struct qs_pack_ref *ref,
	const struct qs_pack_dir *dir, struct qs_err *err)
{
	(void)dir;
	return qs_buf_append((struct qs_buf *)arg, ref->name.b, 32, err);
}

enum qs_code
qs_index_chunk_names(struct qs_folder *folder, const struct qs_index_at *at,
	struct qs_name **names, size_t *count, struct qs_err *err)
{
	struct qs_buf chunk = {0}, found = {0};
	enum qs_code rc;

	if (folder->index == NULL)
		return qs_fail(err, QS_EINVAL,
			"the folder was opened without its index");
	rc = qs_folder_read_index_chunk(folder, at, &chunk, err);
	if (rc == QS_OK)
		rc = qs_index_chunk_decode(qs_buf_span(&chunk), collect_pack,
			&found, err);
	qs_buf_clear(&chunk);
	if (rc != QS_OK) {
		qs_buf_clear(&found);
		return rc;
	}
	*names = (struct qs_name *)found.data;
	*count = found.len / sizeof(**names);
	return QS_OK;
}
