/* SPDX-License-Identifier: ISC */
/* Key slots: making one.  The bytes: docs/FORMAT.md, "Key slot". */
#include "crypto/slot_internal.h"

static enum qs_code
check_input(const struct qs_slot_input *input, struct qs_err *err)
{
	const size_t label_len = strlen(input->label);

	if (input->count == 0 || input->count > QS_SLOT_FACTORS_MAX)
		return qs_fail(err, QS_EINVAL,
			"new key slot: %zu factors instead of 1 to %d",
			input->count, QS_SLOT_FACTORS_MAX);
	for (size_t i = 0; i < input->count; i++) {
		const struct qs_factor *factor = &input->factors[i];

		if (qs_factor_check(factor, QS_EINVAL, err) != QS_OK)
			return err->code;
		if (qs_factor_find(input->factors, i, factor->type) != NULL)
			return qs_fail(err, QS_EINVAL,
				"new key slot: more than one %s",
				qs_factor_word(factor->type));
		if (factor->type == QS_FACTOR_PASSPHRASE &&
			!qs_argon_is_allowed(&factor->argon))
			return qs_fail(err, QS_EINVAL,
				"new key slot: a passphrase needs 2 to 64 "
				"passes over 64 to 4096 MiB in whole KiB");
	}
	if (label_len > QS_SLOT_LABEL_LEN || !qs_slot_label_is_plain(
		(const uint8_t *)input->label, label_len))
		return qs_fail(err, QS_EINVAL,
			"new key slot: a label is at most %d bytes of UTF-8 "
			"without control characters", QS_SLOT_LABEL_LEN);
	return QS_OK;
}

/* All that comes before the commit */
static void
write_header(uint8_t *slot, const struct qs_slot_input *input,
	const struct qs_slot_random *random)
{
	memcpy(slot, QS_SLOT_MAGIC, QS_SLOT_AT_VERSION); /* NOLINT: no NUL */
	slot[QS_SLOT_AT_VERSION] = QS_SLOT_VERSION;
	slot[QS_SLOT_AT_KIND] = QS_SLOT_KIND_FOLDER;
	slot[QS_SLOT_AT_FACTOR_COUNT] = (uint8_t)input->count;
	qs_store32(slot + QS_SLOT_AT_EPOCH, input->epoch);
	memcpy(slot + QS_SLOT_AT_FOLDER_ID, input->folder_id,
		QS_FOLDER_ID_LEN);
	memcpy(slot + QS_SLOT_AT_SALT, random->salt, QS_SLOT_SALT_LEN);
	for (size_t i = 0; i < input->count; i++) {
		const struct qs_factor *factor = &input->factors[i];
		uint8_t *entry = slot + QS_SLOT_AT_FACTORS +
			i * QS_SLOT_FACTOR_LEN;
		uint8_t *data = entry + QS_SLOT_FACTOR_AT_DATA;

		entry[0] = (uint8_t)factor->type;
		if (factor->type != QS_FACTOR_PASSPHRASE)
			continue;
		qs_store16(entry + 2, QS_SLOT_PASS_LEN);
		qs_store32(data, factor->argon.ops);
		qs_store64(data + QS_SLOT_PASS_AT_MEM,
			factor->argon.mem_bytes);
		memcpy(data + QS_SLOT_PASS_AT_SALT, random->pass_salt,
			QS_SLOT_PASS_SALT_LEN);
	}
	/* NUL-padded, not NUL-terminated */
	memcpy(slot + QS_SLOT_AT_LABEL, input->label,
		strlen(input->label));
}

static enum qs_code
seal(uint8_t *slot, struct qs_slot_work *work,
	const struct qs_slot_secret *secret, struct qs_err *err)
{
	enum qs_code rc = QS_OK;
	struct qs_aead *aead = NULL;

	memcpy(slot + QS_SLOT_AT_COMMIT, work->okm + QS_KEY_LEN,
		QS_SLOT_COMMIT_LEN);
	memcpy(work->plain + QS_SLOT_PLAIN_AT_FMK, secret->fmk, 32);
	memcpy(work->plain + QS_SLOT_PLAIN_AT_ADM_PK, secret->adm_pk, 32);
	memcpy(work->plain + QS_SLOT_PLAIN_AT_ADM_SEED, secret->adm_seed, 32);
	memcpy(work->plain + QS_SLOT_PLAIN_AT_DS, secret->ds, 32);
	/* libsodium, whose copies of the key are wiped or locked. */
	rc = qs_aead_new(QS_AEAD_SODIUM, &aead, err);
	if (rc == QS_OK)
		rc = qs_aead_set_key(aead, work->okm, err);
	if (rc == QS_OK)
		rc = qs_aead_seal(aead, 0, qs_span(slot, QS_SLOT_AT_SEALED),
			work->plain, sizeof(work->plain),
			slot + QS_SLOT_AT_SEALED, err);
	qs_aead_free(aead);
	return rc;
}

enum qs_code
qs_slot_create_fixed(const struct qs_slot_input *input,
	const struct qs_slot_random *random, uint8_t out[static QS_SLOT_LEN],
	struct qs_err *err)
{
	enum qs_code rc = QS_OK;
	uint8_t slot[QS_SLOT_LEN] = {0};
	struct qs_slot_work *work = NULL;
	const char *wrong;

	rc = check_input(input, err);
	if (rc != QS_OK)
		return rc;
	work = (struct qs_slot_work *)qs_secret_alloc(sizeof(*work));
	if (work == NULL)
		return qs_fail_nomem(err, "making a key slot");
	wrong = qs_slot_contradiction(input->epoch, input->folder_id,
		input->secret, &work->admin);
	if (wrong != NULL) {
		rc = qs_fail(err, QS_EINVAL, "new key slot: %s", wrong);
		goto out;
	}
	write_header(slot, input, random);
	rc = qs_slot_derive(slot, input->factors, input->count, work, err);
	if (rc != QS_OK)
		goto out;
	rc = seal(slot, work, input->secret, err);
	if (rc == QS_OK)
		memcpy(out, slot, sizeof(slot));
out:
	qs_secret_free(work);
	return rc;
}

enum qs_code
qs_slot_create(uint32_t epoch, const uint8_t folder_id[static QS_FOLDER_ID_LEN],
	const char *label, const struct qs_factor *factors, size_t count,
	const struct qs_slot_secret *secret, uint8_t out[static QS_SLOT_LEN],
	struct qs_err *err)
{
	const struct qs_slot_input input = {
		epoch, folder_id, label, factors, count, secret,
	};
	struct qs_slot_random random;
	uint8_t salts[sizeof(random.salt) + sizeof(random.pass_salt)];
	uint8_t fresh[32];
	const struct qs_span parts[] = {
		qs_span(fresh, sizeof(fresh)),
		qs_span(secret, sizeof(*secret)),
	};

	/*
	 * The secrets go in: a cloned machine whose generator repeats itself
	 * still has no key twice for different contents.
	 */
	qs_random(fresh, sizeof(fresh));
	qs_b2b_parts(salts, sizeof(salts), secret->fmk, "slotsalt", parts, 2);
	memcpy(random.salt, salts, sizeof(random.salt));
	memcpy(random.pass_salt, salts + sizeof(random.salt),
		sizeof(random.pass_salt));
	return qs_slot_create_fixed(&input, &random, out, err);
}
