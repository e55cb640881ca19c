/* SPDX-License-Identifier: ISC */
/* The two clocks. */
#include <assert.h>
#include <time.h>

#include "base/base.h"

static int64_t
read_clock(clockid_t clock)
{
	struct timespec ts = {0};
	int sys = clock_gettime(clock, &ts);

	assert(sys == 0); /* Linux has both clocks */
	(void)sys;
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

int64_t
qs_now_ns(void)
{
	return read_clock(CLOCK_REALTIME);
}

int64_t
qs_mono_ns(void)
{
	return read_clock(CLOCK_MONOTONIC);
}
