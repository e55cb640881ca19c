/* SPDX-License-Identifier: ISC */
/*
 * What the files of fuse/ share.
 *
 * A node id tells where a node is, so that nothing is kept for each file:
 * the number of the directory it is in (28 bits) and where its entry begins
 * in the bytes of that directory's tree (36 bits); a directory itself is its
 * own number and 0.  So only directories that the kernel knows cost memory.
 *
 * Locks: each part has one of its own, and no part calls another (nor reads
 * the store) with it held.
 */
#ifndef QS_MOUNT_INTERNAL_H
#define QS_MOUNT_INTERNAL_H

#define FUSE_USE_VERSION 314
#include <fuse_lowlevel.h>
#include <pthread.h>
#include <sys/stat.h>

#include "fuse/fuse.h"

/*
 * Threads that serve requests; how many of them may be asking the store at
 * once (one more may be looking at the log, so one is always free to refuse);
 * and how many may hang there before the others are refused at once.
 */
#define MOUNT_THREADS 8
#define MOUNT_ACTIVE_MAX 6
#define MOUNT_STUCK_MAX 5
#define MOUNT_FOREVER (365.0 * 24 * 3600) /* seconds; what never changes */
#define MOUNT_SOON 1.0                    /* what may */

/* ------------------------------------------------------------- node ids */

#define MOUNT_OFF_BITS 36
#define MOUNT_OFF_MAX ((UINT64_C(1) << MOUNT_OFF_BITS) - 1)
#define MOUNT_DIRS_MAX (UINT32_C(1) << 28)

/* The root's is FUSE_ROOT_ID: an entry never begins at 1. */
static inline fuse_ino_t
mount_node_id(uint32_t dir, uint64_t off)
{
	if (dir == 0 && off == 0)
		return FUSE_ROOT_ID;
	return (uint64_t)dir << MOUNT_OFF_BITS | off;
}

static inline uint32_t
mount_node_dir(fuse_ino_t node)
{
	return node == FUSE_ROOT_ID ? 0 : (uint32_t)(node >> MOUNT_OFF_BITS);
}

static inline uint64_t
mount_node_off(fuse_ino_t node)
{
	return node == FUSE_ROOT_ID ? 0 : node & MOUNT_OFF_MAX;
}

/* ---------------------------------------------------------- directories */

enum mount_kind {
	MOUNT_ROOT,      /* latest, snapshots, ids, hosts, tags */
	MOUNT_SNAPSHOTS, /* by time */
	MOUNT_IDS,       /* by id */
	MOUNT_HOSTS, MOUNT_HOST,
	MOUNT_TAGS, MOUNT_TAG,
	MOUNT_TREE,      /* stored; all others follow the log */
};

struct mount_dir { /* constant while somebody has it, but for what is said */
	enum mount_kind kind;
	uint32_t number;
	struct mount_dir *parent; /* NULL: the mount's root */
	uint64_t key;             /* which of the parent's it is */
	uint64_t ino;             /* st_ino */
	/* MOUNT_TREE: */
	bool is_top;         /* a snapshot's root: has no entry of its own */
	uint64_t top_ino;    /* of its snapshot: links are told apart by it */
	int64_t top_time_ns; /* of its snapshot */
	uint64_t size;
	struct qs_content content;
	/* MOUNT_HOST, MOUNT_TAG: */
	char *name;
	/* guarded by the table's lock: */
	uint64_t lookups; /* by the kernel, of it and of what is in it */
	size_t users;     /* threads and children */
	struct mount_dir *chain;
	/* guarded by the lock of mount->ahead: */
	uint64_t ahead_from, ahead_to; /* entries whose chunks were fetched */
	bool is_fetching;
};

struct mount_dirs;

/* what: kind, ino ... are copied, with what content and name point at. */
QS_MUST_CHECK enum qs_code mount_dirs_new(const struct mount_dir *root,
	struct mount_dirs **out, struct qs_err *err);
