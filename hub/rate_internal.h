/* SPDX-License-Identifier: ISC */
/* The rate with a clock of one's own, for its tests. */
#ifndef QS_RATE_INTERNAL_H
#define QS_RATE_INTERNAL_H

#include "hub/hub.h"

struct qs_rate_clock {
	int64_t (*now_ns)(void *arg); /* never negative */
	void (*sleep_ns)(void *arg, int64_t ns);
	void *arg;
};

QS_MUST_CHECK enum qs_code qs_rate_open_clocked(int dir_fd, const char *path,
	uint64_t bytes_per_second, const struct qs_rate_clock *clock,
	struct qs_rate **out, struct qs_err *err);

#endif
