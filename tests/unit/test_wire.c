/* SPDX-License-Identifier: ISC */
/* Unit tests of wire/: the protocol's structures, and a framed stream. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/suite/store_help.h"
#include "wire/wire_internal.h"

/* ------------------------------------------------------------------ heads */

static const struct qs_wire_head plain_head = {
	.len = 0x000a0b0c,
	.verb = QS_VERB_SETTLE,
	.flags = QS_WIRE_MORE_FOLLOWS,
	.code = QS_ECONFLICT,
	.request = UINT64_C(0x1122334455667788),
};

static void
a_head_is_as_the_protocol_says(void **state)
{
	static const uint8_t wanted[QS_WIRE_HEAD] = {0x0c, 0x0b, 0x0a, 0, 17,
		1, 13, 0, 0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11};
	uint8_t bytes[QS_WIRE_HEAD];
	struct qs_wire_head back;
	struct qs_err err;

	(void)state;
	qs_wire_head_encode(&plain_head, bytes);
	assert_memory_equal(bytes, wanted, sizeof(wanted));
	help_ok(qs_wire_head_decode(bytes, &back, &err), &err);
	assert_int_equal(back.len, plain_head.len);
	assert_int_equal(back.verb, plain_head.verb);
	assert_int_equal(back.flags, plain_head.flags);
	assert_int_equal(back.code, plain_head.code);
	assert_true(back.request == plain_head.request);
}

static void
a_head_that_can_not_be_is_refused(void **state)
{
	static const struct {
		size_t at;
		uint8_t value;
		const char *words;
	} lies[] = {
		{2, 0x10, "longer than the 1048576"},
		{3, 0x80, "longer than the 1048576"},
		{4, 0, "unknown verb 0"},
		{4, 18, "unknown verb 18"},
		{5, 2, "unknown flags 2"},
		{6, 20, "unknown code 20"},
		{7, 1, "unknown code 269"},
	};
	uint8_t bytes[QS_WIRE_HEAD];
	struct qs_wire_head head = {.request = 42};
	struct qs_err err;

	(void)state;
	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		qs_wire_head_encode(&plain_head, bytes);
		bytes[lies[i].at] = lies[i].value;
		help_fails(qs_wire_head_decode(bytes, &head, &err), &err,
			QS_EPROTO, lies[i].words);
		assert_int_equal(head.request, 42);
	}
	qs_wire_head_encode(&plain_head, bytes);
	memset(bytes + 8, 0, 8);
	help_fails(qs_wire_head_decode(bytes, &head, &err), &err, QS_EPROTO,
		"without a request's number");
}

/* -------------------------------------------------------------- greetings */

static void
a_clients_greeting_comes_back(void **state)
{
	static const char *const names[] = {"", "photos", "a",
		"a-name-of-the-forty-seven-bytes.that_are_allowe"};
	struct qs_wire_hello hello = {.least = 1, .highest = 7}, back;
	uint8_t bytes[QS_WIRE_GREETING];
	struct qs_err err;

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		memset(hello.folder, 0, sizeof(hello.folder));
		memcpy(hello.folder, names[i], strlen(names[i]));
		qs_wire_hello_encode(&hello, bytes);
		assert_memory_equal(bytes, "QSTOREC1\1\0\7\0\0\0\0", 15);
		help_ok(qs_wire_hello_decode(bytes, &back, &err), &err);
		assert_int_equal(back.least, 1);
		assert_int_equal(back.highest, 7);
		assert_string_equal(back.folder, names[i]);
	}
}

