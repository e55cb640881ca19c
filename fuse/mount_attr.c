/* SPDX-License-Identifier: ISC */
/* mount_attr: what stat(2) says of a node. */
#include <stdlib.h>
#include <sys/sysmacros.h>

#include "fuse/mount_internal.h"

/*
 * How many bytes of a large file are no holes is counted once; a table in
 * which the newer takes the older's place is enough.
 */
#define BLOCKS 1024

/* As the kernel gives the attribute: a version, then tag, rights, id ... */
#define ACL_VERSION 2
#define ACL_HEAD 4
#define ACL_ENTRY 8

struct mount_blocks {
	pthread_mutex_t lock;
	struct {
		uint64_t ino, bytes;
	} known[BLOCKS];
};

enum qs_code
mount_blocks_new(struct mount_blocks **out, struct qs_err *err)
{
	struct mount_blocks *blocks = calloc(1, sizeof(*blocks));

	if (blocks == NULL)
		return qs_fail_nomem(err, "mounting");
	(void)pthread_mutex_init(&blocks->lock, NULL);
	*out = blocks;
	return QS_OK;
}

void
mount_blocks_free(struct mount_blocks *blocks)
{
	if (blocks == NULL)
		return;
	(void)pthread_mutex_destroy(&blocks->lock);
	free(blocks);
}

/*
 * Numbers of nodes: the same in every mount of the same store, for the same
 * snapshot under each of its names; 0 and 1 are nobody's.
 */
uint64_t
mount_ino(uint64_t parent, const void *name, size_t len)
{
	uint8_t bytes[8 + QS_NAME_MAX + 1], hash[16];
	uint64_t ino;

	if (len > sizeof(bytes) - 8)
		len = sizeof(bytes) - 8;
	qs_store64(bytes, parent);
	memcpy(bytes + 8, name, len);
	qs_hash_plain(hash, sizeof(hash), qs_span(bytes, 8 + len));
	ino = qs_load64(hash);
	return ino > 1 ? ino : ino + 2;
}

static uint64_t
node_ino(const struct mount_dir *dir, const struct qs_node *node)
{
	uint8_t group[9] = {'/'}; /* no name has it */

	if (node->link_group == 0)
		return mount_ino(dir->ino, node->name.data, node->name.len);
	qs_store64(group + 1, node->link_group);
	return mount_ino(dir->top_ino, group, sizeof(group));
}

static enum qs_code
add_bytes(void *arg, const struct qs_id *id, uint64_t len, uint64_t offset,
	struct qs_err *err)
{
	(void)offset;
	(void)err;
	if (!qs_is_zero(id->b, sizeof(id->b)))
		*(uint64_t *)arg += len;
	return QS_OK;
}

/* Where the list can't be read the size will do. */
static uint64_t
count_bytes(struct mount *mount, const struct qs_node *node, uint64_t ino)
{
	struct mount_blocks *blocks = mount->blocks;
	const size_t at = ino % BLOCKS;
	struct qs_err err;
	uint64_t bytes = 0;
	bool is_known;

	(void)pthread_mutex_lock(&blocks->lock);
	is_known = blocks->known[at].ino == ino;
	if (is_known)
		bytes = blocks->known[at].bytes;
	(void)pthread_mutex_unlock(&blocks->lock);
	if (is_known)
		return bytes;
	if (qs_content_each(mount->source, &node->content, add_bytes, &bytes,
	    &err) != QS_OK)
		return node->size;
	(void)pthread_mutex_lock(&blocks->lock);
	blocks->known[at].ino = ino;
	blocks->known[at].bytes = bytes;
	(void)pthread_mutex_unlock(&blocks->lock);
	return bytes;
}

