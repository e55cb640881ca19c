/* SPDX-License-Identifier: ISC */
/*
 * tree: the entries of a folder as bytes.  Layout: docs/FORMAT.md, "Tree".
 *
 * An entry, little-endian; every field is aligned within it:
 *   0 u32 length of the entry   4 u8 type   5 u8 flags   6 u16 mode
 *   8 u32 uid  12 u32 gid  16 i64 mtime in ns  24 u64 size
 *  32 u64 link group  40 u32 links  44 u32 rdev major  48 u32 rdev minor
 *  52 u16 name length  54 u16 target length
 *  56 u8 user length  57 u8 group length  58 u16 xattr count
 *  60 u32 xattr bytes  64 u8 depth  65 u8[3] 0  68 u32 reference count
 *  72 name, user, group, target, xattrs, references
 */
#include <sys/stat.h>

#include "snapshot/content_internal.h"

#define ENTRY_HEAD 72
#define FLAG_PARTIAL 1
#define XATTR_HEAD 6 /* u16 name length, u32 value length */
#define XATTR_NAME_MAX 255

_Static_assert(QS_REF_LEN == sizeof(struct qs_id) + 8, "reference");
_Static_assert(ENTRY_HEAD + QS_NAME_MAX + 255 + 255 + QS_TARGET_MAX +
	QS_LIST_REFS * QS_REF_LEN < QS_ENTRY_MAX,
	"only xattrs can make an entry too long");

/* a < b, as bytes; a name comes before what it is the beginning of */
static int
compare(struct qs_span a, struct qs_span b)
{
	const size_t len = a.len < b.len ? a.len : b.len;
	const int order = len > 0 ? memcmp(a.data, b.data, len) : 0;

	if (order != 0)
		return order;
	return (a.len > b.len) - (a.len < b.len);
}

static bool
has_byte(struct qs_span span, int byte)
{
	return span.len > 0 && memchr(span.data, byte, span.len) != NULL;
}

bool
qs_xattr_next(struct qs_span *at, struct qs_span *name, struct qs_span *value)
{
	size_t name_len, value_len, left;

	if (at->len < XATTR_HEAD)
		return false;
	name_len = qs_load16(at->data);
	value_len = qs_load32(at->data + 2);
	left = at->len - XATTR_HEAD;
	if (name_len > left || value_len > left - name_len)
		return false;
	*name = qs_span(at->data + XATTR_HEAD, name_len);
	*value = qs_span(at->data + XATTR_HEAD + name_len, value_len);
	*at = qs_span(value->data + value_len, left - name_len - value_len);
	return true;
}

static const char *
xattr_fault(struct qs_span name, struct qs_span value)
{
	if (name.len < 1 || name.len > XATTR_NAME_MAX || has_byte(name, 0))
		return "the name of an extended attribute is not allowed";
	if (value.len > QS_XATTR_VALUE_MAX)
		return "an extended attribute is too long";
	return NULL;
}

enum qs_code
qs_xattr_append(struct qs_buf *xattrs, struct qs_span name,
	struct qs_span value, struct qs_err *err)
{
	const char *fault = xattr_fault(name, value);
	enum qs_code rc;
	uint8_t *out;

	if (fault != NULL)
		return qs_fail(err, QS_EINVAL, "%s", fault);
	rc = qs_buf_extend(xattrs, XATTR_HEAD + name.len + value.len, &out,
		err);
	if (rc != QS_OK)
		return rc;
	qs_store16(out, (uint16_t)name.len);
	qs_store32(out + 2, (uint32_t)value.len);
	memcpy(out + XATTR_HEAD, name.data, name.len);
	if (value.len > 0)
		memcpy(out + XATTR_HEAD + name.len, value.data, value.len);
	return QS_OK;
}

static const char *
xattrs_fault(const struct qs_node *node)
{
	struct qs_span at = node->xattrs, last = {NULL, 0}, name, value;
	size_t count = 0;
	const char *fault;

	while (qs_xattr_next(&at, &name, &value)) {
		fault = xattr_fault(name, value);
		if (fault != NULL)
			return fault;
		if (count > 0 && compare(last, name) >= 0)
			return "its extended attributes are not in order";
		last = name;
		count++;
	}
	if (at.len != 0 || count != node->xattr_count)
		return "its extended attributes do not add up";
	if (count > QS_XATTRS_MAX)
		return "it has too many extended attributes";
	return NULL;
}

