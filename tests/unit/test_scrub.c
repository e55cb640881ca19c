/* SPDX-License-Identifier: ISC */
/* Unit tests of qs_scrub, qs_hub_status: what is found and written down. */
#include "tests/unit/scrub_rig.h"

/* ------------------------------------------------------------- clean */

static void
a_whole_folder_is_clean_and_gets_its_rows(void **state)
{
	struct rig *rig = *state;
	struct qs_hub_status before = status(rig), after;
	struct qs_ref record = {.area = QS_AREA_LOG, .seq = 4,
		.name = rig->world->device[0][4].name};

	assert_false(before.has_catalogue);
	assert_int_equal(before.objects, OBJECTS);
	assert_int_equal(access(path_of(rig, "hub"), F_OK), -1);
	scrub(rig, QS_SCRUB_FAST);
	is_clean(rig);
	scrub(rig, QS_SCRUB_FAST);
	is_clean(rig);
	scrub(rig, QS_SCRUB_FULL);
	is_clean(rig);
	after = status(rig);
	assert_true(after.has_catalogue);
	assert_int_equal(after.objects, OBJECTS);
	assert_int_equal(after.records, 8);
	assert_int_equal(after.slots, 1);
	assert_true(after.bytes == before.bytes);
	assert_true(after.last_record_ms > 0);
	assert_true(after.last_scrub_ms > 0);
	assert_true(after.backlog == UINT64_MAX);
	memcpy(record.device, rig->world->devices[0].pk, QS_DEVICE_LEN);
	assert_int_equal(row_of(rig, &record).record_type, QS_RECORD_SNAPSHOT);
	assert_true(object_row(rig, 0).has_xxh3);
}

static enum qs_code
check_order(void *arg, const struct qs_item *item, struct qs_err *failure)
{
	struct qs_item *last = arg;

	(void)failure;
	/* objects, slots, records; each device's in order */
	if (item->ref.area == QS_AREA_OBJ)
		assert_int_equal(last->ref.area == 0 ? QS_AREA_OBJ :
			last->ref.area, QS_AREA_OBJ);
	if (item->ref.area == QS_AREA_LOG && last->ref.area != QS_AREA_LOG)
		assert_int_equal(item->record_type, QS_RECORD_GENESIS);
	if (item->ref.area == QS_AREA_LOG && last->ref.area == QS_AREA_LOG &&
		memcmp(item->ref.device, last->ref.device, 8) == 0)
		assert_true(item->ref.seq == last->ref.seq + 1);
	*last = *item;
	return QS_OK;
}

static void
rows_come_in_an_order_in_which_files_could_have(void **state)
{
	struct rig *rig = *state;
	struct qs_scrub_options options = options_of(rig, QS_SCRUB_FAST);
	struct qs_item last = {.number = 0};
	struct qs_catalogue *catalogue;
	uint64_t number;

	scrub(rig, QS_SCRUB_FAST);
	number = object_row(rig, 0).number;
	options.rebuild = true;
	scrub_with(rig, &options);
	is_clean(rig);
	assert_true(object_row(rig, 0).number > number);
	catalogue = open_catalogue(rig);
	OK(qs_catalogue_each(catalogue, 0, 0, check_order, &last, &err));
	assert_int_equal(last.ref.area, QS_AREA_LOG);
	OK(qs_catalogue_fact_put(catalogue, "transfer_since", last.number - 3,
		&err));
	OK(qs_catalogue_fact_put(catalogue, "refused_total", 5, &err));
	qs_catalogue_close(catalogue);
	assert_int_equal(status(rig).backlog, 3);
	assert_int_equal(status(rig).refused, 5);
}

/* ------------------------------------------------------------ damage */

static void
damage_is_found_either_way_written_down_and_taken_back(void **state)
{
	struct rig *rig = *state;
	const enum qs_scrub_depth depths[] = {QS_SCRUB_FAST, QS_SCRUB_FULL};

	scrub(rig, QS_SCRUB_FAST);
	for (unsigned i = 0; i < 2; i++) {
		world_damage(object_path(rig, 3), 65000);
		scrub(rig, depths[i]);
		says(rig, "damaged: object ");
		says(rig, "do not match");
		assert_int_equal(rig->result.damaged, 1);
		assert_int_equal(object_row(rig, 3).state, QS_ITEM_DAMAGED);
		assert_int_equal(status(rig).scrub_findings, 1);
		world_damage(object_path(rig, 3), 65000); /* and back */
		scrub(rig, depths[i]);
		is_clean(rig);
		assert_int_equal(object_row(rig, 3).state, QS_ITEM_HERE);
		assert_int_equal(status(rig).scrub_findings, 0);
	}
}

