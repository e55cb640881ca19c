/* SPDX-License-Identifier: ISC */
/* A folder made, opened, written to, gone back in time, and put right. */
#include "tests/unit/folder_rig.h"

#include <sys/stat.h>

#define DAY INT64_C(86400000000000)

/* --------------------------------------------------------- open, append */

static void
new_folder_is_empty_and_whole(void **state)
{
	struct rig *rig = (struct rig *)*state;
	struct qs_folder *a = rig_open(rig, "a"), *b = rig_open(rig, "b");
	char token[QS_HEAD_TOKEN_LEN + 1], other[QS_HEAD_TOKEN_LEN + 1];

	assert_int_equal(qs_folder_snapshot_count(a), 0);
	assert_int_equal(qs_folder_cover(a)->direct_count, 0);
	assert_int_equal(qs_folder_chunker(a)->id,
		qs_chunker_params_default().id);
	OK(qs_folder_can_write(a, &err));
	qs_folder_head_token(a, token);
	qs_folder_head_token(b, other);
	assert_string_equal(token, other);
	assert_int_equal(strspn(token, "0123456789ABCDEFGHJKMNPQRSTVWXYZ"),
		QS_HEAD_TOKEN_LEN);
	rig_quiet(rig);
	qs_folder_close(a);
	qs_folder_close(b);
}

static void
folder_of_a_slotless_creation_is_refused(void **state)
{
	struct rig *rig = (struct rig *)*state;
	struct machine *machine = rig_machine(rig, "a");
	struct qs_folder *folder;

	assert_int_equal(qs_folder_create(rig->store, &machine->options, NULL,
		0, &folder, &err), QS_EINVAL);
	free(machine);
}

static void
another_folders_key_is_refused(void **state)
{
	struct rig *rig = (struct rig *)*state;
	struct machine *machine = rig_machine(rig, "a");
	struct qs_folder *folder;

	rig->secret.fmk[0] ^= 1;
	assert_int_equal(rig_try(rig, machine, &folder), QS_EKEY);
	rig->secret.fmk[0] ^= 1;
	/* The right keys with another dedup secret: GENESIS knows better. */
	rig->secret.ds[0] ^= 1;
	assert_int_equal(rig_try(rig, machine, &folder), QS_ECORRUPT);
	assert_non_null(strstr(err.msg, "dedup secret"));
	free(machine);
}

static void
saved_snapshot_is_there_for_everybody(void **state)
{
	struct rig *rig = (struct rig *)*state;
	struct qs_folder *a = rig_open(rig, "a"), *b;
	const struct qs_snapshot *snapshot;
	struct qs_name names[2], late, early;
	char before[QS_HEAD_TOKEN_LEN + 1], after[QS_HEAD_TOKEN_LEN + 1];

	qs_folder_head_token(a, before);
	names[0] = rig_pack(a, 1, true);
	names[1] = rig_pack(a, 2, true);
	late = rig_save(a, 5 * DAY, names, 2);
	early = rig_save(a, 4 * DAY, NULL, 0);
	qs_folder_head_token(a, after);
	assert_string_not_equal(before, after);
	assert_int_equal(qs_folder_snapshot_count(a), 2);
	snapshot = qs_folder_snapshot(a, 1);
	assert_memory_equal(snapshot->record.b, late.b, 32);
	qs_folder_close(a);

	b = rig_open(rig, "b");
	assert_int_equal(qs_folder_snapshot_count(b), 2);
	assert_memory_equal(qs_folder_snapshot(b, 0)->record.b, early.b, 32);
	snapshot = qs_folder_snapshot(b, 1);
	assert_string_equal(snapshot->host, "work");
	assert_int_equal(snapshot->seq, 0);
	assert_true(rig_knows(b, 1) && rig_knows(b, 2) && !rig_knows(b, 3));
	qs_folder_head_token(b, before);
	assert_string_equal(before, after);
	qs_folder_close(b);
	rig_quiet(rig);
}

