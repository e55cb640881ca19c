/* SPDX-License-Identifier: ISC */
/* What the unit tests of the catalogue share. */
#ifndef QS_CATALOGUE_FIXTURE_H
#define QS_CATALOGUE_FIXTURE_H

#include "index/catalogue_internal.h"
#include "tests/unit/index_fixture.h"

static inline struct qs_catalogue *
open_new(bool is_new_wanted)
{
	struct qs_catalogue *catalogue = NULL;
	bool is_new = !is_new_wanted;

	OK(qs_catalogue_open(in_top("hub"), folder, &catalogue, &is_new, &err));
	assert_int_equal(is_new, is_new_wanted);
	return catalogue;
}

static inline struct qs_catalogue *
open_filled(void)
{
	struct qs_catalogue *catalogue = open_new(true);

	OK(qs_catalogue_fact_put(catalogue, QS_CATALOGUE_FILLED, 1, &err));
	return catalogue;
}

static inline struct qs_item
object(uint64_t n)
{
	return (struct qs_item){
		.ref = {.area = QS_AREA_OBJ, .name = name_of(n),
			.size = 65536},
		.arrived_ms = 1000 + n,
		.xxh3 = UINT64_MAX - n,
		.has_xxh3 = true,
		.state_ms = 1000 + n,
	};
}

static inline struct qs_item
record(uint64_t seq, enum qs_record_type type, uint64_t arrived_ms)
{
	return (struct qs_item){
		.ref = {.area = QS_AREA_LOG, .name = name_of(seq),
			.device = "device!", .seq = seq, .size = 4096},
		.arrived_ms = arrived_ms,
		.record_type = (uint8_t)type,
	};
}

static inline void
add(struct qs_catalogue *catalogue, struct qs_item item)
{
	OK(qs_catalogue_add(catalogue, &item, 1, &err));
}

static inline struct qs_item
get(struct qs_catalogue *catalogue, struct qs_item item)
{
	struct qs_item out = {.number = 0};
	bool found = false;

	OK(qs_catalogue_get(catalogue, &item.ref, &out, &found, &err));
	assert_int_equal(found, out.number != 0);
	return out;
}

static inline enum qs_code
drop(struct qs_catalogue *catalogue, struct qs_item item)
{
	return qs_catalogue_drop(catalogue, &item.ref, &err);
}

static inline struct qs_catalogue_counts
count(struct qs_catalogue *catalogue)
{
	struct qs_catalogue_counts counts;

	OK(qs_catalogue_count(catalogue, &counts, &err));
	return counts;
}

struct going {
	struct qs_catalogue *catalogue;
	uint64_t seen, last, stop_after;
};

static inline enum qs_code
drop_as_it_goes(void *arg, const struct qs_item *item, struct qs_err *failure)
{
	struct going *going = arg;

	assert_true(item->number > going->last);
	going->last = item->number;
	if (++going->seen == going->stop_after)
		return qs_fail(failure, QS_ECANCELED, "enough");
	return qs_catalogue_drop(going->catalogue, &item->ref, failure);
}

#define T(name) \
	cmocka_unit_test_setup_teardown(name, enter_fresh_folder, remove_folder)

#endif
