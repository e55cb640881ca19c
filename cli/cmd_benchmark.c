/* SPDX-License-Identifier: ISC */
/*
 * qstore benchmark: how fast this machine chunks, hashes, seals and
 * compresses, on one core and on made-up data.
 */
#include <stdlib.h>

#include "cli/cli_internal.h"

#define DATA ((size_t)16 << 20)
#define PIECE ((size_t)256 << 10)
#define PIECES (DATA / PIECE)
#define TURN_NS 300000000 /* of each measurement */

struct bench {
	uint8_t *random, *text, *out;
	struct qs_hash_job *jobs;
	struct qs_json json;
	bool is_json;
};

static void
put(struct bench *bench, const char *what, const char *how, double bytes,
	int64_t ns)
{
	const double speed = ns > 0 ? bytes / (double)ns : 0;

	if (bench->is_json) {
		qs_json_open(&bench->json, NULL, '{');
		qs_json_text(&bench->json, "what", what);
		qs_json_text(&bench->json, "how", how);
		qs_json_real(&bench->json, "gb_per_second", speed);
		qs_json_close(&bench->json, '}');
		return;
	}
	(void)printf("%-12s %-10s %8.2f GB/s\n", what, how, speed);
	(void)fflush(stdout);
}

static void
bench_chunker(struct bench *bench)
{
	static const char *const words[] = {"scalar", "avx2", "avx512"};
	const struct qs_chunker_params params = qs_chunker_params_default();
	struct qs_chunker_key key;
	struct qs_chunker chunker;
	uint8_t ds[32];

	qs_random(ds, sizeof(ds));
	qs_chunker_derive(ds, &params, &key);
	qs_chunker_init(&chunker, &params, &key);
	for (unsigned k = 0; k < 3; k++) {
		const int64_t start = qs_mono_ns();
		double bytes = 0;

		if (!qs_chunker_set_kernel(&chunker,
			(enum qs_chunker_kernel)k))
			continue;
		while (qs_mono_ns() - start < TURN_NS) {
			for (size_t at = 0; at < DATA;)
				at += qs_chunker_next(&chunker,
					bench->random + at, DATA - at, true);
			bytes += (double)DATA;
		}
		put(bench, "chunker", words[k], bytes, qs_mono_ns() - start);
	}
	qs_wipe(&key, sizeof(key));
	qs_wipe(&chunker, sizeof(chunker));
}

static void
bench_hash(struct bench *bench)
{
	static const unsigned masks[] = {0, QS_CPU_SSE41 | QS_CPU_AVX2, ~0u};
	const unsigned all = qs_cpu_features();
	const char *before = "";

	for (size_t k = 0; k < 3; k++) {
		const char *kernel;
		int64_t start;
		double bytes = 0;

		qs_cpu_mask(masks[k] & all);
		kernel = qs_hash_kernel();
		if (strcmp(kernel, before) == 0)
			continue;
		before = kernel;
		start = qs_mono_ns();
		while (qs_mono_ns() - start < TURN_NS) {
			for (size_t i = 0; i < PIECES; i++) {
				bench->jobs[i].data = bench->random +
					i * PIECE;
				bench->jobs[i].len = PIECE;
			}
			qs_hash_many(NULL, NULL, bench->jobs, PIECES);
			bytes += (double)DATA;
		}
		put(bench, "hash", kernel, bytes, qs_mono_ns() - start);
	}
	qs_cpu_mask(all);
}

static enum qs_code
bench_aead(struct bench *bench, enum qs_aead_kind kind, struct qs_err *err)
{
	const uint8_t key[QS_KEY_LEN] = {1};
	struct qs_aead *aead = NULL;
	struct qs_err none;
	double bytes = 0;
	int64_t start;
	enum qs_code rc = qs_aead_new(kind, &aead, &none);

	if (rc == QS_EUNSUPPORTED)
		return QS_OK; /* this build does without */
	if (rc == QS_OK)
		rc = qs_aead_set_key(aead, key, &none);
	start = qs_mono_ns();
	while (rc == QS_OK && qs_mono_ns() - start < TURN_NS) {
		for (uint32_t i = 0; rc == QS_OK && i < PIECES; i++)
			rc = qs_aead_seal(aead, i, qs_span(NULL, 0),
				bench->random + i * PIECE, PIECE, bench->out,
				&none);
		bytes += (double)DATA;
	}
	if (rc == QS_OK)
		put(bench, "seal", qs_aead_name(aead), bytes,
			qs_mono_ns() - start);
	else
		*err = none;
	qs_aead_free(aead);
	return rc;
}

