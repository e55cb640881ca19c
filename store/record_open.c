/* SPDX-License-Identifier: ISC */
/* Log records, in: the sealed payload. */
#include <inttypes.h>

#include "store/store_internal.h"

static enum qs_code
open_payload(const struct qs_keys *keys, const struct qs_record *record,
	uint8_t *out, struct qs_err *err)
{
	const uint8_t *bytes = record->bytes.data;
	size_t aad_len = RECORD_BODY + record->public_body.len;
	struct qs_aead *aead = NULL;
	uint8_t *okm = qs_secret_alloc(PACK_OKM);
	enum qs_code rc;

	if (okm == NULL)
		return qs_fail_nomem(err, "opening a log record");
	qs_b2b(okm, PACK_OKM, keys->log, "logkey", bytes, RECORD_KEYED);
	if (!qs_equal(bytes + RECORD_KEYED, okm + 32, 32)) {
		rc = qs_fail(err, QS_ECORRUPT, "the commitment does not match "
			"the folder's key: damaged or forged");
		goto out;
	}
	rc = qs_aead_new(QS_AEAD_SODIUM, &aead, err);
	if (rc == QS_OK)
		rc = qs_aead_set_key(aead, okm, err);
	if (rc == QS_OK)
		rc = qs_aead_open(aead, 0, qs_span(bytes, aad_len),
			record->sealed_payload, out, err);
	if (rc == QS_ECORRUPT)
		rc = qs_fail(err, rc,
			"the payload does not verify: damaged or forged");
out:
	qs_aead_free(aead);
	qs_secret_free(okm);
	return rc;
}

enum qs_code
qs_record_open(const struct qs_keys *keys, const struct qs_record *record,
	struct qs_buf *out, struct qs_err *err)
{
	struct qs_short hex = qs_short_name(&record->name);
	size_t old_len = out->len;
	uint8_t *at;
	enum qs_code rc;

	if (record->sealed_payload.len == 0)
		return QS_OK;
	if (memcmp(record->folder_id, keys->folder_id, QS_FOLDER_ID_LEN) != 0)
		return qs_fail(err, QS_EKEY,
			"log record %s: belongs to another folder", hex.hex);
	if (record->epoch != keys->epoch)
		return qs_fail(err, QS_EKEY, "log record %s: sealed with the "
			"key of epoch %" PRIu32 ", which is not at hand",
			hex.hex, record->epoch);
	rc = qs_buf_extend(out, record->sealed_payload.len - QS_TAG_LEN, &at,
		err);
	if (rc == QS_OK)
		rc = open_payload(keys, record, at, err);
	if (rc != QS_OK) {
		out->len = old_len;
		return qs_fail_while(err, "log record %s", hex.hex);
	}
	return QS_OK;
}
