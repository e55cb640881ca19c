/* SPDX-License-Identifier: ISC */
/*
 * Fuzz target: the client, at whose other end a hub says what the input has.
 * In lock-step: a thread takes each request and answers with the next piece of
 * the input; after the last one it hangs up, so that nobody waits.
 *
 * Input: u8 how it begins, u8 count (of 7 at most) and so many bytes: what is
 * asked of the hub; then pieces: u8 kind, u16 length and that many bytes.
 */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/suite/store_help.h"
#include "wire/client_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum begin { IS_GREETED = 1 };

enum kind { /* bits of a piece's first byte */
	IS_BODY = 1,  /* its head is made: verb and number as asked */
	GOES_ON = 2,  /* IS_BODY: more frames follow */
	IS_REFUSAL = 4, /* IS_BODY: the code is the first byte */
	IS_FIXED = 8, /* not IS_BODY: verb and number are put right */
	IS_NAME = 16, /* IS_BODY: the right name of the slot */
};

static struct place {
	struct qs_keys *keys;
	struct qs_buf record_bytes;
	struct qs_record record;
	uint8_t object[QS_PACK_MIN], slot[QS_SLOT_LEN];
	uint8_t *out; /* of a GET */
} place;

#define GET_LEN ((size_t)17 << 20)

static void
give_up(const char *what)
{
	(void)fprintf(stderr, "fuzz_wire_hub: %s\n", what);
	abort();
}

static void
make_place(void)
{
	const struct sigaction ignore = {.sa_handler = SIG_IGN};
	const struct qs_record draft = {.type = QS_RECORD_SNAPSHOT};
	struct qs_sign_key device;
	struct qs_err err;

	help_ok(qs_crypto_init(&err), &err);
	(void)sigaction(SIGPIPE, &ignore, NULL);
	place.keys = help_keys();
	help_device(&device, 0x22);
	help_record(place.keys, &device, &draft, qs_span("payload", 7),
		&place.record_bytes, &place.record);
	place.out = malloc(GET_LEN);
	qs_wire_set_patience(5);
}

/* --------------------------------------------------------------- the hub */

struct hub {
	int fd;
	struct qs_reader pieces;
	struct qs_wire_head asked; /* last */
	bool is_greeted;
	bool is_owing; /* the answer that was begun is not whole */
	bool is_lost;  /* nobody knows what is owed */
};

static bool
read_all(int fd, void *out, size_t len)
{
	return len == 0 || recv(fd, out, len, MSG_WAITALL) == (ssize_t)len;
}

/* false: it has hung up. */
static bool
take_request(struct hub *hub)
{
	static uint8_t body[QS_WIRE_LEN_MAX];
	uint8_t head[QS_WIRE_HEAD];
	struct qs_err err;

	if (!read_all(hub->fd, head, sizeof(head)))
		return false;
	if (qs_wire_head_decode(head, &hub->asked, &err) != QS_OK)
		give_up("a malformed request");
	return read_all(hub->fd, body, hub->asked.len);
}

static void
send_all(const struct hub *hub, const void *data, size_t len)
{
	(void)!send(hub->fd, data, len, MSG_NOSIGNAL);
}

static void
send_body(struct hub *hub, unsigned kind, struct qs_span body)
{
	struct qs_wire_head head = hub->asked;
	uint8_t bytes[QS_WIRE_HEAD];
	struct qs_name name;

	head.flags = (kind & GOES_ON) != 0 ? QS_WIRE_MORE_FOLLOWS : 0;
	head.code = QS_OK;
	qs_hash_name(qs_span(place.slot, QS_SLOT_LEN), &name);
	if ((kind & IS_NAME) != 0)
		body = qs_span(name.b, sizeof(name.b));
	if ((kind & IS_REFUSAL) != 0 && body.len > 0) {
		head.code = (enum qs_code)body.data[0];
		body = qs_span(body.data + 1, body.len - 1);
	}
	head.len = (uint32_t)body.len;
	qs_wire_head_encode(&head, bytes);
	send_all(hub, bytes, sizeof(bytes));
	send_all(hub, body.data, body.len);
	hub->is_owing = head.flags != 0 && head.code == QS_OK;
}

