/* SPDX-License-Identifier: ISC */
/*
 * source_cache: opened frames, the least recently used of which go first, and
 * their buffers, which are recycled by size.  Every function is called with
 * the source's lock held.
 */
#include <stdlib.h>

#include "snapshot/source_internal.h"

/* ------------------------------------------------------------- buffers */

/* Four sizes in each octave: at most a fifth of a buffer is unused. */
static size_t
class_size(unsigned class)
{
	return ((size_t)1024 << class / 4) * (4 + class % 4);
}

static unsigned
class_for(size_t len)
{
	unsigned class = 0;

	while (class < SOURCE_CLASSES - 1 && class_size(class) < len)
		class++;
	return class;
}

static void *
spare_take(struct qs_source *source, unsigned class)
{
	void *buffer = source->spare[class];

	if (buffer != NULL) {
		memcpy(&source->spare[class], buffer, sizeof(void *));
		source->spare_bytes -= class_size(class);
	}
	return buffer;
}

static void
spare_put(struct qs_source *source, void *buffer, unsigned class)
{
	memcpy(buffer, &source->spare[class], sizeof(void *));
	source->spare[class] = buffer;
	source->spare_bytes += class_size(class);
}

/* Give the largest spare buffer back to the system. */
static bool
spare_free_one(struct qs_source *source)
{
	for (unsigned class = SOURCE_CLASSES; class-- > 0;) {
		void *buffer = spare_take(source, class);

		if (buffer == NULL)
			continue;
		free(buffer);
		source->bytes -= class_size(class);
		return true;
	}
	return false;
}

/* -------------------------------------------------------------- frames */

static struct source_frame **
bucket_of(struct qs_source *source, uint32_t pack, uint32_t number)
{
	const uint64_t mixed = ((uint64_t)pack << 32 | number) *
		0x9e3779b97f4a7c15u;

	return &source->buckets[(mixed >> 32) & (source->bucket_count - 1)];
}

struct source_frame *
source_frame_find(struct qs_source *source, uint32_t pack, uint32_t number)
{
	struct source_frame *frame = *bucket_of(source, pack, number);

	while (frame != NULL &&
	    (frame->pack != pack || frame->number != number))
		frame = frame->chain;
	return frame;
}

static void
unchain(struct qs_source *source, struct source_frame *frame)
{
	struct source_frame **at = bucket_of(source, frame->pack,
		frame->number);

	while (*at != frame)
		at = &(*at)->chain;
	*at = frame->chain;
}

static void
lru_remove(struct qs_source *source, struct source_frame *frame)
{
	if (frame->newer != NULL)
		frame->newer->older = frame->older;
	else
		source->newest = frame->older;
	if (frame->older != NULL)
		frame->older->newer = frame->newer;
	else
		source->oldest = frame->newer;
	frame->newer = frame->older = NULL;
}

static void
lru_add(struct qs_source *source, struct source_frame *frame)
{
	frame->newer = NULL;
	frame->older = source->newest;
	if (source->newest != NULL)
		source->newest->newer = frame;
	else
		source->oldest = frame;
	source->newest = frame;
}

/* It is in its bucket, unless it is a copy, and nowhere else. */
static void
discard(struct qs_source *source, struct source_frame *frame)
{
	if (!frame->is_copy)
		unchain(source, frame);
	spare_put(source, frame->data, frame->class);
	source->bytes -= frame->checked_cap * sizeof(*frame->checked);
	free(frame->checked);
	free(frame);
}

static bool
evict_one(struct qs_source *source)
{
	struct source_frame *frame = source->oldest;

	if (frame == NULL)
		return false;
	lru_remove(source, frame);
	discard(source, frame);
	return true;
}

/*
 * At the limit a quarter of it is kept as spare buffers, so that most new
 * frames find one of their size and nothing is mapped and unmapped.
 */
static void *
buffer_take(struct qs_source *source, unsigned class)
{
	const size_t size = class_size(class);
	void *buffer;

	while (source->spare[class] == NULL &&
	    source->bytes + size > source->limit) {
		if (source->spare_bytes <= source->limit / 4 &&
		    evict_one(source))
			continue;
		if (!spare_free_one(source) && !evict_one(source))
			break;
	}
	buffer = spare_take(source, class);
	if (buffer == NULL) {
		buffer = malloc(size);
		source->bytes += buffer != NULL ? size : 0;
	}
	return buffer;
}

/* What was pinned beyond the limit goes as soon as it is let go. */
static void
trim(struct qs_source *source)
{
	while (source->bytes > source->limit)
		if (!spare_free_one(source) && !evict_one(source))
			break;
}

