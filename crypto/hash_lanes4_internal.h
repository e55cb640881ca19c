/* SPDX-License-Identifier: ISC */
/*
 * Four lanes of BLAKE2b in 256-bit vectors: the body of a kernel, included by
 * the files that know how their processor rotates (LANES4_NAME,
 * LANES4_TARGET and the VEC_ macros of hash_rounds_internal.h).
 */

/* m[w .. w+3] from words w .. w+3 of the four messages */
#define LOAD_WORDS(w) do { \
	const size_t at = (size_t)8 * (w); \
	const __m256i r0 = LOAD(p0 + at), r1 = LOAD(p1 + at); \
	const __m256i r2 = LOAD(p2 + at), r3 = LOAD(p3 + at); \
	const __m256i a = _mm256_unpacklo_epi64(r0, r1); \
	const __m256i b = _mm256_unpackhi_epi64(r0, r1); \
	const __m256i c = _mm256_unpacklo_epi64(r2, r3); \
	const __m256i d = _mm256_unpackhi_epi64(r2, r3); \
	m[w] = _mm256_permute2x128_si256(a, c, 0x20); \
	m[(w) + 1] = _mm256_permute2x128_si256(b, d, 0x20); \
	m[(w) + 2] = _mm256_permute2x128_si256(a, c, 0x31); \
	m[(w) + 3] = _mm256_permute2x128_si256(b, d, 0x31); \
} while (0)

#define LOAD(p) _mm256_loadu_si256((const __m256i *)(const void *)(p))
#define STORE(p, x) _mm256_storeu_si256((__m256i *)(void *)(p), x)

/* NOLINT: long only after its macros are expanded */
LANES4_TARGET void
LANES4_NAME(struct qs_b2_lanes *lanes, unsigned first, /* NOLINT */
	size_t blocks)
{
	const uint8_t *p0 = lanes->data[first];
	const uint8_t *p1 = lanes->data[first + 1];
	const uint8_t *p2 = lanes->data[first + 2];
	const uint8_t *p3 = lanes->data[first + 3];
	const __m256i step = LOAD(lanes->step + first);
	const __m256i last = LOAD(lanes->last + first);
	__m256i t = LOAD(lanes->t + first);
	__m256i h[8], v[16], m[16];
	LANES4_CONSTANTS

	UNROLLED
	for (int i = 0; i < 8; i++)
		h[i] = LOAD(lanes->h[i] + first);
	for (; blocks > 0; blocks--) {
		LOAD_WORDS(0);
		LOAD_WORDS(4);
		LOAD_WORDS(8);
		LOAD_WORDS(12);
		p0 += QS_B2_BLOCK;
		p1 += QS_B2_BLOCK;
		p2 += QS_B2_BLOCK;
		p3 += QS_B2_BLOCK;
		t = VEC_ADD(t, step);
		START_BLOCK(_mm256_set1_epi64x);
		TWELVE_ROUNDS();
		UNROLLED
		for (int i = 0; i < 8; i++)
			h[i] = VEC_XOR(h[i], VEC_XOR(v[i], v[i + 8]));
	}
	UNROLLED
	for (int i = 0; i < 8; i++)
		STORE(lanes->h[i] + first, h[i]);
	STORE(lanes->t + first, t);
	lanes->data[first] = p0;
	lanes->data[first + 1] = p1;
	lanes->data[first + 2] = p2;
	lanes->data[first + 3] = p3;
}

#undef LOAD
#undef STORE
#undef LOAD_WORDS