static const char *
names_fault(const struct qs_node *node)
{
	const struct qs_span name = node->name;

	if (name.len < 1 || name.len > QS_NAME_MAX)
		return "its name is empty or too long";
	if (has_byte(name, '/') || has_byte(name, 0))
		return "its name has a '/' or a NUL in it";
	if (name.data[0] == '.' && (name.len == 1 ||
	    (name.len == 2 && name.data[1] == '.')))
		return "its name is \".\" or \"..\"";
	if (node->user.len > 255 || node->group.len > 255 ||
	    has_byte(node->user, 0) || has_byte(node->group, 0))
		return "the name of its user or group is not allowed";
	if ((node->target.len > 0) != (node->type == QS_NODE_SYMLINK))
		return "it has a target and is no symlink, or the reverse";
	if (node->target.len > QS_TARGET_MAX || has_byte(node->target, 0))
		return "its target is too long or has a NUL in it";
	return NULL;
}

static const char *
content_fault(const struct qs_node *node)
{
	const struct qs_content *content = &node->content;
	uint64_t sum = 0;

	if (node->type != QS_NODE_FILE && node->type != QS_NODE_DIR) {
		return content->count == 0 && content->depth == 0 &&
			node->size == 0 ? NULL : "it has content";
	}
	if (content->depth > QS_CONTENT_DEPTH_MAX)
		return "its content lists are too deep";
	if (content->count > QS_LIST_REFS ||
	    (content->depth > 0 && content->count < 2))
		return "it has too many or too few references";
	for (uint32_t i = 0; i < content->count; i++) {
		const uint64_t len = qs_content_len(content, i);
		const bool hole = qs_is_zero(
			content->refs + (size_t)i * QS_REF_LEN, 32);

		if (hole && (content->depth > 0 || node->type != QS_NODE_FILE))
			return "it has a hole where none can be";
		if (len == 0 || (content->depth == 0 && !hole &&
		    len > QS_CHUNK_MAX))
			return "the length of a reference is not allowed";
		if (__builtin_add_overflow(sum, len, &sum))
			return "the lengths of its references do not add up";
	}
	if (sum != node->size)
		return "the lengths of its references do not add up";
	return NULL;
}

/* What is wrong with a node, or NULL. */
static const char *
fault_of(const struct qs_node *node)
{
	const bool device = node->type == QS_NODE_CHARDEV ||
		node->type == QS_NODE_BLOCKDEV;
	const char *fault = names_fault(node);

	if (fault != NULL)
		return fault;
	if (node->mode > 07777)
		return "its mode is not allowed";
	if (node->links < 1)
		return "its number of links is 0";
	if (node->is_partial && node->type != QS_NODE_DIR)
		return "it is in part and no folder";
	if (node->link_group != 0 && node->type == QS_NODE_DIR)
		return "it is a folder with hard links";
	if (!device && (node->rdev_major != 0 || node->rdev_minor != 0))
		return "it has a device number and is no device";
	fault = content_fault(node);
	return fault != NULL ? fault : xattrs_fault(node);
}

static size_t
entry_len(const struct qs_node *node)
{
	return ENTRY_HEAD + node->name.len + node->user.len +
		node->group.len + node->target.len + node->xattrs.len +
		(size_t)node->content.count * QS_REF_LEN;
}

static void
put_head(uint8_t out[static ENTRY_HEAD], const struct qs_node *node,
	size_t len)
{
	memset(out, 0, ENTRY_HEAD);
	qs_store32(out, (uint32_t)len);
	out[4] = (uint8_t)node->type;
	out[5] = node->is_partial ? FLAG_PARTIAL : 0;
	qs_store16(out + 6, node->mode);
	qs_store32(out + 8, node->uid);
	qs_store32(out + 12, node->gid);
	qs_store64(out + 16, (uint64_t)node->mtime_ns);
	qs_store64(out + 24, node->size);
	qs_store64(out + 32, node->link_group);
	qs_store32(out + 40, node->links);
	qs_store32(out + 44, node->rdev_major);
	qs_store32(out + 48, node->rdev_minor);
	qs_store16(out + 52, (uint16_t)node->name.len);
	qs_store16(out + 54, (uint16_t)node->target.len);
	out[56] = (uint8_t)node->user.len;
	out[57] = (uint8_t)node->group.len;
	qs_store16(out + 58, node->xattr_count);
	qs_store32(out + 60, (uint32_t)node->xattrs.len);
	out[64] = node->content.depth;
	qs_store32(out + 68, node->content.count);
}