void mount_dirs_free(struct mount_dirs *dirs);
/* NULL when the kernel names what it never got. */
struct mount_dir *mount_dir_get(struct mount_dirs *dirs, uint32_t number);
void mount_dir_put(struct mount_dirs *dirs, struct mount_dir *dir);
/* The parent's directory of that key, found or made; put it back. */
QS_MUST_CHECK enum qs_code mount_dir_child(struct mount_dirs *dirs,
	struct mount_dir *parent, const struct mount_dir *what,
	struct mount_dir **out, struct qs_err *err);
void mount_dir_look(struct mount_dirs *dirs, struct mount_dir *dir);
void mount_dir_forget(struct mount_dirs *dirs, uint32_t number,
	uint64_t lookups);
size_t mount_dirs_count(struct mount_dirs *dirs); /* for tests */

/* -------------------------------------------------- snapshots by names */

struct mount_shot { /* a snapshot as the mount shows it */
	struct qs_name record;
	int64_t time_ns;
	char *time_name, *id_name, *host; /* fit to be file names */
	char **tags;                      /* the same; NULL-terminated */
	uint64_t bytes, files;
	struct qs_content root; /* owned */
};

/* What the log said at a moment; constant. */
struct mount_view {
	struct mount_shot *shots; /* oldest first */
	size_t count;
	char **hosts, **tags; /* sorted, each once */
	size_t host_count, tag_count;
	int64_t made_ns; /* the wall clock's time when it became so */
	uint64_t bytes, files;
	size_t users; /* guarded by the lock of mount->views */
};

struct mount_views;

QS_MUST_CHECK enum qs_code mount_views_new(struct qs_folder *folder,
	const struct qs_filter *filter, struct mount_views **out,
	struct qs_err *err);
void mount_views_free(struct mount_views *views);
/*
 * The newest view; when the last look at the log is older than a second, and
 * nobody else is at it, it is looked at again first.  *trouble: why that could
 * not be done (code QS_OK else); the view is then the one from before.
 */
struct mount_view *mount_view_get(struct mount_views *views,
	struct qs_err *trouble);
void mount_view_put(struct mount_views *views, struct mount_view *view);

/* Of all its snapshots; the log is not looked at. */
void mount_views_sums(struct mount_views *views, uint64_t *bytes,
	uint64_t *files);

struct mount_item { /* a name in a directory that follows the log */
	const char *name;
	enum mount_kind kind;
	const struct mount_shot *shot; /* MOUNT_TREE */
};

/*
 * The next name at or after *at, which moves behind it; false at the end.
 */
bool mount_view_next(const struct mount_view *view,
	const struct mount_dir *dir, size_t *at, struct mount_item *out);
bool mount_view_named(const struct mount_view *view,
	const struct mount_dir *dir, const char *name,
	struct mount_item *out);

/* mount_names.c: file names out of what users chose */

/* Of a host or a tag: '/' and what no name can be are replaced. */
QS_MUST_CHECK enum qs_code mount_name_of(const char *text, char **out,
	struct qs_err *err);
/* Names of the shots by time and by id, each only once. */
QS_MUST_CHECK enum qs_code mount_names_shots(struct mount_view *view,
	struct qs_err *err);
/* Sorted, each once; frees what is left out. */
size_t mount_names_sort(char **names, size_t count);

/* --------------------------------------------------------------- mount */

struct mount_told;
struct mount_runs;
struct mount_ahead;
struct mount_watch;
struct mount_blocks;

struct mount {
	struct qs_mount_options options;
	struct qs_folder *folder;
	struct qs_source *source;
	uid_t uid;
	gid_t gid;
	bool is_owner_stored;
	/* To others, as owners and ACLs that would tell them apart are gone. */
	bool is_least_shown;
	struct fuse_session *session;
	struct mount_dirs *dirs;
	struct mount_views *views; /* NULL: one tree */
	uint64_t tree_bytes, tree_files; /* one tree: for statfs */
	/* One tree below a path: what its root was, and what that borrows. */
	bool has_root_node;
	struct qs_node root_node;
	struct qs_buf root_bytes;
	struct mount_told *told;
	struct mount_runs *runs;
	struct mount_ahead *ahead;
	struct mount_watch *watch;
	struct mount_blocks *blocks;
	bool has_no_open, has_no_opendir; /* the kernel can do without */
};

