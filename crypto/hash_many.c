/* SPDX-License-Identifier: ISC */
/*
 * Multi-lane BLAKE2b: which kernel runs, and many messages of any lengths
 * scheduled over its lanes.
 *
 * Every step gives each active lane one block, or a run of blocks as long as
 * none of them comes to its last one.  A lane whose message ends takes the
 * next message, so that lanes idle only when no message is left.
 */
#include "crypto/hash_internal.h"

#define DIGEST_LEN 32
#define SORTED_MAX 256 /* messages put into order by length */
#define CLASSES 256

static const struct qs_b2_kernels *
kernels_for(unsigned features)
{
#ifdef __x86_64__
	static const struct qs_b2_kernels avx2 = {
		"avx2", {4, qs_b2_avx2_4}, {4, qs_b2_avx2_4},
	};
	static const struct qs_b2_kernels avx512 = {
		"avx512", {8, qs_b2_avx512_8}, {4, qs_b2_avx512_4},
	};

	if ((features & QS_CPU_AVX512) != 0)
		return &avx512;
	if ((features & QS_CPU_AVX2) != 0)
		return &avx2;
#else
	(void)features;
#endif
	return NULL;
}

const struct qs_b2_kernels *
qs_b2_kernels(void)
{
	return kernels_for(qs_cpu_features());
}

const char *
qs_hash_kernel(void)
{
	const struct qs_b2_kernels *kernels = qs_b2_kernels();

	return kernels != NULL ? kernels->name : "scalar";
}

void
qs_b2_run(const struct qs_b2_kernels *kernels, struct qs_b2_lanes *lanes,
	unsigned active, size_t blocks)
{
	const struct qs_b2_kernel *kernel;

	for (unsigned first = 0; first < active; first += kernel->width) {
		kernel = active - first > kernels->narrow.width ?
			&kernels->wide : &kernels->narrow;
		for (unsigned i = active; i < first + kernel->width; i++)
			lanes->data[i] = lanes->data[first];
		kernel->run(lanes, first, blocks);
	}
}

void
qs_b2_start(uint64_t h[static 8], size_t key_len, const uint8_t *personal)
{
	static const uint64_t iv[8] = {
		QS_B2_IV0, QS_B2_IV1, QS_B2_IV2, QS_B2_IV3,
		QS_B2_IV4, QS_B2_IV5, QS_B2_IV6, QS_B2_IV7,
	};

	memcpy(h, iv, sizeof(iv));
	/* parameter block: fanout 1, depth 1, key length, digest length */
	h[0] ^= 0x01010000U ^ (uint64_t)key_len << 8 ^ DIGEST_LEN;
	if (personal != NULL) {
		h[6] ^= qs_load64(personal);
		h[7] ^= qs_load64(personal + 8);
	}
}

struct many {
	const struct qs_b2_kernels *kernels;
	struct qs_b2_lanes lanes;
	unsigned active; /* lanes 0 .. active-1 have a message */
	struct qs_hash_job *job[QS_LANES_MAX];
	size_t full[QS_LANES_MAX]; /* blocks to come before the last one */
	uint8_t tail[QS_LANES_MAX][QS_B2_BLOCK]; /* the last one, padded */
	uint64_t start[8]; /* every message begins here: after the key */
	uint64_t start_bytes;
	const uint8_t *key;
	const char *tag;
	struct qs_hash_job *jobs;
	size_t count, next;
	size_t sorted_from; /* jobs from here on go by order[] */
	uint16_t order[SORTED_MAX];
};

static void
hash_one(const uint8_t *key, const char *tag, struct qs_hash_job *job)
{
	const struct qs_span all = qs_span(job->data, job->len);

	if (tag == NULL)
		qs_hash_plain(job->out, DIGEST_LEN, all);
	else
		qs_b2b(job->out, DIGEST_LEN, key, tag, all.data, all.len);
}

/* Logarithm of the length in quarters: longer is never a smaller class. */
static unsigned
length_class(size_t len)
{
	unsigned log;

	if (len < 4)
		return (unsigned)len;
	log = 63 - (unsigned)__builtin_clzll(len);
	return log * 4 + (unsigned)(len >> (log - 2) & 3);
}

/*
 * The longest first: else a long message that comes last runs alone, with all
 * other lanes idle.  Only the end of the list needs it.
 */
static void
sort_end(struct many *many)
{
	uint16_t begin[CLASSES] = {0};
	uint16_t at = 0;
	size_t sorted;

	if (many->count <= many->kernels->wide.width) {
		many->sorted_from = many->count; /* all begin at once */
		return;
	}
	if (many->count > SORTED_MAX)
		many->sorted_from = many->count - SORTED_MAX;
	sorted = many->count - many->sorted_from;
	for (size_t i = 0; i < sorted; i++)
		begin[length_class(many->jobs[many->sorted_from + i].len)]++;
	for (unsigned class = CLASSES; class-- > 0;) {
		const uint16_t members = begin[class];

		begin[class] = at;
		at = (uint16_t)(at + members);
	}
	for (size_t i = 0; i < sorted; i++) {
		const unsigned class = length_class(
			many->jobs[many->sorted_from + i].len);

		many->order[begin[class]++] = (uint16_t)i;
	}
}

