/* SPDX-License-Identifier: ISC */
/*
 * ChaCha20-Poly1305-IETF: libsodium's, or OpenSSL's where it gives the same
 * bytes.
 */
#include <assert.h>
#include <sodium.h>

#include "crypto/aead_internal.h"

/* Far over an object's size, and within what OpenSSL's int can count. */
#define MESSAGE_MAX ((size_t)1 << 30)

static_assert(crypto_aead_chacha20poly1305_IETF_NPUBBYTES == QS_NONCE_LEN,
	"nonce");
static_assert(crypto_aead_chacha20poly1305_IETF_ABYTES == QS_TAG_LEN, "tag");
static_assert(crypto_aead_chacha20poly1305_IETF_KEYBYTES == QS_KEY_LEN, "key");

struct qs_aead { /* in locked memory */
	uint8_t key[QS_KEY_LEN];
	struct qs_openssl *openssl; /* NULL: libsodium */
};

static bool
same_as_sodium(struct qs_openssl *openssl, const struct qs_aead_sealed *msg,
	const uint8_t *key)
{
	uint8_t expected[256 + QS_TAG_LEN];
	uint8_t back[256];
	struct qs_aead_sealed opened = *msg;
	bool genuine = false;

	assert(msg->len <= sizeof(back));
	if (crypto_aead_chacha20poly1305_ietf_encrypt(expected, NULL, msg->in,
		msg->len, msg->aad.data, msg->aad.len, NULL, msg->nonce,
		key) != 0)
		return false;
	if (!qs_openssl_seal(openssl, msg) ||
		memcmp(expected, msg->out, msg->len + QS_TAG_LEN) != 0)
		return false;
	opened.in = expected;
	opened.out = back;
	if (!qs_openssl_open(openssl, &opened, &genuine) || !genuine ||
		memcmp(back, msg->in, msg->len) != 0)
		return false;
	expected[msg->len] ^= 1;
	return qs_openssl_open(openssl, &opened, &genuine) && !genuine;
}

/*
 * A known answer before the first use: an OpenSSL that was built or patched
 * into something else is noticed before it writes what nobody can read.  The
 * second message has another nonce: is the context really reset?
 */
static bool
agrees_with_sodium(struct qs_openssl *openssl)
{
	static const uint8_t aad[13] = "self-check ok";
	uint8_t key[QS_KEY_LEN], in[200], out[200 + QS_TAG_LEN];
	struct qs_aead_sealed msg = {.in = in, .out = out};

	for (size_t i = 0; i < sizeof(key); i++)
		key[i] = (uint8_t)(i * 7 + 1);
	for (size_t i = 0; i < sizeof(in); i++)
		in[i] = (uint8_t)(i * 5 + 3);
	if (!qs_openssl_set_key(openssl, key))
		return false;
	for (uint32_t counter = 0; counter < 2; counter++) {
		qs_store32(msg.nonce, counter);
		msg.len = counter == 0 ? sizeof(in) : 1;
		msg.aad = qs_span(aad, counter == 0 ? sizeof(aad) : 0);
		if (!same_as_sodium(openssl, &msg, key))
			return false;
	}
	return true;
}

static enum qs_code
set_up_openssl(struct qs_openssl **out, struct qs_err *err)
{
	struct qs_openssl *openssl = NULL;

	if (!qs_openssl_new(&openssl))
		return qs_fail(err, QS_EUNSUPPORTED,
			"openssl: no ChaCha20-Poly1305 in this build");
	if (!agrees_with_sodium(openssl)) {
		qs_openssl_free(openssl);
		return qs_fail(err, QS_EUNSUPPORTED,
			"openssl: its ChaCha20-Poly1305 differs from "
			"libsodium's");
	}
	*out = openssl;
	return QS_OK;
}

