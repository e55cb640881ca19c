/* SPDX-License-Identifier: ISC */
/*
 * A hub whose answers are well-formed frames and lies all the same: listings,
 * bytes, sizes, names, arrivals; and answers without an end.
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

static const uint8_t folder_id[QS_FOLDER_ID_LEN] = {1, 2, 3};

/* Every request after OPEN has this answer. */
static struct qs_span lie;

static void
answer_with_the_lie(struct lying_hub *hub, int fd)
{
	if (!lying_hub_open(hub, fd))
		return;
	while (lying_hub_take(hub, fd)) {
		if (!lying_hub_answer(hub, fd, lie, false))
			break;
	}
}

struct place {
	struct lying_hub *hub;
	struct qs_store *store;
};

static struct place
place(lying_script script, struct qs_span answer)
{
	struct place place = {.store = NULL};
	struct qs_err err;

	lie = answer;
	place.hub = lying_hub_start(script);
	help_ok(qs_url_open(place.hub->url, folder_id, &place.store, &err),
		&err);
	return place;
}

static void
leave(struct place *place)
{
	qs_store_close(place->store);
	lying_hub_end(place->hub);
}

static void
says(struct place *place, enum qs_code rc, const struct qs_err *err,
	const char *words)
{
	help_fails(rc, err, QS_EPROTO, words);
	if (strstr(err->msg, place->hub->url) == NULL)
		fail_msg("does not name the place: %s", err->msg);
}

/* --------------------------------------------------------------- listings */

static enum qs_code
count_one(void *arg, const struct qs_ref *ref, struct qs_err *err)
{
	size_t *count = arg;

	(void)ref;
	(void)err;
	(*count)++;
	return QS_OK;
}

/* A file and what follows it in a listing. */
static struct qs_span
entry(uint8_t out[static QS_WIRE_FILE + 10 + 16], enum qs_area area,
	uint8_t shard, const char *path, size_t path_len)
{
	struct qs_ref ref = {.area = area, .name = {{shard}}};

	qs_wire_file_encode(&ref, out);
	qs_store64(out + QS_WIRE_FILE, 65536);
	qs_store16(out + QS_WIRE_FILE + 8, (uint16_t)path_len);
	memcpy(out + QS_WIRE_FILE + 10, path, path_len < 16 ? path_len : 16);
	return qs_span(out, QS_WIRE_FILE + 10 +
		(path_len < 16 ? path_len : 16));
}

static void
listing_lie(enum qs_area area, struct qs_span answer, const char *words)
{
	struct place it = place(answer_with_the_lie, answer);
	size_t count = 0;
	struct qs_err err;

	says(&it, it.store->ops->list(it.store->self, area, count_one, &count,
		&err), &err, words);
	assert_int_equal(count, 0);
	leave(&it);
}

static void
a_listing_with_what_can_not_be_is_refused(void **state)
{
	uint8_t bytes[QS_WIRE_FILE + 10 + 16];
	struct qs_span good;

	(void)state;
	listing_lie(QS_AREA_LOG, entry(bytes, QS_AREA_KEYS, 0, "", 0),
		"a listing is malformed");
	listing_lie(QS_AREA_LOG, entry(bytes, (enum qs_area)9, 0, "", 0),
		"a file's name is malformed");
	listing_lie(QS_AREA_KEYS, entry(bytes, QS_AREA_KEYS, 0, "a\0b", 3),
		"a listing is malformed");
	listing_lie(QS_AREA_KEYS, entry(bytes, QS_AREA_KEYS, 0,
		"sixteen bytes or so", 5000),
		"a listing is malformed");
	listing_lie(QS_AREA_BESIDE, entry(bytes, QS_AREA_BESIDE, 0, "", 0),
		"a listing is malformed");
	listing_lie(QS_AREA_OBJ, entry(bytes, QS_AREA_OBJ, 0x80, "", 0),
		"what does not belong into it");
	good = entry(bytes, QS_AREA_LOG, 0, "", 0);
	for (size_t len = 1; len < good.len; len++)
		listing_lie(QS_AREA_LOG, qs_span(good.data, len),
			"a listing is malformed");
}

