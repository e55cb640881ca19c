/* SPDX-License-Identifier: ISC */
/* Unit tests of hub/: tidying up, with a clock that is moved on by hand. */
#include <sys/stat.h>
#include <unistd.h>

#include "tidy_fixture.h"

/* Two objects in snapshot 4 of device 0, of which a RETIRE names the first. */
static void
one_of_two(struct world *world, struct qs_name names[static 2])
{
	struct qs_name sorted[2];

	names[0] = put(world, 1);
	names[1] = put(world, 2);
	memcpy(sorted, names, sizeof(sorted));
	snapshot(world, 0, 4, 0, sorted, 2);
	retire(world, 3, 4, names, 1);
}

/* --------------------------------------------------------------- the days */

static void
retired_goes_into_the_trash_and_then_for_good(void **state)
{
	struct world *world = *state;
	struct qs_name names[2];
	struct qs_tidy_result result;

	one_of_two(world, names);
	result = tidy(world, 0);
	assert_int_equal(result.retired, 1);
	assert_int_equal(result.retired_bytes, 4096);
	assert_int_equal(result.trashed + result.purged, 0);
	result = tidy(world, 13);
	assert_int_equal(result.trashed, 0);
	assert_int_equal(listed(world, QS_AREA_OBJ), 2);
	result = tidy(world, 14);
	assert_int_equal(result.trashed, 1);
	assert_int_equal(result.trashed_bytes, 4096);
	assert_int_equal(result.retired, 0);
	assert_int_equal(listed(world, QS_AREA_OBJ), 1);
	assert_true(is_readable(world, &names[0]));
	/* It came into the trash just now, by the file's own clock. */
	result = tidy(world, 29);
	assert_int_equal(result.purged, 0);
	result = tidy(world, 30);
	assert_int_equal(result.purged, 1);
	assert_int_equal(result.purged_bytes, 4096);
	assert_false(is_readable(world, &names[0]));
	assert_true(is_readable(world, &names[1]));
	result = tidy(world, 400);
	assert_int_equal(result.trashed + result.purged + result.postponed, 0);
	assert_true(is_readable(world, &names[1]));
}

static void
a_day_takes_its_share_only(void **state)
{
	struct world *world = *state;
	struct qs_name names[10];
	struct qs_tidy_options options;
	struct qs_tidy_result result;

	for (uint8_t i = 0; i < 10; i++)
		names[i] = put(world, (uint8_t)(10 + i));
	snapshot(world, 0, 4, 0, names, 10);
	retire(world, 3, 4, names, 8);
	options = after(20);
	options.share = 20;
	result = tidy_as(world, &options);
	/* A fifth of 40 KiB, less the rounding. */
	assert_int_equal(result.trashed, 1);
	assert_int_equal(result.postponed, 7);
	result = tidy_as(world, &options); /* the same day */
	assert_int_equal(result.trashed, 0);
	assert_int_equal(result.postponed, 7);
	options = after(21);
	options.share = 1; /* less than one: one at least */
	result = tidy_as(world, &options);
	assert_int_equal(result.trashed, 1);
	options = after(22);
	options.share = 100;
	result = tidy_as(world, &options);
	assert_int_equal(result.trashed, 6);
	/* The same for what goes for good. */
	options = after(60);
	options.share = 50;
	result = tidy_as(world, &options);
	/* Half of the ten, most of them in the trash; less the rounding. */
	assert_int_equal(result.purged, 4);
	assert_int_equal(result.postponed, 4);
	result = tidy_as(world, &options);
	assert_int_equal(result.purged, 0);
	options = after(61);
	options.share = 50;
	result = tidy_as(world, &options);
	assert_int_equal(result.purged, 2);
}

