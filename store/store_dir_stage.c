/* SPDX-License-Identifier: ISC */
/*
 * The directory store's way of writing a file: first its bytes, under no name
 * or a temporary one, then durability, then its name, never over another.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/store_dir_internal.h"

#define COPY_STEP ((size_t)256 << 10)

static bool
lacks(struct dir_store *self, unsigned what)
{
	return (atomic_load(&self->lacks) & what) != 0;
}

enum qs_code
qs_dir_write_failed(const struct dir_store *self, const char *what,
	struct qs_err *err)
{
	bool is_quota = err->sys == EDQUOT;
	int sys = err->sys;

	if (err->code != QS_ENOSPC)
		return qs_fail_while(err, "%s at %s", what, self->place);
	(void)qs_fail(err, QS_ENOSPC, "%s at %s: %s: free some space at %s "
		"and run again; nothing was lost", what, self->place,
		is_quota ? "disk quota exceeded" : "no space left on device",
		self->place);
	err->sys = sys;
	return QS_ENOSPC;
}

/* ---------------------------------------------------------- temporaries */

/* ".tmp-<pid>-<16 hex>" */
#define TEMP_PREFIX ".tmp-"

static struct qs_file_path
temp_path(const char *dir)
{
	struct qs_file_path path;
	uint8_t random[8];
	char hex[17];

	qs_random(random, sizeof(random));
	qs_hex(hex, random, sizeof(random));
	(void)snprintf(path.text, sizeof(path.text), "%.80s/" TEMP_PREFIX
		"%ld-%s", dir, (long)getpid(), hex);
	return path;
}

static bool
is_temp_name(const char *name)
{
	const char *at = name + strlen(TEMP_PREFIX);
	uint8_t random[8];
	size_t digits;

	if (strncmp(name, TEMP_PREFIX, strlen(TEMP_PREFIX)) != 0)
		return false;
	digits = strspn(at, "0123456789");
	return digits >= 1 && digits <= 10 && at[digits] == '-' &&
		qs_unhex(random, sizeof(random), at + digits + 1);
}

#define TEMP_AGE (24 * 3600) /* a temporary this old has lost its process */

void
qs_dir_sweep_one(int dir_fd, const char *name)
{
	struct stat st;

	if (is_temp_name(name) &&
		fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		S_ISREG(st.st_mode) &&
		st.st_mtime < qs_now_ns() / 1000000000 - TEMP_AGE)
		(void)unlinkat(dir_fd, name, 0);
}

void
qs_dir_sweep(const struct dir_store *self, const char *dir)
{
	struct qs_err ignored;
	struct dirent *entry;
	DIR *stream;
	int fd = -1;

	if (qs_dir_open(self->fd, dir, &fd, &ignored) != QS_OK)
		return;
	stream = fdopendir(fd);
	if (stream == NULL) {
		qs_fd_close(&fd);
		return;
	}
	while ((entry = readdir(stream)) != NULL)
		qs_dir_sweep_one(dirfd(stream), entry->d_name);
	(void)closedir(stream);
}

/* QS_ENOTFOUND when dir does not exist. */
static enum qs_code
open_temp(const struct dir_store *self, const char *dir,
	struct dir_stage *stage, struct qs_err *err)
{
	struct qs_file_path path = temp_path(dir);
	int fd;

	do {
		fd = openat(self->fd, path.text, O_RDWR | O_CREAT | O_EXCL |
			O_CLOEXEC | O_NOFOLLOW, FILE_MODE);
	} while (fd < 0 && errno == EINTR);
	if (fd < 0)
		return qs_fail_errno(err, "create %s", path.text);
	stage->fd = fd;
	stage->temp = path;
	stage->has_temp = true;
	return QS_OK;
}

/* A file without a name, which a crash cannot leave behind. */
static enum qs_code
open_nameless(struct dir_store *self, const char *dir,
	struct dir_stage *stage, struct qs_err *err)
{
	int fd;

	if (lacks(self, QS_DIR_NO_TMPFILE | QS_DIR_NO_PROC))
		return open_temp(self, dir, stage, err);
	do {
		fd = openat(self->fd, dir, O_TMPFILE | O_RDWR | O_CLOEXEC,
			FILE_MODE);
	} while (fd < 0 && errno == EINTR);
	if (fd >= 0) {
		stage->fd = fd;
		return QS_OK;
	}
	/* What old kernels and simple file systems say of O_TMPFILE. */
	if (errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL) {
		atomic_fetch_or(&self->lacks, QS_DIR_NO_TMPFILE);
		return open_temp(self, dir, stage, err);
	}
	return qs_fail_errno(err, "create a file in %s", dir);
}

void
qs_dir_stage_free(const struct dir_store *self, struct dir_stage *stage)
{
	if (stage == NULL)
		return;
	qs_fd_close(&stage->fd);
	if (stage->has_temp)
		(void)unlinkat(self->fd, stage->temp.text, 0);
	free(stage);
}

enum qs_code
qs_dir_stage_new(struct dir_store *self, const char *dir,
	struct qs_span bytes, struct dir_stage **out, struct qs_err *err)
{
	struct dir_stage *stage = calloc(1, sizeof(*stage));
	enum qs_code rc;

