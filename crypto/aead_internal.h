/* SPDX-License-Identifier: ISC */
/*
 * The two implementations of ChaCha20-Poly1305-IETF behind qs_aead_*: what
 * aead.c and aead_openssl.c share.  Lengths are checked before they are
 * called.
 */
#ifndef QS_AEAD_INTERNAL_H
#define QS_AEAD_INTERNAL_H

#include "crypto/crypto.h"

#define QS_NONCE_LEN 12

struct qs_aead_sealed { /* one message: what seal and open have in common */
	uint8_t nonce[QS_NONCE_LEN];
	struct qs_span aad;
	const uint8_t *in;
	size_t len; /* of the plaintext */
	uint8_t *out;
};

struct qs_openssl;

/* false: libcrypto refuses (or is not built in); the reason is not ours. */
bool qs_openssl_new(struct qs_openssl **out);
void qs_openssl_free(struct qs_openssl *openssl);
bool qs_openssl_set_key(struct qs_openssl *openssl,
	const uint8_t key[static QS_KEY_LEN]);
/* out has len + QS_TAG_LEN bytes */
bool qs_openssl_seal(struct qs_openssl *openssl,
	const struct qs_aead_sealed *msg);
/*
 * in has len + QS_TAG_LEN bytes.  *genuine false: the tag does not verify;
 * out then holds what the caller has to wipe, as it does after a failure.
 */
bool qs_openssl_open(struct qs_openssl *openssl,
	const struct qs_aead_sealed *msg, bool *genuine);

#endif