extern const struct fuse_lowlevel_ops mount_ops;

/*
 * Tell of it once: of an object (NULL: of these words; zeros: the index knows
 * of none, so those that it misses are named).
 */
QS_MUST_CHECK enum qs_code mount_told_new(struct qs_folder *folder,
	qs_trouble_fn fn, void *arg, struct mount_told **out,
	struct qs_err *err);
/* Tell what is left, and end the thread; mount_tell may still be called. */
void mount_told_end(struct mount_told *told);
void mount_told_free(struct mount_told *told);
void mount_tell(struct mount_told *told, const struct qs_name *object,
	const struct qs_err *trouble);
/* An errno for the kernel. */
int mount_errno(const struct qs_err *err);

/* --------------------------------------------- entries in stored trees */

struct mount_entry {
	struct qs_node node; /* borrowed from the part */
	uint64_t off, next;  /* in the directory's tree */
	struct qs_fetch part;
	uint64_t part_start;
};

/* Off comes out of a node id.  Release in every case. */
QS_MUST_CHECK enum qs_code mount_entry_at(struct mount *mount,
	const struct mount_dir *dir, uint64_t off, struct mount_entry *out,
	struct qs_err *err);
/* QS_ENOTFOUND. */
QS_MUST_CHECK enum qs_code mount_entry_named(struct mount *mount,
	const struct mount_dir *dir, struct qs_span name,
	struct mount_entry *out, struct qs_err *err);
/*
 * The first entry at or after off, which anybody may have made up; *end at the
 * end.  The entry of the call before may be given, so that its part is used
 * again; else it is all zeros.
 */
QS_MUST_CHECK enum qs_code mount_entry_next(struct mount *mount,
	const struct mount_dir *dir, uint64_t off, struct mount_entry *entry,
	bool *end, struct qs_err *err);
void mount_entry_release(struct mount *mount, struct mount_entry *entry);
/* The directory that an entry of dir is; put it back. */
QS_MUST_CHECK enum qs_code mount_entry_dir(struct mount *mount,
	struct mount_dir *dir, const struct mount_entry *entry,
	struct mount_dir **out, struct qs_err *err);
QS_MUST_CHECK enum qs_code mount_item_dir(struct mount *mount,
	struct mount_dir *dir, const struct mount_item *item,
	struct mount_dir **out, struct qs_err *err);
void mount_top_dir(const struct mount_shot *shot, struct mount_dir *out);

/* ----------------------------------------------------------- attributes */

uint64_t mount_ino(uint64_t parent, const void *name, size_t len);
QS_MUST_CHECK enum qs_code mount_blocks_new(struct mount_blocks **out,
	struct qs_err *err);
void mount_blocks_free(struct mount_blocks *blocks);
void mount_attr_node(struct mount *mount, const struct mount_dir *dir,
	const struct qs_node *node, struct stat *out);
/* What anybody could do with it, whoever he is; as a mode's last digit. */
uint32_t mount_mode_least(const struct qs_node *node);
void mount_attr_plain(struct mount *mount, const struct mount_dir *dir,
	int64_t time_ns, struct stat *out);

/* ------------------------------------------------- contents by offset */

struct mount_place { /* one reference */
	struct qs_id id;
	uint64_t start, len; /* within the content */
	bool is_hole;
};

/* References with where each ends: a node's own, or a list chunk's. */
struct mount_run {
	uint8_t key[32]; /* a list's id, or a node's */
	uint8_t depth;
	uint32_t count;
	uint64_t *ends;    /* of each, from the run's beginning */
	struct qs_id *ids; /* of each */
	size_t bytes;
	/* guarded by the lock of mount->runs: */
	size_t users;
	bool is_kept;
	struct mount_run *chain, *newer, *older;
	/* A node's, guarded by the lock of mount->ahead: */
	uint64_t read_to, ahead_to;
	unsigned streak;
};

