/* SPDX-License-Identifier: ISC */
/*
 * store: the bytes at rest (frames, packs, log records) and the contract of
 * the places that hold them (struct qs_store).  Layouts: docs/FORMAT.md.
 *
 * Objects are immutable and named by the hash of their bytes; nothing is ever
 * overwritten.  What holds no key (reading and checking log records, the
 * directory store) is apart from what does, so that the keyless programs can
 * link the one without the other.
 */
#ifndef QS_STORE_H
#define QS_STORE_H

#include "base/base.h"
#include "crypto/crypto.h"

/* -------------------------------------------------------- folder keys */

/*
 * The keys of one folder, all derived from its slot secret, in locked memory.
 * Immutable, hence thread-safe.
 */
struct qs_keys;

/* A new folder: random keys. */
QS_MUST_CHECK enum qs_code qs_keys_create(struct qs_keys **out,
	struct qs_err *err);
/* From an opened slot (whose caller has checked the folder id). */
QS_MUST_CHECK enum qs_code qs_keys_open(const struct qs_slot_secret *secret,
	const uint8_t folder_id[static QS_FOLDER_ID_LEN],
	struct qs_keys **out, struct qs_err *err);
void qs_keys_free(struct qs_keys *keys);
const uint8_t *qs_keys_folder_id(const struct qs_keys *keys);
/* K_id(domain): the key of chunk ids, 32 bytes. */
const uint8_t *qs_keys_id(const struct qs_keys *keys, uint8_t domain);
const uint8_t *qs_keys_ds(const struct qs_keys *keys);     /* 32 bytes */
const uint8_t *qs_keys_fmk(const struct qs_keys *keys);    /* 32 bytes */
const uint8_t *qs_keys_adm_pk(const struct qs_keys *keys); /* 32 bytes */
/* NULL when the slot did not hold the admin key. */
const struct qs_sign_key *qs_keys_admin(const struct qs_keys *keys);
/* What a new slot of this folder protects; without the admin seed if asked. */
void qs_keys_slot_secret(const struct qs_keys *keys, bool with_admin,
	struct qs_slot_secret *out);

/* ------------------------------------------------------ chunks, frames */

#define QS_CHUNK_MAX (4u << 20)  /* a chunk's and a frame's plaintext */
#define QS_FRAME_OWN (64u << 10) /* a chunk this long has its own frame */
#define QS_FRAME_GATHER (1u << 20) /* shorter ones share up to this */

enum qs_kind { /* what a chunk means; part of its id */
	QS_KIND_DATA = 1,
	QS_KIND_TREE = 2,
	QS_KIND_INDEX = 3,
	QS_KIND_LIST = 4,
};

enum qs_comp { QS_COMP_RAW = 0, QS_COMP_ZSTD = 1 };

struct qs_frame_entry {
	uint32_t off, sealed_len, plain_len;
	uint8_t comp, kind, domain;
};

struct qs_chunk_entry {
	struct qs_id id;
	uint32_t frame, off, len; /* off and len within the frame's plaintext */
};

/* The tag that a kind puts into its chunks' ids: "data", "tree" ... */
const char *qs_kind_tag(enum qs_kind kind);
/* id = B2b(32, K_id(domain), kind tag, plaintext) */
void qs_chunk_id(const struct qs_keys *keys, enum qs_kind kind,
	uint8_t domain, struct qs_span plain, struct qs_id *out);

enum qs_level { /* --compression */
	QS_LEVEL_OFF,
	QS_LEVEL_FASTEST,
	QS_LEVEL_DEFAULT,
	QS_LEVEL_BETTER,
	QS_LEVEL_MAX,
};

/* A reusable zstd compressor; one thread at a time. */
struct qs_compressor;

QS_MUST_CHECK enum qs_code qs_compressor_new(enum qs_level level,
	struct qs_compressor **out, struct qs_err *err);
void qs_compressor_free(struct qs_compressor *compressor);
/*
 * Compress a frame's plaintext into out (room for plain.len bytes is enough:
 * what does not shrink by at least 1/32 is left raw).  *comp is RAW and
 * *out_len 0 when it is to be stored as it is.
 */
