/* SPDX-License-Identifier: ISC */
/*
 * The directory store's trash: what is retired, for a while.
 *
 *   PATH/<folder id>/trash/<64 hex>        an object
 *   PATH/<folder id>/trash/<64 hex>.key    a key slot
 *
 * A file is moved by one rename that replaces nothing, so it is always under
 * one of its names at least; the directory that it comes to is synced before
 * the one that it leaves, so that this holds after a crash, too.  Nothing here
 * needs room on the disk, but for the directories when they are made.
 *
 * An append and a purge exclude each other by flock on log/ (shared by those
 * who append), so that what a record names when it is appended is there, and
 * what is purged is named by no record that came meanwhile.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/store_dir_internal.h"

struct qs_file_path
qs_file_trash_path(const struct qs_ref *ref)
{
	struct qs_file_path path = {""};
	char hex[QS_HEX_LEN + 1];

	qs_hex(hex, ref->name.b, sizeof(ref->name.b));
	(void)snprintf(path.text, sizeof(path.text), "trash/%s%s", hex,
		ref->area == QS_AREA_KEYS ? ".key" : "");
	return path;
}

static enum qs_code
find_dir(struct qs_store *store, struct dir_store **out, struct qs_err *err)
{
	*out = qs_store_as_dir(store);
	if (*out != NULL)
		return QS_OK;
	return qs_fail(err, QS_EUNSUPPORTED, "%s is not a directory here: "
		"where it lies, what is retired is taken away", store->place);
}

static enum qs_code
check_area(const struct qs_ref *ref, struct qs_err *err)
{
	if (ref->area == QS_AREA_OBJ || ref->area == QS_AREA_KEYS)
		return QS_OK;
	return qs_fail(err, QS_EINVAL, "only objects and key slots go into "
		"the trash");
}

static enum qs_code
failed(const struct dir_store *self, const struct qs_ref *ref,
	const char *what, struct qs_err *err)
{
	return qs_fail_while(err, "%s %s: %s %s", qs_area_word(ref->area),
		qs_short_name(&ref->name).hex, what, self->place);
}

/* ---------------------------------------------------------------- moving */

/* 0 or errno; EEXIST when there is something under the new name. */
static int
rename_only(const struct dir_store *self, const char *from, const char *to)
{
	int sys = EINVAL;

#ifdef RENAME_NOREPLACE
	if (renameat2(self->fd, from, self->fd, to, RENAME_NOREPLACE) == 0)
		return 0;
	sys = errno;
#endif
	if (sys != EINVAL && sys != ENOSYS && sys != EOPNOTSUPP)
		return sys;
	/* Cut short, it leaves both names of one file. */
	if (linkat(self->fd, from, self->fd, to, 0) != 0)
		return errno;
	return unlinkat(self->fd, from, 0) == 0 || errno == ENOENT ? 0 : errno;
}

