/* SPDX-License-Identifier: ISC */
/*
 * Unit tests of store/: what logs made by hand say is retired.  A record's NAME
 * is made up: qs_retirement does not look at bytes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/suite/store_help.h"

#define ADMIN 0x50 /* amid the devices: the order is not that of the keys */
#define MAX 24

struct log {
	struct {
		struct qs_record record;
		struct qs_buf body;
	} items[MAX];
	size_t count;
	struct qs_retirement *retirement;
};

static struct qs_name
object(uint8_t n)
{
	struct qs_name name = {{n}};

	return name;
}

/*
 * Append a record that follows the record prev (an index; -1: the first), and
 * says that it knows the RETIRE seen (an index; -1: none).  Its NAME begins
 * with its index + 1.
 */
static int
add(struct log *log, uint8_t device, enum qs_record_type type, int prev,
	int seen)
{
	struct qs_record *record = &log->items[log->count].record;

	assert_true(log->count < MAX);
	memset(record, 0, sizeof(*record));
	record->type = type;
	memset(record->signer, device, 32);
	if (prev >= 0) {
		record->seq = log->items[prev].record.seq + 1;
		record->prev = log->items[prev].record.name;
	}
	memset(record->name.b, (int)log->count + 1, 32);
	if (seen >= 0)
		record->retire_seen = qs_retire_seen(
			&log->items[seen].record.name);
	return (int)log->count++;
}

static int
genesis(struct log *log)
{
	return add(log, ADMIN, QS_RECORD_GENESIS, -1, -1);
}

/* A SNAPSHOT that lists one object; 0: none. */
static int
snapshot(struct log *log, uint8_t device, int prev, int seen, uint8_t lists)
{
	int at = add(log, device, QS_RECORD_SNAPSHOT, prev, seen);
	struct qs_name name = object(lists);
	struct qs_err err;

	if (lists != 0)
		help_ok(qs_buf_append(&log->items[at].body, name.b, 32, &err),
			&err);
	return at;
}

/* A RETIRE of one object; heads: records, by device ascending, until -1. */
static int
retire(struct log *log, int prev, uint8_t names, const int *heads)
{
	int at = add(log, ADMIN, QS_RECORD_RETIRE, prev, -1);
	struct qs_name name = object(names);
	struct qs_mark marks[8] = {{.seq = 0}};
	size_t count = 0;
	struct qs_err err;

	for (; heads[count] >= 0; count++) {
		const struct qs_record *head = &log->items[heads[count]].record;

		memcpy(marks[count].device, head->signer, QS_DEVICE_LEN);
		marks[count].seq = head->seq;
		marks[count].name = head->name;
	}
	help_ok(qs_retire_encode(marks, count, qs_span(name.b, 32),
		&log->items[at].body, &err), &err);
	return at;
}

#define HEADS(...) (const int[]){__VA_ARGS__, -1}

static int
by_walk(const void *a, const void *b)
{
	const struct qs_record *left = *(const struct qs_record *const *)a;
	const struct qs_record *right = *(const struct qs_record *const *)b;
	uint8_t one = left->signer[0] == ADMIN ? 0 : left->signer[0];
	uint8_t other = right->signer[0] == ADMIN ? 0 : right->signer[0];

	if (one != other)
		return one < other ? -1 : 1;
	if (left->seq != right->seq)
		return left->seq < right->seq ? -1 : 1;
	return memcmp(left->name.b, right->name.b, 32);
}

/* The log without one record (-1: whole), as a walk gives it. */
static void
judge(struct log *log, int without)
{
	const struct qs_record *order[MAX];
	uint8_t adm_pk[32];
	size_t count = 0;
	struct qs_err err;

	for (size_t i = 0; i < log->count; i++) {
		log->items[i].record.public_body =
			qs_buf_span(&log->items[i].body);
		if ((int)i != without)
			order[count++] = &log->items[i].record;
	}
	qsort(order, count, sizeof(*order), by_walk);
	memset(adm_pk, ADMIN, sizeof(adm_pk));
	qs_retirement_free(log->retirement);
	help_ok(qs_retirement_new(adm_pk, &log->retirement, &err), &err);
	for (size_t i = 0; i < count; i++)
		help_ok(qs_retirement_take(log->retirement, order[i], &err),
			&err);
	help_ok(qs_retirement_finish(log->retirement, &err), &err);
}

