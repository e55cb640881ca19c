/* SPDX-License-Identifier: ISC */
/*
 * source_packs: where the frames of a few packs are, so that the index is not
 * asked again for each of them.
 */
#include <stdlib.h>

#include "snapshot/source_internal.h"

static void
pack_free(struct source_pack *pack)
{
	free(pack->frames);
	free(pack);
}

/* Under lock. */
static struct source_pack *
find(struct qs_source *source, uint32_t number)
{
	for (size_t i = 0; i < SOURCE_PACKS; i++) {
		struct source_pack *pack = source->packs[i];

		if (pack == NULL || pack->number != number)
			continue;
		pack->users++;
		pack->last_use = ++source->clock;
		return pack;
	}
	return NULL;
}

/* Under lock: keep it in place of the one unused for longest. */
static void
keep(struct qs_source *source, struct source_pack *pack)
{
	struct source_pack **best = NULL;

	if (pack->frame_count > SOURCE_PACK_FRAMES)
		return;
	for (size_t i = 0; i < SOURCE_PACKS; i++) {
		struct source_pack **place = &source->packs[i];

		if (*place == NULL) {
			best = place;
			break;
		}
		if ((*place)->users == 0 && (best == NULL ||
		    (*place)->last_use < (*best)->last_use))
			best = place;
	}
	if (best == NULL)
		return;
	if (*best != NULL)
		pack_free(*best);
	*best = pack;
	pack->is_kept = true;
	pack->last_use = ++source->clock;
}

static enum qs_code
load(struct qs_source *source, uint32_t number, struct source_pack **out,
	struct qs_err *err)
{
	struct source_pack *pack = calloc(1, sizeof(*pack));
	struct qs_index_pack from = {.frames = NULL};
	enum qs_code rc;

	if (pack == NULL)
		return qs_fail_nomem(err, "looking up an object");
	rc = qs_index_pack(source->index, number, &from, err);
	if (rc != QS_OK) {
		free(pack);
		return rc;
	}
	pack->number = number;
	pack->ref = from.ref;
	pack->frames = from.frames;
	pack->frame_count = from.frame_count;
	pack->users = 1;
	*out = pack;
	return QS_OK;
}

enum qs_code
source_pack_acquire(struct qs_source *source, uint32_t number,
	struct source_pack **out, struct qs_err *err)
{
	struct source_pack *pack, *loaded = NULL;
	enum qs_code rc;

	pthread_mutex_lock(&source->lock);
	pack = find(source, number);
	pthread_mutex_unlock(&source->lock);
	if (pack == NULL) {
		rc = load(source, number, &loaded, err);
		if (rc != QS_OK)
			return rc;
		pthread_mutex_lock(&source->lock);
		pack = find(source, number); /* another thread's, by now */
		if (pack == NULL) {
			pack = loaded;
			loaded = NULL;
			keep(source, pack);
		}
		pthread_mutex_unlock(&source->lock);
	}
	if (loaded != NULL)
		pack_free(loaded);
	*out = pack;
	return QS_OK;
}

void
source_pack_release(struct qs_source *source, struct source_pack *pack)
{
	bool is_last;

	if (pack == NULL)
		return;
	pthread_mutex_lock(&source->lock);
	is_last = --pack->users == 0 && !pack->is_kept;
	pthread_mutex_unlock(&source->lock);
	if (is_last)
		pack_free(pack);
}

void
source_packs_clear(struct qs_source *source)
{
	for (size_t i = 0; i < SOURCE_PACKS; i++) {
		if (source->packs[i] != NULL)
			pack_free(source->packs[i]);
		source->packs[i] = NULL;
	}
}
