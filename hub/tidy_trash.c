/* SPDX-License-Identifier: ISC */
/*
 * Tidying up: the trash.  What is in use comes out of it at once; what has been
 * in it long enough goes for good, with the log held so that no record can come
 * that needs it, and the log read once more if one came since it was read.
 */
#include <stdlib.h>

#include "hub/tidy_internal.h"

struct trashed {
	struct qs_ref ref;
	uint64_t ms; /* since when */
};

struct trash {
	struct trashed *items;
	size_t count, cap;
};

static enum qs_code
take_trashed(void *arg, const struct qs_ref *ref, uint64_t ms,
	struct qs_err *err)
{
	struct trash *trash = arg;

	if (trash->count == trash->cap) {
		size_t cap = trash->cap == 0 ? 256 : trash->cap * 2;
		struct trashed *items = reallocarray(trash->items, cap,
			sizeof(*items));

		if (items == NULL)
			return qs_fail_nomem(err, "tidying up");
		trash->items = items;
		trash->cap = cap;
	}
	trash->items[trash->count++] = (struct trashed){*ref, ms};
	return QS_OK;
}

/* What lies there longest first. */
static int
by_age(const void *a, const void *b)
{
	const struct trashed *left = a, *right = b;

	if (left->ms != right->ms)
		return left->ms < right->ms ? -1 : 1;
	return memcmp(&left->ref.name, &right->ref.name, 32);
}

static enum qs_code
list_trash(struct tidy *tidy, struct trash *out, struct qs_err *err)
{
	enum qs_code rc = qs_store_each_trashed(tidy->store, take_trashed, out,
		err);

	if (rc == QS_OK && out->count > 1)
		qsort(out->items, out->count, sizeof(*out->items), by_age);
	return rc;
}

bool
tidy_is_gone(const struct tidy *tidy, const struct qs_ref *ref)
{
	if (tidy->retirement == NULL)
		return false;
	if (ref->area == QS_AREA_KEYS)
		return qs_retirement_has_slot(tidy->retirement, &ref->name,
			NULL);
	if (qs_retirement_has(tidy->retirement, &ref->name, NULL))
		return true;
	return tidy->is_sound && !tidy_log_has(tidy, &ref->name);
}

/* One that went meanwhile is no failure. */
static enum qs_code
restore_one(struct tidy *tidy, const struct qs_ref *ref, struct qs_err *err)
{
	enum qs_code rc = tidy->options->dry_run ? QS_OK :
		qs_store_untrash(tidy->store, ref, err);

	if (rc == QS_ENOTFOUND)
		return QS_OK;
	if (rc != QS_OK)
		return rc;
	tidy->result->restored++;
	if (!tidy->options->dry_run)
		tidy_note(tidy, ref, QS_ITEM_HERE);
	return QS_OK;
}

enum qs_code
tidy_restore(struct tidy *tidy, struct qs_err *err)
{
	struct trash trash = {0};
	enum qs_code rc = list_trash(tidy, &trash, err);

	for (size_t i = 0; rc == QS_OK && i < trash.count; i++) {
		const struct qs_ref *ref = &trash.items[i].ref;

		/*
		 * A slot that is there without a RETIRE stays: it would open
		 * the folder again.  What no record names stays, too, though
		 * it may not go further while the log is in doubt.
		 */
		if (ref->area == QS_AREA_OBJ && !tidy_is_gone(tidy, ref) &&
			tidy_log_has(tidy, &ref->name))
			rc = restore_one(tidy, ref, err);
	}
	free(trash.items);
	return rc;
}

static bool
is_due(const struct tidy *tidy, const struct trashed *item)
{
	uint64_t days = tidy->options->purge_days;

	/* In front of its beginning: the clock was put back. */
	return tidy->now_ms >= item->ms &&
		tidy->now_ms - item->ms >= days * TIDY_DAY_MS;
}

static enum qs_code
purge_one(struct tidy *tidy, const struct qs_ref *ref, struct qs_err *err)
{
	enum qs_code rc = tidy->options->dry_run ? QS_OK :
		qs_store_purge(tidy->store, ref, err);

	if (rc == QS_ENOTFOUND)
		return QS_OK;
	if (rc != QS_OK)
		return rc;
	tidy->result->purged++;
	tidy->result->purged_bytes += ref->size;
	if (!tidy->options->dry_run)
		tidy_note_gone(tidy, ref);
	return QS_OK;
}

static enum qs_code
purge_held(struct tidy *tidy, const struct trash *trash, uint64_t limit,
	uint64_t *used, struct qs_err *err)
{
	enum qs_code rc = tidy_log_refresh(tidy, err);

	for (size_t i = 0; rc == QS_OK && i < trash->count; i++) {
		const struct trashed *item = &trash->items[i];

		if (!is_due(tidy, item) || !tidy_is_gone(tidy, &item->ref))
			continue;
		if (*used > 0 && (*used >= limit ||
			item->ref.size > limit - *used)) {
			tidy->result->postponed++;
			continue;
		}
		*used += item->ref.size;
		rc = purge_one(tidy, &item->ref, err);
	}
	return rc;
}

enum qs_code
tidy_purge(struct tidy *tidy, uint64_t limit, uint64_t *used,
	struct qs_err *err)
{
	struct trash trash = {0};
	bool is_any = false;
	int lock = -1;
	enum qs_code rc = list_trash(tidy, &trash, err);

	for (size_t i = 0; rc == QS_OK && i < trash.count; i++)
		is_any |= is_due(tidy, &trash.items[i]) &&
			tidy_is_gone(tidy, &trash.items[i].ref);
	if (rc != QS_OK || !is_any)
		goto out;
	rc = qs_store_hold_log(tidy->store, &lock, err);
	if (rc == QS_OK)
		rc = purge_held(tidy, &trash, limit, used, err);
	qs_fd_close(&lock);
out:
	free(trash.items);
	return rc;
}
