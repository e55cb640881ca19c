/* SPDX-License-Identifier: ISC */
/* Unit tests of snapshot/check: what is wrong is found and named. */
#include "check_fixture.h"

/*
 * Two snapshots, in a pack each.  The second has folders of its own and the
 * first one's d/one and small.
 */
static struct qs_folder *
two_snapshots(struct rig *rig)
{
	struct qs_folder *folder = rig_open(rig, "a");

	rig_sh(rig, "mkdir -p files/d && head -c 2000000 /dev/urandom "
		">files/d/one && echo 1 >files/small");
	(void)rig_snap(rig, folder);
	rig_sh(rig, "head -c 300000 /dev/urandom >files/two && "
		"echo 2 >files/d/more");
	(void)rig_snap(rig, folder);
	return folder;
}

static void
a_sound_folder_has_no_findings(void **state)
{
	struct rig *rig = *state;
	struct qs_folder *folder = two_snapshots(rig);
	struct told *told = told_new();
	struct qs_check_result result = check(folder, told, false);

	assert_string_equal(told->text, "");
	assert_int_equal(result.snapshots, 2);
	assert_true(result.packs >= 2);
	assert_int_equal(result.packs_read, 0);
	result = check(folder, told, true);
	assert_string_equal(told->text, "");
	assert_int_equal(result.packs_read, result.packs);
	assert_true(result.bytes_read >= 2300000);
	assert_true(told->progress.bytes_done == told->progress.bytes_total);
	assert_int_equal(result.errors, 0);
	free(told);
	qs_folder_close(folder);
}

static void
a_missing_object_and_its_files_are_named(void **state)
{
	struct rig *rig = *state;
	struct qs_folder *folder = two_snapshots(rig);
	struct told *told = told_new();
	struct qs_check_result result;
	struct qs_name name;
	char path[512], hex[17], moved[600];

	object_of(rig, folder, "two", path, &name);
	(void)snprintf(moved, sizeof(moved), "%s/aside", rig->root);
	assert_int_equal(rename(path, moved), 0);
	result = check(folder, told, false);
	assert_int_equal(result.missing_packs, 1);
	assert_int_equal(result.damaged_packs, 0);
	assert_true(result.files_affected >= 1);
	qs_hex(hex, name.b, 8);
	told_says(told, hex);
	told_says(told, "is missing from");
	told_says(told, "run snapshot again");
	/* It is out of the index: the next one stores the file anew. */
	(void)rig_snap(rig, folder);
	object_of(rig, folder, "two", path, &name);
	qs_folder_close(folder);
	free(told);
}

static void
an_object_that_comes_back_is_taken_in(void **state)
{
	struct rig *rig = *state;
	struct qs_folder *folder = two_snapshots(rig);
	struct told *told = told_new();
	struct qs_check_result result;
	struct qs_name name;
	char path[512], moved[600];

	object_of(rig, folder, "d/one", path, &name);
	(void)snprintf(moved, sizeof(moved), "%s/aside", rig->root);
	assert_int_equal(rename(path, moved), 0);
	result = check(folder, told, false);
	assert_int_equal(result.missing_packs, 1);
	told_says(told, "/files/d/one: in snapshot ");
	assert_int_equal(rename(moved, path), 0);
	result = check(folder, told, false);
	told_says(told, "was added");
	assert_int_equal(result.errors, 0);
	assert_int_equal(result.packs_read, 1);
	result = check(folder, told, false);
	assert_string_equal(told->text, "");
	qs_folder_close(folder);
	free(told);
}