static uint8_t *
put(uint8_t *out, const uint8_t *data, size_t len)
{
	if (len > 0)
		memcpy(out, data, len);
	return out + len;
}

mode_t
qs_node_bits(enum qs_node_type type)
{
	static const mode_t types[] = {
		[QS_NODE_FILE] = S_IFREG, [QS_NODE_DIR] = S_IFDIR,
		[QS_NODE_SYMLINK] = S_IFLNK, [QS_NODE_FIFO] = S_IFIFO,
		[QS_NODE_CHARDEV] = S_IFCHR, [QS_NODE_BLOCKDEV] = S_IFBLK,
		[QS_NODE_SOCKET] = S_IFSOCK,
	};

	return types[type];
}

enum qs_code
qs_node_encode(const struct qs_node *node, struct qs_buf *out,
	struct qs_err *err)
{
	const char *fault = fault_of(node);
	size_t len;
	uint8_t *at;
	enum qs_code rc;

	if (fault == NULL && (node->type < QS_NODE_FILE ||
	    node->type > QS_NODE_SOCKET))
		fault = "its type is not known";
	if (fault == NULL && (node->xattrs.len > QS_ENTRY_MAX ||
	    entry_len(node) > QS_ENTRY_MAX))
		fault = "its extended attributes are too long together";
	if (fault != NULL)
		return qs_fail(err, QS_EINVAL, "cannot save it: %s", fault);
	len = entry_len(node);
	rc = qs_buf_extend(out, len, &at, err);
	if (rc != QS_OK)
		return rc;
	put_head(at, node, len);
	at = put(at + ENTRY_HEAD, node->name.data, node->name.len);
	at = put(at, node->user.data, node->user.len);
	at = put(at, node->group.data, node->group.len);
	at = put(at, node->target.data, node->target.len);
	at = put(at, node->xattrs.data, node->xattrs.len);
	(void)put(at, node->content.refs,
		(size_t)node->content.count * QS_REF_LEN);
	return QS_OK;
}

static struct qs_span
take(const uint8_t **at, size_t len)
{
	const struct qs_span span = qs_span(*at, len);

	*at += len;
	return span;
}

/* Only for a head whose lengths add up to the entry's. */
static void
get_node(const uint8_t *in, struct qs_node *node)
{
	const uint8_t *at = in + ENTRY_HEAD;

	node->type = (enum qs_node_type)in[4];
	node->is_partial = (in[5] & FLAG_PARTIAL) != 0;
	node->mode = qs_load16(in + 6);
	node->uid = qs_load32(in + 8);
	node->gid = qs_load32(in + 12);
	node->mtime_ns = (int64_t)qs_load64(in + 16);
	node->size = qs_load64(in + 24);
	node->link_group = qs_load64(in + 32);
	node->links = qs_load32(in + 40);
	node->rdev_major = qs_load32(in + 44);
	node->rdev_minor = qs_load32(in + 48);
	node->name = take(&at, qs_load16(in + 52));
	node->user = take(&at, in[56]);
	node->group = take(&at, in[57]);
	node->target = take(&at, qs_load16(in + 54));
	node->xattr_count = qs_load16(in + 58);
	node->xattrs = take(&at, qs_load32(in + 60));
	node->content.depth = in[64];
	node->content.count = qs_load32(in + 68);
	node->content.refs = at;
	node->encoded = qs_span(in, qs_load32(in));
}

enum qs_code
qs_node_decode(struct qs_span bytes, struct qs_node *out, size_t *used,
	struct qs_err *err)
{
	const uint8_t *in = bytes.data;
	struct qs_node node;
	const char *fault;
	uint64_t sum;
	size_t len;

