/* SPDX-License-Identifier: ISC */
/* Rows of the catalogue: added, changed, dropped, found, gone through. */
#include <stdlib.h>

#include "index/catalogue_internal.h"

/* ------------------------------------------------------------ totals */

static void
count_in(struct qs_catalogue_change *change, const struct qs_item *item,
	int64_t sign)
{
	size_t area = (size_t)item->ref.area - 1;

	change->files[area][item->state] += sign;
	change->bytes[area][item->state] += sign * (int64_t)item->ref.size;
}

static enum qs_code
put_totals(struct qs_catalogue *catalogue,
	const struct qs_catalogue_change *change, struct qs_err *err)
{
	sqlite3_stmt *stmt = catalogue->stmt[QS_CAT_TOTAL_ADD];
	uint64_t last = 0;
	bool found = false;
	enum qs_code rc = QS_OK;

	for (size_t i = 0; i < QS_CATALOGUE_AREAS * QS_CATALOGUE_STATES &&
	     rc == QS_OK; i++) {
		size_t area = i / QS_CATALOGUE_STATES;
		size_t state = i % QS_CATALOGUE_STATES;

		if (change->files[area][state] == 0 &&
			change->bytes[area][state] == 0)
			continue;
		qs_index_bind(stmt, 1, area + 1);
		qs_index_bind(stmt, 2, state);
		qs_catalogue_bind(stmt, 3,
			(uint64_t)change->files[area][state]);
		qs_catalogue_bind(stmt, 4,
			(uint64_t)change->bytes[area][state]);
		rc = qs_db_run(&catalogue->db, stmt, err);
	}
	if (rc != QS_OK || change->last_snapshot_ms == 0)
		return rc;
	rc = qs_catalogue_fact_find(catalogue, QS_FACT_LAST_SNAPSHOT, &last,
		&found, err);
	if (rc == QS_OK && change->last_snapshot_ms > last)
		rc = qs_catalogue_fact_set(catalogue, QS_FACT_LAST_SNAPSHOT,
			change->last_snapshot_ms, err);
	return rc;
}

static void
note_snapshot(struct qs_catalogue_change *change, const struct qs_item *item)
{
	if (item->ref.area == QS_AREA_LOG &&
		item->record_type == QS_RECORD_SNAPSHOT &&
		item->arrived_ms > change->last_snapshot_ms)
		change->last_snapshot_ms = item->arrived_ms;
}

/* -------------------------------------------------------- one by one */

static enum qs_code
check_item(const struct qs_item *item, struct qs_err *err)
{
	if (item->ref.area < QS_AREA_KEYS || item->ref.area > QS_AREA_OBJ ||
		item->state > QS_ITEM_MISSING ||
		item->ref.size > QS_CATALOGUE_SIZE_MAX)
		return qs_fail(err, QS_EINVAL, "the catalogue has no place for "
			"such a file");
	return QS_OK;
}

static enum qs_code
add_one(struct qs_catalogue *catalogue, const struct qs_item *item,
	struct qs_catalogue_change *change, struct qs_err *err)
{
	sqlite3_stmt *stmt = catalogue->stmt[QS_CAT_ADD];
	uint8_t key[QS_CATALOGUE_KEY_MAX];
	struct qs_item old;
	bool found = false;
	enum qs_code rc = check_item(item, err);

	/* Looked for first: a conflict would use up a number. */
	if (rc == QS_OK)
		rc = qs_catalogue_find(catalogue, &item->ref, &old, &found,
			err);
	if (rc != QS_OK || found)
		return rc;
	qs_index_bind_blob(stmt, 1, key, qs_catalogue_key(&item->ref, key));
	qs_index_bind(stmt, 2, item->ref.size);
	qs_catalogue_bind(stmt, 3, item->arrived_ms);
	if (item->has_xxh3)
		qs_catalogue_bind(stmt, 4, item->xxh3);
	else
		(void)sqlite3_bind_null(stmt, 4);
	qs_index_bind(stmt, 5, item->state);
	qs_catalogue_bind(stmt, 6, item->state_ms);
	qs_index_bind(stmt, 7, item->record_type);
	rc = qs_db_run(&catalogue->db, stmt, err);
	if (rc == QS_OK) {
		count_in(change, item, 1);
		note_snapshot(change, item);
	}
	return rc;
}