/* ------------------------------------------------------ answers without end */

#define LISTING_MAX (UINT64_C(256) << 20) /* as client_read.c has it */

static void
list_without_end(struct lying_hub *hub, int fd)
{
	static const uint8_t zeros[QS_WIRE_LEN_MAX];

	if (!lying_hub_open(hub, fd) || !lying_hub_take(hub, fd))
		return;
	while (lying_hub_answer(hub, fd, qs_span(zeros, sizeof(zeros)), true))
		continue;
}

static void
send_empty_frames_without_end(struct lying_hub *hub, int fd)
{
	if (!lying_hub_open(hub, fd) || !lying_hub_take(hub, fd))
		return;
	while (lying_hub_answer(hub, fd, qs_span(NULL, 0), true))
		continue;
}

static void
an_answer_without_end_is_not_waited_for(void **state)
{
	struct place it = place(list_without_end, qs_span(NULL, 0));
	const struct qs_name name = {{0}};
	size_t count = 0;
	uint64_t size;
	struct qs_err err;

	(void)state;
	says(&it, it.store->ops->list(it.store->self, QS_AREA_LOG, count_one,
		&count, &err), &err, "an answer is longer than it can be");
	assert_int_equal(count, 0);
	assert_true(it.hub->sent < LISTING_MAX + (4U << 20));
	leave(&it);
	it = place(send_empty_frames_without_end, qs_span(NULL, 0));
	says(&it, it.store->ops->have(it.store->self, &name, 1, &size, &err),
		&err, "an empty frame");
	leave(&it);
	it = place(send_empty_frames_without_end, qs_span(NULL, 0));
	says(&it, it.store->ops->settle(it.store->self, &name, 1, &err), &err,
		"an empty frame");
	leave(&it);
}

/* ---------------------------------------------------------- bytes, sizes */

static void
more_bytes_than_were_asked_for_are_not_taken(void **state)
{
	static uint8_t bytes[QS_SLICE + 1];
	struct place it = place(answer_with_the_lie,
		qs_span(bytes, sizeof(bytes)));
	const struct qs_ref ref = {.area = QS_AREA_OBJ};
	uint8_t *out = malloc(QS_SLICE);
	const struct qs_name name = {{0}};
	size_t got = 0;
	uint64_t size;
	struct qs_err err;

	(void)state;
	says(&it, it.store->ops->get(it.store->self, &ref, 0, out, QS_SLICE,
		&got, &err), &err, "more bytes than were asked for");
	assert_int_equal(got, 0);
	leave(&it);
	it = place(answer_with_the_lie, qs_span(bytes, sizeof(bytes)));
	says(&it, it.store->ops->have(it.store->self, &name, 1, &size, &err),
		&err, "an answer is longer than it can be");
	leave(&it);
	it = place(answer_with_the_lie, qs_span("x", 1));
	says(&it, it.store->ops->settle(it.store->self, &name, 1, &err), &err,
		"bytes that nobody asked for");
	leave(&it);
	free(out);
}

static void
wrong_bytes_do_not_pass_for_an_object(void **state)
{
	static const struct qs_ref refs[] = {{.area = QS_AREA_KEYS},
		{.area = QS_AREA_LOG}, {.area = QS_AREA_OBJ}};
	static uint8_t bytes[QS_PACK_MIN];
	struct qs_buf out = {0};
	struct qs_err err;

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct place it = place(answer_with_the_lie, qs_span(bytes,
			i == 0 ? QS_SLOT_LEN : sizeof(bytes)));

		help_fails(qs_store_load(it.store, &refs[i], sizeof(bytes),
			&out, &err), &err, QS_ECORRUPT,
			"do not match its name");
		leave(&it);
	}
	qs_buf_clear(&out);
}

