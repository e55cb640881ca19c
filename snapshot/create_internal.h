/* SPDX-License-Identifier: ISC */
/*
 * The snapshot pipeline, between its own files.
 *
 *   lister ─batches─▶ planner ─jobs─▶ workers ─jobs, in order─▶ assembler
 *   (walk, stat)      (what is new,    (read, chunk, hash,       (trees, packs)
 *                      big files)       look up, compress)          │
 *                                      (seal, stage) ◀─full packs───┘
 *                                          └─staged packs─▶ committer
 *                                                           (name, commit,
 *                                                            index rows)
 *
 * A job is owned by one thread at a time.  Jobs are numbered by the planner
 * and assembled in that order, so the store's layout does not depend on
 * timing.  Memory is bounded by the number of jobs, batches and pack builders,
 * which are made at the start and reused.
 */
#ifndef QS_CREATE_INTERNAL_H
#define QS_CREATE_INTERNAL_H

#include <pthread.h>
#include <sys/stat.h>

#include "snapshot/content_internal.h"
#include "snapshot/snapshot_internal.h"

#define CREATE_JOBS 8          /* in flight */
#define CREATE_BUILDERS 3      /* pack buffers of QS_PACK_MAX */
#define CREATE_STAGED_MAX 32   /* staged packs waiting for the committer */
#define CREATE_STAGED_CHUNKS 65536 /* so many are not kept waiting */
#define CREATE_EVENTS 1024     /* of a job */
#define CREATE_ARENA (2u << 20)
#define CREATE_SMALL (1u << 20) /* up to here a worker reads the file whole */
#define CREATE_JOB_BYTES (1u << 20) /* of small files: about one frame */
#define CREATE_BATCH 256        /* items of a listing batch */
#define CREATE_XATTRS_MAX (1u << 20) /* of a node, all together */
#define CREATE_ROW_ENTRIES 1024 /* entries of a directory row */
#define ROW_TARGET UINT32_MAX   /* the segment of a target's own entry */
#define CREATE_PART_BYTES (128u << 10) /* look for a cut of a folder's tree */
#define CREATE_PART_MAX (512u << 10)   /* cut it in any case */

struct create;

/* ------------------------------------------------ arena: stable pointers */

struct arena {
	struct arena_block *first, *at;
	size_t used;
};

/* Never moves what it gave; NULL when out of memory. */
void *arena_alloc(struct arena *arena, size_t len);
void *arena_copy(struct arena *arena, const void *data, size_t len);
void arena_reset(struct arena *arena); /* keeps the blocks */
void arena_clear(struct arena *arena);

/* --------------------------------------------------------------- listing */

struct facts { /* what lstat says of a file */
	uint32_t mode, uid, gid, links;
	uint32_t rdev_major, rdev_minor;
	uint64_t dev, ino, size, blocks;
	int64_t mtime_ns, ctime_ns;
};

void facts_from_stat(struct facts *facts, const struct stat *st);

/* An opened folder, shared by whoever still has to open something in it. */
struct folder {
	int fd; /* -1: could not be opened, or made up */
	_Atomic unsigned references;
	uint8_t domain; /* dedup domain of what is in it */
	bool made_up;   /* on the way to targets: they have a row each */
	/* Something in it is not saved.  The lister's; final with its LEAVE. */
	bool is_partial;
	uint8_t path_hash[32];
};

/* Of what has that name in the folder with the path hash parent. */
void child_hash(const uint8_t parent[static 32], struct qs_span name,
	uint8_t out[static 32]);
void folder_take(struct folder *folder);
void folder_drop(struct folder *folder); /* NULL is fine */

enum list_kind { LIST_ENTER, LIST_ENTRY, LIST_LEAVE };

struct list_item {
	enum list_kind kind;
	uint32_t name_off, name_len;
	struct facts facts;
	/* ENTER: the folder entered; ENTRY: the one it is in. A reference. */
	struct folder *folder;
};

struct list_batch {
	struct list_item items[CREATE_BATCH];
	size_t count;
	struct qs_buf names; /* each name followed by a NUL */
	bool last;
};

void list_batch_clear(struct list_batch *batch); /* drops its references */
void list_batch_free(struct list_batch *batch);  /* NULL is fine */

/* Thread: walks the targets and pushes batches until the end or a failure. */
void create_list_run(void *arg /* struct create */);

/* Targets: which folders to go through on the way to what is to be saved. */
struct target { /* of a tree */
	char *name;      /* "" for the root */
	char *real_path; /* to open it */
	bool leaf;       /* save it whole */
	struct target **children;
	size_t child_count;
};

