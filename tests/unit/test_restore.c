/* SPDX-License-Identifier: ISC */
/* Unit tests of snapshot/restore: what comes back, and how. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "restore_fixture.h"

static void
files_folders_and_links_come_back(void **state)
{
	static struct scene scene;
	struct folder root = {.count = 0}, inner = {.count = 0};
	char full[512], target[64] = {0};
	struct stat st;

	(void)state;
	scene_open(&scene);
	scene_text(&scene, &inner, "empty", NULL);
	scene_file(&scene, &inner, &(struct file){.name = "hole",
		.text = "begin", .hole = 1 << 20, .mode = 0400,
		.mtime_ns = -1500000001});
	scene_other(&scene, &inner, "pipe", QS_NODE_FIFO, NULL);
	scene_text(&scene, &root, "a", "hello");
	scene_folder(&scene, &root, "d", 0550, &inner);
	scene_other(&scene, &root, "link", QS_NODE_SYMLINK, "/nowhere");
	scene_other(&scene, &root, "sock", QS_NODE_SOCKET, NULL);
	scene_seal(&scene, &root);
	OK(scene_restore(&scene, &root));
	assert_int_equal(scene.warnings, 0);
	assert_int_equal(scene.result.files_restored, 3);
	assert_int_equal(scene.result.others, 3);
	assert_int_equal(scene.result.dirs, 1);
	scene_is(&scene, "a", "hello");
	scene_is(&scene, "d/empty", "");
	assert_true(scene_stat(&scene, "d/hole", &st));
	assert_int_equal(st.st_size, (1 << 20) + 5);
	assert_true(st.st_blocks < 100);
	assert_int_equal(st.st_mode, S_IFREG | 0400);
	assert_true(scene_mtime(&scene, "d/hole") == -1500000001);
	assert_true(scene_stat(&scene, "d", &st));
	assert_int_equal(st.st_mode, S_IFDIR | 0550);
	assert_true(scene_mtime(&scene, "d") == T0);
	assert_true(scene_mtime(&scene, "link") == T0);
	assert_true(scene_stat(&scene, "d/pipe", &st));
	assert_int_equal(st.st_mode, S_IFIFO | 0640);
	assert_true(scene_stat(&scene, "sock", &st));
	assert_true(S_ISSOCK(st.st_mode));
	scene_at(&scene, "link", full);
	assert_int_equal(readlink(full, target, sizeof(target) - 1), 8);
	assert_string_equal(target, "/nowhere");
	folder_clear(&inner);
	folder_clear(&root);
	scene_close(&scene);
}

/* 40 chunks of 300000 bytes: several segments, with lists. */
static void
make_large(struct scene *scene, struct folder *root, uint8_t *bytes)
{
	static const struct qs_id hole;
	struct qs_node node = {.type = QS_NODE_FILE, .links = 1, .mode = 0600,
		.mtime_ns = T0, .name = qs_span("large", 5)};
	struct qs_err err;

	qs_content_builder_reset(&scene->maker.builder);
	for (size_t i = 0; i < 40; i++) {
		struct qs_id id;

		memset(bytes + i * 300000, (int)i + 1, 300000);
		id = fixture_chunk(&scene->fx, QS_KIND_DATA,
			qs_span(bytes + i * 300000, 300000));
		OK(qs_content_builder_add(&scene->maker.builder, &id, 300000,
			&err));
	}
	for (size_t i = 0; i < 1100; i++)
		OK(qs_content_builder_add(&scene->maker.builder, &hole, 10,
			&err));
	OK(qs_content_builder_finish(&scene->maker.builder, &node.content,
		&node.size, &err));
	assert_int_equal(node.content.depth, 1);
	maker_node(&scene->maker, root, &node);
	scene_seal(scene, root);
}

static void
large_files_come_back_whole_and_are_verified(void **state)
{
	const size_t len = 40 * 300000 + 11000;
	static struct scene scene;
	struct folder root = {.count = 0};
	uint8_t *bytes = calloc(1, len);
	struct qs_buf back = {NULL, 0, 0};
	char full[512];
	struct qs_err err;

	(void)state;
	assert_non_null(bytes);
	scene_open(&scene);
	make_large(&scene, &root, bytes);
	for (int i = 0; i < 2; i++) {
		scene.options.verify = true;
		scene.options.sparse = i == 1;
		OK(scene_restore(&scene, &root));
		assert_int_equal(scene.warnings, 0);
		assert_int_equal(scene.result.verified, 1);
		assert_int_equal(scene.progress.bytes_done, len * ((size_t)i +
			1));
		scene_at(&scene, "large", full);
		OK(qs_file_load(AT_FDCWD, full, len, &back, &err));
		assert_int_equal(back.len, len);
		assert_memory_equal(back.data, bytes, len);
		qs_buf_clear(&back);
	}
	free(bytes);
	folder_clear(&root);
	scene_close(&scene);
}