static void
damage_inside_is_found_by_reading(void **state)
{
	struct rig *rig = *state;
	struct qs_folder *folder = two_snapshots(rig);
	struct told *told = told_new();
	struct qs_check_result result;
	struct qs_name name;
	char path[512];

	object_of(rig, folder, "d/one", path, &name);
	flip(path, 100000);
	result = check(folder, told, false);
	assert_string_equal(told->text, "");
	result = check(folder, told, true);
	assert_int_equal(result.damaged_packs, 1);
	told_says(told, "is damaged: its bytes do not have its name");
	told_says(told, "/files/d/one: in snapshot ");
	assert_null(strstr(told->text, "/files/two:"));
	assert_null(strstr(told->text, "/files/small:"));
	/* In both snapshots: the folder it is in is another in each. */
	assert_int_equal(result.files_affected, 2);
	/* What is bad is not taken in again as long as it is damaged. */
	result = check(folder, told, false);
	assert_int_equal(result.damaged_packs, 1);
	assert_int_equal(result.files_affected, 2);
	qs_folder_close(folder);
	free(told);
}

static void
damage_of_its_head_or_directory_is_found_at_once(void **state)
{
	struct rig *rig = *state;
	struct qs_folder *folder = two_snapshots(rig);
	struct told *told = told_new();
	struct qs_check_result result;
	struct qs_name name;
	struct stat st;
	char path[512];

	object_of(rig, folder, "d/one", path, &name);
	assert_int_equal(stat(path, &st), 0);
	flip(path, st.st_size - 1);
	result = check(folder, told, false);
	assert_int_equal(result.damaged_packs, 1);
	told_says(told, "its directory does not verify");
	told_says(told, "/files/d/one: in snapshot ");
	qs_folder_close(folder);
	free(told);
}

static void
a_truncated_object_is_found_at_once(void **state)
{
	struct rig *rig = *state;
	struct qs_folder *folder = two_snapshots(rig);
	struct told *told = told_new();
	struct qs_check_result result;
	struct qs_name name;
	char path[512];

	object_of(rig, folder, "two", path, &name);
	assert_int_equal(chmod(path, 0600), 0);
	assert_int_equal(truncate(path, 131072), 0);
	result = check(folder, told, false);
	assert_int_equal(result.damaged_packs, 1);
	told_says(told, "its size is 131072 bytes");
	qs_folder_close(folder);
	free(told);
}

static void
a_wrong_index_is_put_right(void **state)
{
	struct rig *rig = *state;
	struct qs_folder *folder = two_snapshots(rig);
	struct qs_index *index = qs_folder_index(folder);
	struct told *told = told_new();
	struct qs_check_result result;
	struct qs_index_pack known;
	struct qs_pack_dir dir;
	struct qs_name name;
	char path[512], hex[17];
	uint32_t number = 0;

	object_of(rig, folder, "two", path, &name);
	OK(qs_index_pack_number(index, &name, &number, &err));
	OK(qs_index_pack(index, number, &known, &err));
	OK(qs_index_pack_dir(index, number, &dir, &err));
	OK(qs_index_forget(index, &name, &err));
	dir.chunks[0].id.b[5] ^= 1;
	OK(qs_index_add(index, &known.ref, &dir, &err));
	free(known.frames);
	qs_pack_dir_clear(&dir);
	result = check(folder, told, false);
	assert_int_equal(result.errors, 1);
	assert_int_equal(result.files_affected, 0);
	qs_hex(hex, name.b, 8);
	told_says(told, hex);
	told_says(told, "repaired");
	result = check(folder, told, false);
	assert_string_equal(told->text, "");
	qs_folder_close(folder);
	free(told);
}

static void
strange_files_are_told_and_do_no_harm(void **state)
{
	struct rig *rig = *state;
	struct qs_folder *folder = two_snapshots(rig);
	struct told *told = told_new();
	struct qs_check_result result;

	(void)rig_pack(folder, 3, false);
	rig_sh(rig, "cd store/*/obj && echo hi >notes.txt && "
		"echo t >.tmp-1-0123456789abcdef && "
		"echo t >../keys/.tmp-1-0123456789abcdef && "
		"touch ../keys/card.txt ../log/stray.txt ../beside.txt");
	result = check(folder, told, true);
	assert_int_equal(result.foreign_files, 4);
	assert_int_equal(result.unreferenced_packs, 1);
	assert_int_equal(result.errors, 0);
	assert_int_equal(told->count, 4);
	told_says(told, "obj/notes.txt in");
	told_says(told, "keys/card.txt in");
	told_says(told, "log/stray.txt in");
	told_says(told, "beside.txt in");
	qs_folder_close(folder);
	free(told);
}

