/* SPDX-License-Identifier: ISC */
/*
 * A connection to a hub.  Whoever calls writes the request (one at a time) and
 * waits; one thread reads the answers and puts their bytes right where the
 * caller wants them.  So requests of several threads are on their way at once,
 * and neither side can wait for the other for ever: what is sent is small, but
 * for objects, and answers are always read.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "wire/wire_internal.h"

#define GREETING_S 120 /* a qube may have to boot */
#define PENDING_MAX 256

struct qs_call {
	struct qs_call *next;
	uint64_t request;
	enum qs_verb verb;
	const struct qs_sink *sink;
	bool is_done;
	enum qs_code code;
	struct qs_err err;
	int64_t deadline; /* monotonic */
};

struct qs_link {
	char *place;
	struct qs_way way;
	struct qs_wire *wire;
	enum qs_wire_mode mode;
	struct qs_thread *reader;
	pthread_mutex_t sending; /* one frame at a time */
	pthread_mutex_t body;    /* one object or record at a time */
	pthread_mutex_t lock;    /* of what follows */
	pthread_cond_t changed;
	struct qs_call *calls;
	unsigned call_count;
	uint64_t next_request;
	bool is_closing;
	struct qs_err failure; /* code QS_OK: none */
	int64_t heard; /* when the last bytes came */
};

/* ------------------------------------------------------------- failures */

/* The first failure is what everybody is told. */
static void
fail_link(struct qs_link *link, const struct qs_err *why)
{
	(void)pthread_mutex_lock(&link->lock);
	if (link->failure.code == QS_OK)
		link->failure = *why;
	for (struct qs_call *call = link->calls; call != NULL;
		call = call->next) {
		if (!call->is_done) {
			call->is_done = true;
			call->code = link->failure.code;
			call->err = link->failure;
		}
	}
	(void)pthread_cond_broadcast(&link->changed);
	(void)pthread_mutex_unlock(&link->lock);
	qs_wire_wake(link->wire);
}

bool
qs_link_is_dead(struct qs_link *link)
{
	bool is_dead;

	(void)pthread_mutex_lock(&link->lock);
	is_dead = link->failure.code != QS_OK;
	(void)pthread_mutex_unlock(&link->lock);
	return is_dead;
}

void
qs_link_failure(struct qs_link *link, struct qs_err *out)
{
	(void)pthread_mutex_lock(&link->lock);
	*out = link->failure;
	(void)pthread_mutex_unlock(&link->lock);
}

/* What a hub may say; the rest means something else to who reads it. */
static bool
is_hubs_code(enum qs_code code)
{
	return code != QS_OK && code != QS_EAUTH && code != QS_ECANCELED &&
		code != QS_EROLLBACK && code != QS_EINDEX && code != QS_ENET &&
		code <= QS_ENOSTORE;
}

/* Its words, as one line of plain ASCII. */
static enum qs_code
hub_said(const char *place, enum qs_code code, const uint8_t *text, size_t len,
	struct qs_err *err)
{
	char plain[QS_WIRE_TEXT_MAX + 1];

	for (size_t i = 0; i < len; i++)
		plain[i] = text[i] >= 0x20 && text[i] < 0x7f ?
			(char)text[i] : '?';
	plain[len] = '\0';
	if (!is_hubs_code(code))
		return qs_fail(err, QS_EPROTO, "%s answered with the code %u, "
			"which a hub has no use for", place, (unsigned)code);
	return qs_fail(err, code, "%s: %s", place, len == 0 ?
		qs_code_word(code) : plain);
}

/* -------------------------------------------------------------- reading */

static struct qs_call *
find_call(struct qs_link *link, uint64_t request)
{
	struct qs_call *call;

	(void)pthread_mutex_lock(&link->lock);
	link->heard = qs_mono_ns();
	for (call = link->calls; call != NULL; call = call->next) {
		if (call->request == request && !call->is_done)
			break;
	}
	(void)pthread_mutex_unlock(&link->lock);
	return call;
}

/* The call may be gone as soon as it is done. */
static void
finish_call(struct qs_link *link, struct qs_call *call,
	const struct qs_err *err, enum qs_code code)
{
	(void)pthread_mutex_lock(&link->lock);
	link->heard = qs_mono_ns();
	if (!call->is_done) {
		call->is_done = true;
		call->code = code;
		if (code != QS_OK)
			call->err = *err;
	}
	(void)pthread_cond_broadcast(&link->changed);
	(void)pthread_mutex_unlock(&link->lock);
}