static void
sizes_are_for_the_names_that_were_asked(void **state)
{
	const struct qs_name names[3] = {{{1}}, {{2}}, {{3}}};
	uint64_t sizes[3] = {77, 77, 77};
	struct place it;
	struct qs_err err;

	(void)state;
	for (size_t len = 0; len <= 16; len++) {
		enum qs_code rc;

		if (len == 12)
			continue;
		it = place(answer_with_the_lie, qs_span("0123456789abcdef",
			len));
		rc = it.store->ops->have(it.store->self, names, 3, sizes,
			&err);
		says(&it, rc, &err, "other names than were asked for");
		assert_int_equal(sizes[0], 77);
		leave(&it);
	}
	it = place(answer_with_the_lie, qs_span("\0\0\0\0\0\0\1\0"
		"\xff\xff\xff\xff", 12));
	help_ok(it.store->ops->have(it.store->self, names, 3, sizes, &err),
		&err);
	assert_int_equal(sizes[0], 0);
	assert_int_equal(sizes[1], 65536);
	assert_true(sizes[2] == QS_SIZE_UNKNOWN);
	leave(&it);
}

/* ------------------------------------------------------- names, arrivals */

static void
a_key_slot_has_the_name_of_its_bytes(void **state)
{
	static const uint8_t slot[QS_SLOT_LEN] = {1};
	static const char *const answers[] = {"",
		"a name, but not that of the slot",
		"a name that is longer than any name"};
	struct qs_name name = {{5}};
	struct qs_err err;

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct place it = place(answer_with_the_lie,
			qs_span(answers[i], strlen(answers[i])));

		says(&it, it.store->ops->put_key(it.store->self,
			qs_span(slot, sizeof(slot)), &name, &err), &err,
			i == 2 ? "longer than it can be" : "another name");
		assert_int_equal(name.b[0], 5);
		leave(&it);
	}
}

#define ARRIVAL (8 + QS_WIRE_FILE + 8)

static enum qs_code
count_arrival(void *arg, uint64_t number, const struct qs_ref *ref,
	struct qs_err *err)
{
	(void)number;
	return count_one(arg, ref, err);
}

static void
arrivals_are_in_order_and_whole(void **state)
{
	uint8_t bytes[8 + 2 * ARRIVAL];
	const struct qs_ref ref = {.area = QS_AREA_OBJ};
	uint64_t newest = 0;
	size_t count = 0;
	struct place it;
	struct qs_err err;

	(void)state;
	memset(bytes, 0, sizeof(bytes));
	qs_store64(bytes, 9);
	qs_store64(bytes + 8, 7);
	qs_wire_file_encode(&ref, bytes + 16);
	qs_store64(bytes + 8 + ARRIVAL, 7);
	qs_wire_file_encode(&ref, bytes + 16 + ARRIVAL);
	it = place(answer_with_the_lie, qs_span(bytes, sizeof(bytes)));
	says(&it, qs_wire_since(it.store, 3, count_arrival, &count, &newest,
		&err), &err, "arrivals are not in order");
	assert_int_equal(count, 1);
	leave(&it);
	/* Whoever gives the same again and again is found out. */
	it = place(answer_with_the_lie, qs_span(bytes, 8 + ARRIVAL));
	says(&it, qs_wire_since(it.store, 3, count_arrival, &count, &newest,
		&err), &err, "arrivals are not in order");
	leave(&it);
	for (size_t len = 0; len < 8 + ARRIVAL; len += 7) {
		it = place(answer_with_the_lie, qs_span(bytes, len));
		says(&it, qs_wire_since(it.store, 0, count_arrival, &count,
			&newest, &err), &err, "arrivals are malformed");
		says(&it, qs_wire_news(it.store, 0, 0, &newest, &err), &err,
			len < 8 ? "news are malformed" : "longer than");
		leave(&it);
	}
}

