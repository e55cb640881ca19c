/* SPDX-License-Identifier: ISC */
/* A folder's state, shared by the files that open, read and extend it. */
#ifndef QS_FOLDER_INTERNAL_H
#define QS_FOLDER_INTERNAL_H

#include "snapshot/snapshot_internal.h"

/* ------------------------------------------------------ payload limits */

#define QS_TEXT_MAX 255          /* host, user, program, a tag */
#define QS_PATH_BYTES_MAX 65535u /* one path */
#define QS_PATHS_MAX 65536u
#define QS_TAGS_MAX 1024u
#define QS_ROOT_DEPTH_MAX 8
#define QS_COVER_MAX (1u << 20) /* index chunks, and direct packs */
#define QS_HEADS_MAX 65536u
#define QS_TURNS_MAX 65536u
#define QS_PAYLOAD_VERSION 1
#define QS_SNAPSHOT_HEAD 48 /* time, parent, uid, gid */
#define QS_TOTALS_LEN 128
#define QS_INDEX_AT_LEN 72
#define QS_HEAD_LEN 56
#define QS_TURN_LEN 40

/* GENESIS payload, docs/FORMAT.md "GENESIS payload". */
#define QS_GENESIS_LEN 64

/* ---------------------------------------------------------- the folder */

/* One record of a chain that verified. */
struct qs_link {
	uint64_t seq;
	struct qs_name name;
};

/* What one signer has written, as the store has it. */
struct qs_chain {
	uint8_t device[QS_DEVICE_LEN];
	bool has_head, is_forked; /* forked: two records at the head */
	struct qs_mark head;
	struct qs_link *links; /* ascending by seq */
	size_t link_count, link_cap;
	struct qs_cover cover; /* of its newest snapshot */
	/* Up to which record the index has its packs. */
	bool is_seen;
	uint64_t seen;
	uint8_t seen_sum[32]; /* of the records up to there, as they were */
};

struct qs_folder {
	struct qs_store *store;
	struct qs_keys *keys;
	struct qs_index *index; /* or NULL */
	struct qs_opener *opener;
	struct qs_chunker_params chunker;
	qs_trouble_fn trouble;
	void *trouble_arg;
	bool in_memory, accept_rollback;
	bool has_genesis;
	bool has_newer; /* records that a newer version has written */
	/* This folder's; in memory the state is only read, or NULL. */
	char *cache_dir, *state_dir;

	/* This machine's right to write. */
	struct qs_sign_key *device; /* locked memory; NULL: none yet */
	struct qs_err device_err;   /* code: why its file can't be used */
	bool is_certified, is_revoked;
	uint64_t last_seq;    /* to which it is certified */
	struct qs_err refuse; /* code: why nothing may be written */

	/* The highest records known, as remembered outside the store. */
	struct qs_mark *marks;
	bool *mark_met; /* while the log is walked */
	size_t mark_count;
	bool marks_unknown; /* the file is there and can't be read */

	struct qs_chain *chains;
	size_t chain_count, chain_cap;
	/* Pointers, so that what was lent stays where it is. */
	struct qs_snapshot **snapshots; /* those that are remembered */
	size_t snapshot_count, snapshot_cap;
	struct qs_snapshot **forgotten; /* the others, oldest first as well */
	size_t forgotten_count;
	/*
	 * Code: why not every snapshot is known that there may be (the first
	 * reason): then nobody can say what none of them needs.
	 */
	struct qs_err blind;
	struct qs_retirement *retirement; /* NULL before the first walk */
	struct qs_buf dropped; /* key slots that this process retired */
	uint64_t note_ms;      /* the latest time of a note */

	/* What the log's listing came to when it was reloaded last. */
	bool has_listing;
	bool has_hiccup; /* something could not be read that may be there */
	uint8_t listing[32];
	uint64_t listing_count;
	/* Absent objects that were there when that was asked last; and when
	 * it is asked next. */
	struct qs_buf came;
	int64_t ask_ns, ask_pause_ns;
};

/* folder.c */

