/* SPDX-License-Identifier: ISC */
/*
 * A SNAPSHOT record's payload, in.  The bytes are a certified device's, which
 * may be hostile all the same: each count is held against what is left of
 * them before anything is allocated for it.
 */
#include <stdlib.h>

#include "snapshot/folder_internal.h"

static enum qs_code
corrupt(struct qs_err *err, const char *what)
{
	return qs_fail(err, QS_ECORRUPT, "snapshot payload: %s", what);
}

/* A count whose items take at least item_len bytes each. */
static bool
get_count(struct qs_reader *reader, uint32_t max, size_t item_len,
	size_t *out)
{
	uint32_t count = qs_read32(reader);

	if (reader->failed || count > max || count > reader->left / item_len)
		return false;
	*out = count;
	return true;
}

/* A string of ours: no NUL inside; *out is the caller's to free. */
static enum qs_code
get_text(struct qs_reader *reader, size_t max, bool may_be_empty, char **out,
	struct qs_err *err)
{
	size_t len = qs_read16(reader);
	const uint8_t *bytes;
	char *text;

	if (reader->failed || len > max || (len == 0 && !may_be_empty))
		return corrupt(err, "a string has a wrong length");
	bytes = qs_read_bytes(reader, len);
	if (reader->failed)
		return corrupt(err, "ends inside a string");
	if (len > 0 && memchr(bytes, 0, len) != NULL)
		return corrupt(err, "a string has a NUL byte in it");
	text = malloc(len + 1);
	if (text == NULL)
		return qs_fail_nomem(err, "reading a snapshot");
	if (len > 0)
		memcpy(text, bytes, len);
	text[len] = '\0';
	*out = text;
	return QS_OK;
}

static enum qs_code
get_texts(struct qs_reader *reader, uint32_t max_count, size_t max_len,
	char ***out, size_t *out_count, struct qs_err *err)
{
	size_t count;
	char **texts;

	if (!get_count(reader, max_count, 3, &count))
		return corrupt(err, "more strings than there can be");
	texts = calloc(count + 1, sizeof(*texts));
	if (texts == NULL)
		return qs_fail_nomem(err, "reading a snapshot");
	for (size_t i = 0; i < count; i++) {
		enum qs_code rc = get_text(reader, max_len, false, &texts[i],
			err);

		if (rc != QS_OK) {
			qs_texts_free(texts);
			return rc;
		}
	}
	*out = texts;
	*out_count = count;
	return QS_OK;
}

static void
get_totals(struct qs_reader *reader, struct qs_totals *totals)
{
	totals->files = qs_read64(reader);
	totals->dirs = qs_read64(reader);
	totals->others = qs_read64(reader);
	totals->bytes = qs_read64(reader);
	totals->files_new = qs_read64(reader);
	totals->files_changed = qs_read64(reader);
	totals->files_unmodified = qs_read64(reader);
	totals->dirs_new = qs_read64(reader);
	totals->dirs_changed = qs_read64(reader);
	totals->dirs_unmodified = qs_read64(reader);
	totals->data_blobs = qs_read64(reader);
	totals->tree_blobs = qs_read64(reader);
	totals->data_added = qs_read64(reader);
	totals->data_added_packed = qs_read64(reader);
	totals->errors = qs_read64(reader);
	totals->duration_ns = qs_read64(reader);
}

static enum qs_code
get_root(struct qs_reader *reader, struct qs_snapshot *snapshot,
	struct qs_err *err)
{
	uint8_t depth = qs_read8(reader);
	const uint8_t *zero = qs_read_bytes(reader, 3);
	uint32_t count = qs_read32(reader);
	size_t len = (size_t)count * QS_REF_LEN;
	const uint8_t *refs;

	if (zero == NULL || reader->failed || !qs_is_zero(zero, 3) ||
		depth > QS_ROOT_DEPTH_MAX || count == 0 ||
		count > QS_LIST_REFS)
		return corrupt(err, "its root has a wrong form");
	refs = qs_read_bytes(reader, len);
	if (refs == NULL)
		return corrupt(err, "ends inside its root");
	for (uint32_t i = 0; i < count; i++) {
		/* A hole is a thing of files. */
		if (qs_is_zero(refs + (size_t)i * QS_REF_LEN, 32) ||
			qs_load64(refs + (size_t)i * QS_REF_LEN + 32) == 0)
			return corrupt(err, "its root has an empty reference");
	}
	snapshot->root_refs = malloc(len);
	if (snapshot->root_refs == NULL)
		return qs_fail_nomem(err, "reading a snapshot");
	memcpy(snapshot->root_refs, refs, len);
	snapshot->root_depth = depth;
	snapshot->root_count = count;
	return QS_OK;
}

