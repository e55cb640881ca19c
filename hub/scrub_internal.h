/* SPDX-License-Identifier: ISC */
/*
 * What the files of scrub share.  A scrub is a pass over the catalogue's rows
 * in the order of their numbers, a batch at a time: threads read the files of
 * a batch (scrub_file.c), the caller's thread then writes down what came of it
 * and repairs (scrub_read.c, scrub_repair.c).  Before the pass, files without a
 * row get one (scrub_fill.c); after it, snapshots are looked at (scrub_log.c).
 */
#ifndef QS_SCRUB_INTERNAL_H
#define QS_SCRUB_INTERNAL_H

#include <stdatomic.h>
#include <sys/stat.h>

#include "crypto/crypto.h"
#include "hub/hub.h"

/* --------------------------------------------------- files in sentences */

struct qs_hub_words {
	char text[128];
};

/* "object 0123456789abcdef" and the like, for sentences. */
struct qs_hub_words qs_hub_words(const struct qs_ref *ref);
uint64_t qs_hub_ms(const struct timespec *time);

/* The catalogue's fact that counts refusals of a kind: "refused_...". */
#define QS_REFUSAL_KEY 64
void qs_hub_refusal_key(enum qs_code code,
	char out[static QS_REFUSAL_KEY]);

/* -------------------------------------------------------------- fill */

struct qs_hub_fill {
	struct qs_store *store;
	int fd; /* the folder's directory */
	struct qs_catalogue *catalogue;
	void (*foreign)(void *arg, const char *path); /* or NULL */
	void *arg;
	_Atomic bool *cancel; /* or NULL */
};

/*
 * Rows for the files that have none, without reading them: objects first, then
 * slots, then records in an order in which they could have come.  The catalogue
 * is filled then.
 */
QS_MUST_CHECK enum qs_code qs_hub_fill(const struct qs_hub_fill *fill,
	struct qs_err *err);

/* ------------------------------------------------------------- scrub */

#define SCRUB_FACT_PASS "scrub_pass" /* depth + 1; 0: none was begun */

enum scrub_verdict {
	SCRUB_UNREAD, /* it was stopped before */
	SCRUB_GOOD,
	SCRUB_DAMAGED,
	SCRUB_GONE,
};

struct scrub_job { /* a file to be read */
	struct qs_item item; /* as the catalogue has it */
	enum scrub_verdict verdict;
	uint64_t size, xxh3; /* of the file */
	bool has_xxh3;
	uint8_t record_type;
	int fd;
	char why[512]; /* damaged: what is wrong with it */
};

struct scrub_reader { /* one thread's */
	struct scrub *scrub;
	struct qs_thread *thread;
	uint8_t *slices;
	struct qs_lanes *lanes;
	void *hash[QS_LANES_MAX]; /* XXH3_state_t */
};

struct scrub {
	const struct qs_scrub_options *options;
	struct qs_store *store;
	int fd, lock_fd;  /* the folder's directory; only one scrub at once */
	struct qs_catalogue *catalogue;
	struct qs_retirement *retirement; /* NULL: nothing is known of it */
	struct qs_scrub_result result;
	uint64_t now_ms;
	int64_t deadline_ns; /* monotonic; 0: none */
	struct scrub_reader *readers;
	unsigned reader_count;
	/* of the batch that is being read */
	struct scrub_job **jobs;
	size_t job_count;
	_Atomic size_t next;
	_Atomic bool stopped; /* by a failure of one of them, which is in: */
	struct qs_err failure; /* whose stopped went from false to true */
};

bool scrub_is_cancelled(const struct scrub *scrub);
void scrub_tell(struct scrub *scrub, enum qs_finding_kind kind,
	const struct qs_ref *ref, const char *fmt, ...) QS_PRINTF(4, 5);

/* scrub_file.c: the body of a thread that reads; arg is its reader */
void scrub_read_files(void *arg);
QS_MUST_CHECK enum qs_code scrub_readers_new(struct scrub *scrub,
	unsigned count, struct qs_err *err);
void scrub_readers_free(struct scrub *scrub);
/* How long a file of its kind can be at all. */
size_t scrub_size_max(enum qs_area area);

/* scrub_read.c: *finished false: out of time, or cancelled */
QS_MUST_CHECK enum qs_code scrub_pass(struct scrub *scrub, bool *finished,
	struct qs_err *err);

/*
 * scrub_repair.c: put a good copy in the place of a file that is damaged or
 * gone.  *repaired false: why is in text.
 */
QS_MUST_CHECK enum qs_code scrub_repair(struct scrub *scrub,
	const struct qs_ref *ref, bool *repaired, struct qs_err *text,
	struct qs_err *err);

/* scrub_log.c */
QS_MUST_CHECK enum qs_code scrub_log_troubles(struct scrub *scrub,
	struct qs_err *err);
QS_MUST_CHECK enum qs_code scrub_log_snapshots(struct scrub *scrub,
	struct qs_err *err);
/* Nobody misses it: it was retired. */
bool scrub_is_retired(const struct scrub *scrub, const struct qs_ref *ref);

/* scrub_clear.c: no rows, but those of records that are lost. */
QS_MUST_CHECK enum qs_code scrub_clear(struct scrub *scrub,
	struct qs_err *err);

#endif
