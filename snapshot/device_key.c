/* SPDX-License-Identifier: ISC */
/*
 * This machine's signing key in a file, docs/FORMAT.md "Device key": sealed
 * under the folder's key, so that a copy of the file alone signs nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "snapshot/folder_internal.h"

/*
 *   0  8 "QSTORED1"     8 1 version    9 7 zero    16 16 folder id
 *  32 32 salt          64 32 commit   96 48 sealed seed
 */
#define DEVICE_VERSION 1
#define DEVICE_KEYED 64
#define DEVICE_AAD 96
#define SEED_LEN 32

_Static_assert(DEVICE_AAD + SEED_LEN + QS_TAG_LEN == QS_DEVICE_KEY_LEN,
	"a device key's file");

/* A key for bytes[0..64) and what commits to it: 64 bytes, locked. */
static uint8_t *
derive(const struct qs_folder *folder, const uint8_t *bytes)
{
	uint8_t *okm = qs_secret_alloc(64);

	if (okm != NULL)
		qs_b2b(okm, 64, qs_keys_fmk(folder->keys), "devkey", bytes,
			DEVICE_KEYED);
	return okm;
}

static enum qs_code
key_path(const struct qs_folder *folder, char **out, struct qs_err *err)
{
	char *path;

	if (asprintf(&path, "%s/device.key", folder->state_dir) < 0)
		return qs_fail_nomem(err, "reading this machine's key");
	*out = path;
	return QS_OK;
}

static enum qs_code
check_head(const struct qs_folder *folder, struct qs_span file,
	struct qs_err *err)
{
	if (file.len < 9 || memcmp(file.data, "QSTORED1", 8) != 0)
		return qs_fail(err, QS_ECORRUPT, "is no device key");
	if (file.data[8] != DEVICE_VERSION)
		return qs_fail(err, QS_EUNSUPPORTED, "a device key of version "
			"%u: made by a newer version of qstore", file.data[8]);
	if (file.len != QS_DEVICE_KEY_LEN || !qs_is_zero(file.data + 9, 7))
		return qs_fail(err, QS_ECORRUPT, "is damaged");
	if (memcmp(file.data + 16, qs_keys_folder_id(folder->keys),
		QS_FOLDER_ID_LEN) != 0)
		return qs_fail(err, QS_ECORRUPT, "is of another folder");
	return QS_OK;
}

static enum qs_code
open_key(const struct qs_folder *folder, struct qs_span file,
	struct qs_sign_key **out, struct qs_err *err)
{
	struct qs_aead *aead = NULL;
	struct qs_sign_key *key = qs_secret_alloc(sizeof(*key));
	uint8_t *seed = qs_secret_alloc(SEED_LEN);
	uint8_t *okm = derive(folder, file.data);
	enum qs_code rc;

	if (key == NULL || seed == NULL || okm == NULL) {
		rc = qs_fail_nomem(err, "opening this machine's key");
		goto out;
	}
	if (!qs_equal(okm + 32, file.data + DEVICE_KEYED, 32)) {
		rc = qs_fail(err, QS_ECORRUPT,
			"does not open with this folder's key");
		goto out;
	}
	rc = qs_aead_new(QS_AEAD_SODIUM, &aead, err);
	if (rc == QS_OK)
		rc = qs_aead_set_key(aead, okm, err);
	if (rc == QS_OK)
		rc = qs_aead_open(aead, 0, qs_span(file.data, DEVICE_AAD),
			qs_span(file.data + DEVICE_AAD, SEED_LEN + QS_TAG_LEN),
			seed, err);
	if (rc != QS_OK)
		goto out;
	qs_sign_from_seed(key, seed);
	*out = key;
	key = NULL; /* handed over */
out:
	qs_aead_free(aead);
	qs_secret_free(okm);
	qs_secret_free(seed);
	qs_secret_free(key);
	return rc;
}

enum qs_code
qs_device_key_load(struct qs_folder *folder, struct qs_sign_key **out,
	struct qs_err *err)
{
	struct qs_buf file = {0};
	char *path = NULL;
	enum qs_code rc = key_path(folder, &path, err);

	if (rc != QS_OK)
		return rc;
	rc = qs_file_load(AT_FDCWD, path, QS_DEVICE_KEY_LEN, &file, err);
	if (rc == QS_ENOTFOUND) {
		*out = NULL;
		rc = QS_OK;
		goto out;
	}
	if (rc == QS_OK)
		rc = check_head(folder, qs_buf_span(&file), err);
	if (rc == QS_OK)
		rc = open_key(folder, qs_buf_span(&file), out, err);
	if (rc != QS_OK)
		rc = qs_fail_while(err, "this machine's key %s (without it a "
			"new one is made)", path);
out:
	qs_buf_clear(&file);
	free(path);
	return rc;
}

static enum qs_code
seal_key(const struct qs_folder *folder, const struct qs_sign_key *key,
	uint8_t file[static QS_DEVICE_KEY_LEN], struct qs_err *err)
{
	struct qs_aead *aead = NULL;
	uint8_t *okm;
	enum qs_code rc;

	memset(file, 0, QS_DEVICE_KEY_LEN);
	memcpy(file, "QSTORED1", 8);
	file[8] = DEVICE_VERSION;
	memcpy(file + 16, qs_keys_folder_id(folder->keys), QS_FOLDER_ID_LEN);
	qs_random(file + 32, 32);
	okm = derive(folder, file);
	if (okm == NULL)
		return qs_fail_nomem(err, "making this machine's key");
	memcpy(file + DEVICE_KEYED, okm + 32, 32);
	rc = qs_aead_new(QS_AEAD_SODIUM, &aead, err);
	if (rc == QS_OK)
		rc = qs_aead_set_key(aead, okm, err);
	if (rc == QS_OK)
		rc = qs_aead_seal(aead, 0, qs_span(file, DEVICE_AAD),
			key->seed, SEED_LEN, file + DEVICE_AAD, err);
	qs_aead_free(aead);
	qs_secret_free(okm);
	return rc;
}

enum qs_code
qs_device_key_make(struct qs_folder *folder, struct qs_sign_key **out,
	struct qs_err *err)
{
	uint8_t file[QS_DEVICE_KEY_LEN];
	char *path = NULL;
	struct qs_sign_key *key = qs_secret_alloc(sizeof(*key));
	enum qs_code rc;

	if (key == NULL)
		return qs_fail_nomem(err, "making this machine's key");
	qs_sign_generate(key);
	rc = key_path(folder, &path, err);
	if (rc == QS_OK)
		rc = seal_key(folder, key, file, err);
	if (rc == QS_OK)
		rc = qs_dir_make(folder->state_dir, 0700, err);
	if (rc == QS_OK)
		rc = qs_file_replace(AT_FDCWD, path, 0600,
			qs_span(file, sizeof(file)), err);
	if (rc != QS_OK)
		goto out;
	*out = key;
	key = NULL; /* handed over */
out:
	free(path);
	qs_secret_free(key);
	return rc;
}

enum qs_code
qs_device_key_drop(struct qs_folder *folder, struct qs_err *err)
{
	char *path = NULL;
	enum qs_code rc = key_path(folder, &path, err);

	if (rc == QS_OK && unlink(path) != 0 && errno != ENOENT)
		rc = qs_fail_errno(err, "remove %s", path);
	free(path);
	if (rc != QS_OK)
		return rc;
	qs_secret_free(folder->device);
	folder->device = NULL;
	folder->is_certified = false;
	return QS_OK;
}
