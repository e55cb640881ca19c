/* SPDX-License-Identifier: ISC */
/* restore_meta: owner, mode, extended attributes and times of what is made. */
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "snapshot/restore_internal.h"

#define OWNER_FIRST ((size_t)4096) /* bytes of an owner's entry */
#define OWNER_MAX ((size_t)1 << 24)
#define ACL_ACCESS "system.posix_acl_access"
#define ACL_DEFAULT "system.posix_acl_default"

struct subject { /* fd, or path: "/proc/self/fd/N" of an O_PATH one */
	int fd;
	char path[40];
	bool is_path, is_symlink;
};

/* ---------------------------------------------------------------- owners */

/* 0, or errno; *id is set if *is_known. */
static int
ask_once(bool is_user, const char *name, char *scratch, size_t size,
	uint32_t *id, bool *is_known)
{
	struct passwd user, *found_user = NULL;
	struct group group, *found_group = NULL;
	int sys;

	if (is_user) {
		sys = getpwnam_r(name, &user, scratch, size, &found_user);
		*is_known = found_user != NULL;
		*id = found_user != NULL ? found_user->pw_uid : 0;
		return sys;
	}
	sys = getgrnam_r(name, &group, scratch, size, &found_group);
	*is_known = found_group != NULL;
	*id = found_group != NULL ? found_group->gr_gid : 0;
	return sys;
}

static bool
ask_system(bool is_user, const char *name, uint32_t *id)
{
	bool is_known = false;
	int sys = ERANGE;

	/* A group comes with all of its members, however many those are. */
	for (size_t size = OWNER_FIRST; sys == ERANGE && size <= OWNER_MAX;
	    size *= 4) {
		char *scratch = malloc(size);

		if (scratch == NULL)
			return false;
		sys = ask_once(is_user, name, scratch, size, id, &is_known);
		free(scratch);
	}
	return is_known;
}

static uint32_t
by_name(struct restore *restore, bool is_user, struct qs_span name,
	uint32_t number)
{
	struct restore_owner *owner;
	size_t hash = is_user;

	if (!restore->options->ownership_by_name || name.len == 0)
		return number;
	for (size_t i = 0; i < name.len; i++)
		hash = hash * 31 + name.data[i];
	pthread_mutex_lock(&restore->lock);
	owner = &restore->owners[hash % RESTORE_OWNERS];
	if (!owner->is_used || owner->is_user != is_user ||
	    strlen(owner->name) != name.len ||
	    memcmp(owner->name, name.data, name.len) != 0) {
		memcpy(owner->name, name.data, name.len);
		owner->name[name.len] = '\0';
		owner->is_used = true;
		owner->is_user = is_user;
		owner->is_known = ask_system(is_user, owner->name,
			&owner->id);
	}
	if (owner->is_known)
		number = owner->id;
	pthread_mutex_unlock(&restore->lock);
	return number;
}

static bool
in_group(const struct restore *restore, uint32_t gid)
{
	if (gid == restore->egid)
		return true;
	for (size_t i = 0; i < restore->group_count; i++)
		if (restore->groups[i] == gid)
			return true;
	return false;
}

static int
change_owner(const struct subject *subject, uid_t uid, gid_t gid)
{
	if (!subject->is_path)
		return fchown(subject->fd, uid, gid);
	return fchownat(subject->fd, "", uid, gid, AT_EMPTY_PATH);
}

/* *is_owned: it belongs to whom the snapshot says. */
static enum qs_code
set_owner(struct restore *restore, const struct subject *subject,
	const struct qs_node *node, const struct restore_had *had,
	bool *is_owned, struct qs_err *err)
{
	uint32_t uid = by_name(restore, true, node->user, node->uid);
	uint32_t gid = by_name(restore, false, node->group, node->gid);

	*is_owned = uid == had->uid && gid == had->gid;
	if (*is_owned)
		return QS_OK;
	if (restore->euid != 0) {
		/* Only root gives files away: they stay the user's own. */
		if (gid != had->gid && in_group(restore, gid))
			*is_owned = change_owner(subject, (uid_t)-1, gid) ==
				0 && uid == had->uid;
		return QS_OK;
	}
	if (change_owner(subject, uid, gid) != 0)
		return qs_fail_errno(err, "cannot set its owner to %u:%u",
			uid, gid);
	*is_owned = true;
	return QS_OK;
}

