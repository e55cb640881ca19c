/* SPDX-License-Identifier: ISC */
/* The body of the AVX2 and AVX-512 kernels, included by each in its turn. */
/*
 * The includer has defined SCAN (the kernel's name), LANES, TARGET, INLINE,
 * load(), sip_lanes(), and verdict(), which makes 32 positions' bits of the
 * sums at the even and at the odd ones.
 *
 * 256 bits in AVX-512 too.  The loads are unaligned, so that each 64-byte one
 * would straddle two cache lines, but only every second 32-byte one does: no
 * slower where 512-bit units are two of 256.
 */

/* --------------------------------------------------------- the filter */

struct filter {
	__m256i mul0, mul1, mul2, add, mask;
};

INLINE __m256i
pair(const uint8_t *p, __m256i mul)
{
	return _mm256_mullo_epi16(_mm256_add_epi16(load(p), load(p - 15)), mul);
}

/* The sums of positions p, p + 2, .. p + 30. */
INLINE __m256i
sums(const struct filter *f, const uint8_t *p)
{
	return _mm256_add_epi16(_mm256_add_epi16(f->add, pair(p - 1, f->mul0)),
		_mm256_add_epi16(pair(p - 6, f->mul1), pair(p - 11, f->mul2)));
}

/* Bit k: is p + k an anchor?  For 64 positions. */
INLINE uint64_t
anchors(const struct filter *f, const uint8_t *p)
{
	uint32_t low = verdict(sums(f, p), sums(f, p + 1), f->mask);
	uint32_t high = verdict(sums(f, p + 32), sums(f, p + 33), f->mask);

	return low | (uint64_t)high << 32;
}

/* ----------------------------------------------------------- the scan */

/* The first count <= LANES of queue; at least LANES can be read. */
INLINE bool
ask(const struct qs_chunker_key *key, const uint8_t *data,
	const uint32_t *queue, unsigned count, uint64_t reject,
	struct chunker_hit *out)
{
	uint64_t prf[LANES];
	unsigned i;

	sip_lanes(key, data, queue, prf);
	i = chunker_first_accepted(prf, count, reject);
	if (i == count)
		return false;
	out->at = queue[i];
	out->prf = prf[i];
	return true;
}

TARGET bool
SCAN(const struct qs_chunker *c, const uint8_t *data, size_t from, size_t to,
	uint64_t reject, struct chunker_hit *out)
{
	const struct qs_chunker_key key = c->key;
	const struct filter f = {
		_mm256_set1_epi16((short)key.mul[0]),
		_mm256_set1_epi16((short)key.mul[1]),
		_mm256_set1_epi16((short)key.mul[2]),
		_mm256_set1_epi16((short)key.add),
		_mm256_set1_epi8((char)chunker_filter_mask(c)),
	};
	uint32_t queue[CHUNKER_QUEUE];
	unsigned n = 0, asked, i;
	size_t block = from, skip;
	uint64_t hits;

	if (to - from < CHUNKER_BLOCK)
		return chunker_scan_scalar(c, data, from, to, reject, out);
	while (block < to) {
		/* The last block overlaps the one before, to end at to. */
		skip = 0;
		if (to - block < CHUNKER_BLOCK) {
			skip = CHUNKER_BLOCK - (to - block);
			block = to - CHUNKER_BLOCK;
		}
		hits = anchors(&f, data + block) & ~UINT64_C(0) << skip;
		n = chunker_queue_push(queue, n, hits, block);
		block += CHUNKER_BLOCK;
		if (n < LANES)
			continue;
		for (asked = 0; n - asked >= LANES; asked += LANES)
			if (ask(&key, data, queue + asked, LANES, reject, out))
				return true;
		n -= asked;
		for (i = 0; i < n; i++)
			queue[i] = queue[asked + i];
	}
	if (n == 0)
		return false;
	for (i = n; i < LANES; i++)
		queue[i] = queue[0];
	return ask(&key, data, queue, n, reject, out);
}
