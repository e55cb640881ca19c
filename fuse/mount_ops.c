/* SPDX-License-Identifier: ISC */
/*
 * mount_ops: what the kernel asks, but for reading and listing (mount_read.c,
 * mount_list.c), and what is agreed upon with it first.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fuse/mount_internal.h"

static void
op_init(void *userdata, struct fuse_conn_info *conn)
{
	struct mount *mount = userdata;

	/* Attributes come with the names, always: one question, not 100. */
	conn->want &= ~(unsigned)FUSE_CAP_READDIRPLUS_AUTO;
	conn->want |= conn->capable & (FUSE_CAP_READDIRPLUS |
		FUSE_CAP_ASYNC_READ | FUSE_CAP_PARALLEL_DIROPS |
		FUSE_CAP_CACHE_SYMLINKS | FUSE_CAP_AUTO_INVAL_DATA |
		FUSE_CAP_NO_OPEN_SUPPORT | FUSE_CAP_NO_OPENDIR_SUPPORT);
	/* Replies are written right out of memory that is used again. */
	conn->want &= ~(unsigned)(FUSE_CAP_SPLICE_WRITE |
		FUSE_CAP_SPLICE_MOVE | FUSE_CAP_SPLICE_READ);
	/* With other people's ids the kernel applies ACLs, else nobody. */
	if (mount->options.allow_other && mount->is_owner_stored)
		conn->want |= conn->capable & FUSE_CAP_POSIX_ACL;
	mount->is_least_shown = mount->options.allow_other &&
		(conn->want & FUSE_CAP_POSIX_ACL) == 0;
	mount->has_no_open =
		(conn->capable & FUSE_CAP_NO_OPEN_SUPPORT) != 0;
	mount->has_no_opendir =
		(conn->capable & FUSE_CAP_NO_OPENDIR_SUPPORT) != 0;
	conn->max_background = 32;
	conn->congestion_threshold = 24;
}

/* --------------------------------------------------------------- forget */

static void
forget_one(struct mount *mount, fuse_ino_t node, uint64_t lookups)
{
	if (node != FUSE_ROOT_ID)
		mount_dir_forget(mount->dirs, mount_node_dir(node), lookups);
}

static void
op_forget(fuse_req_t req, fuse_ino_t node, uint64_t lookups)
{
	forget_one(mount_of(req), node, lookups);
	fuse_reply_none(req);
}

static void
op_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *nodes)
{
	for (size_t i = 0; i < count; i++)
		forget_one(mount_of(req), nodes[i].ino, nodes[i].nlookup);
	fuse_reply_none(req);
}

/* ----------------------------------------------------------- open, close */

/*
 * With ENOSYS the kernel opens by itself from then on, keeps what it has
 * cached, and asks no more.
 */
static void
op_open(fuse_req_t req, fuse_ino_t node, struct fuse_file_info *info)
{
	(void)node;
	if (mount_of(req)->has_no_open) {
		(void)fuse_reply_err(req, ENOSYS);
		return;
	}
	info->keep_cache = 1;
	(void)fuse_reply_open(req, info);
}

static void
op_opendir(fuse_req_t req, fuse_ino_t node, struct fuse_file_info *info)
{
	(void)node;
	if (mount_of(req)->has_no_opendir) {
		(void)fuse_reply_err(req, ENOSYS);
		return;
	}
	info->cache_readdir = info->keep_cache = 1;
	(void)fuse_reply_open(req, info);
}

/* ------------------------------------------------- what an entry says */

struct asking { /* a request about one node */
	struct mount *mount;
	struct mount_call call;
	struct mount_dir *dir;
	struct mount_entry entry;
	bool has_entry; /* else it is dir, of which nothing is stored */
};

/* false: it is answered.  Else answer between asking_end and asking_close. */
static bool
asking_open(struct asking *asking, fuse_req_t req, fuse_ino_t node)
{
	struct mount *mount = mount_of(req);
	struct mount_dir *dir = mount_dir_get(mount->dirs,
		mount_node_dir(node));
	uint64_t off = mount_node_off(node);
	struct qs_err err;
	enum qs_code rc = QS_OK;

	*asking = (struct asking){.mount = mount, .dir = dir};
	if (!mount_call_begin(mount->watch, &asking->call, req,
	    off != 0 || (dir != NULL && dir->kind == MOUNT_TREE))) {
		mount_dir_put(mount->dirs, dir);
		return false;
	}
	if (dir == NULL) {
		rc = qs_fail(&err, QS_ENOTFOUND, "no such node");
	} else if (off == 0 && dir->number == 0 && mount->has_root_node) {
		asking->entry.node = mount->root_node;
		asking->has_entry = true;
	} else if (off == 0 && dir->kind == MOUNT_TREE && !dir->is_top) {
		rc = mount_entry_at(mount, dir->parent, dir->key,
			&asking->entry, &err);
		asking->has_entry = true;
	} else if (off != 0) {
		rc = dir->kind != MOUNT_TREE ? qs_fail(&err, QS_ENOTFOUND,
			"no such node") : mount_entry_at(mount, dir, off,
			&asking->entry, &err);
		asking->has_entry = true;
	}
	if (rc == QS_OK)
		return true;
	if (mount_call_end(mount->watch, &asking->call))
		(void)fuse_reply_err(req, mount_errno(&err));
	mount_entry_release(mount, &asking->entry);
	mount_dir_put(mount->dirs, dir);
	return false;
}

static bool
asking_end(struct asking *asking)
{
	return mount_call_end(asking->mount->watch, &asking->call);
}

static void
asking_close(struct asking *asking)
{
	mount_entry_release(asking->mount, &asking->entry);
	mount_dir_put(asking->mount->dirs, asking->dir);
}

