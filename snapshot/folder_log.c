/* SPDX-License-Identifier: ISC */
/*
 * What the log says, taken in record by record.  The admin's chain comes
 * first, so what it certifies and retires is known when the devices' chains
 * are read.  Every record has been verified by the walk; a payload is its
 * device's own words.
 */
#include <stdlib.h>

#include "snapshot/folder_internal.h"

struct note { /* tags that replace a snapshot's, or its turn */
	struct qs_name of, by;
	uint64_t time_ms, seq;
	bool is_turn, is_forgotten;
	char **tags;
	size_t tag_count;
};

struct walk {
	struct qs_folder *folder;
	struct qs_buf *wanted; /* struct qs_name */
	struct qs_buf payload; /* of one record at a time */
	struct note *notes;
	size_t note_count, note_cap;
	struct qs_claim *claims;
	size_t claim_count, claim_cap;
};

static void
walk_clear(struct walk *walk)
{
	for (size_t i = 0; i < walk->note_count; i++)
		qs_texts_free(walk->notes[i].tags);
	free(walk->notes);
	free(walk->claims);
	qs_buf_clear(&walk->payload);
}

/* ------------------------------------------------------- admin's records */

static enum qs_code
take_genesis(struct walk *walk, const struct qs_record *record,
	struct qs_err *err)
{
	struct qs_folder *folder = walk->folder;
	struct qs_buf payload = {0};
	const uint8_t *ds;
	/* In one allocation: growing would leave copies of the secret. */
	enum qs_code rc = qs_buf_reserve(&payload, record->sealed_payload.len,
		err);

	if (rc == QS_OK)
		rc = qs_record_open(folder->keys, record, &payload, err);
	if (rc == QS_OK)
		rc = qs_genesis_payload_decode(qs_buf_span(&payload), &ds,
			&folder->chunker, err);
	if (rc == QS_OK && !qs_equal(ds, qs_keys_ds(folder->keys), 32))
		rc = qs_fail(err, QS_ECORRUPT, "GENESIS and the key slot do "
			"not have the same dedup secret");
	if (payload.data != NULL)
		qs_wipe(payload.data, payload.cap);
	qs_buf_clear(&payload);
	if (rc != QS_OK)
		return qs_fail_while(err, "log of %s", folder->store->place);
	folder->has_genesis = true;
	return QS_OK;
}

/* Only this machine's right is asked for here; the walk knows the others. */
static enum qs_code
take_right(struct walk *walk, const struct qs_record *record,
	struct qs_err *err)
{
	struct qs_folder *folder = walk->folder;
	struct qs_cert_body body;
	enum qs_code rc = qs_cert_decode(record->public_body, &body, err);

	if (rc != QS_OK)
		return rc;
	if (folder->device == NULL ||
		memcmp(body.device_pk, folder->device->pk, 32) != 0)
		return QS_OK;
	if (record->type == QS_RECORD_REVOKE) {
		folder->is_revoked = true;
		return QS_OK;
	}
	folder->is_certified = (body.rights & QS_RIGHT_WRITE) != 0;
	folder->last_seq = body.not_after_seq;
	return QS_OK;
}

/* ----------------------------------------------------------- snapshots */

static enum qs_code
take_names(struct walk *walk, const struct qs_chain *chain,
	const struct qs_record *record, struct qs_err *err)
{
	if (walk->folder->index == NULL ||
		(chain->is_seen && record->seq <= chain->seen))
		return QS_OK;
	return qs_buf_append(walk->wanted, record->public_body.data,
		record->public_body.len, err);
}

