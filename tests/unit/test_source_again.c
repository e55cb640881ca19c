/* SPDX-License-Identifier: ISC */
/* Unit tests of snapshot/source: second places, hasty items, frames ahead. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "source_fixture.h"

#define LEN 200000u

static void
noise(uint8_t out[static LEN])
{
	qs_random(out, LEN);
}

static struct qs_fetch
item_of(const struct qs_id *id, bool is_hasty)
{
	return (struct qs_fetch){.id = *id, .kind = QS_KIND_DATA, .len = LEN,
		.is_hasty = is_hasty};
}

static void
fetched(struct fixture *fx, const struct qs_id *id, const uint8_t *bytes)
{
	struct qs_fetch item = item_of(id, false);
	struct qs_err err;

	OK(qs_source_fetch(fx->source, &item, 1, &err));
	assert_memory_equal(item.data, bytes, LEN);
	qs_source_release(fx->source, &item, 1);
}

static void
a_copy_in_another_pack_takes_the_place_of_a_bad_one(void **state)
{
	static uint8_t bytes[LEN], other[LEN];
	struct fixture fx;
	struct qs_id id, twin;
	struct qs_fetch items[2];
	struct qs_err err;
	char path[256];

	(void)state;
	fixture_open(&fx);
	noise(bytes);
	noise(other);
	for (size_t i = 0; i < 3; i++) {
		id = fixture_chunk(&fx, QS_KIND_DATA, qs_span(bytes, LEN));
		twin = fixture_chunk(&fx, QS_KIND_DATA, qs_span(other, LEN));
		fixture_flush(&fx);
	}
	/* Damaged, then missing: the third pack's copy is left. */
	fixture_damage(&fx, 0, QS_PACK_HEAD + 5);
	fixture_path(&fx, 1, path);
	assert_int_equal(unlink(path), 0);
	items[0] = item_of(&id, false);
	items[1] = item_of(&twin, false);
	OK(qs_source_fetch(fx.source, items, 2, &err));
	assert_memory_equal(items[0].data, bytes, LEN);
	assert_memory_equal(items[1].data, other, LEN);
	assert_memory_equal(items[0].pack.b, fx.packs[2].b, 32);
	qs_source_release(fx.source, items, 2);
	/* With none left the first one's failure is told. */
	fixture_path(&fx, 2, path);
	assert_int_equal(unlink(path), 0);
	fixture_source(&fx, QS_SOURCE_CACHE);
	items[0] = item_of(&id, false);
	assert_int_equal(qs_source_fetch(fx.source, items, 1, &err),
		QS_ECORRUPT);
	assert_memory_equal(items[0].pack.b, fx.packs[0].b, 32);
	assert_null(items[0].data);
	qs_source_release(fx.source, items, 1);
	fixture_close(&fx);
}

static void
a_place_that_is_remembered_may_have_become_wrong(void **state)
{
	static uint8_t bytes[LEN];
	struct fixture fx;
	struct qs_id id;
	struct qs_err err;
	char path[256];

	(void)state;
	fixture_open(&fx);
	noise(bytes);
	id = fixture_chunk(&fx, QS_KIND_DATA, qs_span(bytes, LEN));
	fixture_flush(&fx);
	fixture_source(&fx, 0); /* nothing opened is kept */
	fetched(&fx, &id, bytes);
	fixture_path(&fx, 0, path);
	assert_int_equal(unlink(path), 0);
	OK(qs_index_forget(fx.index, &fx.packs[0], &err));
	(void)fixture_chunk(&fx, QS_KIND_DATA, qs_span(bytes, LEN));
	fixture_flush(&fx);
	fetched(&fx, &id, bytes);
	fixture_close(&fx);
}

/* Two chunks of one length whose directory has their ids the wrong way. */
static void
false_ids(struct fixture *fx, struct qs_id ids[static 2], uint8_t *bytes)
{
	struct qs_chunk_entry chunks[2] = {{.len = LEN}, {.off = LEN,
		.len = LEN}};

	for (size_t i = 0; i < 2; i++) {
		noise(bytes + i * LEN);
		qs_chunk_id(fx->keys, QS_KIND_DATA, 0,
			qs_span(bytes + i * LEN, LEN), &ids[i]);
	}
	chunks[0].id = ids[1];
	chunks[1].id = ids[0];
	qs_pack_builder_add(fx->builder, QS_KIND_DATA, 0, QS_COMP_RAW,
		qs_span(bytes, 2 * (size_t)LEN), 2 * LEN, chunks, 2);
	fixture_flush(fx);
}