static enum qs_code
get_indexes(struct qs_reader *reader, struct qs_cover *cover,
	struct qs_err *err)
{
	size_t count;

	if (!get_count(reader, QS_COVER_MAX, QS_INDEX_AT_LEN, &count))
		return corrupt(err, "more index chunks than there can be");
	if (count == 0)
		return QS_OK;
	cover->indexes = calloc(count, sizeof(*cover->indexes));
	if (cover->indexes == NULL)
		return qs_fail_nomem(err, "reading a snapshot");
	for (size_t i = 0; i < count; i++) {
		const uint8_t *at = qs_read_bytes(reader, QS_INDEX_AT_LEN);
		struct qs_index_at *index = &cover->indexes[i];

		if (at == NULL)
			return corrupt(err, "ends inside its index chunks");
		memcpy(index->pack.b, at, 32);
		memcpy(index->id.b, at + 32, 32);
		index->len = qs_load32(at + 64);
		if (index->len == 0 || index->len > QS_CHUNK_MAX ||
			!qs_is_zero(at + 68, 4))
			return corrupt(err, "an index chunk has a wrong form");
	}
	cover->index_count = count;
	return QS_OK;
}

static enum qs_code
get_cover(struct qs_reader *reader, struct qs_cover *cover,
	struct qs_err *err)
{
	const uint8_t *names;
	size_t count;
	enum qs_code rc = get_indexes(reader, cover, err);

	if (rc != QS_OK)
		return rc;
	if (!get_count(reader, QS_COVER_MAX, 32, &count))
		return corrupt(err, "more packs than there can be");
	if (count == 0)
		return QS_OK;
	names = qs_read_bytes(reader, count * 32);
	if (names == NULL)
		return corrupt(err, "ends inside its packs");
	cover->direct = calloc(count, sizeof(*cover->direct));
	if (cover->direct == NULL)
		return qs_fail_nomem(err, "reading a snapshot");
	memcpy(cover->direct, names, count * 32);
	cover->direct_count = count;
	return QS_OK;
}

static enum qs_code
get_heads(struct qs_reader *reader, struct qs_payload *payload,
	struct qs_err *err)
{
	size_t count;

	if (!get_count(reader, QS_HEADS_MAX, QS_HEAD_LEN, &count))
		return corrupt(err, "more heads than there can be");
	if (count == 0)
		return QS_OK;
	payload->heads = calloc(count, sizeof(*payload->heads));
	if (payload->heads == NULL)
		return qs_fail_nomem(err, "reading a snapshot");
	for (size_t i = 0; i < count; i++) {
		const uint8_t *at = qs_read_bytes(reader, QS_HEAD_LEN);
		struct qs_mark *head = &payload->heads[i];

		if (at == NULL)
			return corrupt(err, "ends inside its heads");
		memcpy(head->device, at, QS_DEVICE_LEN);
		head->seq = qs_load64(at + 8);
		memcpy(head->name.b, at + 16, 32);
		head->time_ms = qs_load64(at + 48);
		if (i > 0 && memcmp(head[-1].device, head->device,
			QS_DEVICE_LEN) >= 0)
			return corrupt(err, "its heads are not in order");
	}
	payload->head_count = count;
	return QS_OK;
}

static enum qs_code
get_snapshot(struct qs_reader *reader, struct qs_payload *payload,
	struct qs_err *err)
{
	struct qs_snapshot *snapshot = &payload->snapshot;
	const uint8_t *head = qs_read_bytes(reader, QS_SNAPSHOT_HEAD);
	enum qs_code rc;

	if (head == NULL)
		return corrupt(err, "is too short");
	snapshot->time_ns = (int64_t)qs_load64(head);
	memcpy(snapshot->parent.b, head + 8, 32);
	snapshot->uid = qs_load32(head + 40);
	snapshot->gid = qs_load32(head + 44);
	get_totals(reader, &snapshot->totals);
	rc = get_root(reader, snapshot, err);
	if (rc == QS_OK)
		rc = get_text(reader, QS_TEXT_MAX, true, &snapshot->host, err);
	if (rc == QS_OK)
		rc = get_text(reader, QS_TEXT_MAX, true, &snapshot->user, err);
	if (rc == QS_OK)
		rc = get_text(reader, QS_TEXT_MAX, true, &snapshot->program,
			err);
	if (rc == QS_OK)
		rc = get_texts(reader, QS_PATHS_MAX, QS_PATH_BYTES_MAX,
			&snapshot->paths, &snapshot->path_count, err);
	if (rc == QS_OK)
		rc = get_texts(reader, QS_TAGS_MAX, QS_TEXT_MAX,
			&snapshot->tags, &snapshot->tag_count, err);
	if (rc == QS_OK)
		rc = get_cover(reader, &payload->cover, err);
	return rc;
}

