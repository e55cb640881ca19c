/* SPDX-License-Identifier: ISC */
/*
 * The walk over a folder's log, without any key: the admin's chain first, since
 * it says who else may write, then each device's.  Marks are dealt with before
 * (they vouch for records) and after (they tell what went back in time).
 */
#include <inttypes.h>

#include "store/store_internal.h"

struct walk {
	struct qs_store *store;
	qs_log_fn record;
	qs_trouble_fn trouble;
	void *arg;
	struct qs_log_list list;
	struct qs_log_rights rights;
	struct qs_buf bytes; /* of one record at a time */
	size_t bad, hidden;  /* records that do not count; not told */
	bool is_newer;       /* one of a newer version was told */
};

/* Bad records that are told one by one: anybody can put files there. */
#define BAD_TOLD 20

/* A device's chain while it is walked. */
struct chain {
	size_t first, end;  /* its entries in the list */
	uint64_t next;      /* the seq that should come now */
	size_t prev, after; /* entries of the seq before: [prev, after) */
	bool has_head;      /* a record that verified was met */
	struct qs_mark head; /* the last such */
};

/* ------------------------------------------------- trust by hash chain */

/*
 * From the marked record back through prev.  What is reached that way has the
 * very bytes that were verified when the mark was made.
 */
static enum qs_code
trust_chain(struct walk *walk, const struct qs_mark *mark, struct qs_err *err)
{
	struct qs_name name = mark->name;
	uint64_t seq = mark->seq;

	for (;;) {
		size_t at = qs_log_list_find(&walk->list, mark->device, seq,
			&name);
		struct qs_log_entry *entry;
		struct qs_record record;
		struct qs_err fault;
		enum qs_code rc;

		if (!qs_log_list_is(&walk->list, at, mark->device, seq, &name))
			return QS_OK;
		entry = &walk->list.entries[at];
		if (entry->is_trusted)
			return QS_OK;
		entry->is_trusted = true;
		rc = qs_log_load(walk->store, entry, &walk->bytes, &record,
			&fault);
		if (rc != QS_OK) {
			entry->is_trusted = false;
			if (qs_log_is_local(rc))
				return QS_OK; /* the walk will report it */
			*err = fault;
			return rc;
		}
		if (seq == 0)
			return QS_OK;
		name = record.prev;
		seq--;
	}
}

/* --------------------------------------------------- a device's chain */

static bool
follows(const struct walk *walk, const struct chain *chain,
	const struct qs_record *record)
{
	for (size_t i = chain->prev; i < chain->after; i++) {
		if (memcmp(walk->list.entries[i].name.b, record->prev.b,
			32) == 0)
			return true;
	}
	return false;
}

/* Once per gap, when the first good record behind it is met. */
static void
report_gap(struct walk *walk, const struct chain *chain,
	const struct qs_log_entry *entry)
{
	struct qs_short device = qs_short_device(entry->device);
	struct qs_err gap;

	if (chain->next == entry->seq - 1)
		(void)qs_fail(&gap, QS_ECORRUPT, "device %.8s: record %" PRIu64
			" is missing from its log", device.hex, chain->next);
	else
		(void)qs_fail(&gap, QS_ECORRUPT, "device %.8s: records "
			"%" PRIu64 " to %" PRIu64 " are missing from its log",
			device.hex, chain->next, entry->seq - 1);
	walk->trouble(walk->arg, &gap);
}

/* A record that may be written by its signer, or what is wrong with it. */
static enum qs_code
load_rightful(struct walk *walk, const struct qs_log_entry *entry,
	struct qs_record *out, struct qs_err *err)
{
	struct qs_record record;
	enum qs_code rc = qs_log_load(walk->store, entry, &walk->bytes,
		&record, err);

	if (rc != QS_OK)
		return rc;
	rc = qs_log_rights_check(&walk->rights, &record, err);
	if (rc != QS_OK)
		return qs_fail_while(err, "device %.8s, record %" PRIu64,
			qs_short_device(entry->device).hex, entry->seq);
	*out = record;
	return QS_OK;
}

/* Troubles between a good record and those before it. */
static void
check_order(struct walk *walk, struct chain *chain,
	const struct qs_log_entry *entry, const struct qs_record *record)
{
	struct qs_err broken;

	if (entry->seq > chain->next) {
		report_gap(walk, chain, entry);
		chain->next = entry->seq;
	} else if (chain->prev < chain->after &&
		!follows(walk, chain, record)) {
		(void)qs_fail(&broken, QS_ECORRUPT, "device %.8s, record "
			"%" PRIu64 ": does not follow the record before it",
			qs_short_device(entry->device).hex, entry->seq);
		walk->trouble(walk->arg, &broken);
	}
}