/* A regular file's size; false: there is none. */
static bool
stat_file(const struct dir_store *self, const char *path, uint64_t *size)
{
	struct stat st;

	if (fstatat(self->fd, path, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
		!S_ISREG(st.st_mode))
		return false;
	*size = (uint64_t)st.st_size;
	return true;
}

/*
 * Both names are there: the move was cut short, or it was stored again while it
 * lay in the trash.  The one in its place is the one to be kept.
 */
static enum qs_code
drop_twin(const struct dir_store *self, const char *place, const char *trash,
	struct qs_err *err)
{
	uint64_t here, there;

	/*
	 * The trash first: another process that moves the only one there in
	 * between must not make it look like two.
	 */
	if (!stat_file(self, trash, &there) || !stat_file(self, place, &here))
		return QS_OK;
	if (here != there)
		return qs_fail(err, QS_ECORRUPT, "%s and %s do not have the "
			"same length: one of them is damaged", place, trash);
	if (unlinkat(self->fd, trash, 0) != 0 && errno != ENOENT)
		return qs_fail_errno(err, "remove %s", trash);
	return QS_OK;
}

/* The directory above a path: "obj/ab/<64 hex>" gives "obj/ab". */
static struct qs_file_path
above(const char *path)
{
	struct qs_file_path dir;
	const char *slash = strrchr(path, '/');

	(void)snprintf(dir.text, sizeof(dir.text), "%.*s",
		(int)(slash - path), path);
	return dir;
}

static enum qs_code
make_above(const struct dir_store *self, const char *path, struct qs_err *err)
{
	struct qs_file_path dir = above(path);
	char *slash = strchr(dir.text, '/');
	enum qs_code rc = QS_OK;

	if (slash != NULL) { /* "obj" of "obj/ab" */
		*slash = '\0';
		rc = qs_dir_make_at(self, dir.text, err);
		*slash = '/';
	}
	if (rc == QS_OK)
		rc = qs_dir_make_at(self, dir.text, err);
	if (rc == QS_OK && slash != NULL) {
		*slash = '\0';
		rc = qs_dir_sync_at(self, dir.text, err);
	}
	return rc == QS_OK ? qs_dir_sync_at(self, ".", err) : rc;
}

static enum qs_code
move_file(const struct dir_store *self, const char *from, const char *to,
	struct qs_err *err)
{
	enum qs_code rc;
	int sys = rename_only(self, from, to);

	if (sys == ENOENT) {
		/* Maybe only the directory lacks. */
		rc = make_above(self, to, err);
		if (rc != QS_OK)
			return rc;
		sys = rename_only(self, from, to);
	}
	if (sys == ENOENT)
		return qs_fail(err, QS_ENOTFOUND, "%s is missing", from);
	if (sys != 0) {
		errno = sys;
		return qs_fail_errno(err, "move %s to %s", from, to);
	}
	/* Where it is now before where it was. */
	rc = qs_dir_sync_at(self, above(to).text, err);
	return rc == QS_OK ? qs_dir_sync_at(self, above(from).text, err) : rc;
}

/*
 * Since when it lies in the trash is its ctime.  Not every file system sets
 * that in a rename; all do when the mode is set.  By a descriptor: Landlock
 * does not look at modes, so a caged hub may not set them by path.
 */
static enum qs_code
touch(const struct dir_store *self, const char *path, struct qs_err *err)
{
	struct stat st;
	enum qs_code rc = QS_OK;
	int fd = openat(self->fd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW |
		O_NONBLOCK);

	/* What can't be opened is for the move to judge. */
	if (fd < 0)
		return QS_OK;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
		fchmod(fd, st.st_mode & 07777) != 0)
		rc = qs_fail_errno(err, "touch %s", path);
	qs_fd_close(&fd);
	return rc;
}

/*
 * Moves exclude each other by flock on the folder's directory: of two who look
 * at one file before and after it was moved, one would take it for two and
 * remove the only one.  Always the last lock that is taken.
 */
static enum qs_code
lock_moves(const struct dir_store *self, int *out, struct qs_err *err)
{
	int fd = -1;
	enum qs_code rc = qs_dir_open(self->fd, ".", &fd, err);

	if (rc == QS_OK)
		rc = qs_dir_flock(fd, LOCK_EX, err);
	if (rc != QS_OK) {
		qs_fd_close(&fd);
		return rc;
	}
	*out = fd;
	return QS_OK;
}

static enum qs_code
trash_locked(struct dir_store *self, const struct qs_ref *ref,
	struct qs_err *err)
{
	struct qs_file_path place = qs_file_path(ref);
	struct qs_file_path trash = qs_file_trash_path(ref);
	enum qs_code rc = drop_twin(self, place.text, trash.text, err);

	if (rc == QS_OK)
		rc = touch(self, place.text, err);
	return rc != QS_OK ? rc : move_file(self, place.text, trash.text, err);
}

static enum qs_code
untrash_locked(struct dir_store *self, const struct qs_ref *ref,
	struct qs_err *err)
{
	struct qs_file_path place = qs_file_path(ref);
	struct qs_file_path trash = qs_file_trash_path(ref);
	enum qs_code rc = drop_twin(self, place.text, trash.text, err);
	uint64_t size;

	if (rc != QS_OK)
		return rc;
	if (stat_file(self, place.text, &size))
		return QS_OK;
	return move_file(self, trash.text, place.text, err);
}

static enum qs_code
purge_locked(struct dir_store *self, const struct qs_ref *ref,
	struct qs_err *err)
{
	struct qs_file_path path = qs_file_trash_path(ref);

