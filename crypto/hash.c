/* SPDX-License-Identifier: ISC */
/* BLAKE2b of one message: libsodium's, with the tags of docs/FORMAT.md. */
#include <assert.h>
#include <sodium.h>

#include "crypto/hash_internal.h"

#define PERSONAL_LEN crypto_generichash_blake2b_PERSONALBYTES

static_assert(PERSONAL_LEN == 16, "BLAKE2b's personalisation");

void
qs_b2_personal(uint8_t personal[static 16], const char *tag)
{
	static const uint8_t prefix[8] = {
		'q', 's', 't', 'o', 'r', 'e', '1', ':',
	};
	const size_t len = strlen(tag);

	assert(len > 0 && sizeof(prefix) + len <= PERSONAL_LEN);
	memset(personal, 0, PERSONAL_LEN);
	memcpy(personal, prefix, sizeof(prefix));
	/* zero-padded, not NUL-terminated */
	memcpy(personal + sizeof(prefix), tag, len); /* NOLINT */
}

/*
 * libsodium refuses nothing but lengths out of range, which is a mistake in
 * the program: going on would hand out a digest that was never computed.
 */
static void
insist(int rc)
{
	if (rc != 0)
		sodium_misuse();
}

void
qs_b2b(uint8_t *out, size_t out_len, const uint8_t *key, const char *tag,
	const void *msg, size_t msg_len)
{
	uint8_t personal[PERSONAL_LEN];

	qs_b2_personal(personal, tag);
	insist(crypto_generichash_blake2b_salt_personal(out, out_len,
		(const unsigned char *)msg, msg_len, key,
		key != NULL ? QS_KEY_LEN : 0, NULL, personal));
}

void
qs_b2b_parts(uint8_t *out, size_t out_len, const uint8_t *key,
	const char *tag, const struct qs_span *parts, size_t count)
{
	crypto_generichash_blake2b_state state;
	uint8_t personal[PERSONAL_LEN];

	qs_b2_personal(personal, tag);
	insist(crypto_generichash_blake2b_init_salt_personal(&state, key,
		key != NULL ? QS_KEY_LEN : 0, out_len, NULL, personal));
	for (size_t i = 0; i < count; i++)
		insist(crypto_generichash_blake2b_update(&state,
			parts[i].data, parts[i].len));
	insist(crypto_generichash_blake2b_final(&state, out, out_len));
	qs_wipe(&state, sizeof(state)); /* key and parts may be secret */
}

void
qs_hash_name(struct qs_span bytes, struct qs_name *out)
{
	qs_hash_plain(out->b, sizeof(out->b), bytes);
}

void
qs_hash_plain(uint8_t *out, size_t out_len, struct qs_span bytes)
{
	insist(crypto_generichash_blake2b(out, out_len, bytes.data, bytes.len,
		NULL, 0));
}
