/* SPDX-License-Identifier: ISC */
/* The directory store's log and key slots, in. */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#include "store/store_dir_internal.h"

/* Write bytes to path in dir, whole and durable; dir's parent is synced. */
static enum qs_code
put_file(struct dir_store *self, const char *dir, const char *path,
	struct qs_span bytes, struct qs_err *err)
{
	struct dir_stage *stage = NULL;
	enum qs_code rc = qs_dir_stage_new(self, dir, bytes, &stage, err);

	if (rc != QS_OK)
		return rc;
	/* The bytes before the name, the name before we say it is done. */
	rc = qs_fd_sync(stage->fd, err);
	if (rc == QS_OK)
		rc = qs_dir_stage_link(self, dir, stage, path, err);
	if (rc == QS_OK)
		rc = qs_dir_sync_at(self, dir, err);
	qs_dir_stage_free(self, stage);
	return rc;
}

/* --------------------------------------------------------------- append */

struct head { /* the newest record of a device, as its directory says */
	bool is_empty;
	uint64_t seq;
	bool has_prev, has_new; /* records that are looked for, at seq */
};

/* What the directory says about where record would go. */
static enum qs_code
find_head(int fd, const struct qs_record *record, struct head *out,
	struct qs_err *err)
{
	struct head head = {.is_empty = true};
	struct dirent *entry;
	DIR *stream;
	int copy = -1;
	enum qs_code rc = qs_dir_open(fd, ".", &copy, err);

	if (rc != QS_OK)
		return rc;
	stream = fdopendir(copy);
	if (stream == NULL) {
		rc = qs_fail_errno(err, "list the log");
		qs_fd_close(&copy);
		return rc;
	}
	for (errno = 0; (entry = readdir(stream)) != NULL; errno = 0) {
		struct qs_ref ref = {0};

		if (!qs_dir_parse_record(entry->d_name, &ref)) {
			qs_dir_sweep_one(fd, entry->d_name);
			continue;
		}
		if (!head.is_empty && ref.seq < head.seq)
			continue;
		if (head.is_empty || ref.seq > head.seq)
			head = (struct head){.seq = ref.seq};
		if (memcmp(ref.name.b, record->prev.b, 32) == 0)
			head.has_prev = true;
		if (memcmp(ref.name.b, record->name.b, 32) == 0)
			head.has_new = true;
	}
	if (errno != 0)
		rc = qs_fail_errno(err, "list the log");
	else
		*out = head;
	(void)closedir(stream);
	return rc;
}

static enum qs_code
check_head(const struct dir_store *self, const struct qs_record *record,
	const struct head *head, struct qs_err *err)
{
	/*
	 * This very record is the newest: the first try of a retry.  It goes
	 * the whole way again, since it may not be durable yet.
	 */
	if (!head->is_empty && head->has_new && head->seq == record->seq)
		return QS_OK;
	if (head->is_empty && record->seq == 0)
		return QS_OK;
	if (!head->is_empty && record->seq > 0 &&
		head->seq == record->seq - 1 && head->has_prev)
		return QS_OK;
	if (head->is_empty)
		return qs_fail(err, QS_ECONFLICT, "log at %s: device %.8s has "
			"no record there, so number %" PRIu64 " cannot follow",
			self->place, qs_short_device(record->signer).hex,
			record->seq);
	return qs_fail(err, QS_ECONFLICT, "log at %s: the newest record of "
		"device %.8s is number %" PRIu64 ", and number %" PRIu64
		" does not follow it", self->place,
		qs_short_device(record->signer).hex, head->seq, record->seq);
}

static enum qs_code
append_locked(struct dir_store *self, int fd, const char *dir,
	const struct qs_record *record, struct qs_err *err)
{
	struct qs_ref ref = {
		.area = QS_AREA_LOG,
		.name = record->name,
		.seq = record->seq,
	};
	struct head head = {.is_empty = true};
	enum qs_code rc = find_head(fd, record, &head, err);

	if (rc == QS_OK)
		rc = check_head(self, record, &head, err);
	if (rc != QS_OK)
		return rc;
	memcpy(ref.device, record->signer, QS_DEVICE_LEN);
	return put_file(self, dir, qs_file_path(&ref).text, record->bytes,
		err);
}