static enum qs_code
update_one(struct qs_catalogue *catalogue, const struct qs_item *item,
	bool *found, struct qs_catalogue_change *change, struct qs_err *err)
{
	sqlite3_stmt *stmt = catalogue->stmt[QS_CAT_UPDATE];
	struct qs_item row;
	enum qs_code rc = check_item(item, err);

	if (rc == QS_OK)
		rc = qs_catalogue_find(catalogue, &item->ref, &row, found, err);
	if (rc != QS_OK || !*found)
		return rc;
	count_in(change, &row, -1);
	if (item->ref.size != 0)
		row.ref.size = item->ref.size;
	if (item->has_xxh3) {
		row.xxh3 = item->xxh3;
		row.has_xxh3 = true;
	}
	if (item->record_type != 0)
		row.record_type = item->record_type;
	row.state = item->state;
	row.state_ms = item->state_ms;
	count_in(change, &row, 1);
	note_snapshot(change, &row);
	qs_index_bind(stmt, 1, row.number);
	qs_index_bind(stmt, 2, row.ref.size);
	if (row.has_xxh3)
		qs_catalogue_bind(stmt, 3, row.xxh3);
	else
		(void)sqlite3_bind_null(stmt, 3);
	qs_index_bind(stmt, 4, row.state);
	qs_catalogue_bind(stmt, 5, row.state_ms);
	qs_index_bind(stmt, 6, row.record_type);
	return qs_db_run(&catalogue->db, stmt, err);
}

enum qs_code
qs_catalogue_add(struct qs_catalogue *catalogue, const struct qs_item *items,
	size_t count, struct qs_err *err)
{
	struct qs_catalogue_change change = {.last_snapshot_ms = 0};
	enum qs_code rc;

	if (count == 0)
		return QS_OK;
	(void)pthread_mutex_lock(&catalogue->lock);
	rc = qs_catalogue_begin(catalogue, err);
	if (rc == QS_OK) {
		for (size_t i = 0; i < count && rc == QS_OK; i++)
			rc = add_one(catalogue, &items[i], &change, err);
		if (rc == QS_OK)
			rc = put_totals(catalogue, &change, err);
		rc = qs_catalogue_end(catalogue, rc, err);
	}
	(void)pthread_mutex_unlock(&catalogue->lock);
	return rc;
}

static enum qs_code
update_several(struct qs_catalogue *catalogue, const struct qs_item *items,
	size_t count, size_t *updated, struct qs_err *err)
{
	struct qs_catalogue_change change = {.last_snapshot_ms = 0};
	size_t done = 0;
	enum qs_code rc;

	(void)pthread_mutex_lock(&catalogue->lock);
	rc = qs_catalogue_begin(catalogue, err);
	if (rc == QS_OK) {
		for (size_t i = 0; i < count && rc == QS_OK; i++) {
			bool found = false;

			rc = update_one(catalogue, &items[i], &found, &change,
				err);
			done += found;
		}
		if (rc == QS_OK)
			rc = put_totals(catalogue, &change, err);
		rc = qs_catalogue_end(catalogue, rc, err);
	}
	(void)pthread_mutex_unlock(&catalogue->lock);
	if (rc == QS_OK)
		*updated = done;
	return rc;
}

enum qs_code
qs_catalogue_update_all(struct qs_catalogue *catalogue,
	const struct qs_item *items, size_t count, struct qs_err *err)
{
	size_t updated;

	if (count == 0)
		return QS_OK;
	return update_several(catalogue, items, count, &updated, err);
}

static enum qs_code
fail_unknown(const struct qs_catalogue *catalogue, struct qs_err *err)
{
	return qs_fail(err, QS_ENOTFOUND, "catalogue %s has no such file",
		catalogue->db.path);
}

enum qs_code
qs_catalogue_update(struct qs_catalogue *catalogue, const struct qs_item *item,
	struct qs_err *err)
{
	size_t updated = 0;
	enum qs_code rc = update_several(catalogue, item, 1, &updated, err);

