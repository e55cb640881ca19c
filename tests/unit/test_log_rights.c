/* SPDX-License-Identifier: ISC */
/*
 * Unit tests of store/: who may write what in a log, and marks that tell when
 * a store went back in time.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/suite/log_world.h"

/* --------------------------------------------------------------- rights */

static void
an_uncertified_device_may_not_write(void **state)
{
	struct world *world = *state;
	struct qs_sign_key stranger;
	struct qs_record draft = {
		.type = QS_RECORD_SNAPSHOT,
		.time_ms = NOON,
	};
	struct seen seen;

	help_device(&stranger, 0x44);
	world_plant_record(world, &stranger, &draft);
	seen = world_walk(world, NULL, 0, 7, 1);
	world_says(&seen, 0, QS_ECORRUPT, "not certified");
}

static void
a_certificate_ends(void **state)
{
	struct world *world = *state;
	struct seen seen;

	for (uint64_t seq = 0; seq < 3; seq++)
		world_snapshot(world, 1, seq);
	seen = world_walk(world, NULL, 0, 9, 1);
	world_says(&seen, 0, QS_ECORRUPT,
		"record 2: its device is not certified");
}

static void
a_revoked_device_stays_revoked(void **state)
{
	struct world *world = *state;
	struct seen seen;

	world_cert(world, QS_RECORD_REVOKE, 0, QS_RIGHT_WRITE, 1, 3);
	seen = world_walk(world, NULL, 0, 6, 2);
	world_says(&seen, 0, QS_ECORRUPT, "record 2: its device was revoked");
	world_says(&seen, 1, QS_ECORRUPT, "record 3: its device was revoked");
	world_cert(world, QS_RECORD_CERT, 0, QS_RIGHT_WRITE, UINT64_MAX, 4);
	(void)world_walk(world, NULL, 0, 7, 2);
	world_cert(world, QS_RECORD_REVOKE, 0, QS_RIGHT_WRITE, 3, 5);
	(void)world_walk(world, NULL, 0, 8, 2);
	world_cert(world, QS_RECORD_REVOKE, 0, 0, 0, 6);
	(void)world_walk(world, NULL, 0, 7, 4);
	world_cert(world, QS_RECORD_REVOKE, 0, QS_RIGHT_WRITE, 3, 7);
	(void)world_walk(world, NULL, 0, 8, 4);
}

static void
only_the_admin_signs_the_other_types(void **state)
{
	static const enum qs_record_type types[] = {QS_RECORD_GENESIS,
		QS_RECORD_CERT, QS_RECORD_REVOKE, QS_RECORD_RETIRE,
		QS_RECORD_EPOCH, QS_RECORD_CHECKPOINT};
	static const size_t lengths[] = {64, 48, 48, 40, 0, 0};
	static const uint8_t body[64];
	struct world *world = *state;

	for (unsigned i = 0; i < 6; i++) {
		struct qs_record draft = {
			.type = types[i],
			.seq = 4,
			.prev = world->device[0][3].name,
			.time_ms = NOON,
			.public_body = qs_span(body, lengths[i]),
		};
		struct seen seen;

		world_plant_record(world, &world->devices[0], &draft);
		seen = world_walk(world, NULL, 0, 7, i + 1);
		world_says(&seen, i, QS_ECORRUPT, "only the admin");
	}
}

static void
a_lost_genesis_needs_the_key_from_a_slot(void **state)
{
	struct world *world = *state;
	struct seen seen = {.stop_with = QS_OK};
	struct qs_err err;

	world_damage(world->admin[0].path, 10);
	help_fails(qs_log_walk(world->store, NULL, NULL, 0, world_take_record,
		world_take_trouble, &seen, &err), &err, QS_ECORRUPT,
		"GENESIS record that belongs to its id is missing");
	assert_int_equal(seen.record_count, 0);
	help_ok(qs_log_walk(world->store, world->keys->adm_pk, NULL, 0,
		world_take_record, world_take_trouble, &seen, &err), &err);
	assert_int_equal(seen.record_count, 6);
	assert_int_equal(seen.trouble_count, 1);
	for (unsigned i = 0; i < 3; i++)
		(void)unlink(world->admin[i].path);
	memset(&seen, 0, sizeof(seen));
	help_ok(qs_log_walk(world->store, world->keys->adm_pk, NULL, 0,
		world_take_record, world_take_trouble, &seen, &err), &err);
	assert_int_equal(seen.record_count, 0);
	world_says(&seen, 0, QS_ECORRUPT,
		"no record of the folder's admin key");
}

static void
another_folders_genesis_is_not_taken(void **state)
{
	struct world *world = *state;
	struct qs_keys *mine = world->keys;
	struct qs_keys *others = help_other_keys(9);
	struct qs_genesis_body genesis;
	uint8_t body[64];
	struct qs_record draft = {
		.type = QS_RECORD_GENESIS,
		.time_ms = NOON,
		.public_body = qs_span(body, 64),
	};
	struct seen seen;

	/* Signed by a stranger, under this folder's id: its hash is wrong. */
	memcpy(genesis.adm_pk, world->devices[1].pk, 32);
	qs_fmk_commit(mine->fmk, genesis.fmk0_commit);
	qs_genesis_encode(&genesis, body);
	world_plant_record(world, &world->devices[1], &draft);
	seen = world_walk(world, NULL, 0, 7, 1);
	world_says(&seen, 0, QS_ECORRUPT, "only the admin");
	/* Of another folder, by the same admin. */
	memcpy(genesis.adm_pk, others->adm_pk, 32);
	qs_fmk_commit(others->fmk, genesis.fmk0_commit);
	qs_genesis_encode(&genesis, body);
	world->keys = others;
	memcpy(world->keys->folder_id, mine->folder_id, QS_FOLDER_ID_LEN);
	world_plant_record(world, qs_keys_admin(others), &draft);
	world->keys = mine;
	seen = world_walk(world, NULL, 0, 7, 2);
	world_says(&seen, 0, QS_ECORRUPT, "GENESIS does not match");
	qs_keys_free(others);
}

