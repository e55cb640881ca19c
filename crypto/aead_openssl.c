/* SPDX-License-Identifier: ISC */
/*
 * ChaCha20-Poly1305-IETF by OpenSSL 3, three times as fast as libsodium's.
 *
 * The cipher is fetched once and the key set once per object: per message
 * only the nonce changes.  OpenSSL keeps the key in ordinary memory, which it
 * wipes when the context is freed: it is the key of one object.
 */
#include "crypto/aead_internal.h"

#ifdef QS_HAVE_LIBCRYPTO

#include <openssl/err.h>
#include <openssl/evp.h>
#include <stdlib.h>

struct qs_openssl {
	EVP_CIPHER *cipher;
	EVP_CIPHER_CTX *seal, *open;
};

bool
qs_openssl_new(struct qs_openssl **out)
{
	struct qs_openssl *openssl =
		(struct qs_openssl *)calloc(1, sizeof(*openssl));

	if (openssl == NULL)
		return false;
	openssl->cipher = EVP_CIPHER_fetch(NULL, "ChaCha20-Poly1305", NULL);
	openssl->seal = EVP_CIPHER_CTX_new();
	openssl->open = EVP_CIPHER_CTX_new();
	if (openssl->cipher == NULL || openssl->seal == NULL ||
		openssl->open == NULL) {
		ERR_clear_error();
		qs_openssl_free(openssl);
		return false;
	}
	*out = openssl;
	return true;
}

void
qs_openssl_free(struct qs_openssl *openssl)
{
	if (openssl == NULL)
		return;
	EVP_CIPHER_CTX_free(openssl->seal);
	EVP_CIPHER_CTX_free(openssl->open);
	EVP_CIPHER_free(openssl->cipher);
	free(openssl);
}

bool
qs_openssl_set_key(struct qs_openssl *openssl,
	const uint8_t key[static QS_KEY_LEN])
{
	if (EVP_EncryptInit_ex2(openssl->seal, openssl->cipher, key, NULL,
		NULL) == 1 &&
		EVP_DecryptInit_ex2(openssl->open, openssl->cipher, key, NULL,
		NULL) == 1)
		return true;
	ERR_clear_error();
	return false;
}

/* The associated data, then the message; both may be empty. */
static bool
feed(EVP_CIPHER_CTX *ctx, const struct qs_aead_sealed *msg)
{
	int got;

	if (msg->aad.len > 0 && EVP_CipherUpdate(ctx, NULL, &got,
		msg->aad.data, (int)msg->aad.len) != 1)
		return false;
	if (msg->len > 0 && (EVP_CipherUpdate(ctx, msg->out, &got, msg->in,
		(int)msg->len) != 1 || got != (int)msg->len))
		return false;
	return true;
}

bool
qs_openssl_seal(struct qs_openssl *openssl, const struct qs_aead_sealed *msg)
{
	EVP_CIPHER_CTX *ctx = openssl->seal;
	int got;

	if (EVP_EncryptInit_ex2(ctx, NULL, NULL, msg->nonce, NULL) == 1 &&
		feed(ctx, msg) &&
		EVP_EncryptFinal_ex(ctx, msg->out + msg->len, &got) == 1 &&
		got == 0 &&
		EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, QS_TAG_LEN,
		msg->out + msg->len) == 1)
		return true;
	ERR_clear_error();
	return false;
}

bool
qs_openssl_open(struct qs_openssl *openssl, const struct qs_aead_sealed *msg,
	bool *genuine)
{
	EVP_CIPHER_CTX *ctx = openssl->open;
	uint8_t tag[QS_TAG_LEN];
	uint8_t nothing[QS_TAG_LEN];
	int got;

	memcpy(tag, msg->in + msg->len, sizeof(tag));
	if (EVP_DecryptInit_ex2(ctx, NULL, NULL, msg->nonce, NULL) != 1 ||
		!feed(ctx, msg) ||
		EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, QS_TAG_LEN,
		tag) != 1) {
		ERR_clear_error();
		return false;
	}
	*genuine = EVP_DecryptFinal_ex(ctx, nothing, &got) == 1;
	if (!*genuine)
		ERR_clear_error();
	return true;
}

#else

bool
qs_openssl_new(struct qs_openssl **out)
{
	(void)out;
	return false;
}

void
qs_openssl_free(struct qs_openssl *openssl)
{
	(void)openssl;
}

bool
qs_openssl_set_key(struct qs_openssl *openssl,
	const uint8_t key[static QS_KEY_LEN])
{
	(void)openssl;
	(void)key;
	return false;
}

bool
qs_openssl_seal(struct qs_openssl *openssl, const struct qs_aead_sealed *msg)
{
	(void)openssl;
	(void)msg;
	return false;
}

bool
qs_openssl_open(struct qs_openssl *openssl, const struct qs_aead_sealed *msg,
	bool *genuine)
{
	(void)openssl;
	(void)msg;
	(void)genuine;
	return false;
}

#endif
