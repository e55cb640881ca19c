/* SPDX-License-Identifier: ISC */
/*
 * What this machine remembers of a folder outside the store: the highest
 * record seen of each device.  It is what a store that went back in time is
 * noticed by, so a mark is made durable before its record counts as known, and
 * is never lowered by itself.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#include "snapshot/folder_internal.h"

#define HEADS_MAX ((size_t)8 << 20) /* bytes of the file */
#define DEVICE_HEX ((size_t)2 * QS_DEVICE_LEN)

/* "<dir>/<folder id>"; dir NULL: the user's own. */
static enum qs_code
folder_dir(const char *dir, enum qs_xdg which, const struct qs_store *store,
	char **out, struct qs_err *err)
{
	char hex[2 * QS_FOLDER_ID_LEN + 1];
	char *own = NULL, *path;

	if (dir == NULL) {
		enum qs_code rc = qs_dir_xdg(which, &own, err);

		if (rc != QS_OK)
			return rc;
		dir = own;
	}
	qs_hex(hex, store->folder_id, QS_FOLDER_ID_LEN);
	if (asprintf(&path, "%s/%s", dir, hex) < 0)
		path = NULL;
	free(own);
	if (path == NULL)
		return qs_fail_nomem(err, "opening a folder");
	*out = path;
	return QS_OK;
}

enum qs_code
qs_state_dirs(struct qs_folder *folder,
	const struct qs_folder_options *options, struct qs_err *err)
{
	enum qs_code rc = folder_dir(options->cache_dir, QS_XDG_CACHE,
		folder->store, &folder->cache_dir, err);

	if (rc == QS_OK)
		rc = folder_dir(options->state_dir, QS_XDG_STATE,
			folder->store, &folder->state_dir, err);
	return rc;
}

static enum qs_code
state_path(const struct qs_folder *folder, const char *name, char **out,
	struct qs_err *err)
{
	char *path;

	if (asprintf(&path, "%s/%s", folder->state_dir, name) < 0)
		return qs_fail_nomem(err, "reading the folder's state");
	*out = path;
	return QS_OK;
}

enum qs_code
qs_state_lock(struct qs_folder *folder, int *fd, struct qs_err *err)
{
	char *path = NULL;
	int lock = -1, got;
	enum qs_code rc = qs_dir_make(folder->state_dir, 0700, err);

	if (rc == QS_OK)
		rc = state_path(folder, "lock", &path, err);
	if (rc != QS_OK)
		goto out;
	do {
		lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW,
			0600);
	} while (lock < 0 && errno == EINTR);
	if (lock < 0) {
		rc = qs_fail_errno(err, "open %s", path);
		goto out;
	}
	do {
		got = flock(lock, LOCK_EX);
	} while (got < 0 && errno == EINTR);
	if (got < 0) {
		rc = qs_fail_errno(err, "lock %s", path);
		goto out;
	}
	*fd = lock;
	lock = -1; /* handed over */
out:
	qs_fd_close(&lock);
	free(path);
	return rc;
}

/* --------------------------------------------------------------- heads */

static const char *
parse_number(const char *at, uint64_t *out)
{
	uint64_t n = 0;
	const char *first = at;

	for (; *at >= '0' && *at <= '9'; at++) {
		uint64_t digit = (uint64_t)(*at - '0');

		if (n > (UINT64_MAX - digit) / 10)
			return NULL;
		n = n * 10 + digit;
	}
	if (at == first || (*first == '0' && at - first > 1))
		return NULL;
	*out = n;
	return at;
}

/* A line without its newline: "<device> <seq> <name> <time_ms>" */
static bool
parse_line(const char *line, struct qs_mark *out)
{
	char device[DEVICE_HEX + 1], name[QS_HEX_LEN + 1];
	struct qs_mark mark;

	if (strlen(line) < DEVICE_HEX + 1 || line[DEVICE_HEX] != ' ')
		return false;
	memcpy(device, line, DEVICE_HEX);
	device[DEVICE_HEX] = '\0';
	if (!qs_unhex(mark.device, QS_DEVICE_LEN, device))
		return false;
	line = parse_number(line + DEVICE_HEX + 1, &mark.seq);
	if (line == NULL || strlen(line) < 1 + QS_HEX_LEN + 1 ||
		line[0] != ' ' || line[1 + QS_HEX_LEN] != ' ')
		return false;
	memcpy(name, line + 1, QS_HEX_LEN);
	name[QS_HEX_LEN] = '\0';
	if (!qs_unhex(mark.name.b, 32, name))
		return false;
	line = parse_number(line + 1 + QS_HEX_LEN + 1, &mark.time_ms);
	if (line == NULL || *line != '\0')
		return false;
	*out = mark;
	return true;
}

enum qs_code
qs_marks_parse(struct qs_span text, struct qs_mark **out, size_t *count,
	struct qs_err *err)
{
	struct qs_mark *marks = NULL;
	size_t used = 0, cap = 0, number = 0;
	const uint8_t *at = text.data, *end = text.data + text.len;
	enum qs_code rc = QS_OK;

