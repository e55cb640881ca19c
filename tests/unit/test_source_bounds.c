/* SPDX-License-Identifier: ISC */
/*
 * Unit tests of what reading holds in memory, with forged frames: a few bytes
 * that are wanted in front of 4 MiB of zeros.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "snapshot/dir_internal.h"
#include "source_fixture.h"

#define CHUNKS 40u
#define LEN 1000u
#define FRAME (5u << 20) /* of the buffer that a frame of 4 MiB may take */

struct fat {
	struct fixture fx;
	struct qs_id ids[CHUNKS];
	uint8_t bytes[CHUNKS][LEN];
};

static void
fill(struct fat *fat)
{
	fixture_open(&fat->fx);
	qs_random(fat->bytes, sizeof(fat->bytes));
	for (size_t i = 0; i < CHUNKS; i++)
		fat->ids[i] = fixture_fat(&fat->fx, QS_KIND_DATA,
			qs_span(fat->bytes[i], LEN));
	fixture_flush(&fat->fx);
}

static void
want(const struct fat *fat, struct qs_fetch *item, size_t i)
{
	*item = (struct qs_fetch){.id = fat->ids[i], .kind = QS_KIND_DATA,
		.len = LEN};
}

static bool
is_right(const struct fat *fat, const struct qs_fetch *item, size_t i)
{
	return item->code == QS_OK && item->data != NULL &&
		item->len == LEN &&
		memcmp(item->data, fat->bytes[i], LEN) == 0;
}

static void
a_fetch_pins_little_beyond_what_it_asks_for(void **state)
{
	static struct fat fat;
	const size_t bound = 16u << 20;
	struct qs_fetch items[2][CHUNKS];
	struct qs_err err;

	(void)state;
	fill(&fat);
	fixture_source(&fat.fx, bound);
	fixture_watched = fat.fx.source;
	/* The second time while the first ones' are still held. */
	for (size_t k = 0; k < 2; k++) {
		for (size_t i = 0; i < CHUNKS; i++) {
			want(&fat, &items[k][i], i);
			items[k][i].is_hasty = k == 0;
		}
		OK(qs_source_fetch(fat.fx.source, items[k], CHUNKS, &err));
		for (size_t i = 0; i < CHUNKS; i++)
			assert_true(is_right(&fat, &items[k][i], i));
		assert_true(qs_source_bytes(fat.fx.source) <= bound);
	}
	for (size_t i = 0; i < CHUNKS; i++)
		assert_true(is_right(&fat, &items[0][i], i));
	/* A copy is told from and checked as what it is a copy of. */
	OK(qs_source_check(fat.fx.source, items[0], CHUNKS, &err));
	for (size_t i = 0; i < CHUNKS; i++) {
		struct qs_frame_at at[2] = {qs_source_frame_of(&items[0][i]),
			qs_source_frame_of(&items[1][i])};

		assert_true(at[0].pack != 0 && at[0].pack == at[1].pack);
		assert_int_equal(at[0].frame, i);
		assert_int_equal(at[1].frame, i);
	}
	assert_true(fixture_peak > 0 && fixture_peak <= bound);
	qs_source_release(fat.fx.source, items[0], CHUNKS);
	qs_source_release(fat.fx.source, items[1], CHUNKS);
	assert_true(qs_source_bytes(fat.fx.source) <= bound);
	fixture_close(&fat.fx);
}

struct reader {
	struct fat *fat;
	size_t first;
	bool is_wrong;
};

static void *
read_much(void *arg)
{
	struct reader *reader = arg;
	struct qs_source *source = reader->fat->fx.source;
	struct qs_fetch items[16];
	struct qs_err err;

	for (size_t round = 0; round < 3; round++) {
		for (size_t i = 0; i < 16; i++)
			want(reader->fat, &items[i],
				(reader->first + 7 * (i + round)) % CHUNKS);
		if (qs_source_fetch(source, items, 16, &err) != QS_OK)
			reader->is_wrong = true;
		for (size_t i = 0; i < 16; i++)
			if (!is_right(reader->fat, &items[i],
			    (reader->first + 7 * (i + round)) % CHUNKS))
				reader->is_wrong = true;
		qs_source_release(source, items, 16);
	}
	return NULL;
}