static enum qs_code
take_claims(struct walk *walk, const struct qs_payload *payload,
	const struct qs_record *record, struct qs_err *err)
{
	for (size_t i = 0; i < payload->head_count; i++) {
		const struct qs_mark *head = &payload->heads[i];
		bool is_known = false;
		enum qs_code rc;

		/* Most snapshots saw what many before them did. */
		for (size_t j = walk->claim_count; !is_known && j > 0; j--) {
			const struct qs_mark *mark = &walk->claims[j - 1].mark;

			is_known = mark->seq == head->seq &&
				qs_name_compare(&mark->name, &head->name) == 0;
			if (walk->claim_count - j > 64)
				break;
		}
		if (is_known)
			continue;
		rc = qs_array_room(&walk->claims, walk->claim_count,
			&walk->claim_cap, sizeof(*walk->claims), err);
		if (rc != QS_OK)
			return rc;
		walk->claims[walk->claim_count++] = (struct qs_claim){
			*head, record->name, record->time_ms};
	}
	return QS_OK;
}

static enum qs_code
add_note(struct walk *walk, const struct qs_name *of,
	const struct qs_record *record, struct note **out, struct qs_err *err)
{
	enum qs_code rc = qs_array_room(&walk->notes, walk->note_count,
		&walk->note_cap, sizeof(*walk->notes), err);

	if (rc != QS_OK)
		return rc;
	if (record->time_ms > walk->folder->note_ms)
		walk->folder->note_ms = record->time_ms;
	*out = &walk->notes[walk->note_count++];
	**out = (struct note){.of = *of, .by = record->name,
		.time_ms = record->time_ms, .seq = record->seq};
	return QS_OK;
}

static enum qs_code
take_note(struct walk *walk, struct qs_payload *payload,
	const struct qs_record *record, struct qs_err *err)
{
	struct note *note;
	enum qs_code rc = add_note(walk, &payload->note_record, record, &note,
		err);

	if (rc != QS_OK)
		return rc;
	note->tags = payload->snapshot.tags;
	note->tag_count = payload->snapshot.tag_count;
	payload->snapshot.tags = NULL; /* handed over */
	return QS_OK;
}

static enum qs_code
take_turns(struct walk *walk, struct qs_chain *chain,
	const struct qs_payload *payload, const struct qs_record *record,
	struct qs_err *err)
{
	enum qs_code rc = qs_cover_extend(&chain->cover, record->public_body,
		err);

	if (record->time_ms > walk->folder->note_ms)
		walk->folder->note_ms = record->time_ms;
	for (size_t i = 0; rc == QS_OK && i < payload->turn_count; i++) {
		const struct qs_turn *turn = &payload->turns[i];
		struct note *note;

		rc = add_note(walk, &turn->record, record, &note, err);
		if (rc != QS_OK)
			break;
		note->is_turn = true;
		note->is_forgotten = turn->is_forgotten;
	}
	return rc;
}

static enum qs_code
take_payload(struct walk *walk, struct qs_chain *chain,
	struct qs_payload *payload, const struct qs_record *record,
	struct qs_err *err)
{
	enum qs_code rc = take_claims(walk, payload, record, err);

	if (rc != QS_OK)
		return rc;
	if (payload->kind == QS_PAYLOAD_NOTE)
		return take_note(walk, payload, record, err);
	if (payload->kind == QS_PAYLOAD_TURNS)
		return take_turns(walk, chain, payload, record, err);
	payload->snapshot.record = record->name;
	memcpy(payload->snapshot.device, chain->device, QS_DEVICE_LEN);
	payload->snapshot.seq = record->seq;
	rc = qs_folder_add_snapshot(walk->folder, &payload->snapshot, err);
	if (rc != QS_OK)
		return rc;
	/* Records come in order of seq: the last one is the newest. */
	qs_cover_clear(&chain->cover);
	chain->cover = payload->cover;
	payload->cover = (struct qs_cover){0}; /* handed over */
	return QS_OK;
}

static void
be_blind(struct qs_folder *folder, const struct qs_err *why)
{
	if (folder->blind.code == QS_OK)
		folder->blind = *why;
}