	while (at < end) {
		const uint8_t *stop = memchr(at, '\n', (size_t)(end - at));
		char line[256];
		size_t len = stop == NULL ? 0 : (size_t)(stop - at);

		number++;
		rc = qs_array_room(&marks, used, &cap, sizeof(*marks), err);
		if (rc != QS_OK)
			break;
		memcpy(line, at, len < sizeof(line) ? len : 0);
		line[len < sizeof(line) ? len : 0] = '\0';
		/* A NUL inside ends the line early, so it can't be one. */
		if (stop == NULL || strlen(line) != len ||
			!parse_line(line, &marks[used]) || (used > 0 &&
			memcmp(marks[used - 1].device, marks[used].device,
			QS_DEVICE_LEN) >= 0)) {
			rc = qs_fail(err, QS_ECORRUPT,
				"line %zu is not as qstore writes it", number);
			break;
		}
		used++;
		at = stop + 1;
	}
	if (rc != QS_OK) {
		free(marks);
		return rc;
	}
	*out = marks;
	*count = used;
	return QS_OK;
}

static enum qs_code
load_marks(struct qs_folder *folder, struct qs_mark **out, size_t *count,
	struct qs_err *err)
{
	struct qs_buf text = {0};
	char *path = NULL;
	enum qs_code rc = state_path(folder, "heads", &path, err);

	if (rc != QS_OK)
		return rc;
	rc = qs_file_load(AT_FDCWD, path, HEADS_MAX, &text, err);
	if (rc == QS_ENOTFOUND) {
		*out = NULL;
		*count = 0;
		rc = QS_OK;
	} else if (rc == QS_OK) {
		rc = qs_marks_parse(qs_buf_span(&text), out, count, err);
		if (rc != QS_OK)
			rc = qs_fail_while(err, "%s", path);
	}
	qs_buf_clear(&text);
	free(path);
	return rc;
}

enum qs_code
qs_marks_load(struct qs_folder *folder, struct qs_err *err)
{
	struct qs_mark *marks;
	size_t count;
	enum qs_code rc = load_marks(folder, &marks, &count, err);

	if (rc != QS_OK)
		return rc;
	free(folder->marks);
	free(folder->mark_met);
	folder->marks = marks;
	folder->mark_count = count;
	folder->mark_met = calloc(count + 1, sizeof(*folder->mark_met));
	if (folder->mark_met == NULL) {
		folder->mark_count = 0;
		return qs_fail_nomem(err, "reading the folder's state");
	}
	return QS_OK;
}

static int
by_device(const void *a, const void *b)
{
	return memcmp(((const struct qs_mark *)a)->device,
		((const struct qs_mark *)b)->device, QS_DEVICE_LEN);
}

/*
 * The file's marks and the chains' heads, the higher of each.  old has room
 * for the chains as well.
 */
static size_t
merge_marks(const struct qs_folder *folder, struct qs_mark *old, size_t count,
	bool *changed)
{
	for (size_t i = 0; i < folder->chain_count; i++) {
		const struct qs_chain *chain = &folder->chains[i];
		size_t at = 0;

		if (!chain->has_head)
			continue;
		while (at < count && memcmp(old[at].device, chain->device,
			QS_DEVICE_LEN) != 0)
			at++;
		if (at < count && old[at].seq >= chain->head.seq)
			continue;
		old[at] = chain->head;
		count += at == count;
		*changed = true;
	}
	if (count > 1)
		qsort(old, count, sizeof(*old), by_device);
	return count;
}

static enum qs_code
write_marks(struct qs_folder *folder, const struct qs_mark *marks,
	size_t count, struct qs_err *err)
{
	struct qs_buf text = {0};
	char *path = NULL;
	enum qs_code rc = state_path(folder, "heads", &path, err);

	for (size_t i = 0; rc == QS_OK && i < count; i++) {
		char device[DEVICE_HEX + 1], name[QS_HEX_LEN + 1];

		qs_hex(device, marks[i].device, QS_DEVICE_LEN);
		qs_hex(name, marks[i].name.b, 32);
		rc = qs_buf_printf(&text, err, "%s %" PRIu64 " %s %" PRIu64
			"\n", device, marks[i].seq, name, marks[i].time_ms);
	}
	if (rc == QS_OK)
		rc = qs_file_replace(AT_FDCWD, path, 0600, qs_buf_span(&text),
			err);
	qs_buf_clear(&text);
	free(path);
	return rc;
}

enum qs_code
qs_marks_save(struct qs_folder *folder, bool replace, struct qs_err *err)
{
	struct qs_mark *old = NULL, *marks;
	size_t count = 0;
	bool changed = replace;
	enum qs_code rc = QS_OK;

	/* Another process may have gone further since the file was read. */
	if (!replace)
		rc = load_marks(folder, &old, &count, err);
	if (rc != QS_OK)
		return rc;
	marks = realloc(old, (count + folder->chain_count + 1) *
		sizeof(*marks));
	if (marks == NULL) {
		free(old);
		return qs_fail_nomem(err, "writing the folder's state");
	}
	count = merge_marks(folder, marks, count, &changed);
	if (changed)
		rc = write_marks(folder, marks, count, err);
	free(marks);
	return rc;
}
