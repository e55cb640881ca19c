/* SPDX-License-Identifier: ISC */
/* Who may do what: the access list, read anew for each connection. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hub/acl_internal.h"

#define PASSWD_MAX (64u << 10) /* an entry of the user database */

/* ------------------------------------------------------------------- file */

/* Of the descriptor, so that what is checked is what is read. */
static enum qs_code
check_file(int fd, const char *path, struct qs_err *err)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return qs_fail_errno(err, "%s", path);
	if (!S_ISREG(st.st_mode))
		return qs_fail(err, QS_EINVAL, "%s: not a regular file", path);
	if (st.st_uid != geteuid() && st.st_uid != 0)
		return qs_fail(err, QS_EINVAL, "%s: belongs to user %u, who "
			"is neither this one nor root", path,
			(unsigned)st.st_uid);
	if ((st.st_mode & (S_IWGRP | S_IWOTH)) != 0)
		return qs_fail(err, QS_EINVAL, "%s: others may write it; say: "
			"chmod go-w %s", path, path);
	if (st.st_size > QS_ACL_MAX)
		return qs_fail(err, QS_EINVAL, "%s: longer than %u bytes",
			path, QS_ACL_MAX);
	return QS_OK;
}

/* QS_ENOTFOUND when there is no list. */
static enum qs_code
load(const char *path, struct qs_acl *out, struct qs_err *err)
{
	/* O_NONBLOCK: a pipe in its place must not stop us. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	uint8_t *text = NULL;
	size_t got = 0;
	enum qs_code rc;

	if (fd < 0)
		return qs_fail_errno(err, "access list %s", path);
	rc = check_file(fd, path, err);
	if (rc != QS_OK)
		goto out;
	text = malloc((size_t)QS_ACL_MAX + 1);
	if (text == NULL) {
		rc = qs_fail_nomem(err, "reading the access list");
		goto out;
	}
	/* One byte more, in case it grows: the parser refuses that. */
	rc = qs_fd_read(fd, text, (size_t)QS_ACL_MAX + 1, &got, err);
	if (rc == QS_OK)
		rc = qs_acl_parse(qs_span(text, got), path, out, err);
	else
		rc = qs_fail_while(err, "access list %s", path);
out:
	free(text);
	qs_fd_close(&fd);
	return rc;
}

/* ------------------------------------------------------------------ users */

bool
qs_acl_other_user(const char *who, char other[static QS_ACL_NAME])
{
	struct passwd entry, *found = NULL;
	char *room = malloc(PASSWD_MAX);
	bool is_uid = who[strspn(who, "0123456789")] == '\0';
	bool has_other = false;

	if (room == NULL)
		return false;
	if (is_uid)
		(void)getpwuid_r((uid_t)strtoul(who, NULL, 10), &entry, room,
			PASSWD_MAX, &found);
	else
		(void)getpwnam_r(who, &entry, room, PASSWD_MAX, &found);
	if (found != NULL && !is_uid) {
		(void)snprintf(other, QS_ACL_NAME, "%u",
			(unsigned)found->pw_uid);
		has_other = true;
	} else if (found != NULL && qs_wire_name_ok(found->pw_name) &&
		found->pw_name[strspn(found->pw_name, "0123456789")] != '\0') {
		/* A name of digits only would read as somebody's uid. */
		(void)snprintf(other, QS_ACL_NAME, "%s", found->pw_name);
		has_other = true;
	}
	free(room);
	return has_other;
}

/* ---------------------------------------------------------------- look-up */

/* The place of key's principal and folder in the list; acl->count: none. */
static size_t
find(const struct qs_acl *acl, const struct qs_acl_line *key)
{
	size_t at = 0;

	while (at < acl->count && (acl->lines[at].kind != key->kind ||
		strcmp(acl->lines[at].who, key->who) != 0 ||
		strcmp(acl->lines[at].folder, key->folder) != 0))
		at++;
	return at;
}

static enum qs_code
both_forms(const char *path, const struct qs_acl_line *one,
	const struct qs_acl_line *other, struct qs_err *err)
{
	bool is_later = one->number > other->number;
	const struct qs_acl_line *first = is_later ? other : one;
	const struct qs_acl_line *second = is_later ? one : other;

	return qs_fail(err, QS_EINVAL, "%s:%u: user:%s is user:%s of line %u, "
		"for the same folder", path, second->number, second->who,
		first->who, first->number);
}

/*
 * A user may be listed by name or by number, and not by both; *at is the count
 * of lines when it is not listed at all.
 */
static enum qs_code
find_line(const struct qs_acl *acl, const char *path,
	const struct qs_acl_line *key, size_t *at, struct qs_err *err)
{
	struct qs_acl_line other = *key;
	size_t same = acl->count;

	*at = find(acl, key);
	if (key->kind == QS_PRINCIPAL_USER &&
		qs_acl_other_user(key->who, other.who))
		same = find(acl, &other);
	if (*at == acl->count)
		*at = same;
	else if (same < acl->count)
		return both_forms(path, &acl->lines[*at], &acl->lines[same],
			err);
	return QS_OK;
}

enum qs_code
qs_acl_find(const char *path, const char *principal, const char *folder,
	struct qs_grant *out, struct qs_err *err)
{
	struct qs_acl_line key = {.kind = QS_PRINCIPAL_LOCAL};
	struct qs_acl acl = {0};
	size_t at = 0;
	enum qs_code rc;

	/* What comes from outside is not repeated before it is checked. */
	if (!qs_acl_principal(principal, &key.kind, key.who))
		return qs_fail(err, QS_EKEY, "refused: the caller has no name "
			"that an access list can have");
	if (!qs_wire_name_ok(folder))
		return qs_fail(err, QS_EKEY, "refused: %s asks for a folder "
			"with a name that none has", principal);
	(void)snprintf(key.folder, sizeof(key.folder), "%s", folder);
	rc = load(path, &acl, err);
	if (rc == QS_ENOTFOUND)
		return qs_fail(err, QS_EKEY, "refused: %s may not use folder "
			"%s: there is no access list", principal, folder);
	if (rc == QS_OK)
		rc = find_line(&acl, path, &key, &at, err);
	if (rc == QS_OK && at == acl.count)
		rc = qs_fail(err, QS_EKEY, "refused: %s may not use folder "
			"%s: it is not in the access list", principal, folder);
	if (rc == QS_OK)
		*out = acl.lines[at].grant;
	qs_acl_clear(&acl);
	return rc;
}

enum qs_code
qs_acl_quota(const char *path, const char *folder, uint64_t *quota,
	struct qs_err *err)
{
	struct qs_acl acl = {0};
	uint64_t least = 0;
	enum qs_code rc = load(path, &acl, err);

	if (rc == QS_ENOTFOUND) {
		*quota = 0;
		return QS_OK;
	}
	if (rc != QS_OK)
		return rc;
	for (size_t i = 0; i < acl.count; i++) {
		uint64_t one = acl.lines[i].grant.quota;

		if (strcmp(acl.lines[i].folder, folder) == 0 && one != 0 &&
			(least == 0 || one < least))
			least = one;
	}
	*quota = least;
	qs_acl_clear(&acl);
	return QS_OK;
}
