/* SPDX-License-Identifier: ISC */
/*
 * snapshot: a folder as people know it: trees of files saved at a moment,
 * brought back, listed, compared and checked.  Trees as bytes: snapshot/tree.h.
 *
 * Threads: a struct qs_folder is used by one thread at a time unless a
 * function says otherwise; the functions start and join their own workers.
 */
#ifndef QS_SNAPSHOT_H
#define QS_SNAPSHOT_H

#include <stdatomic.h>

#include "base/base.h"
#include "chunker/chunker.h"
#include "crypto/crypto.h"
#include "index/index.h"
#include "patterns/patterns.h"
#include "snapshot/tree.h"
#include "store/store.h"

/* ------------------------------------------------- slots and unlocking */

struct qs_slot { /* one key slot as found in the store */
	struct qs_name name;
	uint8_t bytes[QS_SLOT_LEN];
	struct qs_slot_info info;
};

struct qs_slot_list { /* owned */
	struct qs_slot *slots;
	size_t count;
};

/*
 * Read the folder's slots.  A damaged or foreign one is told to trouble and
 * left out: it must not lock out the others.  QS_EKEY when none is left.
 */
QS_MUST_CHECK enum qs_code qs_slots_load(struct qs_store *store,
	struct qs_slot_list *out, qs_trouble_fn trouble, void *arg,
	struct qs_err *err);
void qs_slots_clear(struct qs_slot_list *list);
/*
 * Try the factors on every slot that takes just these types.  *which is the
 * slot's place in the list.  QS_EAUTH when none opens.
 */
QS_MUST_CHECK enum qs_code qs_slots_open(const struct qs_slot_list *list,
	const struct qs_factor *factors, size_t count,
	struct qs_slot_secret *out, size_t *which, struct qs_err *err);

/*
 * The opened secret in the kernel's keyring (user keyring, else session),
 * so that other commands of this user need not ask; it expires by itself.
 */
QS_MUST_CHECK enum qs_code qs_keyring_put(
	const uint8_t folder_id[static QS_FOLDER_ID_LEN],
	const struct qs_slot_secret *secret, unsigned timeout_s,
	struct qs_err *err);
/* QS_ENOTFOUND when there is none (or it has expired). */
QS_MUST_CHECK enum qs_code qs_keyring_get(
	const uint8_t folder_id[static QS_FOLDER_ID_LEN],
	struct qs_slot_secret *out, struct qs_err *err);
QS_MUST_CHECK enum qs_code qs_keyring_drop(
	const uint8_t folder_id[static QS_FOLDER_ID_LEN], struct qs_err *err);

/* ----------------------------------------------------------- snapshots */

struct qs_totals {
	uint64_t files, dirs, others, bytes; /* what the tree holds */
	uint64_t files_new, files_changed, files_unmodified;
	uint64_t dirs_new, dirs_changed, dirs_unmodified;
	uint64_t data_blobs, tree_blobs;        /* chunks stored anew */
	uint64_t data_added, data_added_packed; /* bytes, before and after */
	uint64_t errors; /* files left out or saved with a warning */
	uint64_t duration_ns;
};

struct qs_snapshot { /* owned by the folder */
	struct qs_name record; /* its first 8 hex digits name the snapshot */
	uint8_t device[QS_DEVICE_LEN];
	uint64_t seq;
	int64_t time_ns;
	struct qs_name parent; /* zeros: none */
	char *host, *user, *program;
	uint32_t uid, gid;
	char **paths; /* of bytes, NULL-terminated array */
	size_t path_count;
	char **tags;
	size_t tag_count;
	bool is_forgotten; /* its objects may be retired: retention.h */
	struct qs_totals totals;
	uint8_t root_depth;
	uint32_t root_count;
	uint8_t *root_refs;
};

/* The root folder's content, borrowed. */
static inline struct qs_content
qs_snapshot_root(const struct qs_snapshot *snapshot)
{
	return (struct qs_content){snapshot->root_depth, snapshot->root_count,
		snapshot->root_refs};
}

/* -------------------------------------------------------------- folder */

struct qs_folder;

