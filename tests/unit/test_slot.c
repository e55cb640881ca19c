/* SPDX-License-Identifier: ISC */
/* Unit tests of crypto/: key slots. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "crypto/slot_internal.h"

#define OK(call) assert_int_equal((call), QS_OK)
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define CHEAP {2, 64U << 20}

static const uint8_t code[32] = {1, 2, 3};
static const uint8_t file[32] = {9, 8, 7};

static const struct qs_factor passphrase = {
	QS_FACTOR_PASSPHRASE, {(const uint8_t *)"open sesame", 11}, CHEAP,
};
static const struct qs_factor recovery = {
	QS_FACTOR_RECOVERY, {code, sizeof(code)}, {0, 0},
};
static const struct qs_factor keyfile = {
	QS_FACTOR_KEYFILE, {file, sizeof(file)}, {0, 0},
};

struct folder {
	struct qs_slot_secret secret;
	uint8_t id[QS_FOLDER_ID_LEN];
};

static struct folder
make_folder(void)
{
	struct folder folder;
	struct qs_sign_key admin;
	uint8_t commit[32];

	qs_random(&folder.secret, sizeof(folder.secret));
	qs_sign_generate(&admin);
	memcpy(folder.secret.adm_pk, admin.pk, 32);
	memcpy(folder.secret.adm_seed, admin.seed, 32);
	qs_fmk_commit(folder.secret.fmk, commit);
	qs_folder_id(folder.secret.adm_pk, commit, folder.id);
	return folder;
}

static void
make_slot(const struct folder *folder, const struct qs_factor *factors,
	size_t count, uint8_t slot[static QS_SLOT_LEN])
{
	struct qs_err err;

	OK(qs_slot_create(0, folder->id, "the laptop", factors, count,
		&folder->secret, slot, &err));
}

/* Opening gives that code, that message, and hands nothing out. */
static void
refuse(const uint8_t *slot, const struct qs_factor *factors, size_t count,
	enum qs_code code_wanted, const char *message)
{
	struct qs_slot_secret out, before;
	struct qs_err err;

	memset(&out, 0x5a, sizeof(out));
	before = out;
	assert_int_equal(qs_slot_open(qs_span(slot, QS_SLOT_LEN), factors,
		count, &out, &err), code_wanted);
	assert_string_equal(err.msg, message);
	assert_memory_equal(&out, &before, sizeof(out));
}

static void
a_slot_gives_back_its_secrets(void **state)
{
	const struct qs_factor all[] = {keyfile, passphrase, recovery};
	const struct qs_factor other_order[] = {recovery, keyfile, passphrase};
	const struct folder folder = make_folder();
	uint8_t slot[QS_SLOT_LEN];
	struct qs_slot_secret out;
	struct qs_slot_info info;
	struct qs_err err;

	(void)state;
	make_slot(&folder, all, 3, slot);
	OK(qs_slot_parse(qs_span(slot, sizeof(slot)), &info, &err));
	assert_int_equal(info.epoch, 0);
	assert_memory_equal(info.folder_id, folder.id, sizeof(folder.id));
	assert_string_equal(info.label, "the laptop");
	assert_int_equal(info.factor_count, 3);
	assert_int_equal(info.factors[0], QS_FACTOR_KEYFILE);
	assert_int_equal(info.factors[1], QS_FACTOR_PASSPHRASE);
	assert_int_equal(info.factors[2], QS_FACTOR_RECOVERY);
	assert_int_equal(info.argon.ops, 2);
	assert_int_equal(info.argon.mem_bytes, 64 << 20);
	OK(qs_slot_open(qs_span(slot, sizeof(slot)), other_order, 3, &out,
		&err));
	assert_memory_equal(&out, &folder.secret, sizeof(out));
}

static void
a_slot_without_the_admin_seed_opens(void **state)
{
	struct folder folder = make_folder();
	uint8_t slot[QS_SLOT_LEN];
	struct qs_slot_secret out;
	struct qs_err err;

	(void)state;
	memset(folder.secret.adm_seed, 0, 32);
	make_slot(&folder, &recovery, 1, slot);
	OK(qs_slot_open(qs_span(slot, sizeof(slot)), &recovery, 1, &out,
		&err));
	assert_true(qs_is_zero(out.adm_seed, 32));
}

