/* SPDX-License-Identifier: ISC */
/*
 * Multi-lane BLAKE2b: eight lanes with AVX-512, and four lanes in half-width
 * vectors, which need less time for a block when few messages are left.
 */
#include "crypto/hash_internal.h"

#ifdef __x86_64__

#include <immintrin.h>

#include "crypto/hash_rounds_internal.h"

#define LANES_TARGET __attribute__((target("avx512f,avx512vl,avx2")))

#define VEC_ADD(a, b) _mm256_add_epi64(a, b)
#define VEC_XOR(a, b) _mm256_xor_si256(a, b)
#define VEC_ROR32(x) _mm256_ror_epi64(x, 32)
#define VEC_ROR24(x) _mm256_ror_epi64(x, 24)
#define VEC_ROR16(x) _mm256_ror_epi64(x, 16)
#define VEC_ROR63(x) _mm256_ror_epi64(x, 63)
#define LANES4_CONSTANTS
#define LANES4_NAME qs_b2_avx512_4
#define LANES4_TARGET LANES_TARGET

#include "crypto/hash_lanes4_internal.h"

#undef VEC_ADD
#undef VEC_XOR
#undef VEC_ROR32
#undef VEC_ROR24
#undef VEC_ROR16
#undef VEC_ROR63

#define VEC_ADD(a, b) _mm512_add_epi64(a, b)
#define VEC_XOR(a, b) _mm512_xor_si512(a, b)
#define VEC_ROR32(x) _mm512_ror_epi64(x, 32)
#define VEC_ROR24(x) _mm512_ror_epi64(x, 24)
#define VEC_ROR16(x) _mm512_ror_epi64(x, 16)
#define VEC_ROR63(x) _mm512_ror_epi64(x, 63)
#define LOAD(p) _mm512_loadu_si512((const void *)(p))
#define STORE(p, x) _mm512_storeu_si512((void *)(p), x)
#define QUARTERS(a, b, how) _mm512_shuffle_i64x2(a, b, how)

/* One 8x8 transposition: m[w .. w+7] from words w .. w+7 of 8 messages */
static inline LANES_TARGET void
load_words(__m512i *m, const uint8_t *const *data, size_t at)
{
	__m512i r[8], u[8];

	UNROLLED
	for (int i = 0; i < 8; i++)
		r[i] = LOAD(data[i] + at);
	UNROLLED
	for (int i = 0; i < 8; i += 2) {
		u[i] = _mm512_unpacklo_epi64(r[i], r[i + 1]);
		u[i + 1] = _mm512_unpackhi_epi64(r[i], r[i + 1]);
	}
	/* u[i]: pairs (lane i, i+1) of words 0 2 4 6; u[i+1]: of 1 3 5 7 */
	UNROLLED
	for (int i = 0; i < 2; i++) {
		r[i] = QUARTERS(u[i], u[i + 2], 0x88);
		r[i + 2] = QUARTERS(u[i], u[i + 2], 0xdd);
		r[i + 4] = QUARTERS(u[i + 4], u[i + 6], 0x88);
		r[i + 6] = QUARTERS(u[i + 4], u[i + 6], 0xdd);
	}
	UNROLLED
	for (int i = 0; i < 2; i++) {
		m[i] = QUARTERS(r[i], r[i + 4], 0x88);
		m[i + 2] = QUARTERS(r[i + 2], r[i + 6], 0x88);
		m[i + 4] = QUARTERS(r[i], r[i + 4], 0xdd);
		m[i + 6] = QUARTERS(r[i + 2], r[i + 6], 0xdd);
	}
}

/* NOLINT: long only after its macros are expanded */
LANES_TARGET void
qs_b2_avx512_8(struct qs_b2_lanes *lanes, unsigned first, /* NOLINT */
	size_t blocks)
{
	const __m512i step = LOAD(lanes->step + first);
	const __m512i last = LOAD(lanes->last + first);
	const size_t bytes = blocks * QS_B2_BLOCK;
	__m512i t = LOAD(lanes->t + first);
	__m512i h[8], v[16], m[16];

	UNROLLED
	for (int i = 0; i < 8; i++)
		h[i] = LOAD(lanes->h[i] + first);
	for (size_t at = 0; at < bytes; at += QS_B2_BLOCK) {
		load_words(m, lanes->data + first, at);
		load_words(m + 8, lanes->data + first, at + 64);
		t = VEC_ADD(t, step);
		START_BLOCK(_mm512_set1_epi64);
		TWELVE_ROUNDS();
		UNROLLED
		for (int i = 0; i < 8; i++)
			h[i] = VEC_XOR(h[i], VEC_XOR(v[i], v[i + 8]));
	}
	UNROLLED
	for (int i = 0; i < 8; i++)
		STORE(lanes->h[i] + first, h[i]);
	STORE(lanes->t + first, t);
	UNROLLED
	for (int i = 0; i < 8; i++)
		lanes->data[first + (unsigned)i] += bytes;
}

#else

/* ISO C wants a declaration in every file. */
extern const int qs_b2_no_avx512;

#endif