struct qs_folder_options {
	const char *cache_dir; /* NULL: the XDG one; the index lives there */
	const char *state_dir; /* NULL: the XDG one; marks and device key */
	bool without_index;    /* for commands that read no chunk */
	bool in_memory;        /* neither cache nor state is written */
	bool accept_rollback; /* what is there now is what is expected */
	/*
	 * What is wrong but does not stop; not NULL.  QS_ECORRUPT and
	 * QS_EROLLBACK: the folder may not show all there is.
	 */
	qs_trouble_fn trouble;
	void *trouble_arg;
};

struct qs_new_slot {
	const char *label;
	const struct qs_factor *factors;
	size_t count;
	bool with_admin;
};

/*
 * Make a new folder in a store: keys, GENESIS and this machine's CERT, one
 * slot per factor set given.  Nothing is left of it on failure that would
 * look like a folder: the slots are written last.
 */
QS_MUST_CHECK enum qs_code qs_folder_create(const char *url,
	const struct qs_folder_options *options,
	const struct qs_new_slot *slots, size_t count,
	struct qs_folder **out, struct qs_err *err);
/*
 * Open: takes the store (also on failure) and reads and verifies the log; then
 * brings the index up to date with it, unless without_index.
 */
QS_MUST_CHECK enum qs_code qs_folder_open(struct qs_store *store,
	const struct qs_slot_secret *secret,
	const struct qs_folder_options *options, struct qs_folder **out,
	struct qs_err *err);
void qs_folder_close(struct qs_folder *folder); /* NULL is fine */
/*
 * Read the log again when it is not what it was, or objects have come that were
 * missing (*changed): snapshots borrowed before are gone then.  What is missing
 * is asked for after a second, then ever more seldom, at last once a minute.
 * On failure the folder is as before; QS_EBUSY, at once, while another process
 * writes the index.  Sources of the folder may be in use meanwhile.
 * qs_folder_absent: names, from any thread.
 */
QS_MUST_CHECK enum qs_code qs_folder_reload(struct qs_folder *folder,
	bool *changed, struct qs_err *err);
struct qs_store *qs_folder_store(struct qs_folder *folder);
const struct qs_keys *qs_folder_keys(const struct qs_folder *folder);
struct qs_index *qs_folder_index(struct qs_folder *folder); /* or NULL */
QS_MUST_CHECK enum qs_code qs_folder_absent(struct qs_folder *folder,
	struct qs_buf *names, struct qs_err *err);
const struct qs_chunker_params *qs_folder_chunker(
	const struct qs_folder *folder);

/* All that are remembered, oldest first; borrowed. */
size_t qs_folder_snapshot_count(const struct qs_folder *folder);
const struct qs_snapshot *qs_folder_snapshot(const struct qs_folder *folder,
	size_t i);

/*
 * "latest", "latest~N", or 4 to 64 hex digits.  host/path/tags narrow what
 * "latest" means (NULL: any).  QS_ENOTFOUND; QS_EINVAL when ambiguous.
 */
struct qs_filter {
	const char *const *hosts, *const *tags, *const *paths;
	size_t host_count, tag_count, path_count;
};

bool qs_filter_match(const struct qs_filter *filter,
	const struct qs_snapshot *snapshot);
QS_MUST_CHECK enum qs_code qs_folder_find(const struct qs_folder *folder,
	const char *text, const struct qs_filter *filter,
	const struct qs_snapshot **out, struct qs_err *err);

/* Replace a snapshot's tags; it keeps its id. A signed note in the log. */
QS_MUST_CHECK enum qs_code qs_folder_tag(struct qs_folder *folder,
	const struct qs_snapshot *snapshot, const char *const *tags,
	size_t count, struct qs_err *err);

/* Key slots of an open folder. */
QS_MUST_CHECK enum qs_code qs_folder_slot_add(struct qs_folder *folder,
	const struct qs_new_slot *slot, struct qs_name *name,
	struct qs_err *err);
/*
 * A signed RETIRE record, then the slot goes.  QS_EINVAL for the last slot,
 * QS_EKEY when this machine was opened without the admin key.
 */
QS_MUST_CHECK enum qs_code qs_folder_slot_remove(struct qs_folder *folder,
	const struct qs_name *name, struct qs_err *err);

