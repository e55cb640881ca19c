/* SPDX-License-Identifier: ISC */
/* Unit tests of snapshot/dump and dump_tar. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <archive.h>
#include <archive_entry.h>

#include "restore_fixture.h"

static int
temporary(void)
{
	char path[] = "/tmp/test_dump.XXXXXX";
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	(void)unlink(path);
	return fd;
}

static void
a_file_is_dumped_with_its_holes(void **state)
{
	static struct scene scene;
	struct folder root = {.count = 0};
	struct qs_buf bytes = {NULL, 0, 0};
	struct qs_node node;
	uint8_t *back = calloc(1, 200000);
	size_t got = 0;
	struct qs_err err;
	int fd = temporary();

	(void)state;
	assert_non_null(back);
	scene_open(&scene);
	scene_file(&scene, &root, &(struct file){.name = "f",
		.text = "begin", .hole = 150000});
	scene_seal(&scene, &root);
	OK(qs_tree_find(scene.fx.source, &root.content, "f", &bytes, &node,
		&err));
	OK(qs_dump_file(scene.fx.source, &node, fd, &scene.progress, &err));
	assert_int_equal(scene.progress.bytes_done, 150005);
	assert_int_equal(lseek(fd, 0, SEEK_END), 150005);
	OK(qs_fd_pread(fd, back, 200000, 0, &got, &err));
	assert_memory_equal(back, "begin", 5);
	assert_true(qs_is_zero(back + 5, 150000));
	OK(qs_tree_find(scene.fx.source, &root.content, "", &bytes, &node,
		&err));
	assert_int_equal(qs_dump_file(scene.fx.source, &node, fd,
		&scene.progress, &err), QS_EINVAL);
	scene.progress.cancel = true;
	(void)close(fd);
	free(back);
	qs_buf_clear(&bytes);
	folder_clear(&root);
	scene_close(&scene);
}

struct seen {
	char list[1024]; /* "path type size[>link]\n" ... */
	char text[64];   /* of the last file */
};

static void
read_tar(int fd, struct seen *seen)
{
	struct archive *archive = archive_read_new();
	struct archive_entry *entry;
	size_t at = 0;

	memset(seen, 0, sizeof(*seen));
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	assert_int_equal(archive_read_support_format_tar(archive), 0);
	assert_int_equal(archive_read_open_fd(archive, fd, 10240), 0);
	while (archive_read_next_header(archive, &entry) == ARCHIVE_OK) {
		const char *link = archive_entry_hardlink(entry);

		if (link == NULL)
			link = archive_entry_symlink(entry);
		at += (size_t)snprintf(seen->list + at,
			sizeof(seen->list) - at, "%s %o %lld%s%s\n",
			archive_entry_pathname(entry),
			(unsigned)archive_entry_perm(entry),
			(long long)archive_entry_size(entry),
			link == NULL ? "" : ">", link == NULL ? "" : link);
		if (archive_entry_size(entry) > 0)
			(void)archive_read_data(archive, seen->text,
				sizeof(seen->text));
	}
	(void)archive_read_free(archive);
}

static void
a_tree_is_dumped_as_tar(void **state)
{
	static struct scene scene;
	struct folder root = {.count = 0}, d = {.count = 0};
	const struct qs_report report = {scene_event, &scene,
		&scene.progress};
	struct seen seen;
	struct qs_err err;
	int fd = temporary();

	(void)state;
	scene_open(&scene);
	scene_file(&scene, &d, &(struct file){"a\xff", "same", 0600, 0, 7, 0});
	scene_file(&scene, &d, &(struct file){"b", "same", 0600, 0, 7, 0});
	scene_folder(&scene, &root, "d", 0750, &d);
	scene_other(&scene, &root, "s", QS_NODE_SYMLINK, "d/b");
	scene_text(&scene, &root, "z", "last");
	scene_seal(&scene, &root);
	OK(qs_dump_tar(scene.fx.source, &root.content, "/top", fd, &report,
		&err));
	assert_int_equal(scene.warnings, 0);
	read_tar(fd, &seen);
	assert_string_equal(seen.list, "top/d/ 750 0\n"
		"top/d/a\xff 600 4\n"
		"top/d/b 600 0>top/d/a\xff\n"
		"top/s 640 0>d/b\n"
		"top/z 644 4\n");
	assert_memory_equal(seen.text, "last", 4);
	(void)close(fd);
	folder_clear(&d);
	folder_clear(&root);
	scene_close(&scene);
}

static void
what_is_damaged_is_left_out_of_the_tar(void **state)
{
	static struct scene scene;
	struct folder root = {.count = 0};
	const struct qs_report report = {scene_event, &scene,
		&scene.progress};
	struct seen seen;
	struct qs_err err;
	int fd = temporary();

	(void)state;
	scene_open(&scene);
	scene_text(&scene, &root, "bad", "lost");
	fixture_flush(&scene.fx);
	scene_text(&scene, &root, "good", "here");
	scene_seal(&scene, &root);
	scene_damage(&scene, 0);
	OK(qs_dump_tar(scene.fx.source, &root.content, "", fd, &report,
		&err));
	assert_int_equal(scene.warnings, 1);
	assert_string_equal(scene.warned, "bad");
	read_tar(fd, &seen);
	assert_string_equal(seen.list, "good 644 4\n");
	(void)close(fd);
	folder_clear(&root);
	scene_close(&scene);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_file_is_dumped_with_its_holes),
		cmocka_unit_test(a_tree_is_dumped_as_tar),
		cmocka_unit_test(what_is_damaged_is_left_out_of_the_tar),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
