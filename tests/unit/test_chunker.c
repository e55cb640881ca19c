/* SPDX-License-Identifier: ISC */
/* The chunker: every kernel against the plain definition, and its promises. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "chunker/chunker.h"
#include "crypto/crypto.h"
#include "tests/unit/chunker_plain.h"

#ifndef QS_SOURCE_DIR
#define QS_SOURCE_DIR "."
#endif

#define MIB ((size_t)1 << 20)
#define MAX_CUTS 4096

struct cuts {
	size_t count;
	size_t end[MAX_CUTS];
};

/* Small ones: many cuts, and each bound is met. */
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

static void *
allocate(size_t len)
{
	void *data = malloc(len);

	assert_non_null(data);
	return data;
}

static void
cut_plainly(const struct qs_chunker *c, const uint8_t *data, size_t len,
	struct cuts *cuts)
{
	size_t at, anchor;

	cuts->count = 0;
	for (at = 0; at < len; cuts->end[cuts->count++] = at) {
		assert_true(cuts->count < MAX_CUTS);
		at += plain_next(c, data + at, len - at, &anchor);
	}
}

static void
expect_cuts(const struct qs_chunker *c, const uint8_t *data, size_t len,
	const struct cuts *want)
{
	size_t at = 0, i;

	for (i = 0; i < want->count; i++) {
		at += qs_chunker_next(c, data + at, len - at, true);
		assert_int_equal(at, want->end[i]);
	}
	assert_int_equal(at, len);
}

/* All kernels that this processor has. */
static void
expect_all_agree(struct qs_chunker *c, const uint8_t *data, size_t len)
{
	struct cuts *want = allocate(sizeof(*want));
	int kernel;

	cut_plainly(c, data, len, want);
	for (kernel = 0; kernel <= QS_CHUNKER_AVX512; kernel++)
		if (qs_chunker_set_kernel(c, (enum qs_chunker_kernel)kernel))
			expect_cuts(c, data, len, want);
	free(want);
}

/* Words out of few letters, in lines. */
static void
fill_text(uint8_t *data, size_t len)
{
	static const char words[] = "the of struct int return static const ";
	uint64_t seed = 3, r;
	size_t i = 0;

	while (i < len) {
		r = plain_random(&seed);
		data[i] = (uint8_t)words[r % (sizeof(words) - 1)];
		if (r >> 60 == 0)
			data[i] = '\n';
		if (r >> 56 == 0x77 && i > 80)
			data[i] = data[i - 80];
		i++;
	}
}

static void
kernels_agree_with_the_definition(void **state)
{
	const struct qs_chunker_params params = qs_chunker_params_default();
	const size_t len = 3 * MIB + 77;
	uint8_t *data = allocate(len);
	uint64_t seed = 5;
	size_t i;
	uint8_t k;

	(void)state;
	for (k = 0; k < 2; k++) {
		struct qs_chunker big = make(&params, k);
		struct qs_chunker little = make(&small, k);

		plain_fill_random(data, len, 1 + k);
		expect_all_agree(&big, data, len);
		expect_all_agree(&little, data, len);
		fill_text(data, len);
		expect_all_agree(&big, data, len);
		expect_all_agree(&little, data, len);
		for (i = 0; i < len; i++)
			data[i] = plain_random(&seed) % 2 == 0 ? 'a' : 'b';
		expect_all_agree(&big, data, len);
		expect_all_agree(&little, data, len);
		memset(data, 0, len);
		expect_all_agree(&big, data, len);
		memset(data, 0xff, len);
		expect_all_agree(&big, data, len);
		/* A run beyond max between random parts */
		plain_fill_random(data, MIB, 9);
		plain_fill_random(data + len - MIB / 2, MIB / 2, 10);
		expect_all_agree(&big, data, len);
		expect_all_agree(&little, data, len);
	}
	free(data);
}

static void
kernels_agree_on_periods(void **state)
{
	const size_t len = 100 * 1000;
	uint8_t *data = allocate(len);
	size_t period, i;

	(void)state;
	for (period = 1; period <= 64; period++) {
		struct qs_chunker c = make(&small, (uint8_t)period);

		plain_fill_random(data, period, period);
		for (i = period; i < len; i++)
			data[i] = data[i - period];
		expect_all_agree(&c, data, len);
	}
	free(data);
}

/* The rare block of many anchors: there a queue might overflow. */
static void
kernels_agree_where_all_is_anchors(void **state)
{
	const size_t len = 300 * 1000;
	struct qs_chunker c = make(&small, 1);
	uint8_t *data = allocate(len);
	size_t i;

	(void)state;
	c.key.mul[0] = c.key.mul[1] = c.key.mul[2] = c.key.add = 0;
	plain_fill_random(data, len, 4);
	expect_all_agree(&c, data, len);
	/* Anchors that come in thousands, most of which the PRF refuses */
	c.key.mul[0] = 1;
	c.params.s_small = c.params.s_large = 12;
	for (i = 0; i < len; i++)
		data[i] = (uint8_t)(data[i] % (i % 3000 < 1500 ? 256 : 1));
	expect_all_agree(&c, data, len);
	free(data);
}

/*
 * A search is two scans, up to nrm and from there, of any length: with all
 * positions anchors and cuts not displaced, one that is left out shows.
 */
