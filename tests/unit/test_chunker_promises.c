/* SPDX-License-Identifier: ISC */
/* The chunker: bounds, slices, edits, memory, parameters, displacement. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/base.h"
#include "chunker/chunker.h"
#include "crypto/crypto.h"
#include "tests/unit/chunker_plain.h"

#define MIB ((size_t)1 << 20)

static const struct qs_chunker_params small = {
	.id = QS_CHUNKER_QCDC1,
	.c_bits = 7,
	.d_bits = 9,
	.window = 32,
	.s_small = 5,
	.s_large = 3,
	.min = 500,
	.nrm = 2000,
	.max = 6000,
};

static struct qs_chunker
make(const struct qs_chunker_params *params, uint8_t seed)
{
	uint8_t ds[32];
	struct qs_chunker_key key;
	struct qs_chunker c;

	memset(ds, seed, sizeof(ds));
	qs_chunker_derive(ds, params, &key);
	qs_chunker_init(&c, params, &key);
	return c;
}

static uint8_t *
random_bytes(size_t len, uint64_t seed)
{
	uint8_t *data = malloc(len);

	assert_non_null(data);
	plain_fill_random(data, len, seed);
	return data;
}

static void
chunks_keep_to_min_and_max(void **state)
{
	const struct qs_chunker_params params = qs_chunker_params_default();
	const size_t len = 48 * MIB;
	struct qs_chunker c = make(&params, 7);
	uint8_t *data = random_bytes(len, 2);
	size_t at, cut, count = 0;

	(void)state;
	for (at = 0; at < len; at += cut, count++) {
		cut = qs_chunker_next(&c, data + at, len - at, true);
		assert_true(cut <= params.max);
		assert_true(cut >= params.min || cut == len - at);
	}
	/* The mean is near 300 KiB. */
	assert_in_range(len / count, 200 << 10, 400 << 10);
	memset(data, 0, 2 * params.max);
	assert_int_equal(
		qs_chunker_next(&c, data, 2 * params.max, true), params.max);
	assert_int_equal(
		qs_chunker_next(&c, data, params.max, false), params.max);
	assert_int_equal(qs_chunker_next(&c, data, 0, true), 0);
	assert_int_equal(qs_chunker_next(&c, data, 1, true), 1);
	assert_int_equal(qs_chunker_next(&c, data, 1, false), 0);
	assert_int_equal(
		qs_chunker_next(&c, data, params.min, true), params.min);
	free(data);
}

/* Whatever is at hand: 0 until the cut is certain, then the same cut. */
static void
slices_do_not_move_cuts(void **state)
{
	const size_t len = 200 * 1000;
	struct qs_chunker c = make(&small, 9);
	uint8_t *data = random_bytes(len, 3);
	size_t at, cut, have, got, step;

	(void)state;
	memset(data + 50000, 0, 20000);
	for (at = 0; at < len; at += cut) {
		cut = qs_chunker_next(&c, data + at, len - at, true);
		step = 1 + at % 97;
		for (have = 0; have < len - at; have += step) {
			got = qs_chunker_next(&c, data + at, have, false);
			if (got != 0)
				break;
			assert_true(have < small.max);
		}
		if (got != 0)
			assert_int_equal(got, cut);
		else
			assert_int_equal(at + cut, len);
		if (got == 0 || cut == small.max)
			continue;
		/* As soon as its own bytes are there, and not before. */
		assert_true(have >= cut);
		assert_int_equal(
			qs_chunker_next(&c, data + at, cut, false), cut);
	}
	free(data);
}

static size_t
cut_all(const struct qs_chunker *c, const uint8_t *data, size_t len,
	size_t *ends)
{
	size_t at = 0, count = 0;

	while (at < len) {
		at += qs_chunker_next(c, data + at, len - at, true);
		ends[count++] = at;
	}
	return count;
}