static enum qs_code
take_snapshot(struct walk *walk, struct qs_chain *chain,
	const struct qs_record *record, struct qs_err *err)
{
	struct qs_payload payload = {0};
	struct qs_err fault;
	char hex[QS_HEX_LEN + 1];
	enum qs_code rc = take_names(walk, chain, record, err);

	if (rc != QS_OK)
		return rc;
	walk->payload.len = 0;
	rc = qs_record_open(walk->folder->keys, record, &walk->payload,
		&fault);
	if (rc == QS_OK)
		rc = qs_payload_decode(qs_buf_span(&walk->payload), &payload,
			&fault);
	if (rc == QS_ENOMEM) {
		*err = fault;
		return rc;
	}
	if (rc != QS_OK) { /* this snapshot is lost, the others are not */
		qs_hex(hex, record->name.b, 32);
		(void)qs_fail_while(&fault, "snapshot %.8s", hex);
		be_blind(walk->folder, &fault);
		qs_folder_tell(walk->folder, &fault);
		return QS_OK;
	}
	rc = take_payload(walk, chain, &payload, record, err);
	qs_payload_clear(&payload);
	return rc;
}

/* ---------------------------------------------------------- the records */

static void
meet_marks(struct qs_folder *folder, const struct qs_record *record)
{
	for (size_t i = 0; i < folder->mark_count; i++) {
		const struct qs_mark *mark = &folder->marks[i];

		if (mark->seq == record->seq && memcmp(mark->device,
			record->signer, QS_DEVICE_LEN) == 0 &&
			qs_name_compare(&mark->name, &record->name) == 0)
			folder->mark_met[i] = true;
	}
}

static enum qs_code
take_record(void *arg, const struct qs_record *record, struct qs_err *err)
{
	struct walk *walk = (struct walk *)arg;
	struct qs_chain *chain;
	enum qs_code rc = qs_folder_chain_make(walk->folder, record->signer,
		&chain, err);

	if (rc == QS_OK)
		rc = qs_chain_extend(chain, record, err);
	if (rc == QS_OK)
		rc = qs_retirement_take(walk->folder->retirement, record, err);
	if (rc != QS_OK)
		return rc;
	meet_marks(walk->folder, record);
	switch (record->type) {
	case QS_RECORD_GENESIS:
		return take_genesis(walk, record, err);
	case QS_RECORD_CERT:
	case QS_RECORD_REVOKE:
		return take_right(walk, record, err);
	case QS_RECORD_SNAPSHOT:
		return take_snapshot(walk, chain, record, err);
	case QS_RECORD_RETIRE:
	case QS_RECORD_EPOCH:
	case QS_RECORD_CHECKPOINT:
		break;
	}
	return QS_OK;
}

static void
take_trouble(void *arg, const struct qs_err *trouble)
{
	struct walk *walk = (struct walk *)arg;

	walk->folder->has_newer |= trouble->code == QS_EUNSUPPORTED;
	/* A damaged one leaves a gap, or is the last, which nobody knows. */
	if (trouble->code != QS_ECORRUPT && trouble->code != QS_EROLLBACK)
		be_blind(walk->folder, trouble);
	qs_folder_tell(walk->folder, trouble);
}

/* ---------------------------------------------------------------- notes */

static int
by_age(const void *a, const void *b)
{
	const struct note *left = (const struct note *)a;
	const struct note *right = (const struct note *)b;

	if (left->time_ms != right->time_ms)
		return left->time_ms < right->time_ms ? -1 : 1;
	if (left->seq != right->seq)
		return left->seq < right->seq ? -1 : 1;
	return qs_name_compare(&left->by, &right->by);
}

static int
by_record(const void *a, const void *b)
{
	return qs_name_compare(&(*(struct qs_snapshot *const *)a)->record,
		&(*(struct qs_snapshot *const *)b)->record);
}

