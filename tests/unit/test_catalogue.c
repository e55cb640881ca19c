/* SPDX-License-Identifier: ISC */
/* Unit tests of a hub's catalogue: rows, totals, numbers, facts. */
#include "tests/unit/catalogue_fixture.h"

/* ------------------------------------------------------------------ rows */

static void
a_row_comes_back_as_it_was_given(void **state)
{
	struct qs_catalogue *catalogue = open_new(true);
	struct qs_item last = record(UINT64_MAX, QS_RECORD_SNAPSHOT, 77), row;

	(void)state;
	add(catalogue, object(1));
	add(catalogue, last);
	qs_catalogue_close(catalogue);
	catalogue = open_new(true); /* nobody has said that it is filled */
	row = get(catalogue, object(1));
	assert_memory_equal(row.ref.name.b, object(1).ref.name.b, 32);
	assert_int_equal(row.ref.area, QS_AREA_OBJ);
	assert_int_equal(row.ref.size, 65536);
	assert_true(row.has_xxh3);
	assert_true(row.xxh3 == UINT64_MAX - 1);
	assert_int_equal(row.arrived_ms, 1001);
	row = get(catalogue, last);
	assert_true(row.ref.seq == UINT64_MAX);
	assert_memory_equal(row.ref.device, "device!", 8);
	assert_int_equal(row.record_type, QS_RECORD_SNAPSHOT);
	assert_false(row.has_xxh3);
	assert_int_equal(get(catalogue, object(2)).number, 0);
	qs_catalogue_close(catalogue);
}

static void
a_file_that_is_there_keeps_its_number_and_time(void **state)
{
	struct qs_catalogue *catalogue = open_new(true);
	struct qs_item again = object(1);
	uint64_t first, newest;

	(void)state;
	add(catalogue, object(1));
	first = get(catalogue, object(1)).number;
	again.arrived_ms = 9;
	add(catalogue, again);
	OK(qs_catalogue_newest(catalogue, &newest, &err));
	assert_true(newest == first);
	assert_int_equal(get(catalogue, object(1)).arrived_ms, 1001);
	add(catalogue, object(2));
	assert_true(get(catalogue, object(2)).number == first + 1);
	qs_catalogue_close(catalogue);
}

static void
numbers_are_never_given_twice(void **state)
{
	struct qs_catalogue *catalogue = open_new(true);
	uint64_t number, newest;

	(void)state;
	add(catalogue, object(1));
	number = get(catalogue, object(1)).number;
	assert_int_equal(drop(catalogue, object(2)), QS_ENOTFOUND);
	OK(drop(catalogue, object(1)));
	qs_catalogue_close(catalogue);
	catalogue = open_new(true);
	OK(qs_catalogue_newest(catalogue, &newest, &err));
	assert_true(newest == number);
	add(catalogue, object(1));
	assert_true(get(catalogue, object(1)).number > number);
	OK(qs_catalogue_clear(catalogue, &err));
	assert_int_equal(count(catalogue).objects, 0);
	add(catalogue, object(1));
	assert_true(get(catalogue, object(1)).number > number + 1);
	qs_catalogue_close(catalogue);
}

static void
an_update_leaves_what_it_does_not_know(void **state)
{
	struct qs_catalogue *catalogue = open_new(true);
	struct qs_item change = {.ref = object(1).ref,
		.state = QS_ITEM_TRASH, .state_ms = 5}, row;

	(void)state;
	add(catalogue, object(1));
	change.ref.size = 0;
	OK(qs_catalogue_update(catalogue, &change, &err));
	row = get(catalogue, object(1));
	assert_int_equal(row.state, QS_ITEM_TRASH);
	assert_int_equal(row.state_ms, 5);
	assert_int_equal(row.ref.size, 65536);
	assert_true(row.has_xxh3);
	change.ref.name = name_of(99);
	assert_int_equal(qs_catalogue_update(catalogue, &change, &err),
		QS_ENOTFOUND);
	OK(qs_catalogue_update_all(catalogue, &change, 1, &err));
	change.ref.area = QS_AREA_BESIDE;
	assert_int_equal(qs_catalogue_add(catalogue, &change, 1, &err),
		QS_EINVAL);
	qs_catalogue_close(catalogue);
}