static bool
is_retired_without(struct log *log, uint8_t n, int without)
{
	struct qs_name name = object(n);
	struct qs_retired_by why;
	bool is_any = false, has;

	judge(log, without);
	has = qs_retirement_has(log->retirement, &name, &why);
	for (size_t i = 0; i < qs_retirement_count(log->retirement); i++)
		is_any |= memcmp(qs_retirement_name(log->retirement, i)->b,
			name.b, 32) == 0;
	assert_int_equal(has, is_any);
	return has;
}

static bool
is_retired(struct log *log, uint8_t n)
{
	return is_retired_without(log, n, -1);
}

static bool
is_disputed(struct log *log, uint8_t n)
{
	struct qs_name name = object(n);
	bool is_any = false;

	judge(log, -1);
	for (size_t i = 0; i < qs_retirement_disputed_count(log->retirement);
		i++)
		is_any |= memcmp(qs_retirement_disputed(log->retirement, i)->b,
			name.b, 32) == 0;
	return is_any;
}

static int
log_make(void **state)
{
	*state = calloc(1, sizeof(struct log));
	return 0;
}

static int
log_end(void **state)
{
	struct log *log = *state;

	for (size_t i = 0; i < log->count; i++)
		qs_buf_clear(&log->items[i].body);
	qs_retirement_free(log->retirement);
	free(log);
	return 0;
}

/* ------------------------------------------------------------- the rules */

static void
what_nobody_disputes_is_retired(void **state)
{
	struct log *log = *state;
	int g = genesis(log), a = snapshot(log, 1, -1, -1, 7), r;
	struct qs_name name = object(7), other = object(8), newest;
	struct qs_retired_by why;

	r = retire(log, g, 7, HEADS(a, g));
	assert_true(is_retired(log, 7));
	assert_false(is_retired(log, 8));
	assert_true(qs_retirement_has(log->retirement, &name, &why));
	assert_int_equal(why.seq, 1);
	assert_memory_equal(why.record.b, log->items[r].record.name.b, 32);
	assert_false(qs_retirement_has(log->retirement, &other, NULL));
	assert_int_equal(qs_retirement_void_count(log->retirement), 0);
	assert_true(qs_retirement_newest(log->retirement, &newest));
	assert_memory_equal(newest.b, log->items[r].record.name.b, 32);
	assert_false(is_disputed(log, 7));
}

static void
snapshot_that_knew_it_leaves_it_retired(void **state)
{
	struct log *log = *state;
	int g = genesis(log), a = snapshot(log, 1, -1, -1, 7), r;

	r = retire(log, g, 7, HEADS(a, g));
	(void)snapshot(log, 1, a, r, 9);
	(void)snapshot(log, 2, -1, r, 10);
	assert_true(is_retired(log, 7));
}

static void
snapshot_that_neither_knew_nor_was_known_keeps_it(void **state)
{
	struct log *log = *state;
	int g = genesis(log), a = snapshot(log, 1, -1, -1, 7), b, r;

	r = retire(log, g, 7, HEADS(a, g));
	b = snapshot(log, 2, -1, -1, 0);
	assert_false(is_retired(log, 7));
	assert_int_equal(qs_retirement_void_count(log->retirement), 1);
	assert_true(is_disputed(log, 7));
	/* The same where it has not come yet: there it is retired. */
	assert_true(is_retired_without(log, 7, b));
	/* A later one that knows does not help; a later RETIRE does. */
	b = snapshot(log, 2, b, r, 0);
	assert_false(is_retired(log, 7));
	(void)retire(log, r, 7, HEADS(a, b, r));
	assert_true(is_retired(log, 7));
	assert_int_equal(qs_retirement_void_count(log->retirement), 1);
}

static void
snapshot_late_on_a_known_device_keeps_it(void **state)
{
	struct log *log = *state;
	int g = genesis(log), a = snapshot(log, 1, -1, -1, 7), r, late;

	r = retire(log, g, 7, HEADS(a, g));
	late = snapshot(log, 1, a, -1, 0);
	(void)snapshot(log, 1, late, r, 0);
	assert_false(is_retired(log, 7));
	/* It is missing: it could be one that knew nothing. */
	assert_false(is_retired_without(log, 7, late));
}

