/* SPDX-License-Identifier: ISC */
/* The key slots in a store, and which of them some factors open. */
#include <stdio.h>
#include <stdlib.h>

#include "snapshot/folder_internal.h"

/* More would be a flood: trying a passphrase takes seconds for each. */
#define SLOTS_MAX 256

struct listing {
	struct qs_store *store;
	struct qs_buf names; /* struct qs_name */
	qs_trouble_fn trouble;
	void *arg;
	bool is_flood;
};

static enum qs_code
take_ref(void *arg, const struct qs_ref *ref, struct qs_err *err)
{
	struct listing *listing = (struct listing *)arg;
	struct qs_err trouble;

	if (ref->foreign != NULL) {
		/* Not damage: clients of clouds leave such things behind. */
		(void)qs_fail(&trouble, QS_EINVAL, "%s in %s is no key "
			"slot of qstore's; it is left alone", ref->foreign,
			listing->store->place);
		listing->trouble(listing->arg, &trouble);
		return QS_OK;
	}
	if (listing->names.len / 32 < SLOTS_MAX)
		return qs_buf_append(&listing->names, ref->name.b, 32, err);
	if (!listing->is_flood) {
		(void)qs_fail(&trouble, QS_ECORRUPT, "%s has more than %d key "
			"slots; the others are not looked at",
			listing->store->place, SLOTS_MAX);
		listing->trouble(listing->arg, &trouble);
	}
	listing->is_flood = true;
	return QS_OK;
}

static enum qs_code
load_slot(struct qs_store *store, const struct qs_name *name,
	struct qs_slot *out, struct qs_err *err)
{
	struct qs_ref ref = {.area = QS_AREA_KEYS, .name = *name};
	struct qs_buf bytes = {0};
	char hex[QS_HEX_LEN + 1];
	enum qs_code rc = qs_store_load(store, &ref, QS_SLOT_LEN, &bytes, err);

	qs_hex(hex, name->b, 32);
	if (rc != QS_OK)
		goto out;
	rc = qs_slot_parse(qs_buf_span(&bytes), &out->info, err);
	if (rc == QS_OK && memcmp(out->info.folder_id, store->folder_id,
		QS_FOLDER_ID_LEN) != 0)
		rc = qs_fail(err, QS_ECORRUPT, "is of another folder");
	if (rc != QS_OK) {
		rc = qs_fail_while(err, "key slot %.16s in %s", hex,
			store->place);
		goto out;
	}
	out->name = *name;
	memcpy(out->bytes, bytes.data, QS_SLOT_LEN);
out:
	qs_buf_clear(&bytes);
	return rc;
}

/* Each on its own: the fault of one must not lock out the others. */
static enum qs_code
load_all(struct listing *listing, struct qs_slot_list *list,
	struct qs_err *err)
{
	struct qs_name *names = (struct qs_name *)listing->names.data;
	size_t count = qs_names_sort(names, listing->names.len / 32);
	bool is_newer = false;

	list->slots = calloc(count + 1, sizeof(*list->slots));
	if (list->slots == NULL)
		return qs_fail_nomem(err, "reading the key slots");
	for (size_t i = 0; i < count; i++) {
		struct qs_err fault;
		enum qs_code rc = load_slot(listing->store, &names[i],
			&list->slots[list->count], &fault);

		if (rc == QS_OK) {
			list->count++;
		} else if (rc == QS_ENOMEM) {
			*err = fault;
			return rc;
		} else {
			is_newer |= rc == QS_EUNSUPPORTED;
			listing->trouble(listing->arg, &fault);
		}
	}
	if (list->count == 0 && is_newer)
		return qs_fail(err, QS_EUNSUPPORTED, "%s: its key slots were "
			"made by a newer version of qstore: update qstore",
			listing->store->place);
	if (list->count == 0)
		return qs_fail(err, QS_EKEY, "%s has no key slot that can be "
			"used: without one the folder can't be opened",
			listing->store->place);
	return QS_OK;
}

enum qs_code
qs_slots_load(struct qs_store *store, struct qs_slot_list *out,
	qs_trouble_fn trouble, void *arg, struct qs_err *err)
{
	struct listing listing = {
		.store = store,
		.trouble = trouble,
		.arg = arg,
	};
	struct qs_slot_list list = {0};
	enum qs_code rc = store->ops->list(store->self, QS_AREA_KEYS,
		take_ref, &listing, err);

	if (rc == QS_OK)
		rc = load_all(&listing, &list, err);
	if (rc != QS_OK)
		goto out;
	*out = list;
	list = (struct qs_slot_list){0}; /* handed over */
out:
	qs_buf_clear(&listing.names);
	qs_slots_clear(&list);
	return rc;
}

void
qs_slots_clear(struct qs_slot_list *list)
{
	free(list->slots);
	*list = (struct qs_slot_list){0};
}

/* ---------------------------------------------------------------- open */

/*
 * The user's factors in the slot's order; false when it takes others.  Two of
 * one type keep the order they were given in.
 */
static bool
arrange(const struct qs_slot_info *info, const struct qs_factor *factors,
	size_t count, struct qs_factor out[static QS_SLOT_FACTORS_MAX])
{
	bool used[QS_SLOT_FACTORS_MAX] = {false};

	if (count != info->factor_count || count > QS_SLOT_FACTORS_MAX)
		return false;
	for (size_t i = 0; i < count; i++) {
		size_t j = 0;

		while (j < count && (used[j] ||
			factors[j].type != info->factors[i]))
			j++;
		if (j == count)
			return false;
		used[j] = true;
		out[i] = factors[j];
	}
	return true;
}

static const char *
factor_word(enum qs_factor_type type)
{
	switch (type) {
	case QS_FACTOR_PASSPHRASE:
		return "a passphrase";
	case QS_FACTOR_RECOVERY:
		return "a recovery code";
	case QS_FACTOR_KEYFILE:
		return "a key file";
	}
	return "something else";
}

static enum qs_code
fail_types(const struct qs_factor *factors, size_t count, struct qs_err *err)
{
	if (count == 1)
		return qs_fail(err, QS_EAUTH, "no key slot of this folder "
			"opens with %s alone", factor_word(factors[0].type));
	return qs_fail(err, QS_EAUTH, "no key slot of this folder opens with "
		"just these %zu things together", count);
}

enum qs_code
qs_slots_open(const struct qs_slot_list *list,
	const struct qs_factor *factors, size_t count,
	struct qs_slot_secret *out, size_t *which, struct qs_err *err)
{
	struct qs_err fault = {.code = QS_OK};

	for (size_t i = 0; i < list->count; i++) {
		struct qs_factor arranged[QS_SLOT_FACTORS_MAX];
		struct qs_err one;
		enum qs_code rc;

		if (!arrange(&list->slots[i].info, factors, count, arranged))
			continue;
		rc = qs_slot_open(qs_span(list->slots[i].bytes, QS_SLOT_LEN),
			arranged, count, out, &one);
		if (rc == QS_OK) {
			*which = i;
			return QS_OK;
		}
		/* "wrong" says less than what kept a slot from being tried. */
		if (fault.code == QS_OK || fault.code == QS_EAUTH)
			fault = one;
	}
	if (fault.code == QS_OK)
		return fail_types(factors, count, err);
	*err = fault;
	return err->code;
}