/* In 512 bytes, whole pages; beyond 2^20 chunks holes are not looked for. */
static uint64_t
node_blocks(struct mount *mount, const struct qs_node *node, uint64_t ino)
{
	uint64_t bytes = 0;

	if (node->type != QS_NODE_FILE)
		return node->type == QS_NODE_DIR ?
			(node->size + 4095) / 4096 * 8 : 0;
	if (node->content.depth == 0) {
		for (uint32_t i = 0; i < node->content.count; i++) {
			const struct qs_id id = qs_content_id(&node->content,
				i);

			if (!qs_is_zero(id.b, sizeof(id.b)))
				bytes += qs_content_len(&node->content, i);
		}
	} else if (node->content.depth == 1) {
		bytes = count_bytes(mount, node, ino);
	} else {
		bytes = node->size;
	}
	return bytes / 4096 * 8 + (bytes % 4096 > 0 ? 8 : 0);
}

static void
set_times(struct stat *out, int64_t ns)
{
	out->st_mtim.tv_sec = (time_t)(ns / 1000000000);
	out->st_mtim.tv_nsec = (long)(ns % 1000000000);
	if (out->st_mtim.tv_nsec < 0) {
		out->st_mtim.tv_sec--;
		out->st_mtim.tv_nsec += 1000000000;
	}
	out->st_atim = out->st_ctim = out->st_mtim;
}

/* What all entries of an ACL allow, as a mode's last digit; 0: it is none. */
static uint32_t
acl_least(struct qs_span acl)
{
	uint32_t least = 07;

	if (acl.len < ACL_HEAD || (acl.len - ACL_HEAD) % ACL_ENTRY != 0 ||
	    qs_load32(acl.data) != ACL_VERSION)
		return 0;
	for (size_t at = ACL_HEAD; at < acl.len; at += ACL_ENTRY)
		least &= qs_load16(acl.data + at + 2);
	return least;
}

/*
 * Once the owner is another one nobody can tell whom the mode's digits and the
 * ACL's entries were for, so what is left is what none of them denies.  An
 * ACL's mask is one of its entries: it need not be applied to the others.
 */
uint32_t
mount_mode_least(const struct qs_node *node)
{
	static const char acl_name[] = "system.posix_acl_access";
	uint32_t least = node->mode >> 6 & node->mode >> 3 & node->mode & 07;
	struct qs_span at = node->xattrs, name, value;

	while (qs_xattr_next(&at, &name, &value)) {
		if (name.len == sizeof(acl_name) - 1 &&
		    memcmp(name.data, acl_name, name.len) == 0)
			least &= acl_least(value);
	}
	return least;
}

void
mount_attr_node(struct mount *mount, const struct mount_dir *dir,
	const struct qs_node *node, struct stat *out)
{
	memset(out, 0, sizeof(*out));
	out->st_ino = node_ino(dir, node);
	out->st_mode = qs_node_bits(node->type) | node->mode;
	if (mount->is_least_shown)
		out->st_mode = (out->st_mode & ~077U) |
			mount_mode_least(node) * 011;
	out->st_nlink = node->links;
	out->st_uid = mount->is_owner_stored ? node->uid : mount->uid;
	out->st_gid = mount->is_owner_stored ? node->gid : mount->gid;
	out->st_rdev = makedev(node->rdev_major, node->rdev_minor);
	out->st_size = node->type == QS_NODE_SYMLINK ?
		(off_t)node->target.len : node->size > INT64_MAX ? INT64_MAX :
		(off_t)node->size;
	out->st_blksize = 128 << 10;
	out->st_blocks = (blkcnt_t)node_blocks(mount, node, out->st_ino);
	set_times(out, node->mtime_ns);
}

void
mount_attr_plain(struct mount *mount, const struct mount_dir *dir,
	int64_t time_ns, struct stat *out)
{
	memset(out, 0, sizeof(*out));
	out->st_ino = dir->ino;
	out->st_mode = S_IFDIR | 0755;
	out->st_nlink = 2;
	out->st_uid = mount->uid;
	out->st_gid = mount->gid;
	out->st_blksize = 4096;
	set_times(out, time_ns);
}