static void
send_raw(struct hub *hub, unsigned kind, struct qs_span bytes)
{
	uint8_t head[QS_WIRE_HEAD];

	if ((kind & IS_FIXED) == 0 || bytes.len < sizeof(head)) {
		hub->is_lost = true;
		send_all(hub, bytes.data, bytes.len);
		return;
	}
	memcpy(head, bytes.data, sizeof(head));
	head[4] = (uint8_t)hub->asked.verb;
	qs_store64(head + 8, hub->asked.request);
	send_all(hub, head, sizeof(head));
	send_all(hub, bytes.data + sizeof(head), bytes.len - sizeof(head));
	hub->is_lost |= qs_load32(head) != bytes.len - sizeof(head);
	hub->is_owing = (head[5] & QS_WIRE_MORE_FOLLOWS) != 0;
}

/* false: there are no more. */
static bool
send_piece(struct hub *hub)
{
	const unsigned kind = qs_read8(&hub->pieces);
	size_t len = qs_read16(&hub->pieces);
	const uint8_t *bytes;

	if (hub->pieces.failed)
		return false;
	if (len > hub->pieces.left)
		len = hub->pieces.left;
	bytes = qs_read_bytes(&hub->pieces, len);
	if ((kind & IS_BODY) != 0)
		send_body(hub, kind, qs_span(bytes, len));
	else
		send_raw(hub, kind, qs_span(bytes, len));
	return true;
}

static void
greet(struct hub *hub)
{
	const struct qs_wire_welcome welcome = {
		.version = QS_WIRE_VERSION,
		.mode = QS_MODE_RW,
	};
	uint8_t bytes[QS_WIRE_GREETING];

	if (!read_all(hub->fd, bytes, sizeof(bytes)) || !hub->is_greeted)
		return;
	qs_wire_welcome_encode(&welcome, bytes);
	send_all(hub, bytes, sizeof(bytes));
}

static void
run_hub(void *arg)
{
	struct hub *hub = arg;
	bool is_more = true;

	greet(hub);
	hub->is_lost = !hub->is_greeted;
	if (hub->is_lost)
		is_more = send_piece(hub); /* half a greeting, perhaps */
	while (is_more) {
		/* An answer that is not whole is gone on with. */
		struct pollfd fd = {.fd = hub->fd, .events = POLLIN};

		const bool is_asked = poll(&fd, 1, hub->is_lost ||
			hub->is_owing ? 1 : 1000) > 0;

		if (is_asked && !take_request(hub))
			break;
		if (is_asked && (hub->asked.verb == QS_VERB_STAGE ||
			hub->asked.verb == QS_VERB_APPEND))
			continue;
		/* DATA and MORE are answered as what they belong to. */
		if (hub->asked.verb == QS_VERB_DATA)
			hub->asked.verb = QS_VERB_STAGE;
		else if (hub->asked.verb == QS_VERB_MORE)
			hub->asked.verb = QS_VERB_APPEND;
		is_more = send_piece(hub);
	}
	(void)shutdown(hub->fd, SHUT_RDWR);
}

/* ------------------------------------------------------------ the client */

static enum qs_code
take_ref(void *arg, const struct qs_ref *ref, struct qs_err *err)
{
	const enum qs_area *area = arg;

	(void)err;
	if (ref->area != *area || (ref->foreign != NULL &&
		strlen(ref->foreign) > QS_WIRE_PATH_MAX))
		give_up("a listing with what does not belong into it");
	return QS_OK;
}

static enum qs_code
take_arrival(void *arg, uint64_t number, const struct qs_ref *ref,
	struct qs_err *err)
{
	uint64_t *last = arg;

	(void)err;
	if (number <= *last || ref->area < QS_AREA_KEYS)
		give_up("arrivals out of order");
	*last = number;
	return QS_OK;
}

static void
check_refusal(enum qs_code rc, const struct qs_err *err)
{
	if (rc == QS_OK)
		return;
	if (rc != err->code || rc == QS_EAUTH)
		give_up("a code that a hub can't give");
	for (const char *at = err->msg; *at != '\0'; at++) {
		if (*at < 0x20 || *at > 0x7e)
			give_up("a message that is not plain");
	}
}

static enum qs_code
write_object(struct qs_store *store, unsigned how, struct qs_err *err)
{
	const struct qs_span object = qs_span(place.object, QS_PACK_MIN);
	struct qs_stage *stage = NULL;
	struct qs_name name;
	enum qs_code rc = store->ops->stage(store->self, object, &stage, err);

	if (rc != QS_OK)
		return rc;
	if ((how & 16) != 0) {
		store->ops->discard(store->self, stage);
		return QS_OK;
	}
	rc = qs_store_name(store, &stage, 1, &name, err);
	if (rc != QS_OK)
		give_up("an object has no name");
	return store->ops->commit(store->self, &stage, &name, 1, err);
}

