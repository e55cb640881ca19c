/* SPDX-License-Identifier: ISC */
/* BLAKE2b: every kernel against libsodium's, whatever the lengths. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sodium.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "crypto/crypto.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const unsigned masks[] = {0, QS_CPU_SSE41 | QS_CPU_AVX2, ~0U};

static const uint8_t key[QS_KEY_LEN] = {
	0xde, 0xad, 0xbe, 0xef, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12,
	13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 0xff,
};

/* The ways in which qs_hash_many can be called */
static const struct way {
	const uint8_t *key;
	const char *tag;
} ways[] = {
	{NULL, NULL}, {key, "cid"}, {NULL, "x"}, {key, "eightchr"},
};

static uint64_t seed = 88172645463325252U;

static uint64_t
next_random(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

static uint8_t *
random_bytes(size_t len)
{
	uint8_t *bytes = malloc(len > 0 ? len : 1);

	assert_non_null(bytes);
	for (size_t i = 0; i < len; i++)
		bytes[i] = (uint8_t)next_random();
	return bytes;
}

static void
expected(const struct way *way, const struct qs_hash_job *job,
	uint8_t out[32])
{
	uint8_t personal[16] = "qstore1:";

	if (way->tag == NULL) {
		assert_int_equal(crypto_generichash_blake2b(out, 32, job->data,
			job->len, NULL, 0), 0);
		return;
	}
	memcpy(personal + 8, way->tag, strlen(way->tag));
	assert_int_equal(crypto_generichash_blake2b_salt_personal(out, 32,
		job->data, job->len, way->key, way->key != NULL ? 32 : 0,
		NULL, personal), 0);
}

static void
check_jobs(struct qs_hash_job *jobs, size_t count)
{
	for (size_t w = 0; w < COUNT(ways); w++) {
		for (size_t m = 0; m < COUNT(masks); m++) {
			qs_cpu_mask(masks[m]);
			for (size_t i = 0; i < count; i++)
				memset(jobs[i].out, 0xaa, 32);
			qs_hash_many(ways[w].key, ways[w].tag, jobs, count);
			for (size_t i = 0; i < count; i++) {
				uint8_t want[32];

				expected(&ways[w], &jobs[i], want);
				assert_memory_equal(jobs[i].out, want, 32);
			}
		}
	}
	qs_cpu_mask(~0U);
}

/* Each in memory of its own, so that a sanitizer sees what is read beyond. */
static void
make_jobs(struct qs_hash_job *jobs, size_t count, size_t max)
{
	for (size_t i = 0; i < count; i++) {
		jobs[i].len = max == 0 ? i : (size_t)(next_random() % max);
		jobs[i].data = random_bytes(jobs[i].len);
	}
}

static void
free_jobs(struct qs_hash_job *jobs, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		union {
			const uint8_t *borrowed;
			void *owned;
		} data = {jobs[i].data};

		free(data.owned);
	}
}

static void
every_length_to_400_gives_libsodiums_digest(void **state)
{
	static struct qs_hash_job jobs[401];

	(void)state;
	make_jobs(jobs, COUNT(jobs), 0);
	check_jobs(jobs, COUNT(jobs));
	free_jobs(jobs, COUNT(jobs));
}

static void
any_number_of_messages_gives_libsodiums_digests(void **state)
{
	struct qs_hash_job jobs[20];

	(void)state;
	for (size_t count = 0; count <= COUNT(jobs); count++) {
		make_jobs(jobs, count, 1000);
		check_jobs(jobs, count);
		free_jobs(jobs, count);
	}
}

static void
long_messages_of_all_sizes_give_libsodiums_digests(void **state)
{
	struct qs_hash_job jobs[48];

	(void)state;
	make_jobs(jobs, COUNT(jobs), 100000);
	check_jobs(jobs, COUNT(jobs));
	free_jobs(jobs, COUNT(jobs));
}

/* More than the scheduler puts in order, whole blocks and empty ones too. */
static void
a_long_list_gives_libsodiums_digests(void **state)
{
	static struct qs_hash_job jobs[700];

	(void)state;
	make_jobs(jobs, COUNT(jobs), 3000);
	for (size_t i = 0; i < COUNT(jobs); i += 3)
		jobs[i].len -= jobs[i].len % 128;
	check_jobs(jobs, COUNT(jobs));
	free_jobs(jobs, COUNT(jobs));
}

