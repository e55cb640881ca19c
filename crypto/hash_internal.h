/* SPDX-License-Identifier: ISC */
/*
 * Multi-lane BLAKE2b (RFC 7693), what the files hash_*.c share: the state of
 * up to eight messages hashed side by side, and the kernels that compress
 * it.  Message i owns lane i, column i of every array.
 */
#ifndef QS_HASH_INTERNAL_H
#define QS_HASH_INTERNAL_H

#include "crypto/crypto.h"

#define QS_B2_BLOCK 128

/*
 * A lane that has no message is given the data of one that has: its work is
 * thrown away, and it reads nothing that the others would not read.
 */
struct qs_b2_lanes {
	_Alignas(64) uint64_t h[8][QS_LANES_MAX];
	uint64_t t[QS_LANES_MAX];    /* bytes counted so far; < 2^64 */
	uint64_t step[QS_LANES_MAX]; /* bytes that each block will count */
	uint64_t last[QS_LANES_MAX]; /* all ones: the block is the last */
	const uint8_t *data[QS_LANES_MAX];
};

/*
 * Compress `blocks` blocks from each of the lanes first .. first+width-1 and
 * move their data pointers on.
 */
struct qs_b2_kernel {
	unsigned width;
	void (*run)(struct qs_b2_lanes *lanes, unsigned first, size_t blocks);
};

/*
 * What one processor uses: `wide` while more messages are at hand than
 * `narrow` is wide, else `narrow`, which needs less time for a block.
 */
struct qs_b2_kernels {
	const char *name;
	struct qs_b2_kernel wide, narrow;
};

/* NULL: this processor has none, libsodium does it. */
const struct qs_b2_kernels *qs_b2_kernels(void);

/* Compress `blocks` blocks of lanes 0 .. active-1; active is 1 .. 8. */
void qs_b2_run(const struct qs_b2_kernels *kernels, struct qs_b2_lanes *lanes,
	unsigned active, size_t blocks);

/*
 * The chaining value of an empty BLAKE2b-256; key_len is 0 or 32, personal
 * has 16 bytes or is NULL.
 */
void qs_b2_start(uint64_t h[static 8], size_t key_len,
	const uint8_t *personal);

/* The personalisation of docs/FORMAT.md: "qstore1:" tag, zero-padded. */
void qs_b2_personal(uint8_t personal[static 16], const char *tag);

void qs_b2_avx2_4(struct qs_b2_lanes *lanes, unsigned first, size_t blocks);
void qs_b2_avx512_4(struct qs_b2_lanes *lanes, unsigned first, size_t blocks);
void qs_b2_avx512_8(struct qs_b2_lanes *lanes, unsigned first, size_t blocks);

/* RFC 7693, the initialisation vector */
#define QS_B2_IV0 0x6a09e667f3bcc908U
#define QS_B2_IV1 0xbb67ae8584caa73bULL
#define QS_B2_IV2 0x3c6ef372fe94f82bULL
#define QS_B2_IV3 0xa54ff53a5f1d36f1ULL
#define QS_B2_IV4 0x510e527fade682d1ULL
#define QS_B2_IV5 0x9b05688c2b3e6c1fULL
#define QS_B2_IV6 0x1f83d9abfb41bd6bULL
#define QS_B2_IV7 0x5be0cd19137e2179ULL

#endif
