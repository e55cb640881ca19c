/* SPDX-License-Identifier: ISC */
/*
 * retention: what becomes of snapshots that nobody wants any more.  Forgetting
 * hides them, retiring names the objects that nothing remembered needs, and
 * undelete takes both back while the objects are still there.
 *
 * Threads: as struct qs_folder, one at a time.
 */
#ifndef QS_RETENTION_H
#define QS_RETENTION_H

#include "snapshot/snapshot.h"

/* ------------------------------------------------------ the forgotten */

/* Snapshots that are forgotten, oldest first; borrowed. */
size_t qs_forgotten_count(const struct qs_folder *folder);
const struct qs_snapshot *qs_forgotten(const struct qs_folder *folder,
	size_t i);
/* Among them, by 4 to 64 hex digits.  QS_ENOTFOUND; QS_EINVAL. */
QS_MUST_CHECK enum qs_code qs_forgotten_find(const struct qs_folder *folder,
	const char *text, const struct qs_snapshot **out,
	struct qs_err *err);
/*
 * Forget snapshots: a signed note in the log.  records are their ids, in any
 * order.  Pointers to snapshots stay good.
 */
QS_MUST_CHECK enum qs_code qs_forget(struct qs_folder *folder,
	const struct qs_name *records, size_t count, struct qs_err *err);

/* As if: nothing is written, only this folder object sees it so. */
QS_MUST_CHECK enum qs_code qs_forget_pretend(struct qs_folder *folder,
	const struct qs_name *records, size_t count, struct qs_err *err);

/* ------------------------------------------------------------ a policy */

#define QS_KEEP_ALL (-1)

struct qs_within { /* a time before the newest snapshot; all 0: none */
	int years, months, days, hours;
};

enum qs_period {
	QS_PERIOD_LAST, QS_PERIOD_HOURLY, QS_PERIOD_DAILY, QS_PERIOD_WEEKLY,
	QS_PERIOD_MONTHLY, QS_PERIOD_YEARLY,
	QS_PERIODS,
};

/*
 * What to keep, as restic means it: of each period the newest snapshot, in
 * local time, that many times; what is asked for in several ways is kept if
 * one of them says so.
 */
struct qs_policy {
	int keep[QS_PERIODS]; /* 0: none; QS_KEEP_ALL */
	/* Of LAST: everything within; else one for each such period. */
	struct qs_within within[QS_PERIODS];
	const char *const *tags; /* "a,b": those with both */
	size_t tag_count;
};

struct qs_verdict { /* on one snapshot */
	const struct qs_snapshot *snapshot;
	bool is_kept;
	char **reasons; /* why; NULL-terminated */
	size_t reason_count;
};

bool qs_policy_is_empty(const struct qs_policy *policy);
/* "1y5m7d2h"; QS_EINVAL. */
QS_MUST_CHECK enum qs_code qs_within_parse(const char *text,
	struct qs_within *out, struct qs_err *err);
/*
 * Judge snapshots, given in any order; *out has count verdicts, newest first,
 * for qs_verdicts_free.  now_ns: later ones are no measure of "within".
 */
QS_MUST_CHECK enum qs_code qs_policy_apply(const struct qs_policy *policy,
	const struct qs_snapshot *const *snapshots, size_t count,
	int64_t now_ns, struct qs_verdict **out, struct qs_err *err);
void qs_verdicts_free(struct qs_verdict *verdicts, size_t count);

/* ------------------------------------------------------------ retiring */

struct qs_retire_options {
	bool dry_run;
	/*
	 * How much of what is stored may be in use by nobody: a share of what
	 * is in use (0.05: a twentieth), or bytes (max_unused_bytes), or any
	 * amount (is_unlimited): then only packs that are wholly unused go.
	 */
	double max_unused;
	uint64_t max_unused_bytes; /* if has_bytes */
	bool has_bytes, is_unlimited;
	enum qs_level level; /* of what is packed anew */
};

struct qs_retire_result {
	uint64_t snapshots, forgotten;
	uint64_t packs, pack_bytes;          /* before */
	uint64_t kept;                       /* packs */
	uint64_t repacked, repacked_bytes;   /* packs partly in use */
	uint64_t unused, unused_bytes;       /* packs not in use at all */
	uint64_t lost; /* objects of records that the index lacks: go as well */
	uint64_t written, written_bytes;     /* new packs */
	uint64_t retired;                    /* names in the record */
	uint64_t waste_bytes; /* unused, but in packs that are kept */
	bool is_void; /* a snapshot came in between, so nothing goes yet */
};

/*
 * Find what nothing needs any more that is remembered, by any device, pack anew
 * what is partly in use, and retire the rest: first the new packs are durable,
 * then a record lists them, then the admin key signs the RETIRE.  Killed at any
 * time nothing is lost, and it can be said again.
 * QS_EKEY without the admin key; a failure when a snapshot or a tree of one
 * can't be read, since then nobody knows what is in use.
 */
QS_MUST_CHECK enum qs_code qs_retire(struct qs_folder *folder,
	const struct qs_retire_options *options,
	struct qs_progress *progress, struct qs_retire_result *out,
	struct qs_err *err);

/* ------------------------------------------------------------ undelete */

struct qs_undelete_result {
	uint64_t remembered;  /* snapshots */
	uint64_t brought_back; /* retired objects that are listed again */
	uint64_t incomplete;  /* snapshots of which something is gone */
};

/* A snapshot that is not whole any more: why. */
typedef void (*qs_incomplete_fn)(void *arg,
	const struct qs_snapshot *snapshot, const struct qs_err *why);

/*
 * Remember forgotten snapshots again, with those retired objects that they need
 * and that are still there.  What is not whole is told, and remembered too.
 */
QS_MUST_CHECK enum qs_code qs_undelete(struct qs_folder *folder,
	const struct qs_name *records, size_t count,
	struct qs_progress *progress, qs_incomplete_fn fn, void *arg,
	struct qs_undelete_result *out, struct qs_err *err);

#endif
