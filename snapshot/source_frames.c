/* SPDX-License-Identifier: ISC */
/*
 * source_frames: the frames of one pack that a call needs: those that are
 * there, those that are read together, and the ids of the chunks in them.
 */
#include "snapshot/source_internal.h"

/*
 * Chunk ids are checked when this much has been opened: enough for all lanes of
 * the hash, little enough to be in the cache still.
 */
#define PENDING_BYTES (2u << 20)

struct run { /* frames claimed together: they lie side by side */
	struct source_frame *frames[SOURCE_RUN];
	size_t begin[SOURCE_RUN + 1]; /* wants of frame i */
	size_t count;
	uint64_t from, to;
};

static size_t
end_of_frame(const struct source_call *call, size_t begin, size_t end)
{
	const struct source_want *wants = call->context->wants;
	size_t i = begin + 1;

	while (i < end && wants[i].loc.frame == wants[begin].loc.frame)
		i++;
	return i;
}

/* ------------------------------------------------------------ chunk ids */

static void
unpin_want(struct source_call *call, struct source_want *want)
{
	pthread_mutex_lock(&call->source->lock);
	source_frame_unpin(call->source, want->frame);
	pthread_mutex_unlock(&call->source->lock);
	want->frame = NULL;
}

/* Hash wants pending[begin .. end), all of one domain and kind. */
static void
check_ids(struct source_call *call, size_t begin, size_t end)
{
	struct source_context *context = call->context;
	const struct source_frame *first =
		context->wants[context->pending[begin]].frame;
	struct qs_err trouble;

	for (size_t i = begin; i < end; i++) {
		const struct source_want *want =
			&context->wants[context->pending[i]];

		context->jobs[i].data = want->frame->data + want->loc.off;
		context->jobs[i].len = want->loc.len;
	}
	qs_hash_many(qs_keys_id(call->source->keys, first->domain),
		qs_kind_tag(first->kind), context->jobs + begin, end - begin);
	for (size_t i = begin; i < end; i++) {
		struct source_want *want =
			&context->wants[context->pending[i]];
		const struct qs_fetch *item = &call->items[want->item];

		if (qs_equal(context->jobs[i].out, item->id.b, 32))
			continue;
		(void)qs_fail(&trouble, QS_ECORRUPT,
			"object %s: a chunk of frame %u is not what its id "
			"says", source_hex(&item->pack).hex,
			(unsigned)want->loc.frame);
		source_fail_item(call, want->item, &trouble);
		unpin_want(call, want);
	}
}

/*
 * How many of pending are still to be checked: they come first, and after them
 * those that were found right before.
 */
static size_t
unchecked_first(struct source_call *call)
{
	struct source_context *context = call->context;
	size_t left = 0;

	pthread_mutex_lock(&call->source->lock);
	for (size_t i = 0; i < call->pending_count; i++) {
		const size_t at = context->pending[i];
		const struct source_want *want = &context->wants[at];

		if (source_frame_is_checked(want->frame,
		    &call->items[want->item].id, want->loc.off,
		    want->loc.len))
			continue;
		context->pending[i] = context->pending[left];
		context->pending[left++] = at;
	}
	pthread_mutex_unlock(&call->source->lock);
	return left;
}

static void
remember_checked(struct source_call *call, size_t count)
{
	struct source_context *context = call->context;

	pthread_mutex_lock(&call->source->lock);
	for (size_t i = 0; i < count; i++) {
		const struct source_want *want =
			&context->wants[context->pending[i]];

		if (want->frame != NULL)
			source_frame_set_checked(call->source, want->frame,
				&call->items[want->item].id, want->loc.off,
				want->loc.len);
	}
	pthread_mutex_unlock(&call->source->lock);
}