	if (unlinkat(self->fd, path.text, 0) == 0)
		return qs_dir_sync_at(self, "trash", err);
	return errno == ENOENT ? qs_fail(err, QS_ENOTFOUND, "%s is missing",
		path.text) : qs_fail_errno(err, "remove %s", path.text);
}

typedef enum qs_code (*move_fn)(struct dir_store *self,
	const struct qs_ref *ref, struct qs_err *err);

static enum qs_code
move_alone(struct dir_store *self, const struct qs_ref *ref, move_fn move,
	struct qs_err *err)
{
	int lock = -1;
	enum qs_code rc = lock_moves(self, &lock, err);

	if (rc == QS_OK)
		rc = move(self, ref, err);
	qs_fd_close(&lock);
	return rc;
}

enum qs_code
qs_dir_trash(struct dir_store *self, const struct qs_ref *ref,
	struct qs_err *err)
{
	return move_alone(self, ref, trash_locked, err);
}

/* ------------------------------------------------------------ the verbs */

static enum qs_code
do_verb(struct qs_store *store, const struct qs_ref *ref, move_fn move,
	const char *what, struct qs_err *err)
{
	struct dir_store *self;
	enum qs_code rc = find_dir(store, &self, err);

	if (rc == QS_OK)
		rc = check_area(ref, err);
	if (rc != QS_OK)
		return rc;
	rc = move_alone(self, ref, move, err);
	return rc == QS_OK ? rc : failed(self, ref, what, err);
}

enum qs_code
qs_store_trash(struct qs_store *store, const struct qs_ref *ref,
	struct qs_err *err)
{
	return do_verb(store, ref, trash_locked, "move it to the trash of",
		err);
}

enum qs_code
qs_store_untrash(struct qs_store *store, const struct qs_ref *ref,
	struct qs_err *err)
{
	return do_verb(store, ref, untrash_locked,
		"bring it back from the trash of", err);
}

enum qs_code
qs_store_purge(struct qs_store *store, const struct qs_ref *ref,
	struct qs_err *err)
{
	return do_verb(store, ref, purge_locked, "remove it from the trash of",
		err);
}

/* ------------------------------------------------------------- listing */

static bool
parse_trashed(const char *text, struct qs_ref *out)
{
	char hex[QS_HEX_LEN + 1];

	if (strlen(text) < QS_HEX_LEN)
		return false;
	memcpy(hex, text, QS_HEX_LEN);
	hex[QS_HEX_LEN] = '\0';
	if (!qs_unhex(out->name.b, sizeof(out->name.b), hex))
		return false;
	out->area = QS_AREA_OBJ;
	if (text[QS_HEX_LEN] == '\0')
		return true;
	out->area = QS_AREA_KEYS;
	return strcmp(text + QS_HEX_LEN, ".key") == 0;
}

static uint64_t
changed_ms(const struct stat *st)
{
	int64_t seconds = st->st_ctim.tv_sec;

	if (seconds < 0)
		return 0;
	return (uint64_t)seconds * 1000 +
		(uint64_t)st->st_ctim.tv_nsec / 1000000;
}

static enum qs_code
each_in(DIR *stream, qs_trash_fn fn, void *arg, struct qs_err *err)
{
	const struct dirent *entry;
	enum qs_code rc = QS_OK;

	for (errno = 0; rc == QS_OK && (entry = readdir(stream)) != NULL;
		errno = 0) {
		struct qs_ref ref = {.size = 0};
		struct stat st;

		/* Others' files are theirs, here too. */
		if (!parse_trashed(entry->d_name, &ref) ||
			fstatat(dirfd(stream), entry->d_name, &st,
				AT_SYMLINK_NOFOLLOW) != 0 ||
			!S_ISREG(st.st_mode))
			continue;
		ref.size = (uint64_t)st.st_size;
		rc = fn(arg, &ref, changed_ms(&st), err);
	}
	if (rc == QS_OK && errno != 0)
		rc = qs_fail_errno(err, "list the trash");
	return rc;
}

