/* SPDX-License-Identifier: ISC */
/* Objects, records and days, for the tests of tidying up. */
#ifndef QS_TIDY_FIXTURE_H
#define QS_TIDY_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "hub/hub.h"
#include "tests/suite/log_world.h"

static struct qs_err err;

/* An object filled with n. */
static inline struct qs_name
put(struct world *world, uint8_t n)
{
	struct qs_store *store = world->store;
	struct qs_name name;
	struct qs_stage *stage;
	uint8_t bytes[4096];

	memset(bytes, n, sizeof(bytes));
	qs_hash_name(qs_span(bytes, sizeof(bytes)), &name);
	help_ok(store->ops->stage(store->self, qs_span(bytes, sizeof(bytes)),
		&stage, &err), &err);
	help_ok(store->ops->commit(store->self, &stage, &name, 1, &err), &err);
	return name;
}

static inline int
by_name(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct qs_name));
}

static inline void
append(struct world *world, const struct qs_sign_key *signer,
	struct written *all, struct qs_record *draft)
{
	struct qs_buf bytes = {0};
	struct qs_record record;
	uint64_t seq = draft->seq;

	draft->time_ms = NOON;
	if (seq > 0)
		draft->prev = all[seq - 1].name;
	help_record(world->keys, signer, draft, qs_span(NULL, 0), &bytes,
		&record);
	help_ok(world->store->ops->append(world->store->self, &record, &err),
		&err);
	all[seq].name = record.name;
	all[seq].seq = seq;
	qs_buf_clear(&bytes);
}

/* A SNAPSHOT that knows the RETIRE of this number (0: none). */
static inline void
snapshot(struct world *world, unsigned device, uint64_t seq, uint64_t knows,
	struct qs_name *names, size_t count)
{
	struct qs_record draft = {
		.type = QS_RECORD_SNAPSHOT,
		.seq = seq,
	};

	if (knows != 0)
		draft.retire_seen = qs_retire_seen(&world->admin[knows].name);
	if (count > 1)
		qsort(names, count, sizeof(*names), by_name);
	draft.public_body = qs_span(names, count * 32);
	append(world, &world->devices[device], world->device[device], &draft);
}

/* Its author has seen device 0 up to this number. */
static inline void
retire(struct world *world, uint64_t seq, uint64_t seen,
	struct qs_name *names, size_t count)
{
	struct qs_mark head = world_mark(world, 0, &world->device[0][seen]);
	struct qs_record draft = {.type = QS_RECORD_RETIRE, .seq = seq};
	struct qs_buf body = {0};

	qsort(names, count, sizeof(*names), by_name);
	help_ok(qs_retire_encode(&head, 1, qs_span(names, count * 32), &body,
		&err), &err);
	draft.public_body = qs_buf_span(&body);
	append(world, qs_keys_admin(world->keys), world->admin, &draft);
	qs_buf_clear(&body);
}

static inline struct qs_tidy_options
after(unsigned days)
{
	struct qs_tidy_options options;

	qs_tidy_defaults(&options);
	options.share = 100;
	/* A minute more: the clock of files is a coarse one. */
	options.now_ns = qs_now_ns() + days * INT64_C(86400000000000) +
		INT64_C(60000000000);
	return options;
}

static inline struct qs_tidy_result
tidy_as(struct world *world, const struct qs_tidy_options *options)
{
	struct qs_tidy_result result;

	help_ok(qs_tidy(world->dir, world->keys->folder_id, options, &result,
		&err), &err);
	return result;
}

static inline struct qs_tidy_result
tidy(struct world *world, unsigned days)
{
	struct qs_tidy_options options = after(days);

	return tidy_as(world, &options);
}

static inline bool
is_readable(struct world *world, const struct qs_name *name)
{
	uint64_t size;

	help_ok(world->store->ops->have(world->store->self, name, 1, &size,
		&err), &err);
	return size != 0;
}

static inline enum qs_code
count_one(void *arg, const struct qs_ref *ref, struct qs_err *unused)
{
	(void)unused;
	*(unsigned *)arg += ref->foreign == NULL;
	return QS_OK;
}

static inline unsigned
listed(struct world *world, enum qs_area area)
{
	unsigned count = 0;

	help_ok(world->store->ops->list(world->store->self, area, count_one,
		&count, &err), &err);
	return count;
}

#endif
