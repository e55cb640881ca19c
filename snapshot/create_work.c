/* SPDX-License-Identifier: ISC */
/*
 * A worker: takes a job from open files to frames (read, cut, hash, look up,
 * compress), or a full pack from frames to bytes in the store that only lack
 * their name (seal, stage).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "snapshot/create_plan_internal.h"

struct worker { /* one thread */
	struct create *create;
	struct qs_compressor *compressor;
	uint8_t *gather; /* QS_FRAME_GATHER bytes */
	struct qs_hash_job *hashes;
	struct qs_id *ids;
	enum chunk_state *states;
	size_t cap; /* of the three above */
};

/* --------------------------------------------------------- small files */

static bool
changed_since(const struct facts *before, const struct facts *after)
{
	return before->size != after->size ||
		before->mtime_ns != after->mtime_ns ||
		before->ino != after->ino;
}

/*
 * Read up to room bytes and one more, to see whether it grew.  A file that is
 * not what the walk saw is taken as it is now if it holds still.
 */
static enum qs_code
read_file(struct worker *w, struct job *job, struct event *event, int fd,
	size_t *len, struct qs_err *trouble)
{
	uint8_t *data = job->data + event->arena_off;
	struct facts after;
	struct stat st;
	enum qs_code rc;

	if ((rc = qs_fd_read(fd, data, event->room, len, trouble)) != QS_OK)
		return rc;
	if (fstat(fd, &st) != 0)
		return qs_fail_errno(trouble, "cannot be looked at");
	facts_from_stat(&after, &st);
	if (!S_ISREG(st.st_mode))
		return qs_fail(trouble, QS_EIO, "is not a file any more");
	event->racy = meta_racy(&after);
	if (changed_since(&event->facts, &after) || *len != after.size) {
		struct facts again;

		/* Once more from the start, if there is room for all of it. */
		if (after.size <= event->room && (rc = qs_fd_pread(fd, data,
			event->room, 0, len, trouble)) != QS_OK)
			return rc;
		if (fstat(fd, &st) != 0)
			return qs_fail_errno(trouble, "cannot be looked at");
		facts_from_stat(&again, &st);
		event->racy = true;
		event->facts = again;
		if (changed_since(&after, &again) || *len != again.size)
			qs_fail(trouble, QS_EBUSY, "changed while being read; "
				"it may be saved half old, half new");
	} else {
		event->facts = after;
	}
	struct qs_span name = event->node.name;

	meta_from_facts(&event->node, &event->facts, w->create->owners);
	event->node.name = name;
	return QS_OK;
}

static enum qs_code
cut_file(struct worker *w, struct job *job, struct event *event, size_t len,
	struct qs_err *err)
{
	size_t at = event->arena_off, end = at + len;

	event->chunk_first = (uint32_t)job->chunk_count;
	while (at < end) {
		size_t n = qs_chunker_next(&w->create->chunker, job->data + at,
			end - at, true);
		struct job_chunk *chunk = job_add_chunk(job);

		if (chunk == NULL)
			return qs_fail_nomem(err, "cutting a file");
		*chunk = (struct job_chunk){.off = (uint32_t)at,
			.len = (uint32_t)n, .domain = event->folder->domain};
		event->chunk_count++;
		at += n;
	}
	event->node.size = len;
	return QS_OK;
}

static enum qs_code
do_file(struct worker *w, struct job *job, struct event *event,
	struct qs_err *err)
{
	const char *name = (const char *)event->node.name.data;
	int flags = O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
	struct qs_err trouble = {.code = QS_OK}, attributes;
	size_t len = 0;
	int fd = openat(event->folder->fd, name, flags | O_NOATIME);
	enum qs_code rc;

	if (fd < 0 && errno == EPERM)
		fd = openat(event->folder->fd, name, flags);
	if (fd < 0) {
		qs_fail_errno(&trouble, errno == ENOENT ?
			"vanished, not saved" : "cannot be read, not saved");
		return plan_trouble(job, event, true, &trouble, err);
	}
	rc = read_file(w, job, event, fd, &len, &trouble);
	if (rc != QS_OK) {
		close(fd);
		qs_fail_while(&trouble, "not saved");
		return plan_trouble(job, event, true, &trouble, err);
	}
	if (meta_xattrs(&job->arena, fd, -1, name, &event->node,
		&attributes) != QS_OK && trouble.code == QS_OK)
		trouble = attributes;
	close(fd);
	rc = cut_file(w, job, event, len, err);
	if (rc == QS_OK && trouble.code != QS_OK)
		rc = plan_trouble(job, event, false, &trouble, err);
	return rc;
}

