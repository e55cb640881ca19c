/* SPDX-License-Identifier: ISC */
/*
 * source_read: what one thread reads and opens frames with.  The window keeps
 * the slices read last: the next frames of an object often begin in them.
 */
#include <stdlib.h>

#include "snapshot/source_internal.h"

void
source_context_free(struct source_context *context)
{
	if (context == NULL)
		return;
	qs_opener_free(context->opener);
	free(context->window);
	free(context->ids);
	free(context->locs);
	free(context->found);
	free(context->wants);
	free(context->jobs);
	free(context->pending);
	free(context);
}

static enum qs_code
reserve(struct source_context *context, size_t count, struct qs_err *err)
{
	if (count <= context->cap)
		return QS_OK;
	context->cap = 0;
	free(context->ids);
	free(context->locs);
	free(context->found);
	free(context->wants);
	free(context->jobs);
	free(context->pending);
	context->ids = calloc(count, sizeof(*context->ids));
	context->locs = calloc(count, sizeof(*context->locs));
	context->found = calloc(count, sizeof(*context->found));
	context->wants = calloc(count, sizeof(*context->wants));
	context->jobs = calloc(count, sizeof(*context->jobs));
	context->pending = calloc(count, sizeof(*context->pending));
	if (context->ids == NULL || context->locs == NULL ||
	    context->found == NULL ||
	    context->wants == NULL || context->jobs == NULL ||
	    context->pending == NULL)
		return qs_fail_nomem(err, "fetching chunks");
	context->cap = count;
	return QS_OK;
}

enum qs_code
source_context_take(struct qs_source *source, size_t count,
	struct source_context **out, struct qs_err *err)
{
	struct source_context *context;
	enum qs_code rc = QS_OK;

	pthread_mutex_lock(&source->lock);
	context = source->contexts;
	if (context != NULL)
		source->contexts = context->next;
	pthread_mutex_unlock(&source->lock);
	if (context == NULL) {
		context = calloc(1, sizeof(*context));
		if (context == NULL)
			return qs_fail_nomem(err, "fetching chunks");
		rc = qs_opener_new(source->keys, &context->opener, err);
	}
	if (rc == QS_OK)
		rc = reserve(context, count, err);
	if (rc != QS_OK) {
		source_context_free(context);
		return rc;
	}
	*out = context;
	return QS_OK;
}

void
source_context_put(struct qs_source *source, struct source_context *context)
{
	pthread_mutex_lock(&source->lock);
	context->next = source->contexts;
	source->contexts = context;
	pthread_mutex_unlock(&source->lock);
}

static enum qs_code
window_reserve(struct source_context *context, size_t len,
	struct qs_err *err)
{
	const size_t cap = len <= SOURCE_WINDOW ? SOURCE_WINDOW :
		SOURCE_WINDOW_MAX;
	uint8_t *window;

	if (len > SOURCE_WINDOW_MAX)
		return qs_fail(err, QS_EINVAL, "%zu bytes read at once", len);
	if (cap <= context->window_cap)
		return QS_OK;
	window = realloc(context->window, cap);
	if (window == NULL)
		return qs_fail_nomem(err, "reading an object");
	context->window = window;
	context->window_cap = cap;
	return QS_OK;
}

/* How many bytes from "from" on are there already; they move to the front. */
static size_t
window_keep(struct source_context *context, const struct qs_name *name,
	uint64_t from)
{
	size_t skip;

	if (memcmp(context->window_pack.b, name->b, sizeof(name->b)) != 0 ||
	    from < context->window_off ||
	    from >= context->window_off + context->window_len)
		return 0;
	skip = (size_t)(from - context->window_off);
	if (skip > 0)
		memmove(context->window, context->window + skip,
			context->window_len - skip);
	/* A short slice is an object's end: nothing comes after it. */
	return context->window_len - skip;
}

enum qs_code
source_window_fill(struct qs_source *source, struct source_context *context,
	const struct qs_name *name, uint64_t from, uint64_t to,
	struct qs_err *err)
{
	const struct qs_ref ref = {.area = QS_AREA_OBJ, .name = *name};
	const size_t len = (size_t)(to - from);
	size_t kept, got = 0;
	enum qs_code rc = window_reserve(context, len, err);

	if (rc != QS_OK)
		return rc;
	kept = window_keep(context, name, from);
	context->window_pack = *name;
	context->window_off = from;
	context->window_len = kept;
	if (kept >= len || kept % QS_SLICE != 0)
		return QS_OK;
	rc = source->store->ops->get(source->store->self, &ref, from + kept,
		context->window + kept, len - kept, &got, err);
	if (rc != QS_OK) {
		/* What a failed read left behind is nobody's. */
		memset(&context->window_pack, 0, sizeof(context->window_pack));
		context->window_len = 0;
		return rc;
	}
	context->window_len = kept + got;
	return QS_OK;
}

enum qs_code
source_window_open(struct source_context *context,
	const struct source_pack *pack, const struct source_frame *frame,
	struct qs_err *err)
{
	const struct qs_frame_entry *entry = &pack->frames[frame->number];
	const uint64_t from = entry->off - context->window_off;

	if (entry->off < context->window_off ||
	    from + entry->sealed_len > context->window_len)
		return qs_fail(err, QS_ECORRUPT,
			"object %s: damaged: it is shorter than it was",
			source_hex(&pack->ref.name).hex);
	return qs_frame_open(context->opener, &pack->ref, frame->number,
		entry, qs_span(context->window + from, entry->sealed_len),
		frame->data, err);
}
