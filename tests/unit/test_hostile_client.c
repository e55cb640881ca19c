/* SPDX-License-Identifier: ISC */
/*
 * A client that lies: requests that can't be end the connection, those that
 * may not be are refused by kind; nobody holds the hub for ever.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "tests/suite/lying_client.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* -------------------------------------------------------------- greetings */

static void
a_greeting_that_is_none_is_not_answered(void **state)
{
	static const char noise[] = "GET /metrics HTTP/1.1\r\n"
		"Host: nas.local\r\nUser-Agent: a browser\r\n\r\n      ";
	struct lying_client *client = *state;
	uint8_t bytes[QS_WIRE_GREETING];
	const struct qs_wire_hello hello = {.least = 1, .highest = 1};

	lying_client_hang_up(client);
	lying_client_connect(client);
	assert_true(sizeof(noise) > QS_WIRE_GREETING);
	lying_client_send(client, noise, QS_WIRE_GREETING);
	lying_client_ended(client, QS_EPROTO, "does not begin as");
	lying_client_connect(client);
	qs_wire_hello_encode(&hello, bytes);
	bytes[16] = 200; /* a folder's name of that length */
	lying_client_send(client, bytes, sizeof(bytes));
	lying_client_ended(client, QS_EPROTO, "greeting is malformed");
	lying_client_connect(client);
	bytes[16] = 3;
	memcpy(bytes + 17, "../", 3);
	lying_client_send(client, bytes, sizeof(bytes));
	lying_client_ended(client, QS_EPROTO, "a folder that can't exist");
}

static void
another_folder_than_the_calls_is_refused(void **state)
{
	const struct qs_wire_hello hello = {1, 1, "work"};
	struct lying_client *client = *state;
	uint8_t bytes[QS_WIRE_GREETING], text[QS_WIRE_TEXT_MAX];
	struct qs_wire_welcome welcome;
	struct qs_err err;

	lying_client_hang_up(client);
	client->options.folder = "photos";
	lying_client_connect(client);
	qs_wire_hello_encode(&hello, bytes);
	lying_client_send(client, bytes, sizeof(bytes));
	assert_int_equal(recv(client->fd, bytes, sizeof(bytes), MSG_WAITALL),
		sizeof(bytes));
	help_ok(qs_wire_welcome_decode(bytes, &welcome, &err), &err);
	assert_int_equal(welcome.version, 0);
	assert_int_equal(welcome.code, QS_EKEY);
	assert_int_equal(recv(client->fd, text, welcome.text_len, MSG_WAITALL),
		welcome.text_len);
	lying_client_ended(client, QS_EKEY, "for folder photos, the greeting "
		"for work");
}

/* ------------------------------------------------------------------ heads */

static void
a_head_that_can_not_be_ends_the_connection(void **state)
{
	static const struct {
		struct qs_wire_head head;
		const char *words;
	} lies[] = {
		{{.len = 1U << 31, .verb = QS_VERB_HAVE, .request = 1},
			"a frame of 2147483648 bytes"},
		{{.verb = (enum qs_verb)99, .request = 1}, "unknown verb 99"},
		{{.verb = (enum qs_verb)0, .request = 1}, "unknown verb 0"},
		{{.verb = QS_VERB_HAVE}, "without a request's number"},
		{{.verb = QS_VERB_HAVE, .flags = 2, .request = 1},
			"unknown flags 2"},
		{{.verb = QS_VERB_HAVE, .flags = 1, .request = 1},
			"malformed request (verb 6"},
		{{.verb = QS_VERB_HAVE, .code = QS_EIO, .request = 1},
			"malformed request (verb 6"},
		{{.verb = QS_VERB_HAVE, .code = (enum qs_code)777,
			.request = 1}, "unknown code 777"},
		{{.len = 5000 * 32, .verb = QS_VERB_HAVE, .request = 1},
			"malformed request (verb 6, 160000 bytes)"},
		{{.len = 2047, .verb = QS_VERB_PUT_KEY, .request = 1},
			"malformed request (verb 13"},
		{{.len = 0, .verb = QS_VERB_DATA, .request = 1},
			"malformed request (verb 8"},
	};
	struct lying_client *client = *state;

	for (size_t i = 0; i < COUNT(lies); i++) {
		uint8_t bytes[QS_WIRE_HEAD];

		lying_client_again(client, QS_MODE_RW);
		lying_client_open(client);
		qs_wire_head_encode(&lies[i].head, bytes);
		lying_client_send(client, bytes, sizeof(bytes));
		lying_client_ended(client, QS_EPROTO, lies[i].words);
	}
}

