/* SPDX-License-Identifier: ISC */
/*
 * check_list: which objects there should be, by the log and by the index, and
 * which there are.
 */
#include <stdlib.h>

#include "snapshot/check_internal.h"
#include "snapshot/folder_internal.h"

static enum qs_code
append(struct check *check, const struct check_pack *pack,
	struct qs_err *err)
{
	if (check->count == check->cap) {
		const size_t cap = check->cap == 0 ? 256 : check->cap * 2;
		struct check_pack *packs = realloc(check->packs,
			cap * sizeof(*packs));

		if (packs == NULL)
			return qs_fail_nomem(err, "listing objects");
		check->packs = packs;
		check->cap = cap;
	}
	check->packs[check->count++] = *pack;
	return QS_OK;
}

static int
compare_names(const void *a, const void *b)
{
	return memcmp(((const struct check_pack *)a)->name.b,
		((const struct check_pack *)b)->name.b, 32);
}

static void
sort(struct check *check)
{
	if (check->count > 1)
		qsort(check->packs, check->count, sizeof(*check->packs),
			compare_names);
}

/* Among the first `sorted` packs; NULL: not there. */
static struct check_pack *
find(const struct check *check, size_t sorted, const struct qs_name *name)
{
	const struct check_pack key = {.name = *name};

	return sorted == 0 ? NULL : bsearch(&key, check->packs, sorted,
		sizeof(key), compare_names);
}

static enum qs_code
add_logged(void *arg, const struct qs_name *name, struct qs_err *err)
{
	return append(arg, &(struct check_pack){.name = *name,
		.is_logged = true}, err);
}

/* Two devices may have added the same object. */
static void
drop_repeats(struct check *check)
{
	size_t left = 0;

	for (size_t i = 0; i < check->count; i++)
		if (left == 0 || compare_names(&check->packs[left - 1],
		    &check->packs[i]) != 0)
			check->packs[left++] = check->packs[i];
	check->count = left;
}

struct indexed {
	struct check *check;
	size_t sorted; /* what is appended comes after these */
};

static enum qs_code
add_indexed(void *arg, uint32_t number, const struct qs_pack_ref *ref,
	struct qs_err *err)
{
	const struct indexed *indexed = arg;
	struct check_pack *pack = find(indexed->check, indexed->sorted,
		&ref->name);

	if (pack == NULL)
		return append(indexed->check, &(struct check_pack){
			.name = ref->name, .number = number,
			.index_size = ref->size}, err);
	pack->number = number;
	pack->index_size = ref->size;
	return QS_OK;
}

static enum qs_code
see_object(void *arg, const struct qs_ref *ref, struct qs_err *err)
{
	struct check *check = arg;
	struct check_pack *pack;

	if (check_is_cancelled(check))
		return qs_fail(err, QS_ECANCELED, "interrupted");
	if (ref->foreign != NULL) {
		check_see_foreign(check, ref->foreign);
		return QS_OK;
	}
	pack = find(check, check->count, &ref->name);
	if (pack == NULL)
		check->result.unreferenced_packs++;
	/* An empty file is as good as none. */
	if (pack != NULL)
		pack->size = ref->size;
	return QS_OK;
}

/*
 * What is not listed may be in the trash, from where it comes back when it is
 * in use; what is retired is on its way out, wherever it is.
 */
static enum qs_code
see_trashed(struct check *check, struct qs_err *err)
{
	size_t left = 0;

	for (size_t i = 0; i < check->count; i++) {
		struct check_pack *pack = &check->packs[i];

		if (pack->number == 0 &&
			qs_is_retired(check->folder, &pack->name))
			continue;
		if (pack->size == 0) {
			enum qs_code rc = check->store->ops->have(
				check->store->self, &pack->name, 1,
				&pack->size, err);

			if (rc != QS_OK)
				return rc;
		}
		check->packs[left++] = *pack;
	}
	check->count = left;
	return QS_OK;
}

static bool
is_class_size(uint64_t size)
{
	return size >= QS_PACK_MIN && size <= QS_PACK_MAX &&
		(size & (size - 1)) == 0;
}

/*
 * A folder of objects could not be listed: what should be in it is looked for
 * by name, so that the rest is checked all the same.
 */
static enum qs_code
look_for_each(struct check *check, const struct qs_err *cause,
	struct qs_err *err)
{
	enum qs_code rc = QS_OK;

