/* SPDX-License-Identifier: ISC */
/*
 * Snapshots and notes appended to this machine's chain.  The order: all
 * objects are durable (the caller's word), then the record, then the mark,
 * then the index's own bookkeeping, which can be done again.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "snapshot/folder_internal.h"

struct job {
	struct qs_folder *folder;
	struct qs_payload *payload;
	struct qs_buf *encoded; /* what was last given to the record */
};

static int
by_device(const void *a, const void *b)
{
	return memcmp(((const struct qs_mark *)a)->device,
		((const struct qs_mark *)b)->device, QS_DEVICE_LEN);
}

/* The others' heads as this machine has seen them: forks show by them. */
static enum qs_code
fill_heads(struct job *job, struct qs_err *err)
{
	const struct qs_folder *folder = job->folder;
	struct qs_mark *heads = calloc(folder->chain_count + 1,
		sizeof(*heads));
	size_t count = 0;

	if (heads == NULL)
		return qs_fail_nomem(err, "saving a snapshot");
	for (size_t i = 0; i < folder->chain_count &&
		count < QS_HEADS_MAX; i++) {
		const struct qs_chain *chain = &folder->chains[i];

		if (chain->has_head && memcmp(chain->device,
			folder->device->pk, QS_DEVICE_LEN) != 0)
			heads[count++] = chain->head;
	}
	qsort(heads, count, sizeof(*heads), by_device);
	free(job->payload->heads);
	job->payload->heads = heads;
	job->payload->head_count = count;
	return QS_OK;
}

/*
 * Another process of this machine has logged packs that the caller's cover
 * does not know: they are found by their own directories.
 */
static enum qs_code
cover_moved(struct job *job, const struct qs_buf *moved, struct qs_err *err)
{
	struct qs_cover *cover = &job->payload->cover;
	struct qs_name *direct;
	size_t count, more = moved->len / sizeof(*direct);

	if (more == 0 || job->payload->kind != QS_PAYLOAD_SNAPSHOT)
		return QS_OK;
	count = cover->direct_count + more;
	direct = realloc(cover->direct, count * sizeof(*direct));
	if (direct == NULL)
		return qs_fail_nomem(err, "saving a snapshot");
	cover->direct = direct;
	memcpy(direct + cover->direct_count, moved->data, moved->len);
	cover->direct_count = qs_names_sort(direct, count);
	return QS_OK;
}

static enum qs_code
make_payload(void *arg, const struct qs_buf *moved, struct qs_buf *out,
	struct qs_err *err)
{
	struct job *job = (struct job *)arg;
	enum qs_code rc = fill_heads(job, err);

	if (rc == QS_OK)
		rc = cover_moved(job, moved, err);
	job->encoded->len = 0;
	if (rc == QS_OK)
		rc = qs_payload_encode(job->payload, job->encoded, err);
	if (rc == QS_OK)
		rc = qs_buf_append(out, job->encoded->data, job->encoded->len,
			err);
	return rc;
}

/* The snapshot as a reader of the log will see it. */
static enum qs_code
add_own(struct qs_folder *folder, const struct qs_buf *encoded,
	const struct qs_mark *mark, struct qs_err *err)
{
	struct qs_payload own = {0};
	struct qs_chain *chain = qs_folder_chain(folder, mark->device);
	enum qs_code rc = qs_payload_decode(qs_buf_span(encoded), &own, err);

	if (rc != QS_OK || own.kind != QS_PAYLOAD_SNAPSHOT)
		goto out;
	own.snapshot.record = mark->name;
	memcpy(own.snapshot.device, mark->device, QS_DEVICE_LEN);
	own.snapshot.seq = mark->seq;
	rc = qs_folder_add_snapshot(folder, &own.snapshot, err);
	if (rc != QS_OK)
		goto out;
	qs_folder_sort_snapshots(folder);
	qs_cover_clear(&chain->cover);
	chain->cover = own.cover;
	own.cover = (struct qs_cover){0}; /* handed over */
out:
	qs_payload_clear(&own);
	return rc;
}