static void
what_can_not_be_asked_ends_the_connection(void **state)
{
	static const uint8_t zeros[128];
	static const struct {
		enum qs_verb verb;
		size_t len;
		uint8_t bytes[72];
	} lies[] = {
		{QS_VERB_LIST, 2, {0, 0}},
		{QS_VERB_LIST, 2, {5, 0}},
		{QS_VERB_LIST, 2, {QS_AREA_LOG, 1}},
		{QS_VERB_HAVE, 33, {0}},
		{QS_VERB_SETTLE, 33, {0}},
		{QS_VERB_COMMIT, 41, {0}},
		{QS_VERB_SINCE, 12, {0}}, /* no entries */
		{QS_VERB_SINCE, 12, {[9] = 0x20}}, /* 8192 of them */
		{QS_VERB_NEWS, 12, {[10] = 1}}, /* 18 hours */
		{QS_VERB_DATA, 5, "bytes"}, /* of nothing that is staged */
		{QS_VERB_MORE, 5, "bytes"},
		{QS_VERB_STAGE, 4, {0}}, /* of no length */
		{QS_VERB_APPEND, 4, {0}},
		{QS_VERB_OPEN, 16, {0}}, /* a second folder */
		{QS_VERB_CREATE, 16, {0}},
	};
	struct lying_client *client = *state;

	for (size_t i = 0; i < COUNT(lies); i++) {
		lying_client_again(client, QS_MODE_RW);
		lying_client_open(client);
		(void)lying_client_ask(client, lies[i].verb,
			qs_span(lies[i].bytes, lies[i].len));
		lying_client_ended(client, QS_EPROTO,
			lies[i].bytes[0] == 0 && lies[i].len == 16 ?
			"a second folder" : "malformed request");
	}
	/* Before a folder is open there is nothing but to open one. */
	for (unsigned verb = QS_VERB_LIST; verb <= QS_VERB_SETTLE; verb++) {
		static const size_t lens[] = {[QS_VERB_LIST] = 2,
			[QS_VERB_GET] = 68, [QS_VERB_HAVE] = 32,
			[QS_VERB_STAGE] = 4, [QS_VERB_DATA] = 1,
			[QS_VERB_COMMIT] = 40, [QS_VERB_DISCARD] = 8,
			[QS_VERB_APPEND] = 4, [QS_VERB_MORE] = 1,
			[QS_VERB_SINCE] = 12, [QS_VERB_NEWS] = 12,
			[QS_VERB_DROP_KEY] = 32, [QS_VERB_SETTLE] = 32};

		if (verb == QS_VERB_PUT_KEY)
			continue;
		lying_client_again(client, QS_MODE_RW);
		(void)lying_client_ask(client, (enum qs_verb)verb,
			qs_span(zeros, lens[verb]));
		lying_client_ended(client, QS_EPROTO, "before a folder was");
	}
}

/* ------------------------------------------------------------------- GET */

static void
get(struct lying_client *client, enum qs_area area, uint64_t offset,
	uint32_t len)
{
	const struct qs_ref ref = {.area = area};
	uint8_t request[QS_WIRE_FILE + 12];

	qs_wire_file_encode(&ref, request);
	qs_store64(request + QS_WIRE_FILE, offset);
	qs_store32(request + QS_WIRE_FILE + 8, len);
	(void)lying_client_ask(client, QS_VERB_GET, qs_span(request,
		sizeof(request)));
}