	if (stage == NULL)
		return qs_fail_nomem(err, "writing to a store");
	stage->fd = -1;
	rc = open_nameless(self, dir, stage, err);
	if (rc == QS_ENOTFOUND) {
		/* An incomplete copy may lack the directory. */
		rc = qs_dir_make_at(self, dir, err);
		if (rc == QS_OK)
			rc = qs_dir_sync_at(self, ".", err);
		if (rc == QS_OK)
			rc = open_nameless(self, dir, stage, err);
	}
	if (rc == QS_OK)
		rc = qs_fd_write(stage->fd, bytes.data, bytes.len, err);
	if (rc != QS_OK)
		goto out;
	stage->size = bytes.len;
#ifdef __linux__
	/* Begin to write back now, so that the fsync later waits less. */
	(void)sync_file_range(stage->fd, 0, 0, SYNC_FILE_RANGE_WRITE);
#endif
	*out = stage;
	stage = NULL; /* handed over */
out:
	qs_dir_stage_free(self, stage);
	return rc;
}

/* --------------------------------------------------------------- naming */

/*
 * Somebody has the name.  The same length is taken for the same bytes, since
 * the name is their hash; but whoever put it there may never have synced it.
 */
static enum qs_code
accept_present(const struct dir_store *self, const struct dir_stage *stage,
	const char *path, struct qs_err *err)
{
	struct stat st;
	int fd;
	enum qs_code rc;

	do {
		fd = openat(self->fd, path, O_RDONLY | O_CLOEXEC |
			O_NOFOLLOW | O_NONBLOCK);
	} while (fd < 0 && errno == EINTR);
	if (fd < 0)
		return qs_fail_errno(err, "%s is there already: open", path);
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) ||
		(uint64_t)st.st_size != stage->size)
		rc = qs_fail(err, QS_ECORRUPT, "%s is there already but is "
			"not %" PRIu64 " bytes long: it is damaged, move it "
			"away and run again", path, stage->size);
	else
		rc = qs_fd_sync(fd, err);
	qs_fd_close(&fd);
	return rc;
}

/* 0 or errno */
static int
try_link(struct dir_store *self, const struct dir_stage *stage,
	const char *path)
{
	char proc[32];

	if (stage->has_temp)
		return linkat(self->fd, stage->temp.text, self->fd, path,
			0) == 0 ? 0 : errno;
	(void)snprintf(proc, sizeof(proc), "/proc/self/fd/%d", stage->fd);
	return linkat(AT_FDCWD, proc, self->fd, path,
		AT_SYMLINK_FOLLOW) == 0 ? 0 : errno;
}

/* 0 or errno; the temporary name is gone when it succeeds. */
static int
try_rename(struct dir_store *self, struct dir_stage *stage, const char *path)
{
#ifdef RENAME_NOREPLACE
	if (renameat2(self->fd, stage->temp.text, self->fd, path,
		RENAME_NOREPLACE) != 0)
		return errno;
	stage->has_temp = false;
	return 0;
#else
	(void)self;
	(void)stage;
	(void)path;
	return ENOSYS;
#endif
}

/* Give a nameless file a temporary name, by copying it. */
static enum qs_code
copy_to_temp(const struct dir_store *self, const char *dir,
	struct dir_stage *stage, struct qs_err *err)
{
	struct dir_stage copy = {.fd = -1};
	uint8_t *bytes = malloc(COPY_STEP);
	uint64_t offset = 0;
	size_t got = COPY_STEP;
	enum qs_code rc;

	if (bytes == NULL)
		return qs_fail_nomem(err, "writing to a store");
	rc = open_temp(self, dir, &copy, err);
	while (rc == QS_OK && got == COPY_STEP) {
		rc = qs_fd_pread(stage->fd, bytes, COPY_STEP, offset, &got,
			err);
		if (rc == QS_OK)
			rc = qs_fd_write(copy.fd, bytes, got, err);
		offset += got;
	}
	if (rc == QS_OK)
		rc = qs_fd_sync(copy.fd, err);
	free(bytes);
	if (rc == QS_OK) {
		qs_fd_close(&stage->fd);
		stage->fd = copy.fd;
		stage->temp = copy.temp;
		stage->has_temp = true;
		return QS_OK;
	}
	qs_fd_close(&copy.fd);
	if (copy.has_temp)
		(void)unlinkat(self->fd, copy.temp.text, 0);
	return rc;
}

static bool
means_unsupported(int sys)
{
	return sys == EPERM || sys == EOPNOTSUPP || sys == ENOSYS ||
		sys == EINVAL || sys == EMLINK;
}

enum qs_code
qs_dir_stage_link(struct dir_store *self, const char *dir,
	struct dir_stage *stage, const char *path, struct qs_err *err)
{
	int sys = EOPNOTSUPP;

	if (!stage->has_temp) {
		if (!lacks(self, QS_DIR_NO_PROC))
			sys = try_link(self, stage, path);
		/* ENOENT: without /proc there is no such name. */
		if (sys == ENOENT || sys == EXDEV || means_unsupported(sys)) {
			enum qs_code rc = copy_to_temp(self, dir, stage, err);

			if (rc != QS_OK)
				return rc;
			atomic_fetch_or(&self->lacks, QS_DIR_NO_PROC);
			sys = EOPNOTSUPP;
		}
	}
	if (stage->has_temp) {
		if (!lacks(self, QS_DIR_NO_LINK))
			sys = try_link(self, stage, path);
		if (means_unsupported(sys)) {
			atomic_fetch_or(&self->lacks, QS_DIR_NO_LINK);
			sys = try_rename(self, stage, path);
		}
	}
	if (sys == EEXIST)
		return accept_present(self, stage, path, err);
	if (means_unsupported(sys))
		return qs_fail(err, QS_EUNSUPPORTED, "%s: the file system can "
			"neither link a file nor rename it without replacing "
			"another", path);
	if (sys != 0) {
		errno = sys;
		return qs_fail_errno(err, "name %s", path);
	}
	return QS_OK;
}
