/* SPDX-License-Identifier: ISC */
/* Unit tests of snapshot/restore: what is there already, and stays or goes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "restore_fixture.h"

static ino_t
inode(const struct scene *scene, const char *path)
{
	struct stat st;

	assert_true(scene_stat(scene, path, &st));
	return st.st_ino;
}

static void
make_dir(const struct scene *scene, const char *path)
{
	char full[512];

	scene_at(scene, path, full);
	assert_int_equal(mkdir(full, 0700), 0);
}

static void
set_time(const struct scene *scene, const char *path, int64_t ns)
{
	const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT},
		{ns / 1000000000, ns % 1000000000}};
	char full[512];

	scene_at(scene, path, full);
	assert_int_equal(utimensat(AT_FDCWD, full, times,
		AT_SYMLINK_NOFOLLOW), 0);
}

static void
a_folder_in_the_way_stays_unless_all_may_be_overwritten(void **state)
{
	static const enum qs_overwrite modes[] = {QS_OVERWRITE_NEVER,
		QS_OVERWRITE_IF_NEWER, QS_OVERWRITE_IF_CHANGED,
		QS_OVERWRITE_ALWAYS};
	static struct scene scene;
	struct folder root = {.count = 0};
	char full[512];

	(void)state;
	scene_open(&scene);
	scene_text(&scene, &root, "a", "saved");
	scene_text(&scene, &root, "b", "saved");
	scene_seal(&scene, &root);
	assert_int_equal(mkdir(scene.target, 0700), 0);
	scene.options.delete_extra = true;
	scene_at(&scene, "a", full);
	for (size_t i = 0; i < 4; i++) {
		if (unlink(full) == 0 || i == 0)
			make_dir(&scene, "a");
		scene_put(&scene, "a/precious", "mine");
		set_time(&scene, "a", 1000000000);
		scene.options.overwrite = modes[i];
		OK(scene_restore(&scene, &root));
		scene_is(&scene, "b", "saved");
		if (i >= 2) {
			assert_int_equal(scene.warnings, 0);
			scene_is(&scene, "a", "saved");
		} else {
			assert_int_equal(scene.warnings, 1);
			assert_int_equal(scene.result.errors, 1);
			assert_string_equal(scene.warned, "/a");
			scene_is(&scene, "a/precious", "mine");
		}
	}
	folder_clear(&root);
	scene_close(&scene);
}

static void
what_is_excluded_stays_below_what_is_deleted(void **state)
{
	static struct scene scene;
	struct folder root = {.count = 0};
	struct qs_patterns *exclude = NULL;
	struct qs_err err;

	(void)state;
	scene_open(&scene);
	scene_text(&scene, &root, "file", "saved");
	scene_text(&scene, &root, "other", "saved");
	scene_seal(&scene, &root);
	assert_int_equal(mkdir(scene.target, 0700), 0);
	make_dir(&scene, "extra");
	make_dir(&scene, "extra/deep");
	make_dir(&scene, "file");
	make_dir(&scene, "gone");
	scene_put(&scene, "extra/deep/a.keep", "1");
	scene_put(&scene, "extra/deep/b", "2");
	scene_put(&scene, "extra/c", "3");
	scene_put(&scene, "file/d.keep", "4");
	scene_put(&scene, "gone/e", "5");
	OK(qs_patterns_new(&exclude, &err));
	OK(qs_patterns_add(exclude, "*.keep", false, &err));
	scene.options.exclude = exclude;
	scene.options.delete_extra = true;
	for (int i = 0; i < 2; i++) {
		scene.options.dry_run = i == 0;
		OK(scene_restore(&scene, &root));
		assert_int_equal(scene.deleted, 1);
		assert_int_equal(scene.warnings, 1);
		assert_string_equal(scene.warned, "/file");
		scene_is(&scene, "extra/deep/a.keep", "1");
		scene_is(&scene, "file/d.keep", "4");
		assert_true(scene_has(&scene, "extra/deep/b") == (i == 0));
		assert_true(scene_has(&scene, "extra/c") == (i == 0));
		assert_true(scene_has(&scene, "gone") == (i == 0));
		assert_true(scene_has(&scene, "other") == (i == 1));
	}
	qs_patterns_free(exclude);
	folder_clear(&root);
	scene_close(&scene);
}

static void
a_newer_file_is_not_removed_for_a_folder(void **state)
{
	static struct scene scene;
	struct folder root = {.count = 0}, d = {.count = 0};

	(void)state;
	scene_open(&scene);
	scene_text(&scene, &d, "f", "saved");
	scene_folder(&scene, &root, "d", 0755, &d);
	scene_seal(&scene, &root);
	assert_int_equal(mkdir(scene.target, 0700), 0);
	scene_put(&scene, "d", "mine");
	scene.options.overwrite = QS_OVERWRITE_IF_NEWER;
	set_time(&scene, "d", T0 + 1);
	OK(scene_restore(&scene, &root));
	assert_int_equal(scene.warnings, 1);
	scene_is(&scene, "d", "mine");
	set_time(&scene, "d", T0 - 1);
	OK(scene_restore(&scene, &root));
	assert_int_equal(scene.warnings, 0);
	scene_is(&scene, "d/f", "saved");
	folder_clear(&d);
	folder_clear(&root);
	scene_close(&scene);
}

static void
make_names(struct scene *scene, struct folder *root)
{
	scene_file(scene, root, &(struct file){"a", "same", 0, 0, 77, 0});
	scene_file(scene, root, &(struct file){"b", "same", 0, 0, 77, 0});
	scene_file(scene, root, &(struct file){"c", "same", 0, 0, 77, 0});
	scene_seal(scene, root);
}

static void
new_names_are_linked_to_those_that_are_kept(void **state)
{
	static const enum qs_overwrite modes[] = {QS_OVERWRITE_IF_CHANGED,
		QS_OVERWRITE_IF_NEWER, QS_OVERWRITE_NEVER};
	static struct scene scene;
	struct folder root = {.count = 0};
	char full[512];
	ino_t first;

	(void)state;
	scene_open(&scene);
	make_names(&scene, &root);
	OK(scene_restore(&scene, &root));
	first = inode(&scene, "a");
	scene_at(&scene, "b", full);
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(unlink(full), 0);
		scene.options.overwrite = modes[i];
		OK(scene_restore(&scene, &root));
		assert_int_equal(scene.warnings, 0);
		assert_int_equal(scene.kept, 2);
		assert_int_equal(scene.restored, 1);
		assert_int_equal(inode(&scene, "a"), first);
		assert_int_equal(inode(&scene, "b"), first);
		assert_int_equal(inode(&scene, "c"), first);
	}
	folder_clear(&root);
	scene_close(&scene);
}

static void
names_of_the_wrong_file_become_links_where_that_is_allowed(void **state)
{
	static struct scene scene;
	struct folder root = {.count = 0};
	ino_t first, b;

	(void)state;
	scene_open(&scene);
	make_names(&scene, &root);
	OK(scene_restore(&scene, &root));
	first = inode(&scene, "a");
	scene_put(&scene, "b", "same"); /* a file of its own */
	set_time(&scene, "b", T0);
	b = inode(&scene, "b");
	scene.options.overwrite = QS_OVERWRITE_NEVER;
	OK(scene_restore(&scene, &root));
	assert_int_equal(inode(&scene, "b"), b);
	scene.options.overwrite = QS_OVERWRITE_IF_NEWER;
	OK(scene_restore(&scene, &root));
	assert_int_equal(inode(&scene, "b"), b);
	scene.options.overwrite = QS_OVERWRITE_IF_CHANGED;
	OK(scene_restore(&scene, &root));
	assert_int_equal(inode(&scene, "a"), first);
	assert_int_equal(inode(&scene, "b"), first);
	/* The first name changed: the others must follow it. */
	scene_put(&scene, "a", "other");
	OK(scene_restore(&scene, &root));
	scene_is(&scene, "a", "same");
	first = inode(&scene, "a");
	assert_int_equal(inode(&scene, "b"), first);
	assert_int_equal(inode(&scene, "c"), first);
	folder_clear(&root);
	scene_close(&scene);
}

static void
a_kept_file_of_other_bytes_is_not_linked_to(void **state)
{
	static struct scene scene;
	struct folder root = {.count = 0};

	(void)state;
	scene_open(&scene);
	make_names(&scene, &root);
	assert_int_equal(mkdir(scene.target, 0700), 0);
	scene_put(&scene, "a", "mine");
	scene.options.overwrite = QS_OVERWRITE_NEVER;
	OK(scene_restore(&scene, &root));
	scene_is(&scene, "a", "mine");
	scene_is(&scene, "b", "same");
	assert_int_equal(inode(&scene, "b"), inode(&scene, "c"));
	folder_clear(&root);
	scene_close(&scene);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    a_folder_in_the_way_stays_unless_all_may_be_overwritten),
		cmocka_unit_test(what_is_excluded_stays_below_what_is_deleted),
		cmocka_unit_test(a_newer_file_is_not_removed_for_a_folder),
		cmocka_unit_test(new_names_are_linked_to_those_that_are_kept),
		cmocka_unit_test(
		    names_of_the_wrong_file_become_links_where_that_is_allowed),
		cmocka_unit_test(a_kept_file_of_other_bytes_is_not_linked_to),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