static void
unsorted_names_are_refused(void **state)
{
	struct rig *rig = (struct rig *)*state;
	struct qs_folder *a = rig_open(rig, "a");
	struct qs_payload payload = rig_payload(DAY, NULL);
	struct qs_name names[2] = {{{2}}, {{1}}}, record;

	assert_int_equal(qs_folder_append(a, &payload, names, 2, &record,
		&err), QS_EINVAL);
	names[1] = names[0];
	assert_int_equal(qs_folder_append(a, &payload, names, 2, &record,
		&err), QS_EINVAL);
	assert_int_equal(qs_folder_snapshot_count(a), 0);
	qs_payload_clear(&payload);
	qs_folder_close(a);
}

static void
each_logged_name_is_given(void **state)
{
	struct rig *rig = (struct rig *)*state;
	struct qs_folder *a = rig_open(rig, "a");
	struct qs_name names[3];
	struct qs_buf found = {0};

	for (unsigned i = 0; i < 3; i++)
		names[i] = rig_pack(a, i, true);
	(void)rig_save(a, DAY, names, 3);
	(void)rig_save(a, DAY, names, 1);
	OK(qs_folder_each_logged(a, qs_names_collect, &found, &err));
	assert_int_equal(found.len, 4 * 32);
	assert_memory_equal(found.data, names, 3 * 32);
	assert_memory_equal(found.data + 96, names, 32);
	qs_buf_clear(&found);
	qs_folder_close(a);
}

/* -------------------------------------------------- damage and rollback */

static void
lost_genesis_leaves_the_folder_readable(void **state)
{
	struct rig *rig = (struct rig *)*state;
	struct qs_folder *a = rig_open(rig, "a");
	struct qs_name record = rig_save(a, DAY, NULL, 0);
	struct qs_payload payload = rig_payload(DAY, NULL);
	char admin[2 * QS_DEVICE_LEN + 1], line[256];

	qs_hex(admin, rig->secret.adm_pk, QS_DEVICE_LEN);
	qs_folder_close(a);
	(void)snprintf(line, sizeof(line),
		"rm store/*/log/%s/0000000000000000-*", admin);
	rig_sh(rig, line);
	a = rig_open(rig, "a");
	rig_told(rig, QS_ECORRUPT, "GENESIS");
	assert_int_equal(qs_folder_snapshot_count(a), 1);
	assert_int_equal(qs_folder_can_write(a, &err), QS_ECORRUPT);
	assert_int_equal(qs_folder_append(a, &payload, NULL, 0, &record,
		&err), QS_ECORRUPT);
	assert_non_null(strstr(err.msg, "copy it back"));
	qs_payload_clear(&payload);
	qs_folder_close(a);
}

static void
rolled_back_store_is_noticed_until_accepted(void **state)
{
	struct rig *rig = (struct rig *)*state;
	struct machine *machine = rig_machine(rig, "a");
	struct qs_folder *a = rig_open(rig, "a");

	for (int i = 1; i < 4; i++)
		(void)rig_save(a, i * DAY, NULL, 0);
	qs_folder_close(a);
	rig_sh(rig, "rm store/*/log/*/0000000000000002-*");
	for (int i = 0; i < 2; i++) { /* it goes on warning */
		a = rig_open(rig, "a");
		rig_told(rig, QS_EROLLBACK, "went back in time");
		assert_int_equal(qs_folder_snapshot_count(a), 2);
		assert_int_equal(qs_folder_can_write(a, &err), QS_EROLLBACK);
		assert_non_null(strstr(err.msg, "--accept-rollback"));
		qs_folder_close(a);
	}
	machine->options.accept_rollback = true;
	OK(rig_try(rig, machine, &a));
	rig_told(rig, QS_EROLLBACK, "went back in time");
	OK(qs_folder_can_write(a, &err));
	(void)rig_save(a, 9 * DAY, NULL, 0);
	qs_folder_close(a);
	a = rig_open(rig, "a");
	rig_quiet(rig);
	assert_int_equal(qs_folder_snapshot_count(a), 3);
	OK(qs_folder_can_write(a, &err));
	qs_folder_close(a);
	free(machine);
}

