/* SPDX-License-Identifier: ISC */
/* What the chunker's kernels share: the definition's constants and a queue. */
#ifndef QS_CHUNKER_INTERNAL_H
#define QS_CHUNKER_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "chunker/chunker.h"

#if defined(__x86_64__)
#define QS_CHUNKER_X86 1
#else
#define QS_CHUNKER_X86 0
#endif

#define QS_INLINE static inline __attribute__((always_inline))

/* Bytes of the PRF's window; the filter's taps reach back less far. */
#define CHUNKER_WINDOW 32u
/* Positions the vector kernels filter at a time. */
#define CHUNKER_BLOCK 64u

/* SipHash: what the key is xored with; the block that ends a 32-byte text. */
#define SIP_INIT0 UINT64_C(0x736f6d6570736575)
#define SIP_INIT1 UINT64_C(0x646f72616e646f6d)
#define SIP_INIT2 UINT64_C(0x6c7967656e657261)
#define SIP_INIT3 UINT64_C(0x7465646279746573)
#define SIP_LENGTH ((uint64_t)CHUNKER_WINDOW << 56)
#define SIP_FINAL UINT64_C(0xff)

/* An anchor that the PRF accepted. */
struct chunker_hit {
	size_t at; /* index of the window's last byte */
	uint64_t prf;
};

/*
 * A kernel: find the first anchor in data[from .. to) whose PRF value has no
 * bit in common with reject.  from >= CHUNKER_WINDOW - 1; the bytes below
 * from are there to be looked back at, none at to or above is read.
 */
bool chunker_scan_scalar(const struct qs_chunker *c, const uint8_t *data,
	size_t from, size_t to, uint64_t reject, struct chunker_hit *out);
#if QS_CHUNKER_X86
bool chunker_scan_avx2(const struct qs_chunker *c, const uint8_t *data,
	size_t from, size_t to, uint64_t reject, struct chunker_hit *out);
bool chunker_scan_avx512(const struct qs_chunker *c, const uint8_t *data,
	size_t from, size_t to, uint64_t reject, struct chunker_hit *out);
#endif

/* The filter's verdict lies in these bits of the upper byte of its sum. */
QS_INLINE uint8_t
chunker_filter_mask(const struct qs_chunker *c)
{
	return (uint8_t)(0xff00u >> c->params.c_bits);
}

/*
 * The vector kernels collect anchors in a queue and ask the PRF about many
 * at once.  Room for a rest of less than 16, for a block of nothing but
 * anchors, and for the two that are written unasked.
 */
#define CHUNKER_QUEUE (16u + CHUNKER_BLOCK + 2u)

/*
 * Append the positions base + (bits of hits) to the n of queue; the new n.
 * Few blocks have more than two, so two are written without a branch.
 */
QS_INLINE unsigned
chunker_queue_push(uint32_t *queue, unsigned n, uint64_t hits, size_t base)
{
	const uint64_t stop = UINT64_C(1) << 63; /* ctz of 0 is undefined */
	unsigned count = (unsigned)__builtin_popcountll(hits);
	uint32_t at = (uint32_t)base;
	unsigned i = n;

	queue[i++] = at + (uint32_t)__builtin_ctzll(hits | stop);
	hits &= hits - 1;
	queue[i++] = at + (uint32_t)__builtin_ctzll(hits | stop);
	hits &= hits - 1;
	while (__builtin_expect(hits != 0, 0)) {
		queue[i++] = at + (uint32_t)__builtin_ctzll(hits);
		hits &= hits - 1;
	}
	return n + count;
}

/* The first of count PRF values that is not rejected, or count. */
QS_INLINE unsigned
chunker_first_accepted(const uint64_t *prf, unsigned count, uint64_t reject)
{
	unsigned i = 0;

	while (i < count && (prf[i] & reject) != 0)
		i++;
	return i;
}

#endif
