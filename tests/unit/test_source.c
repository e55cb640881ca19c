/* SPDX-License-Identifier: ISC */
/* Unit tests of snapshot/source: chunks out of a real store. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <pthread.h>

#include "source_fixture.h"

#define CHUNKS 120u

/* Chunks of many sizes, small ones in common frames, over several packs. */
struct filled {
	struct fixture fx;
	struct qs_id ids[CHUNKS];
	size_t lens[CHUNKS];
	uint8_t *bytes[CHUNKS];
	size_t pack_of[CHUNKS];
};

static void
fill(struct filled *filled)
{
	uint8_t *frame = malloc(QS_CHUNK_MAX);

	assert_non_null(frame);
	fixture_open(&filled->fx);
	for (size_t i = 0; i < CHUNKS;) {
		/* frames of 1, 1 and 6 chunks by turns */
		const size_t count = i % 8 < 2 ? 1 : 6;
		size_t len = 0;

		for (size_t k = i; k < i + count; k++) {
			filled->lens[k] = count == 1 ?
				65536 + k * 97003 % 700000 :
				1 + qs_random_below(20000);
			filled->bytes[k] = frame + len;
			len += filled->lens[k];
		}
		qs_random(frame, len);
		fixture_frame(&filled->fx, QS_KIND_DATA, frame,
			filled->lens + i, count, filled->ids + i);
		for (size_t k = i; k < i + count; k++) {
			uint8_t *copy = malloc(filled->lens[k]);

			assert_non_null(copy);
			memcpy(copy, filled->bytes[k], filled->lens[k]);
			filled->bytes[k] = copy;
			filled->pack_of[k] = filled->fx.pack_count;
		}
		i += count;
		if (i % 24 == 0)
			fixture_flush(&filled->fx);
	}
	free(frame);
}

static void
empty(struct filled *filled)
{
	for (size_t i = 0; i < CHUNKS; i++)
		free(filled->bytes[i]);
	fixture_close(&filled->fx);
}

static void
want(const struct filled *filled, struct qs_fetch *item, size_t i)
{
	*item = (struct qs_fetch){.id = filled->ids[i], .kind = QS_KIND_DATA,
		.len = (uint32_t)filled->lens[i]};
}

static bool
is_right(const struct filled *filled, const struct qs_fetch *item, size_t i)
{
	return item->code == QS_OK && item->data != NULL &&
		item->len == filled->lens[i] &&
		memcmp(item->data, filled->bytes[i], filled->lens[i]) == 0;
}

static void
chunks_come_back_in_any_order_and_twice(void **state)
{
	static struct filled filled;
	struct qs_fetch items[2 * CHUNKS];
	struct qs_err err;

	(void)state;
	fill(&filled);
	for (int round = 0; round < 2; round++) {
		for (size_t i = 0; i < 2 * CHUNKS; i++)
			want(&filled, &items[i], i * 7 % CHUNKS);
		items[3].len = 0; /* whatever it is */
		OK(qs_source_fetch(filled.fx.source, items, 2 * CHUNKS,
			&err));
		for (size_t i = 0; i < 2 * CHUNKS; i++) {
			assert_true(is_right(&filled, &items[i],
				i * 7 % CHUNKS));
			assert_memory_equal(items[i].pack.b, filled.fx.packs[
				filled.pack_of[i * 7 % CHUNKS]].b, 32);
		}
		qs_source_release(filled.fx.source, items, 2 * CHUNKS);
		assert_null(items[0].data);
	}
	OK(qs_source_fetch(filled.fx.source, items, 0, &err));
	empty(&filled);
}

static void
each_failure_is_its_items_own(void **state)
{
	static struct filled filled;
	struct qs_fetch items[5];
	struct qs_err err;

	(void)state;
	fill(&filled);
	for (size_t i = 0; i < 5; i++)
		want(&filled, &items[i], 10 + i);
	items[1].id.b[0] ^= 1;
	items[2].kind = QS_KIND_TREE;
	items[3].len++;
	assert_int_not_equal(qs_source_fetch(filled.fx.source, items, 5,
		&err), QS_OK);
	assert_true(is_right(&filled, &items[0], 10));
	assert_int_equal(items[1].code, QS_ENOTFOUND);
	assert_int_equal(items[2].code, QS_ECORRUPT);
	assert_int_equal(items[3].code, QS_ECORRUPT);
	assert_true(is_right(&filled, &items[4], 14));
	assert_null(items[1].data);
	qs_source_release(filled.fx.source, items, 5);
	/* the same without reading */
	assert_int_not_equal(qs_source_locate(filled.fx.source, items, 5,
		&err), QS_OK);
	assert_int_equal(items[0].code, QS_OK);
	assert_null(items[0].pin);
	assert_int_equal(items[1].code, QS_ENOTFOUND);
	assert_int_equal(items[2].code, QS_ECORRUPT);
	empty(&filled);
}

/* Fetch all; those of the bad pack may fail, all others are right. */
static size_t
fetch_around(struct filled *filled, size_t bad_pack, enum qs_code code,
	struct qs_err *err)
{
	struct qs_fetch items[CHUNKS];
	char hex[17];
	size_t failed = 0;

