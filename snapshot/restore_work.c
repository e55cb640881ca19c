/* SPDX-License-Identifier: ISC */
/*
 * restore_work: regular files.  Small ones go to the workers many at a time,
 * large ones in segments; the last segment that is done gives the file its
 * name.
 */
#include <stdlib.h>

#include "snapshot/restore_internal.h"

/* --------------------------------------------------------------- workers */

static void
file_failed(struct restore *restore, struct restore_file *file,
	const struct qs_err *err)
{
	restore_out_abort(restore, file);
	restore_warn(restore, file->path, err);
}

/* fetch, but each piece's own failure can be told: it is asked for again. */
static enum qs_code
piece_failure(struct restore *restore, const struct qs_fetch *item,
	struct qs_err *err)
{
	struct qs_fetch again = {.id = item->id, .kind = item->kind,
		.len = item->len};
	enum qs_code rc = qs_source_fetch(restore->source, &again, 1, err);

	qs_source_release(restore->source, &again, 1);
	return rc != QS_OK ? rc : qs_fail(err, item->code,
		"a part of it could not be read");
}

/* One small file from its pieces, which are fetched (or failed). */
static enum qs_code
write_small(struct restore *restore, struct restore_file *file,
	const struct qs_fetch *fetched, struct qs_err *err)
{
	const struct qs_content *content = &file->node.content;
	uint64_t offset = 0;
	size_t next = 0;
	enum qs_code rc = QS_OK;

	for (uint32_t i = 0, n = 0; i < content->count; i++) {
		const struct qs_id id = qs_content_id(content, i);

		if (qs_is_zero(id.b, sizeof(id.b)))
			continue;
		if (fetched[n].code != QS_OK)
			return piece_failure(restore, &fetched[n], err);
		n++;
	}
	rc = restore_out_open(restore, file, err);
	for (uint32_t i = 0; rc == QS_OK && i < content->count; i++) {
		const struct qs_id id = qs_content_id(content, i);

		if (!qs_is_zero(id.b, sizeof(id.b))) {
			rc = restore_out_write(restore, file,
				fetched[next].data, fetched[next].len, offset,
				err);
			next++;
		}
		offset += qs_content_len(content, i);
	}
	if (rc == QS_OK)
		rc = restore_out_finish(restore, file, err);
	if (rc == QS_OK)
		(void)atomic_fetch_add(&restore->report->progress->bytes_done,
			file->node.size);
	return rc;
}

/* How many pieces that are no holes; fetch is filled if it is not NULL. */
static size_t
pieces_of(const struct qs_content *content, struct qs_fetch *fetch)
{
	size_t count = 0;

	for (uint32_t i = 0; i < content->count; i++) {
		const struct qs_id id = qs_content_id(content, i);

		if (qs_is_zero(id.b, sizeof(id.b)))
			continue;
		if (fetch != NULL)
			fetch[count] = (struct qs_fetch){.id = id,
				.kind = QS_KIND_DATA,
				.len = (uint32_t)qs_content_len(content, i)};
		count++;
	}
	return count;
}

static void
write_run(struct restore *restore, struct restore_file *files, size_t count)
{
	struct qs_fetch fetch[RESTORE_PIECES];
	size_t total = 0, at = 0;
	struct qs_err err;

	for (size_t i = 0; i < count; i++)
		total += pieces_of(&files[i].node.content, fetch + total);
	/* Each piece has its own result. */
	if (total > 0 && !restore_stopped(restore) && qs_source_fetch(
	    restore->source, fetch, total, &err) == QS_ECANCELED)
		restore_stop(restore, &err);
	for (size_t i = 0; i < count; i++) {
		if (restore_stopped(restore))
			restore_out_abort(restore, &files[i]);
		else if (write_small(restore, &files[i], fetch + at, &err) !=
		    QS_OK)
			file_failed(restore, &files[i], &err);
		at += pieces_of(&files[i].node.content, NULL);
	}
	qs_source_release(restore->source, fetch, total);
}

static void
point(struct restore_file *file, const struct qs_buf *bytes)
{
	struct qs_err err;
	size_t used;

	file->path = (const char *)bytes->data + file->path_off;
	file->name = strrchr(file->path, '/') + 1;
	file->fd = -1;
	file->partial[0] = '\0';
	/* It was decoded from the same bytes before: it can't fail. */
	if (qs_node_decode(qs_span(bytes->data + file->entry_off,
	    file->entry_len), &file->node, &used, &err) != QS_OK)
		memset(&file->node, 0, sizeof(file->node));
}