/* ---------------------------------------------------------------- marks */

static void
a_mark_that_is_there_is_quiet(void **state)
{
	struct world *world = *state;
	struct qs_mark marks[2] = {
		world_mark(world, 0, &world->device[0][3]),
		world_mark(world, 0, &world->device[0][1]),
	};

	(void)world_walk(world, marks, 2, 7, 0);
	world_snapshot(world, 0, 4);
	(void)world_walk(world, marks, 2, 8, 0);
}

static void
a_dropped_tail_is_told_with_dates(void **state)
{
	struct world *world = *state;
	struct qs_mark mark = world_mark(world, 0, &world->device[0][3]);
	struct seen seen;

	assert_int_equal(unlink(world->device[0][3].path), 0);
	(void)world_walk(world, NULL, 0, 6, 0); /* unseen without a mark */
	seen = world_walk(world, &mark, 1, 6, 1);
	world_says(&seen, 0, QS_EROLLBACK,
		"was at record 3 of 2025-11-20 10:03 UTC, "
		"is now at record 2 of 2025-11-20 10:02 UTC");
}

static void
a_device_that_is_gone_is_told(void **state)
{
	struct world *world = *state;
	struct qs_mark mark = world_mark(world, 0, &world->device[0][3]);
	struct seen seen;

	for (size_t i = 0; i < 4; i++)
		assert_int_equal(unlink(world->device[0][i].path), 0);
	seen = world_walk(world, &mark, 1, 3, 1);
	world_says(&seen, 0, QS_EROLLBACK, "now has no record at all");
	mark.time_ms = UINT64_MAX;
	seen = world_walk(world, &mark, 1, 3, 1);
	world_says(&seen, 0, QS_EROLLBACK, "an unknown date");
}

static void
another_record_in_a_marks_place_is_told(void **state)
{
	struct world *world = *state;
	struct qs_mark mark = world_mark(world, 0, &world->device[0][3]);
	struct qs_record draft = {
		.type = QS_RECORD_SNAPSHOT,
		.seq = 3,
		.prev = world->device[0][2].name,
		.time_ms = NOON,
	};
	struct seen seen;

	assert_int_equal(unlink(world->device[0][3].path), 0);
	world_plant_record(world, &world->devices[0], &draft);
	seen = world_walk(world, &mark, 1, 7, 1);
	world_says(&seen, 0, QS_EROLLBACK, "its history was replaced");
}

/* What a mark vouches for is taken by its hash, not by its signature. */
static void
marks_vouch_by_the_hash_chain(void **state)
{
	struct world *world = *state;
	struct qs_buf bytes = {0};
	struct qs_mark mark = world_mark(world, 0, &world->device[0][3]);
	struct qs_name name;
	struct qs_err err;
	char device[17];
	struct seen seen;

	/* Record 4 has a bad signature; its mark was made by somebody. */
	world_snapshot(world, 0, 4);
	help_ok(qs_file_load(-100, world->device[0][4].path, 100000, &bytes,
		&err), &err);
	assert_int_equal(unlink(world->device[0][4].path), 0);
	bytes.data[bytes.len - 1] ^= 1;
	qs_hash_name(qs_buf_span(&bytes), &name);
	qs_hex(device, world->devices[0].pk, 8);
	world_plant(world, qs_buf_span(&bytes), device, 4, &name);
	seen = world_walk(world, &mark, 1, 7, 1);
	world_says(&seen, 0, QS_ECORRUPT, "signature does not verify");
	mark.seq = 4;
	mark.name = name;
	(void)world_walk(world, &mark, 1, 8, 0);
	/* The chain of trust ends at what does not hash right. */
	world_damage(world->device[0][2].path, 2000);
	seen = world_walk(world, &mark, 1, 7, 1);
	world_says(&seen, 0, QS_ECORRUPT, "do not match its name");
	qs_buf_clear(&bytes);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_TEST(an_uncertified_device_may_not_write),
		WORLD_TEST(a_certificate_ends),
		WORLD_TEST(a_revoked_device_stays_revoked),
		WORLD_TEST(only_the_admin_signs_the_other_types),
		WORLD_TEST(a_lost_genesis_needs_the_key_from_a_slot),
		WORLD_TEST(another_folders_genesis_is_not_taken),
		WORLD_TEST(a_mark_that_is_there_is_quiet),
		WORLD_TEST(a_dropped_tail_is_told_with_dates),
		WORLD_TEST(a_device_that_is_gone_is_told),
		WORLD_TEST(another_record_in_a_marks_place_is_told),
		WORLD_TEST(marks_vouch_by_the_hash_chain),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
