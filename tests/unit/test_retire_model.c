/* SPDX-License-Identifier: ISC */
/*
 * Model checking in the small: two machines, one that works at the hub and one
 * that works at a copy which meets the hub now and then, and all the ways in
 * which their steps can follow each other, up to a bound.  What is retired is
 * found by the real qs_retirement; the rest of the world is masks of bits.
 *
 * What must hold: a snapshot that was acknowledged and that nobody has
 * forgotten has all its objects, in their place or in the trash, and once all
 * records have met nothing that it needs is retired.  The one promise asked of
 * the world is that a purge comes after the grace: by then the records of all
 * who knew nothing of the RETIRE are where the purge is.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/suite/store_help.h"

#define RECORDS 10
#define PACKS 6
#define DATA 2 /* different things to be saved */

enum { ADMIN, A, B, DEVICES };
enum { HUB, LATE, PLACES };

struct rec {
	uint8_t device, type, seq;
	int8_t prev, seen, forgets; /* records; -1: none */
	int8_t heads[DEVICES];
	uint8_t names;   /* packs in its body */
	uint8_t needs;   /* packs that the snapshot is made of */
	uint16_t view;   /* records that its writer had read */
};

struct session { /* a process on a machine */
	uint8_t stage;   /* 0: none, 1: has read the log, 2: has stored */
	int8_t seen;
	uint8_t known, disputed; /* packs: in its index; to be listed again */
	uint8_t needs, names;
	uint16_t view;
};

struct place {
	uint16_t have;
	uint8_t here, trash;
	/*
	 * For a pack in the trash: the processes that ran when it went there,
	 * and the records that were there by then or that these have written.
	 */
	uint8_t running[PACKS];
	uint16_t written[PACKS];
};

struct state {
	struct rec recs[RECORDS];
	uint8_t count, pack_count;
	uint8_t data[PACKS]; /* what is in the pack */
	struct place places[PLACES];
	struct session sessions[2]; /* A's at the hub, B's at the late copy */
};

enum flaw { NONE, NO_CONFLICT_CHECK, NO_LISTING_AGAIN, NO_GRACE };

static struct {
	enum flaw flaw;
	unsigned depth;
	uint64_t states, purges, voids, violations;
	uint64_t *seen; /* hashes of states, open addressing */
	size_t seen_cap;
} model;

static struct qs_err err;

/* ------------------------------------------------------------ the judge */

struct verdict {
	uint8_t retired, disputed;
	int8_t by[PACKS]; /* the RETIRE */
	int8_t newest;
	bool is_any_void;
};

static struct qs_name
record_name(int i)
{
	struct qs_name name;

	memset(name.b, i + 1, sizeof(name.b));
	return name;
}

static struct qs_name
pack_name(int i)
{
	struct qs_name name = {{(uint8_t)(i + 1)}};

	return name;
}

static const uint8_t signers[DEVICES] = {0x50, 0x10, 0x90};

/* The names of a mask, ascending; heads first when it is a RETIRE. */
static void
make_body(const struct state *state, const struct rec *rec, struct qs_buf *out)
{
	struct qs_mark marks[DEVICES];
	struct qs_buf names = {0};
	static const int ascending[DEVICES] = {A, ADMIN, B};
	size_t count = 0;

	for (int i = 0; i < PACKS; i++) {
		struct qs_name name = pack_name(i);

		if ((rec->names >> i & 1) != 0)
			help_ok(qs_buf_append(&names, name.b, 32, &err), &err);
	}
	for (int k = 0; rec->type == QS_RECORD_RETIRE && k < DEVICES; k++) {
		int head = rec->heads[ascending[k]];

		if (head < 0)
			continue;
		memset(marks[count].device, signers[ascending[k]],
			QS_DEVICE_LEN);
		marks[count].seq = state->recs[head].seq;
		marks[count++].name = record_name(head);
	}
	out->len = 0;
	if (rec->type == QS_RECORD_RETIRE)
		help_ok(qs_retire_encode(marks, count, qs_buf_span(&names),
			out, &err), &err);
	else if (names.len > 0)
		help_ok(qs_buf_append(out, names.data, names.len, &err), &err);
	qs_buf_clear(&names);
}