static void
a_clients_greeting_that_can_not_be_is_refused(void **state)
{
	static const struct {
		size_t at;
		uint8_t value;
		const char *words;
	} lies[] = {
		{0, 'q', "does not begin as"},
		{7, '2', "does not begin as"},
		{8, 0, "is malformed"}, /* least 0 */
		{8, 9, "is malformed"}, /* least over highest */
		{12, 1, "is malformed"},
		{15, 1, "is malformed"},
		{16, 48, "is malformed"},
		{16, 255, "is malformed"},
		{16, 3, "is malformed"}, /* the rest is not zeros */
		{16, 7, "can't exist"},  /* a NUL within */
		{17, '.', "can't exist"},
		{18, '/', "can't exist"},
		{18, 'A', "can't exist"},
		{63, 1, "is malformed"},
	};
	const struct qs_wire_hello hello = {1, 1, "photos"};
	struct qs_wire_hello back;
	uint8_t bytes[QS_WIRE_GREETING];
	struct qs_err err;

	(void)state;
	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		qs_wire_hello_encode(&hello, bytes);
		bytes[lies[i].at] = lies[i].value;
		help_fails(qs_wire_hello_decode(bytes, &back, &err), &err,
			QS_EPROTO, lies[i].words);
	}
}

static void
a_hubs_greeting_comes_back(void **state)
{
	static const struct qs_wire_welcome all[] = {
		{.version = 1, .mode = QS_MODE_RO},
		{.version = 1, .mode = QS_MODE_TRANSFER},
		{.code = QS_EKEY, .text_len = QS_WIRE_TEXT_MAX},
		{.code = QS_EINDEX},
	};
	struct qs_wire_welcome back;
	uint8_t bytes[QS_WIRE_GREETING];
	struct qs_err err;

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		qs_wire_welcome_encode(&all[i], bytes);
		assert_memory_equal(bytes, "QSTOREH1", 8);
		help_ok(qs_wire_welcome_decode(bytes, &back, &err), &err);
		assert_int_equal(back.version, all[i].version);
		assert_int_equal(back.code, all[i].code);
		assert_int_equal(back.text_len, all[i].text_len);
		assert_int_equal(back.mode, all[i].mode);
	}
}

static void
a_hubs_greeting_that_can_not_be_is_refused(void **state)
{
	static const struct {
		size_t at;
		uint8_t value;
		const char *words;
	} lies[] = {
		{0, 'L', "unexpected output before"},
		{10, 1, "is malformed"}, /* welcome and refused */
		{11, 1, "is malformed"},
		{8, 0, "is malformed"}, /* refused without a reason */
		{12, 1, "is malformed"}, /* words without a refusal */
		{15, 0xff, "is malformed"},
		{16, 0, "is malformed"}, /* no mode */
		{16, 4, "is malformed"},
		{17, 1, "is malformed"},
		{63, 1, "is malformed"},
	};
	const struct qs_wire_welcome welcome = {.version = 1,
		.mode = QS_MODE_RW};
	struct qs_wire_welcome back;
	uint8_t bytes[QS_WIRE_GREETING];
	struct qs_err err;

	(void)state;
	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		qs_wire_welcome_encode(&welcome, bytes);
		bytes[lies[i].at] = lies[i].value;
		help_fails(qs_wire_welcome_decode(bytes, &back, &err), &err,
			QS_EPROTO, lies[i].words);
	}
}

/* ------------------------------------------------------------------ files */

static void
a_file_comes_back(void **state)
{
	struct qs_ref ref = {
		.name = {{1, 2, 3}},
		.device = {4, 5},
		.seq = UINT64_MAX,
		.size = 4096, /* not in it */
	}, back;
	uint8_t bytes[QS_WIRE_FILE];
	struct qs_err err;

	(void)state;
	for (unsigned area = QS_AREA_KEYS; area <= QS_AREA_BESIDE; area++) {
		ref.area = (enum qs_area)area;
		qs_wire_file_encode(&ref, bytes);
		help_ok(qs_wire_file_decode(bytes, &back, &err), &err);
		assert_int_equal(back.area, area);
		assert_memory_equal(back.name.b, ref.name.b, 32);
		assert_int_equal(back.size, 0);
		assert_true(back.seq == (area == QS_AREA_LOG ? UINT64_MAX :
			0));
		assert_int_equal(back.device[1], area == QS_AREA_LOG ? 5 : 0);
	}
}