	for (size_t i = 0; i < CHUNKS; i++)
		want(filled, &items[i], i);
	assert_int_equal(qs_source_fetch(filled->fx.source, items, CHUNKS,
		err), code);
	qs_hex(hex, filled->fx.packs[bad_pack].b, 8);
	assert_non_null(strstr(err->msg, hex));
	for (size_t i = 0; i < CHUNKS; i++) {
		if (is_right(filled, &items[i], i))
			continue;
		assert_int_equal(items[i].code, code);
		assert_int_equal(filled->pack_of[i], bad_pack);
		assert_memory_equal(items[i].pack.b,
			filled->fx.packs[bad_pack].b, 32);
		failed++;
	}
	qs_source_release(filled->fx.source, items, CHUNKS);
	return failed;
}

static void
a_damaged_frame_costs_its_chunks_only(void **state)
{
	static struct filled filled;
	struct qs_err err;

	(void)state;
	fill(&filled);
	fixture_damage(&filled.fx, 1, QS_PACK_HEAD + 5);
	assert_int_equal(fetch_around(&filled, 1, QS_ECORRUPT, &err), 1);
	empty(&filled);
}

static void
a_missing_object_costs_its_chunks_only(void **state)
{
	static struct filled filled;
	char path[256];
	struct qs_err err;

	(void)state;
	fill(&filled);
	fixture_path(&filled.fx, 2, path);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(fetch_around(&filled, 2, QS_ENOTFOUND, &err), 24);
	empty(&filled);
}

static void
a_truncated_object_gives_what_is_left(void **state)
{
	static struct filled filled;
	char path[256];
	size_t failed;
	struct qs_err err;

	(void)state;
	fill(&filled);
	fixture_path(&filled.fx, 0, path);
	assert_int_equal(chmod(path, 0600), 0);
	assert_int_equal(truncate(path, 300000), 0);
	failed = fetch_around(&filled, 0, QS_ECORRUPT, &err);
	assert_true(failed > 0 && failed < 24);
	empty(&filled);
}

static void
a_bad_place_on_the_disk_costs_what_lies_there(void **state)
{
	static struct filled filled;
	struct qs_fetch items[CHUNKS];
	size_t failed = 0;
	struct qs_err err;

	(void)state;
	fill(&filled);
	fixture_bad_slice = 2;
	for (size_t i = 0; i < CHUNKS; i++)
		want(&filled, &items[i], i);
	assert_int_equal(qs_source_fetch(filled.fx.source, items, CHUNKS,
		&err), QS_EIO);
	for (size_t i = 0; i < CHUNKS; i++)
		if (!is_right(&filled, &items[i], i))
			failed++;
	assert_true(failed > 0 && failed < CHUNKS / 2);
	qs_source_release(filled.fx.source, items, CHUNKS);
	/* It was not remembered: the disk may have been put right. */
	fixture_bad_slice = -1;
	OK(qs_source_fetch(filled.fx.source, items, CHUNKS, &err));
	qs_source_release(filled.fx.source, items, CHUNKS);
	empty(&filled);
}

static void
a_chunk_under_a_false_id_is_refused(void **state)
{
	static struct fixture fx;
	uint8_t bytes[3000];
	struct qs_chunk_entry chunks[40] = {{.len = 0}};
	struct qs_fetch items[40];
	struct qs_err err;

	(void)state;
	fixture_open(&fx);
	qs_random(bytes, sizeof(bytes));
	for (uint32_t i = 0; i < 40; i++) {
		chunks[i].len = 1000;
		qs_random(chunks[i].id.b, 32);
	}
	qs_chunk_id(fx.keys, QS_KIND_DATA, 0, qs_span(bytes, 1000),
		&chunks[0].id);
	/* One wrong bit; the others are second names for chunk 0's place. */
	qs_chunk_id(fx.keys, QS_KIND_DATA, 0, qs_span(bytes + 1000, 1000),
		&chunks[1].id);
	chunks[1].id.b[31] ^= 1;
	chunks[1].off = 1000;
	qs_pack_builder_add(fx.builder, QS_KIND_DATA, 0, QS_COMP_RAW,
		qs_span(bytes, sizeof(bytes)), sizeof(bytes), chunks, 40);
	fixture_flush(&fx);
	for (size_t i = 0; i < 40; i++)
		items[i] = (struct qs_fetch){.id = chunks[i].id,
			.kind = QS_KIND_DATA, .len = 1000};
	OK(qs_source_fetch(fx.source, items, 1, &err));
	qs_source_release(fx.source, items, 1);
	assert_int_equal(qs_source_fetch(fx.source, items, 40, &err),
		QS_ECORRUPT);
	OK(items[0].code);
	for (size_t i = 1; i < 40; i++) {
		assert_int_equal(items[i].code, QS_ECORRUPT);
		assert_null(items[i].data);
	}
	qs_source_release(fx.source, items, 40);
	fixture_close(&fx);
}