static struct qs_retirement *
walk(const struct state *state, uint16_t have)
{
	struct qs_retirement *retirement;
	struct qs_buf body = {0};
	uint8_t adm_pk[32];

	memset(adm_pk, signers[ADMIN], sizeof(adm_pk));
	help_ok(qs_retirement_new(adm_pk, &retirement, &err), &err);
	for (int device = 0; device < DEVICES; device++) {
		for (int seq = 0; seq < RECORDS; seq++) {
			for (int i = 0; i < state->count; i++) {
				const struct rec *rec = &state->recs[i];
				struct qs_record record = {
					.type = (enum qs_record_type)rec->type,
					.seq = rec->seq,
					.name = record_name(i),
				};

				if ((have >> i & 1) == 0 ||
					rec->device != device ||
					rec->seq != seq)
					continue;
				memset(record.signer, signers[device], 32);
				if (rec->prev >= 0)
					record.prev = record_name(rec->prev);
				if (rec->seen >= 0) {
					struct qs_name name =
						record_name(rec->seen);

					record.retire_seen =
						qs_retire_seen(&name);
				}
				make_body(state, rec, &body);
				record.public_body = qs_buf_span(&body);
				help_ok(qs_retirement_take(retirement, &record,
					&err), &err);
			}
		}
	}
	help_ok(qs_retirement_finish(retirement, &err), &err);
	qs_buf_clear(&body);
	return retirement;
}

static struct verdict
judge(const struct state *state, uint16_t have)
{
	struct qs_retirement *retirement = walk(state, have);
	struct verdict verdict = {.newest = -1};
	struct qs_name newest;

	memset(verdict.by, -1, sizeof(verdict.by));
	for (int i = 0; i < state->pack_count; i++) {
		struct qs_name name = pack_name(i);
		struct qs_retired_by why;

		if (!qs_retirement_has(retirement, &name, &why))
			continue;
		verdict.retired |= (uint8_t)(1u << i);
		verdict.by[i] = (int8_t)(why.record.b[0] - 1);
	}
	for (size_t i = 0; i < qs_retirement_disputed_count(retirement); i++)
		verdict.disputed |= (uint8_t)(1u <<
			(qs_retirement_disputed(retirement, i)->b[0] - 1));
	if (qs_retirement_newest(retirement, &newest))
		verdict.newest = (int8_t)(newest.b[0] - 1);
	verdict.is_any_void = qs_retirement_void_count(retirement) > 0;
	qs_retirement_free(retirement);
	if (model.flaw != NO_CONFLICT_CHECK)
		return verdict;
	/* As if every RETIRE counted: by the first that names it. */
	for (int i = state->pack_count; i-- > 0;) {
		if ((verdict.disputed >> i & 1) == 0)
			continue;
		for (int k = state->count; k-- > 0;) {
			if (state->recs[k].type == QS_RECORD_RETIRE &&
				(have >> k & 1) != 0 &&
				(state->recs[k].names >> i & 1) != 0)
				verdict.by[i] = (int8_t)k;
		}
	}
	verdict.retired |= verdict.disputed;
	verdict.disputed = 0;
	return verdict;
}

/* ------------------------------------------------------------- snapshots */

/* Those that are there and of which nobody says that they are forgotten. */
static uint16_t
kept(const struct state *state, uint16_t have)
{
	uint16_t mask = 0;

	for (int i = 0; i < state->count; i++) {
		if ((have >> i & 1) != 0 && state->recs[i].needs != 0)
			mask |= (uint16_t)(1u << i);
	}
	for (int i = 0; i < state->count; i++) {
		if ((have >> i & 1) != 0 && state->recs[i].forgets >= 0)
			mask &= (uint16_t)~(1u << state->recs[i].forgets);
	}
	return mask;
}

