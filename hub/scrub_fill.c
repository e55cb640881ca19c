/* SPDX-License-Identifier: ISC */
/* Rows for files that have none: of a new catalogue all, else a few. */
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "hub/scrub_internal.h"

#define PENDING 256
#define RECORDS_MAX (1u << 21) /* as many as a log is read of */

struct filling {
	const struct qs_hub_fill *fill;
	uint64_t now_ms;
	struct qs_item items[PENDING];
	size_t count;
	struct qs_buf records; /* of struct qs_item */
	uint8_t admin[QS_DEVICE_LEN];
	bool has_admin;
};

static enum qs_code
flush(struct filling *filling, struct qs_err *err)
{
	enum qs_code rc = qs_catalogue_add(filling->fill->catalogue,
		filling->items, filling->count, err);

	if (rc == QS_OK)
		filling->count = 0;
	return rc;
}

static enum qs_code
put(struct filling *filling, const struct qs_item *item, struct qs_err *err)
{
	filling->items[filling->count++] = *item;
	return filling->count == PENDING ? flush(filling, err) : QS_OK;
}

static void
clamp(struct qs_item *item)
{
	if (item->ref.size > QS_CATALOGUE_SIZE_MAX)
		item->ref.size = QS_CATALOGUE_SIZE_MAX; /* no file of ours */
}