static void
memory_stays_within_the_bound(void **state)
{
	static struct filled filled;
	const size_t bound = 2u << 20;
	struct qs_fetch item;
	struct qs_err err;

	(void)state;
	fill(&filled);
	fixture_source(&filled.fx, bound);
	for (size_t i = 0; i < 3 * CHUNKS; i++) {
		const size_t k = i * 11 % CHUNKS;

		want(&filled, &item, k);
		OK(qs_source_fetch(filled.fx.source, &item, 1, &err));
		assert_true(is_right(&filled, &item, k));
		assert_true(qs_source_bytes(filled.fx.source) <= bound);
		qs_source_release(filled.fx.source, &item, 1);
		assert_true(qs_source_bytes(filled.fx.source) <= bound);
	}
	empty(&filled);
}

static void
pinned_chunks_may_exceed_it_until_released(void **state)
{
	static struct filled filled;
	struct qs_fetch items[CHUNKS];
	struct qs_err err;

	(void)state;
	fill(&filled);
	fixture_source(&filled.fx, 1u << 20);
	for (size_t i = 0; i < CHUNKS; i++)
		want(&filled, &items[i], i);
	OK(qs_source_fetch(filled.fx.source, items, CHUNKS, &err));
	assert_true(qs_source_bytes(filled.fx.source) > 1u << 20);
	for (size_t i = 0; i < CHUNKS; i++)
		assert_true(is_right(&filled, &items[i], i));
	qs_source_release(filled.fx.source, items, CHUNKS);
	assert_true(qs_source_bytes(filled.fx.source) <= 1u << 20);
	empty(&filled);
}

static void
slices_are_read_once_in_a_row_and_not_at_all_when_cached(void **state)
{
	static struct filled filled;
	struct qs_fetch items[24];
	uint64_t bytes;
	struct qs_err err;

	(void)state;
	fill(&filled);
	fixture_bytes = 0;
	for (size_t i = 0; i < 24; i++) {
		want(&filled, &items[i], i);
		OK(qs_source_fetch(filled.fx.source, &items[i], 1, &err));
	}
	qs_source_release(filled.fx.source, items, 24);
	bytes = fixture_bytes;
	assert_true(bytes > 0 && bytes <= 8u << 20);
	{
		char path[256];
		struct stat st;

		fixture_path(&filled.fx, 0, path);
		assert_int_equal(stat(path, &st), 0);
		assert_true(bytes <= (uint64_t)st.st_size);
	}
	OK(qs_source_fetch(filled.fx.source, items, 24, &err));
	qs_source_release(filled.fx.source, items, 24);
	assert_true(fixture_bytes == bytes);
	empty(&filled);
}

struct reader {
	struct filled *filled;
	unsigned seed;
	bool is_wrong;
};

static void *
read_much(void *arg)
{
	struct reader *reader = arg;
	struct qs_fetch items[16];
	size_t which[16];
	struct qs_err err;

	for (int round = 0; round < 40; round++) {
		for (size_t i = 0; i < 16; i++) {
			which[i] = (size_t)rand_r(&reader->seed) % CHUNKS;
			want(reader->filled, &items[i], which[i]);
		}
		if (qs_source_fetch(reader->filled->fx.source, items, 16,
		    &err) != QS_OK)
			reader->is_wrong = true;
		for (size_t i = 0; i < 16; i++)
			if (!is_right(reader->filled, &items[i], which[i]))
				reader->is_wrong = true;
		qs_source_release(reader->filled->fx.source, items, 16);
	}
	return NULL;
}

static void
four_threads_read_at_once(void **state)
{
	static struct filled filled;
	struct reader readers[4];
	pthread_t threads[4];

	(void)state;
	fill(&filled);
	fixture_source(&filled.fx, 3u << 20);
	for (unsigned i = 0; i < 4; i++) {
		readers[i] = (struct reader){&filled, i, false};
		assert_int_equal(pthread_create(&threads[i], NULL, read_much,
			&readers[i]), 0);
	}
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	for (size_t i = 0; i < 4; i++)
		assert_false(readers[i].is_wrong);
	assert_true(qs_source_bytes(filled.fx.source) <= 3u << 20);
	empty(&filled);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(chunks_come_back_in_any_order_and_twice),
		cmocka_unit_test(each_failure_is_its_items_own),
		cmocka_unit_test(a_damaged_frame_costs_its_chunks_only),
		cmocka_unit_test(a_missing_object_costs_its_chunks_only),
		cmocka_unit_test(a_truncated_object_gives_what_is_left),
		cmocka_unit_test(
			a_bad_place_on_the_disk_costs_what_lies_there),
		cmocka_unit_test(a_chunk_under_a_false_id_is_refused),
		cmocka_unit_test(memory_stays_within_the_bound),
		cmocka_unit_test(pinned_chunks_may_exceed_it_until_released),
		cmocka_unit_test(
		slices_are_read_once_in_a_row_and_not_at_all_when_cached),
		cmocka_unit_test(four_threads_read_at_once),
	};

	return cmocka_run_group_tests_name("source", tests, NULL, NULL);
}
