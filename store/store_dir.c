/* SPDX-License-Identifier: ISC */
/*
 * The directory store: a folder's files below a path.
 *
 *   PATH/README.txt
 *   PATH/<folder id>/keys/<64 hex>.key
 *   PATH/<folder id>/log/<16 hex device>/<16 hex seq>-<64 hex>
 *   PATH/<folder id>/obj/<2 hex>/<64 hex>
 *   PATH/<folder id>/trash/              store_dir_trash.c
 *
 * Every access goes through the descriptor of PATH/<folder id> and a name that
 * is built here from hex digits, so nothing foreign becomes part of a path.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/store_dir_internal.h"

/* --------------------------------------------------------------- names */

struct qs_file_path
qs_dir_shard_path(const struct qs_name *name)
{
	struct qs_file_path path;

	(void)snprintf(path.text, sizeof(path.text), "obj/%02x", name->b[0]);
	return path;
}

struct qs_file_path
qs_dir_device_path(const uint8_t device[static QS_DEVICE_LEN])
{
	struct qs_file_path path;

	(void)snprintf(path.text, sizeof(path.text), "log/%s",
		qs_short_device(device).hex);
	return path;
}

struct qs_file_path
qs_file_path(const struct qs_ref *ref)
{
	struct qs_file_path path = {""};
	char hex[QS_HEX_LEN + 1];

	qs_hex(hex, ref->name.b, sizeof(ref->name.b));
	switch (ref->area) {
	case QS_AREA_KEYS:
		(void)snprintf(path.text, sizeof(path.text), "keys/%s.key",
			hex);
		break;
	case QS_AREA_LOG:
		(void)snprintf(path.text, sizeof(path.text),
			"log/%s/%016" PRIx64 "-%s",
			qs_short_device(ref->device).hex, ref->seq, hex);
		break;
	case QS_AREA_OBJ:
		(void)snprintf(path.text, sizeof(path.text), "obj/%.2s/%s",
			hex, hex);
		break;
	case QS_AREA_BESIDE: /* nothing of ours is there */
		break;
	}
	return path;
}

/* ------------------------------------------------------------- reading */

