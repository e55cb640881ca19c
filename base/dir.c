/* SPDX-License-Identifier: ISC */
/* Folders: make them, open them, and find the user's own. */
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base.h"

#define PASSWD_FIRST 4096
#define PASSWD_MAX ((size_t)1 << 20)

enum qs_code
qs_dir_open(int dir_fd, const char *path, int *out, struct qs_err *err)
{
	int fd;

	do {
		fd = openat(dir_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	} while (fd < 0 && errno == EINTR);
	if (fd < 0)
		return qs_fail_errno(err, "open folder %s", path);
	*out = fd;
	return QS_OK;
}

static bool
is_folder(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static enum qs_code
sync_folder(const char *path, struct qs_err *err)
{
	int fd = -1;
	enum qs_code rc = qs_dir_open(AT_FDCWD, path, &fd, err);

	if (rc != QS_OK)
		return rc;
	rc = qs_fd_sync(fd, err);
	qs_fd_close(&fd);
	return rc;
}

/*
 * The folder that holds path's last part, for a path without slashes at its
 * end; path is changed and put back.
 */
static enum qs_code
sync_parent(char *path, struct qs_err *err)
{
	char *last = strrchr(path, '/');
	enum qs_code rc;
	char first;

	if (last == NULL)
		return sync_folder(".", err);
	last++; /* keep the slash, so that "/x" lies in "/" */
	first = *last;
	*last = '\0';
	rc = sync_folder(path, err);
	*last = first;
	return rc;
}

/* One folder whose parent is there. */
static enum qs_code
make_one(char *path, mode_t mode, struct qs_err *err)
{
	int sys;

	if (mkdir(path, mode) == 0)
		/* Or a power loss takes it, with all that is put in it. */
		return sync_parent(path, err);
	sys = errno;
	/* What is there already may be refused for other reasons as well. */
	if (is_folder(path))
		return QS_OK;
	if (sys == EEXIST)
		return qs_fail(err, QS_EEXIST,
			"%s is there and is not a folder", path);
	errno = sys;
	return qs_fail_errno(err, "%s", path);
}

enum qs_code
qs_dir_make(const char *path, mode_t mode, struct qs_err *err)
{
	enum qs_code rc = QS_OK;
	char *copy;

	if (path[0] == '\0')
		return qs_fail(err, QS_EINVAL,
			"the name of a folder is empty");
	if (is_folder(path))
		return QS_OK;
	copy = strdup(path);
	if (copy == NULL)
		return qs_fail_nomem(err, "making a folder");
	/* Each part that ends before a slash or at the end, from the left. */
	for (char *p = copy; rc == QS_OK && *p != '\0'; p++) {
		const char next = p[1];

		if (*p == '/' || (next != '/' && next != '\0'))
			continue;
		p[1] = '\0';
		rc = make_one(copy, mode, err);
		p[1] = next;
	}
	if (rc != QS_OK)
		rc = qs_fail_while(err, "make folder %s", path);
	free(copy);
	return rc;
}

/* Heap-allocated; from the user database, for a process without $HOME. */
static enum qs_code
home_from_passwd(char **out, struct qs_err *err)
{
	struct passwd entry, *found = NULL;
	char *room = NULL, *home = NULL;
	enum qs_code rc = QS_OK;
	int sys = ERANGE;

	for (size_t n = PASSWD_FIRST; sys == ERANGE && n <= PASSWD_MAX;) {
		free(room);
		room = (char *)malloc(n);
		if (room == NULL)
			break;
		sys = getpwuid_r(getuid(), &entry, room, n, &found);
		if (sys == ERANGE)
			n *= 2;
		else if (sys == EINTR)
			sys = ERANGE; /* once more, the same size */
	}
	if (room == NULL) {
		rc = qs_fail_nomem(err, "looking for the home folder");
		goto out;
	}
	if (sys != 0 || found == NULL || found->pw_dir == NULL ||
		found->pw_dir[0] != '/') {
		rc = qs_fail(err, QS_ENOTFOUND,
			"home folder: $HOME is not set to an absolute path "
			"and user %lu has none", (unsigned long)getuid());
		goto out;
	}
	home = strdup(found->pw_dir);
	if (home == NULL)
		rc = qs_fail_nomem(err, "looking for the home folder");
	else
		*out = home;
out:
	free(room);
	return rc;
}

enum qs_code
qs_dir_xdg(enum qs_xdg which, char **out, struct qs_err *err)
{
	static const struct {
		const char *variable, *below_home;
	} table[] = {
		[QS_XDG_CACHE] = {"XDG_CACHE_HOME", ".cache"},
		[QS_XDG_STATE] = {"XDG_STATE_HOME", ".local/state"},
		[QS_XDG_CONFIG] = {"XDG_CONFIG_HOME", ".config"},
	};
	const char *base = getenv(table[which].variable);
	const char *home = getenv("HOME");
	char *from_passwd = NULL, *path = NULL;
	enum qs_code rc = QS_OK;
	int n;

	/* The specification: what is not absolute is to be ignored. */
	if (base != NULL && base[0] == '/') {
		n = asprintf(&path, "%s/qstore", base);
	} else {
		if (home == NULL || home[0] != '/') {
			rc = home_from_passwd(&from_passwd, err);
			if (rc != QS_OK)
				return rc;
			home = from_passwd;
		}
		n = asprintf(&path, "%s/%s/qstore", home,
			table[which].below_home);
	}
	if (n < 0)
		rc = qs_fail_nomem(err, "naming a folder");
	else
		*out = path;
	free(from_passwd);
	return rc;
}
