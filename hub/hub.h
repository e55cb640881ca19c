/* SPDX-License-Identifier: ISC */
/*
 * hub: what a place that holds stores and no key does for the qubes it serves:
 * lets in what verifies (serve), looks after it (scrub, tidy) and tells how it
 * is (status).  docs/HUB.md says it for people, docs/PROTOCOL.md for programs.
 *
 * A hub is a directory; each hub folder in it (photos, work ...) is a directory
 * store of one folder:
 *
 *   HUB/photos/README.txt
 *   HUB/photos/<folder id>/{keys,log,obj}    as docs/FORMAT.md has it
 *   HUB/photos/<folder id>/trash/            retired, kept for a while
 *   HUB/photos/<folder id>/hub/              catalogue.sqlite, rate
 *
 * Everything works on one store at a path too, without a hub around it.
 * Nothing here links decryption or key derivation: tests/check_keyless.sh.
 */
#ifndef QS_HUB_H
#define QS_HUB_H

#include "base/base.h"
#include "index/index.h"
#include "store/store.h"
#include "wire/wire.h"

/* -------------------------------------------------------------- access */

enum qs_principal_kind { /* how we know who calls */
	QS_PRINCIPAL_QUBE,  /* "qube:photos": dom0's word (qrexec) */
	QS_PRINCIPAL_KEY,   /* "key:work": the forced command of an ssh key */
	QS_PRINCIPAL_USER,  /* "user:alice", "user:1000": a socket's peer */
	QS_PRINCIPAL_LOCAL, /* whoever could start us on this path */
};

struct qs_grant { /* what the access list gives a principal on a folder */
	enum qs_wire_mode mode;
	uint64_t quota;      /* bytes of all files; 0: none set */
	uint64_t rate;       /* bytes a second that may come in; 0: none set */
	unsigned connections; /* at once, on this folder; 0: the default, 16 */
};

/*
 * Look principal ("qube:photos") and folder up in an access list (see
 * docs/HUB.md).  Nothing listed, no list, or a list with a fault anywhere in it
 * is refused: QS_EKEY says who was refused what, QS_EINVAL names file and line.
 * path: the list; uid of its owner must be ours or root's, and nobody else may
 * be able to write it.  A user is looked up by name and by uid, whichever of
 * them is given.
 */
QS_MUST_CHECK enum qs_code qs_acl_find(const char *path,
	const char *principal, const char *folder, struct qs_grant *out,
	struct qs_err *err);
/*
 * The quota of a folder, whoever asks: the least of its lines; 0: none, or no
 * list.  For status.
 */
QS_MUST_CHECK enum qs_code qs_acl_quota(const char *path, const char *folder,
	uint64_t *quota, struct qs_err *err);

/* ----------------------------------------------------------- hardening */

struct qs_cage { /* what is left to a process that serves one folder */
	int root_fd;      /* the only directory it can reach, and below */
	bool read_only;
	bool has_landlock, has_seccomp; /* set: what the kernel could do */
};

/*
 * Limits (memory 512 MiB, descriptors, file size, no core), no new privileges,
 * not to be traced, Landlock on root_fd, a seccomp list of the system calls
 * that serving takes; what is not on it fails with ENOSYS.  read_only: only
 * hub/ of a folder that is there already can be written, for the catalogue.
 * For this process and the threads that it starts, for good; QS_EINVAL when
 * there are threads already.  A kernel without Landlock or seccomp is no
 * failure: it is said in cage.
 */
QS_MUST_CHECK enum qs_code qs_cage_enter(struct qs_cage *cage,
	struct qs_err *err);

/* --------------------------------------------------------------- serve */

struct qs_serve_options {
	const char *root;      /* the store's path */
	const char *principal; /* "qube:photos"; for messages */
	const char *folder;    /* the hub folder's name, NULL: a bare path */
	struct qs_grant grant;
	bool is_caged;         /* enter the cage before the first byte */
	unsigned patience_s;   /* for a frame to come or go whole; 0: 300 */
	unsigned idle_s;       /* for the next request; 0: 3600 */
};

