/* SPDX-License-Identifier: ISC */
/* Making snapshots when something is gone, in the way, or half done. */
#include <signal.h>
#include <sys/wait.h>
#include <sys/xattr.h>

#include "create_world.h"
#include "snapshot/create_internal.h"

static void
lose_all_objects(struct world *w)
{
	char command[256];

	snprintf(command, sizeof(command),
		"find %s -path '*/obj/*' -type f -delete", w->url);
	assert_int_equal(system(command), 0);
}

/* The newest snapshot's files are all there with these bytes. */
static void
assert_restores(struct world *w)
{
	struct qs_progress progress = {0};
	struct qs_report report = {on_event, w, &progress};
	char out[96];
	struct qs_restore_options o = {.target = out, .subpath = w->data};
	struct qs_restore_result result;
	const struct qs_snapshot *s;
	struct qs_err err = {0};
	char command[256];

	snprintf(out, sizeof(out), "%s/out", w->dir);
	assert_int_equal(qs_folder_find(w->folder, "latest", NULL, &s, &err),
		QS_OK);
	if (qs_restore(w->folder, s, &o, &report, &result, &err) != QS_OK)
		fail_msg("not restored: %s", err.msg);
	assert_int_equal(result.errors, 0);
	snprintf(command, sizeof(command), "diff -r %s %s", w->data, out);
	assert_int_equal(system(command), 0);
	snprintf(command, sizeof(command), "rm -rf %s", out);
	assert_int_equal(system(command), 0);
}

static void
objects_that_vanished_are_noticed_and_stored_anew(void **state)
{
	struct world *w = *state;
	struct qs_totals t;

	put_noise(w, "a", 3000000);
	put(w, "b", "small", 5);
	let_it_settle();
	saved(w, normal());
	lose_all_objects(w);
	reopen(w);
	t = saved(w, normal());
	assert_true(w->warnings > 0);
	assert_non_null(strstr(w->last_warning, "is missing from"));
	assert_true(t.data_added > 3000000);
	assert_restores(w);
}

static void
skipping_an_unchanged_tree_does_not_skip_healing(void **state)
{
	struct world *w = *state;
	struct qs_create_options o = normal();
	const char *path = "data";

	assert_int_equal(chdir(w->dir), 0);
	o.paths = &path;
	o.path_count = 1;
	put_noise(w, "a", 300000);
	let_it_settle();
	saved(w, o);
	lose_all_objects(w);
	reopen(w);
	o.skip_if_unchanged = true;
	assert_true(saved(w, o).data_added >= 300000);
	o.skip_if_unchanged = false;
	saved(w, o);
	assert_int_equal(chdir("/"), 0);
	{
		struct qs_progress progress = {0};
		struct qs_report report = {on_event, w, &progress};
		struct qs_check_options check = {.read_data = true,
			.subset = 1};
		struct qs_check_result result;
		struct qs_err err;

		/* The first snapshot's objects stay lost, the new ones hold. */
		assert_int_equal(qs_check(w->folder, &check, &report, &result,
			&err), QS_OK);
		assert_int_equal(result.damaged_packs, 0);
		assert_int_equal(result.files_affected, 0);
	}
}

/* The key of a row of w->data, as the lister makes it. */
static void
key_of_row(struct world *w, uint32_t segment, uint8_t key[QS_DIR_KEY_LEN])
{
	uint8_t hash[32] = {0}, bytes[32 + QS_NAME_MAX];
	char path[96], *rest = NULL;

	snprintf(path, sizeof(path), "%s", w->data);
	for (char *name = strtok_r(path, "/", &rest); name != NULL;
		name = strtok_r(NULL, "/", &rest)) {
		memcpy(bytes, hash, 32);
		memcpy(bytes + 32, name, strlen(name));
		qs_hash_plain(hash, 32, qs_span(bytes, 32 + strlen(name)));
	}
	row_key(hash, segment, key);
}

static void
rows_of_two_runs_do_not_make_an_old_tree_new(void **state)
{
	struct world *w = *state;
	struct qs_index *index;
	uint8_t key[QS_DIR_KEY_LEN];
	struct qs_buf old_last = {0};
	bool found, fresh;
	struct qs_err err;
	char name[32];

	/* Two rows: names 0000 .. 1023, and the rest with the content. */
	for (int i = 0; i < 1030; i++) {
		snprintf(name, sizeof(name), "%04d", i);
		put(w, name, "old", 3);
	}
	let_it_settle();
	saved(w, normal());
	index = qs_folder_index(w->folder);
	key_of_row(w, 1, key);
	assert_int_equal(qs_index_dir_get(index, key, &old_last, &found,
		&fresh, &err), QS_OK);
	assert_true(found && fresh);
	put(w, "0005", "new", 3);
	let_it_settle();
	saved(w, normal());
	/* A slower run that began before the change writes its last row. */
	assert_int_equal(qs_index_run_begin(index, &err), QS_OK);
	assert_int_equal(qs_index_dir_put(index, key, qs_buf_span(&old_last),
		&err), QS_OK);
	assert_int_equal(qs_index_run_end(index, &err), QS_OK);
	qs_buf_clear(&old_last);
	saved(w, normal());
	assert_restores(w);
}

