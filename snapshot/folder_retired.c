/* SPDX-License-Identifier: ISC */
/*
 * What the log says is retired, as the index and this machine's records go by
 * it: packs that must not be built upon any more, and key slots that must not
 * be there any more.
 *
 * A record says that it knows of a RETIRE; by that its writer promises that it
 * needs nothing which the RETIRE names and he has not listed after it.  So a
 * pack that is retired leaves the index, and one that is not, because the
 * RETIRE does not count here (it may elsewhere), is listed again.
 */
#include <stdlib.h>

#include "snapshot/folder_internal.h"

bool
qs_is_retired(const struct qs_folder *folder, const struct qs_name *name)
{
	return folder->retirement != NULL &&
		qs_retirement_has(folder->retirement, name, NULL);
}

bool
qs_is_slot_retired(const struct qs_folder *folder, const struct qs_name *name)
{
	for (size_t at = 0; at + 32 <= folder->dropped.len; at += 32) {
		if (memcmp(folder->dropped.data + at, name->b, 32) == 0)
			return true;
	}
	return folder->retirement != NULL &&
		qs_retirement_has_slot(folder->retirement, name, NULL);
}

uint32_t
qs_folder_retire_seen(const struct qs_folder *folder)
{
	struct qs_name newest;

	if (folder->retirement == NULL ||
		!qs_retirement_newest(folder->retirement, &newest))
		return 0;
	return qs_retire_seen(&newest);
}

/* --------------------------------------------------------------- a RETIRE */

static int
by_device(const void *a, const void *b)
{
	return memcmp(((const struct qs_mark *)a)->device,
		((const struct qs_mark *)b)->device, QS_DEVICE_LEN);
}

enum qs_code
qs_folder_retire_body(const struct qs_folder *folder, struct qs_span names,
	struct qs_buf *out, struct qs_err *err)
{
	struct qs_mark *heads = calloc(folder->chain_count + 1,
		sizeof(*heads));
	size_t count = 0;
	enum qs_code rc;

	if (heads == NULL)
		return qs_fail_nomem(err, "retiring something");
	for (size_t i = 0; i < folder->chain_count; i++) {
		if (folder->chains[i].has_head)
			heads[count++] = folder->chains[i].head;
	}
	qsort(heads, count, sizeof(*heads), by_device);
	rc = qs_retire_encode(heads, count, names, out, err);
	free(heads);
	return rc;
}

/* -------------------------------------------------------------- the index */

#define FORGOTTEN_KEY "retired" /* a sum of the names that were forgotten */

enum qs_code
qs_retired_forget(struct qs_folder *folder, struct qs_err *err)
{
	size_t count = qs_retirement_count(folder->retirement);
	const struct qs_name *names = count == 0 ? NULL :
		qs_retirement_name(folder->retirement, 0);
	struct qs_buf before = {0};
	uint8_t sum[32];
	bool found;
	enum qs_code rc = qs_index_fact_get(folder->index, FORGOTTEN_KEY,
		&before, &found, err);

	if (rc != QS_OK || (!found && count == 0))
		goto out;
	/* They may be many, and mostly are the same as last time. */
	qs_hash_plain(sum, sizeof(sum), qs_span(names, count * 32));
	if (found && before.len == sizeof(sum) &&
		memcmp(before.data, sum, sizeof(sum)) == 0)
		goto out;
	for (size_t i = 0; rc == QS_OK && i < count; i++) {
		bool has;

		rc = qs_index_has_packs(folder->index, &names[i], 1, &has,
			err);
		if (rc == QS_OK && has)
			rc = qs_index_forget(folder->index, &names[i], err);
	}
	if (rc == QS_OK)
		rc = qs_index_fact_put(folder->index, FORGOTTEN_KEY,
			qs_span(sum, sizeof(sum)), err);
out:
	qs_buf_clear(&before);
	return rc;
}

enum qs_code
qs_disputed_want(struct qs_folder *folder, struct qs_buf *wanted,
	struct qs_err *err)
{
	size_t count = qs_retirement_disputed_count(folder->retirement);
	enum qs_code rc = QS_OK;

	for (size_t i = 0; rc == QS_OK && i < count; i++) {
		const struct qs_name *name = qs_retirement_disputed(
			folder->retirement, i);
		bool has;

		rc = qs_index_has_packs(folder->index, name, 1, &has, err);
		if (rc == QS_OK && !has)
			rc = qs_buf_append(wanted, name->b, 32, err);
	}
	return rc;
}

enum qs_code
qs_disputed_list(struct qs_folder *folder, struct qs_err *err)
{
	size_t count = qs_retirement_disputed_count(folder->retirement);
	enum qs_code rc = QS_OK;

	if (qs_folder_retire_seen(folder) == 0)
		return QS_OK;
	for (size_t i = 0; rc == QS_OK && i < count; i++) {
		const struct qs_name *name = qs_retirement_disputed(
			folder->retirement, i);
		bool has;

		rc = qs_index_has_packs(folder->index, name, 1, &has, err);
		if (rc == QS_OK && has)
			rc = qs_index_unlogged_add(folder->index, name, 1,
				err);
	}
	return rc;
}

/* -------------------------------------------------------- retired slots */

static enum qs_code
check_slot(void *arg, const struct qs_ref *ref, struct qs_err *err)
{
	struct qs_folder *folder = (struct qs_folder *)arg;
	struct qs_err trouble;
	char hex[QS_HEX_LEN + 1];

	(void)err;
	if (ref->foreign != NULL || !qs_is_slot_retired(folder, &ref->name))
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
	return folder->store->ops->list(folder->store->self, QS_AREA_KEYS,
		check_slot, folder, err);
}
