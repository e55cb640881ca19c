/* SPDX-License-Identifier: ISC */
/* The index brought up to date: from index chunks, directories, leftovers. */
#include "tests/unit/folder_rig.h"

#define DAY INT64_C(86400000000000)

static enum qs_code
collect_ref(void *arg, uint32_t number, const struct qs_pack_ref *ref,
	struct qs_err *fault)
{
	(void)number;
	return qs_buf_append((struct qs_buf *)arg, ref, sizeof(*ref), fault);
}

static int
compare_ref(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct qs_name));
}

/* All packs' refs in order, to compare two indexes by. */
static struct qs_buf
all_packs(struct qs_folder *folder)
{
	struct qs_buf refs = {0};

	OK(qs_index_each_pack(qs_folder_index(folder), collect_ref, &refs,
		&err));
	if (refs.len > 0)
		qsort(refs.data, refs.len / sizeof(struct qs_pack_ref),
			sizeof(struct qs_pack_ref), compare_ref);
	return refs;
}

static void
assert_same_index(struct qs_folder *a, struct qs_folder *b)
{
	struct qs_buf left = all_packs(a), right = all_packs(b);
	struct qs_index_counts one, two;

	assert_int_equal(left.len, right.len);
	assert_memory_equal(left.data, right.data, left.len);
	OK(qs_index_count(qs_folder_index(a), &one, &err));
	OK(qs_index_count(qs_folder_index(b), &two, &err));
	assert_int_equal(one.chunks, two.chunks);
	assert_int_equal(one.pack_bytes, two.pack_bytes);
	qs_buf_clear(&left);
	qs_buf_clear(&right);
}

/* A byte in the pack's sealed directory, which goes up to its end. */
static void
damage_directory(struct rig *rig, const struct qs_name *name)
{
	char hex[QS_HEX_LEN + 1], line[384];

	qs_hex(hex, name->b, 32);
	(void)snprintf(line, sizeof(line), "printf 'Z?Z' | dd of=$(echo "
		"store/*/obj/%.2s/%s) bs=1 seek=65000 conv=notrunc "
		"2>/dev/null", hex, hex);
	rig_sh(rig, line);
}

/* Four packs: two through an index chunk, two direct. */
static void
save_with_cover(struct qs_folder *a, struct qs_name names[static 5])
{
	struct qs_payload payload = rig_payload(DAY, NULL);
	struct qs_name sorted[5], record;

	for (unsigned i = 0; i < 4; i++)
		names[i] = rig_pack(a, i, true);
	payload.cover.indexes = calloc(1, sizeof(struct qs_index_at));
	payload.cover.index_count = 1;
	names[4] = rig_index_pack(a, names, 2, payload.cover.indexes);
	payload.cover.direct = calloc(3, sizeof(struct qs_name));
	memcpy(payload.cover.direct, names + 2, 3 * sizeof(*names));
	payload.cover.direct_count = 3;
	memcpy(sorted, names, sizeof(sorted));
	assert_int_equal(qs_names_sort(sorted, 5), 5);
	OK(qs_folder_append(a, &payload, sorted, 5, &record, &err));
	qs_payload_clear(&payload);
}

static void
index_rebuilt_from_nothing_is_the_same(void **state)
{
	struct rig *rig = (struct rig *)*state;
	struct qs_folder *a = rig_open(rig, "a"), *b;
	struct qs_name names[5], *covered;
	size_t count;

	save_with_cover(a, names);
	assert_int_equal(qs_folder_cover(a)->index_count, 1);
	OK(qs_index_chunk_names(a, qs_folder_cover(a)->indexes, &covered,
		&count, &err));
	assert_int_equal(count, 2);
	assert_memory_equal(covered, names, 2 * sizeof(*names));
	free(covered);
	b = rig_open(rig, "b");
	rig_quiet(rig);
	assert_same_index(a, b);
	qs_folder_close(a);
	qs_folder_close(b);
	/* And once more where an index was thrown away. */
	rig_sh(rig, "rm -r a.cache");
	a = rig_open(rig, "a");
	b = rig_open(rig, "b");
	assert_same_index(a, b);
	rig_quiet(rig);
	qs_folder_close(a);
	qs_folder_close(b);
}

