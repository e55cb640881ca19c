/* SPDX-License-Identifier: ISC */
/*
 * A hub that lies: for each lie the right code, a sentence in plain ASCII that
 * names the place, and an end, within bounds of memory and of bytes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <signal.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/suite/lying_hub.h"
#include "tests/suite/store_help.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const uint8_t folder_id[QS_FOLDER_ID_LEN] = {1, 2, 3};

/* What it said, as a user would see it. */
static void
says(struct lying_hub *hub, enum qs_code rc, const struct qs_err *err,
	enum qs_code wanted, const char *words)
{
	help_fails(rc, err, wanted, words);
	if (strstr(err->msg, hub->url) == NULL)
		fail_msg("does not name the place: %s", err->msg);
	for (const char *at = err->msg; *at != '\0'; at++)
		assert_true(*at >= 0x20 && *at < 0x7f);
}

/* -------------------------------------------------------------- greetings */

static void
send_welcome(struct lying_hub *hub, int fd,
	const struct qs_wire_welcome *welcome, const char *text)
{
	uint8_t bytes[QS_WIRE_GREETING];

	qs_wire_welcome_encode(welcome, bytes);
	(void)lying_hub_send(hub, fd, bytes, sizeof(bytes));
	(void)lying_hub_send(hub, fd, text, strlen(text));
	lying_hub_wait(fd);
}

static void
greet_with_noise(struct lying_hub *hub, int fd)
{
	static const char noise[] = "Linux nas 6.1.0 x86_64\r\n"
		"You have mail.\r\nLast login: Tue Nov 24 on pts/0\r\n";

	(void)lying_hub_send(hub, fd, noise, sizeof(noise) - 1);
	lying_hub_wait(fd);
}

static void
greet_with_a_refusal(struct lying_hub *hub, int fd)
{
	static const char text[] = "qube \x1b]0;owned\x07\x1b[31mx\n\xc3\xa9";
	const struct qs_wire_welcome welcome = {
		.code = QS_EKEY,
		.text_len = sizeof(text) - 1,
	};

	send_welcome(hub, fd, &welcome, text);
}

static void
greet_with_a_long_refusal(struct lying_hub *hub, int fd)
{
	const struct qs_wire_welcome welcome = {
		.code = QS_EKEY,
		.text_len = QS_WIRE_TEXT_MAX + 1,
	};

	send_welcome(hub, fd, &welcome, "long");
}

static void
greet_with_half_a_refusal(struct lying_hub *hub, int fd)
{
	const struct qs_wire_welcome welcome = {
		.code = QS_EKEY,
		.text_len = 100,
	};
	uint8_t bytes[QS_WIRE_GREETING];

	qs_wire_welcome_encode(&welcome, bytes);
	(void)lying_hub_send(hub, fd, bytes, sizeof(bytes));
}

static void
greet_with_another_version(struct lying_hub *hub, int fd)
{
	const struct qs_wire_welcome welcome = {
		.version = 9,
		.mode = QS_MODE_RW,
	};

	send_welcome(hub, fd, &welcome, "");
}

static void
greet_with_another_mode(struct lying_hub *hub, int fd)
{
	const struct qs_wire_welcome welcome = {
		.version = QS_WIRE_VERSION,
		.mode = (enum qs_wire_mode)7,
	};

	send_welcome(hub, fd, &welcome, "");
}

static void
greet_with_a_wrong_passphrase(struct lying_hub *hub, int fd)
{
	static const char text[] = "give me your passphrase";
	const struct qs_wire_welcome welcome = {
		.code = QS_EAUTH,
		.text_len = sizeof(text) - 1,
	};

	send_welcome(hub, fd, &welcome, text);
}

static void
greet_with_silence(struct lying_hub *hub, int fd)
{
	(void)hub;
	lying_hub_wait(fd);
}

static void
greet_with_a_byte(struct lying_hub *hub, int fd)
{
	(void)lying_hub_send(hub, fd, "Q", 1);
	lying_hub_wait(fd);
}

static void
greet_and_end(struct lying_hub *hub, int fd)
{
	(void)lying_hub_send(hub, fd, "QSTOREH1", 8);
}

