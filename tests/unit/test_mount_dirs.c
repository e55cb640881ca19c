/* SPDX-License-Identifier: ISC */
/* Unit tests of fuse/mount_dirs: who is kept, and for how long. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "fuse/mount_internal.h"

static struct qs_err err;

#define OK(call) assert_int_equal((call), QS_OK)

static struct mount_dirs *
dirs_new(void)
{
	const struct mount_dir root = {.kind = MOUNT_ROOT, .ino = 1};
	struct mount_dirs *dirs = NULL;

	OK(mount_dirs_new(&root, &dirs, &err));
	return dirs;
}

/* A child that is not used any more, but known to the kernel. */
static uint32_t
looked_up(struct mount_dirs *dirs, uint32_t parent, uint64_t key)
{
	const uint8_t ref[QS_REF_LEN] = {(uint8_t)key};
	const struct mount_dir what = {.kind = MOUNT_TREE, .key = key,
		.ino = key + 2, .content = {0, 1, ref}};
	struct mount_dir *above = mount_dir_get(dirs, parent), *dir = NULL;
	uint32_t number;

	assert_non_null(above);
	OK(mount_dir_child(dirs, above, &what, &dir, &err));
	assert_int_equal(dir->key, key);
	assert_memory_equal(dir->content.refs, ref, sizeof(ref));
	mount_dir_look(dirs, dir);
	number = dir->number;
	mount_dir_put(dirs, dir);
	mount_dir_put(dirs, above);
	return number;
}

static void
the_same_key_is_the_same_directory(void **state)
{
	struct mount_dirs *dirs = dirs_new();
	const uint32_t one = looked_up(dirs, 0, 100);

	(void)state;
	assert_int_equal(looked_up(dirs, 0, 100), one);
	assert_int_not_equal(looked_up(dirs, 0, 101), one);
	assert_int_not_equal(looked_up(dirs, one, 100), one);
	assert_int_equal(mount_dirs_count(dirs), 4);
	mount_dirs_free(dirs);
}

static void
it_goes_when_all_that_was_looked_up_is_forgotten(void **state)
{
	struct mount_dirs *dirs = dirs_new();
	uint32_t one = looked_up(dirs, 0, 100);

	(void)state;
	(void)looked_up(dirs, 0, 100);
	mount_dir_forget(dirs, one, 1);
	assert_int_equal(mount_dirs_count(dirs), 2);
	mount_dir_forget(dirs, one, 1);
	assert_int_equal(mount_dirs_count(dirs), 1);
	assert_null(mount_dir_get(dirs, one));
	/* More than there was, and of what never was. */
	one = looked_up(dirs, 0, 100);
	mount_dir_forget(dirs, one, 1000);
	mount_dir_forget(dirs, one, 1);
	mount_dir_forget(dirs, 12345, 1);
	mount_dir_forget(dirs, 0, 5);
	assert_int_equal(mount_dirs_count(dirs), 1);
	mount_dirs_free(dirs);
}

static void
who_is_used_stays(void **state)
{
	struct mount_dirs *dirs = dirs_new();
	const uint32_t one = looked_up(dirs, 0, 100);
	struct mount_dir *dir = mount_dir_get(dirs, one);

	(void)state;
	mount_dir_forget(dirs, one, 1);
	assert_int_equal(mount_dirs_count(dirs), 2);
	mount_dir_put(dirs, dir);
	assert_int_equal(mount_dirs_count(dirs), 1);
	mount_dirs_free(dirs);
}

static void
a_child_keeps_all_above_it(void **state)
{
	struct mount_dirs *dirs = dirs_new();
	uint32_t numbers[1001] = {0};

	(void)state;
	for (size_t i = 1; i <= 1000; i++)
		numbers[i] = looked_up(dirs, numbers[i - 1], 12);
	for (size_t i = 1; i < 1000; i++)
		mount_dir_forget(dirs, numbers[i], 1);
	assert_int_equal(mount_dirs_count(dirs), 1001);
	mount_dir_forget(dirs, numbers[1000], 1);
	assert_int_equal(mount_dirs_count(dirs), 1);
	mount_dirs_free(dirs);
}

