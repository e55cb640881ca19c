/* SPDX-License-Identifier: ISC */
/*
 * Tidying up: what the log says.  A record that is there and can't be read may
 * be a snapshot that needs anything: what it could need is left alone.
 */
#include <stdlib.h>

#include "hub/tidy_internal.h"

struct reading {
	struct tidy *tidy;
	struct qs_buf visited;   /* names of records that verified */
	struct qs_buf present;   /* of all that are there; both ascending */
	struct qs_buf certified; /* public keys of which there is a CERT */
	struct qs_buf bytes;     /* of one record at a time */
};

static int
by_name(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct qs_name));
}

static void
sort(struct qs_buf *names)
{
	if (names->len > 32)
		qsort(names->data, names->len / 32, 32, by_name);
}

static bool
has(const struct qs_buf *names, const struct qs_name *name)
{
	return names->len > 0 && bsearch(name, names->data, names->len / 32,
		32, by_name) != NULL;
}

bool
tidy_log_has(const struct tidy *tidy, const struct qs_name *name)
{
	return has(&tidy->listed, name);
}

void
tidy_log_clear(struct tidy *tidy)
{
	qs_retirement_free(tidy->retirement);
	tidy->retirement = NULL;
	qs_buf_clear(&tidy->listed);
	free(tidy->receipts);
	tidy->receipts = NULL;
	tidy->receipt_count = 0;
}

/* -------------------------------------------------------------- the walk */

static enum qs_code
take_cert(struct reading *reading, const struct qs_record *record,
	struct qs_err *err)
{
	struct qs_cert_body body;
	enum qs_code rc = qs_cert_decode(record->public_body, &body, err);

	return rc != QS_OK ? rc : qs_buf_append(&reading->certified,
		body.device_pk, sizeof(body.device_pk), err);
}

static bool
is_certified(const struct reading *reading, const uint8_t pk[static 32])
{
	if (memcmp(pk, reading->tidy->adm_pk, 32) == 0)
		return true;
	for (size_t at = 0; at + 32 <= reading->certified.len; at += 32) {
		if (memcmp(reading->certified.data + at, pk, 32) == 0)
			return true;
	}
	return false;
}

static enum qs_code
take_record(void *arg, const struct qs_record *record, struct qs_err *err)
{
	struct reading *reading = arg;
	struct tidy *tidy = reading->tidy;
	struct qs_span names = record->public_body;
	struct qs_retire_body body;
	enum qs_code rc = qs_buf_append(&reading->visited, record->name.b, 32,
		err);

	/* The first is GENESIS, by which the walk knows the admin. */
	if (rc == QS_OK && tidy->retirement == NULL) {
		memcpy(tidy->adm_pk, record->signer, 32);
		rc = qs_retirement_new(record->signer, &tidy->retirement, err);
	}
	if (rc == QS_OK)
		rc = qs_retirement_take(tidy->retirement, record, err);
	if (rc == QS_OK && record->type == QS_RECORD_CERT)
		rc = take_cert(reading, record, err);
	if (rc != QS_OK || (record->type != QS_RECORD_SNAPSHOT &&
		record->type != QS_RECORD_RETIRE))
		return rc;
	if (record->type == QS_RECORD_RETIRE) {
		rc = qs_retire_decode(record->public_body, &body, err);
		if (rc != QS_OK)
			return rc;
		names = body.names;
	}
	return names.len == 0 ? QS_OK :
		qs_buf_append(&tidy->listed, names.data, names.len, err);
}

/*
 * A gap, a fork, something that does not verify: whatever it is, there may be
 * records that list more than these.  Scrub tells of it.
 */
static void
take_trouble(void *arg, const struct qs_err *trouble)
{
	const struct reading *reading = arg;

	qs_log("tidying up: %s", trouble->msg);
	reading->tidy->is_sound = false;
}

/*
 * Whole, and nobody has certified its signer here: the CERT may be lost, or
 * still on its way.  One whose signer was certified, and revoked, counts
 * nowhere.
 */
static enum qs_code
see_stranger(struct reading *reading, const struct qs_record *record,
	struct qs_err *err)
{
	struct tidy *tidy = reading->tidy;
	enum qs_code rc;

	if (is_certified(reading, record->signer) || memcmp(record->folder_id,
		tidy->store->folder_id, QS_FOLDER_ID_LEN) != 0)
		return QS_OK;
	tidy->is_sound = false;
	rc = qs_retirement_miss(tidy->retirement, record->signer, record->seq,
		err);
	if (rc == QS_OK && record->type == QS_RECORD_SNAPSHOT &&
		record->public_body.len > 0)
		rc = qs_buf_append(&tidy->listed, record->public_body.data,
			record->public_body.len, err);
	return rc;
}

static enum qs_code
see_entry(void *arg, const struct qs_ref *ref, struct qs_err *err)
{
	struct reading *reading = arg;
	struct tidy *tidy = reading->tidy;
	struct qs_record record;
	struct qs_err fault;
	enum qs_code rc;

	if (ref->foreign != NULL)
		return QS_OK;
	rc = qs_buf_append(&reading->present, ref->name.b, 32, err);
	if (rc != QS_OK || has(&reading->visited, &ref->name))
		return rc;
	reading->bytes.len = 0;
	rc = qs_store_load(tidy->store, ref, QS_RECORD_MAX, &reading->bytes,
		&fault);
	if (rc == QS_OK)
		rc = qs_record_parse(qs_buf_span(&reading->bytes), &record,
			&fault);
	if (rc == QS_OK)
		return see_stranger(reading, &record, err);
	if (rc == QS_ENOMEM) {
		*err = fault;
		return rc;
	}
	qs_log("tidying up: %s", fault.msg);
	tidy->is_sound = false;
	return qs_retirement_miss(tidy->retirement, ref->device, ref->seq,
		err);
}

