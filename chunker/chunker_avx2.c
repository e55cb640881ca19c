/* SPDX-License-Identifier: ISC */
/* The kernel for AVX2: 32 positions at a time, SipHash in 2 x 4 lanes. */
#include "chunker/chunker_internal.h"

#if QS_CHUNKER_X86

#include <immintrin.h>

#define LANES 8u
#define TARGET __attribute__((target("avx2,popcnt")))
#define INLINE TARGET QS_INLINE

INLINE __m256i
load(const uint8_t *p)
{
	return _mm256_loadu_si256((const __m256i *)(const void *)p);
}

INLINE __m256i
set64(uint64_t x)
{
	return _mm256_set1_epi64x((long long)x);
}

/* ------------------------------------------------------------ the PRF */

/* The shift counts must be constants. */
#define ROTL(x, n)                                                             \
	_mm256_or_si256(_mm256_slli_epi64(x, n), _mm256_srli_epi64(x, 64 - (n)))

struct sip {
	__m256i v0, v1, v2, v3;
};

INLINE void
sip_round(struct sip *s)
{
	const __m256i rotl16 = _mm256_setr_epi8(6, 7, 0, 1, 2, 3, 4, 5, 14, 15,
		8, 9, 10, 11, 12, 13, 6, 7, 0, 1, 2, 3, 4, 5, 14, 15, 8, 9, 10,
		11, 12, 13);

	s->v0 = _mm256_add_epi64(s->v0, s->v1);
	s->v1 = _mm256_xor_si256(ROTL(s->v1, 13), s->v0);
	s->v0 = _mm256_shuffle_epi32(s->v0, 0xb1); /* rotated by 32 */
	s->v2 = _mm256_add_epi64(s->v2, s->v3);
	s->v3 = _mm256_xor_si256(_mm256_shuffle_epi8(s->v3, rotl16), s->v2);
	s->v0 = _mm256_add_epi64(s->v0, s->v3);
	s->v3 = _mm256_xor_si256(ROTL(s->v3, 21), s->v0);
	s->v2 = _mm256_add_epi64(s->v2, s->v1);
	s->v1 = _mm256_xor_si256(ROTL(s->v1, 17), s->v2);
	s->v2 = _mm256_shuffle_epi32(s->v2, 0xb1);
}

/* Two states, so that one's additions fill the other's waiting time. */
INLINE void
sip_absorb(struct sip *s, struct sip *t, __m256i ms, __m256i mt)
{
	s->v3 = _mm256_xor_si256(s->v3, ms);
	t->v3 = _mm256_xor_si256(t->v3, mt);
	sip_round(s);
	sip_round(t);
	sip_round(s);
	sip_round(t);
	s->v0 = _mm256_xor_si256(s->v0, ms);
	t->v0 = _mm256_xor_si256(t->v0, mt);
}

INLINE __m256i
sip_end(const struct sip *s)
{
	return _mm256_xor_si256(
		_mm256_xor_si256(s->v0, s->v1), _mm256_xor_si256(s->v2, s->v3));
}

/* The window that ends at data[last]. */
INLINE __m256i
window(const uint8_t *data, uint32_t last)
{
	return load(data + (last - (CHUNKER_WINDOW - 1)));
}

/* Word w of the windows that end at at[0 .. 3), as four lanes of m[w]. */
INLINE void
gather(const uint8_t *data, const uint32_t *at, __m256i m[4])
{
	__m256i a = window(data, at[0]), b = window(data, at[1]);
	__m256i c = window(data, at[2]), d = window(data, at[3]);
	__m256i ab0 = _mm256_unpacklo_epi64(a, b);
	__m256i ab1 = _mm256_unpackhi_epi64(a, b);
	__m256i cd0 = _mm256_unpacklo_epi64(c, d);
	__m256i cd1 = _mm256_unpackhi_epi64(c, d);

	m[0] = _mm256_permute2x128_si256(ab0, cd0, 0x20);
	m[1] = _mm256_permute2x128_si256(ab1, cd1, 0x20);
	m[2] = _mm256_permute2x128_si256(ab0, cd0, 0x31);
	m[3] = _mm256_permute2x128_si256(ab1, cd1, 0x31);
}

/* SipHash-2-4 of the windows that end at at[0 .. LANES). */
INLINE void
sip_lanes(const struct qs_chunker_key *key, const uint8_t *data,
	const uint32_t *at, uint64_t *out)
{
	struct sip s = {
		set64(key->sip[0] ^ SIP_INIT0),
		set64(key->sip[1] ^ SIP_INIT1),
		set64(key->sip[0] ^ SIP_INIT2),
		set64(key->sip[1] ^ SIP_INIT3),
	};
	struct sip t = s;
	__m256i ms[4], mt[4];

	gather(data, at, ms);
	gather(data, at + 4, mt);
	sip_absorb(&s, &t, ms[0], mt[0]);
	sip_absorb(&s, &t, ms[1], mt[1]);
	sip_absorb(&s, &t, ms[2], mt[2]);
	sip_absorb(&s, &t, ms[3], mt[3]);
	sip_absorb(&s, &t, set64(SIP_LENGTH), set64(SIP_LENGTH));
	s.v2 = _mm256_xor_si256(s.v2, set64(SIP_FINAL));
	t.v2 = _mm256_xor_si256(t.v2, set64(SIP_FINAL));
	sip_absorb(&s, &t, _mm256_setzero_si256(), _mm256_setzero_si256());
	sip_absorb(&s, &t, _mm256_setzero_si256(), _mm256_setzero_si256());
	_mm256_storeu_si256((__m256i *)(void *)out, sip_end(&s));
	_mm256_storeu_si256((__m256i *)(void *)(out + 4), sip_end(&t));
}

/* --------------------------------------------------------- the filter */

/* Bit k: are all bits of mask clear in the upper byte of sum k of the 32? */
INLINE uint32_t
verdict(__m256i even, __m256i odd, __m256i mask)
{
	__m256i upper = _mm256_or_si256(_mm256_srli_epi16(even, 8),
		_mm256_and_si256(odd, _mm256_set1_epi16((short)0xff00)));

	return (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(
		_mm256_and_si256(upper, mask), _mm256_setzero_si256()));
}

#define SCAN chunker_scan_avx2
#include "chunker/chunker_vector_internal.h"

#endif
