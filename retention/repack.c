/* SPDX-License-Identifier: ISC */
/*
 * What is in use in packs that are mostly not, into new ones: read, checked,
 * compressed and sealed as a snapshot's chunks are.  One thread; a pack buffer,
 * a frame of each kind and what is being read are all that is in memory.
 *
 * Order for each new pack, as in snapshot/create_commit.c: its name is written
 * down, it is durable in the store, the index has it, as in no record yet.
 */
#include <stdlib.h>

#include "retention/retention_internal.h"

#define BATCH 64             /* chunks read at once */
#define BATCH_BYTES (4u << 20)
#define CACHE (16u << 20)

struct gather { /* chunks of one kind and domain, sharing a frame */
	struct qs_buf plain;
	struct qs_chunk_entry *entries;
	size_t count, cap;
	uint8_t domain;
};

struct repack {
	struct qs_folder *folder;
	struct qs_source *source;
	struct qs_compressor *compressor;
	struct qs_pack_builder *builder;
	struct qs_buf out; /* a compressed frame */
	struct gather gathers[QS_KIND_LIST + 1];
	struct qs_fetch items[BATCH];
	uint8_t domains[BATCH];
	size_t count;
	uint64_t bytes;
	struct qs_buf *names;
	struct qs_retire_result *result;
};

/* ----------------------------------------------------------------- packs */

static enum qs_code
add_rows(struct qs_index *index, const struct qs_pack_ref *ref,
	const struct qs_pack_dir *dir, struct qs_err *err)
{
	enum qs_code rc = qs_index_unlogged_add(index, &ref->name, 1, err);

	if (rc == QS_OK)
		rc = qs_index_add(index, ref, dir, err);
	if (rc == QS_OK)
		rc = qs_index_pending_drop(index, &ref->name, err);
	return rc == QS_OK ? qs_index_commit(index, err) : rc;
}

static enum qs_code
write_pack(struct repack *repack, bool is_tail, struct qs_err *err)
{
	struct qs_store *store = repack->folder->store;
	struct qs_index *index = repack->folder->index;
	struct qs_stage *stage;
	struct qs_pack_ref ref;
	struct qs_pack_dir dir;
	struct qs_span object;
	enum qs_code rc = qs_pack_builder_seal(repack->builder, is_tail,
		&object, err);

	if (rc != QS_OK)
		return rc;
	rc = store->ops->stage(store->self, object, &stage, err);
	if (rc != QS_OK)
		return rc;
	qs_pack_builder_ref(repack->builder, &ref);
	qs_pack_builder_dir(repack->builder, &dir);
	rc = qs_store_name(store, &stage, 1, &ref.name, err);
	if (rc == QS_OK)
		rc = qs_index_pending_add(index, &ref.name, 1, err);
	if (rc != QS_OK) {
		store->ops->discard(store->self, stage);
		return rc;
	}
	rc = store->ops->commit(store->self, &stage, &ref.name, 1, err);
	if (rc == QS_OK)
		rc = add_rows(index, &ref, &dir, err);
	if (rc == QS_OK)
		rc = qs_buf_append(repack->names, ref.name.b, 32, err);
	if (rc != QS_OK)
		return rc;
	repack->result->written++;
	repack->result->written_bytes += ref.size;
	qs_pack_builder_reset(repack->builder);
	return QS_OK;
}

static enum qs_code
put_frame(struct repack *repack, enum qs_kind kind, uint8_t domain,
	struct qs_span plain, const struct qs_chunk_entry *entries,
	size_t count, struct qs_err *err)
{
	struct qs_span payload = plain;
	size_t out_len = 0;
	enum qs_comp comp;
	enum qs_code rc = qs_frame_compress(repack->compressor, plain,
		repack->out.data, &out_len, &comp, err);

	if (rc != QS_OK)
		return rc;
	if (comp != QS_COMP_RAW)
		payload = qs_span(repack->out.data, out_len);
	if (!qs_pack_builder_fits(repack->builder, payload.len, count))
		rc = write_pack(repack, false, err);
	if (rc == QS_OK)
		qs_pack_builder_add(repack->builder, kind, domain, comp,
			payload, (uint32_t)plain.len, entries, count);
	return rc;
}

/* ---------------------------------------------------------------- frames */

static enum qs_code
flush_gather(struct repack *repack, enum qs_kind kind, struct qs_err *err)
{
	struct gather *gather = &repack->gathers[kind];
	enum qs_code rc;

	if (gather->count == 0)
		return QS_OK;
	rc = put_frame(repack, kind, gather->domain,
		qs_buf_span(&gather->plain), gather->entries, gather->count,
		err);
	gather->plain.len = 0;
	gather->count = 0;
	return rc;
}

static enum qs_code
put_chunk(struct repack *repack, const struct qs_fetch *item, uint8_t domain,
	struct qs_err *err)
{
	struct gather *gather = &repack->gathers[item->kind];
	struct qs_chunk_entry entry = {.id = item->id, .len = item->len};
	enum qs_code rc = QS_OK;

