/* SPDX-License-Identifier: ISC */
/* How a folder is: what the catalogue knows, or, without one, its files. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "hub/scrub_internal.h"

static enum qs_code
fact(struct qs_catalogue *catalogue, const char *key, uint64_t otherwise,
	uint64_t *out, struct qs_err *err)
{
	bool found = false;
	enum qs_code rc;

	*out = otherwise;
	rc = qs_catalogue_fact_get(catalogue, key, out, &found, err);
	return rc;
}

static enum qs_code
ask_catalogue(struct qs_catalogue *catalogue, struct qs_hub_status *out,
	struct qs_err *err)
{
	struct qs_catalogue_counts counts;
	uint64_t since = 0, files;
	enum qs_code rc = qs_catalogue_count(catalogue, &counts, err);

	if (rc == QS_OK)
		rc = fact(catalogue, "last_scrub_ms", 0, &out->last_scrub_ms,
			err);
	if (rc == QS_OK)
		rc = fact(catalogue, "scrub_findings", 0,
			&out->scrub_findings, err);
	if (rc == QS_OK)
		rc = fact(catalogue, "refused_total", 0, &out->refused, err);
	for (int code = 1; rc == QS_OK && code < QS_REFUSAL_KINDS; code++) {
		char key[QS_REFUSAL_KEY];

		qs_hub_refusal_key((enum qs_code)code, key);
		rc = fact(catalogue, key, 0, &out->refused_by[code], err);
	}
	if (rc == QS_OK)
		rc = fact(catalogue, "hold_until_ms", 0, &out->hold_until_ms,
			err);
	if (rc == QS_OK)
		rc = fact(catalogue, "transfer_since", UINT64_MAX, &since,
			err);
	if (rc != QS_OK)
		return rc;
	out->objects = counts.objects;
	out->records = counts.records;
	out->slots = counts.slots;
	out->bytes = counts.bytes;
	out->trash_objects = counts.trash_objects;
	out->trash_bytes = counts.trash_bytes;
	out->last_record_ms = counts.last_snapshot_ms;
	/* Numbers have gaps, above all where a catalogue was made anew. */
	files = counts.objects + counts.records + counts.slots;
	out->backlog = counts.newest > since ? counts.newest - since : 0;
	if (out->backlog > files)
		out->backlog = files;
	if (since == UINT64_MAX)
		out->backlog = UINT64_MAX;
	out->has_catalogue = true;
	return QS_OK;
}

static enum qs_code
count_file(void *arg, const struct qs_ref *ref, struct qs_err *err)
{
	struct qs_hub_status *status = arg;

	(void)err;
	if (ref->foreign != NULL)
		return QS_OK;
	if (ref->area == QS_AREA_OBJ)
		status->objects++;
	else if (ref->area == QS_AREA_LOG)
		status->records++;
	else
		status->slots++;
	status->bytes += ref->size;
	return QS_OK;
}

static enum qs_code
ask_files(const char *path, const uint8_t *folder_id,
	struct qs_hub_status *out, struct qs_err *err)
{
	static const enum qs_area areas[] = {QS_AREA_OBJ, QS_AREA_LOG,
		QS_AREA_KEYS};
	struct qs_store *store = NULL;
	enum qs_code rc = qs_store_open(path, folder_id, &store, err);

	for (size_t i = 0; i < sizeof(areas) / sizeof(areas[0]) && rc == QS_OK;
	     i++)
		rc = store->ops->list(store->self, areas[i], count_file, out,
			err);
	qs_store_close(store);
	out->backlog = UINT64_MAX;
	return rc;
}

enum qs_code
qs_hub_status(const char *path,
	const uint8_t folder_id[static QS_FOLDER_ID_LEN],
	struct qs_hub_status *out, struct qs_err *err)
{
	struct qs_hub_status status = {.objects = 0};
	char hex[2 * QS_FOLDER_ID_LEN + 1], *dir = NULL, *file = NULL;
	struct qs_catalogue *catalogue = NULL;
	bool is_new = true;
	enum qs_code rc = QS_OK;

	qs_hex(hex, folder_id, QS_FOLDER_ID_LEN);
	memcpy(status.folder_id, folder_id, QS_FOLDER_ID_LEN);
	if (asprintf(&dir, "%s/%s/hub", path, hex) < 0)
		dir = NULL;
	if (dir == NULL || asprintf(&file, "%s/catalogue.sqlite", dir) < 0)
		file = NULL;
	if (file == NULL) {
		rc = qs_fail_nomem(err, "asking for the status");
		goto out;
	}
	/* Asking must not make one. */
	if (access(file, R_OK | W_OK) == 0)
		rc = qs_catalogue_open(dir, folder_id, &catalogue, &is_new,
			err);
	if (rc == QS_OK && !is_new)
		rc = ask_catalogue(catalogue, &status, err);
	else if (rc == QS_OK)
		rc = ask_files(path, folder_id, &status, err);
	if (rc == QS_OK)
		*out = status;
out:
	qs_catalogue_close(catalogue);
	free(dir);
	free(file);
	return rc;
}
