/* SPDX-License-Identifier: ISC */
/* Parameters, key derivation, and the rule that turns anchors into cuts. */
#include <assert.h>

#include "base/base.h"
#include "crypto/crypto.h"
#include "chunker/chunker_internal.h"
#include "chunker/chunker.h"

struct qs_chunker_params
qs_chunker_params_default(void)
{
	/* Chosen by measurement; the table is in chunker/README.md. */
	return (struct qs_chunker_params){
		.id = QS_CHUNKER_QCDC1,
		.c_bits = 7,
		.d_bits = 13,
		.window = CHUNKER_WINDOW,
		.s_small = 13,
		.s_large = 9,
		.min = 64u << 10,
		.nrm = 256u << 10,
		.max = 1u << 20,
	};
}

bool
qs_chunker_params_ok(const struct qs_chunker_params *params)
{
	if (params->id != QS_CHUNKER_QCDC1 || params->window != CHUNKER_WINDOW)
		return false;
	/*
	 * Above 8 the filter would have to look at a second byte.  Below 7
	 * hardly a key would spare constant runs.
	 */
	if (params->c_bits < 7 || params->c_bits > 8 || params->d_bits > 16)
		return false;
	/* The PRF's top bits decide, its low bits displace: keep them apart. */
	if (params->s_large < 1 || params->s_large > params->s_small ||
		params->s_small + params->d_bits > 64)
		return false;
	return params->min >= 64 && params->min <= params->nrm &&
	       params->nrm <= params->max &&
	       params->max <= QS_CHUNKER_MAX_BYTES;
}

static uint64_t
load_le(const uint8_t *p, unsigned bytes)
{
	uint64_t value = 0;

	while (bytes-- > 0)
		value = value << 8 | p[bytes];
	return value;
}

/*
 * Would a long run of one byte value consist of anchors?  Such runs (holes,
 * padding) are common; without anchors they pass at the filter's full speed.
 */
static bool
fires_on_constant(const struct qs_chunker_key *key, unsigned c_bits)
{
	uint32_t mul = (uint32_t)key->mul[0] + key->mul[1] + key->mul[2];
	uint32_t value, sum;

	for (value = 0; value < 256; value++) {
		sum = value * 0x0202u * mul + key->add;
		if ((sum & 0xffffu) >> (16 - c_bits) == 0)
			return true;
	}
	return false;
}

void
qs_chunker_derive(const uint8_t ds[static 32],
	const struct qs_chunker_params *params, struct qs_chunker_key *out)
{
	struct qs_chunker_key key;
	uint8_t x[64];
	unsigned ctr = 0;

	assert(qs_chunker_params_ok(params));
	/*
	 * One try in 8 is good for c_bits 7.  If none of 256 were (never),
	 * the last would serve: constant runs would be slow, not wrong.
	 */
	do {
		uint8_t msg = (uint8_t)ctr;

		qs_b2b(x, sizeof(x), ds, "cdc", &msg, 1);
		key.sip[0] = load_le(x, 8);
		key.sip[1] = load_le(x + 8, 8);
		key.mul[0] = (uint16_t)(load_le(x + 16, 2) | 1);
		key.mul[1] = (uint16_t)(load_le(x + 18, 2) | 1);
		key.mul[2] = (uint16_t)(load_le(x + 20, 2) | 1);
		key.add = (uint16_t)load_le(x + 22, 2);
	} while (fires_on_constant(&key, params->c_bits) && ++ctr < 256);
	*out = key;
	qs_wipe(&key, sizeof(key));
	qs_wipe(x, sizeof(x));
}

void
qs_chunker_init(struct qs_chunker *c, const struct qs_chunker_params *params,
	const struct qs_chunker_key *key)
{
	assert(qs_chunker_params_ok(params));
	c->params = *params;
	c->key = *key;
	c->kernel = qs_chunker_kernel_best();
}

enum qs_chunker_kernel
qs_chunker_kernel_best(void)
{
#if QS_CHUNKER_X86
	unsigned features = qs_cpu_features();

	if ((features & QS_CPU_AVX512) != 0)
		return QS_CHUNKER_AVX512;
	if ((features & QS_CPU_AVX2) != 0)
		return QS_CHUNKER_AVX2;
#endif
	return QS_CHUNKER_SCALAR;
}

bool
qs_chunker_set_kernel(struct qs_chunker *c, enum qs_chunker_kernel kernel)
{
	/* Each kernel's processors have the instructions of those before. */
	if (kernel > qs_chunker_kernel_best())
		return false;
	c->kernel = kernel;
	return true;
}

static bool
scan(const struct qs_chunker *c, const uint8_t *data, size_t from, size_t to,
	unsigned s_bits, struct chunker_hit *out)
{
	uint64_t reject = ~UINT64_C(0) << (64 - s_bits);

	if (from >= to)
		return false;
#if QS_CHUNKER_X86
	if (c->kernel == QS_CHUNKER_AVX512)
		return chunker_scan_avx512(c, data, from, to, reject, out);
	if (c->kernel == QS_CHUNKER_AVX2)
		return chunker_scan_avx2(c, data, from, to, reject, out);
#endif
	return chunker_scan_scalar(c, data, from, to, reject, out);
}

size_t
qs_chunker_next(const struct qs_chunker *c, const uint8_t *data, size_t len,
	bool is_last)
{
	const struct qs_chunker_params *p = &c->params;
	/* Can't more bytes change the outcome? */
	bool is_whole = is_last || len >= p->max;
	size_t limit = len < p->max ? len : p->max;
	size_t nrm, cut;
	struct chunker_hit hit;

	if (len <= p->min)
		return is_whole ? len : 0;
	/* Position i ends a chunk of i + 1 bytes: below nrm, that is. */
	nrm = limit < p->nrm - 1 ? limit : p->nrm - 1;
	if (scan(c, data, p->min - 1, nrm, p->s_small, &hit) ||
		scan(c, data, nrm, limit, p->s_large, &hit)) {
		cut = hit.at + 1;
		cut += (size_t)(hit.prf & ((UINT64_C(1) << p->d_bits) - 1));
		if (cut <= limit)
			return cut;
	}
	return is_whole ? limit : 0;
}
