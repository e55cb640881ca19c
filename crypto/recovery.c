/* SPDX-License-Identifier: ISC */
/*
 * Recovery codes: 32 secret bytes as text that a person can copy from paper.
 * The text is described in docs/FORMAT.md, "Recovery code".
 */
#include <assert.h>

#include "crypto/crypto.h"

#define SECRET_LEN 32
#define DIGITS 56
#define SECRET_DIGITS 52 /* 256 bits and 4 zero bits */
#define GROUP 7
#define BAD_DIGIT 32

static_assert(DIGITS + DIGITS / GROUP - 1 == QS_RECOVERY_TEXT_LEN, "text");

/* Crockford's: no I, L, O, U */
static const char alphabet[33] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

struct code { /* wiped by who has one */
	uint8_t bits[SECRET_LEN + 3]; /* secret, 4 zero bits, 20 check bits */
};

static void
set_secret(struct code *code, const uint8_t *secret)
{
	uint8_t check[3];

	memcpy(code->bits, secret, SECRET_LEN);
	qs_b2b(check, sizeof(check), NULL, "recov", secret, SECRET_LEN);
	/* Moved by the 4 zero bits, the last 4 of the 24 fall off. */
	code->bits[SECRET_LEN] = (uint8_t)(check[0] >> 4);
	code->bits[SECRET_LEN + 1] = (uint8_t)(check[0] << 4 | check[1] >> 4);
	code->bits[SECRET_LEN + 2] = (uint8_t)(check[1] << 4 | check[2] >> 4);
}

/* 280 bits are 56 digits of 5: the i-th begins at bit 5 i. */
static unsigned
get_digit(const uint8_t *bits, size_t i)
{
	const size_t at = i * 5 / 8, shift = i * 5 % 8;
	const unsigned pair = (unsigned)bits[at] << 8 |
		(shift > 3 ? bits[at + 1] : 0U);

	return pair >> (11 - shift) & 31U;
}

static void
put_digit(uint8_t *bits, size_t i, unsigned digit)
{
	const size_t at = i * 5 / 8, shift = i * 5 % 8;
	const unsigned pair = digit << (11 - shift);

	bits[at] |= (uint8_t)(pair >> 8);
	if (shift > 3)
		bits[at + 1] |= (uint8_t)pair;
}

void
qs_recovery_encode(const uint8_t secret[static 32],
	char text[static QS_RECOVERY_TEXT_LEN + 1])
{
	struct code code = {{0}};

	set_secret(&code, secret);
	for (size_t i = 0; i < DIGITS; i++) {
		if (i > 0 && i % GROUP == 0)
			*text++ = '-';
		*text++ = alphabet[get_digit(code.bits, i)];
	}
	*text = '\0';
	qs_wipe(&code, sizeof(code));
}

static unsigned
digit_value(char c)
{
	if (c >= 'a' && c <= 'z')
		c = (char)(c - 'a' + 'A');
	if (c == 'O')
		c = '0';
	if (c == 'I' || c == 'L')
		c = '1';
	for (unsigned i = 0; i < BAD_DIGIT; i++)
		if (alphabet[i] == c)
			return i;
	return BAD_DIGIT;
}

static bool
is_separator(char c)
{
	return c == '-' || c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Fills code->bits; all digits are looked at, too many are only counted. */
static enum qs_code
read_digits(const char *text, struct code *code, struct qs_err *err)
{
	size_t count = 0;

	for (; *text != '\0'; text++) {
		unsigned digit;

		if (is_separator(*text))
			continue;
		digit = digit_value(*text);
		if (digit == BAD_DIGIT)
			return qs_fail(err, QS_EINVAL,
				"recovery code: group %zu has a character "
				"that recovery codes do not use",
				count / GROUP + 1);
		if (count < DIGITS)
			put_digit(code->bits, count, digit);
		count++;
	}
	if (count != DIGITS)
		return qs_fail(err, QS_EINVAL,
			"recovery code: has %zu digits instead of %d", count,
			DIGITS);
	return QS_OK;
}

enum qs_code
qs_recovery_decode(const char *text, uint8_t secret[static 32],
	struct qs_err *err)
{
	enum qs_code rc;
	struct code code = {{0}}, again = {{0}};

	rc = read_digits(text, &code, err);
	if (rc != QS_OK)
		goto out;
	set_secret(&again, code.bits);
	if (!qs_equal(again.bits, code.bits, sizeof(code.bits))) {
		rc = qs_fail(err, QS_EINVAL, "recovery code: does not check "
			"out: compare it with the sheet, group by group");
		goto out;
	}
	memcpy(secret, code.bits, SECRET_LEN);
out:
	qs_wipe(&code, sizeof(code));
	qs_wipe(&again, sizeof(again));
	return rc;
}
