/* SPDX-License-Identifier: ISC */
/* restore_folder: folders of the target, opened one in the other. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "snapshot/restore_internal.h"

#define PASS_FOLDER (O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

/* Remember what is in what was opened: who owns what will be made in it. */
static enum qs_code
know(struct restore *restore, struct restore_folder *folder,
	struct qs_err *err)
{
	struct stat st;

	(void)atomic_fetch_add(&restore->open_folders, 1);
	if (fstat(folder->fd, &st) != 0)
		return qs_fail_errno(err, "cannot look at the folder");
	/* Only what was there can have any: a new one's are dropped. */
	folder->gives_acl = !folder->is_fresh &&
		restore_acl_is_given(folder->fd);
	folder->dev = st.st_dev;
	folder->ino = st.st_ino;
	folder->old_mode = st.st_mode & 07777;
	folder->gid = (st.st_mode & S_ISGID) != 0 ? st.st_gid : getegid();
	if (st.st_uid == geteuid() && geteuid() != 0 &&
	    (st.st_mode & 0700) != 0700 &&
	    fchmod(folder->fd, folder->old_mode | 0700) == 0)
		folder->is_opened_up = true;
	return QS_OK;
}

enum qs_code
restore_target_open(struct restore *restore, const char *prefix,
	struct restore_folder **out, struct qs_err *err)
{
	struct restore_folder *folder = calloc(1, sizeof(*folder));
	const char *target = restore->options->target;
	enum qs_code rc = QS_OK;

	if (folder == NULL)
		return qs_fail_nomem(err, "opening the target");
	folder->references = 1;
	folder->fd = -1;
	folder->name = strdup(prefix);
	if (folder->name == NULL) {
		rc = qs_fail_nomem(err, "opening the target");
		goto out;
	}
	if (!restore->options->dry_run)
		rc = qs_dir_make(target, 0700, err);
	if (rc == QS_OK)
		rc = qs_dir_open(AT_FDCWD, target, &folder->fd, err);
	if (rc == QS_ENOTFOUND && restore->options->dry_run)
		rc = QS_OK;
	if (rc == QS_OK && folder->fd >= 0)
		rc = know(restore, folder, err);
	if (rc != QS_OK) {
		rc = qs_fail_while(err, "target %s", target);
		goto out;
	}
	*out = folder;
	folder = NULL; /* handed over */
out:
	restore_folder_drop(restore, folder);
	return rc;
}

enum qs_code
restore_folder_new(struct restore_folder *parent, const struct qs_node *node,
	struct restore_folder **out, struct qs_err *err)
{
	struct restore_folder *folder = calloc(1, sizeof(*folder));
	enum qs_code rc;

	if (folder == NULL)
		return qs_fail_nomem(err, "restoring a folder");
	folder->name = strndup((const char *)node->name.data,
		node->name.len);
	rc = qs_buf_append(&folder->entry, node->encoded.data,
		node->encoded.len, err);
	if (folder->name == NULL || rc != QS_OK) {
		qs_buf_clear(&folder->entry);
		free(folder->name);
		free(folder);
		return qs_fail_nomem(err, "restoring a folder");
	}
	folder->fd = -1;
	folder->references = 1;
	folder->parent = parent;
	restore_folder_take(parent);
	*out = folder;
	return QS_OK;
}

void
restore_folder_look(struct restore *restore, struct restore_folder *folder)
{
	struct qs_err ignored; /* making it will tell */

	/* In a dry run the target itself may be missing. */
	if (folder->fd >= 0 || folder->parent == NULL ||
	    folder->parent->fd < 0)
		return;
	folder->fd = restore_room_open(restore, folder);
	if (folder->fd >= 0 && know(restore, folder, &ignored) != QS_OK)
		restore_room_close(restore, folder);
}

/* An old folder that its owner, who we are, has no right to read. */
static int
open_up(struct restore *restore, struct restore_folder *folder)
{
	char path[64];
	struct stat st;
	int held = openat(folder->parent->fd, folder->name, PASS_FOLDER);
	int fd = -1;

	if (held < 0)
		return -1;
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", held);
	if (fstat(held, &st) == 0 && st.st_uid == geteuid() &&
	    chmod(path, (st.st_mode & 07777) | 0700) == 0) {
		fd = restore_room_open(restore, folder);
		folder->is_opened_up = fd >= 0;
		folder->old_mode = st.st_mode & 07777;
	}
	(void)close(held);
	return fd;
}