static void
what_is_listed_knowingly_is_in_use_again(void **state)
{
	struct log *log = *state;
	int g = genesis(log), a = snapshot(log, 1, -1, -1, 7), r, b;

	r = retire(log, g, 7, HEADS(a, g));
	b = snapshot(log, 2, -1, r, 7);
	assert_false(is_retired(log, 7));
	assert_false(is_disputed(log, 7));
	assert_int_equal(qs_retirement_void_count(log->retirement), 0);
	r = retire(log, r, 7, HEADS(a, b, r));
	assert_true(is_retired(log, 7));
	/* Who knows the second knows the first. */
	(void)snapshot(log, 2, b, r, 7);
	assert_false(is_retired(log, 7));
}

static void
what_knows_only_an_older_one_disputes_the_newer(void **state)
{
	struct log *log = *state;
	int g = genesis(log), a = snapshot(log, 1, -1, -1, 7), r;

	r = retire(log, g, 7, HEADS(a, g));
	(void)retire(log, r, 8, HEADS(a, r));
	(void)snapshot(log, 1, a, r, 0);
	assert_true(is_retired(log, 7));
	assert_false(is_retired(log, 8));
}

static void
unknown_or_doubtful_retire_seen_knows_nothing(void **state)
{
	struct log *log = *state;
	int g = genesis(log), a = snapshot(log, 1, -1, -1, 7), r, b;

	r = retire(log, g, 7, HEADS(a, g));
	b = snapshot(log, 2, -1, r, 0);
	assert_true(is_retired(log, 7));
	log->items[b].record.retire_seen = 0x12345678;
	assert_false(is_retired(log, 7));
	log->items[b].record.retire_seen =
		qs_retire_seen(&log->items[r].record.name);
	assert_true(is_retired(log, 7));
	/* Two RETIREs whose NAMEs begin alike. */
	a = retire(log, r, 8, HEADS(a, b, r));
	memset(log->items[a].record.name.b, r + 1, 8);
	assert_false(is_retired(log, 7));
}

static void
missing_head_keeps_it(void **state)
{
	struct log *log = *state;
	int g = genesis(log), a = snapshot(log, 1, -1, -1, 7), b;

	b = snapshot(log, 2, -1, -1, 0);
	(void)retire(log, g, 7, HEADS(a, b, g));
	assert_true(is_retired(log, 7));
	assert_false(is_retired_without(log, 7, a));
	assert_false(is_retired_without(log, 7, b));
	/* Another record in its place. */
	memset(log->items[a].record.name.b, 99, 32);
	assert_false(is_retired(log, 7));
}

static void
device_without_a_head_has_to_know(void **state)
{
	struct log *log = *state;
	int g = genesis(log), a = snapshot(log, 1, -1, -1, 7), r, b;

	r = retire(log, g, 7, HEADS(a));
	assert_true(is_retired(log, 7)); /* nothing in it is a SNAPSHOT */
	b = snapshot(log, 9, -1, r, 0);
	assert_true(is_retired(log, 7));
	(void)snapshot(log, 9, b, -1, 0);
	assert_false(is_retired(log, 7));
}

static void
gap_in_front_of_the_head_was_the_authors_to_see(void **state)
{
	struct log *log = *state;
	int g = genesis(log), a[3];

	a[0] = snapshot(log, 1, -1, -1, 7);
	a[1] = snapshot(log, 1, a[0], -1, 0);
	a[2] = snapshot(log, 1, a[1], -1, 0);
	(void)retire(log, g, 7, HEADS(a[2], g));
	assert_true(is_retired_without(log, 7, a[0]));
	assert_true(is_retired_without(log, 7, a[1]));
	assert_false(is_retired_without(log, 7, a[2]));
}

/* ---------------------------------------------------------------- forks */

static void
forked_device_keeps_it(void **state)
{
	struct log *log = *state;
	int g = genesis(log), a = snapshot(log, 1, -1, -1, 7), b, twin, r;

	b = snapshot(log, 1, a, -1, 0);
	r = retire(log, g, 7, HEADS(b, g));
	assert_true(is_retired(log, 7));
	twin = snapshot(log, 1, a, -1, 0);
	assert_false(is_retired(log, 7));
	/* Also where its head is not the twin, and the twin knows. */
	log->items[twin].record.retire_seen =
		qs_retire_seen(&log->items[r].record.name);
	assert_false(is_retired(log, 7));
	/* The branch that the head is on is not all here. */
	log->items[twin].record.retire_seen = 0;
	a = snapshot(log, 1, b, -1, 0);
	(void)retire(log, r, 8, HEADS(a, r));
	assert_false(is_retired_without(log, 8, b));
}

