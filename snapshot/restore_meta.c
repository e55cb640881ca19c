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

struct subject { /* fd, or path: "/proc/self/fd/N" of an O_PATH one */
	int fd;
	char path[40];
	bool is_path, is_symlink;
};

/* ---------------------------------------------------------------- owners */

static bool
ask_system(bool is_user, const char *name, uint32_t *id)
{
	struct passwd user, *found_user = NULL;
	struct group group, *found_group = NULL;
	char scratch[4096];

	if (is_user) {
		(void)getpwnam_r(name, &user, scratch, sizeof(scratch),
			&found_user);
		*id = found_user != NULL ? found_user->pw_uid : 0;
		return found_user != NULL;
	}
	(void)getgrnam_r(name, &group, scratch, sizeof(scratch),
		&found_group);
	*id = found_group != NULL ? found_group->gr_gid : 0;
	return found_group != NULL;
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
	if (mode == had->mode && (mode & 07000) == 0)
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

static enum qs_code
set_xattrs(struct restore *restore, const struct subject *subject,
	const struct qs_node *node, struct qs_err *err)
{
	struct qs_span at = node->xattrs, name, value;
	enum qs_code rc = QS_OK;

	while (qs_xattr_next(&at, &name, &value)) {
		char text[256];
		int sys;

		if (name.len >= sizeof(text))
			continue;
		memcpy(text, name.data, name.len);
		text[name.len] = '\0';
		if (!may_set(restore, text))
			continue;
		sys = subject->is_path ?
			setxattr(subject->path, text, value.data, value.len,
				0) :
			fsetxattr(subject->fd, text, value.data, value.len,
				0);
		if (sys == 0)
			continue;
		if (errno == ENOTSUP)
			(void)atomic_fetch_add(&restore->refused_xattrs, 1);
		else if (rc == QS_OK)
			rc = qs_fail_errno(err, "cannot set its attribute %s",
				text);
	}
	return rc;
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
	struct qs_err first, trouble;
	bool is_owned = false;

	first.code = QS_OK;
	note(set_owner(restore, subject, node, had, &is_owned, &trouble),
		&trouble, &first);
	if (!subject->is_symlink) {
		note(set_mode(restore, subject, node, had, is_owned,
			&trouble), &trouble, &first);
		if (node->xattr_count > 0)
			note(set_xattrs(restore, subject, node, &trouble),
				&trouble, &first);
	}
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
