/* SPDX-License-Identifier: ISC */
/*
 * Bring the index up to date with the log: the packs that records list and the
 * index has not seen, and those in a device's cover (folder_cover.c).  Most are
 * found through index chunks, the rest by their own directories.  Any other
 * pack is never taken in: only what certified devices signed for is built upon.
 */
#include <stdio.h>
#include <stdlib.h>

#include "snapshot/folder_sync_internal.h"

#define HAVE_BATCH 4096
#define COMMIT_EVERY 256 /* packs, so that a killed rebuild gets on */
#define TELL_MAX 20      /* objects that are missing, by name */
#define ABSENT_KEY "absent"
#define ABSENT_MAX ((1u << 20) / 32) /* names in a fact */

/* ----------------------------------------------------------------- facts */

bool
sync_is_fresh(const struct qs_chain *chain)
{
	return chain->has_head &&
		(!chain->is_seen || chain->seen < chain->head.seq);
}

/* ------------------------------------------------------ what is wanted */

/* Names that earlier runs looked for in vain are wanted again. */
static enum qs_code
add_absent(struct qs_folder *folder, struct qs_buf *wanted,
	struct qs_err *err)
{
	bool found;
	size_t old_len = wanted->len;
	enum qs_code rc = qs_index_fact_get(folder->index, ABSENT_KEY, wanted,
		&found, err);

	if (rc == QS_OK && (wanted->len - old_len) % 32 != 0)
		wanted->len = old_len;
	return rc;
}

enum qs_code
qs_folder_absent(struct qs_folder *folder, struct qs_buf *names,
	struct qs_err *err)
{
	return folder->index == NULL ? QS_OK : add_absent(folder, names, err);
}

enum qs_code
qs_folder_note_absent(struct qs_folder *folder, const struct qs_name *name,
	struct qs_err *err)
{
	struct qs_buf names = {0};
	enum qs_code rc = add_absent(folder, &names, err);

	for (size_t at = 0; rc == QS_OK && at < names.len; at += 32)
		if (memcmp(names.data + at, name->b, 32) == 0)
			goto out;
	if (rc == QS_OK && names.len / 32 < ABSENT_MAX)
		rc = qs_buf_append(&names, name->b, 32, err);
	if (rc == QS_OK)
		rc = qs_index_fact_put(folder->index, ABSENT_KEY,
			qs_buf_span(&names), err);
out:
	qs_buf_clear(&names);
	return rc;
}

/* Sorted, once each, without what is retired. */
size_t
sync_tidy(const struct qs_folder *folder, struct qs_name *names, size_t count)
{
	size_t kept = 0;

	count = qs_names_sort(names, count);
	for (size_t i = 0; i < count; i++) {
		if (!qs_is_retired(folder, &names[i]))
			names[kept++] = names[i];
	}
	return kept;
}

/* Told (the first ones by name), and remembered for the next time. */
static enum qs_code
give_up(struct sync *sync, const struct qs_name *name,
	const struct qs_err *trouble, struct qs_err *err)
{
	if (sync->absent.len / 32 < TELL_MAX)
		qs_folder_tell_object(sync->folder, trouble);
	return qs_buf_append(&sync->absent, name->b, 32, err);
}

static void
tell_more(const struct sync *sync)
{
	const size_t count = sync->absent.len / 32;
	struct qs_err trouble;

	if (count <= TELL_MAX)
		return;
	(void)qs_fail(&trouble, QS_ENOTFOUND, "%zu more objects are missing "
		"from %s or can't be read (qstore check names them)",
		count - TELL_MAX, sync->folder->store->place);
	qs_folder_tell_object(sync->folder, &trouble);
}

/* Not in the store: told, and out of the index. */
static enum qs_code
give_up_missing(struct sync *sync, size_t at, struct qs_err *err)
{
	const struct qs_name *name = &sync->names[at];
	struct qs_err trouble;
	char hex[QS_HEX_LEN + 1];
	enum qs_code rc;

	qs_hex(hex, name->b, 32);
	(void)qs_fail(&trouble, QS_ENOTFOUND, "object %.16s is missing from "
		"%s: files that need it can't be restored from there", hex,
		sync->folder->store->place);
	rc = give_up(sync, name, &trouble, err);
	if (rc == QS_OK && sync->done[at])
		rc = qs_index_forget(sync->folder->index, name, err);
	sync->done[at] = true; /* nothing more to be done */
	return rc;
}

/* It may be there: what the index has of it stays, and nothing is added. */
static enum qs_code
give_up_unknown(struct sync *sync, size_t at, struct qs_err *err)
{
	const struct qs_name *name = &sync->names[at];
	struct qs_err trouble;

	(void)qs_folder_fail_unknown(sync->folder, name, &trouble);
	sync->folder->has_hiccup = true;
	sync->done[at] = true;
	return give_up(sync, name, &trouble, err);
}

