/* SPDX-License-Identifier: ISC */
/*
 * mount_list: names looked up and directories listed, with the attributes of
 * what is in them: the kernel then asks no more.
 */
#include <errno.h>
#include <stdlib.h>

#include "fuse/mount_internal.h"

/* Offsets of "." and ".."; entries follow, at their place in the tree or, in
 * directories that follow the log, by number. */
#define OFF_DOT 1
#define OFF_DOTDOT 2

static struct mount_view *
view_get(struct mount *mount)
{
	struct qs_err trouble;
	struct mount_view *view = mount_view_get(mount->views, &trouble);

	if (trouble.code != QS_OK)
		mount_tell(mount->told, NULL, &trouble);
	return view;
}

/* A directory's own attributes, where no entry says them. */
static void
plain_param(struct mount *mount, struct mount_dir *dir, int64_t time_ns,
	struct fuse_entry_param *out)
{
	memset(out, 0, sizeof(*out));
	mount_attr_plain(mount, dir, dir->is_top ? dir->top_time_ns : time_ns,
		&out->attr);
	out->ino = mount_node_id(dir->number, 0);
	/* What a name stands for may change; a snapshot does not. */
	out->entry_timeout = MOUNT_SOON;
	out->attr_timeout = dir->is_top ? MOUNT_FOREVER : MOUNT_SOON;
}

/*
 * *owner is who counts the kernel's look-ups of it; put it back.
 */
static enum qs_code
entry_param(struct mount *mount, struct mount_dir *dir,
	const struct mount_entry *entry, struct fuse_entry_param *out,
	struct mount_dir **owner, struct qs_err *err)
{
	memset(out, 0, sizeof(*out));
	mount_attr_node(mount, dir, &entry->node, &out->attr);
	out->entry_timeout = out->attr_timeout = MOUNT_FOREVER;
	if (entry->node.type == QS_NODE_DIR) {
		enum qs_code rc = mount_entry_dir(mount, dir, entry, owner,
			err);

		if (rc == QS_OK)
			out->ino = mount_node_id((*owner)->number, 0);
		return rc;
	}
	*owner = mount_dir_get(mount->dirs, dir->number);
	out->ino = mount_node_id(dir->number, entry->off);
	return QS_OK;
}

/* --------------------------------------------------------------- lookup */

static enum qs_code
look_in_view(struct mount *mount, struct mount_dir *dir, const char *name,
	struct fuse_entry_param *param, struct mount_dir **owner,
	struct qs_err *err)
{
	struct mount_view *view = view_get(mount);
	struct mount_item item;
	enum qs_code rc;

	if (mount_view_named(view, dir, name, &item))
		rc = mount_item_dir(mount, dir, &item, owner, err);
	else
		rc = qs_fail(err, QS_ENOTFOUND, "no such name");
	if (rc == QS_OK)
		plain_param(mount, *owner, view->made_ns, param);
	mount_view_put(mount->views, view);
	return rc;
}

static enum qs_code
look_in_tree(struct mount *mount, struct mount_dir *dir, const char *name,
	struct fuse_entry_param *param, struct mount_dir **owner,
	struct qs_err *err)
{
	struct mount_entry entry = {.part = {.data = NULL}};
	enum qs_code rc = mount_entry_named(mount, dir,
		qs_span(name, strlen(name)), &entry, err);

	if (rc == QS_OK)
		rc = entry_param(mount, dir, &entry, param, owner, err);
	mount_entry_release(mount, &entry);
	if (rc != QS_ENOTFOUND)
		return rc;
	/* And it never will be there. */
	memset(param, 0, sizeof(*param));
	param->entry_timeout = MOUNT_FOREVER;
	return QS_OK;
}

