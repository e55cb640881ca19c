/* SPDX-License-Identifier: ISC */
/*
 * Unit tests of store/: log records out and in again, tampered with, and the
 * known answers in tests/vectors/record.txt.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/suite/store_help.h"

#define VECTORS "record.txt"

static struct qs_keys *keys;
static struct qs_sign_key device;

static int
set_up(void **state)
{
	struct qs_err err;

	(void)state;
	help_ok(qs_crypto_init(&err), &err);
	keys = help_keys();
	help_device(&device, 0x22);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	qs_keys_free(keys);
	return 0;
}

static struct qs_record
snapshot_draft(const uint8_t *names, size_t count)
{
	return (struct qs_record){
		.type = QS_RECORD_SNAPSHOT,
		.retire_seen = 7,
		.time_ms = UINT64_C(1764000002000),
		.public_body = qs_span(names, 32 * count),
	};
}

/* Sign bytes again after a change: what a certified liar can do. */
static void
sign_again(struct qs_buf *bytes)
{
	uint8_t message[RECORD_SIGN_LEN];

	qs_record_sign_message(qs_buf_span(bytes), message);
	qs_sign(&device, qs_span(message, sizeof(message)),
		bytes->data + bytes->len - QS_SIG_LEN);
}

/* ---------------------------------------------------------- round trips */

static void
records_come_back_whole(void **state)
{
	static const size_t bodies[] = {0, 1, 2, 100, 130};
	static const size_t payloads[] = {0, 1, 3759, 3760, 3761, 9000};
	uint8_t *names = malloc((size_t)130 * 32), *payload = malloc(9000);
	uint32_t seed = 5;

	(void)state;
	memset(names, 0, (size_t)130 * 32);
	for (unsigned i = 0; i < 130; i++)
		names[32 * i + 1] = (uint8_t)i;
	help_fill(payload, 9000, &seed);
	for (unsigned i = 0; i < 30; i++) {
		size_t body = bodies[i % 5], len = payloads[i / 5];
		struct qs_record draft = snapshot_draft(names, body), record;
		struct qs_buf bytes = {0}, plain = {0};
		struct qs_err err;

		draft.seq = i;
		memset(draft.prev.b, i == 0 ? 0 : 0xee, 32);
		help_record(keys, &device, &draft, qs_span(payload, len),
			&bytes, &record);
		assert_int_equal(bytes.len % QS_RECORD_UNIT, 0);
		assert_int_equal(record.type, QS_RECORD_SNAPSHOT);
		assert_int_equal(record.seq, i);
		assert_int_equal(record.time_ms, draft.time_ms);
		assert_int_equal(record.retire_seen, 7);
		assert_memory_equal(record.prev.b, draft.prev.b, 32);
		assert_memory_equal(record.signer, device.pk, 32);
		assert_memory_equal(record.folder_id, keys->folder_id, 16);
		assert_int_equal(record.public_body.len, 32 * body);
		help_ok(qs_record_open(keys, &record, &plain, &err), &err);
		assert_true(plain.len >= len && (len > 0 || plain.len == 0));
		if (len > 0) {
			assert_memory_equal(plain.data, payload, len);
			assert_true(qs_is_zero(plain.data + len,
				plain.len - len));
		}
		qs_buf_clear(&bytes);
		qs_buf_clear(&plain);
	}
	free(names);
	free(payload);
}

static void
a_payloads_length_is_hidden(void **state)
{
	struct qs_record draft = snapshot_draft(NULL, 0), one, other;
	struct qs_buf a = {0}, b = {0};

	(void)state;
	help_record(keys, &device, &draft, qs_span("x", 1), &a, &one);
	help_record(keys, &device, &draft, qs_span("much longer", 11), &b,
		&other);
	assert_int_equal(a.len, QS_RECORD_UNIT);
	assert_int_equal(one.sealed_payload.len, other.sealed_payload.len);
	qs_buf_clear(&a);
	qs_buf_clear(&b);
}

