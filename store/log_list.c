/* SPDX-License-Identifier: ISC */
/* The log, listed whole and sorted; and the loading of one record of it. */
#include <inttypes.h>
#include <stdlib.h>

#include "store/store_internal.h"

static int
compare(const struct qs_log_entry *entry,
	const uint8_t device[static QS_DEVICE_LEN], uint64_t seq,
	const struct qs_name *name)
{
	int order = memcmp(entry->device, device, QS_DEVICE_LEN);

	if (order != 0)
		return order;
	if (entry->seq != seq)
		return entry->seq < seq ? -1 : 1;
	return memcmp(entry->name.b, name->b, sizeof(name->b));
}

static int
compare_entries(const void *a, const void *b)
{
	const struct qs_log_entry *one = a, *other = b;

	return compare(one, other->device, other->seq, &other->name);
}

enum qs_code
qs_log_list_add(void *arg, const struct qs_ref *ref, struct qs_err *err)
{
	struct qs_log_list *list = arg;
	struct qs_log_entry *entry;

	if (ref->foreign != NULL)
		return QS_OK;
	if (list->count == list->cap) {
		size_t cap = list->cap == 0 ? 256 : list->cap * 2;

		/* A listing is foreign: it must not fill the memory. */
		if (list->count >= QS_LOG_MAX)
			return qs_fail(err, QS_EUNSUPPORTED,
				"log: more than %u records", QS_LOG_MAX);
		entry = realloc(list->entries, cap * sizeof(*entry));
		if (entry == NULL)
			return qs_fail_nomem(err, "listing the log");
		list->entries = entry;
		list->cap = cap;
	}
	entry = &list->entries[list->count++];
	memset(entry, 0, sizeof(*entry));
	memcpy(entry->device, ref->device, QS_DEVICE_LEN);
	entry->seq = ref->seq;
	entry->name = ref->name;
	entry->size = ref->size < UINT32_MAX ? (uint32_t)ref->size :
		UINT32_MAX;
	return QS_OK;
}

void
qs_log_list_sort(struct qs_log_list *list)
{
	if (list->count > 1)
		qsort(list->entries, list->count, sizeof(*list->entries),
			compare_entries);
}

enum qs_code
qs_log_list_load(struct qs_store *store, struct qs_log_list *out,
	struct qs_err *err)
{
	struct qs_log_list list = {0};
	enum qs_code rc = store->ops->list(store->self, QS_AREA_LOG,
		qs_log_list_add, &list, err);

	if (rc != QS_OK) {
		qs_log_list_clear(&list);
		return rc;
	}
	qs_log_list_sort(&list);
	*out = list;
	return QS_OK;
}

void
qs_log_list_clear(struct qs_log_list *list)
{
	free(list->entries);
	memset(list, 0, sizeof(*list));
}

size_t
qs_log_list_find(const struct qs_log_list *list,
	const uint8_t device[static QS_DEVICE_LEN], uint64_t seq,
	const struct qs_name *name)
{
	size_t low = 0, high = list->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (compare(&list->entries[middle], device, seq, name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

bool
qs_log_list_is(const struct qs_log_list *list, size_t at,
	const uint8_t device[static QS_DEVICE_LEN], uint64_t seq,
	const struct qs_name *name)
{
	return at < list->count &&
		compare(&list->entries[at], device, seq, name) == 0;
}

static enum qs_code
check_place(const struct qs_store *store, const struct qs_log_entry *entry,
	const struct qs_record *record, struct qs_err *err)
{
	if (memcmp(record->folder_id, store->folder_id,
		QS_FOLDER_ID_LEN) != 0)
		return qs_fail(err, QS_ECORRUPT, "belongs to another folder");
	if (memcmp(record->signer, entry->device, QS_DEVICE_LEN) != 0)
		return qs_fail(err, QS_ECORRUPT,
			"is signed by another device");
	if (record->seq != entry->seq)
		return qs_fail(err, QS_ECORRUPT, "is in fact record %" PRIu64,
			record->seq);
	return QS_OK;
}

enum qs_code
qs_log_load(struct qs_store *store, const struct qs_log_entry *entry,
	struct qs_buf *bytes, struct qs_record *out, struct qs_err *err)
{
	struct qs_ref ref = {
		.area = QS_AREA_LOG,
		.name = entry->name,
		.seq = entry->seq,
		.size = entry->size,
	};
	struct qs_record record;
	enum qs_code rc;

	memcpy(ref.device, entry->device, QS_DEVICE_LEN);
	bytes->len = 0;
	if (entry->size > QS_RECORD_MAX || entry->size % QS_RECORD_UNIT != 0)
		rc = qs_fail(err, QS_ECORRUPT, "its file has a length that "
			"no log record has");
	else
		rc = qs_store_load(store, &ref, QS_RECORD_MAX, bytes,
			err);
	if (rc == QS_OK)
		rc = qs_record_parse_unsigned(qs_buf_span(bytes), &record,
			err);
	if (rc == QS_OK && !entry->is_trusted)
		rc = qs_record_verify(&record, err);
	if (rc == QS_OK)
		rc = check_place(store, entry, &record, err);
	if (rc == QS_ECORRUPT)
		(void)qs_fail(err, rc, "%.400s; copy it back from another "
			"copy of the store", err->msg);
	if (rc != QS_OK)
		return qs_fail_while(err, "device %.8s, record %" PRIu64,
			qs_short_device(entry->device).hex, entry->seq);
	*out = record;
	return QS_OK;
}

bool
qs_log_is_local(enum qs_code code)
{
	return code == QS_ECORRUPT || code == QS_EUNSUPPORTED ||
		code == QS_ENOTFOUND || code == QS_EIO;
}