static void
what_is_in_the_trash_is_there(void **state)
{
	struct rig *rig = *state;
	struct qs_folder *folder = two_snapshots(rig);
	struct told *told = told_new();
	struct qs_ref ref = {.area = QS_AREA_OBJ};
	struct qs_check_result result;
	char path[512];

	object_of(rig, folder, "two", path, &ref.name);
	OK(qs_store_trash(qs_folder_store(folder), &ref, &err));
	rig_sh(rig, "cd store/*/keys && mkdir ../hub && "
		"touch ../hub/catalogue.sqlite");
	result = check(folder, told, true);
	told_says(told, "");
	assert_int_equal(told->count, 0);
	assert_int_equal(result.missing_packs, 0);
	assert_int_equal(result.foreign_files, 0);
	qs_folder_close(folder);
	free(told);
}

static void
parts_and_shares_choose_some_packs(void **state)
{
	struct rig *rig = *state;
	struct qs_folder *folder = two_snapshots(rig);
	struct told *told = told_new();
	struct qs_check_options options = {.read_data = true, .parts = 3};
	struct qs_check_result result;
	uint64_t sum = 0;

	for (int i = 0; i < 4; i++) {
		char line[64];

		(void)snprintf(line, sizeof(line), "echo %d >files/x%d", i, i);
		rig_sh(rig, line);
		(void)rig_snap(rig, folder);
	}
	for (options.part = 1; options.part <= 3; options.part++)
		sum += check_with(folder, told, &options).packs_read;
	result = check(folder, told, true);
	assert_true(sum == result.packs);
	options = (struct qs_check_options){.read_data = true, .subset = 0.5};
	result = check_with(folder, told, &options);
	assert_true(result.packs_read == (result.packs + 1) / 2);
	options.subset = 0.000001;
	assert_int_equal(check_with(folder, told, &options).packs_read, 1);
	options = (struct qs_check_options){.parts = 3, .part = 4};
	assert_int_equal(qs_check(folder, &options, &told->report, &result,
		&err), QS_EINVAL);
	qs_folder_close(folder);
	free(told);
}

static void
a_lost_folder_is_named(void **state)
{
	struct rig *rig = *state;
	struct qs_folder *folder = rig_open(rig, "a");
	struct told *told = told_new();
	struct qs_check_result result;
	struct qs_name name;
	char path[512];

	/* d stays as it is; the second snapshot has its own pack of trees. */
	rig_sh(rig, "mkdir -p files/d && echo 1 >files/d/one");
	(void)rig_snap(rig, folder);
	rig_sh(rig, "echo 2 >files/two");
	(void)rig_snap(rig, folder);
	object_of(rig, folder, "d", path, &name);
	assert_int_equal(unlink(path), 0);
	result = check(folder, told, false);
	assert_int_equal(result.missing_packs, 1);
	told_says(told, "/files/d: in snapshot ");
	told_says(told, "this folder cannot be read");
	assert_true(result.files_affected >= 1);
	qs_folder_close(folder);
	free(told);
}

