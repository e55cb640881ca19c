/* SPDX-License-Identifier: ISC */
/*
 * What a device's cover adds to the public bodies.  It is the word of the same
 * certified device: where one of its records is damaged or withheld, its later
 * ones still say which packs its snapshots need.  Such packs are taken in, and
 * queued for this machine's next record, so that those without keys see them
 * listed again.
 */
#include <stdlib.h>

#include "snapshot/folder_sync_internal.h"

enum qs_code
sync_want_covers(const struct qs_folder *folder, struct qs_buf *wanted,
	struct qs_err *err)
{
	enum qs_code rc = QS_OK;

	for (size_t i = 0; rc == QS_OK && i < folder->chain_count; i++) {
		const struct qs_cover *cover = &folder->chains[i].cover;

		if (!sync_is_fresh(&folder->chains[i]))
			continue;
		if (cover->direct_count > 0)
			rc = qs_buf_append(wanted, cover->direct,
				cover->direct_count * sizeof(*cover->direct),
				err);
		for (size_t j = 0; rc == QS_OK && j < cover->index_count; j++)
			rc = qs_buf_append(wanted, cover->indexes[j].pack.b,
				32, err);
	}
	return rc;
}

static bool
find_name(const struct qs_name *names, size_t count,
	const struct qs_name *name, size_t *at)
{
	const struct qs_name *found = count == 0 ? NULL : bsearch(name, names,
		count, sizeof(*names), qs_name_compare);

	if (found != NULL)
		*at = (size_t)(found - names);
	return found != NULL;
}

static enum qs_code
take_pack(void *arg, const struct qs_pack_ref *ref,
	const struct qs_pack_dir *dir, struct qs_err *err)
{
	struct sync *sync = (struct sync *)arg;
	size_t at;
	enum qs_code rc;

	if (!find_name(sync->names, sync->count, &ref->name, &at))
		return qs_buf_append(&sync->others, ref->name.b, 32, err);
	/* Another size: the pack's own head will say what is wrong. */
	if (sync->done[at] || sync->sizes[at] != ref->size)
		return QS_OK;
	rc = qs_index_add(sync->folder->index, ref, dir, err);
	return rc == QS_OK ? sync_added(sync, at, err) : rc;
}

/* Of names, those that the index does not have. */
static enum qs_code
drop_known(const struct qs_folder *folder, struct qs_name *names,
	size_t *count, struct qs_err *err)
{
	bool *known = calloc(*count + 1, sizeof(*known));
	size_t kept = 0;
	enum qs_code rc;

	if (known == NULL)
		return qs_fail_nomem(err, "bringing the index up to date");
	rc = qs_index_has_packs(folder->index, names, *count, known, err);
	for (size_t i = 0; rc == QS_OK && i < *count; i++) {
		if (!known[i])
			names[kept++] = names[i];
	}
	if (rc == QS_OK)
		*count = kept;
	free(known);
	return rc;
}

static enum qs_code
take_each(struct sync *sync, struct qs_span chunk, struct qs_err *err)
{
	enum qs_code rc = sync_look_up(sync, err);

	if (rc == QS_OK)
		rc = sync_queue(sync, err);
	if (rc == QS_OK)
		rc = qs_index_chunk_decode(chunk, take_pack, sync, err);
	for (size_t i = 0; rc == QS_OK && i < sync->count; i++) {
		if (!sync->done[i])
			rc = sync_adopt(sync, i, err);
	}
	return rc;
}

/* The packs in an index chunk that no public body lists. */
static enum qs_code
take_others(struct sync *sync, struct qs_span chunk, struct qs_err *err)
{
	struct sync more = {.folder = sync->folder,
		.absent = sync->absent};
	enum qs_code rc;

	if (sync->others.len == 0)
		return QS_OK;
	more.names = (struct qs_name *)sync->others.data;
	more.count = sync_tidy(more.folder, more.names, sync->others.len / 32);
	rc = drop_known(more.folder, more.names, &more.count, err);
	if (rc != QS_OK || more.count == 0)
		return rc;
	more.sizes = calloc(more.count, sizeof(*more.sizes));
	more.done = calloc(more.count, sizeof(*more.done));
	rc = more.sizes == NULL || more.done == NULL ?
		qs_fail_nomem(err, "bringing the index up to date") :
		take_each(&more, chunk, err);
	sync->absent = more.absent; /* back, and it may have grown */
	free(more.sizes);
	free(more.done);
	qs_buf_clear(&more.others);
	return rc;
}

static enum qs_code
read_chunk(struct sync *sync, const struct qs_index_at *index,
	struct qs_err *err)
{
	struct qs_buf chunk = {0};
	struct qs_err fault;
	enum qs_code rc = qs_folder_read_index_chunk(sync->folder, index,
		&chunk, &fault);

	sync->others.len = 0;
	if (rc == QS_OK)
		rc = qs_index_chunk_decode(qs_buf_span(&chunk), take_pack,
			sync, &fault);
	if (rc == QS_OK) {
		rc = take_others(sync, qs_buf_span(&chunk), err);
	} else if (qs_is_object_fault(rc) || rc == QS_EIO) {
		/* The packs' own directories will do. */
		qs_folder_tell_object(sync->folder, &fault);
		rc = QS_OK;
	} else {
		*err = fault;
	}
	qs_buf_clear(&chunk);
	return rc;
}

/*
 * A device's new index chunks lie in packs that its new records list; those
 * in other packs tell of packs that are known already, if all was taken in
 * when they were new.
 */
static enum qs_code
read_cover(struct sync *sync, const struct qs_chain *chain,
	const bool *was_done, struct qs_err *err)
{
	const struct qs_name *listed = (struct qs_name *)sync->listed.data;

	for (size_t i = 0; i < chain->cover.index_count; i++) {
		const struct qs_index_at *index = &chain->cover.indexes[i];
		enum qs_code rc = QS_OK;
		size_t at, ignored;

		/* Not wanted: it is retired. */
		if (!find_name(sync->names, sync->count, &index->pack, &at) ||
			sync->sizes[at] == 0 ||
			sync->sizes[at] == QS_SIZE_UNKNOWN)
			continue;
		if (chain->is_seen && was_done[at] && !find_name(listed,
			sync->listed.len / 32, &index->pack, &ignored))
			continue;
		if (!sync->done[at])
			rc = sync_adopt(sync, at, err);
		if (rc == QS_OK)
			rc = read_chunk(sync, index, err);
		if (rc != QS_OK)
			return rc;
	}
	return QS_OK;
}

enum qs_code
sync_read_covers(struct sync *sync, struct qs_err *err)
{
	const struct qs_folder *folder = sync->folder;
	bool *was_done = calloc(sync->count + 1, sizeof(*was_done));
	enum qs_code rc = QS_OK;

	if (was_done == NULL)
		return qs_fail_nomem(err, "bringing the index up to date");
	if (sync->count > 0)
		memcpy(was_done, sync->done, sync->count * sizeof(*was_done));
	for (size_t i = 0; rc == QS_OK && i < folder->chain_count; i++) {
		if (sync_is_fresh(&folder->chains[i]))
			rc = read_cover(sync, &folder->chains[i], was_done,
				err);
	}
	free(was_done);
	return rc;
}
