/* SPDX-License-Identifier: ISC */
/*
 * Fuzz target: the server, fed what a client might send.  The first byte says
 * how: whether greeting and folder are there already, what the caller may do,
 * and whether the input is short for what no fuzzer finds alone (an object's
 * 64 KiB, names, signed records).  What the server answers must be well-formed,
 * and what it lets in must have the name that it is given.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "hub/hub.h"
#include "tests/suite/log_world.h"
#include "tests/suite/pack_help.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum how { /* bits of the first byte */
	IS_GREETED = 1,
	IS_OPEN = 2,
	IS_SHORT = 4,
	IS_NAMED = 8,    /* the hub's folder has a name */
	HAS_QUOTA = 16,
	MODE_SHIFT = 5,  /* two bits: 0 and 2 rw, 1 ro, 3 transfer */
};

#define OBJECT (64u << 10)
#define RECORDS 4
#define EXPANDED_MAX ((size_t)8 << 20)

static struct place {
	struct world *world;
	uint8_t object[OBJECT]; /* of the folder; short DATA overlay it */
	struct qs_buf records[RECORDS]; /* to be appended next */
	uint8_t slot[QS_SLOT_LEN];
	int in, out; /* kept open; the server gets copies */
} place;

/* --------------------------------------------------------------- fixture */

static void
give_up(const char *what)
{
	(void)fprintf(stderr, "fuzz_wire_client: %s\n", what);
	abort();
}

static void
make_object(const struct qs_keys *keys)
{
	struct qs_pack_builder *builder = NULL;
	struct sealed_pack pack;
	uint32_t state = 1;
	uint8_t plain[1000];
	struct qs_err err;

	help_fill(plain, sizeof(plain), &state);
	help_ok(qs_pack_builder_new(keys, &builder, &err), &err);
	pack_help_add(builder, keys, QS_KIND_DATA, 0, NULL,
		qs_span(plain, sizeof(plain)), 1);
	pack = pack_help_seal(builder, false);
	if (pack.size != OBJECT)
		give_up("an object of another size");
	memcpy(place.object, pack.object, OBJECT);
	free(pack.object);
	qs_pack_builder_free(builder);
}

/* Good ones, one that skips a number, one that names what is not there. */
static void
make_records(struct world *world)
{
	static const uint64_t seqs[RECORDS] = {4, 5, 9, 4};
	const struct written *last = &world->device[0][3];
	struct qs_name prev = last->name;

	for (size_t i = 0; i < RECORDS; i++) {
		struct qs_record draft = {
			.type = QS_RECORD_SNAPSHOT,
			.seq = seqs[i],
			.time_ms = NOON,
			.prev = i == 3 ? last->name : prev,
			.public_body = qs_span("a name that no object has, as "
				"it is", i == 3 ? 32 : 0),
		}, record;

		help_record(world->keys, &world->devices[0], &draft,
			qs_span("payload", 7), &place.records[i], &record);
		prev = record.name;
	}
}

static void
make_slot(const struct qs_keys *keys)
{
	static const uint8_t file[32] = {1};
	const struct qs_factor factor = {
		.type = QS_FACTOR_KEYFILE,
		.secret = {file, sizeof(file)},
	};
	struct qs_slot_secret *secret = qs_secret_alloc(sizeof(*secret));
	struct qs_err err;

	qs_keys_slot_secret(keys, true, secret);
	help_ok(qs_slot_create(0, qs_keys_folder_id(keys), "", &factor, 1,
		secret, place.slot, &err), &err);
	qs_secret_free(secret);
}

static void
remove_place(void)
{
	void *state = place.world;

	if (place.world != NULL)
		(void)world_end(&state);
	place.world = NULL;
}

static void
make_place(void)
{
	static bool is_first = true;
	void *state = NULL;

	(void)world_make(&state);
	place.world = state;
	if (is_first) {
		place.in = memfd_create("from-client", MFD_CLOEXEC);
		place.out = memfd_create("to-client", MFD_CLOEXEC);
		make_object(place.world->keys);
		make_slot(place.world->keys);
		(void)atexit(remove_place);
	}
	is_first = false;
	make_records(place.world); /* which go on where its log ends */
}

/* ----------------------------------------------------------------- input */

struct sent { /* objects on their way, for the names in a COMMIT */
	uint64_t request;
	struct qs_name name;
};

struct input {
	struct qs_buf bytes; /* all that the client sends */
	struct sent sent[16];
	size_t sent_count;
};

static void
put(struct input *input, const void *data, size_t len)
{
	struct qs_err err;

	if (qs_buf_append(&input->bytes, data, len, &err) != QS_OK)
		give_up("no memory");
}

