/* SPDX-License-Identifier: ISC */
/* What the catalogue knows besides rows: facts, totals, the newest number. */
#include "index/catalogue_internal.h"

/* ------------------------------------------------------------- facts */

static void
bind_key(sqlite3_stmt *stmt, const char *key)
{
	(void)sqlite3_bind_text(stmt, 1, key, -1, SQLITE_STATIC);
}

enum qs_code
qs_catalogue_fact_find(struct qs_catalogue *catalogue, const char *key,
	uint64_t *value, bool *found, struct qs_err *err)
{
	sqlite3_stmt *stmt = catalogue->stmt[QS_CAT_FACT_GET];
	bool is_row = false;
	enum qs_code rc;

	bind_key(stmt, key);
	rc = qs_db_step(&catalogue->db, stmt, &is_row, err);
	if (is_row) {
		if (sqlite3_column_type(stmt, 0) == SQLITE_INTEGER)
			*value = (uint64_t)sqlite3_column_int64(stmt, 0);
		else
			rc = qs_db_damaged(&catalogue->db, err);
		(void)sqlite3_reset(stmt);
	}
	if (rc == QS_OK)
		*found = is_row;
	return rc;
}

enum qs_code
qs_catalogue_fact_set(struct qs_catalogue *catalogue, const char *key,
	uint64_t value, struct qs_err *err)
{
	sqlite3_stmt *stmt = catalogue->stmt[QS_CAT_FACT_PUT];

	bind_key(stmt, key);
	qs_catalogue_bind(stmt, 2, value);
	return qs_db_run(&catalogue->db, stmt, err);
}

enum qs_code
qs_catalogue_fact_get(struct qs_catalogue *catalogue, const char *key,
	uint64_t *value, bool *found, struct qs_err *err)
{
	enum qs_code rc;

	(void)pthread_mutex_lock(&catalogue->lock);
	rc = qs_catalogue_fact_find(catalogue, key, value, found, err);
	(void)pthread_mutex_unlock(&catalogue->lock);
	return rc;
}

enum qs_code
qs_catalogue_fact_put(struct qs_catalogue *catalogue, const char *key,
	uint64_t value, struct qs_err *err)
{
	enum qs_code rc;

	(void)pthread_mutex_lock(&catalogue->lock);
	rc = qs_catalogue_fact_set(catalogue, key, value, err);
	(void)pthread_mutex_unlock(&catalogue->lock);
	return rc;
}

enum qs_code
qs_catalogue_fact_add(struct qs_catalogue *catalogue, const char *key,
	uint64_t more, struct qs_err *err)
{
	uint64_t value = 0;
	bool found;
	enum qs_code rc;

	(void)pthread_mutex_lock(&catalogue->lock);
	rc = qs_catalogue_begin(catalogue, err);
	if (rc == QS_OK) {
		rc = qs_catalogue_fact_find(catalogue, key, &value, &found,
			err);
		if (__builtin_add_overflow(value, more, &value))
			value = UINT64_MAX;
		if (rc == QS_OK)
			rc = qs_catalogue_fact_set(catalogue, key, value, err);
		rc = qs_catalogue_end(catalogue, rc, err);
	}
	(void)pthread_mutex_unlock(&catalogue->lock);
	return rc;
}

/* ------------------------------------------------------------ totals */

static enum qs_code
find_newest(struct qs_catalogue *catalogue, uint64_t *number,
	struct qs_err *err)
{
	sqlite3_stmt *stmt = catalogue->stmt[QS_CAT_NEWEST];
	bool is_row = false;
	enum qs_code rc = qs_db_step(&catalogue->db, stmt, &is_row, err);

	*number = 0; /* without a row none was given yet */
	if (!is_row)
		return rc;
	if (!qs_index_column(stmt, 0, INT64_MAX, number))
		rc = qs_db_damaged(&catalogue->db, err);
	(void)sqlite3_reset(stmt);
	return rc;
}

enum qs_code
qs_catalogue_newest(struct qs_catalogue *catalogue, uint64_t *number,
	struct qs_err *err)
{
	uint64_t newest;
	enum qs_code rc;

	(void)pthread_mutex_lock(&catalogue->lock);
	rc = find_newest(catalogue, &newest, err);
	(void)pthread_mutex_unlock(&catalogue->lock);
	if (rc == QS_OK)
		*number = newest;
	return rc;
}

static void
count_total(struct qs_catalogue_counts *counts, uint32_t area, uint32_t state,
	uint64_t files, uint64_t bytes)
{
	switch ((enum qs_item_state)state) {
	case QS_ITEM_TRASH:
		counts->trash_objects += files;
		counts->trash_bytes += bytes;
		return;
	case QS_ITEM_MISSING:
		counts->missing += files;
		return;
	case QS_ITEM_DAMAGED:
		counts->damaged += files;
		break;
	case QS_ITEM_HERE:
		break;
	}
	counts->bytes += bytes;
	if (area == QS_AREA_OBJ)
		counts->objects += files;
	else if (area == QS_AREA_LOG)
		counts->records += files;
	else
		counts->slots += files;
}

static enum qs_code
read_totals(struct qs_catalogue *catalogue, struct qs_catalogue_counts *out,
	struct qs_err *err)
{
	sqlite3_stmt *stmt = catalogue->stmt[QS_CAT_TOTALS];
	enum qs_code rc;
	bool is_row;

	for (;;) {
		uint32_t area, state;
		uint64_t files, bytes;

		rc = qs_db_step(&catalogue->db, stmt, &is_row, err);
		if (rc != QS_OK || !is_row)
			return rc;
		if (!qs_index_column32(stmt, 0, QS_AREA_OBJ, &area) ||
			!qs_index_column32(stmt, 1, QS_ITEM_MISSING, &state) ||
			!qs_index_column(stmt, 2, INT64_MAX, &files) ||
			!qs_index_column(stmt, 3, INT64_MAX, &bytes)) {
			(void)sqlite3_reset(stmt);
			return qs_db_damaged(&catalogue->db, err);
		}
		count_total(out, area, state, files, bytes);
	}
}

enum qs_code
qs_catalogue_count(struct qs_catalogue *catalogue,
	struct qs_catalogue_counts *out, struct qs_err *err)
{
	struct qs_catalogue_counts counts = {.objects = 0};
	bool found;
	enum qs_code rc;

	(void)pthread_mutex_lock(&catalogue->lock);
	rc = read_totals(catalogue, &counts, err);
	if (rc == QS_OK)
		rc = find_newest(catalogue, &counts.newest, err);
	if (rc == QS_OK)
		rc = qs_catalogue_fact_find(catalogue, QS_FACT_LAST_SNAPSHOT,
			&counts.last_snapshot_ms, &found, err);
	(void)pthread_mutex_unlock(&catalogue->lock);
	if (rc == QS_OK)
		*out = counts;
	return rc;
}
