/* SPDX-License-Identifier: ISC */
/* Small files: load a whole one, replace a whole one. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base.h"

#define FIRST_READ 4096
#define TEMP_TRIES 1000
/* Leaves room in a name of 255 bytes for the dots, pid and number. */
#define TEMP_STEM 200

static int
open_at(int dir_fd, const char *path, int flags, mode_t mode)
{
	int fd;

	do {
		fd = openat(dir_fd, path, flags | O_CLOEXEC | O_NOCTTY, mode);
	} while (fd < 0 && errno == EINTR);
	return fd;
}

/* How much to read at first: the whole file and a byte to see its end. */
static enum qs_code
first_read(int fd, size_t max, size_t *out, struct qs_err *err)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return qs_fail_errno(err, "stat");
	if (!S_ISREG(st.st_mode) || st.st_size <= 0) { /* /proc says 0 */
		*out = FIRST_READ;
		return QS_OK;
	}
	if ((uint64_t)st.st_size > max)
		return qs_fail(err, QS_ECORRUPT,
			"%lld bytes long, at most %zu are allowed",
			(long long)st.st_size, max);
	*out = (size_t)st.st_size + 1;
	return QS_OK;
}

/* Append all that fd gives; the file may grow meanwhile, or have no size. */
static enum qs_code
load_fd(int fd, size_t max, struct qs_buf *buf, struct qs_err *err)
{
	size_t total = 0, step = 0;
	enum qs_code rc = first_read(fd, max, &step, err);

	while (rc == QS_OK) {
		uint8_t *end = NULL;
		size_t got = 0, left = max - total;

		if (left < SIZE_MAX)
			left++; /* the byte too many must be seen */
		if (step > left)
			step = left;
		rc = qs_buf_extend(buf, step, &end, err);
		if (rc != QS_OK)
			return rc;
		rc = qs_fd_read(fd, end, step, &got, err);
		if (rc != QS_OK)
			return rc;
		buf->len -= step - got;
		total += got;
		if (total > max)
			return qs_fail(err, QS_ECORRUPT,
				"more than the allowed %zu bytes long", max);
		if (got < step)
			return QS_OK;
		step = total > FIRST_READ ? total : FIRST_READ;
	}
	return rc;
}

enum qs_code
qs_file_load(int dir_fd, const char *path, size_t max, struct qs_buf *buf,
	struct qs_err *err)
{
	const size_t old_len = buf->len;
	enum qs_code rc;
	/*
	 * O_NONBLOCK: a pipe that somebody left in a store in a file's place
	 * reads as empty instead of stopping us in open.
	 */
	int fd = open_at(dir_fd, path, O_RDONLY | O_NONBLOCK, 0);

	if (fd < 0)
		return qs_fail_errno(err, "open %s", path);
	rc = load_fd(fd, max, buf, err);
	if (rc != QS_OK) {
		buf->len = old_len;
		rc = qs_fail_while(err, "load %s", path);
	}
	qs_fd_close(&fd);
	return rc;
}

/* Open the folder that path's last part lies in; *name points at that part. */
static enum qs_code
open_parent(int dir_fd, const char *path, int *out, const char **name,
	struct qs_err *err)
{
	const char *slash = strrchr(path, '/');
	const char *last = slash != NULL ? slash + 1 : path;
	char folder[PATH_MAX] = ".";
	size_t len = (size_t)(last - path);
	enum qs_code rc;

	if (last[0] == '\0' || strcmp(last, ".") == 0 ||
		strcmp(last, "..") == 0)
		return qs_fail(err, QS_EINVAL, "not the name of a file");
	if (len >= sizeof(folder)) {
		errno = ENAMETOOLONG;
		return qs_fail_errno(err, "folder of %zu bytes", len);
	}
	if (len > 0) { /* with its slash, so that "/x" lies in "/" */
		memcpy(folder, path, len);
		folder[len] = '\0';
	}
	rc = qs_dir_open(dir_fd, folder, out, err);
	if (rc == QS_OK)
		*name = last;
	return rc;
}

/* A file that nobody else has; temp gets its name. */
static enum qs_code
open_temp(int dir, const char *name, mode_t mode, char temp[static NAME_MAX],
	int *out, struct qs_err *err)
{
	int fd;

	for (int n = 0; n < TEMP_TRIES; n++) {
		(void)snprintf(temp, NAME_MAX, ".%.*s.%ld.%d.tmp", TEMP_STEM,
			name, (long)getpid(), n);
		fd = open_at(dir, temp, O_WRONLY | O_CREAT | O_EXCL, mode);
		if (fd >= 0) {
			*out = fd;
			return QS_OK;
		}
		/* Another thread's, or left by a crash under the same pid. */
		if (errno != EEXIST)
			return qs_fail_errno(err, "create temporary file %s",
				temp);
	}
	return qs_fail(err, QS_EEXIST,
		"%d temporary files are in the way, the last is %s",
		TEMP_TRIES, temp);
}

static enum qs_code
write_out(int *fd, struct qs_span data, struct qs_err *err)
{
	enum qs_code rc = qs_fd_write(*fd, data.data, data.len, err);
	int closing;

	if (rc == QS_OK)
		rc = qs_fd_sync(*fd, err);
	if (rc != QS_OK)
		return rc;
	/* A network file system may report only now that the disk is full. */
	closing = *fd;
	*fd = -1;
	if (close(closing) != 0 && errno != EINTR)
		return qs_fail_errno(err, "close");
	return QS_OK;
}

enum qs_code
qs_file_replace(int dir_fd, const char *path, mode_t mode, struct qs_span data,
	struct qs_err *err)
{
	char temp[NAME_MAX] = "";
	const char *name = NULL;
	bool is_there = false; /* the temporary file */
	int dir = -1, fd = -1;
	enum qs_code rc = open_parent(dir_fd, path, &dir, &name, err);

	if (rc != QS_OK)
		goto out;
	rc = open_temp(dir, name, mode, temp, &fd, err);
	if (rc != QS_OK)
		goto out;
	is_there = true;
	/*
	 * The bytes are durable before the name is: a crash leaves the old
	 * file or the new one, never a new name with half of its bytes.
	 */
	rc = write_out(&fd, data, err);
	if (rc != QS_OK)
		goto out;
	if (renameat(dir, temp, dir, name) != 0) {
		rc = qs_fail_errno(err, "rename %s", temp);
		goto out;
	}
	is_there = false;
	rc = qs_fd_sync(dir, err);
out:
	qs_fd_close(&fd);
	if (is_there)
		(void)unlinkat(dir, temp, 0);
	qs_fd_close(&dir);
	if (rc != QS_OK)
		rc = qs_fail_while(err, "replace %s", path);
	return rc;
}
