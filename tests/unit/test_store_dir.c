/* SPDX-License-Identifier: ISC */
/*
 * Unit tests of store/: what is special to the directory store: its layout,
 * foreign files, damage, crashes, a full disk.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utime.h>

#include <cmocka.h>

#include "tests/suite/store_help.h"

/* ----------------------------------------------------------- one folder */

static const uint8_t folder_id[QS_FOLDER_ID_LEN] = {0xab, 0xcd};
#define FOLDER "abcd0000000000000000000000000000"

struct home {
	char *dir;
	struct qs_store *store;
};

static int
make_home(void **state)
{
	struct home *home = calloc(1, sizeof(*home));
	struct qs_err err;

	help_ok(qs_crypto_init(&err), &err);
	home->dir = help_dir_make();
	help_ok(qs_store_create(home->dir, folder_id, &home->store, &err),
		&err);
	*state = home;
	return 0;
}

static int
end_home(void **state)
{
	struct home *home = *state;

	qs_store_close(home->store);
	help_dir_remove(home->dir);
	free(home);
	return 0;
}

static char *
path_in(const struct home *home, const char *below)
{
	char *path = NULL;

	assert_true(asprintf(&path, "%s/" FOLDER "/%s", home->dir, below) > 0);
	return path;
}

static void
put_file(const char *path, size_t len, bool is_old)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	for (size_t i = 0; i < len; i++)
		assert_int_equal(putc('x', file), 'x');
	assert_int_equal(fclose(file), 0);
	if (is_old) {
		time_t then = time(NULL) - 25 * 3600;
		struct utimbuf times = {then, then};

		assert_int_equal(utime(path, &times), 0);
	}
}

static enum qs_code
save(struct qs_store *store, uint8_t number, struct qs_name *name,
	struct qs_err *err)
{
	uint8_t *object = calloc(1, QS_PACK_MIN);
	struct qs_stage *stage = NULL;
	enum qs_code rc;

	memset(object, number, QS_PACK_MIN);
	qs_hash_name(qs_span(object, QS_PACK_MIN), name);
	rc = store->ops->stage(store->self, qs_span(object, QS_PACK_MIN),
		&stage, err);
	free(object);
	return rc != QS_OK ? rc :
		store->ops->commit(store->self, &stage, name, 1, err);
}

static char *
object_path(const struct home *home, const struct qs_name *name)
{
	char hex[65], below[80];

	qs_hex(hex, name->b, 32);
	(void)snprintf(below, sizeof(below), "obj/%.2s/%s", hex, hex);
	return path_in(home, below);
}

static void
files_lie_where_the_format_says(void **state)
{
	struct home *home = *state;
	struct qs_name name;
	struct stat st;
	char *path;
	struct qs_err err;

	help_ok(save(home->store, 1, &name, &err), &err);
	path = object_path(home, &name);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0400);
	assert_int_equal(st.st_size, QS_PACK_MIN);
	assert_int_equal(st.st_nlink, 1);
	free(path);
	path = path_in(home, "keys");
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	free(path);
	assert_true(asprintf(&path, "%s/README.txt", home->dir) > 0);
	assert_int_equal(stat(path, &st), 0);
	free(path);
}

static void
opening_tells_what_is_missing(void **state)
{
	struct home *home = *state;
	struct qs_store *store = NULL;
	struct qs_folder_list list = {0};
	uint8_t other[QS_FOLDER_ID_LEN] = {1};
	char *path = NULL;
	struct qs_err err;

	help_fails(qs_store_open(home->dir, other, &store, &err), &err,
		QS_ENOSTORE, "has no folder 01");
	help_fails(qs_store_open("/nonexistent/x", other, &store, &err), &err,
		QS_ENOSTORE, "no qstore store at /nonexistent/x (create one "
		"with: qstore init)");
	help_fails(qs_store_folders("/nonexistent/x", &list, &err), &err,
		QS_ENOSTORE, "create one with: qstore init");
	assert_true(asprintf(&path, "%s/README.txt", home->dir) > 0);
	help_fails(qs_store_open(path, other, &store, &err), &err,
		QS_ENOSTORE, "not a folder");
	help_fails(qs_store_folders(path, &list, &err), &err, QS_ENOSTORE,
		"no qstore store");
	help_fails(qs_store_create(path, other, &store, &err), &err,
		QS_EEXIST, "");
	help_fails(qs_store_create(home->dir, folder_id, &store, &err), &err,
		QS_EEXIST, "folder " FOLDER " is there already");
	free(path);
}