static void
do_files(struct restore *restore, struct restore_job *job)
{
	size_t begin = 0, pieces = 0;

	for (size_t i = 0; i < job->count; i++) {
		size_t more;

		point(&job->files[i], &job->bytes);
		more = pieces_of(&job->files[i].node.content, NULL);
		if (pieces + more > RESTORE_PIECES) {
			write_run(restore, job->files + begin, i - begin);
			begin = i;
			pieces = 0;
		}
		pieces += more;
	}
	write_run(restore, job->files + begin, job->count - begin);
	for (size_t i = 0; i < job->count; i++)
		restore_folder_drop(restore, job->files[i].folder);
}

static void
big_failed(struct restore *restore, struct restore_big *big,
	const struct qs_err *err)
{
	if (!atomic_exchange(&big->is_failed, true))
		restore_warn(restore, big->file.path, err);
}

static void
big_drop(struct restore *restore, struct restore_big *big)
{
	struct qs_err err;

	if (atomic_fetch_sub(&big->references, 1) != 1)
		return;
	if (restore_stopped(restore) || atomic_load(&big->is_failed))
		restore_out_abort(restore, &big->file);
	else if (restore_out_finish(restore, &big->file, &err) != QS_OK)
		big_failed(restore, big, &err);
	restore_folder_drop(restore, big->file.folder);
	qs_buf_clear(&big->bytes);
	free(big);
}

static void
do_segment(struct restore *restore, struct restore_job *job)
{
	struct restore_big *big = job->big;
	struct qs_fetch fetch[RESTORE_PIECES];
	struct qs_err err;
	enum qs_code rc = QS_OK;

	if (restore_stopped(restore) || atomic_load(&big->is_failed))
		goto out;
	for (size_t i = 0; i < job->piece_count; i++)
		fetch[i] = (struct qs_fetch){.id = job->pieces[i].id,
			.kind = QS_KIND_DATA, .len = job->pieces[i].len};
	rc = qs_source_fetch(restore->source, fetch, job->piece_count, &err);
	for (size_t i = 0; rc == QS_OK && i < job->piece_count; i++)
		rc = restore_out_write(restore, &big->file, fetch[i].data,
			fetch[i].len, job->pieces[i].offset, &err);
	qs_source_release(restore->source, fetch, job->piece_count);
	if (rc == QS_OK)
		(void)atomic_fetch_add(&restore->report->progress->bytes_done,
			job->piece_bytes);
	else
		big_failed(restore, big, &err);
out:
	big_drop(restore, big);
}

static void
reset(struct restore_job *job)
{
	job->count = job->folder_count = job->piece_count = 0;
	job->piece_bytes = 0;
	job->bytes.len = 0;
	job->big = NULL;
}

void
restore_work_run(void *arg)
{
	struct restore *restore = arg;
	struct restore_job *job;

	while ((job = qs_queue_pop(restore->ready)) != NULL) {
		if (job->big != NULL)
			do_segment(restore, job);
		else
			do_files(restore, job);
		reset(job);
		(void)qs_queue_push(restore->idle, job);
		pthread_mutex_lock(&restore->lock);
		restore->jobs_out--;
		pthread_cond_signal(&restore->job_done);
		pthread_mutex_unlock(&restore->lock);
	}
}

/* ---------------------------------------------------------- from the walk */

static struct restore_job *
take_job(struct restore *restore)
{
	return qs_queue_pop(restore->idle);
}

static void
hand_over(struct restore *restore, struct restore_job *job)
{
	pthread_mutex_lock(&restore->lock);
	restore->jobs_out++;
	pthread_mutex_unlock(&restore->lock);
	(void)qs_queue_push(restore->ready, job);
}

void
restore_flush(struct restore *restore)
{
	struct restore_job *job = restore->open_job;

	restore->open_job = NULL;
	if (job != NULL)
		hand_over(restore, job);
}

/* The entry and the path, in bytes that stay with the file. */
static enum qs_code
keep(struct restore_file *file, const struct qs_node *node, const char *path,
	struct qs_buf *bytes, struct qs_err *err)
{
	const size_t before = bytes->len;
	enum qs_code rc;

	file->entry_off = before;
	file->entry_len = node->encoded.len;
	file->path_off = before + node->encoded.len;
	rc = qs_buf_append(bytes, node->encoded.data, node->encoded.len, err);
	if (rc == QS_OK)
		rc = qs_buf_append(bytes, path, strlen(path) + 1, err);
	if (rc != QS_OK)
		bytes->len = before;
	return rc;
}