static void
appending_keeps_what_was_there(void **state)
{
	struct qs_record draft = snapshot_draft(NULL, 0), record;
	struct qs_buf bytes = {0}, plain = {0};
	struct qs_err err;

	(void)state;
	help_ok(qs_buf_append(&bytes, "abc", 3, &err), &err);
	help_ok(qs_record_encode(keys, &device, &draft, qs_span("x", 1),
		&bytes, &err), &err);
	assert_int_equal(bytes.len, 3 + QS_RECORD_UNIT);
	assert_memory_equal(bytes.data, "abc", 3);
	help_ok(qs_record_parse(qs_span(bytes.data + 3, QS_RECORD_UNIT),
		&record, &err), &err);
	help_ok(qs_buf_append(&plain, "de", 2, &err), &err);
	help_ok(qs_record_open(keys, &record, &plain, &err), &err);
	assert_memory_equal(plain.data, "dex", 3);
	qs_buf_clear(&bytes);
	qs_buf_clear(&plain);
}

static void
refuse_draft(const struct qs_record *draft, size_t payload_len,
	enum qs_code code, const char *words)
{
	struct qs_buf bytes = {0};
	struct qs_err err;

	help_fails(qs_record_encode(keys, &device, draft,
		qs_span("x", payload_len), &bytes, &err), &err, code, words);
	assert_int_equal(bytes.len, 0);
	qs_buf_clear(&bytes);
}

static void
no_reader_takes_what_is_not_written(void **state)
{
	static const uint8_t names[64] = {9};
	struct qs_record draft = snapshot_draft(names, 2);

	(void)state;
	refuse_draft(&draft, 1, QS_EINVAL, "body is wrong"); /* not sorted */
	draft = snapshot_draft(names, 1);
	draft.public_body.len = 31;
	refuse_draft(&draft, 1, QS_EINVAL, "body is wrong");
	draft = snapshot_draft(names, 1);
	draft.seq = 1;
	refuse_draft(&draft, 1, QS_EINVAL, "prev");
	draft = snapshot_draft(names, 1);
	draft.type = (enum qs_record_type)8;
	refuse_draft(&draft, 1, QS_EINVAL, "type");
	draft = snapshot_draft(names, 1);
	draft.epoch = 1;
	refuse_draft(&draft, 1, QS_EKEY, "epoch 1");
	draft = snapshot_draft(names, 1);
	refuse_draft(&draft, QS_RECORD_MAX, QS_EINVAL, "longer than");
	draft.public_body.len = SIZE_MAX;
	refuse_draft(&draft, 1, QS_EINVAL, "longer than");
}

/* --------------------------------------------------------------- tamper */

static void
every_byte_is_covered(void **state)
{
	static const uint8_t names[64] = {[32] = 1};
	struct qs_record draft = snapshot_draft(names, 2), record;
	struct qs_buf bytes = {0};
	struct qs_err err;

	(void)state;
	help_record(keys, &device, &draft, qs_span("payload", 7), &bytes,
		&record);
	for (size_t at = 0; at < bytes.len; at++) {
		enum qs_code wanted = at == 8 || at == 9 || at == 10 ?
			QS_EUNSUPPORTED : QS_ECORRUPT;

		bytes.data[at] ^= 0x40;
		help_fails(qs_record_parse(qs_buf_span(&bytes), &record, &err),
			&err, wanted, at < 8 ? "magic" :
			at >= 128 && at < 192 ? "signature" : "");
		bytes.data[at] ^= 0x40;
	}
	help_ok(qs_record_parse(qs_buf_span(&bytes), &record, &err), &err);
	qs_buf_clear(&bytes);
}

static void
other_lengths_are_refused(void **state)
{
	struct qs_record draft = snapshot_draft(NULL, 0), record;
	struct qs_buf bytes = {0};
	uint8_t *longer = calloc(3, QS_RECORD_UNIT);
	struct qs_err err;

	(void)state;
	draft.seq = 1;
	draft.prev.b[0] = 1;
	help_record(keys, &device, &draft, qs_span(longer, 5000), &bytes,
		&record);
	assert_int_equal(bytes.len, 2 * QS_RECORD_UNIT);
	memcpy(longer, bytes.data, bytes.len);
	for (size_t len = 0; len < bytes.len; len += 61)
		help_fails(qs_record_parse(qs_span(longer, len), &record,
			&err), &err, QS_ECORRUPT, "");
	help_fails(qs_record_parse(qs_span(longer, QS_RECORD_UNIT), &record,
		&err), &err, QS_ECORRUPT, "lengths do not add up");
	help_fails(qs_record_parse(qs_span(longer, 3 * QS_RECORD_UNIT),
		&record, &err), &err, QS_ECORRUPT, "lengths do not add up");
	help_fails(qs_record_parse(qs_span(longer, bytes.len + 1), &record,
		&err), &err, QS_ECORRUPT, "not the length of one");
	help_fails(qs_record_parse(qs_span(longer, SIZE_MAX -
		QS_RECORD_UNIT + 1), &record, &err), &err, QS_ECORRUPT,
		"not the length of one");
	free(longer);
	qs_buf_clear(&bytes);
}