static void
put_slot_file(const char *dir, const uint8_t id[static QS_FOLDER_ID_LEN])
{
	char hex[2 * QS_FOLDER_ID_LEN + 1], path[256];

	qs_hex(hex, id, QS_FOLDER_ID_LEN);
	(void)snprintf(path, sizeof(path), "%s/%s/keys/any.key", dir, hex);
	assert_int_equal(mknod(path, S_IFREG | 0600, 0), 0);
}

static void
folders_are_listed(void **state)
{
	struct home *home = *state;
	struct qs_folder_list list = {0};
	struct qs_store *store = NULL;
	uint8_t other[QS_FOLDER_ID_LEN] = {1};
	char *path = NULL;
	struct qs_err err;

	help_ok(qs_store_create(home->dir, other, &store, &err), &err);
	qs_store_close(store);
	/* Without keys/ it is no folder, and other names are none either. */
	for (size_t i = 0; i < 2; i++) {
		assert_true(asprintf(&path, "%s/%s", home->dir, i == 0 ?
			"02000000000000000000000000000000" :
			"lost+found") > 0);
		assert_int_equal(mkdir(path, 0700), 0);
		free(path);
	}
	/* Nor without a key slot: its making was cut short. */
	assert_int_equal(qs_store_folders(home->dir, &list, &err),
		QS_ENOSTORE);
	put_slot_file(home->dir, other);
	put_slot_file(home->dir, folder_id);
	help_ok(qs_store_folders(home->dir, &list, &err), &err);
	assert_int_equal(list.count, 2);
	assert_memory_equal(list.ids[0], other, 16);
	assert_memory_equal(list.ids[1], folder_id, 16);
	qs_folder_list_clear(&list);
}

static void
what_is_no_path_is_refused(void **state)
{
	static const char *const urls[] = {"qrexec://hub/x", "ssh://h/p",
		"sftp://h/p", "onedrive:", "onedrive:backup"};
	struct qs_store *store = NULL;
	struct qs_folder_list list;
	struct qs_err err;

	(void)state;
	for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
		help_fails(qs_store_open(urls[i], folder_id, &store, &err),
			&err, QS_EUNSUPPORTED, "this version of qstore knows "
			"no such place");
		help_fails(qs_store_create(urls[i], folder_id, &store, &err),
			&err, QS_EUNSUPPORTED, urls[i]);
		help_fails(qs_store_folders(urls[i], &list, &err), &err,
			QS_EUNSUPPORTED, urls[i]);
	}
	help_fails(qs_store_open("", folder_id, &store, &err), &err,
		QS_EINVAL, "empty");
}

/* -------------------------------------------------------- foreign files */

struct found {
	size_t files, foreign;
	char last[300];
};

static enum qs_code
find_one(void *arg, const struct qs_ref *ref, struct qs_err *err)
{
	struct found *found = arg;

	(void)err;
	if (ref->foreign == NULL) {
		found->files++;
		return QS_OK;
	}
	found->foreign++;
	(void)snprintf(found->last, sizeof(found->last), "%s", ref->foreign);
	return QS_OK;
}

static struct found
list(const struct home *home, enum qs_area area)
{
	struct found found = {0};
	struct qs_err err;

	help_ok(home->store->ops->list(home->store->self, area, find_one,
		&found, &err), &err);
	return found;
}

static void
add(const struct home *home, const char *below, bool is_dir)
{
	char *path = path_in(home, below);

	if (is_dir)
		assert_int_equal(mkdir(path, 0700), 0);
	else
		put_file(path, 1, false);
	free(path);
}

static int
rmdir_in(const struct home *home, const char *below)
{
	char *path = path_in(home, below);
	const int result = rmdir(path);

	free(path);
	return result;
}

