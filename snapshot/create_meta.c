/* SPDX-License-Identifier: ISC */
/* What a file has besides its bytes: owners' names, attributes, targets. */
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "snapshot/create_internal.h"

/* ---------------------------------------------------------------- owners */

#define OWNERS 256 /* numbers remembered of each sort */

struct owner {
	uint32_t id;
	bool used;
	struct qs_span name;
};

/*
 * Nodes borrow the names until the end of the run, so a name is kept once it
 * was given out, also when its number makes room for another.
 */
struct owners {
	pthread_mutex_t lock;
	/* all guarded by lock: */
	struct owner users[OWNERS], groups[OWNERS];
	struct qs_span *names;
	size_t count, cap;
	char scratch[16384];
};

enum qs_code
owners_new(struct owners **out, struct qs_err *err)
{
	*out = calloc(1, sizeof(struct owners));
	if (*out == NULL)
		return qs_fail_nomem(err, "starting the snapshot");
	pthread_mutex_init(&(*out)->lock, NULL);
	return QS_OK;
}

void
owners_free(struct owners *owners)
{
	if (owners == NULL)
		return;
	for (size_t i = 0; i < owners->count; i++) {
		char *name;

		memcpy(&name, &owners->names[i].data, sizeof(name));
		free(name);
	}
	free(owners->names);
	pthread_mutex_destroy(&owners->lock);
	free(owners);
}

/* A name that is unknown or too long is left empty: the number tells. */
static struct qs_span
keep_name(struct owners *owners, const char *name)
{
	size_t len = name ? strlen(name) : 0;
	char *copy;

	if (len == 0 || len > QS_NAME_MAX)
		return qs_span(NULL, 0);
	for (size_t i = 0; i < owners->count; i++)
		if (owners->names[i].len == len &&
			memcmp(owners->names[i].data, name, len) == 0)
			return owners->names[i];
	if (owners->count == owners->cap) {
		size_t cap = owners->cap ? owners->cap * 2 : 16;
		struct qs_span *more = realloc(owners->names,
			cap * sizeof(*more));

		if (more == NULL)
			return qs_span(NULL, 0);
		owners->names = more;
		owners->cap = cap;
	}
	copy = strdup(name);
	if (copy == NULL)
		return qs_span(NULL, 0);
	owners->names[owners->count] = qs_span(copy, len);
	return owners->names[owners->count++];
}

struct qs_span
owners_user(struct owners *owners, uint32_t uid)
{
	struct owner *owner = &owners->users[uid % OWNERS];
	struct passwd entry, *found = NULL;
	struct qs_span name;

	pthread_mutex_lock(&owners->lock);
	if (!owner->used || owner->id != uid) {
		if (getpwuid_r(uid, &entry, owners->scratch,
			sizeof(owners->scratch), &found) != 0)
			found = NULL;
		*owner = (struct owner){uid, true, keep_name(owners,
			found ? found->pw_name : NULL)};
	}
	name = owner->name;
	pthread_mutex_unlock(&owners->lock);
	return name;
}

struct qs_span
owners_group(struct owners *owners, uint32_t gid)
{
	struct owner *owner = &owners->groups[gid % OWNERS];
	struct group entry, *found = NULL;
	struct qs_span name;

	pthread_mutex_lock(&owners->lock);
	if (!owner->used || owner->id != gid) {
		if (getgrgid_r(gid, &entry, owners->scratch,
			sizeof(owners->scratch), &found) != 0)
			found = NULL;
		*owner = (struct owner){gid, true, keep_name(owners,
			found ? found->gr_name : NULL)};
	}
	name = owner->name;
	pthread_mutex_unlock(&owners->lock);
	return name;
}

/* ----------------------------------------------------------------- facts */

static enum qs_node_type
type_of(uint32_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFDIR:
		return QS_NODE_DIR;
	case S_IFLNK:
		return QS_NODE_SYMLINK;
	case S_IFIFO:
		return QS_NODE_FIFO;
	case S_IFCHR:
		return QS_NODE_CHARDEV;
	case S_IFBLK:
		return QS_NODE_BLOCKDEV;
	case S_IFSOCK:
		return QS_NODE_SOCKET;
	default:
		return QS_NODE_FILE;
	}
}

void
meta_from_facts(struct qs_node *node, const struct facts *facts,
	struct owners *owners)
{
	enum qs_node_type type = type_of(facts->mode);
	bool device = type == QS_NODE_CHARDEV || type == QS_NODE_BLOCKDEV;

	*node = (struct qs_node){
		.type = type,
		.mode = (uint16_t)(facts->mode & 07777),
		.uid = facts->uid,
		.gid = facts->gid,
		.mtime_ns = facts->mtime_ns,
		.links = 1,
		.rdev_major = device ? facts->rdev_major : 0,
		.rdev_minor = device ? facts->rdev_minor : 0,
		.user = owners_user(owners, facts->uid),
		.group = owners_group(owners, facts->gid),
		.name = node->name,
	};
	if (type != QS_NODE_DIR && facts->links > 1) {
		uint8_t where[16], group[8];

		/* The same inode gives the same number, also next time. */
		qs_store64(where, facts->dev);
		qs_store64(where + 8, facts->ino);
		qs_hash_plain(group, sizeof(group), qs_span(where, 16));
		node->links = facts->links;
		node->link_group = qs_load64(group);
		if (node->link_group == 0)
			node->link_group = 1;
	}
}

