/* SPDX-License-Identifier: ISC */
/*
 * Key slots: the layout, and what can be read of it without a secret.  The
 * bytes are described in docs/FORMAT.md, "Key slot".
 */
#include <assert.h>

#include "crypto/slot_internal.h"

#define MIB ((uint64_t)1 << 20)

const struct qs_argon QS_ARGON_DEFAULT = {4, 256 * MIB};
const struct qs_argon QS_ARGON_MIN = {2, 64 * MIB};
const struct qs_argon QS_ARGON_MAX = {64, 4096 * MIB};

static_assert(QS_SLOT_AT_FACTORS + QS_SLOT_FACTORS_MAX * QS_SLOT_FACTOR_LEN ==
	QS_SLOT_AT_LABEL, "factors end where the label begins");
static_assert(QS_SLOT_AT_LABEL + QS_SLOT_LABEL_LEN == QS_SLOT_AT_COMMIT,
	"label");
static_assert(QS_SLOT_AT_SEALED + QS_SLOT_PLAIN_LEN + QS_TAG_LEN ==
	QS_SLOT_AT_ZEROS, "sealed part");
static_assert(QS_SLOT_AT_ZEROS <= QS_SLOT_LEN, "slot");

const char *
qs_factor_word(enum qs_factor_type type)
{
	switch (type) {
	case QS_FACTOR_PASSPHRASE:
		return "passphrase";
	case QS_FACTOR_RECOVERY:
		return "recovery code";
	case QS_FACTOR_KEYFILE:
		return "key file";
	}
	return "factor";
}

/* Whole KiB, as Argon2 counts them: one cost, one encoding. */
bool
qs_argon_is_allowed(const struct qs_argon *argon)
{
	return argon->ops >= QS_ARGON_MIN.ops &&
		argon->ops <= QS_ARGON_MAX.ops &&
		argon->mem_bytes >= QS_ARGON_MIN.mem_bytes &&
		argon->mem_bytes <= QS_ARGON_MAX.mem_bytes &&
		argon->mem_bytes % 1024 == 0;
}

/*
 * The length of the UTF-8 sequence at the start of text, 0 if there is no
 * valid one; *point is its code point.  Overlong forms, surrogates and what is
 * over U+10FFFF are not valid.
 */
static size_t
utf8_sequence(const uint8_t *text, size_t left, uint32_t *point)
{
	static const uint32_t least[5] = {0, 0, 0x80, 0x800, 0x10000};
	size_t len;
	uint32_t value;

	if (text[0] < 0x80) {
		*point = text[0];
		return 1;
	}
	if (text[0] < 0xc2 || text[0] > 0xf4)
		return 0;
	len = text[0] < 0xe0 ? 2 : text[0] < 0xf0 ? 3 : 4;
	if (len > left)
		return 0;
	value = text[0] & (0x7fU >> len);
	for (size_t i = 1; i < len; i++) {
		if ((text[i] & 0xc0) != 0x80)
			return 0;
		value = value << 6 | (text[i] & 0x3fU);
	}
	if (value < least[len] || value > 0x10ffff ||
		(value >= 0xd800 && value <= 0xdfff))
		return 0;
	*point = value;
	return len;
}

bool
qs_slot_label_is_plain(const uint8_t *label, size_t len)
{
	for (size_t at = 0; at < len;) {
		uint32_t point = 0;
		const size_t step = utf8_sequence(label + at, len - at,
			&point);

		if (step == 0 || point < 0x20 ||
			(point >= 0x7f && point <= 0x9f))
			return false;
		at += step;
	}
	return true;
}

static enum qs_code
newer(struct qs_err *err, const char *what, unsigned value)
{
	return qs_fail(err, QS_EUNSUPPORTED,
		"key slot: made by a newer version of qstore (%s %u)", what,
		value);
}

static enum qs_code
damaged(struct qs_err *err, const char *what)
{
	return qs_fail(err, QS_ECORRUPT, "key slot: damaged: %s", what);
}

static enum qs_code
parse_passphrase(const uint8_t *data, size_t len, struct qs_slot_info *info,
	struct qs_err *err)
{
	const struct qs_argon argon = {
		qs_load32(data), qs_load64(data + QS_SLOT_PASS_AT_MEM),
	};

	if (len != QS_SLOT_PASS_LEN)
		return damaged(err, "its passphrase factor has a wrong length");
	/*
	 * Less would let a forged slot have a passphrase tried cheaply; more
	 * would let it keep the machine busy or out of memory.
	 */
	if (!qs_argon_is_allowed(&argon))
		return qs_fail(err, QS_ECORRUPT,
			"key slot: its passphrase asks for %u passes over "
			"%llu KiB, outside of 2 to 64 passes and 64 to 4096 "
			"MiB", (unsigned)argon.ops,
			(unsigned long long)(argon.mem_bytes / 1024));
	info->argon = argon;
	return QS_OK;
}