enum qs_code create_targets(const char *const *paths, size_t count,
	struct target **root, struct qs_err *err);
void create_targets_free(struct target *root);
/* The paths as a snapshot shows them: absolute, in order, each once. */
enum qs_code create_shown_paths(const char *const *paths, size_t count,
	char ***out, size_t *out_count, struct qs_err *err);

/* ------------------------------------------------------------------ jobs */

enum chunk_state { CHUNK_KNOWN, CHUNK_NEW };

struct job_chunk {
	uint32_t off, len; /* in the job's arena */
	struct qs_id id;
	enum chunk_state state;
	uint8_t domain;
};

struct job_frame { /* ready to be put into a pack */
	const uint8_t *payload;
	uint32_t payload_len, plain_len;
	enum qs_comp comp;
	uint8_t domain;
	uint32_t first, count; /* of the job's entries */
};

enum event_kind {
	EVENT_ENTER, /* a folder begins; node is its own, without content */
	EVENT_LEAVE, /* it ends */
	EVENT_NODE,  /* complete: from the last snapshot, or has no content */
	EVENT_FILE,  /* a file; its pieces, if any, came before */
	EVENT_PIECE, /* a part of a big file: chunks and holes */
};

enum event_state { STATE_NEW, STATE_CHANGED, STATE_SAME };

struct event {
	enum event_kind kind;
	enum event_state state;
	bool failed; /* left out */
	struct qs_err *trouble; /* a warning to give (in the arena), or NULL */
	bool racy;   /* changed so lately that ctime can't be relied upon */
	bool planned; /* FILE: a worker is to read it into [off, off + room) */
	uint32_t arena_off, room;
	struct facts facts;
	struct folder *folder; /* planned: where to open it. A reference. */
	struct qs_node node;   /* what it borrows is in the job's arena */
	/* The entry and place it had in the last row; len 0: none. */
	struct qs_span prior;
	uint64_t prior_ino;
	int64_t prior_ctime_ns;
	uint32_t prior_place;
	bool prior_entry_fresh;
	uint32_t chunk_first, chunk_count;
	uint64_t hole; /* PIECE: this many bytes of hole instead of chunks */
	/* LEAVE: the planner found every entry in the prior row, in order. */
	bool all_same, prior_fresh;
	bool is_partial; /* LEAVE: something in it was not even listed */
	struct qs_content prior_content;
};

struct job {
	uint64_t number;
	bool done;
	uint8_t *data;     /* CREATE_ARENA: plaintext of chunks */
	size_t data_used;
	uint8_t *out;      /* CREATE_ARENA: compressed frames */
	struct arena arena; /* names, xattrs, prior entries */
	struct event *events;
	size_t event_count;
	struct job_chunk *chunks;
	size_t chunk_count, chunk_cap;
	struct qs_chunk_entry *entries; /* of the frames */
	size_t entry_count, entry_cap;
	struct job_frame *frames;
	size_t frame_count, frame_cap;
};

enum qs_code job_new(struct job **out, struct qs_err *err);
void job_free(struct job *job);
void job_reset(struct job *job);
/* NULL when out of memory. */
struct job_chunk *job_add_chunk(struct job *job);
struct qs_chunk_entry *job_add_entry(struct job *job);
struct job_frame *job_add_frame(struct job *job);

/* ------------------------------------------------- work, and its order */

struct staged { /* a pack that is down but has no name yet */
	struct qs_stage *stage;
	struct qs_pack_ref ref;
	struct qs_pack_dir dir; /* owned */
};

/*
 * The switchboard: jobs to do, packs to seal, jobs done, packs staged.  One
 * lock; a failure wakes everybody.
 */
struct board {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	/* all guarded by lock: */
	bool failed, planned_all, packed_all;
	struct qs_err failure;
	struct job *idle[CREATE_JOBS], *ready[CREATE_JOBS];
	struct job *ring[CREATE_JOBS]; /* by number % CREATE_JOBS */
	size_t idle_count, ready_count;
	uint64_t next_number; /* of the next job to be planned */
	struct qs_pack_builder *free_builders[CREATE_BUILDERS];
	struct qs_pack_builder *full[CREATE_BUILDERS];
	bool full_tail[CREATE_BUILDERS];
	size_t free_count, full_count;
	size_t sealing; /* packs being sealed and staged */
	struct staged staged[CREATE_STAGED_MAX];
	size_t staged_count, staged_taken; /* taken: being committed */
	size_t staged_chunks; /* in those staged and not taken */
	bool flush; /* commit also less than a full set of lanes */
};

enum qs_code board_init(struct board *board, const struct qs_keys *keys,
	struct qs_err *err);