static void
clock_that_was_put_back_does_nothing(void **state)
{
	struct world *world = *state;
	struct qs_name names[2];
	struct qs_tidy_options options;
	struct qs_tidy_result result;

	one_of_two(world, names);
	options = after(0);
	options.now_ns -= INT64_C(400) * 86400000000000;
	result = tidy_as(world, &options);
	assert_int_equal(result.trashed, 0);
	(void)tidy(world, 20);
	assert_int_equal(listed(world, QS_AREA_OBJ), 1);
	result = tidy_as(world, &options);
	assert_int_equal(result.purged, 0);
	assert_true(is_readable(world, &names[0]));
	/* A day that was there already does not begin anew. */
	(void)put(world, 3);
	retire(world, 4, 4, names, 2);
	(void)tidy(world, 40);
	result = tidy(world, 39);
	assert_int_equal(result.trashed + result.purged, 0);
}

/* ---------------------------------------------------------- what is in use */

static void
snapshot_that_knew_nothing_brings_it_back(void **state)
{
	struct world *world = *state;
	struct qs_name names[2];
	struct qs_tidy_result result;

	one_of_two(world, names);
	(void)tidy(world, 20);
	assert_int_equal(listed(world, QS_AREA_OBJ), 1);
	snapshot(world, 1, 0, 0, NULL, 0);
	result = tidy(world, 20);
	assert_int_equal(result.restored, 1);
	assert_int_equal(result.void_retirements, 1);
	assert_int_equal(listed(world, QS_AREA_OBJ), 2);
	result = tidy(world, 400);
	assert_int_equal(result.trashed + result.purged, 0);
}

static void
record_that_can_not_be_read_keeps_all(void **state)
{
	struct world *world = *state;
	struct qs_name names[2];
	struct qs_tidy_result result;
	struct qs_mark mark;
	char path[512], device[17], folder[33], hex[65];

	one_of_two(world, names);
	snapshot(world, 1, 0, 3, NULL, 0);
	(void)tidy(world, 20);
	assert_int_equal(listed(world, QS_AREA_OBJ), 1);
	mark = world_mark(world, 1, &world->device[1][0]);
	qs_hex(folder, world->keys->folder_id, 16);
	qs_hex(device, mark.device, 8);
	qs_hex(hex, mark.name.b, 32);
	(void)snprintf(path, sizeof(path), "%s/%s/log/%s/%016x-%s", world->dir,
		folder, device, 0u, hex);
	world_damage(path, 300);
	result = tidy(world, 400);
	assert_int_equal(result.restored, 1);
	assert_int_equal(result.purged, 0);
	assert_int_equal(listed(world, QS_AREA_OBJ), 2);
}

static void
what_no_record_names_goes_later(void **state)
{
	struct world *world = *state;
	struct qs_name left = put(world, 7), names[2];
	struct qs_tidy_result result;

	one_of_two(world, names);
	snapshot(world, 0, 5, 3, names, 1); /* in use again */
	result = tidy(world, 59);
	assert_int_equal(result.trashed, 0);
	result = tidy(world, 60);
	assert_int_equal(result.trashed, 1);
	assert_int_equal(listed(world, QS_AREA_OBJ), 2);
	assert_true(is_readable(world, &left));
	/* The snapshot that was so slow names it at last. */
	snapshot(world, 0, 6, 3, &left, 1);
	assert_int_equal(listed(world, QS_AREA_OBJ), 3);
	result = tidy(world, 400);
	assert_int_equal(result.trashed + result.purged, 0);
}

static void
nothing_is_an_orphan_while_the_log_is_in_doubt(void **state)
{
	struct world *world = *state;
	struct qs_tidy_result result;

	(void)put(world, 7);
	world_damage(world->device[0][3].path, 300);
	result = tidy(world, 400);
	assert_int_equal(result.trashed, 0);
	assert_int_equal(listed(world, QS_AREA_OBJ), 1);
}

static void
lose(struct world *world, unsigned seq)
{
	char line[600];

	(void)snprintf(line, sizeof(line), "rm %s/*/log/*/%016x-*", world->dir,
		seq);
	assert_int_equal(system(line), 0);
}

/* What a lost record listed is in use by those after it. */
static void
nothing_is_an_orphan_while_a_record_is_missing(void **state)
{
	struct world *world = *state;
	struct qs_name name = put(world, 7);
	struct qs_tidy_result result;

	snapshot(world, 0, 4, 0, &name, 1);
	snapshot(world, 0, 5, 0, NULL, 0);
	lose(world, 4);
	result = tidy(world, 400);
	assert_int_equal(result.trashed, 0);
	assert_int_equal(listed(world, QS_AREA_OBJ), 1);
}

