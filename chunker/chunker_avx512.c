/* SPDX-License-Identifier: ISC */
/* The kernel for AVX-512: SipHash in 2 x 8 lanes with native rotations. */
#include "chunker/chunker_internal.h"

#if QS_CHUNKER_X86

#include <immintrin.h>

#define LANES 16u
#define TARGET                                                                 \
	__attribute__((                                                        \
		target("avx2,popcnt,avx512f,avx512bw,avx512vl,avx512dq")))
#define INLINE TARGET QS_INLINE

INLINE __m256i
load(const uint8_t *p)
{
	return _mm256_loadu_si256((const __m256i *)(const void *)p);
}

INLINE __m512i
set64(uint64_t x)
{
	return _mm512_set1_epi64((long long)x);
}

/* ------------------------------------------------------------ the PRF */

struct sip {
	__m512i v0, v1, v2, v3;
};

INLINE void
sip_round(struct sip *s)
{
	s->v0 = _mm512_add_epi64(s->v0, s->v1);
	s->v1 = _mm512_xor_si512(_mm512_rol_epi64(s->v1, 13), s->v0);
	s->v0 = _mm512_rol_epi64(s->v0, 32);
	s->v2 = _mm512_add_epi64(s->v2, s->v3);
	s->v3 = _mm512_xor_si512(_mm512_rol_epi64(s->v3, 16), s->v2);
	s->v0 = _mm512_add_epi64(s->v0, s->v3);
	s->v3 = _mm512_xor_si512(_mm512_rol_epi64(s->v3, 21), s->v0);
	s->v2 = _mm512_add_epi64(s->v2, s->v1);
	s->v1 = _mm512_xor_si512(_mm512_rol_epi64(s->v1, 17), s->v2);
	s->v2 = _mm512_rol_epi64(s->v2, 32);
}

/* Two states, so that one's additions fill the other's waiting time. */
INLINE void
sip_absorb(struct sip *s, struct sip *t, __m512i ms, __m512i mt)
{
	s->v3 = _mm512_xor_si512(s->v3, ms);
	t->v3 = _mm512_xor_si512(t->v3, mt);
	sip_round(s);
	sip_round(t);
	sip_round(s);
	sip_round(t);
	s->v0 = _mm512_xor_si512(s->v0, ms);
	t->v0 = _mm512_xor_si512(t->v0, mt);
}

INLINE __m512i
sip_end(const struct sip *s)
{
	return _mm512_ternarylogic_epi64(
		_mm512_xor_si512(s->v0, s->v1), s->v2, s->v3, 0x96);
}

/* The windows that end at data[low] and data[high]. */
INLINE __m512i
windows(const uint8_t *data, uint32_t low, uint32_t high)
{
	const uint32_t back = CHUNKER_WINDOW - 1;

	return _mm512_inserti64x4(
		_mm512_castsi256_si512(load(data + (low - back))),
		load(data + (high - back)), 1);
}

/* Word w of the windows that end at at[0 .. 7), as eight lanes of m[w]. */
INLINE void
gather(const uint8_t *data, const uint32_t *at, __m512i m[4])
{
	const __m512i low = _mm512_setr_epi64(0, 1, 8, 9, 4, 5, 12, 13);
	const __m512i high = _mm512_setr_epi64(2, 3, 10, 11, 6, 7, 14, 15);
	__m512i ae = windows(data, at[0], at[4]);
	__m512i bf = windows(data, at[1], at[5]);
	__m512i cg = windows(data, at[2], at[6]);
	__m512i dh = windows(data, at[3], at[7]);
	__m512i ab0 = _mm512_unpacklo_epi64(ae, bf);
	__m512i ab1 = _mm512_unpackhi_epi64(ae, bf);
	__m512i cd0 = _mm512_unpacklo_epi64(cg, dh);
	__m512i cd1 = _mm512_unpackhi_epi64(cg, dh);

	m[0] = _mm512_permutex2var_epi64(ab0, low, cd0);
	m[1] = _mm512_permutex2var_epi64(ab1, low, cd1);
	m[2] = _mm512_permutex2var_epi64(ab0, high, cd0);
	m[3] = _mm512_permutex2var_epi64(ab1, high, cd1);
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
	__m512i ms[4], mt[4];

	gather(data, at, ms);
	gather(data, at + 8, mt);
	sip_absorb(&s, &t, ms[0], mt[0]);
	sip_absorb(&s, &t, ms[1], mt[1]);
	sip_absorb(&s, &t, ms[2], mt[2]);
	sip_absorb(&s, &t, ms[3], mt[3]);
	sip_absorb(&s, &t, set64(SIP_LENGTH), set64(SIP_LENGTH));
	s.v2 = _mm512_xor_si512(s.v2, set64(SIP_FINAL));
	t.v2 = _mm512_xor_si512(t.v2, set64(SIP_FINAL));
	sip_absorb(&s, &t, _mm512_setzero_si512(), _mm512_setzero_si512());
	sip_absorb(&s, &t, _mm512_setzero_si512(), _mm512_setzero_si512());
	_mm512_storeu_si512(out, sip_end(&s));
	_mm512_storeu_si512(out + 8, sip_end(&t));
}

/* --------------------------------------------------------- the filter */

/* Bit k: are all bits of mask clear in the upper byte of sum k of the 32? */
INLINE uint32_t
verdict(__m256i even, __m256i odd, __m256i mask)
{
	/* even >> 8 | (odd & 0xff00) */
	__m256i upper = _mm256_ternarylogic_epi64(_mm256_srli_epi16(even, 8),
		odd, _mm256_set1_epi16((short)0xff00), 0xf8);

	return _mm256_testn_epi8_mask(upper, mask);
}

#define SCAN chunker_scan_avx512
#include "chunker/chunker_vector_internal.h"

#endif