static void
fork_behind_the_head_has_to_know(void **state)
{
	struct log *log = *state;
	int g = genesis(log), a = snapshot(log, 1, -1, -1, 7), r, twin;

	r = retire(log, g, 7, HEADS(a, g));
	(void)snapshot(log, 1, a, r, 0);
	twin = snapshot(log, 1, a, r, 0);
	assert_true(is_retired(log, 7));
	log->items[twin].record.retire_seen = 0;
	assert_false(is_retired(log, 7));
}

/*
 * Two machines retired at the same time on two copies: two RETIREs of one
 * number.  Each counts until a snapshot says that it knew only the other.
 */
static void
two_retires_of_one_number_know_nothing_of_each_other(void **state)
{
	struct log *log = *state;
	int g = genesis(log), a = snapshot(log, 1, -1, -1, 7), r[2], next;
	struct qs_name newest;

	r[0] = retire(log, g, 7, HEADS(a, g));
	r[1] = retire(log, g, 8, HEADS(a, g));
	assert_true(is_retired(log, 7) && is_retired(log, 8));
	/* The next of the admin's will follow the lesser NAME. */
	assert_true(qs_retirement_newest(log->retirement, &newest));
	assert_memory_equal(newest.b, log->items[r[0]].record.name.b, 32);
	(void)snapshot(log, 2, -1, r[1], 0);
	assert_false(is_retired(log, 7));
	assert_true(is_retired(log, 8));
	/* Behind one of them: it knows that one, and not the twin. */
	next = retire(log, r[1], 9, HEADS(a, r[1]));
	(void)snapshot(log, 3, -1, next, 0);
	assert_true(is_retired(log, 8) && !is_retired(log, 7));
	assert_false(is_retired(log, 9)); /* device 2 knew only the first */
	assert_true(qs_retirement_newest(log->retirement, &newest));
	assert_memory_equal(newest.b, log->items[next].record.name.b, 32);
}

static void
snapshots_of_the_admin_itself_are_seen_by_branch(void **state)
{
	struct log *log = *state;
	int g = genesis(log), s = snapshot(log, ADMIN, g, -1, 7), r, twin;

	r = retire(log, s, 7, HEADS(s));
	assert_true(is_retired(log, 7));
	(void)snapshot(log, ADMIN, r, r, 0);
	assert_true(is_retired(log, 7));
	twin = add(log, ADMIN, QS_RECORD_CERT, g, -1);
	assert_true(is_retired(log, 7));
	(void)snapshot(log, ADMIN, twin, -1, 0);
	assert_false(is_retired(log, 7)); /* on the other branch */
}

static void
admins_snapshot_behind_the_head_has_to_know(void **state)
{
	struct log *log = *state;
	int g = genesis(log), a = snapshot(log, 1, -1, -1, 7), s, r;

	s = snapshot(log, ADMIN, g, -1, 0);
	r = retire(log, s, 7, HEADS(a, g));
	assert_false(is_retired(log, 7));
	r = retire(log, r, 7, HEADS(a, s));
	assert_true(is_retired(log, 7));
	(void)snapshot(log, ADMIN, r, r, 7);
	assert_false(is_retired(log, 7));
}

static void
gap_in_the_admins_chain_keeps_all(void **state)
{
	struct log *log = *state;
	int g = genesis(log), a = snapshot(log, 1, -1, -1, 7), c, r;
	struct qs_name newest;

	c = add(log, ADMIN, QS_RECORD_CERT, g, -1);
	r = retire(log, c, 7, HEADS(a, c));
	assert_true(is_retired(log, 7));
	assert_false(is_retired_without(log, 7, g));
	assert_false(is_retired_without(log, 7, c));
	assert_false(qs_retirement_newest(log->retirement, &newest));
	c = add(log, ADMIN, QS_RECORD_CERT, r, -1);
	(void)add(log, ADMIN, QS_RECORD_CERT, c, -1);
	assert_false(is_retired_without(log, 7, c));
	assert_false(qs_retirement_newest(log->retirement, &newest));
}

/* ---------------------------------------------------------------- slots */

static void
slots_never_come_back(void **state)
{
	struct log *log = *state;
	int g = genesis(log), r = retire(log, g, 7, HEADS(g));
	struct qs_name slot = object(7), other = object(8);
	struct qs_retired_by why;

	(void)snapshot(log, 1, -1, -1, 0);
	(void)snapshot(log, 2, -1, r, 7);
	judge(log, -1);
	assert_false(qs_retirement_has(log->retirement, &slot, NULL));
	assert_true(qs_retirement_has_slot(log->retirement, &slot, &why));
	assert_int_equal(why.seq, 1);
	assert_false(qs_retirement_has_slot(log->retirement, &other, NULL));
}