/* Takes the store.  What opening and creating have in common. */
QS_MUST_CHECK enum qs_code qs_folder_new(struct qs_store *store,
	const struct qs_slot_secret *secret,
	const struct qs_folder_options *options, struct qs_folder **out,
	struct qs_err *err);
/* What the log has said: free, as before the first walk. */
void qs_folder_clear_log(struct qs_folder *folder);
void qs_folder_tell(struct qs_folder *folder, const struct qs_err *trouble);
/*
 * An object that can't be used: as one that is not there.  Who needs something
 * of it will miss it, nobody else.
 */
void qs_folder_tell_object(struct qs_folder *folder,
	const struct qs_err *fault);
/* NULL where it is unknown. */
struct qs_chain *qs_folder_chain(const struct qs_folder *folder,
	const uint8_t device[static QS_DEVICE_LEN]);
/* One not yet seen is added; pointers to others may move. */
QS_MUST_CHECK enum qs_code qs_folder_chain_make(struct qs_folder *folder,
	const uint8_t device[static QS_DEVICE_LEN], struct qs_chain **out,
	struct qs_err *err);
/* A record that verified is the chain's newest, or a twin of it. */
QS_MUST_CHECK enum qs_code qs_chain_extend(struct qs_chain *chain,
	const struct qs_record *record, struct qs_err *err);
/* Takes what the snapshot holds (not the struct itself). */
QS_MUST_CHECK enum qs_code qs_folder_add_snapshot(struct qs_folder *folder,
	struct qs_snapshot *snapshot, struct qs_err *err);
/* Also of what is forgotten. */
void qs_folder_sort_snapshots(struct qs_folder *folder);
/* Those that are forgotten to the forgotten, the others to the snapshots. */
QS_MUST_CHECK enum qs_code qs_folder_part_forgotten(struct qs_folder *folder,
	struct qs_err *err);
/* Room for one more item; *array may move. */
QS_MUST_CHECK enum qs_code qs_array_room(void *array_pointer, size_t count,
	size_t *cap, size_t item_size, struct qs_err *err);
int qs_name_compare(const void *a, const void *b);
/* Sort names (an array of struct qs_name) and take repeats out. */
size_t qs_names_sort(struct qs_name *names, size_t count);
/* "2026-11-20 10:15 UTC" */
#define QS_TIME_TEXT 40
void qs_time_text(uint64_t time_ms, char out[static QS_TIME_TEXT]);

/* folder_find.c */

/* By 4 to 64 hex digits; what: "snapshot", for messages. */
QS_MUST_CHECK enum qs_code qs_snapshots_find(
	struct qs_snapshot *const *snapshots, size_t count, const char *what,
	const char *text, const struct qs_snapshot **out,
	struct qs_err *err);

/* folder_state.c */

QS_MUST_CHECK enum qs_code qs_state_dirs(struct qs_folder *folder,
	const struct qs_folder_options *options, struct qs_err *err);
/* Wait for the state's lock; it dies with *fd. */
QS_MUST_CHECK enum qs_code qs_state_lock(struct qs_folder *folder, int *fd,
	struct qs_err *err);
/* The marks; none when there is no file.  QS_ECORRUPT. */
QS_MUST_CHECK enum qs_code qs_marks_load(struct qs_folder *folder,
	struct qs_err *err);
/*
 * Write the heads of the folder's chains down, durably; a mark is never
 * lowered unless replace.  To be called with the lock held.
 */
QS_MUST_CHECK enum qs_code qs_marks_save(struct qs_folder *folder,
	bool replace, struct qs_err *err);
QS_MUST_CHECK enum qs_code qs_marks_parse(struct qs_span text,
	struct qs_mark **out, size_t *count, struct qs_err *err);

/* device_key.c */

#define QS_DEVICE_KEY_LEN 144

/* *out is NULL when this machine has none yet. */
QS_MUST_CHECK enum qs_code qs_device_key_load(struct qs_folder *folder,
	struct qs_sign_key **out, struct qs_err *err);
/* None any more: the next one who writes makes a new one. */
QS_MUST_CHECK enum qs_code qs_device_key_drop(struct qs_folder *folder,
	struct qs_err *err);