static void
put_frame(struct input *input, const uint8_t *head, struct qs_span body)
{
	uint8_t full[QS_WIRE_HEAD];

	memcpy(full, head, sizeof(full));
	qs_store32(full, (uint32_t)body.len);
	put(input, full, sizeof(full));
	put(input, body.data, body.len);
}

static void
put_object(struct input *input, const uint8_t *head, struct qs_span over)
{
	uint8_t *object = malloc(OBJECT);
	struct sent *sent;

	memcpy(object, place.object, OBJECT);
	if (over.len > 1) /* the first byte says where */
		memcpy(object + (over.data[0] & 0x7f), over.data + 1,
			over.len - 1);
	put_frame(input, head, qs_span(object, OBJECT));
	if (input->sent_count < 16) {
		sent = &input->sent[input->sent_count++];
		sent->request = qs_load64(head + 8);
		qs_hash_name(qs_span(object, OBJECT), &sent->name);
	}
	free(object);
}

/* Names of zeros are those of the objects that were sent. */
static void
put_commit(struct input *input, const uint8_t *head, struct qs_span body)
{
	const size_t from = input->bytes.len + QS_WIRE_HEAD;

	put_frame(input, head, body);
	for (size_t at = 0; at + 40 <= body.len; at += 40) {
		uint8_t *pair = input->bytes.data + from + at;

		for (size_t i = 0; i < input->sent_count &&
			qs_is_zero(pair + 8, 32); i++) {
			if (input->sent[i].request == qs_load64(pair))
				memcpy(pair + 8, input->sent[i].name.b, 32);
		}
	}
}

/* What is named by zeros, or listed by 0xff, is the object sent last. */
static void
put_read(struct input *input, const uint8_t *head, struct qs_span body)
{
	const size_t from = input->bytes.len + QS_WIRE_HEAD;
	const struct qs_name *name;
	uint8_t *bytes;

	put_frame(input, head, body);
	if (input->sent_count == 0)
		return;
	name = &input->sent[input->sent_count - 1].name;
	bytes = input->bytes.data + from;
	if (head[4] == QS_VERB_LIST && body.len == 2 && bytes[1] == 0xff)
		bytes[1] = name->b[0];
	if (head[4] == QS_VERB_GET && body.len >= QS_WIRE_FILE &&
		qs_is_zero(bytes + 24, 32))
		memcpy(bytes + 24, name->b, 32);
}

static void
put_short(struct input *input, const uint8_t *head, struct qs_span body)
{
	if (head[4] == QS_VERB_DATA && body.len < 256)
		put_object(input, head, body);
	else if (head[4] == QS_VERB_MORE && body.len == 1)
		put_frame(input, head, qs_buf_span(
			&place.records[body.data[0] % RECORDS]));
	else if (head[4] == QS_VERB_PUT_KEY && body.len == 1)
		put_frame(input, head, qs_span(place.slot, QS_SLOT_LEN));
	else if (head[4] == QS_VERB_COMMIT)
		put_commit(input, head, body);
	else if (head[4] == QS_VERB_LIST || head[4] == QS_VERB_GET)
		put_read(input, head, body);
	else
		put_frame(input, head, body);
}

static void
put_rest(struct input *input, unsigned how, struct qs_reader *reader)
{
	while ((how & IS_SHORT) != 0 && reader->left >= QS_WIRE_HEAD &&
		input->bytes.len < EXPANDED_MAX &&
		qs_load32(reader->data) <= reader->left - QS_WIRE_HEAD) {
		const uint8_t *head = qs_read_bytes(reader, QS_WIRE_HEAD);
		const size_t len = qs_load32(head);

		put_short(input, head, qs_span(qs_read_bytes(reader, len),
			len));
	}
	put(input, reader->data, reader->left);
}

static void
put_beginning(struct input *input, unsigned how)
{
	const struct qs_wire_hello hello = {.least = 1, .highest = 1};
	const struct qs_wire_head open = {
		.len = QS_FOLDER_ID_LEN,
		.verb = QS_VERB_OPEN,
		.request = UINT64_MAX,
	};
	uint8_t bytes[QS_WIRE_GREETING];

	if ((how & IS_GREETED) == 0)
		return;
	qs_wire_hello_encode(&hello, bytes);
	put(input, bytes, QS_WIRE_GREETING);
	if ((how & IS_OPEN) == 0)
		return;
	qs_wire_head_encode(&open, bytes);
	put(input, bytes, QS_WIRE_HEAD);
	put(input, qs_keys_folder_id(place.world->keys), QS_FOLDER_ID_LEN);
}

