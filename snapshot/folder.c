/* SPDX-License-Identifier: ISC */
/* The folder in memory: made, filled, asked, and freed. */
#include <stdio.h>
#include <stdlib.h>

#include "snapshot/folder_internal.h"

/* ------------------------------------------------------- small helpers */

enum qs_code
qs_array_room(void *array_pointer, size_t count, size_t *cap,
	size_t item_size, struct qs_err *err)
{
	size_t new_cap = *cap == 0 ? 8 : *cap * 2, bytes;
	void *array;

	if (count < *cap)
		return QS_OK;
	memcpy(&array, array_pointer, sizeof(array));
	if (!qs_mul_size(new_cap, item_size, &bytes))
		return qs_fail_nomem(err, "reading the log");
	array = realloc(array, bytes);
	if (array == NULL)
		return qs_fail_nomem(err, "reading the log");
	memcpy(array_pointer, &array, sizeof(array));
	*cap = new_cap;
	return QS_OK;
}

int
qs_name_compare(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct qs_name));
}

size_t
qs_names_sort(struct qs_name *names, size_t count)
{
	size_t kept = 0;

	if (count == 0)
		return 0;
	qsort(names, count, sizeof(*names), qs_name_compare);
	for (size_t i = 1; i < count; i++) {
		if (qs_name_compare(&names[kept], &names[i]) != 0)
			names[++kept] = names[i];
	}
	return kept + 1;
}

void
qs_time_text(uint64_t time_ms, char out[static QS_TIME_TEXT])
{
	time_t seconds = (time_t)(time_ms / 1000);
	struct tm tm;

	/* The time is what somebody claims: the year 9999 is enough. */
	if (time_ms / 1000 > UINT64_C(253402300799) ||
		gmtime_r(&seconds, &tm) == NULL ||
		strftime(out, QS_TIME_TEXT, "%Y-%m-%d %H:%M UTC", &tm) == 0)
		(void)snprintf(out, QS_TIME_TEXT, "an unknown date");
}

void
qs_folder_tell(struct qs_folder *folder, const struct qs_err *trouble)
{
	folder->has_hiccup |= trouble->code == QS_EIO ||
		trouble->code == QS_ENET;
	folder->trouble(folder->trouble_arg, trouble);
}

void
qs_folder_tell_object(struct qs_folder *folder, const struct qs_err *fault)
{
	struct qs_err trouble = *fault;

	trouble.code = QS_ENOTFOUND;
	qs_folder_tell(folder, &trouble);
}

/* -------------------------------------------------------- new and free */

/* The first folder key is pinned by the folder's id, as the admin key is. */
static enum qs_code
check_secret(const struct qs_store *store,
	const struct qs_slot_secret *secret, struct qs_err *err)
{
	uint8_t commit[32], id[QS_FOLDER_ID_LEN];
	char hex[2 * QS_FOLDER_ID_LEN + 1];

	qs_fmk_commit(secret->fmk, commit);
	qs_folder_id(secret->adm_pk, commit, id);
	if (qs_equal(id, store->folder_id, sizeof(id)))
		return QS_OK;
	qs_hex(hex, store->folder_id, QS_FOLDER_ID_LEN);
	return qs_fail(err, QS_EKEY, "the key is not that of folder %s in %s",
		hex, store->place);
}

enum qs_code
qs_folder_new(struct qs_store *store, const struct qs_slot_secret *secret,
	const struct qs_folder_options *options, struct qs_folder **out,
	struct qs_err *err)
{
	enum qs_code rc;
	struct qs_folder *folder = calloc(1, sizeof(*folder));

	if (folder == NULL) {
		qs_store_close(store);
		return qs_fail_nomem(err, "opening a folder");
	}
	folder->store = store;
	folder->trouble = options->trouble;
	folder->trouble_arg = options->trouble_arg;
	folder->in_memory = options->in_memory;
	folder->accept_rollback = options->accept_rollback;
	folder->chunker = qs_chunker_params_default();
	rc = check_secret(store, secret, err);
	if (rc == QS_OK)
		rc = qs_keys_open(secret, store->folder_id, &folder->keys,
			err);
	/* Who only reads can do so without a home. */
	if (rc == QS_OK && qs_state_dirs(folder, options, err) != QS_OK &&
		(!folder->in_memory || err->code == QS_ENOMEM))
		rc = err->code;
	if (rc != QS_OK)
		goto out;
	*out = folder;
	folder = NULL; /* handed over */
out:
	qs_folder_close(folder);
	return rc;
}

