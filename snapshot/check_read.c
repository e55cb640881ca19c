/* SPDX-License-Identifier: ISC */
/*
 * check_read: objects read whole, by two threads: the name, every frame, every
 * chunk's id.  A thread needs one object's bytes and a few MiB of plaintext.
 * A bad frame costs its own chunks: the others are read all the same.
 */
#include <stdlib.h>

#include "snapshot/check_internal.h"

#define WORKERS 2
#define PLAIN_BYTES (2u * QS_CHUNK_MAX) /* opened before ids are checked */

struct job { /* all packs to be read; shared by the workers */
	struct check *check;
	size_t *chosen; /* places in check->packs */
	size_t count;
	atomic_size_t next;
	atomic_bool stop;
	/* guarded by check->lock: */
	enum qs_code rc;
	struct qs_err err;
};

struct worker {
	struct job *job;
	struct qs_opener *opener;
	uint8_t *object; /* QS_PACK_MAX */
	uint8_t *plain;  /* PLAIN_BYTES */
	struct qs_hash_job *hashes;
	size_t hash_cap;
	struct check_found found; /* of the pack at hand */
	struct qs_thread *thread;
};

static void
worker_clear(struct worker *worker)
{
	qs_opener_free(worker->opener);
	free(worker->object);
	free(worker->plain);
	free(worker->hashes);
	free(worker->found.is_lost);
}

static enum qs_code
worker_init(struct worker *worker, struct job *job, struct qs_err *err)
{
	worker->job = job;
	worker->object = malloc(QS_PACK_MAX);
	worker->plain = malloc(PLAIN_BYTES);
	worker->found.is_lost = malloc(QS_PACK_CHUNKS);
	if (worker->object == NULL || worker->plain == NULL ||
	    worker->found.is_lost == NULL)
		return qs_fail_nomem(err, "reading objects");
	return qs_opener_new(qs_folder_keys(job->check->folder),
		&worker->opener, err);
}

/* ------------------------------------------------------------ one pack */

/* The first cause is told. */
static void
note_damage(struct worker *worker, const struct qs_err *cause)
{
	if (worker->found.is_damaged)
		return;
	worker->found.is_damaged = true;
	worker->found.cause = *cause;
}

static void
lose_chunk(struct worker *worker, uint32_t chunk)
{
	worker->found.is_lost[chunk] = 1;
	worker->found.lost++;
}

static enum qs_code
load(struct worker *worker, const struct check_pack *pack,
	struct qs_span *object, struct qs_err *err)
{
	struct qs_store *store = worker->job->check->store;
	const struct qs_ref ref = {.area = QS_AREA_OBJ, .name = pack->name};
	const size_t len = (size_t)(pack->size + QS_SLICE - 1) / QS_SLICE *
		QS_SLICE;
	struct qs_name found;
	struct qs_err cause;
	size_t got = 0;
	enum qs_code rc;

	rc = store->ops->get(store->self, &ref, 0, worker->object, len, &got,
		err);
	if (rc != QS_OK)
		return rc;
	*object = qs_span(worker->object, got);
	qs_hash_name(*object, &found);
	/* Which chunks it costs, if any, the frames will tell. */
	if (got != pack->size ||
	    memcmp(found.b, pack->name.b, sizeof(found.b)) != 0) {
		(void)qs_fail(&cause, QS_ECORRUPT,
			"its bytes do not have its name");
		worker->found.is_misnamed = true;
		note_damage(worker, &cause);
	}
	return QS_OK;
}

/*
 * The ids of the chunks [*chunk, ...) of frames first .. end, which lie in
 * plain one after the other; *chunk moves on.
 */
static void
check_ids(struct worker *worker, uint32_t first, uint32_t end,
	uint32_t *chunk)
{
	const struct qs_pack_dir *dir = &worker->found.dir;
	const struct qs_frame_entry *frame = &dir->frames[first];
	const uint32_t begin = *chunk;
	const uint8_t *plain = worker->plain;
	uint32_t at = first, count;

	while (*chunk < dir->chunk_count && dir->chunks[*chunk].frame < end) {
		const struct qs_chunk_entry *entry = &dir->chunks[*chunk];
		struct qs_hash_job *hash = &worker->hashes[*chunk - begin];

		/* Chunks are in the order of their frames. */
		for (; at < entry->frame; at++)
			plain += dir->frames[at].plain_len;
		hash->data = plain + entry->off;
		hash->len = entry->len;
		(*chunk)++;
	}
	count = *chunk - begin;
	qs_hash_many(qs_keys_id(qs_folder_keys(worker->job->check->folder),
		frame->domain), qs_kind_tag((enum qs_kind)frame->kind),
		worker->hashes, count);
	for (uint32_t i = 0; i < count; i++) {
		const struct qs_chunk_entry *entry = &dir->chunks[begin + i];
		struct qs_err cause;

		if (qs_equal(worker->hashes[i].out, entry->id.b, 32))
			continue;
		(void)qs_fail(&cause, QS_ECORRUPT, "a chunk of frame %u is "
			"not what its id says", (unsigned)entry->frame);
		note_damage(worker, &cause);
		lose_chunk(worker, begin + i);
	}
}