	check_count_error(check);
	check_tell(check, NULL, QS_NODE_FILE, 0, cause);
	for (size_t i = 0; rc == QS_OK && i < check->count; i++) {
		struct check_pack *pack = &check->packs[i];

		if (pack->size == 0)
			rc = check->store->ops->have(check->store->self,
				&pack->name, 1, &pack->size, err);
	}
	return rc;
}

static enum qs_code
list_objects(struct check *check, struct qs_err *err)
{
	struct qs_err cause;
	enum qs_code rc = check->store->ops->list(check->store->self,
		QS_AREA_OBJ, see_object, check, &cause);

	if (rc != QS_OK && check_is_finding(rc))
		return look_for_each(check, &cause, err);
	if (rc != QS_OK)
		*err = cause;
	return rc;
}

static enum qs_code
check_sizes(struct check *check, struct qs_err *err)
{
	for (size_t i = 0; i < check->count; i++) {
		struct check_pack *pack = &check->packs[i];
		struct qs_err cause;
		enum qs_code rc;

		if (pack->size == 0) {
			(void)qs_fail(&cause, QS_ENOTFOUND, "missing");
		} else if (pack->size == QS_SIZE_UNKNOWN) {
			(void)qs_folder_fail_unknown(check->folder,
				&pack->name, &cause);
			cause.code = QS_EIO;
			pack->size = 0;
		} else if (!is_class_size(pack->size) || (pack->number != 0 &&
		    pack->index_size != pack->size)) {
			(void)qs_fail(&cause, QS_ECORRUPT,
				"its size is %llu bytes, which is wrong",
				(unsigned long long)pack->size);
		} else {
			continue;
		}
		rc = check_bad_pack(check, pack, &cause, err);
		if (rc != QS_OK)
			return rc;
	}
	return QS_OK;
}

static enum qs_code
make_uses(struct check *check, struct qs_err *err)
{
	uint32_t most = 0;

	for (size_t i = 0; i < check->count; i++)
		if (!check->packs[i].is_logged &&
		    check->packs[i].number > most)
			most = check->packs[i].number;
	if (most == 0)
		return QS_OK;
	check->uses = calloc((size_t)most + 1, sizeof(*check->uses));
	if (check->uses == NULL)
		return qs_fail_nomem(err, "listing objects");
	check->use_count = most + 1;
	return QS_OK;
}

void
check_use(struct check *check, uint32_t number)
{
	if (number < check->use_count)
		check->uses[number] = true;
}

enum qs_code
check_unlisted(struct check *check, struct qs_err *err)
{
	uint64_t count = 0;
	struct qs_err what;
	char first[17];
	enum qs_code rc = QS_OK;

	for (size_t i = 0; rc == QS_OK && i < check->count; i++) {
		const struct check_pack *pack = &check->packs[i];

		if (pack->is_logged || pack->is_bad)
			continue;
		if (check->uses == NULL || !check->uses[pack->number]) {
			check->result.unreferenced_packs++;
			continue;
		}
		if (count++ == 0)
			qs_hex(first, pack->name.b, 8);
		/* It should be queued already: this is what makes it true. */
		rc = qs_index_unlogged_add(check->index, &pack->name, 1, err);
	}
	if (rc != QS_OK || count == 0)
		return rc;
	check->result.unlisted_packs = count;
	check_count_error(check);
	(void)qs_fail(&what, QS_ECORRUPT, "%llu objects that snapshots need "
		"are listed by no valid record (the first: %s): other places "
		"may take them for unused, only this machine's index is sure "
		"of them; run qstore snapshot, which lists them again",
		(unsigned long long)count, first);
	check_tell(check, NULL, QS_NODE_FILE, 0, &what);
	return qs_index_commit(check->index, err);
}

enum qs_code
check_list(struct check *check, struct qs_err *err)
{
	struct indexed indexed = {check, 0};
	enum qs_code rc;

	rc = qs_folder_each_logged(check->folder, add_logged, check, err);
	if (rc != QS_OK)
		return rc;
	sort(check);
	drop_repeats(check);
	indexed.sorted = check->count;
	rc = qs_index_each_pack(check->index, add_indexed, &indexed, err);
	if (rc != QS_OK)
		return rc;
	sort(check);
	check->result.packs = check->count;
	rc = make_uses(check, err);
	if (rc == QS_OK)
		rc = list_objects(check, err);
	if (rc == QS_OK)
		rc = see_trashed(check, err);
	return rc == QS_OK ? check_sizes(check, err) : rc;
}
