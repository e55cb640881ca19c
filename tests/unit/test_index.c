/* SPDX-License-Identifier: ISC */
/* Unit tests of index/: what it keeps and finds again. */
#include "tests/unit/index_fixture.h"

/* ---------------------------------------------------------- packs, chunks */

static void
what_is_added_is_found_before_and_after_commit(void **state)
{
	struct qs_index *index = open_index();
	struct qs_chunk_loc loc;

	(void)state;
	add_pack(index, 1, 100, 51);
	add_pack(index, 2, 200, 0); /* a dummy */
	for (int round = 0; round < 3; round++) {
		loc = find(index, 103);
		assert_int_equal(loc.pack, number_of(index, 1));
		assert_int_equal(loc.frame, 1);
		assert_int_equal(loc.off, 42);
		assert_int_equal(loc.len, 42);
		assert_int_equal(find(index, 99).pack, 0);
		assert_int_equal(number_of(index, 3), 0);
		if (round == 0)
			OK(qs_index_commit(index, &err));
		if (round == 1) {
			qs_index_close(index);
			index = open_index();
		}
	}
	check_pack(index, 1, 100, 51);
	check_pack(index, 2, 200, 0);
	assert_true(number_of(index, 1) != number_of(index, 2));
	qs_index_close(index);
}

static void
a_pack_still_in_memory_can_be_read(void **state)
{
	struct qs_index *index = open_index();
	struct qs_index_pack got = {0};

	(void)state;
	add_pack(index, 1, 100, 7);
	OK(qs_index_pack(index, number_of(index, 1), &got, &err));
	assert_int_equal(got.frame_count, 4);
	assert_int_equal(got.frames[3].off, QS_PACK_HEAD + 300);
	assert_true(index->rows.packs.len != 0);
	free(got.frames);
	assert_int_equal(qs_index_pack(index, 12345, &got, &err),
		QS_ENOTFOUND);
	qs_index_close(index);
}

static void
a_batch_of_known_and_unknown_comes_back_in_its_order(void **state)
{
	struct qs_index *index = open_index();
	struct qs_id ids[600];
	struct qs_chunk_loc locs[600];

	(void)state;
	add_pack(index, 1, 0, 300);
	OK(qs_index_commit(index, &err));
	add_pack(index, 2, 300, 100);
	for (uint64_t i = 0; i < 600; i++)
		ids[i] = id_of(599 - i);
	OK(qs_index_find(index, ids, 600, locs, &err));
	for (uint32_t i = 0; i < 600; i++) {
		uint32_t n = 599 - i, at = n < 300 ? n : n - 300;

		assert_int_equal(locs[i].pack, n < 300 ? number_of(index, 1) :
			n < 400 ? number_of(index, 2) : 0);
		assert_int_equal(locs[i].frame, n < 400 ? at / 2 : 0);
	}
	qs_index_close(index);
}

static void
a_chunk_keeps_its_first_place(void **state)
{
	struct qs_index *index = open_index();
	struct qs_index_counts counts;

	(void)state;
	add_pack(index, 1, 100, 10);
	add_pack(index, 2, 105, 10); /* 105..109 again, in one flush */
	assert_int_equal(find(index, 107).pack, number_of(index, 1));
	OK(qs_index_commit(index, &err));
	add_pack(index, 3, 100, 20); /* all again, later */
	add_pack(index, 1, 500, 5);  /* known: left alone */
	assert_int_equal(find(index, 107).pack, number_of(index, 1));
	OK(qs_index_commit(index, &err));
	assert_int_equal(find(index, 107).pack, number_of(index, 1));
	assert_int_equal(find(index, 112).pack, number_of(index, 2));
	assert_int_equal(find(index, 117).pack, number_of(index, 3));
	assert_int_equal(find(index, 500).pack, 0);
	OK(qs_index_count(index, &counts, &err));
	assert_int_equal(counts.packs, 3);
	assert_int_equal(counts.pack_bytes, 3 * QS_PACK_MIN);
	assert_int_equal(counts.chunks, 20);
	qs_index_close(index);
}