static void
a_wrong_factor_is_named(void **state)
{
	const struct folder folder = make_folder();
	const uint8_t bad[32] = {0xbb};
	const struct qs_factor wrong_code = {
		QS_FACTOR_RECOVERY, {bad, 32}, {0, 0},
	};
	const struct qs_factor wrong_file = {
		QS_FACTOR_KEYFILE, {bad, 32}, {0, 0},
	};
	const struct qs_factor wrong_words = {
		QS_FACTOR_PASSPHRASE, {(const uint8_t *)"Open sesame", 11},
		{0, 0},
	};
	const struct qs_factor two[] = {recovery, keyfile};
	const struct qs_factor half[] = {recovery, wrong_file};
	uint8_t slot[QS_SLOT_LEN];

	(void)state;
	make_slot(&folder, &passphrase, 1, slot);
	refuse(slot, &wrong_words, 1, QS_EAUTH, "wrong passphrase");
	make_slot(&folder, &recovery, 1, slot);
	refuse(slot, &wrong_code, 1, QS_EAUTH, "wrong recovery code");
	make_slot(&folder, &keyfile, 1, slot);
	refuse(slot, &wrong_file, 1, QS_EAUTH, "wrong key file");
	make_slot(&folder, two, 2, slot);
	refuse(slot, half, 2, QS_EAUTH, "wrong recovery code or key file");
}

static void
missing_and_superfluous_factors_are_named(void **state)
{
	const struct folder folder = make_folder();
	const struct qs_factor two[] = {passphrase, keyfile};
	const struct qs_factor twice[] = {keyfile, keyfile};
	uint8_t slot[QS_SLOT_LEN];

	(void)state;
	make_slot(&folder, two, 2, slot);
	refuse(slot, two, 1, QS_EAUTH,
		"this key slot needs a passphrase and a key file");
	refuse(slot, twice, 2, QS_EAUTH,
		"this key slot needs a passphrase and a key file");
	refuse(slot, two, 0, QS_EAUTH,
		"this key slot needs a passphrase and a key file");
	make_slot(&folder, &keyfile, 1, slot);
	refuse(slot, two, 2, QS_EAUTH, "this key slot needs a key file");
	refuse(slot, &recovery, 1, QS_EAUTH, "this key slot needs a key file");
}

static void
senseless_factors_are_refused_before_any_work(void **state)
{
	const struct folder folder = make_folder();
	static uint8_t text[QS_PASSPHRASE_MAX + 1];
	struct qs_factor factor = {QS_FACTOR_PASSPHRASE, {text, 0}, CHEAP};
	uint8_t slot[QS_SLOT_LEN];

	(void)state;
	make_slot(&folder, &passphrase, 1, slot);
	refuse(slot, &factor, 1, QS_EAUTH, "the passphrase is empty");
	factor.secret.len = sizeof(text);
	refuse(slot, &factor, 1, QS_EAUTH,
		"the passphrase is longer than 1024 bytes");
	make_slot(&folder, &recovery, 1, slot);
	factor = recovery;
	factor.secret.len = 31;
	refuse(slot, &factor, 1, QS_EAUTH,
		"recovery code: 31 secret bytes instead of 32");
}

static void
no_creation(const struct folder *folder, uint32_t epoch, const char *label,
	const struct qs_factor *factors, size_t count)
{
	uint8_t slot[QS_SLOT_LEN], before[QS_SLOT_LEN];
	struct qs_err err;

	memset(slot, 0x5a, sizeof(slot));
	memcpy(before, slot, sizeof(before));
	assert_int_equal(qs_slot_create(epoch, folder->id, label, factors,
		count, &folder->secret, slot, &err), QS_EINVAL);
	assert_memory_equal(slot, before, sizeof(slot));
}

static void
a_slot_that_could_not_be_opened_is_not_made(void **state)
{
	const struct folder good = make_folder();
	struct folder bad = good;
	struct qs_factor many[5] = {recovery, keyfile, recovery};
	struct qs_factor weak = passphrase;

	(void)state;
	no_creation(&good, 0, "", many, 0);
	no_creation(&good, 0, "", many, 5);
	no_creation(&good, 0, "", many, 3); /* recovery twice */
	weak.argon.ops = 1;
	no_creation(&good, 0, "", &weak, 1);
	weak.argon = (struct qs_argon){2, (64U << 20) - 1024};
	no_creation(&good, 0, "", &weak, 1);
	weak.argon = (struct qs_argon){2, (64U << 20) + 1};
	no_creation(&good, 0, "", &weak, 1);
	weak.argon = (struct qs_argon){65, 64U << 20};
	no_creation(&good, 0, "", &weak, 1);
	weak.argon = (struct qs_argon){2, ((uint64_t)4 << 30) + 1024};
	no_creation(&good, 0, "", &weak, 1);
	weak = passphrase;
	weak.secret.len = 0;
	no_creation(&good, 0, "", &weak, 1);
	no_creation(&good, 0, "one\ntwo", &recovery, 1);
	no_creation(&good, 0, "\xc0\xaf", &recovery, 1);
	no_creation(&good, 0, "123456789012345678901234567890123",
		&recovery, 1);
	bad.id[0] ^= 1;
	no_creation(&bad, 0, "", &recovery, 1);
	bad = good;
	bad.secret.adm_seed[0] ^= 1;
	no_creation(&bad, 0, "", &recovery, 1);
	no_creation(&bad, 1, "", &recovery, 1);
}

