/* SPDX-License-Identifier: ISC */
/* Log records, out: laid out, sealed and signed in one buffer. */
#include <inttypes.h>

#include "store/store_internal.h"

/* Where everything lies in a record that is being made. */
struct layout {
	size_t payload_at, payload_len; /* payload_len: sealed, with padding */
	size_t total;
};

static bool
plan(const struct qs_record *draft, struct qs_span payload,
	struct layout *out)
{
	struct layout to;
	size_t needed;

	/* With these bounds no sum below can overflow. */
	if (draft->public_body.len > QS_RECORD_MAX ||
		payload.len > QS_RECORD_MAX)
		return false;
	to.payload_at = RECORD_BODY + draft->public_body.len;
	needed = to.payload_at + QS_SIG_LEN;
	if (payload.len != 0)
		needed += payload.len + QS_TAG_LEN;
	to.total = (needed + QS_RECORD_UNIT - 1) / QS_RECORD_UNIT *
		QS_RECORD_UNIT;
	/* The padding is inside the seal: the payload's length stays hidden. */
	to.payload_len = payload.len == 0 ? 0 :
		to.total - QS_SIG_LEN - to.payload_at;
	if (to.total > QS_RECORD_MAX)
		return false;
	*out = to;
	return true;
}

/* Everything in the clear, padding and salt and commitment zero. */
static void
lay_plain(const struct qs_keys *keys, const uint8_t pk[static 32],
	const struct qs_record *draft, struct qs_span payload,
	const struct layout *to, uint8_t *at)
{
	memset(at, 0, to->total);
	memcpy(at, RECORD_MAGIC, 8);
	at[8] = RECORD_VERSION;
	at[9] = (uint8_t)draft->type;
	at[10] = payload.len == 0 ? RECORD_SUITE_NONE : RECORD_SUITE_KEY;
	qs_store32(at + 12, keys->epoch);
	memcpy(at + 16, keys->folder_id, QS_FOLDER_ID_LEN);
	memcpy(at + 32, pk, 32);
	qs_store64(at + 64, draft->seq);
	memcpy(at + 72, draft->prev.b, 32);
	qs_store64(at + 104, draft->time_ms);
	qs_store32(at + 112, draft->retire_seen);
	qs_store32(at + 116, (uint32_t)draft->public_body.len);
	qs_store32(at + 120, (uint32_t)to->payload_len);
	qs_store32(at + 124, (uint32_t)to->total);
	if (draft->public_body.len != 0)
		memcpy(at + RECORD_BODY, draft->public_body.data,
			draft->public_body.len);
	if (payload.len != 0)
		memcpy(at + to->payload_at, payload.data, payload.len);
}

/*
 * The salt depends on the whole record besides the random bytes, for the same
 * reason as a pack's: a cloned generator must not seal other content under
 * the same key.
 */
static void
make_salt(const struct qs_keys *keys, const uint8_t random[static 32],
	const struct layout *to, uint8_t *at)
{
	uint8_t msg[64];

	memcpy(msg, random, 32);
	qs_hash_plain(msg + 32, 32, qs_span(at, to->total - QS_SIG_LEN));
	qs_b2b(at + RECORD_FIELDS, 32, keys->log, "logsalt", msg, sizeof(msg));
}

static enum qs_code
seal_payload(const struct qs_keys *keys, const struct layout *to, uint8_t *at,
	struct qs_err *err)
{
	struct qs_aead *aead = NULL;
	uint8_t *okm = qs_secret_alloc(PACK_OKM);
	enum qs_code rc;

	if (okm == NULL)
		return qs_fail_nomem(err, "sealing a log record");
	qs_b2b(okm, PACK_OKM, keys->log, "logkey", at, RECORD_KEYED);
	memcpy(at + RECORD_KEYED, okm + 32, 32);
	rc = qs_aead_new(QS_AEAD_SODIUM, &aead, err);
	if (rc == QS_OK)
		rc = qs_aead_set_key(aead, okm, err);
	if (rc == QS_OK)
		rc = qs_aead_seal(aead, 0, qs_span(at, to->payload_at),
			at + to->payload_at, to->payload_len - QS_TAG_LEN,
			at + to->payload_at, err);
	qs_aead_free(aead);
	qs_secret_free(okm);
	return rc;
}

enum qs_code
qs_record_encode_seeded(const struct qs_keys *keys,
	const struct qs_sign_key *signer, const struct qs_record *draft,
	struct qs_span payload, const uint8_t random[static 32],
	struct qs_buf *out, struct qs_err *err)
{
	struct layout to;
	uint8_t message[RECORD_SIGN_LEN];
	size_t old_len = out->len;
	uint8_t *at;
	struct qs_record check;
	enum qs_code rc;

	if (draft->epoch != keys->epoch)
		return qs_fail(err, QS_EKEY, "log record: the key of epoch "
			"%" PRIu32 " is not at hand", draft->epoch);
	if (!plan(draft, payload, &to))
		return qs_fail(err, QS_EINVAL,
			"log record: would be longer than %u bytes",
			QS_RECORD_MAX);
	rc = qs_buf_extend(out, to.total, &at, err);
	if (rc != QS_OK)
		return rc;
	lay_plain(keys, signer->pk, draft, payload, &to, at);
	if (payload.len != 0) {
		make_salt(keys, random, &to, at);
		rc = seal_payload(keys, &to, at, err);
		if (rc != QS_OK)
			goto out;
	}
	/* What no reader takes must not get a signature. */
	rc = qs_record_parse_unsigned(qs_span(at, to.total), &check, err);
	if (rc != QS_OK) {
		rc = qs_fail(err, QS_EINVAL,
			"log record: its type, seq, prev or body is wrong");
		goto out;
	}
	qs_record_sign_message(qs_span(at, to.total), message);
	qs_sign(signer, qs_span(message, sizeof(message)),
		at + to.total - QS_SIG_LEN);
out:
	if (rc != QS_OK) {
		qs_wipe(at, to.total);
		out->len = old_len;
	}
	return rc;
}

enum qs_code
qs_record_encode(const struct qs_keys *keys, const struct qs_sign_key *signer,
	const struct qs_record *draft, struct qs_span payload,
	struct qs_buf *out, struct qs_err *err)
{
	uint8_t random[32];

	qs_random(random, sizeof(random));
	return qs_record_encode_seeded(keys, signer, draft, payload, random,
		out, err);
}