#define Z15 "000000000000000"
#define Z64 Z15 Z15 Z15 Z15 "0000"

static void
foreign_files_are_listed_as_such(void **state)
{
	struct home *home = *state;

	add(home, "keys/notes.txt", false);
	add(home, "keys/" Z64, false);
	add(home, "keys/" Z64 ".KEY", false);
	add(home, "keys/" Z64 ".key.part", false);
	assert_int_equal(list(home, QS_AREA_KEYS).foreign, 4);
	add(home, "keys/" Z64 ".key", false);
	assert_int_equal(list(home, QS_AREA_KEYS).files, 1);

	add(home, "obj/.tmp-1-0123456789abcdef", false);
	assert_string_equal(list(home, QS_AREA_OBJ).last,
		"obj/.tmp-1-0123456789abcdef");
	add(home, "obj/zz", true);
	add(home, "obj/AB", true);
	add(home, "obj/01", false); /* a file in a shard's place */
	add(home, "obj/00", true);
	add(home, "obj/02", true);
	add(home, "obj/00/" Z64, false);
	add(home, "obj/02/" Z64, false); /* in the wrong shard */
	add(home, "obj/00/" Z64 "0", false);
	add(home, "obj/00/conflict (2)", true);
	assert_int_equal(list(home, QS_AREA_OBJ).files, 1);
	assert_int_equal(list(home, QS_AREA_OBJ).foreign, 7);

	add(home, "log/0000000000000000", true);
	add(home, "log/000000000000000", true);
	add(home, "log/0000000000000000/0000000000000000-" Z64, false);
	add(home, "log/0000000000000000/0000000000000000_" Z64, false);
	add(home, "log/0000000000000000/000000000000000G-" Z64, false);
	add(home, "log/0000000000000000/0000000000000000-" Z64 "~", false);
	assert_int_equal(list(home, QS_AREA_LOG).files, 1);
	assert_int_equal(list(home, QS_AREA_LOG).foreign, 4);

	assert_int_equal(list(home, QS_AREA_BESIDE).foreign, 0);
	add(home, "desktop.ini", false);
	add(home, "objects", true);
	assert_int_equal(list(home, QS_AREA_BESIDE).files, 0);
	assert_int_equal(list(home, QS_AREA_BESIDE).foreign, 2);
	assert_int_equal(rmdir_in(home, "objects"), 0);
	assert_string_equal(list(home, QS_AREA_BESIDE).last, "desktop.ini");
}

static void
a_folder_that_cannot_be_listed_is_named_with_its_store(void **state)
{
	struct home *home = *state;
	const struct qs_store *store = home->store;
	struct found found = {0};
	struct qs_err err;

	assert_int_equal(rmdir_in(home, "log"), 0);
	add(home, "log", false);
	help_fails(store->ops->list(store->self, QS_AREA_LOG, find_one, &found,
		&err), &err, QS_EINVAL, home->dir);
	assert_non_null(strstr(err.msg, "open folder log: Not a directory"));
}

static void
pipes_and_links_do_not_stop_us(void **state)
{
	struct home *home = *state;
	struct qs_ref ref = {.area = QS_AREA_OBJ};
	struct qs_buf out = {0};
	char *path = path_in(home, "obj/00");
	uint64_t size = 9;
	struct qs_err err;

	assert_int_equal(mkdir(path, 0700), 0);
	free(path);
	path = path_in(home, "obj/00/" Z64);
	assert_int_equal(mkfifo(path, 0600), 0);
	help_fails(qs_store_load(home->store, &ref, QS_PACK_MAX, &out, &err),
		&err, QS_ECORRUPT, "not a regular file");
	help_ok(home->store->ops->have(home->store->self, &ref.name, 1, &size,
		&err), &err);
	assert_int_equal(size, 0);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(symlink("/etc/passwd", path), 0);
	help_fails(qs_store_load(home->store, &ref, QS_PACK_MAX, &out, &err),
		&err, QS_ECORRUPT, "not a regular file");
	assert_int_equal(list(home, QS_AREA_OBJ).foreign, 1);
	free(path);
	qs_buf_clear(&out);
}

