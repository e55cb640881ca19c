/* SPDX-License-Identifier: ISC */
/*
 * Unit tests of store/: the walk over a folder's log, in a directory store
 * whose files are damaged, dropped, replayed and forked.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/suite/log_world.h"

/* ------------------------------------------------------------- in order */

static void
a_whole_log_is_visited_in_order(void **state)
{
	struct world *world = *state;
	struct seen seen = world_walk(world, NULL, 0, 7, 0);

	for (size_t i = 0; i < 3; i++)
		assert_memory_equal(seen.names[i].b, world->admin[i].name.b,
			32);
	for (size_t i = 0; i < 4; i++)
		assert_memory_equal(seen.names[3 + i].b,
			world->device[0][i].name.b, 32);
}

static void
an_empty_log_has_no_trouble(void **state)
{
	struct world *world = *state;

	for (size_t i = 0; i < 3; i++)
		(void)unlink(world->admin[i].path);
	for (size_t i = 0; i < 4; i++)
		(void)unlink(world->device[0][i].path);
	(void)world_walk(world, NULL, 0, 0, 0);
}

static void
the_visitors_failure_stops_the_walk(void **state)
{
	struct world *world = *state;
	struct seen seen = {.stop_with = QS_ECANCELED};
	struct qs_err err;

	help_fails(qs_log_walk(world->store, NULL, NULL, 0, world_take_record,
		world_take_trouble, &seen, &err), &err, QS_ECANCELED,
		"stopped");
	assert_int_equal(seen.record_count, 1);
}

/* --------------------------------------------------------------- damage */

static void
a_damaged_record_costs_only_itself(void **state)
{
	struct world *world = *state;
	struct seen seen;

	world_damage(world->device[0][1].path, 300);
	seen = world_walk(world, NULL, 0, 6, 1);
	world_says(&seen, 0, QS_ECORRUPT, "do not match its name");
	world_says(&seen, 0, QS_ECORRUPT, "record 1");
}

static void
a_gap_is_reported_once(void **state)
{
	struct world *world = *state;
	struct seen seen;

	assert_int_equal(unlink(world->device[0][1].path), 0);
	seen = world_walk(world, NULL, 0, 6, 1);
	world_says(&seen, 0, QS_ECORRUPT, "record 1 is missing");
	assert_int_equal(unlink(world->device[0][2].path), 0);
	seen = world_walk(world, NULL, 0, 5, 1);
	world_says(&seen, 0, QS_ECORRUPT, "records 1 to 2 are missing");
	assert_int_equal(unlink(world->device[0][0].path), 0);
	seen = world_walk(world, NULL, 0, 4, 1);
	world_says(&seen, 0, QS_ECORRUPT, "records 0 to 2 are missing");
}

static void
rubbish_far_away_is_no_gap(void **state)
{
	struct world *world = *state;
	struct qs_name name = {{7}};
	char device[17];
	struct seen seen;

	qs_hex(device, world->devices[0].pk, 8);
	world_plant(world, qs_span("rubbish", 7), device, UINT64_MAX, &name);
	world_plant(world, qs_span("rubbish", 7), device, 4, &name);
	seen = world_walk(world, NULL, 0, 7, 2);
	world_says(&seen, 0, QS_ECORRUPT, "record 4");
	world_says(&seen, 1, QS_ECORRUPT, "a length that no log record has");
	world_snapshot(world, 1, 0);
	(void)world_walk(world, NULL, 0, 8, 2);
}

static void
a_gap_is_not_filled_with_rubbish(void **state)
{
	struct world *world = *state;
	struct qs_name name = {{7}};
	struct qs_record draft = {
		.type = QS_RECORD_SNAPSHOT,
		.seq = 7,
		.prev = name,
		.time_ms = NOON,
	};
	char device[17];
	struct seen seen;

	qs_hex(device, world->devices[0].pk, 8);
	world_plant(world, qs_span("rubbish", 7), device, 6, &name);
	world_plant_record(world, &world->devices[0], &draft);
	seen = world_walk(world, NULL, 0, 8, 2);
	world_says(&seen, 0, QS_ECORRUPT, "record 6");
	world_says(&seen, 1, QS_ECORRUPT, "records 4 to 6 are missing");
}

static void
a_replayed_record_is_refused(void **state)
{
	struct world *world = *state;
	const struct written *old = &world->device[0][1];
	struct qs_buf bytes = {0};
	char device[17];
	struct qs_err err;
	struct seen seen;

	help_ok(qs_file_load(-100, old->path, 100000, &bytes, &err), &err);
	qs_hex(device, world->devices[0].pk, 8);
	world_plant(world, qs_buf_span(&bytes), device, 4, &old->name);
	qs_hex(device, world->devices[1].pk, 8);
	world_plant(world, qs_buf_span(&bytes), device, 1, &old->name);
	seen = world_walk(world, NULL, 0, 7, 2);
	world_says(&seen, 0, QS_ECORRUPT, "");
	world_says(&seen, 1, QS_ECORRUPT, "");
	assert_true(strstr(seen.troubles[0].msg, "is in fact record 1") !=
		NULL || strstr(seen.troubles[1].msg, "is in fact record 1") !=
		NULL);
	assert_true(strstr(seen.troubles[0].msg, "another device") != NULL ||
		strstr(seen.troubles[1].msg, "another device") != NULL);
	qs_buf_clear(&bytes);
}

static void
a_fork_is_reported_and_both_are_visited(void **state)
{
	struct world *world = *state;
	struct qs_record draft = {
		.type = QS_RECORD_SNAPSHOT,
		.seq = 2,
		.prev = world->device[0][1].name,
		.time_ms = NOON,
	};
	struct seen seen;

	world_plant_record(world, &world->devices[0], &draft);
	seen = world_walk(world, NULL, 0, 8, 1);
	world_says(&seen, 0, QS_ECONFLICT,
		"forked: 2 records with the number 2");
}

static void
a_record_must_follow_the_one_before(void **state)
{
	struct world *world = *state;
	struct qs_record draft = {
		.type = QS_RECORD_SNAPSHOT,
		.seq = 4,
		.prev = world->device[0][1].name,
		.time_ms = NOON,
	};
	struct seen seen;

	world_plant_record(world, &world->devices[0], &draft);
	seen = world_walk(world, NULL, 0, 8, 1);
	world_says(&seen, 0, QS_ECORRUPT, "does not follow");
}

static void
huge_files_are_not_loaded(void **state)
{
	struct world *world = *state;
	struct seen seen;

	assert_int_equal(chmod(world->device[0][3].path, 0600), 0);
	assert_int_equal(truncate(world->device[0][3].path,
		(off_t)QS_RECORD_MAX + 4096), 0);
	seen = world_walk(world, NULL, 0, 6, 1);
	world_says(&seen, 0, QS_ECORRUPT, "a length that no log record has");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_TEST(a_whole_log_is_visited_in_order),
		WORLD_TEST(an_empty_log_has_no_trouble),
		WORLD_TEST(the_visitors_failure_stops_the_walk),
		WORLD_TEST(a_damaged_record_costs_only_itself),
		WORLD_TEST(a_gap_is_reported_once),
		WORLD_TEST(rubbish_far_away_is_no_gap),
		WORLD_TEST(a_gap_is_not_filled_with_rubbish),
		WORLD_TEST(a_replayed_record_is_refused),
		WORLD_TEST(a_fork_is_reported_and_both_are_visited),
		WORLD_TEST(a_record_must_follow_the_one_before),
		WORLD_TEST(huge_files_are_not_loaded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
