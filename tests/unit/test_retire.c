/* SPDX-License-Identifier: ISC */
/*
 * What is in use is found, whatever snapshots and machines it is in use by, and
 * packed anew chunk by chunk; what can't be read stops everything.
 */
#include "snapshot_rig.h"

#include "retention/retention_internal.h"

static const struct qs_retire_options tight = {.max_unused = 0,
	.level = QS_LEVEL_FASTEST};

static void
write_file(struct rig *rig, const char *name, unsigned seed, size_t len)
{
	char path[256];
	uint8_t *data = malloc(len);
	FILE *file;

	(void)snprintf(path, sizeof(path), "%s/files/%s", rig->root, name);
	srandom(seed);
	for (size_t i = 0; i < len; i++)
		data[i] = (uint8_t)random();
	file = fopen(path, "w");
	assert_non_null(file);
	assert_int_equal(fwrite(data, 1, len, file), len);
	assert_int_equal(fclose(file), 0);
	free(data);
}

static struct qs_retire_result
retire(struct qs_folder *folder)
{
	struct qs_retire_result result = {0};

	OK(qs_retire(folder, &tight, NULL, &result, &err));
	assert_false(result.is_void);
	return result;
}

/* Everything that is remembered is there, down to the last byte. */
static void
is_whole(struct rig *rig, const char *machine)
{
	struct qs_folder *folder = rig_open(rig, machine);
	const struct qs_check_options options = {.read_data = true,
		.subset = 1};
	struct told *told = told_new();
	struct qs_check_result result;

	OK(qs_check(folder, &options, &told->report, &result, &err));
	assert_string_equal(told->text, "");
	assert_int_equal(result.errors, 0);
	free(told);
	qs_folder_close(folder);
}

static struct qs_name
name_of(const struct qs_snapshot *snapshot)
{
	return snapshot->record;
}

/* Two snapshots; the first has 2 MB that the second has not. */
static struct qs_folder *
two_snapshots(struct rig *rig, struct qs_name *first)
{
	struct qs_folder *folder;

	rig_sh(rig, "mkdir files");
	write_file(rig, "shared", 1, 500000);
	write_file(rig, "small", 2, 3000);
	write_file(rig, "gone", 3, 2000000);
	folder = rig_open(rig, "a");
	*first = name_of(rig_snap(rig, folder));
	rig_sh(rig, "rm files/gone");
	(void)rig_snap(rig, folder);
	return folder;
}

static void
what_is_remembered_is_in_use(void **state)
{
	struct rig *rig = *state;
	struct qs_name first;
	struct qs_folder *folder = two_snapshots(rig, &first);
	struct qs_retire_result result = retire(folder);

	assert_int_equal(result.retired, 0);
	assert_int_equal(result.snapshots, 2);
	assert_int_equal(result.written, 0);
	qs_folder_close(folder);
	is_whole(rig, "b");
}

static void
a_pack_partly_in_use_is_packed_anew(void **state)
{
	struct rig *rig = *state;
	struct qs_name first;
	struct qs_folder *folder = two_snapshots(rig, &first);
	struct qs_retire_result result;

	OK(qs_forget(folder, &first, 1, &err));
	assert_int_equal(qs_folder_snapshot_count(folder), 1);
	assert_int_equal(qs_forgotten_count(folder), 1);
	result = retire(folder);
	assert_int_equal(result.repacked, 1);
	assert_true(result.written >= 1);
	assert_true(result.written_bytes < result.repacked_bytes);
	/* Said again there is nothing left to do. */
	result = retire(folder);
	assert_int_equal(result.retired, 0);
	assert_int_equal(result.waste_bytes, 0);
	qs_folder_close(folder);
	is_whole(rig, "a");
	is_whole(rig, "b");
}

static void
enough_may_stay_unused(void **state)
{
	struct rig *rig = *state;
	struct qs_retire_options options = tight;
	struct qs_retire_result result;
	struct qs_name first;
	struct qs_folder *folder = two_snapshots(rig, &first);

	OK(qs_forget(folder, &first, 1, &err));
	options.is_unlimited = true;
	options.dry_run = true;
	OK(qs_retire(folder, &options, NULL, &result, &err));
	assert_int_equal(result.repacked, 0);
	assert_true(result.waste_bytes > 1900000);
	options.is_unlimited = false;
	options.max_unused = 0.9;
	OK(qs_retire(folder, &options, NULL, &result, &err));
	assert_int_equal(result.repacked, 0);
	options.has_bytes = true;
	options.max_unused_bytes = 1000000;
	OK(qs_retire(folder, &options, NULL, &result, &err));
	assert_int_equal(result.repacked, 1);
	qs_folder_close(folder);
}

static void
other_machines_snapshots_are_in_use(void **state)
{
	struct rig *rig = *state;
	struct qs_name first;
	struct qs_folder *a = two_snapshots(rig, &first), *b;
	struct qs_retire_options options = tight;
	struct qs_retire_result result;

	/* b saves what only a's first has, into no pack of its own. */
	write_file(rig, "gone", 3, 2000000);
	b = rig_open(rig, "b");
	(void)rig_snap(rig, b);
	qs_folder_close(b);
	OK(qs_forget(a, &first, 1, &err));
	qs_folder_close(a);
	a = rig_open(rig, "a");
	options.max_unused = 0.05;
	OK(qs_retire(a, &options, NULL, &result, &err));
	assert_int_equal(result.repacked, 0);
	(void)retire(a);
	qs_folder_close(a);
	is_whole(rig, "c");
}

