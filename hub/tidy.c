/* SPDX-License-Identifier: ISC */
/*
 * Tidying up a folder: docs/HUB.md, "How things go away".  In this order:
 *
 *   1. out of the trash what is in use after all (whatever the day's share)
 *   2. away for good what has been in the trash for long enough
 *   3. into the trash what has been retired for long enough
 *
 * The day's share is written down before anything is moved, the rows of the
 * catalogue after it: killed in between, less is moved that day, and a scrub
 * puts the rows right.  A file's own step is one rename (store_dir_trash.c).
 */
#include <stdlib.h>

#include "hub/tidy_internal.h"

#define HOLD_KEY "hold_until_ms"
#define DAY_KEY "tidy_day"       /* days since 1970 */
#define TRASHED_KEY "tidy_bytes" /* moved that day */
#define PURGED_KEY "tidy_purged_bytes"

struct candidate {
	struct qs_ref ref;
	uint64_t since; /* ms, of what makes it due */
};

struct plan {
	struct tidy *tidy;
	struct candidate *items;
	size_t count, cap;
	uint64_t bytes; /* of all objects */
};

/* ------------------------------------------------------------- what is due */

static bool
is_past(const struct tidy *tidy, uint64_t since, unsigned days)
{
	return tidy->now_ms >= since &&
		tidy->now_ms - since >= days * TIDY_DAY_MS;
}

static enum qs_code
add_candidate(struct plan *plan, const struct qs_ref *ref, uint64_t since,
	struct qs_err *err)
{
	if (plan->count == plan->cap) {
		size_t cap = plan->cap == 0 ? 256 : plan->cap * 2;
		struct candidate *items = reallocarray(plan->items, cap,
			sizeof(*items));

		if (items == NULL)
			return qs_fail_nomem(err, "tidying up");
		plan->items = items;
		plan->cap = cap;
	}
	plan->items[plan->count++] = (struct candidate){*ref, since};
	return QS_OK;
}

/*
 * Counted from when the RETIRE came, or the object, if that was later: it may
 * be on its way into a snapshot, or have been brought back.
 */
static enum qs_code
take_retired(struct plan *plan, const struct qs_ref *ref,
	const struct qs_retired_by *why, struct qs_err *err)
{
	struct tidy *tidy = plan->tidy;
	uint64_t since = 0, arrived = 0;
	enum qs_code rc = tidy_log_receipt(tidy, why, &since, err);

	if (rc == QS_OK)
		rc = qs_store_arrived(tidy->store, ref, &arrived, err);
	if (rc == QS_ENOTFOUND) /* it went meanwhile */
		return QS_OK;
	if (rc != QS_OK)
		return rc;
	if (since < arrived)
		since = arrived;
	tidy->result->retired++;
	tidy->result->retired_bytes += ref->size;
	return is_past(tidy, since, tidy->options->trash_days) ?
		add_candidate(plan, ref, since, err) : QS_OK;
}

static enum qs_code
take_orphan(struct plan *plan, const struct qs_ref *ref, struct qs_err *err)
{
	struct tidy *tidy = plan->tidy;
	uint64_t arrived = 0;
	enum qs_code rc = qs_store_arrived(tidy->store, ref, &arrived, err);

	if (rc == QS_ENOTFOUND)
		return QS_OK;
	if (rc == QS_OK && is_past(tidy, arrived, tidy->options->orphan_days))
		rc = add_candidate(plan, ref, arrived, err);
	return rc;
}

static enum qs_code
see_object(void *arg, const struct qs_ref *ref, struct qs_err *err)
{
	struct plan *plan = arg;
	struct tidy *tidy = plan->tidy;
	struct qs_retired_by why;

	if (ref->foreign != NULL)
		return QS_OK;
	plan->bytes += ref->size;
	if (tidy->retirement != NULL &&
		qs_retirement_has(tidy->retirement, &ref->name, &why))
		return take_retired(plan, ref, &why, err);
	if (tidy->is_sound && !tidy_log_has(tidy, &ref->name))
		return take_orphan(plan, ref, err);
	return QS_OK;
}

static int
by_age(const void *a, const void *b)
{
	const struct candidate *left = a, *right = b;

	if (left->since != right->since)
		return left->since < right->since ? -1 : 1;
	return memcmp(&left->ref.name, &right->ref.name, 32);
}

/* --------------------------------------------------------- the day's share */

struct share {
	uint64_t limit, trashed, purged; /* bytes: a day's, and so far today */
};

struct heap { /* what is in the trash, by the files themselves */
	uint64_t now_ms;
	uint64_t bytes, recent; /* in all, and since a day ago */
};

static enum qs_code
add_trashed(void *arg, const struct qs_ref *ref, uint64_t ms,
	struct qs_err *err)
{
	struct heap *heap = arg;

	(void)err;
	if (ref->area != QS_AREA_OBJ)
		return QS_OK;
	heap->bytes += ref->size;
	if (ms <= heap->now_ms && heap->now_ms - ms < TIDY_DAY_MS)
		heap->recent += ref->size;
	return QS_OK;
}

