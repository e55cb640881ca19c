/* SPDX-License-Identifier: ISC */
/* What the tests of store/ share: fixed keys, fresh directories, vectors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <ftw.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/suite/store_help.h"

#ifndef QS_SOURCE_DIR
#define QS_SOURCE_DIR "." /* tests run from the source tree's root */
#endif

void
help_ok(enum qs_code code, const struct qs_err *err)
{
	if (code != QS_OK)
		fail_msg("%s: %s", qs_code_word(code), err->msg);
}

void
help_fails(enum qs_code code, const struct qs_err *err, enum qs_code wanted,
	const char *words)
{
	if (code == QS_OK)
		fail_msg("succeeded; wanted: %s", words);
	if (code != wanted || err->code != code)
		fail_msg("code %s, wanted %s: %s", qs_code_word(code),
			qs_code_word(wanted), err->msg);
	if (strstr(err->msg, words) == NULL)
		fail_msg("message lacks \"%s\": %s", words, err->msg);
}

static struct qs_keys *
make_keys(uint8_t first)
{
	struct qs_slot_secret *secret = qs_secret_alloc(sizeof(*secret));
	struct qs_sign_key admin;
	struct qs_keys *keys = NULL;
	uint8_t commit[32], folder_id[QS_FOLDER_ID_LEN];
	struct qs_err err;

	assert_non_null(secret);
	for (unsigned i = 0; i < 32; i++) {
		secret->fmk[i] = (uint8_t)(first + i);
		secret->ds[i] = (uint8_t)(0x80 + i);
		secret->adm_seed[i] = 0x11;
	}
	qs_sign_from_seed(&admin, secret->adm_seed);
	memcpy(secret->adm_pk, admin.pk, 32);
	qs_fmk_commit(secret->fmk, commit);
	qs_folder_id(secret->adm_pk, commit, folder_id);
	help_ok(qs_keys_open(secret, folder_id, &keys, &err), &err);
	qs_secret_free(secret);
	return keys;
}

struct qs_keys *
help_keys(void)
{
	return make_keys(0);
}

struct qs_keys *
help_other_keys(uint8_t first)
{
	return make_keys(first);
}

void
help_device(struct qs_sign_key *out, uint8_t number)
{
	uint8_t seed[32];

	memset(seed, number, sizeof(seed));
	qs_sign_from_seed(out, seed);
}

char *
help_dir_make(void)
{
	const char *base = getenv("TMPDIR");
	char *dir = NULL;

	assert_true(asprintf(&dir, "%s/qs-test-XXXXXX",
		base != NULL ? base : "/tmp") > 0);
	assert_non_null(mkdtemp(dir));
	return dir;
}

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

void
help_dir_remove(char *dir)
{
	(void)nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	free(dir);
}

uint32_t
help_random(uint32_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}

void
help_fill(uint8_t *out, size_t len, uint32_t *state)
{
	for (size_t i = 0; i < len; i++)
		out[i] = (uint8_t)(help_random(state) >> 11);
}

void
help_record(const struct qs_keys *keys, const struct qs_sign_key *signer,
	const struct qs_record *draft, struct qs_span payload,
	struct qs_buf *bytes, struct qs_record *out)
{
	struct qs_err err;

	bytes->len = 0;
	help_ok(qs_record_encode(keys, signer, draft, payload, bytes, &err),
		&err);
	help_ok(qs_record_parse(qs_buf_span(bytes), out, &err), &err);
}

static int
digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

struct qs_buf
help_vector(const char *file, const char *name)
{
	char path[512], *line = NULL;
	size_t cap = 0, name_len = strlen(name);
	struct qs_buf out = {0};
	struct qs_err err;
	bool found = false;
	FILE *stream;

	(void)snprintf(path, sizeof(path), QS_SOURCE_DIR "/tests/vectors/%s",
		file);
	stream = fopen(path, "r");
	if (stream == NULL)
		fail_msg("cannot open %s", path);
	while (!found && getline(&line, &cap, stream) > 0) {
		if (strncmp(line, name, name_len) != 0 ||
			line[name_len] != ' ')
			continue;
		found = true;
		for (char *at = line + name_len + 1; digit(at[0]) >= 0 &&
			digit(at[1]) >= 0; at += 2) {
			uint8_t byte = (uint8_t)(digit(at[0]) << 4 |
				digit(at[1]));

			help_ok(qs_buf_append(&out, &byte, 1, &err), &err);
		}
	}
	(void)fclose(stream);
	free(line);
	if (!found)
		fail_msg("%s has no vector %s", path, name);
	return out;
}

void
help_matches(const char *file, const char *name, const void *bytes, size_t len)
{
	struct qs_buf wanted = help_vector(file, name);

	if (wanted.len != len || memcmp(wanted.data, bytes, len) != 0) {
		for (size_t i = 0; i < len; i++)
			(void)fprintf(stderr, "%02x",
				((const uint8_t *)bytes)[i]);
		(void)fprintf(stderr, "\n");
		fail_msg("%s: %s differs from what was computed (above)",
			file, name);
	}
	qs_buf_clear(&wanted);
}
