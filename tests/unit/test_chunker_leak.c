/* SPDX-License-Identifier: ISC */
/* What does an exactly visible chunk boundary tell about the file? */
/*
 * The observer knows the filter's key, hence all anchors of a candidate file,
 * but not the PRF's, and sees one boundary after another exactly.  A boundary
 * at length x after the last one tells him
 *
 *  log2 (P(x | the candidate's anchors) / P(x | anchors spread at random))
 *
 * bits in favour of the candidate.  Given the anchors the PRF is uniform, so
 * P follows from sums over them.  Printed are, per boundary of the true file:
 * the expectation over all PRF keys (exact: the sum over all x), and the
 * mean over the cuts that the chunker made, as a check on the model.
 * Spread at random means with the density of the whole corpus: the observer
 * asks for this file among others of its kind.
 *
 * Without an argument: random data; exit status 1 at LIMIT and above.  With
 * one: that file's first 64 MiB, for information.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "chunker/chunker.h"
#include "crypto/crypto.h"
#include "tests/unit/chunker_plain.h"

#define LIMIT 0.05
#define MIB ((size_t)1 << 20)
#define KEYS 6

/* below[x]: probability that the anchor that cuts is one of the first x. */
struct law {
	double *below;
	double left; /* probability that none so far did */
	size_t len;
};

struct tally {
	double exact, seen, seen2; /* sums, bits */
	size_t exact_count, seen_count;
};

static void
law_add(struct law *law, double chance)
{
	law->below[law->len + 1] = law->below[law->len] + law->left * chance;
	law->left *= 1 - chance;
	law->len++;
}

/* Probability of a chunk of x < max bytes: some anchor reaches it. */
static double
law_at(const struct law *law, size_t x, size_t reach)
{
	size_t from = x > reach ? x - reach : 0;

	return (law->below[x] - law->below[from]) / (double)reach;
}

/* Both laws of a chunk's first len bytes; anchors are flags of its place. */
static void
make_laws(const struct qs_chunker *c, const uint8_t *anchors, size_t len,
	double density, struct law laws[2])
{
	const struct qs_chunker_params *p = &c->params;
	size_t i;

	for (i = 0; i < 2; i++) {
		laws[i].len = 0;
		laws[i].left = 1;
		laws[i].below[0] = 0;
	}
	for (i = 0; i < len; i++) {
		double q = i + 1 < p->nrm ? ldexp(1, -p->s_small)
					  : ldexp(1, -p->s_large);

		if (i + 1 < p->min)
			q = 0;
		law_add(&laws[0], anchors[i] != 0 ? q : 0);
		law_add(&laws[1], q * density);
	}
}

/* The expected bits, over all PRF keys, of the boundary behind one start. */
static double
expected_bits(const struct law *candidate, const struct law *any, size_t max,
	size_t reach)
{
	double sum = 0, covered = 0, covered_any = 0, a, b;
	size_t x;

	for (x = 1; x < max; x++) {
		a = law_at(candidate, x, reach);
		b = law_at(any, x, reach);
		covered += a;
		covered_any += b;
		if (a > 0 && b > 0)
			sum += a * log2(a / b);
	}
	a = 1 - covered; /* a chunk of max bytes */
	b = 1 - covered_any;
	if (a > 1e-12 && b > 1e-12)
		sum += a * log2(a / b);
	return sum;
}

static double
seen_bits(const struct law *candidate, const struct law *any, size_t max,
	size_t reach, size_t len)
{
	double a = 0, b = 0;
	size_t x;

	if (len < max)
		return log2(law_at(candidate, len, reach) /
			    law_at(any, len, reach));
	for (x = 1; x < max; x++) {
		a += law_at(candidate, x, reach);
		b += law_at(any, x, reach);
	}
	return log2((1 - a) / (1 - b));
}

static void
one_key(const struct qs_chunker *c, const uint8_t *data, size_t len,
	uint8_t *anchors, struct law laws[2], struct tally *tally)
{
	size_t max = c->params.max, reach = (size_t)1 << c->params.d_bits;
	size_t at, cut, i, count = 0;
	double density, bits;
	bool is_exact;

	for (i = 31; i < len; i++) {
		anchors[i] = plain_anchor(c, data, i);
		count += anchors[i];
	}
	density = (double)count / (double)(len - 31);
	for (at = 0; len - at >= max; at += cut) {
		cut = qs_chunker_next(c, data + at, len - at, true);
		/* The exact sum is dear: every eighth start. */
		is_exact = tally->seen_count++ % 8 == 0;
		make_laws(c, anchors + at, is_exact ? max : cut, density, laws);
		bits = seen_bits(&laws[0], &laws[1], max, reach, cut);
		tally->seen += bits;
		tally->seen2 += bits * bits;
		if (!is_exact)
			continue;
		tally->exact += expected_bits(&laws[0], &laws[1], max, reach);
		tally->exact_count++;
	}
}

/* The greater of the two figures. */
static double
estimate(const char *corpus, struct qs_chunker_params params,
	const uint8_t *data, size_t len)
{
	struct law laws[2] = {{NULL, 0, 0}, {NULL, 0, 0}};
	struct tally t = {0, 0, 0, 0, 0};
	uint8_t *anchors = calloc(1, len);
	struct qs_chunker_key key;
	struct qs_chunker c;
	uint8_t ds[32] = {0};
	double exact, seen, error;

	laws[0].below = malloc((params.max + 1) * sizeof(double));
	laws[1].below = malloc((params.max + 1) * sizeof(double));
	if (anchors == NULL || laws[0].below == NULL || laws[1].below == NULL)
		abort();
	for (ds[0] = 0; ds[0] < KEYS; ds[0]++) {
		qs_chunker_derive(ds, &params, &key);
		qs_chunker_init(&c, &params, &key);
		one_key(&c, data, len, anchors, laws, &t);
	}
	exact = t.exact / (double)t.exact_count;
	seen = t.seen / (double)t.seen_count;
	error = sqrt((t.seen2 / (double)t.seen_count - seen * seen) /
		     (double)t.seen_count);
	printf("%s, C %d, D %d: expected %.4f bit per visible boundary; "
	       "%zu cuts seen: %.4f (standard error %.4f)\n",
		corpus, params.c_bits, params.d_bits, exact, t.seen_count, seen,
		error);
	free(anchors);
	free(laws[0].below);
	free(laws[1].below);
	return exact > seen ? exact : seen;
}

int
main(int argc, char **argv)
{
	struct qs_chunker_params params = qs_chunker_params_default();
	size_t len = argc > 1 ? 64 * MIB : 16 * MIB;
	uint8_t *data = malloc(len);
	struct qs_err err;
	FILE *file;
	double bits;

	if (data == NULL || qs_crypto_init(&err) != QS_OK)
		return 1;
	if (argc > 1) {
		file = fopen(argv[1], "rb");
		if (file == NULL || (len = fread(data, 1, len, file)) < MIB)
			return 1;
		fclose(file);
		estimate(argv[1], params, data, len);
		free(data);
		return 0;
	}
	plain_fill_random(data, len, 1);
	bits = estimate("random", params, data, len);
	/* The estimator works: without displacement it is some c_bits. */
	params.d_bits = 0;
	if (estimate("random, no displacement", params, data, len) <
		params.c_bits - 1)
		bits = 1;
	free(data);
	return bits < LIMIT ? 0 : 1;
}