QS_MUST_CHECK enum qs_code qs_frame_compress(struct qs_compressor *compressor,
	struct qs_span plain, uint8_t *out, size_t *out_len,
	enum qs_comp *comp, struct qs_err *err);

/* ---------------------------------------------------------- pack, out */

#define QS_PACK_MIN (64u << 10)
#define QS_PACK_MAX (16u << 20)
#define QS_PACK_HEAD 160      /* header and sealed superblock */
#define QS_PACK_CHUNKS 65536u /* most chunks in a pack, and most frames */

/*
 * A pack being filled: one QS_PACK_MAX buffer (allocated once, reused), in
 * which it is also sealed.  One thread at a time.
 */
struct qs_pack_builder;

QS_MUST_CHECK enum qs_code qs_pack_builder_new(const struct qs_keys *keys,
	struct qs_pack_builder **out, struct qs_err *err);
void qs_pack_builder_free(struct qs_pack_builder *builder);
/* Would a frame of this payload length and chunk count still fit? */
bool qs_pack_builder_fits(const struct qs_pack_builder *builder,
	size_t payload_len, size_t chunk_count);
bool qs_pack_builder_is_empty(const struct qs_pack_builder *builder);
/*
 * Append a frame (it must fit).  payload is the compressed or raw plaintext;
 * chunks' .frame is set here, their .off/.len/.id are the caller's.
 */
void qs_pack_builder_add(struct qs_pack_builder *builder, enum qs_kind kind,
	uint8_t domain, enum qs_comp comp, struct qs_span payload,
	uint32_t plain_len, const struct qs_chunk_entry *chunks, size_t count);
/*
 * Seal what was added.  A bulk pack is padded to the next power of two; the
 * tail of a snapshot (is_tail) to its length plus a random jitter, rounded up.
 * *object is borrowed until the builder is reset, which is also all that can
 * be done with it after a failure.
 */
QS_MUST_CHECK enum qs_code qs_pack_builder_seal(
	struct qs_pack_builder *builder, bool is_tail,
	struct qs_span *object, struct qs_err *err);
void qs_pack_builder_reset(struct qs_pack_builder *builder);

/* What it takes to open a pack's frames; kept by the index. */
struct qs_pack_ref {
	struct qs_name name;
	uint32_t size, epoch;
	uint8_t salt[32];
};

struct qs_pack_dir { /* owned arrays */
	struct qs_frame_entry *frames;
	struct qs_chunk_entry *chunks;
	uint32_t frame_count, chunk_count;
};

void qs_pack_dir_clear(struct qs_pack_dir *dir);
/* Of a sealed builder: its salt and size (ref->name is not set) ... */
void qs_pack_builder_ref(const struct qs_pack_builder *builder,
	struct qs_pack_ref *ref);
/* ... and what is in it, borrowed until it is reset. */
void qs_pack_builder_dir(const struct qs_pack_builder *builder,
	struct qs_pack_dir *dir);

/* ----------------------------------------------------------- pack, in */

/* Opens packs and frames: AEAD and zstd contexts.  One thread at a time. */
struct qs_opener;

QS_MUST_CHECK enum qs_code qs_opener_new(const struct qs_keys *keys,
	struct qs_opener **out, struct qs_err *err);
void qs_opener_free(struct qs_opener *opener);

struct qs_pack_head {
	struct qs_pack_ref ref;
	uint32_t dir_off, dir_len, frame_count, chunk_count;
};

/*
 * Check an object's first QS_PACK_HEAD bytes: class size, magic, version,
 * suite, folder, commitment, superblock.  name is used for messages and put
 * into the ref; that the bytes have that name is the caller's business.
 * QS_EUNSUPPORTED, QS_EKEY (other folder or key) or QS_ECORRUPT.
 */
QS_MUST_CHECK enum qs_code qs_pack_open_head(struct qs_opener *opener,
	const struct qs_name *name, struct qs_span first, uint64_t size,
	struct qs_pack_head *out, struct qs_err *err);
