/* SPDX-License-Identifier: ISC */
/* What the files of the cage share. */
#ifndef QS_CAGE_INTERNAL_H
#define QS_CAGE_INTERNAL_H

#include "hub/hub.h"

/* A sanitizer maps terabytes, has threads and looks at /proc: it is let. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define QS_CAGE_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define QS_CAGE_SANITIZED 1
#endif
#endif
#ifndef QS_CAGE_SANITIZED
#define QS_CAGE_SANITIZED 0
#endif

#define QS_CAGE_MEMORY ((uint64_t)512 << 20)
#define QS_CAGE_FILES 256
/*
 * The largest file is the catalogue with its WAL: some 200 bytes for an object
 * of (mostly) 16 MiB, so this is enough for 300 TiB.
 */
#define QS_CAGE_FILE ((uint64_t)4 << 30)

/* *done is false when the kernel has no such thing (or is kept from us). */
QS_MUST_CHECK enum qs_code qs_cage_landlock(int root_fd, bool read_only,
	bool *done, struct qs_err *err);
QS_MUST_CHECK enum qs_code qs_cage_seccomp(bool *done, struct qs_err *err);

#endif
