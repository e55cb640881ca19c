/* SPDX-License-Identifier: ISC */
/* A hub's folder, served to a client that says what a test has it say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/suite/lying_client.h"

static void
serve(void *arg)
{
	struct lying_client *client = arg;

	client->rc = qs_serve(&client->options, client->served[0],
		client->served[1], &client->err);
}

void
lying_client_connect(struct lying_client *client)
{
	int ends[2];
	struct qs_err err;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0,
		ends), 0);
	client->fd = ends[0];
	client->served[0] = client->served[1] = ends[1];
	client->number = 0;
	help_ok(qs_thread_start(&client->thread, serve, client, "hub", &err),
		&err);
}

void
lying_client_send(struct lying_client *client, const void *data, size_t len)
{
	const uint8_t *at = data;

	/* A hub that has ended will be noticed when it is asked. */
	while (len > 0) {
		ssize_t n = send(client->fd, at, len, MSG_NOSIGNAL);

		if (n <= 0)
			return;
		at += n;
		len -= (size_t)n;
	}
}

static bool
take_bytes(struct lying_client *client, void *out, size_t len)
{
	return len == 0 || recv(client->fd, out, len, MSG_WAITALL) ==
		(ssize_t)len;
}

void
lying_client_greet(struct lying_client *client)
{
	const struct qs_wire_hello hello = {.least = 1, .highest = 1};
	uint8_t bytes[QS_WIRE_GREETING];
	struct qs_wire_welcome welcome;
	struct qs_err err;

	qs_wire_hello_encode(&hello, bytes);
	lying_client_send(client, bytes, sizeof(bytes));
	assert_true(take_bytes(client, bytes, sizeof(bytes)));
	help_ok(qs_wire_welcome_decode(bytes, &welcome, &err), &err);
	assert_int_equal(welcome.version, QS_WIRE_VERSION);
	assert_int_equal(welcome.mode, client->options.grant.mode);
}

void
lying_client_frame(struct lying_client *client, enum qs_verb verb,
	uint64_t number, struct qs_span bytes)
{
	const struct qs_wire_head head = {
		.len = (uint32_t)bytes.len,
		.verb = verb,
		.request = number,
	};
	uint8_t encoded[QS_WIRE_HEAD];

	qs_wire_head_encode(&head, encoded);
	lying_client_send(client, encoded, sizeof(encoded));
	lying_client_send(client, bytes.data, bytes.len);
}

uint64_t
lying_client_ask(struct lying_client *client, enum qs_verb verb,
	struct qs_span bytes)
{
	lying_client_frame(client, verb, ++client->number, bytes);
	return client->number;
}

void
lying_client_take(struct lying_client *client, struct answer *answer)
{
	uint8_t encoded[QS_WIRE_HEAD], *room;
	struct qs_err err;

	answer->bytes.len = 0;
	do {
		if (!take_bytes(client, encoded, sizeof(encoded)))
			fail_msg("the hub has ended the connection");
		help_ok(qs_wire_head_decode(encoded, &answer->head, &err),
			&err);
		help_ok(qs_buf_extend(&answer->bytes, answer->head.len, &room,
			&err), &err);
		assert_true(take_bytes(client, room, answer->head.len));
	} while (answer->head.flags != 0);
}

void
lying_client_good(struct lying_client *client, size_t len)
{
	struct answer answer = {.bytes = {0}};

	lying_client_take(client, &answer);
	if (answer.head.code != QS_OK)
		fail_msg("refused: %.*s", (int)answer.bytes.len,
			(const char *)answer.bytes.data);
	assert_int_equal(answer.bytes.len, len);
	qs_buf_clear(&answer.bytes);
}

void
lying_client_refused(struct lying_client *client, enum qs_code code,
	const char *words)
{
	struct answer answer = {.bytes = {0}};
	struct qs_err why;

	lying_client_take(client, &answer);
	assert_true(answer.bytes.len <= QS_WIRE_TEXT_MAX);
	(void)qs_fail(&why, answer.head.code == QS_OK ? QS_EINVAL :
		answer.head.code, "%.*s", (int)answer.bytes.len,
		(const char *)answer.bytes.data);
	help_fails(answer.head.code, &why, code, words);
	qs_buf_clear(&answer.bytes);
}

/* Wait until the hub has ended. */
static void
join(struct lying_client *client)
{
	qs_thread_join(client->thread);
	client->thread = NULL;
	qs_fd_close(&client->fd);
}

void
lying_client_ended(struct lying_client *client, enum qs_code code,
	const char *words)
{
	uint8_t byte;

	/* An end, or a reset where it has not read all that was sent. */
	if (recv(client->fd, &byte, 1, 0) > 0)
		fail_msg("the hub answers; wanted: %s", words);
	join(client);
	help_fails(client->rc, &client->err, code, words);
}

void
lying_client_hang_up(struct lying_client *client)
{
	if (client->thread == NULL)
		return;
	(void)shutdown(client->fd, SHUT_RDWR);
	join(client);
}

void
lying_client_open(struct lying_client *client)
{
	(void)lying_client_ask(client, QS_VERB_OPEN, qs_span(
		qs_keys_folder_id(client->world->keys), QS_FOLDER_ID_LEN));
	lying_client_good(client, 0);
}

void
lying_client_again(struct lying_client *client, enum qs_wire_mode mode)
{
	lying_client_hang_up(client);
	client->options.grant.mode = mode;
	lying_client_connect(client);
	lying_client_greet(client);
}

int
lying_client_make(void **state)
{
	struct lying_client *client = calloc(1, sizeof(*client));
	void *world = NULL;

	assert_non_null(client);
	assert_int_equal(world_make(&world), 0);
	client->world = world;
	client->options = (struct qs_serve_options){
		.root = client->world->dir,
		.principal = "qube:liar",
		.grant = {.mode = QS_MODE_RW},
		.patience_s = 20,
	};
	lying_client_connect(client);
	lying_client_greet(client);
	lying_client_open(client);
	*state = client;
	return 0;
}

int
lying_client_end(void **state)
{
	struct lying_client *client = *state;
	void *world = client->world;

	lying_client_hang_up(client);
	assert_int_equal(world_end(&world), 0);
	free(client);
	return 0;
}
