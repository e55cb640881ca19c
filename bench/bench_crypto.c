/* SPDX-License-Identifier: ISC */
/*
 * Speed of crypto/: hashing by kernel and message size, sealing by
 * implementation; one thread.
 *
 * CSV: hash,<kernel>,<size>,<GB/s> and aead,<impl>,<seal|open>,<size>,<GB/s>.
 * GB = 10^9 bytes; the median of RUNS runs of at least RUN_NS each, of
 * processor time, so that other work on the machine does not count.  Size
 * "mix" is 1 to 20 KB, mostly short, as in a source tree; the messages are
 * BATCH_BYTES together, as one batch of a pipeline is.
 */
#include <stdio.h>
#include <stdlib.h>

#include "crypto/crypto.h"

#define RUNS 7
#define RUN_NS 60000000
#define BATCH_BYTES ((size_t)4 << 20)
#define AEAD_LEN ((size_t)256 << 10)
#define JOBS_MAX (BATCH_BYTES / 1024)

struct load { /* what one turn works on */
	uint8_t *data;
	struct qs_hash_job *jobs;
	size_t count;
	struct qs_lanes *lanes;
	struct qs_aead *aead;
	uint8_t *sealed, *opened;
};

static int64_t
cpu_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static int
by_value(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* turn() returns the bytes it has worked on */
static double
median_speed(size_t (*turn)(struct load *load), struct load *load)
{
	double speeds[RUNS];

	(void)turn(load); /* warm up */
	for (size_t run = 0; run < RUNS; run++) {
		const int64_t start = cpu_ns();
		int64_t spent = 0;
		size_t bytes = 0;

		while (spent < RUN_NS) {
			bytes += turn(load);
			spent = cpu_ns() - start;
		}
		speeds[run] = (double)bytes / (double)spent;
	}
	qsort(speeds, RUNS, sizeof(speeds[0]), by_value);
	return speeds[RUNS / 2];
}

static size_t
hash_many(struct load *load)
{
	static const uint8_t key[QS_KEY_LEN] = {1};
	size_t bytes = 0;

	qs_hash_many(key, "data", load->jobs, load->count);
	for (size_t i = 0; i < load->count; i++)
		bytes += load->jobs[i].len;
	return bytes;
}

static size_t
hash_singly(struct load *load)
{
	size_t bytes = 0;

	for (size_t i = 0; i < load->count; i++) {
		qs_hash_plain(load->jobs[i].out, 32,
			qs_span(load->jobs[i].data, load->jobs[i].len));
		bytes += load->jobs[i].len;
	}
	return bytes;
}

/* Eight objects of 512 KiB each, in slices of 128 KiB */
static size_t
hash_lanes(struct load *load)
{
	struct qs_span slices[QS_LANES_MAX];
	struct qs_name names[QS_LANES_MAX];
	const size_t object = BATCH_BYTES / QS_LANES_MAX, slice = 128 << 10;

	qs_lanes_reset(load->lanes, QS_LANES_MAX);
	for (size_t at = 0; at < object; at += slice) {
		for (size_t i = 0; i < QS_LANES_MAX; i++)
			slices[i] = qs_span(load->data + i * object + at,
				slice);
		qs_lanes_update(load->lanes, slices);
	}
	qs_lanes_final(load->lanes, names);
	return BATCH_BYTES;
}

static size_t
seal(struct load *load)
{
	struct qs_err err;

	if (qs_aead_seal(load->aead, 1, qs_span("0123456789abcdef", 16),
		load->data, AEAD_LEN, load->sealed, &err) != QS_OK)
		abort();
	return AEAD_LEN;
}

static size_t
unseal(struct load *load)
{
	struct qs_err err;

	if (qs_aead_open(load->aead, 1, qs_span("0123456789abcdef", 16),
		qs_span(load->sealed, AEAD_LEN + QS_TAG_LEN), load->opened,
		&err) != QS_OK)
		abort();
	return AEAD_LEN;
}

/* size 0: the mix */
static void
cut_jobs(struct load *load, size_t size)
{
	uint32_t seed = 1;
	size_t at = 0;

	for (load->count = 0; load->count < JOBS_MAX; load->count++) {
		size_t len = size;

		if (size == 0) {
			seed = seed * 1664525 + 1013904223;
			len = 1000 + (seed >> 16) % 3000;
			if (seed >> 30 == 0)
				len += (seed >> 8) % 16000;
		}
		if (at + len > BATCH_BYTES)
			break;
		load->jobs[load->count] = (struct qs_hash_job){
			.data = load->data + at, .len = len,
		};
		at += len;
	}
}

static void
bench_hashes(struct load *load)
{
	static const unsigned masks[] = {0, QS_CPU_SSE41 | QS_CPU_AVX2, ~0U};
	static const size_t sizes[] = {0, 1024, 16384, 65536, 262144};
	char size[24];
	const char *last = "";

	for (size_t m = 0; m < sizeof(masks) / sizeof(masks[0]); m++) {
		qs_cpu_mask(masks[m]);
		if (strcmp(qs_hash_kernel(), last) == 0)
			continue;
		last = qs_hash_kernel();
		for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
			cut_jobs(load, sizes[s]);
			(void)snprintf(size, sizeof(size), "%zu", sizes[s]);
			printf("hash,%s,%s,%.2f\n", last,
				sizes[s] == 0 ? "mix" : size,
				median_speed(hash_many, load));
		}
		printf("hash,%s-lanes,524288,%.2f\n", last,
			median_speed(hash_lanes, load));
	}
	qs_cpu_mask(~0U);
	cut_jobs(load, 65536);
	printf("hash,libsodium-single,65536,%.2f\n",
		median_speed(hash_singly, load));
}