/* What is no folder, where one should be: may it be removed? */
static bool
may_clear(const struct restore *restore, const struct restore_folder *folder)
{
	struct qs_node node;
	struct qs_err ignored;
	struct stat st;
	size_t used;

	if (restore->options->overwrite == QS_OVERWRITE_NEVER)
		return false;
	return restore->options->overwrite != QS_OVERWRITE_IF_NEWER ||
		(qs_node_decode(qs_buf_span(&folder->entry), &node, &used,
		&ignored) == QS_OK && fstatat(folder->parent->fd,
		folder->name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		restore_mtime(&st) < node.mtime_ns);
}

static enum qs_code
make_one(struct restore *restore, struct restore_folder *folder,
	struct qs_err *err)
{
	const int parent = folder->parent->fd;
	mode_t old_mode;
	enum qs_code rc;

	for (int try = 0; folder->fd < 0; try++) {
		if (mkdirat(parent, folder->name, 0700) == 0)
			folder->is_fresh = true;
		else if (errno != EEXIST)
			return qs_fail_errno(err, "cannot make the folder");
		folder->fd = restore_room_open(restore, folder);
		if (folder->fd < 0 && errno == EACCES)
			folder->fd = open_up(restore, folder);
		if (folder->fd >= 0)
			break;
		if ((errno != ENOTDIR && errno != ELOOP) || try > 2)
			return qs_fail_errno(err, "cannot open the folder");
		if (!may_clear(restore, folder))
			return qs_fail(err, QS_EEXIST, "something that is no "
				"folder is in the way");
		/* The link or file itself: it is never followed. */
		if (unlinkat(parent, folder->name, 0) != 0 && errno != ENOENT)
			return qs_fail_errno(err,
				"cannot remove what is in the way");
	}
	if (folder->is_fresh && folder->parent->gives_acl)
		restore_acl_drop(folder->fd);
	old_mode = folder->old_mode;
	rc = know(restore, folder, err);
	if (folder->is_opened_up && old_mode != 0)
		folder->old_mode = old_mode;
	return rc;
}

enum qs_code
restore_folder_make(struct restore *restore, struct restore_folder *folder,
	struct qs_err *err)
{
	while (folder->fd < 0) {
		struct restore_folder *top = folder;
		enum qs_code rc;

		while (top->parent != NULL && top->parent->fd < 0)
			top = top->parent;
		if (top->is_parked)
			return qs_fail(err, QS_ENOTFOUND,
				"its folder could not be opened again");
		if (top->parent == NULL)
			return QS_OK; /* a dry run: the target is not there */
		if (restore->options->dry_run) {
			restore_folder_look(restore, top);
			if (top->fd < 0)
				return QS_OK;
			continue;
		}
		rc = make_one(restore, top, err);
		if (rc != QS_OK)
			return rc;
		(void)atomic_fetch_add(&restore->dirs, 1);
	}
	return QS_OK;
}

void
restore_folder_take(struct restore_folder *folder)
{
	(void)atomic_fetch_add(&folder->references, 1);
}

/* All that is in it is there. */
static void
finish(struct restore *restore, struct restore_folder *folder)
{
	const bool is_kept = restore->options->overwrite ==
		QS_OVERWRITE_NEVER && !folder->is_fresh;
	struct restore_had had;
	struct qs_node node;
	struct qs_err err;
	struct stat st;
	size_t used;
	enum qs_code rc;

	if (folder->fd < 0 || folder->entry.len == 0 ||
	    restore->options->dry_run || is_kept ||
	    (!folder->is_wanted && !folder->is_fresh)) {
		if (folder->is_opened_up)
			(void)fchmod(folder->fd, folder->old_mode);
		return;
	}
	rc = qs_node_decode(qs_buf_span(&folder->entry), &node, &used, &err);
	if (rc == QS_OK && fstat(folder->fd, &st) != 0)
		rc = qs_fail_errno(&err, "cannot look at the folder");
	if (rc == QS_OK) {
		had = (struct restore_had){.uid = st.st_uid,
			.gid = st.st_gid, .mode = st.st_mode & 07777};
		rc = restore_meta_fd(restore, folder->fd, &node, &had, &err);
	}
	if (rc != QS_OK)
		restore_warn_folder(restore, folder, &err);
}

void
restore_folder_drop(struct restore *restore, struct restore_folder *folder)
{
	while (folder != NULL &&
	    atomic_fetch_sub(&folder->references, 1) == 1) {
		struct restore_folder *parent = folder->parent;

		finish(restore, folder);
		restore_room_close(restore, folder);
		qs_buf_clear(&folder->entry);
		free(folder->name);
		free(folder);
		folder = parent;
	}
}

enum qs_code
restore_open_parent(int target_fd, const char *path, int *out,
	const char **name, struct qs_err *err)
{
	/* O_PATH: those that are done may be such that none may list them. */
	int fd = openat(target_fd, ".", PASS_FOLDER);

	while (fd >= 0) {
		const char *end = strchr(path, '/');
		char part[QS_NAME_MAX + 1];
		int next;

		if (end == NULL) {
			*out = fd;
			*name = path;
			return QS_OK;
		}
		if (end - path > QS_NAME_MAX) {
			errno = ENAMETOOLONG;
			break;
		}
		memcpy(part, path, (size_t)(end - path));
		part[end - path] = '\0';
		next = openat(fd, part, PASS_FOLDER);
		if (next < 0)
			break;
		(void)close(fd);
		fd = next;
		path = end + 1;
	}
	(void)qs_fail_errno(err, "cannot open the folder again");
	qs_fd_close(&fd);
	return err->code;
}