static enum qs_code
add_listed(void *arg, const struct qs_ref *ref, struct qs_err *err)
{
	struct tidy *tidy = arg;

	(void)err;
	if (ref->foreign != NULL)
		return QS_OK;
	/* Names are hashes: their sum tells a set of them. */
	for (size_t i = 0; i < sizeof(tidy->listing); i++)
		tidy->listing[i] ^= ref->name.b[i];
	tidy->records++;
	return QS_OK;
}

static enum qs_code
read_listing(struct tidy *tidy, struct qs_err *err)
{
	memset(tidy->listing, 0, sizeof(tidy->listing));
	tidy->records = 0;
	return tidy->store->ops->list(tidy->store->self, QS_AREA_LOG,
		add_listed, tidy, err);
}

static enum qs_code
see_row(void *arg, const struct qs_item *item, struct qs_err *err)
{
	struct reading *reading = arg;
	struct tidy *tidy = reading->tidy;

	if (item->ref.area != QS_AREA_LOG ||
		has(&reading->present, &item->ref.name))
		return QS_OK;
	tidy->is_sound = false;
	return qs_retirement_miss(tidy->retirement, item->ref.device,
		item->ref.seq, err);
}

/*
 * Records that the catalogue knows, whatever their state, and that are not
 * there any more.  A catalogue that can't be read (the disk is full) may know
 * of some.
 */
static enum qs_code
see_lost(struct reading *reading, struct qs_err *err)
{
	struct tidy *tidy = reading->tidy;
	struct qs_err fault;
	enum qs_code rc;

	if (tidy->catalogue == NULL)
		return QS_OK;
	rc = qs_catalogue_each(tidy->catalogue, 0, 0, see_row, reading,
		&fault);
	if (rc == QS_ENOMEM) {
		*err = fault;
		return rc;
	}
	if (rc != QS_OK) {
		qs_log("tidying up: %s", fault.msg);
		tidy->is_sound = false;
	}
	return QS_OK;
}

enum qs_code
tidy_log_read(struct tidy *tidy, struct qs_err *err)
{
	struct reading reading = {.tidy = tidy};
	enum qs_code rc;

	tidy_log_clear(tidy);
	rc = read_listing(tidy, err);
	if (rc != QS_OK)
		goto out;
	tidy->is_sound = tidy->records > 0;
	rc = qs_log_walk(tidy->store, NULL, NULL, 0, take_record,
		take_trouble, &reading, err);
	if (rc == QS_OK && tidy->retirement != NULL) {
		sort(&reading.visited);
		rc = tidy->store->ops->list(tidy->store->self, QS_AREA_LOG,
			see_entry, &reading, err);
		sort(&reading.present);
		if (rc == QS_OK)
			rc = see_lost(&reading, err);
	}
	if (rc == QS_OK && tidy->retirement != NULL)
		rc = qs_retirement_finish(tidy->retirement, err);
	sort(&tidy->listed);
out:
	qs_buf_clear(&reading.visited);
	qs_buf_clear(&reading.certified);
	qs_buf_clear(&reading.present);
	qs_buf_clear(&reading.bytes);
	return rc;
}

enum qs_code
tidy_log_refresh(struct tidy *tidy, struct qs_err *err)
{
	uint8_t before[32];
	uint64_t count = tidy->records;
	enum qs_code rc;

	memcpy(before, tidy->listing, sizeof(before));
	rc = read_listing(tidy, err);
	if (rc != QS_OK)
		return rc;
	if (count == tidy->records && memcmp(before, tidy->listing,
		sizeof(before)) == 0)
		return QS_OK;
	return tidy_log_read(tidy, err);
}

/* -------------------------------------------------------------- receipts */

/* The catalogue keeps it over a copy of the files; else the file's ctime. */
static enum qs_code
find_receipt(struct tidy *tidy, const struct qs_ref *ref, uint64_t *ms,
	struct qs_err *err)
{
	struct qs_item item;
	struct qs_err fault;
	bool found = false;

	if (tidy->catalogue != NULL && qs_catalogue_get(tidy->catalogue, ref,
		&item, &found, &fault) == QS_OK && found) {
		*ms = item.arrived_ms;
		return QS_OK;
	}
	return qs_store_arrived(tidy->store, ref, ms, err);
}

enum qs_code
tidy_log_receipt(struct tidy *tidy, const struct qs_retired_by *why,
	uint64_t *ms, struct qs_err *err)
{
	struct qs_ref ref = {
		.area = QS_AREA_LOG,
		.name = why->record,
		.seq = why->seq,
	};
	struct tidy_receipt *receipts;
	enum qs_code rc;

	for (size_t i = tidy->receipt_count; i-- > 0;) {
		if (memcmp(&tidy->receipts[i].record, &why->record, 32) == 0) {
			*ms = tidy->receipts[i].ms;
			return QS_OK;
		}
	}
	memcpy(ref.device, tidy->adm_pk, QS_DEVICE_LEN);
	rc = find_receipt(tidy, &ref, ms, err);
	if (rc != QS_OK)
		return rc;
	receipts = reallocarray(tidy->receipts, tidy->receipt_count + 1,
		sizeof(*receipts));
	if (receipts == NULL)
		return qs_fail_nomem(err, "tidying up");
	tidy->receipts = receipts;
	receipts[tidy->receipt_count++] = (struct tidy_receipt){
		why->record, *ms};
	return QS_OK;
}
