/* SPDX-License-Identifier: ISC */
/* Making snapshots: what is saved, what is recognised, what is left out. */
#include "create_world.h"

static void
an_unchanged_tree_adds_nothing_and_reads_nothing(void **state)
{
	struct world *w = *state;
	struct qs_totals t;

	put_noise(w, "big", 3000000);
	make_dir(w, "d");
	put(w, "d/small", "hello", 5);
	put(w, "d/empty", "", 0);
	let_it_settle();
	t = saved(w, normal());
	assert_int_equal(t.files, 3);
	assert_int_equal(t.files_new, 3);
	assert_int_equal(t.bytes, 3000005);
	reopen(w);
	t = saved(w, normal());
	assert_int_equal(t.files_unmodified, 3);
	adds_nothing(&t);
	assert_int_equal(qs_folder_snapshot_count(w->folder), 2);
	assert_int_equal(w->warnings, 0);
}

static void
one_edit_costs_one_file(void **state)
{
	struct world *w = *state;
	struct qs_totals t;
	char name[32];

	make_dir(w, "d");
	for (int i = 0; i < 300; i++) {
		snprintf(name, sizeof(name), "d/%03d", i);
		put(w, name, name, strlen(name));
	}
	let_it_settle();
	saved(w, normal());
	put(w, "d/150", "something else", 14);
	let_it_settle();
	t = saved(w, normal());
	assert_int_equal(t.files_changed, 1);
	assert_int_equal(t.files_unmodified, 299);
	assert_int_equal(t.data_blobs, 1);
	assert_true(t.dirs_changed >= 1);
	/* The same length and mtime do not hide a change: ctime tells. */
	let_it_settle();
	t = saved(w, normal());
	assert_int_equal(t.files_unmodified, 300);
	adds_nothing(&t);
}

static void
force_reads_again_but_stores_nothing_twice(void **state)
{
	struct world *w = *state;
	struct qs_create_options o = normal();
	struct qs_totals t;

	put_noise(w, "a", 200000);
	put_noise(w, "b", 100);
	let_it_settle();
	saved(w, o);
	o.force = true;
	t = saved(w, o);
	assert_int_equal(t.files_changed, 2);
	assert_int_equal(t.data_blobs, 0);
}

static void
a_large_folder_is_recognised_in_parts(void **state)
{
	struct world *w = *state;
	struct qs_totals t;
	char name[300], path[512];

	make_dir(w, "d");
	for (int i = 0; i < 5000; i++) {
		snprintf(name, sizeof(name), "d/a-rather-long-name-of-a-file-"
			"so-that-a-tree-has-parts-%05d", i);
		put(w, name, "x", 1);
	}
	let_it_settle();
	t = saved(w, normal());
	assert_int_equal(t.files_new, 5000);
	t = saved(w, normal());
	assert_int_equal(t.files_unmodified, 5000);
	adds_nothing(&t);
	snprintf(path, sizeof(path), "%s/d/a-rather-long-name-of-a-file-so-"
		"that-a-tree-has-parts-02500", w->data);
	assert_int_equal(unlink(path), 0);
	t = saved(w, normal());
	assert_int_equal(t.files, 4999);
	assert_int_equal(t.files_unmodified, 4999);
	/* Only the parts around the change are new. */
	assert_true(t.data_added < 600000);
	t = saved(w, normal());
	adds_nothing(&t);
}

static void
what_is_not_wanted_is_left_out(void **state)
{
	struct world *w = *state;
	struct qs_create_options o = normal();
	struct qs_patterns *patterns;
	const char *present = ".nobackup";
	struct qs_totals t;
	struct qs_err err;

	put(w, "keep", "1", 1);
	put(w, "drop.tmp", "2", 1);
	put_noise(w, "huge", 100000);
	make_dir(w, "cache");
	put(w, "cache/CACHEDIR.TAG",
		"Signature: 8a477f597d28d172789f06886806bc55\n", 44);
	put(w, "cache/x", "3", 1);
	make_dir(w, "marked");
	put(w, "marked/.nobackup", "", 0);
	put(w, "marked/y", "4", 1);
	assert_int_equal(qs_patterns_new(&patterns, &err), QS_OK);
	assert_int_equal(qs_patterns_add(patterns, "*.tmp", false, &err),
		QS_OK);
	o.exclude = patterns;
	o.exclude_caches = true;
	o.exclude_if_present = &present;
	o.if_present_count = 1;
	o.exclude_larger_than = 50000;
	t = saved(w, o);
	assert_int_equal(t.files, 3); /* keep and the two marks */
	qs_patterns_free(patterns);
}

