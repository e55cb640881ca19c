/* SPDX-License-Identifier: ISC */
/* XXH3-64, which tells damage and no more: of a file as it came. */
#ifndef QS_HUB_XXH3_H
#define QS_HUB_XXH3_H

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/base.h"

static inline uint64_t
qs_xxh3(struct qs_span bytes)
{
	return XXH3_64bits(bytes.data, bytes.len);
}

#endif
