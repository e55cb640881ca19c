/* SPDX-License-Identifier: ISC */
/*
 * Remember snapshots again, with what they need of that which is retired and
 * still there.  The trees are read through an index of its own, a file that
 * goes afterwards: the folder's must not have packs on their way out, not even
 * for a moment, since another process might build upon them.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "retention/retention_internal.h"
#include "snapshot/source_internal.h"

#define HAVE_BATCH 4096
#define COMMIT_EVERY 256

struct back { /* a retired pack that is still there */
	uint32_t number; /* in the index of its own */
	bool is_needed;
	struct qs_name name;
};

struct undelete {
	struct qs_folder *folder;
	char *path;
	struct qs_index *index;
	struct back *backs; /* by number */
	size_t count, cap;
	size_t uncommitted;
};

/* ------------------------------------------------------------- the index */

static void
remove_index(const struct undelete *undelete)
{
	static const char *const tails[] = {"", "-wal", "-shm"};
	char *path;

	for (size_t i = 0; i < sizeof(tails) / sizeof(tails[0]); i++) {
		if (asprintf(&path, "%s%s", undelete->path, tails[i]) < 0)
			return;
		(void)unlink(path);
		free(path);
	}
}

static enum qs_code
open_index(struct undelete *undelete, struct qs_err *err)
{
	const struct qs_folder *folder = undelete->folder;
	bool rebuilt;

	if (asprintf(&undelete->path, "%s/undelete-%ld.sqlite",
		folder->cache_dir, (long)getpid()) < 0) {
		undelete->path = NULL;
		return qs_fail_nomem(err, "undeleting");
	}
	remove_index(undelete);
	return qs_index_open(undelete->path, folder->store->folder_id,
		&undelete->index, &rebuilt, err);
}

static enum qs_code
count_added(struct undelete *undelete, struct qs_err *err)
{
	if (++undelete->uncommitted < COMMIT_EVERY)
		return QS_OK;
	undelete->uncommitted = 0;
	return qs_index_commit(undelete->index, err);
}

struct known { /* packs of the folder's index */
	uint32_t *numbers;
	struct qs_pack_ref *refs;
	size_t count, number_cap, ref_cap;
};

static enum qs_code
add_known(void *arg, uint32_t number, const struct qs_pack_ref *ref,
	struct qs_err *err)
{
	struct known *known = arg;
	enum qs_code rc = qs_array_room(&known->numbers, known->count,
		&known->number_cap, sizeof(*known->numbers), err);

	if (rc == QS_OK)
		rc = qs_array_room(&known->refs, known->count,
			&known->ref_cap, sizeof(*known->refs), err);
	if (rc != QS_OK)
		return rc;
	known->numbers[known->count] = number;
	known->refs[known->count++] = *ref;
	return QS_OK;
}

/* First, so that what is in use is found where it is not retired. */
static enum qs_code
copy_index(struct undelete *undelete, struct qs_err *err)
{
	struct qs_index *from = undelete->folder->index;
	struct known known = {.count = 0};
	enum qs_code rc = qs_index_each_pack(from, add_known, &known, err);

	for (size_t i = 0; rc == QS_OK && i < known.count; i++) {
		struct qs_pack_dir dir;

		rc = qs_index_pack_dir(from, known.numbers[i], &dir, err);
		if (rc != QS_OK)
			break;
		rc = qs_index_add(undelete->index, &known.refs[i], &dir, err);
		qs_pack_dir_clear(&dir);
		if (rc == QS_OK)
			rc = count_added(undelete, err);
	}
	free(known.numbers);
	free(known.refs);
	return rc;
}

/* ------------------------------------------------------ what is retired */

static enum qs_code
add_back(struct undelete *undelete, const struct qs_name *name, uint64_t size,
	struct qs_err *err)
{
	struct qs_pack_head head;
	struct qs_pack_dir dir = {0};
	struct qs_err fault;
	struct back *back;
	enum qs_code rc = qs_folder_read_dir(undelete->folder, name, size,
		&head, &dir, &fault);