/* How many of a's ends are among b's, moved by shift? */
static size_t
common(const size_t *a, size_t a_count, const size_t *b, size_t b_count,
	ptrdiff_t shift)
{
	size_t i, j, count = 0;

	for (i = 0, j = 0; i < a_count; i++) {
		size_t want = (size_t)((ptrdiff_t)a[i] + shift);

		while (j < b_count && b[j] < want)
			j++;
		count += j < b_count && b[j] == want;
	}
	return count;
}

static void
cuts_return_after_an_edit(void **state)
{
	const size_t len = 2 * MIB, room = len / small.min + 2;
	struct qs_chunker c = make(&small, 11);
	uint8_t *data = random_bytes(len + 1, 5);
	uint8_t *edited = malloc(len + 1);
	size_t *ends = malloc(room * sizeof(*ends));
	size_t *after = malloc(room * sizeof(*after));
	size_t count, after_count, where, lost = 0, edits = 0;

	(void)state;
	assert_true(edited != NULL && ends != NULL && after != NULL);
	count = cut_all(&c, data, len, ends);
	for (where = 1000; where < len; where += 70001, edits += 2) {
		memcpy(edited, data, where); /* insert a byte */
		edited[where] = (uint8_t)where;
		memcpy(edited + where + 1, data + where, len - where);
		after_count = cut_all(&c, edited, len + 1, after);
		lost += count - common(ends, count, after, after_count, 0) -
			common(ends, count, after, after_count, 1);
		/* remove one */
		memcpy(edited + where, data + where + 1, len - where - 1);
		after_count = cut_all(&c, edited, len - 1, after);
		lost += count - common(ends, count, after, after_count, 0) -
			common(ends, count, after, after_count, -1);
	}
	/* Of some 900 boundaries an edit costs one or two. */
	assert_true(count > 500);
	assert_true(lost <= 3 * edits);
	free(data);
	free(edited);
	free(ends);
	free(after);
}

/*
 * Data that begins right behind, or ends right before, forbidden memory.
 * Every position is an anchor here, and a cut has no displacement, so that
 * one position that a kernel skips at the end shows too.
 */
