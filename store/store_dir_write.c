/* SPDX-License-Identifier: ISC */
/*
 * The directory store's objects, in: staged, committed.
 *
 * Order of a commit: the bytes of all objects are durable before the first
 * gets its name, and the directories of the names are synced before it
 * returns.  A crash leaves objects that nothing refers to, never a name
 * without its bytes.
 */
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/store_dir_internal.h"

enum qs_code
qs_dir_make_at(const struct dir_store *self, const char *path,
	struct qs_err *err)
{
	if (mkdirat(self->fd, path, DIR_MODE) == 0 || errno == EEXIST)
		return QS_OK;
	return qs_fail_errno(err, "make folder %s", path);
}

enum qs_code
qs_dir_sync_at(const struct dir_store *self, const char *path,
	struct qs_err *err)
{
	int fd = -1;
	enum qs_code rc = qs_dir_open(self->fd, path, &fd, err);

	if (rc != QS_OK)
		return rc;
	rc = qs_fd_sync(fd, err);
	qs_fd_close(&fd);
	return rc;
}

enum qs_code
qs_dir_stage(void *arg, struct qs_span object, struct qs_stage **out,
	struct qs_err *err)
{
	struct dir_store *self = arg;
	struct dir_stage *stage = NULL;
	enum qs_code rc = qs_dir_stage_new(self, "obj", object, &stage, err);

	if (rc != QS_OK)
		return qs_dir_write_failed(self, "write an object", err);
	*out = (struct qs_stage *)stage;
	return QS_OK;
}

enum qs_code
qs_dir_stage_read(void *arg, struct qs_stage *opaque, uint64_t offset,
	uint8_t *out, size_t len, size_t *got, struct qs_err *err)
{
	const struct dir_store *self = arg;
	const struct dir_stage *stage = (const struct dir_stage *)opaque;
	enum qs_code rc = qs_fd_pread(stage->fd, out, len, offset, got, err);

	if (rc != QS_OK)
		return qs_fail_while(err, "read back an object at %s",
			self->place);
	return QS_OK;
}

void
qs_dir_discard(void *arg, struct qs_stage *opaque)
{
	qs_dir_stage_free(arg, (struct dir_stage *)opaque);
}

static enum qs_code
link_object(struct dir_store *self, struct dir_stage *stage,
	const struct qs_name *name, bool *shard_done, struct qs_err *err)
{
	struct qs_ref ref = {.area = QS_AREA_OBJ, .name = *name};
	struct qs_file_path path = qs_file_path(&ref);
	struct qs_file_path shard = qs_dir_shard_path(name);
	enum qs_code rc;

	if (!*shard_done) {
		rc = qs_dir_make_at(self, shard.text, err);
		if (rc != QS_OK)
			return rc;
		*shard_done = true;
	}
	return qs_dir_stage_link(self, "obj", stage, path.text, err);
}

/*
 * Each directory once.  "obj" too, always: a shard that another process has
 * just made may not be durable yet, though it is there.
 */
static enum qs_code
sync_shards(const struct dir_store *self, const bool *shards,
	struct qs_err *err)
{
	for (unsigned i = 0; i < 256; i++) {
		struct qs_name name = {{(uint8_t)i}};
		enum qs_code rc;

		if (!shards[i])
			continue;
		rc = qs_dir_sync_at(self, qs_dir_shard_path(&name).text, err);
		if (rc != QS_OK)
			return rc;
	}
	return qs_dir_sync_at(self, "obj", err);
}

enum qs_code
qs_dir_commit(void *arg, struct qs_stage **stages, const struct qs_name *names,
	size_t count, struct qs_err *err)
{
	struct dir_store *self = arg;
	bool shards[256] = {false};
	enum qs_code rc = QS_OK;

	if (!atomic_exchange(&self->swept, true)) {
		qs_dir_sweep(self, "obj");
		qs_dir_sweep(self, "keys");
	}
	for (size_t i = 0; rc == QS_OK && i < count; i++)
		rc = qs_fd_sync(((struct dir_stage *)stages[i])->fd, err);
	for (size_t i = 0; rc == QS_OK && i < count; i++)
		rc = link_object(self, (struct dir_stage *)stages[i],
			&names[i], &shards[names[i].b[0]], err);
	if (rc == QS_OK && count > 0)
		rc = sync_shards(self, shards, err);
	for (size_t i = 0; i < count; i++) {
		qs_dir_stage_free(self, (struct dir_stage *)stages[i]);
		stages[i] = NULL;
	}
	if (rc != QS_OK)
		return qs_dir_write_failed(self, "save objects", err);
	return QS_OK;
}

enum qs_code
qs_dir_settle(void *arg, const struct qs_name *names, size_t count,
	struct qs_err *err)
{
	const struct dir_store *self = arg;
	bool shards[256] = {false};
	enum qs_code rc = QS_OK;

	for (size_t i = 0; rc == QS_OK && i < count; i++) {
		struct qs_ref ref = {.area = QS_AREA_OBJ, .name = names[i]};
		int fd = -1;

		rc = qs_dir_open_ref(self, &ref, &fd, err);
		if (rc == QS_OK)
			rc = qs_fd_sync(fd, err);
		qs_fd_close(&fd);
		shards[names[i].b[0]] = true;
	}
	if (rc == QS_OK && count > 0)
		rc = sync_shards(self, shards, err);
	if (rc != QS_OK)
		return qs_fail_while(err, "make objects durable at %s",
			self->place);
	return QS_OK;
}
