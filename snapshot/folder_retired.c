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

#define BATCH 1024

/* Called for each retired pack that the index has. */
typedef enum qs_code (*retired_fn)(struct qs_index *index,
	const struct qs_name *name, struct qs_err *err);

/*
 * All of them, each time: another process of this machine, which had read the
 * log before, may have put one back since.
 */
static enum qs_code
each_retired(struct qs_folder *folder, retired_fn fn, struct qs_err *err)
{
	const size_t count = qs_retirement_count(folder->retirement);
	bool has[BATCH];
	enum qs_code rc = QS_OK;

	for (size_t at = 0; rc == QS_OK && at < count; at += BATCH) {
		const struct qs_name *names = qs_retirement_name(
			folder->retirement, at);
		size_t n = count - at < BATCH ? count - at : BATCH;

		rc = qs_index_has_packs(folder->index, names, n, has, err);
		for (size_t i = 0; rc == QS_OK && i < n; i++) {
			if (has[i])
				rc = fn(folder->index, &names[i], err);
		}
	}
	return rc;
}

enum qs_code
qs_retired_forget(struct qs_folder *folder, struct qs_err *err)
{
	return each_retired(folder, qs_index_forget, err);
}

static enum qs_code
list_again(struct qs_index *index, const struct qs_name *name,
	struct qs_err *err)
{
	return qs_index_unlogged_add(index, name, 1, err);
}

enum qs_code
qs_retired_list_used(struct qs_folder *folder, struct qs_err *err)
{
	if (folder->retirement == NULL)
		return QS_OK;
	return each_retired(folder, list_again, err);
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
