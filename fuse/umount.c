/* SPDX-License-Identifier: ISC */
/*
 * umount: what is mounted where is read from the kernel's table, since a mount
 * whose program has died can't be asked.
 */
#include <errno.h>
#include <limits.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fuse/fuse.h"
#include "fuse/umount_internal.h"

extern char **environ;

/* The path with its parents resolved: the last part may be a dead mount. */
static enum qs_code
real_point(const char *dir, char **out, struct qs_err *err)
{
	char *copy = strdup(dir), *parent = NULL, *slash;
	const char *name;
	size_t len;
	enum qs_code rc = QS_OK;

	if (copy == NULL)
		return qs_fail_nomem(err, "looking for the mount");
	for (len = strlen(copy); len > 1 && copy[len - 1] == '/'; len--)
		copy[len - 1] = '\0';
	slash = strrchr(copy, '/');
	name = slash != NULL ? slash + 1 : copy;
	if (strcmp(copy, "/") == 0 || strcmp(name, ".") == 0 ||
	    strcmp(name, "..") == 0) {
		*out = realpath(copy, NULL);
		if (*out == NULL)
			rc = qs_fail_errno(err, "mount point %s", dir);
		goto out;
	}
	if (slash != NULL)
		*slash = '\0';
	parent = realpath(slash == NULL ? "." : slash == copy ? "/" : copy,
		NULL);
	if (parent == NULL) {
		rc = qs_fail_errno(err, "mount point %s", dir);
		goto out;
	}
	if (asprintf(out, "%s/%s", strcmp(parent, "/") == 0 ? "" : parent,
	    name) < 0)
		rc = qs_fail_nomem(err, "looking for the mount");
out:
	free(parent);
	free(copy);
	return rc;
}

/* "\040" and the like, in place. */
static void
unescape(char *text)
{
	char *to = text;

	for (const char *from = text; *from != '\0'; to++) {
		if (from[0] == '\\' && from[1] >= '0' && from[1] <= '3' &&
		    from[2] >= '0' && from[2] <= '7' && from[3] >= '0' &&
		    from[3] <= '7') {
			*to = (char)((from[1] - '0') << 6 |
				(from[2] - '0') << 3 | (from[3] - '0'));
			from += 4;
		} else {
			*to = *from++;
		}
	}
	*to = '\0';
}

/* A line of mountinfo(5): the fifth field, and the type behind " - ". */
static bool
parse_line(char *line, char **point, char **type)
{
	char *dash = strstr(line, " - "), *at = line, *space;

	if (dash == NULL)
		return false;
	*dash = '\0';
	*type = dash + 3;
	space = strchr(*type, ' ');
	if (space != NULL)
		*space = '\0';
	for (int i = 0; i < 4; i++) {
		at = strchr(at, ' ');
		if (at == NULL)
			return false;
		at++;
	}
	*point = at;
	space = strchr(at, ' ');
	if (space != NULL)
		*space = '\0';
	unescape(*point);
	return true;
}

enum qs_code
mount_find(const char *dir, enum mount_found *out, struct qs_err *err)
{
	char *real = NULL, *line = NULL, *point, *type;
	size_t cap = 0;
	FILE *table;
	enum qs_code rc = real_point(dir, &real, err);

	if (rc != QS_OK)
		return rc;
	table = fopen("/proc/self/mountinfo", "re");
	if (table == NULL) {
		rc = qs_fail_errno(err, "open /proc/self/mountinfo");
		goto out;
	}
	*out = MOUNT_NOTHING;
	/* The last one is on top. */
	while (getline(&line, &cap, table) > 0) {
		if (parse_line(line, &point, &type) &&
		    strcmp(point, real) == 0)
			*out = strcmp(type, "fuse.qstore") == 0 ? MOUNT_OURS :
				MOUNT_OTHER;
	}
	(void)fclose(table);
out:
	free(line);
	free(real);
	return rc;
}

/* Only fusermount3 may do it for those who are not root. */
static enum qs_code
ask_fusermount(const char *dir, bool lazy, struct qs_err *err)
{
	char program[] = "fusermount3", unmount[] = "-u", flag[] = "-z",
		quiet[] = "-q", end[] = "--";
	char *path = strdup(dir);
	char *argv[7];
	size_t count = 0;
	pid_t pid;
	int status, sys;

	if (path == NULL)
		return qs_fail_nomem(err, "unmounting");
	argv[count++] = program;
	argv[count++] = unmount;
	argv[count++] = quiet;
	if (lazy)
		argv[count++] = flag;
	argv[count++] = end;
	argv[count++] = path;
	argv[count] = NULL;
	sys = posix_spawnp(&pid, program, NULL, NULL, argv, environ);
	free(path);
	if (sys != 0) {
		errno = sys;
		return qs_fail_errno(err, "fusermount3 (of the package fuse3)");
	}
	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return qs_fail_errno(err, "fusermount3");
	}
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return QS_OK;
	return qs_fail(err, QS_EBUSY, "%s: it can't be unmounted: files in it "
		"are open, or it is another user's; close them, or use --lazy",
		dir);
}

enum qs_code
qs_umount(const char *dir, bool lazy, struct qs_err *err)
{
	enum mount_found found;
	enum qs_code rc = mount_find(dir, &found, err);

	if (rc != QS_OK)
		return rc;
	if (found == MOUNT_NOTHING)
		return qs_fail(err, QS_EINVAL, "%s: nothing is mounted there",
			dir);
	if (found == MOUNT_OTHER)
		return qs_fail(err, QS_EINVAL, "%s: what is mounted there is "
			"not qstore's", dir);
	if (geteuid() != 0)
		return ask_fusermount(dir, lazy, err);
	if (umount2(dir, UMOUNT_NOFOLLOW | (lazy ? MNT_DETACH : 0)) == 0)
		return QS_OK;
	if (errno == EBUSY)
		return qs_fail(err, QS_EBUSY, "%s: it can't be unmounted: "
			"files in it are open; close them, or use --lazy",
			dir);
	return qs_fail_errno(err, "unmount %s", dir);
}