static void
numbers_are_given_again_and_there_is_room_for_many(void **state)
{
	struct mount_dirs *dirs = dirs_new();
	uint32_t highest = 0;

	(void)state;
	for (uint64_t i = 0; i < 100000; i++) {
		const uint32_t number = looked_up(dirs, 0, 12 + i);

		highest = number > highest ? number : highest;
	}
	assert_int_equal(mount_dirs_count(dirs), 100001);
	for (uint32_t i = 1; i <= highest; i++)
		mount_dir_forget(dirs, i, 1);
	assert_int_equal(mount_dirs_count(dirs), 1);
	for (uint64_t i = 0; i < 1000; i++)
		assert_true(looked_up(dirs, 0, 7000000 + i) <= highest);
	mount_dirs_free(dirs);
}

static void
node_ids_say_where_a_node_is(void **state)
{
	(void)state;
	assert_int_equal(mount_node_id(0, 0), FUSE_ROOT_ID);
	assert_int_equal(mount_node_dir(FUSE_ROOT_ID), 0);
	assert_int_equal(mount_node_off(FUSE_ROOT_ID), 0);
	assert_int_equal(mount_node_dir(mount_node_id(MOUNT_DIRS_MAX - 1,
		MOUNT_OFF_MAX)), MOUNT_DIRS_MAX - 1);
	assert_int_equal(mount_node_off(mount_node_id(MOUNT_DIRS_MAX - 1,
		MOUNT_OFF_MAX)), MOUNT_OFF_MAX);
	assert_int_equal(mount_node_off(mount_node_id(0, 12)), 12);
}

static struct mount_dirs *shared;

static void
look_and_forget(void *arg)
{
	const uint64_t seed = (uint64_t)(uintptr_t)arg;

	for (uint64_t i = 0; i < 3000; i++) {
		const uint64_t key = 12 + (i * 7 + seed) % 50;
		const struct mount_dir what = {.kind = MOUNT_TREE,
			.key = key, .ino = key};
		struct mount_dir *root = mount_dir_get(shared, 0);
		struct mount_dir *dir = NULL, *below = NULL;
		struct qs_err mine;

		if (mount_dir_child(shared, root, &what, &dir, &mine) !=
		    QS_OK || mount_dir_child(shared, dir, &what, &below,
		    &mine) != QS_OK)
			abort();
		mount_dir_look(shared, below);
		mount_dir_forget(shared, below->number, 1);
		mount_dir_put(shared, below);
		mount_dir_put(shared, dir);
		mount_dir_put(shared, root);
	}
}

static void
threads_look_up_and_forget_at_once(void **state)
{
	struct qs_thread *threads[4] = {NULL};

	(void)state;
	shared = dirs_new();
	for (uintptr_t i = 0; i < 4; i++)
		OK(qs_thread_start(&threads[i], look_and_forget, (void *)i,
			"look", &err));
	for (size_t i = 0; i < 4; i++)
		qs_thread_join(threads[i]);
	assert_int_equal(mount_dirs_count(shared), 1);
	mount_dirs_free(shared);
}

/* ---------------------------------------------------------------- names */

static void
names_of_hosts_and_tags_are_file_names(void **state)
{
	static const struct {
		const char *text, *name;
	} cases[] = {
		{"host", "host"}, {"a/b/c", "a_b_c"}, {".", "_"},
		{"..", "_."}, {"", "_"}, {"...", "..."}, {"/", "_"},
	};
	char longest[300], *name = NULL;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		OK(mount_name_of(cases[i].text, &name, &err));
		assert_string_equal(name, cases[i].name);
		free(name);
	}
	memset(longest, 'x', sizeof(longest));
	longest[299] = '\0';
	OK(mount_name_of(longest, &name, &err));
	assert_int_equal(strlen(name), QS_NAME_MAX);
	free(name);
}

