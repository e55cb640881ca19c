/* SPDX-License-Identifier: ISC */
/*
 * Log records, in, without any key: structure, public bodies, signature.
 *
 *   0  8 "QSTOREL1"    8 1 version   9 1 type   10 1 suite   11 1 zero
 *  12  4 epoch        16 16 folder id           32 32 signer
 *  64  8 seq          72 32 prev   104 8 time in ms
 * 112  4 retire_seen 116 4 length of the public body
 * 120  4 length of the sealed payload           124 4 total length
 * 128 32 salt        160 32 commitment          192 body, payload, zeros
 * total-64: signature
 */
#include <inttypes.h>

#include "store/store_internal.h"

void
qs_record_sign_message(struct qs_span bytes,
	uint8_t out[static RECORD_SIGN_LEN])
{
	static const char context[] = "qstore1 log record"; /* and its NUL */

	_Static_assert(sizeof(context) + 64 == RECORD_SIGN_LEN,
		"context, NUL, BLAKE2b-512");
	memcpy(out, context, sizeof(context));
	qs_hash_plain(out + sizeof(context), 64,
		qs_span(bytes.data, bytes.len - QS_SIG_LEN));
}

static enum qs_code
bad(struct qs_err *err, const char *cause)
{
	return qs_fail(err, QS_ECORRUPT, "log record: %s", cause);
}

/* Only what this version writes: a newer one says so in these bytes. */
static enum qs_code
check_versions(const uint8_t *in, struct qs_err *err)
{
	if (memcmp(in, RECORD_MAGIC, 8) != 0)
		return bad(err, "wrong magic");
	if (in[8] != RECORD_VERSION || in[9] < QS_RECORD_GENESIS ||
		in[9] > QS_RECORD_CHECKPOINT || in[10] > RECORD_SUITE_KEY)
		return qs_fail(err, QS_EUNSUPPORTED, "log record: made by a "
			"newer version of qstore (version %d, type %d, "
			"suite %d)", in[8], in[9], in[10]);
	if (in[11] != 0)
		return bad(err, "reserved bytes are not zero");
	return QS_OK;
}

static bool
lengths_ok(const uint8_t *in, size_t len)
{
	uint64_t pub_len = qs_load32(in + 116);
	uint64_t payload_len = qs_load32(in + 120);
	uint64_t used = RECORD_BODY + pub_len + payload_len + QS_SIG_LEN;

	if (qs_load32(in + 124) != len || used > len)
		return false;
	if (in[10] == RECORD_SUITE_KEY)
		return payload_len > QS_TAG_LEN && used == len;
	/* Canonical: no longer than it takes. */
	return payload_len == 0 && len - used < QS_RECORD_UNIT;
}

static enum qs_code
check_body(const struct qs_record *record, struct qs_err *err)
{
	struct qs_genesis_body genesis;
	struct qs_cert_body cert;
	struct qs_retire_body retire;
	size_t count;

	switch (record->type) {
	case QS_RECORD_GENESIS:
		return qs_genesis_decode(record->public_body, &genesis, err);
	case QS_RECORD_CERT:
	case QS_RECORD_REVOKE:
		return qs_cert_decode(record->public_body, &cert, err);
	case QS_RECORD_SNAPSHOT:
		return qs_names_check(record->public_body, &count, err);
	case QS_RECORD_RETIRE:
		return qs_retire_decode(record->public_body, &retire, err);
	case QS_RECORD_EPOCH:
	case QS_RECORD_CHECKPOINT:
		break;
	}
	return QS_OK;
}

static void
take_fields(struct qs_span bytes, struct qs_record *out)
{
	const uint8_t *in = bytes.data;
	size_t pub_len = qs_load32(in + 116);

	memset(out, 0, sizeof(*out));
	out->type = (enum qs_record_type)in[9];
	out->epoch = qs_load32(in + 12);
	memcpy(out->folder_id, in + 16, QS_FOLDER_ID_LEN);
	memcpy(out->signer, in + 32, 32);
	out->seq = qs_load64(in + 64);
	memcpy(out->prev.b, in + 72, 32);
	out->time_ms = qs_load64(in + 104);
	out->retire_seen = qs_load32(in + 112);
	out->public_body = qs_span(in + RECORD_BODY, pub_len);
	out->sealed_payload = qs_span(in + RECORD_BODY + pub_len,
		qs_load32(in + 120));
	out->bytes = bytes;
}

/* The whole structure; the name is not taken yet. */
static enum qs_code
parse_structure(struct qs_span bytes, struct qs_record *out,
	struct qs_err *err)
{
	const uint8_t *in = bytes.data;
	size_t end;
	enum qs_code rc;

	if (bytes.len < QS_RECORD_UNIT || bytes.len > QS_RECORD_MAX ||
		bytes.len % QS_RECORD_UNIT != 0)
		return qs_fail(err, QS_ECORRUPT, "log record: %zu bytes is "
			"not the length of one", bytes.len);
	rc = check_versions(in, err);
	if (rc != QS_OK)
		return rc;
	if (!lengths_ok(in, bytes.len))
		return bad(err, "its lengths do not add up");
	take_fields(bytes, out);
	if (in[10] == RECORD_SUITE_NONE) {
		end = RECORD_BODY + out->public_body.len;
		if (!qs_is_zero(in + RECORD_FIELDS,
			RECORD_BODY - RECORD_FIELDS) ||
			!qs_is_zero(in + end, bytes.len - QS_SIG_LEN - end))
			return bad(err, "padding is not zero");
	}
	/* Only the first has none before it. */
	if ((out->seq == 0) != qs_is_zero(out->prev.b, sizeof(out->prev.b)))
		return bad(err, "its seq and its predecessor do not agree");
	return check_body(out, err);
}