/* ------------------------------------------------------- damage, crashes */

static void
nothing_is_ever_overwritten(void **state)
{
	struct home *home = *state;
	struct qs_name name, same;
	struct stat st;
	char *path;
	struct qs_err err;

	for (unsigned lacks = 0; lacks < 8; lacks++) {
		qs_store_dir_limit(home->store, lacks);
		help_ok(save(home->store, (uint8_t)lacks, &name, &err), &err);
		path = object_path(home, &name);
		assert_int_equal(chmod(path, 0600), 0);
		put_file(path, 10, false); /* damaged: cut short */
		help_fails(save(home->store, (uint8_t)lacks, &same, &err),
			&err, QS_ECORRUPT, "there already");
		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(st.st_size, 10);
		put_file(path, QS_PACK_MIN, false); /* the same length */
		help_ok(save(home->store, (uint8_t)lacks, &same, &err), &err);
		free(path);
		assert_int_equal(list(home, QS_AREA_OBJ).foreign, 0);
	}
}

static void
a_damaged_object_is_noticed(void **state)
{
	struct home *home = *state;
	struct qs_ref ref = {.area = QS_AREA_OBJ};
	struct qs_buf out = {0};
	char *path;
	struct qs_err err;

	help_ok(save(home->store, 1, &ref.name, &err), &err);
	path = object_path(home, &ref.name);
	assert_int_equal(chmod(path, 0600), 0);
	put_file(path, QS_PACK_MIN, false);
	help_fails(qs_store_load(home->store, &ref, QS_PACK_MAX, &out, &err),
		&err, QS_ECORRUPT, "bytes do not match its name: damaged");
	assert_int_equal(out.len, 0);
	free(path);
	qs_buf_clear(&out);
}

static void
old_leftovers_are_swept_and_young_ones_kept(void **state)
{
	static const struct {
		const char *below;
		bool is_old, stays;
	} files[] = {
		{"obj/.tmp-123-0123456789abcdef", true, false},
		{"obj/.tmp-124-0123456789abcdef", false, true},
		{"obj/.tmp-12x-0123456789abcdef", true, true},
		{"obj/.tmp-125-0123456789abcde", true, true},
		{"obj/.tmp-126-0123456789abcdef.jpg", true, true},
		{"obj/tmp-127-0123456789abcdef", true, true},
		{"keys/.tmp-123-0123456789abcdef", true, false},
	};
	struct home *home = *state;
	struct qs_name name;
	struct qs_err err;

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		char *path = path_in(home, files[i].below);

		put_file(path, 5, files[i].is_old);
		free(path);
	}
	help_ok(save(home->store, 1, &name, &err), &err);
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		char *path = path_in(home, files[i].below);

		assert_int_equal(access(path, F_OK) == 0, files[i].stays);
		free(path);
	}
}

/* Found out only when the file is to get its name: it is copied then. */
static void
a_nameless_file_gets_its_name_without_proc(void **state)
{
	static const unsigned lacks[] = {QS_DIR_NO_PROC, QS_DIR_NO_LINK};
	struct home *home = *state;
	uint8_t *object = calloc(6, QS_PACK_MIN);
	uint32_t seed = 3;
	struct qs_ref ref = {.area = QS_AREA_OBJ};
	struct qs_err err;

	for (unsigned i = 0; i < 2; i++) {
		struct qs_stage *stage = NULL;
		struct qs_store *store = NULL;
		struct qs_buf out = {0};
		size_t len = (5 + i) * (size_t)QS_PACK_MIN - 1;

		help_ok(qs_store_open(home->dir, folder_id, &store, &err),
			&err);
		help_fill(object, len, &seed);
		help_ok(store->ops->stage(store->self, qs_span(object, len),
			&stage, &err), &err);
		qs_store_dir_limit(store, QS_DIR_NO_PROC | lacks[i]);
		qs_hash_name(qs_span(object, len), &ref.name);
		help_ok(store->ops->commit(store->self, &stage, &ref.name, 1,
			&err), &err);
		help_ok(qs_store_load(store, &ref, QS_PACK_MAX, &out, &err),
			&err);
		assert_int_equal(out.len, len);
		assert_int_equal(list(home, QS_AREA_OBJ).files, i + 1);
		assert_int_equal(list(home, QS_AREA_OBJ).foreign, 0);
		qs_buf_clear(&out);
		qs_store_close(store);
	}
	free(object);
}

