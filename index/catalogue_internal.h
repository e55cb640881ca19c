/* SPDX-License-Identifier: ISC */
/*
 * What the files of the catalogue share.  They use nothing of the index but
 * what is about SQLite: a hub links them, and nothing that needs keys.
 *
 * A row's key is its area, name and, in the log, device and seq.  Numbers of
 * 64 bits that SQL only keeps (XXH3, times) are stored as they are, as signed
 * ones.  Totals by area and state stand in a table of their own and change in
 * the transaction that changes the rows; no triggers, since a forged file must
 * not bring code.
 */
#ifndef QS_CATALOGUE_INTERNAL_H
#define QS_CATALOGUE_INTERNAL_H

#include "index/index_internal.h"

#define QS_CATALOGUE_BATCH 256 /* rows read under one lock */
#define QS_CATALOGUE_AREAS 3
#define QS_CATALOGUE_STATES 4

enum qs_catalogue_sql {
	QS_CAT_BEGIN,
	QS_CAT_COMMIT,
	QS_CAT_ROLLBACK,
	QS_CAT_GET,
	QS_CAT_ADD,
	QS_CAT_UPDATE,
	QS_CAT_DROP,
	QS_CAT_AFTER,
	QS_CAT_NEWEST,
	QS_CAT_TOTALS,
	QS_CAT_TOTAL_ADD,
	QS_CAT_FACT_GET,
	QS_CAT_FACT_PUT,
	QS_CAT_STATEMENTS,
};

#define QS_FACT_LAST_SNAPSHOT "last_snapshot_ms" /* kept with the totals */

struct qs_catalogue {
	pthread_mutex_t lock;
	/* all below guarded by lock */
	struct qs_db db;
	sqlite3_stmt *stmt[QS_CAT_STATEMENTS];
};

/* How the totals change in a transaction. */
struct qs_catalogue_change {
	int64_t files[QS_CATALOGUE_AREAS][QS_CATALOGUE_STATES];
	int64_t bytes[QS_CATALOGUE_AREAS][QS_CATALOGUE_STATES];
	uint64_t last_snapshot_ms; /* 0: none came */
};

#define QS_CATALOGUE_KEY_MAX 49

/* area, name; in the log also device and seq, big-endian.  Its length. */
size_t qs_catalogue_key(const struct qs_ref *ref,
	uint8_t out[static QS_CATALOGUE_KEY_MAX]);

/* catalogue_sql.c; all of these under the lock */
QS_MUST_CHECK enum qs_code qs_catalogue_prepare(struct qs_catalogue *catalogue,
	struct qs_err *err);
/* Any 64 bits: for what SQL does not compare. */
void qs_catalogue_bind(sqlite3_stmt *stmt, int at, uint64_t value);
QS_MUST_CHECK enum qs_code qs_catalogue_begin(struct qs_catalogue *catalogue,
	struct qs_err *err);
/* Commit if code is QS_OK, else roll back; what came of it. */
QS_MUST_CHECK enum qs_code qs_catalogue_end(struct qs_catalogue *catalogue,
	enum qs_code code, struct qs_err *err);
/* A row, under its key. */
QS_MUST_CHECK enum qs_code qs_catalogue_find(struct qs_catalogue *catalogue,
	const struct qs_ref *ref, struct qs_item *out, bool *found,
	struct qs_err *err);
/* The columns of a row; QS_EINDEX when they make no sense. */
QS_MUST_CHECK enum qs_code qs_catalogue_row(struct qs_catalogue *catalogue,
	sqlite3_stmt *stmt, struct qs_item *out, struct qs_err *err);

/* catalogue_facts.c: under the lock, in the caller's transaction */
QS_MUST_CHECK enum qs_code qs_catalogue_fact_find(
	struct qs_catalogue *catalogue, const char *key, uint64_t *value,
	bool *found, struct qs_err *err);
QS_MUST_CHECK enum qs_code qs_catalogue_fact_set(
	struct qs_catalogue *catalogue, const char *key, uint64_t value,
	struct qs_err *err);

#endif
