/* SPDX-License-Identifier: ISC */
/*
 * A client that may write and lies about what it writes: each refusal has its
 * kind and is counted, and of what was refused nothing can be seen afterwards.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/suite/lying_client.h"
#include "tests/suite/pack_help.h"

#define OBJECT QS_PACK_MIN
#define PAIR 40

/* ----------------------------------------------------------------- objects */

/* A whole object of a folder; number makes it differ from others. */
static uint8_t *
new_object(const struct qs_keys *keys, uint32_t number)
{
	static const uint8_t plain[1000];
	struct qs_pack_builder *builder = NULL;
	struct sealed_pack pack;
	struct qs_err err;

	help_ok(qs_pack_builder_new(keys, &builder, &err), &err);
	pack_help_add(builder, keys, QS_KIND_DATA, 0, NULL,
		qs_span(plain, sizeof(plain)), 1);
	pack = pack_help_seal(builder, false);
	assert_int_equal(pack.size, OBJECT);
	qs_store32(pack.object + OBJECT - 4, number);
	qs_pack_builder_free(builder);
	return pack.object;
}

static uint64_t
begin(struct lying_client *client, enum qs_verb verb, uint32_t len)
{
	uint8_t bytes[4];

	qs_store32(bytes, len);
	return lying_client_ask(client, verb, qs_span(bytes, 4));
}

/* Sends it; the answer is still to come. */
static uint64_t
stage(struct lying_client *client, const uint8_t *object)
{
	const uint64_t number = begin(client, QS_VERB_STAGE, OBJECT);

	lying_client_frame(client, QS_VERB_DATA, number,
		qs_span(object, OBJECT));
	return number;
}

static void
put_pair(uint8_t out[static PAIR], uint64_t number, const uint8_t *object)
{
	struct qs_name name;

	qs_hash_name(qs_span(object, OBJECT), &name);
	qs_store64(out, number);
	memcpy(out + 8, name.b, 32);
}

static void
commit(struct lying_client *client, const uint8_t *pairs, size_t count)
{
	(void)lying_client_ask(client, QS_VERB_COMMIT,
		qs_span(pairs, count * PAIR));
}

/* --------------------------------------------------------- what is left */

struct seen_files {
	size_t ours, foreign;
};

static enum qs_code
count_file(void *arg, const struct qs_ref *ref, struct qs_err *err)
{
	struct seen_files *seen = arg;

	(void)err;
	seen->foreign += ref->foreign != NULL;
	seen->ours += ref->foreign == NULL;
	return QS_OK;
}

static void
ignore(void *arg, const struct qs_finding *finding)
{
	(void)arg;
	(void)finding;
}

/* The folder as the next who comes sees it: so much, and nothing wrong. */
static void
has(struct lying_client *client, size_t objects, size_t records,
	uint64_t refused)
{
	const struct qs_store *store = client->world->store;
	const size_t wanted[] = {[QS_AREA_KEYS] = 0, [QS_AREA_LOG] = records,
		[QS_AREA_OBJ] = objects};
	const struct qs_scrub_options options = {
		.depth = QS_SCRUB_FULL,
		.finding = ignore,
	};
	struct qs_scrub_result result;
	struct qs_hub_status status;
	struct qs_err err;

	lying_client_hang_up(client);
	for (unsigned area = QS_AREA_KEYS; area <= QS_AREA_OBJ; area++) {
		struct seen_files seen = {0};

		help_ok(store->ops->list(store->self, (enum qs_area)area,
			count_file, &seen, &err), &err);
		assert_int_equal(seen.ours, wanted[area]);
		assert_int_equal(seen.foreign, 0);
	}
	help_ok(qs_hub_status(client->world->dir, store->folder_id, &status,
		&err), &err);
	assert_int_equal(status.refused, refused);
	assert_int_equal(status.objects, objects);
	help_ok(qs_scrub(client->world->dir, store->folder_id, &options,
		&result, &err), &err);
	assert_true(result.finished);
	assert_int_equal(result.objects, objects);
	assert_int_equal(result.damaged + result.missing + result.foreign +
		result.incomplete + result.troubles, 0);
}

#define RECORDS 7 /* of the world: three of the admin, four of a device */

/* -------------------------------------------------------- reading only */