static void
free_snapshots(struct qs_snapshot **snapshots, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		qs_snapshot_clear(snapshots[i]);
		free(snapshots[i]);
	}
	free(snapshots);
}

void
qs_folder_clear_log(struct qs_folder *folder)
{
	for (size_t i = 0; i < folder->chain_count; i++) {
		free(folder->chains[i].links);
		qs_cover_clear(&folder->chains[i].cover);
	}
	free(folder->chains);
	free_snapshots(folder->snapshots, folder->snapshot_count);
	free_snapshots(folder->forgotten, folder->forgotten_count);
	qs_retirement_free(folder->retirement);
	qs_buf_clear(&folder->dropped);
	free(folder->marks);
	free(folder->mark_met);
	folder->chains = NULL;
	folder->snapshots = folder->forgotten = NULL;
	folder->retirement = NULL;
	folder->marks = NULL;
	folder->mark_met = NULL;
	folder->chain_count = folder->chain_cap = 0;
	folder->snapshot_count = folder->snapshot_cap = 0;
	folder->forgotten_count = 0;
	folder->mark_count = 0;
	folder->note_ms = folder->last_seq = 0;
	folder->has_genesis = folder->marks_unknown = false;
	folder->has_newer = false;
	folder->is_certified = folder->is_revoked = false;
	folder->refuse.code = folder->blind.code = QS_OK;
}

void
qs_folder_close(struct qs_folder *folder)
{
	if (folder == NULL)
		return;
	qs_folder_clear_log(folder);
	qs_buf_clear(&folder->came);
	qs_opener_free(folder->opener);
	qs_index_close(folder->index);
	qs_secret_free(folder->device);
	qs_keys_free(folder->keys);
	qs_store_close(folder->store);
	free(folder->cache_dir);
	free(folder->state_dir);
	free(folder);
}

struct qs_store *
qs_folder_store(struct qs_folder *folder)
{
	return folder->store;
}

const struct qs_keys *
qs_folder_keys(const struct qs_folder *folder)
{
	return folder->keys;
}

struct qs_index *
qs_folder_index(struct qs_folder *folder)
{
	return folder->index;
}

const struct qs_chunker_params *
qs_folder_chunker(const struct qs_folder *folder)
{
	return &folder->chunker;
}

/* -------------------------------------------------------------- chains */

struct qs_chain *
qs_folder_chain(const struct qs_folder *folder,
	const uint8_t device[static QS_DEVICE_LEN])
{
	for (size_t i = 0; i < folder->chain_count; i++) {
		if (memcmp(folder->chains[i].device, device,
			QS_DEVICE_LEN) == 0)
			return &folder->chains[i];
	}
	return NULL;
}

enum qs_code
qs_folder_chain_make(struct qs_folder *folder,
	const uint8_t device[static QS_DEVICE_LEN], struct qs_chain **out,
	struct qs_err *err)
{
	struct qs_chain *chain = qs_folder_chain(folder, device);
	enum qs_code rc;

	if (chain != NULL) {
		*out = chain;
		return QS_OK;
	}
	rc = qs_array_room(&folder->chains, folder->chain_count,
		&folder->chain_cap, sizeof(*folder->chains), err);
	if (rc != QS_OK)
		return rc;
	chain = &folder->chains[folder->chain_count];
	*chain = (struct qs_chain){0};
	memcpy(chain->device, device, QS_DEVICE_LEN);
	if (folder->index != NULL) {
		rc = qs_chain_seen_load(folder, chain, err);
		if (rc != QS_OK)
			return rc;
	}
	folder->chain_count++;
	*out = chain;
	return QS_OK;
}