static void
totals_follow_the_rows(void **state)
{
	struct qs_catalogue *catalogue = open_new(true);
	struct qs_catalogue_counts counts;
	struct qs_item item = object(1);

	(void)state;
	for (uint64_t i = 1; i <= 4; i++)
		add(catalogue, object(i));
	add(catalogue, record(0, QS_RECORD_GENESIS, 900));
	add(catalogue, record(1, QS_RECORD_SNAPSHOT, 500));
	add(catalogue, record(2, QS_RECORD_SNAPSHOT, 300));
	item.state = QS_ITEM_TRASH;
	OK(qs_catalogue_update(catalogue, &item, &err));
	item = object(2);
	item.state = QS_ITEM_DAMAGED;
	OK(qs_catalogue_update(catalogue, &item, &err));
	item = object(3);
	item.state = QS_ITEM_MISSING;
	OK(qs_catalogue_update(catalogue, &item, &err));
	counts = count(catalogue);
	assert_int_equal(counts.objects, 2);
	assert_int_equal(counts.records, 3);
	assert_int_equal(counts.bytes, 2 * 65536 + 3 * 4096);
	assert_int_equal(counts.trash_objects, 1);
	assert_int_equal(counts.trash_bytes, 65536);
	assert_int_equal(counts.damaged, 1);
	assert_int_equal(counts.missing, 1);
	assert_int_equal(counts.last_snapshot_ms, 500);
	OK(drop(catalogue, object(1)));
	OK(drop(catalogue, object(2)));
	counts = count(catalogue);
	assert_int_equal(counts.objects, 1);
	assert_int_equal(counts.trash_objects, 0);
	assert_int_equal(counts.damaged, 0);
	qs_catalogue_close(catalogue);
}

static void
going_through_the_rows_leaves_them_free_to_change(void **state)
{
	struct qs_catalogue *catalogue = open_new(true);
	struct qs_item *items = calloc(1000, sizeof(*items));
	struct going going = {.catalogue = catalogue, .stop_after = 600};

	(void)state;
	for (uint64_t i = 0; i < 1000; i++)
		items[i] = object(i);
	OK(qs_catalogue_add(catalogue, items, 1000, &err));
	assert_int_equal(qs_catalogue_each(catalogue, 0, 0, drop_as_it_goes,
		&going, &err), QS_ECANCELED);
	assert_int_equal(going.seen, 600);
	assert_int_equal(count(catalogue).objects, 401);
	going = (struct going){.catalogue = catalogue, .last = going.last};
	OK(qs_catalogue_each(catalogue, going.last, 10, drop_as_it_goes,
		&going, &err));
	assert_int_equal(going.seen, 10);
	OK(qs_catalogue_each(catalogue, UINT64_MAX, 0, drop_as_it_goes,
		&going, &err));
	assert_int_equal(going.seen, 10);
	free(items);
	qs_catalogue_close(catalogue);
}

static void
facts_are_numbers(void **state)
{
	struct qs_catalogue *catalogue = open_new(true);
	uint64_t value = 0;
	bool found = true;

	(void)state;
	OK(qs_catalogue_fact_get(catalogue, "x", &value, &found, &err));
	assert_false(found);
	OK(qs_catalogue_fact_add(catalogue, "x", 3, &err));
	OK(qs_catalogue_fact_add(catalogue, "x", 4, &err));
	OK(qs_catalogue_fact_get(catalogue, "x", &value, &found, &err));
	assert_true(found);
	assert_int_equal(value, 7);
	OK(qs_catalogue_fact_put(catalogue, "x", UINT64_MAX - 1, &err));
	OK(qs_catalogue_fact_add(catalogue, "x", 4, &err));
	OK(qs_catalogue_fact_get(catalogue, "x", &value, &found, &err));
	assert_true(value == UINT64_MAX);
	qs_catalogue_close(catalogue);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_row_comes_back_as_it_was_given),
		T(a_file_that_is_there_keeps_its_number_and_time),
		T(numbers_are_never_given_twice),
		T(an_update_leaves_what_it_does_not_know),
		T(totals_follow_the_rows),
		T(going_through_the_rows_leaves_them_free_to_change),
		T(facts_are_numbers),
	};

	return cmocka_run_group_tests_name("catalogue", tests, NULL, NULL);
}
