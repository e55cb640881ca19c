/* SPDX-License-Identifier: ISC */
/* Multi-lane BLAKE2b: four lanes with AVX2, which has no 64-bit rotation. */
#include "crypto/hash_internal.h"

#ifdef __x86_64__

#include <immintrin.h>

#include "crypto/hash_rounds_internal.h"

#define VEC_ADD(a, b) _mm256_add_epi64(a, b)
#define VEC_XOR(a, b) _mm256_xor_si256(a, b)
#define VEC_ROR32(x) _mm256_shuffle_epi32(x, 0xb1)
#define VEC_ROR24(x) _mm256_shuffle_epi8(x, ror24)
#define VEC_ROR16(x) _mm256_shuffle_epi8(x, ror16)
#define VEC_ROR63(x) \
	VEC_XOR(_mm256_srli_epi64(x, 63), VEC_ADD(x, x))

#define ROR24_BYTES \
	3, 4, 5, 6, 7, 0, 1, 2, 11, 12, 13, 14, 15, 8, 9, 10
#define ROR16_BYTES \
	2, 3, 4, 5, 6, 7, 0, 1, 10, 11, 12, 13, 14, 15, 8, 9
#define LANES4_CONSTANTS \
	const __m256i ror24 = _mm256_setr_epi8(ROR24_BYTES, ROR24_BYTES); \
	const __m256i ror16 = _mm256_setr_epi8(ROR16_BYTES, ROR16_BYTES);

#define LANES4_NAME qs_b2_avx2_4
#define LANES4_TARGET __attribute__((target("avx2")))


#include "crypto/hash_lanes4_internal.h"

#else

/* ISO C wants a declaration in every file. */
extern const int qs_b2_no_avx2;

#endif
