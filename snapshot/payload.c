/* SPDX-License-Identifier: ISC */
/*
 * A SNAPSHOT record's payload, out: docs/FORMAT.md, "Snapshot payload".  Every
 * bound that the decoder enforces is enforced here first, so that nothing is
 * signed that no reader would take.
 */
#include <stdlib.h>

#include "snapshot/folder_internal.h"

void
qs_texts_free(char **texts)
{
	if (texts == NULL)
		return;
	for (size_t i = 0; texts[i] != NULL; i++)
		free(texts[i]);
	free(texts);
}

enum qs_code
qs_texts_copy(const char *const *texts, size_t count, char ***out,
	struct qs_err *err)
{
	char **copy;

	if (count > QS_PATHS_MAX)
		return qs_fail(err, QS_EINVAL, "too many words: %zu", count);
	copy = calloc(count + 1, sizeof(*copy));
	if (copy == NULL)
		return qs_fail_nomem(err, "copying words");
	for (size_t i = 0; i < count; i++) {
		copy[i] = strdup(texts[i]);
		if (copy[i] == NULL) {
			qs_texts_free(copy);
			return qs_fail_nomem(err, "copying words");
		}
	}
	*out = copy;
	return QS_OK;
}

void
qs_cover_clear(struct qs_cover *cover)
{
	free(cover->indexes);
	free(cover->direct);
	*cover = (struct qs_cover){0};
}

enum qs_code
qs_cover_extend(struct qs_cover *cover, struct qs_span names,
	struct qs_err *err)
{
	const size_t more = names.len / sizeof(*cover->direct);
	struct qs_name *direct;

	if (more == 0)
		return QS_OK;
	direct = realloc(cover->direct, (cover->direct_count + more) *
		sizeof(*direct));
	if (direct == NULL)
		return qs_fail_nomem(err, "reading the log");
	memcpy(direct + cover->direct_count, names.data,
		more * sizeof(*direct));
	cover->direct = direct;
	cover->direct_count += more;
	return QS_OK;
}

void
qs_snapshot_clear(struct qs_snapshot *snapshot)
{
	free(snapshot->host);
	free(snapshot->user);
	free(snapshot->program);
	qs_texts_free(snapshot->paths);
	qs_texts_free(snapshot->tags);
	free(snapshot->root_refs);
	*snapshot = (struct qs_snapshot){0};
}

void
qs_payload_clear(struct qs_payload *payload)
{
	qs_snapshot_clear(&payload->snapshot);
	qs_cover_clear(&payload->cover);
	free(payload->heads);
	free(payload->turns);
	*payload = (struct qs_payload){0};
}

/* -------------------------------------------------------------- encode */

static enum qs_code
put32(struct qs_buf *out, uint32_t value, struct qs_err *err)
{
	uint8_t bytes[4];

	qs_store32(bytes, value);
	return qs_buf_append(out, bytes, sizeof(bytes), err);
}

static enum qs_code
put_count(struct qs_buf *out, size_t count, uint32_t max, const char *what,
	struct qs_err *err)
{
	if (count > max)
		return qs_fail(err, QS_EINVAL, "a snapshot can't have %zu %s, "
			"at most %u", count, what, max);
	return put32(out, (uint32_t)count, err);
}

/* text NULL: the empty one */
static enum qs_code
put_text(struct qs_buf *out, const char *text, size_t max, const char *what,
	struct qs_err *err)
{
	size_t len = text == NULL ? 0 : strlen(text);
	uint8_t bytes[2];
	enum qs_code rc;

	if (len > max)
		return qs_fail(err, QS_EINVAL, "%s is %zu bytes long, at most "
			"%zu are possible", what, len, max);
	qs_store16(bytes, (uint16_t)len);
	rc = qs_buf_append(out, bytes, sizeof(bytes), err);
	if (rc == QS_OK && len > 0)
		rc = qs_buf_append(out, text, len, err);
	return rc;
}

/* A list of words, none of them empty. */
static enum qs_code
put_texts(struct qs_buf *out, char *const *texts, size_t count,
	size_t max_len, const char *what, struct qs_err *err)
{
	enum qs_code rc = QS_OK;

	for (size_t i = 0; rc == QS_OK && i < count; i++) {
		if (texts[i] == NULL || texts[i][0] == '\0')
			return qs_fail(err, QS_EINVAL, "%s is empty", what);
		rc = put_text(out, texts[i], max_len, what, err);
	}
	return rc;
}

