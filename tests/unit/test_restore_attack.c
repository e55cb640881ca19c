/* SPDX-License-Identifier: ISC */
/* Unit tests of snapshot/restore: trees and targets made to do harm. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <dirent.h>

#include "restore_fixture.h"

static size_t
entries_of(const char *path)
{
	DIR *dir = opendir(path);
	size_t count = 0;

	assert_non_null(dir);
	while (readdir(dir) != NULL)
		count++;
	(void)closedir(dir);
	return count - 2;
}

static void
links_planted_in_the_target_are_replaced_and_not_followed(void **state)
{
	static struct scene scene;
	struct folder root = {.count = 0}, d = {.count = 0};
	char full[512], secret[512];
	struct qs_buf back = {NULL, 0, 0};
	struct stat st;
	struct qs_err err;

	(void)state;
	scene_open(&scene);
	scene_text(&scene, &d, "f", "new");
	scene_folder(&scene, &root, "d", 0755, &d);
	scene_text(&scene, &root, "file", "new");
	scene_other(&scene, &root, "pipe", QS_NODE_FIFO, NULL);
	scene_seal(&scene, &root);
	assert_int_equal(mkdir(scene.target, 0700), 0);
	(void)snprintf(secret, sizeof(secret), "%s/secret", scene.outside);
	OK(qs_file_replace(AT_FDCWD, secret, 0600, qs_span("old", 3), &err));
	scene_at(&scene, "d", full);
	assert_int_equal(symlink(scene.outside, full), 0);
	scene_at(&scene, "file", full);
	assert_int_equal(symlink(secret, full), 0);
	scene_at(&scene, "pipe", full);
	assert_int_equal(symlink(secret, full), 0);
	OK(scene_restore(&scene, &root));
	assert_int_equal(scene.warnings, 0);
	assert_int_equal(entries_of(scene.outside), 1);
	OK(qs_file_load(AT_FDCWD, secret, 10, &back, &err));
	assert_memory_equal(back.data, "old", 3);
	assert_true(stat(secret, &st) == 0 && st.st_mode ==
		(S_IFREG | 0600));
	assert_true(scene_stat(&scene, "d", &st) && S_ISDIR(st.st_mode));
	assert_true(scene_stat(&scene, "file", &st) && S_ISREG(st.st_mode));
	scene_is(&scene, "d/f", "new");
	qs_buf_clear(&back);
	folder_clear(&d);
	folder_clear(&root);
	scene_close(&scene);
}

/* A name that the encoder refuses, put into the bytes afterwards. */
static void
restore_name(struct scene *scene, const char *name)
{
	struct folder root = {.count = 0}, d = {.count = 0};
	const size_t len = strlen(name);
	char plain[16];
	uint8_t *at;

	memset(plain, 'x', len);
	plain[len] = '\0';
	scene_text(scene, &d, plain, "escaped");
	at = memmem(d.part.data, d.part.len, plain, len);
	assert_non_null(at);
	memcpy(at, name, len);
	scene_folder(scene, &root, "d", 0755, &d);
	scene_text(scene, &root, "good", "good");
	scene_seal(scene, &root);
	OK(scene_restore(scene, &root));
	assert_int_equal(scene->warnings, 1);
	assert_int_equal(scene->result.errors, 1);
	assert_string_equal(scene->warned, "/d");
	scene_is(scene, "good", "good");
	folder_clear(&d);
	folder_clear(&root);
}

static void
names_that_lead_elsewhere_are_refused(void **state)
{
	static struct scene scene;
	char full[512];

	(void)state;
	scene_open(&scene);
	restore_name(&scene, "..");
	restore_name(&scene, ".");
	restore_name(&scene, "../e");
	restore_name(&scene, "/tmp/e");
	(void)snprintf(full, sizeof(full), "%s/e", scene.fx.top);
	assert_int_equal(access(full, F_OK), -1);
	scene_at(&scene, "d", full);
	assert_int_equal(entries_of(full), 0);
	assert_int_equal(entries_of(scene.target), 2);
	scene_close(&scene);
}

