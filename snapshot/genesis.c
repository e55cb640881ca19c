/* SPDX-License-Identifier: ISC */
/*
 * GENESIS payload, docs/FORMAT.md: the dedup secret and how the folder's files
 * are cut into chunks.
 */
#include "snapshot/folder_internal.h"

#define GENESIS_VERSION 1

void
qs_genesis_payload_encode(const uint8_t ds[static 32],
	const struct qs_chunker_params *chunker,
	uint8_t out[static QS_GENESIS_LEN])
{
	memset(out, 0, QS_GENESIS_LEN);
	memcpy(out, "QSTG", 4);
	qs_store16(out + 4, GENESIS_VERSION);
	memcpy(out + 8, ds, 32);
	qs_store32(out + 40, chunker->id);
	out[44] = chunker->c_bits;
	out[45] = chunker->d_bits;
	out[46] = chunker->window;
	out[47] = chunker->s_small;
	out[48] = chunker->s_large;
	qs_store32(out + 52, chunker->min);
	qs_store32(out + 56, chunker->nrm);
	qs_store32(out + 60, chunker->max);
}

enum qs_code
qs_genesis_payload_decode(struct qs_span bytes, const uint8_t **ds,
	struct qs_chunker_params *chunker, struct qs_err *err)
{
	const uint8_t *at = bytes.data;
	struct qs_chunker_params params = {0};

	if (bytes.len < QS_GENESIS_LEN || memcmp(at, "QSTG", 4) != 0)
		return qs_fail(err, QS_ECORRUPT,
			"GENESIS payload: does not begin as one");
	if (qs_load16(at + 4) != GENESIS_VERSION)
		return qs_fail(err, QS_EUNSUPPORTED, "GENESIS payload of "
			"version %u: made by a newer version of qstore",
			qs_load16(at + 4));
	params.id = qs_load32(at + 40);
	params.c_bits = at[44];
	params.d_bits = at[45];
	params.window = at[46];
	params.s_small = at[47];
	params.s_large = at[48];
	params.min = qs_load32(at + 52);
	params.nrm = qs_load32(at + 56);
	params.max = qs_load32(at + 60);
	if (params.id != qs_chunker_params_default().id)
		return qs_fail(err, QS_EUNSUPPORTED, "the folder's files are "
			"cut into chunks in a way (%u) that this version of "
			"qstore does not know", params.id);
	if (!qs_is_zero(at + 6, 2) || !qs_is_zero(at + 49, 3) ||
		!qs_is_zero(at + QS_GENESIS_LEN, bytes.len - QS_GENESIS_LEN) ||
		!qs_chunker_params_ok(&params))
		return qs_fail(err, QS_ECORRUPT,
			"GENESIS payload: has values that can't be");
	*ds = at + 8;
	*chunker = params;
	return QS_OK;
}