static void
a_file_that_can_not_be_is_refused(void **state)
{
	static const struct {
		size_t at;
		uint8_t value;
	} lies[] = {{0, 0}, {0, 5}, {0, 255}, {1, 1}, {7, 1}, {8, 1}, {16, 1},
		{23, 1}};
	const struct qs_ref ref = {.area = QS_AREA_OBJ};
	struct qs_ref back;
	uint8_t bytes[QS_WIRE_FILE];
	struct qs_err err;

	(void)state;
	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		qs_wire_file_encode(&ref, bytes);
		bytes[lies[i].at] = lies[i].value;
		help_fails(qs_wire_file_decode(bytes, &back, &err), &err,
			QS_EPROTO, "name is malformed");
	}
}

static void
names_are_what_every_program_lets_through(void **state)
{
	static const char longest[] = "12345678901234567890123456789012345678"
		"9012345678901234567890123";
	static const char too_long[] = "1234567890123456789012345678901234567"
		"890123456789012345678901234";
	static const char *const good[] = {"a", "0", "photos", "a.b-c_d",
		longest};
	static const char *const bad[] = {"", ".", "..", ".a", "-a", "_a",
		"a..b", "a/b", "A", "a b", "a\n", "\xc3\xa9", "a@b",
		too_long};

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_true(qs_wire_name_ok(good[i]));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(qs_wire_name_ok(bad[i]));
}

/* ----------------------------------------------------------------- stream */

struct pair { /* two ends of one stream */
	struct qs_wire *a, *b;
};

static struct pair
connect_pair(void)
{
	struct pair pair;
	int ends[2];
	struct qs_err err;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0,
		ends), 0);
	help_ok(qs_wire_new(ends[0], ends[0], &pair.a, &err), &err);
	help_ok(qs_wire_new(ends[1], ends[1], &pair.b, &err), &err);
	return pair;
}

static void
part(struct pair *pair)
{
	qs_wire_free(pair->a);
	qs_wire_free(pair->b);
}

static void
send_frame(void *arg)
{
	static uint8_t bytes[QS_WIRE_LEN_MAX];
	const struct qs_wire_head head = {.verb = QS_VERB_DATA, .request = 1};
	struct pair *pair = arg;
	uint32_t state = 5;
	struct qs_err err;

	help_fill(bytes, sizeof(bytes), &state);
	help_ok(qs_wire_write(pair->a, &head, qs_span(bytes, sizeof(bytes)),
		20, &err), &err);
}

static void
a_frame_arrives_whole(void **state)
{
	struct pair pair = connect_pair();
	uint8_t head[QS_WIRE_HEAD], *bytes = malloc(QS_WIRE_LEN_MAX),
		*wanted = malloc(QS_WIRE_LEN_MAX);
	struct qs_wire_head back;
	struct qs_thread *thread = NULL;
	uint32_t seed = 5;
	struct qs_err err;

	(void)state;
	help_ok(qs_thread_start(&thread, send_frame, &pair, "sender", &err),
		&err);
	help_ok(qs_wire_read(pair.b, head, sizeof(head), 20, NULL, &err),
		&err);
	help_ok(qs_wire_head_decode(head, &back, &err), &err);
	assert_int_equal(back.len, QS_WIRE_LEN_MAX);
	/* A few from the buffer, the rest where it is wanted. */
	help_ok(qs_wire_read(pair.b, bytes, 10, 20, NULL, &err), &err);
	help_ok(qs_wire_read(pair.b, bytes + 10, QS_WIRE_LEN_MAX - 10, 20,
		NULL, &err), &err);
	qs_thread_join(thread);
	help_fill(wanted, QS_WIRE_LEN_MAX, &seed);
	assert_memory_equal(bytes, wanted, QS_WIRE_LEN_MAX);
	assert_false(qs_wire_is_ahead(pair.b));
	free(bytes);
	free(wanted);
	part(&pair);
}