/* ------------------------------------------------------------------ mode */

static mode_t
wanted_mode(struct restore *restore, const struct qs_node *node,
	bool is_owned)
{
	const mode_t special = node->mode & 07000;
	mode_t mode = node->mode & 0777;

	if (special == 0)
		return mode;
	if (node->type == QS_NODE_DIR)
		mode |= special & (restore->options->privileged ? 07000 :
			03000);
	/* Under another owner a setuid program is another's power. */
	else if (restore->options->privileged && is_owned)
		mode |= special;
	else
		(void)atomic_fetch_add(&restore->dropped_modes, 1);
	return mode;
}

static enum qs_code
set_mode(struct restore *restore, const struct subject *subject,
	const struct qs_node *node, const struct restore_had *had,
	bool is_owned, struct qs_err *err)
{
	const mode_t mode = wanted_mode(restore, node, is_owned);
	int rc;

	/* A change of owner clears the special bits: those are set anew. */
	if (mode == had->mode && (mode & 07000) == 0 && !had->inherits)
		return QS_OK;
	rc = subject->is_path ? chmod(subject->path, mode) :
		fchmod(subject->fd, mode);
	return rc == 0 ? QS_OK : qs_fail_errno(err,
		"cannot set its mode to %04o", (unsigned)mode);
}

/* ---------------------------------------------------------------- xattrs */

static bool
begins(const char *name, const char *with)
{
	return strncmp(name, with, strlen(with)) == 0;
}

static bool
may_set(struct restore *restore, const char *name)
{
	if (restore->options->privileged || begins(name, "user.") ||
	    begins(name, "system.posix_acl_"))
		return true;
	/* Labels that each system gives by itself are not worth a word. */
	if (begins(name, "trusted.") ||
	    strcmp(name, "security.capability") == 0)
		(void)atomic_fetch_add(&restore->dropped_xattrs, 1);
	return false;
}

static int
set_one(const struct subject *subject, const char *name, struct qs_span value)
{
	/* By way of /proc, as there is no call for what O_PATH holds. */
	return subject->is_path ?
		setxattr(subject->path, name, value.data, value.len, 0) :
		fsetxattr(subject->fd, name, value.data, value.len, 0);
}

static enum qs_code
fail_xattr(const char *name, struct qs_err *err)
{
	const enum qs_code rc = qs_fail_errno(err,
		"cannot set its attribute %s", name);

	/* The room of one inode is full and not the disk: the rest goes on. */
	if (rc == QS_ENOSPC)
		err->code = QS_EUNSUPPORTED;
	return err->code;
}

/* Those that the user makes, or the others: see set_all. */
static enum qs_code
set_xattrs(struct restore *restore, const struct subject *subject,
	const struct qs_node *node, bool of_user, struct qs_err *err)
{
	struct qs_span at = node->xattrs, name, value;
	enum qs_code rc = QS_OK;

	while (qs_xattr_next(&at, &name, &value)) {
		char text[256];

		if (name.len >= sizeof(text))
			continue;
		memcpy(text, name.data, name.len);
		text[name.len] = '\0';
		if (begins(text, "user.") != of_user ||
		    !may_set(restore, text) ||
		    set_one(subject, text, value) == 0)
			continue;
		if (errno == ENOTSUP)
			(void)atomic_fetch_add(&restore->refused_xattrs, 1);
		else if (rc == QS_OK)
			rc = fail_xattr(text, err);
	}
	return rc;
}