enum qs_code
sync_look_up(struct sync *sync, struct qs_err *err)
{
	struct qs_folder *folder = sync->folder;
	enum qs_code rc = QS_OK;

	for (size_t at = 0; rc == QS_OK && at < sync->count;
		at += HAVE_BATCH) {
		size_t left = sync->count - at;
		size_t n = left < HAVE_BATCH ? left : HAVE_BATCH;

		rc = folder->store->ops->have(folder->store->self,
			sync->names + at, n, sync->sizes + at, err);
		if (rc == QS_OK)
			rc = qs_index_has_packs(folder->index,
				sync->names + at, n, sync->done + at, err);
	}
	for (size_t i = 0; rc == QS_OK && i < sync->count; i++) {
		if (sync->sizes[i] == 0)
			rc = give_up_missing(sync, i, err);
		else if (sync->sizes[i] == QS_SIZE_UNKNOWN)
			rc = give_up_unknown(sync, i, err);
	}
	return rc;
}

/* -------------------------------------------------------------- take in */

enum qs_code
sync_added(struct sync *sync, size_t at, struct qs_err *err)
{
	sync->done[at] = true;
	if (++sync->uncommitted < COMMIT_EVERY)
		return QS_OK;
	sync->uncommitted = 0;
	return qs_index_commit(sync->folder->index, err);
}

/*
 * What is in the index is in a record that was seen or is to be listed, at each
 * moment: this run may be killed before the records are seen.
 */
enum qs_code
sync_queue(struct sync *sync, struct qs_err *err)
{
	enum qs_code rc = QS_OK;

	for (size_t i = 0; rc == QS_OK && i < sync->count; i++) {
		if (!sync->done[i])
			rc = qs_index_unlogged_add(sync->folder->index,
				&sync->names[i], 1, err);
	}
	return rc;
}

enum qs_code
sync_adopt(struct sync *sync, size_t at, struct qs_err *err)
{
	struct qs_folder *folder = sync->folder;
	const struct qs_name *name = &sync->names[at];
	struct qs_pack_head head;
	struct qs_pack_dir dir = {0};
	struct qs_err fault;
	enum qs_code rc = qs_folder_read_dir(folder, name, sync->sizes[at],
		&head, &dir, &fault);

	if (rc == QS_OK) {
		rc = qs_index_add(folder->index, &head.ref, &dir, err);
		qs_pack_dir_clear(&dir);
		return rc == QS_OK ? sync_added(sync, at, err) : rc;
	}
	if (!qs_is_object_fault(rc) && rc != QS_EIO) {
		*err = fault;
		return rc;
	}
	folder->has_hiccup |= rc == QS_EIO;
	sync->done[at] = true;
	rc = qs_index_unlogged_drop(folder->index, name, 1, err);
	return rc == QS_OK ? give_up(sync, name, &fault, err) : rc;
}

/* --------------------------------------------------------------- whole */

static enum qs_code
finish(struct sync *sync, struct qs_err *err)
{
	struct qs_folder *folder = sync->folder;
	enum qs_code rc = QS_OK;

	/* Too many to remember: then the records are not seen yet. */
	if (sync->absent.len / 32 > ABSENT_MAX) {
		rc = qs_disputed_list(folder, err);
		return rc == QS_OK ? qs_index_commit(folder->index, err) : rc;
	}
	if (sync->had_absent || sync->absent.len > 0)
		rc = qs_index_fact_put(folder->index, ABSENT_KEY,
			qs_buf_span(&sync->absent), err);
	for (size_t i = 0; rc == QS_OK && i < folder->chain_count; i++) {
		struct qs_chain *chain = &folder->chains[i];
		bool is_ahead = false;

		if (sync_is_fresh(chain))
			rc = qs_seen_is_ahead(folder, chain, &is_ahead, err);
		if (rc == QS_OK && sync_is_fresh(chain) && !is_ahead)
			rc = qs_chain_seen_save(folder, chain,
				chain->head.seq, err);
	}
	/* Seen by now: a record lists them, and its loss would show. */
	if (rc == QS_OK && sync->listed.len > 0)
		rc = qs_index_unlogged_drop(folder->index,
			(const struct qs_name *)sync->listed.data,
			sync->listed.len / 32, err);
	if (rc == QS_OK)
		rc = qs_disputed_list(folder, err);
	if (rc == QS_OK)
		rc = qs_index_commit(folder->index, err);
	return rc;
}