static int
tip(const struct state *state, uint16_t have, int device)
{
	int found = -1;

	for (int i = 0; i < state->count; i++) {
		const struct rec *rec = &state->recs[i];

		if ((have >> i & 1) != 0 && rec->device == device &&
			(found < 0 || rec->seq > state->recs[found].seq))
			found = i;
	}
	return found;
}

/* A process ends, having written a record (-1: none). */
static void
end_session(struct state *state, int who, int written)
{
	state->sessions[who] = (struct session){.stage = 0};
	for (int at = 0; at < PLACES; at++) {
		struct place *place = &state->places[at];

		for (int i = 0; i < PACKS; i++) {
			if ((place->running[i] >> who & 1) == 0)
				continue;
			place->running[i] &= (uint8_t)~(1u << who);
			if (written >= 0)
				place->written[i] |= (uint16_t)(1u << written);
		}
	}
}

/* Appended behind the newest of its device at the place. */
static struct rec *
add(struct state *state, int place, int device, int type, uint16_t view)
{
	struct rec *rec = &state->recs[state->count];
	int prev = tip(state, state->places[place].have, device);

	*rec = (struct rec){
		.device = (uint8_t)device,
		.type = (uint8_t)type,
		.seq = (uint8_t)(prev < 0 ? 0 : state->recs[prev].seq + 1),
		.prev = (int8_t)prev,
		.seen = -1,
		.forgets = -1,
		.heads = {-1, -1, -1},
		.view = view,
	};
	state->places[place].have |= (uint16_t)(1u << state->count++);
	return rec;
}

/* Is one RETIRE the other, or in front of it? */
static bool
is_in_front(const struct state *state, int retire, int known)
{
	while (known >= 0 && known != retire)
		known = state->recs[known].prev;
	return known == retire;
}

/* Packs that RETIREs name which are here, and of which a record knew nothing. */
static uint8_t
excused(const struct state *state, uint16_t have, int seen)
{
	uint8_t names = 0;

	for (int i = 0; i < state->count; i++) {
		if ((have >> i & 1) != 0 &&
			state->recs[i].type == QS_RECORD_RETIRE &&
			!is_in_front(state, i, seen))
			names |= state->recs[i].names;
	}
	return names;
}

/* What an append does first; false: it is refused. */
static bool
need_objects(const struct state *state, struct place *place, uint8_t names,
	int seen)
{
	uint8_t back = names & place->trash;
	uint8_t missing = names & (uint8_t)~(place->here | place->trash);

	/* An old record, and what it names is gone as it should be. */
	if ((missing & ~excused(state, place->have, seen)) != 0)
		return false;
	place->here |= back;
	place->trash &= (uint8_t)~back;
	return true;
}

/* ---------------------------------------------------------------- tidying */

static void
tidy(struct state *state, int at)
{
	struct place *place = &state->places[at];
	struct verdict verdict = judge(state, place->have);
	uint8_t back = place->trash & (uint8_t)~verdict.retired;
	uint8_t gone = place->here & verdict.retired;

	place->here = (uint8_t)((place->here | back) & ~gone);
	place->trash = (uint8_t)((place->trash | gone) & ~back);
	for (int i = 0; i < PACKS; i++) {
		if ((place->trash >> i & 1) == 0) {
			place->running[i] = 0;
			place->written[i] = 0;
		}
		if ((gone >> i & 1) == 0)
			continue;
		place->written[i] = (uint16_t)((1u << state->count) - 1);
		place->running[i] = (uint8_t)((state->sessions[0].stage != 0) |
			(state->sessions[1].stage != 0) << 1);
	}
	model.voids += verdict.is_any_void;
}

/*
 * Whoever knew nothing of the RETIRE is through, and so is who ran when the
 * pack went into the trash; their records have met.
 */
