/* SPDX-License-Identifier: ISC */
/* Key slots of an open folder, added and taken away. */
#include <stdlib.h>

#include "snapshot/folder_internal.h"

static enum qs_code
refuse_in_memory(const struct qs_folder *folder, struct qs_err *err)
{
	if (!folder->in_memory)
		return QS_OK;
	return qs_fail(err, QS_EINVAL, "the folder was opened without "
		"remembering anything on this machine, so its key slots "
		"can't be changed");
}

enum qs_code
qs_folder_slot_add(struct qs_folder *folder, const struct qs_new_slot *slot,
	struct qs_name *name, struct qs_err *err)
{
	struct qs_slot_secret *secret;
	uint8_t bytes[QS_SLOT_LEN];
	enum qs_code rc = refuse_in_memory(folder, err);

	if (rc != QS_OK)
		return rc;
	if (slot->with_admin && qs_keys_admin(folder->keys) == NULL)
		return qs_fail(err, QS_EKEY, "the folder was opened without "
			"the admin key, so a new key slot can't hold it");
	secret = qs_secret_alloc(sizeof(*secret));
	if (secret == NULL)
		return qs_fail_nomem(err, "making a key slot");
	qs_keys_slot_secret(folder->keys, slot->with_admin, secret);
	rc = qs_slot_create(0, folder->store->folder_id, slot->label,
		slot->factors, slot->count, secret, bytes, err);
	qs_secret_free(secret);
	if (rc == QS_OK)
		rc = folder->store->ops->put_key(folder->store->self,
			qs_span(bytes, sizeof(bytes)), name, err);
	return rc;
}

/* -------------------------------------------------------------- remove */

struct removal {
	struct qs_folder *folder;
	const struct qs_name *name;
	bool found;
};

static enum qs_code
take_slot(void *arg, const struct qs_ref *ref, struct qs_err *err)
{
	struct removal *removal = (struct removal *)arg;

	(void)err;
	if (ref->foreign == NULL &&
		qs_name_compare(&ref->name, removal->name) == 0)
		removal->found = true;
	return QS_OK;
}

static void
ignore(void *arg, const struct qs_err *trouble)
{
	(void)arg;
	(void)trouble;
}

/* Another slot that is whole, and not on its way out itself. */
static enum qs_code
check_others(const struct removal *removal, struct qs_err *err)
{
	struct qs_slot_list list = {0};
	struct qs_folder *folder = removal->folder;
	bool is_other = false;
	enum qs_code rc = qs_slots_load(folder->store, &list, ignore, NULL,
		err);

	if (rc != QS_OK && rc != QS_EKEY)
		return rc;
	for (size_t i = 0; i < list.count; i++) {
		const struct qs_name *name = &list.slots[i].name;

		is_other |= qs_name_compare(name, removal->name) != 0 &&
			!qs_is_slot_retired(folder, name);
	}
	qs_slots_clear(&list);
	if (is_other)
		return QS_OK;
	return qs_fail(err, QS_EINVAL, "it is the last key slot: nobody "
		"could open the folder any more; add another one first");
}

/* The retirement is on record before the slot goes. */
static enum qs_code
retire(struct qs_folder *folder, const struct qs_name *name,
	struct qs_err *err)
{
	struct qs_draft draft = {.type = QS_RECORD_RETIRE};
	struct qs_buf body = {0};
	struct qs_mark mark;
	int lock = -1;
	enum qs_code rc = qs_folder_retire_body(folder,
		qs_span(name->b, sizeof(name->b)), &body, err);

	draft.body = qs_buf_span(&body);
	if (rc == QS_OK)
		rc = qs_state_lock(folder, &lock, err);
	if (rc == QS_OK)
		rc = qs_chain_append(folder, qs_keys_admin(folder->keys),
			&draft, &mark, err);
	qs_fd_close(&lock);
	qs_buf_clear(&body);
	if (rc != QS_OK)
		return rc;
	return qs_buf_append(&folder->dropped, name->b, sizeof(name->b), err);
}

enum qs_code
qs_folder_slot_remove(struct qs_folder *folder, const struct qs_name *name,
	struct qs_err *err)
{
	struct removal removal = {folder, name, false};
	struct qs_name slot = *name;
	char hex[QS_HEX_LEN + 1];
	enum qs_code rc = qs_folder_writable(folder, err);

	if (rc != QS_OK)
		return rc;
	qs_hex(hex, slot.b, 32);
	if (qs_keys_admin(folder->keys) == NULL)
		return qs_fail(err, QS_EKEY, "key slot %.16s: the folder was "
			"opened without the admin key that removing it takes",
			hex);
	rc = folder->store->ops->list(folder->store->self, QS_AREA_KEYS,
		take_slot, &removal, err);
	if (rc != QS_OK)
		return rc;
	if (!removal.found)
		return qs_fail(err, QS_ENOTFOUND, "key slot %.16s is not in "
			"%s", hex, folder->store->place);
	rc = check_others(&removal, err);
	/* One that came back, or whose removal was cut short: just drop it. */
	if (rc == QS_OK && !qs_is_slot_retired(folder, &slot))
		rc = retire(folder, &slot, err);
	if (rc == QS_OK)
		rc = folder->store->ops->drop_key(folder->store->self, &slot,
			err);
	if (rc != QS_OK)
		return qs_fail_while(err, "remove key slot %.16s", hex);
	return QS_OK;
}
