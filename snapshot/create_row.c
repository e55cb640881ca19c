/* SPDX-License-Identifier: ISC */
/*
 * Directory rows: what a folder looked like when it was last saved, kept in
 * the index in segments of CREATE_ROW_ENTRIES entries in order of name.  What
 * was named by itself has a row of its one entry, the segment ROW_TARGET of its
 * own path.
 *
 *   "QSR1"  u32 flags (1: the last segment)  u32 entries
 *   last only: u32 depth, u32 count, count x 40: the folder's content
 *   each entry: u64 inode, i64 ctime ns (-1: not to be relied upon),
 *               the tree entry as stored
 *
 * A row that does not parse counts as none: it is only a cache.
 */
#include "snapshot/create_internal.h"

static const char magic[4] = {'Q', 'S', 'R', '1'};

#define ROW_HEAD 12

void
row_key(const uint8_t path_hash[static 32], uint32_t segment,
	uint8_t key[static QS_DIR_KEY_LEN])
{
	uint8_t bytes[36];

	memcpy(bytes, path_hash, 32);
	qs_store32(bytes + 32, segment);
	qs_hash_plain(key, QS_DIR_KEY_LEN, qs_span(bytes, sizeof(bytes)));
}

enum qs_code
row_add(struct row_writer *row, uint64_t ino, int64_t ctime_ns,
	struct qs_span entry, struct qs_err *err)
{
	uint8_t *at;
	enum qs_code rc = qs_buf_extend(&row->bytes, 16 + entry.len, &at, err);

	if (rc != QS_OK)
		return rc;
	qs_store64(at, ino);
	qs_store64(at + 8, (uint64_t)ctime_ns);
	memcpy(at + 16, entry.data, entry.len);
	row->count++;
	return QS_OK;
}

enum qs_code
row_finish(struct row_writer *row, bool is_last,
	const struct qs_content *content, struct qs_err *err)
{
	size_t refs = is_last ? (size_t)content->count * QS_REF_LEN : 0;
	size_t head = ROW_HEAD + (is_last ? 8 + refs : 0), len = row->bytes.len;
	uint8_t *at;
	enum qs_code rc = qs_buf_extend(&row->bytes, head, &at, err);

	if (rc != QS_OK)
		return rc;
	at = row->bytes.data;
	memmove(at + head, at, len);
	memcpy(at, magic, 4);
	qs_store32(at + 4, is_last ? 1 : 0);
	qs_store32(at + 8, row->count);
	if (is_last) {
		qs_store32(at + 12, content->depth);
		qs_store32(at + 16, content->count);
		if (refs > 0)
			memcpy(at + 20, content->refs, refs);
	}
	return QS_OK;
}

enum qs_code
row_put(struct qs_index *index, const uint8_t path_hash[static 32],
	struct row_writer *row, bool is_last,
	const struct qs_content *content, struct qs_err *err)
{
	uint8_t key[QS_DIR_KEY_LEN];
	enum qs_code rc = row_finish(row, is_last, content, err);

	row_key(path_hash, row->segment, key);
	if (rc == QS_OK)
		rc = qs_index_dir_put(index, key, qs_buf_span(&row->bytes),
			err);
	row->bytes.len = 0;
	row->count = 0;
	row->segment++;
	row->same = true;
	return rc;
}

enum qs_code
row_put_target(struct qs_index *index, const uint8_t parent[static 32],
	struct qs_span name, uint64_t ino, int64_t ctime_ns,
	struct qs_span entry, struct qs_err *err)
{
	static const struct qs_content none;
	struct row_writer row = {.segment = ROW_TARGET};
	uint8_t hash[32];
	enum qs_code rc = row_add(&row, ino, ctime_ns, entry, err);

	child_hash(parent, name, hash);
	if (rc == QS_OK)
		rc = row_put(index, hash, &row, true, &none, err);
	qs_buf_clear(&row.bytes);
	return rc;
}

bool
row_open(struct qs_span row, struct row_head *out, struct qs_reader *entries)
{
	struct qs_reader r = qs_reader(row);
	const uint8_t *mark = qs_read_bytes(&r, 4);
	uint32_t flags = qs_read32(&r), depth;

	*out = (struct row_head){.count = qs_read32(&r)};
	if (mark == NULL || memcmp(mark, magic, 4) != 0 || flags > 1 ||
		r.failed)
		return false;
	out->is_last = flags == 1;
	if (out->is_last) {
		depth = qs_read32(&r);
		out->content.count = qs_read32(&r);
		if (depth > QS_CONTENT_DEPTH_MAX ||
			out->content.count > QS_LIST_REFS)
			return false;
		out->content.depth = (uint8_t)depth;
		out->content.refs = qs_read_bytes(&r,
			(size_t)out->content.count * QS_REF_LEN);
	}
	*entries = r;
	return !r.failed;
}

bool
row_next(struct qs_reader *entries, struct prior_entry *out)
{
	size_t used = 0;
	struct qs_err ignored;

	*out = (struct prior_entry){.has_inode = true};
	out->ino = qs_read64(entries);
	out->ctime_ns = (int64_t)qs_read64(entries);
	if (entries->failed || qs_node_decode(qs_span(entries->data,
		entries->left), &out->node, &used, &ignored) != QS_OK)
		return false;
	return qs_read_bytes(entries, used) != NULL;
}