/* Change 4 bytes, sign, parse: the structure itself must be refused. */
static void
refuse_signed(size_t payload_len, size_t at, uint32_t value,
	const char *words)
{
	struct qs_record draft = snapshot_draft(NULL, 0), record;
	struct qs_buf bytes = {0};
	struct qs_err err;

	help_record(keys, &device, &draft, qs_span("pay", payload_len),
		&bytes, &record);
	qs_store32(bytes.data + at, value);
	sign_again(&bytes);
	help_fails(qs_record_parse(qs_buf_span(&bytes), &record, &err), &err,
		QS_ECORRUPT, words);
	qs_buf_clear(&bytes);
}

static void
what_a_liar_signs_is_checked_too(void **state)
{
	(void)state;
	refuse_signed(0, 116, UINT32_MAX, "lengths");
	refuse_signed(0, 116, 4096 - 192 - 63, "lengths");
	refuse_signed(3, 116, 32, "lengths");
	refuse_signed(3, 120, UINT32_MAX, "lengths");
	refuse_signed(3, 120, 0, "lengths");
	refuse_signed(3, 120, 100, "lengths");
	refuse_signed(0, 120, 100, "lengths");
	refuse_signed(3, 124, 8192, "lengths");
	refuse_signed(3, 124, 0, "lengths");
	refuse_signed(0, 128, 1, "padding");
	refuse_signed(0, 160, 1, "padding");
	refuse_signed(0, 192, 1, "padding");
	refuse_signed(0, 4096 - 68, 1, "padding");
	refuse_signed(0, 64, 1, "predecessor");
	refuse_signed(0, 72, 1, "predecessor");
}

static void
a_record_is_no_longer_than_it_takes(void **state)
{
	static const uint8_t zeros[QS_RECORD_UNIT];
	struct qs_record draft = snapshot_draft(NULL, 0), record;
	struct qs_buf bytes = {0};
	struct qs_err err;

	(void)state;
	help_record(keys, &device, &draft, qs_span(NULL, 0), &bytes, &record);
	memset(bytes.data + bytes.len - QS_SIG_LEN, 0, QS_SIG_LEN);
	help_ok(qs_buf_append(&bytes, zeros, sizeof(zeros), &err), &err);
	qs_store32(bytes.data + 124, 2 * QS_RECORD_UNIT);
	sign_again(&bytes);
	help_fails(qs_record_parse(qs_buf_span(&bytes), &record, &err), &err,
		QS_ECORRUPT, "lengths");
	qs_buf_clear(&bytes);
}

static void
a_payload_cannot_be_moved_to_another_record(void **state)
{
	struct qs_record draft = snapshot_draft(NULL, 0), record;
	struct qs_buf one = {0}, other = {0}, plain = {0};
	struct qs_err err;

	(void)state;
	help_record(keys, &device, &draft, qs_span("one", 3), &one, &record);
	help_record(keys, &device, &draft, qs_span("two", 3), &other,
		&record);
	/* The payload alone, under another header. */
	memcpy(other.data + 192, one.data + 192, 4096 - 192 - 64);
	sign_again(&other);
	help_ok(qs_record_parse(qs_buf_span(&other), &record, &err), &err);
	help_fails(qs_record_open(keys, &record, &plain, &err), &err,
		QS_ECORRUPT, "payload does not verify");
	assert_int_equal(plain.len, 0);
	/* With its salt and commitment, but another time. */
	memcpy(other.data, one.data, 4096);
	other.data[104] ^= 1;
	sign_again(&other);
	help_ok(qs_record_parse(qs_buf_span(&other), &record, &err), &err);
	help_fails(qs_record_open(keys, &record, &plain, &err), &err,
		QS_ECORRUPT, "commitment");
	qs_buf_clear(&one);
	qs_buf_clear(&other);
	qs_buf_clear(&plain);
}