void
mount_op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct mount *mount = mount_of(req);
	struct mount_dir *dir, *owner = NULL;
	struct fuse_entry_param param;
	struct mount_call call;
	struct qs_err err = {.code = QS_OK};
	enum qs_code rc;

	dir = mount_dir_get(mount->dirs, mount_node_dir(parent));
	if (!mount_call_begin(mount->watch, &call, req,
	    dir != NULL && dir->kind == MOUNT_TREE)) {
		mount_dir_put(mount->dirs, dir);
		return;
	}
	if (dir == NULL || mount_node_off(parent) != 0)
		rc = qs_fail(&err, QS_ENOTFOUND, "no such directory");
	else if (dir->kind == MOUNT_TREE)
		rc = look_in_tree(mount, dir, name, &param, &owner, &err);
	else
		rc = look_in_view(mount, dir, name, &param, &owner, &err);
	/* Counted before the kernel can know it, and so forget it. */
	if (owner != NULL && rc == QS_OK)
		mount_dir_look(mount->dirs, owner);
	if (!mount_call_end(mount->watch, &call)) {
		if (owner != NULL && rc == QS_OK)
			mount_dir_forget(mount->dirs, owner->number, 1);
	} else if (rc == QS_ENOTFOUND) {
		(void)fuse_reply_err(req, ENOENT);
	} else if (rc != QS_OK) {
		(void)fuse_reply_err(req, mount_errno(&err));
	} else if (fuse_reply_entry(req, &param) != 0 && owner != NULL) {
		mount_dir_forget(mount->dirs, owner->number, 1);
	}
	mount_dir_put(mount->dirs, owner);
	mount_dir_put(mount->dirs, dir);
}

/* --------------------------------------------------------------- listing */

struct listing {
	struct mount *mount;
	fuse_req_t req;
	struct mount_dir *dir;
	bool is_plus;
	char *bytes;
	size_t size, used;
	struct qs_buf looked; /* numbers of those that were counted */
};

static void
listing_undo(struct listing *listing)
{
	for (size_t at = 0; at < listing->looked.len; at += 4)
		mount_dir_forget(listing->mount->dirs,
			qs_load32(listing->looked.data + at), 1);
}

/* *full: it has no room any more. owner NULL: "." or "..". */
static enum qs_code
put(struct listing *listing, const char *name,
	const struct fuse_entry_param *param, struct mount_dir *owner,
	uint64_t next, bool *full, struct qs_err *err)
{
	char *at = listing->bytes + listing->used;
	const size_t room = listing->size - listing->used;
	uint8_t number[4];
	size_t len;
	enum qs_code rc;

	if (listing->is_plus)
		len = fuse_add_direntry_plus(listing->req, at, room, name,
			param, (off_t)next);
	else
		len = fuse_add_direntry(listing->req, at, room, name,
			&param->attr, (off_t)next);
	*full = len > room;
	if (*full || !listing->is_plus || owner == NULL) {
		listing->used += *full ? 0 : len;
		return QS_OK;
	}
	qs_store32(number, owner->number);
	rc = qs_buf_append(&listing->looked, number, sizeof(number), err);
	if (rc != QS_OK)
		return rc;
	mount_dir_look(listing->mount->dirs, owner);
	listing->used += len;
	return QS_OK;
}

static enum qs_code
put_dots(struct listing *listing, uint64_t *off, bool *full,
	struct qs_err *err)
{
	static const char *const names[] = {".", ".."};
	enum qs_code rc = QS_OK;

	for (; rc == QS_OK && !*full && *off < OFF_DOTDOT; ++*off) {
		const struct mount_dir *dir = listing->dir;
		struct fuse_entry_param param = {.ino = 0}; /* just names */

		if (*off == OFF_DOT && dir->parent != NULL)
			dir = dir->parent;
		mount_attr_plain(listing->mount, dir, 0, &param.attr);
		rc = put(listing, names[*off], &param, NULL, *off + 1, full,
			err);
		if (*full)
			break;
	}
	return rc;
}

