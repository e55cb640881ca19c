/* SPDX-License-Identifier: ISC */
/* Names of objects that wait for something, small facts, and the commit. */
#include "index/index_internal.h"

enum qs_code
qs_index_commit(struct qs_index *index, struct qs_err *err)
{
	enum qs_code rc;

	(void)pthread_mutex_lock(&index->lock);
	rc = qs_index_flush(index, NULL, NULL, err);
	(void)pthread_mutex_unlock(&index->lock);
	return rc;
}

/* ---------------------------------------------------------------- names */

static enum qs_code
change(struct qs_index *index, enum qs_index_list list, bool is_drop,
	const struct qs_name *names, size_t count, struct qs_err *err)
{
	size_t len;
	enum qs_code rc;

	if (count == 0)
		return QS_OK;
	if (!qs_mul_size(count, sizeof(struct qs_index_new_name), &len))
		return qs_fail_nomem(err, "buffering names in the index");
	(void)pthread_mutex_lock(&index->lock);
	rc = qs_index_room(index, len, err);
	if (rc == QS_OK)
		rc = qs_index_rows_names(&index->rows, list, is_drop, names,
			count, err);
	(void)pthread_mutex_unlock(&index->lock);
	return rc;
}

static enum qs_code
next_names(struct qs_index *index, enum qs_index_list list,
	const struct qs_span *after, struct qs_name *out, size_t *count,
	struct qs_err *err)
{
	sqlite3_stmt *stmt = index->stmt[QS_SQL_NAMES_AFTER];
	const uint8_t *name;
	size_t n = 0;
	enum qs_code rc;
	bool is_row;

	qs_index_bind(stmt, 1, list);
	qs_index_bind_blob(stmt, 2, after->data, after->len);
	qs_index_bind(stmt, 3, QS_INDEX_BATCH);
	for (;;) {
		rc = qs_db_step(&index->db, stmt, &is_row, err);
		if (rc != QS_OK)
			return rc;
		if (!is_row)
			break;
		name = qs_index_column_blob(stmt, 0, sizeof(out->b));
		if (n == QS_INDEX_BATCH || name == NULL) {
			(void)sqlite3_reset(stmt);
			return qs_db_damaged(&index->db, err);
		}
		memcpy(out[n++].b, name, sizeof(out->b));
	}
	*count = n;
	return QS_OK;
}

static enum qs_code
each(struct qs_index *index, enum qs_index_list list, qs_index_name_fn fn,
	void *arg, struct qs_err *err)
{
	struct qs_name names[QS_INDEX_BATCH], last;
	struct qs_span after = {0}; /* the empty blob is before all names */
	size_t count = 0;
	enum qs_code rc;

	do {
		(void)pthread_mutex_lock(&index->lock);
		rc = qs_index_flush(index, NULL, NULL, err);
		if (rc == QS_OK)
			rc = next_names(index, list, &after, names, &count,
				err);
		(void)pthread_mutex_unlock(&index->lock);
		/* Without the lock: fn may drop the name. */
		for (size_t i = 0; i < count && rc == QS_OK; i++) {
			last = names[i];
			after = qs_span(last.b, sizeof(last.b));
			rc = fn(arg, &names[i], err);
		}
	} while (rc == QS_OK && count != 0);
	return rc;
}

enum qs_code
qs_index_pending_add(struct qs_index *index, const struct qs_name *names,
	size_t count, struct qs_err *err)
{
	size_t before;
	enum qs_code rc;

	if (count == 0)
		return QS_OK;
	(void)pthread_mutex_lock(&index->lock);
	before = index->rows.names.len;
	rc = qs_index_rows_names(&index->rows, QS_LIST_PENDING, false, names,
		count, err);
	if (rc == QS_OK)
		rc = qs_index_flush(index, NULL, NULL, err);
	if (rc != QS_OK)
		index->rows.names.len = before;
	(void)pthread_mutex_unlock(&index->lock);
	return rc;
}

enum qs_code
qs_index_each_pending(struct qs_index *index, qs_index_name_fn fn, void *arg,
	struct qs_err *err)
{
	return each(index, QS_LIST_PENDING, fn, arg, err);
}

enum qs_code
qs_index_pending_drop(struct qs_index *index, const struct qs_name *name,
	struct qs_err *err)
{
	return change(index, QS_LIST_PENDING, true, name, 1, err);
}

enum qs_code
qs_index_unlogged_add(struct qs_index *index, const struct qs_name *names,
	size_t count, struct qs_err *err)
{
	return change(index, QS_LIST_UNLOGGED, false, names, count, err);
}

enum qs_code
qs_index_each_unlogged(struct qs_index *index, qs_index_name_fn fn,
	void *arg, struct qs_err *err)
{
	return each(index, QS_LIST_UNLOGGED, fn, arg, err);
}

enum qs_code
qs_index_unlogged_drop(struct qs_index *index, const struct qs_name *names,
	size_t count, struct qs_err *err)
{
	return change(index, QS_LIST_UNLOGGED, true, names, count, err);
}

/* ---------------------------------------------------------------- facts */

static enum qs_code
get_fact(struct qs_index *index, const char *key, struct qs_buf *out,
	bool *found, struct qs_err *err)
{
	sqlite3_stmt *stmt = index->stmt[QS_SQL_FACT_GET];
	struct qs_span value;
	enum qs_code rc;
	bool is_row;

	qs_index_bind_blob(stmt, 1, key, strlen(key));
	rc = qs_db_step(&index->db, stmt, &is_row, err);
	if (rc != QS_OK)
		return rc;
	if (is_row) {
		if (!qs_index_column_span(stmt, 0, &value) ||
			value.len > QS_INDEX_FACT_MAX)
			rc = qs_db_damaged(&index->db, err);
		else if (value.len != 0)
			rc = qs_buf_append(out, value.data, value.len, err);
		(void)sqlite3_reset(stmt);
	}
	if (rc == QS_OK)
		*found = is_row;
	return rc;
}

enum qs_code
qs_index_fact_get(struct qs_index *index, const char *key,
	struct qs_buf *out, bool *found, struct qs_err *err)
{
	enum qs_code rc;

	(void)pthread_mutex_lock(&index->lock);
	rc = qs_index_flush(index, NULL, NULL, err);
	if (rc == QS_OK)
		rc = get_fact(index, key, out, found, err);
	(void)pthread_mutex_unlock(&index->lock);
	return rc;
}

enum qs_code
qs_index_fact_put(struct qs_index *index, const char *key,
	struct qs_span value, struct qs_err *err)
{
	enum qs_code rc;

	if (value.len > QS_INDEX_FACT_MAX || *key == '\0')
		return qs_fail(err, QS_EINVAL, "index %s: a value of %zu bytes "
			"for \"%s\" cannot be kept", index->db.path, value.len,
			key);
	(void)pthread_mutex_lock(&index->lock);
	rc = qs_index_room(index, strlen(key) + value.len +
		sizeof(struct qs_index_new_fact), err);
	if (rc == QS_OK)
		rc = qs_index_rows_fact(&index->rows, key, value, err);
	(void)pthread_mutex_unlock(&index->lock);
	return rc;
}
