/* SPDX-License-Identifier: ISC */
/*
 * crypto: locked keys, hashes (several messages at once), authenticated
 * encryption, signatures, key slots.  The only folder that knows libsodium
 * (and, for speed, libcrypto's ChaCha20-Poly1305).  Notation and tags are
 * those of docs/FORMAT.md: one tag, one use.
 *
 * Threads: functions are pure and may be called from any thread; a struct
 * says "one thread at a time" or "thread-safe".
 */
#ifndef QS_CRYPTO_H
#define QS_CRYPTO_H

#include "base/base.h"

#define QS_KEY_LEN 32
#define QS_TAG_LEN 16 /* what sealing adds to a message */
#define QS_SIG_LEN 64
#define QS_FOLDER_ID_LEN 16

/* To be called once before threads start; QS_EIO without randomness. */
QS_MUST_CHECK enum qs_code qs_crypto_init(struct qs_err *err);

/* ------------------------------------------------------ locked memory */

/*
 * Secret bytes in guarded memory that is locked into RAM, kept out of core
 * dumps and wiped when freed.  NULL when there is none.
 */
void *qs_secret_alloc(size_t len); /* zero-filled */
void qs_secret_free(void *secret); /* NULL is fine */
void qs_wipe(void *data, size_t len);
/*
 * No core dumps, no ptrace by others; *locked is false when the limit on
 * locked memory (ulimit -l) is too small to promise that keys stay out of
 * swap, which is worth a warning but no failure.
 */
void qs_crypto_harden(bool *locked);

bool qs_equal(const void *a, const void *b, size_t len); /* constant time */
void qs_random(void *out, size_t len);
uint32_t qs_random_below(uint32_t bound);

/* ------------------------------------------------------------- hashes */

/*
 * B2b(n, key, tag, msg): BLAKE2b, out_len 1..64 bytes, key of 32 bytes or
 * NULL, personalisation "qstore1:" tag.  tag is at most 8 characters.
 */
void qs_b2b(uint8_t *out, size_t out_len, const uint8_t *key, const char *tag,
	const void *msg, size_t msg_len);
/* The same over several pieces, as if they were one. */
void qs_b2b_parts(uint8_t *out, size_t out_len, const uint8_t *key,
	const char *tag, const struct qs_span *parts, size_t count);
/* NAME(x) = BLAKE2b-256 of the bytes, = `b2sum -l 256`. */
void qs_hash_name(struct qs_span bytes, struct qs_name *out);
/* Plain unkeyed BLAKE2b of out_len bytes (no personalisation). */
void qs_hash_plain(uint8_t *out, size_t out_len, struct qs_span bytes);

/*
 * Many messages at once: as many lanes as the processor has (8 with AVX-512,
 * 4 with AVX2, else one after the other with libsodium).  Every digest is
 * BLAKE2b-256 with the given key and tag (both NULL: plain).  Any number of
 * messages of any lengths; lanes are refilled as messages end.
 */
struct qs_hash_job {
	const uint8_t *data;
	size_t len;
	uint8_t out[32];
};

void qs_hash_many(const uint8_t *key, const char *tag,
	struct qs_hash_job *jobs, size_t count);

/*
 * Names of up to QS_LANES_MAX objects hashed side by side in slices, for
 * bytes that are read back piece by piece.  One thread at a time.
 */
#define QS_LANES_MAX 8

struct qs_lanes;

QS_MUST_CHECK enum qs_code qs_lanes_new(struct qs_lanes **out,
	struct qs_err *err);
void qs_lanes_free(struct qs_lanes *lanes);
void qs_lanes_reset(struct qs_lanes *lanes, size_t count);
/*
 * The next slice of each message, slices[0..count).  A slice's length is a
 * multiple of 128, except that a message's last slice may be of any length
 * (all later ones of it are empty).
 */