static void
a_hasty_item_is_given_once_and_found_out_afterwards(void **state)
{
	static uint8_t bytes[2 * LEN];
	struct fixture fx;
	struct qs_id ids[2];
	struct qs_fetch item;
	struct qs_err err;

	(void)state;
	fixture_open(&fx);
	false_ids(&fx, ids, bytes);
	item = item_of(&ids[0], true);
	OK(qs_source_fetch(fx.source, &item, 1, &err));
	assert_int_equal(qs_source_check(fx.source, &item, 1, &err),
		QS_ECORRUPT);
	qs_source_release(fx.source, &item, 1);
	/* Never again, neither it nor what lies beside it. */
	for (size_t i = 0; i < 2; i++) {
		item = item_of(&ids[i], true);
		assert_int_equal(qs_source_fetch(fx.source, &item, 1, &err),
			QS_ECORRUPT);
		assert_null(item.data);
		qs_source_release(fx.source, &item, 1);
	}
	fixture_close(&fx);
}

static void
a_right_hasty_item_passes(void **state)
{
	static uint8_t bytes[LEN];
	struct fixture fx;
	struct qs_id id;
	struct qs_fetch item;
	struct qs_err err;

	(void)state;
	fixture_open(&fx);
	noise(bytes);
	id = fixture_chunk(&fx, QS_KIND_DATA, qs_span(bytes, LEN));
	fixture_flush(&fx);
	for (size_t i = 0; i < 2; i++) {
		item = item_of(&id, true);
		OK(qs_source_fetch(fx.source, &item, 1, &err));
		assert_memory_equal(item.data, bytes, LEN);
		OK(qs_source_check(fx.source, &item, 1, &err));
		qs_source_release(fx.source, &item, 1);
	}
	fixture_close(&fx);
}

static void
a_frame_opened_ahead_needs_no_reading_later(void **state)
{
	static uint8_t bytes[3][LEN];
	struct fixture fx;
	struct qs_id ids[3];
	struct qs_fetch item;
	struct qs_frame_at at;
	struct qs_err err;
	uint64_t gets;

	(void)state;
	fixture_open(&fx);
	for (size_t i = 0; i < 3; i++) {
		noise(bytes[i]);
		ids[i] = fixture_chunk(&fx, QS_KIND_DATA,
			qs_span(bytes[i], LEN));
	}
	fixture_flush(&fx);
	item = item_of(&ids[0], false);
	OK(qs_source_fetch(fx.source, &item, 1, &err));
	at = qs_source_frame_of(&item);
	qs_source_release(fx.source, &item, 1);
	assert_int_not_equal(at.pack, 0);
	assert_int_equal(at.frame, 0);
	at.frame++;
	qs_source_warm(fx.source, at);
	gets = fixture_gets;
	fetched(&fx, &ids[1], bytes[1]);
	assert_int_equal(fixture_gets, gets);
	/* What is not there is nothing. */
	at.frame = 1000;
	qs_source_warm(fx.source, at);
	at.pack = 77;
	qs_source_warm(fx.source, at);
	assert_int_equal(qs_source_frame_of(&item).pack, 0);
	fetched(&fx, &ids[2], bytes[2]);
	fixture_close(&fx);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			a_copy_in_another_pack_takes_the_place_of_a_bad_one),
		cmocka_unit_test(
			a_place_that_is_remembered_may_have_become_wrong),
		cmocka_unit_test(
			a_hasty_item_is_given_once_and_found_out_afterwards),
		cmocka_unit_test(a_right_hasty_item_passes),
		cmocka_unit_test(a_frame_opened_ahead_needs_no_reading_later),
	};

	return cmocka_run_group_tests_name("source again", tests, NULL, NULL);
}
