/* SPDX-License-Identifier: ISC */
/* The contract of struct store, as tests: the log and key slots. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/suite/store_suite_internal.h"

/* ------------------------------------------------------------------ log */

static void
make_record(struct suite_case *it, uint64_t seq, const struct qs_name *prev,
	uint64_t time_ms, struct qs_buf *bytes, struct qs_record *out)
{
	struct qs_genesis_body genesis;
	uint8_t body[64];
	struct qs_record draft = {
		.type = seq == 0 ? QS_RECORD_GENESIS : QS_RECORD_CHECKPOINT,
		.seq = seq,
		.time_ms = time_ms,
	};

	if (prev != NULL)
		draft.prev = *prev;
	if (seq == 0) { /* before it a store can't know who may write */
		memcpy(genesis.adm_pk, it->keys->adm_pk, 32);
		qs_fmk_commit(it->keys->fmk, genesis.fmk0_commit);
		qs_genesis_encode(&genesis, body);
		draft.public_body = qs_span(body, sizeof(body));
	}
	help_record(it->keys, qs_keys_admin(it->keys), &draft,
		qs_span("payload", 7), bytes, out);
}

static void
records_are_appended_one_after_the_other(void **state)
{
	struct suite_case *it = *state;
	struct qs_record record;
	struct qs_buf bytes = {0}, back = {0};
	struct qs_name prev = {{0}};
	struct qs_err err;

	for (uint64_t seq = 0; seq < 5; seq++) {
		struct qs_ref ref = {.area = QS_AREA_LOG, .seq = seq};

		make_record(it, seq, seq == 0 ? NULL : &prev, seq, &bytes,
			&record);
		help_ok(it->store->ops->append(it->store->self, &record,
			&err), &err);
		prev = record.name;
		memcpy(ref.device, record.signer, QS_DEVICE_LEN);
		ref.name = record.name;
		back.len = 0;
		help_ok(qs_store_load(it->store, &ref, QS_RECORD_MAX, &back,
			&err), &err);
		assert_int_equal(back.len, bytes.len);
		assert_memory_equal(back.data, bytes.data, back.len);
	}
	assert_int_equal(suite_list(it->store, QS_AREA_LOG).files, 5);
	assert_int_equal(suite_list(it->store, QS_AREA_LOG).bytes,
		5 * QS_RECORD_UNIT);
	qs_buf_clear(&bytes);
	qs_buf_clear(&back);
}

static void
conflicts(struct suite_case *it, uint64_t seq, const struct qs_name *prev)
{
	struct qs_record record;
	struct qs_buf bytes = {0};
	struct qs_err err;

	make_record(it, seq, prev, 999, &bytes, &record);
	help_fails(it->store->ops->append(it->store->self, &record, &err),
		&err, QS_ECONFLICT, "log");
	qs_buf_clear(&bytes);
}

static void
what_does_not_follow_is_a_conflict(void **state)
{
	struct suite_case *it = *state;
	struct qs_record record;
	struct qs_buf bytes = {0};
	struct qs_name first, second;
	struct qs_err err;

	memset(first.b, 1, 32);
	make_record(it, 1, &first, 0, &bytes, &record); /* nothing is there */
	assert_int_not_equal(it->store->ops->append(it->store->self, &record,
		&err), QS_OK);
	assert_int_equal(suite_list(it->store, QS_AREA_LOG).files, 0);
	make_record(it, 0, NULL, 0, &bytes, &record);
	help_ok(it->store->ops->append(it->store->self, &record, &err), &err);
	first = record.name;
	/* The same once more is a retry whose answer was lost. */
	help_ok(it->store->ops->append(it->store->self, &record, &err), &err);
	make_record(it, 1, &first, 1, &bytes, &record);
	help_ok(it->store->ops->append(it->store->self, &record, &err), &err);
	second = record.name;
	conflicts(it, 0, NULL);
	conflicts(it, 1, &first);
	conflicts(it, 2, &first);
	conflicts(it, 3, &second);
	assert_int_equal(suite_list(it->store, QS_AREA_LOG).files, 2);
	qs_buf_clear(&bytes);
}

static void
a_record_needs_the_name_of_its_bytes(void **state)
{
	struct suite_case *it = *state;
	struct qs_record record;
	struct qs_buf bytes = {0};
	struct qs_err err;

	make_record(it, 0, NULL, 0, &bytes, &record);
	record.name.b[0] ^= 1;
	help_fails(it->store->ops->append(it->store->self, &record, &err),
		&err, QS_EINVAL, "name is not that of its bytes");
	assert_int_equal(suite_list(it->store, QS_AREA_LOG).files, 0);
	qs_buf_clear(&bytes);
}

struct appender {
	struct suite_case *it;
	struct qs_store *store;
	atomic_int *won;
	unsigned number;
};

static void
append_in_thread(void *arg)
{
	struct appender *appender = arg;
	struct qs_record record;
	struct qs_buf bytes = {0};
	struct qs_err err;
	enum qs_code rc;

	make_record(appender->it, 0, NULL, appender->number, &bytes, &record);
	rc = appender->store->ops->append(appender->store->self, &record,
		&err);
	if (rc == QS_OK)
		atomic_fetch_add(appender->won, 1);
	else
		help_fails(rc, &err, QS_ECONFLICT, "log");
	qs_buf_clear(&bytes);
}

