/* SPDX-License-Identifier: ISC */
/*
 * What an earlier run had stored when it was killed: its names were written
 * down before they were committed to the store, so what is there now is taken
 * into the index and listed by the next snapshot.
 */
#include <stdlib.h>

#include "snapshot/folder_internal.h"

bool
qs_is_object_fault(enum qs_code code)
{
	return code == QS_ECORRUPT || code == QS_ENOTFOUND ||
		code == QS_EKEY || code == QS_EUNSUPPORTED;
}

enum qs_code
qs_names_collect(void *arg, const struct qs_name *name, struct qs_err *err)
{
	return qs_buf_append((struct qs_buf *)arg, name->b, sizeof(name->b),
		err);
}

static enum qs_code
adopt_one(struct qs_folder *folder, const struct qs_name *name,
	uint64_t size, struct qs_err *err)
{
	struct qs_err fault;
	enum qs_code rc;

	if (size == 0) /* it was never committed */
		return qs_index_pending_drop(folder->index, name, err);
	if (size == QS_SIZE_UNKNOWN) { /* looked for again the next time */
		(void)qs_folder_fail_unknown(folder, name, &fault);
		qs_folder_tell(folder, &fault);
		return QS_OK;
	}
	/*
	 * Killed, perhaps, between its name and the fsync of the folders: a
	 * record that lists it must not outlive it.
	 */
	rc = folder->store->ops->settle(folder->store->self, name, 1, &fault);
	if (rc == QS_ENOMEM || rc == QS_ENET) {
		*err = fault;
		return rc;
	}
	if (rc != QS_OK) {
		(void)qs_fail_while(&fault,
			"left by an interrupted run, not used");
		qs_folder_tell(folder, &fault);
		return QS_OK;
	}
	rc = qs_folder_adopt_sized(folder, name, size, &fault);
	if (rc != QS_OK && !qs_is_object_fault(rc)) {
		*err = fault;
		return rc;
	}
	if (rc != QS_OK) {
		(void)qs_fail_while(&fault,
			"left by an interrupted run, not used");
		qs_folder_tell_object(folder, &fault);
	} else {
		/* First listed, then dropped: never lost in between. */
		rc = qs_index_unlogged_add(folder->index, name, 1, err);
		if (rc != QS_OK)
			return rc;
	}
	return qs_index_pending_drop(folder->index, name, err);
}

enum qs_code
qs_folder_adopt_pending(struct qs_folder *folder, struct qs_err *err)
{
	struct qs_buf names = {0};
	const struct qs_name *name;
	uint64_t *sizes = NULL;
	size_t count;
	enum qs_code rc = qs_index_each_pending(folder->index,
		qs_names_collect, &names, err);

	count = names.len / sizeof(*name);
	name = (const struct qs_name *)names.data;
	if (rc != QS_OK || count == 0)
		goto out;
	sizes = calloc(count, sizeof(*sizes));
	if (sizes == NULL) {
		rc = qs_fail_nomem(err, "looking for an interrupted run");
		goto out;
	}
	rc = folder->store->ops->have(folder->store->self, name, count, sizes,
		err);
	for (size_t i = 0; rc == QS_OK && i < count; i++)
		rc = adopt_one(folder, &name[i], sizes[i], err);
	if (rc == QS_OK)
		rc = qs_index_commit(folder->index, err);
out:
	free(sizes);
	qs_buf_clear(&names);
	return rc;
}