/* Of what a want needs of its frame, which may go then. */
static void
copy_want(struct source_call *call, struct source_want *want)
{
	struct qs_source *source = call->source;
	struct source_frame *copy;

	pthread_mutex_lock(&source->lock);
	copy = source_frame_copy(source, want->frame, want->loc.len);
	pthread_mutex_unlock(&source->lock);
	if (copy == NULL) /* then the frame itself has to do */
		return;
	memcpy(copy->data, want->frame->data + want->loc.off, want->loc.len);
	unpin_want(call, want);
	want->frame = copy;
	want->loc.off = 0;
}

/* Let frames go of which little is wanted. */
static void
slim(struct source_call *call)
{
	for (size_t i = 0; i < call->pending_count; i++) {
		struct source_want *want =
			&call->context->wants[call->context->pending[i]];

		if (want->frame != NULL && want->is_little)
			copy_want(call, want);
	}
}

static bool
is_tight(struct qs_source *source)
{
	bool tight;

	pthread_mutex_lock(&source->lock);
	tight = source_is_tight(source);
	pthread_mutex_unlock(&source->lock);
	return tight;
}

void
source_check_pending(struct source_call *call)
{
	const struct source_context *context = call->context;
	const size_t count = unchecked_first(call);
	size_t begin = 0, end;

	for (; begin < count; begin = end) {
		const struct source_frame *first =
			context->wants[context->pending[begin]].frame;

		for (end = begin + 1; end < count; end++) {
			const struct source_frame *frame =
				context->wants[context->pending[end]].frame;

			if (frame->domain != first->domain ||
			    frame->kind != first->kind)
				break;
		}
		check_ids(call, begin, end);
	}
	remember_checked(call, count);
	if (call->has_little && is_tight(call->source))
		slim(call);
	call->pending_count = 0;
	call->pending_bytes = 0;
	call->has_little = false;
}

/* -------------------------------------------------------------- frames */

/* Of a frame, by wants begin .. end: is it less than half of it? */
static bool
is_little(const struct source_call *call, size_t begin, size_t end,
	uint32_t plain_len)
{
	uint64_t sum = 0;

	for (size_t i = begin; i < end; i++)
		sum += call->context->wants[i].loc.len;
	return sum < plain_len / 2;
}

/* Under lock: the wants of a READY frame get their pins. */
static void
pin_wants(struct source_call *call, size_t begin, size_t end,
	struct source_frame *frame)
{
	const bool little = is_little(call, begin, end, frame->plain_len);

	for (size_t i = begin; i < end; i++) {
		struct source_want *want = &call->context->wants[i];

		if (call->items[want->item].code != QS_OK)
			continue;
		source_frame_pin(call->source, frame);
		want->frame = frame;
		want->is_little = little;
		/* What is copied is checked: a copy is not checked again. */
		if (call->items[want->item].is_hasty &&
		    !call->source->is_doubtful &&
		    !(little && source_is_tight(call->source)))
			continue;
		call->has_little = call->has_little || little;
		call->context->pending[call->pending_count++] = i;
		call->pending_bytes += want->loc.len;
	}
}

/*
 * Under lock: claim the frame of wants[begin] and those after it, while they
 * are not there and their slices touch, so that one read gets them all.
 */
static void
claim_run(struct source_call *call, const struct source_pack *pack,
	size_t begin, size_t end, struct run *run)
{
	const struct source_want *wants = call->context->wants;

	*run = (struct run){.begin = {begin}};
	for (size_t i = begin; i < end && run->count < SOURCE_RUN;) {
		const uint32_t number = wants[i].loc.frame;
		const struct qs_frame_entry *entry = &pack->frames[number];
		const size_t next = end_of_frame(call, i, end);
		struct source_frame *frame;

		/* Failed and served wants end a run: there is nothing to do. */
		if (call->items[wants[i].item].code != QS_OK ||
		    wants[i].frame != NULL)
			break;
		if (run->count > 0 && (source_frame_from(entry) > run->to ||
		    source_frame_from(entry) < run->from ||
		    source_frame_to(entry) - run->from > SOURCE_WINDOW))
			break;
		if (run->count > 0 && source_is_tight(call->source) &&
		    is_little(call, i, next, entry->plain_len))
			break;
		if (source_frame_find(call->source, pack->number, number) !=
		    NULL)
			break;
		frame = source_frame_claim(call->source, pack->number, number,
			entry);
		if (frame == NULL)
			break;
		if (run->count == 0) {
			run->from = source_frame_from(entry);
			run->to = source_frame_to(entry);
		} else if (source_frame_to(entry) > run->to) {
			run->to = source_frame_to(entry);
		}
		i = next;
		run->frames[run->count++] = frame;
		run->begin[run->count] = i;
	}
}