void board_clear(struct board *board);
/* First failure wins. */
void board_fail(struct board *board, const struct qs_err *err);
bool board_failed(struct board *board);
/* NULL after a failure. */
struct job *board_take_idle(struct board *board);
void board_put_ready(struct board *board, struct job *job);
void board_planned_all(struct board *board);

struct work { /* one of the two, or neither: no more work */
	struct job *job;
	struct qs_pack_builder *builder;
	bool is_tail;
};

struct work board_take_work(struct board *board);
void board_job_done(struct board *board, struct job *job);
/*
 * The builder is free again; staged (NULL: sealing failed) goes to the
 * committer.  false: not taken, because of a failure.
 */
bool board_staged(struct board *board, struct qs_pack_builder *builder,
	const struct staged *staged);
/* The next job in order, when it is done; NULL at the end or on failure. */
struct job *board_next_done(struct board *board, uint64_t number);
void board_put_idle(struct board *board, struct job *job);
struct qs_pack_builder *board_take_builder(struct board *board);
void board_put_full(struct board *board, struct qs_pack_builder *builder,
	bool is_tail);
/* No more packs will come: workers and committer may end. */
void board_packed_all(struct board *board);
/*
 * For the committer: up to max staged packs, once there are that many (or so
 * many chunks in them that their ids take much room), or a flush is asked for,
 * or all is packed.  0: no more will come.
 */
size_t board_take_staged(struct board *board, struct staged *out, size_t max);
void board_committed(struct board *board, size_t count);
/* Wait until everything put so far is committed. false: failure. */
bool board_flush(struct board *board);

/* ---------------------------------------------------------- claimed ids */

/*
 * Chunks that this run has taken upon itself to store but that the index does
 * not have yet.  Thread-safe.
 */
struct claims;

enum qs_code claims_new(struct claims **out, struct qs_err *err);
void claims_free(struct claims *claims);
/* state[i]: NEW for the first who asks for a chunk that nobody has. */
enum qs_code claims_ask(struct claims *claims, struct qs_index *index,
	const struct qs_id *ids, enum chunk_state *states, size_t count,
	struct qs_err *err);
void claims_settle(struct claims *claims, const struct qs_pack_dir *dir);

/* ------------------------------------------------------------ metadata */

/* Names of owners, remembered and kept until freed; thread-safe. */
struct owners;

enum qs_code owners_new(struct owners **out, struct qs_err *err);
void owners_free(struct owners *owners);
struct qs_span owners_user(struct owners *owners, uint32_t uid);
struct qs_span owners_group(struct owners *owners, uint32_t gid);

/* Fill node from facts (type, mode, times, owner ...), no content. */
void meta_from_facts(struct qs_node *node, const struct facts *facts,
	struct owners *owners);
/*
 * Extended attributes (and ACLs, which are such) of fd, or, fd < 0, of name in
 * folder_fd, which may be a symlink.  QS_ENOTFOUND when it vanished.
 */
enum qs_code meta_xattrs(struct arena *arena, int fd, int folder_fd,
	const char *name, struct qs_node *node, struct qs_err *err);
enum qs_code meta_target(struct arena *arena, int folder_fd,
	const char *name, uint64_t size, struct qs_node *node,
	struct qs_err *err);
bool meta_racy(const struct facts *facts);

/* ---------------------------------------------------------------- prior */

/*
 * What is known of a folder from before, in order of name: its directory
 * rows, or else the parent snapshot's tree.  One thread at a time.
 */
struct prior;

struct prior_entry {
	struct qs_node node;
	bool has_inode; /* from a row: ino and ctime are known */
	uint64_t ino;
	int64_t ctime_ns;
	uint32_t place;
	bool is_fresh; /* from a row: it need not be looked up again */
};

enum qs_code prior_open(struct create *create, const struct folder *folder,
	const struct qs_content *parent_content, struct prior **out,
	struct qs_err *err);
void prior_close(struct prior *prior); /* NULL is fine */
/*
 * The entry of this name, skipping smaller ones; NULL: there is none.
 * is_target false: in a made-up folder, one that is made up itself.
 */
const struct prior_entry *prior_seek(struct prior *prior,
	struct qs_span name, bool is_target);
/* Nothing is left, nothing was skipped, and these are rows. */
bool prior_all_matched(struct prior *prior, uint32_t matched);
bool prior_fresh(const struct prior *prior);
/* The folder's content as the last row has it; count 0, refs NULL: unknown. */
struct qs_content prior_content(const struct prior *prior);

/* Making rows: see create_row.c for the layout. */
void row_key(const uint8_t path_hash[static 32], uint32_t segment,
	uint8_t key[static QS_DIR_KEY_LEN]);