	if (item->len >= QS_FRAME_OWN && item->kind == QS_KIND_DATA)
		return put_frame(repack, item->kind, domain,
			qs_span(item->data, item->len), &entry, 1, err);
	if (gather->domain != domain ||
		gather->plain.len + item->len > QS_FRAME_GATHER ||
		gather->count >= QS_PACK_CHUNKS / 4)
		rc = flush_gather(repack, item->kind, err);
	gather->domain = domain;
	if (rc == QS_OK)
		rc = qs_array_room(&gather->entries, gather->count,
			&gather->cap, sizeof(*gather->entries), err);
	if (rc != QS_OK)
		return rc;
	entry.off = (uint32_t)gather->plain.len;
	gather->entries[gather->count++] = entry;
	return qs_buf_append(&gather->plain, item->data, item->len, err);
}

/* ---------------------------------------------------------------- chunks */

static enum qs_code
flush_batch(struct repack *repack, struct qs_err *err)
{
	const size_t count = repack->count;
	enum qs_code rc = qs_source_fetch(repack->source, repack->items,
		count, err);

	for (size_t i = 0; rc == QS_OK && i < count; i++)
		rc = put_chunk(repack, &repack->items[i], repack->domains[i],
			err);
	qs_source_release(repack->source, repack->items, count);
	repack->count = 0;
	repack->bytes = 0;
	return rc;
}

static enum qs_code
take_chunk(struct repack *repack, const struct qs_pack_dir *dir,
	const struct qs_chunk_entry *chunk, struct qs_err *err)
{
	const struct qs_frame_entry *frame = &dir->frames[chunk->frame];
	enum qs_code rc = QS_OK;

	if (repack->count == BATCH || (repack->count > 0 &&
		repack->bytes + chunk->len > BATCH_BYTES))
		rc = flush_batch(repack, err);
	if (rc != QS_OK)
		return rc;
	repack->domains[repack->count] = frame->domain;
	repack->items[repack->count++] = (struct qs_fetch){.id = chunk->id,
		.kind = (enum qs_kind)frame->kind, .len = chunk->len};
	repack->bytes += chunk->len;
	return QS_OK;
}

static enum qs_code
take_pack(struct repack *repack, const struct live *live, struct plan *plan,
	const struct plan_pack *pack, struct qs_err *err)
{
	struct qs_pack_dir dir;
	enum qs_code rc = qs_index_pack_dir(repack->folder->index,
		pack->number, &dir, err);

	if (rc != QS_OK)
		return rc;
	for (uint32_t i = 0; rc == QS_OK && i < dir.chunk_count; i++) {
		const struct qs_chunk_entry *chunk = &dir.chunks[i];
		bool is_new = false;

		if (live->progress != NULL &&
			atomic_load(&live->progress->cancel))
			rc = qs_fail(err, QS_ECANCELED, "interrupted");
		else if (plan_is_live(live, &dir, chunk))
			rc = qs_idset_add(&plan->kept, chunk->id.b, &is_new,
				err);
		if (rc == QS_OK && is_new)
			rc = take_chunk(repack, &dir, chunk, err);
	}
	qs_pack_dir_clear(&dir);
	return rc;
}

static enum qs_code
finish(struct repack *repack, struct qs_err *err)
{
	enum qs_code rc = flush_batch(repack, err);

	for (unsigned kind = QS_KIND_DATA; rc == QS_OK &&
		kind <= QS_KIND_LIST; kind++)
		rc = flush_gather(repack, (enum qs_kind)kind, err);
	if (rc == QS_OK && !qs_pack_builder_is_empty(repack->builder))
		rc = write_pack(repack, true, err);
	return rc;
}

static void
clear(struct repack *repack)
{
	qs_source_free(repack->source);
	qs_compressor_free(repack->compressor);
	qs_pack_builder_free(repack->builder);
	qs_buf_clear(&repack->out);
	for (size_t i = 0; i <= QS_KIND_LIST; i++) {
		qs_buf_clear(&repack->gathers[i].plain);
		free(repack->gathers[i].entries);
	}
	free(repack);
}

enum qs_code
repack(struct qs_folder *folder, const struct live *live, struct plan *plan,
	enum qs_level level, struct qs_buf *names,
	struct qs_retire_result *result, struct qs_err *err)
{
	struct repack *repack = calloc(1, sizeof(*repack));
	enum qs_code rc;

	if (repack == NULL)
		return qs_fail_nomem(err, "packing anew");
	repack->folder = folder;
	repack->names = names;
	repack->result = result;
	rc = qs_source_new(folder, CACHE, &repack->source, err);
	if (rc == QS_OK)
		rc = qs_compressor_new(level, &repack->compressor, err);
	if (rc == QS_OK)
		rc = qs_pack_builder_new(folder->keys, &repack->builder, err);
	if (rc == QS_OK)
		rc = qs_buf_reserve(&repack->out, QS_CHUNK_MAX, err);
	for (size_t i = 0; rc == QS_OK && i < plan->count; i++) {
		if (plan->packs[i].fate == PLAN_REPACK)
			rc = take_pack(repack, live, plan, &plan->packs[i],
				err);
	}
	if (rc == QS_OK)
		rc = finish(repack, err);
	clear(repack);
	return rc;
}