/* Open frame i of a run; pin it for its wants, or fail them. */
static void
open_one(struct source_call *call, const struct source_pack *pack,
	const struct run *run, size_t i, enum qs_code read,
	struct qs_err *trouble)
{
	struct source_frame *frame = run->frames[i];
	enum qs_code rc = read;

	if (rc == QS_OK)
		rc = source_window_open(call->context, pack, frame, trouble);
	if (rc != QS_OK)
		source_fail_wants(call, run->begin[i], run->begin[i + 1],
			trouble);
	pthread_mutex_lock(&call->source->lock);
	if (rc == QS_OK) {
		frame->is_ready = true;
		pin_wants(call, run->begin[i], run->begin[i + 1], frame);
		source_frame_unpin(call->source, frame);
	} else {
		source_frame_drop(call->source, frame);
	}
	pthread_cond_broadcast(&call->source->loaded);
	pthread_mutex_unlock(&call->source->lock);
}

static void
load_run(struct source_call *call, const struct source_pack *pack,
	const struct run *run)
{
	struct qs_source *source = call->source;
	const struct qs_name *name = &pack->ref.name;
	struct qs_err trouble;
	enum qs_code rc = source_window_fill(source, call->context, name,
		run->from, run->to, &trouble);
	/* One bad place on a disk must not cost the frames beside it. */
	const bool one_by_one = rc == QS_EIO && run->count > 1;

	for (size_t i = 0; i < run->count; i++) {
		const struct qs_frame_entry *entry =
			&pack->frames[run->frames[i]->number];

		if (one_by_one)
			rc = source_window_fill(source, call->context, name,
				source_frame_from(entry),
				source_frame_to(entry), &trouble);
		open_one(call, pack, run, i, rc, &trouble);
	}
}

bool
source_fetch_pack(struct source_call *call,
	const struct source_pack *pack, size_t begin, size_t end,
	bool is_patient)
{
	struct qs_source *source = call->source;
	struct source_want *wants = call->context->wants;
	bool is_left = false, tight;
	struct qs_err trouble;
	struct run run;

	for (size_t i = begin; i < end;) {
		const size_t next = end_of_frame(call, i, end);
		struct source_frame *frame;

		if (call->items[wants[i].item].code != QS_OK ||
		    wants[i].frame != NULL) {
			i++;
			continue;
		}
		run.count = 0; /* the rest is set with it */
		pthread_mutex_lock(&source->lock);
		frame = source_frame_find(source, pack->number,
			wants[i].loc.frame);
		while (is_patient && frame != NULL && !frame->is_ready) {
			pthread_cond_wait(&source->loaded, &source->lock);
			frame = source_frame_find(source, pack->number,
				wants[i].loc.frame);
		}
		if (frame == NULL)
			claim_run(call, pack, i, end, &run);
		else if (frame->is_ready)
			pin_wants(call, i, next, frame);
		else
			is_left = true;
		tight = source_is_tight(source);
		pthread_mutex_unlock(&source->lock);
		if (run.count > 0) {
			load_run(call, pack, &run);
			i = run.begin[run.count];
		} else {
			if (frame == NULL) {
				(void)qs_fail_nomem(&trouble,
					"opening a frame");
				source_fail_wants(call, i, next, &trouble);
			}
			i = next;
		}
		if (call->pending_bytes >= PENDING_BYTES ||
		    (tight && call->has_little))
			source_check_pending(call);
	}
	return is_left;
}
