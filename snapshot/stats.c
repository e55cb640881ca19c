/* SPDX-License-Identifier: ISC */
/* stats: what snapshots hold, counted as restic counts it. */
#include <stdlib.h>

#include "snapshot/content_internal.h"
#include "snapshot/idset_internal.h"
#include "snapshot/source_internal.h"

#define BATCH 1024 /* chunks looked up at once */

struct stats {
	struct qs_source *source;
	enum qs_stats_mode mode;
	struct qs_progress *progress; /* or NULL */
	struct qs_stats sum;
	struct qs_idset links; /* of this snapshot: inodes counted already */
	struct qs_idset seen;  /* of all: contents, or chunks */
	struct qs_fetch batch[BATCH];
	size_t batch_count;
	/* Parts of chunks' frames do not come out even: in 1/65536 bytes. */
	uint64_t stored_fraction;
	enum qs_code rc; /* the first failure: it ends the walk */
	struct qs_err err;
};

static bool
is_cancelled(const struct stats *stats)
{
	return stats->progress != NULL &&
		atomic_load(&stats->progress->cancel);
}

/* ------------------------------------------------------------ raw data */

/* What a chunk takes in the store: its share of its frame. */
static enum qs_code
add_stored(struct stats *stats, const struct qs_chunk_loc *loc,
	struct qs_err *err)
{
	struct source_pack *pack = NULL;
	const struct qs_frame_entry *entry;
	enum qs_code rc;

	rc = source_pack_acquire(stats->source, loc->pack, &pack, err);
	if (rc != QS_OK)
		return rc;
	if (loc->frame >= pack->frame_count ||
	    pack->frames[loc->frame].plain_len == 0 ||
	    loc->len > pack->frames[loc->frame].plain_len) {
		rc = qs_fail(err, QS_ECORRUPT,
			"index: object %s has no such frame",
			source_hex(&pack->ref.name).hex);
	} else {
		entry = &pack->frames[loc->frame];
		/* 2^24 x 2^22 x 2^16 fits. */
		stats->stored_fraction += ((uint64_t)entry->sealed_len *
			loc->len << 16) / entry->plain_len;
		stats->sum.stored_bytes += stats->stored_fraction >> 16;
		stats->stored_fraction &= 0xffff;
		stats->sum.blobs++;
		stats->sum.blob_bytes += loc->len;
	}
	source_pack_release(stats->source, pack);
	return rc;
}

static enum qs_code
flush(struct stats *stats, struct qs_err *err)
{
	struct qs_id ids[BATCH];
	struct qs_chunk_loc locs[BATCH];
	enum qs_code rc;

	if (stats->batch_count == 0)
		return QS_OK;
	for (size_t i = 0; i < stats->batch_count; i++)
		ids[i] = stats->batch[i].id;
	rc = qs_index_find(stats->source->index, ids, stats->batch_count,
		locs, err);
	for (size_t i = 0; rc == QS_OK && i < stats->batch_count; i++) {
		rc = locs[i].pack == 0 ? qs_fail(err, QS_ENOTFOUND,
			"chunk %s is in no known pack: run qstore check",
			source_hex(&ids[i]).hex) :
			add_stored(stats, &locs[i], err);
	}
	stats->batch_count = 0;
	return rc;
}

static enum qs_code
add_chunk(struct stats *stats, const struct qs_id *id, bool *is_new,
	struct qs_err *err)
{
	enum qs_code rc = qs_idset_add(&stats->seen, id->b, is_new, err);

	if (rc != QS_OK || !*is_new)
		return rc;
	stats->batch[stats->batch_count++].id = *id;
	return stats->batch_count == BATCH ? flush(stats, err) : QS_OK;
}

static enum qs_code
add_ref(void *arg, const struct qs_id *id, uint64_t len, uint64_t offset,
	struct qs_err *err)
{
	bool is_new;

	(void)len;
	(void)offset;
	if (qs_is_zero(id->b, sizeof(id->b)))
		return QS_OK;
	return add_chunk(arg, id, &is_new, err);
}

/* Its list chunks are blobs, too, but only the top ones are counted here. */
static enum qs_code
add_content(struct stats *stats, const struct qs_content *content,
	struct qs_err *err)
{
	enum qs_code rc = QS_OK;
	bool is_new;

	if (content->depth > 0) {
		for (uint32_t i = 0; rc == QS_OK && i < content->count; i++) {
			const struct qs_id id = qs_content_id(content, i);

			rc = add_chunk(stats, &id, &is_new, err);
		}
	}
	return rc != QS_OK ? rc : qs_content_each(stats->source, content,
		add_ref, stats, err);
}