static void
news_of_others_do_not_lower_a_mark(void **state)
{
	struct rig *rig = (struct rig *)*state;
	struct qs_folder *a = rig_open(rig, "a"), *b = rig_open(rig, "b");
	char device[2 * QS_DEVICE_LEN + 1], line[256];

	(void)rig_save(b, DAY, NULL, 0);
	for (int i = 1; i < 3; i++)
		(void)rig_save(a, i * DAY, NULL, 0);
	qs_hex(device, a->device->pk, QS_DEVICE_LEN);
	qs_folder_close(a);
	(void)snprintf(line, sizeof(line),
		"rm store/*/log/%s/0000000000000001-*", device);
	rig_sh(rig, line);
	(void)rig_save(b, 3 * DAY, NULL, 0);
	qs_folder_close(b);
	for (int i = 0; i < 2; i++) {
		a = rig_open(rig, "a");
		rig_told(rig, QS_EROLLBACK, "went back in time");
		assert_int_equal(qs_folder_snapshot_count(a), 3);
		qs_folder_close(a);
	}
}

static void
reverted_machine_continues_from_the_store(void **state)
{
	struct rig *rig = (struct rig *)*state;
	struct qs_folder *a = rig_open(rig, "a");
	struct qs_name name;

	(void)rig_save(a, DAY, NULL, 0);
	qs_folder_close(a);
	rig_sh(rig, "cp -a a.state old.state && cp -a a.cache old.cache");
	a = rig_open(rig, "a");
	name = rig_pack(a, 7, true);
	(void)rig_save(a, 2 * DAY, &name, 1);
	qs_folder_close(a);
	a = rig_open(rig, "old");
	assert_true(rig_knows(a, 7));
	(void)rig_save(a, 3 * DAY, NULL, 0);
	assert_int_equal(qs_folder_snapshot(a, 2)->seq, 2);
	qs_folder_close(a);
	rig_quiet(rig);
}

static void
fork_is_told_and_not_built_upon(void **state)
{
	struct rig *rig = (struct rig *)*state;
	struct qs_folder *a = rig_open(rig, "a");
	uint8_t old[32];

	(void)rig_save(a, DAY, NULL, 0);
	qs_folder_close(a);
	/* One machine copied, and each of the two with a store of its own. */
	rig_sh(rig, "cp -a store other && cp -a a.state c.state");
	a = rig_open(rig, "a");
	(void)rig_save(a, 2 * DAY, NULL, 0);
	qs_folder_close(a);
	rig_sh(rig, "mv store store1 && mv other store");
	a = rig_open(rig, "c");
	(void)rig_save(a, 3 * DAY, NULL, 0);
	qs_folder_close(a);
	rig_quiet(rig);
	rig_sh(rig, "cp -an store1/. store/");
	a = rig_open(rig, "a");
	rig_told(rig, QS_ECONFLICT, "forked");
	assert_int_equal(qs_folder_snapshot_count(a), 3);
	/* A new key begins a chain of its own. */
	memcpy(old, a->device->pk, sizeof(old));
	(void)rig_save(a, 4 * DAY, NULL, 0);
	assert_memory_not_equal(old, a->device->pk, sizeof(old));
	assert_int_equal(qs_folder_snapshot(a, 3)->seq, 0);
	qs_folder_close(a);
	a = rig_open(rig, "a");
	(void)rig_save(a, 5 * DAY, NULL, 0);
	assert_int_equal(qs_folder_snapshot(a, 4)->seq, 1);
	qs_folder_close(a);
}

static void
what_another_snapshot_saw_is_missed(void **state)
{
	struct rig *rig = (struct rig *)*state;
	struct qs_folder *a = rig_open(rig, "a"), *b, *c;
	char device[2 * QS_DEVICE_LEN + 1], line[256];

	(void)rig_save(a, DAY, NULL, 0);
	(void)rig_save(a, 2 * DAY, NULL, 0);
	qs_hex(device, a->device->pk, QS_DEVICE_LEN);
	qs_folder_close(a);
	b = rig_open(rig, "b");
	(void)rig_save(b, 3 * DAY, NULL, 0);
	qs_folder_close(b);
	rig_quiet(rig);
	(void)snprintf(line, sizeof(line),
		"rm store/*/log/%s/0000000000000001-*", device);
	rig_sh(rig, line);
	/* A machine that never was here before can tell all the same. */
	c = rig_open(rig, "c");
	rig_told(rig, QS_EROLLBACK, "saw record 1 of ");
	qs_folder_close(c);
}