static void
a_snapshot_meanwhile_makes_it_void(void **state)
{
	struct rig *rig = *state;
	struct qs_name first;
	struct qs_folder *a = two_snapshots(rig, &first), *b;
	struct qs_retire_result result = {0};

	OK(qs_forget(a, &first, 1, &err));
	/* a has walked the log; b saves now. */
	b = rig_open(rig, "b");
	write_file(rig, "gone", 3, 2000000);
	(void)rig_snap(rig, b);
	qs_folder_close(b);
	OK(qs_retire(a, &tight, NULL, &result, &err));
	assert_true(result.is_void);
	qs_folder_close(a);
	is_whole(rig, "c");
	a = rig_open(rig, "a");
	(void)retire(a);
	qs_folder_close(a);
	is_whole(rig, "d");
}

static void
this_machines_other_process_stops_it(void **state)
{
	struct rig *rig = *state;
	struct qs_name first;
	struct qs_folder *a = two_snapshots(rig, &first), *again;
	struct qs_retire_result result;

	OK(qs_forget(a, &first, 1, &err));
	again = rig_open(rig, "a");
	(void)rig_snap(rig, again);
	qs_folder_close(again);
	assert_int_equal(qs_retire(a, &tight, NULL, &result, &err),
		QS_ECONFLICT);
	qs_folder_close(a);
	is_whole(rig, "b");
	/* The packs that it had written are not written again. */
	a = rig_open(rig, "a");
	result = retire(a);
	assert_int_equal(result.written, 0);
	assert_true(result.retired > 0);
	qs_folder_close(a);
	is_whole(rig, "c");
}

static void
what_cannot_be_read_stops_it(void **state)
{
	struct rig *rig = *state;
	struct qs_name first;
	struct qs_folder *a = two_snapshots(rig, &first);
	struct qs_retire_result result;

	OK(qs_forget(a, &first, 1, &err));
	qs_folder_close(a);
	/* The pack with what both snapshots have. */
	rig_sh(rig, "mv $(find store -path '*/obj/*' -type f -size +1000k) .");
	a = rig_open(rig, "a");
	assert_int_equal(qs_retire(a, &tight, NULL, &result, &err),
		QS_ECORRUPT);
	assert_non_null(strstr(err.msg, "nothing is retired"));
	assert_non_null(strstr(err.msg, "qstore check"));
	qs_folder_close(a);
}

static void
it_takes_the_admin_key(void **state)
{
	struct rig *rig = *state;
	struct qs_name first;
	struct qs_folder *folder = two_snapshots(rig, &first);
	struct qs_retire_result result;

	qs_folder_close(folder);
	memset(rig->secret.adm_seed, 0, sizeof(rig->secret.adm_seed));
	folder = rig_open(rig, "a");
	assert_int_equal(qs_retire(folder, &tight, NULL, &result, &err),
		QS_EKEY);
	OK(qs_forget(folder, &first, 1, &err)); /* which that does not */
	qs_folder_close(folder);
}

static void
forgetting_and_remembering_is_seen_by_all(void **state)
{
	struct rig *rig = *state;
	struct qs_name first;
	struct qs_folder *a = two_snapshots(rig, &first), *b;
	struct qs_undelete_result back;

	OK(qs_forget(a, &first, 1, &err));
	b = rig_open(rig, "b");
	assert_int_equal(qs_forgotten_count(b), 1);
	/* a may have another clock: the later note stands all the same. */
	OK(qs_undelete(b, &first, 1, NULL, NULL, NULL, &back, &err));
	assert_int_equal(back.remembered, 1);
	assert_int_equal(back.brought_back, 0);
	assert_int_equal(qs_folder_snapshot_count(b), 2);
	qs_folder_close(b);
	qs_folder_close(a);
	a = rig_open(rig, "a");
	assert_int_equal(qs_folder_snapshot_count(a), 2);
	assert_int_equal(qs_forgotten_count(a), 0);
	qs_folder_close(a);
}

static void
retired_objects_come_back(void **state)
{
	struct rig *rig = *state;
	struct qs_name first;
	struct qs_folder *a = two_snapshots(rig, &first);
	struct qs_undelete_result back;

	OK(qs_forget(a, &first, 1, &err));
	(void)retire(a);
	OK(qs_undelete(a, &first, 1, NULL, NULL, NULL, &back, &err));
	assert_int_equal(back.incomplete, 0);
	assert_int_equal(back.brought_back, 1);
	assert_int_equal(retire(a).lost, 0);
	qs_folder_close(a);
	is_whole(rig, "a");
	is_whole(rig, "b");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(what_is_remembered_is_in_use),
		RIG_TEST(a_pack_partly_in_use_is_packed_anew),
		RIG_TEST(enough_may_stay_unused),
		RIG_TEST(other_machines_snapshots_are_in_use),
		RIG_TEST(a_snapshot_meanwhile_makes_it_void),
		RIG_TEST(this_machines_other_process_stops_it),
		RIG_TEST(what_cannot_be_read_stops_it),
		RIG_TEST(it_takes_the_admin_key),
		RIG_TEST(forgetting_and_remembering_is_seen_by_all),
		RIG_TEST(retired_objects_come_back),
	};

	if (qs_crypto_init(&err) != QS_OK)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
