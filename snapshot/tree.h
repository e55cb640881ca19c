/* SPDX-License-Identifier: ISC */
/*
 * Trees as bytes: nodes, their contents, tree and list chunks.  The part of
 * snapshot.h that docs/FORMAT.md ("Tree", "Content") is the norm of.
 */
#ifndef QS_TREE_H
#define QS_TREE_H

#include <sys/types.h>

#include "base/base.h"

/* -------------------------------------------------------- nodes, trees */

enum qs_node_type {
	QS_NODE_FILE = 1, QS_NODE_DIR = 2, QS_NODE_SYMLINK = 3,
	QS_NODE_FIFO = 4, QS_NODE_CHARDEV = 5, QS_NODE_BLOCKDEV = 6,
	QS_NODE_SOCKET = 7,
};

#define QS_NAME_MAX 255        /* bytes of a name */
#define QS_DEPTH_MAX 1024      /* folders in folders */
#define QS_TARGET_MAX 65535    /* bytes of a symlink's target */
#define QS_XATTRS_MAX 4096     /* extended attributes of a node */
#define QS_XATTR_VALUE_MAX 65536
#define QS_REF_LEN 40          /* id 32, u64 len */
#define QS_LIST_REFS 1024u     /* references in a list chunk */

/*
 * Where a node's bytes are: count references {id, len}.  depth 0: data chunks
 * of a file, or the tree chunks of a folder; depth d: list chunks of depth
 * d-1 references.  An all-zero id at depth 0 of a file is a hole.
 */
struct qs_content {
	uint8_t depth;
	uint32_t count;
	const uint8_t *refs; /* count x QS_REF_LEN, as stored; borrowed */
};

struct qs_node { /* decoded; everything is borrowed from the tree's bytes */
	enum qs_node_type type;
	bool is_partial; /* folder: something in it was not saved */
	uint16_t mode; /* 07777 */
	uint32_t uid, gid;
	int64_t mtime_ns;
	uint64_t size;       /* file: bytes; folder: bytes of its tree */
	uint64_t link_group; /* same number: same inode; 0: a single link */
	uint32_t links;      /* st_nlink when it was saved */
	uint32_t rdev_major, rdev_minor;
	struct qs_span name, user, group, target;
	uint16_t xattr_count;
	struct qs_span xattrs; /* encoded, qs_xattr_next */
	struct qs_content content;
	struct qs_span encoded; /* the whole entry, as stored */
};

mode_t qs_node_bits(enum qs_node_type type); /* S_IFREG and the like */

static inline struct qs_id
qs_content_id(const struct qs_content *content, uint32_t i)
{
	struct qs_id id;

	memcpy(id.b, content->refs + (size_t)i * QS_REF_LEN, sizeof(id.b));
	return id;
}

static inline uint64_t
qs_content_len(const struct qs_content *content, uint32_t i)
{
	return qs_load64(content->refs + (size_t)i * QS_REF_LEN + 32);
}

/* Next of node->xattrs; false at the end.  *at begins as node->xattrs. */
bool qs_xattr_next(struct qs_span *at, struct qs_span *name,
	struct qs_span *value);

/* Append an entry (fields of node but .encoded) to a tree being made. */
QS_MUST_CHECK enum qs_code qs_node_encode(const struct qs_node *node,
	struct qs_buf *out, struct qs_err *err);
/*
 * Decode the entry at the front of bytes; *used is its length.  Checks names,
 * types, sums, order of xattrs.  QS_ECORRUPT.
 */
QS_MUST_CHECK enum qs_code qs_node_decode(struct qs_span bytes,
	struct qs_node *out, size_t *used, struct qs_err *err);
/* Header of a tree chunk: "QSTT", u16 version, u16 0, u32 count. */
#define QS_TREE_HEAD 12
void qs_tree_head(uint8_t out[static QS_TREE_HEAD], uint32_t count);
/* The header alone; *count is at most what has room. */
QS_MUST_CHECK enum qs_code qs_tree_head_decode(struct qs_span tree,
	uint32_t *count, struct qs_err *err);
/*
 * The length and the name of the entry at the front of bytes, nothing else of
 * it checked; 0: it can't be one.
 */
size_t qs_node_peek(struct qs_span bytes, struct qs_span *name);
/*
 * A list chunk as the content it stands for: of references at depth, which add
 * up to len.  *out is borrowed from bytes.  QS_ECORRUPT.
 */
QS_MUST_CHECK enum qs_code qs_content_list(struct qs_span bytes,
	uint8_t depth, uint64_t len, struct qs_content *out,
	struct qs_err *err);
/*
 * Check a whole tree chunk: header, each entry, strict order of names, no
 * trailing bytes; *count entries follow the header.
 */
QS_MUST_CHECK enum qs_code qs_tree_check(struct qs_span tree,
	uint32_t *count, struct qs_err *err);

#endif
