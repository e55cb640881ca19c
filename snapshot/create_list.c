/* SPDX-License-Identifier: ISC */
/*
 * The lister: depth-first through the targets in byte order of names, with an
 * explicit stack, everything relative to open folders (paths may be longer
 * than PATH_MAX).  It leaves out what the user does not want and hands over
 * the rest in batches; the planner decides what has to be read.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "snapshot/create_list_internal.h"

struct level {
	struct folder *folder;
	struct target *target; /* made up: its children are the names */
	struct qs_buf names;   /* each with a NUL */
	uint32_t *offsets;     /* into names, sorted */
	size_t count, at;
	uint64_t dev;
};

void
facts_from_stat(struct facts *facts, const struct stat *st)
{
	*facts = (struct facts){
		.mode = st->st_mode,
		.uid = st->st_uid,
		.gid = st->st_gid,
		.links = (uint32_t)st->st_nlink,
		.rdev_major = major(st->st_rdev),
		.rdev_minor = minor(st->st_rdev),
		.dev = st->st_dev,
		.ino = st->st_ino,
		.size = (uint64_t)st->st_size,
		.blocks = (uint64_t)st->st_blocks,
		.mtime_ns = (int64_t)st->st_mtim.tv_sec * 1000000000 +
			st->st_mtim.tv_nsec,
		.ctime_ns = (int64_t)st->st_ctim.tv_sec * 1000000000 +
			st->st_ctim.tv_nsec,
	};
}

void
child_hash(const uint8_t parent[static 32], struct qs_span name,
	uint8_t out[static 32])
{
	uint8_t bytes[32 + QS_NAME_MAX];
	size_t len = name.len < QS_NAME_MAX ? name.len : QS_NAME_MAX;

	memcpy(bytes, parent, 32);
	memcpy(bytes + 32, name.data, len);
	qs_hash_plain(out, 32, qs_span(bytes, 32 + len));
}

void
folder_take(struct folder *folder)
{
	atomic_fetch_add(&folder->references, 1);
}

void
folder_drop(struct folder *folder)
{
	if (folder == NULL || atomic_fetch_sub(&folder->references, 1) != 1)
		return;
	qs_fd_close(&folder->fd);
	free(folder);
}

static void
warn(struct lister *l, struct qs_err *err)
{
	l->warn(l->arg, (const char *)l->path.data, err);
}

/* ---- the path of what is being looked at, with a leading '/' and a NUL */

static enum qs_code
path_push(struct lister *l, const char *name, struct qs_err *err)
{
	enum qs_code rc;

	l->path.len--; /* the NUL */
	if ((rc = qs_buf_append(&l->path, "/", 1, err)) != QS_OK ||
		(rc = qs_buf_append(&l->path, name, strlen(name) + 1, err)) !=
			QS_OK)
		return rc;
	return QS_OK;
}

static void
path_pop(struct lister *l, size_t len)
{
	l->path.len = len;
	l->path.data[len - 1] = '\0';
}

/* ---- names of a folder */

static int
by_name(const void *a, const void *b, void *names)
{
	const char *base = names;

	return strcmp(base + *(const uint32_t *)a, base + *(const uint32_t *)b);
}

static enum qs_code
read_names(struct lister *l, struct level *level, struct qs_err *err)
{
	size_t cap = 0;
	enum qs_code rc = QS_OK;
	int fd = dup(level->folder->fd);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	if (dir == NULL) {
		rc = qs_fail_errno(err, "cannot read the folder");
		if (fd >= 0)
			close(fd);
		return rc;
	}
	for (;;) {
		size_t len;

		errno = 0;
		entry = readdir(dir);
		if (entry == NULL)
			break;
		len = strlen(entry->d_name);
		if (entry->d_name[0] == '.' && (len == 1 ||
			(len == 2 && entry->d_name[1] == '.')))
			continue;
		if (level->names.len > UINT32_MAX - len - 1) {
			rc = qs_fail(err, QS_EINVAL, "too many names in it");
			goto out;
		}
		if (level->count == cap) {
			uint32_t *more;

			cap = cap == 0 ? 32 : cap * 2;
			more = realloc(level->offsets, cap * sizeof(uint32_t));
			if (more == NULL) {
				rc = qs_fail_nomem(err, "reading a folder");
				goto out;
			}
			level->offsets = more;
		}
		level->offsets[level->count++] = (uint32_t)level->names.len;
		rc = qs_buf_append(&level->names, entry->d_name, len + 1, err);
		if (rc != QS_OK)
			goto out;
	}
	if (errno != 0) {
		rc = qs_fail_errno(err, "cannot read the folder to its end");
		warn(l, err);
		level->folder->is_partial = true;
		rc = QS_OK; /* what was read is saved */
	}
	if (level->count > 1)
		qsort_r(level->offsets, level->count, sizeof(uint32_t),
			by_name, level->names.data);
out:
	closedir(dir);
	return rc;
}

