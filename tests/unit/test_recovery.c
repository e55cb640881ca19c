/* SPDX-License-Identifier: ISC */
/* Unit tests of crypto/: recovery codes and generated passphrases. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "crypto/words_internal.h"

#define OK(call) assert_int_equal((call), QS_OK)

/* ------------------------------------------------------ recovery codes */

static void
mistyped(const char *text, const char *message)
{
	uint8_t secret[32], before[32];
	struct qs_err err;

	memset(secret, 0x5a, sizeof(secret));
	memcpy(before, secret, sizeof(before));
	assert_int_equal(qs_recovery_decode(text, secret, &err), QS_EINVAL);
	assert_string_equal(err.msg, message);
	assert_memory_equal(secret, before, sizeof(secret));
}

static void
a_recovery_code_gives_back_its_secret(void **state)
{
	uint8_t secret[32], back[32];
	char text[QS_RECOVERY_TEXT_LEN + 1];
	struct qs_err err;

	(void)state;
	for (int turn = 0; turn < 100; turn++) {
		qs_random(secret, sizeof(secret));
		memset(text, 'x', sizeof(text));
		qs_recovery_encode(secret, text);
		assert_int_equal(strlen(text), QS_RECOVERY_TEXT_LEN);
		for (size_t i = 7; i < QS_RECOVERY_TEXT_LEN; i += 8)
			assert_int_equal(text[i], '-');
		OK(qs_recovery_decode(text, back, &err));
		assert_memory_equal(back, secret, sizeof(back));
	}
}

static void
a_recovery_code_may_be_typed_as_people_do(void **state)
{
	uint8_t back[32], secret[32] = {0};
	struct qs_err err;

	(void)state;
	/* 32 zero bytes, with O and o for 0 */
	OK(qs_recovery_decode("  O000000 0000ooo 0000000 0000000\n0000000-"
		"0000000 0000000--0004fvz ", back, &err));
	assert_memory_equal(back, secret, sizeof(back));
	secret[0] = 0x08; /* the digits 1 1 1 */
	secret[1] = 0x42;
	OK(qs_recovery_decode("iL10000 0000000 0000000 0000000 0000000 "
		"0000000 0000000 000ab6j", back, &err));
	assert_memory_equal(back, secret, sizeof(back));
}

static void
every_mistyped_digit_is_noticed(void **state)
{
	static const char digits[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
	const uint8_t secret[32] = {0x12, 0x34, 0x56, 0x78, 0x9a};
	char text[QS_RECOVERY_TEXT_LEN + 1];

	(void)state;
	qs_recovery_encode(secret, text);
	for (size_t i = 0; i < QS_RECOVERY_TEXT_LEN; i++) {
		const char right = text[i];

		if (right == '-')
			continue;
		for (size_t d = 0; d < 32; d++) {
			if (digits[d] == right)
				continue;
			text[i] = digits[d];
			mistyped(text, "recovery code: does not check out: "
				"compare it with the sheet, group by group");
		}
		text[i] = right;
	}
}

static void
a_recovery_codes_mistake_is_described(void **state)
{
	const uint8_t secret[32] = {0};
	char text[QS_RECOVERY_TEXT_LEN + 2];

	(void)state;
	mistyped("", "recovery code: has 0 digits instead of 56");
	qs_recovery_encode(secret, text);
	text[QS_RECOVERY_TEXT_LEN - 1] = '\0';
	mistyped(text, "recovery code: has 55 digits instead of 56");
	qs_recovery_encode(secret, text);
	memcpy(text + QS_RECOVERY_TEXT_LEN, "0", 2);
	mistyped(text, "recovery code: has 57 digits instead of 56");
	qs_recovery_encode(secret, text);
	text[17] = 'u';
	mistyped(text, "recovery code: group 3 has a character that recovery "
		"codes do not use");
	text[17] = '\xc3';
	mistyped(text, "recovery code: group 3 has a character that recovery "
		"codes do not use");
}

/* ---------------------------------------------------------------- words */

static void
words_are_short_and_begin_differently(void **state)
{
	(void)state;
	for (size_t i = 0; i < QS_WORD_COUNT; i++) {
		const size_t len = strlen(qs_words[i]);

		assert_in_range(len, 4, QS_WORD_LEN_MAX);
		assert_int_equal(strspn(qs_words[i],
			"abcdefghijklmnopqrstuvwxyz"), len);
		for (size_t k = 0; k < i; k++)
			assert_int_not_equal(strncmp(qs_words[i], qs_words[k],
				3), 0);
	}
}

static size_t
count_words(const char *text)
{
	size_t count = 1;

	for (; *text != '\0'; text++)
		if (*text == '-')
			count++;
	return count;
}

static void
passphrases_have_as_many_words_as_asked_and_at_least_5(void **state)
{
	char one[QS_PASSPHRASE_TEXT_CAP(QS_PASSPHRASE_WORDS)];
	char two[sizeof(one)];

	(void)state;
	qs_passphrase_generate(one, sizeof(one), QS_PASSPHRASE_WORDS);
	qs_passphrase_generate(two, sizeof(two), QS_PASSPHRASE_WORDS);
	assert_int_equal(count_words(one), QS_PASSPHRASE_WORDS);
	assert_string_not_equal(one, two);
	qs_passphrase_generate(one, sizeof(one), 2);
	assert_int_equal(count_words(one), 5);
	qs_passphrase_generate(one, sizeof(one) - 1, QS_PASSPHRASE_WORDS);
	assert_string_equal(one, "");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_recovery_code_gives_back_its_secret),
		cmocka_unit_test(a_recovery_code_may_be_typed_as_people_do),
		cmocka_unit_test(every_mistyped_digit_is_noticed),
		cmocka_unit_test(a_recovery_codes_mistake_is_described),
		cmocka_unit_test(words_are_short_and_begin_differently),
		cmocka_unit_test(
			passphrases_have_as_many_words_as_asked_and_at_least_5),
	};
	struct qs_err err;

	if (qs_crypto_init(&err) != QS_OK)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
