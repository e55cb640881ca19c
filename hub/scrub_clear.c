/* SPDX-License-Identifier: ISC */
/*
 * A scrub that makes the catalogue anew.  That a record was once there is known
 * from nothing else when it is lost, and tidying up has to know: rows of lost
 * records are all that stays.
 */
#include "hub/scrub_internal.h"

struct lost {
	struct scrub *scrub;
	struct qs_buf items; /* struct qs_item */
};

static enum qs_code
see_row(void *arg, const struct qs_item *item, struct qs_err *err)
{
	struct lost *lost = arg;
	struct qs_item row = *item;
	uint64_t ms;
	struct qs_err fault;

	if (item->ref.area != QS_AREA_LOG || qs_store_arrived(
		lost->scrub->store, &item->ref, &ms, &fault) == QS_OK)
		return QS_OK;
	row.state = QS_ITEM_MISSING;
	return qs_buf_append(&lost->items, &row, sizeof(row), err);
}

enum qs_code
scrub_clear(struct scrub *scrub, struct qs_err *err)
{
	struct lost lost = {.scrub = scrub};
	enum qs_code rc = qs_catalogue_each(scrub->catalogue, 0, 0, see_row,
		&lost, err);

	if (rc == QS_OK)
		rc = qs_catalogue_clear(scrub->catalogue, err);
	if (rc == QS_OK && lost.items.len > 0)
		rc = qs_catalogue_add(scrub->catalogue,
			(const struct qs_item *)(void *)lost.items.data,
			lost.items.len / sizeof(struct qs_item), err);
	qs_buf_clear(&lost.items);
	return rc;
}