static bool
is_grace_over(const struct state *state, int at, int pack, int retire)
{
	const struct place *place = &state->places[at];
	uint16_t bit = (uint16_t)(1u << retire);

	if (model.flaw == NO_GRACE)
		return true;
	if (place->running[pack] != 0 || (place->written[pack] &
		~(state->places[HUB].have & state->places[LATE].have)) != 0)
		return false;
	for (int i = 0; i < PLACES; i++) {
		if ((state->places[i].have & bit) == 0 ||
			(state->sessions[i].stage != 0 &&
			(state->sessions[i].view & bit) == 0))
			return false;
	}
	for (int i = 0; i < state->count; i++) {
		if (i != retire && (state->recs[i].view & bit) == 0 &&
			(state->places[at].have >> i & 1) == 0)
			return false;
	}
	return true;
}

/* false: there is nothing to be done */
static bool
purge(struct state *state, int at)
{
	struct place *place = &state->places[at];
	struct verdict verdict = judge(state, place->have);
	uint8_t before = place->trash;

	for (int i = 0; i < state->pack_count; i++) {
		uint8_t bit = (uint8_t)(1u << i);

		if ((place->trash & verdict.retired & bit) != 0 &&
			is_grace_over(state, at, i, verdict.by[i]))
			place->trash &= (uint8_t)~bit;
	}
	model.purges += before != place->trash;
	return before != place->trash;
}

/* ------------------------------------------------------------------ sync */

/* One record from one place to the other, with what it names. */
static bool
copy_record(struct state *state, int from, int to, int i)
{
	const struct rec *rec = &state->recs[i];
	struct place *source = &state->places[from];
	struct place *target = &state->places[to];
	uint8_t have = target->here | target->trash;

	if ((source->have >> i & 1) == 0 || (target->have >> i & 1) != 0 ||
		(rec->prev >= 0 && (target->have >> rec->prev & 1) == 0))
		return false;
	if (rec->type == QS_RECORD_SNAPSHOT) {
		target->here |= rec->names & (uint8_t)~have &
			(source->here | source->trash);
		if (!need_objects(state, target, rec->names, rec->seen))
			return false;
	}
	target->have |= (uint16_t)(1u << i);
	return true;
}

/* All that is kept is whole, here and now ... */
static bool
is_whole(const struct state *state)
{
	uint16_t all = (uint16_t)((1u << state->count) - 1);
	uint16_t mask = kept(state, all);

	for (int i = 0; i < state->count; i++) {
		uint8_t objects = 0;

		for (int k = 0; k < PLACES; k++)
			objects |= state->places[k].here |
				state->places[k].trash;
		if ((mask >> i & 1) != 0 &&
			(state->recs[i].needs & ~objects) != 0)
			return false;
	}
	return true;
}

/* ... and everywhere, for ever, when all records have met. */
static bool
ends_well(const struct state *state)
{
	struct state end = *state;
	struct verdict verdict;
	uint16_t mask;
	bool is_moved;

	if (!is_whole(state))
		return false;
	do {
		is_moved = false;
		for (int i = 0; i < end.count; i++) {
			is_moved |= copy_record(&end, HUB, LATE, i);
			is_moved |= copy_record(&end, LATE, HUB, i);
		}
	} while (is_moved);
	if (end.places[HUB].have != end.places[LATE].have)
		return false;
	mask = kept(&end, end.places[HUB].have);
	verdict = judge(&end, end.places[HUB].have);
	for (int i = 0; i < end.count; i++) {
		uint8_t needs = end.recs[i].needs;

		if ((mask >> i & 1) == 0)
			continue;
		if ((needs & verdict.retired) != 0)
			return false;
		for (int k = 0; k < PLACES; k++) {
			if ((needs & ~(end.places[k].here |
				end.places[k].trash)) != 0)
				return false;
		}
	}
	return true;
}

/* ------------------------------------------------------ a machine's steps */

static void
open_log(struct state *state, int who)
{
	struct session *session = &state->sessions[who];
	const uint16_t have = state->places[who].have;
	struct verdict verdict = judge(state, have);

	*session = (struct session){
		.stage = 1,
		.seen = verdict.newest,
		.view = have,
	};
	for (int i = 0; i < state->count; i++) {
		if ((have >> i & 1) != 0 &&
			state->recs[i].type == QS_RECORD_SNAPSHOT)
			session->known |= state->recs[i].names;
	}
	/* The index has what is there, and not what is retired. */
	session->known &= (uint8_t)~verdict.retired;
	session->known &= state->places[who].here | state->places[who].trash;
	if (verdict.newest >= 0 && model.flaw != NO_LISTING_AGAIN)
		session->disputed = verdict.disputed & session->known;
}