/*
 * Every bit counts.  The header's go into the commit, so that a change there
 * looks like a wrong code, unless it breaks the layout first.
 */
static void
no_bit_of_a_slot_can_be_changed(void **state)
{
	const struct folder folder = make_folder();
	uint8_t slot[QS_SLOT_LEN];
	struct qs_slot_secret out;
	struct qs_err err;

	(void)state;
	make_slot(&folder, &recovery, 1, slot);
	for (size_t i = 0; i < 8 * sizeof(slot); i++) {
		enum qs_code rc;

		slot[i / 8] ^= (uint8_t)(1U << i % 8);
		rc = qs_slot_open(qs_span(slot, sizeof(slot)), &recovery, 1,
			&out, &err);
		assert_true(rc == QS_EAUTH || rc == QS_ECORRUPT ||
			rc == QS_EUNSUPPORTED);
		if (i / 8 >= QS_SLOT_AT_SEALED)
			assert_int_equal(rc, QS_ECORRUPT);
		else if (i / 8 >= QS_SLOT_AT_COMMIT)
			assert_int_equal(rc, QS_EAUTH);
		slot[i / 8] ^= (uint8_t)(1U << i % 8);
	}
	OK(qs_slot_open(qs_span(slot, sizeof(slot)), &recovery, 1, &out,
		&err));
}

static void
a_slot_has_one_length(void **state)
{
	const struct folder folder = make_folder();
	uint8_t slot[QS_SLOT_LEN + 1] = {0};
	struct qs_slot_info info;
	struct qs_err err;

	(void)state;
	make_slot(&folder, &recovery, 1, slot);
	for (size_t len = 0; len < sizeof(slot); len++)
		if (len != QS_SLOT_LEN)
			assert_int_equal(qs_slot_parse(qs_span(slot, len),
				&info, &err), QS_ECORRUPT);
	assert_int_equal(qs_slot_parse(qs_span(slot, sizeof(slot)), &info,
		&err), QS_ECORRUPT);
	assert_string_equal(err.msg,
		"key slot: 2049 bytes long instead of 2048");
}

static enum qs_code
parse_with(const uint8_t *slot, size_t at, const void *data, size_t len,
	struct qs_err *err)
{
	uint8_t changed[QS_SLOT_LEN];
	struct qs_slot_info info;

	memcpy(changed, slot, sizeof(changed));
	memcpy(changed + at, data, len);
	return qs_slot_parse(qs_span(changed, sizeof(changed)), &info, err);
}

static void
what_is_newer_is_said_to_be(void **state)
{
	const struct folder folder = make_folder();
	const size_t places[] = {
		QS_SLOT_AT_VERSION, QS_SLOT_AT_KIND, QS_SLOT_AT_FLAGS,
		QS_SLOT_AT_FACTORS, QS_SLOT_AT_FACTORS + 1,
	};
	uint8_t slot[QS_SLOT_LEN];
	struct qs_err err;

	(void)state;
	make_slot(&folder, &recovery, 1, slot);
	for (size_t i = 0; i < COUNT(places); i++) {
		assert_int_equal(parse_with(slot, places[i], "\x02", 1, &err),
			QS_EUNSUPPORTED);
		assert_non_null(strstr(err.msg,
			"made by a newer version of qstore"));
	}
	assert_int_equal(parse_with(slot, 0, "q", 1, &err), QS_ECORRUPT);
	assert_int_equal(parse_with(slot, QS_SLOT_AT_FACTOR_COUNT, "\0", 1,
		&err), QS_ECORRUPT);
	assert_int_equal(parse_with(slot, QS_SLOT_AT_FACTOR_COUNT, "\5", 1,
		&err), QS_ECORRUPT);
}

