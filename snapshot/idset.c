/* SPDX-License-Identifier: ISC */
/* idset: which ids were seen, in a few bytes each. */
#include <stdlib.h>

#include "snapshot/idset_internal.h"

static void
load(const struct qs_idset *set, const void *id, uint64_t key[static 2])
{
	const uint8_t *bytes = id;

	key[0] = qs_load64(bytes);
	key[1] = set->words > 1 ? qs_load64(bytes + 8) : 0;
	if (key[0] == 0) /* means an empty slot */
		key[0] = 1;
}

/* The key's slot, or the empty one where it belongs. */
static uint64_t *
place(const struct qs_idset *set, const uint64_t key[static 2])
{
	/* Also of numbers that follow each other: they must spread. */
	size_t i = (size_t)(key[0] * 0x9e3779b97f4a7c15u >> 32) &
		(set->cap - 1);

	for (;; i = (i + 1) & (set->cap - 1)) {
		uint64_t *slot = set->slots + i * set->words;

		if (slot[0] == 0 || (slot[0] == key[0] &&
		    (set->words == 1 || slot[1] == key[1])))
			return slot;
	}
}

static enum qs_code
grow(struct qs_idset *set, struct qs_err *err)
{
	struct qs_idset larger = *set;
	uint64_t key[2] = {0, 0};

	larger.cap = set->cap == 0 ? 64 : set->cap * 2;
	larger.slots = calloc(larger.cap, larger.words * sizeof(uint64_t));
	if (larger.slots == NULL)
		return qs_fail_nomem(err, "remembering what was seen");
	for (size_t i = 0; i < set->cap; i++) {
		const uint64_t *slot = set->slots + i * set->words;

		if (slot[0] == 0)
			continue;
		memcpy(key, slot, set->words * sizeof(key[0]));
		memcpy(place(&larger, key), slot,
			set->words * sizeof(key[0]));
	}
	free(set->slots);
	*set = larger;
	return QS_OK;
}

enum qs_code
qs_idset_add(struct qs_idset *set, const void *id, bool *is_new,
	struct qs_err *err)
{
	uint64_t key[2], *slot;
	enum qs_code rc;

	if (4 * (set->count + 1) > 3 * set->cap) {
		rc = grow(set, err);
		if (rc != QS_OK)
			return rc;
	}
	load(set, id, key);
	slot = place(set, key);
	*is_new = slot[0] == 0;
	if (*is_new) {
		memcpy(slot, key, set->words * sizeof(key[0]));
		set->count++;
	}
	return QS_OK;
}

bool
qs_idset_has(const struct qs_idset *set, const void *id)
{
	uint64_t key[2];

	if (set->count == 0)
		return false;
	load(set, id, key);
	return place(set, key)[0] != 0;
}

void
qs_idset_clear(struct qs_idset *set)
{
	free(set->slots);
	set->slots = NULL;
	set->cap = set->count = 0;
}
