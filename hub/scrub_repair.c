/* SPDX-License-Identifier: ISC */
/*
 * A good copy in the place of a file.  What was there goes into the trash as
 * "damaged-<name>" and is never removed: somebody may want to look at it.  A
 * crash in between leaves a file that is missing, for the next run.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/file.h>
#include <unistd.h>

#include "hub/scrub_internal.h"

#define COPIES 100 /* of one file, damaged again and again */

/* ----------------------------------------------------------- out of the way */

static enum qs_code
sync_dir(const struct scrub *scrub, const char *path, struct qs_err *err)
{
	int fd = -1;
	enum qs_code rc = qs_dir_open(scrub->fd, path, &fd, err);

	if (rc == QS_OK)
		rc = qs_fd_sync(fd, err);
	qs_fd_close(&fd);
	return rc;
}

static enum qs_code
make_dir(const struct scrub *scrub, const char *path, struct qs_err *err)
{
	if (mkdirat(scrub->fd, path, 0700) == 0 || errno == EEXIST)
		return QS_OK;
	return qs_fail_errno(err, "make %s", path);
}

/* Rename without replacing, also where the file system can't do it at once. */
static int
rename_new(int fd, const char *from, const char *to)
{
	struct stat st;

	if (renameat2(fd, from, fd, to, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EINVAL && errno != ENOSYS)
		return -1;
	if (fstatat(fd, to, &st, AT_SYMLINK_NOFOLLOW) == 0) {
		errno = EEXIST;
		return -1;
	}
	return renameat(fd, from, fd, to);
}

static enum qs_code
put_away(const struct scrub *scrub, const struct qs_ref *ref,
	struct qs_err *err)
{
	struct qs_file_path from = qs_file_path(ref);
	char to[sizeof(struct qs_file_path)], hex[QS_HEX_LEN + 1];
	enum qs_code rc = make_dir(scrub, "trash", err);

	qs_hex(hex, ref->name.b, 32);
	for (unsigned i = 0; i < COPIES && rc == QS_OK; i++) {
		if (i == 0)
			(void)snprintf(to, sizeof(to), "trash/damaged-%s",
				hex);
		else
			(void)snprintf(to, sizeof(to), "trash/damaged-%s-%u",
				hex, i);
		if (rename_new(scrub->fd, from.text, to) == 0)
			return sync_dir(scrub, "trash", err);
		if (errno == ENOENT) /* nothing is in the way */
			return QS_OK;
		if (errno != EEXIST && errno != ENOTEMPTY && errno != ENOTDIR)
			rc = qs_fail_errno(err, "move %s into the trash",
				from.text);
	}
	if (rc == QS_OK)
		rc = qs_fail(err, QS_EEXIST, "the trash is full of damaged "
			"copies of %s", from.text);
	return rc;
}

/* ------------------------------------------------------------------ objects */

static enum qs_code
put_object(struct scrub *scrub, const struct qs_ref *ref, struct qs_span bytes,
	struct qs_err *err)
{
	struct qs_store *store = scrub->store;
	struct qs_stage *stage = NULL;
	enum qs_code rc = store->ops->stage(store->self, bytes, &stage, err);

	if (rc != QS_OK)
		return rc;
	rc = put_away(scrub, ref, err);
	if (rc != QS_OK) {
		store->ops->discard(store->self, stage);
		return rc;
	}
	return store->ops->commit(store->self, &stage, &ref->name, 1, err);
}

/* ------------------------------------------------------------------ records */

/* The file, whole and durable, under its name in the device's directory. */
static enum qs_code
place_record(const struct scrub *scrub, int dir_fd, const char *name,
	struct qs_span bytes, struct qs_err *err)
{
	char temp[64];
	uint64_t random;
	int fd;
	enum qs_code rc;

	(void)scrub;
	qs_random(&random, sizeof(random));
	(void)snprintf(temp, sizeof(temp), ".tmp-%ld-%016" PRIx64,
		(long)getpid(), random);
	fd = openat(dir_fd, temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC |
		O_NOFOLLOW, 0400);
	if (fd < 0)
		return qs_fail_errno(err, "write a log record");
	rc = qs_fd_write(fd, bytes.data, bytes.len, err);
	if (rc == QS_OK)
		rc = qs_fd_sync(fd, err);
	qs_fd_close(&fd);
	if (rc == QS_OK && rename_new(dir_fd, temp, name) != 0)
		rc = qs_fail_errno(err, "name a log record");
	if (rc == QS_OK)
		return qs_fd_sync(dir_fd, err);
	(void)unlinkat(dir_fd, temp, 0);
	return rc;
}

/* A file system without locks: as good as it can be. */
static enum qs_code
lock(int fd, int operation, struct qs_err *err)
{
	while (flock(fd, operation) != 0) {
		if (errno == ENOTSUP || errno == ENOLCK || errno == ENOSYS)
			return QS_OK;
		if (errno != EINTR)
			return qs_fail_errno(err, "lock the log");
	}
	return QS_OK;
}

/*
 * Not an append: its place may be in the middle of its device's log, and its
 * NAME has been checked.  Under the locks that writers of the log take.
 */
static enum qs_code
put_record(struct scrub *scrub, const struct qs_ref *ref, struct qs_span bytes,
	struct qs_err *err)
{
	struct qs_file_path path = qs_file_path(ref), dir = path;
	char *slash = strrchr(dir.text, '/');
	int fd = -1, log_fd = -1;
	enum qs_code rc = make_dir(scrub, "log", err);

	*slash = '\0';
	if (rc == QS_OK)
		rc = make_dir(scrub, dir.text, err);
	if (rc == QS_OK)
		rc = qs_dir_open(scrub->fd, dir.text, &fd, err);
	if (rc == QS_OK)
		rc = qs_dir_open(scrub->fd, "log", &log_fd, err);
	if (rc == QS_OK)
		rc = lock(log_fd, LOCK_SH, err);
	if (rc == QS_OK)
		rc = lock(fd, LOCK_EX, err);
	if (rc == QS_OK)
		rc = put_away(scrub, ref, err);
	if (rc == QS_OK)
		rc = place_record(scrub, fd, path.text + (slash - dir.text) +
			1, bytes, err);
	if (rc == QS_OK)
		rc = qs_fd_sync(log_fd, err);
	qs_fd_close(&fd);
	qs_fd_close(&log_fd);
	return rc;
}

static enum qs_code
put_slot(struct scrub *scrub, const struct qs_ref *ref, struct qs_span bytes,
	struct qs_err *err)
{
	struct qs_name name;
	enum qs_code rc = put_away(scrub, ref, err);

	if (rc != QS_OK)
		return rc;
	return scrub->store->ops->put_key(scrub->store->self, bytes, &name,
		err);
}

/* -------------------------------------------------------------------- whole */

/* Not the store's or the copy's misfortune, but the end of the run. */
static bool
is_fatal(enum qs_code code)
{
	return code == QS_ENOMEM || code == QS_ECANCELED;
}

enum qs_code
scrub_repair(struct scrub *scrub, const struct qs_ref *ref, bool *repaired,
	struct qs_err *text, struct qs_err *err)
{
	struct qs_buf bytes = {0};
	enum qs_code rc;

	*repaired = false;
	/* A slot that was revoked must not come back from an old copy. */
	if (ref->area == QS_AREA_KEYS && (scrub->retirement == NULL ||
		scrub_is_retired(scrub, ref))) {
		(void)qs_fail(text, QS_EUNSUPPORTED, "a key slot that may be "
			"revoked is not fetched");
		return QS_OK;
	}
	rc = qs_store_load(scrub->options->repair_from, ref,
		scrub_size_max(ref->area), &bytes, text);
	if (rc == QS_OK) {
		struct qs_span span = qs_buf_span(&bytes);

		rc = ref->area == QS_AREA_OBJ ?
			put_object(scrub, ref, span, text) :
			ref->area == QS_AREA_LOG ?
			put_record(scrub, ref, span, text) :
			put_slot(scrub, ref, span, text);
	}
	qs_buf_clear(&bytes);
	if (is_fatal(rc)) {
		*err = *text;
		return rc;
	}
	*repaired = rc == QS_OK;
	return QS_OK;
}
