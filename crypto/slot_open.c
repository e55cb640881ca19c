/* SPDX-License-Identifier: ISC */
/* Key slots: opening one.  The bytes: docs/FORMAT.md, "Key slot". */
#include <stdio.h>

#include "crypto/slot_internal.h"

/* "a passphrase and a key file" */
static void
list_factors(const struct qs_slot_info *info, const char *article,
	const char *joint, char *out, size_t cap)
{
	size_t at = 0;

	out[0] = '\0';
	for (size_t i = 0; i < info->factor_count && at < cap; i++) {
		const int len = snprintf(out + at, cap - at, "%s%s%s",
			i > 0 ? joint : "", article,
			qs_factor_word(info->factors[i]));

		if (len < 0)
			break;
		at += (size_t)len;
	}
}

static enum qs_code
match_factors(const struct qs_slot_info *info, const struct qs_factor *factors,
	size_t count, struct qs_err *err)
{
	bool same = count == info->factor_count;
	char needed[128];

	for (size_t i = 0; i < info->factor_count && same; i++)
		same = qs_factor_find(factors, count, info->factors[i]) != NULL;
	if (!same) {
		list_factors(info, "a ", " and ", needed, sizeof(needed));
		return qs_fail(err, QS_EAUTH, "this key slot needs %s",
			needed);
	}
	for (size_t i = 0; i < count; i++)
		if (qs_factor_check(&factors[i], QS_EAUTH, err) != QS_OK)
			return err->code;
	return QS_OK;
}

/* After a right commit the key is right: what fails now is damage. */
static enum qs_code
unseal(struct qs_span bytes, struct qs_slot_work *work, struct qs_err *err)
{
	enum qs_code rc;
	const uint8_t *plain = work->plain;
	struct qs_slot_secret *secret = &work->secret;
	struct qs_aead *aead = NULL;

	rc = qs_aead_new(QS_AEAD_SODIUM, &aead, err);
	if (rc == QS_OK)
		rc = qs_aead_set_key(aead, work->okm, err);
	if (rc == QS_OK)
		rc = qs_aead_open(aead, 0,
			qs_span(bytes.data, QS_SLOT_AT_SEALED),
			qs_span(bytes.data + QS_SLOT_AT_SEALED,
			QS_SLOT_PLAIN_LEN + QS_TAG_LEN), work->plain, err);
	if (rc == QS_ECORRUPT)
		rc = qs_fail(err, QS_ECORRUPT,
			"key slot: damaged: its sealed part does not verify");
	qs_aead_free(aead);
	if (rc != QS_OK)
		return rc;
	if (!qs_is_zero(work->plain + QS_SLOT_PLAIN_AT_ZEROS,
		QS_SLOT_PLAIN_LEN - QS_SLOT_PLAIN_AT_ZEROS))
		return qs_fail(err, QS_EUNSUPPORTED, "key slot: made by a "
			"newer version of qstore (more secrets)");
	memcpy(secret->fmk, plain + QS_SLOT_PLAIN_AT_FMK, 32);
	memcpy(secret->adm_pk, plain + QS_SLOT_PLAIN_AT_ADM_PK, 32);
	memcpy(secret->adm_seed, plain + QS_SLOT_PLAIN_AT_ADM_SEED, 32);
	memcpy(secret->ds, plain + QS_SLOT_PLAIN_AT_DS, 32);
	return QS_OK;
}

enum qs_code
qs_slot_open(struct qs_span bytes, const struct qs_factor *factors,
	size_t count, struct qs_slot_secret *out, struct qs_err *err)
{
	enum qs_code rc = QS_OK;
	struct qs_slot_info info;
	struct qs_slot_work *work = NULL;
	const char *wrong;
	char tried[128];

	if (qs_slot_parse(bytes, &info, err) != QS_OK ||
		match_factors(&info, factors, count, err) != QS_OK)
		return err->code;
	work = (struct qs_slot_work *)qs_secret_alloc(sizeof(*work));
	if (work == NULL)
		return qs_fail_nomem(err, "opening a key slot");
	rc = qs_slot_derive(bytes.data, factors, count, work, err);
	if (rc != QS_OK)
		goto out;
	if (!qs_equal(work->okm + QS_KEY_LEN, bytes.data + QS_SLOT_AT_COMMIT,
		QS_SLOT_COMMIT_LEN)) {
		list_factors(&info, "", " or ", tried, sizeof(tried));
		rc = qs_fail(err, QS_EAUTH, "wrong %s", tried);
		goto out;
	}
	rc = unseal(bytes, work, err);
	if (rc != QS_OK)
		goto out;
	wrong = qs_slot_contradiction(info.epoch, info.folder_id, &work->secret,
		&work->admin);
	if (wrong != NULL) {
		rc = qs_fail(err, QS_ECORRUPT, "key slot: forged: %s", wrong);
		goto out;
	}
	memcpy(out, &work->secret, sizeof(*out));
out:
	qs_secret_free(work);
	return rc;
}
