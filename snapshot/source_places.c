/* SPDX-License-Identifier: ISC */
/*
 * source_places: where a few thousand chunks are, so that the index, which
 * locks a file for each question, is not asked again for a directory with every
 * file in it.  What is remembered may have become wrong (the index forgets
 * damaged packs): who fails with it asks anew.
 */
#include "snapshot/source_internal.h"

static struct source_place *
place_of(struct qs_source *source, const struct qs_id *id)
{
	/* The id is a keyed hash: its first bytes spread well. */
	return &source->places[qs_load32(id->b) & (SOURCE_PLACES - 1)];
}

/* How many of the items are not remembered; their ids come first in ids. */
static size_t
recall(struct source_call *call, size_t count)
{
	struct source_context *context = call->context;
	size_t asked = 0;

	pthread_mutex_lock(&call->source->lock);
	for (size_t i = 0; i < count; i++) {
		const struct source_place *place = place_of(call->source,
			&call->items[i].id);

		if (!call->is_fresh && place->loc.pack != 0 &&
		    memcmp(place->id.b, call->items[i].id.b, 32) == 0) {
			context->locs[i] = place->loc;
			continue;
		}
		context->ids[asked] = call->items[i].id;
		context->pending[asked++] = i;
	}
	pthread_mutex_unlock(&call->source->lock);
	return asked;
}

enum qs_code
source_places_find(struct source_call *call, size_t count,
	struct qs_err *err)
{
	struct source_context *context = call->context;
	const size_t asked = recall(call, count);
	enum qs_code rc;

	if (asked == 0)
		return QS_OK;
	rc = qs_index_find(call->source->index, context->ids, asked,
		context->found, err);
	if (rc != QS_OK)
		return rc;
	pthread_mutex_lock(&call->source->lock);
	for (size_t i = 0; i < asked; i++) {
		context->locs[context->pending[i]] = context->found[i];
		*place_of(call->source, &context->ids[i]) =
			(struct source_place){context->ids[i],
			context->found[i]};
	}
	pthread_mutex_unlock(&call->source->lock);
	return QS_OK;
}