static enum qs_code
reserve_hashes(struct worker *worker, size_t count, struct qs_err *err)
{
	struct qs_hash_job *hashes;

	if (count <= worker->hash_cap)
		return QS_OK;
	hashes = realloc(worker->hashes, count * sizeof(*hashes));
	if (hashes == NULL)
		return qs_fail_nomem(err, "reading objects");
	worker->hashes = hashes;
	worker->hash_cap = count;
	return QS_OK;
}

/*
 * Open frames into plain until it is full, the key of ids changes, or one does
 * not open: QS_ECORRUPT if that is the first one.
 */
static enum qs_code
open_frames(struct worker *worker, uint32_t first, uint32_t *end,
	struct qs_err *err)
{
	const struct qs_pack_dir *dir = &worker->found.dir;
	struct qs_err fault;
	size_t used = 0;
	uint32_t i = first;

	for (; i < dir->frame_count; i++) {
		const struct qs_frame_entry *entry = &dir->frames[i];
		enum qs_code rc;

		if (entry->plain_len > PLAIN_BYTES - used ||
		    entry->kind != dir->frames[first].kind ||
		    entry->domain != dir->frames[first].domain)
			break;
		rc = qs_frame_open(worker->opener, &worker->found.head.ref, i,
			entry, qs_span(worker->object + entry->off,
			entry->sealed_len), worker->plain + used, &fault);
		/* What is open is checked first; then it is met again. */
		if (rc == QS_ECORRUPT && i > first)
			break;
		if (rc != QS_OK) {
			*err = fault;
			return rc;
		}
		used += entry->plain_len;
	}
	*end = i;
	return QS_OK;
}

/* A frame does not open: its chunks are lost, and no others. */
static void
lose_frame(struct worker *worker, uint32_t frame, uint32_t *chunk,
	const struct qs_err *cause)
{
	const struct qs_pack_dir *dir = &worker->found.dir;

	note_damage(worker, cause);
	for (; *chunk < dir->chunk_count &&
	    dir->chunks[*chunk].frame == frame; (*chunk)++)
		lose_chunk(worker, *chunk);
}

/* Bad frames and chunks are noted; what fails is the check itself. */
static enum qs_code
check_frames(struct worker *worker, struct qs_err *err)
{
	const struct qs_pack_dir *dir = &worker->found.dir;
	uint32_t chunk = 0, first = 0, end = 0;
	enum qs_code rc = reserve_hashes(worker, dir->chunk_count, err);

	memset(worker->found.is_lost, 0, dir->chunk_count);
	for (; rc == QS_OK && first < dir->frame_count; first = end) {
		struct qs_err fault;

		if (check_is_cancelled(worker->job->check))
			return qs_fail(err, QS_ECANCELED, "interrupted");
		rc = open_frames(worker, first, &end, &fault);
		if (rc == QS_OK) {
			check_ids(worker, first, end, &chunk);
		} else if (rc == QS_ECORRUPT) {
			lose_frame(worker, first, &chunk, &fault);
			end = first + 1;
			rc = QS_OK;
		} else {
			*err = fault;
		}
	}
	return rc;
}

static enum qs_code
read_pack(struct worker *worker, struct check_pack *pack, struct qs_err *err)
{
	struct check *check = worker->job->check;
	struct check_found *found = &worker->found;
	struct qs_span object;
	struct qs_err cause;
	enum qs_code rc;

	*found = (struct check_found){.is_lost = found->is_lost};
	rc = load(worker, pack, &object, &cause);
	if (rc == QS_OK)
		rc = qs_pack_open(worker->opener, &pack->name, object,
			&found->head, &found->dir, &cause);
	if (rc == QS_OK)
		rc = check_frames(worker, &cause);
	if (rc == QS_OK || check_is_finding(rc)) {
		pthread_mutex_lock(&check->lock);
		check->result.packs_read++;
		check->result.bytes_read += pack->size;
		pthread_mutex_unlock(&check->lock);
		atomic_fetch_add(&check->report->progress->bytes_done,
			pack->size);
	}
	if (rc == QS_OK)
		rc = check_settle(check, pack, found, err);
	else if (check_is_finding(rc))
		rc = check_bad_pack(check, pack, &cause, err);
	else
		*err = cause;
	qs_pack_dir_clear(&found->dir);
	return rc;
}