static void
forgetting_frees_chunks_unless_another_pack_has_them(void **state)
{
	struct qs_index *index = open_index();
	struct qs_index_counts counts;
	uint32_t old;

	(void)state;
	add_pack(index, 1, 100, 10);
	add_pack(index, 2, 105, 10);
	add_pack(index, 3, 105, 1);
	old = number_of(index, 1);
	forget(index, 1); /* while all of it is still in memory */
	assert_int_equal(number_of(index, 1), 0);
	assert_int_equal(find(index, 104).pack, 0);
	assert_int_equal(find(index, 105).pack, number_of(index, 2));
	assert_int_equal(find(index, 106).frame, 0);
	forget(index, 2);
	assert_int_equal(find(index, 105).pack, number_of(index, 3));
	assert_int_equal(find(index, 114).pack, 0);
	forget(index, 3);
	forget(index, 3); /* not there: nothing to do */
	assert_int_equal(find(index, 105).pack, 0);
	add_pack(index, 1, 100, 10);
	OK(qs_index_commit(index, &err));
	assert_int_equal(find(index, 105).pack, number_of(index, 1));
	assert_true(number_of(index, 1) != old);
	OK(qs_index_count(index, &counts, &err));
	assert_int_equal(counts.packs, 1);
	assert_int_equal(counts.chunks, 10);
	qs_index_close(index);
}

static void
a_second_copy_that_is_forgotten_does_not_come_back(void **state)
{
	struct qs_index *index = open_index();

	(void)state;
	add_pack(index, 1, 100, 10);
	add_pack(index, 2, 100, 10);
	forget(index, 2);
	assert_int_equal(find(index, 105).pack, number_of(index, 1));
	forget(index, 1);
	assert_int_equal(find(index, 105).pack, 0);
	qs_index_close(index);
}

static void
forget_three(struct qs_index *index, uint64_t pack, uint64_t first)
{
	const struct qs_name name = name_of(pack);
	struct qs_id ids[3];

	for (uint64_t i = 0; i < 3; i++)
		ids[i] = id_of(first + i);
	OK(qs_index_forget_chunks(index, &name, ids, 3, &err));
}

static void
forgetting_some_chunks_leaves_the_rest_of_their_pack(void **state)
{
	struct qs_index *index = open_index();
	struct qs_index_counts counts;
	uint32_t one, two;

	(void)state;
	add_pack(index, 1, 100, 10);
	add_pack(index, 2, 104, 10);
	one = number_of(index, 1);
	two = number_of(index, 2);
	/* 103 has no other place, 104 and 105 have; in memory until now. */
	forget_three(index, 1, 103);
	assert_int_equal(find(index, 102).pack, one);
	assert_int_equal(find(index, 103).pack, 0);
	assert_int_equal(find(index, 104).pack, two);
	assert_int_equal(find(index, 105).pack, two);
	assert_int_equal(find(index, 106).pack, one);
	check_pack(index, 1, 100, 10);
	assert_int_equal(number_of(index, 1), one);
	OK(qs_index_count(index, &counts, &err));
	assert_int_equal(counts.packs, 2);
	assert_int_equal(counts.chunks, 13);
	/* A second copy goes too, and what is not there does no harm. */
	forget_three(index, 2, 108);
	forget_three(index, 2, 108);
	forget_three(index, 3, 100);
	assert_int_equal(find(index, 109).pack, one);
	assert_int_equal(find(index, 110).pack, 0);
	OK(qs_index_count(index, &counts, &err));
	assert_int_equal(counts.chunks, 12);
	qs_index_close(index); /* it was committed */
	index = open_index();
	assert_int_equal(find(index, 103).pack, 0);
	assert_int_equal(find(index, 105).pack, two);
	forget(index, 1);
	assert_int_equal(find(index, 109).pack, 0);
	assert_int_equal(find(index, 106).pack, two);
	/* Stored anew, and the old place is not remembered. */
	add_pack(index, 4, 103, 1);
	assert_int_equal(find(index, 103).pack, number_of(index, 4));
	OK(qs_index_count(index, &counts, &err));
	assert_int_equal(counts.chunks, 8);
	qs_index_close(index);
}

static enum qs_code
forget_it(void *arg, uint32_t number, const struct qs_pack_ref *ref,
	struct qs_err *e)
{
	(void)number;
	return qs_index_forget(arg, &ref->name, e);
}

static void
the_walk_over_packs_lets_its_callback_use_the_index(void **state)
{
	struct qs_index *index = open_index();
	struct qs_index_counts counts;

	(void)state;
	for (uint64_t i = 0; i < 3 * QS_INDEX_BATCH; i++)
		add_pack(index, i, i * 10, 3);
	OK(qs_index_each_pack(index, forget_it, index, &err));
	OK(qs_index_count(index, &counts, &err));
	assert_int_equal(counts.packs, 0);
	assert_int_equal(counts.chunks, 0);
	qs_index_close(index);
}