static enum qs_code
put_tags(struct qs_buf *out, const struct qs_snapshot *snapshot,
	struct qs_err *err)
{
	enum qs_code rc = put_count(out, snapshot->tag_count, QS_TAGS_MAX,
		"tags", err);

	if (rc == QS_OK)
		rc = put_texts(out, snapshot->tags, snapshot->tag_count,
			QS_TEXT_MAX, "a tag", err);
	return rc;
}

static enum qs_code
put_totals(struct qs_buf *out, const struct qs_totals *totals,
	struct qs_err *err)
{
	const uint64_t values[] = {
		totals->files, totals->dirs, totals->others, totals->bytes,
		totals->files_new, totals->files_changed,
		totals->files_unmodified, totals->dirs_new,
		totals->dirs_changed, totals->dirs_unmodified,
		totals->data_blobs, totals->tree_blobs, totals->data_added,
		totals->data_added_packed, totals->errors,
		totals->duration_ns,
	};
	uint8_t *at;
	enum qs_code rc = qs_buf_extend(out, sizeof(values), &at, err);

	if (rc != QS_OK)
		return rc;
	_Static_assert(sizeof(values) == QS_TOTALS_LEN, "totals");
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
		qs_store64(at + 8 * i, values[i]);
	return QS_OK;
}

static enum qs_code
put_root(struct qs_buf *out, const struct qs_snapshot *snapshot,
	struct qs_err *err)
{
	uint8_t head[8] = {snapshot->root_depth};

	if (snapshot->root_depth > QS_ROOT_DEPTH_MAX ||
		snapshot->root_count == 0 ||
		snapshot->root_count > QS_LIST_REFS)
		return qs_fail(err, QS_EINVAL,
			"a snapshot's root can't have %u references at depth "
			"%u", snapshot->root_count, snapshot->root_depth);
	qs_store32(head + 4, snapshot->root_count);
	if (qs_buf_append(out, head, sizeof(head), err) != QS_OK)
		return err->code;
	return qs_buf_append(out, snapshot->root_refs,
		(size_t)snapshot->root_count * QS_REF_LEN, err);
}

static enum qs_code
put_cover(struct qs_buf *out, const struct qs_cover *cover,
	struct qs_err *err)
{
	enum qs_code rc = put_count(out, cover->index_count, QS_COVER_MAX,
		"index chunks", err);

	for (size_t i = 0; rc == QS_OK && i < cover->index_count; i++) {
		const struct qs_index_at *at = &cover->indexes[i];
		uint8_t bytes[QS_INDEX_AT_LEN] = {0};

		if (at->len == 0 || at->len > QS_CHUNK_MAX)
			return qs_fail(err, QS_EINVAL, "an index chunk can't "
				"have %u bytes", at->len);
		memcpy(bytes, at->pack.b, 32);
		memcpy(bytes + 32, at->id.b, 32);
		qs_store32(bytes + 64, at->len);
		rc = qs_buf_append(out, bytes, sizeof(bytes), err);
	}
	if (rc == QS_OK)
		rc = put_count(out, cover->direct_count, QS_COVER_MAX,
			"packs without an index chunk", err);
	for (size_t i = 0; rc == QS_OK && i < cover->direct_count; i++)
		rc = qs_buf_append(out, cover->direct[i].b, 32, err);
	return rc;
}

static enum qs_code
put_heads(struct qs_buf *out, const struct qs_payload *payload,
	struct qs_err *err)
{
	enum qs_code rc = put_count(out, payload->head_count, QS_HEADS_MAX,
		"devices' heads", err);

	for (size_t i = 0; rc == QS_OK && i < payload->head_count; i++) {
		const struct qs_mark *head = &payload->heads[i];
		uint8_t bytes[QS_HEAD_LEN];

		if (i > 0 && memcmp(head[-1].device, head->device,
			QS_DEVICE_LEN) >= 0)
			return qs_fail(err, QS_EINVAL,
				"a snapshot's heads are not in order");
		memcpy(bytes, head->device, QS_DEVICE_LEN);
		qs_store64(bytes + 8, head->seq);
		memcpy(bytes + 16, head->name.b, 32);
		qs_store64(bytes + 48, head->time_ms);
		rc = qs_buf_append(out, bytes, sizeof(bytes), err);
	}
	return rc;
}