/* ------------------------------------------------------------- workers */

static void
work(void *arg)
{
	struct worker *worker = arg;
	struct job *job = worker->job;
	struct check *check = job->check;
	struct qs_err err;
	enum qs_code rc = QS_OK;

	while (rc == QS_OK && !atomic_load(&job->stop)) {
		const size_t i = atomic_fetch_add(&job->next, 1);

		if (i >= job->count)
			return;
		if (check_is_cancelled(check))
			rc = qs_fail(&err, QS_ECANCELED, "interrupted");
		else
			rc = read_pack(worker, &check->packs[job->chosen[i]],
				&err);
	}
	if (rc == QS_OK)
		return;
	atomic_store(&job->stop, true);
	pthread_mutex_lock(&check->lock);
	if (job->rc == QS_OK) {
		job->rc = rc;
		job->err = err;
	}
	pthread_mutex_unlock(&check->lock);
}

static enum qs_code
run_workers(struct job *job, struct qs_err *err)
{
	struct worker workers[WORKERS] = {{.job = NULL}};
	enum qs_code rc = QS_OK;

	for (size_t i = 0; rc == QS_OK && i < WORKERS; i++) {
		rc = worker_init(&workers[i], job, err);
		if (rc == QS_OK)
			rc = qs_thread_start(&workers[i].thread, work,
				&workers[i], "qs-check", err);
		if (rc != QS_OK)
			atomic_store(&job->stop, true);
	}
	for (size_t i = 0; i < WORKERS; i++) {
		qs_thread_join(workers[i].thread);
		worker_clear(&workers[i]);
	}
	if (rc == QS_OK && job->rc != QS_OK) {
		*err = job->err;
		rc = job->rc;
	}
	return rc;
}

/* ------------------------------------------------------------- choosing */

static bool
is_readable(const struct check_pack *pack)
{
	return !pack->is_bad && pack->size != 0;
}

static bool
is_in_part(const struct check *check, const struct check_pack *pack)
{
	return pack->name.b[0] % check->options->parts ==
		check->options->part - 1;
}

/* How many of the readable packs a share asks for: at least one. */
static size_t
share_of(const struct check *check, size_t readable)
{
	const double subset = check->options->subset;
	size_t count;

	if (!(subset > 0.0 && subset < 1.0))
		return readable;
	count = (size_t)(subset * (double)readable + 0.5);
	return count == 0 && readable > 0 ? 1 : count;
}

static uint64_t
random_number(void)
{
	uint64_t n;

	qs_random(&n, sizeof(n));
	return n;
}

static void
choose(const struct check *check, struct job *job)
{
	const struct qs_check_options *options = check->options;
	size_t left = 0, wanted;

	for (size_t i = 0; i < check->count; i++)
		left += is_readable(&check->packs[i]);
	wanted = options->read_data ? share_of(check, left) : 0;
	for (size_t i = 0; i < check->count; i++) {
		const struct check_pack *pack = &check->packs[i];
		bool is_chosen;

		if (!is_readable(pack))
			continue;
		/* Each `wanted` of those that are left are equally likely. */
		is_chosen = options->parts > 0 ?
			options->read_data && is_in_part(check, pack) :
			wanted > 0 && (wanted == left ||
			random_number() % left < wanted);
		left--;
		if (is_chosen && wanted > 0)
			wanted--;
		if (is_chosen || pack->number == 0 ||
		    pack->rows != CHECK_ROWS_RIGHT)
			job->chosen[job->count++] = i;
	}
}

enum qs_code
check_read(struct check *check, struct qs_err *err)
{
	struct job job = {.check = check};
	uint64_t bytes = 0;
	enum qs_code rc;

	if (check->count == 0)
		return QS_OK;
	job.chosen = calloc(check->count, sizeof(*job.chosen));
	if (job.chosen == NULL)
		return qs_fail_nomem(err, "choosing objects");
	choose(check, &job);
	for (size_t i = 0; i < job.count; i++)
		bytes += check->packs[job.chosen[i]].size;
	atomic_store(&check->report->progress->bytes_total, bytes);
	rc = job.count > 0 ? run_workers(&job, err) : QS_OK;
	free(job.chosen);
	return rc;
}