static void
a_full_buffer_writes_itself(void **state)
{
	struct qs_index *index = open_index();

	(void)state;
	index->limit = 100000;
	OK(qs_index_run_begin(index, &err));
	for (uint64_t i = 0; i < 60; i++) {
		add_pack(index, i, i * MANY, MANY);
		put_dir(index, key_a, "row");
		assert_true(qs_index_rows_size(&index->rows) < 100000);
	}
	for (uint64_t i = 0; i < 60; i++)
		assert_int_equal(find(index, i * MANY + 299).pack,
			number_of(index, i));
	check_pack(index, 59, 59 * MANY, MANY);
	qs_index_close(index);
}

static void
a_directory_out_of_bounds_is_not_taken(void **state)
{
	struct qs_index *index = open_index();
	struct pack *pack = make_pack(1, 100, 10);

	(void)state;
	pack->chunks[3].len = 43;
	assert_int_equal(qs_index_add(index, &pack->ref, &pack->dir, &err),
		QS_EINVAL);
	pack->chunks[3].len = 42;
	pack->frames[4].sealed_len = QS_PACK_MIN;
	assert_int_equal(qs_index_add(index, &pack->ref, &pack->dir, &err),
		QS_EINVAL);
	assert_int_equal(number_of(index, 1), 0);
	free(pack);
	qs_index_close(index);
}

/* ------------------------------------------- directories, names, facts */

static void
rows_are_fresh_once_their_run_has_ended(void **state)
{
	struct qs_index *index = open_index();

	(void)state;
	assert_int_equal(qs_index_run_end(index, &err), QS_EINVAL);
	put_dir(index, key_b, "of no run");
	OK(qs_index_run_begin(index, &err));
	put_dir(index, key_a, "one");
	check_dir(index, key_a, "one", false);
	OK(qs_index_commit(index, &err));
	check_dir(index, key_a, "one", false);
	put_dir(index, key_a, "one, once more");
	put_dir(index, key_a, "one, again");
	check_dir(index, key_a, "one, again", false);
	OK(qs_index_run_end(index, &err));
	check_dir(index, key_a, "one, again", true);
	check_dir(index, key_b, "of no run", false);
	put_dir(index, key_b, "too late");
	OK(qs_index_commit(index, &err));
	check_dir(index, key_b, "too late", false);

	OK(qs_index_run_begin(index, &err)); /* this one never ends */
	put_dir(index, key_b, "two");
	OK(qs_index_commit(index, &err));
	qs_index_close(index);
	index = open_index();
	check_dir(index, key_a, "one, again", true);
	check_dir(index, key_b, "two", false);
	OK(qs_index_run_begin(index, &err));
	OK(qs_index_run_end(index, &err));
	check_dir(index, key_b, "two", false);
	qs_index_close(index);
}

static void
forgetting_a_pack_takes_all_freshness(void **state)
{
	struct qs_index *index = open_index();

	(void)state;
	OK(qs_index_run_begin(index, &err));
	put_dir(index, key_a, "one");
	OK(qs_index_run_end(index, &err));
	OK(qs_index_run_begin(index, &err));
	put_dir(index, key_b, "two");
	forget(index, 1);
	check_dir(index, key_a, "one", false);
	OK(qs_index_run_end(index, &err)); /* begun before: not trusted */
	check_dir(index, key_b, "two", false);
	OK(qs_index_run_begin(index, &err));
	put_dir(index, key_b, "three");
	OK(qs_index_run_end(index, &err));
	check_dir(index, key_a, "one", false);
	check_dir(index, key_b, "three", true);
	qs_index_close(index);
}

static void
forgetting_chunks_takes_all_freshness(void **state)
{
	struct qs_index *index = open_index();

	(void)state;
	add_pack(index, 1, 100, 10);
	OK(qs_index_run_begin(index, &err));
	put_dir(index, key_a, "one");
	OK(qs_index_run_end(index, &err));
	check_dir(index, key_a, "one", true);
	forget_three(index, 1, 100);
	check_dir(index, key_a, "one", false);
	qs_index_close(index);
}