static enum qs_code
put_snapshot(struct qs_buf *out, const struct qs_payload *payload,
	struct qs_err *err)
{
	const struct qs_snapshot *snapshot = &payload->snapshot;
	uint8_t head[QS_SNAPSHOT_HEAD];
	enum qs_code rc;

	qs_store64(head, (uint64_t)snapshot->time_ns);
	memcpy(head + 8, snapshot->parent.b, 32);
	qs_store32(head + 40, snapshot->uid);
	qs_store32(head + 44, snapshot->gid);
	rc = qs_buf_append(out, head, sizeof(head), err);
	if (rc == QS_OK)
		rc = put_totals(out, &snapshot->totals, err);
	if (rc == QS_OK)
		rc = put_root(out, snapshot, err);
	if (rc == QS_OK)
		rc = put_text(out, snapshot->host, QS_TEXT_MAX,
			"the host's name", err);
	if (rc == QS_OK)
		rc = put_text(out, snapshot->user, QS_TEXT_MAX,
			"the user's name", err);
	if (rc == QS_OK)
		rc = put_text(out, snapshot->program, QS_TEXT_MAX,
			"the program's name", err);
	if (rc == QS_OK)
		rc = put_count(out, snapshot->path_count, QS_PATHS_MAX,
			"paths", err);
	if (rc == QS_OK)
		rc = put_texts(out, snapshot->paths, snapshot->path_count,
			QS_PATH_BYTES_MAX, "a path", err);
	if (rc == QS_OK)
		rc = put_tags(out, snapshot, err);
	if (rc == QS_OK)
		rc = put_cover(out, &payload->cover, err);
	return rc;
}

static enum qs_code
put_turns(struct qs_buf *out, const struct qs_payload *payload,
	struct qs_err *err)
{
	enum qs_code rc = put_count(out, payload->turn_count, QS_TURNS_MAX,
		"snapshots to forget at once", err);

	for (size_t i = 0; rc == QS_OK && i < payload->turn_count; i++) {
		const struct qs_turn *turn = &payload->turns[i];
		uint8_t bytes[QS_TURN_LEN] = {0};

		if (i > 0 && qs_name_compare(&turn[-1].record,
			&turn->record) >= 0)
			return qs_fail(err, QS_EINVAL, "the snapshots to "
				"forget are not in order");
		memcpy(bytes, turn->record.b, 32);
		bytes[32] = turn->is_forgotten;
		rc = qs_buf_append(out, bytes, sizeof(bytes), err);
	}
	return rc;
}

static enum qs_code
put_note(struct qs_buf *out, const struct qs_payload *payload,
	struct qs_err *err)
{
	enum qs_code rc = qs_buf_append(out, payload->note_record.b, 32, err);

	return rc == QS_OK ? put_tags(out, &payload->snapshot, err) : rc;
}

enum qs_code
qs_payload_encode(const struct qs_payload *payload, struct qs_buf *out,
	struct qs_err *err)
{
	size_t old_len = out->len;
	uint8_t head[8] = "QSTS";
	enum qs_code rc;

	qs_store16(head + 4, QS_PAYLOAD_VERSION);
	qs_store16(head + 6, (uint16_t)payload->kind);
	rc = qs_buf_append(out, head, sizeof(head), err);
	if (rc == QS_OK && payload->kind == QS_PAYLOAD_SNAPSHOT)
		rc = put_snapshot(out, payload, err);
	else if (rc == QS_OK && payload->kind == QS_PAYLOAD_NOTE)
		rc = put_note(out, payload, err);
	else if (rc == QS_OK)
		rc = put_turns(out, payload, err);
	if (rc == QS_OK)
		rc = put_heads(out, payload, err);
	if (rc == QS_OK && out->len - old_len > QS_RECORD_MAX)
		rc = qs_fail(err, QS_EINVAL,
			"a snapshot's description is longer than %u bytes",
			QS_RECORD_MAX);
	if (rc != QS_OK)
		out->len = old_len;
	return rc;
}
