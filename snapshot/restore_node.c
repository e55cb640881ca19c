/* SPDX-License-Identifier: ISC */
/* restore_node: symlinks, special files and further names of a file. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "snapshot/restore_internal.h"

static enum qs_code
make_symlink(int fd, const struct qs_node *node, const char *name,
	struct qs_err *err)
{
	char *target = malloc(node->target.len + 1);
	int rc;

	if (target == NULL)
		return qs_fail_nomem(err, "restoring a symlink");
	memcpy(target, node->target.data, node->target.len);
	target[node->target.len] = '\0';
	rc = symlinkat(target, fd, name);
	if (rc != 0)
		(void)qs_fail_errno(err, "cannot make the symlink");
	free(target);
	return rc == 0 ? QS_OK : err->code;
}

static enum qs_code
make(struct restore_folder *folder, const struct qs_node *node,
	const char *name, struct qs_err *err)
{
	if (node->type == QS_NODE_SYMLINK)
		return make_symlink(folder->fd, node, name, err);
	if (mknodat(folder->fd, name, qs_node_bits(node->type) | 0600,
	    makedev(node->rdev_major, node->rdev_minor)) != 0)
		return qs_fail_errno(err, "cannot make the special file");
	return QS_OK;
}

/* Hold what was made, so that nobody can put something else in its place. */
static enum qs_code
set_meta(struct restore *restore, struct restore_folder *folder,
	const struct qs_node *node, const char *name, struct qs_err *err)
{
	struct restore_had had;
	struct stat st;
	enum qs_code rc;
	int fd = openat(folder->fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0 || fstat(fd, &st) != 0) {
		rc = qs_fail_errno(err, "cannot look at what was made");
		goto out;
	}
	if ((st.st_mode & S_IFMT) != qs_node_bits(node->type)) {
		rc = qs_fail(err, QS_EEXIST, "something else took its place");
		goto out;
	}
	had = (struct restore_had){st.st_uid, st.st_gid, st.st_mode & 07777,
		folder->gives_acl};
	rc = restore_meta_path(restore, fd, node, &had, err);
out:
	qs_fd_close(&fd);
	return rc;
}

enum qs_code
restore_node(struct restore *restore, struct restore_folder *folder,
	const struct qs_node *node, const char *name, bool replaces,
	struct qs_err *err)
{
	char partial[RESTORE_PARTIAL];
	struct qs_err trouble;
	enum qs_code rc, meta;

	/* Fails on anything that is there, so it needs no name of its own. */
	if (!replaces) {
		rc = make(folder, node, name, err);
		return rc != QS_OK ? rc :
			set_meta(restore, folder, node, name, err);
	}
	restore_partial_name(restore, partial);
	rc = make(folder, node, partial, err);
	if (rc != QS_OK)
		return rc;
	meta = set_meta(restore, folder, node, partial, &trouble);
	rc = restore_rename(folder, partial, name, true, err);
	if (rc != QS_OK)
		(void)unlinkat(folder->fd, partial, 0);
	else if (meta != QS_OK)
		*err = trouble;
	return rc != QS_OK ? rc : meta;
}

/* Link what fd holds, or (without /proc) what has its name. */
static int
link_fd(int fd, int old_fd, const char *old_name, int new_fd,
	const char *new_name)
{
	char path[40];

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (linkat(AT_FDCWD, path, new_fd, new_name, AT_SYMLINK_FOLLOW) == 0)
		return 0;
	if (errno != ENOENT)
		return -1;
	return linkat(old_fd, old_name, new_fd, new_name, 0);
}

/* Whichever way it was linked: it must be the very file. */
static enum qs_code
check_link(int folder_fd, const char *name, const struct restore_link *link,
	struct qs_err *err)
{
	struct stat st;

	if (fstatat(folder_fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return qs_fail_errno(err, "cannot look at the new link");
	if (st.st_dev == link->dev && st.st_ino == link->ino)
		return QS_OK;
	(void)unlinkat(folder_fd, name, 0);
	return qs_fail(err, QS_ENOTFOUND,
		"its first name belongs to another file by now");
}

enum qs_code
restore_link_make(struct restore *restore, struct restore_folder *folder,
	const struct restore_link *link, const char *name, bool replaces,
	struct qs_err *err)
{
	char partial[RESTORE_PARTIAL];
	const char *made = replaces ? partial : name;
	const char *old_name = NULL;
	struct stat st;
	int old_fd = -1, fd = -1;
	enum qs_code rc = restore_open_parent(restore->target_fd, link->path,
		&old_fd, &old_name, err);

	if (rc != QS_OK)
		goto out;
	fd = openat(old_fd, old_name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) != 0) {
		rc = qs_fail_errno(err, "cannot open its first name");
		goto out;
	}
	if (S_ISDIR(st.st_mode) || st.st_dev != link->dev ||
	    st.st_ino != link->ino) {
		rc = qs_fail(err, QS_ENOTFOUND,
			"its first name belongs to another file by now");
		goto out;
	}
	restore_partial_name(restore, partial);
	if (link_fd(fd, old_fd, old_name, folder->fd, made) != 0) {
		rc = qs_fail_errno(err, "cannot make the hard link");
		goto out;
	}
	rc = check_link(folder->fd, made, link, err);
	if (rc == QS_OK && replaces) {
		rc = restore_rename(folder, partial, name, true, err);
		/* Two names of one file: rename then does nothing at all. */
		(void)unlinkat(folder->fd, partial, 0);
	}
out:
	qs_fd_close(&fd);
	qs_fd_close(&old_fd);
	return rc;
}