static void
an_unreadable_list_deletes_nothing(void **state)
{
	static struct scene scene;
	struct folder root = {.count = 0}, d = {.count = 0};
	uint8_t *at;

	(void)state;
	scene_open(&scene);
	assert_int_equal(mkdir(scene.target, 0700), 0);
	scene_put(&scene, "zz", "mine");
	scene_text(&scene, &root, "a", "a");
	maker_part(&scene.maker, &root);
	scene_text(&scene, &root, "xx", "gone");
	at = memmem(root.part.data, root.part.len, "xx", 2);
	memcpy(at, "..", 2);
	scene_seal(&scene, &root);
	scene.options.delete_extra = true;
	OK(scene_restore(&scene, &root));
	assert_int_equal(scene.deleted, 0);
	assert_int_equal(scene.warnings, 1);
	scene_is(&scene, "zz", "mine");
	folder_clear(&d);
	folder_clear(&root);
	scene_close(&scene);
}

static void
a_folder_in_the_way_stays_unless_deleting(void **state)
{
	static struct scene scene;
	struct folder root = {.count = 0};
	char full[512];

	(void)state;
	scene_open(&scene);
	scene_text(&scene, &root, "f", "file");
	scene_seal(&scene, &root);
	assert_int_equal(mkdir(scene.target, 0700), 0);
	scene_at(&scene, "f", full);
	assert_int_equal(mkdir(full, 0700), 0);
	scene_put(&scene, "f/mine", "mine");
	scene_at(&scene, "f/out", full);
	assert_int_equal(symlink(scene.outside, full), 0);
	OK(scene_restore(&scene, &root));
	assert_int_equal(scene.result.errors, 1);
	scene_is(&scene, "f/mine", "mine");
	scene.options.delete_extra = true;
	OK(scene_restore(&scene, &root));
	assert_int_equal(scene.result.errors, 0);
	scene_is(&scene, "f", "file");
	assert_int_equal(access(scene.outside, F_OK), 0);
	folder_clear(&root);
	scene_close(&scene);
}

static void
powers_come_back_only_when_asked_for(void **state)
{
	static struct scene scene;
	struct folder root = {.count = 0};
	struct stat st;

	(void)state;
	scene_open(&scene);
	scene_other(&scene, &root, "null", QS_NODE_CHARDEV, NULL);
	scene_file(&scene, &root, &(struct file){.name = "su", .text = "x",
		.mode = 06755});
	scene_seal(&scene, &root);
	OK(scene_restore(&scene, &root));
	assert_int_equal(scene.result.errors, 0);
	assert_int_equal(scene.warnings, 2);
	assert_false(scene_has(&scene, "null"));
	assert_true(scene_stat(&scene, "su", &st));
	assert_int_equal(st.st_mode & 07777, 0755);
	scene.options.privileged = true;
	OK(scene_restore(&scene, &root));
	assert_true(scene_stat(&scene, "su", &st));
	assert_int_equal(st.st_mode & 07777, 06755);
	if (geteuid() == 0 && scene_stat(&scene, "null", &st))
		assert_true(S_ISCHR(st.st_mode));
	folder_clear(&root);
	scene_close(&scene);
}

static void
a_group_that_names_a_symlink_links_nothing_outside(void **state)
{
	static struct scene scene;
	struct folder root = {.count = 0};
	struct qs_node node = {.type = QS_NODE_SYMLINK, .links = 2,
		.mode = 0777, .link_group = 5, .name = qs_span("a", 1)};
	char secret[512];
	struct stat st;
	struct qs_err err;

	(void)state;
	scene_open(&scene);
	(void)snprintf(secret, sizeof(secret), "%s/secret", scene.outside);
	OK(qs_file_replace(AT_FDCWD, secret, 0600, qs_span("old", 3), &err));
	node.target = qs_span(secret, strlen(secret));
	maker_node(&scene.maker, &root, &node);
	scene_file(&scene, &root, &(struct file){"b", "old", 0, 0, 5, 0});
	scene_seal(&scene, &root);
	OK(scene_restore(&scene, &root));
	assert_int_equal(scene.warnings, 0);
	assert_true(stat(secret, &st) == 0 && st.st_nlink == 1);
	assert_true(scene_stat(&scene, "b", &st) && st.st_nlink == 1);
	folder_clear(&root);
	scene_close(&scene);
}

