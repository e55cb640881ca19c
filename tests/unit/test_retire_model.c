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
#include "retire_world.h"

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
