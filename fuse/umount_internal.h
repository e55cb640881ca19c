/* SPDX-License-Identifier: ISC */
/* What is mounted at a directory, asked also when it can't be looked into. */
#ifndef QS_UMOUNT_INTERNAL_H
#define QS_UMOUNT_INTERNAL_H

#include "base/base.h"

enum mount_found {
	MOUNT_NOTHING,
	MOUNT_OTHER, /* not qstore's */
	MOUNT_OURS,
};

QS_MUST_CHECK enum qs_code mount_find(const char *dir, enum mount_found *out,
	struct qs_err *err);

#endif