/*
 * bytes: in their place.  The trash is of the folder, too: else of one that is
 * nearly all retired less and less would go in a day.
 */
static enum qs_code
load_share(struct tidy *tidy, uint64_t bytes, struct share *out,
	struct qs_err *err)
{
	struct heap heap = {.now_ms = tidy->now_ms};
	const uint64_t today = tidy->now_ms / TIDY_DAY_MS;
	const uint64_t day = tidy_fact(tidy, DAY_KEY);
	unsigned percent = tidy->options->share;
	enum qs_code rc = qs_store_each_trashed(tidy->store, add_trashed,
		&heap, err);

	if (percent > 100)
		percent = 100;
	*out = (struct share){.limit = (bytes + heap.bytes) / 100 *
		percent};
	if (out->limit == 0)
		out->limit = 1;
	if (day == today) {
		out->trashed = tidy_fact(tidy, TRASHED_KEY);
		out->purged = tidy_fact(tidy, PURGED_KEY);
	} else if (day > today) {
		/* The clock was put back: this day's is used up. */
		out->trashed = out->purged = out->limit;
	}
	if (out->trashed < heap.recent)
		out->trashed = heap.recent;
	return rc;
}

static void
save_share(struct tidy *tidy, const struct share *share)
{
	if (tidy->options->dry_run)
		return;
	tidy_fact_put(tidy, TRASHED_KEY, share->trashed);
	tidy_fact_put(tidy, PURGED_KEY, share->purged);
	tidy_fact_put(tidy, DAY_KEY, tidy->now_ms / TIDY_DAY_MS);
}

/* ------------------------------------------------------------- the moving */

static enum qs_code
trash_one(struct tidy *tidy, const struct qs_ref *ref, struct qs_err *err)
{
	bool was_retired = ref->area == QS_AREA_OBJ &&
		qs_retirement_has(tidy->retirement, &ref->name, NULL);
	enum qs_code rc = tidy->options->dry_run ? QS_OK :
		qs_store_trash(tidy->store, ref, err);

	if (rc == QS_ENOTFOUND)
		return QS_OK;
	if (rc != QS_OK)
		return rc;
	tidy->result->trashed++;
	tidy->result->trashed_bytes += ref->size;
	/* Of those counted; the log may have been read again since. */
	if (was_retired && tidy->result->retired > 0) {
		tidy->result->retired--;
		tidy->result->retired_bytes -= ref->size;
	}
	if (!tidy->options->dry_run)
		tidy_note(tidy, ref, QS_ITEM_TRASH);
	return QS_OK;
}

/* The first so many that today's share has room for; at least one a day. */
static enum qs_code
trash_due(struct plan *plan, struct share *share, struct qs_err *err)
{
	struct tidy *tidy = plan->tidy;
	size_t count = 0;
	enum qs_code rc = QS_OK;

	if (plan->count > 1)
		qsort(plan->items, plan->count, sizeof(*plan->items), by_age);
	for (; count < plan->count; count++) {
		uint64_t size = plan->items[count].ref.size;

		if (share->trashed > 0 && (share->trashed >= share->limit ||
			size > share->limit - share->trashed))
			break;
		share->trashed += size;
	}
	tidy->result->postponed += plan->count - count;
	save_share(tidy, share);
	for (size_t i = 0; rc == QS_OK && i < count; i++)
		rc = trash_one(tidy, &plan->items[i].ref, err);
	return rc;
}

static enum qs_code
purge_due(struct tidy *tidy, struct share *share, struct qs_err *err)
{
	struct share all = *share;
	enum qs_code rc;

	/* Killed in the middle, the whole of it counts as used. */
	if (all.purged < all.limit)
		all.purged = all.limit;
	save_share(tidy, &all);
	rc = tidy_purge(tidy, share->limit, &share->purged, err);
	save_share(tidy, share);
	return rc;
}

/* -------------------------------------------------------------- key slots */

struct slots {
	struct tidy *tidy;
	struct qs_ref retired[64];
	size_t retired_count, other_count;
};

static enum qs_code
see_slot(void *arg, const struct qs_ref *ref, struct qs_err *err)
{
	struct slots *slots = arg;

	(void)err;
	if (ref->foreign != NULL)
		return QS_OK;
	if (!qs_retirement_has_slot(slots->tidy->retirement, &ref->name,
		NULL))
		slots->other_count++;
	else if (slots->retired_count < 64)
		slots->retired[slots->retired_count++] = *ref;
	return QS_OK;
}

/*
 * One that is retired and still served would keep an old passphrase: it goes at
 * once, unless nobody could open the folder then.
 */
