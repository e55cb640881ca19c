/* SPDX-License-Identifier: ISC */
/*
 * source: chunks by id.  A call looks all its chunks up at once, and takes
 * them in the order in which they lie in the store.
 */
#include <stdlib.h>

#include "snapshot/source_internal.h"

/* ------------------------------------------------------------- failures */

void
source_fail_item(struct source_call *call, size_t item,
	const struct qs_err *err)
{
	call->items[item].code = err->code;
	if (call->rc == QS_OK) {
		call->rc = err->code;
		*call->err = *err;
	}
}

void
source_fail_wants(struct source_call *call, size_t begin, size_t end,
	const struct qs_err *err)
{
	for (size_t i = begin; i < end; i++) {
		const size_t item = call->context->wants[i].item;

		if (call->items[item].code == QS_OK)
			source_fail_item(call, item, err);
	}
}

/* -------------------------------------------------------------- look up */

static int
compare_wants(const void *a, const void *b)
{
	const struct qs_chunk_loc *x = &((const struct source_want *)a)->loc;
	const struct qs_chunk_loc *y = &((const struct source_want *)b)->loc;

	if (x->pack != y->pack)
		return x->pack < y->pack ? -1 : 1;
	if (x->frame != y->frame)
		return x->frame < y->frame ? -1 : 1;
	return (x->off > y->off) - (x->off < y->off);
}

static enum qs_code
look_up(struct source_call *call, size_t count, struct qs_err *err)
{
	struct source_context *context = call->context;
	struct qs_err trouble;
	enum qs_code rc;

	if (call->given != NULL) {
		context->locs[0] = *call->given;
		rc = QS_OK;
	} else {
		rc = source_places_find(call, count, err);
	}
	if (rc != QS_OK)
		return rc;
	call->want_count = 0;
	for (size_t i = 0; i < count; i++) {
		if (context->locs[i].pack == 0) {
			(void)qs_fail(&trouble, QS_ENOTFOUND,
				"chunk %s is in no known object",
				source_hex(&call->items[i].id).hex);
			source_fail_item(call, i, &trouble);
			continue;
		}
		context->wants[call->want_count++] = (struct source_want){
			context->locs[i], i, NULL, false};
	}
	if (call->want_count > 1)
		qsort(context->wants, call->want_count,
			sizeof(*context->wants), compare_wants);
	return QS_OK;
}

static enum qs_code
check_place(const struct source_pack *pack, const struct qs_fetch *item,
	const struct qs_chunk_loc *loc, struct qs_err *err)
{
	const struct source_hex hex = source_hex(&pack->ref.name);
	const struct qs_frame_entry *entry;

	if (loc->frame >= pack->frame_count)
		return qs_fail(err, QS_ECORRUPT,
			"index: object %s has no frame %u", hex.hex,
			(unsigned)loc->frame);
	entry = &pack->frames[loc->frame];
	if (!qs_frame_entry_ok(entry, pack->ref.size) || loc->len == 0 ||
	    loc->off > entry->plain_len ||
	    loc->len > entry->plain_len - loc->off)
		return qs_fail(err, QS_ECORRUPT, "index: a place in frame %u "
			"of object %s is out of bounds",
			(unsigned)loc->frame, hex.hex);
	if (entry->kind != item->kind)
		return qs_fail(err, QS_ECORRUPT, "object %s: a chunk is not "
			"of the kind it is needed as", hex.hex);
	if (item->len != 0 && item->len != loc->len)
		return qs_fail(err, QS_ECORRUPT, "object %s: a chunk has %u "
			"bytes and not %u", hex.hex, (unsigned)loc->len,
			(unsigned)item->len);
	return QS_OK;
}

/* The pack of wants begin .. end: each place in it is checked. */
static enum qs_code
enter_pack(struct source_call *call, size_t begin, size_t end,
	struct source_pack **out)
{
	struct qs_err trouble;
	enum qs_code rc = source_pack_acquire(call->source,
		call->context->wants[begin].loc.pack, out, &trouble);

