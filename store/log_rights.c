/* SPDX-License-Identifier: ISC */
/* Who may write what in a folder's log, from the admin's CERT and REVOKE. */
#include <inttypes.h>
#include <stdlib.h>

#include "store/store_internal.h"

void
qs_log_rights_clear(struct qs_log_rights *rights)
{
	free(rights->items);
	rights->items = NULL;
	rights->count = 0;
	rights->cap = 0;
}

static struct qs_log_right *
find(const struct qs_log_rights *rights, const uint8_t pk[static 32])
{
	for (size_t i = 0; i < rights->count; i++) {
		if (memcmp(rights->items[i].pk, pk, 32) == 0)
			return &rights->items[i];
	}
	return NULL;
}

/* The admin is who the folder id says, and nobody else has a GENESIS. */
static enum qs_code
check_genesis(const struct qs_log_rights *rights,
	const struct qs_record *record, struct qs_err *err)
{
	struct qs_genesis_body body;
	uint8_t folder_id[QS_FOLDER_ID_LEN];
	enum qs_code rc = qs_genesis_decode(record->public_body, &body, err);

	if (rc != QS_OK)
		return rc;
	qs_folder_id(body.adm_pk, body.fmk0_commit, folder_id);
	if (record->seq != 0 || memcmp(body.adm_pk, record->signer, 32) != 0 ||
		memcmp(folder_id, rights->folder_id, QS_FOLDER_ID_LEN) != 0)
		return qs_fail(err, QS_ECORRUPT,
			"GENESIS does not match the folder's id");
	return QS_OK;
}

enum qs_code
qs_log_rights_check(const struct qs_log_rights *rights,
	const struct qs_record *record, struct qs_err *err)
{
	const struct qs_log_right *right;

	if (memcmp(record->signer, rights->adm_pk, 32) == 0)
		return record->type != QS_RECORD_GENESIS ? QS_OK :
			check_genesis(rights, record, err);
	if (record->type != QS_RECORD_SNAPSHOT)
		return qs_fail(err, QS_ECORRUPT,
			"of a type that only the admin key may sign");
	right = find(rights, record->signer);
	if (right == NULL || (right->rights & QS_RIGHT_WRITE) == 0)
		return qs_fail(err, QS_ECORRUPT, "its device is not certified "
			"to write it; if a record of device %.8s, the admin "
			"key, is missing or damaged, copy that back from "
			"another copy of the store",
			qs_short_device(rights->adm_pk).hex);
	if (record->seq > right->last_seq)
		return qs_fail(err, QS_ECORRUPT, "its device is not certified "
			"to write it: its certificate ends with record %"
			PRIu64, right->last_seq);
	if ((right->kept_rights & QS_RIGHT_WRITE) == 0 ||
		record->seq > right->last_kept)
		return qs_fail(err, QS_ECORRUPT, "its device was revoked");
	return QS_OK;
}

static enum qs_code
add(struct qs_log_rights *rights, const uint8_t pk[static 32],
	struct qs_log_right **out, struct qs_err *err)
{
	struct qs_log_right *items = rights->items;

	if (rights->count == rights->cap) {
		size_t cap = rights->cap == 0 ? 16 : rights->cap * 2;

		items = realloc(items, cap * sizeof(*items));
		if (items == NULL)
			return qs_fail_nomem(err, "reading the log");
		rights->items = items;
		rights->cap = cap;
	}
	*out = &items[rights->count++];
	/* Neither certified nor revoked. */
	**out = (struct qs_log_right){
		.kept_rights = UINT32_MAX,
		.last_kept = UINT64_MAX,
	};
	memcpy((*out)->pk, pk, 32);
	return QS_OK;
}

enum qs_code
qs_log_rights_learn(struct qs_log_rights *rights,
	const struct qs_record *record, struct qs_err *err)
{
	struct qs_cert_body body;
	struct qs_log_right *right;
	enum qs_code rc;

	if (record->type != QS_RECORD_CERT && record->type != QS_RECORD_REVOKE)
		return QS_OK;
	rc = qs_cert_decode(record->public_body, &body, err);
	if (rc != QS_OK)
		return rc;
	right = find(rights, body.device_pk);
	if (right == NULL) {
		rc = add(rights, body.device_pk, &right, err);
		if (rc != QS_OK)
			return rc;
	}
	if (record->type == QS_RECORD_CERT) {
		right->rights = body.rights;
		right->last_seq = body.not_after_seq;
		return QS_OK;
	}
	/* A REVOKE is final: no later CERT or REVOKE gives anything back. */
	right->kept_rights &= body.rights;
	if (right->last_kept > body.not_after_seq)
		right->last_kept = body.not_after_seq;
	return QS_OK;
}

/* ------------------------------------------------- who the admin is */

/* Is this the GENESIS that the folder's id is the hash of? */
static enum qs_code
match_genesis(struct qs_store *store, const struct qs_log_entry *entry,
	struct qs_buf *bytes, struct qs_genesis_body *body, bool *matches,
	struct qs_err *err)
{
	struct qs_record record;
	struct qs_err fault;
	uint8_t id[QS_FOLDER_ID_LEN];
	enum qs_code rc = qs_log_load(store, entry, bytes, &record, &fault);

	*matches = false;
	if (rc != QS_OK && !qs_log_is_local(rc)) {
		*err = fault;
		return rc;
	}
	/* What is damaged is for the walk to report. */
	if (rc != QS_OK || record.type != QS_RECORD_GENESIS ||
		qs_genesis_decode(record.public_body, body, &fault) != QS_OK)
		return QS_OK;
	qs_folder_id(body->adm_pk, body->fmk0_commit, id);
	*matches = memcmp(id, store->folder_id, sizeof(id)) == 0;
	return QS_OK;
}

enum qs_code
qs_log_find_admin(struct qs_store *store, const struct qs_log_list *list,
	struct qs_buf *bytes, uint8_t adm_pk[static 32], struct qs_err *err)
{
	char hex[2 * QS_FOLDER_ID_LEN + 1];

	for (size_t i = 0; i < list->count; i++) {
		struct qs_genesis_body body;
		bool matches;
		enum qs_code rc;

		if (list->entries[i].seq != 0)
			continue;
		rc = match_genesis(store, &list->entries[i], bytes, &body,
			&matches, err);
		if (rc != QS_OK)
			return rc;
		if (matches) {
			memcpy(adm_pk, body.adm_pk, 32);
			return QS_OK;
		}
	}
	qs_hex(hex, store->folder_id, QS_FOLDER_ID_LEN);
	return qs_fail(err, QS_ECORRUPT, "log of folder %s at %s: the GENESIS "
		"record that belongs to its id is missing", hex, store->place);
}