void qs_lanes_update(struct qs_lanes *lanes, const struct qs_span *slices);
void qs_lanes_final(struct qs_lanes *lanes, struct qs_name *names);

/* Which implementation runs: "scalar", "avx2", "avx512". */
const char *qs_hash_kernel(void);

/* --------------------------------------------- authenticated encryption */

/*
 * ChaCha20-Poly1305-IETF under a key that is used for one object only, nonce
 * = LE32(counter) and 8 zero bytes.  One thread at a time.
 */
struct qs_aead;

enum qs_aead_kind {
	QS_AEAD_BEST,   /* the faster of what is there */
	QS_AEAD_SODIUM,
	QS_AEAD_OPENSSL /* QS_EUNSUPPORTED where built without libcrypto */
};

QS_MUST_CHECK enum qs_code qs_aead_new(enum qs_aead_kind kind,
	struct qs_aead **out, struct qs_err *err);
void qs_aead_free(struct qs_aead *aead); /* wipes the key */
QS_MUST_CHECK enum qs_code qs_aead_set_key(struct qs_aead *aead,
	const uint8_t key[static QS_KEY_LEN], struct qs_err *err);
/*
 * Seal len bytes from msg into out (len + QS_TAG_LEN bytes); out may be msg.
 */
QS_MUST_CHECK enum qs_code qs_aead_seal(struct qs_aead *aead,
	uint32_t counter, struct qs_span aad, const uint8_t *msg, size_t len,
	uint8_t *out, struct qs_err *err);
/*
 * Open sealed (its length includes the tag) into out, sealed.len - QS_TAG_LEN
 * bytes; out may be sealed.data.  QS_ECORRUPT when it does not verify: then
 * out holds nothing of the message.
 */
QS_MUST_CHECK enum qs_code qs_aead_open(struct qs_aead *aead,
	uint32_t counter, struct qs_span aad, struct qs_span sealed,
	uint8_t *out, struct qs_err *err);
const char *qs_aead_name(const struct qs_aead *aead); /* "openssl" ... */

/* --------------------------------------------------------- signatures */

struct qs_sign_key { /* Ed25519; lives inside locked memory */
	uint8_t seed[32], pk[32], sk[64];
};

void qs_sign_generate(struct qs_sign_key *key);
void qs_sign_from_seed(struct qs_sign_key *key, const uint8_t seed[static 32]);
void qs_sign(const struct qs_sign_key *key, struct qs_span msg,
	uint8_t sig[static QS_SIG_LEN]);
bool qs_sign_verify(const uint8_t pk[static 32], struct qs_span msg,
	const uint8_t sig[static QS_SIG_LEN]);

/* ---------------------------------------------------------- key slots */

/*
 * A key slot: QS_SLOT_LEN bytes that give the folder's secrets to whoever has
 * all its factors.  Layout: docs/FORMAT.md, "Key slot".
 */
#define QS_SLOT_LEN 2048
#define QS_SLOT_LABEL_LEN 32
#define QS_SLOT_FACTORS_MAX 4
#define QS_PASSPHRASE_MAX 1024

enum qs_factor_type {
	QS_FACTOR_PASSPHRASE = 1,
	QS_FACTOR_RECOVERY = 4,
	QS_FACTOR_KEYFILE = 5,
};

/* Argon2id's cost; what a slot asks for is checked against both bounds. */
struct qs_argon {
	uint32_t ops;
	uint64_t mem_bytes;
};

extern const struct qs_argon QS_ARGON_DEFAULT; /* 4 passes, 256 MiB */
extern const struct qs_argon QS_ARGON_MIN;     /* 2 passes, 64 MiB */
extern const struct qs_argon QS_ARGON_MAX;     /* 64 passes, 4 GiB */

/*
 * What the user gives for one factor: the passphrase's bytes, the 32 bytes of
 * a recovery code (qs_recovery_decode), or BLAKE2b-256 of a key file.  A slot
 * has at most one factor of a type; their order does not matter when opening.
 */