/* Does the folder hold this file (beginning with header, unless NULL)? */
static bool
has_tag(int fd, const char *name, const char *header, size_t header_len)
{
	char got[256];
	int file = openat(fd, name,
		O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	ssize_t n;

	if (file < 0)
		return header == NULL && faccessat(fd, name, F_OK,
			AT_SYMLINK_NOFOLLOW) == 0;
	if (header == NULL) {
		close(file);
		return true;
	}
	n = header_len <= sizeof(got) ? pread(file, got, header_len, 0) : -1;
	close(file);
	return n >= 0 && (size_t)n == header_len &&
		memcmp(got, header, header_len) == 0;
}

/* Of a folder marked as not worth saving, only the mark is kept. */
static void
apply_tags(struct lister *l, struct level *level)
{
	static const char signature[] =
		"Signature: 8a477f597d28d172789f06886806bc55";
	const struct qs_create_options *o = l->options;
	char name[QS_NAME_MAX + 1] = "";
	size_t keep = level->count;

	if (o->exclude_caches && has_tag(level->folder->fd, "CACHEDIR.TAG",
		signature, sizeof(signature) - 1))
		memcpy(name, "CACHEDIR.TAG", sizeof("CACHEDIR.TAG"));
	for (size_t i = 0; i < o->if_present_count && name[0] == '\0'; i++) {
		const char *spec = o->exclude_if_present[i];
		const char *colon = strchr(spec, ':');
		size_t len = colon ? (size_t)(colon - spec) : strlen(spec);

		if (len == 0 || len > QS_NAME_MAX)
			continue;
		memcpy(name, spec, len);
		name[len] = '\0';
		if (!has_tag(level->folder->fd, name, colon ? colon + 1 : NULL,
			colon ? strlen(colon + 1) : 0))
			name[0] = '\0';
	}
	if (name[0] == '\0')
		return;
	level->folder->is_partial = true;
	keep = 0;
	for (size_t i = 0; i < level->count; i++)
		if (strcmp((char *)level->names.data + level->offsets[i],
			name) == 0)
			level->offsets[keep++] = level->offsets[i];
	level->count = keep;
}

/* ---- levels */

static void
level_clear(struct level *level)
{
	folder_drop(level->folder);
	qs_buf_clear(&level->names);
	free(level->offsets);
	*level = (struct level){0};
}

static struct folder *
folder_new(const struct folder *parent, const char *name)
{
	struct folder *folder = calloc(1, sizeof(struct folder));

	if (folder == NULL)
		return NULL;
	folder->fd = -1;
	folder->references = 1;
	if (parent != NULL) {
		child_hash(parent->path_hash, qs_span(name, strlen(name)),
			folder->path_hash);
		folder->domain = create_domain(name, parent->domain);
	}
	return folder;
}

static struct level *
push_level(struct lister *l, struct qs_err *err)
{
	struct level *more;

	if (l->depth == l->cap) {
		size_t cap = l->cap == 0 ? 32 : l->cap * 2;

		more = realloc(l->levels, cap * sizeof(struct level));
		if (more == NULL) {
			qs_fail_nomem(err, "walking");
			return NULL;
		}
		l->levels = more;
		l->cap = cap;
	}
	more = &l->levels[l->depth++];
	*more = (struct level){0};
	return more;
}

/*
 * Enter a folder: at_fd/name to open it, target if it is made up or a target
 * itself, facts of lstat.  cross: what it holds is left out.
 */
static enum qs_code
enter(struct lister *l, int at_fd, const char *open_name, const char *name,
	struct target *target, const struct facts *facts, bool cross,
	struct qs_err *err)
{
	struct folder *parent = l->depth > 0 ?
		l->levels[l->depth - 1].folder : NULL;
	struct level *level = push_level(l, err);
	int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NONBLOCK;
	struct qs_err trouble;
	enum qs_code rc;

	if (level == NULL)
		return err->code;
	if (target == NULL || target->leaf)
		flags |= O_NOFOLLOW;
	level->dev = facts->dev;
	level->target = target != NULL && !target->leaf ? target : NULL;
	level->folder = folder_new(parent, name);
	if (level->folder == NULL)
		return qs_fail_nomem(err, "walking");
	level->folder->made_up = level->target != NULL;
	level->folder->is_partial = level->folder->made_up || cross;
	level->folder->fd = openat(at_fd, open_name, flags | O_NOATIME);
	if (level->folder->fd < 0 && errno == EPERM)
		level->folder->fd = openat(at_fd, open_name, flags);
	if (level->folder->fd < 0 && level->target != NULL)
		level->folder->fd = openat(at_fd, open_name,
			O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (level->folder->fd < 0) {
		qs_fail_errno(&trouble, "cannot open the folder; what is in "
			"it is not saved");
		warn(l, &trouble);
		level->folder->is_partial = true;
	} else if (level->target == NULL && !cross) {
		rc = read_names(l, level, &trouble);
		if (rc == QS_ENOMEM) {
			*err = trouble;
			return rc;
		}
		if (rc != QS_OK) {
			warn(l, &trouble);
			level->folder->is_partial = true;
		}
		apply_tags(l, level);
	}
	return l->enter(l->arg, level->folder, name, facts, err);
}

static enum qs_code
leave(struct lister *l, struct qs_err *err)
{
	enum qs_code rc = l->leave(l->arg, err);

	level_clear(&l->levels[--l->depth]);
	return rc;
}

static bool
unwanted(const struct lister *l, const struct facts *facts)
{
	const struct qs_create_options *o = l->options;

	if (o->exclude != NULL &&
		qs_patterns_match(o->exclude, (char *)l->path.data, NULL))
		return true;
	return o->exclude_larger_than > 0 && S_ISREG(facts->mode) &&
		facts->size > o->exclude_larger_than;
}

/* One name of the innermost folder. */
static enum qs_code
look_at(struct lister *l, const char *name, struct target *target,
	struct qs_err *err)
{
	struct level *level = &l->levels[l->depth - 1];
	int at_fd = target ? AT_FDCWD : level->folder->fd;
	const char *open_name = target ? target->real_path : name;
	size_t path_len = l->path.len;
	bool is_dir, cross, follow = target != NULL && !target->leaf;
	struct facts facts;
	struct stat st;
	struct qs_err trouble;
	enum qs_code rc;

	if ((rc = path_push(l, name, err)) != QS_OK)
		return rc;
	if (fstatat(at_fd, open_name, &st,
		follow ? 0 : AT_SYMLINK_NOFOLLOW) != 0) {
		const int sys = errno;

		if (target == NULL && (sys == EACCES || sys == ENOTCONN) &&
			create_is_closed_mount(at_fd, name))
			goto out;
		errno = sys;
		qs_fail_errno(&trouble, target ? "not saved" :
			"vanished or cannot be looked at");
		goto lost;
	}
	facts_from_stat(&facts, &st);
	is_dir = S_ISDIR(st.st_mode);
	if (target == NULL && unwanted(l, &facts)) {
		/* Nobody has a copy of it: restore must not delete it. */
		level->folder->is_partial = true;
		goto out;
	}
	if (follow && !is_dir) {
		qs_fail(&trouble, QS_EINVAL, "not a folder");
		goto lost;
	}
	if (target != NULL && target->leaf)
		l->targets_found++;
	if (!is_dir) {
		rc = l->entry(l->arg, level->folder, name, &facts, err);
		goto out;
	}
	if (l->depth > QS_DEPTH_MAX) {
		qs_fail(&trouble, QS_EINVAL, "folders in folders deeper than "
			"%d are not saved", QS_DEPTH_MAX);
		goto lost;
	}
	cross = target == NULL && facts.dev != level->dev &&
		(l->options->one_file_system || create_is_own_mount(facts.dev));
	return enter(l, at_fd, open_name, name, target, &facts, cross, err);
lost:
	warn(l, &trouble);
	/* What has vanished is not missed. */
	level->folder->is_partial |= trouble.code != QS_ENOTFOUND;
	l->target_lost |= target != NULL;
out:
	path_pop(l, path_len);
	return rc;
}

enum qs_code
lister_run(struct lister *l, struct target *root, struct qs_err *err)
{
	struct facts facts = {.mode = S_IFDIR | 0755, .links = 1};
	struct stat st;
	enum qs_code rc;

	/* The root has no name of its own: its path is empty, with a NUL. */
	if ((rc = qs_buf_append(&l->path, "", 1, err)) != QS_OK)
		return rc;
	if (stat(root->real_path, &st) != 0)
		return qs_fail_errno(err, "%s", root->real_path);
	facts_from_stat(&facts, &st);
	if (root->leaf && S_ISDIR(st.st_mode))
		l->targets_found++;
	rc = enter(l, AT_FDCWD, root->real_path, "", root, &facts, false, err);
	while (rc == QS_OK && l->depth > 0) {
		struct level *level = &l->levels[l->depth - 1];

		if (l->stopped(l->arg)) {
			rc = qs_fail(err, QS_ECANCELED, "interrupted");
		} else if (level->target != NULL &&
			level->at < level->target->child_count) {
			struct target *child =
				level->target->children[level->at++];

			rc = look_at(l, child->name, child, err);
		} else if (level->target == NULL && level->at < level->count) {
			const char *name = (char *)level->names.data +
				level->offsets[level->at++];

			rc = look_at(l, name, NULL, err);
		} else {
			bool is_root = l->depth == 1;

			rc = leave(l, err);
			if (!is_root) { /* back to the path of the one above */
				char *path = (char *)l->path.data;

				path_pop(l, (size_t)(strrchr(path, '/') -
					path) + 1);
			}
		}
	}
	return rc;
}

void
lister_clear(struct lister *l)
{
	while (l->depth > 0)
		level_clear(&l->levels[--l->depth]);
	free(l->levels);
	qs_buf_clear(&l->path);
}