static void
a_missing_path_is_a_warning_and_all_missing_a_failure(void **state)
{
	struct world *w = *state;
	const char *paths[2] = {"/nowhere/at/all", w->data};
	struct qs_create_options o = normal();
	struct qs_create_result result;
	struct qs_totals t;
	struct qs_err err;

	put(w, "a", "1", 1);
	o.paths = paths;
	o.path_count = 1;
	assert_int_equal(save(w, &o, &result, &err), QS_ENOTFOUND);
	assert_non_null(strstr(err.msg, "/nowhere/at/all"));
	o.path_count = 2;
	t = saved(w, o);
	assert_int_equal(t.errors, 1);
	assert_int_equal(w->warnings, 1);
	assert_int_equal(t.files, 1);
}

static void
a_dry_run_leaves_no_trace(void **state)
{
	struct world *w = *state;
	struct qs_create_options o = normal();
	struct qs_totals t;

	put_noise(w, "a", 500000);
	o.dry_run = true;
	t = saved(w, o);
	assert_true(t.data_added >= 500000);
	assert_int_equal(stored_packs(w), 0);
	assert_int_equal(qs_folder_snapshot_count(w->folder), 0);
	o.dry_run = false;
	t = saved(w, o);
	assert_true(t.data_added >= 500000);
}

static void
unchanged_can_be_skipped(void **state)
{
	struct world *w = *state;
	struct qs_create_options o = normal();
	char beside[96];

	snprintf(beside, sizeof(beside), "%s/beside", w->dir);
	put(w, "a", "1", 1);
	let_it_settle();
	saved(w, o);
	o.skip_if_unchanged = true;
	saved(w, o);
	assert_int_equal(qs_folder_snapshot_count(w->folder), 1);
	/* The times of folders on the way are not what was asked for. */
	assert_int_equal(mkdir(beside, 0755), 0);
	saved(w, o);
	assert_int_equal(qs_folder_snapshot_count(w->folder), 1);
	put(w, "a", "22", 2);
	saved(w, o);
	assert_int_equal(qs_folder_snapshot_count(w->folder), 2);
}

static void
cancelling_leaves_a_store_that_goes_on(void **state)
{
	struct world *w = *state;
	struct qs_create_options o = normal();
	struct qs_create_result result;
	struct qs_err err;

	put_noise(w, "a", 4000000);
	atomic_store(&w->progress.cancel, true);
	assert_int_equal(save(w, &o, &result, &err), QS_ECANCELED);
	atomic_store(&w->progress.cancel, false);
	assert_int_equal(saved(w, o).files, 1);
}

static void
a_lost_index_is_rebuilt_and_nothing_is_stored_twice(void **state)
{
	struct world *w = *state;
	char command[160];
	struct qs_totals t;

	put_noise(w, "a", 2000000);
	put(w, "b", "small", 5);
	let_it_settle();
	saved(w, normal());
	qs_folder_close(w->folder);
	w->folder = NULL;
	snprintf(command, sizeof(command), "rm -rf %s", w->cache);
	assert_int_equal(system(command), 0);
	reopen(w);
	t = saved(w, normal());
	assert_int_equal(t.files, 2);
	assert_int_equal(t.data_blobs, 0);
	assert_true(t.tree_blobs <= 2);
}

static void
standard_input_is_a_file(void **state)
{
	struct world *w = *state;
	struct qs_create_options o = normal();
	struct qs_totals t;
	int ends[2];

	assert_int_equal(pipe(ends), 0);
	assert_int_equal(write(ends[1], "from a pipe", 11), 11);
	close(ends[1]);
	o.stdin_fd = ends[0];
	o.stdin_name = "dump.sql";
	t = saved(w, o);
	close(ends[0]);
	assert_int_equal(t.files, 1);
	assert_int_equal(t.bytes, 11);
}

static void
holes_are_saved_as_holes(void **state)
{
	struct world *w = *state;
	char path[128];
	struct qs_totals t;
	int fd;

	snprintf(path, sizeof(path), "%s/sparse", w->data);
	fd = open(path, O_CREAT | O_WRONLY, 0644);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)5 << 30), 0);
	assert_int_equal(pwrite(fd, "end", 3, ((off_t)5 << 30) - 3), 3);
	close(fd);
	t = saved(w, normal());
	assert_int_equal(t.bytes, (uint64_t)5 << 30);
	assert_true(t.data_added < 100000);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_unchanged_tree_adds_nothing_and_reads_nothing),
		TEST(one_edit_costs_one_file),
		TEST(force_reads_again_but_stores_nothing_twice),
		TEST(a_large_folder_is_recognised_in_parts),
		TEST(what_is_not_wanted_is_left_out),
		TEST(a_missing_path_is_a_warning_and_all_missing_a_failure),
		TEST(a_dry_run_leaves_no_trace),
		TEST(unchanged_can_be_skipped),
		TEST(cancelling_leaves_a_store_that_goes_on),
		TEST(a_lost_index_is_rebuilt_and_nothing_is_stored_twice),
		TEST(standard_input_is_a_file),
		TEST(holes_are_saved_as_holes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
