/* SPDX-License-Identifier: ISC */
/*
 * The part of store.h that is about what goes away: what is retired, and the
 * trash of a directory store.
 */
#ifndef QS_RETIREMENT_H
#define QS_RETIREMENT_H

#include "store/store.h"

/* ---------------------------------------------------------- retirement */

/*
 * Which names are retired, by the whole log and no key: docs/FORMAT.md, "What
 * is retired".  Made by giving it every record of a walk.
 */
struct qs_retirement;

/* What a record's retire_seen says: the first 4 bytes of the NAME. */
uint32_t qs_retire_seen(const struct qs_name *retire_record);

QS_MUST_CHECK enum qs_code qs_retirement_new(
	const uint8_t adm_pk[static 32], struct qs_retirement **out,
	struct qs_err *err);
/* The same from the whole log of a store, verified, and finished. */
QS_MUST_CHECK enum qs_code qs_retirement_load(struct qs_store *store,
	struct qs_retirement **out, struct qs_err *err);
void qs_retirement_free(struct qs_retirement *retirement);
/* A record that verified, in the order of qs_log_walk. */
QS_MUST_CHECK enum qs_code qs_retirement_take(
	struct qs_retirement *retirement, const struct qs_record *record,
	struct qs_err *err);
/*
 * There is a record of this number that can't be read: it may be a SNAPSHOT
 * that did not know.  Before qs_retirement_finish.
 */
QS_MUST_CHECK enum qs_code qs_retirement_miss(
	struct qs_retirement *retirement,
	const uint8_t device[static QS_DEVICE_LEN], uint64_t seq,
	struct qs_err *err);
/* After the last one, and before any question. */
QS_MUST_CHECK enum qs_code qs_retirement_finish(
	struct qs_retirement *retirement, struct qs_err *err);

struct qs_retired_by { /* why a name is retired */
	uint64_t seq;          /* the first RETIRE record that counts for it */
	struct qs_name record;
};

/* An object: retired, and nothing has it in use.  why may be NULL. */
bool qs_retirement_has(const struct qs_retirement *retirement,
	const struct qs_name *name, struct qs_retired_by *why);
/* A key slot: whatever has happened since. */
bool qs_retirement_has_slot(const struct qs_retirement *retirement,
	const struct qs_name *name, struct qs_retired_by *why);
/*
 * Does a RETIRE, whether it counts or not, name it of which a record with this
 * retire_seen knew nothing?  Then it may be gone.  The admin's records are
 * enough to ask.
 */
bool qs_retirement_excuses(const struct qs_retirement *retirement,
	const struct qs_name *name, uint32_t retire_seen);
/* How many names are retired; each, ascending. */
size_t qs_retirement_count(const struct qs_retirement *retirement);
const struct qs_name *qs_retirement_name(
	const struct qs_retirement *retirement, size_t i);
/* RETIRE records that do not count, because of a snapshot that knew nothing
 * of them and of which they knew nothing. */
size_t qs_retirement_void_count(const struct qs_retirement *retirement);
/*
 * What RETIRE records that do not count name, and snapshots list, and none
 * that knew of the RETIRE: who says in a record that he knows of it and uses
 * such an object has to list it again.  Ascending.
 */
size_t qs_retirement_disputed_count(const struct qs_retirement *retirement);
const struct qs_name *qs_retirement_disputed(
	const struct qs_retirement *retirement, size_t i);
/*
 * The newest RETIRE record that the next record of the admin's chain will
 * follow, for retire_seen; false: there is none, or the chain has a gap, so
 * that nobody can tell what else is in front of it.
 */
bool qs_retirement_newest(const struct qs_retirement *retirement,
	struct qs_name *out);

/* --------------------------------------------- the trash of a directory */

/*
 * Of a directory store (QS_EUNSUPPORTED for the others).  What is in the trash
 * is still found by get and have, but not listed; an append that names it
 * brings it back.  Durable on return.
 */
QS_MUST_CHECK enum qs_code qs_store_trash(struct qs_store *store,
	const struct qs_ref *ref, struct qs_err *err);
QS_MUST_CHECK enum qs_code qs_store_untrash(struct qs_store *store,
	const struct qs_ref *ref, struct qs_err *err);
/* Gone for good.  Only what is in the trash can be. */
QS_MUST_CHECK enum qs_code qs_store_purge(struct qs_store *store,
	const struct qs_ref *ref, struct qs_err *err);
/* ms: since when it is there, by the file's ctime. */
typedef enum qs_code (*qs_trash_fn)(void *arg, const struct qs_ref *ref,
	uint64_t ms, struct qs_err *err);
QS_MUST_CHECK enum qs_code qs_store_each_trashed(struct qs_store *store,
	qs_trash_fn fn, void *arg, struct qs_err *err);
/*
 * Nothing is appended to the log by anybody while it is held, so that what the
 * log says stays true while something is purged.  *lock is closed to end it.
 */
QS_MUST_CHECK enum qs_code qs_store_hold_log(struct qs_store *store, int *lock,
	struct qs_err *err);
/* The file itself, to be sent without copying; *fd is the caller's. */
QS_MUST_CHECK enum qs_code qs_store_open_file(struct qs_store *store,
	const struct qs_ref *ref, int *fd, uint64_t *size,
	struct qs_err *err);
/*
 * A part of an area: of the objects those whose names begin with this byte
 * (foreign files beside them come with part 0), else 0: all.
 */
QS_MUST_CHECK enum qs_code qs_store_list_part(struct qs_store *store,
	enum qs_area area, uint8_t part, qs_list_fn fn, void *arg,
	struct qs_err *err);
/* When a file came here, by its ctime. */
QS_MUST_CHECK enum qs_code qs_store_arrived(struct qs_store *store,
	const struct qs_ref *ref, uint64_t *ms, struct qs_err *err);

#endif