static void
hard_links_are_one_file_again_but_only_of_equal_bytes(void **state)
{
	static struct scene scene;
	struct folder root = {.count = 0}, inner = {.count = 0};
	struct stat a, b, c, d;

	(void)state;
	scene_open(&scene);
	scene_file(&scene, &inner, &(struct file){"c", "same", 0, 0, 77, 0});
	scene_file(&scene, &root, &(struct file){"a", "same", 0, 0, 77, 0});
	scene_file(&scene, &root, &(struct file){"b", "same", 0, 0, 77, 0});
	scene_file(&scene, &root, &(struct file){"d", "else", 0, 0, 77, 0});
	scene_folder(&scene, &root, "e", 0755, &inner);
	scene_seal(&scene, &root);
	for (int i = 0; i < 2; i++) { /* again over what is there */
		OK(scene_restore(&scene, &root));
		assert_int_equal(scene.warnings, 0);
		assert_true(scene_stat(&scene, "a", &a));
		assert_true(scene_stat(&scene, "b", &b));
		assert_true(scene_stat(&scene, "e/c", &c));
		assert_true(scene_stat(&scene, "d", &d));
		assert_true(a.st_ino == b.st_ino && a.st_ino == c.st_ino);
		assert_int_equal(a.st_nlink, 3);
		assert_true(d.st_ino != a.st_ino);
		scene_is(&scene, "d", "else");
		assert_true(scene_mtime(&scene, "e") == T0);
	}
	folder_clear(&inner);
	folder_clear(&root);
	scene_close(&scene);
}

static void
overwriting_follows_the_mode(void **state)
{
	static const struct {
		enum qs_overwrite mode;
		bool same, newer, differs; /* is it written? */
	} cases[] = {
		{QS_OVERWRITE_ALWAYS, true, true, true},
		{QS_OVERWRITE_IF_CHANGED, false, true, true},
		{QS_OVERWRITE_IF_NEWER, false, true, false},
		{QS_OVERWRITE_NEVER, false, false, false},
	};
	static struct scene scene;
	struct folder root = {.count = 0};
	const struct timespec times[3][2] = {
		{{T0 / 1000000000, 0}, {T0 / 1000000000, T0 % 1000000000}},
		{{1600000000, 0}, {1600000000, 0}},
		{{1800000000, 0}, {1800000000, 0}},
	};

	(void)state;
	scene_open(&scene);
	scene_text(&scene, &root, "differs", "saved");
	scene_text(&scene, &root, "newer", "saved");
	scene_text(&scene, &root, "same", "saved");
	scene_seal(&scene, &root);
	assert_int_equal(mkdir(scene.target, 0700), 0);
	for (size_t i = 0; i < 4; i++) {
		static const char *const names[] = {"same", "newer",
			"differs"};
		const bool written[] = {cases[i].same, cases[i].newer,
			cases[i].differs};
		char full[512];

		for (size_t n = 0; n < 3; n++) {
			scene_put(&scene, names[n], "there");
			scene_at(&scene, names[n], full);
			assert_int_equal(utimensat(AT_FDCWD, full, times[n],
				0), 0);
		}
		scene.options.overwrite = cases[i].mode;
		OK(scene_restore(&scene, &root));
		for (size_t n = 0; n < 3; n++)
			scene_is(&scene, names[n], written[n] ? "saved" :
				"there");
		assert_int_equal(scene.result.files_restored +
			scene.result.files_skipped, 3);
	}
	folder_clear(&root);
	scene_close(&scene);
}