static int64_t
view_time(struct mount *mount)
{
	struct qs_err trouble;
	struct mount_view *view = mount_view_get(mount->views, &trouble);
	const int64_t made_ns = view->made_ns;

	mount_view_put(mount->views, view);
	if (trouble.code != QS_OK)
		mount_tell(mount->told, NULL, &trouble);
	return made_ns;
}

static void
op_getattr(fuse_req_t req, fuse_ino_t node, struct fuse_file_info *info)
{
	struct asking asking;
	struct stat stat;
	double timeout = MOUNT_FOREVER;

	(void)info;
	if (!asking_open(&asking, req, node))
		return;
	if (asking.has_entry) {
		mount_attr_node(asking.mount, mount_node_off(node) == 0 &&
			asking.dir->parent != NULL ? asking.dir->parent :
			asking.dir, &asking.entry.node, &stat);
		if (mount_node_off(node) == 0)
			stat.st_ino = asking.dir->ino;
	} else if (asking.dir->is_top) {
		mount_attr_plain(asking.mount, asking.dir,
			asking.dir->top_time_ns, &stat);
	} else {
		mount_attr_plain(asking.mount, asking.dir,
			view_time(asking.mount), &stat);
		timeout = MOUNT_SOON;
	}
	if (asking_end(&asking))
		(void)fuse_reply_attr(req, &stat, timeout);
	asking_close(&asking);
}

static void
op_readlink(fuse_req_t req, fuse_ino_t node)
{
	struct asking asking;
	struct qs_span target = {NULL, 0};
	char *text;

	if (!asking_open(&asking, req, node))
		return;
	if (asking.has_entry && asking.entry.node.type == QS_NODE_SYMLINK)
		target = asking.entry.node.target;
	text = malloc(target.len + 1);
	if (text != NULL && target.len > 0)
		memcpy(text, target.data, target.len);
	if (text != NULL)
		text[target.len] = '\0';
	if (asking_end(&asking)) {
		if (target.len == 0)
			(void)fuse_reply_err(req, EINVAL);
		else if (text == NULL)
			(void)fuse_reply_err(req, ENOMEM);
		else
			(void)fuse_reply_readlink(req, text);
	}
	free(text);
	asking_close(&asking);
}

/* ---------------------------------------------------------- attributes */

static void
reply_sized(fuse_req_t req, const void *bytes, size_t len, size_t size)
{
	if (size == 0)
		(void)fuse_reply_xattr(req, len);
	else if (len > size)
		(void)fuse_reply_err(req, ERANGE);
	else
		(void)fuse_reply_buf(req, bytes, len);
}

static void
op_getxattr(fuse_req_t req, fuse_ino_t node, const char *name, size_t size)
{
	struct asking asking;
	struct qs_span at = {NULL, 0}, found, value = {NULL, 0};
	const size_t len = strlen(name);
	bool is_found = false;

	if (!asking_open(&asking, req, node))
		return;
	if (asking.has_entry)
		at = asking.entry.node.xattrs;
	while (!is_found && qs_xattr_next(&at, &found, &value))
		is_found = found.len == len &&
			memcmp(found.data, name, len) == 0;
	if (asking_end(&asking)) {
		if (is_found)
			reply_sized(req, value.data, value.len, size);
		else
			(void)fuse_reply_err(req, ENODATA);
	}
	asking_close(&asking);
}

static void
op_listxattr(fuse_req_t req, fuse_ino_t node, size_t size)
{
	struct asking asking;
	struct qs_span at = {NULL, 0}, name, value;
	struct qs_buf names = {NULL, 0, 0};
	struct qs_err err;
	enum qs_code rc = QS_OK;

	if (!asking_open(&asking, req, node))
		return;
	if (asking.has_entry)
		at = asking.entry.node.xattrs;
	while (rc == QS_OK && qs_xattr_next(&at, &name, &value)) {
		rc = qs_buf_append(&names, name.data, name.len, &err);
		if (rc == QS_OK)
			rc = qs_buf_append(&names, "", 1, &err);
	}
	if (asking_end(&asking)) {
		if (rc != QS_OK)
			(void)fuse_reply_err(req, ENOMEM);
		else
			reply_sized(req, names.data, names.len, size);
	}
	qs_buf_clear(&names);
	asking_close(&asking);
}

/* What the snapshots hold, each in full; nothing is free. */
static void
op_statfs(fuse_req_t req, fuse_ino_t node)
{
	struct mount *mount = mount_of(req);
	struct statvfs out = {.f_bsize = 4096, .f_frsize = 4096,
		.f_namemax = QS_NAME_MAX};
	uint64_t bytes = mount->tree_bytes, files = mount->tree_files;

	(void)node;
	if (mount->views != NULL)
		mount_views_sums(mount->views, &bytes, &files);
	out.f_blocks = (fsblkcnt_t)(bytes / 4096 + (bytes % 4096 > 0));
	out.f_files = (fsfilcnt_t)files;
	(void)fuse_reply_statfs(req, &out);
}

const struct fuse_lowlevel_ops mount_ops = {
	.init = op_init,
	.lookup = mount_op_lookup,
	.forget = op_forget,
	.forget_multi = op_forget_multi,
	.getattr = op_getattr,
	.readlink = op_readlink,
	.open = op_open,
	.read = mount_op_read,
	.lseek = mount_op_lseek,
	.opendir = op_opendir,
	.readdir = mount_op_readdir,
	.readdirplus = mount_op_readdirplus,
	.statfs = op_statfs,
	.getxattr = op_getxattr,
	.listxattr = op_listxattr,
};
