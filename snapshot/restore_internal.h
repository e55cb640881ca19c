/* SPDX-License-Identifier: ISC */
/*
 * Restoring, between its own files.
 *
 *   walker (the caller's thread) ─jobs─▶ workers
 *   (folders, links, special files)      (fetch, write, set metadata, rename)
 *
 * Nothing is ever reached by a path: a folder is an opened descriptor, and
 * what is in it is named by one component that is never followed.  So no
 * symlink, neither of the snapshot nor of somebody else, leads out of the
 * target.
 *
 * A folder is kept open by references: the walker's, one of each folder in it
 * and one of each file under way.  Who drops the last one sets the folder's
 * metadata: after all that is in it, deepest first.
 */
#ifndef QS_RESTORE_INTERNAL_H
#define QS_RESTORE_INTERNAL_H

#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>

#include "snapshot/content_internal.h"
#include "snapshot/dir_internal.h"

#define RESTORE_FILES 128      /* small files of a job */
#define RESTORE_FOLDERS 32     /* folders a job may keep open */
#define RESTORE_PIECES 64      /* chunks fetched, and pinned, at once */
#define RESTORE_BYTES (1u << 20) /* of small files of a job */
#define RESTORE_SEGMENT (4u << 20) /* of a large file */
#define RESTORE_BLOCK 4096u    /* a run of zeros that can be a hole */
#define RESTORE_PARTIAL 32     /* ".<12 hex>.partial" */

struct restore_folder {
	_Atomic unsigned references;
	struct restore_folder *parent; /* a reference; NULL: the target */
	int fd;         /* -1: not there yet, or, in a dry run, at all */
	bool is_fresh;  /* made by this run: nothing foreign is in it */
	bool is_wanted; /* selected itself, not only on the way */
	bool is_opened_up; /* its mode was old_mode */
	bool gives_acl; /* to what is made in it */
	uint32_t gid;   /* what is made in it gets */
	bool is_parked; /* was open, and will be: see restore_room.c */
	dev_t dev;
	ino_t ino;
	mode_t old_mode;
	struct qs_buf entry; /* its node; empty: the target */
	char *name;          /* of the target: "", or "/a/b" of a subpath */
};

enum link_state { LINK_PENDING, LINK_DONE, LINK_FAILED };

struct restore_link { /* a file with several names, by its group */
	uint64_t group, size;
	uint8_t digest[32]; /* of type, content, target, device */
	uint32_t seen;
	enum link_state state; /* guarded by the restore's lock */
	dev_t dev;             /* guarded by lock, as ino */
	ino_t ino;
	char *path; /* of its first name, below the target */
	struct restore_link *next;
};

struct restore_links { /* all-zero is empty; one thread at a time */
	struct restore_link **buckets;
	size_t bucket_count, count;
};

struct restore_link *restore_links_find(struct restore_links *links,
	uint64_t group);
enum qs_code restore_links_add(struct restore_links *links,
	const struct qs_node *node, const char *path,
	struct restore_link **out, struct qs_err *err);
/* Same bytes as its group's first? Only then a link tells the truth. */
bool restore_link_fits(const struct restore_link *link,
	const struct qs_node *node);
void restore_links_drop(struct restore_links *links,
	struct restore_link *link);
void restore_links_clear(struct restore_links *links);

struct restore_file { /* on its way to its name */
	struct restore_folder *folder; /* a reference */
	size_t entry_off, entry_len, path_off;
	uint64_t number;   /* restore_number */
	bool replaces;     /* something is there that may be replaced */
	struct restore_link *link;
	/* while it is being written: */
	struct qs_node node;
	const char *path, *name;
	int fd;
	char partial[RESTORE_PARTIAL];
};

struct restore_big { /* a file that many jobs write */
	_Atomic unsigned references;
	_Atomic bool is_failed;
	struct restore_file file;
	struct qs_buf bytes; /* the file's entry and path */
};

struct restore_piece {
	struct qs_id id;
	uint32_t len;
	uint64_t offset;
};

struct restore_job { /* owned by one thread at a time */
	struct restore_file files[RESTORE_FILES];
	size_t count, folder_count;
	struct qs_buf bytes; /* entries and paths */
	struct restore_big *big; /* a reference: pieces of it, no files */
	struct restore_piece pieces[RESTORE_PIECES];
	size_t piece_count;
	uint64_t piece_bytes;
};

#define RESTORE_OWNERS 64

struct restore_owner { /* a name looked up on this machine */
	char name[256];
	bool is_user, is_used, is_known;
	uint32_t id;
};