static void
no_position_is_left_out_whatever_a_scans_length(void **state)
{
	struct qs_chunker_params params = small;
	struct qs_chunker c;
	uint8_t data[600];
	size_t want, anchor;
	int kernel;

	(void)state;
	params.min = 64;
	params.d_bits = 0;
	params.s_small = params.s_large = 6;
	c = make(&params, 1);
	memset(c.key.mul, 0, sizeof(c.key.mul));
	c.key.add = 0;
	plain_fill_random(data, sizeof(data), 4);
	for (c.key.sip[0] = 0; c.key.sip[0] < 100; c.key.sip[0]++) {
		want = plain_next(&c, data, sizeof(data), &anchor);
		for (c.params.nrm = 64; c.params.nrm < 330; c.params.nrm++)
			for (kernel = 0; kernel <= QS_CHUNKER_AVX512; kernel++)
				if (qs_chunker_set_kernel(
					    &c, (enum qs_chunker_kernel)kernel))
					assert_int_equal(want,
						qs_chunker_next(&c, data,
							sizeof(data), true));
	}
}

/* ------------------------------------------------- the frozen vectors */

static void
read_word(FILE *file, const char *name, char word[static 80])
{
	char found[80];

	if (name != NULL) {
		assert_int_equal(fscanf(file, " %79s", found), 1);
		assert_string_equal(found, name);
	}
	assert_int_equal(fscanf(file, " %79s", word), 1);
}

static uint64_t
read_number(FILE *file, const char *name, int base)
{
	char word[80], *end;
	uint64_t value;

	read_word(file, name, word);
	value = strtoull(word, &end, base);
	assert_int_equal(*end, 0);
	return value;
}

static uint8_t *
make_input(size_t len)
{
	uint8_t *data = allocate(len + 64);
	uint8_t number[8] = {0};
	size_t i;
	int k;

	for (i = 0; i * 64 < len; i++) {
		for (k = 0; k < 8; k++)
			number[k] = (uint8_t)((uint64_t)i >> 8 * k);
		crypto_generichash(data + i * 64, 64, number, 8, NULL, 0);
	}
	return data;
}

static void
expect_vector(FILE *file, const uint8_t ds[static 32])
{
	struct qs_chunker_params p;
	struct qs_chunker_key key;
	struct qs_chunker c;
	struct cuts *cuts = allocate(sizeof(*cuts));
	char word[80];
	uint8_t *data;
	size_t len;
	int kernel;

	p.id = (uint32_t)read_number(file, "params", 10);
	p.c_bits = (uint8_t)read_number(file, NULL, 10);
	p.d_bits = (uint8_t)read_number(file, NULL, 10);
	p.window = (uint8_t)read_number(file, NULL, 10);
	p.s_small = (uint8_t)read_number(file, NULL, 10);
	p.s_large = (uint8_t)read_number(file, NULL, 10);
	p.min = (uint32_t)read_number(file, NULL, 10);
	p.nrm = (uint32_t)read_number(file, NULL, 10);
	p.max = (uint32_t)read_number(file, NULL, 10);
	assert_true(qs_chunker_params_ok(&p));
	len = (size_t)read_number(file, "input", 10);
	read_word(file, "input_hash", word);
	data = make_input(len);
	qs_chunker_derive(ds, &p, &key);
	read_number(file, "ctr", 10);
	assert_true(key.sip[0] == read_number(file, "sip", 16));
	assert_true(key.sip[1] == read_number(file, NULL, 16));
	assert_int_equal(key.mul[0], read_number(file, "mul", 16));
	assert_int_equal(key.mul[1], read_number(file, NULL, 16));
	assert_int_equal(key.mul[2], read_number(file, NULL, 16));
	assert_int_equal(key.add, read_number(file, "add", 16));
	qs_chunker_init(&c, &p, &key);
	cuts->count = 0;
	do {
		cuts->end[cuts->count] = (size_t)read_number(
			file, cuts->count == 0 ? "cuts" : NULL, 10);
		assert_true(cuts->count < MAX_CUTS - 1);
	} while (cuts->end[cuts->count++] < len);
	for (kernel = 0; kernel <= QS_CHUNKER_AVX512; kernel++)
		if (qs_chunker_set_kernel(&c, (enum qs_chunker_kernel)kernel))
			expect_cuts(&c, data, len, cuts);
	free(cuts);
	free(data);
}

static void
frozen_vectors_come_out(void **state)
{
	FILE *file = fopen(QS_SOURCE_DIR "/tests/vectors/chunker.txt", "r");
	char line[128];
	uint8_t ds[32];
	size_t ds_len, count = 0;

	(void)state;
	assert_non_null(file);
	while (fgets(line, sizeof(line), file) != NULL) {
		if (strncmp(line, "ds ", 3) != 0)
			continue;
		assert_int_equal(sodium_hex2bin(ds, sizeof(ds), line + 3, 64,
					 NULL, &ds_len, NULL),
			0);
		assert_int_equal(ds_len, sizeof(ds));
		expect_vector(file, ds);
		count++;
	}
	fclose(file);
	assert_int_equal(count, 3);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(kernels_agree_with_the_definition),
		cmocka_unit_test(kernels_agree_on_periods),
		cmocka_unit_test(kernels_agree_where_all_is_anchors),
		cmocka_unit_test(
			no_position_is_left_out_whatever_a_scans_length),
		cmocka_unit_test(frozen_vectors_come_out),
	};
	struct qs_err err;

	if (qs_crypto_init(&err) != QS_OK)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
