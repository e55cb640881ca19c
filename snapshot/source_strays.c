/* SPDX-License-Identifier: ISC */
/*
 * source_strays: objects that the index does not have, since no valid record
 * lists them: the record is damaged or withheld, its signer's certificate is
 * lost.  They are the last place where a wanted chunk is looked for.  Whoever
 * made them had the folder's keys, and each chunk's id is checked, so reading
 * is as safe as ever; but nothing may be built upon them, so they are in an
 * index of their own, in memory, and only readers ask.
 */
#include <stdlib.h>

#include "snapshot/folder_internal.h"
#include "snapshot/source_internal.h"

#define STRAYS_CACHE ((size_t)8 << 20)
#define HAS_BATCH 4096

struct source_strays {
	pthread_mutex_t lock;
	/* all below: guarded by lock while it is made, constant then */
	bool is_made;
	struct qs_index *index;
	struct qs_source *source; /* reads out of them; NULL: there are none */
};

struct objects { /* all of the store's */
	struct qs_name *names;
	uint64_t *sizes;
	size_t count, names_cap, sizes_cap;
};

enum qs_code
source_strays_allow(struct qs_source *source, struct qs_err *err)
{
	struct source_strays *strays = calloc(1, sizeof(*strays));

	if (strays == NULL)
		return qs_fail_nomem(err, "setting up to read chunks");
	(void)pthread_mutex_init(&strays->lock, NULL);
	source->strays = strays;
	return QS_OK;
}

void
source_strays_free(struct source_strays *strays)
{
	if (strays == NULL)
		return;
	qs_source_free(strays->source);
	qs_index_close(strays->index);
	pthread_mutex_destroy(&strays->lock);
	free(strays);
}

static enum qs_code
add_object(void *arg, const struct qs_ref *ref, struct qs_err *err)
{
	struct objects *objects = arg;
	enum qs_code rc;

	if (ref->foreign != NULL)
		return QS_OK;
	rc = qs_array_room(&objects->names, objects->count,
		&objects->names_cap, sizeof(*objects->names), err);
	if (rc == QS_OK)
		rc = qs_array_room(&objects->sizes, objects->count,
			&objects->sizes_cap, sizeof(*objects->sizes), err);
	if (rc != QS_OK)
		return rc;
	objects->names[objects->count] = ref->name;
	objects->sizes[objects->count++] = ref->size;
	return QS_OK;
}

/* One that can't be opened has nothing for anybody. */
static enum qs_code
take_in(struct qs_source *source, struct qs_opener *opener,
	const struct qs_name *name, uint64_t size, struct qs_err *err)
{
	struct qs_pack_head head;
	struct qs_pack_dir dir = {0};
	struct qs_err ignored;
	enum qs_code rc = qs_pack_read_dir(source->store, opener, name, size,
		&head, &dir, &ignored);

	if (rc == QS_ENOMEM || rc == QS_ENET) {
		*err = ignored;
		return rc;
	}
	if (rc != QS_OK)
		return QS_OK;
	rc = qs_index_add(source->strays->index, &head.ref, &dir, err);
	qs_pack_dir_clear(&dir);
	return rc;
}

static enum qs_code
take_unknown(struct qs_source *source, const struct objects *objects,
	struct qs_opener *opener, struct qs_err *err)
{
	bool known[HAS_BATCH];
	enum qs_code rc = QS_OK;

	for (size_t at = 0; rc == QS_OK && at < objects->count;
	    at += HAS_BATCH) {
		const size_t left = objects->count - at;
		const size_t n = left < HAS_BATCH ? left : HAS_BATCH;

		rc = qs_index_has_packs(source->index, objects->names + at, n,
			known, err);
		for (size_t i = 0; rc == QS_OK && i < n; i++)
			if (!known[i])
				rc = take_in(source, opener,
					&objects->names[at + i],
					objects->sizes[at + i], err);
		if (rc == QS_OK)
			rc = qs_index_commit(source->strays->index, err);
	}
	return rc;
}

/* Under the strays' lock. */
static enum qs_code
make(struct qs_source *source, struct qs_err *err)
{
	struct source_strays *strays = source->strays;
	struct source_context *context = NULL;
	struct objects objects = {.names = NULL};
	struct qs_err ignored;
	bool ignored_too;
	enum qs_code rc = qs_index_open(":memory:", source->store->folder_id,
		&strays->index, &ignored_too, err);

	if (rc == QS_OK)
		rc = source_context_take(source, 1, &context, err);
	if (rc != QS_OK)
		return rc;
	/* What was found before a failure is as good as any. */
	(void)source->store->ops->list(source->store->self, QS_AREA_OBJ,
		add_object, &objects, &ignored);
	(void)take_unknown(source, &objects, context->opener, &ignored);
	source_context_put(source, context);
	free(objects.names);
	free(objects.sizes);
	return qs_source_new_parts(source->store, source->keys, strays->index,
		STRAYS_CACHE, &strays->source, err);
}

/* The chunk in a frame of its own, which is the item's. */
static bool
hand_over(struct qs_source *source, const struct qs_fetch *found,
	struct qs_fetch *item)
{
	struct source_frame *copy;

	pthread_mutex_lock(&source->lock);
	copy = source_frame_copy(source, found->pin, found->len);
	pthread_mutex_unlock(&source->lock);
	if (copy == NULL)
		return false;
	memcpy(copy->data, found->data, found->len);
	copy->pack = 0; /* none that the source's own index numbers */
	item->code = QS_OK;
	item->pack = found->pack;
	item->data = copy->data;
	item->len = found->len;
	item->pin = copy;
	return true;
}

bool
source_strays_fetch(struct qs_source *source, struct qs_fetch *item)
{
	struct source_strays *strays = source->strays;
	struct qs_fetch found = {.id = item->id, .kind = item->kind,
		.len = item->len};
	struct qs_err ignored;
	bool is_there;

	if (strays == NULL)
		return false;
	pthread_mutex_lock(&strays->lock);
	if (!strays->is_made)
		(void)make(source, &ignored);
	strays->is_made = true;
	pthread_mutex_unlock(&strays->lock);
	if (strays->source == NULL || qs_source_fetch(strays->source, &found,
	    1, &ignored) != QS_OK)
		return false;
	is_there = hand_over(source, &found, item);
	qs_source_release(strays->source, &found, 1);
	return is_there;
}