struct restore {
	struct qs_source *source;
	const struct qs_content *root;
	const struct qs_restore_options *options;
	const struct qs_report *report;
	int target_fd; /* borrowed from the target's folder */
	uint32_t euid, egid;
	gid_t *groups;
	size_t group_count;
	uint64_t partial_base;
	_Atomic uint64_t partial_count;
	struct qs_queue *idle, *ready;
	struct restore_job *jobs;
	size_t job_count, thread_count;
	size_t folder_room; /* folders that may be open */
	_Atomic size_t open_folders;
	_Atomic bool is_stopped;
	_Atomic uint64_t files_restored, others, dirs, bytes_restored, errors;
	_Atomic uint64_t dropped_modes, dropped_xattrs, dropped_devices;
	_Atomic uint64_t refused_xattrs; /* the file system takes none */
	pthread_mutex_t lock;
	pthread_cond_t link_done, job_done;
	/* guarded by lock: */
	size_t jobs_out; /* with the workers */
	struct qs_err failure; /* the first that stops all; code QS_OK: none */
	struct qs_buf marks;   /* a bit for each number */
	struct restore_owner owners[RESTORE_OWNERS];
	/* the walker's: */
	struct restore_job *open_job;
	struct restore_links links;
	uint64_t files_skipped, bytes_skipped, files_deleted;
	uint64_t total_files, total_bytes, number, verified;
};

/* -------------------------------------- restore.c, restore_report.c */

/* qs_restore for who has no folder; snapshot may be NULL. */
enum qs_code qs_restore_tree(struct qs_source *source,
	const struct qs_content *root, const struct qs_snapshot *snapshot,
	const struct qs_restore_options *options,
	const struct qs_report *report, struct qs_restore_result *out,
	struct qs_err *err);
void restore_event(struct restore *restore, enum qs_event_kind kind,
	const char *path, const struct qs_node *node);
/* A warning; counted as an error. A full disk, for one, stops the run. */
void restore_warn(struct restore *restore, const char *path,
	const struct qs_err *err);
void restore_warn_folder(struct restore *restore,
	const struct restore_folder *folder, const struct qs_err *err);
/* NUL-terminated; "" is the target of a whole snapshot. */
enum qs_code restore_folder_path(const struct restore_folder *folder,
	struct qs_buf *out, struct qs_err *err);
/* A word for all that was left out on purpose. */
void restore_tell_dropped(struct restore *restore);
/* Told, not counted. */
void restore_note(struct restore *restore, const char *path,
	const struct qs_err *err);
/*
 * For verifying, the selected files and the folders are numbered in the order
 * of the walk, and what was written or entered is marked.
 */
enum qs_code restore_number(struct restore *restore, uint64_t *number,
	struct qs_err *err);
void restore_mark(struct restore *restore, uint64_t number);
bool restore_is_marked(struct restore *restore, uint64_t number);
void restore_stop(struct restore *restore, const struct qs_err *err);
bool restore_stopped(struct restore *restore);
/* Selected? *below: look into it though it is not. */
bool restore_selects(const struct restore *restore, const char *path,
	bool *below);

static inline int64_t
restore_mtime(const struct stat *st)
{
	return (int64_t)((uint64_t)st->st_mtim.tv_sec * 1000000000u) +
		st->st_mtim.tv_nsec;
}

/* ---------------------------------------------------- restore_walk.c */

/* root is what becomes the target: of a snapshot's root only the content. */
enum qs_code restore_walk(struct restore *restore,
	const struct qs_node *root, const char *prefix,
	struct restore_folder *target, struct qs_err *err);
/* One node that is not a folder, below the target at path + skip. */
void restore_entry(struct restore *restore, struct restore_folder *folder,
	const struct qs_node *node, const char *path, size_t skip);

/* ---------------------------------- restore_link.c: the walker's alone */

/*
 * true: it is there now, as one more name.  Otherwise *link (or NULL) is what
 * is to be told when it is written.  Only what this run wrote or found to be
 * unchanged is ever linked to.
 */
bool restore_link_try(struct restore *restore, struct restore_folder *folder,
	const struct qs_node *node, const char *path, size_t skip,
	bool replaces, struct restore_link **link);
/*
 * An unchanged name (path: below the target) that is there already.  false: it
 * is another file than the names before it.
 */
bool restore_link_keep(struct restore *restore, const struct stat *st,
	const struct qs_node *node, const char *path);
/* Symlinks and special files are made by the walker, not by a worker. */
void restore_link_made(struct restore *restore, struct restore_folder *folder,
	const char *name, struct restore_link *link, bool is_made);

/* -------------------------------------------------- restore_folder.c */

/* prefix: the path of the target's contents in the snapshot, "" or "/a/b". */
enum qs_code restore_target_open(struct restore *restore, const char *prefix,
	struct restore_folder **out, struct qs_err *err);
/* Takes a reference to parent. Nothing is made. */
enum qs_code restore_folder_new(struct restore_folder *parent,
	const struct qs_node *node, struct restore_folder **out,
	struct qs_err *err);
/* Open it if it is there. */
void restore_folder_look(struct restore *restore,
	struct restore_folder *folder);
/* Make it and those above; in a dry run: look. */
enum qs_code restore_folder_make(struct restore *restore,
	struct restore_folder *folder, struct qs_err *err);
