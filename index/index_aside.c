/* SPDX-License-Identifier: ISC */
/*
 * Setting a bad index (or catalogue) aside, and the lock that keeps openers
 * apart.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "index/index_internal.h"

#define LOCK_TRY_MS 20

/*
 * The folder of the index, locked: of two processes that find the same damage
 * the second must not set the first one's new index aside.
 */
enum qs_code
qs_index_lock_folder(const char *path, int *out, struct qs_err *err)
{
	const char *slash = strrchr(path, '/');
	const struct timespec pause = {0, LOCK_TRY_MS * 1000000L};
	char *folder;
	enum qs_code rc;
	int fd = -1;

	if (slash == NULL)
		folder = strdup(".");
	else
		folder = strndup(path, slash == path ? 1 :
			(size_t)(slash - path));
	if (folder == NULL)
		return qs_fail_nomem(err, "opening the index");
	rc = qs_dir_open(AT_FDCWD, folder, &fd, err);
	free(folder);
	if (rc != QS_OK)
		return qs_fail_while(err, "open index %s", path);
	for (int waited = 0; flock(fd, LOCK_EX | LOCK_NB) != 0;
		waited += LOCK_TRY_MS) {
		/* A file system without locks: as good as it can be. */
		if (errno != EWOULDBLOCK && errno != EINTR)
			break;
		if (waited >= QS_INDEX_BUSY_MS) {
			qs_fd_close(&fd);
			return qs_fail(err, QS_EBUSY, "index %s is in use by "
				"another qstore process", path);
		}
		(void)nanosleep(&pause, NULL);
	}
	*out = fd;
	return QS_OK;
}

static enum qs_code
rename_one(const char *path, const char *suffix, struct qs_err *err)
{
	char *from = NULL, *to = NULL;
	enum qs_code rc = QS_OK;

	if (asprintf(&from, "%s%s", path, suffix) < 0) {
		from = NULL;
		rc = qs_fail_nomem(err, "setting the index aside");
	} else if (asprintf(&to, "%s.damaged%s", path, suffix) < 0) {
		to = NULL;
		rc = qs_fail_nomem(err, "setting the index aside");
	} else if (rename(from, to) != 0) {
		if (errno != ENOENT)
			rc = qs_fail_errno(err, "set damaged index %s aside",
				path);
		/* An older one's log must not be taken for this one's. */
		else if (unlink(to) != 0 && errno != ENOENT)
			rc = qs_fail_errno(err, "remove %s", to);
	}
	free(from);
	free(to);
	return rc;
}

enum qs_code
qs_index_set_aside(const char *path, struct qs_err *err)
{
	enum qs_code rc;

	/*
	 * The database first: a crash then leaves a log without a database,
	 * which SQLite throws away; the other way round it would be a database
	 * without the transactions that its log held.
	 */
	rc = rename_one(path, "", err);
	if (rc == QS_OK)
		rc = rename_one(path, "-wal", err);
	if (rc == QS_OK)
		rc = rename_one(path, "-shm", err);
	return rc;
}

enum qs_code
qs_index_set_this_aside(const char *path, dev_t dev, ino_t ino,
	struct qs_err *err)
{
	struct stat st;
	int lock_fd = -1;
	enum qs_code rc = qs_index_lock_folder(path, &lock_fd, err);

	if (rc == QS_OK && stat(path, &st) == 0 && st.st_dev == dev &&
		st.st_ino == ino)
		rc = qs_index_set_aside(path, err);
	qs_fd_close(&lock_fd);
	return rc;
}