/* The sealed directory, bytes dir_off .. object's end. */
QS_MUST_CHECK enum qs_code qs_pack_open_dir(struct qs_opener *opener,
	const struct qs_pack_head *head, struct qs_span sealed,
	struct qs_pack_dir *out, struct qs_err *err);
/*
 * Open one frame into out, which has entry->plain_len bytes.  The chunk ids
 * in it are not checked here: qs_chunk_check.
 */
QS_MUST_CHECK enum qs_code qs_frame_open(struct qs_opener *opener,
	const struct qs_pack_ref *ref, uint32_t frame_number,
	const struct qs_frame_entry *entry, struct qs_span sealed,
	uint8_t *out, struct qs_err *err);
/*
 * That a chunk of an opened frame is what its id says (in constant time);
 * *plain is the chunk, borrowed from frame_plain.  QS_ECORRUPT.
 */
QS_MUST_CHECK enum qs_code qs_chunk_check(const struct qs_keys *keys,
	const struct qs_pack_ref *ref, const struct qs_frame_entry *frame,
	const struct qs_chunk_entry *chunk, struct qs_span frame_plain,
	struct qs_span *plain, struct qs_err *err);
/*
 * Head and directory of a whole object in memory; everything about them is
 * checked but NAME.  Frames are opened one by one with qs_frame_open.
 */
QS_MUST_CHECK enum qs_code qs_pack_open(struct qs_opener *opener,
	const struct qs_name *name, struct qs_span object,
	struct qs_pack_head *head, struct qs_pack_dir *dir,
	struct qs_err *err);
/*
 * What anybody can see of a whole object, without a key: size class, magic,
 * version, suite; QS_EKEY: it belongs to another folder.
 */
QS_MUST_CHECK enum qs_code qs_pack_check(struct qs_span object,
	const uint8_t folder_id[static QS_FOLDER_ID_LEN], struct qs_err *err);
/* Bounds and structure of a frame entry from an index (hostile too). */
bool qs_frame_entry_ok(const struct qs_frame_entry *entry, uint32_t pack_size);

/*
 * The directory codec for the plaintext (tests and fuzzers; the index's own
 * format holds the same entries).  Decode checks that frames tile
 * [QS_PACK_HEAD, end_off), that chunks lie in their frames, zero padding.
 */
QS_MUST_CHECK enum qs_code qs_pack_dir_decode(struct qs_span plain,
	uint32_t frame_count, uint32_t chunk_count, uint32_t end_off,
	struct qs_pack_dir *out, struct qs_err *err);
void qs_frame_entry_encode(const struct qs_frame_entry *entry,
	uint8_t out[static 16]);
void qs_frame_entry_decode(const uint8_t in[static 16],
	struct qs_frame_entry *out);
void qs_chunk_entry_encode(const struct qs_chunk_entry *entry,
	uint8_t out[static 48]);
void qs_chunk_entry_decode(const uint8_t in[static 48],
	struct qs_chunk_entry *out);

/* -------------------------------------------------------- log records */

enum qs_record_type {
	QS_RECORD_GENESIS = 1,
	QS_RECORD_CERT = 2,
	QS_RECORD_REVOKE = 3,
	QS_RECORD_SNAPSHOT = 4,
	QS_RECORD_RETIRE = 5,
	QS_RECORD_EPOCH = 6,
	QS_RECORD_CHECKPOINT = 7,
};

#define QS_RECORD_UNIT 4096
#define QS_RECORD_MAX (64u << 20)
#define QS_DEVICE_LEN 8 /* first bytes of the signer's public key */

enum qs_right { QS_RIGHT_WRITE = 1 }; /* bits in a CERT */

struct qs_record { /* spans are borrowed from the record's bytes */
	enum qs_record_type type;
	uint32_t epoch;
	uint32_t retire_seen; /* qs_retire_seen of the newest known RETIRE */
	uint8_t folder_id[QS_FOLDER_ID_LEN];
	uint8_t signer[32];
	uint64_t seq;
	struct qs_name prev; /* zeros for seq 0 */
	uint64_t time_ms;
	struct qs_span public_body;
	struct qs_span sealed_payload; /* empty: none */
	struct qs_span bytes;          /* the whole record */
	struct qs_name name;           /* of the bytes */
};

