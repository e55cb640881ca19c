/* SPDX-License-Identifier: ISC */
/*
 * Make a folder.  What can fail without a trace comes first (keys, slots in
 * memory, this machine's key); then the log; the slots last, since a folder
 * that has one counts as usable.
 */
#include <stdio.h>
#include <stdlib.h>

#include "snapshot/folder_internal.h"
#include "wire/wire.h"

/* All slots, QS_SLOT_LEN bytes each; heap-allocated. */
static enum qs_code
make_slots(const struct qs_keys *keys, const struct qs_new_slot *slots,
	size_t count, uint8_t **out, struct qs_err *err)
{
	struct qs_slot_secret *secret = qs_secret_alloc(sizeof(*secret));
	uint8_t *bytes = calloc(count, QS_SLOT_LEN);
	enum qs_code rc = QS_OK;

	if (secret == NULL || bytes == NULL)
		rc = qs_fail_nomem(err, "making key slots");
	for (size_t i = 0; rc == QS_OK && i < count; i++) {
		qs_keys_slot_secret(keys, slots[i].with_admin, secret);
		rc = qs_slot_create(0, qs_keys_folder_id(keys),
			slots[i].label, slots[i].factors, slots[i].count,
			secret, bytes + i * QS_SLOT_LEN, err);
	}
	qs_secret_free(secret);
	if (rc != QS_OK) {
		free(bytes);
		return rc;
	}
	*out = bytes;
	return QS_OK;
}

static enum qs_code
write_genesis(struct qs_folder *folder, struct qs_err *err)
{
	struct qs_genesis_body body;
	uint8_t bytes[64];
	uint8_t *payload = qs_secret_alloc(QS_GENESIS_LEN);
	struct qs_draft draft = {
		.type = QS_RECORD_GENESIS,
		.body = qs_span(bytes, sizeof(bytes)),
		.fixed = qs_span(payload, QS_GENESIS_LEN),
	};
	struct qs_mark mark;
	enum qs_code rc;

	if (payload == NULL)
		return qs_fail_nomem(err, "making a folder");
	memcpy(body.adm_pk, qs_keys_adm_pk(folder->keys), 32);
	qs_fmk_commit(qs_keys_fmk(folder->keys), body.fmk0_commit);
	qs_genesis_encode(&body, bytes);
	qs_genesis_payload_encode(qs_keys_ds(folder->keys), &folder->chunker,
		payload);
	rc = qs_chain_append(folder, qs_keys_admin(folder->keys), &draft,
		&mark, err);
	qs_secret_free(payload);
	return rc;
}

/* The log's first two records, and then the slots. */
static enum qs_code
fill(struct qs_folder *folder, const uint8_t *slots, size_t count,
	struct qs_err *err)
{
	int lock = -1;
	enum qs_code rc = qs_state_lock(folder, &lock, err);

	if (rc == QS_OK)
		rc = write_genesis(folder, err);
	if (rc == QS_OK)
		rc = qs_folder_ensure_device(folder, err);
	for (size_t i = 0; rc == QS_OK && i < count; i++) {
		struct qs_name name;

		rc = folder->store->ops->put_key(folder->store->self,
			qs_span(slots + i * QS_SLOT_LEN, QS_SLOT_LEN), &name,
			err);
	}
	qs_fd_close(&lock);
	return rc;
}

/* In the store made, with its keys; the store is taken. */
static enum qs_code
make_in(struct qs_store *store, const struct qs_slot_secret *secret,
	const struct qs_folder_options *options, const uint8_t *slots,
	size_t count, struct qs_err *err)
{
	struct qs_folder *folder;
	enum qs_code rc = qs_folder_new(store, secret, options, &folder, err);

	if (rc != QS_OK)
		return rc;
	rc = fill(folder, slots, count, err);
	qs_folder_close(folder);
	return rc;
}

static enum qs_code
create(const char *url, const struct qs_slot_secret *secret,
	const uint8_t id[static QS_FOLDER_ID_LEN],
	const struct qs_folder_options *options, const uint8_t *slots,
	size_t count, struct qs_folder **out, struct qs_err *err)
{
	struct qs_store *store;
	char hex[2 * QS_FOLDER_ID_LEN + 1];
	enum qs_code rc = qs_url_create(url, id, &store, err);

	if (rc != QS_OK)
		return rc;
	rc = make_in(store, secret, options, slots, count, err);
	if (rc != QS_OK) {
		qs_hex(hex, id, QS_FOLDER_ID_LEN);
		return qs_fail_while(err, "the new folder is not complete; "
			"remove %s/%s and try again", url, hex);
	}
	/* Opened like any other: what was written is read and verified. */
	rc = qs_url_open(url, id, &store, err);
	if (rc == QS_OK)
		rc = qs_folder_open(store, secret, options, out, err);
	return rc;
}

enum qs_code
qs_folder_create(const char *url, const struct qs_folder_options *options,
	const struct qs_new_slot *slots, size_t count, struct qs_folder **out,
	struct qs_err *err)
{
	struct qs_keys *keys = NULL;
	struct qs_slot_secret *secret = NULL;
	uint8_t *bytes = NULL;
	enum qs_code rc;

	if (count == 0)
		return qs_fail(err, QS_EINVAL,
			"a folder needs at least one key slot");
	if (options->in_memory)
		return qs_fail(err, QS_EINVAL, "a folder can't be made "
			"without remembering anything on this machine");
	rc = qs_keys_create(&keys, err);
	if (rc == QS_OK)
		rc = make_slots(keys, slots, count, &bytes, err);
	if (rc != QS_OK)
		goto out;
	secret = qs_secret_alloc(sizeof(*secret));
	if (secret == NULL) {
		rc = qs_fail_nomem(err, "making a folder");
		goto out;
	}
	qs_keys_slot_secret(keys, true, secret);
	rc = create(url, secret, qs_keys_folder_id(keys), options, bytes,
		count, out, err);
out:
	qs_secret_free(secret);
	qs_keys_free(keys);
	free(bytes);
	return rc;
}
