/* SPDX-License-Identifier: ISC */
/*
 * Unit tests of crypto/: sealing, signatures, locked memory, and the known
 * answers in tests/vectors/crypto.txt (`test_crypto --vectors` prints them).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif

#include "crypto/crypto.h"
#include "crypto/slot_internal.h"

#ifndef QS_SOURCE_DIR
#define QS_SOURCE_DIR "."
#endif
#define VECTORS QS_SOURCE_DIR "/tests/vectors/crypto.txt"

#define OK(call) assert_int_equal((call), QS_OK)
#define BIG ((size_t)300000)

static void
count_up(uint8_t *out, size_t len, unsigned from)
{
	for (size_t i = 0; i < len; i++)
		out[i] = (uint8_t)(from + i);
}

/* ------------------------------------------------------------ sealing */

struct pair { /* OpenSSL's is libsodium's again where there is none */
	struct qs_aead *sodium, *openssl;
};

static int
open_pair(void **state)
{
	static struct pair pair;
	struct qs_err err;
	uint8_t key[QS_KEY_LEN];
	enum qs_code rc;

	count_up(key, sizeof(key), 0x80);
	OK(qs_aead_new(QS_AEAD_SODIUM, &pair.sodium, &err));
	rc = qs_aead_new(QS_AEAD_OPENSSL, &pair.openssl, &err);
#ifdef QS_HAVE_LIBCRYPTO
	assert_int_equal(rc, QS_OK);
#endif
	if (rc != QS_OK) {
		assert_int_equal(rc, QS_EUNSUPPORTED);
		OK(qs_aead_new(QS_AEAD_SODIUM, &pair.openssl, &err));
	}
	OK(qs_aead_set_key(pair.sodium, key, &err));
	OK(qs_aead_set_key(pair.openssl, key, &err));
	*state = &pair;
	return 0;
}

static int
close_pair(void **state)
{
	struct pair *pair = *state;

	qs_aead_free(pair->sodium);
	qs_aead_free(pair->openssl);
	qs_aead_free(NULL);
	return 0;
}

static void
check_seal(struct pair *pair, size_t len, size_t aad_len, uint32_t counter)
{
	static uint8_t msg[BIG], one[BIG + QS_TAG_LEN], two[BIG + QS_TAG_LEN];
	uint8_t aad[100];
	struct qs_err err;

	count_up(msg, len, counter);
	count_up(aad, aad_len, 0xa0);
	OK(qs_aead_seal(pair->sodium, counter, qs_span(aad, aad_len), msg,
		len, one, &err));
	OK(qs_aead_seal(pair->openssl, counter, qs_span(aad, aad_len), msg,
		len, two, &err));
	assert_memory_equal(one, two, len + QS_TAG_LEN);
	/* In place, and each opens what the other has sealed. */
	OK(qs_aead_open(pair->openssl, counter, qs_span(aad, aad_len),
		qs_span(one, len + QS_TAG_LEN), one, &err));
	OK(qs_aead_open(pair->sodium, counter, qs_span(aad, aad_len),
		qs_span(two, len + QS_TAG_LEN), two, &err));
	if (len > 0) {
		assert_memory_equal(one, msg, len);
		assert_memory_equal(two, msg, len);
	}
	OK(qs_aead_seal(pair->sodium, counter, qs_span(aad, aad_len), one,
		len, one, &err));
	OK(qs_aead_seal(pair->openssl, counter, qs_span(aad, aad_len), two,
		len, two, &err));
	assert_memory_equal(one, two, len + QS_TAG_LEN);
}

static void
both_implementations_seal_alike(void **state)
{
	struct pair *pair = *state;

	for (size_t len = 0; len <= 300; len++)
		check_seal(pair, len, len % 101, (uint32_t)len);
	for (size_t aad_len = 0; aad_len <= 100; aad_len++) {
		check_seal(pair, 0, aad_len, 0xffffffff);
		check_seal(pair, 77, aad_len, 7);
	}
	check_seal(pair, 65536, 16, 1);
	check_seal(pair, BIG, 100, 2);
}