	if (bytes.len < ENTRY_HEAD)
		return qs_fail(err, QS_ECORRUPT, "tree entry: cut short");
	len = qs_load32(in);
	if (len > bytes.len || len > QS_ENTRY_MAX)
		return qs_fail(err, QS_ECORRUPT, "tree entry: cut short");
	if (in[4] < QS_NODE_FILE || in[4] > QS_NODE_SOCKET)
		return qs_fail(err, QS_ECORRUPT,
			"tree entry: its type is not known");
	if ((in[5] & ~FLAG_PARTIAL) != 0 || !qs_is_zero(in + 65, 3))
		return qs_fail(err, QS_ECORRUPT,
			"tree entry: a reserved byte is not 0");
	/* 64 bits: none of these can overflow. */
	sum = (uint64_t)ENTRY_HEAD + qs_load16(in + 52) + qs_load16(in + 54) +
		in[56] + in[57] + qs_load32(in + 60) +
		(uint64_t)qs_load32(in + 68) * QS_REF_LEN;
	if (sum != len)
		return qs_fail(err, QS_ECORRUPT,
			"tree entry: its lengths do not add up");
	get_node(in, &node);
	fault = fault_of(&node);
	if (fault != NULL)
		return qs_fail(err, QS_ECORRUPT, "tree entry: %s", fault);
	*out = node;
	*used = len;
	return QS_OK;
}

size_t
qs_node_peek(struct qs_span bytes, struct qs_span *name)
{
	size_t len, name_len;

	if (bytes.len < ENTRY_HEAD)
		return 0;
	len = qs_load32(bytes.data);
	name_len = qs_load16(bytes.data + 52);
	if (len > bytes.len || len < ENTRY_HEAD + name_len)
		return 0;
	*name = qs_span(bytes.data + ENTRY_HEAD, name_len);
	return len;
}

void
qs_tree_head(uint8_t out[static QS_TREE_HEAD], uint32_t count)
{
	memcpy(out, "QSTT", 4);
	qs_store16(out + 4, 1);
	qs_store16(out + 6, 0);
	qs_store32(out + 8, count);
}

enum qs_code
qs_tree_head_decode(struct qs_span tree, uint32_t *count, struct qs_err *err)
{
	uint32_t n;

	if (tree.len < QS_TREE_HEAD || memcmp(tree.data, "QSTT", 4) != 0)
		return qs_fail(err, QS_ECORRUPT, "tree: not a tree chunk");
	if (qs_load16(tree.data + 4) != 1)
		return qs_fail(err, QS_EUNSUPPORTED,
			"tree: made by a newer version of qstore");
	if (qs_load16(tree.data + 6) != 0)
		return qs_fail(err, QS_ECORRUPT,
			"tree: a reserved byte is not 0");
	n = qs_load32(tree.data + 8);
	if (n > (tree.len - QS_TREE_HEAD) / (ENTRY_HEAD + 1))
		return qs_fail(err, QS_ECORRUPT,
			"tree: more entries than it has room for");
	*count = n;
	return QS_OK;
}

int
qs_name_order(struct qs_span a, struct qs_span b)
{
	return compare(a, b);
}

enum qs_code
qs_tree_check(struct qs_span tree, uint32_t *count, struct qs_err *err)
{
	struct qs_span rest, last = {NULL, 0};
	struct qs_node node;
	uint32_t n = 0;
	size_t used;
	enum qs_code rc = qs_tree_head_decode(tree, &n, err);

	if (rc != QS_OK)
		return rc;
	rest = qs_span(tree.data + QS_TREE_HEAD, tree.len - QS_TREE_HEAD);
	for (uint32_t i = 0; i < n; i++) {
		rc = qs_node_decode(rest, &node, &used, err);
		if (rc != QS_OK)
			return rc;
		if (i > 0 && compare(last, node.name) >= 0)
			return qs_fail(err, QS_ECORRUPT,
				"tree: its names are not in order");
		last = node.name;
		rest = qs_span(rest.data + used, rest.len - used);
	}
	if (rest.len != 0)
		return qs_fail(err, QS_ECORRUPT,
			"tree: bytes after its last entry");
	*count = n;
	return QS_OK;
}
