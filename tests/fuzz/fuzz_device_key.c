/* SPDX-License-Identifier: ISC */
/*
 * Fuzz target: the file of this machine's signing key.  The first byte
 * chooses: 'f', a file as found; 'k', its first 64 bytes and a seed, sealed
 * here as by somebody who knows the folder's key.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "snapshot/folder_internal.h"
#include "tests/suite/store_help.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define KEYED 64
#define AAD 96
#define SEED_LEN 32

static struct qs_folder folder;
static char dir[] = "/tmp/qstore-fuzz.XXXXXX";

static void
clean_up(void)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "%s/device.key", dir);
	(void)unlink(path);
	(void)rmdir(dir);
	qs_keys_free(folder.keys);
}

static void
set_up(void)
{
	struct qs_err err;

	if (folder.keys != NULL)
		return;
	if (qs_crypto_init(&err) != QS_OK || mkdtemp(dir) == NULL)
		abort();
	folder.keys = help_keys();
	folder.state_dir = dir;
	if (atexit(clean_up) != 0)
		abort();
}

/* NULL: it was refused. */
static struct qs_sign_key *
load(struct qs_span file)
{
	struct qs_sign_key *key = NULL;
	char path[64];
	struct qs_err err;
	int fd;

	(void)snprintf(path, sizeof(path), "%s/device.key", dir);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0 || qs_fd_write(fd, file.data, file.len, &err) != QS_OK)
		abort();
	qs_fd_close(&fd);
	if (qs_device_key_load(&folder, &key, &err) != QS_OK)
		return NULL;
	if (key == NULL) /* only of no file at all */
		abort();
	return key;
}

/* A right head and seal give the seed's key; a wrong head is refused. */
static void
fuzz_sealed(const uint8_t *data)
{
	const uint8_t *seed = data + KEYED;
	const bool is_right = memcmp(data, "QSTORED1\1\0\0\0\0\0\0\0", 16) ==
		0 && memcmp(data + 16, qs_keys_folder_id(folder.keys),
		QS_FOLDER_ID_LEN) == 0;
	uint8_t file[QS_DEVICE_KEY_LEN], okm[64];
	struct qs_aead *aead = NULL;
	struct qs_sign_key *key;
	struct qs_err err;

	memcpy(file, data, KEYED);
	qs_b2b(okm, sizeof(okm), qs_keys_fmk(folder.keys), "devkey", file,
		KEYED);
	memcpy(file + KEYED, okm + 32, 32);
	if (qs_aead_new(QS_AEAD_SODIUM, &aead, &err) != QS_OK ||
		qs_aead_set_key(aead, okm, &err) != QS_OK ||
		qs_aead_seal(aead, 0, qs_span(file, AAD), seed, SEED_LEN,
			file + AAD, &err) != QS_OK)
		abort();
	qs_aead_free(aead);
	key = load(qs_span(file, sizeof(file)));
	if ((key != NULL) != is_right || (key != NULL &&
		memcmp(key->seed, seed, SEED_LEN) != 0))
		abort();
	qs_secret_free(key);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	set_up();
	if (data[0] == 'f')
		qs_secret_free(load(qs_span(data + 1, size - 1)));
	else if (data[0] == 'k' && size == 1 + KEYED + SEED_LEN)
		fuzz_sealed(data + 1);
	return 0;
}