static void
damaged_payload_costs_one_snapshot(void **state)
{
	struct rig *rig = (struct rig *)*state;
	struct qs_folder *a = rig_open(rig, "a");
	struct qs_draft draft = {
		.type = QS_RECORD_SNAPSHOT,
		.fixed = qs_span("rubbish", 7),
	};
	struct qs_mark mark;
	int lock;

	(void)rig_save(a, DAY, NULL, 0);
	OK(qs_state_lock(a, &lock, &err));
	OK(qs_chain_append(a, a->device, &draft, &mark, &err));
	qs_fd_close(&lock);
	(void)rig_save(a, 2 * DAY, NULL, 0);
	qs_folder_close(a);
	a = rig_open(rig, "b");
	rig_told(rig, QS_ECORRUPT, "snapshot ");
	assert_int_equal(qs_folder_snapshot_count(a), 2);
	qs_folder_close(a);
}

static void
damaged_local_state_stops_writing_only(void **state)
{
	struct rig *rig = (struct rig *)*state;
	struct qs_folder *a = rig_open(rig, "a");

	(void)rig_save(a, DAY, NULL, 0);
	qs_folder_close(a);
	rig_sh(rig, "echo rubbish >> $(echo a.state/*/heads)");
	a = rig_open(rig, "a");
	rig_told(rig, QS_ECORRUPT, "heads");
	assert_int_equal(qs_folder_snapshot_count(a), 1);
	assert_int_equal(qs_folder_can_write(a, &err), QS_ECORRUPT);
	qs_folder_close(a);
	rig_sh(rig, "rm a.state/*/heads && "
		"printf X | dd of=$(echo a.state/*/device.key) bs=1 seek=70 "
		"conv=notrunc 2>/dev/null");
	a = rig_open(rig, "a");
	rig_quiet(rig);
	assert_int_equal(qs_folder_can_write(a, &err), QS_ECORRUPT);
	assert_non_null(strstr(err.msg, "device.key"));
	qs_folder_close(a);
}

/* ------------------------------------------------------- other machines */

static void
second_machine_needs_the_admin_key_once(void **state)
{
	struct rig *rig = (struct rig *)*state;
	struct qs_folder *b;
	uint8_t seed[32];
	struct qs_payload payload = rig_payload(DAY, NULL);
	struct qs_name record;

	memcpy(seed, rig->secret.adm_seed, 32);
	memset(rig->secret.adm_seed, 0, 32);
	b = rig_open(rig, "b");
	assert_int_equal(qs_folder_can_write(b, &err), QS_EKEY);
	assert_int_equal(qs_folder_append(b, &payload, NULL, 0, &record,
		&err), QS_EKEY);
	assert_non_null(strstr(err.msg, "admin key"));
	qs_folder_close(b);
	memcpy(rig->secret.adm_seed, seed, 32);
	b = rig_open(rig, "b");
	(void)rig_save(b, DAY, NULL, 0);
	qs_folder_close(b);
	memset(rig->secret.adm_seed, 0, 32);
	b = rig_open(rig, "b");
	(void)rig_save(b, 2 * DAY, NULL, 0);
	assert_int_equal(qs_folder_snapshot_count(b), 2);
	qs_folder_close(b);
	rig_quiet(rig);
	qs_payload_clear(&payload);
}