/* A head token (16 base-32 digits) of all devices' heads, printable. */
#define QS_HEAD_TOKEN_LEN 16
void qs_folder_head_token(const struct qs_folder *folder,
	char out[static QS_HEAD_TOKEN_LEN + 1]);

/* -------------------------------------------------------- reading back */

/*
 * Chunks by id: looks them up in the index, reads aligned slices, opens and
 * checks frames, and keeps a bounded number of opened frames.  Thread-safe;
 * no lock is held while reading or decrypting.  Memory: at most cache_bytes,
 * or half of that, a frame (5 MiB) for each thread that fetches and twice what
 * is asked for until it is released, if that is more.
 */
struct qs_source;
#define QS_SOURCE_CACHE (32u << 20)

QS_MUST_CHECK enum qs_code qs_source_new(struct qs_folder *folder,
	size_t cache_bytes, struct qs_source **out, struct qs_err *err);
void qs_source_free(struct qs_source *source);

struct qs_fetch { /* one chunk wanted */
	struct qs_id id;
	enum qs_kind kind;
	uint32_t len; /* 0: whatever it is; set when it was fetched */
	bool is_hasty; /* its id need not be checked: see qs_source_check */
	/* results: */
	enum qs_code code;   /* QS_OK, or why data is not there */
	const uint8_t *data; /* len bytes, until qs_source_release */
	void *pin;
	struct qs_name pack; /* the object it is (or should be) in */
};

/*
 * Fetch count chunks, their ids checked.  Returned is the first failure; the
 * other items are there all the same.  Release in every case.
 */
QS_MUST_CHECK enum qs_code qs_source_fetch(struct qs_source *source,
	struct qs_fetch *items, size_t count, struct qs_err *err);
void qs_source_release(struct qs_source *source, struct qs_fetch *items,
	size_t count);
/*
 * Check hasty items after they were used.  Their bytes were authenticated as
 * part of their frame: only the index, or who wrote the pack, can have given
 * them a wrong id.  After one that fails here (see its
 * code) no item of this source is given unchecked any more.
 */
QS_MUST_CHECK enum qs_code qs_source_check(struct qs_source *source,
	struct qs_fetch *items, size_t count, struct qs_err *err);

/* A frame, by its place in the store: frames are in the order of saving. */
struct qs_frame_at {
	uint32_t pack, frame; /* pack 0: none */
};

/* Where an item that was fetched, and not yet released, comes from. */
struct qs_frame_at qs_source_frame_of(const struct qs_fetch *item);
/*
 * Open a frame for those who will ask for it soon; one that is not there, or
 * can't be opened, is left to them.
 */
void qs_source_warm(struct qs_source *source, struct qs_frame_at at);

/*
 * A content list flattened, piece by piece (list chunks are read as needed).
 * Calls fn for each data or tree reference in order with its offset; a failing
 * list chunk is a failure of the whole.
 */
typedef enum qs_code (*qs_ref_fn)(void *arg, const struct qs_id *id,
	uint64_t len, uint64_t offset, struct qs_err *err);
QS_MUST_CHECK enum qs_code qs_content_each(struct qs_source *source,
	const struct qs_content *content, qs_ref_fn fn, void *arg,
	struct qs_err *err);

/* One folder's nodes in order of name. One thread at a time. */
struct qs_dir;
QS_MUST_CHECK enum qs_code qs_dir_read(struct qs_source *source,
	const struct qs_content *content, struct qs_dir **out,
	struct qs_err *err);
/* *node is valid until the next call; *end at the end. */
QS_MUST_CHECK enum qs_code qs_dir_next(struct qs_dir *dir,
	struct qs_node *node, bool *end, struct qs_err *err);
void qs_dir_close(struct qs_dir *dir);

struct qs_visit {
	enum { QS_VISIT_NODE, QS_VISIT_LEAVE } what; /* LEAVE: after a folder */
	const struct qs_node *node;
	const char *path; /* bytes, no leading '/'; "": the root itself */
	size_t path_len, depth;
};

enum qs_visit_next { QS_VISIT_GO, QS_VISIT_SKIP, QS_VISIT_STOP };

struct qs_visitor {
	/* SKIP: do not enter this folder. */
	enum qs_visit_next (*visit)(void *arg, const struct qs_visit *visit);
	/* A folder that can't be read: told, and left out. */
	void (*trouble)(void *arg, const char *path,
		const struct qs_err *trouble);
	void *arg;
};

