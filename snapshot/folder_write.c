/* SPDX-License-Identifier: ISC */
/* May this machine write to the folder, and with which key? */
#include <stdio.h>

#include "snapshot/folder_internal.h"

enum qs_code
qs_folder_writable(struct qs_folder *folder, struct qs_err *err)
{
	if (folder->in_memory)
		return qs_fail(err, QS_EINVAL, "the folder was opened without "
			"remembering anything on this machine, so it can't "
			"be written to");
	if (!folder->has_genesis && folder->has_newer)
		return qs_fail(err, QS_EUNSUPPORTED, "the folder in %s was "
			"made by a newer version of qstore: update qstore "
			"before writing to it", folder->store->place);
	if (!folder->has_genesis)
		return qs_fail(err, QS_ECORRUPT, "the first record of the log "
			"in %s (GENESIS) is lost: copy it back from another "
			"copy of the store before writing",
			folder->store->place);
	if (folder->refuse.code != QS_OK) {
		*err = folder->refuse;
		return err->code;
	}
	return QS_OK;
}

static enum qs_code
fail_revoked(const struct qs_folder *folder, struct qs_err *err)
{
	return qs_fail(err, QS_EKEY, "this machine's key was revoked; remove "
		"%s/device.key to make a new one", folder->state_dir);
}

enum qs_code
qs_folder_can_write(struct qs_folder *folder, struct qs_err *err)
{
	enum qs_code rc = qs_folder_writable(folder, err);

	if (rc != QS_OK)
		return rc;
	if (folder->device_err.code != QS_OK) {
		*err = folder->device_err;
		return err->code;
	}
	if (folder->device != NULL && folder->is_revoked)
		return fail_revoked(folder, err);
	if (folder->device != NULL && folder->is_certified)
		return QS_OK;
	if (qs_keys_admin(folder->keys) == NULL)
		return qs_fail(err, QS_EKEY, "this machine's key is not "
			"certified to write to the folder, and the folder was "
			"opened without the admin key that can certify it");
	return QS_OK;
}

static enum qs_code
certify(struct qs_folder *folder, struct qs_err *err)
{
	const struct qs_sign_key *admin = qs_keys_admin(folder->keys);
	struct qs_cert_body body = {
		.rights = QS_RIGHT_WRITE,
		.not_after_seq = UINT64_MAX,
	};
	uint8_t bytes[48];
	struct qs_mark mark;
	struct qs_draft draft = {
		.type = QS_RECORD_CERT,
		.body = qs_span(bytes, sizeof(bytes)),
	};
	enum qs_code rc;

	if (admin == NULL)
		return qs_folder_can_write(folder, err);
	memcpy(body.device_pk, folder->device->pk, 32);
	qs_cert_encode(&body, bytes);
	rc = qs_chain_append(folder, admin, &draft, &mark, err);
	if (rc != QS_OK)
		return qs_fail_while(err, "certify this machine's key");
	folder->is_certified = true;
	folder->last_seq = UINT64_MAX;
	return QS_OK;
}

/*
 * This machine's chain can't be gone on with: two records have its newest
 * number, or a record of it is gone and that was accepted (it may come back,
 * and would then be the second one of its number).  And a new key could be
 * certified.
 */
bool
qs_folder_is_chain_over(const struct qs_folder *folder)
{
	const struct qs_chain *chain;

	if (folder->device == NULL || qs_keys_admin(folder->keys) == NULL)
		return false;
	chain = qs_folder_chain(folder, folder->device->pk);
	if (chain != NULL && chain->is_forked)
		return true;
	for (size_t i = 0; folder->accept_rollback && i < folder->mark_count;
		i++) {
		if (!folder->mark_met[i] && memcmp(folder->marks[i].device,
			folder->device->pk, QS_DEVICE_LEN) == 0)
			return true;
	}
	return false;
}

enum qs_code
qs_folder_ensure_device(struct qs_folder *folder, struct qs_err *err)
{
	struct qs_sign_key *device = NULL;
	enum qs_code rc = QS_OK;

	if (qs_folder_is_chain_over(folder)) {
		rc = qs_device_key_make(folder, &device, err);
		if (rc != QS_OK)
			return rc;
		qs_secret_free(folder->device);
		folder->device = device;
		folder->is_certified = false;
	}
	if (folder->device == NULL) {
		/* Another process of this machine may have made one. */
		rc = qs_device_key_load(folder, &device, err);
		if (rc == QS_OK && device == NULL)
			rc = qs_device_key_make(folder, &device, err);
		if (rc != QS_OK)
			return rc;
		folder->device = device;
	}
	/*
	 * A second certificate of the same key, by a process that has not
	 * seen the first, does no harm.
	 */
	return folder->is_certified ? QS_OK : certify(folder, err);
}
