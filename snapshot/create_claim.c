/* SPDX-License-Identifier: ISC */
/*
 * Chunks on their way: an open-addressing hash set of ids between the moment
 * a worker decides to store a chunk and the moment its pack is in the index.
 * Ids are keyed hashes, so their first bytes will do as a hash.
 */
#include <pthread.h>
#include <stdlib.h>

#include "snapshot/create_internal.h"

struct claims {
	pthread_mutex_t lock;
	struct qs_id *slots; /* all zero: free.  guarded by lock */
	size_t cap, used;    /* cap is a power of two.  guarded by lock */
};

static const struct qs_id none;

enum qs_code
claims_new(struct claims **out, struct qs_err *err)
{
	struct claims *claims = calloc(1, sizeof(struct claims));

	if (claims == NULL)
		return qs_fail_nomem(err, "starting the snapshot");
	claims->cap = 1024;
	claims->slots = calloc(claims->cap, sizeof(struct qs_id));
	if (claims->slots == NULL) {
		free(claims);
		return qs_fail_nomem(err, "starting the snapshot");
	}
	pthread_mutex_init(&claims->lock, NULL);
	*out = claims;
	return QS_OK;
}

void
claims_free(struct claims *claims)
{
	if (claims == NULL)
		return;
	pthread_mutex_destroy(&claims->lock);
	free(claims->slots);
	free(claims);
}

/* Where the id is, or the free slot where it would go. */
static size_t
place(const struct claims *claims, const struct qs_id *id)
{
	size_t at = (size_t)qs_load64(id->b) & (claims->cap - 1);

	while (memcmp(&claims->slots[at], &none, sizeof(none)) != 0 &&
		memcmp(&claims->slots[at], id, sizeof(*id)) != 0)
		at = (at + 1) & (claims->cap - 1);
	return at;
}

static bool
double_it(struct claims *claims)
{
	struct claims more = {.cap = claims->cap * 2};

	more.slots = calloc(more.cap, sizeof(struct qs_id));
	if (more.slots == NULL)
		return false;
	for (size_t i = 0; i < claims->cap; i++)
		if (memcmp(&claims->slots[i], &none, sizeof(none)) != 0)
			more.slots[place(&more, &claims->slots[i])] =
				claims->slots[i];
	free(claims->slots);
	claims->slots = more.slots;
	claims->cap = more.cap;
	return true;
}

/* Linear probing without tombstones: close the gap (Knuth 6.4, R). */
static void
take_out(struct claims *claims, const struct qs_id *id)
{
	size_t mask = claims->cap - 1, gap = place(claims, id), at = gap;

	if (memcmp(&claims->slots[gap], &none, sizeof(none)) == 0)
		return;
	for (;;) {
		size_t home;

		at = (at + 1) & mask;
		if (memcmp(&claims->slots[at], &none, sizeof(none)) == 0)
			break;
		home = (size_t)qs_load64(claims->slots[at].b) & mask;
		if (((at - home) & mask) >= ((at - gap) & mask)) {
			claims->slots[gap] = claims->slots[at];
			gap = at;
		}
	}
	claims->slots[gap] = none;
	claims->used--;
}

enum qs_code
claims_ask(struct claims *claims, struct qs_index *index,
	const struct qs_id *ids, enum chunk_state *states, size_t count,
	struct qs_err *err)
{
	struct qs_chunk_loc *locs;
	enum qs_code rc = QS_OK;

	if (count == 0)
		return QS_OK;
	locs = malloc(count * sizeof(struct qs_chunk_loc));
	if (locs == NULL)
		return qs_fail_nomem(err, "looking up chunks");
	/*
	 * Claim first, look up afterwards: who asks in between is told "known",
	 * which holds either way, for it is in the index or will be stored.
	 */
	pthread_mutex_lock(&claims->lock);
	for (size_t i = 0; i < count && rc == QS_OK; i++) {
		size_t at = place(claims, &ids[i]);

		states[i] = memcmp(&claims->slots[at], &none, sizeof(none)) ==
			0 ? CHUNK_NEW : CHUNK_KNOWN;
		if (states[i] == CHUNK_KNOWN)
			continue;
		claims->slots[at] = ids[i];
		claims->used++;
		if (claims->used * 2 > claims->cap && !double_it(claims))
			rc = qs_fail_nomem(err, "looking up chunks");
	}
	pthread_mutex_unlock(&claims->lock);
	if (rc == QS_OK)
		rc = qs_index_find(index, ids, count, locs, err);
	if (rc == QS_OK) {
		pthread_mutex_lock(&claims->lock);
		for (size_t i = 0; i < count; i++) {
			if (states[i] == CHUNK_NEW && locs[i].pack != 0) {
				states[i] = CHUNK_KNOWN;
				take_out(claims, &ids[i]);
			}
		}
		pthread_mutex_unlock(&claims->lock);
	}
	free(locs);
	return rc;
}

void
claims_settle(struct claims *claims, const struct qs_pack_dir *dir)
{
	pthread_mutex_lock(&claims->lock);
	for (uint32_t i = 0; i < dir->chunk_count; i++)
		take_out(claims, &dir->chunks[i].id);
	pthread_mutex_unlock(&claims->lock);
}
