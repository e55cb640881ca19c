/* SPDX-License-Identifier: ISC */
/*
 * What becomes of each pack.  A chunk that is in several packs is in use in one
 * of them: that of which the largest part is in use anyway, so that the others
 * may empty.
 */
#include <stdlib.h>

#include "retention/retention_internal.h"

#define HAVE_BATCH 4096

void
plan_clear(struct plan *plan)
{
	free(plan->packs);
	qs_idset_clear(&plan->kept);
	*plan = (struct plan){0};
}

static int
by_name(const void *a, const void *b)
{
	return qs_name_compare(&((const struct plan_pack *)a)->name,
		&((const struct plan_pack *)b)->name);
}

const struct plan_pack *
plan_find(const struct plan *plan, const struct qs_name *name)
{
	const struct plan_pack key = {.name = *name};

	return plan->count == 0 ? NULL : bsearch(&key, plan->packs,
		plan->count, sizeof(key), by_name);
}

/* ------------------------------------------------------- which there are */

static enum qs_code
add_pack(void *arg, uint32_t number, const struct qs_pack_ref *ref,
	struct qs_err *err)
{
	struct plan *plan = arg;
	enum qs_code rc = qs_array_room(&plan->packs, plan->count, &plan->cap,
		sizeof(*plan->packs), err);

	if (rc == QS_OK)
		plan->packs[plan->count++] = (struct plan_pack){
			.name = ref->name, .number = number,
			.size = ref->size};
	return rc;
}

/* The index's word is not enough: what is not there keeps nothing. */
static enum qs_code
drop_absent(struct plan *plan, struct qs_store *store, struct qs_err *err)
{
	struct qs_name *names = calloc(HAVE_BATCH, sizeof(*names));
	uint64_t *sizes = calloc(HAVE_BATCH, sizeof(*sizes));
	size_t kept = 0;
	enum qs_code rc = QS_OK;

	if (names == NULL || sizes == NULL)
		rc = qs_fail_nomem(err, "looking for objects");
	for (size_t at = 0; rc == QS_OK && at < plan->count;
		at += HAVE_BATCH) {
		const size_t left = plan->count - at;
		const size_t n = left < HAVE_BATCH ? left : HAVE_BATCH;

		for (size_t i = 0; i < n; i++)
			names[i] = plan->packs[at + i].name;
		rc = store->ops->have(store->self, names, n, sizes, err);
		for (size_t i = 0; rc == QS_OK && i < n; i++) {
			if (sizes[i] == plan->packs[at + i].size)
				plan->packs[kept++] = plan->packs[at + i];
		}
	}
	if (rc == QS_OK)
		plan->count = kept;
	free(names);
	free(sizes);
	return rc;
}

static enum qs_code
note_unlogged(void *arg, const struct qs_name *name, struct qs_err *err)
{
	struct plan *plan = arg;
	const struct plan_pack key = {.name = *name};
	struct plan_pack *pack = plan->count == 0 ? NULL : bsearch(&key,
		plan->packs, plan->count, sizeof(key), by_name);

	(void)err;
	if (pack != NULL)
		pack->is_unlogged = true;
	return QS_OK;
}

/* ------------------------------------------------------------- counting */

bool
plan_is_live(const struct live *live, const struct qs_pack_dir *dir,
	const struct qs_chunk_entry *chunk)
{
	if (dir->frames[chunk->frame].kind == QS_KIND_INDEX)
		return qs_idset_has(&live->helpers, chunk->id.b);
	return qs_idset_has(&live->chunks, chunk->id.b);
}

/* What a chunk takes of its frame, rounded up: no pack seems to waste that. */
static uint64_t
share(const struct qs_pack_dir *dir, const struct qs_chunk_entry *chunk)
{
	const struct qs_frame_entry *frame = &dir->frames[chunk->frame];

	return ((uint64_t)frame->sealed_len * chunk->len + frame->plain_len -
		1) / frame->plain_len;
}

static enum qs_code
count_all(struct plan_pack *pack, struct qs_index *index,
	const struct live *live, struct qs_err *err)
{
	struct qs_pack_dir dir;
	enum qs_code rc = qs_index_pack_dir(index, pack->number, &dir, err);

	if (rc != QS_OK)
		return rc;
	for (uint32_t i = 0; i < dir.frame_count; i++)
		pack->used += dir.frames[i].sealed_len;
	for (uint32_t i = 0; i < dir.chunk_count; i++) {
		const struct qs_chunk_entry *chunk = &dir.chunks[i];

		if (!plan_is_live(live, &dir, chunk))
			continue;
		pack->live += share(&dir, chunk);
		pack->has_helper |=
			dir.frames[chunk->frame].kind == QS_KIND_INDEX;
	}
	pack->live = pack->live < pack->used ? pack->live : pack->used;
	qs_pack_dir_clear(&dir);
	return QS_OK;
}

/* Chunks that no pack before it has. */
static enum qs_code
count_own(struct plan_pack *pack, struct qs_index *index,
	const struct live *live, struct qs_idset *taken, struct qs_err *err)
{
	struct qs_pack_dir dir;
	enum qs_code rc = qs_index_pack_dir(index, pack->number, &dir, err);

	if (rc != QS_OK)
		return rc;
	for (uint32_t i = 0; rc == QS_OK && i < dir.chunk_count; i++) {
		const struct qs_chunk_entry *chunk = &dir.chunks[i];
		bool is_new;

		if (!plan_is_live(live, &dir, chunk))
			continue;
		rc = qs_idset_add(taken, chunk->id.b, &is_new, err);
		if (rc != QS_OK || !is_new)
			continue;
		pack->own += share(&dir, chunk);
		pack->own_count++;
		pack->helper_count +=
			dir.frames[chunk->frame].kind == QS_KIND_INDEX;
	}
	pack->own = pack->own < pack->used ? pack->own : pack->used;
	qs_pack_dir_clear(&dir);
	return rc;
}

