/* SPDX-License-Identifier: ISC */
/*
 * source_ahead: frames opened before anybody asks.  What fails here is not
 * told: who needs it will meet it again.
 */
#include "snapshot/source_internal.h"

struct qs_frame_at
qs_source_frame_of(const struct qs_fetch *item)
{
	const struct source_frame *frame = item->pin;

	if (frame == NULL)
		return (struct qs_frame_at){0, 0};
	return (struct qs_frame_at){frame->pack, frame->number};
}

static void
open_frame(struct qs_source *source, struct source_context *context,
	const struct source_pack *pack, uint32_t number)
{
	const struct qs_frame_entry *entry = &pack->frames[number];
	struct source_frame *frame = NULL;
	struct qs_err err;
	enum qs_code rc;

	pthread_mutex_lock(&source->lock);
	if (source_frame_find(source, pack->number, number) == NULL)
		frame = source_frame_claim(source, pack->number, number,
			entry);
	pthread_mutex_unlock(&source->lock);
	if (frame == NULL)
		return;
	rc = source_window_fill(source, context, &pack->ref.name,
		source_frame_from(entry), source_frame_to(entry), &err);
	if (rc == QS_OK)
		rc = source_window_open(context, pack, frame, &err);
	pthread_mutex_lock(&source->lock);
	if (rc == QS_OK) {
		frame->is_ready = true;
		source_frame_unpin(source, frame);
	} else {
		source_frame_drop(source, frame);
	}
	pthread_cond_broadcast(&source->loaded);
	pthread_mutex_unlock(&source->lock);
}

void
qs_source_warm(struct qs_source *source, struct qs_frame_at at)
{
	struct source_context *context;
	struct source_pack *pack;
	struct qs_err err;

	if (at.pack == 0 ||
	    source_pack_acquire(source, at.pack, &pack, &err) != QS_OK)
		return;
	if (at.frame < pack->frame_count &&
	    qs_frame_entry_ok(&pack->frames[at.frame], pack->ref.size) &&
	    source_context_take(source, 1, &context, &err) == QS_OK) {
		open_frame(source, context, pack, at.frame);
		source_context_put(source, context);
	}
	source_pack_release(source, pack);
}