static enum qs_code
parse_factor(const uint8_t *factor, struct qs_slot_info *info,
	struct qs_err *err)
{
	const uint8_t *data = factor + QS_SLOT_FACTOR_AT_DATA;
	const size_t len = qs_load16(factor + 2);
	const size_t room = QS_SLOT_FACTOR_LEN - QS_SLOT_FACTOR_AT_DATA;

	if (factor[0] != QS_FACTOR_PASSPHRASE &&
		factor[0] != QS_FACTOR_RECOVERY &&
		factor[0] != QS_FACTOR_KEYFILE)
		return newer(err, "factor type", factor[0]);
	if (factor[1] != 0)
		return newer(err, "factor flags", factor[1]);
	for (size_t i = 0; i < info->factor_count; i++)
		if ((unsigned)info->factors[i] == factor[0])
			return damaged(err, "a factor is there twice");
	info->factors[info->factor_count] = (enum qs_factor_type)factor[0];
	if (factor[0] == QS_FACTOR_PASSPHRASE) {
		if (parse_passphrase(data, len, info, err) != QS_OK)
			return err->code;
	} else if (len != 0) {
		return damaged(err, "a factor has a wrong length");
	}
	if (!qs_is_zero(data + len, room - len))
		return damaged(err, "reserved bytes of a factor are not zero");
	info->factor_count++;
	return QS_OK;
}

static enum qs_code
parse_label(const uint8_t *bytes, struct qs_slot_info *info,
	struct qs_err *err)
{
	const uint8_t *label = bytes + QS_SLOT_AT_LABEL;
	const size_t len = strnlen((const char *)label, QS_SLOT_LABEL_LEN);

	if (!qs_is_zero(label + len, QS_SLOT_LABEL_LEN - len) ||
		!qs_slot_label_is_plain(label, len))
		return damaged(err, "its label is not plain UTF-8");
	memcpy(info->label, label, len);
	return QS_OK;
}

static enum qs_code
parse_head(struct qs_span bytes, struct qs_err *err)
{
	const uint8_t *slot = bytes.data;

	if (bytes.len != QS_SLOT_LEN)
		return qs_fail(err, QS_ECORRUPT,
			"key slot: %zu bytes long instead of %d", bytes.len,
			QS_SLOT_LEN);
	if (memcmp(slot, QS_SLOT_MAGIC, QS_SLOT_AT_VERSION) != 0)
		return qs_fail(err, QS_ECORRUPT,
			"key slot: does not begin with " QS_SLOT_MAGIC);
	if (slot[QS_SLOT_AT_VERSION] != QS_SLOT_VERSION)
		return newer(err, "version", slot[QS_SLOT_AT_VERSION]);
	if (slot[QS_SLOT_AT_KIND] != QS_SLOT_KIND_FOLDER)
		return newer(err, "kind", slot[QS_SLOT_AT_KIND]);
	if (slot[QS_SLOT_AT_FLAGS] != 0)
		return newer(err, "flags", slot[QS_SLOT_AT_FLAGS]);
	if (slot[QS_SLOT_AT_FACTOR_COUNT] == 0 ||
		slot[QS_SLOT_AT_FACTOR_COUNT] > QS_SLOT_FACTORS_MAX)
		return damaged(err, "its number of factors is not 1 to 4");
	return QS_OK;
}

enum qs_code
qs_slot_parse(struct qs_span bytes, struct qs_slot_info *out,
	struct qs_err *err)
{
	const uint8_t *slot = bytes.data;
	struct qs_slot_info info;

	memset(&info, 0, sizeof(info));
	if (parse_head(bytes, err) != QS_OK)
		return err->code;
	info.epoch = qs_load32(slot + QS_SLOT_AT_EPOCH);
	memcpy(info.folder_id, slot + QS_SLOT_AT_FOLDER_ID,
		QS_FOLDER_ID_LEN);
	for (size_t i = 0; i < slot[QS_SLOT_AT_FACTOR_COUNT]; i++)
		if (parse_factor(qs_slot_factor(slot, i), &info, err) != QS_OK)
			return err->code;
	if (!qs_is_zero(qs_slot_factor(slot, info.factor_count),
		(QS_SLOT_FACTORS_MAX - info.factor_count) *
		QS_SLOT_FACTOR_LEN))
		return damaged(err, "an unused factor is not zero");
	if (parse_label(slot, &info, err) != QS_OK)
		return err->code;
	if (!qs_is_zero(slot + QS_SLOT_AT_ZEROS,
		QS_SLOT_LEN - QS_SLOT_AT_ZEROS))
		return damaged(err, "its last bytes are not zero");
	*out = info;
	return QS_OK;
}