/* Depth-first, without recursion. */
QS_MUST_CHECK enum qs_code qs_tree_walk(struct qs_source *source,
	const struct qs_content *root, const struct qs_visitor *visitor,
	struct qs_err *err);
/*
 * The node at a path inside a snapshot ("" or "/": the root, given as a
 * folder node without a name).  bytes is replaced: it holds what *node borrows.
 */
QS_MUST_CHECK enum qs_code qs_tree_find(struct qs_source *source,
	const struct qs_content *root, const char *path, struct qs_buf *bytes,
	struct qs_node *node, struct qs_err *err);

/* ------------------------------------------------------------ progress */

/* Written by the workers, read by whoever shows them. */
struct qs_progress {
	_Atomic uint64_t files_done, bytes_done, errors;
	_Atomic uint64_t files_total, bytes_total; /* 0: not known (yet) */
	_Atomic bool cancel; /* set it to stop early: QS_ECANCELED */
};

enum qs_event_kind {
	QS_EVENT_NEW, QS_EVENT_CHANGED, QS_EVENT_UNMODIFIED, /* snapshot */
	QS_EVENT_RESTORED, QS_EVENT_KEPT, QS_EVENT_DELETED,  /* restore */
	QS_EVENT_WARNING, /* err says what; the item is left out or partly so */
};

struct qs_event {
	enum qs_event_kind kind;
	const char *path; /* may be NULL */
	enum qs_node_type type;
	uint64_t size;
	const struct qs_err *err; /* WARNING */
};

/* May be called from any worker, one at a time. */
struct qs_report {
	void (*event)(void *arg, const struct qs_event *event);
	void *arg;
	struct qs_progress *progress; /* never NULL */
};

/* -------------------------------------------------------------- create */

struct qs_create_options {
	const char *const *paths; /* as the user gave them */
	size_t path_count;
	const struct qs_patterns *exclude; /* or NULL */
	bool exclude_caches;
	const char *const *exclude_if_present; /* NAME or NAME:HEADER */
	size_t if_present_count;
	uint64_t exclude_larger_than; /* 0: no limit */
	bool one_file_system;
	const char *host; /* NULL: this machine's */
	const char *const *tags;
	size_t tag_count;
	int64_t time_ns; /* 0: now */
	const struct qs_snapshot *parent; /* NULL: chosen */
	bool trust_parent; /* --parent: no cache row: compare size and mtime */
	bool force;        /* read every file */
	bool skip_if_unchanged;
	bool dry_run;
	enum qs_level level;
	unsigned read_concurrency; /* 0: default */
	int stdin_fd;              /* >= 0: its bytes are the one file */
	const char *stdin_name;
};

struct qs_create_result {
	struct qs_totals totals;
	bool saved;    /* false: dry run, or skipped as unchanged */
	struct qs_name record;
	struct qs_name parent; /* zeros: none */
};

/* Files left out, each reported and counted in totals.errors, are QS_OK. */
QS_MUST_CHECK enum qs_code qs_create(struct qs_folder *folder,
	const struct qs_create_options *options,
	const struct qs_report *report, struct qs_create_result *out,
	struct qs_err *err);
/* Count what create would save into progress' totals, for the ETA. */
QS_MUST_CHECK enum qs_code qs_create_scan(
	const struct qs_create_options *options, struct qs_progress *progress,
	struct qs_err *err);

/* ------------------------------------------------------------- restore */

enum qs_overwrite {
	QS_OVERWRITE_ALWAYS, QS_OVERWRITE_NEVER,
	QS_OVERWRITE_IF_CHANGED, /* size or mtime differ */
	QS_OVERWRITE_IF_NEWER,   /* the snapshot's mtime is newer */
};

struct qs_restore_options {
	const char *target; /* made if it does not exist */
	const char *subpath; /* within the snapshot; "" or NULL: all */
	const struct qs_patterns *include, *exclude; /* or NULL */
	enum qs_overwrite overwrite;
	bool delete_extra;  /* --delete */
	bool verify;        /* read back and compare with the ids */
	bool sparse;        /* runs of zeros become holes */
	bool privileged;    /* setuid, devices, trusted.*, capabilities */
	bool ownership_by_name;
	bool dry_run;
	unsigned threads; /* 0: default */
};

