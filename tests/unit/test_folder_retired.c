/* SPDX-License-Identifier: ISC */
/* The index and what the admin has retired. */
#include "tests/unit/folder_rig.h"

#define DAY INT64_C(86400000000000)

static void
retire(struct qs_folder *folder, const struct qs_name *name)
{
	struct qs_draft draft = {.type = QS_RECORD_RETIRE};
	struct qs_buf body = {0};
	struct qs_mark mark;
	int lock;

	OK(qs_folder_retire_body(folder, qs_span(name->b, 32), &body, &err));
	draft.body = qs_buf_span(&body);
	OK(qs_state_lock(folder, &lock, &err));
	OK(qs_chain_append(folder, qs_keys_admin(folder->keys), &draft, &mark,
		&err));
	qs_fd_close(&lock);
	qs_buf_clear(&body);
}

static void
retired_pack_is_forgotten_until_listed_again(void **state)
{
	struct rig *rig = (struct rig *)*state;
	struct qs_folder *a = rig_open(rig, "a"), *b;
	struct qs_name names[2], first, second, unknown = {{1}};

	names[0] = first = rig_pack(a, 1, true);
	names[1] = second = rig_pack(a, 2, true);
	(void)rig_save(a, DAY, names, 2);
	b = rig_open(rig, "b");
	assert_true(rig_knows(b, 1));
	qs_folder_close(b);
	retire(a, &unknown);
	qs_folder_close(a);
	a = rig_open(rig, "a");
	retire(a, &first);
	qs_folder_close(a);
	a = rig_open(rig, "a");
	b = rig_open(rig, "b");
	assert_false(rig_knows(a, 1) || rig_knows(b, 1));
	assert_true(rig_knows(a, 2) && rig_knows(b, 2));
	qs_folder_close(b);
	b = rig_open(rig, "new");
	assert_false(rig_knows(b, 1));
	qs_folder_close(b);
	/* It knows of it and stores it again. */
	(void)rig_save(a, 3 * DAY, &first, 1);
	qs_folder_close(a);
	b = rig_open(rig, "b");
	assert_true(rig_knows(b, 1));
	qs_folder_close(b);
	/* What is retired may be gone from the store without a word. */
	a = rig_open(rig, "a");
	retire(a, &second);
	qs_folder_close(a);
	rig_move_object(rig, &second, true);
	b = rig_open(rig, "new2");
	rig_quiet(rig);
	qs_folder_close(b);
}

/*
 * A machine that had read the log before the RETIRE may build upon the pack, so
 * its snapshot, which says that it knew nothing, keeps it.
 */
static void
snapshot_that_knew_nothing_keeps_a_retired_pack(void **state)
{
	struct rig *rig = (struct rig *)*state;
	struct qs_folder *a = rig_open(rig, "a"), *b, *late;
	struct qs_name first = rig_pack(a, 1, true);
	struct qs_buf unlogged = {0};

	(void)rig_save(a, DAY, &first, 1);
	b = rig_open(rig, "b");
	late = rig_open(rig, "late");
	retire(a, &first);
	qs_folder_close(a);
	qs_folder_close(b);
	b = rig_open(rig, "b");
	assert_false(rig_knows(b, 1));
	qs_folder_close(b);
	(void)rig_save(late, 2 * DAY, NULL, 0);
	qs_folder_close(late);
	b = rig_open(rig, "b");
	assert_true(rig_knows(b, 1));
	rig_quiet(rig);
	/* It knows of the RETIRE, so it lists what it goes on using. */
	OK(qs_index_each_unlogged(qs_folder_index(b), qs_names_collect,
		&unlogged, &err));
	assert_int_equal(unlogged.len, 32);
	assert_memory_equal(unlogged.data, first.b, 32);
	(void)rig_save(b, 3 * DAY, &first, 1);
	qs_folder_close(b);
	b = rig_open(rig, "b");
	unlogged.len = 0;
	OK(qs_index_each_unlogged(qs_folder_index(b), qs_names_collect,
		&unlogged, &err));
	assert_int_equal(unlogged.len, 0);
	assert_true(rig_knows(b, 1));
	qs_folder_close(b);
	qs_buf_clear(&unlogged);
}

/*
 * Another process of the machine, which has not read the RETIRE, puts the pack
 * back into the index that they share.
 */
static void
retired_pack_that_was_put_back_is_forgotten_again(void **state)
{
	struct rig *rig = (struct rig *)*state;
	struct qs_folder *a = rig_open(rig, "a"), *b, *late;
	struct qs_name first = rig_pack(a, 1, true);
	struct qs_buf unlogged = {0};
	uint64_t size = 0;

	(void)rig_save(a, DAY, &first, 1);
	late = rig_open(rig, "b");
	retire(a, &first);
	qs_folder_close(a);
	b = rig_open(rig, "b");
	assert_false(rig_knows(b, 1));
	OK(late->store->ops->have(late->store->self, &first, 1, &size, &err));
	OK(qs_folder_adopt_sized(late, &first, size, &err));
	OK(qs_index_commit(late->index, &err));
	qs_folder_close(late);
	assert_true(rig_knows(b, 1));
	/* One that is at work lists what it may have built upon. */
	OK(qs_retired_list_used(b, &err));
	OK(qs_index_each_unlogged(qs_folder_index(b), qs_names_collect,
		&unlogged, &err));
	assert_int_equal(unlogged.len, 32);
	assert_memory_equal(unlogged.data, first.b, 32);
	OK(qs_index_unlogged_drop(b->index, &first, 1, &err));
	OK(qs_index_commit(b->index, &err));
	qs_folder_close(b);
	b = rig_open(rig, "b");
	assert_false(rig_knows(b, 1));
	qs_folder_close(b);
	qs_buf_clear(&unlogged);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(retired_pack_is_forgotten_until_listed_again),
		RIG_TEST(retired_pack_that_was_put_back_is_forgotten_again),
		RIG_TEST(snapshot_that_knew_nothing_keeps_a_retired_pack),
	};

	if (qs_crypto_init(&err) != QS_OK)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