static enum qs_code
bench_zstd(struct bench *bench, struct qs_err *err)
{
	static const char *const words[] = {"off", "fastest", "default",
		"better", "max"};

	for (unsigned level = QS_LEVEL_FASTEST; level <= QS_LEVEL_MAX;
		level++) {
		struct qs_compressor *compressor = NULL;
		const int64_t start = qs_mono_ns();
		double bytes = 0;
		enum qs_code rc = qs_compressor_new((enum qs_level)level,
			&compressor, err);

		for (size_t i = 0; rc == QS_OK &&
			qs_mono_ns() - start < TURN_NS; i++) {
			enum qs_comp comp;
			size_t len = PIECE;

			rc = qs_frame_compress(compressor, qs_span(
				bench->text + i % PIECES * PIECE, PIECE),
				bench->out, &len, &comp, err);
			bytes += (double)PIECE;
		}
		qs_compressor_free(compressor);
		if (rc != QS_OK)
			return rc;
		put(bench, "compress", words[level], bytes,
			qs_mono_ns() - start);
	}
	return QS_OK;
}

/* Words drawn from a small list: about as repetitive as prose. */
static void
fill_text(uint8_t *out)
{
	static const char words[16][8] = {"the ", "snapshot", "of ", "a ",
		"folder ", "is ", "written", "before ", "index ", "and ",
		"never ", "lost: ", "0x4f", "return ", "if (", ");\n"};
	uint32_t state = 1;
	size_t at = 0;

	while (at < DATA) {
		const char *word;

		state = state * 1664525u + 1013904223u;
		word = words[state >> 28];
		for (size_t i = 0; i < 8 && word[i] != '\0' && at < DATA; i++)
			out[at++] = (uint8_t)word[i];
		if ((state >> 20 & 7) == 0 && at < DATA)
			out[at++] = (uint8_t)(state >> 8);
	}
}

static enum qs_code
run(struct qs_cli *cli, const void *opts, size_t argc, char **argv,
	struct qs_err *err)
{
	struct bench bench = {.random = malloc(DATA), .text = malloc(DATA),
		.out = malloc(PIECE + QS_TAG_LEN),
		.jobs = calloc(PIECES, sizeof(struct qs_hash_job)),
		.json = qs_json(stdout), .is_json = cli->global.json};
	enum qs_code rc = qs_cli_words(cli, argc, 0, 0, err);

	(void)opts;
	(void)argv;
	if (rc == QS_OK && (bench.random == NULL || bench.text == NULL ||
		bench.out == NULL || bench.jobs == NULL))
		rc = qs_fail_nomem(err, "measuring");
	if (rc != QS_OK)
		goto out;
	qs_random(bench.random, DATA);
	fill_text(bench.text);
	if (bench.is_json)
		qs_json_open(&bench.json, NULL, '[');
	bench_chunker(&bench);
	bench_hash(&bench);
	rc = bench_aead(&bench, QS_AEAD_SODIUM, err);
	if (rc == QS_OK)
		rc = bench_aead(&bench, QS_AEAD_OPENSSL, err);
	if (rc == QS_OK)
		rc = bench_zstd(&bench, err);
	if (bench.is_json) {
		qs_json_close(&bench.json, ']');
		qs_json_end(&bench.json);
	}
out:
	free(bench.random);
	free(bench.text);
	free(bench.out);
	free(bench.jobs);
	return rc;
}

const struct qs_cli_command qs_cmd_benchmark = {
	.name = "benchmark",
	.args = "",
	.brief = "how fast this machine is at what qstore does",
	.example = "qstore benchmark",
	.run = run,
};
