/* SPDX-License-Identifier: ISC */
/*
 * source, between its own files: opened frames and their buffers, what is
 * known of packs, the contexts that read.
 *
 * A frame is LOADING while the one thread that claimed it reads it (others
 * wait), and READY afterwards; one that fails is taken out again, so that who
 * waited tries by itself.  A thread never waits while it has a claim: so no
 * two can wait for each other.
 *
 * Bound: the buffers of all frames and the recycled ones together stay at or
 * below the limit, but for what is pinned.  When more than half of the limit is
 * pinned, a thread claims frames of which little is wanted one at a time, and
 * copies what is wanted, so that the frame can go.  So what is pinned is at
 * most half of the limit, a frame for each thread that reads, and twice what
 * callers asked for, whatever frames a forged store puts it in.
 */
#ifndef QS_SOURCE_INTERNAL_H
#define QS_SOURCE_INTERNAL_H

#include <pthread.h>

#include "snapshot/snapshot.h"

#define SOURCE_WINDOW (2u << 20) /* bytes read at once, when adjacent */
#define SOURCE_WINDOW_MAX (QS_CHUNK_MAX + 2 * QS_SLICE)
#define SOURCE_RUN 32            /* frames claimed at once */
#define SOURCE_CLASSES 41        /* sizes of buffers: 4 KiB .. 4 MiB */
#define SOURCE_PACKS 64          /* packs whose frames are remembered */
#define SOURCE_PACK_FRAMES 4096  /* beyond: not remembered */

struct source_pack {
	struct qs_pack_ref ref;
	struct qs_frame_entry *frames;
	uint32_t number, frame_count;
	size_t users;      /* guarded by lock */
	bool is_kept;      /* guarded by lock: in source->packs */
	uint64_t last_use; /* guarded by lock */
};

struct source_checked { /* a chunk whose id was found right */
	struct qs_id id;
	uint32_t off, len; /* len 0: an empty place of the table */
};

struct source_frame {
	uint32_t pack, number; /* the key; number within the pack */
	uint32_t plain_len;
	uint8_t domain;
	enum qs_kind kind;
	uint8_t *data; /* constant once READY */
	unsigned class;
	/* all below: guarded by lock */
	bool is_ready;
	bool is_copy; /* of one chunk, and in no bucket: goes when let go */
	size_t pins;
	struct source_frame *chain;         /* in the bucket */
	struct source_frame *newer, *older; /* when READY and not pinned */
	struct source_checked *checked;
	size_t checked_count, checked_cap;
};

#define SOURCE_PLACES 8192 /* a power of two */

struct source_place { /* what the index said of a chunk; pack 0: nothing */
	struct qs_id id;
	struct qs_chunk_loc loc;
};

struct source_want { /* an item and where it is */
	struct qs_chunk_loc loc;
	size_t item;
	struct source_frame *frame; /* pinned */
	bool is_little; /* less than half of the frame is wanted by this call */
};

/* What a thread needs while it fetches; kept for the next one. */
struct source_context {
	struct source_context *next;
	struct qs_opener *opener;
	uint8_t *window;
	size_t window_cap, window_len;
	uint64_t window_off;
	struct qs_name window_pack; /* zeros: the window is empty */
	struct qs_id *ids;
	struct qs_chunk_loc *locs, *found;
	struct source_want *wants;
	struct qs_hash_job *jobs;
	size_t *pending; /* wants whose ids are to be checked */
	size_t cap;      /* of the arrays */
};

struct qs_source {
	const struct qs_keys *keys;
	struct qs_store *store;
	struct qs_index *index;
	size_t limit;
	size_t bucket_count; /* a power of two */
	pthread_mutex_t lock;
	pthread_cond_t loaded;
	/* all below: guarded by lock */
	struct source_frame **buckets;
	struct source_frame *newest, *oldest;
	void *spare[SOURCE_CLASSES]; /* recycled, linked by the first word */
	size_t bytes, spare_bytes;   /* bytes: of all, spare or not */
	size_t pinned_bytes;         /* of frames with pins */
	struct source_pack *packs[SOURCE_PACKS];
	uint64_t clock;
	struct source_context *contexts;
	struct source_place *places; /* SOURCE_PLACES of them */
	struct source_strays *strays; /* source_strays.c; NULL: not asked */
	bool is_doubtful; /* a hasty chunk had a wrong id: check them all */
};

struct source_call { /* one fetch */
	const struct qs_chunk_loc *given; /* of the one item; or NULL */
	bool is_fresh;     /* the index is to be asked for all */
	struct qs_source *source;
	struct source_context *context;
	struct qs_fetch *items;
	size_t want_count;    /* of context->wants, sorted */
	size_t pending_count; /* of context->pending */
	uint64_t pending_bytes;
	bool has_little; /* some pending want is_little */
	enum qs_code rc; /* of the first item that failed, and its error */
	struct qs_err *err;
};

/*
 * For tests, and for who must not be given what no record lists (a writer):
 * everything is borrowed.
 */
QS_MUST_CHECK enum qs_code qs_source_new_parts(struct qs_store *store,
	const struct qs_keys *keys, struct qs_index *index,
	size_t cache_bytes, struct qs_source **out, struct qs_err *err);