/*
 * Encode, seal and sign; appended to out.  Fields used: type, epoch (0),
 * retire_seen, seq, prev, time_ms, public_body.  payload.len 0: no payload.
 * QS_EINVAL when the draft is not a record or is too long.
 */
QS_MUST_CHECK enum qs_code qs_record_encode(const struct qs_keys *keys,
	const struct qs_sign_key *signer, const struct qs_record *draft,
	struct qs_span payload, struct qs_buf *out, struct qs_err *err);
/*
 * Keyless: structure, lengths, zero padding, signature.  That the signer may
 * sign is the chain's business.  QS_ECORRUPT or QS_EUNSUPPORTED.
 */
QS_MUST_CHECK enum qs_code qs_record_parse(struct qs_span bytes,
	struct qs_record *out, struct qs_err *err);
/*
 * Decrypt the payload (zero padding and all), appended to out; nothing when
 * the record has none.  QS_EKEY (other folder or epoch) or QS_ECORRUPT.
 */
QS_MUST_CHECK enum qs_code qs_record_open(const struct qs_keys *keys,
	const struct qs_record *record, struct qs_buf *out,
	struct qs_err *err);

/*
 * Public bodies; qs_record_parse has checked them (those of EPOCH and
 * CHECKPOINT are free).
 */
struct qs_genesis_body {
	uint8_t adm_pk[32], fmk0_commit[32];
};

/*
 * CERT gives a device rights up to a seq.  REVOKE has the same body: the
 * rights that the device's records up to not_after_seq keep (0: none of them
 * counts any more); it is final.
 */
struct qs_cert_body {
	uint8_t device_pk[32];
	uint32_t rights;
	uint64_t not_after_seq; /* UINT64_MAX: no end */
};

void qs_genesis_encode(const struct qs_genesis_body *body,
	uint8_t out[static 64]);
QS_MUST_CHECK enum qs_code qs_genesis_decode(struct qs_span body,
	struct qs_genesis_body *out, struct qs_err *err);
void qs_cert_encode(const struct qs_cert_body *body, uint8_t out[static 48]);
QS_MUST_CHECK enum qs_code qs_cert_decode(struct qs_span body,
	struct qs_cert_body *out, struct qs_err *err);
/*
 * RETIRE: which records its author had seen, and the names (of objects and key
 * slots) that nothing in them needs.
 */
struct qs_retire_body {
	struct qs_span heads; /* 48 each: device 8, u64 seq, name 32 */
	struct qs_span names; /* 32 each, strictly ascending */
};

#define QS_RETIRE_HEAD 48

QS_MUST_CHECK enum qs_code qs_retire_decode(struct qs_span body,
	struct qs_retire_body *out, struct qs_err *err);
struct qs_mark;
/* Heads (devices ascending) and names, as such a body, appended to out. */
QS_MUST_CHECK enum qs_code qs_retire_encode(const struct qs_mark *heads,
	size_t count, struct qs_span names, struct qs_buf *out,
	struct qs_err *err);
/* SNAPSHOT: count names, strictly ascending. */
QS_MUST_CHECK enum qs_code qs_names_check(struct qs_span body,
	size_t *count, struct qs_err *err);

/* ------------------------------------------------- struct store: places */

enum qs_area {
	QS_AREA_KEYS = 1,
	QS_AREA_LOG = 2,
	QS_AREA_OBJ = 3,
	QS_AREA_BESIDE = 4, /* only to be listed: none of the above */
};

struct qs_ref { /* one file of a folder */
	enum qs_area area;
	struct qs_name name;
	uint8_t device[QS_DEVICE_LEN]; /* log only */
	uint64_t seq;                  /* log only */
	uint64_t size;                 /* when listed */
	const char *foreign; /* listed only: not ours, the path as found */
};

/* Where a file lies below its folder: docs/FORMAT.md, "Layout". */
struct qs_file_path {
	char text[128]; /* the longest is a temporary's, in the log */
};