/* O_NONBLOCK: a pipe in a file's place must not stop us. */
static int
open_path(const struct dir_store *self, const char *path)
{
	int fd;

	do {
		fd = openat(self->fd, path, O_RDONLY | O_CLOEXEC |
			O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	} while (fd < 0 && errno == EINTR);
	return fd;
}

enum qs_code
qs_dir_open_ref(const struct dir_store *self, const struct qs_ref *ref,
	int *out, struct qs_err *err)
{
	struct qs_file_path path = qs_file_path(ref);
	const char *word = qs_area_word(ref->area);
	struct qs_short hex = qs_short_name(&ref->name);
	struct stat st;
	int fd = open_path(self, path.text);

	/* A key slot in the trash is none any more. */
	if (fd < 0 && errno == ENOENT && ref->area == QS_AREA_OBJ) {
		fd = open_path(self, qs_file_trash_path(ref).text);
		if (fd < 0 && errno == ENOENT) /* brought back just now? */
			fd = open_path(self, path.text);
	}
	if (fd < 0 && errno == ENOENT)
		return qs_fail(err, QS_ENOTFOUND, "%s %s is missing from %s",
			word, hex.hex, self->place);
	if (fd < 0 && errno != ELOOP) { /* O_NOFOLLOW met a link */
		(void)qs_fail_errno(err, "%s %s: open %s", word, hex.hex,
			path.text);
		/* What lies in the way is no mistake of the caller's. */
		if (err->code == QS_EINVAL)
			err->code = QS_EIO;
		return err->code;
	}
	if (fd < 0 || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
		qs_fd_close(&fd);
		return qs_fail(err, QS_ECORRUPT,
			"%s %s: %s is not a regular file", word, hex.hex,
			path.text);
	}
	*out = fd;
	return QS_OK;
}

static enum qs_code
dir_get(void *arg, const struct qs_ref *ref, uint64_t offset, uint8_t *out,
	size_t len, size_t *got, struct qs_err *err)
{
	const struct dir_store *self = arg;
	int fd = -1;
	enum qs_code rc;

	/* So that sizes of chunks cannot show in what is read, even here. */
	if (ref->area == QS_AREA_OBJ &&
		(offset % QS_SLICE != 0 || len % QS_SLICE != 0))
		return qs_fail(err, QS_EINVAL, "object %s: %zu bytes at "
			"%" PRIu64 " are not whole slices",
			qs_short_name(&ref->name).hex, len, offset);
	rc = qs_dir_open_ref(self, ref, &fd, err);
	if (rc != QS_OK)
		return rc;
	rc = qs_fd_pread(fd, out, len, offset, got, err);
	qs_fd_close(&fd);
	if (rc != QS_OK)
		return qs_fail_while(err, "%s %s: read from %s",
			qs_area_word(ref->area),
			qs_short_name(&ref->name).hex, self->place);
	return QS_OK;
}

/* 0 or errno; *size 0 where there is no regular file. */
static int
size_of(const struct dir_store *self, const char *path, uint64_t *size)
{
	struct stat st;

	*size = 0;
	if (fstatat(self->fd, path, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return errno;
	if (S_ISREG(st.st_mode))
		*size = (uint64_t)st.st_size;
	return 0;
}

static enum qs_code
dir_have(void *arg, const struct qs_name *names, size_t count,
	uint64_t *sizes, struct qs_err *err)
{
	const struct dir_store *self = arg;

	(void)err;
	for (size_t i = 0; i < count; i++) {
		struct qs_ref ref = {.area = QS_AREA_OBJ, .name = names[i]};
		struct qs_file_path path = qs_file_path(&ref);
		int sys = size_of(self, path.text, &sizes[i]);

		if (sys == ENOENT)
			sys = size_of(self, qs_file_trash_path(&ref).text,
				&sizes[i]);
		if (sys == ENOENT) /* brought back just now? */
			sys = size_of(self, path.text, &sizes[i]);
		/* One that can't be looked at does not hide the others. */
		if (sys != 0)
			sizes[i] = sys == ENOENT ? 0 : QS_SIZE_UNKNOWN;
	}
	return QS_OK;
}

/* ------------------------------------------------------------- opening */

enum qs_code
qs_store_open_file(struct qs_store *store, const struct qs_ref *ref, int *fd,
	uint64_t *size, struct qs_err *err)
{
	const struct dir_store *self = qs_store_as_dir(store);
	struct stat st;
	int file = -1;
	enum qs_code rc;

	if (self == NULL)
		return qs_fail(err, QS_EUNSUPPORTED, "%s: not a directory",
			store->place);
	rc = qs_dir_open_ref(self, ref, &file, err);
	if (rc == QS_OK && fstat(file, &st) != 0)
		rc = qs_fail_errno(err, "%s: look at a file", self->place);
	if (rc != QS_OK) {
		qs_fd_close(&file);
		return rc;
	}
	*fd = file;
	*size = (uint64_t)st.st_size;
	return QS_OK;
}

static void
dir_close(void *arg)
{
	struct dir_store *self = arg;

	qs_retirement_free(self->gone.retirement);
	(void)pthread_mutex_destroy(&self->gone.lock);
	qs_fd_close(&self->fd);
	free(self);
}

static const struct qs_store_ops dir_ops = {
	.list = qs_dir_list,
	.get = dir_get,
	.have = dir_have,
	.settle = qs_dir_settle,
	.stage = qs_dir_stage,
	.stage_read = qs_dir_stage_read,
	.commit = qs_dir_commit,
	.discard = qs_dir_discard,
	.append = qs_dir_append,
	.put_key = qs_dir_put_key,
	.drop_key = qs_dir_drop_key,
	.close = dir_close,
};

struct dir_store *
qs_store_as_dir(struct qs_store *store)
{
	return store->ops == &dir_ops ? store->self : NULL;
}

struct qs_store
qs_dir_as_store(struct dir_store *self,
	const uint8_t folder_id[static QS_FOLDER_ID_LEN])
{
	struct qs_store store = {.ops = &dir_ops, .self = self};

	/* Not written to: as const char * it has been all along. */
	memcpy(&store.place, &self->place, sizeof(store.place));
	memcpy(store.folder_id, folder_id, QS_FOLDER_ID_LEN);
	return store;
}

void
qs_store_dir_limit(struct qs_store *store, unsigned lacks)
{
	struct dir_store *self = store->self;

	atomic_fetch_or(&self->lacks, lacks);
}

/* Takes *fd, the folder's descriptor, on success. */
static enum qs_code
new_store(const char *path, const uint8_t folder_id[static QS_FOLDER_ID_LEN],
	int *fd, struct qs_store **out, struct qs_err *err)
{
	struct qs_store *store = calloc(1, sizeof(*store));
	struct dir_store *self = calloc(1, sizeof(*self));
	char *place = strdup(path);

	if (store == NULL || self == NULL || place == NULL) {
		free(store);
		free(self);
		free(place);
		return qs_fail_nomem(err, "opening a store");
	}
	self->fd = *fd;
	*fd = -1;
	self->place = place;
	atomic_init(&self->lacks, 0);
	atomic_init(&self->swept, false);
	(void)pthread_mutex_init(&self->gone.lock, NULL);
	store->ops = &dir_ops;
	store->self = self;
	store->place = place;
	store->batch = QS_LANES_MAX;
	memcpy(store->folder_id, folder_id, QS_FOLDER_ID_LEN);
	*out = store;
	return QS_OK;
}

/* A folder is one that has a place for keys. */
static bool
has_keys(int fd, const char *folder)
{
	char path[2 * QS_FOLDER_ID_LEN + 8];
	struct stat st;

	(void)snprintf(path, sizeof(path), "%s/keys", folder);
	return fstatat(fd, path, &st, 0) == 0 && S_ISDIR(st.st_mode);
}

static enum qs_code
open_root(const char *path, int *out, struct qs_err *err)
{
	enum qs_code rc = qs_dir_open(AT_FDCWD, path, out, err);

	if (rc == QS_ENOTFOUND)
		return qs_fail(err, QS_ENOSTORE, "no qstore store at %s "
			"(create one with: qstore init)", path);
	if (rc != QS_OK && err->sys == ENOTDIR)
		return qs_fail(err, QS_ENOSTORE, "no qstore store at %s: it "
			"is not a folder", path);
	return rc;
}

enum qs_code
qs_store_dir_open(const char *path,
	const uint8_t folder_id[static QS_FOLDER_ID_LEN], struct qs_store **out,
	struct qs_err *err)
{
	char folder[2 * QS_FOLDER_ID_LEN + 1];
	int root = -1, fd = -1;
	enum qs_code rc = open_root(path, &root, err);

	if (rc != QS_OK)
		return rc;
	qs_hex(folder, folder_id, QS_FOLDER_ID_LEN);
	if (!has_keys(root, folder)) {
		rc = qs_fail(err, QS_ENOSTORE,
			"the store at %s has no folder %s", path, folder);
		goto out;
	}
	rc = qs_dir_open(root, folder, &fd, err);
	if (rc != QS_OK) {
		rc = qs_fail_while(err, "store %s", path);
		goto out;
	}
	rc = new_store(path, folder_id, &fd, out, err);
out:
	qs_fd_close(&root);
	qs_fd_close(&fd);
	return rc;
}