/* A new one, durable before it is used.  With the lock held. */
QS_MUST_CHECK enum qs_code qs_device_key_make(struct qs_folder *folder,
	struct qs_sign_key **out, struct qs_err *err);

/* genesis.c */

void qs_genesis_payload_encode(const uint8_t ds[static 32],
	const struct qs_chunker_params *chunker,
	uint8_t out[static QS_GENESIS_LEN]);
/* ds points into bytes. */
QS_MUST_CHECK enum qs_code qs_genesis_payload_decode(struct qs_span bytes,
	const uint8_t **ds, struct qs_chunker_params *chunker,
	struct qs_err *err);

/* folder_log.c */

/*
 * Walk the log: chains, snapshots, tags, what is retired, and who may write.
 * wanted gets the names (struct qs_name) of the objects in records that the
 * index has not seen.
 */
QS_MUST_CHECK enum qs_code qs_folder_walk(struct qs_folder *folder,
	struct qs_buf *wanted, struct qs_err *err);

/* folder_heads.c */

/* What a snapshot's writer saw of another device. */
struct qs_claim {
	struct qs_mark mark;
	struct qs_name by;
	uint64_t by_time_ms;
};

/*
 * Tell of records that somebody saw and that are not there any more; claims
 * are sorted on the way.
 */
void qs_claims_check(struct qs_folder *folder, struct qs_claim *claims,
	size_t count);
/* After the walk: is the store where it was?  Sets folder->refuse. */
void qs_marks_check(struct qs_folder *folder);

/* folder_retired.c */

/* An object: nothing that is written now may build upon it. */
bool qs_is_retired(const struct qs_folder *folder,
	const struct qs_name *name);
bool qs_is_slot_retired(const struct qs_folder *folder,
	const struct qs_name *name);
/* What a record that is written now says it knows; 0: of none. */
uint32_t qs_folder_retire_seen(const struct qs_folder *folder);
/*
 * The body of a RETIRE with these names (ascending): what this folder object
 * has seen of every signer, appended to out.
 */
QS_MUST_CHECK enum qs_code qs_folder_retire_body(
	const struct qs_folder *folder, struct qs_span names,
	struct qs_buf *out, struct qs_err *err);
/* Packs that are retired leave the index. */
QS_MUST_CHECK enum qs_code qs_retired_forget(struct qs_folder *folder,
	struct qs_err *err);
/*
 * Packs that a RETIRE names which does not count: they are in use, so the index
 * has them (those it lacks are appended to wanted) ...
 */
QS_MUST_CHECK enum qs_code qs_disputed_want(struct qs_folder *folder,
	struct qs_buf *wanted, struct qs_err *err);
/* ... and since our records will say that we know of it, list them again. */
QS_MUST_CHECK enum qs_code qs_disputed_list(struct qs_folder *folder,
	struct qs_err *err);
/* Tell of key slots that are retired and in the store all the same. */
QS_MUST_CHECK enum qs_code qs_retired_slots_check(struct qs_folder *folder,
	struct qs_err *err);

/* folder_seen.c */

/* Up to where the index has the chain's packs. */
QS_MUST_CHECK enum qs_code qs_chain_seen_load(struct qs_folder *folder,
	struct qs_chain *chain, struct qs_err *err);
QS_MUST_CHECK enum qs_code qs_chain_seen_save(struct qs_folder *folder,
	struct qs_chain *chain, uint64_t seq, struct qs_err *err);
/*
 * Are the records up to where the index has them still those it took in?  Else
 * one is gone, or another branch of the chain has come.
 */
bool qs_chain_is_as_seen(const struct qs_chain *chain);
/* Is there a signer of whom something was seen, and nothing is there now? */
QS_MUST_CHECK enum qs_code qs_seen_is_gone(struct qs_folder *folder,
	bool *is_gone, struct qs_err *err);
/* Such were never seen: what comes back of them is new. */
QS_MUST_CHECK enum qs_code qs_seen_forget_gone(struct qs_folder *folder,
	struct qs_err *err);
