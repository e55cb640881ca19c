/* SPDX-License-Identifier: ISC */
/* Unit tests of snapshot/restore_meta: owners and attributes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <errno.h>
#include <grp.h>

#include "restore_fixture.h"

#define WIDE_ENTRY 100000 /* bytes of a group with very many members */
#define WIDE_GID 4242

/* In place of the C library's: a group whose entry is large. */
int
getgrnam_r(const char *name, struct group *group, char *scratch, size_t size,
	struct group **found)
{
	*found = NULL;
	if (strcmp(name, "wide") != 0)
		return 0;
	if (size < WIDE_ENTRY)
		return ERANGE;
	memset(scratch, 0, size);
	*group = (struct group){.gr_name = scratch, .gr_passwd = scratch,
		.gr_gid = WIDE_GID};
	*found = group;
	return 0;
}

static void
put_node(struct scene *scene, struct folder *folder, const char *name,
	const char *group, const struct qs_buf *xattrs)
{
	struct qs_node node = {.type = QS_NODE_FILE, .links = 1, .mode = 0640,
		.mtime_ns = T0, .uid = geteuid(), .gid = getegid(),
		.group = qs_span(group, strlen(group)),
		.name = qs_span(name, strlen(name))};

	if (xattrs != NULL) {
		node.xattrs = qs_buf_span(xattrs);
		node.xattr_count = 1;
	}
	maker_node(&scene->maker, folder, &node);
}

static void
an_attribute_too_large_for_the_disk_costs_that_file_alone(void **state)
{
	static uint8_t value[QS_XATTR_VALUE_MAX];
	static struct scene scene;
	struct folder root = {.count = 0};
	struct qs_buf xattrs = {NULL, 0, 0};
	char full[512];
	struct qs_err err;

	(void)state;
	scene_open(&scene);
	memset(value, 'x', sizeof(value));
	OK(qs_xattr_append(&xattrs, qs_span("user.large", 10),
		qs_span(value, sizeof(value)), &err));
	put_node(&scene, &root, "a", "", &xattrs);
	scene_text(&scene, &root, "b", "hello");
	scene_seal(&scene, &root);
	OK(scene_restore(&scene, &root));
	scene_is(&scene, "b", "hello");
	assert_true(scene_mtime(&scene, "a") == T0);
	scene_at(&scene, "a", full);
	/* Some file systems take it, some take no attributes. */
	if (getxattr(full, "user.large", NULL, 0) < 0) {
		assert_int_equal(scene.warnings, 1);
		print_message("%s: %s\n", scene.warned, scene.warning);
	}
	qs_buf_clear(&xattrs);
	folder_clear(&root);
	scene_close(&scene);
}

static void
a_group_of_very_many_members_is_found_by_name(void **state)
{
	static struct scene scene;
	struct folder root = {.count = 0};
	struct stat st;

	(void)state;
	if (geteuid() != 0)
		skip(); /* others can't give files away */
	scene_open(&scene);
	put_node(&scene, &root, "a", "wide", NULL);
	put_node(&scene, &root, "b", "unknown", NULL);
	scene_seal(&scene, &root);
	scene.options.ownership_by_name = true;
	OK(scene_restore(&scene, &root));
	assert_true(scene_stat(&scene, "a", &st));
	assert_int_equal(st.st_gid, WIDE_GID);
	assert_true(scene_stat(&scene, "b", &st));
	assert_int_equal(st.st_gid, getegid());
	folder_clear(&root);
	scene_close(&scene);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    an_attribute_too_large_for_the_disk_costs_that_file_alone),
		cmocka_unit_test(
		    a_group_of_very_many_members_is_found_by_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