	if (rc != QS_OK) {
		source_fail_wants(call, begin, end, &trouble);
		return rc;
	}
	for (size_t i = begin; i < end; i++) {
		const struct source_want *want = &call->context->wants[i];
		struct qs_fetch *item = &call->items[want->item];

		item->pack = (*out)->ref.name;
		if (check_place(*out, item, &want->loc, &trouble) != QS_OK)
			source_fail_item(call, want->item, &trouble);
	}
	return QS_OK;
}

static size_t
end_of_pack(const struct source_call *call, size_t begin)
{
	const struct source_want *wants = call->context->wants;
	size_t end = begin + 1;

	while (end < call->want_count &&
	    wants[end].loc.pack == wants[begin].loc.pack)
		end++;
	return end;
}

/* ---------------------------------------------------------------- calls */

static void
fetch_all(struct source_call *call)
{
	bool is_left = false;

	for (int is_patient = 0; is_patient < 2; is_patient++) {
		if (is_patient && !is_left)
			break;
		for (size_t i = 0, end; i < call->want_count; i = end) {
			struct source_pack *pack = NULL;

			end = end_of_pack(call, i);
			if (enter_pack(call, i, end, &pack) != QS_OK)
				continue;
			if (source_fetch_pack(call, pack, i, end, is_patient))
				is_left = true;
			source_pack_release(call->source, pack);
		}
		source_check_pending(call);
	}
	for (size_t i = 0; i < call->want_count; i++) {
		const struct source_want *want = &call->context->wants[i];
		struct qs_fetch *item = &call->items[want->item];

		if (want->frame == NULL)
			continue;
		item->data = want->frame->data + want->loc.off;
		item->len = want->loc.len;
		item->pin = want->frame;
	}
}

static void
locate_all(struct source_call *call)
{
	for (size_t i = 0, end; i < call->want_count; i = end) {
		struct source_pack *pack = NULL;

		end = end_of_pack(call, i);
		if (enter_pack(call, i, end, &pack) == QS_OK)
			source_pack_release(call->source, pack);
	}
}

/* What the call says of where to look is left as it is. */
static enum qs_code
call_once(struct source_call *call, struct qs_fetch *items, size_t count,
	void (*each)(struct source_call *call), struct qs_err *err)
{
	struct qs_source *source = call->source;
	enum qs_code rc;

	call->items = items;
	call->err = err;
	call->rc = QS_OK;
	for (size_t i = 0; i < count; i++) {
		items[i].code = QS_OK;
		items[i].data = NULL;
		items[i].pin = NULL;
		memset(&items[i].pack, 0, sizeof(items[i].pack));
	}
	rc = source_context_take(source, count, &call->context, err);
	if (rc == QS_OK) {
		rc = look_up(call, count, err);
		if (rc == QS_OK)
			each(call);
		source_context_put(source, call->context);
	}
	for (size_t i = 0; rc != QS_OK && i < count; i++)
		items[i].code = rc;
	return rc != QS_OK ? rc : call->rc;
}

static bool
is_about_object(enum qs_code rc)
{
	return rc == QS_ECORRUPT || rc == QS_ENOTFOUND || rc == QS_EIO;
}

/*
 * The failed item by what the index says now (a chunk may have moved since its
 * place was remembered), then out of other packs, at last of those that no
 * record lists.
 */
static enum qs_code
fetch_again(struct qs_source *source, struct qs_fetch *item,
	struct qs_err *err)
{
	struct source_call fresh = {.source = source, .is_fresh = true};
	struct qs_chunk_loc loc = {0};
	struct qs_fetch failed = *item;
	struct qs_err fault;
	enum qs_code rc = call_once(&fresh, item, 1, fetch_all, err);

	while (is_about_object(rc)) {
		struct source_call spare = {.source = source, .given = &loc};

		failed = *item;
		if (qs_index_find_spare(source->index, &item->id, loc.pack,
		    &loc, &fault) != QS_OK || loc.pack == 0)
			break;
		if (call_once(&spare, item, 1, fetch_all, &fault) == QS_OK)
			return QS_OK;
		/* The first one's failure is what is told. */
		*item = failed;
	}
	return is_about_object(rc) && source_strays_fetch(source, item) ?
		QS_OK : rc;
}

