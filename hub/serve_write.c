/* SPDX-License-Identifier: ISC */
/*
 * The server: what is added to the folder.
 *
 * Order: the bytes under no name; their name computed here; durable; named;
 * durable again; then the row in the catalogue; then the answer.  Killed
 * anywhere in between it leaves files that nobody was told of, or a row too
 * few, which scrub adds.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "hub/serve_internal.h"
#include "hub/xxh3.h"

#define RESERVE_MIN (UINT64_C(8) << 20) /* RETIREs of 260,000 objects */

static uint64_t
now_ms(void)
{
	return (uint64_t)(qs_now_ns() / 1000000);
}

/* ---------------------------------------------------------------- quota */

/*
 * Beyond the quota for what makes room within it: the record of a forget or a
 * retire.
 */
static uint64_t
reserve(uint64_t quota)
{
	return quota / 64 > RESERVE_MIN ? quota / 64 : RESERVE_MIN;
}

/* extra: bytes that may come in beyond it. */
static enum qs_code
check_quota(struct served *served, uint64_t more, uint64_t extra,
	struct qs_err *err)
{
	const uint64_t quota = served->options->grant.quota;
	struct qs_catalogue_counts counts;
	uint64_t used;
	enum qs_code rc;

	if (quota == 0)
		return QS_OK;
	rc = qs_catalogue_count(served->catalogue, &counts, err);
	if (rc != QS_OK)
		return rc;
	used = counts.bytes + counts.trash_bytes + served->staged_bytes;
	/* A size is at most what a disk holds: the sum is in range. */
	if (used + more > quota && used + more - quota > extra)
		return qs_fail(err, QS_EQUOTA, "the quota of %" PRIu64 " bytes "
			"is used up (%" PRIu64 " are there); forget and retire "
			"old snapshots, or have it raised on the hub", quota,
			used);
	return QS_OK;
}

/* -------------------------------------------------- bodies of many frames */

static struct served_stage *
find_stage(struct served *served, uint64_t request)
{
	for (size_t i = 0; i < QS_WIRE_STAGED_MAX; i++) {
		if (served->stages[i].request == request)
			return &served->stages[i];
	}
	return NULL;
}

static enum qs_code
check_length(struct served *served, enum qs_verb verb, uint32_t len,
	struct qs_err *err)
{
	if (verb == QS_VERB_STAGE && (len < QS_PACK_MIN || len > QS_PACK_MAX ||
		(len & (len - 1)) != 0))
		return qs_fail(err, QS_EINVAL, "%u bytes is not the size of an "
			"object", len);
	if (verb == QS_VERB_APPEND && (len < QS_RECORD_UNIT ||
		len > QS_RECORD_MAX || len % QS_RECORD_UNIT != 0))
		return qs_fail(err, QS_EINVAL, "%u bytes is not the size of a "
			"log record", len);
	if (verb == QS_VERB_STAGE && find_stage(served, 0) == NULL)
		return qs_fail(err, QS_EBUSY, "%d objects are staged already",
			QS_WIRE_STAGED_MAX);
	return check_quota(served, len, verb == QS_VERB_APPEND ?
		reserve(served->options->grant.quota) : 0, err);
}

enum qs_code
qs_served_begin(struct served *served, const struct served_request *request,
	struct qs_err *err)
{
	struct served_body *body = &served->body;
	const uint32_t untrusted_len = qs_load32(request->bytes.data);
	enum qs_code rc;

	if (body->verb != 0)
		return qs_fail(err, QS_EPROTO, "one object or record within "
			"another");
	if (untrusted_len == 0 || find_stage(served, request->number) != NULL)
		return qs_served_malformed(request, err);
	body->verb = request->verb;
	body->request = request->number;
	body->len = untrusted_len;
	body->got = 0;
	body->bytes.len = 0;
	rc = check_length(served, request->verb, untrusted_len, err);
	body->is_refused = rc != QS_OK;
	return rc;
}

/* A staged object, looked at as far as that goes without a key. */
static enum qs_code
stage(struct served *served, struct qs_err *err)
{
	struct served_body *body = &served->body;
	const struct qs_span object = qs_buf_span(&body->bytes);
	struct served_stage *free_stage = find_stage(served, 0);
	struct qs_stage *made = NULL;
	enum qs_code rc = qs_admit_object(served->store, object, err);

	if (rc == QS_OK)
		rc = served->store->ops->stage(served->store->self, object,
			&made, err);
	if (rc != QS_OK)
		return rc;
	*free_stage = (struct served_stage){
		.request = body->request,
		.stage = made,
		.size = object.len,
		.xxh3 = qs_xxh3(object),
	};
	served->staged_bytes += object.len;
	return QS_OK;
}

enum qs_code
qs_served_more(struct served *served, const struct served_request *request,
	struct qs_err *err)
{
	struct served_body *body = &served->body;
	struct served_request whole = {.number = request->number};
	struct qs_err why;
	enum qs_code rc = QS_OK;