/* Build upon a pack that the index knows, or store one. */
static bool
store(struct state *state, int who, int data)
{
	struct session *session = &state->sessions[who];

	for (int i = 0; i < state->pack_count; i++) {
		if ((session->known >> i & 1) != 0 && state->data[i] == data)
			session->needs = (uint8_t)(1u << i);
	}
	if (session->needs == 0) {
		if (state->pack_count == PACKS)
			return false;
		session->needs = (uint8_t)(1u << state->pack_count);
		session->names = session->needs;
		state->places[who].here |= session->needs;
		state->data[state->pack_count++] = (uint8_t)data;
	}
	session->names |= session->disputed;
	session->stage = 2;
	return true;
}

static bool
append_snapshot(struct state *state, int who)
{
	struct session *session = &state->sessions[who];
	struct rec *rec;

	if (!need_objects(state, &state->places[who], session->names,
		session->seen))
		return false; /* it fails, in words */
	rec = add(state, who, who == HUB ? A : B, QS_RECORD_SNAPSHOT,
		session->view);
	rec->seen = session->seen;
	rec->needs = session->needs;
	rec->names = session->names;
	end_session(state, who, state->count - 1);
	return true;
}

static void
forget(struct state *state, int who, int snapshot)
{
	struct session *session = &state->sessions[who];
	struct rec *rec = add(state, who, who == HUB ? A : B,
		QS_RECORD_SNAPSHOT, session->view);

	rec->seen = session->seen;
	rec->forgets = (int8_t)snapshot;
	end_session(state, who, state->count - 1);
}

/* All that is listed, as far as this process has read, and not needed. */
static bool
retire(struct state *state, int who)
{
	struct session *session = &state->sessions[who];
	const uint16_t view = session->view;
	uint16_t mask = kept(state, view);
	uint8_t live = 0, listed = 0;
	struct rec *rec;

	for (int i = 0; i < state->count; i++) {
		if ((view >> i & 1) != 0 &&
			state->recs[i].type == QS_RECORD_SNAPSHOT)
			listed |= state->recs[i].names;
		if ((mask >> i & 1) != 0)
			live |= state->recs[i].needs;
	}
	listed &= (uint8_t)~live;
	if (listed == 0)
		return false;
	rec = add(state, who, ADMIN, QS_RECORD_RETIRE, view);
	rec->names = listed;
	for (int k = 0; k < DEVICES; k++)
		rec->heads[k] = (int8_t)tip(state, view, k);
	end_session(state, who, state->count - 1);
	return true;
}

/* ----------------------------------------------------------- all the ways */

static bool
is_new(const struct state *state)
{
	uint64_t hash = 0;
	size_t at;

	/* From here on it matters how far we may still go. */
	qs_hash_plain((uint8_t *)&hash, sizeof(hash),
		qs_span(state, sizeof(*state)));
	hash += model.depth;
	hash |= 1;
	at = (size_t)(hash >> 8) % model.seen_cap;
	while (model.seen[at] != 0) {
		if (model.seen[at] == hash)
			return false;
		at = (at + 1) % model.seen_cap;
	}
	assert_true(model.states < model.seen_cap / 2);
	model.seen[at] = hash;
	model.states++;
	return true;
}

static void explore(const struct state *state);

static void
go(const struct state *next)
{
	model.depth--;
	explore(next);
	model.depth++;
}

