/* SPDX-License-Identifier: ISC */
/*
 * Key slots, what the files slot*.c share, and the entry with given randomness
 * that the test vectors need.
 */
#ifndef QS_SLOT_INTERNAL_H
#define QS_SLOT_INTERNAL_H

#include "crypto/crypto.h"

#define QS_SLOT_MAGIC "QSTOREK1"
#define QS_SLOT_VERSION 1
#define QS_SLOT_KIND_FOLDER 1

/* Offsets in a slot */
#define QS_SLOT_AT_VERSION 8
#define QS_SLOT_AT_KIND 9
#define QS_SLOT_AT_FACTOR_COUNT 10
#define QS_SLOT_AT_FLAGS 11
#define QS_SLOT_AT_EPOCH 12
#define QS_SLOT_AT_FOLDER_ID 16
#define QS_SLOT_AT_SALT 32
#define QS_SLOT_AT_FACTORS 64
#define QS_SLOT_AT_LABEL 1344
#define QS_SLOT_AT_COMMIT 1376
#define QS_SLOT_AT_SEALED 1408
#define QS_SLOT_AT_ZEROS 1904

#define QS_SLOT_SALT_LEN 32
#define QS_SLOT_COMMIT_LEN 32
#define QS_SLOT_PLAIN_LEN 480

/* One factor: type u8, flags u8, len u16, data */
#define QS_SLOT_FACTOR_LEN 320
#define QS_SLOT_FACTOR_AT_DATA 4

/* Data of a passphrase: ops u32, mem u64, salt */
#define QS_SLOT_PASS_LEN 28
#define QS_SLOT_PASS_AT_MEM 4
#define QS_SLOT_PASS_AT_SALT 12
#define QS_SLOT_PASS_SALT_LEN 16

/* The sealed part */
#define QS_SLOT_PLAIN_AT_FMK 0
#define QS_SLOT_PLAIN_AT_ADM_PK 32
#define QS_SLOT_PLAIN_AT_ADM_SEED 64
#define QS_SLOT_PLAIN_AT_DS 96
#define QS_SLOT_PLAIN_AT_ZEROS 128

/* A factor's output, and what it feeds to the hash that gives the slot's key:
 * type u8, length u16, output. */
#define QS_SLOT_OUTPUT_LEN 32
#define QS_SLOT_FED_LEN (3 + QS_SLOT_OUTPUT_LEN)

struct qs_slot_work { /* all that is secret on the way; in locked memory */
	uint8_t fed[QS_SLOT_FACTORS_MAX * QS_SLOT_FED_LEN];
	uint8_t okm[QS_KEY_LEN + QS_SLOT_COMMIT_LEN]; /* key, commit */
	uint8_t plain[QS_SLOT_PLAIN_LEN];
	struct qs_slot_secret secret;
	struct qs_sign_key admin;
};

struct qs_slot_random {
	uint8_t salt[QS_SLOT_SALT_LEN];
	uint8_t pass_salt[QS_SLOT_PASS_SALT_LEN];
};

struct qs_slot_input { /* qs_slot_create's arguments */
	uint32_t epoch;
	const uint8_t *folder_id;
	const char *label;
	const struct qs_factor *factors;
	size_t count;
	const struct qs_slot_secret *secret;
};

/* qs_slot_create with given salts; for tests: a salt is used once. */
QS_MUST_CHECK enum qs_code qs_slot_create_fixed(
	const struct qs_slot_input *input, const struct qs_slot_random *random,
	uint8_t out[static QS_SLOT_LEN], struct qs_err *err);

/* Valid UTF-8 without control characters (C0, DEL, C1). */
bool qs_slot_label_is_plain(const uint8_t *label, size_t len);

/* "passphrase", "recovery code", "key file" */
const char *qs_factor_word(enum qs_factor_type type);

bool qs_argon_is_allowed(const struct qs_argon *argon);

/* code is QS_EINVAL for a new slot, QS_EAUTH for one to open. */
QS_MUST_CHECK enum qs_code qs_factor_check(const struct qs_factor *factor,
	enum qs_code code, struct qs_err *err);
/*
 * The factor of that type, or NULL: the user may give factors in any order,
 * the slot's order counts.
 */
const struct qs_factor *qs_factor_find(const struct qs_factor *factors,
	size_t count, unsigned type);

/*
 * work->okm from the slot's bytes before the commit and from all factors
 * (which are checked and have the slot's types): whoever lacks one has
 * nothing, and no byte of the header can be changed.
 */
QS_MUST_CHECK enum qs_code qs_slot_derive(const uint8_t *slot,
	const struct qs_factor *factors, size_t count,
	struct qs_slot_work *work, struct qs_err *err);

/*
 * NULL if the secrets belong together and to the folder, else what is wrong.
 * For a later epoch the folder id says nothing about this fmk: there the log
 * has to (FORMAT.md).
 */
const char *qs_slot_contradiction(uint32_t epoch, const uint8_t *folder_id,
	const struct qs_slot_secret *secret, struct qs_sign_key *admin);

static inline const uint8_t *
qs_slot_factor(const uint8_t *slot, size_t index)
{
	return slot + QS_SLOT_AT_FACTORS + index * QS_SLOT_FACTOR_LEN;
}

#endif
