/* SPDX-License-Identifier: ISC */
/* Memory that is given out piece by piece and taken back all at once. */
#include <stdlib.h>

#include "snapshot/create_internal.h"

#define ARENA_BLOCK (64u << 10)

struct arena_block {
	struct arena_block *next;
	size_t cap;
	_Alignas(16) uint8_t data[];
};

void *
arena_alloc(struct arena *arena, size_t len)
{
	size_t need = (len + 15) & ~(size_t)15;
	struct arena_block **link;
	void *out;

	if (arena->at != NULL && arena->at->cap - arena->used >= need) {
		out = arena->at->data + arena->used;
		arena->used += need;
		return out;
	}
	/* The next block if it is large enough, else a new one before it. */
	link = arena->at == NULL ? &arena->first : &arena->at->next;
	if (*link == NULL || (*link)->cap < need) {
		size_t cap = need > ARENA_BLOCK ? need : ARENA_BLOCK;
		struct arena_block *block = malloc(sizeof(*block) + cap);

		if (block == NULL)
			return NULL;
		block->cap = cap;
		block->next = *link;
		*link = block;
	}
	arena->at = *link;
	arena->used = need;
	return arena->at->data;
}

void *
arena_copy(struct arena *arena, const void *data, size_t len)
{
	void *out = arena_alloc(arena, len);

	if (out != NULL && len > 0)
		memcpy(out, data, len);
	return out;
}

void
arena_reset(struct arena *arena)
{
	struct arena_block **link = &arena->first;

	/* A block for one huge entry is not worth keeping. */
	while (*link != NULL) {
		struct arena_block *block = *link;

		if (block->cap > ARENA_BLOCK) {
			*link = block->next;
			free(block);
		} else {
			link = &block->next;
		}
	}
	arena->at = NULL;
	arena->used = 0;
}

void
arena_clear(struct arena *arena)
{
	while (arena->first != NULL) {
		struct arena_block *block = arena->first;

		arena->first = block->next;
		free(block);
	}
	arena->at = NULL;
	arena->used = 0;
}