static void
names_wait_until_they_are_dropped(void **state)
{
	struct qs_index *index = open_index();
	struct qs_name names[150];

	(void)state;
	for (size_t i = 0; i < 150; i++)
		names[i] = name_of(i);
	OK(qs_index_pending_add(index, names, 150, &err));
	OK(qs_index_pending_add(index, names, 1, &err));
	OK(qs_index_unlogged_add(index, names, 3, &err));
	qs_index_close(index); /* pending is committed, unlogged is not */
	index = open_index();
	assert_int_equal(count_pending(index), 150);
	assert_int_equal(count_unlogged(index), 0);
	OK(qs_index_unlogged_add(index, names, 100, &err));
	OK(qs_index_pending_drop(index, &names[7], &err));
	OK(qs_index_unlogged_drop(index, names + 50, 60, &err));
	OK(qs_index_commit(index, &err));
	qs_index_close(index);
	index = open_index();
	assert_int_equal(count_pending(index), 149);
	assert_int_equal(count_unlogged(index), 50);
	qs_index_close(index);
}

static void
facts_are_kept_with_the_rows_before_them(void **state)
{
	struct qs_index *index = open_index();
	struct qs_buf buf = {0};
	bool found = true;
	uint8_t *big = calloc(1, QS_INDEX_FACT_MAX + 1);

	(void)state;
	assert_non_null(big);
	OK(qs_index_fact_get(index, "log", &buf, &found, &err));
	assert_false(found);
	add_pack(index, 1, 100, 3);
	OK(qs_index_fact_put(index, "log", qs_span("1", 1), &err));
	OK(qs_index_fact_put(index, "log", qs_span("22", 2), &err));
	OK(qs_index_fact_put(index, "empty", qs_span(NULL, 0), &err));
	OK(qs_index_fact_put(index, "big", qs_span(big, QS_INDEX_FACT_MAX),
		&err));
	assert_int_equal(qs_index_fact_put(index, "big",
		qs_span(big, QS_INDEX_FACT_MAX + 1), &err), QS_EINVAL);
	OK(qs_index_commit(index, &err));
	qs_index_close(index);
	index = open_index();
	OK(qs_index_fact_get(index, "log", &buf, &found, &err));
	assert_true(found);
	assert_int_equal(buf.len, 2);
	assert_memory_equal(buf.data, "22", 2);
	OK(qs_index_fact_get(index, "empty", &buf, &found, &err));
	assert_true(found);
	OK(qs_index_fact_get(index, "big", &buf, &found, &err));
	assert_int_equal(buf.len, 2 + QS_INDEX_FACT_MAX);
	assert_int_not_equal(find(index, 100).pack, 0);
	qs_buf_clear(&buf);
	free(big);
	qs_index_close(index);
}

static void
an_index_in_memory_works(void **state)
{
	struct qs_index *index = NULL;
	bool rebuilt = true;

	(void)state;
	OK(qs_index_open(":memory:", folder, &index, &rebuilt, &err));
	assert_false(rebuilt);
	add_pack(index, 1, 100, 10);
	OK(qs_index_commit(index, &err));
	check_pack(index, 1, 100, 10);
	forget(index, 1);
	assert_int_equal(find(index, 100).pack, 0);
	qs_index_close(index);
	qs_index_close(NULL);
}

#define T(name) \
	cmocka_unit_test_setup_teardown(name, enter_fresh_folder, remove_folder)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(what_is_added_is_found_before_and_after_commit),
		T(a_pack_still_in_memory_can_be_read),
		T(a_batch_of_known_and_unknown_comes_back_in_its_order),
		T(a_chunk_keeps_its_first_place),
		T(forgetting_frees_chunks_unless_another_pack_has_them),
		T(forgetting_some_chunks_leaves_the_rest_of_their_pack),
		T(a_second_copy_that_is_forgotten_does_not_come_back),
		T(the_walk_over_packs_lets_its_callback_use_the_index),
		T(a_full_buffer_writes_itself),
		T(a_directory_out_of_bounds_is_not_taken),
		T(rows_are_fresh_once_their_run_has_ended),
		T(forgetting_a_pack_takes_all_freshness),
		T(forgetting_chunks_takes_all_freshness),
		T(names_wait_until_they_are_dropped),
		T(facts_are_kept_with_the_rows_before_them),
		T(an_index_in_memory_works),
	};

	return cmocka_run_group_tests_name("index", tests, NULL, NULL);
}