static void
a_get_that_can_not_be_ends_the_connection(void **state)
{
	static const struct {
		enum qs_area area;
		uint64_t offset;
		uint32_t len;
		const char *words;
	} lies[] = {
		{QS_AREA_OBJ, 1, QS_SLICE, "malformed"},
		{QS_AREA_OBJ, 0, QS_SLICE - 1, "malformed"},
		{QS_AREA_OBJ, 0, 0, "malformed"},
		{QS_AREA_OBJ, 0, 1U << 31, "malformed"},
		{QS_AREA_OBJ, UINT64_MAX - QS_SLICE + 1, QS_SLICE,
			"malformed"},
		{QS_AREA_LOG, UINT64_MAX, 4096, "malformed"},
		{QS_AREA_LOG, 0, QS_WIRE_GET_MAX + 1, "malformed"},
		{QS_AREA_BESIDE, 0, 4096, "malformed"},
		{(enum qs_area)77, 0, 4096, "a file's name is malformed"},
	};
	struct lying_client *client = *state;

	for (size_t i = 0; i < COUNT(lies); i++) {
		lying_client_again(client, QS_MODE_RO);
		lying_client_open(client);
		get(client, lies[i].area, lies[i].offset, lies[i].len);
		lying_client_ended(client, QS_EPROTO, lies[i].words);
	}
	lying_client_again(client, QS_MODE_RO);
	lying_client_open(client);
	get(client, QS_AREA_OBJ, 0, QS_SLICE);
	lying_client_refused(client, QS_ENOTFOUND, "is missing");
}

/* ------------------------------------------------------------- patience */

#define MANY 2000

static void
ask_many(void *arg)
{
	static const struct qs_name name = {{1}};
	struct lying_client *client = arg;

	for (unsigned i = 0; i < MANY; i++)
		(void)lying_client_ask(client, QS_VERB_HAVE,
			qs_span(&name, 32));
}

static void
many_requests_at_once_are_all_answered(void **state)
{
	struct lying_client *client = *state;
	struct answer answer = {.bytes = {0}};
	struct qs_thread *asking = NULL;
	struct qs_err err;

	help_ok(qs_thread_start(&asking, ask_many, client, "asking", &err),
		&err);
	for (unsigned i = 0; i < MANY; i++) {
		lying_client_take(client, &answer);
		assert_int_equal(answer.head.code, QS_OK);
		assert_int_equal(answer.bytes.len, 4);
		assert_int_equal(answer.head.request, i + 2);
	}
	qs_thread_join(asking);
	qs_buf_clear(&answer.bytes);
}

static void
who_never_reads_is_given_up(void **state)
{
	struct lying_client *client = *state;
	static const uint8_t area[2] = {QS_AREA_LOG};

	lying_client_hang_up(client);
	client->options.patience_s = 1;
	lying_client_connect(client);
	lying_client_greet(client);
	lying_client_open(client);
	/* More answers than a socket holds; at last there is no other end. */
	for (unsigned i = 0; i < 4000; i++) {
		(void)lying_client_ask(client, QS_VERB_LIST,
			qs_span(area, sizeof(area)));
	}
	qs_thread_join(client->thread);
	client->thread = NULL;
	qs_fd_close(&client->fd);
	help_fails(client->rc, &client->err, QS_ENET,
		"has not read what we send for 1 seconds");
}

static void
who_begins_and_waits_is_given_up(void **state)
{
	struct lying_client *client = *state;
	uint8_t head[QS_WIRE_HEAD];
	const struct qs_wire_head have = {
		.len = 32,
		.verb = QS_VERB_HAVE,
		.request = 5,
	};

	client->options.patience_s = 1;
	client->options.idle_s = 20;
	lying_client_hang_up(client);
	lying_client_connect(client);
	lying_client_send(client, "Q", 1);
	lying_client_ended(client, QS_ENET, "for 1 seconds");
	lying_client_again(client, QS_MODE_RW);
	lying_client_send(client, "\0", 1);
	lying_client_ended(client, QS_ENET, "for 1 seconds");
	lying_client_again(client, QS_MODE_RW);
	lying_client_open(client);
	qs_wire_head_encode(&have, head);
	lying_client_send(client, head, sizeof(head));
	lying_client_ended(client, QS_ENET, "for 1 seconds");
	/* Nothing asked is another matter. */
	client->options.patience_s = 20;
	client->options.idle_s = 1;
	lying_client_again(client, QS_MODE_RW);
	lying_client_ended(client, QS_ENET, "for 1 seconds");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		LYING_TEST(a_greeting_that_is_none_is_not_answered),
		LYING_TEST(another_folder_than_the_calls_is_refused),
		LYING_TEST(a_head_that_can_not_be_ends_the_connection),
		LYING_TEST(what_can_not_be_asked_ends_the_connection),
		LYING_TEST(a_get_that_can_not_be_ends_the_connection),
		LYING_TEST(many_requests_at_once_are_all_answered),
		LYING_TEST(who_never_reads_is_given_up),
		LYING_TEST(who_begins_and_waits_is_given_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
