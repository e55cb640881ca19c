/* SPDX-License-Identifier: ISC */
/*
 * The kernel for every processor: no intrinsics, only the 16-byte vectors of
 * the compiler, which become SSE2, NEON or plain code.
 */
#include <string.h>

#include "chunker/chunker_internal.h"

static inline uint64_t
rotl(uint64_t x, unsigned n)
{
	return x << n | x >> (64 - n);
}

static inline uint64_t
load_le64(const uint8_t *p)
{
	uint64_t x;

	memcpy(&x, p, sizeof(x));
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	x = __builtin_bswap64(x);
#endif
	return x;
}

static inline void
sip_round(uint64_t v[4])
{
	v[0] += v[1];
	v[2] += v[3];
	v[1] = rotl(v[1], 13) ^ v[0];
	v[3] = rotl(v[3], 16) ^ v[2];
	v[0] = rotl(v[0], 32) + v[3];
	v[2] += v[1];
	v[3] = rotl(v[3], 21) ^ v[0];
	v[1] = rotl(v[1], 17) ^ v[2];
	v[2] = rotl(v[2], 32);
}

static inline void
sip_absorb(uint64_t v[4], uint64_t m)
{
	v[3] ^= m;
	sip_round(v);
	sip_round(v);
	v[0] ^= m;
}

/* SipHash-2-4 of the 32 bytes at p. */
static uint64_t
sip(const struct qs_chunker_key *key, const uint8_t *p)
{
	uint64_t v[4] = {
		key->sip[0] ^ SIP_INIT0,
		key->sip[1] ^ SIP_INIT1,
		key->sip[0] ^ SIP_INIT2,
		key->sip[1] ^ SIP_INIT3,
	};

	sip_absorb(v, load_le64(p));
	sip_absorb(v, load_le64(p + 8));
	sip_absorb(v, load_le64(p + 16));
	sip_absorb(v, load_le64(p + 24));
	sip_absorb(v, SIP_LENGTH);
	v[2] ^= SIP_FINAL;
	sip_round(v);
	sip_round(v);
	sip_round(v);
	sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

/* The 16-bit word that ends back bytes before p. */
static inline uint32_t
tap(const uint8_t *p, unsigned back)
{
	return (uint32_t)p[-(ptrdiff_t)back] << 8 | p[-(ptrdiff_t)back - 1];
}

/* The definition itself, for one position p. */
static inline bool
is_anchor(const struct qs_chunker *c, const uint8_t *p)
{
	const struct qs_chunker_key *key = &c->key;
	uint32_t sum = key->add;

	sum += (tap(p, 0) + tap(p, 15)) * key->mul[0];
	sum += (tap(p, 5) + tap(p, 20)) * key->mul[1];
	sum += (tap(p, 10) + tap(p, 25)) * key->mul[2];
	return (sum >> 8 & chunker_filter_mask(c)) == 0;
}

/* Does the PRF cut at the anchor i? */
static inline bool
ask(const struct qs_chunker_key *key, const uint8_t *data, size_t i,
	uint64_t reject, struct chunker_hit *out)
{
	out->at = i;
	out->prf = sip(key, data + i - (CHUNKER_WINDOW - 1));
	return (out->prf & reject) == 0;
}

static bool
scan_singly(const struct qs_chunker *c, const uint8_t *data, size_t from,
	size_t to, uint64_t reject, struct chunker_hit *out)
{
	size_t i;

	for (i = from; i < to; i++)
		if (is_anchor(c, data + i) &&
			ask(&c->key, data, i, reject, out))
			return true;
	return false;
}

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__

typedef uint16_t words __attribute__((vector_size(16)));
typedef uint8_t octets __attribute__((vector_size(16)));

static inline words
load_words(const uint8_t *p)
{
	words w;

	memcpy(&w, p, sizeof(w));
	return w;
}

/* The filter's sums of positions p, p + 2, .. p + 14. */
static inline words
filter(const struct qs_chunker_key *key, const uint8_t *p)
{
	words sum = (load_words(p - 1) + load_words(p - 16)) * key->mul[0];

	sum += (load_words(p - 6) + load_words(p - 21)) * key->mul[1];
	sum += (load_words(p - 11) + load_words(p - 26)) * key->mul[2];
	return sum + key->add;
}

/* Ask about the anchors among 8 positions: those whose octet is 0xff. */
static inline bool
ask_eight(const struct qs_chunker_key *key, const uint8_t *data, size_t first,
	uint64_t anchors, uint64_t reject, struct chunker_hit *out)
{
	size_t k;

	for (anchors &= UINT64_C(0x8080808080808080); anchors != 0;
		anchors &= anchors - 1) {
		k = (size_t)__builtin_ctzll(anchors) / 8;
		if (ask(key, data, first + k, reject, out))
			return true;
	}
	return false;
}

/* 16 positions at a time; in most there is no anchor. */
bool
chunker_scan_scalar(const struct qs_chunker *c, const uint8_t *data,
	size_t from, size_t to, uint64_t reject, struct chunker_hit *out)
{
	const struct qs_chunker_key key = c->key;
	const uint8_t mask = chunker_filter_mask(c);
	octets verdict;
	words even, odd;
	uint64_t half[2];
	size_t i;

	for (i = from; to - i >= 16; i += 16) {
		even = filter(&key, data + i);
		odd = filter(&key, data + i + 1);
		verdict = (octets)(even >> 8 | (odd & 0xff00));
		verdict = (octets)((verdict & mask) == 0);
		memcpy(half, &verdict, sizeof(half));
		if ((half[0] | half[1]) == 0)
			continue;
		if (ask_eight(&key, data, i, half[0], reject, out) ||
			ask_eight(&key, data, i + 8, half[1], reject, out))
			return true;
	}
	return scan_singly(c, data, i, to, reject, out);
}

#else

bool
chunker_scan_scalar(const struct qs_chunker *c, const uint8_t *data,
	size_t from, size_t to, uint64_t reject, struct chunker_hit *out)
{
	return scan_singly(c, data, from, to, reject, out);
}

#endif
