/* SPDX-License-Identifier: ISC */
/* What tidy's files share: one run over one folder. */
#ifndef QS_TIDY_INTERNAL_H
#define QS_TIDY_INTERNAL_H

#include "hub/hub.h"

#define TIDY_DAY_MS UINT64_C(86400000)

struct tidy_receipt { /* when a RETIRE came here */
	struct qs_name record;
	uint64_t ms;
};

struct tidy {
	const struct qs_tidy_options *options;
	struct qs_tidy_result *result;
	uint64_t now_ms;
	struct qs_store *store;
	struct qs_catalogue *catalogue; /* NULL: there is none to be had */
	int lock; /* one run at a time */

	/* What the log says: tidy_log.c */
	struct qs_retirement *retirement; /* NULL: the log is empty */
	uint8_t adm_pk[32];
	struct qs_buf listed; /* struct qs_name: in some record, ascending */
	bool is_sound;        /* nothing that could list more is missing */
	uint64_t records;
	uint8_t listing[32];  /* what the log's listing came to */

	struct tidy_receipt *receipts;
	size_t receipt_count;
};

/* Read the log, once more if it was read already. */
QS_MUST_CHECK enum qs_code tidy_log_read(struct tidy *tidy,
	struct qs_err *err);
/* The same if it has changed since. */
QS_MUST_CHECK enum qs_code tidy_log_refresh(struct tidy *tidy,
	struct qs_err *err);
void tidy_log_clear(struct tidy *tidy);
/* In some SNAPSHOT or RETIRE record. */
bool tidy_log_has(const struct tidy *tidy, const struct qs_name *name);
/* When the RETIRE that a name is retired by came here. */
QS_MUST_CHECK enum qs_code tidy_log_receipt(struct tidy *tidy,
	const struct qs_retired_by *why, uint64_t *ms, struct qs_err *err);

/* Of the trash's objects: is it there rightly? */
bool tidy_is_gone(const struct tidy *tidy, const struct qs_ref *ref);

/* tidy_trash.c: what is in the trash, and what leaves it. */
QS_MUST_CHECK enum qs_code tidy_restore(struct tidy *tidy,
	struct qs_err *err);
QS_MUST_CHECK enum qs_code tidy_purge(struct tidy *tidy, uint64_t limit,
	uint64_t *used, struct qs_err *err);

/* tidy_open.c: the folder, its catalogue, and the facts in it. */
QS_MUST_CHECK enum qs_code tidy_open(struct tidy *tidy, const char *path,
	const uint8_t folder_id[static QS_FOLDER_ID_LEN], bool is_dry,
	struct qs_err *err);
void tidy_close(struct tidy *tidy);
/* A fact, 0 where there is none or it can't be read. */
uint64_t tidy_fact(struct tidy *tidy, const char *key);
void tidy_fact_put(struct tidy *tidy, const char *key, uint64_t value);
/* Rows that follow the files; no failure, they are a cache. */
void tidy_note(struct tidy *tidy, const struct qs_ref *ref,
	enum qs_item_state state);
void tidy_note_gone(struct tidy *tidy, const struct qs_ref *ref);

#endif