static void
index_chunk_saves_reading_directories(void **state)
{
	struct rig *rig = (struct rig *)*state;
	struct qs_folder *a = rig_open(rig, "a"), *b;
	struct qs_name names[5];

	save_with_cover(a, names);
	qs_folder_close(a);
	damage_directory(rig, &names[0]);
	b = rig_open(rig, "b");
	rig_quiet(rig); /* it was not read at all */
	assert_true(rig_knows(b, 0));
	qs_folder_close(b);
}

static void
damaged_index_chunk_costs_nothing_but_time(void **state)
{
	struct rig *rig = (struct rig *)*state;
	struct qs_folder *a = rig_open(rig, "a"), *b;
	struct qs_name names[5];
	char hex[QS_HEX_LEN + 1], line[384];

	save_with_cover(a, names);
	qs_folder_close(a);
	qs_hex(hex, names[4].b, 32);
	(void)snprintf(line, sizeof(line), "printf ZZ | dd of=$(echo "
		"store/*/obj/%.2s/%s) bs=1 seek=200 conv=notrunc "
		"2>/dev/null", hex, hex);
	rig_sh(rig, line);
	b = rig_open(rig, "b");
	rig_told(rig, QS_ENOTFOUND, "index chunk in object ");
	for (unsigned i = 0; i < 4; i++)
		assert_true(rig_knows(b, i));
	qs_folder_close(b);
}

static struct qs_buf
all_unlogged(struct qs_folder *folder)
{
	struct qs_buf names = {0};

	OK(qs_index_each_unlogged(qs_folder_index(folder), qs_names_collect,
		&names, &err));
	return names;
}

/* The public body that lists a pack may be lost: its device says it twice. */
static void
pack_in_a_cover_is_taken_in_and_listed_again(void **state)
{
	struct rig *rig = (struct rig *)*state;
	struct qs_folder *a = rig_open(rig, "a"), *b;
	struct qs_payload payload = rig_payload(DAY, NULL);
	struct qs_name names[4], listed, record;
	struct qs_buf unlogged;

	for (unsigned i = 0; i < 4; i++)
		names[i] = rig_pack(a, i + 1, true);
	payload.cover.indexes = calloc(1, sizeof(struct qs_index_at));
	payload.cover.index_count = 1;
	listed = rig_index_pack(a, names, 2, payload.cover.indexes);
	payload.cover.direct = calloc(1, sizeof(struct qs_name));
	payload.cover.direct[0] = names[2];
	payload.cover.direct_count = 1;
	(void)rig_save(a, DAY, &names[0], 1);
	OK(qs_folder_append(a, &payload, &listed, 1, &record, &err));
	qs_payload_clear(&payload);
	qs_folder_close(a);
	b = rig_open(rig, "b");
	assert_true(rig_knows(b, 1) && rig_knows(b, 2) && rig_knows(b, 3));
	assert_false(rig_knows(b, 4)); /* nobody has signed for it */
	rig_quiet(rig);
	unlogged = all_unlogged(b);
	assert_int_equal(unlogged.len, 2 * sizeof(*names));
	assert_int_equal(qs_names_sort(names + 1, 2), 2);
	assert_int_equal(qs_names_sort((struct qs_name *)unlogged.data, 2), 2);
	assert_memory_equal(unlogged.data, names + 1, unlogged.len);
	qs_buf_clear(&unlogged);
	/* As known as any other from now on. */
	(void)rig_save(b, 2 * DAY, names + 1, 2);
	unlogged = all_unlogged(b);
	assert_int_equal(unlogged.len, 0);
	qs_buf_clear(&unlogged);
	qs_folder_close(b);
	b = rig_open(rig, "c");
	assert_true(rig_knows(b, 2) && rig_knows(b, 3));
	unlogged = all_unlogged(b);
	assert_int_equal(unlogged.len, 0);
	qs_buf_clear(&unlogged);
	qs_folder_close(b);
}