/* Has another process of this machine taken in more than we know of? */
QS_MUST_CHECK enum qs_code qs_seen_is_ahead(struct qs_folder *folder,
	const struct qs_chain *chain, bool *is_ahead, struct qs_err *err);

/* folder_index.c */

QS_MUST_CHECK enum qs_code qs_folder_sync_index(struct qs_folder *folder,
	struct qs_buf *wanted, struct qs_err *err);

/* folder_pending.c */

QS_MUST_CHECK enum qs_code qs_folder_adopt_pending(struct qs_folder *folder,
	struct qs_err *err);
/* Is it the object's fault, so that the others can go on? */
bool qs_is_object_fault(enum qs_code code);
/* An index callback that appends a name to the struct qs_buf arg. */
enum qs_code qs_names_collect(void *arg, const struct qs_name *name,
	struct qs_err *err);

/* folder_read.c */

/* The directory of a pack of that size, from the store. */
QS_MUST_CHECK enum qs_code qs_pack_read_dir(struct qs_store *store,
	struct qs_opener *opener, const struct qs_name *name, uint64_t size,
	struct qs_pack_head *head, struct qs_pack_dir *dir,
	struct qs_err *err);
QS_MUST_CHECK enum qs_code qs_folder_read_dir(struct qs_folder *folder,
	const struct qs_name *name, uint64_t size,
	struct qs_pack_head *head, struct qs_pack_dir *dir,
	struct qs_err *err);
QS_MUST_CHECK enum qs_code qs_folder_adopt_sized(struct qs_folder *folder,
	const struct qs_name *name, uint64_t size, struct qs_err *err);
/* An index chunk whose pack the index knows; appended to out. */
QS_MUST_CHECK enum qs_code qs_folder_read_index_chunk(
	struct qs_folder *folder, const struct qs_index_at *at,
	struct qs_buf *out, struct qs_err *err);

/* chain_append.c */

struct qs_draft {
	enum qs_record_type type;
	struct qs_span body;
	/*
	 * Gives the payload, anew for each try; NULL: none.  moved are names
	 * (struct qs_name) that another process of this machine has logged
	 * since the folder was opened.
	 */
	enum qs_code (*payload)(void *arg, const struct qs_buf *moved,
		struct qs_buf *out, struct qs_err *err);
	void *arg;
	struct qs_span fixed; /* the payload, without that function */
	uint64_t not_before_ms; /* its time is at least this */
	bool is_exact; /* QS_ECONFLICT when the chain is not as walked */
};

/*
 * Sign and append a record, and remember it; with the state's lock held.
 */
QS_MUST_CHECK enum qs_code qs_chain_append(struct qs_folder *folder,
	const struct qs_sign_key *signer, const struct qs_draft *draft,
	struct qs_mark *out, struct qs_err *err);

/* folder_write.c */

/* Why this folder can't be written to, if so; whoever signs. */
QS_MUST_CHECK enum qs_code qs_folder_writable(struct qs_folder *folder,
	struct qs_err *err);
bool qs_folder_is_chain_over(const struct qs_folder *folder);
/*
 * A device key that is certified, made and certified if need be; with the
 * state's lock held.
 */
QS_MUST_CHECK enum qs_code qs_folder_ensure_device(struct qs_folder *folder,
	struct qs_err *err);

/* folder_append.c */

/* Sign and append a SNAPSHOT record with this payload, a note too. */
QS_MUST_CHECK enum qs_code qs_folder_log_payload(struct qs_folder *folder,
	struct qs_payload *payload, struct qs_span body, struct qs_mark *out,
	struct qs_err *err);

/* The index's part of it, afterwards: names need not be logged any more. */
QS_MUST_CHECK enum qs_code qs_folder_settle_index(struct qs_folder *folder,
	const struct qs_name *names, size_t count, const struct qs_mark *mark,
	struct qs_err *err);

/* payload.c */

QS_MUST_CHECK enum qs_code qs_texts_copy(const char *const *texts,
	size_t count, char ***out, struct qs_err *err);
void qs_texts_free(char **texts);

#endif