QS_MUST_CHECK enum qs_code mount_runs_new(struct mount_runs **out,
	struct qs_err *err);
void mount_runs_free(struct mount_runs *runs);
/*
 * Of what is at off in dir (0: dir itself); NULL when it is not among those
 * kept.  Put back what was given.
 */
struct mount_run *mount_run_of_node(struct mount_runs *runs,
	const struct mount_dir *dir, uint64_t off);
QS_MUST_CHECK enum qs_code mount_run_make(struct mount_runs *runs,
	const struct mount_dir *dir, uint64_t off,
	const struct qs_content *content, struct mount_run **out,
	struct qs_err *err);
void mount_run_hold(struct mount_runs *runs, struct mount_run *run);
void mount_run_put(struct mount_runs *runs, struct mount_run *run);
static inline uint64_t
mount_run_size(const struct mount_run *run)
{
	return run->count > 0 ? run->ends[run->count - 1] : 0;
}
/* The reference that has this byte; offset is below the size. */
QS_MUST_CHECK enum qs_code mount_run_find(struct mount *mount,
	struct mount_run *run, uint64_t offset, struct mount_place *out,
	struct qs_err *err);

/* ---------------------------------------------------------- read-ahead */

QS_MUST_CHECK enum qs_code mount_ahead_new(struct mount *mount,
	struct mount_ahead **out, struct qs_err *err);
void mount_ahead_free(struct mount_ahead *ahead);
/* A node's pages are wrong: the kernel is to forget them. */
void mount_ahead_drop(struct mount *mount, fuse_ino_t node);
/* The file of run was read from offset on: what comes next is fetched. */
void mount_ahead_file(struct mount *mount, struct mount_run *run,
	uint64_t offset, uint64_t len);
/* The one chunk of an entry of dir was read; it is still pinned. */
void mount_ahead_small(struct mount *mount, struct mount_dir *dir,
	const struct mount_entry *entry, const struct qs_fetch *item);

/* ------------------------------------------------- requests under way */

struct mount_call {
	fuse_req_t req;
	int64_t begun_ns;
	bool is_active;   /* counts as asking the store */
	bool is_answered; /* guarded by the lock: by the watch, with EIO */
	struct mount_call *next, *prev;
};

QS_MUST_CHECK enum qs_code mount_watch_new(struct mount *mount,
	struct mount_watch **out, struct qs_err *err);
void mount_watch_free(struct mount_watch *watch);
/*
 * false: the store does not answer, and the request was refused.
 * asks_store: a stored tree or file is needed; else it never fails.
 */
bool mount_call_begin(struct mount_watch *watch, struct mount_call *call,
	fuse_req_t req, bool asks_store);
/* false: it took too long and was answered; else the caller answers now. */
bool mount_call_end(struct mount_watch *watch, struct mount_call *call);

/* Was it answered by the watch?  Then its request is gone. */
bool mount_call_is_late(struct mount_watch *watch, struct mount_call *call);
/* The loop has ended: what hangs from now on is not waited for long. */
void mount_watch_end(struct mount_watch *watch);

/* mount_read.c */
void mount_op_read(fuse_req_t req, fuse_ino_t node, size_t size, off_t off,
	struct fuse_file_info *info);
void mount_op_lseek(fuse_req_t req, fuse_ino_t node, off_t off, int whence,
	struct fuse_file_info *info);
/* mount_list.c */
void mount_op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name);
void mount_op_readdir(fuse_req_t req, fuse_ino_t node, size_t size,
	off_t off, struct fuse_file_info *info);
void mount_op_readdirplus(fuse_req_t req, fuse_ino_t node, size_t size,
	off_t off, struct fuse_file_info *info);

static inline struct mount *
mount_of(fuse_req_t req)
{
	return fuse_req_userdata(req);
}

#endif
