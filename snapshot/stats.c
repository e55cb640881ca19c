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
	struct qs_idset seen;  /* of all: files' contents, or chunks */
	struct qs_idset trees; /* of all: folders' contents */
	struct qs_id batch[BATCH]; /* chunks to be looked up */
	struct qs_chunk_loc locs[BATCH];
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
	const size_t count = stats->batch_count;
	enum qs_code rc;

	stats->batch_count = 0;
	if (count == 0)
		return QS_OK;
	rc = qs_index_find(stats->source->index, stats->batch, count,
		stats->locs, err);
	for (size_t i = 0; rc == QS_OK && i < count; i++) {
		if (stats->locs[i].pack == 0)
			rc = qs_fail(err, QS_ENOTFOUND,
				"chunk %s is in no known pack",
				source_hex(&stats->batch[i]).hex);
		else
			rc = add_stored(stats, &stats->locs[i], err);
	}
	return rc;
}

static enum qs_code
add_chunk(void *arg, const struct qs_id *id, struct qs_err *err)
{
	struct stats *stats = arg;
	bool is_new;
	enum qs_code rc = qs_idset_add(&stats->seen, id->b, &is_new, err);

	if (rc != QS_OK || !is_new)
		return rc;
	stats->batch[stats->batch_count++] = *id;
	return stats->batch_count == BATCH ? flush(stats, err) : QS_OK;
}

/* ---------------------------------------------------------------- walk */

static enum qs_code
count_restored(struct stats *stats, const struct qs_node *node,
	struct qs_err *err)
{
	bool is_new = true;
	enum qs_code rc = QS_OK;

	if (node->type == QS_NODE_DIR) {
		stats->sum.dirs++;
		return QS_OK;
	}
	if (node->type != QS_NODE_FILE) {
		stats->sum.others++;
		return QS_OK;
	}
	/* The bytes of hard links are there once. */
	if (node->link_group != 0) {
		uint8_t key[8];

		qs_store64(key, node->link_group);
		rc = qs_idset_add(&stats->links, key, &is_new, err);
	}
	stats->sum.files++;
	stats->sum.bytes += is_new ? node->size : 0;
	return rc;
}

static enum qs_code
count_contents(struct stats *stats, const struct qs_node *node,
	struct qs_err *err)
{
	bool first = false;
	enum qs_code rc;

	if (node->type != QS_NODE_FILE)
		return QS_OK;
	rc = qs_content_is_first(&stats->seen, &node->content, &first, err);
	if (rc == QS_OK && first) {
		stats->sum.unique_files++;
		stats->sum.unique_bytes += node->size;
	}
	return rc;
}

static enum qs_code
count_node(struct stats *stats, const struct qs_node *node, bool *enter,
	struct qs_err *err)
{
	enum qs_code rc = QS_OK;

	*enter = true;
	if (is_cancelled(stats))
		return qs_fail(err, QS_ECANCELED, "interrupted");
	if (stats->progress != NULL && node->type == QS_NODE_FILE)
		atomic_fetch_add(&stats->progress->files_done, 1);
	if (stats->mode == QS_STATS_RESTORE_SIZE)
		return count_restored(stats, node, err);
	/* What was counted once is not counted again: nor is all below. */
	if (node->type == QS_NODE_DIR)
		rc = qs_content_is_first(&stats->trees, &node->content,
			enter, err);
	if (rc != QS_OK || !*enter)
		return rc;
	if (stats->mode == QS_STATS_FILES_BY_CONTENTS)
		return count_contents(stats, node, err);
	return qs_content_chunks(stats->source, &node->content,
			add_chunk, stats, err);
}

static enum qs_visit_next
visit(void *arg, const struct qs_visit *it)
{
	struct stats *stats = arg;
	bool enter = true;

	if (stats->rc == QS_OK && it->what == QS_VISIT_NODE) {
		/* The root is no node of its snapshot, but has a content. */
		if (it->depth > 0 || stats->mode != QS_STATS_RESTORE_SIZE)
			stats->rc = count_node(stats, it->node, &enter,
				&stats->err);
		if (stats->rc != QS_OK && stats->rc != QS_ECANCELED)
			(void)qs_fail_while(&stats->err, "/%s", it->path);
	}
	if (stats->rc != QS_OK)
		return QS_VISIT_STOP;
	return enter ? QS_VISIT_GO : QS_VISIT_SKIP;
}

static void
trouble(void *arg, const char *path, const struct qs_err *what)
{
	struct stats *stats = arg;

	if (stats->rc != QS_OK)
		return;
	stats->rc = what->code;
	stats->err = *what;
	(void)qs_fail_while(&stats->err, "folder /%s", path);
}

static enum qs_code
count_snapshot(struct stats *stats, const struct qs_snapshot *snapshot,
	struct qs_err *err)
{
	const struct qs_visitor visitor = {visit, trouble, stats};
	const struct qs_content root = qs_snapshot_root(snapshot);
	enum qs_code rc = qs_tree_walk(stats->source, &root, &visitor, err);

	/* Inodes are numbered anew in each snapshot. */
	qs_idset_clear(&stats->links);
	if (rc == QS_OK && stats->rc != QS_OK) {
		*err = stats->err;
		rc = stats->rc;
	}
	if (rc != QS_OK && rc != QS_ECANCELED) {
		char hex[9];

		qs_hex(hex, snapshot->record.b, 4);
		return qs_fail_while(err, "snapshot %s", hex);
	}
	return rc;
}

enum qs_code
qs_stats(struct qs_folder *folder, const struct qs_snapshot *const *snapshots,
	size_t count, enum qs_stats_mode mode, struct qs_progress *progress,
	struct qs_stats *out, struct qs_err *err)
{
	struct stats *stats = calloc(1, sizeof(*stats));
	struct qs_index_counts counts;
	enum qs_code rc;

	if (stats == NULL)
		return qs_fail_nomem(err, "counting");
	stats->mode = mode;
	stats->progress = progress;
	stats->links = QS_IDSET(1);
	/* Chunks are many: their first 8 bytes are good enough to count by. */
	stats->seen = QS_IDSET(mode == QS_STATS_RAW_DATA ? 1 : 2);
	stats->trees = QS_IDSET(2);
	rc = qs_source_new(folder, QS_SOURCE_CACHE, &stats->source, err);
	for (size_t i = 0; rc == QS_OK && i < count; i++)
		rc = count_snapshot(stats, snapshots[i], err);
	if (rc == QS_OK)
		rc = flush(stats, err);
	if (rc == QS_OK)
		rc = qs_index_count(qs_folder_index(folder), &counts, err);
	if (rc == QS_OK) {
		stats->sum.packs = counts.packs;
		stats->sum.pack_bytes = counts.pack_bytes;
		stats->sum.snapshots = count;
		*out = stats->sum;
	}
	qs_source_free(stats->source);
	qs_idset_clear(&stats->links);
	qs_idset_clear(&stats->seen);
	qs_idset_clear(&stats->trees);
	free(stats);
	return rc;
}
