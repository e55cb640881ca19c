/* SPDX-License-Identifier: ISC */
/*
 * Names that the admin has retired: objects that must not be built upon any
 * more, and key slots that must not be there any more.  A snapshot that lists
 * a name and says that it knows of the retirement has stored it again.
 */
#include <stdlib.h>

#include "snapshot/folder_internal.h"

enum qs_code
qs_retired_add(struct qs_folder *folder, const struct qs_record *record,
	struct qs_err *err)
{
	for (size_t at = 0; at + 32 <= record->public_body.len; at += 32) {
		struct qs_retired *retired;
		enum qs_code rc = qs_array_room(&folder->retired,
			folder->retired_count, &folder->retired_cap,
			sizeof(*folder->retired), err);

		if (rc != QS_OK)
			return rc;
		retired = &folder->retired[folder->retired_count++];
		memcpy(retired->name.b, record->public_body.data + at, 32);
		retired->seq = record->seq;
		retired->is_listed_again = false;
	}
	if (record->seq > folder->retire_seen)
		folder->retire_seen = record->seq;
	return QS_OK;
}

static int
by_name(const void *a, const void *b)
{
	const struct qs_retired *left = (const struct qs_retired *)a;
	const struct qs_retired *right = (const struct qs_retired *)b;
	int order = qs_name_compare(&left->name, &right->name);

	if (order != 0)
		return order;
	/* The newest retirement of a name first: that one counts. */
	return left->seq > right->seq ? -1 : left->seq < right->seq;
}

void
qs_retired_sort(struct qs_folder *folder)
{
	struct qs_retired *items = folder->retired;
	size_t kept = 0;

	if (folder->retired_count == 0)
		return;
	qsort(items, folder->retired_count, sizeof(*items), by_name);
	for (size_t i = 1; i < folder->retired_count; i++) {
		if (qs_name_compare(&items[kept].name, &items[i].name) != 0)
			items[++kept] = items[i];
	}
	folder->retired_count = kept + 1;
}

static struct qs_retired *
find(const struct qs_folder *folder, const uint8_t name[static 32])
{
	size_t low = 0, high = folder->retired_count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int order = memcmp(folder->retired[mid].name.b, name, 32);

		if (order == 0)
			return &folder->retired[mid];
		if (order < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}

void
qs_retired_relist(struct qs_folder *folder, const struct qs_record *record)
{
	if (folder->retired_count == 0 || record->retire_seen == 0)
		return;
	for (size_t at = 0; at + 32 <= record->public_body.len; at += 32) {
		struct qs_retired *retired = find(folder,
			record->public_body.data + at);

		if (retired != NULL && record->retire_seen >= retired->seq)
			retired->is_listed_again = true;
	}
}

bool
qs_is_retired(const struct qs_folder *folder, const struct qs_name *name)
{
	const struct qs_retired *retired = find(folder, name->b);

	return retired != NULL && !retired->is_listed_again;
}

/* -------------------------------------------------------- retired slots */

static enum qs_code
check_slot(void *arg, const struct qs_ref *ref, struct qs_err *err)
{
	struct qs_folder *folder = (struct qs_folder *)arg;
	struct qs_err trouble;
	char hex[QS_HEX_LEN + 1];

	(void)err;
	if (ref->foreign != NULL || !qs_is_retired(folder, &ref->name))
		return QS_OK;
	qs_hex(hex, ref->name.b, 32);
	(void)qs_fail(&trouble, QS_EROLLBACK, "key slot %.16s was removed and "
		"is in %s again, with its old passphrase: remove it once "
		"more (qstore key remove %.8s)", hex, folder->store->place,
		hex);
	qs_folder_tell(folder, &trouble);
	return QS_OK;
}

enum qs_code
qs_retired_slots_check(struct qs_folder *folder, struct qs_err *err)
{
	if (folder->retired_count == 0)
		return QS_OK;
	return folder->store->ops->list(folder->store->self, QS_AREA_KEYS,
		check_slot, folder, err);
}
