/* SPDX-License-Identifier: ISC */
/*
 * Tags changed after the fact: a signed note in this machine's chain, whose
 * record lists no object.  The snapshot's own record stays as it is.
 */
#include <stdlib.h>

#include "snapshot/folder_internal.h"

static void
replace_tags(struct qs_folder *folder, const struct qs_name *record,
	struct qs_snapshot *from)
{
	for (size_t i = 0; i < folder->snapshot_count; i++) {
		struct qs_snapshot *snapshot = folder->snapshots[i];

		if (qs_name_compare(&snapshot->record, record) != 0)
			continue;
		qs_texts_free(snapshot->tags);
		snapshot->tags = from->tags;
		snapshot->tag_count = from->tag_count;
		from->tags = NULL; /* handed over */
		return;
	}
}

enum qs_code
qs_folder_tag(struct qs_folder *folder, const struct qs_snapshot *snapshot,
	const char *const *tags, size_t count, struct qs_err *err)
{
	struct qs_payload payload = {.kind = QS_PAYLOAD_NOTE};
	struct qs_mark mark;
	struct qs_err fault;
	struct qs_name of = snapshot->record;
	enum qs_code rc = qs_texts_copy(tags, count, &payload.snapshot.tags,
		err);

	if (rc != QS_OK)
		return rc;
	payload.snapshot.tag_count = count;
	payload.note_record = of;
	rc = qs_folder_log_payload(folder, &payload, qs_span(NULL, 0), &mark,
		err);
	if (rc != QS_OK)
		goto out;
	replace_tags(folder, &of, &payload.snapshot);
	if (folder->index != NULL && qs_folder_settle_index(folder, NULL, 0,
		&mark, &fault) != QS_OK)
		qs_folder_tell(folder, &fault);
out:
	qs_payload_clear(&payload);
	return rc;
}