static void
report_bad(struct walk *walk, const struct qs_err *fault)
{
	const bool is_newer = fault->code == QS_EUNSUPPORTED;

	/* That there is something newer decides what may be written. */
	if (walk->bad++ < BAD_TOLD || (is_newer && !walk->is_newer))
		walk->trouble(walk->arg, fault);
	else
		walk->hidden++;
	walk->is_newer |= is_newer;
}

static enum qs_code
visit_entry(struct walk *walk, struct chain *chain,
	const struct qs_log_entry *entry, bool *visited, struct qs_err *err)
{
	struct qs_record record;
	struct qs_err fault;
	enum qs_code rc = load_rightful(walk, entry, &record, &fault);

	*visited = false;
	if (rc != QS_OK && qs_log_is_local(rc)) {
		report_bad(walk, &fault);
		return QS_OK;
	}
	if (rc != QS_OK) {
		*err = fault;
		return rc;
	}
	check_order(walk, chain, entry, &record);
	rc = qs_log_rights_learn(&walk->rights, &record, err);
	if (rc != QS_OK)
		return rc;
	chain->has_head = true;
	chain->head.seq = record.seq;
	chain->head.time_ms = record.time_ms;
	*visited = true;
	return walk->record(walk->arg, &record, err);
}

/* All records of one seq: entries [first, end). */
static enum qs_code
visit_seq(struct walk *walk, struct chain *chain, size_t first, size_t end,
	struct qs_err *err)
{
	const struct qs_log_entry *entries = walk->list.entries;
	uint64_t seq = entries[first].seq;
	size_t count = 0;

	/* Behind a gap there is nothing that it could be checked against. */
	if (seq != chain->next)
		chain->prev = chain->after = first;
	for (size_t i = first; i < end; i++) {
		bool visited;
		enum qs_code rc = visit_entry(walk, chain, &entries[i],
			&visited, err);

		if (rc != QS_OK)
			return rc;
		count += visited;
	}
	/*
	 * Several machines hold the admin's key: copies of a store on which two
	 * of them were certified have a fork when they meet, and are whole.
	 */
	if (count > 1 && memcmp(entries[first].device, walk->rights.adm_pk,
		QS_DEVICE_LEN) != 0) {
		struct qs_err fork;

		/* Nothing is lost by it: all of them count. */
		(void)qs_fail(&fork, QS_ECONFLICT, "device %.8s: its log is "
			"forked: %zu records with the number %" PRIu64,
			qs_short_device(entries[first].device).hex, count,
			seq);
		walk->trouble(walk->arg, &fork);
	}
	/*
	 * A damaged record in its place is no gap; but rubbish with a number
	 * out of thin air, behind one, must not be counted on from.
	 */
	if (seq == chain->next) {
		chain->prev = first;
		chain->after = end;
		chain->next = seq + 1;
	}
	return QS_OK;
}

static enum qs_code
walk_chain(struct walk *walk, struct chain *chain, struct qs_err *err)
{
	const struct qs_log_entry *entries = walk->list.entries;
	size_t first = chain->first;

	chain->prev = chain->after = first;
	while (first < chain->end) {
		size_t end = first + 1;
		enum qs_code rc;

		while (end < chain->end && entries[end].seq ==
			entries[first].seq)
			end++;
		rc = visit_seq(walk, chain, first, end, err);
		if (rc != QS_OK)
			return rc;
		first = end;
	}
	return QS_OK;
}

/* ---------------------------------------------------------- rollback */

static void
report_rollback(struct walk *walk, const struct qs_mark *mark,
	const struct chain *chain)
{
	struct qs_err back;

	(void)qs_log_rollback(mark, chain->has_head ? &chain->head : NULL,
		&back);
	walk->trouble(walk->arg, &back);
}

static void
check_marks(struct walk *walk, const struct qs_mark *marks, size_t count,
	const uint8_t device[static QS_DEVICE_LEN], const struct chain *chain)
{
	for (size_t i = 0; i < count; i++) {
		const struct qs_mark *mark = &marks[i];
		size_t at;

		if (memcmp(mark->device, device, QS_DEVICE_LEN) != 0)
			continue;
		at = qs_log_list_find(&walk->list, device, mark->seq,
			&mark->name);
		if (!qs_log_list_is(&walk->list, at, device, mark->seq,
			&mark->name))
			report_rollback(walk, mark, chain);
	}
}

