/* SPDX-License-Identifier: ISC */
/* What the processor can do, and what it is allowed to. */
#include <stdatomic.h>
#include <stdlib.h>

#include "base/base.h"

#define KNOWN 0x80000000u /* set beside the features once they are looked up */

/*
 * Threads that look at the same time find the same, so that the order of
 * their stores does not matter.
 */
static _Atomic unsigned detected;
static _Atomic unsigned mask = ~0u;

#if defined(__x86_64__) || defined(__i386__)
static unsigned
detect(void)
{
	unsigned found = 0;

	/* These ask XGETBV too: is the wide state saved by the system? */
	__builtin_cpu_init();
	if (__builtin_cpu_supports("sse4.1"))
		found |= QS_CPU_SSE41;
	if (__builtin_cpu_supports("avx2"))
		found |= QS_CPU_AVX2;
	if (__builtin_cpu_supports("avx512f") &&
		__builtin_cpu_supports("avx512bw") &&
		__builtin_cpu_supports("avx512vl") &&
		__builtin_cpu_supports("avx512dq"))
		found |= QS_CPU_AVX512;
	/* Of no use to a kernel without the ones above. */
	if ((found & QS_CPU_AVX512) != 0 &&
		__builtin_cpu_supports("avx512vbmi"))
		found |= QS_CPU_AVX512VBMI;
	if (__builtin_cpu_supports("gfni"))
		found |= QS_CPU_GFNI;
	return found;
}
#else
static unsigned
detect(void)
{
	return 0;
}
#endif

/* What QSTORE_CPU leaves; a word that is not known leaves all. */
static unsigned
from_environment(void)
{
	const char *word = getenv("QSTORE_CPU");

	if (word == NULL)
		return ~0u;
	if (strcmp(word, "scalar") == 0)
		return 0;
	if (strcmp(word, "avx2") == 0)
		return QS_CPU_SSE41 | QS_CPU_AVX2 | QS_CPU_GFNI;
	return ~0u;
}

unsigned
qs_cpu_features(void)
{
	unsigned found = atomic_load_explicit(&detected, memory_order_relaxed);

	if ((found & KNOWN) == 0) {
		found = (detect() & from_environment()) | KNOWN;
		atomic_store_explicit(&detected, found, memory_order_relaxed);
	}
	found &= atomic_load_explicit(&mask, memory_order_relaxed);
	return found & ~KNOWN;
}

void
qs_cpu_mask(unsigned allowed)
{
	atomic_store_explicit(&mask, allowed, memory_order_relaxed);
}