enum qs_code
qs_aead_new(enum qs_aead_kind kind, struct qs_aead **out, struct qs_err *err)
{
	struct qs_openssl *openssl = NULL;
	struct qs_aead *aead;
	struct qs_err why;

	if (kind == QS_AEAD_OPENSSL && set_up_openssl(&openssl, err) != QS_OK)
		return err->code;
	if (kind == QS_AEAD_BEST && set_up_openssl(&openssl, &why) != QS_OK)
		qs_log("%s; libsodium is used", why.msg);
	aead = (struct qs_aead *)qs_secret_alloc(sizeof(*aead));
	if (aead == NULL) {
		qs_openssl_free(openssl);
		return qs_fail_nomem(err, "setting up encryption");
	}
	aead->openssl = openssl;
	*out = aead;
	return QS_OK;
}

void
qs_aead_free(struct qs_aead *aead)
{
	if (aead == NULL)
		return;
	qs_openssl_free(aead->openssl);
	qs_secret_free(aead);
}

const char *
qs_aead_name(const struct qs_aead *aead)
{
	return aead->openssl != NULL ? "openssl" : "sodium";
}

enum qs_code
qs_aead_set_key(struct qs_aead *aead, const uint8_t key[static QS_KEY_LEN],
	struct qs_err *err)
{
	if (aead->openssl != NULL && !qs_openssl_set_key(aead->openssl, key))
		return qs_fail(err, QS_EIO, "openssl: setting a key failed");
	memcpy(aead->key, key, QS_KEY_LEN);
	return QS_OK;
}

static enum qs_code
check_lengths(struct qs_span aad, size_t len, struct qs_err *err)
{
	if (len > MESSAGE_MAX || aad.len > MESSAGE_MAX)
		return qs_fail(err, QS_EINVAL,
			"encryption: a message of %zu bytes (%zu associated) "
			"is over the limit of %zu", len, aad.len,
			MESSAGE_MAX);
	return QS_OK;
}

enum qs_code
qs_aead_seal(struct qs_aead *aead, uint32_t counter, struct qs_span aad,
	const uint8_t *msg, size_t len, uint8_t *out, struct qs_err *err)
{
	struct qs_aead_sealed plain = {
		.aad = aad, .in = msg, .len = len, .out = out,
	};

	if (check_lengths(aad, len, err) != QS_OK)
		return err->code;
	qs_store32(plain.nonce, counter);
	if (aead->openssl != NULL) {
		if (!qs_openssl_seal(aead->openssl, &plain))
			return qs_fail(err, QS_EIO,
				"openssl: encryption failed");
		return QS_OK;
	}
	if (crypto_aead_chacha20poly1305_ietf_encrypt(out, NULL, msg, len,
		aad.data, aad.len, NULL, plain.nonce, aead->key) != 0)
		return qs_fail(err, QS_EIO, "libsodium: encryption failed");
	return QS_OK;
}

enum qs_code
qs_aead_open(struct qs_aead *aead, uint32_t counter, struct qs_span aad,
	struct qs_span sealed, uint8_t *out, struct qs_err *err)
{
	struct qs_aead_sealed msg = {
		.aad = aad, .in = sealed.data, .out = out,
	};
	bool done = true, genuine = false;

	if (sealed.len < QS_TAG_LEN)
		return qs_fail(err, QS_ECORRUPT,
			"sealed bytes: %zu are too few to hold their tag",
			sealed.len);
	msg.len = sealed.len - QS_TAG_LEN;
	if (check_lengths(aad, msg.len, err) != QS_OK)
		return err->code;
	qs_store32(msg.nonce, counter);
	if (aead->openssl != NULL)
		done = qs_openssl_open(aead->openssl, &msg, &genuine);
	else
		genuine = crypto_aead_chacha20poly1305_ietf_decrypt(out, NULL,
			NULL, sealed.data, sealed.len, aad.data, aad.len,
			msg.nonce, aead->key) == 0;
	if (done && genuine)
		return QS_OK;
	/* OpenSSL decrypts before it knows: nobody may see forged bytes. */
	if (msg.len > 0)
		qs_wipe(out, msg.len);
	if (!done)
		return qs_fail(err, QS_EIO, "openssl: decryption failed");
	return qs_fail(err, QS_ECORRUPT,
		"sealed bytes: they do not match their tag");
}