struct qs_file_path qs_file_path(const struct qs_ref *ref);
/* Where an object or a slot is while it is in the trash. */
struct qs_file_path qs_file_trash_path(const struct qs_ref *ref);

/* Reads are whole objects or aligned slices: sizes of chunks must not show. */
#define QS_SLICE (256u << 10)

/* A size that can't be told: the object may be there or not. */
#define QS_SIZE_UNKNOWN UINT64_MAX

/* Bytes put down at a place, not yet named, not yet durable. */
struct qs_stage;

/* Return anything but QS_OK to stop the listing with that failure. */
typedef enum qs_code (*qs_list_fn)(void *arg, const struct qs_ref *ref,
	struct qs_err *err);

/*
 * The contract.  Every function may be called from several threads at once,
 * takes its implementation's self first, and returns QS_ENET only when a retry
 * may help.
 */
struct qs_store_ops {
	/*
	 * Every file of an area, in no order; foreign files are listed too,
	 * and of what lies beside the areas all is foreign.  What can't be
	 * read is passed over and is the failure in the end.
	 */
	enum qs_code (*list)(void *self, enum qs_area area, qs_list_fn fn,
		void *arg, struct qs_err *err);
	/*
	 * Up to len bytes from offset; fewer only at the end of the file.  For
	 * objects offset and len are multiples of QS_SLICE.
	 */
	enum qs_code (*get)(void *self, const struct qs_ref *ref,
		uint64_t offset, uint8_t *out, size_t len, size_t *got,
		struct qs_err *err);
	/*
	 * size of each object, 0 where there is none, QS_SIZE_UNKNOWN where
	 * that can't be told: one folder that can't be read must not cost the
	 * others.  A get of such an object says why.
	 */
	enum qs_code (*have)(void *self, const struct qs_name *names,
		size_t count, uint64_t *sizes, struct qs_err *err);
	/*
	 * Make objects that are there durable under their names, as commit
	 * does: another process may have been killed before it had.
	 * QS_ENOTFOUND when one is gone.
	 */
	enum qs_code (*settle)(void *self, const struct qs_name *names,
		size_t count, struct qs_err *err);
	/*
	 * Writing an object is stage, (read back to name it), commit.  A stage
	 * that is never committed leaves nothing under an object's name, not
	 * even after a crash.
	 */
	enum qs_code (*stage)(void *self, struct qs_span object,
		struct qs_stage **out, struct qs_err *err);
	enum qs_code (*stage_read)(void *self, struct qs_stage *stage,
		uint64_t offset, uint8_t *out, size_t len, size_t *got,
		struct qs_err *err);
	/*
	 * The bytes of a stage that are in memory, borrowed while it is
	 * staged: saves copying them to be named.  NULL: they never are.
	 */
	struct qs_span (*stage_bytes)(void *self,
		const struct qs_stage *stage);
	/*
	 * Make all of them durable under their names, and then take and free
	 * the stages, also on failure.  An object that is there already (same
	 * name, same size) counts as success.
	 */
	enum qs_code (*commit)(void *self, struct qs_stage **stages,
		const struct qs_name *names, size_t count,
		struct qs_err *err);
	void (*discard)(void *self, struct qs_stage *stage);
	/*
	 * Append a record to its device's log.  Durable on return.
	 * QS_ECONFLICT when the device's newest record there is not prev
	 * (seq - 1).
	 */
	enum qs_code (*append)(void *self, const struct qs_record *record,
		struct qs_err *err);
	/* Add a key slot; durable on return. */
	enum qs_code (*put_key)(void *self, struct qs_span slot,
		struct qs_name *name, struct qs_err *err);
	/*
	 * Take a key slot away.  To be called after the RETIRE record that
	 * names it is appended.
	 */
	enum qs_code (*drop_key)(void *self, const struct qs_name *name,
		struct qs_err *err);
	void (*close)(void *self);
};