/* --------------------------------------------------------------- answers */

/* Well-formed; true when something may have been added. */
static bool
check_answers(struct qs_span out)
{
	struct qs_reader reader = qs_reader(out);
	struct qs_wire_welcome welcome;
	bool is_changed = false;
	struct qs_err err;

	if (out.len == 0)
		return false;
	if (out.len < QS_WIRE_GREETING || qs_wire_welcome_decode(
		qs_read_bytes(&reader, QS_WIRE_GREETING), &welcome, &err) !=
		QS_OK)
		give_up("a malformed greeting");
	if (welcome.version == 0 && reader.left != welcome.text_len)
		give_up("a malformed refusal");
	while (welcome.version != 0 && reader.left > 0) {
		const uint8_t *bytes = qs_read_bytes(&reader, QS_WIRE_HEAD);
		struct qs_wire_head head;

		if (bytes == NULL ||
			qs_wire_head_decode(bytes, &head, &err) != QS_OK ||
			qs_read_bytes(&reader, head.len) == NULL)
			give_up("a malformed answer");
		if (head.verb == QS_VERB_DATA || head.verb == QS_VERB_MORE ||
			(head.code != QS_OK && (head.flags != 0 ||
			head.len > QS_WIRE_TEXT_MAX)))
			give_up("an answer that can't be");
		is_changed |= head.code == QS_OK &&
			(head.verb == QS_VERB_CREATE ||
			head.verb == QS_VERB_COMMIT ||
			head.verb == QS_VERB_APPEND ||
			head.verb == QS_VERB_PUT_KEY ||
			head.verb == QS_VERB_DROP_KEY);
	}
	return is_changed;
}

static enum qs_code
load_one(void *arg, const struct qs_ref *ref, struct qs_err *err)
{
	struct qs_buf bytes = {0};
	enum qs_code rc;

	(void)arg;
	if (ref->foreign != NULL)
		give_up("something foreign was let in");
	rc = qs_store_load(place.world->store, ref, QS_PACK_MAX, &bytes, err);
	qs_buf_clear(&bytes);
	return rc;
}

/* Every file that is there now has its name. */
static void
check_files(void)
{
	const struct qs_store *store = place.world->store;

	for (unsigned area = QS_AREA_KEYS; area <= QS_AREA_OBJ; area++) {
		struct qs_err err;

		if (store->ops->list(store->self, (enum qs_area)area,
			load_one, NULL, &err) != QS_OK)
			give_up(err.msg);
	}
}

/* ----------------------------------------------------------------- a run */

static void
serve(unsigned how)
{
	static const enum qs_wire_mode modes[] = {QS_MODE_RW, QS_MODE_RO,
		QS_MODE_RW, QS_MODE_TRANSFER};
	const struct qs_serve_options options = {
		.root = place.world->dir,
		.principal = "qube:fuzz",
		.folder = (how & IS_NAMED) != 0 ? "photos" : NULL,
		.grant = {
			.mode = modes[how >> MODE_SHIFT & 3],
			.quota = (how & HAS_QUOTA) != 0 ? 200000 : 0,
		},
	};
	struct qs_err err;

	(void)!qs_serve(&options, dup(place.in), dup(place.out), &err);
}

static void
set_file(int fd, struct qs_span bytes)
{
	struct qs_err err;

	if (ftruncate(fd, 0) != 0 || lseek(fd, 0, SEEK_SET) != 0 ||
		qs_fd_write(fd, bytes.data, bytes.len, &err) != QS_OK ||
		lseek(fd, 0, SEEK_SET) != 0)
		give_up("no input");
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = {.sent_count = 0};
	struct qs_reader reader = qs_reader(qs_span(data, size));
	const unsigned how = qs_read8(&reader);
	struct qs_buf out = {0};
	bool is_changed;
	off_t len;
	size_t got = 0;
	uint8_t *room = NULL;
	struct qs_err err;

	if (place.world == NULL)
		make_place();
	put_beginning(&input, how);
	put_rest(&input, how, &reader);
	set_file(place.in, qs_buf_span(&input.bytes));
	set_file(place.out, qs_span(NULL, 0));
	serve(how);
	len = lseek(place.out, 0, SEEK_END);
	if (len < 0 || qs_buf_extend(&out, (size_t)len, &room, &err) != QS_OK ||
		qs_fd_pread(place.out, room, (size_t)len, 0, &got, &err) !=
			QS_OK)
		give_up("no output");
	is_changed = check_answers(qs_span(room, got));
	if (is_changed) {
		check_files();
		remove_place();
	}
	qs_buf_clear(&out);
	qs_buf_clear(&input.bytes);
	return 0;
}