static void
a_damaged_object_costs_its_files_only(void **state)
{
	static struct scene scene;
	struct folder root = {.count = 0};

	(void)state;
	scene_open(&scene);
	scene_text(&scene, &root, "bad", "lost");
	fixture_flush(&scene.fx);
	scene_text(&scene, &root, "good", "here");
	scene_seal(&scene, &root);
	scene_damage(&scene, 0);
	OK(scene_restore(&scene, &root));
	assert_int_equal(scene.warnings, 1);
	assert_string_equal(scene.warned, "/bad");
	assert_int_equal(scene.result.errors, 1);
	assert_int_equal(scene.result.files_restored, 1);
	scene_is(&scene, "good", "here");
	assert_false(scene_has(&scene, "bad"));
	/* nothing half done is left: only "good" can be deleted now */
	folder_clear(&root);
	memset(&root, 0, sizeof(root));
	scene_seal(&scene, &root);
	scene.options.delete_extra = true;
	OK(scene_restore(&scene, &root));
	assert_int_equal(scene.deleted, 1);
	folder_clear(&root);
	scene_close(&scene);
}

static void
half_of_a_large_file_is_not_left_behind(void **state)
{
	static struct scene scene;
	struct folder root = {.count = 0};
	uint8_t *bytes = calloc(40, 300000);
	int fd;

	(void)state;
	assert_non_null(bytes);
	scene_open(&scene);
	make_large(&scene, &root, bytes);
	scene_damage(&scene, 0);
	OK(scene_restore(&scene, &root));
	assert_int_equal(scene.warnings, 1);
	assert_string_equal(scene.warned, "/large");
	/* an empty folder, or it would not go */
	fd = open(scene.fx.top, O_RDONLY | O_DIRECTORY);
	assert_int_equal(unlinkat(fd, "target", AT_REMOVEDIR), 0);
	(void)close(fd);
	free(bytes);
	folder_clear(&root);
	scene_close(&scene);
}

static void
zeros_at_the_end_keep_their_length_when_sparse(void **state)
{
	static uint8_t bytes[3 * RESTORE_BLOCK];
	static struct scene scene;
	struct folder root = {.count = 0};
	uint8_t ref[QS_REF_LEN];
	struct qs_node node = {.type = QS_NODE_FILE, .links = 1, .mode = 0600,
		.size = sizeof(bytes), .name = qs_span("z", 1),
		.content = {0, 1, ref}};
	struct qs_id id;
	struct stat st;

	(void)state;
	scene_open(&scene);
	bytes[0] = 1;
	id = fixture_chunk(&scene.fx, QS_KIND_DATA,
		qs_span(bytes, sizeof(bytes)));
	memcpy(ref, id.b, sizeof(id.b));
	qs_store64(ref + 32, sizeof(bytes));
	maker_node(&scene.maker, &root, &node);
	scene_seal(&scene, &root);
	scene.options.sparse = true;
	scene.options.verify = true;
	OK(scene_restore(&scene, &root));
	assert_int_equal(scene.result.verified, 1);
	assert_true(scene_stat(&scene, "z", &st));
	assert_int_equal(st.st_size, sizeof(bytes));
	folder_clear(&root);
	scene_close(&scene);
}

static void
verifying_finds_what_changed_on_the_disk(void **state)
{
	static struct scene scene;
	struct folder root = {.count = 0};
	char full[512];

	(void)state;
	scene_open(&scene);
	scene_text(&scene, &root, "f", "bytes");
	scene_seal(&scene, &root);
	scene_at(&scene, "f", full);
	scene.spoil = full;
	scene.options.verify = true;
	OK(scene_restore(&scene, &root));
	assert_int_equal(scene.result.verified, 0);
	assert_int_equal(scene.result.errors, 1);
	assert_string_equal(scene.warned, "/f");
	folder_clear(&root);
	scene_close(&scene);
}

static void
patterns_and_subpaths_choose(void **state)
{
	static struct scene scene;
	struct folder root = {.count = 0}, a = {.count = 0}, b = {.count = 0};
	struct qs_patterns *include = NULL, *exclude = NULL;
	struct qs_err err;

	(void)state;
	scene_open(&scene);
	scene_text(&scene, &b, "x.jpg", "x");
	scene_text(&scene, &b, "y.txt", "y");
	scene_folder(&scene, &a, "b", 0755, &b);
	scene_text(&scene, &a, "z.txt", "z");
	scene_folder(&scene, &root, "a", 0755, &a);
	scene_seal(&scene, &root);
	OK(qs_patterns_new(&include, &err));
	OK(qs_patterns_add(include, "*.jpg", false, &err));
	OK(qs_patterns_new(&exclude, &err));
	OK(qs_patterns_add(exclude, "/a/b/y.txt", false, &err));
	scene.options.include = include;
	OK(scene_restore(&scene, &root));
	assert_true(scene_has(&scene, "a/b/x.jpg"));
	assert_false(scene_has(&scene, "a/b/y.txt"));
	assert_false(scene_has(&scene, "a/z.txt"));
	scene.options.include = NULL;
	scene.options.exclude = exclude;
	scene.options.subpath = "/a/b/";
	OK(scene_restore(&scene, &root));
	scene_is(&scene, "x.jpg", "x");
	assert_false(scene_has(&scene, "y.txt"));
	scene.options.subpath = "a/z.txt";
	scene.options.verify = true;
	OK(scene_restore(&scene, &root));
	scene_is(&scene, "z.txt", "z");
	assert_int_equal(scene.result.verified, 1);
	scene.options.subpath = "a/none";
	assert_int_equal(scene_restore(&scene, &root), QS_ENOTFOUND);
	qs_patterns_free(include);
	qs_patterns_free(exclude);
	folder_clear(&a);
	folder_clear(&b);
	folder_clear(&root);
	scene_close(&scene);
}

