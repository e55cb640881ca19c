/* SPDX-License-Identifier: ISC */
/* The chunker's definition in its plainest form, and data, for its tests. */
#ifndef QS_TEST_CHUNKER_PLAIN_H
#define QS_TEST_CHUNKER_PLAIN_H

#include <sodium.h>
#include <string.h>

#include "chunker/chunker.h"

static inline uint32_t
plain_tap(const uint8_t *data, size_t i, size_t back)
{
	return (uint32_t)data[i - back - 1] | (uint32_t)data[i - back] << 8;
}

/* Is i an anchor? */
static inline bool
plain_anchor(const struct qs_chunker *c, const uint8_t *data, size_t i)
{
	const uint16_t *mul = c->key.mul;
	uint32_t y = c->key.add;

	y += mul[0] * (plain_tap(data, i, 0) + plain_tap(data, i, 15));
	y += mul[1] * (plain_tap(data, i, 5) + plain_tap(data, i, 20));
	y += mul[2] * (plain_tap(data, i, 10) + plain_tap(data, i, 25));
	return (y & 0xffff) >> (16 - c->params.c_bits) == 0;
}

static inline uint64_t
plain_le(const uint8_t *bytes)
{
	uint64_t value = 0;
	int i;

	for (i = 7; i >= 0; i--)
		value = value << 8 | bytes[i];
	return value;
}

/* The PRF by libsodium. */
static inline uint64_t
plain_prf(const struct qs_chunker *c, const uint8_t *data, size_t i)
{
	uint8_t key[16], out[8];
	int k;

	for (k = 0; k < 16; k++)
		key[k] = (uint8_t)(c->key.sip[k / 8] >> 8 * (k % 8));
	crypto_shorthash_siphash24(out, data + i - 31, 32, key);
	return plain_le(out);
}

/* The first chunk of a file; *anchor is its anchor, or SIZE_MAX. */
static inline size_t
plain_next(const struct qs_chunker *c, const uint8_t *data, size_t len,
	size_t *anchor)
{
	const struct qs_chunker_params *p = &c->params;
	size_t limit = len < p->max ? len : p->max;
	size_t i, cut;
	unsigned s;
	uint64_t r;

	*anchor = SIZE_MAX;
	if (len <= p->min)
		return len;
	for (i = p->min - 1; i < limit; i++) {
		if (!plain_anchor(c, data, i))
			continue;
		r = plain_prf(c, data, i);
		s = i + 1 < p->nrm ? p->s_small : p->s_large;
		if (r >> (64 - s) != 0)
			continue;
		*anchor = i;
		cut = i + 1 + (size_t)(r & ((UINT64_C(1) << p->d_bits) - 1));
		return cut < limit ? cut : limit;
	}
	return limit;
}

/* SplitMix64 */
static inline uint64_t
plain_random(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static inline void
plain_fill_random(uint8_t *data, size_t len, uint64_t seed)
{
	size_t i;
	uint64_t r = 0;

	for (i = 0; i < len; i++) {
		if (i % 8 == 0)
			r = plain_random(&seed);
		data[i] = (uint8_t)(r >> 8 * (i % 8));
	}
}

#endif