/* Lost, or not here yet: what the device has listed is in use all the same. */
static void
nothing_goes_while_a_certificate_is_missing(void **state)
{
	struct world *world = *state;
	struct qs_name name = put(world, 7);
	struct qs_tidy_result result;

	snapshot(world, 1, 0, 0, &name, 1);
	assert_int_equal(unlink(world->admin[2].path), 0);
	result = tidy(world, 400);
	assert_int_equal(result.trashed, 0);
	assert_int_equal(listed(world, QS_AREA_OBJ), 1);
}

static void
scrub(struct world *world, bool rebuild)
{
	const struct qs_scrub_options options = {.rebuild = rebuild};
	struct qs_scrub_result result;

	help_ok(qs_scrub(world->dir, world->keys->folder_id, &options, &result,
		&err), &err);
}

/* The newest of a chain: there is no gap, only the catalogue knows of it. */
static void
record_that_a_scrub_has_missed_keeps_what_it_listed(void **state)
{
	struct world *world = *state;
	struct qs_name name = put(world, 7);

	snapshot(world, 0, 4, 0, &name, 1);
	scrub(world, false);
	lose(world, 4);
	for (unsigned i = 0; i < 4; i++) {
		/* Noted as missing, and forgotten were it not a record's. */
		if (i > 0)
			scrub(world, i == 3);
		(void)tidy(world, 400 + 50 * i);
		assert_int_equal(listed(world, QS_AREA_OBJ), 1);
	}
}

/* It kept a RETIRE from counting. */
static void
lost_record_makes_no_retirement_count(void **state)
{
	struct world *world = *state;
	struct qs_name name = put(world, 7);
	struct qs_tidy_result result;

	retire(world, 3, 3, &name, 1);
	snapshot(world, 0, 4, 0, &name, 1);
	scrub(world, false);
	result = tidy(world, 400);
	assert_int_equal(result.trashed, 0);
	assert_int_equal(result.void_retirements, 1);
	lose(world, 4);
	result = tidy(world, 401);
	assert_int_equal(result.trashed, 0);
	assert_int_equal(result.void_retirements, 1);
	assert_int_equal(listed(world, QS_AREA_OBJ), 1);
}

/* ----------------------------------------------------- other ways to run */

static void
dry_run_tells_and_does_nothing(void **state)
{
	struct world *world = *state;
	struct qs_name names[2];
	struct qs_tidy_options options;
	struct qs_tidy_result result;

	one_of_two(world, names);
	options = after(20);
	options.dry_run = true;
	result = tidy_as(world, &options);
	assert_int_equal(result.trashed, 1);
	assert_int_equal(listed(world, QS_AREA_OBJ), 2);
	result = tidy_as(world, &options);
	assert_int_equal(result.trashed, 1);
	(void)tidy(world, 20);
	options = after(60);
	options.dry_run = true;
	result = tidy_as(world, &options);
	assert_int_equal(result.purged, 1);
	assert_true(is_readable(world, &names[0]));
}

static void
without_a_catalogue_it_goes_on(void **state)
{
	struct world *world = *state;
	struct qs_name names[2];
	struct qs_tidy_options options;
	struct qs_tidy_result result;
	char path[512], folder[33];
	FILE *file;

	qs_hex(folder, world->keys->folder_id, 16);
	(void)snprintf(path, sizeof(path), "%s/%s/hub", world->dir, folder);
	file = fopen(path, "w"); /* so there can be none */
	assert_non_null(file);
	assert_int_equal(fclose(file), 0);
	one_of_two(world, names);
	retire(world, 4, 4, names, 2);
	options = after(20);
	options.share = 10;
	result = tidy_as(world, &options);
	assert_int_equal(result.trashed, 1);
	assert_int_equal(result.postponed, 1);
	result = tidy(world, 60);
	assert_int_equal(result.trashed, 1);
	assert_int_equal(result.purged, 1);
}

