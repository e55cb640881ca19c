/* SPDX-License-Identifier: ISC */
/*
 * The committer: names staged packs, as many at once as there are lanes, makes
 * them durable, and only then tells the index.
 *
 * Order for each set: names written down as pending (so that the next run
 * finds them if this one is killed) -> packs durable in the store -> index
 * rows -> pending names dropped.  A row never names what a crash has lost.
 */
#include <stdlib.h>

#include "snapshot/create_internal.h"

static enum qs_code
note_committed(struct create *create, const struct qs_name *names,
	size_t count, struct qs_err *err)
{
	struct qs_name *more;

	if (create->committed_count + count > create->committed_cap) {
		size_t cap = (create->committed_count + count) * 2;

		more = realloc(create->committed, cap * sizeof(*more));
		if (more == NULL)
			return qs_fail_nomem(err, "saving packs");
		create->committed = more;
		create->committed_cap = cap;
	}
	memcpy(create->committed + create->committed_count, names,
		count * sizeof(*names));
	create->committed_count += count;
	return QS_OK;
}

/* The rows of packs that are durable by now. */
static enum qs_code
add_rows(struct create *create, struct staged *set, const struct qs_name *names,
	size_t count, struct qs_err *err)
{
	enum qs_code rc = qs_index_unlogged_add(create->index, names, count,
		err);

	for (size_t i = 0; i < count && rc == QS_OK; i++) {
		set[i].ref.name = names[i];
		rc = qs_index_add(create->index, &set[i].ref, &set[i].dir,
			err);
		if (rc == QS_OK)
			rc = qs_index_pending_drop(create->index, &names[i],
				err);
		/* In the index before out of the claims: never in neither. */
		if (rc == QS_OK)
			claims_settle(create->claims, &set[i].dir);
	}
	return rc == QS_OK ? qs_index_commit(create->index, err) : rc;
}

static enum qs_code
commit_set(struct create *create, struct staged *set, size_t count,
	struct qs_err *err)
{
	struct qs_stage *stages[QS_LANES_MAX];
	struct qs_name names[QS_LANES_MAX];
	struct qs_store *store = create->store;
	enum qs_code rc;

	for (size_t i = 0; i < count; i++)
		stages[i] = set[i].stage;
	rc = qs_store_name(store, stages, count, names, err);
	if (rc == QS_OK)
		rc = qs_index_pending_add(create->index, names, count, err);
	if (rc != QS_OK) {
		for (size_t i = 0; i < count; i++)
			store->ops->discard(store->self, stages[i]);
		return rc;
	}
	rc = store->ops->commit(store->self, stages, names, count, err);
	if (rc == QS_OK)
		rc = add_rows(create, set, names, count, err);
	if (rc == QS_OK)
		rc = note_committed(create, names, count, err);
	return rc;
}

void
create_commit_run(void *arg)
{
	struct create *create = arg;
	struct staged set[QS_LANES_MAX];
	struct qs_err err;
	size_t count;

	while ((count = board_take_staged(&create->board, set,
		create->store->batch)) > 0) {
		if (commit_set(create, set, count, &err) != QS_OK)
			board_fail(&create->board, &err);
		for (size_t i = 0; i < count; i++)
			qs_pack_dir_clear(&set[i].dir);
		board_committed(&create->board, count);
	}
}