/* Where a cover is read to be merged, nothing is taken in on the way. */
static void
reading_an_index_chunk_takes_nothing_in(void **state)
{
	struct rig *rig = (struct rig *)*state;
	struct qs_folder *a = rig_open(rig, "a"), *b;
	struct qs_index_at at = {0};
	struct qs_index_counts counts;
	struct qs_name name = rig_pack(a, 1, true), *names;
	size_t count;

	(void)rig_index_pack(a, &name, 1, &at);
	qs_folder_close(a);
	b = rig_open(rig, "b");
	assert_int_equal(qs_index_chunk_names(b, &at, &names, &count, &err),
		QS_ENOTFOUND);
	OK(qs_index_count(qs_folder_index(b), &counts, &err));
	assert_int_equal(counts.packs, 0);
	qs_folder_close(b);
}

static void
index_chunk_with_a_wrong_size_is_not_believed(void **state)
{
	struct rig *rig = (struct rig *)*state;
	struct qs_folder *a = rig_open(rig, "a"), *b;
	struct qs_payload payload = rig_payload(DAY, NULL);
	struct qs_name names[2], record;
	struct qs_pack_head head;
	struct qs_pack_dir dir;
	struct qs_buf refs;

	names[0] = rig_pack(a, 1, false);
	OK(qs_folder_read_dir(a, &names[0], QS_PACK_MIN, &head, &dir, &err));
	head.ref.size *= 2;
	OK(qs_index_add(qs_folder_index(a), &head.ref, &dir, &err));
	qs_pack_dir_clear(&dir);
	payload.cover.indexes = calloc(1, sizeof(struct qs_index_at));
	payload.cover.index_count = 1;
	names[1] = rig_index_pack(a, names, 1, payload.cover.indexes);
	assert_int_equal(qs_names_sort(names, 2), 2);
	OK(qs_folder_append(a, &payload, names, 2, &record, &err));
	qs_payload_clear(&payload);
	qs_folder_close(a);
	b = rig_open(rig, "b");
	refs = all_packs(b);
	assert_int_equal(refs.len, 2 * sizeof(struct qs_pack_ref));
	for (size_t i = 0; i < 2; i++) {
		memcpy(&head.ref, refs.data + i * sizeof(head.ref),
			sizeof(head.ref));
		assert_int_equal(head.ref.size, QS_PACK_MIN);
	}
	qs_buf_clear(&refs);
	qs_folder_close(b);
	rig_quiet(rig);
}

static void
missing_pack_is_told_until_it_is_back(void **state)
{
	struct rig *rig = (struct rig *)*state;
	struct qs_folder *a = rig_open(rig, "a"), *b;
	struct qs_name names[2], copy[2];

	names[0] = rig_pack(a, 1, true);
	names[1] = rig_pack(a, 2, true);
	memcpy(copy, names, sizeof(copy));
	(void)rig_save(a, DAY, copy, 2);
	qs_folder_close(a);
	rig_move_object(rig, &names[0], true);
	for (int i = 0; i < 2; i++) {
		b = rig_open(rig, "b");
		rig_told(rig, QS_ENOTFOUND, "is missing from");
		assert_false(rig_knows(b, 1));
		assert_true(rig_knows(b, 2));
		qs_folder_close(b);
	}
	rig_move_object(rig, &names[0], false);
	b = rig_open(rig, "b");
	rig_quiet(rig);
	assert_true(rig_knows(b, 1));
	qs_folder_close(b);
	b = rig_open(rig, "b");
	rig_quiet(rig);
	qs_folder_close(b);
}

static void
folder_of_objects_that_cannot_be_read_costs_only_them(void **state)
{
	struct rig *rig = (struct rig *)*state;
	struct qs_folder *a = rig_open(rig, "a"), *b;
	struct qs_name names[2], away;
	char line[256];
	unsigned n = 2;

	names[0] = away = rig_pack(a, 1, true);
	/* In another shard. */
	do {
		names[1] = rig_pack(a, n, false);
	} while (names[1].b[0] == away.b[0] && ++n < 256);
	(void)rig_save(a, DAY, names, 2);
	qs_folder_close(a);
	(void)snprintf(line, sizeof(line), "cd store/*/obj && mv %02x away && "
		"touch %02x", away.b[0], away.b[0]);
	rig_sh(rig, line);
	for (int i = 0; i < 2; i++) {
		b = rig_open(rig, "b");
		rig_told(rig, QS_ENOTFOUND, "Not a directory");
		assert_false(rig_knows(b, 1));
		assert_true(rig_knows(b, n));
		qs_folder_close(b);
	}
	(void)snprintf(line, sizeof(line), "cd store/*/obj && rm %02x && "
		"mv away %02x", away.b[0], away.b[0]);
	rig_sh(rig, line);
	b = rig_open(rig, "b");
	rig_quiet(rig);
	assert_true(rig_knows(b, 1));
	qs_folder_close(b);
}