static void
damage_from_before_the_catalogue_is_found_too(void **state)
{
	struct rig *rig = *state;

	world_damage(object_path(rig, 0), 5);
	scrub(rig, QS_SCRUB_FAST);
	assert_int_equal(rig->result.damaged, 1);
	scrub(rig, QS_SCRUB_FAST);
	assert_int_equal(rig->result.damaged, 1);
}

static void
a_wrong_catalogue_is_no_damage(void **state)
{
	struct rig *rig = *state;
	struct qs_catalogue *catalogue;
	struct qs_item item;

	scrub(rig, QS_SCRUB_FAST);
	item = object_row(rig, 5);
	item.xxh3 ^= 1;
	catalogue = open_catalogue(rig);
	OK(qs_catalogue_update(catalogue, &item, &err));
	qs_catalogue_close(catalogue);
	scrub(rig, QS_SCRUB_FAST);
	is_clean(rig);
	assert_true(object_row(rig, 5).xxh3 == (item.xxh3 ^ 1));
}

static void
what_is_gone_is_missing_and_its_snapshot_incomplete(void **state)
{
	struct rig *rig = *state;

	/* One that never had a row, and one that had. */
	assert_int_equal(unlink(object_path(rig, 1)), 0);
	scrub(rig, QS_SCRUB_FAST);
	assert_int_equal(unlink(object_path(rig, 2)), 0);
	scrub(rig, QS_SCRUB_FAST);
	assert_int_equal(rig->result.missing, 2);
	assert_int_equal(rig->result.incomplete, 1);
	says(rig, "number 4): 2 of the 12 objects");
	assert_int_equal(object_row(rig, 2).state, QS_ITEM_MISSING);
	assert_int_equal(status(rig).objects, OBJECTS - 2);
}

static void
troubles_of_the_log_are_told(void **state)
{
	struct rig *rig = *state;

	world_damage(rig->world->device[0][2].path, 300);
	assert_int_equal(unlink(rig->world->device[0][1].path), 0);
	scrub(rig, QS_SCRUB_FULL);
	says(rig, "log: ");
	says(rig, "damaged: log record");
	assert_true(rig->result.troubles >= 2);
	assert_int_equal(rig->result.damaged, 1);
	/* Without its beginning nothing in the log can be believed. */
	assert_int_equal(unlink(rig->world->admin[0].path), 0);
	scrub(rig, QS_SCRUB_FAST);
	says(rig, "log: ");
	assert_true(rig->result.finished);
}

static void
hostile_files_are_told_and_do_no_harm(void **state)
{
	struct rig *rig = *state;
	int fd;

	scrub(rig, QS_SCRUB_FAST);
	assert_int_equal(unlink(object_path(rig, 0)), 0);
	assert_int_equal(mkfifo(object_path(rig, 0), 0600), 0);
	assert_int_equal(unlink(object_path(rig, 1)), 0);
	assert_int_equal(symlink("/dev/zero", object_path(rig, 1)), 0);
	assert_int_equal(unlink(object_path(rig, 2)), 0);
	assert_int_equal(mkdir(object_path(rig, 2), 0700), 0);
	assert_int_equal(unlink(object_path(rig, 3)), 0);
	fd = open(object_path(rig, 3), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)1 << 42), 0);
	qs_fd_close(&fd);
	assert_int_equal(truncate(object_path(rig, 4), 0), 0);
	fd = open(path_of(rig, "obj/stranger"), O_WRONLY | O_CREAT | O_CLOEXEC,
		0600);
	qs_fd_close(&fd);
	scrub(rig, QS_SCRUB_FAST);
	assert_int_equal(rig->result.damaged, 5);
	assert_true(rig->result.foreign >= 1);
	says(rig, "foreign: obj/stranger is no file of this store");
	says(rig, "it is not a regular file");
	says(rig, "4398046511104 bytes");
	/* The same, when they were there before the catalogue. */
	assert_int_equal(unlink(path_of(rig, "hub/catalogue.sqlite")), 0);
	scrub(rig, QS_SCRUB_FULL);
	assert_int_equal(rig->result.damaged, 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_whole_folder_is_clean_and_gets_its_rows),
		T(rows_come_in_an_order_in_which_files_could_have),
		T(damage_is_found_either_way_written_down_and_taken_back),
		T(damage_from_before_the_catalogue_is_found_too),
		T(a_wrong_catalogue_is_no_damage),
		T(what_is_gone_is_missing_and_its_snapshot_incomplete),
		T(troubles_of_the_log_are_told),
		T(hostile_files_are_told_and_do_no_harm),
	};

	return cmocka_run_group_tests_name("scrub", tests, NULL, NULL);
}
