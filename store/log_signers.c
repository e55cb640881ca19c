/* SPDX-License-Identifier: ISC */
/*
 * Who may append, asked record by record.  Another process may certify or
 * revoke somebody at any moment, so each question lists the admin's directory;
 * what has been learnt from the records in it is kept.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "store/store_dir_internal.h"

struct qs_signers {
	struct qs_store *store; /* borrowed */
	bool has_admin;         /* rights.adm_pk is known */
	struct qs_log_rights rights;
	struct qs_log_list known; /* the admin's records that rights are of */
	struct qs_buf bytes;      /* of one record at a time */
};

enum qs_code
qs_signers_new(struct qs_store *store, struct qs_signers **out,
	struct qs_err *err)
{
	struct qs_signers *signers = calloc(1, sizeof(*signers));

	if (signers == NULL)
		return qs_fail_nomem(err, "preparing to take log records");
	signers->store = store;
	memcpy(signers->rights.folder_id, store->folder_id, QS_FOLDER_ID_LEN);
	*out = signers;
	return QS_OK;
}

void
qs_signers_free(struct qs_signers *signers)
{
	if (signers == NULL)
		return;
	qs_log_rights_clear(&signers->rights);
	qs_log_list_clear(&signers->known);
	qs_buf_clear(&signers->bytes);
	free(signers);
}

/* ------------------------------------------------------ who the admin is */

static enum qs_code
take_first(void *arg, const struct qs_ref *ref, struct qs_err *err)
{
	if (ref->foreign != NULL || ref->seq != 0)
		return QS_OK;
	return qs_log_list_add(arg, ref, err);
}

/* Once a connection: the GENESIS is among the first records of all devices. */
static enum qs_code
find_admin(struct qs_signers *signers, struct qs_err *err)
{
	struct qs_store *store = signers->store;
	struct qs_log_list firsts = {0};
	enum qs_code rc = store->ops->list(store->self, QS_AREA_LOG,
		take_first, &firsts, err);

	if (rc == QS_OK)
		rc = qs_log_find_admin(store, &firsts, &signers->bytes,
			signers->rights.adm_pk, err);
	if (rc == QS_OK)
		signers->has_admin = true;
	qs_log_list_clear(&firsts);
	return rc;
}

/*
 * The folder's id is a hash of what is in its GENESIS: nothing need be there
 * before it, and nobody can make another.
 */
static enum qs_code
check_genesis(struct qs_signers *signers, const struct qs_record *record,
	struct qs_err *err)
{
	struct qs_genesis_body body;
	enum qs_code rc = qs_genesis_decode(record->public_body, &body, err);

	if (rc != QS_OK)
		return rc;
	if (!signers->has_admin)
		memcpy(signers->rights.adm_pk, body.adm_pk, 32);
	rc = qs_log_rights_check(&signers->rights, record, err);
	if (rc == QS_OK)
		signers->has_admin = true;
	return rc;
}

/* ----------------------------------------------------- what the admin says */

struct one_device { /* for a store that can only list all */
	const uint8_t *device;
	struct qs_log_list *list;
};

static enum qs_code
take_if_its(void *arg, const struct qs_ref *ref, struct qs_err *err)
{
	const struct one_device *one = arg;

	if (ref->foreign != NULL ||
		memcmp(ref->device, one->device, QS_DEVICE_LEN) != 0)
		return QS_OK;
	return qs_log_list_add(one->list, ref, err);
}

static enum qs_code
list_admin(const struct qs_signers *signers, struct qs_log_list *out,
	struct qs_err *err)
{
	struct qs_store *store = signers->store;
	struct qs_log_list list = {0};
	struct one_device one = {signers->rights.adm_pk, &list};
	enum qs_code rc;

	if (store->ops->list == qs_dir_list)
		rc = qs_dir_list_device(store->self, one.device,
			qs_log_list_add, &list, err);
	else
		rc = store->ops->list(store->self, QS_AREA_LOG, take_if_its,
			&one, err);
	if (rc != QS_OK) {
		qs_log_list_clear(&list);
		return rc;
	}
	qs_log_list_sort(&list);
	*out = list;
	return QS_OK;
}