static enum qs_code
read_refusal(struct qs_link *link, struct qs_call *call,
	const struct qs_wire_head *head, struct qs_err *err)
{
	uint8_t text[QS_WIRE_TEXT_MAX];
	struct qs_err refusal;
	enum qs_code rc;

	if (head->len > sizeof(text) || head->flags != 0)
		return qs_fail(err, QS_EPROTO, "a refusal is malformed");
	rc = qs_wire_read(link->wire, text, head->len, qs_wire_patience(),
		NULL, err);
	if (rc != QS_OK)
		return rc;
	finish_call(link, call, &refusal, hub_said(link->place, head->code,
		text, head->len, &refusal));
	return QS_OK;
}

static enum qs_code
read_answer(struct qs_link *link, const struct qs_wire_head *head,
	struct qs_err *err)
{
	struct qs_call *call = find_call(link, head->request);
	uint8_t *into = NULL;
	enum qs_code rc = QS_OK;

	if (call == NULL || call->verb != head->verb)
		return qs_fail(err, QS_EPROTO, "an answer to what nobody "
			"asked");
	if (head->code != QS_OK)
		return read_refusal(link, call, head, err);
	/* Or an answer could go on for ever without a byte. */
	if (head->len == 0 && (head->flags & QS_WIRE_MORE_FOLLOWS) != 0)
		return qs_fail(err, QS_EPROTO, "an empty frame within an "
			"answer");
	if (call->sink != NULL)
		rc = call->sink->head(call->sink->arg, head->len, &into, err);
	else if (head->len > 0)
		rc = qs_fail(err, QS_EPROTO, "an answer with bytes that "
			"nobody asked for");
	if (rc == QS_OK && head->len > 0)
		rc = qs_wire_read(link->wire, into, head->len,
			qs_wire_patience(), NULL, err);
	if (rc == QS_OK && (head->flags & QS_WIRE_MORE_FOLLOWS) == 0)
		finish_call(link, call, NULL, QS_OK);
	return rc;
}

static void
read_answers(void *arg)
{
	struct qs_link *link = arg;
	struct qs_err err;
	enum qs_code rc = QS_OK;

	while (rc == QS_OK) {
		uint8_t bytes[QS_WIRE_HEAD];
		struct qs_wire_head head;
		bool end = false;

		rc = qs_wire_read(link->wire, bytes, sizeof(bytes), 0, &end,
			&err);
		if (rc == QS_OK && end)
			rc = qs_fail(&err, QS_ENET, "the connection ended");
		if (rc == QS_OK)
			rc = qs_wire_head_decode(bytes, &head, &err);
		if (rc == QS_OK)
			rc = read_answer(link, &head, &err);
	}
	(void)qs_fail_while(&err, "%s", link->place);
	fail_link(link, &err);
}

/* -------------------------------------------------------------- calling */

/* Failed, or given a number and a place among those that wait. */
static enum qs_code
enter_call(struct qs_link *link, struct qs_call *call, struct qs_err *err)
{
	enum qs_code rc = QS_OK;

	(void)pthread_mutex_lock(&link->lock);
	while (link->call_count >= PENDING_MAX && link->failure.code == QS_OK)
		(void)pthread_cond_wait(&link->changed, &link->lock);
	if (link->failure.code != QS_OK) {
		*err = link->failure;
		rc = err->code;
	} else {
		call->request = link->next_request++;
		call->next = link->calls;
		link->calls = call;
		link->call_count++;
		/* Silence counts from when something was owed. */
		if (call->next == NULL)
			link->heard = qs_mono_ns();
	}
	(void)pthread_mutex_unlock(&link->lock);
	return rc;
}

static void
leave_call(struct qs_link *link, struct qs_call *call)
{
	struct qs_call **at = &link->calls;

	while (*at != call)
		at = &(*at)->next;
	*at = call->next;
	link->call_count--;
	(void)pthread_cond_broadcast(&link->changed);
}

/* Until one second from now; the clock is the condition's. */
static struct timespec
a_second_on(void)
{
	struct timespec at;

	(void)clock_gettime(CLOCK_MONOTONIC, &at);
	at.tv_sec++;
	return at;
}

static enum qs_code
await_call(struct qs_link *link, struct qs_call *call, unsigned wait_s,
	struct qs_err *err)
{
	const int64_t silence = (int64_t)(qs_wire_patience() + wait_s) *
		1000000000;
	bool is_over = false;
	enum qs_code rc;