	whole.verb = request->verb == QS_VERB_DATA ? QS_VERB_STAGE :
		QS_VERB_APPEND;
	if (body->verb != whole.verb || body->request != request->number ||
		request->bytes.len > body->len - body->got)
		return qs_served_malformed(request, err);
	qs_rate_take(served->rate, request->bytes.len);
	body->got += request->bytes.len;
	if (body->got == body->len)
		body->verb = 0;
	if (body->is_refused) /* as it has been told */
		return QS_OK;
	rc = qs_buf_append(&body->bytes, request->bytes.data,
		request->bytes.len, &why);
	if (rc == QS_OK && body->got < body->len)
		return QS_OK;
	if (rc == QS_OK)
		rc = whole.verb == QS_VERB_STAGE ? stage(served, &why) :
			qs_served_append(served, &why);
	if (rc == QS_OK)
		return qs_served_answer(served, &whole, qs_span(NULL, 0),
			false, err);
	/* What is refused is the STAGE or APPEND. */
	body->is_refused = true;
	return qs_served_refuse(served, &whole, &why, err);
}

/* ------------------------------------------------------------ committing */

static void
drop_stage(struct served *served, struct served_stage *staged)
{
	served->staged_bytes -= staged->size;
	*staged = (struct served_stage){0};
}

enum qs_code
qs_served_discard(struct served *served, const struct served_request *request,
	struct qs_err *err)
{
	const uint64_t number = qs_load64(request->bytes.data);
	struct served_stage *staged = number == 0 ? NULL :
		find_stage(served, number);

	if (staged == NULL)
		return qs_fail(err, QS_ENOTFOUND, "nothing is staged by that "
			"number");
	served->store->ops->discard(served->store->self, staged->stage);
	drop_stage(served, staged);
	return qs_served_answer(served, request, qs_span(NULL, 0), false, err);
}

struct set { /* to be committed together */
	struct served_stage *staged[QS_WIRE_STAGED_MAX];
	struct qs_stage *stages[QS_WIRE_STAGED_MAX];
	struct qs_name names[QS_WIRE_STAGED_MAX];
	struct qs_item items[QS_WIRE_STAGED_MAX];
	size_t count;
};

static enum qs_code
find_set(struct served *served, const struct served_request *request,
	struct set *set, struct qs_err *err)
{
	set->count = request->bytes.len / 40;
	for (size_t i = 0; i < set->count; i++) {
		const uint8_t *pair = request->bytes.data + 40 * i;
		const uint64_t number = qs_load64(pair);

		set->staged[i] = number == 0 ? NULL :
			find_stage(served, number);
		for (size_t j = 0; set->staged[i] != NULL && j < i; j++) {
			if (set->staged[j] == set->staged[i])
				set->staged[i] = NULL;
		}
		if (set->staged[i] == NULL)
			return qs_fail(err, QS_ENOTFOUND, "nothing is staged "
				"by the number %" PRIu64, number);
		set->stages[i] = set->staged[i]->stage;
		memcpy(set->names[i].b, pair + 8, 32);
	}
	return QS_OK;
}

/* What the client says of the names is compared with the bytes. */
static enum qs_code
check_names(struct served *served, const struct set *set, struct qs_err *err)
{
	struct qs_name names[QS_WIRE_STAGED_MAX];
	enum qs_code rc = qs_store_name(served->store, set->stages, set->count,
		names, err);

	for (size_t i = 0; rc == QS_OK && i < set->count; i++) {
		if (memcmp(names[i].b, set->names[i].b, 32) != 0)
			rc = qs_fail(err, QS_ECORRUPT, "an object's bytes do "
				"not have the name that it is given: it was "
				"damaged on the way");
	}
	return rc;
}

static enum qs_code
note_set(struct served *served, struct set *set, struct qs_err *err)
{
	for (size_t i = 0; i < set->count; i++)
		set->items[i] = (struct qs_item){
			.ref = {
				.area = QS_AREA_OBJ,
				.name = set->names[i],
				.size = set->staged[i]->size,
			},
			.arrived_ms = now_ms(),
			.xxh3 = set->staged[i]->xxh3,
			.has_xxh3 = true,
		};
	return qs_catalogue_add(served->catalogue, set->items, set->count,
		err);
}

enum qs_code
qs_served_commit(struct served *served, const struct served_request *request,
	struct qs_err *err)
{
	struct set *set;
	enum qs_code rc;

	if (request->bytes.len % 40 != 0)
		return qs_served_malformed(request, err);
	set = calloc(1, sizeof(*set));
	if (set == NULL)
		return qs_fail_nomem(err, "saving objects");
	rc = find_set(served, request, set, err);
	if (rc != QS_OK) {
		free(set);
		return rc;
	}
	rc = check_names(served, set, err);
	if (rc == QS_OK) {
		rc = served->store->ops->commit(served->store->self,
			set->stages, set->names, set->count, err);
	} else {
		for (size_t i = 0; i < set->count; i++)
			served->store->ops->discard(served->store->self,
				set->stages[i]);
	}
	if (rc == QS_OK)
		rc = note_set(served, set, err);
	for (size_t i = 0; i < set->count; i++)
		drop_stage(served, set->staged[i]);
	free(set);
	if (rc != QS_OK)
		return rc;
	return qs_served_answer(served, request, qs_span(NULL, 0), false, err);
}

