/* SPDX-License-Identifier: ISC */
/* Unit tests of snapshot/check: a check that is killed loses no object. */
#include <sys/wait.h>

#include "check_fixture.h"

struct killer { /* ends the process when something is told for the n-th time */
	struct qs_progress progress;
	const char *words;
	int countdown;
};

static void
count_down(void *arg, const struct qs_event *event)
{
	struct killer *killer = arg;

	if (event->kind == QS_EVENT_WARNING &&
	    strstr(event->err->msg, killer->words) != NULL &&
	    --killer->countdown == 0)
		_exit(77);
}

static void
check_killed(struct rig *rig, const char *words, int countdown)
{
	int status = 0;
	pid_t child = fork();

	assert_true(child >= 0);
	if (child == 0) {
		static struct killer killer;
		const struct qs_report report = {count_down, &killer,
			&killer.progress};
		const struct qs_check_options options = {.subset = 1.0};
		struct qs_folder *folder = rig_open(rig, "a");
		struct qs_check_result result;

		killer.words = words;
		killer.countdown = countdown;
		_exit(qs_check(folder, &options, &report, &result, &err) ==
			QS_OK ? 0 : 1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 77);
}

static bool
is_known(struct qs_folder *folder, const struct qs_name *pack)
{
	bool known = false;

	OK(qs_index_has_packs(qs_folder_index(folder), pack, 1, &known,
		&err));
	return known;
}

static void
objects_that_were_away_are_taken_in_when_they_are_back(void **state)
{
	struct rig *rig = *state;
	struct qs_folder *folder = rig_open(rig, "a");
	struct qs_name names[2];
	char paths[2][512], aside[2][600];

	rig_sh(rig, "mkdir -p files && echo 1 >files/one");
	(void)rig_snap(rig, folder);
	rig_sh(rig, "echo 2 >files/two");
	(void)rig_snap(rig, folder);
	object_of(rig, folder, "one", paths[0], &names[0]);
	object_of(rig, folder, "two", paths[1], &names[1]);
	qs_folder_close(folder);
	for (int i = 0; i < 2; i++) {
		(void)snprintf(aside[i], sizeof(aside[i]), "%s/aside%d",
			rig->root, i);
		assert_int_equal(rename(paths[i], aside[i]), 0);
	}
	/* One is forgotten, the other is about to be. */
	check_killed(rig, "is missing from", 2);
	for (int i = 0; i < 2; i++)
		assert_int_equal(rename(aside[i], paths[i]), 0);
	folder = rig_open(rig, "a");
	assert_true(is_known(folder, &names[0]));
	assert_true(is_known(folder, &names[1]));
	qs_folder_close(folder);
}

static void
an_index_half_put_right_is_finished_later(void **state)
{
	struct rig *rig = *state;
	struct qs_folder *folder = rig_open(rig, "a");
	struct qs_index *index = qs_folder_index(folder);
	struct qs_index_pack known;
	struct qs_pack_dir dir;
	struct qs_name name;
	char path[512];
	uint32_t number = 0;

	rig_sh(rig, "mkdir -p files && echo 1 >files/one");
	(void)rig_snap(rig, folder);
	object_of(rig, folder, "one", path, &name);
	OK(qs_index_pack_number(index, &name, &number, &err));
	OK(qs_index_pack(index, number, &known, &err));
	OK(qs_index_pack_dir(index, number, &dir, &err));
	OK(qs_index_forget(index, &name, &err));
	dir.chunks[0].id.b[5] ^= 1;
	OK(qs_index_add(index, &known.ref, &dir, &err));
	OK(qs_index_commit(index, &err));
	free(known.frames);
	qs_pack_dir_clear(&dir);
	qs_folder_close(folder);
	/* The wrong rows are gone, the right ones wait to be written. */
	check_killed(rig, "repaired", 1);
	folder = rig_open(rig, "a");
	assert_true(is_known(folder, &name));
	qs_folder_close(folder);
	rig_quiet(rig);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(
		objects_that_were_away_are_taken_in_when_they_are_back),
		RIG_TEST(an_index_half_put_right_is_finished_later),
	};

	if (qs_crypto_init(&err) != QS_OK)
		return 1;
	return cmocka_run_group_tests_name("check_killed", tests, NULL, NULL);
}
