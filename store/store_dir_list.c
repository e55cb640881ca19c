/* SPDX-License-Identifier: ISC */
/* The directory store's listings: its folders, and the files of an area. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/store_dir_internal.h"

#define FOLDERS_MAX 65536

struct listing {
	enum qs_area area;
	qs_list_fn fn;
	void *arg;
	const struct dir_store *self;
	bool has_stopped; /* fn has said so */
};

/* One directory that is being read. */
struct reading {
	struct listing *listing;
	const char *path; /* below the folder */
	int fd;           /* of stream */
	uint8_t device[QS_DEVICE_LEN]; /* in the log */
};

/* A struct dirent can be 255 bytes of name; area and shard come before. */
#define FOREIGN_MAX (sizeof(struct qs_file_path) + NAME_MAX + 2)

static enum qs_code
report(struct listing *listing, const struct qs_ref *ref, struct qs_err *err)
{
	enum qs_code rc = listing->fn(listing->arg, ref, err);

	listing->has_stopped = rc != QS_OK;
	return rc;
}

static enum qs_code
open_stream(int at, const char *path, DIR **out, struct qs_err *err)
{
	DIR *stream;
	int fd = -1;
	enum qs_code rc = qs_dir_open(at, path, &fd, err);

	if (rc != QS_OK)
		return rc;
	stream = fdopendir(fd);
	if (stream == NULL) {
		rc = qs_fail_errno(err, "list %s", path);
		qs_fd_close(&fd);
		return rc;
	}
	*out = stream;
	return QS_OK;
}

/* A directory below the folder, whose name alone says little. */
static enum qs_code
open_area(struct listing *listing, const char *path, DIR **out,
	struct qs_err *err)
{
	if (open_stream(listing->self->fd, path, out, err) == QS_OK)
		return QS_OK;
	return qs_fail_while(err, "store %s", listing->self->place);
}

/*
 * The next entry that is not "." or "..".  *out NULL at the end.
 */
static enum qs_code
next_entry(DIR *stream, const char *path, const struct dirent **out,
	struct qs_err *err)
{
	const struct dirent *entry = NULL;

	do {
		errno = 0;
		entry = readdir(stream);
		if (entry == NULL && errno != 0)
			return qs_fail_errno(err, "list %s", path);
	} while (entry != NULL && (strcmp(entry->d_name, ".") == 0 ||
		strcmp(entry->d_name, "..") == 0));
	*out = entry;
	return QS_OK;
}

bool
qs_dir_parse_record(const char *text, struct qs_ref *out)
{
	char head[17];
	uint8_t seq[8];
	uint64_t number = 0;

	if (strlen(text) != 16 + 1 + QS_HEX_LEN || text[16] != '-')
		return false;
	memcpy(head, text, 16);
	head[16] = '\0';
	if (!qs_unhex(seq, sizeof(seq), head) ||
		!qs_unhex(out->name.b, sizeof(out->name.b), text + 17))
		return false;
	for (size_t i = 0; i < sizeof(seq); i++)
		number = number << 8 | seq[i];
	out->seq = number;
	return true;
}

/* Is it the name of one of our files, in the right place? */
static bool
parse_name(const struct reading *reading, const char *text, struct qs_ref *out)
{
	char hex[QS_HEX_LEN + 1];

	switch (reading->listing->area) {
	case QS_AREA_KEYS:
		if (strlen(text) != QS_HEX_LEN + 4 ||
			strcmp(text + QS_HEX_LEN, ".key") != 0)
			return false;
		memcpy(hex, text, QS_HEX_LEN);
		hex[QS_HEX_LEN] = '\0';
		return qs_unhex(out->name.b, sizeof(out->name.b), hex);
	case QS_AREA_LOG:
		memcpy(out->device, reading->device, QS_DEVICE_LEN);
		return qs_dir_parse_record(text, out);
	case QS_AREA_OBJ:
		/* "obj/ab": the shard is the name's first two digits. */
		return qs_unhex(out->name.b, sizeof(out->name.b), text) &&
			strncmp(reading->path + 4, text, 2) == 0;
	case QS_AREA_BESIDE:
		break;
	}
	return false;
}

