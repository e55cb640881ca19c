/* SPDX-License-Identifier: ISC */
/*
 * chunker: where a file is cut into chunks, as a pure function of its bytes
 * and a secret key.
 *
 * The definition (QCDC-1) is in docs/FORMAT.md.  In short: a cheap keyed
 * filter calls one position in 2^c_bits an anchor; SipHash-2-4 of the window
 * that ends at an anchor decides whether the chunk is cut there, and by how
 * many bytes (up to 2^d_bits) the cut is displaced beyond the anchor.  So a
 * boundary betrays neither the key nor, to one who knows the anchors, which
 * file this is.  Every kernel gives the same cuts.
 *
 * No I/O, no allocation, no floating point.  Nothing here can fail.
 * Thread-safe: a struct qs_chunker that is set up is only read.
 */
#ifndef QS_CHUNKER_H
#define QS_CHUNKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define QS_CHUNKER_QCDC1 1u
/* No chunk is longer, whatever the parameters on disk say. */
#define QS_CHUNKER_MAX_BYTES (4u << 20)

/* As they stand in a folder's descriptor. */
struct qs_chunker_params {
	uint32_t id;	 /* QS_CHUNKER_QCDC1 */
	uint8_t c_bits;	 /* one position in 2^c_bits is an anchor */
	uint8_t d_bits;	 /* a cut is displaced by less than 2^d_bits bytes */
	uint8_t window;	 /* bytes the PRF sees */
	uint8_t s_small; /* one anchor in 2^s_small cuts, below nrm ... */
	uint8_t s_large; /* ... and one in 2^s_large from there on */
	uint32_t min, nrm, max; /* bytes */
};

/* Secret: whoever owns it wipes it.  c_bits are part of its derivation. */
struct qs_chunker_key {
	uint64_t sip[2];
	uint16_t mul[3]; /* odd */
	uint16_t add;
};

enum qs_chunker_kernel {
	QS_CHUNKER_SCALAR = 0,
	QS_CHUNKER_AVX2 = 1,
	QS_CHUNKER_AVX512 = 2,
};

/* Holds a copy of the key: whoever owns it wipes it. */
struct qs_chunker {
	struct qs_chunker_params params;
	struct qs_chunker_key key;
	enum qs_chunker_kernel kernel;
};

/* Those of a new folder. */
struct qs_chunker_params qs_chunker_params_default(void);

/* May these be used?  To be asked of parameters that come from disk. */
bool qs_chunker_params_ok(const struct qs_chunker_params *params);

/* The key of a folder with dedup secret ds.  params are ok. */
void qs_chunker_derive(const uint8_t ds[static 32],
	const struct qs_chunker_params *params, struct qs_chunker_key *out);

/* Copies both; chooses the best kernel.  params are ok. */
void qs_chunker_init(struct qs_chunker *c,
	const struct qs_chunker_params *params,
	const struct qs_chunker_key *key);

/*
 * The length of the first chunk of data, or 0 if more bytes are needed to
 * tell.  is_last: the file ends at data + len; then 0 only for len 0.
 * Never 0 for len >= params.max.  A cut depends on the bytes from the start
 * of the chunk alone, never on how many of those behind it are at hand.
 * After a 0 the search begins anew, so give at least params.max bytes when
 * they exist.  Reads nothing outside data[0 .. len).
 */
size_t qs_chunker_next(const struct qs_chunker *c, const uint8_t *data,
	size_t len, bool is_last);

/* The fastest kernel that this processor (and QSTORE_CPU) allows. */
enum qs_chunker_kernel qs_chunker_kernel_best(void);

/* For tests and bench.  False, and no change, if it can't run here. */
bool qs_chunker_set_kernel(struct qs_chunker *c, enum qs_chunker_kernel kernel);

#endif