/*
 * Serve one connection until its end: greeting, then verbs.  Takes the
 * descriptors.  QS_OK when the client said goodbye; what it did wrong is
 * QS_EPROTO or QS_ENET, with a sentence for our own log.
 */
QS_MUST_CHECK enum qs_code qs_serve(const struct qs_serve_options *options,
	int in, int out, struct qs_err *err);
/* A refusal in the hub's greeting; takes the descriptors. */
void qs_serve_refuse(int in, int out, const struct qs_err *why);

/* ----------------------------------------------------------- admission */

struct qs_admission; /* what one connection has learnt of the folder's log */

QS_MUST_CHECK enum qs_code qs_admission_new(struct qs_store *store,
	struct qs_admission **out, struct qs_err *err);
void qs_admission_free(struct qs_admission *admission);
/*
 * What can be seen of an object without a key: size class, head; QS_EKEY: it is
 * of another folder.
 */
QS_MUST_CHECK enum qs_code qs_admit_object(const struct qs_store *store,
	struct qs_span object, struct qs_err *err);
/*
 * That a record may be appended: parsed and signed (out), of this folder, by
 * the admin or a device that it has certified.  Order and presence of what it
 * names are checked by the append itself.  QS_ECORRUPT, QS_EUNSUPPORTED; a
 * failure of the store's when the admin's records can't be read.
 */
QS_MUST_CHECK enum qs_code qs_admit_record(struct qs_admission *admission,
	struct qs_span bytes, struct qs_record *out, struct qs_err *err);
/* A key slot: parses, of this folder (QS_EKEY), not the 65th (QS_EQUOTA). */
QS_MUST_CHECK enum qs_code qs_admit_slot(const struct qs_store *store,
	struct qs_span slot, struct qs_err *err);

/* ---------------------------------------------------------------- rate */

/*
 * A token bucket in a file that the connections of a folder share, so that all
 * of them together stay within bytes_per_second (a burst of 10 s is allowed).
 */
struct qs_rate;

QS_MUST_CHECK enum qs_code qs_rate_open(int dir_fd, const char *path,
	uint64_t bytes_per_second, struct qs_rate **out, struct qs_err *err);
void qs_rate_close(struct qs_rate *rate); /* NULL is fine */
/* Wait until so many more may come in; NULL: no limit, no wait. */
void qs_rate_take(struct qs_rate *rate, uint64_t bytes);

/* --------------------------------------------------------------- scrub */

enum qs_scrub_depth {
	QS_SCRUB_FAST, /* XXH3 of the bytes against the catalogue */
	QS_SCRUB_FULL, /* NAME of the bytes: needs no catalogue */
};

enum qs_finding_kind {
	QS_FINDING_DAMAGED,    /* bytes are not what the name (or XXH3) says */
	QS_FINDING_MISSING,    /* known, or named by a record, and not there */
	QS_FINDING_FOREIGN,    /* not ours */
	QS_FINDING_INCOMPLETE, /* a snapshot of which objects are missing */
	QS_FINDING_LOG,        /* what the walk over the log found */
	QS_FINDING_REPAIRED,   /* a good copy was fetched */
};

struct qs_finding {
	enum qs_finding_kind kind;
	const struct qs_ref *ref; /* NULL: see text */
	const char *text;         /* a sentence; from the hub itself */
};

struct qs_scrub_options {
	enum qs_scrub_depth depth;
	unsigned max_seconds; /* 0: until done; then it stops, to be resumed */
	bool rebuild;         /* make the catalogue anew from the files */
	bool anew;            /* do not resume, begin again */
	unsigned threads;     /* 0: one per processor, at most 8 */
	struct qs_store *repair_from; /* or NULL */
	void (*finding)(void *arg, const struct qs_finding *finding);
	void *arg;
	_Atomic uint64_t *bytes_done; /* or NULL: for progress */
	_Atomic uint64_t *bytes_total;
	_Atomic bool *cancel;         /* or NULL */
};