static void
step_machine(const struct state *state, int who)
{
	const struct session *session = &state->sessions[who];
	const bool has_room = state->count < RECORDS;
	struct state next = *state;

	if (session->stage == 0) {
		open_log(&next, who);
		go(&next);
		return;
	}
	/* Killed: what it stored lies there. */
	end_session(&next, who, -1);
	go(&next);
	if (session->stage == 2) {
		next = *state;
		if (has_room && append_snapshot(&next, who))
			go(&next);
		return;
	}
	for (int data = 0; data < DATA; data++) {
		next = *state;
		if (store(&next, who, data))
			go(&next);
	}
	for (int i = 0; has_room && i < state->count; i++) {
		next = *state;
		if ((kept(state, session->view) >> i & 1) == 0)
			continue;
		forget(&next, who, i);
		go(&next);
	}
	next = *state;
	if (has_room && retire(&next, who))
		go(&next);
}

static void
step_places(const struct state *state)
{
	for (int at = 0; at < PLACES; at++) {
		struct state next = *state;

		tidy(&next, at);
		go(&next);
		next = *state;
		if (purge(&next, at))
			go(&next);
		for (int i = 0; i < state->count; i++) {
			next = *state;
			if (copy_record(&next, at, 1 - at, i))
				go(&next);
		}
	}
}

static void
explore(const struct state *state)
{
	if ((model.flaw != NONE && model.violations > 0) || !is_new(state))
		return;
	if (!ends_well(state)) {
		model.violations++;
		return;
	}
	if (model.depth == 0)
		return;
	step_machine(state, 0);
	step_machine(state, 1);
	step_places(state);
}

/* A snapshot of A's, of two things in two packs, that both places have. */
static struct state
beginning(void)
{
	struct state state;
	struct rec *rec;

	memset(&state, 0, sizeof(state));
	(void)add(&state, HUB, ADMIN, QS_RECORD_GENESIS, 0);
	state.data[state.pack_count++] = 0;
	rec = add(&state, HUB, A, QS_RECORD_SNAPSHOT, 1);
	rec->needs = rec->names = 1;
	state.places[HUB].here = 1;
	state.places[LATE] = state.places[HUB];
	return state;
}

/* A has forgotten it and retired its pack; B has heard nothing yet. */
static struct state
retired_at_the_hub(void)
{
	struct state state = beginning();

	open_log(&state, HUB);
	forget(&state, HUB, 1);
	open_log(&state, HUB);
	assert_true(retire(&state, HUB));
	return state;
}

static void
run(const struct state *state, enum flaw flaw, unsigned depth)
{
	memset(&model, 0, sizeof(model));
	model.flaw = flaw;
	model.depth = depth;
	model.seen_cap = 1 << 22;
	model.seen = calloc(model.seen_cap, sizeof(*model.seen));
	assert_non_null(model.seen);
	explore(state);
	free(model.seen);
	print_message("%u steps: %llu states, %llu purges, %llu with a RETIRE "
		"that does not count, %llu violations\n", depth,
		(unsigned long long)model.states,
		(unsigned long long)model.purges,
		(unsigned long long)model.voids,
		(unsigned long long)model.violations);
}

static void
nothing_needed_is_lost_from_the_beginning(void **state)
{
	struct state begin = beginning();

	(void)state;
	run(&begin, NONE, 9);
	assert_int_equal(model.violations, 0);
	assert_true(model.states > 10000);
}

static void
nothing_needed_is_lost_after_a_retirement(void **state)
{
	struct state begin = retired_at_the_hub();

	(void)state;
	run(&begin, NONE, 9);
	assert_int_equal(model.violations, 0);
	assert_true(model.purges > 0 && model.voids > 0);
}

static void
each_rule_is_needed(void **state)
{
	struct state begin = retired_at_the_hub();

	(void)state;
	run(&begin, NO_CONFLICT_CHECK, 8);
	assert_true(model.violations > 0);
	run(&begin, NO_GRACE, 8);
	assert_true(model.violations > 0);
	run(&begin, NO_LISTING_AGAIN, 9);
	assert_true(model.violations > 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_needed_is_lost_from_the_beginning),
		cmocka_unit_test(nothing_needed_is_lost_after_a_retirement),
		cmocka_unit_test(each_rule_is_needed),
	};
	struct qs_err fault;

	if (qs_crypto_init(&fault) != QS_OK)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
