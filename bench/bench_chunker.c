/* SPDX-License-Identifier: ISC */
/* Chunker throughput: lines of chunker,<kernel>,<corpus>,<GB/s>. */
/*
 * GB/s = 10^9 bytes of file a second of one thread's processor time, bytes
 * below a chunk's minimum included, median of 9 runs.  "warm": each buffer
 * of 2 MiB is cut once untimed, then three times timed, as the pipeline
 * finds it in the cache after reading it; "stream": one pass over it all.
 * Without an argument the corpora are random bytes and zeros (128 MiB);
 * with one, that file's first 256 MiB.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/base.h"
#include "chunker/chunker.h"

#define MIB ((size_t)1 << 20)
#define RUNS 9
#define BUFFER (2 * MIB)

static const char *const kernel_names[] = {"scalar", "avx2", "avx512"};

static void
fill_random(uint8_t *data, size_t len)
{
	uint64_t state = 1, z;
	size_t i;

	for (i = 0; i + 8 <= len; i += 8) {
		z = state += UINT64_C(0x9e3779b97f4a7c15);
		z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
		z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
		z ^= z >> 31;
		memcpy(data + i, &z, 8);
	}
}

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static size_t
cut_all(const struct qs_chunker *c, const uint8_t *data, size_t len)
{
	size_t at = 0, count = 0;

	while (at < len) {
		at += qs_chunker_next(c, data + at, len - at, true);
		count++;
	}
	return count;
}

static double
time_warm(const struct qs_chunker *c, const uint8_t *data, size_t len)
{
	double spent = 0, start;
	size_t at;
	int i;

	for (at = 0; at + BUFFER <= len; at += BUFFER) {
		cut_all(c, data + at, BUFFER);
		start = now();
		for (i = 0; i < 3; i++)
			cut_all(c, data + at, BUFFER);
		spent += now() - start;
	}
	return 3 * (double)(len / BUFFER * BUFFER) / spent;
}

static double
time_stream(const struct qs_chunker *c, const uint8_t *data, size_t len)
{
	double start = now();

	cut_all(c, data, len);
	return (double)len / (now() - start);
}

static int
compare(const void *a, const void *b)
{
	double x, y;

	memcpy(&x, a, sizeof(x));
	memcpy(&y, b, sizeof(y));
	return (x > y) - (x < y);
}

static void
bench(struct qs_chunker *c, const char *corpus, const uint8_t *data, size_t len)
{
	double warm[RUNS], stream[RUNS];
	int kernel, run;

	for (kernel = QS_CHUNKER_SCALAR; kernel <= QS_CHUNKER_AVX512;
		kernel++) {
		if (!qs_chunker_set_kernel(c, (enum qs_chunker_kernel)kernel))
			continue;
		for (run = 0; run < RUNS; run++) {
			warm[run] = time_warm(c, data, len);
			stream[run] = time_stream(c, data, len);
		}
		qsort(warm, RUNS, sizeof(*warm), compare);
		qsort(stream, RUNS, sizeof(*stream), compare);
		printf("chunker,%s,%s-warm,%.2f\n", kernel_names[kernel],
			corpus, warm[RUNS / 2] * 1e-9);
		printf("chunker,%s,%s-stream,%.2f\n", kernel_names[kernel],
			corpus, stream[RUNS / 2] * 1e-9);
	}
	fprintf(stderr, "%s: mean chunk %.1f KiB\n", corpus,
		(double)len / 1024 / (double)cut_all(c, data, len));
}

static int
bench_file(struct qs_chunker *c, const char *path, uint8_t *data)
{
	const char *slash = strrchr(path, '/');
	FILE *file = fopen(path, "rb");
	size_t len;

	if (file == NULL) {
		perror(path);
		return 1;
	}
	len = fread(data, 1, 256 * MIB, file);
	fclose(file);
	if (len < BUFFER) {
		fprintf(stderr, "%s: shorter than 2 MiB\n", path);
		return 1;
	}
	bench(c, slash == NULL ? path : slash + 1, data, len);
	return 0;
}

int
main(int argc, char **argv)
{
	struct qs_chunker_params params = qs_chunker_params_default();
	uint8_t ds[32] = {0}, *data = malloc(256 * MIB);
	struct qs_chunker_key key;
	struct qs_chunker c;
	int rc = 0;

	if (data == NULL)
		return 1;
	qs_chunker_derive(ds, &params, &key);
	qs_chunker_init(&c, &params, &key);
	if (argc > 1) {
		rc = bench_file(&c, argv[1], data);
	} else {
		fill_random(data, 128 * MIB);
		bench(&c, "random", data, 128 * MIB);
		memset(data, 0, 128 * MIB);
		bench(&c, "zeros", data, 128 * MIB);
	}
	free(data);
	return rc;
}
