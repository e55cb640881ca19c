/* SPDX-License-Identifier: ISC */
/*
 * Open a folder: what this machine remembers, then the log, then the index.
 * What is wrong with the log is told and gone around, since reading what is
 * there comes first; whether writing is allowed is settled here and asked by
 * whoever writes.
 */
#include <stdio.h>
#include <stdlib.h>

#include "snapshot/folder_internal.h"

/* How often objects that are missing are asked for. */
#define ASK_MIN_NS INT64_C(1000000000)
#define ASK_MAX_NS INT64_C(60000000000)

/* A key or marks that can't be read stop writing, not reading. */
static enum qs_code
load_key(struct qs_folder *folder, struct qs_err *err)
{
	struct qs_err fault;
	enum qs_code rc;

	if (folder->in_memory)
		return QS_OK;
	rc = qs_device_key_load(folder, &folder->device, &fault);
	if (rc == QS_ENOMEM) {
		*err = fault;
		return rc;
	}
	if (rc != QS_OK)
		folder->device_err = fault;
	return QS_OK;
}

static enum qs_code
load_marks(struct qs_folder *folder, struct qs_err *err)
{
	struct qs_err fault;
	enum qs_code rc;

	if (folder->state_dir == NULL)
		return QS_OK;
	/* In memory, too: what is remembered is asked, and nothing is added. */
	rc = qs_marks_load(folder, &fault);
	if (rc == QS_OK)
		return QS_OK;
	if (rc == QS_ENOMEM) {
		*err = fault;
		return rc;
	}
	(void)qs_fail_while(&fault, "whether the store went back in time "
		"can't be told");
	qs_folder_tell(folder, &fault);
	folder->marks_unknown = true;
	if (!folder->accept_rollback)
		(void)qs_fail(&folder->refuse, fault.code, "%.300s: nothing is "
			"written until that is settled; --accept-rollback "
			"takes the store as it is now", fault.msg);
	return QS_OK;
}

static enum qs_code
open_index(struct qs_folder *folder, struct qs_err *err)
{
	struct qs_err trouble;
	char *path = NULL;
	bool rebuilt = false;
	enum qs_code rc;

	if (folder->in_memory)
		return qs_index_open(":memory:", folder->store->folder_id,
			&folder->index, &rebuilt, err);
	rc = qs_dir_make(folder->cache_dir, 0700, err);
	if (rc != QS_OK)
		return rc;
	if (asprintf(&path, "%s/index.sqlite", folder->cache_dir) < 0)
		return qs_fail_nomem(err, "opening the index");
	rc = qs_index_open(path, folder->store->folder_id, &folder->index,
		&rebuilt, err);
	if (rc == QS_OK && rebuilt) {
		(void)qs_fail(&trouble, QS_EINDEX, "index %s: was damaged "
			"or not this folder's; it is set aside and made anew "
			"from the store", path);
		qs_folder_tell(folder, &trouble);
	}
	free(path);
	return rc;
}

static void
check_genesis(struct qs_folder *folder)
{
	struct qs_err trouble;
	char device[2 * QS_DEVICE_LEN + 1];

	/* Of a newer version: told already, and not lost. */
	if (folder->has_genesis || folder->has_newer)
		return;
	qs_hex(device, qs_keys_adm_pk(folder->keys), QS_DEVICE_LEN);
	(void)qs_fail(&trouble, QS_ECORRUPT, "the first record of the log in "
		"%s (GENESIS, log/%s/0000000000000000-...) is lost: reading "
		"works without it, writing does not; copy it back from "
		"another copy of the store", folder->store->place, device);
	qs_folder_tell(folder, &trouble);
}

/*
 * Remember how far the log is now.  Where the store went back nothing is
 * lowered, so that every later run warns as well.
 */