struct qs_scrub_result {
	uint64_t objects, records, slots, bytes; /* looked at in this run */
	uint64_t damaged, missing, foreign, incomplete, repaired, troubles;
	bool finished; /* false: stopped; the next run goes on from here */
};

/*
 * Look at every file of the folder at path, and at its log.  Findings are not
 * failures.  QS_EBUSY when another scrub of it runs.  The calls of finding come
 * from this thread.  In a pass that was resumed result.damaged and .missing
 * count what its earlier runs have found, too.
 */
QS_MUST_CHECK enum qs_code qs_scrub(const char *path,
	const uint8_t folder_id[static QS_FOLDER_ID_LEN],
	const struct qs_scrub_options *options, struct qs_scrub_result *out,
	struct qs_err *err);

/* ---------------------------------------------------------------- tidy */

struct qs_tidy_options {
	unsigned trash_days;  /* retired for so long: into the trash (14) */
	unsigned purge_days;  /* in the trash for so long: removed (30) */
	unsigned orphan_days; /* in no record for so long: the same (60) */
	unsigned share;       /* percent of the folder's bytes a day (10) */
	bool dry_run;
	int64_t now_ns;       /* 0: the clock; tests set it */
};

/* As above. */
void qs_tidy_defaults(struct qs_tidy_options *out);

struct qs_tidy_result {
	uint64_t retired, retired_bytes; /* still in their place afterwards */
	uint64_t trashed, trashed_bytes; /* moved in this run */
	uint64_t restored;               /* out of the trash again */
	uint64_t purged, purged_bytes;
	uint64_t postponed; /* due, but over today's share */
	uint64_t void_retirements; /* RETIRE records that do not count (yet) */
};

/*
 * Carry out the RETIRE records of the folder at path: docs/HUB.md.  Needs no
 * room on the disk.  QS_EBUSY: somebody else is at it.
 */
QS_MUST_CHECK enum qs_code qs_tidy(const char *path,
	const uint8_t folder_id[static QS_FOLDER_ID_LEN],
	const struct qs_tidy_options *options, struct qs_tidy_result *out,
	struct qs_err *err);
/*
 * The operator's undelete: everything out of the trash, and nothing goes into
 * it for hold_days (0: a hold that is on ends).
 */
QS_MUST_CHECK enum qs_code qs_tidy_undelete(const char *path,
	const uint8_t folder_id[static QS_FOLDER_ID_LEN], unsigned hold_days,
	uint64_t *restored, struct qs_err *err);

/* -------------------------------------------------------------- status */

#define QS_REFUSAL_KINDS (QS_EINDEX + 1)

struct qs_hub_status { /* of one folder; owned texts in place */
	char name[64];         /* "" for a bare path */
	uint8_t folder_id[QS_FOLDER_ID_LEN];
	uint64_t objects, records, slots, bytes, quota;
	uint64_t trash_objects, trash_bytes;
	uint64_t last_record_ms; /* arrival of the newest SNAPSHOT; 0: none */
	uint64_t last_scrub_ms, scrub_findings; /* last one that finished */
	/*
	 * Arrivals that the Transfer qube has not asked for, at most;
	 * UINT64_MAX: it never asked for any.
	 */
	uint64_t backlog;
	uint64_t refused; /* since the catalogue was made */
	uint64_t refused_by[QS_REFUSAL_KINDS]; /* thereof, by enum qs_code */
	uint64_t hold_until_ms;
	bool has_catalogue;
};

/* name and quota are for the caller to fill in. */
QS_MUST_CHECK enum qs_code qs_hub_status(const char *path,
	const uint8_t folder_id[static QS_FOLDER_ID_LEN],
	struct qs_hub_status *out, struct qs_err *err);

#endif