static void
snapshots_of_one_second_have_different_names(void **state)
{
	struct mount_shot shots[4];
	struct mount_view view = {.shots = shots, .count = 4};

	(void)state;
	memset(shots, 0, sizeof(shots));
	/* Oldest first; the first three within one second. */
	for (size_t i = 0; i < 4; i++) {
		shots[i].time_ns = INT64_C(1700000000000000000) +
			(int64_t)i + (i == 3 ? 1000000000 : 0);
		memset(shots[i].record.b, (int)(9 - i), 32);
	}
	memset(shots[1].record.b, 9, 4); /* 8 digits like the first one's */
	OK(mount_names_shots(&view, &err));
	assert_string_equal(shots[0].time_name, "2023-11-14_22-13-20");
	assert_string_equal(shots[1].time_name,
		"2023-11-14_22-13-20_0909090908080808");
	assert_string_equal(shots[2].time_name,
		"2023-11-14_22-13-20_0707070707070707");
	assert_string_equal(shots[3].time_name, "2023-11-14_22-13-21");
	assert_int_equal(strlen(shots[0].id_name), 64);
	assert_int_equal(strlen(shots[1].id_name), 64);
	assert_string_equal(shots[2].id_name, "07070707");
	for (size_t i = 0; i < 4; i++) {
		free(shots[i].time_name);
		free(shots[i].id_name);
	}
}

/* -------------------------------------------------------------- offsets */

static void
an_offset_finds_its_reference(void **state)
{
	static const uint64_t lens[] = {1, 65536, 7, 1048576, 40000};
	uint8_t refs[5 * QS_REF_LEN];
	const struct mount_dir dir = {.kind = MOUNT_TREE, .ino = 77};
	const struct qs_content content = {0, 5, refs};
	struct mount mount = {.options = {.dir = NULL}};
	struct mount_run *run = NULL;
	struct mount_place place;
	uint64_t start = 0;

	(void)state;
	for (size_t i = 0; i < 5; i++) {
		memset(refs + i * QS_REF_LEN, i == 2 ? 0 : (int)i + 1, 32);
		qs_store64(refs + i * QS_REF_LEN + 32, lens[i]);
	}
	OK(mount_runs_new(&mount.runs, &err));
	assert_null(mount_run_of_node(mount.runs, &dir, 12));
	OK(mount_run_make(mount.runs, &dir, 12, &content, &run, &err));
	for (size_t i = 0; i < 5; start += lens[i++]) {
		const uint64_t at[] = {start, start + lens[i] / 2,
			start + lens[i] - 1};

		for (size_t k = 0; k < 3; k++) {
			OK(mount_run_find(&mount, run, at[k], &place, &err));
			assert_int_equal(place.start, start);
			assert_int_equal(place.len, lens[i]);
			assert_int_equal(place.is_hole, i == 2);
			assert_int_equal(place.id.b[0], i == 2 ? 0 : i + 1);
		}
	}
	assert_int_equal(mount_run_size(run), start);
	assert_int_equal(mount_run_find(&mount, run, start, &place, &err),
		QS_ECORRUPT);
	assert_ptr_equal(mount_run_of_node(mount.runs, &dir, 12), run);
	assert_null(mount_run_of_node(mount.runs, &dir, 13));
	mount_run_put(mount.runs, run);
	mount_run_put(mount.runs, run);
	/* Lengths that overflow are no content. */
	qs_store64(refs + 32, UINT64_MAX);
	assert_int_equal(mount_run_make(mount.runs, &dir, 14, &content, &run,
		&err), QS_ECORRUPT);
	mount_runs_free(mount.runs);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_same_key_is_the_same_directory),
		cmocka_unit_test(
			it_goes_when_all_that_was_looked_up_is_forgotten),
		cmocka_unit_test(who_is_used_stays),
		cmocka_unit_test(a_child_keeps_all_above_it),
		cmocka_unit_test(
			numbers_are_given_again_and_there_is_room_for_many),
		cmocka_unit_test(node_ids_say_where_a_node_is),
		cmocka_unit_test(threads_look_up_and_forget_at_once),
		cmocka_unit_test(names_of_hosts_and_tags_are_file_names),
		cmocka_unit_test(snapshots_of_one_second_have_different_names),
		cmocka_unit_test(an_offset_finds_its_reference),
	};

	if (setenv("TZ", "UTC", 1) != 0 || qs_crypto_init(&err) != QS_OK)
		return 1;
	return cmocka_run_group_tests_name("mount dirs", tests, NULL, NULL);
}