enum qs_code
qs_record_parse_unsigned(struct qs_span bytes, struct qs_record *out,
	struct qs_err *err)
{
	struct qs_record record;
	enum qs_code rc = parse_structure(bytes, &record, err);

	if (rc != QS_OK)
		return rc;
	qs_hash_name(bytes, &record.name);
	*out = record;
	return QS_OK;
}

enum qs_code
qs_record_verify(const struct qs_record *record, struct qs_err *err)
{
	uint8_t message[RECORD_SIGN_LEN];

	qs_record_sign_message(record->bytes, message);
	if (qs_sign_verify(record->signer, qs_span(message, sizeof(message)),
		record->bytes.data + record->bytes.len - QS_SIG_LEN))
		return QS_OK;
	return bad(err, "its signature does not verify: damaged or forged");
}

enum qs_code
qs_record_parse(struct qs_span bytes, struct qs_record *out,
	struct qs_err *err)
{
	struct qs_record record;
	enum qs_code rc = qs_record_parse_unsigned(bytes, &record, err);

	if (rc == QS_OK)
		rc = qs_record_verify(&record, err);
	if (rc == QS_OK)
		*out = record;
	return rc;
}

/* -------------------------------------------------------- public bodies */

void
qs_genesis_encode(const struct qs_genesis_body *body, uint8_t out[static 64])
{
	memcpy(out, body->adm_pk, 32);
	memcpy(out + 32, body->fmk0_commit, 32);
}

enum qs_code
qs_genesis_decode(struct qs_span body, struct qs_genesis_body *out,
	struct qs_err *err)
{
	if (body.len != 64)
		return bad(err, "GENESIS has a body of the wrong length");
	memcpy(out->adm_pk, body.data, 32);
	memcpy(out->fmk0_commit, body.data + 32, 32);
	return QS_OK;
}

void
qs_cert_encode(const struct qs_cert_body *body, uint8_t out[static 48])
{
	memcpy(out, body->device_pk, 32);
	qs_store32(out + 32, body->rights);
	qs_store32(out + 36, 0);
	qs_store64(out + 40, body->not_after_seq);
}

enum qs_code
qs_cert_decode(struct qs_span body, struct qs_cert_body *out,
	struct qs_err *err)
{
	if (body.len != 48)
		return bad(err,
			"CERT or REVOKE has a body of the wrong length");
	if (qs_load32(body.data + 36) != 0)
		return bad(err, "reserved bytes are not zero");
	memcpy(out->device_pk, body.data, 32);
	out->rights = qs_load32(body.data + 32);
	out->not_after_seq = qs_load64(body.data + 40);
	return QS_OK;
}

enum qs_code
qs_names_check(struct qs_span body, size_t *count, struct qs_err *err)
{
	if (body.len % sizeof(struct qs_name) != 0)
		return bad(err, "its list of names is cut short");
	for (size_t at = 32; at < body.len; at += 32) {
		if (memcmp(body.data + at - 32, body.data + at, 32) >= 0)
			return bad(err, "its names are not in order");
	}
	*count = body.len / 32;
	return QS_OK;
}

/* u32 number of heads, u32 0, the heads, the names */
enum qs_code
qs_retire_decode(struct qs_span body, struct qs_retire_body *out,
	struct qs_err *err)
{
	struct qs_span heads, names;
	size_t count;
	enum qs_code rc;

	if (body.len < RETIRE_HEADS)
		return bad(err, "RETIRE has a body that is cut short");
	count = qs_load32(body.data);
	if (qs_load32(body.data + 4) != 0)
		return bad(err, "reserved bytes are not zero");
	if (count > (body.len - RETIRE_HEADS) / QS_RETIRE_HEAD)
		return bad(err, "its list of heads is cut short");
	heads = qs_span(body.data + RETIRE_HEADS, count * QS_RETIRE_HEAD);
	for (size_t at = QS_RETIRE_HEAD; at < heads.len; at += QS_RETIRE_HEAD) {
		if (memcmp(heads.data + at - QS_RETIRE_HEAD, heads.data + at,
			QS_DEVICE_LEN) >= 0)
			return bad(err, "its heads are not in order");
	}
	names = qs_span(heads.data + heads.len,
		body.len - RETIRE_HEADS - heads.len);
	rc = qs_names_check(names, &count, err);
	if (rc != QS_OK)
		return rc;
	out->heads = heads;
	out->names = names;
	return QS_OK;
}

enum qs_code
qs_retire_encode(const struct qs_mark *heads, size_t count,
	struct qs_span names, struct qs_buf *out, struct qs_err *err)
{
	size_t old_len = out->len;
	uint8_t field[8];
	enum qs_code rc;

	if (count > QS_RECORD_MAX / QS_RETIRE_HEAD)
		return qs_fail(err, QS_EINVAL, "RETIRE: too many heads");
	qs_store32(field, (uint32_t)count);
	qs_store32(field + 4, 0);
	rc = qs_buf_append(out, field, sizeof(field), err);
	for (size_t i = 0; rc == QS_OK && i < count; i++) {
		rc = qs_buf_append(out, heads[i].device, QS_DEVICE_LEN, err);
		qs_store64(field, heads[i].seq);
		if (rc == QS_OK)
			rc = qs_buf_append(out, field, sizeof(field), err);
		if (rc == QS_OK)
			rc = qs_buf_append(out, heads[i].name.b, 32, err);
	}
	if (rc == QS_OK && names.len > 0)
		rc = qs_buf_append(out, names.data, names.len, err);
	if (rc != QS_OK)
		out->len = old_len;
	return rc;
}
