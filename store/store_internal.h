/* SPDX-License-Identifier: ISC */
/*
 * What store's own files share: layout constants, the inside of struct
 * qs_keys, and the entries that only tests and fuzzers may call.
 */
#ifndef QS_STORE_INTERNAL_H
#define QS_STORE_INTERNAL_H

#include "store/store.h"

/* ----------------------------------------------------------- messages */

struct qs_short { /* the first 16 hex digits of a name */
	char hex[17];
};

struct qs_short qs_short_name(const struct qs_name *name);
struct qs_short qs_short_device(const uint8_t device[static QS_DEVICE_LEN]);
/* "key slot", "log record", "object" */
const char *qs_area_word(enum qs_area area);

/* --------------------------------------------------------------- keys */

/* Lives in one block of qs_secret_alloc. */
struct qs_keys {
	uint8_t folder_id[QS_FOLDER_ID_LEN];
	uint32_t epoch; /* of fmk; always 0 in this version */
	bool has_admin;
	uint8_t fmk[32], ds[32], adm_pk[32];
	struct qs_sign_key admin;
	uint8_t pack[32], log[32]; /* K_pack, K_log */
	uint8_t id[256][32];       /* K_id(domain) */
};

/* --------------------------------------------------------------- pack */

#define PACK_MAGIC "QSTOREP1"
#define PACK_VERSION 1
#define PACK_SUITE 1     /* the folder's key */
#define PACK_KEYED 64    /* header bytes that the pack's key comes from */
#define PACK_HEADER 96   /* those and the commitment */
#define PACK_SUPER 48    /* plaintext of the superblock */
#define PACK_OKM 64      /* key and commitment */
#define FRAME_ENTRY 16
#define CHUNK_ENTRY 48
#define ZSTD_WINDOW_LOG_MAX 23

_Static_assert(PACK_HEADER + PACK_SUPER + QS_TAG_LEN == QS_PACK_HEAD,
	"a pack's head is its header and its sealed superblock");

/*
 * What anybody can say of the first PACK_KEYED bytes of a pack: magic, version,
 * suite, folder.
 */
QS_MUST_CHECK enum qs_code qs_pack_header_check(
	const uint8_t header[static PACK_KEYED],
	const uint8_t folder_id[static QS_FOLDER_ID_LEN], struct qs_err *err);
bool qs_pack_is_size(uint64_t size); /* a size class */

/* header[0..64) of a pack with this salt. */
void qs_pack_header(const struct qs_keys *keys, const uint8_t salt[static 32],
	uint8_t out[static PACK_KEYED]);
/* okm = B2b(64, K_pack, "packkey", header[0..64)) = key, commitment */
void qs_pack_okm(const struct qs_keys *keys,
	const uint8_t header[static PACK_KEYED], uint8_t okm[static PACK_OKM]);

/* The randomness of a sealed pack, made explicit for test vectors. */
struct qs_pack_seed {
	uint8_t random[32];
	uint32_t jitter; /* 0..32767, of a tail */
};

QS_MUST_CHECK enum qs_code qs_pack_builder_seal_seeded(
	struct qs_pack_builder *builder, bool is_tail,
	const struct qs_pack_seed *seed, struct qs_span *object,
	struct qs_err *err);

/* A frame entry that ends at or before limit. */
bool qs_frame_entry_within(const struct qs_frame_entry *entry, size_t limit);

/*
 * What comes after decryption: payload to plaintext, entry->plain_len bytes.
 * The entry has been checked.  For qs_frame_open and for the fuzzer.
 */
struct qs_unpacker;

QS_MUST_CHECK enum qs_code qs_unpacker_new(struct qs_unpacker **out,
	struct qs_err *err);
void qs_unpacker_free(struct qs_unpacker *unpacker);
QS_MUST_CHECK enum qs_code qs_frame_unpack(struct qs_unpacker *unpacker,
	const struct qs_frame_entry *entry, struct qs_span payload,
	uint8_t *out, struct qs_err *err);

/* --------------------------------------------------------- log record */

#define RECORD_MAGIC "QSTOREL1"
#define RECORD_VERSION 1
#define RECORD_SUITE_NONE 0
#define RECORD_SUITE_KEY 1
#define RECORD_FIELDS 128 /* the fields before the salt */
#define RECORD_KEYED 160  /* record bytes that the payload's key comes from */
#define RECORD_BODY 192   /* where the public body begins */
#define RECORD_SIGN_LEN 83
#define RETIRE_HEADS 8 /* where the heads begin in a RETIRE's body */

/* "qstore1 log record" 00 || BLAKE2b-512(record[0..total-64)) */
void qs_record_sign_message(struct qs_span bytes,
	uint8_t out[static RECORD_SIGN_LEN]);
/* Everything that qs_record_parse checks but the signature. */
QS_MUST_CHECK enum qs_code qs_record_parse_unsigned(struct qs_span bytes,
	struct qs_record *out, struct qs_err *err);
