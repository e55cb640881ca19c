/* SPDX-License-Identifier: ISC */
/* What may come in, told without any key. */
#include <stdlib.h>

#include "crypto/crypto.h"
#include "hub/hub.h"

#define SLOTS_MAX 64

struct qs_admission {
	struct qs_signers *signers;
};

enum qs_code
qs_admission_new(struct qs_store *store, struct qs_admission **out,
	struct qs_err *err)
{
	struct qs_admission *admission = calloc(1, sizeof(*admission));
	enum qs_code rc;

	if (admission == NULL)
		return qs_fail_nomem(err, "preparing to take log records");
	rc = qs_signers_new(store, &admission->signers, err);
	if (rc != QS_OK) {
		free(admission);
		return rc;
	}
	*out = admission;
	return QS_OK;
}

void
qs_admission_free(struct qs_admission *admission)
{
	if (admission == NULL)
		return;
	qs_signers_free(admission->signers);
	free(admission);
}

enum qs_code
qs_admit_object(const struct qs_store *store, struct qs_span object,
	struct qs_err *err)
{
	return qs_pack_check(object, store->folder_id, err);
}

enum qs_code
qs_admit_record(struct qs_admission *admission, struct qs_span bytes,
	struct qs_record *out, struct qs_err *err)
{
	struct qs_record record;
	enum qs_code rc = qs_record_parse(bytes, &record, err);

	if (rc == QS_OK)
		rc = qs_signers_check(admission->signers, &record, err);
	if (rc == QS_OK)
		*out = record;
	return rc;
}

/* ------------------------------------------------------------- key slots */

struct others { /* slots that are there, beside the one with this name */
	struct qs_name name;
	size_t count;
};

static enum qs_code
count_other(void *arg, const struct qs_ref *ref, struct qs_err *err)
{
	struct others *others = arg;

	(void)err;
	if (ref->foreign == NULL &&
		memcmp(ref->name.b, others->name.b, 32) != 0)
		others->count++;
	return QS_OK;
}

enum qs_code
qs_admit_slot(const struct qs_store *store, struct qs_span slot,
	struct qs_err *err)
{
	struct qs_slot_info info;
	struct others others = {.count = 0};
	enum qs_code rc = qs_slot_parse(slot, &info, err);

	if (rc != QS_OK)
		return rc;
	if (memcmp(info.folder_id, store->folder_id, QS_FOLDER_ID_LEN) != 0)
		return qs_fail(err, QS_EKEY,
			"key slot: belongs to another folder");
	qs_hash_name(slot, &others.name);
	rc = store->ops->list(store->self, QS_AREA_KEYS, count_other, &others,
		err);
	if (rc != QS_OK)
		return rc;
	if (others.count >= SLOTS_MAX)
		return qs_fail(err, QS_EQUOTA, "key slot: the folder has %zu, "
			"and %d are the most", others.count, SLOTS_MAX);
	return QS_OK;
}
