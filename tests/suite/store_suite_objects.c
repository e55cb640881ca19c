/* SPDX-License-Identifier: ISC */
/* The contract of struct store, as tests: objects. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/suite/store_suite_internal.h"

#define OBJECTS 11 /* more than there are lanes, not a multiple */

/* -------------------------------------------------------------- objects */

/*
 * Objects of different sizes with different bytes, and the head of a pack of
 * the folder that all tests have: some stores let nothing else in.
 */
static struct qs_buf
make_object(unsigned number)
{
	struct qs_keys *keys = help_keys();
	struct qs_buf out = {0};
	uint32_t seed = number + 1;
	size_t len = (size_t)QS_PACK_MIN << number % 4;
	uint8_t *at = NULL, salt[32] = {0};
	struct qs_err err;

	help_ok(qs_buf_extend(&out, len, &at, &err), &err);
	memset(at, (int)number, len);
	help_fill(at, 1000, &seed);
	qs_pack_header(keys, salt, at);
	qs_keys_free(keys);
	return out;
}

static void
save_some(struct qs_store *store, unsigned first, unsigned count,
	struct qs_name *names)
{
	struct qs_stage *stages[OBJECTS];
	struct qs_err err;

	for (unsigned i = 0; i < count; i++) {
		struct qs_buf object = make_object(first + i);

		stages[i] = NULL;
		help_ok(store->ops->stage(store->self, qs_buf_span(&object),
			&stages[i], &err), &err);
		qs_buf_clear(&object);
	}
	help_ok(qs_store_name(store, stages, count, names, &err), &err);
	help_ok(store->ops->commit(store->self, stages, names, count, &err),
		&err);
}

/* Stage, name and commit objects first .. first+count. */
static void
save(struct qs_store *store, unsigned first, unsigned count,
	struct qs_name *names)
{
	for (unsigned at = 0; at < count; at += store->batch) {
		unsigned part = count - at;

		save_some(store, first + at, part < store->batch ? part :
			store->batch, names + at);
	}
}

static struct qs_ref
object_ref(const struct qs_name *name)
{
	return (struct qs_ref){.area = QS_AREA_OBJ, .name = *name};
}

static void
check_object(struct qs_store *store, unsigned number,
	const struct qs_name *name)
{
	struct qs_ref ref = object_ref(name);
	struct qs_buf wanted = make_object(number), got = {0};
	struct qs_err err;

	help_ok(qs_store_load(store, &ref, QS_PACK_MAX, &got, &err), &err);
	assert_int_equal(got.len, wanted.len);
	assert_memory_equal(got.data, wanted.data, got.len);
	qs_buf_clear(&wanted);
	qs_buf_clear(&got);
}

static void
a_new_store_is_empty(void **state)
{
	struct suite_case *it = *state;

	assert_memory_equal(it->store->folder_id,
		qs_keys_folder_id(it->keys), QS_FOLDER_ID_LEN);
	assert_non_null(it->store->place);
	assert_int_equal(suite_list(it->store, QS_AREA_KEYS).files, 0);
	assert_int_equal(suite_list(it->store, QS_AREA_LOG).files, 0);
	assert_int_equal(suite_list(it->store, QS_AREA_OBJ).files, 0);
}

static void
objects_come_back_under_their_names(void **state)
{
	struct suite_case *it = *state;
	struct qs_name names[OBJECTS];
	struct qs_store *second = NULL;
	struct count count;
	uint64_t bytes = 0;
	struct qs_err err;

	save(it->store, 0, OBJECTS, names);
	help_ok(it->suite->open(it->suite->arg, it->store->folder_id, &second,
		&err), &err);
	for (unsigned i = 0; i < OBJECTS; i++) {
		struct qs_buf object = make_object(i);
		struct qs_name name;

		qs_hash_name(qs_buf_span(&object), &name);
		assert_memory_equal(name.b, names[i].b, 32);
		bytes += object.len;
		qs_buf_clear(&object);
		check_object(second, i, &names[i]);
	}
	count = suite_list(second, QS_AREA_OBJ);
	assert_int_equal(count.files, OBJECTS);
	assert_int_equal(count.foreign, 0);
	assert_int_equal(count.bytes, bytes);
	qs_store_close(second);
}