static enum qs_code
bench_aead(struct load *load, enum qs_aead_kind kind, struct qs_err *err)
{
	static const uint8_t key[QS_KEY_LEN] = {2};
	enum qs_code rc;

	rc = qs_aead_new(kind, &load->aead, err);
	if (rc != QS_OK)
		return rc;
	rc = qs_aead_set_key(load->aead, key, err);
	if (rc != QS_OK)
		goto out;
	printf("aead,%s,seal,%zu,%.2f\n", qs_aead_name(load->aead), AEAD_LEN,
		median_speed(seal, load));
	printf("aead,%s,open,%zu,%.2f\n", qs_aead_name(load->aead), AEAD_LEN,
		median_speed(unseal, load));
out:
	qs_aead_free(load->aead);
	load->aead = NULL;
	return rc;
}

int
main(void)
{
	struct load load = {.data = malloc(BATCH_BYTES)};
	struct qs_err err = {QS_OK, 0, ""};
	int status = 1;

	load.jobs = calloc(JOBS_MAX, sizeof(*load.jobs));
	load.sealed = malloc(AEAD_LEN + QS_TAG_LEN);
	load.opened = malloc(AEAD_LEN);
	if (load.data == NULL || load.jobs == NULL || load.sealed == NULL ||
		load.opened == NULL || qs_crypto_init(&err) != QS_OK ||
		qs_lanes_new(&load.lanes, &err) != QS_OK)
		goto out;
	qs_random(load.data, BATCH_BYTES);
	bench_hashes(&load);
	if (bench_aead(&load, QS_AEAD_SODIUM, &err) != QS_OK)
		goto out;
	if (bench_aead(&load, QS_AEAD_OPENSSL, &err) != QS_OK &&
		err.code != QS_EUNSUPPORTED)
		goto out;
	status = 0;
out:
	if (status != 0)
		(void)fprintf(stderr, "bench_crypto: %s\n",
			err.code != QS_OK ? err.msg : "out of memory");
	qs_lanes_free(load.lanes);
	free(load.opened);
	free(load.sealed);
	free(load.jobs);
	free(load.data);
	return status;
}