struct row_head {
	bool is_last;
	uint32_t count;
	struct qs_content content; /* of the last segment */
};

bool row_open(struct qs_span row, struct row_head *out,
	struct qs_reader *entries);
bool row_next(struct qs_reader *entries, struct prior_entry *out);

struct row_writer {
	struct qs_buf bytes;
	uint32_t count, segment;
	bool same; /* this segment is what is there already */
};

enum qs_code row_add(struct row_writer *row, uint64_t ino, int64_t ctime_ns,
	struct qs_span entry, struct qs_err *err);
/* Put the head in front of the entries: the row as it is kept. */
enum qs_code row_finish(struct row_writer *row, bool is_last,
	const struct qs_content *content, struct qs_err *err);
/* Put it into the index, and begin the next segment; content: the last's. */
enum qs_code row_put(struct qs_index *index,
	const uint8_t path_hash[static 32], struct row_writer *row,
	bool is_last, const struct qs_content *content, struct qs_err *err);
/* The row of what was named by itself in the folder with the hash parent. */
enum qs_code row_put_target(struct qs_index *index,
	const uint8_t parent[static 32], struct qs_span name, uint64_t ino,
	int64_t ctime_ns, struct qs_span entry, struct qs_err *err);

/* ------------------------------------------------------------- the run */

struct packer; /* create_pack.c: where chunks go; the assembler's */

struct create {
	struct qs_folder *folder;
	const struct qs_create_options *options;
	const struct qs_report *report;
	struct qs_index *index;
	struct qs_store *store;
	const struct qs_keys *keys;
	struct qs_chunker chunker;
	const struct qs_snapshot *parent;
	struct qs_source *source; /* of the parent's trees; may be NULL */
	struct board board;
	struct qs_queue *batches, *empty_batches;
	struct claims *claims;
	struct owners *owners;
	pthread_mutex_t report_lock;
	/* the assembler's, read after the end: */
	struct qs_totals totals;
	struct qs_content root;
	struct qs_buf root_bytes;
	/*
	 * The entries of the targets themselves, as stored, one after the
	 * other: what --skip-if-unchanged compares.  The folders on the way
	 * to them (/tmp) have times that are nobody's business.
	 */
	struct qs_buf targets;
	struct qs_buf target_paths; /* theirs in the tree, each with a NUL */
	_Atomic bool target_lost;   /* there was one more to be saved */
	uint64_t new_chunks; /* trees and lists stored, but for those folders */
	/* the committer's, read after board_flush: */
	struct qs_name *committed;
	size_t committed_count, committed_cap;
	_Atomic uint64_t error_count;
	/* who, where and when, as it goes into the record */
	int64_t began_ns, began_mono_ns;
	uint32_t uid, gid;
	char host[256], user[256];
	char **paths; /* as they will be shown: absolute */
	size_t path_count;
};

/* To be told, but nothing that the snapshot lacks; path may be NULL. */
void create_tell(struct create *create, const char *path,
	const struct qs_err *err);
/* A warning about one file, which is lacking or partly so; the run goes on. */
void create_warn(struct create *create, const char *path,
	const struct qs_err *err);
void create_event(struct create *create, enum qs_event_kind kind,
	const char *path, enum qs_node_type type, uint64_t size);
bool create_stopped(struct create *create); /* cancelled or failed */

void create_plan_run(void *arg);     /* thread: planner */
void create_work_run(void *arg);     /* thread: worker */
void create_commit_run(void *arg);   /* thread: committer */
/* The assembler: runs in the caller's thread until the last job. */
enum qs_code create_assemble(struct create *create, struct packer *packer,
	struct qs_err *err);

enum qs_code packer_new(struct create *create, struct packer **out,
	struct qs_err *err);
void packer_free(struct packer *packer);
/* Put a job's frames into packs. */
enum qs_code packer_add_job(struct packer *packer, const struct job *job,
	struct qs_err *err);
/* Store a tree, list or index chunk if it is not known; gives its id. */
enum qs_code packer_add_chunk(struct packer *packer, enum qs_kind kind,
	struct qs_span plain, struct qs_id *id, struct qs_err *err);
/* What is gathered goes into the open pack. */
enum qs_code packer_flush_frames(struct packer *packer, struct qs_err *err);
/* Hand the open pack over as the tail, if there is anything in it. */
enum qs_code packer_finish(struct packer *packer, struct qs_err *err);

/* Index chunks, tail, record: after the assembler. */
enum qs_code create_finish(struct create *create, struct packer *packer,
	struct qs_create_result *result, struct qs_err *err);

#endif