static void
a_file_of_many_chunks_is_told_once(void **state)
{
	struct rig *rig = *state;
	struct qs_folder *folder = rig_open(rig, "a");
	struct told *told = told_new();
	struct qs_check_result result;
	struct qs_name name;
	char path[512];
	const char *first;

	/* zz's chunks are looked up in two batches. */
	rig_sh(rig, "mkdir -p files && cd files && for i in $(seq 10000 "
		"12046); do echo $i >f$i; done; "
		"head -c 3000000 /dev/urandom >zz");
	(void)rig_snap(rig, folder);
	/* New trees, all of them; the data stays where it is. */
	rig_sh(rig, "touch -d @1000 files/f* files/zz");
	(void)rig_snap(rig, folder);
	object_of(rig, folder, "zz", path, &name);
	assert_int_equal(unlink(path), 0);
	result = check(folder, told, false);
	assert_int_equal(result.missing_packs, 1);
	first = strstr(told->text, "/files/zz: in snapshot");
	assert_non_null(first);
	assert_null(strstr(first + 1, "/files/zz: in snapshot"));
	/* All files once, and the root of the first snapshot. */
	assert_int_equal(result.files_affected, 2048 + 1);
	qs_folder_close(folder);
	free(told);
}

/* A forged snapshot, the newest: the tree of the last one, taken for a list. */
static void
save_misread(struct qs_folder *folder)
{
	const struct qs_snapshot *last = qs_folder_snapshot(folder,
		qs_folder_snapshot_count(folder) - 1);
	struct qs_payload payload = rig_payload(last->time_ns + 1, NULL);
	struct qs_snapshot *forged = &payload.snapshot;
	const size_t len = (size_t)last->root_count * QS_REF_LEN;
	struct qs_name record;

	free(forged->root_refs);
	forged->root_refs = malloc(len);
	memcpy(forged->root_refs, last->root_refs, len);
	forged->root_count = last->root_count;
	forged->root_depth = (uint8_t)(last->root_depth + 1);
	OK(qs_folder_append(folder, &payload, NULL, 0, &record, &err));
	qs_payload_clear(&payload);
}

static void
a_tree_taken_for_a_list_does_not_hide_the_tree(void **state)
{
	struct rig *rig = *state;
	struct qs_folder *folder = rig_open(rig, "a");
	struct told *told = told_new();
	struct qs_name name;
	char path[512];

	rig_sh(rig, "mkdir -p files && head -c 300000 /dev/urandom "
		">files/one");
	(void)rig_snap(rig, folder);
	/* The trees are in a pack of their own then. */
	rig_sh(rig, "touch -d @1000 files/one");
	(void)rig_snap(rig, folder);
	object_of(rig, folder, "one", path, &name);
	save_misread(folder);
	assert_int_equal(unlink(path), 0);
	(void)check(folder, told, false);
	told_says(told, "this folder cannot be read");
	told_says(told, "/files/one: in snapshot ");
	qs_folder_close(folder);
	free(told);
}

static void
cancelling_stops_it(void **state)
{
	struct rig *rig = *state;
	struct qs_folder *folder = two_snapshots(rig);
	struct told *told = told_new();
	const struct qs_check_options options = {.read_data = true};
	struct qs_check_result result;

	atomic_store(&told->progress.cancel, true);
	assert_int_equal(qs_check(folder, &options, &told->report, &result,
		&err), QS_ECANCELED);
	qs_folder_close(folder);
	free(told);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(a_sound_folder_has_no_findings),
		RIG_TEST(a_missing_object_and_its_files_are_named),
		RIG_TEST(an_object_that_comes_back_is_taken_in),
		RIG_TEST(damage_inside_is_found_by_reading),
		RIG_TEST(damage_of_its_head_or_directory_is_found_at_once),
		RIG_TEST(a_truncated_object_is_found_at_once),
		RIG_TEST(a_wrong_index_is_put_right),
		RIG_TEST(strange_files_are_told_and_do_no_harm),
		RIG_TEST(what_is_in_the_trash_is_there),
		RIG_TEST(parts_and_shares_choose_some_packs),
		RIG_TEST(a_lost_folder_is_named),
		RIG_TEST(a_file_of_many_chunks_is_told_once),
		RIG_TEST(a_tree_taken_for_a_list_does_not_hide_the_tree),
		RIG_TEST(cancelling_stops_it),
	};

	if (qs_crypto_init(&err) != QS_OK)
		return 1;
	return cmocka_run_group_tests_name("check", tests, NULL, NULL);
}