static void
two_processes_of_a_machine_take_turns(void **state)
{
	struct rig *rig = (struct rig *)*state;
	struct qs_folder *one = rig_open(rig, "a"), *two = rig_open(rig, "a");
	struct qs_name first = rig_pack(one, 1, true);
	struct qs_name second = rig_pack(two, 2, true);

	(void)rig_save(one, DAY, &first, 1);
	(void)rig_save(two, 2 * DAY, &second, 1);
	/* What it did not know of is found by its own directory. */
	assert_int_equal(qs_folder_cover(two)->direct_count, 1);
	assert_memory_equal(qs_folder_cover(two)->direct[0].b, first.b, 32);
	qs_folder_close(one);
	qs_folder_close(two);
	one = rig_open(rig, "a");
	assert_int_equal(qs_folder_snapshot_count(one), 2);
	rig_quiet(rig);
	qs_folder_close(one);
}

/* A store whose answer to the first append gets lost. */
static const struct qs_store_ops *real_ops;
static unsigned appended;

static enum qs_code
append_and_forget(void *self, const struct qs_record *record,
	struct qs_err *fault)
{
	enum qs_code rc = real_ops->append(self, record, fault);

	if (rc == QS_OK && appended++ == 0)
		return qs_fail(fault, QS_ECONFLICT, "a test");
	return rc;
}

static void
lost_answer_does_not_save_twice(void **state)
{
	struct rig *rig = (struct rig *)*state;
	struct qs_folder *a = rig_open(rig, "a");
	struct qs_store_ops ops = *a->store->ops;

	real_ops = a->store->ops;
	appended = 0;
	ops.append = append_and_forget;
	a->store->ops = &ops;
	(void)rig_save(a, DAY, NULL, 0);
	a->store->ops = real_ops;
	assert_int_equal(appended, 1);
	assert_int_equal(qs_folder_snapshot_count(a), 1);
	(void)rig_save(a, 2 * DAY, NULL, 0);
	qs_folder_close(a);
	a = rig_open(rig, "b");
	assert_int_equal(qs_folder_snapshot_count(a), 2);
	rig_quiet(rig);
	qs_folder_close(a);
}

static void
in_memory_leaves_nothing_behind(void **state)
{
	struct rig *rig = (struct rig *)*state;
	struct machine *machine = rig_machine(rig, "m");
	struct qs_folder *a = rig_open(rig, "a"), *m;
	struct qs_name name = rig_pack(a, 1, true);
	struct stat st;

	(void)rig_save(a, DAY, &name, 1);
	qs_folder_close(a);
	machine->options.in_memory = true;
	OK(rig_try(rig, machine, &m));
	assert_true(rig_knows(m, 1));
	assert_int_equal(qs_folder_snapshot_count(m), 1);
	assert_int_equal(qs_folder_can_write(m, &err), QS_EINVAL);
	qs_folder_close(m);
	assert_int_not_equal(stat(machine->cache, &st), 0);
	assert_int_not_equal(stat(machine->state, &st), 0);
	free(machine);
	rig_quiet(rig);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(new_folder_is_empty_and_whole),
		RIG_TEST(folder_of_a_slotless_creation_is_refused),
		RIG_TEST(another_folders_key_is_refused),
		RIG_TEST(saved_snapshot_is_there_for_everybody),
		RIG_TEST(unsorted_names_are_refused),
		RIG_TEST(each_logged_name_is_given),
		RIG_TEST(lost_genesis_leaves_the_folder_readable),
		RIG_TEST(rolled_back_store_is_noticed_until_accepted),
		RIG_TEST(news_of_others_do_not_lower_a_mark),
		RIG_TEST(reverted_machine_continues_from_the_store),
		RIG_TEST(fork_is_told_and_not_built_upon),
		RIG_TEST(what_another_snapshot_saw_is_missed),
		RIG_TEST(damaged_payload_costs_one_snapshot),
		RIG_TEST(damaged_local_state_stops_writing_only),
		RIG_TEST(second_machine_needs_the_admin_key_once),
		RIG_TEST(two_processes_of_a_machine_take_turns),
		RIG_TEST(lost_answer_does_not_save_twice),
		RIG_TEST(in_memory_leaves_nothing_behind),
	};

	if (qs_crypto_init(&err) != QS_OK)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
