/* SPDX-License-Identifier: ISC */
/* A hub on a Unix socket that says what a test has it say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/suite/lying_hub.h"
#include "tests/suite/store_help.h"

static void
run(void *arg)
{
	struct lying_hub *hub = arg;

	for (;;) {
		int fd = accept(hub->listener, NULL, NULL);

		if (fd < 0)
			return;
		hub->connections++;
		hub->script(hub, fd);
		(void)close(fd);
	}
}

struct lying_hub *
lying_hub_start(lying_script script)
{
	struct lying_hub *hub = calloc(1, sizeof(*hub));
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct qs_err err;

	assert_non_null(hub);
	hub->dir = help_dir_make();
	hub->script = script;
	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s/s",
		hub->dir);
	(void)snprintf(hub->url, sizeof(hub->url), "unix:%s/s", hub->dir);
	hub->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(hub->listener,
		(const struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(hub->listener, 8), 0);
	help_ok(qs_thread_start(&hub->thread, run, hub, "hub", &err), &err);
	return hub;
}

void
lying_hub_end(struct lying_hub *hub)
{
	(void)shutdown(hub->listener, SHUT_RDWR);
	qs_thread_join(hub->thread);
	(void)close(hub->listener);
	help_dir_remove(hub->dir);
	free(hub);
}

bool
lying_hub_send(struct lying_hub *hub, int fd, const void *data, size_t len)
{
	const uint8_t *at = data;

	while (len > 0) {
		ssize_t n = send(fd, at, len, MSG_NOSIGNAL);

		if (n <= 0)
			return false;
		at += n;
		len -= (size_t)n;
		hub->sent += (uint64_t)n;
	}
	return true;
}

static bool
take_bytes(int fd, void *out, size_t len)
{
	return len == 0 || recv(fd, out, len, MSG_WAITALL) == (ssize_t)len;
}

bool
lying_hub_greet(struct lying_hub *hub, int fd)
{
	const struct qs_wire_welcome welcome = {
		.version = QS_WIRE_VERSION,
		.mode = QS_MODE_RW,
	};
	uint8_t bytes[QS_WIRE_GREETING];

	if (!take_bytes(fd, bytes, sizeof(bytes)))
		return false;
	qs_wire_welcome_encode(&welcome, bytes);
	return lying_hub_send(hub, fd, bytes, sizeof(bytes));
}

bool
lying_hub_take(struct lying_hub *hub, int fd)
{
	uint8_t head[QS_WIRE_HEAD];
	struct qs_err err;

	return take_bytes(fd, head, sizeof(head)) &&
		qs_wire_head_decode(head, &hub->asked, &err) == QS_OK &&
		take_bytes(fd, hub->body, hub->asked.len);
}

bool
lying_hub_frame(struct lying_hub *hub, int fd,
	const struct qs_wire_head *head, struct qs_span bytes)
{
	uint8_t encoded[QS_WIRE_HEAD];

	qs_wire_head_encode(head, encoded);
	return lying_hub_send(hub, fd, encoded, sizeof(encoded)) &&
		lying_hub_send(hub, fd, bytes.data, bytes.len);
}

bool
lying_hub_answer(struct lying_hub *hub, int fd, struct qs_span bytes,
	bool more_follow)
{
	const struct qs_wire_head head = {
		.len = (uint32_t)bytes.len,
		.verb = hub->asked.verb,
		.flags = more_follow ? QS_WIRE_MORE_FOLLOWS : 0,
		.request = hub->asked.request,
	};

	return lying_hub_frame(hub, fd, &head, bytes);
}

bool
lying_hub_open(struct lying_hub *hub, int fd)
{
	return lying_hub_greet(hub, fd) && lying_hub_take(hub, fd) &&
		lying_hub_answer(hub, fd, qs_span(NULL, 0), false);
}

void
lying_hub_wait(int fd)
{
	uint8_t byte;

	while (recv(fd, &byte, 1, 0) > 0)
		continue;
}
