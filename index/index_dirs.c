/* SPDX-License-Identifier: ISC */
/* The directory cache: what each directory looked like, and which runs hold. */
#include "index/index_internal.h"

static enum qs_code
get_on_disk(struct qs_index *index, const uint8_t *key, struct qs_buf *out,
	bool *found, bool *fresh, struct qs_err *err)
{
	sqlite3_stmt *stmt = index->stmt[QS_SQL_DIR_GET];
	struct qs_span row;
	uint64_t is_fresh = 0;
	enum qs_code rc;
	bool is_row;

	qs_index_bind_blob(stmt, 1, key, QS_DIR_KEY_LEN);
	rc = qs_db_step(&index->db, stmt, &is_row, err);
	if (rc != QS_OK)
		return rc;
	if (!is_row) {
		*found = false;
		*fresh = false;
		return QS_OK;
	}
	if (!qs_index_column_span(stmt, 0, &row) ||
		!qs_index_column(stmt, 1, 1, &is_fresh))
		rc = qs_db_damaged(&index->db, err);
	else if (row.len != 0)
		rc = qs_buf_append(out, row.data, row.len, err);
	(void)sqlite3_reset(stmt);
	if (rc == QS_OK) {
		*found = true;
		*fresh = is_fresh != 0;
	}
	return rc;
}

static enum qs_code
get_in_memory(const struct qs_index *index, uint32_t at, struct qs_buf *out,
	bool *found, bool *fresh, struct qs_err *err)
{
	uint32_t count;
	const struct qs_index_new_dir *dir =
		&qs_index_new_dirs(&index->rows, &count)[at];
	enum qs_code rc = QS_OK;

	if (dir->len != 0)
		rc = qs_buf_append(out, index->rows.bytes.data + dir->at,
			dir->len, err);
	if (rc == QS_OK) {
		*found = true;
		*fresh = false; /* its run's end would have written it */
	}
	return rc;
}

enum qs_code
qs_index_dir_get(struct qs_index *index,
	const uint8_t key[static QS_DIR_KEY_LEN], struct qs_buf *out,
	bool *found, bool *fresh, struct qs_err *err)
{
	uint32_t at;
	enum qs_code rc;

	(void)pthread_mutex_lock(&index->lock);
	at = qs_index_rows_lookup(&index->rows, QS_SET_DIRS, key);
	if (at != QS_INDEX_NO_ROW)
		rc = get_in_memory(index, at, out, found, fresh, err);
	else
		rc = get_on_disk(index, key, out, found, fresh, err);
	(void)pthread_mutex_unlock(&index->lock);
	return rc;
}

enum qs_code
qs_index_dir_put(struct qs_index *index,
	const uint8_t key[static QS_DIR_KEY_LEN], struct qs_span row,
	struct qs_err *err)
{
	enum qs_code rc;

	/* The old row, if any, holds what it held: it may stay. */
	if (row.len > QS_DIR_ROW_MAX)
		return QS_OK;
	(void)pthread_mutex_lock(&index->lock);
	rc = qs_index_room(index, row.len + sizeof(struct qs_index_new_dir),
		err);
	if (rc == QS_OK)
		rc = qs_index_rows_dir(&index->rows, key, index->run, row,
			err);
	(void)pthread_mutex_unlock(&index->lock);
	return rc;
}

/* ----------------------------------------------------------------- runs */

struct run {
	uint64_t number, generation;
};

static enum qs_code
take_run(struct qs_index *index, void *arg, struct qs_err *err)
{
	struct run *run = arg;
	enum qs_code rc = qs_index_take(index, QS_META_NEXT_RUN, 1, INT64_MAX,
		&run->number, err);

	if (rc == QS_OK)
		rc = qs_index_meta_get(index, QS_META_GENERATION, INT64_MAX,
			&run->generation, err);
	return rc;
}

enum qs_code
qs_index_run_begin(struct qs_index *index, struct qs_err *err)
{
	struct run run = {0};
	enum qs_code rc;

	(void)pthread_mutex_lock(&index->lock);
	rc = qs_index_flush(index, take_run, &run, err);
	if (rc == QS_OK) {
		index->run = run.number;
		index->run_generation = run.generation;
	}
	(void)pthread_mutex_unlock(&index->lock);
	return rc;
}

static enum qs_code
add_run(struct qs_index *index, void *arg, struct qs_err *err)
{
	sqlite3_stmt *stmt = index->stmt[QS_SQL_RUN_ADD];

	(void)arg;
	/*
	 * The generation at its beginning: what was forgotten meanwhile may be
	 * what this run's first rows name.
	 */
	qs_index_bind(stmt, 1, index->run);
	qs_index_bind(stmt, 2, index->run_generation);
	return qs_db_run(&index->db, stmt, err);
}

enum qs_code
qs_index_run_end(struct qs_index *index, struct qs_err *err)
{
	enum qs_code rc;

	(void)pthread_mutex_lock(&index->lock);
	if (index->run == 0)
		rc = qs_fail(err, QS_EINVAL, "index %s: no run was begun",
			index->db.path);
	else
		rc = qs_index_flush(index, add_run, NULL, err);
	if (rc == QS_OK)
		index->run = 0;
	(void)pthread_mutex_unlock(&index->lock);
	return rc;
}