static void
six_threads_stay_within_the_bound(void **state)
{
	static struct fat fat;
	const size_t bound = 64u << 20;
	struct reader readers[6];
	pthread_t threads[6];

	(void)state;
	fill(&fat);
	fixture_source(&fat.fx, bound);
	fixture_watched = fat.fx.source;
	for (size_t i = 0; i < 6; i++) {
		readers[i] = (struct reader){&fat, 5 * i, false};
		assert_int_equal(pthread_create(&threads[i], NULL, read_much,
			&readers[i]), 0);
	}
	for (size_t i = 0; i < 6; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	for (size_t i = 0; i < 6; i++)
		assert_false(readers[i].is_wrong);
	/* Half of it pinned, and a frame for each thread. */
	assert_true(bound / 2 + 6 * FRAME <= bound);
	assert_true(fixture_peak > 0 && fixture_peak <= bound);
	assert_true(qs_source_bytes(fat.fx.source) <= bound);
	fixture_close(&fat.fx);
}

static void
a_chunk_that_fills_its_frame_is_not_copied(void **state)
{
	static struct fixture fx;
	struct qs_fetch items[2][6];
	uint8_t *bytes = malloc(QS_CHUNK_MAX);
	struct qs_err err;

	(void)state;
	assert_non_null(bytes);
	fixture_open(&fx);
	for (size_t i = 0; i < 6; i++) {
		qs_random(bytes, QS_CHUNK_MAX);
		items[0][i] = (struct qs_fetch){.kind = QS_KIND_DATA,
			.id = fixture_chunk(&fx, QS_KIND_DATA,
			qs_span(bytes, QS_CHUNK_MAX))};
		items[1][i] = items[0][i];
	}
	fixture_flush(&fx);
	fixture_source(&fx, 8u << 20);
	OK(qs_source_fetch(fx.source, items[0], 6, &err));
	OK(qs_source_fetch(fx.source, items[1], 6, &err));
	for (size_t i = 0; i < 6; i++)
		assert_ptr_equal(items[0][i].data, items[1][i].data);
	qs_source_release(fx.source, items[0], 6);
	qs_source_release(fx.source, items[1], 6);
	assert_true(qs_source_bytes(fx.source) <= 8u << 20);
	free(bytes);
	fixture_close(&fx);
}

/* ------------------------------------------------------------- folders */

/*
 * A folder of one file, under `depth` lists that name what is below them
 * QS_LIST_REFS times.
 */
static void
make_lists(struct fixture *fx, uint8_t depth, uint8_t ref[static QS_REF_LEN])
{
	const struct qs_node node = {.type = QS_NODE_FILE, .links = 1,
		.mode = 0644, .name = qs_span("x", 1)};
	uint8_t *refs = malloc(QS_LIST_REFS * QS_REF_LEN), *head;
	struct qs_buf bytes = {NULL, 0, 0};
	struct qs_id id;
	struct qs_err err;

	assert_non_null(refs);
	OK(qs_buf_extend(&bytes, QS_TREE_HEAD, &head, &err));
	OK(qs_node_encode(&node, &bytes, &err));
	qs_tree_head(bytes.data, 1);
	id = fixture_fat(fx, QS_KIND_TREE, qs_buf_span(&bytes));
	memcpy(ref, id.b, sizeof(id.b));
	qs_store64(ref + 32, bytes.len);
	for (uint8_t i = 0; i < depth; i++) {
		for (size_t k = 0; k < QS_LIST_REFS; k++)
			memcpy(refs + k * QS_REF_LEN, ref, QS_REF_LEN);
		bytes.len = 0;
		OK(qs_list_encode(i, refs, QS_LIST_REFS, &bytes, &err));
		id = fixture_fat(fx, QS_KIND_LIST, qs_buf_span(&bytes));
		memcpy(ref, id.b, sizeof(id.b));
		qs_store64(ref + 32, qs_load64(ref + 32) * QS_LIST_REFS);
	}
	fixture_flush(fx);
	qs_buf_clear(&bytes);
	free(refs);
}

static void
an_open_folder_pins_nothing_and_counts_its_lists(void **state)
{
	static struct fixture fx;
	uint8_t ref[QS_REF_LEN];
	const struct qs_content content = {.depth = 5, .count = 1,
		.refs = ref};
	struct qs_dir *dir = NULL;
	struct qs_node node;
	bool end = false;
	struct qs_err err;

	(void)state;
	fixture_open(&fx);
	make_lists(&fx, 5, ref);
	fixture_source(&fx, 1u << 20);
	OK(qs_dir_read(fx.source, &content, &dir, &err));
	OK(qs_dir_next(dir, &node, &end, &err));
	assert_false(end);
	assert_true(qs_source_bytes(fx.source) <= 1u << 20);
	assert_true(qs_dir_bytes(dir) >= 5 * QS_LIST_REFS * QS_REF_LEN);
	assert_true(qs_dir_bytes(dir) <= 1u << 20);
	qs_dir_close(dir);
	fixture_close(&fx);
}

static enum qs_code
see_ref(void *arg, const struct qs_id *id, uint64_t len, uint64_t offset,
	struct qs_err *err)
{
	const struct fixture *fx = arg;

	(void)id;
	(void)len;
	assert_true(qs_source_bytes(fx->source) <= 1u << 20);
	return offset > 1000000 ? qs_fail(err, QS_ECANCELED, "enough") :
		QS_OK;
}

static void
walking_a_content_pins_nothing(void **state)
{
	static struct fixture fx;
	uint8_t ref[QS_REF_LEN];
	const struct qs_content content = {.depth = 5, .count = 1,
		.refs = ref};
	struct qs_err err;

	(void)state;
	fixture_open(&fx);
	make_lists(&fx, 5, ref);
	fixture_source(&fx, 1u << 20);
	assert_int_equal(qs_content_each(fx.source, &content, see_ref, &fx,
		&err), QS_ECANCELED);
	fixture_close(&fx);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_fetch_pins_little_beyond_what_it_asks_for),
		cmocka_unit_test(six_threads_stay_within_the_bound),
		cmocka_unit_test(a_chunk_that_fills_its_frame_is_not_copied),
		cmocka_unit_test(
			an_open_folder_pins_nothing_and_counts_its_lists),
		cmocka_unit_test(walking_a_content_pins_nothing),
	};

	return cmocka_run_group_tests_name("source_bounds", tests, NULL, NULL);
}
