/* SPDX-License-Identifier: ISC */
/*
 * The opened secret in the kernel's keyring: it is never on disk, only this
 * user can read it, and it expires by itself.  By raw system calls, since the
 * C library has none for it.
 */
#include <errno.h>
#include <linux/keyctl.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "snapshot/folder_internal.h"

#define RING_VERSION 1
#define RING_LEN (1 + sizeof(struct qs_slot_secret))
#define RING_NAME (sizeof("qstore:") + (size_t)2 * QS_FOLDER_ID_LEN)
/* Possessor: everything; user: view, read, write, search, link. */
#define RING_PERM 0x3f1f0000u

_Static_assert(sizeof(struct qs_slot_secret) == 128, "four keys, no padding");

static const long rings[] = {KEY_SPEC_USER_KEYRING, KEY_SPEC_SESSION_KEYRING};

#define RINGS (sizeof(rings) / sizeof(rings[0]))

static void
ring_name(const uint8_t folder_id[static QS_FOLDER_ID_LEN],
	char out[static RING_NAME])
{
	memcpy(out, "qstore:", 7);
	qs_hex(out + 7, folder_id, QS_FOLDER_ID_LEN);
}

static enum qs_code
fail_ring(struct qs_err *err, const char *what)
{
	int sys = errno;

	if (sys == ENOSYS)
		return qs_fail(err, QS_EUNSUPPORTED, "%s: this system has no "
			"kernel keyring", what);
	if (sys == EPERM || sys == EACCES)
		return qs_fail(err, QS_EUNSUPPORTED, "%s: the kernel keyring "
			"may not be used here (a container's policy?)", what);
	if (sys == EDQUOT)
		return qs_fail(err, QS_ENOSPC, "%s: this user's quota of "
			"kernel keys is used up", what);
	errno = sys;
	return qs_fail_errno(err, "%s", what);
}

static bool
is_absent(int sys)
{
	return sys == ENOKEY || sys == EKEYEXPIRED || sys == EKEYREVOKED;
}

/* The key's number, or -1 with errno. */
static long
find_key(long ring, const char *name)
{
	return syscall(SYS_keyctl, (long)KEYCTL_SEARCH, ring, "user", name,
		0L);
}

/*
 * In one ring: the key is unlinked again when it can't be made to expire,
 * since a secret that stays for ever was not asked for.
 */
static bool
put_in(long ring, const char *name, const uint8_t *payload,
	unsigned timeout_s)
{
	long key = syscall(SYS_add_key, "user", name, payload, RING_LEN, ring);
	int sys;

	if (key < 0)
		return false;
	if (syscall(SYS_keyctl, (long)KEYCTL_SET_TIMEOUT, key,
		(long)timeout_s) == 0 && syscall(SYS_keyctl,
		(long)KEYCTL_SETPERM, key, (long)RING_PERM) == 0)
		return true;
	sys = errno;
	(void)syscall(SYS_keyctl, (long)KEYCTL_UNLINK, key, ring);
	errno = sys;
	return false;
}

enum qs_code
qs_keyring_put(const uint8_t folder_id[static QS_FOLDER_ID_LEN],
	const struct qs_slot_secret *secret, unsigned timeout_s,
	struct qs_err *err)
{
	char name[RING_NAME];
	uint8_t *payload;
	bool done = false;
	enum qs_code rc = QS_OK;

	if (timeout_s == 0)
		return qs_fail(err, QS_EINVAL, "keep the key in the kernel's "
			"keyring: for at least one second");
	payload = qs_secret_alloc(RING_LEN);
	if (payload == NULL)
		return qs_fail_nomem(err, "unlocking the folder");
	payload[0] = RING_VERSION;
	memcpy(payload + 1, secret, sizeof(*secret));
	ring_name(folder_id, name);
	for (size_t i = 0; !done && i < RINGS; i++)
		done = put_in(rings[i], name, payload, timeout_s);
	if (!done)
		rc = fail_ring(err, "keep the key in the kernel's keyring");
	qs_secret_free(payload);
	return rc;
}

/* Whoever may write to the keyring may have put something else there. */
static enum qs_code
check_secret(const uint8_t folder_id[static QS_FOLDER_ID_LEN],
	const struct qs_slot_secret *secret, struct qs_err *err)
{
	uint8_t commit[32], id[QS_FOLDER_ID_LEN];

	qs_fmk_commit(secret->fmk, commit);
	qs_folder_id(secret->adm_pk, commit, id);
	if (qs_equal(id, folder_id, sizeof(id)))
		return QS_OK;
	return qs_fail(err, QS_ECORRUPT, "the key in the kernel's keyring is "
		"not this folder's; remove it (qstore lock)");
}

static enum qs_code
read_key(long key, const uint8_t folder_id[static QS_FOLDER_ID_LEN],
	struct qs_slot_secret *out, struct qs_err *err)
{
	struct qs_slot_secret *secret = NULL;
	uint8_t *payload = qs_secret_alloc(RING_LEN);
	long got;
	enum qs_code rc = QS_OK;

	if (payload == NULL)
		return qs_fail_nomem(err, "reading the kernel's keyring");
	got = syscall(SYS_keyctl, (long)KEYCTL_READ, key, payload, RING_LEN);
	if (got < 0 && is_absent(errno)) /* it expired just now */
		rc = qs_fail(err, QS_ENOTFOUND,
			"the folder is not unlocked");
	else if (got < 0)
		rc = fail_ring(err, "read the key in the kernel's keyring");
	else if (got != (long)RING_LEN || payload[0] != RING_VERSION)
		rc = qs_fail(err, QS_ECORRUPT, "the key in the kernel's "
			"keyring is not of this version of qstore; remove it "
			"(qstore lock)");
	if (rc != QS_OK)
		goto out;
	secret = qs_secret_alloc(sizeof(*secret));
	if (secret == NULL) {
		rc = qs_fail_nomem(err, "reading the kernel's keyring");
		goto out;
	}
	memcpy(secret, payload + 1, sizeof(*secret));
	rc = check_secret(folder_id, secret, err);
	if (rc == QS_OK)
		*out = *secret;
out:
	qs_secret_free(secret);
	qs_secret_free(payload);
	return rc;
}

enum qs_code
qs_keyring_get(const uint8_t folder_id[static QS_FOLDER_ID_LEN],
	struct qs_slot_secret *out, struct qs_err *err)
{
	char name[RING_NAME];

	ring_name(folder_id, name);
	for (size_t i = 0; i < RINGS; i++) {
		long key = find_key(rings[i], name);

		if (key >= 0)
			return read_key(key, folder_id, out, err);
		/* Where there is no keyring nothing can be in it. */
	}
	return qs_fail(err, QS_ENOTFOUND, "the folder is not unlocked");
}

enum qs_code
qs_keyring_drop(const uint8_t folder_id[static QS_FOLDER_ID_LEN],
	struct qs_err *err)
{
	char name[RING_NAME];

	ring_name(folder_id, name);
	for (size_t i = 0; i < RINGS; i++) {
		long key = find_key(rings[i], name);

		if (key < 0)
			continue;
		/* Revoked first: other links to it are dead as well. */
		if (syscall(SYS_keyctl, (long)KEYCTL_REVOKE, key) != 0)
			return fail_ring(err,
				"remove the key from the kernel's keyring");
		(void)syscall(SYS_keyctl, (long)KEYCTL_UNLINK, key, rings[i]);
	}
	return QS_OK;
}
