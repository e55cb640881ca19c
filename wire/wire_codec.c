/* SPDX-License-Identifier: ISC */
/* The protocol's fixed structures: docs/PROTOCOL.md, "Frames", "Greeting". */
#include "wire/wire.h"

#define CLIENT_MAGIC "QSTOREC1"
#define HUB_MAGIC "QSTOREH1"

/* ---------------------------------------------------------------- heads */

void
qs_wire_head_encode(const struct qs_wire_head *head,
	uint8_t out[static QS_WIRE_HEAD])
{
	qs_store32(out, head->len);
	out[4] = (uint8_t)head->verb;
	out[5] = head->flags;
	qs_store16(out + 6, (uint16_t)head->code);
	qs_store64(out + 8, head->request);
}

enum qs_code
qs_wire_head_decode(const uint8_t in[static QS_WIRE_HEAD],
	struct qs_wire_head *out, struct qs_err *err)
{
	struct qs_wire_head head = {
		.len = qs_load32(in),
		.verb = (enum qs_verb)in[4],
		.flags = in[5],
		.code = (enum qs_code)qs_load16(in + 6),
		.request = qs_load64(in + 8),
	};

	if (head.len > QS_WIRE_LEN_MAX)
		return qs_fail(err, QS_EPROTO, "a frame of %u bytes: longer "
			"than the %u that are allowed", head.len,
			QS_WIRE_LEN_MAX);
	if (in[4] < QS_VERB_FOLDERS || in[4] > QS_VERB_SETTLE)
		return qs_fail(err, QS_EPROTO, "a frame with the unknown verb "
			"%u", in[4]);
	if ((head.flags & ~QS_WIRE_MORE_FOLLOWS) != 0)
		return qs_fail(err, QS_EPROTO, "a frame with the unknown "
			"flags %u", head.flags);
	if (qs_load16(in + 6) > QS_EINDEX)
		return qs_fail(err, QS_EPROTO, "a frame with the unknown code "
			"%u", qs_load16(in + 6));
	if (head.request == 0)
		return qs_fail(err, QS_EPROTO, "a frame without a request's "
			"number");
	*out = head;
	return QS_OK;
}

/* ------------------------------------------------------------ greetings */

void
qs_wire_hello_encode(const struct qs_wire_hello *hello,
	uint8_t out[static QS_WIRE_GREETING])
{
	size_t len = strnlen(hello->folder, QS_WIRE_NAME_MAX);

	memset(out, 0, QS_WIRE_GREETING);
	memcpy(out, CLIENT_MAGIC, 8);
	qs_store16(out + 8, hello->least);
	qs_store16(out + 10, hello->highest);
	out[16] = (uint8_t)len;
	memcpy(out + 17, hello->folder, len);
}

enum qs_code
qs_wire_hello_decode(const uint8_t in[static QS_WIRE_GREETING],
	struct qs_wire_hello *out, struct qs_err *err)
{
	struct qs_wire_hello hello = {
		.least = qs_load16(in + 8),
		.highest = qs_load16(in + 10),
	};
	const size_t len = in[16];

	if (memcmp(in, CLIENT_MAGIC, 8) != 0)
		return qs_fail(err, QS_EPROTO, "what came does not begin as a "
			"qstore client's greeting does");
	if (hello.least == 0 || hello.least > hello.highest ||
		!qs_is_zero(in + 12, 4) || len > QS_WIRE_NAME_MAX ||
		!qs_is_zero(in + 17 + len, QS_WIRE_NAME_MAX - len))
		return qs_fail(err, QS_EPROTO, "the client's greeting is "
			"malformed");
	memcpy(hello.folder, in + 17, len);
	if (len > 0 && (strlen(hello.folder) != len ||
		!qs_wire_name_ok(hello.folder)))
		return qs_fail(err, QS_EPROTO, "the client's greeting names a "
			"folder that can't exist");
	*out = hello;
	return QS_OK;
}

void
qs_wire_welcome_encode(const struct qs_wire_welcome *welcome,
	uint8_t out[static QS_WIRE_GREETING])
{
	memset(out, 0, QS_WIRE_GREETING);
	memcpy(out, HUB_MAGIC, 8);
	qs_store16(out + 8, welcome->version);
	qs_store16(out + 10, (uint16_t)welcome->code);
	qs_store32(out + 12, welcome->text_len);
	out[16] = (uint8_t)welcome->mode;
}

enum qs_code
qs_wire_welcome_decode(const uint8_t in[static QS_WIRE_GREETING],
	struct qs_wire_welcome *out, struct qs_err *err)
{
	struct qs_wire_welcome welcome = {
		.version = qs_load16(in + 8),
		.code = (enum qs_code)qs_load16(in + 10),
		.text_len = qs_load32(in + 12),
		.mode = (enum qs_wire_mode)in[16],
	};
	const bool is_refusal = welcome.version == 0;

	if (memcmp(in, HUB_MAGIC, 8) != 0)
		return qs_fail(err, QS_EPROTO, "unexpected output before the "
			"qstore greeting; does a login script (~/.profile) "
			"print something there?");
	if (!qs_is_zero(in + 17, QS_WIRE_GREETING - 17) ||
		qs_load16(in + 10) > QS_EINDEX ||
		welcome.text_len > QS_WIRE_TEXT_MAX ||
		is_refusal != (welcome.code != QS_OK) ||
		(!is_refusal && (welcome.text_len != 0 ||
		in[16] < QS_MODE_RO || in[16] > QS_MODE_TRANSFER)))
		return qs_fail(err, QS_EPROTO, "its greeting is malformed");
	*out = welcome;
	return QS_OK;
}

/* ---------------------------------------------------------------- files */

void
qs_wire_file_encode(const struct qs_ref *ref, uint8_t out[static QS_WIRE_FILE])
{
	memset(out, 0, QS_WIRE_FILE);
	out[0] = (uint8_t)ref->area;
	if (ref->area == QS_AREA_LOG) {
		memcpy(out + 8, ref->device, QS_DEVICE_LEN);
		qs_store64(out + 16, ref->seq);
	}
	memcpy(out + 24, ref->name.b, sizeof(ref->name.b));
}

enum qs_code
qs_wire_file_decode(const uint8_t in[static QS_WIRE_FILE], struct qs_ref *out,
	struct qs_err *err)
{
	struct qs_ref ref = {.area = (enum qs_area)in[0]};

	if (in[0] < QS_AREA_KEYS || in[0] > QS_AREA_BESIDE ||
		!qs_is_zero(in + 1, 7) ||
		(in[0] != QS_AREA_LOG && !qs_is_zero(in + 8, 16)))
		return qs_fail(err, QS_EPROTO, "a file's name is malformed");
	memcpy(ref.device, in + 8, QS_DEVICE_LEN);
	ref.seq = qs_load64(in + 16);
	memcpy(ref.name.b, in + 24, sizeof(ref.name.b));
	*out = ref;
	return QS_OK;
}