static void
undelete_brings_all_back_and_holds(void **state)
{
	struct world *world = *state;
	struct qs_name names[2];
	struct qs_tidy_result result;
	uint64_t restored;

	one_of_two(world, names);
	(void)tidy(world, 20);
	help_ok(qs_tidy_undelete(world->dir, world->keys->folder_id, 100,
		&restored, &err), &err);
	assert_int_equal(restored, 1);
	assert_int_equal(listed(world, QS_AREA_OBJ), 2);
	result = tidy(world, 99);
	assert_int_equal(result.trashed, 0);
	assert_int_equal(result.retired, 1);
	result = tidy(world, 101);
	assert_int_equal(result.trashed, 1);
	help_ok(qs_tidy_undelete(world->dir, world->keys->folder_id, 0,
		&restored, &err), &err);
	result = tidy(world, 20);
	assert_int_equal(result.trashed, 0); /* that day's share is used up */
	result = tidy(world, 102);
	assert_int_equal(result.trashed, 1);
}

static void
retired_slot_is_not_served_any_more(void **state)
{
	struct world *world = *state;
	struct qs_store *store = world->store;
	uint8_t slot[QS_SLOT_LEN] = {1};
	struct qs_name names[2], other;
	struct qs_tidy_result result;

	help_ok(store->ops->put_key(store->self, qs_span(slot, sizeof(slot)),
		&names[0], &err), &err);
	retire(world, 3, 3, names, 1);
	/* The last one stays, whatever was said. */
	result = tidy(world, 0);
	assert_int_equal(result.trashed, 0);
	slot[0] = 2;
	help_ok(store->ops->put_key(store->self, qs_span(slot, sizeof(slot)),
		&other, &err), &err);
	/* Also where a snapshot knew nothing of it. */
	snapshot(world, 1, 0, 0, NULL, 0);
	result = tidy(world, 0);
	assert_int_equal(result.trashed, 1);
	assert_int_equal(listed(world, QS_AREA_KEYS), 1);
	result = tidy(world, 20);
	assert_int_equal(result.restored, 0);
	result = tidy(world, 31);
	assert_int_equal(result.purged, 1);
}

static void
folder_with_nothing_in_its_log_is_left_alone(void **state)
{
	struct world *world = *state;
	struct qs_tidy_result result;
	char line[600], folder[33];

	(void)put(world, 7);
	qs_hex(folder, world->keys->folder_id, 16);
	(void)snprintf(line, sizeof(line), "%s/%s/log", world->dir, folder);
	(void)snprintf(line, sizeof(line), "rm -r %s/%s/log", world->dir,
		folder);
	assert_int_equal(system(line), 0);
	result = tidy(world, 400);
	assert_int_equal(result.trashed, 0);
	assert_int_equal(listed(world, QS_AREA_OBJ), 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_TEST(retired_goes_into_the_trash_and_then_for_good),
		WORLD_TEST(a_day_takes_its_share_only),
		WORLD_TEST(clock_that_was_put_back_does_nothing),
		WORLD_TEST(snapshot_that_knew_nothing_brings_it_back),
		WORLD_TEST(record_that_can_not_be_read_keeps_all),
		WORLD_TEST(what_no_record_names_goes_later),
		WORLD_TEST(nothing_is_an_orphan_while_the_log_is_in_doubt),
		WORLD_TEST(nothing_is_an_orphan_while_a_record_is_missing),
		WORLD_TEST(nothing_goes_while_a_certificate_is_missing),
		WORLD_TEST(record_that_a_scrub_has_missed_keeps_what_it_listed),
		WORLD_TEST(lost_record_makes_no_retirement_count),
		WORLD_TEST(dry_run_tells_and_does_nothing),
		WORLD_TEST(without_a_catalogue_it_goes_on),
		WORLD_TEST(undelete_brings_all_back_and_holds),
		WORLD_TEST(retired_slot_is_not_served_any_more),
		WORLD_TEST(folder_with_nothing_in_its_log_is_left_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
