/* SPDX-License-Identifier: ISC */
/* Records, packs and places as bits, for test_retire_model.c. */
#ifndef QS_RETIRE_WORLD_H
#define QS_RETIRE_WORLD_H

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

static inline struct qs_name
record_name(int i)
{
	struct qs_name name;

	memset(name.b, i + 1, sizeof(name.b));
	return name;
}

static inline struct qs_name
pack_name(int i)
{
	struct qs_name name = {{(uint8_t)(i + 1)}};

	return name;
}

static const uint8_t signers[DEVICES] = {0x50, 0x10, 0x90};

/* The names of a mask, ascending; heads first when it is a RETIRE. */
static inline void
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

static inline struct qs_retirement *
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

static inline struct verdict
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
static inline uint16_t
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

static inline int
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
static inline void
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
static inline struct rec *
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
static inline bool
is_in_front(const struct state *state, int retire, int known)
{
	while (known >= 0 && known != retire)
		known = state->recs[known].prev;
	return known == retire;
}

/* Packs that RETIREs here name of which a record knew nothing. */
static inline uint8_t
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
static inline bool
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

static inline void
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
static inline bool
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
static inline bool
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

#endif