static void
apply_note(struct qs_snapshot *snapshot, struct note *note)
{
	if (note->is_turn) {
		snapshot->is_forgotten = note->is_forgotten;
		return;
	}
	qs_texts_free(snapshot->tags);
	snapshot->tags = note->tags;
	snapshot->tag_count = note->tag_count;
	note->tags = NULL; /* handed over */
}

/* In an order that all machines agree on; the last one stands. */
static enum qs_code
apply_notes(struct walk *walk, struct qs_err *err)
{
	struct qs_folder *folder = walk->folder;
	const size_t count = folder->snapshot_count;

	if (walk->note_count > 1)
		qsort(walk->notes, walk->note_count, sizeof(*walk->notes),
			by_age);
	if (walk->note_count == 0 || count == 0)
		return QS_OK;
	qsort(folder->snapshots, count, sizeof(struct qs_snapshot *),
		by_record);
	for (size_t i = 0; i < walk->note_count; i++) {
		struct note *note = &walk->notes[i];
		const struct qs_snapshot key = {.record = note->of};
		const struct qs_snapshot *wanted = &key;
		struct qs_snapshot **found = bsearch(&wanted,
			folder->snapshots, count,
			sizeof(struct qs_snapshot *), by_record);

		if (found != NULL)
			apply_note(*found, note);
	}
	return qs_folder_part_forgotten(folder, err);
}

enum qs_code
qs_folder_walk(struct qs_folder *folder, struct qs_buf *wanted,
	struct qs_err *err)
{
	struct walk walk = {.folder = folder, .wanted = wanted};
	const uint8_t *adm_pk = qs_keys_adm_pk(folder->keys);
	enum qs_code rc = qs_retirement_new(adm_pk, &folder->retirement, err);

	if (rc == QS_OK)
		rc = qs_log_walk(folder->store, adm_pk, folder->marks,
			folder->mark_count, take_record, take_trouble, &walk,
			err);
	if (rc == QS_OK)
		rc = qs_retirement_finish(folder->retirement, err);
	if (rc != QS_OK)
		goto out;
	rc = apply_notes(&walk, err);
	if (rc != QS_OK)
		goto out;
	qs_folder_sort_snapshots(folder);
	qs_claims_check(folder, walk.claims, walk.claim_count);
out:
	walk_clear(&walk);
	return rc;
}

/* ----------------------------------------------------- names, once more */

struct each {
	qs_index_name_fn fn;
	void *arg;
};

static enum qs_code
each_name(void *arg, const struct qs_record *record, struct qs_err *err)
{
	const struct each *each = (const struct each *)arg;
	enum qs_code rc = QS_OK;

	if (record->type != QS_RECORD_SNAPSHOT)
		return QS_OK;
	for (size_t at = 0; rc == QS_OK && at + 32 <= record->public_body.len;
		at += 32) {
		struct qs_name name;

		memcpy(name.b, record->public_body.data + at, 32);
		rc = each->fn(each->arg, &name, err);
	}
	return rc;
}

/* Troubles were told when the folder was opened. */
static void
ignore_trouble(void *arg, const struct qs_err *trouble)
{
	(void)arg;
	(void)trouble;
}

enum qs_code
qs_folder_each_logged(struct qs_folder *folder, qs_index_name_fn fn,
	void *arg, struct qs_err *err)
{
	struct each each = {fn, arg};
	struct qs_mark *heads = calloc(folder->chain_count + 1,
		sizeof(*heads));
	size_t count = 0;
	enum qs_code rc;

	if (heads == NULL)
		return qs_fail_nomem(err, "reading the log");
	/* Verified already: the heads vouch for what is below them. */
	for (size_t i = 0; i < folder->chain_count; i++) {
		if (folder->chains[i].has_head)
			heads[count++] = folder->chains[i].head;
	}
	rc = qs_log_walk(folder->store, qs_keys_adm_pk(folder->keys), heads,
		count, each_name, ignore_trouble, &each, err);
	free(heads);
	return rc;
}