static void
have_gives_sizes(void **state)
{
	struct suite_case *it = *state;
	struct qs_name names[6];
	uint64_t sizes[6] = {0};
	struct qs_err err;

	save(it->store, 0, 5, names);
	memset(names[5].b, 0x77, 32);
	help_ok(it->store->ops->have(it->store->self, names, 6, sizes, &err),
		&err);
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(sizes[i], (uint64_t)QS_PACK_MIN << i % 4);
	assert_int_equal(sizes[5], 0);
	help_ok(it->store->ops->have(it->store->self, NULL, 0, NULL, &err),
		&err);
}

static void
what_is_there_can_be_settled(void **state)
{
	struct suite_case *it = *state;
	struct qs_name names[3];
	struct qs_err err;

	save(it->store, 0, 3, names);
	help_ok(it->store->ops->settle(it->store->self, names, 3, &err), &err);
	help_ok(it->store->ops->settle(it->store->self, NULL, 0, &err), &err);
	for (unsigned i = 0; i < 3; i++)
		check_object(it->store, i, &names[i]);
}

static void
slices_end_at_the_objects_end(void **state)
{
	struct suite_case *it = *state;
	struct qs_name names[4];
	uint8_t *slice = malloc(2 * QS_SLICE);
	struct qs_buf object = make_object(3); /* 512 KiB */
	struct qs_ref ref;
	size_t got = 0;
	struct qs_err err;

	save(it->store, 0, 4, names);
	ref = object_ref(&names[3]);
	help_ok(it->store->ops->get(it->store->self, &ref, QS_SLICE, slice,
		2 * QS_SLICE, &got, &err), &err);
	assert_int_equal(got, object.len - QS_SLICE);
	assert_memory_equal(slice, object.data + QS_SLICE, got);
	help_ok(it->store->ops->get(it->store->self, &ref, 4 * QS_SLICE,
		slice, QS_SLICE, &got, &err), &err);
	assert_int_equal(got, 0);
	ref = object_ref(&names[0]); /* 64 KiB */
	help_ok(it->store->ops->get(it->store->self, &ref, 0, slice, QS_SLICE,
		&got, &err), &err);
	assert_int_equal(got, QS_PACK_MIN);
	free(slice);
	qs_buf_clear(&object);
}

static void
parts_of_slices_are_refused(void **state)
{
	struct suite_case *it = *state;
	struct qs_name name;
	uint8_t *slice = malloc(QS_SLICE);
	struct qs_ref ref;
	size_t got = 77;
	struct qs_err err;

	save(it->store, 0, 1, &name);
	ref = object_ref(&name);
	help_fails(it->store->ops->get(it->store->self, &ref, 1, slice,
		QS_SLICE, &got, &err), &err, QS_EINVAL, "whole slices");
	help_fails(it->store->ops->get(it->store->self, &ref, 0, slice, 160,
		&got, &err), &err, QS_EINVAL, "whole slices");
	assert_int_equal(got, 77);
	free(slice);
}

static void
a_missing_object_is_named(void **state)
{
	struct suite_case *it = *state;
	struct qs_name name;
	struct qs_ref ref;
	struct qs_buf got = {0};
	struct qs_err err;

	memset(name.b, 0xab, 32);
	ref = object_ref(&name);
	help_fails(qs_store_load(it->store, &ref, QS_PACK_MAX, &got, &err),
		&err, QS_ENOTFOUND, "object abababababababab is missing");
	qs_buf_clear(&got);
}

static void
a_limit_on_loading_holds(void **state)
{
	struct suite_case *it = *state;
	struct qs_name name;
	struct qs_ref ref;
	struct qs_buf got = {0};
	struct qs_err err;

	save(it->store, 0, 1, &name);
	ref = object_ref(&name);
	help_ok(qs_buf_append(&got, "abc", 3, &err), &err);
	help_fails(qs_store_load(it->store, &ref, QS_PACK_MIN - 1, &got,
		&err), &err, QS_ECORRUPT, "longer than");
	assert_int_equal(got.len, 3);
	help_ok(qs_store_load(it->store, &ref, QS_PACK_MIN, &got, &err),
		&err);
	assert_int_equal(got.len, 3 + QS_PACK_MIN);
	qs_buf_clear(&got);
}

static void
what_is_there_already_counts_as_saved(void **state)
{
	struct suite_case *it = *state;
	struct qs_name names[3], again[3];

	save(it->store, 0, 3, names);
	save(it->store, 0, 3, again);
	assert_memory_equal(names, again, sizeof(names));
	assert_int_equal(suite_list(it->store, QS_AREA_OBJ).files, 3);
	check_object(it->store, 1, &names[1]);
}