struct swapper { /* swaps a folder for a link out of the target */
	char folder[512], link[512];
	_Atomic bool stop;
};

static void *
swap(void *arg)
{
	struct swapper *swapper = arg;

	while (!atomic_load(&swapper->stop))
		(void)renameat2(AT_FDCWD, swapper->folder, AT_FDCWD,
			swapper->link, RENAME_EXCHANGE);
	return NULL;
}

static void
swapping_links_in_meanwhile_leads_nowhere(void **state)
{
	static struct scene scene;
	static struct swapper swapper;
	struct folder root = {.count = 0}, d = {.count = 0}, e = {.count = 0};
	pthread_t thread;
	char name[16];

	(void)state;
	scene_open(&scene);
	for (unsigned i = 0; i < 300; i++) {
		(void)snprintf(name, sizeof(name), "f%03u", i);
		scene_file(&scene, &e, &(struct file){name, "x", 0, 0,
			i % 10 + 1, 0});
	}
	scene_folder(&scene, &d, "e", 0755, &e);
	scene_folder(&scene, &root, "d", 0755, &d);
	scene_seal(&scene, &root);
	assert_int_equal(mkdir(scene.target, 0700), 0);
	scene_at(&scene, "d", swapper.folder);
	scene_at(&scene, "link", swapper.link);
	assert_int_equal(mkdir(swapper.folder, 0700), 0);
	assert_int_equal(symlink(scene.outside, swapper.link), 0);
	assert_int_equal(pthread_create(&thread, NULL, swap, &swapper), 0);
	for (int i = 0; i < 20; i++)
		OK(scene_restore(&scene, &root));
	atomic_store(&swapper.stop, true);
	(void)pthread_join(thread, NULL);
	assert_int_equal(entries_of(scene.outside), 0);
	folder_clear(&d);
	folder_clear(&e);
	folder_clear(&root);
	scene_close(&scene);
}

static void
attributes_come_back_but_powers_do_not(void **state)
{
	static struct scene scene;
	struct folder root = {.count = 0};
	struct qs_node node = {.type = QS_NODE_FILE, .links = 1, .mode = 0600,
		.xattr_count = 2, .name = qs_span("f", 1)};
	struct qs_buf xattrs = {NULL, 0, 0};
	char full[512], value[16];
	struct qs_err err;
	ssize_t len;

	(void)state;
	scene_open(&scene);
	OK(qs_xattr_append(&xattrs, qs_span("trusted.x", 9), qs_span("1", 1),
		&err));
	OK(qs_xattr_append(&xattrs, qs_span("user.x", 6), qs_span("22", 2),
		&err));
	node.xattrs = qs_buf_span(&xattrs);
	maker_node(&scene.maker, &root, &node);
	scene_seal(&scene, &root);
	OK(scene_restore(&scene, &root));
	assert_true(scene.warnings >= 1);
	assert_int_equal(scene.result.errors, 0);
	scene_at(&scene, "f", full);
	assert_int_equal(getxattr(full, "trusted.x", value, sizeof(value)),
		-1);
	len = getxattr(full, "user.x", value, sizeof(value));
	/* /tmp may be a tmpfs of an older kernel: it takes none at all */
	assert_true(len == 2 || scene.warnings == 2);
	qs_buf_clear(&xattrs);
	folder_clear(&root);
	scene_close(&scene);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		links_planted_in_the_target_are_replaced_and_not_followed),
		cmocka_unit_test(names_that_lead_elsewhere_are_refused),
		cmocka_unit_test(an_unreadable_list_deletes_nothing),
		cmocka_unit_test(a_folder_in_the_way_stays_unless_deleting),
		cmocka_unit_test(powers_come_back_only_when_asked_for),
		cmocka_unit_test(
			a_group_that_names_a_symlink_links_nothing_outside),
		cmocka_unit_test(swapping_links_in_meanwhile_leads_nowhere),
		cmocka_unit_test(attributes_come_back_but_powers_do_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
