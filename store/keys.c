/* SPDX-License-Identifier: ISC */
/* The keys of a folder, all derived from what a slot protects. */
#include "store/store_internal.h"

/* Everything that follows from fmk, ds, adm_pk and folder_id. */
static void
derive(struct qs_keys *keys)
{
	qs_b2b(keys->pack, 32, keys->fmk, "pack", keys->folder_id,
		QS_FOLDER_ID_LEN);
	qs_b2b(keys->log, 32, keys->fmk, "log", keys->folder_id,
		QS_FOLDER_ID_LEN);
	for (unsigned domain = 0; domain < 256; domain++) {
		uint8_t byte = (uint8_t)domain;

		qs_b2b(keys->id[domain], 32, keys->ds, "cid", &byte, 1);
	}
}

enum qs_code
qs_keys_create(struct qs_keys **out, struct qs_err *err)
{
	struct qs_keys *keys = qs_secret_alloc(sizeof(*keys));
	uint8_t commit[32];

	if (keys == NULL)
		return qs_fail_nomem(err, "making a folder's keys");
	qs_random(keys->fmk, sizeof(keys->fmk));
	qs_random(keys->ds, sizeof(keys->ds));
	qs_sign_generate(&keys->admin);
	keys->has_admin = true;
	memcpy(keys->adm_pk, keys->admin.pk, 32);
	qs_fmk_commit(keys->fmk, commit);
	qs_folder_id(keys->adm_pk, commit, keys->folder_id);
	derive(keys);
	*out = keys;
	return QS_OK;
}

enum qs_code
qs_keys_open(const struct qs_slot_secret *secret,
	const uint8_t folder_id[static QS_FOLDER_ID_LEN], struct qs_keys **out,
	struct qs_err *err)
{
	static const uint8_t absent[32];
	enum qs_code rc = QS_OK;
	struct qs_keys *keys = qs_secret_alloc(sizeof(*keys));

	if (keys == NULL)
		return qs_fail_nomem(err, "opening a folder's keys");
	memcpy(keys->folder_id, folder_id, QS_FOLDER_ID_LEN);
	memcpy(keys->fmk, secret->fmk, 32);
	memcpy(keys->ds, secret->ds, 32);
	memcpy(keys->adm_pk, secret->adm_pk, 32);
	if (!qs_equal(secret->adm_seed, absent, 32)) {
		qs_sign_from_seed(&keys->admin, secret->adm_seed);
		if (!qs_equal(keys->admin.pk, keys->adm_pk, 32)) {
			rc = qs_fail(err, QS_ECORRUPT, "key slot: its admin "
				"key is not the folder's");
			goto out;
		}
		keys->has_admin = true;
	}
	derive(keys);
	*out = keys;
	keys = NULL; /* handed over */
out:
	qs_keys_free(keys);
	return rc;
}

void
qs_keys_free(struct qs_keys *keys)
{
	qs_secret_free(keys);
}

const uint8_t *
qs_keys_folder_id(const struct qs_keys *keys)
{
	return keys->folder_id;
}

const uint8_t *
qs_keys_id(const struct qs_keys *keys, uint8_t domain)
{
	return keys->id[domain];
}

const uint8_t *
qs_keys_ds(const struct qs_keys *keys)
{
	return keys->ds;
}

const uint8_t *
qs_keys_fmk(const struct qs_keys *keys)
{
	return keys->fmk;
}

const uint8_t *
qs_keys_adm_pk(const struct qs_keys *keys)
{
	return keys->adm_pk;
}

const struct qs_sign_key *
qs_keys_admin(const struct qs_keys *keys)
{
	return keys->has_admin ? &keys->admin : NULL;
}

void
qs_keys_slot_secret(const struct qs_keys *keys, bool with_admin,
	struct qs_slot_secret *out)
{
	memset(out, 0, sizeof(*out));
	memcpy(out->fmk, keys->fmk, 32);
	memcpy(out->ds, keys->ds, 32);
	memcpy(out->adm_pk, keys->adm_pk, 32);
	if (with_admin && keys->has_admin)
		memcpy(out->adm_seed, keys->admin.seed, 32);
}

const char *
qs_kind_tag(enum qs_kind kind)
{
	switch (kind) {
	case QS_KIND_DATA:
		return "data";
	case QS_KIND_TREE:
		return "tree";
	case QS_KIND_INDEX:
		return "index";
	case QS_KIND_LIST:
		return "list";
	}
	return "none"; /* no id is ever made with it: kinds are checked */
}

void
qs_chunk_id(const struct qs_keys *keys, enum qs_kind kind, uint8_t domain,
	struct qs_span plain, struct qs_id *out)
{
	qs_b2b(out->b, sizeof(out->b), keys->id[domain], qs_kind_tag(kind),
		plain.data, plain.len);
}

void
qs_pack_header(const struct qs_keys *keys, const uint8_t salt[static 32],
	uint8_t out[static PACK_KEYED])
{
	memset(out, 0, PACK_KEYED);
	memcpy(out, PACK_MAGIC, 8);
	out[8] = PACK_VERSION;
	out[9] = PACK_SUITE;
	qs_store32(out + 12, keys->epoch);
	memcpy(out + 16, keys->folder_id, QS_FOLDER_ID_LEN);
	memcpy(out + 32, salt, 32);
}

void
qs_pack_okm(const struct qs_keys *keys, const uint8_t header[static PACK_KEYED],
	uint8_t okm[static PACK_OKM])
{
	qs_b2b(okm, PACK_OKM, keys->pack, "packkey", header, PACK_KEYED);
}