struct cutter { /* a large file into segments */
	struct restore *restore;
	struct restore_big *big;
	struct restore_job *job;
};

static void
push_segment(struct cutter *cutter)
{
	struct restore_job *job = cutter->job;

	cutter->job = NULL;
	if (job == NULL)
		return;
	job->big = cutter->big;
	(void)atomic_fetch_add(&cutter->big->references, 1);
	hand_over(cutter->restore, job);
}

static enum qs_code
cut(void *arg, const struct qs_id *id, uint64_t len, uint64_t offset,
	struct qs_err *err)
{
	struct cutter *cutter = arg;
	struct restore_job *job = cutter->job;

	if (restore_stopped(cutter->restore) ||
	    atomic_load(&cutter->big->is_failed))
		return qs_fail(err, QS_ECANCELED, "given up");
	if (qs_is_zero(id->b, sizeof(id->b))) {
		(void)atomic_fetch_add(
			&cutter->restore->report->progress->bytes_done, len);
		return QS_OK;
	}
	if (len > QS_CHUNK_MAX)
		return qs_fail(err, QS_ECORRUPT, "a part of it is too long");
	if (job != NULL && (job->piece_count == RESTORE_PIECES ||
	    job->piece_bytes + len > RESTORE_SEGMENT)) {
		push_segment(cutter);
		job = NULL;
	}
	if (job == NULL)
		job = cutter->job = take_job(cutter->restore);
	job->pieces[job->piece_count++] = (struct restore_piece){*id,
		(uint32_t)len, offset};
	job->piece_bytes += len;
	return QS_OK;
}

static void
add_big(struct restore *restore, struct restore_file *file,
	const struct qs_node *node, const char *path)
{
	struct restore_big *big = calloc(1, sizeof(*big));
	struct cutter cutter = {restore, big, NULL};
	struct qs_err err;
	enum qs_code rc = QS_OK;

	if (big == NULL)
		rc = qs_fail_nomem(&err, "restoring a large file");
	if (rc == QS_OK)
		rc = keep(file, node, path, &big->bytes, &err);
	if (rc != QS_OK) {
		free(big);
		restore_warn(restore, path, &err);
		restore_out_abort(restore, file);
		restore_folder_drop(restore, file->folder);
		return;
	}
	big->references = 1;
	big->file = *file;
	point(&big->file, &big->bytes);
	rc = restore_out_open(restore, &big->file, &err);
	if (rc == QS_OK)
		rc = qs_content_each(restore->source, &big->file.node.content,
			cut, &cutter, &err);
	push_segment(&cutter);
	if (rc == QS_ECANCELED)
		atomic_store(&big->is_failed, true);
	else if (rc != QS_OK)
		big_failed(restore, big, &err);
	big_drop(restore, big);
}

static bool
is_small(const struct qs_content *content, uint64_t *bytes)
{
	if (content->depth > 0 || content->count > RESTORE_PIECES)
		return false;
	*bytes = 0;
	for (uint32_t i = 0; i < content->count; i++)
		if (!qs_is_zero(qs_content_id(content, i).b, 32))
			*bytes += qs_content_len(content, i);
	return *bytes <= RESTORE_BYTES;
}

void
restore_file_add(struct restore *restore, struct restore_file *file,
	const struct qs_node *node, const char *path)
{
	struct restore_job *job = restore->open_job;
	uint64_t bytes;
	struct qs_err err;

	file->fd = -1;
	file->partial[0] = '\0';
	if (!is_small(&node->content, &bytes)) {
		add_big(restore, file, node, path);
		return;
	}
	if (job == NULL)
		job = restore->open_job = take_job(restore);
	if (keep(file, node, path, &job->bytes, &err) != QS_OK) {
		restore_warn(restore, path, &err);
		restore_out_abort(restore, file);
		restore_folder_drop(restore, file->folder);
		return;
	}
	if (job->count == 0 ||
	    job->files[job->count - 1].folder != file->folder)
		job->folder_count++;
	job->files[job->count++] = *file;
	job->piece_bytes += bytes;
	if (job->count == RESTORE_FILES || job->piece_bytes >= RESTORE_BYTES ||
	    job->folder_count == RESTORE_FOLDERS ||
	    job->bytes.len >= RESTORE_BYTES)
		restore_flush(restore);
}