struct qs_restore_result {
	uint64_t files_restored, files_skipped, files_deleted, dirs, others;
	uint64_t total_files, total_bytes, bytes_restored, bytes_skipped;
	uint64_t errors, verified;
};

QS_MUST_CHECK enum qs_code qs_restore(struct qs_folder *folder,
	const struct qs_snapshot *snapshot,
	const struct qs_restore_options *options,
	const struct qs_report *report, struct qs_restore_result *out,
	struct qs_err *err);

/* One file's bytes to a descriptor. */
QS_MUST_CHECK enum qs_code qs_dump_file(struct qs_source *source,
	const struct qs_node *node, int fd, struct qs_progress *progress,
	struct qs_err *err);
/*
 * A subtree as a tar archive (pax) to a descriptor.  What is damaged, and
 * sockets, which tar has no form for, are told as warnings and left out.
 */
QS_MUST_CHECK enum qs_code qs_dump_tar(struct qs_source *source,
	const struct qs_content *root, const char *prefix, int fd,
	const struct qs_report *report, struct qs_err *err);

/* ---------------------------------------------------------------- diff */

enum qs_change { /* restic's letters */
	QS_CHANGE_ADDED = '+', QS_CHANGE_REMOVED = '-',
	QS_CHANGE_META = 'U', QS_CHANGE_CONTENT = 'M', QS_CHANGE_TYPE = 'T',
};

struct qs_diff_stat {
	uint64_t files_new, dirs_new, others_new, bytes_new;
	uint64_t files_removed, dirs_removed, others_removed, bytes_removed;
	uint64_t files_changed;
};

/*
 * changes: letters, "+", "M", "MU" ...; path begins, a folder's ends, with '/'.
 */
typedef void (*qs_diff_fn)(void *arg, const char *changes, const char *path);

/* A folder or file that can't be read is told, and gone around. */
QS_MUST_CHECK enum qs_code qs_diff(struct qs_source *source,
	const struct qs_content *before, const struct qs_content *after,
	bool metadata, qs_diff_fn fn,
	void (*trouble)(void *arg, const char *path, const struct qs_err *err),
	void *arg, struct qs_diff_stat *stat, struct qs_err *err);

/* --------------------------------------------------------------- stats */

struct qs_stats {
	uint64_t files, dirs, others, bytes;       /* restore-size */
	uint64_t unique_files, unique_bytes;       /* files-by-contents */
	uint64_t blobs, blob_bytes, stored_bytes;  /* raw-data */
	uint64_t packs, pack_bytes;
	uint64_t snapshots;
};

enum qs_stats_mode {
	QS_STATS_RESTORE_SIZE, QS_STATS_FILES_BY_CONTENTS, QS_STATS_RAW_DATA,
};

QS_MUST_CHECK enum qs_code qs_stats(struct qs_folder *folder,
	const struct qs_snapshot *const *snapshots, size_t count,
	enum qs_stats_mode mode, struct qs_progress *progress,
	struct qs_stats *out, struct qs_err *err);

/* --------------------------------------------------------------- check */

struct qs_check_options {
	bool read_data;
	double subset; /* share of the packs to read, 0..1 (1: all) */
	unsigned part, parts; /* n/t: the n-th of t parts; parts 0: by share */
};

struct qs_check_result {
	uint64_t snapshots, packs, packs_read, bytes_read;
	uint64_t damaged_packs, missing_packs, foreign_files;
	uint64_t unreferenced_packs; /* not needed by any snapshot: harmless */
	uint64_t unlisted_packs; /* needed, in no record: queued for the next */
	uint64_t errors, files_affected;
};

/*
 * Structure always: log, objects and their sizes, trees, every chunk in the
 * index, and the index against the packs' directories; with read_data every
 * byte of the chosen packs.  Each finding is a WARNING event.  What is missing
 * or does not verify leaves the index: it is stored anew if still at hand.
 */
QS_MUST_CHECK enum qs_code qs_check(struct qs_folder *folder,
	const struct qs_check_options *options,
	const struct qs_report *report, struct qs_check_result *out,
	struct qs_err *err);

#endif