static uint64_t
arrival(const struct filling *filling, const char *path)
{
	struct stat st;

	if (fstatat(filling->fill->fd, path, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return filling->now_ms;
	return qs_hub_ms(&st.st_ctim);
}

/* The type of a record as it says itself; 0: it can't be read. */
static uint8_t
peek_type(const struct filling *filling, const char *path)
{
	uint8_t head[10] = {0};
	struct qs_err ignored;
	size_t got = 0;
	int fd = openat(filling->fill->fd, path, O_RDONLY | O_CLOEXEC |
		O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);

	if (fd < 0)
		return 0;
	if (qs_fd_read(fd, head, sizeof(head), &got, &ignored) != QS_OK ||
		got != sizeof(head))
		head[9] = 0;
	qs_fd_close(&fd);
	return head[9];
}

/* --------------------------------------------------------------- areas */

/* Of the log all new ones wait until they are known, to be put in order. */
static enum qs_code
see_new(struct filling *filling, const struct qs_ref *ref, struct qs_err *err)
{
	struct qs_file_path path = qs_file_path(ref);
	struct qs_item item = {.ref = *ref};

	clamp(&item);
	item.arrived_ms = arrival(filling, path.text);
	item.state_ms = item.arrived_ms;
	if (ref->area != QS_AREA_LOG)
		return put(filling, &item, err);
	if (filling->records.len / sizeof(item) >= RECORDS_MAX)
		return qs_fail(err, QS_EUNSUPPORTED, "more than %u log "
			"records", RECORDS_MAX);
	item.record_type = peek_type(filling, path.text);
	if (item.record_type == QS_RECORD_GENESIS) {
		memcpy(filling->admin, ref->device, QS_DEVICE_LEN);
		filling->has_admin = true;
	}
	return qs_buf_append(&filling->records, &item, sizeof(item), err);
}

static bool
is_ours(const struct qs_ref *ref)
{
	const char *slash = strrchr(ref->foreign, '/');

	/* Of a write that was cut short: the store sweeps them out. */
	if (slash != NULL && strncmp(slash + 1, ".tmp-", 5) == 0)
		return true;
	return ref->area == QS_AREA_BESIDE &&
		(strcmp(ref->foreign, "trash") == 0 ||
		strcmp(ref->foreign, "hub") == 0);
}

static enum qs_code
see(void *arg, const struct qs_ref *ref, struct qs_err *err)
{
	struct filling *filling = arg;
	const struct qs_hub_fill *fill = filling->fill;
	struct qs_item row;
	bool found = false;
	enum qs_code rc;

	if (fill->cancel != NULL && atomic_load(fill->cancel))
		return qs_fail(err, QS_ECANCELED, "interrupted");
	if (ref->foreign != NULL) {
		if (fill->foreign != NULL && !is_ours(ref))
			fill->foreign(fill->arg, ref->foreign);
		return QS_OK;
	}
	rc = qs_catalogue_get(fill->catalogue, ref, &row, &found, err);
	if (rc == QS_OK && !found)
		return see_new(filling, ref, err);
	if (rc == QS_OK && row.state == QS_ITEM_TRASH) {
		row.state = QS_ITEM_HERE; /* brought back, and then killed */
		row.state_ms = filling->now_ms;
		rc = qs_catalogue_update(fill->catalogue, &row, err);
	}
	return rc;
}

/* Certificates are the admin's: his come first, and each device's in order. */
static int
compare_records(const void *a, const void *b, void *arg)
{
	const struct qs_item *x = a, *y = b;
	const struct filling *filling = arg;
	bool x_admin = filling->has_admin && memcmp(x->ref.device,
		filling->admin, QS_DEVICE_LEN) == 0;
	bool y_admin = filling->has_admin && memcmp(y->ref.device,
		filling->admin, QS_DEVICE_LEN) == 0;
	int order;

	if (x_admin != y_admin)
		return x_admin ? -1 : 1;
	order = memcmp(x->ref.device, y->ref.device, QS_DEVICE_LEN);
	if (order != 0)
		return order;
	if (x->ref.seq != y->ref.seq)
		return x->ref.seq < y->ref.seq ? -1 : 1;
	return memcmp(x->ref.name.b, y->ref.name.b, 32);
}

static enum qs_code
put_records(struct filling *filling, struct qs_err *err)
{
	struct qs_item *items = (struct qs_item *)(void *)
		filling->records.data;
	size_t count = filling->records.len / sizeof(*items);
	enum qs_code rc = QS_OK;

	if (count > 0)
		qsort_r(items, count, sizeof(*items), compare_records,
			filling);
	for (size_t i = 0; i < count && rc == QS_OK; i++)
		rc = put(filling, &items[i], err);
	return rc;
}

/* --------------------------------------------------------------- trash */

static enum qs_code
see_trashed(void *arg, const struct qs_ref *ref, uint64_t ms,
	struct qs_err *err)
{
	struct filling *filling = arg;
	struct qs_item item = {.ref = *ref, .state = QS_ITEM_TRASH,
		.arrived_ms = ms, .state_ms = ms}, row;
	bool found = false;
	enum qs_code rc = qs_catalogue_get(filling->fill->catalogue, ref, &row,
		&found, err);

	if (rc != QS_OK || found)
		return rc;
	clamp(&item);
	return put(filling, &item, err);
}

/* --------------------------------------------------------------- whole */

enum qs_code
qs_hub_fill(const struct qs_hub_fill *fill, struct qs_err *err)
{
	static const enum qs_area areas[] = {QS_AREA_OBJ, QS_AREA_KEYS,
		QS_AREA_LOG, QS_AREA_BESIDE};
	struct filling *filling = calloc(1, sizeof(*filling));
	enum qs_code rc = QS_OK;

	if (filling == NULL)
		return qs_fail_nomem(err, "filling the catalogue");
	filling->fill = fill;
	filling->now_ms = (uint64_t)(qs_now_ns() / 1000000);
	/* What is in its place has the word, so the trash comes after. */
	for (size_t i = 0; i < sizeof(areas) / sizeof(areas[0]) && rc == QS_OK;
	     i++)
		rc = fill->store->ops->list(fill->store->self, areas[i], see,
			filling, err);
	if (rc == QS_OK)
		rc = put_records(filling, err);
	if (rc == QS_OK)
		rc = flush(filling, err);
	if (rc == QS_OK)
		rc = qs_store_each_trashed(fill->store, see_trashed, filling,
			err);
	if (rc == QS_OK)
		rc = flush(filling, err);
	if (rc == QS_OK)
		rc = qs_catalogue_fact_put(fill->catalogue,
			QS_CATALOGUE_FILLED, 1, err);
	qs_buf_clear(&filling->records);
	free(filling);
	return rc;
}