static enum qs_code
save_marks(struct qs_folder *folder, struct qs_err *err)
{
	bool replace = folder->accept_rollback;
	bool ahead = replace;
	struct qs_err fault;
	int lock = -1;
	enum qs_code rc;

	if (folder->in_memory || (folder->marks_unknown && !replace))
		return QS_OK;
	for (size_t i = 0; !ahead && i < folder->chain_count; i++) {
		const struct qs_chain *chain = &folder->chains[i];
		bool is_marked = false;

		for (size_t j = 0; j < folder->mark_count; j++) {
			const struct qs_mark *mark = &folder->marks[j];

			is_marked |= memcmp(mark->device, chain->device,
				QS_DEVICE_LEN) == 0 &&
				mark->seq >= chain->head.seq;
		}
		ahead = chain->has_head && !is_marked;
	}
	if (!ahead)
		return QS_OK;
	rc = qs_state_lock(folder, &lock, &fault);
	if (rc == QS_OK)
		rc = qs_marks_save(folder, replace, &fault);
	/* What was given up may come back: then under another key's numbers. */
	if (rc == QS_OK && qs_folder_is_chain_over(folder))
		rc = qs_device_key_drop(folder, &fault);
	qs_fd_close(&lock);
	if (rc == QS_ENOMEM) {
		*err = fault;
		return rc;
	}
	if (rc != QS_OK) { /* a home that can't be written: restore works */
		(void)qs_fail_while(&fault,
			"the newest records are not remembered");
		qs_folder_tell(folder, &fault);
	}
	return QS_OK;
}

/* What was remembered, what the log says now, and the index after it. */
static enum qs_code
take_log(struct qs_folder *folder, struct qs_err *err)
{
	struct qs_buf wanted = {0};
	enum qs_code rc = load_marks(folder, err);

	if (rc == QS_OK)
		rc = qs_folder_walk(folder, &wanted, err);
	if (rc != QS_OK)
		goto out;
	check_genesis(folder);
	qs_marks_check(folder);
	rc = save_marks(folder, err);
	if (rc == QS_OK)
		rc = qs_retired_slots_check(folder, err);
	if (rc == QS_OK && folder->index != NULL)
		rc = qs_folder_sync_index(folder, &wanted, err);
out:
	qs_buf_clear(&wanted);
	return rc;
}

enum qs_code
qs_folder_open(struct qs_store *store, const struct qs_slot_secret *secret,
	const struct qs_folder_options *options, struct qs_folder **out,
	struct qs_err *err)
{
	struct qs_folder *folder = NULL;
	enum qs_code rc = qs_folder_new(store, secret, options, &folder, err);

	if (rc == QS_OK)
		rc = load_key(folder, err);
	if (rc == QS_OK && !options->without_index)
		rc = open_index(folder, err);
	if (rc == QS_OK)
		rc = take_log(folder, err);
	if (rc != QS_OK)
		goto out;
	*out = folder;
	folder = NULL; /* handed over */
out:
	qs_folder_close(folder);
	return rc;
}

/* -------------------------------------------------------------- reload */

struct listing {
	uint8_t sum[32];
	uint64_t count;
};

/* Names are hashes: in whatever order they come, their sum tells. */
static enum qs_code
add_listed(void *arg, const struct qs_ref *ref, struct qs_err *err)
{
	struct listing *listing = (struct listing *)arg;

	(void)err;
	if (ref->foreign != NULL)
		return QS_OK;
	for (size_t i = 0; i < sizeof(listing->sum); i++)
		listing->sum[i] ^= ref->name.b[i];
	listing->count++;
	return QS_OK;
}

struct came { /* an object that was missing, as it is there now */
	struct qs_name name;
	uint64_t size;
};

static int
compare_came(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct came));
}

/* Of those that were missing what the store has by now, sorted. */
static enum qs_code
ask_absent(struct qs_folder *folder, struct qs_buf *out, struct qs_err *err)
{
	struct qs_store *store = folder->store;
	struct qs_buf bytes = {0};
	uint64_t *sizes = NULL;
	enum qs_code rc = qs_folder_absent(folder, &bytes, err);
	const struct qs_name *names = (const struct qs_name *)bytes.data;
	const size_t count = bytes.len / 32;

	if (rc != QS_OK || count == 0)
		goto out;
	sizes = calloc(count, sizeof(*sizes));
	rc = sizes == NULL ? qs_fail_nomem(err, "reading the log") :
		store->ops->have(store->self, names, count, sizes, err);
	for (size_t i = 0; rc == QS_OK && i < count; i++) {
		const struct came came = {names[i], sizes[i]};

		if (sizes[i] != 0)
			rc = qs_buf_append(out, &came, sizeof(came), err);
	}
	if (rc == QS_OK && out->len > 0)
		qsort(out->data, out->len / sizeof(struct came),
			sizeof(struct came), compare_came);
out:
	free(sizes);
	qs_buf_clear(&bytes);
	return rc;
}