	if (rc != QS_OK && qs_is_object_fault(rc))
		return QS_OK; /* whoever needs something of it will miss it */
	if (rc != QS_OK) {
		*err = fault;
		return rc;
	}
	rc = qs_index_add(undelete->index, &head.ref, &dir, err);
	qs_pack_dir_clear(&dir);
	if (rc == QS_OK)
		rc = count_added(undelete, err);
	if (rc == QS_OK)
		rc = qs_array_room(&undelete->backs, undelete->count,
			&undelete->cap, sizeof(*undelete->backs), err);
	if (rc != QS_OK)
		return rc;
	back = &undelete->backs[undelete->count];
	*back = (struct back){.name = *name};
	rc = qs_index_pack_number(undelete->index, name, &back->number, err);
	undelete->count += rc == QS_OK;
	return rc;
}

static enum qs_code
look_up(const struct undelete *undelete, const struct qs_name *names,
	size_t count, uint64_t *sizes, struct qs_err *err)
{
	struct qs_store *store = undelete->folder->store;
	enum qs_code rc = QS_OK;

	for (size_t at = 0; rc == QS_OK && at < count; at += HAVE_BATCH) {
		const size_t left = count - at;

		rc = store->ops->have(store->self, names + at,
			left < HAVE_BATCH ? left : HAVE_BATCH, sizes + at,
			err);
	}
	return rc;
}

static int
by_number(const void *a, const void *b)
{
	const struct back *left = a, *right = b;

	return left->number < right->number ? -1 :
		left->number > right->number;
}

static enum qs_code
add_retired(struct undelete *undelete, struct qs_err *err)
{
	const struct qs_retirement *retirement =
		undelete->folder->retirement;
	const size_t count = qs_retirement_count(retirement);
	const struct qs_name *names = count == 0 ? NULL :
		qs_retirement_name(retirement, 0);
	uint64_t *sizes = calloc(count + 1, sizeof(*sizes));
	enum qs_code rc;

	if (sizes == NULL)
		return qs_fail_nomem(err, "undeleting");
	rc = look_up(undelete, names, count, sizes, err);
	for (size_t i = 0; rc == QS_OK && i < count; i++) {
		if (sizes[i] != 0)
			rc = add_back(undelete, &names[i], sizes[i], err);
	}
	if (rc == QS_OK && undelete->count > 1)
		qsort(undelete->backs, undelete->count,
			sizeof(*undelete->backs), by_number);
	if (rc == QS_OK)
		rc = qs_index_commit(undelete->index, err);
	free(sizes);
	return rc;
}

/* -------------------------------------------------------- what is needed */

static enum qs_code
need_chunk(void *arg, const struct qs_id *id, struct qs_err *err)
{
	struct undelete *undelete = arg;
	struct qs_chunk_loc loc;
	struct back key, *back;
	enum qs_code rc = qs_index_find(undelete->index, id, 1, &loc, err);

	if (rc != QS_OK)
		return rc;
	if (loc.pack == 0)
		return qs_fail(err, QS_ENOTFOUND, "chunk %s is in no object "
			"that is there", source_hex(id).hex);
	key.number = loc.pack;
	back = undelete->count == 0 ? NULL : bsearch(&key, undelete->backs,
		undelete->count, sizeof(key), by_number);
	if (back != NULL)
		back->is_needed = true;
	return QS_OK;
}

static const struct qs_snapshot *
find(const struct qs_folder *folder, const struct qs_name *record)
{
	for (size_t i = 0; i < folder->forgotten_count; i++) {
		if (qs_name_compare(&folder->forgotten[i]->record, record)
			== 0)
			return folder->forgotten[i];
	}
	return NULL;
}

struct told {
	qs_incomplete_fn fn;
	void *arg;
};

static enum qs_code
read_snapshots(struct undelete *undelete, const struct qs_name *records,
	size_t count, struct qs_progress *progress, const struct told *told,
	struct qs_undelete_result *result, struct qs_err *err)
{
	struct qs_folder *folder = undelete->folder;
	struct qs_source *source = NULL;
	struct live live;
	enum qs_code rc = qs_source_new_parts(folder->store, folder->keys,
		undelete->index, QS_SOURCE_CACHE, &source, err);