static void
refuse(struct qs_aead *aead, uint32_t counter, struct qs_span aad,
	struct qs_span sealed)
{
	uint8_t out[256];
	struct qs_err err = {QS_OK, 0, ""};

	memset(out, 0x55, sizeof(out));
	assert_int_equal(qs_aead_open(aead, counter, aad, sealed, out, &err),
		QS_ECORRUPT);
	assert_int_equal(err.code, QS_ECORRUPT);
	if (sealed.len > QS_TAG_LEN)
		assert_true(qs_is_zero(out, sealed.len - QS_TAG_LEN));
}

static void
check_forgeries(struct qs_aead *aead)
{
	uint8_t msg[70], sealed[sizeof(msg) + QS_TAG_LEN];
	const struct qs_span aad = qs_span("header", 6);
	struct qs_err err;

	count_up(msg, sizeof(msg), 3);
	OK(qs_aead_seal(aead, 5, aad, msg, sizeof(msg), sealed, &err));
	for (size_t i = 0; i < 8 * sizeof(sealed); i++) {
		sealed[i / 8] ^= (uint8_t)(1U << i % 8);
		refuse(aead, 5, aad, qs_span(sealed, sizeof(sealed)));
		sealed[i / 8] ^= (uint8_t)(1U << i % 8);
	}
	for (size_t len = 0; len < sizeof(sealed); len++)
		refuse(aead, 5, aad, qs_span(sealed, len));
	refuse(aead, 6, aad, qs_span(sealed, sizeof(sealed)));
	refuse(aead, 5, qs_span("Header", 6), qs_span(sealed, sizeof(sealed)));
	refuse(aead, 5, qs_span("header", 5), qs_span(sealed, sizeof(sealed)));
	OK(qs_aead_open(aead, 5, aad, qs_span(sealed, sizeof(sealed)), sealed,
		&err));
	assert_memory_equal(sealed, msg, sizeof(msg));
}

static void
forged_bytes_are_refused_and_not_handed_out(void **state)
{
	struct pair *pair = *state;

	check_forgeries(pair->sodium);
	check_forgeries(pair->openssl);
}

static void
a_new_key_replaces_the_old(void **state)
{
	struct pair *pair = *state;
	struct qs_aead *both[] = {pair->sodium, pair->openssl};
	uint8_t sealed[3 + QS_TAG_LEN], key[QS_KEY_LEN] = {1}, old[QS_KEY_LEN];
	struct qs_err err;

	count_up(old, sizeof(old), 0x80);
	for (size_t i = 0; i < 2; i++) {
		OK(qs_aead_seal(both[i], 0, qs_span(NULL, 0),
			(const uint8_t *)"abc", 3, sealed, &err));
		OK(qs_aead_set_key(both[i], key, &err));
		refuse(both[i], 0, qs_span(NULL, 0),
			qs_span(sealed, sizeof(sealed)));
		OK(qs_aead_set_key(both[i], old, &err));
		OK(qs_aead_open(both[i], 0, qs_span(NULL, 0),
			qs_span(sealed, sizeof(sealed)), sealed, &err));
	}
}

static void
the_best_implementation_has_a_name(void **state)
{
	struct qs_aead *aead = NULL;
	struct qs_err err;

	(void)state;
	OK(qs_aead_new(QS_AEAD_BEST, &aead, &err));
#ifdef QS_HAVE_LIBCRYPTO
	assert_string_equal(qs_aead_name(aead), "openssl");
#else
	assert_string_equal(qs_aead_name(aead), "sodium");
#endif
	qs_aead_free(aead);
}

/* --------------------------------------------------------- signatures */