/*
 * The clock of the file system ticks in jiffies: what changed within the last
 * few of them may change again without its time showing it.  Whole seconds
 * look like a file system that keeps no finer times (vfat: two seconds).
 */
static bool
is_recent(int64_t time_ns, int64_t now_ns)
{
	return time_ns > now_ns -
		(time_ns % 1000000000 == 0 ? 2100000000 : 20000000);
}

/*
 * The mtime as well, for file systems whose ctime does not show each change.
 * One to come was set by somebody, and would keep the file from ever being
 * recognised.
 */
bool
meta_racy(const struct facts *facts)
{
	int64_t now_ns = qs_now_ns();

	return is_recent(facts->ctime_ns, now_ns) ||
		(is_recent(facts->mtime_ns, now_ns) &&
		facts->mtime_ns <= now_ns);
}

/* ---------------------------------------------------------------- xattrs */

struct attribute {
	const char *name;
	const uint8_t *value;
	uint32_t value_len;
};

static int
by_name(const void *a, const void *b)
{
	return strcmp(((const struct attribute *)a)->name,
		((const struct attribute *)b)->name);
}

static bool
not_there(int sys)
{
	return sys == ENODATA || sys == ENOTSUP || sys == EACCES ||
		sys == EPERM;
}

static enum qs_code
encode(struct arena *arena, struct attribute *list, size_t count,
	struct qs_node *node, struct qs_err *err)
{
	size_t total = 0;
	uint8_t *out, *at;

	qsort(list, count, sizeof(*list), by_name);
	for (size_t i = 0; i < count; i++)
		total += 6 + strlen(list[i].name) + list[i].value_len;
	out = arena_alloc(arena, total);
	if (out == NULL)
		return qs_fail_nomem(err, "reading attributes");
	at = out;
	for (size_t i = 0; i < count; i++) {
		size_t len = strlen(list[i].name);

		qs_store16(at, (uint16_t)len);
		qs_store32(at + 2, list[i].value_len);
		memcpy(at + 6, list[i].name, len);
		if (list[i].value_len > 0)
			memcpy(at + 6 + len, list[i].value, list[i].value_len);
		at += 6 + len + list[i].value_len;
	}
	node->xattr_count = (uint16_t)count;
	node->xattrs = qs_span(out, total);
	return QS_OK;
}

enum qs_code
meta_xattrs(struct arena *arena, int fd, int folder_fd, const char *name,
	struct qs_node *node, struct qs_err *err)
{
	/* By way of /proc the path is short, and a symlink is not followed. */
	char path[64 + QS_NAME_MAX], *names;
	struct attribute list[256];
	size_t count = 0, total = 0;
	ssize_t len;

	if (fd < 0)
		snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", folder_fd,
			name);
	len = fd >= 0 ? flistxattr(fd, NULL, 0) : llistxattr(path, NULL, 0);
	if (len == 0 || (len < 0 && not_there(errno)))
		return QS_OK;
	if (len < 0)
		return qs_fail_errno(err, "cannot list its attributes");
	/* One that is added in between does not matter: ctime shows it. */
	names = arena_alloc(arena, (size_t)len + 1);
	if (names == NULL)
		return qs_fail_nomem(err, "reading attributes");
	len = fd >= 0 ? flistxattr(fd, names, (size_t)len) :
		llistxattr(path, names, (size_t)len);
	if (len < 0)
		return not_there(errno) ? QS_OK : qs_fail_errno(err,
			"cannot list its attributes");
	names[len] = '\0';
	for (char *at = names; at < names + len; at += strlen(at) + 1) {
		ssize_t size = fd >= 0 ? fgetxattr(fd, at, NULL, 0) :
			lgetxattr(path, at, NULL, 0);
		uint8_t *value;

		if (size < 0 && not_there(errno))
			continue;
		if (size < 0)
			return qs_fail_errno(err, "cannot read attribute %s",
				at);
		total += (size_t)size + strlen(at);
		if (size > QS_XATTR_VALUE_MAX || strlen(at) > QS_NAME_MAX ||
			total > CREATE_XATTRS_MAX ||
			count == sizeof(list) / sizeof(list[0]))
			return qs_fail(err, QS_EINVAL, "has attributes larger "
				"or more than can be saved; they are left out");
		value = arena_alloc(arena, (size_t)size + 1);
		if (value == NULL)
			return qs_fail_nomem(err, "reading attributes");
		size = fd >= 0 ? fgetxattr(fd, at, value, (size_t)size) :
			lgetxattr(path, at, value, (size_t)size);
		if (size < 0)
			continue;
		list[count++] = (struct attribute){at, value, (uint32_t)size};
	}
	return count == 0 ? QS_OK : encode(arena, list, count, node, err);
}

enum qs_code
meta_target(struct arena *arena, int folder_fd, const char *name,
	uint64_t size, struct qs_node *node, struct qs_err *err)
{
	size_t cap = size > 0 && size < QS_TARGET_MAX ? (size_t)size + 1 :
		QS_TARGET_MAX + 1u;
	char *target = arena_alloc(arena, cap);
	ssize_t len;

	if (target == NULL)
		return qs_fail_nomem(err, "reading a link");
	len = readlinkat(folder_fd, name, target, cap);
	if (len < 0)
		return qs_fail_errno(err, "cannot read the link");
	if (len == 0 || (size_t)len == cap)
		return qs_fail(err, QS_EIO, "the link changed while being "
			"read");
	node->target = qs_span(target, (size_t)len);
	return QS_OK;
}