/* a/b against c/d, without rounding; what has nothing in it is the least. */
static int
compare_shares(uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
	const uint64_t left = a * (d == 0 ? 1 : d);
	const uint64_t right = c * (b == 0 ? 1 : b); /* below 2^24 each */

	return left < right ? -1 : left > right;
}

/* Those that stay anyway, then those of which most is in use. */
static int
fullest_first(const void *a, const void *b)
{
	const struct plan_pack *left = *(struct plan_pack *const *)a;
	const struct plan_pack *right = *(struct plan_pack *const *)b;
	int order;

	if (left->has_helper != right->has_helper)
		return left->has_helper ? -1 : 1;
	order = compare_shares(right->live, right->used, left->live,
		left->used);
	if (order != 0)
		return order;
	if (left->live != right->live)
		return left->live > right->live ? -1 : 1;
	return qs_name_compare(&left->name, &right->name);
}

static int
emptiest_first(const void *a, const void *b)
{
	const struct plan_pack *left = *(struct plan_pack *const *)a;
	const struct plan_pack *right = *(struct plan_pack *const *)b;
	const int order = compare_shares(left->own, left->used, right->own,
		right->used);

	return order != 0 ? order : qs_name_compare(&left->name,
		&right->name);
}

/* ------------------------------------------------------------- choosing */

static uint64_t
allowance(const struct qs_retire_options *options, uint64_t in_use)
{
	if (options->is_unlimited)
		return UINT64_MAX;
	if (options->has_bytes)
		return options->max_unused_bytes;
	return (uint64_t)(options->max_unused / (1 - options->max_unused) *
		(double)in_use);
}

/* The emptiest packs anew, until little enough is unused. */
static void
choose(struct plan_pack **order, size_t count,
	const struct qs_retire_options *options)
{
	uint64_t in_use = 0, waste = 0, allowed;

	for (size_t i = 0; i < count; i++) {
		struct plan_pack *pack = order[i];

		pack->fate = pack->own_count > 0 || pack->is_unlogged ?
			PLAN_KEEP : PLAN_RETIRE;
		in_use += pack->own;
		if (pack->fate == PLAN_KEEP)
			waste += pack->used - pack->own;
	}
	allowed = allowance(options, in_use);
	qsort(order, count, sizeof(struct plan_pack *), emptiest_first);
	for (size_t i = 0; i < count && waste > allowed; i++) {
		struct plan_pack *pack = order[i];

		if (pack->fate != PLAN_KEEP || pack->is_unlogged ||
			pack->has_helper || pack->own == pack->used)
			continue;
		pack->fate = PLAN_REPACK;
		waste -= pack->used - pack->own;
	}
}

static enum qs_code
note_kept(struct plan *plan, struct qs_index *index, const struct live *live,
	struct qs_err *err)
{
	struct plan_pack scratch;
	enum qs_code rc = QS_OK;

	plan->kept = QS_IDSET(2);
	for (size_t i = 0; rc == QS_OK && i < plan->count; i++) {
		if (plan->packs[i].fate != PLAN_KEEP)
			continue;
		scratch = plan->packs[i];
		rc = count_own(&scratch, index, live, &plan->kept, err);
	}
	return rc;
}

static enum qs_code
count(struct plan *plan, struct qs_index *index, const struct live *live,
	struct plan_pack **order, struct qs_err *err)
{
	struct qs_idset taken = QS_IDSET(2);
	size_t found = 0;
	enum qs_code rc = QS_OK;

	for (size_t i = 0; rc == QS_OK && i < plan->count; i++) {
		order[i] = &plan->packs[i];
		rc = count_all(order[i], index, live, err);
	}
	if (rc == QS_OK && plan->count > 1)
		qsort(order, plan->count, sizeof(struct plan_pack *),
			fullest_first);
	for (size_t i = 0; rc == QS_OK && i < plan->count; i++) {
		rc = count_own(order[i], index, live, &taken, err);
		found += order[i]->own_count - order[i]->helper_count;
	}
	if (rc == QS_OK && found < live->chunks.count)
		rc = qs_fail(err, QS_ENOTFOUND, "%zu chunks that snapshots "
			"need are in no object that is there",
			live->chunks.count - found);
	qs_idset_clear(&taken);
	return rc;
}

enum qs_code
plan_make(struct plan *plan, struct qs_folder *folder,
	const struct live *live, const struct qs_retire_options *options,
	struct qs_err *err)
{
	struct plan_pack **order = NULL;
	enum qs_code rc;

	*plan = (struct plan){.count = 0};
	rc = qs_index_each_pack(folder->index, add_pack, plan, err);
	if (rc == QS_OK)
		rc = drop_absent(plan, folder->store, err);
	if (rc != QS_OK)
		goto out;
	if (plan->count > 1)
		qsort(plan->packs, plan->count, sizeof(*plan->packs), by_name);
	rc = qs_index_each_unlogged(folder->index, note_unlogged, plan, err);
	if (rc != QS_OK)
		goto out;
	order = calloc(plan->count + 1, sizeof(struct plan_pack *));
	if (order == NULL) {
		rc = qs_fail_nomem(err, "counting what is in use");
		goto out;
	}
	rc = count(plan, folder->index, live, order, err);
	if (rc == QS_OK) {
		choose(order, plan->count, options);
		rc = note_kept(plan, folder->index, live, err);
	}
out:
	free(order);
	if (rc != QS_OK)
		plan_clear(plan);
	return rc;
}