static void
who_may_read_can_not_write(void **state)
{
	static const struct {
		enum qs_verb verb;
		size_t len;
	} writes[] = {{QS_VERB_STAGE, 4}, {QS_VERB_COMMIT, PAIR},
		{QS_VERB_DISCARD, 8}, {QS_VERB_APPEND, 4},
		{QS_VERB_PUT_KEY, QS_SLOT_LEN}, {QS_VERB_DROP_KEY, 32},
		{QS_VERB_SETTLE, 32}};
	static const uint8_t zeros[QS_SLOT_LEN];
	struct lying_client *client = *state;

	lying_client_again(client, QS_MODE_RO);
	(void)lying_client_ask(client, QS_VERB_CREATE, qs_span(zeros, 16));
	lying_client_refused(client, QS_EKEY, "qube:liar may only read here");
	lying_client_open(client);
	for (size_t i = 0; i < sizeof(writes) / sizeof(writes[0]); i++) {
		(void)lying_client_ask(client, writes[i].verb,
			qs_span(zeros, writes[i].len));
		lying_client_refused(client, QS_EKEY, "may only read here");
	}
	/* The bytes of what was refused are on their way already. */
	(void)lying_client_ask(client, QS_VERB_DATA, qs_span(zeros, 100));
	(void)lying_client_ask(client, QS_VERB_MORE, qs_span(zeros, 100));
	(void)lying_client_ask(client, QS_VERB_SINCE, qs_span(zeros, 12));
	lying_client_refused(client, QS_EKEY, "may not ask what came when");
	has(client, 0, RECORDS, 0); /* it can't write a count, either */
}

/* ----------------------------------------------------------------- staging */

static void
sizes_that_no_object_has_are_refused(void **state)
{
	static const uint32_t sizes[] = {1, 65535, 65537, 3U << 16, 1U << 25,
		UINT32_MAX};
	static const uint32_t record_sizes[] = {1, 4095, 4097, (64U << 20) +
		4096, UINT32_MAX};
	static const uint8_t bytes[4097];
	struct lying_client *client = *state;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		const uint64_t number = begin(client, QS_VERB_STAGE, sizes[i]);
		const size_t len = sizes[i] < 4097 ? sizes[i] : 4097;

		lying_client_refused(client, QS_EINVAL, "is not the size of "
			"an object");
		/* What still comes of it is thrown away, unanswered. */
		lying_client_frame(client, QS_VERB_DATA, number,
			qs_span(bytes, len));
		(void)lying_client_ask(client, QS_VERB_HAVE,
			qs_span(bytes, 32));
		lying_client_good(client, 4);
		lying_client_again(client, QS_MODE_RW);
		lying_client_open(client);
	}
	for (size_t i = 0; i < 5; i++) {
		(void)begin(client, QS_VERB_APPEND, record_sizes[i]);
		lying_client_refused(client, QS_EINVAL, "is not the size of a "
			"log record");
		lying_client_again(client, QS_MODE_RW);
		lying_client_open(client);
	}
	has(client, 0, RECORDS, 11);
}

static void
the_bytes_of_an_object_are_as_many_as_it_said(void **state)
{
	struct lying_client *client = *state;
	uint8_t *object = new_object(client->world->keys, 1);
	uint64_t number = begin(client, QS_VERB_STAGE, OBJECT);

	lying_client_frame(client, QS_VERB_DATA, number,
		qs_span(object, OBJECT - 1));
	lying_client_frame(client, QS_VERB_DATA, number, qs_span("xy", 2));
	lying_client_ended(client, QS_EPROTO, "malformed request (verb 8");
	/* Another's number, another kind, another within. */
	for (unsigned i = 0; i < 4; i++) {
		lying_client_connect(client);
		lying_client_greet(client);
		lying_client_open(client);
		number = begin(client, QS_VERB_STAGE, OBJECT);
		if (i < 2)
			lying_client_frame(client, i == 0 ? QS_VERB_DATA :
				QS_VERB_MORE, number + (i == 0),
				qs_span(object, 1000));
		else
			(void)begin(client, i == 2 ? QS_VERB_STAGE :
				QS_VERB_APPEND, OBJECT);
		lying_client_ended(client, QS_EPROTO, i < 2 ?
			"malformed request" : "within another");
	}
	free(object);
	has(client, 0, RECORDS, 0);
}

static void
staging_has_an_end(void **state)
{
	struct lying_client *client = *state;
	uint8_t *object = new_object(client->world->keys, 0);
	uint64_t numbers[QS_WIRE_STAGED_MAX];
	uint8_t bytes[8];

	for (uint32_t i = 0; i < QS_WIRE_STAGED_MAX; i++) {
		qs_store32(object + OBJECT - 4, i);
		numbers[i] = stage(client, object);
		lying_client_good(client, 0);
	}
	(void)stage(client, object);
	lying_client_refused(client, QS_EBUSY, "64 objects are staged");
	qs_store64(bytes, numbers[5]);
	(void)lying_client_ask(client, QS_VERB_DISCARD, qs_span(bytes, 8));
	lying_client_good(client, 0);
	(void)lying_client_ask(client, QS_VERB_DISCARD, qs_span(bytes, 8));
	lying_client_refused(client, QS_ENOTFOUND, "nothing is staged");
	(void)stage(client, object);
	lying_client_good(client, 0);
	/* A number that is in use is none for another. */
	qs_store32(bytes, OBJECT);
	lying_client_frame(client, QS_VERB_STAGE, numbers[7],
		qs_span(bytes, 4));
	lying_client_ended(client, QS_EPROTO, "malformed request (verb 7");
	free(object);
	has(client, 0, RECORDS, 2); /* what was staged went with it */
}