/*
 * As qs_source_fetch, but nothing is read: is each chunk in a known pack, with
 * the right kind and length?  Nothing needs to be released.
 */
QS_MUST_CHECK enum qs_code qs_source_locate(struct qs_source *source,
	struct qs_fetch *items, size_t count, struct qs_err *err);
/* Bytes of all frames' buffers now (tests). */
size_t qs_source_bytes(struct qs_source *source);

/* ------------------------------------------- source_cache.c: under lock */

struct source_frame *source_frame_find(struct qs_source *source,
	uint32_t pack, uint32_t number);
/* More is pinned than should be: see the bound above. */
bool source_is_tight(const struct qs_source *source);
/* A LOADING frame with one pin, in its bucket; NULL: out of memory. */
struct source_frame *source_frame_claim(struct qs_source *source,
	uint32_t pack, uint32_t number, const struct qs_frame_entry *entry);
/* Room for len bytes of a frame, with one pin; NULL: out of memory. */
struct source_frame *source_frame_copy(struct qs_source *source,
	const struct source_frame *of, uint32_t len);
void source_frame_pin(struct qs_source *source, struct source_frame *frame);
void source_frame_unpin(struct qs_source *source, struct source_frame *frame);
/* A claimed frame that could not be read: forgotten and freed. */
void source_frame_drop(struct qs_source *source, struct source_frame *frame);
bool source_frame_is_checked(const struct source_frame *frame,
	const struct qs_id *id, uint32_t off, uint32_t len);
void source_frame_set_checked(struct qs_source *source,
	struct source_frame *frame, const struct qs_id *id, uint32_t off,
	uint32_t len);
void source_cache_clear(struct qs_source *source);

/* ------------------------------------------------------ source_places.c */

/*
 * Where the wanted chunks are, into context->locs: out of what is remembered
 * (unless the call is fresh) or the index.
 */
QS_MUST_CHECK enum qs_code source_places_find(struct source_call *call,
	size_t count, struct qs_err *err);

/* ------------------------------------------------------ source_strays.c */

/* From now on a chunk that is nowhere else is looked for among the strays. */
QS_MUST_CHECK enum qs_code source_strays_allow(struct qs_source *source,
	struct qs_err *err);
/*
 * The item out of a stray; what failed before stays what is told.  Not to be
 * called with source's lock held.
 */
bool source_strays_fetch(struct qs_source *source, struct qs_fetch *item);
void source_strays_free(struct source_strays *strays); /* NULL is fine */

/* -------------------------------------- source_packs.c: take lock inside */

QS_MUST_CHECK enum qs_code source_pack_acquire(struct qs_source *source,
	uint32_t number, struct source_pack **out, struct qs_err *err);
void source_pack_release(struct qs_source *source, struct source_pack *pack);
void source_packs_clear(struct qs_source *source);

/* --------------------------------------- source_read.c: no lock is held */

QS_MUST_CHECK enum qs_code source_context_take(struct qs_source *source,
	size_t count, struct source_context **out, struct qs_err *err);
void source_context_put(struct qs_source *source,
	struct source_context *context);
void source_context_free(struct source_context *context);
/*
 * Bytes from .. to of an object (slice-aligned) into the window; what it holds
 * of them already is not read again.  Shorter at the object's end.
 */
QS_MUST_CHECK enum qs_code source_window_fill(struct qs_source *source,
	struct source_context *context, const struct qs_name *name,
	uint64_t from, uint64_t to, struct qs_err *err);
/* Open a frame out of the window. */
QS_MUST_CHECK enum qs_code source_window_open(
	struct source_context *context, const struct source_pack *pack,
	const struct source_frame *frame, struct qs_err *err);

struct source_hex { /* the first 16 hex digits, for messages */
	char hex[17];
};

static inline struct source_hex
source_hex(const void *bytes)
{
	struct source_hex out;

	qs_hex(out.hex, bytes, 8);
	return out;
}

/* --------------------------------------------- source.c, source_frames.c */

void source_fail_item(struct source_call *call, size_t item,
	const struct qs_err *err);
void source_fail_wants(struct source_call *call, size_t begin, size_t end,
	const struct qs_err *err);
/* Check the ids of all pending wants; those that are wrong have failed. */
void source_check_pending(struct source_call *call);
/*
 * Wants begin .. end of one pack.  is_patient: wait for what other threads are
 * loading, else leave it (true: something was left).
 */
bool source_fetch_pack(struct source_call *call,
	const struct source_pack *pack, size_t begin, size_t end,
	bool is_patient);

static inline uint64_t
source_slice_down(uint64_t offset)
{
	return offset - offset % QS_SLICE;
}

static inline uint64_t
source_slice_up(uint64_t offset)
{
	return source_slice_down(offset + QS_SLICE - 1);
}

/* The slices a frame lies in. */
static inline uint64_t
source_frame_from(const struct qs_frame_entry *entry)
{
	return source_slice_down(entry->off);
}

static inline uint64_t
source_frame_to(const struct qs_frame_entry *entry)
{
	return source_slice_up((uint64_t)entry->off + entry->sealed_len);
}

#endif