static enum qs_code
list_view(struct listing *listing, uint64_t off, struct qs_err *err)
{
	struct mount *mount = listing->mount;
	struct mount_view *view = view_get(mount);
	size_t at = (size_t)(off - OFF_DOTDOT);
	struct mount_item item;
	bool full = false;
	enum qs_code rc = QS_OK;

	while (rc == QS_OK && !full &&
	    mount_view_next(view, listing->dir, &at, &item)) {
		struct fuse_entry_param param;
		struct mount_dir *owner = NULL;

		rc = mount_item_dir(mount, listing->dir, &item, &owner, err);
		if (rc != QS_OK)
			break;
		plain_param(mount, owner, view->made_ns, &param);
		rc = put(listing, item.name, &param, owner, at + OFF_DOTDOT,
			&full, err);
		mount_dir_put(mount->dirs, owner);
	}
	mount_view_put(mount->views, view);
	return rc;
}

static enum qs_code
list_tree(struct listing *listing, uint64_t off, struct qs_err *err)
{
	struct mount *mount = listing->mount;
	struct mount_entry entry = {.part = {.data = NULL}};
	bool full = false, end = false;
	enum qs_code rc = QS_OK;

	if (off == OFF_DOTDOT)
		off = 0;
	for (; !full; off = entry.next) {
		struct fuse_entry_param param;
		struct mount_dir *owner = NULL;
		char name[QS_NAME_MAX + 1];

		rc = mount_entry_next(mount, listing->dir, off, &entry, &end,
			err);
		if (rc != QS_OK || end)
			break;
		rc = entry_param(mount, listing->dir, &entry, &param, &owner,
			err);
		if (rc != QS_OK)
			break;
		memcpy(name, entry.node.name.data, entry.node.name.len);
		name[entry.node.name.len] = '\0';
		rc = put(listing, name, &param, owner, entry.next, &full,
			err);
		mount_dir_put(mount->dirs, owner);
		if (rc != QS_OK)
			break;
	}
	mount_entry_release(mount, &entry);
	return rc;
}

static enum qs_code
fill(struct listing *listing, uint64_t off, struct qs_err *err)
{
	bool full = false;
	enum qs_code rc = put_dots(listing, &off, &full, err);

	if (rc != QS_OK || full)
		return rc;
	return listing->dir->kind == MOUNT_TREE ?
		list_tree(listing, off, err) : list_view(listing, off, err);
}

static void
list(fuse_req_t req, fuse_ino_t node, size_t size, off_t off, bool is_plus)
{
	struct listing listing = {.mount = mount_of(req), .req = req,
		.is_plus = is_plus, .size = size};
	struct mount *mount = listing.mount;
	struct mount_call call;
	struct qs_err err = {.code = QS_OK};
	enum qs_code rc;

	listing.dir = mount_dir_get(mount->dirs, mount_node_dir(node));
	if (!mount_call_begin(mount->watch, &call, req,
	    listing.dir != NULL && listing.dir->kind == MOUNT_TREE)) {
		mount_dir_put(mount->dirs, listing.dir);
		return;
	}
	listing.bytes = malloc(size);
	if (listing.bytes == NULL)
		rc = qs_fail_nomem(&err, "listing a directory");
	else if (listing.dir == NULL || mount_node_off(node) != 0 || off < 0)
		rc = qs_fail(&err, QS_EINVAL, "it is no directory");
	else
		rc = fill(&listing, (uint64_t)off, &err);
	/* What was listed before the trouble is worth having. */
	if (rc != QS_OK && listing.used > 0)
		rc = QS_OK;
	if (!mount_call_end(mount->watch, &call))
		listing_undo(&listing);
	else if (rc != QS_OK)
		(void)fuse_reply_err(req, mount_errno(&err));
	else if (fuse_reply_buf(req, listing.bytes, listing.used) != 0)
		listing_undo(&listing);
	free(listing.bytes);
	qs_buf_clear(&listing.looked);
	mount_dir_put(mount->dirs, listing.dir);
}

void
mount_op_readdir(fuse_req_t req, fuse_ino_t node, size_t size, off_t off,
	struct fuse_file_info *info)
{
	(void)info;
	list(req, node, size, off, false);
}

void
mount_op_readdirplus(fuse_req_t req, fuse_ino_t node, size_t size, off_t off,
	struct fuse_file_info *info)
{
	(void)info;
	list(req, node, size, off, true);
}
