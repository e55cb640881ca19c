/* SPDX-License-Identifier: ISC */
/* A hub on a Unix socket that says what a test has it say. */
#ifndef QS_LYING_HUB_H
#define QS_LYING_HUB_H

#include "wire/wire.h"

struct lying_hub;

/* What it does on a connection, which is closed afterwards. */
typedef void (*lying_script)(struct lying_hub *hub, int fd);

struct lying_hub {
	char *dir;
	char url[300];
	lying_script script;
	int listener;
	struct qs_thread *thread;
	struct qs_wire_head asked; /* the request that came last */
	uint8_t body[QS_WIRE_LEN_MAX]; /* its bytes */
	unsigned connections;
	uint64_t sent; /* bytes of answers, on all connections */
};

/* Listens until it is ended; every connection runs the script. */
struct lying_hub *lying_hub_start(lying_script script);
void lying_hub_end(struct lying_hub *hub);

/* For scripts.  False: the client has hung up. */
bool lying_hub_send(struct lying_hub *hub, int fd, const void *data,
	size_t len);
/* Take the client's greeting, and greet. */
bool lying_hub_greet(struct lying_hub *hub, int fd);
/* The next request, into asked and body. */
bool lying_hub_take(struct lying_hub *hub, int fd);
/* A frame; head's len is what it says, whatever bytes there are. */
bool lying_hub_frame(struct lying_hub *hub, int fd,
	const struct qs_wire_head *head, struct qs_span bytes);
/* A good answer to what was asked. */
bool lying_hub_answer(struct lying_hub *hub, int fd, struct qs_span bytes,
	bool more_follow);
/* Greet, and let the folder be opened: where most lies begin. */
bool lying_hub_open(struct lying_hub *hub, int fd);
/* Until the client hangs up. */
void lying_hub_wait(int fd);

#endif