static void
deleting_spares_what_is_saved_or_excluded(void **state)
{
	static struct scene scene;
	struct folder root = {.count = 0}, d = {.count = 0};
	struct qs_patterns *exclude = NULL;
	char full[512];
	struct qs_err err;

	(void)state;
	scene_open(&scene);
	scene_text(&scene, &d, "f", "f");
	scene_folder(&scene, &root, "d", 0755, &d);
	scene_seal(&scene, &root);
	OK(scene_restore(&scene, &root));
	scene_put(&scene, "a.keep", "1");
	scene_put(&scene, "d/extra", "2");
	scene_put(&scene, "zz", "3");
	scene_at(&scene, "d/sub", full);
	assert_int_equal(mkdir(full, 0700), 0);
	scene_put(&scene, "d/sub/deep", "4");
	scene_at(&scene, "d/out", full);
	assert_int_equal(symlink(scene.outside, full), 0);
	(void)snprintf(full, sizeof(full), "%s/precious", scene.outside);
	OK(qs_file_replace(AT_FDCWD, full, 0600, qs_span("p", 1), &err));
	OK(qs_patterns_new(&exclude, &err));
	OK(qs_patterns_add(exclude, "*.keep", false, &err));
	scene.options.exclude = exclude;
	scene.options.delete_extra = true;
	scene.options.dry_run = true;
	OK(scene_restore(&scene, &root));
	assert_int_equal(scene.deleted, 4);
	assert_true(scene_has(&scene, "zz"));
	assert_true(scene_has(&scene, "d/sub/deep"));
	scene.options.dry_run = false;
	OK(scene_restore(&scene, &root));
	assert_int_equal(scene.deleted, 4);
	assert_int_equal(scene.warnings, 0);
	assert_true(scene_has(&scene, "a.keep"));
	assert_true(scene_has(&scene, "d/f"));
	assert_false(scene_has(&scene, "zz"));
	assert_false(scene_has(&scene, "d/extra"));
	assert_false(scene_has(&scene, "d/sub"));
	assert_false(scene_has(&scene, "d/out"));
	assert_int_equal(access(full, F_OK), 0);
	qs_patterns_free(exclude);
	folder_clear(&d);
	folder_clear(&root);
	scene_close(&scene);
}

static void
a_dry_run_touches_nothing(void **state)
{
	static struct scene scene;
	struct folder root = {.count = 0}, d = {.count = 0};

	(void)state;
	scene_open(&scene);
	scene_text(&scene, &d, "f", "f");
	scene_folder(&scene, &root, "d", 0755, &d);
	scene_seal(&scene, &root);
	scene.options.dry_run = true;
	OK(scene_restore(&scene, &root));
	assert_int_equal(access(scene.target, F_OK), -1);
	assert_int_equal(scene.result.files_restored, 1);
	folder_clear(&d);
	folder_clear(&root);
	scene_close(&scene);
}

static void
cancelling_stops(void **state)
{
	static struct scene scene;
	struct folder root = {.count = 0};

	(void)state;
	scene_open(&scene);
	scene_text(&scene, &root, "f", "f");
	scene_seal(&scene, &root);
	scene.progress.cancel = true;
	assert_int_equal(scene_restore(&scene, &root), QS_ECANCELED);
	assert_false(scene_has(&scene, "f"));
	folder_clear(&root);
	scene_close(&scene);
}

