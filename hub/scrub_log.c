/* SPDX-License-Identifier: ISC */
/*
 * What the log says: its own troubles, what is retired, and which snapshots
 * lack objects.  Two walks, since what is retired is known at the end of the
 * first only; that way nothing is kept but names that are retired.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "hub/scrub_internal.h"

#define NAMES 1024 /* asked for at once */

struct looking {
	struct scrub *scrub;
	struct qs_name names[NAMES];
	uint64_t sizes[NAMES];
};

bool
scrub_is_retired(const struct scrub *scrub, const struct qs_ref *ref)
{
	if (scrub->retirement != NULL && ref->area == QS_AREA_OBJ)
		return qs_retirement_has(scrub->retirement, &ref->name, NULL);
	if (scrub->retirement != NULL && ref->area == QS_AREA_KEYS)
		return qs_retirement_has_slot(scrub->retirement, &ref->name,
			NULL);
	return false;
}

/* ----------------------------------------------------------- first walk */

/* The admin's records come first, and GENESIS is the first of them. */
static enum qs_code
learn(void *arg, const struct qs_record *record, struct qs_err *err)
{
	struct scrub *scrub = arg;
	enum qs_code rc = QS_OK;

	if (scrub_is_cancelled(scrub))
		return qs_fail(err, QS_ECANCELED, "interrupted");
	if (scrub->retirement == NULL)
		rc = qs_retirement_new(record->signer, &scrub->retirement,
			err);
	if (rc == QS_OK)
		rc = qs_retirement_take(scrub->retirement, record, err);
	return rc;
}

static void
hear(void *arg, const struct qs_err *trouble)
{
	struct scrub *scrub = arg;

	scrub_tell(scrub, QS_FINDING_LOG, NULL, "%s", trouble->msg);
}

enum qs_code
scrub_log_troubles(struct scrub *scrub, struct qs_err *err)
{
	enum qs_code rc = qs_log_walk(scrub->store, NULL, NULL, 0, learn, hear,
		scrub, err);

	if (rc == QS_ECORRUPT || rc == QS_EUNSUPPORTED) {
		/* Its beginning is lost: nothing in it can be believed. */
		hear(scrub, err);
		qs_retirement_free(scrub->retirement);
		scrub->retirement = NULL;
		return QS_OK;
	}
	if (rc == QS_OK && scrub->retirement != NULL)
		rc = qs_retirement_finish(scrub->retirement, err);
	return rc;
}

/* ---------------------------------------------------------- second walk */

static enum qs_code
add_row(struct scrub *scrub, const struct qs_ref *ref, struct qs_err *err)
{
	struct qs_item item = {.ref = *ref, .arrived_ms = scrub->now_ms,
		.state_ms = scrub->now_ms};
	struct qs_file_path path = qs_file_path(ref);
	struct stat st;

	if (fstatat(scrub->fd, path.text, &st, AT_SYMLINK_NOFOLLOW) == 0)
		item.ref.size = (uint64_t)st.st_size;
	return qs_catalogue_add(scrub->catalogue, &item, 1, err);
}

/* An object that a record names and that is not there. */
static enum qs_code
miss(struct scrub *scrub, const struct qs_name *name, bool *is_there,
	struct qs_err *err)
{
	struct qs_ref ref = {.area = QS_AREA_OBJ, .name = *name};
	struct qs_hub_words words = qs_hub_words(&ref);
	struct qs_err text = {.msg = ""};
	struct qs_item row;
	bool found = false;
	enum qs_code rc = qs_catalogue_get(scrub->catalogue, &ref, &row,
		&found, err);

	/* One that has a row was looked for, and told, in the pass. */
	*is_there = false;
	if (rc != QS_OK || (found && row.state != QS_ITEM_HERE))
		return rc;
	if (scrub->options->repair_from != NULL)
		rc = scrub_repair(scrub, &ref, is_there, &text, err);
	if (rc == QS_OK && *is_there) {
		scrub_tell(scrub, QS_FINDING_REPAIRED, &ref, "%s was missing; "
			"a good copy was fetched", words.text);
		return add_row(scrub, &ref, err);
	}
	if (rc == QS_OK)
		scrub_tell(scrub, QS_FINDING_MISSING, &ref, "%s is missing%s%s",
			words.text, text.msg[0] != '\0' ? "; no good copy: " :
			"", text.msg);
	return rc;
}

static enum qs_code
look_for(struct looking *looking, size_t count, uint64_t *missing,
	struct qs_err *err)
{
	struct qs_store *store = looking->scrub->store;
	enum qs_code rc = store->ops->have(store->self, looking->names, count,
		looking->sizes, err);

	for (size_t i = 0; i < count && rc == QS_OK; i++) {
		bool is_there = true;

		if (looking->sizes[i] == 0)
			rc = miss(looking->scrub, &looking->names[i],
				&is_there, err);
		*missing += !is_there;
	}
	return rc;
}

static enum qs_code
look_at(void *arg, const struct qs_record *record, struct qs_err *err)
{
	struct looking *looking = arg;
	struct scrub *scrub = looking->scrub;
	const size_t all = record->public_body.len / 32;
	struct qs_ref ref = {.area = QS_AREA_LOG, .name = record->name,
		.seq = record->seq, .size = record->bytes.len};
	uint64_t missing = 0;
	size_t count = 0;
	enum qs_code rc = QS_OK;

	if (scrub_is_cancelled(scrub))
		return qs_fail(err, QS_ECANCELED, "interrupted");
	if (record->type != QS_RECORD_SNAPSHOT)
		return QS_OK;
	for (size_t i = 0; i < all && rc == QS_OK; i++) {
		struct qs_ref object = {.area = QS_AREA_OBJ};

		memcpy(object.name.b, record->public_body.data + 32 * i, 32);
		if (!scrub_is_retired(scrub, &object))
			looking->names[count++] = object.name;
		if (count == NAMES || (i + 1 == all && count > 0)) {
			rc = look_for(looking, count, &missing, err);
			count = 0;
		}
	}
	if (rc != QS_OK || missing == 0)
		return rc;
	memcpy(ref.device, record->signer, QS_DEVICE_LEN);
	scrub_tell(scrub, QS_FINDING_INCOMPLETE, &ref, "snapshot: %s: %" PRIu64
		" of the %zu objects that it brought are missing",
		qs_hub_words(&ref).text, missing, all);
	return QS_OK;
}

static void
heard(void *arg, const struct qs_err *trouble)
{
	(void)arg; /* told in the first walk */
	(void)trouble;
}

enum qs_code
scrub_log_snapshots(struct scrub *scrub, struct qs_err *err)
{
	struct looking *looking = calloc(1, sizeof(*looking));
	enum qs_code rc;

	if (looking == NULL)
		return qs_fail_nomem(err, "looking at the snapshots");
	looking->scrub = scrub;
	rc = qs_log_walk(scrub->store, NULL, NULL, 0, look_at, heard, looking,
		err);
	if (rc == QS_ECORRUPT || rc == QS_EUNSUPPORTED)
		rc = QS_OK;
	free(looking);
	return rc;
}