static void
attributes_without_end_cost_only_themselves(void **state)
{
	struct world *w = *state;
	char path[128], name[32];
	uint8_t *value = malloc(60000);
	struct qs_totals t;
	bool can = true;

	assert_non_null(value);
	memset(value, 'x', 60000);
	/* tmpfs takes so many, other file systems do not: then no test. */
	snprintf(w->data, sizeof(w->data), "/dev/shm/qs-create-XXXXXX");
	assert_non_null(mkdtemp(w->data));
	put(w, "file", "bytes", 5);
	put(w, "other", "bytes", 5);
	snprintf(path, sizeof(path), "%s/file", w->data);
	for (int i = 0; i < 70 && can; i++) {
		snprintf(name, sizeof(name), "user.attribute%02d", i);
		can = setxattr(path, name, value, 60000, 0) == 0;
	}
	free(value);
	if (can) {
		t = saved(w, normal());
		assert_int_equal(t.files, 2);
		assert_int_equal(t.errors, 1);
		assert_non_null(strstr(w->last_warning, "attributes"));
	} else {
		print_message("no user attributes on /dev/shm: not tested\n");
	}
	snprintf(path, sizeof(path), "rm -rf %s", w->data);
	assert_int_equal(system(path), 0);
}

static void
a_silent_input_can_be_interrupted(void **state)
{
	struct world *w = *state;
	struct qs_create_options o = normal();
	struct qs_create_result result;
	struct qs_err err;
	int ends[2];

	assert_int_equal(pipe(ends), 0); /* nobody ever writes */
	o.stdin_fd = ends[0];
	o.stdin_name = "never";
	atomic_store(&w->progress.cancel, true);
	assert_int_equal(save(w, &o, &result, &err), QS_ECANCELED);
	close(ends[0]);
	close(ends[1]);
}

/* Killed at any moment: what is there afterwards is whole and goes on. */
static void
a_killed_run_is_gone_on_with(void **state)
{
	struct world *w = *state;

	for (int i = 0; i < 60; i++) {
		char name[32];

		snprintf(name, sizeof(name), "f%02d", i);
		put_noise(w, name, 3000000);
	}
	let_it_settle();
	qs_folder_close(w->folder);
	w->folder = NULL;
	for (unsigned wait_us = 20000; wait_us < 400000; wait_us += 120000) {
		pid_t child = fork();

		assert_true(child >= 0);
		if (child == 0) {
			reopen(w);
			saved(w, normal());
			_exit(0);
		}
		usleep(wait_us);
		kill(child, SIGKILL);
		assert_int_equal(waitpid(child, NULL, 0), child);
	}
	reopen(w);
	saved(w, normal());
	assert_restores(w);
}

static bool
is_racy(int64_t mtime_ns, int64_t ctime_ns)
{
	struct facts facts = {.mtime_ns = mtime_ns, .ctime_ns = ctime_ns};

	return meta_racy(&facts);
}

/*
 * Times of whole seconds are those of a file system that keeps no finer ones,
 * perhaps only every other: within two seconds nothing shows in them.
 */
static void
coarse_times_are_relied_upon_later(void **state)
{
	const int64_t s = 1000000000, now = qs_now_ns();
	const int64_t whole = now - now % s, old = whole - 9 * s;

	(void)state;
	assert_true(is_racy(old, whole));
	assert_true(is_racy(whole, old + 1));
	assert_true(is_racy(whole, whole));
	assert_false(is_racy(old, old));
	assert_false(is_racy(old, whole - s + 1));
	assert_false(is_racy(whole - s + 1, old));
	assert_false(is_racy(whole - 3 * s, whole - 3 * s));
	/* A date to come is what somebody set, and no change. */
	assert_false(is_racy(whole + 1000 * s, old));
	assert_true(is_racy(old, whole + 1000 * s));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		/* first: it forks, before any thread was started here */
		TEST(a_killed_run_is_gone_on_with),
		TEST(objects_that_vanished_are_noticed_and_stored_anew),
		TEST(skipping_an_unchanged_tree_does_not_skip_healing),
		TEST(rows_of_two_runs_do_not_make_an_old_tree_new),
		TEST(attributes_without_end_cost_only_themselves),
		TEST(a_silent_input_can_be_interrupted),
		cmocka_unit_test(coarse_times_are_relied_upon_later),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