static void
rfc_8032s_first_test_comes_out(void **state)
{
	struct qs_sign_key key;
	uint8_t seed[32], pk[32], want[QS_SIG_LEN], sig[QS_SIG_LEN];

	(void)state;
	assert_true(qs_unhex(seed, 32, "9d61b19deffd5a60ba844af492ec2cc44449c"
		"5697b326919703bac031cae7f60"));
	assert_true(qs_unhex(pk, 32, "d75a980182b10ab7d54bfed3c964073a0ee172f3"
		"daa62325af021a68f707511a"));
	assert_true(qs_unhex(want, 64, "e5564300c360ac729086e2cc806e828a84877f"
		"1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25"
		"bf5f0595bbe24655141438e7a100b"));
	qs_sign_from_seed(&key, seed);
	assert_memory_equal(key.pk, pk, sizeof(pk));
	qs_sign(&key, qs_span(NULL, 0), sig);
	assert_memory_equal(sig, want, sizeof(want));
	assert_true(qs_sign_verify(pk, qs_span(NULL, 0), sig));
}

static void
a_signature_is_for_one_message_and_one_key(void **state)
{
	struct qs_sign_key key, other;
	const struct qs_span msg = qs_span("record", 6);
	uint8_t sig[QS_SIG_LEN];

	(void)state;
	qs_sign_generate(&key);
	qs_sign_generate(&other);
	assert_memory_not_equal(key.pk, other.pk, 32);
	qs_sign(&key, msg, sig);
	assert_true(qs_sign_verify(key.pk, msg, sig));
	assert_false(qs_sign_verify(other.pk, msg, sig));
	assert_false(qs_sign_verify(key.pk, qs_span("recorb", 6), sig));
	for (size_t i = 0; i < sizeof(sig); i++) {
		sig[i] ^= 1;
		assert_false(qs_sign_verify(key.pk, msg, sig));
		sig[i] ^= 1;
	}
}

/* ------------------------------------------------------ locked memory */

static void
secret_memory_begins_as_zeros(void **state)
{
	uint8_t *secret = qs_secret_alloc(5000);

	(void)state;
	assert_non_null(secret);
	assert_true(qs_is_zero(secret, 5000));
	memset(secret, 1, 5000);
	qs_wipe(secret, 4999);
	assert_true(qs_is_zero(secret, 4999));
	assert_int_equal(secret[4999], 1);
	qs_secret_free(secret);
	qs_secret_free(NULL);
}