/* The next message, NULL when there is none. */
static struct qs_hash_job *
next_job(struct many *many)
{
	while (many->next < many->count) {
		size_t at = many->next++;
		struct qs_hash_job *job;

		if (at >= many->sorted_from)
			at = many->sorted_from +
				many->order[at - many->sorted_from];
		job = &many->jobs[at];
		if (job->len > 0)
			return job;
		/* With a key, its block would be the last one: no lane. */
		hash_one(many->key, many->tag, job);
	}
	return NULL;
}

static void
load_lane(struct many *many, unsigned lane, struct qs_hash_job *job)
{
	for (unsigned i = 0; i < 8; i++)
		many->lanes.h[i][lane] = many->start[i];
	many->lanes.t[lane] = many->start_bytes;
	many->lanes.data[lane] = job->data;
	many->job[lane] = job;
	many->full[lane] = (job->len - 1) / QS_B2_BLOCK;
}

static void
move_lane(struct many *many, unsigned to, unsigned from)
{
	for (unsigned i = 0; i < 8; i++)
		many->lanes.h[i][to] = many->lanes.h[i][from];
	many->lanes.t[to] = many->lanes.t[from];
	many->lanes.data[to] = many->lanes.data[from];
	many->job[to] = many->job[from];
	many->full[to] = many->full[from];
}

/* Run all lanes up to the block before the nearest end of a message. */
static void
run_full_blocks(struct many *many)
{
	size_t blocks = many->full[0];

	for (unsigned i = 1; i < many->active; i++)
		if (many->full[i] < blocks)
			blocks = many->full[i];
	if (blocks == 0)
		return;
	for (unsigned i = 0; i < many->active; i++) {
		many->lanes.step[i] = QS_B2_BLOCK;
		many->lanes.last[i] = 0;
		many->full[i] -= blocks;
	}
	qs_b2_run(many->kernels, &many->lanes, many->active, blocks);
}

/* One block of all lanes: the last one of at least one of them. */
static void
run_ending_block(struct many *many)
{
	for (unsigned i = 0; i < many->active; i++) {
		size_t len;

		if (many->full[i] > 0) {
			many->lanes.step[i] = QS_B2_BLOCK;
			many->lanes.last[i] = 0;
			many->full[i]--;
			continue;
		}
		len = (many->job[i]->len - 1) % QS_B2_BLOCK + 1;
		memcpy(many->tail[i], many->lanes.data[i], len);
		memset(many->tail[i] + len, 0, QS_B2_BLOCK - len);
		many->lanes.data[i] = many->tail[i];
		many->lanes.step[i] = len;
		many->lanes.last[i] = UINT64_MAX;
	}
	qs_b2_run(many->kernels, &many->lanes, many->active, 1);
}

/* Hand out the digests of messages that ended, and refill their lanes. */
static void
refill(struct many *many)
{
	for (unsigned i = many->active; i-- > 0;) {
		struct qs_hash_job *job;

		if (many->lanes.last[i] == 0)
			continue;
		for (size_t w = 0; w < DIGEST_LEN / 8; w++)
			qs_store64(many->job[i]->out + 8 * w,
				many->lanes.h[w][i]);
		job = next_job(many);
		if (job != NULL)
			load_lane(many, i, job);
		else if (--many->active != i)
			/* From above i: looked at already, so it goes on. */
			move_lane(many, i, many->active);
	}
}

/* The chaining value after the key's block is the same for all messages. */
static void
start_messages(struct many *many)
{
	uint8_t block[QS_B2_BLOCK] = {0};
	uint8_t personal[16];
	uint64_t h[8];

	if (many->tag != NULL)
		qs_b2_personal(personal, many->tag);
	qs_b2_start(h, many->key != NULL ? QS_KEY_LEN : 0,
		many->tag != NULL ? personal : NULL);
	if (many->key != NULL) {
		memcpy(block, many->key, QS_KEY_LEN);
		for (unsigned i = 0; i < 8; i++)
			many->lanes.h[i][0] = h[i];
		many->lanes.data[0] = block;
		many->lanes.step[0] = QS_B2_BLOCK;
		qs_b2_run(many->kernels, &many->lanes, 1, 1);
		for (unsigned i = 0; i < 8; i++)
			h[i] = many->lanes.h[i][0];
		many->start_bytes = QS_B2_BLOCK;
		qs_wipe(block, sizeof(block));
	}
	memcpy(many->start, h, sizeof(h));
}

void
qs_hash_many(const uint8_t *key, const char *tag, struct qs_hash_job *jobs,
	size_t count)
{
	struct many many = {
		.kernels = qs_b2_kernels(), .key = key, .tag = tag,
		.jobs = jobs, .count = count,
	};
	struct qs_hash_job *job;

	if (many.kernels == NULL || count < 2) {
		for (size_t i = 0; i < count; i++)
			hash_one(key, tag, &jobs[i]);
		return;
	}
	start_messages(&many);
	sort_end(&many);
	while (many.active < many.kernels->wide.width &&
		(job = next_job(&many)) != NULL)
		load_lane(&many, many.active++, job);
	while (many.active > 0) {
		run_full_blocks(&many);
		run_ending_block(&many);
		refill(&many);
	}
	if (key != NULL)
		qs_wipe(&many, sizeof(many));
}