/* --------------------------------------------------------------- chunks */

static bool
make_room(struct worker *w, size_t count)
{
	if (count <= w->cap)
		return true;
	free(w->hashes);
	free(w->ids);
	free(w->states);
	w->cap = count * 2;
	w->hashes = calloc(w->cap, sizeof(*w->hashes));
	w->ids = calloc(w->cap, sizeof(*w->ids));
	w->states = calloc(w->cap, sizeof(*w->states));
	if (w->hashes != NULL && w->ids != NULL && w->states != NULL)
		return true;
	w->cap = 0;
	return false;
}

/* Runs of chunks of one domain share a key. */
static void
hash_chunks(struct worker *w, struct job *job)
{
	for (size_t i = 0; i < job->chunk_count; i++) {
		w->hashes[i].data = job->data + job->chunks[i].off;
		w->hashes[i].len = job->chunks[i].len;
	}
	for (size_t from = 0, to; from < job->chunk_count; from = to) {
		uint8_t domain = job->chunks[from].domain;

		for (to = from + 1; to < job->chunk_count &&
			job->chunks[to].domain == domain; to++)
			;
		qs_hash_many(qs_keys_id(w->create->keys, domain),
			qs_kind_tag(QS_KIND_DATA), w->hashes + from, to - from);
	}
	for (size_t i = 0; i < job->chunk_count; i++) {
		memcpy(job->chunks[i].id.b, w->hashes[i].out, 32);
		w->ids[i] = job->chunks[i].id;
	}
}

static enum qs_code
add_frame(struct worker *w, struct job *job, const uint8_t *plain, size_t len,
	uint8_t domain, bool is_scratch, size_t *out_used, struct qs_err *err)
{
	struct job_frame *frame = job_add_frame(job);
	uint8_t *out = job->out + *out_used;
	size_t out_len = 0;
	enum qs_comp comp;
	enum qs_code rc;

	if (frame == NULL)
		return qs_fail_nomem(err, "compressing");
	rc = qs_frame_compress(w->compressor, qs_span(plain, len), out,
		&out_len, &comp, err);
	if (rc != QS_OK)
		return rc;
	*frame = (struct job_frame){.plain_len = (uint32_t)len, .comp = comp,
		.domain = domain, .payload = out,
		.payload_len = (uint32_t)out_len};
	if (comp == QS_COMP_RAW) {
		frame->payload_len = (uint32_t)len;
		if (is_scratch) { /* the gather buffer is used again */
			memcpy(out, plain, len);
			out_len = len;
		} else {
			frame->payload = plain;
			out_len = 0;
		}
	}
	*out_used += out_len;
	return QS_OK;
}

static enum qs_code
add_entry(struct job *job, const struct job_chunk *chunk, size_t off,
	struct qs_err *err)
{
	struct qs_chunk_entry *entry = job_add_entry(job);

	if (entry == NULL)
		return qs_fail_nomem(err, "compressing");
	*entry = (struct qs_chunk_entry){.id = chunk->id,
		.off = (uint32_t)off, .len = chunk->len};
	return QS_OK;
}

/* Long chunks: a frame each. */
static enum qs_code
own_frames(struct worker *w, struct job *job, size_t *out_used,
	struct qs_err *err)
{
	enum qs_code rc = QS_OK;

	for (size_t i = 0; i < job->chunk_count && rc == QS_OK; i++) {
		const struct job_chunk *chunk = &job->chunks[i];

		if (chunk->state != CHUNK_NEW || chunk->len < QS_FRAME_OWN)
			continue;
		rc = add_frame(w, job, job->data + chunk->off, chunk->len,
			chunk->domain, false, out_used, err);
		if (rc != QS_OK)
			break;
		job->frames[job->frame_count - 1].first =
			(uint32_t)job->entry_count;
		job->frames[job->frame_count - 1].count = 1;
		rc = add_entry(job, chunk, 0, err);
	}
	return rc;
}

/* Short ones share frames, in order, within their domain. */
static enum qs_code
shared_frames(struct worker *w, struct job *job, size_t *out_used,
	struct qs_err *err)
{
	size_t used = 0, first = job->entry_count;
	uint8_t domain = 0;
	enum qs_code rc = QS_OK;