/* 1000 folders in each other, 200 bytes each: far beyond PATH_MAX. */
static void
paths_may_be_deep_and_long(void **state)
{
	static struct scene scene;
	struct folder inner = {.count = 0}, outer = {.count = 0};
	const struct restore all = {.options = &scene.options};
	bool is_left;
	char name[201];
	int fd, next;

	(void)state;
	scene_open(&scene);
	memset(name, 'n', 200);
	name[200] = '\0';
	scene_text(&scene, &inner, "leaf", "deep");
	for (size_t i = 0; i < 1000; i++) {
		scene_folder(&scene, &outer, name, 0755, &inner);
		folder_clear(&inner);
		inner = outer;
		memset(&outer, 0, sizeof(outer));
	}
	scene_seal(&scene, &inner);
	scene.options.verify = true;
	OK(scene_restore(&scene, &inner));
	assert_int_equal(scene.warnings, 0);
	assert_int_equal(scene.result.dirs, 1000);
	assert_int_equal(scene.result.verified, 1);
	fd = open(scene.target, O_RDONLY | O_DIRECTORY);
	for (size_t i = 0; i < 1000; i++) {
		next = openat(fd, name, O_RDONLY | O_DIRECTORY);
		assert_true(next >= 0);
		(void)close(fd);
		fd = next;
	}
	assert_int_equal(faccessat(fd, "leaf", F_OK, 0), 0);
	(void)close(fd);
	folder_clear(&inner);
	/* the way back is too deep for nftw */
	fd = open(scene.fx.top, O_RDONLY | O_DIRECTORY);
	next = openat(fd, "target", O_RDONLY | O_DIRECTORY);
	for (size_t i = 0; i < 10; i++) {
		int top = openat(next, name, O_RDONLY | O_DIRECTORY), at = top;
		struct qs_err err;

		for (size_t k = 0; k < 400 && at >= 0; k++) {
			int to = openat(at, name, O_RDONLY | O_DIRECTORY);

			if (at != top)
				(void)close(at);
			at = to;
		}
		if (at >= 0)
			(void)restore_remove(&all, at, name, "",
				&is_left, &err);
		if (at >= 0 && at != top)
			(void)close(at);
		if (top >= 0)
			(void)close(top);
	}
	OK(restore_remove(&all, next, name, "", &is_left, &scene.err));
	(void)close(next);
	(void)close(fd);
	scene_close(&scene);
}

static void
many_small_files_come_back(void **state)
{
	static struct scene scene;
	struct folder root = {.count = 0};
	char name[32], text[64];

	(void)state;
	scene_open(&scene);
	for (unsigned d = 0; d < 50; d++) {
		struct folder inner = {.count = 0};

		for (unsigned i = 0; i < 100; i++) {
			(void)snprintf(name, sizeof(name), "f%03u", i);
			(void)snprintf(text, sizeof(text), "file %u of %u", i,
				d);
			scene_text(&scene, &inner, name, text);
		}
		(void)snprintf(name, sizeof(name), "d%03u", d);
		scene_folder(&scene, &root, name, 0755, &inner);
		folder_clear(&inner);
	}
	scene_seal(&scene, &root);
	scene.options.verify = true;
	OK(scene_restore(&scene, &root));
	assert_int_equal(scene.warnings, 0);
	assert_int_equal(scene.result.files_restored, 5000);
	assert_int_equal(scene.result.verified, 5000);
	scene_is(&scene, "d049/f099", "file 99 of 49");
	for (unsigned d = 0; d < 50; d++) {
		(void)snprintf(name, sizeof(name), "d%03u", d);
		assert_true(scene_mtime(&scene, name) == T0);
	}
	folder_clear(&root);
	scene_close(&scene);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files_folders_and_links_come_back),
		cmocka_unit_test(large_files_come_back_whole_and_are_verified),
		cmocka_unit_test(
			hard_links_are_one_file_again_but_only_of_equal_bytes),
		cmocka_unit_test(overwriting_follows_the_mode),
		cmocka_unit_test(a_damaged_object_costs_its_files_only),
		cmocka_unit_test(half_of_a_large_file_is_not_left_behind),
		cmocka_unit_test(
			zeros_at_the_end_keep_their_length_when_sparse),
		cmocka_unit_test(verifying_finds_what_changed_on_the_disk),
		cmocka_unit_test(patterns_and_subpaths_choose),
		cmocka_unit_test(deleting_spares_what_is_saved_or_excluded),
		cmocka_unit_test(a_dry_run_touches_nothing),
		cmocka_unit_test(cancelling_stops),
		cmocka_unit_test(paths_may_be_deep_and_long),
		cmocka_unit_test(many_small_files_come_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