static enum qs_code
take_in(struct sync *sync, struct qs_err *err)
{
	enum qs_code rc = sync_look_up(sync, err);

	if (rc == QS_OK)
		rc = sync_queue(sync, err);
	if (rc == QS_OK)
		rc = sync_read_covers(sync, err);
	for (size_t i = 0; rc == QS_OK && i < sync->count; i++) {
		if (!sync->done[i])
			rc = sync_adopt(sync, i, err);
	}
	tell_more(sync);
	return rc;
}

/* ------------------------------------------- a log that is not as it was */

/*
 * All names again: a record that the index had taken in is gone, or others have
 * come below it.
 */
static enum qs_code
want_all(struct qs_folder *folder, struct qs_buf *wanted, bool *is_all,
	struct qs_err *err)
{
	enum qs_code rc = qs_seen_is_gone(folder, is_all, err);

	for (size_t i = 0; i < folder->chain_count; i++)
		*is_all |= !qs_chain_is_as_seen(&folder->chains[i]);
	if (rc != QS_OK || !*is_all)
		return rc;
	for (size_t i = 0; i < folder->chain_count; i++)
		folder->chains[i].is_seen = false;
	wanted->len = 0;
	return qs_folder_each_logged(folder, qs_names_collect, wanted, err);
}

struct unlisted {
	const struct sync *sync;
	struct qs_buf names;
};

static enum qs_code
take_unlisted(void *arg, uint32_t number, const struct qs_pack_ref *ref,
	struct qs_err *err)
{
	struct unlisted *unlisted = (struct unlisted *)arg;

	(void)number;
	if (unlisted->sync->listed.len > 0 && bsearch(&ref->name,
		unlisted->sync->listed.data, unlisted->sync->listed.len / 32,
		32, qs_name_compare) != NULL)
		return QS_OK;
	return qs_buf_append(&unlisted->names, ref->name.b, 32, err);
}

/*
 * Packs that only a lost record listed are built upon no more than the next
 * record lists them again: else what is saved now could be restored by nobody
 * who has not this index.
 */
static enum qs_code
list_again(struct sync *sync, struct qs_err *err)
{
	struct unlisted unlisted = {.sync = sync};
	struct qs_index *index = sync->folder->index;
	enum qs_code rc = qs_index_each_pack(index, take_unlisted, &unlisted,
		err);

	if (rc == QS_OK && unlisted.names.len > 0)
		rc = qs_index_unlogged_add(index,
			(const struct qs_name *)unlisted.names.data,
			unlisted.names.len / 32, err);
	qs_buf_clear(&unlisted.names);
	return rc;
}

enum qs_code
qs_folder_sync_index(struct qs_folder *folder, struct qs_buf *wanted,
	struct qs_err *err)
{
	struct sync sync = {.folder = folder};
	size_t fresh_len;
	bool is_all = false;
	enum qs_code rc = qs_folder_adopt_pending(folder, err);

	if (rc == QS_OK)
		rc = want_all(folder, wanted, &is_all, err);
	fresh_len = wanted->len;
	if (rc == QS_OK && fresh_len > 0)
		rc = qs_buf_append(&sync.listed, wanted->data, fresh_len, err);
	if (rc == QS_OK)
		sync.listed.len = 32 * qs_names_sort((struct qs_name *)
			sync.listed.data, sync.listed.len / 32);
	if (rc == QS_OK)
		rc = add_absent(folder, wanted, err);
	sync.had_absent = wanted->len != fresh_len;
	if (rc == QS_OK)
		rc = qs_disputed_want(folder, wanted, err);
	if (rc == QS_OK)
		rc = sync_want_covers(folder, wanted, err);
	if (rc == QS_OK)
		rc = qs_retired_forget(folder, err);
	if (rc != QS_OK)
		goto out;
	sync.names = (struct qs_name *)wanted->data;
	sync.count = sync_tidy(folder, sync.names, wanted->len / 32);
	sync.sizes = calloc(sync.count + 1, sizeof(*sync.sizes));
	sync.done = calloc(sync.count + 1, sizeof(*sync.done));
	if (sync.sizes == NULL || sync.done == NULL) {
		rc = qs_fail_nomem(err, "bringing the index up to date");
		goto out;
	}
	if (sync.count > 0)
		rc = take_in(&sync, err);
	if (rc == QS_OK && is_all)
		rc = list_again(&sync, err);
	if (rc == QS_OK && is_all)
		rc = qs_seen_forget_gone(folder, err);
	if (rc == QS_OK)
		rc = finish(&sync, err);
out:
	free(sync.sizes);
	free(sync.done);
	qs_buf_clear(&sync.absent);
	qs_buf_clear(&sync.listed);
	qs_buf_clear(&sync.others);
	return rc;
}
