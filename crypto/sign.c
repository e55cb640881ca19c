/* SPDX-License-Identifier: ISC */
/* Ed25519 signatures. */
#include <assert.h>
#include <sodium.h>

#include "crypto/crypto.h"

static_assert(crypto_sign_SEEDBYTES == 32, "Ed25519 seed");
static_assert(crypto_sign_PUBLICKEYBYTES == 32, "Ed25519 public key");
static_assert(crypto_sign_SECRETKEYBYTES == 64, "Ed25519 secret key");
static_assert(crypto_sign_BYTES == QS_SIG_LEN, "Ed25519 signature");

void
qs_sign_generate(struct qs_sign_key *key)
{
	qs_random(key->seed, sizeof(key->seed));
	qs_sign_from_seed(key, key->seed);
}

void
qs_sign_from_seed(struct qs_sign_key *key, const uint8_t seed[static 32])
{
	if (seed != key->seed)
		memcpy(key->seed, seed, sizeof(key->seed));
	/* Can't fail; going on if it did would sign with a wrong key. */
	if (crypto_sign_seed_keypair(key->pk, key->sk, key->seed) != 0)
		sodium_misuse();
}

void
qs_sign(const struct qs_sign_key *key, struct qs_span msg,
	uint8_t sig[static QS_SIG_LEN])
{
	if (crypto_sign_detached(sig, NULL, msg.data, msg.len, key->sk) != 0)
		sodium_misuse();
}

bool
qs_sign_verify(const uint8_t pk[static 32], struct qs_span msg,
	const uint8_t sig[static QS_SIG_LEN])
{
	return crypto_sign_verify_detached(sig, msg.data, msg.len, pk) == 0;
}