	if (rc == QS_OK && updated == 0)
		rc = fail_unknown(catalogue, err);
	return rc;
}

static enum qs_code
drop_one(struct qs_catalogue *catalogue, const struct qs_ref *ref,
	struct qs_err *err)
{
	struct qs_catalogue_change change = {.last_snapshot_ms = 0};
	sqlite3_stmt *stmt = catalogue->stmt[QS_CAT_DROP];
	struct qs_item row;
	bool found = false;
	enum qs_code rc = qs_catalogue_find(catalogue, ref, &row, &found, err);

	if (rc == QS_OK && !found)
		rc = fail_unknown(catalogue, err);
	if (rc != QS_OK)
		return rc;
	qs_index_bind(stmt, 1, row.number);
	rc = qs_db_run(&catalogue->db, stmt, err);
	if (rc != QS_OK)
		return rc;
	count_in(&change, &row, -1);
	return put_totals(catalogue, &change, err);
}

enum qs_code
qs_catalogue_drop(struct qs_catalogue *catalogue, const struct qs_ref *ref,
	struct qs_err *err)
{
	enum qs_code rc;

	(void)pthread_mutex_lock(&catalogue->lock);
	rc = qs_catalogue_begin(catalogue, err);
	if (rc == QS_OK)
		rc = qs_catalogue_end(catalogue, drop_one(catalogue, ref, err),
			err);
	(void)pthread_mutex_unlock(&catalogue->lock);
	return rc;
}

/* ----------------------------------------------------------- reading */

enum qs_code
qs_catalogue_get(struct qs_catalogue *catalogue, const struct qs_ref *ref,
	struct qs_item *out, bool *found, struct qs_err *err)
{
	enum qs_code rc;

	(void)pthread_mutex_lock(&catalogue->lock);
	rc = qs_catalogue_find(catalogue, ref, out, found, err);
	(void)pthread_mutex_unlock(&catalogue->lock);
	return rc;
}

static enum qs_code
next_batch(struct qs_catalogue *catalogue, uint64_t since, uint64_t max,
	struct qs_item *items, size_t *count, struct qs_err *err)
{
	sqlite3_stmt *stmt = catalogue->stmt[QS_CAT_AFTER];
	size_t got = 0;
	enum qs_code rc = QS_OK;

	(void)pthread_mutex_lock(&catalogue->lock);
	qs_index_bind(stmt, 1, since);
	qs_index_bind(stmt, 2, max);
	while (rc == QS_OK && got < max) {
		bool is_row = false;

		rc = qs_db_step(&catalogue->db, stmt, &is_row, err);
		if (rc == QS_OK && !is_row)
			break;
		if (rc == QS_OK)
			rc = qs_catalogue_row(catalogue, stmt, &items[got],
				err);
		got += rc == QS_OK;
	}
	(void)sqlite3_reset(stmt);
	(void)pthread_mutex_unlock(&catalogue->lock);
	*count = got;
	return rc;
}

enum qs_code
qs_catalogue_each(struct qs_catalogue *catalogue, uint64_t since, uint64_t max,
	qs_item_fn fn, void *arg, struct qs_err *err)
{
	uint64_t left = max == 0 ? UINT64_MAX : max;
	size_t count = QS_CATALOGUE_BATCH;
	struct qs_item *items;
	enum qs_code rc = QS_OK;

	if (since > INT64_MAX) /* no number is as high */
		return QS_OK;
	items = calloc(QS_CATALOGUE_BATCH, sizeof(*items));
	if (items == NULL)
		return qs_fail_nomem(err, "reading the catalogue");
	while (rc == QS_OK && left > 0 && count > 0) {
		rc = next_batch(catalogue, since, left < QS_CATALOGUE_BATCH ?
			left : QS_CATALOGUE_BATCH, items, &count, err);
		left -= count;
		for (size_t i = 0; i < count && rc == QS_OK; i++) {
			since = items[i].number;
			rc = fn(arg, &items[i], err);
		}
	}
	free(items);
	return rc;
}
