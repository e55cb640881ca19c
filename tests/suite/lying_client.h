/* SPDX-License-Identifier: ISC */
/* A hub's folder, served to a client that says what a test has it say. */
#ifndef QS_LYING_CLIENT_H
#define QS_LYING_CLIENT_H

#include "hub/hub.h"
#include "tests/suite/log_world.h"

struct lying_client {
	struct world *world; /* the folder: two devices, a log, no object */
	struct qs_serve_options options;
	int fd;              /* the client's end */
	int served[2];       /* the hub's, for its thread */
	struct qs_thread *thread;
	uint64_t number;     /* of the request that was sent last */
	enum qs_code rc;     /* how the serving ended */
	struct qs_err err;
};

struct answer { /* the head, and the bytes of all its frames */
	struct qs_wire_head head;
	struct qs_buf bytes;
};

/* A test's folder, and a connection that is open on it. */
int lying_client_make(void **state);
int lying_client_end(void **state);
#define LYING_TEST(f) \
	cmocka_unit_test_setup_teardown(f, lying_client_make, lying_client_end)

/* One more connection, with the options as they are now. */
void lying_client_connect(struct lying_client *client);
void lying_client_greet(struct lying_client *client);
void lying_client_open(struct lying_client *client);
/* Hang up, and wait for the hub to end. */
void lying_client_hang_up(struct lying_client *client);
/* Of a greeted connection with this mode. */
void lying_client_again(struct lying_client *client, enum qs_wire_mode mode);

void lying_client_send(struct lying_client *client, const void *data,
	size_t len);
/* A request with a number of its own, which is given back. */
uint64_t lying_client_ask(struct lying_client *client, enum qs_verb verb,
	struct qs_span bytes);
/* A frame that goes with another's number. */
void lying_client_frame(struct lying_client *client, enum qs_verb verb,
	uint64_t number, struct qs_span bytes);
/* The next answer; fails the test when there is none. */
void lying_client_take(struct lying_client *client, struct answer *answer);
/* That the next answer is good, with so many bytes, or a refusal. */
void lying_client_good(struct lying_client *client, size_t len);
void lying_client_refused(struct lying_client *client, enum qs_code code,
	const char *words);
/*
 * That the hub ends the connection, with no answer before, and what it says of
 * that to itself.
 */
void lying_client_ended(struct lying_client *client, enum qs_code code,
	const char *words);

#endif