static void
nothing_is_read_outside_the_data(void **state)
{
	const size_t room = 4 * MIB;
	size_t page = (size_t)sysconf(_SC_PAGESIZE), len, anchor, want;
	struct qs_chunker_params params = small;
	uint8_t *map, *data;
	int kernel, is_end;

	(void)state;
	map = mmap(NULL, room + 2 * page, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(map != MAP_FAILED);
	assert_int_equal(mprotect(map, page, PROT_NONE), 0);
	assert_int_equal(mprotect(map + page + room, page, PROT_NONE), 0);
	plain_fill_random(map + page, room, 12);
	params.min = params.nrm = 64;
	params.s_small = params.s_large = 9;
	params.d_bits = 0;
	for (kernel = 0; kernel <= QS_CHUNKER_AVX512; kernel++) {
		struct qs_chunker c = make(&params, 1);

		memset(c.key.mul, 0, sizeof(c.key.mul));
		c.key.add = 0;
		if (!qs_chunker_set_kernel(&c, (enum qs_chunker_kernel)kernel))
			continue;
		for (len = 0; len < 7000; len += len < 700 ? 1 : 61) {
			for (is_end = 0; is_end < 2; is_end++) {
				data = map + page;
				if (is_end)
					data += room - len;
				c.key.sip[0] = len;
				want = plain_next(&c, data, len, &anchor);
				assert_int_equal(
					qs_chunker_next(&c, data, len, true),
					want);
				qs_chunker_next(&c, data, len, false);
			}
		}
	}
	munmap(map, room + 2 * page);
}

static void
bad_parameters_are_refused(void **state)
{
	const struct qs_chunker_params good = qs_chunker_params_default();
	struct qs_chunker_params p = good;

	(void)state;
	assert_true(qs_chunker_params_ok(&good));
	assert_true(qs_chunker_params_ok(&small));
#define REFUSED(field, value)                                                  \
	do {                                                                   \
		p = good;                                                      \
		p.field = (value);                                             \
		assert_false(qs_chunker_params_ok(&p));                        \
	} while (0)
	REFUSED(id, 0);
	REFUSED(id, 2);
	REFUSED(c_bits, 6);
	REFUSED(c_bits, 9);
	REFUSED(c_bits, 255);
	REFUSED(d_bits, 17);
	REFUSED(window, 31);
	REFUSED(window, 64);
	REFUSED(s_large, 0);
	REFUSED(s_large, 14);
	REFUSED(s_small, 8);
	REFUSED(s_small, 52);
	REFUSED(s_small, 255);
	REFUSED(min, 63);
	REFUSED(min, 0);
	REFUSED(min, (256u << 10) + 1);
	REFUSED(nrm, (64u << 10) - 1);
	REFUSED(nrm, (1u << 20) + 1);
	REFUSED(max, (256u << 10) - 1);
	REFUSED(max, (4u << 20) + 1);
	REFUSED(max, UINT32_MAX);
#undef REFUSED
	p = good;
	p.max = 4u << 20;
	assert_true(qs_chunker_params_ok(&p));
	p.min = p.nrm = p.max = 64;
	assert_true(qs_chunker_params_ok(&p));
}

static void
constant_runs_have_no_anchor(void **state)
{
	const struct qs_chunker_params params = qs_chunker_params_default();
	uint8_t run[64];
	int seed, value;

	(void)state;
	for (seed = 0; seed < 256; seed++) {
		struct qs_chunker c = make(&params, (uint8_t)seed);

		for (value = 0; value < 256; value++) {
			memset(run, value, sizeof(run));
			assert_false(plain_anchor(&c, run, 40));
		}
	}
}

/* Chi-square of (cut - anchor - 1) in 64 classes. */
static void
displacement_is_uniform(void **state)
{
	const size_t len = 24 * MIB;
	struct qs_chunker_params params = small;
	uint8_t *data = random_bytes(len, 8);
	size_t at, cut, anchor, total = 0, seen[64] = {0};
	double expected, chi = 0;
	struct qs_chunker c;
	int i;

	(void)state;
	params.min = params.nrm = 64;
	params.max = 1u << 20;
	params.d_bits = 13;
	params.s_small = params.s_large = 2;
	c = make(&params, 3);
	for (at = 0; len - at > params.max; at += cut, total++) {
		cut = qs_chunker_next(&c, data + at, len - at, true);
		plain_next(&c, data + at, len - at, &anchor);
		assert_in_range(cut, anchor + 1, anchor + (1 << 13));
		seen[(cut - anchor - 1) >> 7]++;
	}
	expected = (double)total / 64;
	assert_true(expected > 50);
	for (i = 0; i < 64; i++)
		chi += ((double)seen[i] - expected) *
		       ((double)seen[i] - expected) / expected;
	/* 63 +- 11.2; more than 120 once in 50 000 keys */
	assert_true(chi > 20 && chi < 120);
	free(data);
}

static void
the_kernel_follows_the_processor_mask(void **state)
{
	struct qs_chunker c;

	(void)state;
	qs_cpu_mask(0);
	c = make(&small, 1);
	assert_int_equal(c.kernel, QS_CHUNKER_SCALAR);
	assert_false(qs_chunker_set_kernel(&c, QS_CHUNKER_AVX2));
	assert_int_equal(c.kernel, QS_CHUNKER_SCALAR);
	qs_cpu_mask(~0u);
	c = make(&small, 1);
	assert_int_equal(c.kernel, qs_chunker_kernel_best());
	assert_true(qs_chunker_set_kernel(&c, QS_CHUNKER_SCALAR));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(chunks_keep_to_min_and_max),
		cmocka_unit_test(slices_do_not_move_cuts),
		cmocka_unit_test(cuts_return_after_an_edit),
		cmocka_unit_test(nothing_is_read_outside_the_data),
		cmocka_unit_test(bad_parameters_are_refused),
		cmocka_unit_test(constant_runs_have_no_anchor),
		cmocka_unit_test(displacement_is_uniform),
		cmocka_unit_test(the_kernel_follows_the_processor_mask),
	};
	struct qs_err err;

	if (qs_crypto_init(&err) != QS_OK)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