struct qs_store {
	const struct qs_store_ops *ops;
	void *self;
	char *place; /* for messages */
	uint8_t folder_id[QS_FOLDER_ID_LEN];
	/*
	 * So many staged objects are to be committed together, at most.  stage
	 * may wait while one more than that is staged, for another thread to
	 * commit or discard some.
	 */
	unsigned batch;
};

struct qs_folder_list { /* owned */
	uint8_t (*ids)[QS_FOLDER_ID_LEN];
	size_t count;
};

/*
 * The folders of a directory store (of every kind: qs_url_folders and the
 * like, wire/wire.h).  QS_ENOSTORE when there is no store, QS_EUNSUPPORTED for
 * what is not a path.
 */
QS_MUST_CHECK enum qs_code qs_store_folders(const char *path,
	struct qs_folder_list *out, struct qs_err *err);
void qs_folder_list_clear(struct qs_folder_list *list);
QS_MUST_CHECK enum qs_code qs_store_open(const char *path,
	const uint8_t folder_id[static QS_FOLDER_ID_LEN],
	struct qs_store **out, struct qs_err *err);
/* Make the folder's directories and README.txt; QS_EEXIST if it is there. */
QS_MUST_CHECK enum qs_code qs_store_create(const char *path,
	const uint8_t folder_id[static QS_FOLDER_ID_LEN],
	struct qs_store **out, struct qs_err *err);
void qs_store_close(struct qs_store *store); /* NULL is fine */

/* An object or record or slot whole, its name checked; appended to out. */
QS_MUST_CHECK enum qs_code qs_store_load(struct qs_store *store,
	const struct qs_ref *ref, size_t max, struct qs_buf *out,
	struct qs_err *err);
/* Name staged objects, as many at once as there are lanes. */
QS_MUST_CHECK enum qs_code qs_store_name(struct qs_store *store,
	struct qs_stage *const *stages, size_t count, struct qs_name *names,
	struct qs_err *err);

/* --------------------------------------------------------- log, chained */

/* The highest record known of a device: kept outside the store. */
struct qs_mark {
	uint8_t device[QS_DEVICE_LEN];
	uint64_t seq;
	struct qs_name name;
	uint64_t time_ms;
};

/*
 * Called for each record that verifies, each device's in order of seq, the
 * admin's first.  record's spans are borrowed for the call.
 */
typedef enum qs_code (*qs_log_fn)(void *arg, const struct qs_record *record,
	struct qs_err *err);
/*
 * Called for what does not: a damaged record, a gap, a fork, an uncertified
 * signer, a device that went back in time (QS_EROLLBACK; the message says
 * from which record and date to which).  The walk goes on.
 */
typedef void (*qs_trouble_fn)(void *arg, const struct qs_err *trouble);

/*
 * Read and verify the whole log, keylessly: the folder id against GENESIS,
 * signatures, certificates, seq and prev.  Records at or below a mark are
 * taken by the hash chain that ends in the marked name, without checking
 * their signatures again.  adm_pk, when not NULL, is known already (from a
 * slot), so that a folder whose GENESIS is lost still opens.
 */
QS_MUST_CHECK enum qs_code qs_log_walk(struct qs_store *store,
	const uint8_t *adm_pk, const struct qs_mark *marks,
	size_t mark_count, qs_log_fn record, qs_trouble_fn trouble,
	void *arg, struct qs_err *err);

/*
 * Who may append to the log, for a place that lets records in one by one.  What
 * the admin's chain says is read when it is asked for, and again only as far as
 * that chain has grown meanwhile.  One thread at a time.
 */
struct qs_signers;

/* Keeps store, which must outlive it. */
QS_MUST_CHECK enum qs_code qs_signers_new(struct qs_store *store,
	struct qs_signers **out, struct qs_err *err);
void qs_signers_free(struct qs_signers *signers);
/*
 * That a record which parsed and verified is of this folder and by the admin
 * or a device that may write it; a GENESIS speaks for itself.  QS_ECORRUPT says
 * why not, also when the folder's GENESIS is missing.
 */
QS_MUST_CHECK enum qs_code qs_signers_check(struct qs_signers *signers,
	const struct qs_record *record, struct qs_err *err);

#include "store/retirement.h"

#endif