static void
other_keys_do_not_open_it(void **state)
{
	struct qs_record draft = snapshot_draft(NULL, 0), record;
	struct qs_keys *others = help_other_keys(1);
	struct qs_buf bytes = {0}, plain = {0};
	struct qs_err err;

	(void)state;
	help_record(keys, &device, &draft, qs_span("pay", 3), &bytes,
		&record);
	help_fails(qs_record_open(others, &record, &plain, &err), &err,
		QS_EKEY, "another folder");
	memcpy(others->folder_id, keys->folder_id, QS_FOLDER_ID_LEN);
	help_fails(qs_record_open(others, &record, &plain, &err), &err,
		QS_ECORRUPT, "commitment");
	record.epoch = 1;
	help_fails(qs_record_open(keys, &record, &plain, &err), &err, QS_EKEY,
		"epoch 1");
	qs_keys_free(others);
	qs_buf_clear(&bytes);
	qs_buf_clear(&plain);
}

static void
newer_versions_are_named(void **state)
{
	struct qs_record draft = snapshot_draft(NULL, 0), record;
	struct qs_buf bytes = {0};
	struct qs_err err;

	(void)state;
	for (size_t at = 8; at < 11; at++) {
		help_record(keys, &device, &draft, qs_span("pay", 3), &bytes,
			&record);
		bytes.data[at] = 99;
		sign_again(&bytes);
		help_fails(qs_record_parse(qs_buf_span(&bytes), &record, &err),
			&err, QS_EUNSUPPORTED, "newer version of qstore");
	}
	qs_buf_clear(&bytes);
}

static void
the_same_random_bytes_do_not_repeat_a_salt(void **state)
{
	struct qs_record draft = snapshot_draft(NULL, 0);
	struct qs_buf one = {0}, other = {0};
	uint8_t random[32] = {1};
	struct qs_err err;

	(void)state;
	help_ok(qs_record_encode_seeded(keys, &device, &draft,
		qs_span("one", 3), random, &one, &err), &err);
	help_ok(qs_record_encode_seeded(keys, &device, &draft,
		qs_span("two", 3), random, &other, &err), &err);
	assert_memory_not_equal(one.data + 128, other.data + 128, 32);
	other.len = 0;
	draft.time_ms++;
	help_ok(qs_record_encode_seeded(keys, &device, &draft,
		qs_span("one", 3), random, &other, &err), &err);
	assert_memory_not_equal(one.data + 128, other.data + 128, 32);
	qs_buf_clear(&one);
	qs_buf_clear(&other);
}

/* --------------------------------------------------------------- bodies */

static void
bodies_are_checked(void **state)
{
	struct qs_cert_body cert = {.rights = 3, .not_after_seq = 99}, back;
	struct qs_genesis_body genesis = {{1}, {2}}, again;
	uint8_t bytes[96];
	size_t count = 0;
	struct qs_err err;

	(void)state;
	memset(cert.device_pk, 5, 32);
	qs_cert_encode(&cert, bytes);
	help_ok(qs_cert_decode(qs_span(bytes, 48), &back, &err), &err);
	assert_int_equal(back.rights, 3);
	assert_int_equal(back.not_after_seq, 99);
	assert_memory_equal(back.device_pk, cert.device_pk, 32);
	help_fails(qs_cert_decode(qs_span(bytes, 47), &back, &err), &err,
		QS_ECORRUPT, "length");
	bytes[36] = 1;
	help_fails(qs_cert_decode(qs_span(bytes, 48), &back, &err), &err,
		QS_ECORRUPT, "reserved");
	qs_genesis_encode(&genesis, bytes);
	help_ok(qs_genesis_decode(qs_span(bytes, 64), &again, &err), &err);
	assert_memory_equal(&again, &genesis, sizeof(genesis));
	help_fails(qs_genesis_decode(qs_span(bytes, 65), &again, &err), &err,
		QS_ECORRUPT, "length");
	memset(bytes, 0, sizeof(bytes));
	bytes[32] = 1;
	bytes[64] = 1;
	help_ok(qs_names_check(qs_span(bytes, 0), &count, &err), &err);
	assert_int_equal(count, 0);
	help_ok(qs_names_check(qs_span(bytes, 64), &count, &err), &err);
	assert_int_equal(count, 2);
	help_fails(qs_names_check(qs_span(bytes, 96), &count, &err), &err,
		QS_ECORRUPT, "not in order"); /* twice the same */
	help_fails(qs_names_check(qs_span(bytes, 95), &count, &err), &err,
		QS_ECORRUPT, "cut short");
}

/* -------------------------------------------------------------- vectors */

static void
same_as_vector(const char *name, const struct qs_sign_key *signer,
	const struct qs_record *draft, struct qs_span payload,
	struct qs_name *out)
{
	struct qs_buf bytes = {0};
	struct qs_record record;
	uint8_t random[32];
	struct qs_err err;

