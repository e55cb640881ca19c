/* SPDX-License-Identifier: ISC */
/*
 * Where chunks go: the open pack, and the frames of trees, lists and indexes
 * being gathered.  The assembler's, one thread.
 */
#include <stdlib.h>

#include "snapshot/create_internal.h"

struct gather { /* chunks of one kind, sharing a frame */
	struct qs_buf plain;
	struct qs_chunk_entry *entries;
	size_t count, cap;
};

struct packer {
	struct create *create;
	struct qs_pack_builder *builder; /* open, or NULL */
	struct qs_compressor *compressor;
	struct qs_buf out;
	struct gather gathers[QS_KIND_LIST + 1];
};

enum qs_code
packer_new(struct create *create, struct packer **out, struct qs_err *err)
{
	struct packer *packer = calloc(1, sizeof(struct packer));
	enum qs_code rc;

	if (packer == NULL)
		return qs_fail_nomem(err, "starting the snapshot");
	packer->create = create;
	rc = qs_compressor_new(create->options->level, &packer->compressor,
		err);
	if (rc == QS_OK)
		rc = qs_buf_reserve(&packer->out, QS_CHUNK_MAX, err);
	if (rc != QS_OK) {
		packer_free(packer);
		return rc;
	}
	*out = packer;
	return QS_OK;
}

void
packer_free(struct packer *packer)
{
	if (packer == NULL)
		return;
	qs_pack_builder_free(packer->builder);
	qs_compressor_free(packer->compressor);
	qs_buf_clear(&packer->out);
	for (size_t i = 0; i <= QS_KIND_LIST; i++) {
		qs_buf_clear(&packer->gathers[i].plain);
		free(packer->gathers[i].entries);
	}
	free(packer);
}

static enum qs_code
put_frame(struct packer *packer, enum qs_kind kind, uint8_t domain,
	enum qs_comp comp, struct qs_span payload, uint32_t plain_len,
	const struct qs_chunk_entry *entries, size_t count, struct qs_err *err)
{
	struct qs_totals *totals = &packer->create->totals;

	if (kind == QS_KIND_DATA || kind == QS_KIND_LIST)
		totals->data_blobs += count;
	else if (kind == QS_KIND_TREE)
		totals->tree_blobs += count;
	if (kind != QS_KIND_INDEX) { /* housekeeping adds nothing of theirs */
		totals->data_added += plain_len;
		totals->data_added_packed += payload.len + QS_TAG_LEN + 16 +
			48 * count;
	}
	if (packer->create->options->dry_run)
		return QS_OK;
	if (packer->builder != NULL && !qs_pack_builder_fits(packer->builder,
		payload.len, count)) {
		board_put_full(&packer->create->board, packer->builder, false);
		packer->builder = NULL;
	}
	if (packer->builder == NULL)
		packer->builder = board_take_builder(&packer->create->board);
	if (packer->builder == NULL)
		return qs_fail(err, QS_ECANCELED, "stopped");
	qs_pack_builder_add(packer->builder, kind, domain, comp, payload,
		plain_len, entries, count);
	return QS_OK;
}

enum qs_code
packer_add_job(struct packer *packer, const struct job *job,
	struct qs_err *err)
{
	enum qs_code rc = QS_OK;

	for (size_t i = 0; i < job->frame_count && rc == QS_OK; i++) {
		const struct job_frame *frame = &job->frames[i];

		rc = put_frame(packer, QS_KIND_DATA, frame->domain,
			frame->comp, qs_span(frame->payload,
				frame->payload_len), frame->plain_len,
			job->entries + frame->first, frame->count, err);
	}
	return rc;
}

static enum qs_code
flush_gather(struct packer *packer, enum qs_kind kind, struct qs_err *err)
{
	struct gather *gather = &packer->gathers[kind];
	struct qs_span payload = qs_buf_span(&gather->plain);
	size_t out_len = 0;
	enum qs_comp comp;
	enum qs_code rc;

	if (gather->count == 0)
		return QS_OK;
	rc = qs_frame_compress(packer->compressor, payload, packer->out.data,
		&out_len, &comp, err);
	if (rc != QS_OK)
		return rc;
	if (comp != QS_COMP_RAW)
		payload = qs_span(packer->out.data, out_len);
	rc = put_frame(packer, kind, 0, comp, payload,
		(uint32_t)gather->plain.len, gather->entries, gather->count,
		err);
	gather->plain.len = 0;
	gather->count = 0;
	return rc;
}

enum qs_code
packer_add_chunk(struct packer *packer, enum qs_kind kind,
	struct qs_span plain, struct qs_id *id, struct qs_err *err)
{
	struct gather *gather = &packer->gathers[kind];
	enum chunk_state state;
	enum qs_code rc;

	qs_chunk_id(packer->create->keys, kind, 0, plain, id);
	rc = claims_ask(packer->create->claims, packer->create->index, id,
		&state, 1, err);
	if (rc != QS_OK || state == CHUNK_KNOWN)
		return rc;
	packer->create->new_chunks++;
	if (gather->plain.len + plain.len > QS_FRAME_GATHER &&
		(rc = flush_gather(packer, kind, err)) != QS_OK)
		return rc;
	if (gather->count == gather->cap) {
		size_t cap = gather->cap ? gather->cap * 2 : 64;
		void *more = realloc(gather->entries,
			cap * sizeof(*gather->entries));

		if (more == NULL)
			return qs_fail_nomem(err, "saving a folder");
		gather->entries = more;
		gather->cap = cap;
	}
	gather->entries[gather->count++] = (struct qs_chunk_entry){.id = *id,
		.off = (uint32_t)gather->plain.len, .len = (uint32_t)plain.len};
	rc = qs_buf_append(&gather->plain, plain.data, plain.len, err);
	/* Many tiny ones would make a frame with too many chunks. */
	if (rc == QS_OK && gather->count >= QS_PACK_CHUNKS / 4)
		rc = flush_gather(packer, kind, err);
	return rc;
}

enum qs_code
packer_flush_frames(struct packer *packer, struct qs_err *err)
{
	enum qs_code rc = QS_OK;

	for (enum qs_kind kind = QS_KIND_DATA; kind <= QS_KIND_LIST &&
		rc == QS_OK; kind++)
		rc = flush_gather(packer, kind, err);
	return rc;
}

enum qs_code
packer_finish(struct packer *packer, struct qs_err *err)
{
	enum qs_code rc = packer_flush_frames(packer, err);

	if (rc == QS_OK && packer->builder != NULL) {
		board_put_full(&packer->create->board, packer->builder, true);
		packer->builder = NULL;
	}
	return rc;
}
