/* SPDX-License-Identifier: ISC */
/*
 * Fuzz target: key slots.  The first byte chooses: 's', a slot as found in a
 * store; 'k', 1376 bytes of header and 480 of plaintext, sealed here as by
 * somebody who knows the factor and lies about the rest.
 */
#include <stdlib.h>

#include "crypto/slot_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t code[QS_KEY_LEN] = {
	0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7, 0xa8, 0xa9, 0xaa,
	0xab, 0xac, 0xad, 0xae, 0xaf, 0xb0, 0xb1, 0xb2, 0xb3, 0xb4, 0xb5,
	0xb6, 0xb7, 0xb8, 0xb9, 0xba, 0xbb, 0xbc, 0xbd, 0xbe, 0xbf,
};

/* What the command line relies upon when it lists slots and asks. */
static void
check_info(const struct qs_slot_info *info)
{
	const size_t len = strnlen(info->label, sizeof(info->label));

	if (info->factor_count < 1 ||
		info->factor_count > QS_SLOT_FACTORS_MAX ||
		len >= sizeof(info->label) ||
		!qs_slot_label_is_plain((const uint8_t *)info->label, len))
		abort();
	for (size_t i = 0; i < info->factor_count; i++) {
		if (info->factors[i] == QS_FACTOR_PASSPHRASE &&
			!qs_argon_is_allowed(&info->argon))
			abort();
		for (size_t j = 0; j < i; j++)
			if (info->factors[i] == info->factors[j])
				abort();
	}
}

/* Argon2 would take all the time: only slots of the recovery code open. */
static enum qs_code
open_slot(struct qs_span slot, struct qs_slot_secret *secret)
{
	const struct qs_factor factor = {.type = QS_FACTOR_RECOVERY,
		.secret = qs_span(code, sizeof(code))};
	struct qs_slot_info info;
	struct qs_err err;
	enum qs_code rc = qs_slot_parse(slot, &info, &err);

	if (rc != QS_OK)
		return rc;
	check_info(&info);
	return qs_slot_open(slot, &factor, 1, secret, &err);
}

static void
seal(uint8_t *slot, const uint8_t *plain)
{
	const struct qs_factor factor = {.type = QS_FACTOR_RECOVERY,
		.secret = qs_span(code, sizeof(code))};
	struct qs_slot_work *work = qs_secret_alloc(sizeof(*work));
	struct qs_aead *aead = NULL;
	struct qs_err err;

	if (work == NULL || qs_slot_derive(slot, &factor, 1, work, &err) !=
		QS_OK || qs_aead_new(QS_AEAD_SODIUM, &aead, &err) != QS_OK ||
		qs_aead_set_key(aead, work->okm, &err) != QS_OK)
		abort();
	memcpy(slot + QS_SLOT_AT_COMMIT, work->okm + QS_KEY_LEN,
		QS_SLOT_COMMIT_LEN);
	if (qs_aead_seal(aead, 0, qs_span(slot, QS_SLOT_AT_SEALED), plain,
		QS_SLOT_PLAIN_LEN, slot + QS_SLOT_AT_SEALED, &err) != QS_OK)
		abort();
	qs_aead_free(aead);
	qs_secret_free(work);
}

/* What opens is what was sealed, and belongs to the folder it names. */
static void
fuzz_sealed(const uint8_t *data)
{
	uint8_t slot[QS_SLOT_LEN] = {0}, id[QS_FOLDER_ID_LEN], commit[32];
	const uint8_t *plain = data + QS_SLOT_AT_COMMIT;
	struct qs_slot_secret secret;
	struct qs_slot_info info;
	struct qs_err err;

	memcpy(slot, data, QS_SLOT_AT_COMMIT);
	if (qs_slot_parse(qs_span(slot, sizeof(slot)), &info, &err) != QS_OK ||
		info.factor_count != 1 ||
		info.factors[0] != QS_FACTOR_RECOVERY)
		return;
	seal(slot, plain);
	if (open_slot(qs_span(slot, sizeof(slot)), &secret) != QS_OK)
		return;
	if (memcmp(&secret, plain, sizeof(secret)) != 0 ||
		!qs_is_zero(plain + QS_SLOT_PLAIN_AT_ZEROS,
			QS_SLOT_PLAIN_LEN - QS_SLOT_PLAIN_AT_ZEROS))
		abort();
	qs_fmk_commit(secret.fmk, commit);
	qs_folder_id(secret.adm_pk, commit, id);
	if (info.epoch == 0 && memcmp(id, info.folder_id, sizeof(id)) != 0)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct qs_slot_secret secret;
	struct qs_err err;

	if (qs_crypto_init(&err) != QS_OK) /* locked memory needs it */
		abort();
	if (size == 0)
		return 0;
	if (data[0] == 's')
		(void)!open_slot(qs_span(data + 1, size - 1), &secret);
	else if (data[0] == 'k' &&
		size == 1 + QS_SLOT_AT_COMMIT + QS_SLOT_PLAIN_LEN)
		fuzz_sealed(data + 1);
	return 0;
}