enum qs_code
qs_chain_extend(struct qs_chain *chain, const struct qs_record *record,
	struct qs_err *err)
{
	bool is_twin = chain->has_head && chain->head.seq == record->seq;
	enum qs_code rc = qs_array_room(&chain->links, chain->link_count,
		&chain->link_cap, sizeof(*chain->links), err);

	if (rc != QS_OK)
		return rc;
	chain->links[chain->link_count++] = (struct qs_link){
		record->seq, record->name};
	chain->is_forked = is_twin;
	/* Of twins the lesser name, so that all machines see one head. */
	if (is_twin && qs_name_compare(&chain->head.name, &record->name) < 0)
		return QS_OK;
	memcpy(chain->head.device, chain->device, QS_DEVICE_LEN);
	chain->head.seq = record->seq;
	chain->head.name = record->name;
	chain->head.time_ms = record->time_ms;
	chain->has_head = true;
	return QS_OK;
}

const struct qs_cover *
qs_folder_cover(const struct qs_folder *folder)
{
	static const struct qs_cover none;

	const struct qs_chain *chain = folder->device == NULL ? NULL :
		qs_folder_chain(folder, folder->device->pk);

	return chain == NULL ? &none : &chain->cover;
}

/* ----------------------------------------------------------- snapshots */

enum qs_code
qs_folder_add_snapshot(struct qs_folder *folder,
	struct qs_snapshot *snapshot, struct qs_err *err)
{
	struct qs_snapshot *copy;
	enum qs_code rc = qs_array_room(&folder->snapshots,
		folder->snapshot_count, &folder->snapshot_cap,
		sizeof(struct qs_snapshot *), err);

	if (rc != QS_OK)
		return rc;
	copy = malloc(sizeof(*copy));
	if (copy == NULL)
		return qs_fail_nomem(err, "reading the log");
	*copy = *snapshot;
	*snapshot = (struct qs_snapshot){0}; /* handed over */
	folder->snapshots[folder->snapshot_count++] = copy;
	return QS_OK;
}

static int
by_time(const void *a, const void *b)
{
	const struct qs_snapshot *left =
		*(struct qs_snapshot *const *)a;
	const struct qs_snapshot *right =
		*(struct qs_snapshot *const *)b;

	if (left->time_ns != right->time_ns)
		return left->time_ns < right->time_ns ? -1 : 1;
	return qs_name_compare(&left->record, &right->record);
}

void
qs_folder_sort_snapshots(struct qs_folder *folder)
{
	if (folder->snapshot_count > 1)
		qsort(folder->snapshots, folder->snapshot_count,
			sizeof(struct qs_snapshot *), by_time);
	if (folder->forgotten_count > 1)
		qsort(folder->forgotten, folder->forgotten_count,
			sizeof(struct qs_snapshot *), by_time);
}

enum qs_code
qs_folder_part_forgotten(struct qs_folder *folder, struct qs_err *err)
{
	const size_t all = folder->snapshot_count + folder->forgotten_count;
	struct qs_snapshot **here = calloc(all + 1, sizeof(*here));
	struct qs_snapshot **gone = calloc(all + 1, sizeof(*gone));
	size_t here_count = 0, gone_count = 0;

	if (here == NULL || gone == NULL) {
		free(here);
		free(gone);
		return qs_fail_nomem(err, "reading the log");
	}
	for (size_t i = 0; i < all; i++) {
		struct qs_snapshot *snapshot = i < folder->snapshot_count ?
			folder->snapshots[i] :
			folder->forgotten[i - folder->snapshot_count];

		if (snapshot->is_forgotten)
			gone[gone_count++] = snapshot;
		else
			here[here_count++] = snapshot;
	}
	free(folder->snapshots);
	free(folder->forgotten);
	folder->snapshots = here;
	folder->snapshot_count = here_count;
	folder->snapshot_cap = all + 1;
	folder->forgotten = gone;
	folder->forgotten_count = gone_count;
	qs_folder_sort_snapshots(folder);
	return QS_OK;
}

size_t
qs_folder_snapshot_count(const struct qs_folder *folder)
{
	return folder->snapshot_count;
}

const struct qs_snapshot *
qs_folder_snapshot(const struct qs_folder *folder, size_t i)
{
	return folder->snapshots[i];
}