void restore_folder_take(struct restore_folder *folder);
void restore_folder_drop(struct restore *restore,
	struct restore_folder *folder); /* NULL is fine */
/*
 * The folder of path (below the target) by its components; *name: the rest.
 * *out serves for *at() calls and can't be listed.
 */
enum qs_code restore_open_parent(int target_fd, const char *path, int *out,
	const char **name, struct qs_err *err);

/* ------------------------------------ restore_room.c: the walker's alone */

/* How many threads, jobs and open folders the limit of descriptors allows. */
void restore_room_set(struct restore *restore);
/* Open a folder by its name in its parent, which is open; -1 and errno. */
int restore_room_open(struct restore *restore, struct restore_folder *folder);
/* Any thread; one that is not open is fine. */
void restore_room_close(struct restore *restore,
	struct restore_folder *folder);
/* The walker leaves folder: the one above it is open again, or that is told. */
void restore_room_return(struct restore *restore,
	struct restore_folder *folder);

/* ---------------------------------------------------- restore_work.c */

void restore_work_run(void *arg); /* thread */
/* Hand the file over: takes the folder reference in file. */
void restore_file_add(struct restore *restore, struct restore_file *file,
	const struct qs_node *node, const char *path);
void restore_flush(struct restore *restore); /* the job being filled */

/* ------------------------------------------------------ restore_out.c */

enum qs_code restore_out_open(struct restore *restore,
	struct restore_file *file, struct qs_err *err);
enum qs_code restore_out_write(struct restore *restore,
	struct restore_file *file, const uint8_t *data, size_t len,
	uint64_t offset, struct qs_err *err);
/* Metadata and the name; or, after a failure, away with it. */
enum qs_code restore_out_finish(struct restore *restore,
	struct restore_file *file, struct qs_err *err);
void restore_out_abort(struct restore *restore, struct restore_file *file);
void restore_partial_name(struct restore *restore,
	char out[static RESTORE_PARTIAL]);
/* From partial to name, both in folder. */
enum qs_code restore_rename(const struct restore_folder *folder,
	const char *partial, const char *name, bool replaces,
	struct qs_err *err);

/* ----------------------------------------------------- restore_meta.c */

struct restore_had { /* what the new or old inode has */
	uint32_t uid, gid;
	mode_t mode;
	bool inherits; /* was made where folders give ACLs: mode is a guess */
};

/*
 * Owner, user.* attributes, mode, other attributes, times: in that order, as
 * each may undo or forbid parts of the others.  All are tried; the first
 * failure is given.
 */
enum qs_code restore_meta_fd(struct restore *restore, int fd,
	const struct qs_node *node, const struct restore_had *had,
	struct qs_err *err);
/* The same for what can't be opened: it is held by an O_PATH descriptor. */
enum qs_code restore_meta_path(struct restore *restore, int path_fd,
	const struct qs_node *node, const struct restore_had *had,
	struct qs_err *err);

/* Has the folder an ACL for what is made in it? */
bool restore_acl_is_given(int folder_fd);
/* Those that a new folder was given. */
void restore_acl_drop(int fd);

/* ----------------------------------------------------- restore_node.c */

/* Symlinks and special files. */
enum qs_code restore_node(struct restore *restore,
	struct restore_folder *folder, const struct qs_node *node,
	const char *name, bool replaces, struct qs_err *err);
/* Another name for what link knows; QS_ENOTFOUND: it is not there any more. */
enum qs_code restore_link_make(struct restore *restore,
	struct restore_folder *folder, const struct restore_link *link,
	const char *name, bool replaces, struct qs_err *err);

/* --------------------------------------------------- restore_delete.c */

struct restore_extra; /* names that are in a folder */

enum qs_code restore_extra_read(const struct restore_folder *folder,
	struct restore_extra **out, struct qs_err *err);
void restore_extra_free(struct restore_extra *extra); /* NULL is fine */
/* None of them is deleted; if there is one, why is told. */
void restore_extra_spare(struct restore_extra *extra,
	const struct qs_err *why);
/* Delete what comes before name (len 0: all that is left); skip name. */
void restore_extra_upto(struct restore *restore, struct restore_extra *extra,
	const struct restore_folder *folder, struct qs_span name);
/*
 * A file, or a folder with all that is in it, on the same device; path is its
 * own in the snapshot.  What is excluded below it stays (*is_left), with the
 * folders it is in.  In a dry run all stays, and *is_left is told.
 */
enum qs_code restore_remove(const struct restore *restore, int folder_fd,
	const char *name, const char *path, bool *is_left,
	struct qs_err *err);

/* --------------------------------------------------- restore_verify.c */

enum qs_code restore_verify(struct restore *restore,
	const struct qs_content *root, const char *prefix,
	struct qs_err *err);
void restore_verify_file(struct restore *restore, const struct qs_node *node,
	const char *path, size_t skip);

#endif