/* The device's directory, made if need be, durable up to the folder. */
static enum qs_code
open_device(const struct dir_store *self, const char *dir, int *out,
	struct qs_err *err)
{
	enum qs_code rc = qs_dir_make_at(self, "log", err);

	if (rc == QS_OK)
		rc = qs_dir_make_at(self, dir, err);
	if (rc == QS_OK)
		rc = qs_dir_sync_at(self, "log", err);
	if (rc == QS_OK)
		rc = qs_dir_sync_at(self, ".", err);
	if (rc == QS_OK)
		rc = qs_dir_open(self->fd, dir, out, err);
	return rc;
}

/*
 * The locks are on directories and die with us: nothing is left in the store to
 * unlock.  That on log/ is shared by all who append, and keeps out who removes
 * objects for good.  Where directories cannot be locked (NFS), a race of two
 * writers of one device makes a fork, which every reader reports.
 */
static enum qs_code
append(struct dir_store *self, const struct qs_record *record,
	struct qs_err *err)
{
	struct qs_file_path dir = qs_dir_device_path(record->signer);
	int fd = -1, log = -1;
	enum qs_code rc = qs_dir_lock_log(self, LOCK_SH, &log, err);

	if (rc == QS_OK)
		rc = open_device(self, dir.text, &fd, err);
	if (rc == QS_OK)
		rc = qs_dir_flock(fd, LOCK_EX, err);
	/* What it names is here, before it is. */
	if (rc == QS_OK && record->type == QS_RECORD_SNAPSHOT)
		rc = qs_dir_need_objects(self, record, err);
	if (rc == QS_OK)
		rc = append_locked(self, fd, dir.text, record, err);
	qs_fd_close(&fd);
	qs_fd_close(&log);
	return rc;
}

enum qs_code
qs_dir_append(void *arg, const struct qs_record *record, struct qs_err *err)
{
	struct dir_store *self = arg;
	struct qs_name name;
	enum qs_code rc;

	qs_hash_name(record->bytes, &name);
	if (record->bytes.len < QS_RECORD_UNIT ||
		memcmp(name.b, record->name.b, sizeof(name.b)) != 0)
		return qs_fail(err, QS_EINVAL,
			"log record %s: its name is not that of its bytes",
			qs_short_name(&record->name).hex);
	rc = append(self, record, err);
	if (rc == QS_OK || rc == QS_ECONFLICT || rc == QS_ENOTFOUND)
		return rc;
	return qs_dir_write_failed(self, "write a log record", err);
}

/* ------------------------------------------------------------ key slots */

enum qs_code
qs_dir_put_key(void *arg, struct qs_span slot, struct qs_name *name,
	struct qs_err *err)
{
	struct dir_store *self = arg;
	struct qs_ref ref = {.area = QS_AREA_KEYS};
	enum qs_code rc;

	if (slot.len != QS_SLOT_LEN)
		return qs_fail(err, QS_EINVAL, "key slot: %zu bytes is not "
			"the length of one", slot.len);
	qs_hash_name(slot, &ref.name);
	rc = put_file(self, "keys", qs_file_path(&ref).text, slot, err);
	if (rc != QS_OK)
		return qs_dir_write_failed(self, "write a key slot", err);
	*name = ref.name;
	return QS_OK;
}

/* Into the trash: its owner may bring it back for a while. */
enum qs_code
qs_dir_drop_key(void *arg, const struct qs_name *name, struct qs_err *err)
{
	struct dir_store *self = arg;
	struct qs_ref ref = {.area = QS_AREA_KEYS, .name = *name};
	enum qs_code rc = qs_dir_trash(self, &ref, err);

	if (rc == QS_ENOTFOUND)
		return qs_fail(err, QS_ENOTFOUND,
			"key slot %s is missing from %s",
			qs_short_name(name).hex, self->place);
	if (rc != QS_OK)
		return qs_fail_while(err, "key slot %s: remove it from %s",
			qs_short_name(name).hex, self->place);
	return QS_OK;
}