static void
one_long_message_among_short_ones_ends_well(void **state)
{
	struct qs_hash_job jobs[9];

	(void)state;
	for (size_t place = 0; place < COUNT(jobs); place++) {
		for (size_t i = 0; i < COUNT(jobs); i++) {
			jobs[i].len = i == place ? 70000 : 100 + i * 128;
			jobs[i].data = random_bytes(jobs[i].len);
		}
		check_jobs(jobs, COUNT(jobs));
		free_jobs(jobs, COUNT(jobs));
	}
}

static void
nothing_is_read_before_or_beyond_a_message(void **state)
{
	const size_t page = (size_t)sysconf(_SC_PAGESIZE);
	struct qs_hash_job jobs[6];
	uint8_t *map;

	(void)state;
	map = mmap(NULL, 3 * page, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(map != MAP_FAILED);
	memset(map, 7, 3 * page);
	assert_int_equal(mprotect(map, page, PROT_NONE), 0);
	assert_int_equal(mprotect(map + 2 * page, page, PROT_NONE), 0);
	for (size_t len = 1; len < 300; len += 13) {
		for (size_t i = 0; i < COUNT(jobs); i++) {
			jobs[i].len = len + i;
			jobs[i].data = i % 2 == 0 ? map + page :
				map + 2 * page - jobs[i].len;
		}
		check_jobs(jobs, COUNT(jobs));
		check_jobs(jobs, 3); /* the kernels of four lanes */
	}
	assert_int_equal(munmap(map, 3 * page), 0);
}

static void
kernels_follow_the_processor_mask(void **state)
{
	(void)state;
	qs_cpu_mask(0);
	assert_string_equal(qs_hash_kernel(), "scalar");
	qs_cpu_mask(~0U);
	if ((qs_cpu_features() & QS_CPU_AVX512) != 0)
		assert_string_equal(qs_hash_kernel(), "avx512");
	qs_cpu_mask(QS_CPU_AVX2);
	if (qs_cpu_features() == QS_CPU_AVX2)
		assert_string_equal(qs_hash_kernel(), "avx2");
	qs_cpu_mask(~0U);
}

static void
a_name_is_what_b2sum_prints(void **state)
{
	struct qs_name name;
	char hex[QS_HEX_LEN + 1];

	(void)state;
	/* printf abc | b2sum -l 256 */
	qs_hash_name(qs_span("abc", 3), &name);
	qs_hex(hex, name.b, sizeof(name.b));
	assert_string_equal(hex, "bddd813c634239723171ef3fee98579b94964e3bb1cb"
		"3e427262c8c068d52319");
}

static void
rfc_7693s_example_comes_out(void **state)
{
	uint8_t digest[64];
	char hex[2 * sizeof(digest) + 1];

	(void)state;
	qs_hash_plain(digest, sizeof(digest), qs_span("abc", 3));
	qs_hex(hex, digest, sizeof(digest));
	assert_string_equal(hex, "ba80a53f981c4d0d6a2797b69f12f6e94c212f14685a"
		"c4b74b12bb6fdbffa2d17d87c5392aab792dc252d5de4533cc9518d38aa8d"
		"bf1925ab92386edd4009923");
}

static void
parts_are_hashed_as_one_message(void **state)
{
	const struct qs_span parts[] = {
		qs_span("ab", 2), qs_span(NULL, 0), qs_span("cdef", 4),
	};
	uint8_t whole[48], pieces[48];

	(void)state;
	qs_b2b(whole, sizeof(whole), key, "tag", "abcdef", 6);
	qs_b2b_parts(pieces, sizeof(pieces), key, "tag", parts, COUNT(parts));
	assert_memory_equal(whole, pieces, sizeof(whole));
	qs_b2b(pieces, sizeof(pieces), key, "tah", "abcdef", 6);
	assert_memory_not_equal(whole, pieces, sizeof(whole));
	qs_b2b(pieces, sizeof(pieces), NULL, "tag", "abcdef", 6);
	assert_memory_not_equal(whole, pieces, sizeof(whole));
}

/* Slices of `whole` blocks, or of any length, of messages of any lengths. */
static void
check_stream(struct qs_lanes *lanes, size_t count, bool whole)
{
	struct qs_span left[QS_LANES_MAX], slices[QS_LANES_MAX];
	struct qs_name names[QS_LANES_MAX], want;
	uint8_t *bytes[QS_LANES_MAX];
	size_t total[QS_LANES_MAX];
	bool more = true;

	for (size_t i = 0; i < count; i++) {
		total[i] = (size_t)(next_random() %
			(next_random() % 4 == 0 ? 200 : 40000));
		if (next_random() % 4 == 0)
			total[i] -= total[i] % 128;
		bytes[i] = random_bytes(total[i]);
		left[i] = qs_span(bytes[i], total[i]);
	}
	qs_lanes_reset(lanes, count);
	while (more) {
		more = false;
		for (size_t i = 0; i < count; i++) {
			size_t len = (size_t)(next_random() % 9000);

			if (whole)
				len -= len % 128;
			if (len > left[i].len)
				len = left[i].len;
			slices[i] = qs_span(left[i].data, len);
			left[i].data += len;
			left[i].len -= len;
			more = more || left[i].len > 0;
		}
		qs_lanes_update(lanes, slices);
	}
	qs_lanes_final(lanes, names);
	for (size_t i = 0; i < count; i++) {
		qs_hash_name(qs_span(bytes[i], total[i]), &want);
		assert_memory_equal(names[i].b, want.b, sizeof(want.b));
		free(bytes[i]);
	}
}

static void
slices_side_by_side_give_the_names_of_the_wholes(void **state)
{
	struct qs_lanes *lanes = NULL;
	struct qs_err err;

	(void)state;
	assert_int_equal(qs_lanes_new(&lanes, &err), QS_OK);
	for (size_t m = 0; m < COUNT(masks); m++) {
		qs_cpu_mask(masks[m]);
		for (size_t count = 0; count <= QS_LANES_MAX; count++)
			for (int turn = 0; turn < 6; turn++)
				check_stream(lanes, count, turn % 2 == 0);
	}
	qs_cpu_mask(~0U);
	qs_lanes_free(lanes);
	qs_lanes_free(NULL);
}

static void
a_message_without_slices_has_the_name_of_nothing(void **state)
{
	struct qs_lanes *lanes = NULL;
	struct qs_name names[2], want;
	struct qs_err err;

	(void)state;
	qs_hash_name(qs_span(NULL, 0), &want);
	assert_int_equal(qs_lanes_new(&lanes, &err), QS_OK);
	for (size_t m = 0; m < COUNT(masks); m++) {
		qs_cpu_mask(masks[m]);
		qs_lanes_reset(lanes, 2);
		qs_lanes_final(lanes, names);
		assert_memory_equal(names[0].b, want.b, sizeof(want.b));
		assert_memory_equal(names[1].b, want.b, sizeof(want.b));
	}
	qs_cpu_mask(~0U);
	qs_lanes_free(lanes);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_length_to_400_gives_libsodiums_digest),
		cmocka_unit_test(
			any_number_of_messages_gives_libsodiums_digests),
		cmocka_unit_test(
			long_messages_of_all_sizes_give_libsodiums_digests),
		cmocka_unit_test(a_long_list_gives_libsodiums_digests),
		cmocka_unit_test(one_long_message_among_short_ones_ends_well),
		cmocka_unit_test(nothing_is_read_before_or_beyond_a_message),
		cmocka_unit_test(kernels_follow_the_processor_mask),
		cmocka_unit_test(a_name_is_what_b2sum_prints),
		cmocka_unit_test(rfc_7693s_example_comes_out),
		cmocka_unit_test(parts_are_hashed_as_one_message),
		cmocka_unit_test(
			slices_side_by_side_give_the_names_of_the_wholes),
		cmocka_unit_test(
			a_message_without_slices_has_the_name_of_nothing),
	};
	struct qs_err err;

	if (qs_crypto_init(&err) != QS_OK)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