static enum qs_code
read_some(struct qs_store *store, unsigned how, struct qs_err *err)
{
	const struct qs_store_ops *ops = store->ops;
	enum qs_area area = (enum qs_area)(1 + (how >> 4 & 3));
	struct qs_ref ref = {.area = area};
	struct qs_name names[3] = {{{0}}};
	uint64_t sizes[3], last = 0, newest = 0;
	struct qs_buf bytes = {0};
	size_t got = 0;
	enum qs_code rc = QS_OK;

	switch (how & 15) {
	case 0:
		return ops->list(store->self, area, take_ref, &area, err);
	case 1:
		rc = ops->get(store->self, &ref, 0, place.out, (how & 128) != 0
			? GET_LEN : QS_SLICE, &got, err);
		if (rc == QS_OK && got > GET_LEN)
			give_up("more bytes than there is room for");
		return rc;
	case 2:
		return ops->have(store->self, names, 3, sizes, err);
	case 3:
		rc = qs_store_load(store, &ref, QS_PACK_MAX, &bytes, err);
		qs_buf_clear(&bytes);
		if (rc == QS_OK)
			give_up("bytes without their name were taken");
		return rc;
	case 4:
		return qs_wire_since(store, 0, take_arrival, &last, &newest,
			err);
	default:
		return qs_wire_news(store, 0, 1, &newest, err);
	}
}

static enum qs_code
do_one(struct qs_store *store, unsigned how, struct qs_err *err)
{
	const struct qs_store_ops *ops = store->ops;
	struct qs_name name = {{0}};

	switch (how & 15) {
	case 6:
		return write_object(store, how, err);
	case 7:
		return ops->append(store->self, &place.record, err);
	case 8:
		return ops->put_key(store->self, qs_span(place.slot,
			QS_SLOT_LEN), &name, err);
	case 9:
		return ops->drop_key(store->self, &name, err);
	case 10:
		return ops->settle(store->self, &name, 1, err);
	default:
		return read_some(store, how, err);
	}
}

static void
use_link(struct qs_link *link, struct qs_url *url, struct qs_span what)
{
	const uint8_t *folder_id = qs_keys_folder_id(place.keys);
	struct qs_folder_list list = {0};
	struct qs_store *store = NULL;
	struct qs_err err;
	enum qs_code rc = qs_client_folders(link, url->place, &list, &err);

	check_refusal(rc, &err);
	qs_folder_list_clear(&list);
	rc = qs_client_new(url, &link, folder_id, &store, &err);
	if (rc != QS_OK)
		give_up("no memory");
	for (size_t i = 0; i < what.len; i++)
		check_refusal(do_one(store, what.data[i], &err), &err);
	qs_store_close(store);
}

static void
run_client(int fd, struct qs_span what)
{
	const struct qs_way way = {0, fd, fd, NULL};
	struct qs_url url;
	struct qs_link *link = NULL;
	struct qs_err err;

	/* There is no way to try it again. */
	if (qs_url_parse("unix:/nowhere/s#photos", &url, &err) != QS_OK)
		give_up("no URL");
	check_refusal(qs_link_start(&url, &way, &link, &err), &err);
	if (link != NULL)
		use_link(link, &url, what);
	qs_url_clear(&url);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct qs_reader reader = qs_reader(qs_span(data, size));
	const unsigned begin = qs_read8(&reader);
	const size_t count = qs_read8(&reader) & 7;
	const uint8_t *what = qs_read_bytes(&reader, count);
	struct hub hub = {
		.pieces = reader,
		.is_greeted = (begin & IS_GREETED) != 0,
	};
	struct qs_thread *thread = NULL;
	struct qs_err err;
	int ends[2];

	if (reader.failed)
		return 0;
	if (place.keys == NULL)
		make_place();
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
		give_up("no socket");
	hub.fd = ends[1];
	help_ok(qs_thread_start(&thread, run_hub, &hub, "hub", &err), &err);
	run_client(ends[0], qs_span(what, count));
	qs_thread_join(thread);
	(void)close(ends[1]);
	return 0;
}
