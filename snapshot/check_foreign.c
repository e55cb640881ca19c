/* SPDX-License-Identifier: ISC */
/*
 * check_foreign: things in the store that are none of qstore's.  They do no
 * harm and are left alone; but who keeps the store should know of them.
 */
#include <string.h>

#include "snapshot/check_internal.h"

/* Those of the store have a place in an area only. */
static bool
is_our_temporary(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash != NULL && strncmp(slash + 1, ".tmp-", 5) == 0;
}

void
check_see_foreign(struct check *check, const char *path)
{
	struct qs_err what;

	/* A crash leaves them; the store sweeps them out by itself. */
	if (is_our_temporary(path))
		return;
	check->result.foreign_files++;
	(void)qs_fail(&what, QS_EEXIST, "%s in %s is no file of this store; "
		"it does no harm", path, check->store->place);
	check_tell(check, NULL, QS_NODE_FILE, 0, &what);
}

static enum qs_code
see(void *arg, const struct qs_ref *ref, struct qs_err *err)
{
	struct check *check = arg;

	if (check_is_cancelled(check))
		return qs_fail(err, QS_ECANCELED, "interrupted");
	if (ref->foreign != NULL)
		check_see_foreign(check, ref->foreign);
	return QS_OK;
}

enum qs_code
check_foreign(struct check *check, struct qs_err *err)
{
	static const enum qs_area areas[] = {QS_AREA_KEYS, QS_AREA_LOG,
		QS_AREA_BESIDE};
	enum qs_code rc = QS_OK;

	for (size_t i = 0; rc == QS_OK &&
	     i < sizeof(areas) / sizeof(areas[0]); i++)
		rc = check->store->ops->list(check->store->self, areas[i], see,
			check, err);
	return rc;
}