static enum qs_code
trash_slots(struct tidy *tidy, struct qs_err *err)
{
	struct slots slots = {.tidy = tidy};
	enum qs_code rc = QS_OK;

	if (tidy->retirement != NULL)
		rc = tidy->store->ops->list(tidy->store->self, QS_AREA_KEYS,
			see_slot, &slots, err);
	for (size_t i = 0; rc == QS_OK && slots.other_count > 0 &&
		i < slots.retired_count; i++)
		rc = trash_one(tidy, &slots.retired[i], err);
	return rc;
}

/* ------------------------------------------------------------- the whole */

static enum qs_code
carry_out(struct tidy *tidy, struct qs_err *err)
{
	struct plan plan = {.tidy = tidy};
	struct share share;
	bool is_held = tidy->now_ms < tidy_fact(tidy, HOLD_KEY);
	enum qs_code rc = tidy_log_read(tidy, err);

	if (rc == QS_OK && tidy->retirement != NULL)
		tidy->result->void_retirements =
			qs_retirement_void_count(tidy->retirement);
	if (rc == QS_OK)
		rc = tidy_restore(tidy, err);
	if (rc == QS_OK)
		rc = tidy->store->ops->list(tidy->store->self, QS_AREA_OBJ,
			see_object, &plan, err);
	if (rc != QS_OK || is_held)
		goto out;
	rc = load_share(tidy, plan.bytes, &share, err);
	if (rc == QS_OK)
		rc = purge_due(tidy, &share, err);
	if (rc == QS_OK)
		rc = trash_slots(tidy, err);
	if (rc == QS_OK)
		rc = trash_due(&plan, &share, err);
out:
	free(plan.items);
	return rc;
}

static uint64_t
now_ms(const struct qs_tidy_options *options)
{
	int64_t ns = options->now_ns != 0 ? options->now_ns : qs_now_ns();

	return ns < 0 ? 0 : (uint64_t)ns / 1000000;
}

enum qs_code
qs_tidy(const char *path, const uint8_t folder_id[static QS_FOLDER_ID_LEN],
	const struct qs_tidy_options *options, struct qs_tidy_result *out,
	struct qs_err *err)
{
	struct tidy tidy = {
		.options = options,
		.result = out,
		.now_ms = now_ms(options),
		.lock = -1,
	};
	enum qs_code rc;

	memset(out, 0, sizeof(*out));
	rc = tidy_open(&tidy, path, folder_id, options->dry_run, err);
	if (rc == QS_OK)
		rc = carry_out(&tidy, err);
	tidy_close(&tidy);
	return rc == QS_OK ? rc : qs_fail_while(err, "tidying up %s", path);
}

/* -------------------------------------------------------------- undelete */

struct undelete {
	struct tidy *tidy;
	struct qs_ref *refs;
	size_t count;
};

static enum qs_code
take_ref(void *arg, const struct qs_ref *ref, uint64_t ms, struct qs_err *err)
{
	struct undelete *undelete = arg;
	struct qs_ref *refs = reallocarray(undelete->refs, undelete->count + 1,
		sizeof(*refs));

	(void)ms;
	if (refs == NULL)
		return qs_fail_nomem(err, "emptying the trash");
	undelete->refs = refs;
	refs[undelete->count++] = *ref;
	return QS_OK;
}

static enum qs_code
empty_trash(struct tidy *tidy, unsigned hold_days, uint64_t *restored,
	struct qs_err *err)
{
	struct undelete undelete = {.tidy = tidy};
	enum qs_code rc = QS_OK;

	/* The hold first: nothing goes back in behind us. */
	if (tidy->catalogue == NULL && hold_days > 0)
		return qs_fail(err, QS_EINDEX, "the hold can't be written "
			"down: there is no catalogue");
	if (tidy->catalogue != NULL)
		rc = qs_catalogue_fact_put(tidy->catalogue, HOLD_KEY,
			hold_days == 0 ? 0 :
			tidy->now_ms + hold_days * TIDY_DAY_MS, err);
	if (rc == QS_OK)
		rc = qs_store_each_trashed(tidy->store, take_ref, &undelete,
			err);
	for (size_t i = 0; rc == QS_OK && i < undelete.count; i++) {
		rc = qs_store_untrash(tidy->store, &undelete.refs[i], err);
		if (rc != QS_OK)
			break;
		tidy_note(tidy, &undelete.refs[i], QS_ITEM_HERE);
		(*restored)++;
	}
	free(undelete.refs);
	return rc;
}

enum qs_code
qs_tidy_undelete(const char *path,
	const uint8_t folder_id[static QS_FOLDER_ID_LEN], unsigned hold_days,
	uint64_t *restored, struct qs_err *err)
{
	struct qs_tidy_options options;
	struct tidy tidy = {.options = &options, .lock = -1};
	enum qs_code rc;

	*restored = 0;
	qs_tidy_defaults(&options);
	tidy.now_ms = now_ms(&options);
	rc = tidy_open(&tidy, path, folder_id, false, err);
	if (rc == QS_OK)
		rc = empty_trash(&tidy, hold_days, restored, err);
	tidy_close(&tidy);
	return rc == QS_OK ? rc : qs_fail_while(err, "undelete in %s", path);
}
