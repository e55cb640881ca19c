/* SPDX-License-Identifier: ISC */
/* A sealed pack with known content, for the tests of packs. */
#ifndef QS_PACK_HELP_H
#define QS_PACK_HELP_H

#include <stdlib.h>

#include "tests/suite/store_help.h"

struct sealed_pack { /* owned copies of what a builder lent */
	uint8_t *object;
	size_t size;
	struct qs_name name;
	struct qs_pack_ref ref;
};

static inline void
pack_help_add(struct qs_pack_builder *builder, const struct qs_keys *keys,
	enum qs_kind kind, uint8_t domain, struct qs_compressor *compressor,
	struct qs_span plain, unsigned parts)
{
	uint8_t *packed = malloc(plain.len);
	struct qs_chunk_entry chunks[8];
	struct qs_span payload = plain;
	enum qs_comp comp = QS_COMP_RAW;
	uint32_t step = (uint32_t)plain.len / parts;
	struct qs_err err;
	size_t packed_len = 0;

	if (compressor != NULL)
		help_ok(qs_frame_compress(compressor, plain, packed,
			&packed_len, &comp, &err), &err);
	if (comp == QS_COMP_ZSTD)
		payload = qs_span(packed, packed_len);
	for (uint32_t i = 0; i < parts; i++) {
		uint32_t off = i * step;
		uint32_t len = i + 1 == parts ? (uint32_t)plain.len - off :
			step;

		chunks[i].off = off;
		chunks[i].len = len;
		qs_chunk_id(keys, kind, domain,
			qs_span(plain.data + off, len), &chunks[i].id);
	}
	qs_pack_builder_add(builder, kind, domain, comp, payload,
		(uint32_t)plain.len, chunks, parts);
	free(packed);
}

static inline struct sealed_pack
pack_help_seal(struct qs_pack_builder *builder, bool is_tail)
{
	struct sealed_pack out;
	struct qs_span object = {NULL, 0};
	struct qs_err err;

	help_ok(qs_pack_builder_seal(builder, is_tail, &object, &err), &err);
	out.object = malloc(object.len);
	memcpy(out.object, object.data, object.len);
	out.size = object.len;
	qs_hash_name(object, &out.name);
	qs_pack_builder_ref(builder, &out.ref);
	out.ref.name = out.name;
	return out;
}

#endif