static void
damaged_pack_costs_only_itself(void **state)
{
	struct rig *rig = (struct rig *)*state;
	struct qs_folder *a = rig_open(rig, "a"), *b;
	struct qs_name names[2], first;

	names[0] = first = rig_pack(a, 1, true);
	names[1] = rig_pack(a, 2, true);
	(void)rig_save(a, DAY, names, 2);
	qs_folder_close(a);
	damage_directory(rig, &first);
	b = rig_open(rig, "b");
	rig_told(rig, QS_ENOTFOUND, "object ");
	assert_false(rig_knows(b, 1));
	assert_true(rig_knows(b, 2));
	assert_int_equal(qs_folder_adopt_sized(b, &first, QS_PACK_MIN, &err),
		QS_ECORRUPT);
	memset(first.b, 0, 32);
	assert_int_equal(qs_folder_adopt_sized(b, &first, QS_PACK_MIN, &err),
		QS_ENOTFOUND);
	qs_folder_close(b);
}

static void
killed_runs_packs_are_adopted_and_logged_next(void **state)
{
	struct rig *rig = (struct rig *)*state;
	struct qs_folder *a = rig_open(rig, "a");
	struct qs_name names[2] = {rig_pack(a, 1, false), {{5}}};
	struct qs_buf found = {0};

	/* Written down, one of them committed, then killed. */
	OK(qs_index_pending_add(qs_folder_index(a), names, 2, &err));
	qs_folder_close(a);
	a = rig_open(rig, "a");
	rig_quiet(rig);
	assert_true(rig_knows(a, 1));
	OK(qs_index_each_pending(qs_folder_index(a), qs_names_collect, &found,
		&err));
	assert_int_equal(found.len, 0);
	OK(qs_index_each_unlogged(qs_folder_index(a), qs_names_collect,
		&found, &err));
	assert_int_equal(found.len, 32);
	assert_memory_equal(found.data, names[0].b, 32);
	(void)rig_save(a, DAY, names, 1);
	found.len = 0;
	OK(qs_index_each_unlogged(qs_folder_index(a), qs_names_collect,
		&found, &err));
	assert_int_equal(found.len, 0);
	qs_buf_clear(&found);
	qs_folder_close(a);
}

static size_t settled;

static enum qs_code
count_settled(void *self, const struct qs_name *names, size_t count,
	struct qs_err *fault)
{
	(void)self;
	(void)names;
	settled += count;
	return settled > 1 ? QS_OK : qs_fail(fault, QS_EIO, "a bad disk");
}

/* What is taken over from a killed run is made durable before it is listed. */
static void
killed_runs_packs_are_settled_before_they_are_listed(void **state)
{
	struct rig *rig = (struct rig *)*state;
	struct qs_folder *a = rig_open(rig, "a");
	struct qs_name name = rig_pack(a, 1, false);
	struct qs_store_ops ops = *a->store->ops;
	const struct qs_store_ops *own = a->store->ops;
	struct qs_buf unlogged;

	ops.settle = count_settled;
	a->store->ops = &ops;
	settled = 0;
	OK(qs_index_pending_add(qs_folder_index(a), &name, 1, &err));
	OK(qs_folder_adopt_pending(a, &err));
	rig_told(rig, QS_EIO, "a bad disk");
	assert_false(rig_knows(a, 1));
	unlogged = all_unlogged(a);
	assert_int_equal(unlogged.len, 0);
	qs_buf_clear(&unlogged);
	/* Nothing is forgotten of it. */
	OK(qs_folder_adopt_pending(a, &err));
	assert_int_equal(settled, 2);
	assert_true(rig_knows(a, 1));
	unlogged = all_unlogged(a);
	assert_int_equal(unlogged.len, 32);
	qs_buf_clear(&unlogged);
	a->store->ops = own;
	qs_folder_close(a);
	rig_quiet(rig);
}