static void
one_of_many_writers_wins(void **state)
{
	struct suite_case *it = *state;
	struct qs_thread *threads[THREADS];
	struct appender appenders[THREADS];
	struct qs_store *second = NULL;
	atomic_int won = 0;
	struct qs_err err;

	help_ok(it->suite->open(it->suite->arg, it->store->folder_id, &second,
		&err), &err);
	for (unsigned i = 0; i < THREADS; i++) {
		appenders[i] = (struct appender){it,
			i % 2 == 0 ? it->store : second, &won, i};
		help_ok(qs_thread_start(&threads[i], append_in_thread,
			&appenders[i], "appender", &err), &err);
	}
	for (unsigned i = 0; i < THREADS; i++)
		qs_thread_join(threads[i]);
	assert_int_equal(atomic_load(&won), 1);
	assert_int_equal(suite_list(it->store, QS_AREA_LOG).files, 1);
	qs_store_close(second);
}

/* ----------------------------------------------------------------- keys */

/* One that a recovery code opens. */
static void
make_slot(struct suite_case *it, uint8_t code, uint8_t out[static QS_SLOT_LEN])
{
	uint8_t secret_code[32];
	const struct qs_factor factor = {
		.type = QS_FACTOR_RECOVERY,
		.secret = qs_span(secret_code, sizeof(secret_code)),
	};
	struct qs_slot_secret *secret = qs_secret_alloc(sizeof(*secret));
	struct qs_err err;

	assert_non_null(secret);
	memset(secret_code, code, sizeof(secret_code));
	qs_keys_slot_secret(it->keys, true, secret);
	help_ok(qs_slot_create(0, it->store->folder_id, "", &factor, 1, secret,
		out, &err), &err);
	qs_secret_free(secret);
}

/* What a slot's going takes: a signed record. */
static void
retire_slot(struct suite_case *it, const struct qs_name *name)
{
	struct qs_record record;
	struct qs_record draft = {.type = QS_RECORD_RETIRE, .seq = 1};
	struct qs_buf bytes = {0}, body = {0};
	struct qs_err err;

	make_record(it, 0, NULL, 0, &bytes, &record);
	help_ok(it->store->ops->append(it->store->self, &record, &err), &err);
	draft.prev = record.name;
	help_ok(qs_retire_encode(NULL, 0, qs_span(name->b, 32), &body, &err),
		&err);
	draft.public_body = qs_buf_span(&body);
	help_record(it->keys, qs_keys_admin(it->keys), &draft,
		qs_span(NULL, 0), &bytes, &record);
	help_ok(it->store->ops->append(it->store->self, &record, &err), &err);
	qs_buf_clear(&bytes);
	qs_buf_clear(&body);
}

static void
key_slots_come_and_go(void **state)
{
	struct suite_case *it = *state;
	uint8_t slot[QS_SLOT_LEN], other[QS_SLOT_LEN];
	struct qs_ref ref = {.area = QS_AREA_KEYS};
	struct qs_name name;
	struct qs_buf back = {0};
	struct qs_err err;

	make_slot(it, 1, slot);
	make_slot(it, 2, other);
	help_ok(it->store->ops->put_key(it->store->self,
		qs_span(other, sizeof(other)), &name, &err), &err);
	help_ok(it->store->ops->put_key(it->store->self,
		qs_span(slot, sizeof(slot)), &ref.name, &err), &err);
	qs_hash_name(qs_span(slot, sizeof(slot)), &name);
	assert_memory_equal(name.b, ref.name.b, 32);
	help_ok(it->store->ops->put_key(it->store->self,
		qs_span(slot, sizeof(slot)), &name, &err), &err);
	assert_int_equal(suite_list(it->store, QS_AREA_KEYS).files, 2);
	help_ok(qs_store_load(it->store, &ref, QS_SLOT_LEN, &back, &err),
		&err);
	assert_memory_equal(back.data, slot, sizeof(slot));
	help_fails(it->store->ops->put_key(it->store->self,
		qs_span(slot, 100), &name, &err), &err, QS_EINVAL,
		"100 bytes is not the length");
	retire_slot(it, &name);
	help_ok(it->store->ops->drop_key(it->store->self, &name, &err), &err);
	assert_int_equal(suite_list(it->store, QS_AREA_KEYS).files, 1);
	help_fails(it->store->ops->drop_key(it->store->self, &name, &err),
		&err, QS_ENOTFOUND, "is missing");
	back.len = 0;
	help_fails(qs_store_load(it->store, &ref, QS_SLOT_LEN, &back, &err),
		&err, QS_ENOTFOUND, "key slot");
	qs_buf_clear(&back);
}

int
store_suite_run_log(const struct store_suite *suite)
{
	struct CMUnitTest tests[] = {
		SUITE_CASE(records_are_appended_one_after_the_other),
		SUITE_CASE(what_does_not_follow_is_a_conflict),
		SUITE_CASE(a_record_needs_the_name_of_its_bytes),
		SUITE_CASE(one_of_many_writers_wins),
		SUITE_CASE(key_slots_come_and_go),
	};

	SUITE_RUN(tests, suite);
}