static void
the_same_object_twice_in_one_commit_is_fine(void **state)
{
	struct suite_case *it = *state;
	struct qs_stage *stages[2];
	struct qs_buf object = make_object(1);
	struct qs_name names[2];
	struct qs_err err;

	for (unsigned i = 0; i < 2; i++)
		help_ok(it->store->ops->stage(it->store->self,
			qs_buf_span(&object), &stages[i], &err), &err);
	help_ok(qs_store_name(it->store, stages, 2, names, &err), &err);
	help_ok(it->store->ops->commit(it->store->self, stages, names, 2,
		&err), &err);
	assert_int_equal(suite_list(it->store, QS_AREA_OBJ).files, 1);
	check_object(it->store, 1, &names[0]);
	qs_buf_clear(&object);
}

static void
what_is_not_committed_leaves_nothing(void **state)
{
	struct suite_case *it = *state;
	struct qs_stage *stage = NULL;
	struct qs_buf object = make_object(2);
	struct qs_name name;
	uint64_t size = 1;
	struct qs_err err;

	qs_hash_name(qs_buf_span(&object), &name);
	help_ok(it->store->ops->stage(it->store->self, qs_buf_span(&object),
		&stage, &err), &err);
	help_ok(it->store->ops->have(it->store->self, &name, 1, &size, &err),
		&err);
	assert_int_equal(size, 0);
	it->store->ops->discard(it->store->self, stage);
	assert_int_equal(suite_list(it->store, QS_AREA_OBJ).files, 0);
	assert_int_equal(suite_list(it->store, QS_AREA_OBJ).foreign, 0);
	qs_buf_clear(&object);
}

static void
a_listing_can_be_stopped(void **state)
{
	struct suite_case *it = *state;
	struct qs_name names[5];
	struct count count = {.stop_after = 2};
	struct qs_err err;

	save(it->store, 0, 5, names);
	help_fails(it->store->ops->list(it->store->self, QS_AREA_OBJ,
		suite_count_one, &count, &err), &err, QS_ECANCELED, "enough");
	assert_int_equal(count.files, 2);
}

/* -------------------------------------------------------------- threads */

struct saver {
	struct qs_store *store;
	struct qs_name names[4];
	unsigned first;
};

static void
save_in_thread(void *arg)
{
	struct saver *saver = arg;

	for (unsigned i = 0; i < 4; i += 2)
		save(saver->store, saver->first + i, 2, saver->names + i);
}

/* All save the same objects, each in another order of batches. */
static void
many_may_save_the_same_objects_at_once(void **state)
{
	struct suite_case *it = *state;
	struct qs_store *second = NULL;
	struct qs_thread *threads[THREADS];
	struct saver savers[THREADS];
	struct qs_err err;

	help_ok(it->suite->open(it->suite->arg, it->store->folder_id, &second,
		&err), &err);
	for (unsigned i = 0; i < THREADS; i++) {
		savers[i].store = i % 2 == 0 ? it->store : second;
		savers[i].first = i / 2;
		help_ok(qs_thread_start(&threads[i], save_in_thread,
			&savers[i], "saver", &err), &err);
	}
	for (unsigned i = 0; i < THREADS; i++)
		qs_thread_join(threads[i]);
	assert_int_equal(suite_list(it->store, QS_AREA_OBJ).files, 5);
	for (unsigned i = 0; i < THREADS; i++) {
		for (unsigned j = 0; j < 4; j++)
			check_object(it->store, savers[i].first + j,
				&savers[i].names[j]);
	}
	qs_store_close(second);
}

int
store_suite_run_objects(const struct store_suite *suite)
{
	struct CMUnitTest tests[] = {
		SUITE_CASE(a_new_store_is_empty),
		SUITE_CASE(objects_come_back_under_their_names),
		SUITE_CASE(have_gives_sizes),
		SUITE_CASE(what_is_there_can_be_settled),
		SUITE_CASE(slices_end_at_the_objects_end),
		SUITE_CASE(parts_of_slices_are_refused),
		SUITE_CASE(a_missing_object_is_named),
		SUITE_CASE(a_limit_on_loading_holds),
		SUITE_CASE(what_is_there_already_counts_as_saved),
		SUITE_CASE(the_same_object_twice_in_one_commit_is_fine),
		SUITE_CASE(what_is_not_committed_leaves_nothing),
		SUITE_CASE(a_listing_can_be_stopped),
		SUITE_CASE(many_may_save_the_same_objects_at_once),
	};

	SUITE_RUN(tests, suite);
}