	live_init(&live, source, progress);
	live.goes_on = true;
	live.on_chunk = need_chunk;
	live.arg = undelete;
	for (size_t i = 0; rc == QS_OK && i < count; i++) {
		const struct qs_snapshot *snapshot = find(folder,
			&records[i]);

		if (snapshot == NULL)
			continue;
		rc = live_add_snapshot(&live, snapshot, err);
		if (rc != QS_OK)
			break;
		result->remembered++;
		if (live.hole.code == QS_OK)
			continue;
		result->incomplete++;
		if (told->fn != NULL)
			told->fn(told->arg, snapshot, &live.hole);
	}
	live_clear(&live);
	qs_source_free(source);
	return rc;
}

/* -------------------------------------------------------------- the record */

static enum qs_code
collect_needed(const struct undelete *undelete, struct qs_buf *names,
	struct qs_err *err)
{
	enum qs_code rc = QS_OK;

	for (size_t i = 0; rc == QS_OK && i < undelete->count; i++) {
		if (undelete->backs[i].is_needed)
			rc = qs_buf_append(names,
				undelete->backs[i].name.b, 32, err);
	}
	names->len = 32 * qs_names_sort((struct qs_name *)names->data,
		names->len / 32);
	return rc;
}

/* The place may have removed one for good at the last moment. */
static enum qs_code
check_there(const struct undelete *undelete, const struct qs_buf *names,
	struct qs_err *err)
{
	const struct qs_name *name = (const struct qs_name *)names->data;
	const size_t count = names->len / 32;
	uint64_t *sizes = calloc(count + 1, sizeof(*sizes));
	enum qs_code rc;

	if (sizes == NULL)
		return qs_fail_nomem(err, "undeleting");
	rc = look_up(undelete, name, count, sizes, err);
	for (size_t i = 0; rc == QS_OK && i < count; i++) {
		if (sizes[i] == 0)
			rc = qs_fail(err, QS_ENOTFOUND, "object %s has just "
				"been removed for good: see qstore check",
				source_hex(&name[i]).hex);
	}
	free(sizes);
	return rc;
}

static enum qs_code
write_down(struct undelete *undelete, const struct qs_name *records,
	size_t count, struct qs_undelete_result *result, struct qs_err *err)
{
	struct qs_buf names = {0};
	bool changed;
	enum qs_code rc = collect_needed(undelete, &names, err);

	if (rc == QS_OK)
		rc = qs_turn(undelete->folder, records, count, false,
			qs_buf_span(&names), false, err);
	result->brought_back = names.len / 32;
	/* The index takes in what is listed again. */
	if (rc == QS_OK)
		rc = qs_folder_reload(undelete->folder, &changed, err);
	if (rc == QS_OK)
		rc = check_there(undelete, &names, err);
	qs_buf_clear(&names);
	return rc;
}

enum qs_code
qs_undelete(struct qs_folder *folder, const struct qs_name *records,
	size_t count, struct qs_progress *progress, qs_incomplete_fn fn,
	void *arg, struct qs_undelete_result *out, struct qs_err *err)
{
	struct undelete undelete = {.folder = folder};
	const struct told told = {fn, arg};
	struct qs_undelete_result result = {0};
	enum qs_code rc;

	if (folder->index == NULL || folder->cache_dir == NULL)
		return qs_fail(err, QS_EINVAL,
			"the folder was opened without its index");
	rc = qs_folder_can_write(folder, err);
	if (rc == QS_OK)
		rc = open_index(&undelete, err);
	if (rc == QS_OK)
		rc = copy_index(&undelete, err);
	if (rc == QS_OK)
		rc = add_retired(&undelete, err);
	if (rc == QS_OK)
		rc = read_snapshots(&undelete, records, count, progress, &told,
			&result, err);
	if (rc == QS_OK && result.remembered > 0)
		rc = write_down(&undelete, records, count, &result, err);
	if (rc == QS_OK)
		*out = result;
	qs_index_close(undelete.index);
	if (undelete.path != NULL)
		remove_index(&undelete);
	free(undelete.path);
	free(undelete.backs);
	return rc;
}