struct qs_factor {
	enum qs_factor_type type;
	struct qs_span secret;
	struct qs_argon argon; /* passphrase, when creating */
};

/* What a slot protects. Lives in locked memory. */
struct qs_slot_secret {
	uint8_t fmk[32];      /* folder master key of epoch */
	uint8_t adm_pk[32];   /* public admin key */
	uint8_t adm_seed[32]; /* admin key's seed; all zero: not in this slot */
	uint8_t ds[32];       /* dedup secret */
};

/* What can be read of a slot without any secret. */
struct qs_slot_info {
	uint32_t epoch;
	uint8_t folder_id[QS_FOLDER_ID_LEN];
	char label[QS_SLOT_LABEL_LEN + 1];
	size_t factor_count;
	enum qs_factor_type factors[QS_SLOT_FACTORS_MAX];
	struct qs_argon argon; /* of its passphrase factor, if any */
};

QS_MUST_CHECK enum qs_code qs_slot_create(uint32_t epoch,
	const uint8_t folder_id[static QS_FOLDER_ID_LEN], const char *label,
	const struct qs_factor *factors, size_t count,
	const struct qs_slot_secret *secret, uint8_t out[static QS_SLOT_LEN],
	struct qs_err *err);
/* QS_ECORRUPT, or QS_EUNSUPPORTED for a newer version; bounds are checked. */
QS_MUST_CHECK enum qs_code qs_slot_parse(struct qs_span bytes,
	struct qs_slot_info *out, struct qs_err *err);
/*
 * QS_EAUTH when the factors are not this slot's (also when their types
 * differ).  Checks that the folder id follows from the secrets of epoch 0; for
 * a later epoch the caller checks the fmk and adm_pk against the log's GENESIS
 * and EPOCH records, whoever wrote this slot.  QS_ENOMEM says how many MiB the
 * passphrase needs.
 */
QS_MUST_CHECK enum qs_code qs_slot_open(struct qs_span bytes,
	const struct qs_factor *factors, size_t count,
	struct qs_slot_secret *out, struct qs_err *err);

/* folder_id = B2b(16, -, "folder", adm_pk || B2b(32, FMK_0, "commit", "")) */
void qs_folder_id(const uint8_t adm_pk[static 32],
	const uint8_t fmk0_commit[static 32],
	uint8_t out[static QS_FOLDER_ID_LEN]);
void qs_fmk_commit(const uint8_t fmk[static 32], uint8_t out[static 32]);

/*
 * A recovery code: 32 random bytes as 52 base-32 digits (Crockford's
 * alphabet; 256 bits and 4 zero bits) and 4 check digits (the first 20 bits of
 * B2b(3, -, "recov", the 32 bytes)), in 8 groups of 7 joined by dashes.
 */
#define QS_RECOVERY_TEXT_LEN 63 /* without the final NUL */

void qs_recovery_encode(const uint8_t secret[static 32],
	char text[static QS_RECOVERY_TEXT_LEN + 1]);
/*
 * Accepts lower case, spaces, line ends, dashes, and O I L for 0 1 1.
 * QS_EINVAL says how many digits were found if they are not 56, names the
 * group that has a character outside the alphabet, else says that the code as
 * a whole does not check out (the check digits can't tell where).
 */
QS_MUST_CHECK enum qs_code qs_recovery_decode(const char *text,
	uint8_t secret[static 32], struct qs_err *err);
/*
 * A passphrase a person can type, of `words` words (at least 5) from a built-in
 * list of 256 short words (8 bits each), joined by dashes.  cap is at least
 * QS_PASSPHRASE_TEXT_CAP(words), else out is the empty string.
 */
#define QS_PASSPHRASE_WORDS 8
#define QS_PASSPHRASE_TEXT_CAP(words) ((size_t)(words) * 7) /* with the NUL */
void qs_passphrase_generate(char *out, size_t cap, unsigned words);

#endif