static enum qs_code
report_foreign(const struct reading *reading, const char *name,
	struct qs_err *err)
{
	char path[FOREIGN_MAX];
	struct qs_ref ref = {
		.area = reading->listing->area,
		.foreign = path,
	};

	(void)snprintf(path, sizeof(path), "%s/%s", reading->path, name);
	return report(reading->listing, &ref, err);
}

/* A directory that holds files; whatever else is in it is foreign. */
static enum qs_code
report_file(const struct reading *reading, const char *name,
	struct qs_err *err)
{
	struct listing *listing = reading->listing;
	struct qs_ref ref = {.area = listing->area};
	struct stat st;

	if (!parse_name(reading, name, &ref))
		return report_foreign(reading, name, err);
	if (fstatat(reading->fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
		if (errno == ENOENT)
			return QS_OK; /* it was taken away meanwhile */
		return qs_fail_errno(err, "list %s/%s", reading->path, name);
	}
	if (!S_ISREG(st.st_mode))
		return report_foreign(reading, name, err);
	ref.size = (uint64_t)st.st_size;
	return report(listing, &ref, err);
}

/* device: QS_DEVICE_LEN bytes, of which objects need the first; or NULL */
static enum qs_code
list_files(struct listing *listing, const char *path,
	const uint8_t *device, struct qs_err *err)
{
	struct reading reading = {.listing = listing, .path = path};
	DIR *stream = NULL;
	const struct dirent *entry = NULL;
	enum qs_code rc = open_area(listing, path, &stream, err);

	if (rc != QS_OK)
		return rc;
	reading.fd = dirfd(stream);
	if (device != NULL)
		memcpy(reading.device, device, QS_DEVICE_LEN);
	for (;;) {
		rc = next_entry(stream, path, &entry, err);
		if (rc != QS_OK || entry == NULL)
			break;
		rc = report_file(&reading, entry->d_name, err);
		if (rc != QS_OK)
			break;
	}
	(void)closedir(stream);
	return rc;
}

/*
 * "obj" and "log" hold directories of files, named by len bytes in hex.  One
 * that can't be read does not hide the others; it is what is told in the end.
 * only_foreign: what is beside these, not what is in them.
 */
static enum qs_code
list_nested(struct listing *listing, const char *path, size_t len,
	bool only_foreign, struct qs_err *err)
{
	struct reading reading = {.listing = listing, .path = path};
	DIR *stream = NULL;
	const struct dirent *entry = NULL;
	struct qs_err first;
	enum qs_code rc = open_area(listing, path, &stream, err);

	if (rc != QS_OK)
		return rc;
	first.code = QS_OK;
	reading.fd = dirfd(stream);
	for (;;) {
		struct qs_file_path below;
		uint8_t bytes[QS_DEVICE_LEN] = {0};
		struct stat st;

		rc = next_entry(stream, path, &entry, err);
		if (rc != QS_OK || entry == NULL)
			break;
		if (qs_unhex(bytes, len, entry->d_name) &&
			fstatat(reading.fd, entry->d_name, &st,
				AT_SYMLINK_NOFOLLOW) == 0 &&
			S_ISDIR(st.st_mode)) {
			(void)snprintf(below.text, sizeof(below.text),
				"%s/%.16s", path, entry->d_name);
			rc = only_foreign ? QS_OK : list_files(listing,
				below.text, bytes, err);
		} else {
			rc = report_foreign(&reading, entry->d_name, err);
		}
		if (rc != QS_OK && first.code == QS_OK)
			first = *err;
		if (rc != QS_OK && listing->has_stopped)
			break;
	}
	(void)closedir(stream);
	if (first.code != QS_OK)
		*err = first;
	return first.code != QS_OK ? first.code : rc;
}

/* Or what belongs to the place: see docs/FORMAT.md, "Layout". */
static bool
is_area(const char *name)
{
	return strcmp(name, "keys") == 0 || strcmp(name, "log") == 0 ||
		strcmp(name, "obj") == 0 || strcmp(name, "trash") == 0 ||
		strcmp(name, "hub") == 0;
}

static enum qs_code
list_beside(struct listing *listing, struct qs_err *err)
{
	struct qs_ref ref = {.area = QS_AREA_BESIDE};
	DIR *stream = NULL;
	const struct dirent *entry = NULL;
	enum qs_code rc = open_area(listing, ".", &stream, err);

	if (rc != QS_OK)
		return rc;
	for (;;) {
		rc = next_entry(stream, "the folder", &entry, err);
		if (rc != QS_OK || entry == NULL)
			break;
		if (is_area(entry->d_name))
			continue;
		ref.foreign = entry->d_name;
		rc = report(listing, &ref, err);
		if (rc != QS_OK)
			break;
	}
	(void)closedir(stream);
	return rc;
}

enum qs_code
qs_dir_list(void *arg, enum qs_area area, qs_list_fn fn, void *fn_arg,
	struct qs_err *err)
{
	struct dir_store *self = arg;
	struct listing listing = {area, fn, fn_arg, self, false};
	const char *path = area == QS_AREA_KEYS ? "keys" :
		area == QS_AREA_LOG ? "log" : "obj";
	struct stat st;