/* A forged slot may neither weaken the passphrase nor stall the machine. */
static void
argon_costs_are_bounded_on_both_sides(void **state)
{
	const struct folder folder = make_folder();
	const size_t at = QS_SLOT_AT_FACTORS + QS_SLOT_FACTOR_AT_DATA;
	const uint32_t ops[] = {0, 1, 65, UINT32_MAX};
	const uint64_t mem[] = {
		0, 1024, (64U << 20) - 1, (64U << 20) - 1024, (64U << 20) + 1,
		((uint64_t)4 << 30) + 1024, UINT64_MAX,
	};
	uint8_t slot[QS_SLOT_LEN], bytes[8];
	struct qs_err err;

	(void)state;
	make_slot(&folder, &passphrase, 1, slot);
	for (size_t i = 0; i < COUNT(ops); i++) {
		qs_store32(bytes, ops[i]);
		assert_int_equal(parse_with(slot, at, bytes, 4, &err),
			QS_ECORRUPT);
		assert_non_null(strstr(err.msg, "passes over"));
	}
	for (size_t i = 0; i < COUNT(mem); i++) {
		qs_store64(bytes, mem[i]);
		assert_int_equal(parse_with(slot, at + QS_SLOT_PASS_AT_MEM,
			bytes, 8, &err), QS_ECORRUPT);
	}
	qs_store32(bytes, 64);
	OK(parse_with(slot, at, bytes, 4, &err));
	qs_store64(bytes, (uint64_t)4 << 30);
	OK(parse_with(slot, at + QS_SLOT_PASS_AT_MEM, bytes, 8, &err));
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define LIMIT_WORKS 0 /* the sanitizer's own mappings are over any limit */
#else
#define LIMIT_WORKS 1
#endif

static void
missing_memory_is_counted_in_words(void **state)
{
	const struct rlimit limit = {(rlim_t)2 << 30, (rlim_t)2 << 30};
	const struct folder folder = make_folder();
	uint8_t slot[QS_SLOT_LEN];
	int status = -1;
	pid_t child;

	(void)state;
	if (!LIMIT_WORKS)
		skip();
	make_slot(&folder, &passphrase, 1, slot);
	qs_store64(slot + QS_SLOT_AT_FACTORS + QS_SLOT_FACTOR_AT_DATA +
		QS_SLOT_PASS_AT_MEM, (uint64_t)4 << 30);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		struct qs_slot_secret out;
		struct qs_err err;

		if (setrlimit(RLIMIT_AS, &limit) != 0)
			_exit(2);
		_exit(qs_slot_open(qs_span(slot, sizeof(slot)), &passphrase,
			1, &out, &err) == QS_ENOMEM && strcmp(err.msg,
			"out of memory: this passphrase needs 4096 MiB") == 0 ?
			0 : 1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void
labels_are_plain_text(void **state)
{
	static const char *const good[] = {
		"", "laptop", "B\xc3\xbcro", "\xe2\x82\xac", "\xf0\x9f\x93\xb7",
		"\xf4\x8f\xbf\xbf", "~",
	};
	static const char *const bad[] = {
		"\n", "a\x1b[31m", "\x7f", "\xc2\x85", "\x80", "\xc3",
		"\xc0\x80", "\xe0\x80\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80",
		"\xff", "\xe2\x82", "\xf0\x80\x80\x80",
	};
	const struct folder folder = make_folder();
	uint8_t slot[QS_SLOT_LEN];
	struct qs_err err;

	(void)state;
	for (size_t i = 0; i < COUNT(good); i++)
		assert_true(qs_slot_label_is_plain((const uint8_t *)good[i],
			strlen(good[i])));
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_false(qs_slot_label_is_plain((const uint8_t *)bad[i],
			strlen(bad[i])));
	make_slot(&folder, &recovery, 1, slot);
	OK(parse_with(slot, QS_SLOT_AT_LABEL,
		"12345678901234567890123456789012", 32, &err));
	assert_int_equal(parse_with(slot, QS_SLOT_AT_LABEL, "a\0b", 3, &err),
		QS_ECORRUPT);
	assert_int_equal(parse_with(slot, QS_SLOT_AT_LABEL, "\x1b", 1, &err),
		QS_ECORRUPT);
}

/* Who knows the code can seal anything, but not for this folder id. */
static void
secrets_of_another_folder_are_refused(void **state)
{
	const struct folder one = make_folder();
	struct folder forged = make_folder();
	uint8_t slot[QS_SLOT_LEN];
	struct qs_slot_secret out;
	struct qs_err err;

	(void)state;
	memcpy(forged.id, one.id, sizeof(forged.id));
	no_creation(&forged, 0, "", &recovery, 1);
	OK(qs_slot_create(1, forged.id, "", &recovery, 1, &forged.secret,
		slot, &err));
	OK(qs_slot_open(qs_span(slot, sizeof(slot)), &recovery, 1, &out,
		&err));
	qs_store32(slot + QS_SLOT_AT_EPOCH, 0);
	refuse(slot, &recovery, 1, QS_EAUTH, "wrong recovery code");
}

/* A slot sealed by hand, as a forger who knows the recovery code would. */
static void
seal_by_hand(uint8_t *slot, const uint8_t *plain)
{
	struct qs_span parts[2];
	uint8_t fed[QS_SLOT_FED_LEN] = {QS_FACTOR_RECOVERY, 32, 0};
	uint8_t okm[64];
	struct qs_aead *aead = NULL;
	struct qs_err err;

	memcpy(fed + 3, code, sizeof(code));
	parts[0] = qs_span(slot, QS_SLOT_AT_COMMIT);
	parts[1] = qs_span(fed, sizeof(fed));
	qs_b2b_parts(okm, sizeof(okm), NULL, "slot", parts, 2);
	memcpy(slot + QS_SLOT_AT_COMMIT, okm + 32, 32);
	OK(qs_aead_new(QS_AEAD_BEST, &aead, &err));
	OK(qs_aead_set_key(aead, okm, &err));
	OK(qs_aead_seal(aead, 0, qs_span(slot, QS_SLOT_AT_SEALED), plain,
		QS_SLOT_PLAIN_LEN, slot + QS_SLOT_AT_SEALED, &err));
	qs_aead_free(aead);
}

static void
forged_contents_are_refused_even_with_the_right_key(void **state)
{
	const struct folder folder = make_folder();
	const size_t secret_len = sizeof(folder.secret);
	uint8_t slot[QS_SLOT_LEN], plain[QS_SLOT_PLAIN_LEN] = {0};
	struct qs_slot_secret out;
	struct qs_err err;

	(void)state;
	make_slot(&folder, &recovery, 1, slot);
	memcpy(plain, &folder.secret, secret_len);
	seal_by_hand(slot, plain);
	OK(qs_slot_open(qs_span(slot, sizeof(slot)), &recovery, 1, &out,
		&err));
	plain[0] ^= 1;
	seal_by_hand(slot, plain);
	refuse(slot, &recovery, 1, QS_ECORRUPT, "key slot: forged: its folder "
		"id does not follow from its keys");
	plain[0] ^= 1;
	plain[QS_SLOT_PLAIN_AT_ADM_SEED] ^= 1;
	seal_by_hand(slot, plain);
	refuse(slot, &recovery, 1, QS_ECORRUPT, "key slot: forged: its admin "
		"key's two halves do not match");
	plain[QS_SLOT_PLAIN_AT_ADM_SEED] ^= 1;
	plain[QS_SLOT_PLAIN_LEN - 1] = 1;
	seal_by_hand(slot, plain);
	refuse(slot, &recovery, 1, QS_EUNSUPPORTED, "key slot: made by a newer "
		"version of qstore (more secrets)");
}

static void
no_two_slots_share_a_salt(void **state)
{
	const struct folder folder = make_folder();
	uint8_t one[QS_SLOT_LEN], two[QS_SLOT_LEN];

	(void)state;
	make_slot(&folder, &recovery, 1, one);
	make_slot(&folder, &recovery, 1, two);
	assert_memory_not_equal(one + QS_SLOT_AT_SALT, two + QS_SLOT_AT_SALT,
		QS_SLOT_SALT_LEN);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_slot_gives_back_its_secrets),
		cmocka_unit_test(a_slot_without_the_admin_seed_opens),
		cmocka_unit_test(a_wrong_factor_is_named),
		cmocka_unit_test(missing_and_superfluous_factors_are_named),
		cmocka_unit_test(senseless_factors_are_refused_before_any_work),
		cmocka_unit_test(a_slot_that_could_not_be_opened_is_not_made),
		cmocka_unit_test(no_bit_of_a_slot_can_be_changed),
		cmocka_unit_test(a_slot_has_one_length),
		cmocka_unit_test(what_is_newer_is_said_to_be),
		cmocka_unit_test(argon_costs_are_bounded_on_both_sides),
		cmocka_unit_test(missing_memory_is_counted_in_words),
		cmocka_unit_test(labels_are_plain_text),
		cmocka_unit_test(secrets_of_another_folder_are_refused),
		cmocka_unit_test(
			forged_contents_are_refused_even_with_the_right_key),
		cmocka_unit_test(no_two_slots_share_a_salt),
	};
	struct qs_err err;

	if (qs_crypto_init(&err) != QS_OK)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