	(void)pthread_mutex_lock(&link->lock);
	while (!call->is_done && !is_over) {
		struct timespec until = a_second_on();
		int64_t now;

		(void)pthread_cond_timedwait(&link->changed, &link->lock,
			&until);
		now = qs_mono_ns();
		is_over = !call->is_done && (now - link->heard > silence ||
			now > call->deadline);
	}
	(void)pthread_mutex_unlock(&link->lock);
	if (is_over) {
		struct qs_err silent;

		(void)qs_fail(&silent, QS_ENET, "%s has not answered for %u "
			"seconds", link->place, qs_wire_patience() + wait_s);
		fail_link(link, &silent);
	}
	/*
	 * The reader may be writing into the caller's memory for this call: it
	 * stops first when the connection has failed.
	 */
	if (is_over || qs_link_is_dead(link)) {
		(void)pthread_mutex_lock(&link->body);
		qs_thread_join(link->reader);
		link->reader = NULL;
		(void)pthread_mutex_unlock(&link->body);
	}
	(void)pthread_mutex_lock(&link->lock);
	rc = call->code;
	if (rc != QS_OK)
		*err = call->err;
	leave_call(link, call);
	(void)pthread_mutex_unlock(&link->lock);
	return rc;
}

static enum qs_code
send_frame(struct qs_link *link, const struct qs_call *call,
	enum qs_verb verb, struct qs_span bytes, struct qs_err *err)
{
	const struct qs_wire_head head = {
		.verb = verb,
		.request = call->request,
	};
	enum qs_code rc;

	(void)pthread_mutex_lock(&link->sending);
	rc = qs_wire_write(link->wire, &head, bytes, qs_wire_patience(), err);
	(void)pthread_mutex_unlock(&link->sending);
	if (rc == QS_OK) {
		/* A peer that takes what we send is not silent. */
		(void)pthread_mutex_lock(&link->lock);
		link->heard = qs_mono_ns();
		(void)pthread_mutex_unlock(&link->lock);
	}
	if (rc != QS_OK) {
		(void)qs_fail_while(err, "%s", link->place);
		fail_link(link, err);
	}
	return rc;
}

/* The longest that an answer may take in all, however it trickles. */
#define CALL_S 7200

static struct qs_call
new_call(enum qs_verb verb, const struct qs_sink *sink, unsigned wait_s)
{
	return (struct qs_call){
		.verb = verb,
		.sink = sink,
		.deadline = qs_mono_ns() +
			(int64_t)(CALL_S + wait_s) * 1000000000,
	};
}

enum qs_code
qs_link_call(struct qs_link *link, enum qs_verb verb, struct qs_span request,
	const struct qs_sink *sink, unsigned wait_s, struct qs_err *err)
{
	struct qs_call call = new_call(verb, sink, wait_s);
	enum qs_code rc = enter_call(link, &call, err);
	struct qs_err ignored;

	if (rc != QS_OK)
		return rc;
	(void)send_frame(link, &call, verb, request, &ignored);
	return await_call(link, &call, wait_s, err);
}

enum qs_code
qs_link_send(struct qs_link *link, enum qs_verb verb, struct qs_span head,
	enum qs_verb more, struct qs_span body, uint64_t *request,
	struct qs_err *err)
{
	struct qs_call call = new_call(verb, NULL, 0);
	struct qs_err ignored;
	enum qs_code rc = enter_call(link, &call, err);

	if (rc != QS_OK)
		return rc;
	*request = call.request;
	(void)pthread_mutex_lock(&link->body);
	rc = send_frame(link, &call, verb, head, &ignored);
	for (size_t at = 0; rc == QS_OK && at < body.len;) {
		size_t part = body.len - at;

		if (part > QS_WIRE_LEN_MAX)
			part = QS_WIRE_LEN_MAX;
		rc = send_frame(link, &call, more,
			qs_span(body.data + at, part), &ignored);
		at += part;
	}
	(void)pthread_mutex_unlock(&link->body);
	return await_call(link, &call, 0, err);
}

/* -------------------------------------------------------------- opening */

static enum qs_code
read_welcome(struct qs_link *link, unsigned wait, struct qs_err *err)
{
	uint8_t bytes[QS_WIRE_GREETING];
	uint8_t text[QS_WIRE_TEXT_MAX];
	struct qs_wire_welcome welcome;
	/* The first byte tells noise, of which there may be little. */
	enum qs_code rc = qs_wire_read(link->wire, bytes, 1, wait, NULL, err);

	memset(bytes + 1, 0, sizeof(bytes) - 1);
	if (rc == QS_OK && bytes[0] == 'Q')
		rc = qs_wire_read(link->wire, bytes + 1, sizeof(bytes) - 1,
			wait, NULL, err);
	if (rc == QS_OK)
		rc = qs_wire_welcome_decode(bytes, &welcome, err);
	if (rc != QS_OK)
		return qs_fail_while(err, "%s", link->place);
	if (welcome.version == 0) {
		rc = qs_wire_read(link->wire, text, welcome.text_len, wait,
			NULL, err);
		return rc != QS_OK ? qs_fail_while(err, "%s", link->place) :
			hub_said(link->place, welcome.code, text,
			welcome.text_len, err);
	}
	if (welcome.version != QS_WIRE_VERSION)
		return qs_fail(err, QS_EPROTO, "%s: it speaks version %u of "
			"the protocol, which was not offered", link->place,
			welcome.version);
	link->mode = welcome.mode;
	return QS_OK;
}