QS_MUST_CHECK enum qs_code qs_record_verify(const struct qs_record *record,
	struct qs_err *err);
/* The fixed-randomness entry for test vectors. */
QS_MUST_CHECK enum qs_code qs_record_encode_seeded(const struct qs_keys *keys,
	const struct qs_sign_key *signer, const struct qs_record *draft,
	struct qs_span payload, const uint8_t random[static 32],
	struct qs_buf *out, struct qs_err *err);

/* ---------------------------------------------------- log, listed whole */

/* Enough for a snapshot a minute for four years; 112 MiB of memory. */
#define QS_LOG_MAX (1u << 21)

struct qs_log_entry { /* a record's file, as listed */
	uint8_t device[QS_DEVICE_LEN];
	uint64_t seq;
	struct qs_name name;
	uint32_t size;   /* UINT32_MAX: that or more */
	bool is_trusted; /* by the hash chain that ends in a mark */
};

struct qs_log_list { /* owned; sorted by device, seq, name */
	struct qs_log_entry *entries;
	size_t count, cap;
};

QS_MUST_CHECK enum qs_code qs_log_list_load(struct qs_store *store,
	struct qs_log_list *out, struct qs_err *err);
void qs_log_list_clear(struct qs_log_list *list);
/* A qs_list_fn that adds to a struct qs_log_list; to be sorted after it. */
enum qs_code qs_log_list_add(void *list, const struct qs_ref *ref,
	struct qs_err *err);
void qs_log_list_sort(struct qs_log_list *list);
/* The first entry that is not before (device, seq, name). */
size_t qs_log_list_find(const struct qs_log_list *list,
	const uint8_t device[static QS_DEVICE_LEN], uint64_t seq,
	const struct qs_name *name);
/* Is entries[at] there and exactly this one? */
bool qs_log_list_is(const struct qs_log_list *list, size_t at,
	const uint8_t device[static QS_DEVICE_LEN], uint64_t seq,
	const struct qs_name *name);
/*
 * Load entry's record into bytes and check it: size, name, structure, that it
 * is what its file name says, folder; and its signature unless is_trusted.
 */
QS_MUST_CHECK enum qs_code qs_log_load(struct qs_store *store,
	const struct qs_log_entry *entry, struct qs_buf *bytes,
	struct qs_record *out, struct qs_err *err);
/* One record's misfortune, as opposed to the store's. */
bool qs_log_is_local(enum qs_code code);

/* ------------------------------------------------- log, who may write */

struct qs_log_right { /* what the admin's records say of one device key */
	uint8_t pk[32];
	uint32_t rights, kept_rights; /* by CERT; left by REVOKE */
	uint64_t last_seq, last_kept; /* by CERT; left by REVOKE */
};

struct qs_log_rights { /* owned */
	struct qs_log_right *items;
	size_t count, cap;
	uint8_t adm_pk[32];
	uint8_t folder_id[QS_FOLDER_ID_LEN];
};

void qs_log_rights_clear(struct qs_log_rights *rights);
/* May record's signer write it?  QS_ECORRUPT says why not. */
QS_MUST_CHECK enum qs_code qs_log_rights_check(
	const struct qs_log_rights *rights, const struct qs_record *record,
	struct qs_err *err);
/* Take in a CERT or REVOKE (other types are ignored). */
QS_MUST_CHECK enum qs_code qs_log_rights_learn(struct qs_log_rights *rights,
	const struct qs_record *record, struct qs_err *err);

/*
 * The admin's public key from the GENESIS that the folder's id is the hash of;
 * bytes is scratch.  QS_ECORRUPT when there is none.
 */
QS_MUST_CHECK enum qs_code qs_log_find_admin(struct qs_store *store,
	const struct qs_log_list *list, struct qs_buf *bytes,
	uint8_t adm_pk[static 32], struct qs_err *err);

/* QS_EROLLBACK in words; head: the newest good record, NULL for none. */
enum qs_code qs_log_rollback(const struct qs_mark *mark,
	const struct qs_mark *head, struct qs_err *err);

/* ---------------------------------------------------- directory store */

QS_MUST_CHECK enum qs_code qs_store_dir_folders(const char *path,
	struct qs_folder_list *out, struct qs_err *err);
QS_MUST_CHECK enum qs_code qs_store_dir_open(const char *path,
	const uint8_t folder_id[static QS_FOLDER_ID_LEN],
	struct qs_store **out, struct qs_err *err);
QS_MUST_CHECK enum qs_code qs_store_dir_create(const char *path,
	const uint8_t folder_id[static QS_FOLDER_ID_LEN],
	struct qs_store **out, struct qs_err *err);

/* What a file system lacks; found out as it fails, or forced by tests. */
enum qs_dir_lack {
	QS_DIR_NO_TMPFILE = 1, /* O_TMPFILE */
	QS_DIR_NO_PROC = 2,    /* linkat from /proc/self/fd */
	QS_DIR_NO_LINK = 4,    /* hard links */
};

void qs_store_dir_limit(struct qs_store *store, unsigned lacks);

#endif