enum qs_code
qs_served_settle(struct served *served, const struct served_request *request,
	struct qs_err *err)
{
	const size_t count = request->bytes.len / 32;
	struct qs_name *names;
	enum qs_code rc;

	if (request->bytes.len % 32 != 0)
		return qs_served_malformed(request, err);
	names = calloc(count, sizeof(*names));
	if (names == NULL)
		return qs_fail_nomem(err, "settling objects");
	memcpy(names, request->bytes.data, request->bytes.len);
	rc = served->store->ops->settle(served->store->self, names, count,
		err);
	free(names);
	if (rc != QS_OK)
		return rc;
	return qs_served_answer(served, request, qs_span(NULL, 0), false, err);
}

/* ------------------------------------------------------------ key slots */

enum qs_code
qs_served_put_key(struct served *served, const struct served_request *request,
	struct qs_err *err)
{
	struct qs_item item = {
		.ref = {.area = QS_AREA_KEYS, .size = QS_SLOT_LEN},
		.has_xxh3 = true,
		.xxh3 = qs_xxh3(request->bytes),
		.arrived_ms = now_ms(),
	};
	enum qs_code rc = qs_admit_slot(served->store, request->bytes, err);

	if (rc == QS_OK)
		rc = check_quota(served, QS_SLOT_LEN, 0, err);
	if (rc == QS_OK)
		rc = served->store->ops->put_key(served->store->self,
			request->bytes, &item.ref.name, err);
	if (rc == QS_OK)
		rc = qs_catalogue_add(served->catalogue, &item, 1, err);
	if (rc != QS_OK)
		return rc;
	return qs_served_answer(served, request, qs_span(item.ref.name.b, 32),
		false, err);
}

struct slots {
	const struct qs_name *name;
	size_t others;
};

static enum qs_code
count_slot(void *arg, const struct qs_ref *ref, struct qs_err *err)
{
	struct slots *slots = arg;

	(void)err;
	if (ref->foreign == NULL &&
		memcmp(ref->name.b, slots->name->b, 32) != 0)
		slots->others++;
	return QS_OK;
}

/* The operator's hold keeps slots, too: somebody may have the admin's key. */
static enum qs_code
check_hold(struct served *served, struct qs_err *err)
{
	uint64_t until = 0;
	bool found = false;
	enum qs_code rc = qs_catalogue_fact_get(served->catalogue,
		"hold_until_ms", &until, &found, err);

	if (rc == QS_OK && found && until > now_ms())
		return qs_fail(err, QS_EBUSY, "the hub's keeper holds "
			"everything for now: nothing is removed");
	return rc;
}

/* By the word of the log, not of the caller. */
static enum qs_code
check_retired(struct served *served, const struct qs_name *name,
	struct qs_err *err)
{
	struct qs_retirement *retirement = NULL;
	bool is_retired = false;
	enum qs_code rc = qs_retirement_load(served->store, &retirement, err);

	if (rc == QS_OK)
		is_retired = qs_retirement_has_slot(retirement, name, NULL);
	qs_retirement_free(retirement);
	if (rc == QS_OK && !is_retired)
		rc = qs_fail(err, QS_EKEY, "no record retires that key slot");
	return rc;
}

enum qs_code
qs_served_drop_key(struct served *served, const struct served_request *request,
	struct qs_err *err)
{
	struct qs_item item = {.ref = {
		.area = QS_AREA_KEYS,
		.size = QS_SLOT_LEN,
	}};
	struct qs_err ignored;
	struct slots slots = {&item.ref.name, 0};
	enum qs_code rc;

	memcpy(item.ref.name.b, request->bytes.data, 32);
	rc = check_hold(served, err);
	if (rc == QS_OK)
		rc = check_retired(served, &item.ref.name, err);
	if (rc == QS_OK)
		rc = served->store->ops->list(served->store->self,
			QS_AREA_KEYS, count_slot, &slots, err);
	if (rc == QS_OK && slots.others == 0)
		rc = qs_fail(err, QS_EINVAL, "it is the last key slot");
	if (rc == QS_OK)
		rc = served->store->ops->drop_key(served->store->self,
			&item.ref.name, err);
	/* There may be no row: then scrub will make one. */
	item.state = QS_ITEM_TRASH;
	item.state_ms = now_ms();
	if (rc == QS_OK && qs_catalogue_update(served->catalogue, &item,
		&ignored) != QS_OK)
		qs_log("a key slot's row: %s", ignored.msg);
	if (rc != QS_OK)
		return rc;
	return qs_served_answer(served, request, qs_span(NULL, 0), false, err);
}