/* In a child: a sanitizer's leak check needs a process that can be traced. */
static void
a_hardened_process_dumps_no_core(void **state)
{
	int status = -1;
	pid_t child;

	(void)state;
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		struct rlimit limit = {1, 1};
		bool locked = false, good;

		qs_crypto_harden(&locked);
		good = getrlimit(RLIMIT_CORE, &limit) == 0 &&
			limit.rlim_cur == 0 && limit.rlim_max == 0;
#ifdef __linux__
		good = good && prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0;
#endif
		_exit(good ? 0 : 1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void
comparison_and_randomness_do_their_duty(void **state)
{
	uint8_t a[32], b[32];

	(void)state;
	qs_random(a, sizeof(a));
	memcpy(b, a, sizeof(b));
	assert_true(qs_equal(a, b, sizeof(a)));
	b[31] ^= 0x80;
	assert_false(qs_equal(a, b, sizeof(a)));
	qs_random(b, sizeof(b));
	assert_false(qs_equal(a, b, sizeof(a)));
	for (int i = 0; i < 200; i++)
		assert_true(qs_random_below(3) < 3);
}

/* ------------------------------------------------------- known answers */

static void
put(struct qs_buf *text, const char *name, const void *data, size_t len)
{
	static char hex[2 * QS_SLOT_LEN + 1];
	struct qs_err err;

	assert_true(len <= QS_SLOT_LEN);
	qs_hex(hex, data, len);
	OK(qs_buf_printf(text, &err, "%s %s\n", name, hex));
}

static void
put_hash(struct qs_buf *text, const char *name, const uint8_t *key,
	const char *tag, struct qs_span msg)
{
	uint8_t digest[32];

	qs_b2b(digest, sizeof(digest), key, tag, msg.data, msg.len);
	put(text, name, digest, sizeof(digest));
}

static void
put_keys(struct qs_buf *text, struct qs_slot_secret *secret, uint8_t *folder)
{
	static const uint8_t domain = 0;
	uint8_t commit[32], k_id[32];

	count_up(secret->fmk, 32, 0);
	count_up(secret->ds, 32, 0x80);
	count_up(secret->adm_pk, 32, 0x40);
	put(text, "fmk0", secret->fmk, 32);
	put(text, "ds", secret->ds, 32);
	put(text, "adm_pk", secret->adm_pk, 32);
	qs_fmk_commit(secret->fmk, commit);
	qs_folder_id(secret->adm_pk, commit, folder);
	put(text, "fmk0_commit", commit, sizeof(commit));
	put(text, "folder_id", folder, QS_FOLDER_ID_LEN);
	put_hash(text, "k_pack", secret->fmk, "pack",
		qs_span(folder, QS_FOLDER_ID_LEN));
	put_hash(text, "k_log", secret->fmk, "log",
		qs_span(folder, QS_FOLDER_ID_LEN));
	qs_b2b(k_id, sizeof(k_id), secret->ds, "cid", &domain, 1);
	put(text, "k_id", k_id, sizeof(k_id));
	put_hash(text, "id_data_hello", k_id, "data", qs_span("hello", 5));
	put_hash(text, "id_tree_hello", k_id, "tree", qs_span("hello", 5));
}

static void
put_messages(struct qs_buf *text)
{
	struct qs_aead *aead = NULL;
	struct qs_sign_key key;
	struct qs_name name;
	uint8_t bytes[200], sealed[sizeof(bytes) + QS_TAG_LEN], seed[32];
	uint8_t sig[QS_SIG_LEN];
	char code[QS_RECOVERY_TEXT_LEN + 1];
	struct qs_err err;

	count_up(bytes, sizeof(bytes), 9);
	count_up(seed, sizeof(seed), 0xa0);
	put(text, "bytes", bytes, sizeof(bytes));
	qs_hash_name(qs_span(bytes, sizeof(bytes)), &name);
	put(text, "name_of_bytes", name.b, sizeof(name.b));
	/* key: seed; counter 0x01020304; associated data: the first 13 */
	put(text, "seed", seed, sizeof(seed));
	OK(qs_aead_new(QS_AEAD_BEST, &aead, &err));
	OK(qs_aead_set_key(aead, seed, &err));
	OK(qs_aead_seal(aead, 0x01020304, qs_span(bytes, 13), bytes,
		sizeof(bytes), sealed, &err));
	put(text, "sealed_bytes", sealed, sizeof(sealed));
	OK(qs_aead_seal(aead, 0, qs_span(NULL, 0), bytes, 0, sealed, &err));
	put(text, "sealed_nothing", sealed, QS_TAG_LEN);
	qs_aead_free(aead);
	qs_sign_from_seed(&key, seed);
	put(text, "sign_pk", key.pk, sizeof(key.pk));
	qs_sign(&key, qs_span(bytes, sizeof(bytes)), sig);
	put(text, "signature", sig, sizeof(sig));
	qs_recovery_encode(seed, code);
	OK(qs_buf_printf(text, &err, "recovery_code %s\n", code));
}

static void
put_slots(struct qs_buf *text, struct qs_slot_secret *secret,
	uint8_t *folder)
{
	uint8_t slot[QS_SLOT_LEN], code[32], file[32], commit[32];
	struct qs_factor factors[] = {
		{QS_FACTOR_PASSPHRASE, qs_span("correct horse", 13),
			{2, 64U << 20}},
		{QS_FACTOR_KEYFILE, qs_span(file, 32), {0, 0}},
	};
	struct qs_slot_input input = {
		0, folder, "Laptop \xc3\xa4", factors, 2, secret,
	};
	struct qs_slot_random random;
	struct qs_sign_key admin;
	struct qs_err err;

	count_up(code, sizeof(code), 0xa0);
	qs_hash_plain(file, sizeof(file), qs_span("key file", 8));
	count_up(random.salt, sizeof(random.salt), 0x60);
	count_up(random.pass_salt, sizeof(random.pass_salt), 0xc0);
	OK(qs_slot_create_fixed(&input, &random, slot, &err));
	put(text, "slot_passphrase_keyfile", slot, sizeof(slot));

	qs_sign_from_seed(&admin, code);
	memcpy(secret->adm_seed, admin.seed, 32);
	memcpy(secret->adm_pk, admin.pk, 32);
	qs_fmk_commit(secret->fmk, commit);
	qs_folder_id(secret->adm_pk, commit, folder);
	factors[0] = (struct qs_factor){QS_FACTOR_RECOVERY,
		qs_span(code, sizeof(code)), {0, 0}};
	input.count = 1;
	input.label = "";
	OK(qs_slot_create_fixed(&input, &random, slot, &err));
	put(text, "slot_recovery", slot, sizeof(slot));
	input.epoch = 3;
	memset(folder, 0xee, QS_FOLDER_ID_LEN);
	OK(qs_slot_create_fixed(&input, &random, slot, &err));
	put(text, "slot_recovery_epoch3", slot, sizeof(slot));
}

static void
make_vectors(struct qs_buf *text)
{
	struct qs_slot_secret secret;
	uint8_t folder[QS_FOLDER_ID_LEN];

	memset(&secret, 0, sizeof(secret));
	put_keys(text, &secret, folder);
	put_messages(text);
	put_slots(text, &secret, folder);
}

static void
known_answers_come_out(void **state)
{
	struct qs_buf file = {NULL, 0, 0}, text = {NULL, 0, 0};
	struct qs_err err;
	const char *body;

	(void)state;
	OK(qs_file_load(AT_FDCWD, VECTORS, 1 << 20, &file, &err));
	OK(qs_buf_append(&file, "", 1, &err));
	make_vectors(&text);
	OK(qs_buf_append(&text, "", 1, &err));
	/* The comments are at the top. */
	body = strstr((const char *)file.data, "\nfmk0 ");
	assert_non_null(body);
	assert_string_equal(body + 1, (const char *)text.data);
	qs_buf_clear(&file);
	qs_buf_clear(&text);
}

static int
print_vectors(void)
{
	struct qs_buf text = {NULL, 0, 0};

	make_vectors(&text);
	(void)fwrite(text.data, 1, text.len, stdout);
	qs_buf_clear(&text);
	return 0;
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			both_implementations_seal_alike, open_pair, close_pair),
		cmocka_unit_test_setup_teardown(
			forged_bytes_are_refused_and_not_handed_out, open_pair,
			close_pair),
		cmocka_unit_test_setup_teardown(a_new_key_replaces_the_old,
			open_pair, close_pair),
		cmocka_unit_test(the_best_implementation_has_a_name),
		cmocka_unit_test(rfc_8032s_first_test_comes_out),
		cmocka_unit_test(a_signature_is_for_one_message_and_one_key),
		cmocka_unit_test(secret_memory_begins_as_zeros),
		cmocka_unit_test(a_hardened_process_dumps_no_core),
		cmocka_unit_test(comparison_and_randomness_do_their_duty),
		cmocka_unit_test(known_answers_come_out),
	};
	struct qs_err err;

	if (qs_crypto_init(&err) != QS_OK)
		return 1;
	if (argc > 1 && strcmp(argv[1], "--vectors") == 0)
		return print_vectors();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