static enum qs_code
greet(struct qs_link *link, const struct qs_url *url, struct qs_err *err)
{
	struct qs_wire_hello hello = {
		.least = QS_WIRE_VERSION,
		.highest = QS_WIRE_VERSION,
	};
	uint8_t bytes[QS_WIRE_GREETING];
	unsigned wait = qs_wire_patience();
	enum qs_code rc;

	if (wait > GREETING_S)
		wait = GREETING_S;
	memcpy(hello.folder, url->folder, sizeof(hello.folder));
	qs_wire_hello_encode(&hello, bytes);
	rc = qs_wire_write_raw(link->wire, qs_span(bytes, sizeof(bytes)),
		wait, err);
	/*
	 * A program that ends at once breaks the pipe, but may have said why
	 * before: its greeting, or lack of one, tells more.
	 */
	if (rc == QS_ENET || rc == QS_OK)
		rc = read_welcome(link, wait, err);
	return rc;
}

static enum qs_code
init_locks(struct qs_link *link, struct qs_err *err)
{
	pthread_condattr_t attr;

	if (pthread_condattr_init(&attr) != 0)
		return qs_fail_nomem(err, "making a connection");
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_mutex_init(&link->sending, NULL);
	(void)pthread_mutex_init(&link->body, NULL);
	(void)pthread_mutex_init(&link->lock, NULL);
	(void)pthread_cond_init(&link->changed, &attr);
	(void)pthread_condattr_destroy(&attr);
	return QS_OK;
}

/* Returns what the program at the other end complained of last. */
static void
tear_down(struct qs_link *link, bool is_failed, char tail[static TAIL_MAX])
{
	if (link->reader != NULL) {
		qs_wire_wake(link->wire);
		qs_thread_join(link->reader);
	}
	qs_wire_free(link->wire);
	qs_way_close(&link->way, is_failed, tail);
	(void)pthread_cond_destroy(&link->changed);
	(void)pthread_mutex_destroy(&link->lock);
	(void)pthread_mutex_destroy(&link->body);
	(void)pthread_mutex_destroy(&link->sending);
	free(link->place);
	free(link);
}

/* What went wrong, and what the program at the other end says of it. */
static enum qs_code
add_complaint(const char *tail, struct qs_err *err)
{
	struct qs_err why = *err;

	/* A hub that refuses has said why. */
	if (why.code != QS_ENET || tail[0] == '\0')
		return err->code;
	return qs_fail(err, why.code, "%.200s (%.250s)", why.msg, tail);
}

/* Takes the way, also on failure. */
static enum qs_code
new_link(const char *place, const struct qs_way *way, struct qs_link **out,
	struct qs_err *err)
{
	struct qs_link *link = calloc(1, sizeof(*link));
	struct qs_wire *wire = NULL;
	enum qs_code rc = qs_wire_new(way->in, way->out, &wire, err);

	if (link != NULL)
		link->place = strdup(place);
	if (rc == QS_OK)
		rc = link == NULL || link->place == NULL ?
			qs_fail_nomem(err, "making a connection") :
			init_locks(link, err);
	if (rc != QS_OK) {
		struct qs_way lost = *way;
		char tail[TAIL_MAX];

		qs_wire_free(wire);
		qs_way_close(&lost, true, tail);
		if (link != NULL)
			free(link->place);
		free(link);
		return rc;
	}
	link->way = *way;
	link->wire = wire;
	link->next_request = 1;
	*out = link;
	return QS_OK;
}

enum qs_code
qs_link_start(const struct qs_url *url, const struct qs_way *way,
	struct qs_link **out, struct qs_err *err)
{
	struct qs_link *link = NULL;
	enum qs_code rc = new_link(url->place, way, &link, err);

	if (rc != QS_OK)
		return rc;
	rc = greet(link, url, err);
	if (rc == QS_OK)
		rc = qs_thread_start(&link->reader, read_answers, link,
			"qs-answers", err);
	if (rc != QS_OK) {
		char tail[TAIL_MAX];

		tear_down(link, true, tail);
		return add_complaint(tail, err);
	}
	*out = link;
	return QS_OK;
}

enum qs_code
qs_link_open(const struct qs_url *url, struct qs_link **out, struct qs_err *err)
{
	struct qs_way way;
	enum qs_code rc = qs_way_open(url, &way, err);

	return rc != QS_OK ? rc : qs_link_start(url, &way, out, err);
}

enum qs_wire_mode
qs_link_mode(const struct qs_link *link)
{
	return link->mode;
}

void
qs_link_close(struct qs_link *link)
{
	char tail[TAIL_MAX];

	if (link != NULL)
		tear_down(link, qs_link_is_dead(link), tail);
}
