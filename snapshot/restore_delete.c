/* SPDX-License-Identifier: ISC */
/*
 * restore_delete: what is in a restored folder and not in the snapshot.  Only
 * names within opened folders are used: no symlink is ever followed.
 */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "snapshot/restore_internal.h"

#define REMOVE_DEPTH 900 /* folders in folders; each keeps two descriptors */

struct restore_extra {
	char **names; /* in order */
	size_t count, cap, next;
	bool is_spared, is_told; /* none may go; that one stays was told */
	struct qs_err why;
};

static bool
is_dots(const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

static int
by_bytes(const void *a, const void *b)
{
	const char *const *x = a, *const *y = b;

	return strcmp(*x, *y);
}

void
restore_extra_free(struct restore_extra *extra)
{
	if (extra == NULL)
		return;
	for (size_t i = 0; i < extra->count; i++)
		free(extra->names[i]);
	free(extra->names);
	free(extra);
}

static enum qs_code
add(struct restore_extra *extra, const char *name, struct qs_err *err)
{
	if (extra->count == extra->cap) {
		const size_t cap = extra->cap == 0 ? 64 : extra->cap * 2;
		char **names = realloc(extra->names, cap * sizeof(*names));

		if (names == NULL)
			return qs_fail_nomem(err, "listing a folder");
		extra->names = names;
		extra->cap = cap;
	}
	extra->names[extra->count] = strdup(name);
	if (extra->names[extra->count] == NULL)
		return qs_fail_nomem(err, "listing a folder");
	extra->count++;
	return QS_OK;
}

void
restore_extra_spare(struct restore_extra *extra, const struct qs_err *why)
{
	extra->is_spared = true;
	extra->why = *why;
}

static DIR *
open_dir(int folder_fd, const char *name)
{
	int fd = openat(folder_fd, name,
		O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	if (dir == NULL)
		qs_fd_close(&fd);
	return dir;
}

enum qs_code
restore_extra_read(const struct restore_folder *folder,
	struct restore_extra **out, struct qs_err *err)
{
	struct restore_extra *extra = calloc(1, sizeof(*extra));
	DIR *dir = open_dir(folder->fd, ".");
	const struct dirent *entry;
	enum qs_code rc = QS_OK;

	if (extra == NULL) {
		rc = qs_fail_nomem(err, "listing a folder");
		goto out;
	}
	if (dir == NULL) {
		rc = qs_fail_errno(err, "cannot list the folder");
		goto out;
	}
	errno = 0;
	while (rc == QS_OK && (entry = readdir(dir)) != NULL) {
		if (!is_dots(entry->d_name))
			rc = add(extra, entry->d_name, err);
		errno = 0;
	}
	if (rc == QS_OK && errno != 0)
		rc = qs_fail_errno(err, "cannot list the folder");
	if (rc != QS_OK)
		goto out;
	if (extra->count > 1)
		qsort(extra->names, extra->count, sizeof(*extra->names),
			by_bytes);
	*out = extra;
	extra = NULL; /* handed over */
out:
	if (dir != NULL)
		(void)closedir(dir);
	restore_extra_free(extra);
	return rc;
}

/* ---------------------------------------------------------------- remove */

static enum qs_node_type
type_at(int fd, const char *name)
{
	struct stat st;

	if (fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    S_ISDIR(st.st_mode))
		return QS_NODE_DIR;
	return QS_NODE_FILE;
}

struct removal {
	const struct restore *restore;
	struct {
		DIR *dir;
		size_t path_len;
		bool is_left; /* something in it is excluded */
		char name[QS_NAME_MAX + 1];
	} *levels;
	size_t depth;
	dev_t dev;
	struct qs_buf path; /* in the snapshot, of the deepest folder */
	bool is_left;       /* of what is removed as a whole */
};

static enum qs_code
descend(struct removal *removal, int folder_fd, const char *name,
	struct qs_err *err)
{
	DIR *dir;
	struct stat st;

	if (removal->depth == REMOVE_DEPTH)
		return qs_fail(err, QS_EINVAL, "more than %d folders deep",
			REMOVE_DEPTH);
	dir = open_dir(folder_fd, name);
	if (dir == NULL)
		return qs_fail_errno(err, "cannot open folder %s", name);
	if (fstat(dirfd(dir), &st) != 0 || st.st_dev != removal->dev) {
		(void)closedir(dir);
		return qs_fail(err, QS_EINVAL,
			"%s is on another file system", name);
	}
	removal->levels[removal->depth].dir = dir;
	removal->levels[removal->depth].path_len = removal->path.len;
	removal->levels[removal->depth].is_left = false;
	(void)strncpy(removal->levels[removal->depth].name, name,
		QS_NAME_MAX);
	removal->levels[removal->depth].name[QS_NAME_MAX] = '\0';
	removal->depth++;
	return QS_OK;
}

/* Make path that of name in the deepest folder: is it excluded? */
static enum qs_code
see_excluded(struct removal *removal, const char *name, bool *is_excluded,
	struct qs_err *err)
{
	const struct qs_patterns *exclude = removal->restore->options->exclude;
	enum qs_code rc;

	*is_excluded = false;
	if (exclude == NULL)
		return QS_OK;
	removal->path.len = removal->levels[removal->depth - 1].path_len;
	rc = qs_buf_printf(&removal->path, err, "/%s", name);
	if (rc == QS_OK)
		rc = qs_buf_append(&removal->path, "", 1, err);
	if (rc != QS_OK)
		return rc;
	removal->path.len--; /* the NUL */
	*is_excluded = qs_patterns_match(exclude,
		(const char *)removal->path.data, NULL);
	return QS_OK;
}

static enum qs_code
remove_entry(struct removal *removal, DIR *dir, const char *name,
	struct qs_err *err)
{
	bool is_excluded;
	enum qs_code rc = see_excluded(removal, name, &is_excluded, err);

	if (rc != QS_OK)
		return rc;
	if (is_excluded) {
		removal->levels[removal->depth - 1].is_left = true;
		return QS_OK;
	}
	if (removal->restore->options->dry_run)
		return type_at(dirfd(dir), name) != QS_NODE_DIR ? QS_OK :
			descend(removal, dirfd(dir), name, err);
	if (unlinkat(dirfd(dir), name, 0) == 0 || errno == ENOENT)
		return QS_OK;
	if (errno != EISDIR && errno != EPERM)
		return qs_fail_errno(err, "cannot delete %s", name);
	return descend(removal, dirfd(dir), name, err);
}

/* All that may go from the deepest folder is gone: that folder itself. */
static enum qs_code
ascend(struct removal *removal, int folder_fd, struct qs_err *err)
{
	const size_t top = removal->depth - 1;
	const bool is_left = removal->levels[top].is_left;
	int above;

	(void)closedir(removal->levels[top].dir);
	removal->depth = top;
	if (is_left && top > 0)
		removal->levels[top - 1].is_left = true;
	removal->is_left = is_left;
	if (is_left || removal->restore->options->dry_run)
		return QS_OK;
	above = top > 0 ? dirfd(removal->levels[top - 1].dir) : folder_fd;
	if (unlinkat(above, removal->levels[top].name, AT_REMOVEDIR) != 0)
		return qs_fail_errno(err, "cannot delete folder %s",
			removal->levels[top].name);
	return QS_OK;
}

static enum qs_code
remove_step(struct removal *removal, int folder_fd, struct qs_err *err)
{
	DIR *dir = removal->levels[removal->depth - 1].dir;
	const struct dirent *entry = readdir(dir);

	while (entry != NULL && is_dots(entry->d_name))
		entry = readdir(dir);
	return entry == NULL ? ascend(removal, folder_fd, err) :
		remove_entry(removal, dir, entry->d_name, err);
}

enum qs_code
restore_remove(const struct restore *restore, int folder_fd, const char *name,
	const char *path, bool *is_left, struct qs_err *err)
{
	const bool is_dry = restore->options->dry_run;
	struct removal removal = {.restore = restore};
	struct stat st;
	enum qs_code rc;

	*is_left = false;
	if (is_dry && type_at(folder_fd, name) != QS_NODE_DIR)
		return QS_OK;
	if (!is_dry) {
		if (unlinkat(folder_fd, name, 0) == 0 || errno == ENOENT)
			return QS_OK;
		if (errno != EISDIR && errno != EPERM)
			return qs_fail_errno(err, "cannot delete it");
	}
	if (fstat(folder_fd, &st) != 0)
		return qs_fail_errno(err, "cannot look at its folder");
	removal.dev = st.st_dev;
	removal.levels = calloc(REMOVE_DEPTH, sizeof(*removal.levels));
	if (removal.levels == NULL)
		return qs_fail_nomem(err, "deleting a folder");
	rc = qs_buf_append(&removal.path, path, strlen(path), err);
	if (rc == QS_OK)
		rc = descend(&removal, folder_fd, name, err);
	while (rc == QS_OK && removal.depth > 0)
		rc = remove_step(&removal, folder_fd, err);
	while (removal.depth > 0)
		(void)closedir(removal.levels[--removal.depth].dir);
	free(removal.levels);
	qs_buf_clear(&removal.path);
	*is_left = removal.is_left;
	return rc;
}

/* Told once for all of the folder. */
static bool
spare(struct restore *restore, struct restore_extra *extra, const char *path)
{
	if (extra->is_spared && !extra->is_told)
		restore_note(restore, path, &extra->why);
	extra->is_told = true;
	return extra->is_spared;
}

static void
delete_one(struct restore *restore, struct restore_extra *extra,
	const struct restore_folder *folder, const char *name)
{
	struct qs_node node = {.type = QS_NODE_FILE};
	struct qs_buf path = {NULL, 0, 0};
	const char *text;
	bool below = false, is_left = false;
	struct qs_err err;
	enum qs_code rc = restore_folder_path(folder, &path, &err);

	if (rc == QS_OK)
		rc = qs_buf_append(&path, "/", 1, &err);
	if (rc == QS_OK)
		rc = qs_buf_append(&path, name, strlen(name) + 1, &err);
	if (rc != QS_OK) {
		qs_buf_clear(&path);
		restore_warn(restore, folder->name, &err);
		return;
	}
	text = (const char *)path.data;
	if (restore_selects(restore, text, &below) &&
	    !spare(restore, extra, text)) {
		node.type = type_at(folder->fd, name);
		rc = restore_remove(restore, folder->fd, name, text, &is_left,
			&err);
		if (rc != QS_OK) {
			restore_warn(restore, text, &err);
		} else if (!is_left) {
			restore->files_deleted++;
			restore_event(restore, QS_EVENT_DELETED, text, &node);
		}
	}
	qs_buf_clear(&path);
}

void
restore_extra_upto(struct restore *restore, struct restore_extra *extra,
	const struct restore_folder *folder, struct qs_span name)
{
	for (; extra->next < extra->count; extra->next++) {
		const char *found = extra->names[extra->next];
		const int order = name.len == 0 ? -1 : qs_name_order(
			qs_span(found, strlen(found)), name);

		if (order > 0 || restore_stopped(restore))
			return;
		if (order < 0)
			delete_one(restore, extra, folder, found);
	}
}