static enum qs_code
get_note(struct qs_reader *reader, struct qs_payload *payload,
	struct qs_err *err)
{
	const uint8_t *name = qs_read_bytes(reader, 32);

	if (name == NULL)
		return corrupt(err, "is too short");
	memcpy(payload->note_record.b, name, 32);
	return get_texts(reader, QS_TAGS_MAX, QS_TEXT_MAX,
		&payload->snapshot.tags, &payload->snapshot.tag_count, err);
}

static enum qs_code
get_turns(struct qs_reader *reader, struct qs_payload *payload,
	struct qs_err *err)
{
	size_t count;

	if (!get_count(reader, QS_TURNS_MAX, QS_TURN_LEN, &count))
		return corrupt(err, "more snapshots to forget than there can "
			"be");
	if (count == 0)
		return QS_OK;
	payload->turns = calloc(count, sizeof(*payload->turns));
	if (payload->turns == NULL)
		return qs_fail_nomem(err, "reading what is forgotten");
	for (size_t i = 0; i < count; i++) {
		const uint8_t *at = qs_read_bytes(reader, QS_TURN_LEN);
		struct qs_turn *turn = &payload->turns[i];

		if (at == NULL)
			return corrupt(err, "ends inside its list");
		memcpy(turn->record.b, at, 32);
		turn->is_forgotten = at[32] == 1;
		if (at[32] > 1 || !qs_is_zero(at + 33, QS_TURN_LEN - 33) ||
			(i > 0 && qs_name_compare(&turn[-1].record,
			&turn->record) >= 0))
			return corrupt(err, "its list has a wrong form");
	}
	payload->turn_count = count;
	return QS_OK;
}

/* What the head says the rest is. */
static enum qs_code
get_body(struct qs_reader *reader, unsigned kind, struct qs_payload *payload,
	struct qs_err *err)
{
	enum qs_code rc;

	if (kind == QS_PAYLOAD_SNAPSHOT) {
		payload->kind = QS_PAYLOAD_SNAPSHOT;
		rc = get_snapshot(reader, payload, err);
	} else if (kind == QS_PAYLOAD_NOTE) {
		payload->kind = QS_PAYLOAD_NOTE;
		rc = get_note(reader, payload, err);
	} else {
		payload->kind = QS_PAYLOAD_TURNS;
		rc = get_turns(reader, payload, err);
	}
	return rc == QS_OK ? get_heads(reader, payload, err) : rc;
}

enum qs_code
qs_payload_decode(struct qs_span bytes, struct qs_payload *out,
	struct qs_err *err)
{
	struct qs_payload payload = {0};
	struct qs_reader reader = qs_reader(bytes);
	const uint8_t *magic = qs_read_bytes(&reader, 4);
	uint16_t version = qs_read16(&reader);
	uint16_t kind = qs_read16(&reader);
	enum qs_code rc;

	if (bytes.len > QS_RECORD_MAX)
		return corrupt(err, "is too long");
	if (magic == NULL || reader.failed || memcmp(magic, "QSTS", 4) != 0)
		return corrupt(err, "does not begin as one");
	if (version != QS_PAYLOAD_VERSION || kind < QS_PAYLOAD_SNAPSHOT ||
		kind > QS_PAYLOAD_TURNS)
		return qs_fail(err, QS_EUNSUPPORTED, "snapshot payload of "
			"version %u and kind %u: made by a newer version of "
			"qstore", version, kind);
	rc = get_body(&reader, kind, &payload, err);
	/* Sealing has padded it with zeros, and with nothing else. */
	if (rc == QS_OK && (reader.failed ||
		!qs_is_zero(reader.data, reader.left)))
		rc = corrupt(err, "has bytes behind its end");
	if (rc != QS_OK) {
		qs_payload_clear(&payload);
		return rc;
	}
	*out = payload;
	return QS_OK;
}