enum qs_code
qs_store_each_trashed(struct qs_store *store, qs_trash_fn fn, void *arg,
	struct qs_err *err)
{
	struct dir_store *self;
	DIR *stream;
	int fd = -1;
	enum qs_code rc = find_dir(store, &self, err);

	if (rc != QS_OK)
		return rc;
	rc = qs_dir_open(self->fd, "trash", &fd, err);
	if (rc == QS_ENOTFOUND) /* nothing was ever trashed */
		return QS_OK;
	if (rc != QS_OK)
		return rc;
	stream = fdopendir(fd);
	if (stream == NULL) {
		rc = qs_fail_errno(err, "list the trash");
		qs_fd_close(&fd);
		return rc;
	}
	rc = each_in(stream, fn, arg, err);
	(void)closedir(stream);
	return rc;
}

enum qs_code
qs_store_arrived(struct qs_store *store, const struct qs_ref *ref,
	uint64_t *ms, struct qs_err *err)
{
	struct dir_store *self;
	struct stat st;
	enum qs_code rc = find_dir(store, &self, err);

	if (rc != QS_OK)
		return rc;
	if (fstatat(self->fd, qs_file_path(ref).text, &st,
		AT_SYMLINK_NOFOLLOW) != 0) {
		if (errno == ENOENT)
			return qs_fail(err, QS_ENOTFOUND,
				"%s %s is missing from %s",
				qs_area_word(ref->area),
				qs_short_name(&ref->name).hex, self->place);
		return qs_fail_errno(err, "%s %s: look for it at %s",
			qs_area_word(ref->area),
			qs_short_name(&ref->name).hex, self->place);
	}
	*ms = changed_ms(&st);
	return QS_OK;
}

/* ------------------------------------------------- appends and the trash */

/*
 * Where directories cannot be locked (NFS) nobody is kept out; a purge then
 * goes by the log as it was a moment ago.
 */
enum qs_code
qs_dir_flock(int fd, int operation, struct qs_err *err)
{
	int rc;

	do {
		rc = flock(fd, operation);
	} while (rc != 0 && errno == EINTR);
	if (rc == 0 || errno == EBADF || errno == ENOLCK ||
		errno == EOPNOTSUPP || errno == ENOSYS || errno == EINVAL)
		return QS_OK;
	return qs_fail_errno(err, "lock the log");
}

enum qs_code
qs_dir_lock_log(const struct dir_store *self, int operation, int *out,
	struct qs_err *err)
{
	int fd = -1;
	enum qs_code rc = qs_dir_make_at(self, "log", err);

	if (rc == QS_OK)
		rc = qs_dir_open(self->fd, "log", &fd, err);
	if (rc == QS_OK)
		rc = qs_dir_flock(fd, operation, err);
	if (rc != QS_OK) {
		qs_fd_close(&fd);
		return rc;
	}
	*out = fd;
	return QS_OK;
}

enum qs_code
qs_store_hold_log(struct qs_store *store, int *lock, struct qs_err *err)
{
	struct dir_store *self;
	enum qs_code rc = find_dir(store, &self, err);

	if (rc == QS_OK)
		rc = qs_dir_lock_log(self, LOCK_EX, lock, err);
	return rc;
}

enum qs_code
qs_dir_need_objects(struct dir_store *self, const struct qs_record *record,
	struct qs_err *err)
{
	struct qs_store store = qs_dir_as_store(self, record->folder_id);
	struct qs_span names = record->public_body;

	for (size_t at = 0; at + 32 <= names.len; at += 32) {
		struct qs_ref ref = {.area = QS_AREA_OBJ};
		uint64_t size;
		enum qs_code rc;

		memcpy(ref.name.b, names.data + at, 32);
		if (stat_file(self, qs_file_path(&ref).text, &size))
			continue;
		rc = move_alone(self, &ref, untrash_locked, err);
		if (rc == QS_ENOTFOUND && qs_dir_is_excused(self, &store,
			&ref.name, record->retire_seen))
			continue;
		if (rc == QS_ENOTFOUND)
			return qs_fail(err, rc, "log at %s: the record names "
				"object %s, which is not there", self->place,
				qs_short_name(&ref.name).hex);
		if (rc != QS_OK)
			return failed(self, &ref,
				"bring it back from the trash of", err);
	}
	return QS_OK;
}