bool
source_is_tight(const struct qs_source *source)
{
	return source->pinned_bytes > source->limit / 2;
}

/* A frame with a buffer and one pin, in no bucket. */
static struct source_frame *
frame_new(struct qs_source *source, uint32_t len)
{
	struct source_frame *frame = calloc(1, sizeof(*frame));

	if (frame == NULL)
		return NULL;
	frame->plain_len = len;
	frame->class = class_for(len);
	frame->data = buffer_take(source, frame->class);
	if (frame->data == NULL) {
		free(frame);
		return NULL;
	}
	frame->pins = 1;
	source->pinned_bytes += class_size(frame->class);
	return frame;
}

struct source_frame *
source_frame_claim(struct qs_source *source, uint32_t pack, uint32_t number,
	const struct qs_frame_entry *entry)
{
	struct source_frame *frame = frame_new(source, entry->plain_len);
	struct source_frame **bucket = bucket_of(source, pack, number);

	if (frame == NULL)
		return NULL;
	frame->pack = pack;
	frame->number = number;
	frame->domain = entry->domain;
	frame->kind = (enum qs_kind)entry->kind;
	frame->chain = *bucket;
	*bucket = frame;
	return frame;
}

struct source_frame *
source_frame_copy(struct qs_source *source, const struct source_frame *of,
	uint32_t len)
{
	struct source_frame *frame = frame_new(source, len);

	if (frame == NULL)
		return NULL;
	frame->is_copy = true;
	frame->is_ready = true;
	frame->pack = of->pack;
	frame->number = of->number;
	frame->domain = of->domain;
	frame->kind = of->kind;
	return frame;
}

void
source_frame_pin(struct qs_source *source, struct source_frame *frame)
{
	if (frame->pins++ > 0)
		return;
	source->pinned_bytes += class_size(frame->class);
	lru_remove(source, frame);
}

void
source_frame_unpin(struct qs_source *source, struct source_frame *frame)
{
	if (--frame->pins > 0)
		return;
	source->pinned_bytes -= class_size(frame->class);
	if (frame->is_copy)
		discard(source, frame);
	else
		lru_add(source, frame);
	trim(source);
}

void
source_frame_drop(struct qs_source *source, struct source_frame *frame)
{
	source->pinned_bytes -= class_size(frame->class);
	discard(source, frame);
	trim(source);
}

/* ---------------------------------------------------- chunks found right */

/* The place of a chunk in the table, or the empty one it would go to. */
static struct source_checked *
checked_place(struct source_checked *table, size_t cap,
	const struct qs_id *id, uint32_t off)
{
	/* The id is a keyed hash: its first bytes spread well. */
	size_t i = (qs_load32(id->b) ^ off) & (cap - 1);

	while (table[i].len != 0 && (table[i].off != off ||
	    memcmp(table[i].id.b, id->b, sizeof(id->b)) != 0))
		i = (i + 1) & (cap - 1);
	return &table[i];
}

bool
source_frame_is_checked(const struct source_frame *frame,
	const struct qs_id *id, uint32_t off, uint32_t len)
{
	return frame->checked_cap > 0 && checked_place(frame->checked,
		frame->checked_cap, id, off)->len == len;
}

static bool
checked_grow(struct qs_source *source, struct source_frame *frame)
{
	const size_t cap = frame->checked_cap > 0 ?
		frame->checked_cap * 2 : 4;
	struct source_checked *table = calloc(cap, sizeof(*table));

	if (table == NULL)
		return false;
	for (size_t i = 0; i < frame->checked_cap; i++) {
		const struct source_checked *old = &frame->checked[i];

		if (old->len != 0)
			*checked_place(table, cap, &old->id, old->off) = *old;
	}
	free(frame->checked);
	source->bytes += (cap - frame->checked_cap) * sizeof(*table);
	frame->checked = table;
	frame->checked_cap = cap;
	return true;
}

void
source_frame_set_checked(struct qs_source *source, struct source_frame *frame,
	const struct qs_id *id, uint32_t off, uint32_t len)
{
	struct source_checked *place;

	/*
	 * Forgetting is always right: the chunk is hashed again.  So the table
	 * stays small next to the frame, however small its chunks are.
	 */
	if (frame->checked_count > frame->plain_len / 256)
		return;
	if (4 * (frame->checked_count + 1) > 3 * frame->checked_cap &&
	    !checked_grow(source, frame))
		return;
	place = checked_place(frame->checked, frame->checked_cap, id, off);
	if (place->len == 0)
		frame->checked_count++;
	*place = (struct source_checked){*id, off, len};
}

void
source_cache_clear(struct qs_source *source)
{
	while (evict_one(source))
		;
	while (spare_free_one(source))
		;
}
