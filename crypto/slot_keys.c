/* SPDX-License-Identifier: ISC */
/*
 * Key slots: from the factors to the slot's key, and what ties its secrets to
 * the folder.
 */
#include <assert.h>
#include <sodium.h>

#include "crypto/slot_internal.h"

static_assert(sizeof(struct qs_slot_secret) == QS_SLOT_PLAIN_AT_ZEROS,
	"plaintext");
static_assert(crypto_pwhash_argon2id_SALTBYTES == QS_SLOT_PASS_SALT_LEN,
	"Argon2 salt");

void
qs_fmk_commit(const uint8_t fmk[static 32], uint8_t out[static 32])
{
	qs_b2b(out, 32, fmk, "commit", "", 0);
}

enum qs_code
qs_factor_check(const struct qs_factor *factor, enum qs_code code,
	struct qs_err *err)
{
	const size_t len = factor->secret.len;

	switch (factor->type) {
	case QS_FACTOR_PASSPHRASE:
		if (len == 0)
			return qs_fail(err, code, "the passphrase is empty");
		if (len > QS_PASSPHRASE_MAX)
			return qs_fail(err, code,
				"the passphrase is longer than %d bytes",
				QS_PASSPHRASE_MAX);
		return QS_OK;
	case QS_FACTOR_RECOVERY:
	case QS_FACTOR_KEYFILE:
		if (len != QS_SLOT_OUTPUT_LEN)
			return qs_fail(err, code,
				"%s: %zu secret bytes instead of %d",
				qs_factor_word(factor->type), len,
				QS_SLOT_OUTPUT_LEN);
		return QS_OK;
	}
	return qs_fail(err, code, "unknown type of factor (%d)",
		(int)factor->type);
}

static enum qs_code
stretch(const struct qs_factor *factor, const uint8_t *data,
	uint8_t out[static QS_SLOT_OUTPUT_LEN], struct qs_err *err)
{
	const uint32_t ops = qs_load32(data);
	const uint64_t mem = qs_load64(data + QS_SLOT_PASS_AT_MEM);

	/* The cost is within bounds, so memory is all that can be missing. */
	if (mem > SIZE_MAX || crypto_pwhash(out, QS_SLOT_OUTPUT_LEN,
		(const char *)factor->secret.data, factor->secret.len,
		data + QS_SLOT_PASS_AT_SALT, ops, (size_t)mem,
		crypto_pwhash_ALG_ARGON2ID13) != 0)
		return qs_fail(err, QS_ENOMEM,
			"out of memory: this passphrase needs %llu MiB",
			(unsigned long long)(mem >> 20));
	return QS_OK;
}

const struct qs_factor *
qs_factor_find(const struct qs_factor *factors, size_t count, unsigned type)
{
	for (size_t i = 0; i < count; i++)
		if ((unsigned)factors[i].type == type)
			return &factors[i];
	return NULL;
}

enum qs_code
qs_slot_derive(const uint8_t *slot, const struct qs_factor *factors,
	size_t count, struct qs_slot_work *work, struct qs_err *err)
{
	struct qs_span parts[2];

	for (size_t i = 0; i < count; i++) {
		const uint8_t *entry = qs_slot_factor(slot, i);
		const struct qs_factor *factor = qs_factor_find(factors, count,
			entry[0]);
		uint8_t *fed = work->fed + i * QS_SLOT_FED_LEN;

		if (factor == NULL) /* the types were compared, but still */
			return qs_fail(err, QS_EAUTH,
				"this key slot needs a %s", qs_factor_word(
				(enum qs_factor_type)entry[0]));
		fed[0] = entry[0];
		qs_store16(fed + 1, QS_SLOT_OUTPUT_LEN);
		if (factor->type != QS_FACTOR_PASSPHRASE)
			memcpy(fed + 3, factor->secret.data,
				QS_SLOT_OUTPUT_LEN);
		else if (stretch(factor, entry + QS_SLOT_FACTOR_AT_DATA,
			fed + 3, err) != QS_OK)
			return err->code;
	}
	parts[0] = qs_span(slot, QS_SLOT_AT_COMMIT);
	parts[1] = qs_span(work->fed, count * QS_SLOT_FED_LEN);
	qs_b2b_parts(work->okm, sizeof(work->okm), NULL, "slot", parts, 2);
	return QS_OK;
}

const char *
qs_slot_contradiction(uint32_t epoch, const uint8_t *folder_id,
	const struct qs_slot_secret *secret, struct qs_sign_key *admin)
{
	uint8_t commit[32], expected[QS_FOLDER_ID_LEN];

	if (epoch == 0) {
		qs_fmk_commit(secret->fmk, commit);
		qs_folder_id(secret->adm_pk, commit, expected);
		if (memcmp(expected, folder_id, sizeof(expected)) != 0)
			return "its folder id does not follow from its keys";
	}
	if (sodium_is_zero(secret->adm_seed, sizeof(secret->adm_seed)))
		return NULL;
	qs_sign_from_seed(admin, secret->adm_seed);
	if (memcmp(admin->pk, secret->adm_pk, sizeof(admin->pk)) != 0)
		return "its admin key's two halves do not match";
	return NULL;
}