/*
 * A record may have come before what it lists, as in a store that is being
 * copied.  What was there and of no use the last time, damaged or half copied,
 * is no news until it has another size or was gone.
 */
static enum qs_code
have_come(struct qs_folder *folder, struct qs_buf *came, bool *is_news,
	struct qs_err *err)
{
	const int64_t now_ns = qs_mono_ns();
	enum qs_code rc;

	if (now_ns < folder->ask_ns)
		return QS_OK;
	rc = ask_absent(folder, came, err);
	if (rc != QS_OK)
		return rc;
	for (size_t at = 0; !*is_news && at < came->len;
	    at += sizeof(struct came))
		*is_news = folder->came.len == 0 || bsearch(came->data + at,
			folder->came.data, folder->came.len /
			sizeof(struct came), sizeof(struct came),
			compare_came) == NULL;
	folder->ask_pause_ns *= 2;
	if (*is_news || folder->ask_pause_ns < ASK_MIN_NS)
		folder->ask_pause_ns = ASK_MIN_NS;
	if (folder->ask_pause_ns > ASK_MAX_NS)
		folder->ask_pause_ns = ASK_MAX_NS;
	folder->ask_ns = now_ns + folder->ask_pause_ns;
	if (!*is_news) {
		qs_buf_clear(&folder->came);
		folder->came = *came;
		*came = (struct qs_buf){0}; /* handed over */
	}
	return QS_OK;
}

/* Is there something to take in?  *came: what had come before it is. */
static enum qs_code
look_for_news(struct qs_folder *folder, struct listing *listing,
	struct qs_buf *came, bool *is_news, struct qs_err *err)
{
	struct qs_store *store = folder->store;
	enum qs_code rc = store->ops->list(store->self, QS_AREA_LOG,
		add_listed, listing, err);

	if (rc != QS_OK)
		return rc;
	*is_news = !folder->has_listing ||
		folder->listing_count != listing->count ||
		memcmp(folder->listing, listing->sum, 32) != 0;
	if (!*is_news)
		return have_come(folder, came, is_news, err);
	folder->ask_ns = folder->ask_pause_ns = 0;
	return ask_absent(folder, came, err);
}

static enum qs_code
reload(struct qs_folder *folder, bool *changed, struct qs_err *err)
{
	struct qs_folder before = *folder;
	struct listing listing = {.count = 0};
	struct qs_buf came = {0};
	enum qs_code rc;

	*changed = false;
	rc = look_for_news(folder, &listing, &came, changed, err);
	if (rc != QS_OK || !*changed)
		goto out;
	/* Emptied without freeing: before has it all. */
	folder->chain_count = folder->snapshot_count = 0;
	folder->forgotten_count = 0;
	folder->chains = NULL;
	folder->snapshots = folder->forgotten = NULL;
	folder->retirement = NULL;
	folder->dropped = (struct qs_buf){0};
	folder->marks = NULL;
	folder->mark_met = NULL;
	qs_folder_clear_log(folder);
	folder->has_hiccup = false;
	rc = take_log(folder, err);
	if (rc != QS_OK) {
		qs_folder_clear_log(folder);
		before.opener = folder->opener; /* made when first needed */
		before.device = folder->device; /* may have been dropped */
		before.is_certified = before.is_certified &&
			before.device != NULL;
		*folder = before;
		goto out;
	}
	qs_folder_clear_log(&before);
	memcpy(folder->listing, listing.sum, sizeof(folder->listing));
	folder->listing_count = listing.count;
	/* What the system refused to read may be there the next time. */
	folder->has_listing = !folder->has_hiccup;
	qs_buf_clear(&folder->came);
	folder->came = came;
	came = (struct qs_buf){0}; /* handed over */
out:
	qs_buf_clear(&came);
	return rc;
}

enum qs_code
qs_folder_reload(struct qs_folder *folder, bool *changed, struct qs_err *err)
{
	enum qs_code rc;

	/* Reads would wait with it. */
	if (folder->index != NULL)
		qs_index_set_patient(folder->index, false);
	rc = reload(folder, changed, err);
	if (folder->index != NULL)
		qs_index_set_patient(folder->index, true);
	return rc;
}