/* Is what was known the beginning of what is there now? */
static bool
has_only_grown(const struct qs_log_list *known, const struct qs_log_list *now)
{
	if (known->count > now->count)
		return false;
	for (size_t i = 0; i < known->count; i++) {
		if (known->entries[i].seq != now->entries[i].seq ||
			memcmp(known->entries[i].name.b,
				now->entries[i].name.b, 32) != 0)
			return false;
	}
	return true;
}

/* A RETIRE can have 64 MiB: look at the type before the whole is read. */
static enum qs_code
peek_type(struct qs_store *store, const struct qs_log_entry *entry,
	enum qs_record_type *out, struct qs_err *err)
{
	struct qs_ref ref = {
		.area = QS_AREA_LOG,
		.name = entry->name,
		.seq = entry->seq,
		.size = entry->size,
	};
	uint8_t head[16] = {0};
	size_t got = 0;
	enum qs_code rc;

	memcpy(ref.device, entry->device, QS_DEVICE_LEN);
	rc = store->ops->get(store->self, &ref, 0, head, sizeof(head), &got,
		err);
	if (rc == QS_OK)
		*out = (enum qs_record_type)head[9];
	return rc;
}

/*
 * As in a walk, a record that is damaged, gone or of a newer version says
 * nothing (*is_mute).  One that can't be read now might be a REVOKE: that is a
 * failure.
 */
static enum qs_code
learn_entry(struct qs_signers *signers, const struct qs_log_entry *entry,
	bool *is_mute, struct qs_err *err)
{
	struct qs_record record;
	enum qs_record_type type = QS_RECORD_GENESIS;
	struct qs_err fault;
	enum qs_code rc = peek_type(signers->store, entry, &type, &fault);

	if (rc == QS_OK && type != QS_RECORD_CERT && type != QS_RECORD_REVOKE)
		return QS_OK;
	if (rc == QS_OK)
		rc = qs_log_load(signers->store, entry, &signers->bytes,
			&record, &fault);
	if (rc == QS_OK)
		rc = qs_log_rights_check(&signers->rights, &record, &fault);
	if (rc == QS_OK)
		return qs_log_rights_learn(&signers->rights, &record, err);
	if (qs_log_is_local(rc) && rc != QS_EIO) {
		*is_mute = true;
		return QS_OK;
	}
	*err = fault;
	return rc;
}

static enum qs_code
refresh(struct qs_signers *signers, struct qs_err *err)
{
	struct qs_log_list now = {0};
	size_t at = signers->known.count, learnt;
	enum qs_code rc = list_admin(signers, &now, err);

	if (rc != QS_OK)
		return rc;
	if (!has_only_grown(&signers->known, &now)) {
		/* A fork, or a copy put back: the order matters. */
		qs_log_rights_clear(&signers->rights);
		at = 0;
	}
	qs_log_list_clear(&signers->known);
	learnt = now.count;
	for (; rc == QS_OK && at < now.count; at++) {
		bool is_mute = false;

		rc = learn_entry(signers, &now.entries[at], &is_mute, err);
		/* It may be mended: from here on all is read again. */
		if (is_mute && at < learnt)
			learnt = at;
	}
	if (rc != QS_OK) {
		/* Half learnt: the next question begins anew. */
		qs_log_rights_clear(&signers->rights);
		qs_log_list_clear(&now);
		return rc;
	}
	now.count = learnt;
	signers->known = now;
	return QS_OK;
}

enum qs_code
qs_signers_check(struct qs_signers *signers, const struct qs_record *record,
	struct qs_err *err)
{
	enum qs_code rc = QS_OK;

	if (memcmp(record->folder_id, signers->store->folder_id,
		QS_FOLDER_ID_LEN) != 0) {
		rc = qs_fail(err, QS_ECORRUPT, "belongs to another folder");
		goto out;
	}
	if (record->type == QS_RECORD_GENESIS) {
		rc = check_genesis(signers, record, err);
		goto out;
	}
	if (!signers->has_admin)
		rc = find_admin(signers, err);
	/* What the admin itself writes needs no certificate. */
	if (rc == QS_OK &&
		memcmp(record->signer, signers->rights.adm_pk, 32) != 0)
		rc = refresh(signers, err);
	if (rc == QS_OK)
		rc = qs_log_rights_check(&signers->rights, record, err);
out:
	if (rc == QS_OK)
		return QS_OK;
	return qs_fail_while(err, "device %.8s, record %" PRIu64,
		qs_short_device(record->signer).hex, record->seq);
}
