/* SPDX-License-Identifier: ISC */
/*
 * source_ahead: what is not done while somebody waits.  Frames are opened
 * before anybody asks; what fails there is not told: who needs it will meet it
 * again.  And ids are checked after the bytes were given out.
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

static bool
is_checked(struct qs_source *source, const struct qs_fetch *item)
{
	const struct source_frame *frame = item->pin;
	bool is_known;

	pthread_mutex_lock(&source->lock);
	is_known = source_frame_is_checked(frame, &item->id,
		(uint32_t)(item->data - frame->data), item->len);
	pthread_mutex_unlock(&source->lock);
	return is_known;
}

enum qs_code
qs_source_check(struct qs_source *source, struct qs_fetch *items,
	size_t count, struct qs_err *err)
{
	enum qs_code rc = QS_OK;

	for (size_t i = 0; i < count; i++) {
		struct source_frame *frame = items[i].pin;
		struct qs_hash_job job = {items[i].data, items[i].len, {0}};
		bool is_right;

		if (frame == NULL || is_checked(source, &items[i]))
			continue;
		qs_hash_many(qs_keys_id(source->keys, frame->domain),
			qs_kind_tag(frame->kind), &job, 1);
		is_right = qs_equal(job.out, items[i].id.b, sizeof(job.out));
		pthread_mutex_lock(&source->lock);
		if (is_right)
			source_frame_set_checked(source, frame, &items[i].id,
				(uint32_t)(items[i].data - frame->data),
				items[i].len);
		else
			source->is_doubtful = true;
		pthread_mutex_unlock(&source->lock);
		if (!is_right)
			items[i].code = QS_ECORRUPT;
		if (!is_right && rc == QS_OK)
			rc = qs_fail(err, QS_ECORRUPT, "object %s: a chunk of "
				"frame %u is not what its id says",
				source_hex(&items[i].pack).hex,
				(unsigned)frame->number);
	}
	return rc;
}