static void
what_is_no_object_of_the_folder_is_not_staged(void **state)
{
	struct lying_client *client = *state;
	struct qs_keys *other = help_other_keys(0x55);
	uint8_t *object = new_object(client->world->keys, 1);
	uint8_t *foreign = new_object(other, 1);

	(void)stage(client, foreign);
	lying_client_refused(client, QS_EKEY, "another folder");
	object[0] ^= 1;
	(void)stage(client, object);
	lying_client_refused(client, QS_ECORRUPT, "");
	free(object);
	free(foreign);
	qs_keys_free(other);
	has(client, 0, RECORDS, 2);
}

/* -------------------------------------------------------------- committing */

static void
a_commit_is_of_what_is_staged_and_once(void **state)
{
	struct lying_client *client = *state;
	uint8_t *object = new_object(client->world->keys, 1);
	uint8_t pairs[2 * PAIR] = {0};
	uint64_t number = stage(client, object);

	lying_client_good(client, 0);
	put_pair(pairs, number + 100, object);
	commit(client, pairs, 1);
	lying_client_refused(client, QS_ENOTFOUND, "nothing is staged by the");
	put_pair(pairs, 0, object);
	commit(client, pairs, 1);
	lying_client_refused(client, QS_ENOTFOUND, "nothing is staged by the");
	put_pair(pairs, number, object);
	put_pair(pairs + PAIR, number, object);
	commit(client, pairs, 2);
	lying_client_refused(client, QS_ENOTFOUND, "nothing is staged by the");
	/* Nothing of that has touched it. */
	commit(client, pairs, 1);
	lying_client_good(client, 0);
	commit(client, pairs, 1);
	lying_client_refused(client, QS_ENOTFOUND, "nothing is staged by the");
	free(object);
	has(client, 1, RECORDS, 4);
}

static void
of_a_set_with_a_wrong_name_nothing_is_kept(void **state)
{
	struct lying_client *client = *state;
	uint8_t *object = new_object(client->world->keys, 1);
	uint8_t pairs[2 * PAIR];

	put_pair(pairs, stage(client, object), object);
	lying_client_good(client, 0);
	object[OBJECT - 1] = 77;
	put_pair(pairs + PAIR, stage(client, object), object);
	lying_client_good(client, 0);
	pairs[2 * PAIR - 1] ^= 1;
	commit(client, pairs, 2);
	lying_client_refused(client, QS_ECORRUPT, "do not have the name");
	commit(client, pairs, 1);
	lying_client_refused(client, QS_ENOTFOUND, "nothing is staged by the");
	free(object);
	has(client, 0, RECORDS, 2);
}

static void
the_quota_counts_what_is_staged(void **state)
{
	struct lying_client *client = *state;
	uint8_t *object = new_object(client->world->keys, 1);

	/* The log is there already. */
	client->options.grant.quota = RECORDS * 4096 + OBJECT;
	lying_client_again(client, QS_MODE_RW);
	lying_client_open(client);
	(void)stage(client, object);
	lying_client_good(client, 0);
	(void)stage(client, object);
	lying_client_refused(client, QS_EQUOTA, "is used up");
	/* Records have 8 MiB more, for what makes room, and that is all. */
	(void)begin(client, QS_VERB_APPEND, (8u << 20) + 4096);
	lying_client_refused(client, QS_EQUOTA, "is used up");
	free(object);
	has(client, 0, RECORDS, 2);
}

/* --------------------------------------------------------------- the log */

struct draft {
	const struct qs_sign_key *signer;
	uint64_t seq;
	const struct qs_name *prev;
	struct qs_span body;
	bool is_damaged;
};

static void
append(struct lying_client *client, const struct draft *wanted)
{
	const struct qs_record draft = {
		.type = QS_RECORD_SNAPSHOT,
		.seq = wanted->seq,
		.prev = *wanted->prev,
		.time_ms = NOON,
		.public_body = wanted->body,
	};
	struct qs_record record;
	struct qs_buf bytes = {0};
	uint64_t number;

	help_record(client->world->keys, wanted->signer, &draft,
		qs_span("payload", 7), &bytes, &record);
	if (wanted->is_damaged)
		bytes.data[bytes.len - 1] ^= 1; /* of the signature */
	number = begin(client, QS_VERB_APPEND, (uint32_t)bytes.len);
	lying_client_frame(client, QS_VERB_MORE, number, qs_buf_span(&bytes));
	qs_buf_clear(&bytes);
}

