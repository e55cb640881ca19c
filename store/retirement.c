/* SPDX-License-Identifier: ISC */
/*
 * What is retired: the names that RETIRE records have, each with what became of
 * it.  docs/FORMAT.md, "What is retired".
 */
#include <stdlib.h>

#include "store/retirement_internal.h"

struct ret_name { /* one that a RETIRE has */
	struct qs_name name;
	uint32_t retire;
	bool is_listed;       /* by some SNAPSHOT: it is an object */
	bool is_listed_again; /* by one that knows the RETIRE */
};

/* An admin's SNAPSHOT: RETIREs that it knows may be yet to come. */
struct ret_early {
	uint32_t seen;
	size_t at, count; /* in early_names */
};

struct qs_retirement {
	struct ret_chains chains;
	struct ret_name *names; /* sorted by name and seq once sealed */
	size_t count, cap;
	bool is_sealed, is_finished;
	struct ret_early *early;
	size_t early_count, early_cap;
	struct qs_buf early_names;
	struct qs_buf retired, disputed; /* struct qs_name, ascending */
	size_t void_count;
	bool has_newest;
	struct qs_name newest;
};

uint32_t
qs_retire_seen(const struct qs_name *retire_record)
{
	return qs_load32(retire_record->b);
}

enum qs_code
qs_retirement_new(const uint8_t adm_pk[static 32], struct qs_retirement **out,
	struct qs_err *err)
{
	struct qs_retirement *self = calloc(1, sizeof(*self));

	if (self == NULL)
		return qs_fail_nomem(err, "reading what is retired");
	memcpy(self->chains.adm_pk, adm_pk, 32);
	*out = self;
	return QS_OK;
}

void
qs_retirement_free(struct qs_retirement *self)
{
	if (self == NULL)
		return;
	ret_chains_clear(&self->chains);
	free(self->names);
	free(self->early);
	qs_buf_clear(&self->early_names);
	qs_buf_clear(&self->retired);
	qs_buf_clear(&self->disputed);
	free(self);
}

/* ------------------------------------------------------------ the names */

static int
by_name(const void *a, const void *b)
{
	const struct ret_name *left = (const struct ret_name *)a;
	const struct ret_name *right = (const struct ret_name *)b;
	int order = memcmp(left->name.b, right->name.b, 32);

	if (order != 0)
		return order;
	/* RETIREs are in the order of the walk: by seq, then by NAME. */
	return left->retire < right->retire ? -1 :
		left->retire > right->retire;
}