/* ---------------------------------------------------------- the whole */

/* The entries of device, from its first on (that may be none). */
static struct chain
chain_of(const struct qs_log_list *list,
	const uint8_t device[static QS_DEVICE_LEN])
{
	static const struct qs_name least;
	struct chain chain = {0};

	chain.first = qs_log_list_find(list, device, 0, &least);
	chain.end = chain.first;
	while (chain.end < list->count && memcmp(
		list->entries[chain.end].device, device, QS_DEVICE_LEN) == 0)
		chain.end++;
	return chain;
}

static enum qs_code
walk_device(struct walk *walk, const uint8_t device[static QS_DEVICE_LEN],
	const struct qs_mark *marks, size_t mark_count, size_t *end,
	struct qs_err *err)
{
	struct chain chain = chain_of(&walk->list, device);
	enum qs_code rc = walk_chain(walk, &chain, err);

	if (rc != QS_OK)
		return rc;
	check_marks(walk, marks, mark_count, device, &chain);
	*end = chain.end;
	return QS_OK;
}

/* With adm_pk given, all of the admin's records can be gone. */
static void
check_admin(struct walk *walk)
{
	struct chain chain = chain_of(&walk->list, walk->rights.adm_pk);
	struct qs_err gone;

	if (chain.first < chain.end)
		return;
	(void)qs_fail(&gone, QS_ECORRUPT, "device %.8s: no record of the "
		"folder's admin key (GENESIS and certificates) is left",
		qs_short_device(walk->rights.adm_pk).hex);
	walk->trouble(walk->arg, &gone);
}

static enum qs_code
walk_all(struct walk *walk, const struct qs_mark *marks, size_t mark_count,
	struct qs_err *err)
{
	const uint8_t *admin = walk->rights.adm_pk;
	const struct qs_log_entry *entries = walk->list.entries;
	size_t at = 0, end;
	enum qs_code rc = walk_device(walk, admin, marks, mark_count, &end,
		err);

	if (rc == QS_OK && walk->list.count > 0)
		check_admin(walk);
	while (rc == QS_OK && at < walk->list.count) {
		const uint8_t *device = entries[at].device;

		if (memcmp(device, admin, QS_DEVICE_LEN) == 0) {
			at = chain_of(&walk->list, admin).end;
			continue;
		}
		rc = walk_device(walk, device, marks, mark_count, &end, err);
		at = end;
	}
	if (rc != QS_OK)
		return rc;
	/* Devices of which nothing at all is left. */
	for (size_t i = 0; i < mark_count; i++) {
		struct chain chain = chain_of(&walk->list, marks[i].device);

		if (chain.first == chain.end &&
			memcmp(marks[i].device, admin, QS_DEVICE_LEN) != 0)
			report_rollback(walk, &marks[i], &chain);
	}
	return QS_OK;
}

static void
report_more(struct walk *walk)
{
	struct qs_err more;

	if (walk->hidden == 0)
		return;
	(void)qs_fail(&more, QS_ECORRUPT, "log of %s: %zu more files are "
		"damaged or no records of this folder", walk->store->place,
		walk->hidden);
	walk->trouble(walk->arg, &more);
}

enum qs_code
qs_log_walk(struct qs_store *store, const uint8_t *adm_pk,
	const struct qs_mark *marks, size_t mark_count, qs_log_fn record,
	qs_trouble_fn trouble, void *arg, struct qs_err *err)
{
	struct walk walk = {
		.store = store,
		.record = record,
		.trouble = trouble,
		.arg = arg,
	};
	enum qs_code rc = qs_log_list_load(store, &walk.list, err);

	if (rc != QS_OK)
		goto out;
	memcpy(walk.rights.folder_id, store->folder_id, QS_FOLDER_ID_LEN);
	if (adm_pk != NULL)
		memcpy(walk.rights.adm_pk, adm_pk, 32);
	else if (walk.list.count > 0)
		rc = qs_log_find_admin(store, &walk.list, &walk.bytes,
			walk.rights.adm_pk, err);
	for (size_t i = 0; rc == QS_OK && i < mark_count; i++)
		rc = trust_chain(&walk, &marks[i], err);
	if (rc == QS_OK)
		rc = walk_all(&walk, marks, mark_count, err);
	report_more(&walk);
out:
	qs_log_list_clear(&walk.list);
	qs_log_rights_clear(&walk.rights);
	qs_buf_clear(&walk.bytes);
	return rc;
}
