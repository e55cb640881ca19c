/* SPDX-License-Identifier: ISC */
/* Unit tests of snapshot/source: a chunk that lies in two objects. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "source_fixture.h"

#define CHUNKS 6u
#define LEN 70000u

/* Packs 0 and 1 have them in frames of their own, 1 all but the last. */
struct doubled {
	struct fixture fx;
	struct qs_id ids[CHUNKS];
	uint8_t bytes[CHUNKS][LEN];
};

static void
fill(struct doubled *doubled)
{
	fixture_open(&doubled->fx);
	qs_random(doubled->bytes, sizeof(doubled->bytes));
	for (size_t pack = 0; pack < 2; pack++) {
		for (size_t i = 0; i < CHUNKS - pack; i++)
			doubled->ids[i] = fixture_chunk(&doubled->fx,
				QS_KIND_DATA, qs_span(doubled->bytes[i], LEN));
		fixture_flush(&doubled->fx);
	}
}

/* In the i-th frame of a pack. */
static void
damage(const struct doubled *doubled, size_t pack, size_t i)
{
	fixture_damage(&doubled->fx, pack,
		(off_t)(QS_PACK_HEAD + i * (LEN + QS_TAG_LEN) + 5));
}

static enum qs_code
fetch(struct doubled *doubled, struct qs_fetch items[static CHUNKS],
	struct qs_err *err)
{
	for (size_t i = 0; i < CHUNKS; i++)
		items[i] = (struct qs_fetch){.id = doubled->ids[i],
			.kind = QS_KIND_DATA, .len = LEN};
	return qs_source_fetch(doubled->fx.source, items, CHUNKS, err);
}

static void
is_right(const struct doubled *doubled, const struct qs_fetch *items,
	size_t i, size_t pack)
{
	OK(items[i].code);
	assert_int_equal(items[i].len, LEN);
	assert_memory_equal(items[i].data, doubled->bytes[i], LEN);
	assert_memory_equal(items[i].pack.b, doubled->fx.packs[pack].b, 32);
}

static void
a_damaged_chunk_is_read_from_the_other_object(void **state)
{
	static struct doubled doubled;
	struct qs_fetch items[CHUNKS];
	struct qs_err err;

	(void)state;
	fill(&doubled);
	damage(&doubled, 0, 1);
	damage(&doubled, 0, 3);
	OK(fetch(&doubled, items, &err));
	for (size_t i = 0; i < CHUNKS; i++)
		is_right(&doubled, items, i, i == 1 || i == 3);
	qs_source_release(doubled.fx.source, items, CHUNKS);
	fixture_close(&doubled.fx);
}

static void
a_missing_object_is_made_up_for_by_another(void **state)
{
	static struct doubled doubled;
	struct qs_fetch items[CHUNKS];
	char path[256], hex[17];
	struct qs_err err;

	(void)state;
	fill(&doubled);
	fixture_path(&doubled.fx, 0, path);
	assert_int_equal(unlink(path), 0);
	/* The last one is nowhere else: it alone is told. */
	assert_int_equal(fetch(&doubled, items, &err), QS_ENOTFOUND);
	for (size_t i = 0; i < CHUNKS - 1; i++)
		is_right(&doubled, items, i, 1);
	assert_int_equal(items[CHUNKS - 1].code, QS_ENOTFOUND);
	qs_hex(hex, doubled.fx.packs[0].b, 8);
	assert_non_null(strstr(err.msg, hex));
	qs_source_release(doubled.fx.source, items, CHUNKS);
	fixture_close(&doubled.fx);
}

static void
damage_of_both_is_told(void **state)
{
	static struct doubled doubled;
	struct qs_fetch items[CHUNKS];
	struct qs_err err;

	(void)state;
	fill(&doubled);
	damage(&doubled, 0, 0);
	damage(&doubled, 0, 2);
	damage(&doubled, 1, 2);
	assert_int_equal(fetch(&doubled, items, &err), QS_ECORRUPT);
	assert_int_equal(items[2].code, QS_ECORRUPT);
	assert_null(items[2].data);
	assert_non_null(strstr(err.msg, "object "));
	for (size_t i = 0; i < CHUNKS; i++)
		if (i != 2)
			is_right(&doubled, items, i, i == 0);
	qs_source_release(doubled.fx.source, items, CHUNKS);
	/* It is tried anew each time: a good copy may have been fetched. */
	damage(&doubled, 1, 2);
	OK(fetch(&doubled, items, &err));
	is_right(&doubled, items, 2, 1);
	qs_source_release(doubled.fx.source, items, CHUNKS);
	fixture_close(&doubled.fx);
}

/* The pack's directory has a lie about a chunk that another has right. */
static void
a_false_place_does_not_hide_the_right_one(void **state)
{
	static struct fixture fx;
	static uint8_t bytes[LEN];
	struct qs_chunk_entry chunk = {.len = LEN - 1};
	struct qs_fetch item;
	struct qs_err err;

	(void)state;
	fixture_open(&fx);
	qs_random(bytes, sizeof(bytes));
	qs_chunk_id(fx.keys, QS_KIND_DATA, 0, qs_span(bytes, LEN), &chunk.id);
	qs_pack_builder_add(fx.builder, QS_KIND_DATA, 0, QS_COMP_RAW,
		qs_span(bytes, LEN), LEN, &chunk, 1);
	fixture_flush(&fx);
	(void)fixture_chunk(&fx, QS_KIND_DATA, qs_span(bytes, LEN));
	fixture_flush(&fx);
	item = (struct qs_fetch){.id = chunk.id, .kind = QS_KIND_DATA,
		.len = LEN};
	OK(qs_source_locate(fx.source, &item, 1, &err));
	assert_memory_equal(item.pack.b, fx.packs[1].b, 32);
	/* Also when it is only found out by its id. */
	item.len = 0;
	OK(qs_source_fetch(fx.source, &item, 1, &err));
	assert_int_equal(item.len, LEN);
	assert_memory_equal(item.data, bytes, LEN);
	qs_source_release(fx.source, &item, 1);
	fixture_close(&fx);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			a_damaged_chunk_is_read_from_the_other_object),
		cmocka_unit_test(a_missing_object_is_made_up_for_by_another),
		cmocka_unit_test(damage_of_both_is_told),
		cmocka_unit_test(a_false_place_does_not_hide_the_right_one),
	};

	return cmocka_run_group_tests_name("source_spare", tests, NULL, NULL);
}
