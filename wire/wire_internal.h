/* SPDX-License-Identifier: ISC */
/* What the client's files share: the way to a hub, and the connection. */
#ifndef QS_WIRE_INTERNAL_H
#define QS_WIRE_INTERNAL_H

#include <pthread.h>

#include "wire/wire.h"

/* Whoever waits in another thread gives up: QS_ENET, from now on. */
void qs_wire_wake(struct qs_wire *wire);

/* --------------------------------------------------------------- places */

enum qs_url_kind { QS_URL_PATH, QS_URL_COMMAND, QS_URL_SOCKET };

/* How to get to the other end; owned. */
struct qs_url {
	enum qs_url_kind kind;
	char *argv[12];  /* COMMAND, NULL-terminated */
	char *socket;    /* SOCKET */
	char folder[QS_WIRE_NAME_MAX + 1]; /* for the greeting */
	char *place;     /* the URL, for messages */
};

/* QS_EINVAL says what is wrong with it. */
QS_MUST_CHECK enum qs_code qs_url_parse(const char *url, struct qs_url *out,
	struct qs_err *err);
void qs_url_clear(struct qs_url *url);

/* ---------------------------------------------------------- the way there */

#define TAIL_MAX 400 /* bytes kept of what the program complains of */

struct qs_drain;

/* A program, or a socket, at whose other end a hub is. */
struct qs_way {
	pid_t pid;  /* 0: none */
	int in, out; /* to be read, to be written; taken by the wire */
	struct qs_drain *drain; /* of the program's stderr, or NULL */
};

QS_MUST_CHECK enum qs_code qs_way_open(const struct qs_url *url,
	struct qs_way *out, struct qs_err *err);
/*
 * After the wire is closed: wait for the program a moment; one that stays is
 * killed if kill.  tail gets the end of what it complained of, NUL-terminated.
 */
void qs_way_close(struct qs_way *way, bool kill, char tail[static TAIL_MAX]);

/* ------------------------------------------------------------ connection */

struct qs_call; /* a request that waits for its answer */

/* Takes each frame of a good answer; runs in the connection's thread. */
struct qs_sink {
	enum qs_code (*head)(void *arg, uint32_t len, uint8_t **into,
		struct qs_err *err);
	void *arg;
};

/*
 * A greeted connection with a thread that reads answers.  Any thread may call.
 * Once it has failed every call fails (QS_ENET or QS_EPROTO).
 */
struct qs_link;

QS_MUST_CHECK enum qs_code qs_link_open(const struct qs_url *url,
	struct qs_link **out, struct qs_err *err);
/* The same where the way there is at hand; taken, also on failure. */
QS_MUST_CHECK enum qs_code qs_link_start(const struct qs_url *url,
	const struct qs_way *way, struct qs_link **out, struct qs_err *err);
void qs_link_close(struct qs_link *link);
bool qs_link_is_dead(struct qs_link *link);
/* Why a dead one is. */
void qs_link_failure(struct qs_link *link, struct qs_err *out);
enum qs_wire_mode qs_link_mode(const struct qs_link *link);

/*
 * One request of up to 1 MiB and its answer.  sink gives the memory for each
 * frame's bytes (QS_EPROTO when there are too many).  wait_s: how long the
 * answer may be in coming, beside the usual.
 */
QS_MUST_CHECK enum qs_code qs_link_call(struct qs_link *link,
	enum qs_verb verb, struct qs_span request, const struct qs_sink *sink,
	unsigned wait_s, struct qs_err *err);
/*
 * The same for STAGE and APPEND: head is the request's first bytes, and body
 * follows in frames of verb more; one such at a time.  *request is its number.
 */
QS_MUST_CHECK enum qs_code qs_link_send(struct qs_link *link,
	enum qs_verb verb, struct qs_span head, enum qs_verb more,
	struct qs_span body, uint64_t *request, struct qs_err *err);

/* --------------------------------------------------------------- limits */

/* Seconds of silence until a hub is given up; for the whole program. */
unsigned qs_wire_patience(void);

#endif