static void
records_that_do_not_count_are_not_taken(void **state)
{
	struct lying_client *client = *state;
	const struct world *world = client->world;
	const struct qs_name *last = &world->device[0][3].name;
	const struct qs_span nothing = qs_span(NULL, 0);
	static const struct qs_name zero = {{0}}, absent = {{9}};
	struct qs_sign_key stranger;

	help_device(&stranger, 0x44);
	append(client, &(struct draft){&world->devices[0], 4, last, nothing,
		true});
	lying_client_refused(client, QS_ECORRUPT, "");
	append(client, &(struct draft){&stranger, 0, &zero, nothing, false});
	lying_client_refused(client, QS_ECORRUPT, "not certified");
	append(client, &(struct draft){&world->devices[0], 4, last,
		qs_span(absent.b, 32), false});
	lying_client_refused(client, QS_ENOTFOUND, "which is not there");
	append(client, &(struct draft){&world->devices[0], 6, last, nothing,
		false});
	lying_client_refused(client, QS_ECONFLICT, "does not follow");
	append(client, &(struct draft){&world->devices[0], 3,
		&world->device[0][2].name, nothing, false});
	lying_client_refused(client, QS_ECONFLICT, "");
	append(client, &(struct draft){&world->devices[0], 4, &absent,
		nothing, false});
	lying_client_refused(client, QS_ECONFLICT, "");
	/* None of them stands in the way of the right one. */
	append(client, &(struct draft){&world->devices[0], 4, last, nothing,
		false});
	lying_client_good(client, 0);
	has(client, 0, RECORDS + 1, 3); /* a conflict is no refusal */
}

static void
what_is_no_record_is_not_taken(void **state)
{
	static const uint8_t zeros[4096];
	struct lying_client *client = *state;
	uint64_t number = begin(client, QS_VERB_APPEND, 4096);

	lying_client_frame(client, QS_VERB_MORE, number,
		qs_span(zeros, sizeof(zeros)));
	lying_client_refused(client, QS_ECORRUPT, "");
	/* One that is cut short by the end is none. */
	number = begin(client, QS_VERB_APPEND, 8192);
	lying_client_frame(client, QS_VERB_MORE, number,
		qs_span(zeros, sizeof(zeros)));
	has(client, 0, RECORDS, 1);
}

/* -------------------------------------------------------------- key slots */

static void
key_slots_of_others_are_not_taken(void **state)
{
	static const uint8_t file[32] = {1};
	const struct qs_factor factor = {
		.type = QS_FACTOR_KEYFILE,
		.secret = {file, sizeof(file)},
	};
	struct lying_client *client = *state;
	struct qs_keys *other = help_other_keys(0x55);
	struct qs_slot_secret *secret = qs_secret_alloc(sizeof(*secret));
	uint8_t slot[QS_SLOT_LEN];
	struct qs_err err;

	qs_keys_slot_secret(other, true, secret);
	help_ok(qs_slot_create(0, qs_keys_folder_id(other), "", &factor, 1,
		secret, slot, &err), &err);
	(void)lying_client_ask(client, QS_VERB_PUT_KEY,
		qs_span(slot, sizeof(slot)));
	lying_client_refused(client, QS_EKEY, "belongs to another folder");
	memset(slot, 0, sizeof(slot));
	(void)lying_client_ask(client, QS_VERB_PUT_KEY,
		qs_span(slot, sizeof(slot)));
	lying_client_refused(client, QS_ECORRUPT, "key slot");
	(void)lying_client_ask(client, QS_VERB_DROP_KEY, qs_span(slot, 32));
	lying_client_refused(client, QS_EKEY, "no record retires");
	qs_secret_free(secret);
	qs_keys_free(other);
	has(client, 0, RECORDS, 3);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		LYING_TEST(who_may_read_can_not_write),
		LYING_TEST(sizes_that_no_object_has_are_refused),
		LYING_TEST(the_bytes_of_an_object_are_as_many_as_it_said),
		LYING_TEST(staging_has_an_end),
		LYING_TEST(what_is_no_object_of_the_folder_is_not_staged),
		LYING_TEST(a_commit_is_of_what_is_staged_and_once),
		LYING_TEST(of_a_set_with_a_wrong_name_nothing_is_kept),
		LYING_TEST(the_quota_counts_what_is_staged),
		LYING_TEST(records_that_do_not_count_are_not_taken),
		LYING_TEST(what_is_no_record_is_not_taken),
		LYING_TEST(key_slots_of_others_are_not_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