void
restore_acl_drop(int fd)
{
	(void)fremovexattr(fd, ACL_DEFAULT);
	(void)fremovexattr(fd, ACL_ACCESS);
}

bool
restore_acl_is_given(int folder_fd)
{
	return fgetxattr(folder_fd, ACL_DEFAULT, NULL, 0) > 0;
}

static enum qs_code
drop_acl(const struct subject *subject, struct qs_err *err)
{
	const int rc = subject->is_path ?
		removexattr(subject->path, ACL_ACCESS) :
		fremovexattr(subject->fd, ACL_ACCESS);

	if (rc == 0 || errno == ENODATA || errno == ENOTSUP)
		return QS_OK;
	return qs_fail_errno(err, "cannot remove the ACL of its folder");
}

/* ------------------------------------------------------------------- all */

static enum qs_code
set_times(const struct subject *subject, const struct qs_node *node,
	struct qs_err *err)
{
	int64_t seconds = node->mtime_ns / 1000000000;
	int64_t rest = node->mtime_ns % 1000000000;
	struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {0, 0}};
	int rc;

	if (rest < 0) {
		rest += 1000000000;
		seconds--;
	}
	times[1].tv_sec = (time_t)seconds;
	times[1].tv_nsec = (long)rest;
	if (!subject->is_path)
		rc = futimens(subject->fd, times);
	else
		rc = utimensat(subject->fd, "", times, AT_EMPTY_PATH);
	if (rc != 0 && subject->is_path && !subject->is_symlink)
		rc = utimensat(AT_FDCWD, subject->path, times, 0);
	return rc == 0 ? QS_OK : qs_fail_errno(err, "cannot set its time");
}

/* Keep the first failure. */
static void
note(enum qs_code code, const struct qs_err *from, struct qs_err *first)
{
	if (code != QS_OK && first->code == QS_OK)
		*first = *from;
}

static enum qs_code
set_all(struct restore *restore, const struct subject *subject,
	const struct qs_node *node, const struct restore_had *had,
	struct qs_err *err)
{
	const bool is_symlink = subject->is_symlink;
	struct qs_err first, trouble;
	bool is_owned = false;

	first.code = QS_OK;
	note(set_owner(restore, subject, node, had, &is_owned, &trouble),
		&trouble, &first);
	/* The mode would be the ACL's mask, and let others in. */
	if (had->inherits && !is_symlink)
		note(drop_acl(subject, &trouble), &trouble, &first);
	/* A mode without the right to write refuses them to its own owner. */
	if (node->xattr_count > 0 && !is_symlink)
		note(set_xattrs(restore, subject, node, true, &trouble),
			&trouble, &first);
	if (!is_symlink)
		note(set_mode(restore, subject, node, had, is_owned,
			&trouble), &trouble, &first);
	/* ACLs go beyond the mode; a change of owner clears capabilities. */
	if (node->xattr_count > 0)
		note(set_xattrs(restore, subject, node, false, &trouble),
			&trouble, &first);
	note(set_times(subject, node, &trouble), &trouble, &first);
	if (first.code != QS_OK)
		*err = first;
	return first.code;
}

enum qs_code
restore_meta_fd(struct restore *restore, int fd, const struct qs_node *node,
	const struct restore_had *had, struct qs_err *err)
{
	const struct subject subject = {.fd = fd};

	return set_all(restore, &subject, node, had, err);
}

enum qs_code
restore_meta_path(struct restore *restore, int path_fd,
	const struct qs_node *node, const struct restore_had *had,
	struct qs_err *err)
{
	struct subject subject = {.fd = path_fd, .is_path = true,
		.is_symlink = node->type == QS_NODE_SYMLINK};

	(void)snprintf(subject.path, sizeof(subject.path), "/proc/self/fd/%d",
		path_fd);
	return set_all(restore, &subject, node, had, err);
}
