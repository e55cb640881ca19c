/* SPDX-License-Identifier: ISC */
/*
 * Append a record to a chain.  The store takes a record only behind the one it
 * follows, so the chain's newest is read again right before; what others of
 * this machine (or this machine before it was reverted) have written meanwhile
 * is verified and built upon.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "snapshot/folder_internal.h"

#define TRIES 5

/* Records of one device that are newer than what is known of it. */
struct newer {
	const uint8_t *device;
	bool has_head;
	uint64_t head_seq;
	struct qs_name head;
	bool head_found;
	struct qs_link *links;
	size_t count, cap;
};

static enum qs_code
take_ref(void *arg, const struct qs_ref *ref, struct qs_err *err)
{
	struct newer *newer = (struct newer *)arg;
	enum qs_code rc;

	if (ref->foreign != NULL ||
		memcmp(ref->device, newer->device, QS_DEVICE_LEN) != 0)
		return QS_OK;
	if (newer->has_head && ref->seq <= newer->head_seq) {
		if (ref->seq == newer->head_seq &&
			qs_name_compare(&ref->name, &newer->head) == 0)
			newer->head_found = true;
		return QS_OK;
	}
	rc = qs_array_room(&newer->links, newer->count, &newer->cap,
		sizeof(*newer->links), err);
	if (rc == QS_OK)
		newer->links[newer->count++] = (struct qs_link){
			ref->seq, ref->name};
	return rc;
}

static int
by_seq(const void *a, const void *b)
{
	const struct qs_link *left = (const struct qs_link *)a;
	const struct qs_link *right = (const struct qs_link *)b;

	if (left->seq != right->seq)
		return left->seq < right->seq ? -1 : 1;
	return qs_name_compare(&left->name, &right->name);
}

static enum qs_code
broken(const struct qs_folder *folder, uint64_t seq, const char *what,
	struct qs_err *err)
{
	return qs_fail(err, QS_ECORRUPT, "log of %s: record %" PRIu64 " of "
		"this key %s; copy it back from another copy of the store",
		folder->store->place, seq, what);
}

/* Whose key several machines hold. */
static bool
is_admin(const struct qs_folder *folder, const struct qs_chain *chain)
{
	return memcmp(chain->device, qs_keys_adm_pk(folder->keys),
		QS_DEVICE_LEN) == 0;
}

/* Does a record with this seq and prev follow the head, or any branch? */
static bool
is_behind(const struct qs_chain *chain, uint64_t seq,
	const struct qs_name *prev, bool is_shared)
{
	if (!is_shared)
		return qs_name_compare(prev, &chain->head.name) == 0;
	for (size_t i = chain->link_count; i-- > 0 &&
		chain->links[i].seq + 1 >= seq;) {
		if (chain->links[i].seq + 1 == seq &&
			qs_name_compare(prev, &chain->links[i].name) == 0)
			return true;
	}
	return false;
}

/* Load the record, and see that it follows the chain's head. */
static enum qs_code
follow(struct qs_folder *folder, const struct qs_sign_key *signer,
	struct qs_chain *chain, const struct qs_link *link,
	struct qs_buf *moved, struct qs_err *err)
{
	struct qs_ref ref = {.area = QS_AREA_LOG, .name = link->name,
		.seq = link->seq};
	const bool is_shared = is_admin(folder, chain);
	bool is_twin;
	struct qs_buf bytes = {0};
	struct qs_record record;
	enum qs_code rc;

	/* The admin's chain may have branches: another one of the newest. */
	is_twin = is_shared && chain->has_head && link->seq == chain->head.seq;
	if (!is_twin && link->seq != (chain->has_head ?
		chain->head.seq + 1 : 0))
		return broken(folder, link->seq,
			"is there and the one before it is not", err);
	memcpy(ref.device, chain->device, QS_DEVICE_LEN);
	rc = qs_store_load(folder->store, &ref, QS_RECORD_MAX, &bytes, err);
	if (rc == QS_OK)
		rc = qs_record_parse(qs_buf_span(&bytes), &record, err);
	if (rc != QS_OK)
		goto out;
	if (record.seq != link->seq ||
		memcmp(record.signer, signer->pk, 32) != 0 ||
		memcmp(record.folder_id, folder->store->folder_id,
			QS_FOLDER_ID_LEN) != 0 || (chain->has_head &&
		!is_behind(chain, link->seq, &record.prev, is_shared))) {
		rc = broken(folder, link->seq,
			"does not follow the one before it", err);
		goto out;
	}
	if (record.type == QS_RECORD_SNAPSHOT)
		rc = qs_buf_append(moved, record.public_body.data,
			record.public_body.len, err);
	if (rc == QS_OK)
		rc = qs_chain_extend(chain, &record, err);
out:
	qs_buf_clear(&bytes);
	return rc;
}

