/* SPDX-License-Identifier: ISC */
/* Locked memory, randomness, constant-time comparison, process hardening. */
#include <sodium.h>
#include <stdlib.h>
#include <sys/resource.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif

#include "crypto/crypto.h"

/* What a folder's keys, a few contexts and a passphrase take at once. */
#define LOCKED_PROBE ((size_t)256 << 10)

enum qs_code
qs_crypto_init(struct qs_err *err)
{
	if (sodium_init() < 0)
		return qs_fail(err, QS_EIO,
			"libsodium: no source of randomness on this system");
	return QS_OK;
}

void *
qs_secret_alloc(size_t len)
{
	void *secret = sodium_malloc(len);

	if (secret != NULL)
		memset(secret, 0, len); /* libsodium fills with 0xdb */
	return secret;
}

void
qs_secret_free(void *secret)
{
	sodium_free(secret);
}

void
qs_wipe(void *data, size_t len)
{
	sodium_memzero(data, len);
}

void
qs_crypto_harden(bool *locked)
{
	const struct rlimit none = {0, 0};
	struct rlimit limit;
	void *probe;

	/*
	 * A refusal leaves us where we were; there is nothing to do about it
	 * and no reason not to go on.
	 */
	(void)setrlimit(RLIMIT_CORE, &none);
#ifdef __linux__
	(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
#endif
	if (getrlimit(RLIMIT_MEMLOCK, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_MEMLOCK, &limit);
	}
	probe = malloc(LOCKED_PROBE);
	*locked = probe != NULL && sodium_mlock(probe, LOCKED_PROBE) == 0;
	if (*locked)
		(void)sodium_munlock(probe, LOCKED_PROBE);
	free(probe);
}

bool
qs_equal(const void *a, const void *b, size_t len)
{
	return sodium_memcmp(a, b, len) == 0;
}

void
qs_random(void *out, size_t len)
{
	randombytes_buf(out, len);
}

uint32_t
qs_random_below(uint32_t bound)
{
	return randombytes_uniform(bound);
}