static enum qs_code
check_seq(const struct qs_folder *folder, struct qs_err *err)
{
	const struct qs_chain *chain = qs_folder_chain(folder,
		folder->device->pk);

	if (chain == NULL || !chain->has_head ||
		chain->head.seq < folder->last_seq)
		return QS_OK;
	return qs_fail(err, QS_EKEY, "this machine's key is certified up to "
		"record %" PRIu64 " only, which is reached", folder->last_seq);
}

enum qs_code
qs_folder_log_payload(struct qs_folder *folder, struct qs_payload *payload,
	struct qs_span body, struct qs_mark *out, struct qs_err *err)
{
	struct qs_buf encoded = {0};
	struct job job = {folder, payload, &encoded};
	struct qs_draft draft = {
		.type = QS_RECORD_SNAPSHOT,
		.body = body,
		.payload = make_payload,
		.arg = &job,
		.is_exact = payload->is_exact,
	};
	struct qs_mark mark;
	struct qs_err fault;
	int lock = -1;
	enum qs_code rc = qs_folder_can_write(folder, err);

	/*
	 * Of two notes the later one stands, so a note comes after all that
	 * are known, whatever this machine's clock says.
	 */
	if (payload->kind != QS_PAYLOAD_SNAPSHOT &&
		folder->note_ms < UINT64_MAX)
		draft.not_before_ms = folder->note_ms + 1;
	if (rc == QS_OK)
		rc = qs_state_lock(folder, &lock, err);
	if (rc == QS_OK)
		rc = qs_folder_ensure_device(folder, err);
	if (rc == QS_OK)
		rc = check_seq(folder, err);
	if (rc == QS_OK)
		rc = qs_chain_append(folder, folder->device, &draft, &mark,
			err);
	if (rc != QS_OK)
		goto out;
	/* From here on it is saved; the rest is this process's own view. */
	if (add_own(folder, &encoded, &mark, &fault) != QS_OK) {
		(void)qs_fail_while(&fault, "the snapshot is saved");
		qs_folder_tell(folder, &fault);
	}
	if (payload->kind != QS_PAYLOAD_SNAPSHOT)
		folder->note_ms = mark.time_ms;
	*out = mark;
out:
	qs_fd_close(&lock);
	qs_buf_clear(&encoded);
	return rc;
}

/*
 * The names are logged: they need not be again, and the index has the record,
 * provided that it had all those before it.
 */
enum qs_code
qs_folder_settle_index(struct qs_folder *folder, const struct qs_name *names,
	size_t count, const struct qs_mark *mark, struct qs_err *err)
{
	struct qs_chain *chain = qs_folder_chain(folder, mark->device);
	enum qs_code rc = qs_chain_seen_load(folder, chain, err);

	/* Else one before it was not taken in: they stay to be listed. */
	if (rc == QS_OK && (mark->seq == 0 ? !chain->is_seen :
		chain->is_seen && chain->seen == mark->seq - 1)) {
		rc = qs_chain_seen_save(folder, chain, mark->seq, err);
		if (rc == QS_OK && count > 0)
			rc = qs_index_unlogged_drop(folder->index, names,
				count, err);
	}
	if (rc == QS_OK)
		rc = qs_index_commit(folder->index, err);
	return rc;
}

enum qs_code
qs_folder_append(struct qs_folder *folder, struct qs_payload *payload,
	const struct qs_name *names, size_t count, struct qs_name *record,
	struct qs_err *err)
{
	struct qs_mark mark;
	struct qs_err fault;
	struct qs_span body = qs_span(count == 0 ? NULL : names,
		count * sizeof(*names));
	size_t checked;
	enum qs_code rc = QS_OK;

	if (count > QS_RECORD_MAX / sizeof(*names) || (count > 0 &&
		qs_names_check(body, &checked, err) != QS_OK))
		return qs_fail(err, QS_EINVAL, "the names of a snapshot's "
			"objects are not in order or too many");
	rc = qs_folder_log_payload(folder, payload, body, &mark, err);
	if (rc != QS_OK)
		return rc;
	if (folder->index != NULL && qs_folder_settle_index(folder, names,
		count, &mark, &fault) != QS_OK) {
		(void)qs_fail_while(&fault, "the snapshot is saved, the index "
			"has not taken note of it yet");
		qs_folder_tell(folder, &fault);
	}
	*record = mark.name;
	return QS_OK;
}