static void
an_end_is_told_from_a_failure(void **state)
{
	struct pair pair = connect_pair();
	uint8_t bytes[8];
	bool end = false;
	struct qs_err err;

	(void)state;
	help_ok(qs_wire_write_raw(pair.a, qs_span("12345678abc", 11), 20,
		&err), &err);
	qs_wire_free(pair.a);
	pair.a = NULL;
	help_ok(qs_wire_read(pair.b, bytes, 4, 20, &end, &err), &err);
	assert_false(end);
	assert_true(qs_wire_is_ahead(pair.b));
	help_ok(qs_wire_read(pair.b, bytes, 4, 20, NULL, &err), &err);
	assert_memory_equal(bytes, "5678", 4);
	help_fails(qs_wire_read(pair.b, bytes, 4, 20, &end, &err), &err,
		QS_ENET, "the connection ended");
	help_ok(qs_wire_read(pair.b, bytes, 4, 20, &end, &err), &err);
	assert_true(end);
	help_fails(qs_wire_read(pair.b, bytes, 4, 20, NULL, &err), &err,
		QS_ENET, "the connection ended");
	help_fails(qs_wire_write_raw(pair.b, qs_span("x", 1), 20, &err), &err,
		QS_ENET, "the connection ended");
	part(&pair);
}

static void
silence_has_an_end(void **state)
{
	struct pair pair = connect_pair();
	static uint8_t bytes[QS_WIRE_LEN_MAX];
	struct qs_err err;
	enum qs_code rc = QS_OK;

	(void)state;
	help_ok(qs_wire_write_raw(pair.a, qs_span("abc", 3), 1, &err), &err);
	help_fails(qs_wire_read(pair.b, bytes, 4, 1, NULL, &err), &err,
		QS_ENET, "has not answered for 1 seconds");
	for (unsigned i = 0; rc == QS_OK && i < 100; i++)
		rc = qs_wire_write_raw(pair.a, qs_span(bytes, sizeof(bytes)),
			1, &err);
	help_fails(rc, &err, QS_ENET, "has not read what we send for 1 sec");
	/* From now on nobody waits for anything. */
	qs_wire_wake(pair.a);
	help_fails(qs_wire_read(pair.a, bytes, 4, 0, NULL, &err), &err,
		QS_ENET, "was given up");
	help_fails(qs_wire_write_raw(pair.a, qs_span(bytes, sizeof(bytes)), 0,
		&err), &err, QS_ENET, "was given up");
	part(&pair);
}

/* From a file, by whatever way there is. */
static void
files_are_sent_whole_or_not_at_all(void **state)
{
	const struct qs_wire_head head = {
		.len = 5,
		.verb = QS_VERB_GET,
		.request = 1,
	};
	struct pair pair = connect_pair();
	uint8_t bytes[QS_WIRE_HEAD + 5];
	int fd = memfd_create("file", MFD_CLOEXEC);
	struct qs_err err;

	(void)state;
	assert_int_equal(write(fd, "0123456789", 10), 10);
	help_ok(qs_wire_write_file(pair.a, &head, fd, 3, 20, &err), &err);
	help_ok(qs_wire_read(pair.b, bytes, sizeof(bytes), 20, NULL, &err),
		&err);
	assert_memory_equal(bytes + QS_WIRE_HEAD, "34567", 5);
	help_fails(qs_wire_write_file(pair.a, &head, fd, 7, 20, &err), &err,
		QS_EIO, "became shorter while it was sent");
	(void)close(fd);
	part(&pair);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_head_is_as_the_protocol_says),
		cmocka_unit_test(a_head_that_can_not_be_is_refused),
		cmocka_unit_test(a_clients_greeting_comes_back),
		cmocka_unit_test(a_clients_greeting_that_can_not_be_is_refused),
		cmocka_unit_test(a_hubs_greeting_comes_back),
		cmocka_unit_test(a_hubs_greeting_that_can_not_be_is_refused),
		cmocka_unit_test(a_file_comes_back),
		cmocka_unit_test(a_file_that_can_not_be_is_refused),
		cmocka_unit_test(names_are_what_every_program_lets_through),
		cmocka_unit_test(a_frame_arrives_whole),
		cmocka_unit_test(an_end_is_told_from_a_failure),
		cmocka_unit_test(silence_has_an_end),
		cmocka_unit_test(files_are_sent_whole_or_not_at_all),
	};
	const struct sigaction ignore = {.sa_handler = SIG_IGN};

	(void)sigaction(SIGPIPE, &ignore, NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