/* Killed between stage and commit, with each way of writing. */
static void
a_crash_leaves_nothing_under_a_name(void **state)
{
	struct home *home = *state;
	uint8_t *object = calloc(1, QS_PACK_MIN);

	for (unsigned lacks = 0; lacks < 2; lacks++) {
		struct qs_err err;
		int status;
		pid_t child = fork();

		if (child == 0) {
			struct qs_stage *stage = NULL;

			qs_store_dir_limit(home->store, lacks);
			_exit(home->store->ops->stage(home->store->self,
				qs_span(object, QS_PACK_MIN), &stage, &err) ==
				QS_OK ? 0 : 1);
		}
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_int_equal(status, 0);
		assert_int_equal(list(home, QS_AREA_OBJ).files, 0);
		/* A nameless file vanishes with its process. */
		assert_int_equal(list(home, QS_AREA_OBJ).foreign, lacks);
	}
	free(object);
}

static void
lost_directories_are_made_again(void **state)
{
	struct home *home = *state;
	struct qs_name name;
	char *path = path_in(home, "obj");
	struct qs_err err;

	assert_int_equal(rmdir(path), 0);
	assert_int_equal(list(home, QS_AREA_OBJ).files, 0);
	help_ok(save(home->store, 1, &name, &err), &err);
	assert_int_equal(list(home, QS_AREA_OBJ).files, 1);
	free(path);
	path = path_in(home, "log");
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(list(home, QS_AREA_LOG).files, 0);
	free(path);
}

/* Needs a file system that can be filled: a small tmpfs, as root. */
static void
a_full_disk_is_told_and_loses_nothing(void **state)
{
	struct qs_store *store = NULL;
	struct qs_name name = {{0}}, last = name;
	char *dir = help_dir_make();
	struct qs_ref ref = {.area = QS_AREA_OBJ};
	struct qs_buf out = {0};
	enum qs_code rc = QS_OK;
	struct qs_err err;

	(void)state;
	if (mount("tmpfs", dir, "tmpfs", 0, "size=512k") != 0) {
		help_dir_remove(dir);
		skip();
	}
	help_ok(qs_store_create(dir, folder_id, &store, &err), &err);
	for (uint8_t i = 0; rc == QS_OK && i < 20; i++) {
		last = name;
		rc = save(store, i, &name, &err);
	}
	help_fails(rc, &err, QS_ENOSPC, "no space left on device: free some "
		"space at ");
	assert_non_null(strstr(err.msg, "nothing was lost"));
	ref.name = last;
	help_ok(qs_store_load(store, &ref, QS_PACK_MAX, &out, &err), &err);
	qs_buf_clear(&out);
	qs_store_close(store);
	assert_int_equal(umount(dir), 0);
	help_dir_remove(dir);
}

#define HOME_TEST(f) cmocka_unit_test_setup_teardown(f, make_home, end_home)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		HOME_TEST(files_lie_where_the_format_says),
		HOME_TEST(opening_tells_what_is_missing),
		HOME_TEST(folders_are_listed),
		HOME_TEST(what_is_no_path_is_refused),
		HOME_TEST(foreign_files_are_listed_as_such),
		HOME_TEST(
			a_folder_that_cannot_be_listed_is_named_with_its_store),
		HOME_TEST(pipes_and_links_do_not_stop_us),
		HOME_TEST(nothing_is_ever_overwritten),
		HOME_TEST(a_damaged_object_is_noticed),
		HOME_TEST(old_leftovers_are_swept_and_young_ones_kept),
		HOME_TEST(a_nameless_file_gets_its_name_without_proc),
		HOME_TEST(a_crash_leaves_nothing_under_a_name),
		HOME_TEST(lost_directories_are_made_again),
		HOME_TEST(a_full_disk_is_told_and_loses_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
