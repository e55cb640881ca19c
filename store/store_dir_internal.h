/* SPDX-License-Identifier: ISC */
/* What the directory store's own files share. */
#ifndef QS_STORE_DIR_INTERNAL_H
#define QS_STORE_DIR_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "store/store_internal.h"

#define DIR_MODE 0700
#define FILE_MODE 0400 /* nothing is ever written twice */

/* What the admin's RETIREs name, read when it is asked for. */
struct dir_gone {
	pthread_mutex_t lock; /* for all below */
	struct qs_retirement *retirement; /* NULL: not read yet */
	uint8_t admin[QS_DEVICE_LEN];
	struct timespec changed; /* the admin's directory, when it was read */
};

/*
 * Thread-safe: what changes is atomic, and only ever gets more bits; or has a
 * lock.
 */
struct dir_store {
	int fd;            /* of the folder; everything is below it */
	const char *place; /* the struct qs_store's */
	atomic_uint lacks; /* enum qs_dir_lack */
	atomic_bool swept; /* old temporaries were looked for */
	struct dir_gone gone;
};

/* NULL when the store is of another kind. */
struct dir_store *qs_store_as_dir(struct qs_store *store);

struct qs_file_path qs_dir_shard_path(const struct qs_name *name);
struct qs_file_path qs_dir_device_path(
	const uint8_t device[static QS_DEVICE_LEN]);
/* "<16 hex seq>-<64 hex>" and the end of the string */
bool qs_dir_parse_record(const char *text, struct qs_ref *out);

/*
 * Open a regular file for reading, of an object also in the trash;
 * QS_ENOTFOUND has its own sentence.
 */
QS_MUST_CHECK enum qs_code qs_dir_open_ref(const struct dir_store *self,
	const struct qs_ref *ref, int *out, struct qs_err *err);
enum qs_code qs_dir_list(void *self, enum qs_area area, qs_list_fn fn,
	void *arg, struct qs_err *err);

/* The records of one device, and what is foreign beside them. */
QS_MUST_CHECK enum qs_code qs_dir_list_device(void *self,
	const uint8_t device[static QS_DEVICE_LEN], qs_list_fn fn, void *arg,
	struct qs_err *err);

/* mkdir below the folder, if it is not there; to be synced by the caller. */
QS_MUST_CHECK enum qs_code qs_dir_make_at(const struct dir_store *self,
	const char *path, struct qs_err *err);
/* fsync a directory below the folder ("." is the folder). */
QS_MUST_CHECK enum qs_code qs_dir_sync_at(const struct dir_store *self,
	const char *path, struct qs_err *err);
/* Say what to do when the disk is full; other failures get context only. */
enum qs_code qs_dir_write_failed(const struct dir_store *self, const char *what,
	struct qs_err *err);

/* A file that has its bytes but not its name yet. */
struct dir_stage {
	int fd;
	uint64_t size;
	bool has_temp; /* temp is its name now, else it has none */
	struct qs_file_path temp;
};

/* Write bytes to a new nameless (or temporary) file in a directory. */
QS_MUST_CHECK enum qs_code qs_dir_stage_new(struct dir_store *self,
	const char *dir, struct qs_span bytes, struct dir_stage **out,
	struct qs_err *err);
/* Forget it and its temporary name; NULL is fine. */
void qs_dir_stage_free(const struct dir_store *self, struct dir_stage *stage);
/*
 * Give a staged file its name: atomic, and never over what is there.  A file
 * of the same length under that name counts as success.
 */
QS_MUST_CHECK enum qs_code qs_dir_stage_link(struct dir_store *self,
	const char *dir, struct dir_stage *stage, const char *path,
	struct qs_err *err);
/* Remove temporaries that a crash left in dir a day or more ago ... */
void qs_dir_sweep(const struct dir_store *self, const char *dir);
/* ... or one file, if it is such a temporary. */
void qs_dir_sweep_one(int dir_fd, const char *name);

/* The writing half of the contract. */
enum qs_code qs_dir_stage(void *self, struct qs_span object,
	struct qs_stage **out, struct qs_err *err);
enum qs_code qs_dir_stage_read(void *self, struct qs_stage *stage,
	uint64_t offset, uint8_t *out, size_t len, size_t *got,
	struct qs_err *err);
enum qs_code qs_dir_commit(void *self, struct qs_stage **stages,
	const struct qs_name *names, size_t count, struct qs_err *err);
void qs_dir_discard(void *self, struct qs_stage *stage);
enum qs_code qs_dir_settle(void *self, const struct qs_name *names,
	size_t count, struct qs_err *err);
enum qs_code qs_dir_append(void *self, const struct qs_record *record,
	struct qs_err *err);
enum qs_code qs_dir_put_key(void *self, struct qs_span slot,
	struct qs_name *name, struct qs_err *err);
enum qs_code qs_dir_drop_key(void *self, const struct qs_name *name,
	struct qs_err *err);

/* The trash. */
QS_MUST_CHECK enum qs_code qs_dir_trash(struct dir_store *self,
	const struct qs_ref *ref, struct qs_err *err);
/* flock(), where there is such a thing. */
QS_MUST_CHECK enum qs_code qs_dir_flock(int fd, int operation,
	struct qs_err *err);
/* The lock on all of log/; ends when *out is closed. */
QS_MUST_CHECK enum qs_code qs_dir_lock_log(const struct dir_store *self,
	int operation, int *out, struct qs_err *err);
/*
 * All objects that a SNAPSHOT names are here, brought back from the trash if
 * need be, or were retired since; QS_ENOTFOUND says which is not.  With the
 * log's lock, shared.
 */
QS_MUST_CHECK enum qs_code qs_dir_need_objects(struct dir_store *self,
	const struct qs_record *record, struct qs_err *err);
/* May an object that a record with this retire_seen names be gone? */
bool qs_dir_is_excused(struct dir_store *self, struct qs_store *store,
	const struct qs_name *name, uint32_t retire_seen);
/* A struct qs_store of it for the time of a call. */
struct qs_store qs_dir_as_store(struct dir_store *self,
	const uint8_t folder_id[static QS_FOLDER_ID_LEN]);

#endif