/* Bring the chain up to the store's newest record of it. */
static enum qs_code
refresh(struct qs_folder *folder, const struct qs_sign_key *signer,
	struct qs_chain *chain, struct qs_buf *moved, struct qs_err *err)
{
	struct newer newer = {
		.device = chain->device,
		.has_head = chain->has_head,
		.head_seq = chain->head.seq,
		.head = chain->head.name,
	};
	enum qs_code rc = folder->store->ops->list(folder->store->self,
		QS_AREA_LOG, take_ref, &newer, err);

	if (rc != QS_OK)
		goto out;
	if (newer.has_head && !newer.head_found) {
		rc = qs_fail(err, QS_EROLLBACK, "record %" PRIu64 " of this "
			"key is not in %s any more: the store went back in "
			"time", newer.head_seq, folder->store->place);
		goto out;
	}
	if (newer.count > 1)
		qsort(newer.links, newer.count, sizeof(*newer.links), by_seq);
	for (size_t i = 0; rc == QS_OK && i < newer.count; i++)
		rc = follow(folder, signer, chain, &newer.links[i], moved,
			err);
	if (rc == QS_OK && chain->is_forked && !is_admin(folder, chain))
		rc = qs_fail(err, QS_ECORRUPT, "log of %s: two records of "
			"this key have the number %" PRIu64 ": two machines "
			"write with one key; remove device.key in %s to make "
			"a new one", folder->store->place, chain->head.seq,
			folder->state_dir);
out:
	free(newer.links);
	return rc;
}

static enum qs_code
encode(struct qs_folder *folder, const struct qs_sign_key *signer,
	const struct qs_chain *chain, const struct qs_draft *draft,
	const struct qs_buf *moved, struct qs_buf *out, struct qs_err *err)
{
	struct qs_record record = {
		.type = draft->type,
		.seq = chain->has_head ? chain->head.seq + 1 : 0,
		.time_ms = (uint64_t)(qs_now_ns() / 1000000),
		.public_body = draft->body,
		.retire_seen = qs_folder_retire_seen(folder),
	};
	struct qs_buf payload = {0};
	enum qs_code rc = QS_OK;

	if (record.time_ms < draft->not_before_ms)
		record.time_ms = draft->not_before_ms;
	if (chain->has_head)
		record.prev = chain->head.name;
	if (draft->payload != NULL)
		rc = draft->payload(draft->arg, moved, &payload, err);
	if (rc == QS_OK)
		rc = qs_record_encode(folder->keys, signer, &record,
			draft->payload != NULL ? qs_buf_span(&payload) :
			draft->fixed, out, err);
	qs_buf_clear(&payload);
	return rc;
}

/* One try; *name is that of the record that was sent. */
static enum qs_code
send(struct qs_folder *folder, const struct qs_sign_key *signer,
	struct qs_chain *chain, const struct qs_draft *draft,
	const struct qs_buf *moved, struct qs_name *name, struct qs_err *err)
{
	struct qs_buf bytes = {0};
	struct qs_record record;
	enum qs_code rc = encode(folder, signer, chain, draft, moved, &bytes,
		err);

	if (rc == QS_OK)
		rc = qs_record_parse(qs_buf_span(&bytes), &record, err);
	if (rc != QS_OK)
		goto out;
	*name = record.name;
	rc = folder->store->ops->append(folder->store->self, &record, err);
	if (rc == QS_OK)
		rc = qs_chain_extend(chain, &record, err);
out:
	qs_buf_clear(&bytes);
	return rc;
}

/*
 * The record is in the store, durably: it would be wrong to call that a
 * failure because it could not be written down here.
 */
static void
remember(struct qs_folder *folder)
{
	struct qs_err fault;

	if (qs_marks_save(folder, false, &fault) == QS_OK)
		return;
	(void)qs_fail_while(&fault, "the newest record is not remembered");
	qs_folder_tell(folder, &fault);
}

enum qs_code
qs_chain_append(struct qs_folder *folder, const struct qs_sign_key *signer,
	const struct qs_draft *draft, struct qs_mark *out, struct qs_err *err)
{
	struct qs_buf moved = {0};
	struct qs_name sent = {{0}};
	struct qs_name walked = {{0}};
	struct qs_chain *chain;
	enum qs_code rc = qs_folder_chain_make(folder, signer->pk, &chain,
		err);

	if (rc == QS_OK && chain->has_head)
		walked = chain->head.name;
	for (int tries = 0; rc == QS_OK; tries++) {
		rc = refresh(folder, signer, chain, &moved, err);
		if (rc != QS_OK)
			break;
		/* It was taken after all, and only the answer was lost. */
		if (tries > 0 && chain->has_head &&
			qs_name_compare(&chain->head.name, &sent) == 0)
			break;
		if (draft->is_exact && chain->has_head &&
			qs_name_compare(&chain->head.name, &walked) != 0) {
			rc = qs_fail(err, QS_ECONFLICT, "the log of this key "
				"has moved");
			break;
		}
		rc = send(folder, signer, chain, draft, &moved, &sent, err);
		if (rc != QS_ECONFLICT || tries + 1 == TRIES)
			break;
		rc = QS_OK;
	}
	if (rc == QS_OK) {
		*out = chain->head;
		remember(folder);
	}
	qs_buf_clear(&moved);
	return rc;
}