static void
tell_of_folders(struct lying_hub *hub, int fd)
{
	if (lying_hub_greet(hub, fd) && lying_hub_take(hub, fd))
		(void)lying_hub_answer(hub, fd, lie, false);
	lying_hub_wait(fd);
}

static void
a_list_of_folders_is_of_whole_ones(void **state)
{
	struct lying_hub *hub = lying_hub_start(tell_of_folders);
	struct qs_folder_list list = {0};
	struct qs_err err;

	(void)state;
	lie = qs_span("a folder and a half, more", 24);
	help_fails(qs_url_folders(hub->url, &list, &err), &err, QS_EPROTO,
		"its list of folders is malformed");
	assert_non_null(strstr(err.msg, hub->url));
	lie = qs_span(NULL, 0);
	help_fails(qs_url_folders(hub->url, &list, &err), &err, QS_ENOSTORE,
		"no qstore store at");
	lying_hub_end(hub);
}

/* ---------------------------------------------------------------- writing */

/* Says that an object is staged; refuses its name in another's words. */
static void
refuse_to_commit(struct lying_hub *hub, int fd)
{
	const char text[] = "\x1b[32mall is well\x1b[0m";

	if (!lying_hub_open(hub, fd))
		return;
	while (lying_hub_take(hub, fd)) {
		struct qs_wire_head head = {
			.len = sizeof(text) - 1,
			.verb = hub->asked.verb,
			.code = QS_ECORRUPT,
			.request = hub->asked.request,
		};

		if (hub->asked.verb == QS_VERB_STAGE)
			continue;
		if (hub->asked.verb == QS_VERB_DATA) {
			hub->asked.verb = QS_VERB_STAGE;
			(void)lying_hub_answer(hub, fd, qs_span(NULL, 0),
				false);
			continue;
		}
		(void)lying_hub_frame(hub, fd, &head, qs_span(text,
			sizeof(text) - 1));
	}
}

static void
an_object_is_named_from_our_own_copy(void **state)
{
	static const uint8_t object[QS_PACK_MIN] = {9};
	struct place it = place(refuse_to_commit, qs_span(NULL, 0));
	const struct qs_store_ops *ops = it.store->ops;
	struct qs_stage *stage = NULL;
	struct qs_name name, right;
	struct qs_err err;

	(void)state;
	qs_hash_name(qs_span(object, sizeof(object)), &right);
	help_ok(ops->stage(it.store->self, qs_span(object, sizeof(object)),
		&stage, &err), &err);
	help_ok(qs_store_name(it.store, &stage, 1, &name, &err), &err);
	assert_memory_equal(name.b, right.b, 32);
	help_fails(ops->commit(it.store->self, &stage, &name, 1, &err), &err,
		QS_ECORRUPT, ": ?[32mall is well?[0m");
	assert_null(stage);
	/* A stage that is thrown away does not depend on the hub's word. */
	help_ok(ops->stage(it.store->self, qs_span(object, sizeof(object)),
		&stage, &err), &err);
	ops->discard(it.store->self, stage);
	leave(&it);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_listing_with_what_can_not_be_is_refused),
		cmocka_unit_test(an_answer_without_end_is_not_waited_for),
		cmocka_unit_test(
			more_bytes_than_were_asked_for_are_not_taken),
		cmocka_unit_test(wrong_bytes_do_not_pass_for_an_object),
		cmocka_unit_test(sizes_are_for_the_names_that_were_asked),
		cmocka_unit_test(a_key_slot_has_the_name_of_its_bytes),
		cmocka_unit_test(arrivals_are_in_order_and_whole),
		cmocka_unit_test(a_list_of_folders_is_of_whole_ones),
		cmocka_unit_test(an_object_is_named_from_our_own_copy),
	};
	const struct sigaction ignore = {.sa_handler = SIG_IGN};

	(void)sigaction(SIGPIPE, &ignore, NULL);
	qs_wire_set_patience(5);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