	for (size_t i = 0; i <= job->chunk_count && rc == QS_OK; i++) {
		const struct job_chunk *chunk = i < job->chunk_count ?
			&job->chunks[i] : NULL;

		if (chunk != NULL && (chunk->state != CHUNK_NEW ||
			chunk->len >= QS_FRAME_OWN))
			continue;
		if (used > 0 && (chunk == NULL || chunk->domain != domain ||
			used + chunk->len > QS_FRAME_GATHER)) {
			rc = add_frame(w, job, w->gather, used, domain, true,
				out_used, err);
			if (rc != QS_OK)
				break;
			job->frames[job->frame_count - 1].first =
				(uint32_t)first;
			job->frames[job->frame_count - 1].count =
				(uint32_t)(job->entry_count - first);
			first = job->entry_count;
			used = 0;
		}
		if (chunk == NULL)
			break;
		domain = chunk->domain;
		rc = add_entry(job, chunk, used, err);
		memcpy(w->gather + used, job->data + chunk->off, chunk->len);
		used += chunk->len;
	}
	return rc;
}

static enum qs_code
do_job(struct worker *w, struct job *job, struct qs_err *err)
{
	size_t out_used = 0;
	enum qs_code rc = QS_OK;

	for (size_t i = 0; i < job->event_count && rc == QS_OK; i++)
		if (job->events[i].planned)
			rc = do_file(w, job, &job->events[i], err);
	if (rc != QS_OK || job->chunk_count == 0)
		return rc;
	if (!make_room(w, job->chunk_count))
		return qs_fail_nomem(err, "hashing");
	hash_chunks(w, job);
	rc = claims_ask(w->create->claims, w->create->index, w->ids, w->states,
		job->chunk_count, err);
	if (rc != QS_OK)
		return rc;
	for (size_t i = 0; i < job->chunk_count; i++)
		job->chunks[i].state = w->states[i];
	rc = own_frames(w, job, &out_used, err);
	return rc != QS_OK ? rc : shared_frames(w, job, &out_used, err);
}

/* ---------------------------------------------------------------- packs */

static bool
copy_dir(const struct qs_pack_builder *builder, struct qs_pack_dir *out)
{
	struct qs_pack_dir dir;

	qs_pack_builder_dir(builder, &dir);
	*out = dir;
	out->frames = malloc((dir.frame_count + 1u) * sizeof(*dir.frames));
	out->chunks = malloc((dir.chunk_count + 1u) * sizeof(*dir.chunks));
	if (out->frames == NULL || out->chunks == NULL) {
		qs_pack_dir_clear(out);
		return false;
	}
	memcpy(out->frames, dir.frames, dir.frame_count * sizeof(*dir.frames));
	memcpy(out->chunks, dir.chunks, dir.chunk_count * sizeof(*dir.chunks));
	return true;
}

static void
do_pack(struct worker *w, const struct work *work)
{
	struct create *create = w->create;
	struct staged staged = {0};
	struct qs_span object;
	struct qs_err err;
	enum qs_code rc;

	rc = qs_pack_builder_seal(work->builder, work->is_tail, &object, &err);
	if (rc == QS_OK) {
		qs_pack_builder_ref(work->builder, &staged.ref);
		if (!copy_dir(work->builder, &staged.dir))
			rc = qs_fail_nomem(&err, "packing");
	}
	if (rc == QS_OK)
		rc = create->store->ops->stage(create->store->self, object,
			&staged.stage, &err);
	if (rc != QS_OK)
		board_fail(&create->board, &err);
	if (!board_staged(&create->board, work->builder,
		rc == QS_OK ? &staged : NULL)) {
		if (staged.stage != NULL)
			create->store->ops->discard(create->store->self,
				staged.stage);
		qs_pack_dir_clear(&staged.dir);
	}
}

void
create_work_run(void *arg)
{
	struct create *create = arg;
	struct worker w = {.create = create};
	struct work work;
	struct qs_err err;
	enum qs_code rc;

	rc = qs_compressor_new(create->options->level, &w.compressor, &err);
	w.gather = malloc(QS_FRAME_GATHER);
	if (rc == QS_OK && w.gather == NULL)
		rc = qs_fail_nomem(&err, "starting the snapshot");
	if (rc != QS_OK)
		board_fail(&create->board, &err);
	for (;;) {
		work = board_take_work(&create->board);
		if (work.builder != NULL) {
			do_pack(&w, &work);
		} else if (work.job != NULL) {
			if (do_job(&w, work.job, &err) != QS_OK)
				board_fail(&create->board, &err);
			board_job_done(&create->board, work.job);
		} else {
			break;
		}
	}
	qs_compressor_free(w.compressor);
	free(w.gather);
	free(w.hashes);
	free(w.ids);
	free(w.states);
}