static void
names_logged_by_a_lost_process_are_not_logged_twice(void **state)
{
	struct rig *rig = (struct rig *)*state;
	struct qs_folder *a = rig_open(rig, "a");
	struct qs_name name = rig_pack(a, 1, true);
	struct qs_buf found = {0};

	OK(qs_index_unlogged_add(qs_folder_index(a), &name, 1, &err));
	OK(qs_index_commit(qs_folder_index(a), &err));
	qs_folder_close(a);
	/* Killed between the record and the index's own bookkeeping. */
	rig_sh(rig, "cp -a a.cache old.cache");
	a = rig_open(rig, "a");
	(void)rig_save(a, DAY, &name, 1);
	qs_folder_close(a);
	rig_sh(rig, "rm -r a.cache && mv old.cache a.cache");
	a = rig_open(rig, "a");
	OK(qs_index_each_unlogged(qs_folder_index(a), qs_names_collect,
		&found, &err));
	assert_int_equal(found.len, 0);
	rig_quiet(rig);
	qs_folder_close(a);
}

/* It was away when check or snapshot looked, before any record had it. */
static void
unlogged_pack_that_is_back_is_still_to_be_logged(void **state)
{
	struct rig *rig = (struct rig *)*state;
	struct qs_folder *a = rig_open(rig, "a");
	struct qs_name name = rig_pack(a, 1, true);
	struct qs_buf found = {0};

	OK(qs_index_unlogged_add(qs_folder_index(a), &name, 1, &err));
	OK(qs_folder_note_absent(a, &name, &err));
	OK(qs_index_forget(qs_folder_index(a), &name, &err));
	qs_folder_close(a);
	a = rig_open(rig, "a");
	rig_quiet(rig);
	assert_true(rig_knows(a, 1));
	OK(qs_index_each_unlogged(qs_folder_index(a), qs_names_collect,
		&found, &err));
	assert_int_equal(found.len, 32);
	qs_buf_clear(&found);
	qs_folder_close(a);
}

static void
damaged_index_is_made_anew(void **state)
{
	struct rig *rig = (struct rig *)*state;
	struct qs_folder *a = rig_open(rig, "a");
	struct qs_name name = rig_pack(a, 1, true);

	(void)rig_save(a, DAY, &name, 1);
	qs_folder_close(a);
	rig_sh(rig, "head -c 20000 /dev/zero > $(echo "
		"a.cache/*/index.sqlite)");
	a = rig_open(rig, "a");
	rig_told(rig, QS_EINDEX, "index.sqlite");
	assert_true(rig_knows(a, 1));
	qs_folder_close(a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(index_rebuilt_from_nothing_is_the_same),
		RIG_TEST(index_chunk_saves_reading_directories),
		RIG_TEST(damaged_index_chunk_costs_nothing_but_time),
		RIG_TEST(pack_in_a_cover_is_taken_in_and_listed_again),
		RIG_TEST(reading_an_index_chunk_takes_nothing_in),
		RIG_TEST(index_chunk_with_a_wrong_size_is_not_believed),
		RIG_TEST(missing_pack_is_told_until_it_is_back),
		RIG_TEST(folder_of_objects_that_cannot_be_read_costs_only_them),
		RIG_TEST(damaged_pack_costs_only_itself),
		RIG_TEST(killed_runs_packs_are_adopted_and_logged_next),
		RIG_TEST(killed_runs_packs_are_settled_before_they_are_listed),
		RIG_TEST(names_logged_by_a_lost_process_are_not_logged_twice),
		RIG_TEST(unlogged_pack_that_is_back_is_still_to_be_logged),
		RIG_TEST(damaged_index_is_made_anew),
	};

	if (qs_crypto_init(&err) != QS_OK)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