	if (area == QS_AREA_BESIDE)
		return list_beside(&listing, err);
	/* A copy of which nothing has arrived yet may lack an area. */
	if (fstatat(self->fd, path, &st, 0) != 0 && errno == ENOENT)
		return QS_OK;
	switch (area) {
	case QS_AREA_KEYS:
		return list_files(&listing, path, NULL, err);
	case QS_AREA_LOG:
		return list_nested(&listing, path, QS_DEVICE_LEN, false, err);
	case QS_AREA_OBJ:
		return list_nested(&listing, path, 1, false, err);
	case QS_AREA_BESIDE:
		break;
	}
	return qs_fail(err, QS_EINVAL, "no area %d", (int)area);
}

enum qs_code
qs_store_list_part(struct qs_store *store, enum qs_area area, uint8_t part,
	qs_list_fn fn, void *arg, struct qs_err *err)
{
	const struct dir_store *self = qs_store_as_dir(store);
	struct listing listing = {
		.area = area,
		.fn = fn,
		.arg = arg,
		.self = self,
	};
	struct qs_name name = {{part}};
	struct qs_file_path shard = qs_dir_shard_path(&name);
	struct stat st;
	enum qs_code rc = QS_OK;

	if (self == NULL)
		return qs_fail(err, QS_EUNSUPPORTED, "%s: not a directory",
			store->place);
	if (area != QS_AREA_OBJ)
		return store->ops->list(store->self, area, fn, arg, err);
	if (part == 0 && fstatat(self->fd, "obj", &st, 0) == 0)
		rc = list_nested(&listing, "obj", 1, true, err);
	if (rc == QS_OK && fstatat(self->fd, shard.text, &st,
		AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode))
		rc = list_files(&listing, shard.text, name.b, err);
	return rc;
}

enum qs_code
qs_dir_list_device(void *arg, const uint8_t device[static QS_DEVICE_LEN],
	qs_list_fn fn, void *fn_arg, struct qs_err *err)
{
	struct dir_store *self = arg;
	struct listing listing = {
		.area = QS_AREA_LOG,
		.fn = fn,
		.arg = fn_arg,
		.self = self,
	};
	struct qs_file_path path = qs_dir_device_path(device);
	struct stat st;

	if (fstatat(self->fd, path.text, &st, AT_SYMLINK_NOFOLLOW) != 0) {
		if (errno == ENOENT)
			return QS_OK; /* it has written nothing yet */
		return qs_fail_errno(err, "list %s", path.text);
	}
	/* As when all is listed: there it is foreign. */
	if (!S_ISDIR(st.st_mode))
		return QS_OK;
	return list_files(&listing, path.text, device, err);
}

/* ------------------------------------------------------------- folders */

static enum qs_code
add_folder(struct qs_folder_list *list, const uint8_t *id, struct qs_err *err)
{
	uint8_t (*ids)[QS_FOLDER_ID_LEN];

	if (list->count >= FOLDERS_MAX)
		return qs_fail(err, QS_EUNSUPPORTED, "more than %d folders",
			FOLDERS_MAX);
	ids = realloc(list->ids, (list->count + 1) * sizeof(*ids));
	if (ids == NULL)
		return qs_fail_nomem(err, "listing folders");
	list->ids = ids;
	memcpy(ids[list->count++], id, QS_FOLDER_ID_LEN);
	return QS_OK;
}

/*
 * A folder whose making was cut short has no key slot (they are written last)
 * and never had anybody's data.  One that can't be listed counts: it is for
 * others to say why.
 */
static bool
has_file(int dir_fd, const char *path)
{
	const struct dirent *entry = NULL;
	bool is_any = false;
	DIR *stream;
	int fd = openat(dir_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	stream = fd >= 0 ? fdopendir(fd) : NULL;
	if (stream == NULL) {
		qs_fd_close(&fd);
		return true;
	}
	while (!is_any && (entry = readdir(stream)) != NULL)
		is_any = entry->d_name[0] != '.';
	(void)closedir(stream);
	return is_any;
}

static enum qs_code
find_folders(DIR *stream, const char *path, struct qs_folder_list *list,
	struct qs_err *err)
{
	const struct dirent *entry = NULL;
	enum qs_code rc;

	for (;;) {
		char keys[2 * QS_FOLDER_ID_LEN + 8];
		uint8_t id[QS_FOLDER_ID_LEN];
		struct stat st;

		rc = next_entry(stream, path, &entry, err);
		if (rc != QS_OK || entry == NULL)
			return rc;
		if (!qs_unhex(id, sizeof(id), entry->d_name))
			continue;
		(void)snprintf(keys, sizeof(keys), "%.32s/keys",
			entry->d_name);
		if (fstatat(dirfd(stream), keys, &st, 0) != 0 ||
			!S_ISDIR(st.st_mode) ||
			!has_file(dirfd(stream), keys))
			continue;
		rc = add_folder(list, id, err);
		if (rc != QS_OK)
			return rc;
	}
}

static int
compare_ids(const void *a, const void *b)
{
	return memcmp(a, b, QS_FOLDER_ID_LEN);
}

enum qs_code
qs_store_dir_folders(const char *path, struct qs_folder_list *out,
	struct qs_err *err)
{
	struct qs_folder_list list = {0};
	DIR *stream = NULL;
	enum qs_code rc = open_stream(AT_FDCWD, path, &stream, err);

	if (rc != QS_OK && (rc == QS_ENOTFOUND || err->sys == ENOTDIR))
		return qs_fail(err, QS_ENOSTORE, "no qstore store at %s "
			"(create one with: qstore init)", path);
	if (rc != QS_OK)
		return rc;
	rc = find_folders(stream, path, &list, err);
	if (rc != QS_OK)
		goto out;
	if (list.count == 0) {
		rc = qs_fail(err, QS_ENOSTORE, "no qstore store at %s "
			"(create one with: qstore init)", path);
		goto out;
	}
	qsort(list.ids, list.count, sizeof(*list.ids), compare_ids);
	*out = list;
	memset(&list, 0, sizeof(list)); /* handed over */
out:
	(void)closedir(stream);
	qs_folder_list_clear(&list);
	return rc;
}