static void
empty_log_retires_nothing(void **state)
{
	struct log *log = *state;
	struct qs_name newest;

	assert_false(is_retired(log, 7));
	assert_false(qs_retirement_newest(log->retirement, &newest));
	assert_int_equal(qs_retirement_count(log->retirement), 0);
	(void)snapshot(log, 1, -1, -1, 7);
	assert_false(is_retired(log, 7));
}

/* --------------------------------------------------------------- bodies */

static void
refuse_retire(const struct qs_buf *body, size_t len, const char *words)
{
	struct qs_retire_body back;
	struct qs_err err;

	help_fails(qs_retire_decode(qs_span(body->data, len), &back, &err),
		&err, QS_ECORRUPT, words);
}

static void
retire_bodies_are_checked(void **state)
{
	struct qs_mark heads[3] = {{.device = {1}, .seq = 5},
		{.device = {2}, .seq = 6}, {.device = {3}, .seq = 7}};
	static const uint8_t names[64] = {[32] = 1};
	struct qs_retire_body back;
	struct qs_buf body = {0};
	struct qs_err err;

	(void)state;
	heads[1].name.b[31] = 9;
	help_ok(qs_retire_encode(heads, 3, qs_span(names, 64), &body, &err),
		&err);
	assert_int_equal(body.len, 8 + 3 * 48 + 64);
	help_ok(qs_retire_decode(qs_buf_span(&body), &back, &err), &err);
	assert_int_equal(back.heads.len, 3 * 48);
	assert_int_equal(qs_load64(back.heads.data + 48 + 8), 6);
	assert_int_equal(back.heads.data[48 + 16 + 31], 9);
	assert_int_equal(back.names.len, 64);
	assert_memory_equal(back.names.data, names, 64);
	for (size_t len = 0; len < body.len; len++) {
		if (len != 8 + 3 * 48 && len != 8 + 3 * 48 + 32)
			refuse_retire(&body, len, "cut short");
	}
	qs_store32(body.data, UINT32_MAX);
	refuse_retire(&body, body.len, "heads is cut short");
	qs_store32(body.data, 3);
	body.data[4] = 1;
	refuse_retire(&body, body.len, "reserved");
	body.data[4] = 0;
	body.data[8] = 2; /* the same device twice */
	refuse_retire(&body, body.len, "heads are not in order");
	body.data[8] = 1;
	body.data[8 + 3 * 48 + 32] = 0; /* the same name twice */
	refuse_retire(&body, body.len, "names are not in order");
	body.len = 0;
	help_ok(qs_retire_encode(NULL, 0, qs_span(NULL, 0), &body, &err),
		&err);
	help_ok(qs_retire_decode(qs_buf_span(&body), &back, &err), &err);
	assert_int_equal(back.heads.len + back.names.len, 0);
	qs_buf_clear(&body);
}

#define LOG_TEST(f) cmocka_unit_test_setup_teardown(f, log_make, log_end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		LOG_TEST(what_nobody_disputes_is_retired),
		LOG_TEST(snapshot_that_knew_it_leaves_it_retired),
		LOG_TEST(snapshot_that_neither_knew_nor_was_known_keeps_it),
		LOG_TEST(snapshot_late_on_a_known_device_keeps_it),
		LOG_TEST(what_is_listed_knowingly_is_in_use_again),
		LOG_TEST(what_knows_only_an_older_one_disputes_the_newer),
		LOG_TEST(unknown_or_doubtful_retire_seen_knows_nothing),
		LOG_TEST(missing_head_keeps_it),
		LOG_TEST(device_without_a_head_has_to_know),
		LOG_TEST(gap_in_front_of_the_head_was_the_authors_to_see),
		LOG_TEST(forked_device_keeps_it),
		LOG_TEST(fork_behind_the_head_has_to_know),
		LOG_TEST(two_retires_of_one_number_know_nothing_of_each_other),
		LOG_TEST(snapshots_of_the_admin_itself_are_seen_by_branch),
		LOG_TEST(admins_snapshot_behind_the_head_has_to_know),
		LOG_TEST(gap_in_the_admins_chain_keeps_all),
		LOG_TEST(slots_never_come_back),
		LOG_TEST(empty_log_retires_nothing),
		cmocka_unit_test(retire_bodies_are_checked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