/* The first entry of a name; count: there is none. */
static size_t
find(const struct qs_retirement *self, const uint8_t name[static 32])
{
	size_t low = 0, high = self->count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (memcmp(self->names[mid].name.b, name, 32) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	if (low < self->count &&
		memcmp(self->names[low].name.b, name, 32) != 0)
		return self->count;
	return low;
}

static bool
is_next(const struct qs_retirement *self, size_t at,
	const uint8_t name[static 32])
{
	return at < self->count &&
		memcmp(self->names[at].name.b, name, 32) == 0;
}

/* A SNAPSHOT has these names, and its retire_seen is this. */
static void
list_names(struct qs_retirement *self, struct qs_span names, uint32_t seen)
{
	uint32_t known = ret_chains_known(&self->chains, seen);

	if (self->count == 0)
		return;
	for (size_t at = 0; at + 32 <= names.len; at += 32) {
		const uint8_t *name = names.data + at;

		for (size_t i = find(self, name); is_next(self, i, name);
			i++) {
			struct ret_name *entry = &self->names[i];

			entry->is_listed = true;
			if (ret_chains_is_behind(&self->chains, entry->retire,
				known))
				entry->is_listed_again = true;
		}
	}
}

static enum qs_code
add_names(struct qs_retirement *self, const struct qs_record *record,
	uint32_t retire, struct qs_err *err)
{
	struct qs_retire_body body;
	enum qs_code rc = qs_retire_decode(record->public_body, &body, err);

	for (size_t at = 0; rc == QS_OK && at + 32 <= body.names.len;
		at += 32) {
		struct ret_name *entry;

		rc = ret_room(&self->names, self->count, &self->cap,
			sizeof(*entry), err);
		if (rc != QS_OK)
			break;
		entry = &self->names[self->count++];
		*entry = (struct ret_name){.retire = retire};
		memcpy(entry->name.b, body.names.data + at, 32);
	}
	return rc;
}

/* ---------------------------------------------------------- the records */

static enum qs_code
keep_early(struct qs_retirement *self, const struct qs_record *record,
	struct qs_err *err)
{
	struct ret_early *early;
	enum qs_code rc = ret_room(&self->early, self->early_count,
		&self->early_cap, sizeof(*early), err);

	if (rc != QS_OK)
		return rc;
	early = &self->early[self->early_count++];
	*early = (struct ret_early){
		.seen = record->retire_seen,
		.at = self->early_names.len,
		.count = record->public_body.len / 32,
	};
	if (record->public_body.len == 0)
		return QS_OK;
	return qs_buf_append(&self->early_names, record->public_body.data,
		early->count * 32, err);
}

/* The admin's records are all there. */
static enum qs_code
seal(struct qs_retirement *self, struct qs_err *err)
{
	enum qs_code rc = ret_chains_seal(&self->chains, err);

	if (rc != QS_OK)
		return rc;
	self->is_sealed = true;
	if (self->count > 1)
		qsort(self->names, self->count, sizeof(*self->names),
			by_name);
	for (size_t i = 0; i < self->early_count; i++) {
		const struct ret_early *early = &self->early[i];

		if (early->count > 0)
			list_names(self, qs_span(self->early_names.data +
				early->at, early->count * 32), early->seen);
	}
	return QS_OK;
}

enum qs_code
qs_retirement_take(struct qs_retirement *self, const struct qs_record *record,
	struct qs_err *err)
{
	bool is_admin = ret_is_admin(&self->chains, record->signer);
	uint32_t retire = (uint32_t)self->chains.retire_count;
	enum qs_code rc = QS_OK;

	if (is_admin ? self->is_sealed : self->is_finished)
		return qs_fail(err, QS_EINVAL, "records are not given in the "
			"order of the log");
	if (!is_admin && !self->is_sealed)
		rc = seal(self, err);
	if (rc == QS_OK)
		rc = ret_chains_take(&self->chains, record, err);
	if (rc != QS_OK)
		return rc;
	if (record->type == QS_RECORD_RETIRE && is_admin)
		return add_names(self, record, retire, err);
	if (record->type != QS_RECORD_SNAPSHOT)
		return QS_OK;
	if (is_admin)
		return keep_early(self, record, err);
	list_names(self, record->public_body, record->retire_seen);
	return QS_OK;
}

enum qs_code
qs_retirement_miss(struct qs_retirement *self,
	const uint8_t device[static QS_DEVICE_LEN], uint64_t seq,
	struct qs_err *err)
{
	return ret_chains_miss(&self->chains, device, seq, err);
}

/*
 * The record that the next of the admin's will follow: of the highest number
 * that has everything in front of it, the lesser NAME.
 */
static void
find_newest(struct qs_retirement *self)
{
	const struct ret_chains *chains = &self->chains;
	const struct ret_node *tip = NULL;

	for (size_t i = 0; i < chains->device_count; i++) {
		const struct ret_device *device = &chains->devices[i];

		if (!ret_is_admin(chains, device->id) || device->has_gap)
			continue;
		for (size_t at = device->first; at < device->end; at++) {
			const struct ret_node *node = &chains->nodes[at];

			if (tip == NULL || node->seq > tip->seq ||
				(node->seq == tip->seq && memcmp(node->name.b,
				tip->name.b, 32) < 0))
				tip = node;
		}
	}
	if (tip == NULL || tip->retire == RET_NONE)
		return;
	self->has_newest = true;
	self->newest =
		chains->nodes[chains->retires[tip->retire].node].name;
}

enum qs_code
qs_retirement_finish(struct qs_retirement *self, struct qs_err *err)
{
	enum qs_code rc = self->is_sealed ? QS_OK : seal(self, err);

	if (rc == QS_OK)
		rc = ret_chains_finish(&self->chains, err);
	if (rc != QS_OK)
		return rc;
	self->is_finished = true;
	find_newest(self);
	for (size_t i = 0; i < self->chains.retire_count; i++)
		self->void_count += !self->chains.retires[i].counts;
	/* All entries of a name are together. */
	for (size_t i = 0; rc == QS_OK && i < self->count;) {
		const struct qs_name *name = &self->names[i].name;
		bool is_retired = false, is_disputed = false;

		for (; is_next(self, i, name->b); i++) {
			const struct ret_name *entry = &self->names[i];

			if (entry->is_listed_again)
				continue;
			if (self->chains.retires[entry->retire].counts)
				is_retired = true;
			else
				is_disputed |= entry->is_listed;
		}
		if (is_retired)
			rc = qs_buf_append(&self->retired, name->b, 32, err);
		else if (is_disputed)
			rc = qs_buf_append(&self->disputed, name->b, 32, err);
	}
	return rc;
}

/* ------------------------------------------------------------ questions */

static void
tell(const struct qs_retirement *self, const struct ret_name *entry,
	struct qs_retired_by *why)
{
	const struct ret_chains *chains = &self->chains;
	const struct ret_node *node =
		&chains->nodes[chains->retires[entry->retire].node];

	if (why == NULL)
		return;
	why->seq = node->seq;
	why->record = node->name;
}

bool
qs_retirement_has(const struct qs_retirement *self, const struct qs_name *name,
	struct qs_retired_by *why)
{
	for (size_t i = find(self, name->b); is_next(self, i, name->b); i++) {
		const struct ret_name *entry = &self->names[i];

		if (entry->is_listed_again ||
			!self->chains.retires[entry->retire].counts)
			continue;
		tell(self, entry, why);
		return true;
	}
	return false;
}

bool
qs_retirement_has_slot(const struct qs_retirement *self,
	const struct qs_name *name, struct qs_retired_by *why)
{
	size_t at = find(self, name->b);

	if (!is_next(self, at, name->b))
		return false;
	tell(self, &self->names[at], why);
	return true;
}

bool
qs_retirement_excuses(const struct qs_retirement *self,
	const struct qs_name *name, uint32_t retire_seen)
{
	uint32_t known = ret_chains_known(&self->chains, retire_seen);

	for (size_t i = find(self, name->b); is_next(self, i, name->b); i++) {
		if (!ret_chains_is_behind(&self->chains,
			self->names[i].retire, known))
			return true;
	}
	return false;
}

size_t
qs_retirement_count(const struct qs_retirement *self)
{
	return self->retired.len / 32;
}

const struct qs_name *
qs_retirement_name(const struct qs_retirement *self, size_t i)
{
	return (const struct qs_name *)self->retired.data + i;
}

size_t
qs_retirement_disputed_count(const struct qs_retirement *self)
{
	return self->disputed.len / 32;
}

const struct qs_name *
qs_retirement_disputed(const struct qs_retirement *self, size_t i)
{
	return (const struct qs_name *)self->disputed.data + i;
}

size_t
qs_retirement_void_count(const struct qs_retirement *self)
{
	return self->void_count;
}

bool
qs_retirement_newest(const struct qs_retirement *self, struct qs_name *out)
{
	if (self->has_newest)
		*out = self->newest;
	return self->has_newest;
}