enum qs_code
qs_source_fetch(struct qs_source *source, struct qs_fetch *items,
	size_t count, struct qs_err *err)
{
	struct source_call call = {.source = source};
	struct qs_err fault;
	enum qs_code rc = QS_OK;

	if (count == 0 || call_once(&call, items, count, fetch_all, &fault) ==
	    QS_OK)
		return QS_OK;
	for (size_t i = 0; i < count; i++) {
		if (items[i].code == QS_OK ||
		    fetch_again(source, &items[i], &fault) == QS_OK ||
		    rc != QS_OK)
			continue;
		rc = fault.code;
		*err = fault;
	}
	return rc;
}

enum qs_code
qs_source_locate(struct qs_source *source, struct qs_fetch *items,
	size_t count, struct qs_err *err)
{
	/* What the index says now is the question. */
	struct source_call call = {.source = source, .is_fresh = true};

	return count == 0 ? QS_OK :
		call_once(&call, items, count, locate_all, err);
}

void
qs_source_release(struct qs_source *source, struct qs_fetch *items,
	size_t count)
{
	bool is_locked = false;

	for (size_t i = 0; i < count; i++) {
		if (items[i].pin == NULL)
			continue;
		if (!is_locked)
			pthread_mutex_lock(&source->lock);
		is_locked = true;
		source_frame_unpin(source, items[i].pin);
		items[i].pin = NULL;
		items[i].data = NULL;
	}
	if (is_locked)
		pthread_mutex_unlock(&source->lock);
}

/* --------------------------------------------------------- new and free */

enum qs_code
qs_source_new_parts(struct qs_store *store, const struct qs_keys *keys,
	struct qs_index *index, size_t cache_bytes, struct qs_source **out,
	struct qs_err *err)
{
	struct qs_source *source = calloc(1, sizeof(*source));
	size_t buckets = 256;

	if (source == NULL)
		return qs_fail_nomem(err, "setting up to read chunks");
	while (buckets < 65536 && buckets < cache_bytes >> 16)
		buckets *= 2;
	source->store = store;
	source->keys = keys;
	source->index = index;
	source->limit = cache_bytes;
	source->bucket_count = buckets;
	source->buckets = calloc(buckets, sizeof(struct source_frame *));
	source->places = calloc(SOURCE_PLACES, sizeof(*source->places));
	if (source->buckets == NULL || source->places == NULL) {
		free(source->buckets);
		free(source->places);
		free(source);
		return qs_fail_nomem(err, "setting up to read chunks");
	}
	(void)pthread_mutex_init(&source->lock, NULL);
	(void)pthread_cond_init(&source->loaded, NULL);
	*out = source;
	return QS_OK;
}

enum qs_code
qs_source_new(struct qs_folder *folder, size_t cache_bytes,
	struct qs_source **out, struct qs_err *err)
{
	struct qs_source *source = NULL;
	enum qs_code rc;

	if (qs_folder_index(folder) == NULL)
		return qs_fail(err, QS_EINVAL,
			"the folder was opened without its index");
	rc = qs_source_new_parts(qs_folder_store(folder),
		qs_folder_keys(folder), qs_folder_index(folder), cache_bytes,
		&source, err);
	if (rc == QS_OK)
		rc = source_strays_allow(source, err);
	if (rc != QS_OK) {
		qs_source_free(source);
		return rc;
	}
	*out = source;
	return QS_OK;
}

void
qs_source_free(struct qs_source *source)
{
	if (source == NULL)
		return;
	source_strays_free(source->strays);
	source_cache_clear(source);
	source_packs_clear(source);
	while (source->contexts != NULL) {
		struct source_context *next = source->contexts->next;

		source_context_free(source->contexts);
		source->contexts = next;
	}
	pthread_cond_destroy(&source->loaded);
	pthread_mutex_destroy(&source->lock);
	free(source->buckets);
	free(source->places);
	free(source);
}

size_t
qs_source_bytes(struct qs_source *source)
{
	size_t bytes;

	pthread_mutex_lock(&source->lock);
	bytes = source->bytes;
	pthread_mutex_unlock(&source->lock);
	return bytes;
}
