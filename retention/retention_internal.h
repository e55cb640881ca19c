/* SPDX-License-Identifier: ISC */
/*
 * retention, between its own files.  This folder is snapshot's other half, the
 * one that lets go: it alone sees snapshot's internals.
 */
#ifndef QS_RETENTION_INTERNAL_H
#define QS_RETENTION_INTERNAL_H

#include "retention/retention.h"
#include "snapshot/folder_internal.h"
#include "snapshot/idset_internal.h"

/* -------------------------------------------------------- forgotten.c */

/*
 * Write down that these snapshots (is_forgotten or not; any order) have that
 * state from now on; objects are names (ascending) that the first record lists.
 * is_exact: QS_ECONFLICT when this device's log has moved since it was read.
 */
QS_MUST_CHECK enum qs_code qs_turn(struct qs_folder *folder,
	const struct qs_name *records, size_t count, bool is_forgotten,
	struct qs_span objects, bool is_exact, struct qs_err *err);

/* ------------------------------------------------------------- live.c */

struct live {
	struct qs_source *source; /* borrowed */
	struct qs_progress *progress; /* or NULL */
	struct qs_idset chunks; /* every chunk that is reachable */
	struct qs_idset trees;  /* contents of folders that were walked */
	/* Index chunks of covers: useful, and nothing is lost without them. */
	struct qs_idset helpers;
	enum qs_code rc; /* what ends the walk */
	struct qs_err err;
	/* Go around what is gone or damaged; hole is the first such thing. */
	bool goes_on;
	struct qs_err hole; /* of the last snapshot; code QS_OK: it is whole */
	/* Each chunk when it is met first; may be NULL. */
	enum qs_code (*on_chunk)(void *arg, const struct qs_id *id,
		struct qs_err *err);
	void *arg;
};

void live_init(struct live *live, struct qs_source *source,
	struct qs_progress *progress);
void live_clear(struct live *live);
/* Whatever is reachable from the snapshot; fails on what can't be read. */
QS_MUST_CHECK enum qs_code live_add_snapshot(struct live *live,
	const struct qs_snapshot *snapshot, struct qs_err *err);
/* The index chunks of every device's newest cover. */
QS_MUST_CHECK enum qs_code live_add_covers(struct live *live,
	const struct qs_folder *folder, struct qs_err *err);

/* ------------------------------------------------------------- plan.c */

enum plan_fate { PLAN_KEEP, PLAN_REPACK, PLAN_RETIRE };

struct plan_pack { /* a pack that the index has */
	struct qs_name name;
	uint32_t number, size;
	/* One that a cover says is in this pack: it can't be moved. */
	bool has_helper;
	bool is_unlogged;     /* in no record yet */
	enum plan_fate fate;
	uint64_t used;      /* bytes of frames */
	uint64_t live;      /* thereof in use, if all it has counted in it */
	uint64_t own;       /* thereof in use, counted in one pack only */
	uint32_t own_count, helper_count; /* chunks, index chunks of them */
};

struct plan {
	struct plan_pack *packs; /* by name */
	size_t count, cap;
	struct qs_idset kept; /* chunks in use that are in packs to be kept */
};

/* A chunk of a pack's directory: is it in use? */
bool plan_is_live(const struct live *live, const struct qs_pack_dir *dir,
	const struct qs_chunk_entry *chunk);
void plan_clear(struct plan *plan);
/* NULL: the index has no such pack, or it is not in the store. */
const struct plan_pack *plan_find(const struct plan *plan,
	const struct qs_name *name);
/*
 * Count what is in use in each pack, and choose: live is complete.
 * QS_ENOTFOUND when a chunk in use is in no pack.
 */
QS_MUST_CHECK enum qs_code plan_make(struct plan *plan,
	struct qs_folder *folder, const struct live *live,
	const struct qs_retire_options *options, struct qs_err *err);

/* ----------------------------------------------------------- repack.c */

/*
 * Write what is in use in the packs to be packed anew, and in no other, into
 * new ones, durably; the index has them afterwards, as in no record yet.  Their
 * names are appended to names.
 */
QS_MUST_CHECK enum qs_code repack(struct qs_folder *folder,
	const struct live *live, struct plan *plan, enum qs_level level,
	struct qs_buf *names, struct qs_retire_result *result,
	struct qs_err *err);

#endif
