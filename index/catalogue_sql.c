/* SPDX-License-Identifier: ISC */
/* The catalogue's SQL, its rows, and transactions. */
#include "index/catalogue_internal.h"

#define COLUMNS \
	"number, key, size, arrived, xxh3, state, state_ms, record_type"

static const char *const sql[QS_CAT_STATEMENTS] = {
	/* IMMEDIATE: one that began reading could not wait for its turn. */
	[QS_CAT_BEGIN] = "BEGIN IMMEDIATE",
	[QS_CAT_COMMIT] = "COMMIT",
	[QS_CAT_ROLLBACK] = "ROLLBACK",
	[QS_CAT_GET] = "SELECT " COLUMNS " FROM items WHERE key = ?1",
	[QS_CAT_ADD] =
		"INSERT INTO items (key, size, arrived, xxh3, state, state_ms,"
		" record_type) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
	[QS_CAT_UPDATE] =
		"UPDATE items SET size = ?2, xxh3 = ?3, state = ?4,"
		" state_ms = ?5, record_type = ?6 WHERE number = ?1",
	[QS_CAT_DROP] = "DELETE FROM items WHERE number = ?1",
	[QS_CAT_AFTER] =
		"SELECT " COLUMNS " FROM items WHERE number > ?1"
		" ORDER BY number LIMIT ?2",
	/* SQLite's own: the highest that AUTOINCREMENT has given. */
	[QS_CAT_NEWEST] = "SELECT seq FROM sqlite_sequence"
		" WHERE name = 'items'",
	[QS_CAT_TOTALS] = "SELECT area, state, files, bytes FROM totals",
	[QS_CAT_TOTAL_ADD] =
		"UPDATE totals SET files = files + ?3, bytes = bytes + ?4"
		" WHERE area = ?1 AND state = ?2",
	[QS_CAT_FACT_GET] = "SELECT value FROM facts WHERE key = ?1",
	[QS_CAT_FACT_PUT] =
		"INSERT INTO facts VALUES (?1, ?2)"
		" ON CONFLICT (key) DO UPDATE SET value = excluded.value",
};

enum qs_code
qs_catalogue_prepare(struct qs_catalogue *catalogue, struct qs_err *err)
{
	return qs_db_prepare(&catalogue->db, sql, QS_CAT_STATEMENTS,
		catalogue->stmt, err);
}

void
qs_catalogue_bind(sqlite3_stmt *stmt, int at, uint64_t value)
{
	(void)sqlite3_bind_int64(stmt, at, (sqlite3_int64)value);
}

/* ----------------------------------------------------- transactions */

enum qs_code
qs_catalogue_begin(struct qs_catalogue *catalogue, struct qs_err *err)
{
	return qs_db_run(&catalogue->db, catalogue->stmt[QS_CAT_BEGIN], err);
}

enum qs_code
qs_catalogue_end(struct qs_catalogue *catalogue, enum qs_code code,
	struct qs_err *err)
{
	return qs_db_end(&catalogue->db, catalogue->stmt[QS_CAT_COMMIT],
		catalogue->stmt[QS_CAT_ROLLBACK], code, err);
}

/* ------------------------------------------------------------- rows */

size_t
qs_catalogue_key(const struct qs_ref *ref,
	uint8_t out[static QS_CATALOGUE_KEY_MAX])
{
	out[0] = (uint8_t)ref->area;
	memcpy(out + 1, ref->name.b, 32);
	if (ref->area != QS_AREA_LOG)
		return 33;
	memcpy(out + 33, ref->device, QS_DEVICE_LEN);
	for (unsigned i = 0; i < 8; i++)
		out[41 + i] = (uint8_t)(ref->seq >> (56 - 8 * i));
	return QS_CATALOGUE_KEY_MAX;
}

static bool
parse_key(struct qs_span key, struct qs_ref *out)
{
	struct qs_ref ref = {.area = QS_AREA_OBJ};

	if (key.len < 33)
		return false;
	if (key.data[0] == QS_AREA_KEYS)
		ref.area = QS_AREA_KEYS;
	else if (key.data[0] == QS_AREA_LOG)
		ref.area = QS_AREA_LOG;
	else if (key.data[0] != QS_AREA_OBJ)
		return false;
	if (key.len != (ref.area == QS_AREA_LOG ? QS_CATALOGUE_KEY_MAX : 33))
		return false;
	memcpy(ref.name.b, key.data + 1, 32);
	if (ref.area == QS_AREA_LOG) {
		memcpy(ref.device, key.data + 33, QS_DEVICE_LEN);
		for (unsigned i = 0; i < 8; i++)
			ref.seq = ref.seq << 8 | key.data[41 + i];
	}
	*out = ref;
	return true;
}

static bool
any_number(sqlite3_stmt *stmt, int at, uint64_t *out)
{
	if (sqlite3_column_type(stmt, at) != SQLITE_INTEGER)
		return false;
	*out = (uint64_t)sqlite3_column_int64(stmt, at);
	return true;
}

enum qs_code
qs_catalogue_row(struct qs_catalogue *catalogue, sqlite3_stmt *stmt,
	struct qs_item *out, struct qs_err *err)
{
	struct qs_item item = {.number = 0};
	struct qs_span key = {NULL, 0};
	uint32_t state = 0, type = 0;

	item.has_xxh3 = sqlite3_column_type(stmt, 4) != SQLITE_NULL;
	if (!qs_index_column(stmt, 0, INT64_MAX, &item.number) ||
		!qs_index_column_span(stmt, 1, &key) ||
		!parse_key(key, &item.ref) ||
		!qs_index_column(stmt, 2, INT64_MAX, &item.ref.size) ||
		!any_number(stmt, 3, &item.arrived_ms) ||
		(item.has_xxh3 && !any_number(stmt, 4, &item.xxh3)) ||
		!qs_index_column32(stmt, 5, QS_ITEM_MISSING, &state) ||
		!any_number(stmt, 6, &item.state_ms) ||
		!qs_index_column32(stmt, 7, UINT8_MAX, &type))
		return qs_db_damaged(&catalogue->db, err);
	item.state = (enum qs_item_state)state;
	item.record_type = (uint8_t)type;
	*out = item;
	return QS_OK;
}

enum qs_code
qs_catalogue_find(struct qs_catalogue *catalogue, const struct qs_ref *ref,
	struct qs_item *out, bool *found, struct qs_err *err)
{
	sqlite3_stmt *stmt = catalogue->stmt[QS_CAT_GET];
	uint8_t key[QS_CATALOGUE_KEY_MAX];
	size_t len = qs_catalogue_key(ref, key);
	bool is_row = false;
	enum qs_code rc;

	qs_index_bind_blob(stmt, 1, key, len);
	rc = qs_db_step(&catalogue->db, stmt, &is_row, err);
	if (is_row) {
		rc = qs_catalogue_row(catalogue, stmt, out, err);
		(void)sqlite3_reset(stmt);
	}
	if (rc == QS_OK)
		*found = is_row;
	return rc;
}
