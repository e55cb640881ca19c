/* SPDX-License-Identifier: ISC */
/*
 * The server: a record that is whole.  Before it is appended, what it names is
 * durable and has its row, so that whoever copies what came, by its number, has
 * the objects before the record.
 */
#include <stdlib.h>

#include "hub/serve_internal.h"
#include "hub/xxh3.h"

static uint64_t
now_ms(void)
{
	return (uint64_t)(qs_now_ns() / 1000000);
}

/*
 * What a record names may have been put there by a connection that was cut
 * before it was durable.  One that is not there at all is for the append to
 * judge.
 */
static enum qs_code
settle(const struct qs_store *store, const struct qs_name *names, size_t count,
	struct qs_err *err)
{
	enum qs_code rc = store->ops->settle(store->self, names, count, err);

	if (rc != QS_ENOTFOUND)
		return rc;
	rc = QS_OK;
	for (size_t i = 0; rc == QS_OK && i < count; i++) {
		rc = store->ops->settle(store->self, &names[i], 1, err);
		if (rc == QS_ENOTFOUND)
			rc = QS_OK;
	}
	return rc;
}

#define BATCH 256

/* Or cut after that, and before it had its row. */
static enum qs_code
note(struct served *served, const struct qs_name *names, size_t count,
	struct qs_err *err)
{
	struct qs_item *items = calloc(BATCH, sizeof(*items));
	uint64_t sizes[BATCH];
	enum qs_code rc = items != NULL ? QS_OK :
		qs_fail_nomem(err, "noting objects");

	for (size_t at = 0; rc == QS_OK && at < count; at += BATCH) {
		size_t n = count - at < BATCH ? count - at : BATCH, kept = 0;

		rc = served->store->ops->have(served->store->self, names + at,
			n, sizes, err);
		for (size_t i = 0; rc == QS_OK && i < n; i++) {
			if (sizes[i] == 0 || sizes[i] == QS_SIZE_UNKNOWN)
				continue;
			items[kept++] = (struct qs_item){
				.ref = {
					.area = QS_AREA_OBJ,
					.name = names[at + i],
					.size = sizes[i],
				},
				.arrived_ms = now_ms(),
			};
		}
		if (rc == QS_OK && kept > 0)
			rc = qs_catalogue_add(served->catalogue, items, kept,
				err);
	}
	free(items);
	return rc;
}

static enum qs_code
prepare_named(struct served *served, const struct qs_record *record,
	struct qs_err *err)
{
	const size_t count = record->public_body.len / 32;
	struct qs_name *names;
	enum qs_code rc;

	if (record->type != QS_RECORD_SNAPSHOT || count == 0)
		return QS_OK;
	names = calloc(count, sizeof(*names));
	if (names == NULL)
		return qs_fail_nomem(err, "settling objects");
	memcpy(names, record->public_body.data, count * sizeof(*names));
	rc = settle(served->store, names, count, err);
	if (rc == QS_OK)
		rc = note(served, names, count, err);
	free(names);
	return rc;
}

enum qs_code
qs_served_append(struct served *served, struct qs_err *err)
{
	const struct qs_span bytes = qs_buf_span(&served->body.bytes);
	struct qs_record record;
	struct qs_item item = {.has_xxh3 = true};
	enum qs_code rc = qs_admit_record(served->admission, bytes, &record,
		err);

	if (rc == QS_OK)
		rc = prepare_named(served, &record, err);
	if (rc == QS_OK)
		rc = served->store->ops->append(served->store->self, &record,
			err);
	if (rc != QS_OK)
		return rc;
	item.ref = (struct qs_ref){
		.area = QS_AREA_LOG,
		.name = record.name,
		.seq = record.seq,
		.size = bytes.len,
	};
	memcpy(item.ref.device, record.signer, QS_DEVICE_LEN);
	item.xxh3 = qs_xxh3(bytes);
	item.arrived_ms = now_ms();
	item.record_type = (uint8_t)record.type;
	return qs_catalogue_add(served->catalogue, &item, 1, err);
}