static void
a_lying_greeting_is_told_in_a_sentence(void **state)
{
	static const struct {
		lying_script script;
		enum qs_code code;
		const char *words;
	} lies[] = {
		{greet_with_noise, QS_EPROTO, "unexpected output before"},
		{greet_with_a_refusal, QS_EKEY,
			"qube ?]0;owned??[31mx???"},
		{greet_with_a_long_refusal, QS_EPROTO, "is malformed"},
		{greet_with_half_a_refusal, QS_ENET, "the connection ended"},
		{greet_with_another_version, QS_EPROTO, "version 9"},
		{greet_with_another_mode, QS_EPROTO, "is malformed"},
		{greet_with_a_wrong_passphrase, QS_EPROTO, "the code 9"},
		{greet_with_silence, QS_ENET, "has not answered for 1 sec"},
		{greet_with_a_byte, QS_ENET, "has not answered for 1 sec"},
		{greet_and_end, QS_ENET, "the connection ended"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(lies); i++) {
		struct lying_hub *hub = lying_hub_start(lies[i].script);
		struct qs_store *store = NULL;
		struct qs_err err;

		says(hub, qs_url_open(hub->url, folder_id, &store, &err), &err,
			lies[i].code, lies[i].words);
		assert_null(store);
		lying_hub_end(hub);
	}
}

/* ------------------------------------------------------- lies in a head */

/* Answers the request after OPEN with this; the bytes are the sentence. */
static struct qs_wire_head lie;
static bool is_lie_absolute; /* else verb and request are as asked */
static const char *lie_text = "";

static void
answer_with_the_lie(struct lying_hub *hub, int fd)
{
	struct qs_wire_head head = lie;

	if (!lying_hub_open(hub, fd) || !lying_hub_take(hub, fd))
		return;
	if (!is_lie_absolute) {
		head.verb = lie.verb == 0 ? hub->asked.verb : lie.verb;
		head.request = hub->asked.request + lie.request;
	}
	(void)lying_hub_frame(hub, fd, &head,
		qs_span(lie_text, strlen(lie_text)));
	lying_hub_wait(fd);
}

static enum qs_code
ask_for_one(struct qs_store *store, struct qs_err *err)
{
	const struct qs_name name = {{7}};
	uint64_t size = 0;

	return store->ops->have(store->self, &name, 1, &size, err);
}

static void
head_lie(struct qs_wire_head head, bool is_absolute, const char *text,
	enum qs_code code, const char *words)
{
	struct lying_hub *hub = lying_hub_start(answer_with_the_lie);
	struct qs_store *store = NULL;
	struct qs_err err;

	lie = head;
	is_lie_absolute = is_absolute;
	lie_text = text;
	help_ok(qs_url_open(hub->url, folder_id, &store, &err), &err);
	says(hub, ask_for_one(store, &err), &err, code, words);
	qs_store_close(store);
	lying_hub_end(hub);
}

static void
a_head_that_can_not_be_ends_the_connection(void **state)
{
	(void)state;
	head_lie((struct qs_wire_head){.len = 1U << 31}, false, "",
		QS_EPROTO, "a frame of 2147483648 bytes");
	head_lie((struct qs_wire_head){.len = QS_WIRE_LEN_MAX + 1}, false, "",
		QS_EPROTO, "a frame of 1048577 bytes");
	head_lie((struct qs_wire_head){.verb = (enum qs_verb)200}, false, "",
		QS_EPROTO, "unknown verb 200");
	head_lie((struct qs_wire_head){.flags = 0x80}, false, "", QS_EPROTO,
		"unknown flags 128");
	head_lie((struct qs_wire_head){.code = (enum qs_code)65535}, false,
		"", QS_EPROTO, "unknown code 65535");
	head_lie((struct qs_wire_head){.verb = QS_VERB_HAVE}, true, "",
		QS_EPROTO, "without a request's number");
}

static void
an_answer_that_nobody_asked_for_ends_the_connection(void **state)
{
	(void)state;
	head_lie((struct qs_wire_head){.request = 1000}, false, "",
		QS_EPROTO, "what nobody asked");
	head_lie((struct qs_wire_head){.verb = QS_VERB_GET}, false, "",
		QS_EPROTO, "what nobody asked");
	head_lie((struct qs_wire_head){.verb = QS_VERB_OPEN}, false, "",
		QS_EPROTO, "what nobody asked");
}

static void
a_refusal_is_shown_as_plain_text(void **state)
{
	(void)state;
	head_lie((struct qs_wire_head){.code = QS_EBUSY, .len = 13}, false,
		"\x1b[2J\x1b]2;x\x07\n\t\x7f", QS_EBUSY, ": ?[2J?]2;x????");
	head_lie((struct qs_wire_head){.code = QS_ENOSPC}, false, "",
		QS_ENOSPC, "");
	head_lie((struct qs_wire_head){.code = QS_EBUSY, .len = 501}, false,
		"", QS_EPROTO, "a refusal is malformed");
	head_lie((struct qs_wire_head){.code = QS_EBUSY, .flags = 1}, false,
		"", QS_EPROTO, "a refusal is malformed");
}

/* That a passphrase is wrong, say, would make a client ask for another. */
static void
codes_that_are_no_hubs_business_are_not_passed_on(void **state)
{
	static const enum qs_code codes[] = {QS_EAUTH, QS_ENET, QS_ECANCELED,
		QS_EROLLBACK, QS_EINDEX};

	(void)state;
	for (size_t i = 0; i < COUNT(codes); i++)
		head_lie((struct qs_wire_head){.code = codes[i]}, false, "",
			QS_EPROTO, "which a hub has no use for");
}

/* --------------------------------------------------- an end, and silence */

static void
be_silent(struct lying_hub *hub, int fd)
{
	if (lying_hub_open(hub, fd))
		lying_hub_wait(fd);
}

static void
end_in_a_head(struct lying_hub *hub, int fd)
{
	if (lying_hub_open(hub, fd) && lying_hub_take(hub, fd))
		(void)lying_hub_send(hub, fd, "\4\0\0", 3);
}

static void
end_in_a_frame(struct lying_hub *hub, int fd)
{
	if (!lying_hub_open(hub, fd) || !lying_hub_take(hub, fd))
		return;
	hub->asked.len = 4;
	(void)lying_hub_frame(hub, fd, &hub->asked, qs_span("abc", 3));
}

static void
stay_in_a_frame(struct lying_hub *hub, int fd)
{
	end_in_a_frame(hub, fd);
	lying_hub_wait(fd);
}

/* A trickle of answers to nothing does not count as an answer. */
static void
stay_in_a_head(struct lying_hub *hub, int fd)
{
	end_in_a_head(hub, fd);
	lying_hub_wait(fd);
}

static void
silence_and_an_early_end_are_noticed(void **state)
{
	static const struct {
		lying_script script;
		const char *words;
	} lies[] = {
		{be_silent, "has not answered for 1 seconds"},
		{end_in_a_head, "the connection ended"},
		{end_in_a_frame, "the connection ended"},
		{stay_in_a_head, "has not answered for 1 seconds"},
		{stay_in_a_frame, "has not answered for 1 seconds"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(lies); i++) {
		struct lying_hub *hub = lying_hub_start(lies[i].script);
		struct qs_store *store = NULL;
		struct qs_err err;

		help_ok(qs_url_open(hub->url, folder_id, &store, &err), &err);
		says(hub, ask_for_one(store, &err), &err, QS_ENET,
			lies[i].words);
		/* It was asked again, once, on another connection. */
		assert_int_equal(hub->connections, 2);
		/* From now on it is told what was wrong with that. */
		says(hub, ask_for_one(store, &err), &err, QS_ENET,
			lies[i].words);
		assert_int_equal(hub->connections, 2);
		qs_store_close(store);
		lying_hub_end(hub);
	}
}

/* The first answer once more, for every request. */
static void
replay(struct lying_hub *hub, int fd)
{
	struct qs_wire_head first = {.len = 0};

	if (!lying_hub_open(hub, fd))
		return;
	while (lying_hub_take(hub, fd)) {
		if (first.request == 0)
			first = hub->asked;
		first.len = 4;
		(void)lying_hub_frame(hub, fd, &first, qs_span("\0\0\1\0", 4));
	}
}

static void
an_old_answer_is_none_to_a_new_question(void **state)
{
	struct lying_hub *hub = lying_hub_start(replay);
	struct qs_store *store = NULL;
	struct qs_err err;

	(void)state;
	help_ok(qs_url_open(hub->url, folder_id, &store, &err), &err);
	help_ok(ask_for_one(store, &err), &err);
	says(hub, ask_for_one(store, &err), &err, QS_EPROTO,
		"what nobody asked");
	qs_store_close(store);
	lying_hub_end(hub);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_lying_greeting_is_told_in_a_sentence),
		cmocka_unit_test(a_head_that_can_not_be_ends_the_connection),
		cmocka_unit_test(
			an_answer_that_nobody_asked_for_ends_the_connection),
		cmocka_unit_test(a_refusal_is_shown_as_plain_text),
		cmocka_unit_test(
			codes_that_are_no_hubs_business_are_not_passed_on),
		cmocka_unit_test(silence_and_an_early_end_are_noticed),
		cmocka_unit_test(an_old_answer_is_none_to_a_new_question),
	};
	const struct sigaction ignore = {.sa_handler = SIG_IGN};

	(void)sigaction(SIGPIPE, &ignore, NULL);
	qs_wire_set_patience(1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