	for (unsigned i = 0; i < sizeof(random); i++)
		random[i] = (uint8_t)(0xa0 + (i & 15));
	help_ok(qs_record_encode_seeded(keys, signer, draft, payload, random,
		&bytes, &err), &err);
	help_matches(VECTORS, name, bytes.data, bytes.len);
	help_ok(qs_record_parse(qs_buf_span(&bytes), &record, &err), &err);
	*out = record.name;
	qs_buf_clear(&bytes);
}

static void
head_of(const char *name, const uint8_t pk[static 32], uint64_t seq,
	struct qs_mark *out)
{
	struct qs_buf record = help_vector(VECTORS, name);

	out->seq = seq;
	memcpy(out->device, pk, QS_DEVICE_LEN);
	memcpy(out->name.b, record.data, 32);
	qs_buf_clear(&record);
}

static void
vector_of_retire(const struct qs_sign_key *admin, struct qs_span names)
{
	struct qs_mark heads[2];
	struct qs_record draft = {
		.type = QS_RECORD_RETIRE,
		.seq = 2,
		.time_ms = UINT64_C(1764000003000),
	};
	struct qs_buf body = {0};
	struct qs_name name;
	struct qs_err err;

	/* In order: the device's key is a09a.., the admin's d04a.. */
	head_of("snapshot_name", device.pk, 0, &heads[0]);
	head_of("cert_name", admin->pk, 1, &heads[1]);
	draft.prev = heads[1].name;
	help_ok(qs_retire_encode(heads, 2, names, &body, &err), &err);
	draft.public_body = qs_buf_span(&body);
	same_as_vector("retire", admin, &draft, qs_span(NULL, 0), &name);
	help_matches(VECTORS, "retire_name", name.b, 32);
	qs_buf_clear(&body);
}

static void
vectors_hold(void **state)
{
	const struct qs_sign_key *admin = qs_keys_admin(keys);
	struct qs_genesis_body genesis;
	struct qs_cert_body cert = {.rights = QS_RIGHT_WRITE,
		.not_after_seq = UINT64_MAX};
	uint8_t body[64], names[64];
	struct qs_record draft = {
		.type = QS_RECORD_GENESIS,
		.time_ms = UINT64_C(1764000000000),
		.public_body = qs_span(body, 64),
	};
	struct qs_name name;

	(void)state;
	memcpy(genesis.adm_pk, admin->pk, 32);
	qs_fmk_commit(keys->fmk, genesis.fmk0_commit);
	qs_genesis_encode(&genesis, body);
	same_as_vector("genesis", admin, &draft, qs_span(NULL, 0), &name);
	help_matches(VECTORS, "genesis_name", name.b, 32);

	memcpy(cert.device_pk, device.pk, 32);
	qs_cert_encode(&cert, body);
	draft.type = QS_RECORD_CERT;
	draft.seq = 1;
	draft.prev = name;
	draft.time_ms += 1000;
	draft.public_body = qs_span(body, 48);
	same_as_vector("cert", admin, &draft, qs_span(NULL, 0), &name);

	for (unsigned i = 0; i < 32; i++) {
		names[i] = (uint8_t)i;
		names[32 + i] = 0xff;
	}
	draft = snapshot_draft(names, 2);
	same_as_vector("snapshot", &device, &draft,
		qs_span("payload of a snapshot", 21), &name);
	help_matches(VECTORS, "snapshot_name", name.b, 32);
	vector_of_retire(admin, qs_span(names, 64));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(records_come_back_whole),
		cmocka_unit_test(a_payloads_length_is_hidden),
		cmocka_unit_test(appending_keeps_what_was_there),
		cmocka_unit_test(no_reader_takes_what_is_not_written),
		cmocka_unit_test(every_byte_is_covered),
		cmocka_unit_test(other_lengths_are_refused),
		cmocka_unit_test(what_a_liar_signs_is_checked_too),
		cmocka_unit_test(a_record_is_no_longer_than_it_takes),
		cmocka_unit_test(a_payload_cannot_be_moved_to_another_record),
		cmocka_unit_test(other_keys_do_not_open_it),
		cmocka_unit_test(newer_versions_are_named),
		cmocka_unit_test(the_same_random_bytes_do_not_repeat_a_salt),
		cmocka_unit_test(bodies_are_checked),
		cmocka_unit_test(vectors_hold),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
