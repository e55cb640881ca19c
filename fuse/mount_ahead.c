/* SPDX-License-Identifier: ISC */
/*
 * mount_ahead: what will be read next, fetched and opened beside the readers.
 * A file read from front to back is known by its references; small files read
 * in the order in which they were saved by the frames they lie in: then those
 * that follow in the directory are fetched together (which also checks their
 * ids many at a time), and the next frames opened.  Nothing is given to
 * anybody: it is in the source's cache when it is asked for.
 */
#include <stdlib.h>

#include "fuse/mount_internal.h"

#define WORKERS 2
#define JOBS 16                     /* more are dropped: a hint, no promise */
#define SLACK ((uint64_t)512 << 10) /* the kernel's reads overtake each other */
#define WINDOW_MIN ((uint64_t)512 << 10)
#define WINDOW_MAX ((uint64_t)4 << 20)
#define BATCH 4 /* chunks fetched, hence pinned, at once */
/* Entries of a directory fetched together, and their bytes. */
#define ENTRIES 32
#define ENTRY_BYTES (2u << 20)

struct job {
	struct mount_run *run; /* held; a range of a file */
	uint64_t from, to;
	struct mount_dir *dir; /* held; its entries from "from" on */
	struct qs_frame_at frame; /* neither of them: this frame */
};

struct mount_ahead {
	struct mount *mount;
	struct qs_thread *workers[WORKERS];
	pthread_mutex_t lock;
	pthread_cond_t wake;
	/* guarded by lock: */
	struct job jobs[JOBS];
	size_t first, count;
	bool is_ending;
	struct qs_frame_at last; /* the frame a small file was read from */
};

/* -------------------------------------------------------------- workers */

static void
fetch_range(struct mount *mount, struct mount_run *run, uint64_t from,
	uint64_t to)
{
	struct qs_err err;

	while (from < to) {
		struct qs_fetch items[BATCH];
		size_t count = 0;

		while (from < to && count < BATCH) {
			struct mount_place place;

			if (mount_run_find(mount, run, from, &place, &err) !=
			    QS_OK)
				return;
			from = place.start + place.len;
			if (!place.is_hole && place.len <= QS_CHUNK_MAX)
				items[count++] = (struct qs_fetch){
					.id = place.id,
					.kind = QS_KIND_DATA,
					.len = (uint32_t)place.len};
		}
		/* What fails will fail again for who really reads it. */
		(void)!qs_source_fetch(mount->source, items, count, &err);
		qs_source_release(mount->source, items, count);
	}
}

/* The chunks of the next entries that have just one. */
static void
fetch_entries(struct mount *mount, struct mount_dir *dir, uint64_t off)
{
	struct mount_entry entry = {.part = {.data = NULL}};
	struct qs_fetch items[ENTRIES];
	size_t count = 0;
	uint64_t bytes = 0;
	struct qs_err err;
	bool end = false;

	for (size_t seen = 0; seen < ENTRIES && bytes < ENTRY_BYTES;
	    seen++, off = entry.next) {
		const struct qs_content *content = &entry.node.content;
		struct qs_id id;

		if (mount_entry_next(mount, dir, off, &entry, &end, &err) !=
		    QS_OK || end)
			break;
		if (entry.node.type != QS_NODE_FILE || content->depth > 0 ||
		    content->count != 1 || entry.node.size > QS_CHUNK_MAX)
			continue;
		bytes += entry.node.size;
		id = qs_content_id(content, 0);
		if (!qs_is_zero(id.b, sizeof(id.b)))
			items[count++] = (struct qs_fetch){.id = id,
				.kind = QS_KIND_DATA,
				.len = (uint32_t)entry.node.size};
	}
	if (end)
		off = dir->size;
	mount_entry_release(mount, &entry);
	(void)!qs_source_fetch(mount->source, items, count, &err);
	qs_source_release(mount->source, items, count);
	(void)pthread_mutex_lock(&mount->ahead->lock);
	dir->ahead_to = off;
	dir->is_fetching = false;
	(void)pthread_mutex_unlock(&mount->ahead->lock);
}

static bool
take_job(struct mount_ahead *ahead, struct job *job)
{
	bool is_there;

	(void)pthread_mutex_lock(&ahead->lock);
	while (ahead->count == 0 && !ahead->is_ending)
		(void)pthread_cond_wait(&ahead->wake, &ahead->lock);
	is_there = ahead->count > 0 && !ahead->is_ending;
	if (is_there) {
		*job = ahead->jobs[ahead->first];
		ahead->first = (ahead->first + 1) % JOBS;
		ahead->count--;
	}
	(void)pthread_mutex_unlock(&ahead->lock);
	return is_there;
}

static void
work(void *arg)
{
	struct mount_ahead *ahead = arg;
	struct mount *mount = ahead->mount;
	struct job job;

	while (take_job(ahead, &job)) {
		if (job.run != NULL)
			fetch_range(mount, job.run, job.from, job.to);
		else if (job.dir != NULL)
			fetch_entries(mount, job.dir, job.from);
		else
			qs_source_warm(mount->source, job.frame);
		mount_run_put(mount->runs, job.run);
		mount_dir_put(mount->dirs, job.dir);
	}
}

/* Under lock. */
static bool
put_job(struct mount_ahead *ahead, const struct job *job)
{
	if (ahead->count == JOBS || ahead->is_ending)
		return false;
	ahead->jobs[(ahead->first + ahead->count++) % JOBS] = *job;
	(void)pthread_cond_signal(&ahead->wake);
	return true;
}

enum qs_code
mount_ahead_new(struct mount *mount, struct mount_ahead **out,
	struct qs_err *err)
{
	struct mount_ahead *ahead = calloc(1, sizeof(*ahead));
	enum qs_code rc = QS_OK;

	if (ahead == NULL)
		return qs_fail_nomem(err, "mounting");
	ahead->mount = mount;
	(void)pthread_mutex_init(&ahead->lock, NULL);
	(void)pthread_cond_init(&ahead->wake, NULL);
	for (size_t i = 0; rc == QS_OK && i < WORKERS; i++)
		rc = qs_thread_start(&ahead->workers[i], work, ahead,
			"qs-ahead", err);
	if (rc != QS_OK) {
		mount_ahead_free(ahead);
		return rc;
	}
	*out = ahead;
	return QS_OK;
}

void
mount_ahead_free(struct mount_ahead *ahead)
{
	if (ahead == NULL)
		return;
	(void)pthread_mutex_lock(&ahead->lock);
	ahead->is_ending = true;
	(void)pthread_cond_broadcast(&ahead->wake);
	(void)pthread_mutex_unlock(&ahead->lock);
	for (size_t i = 0; i < WORKERS; i++)
		qs_thread_join(ahead->workers[i]);
	for (; ahead->count > 0; ahead->count--) {
		const struct job *job = &ahead->jobs[ahead->first];

		mount_run_put(ahead->mount->runs, job->run);
		mount_dir_put(ahead->mount->dirs, job->dir);
		ahead->first = (ahead->first + 1) % JOBS;
	}
	(void)pthread_cond_destroy(&ahead->wake);
	(void)pthread_mutex_destroy(&ahead->lock);
	free(ahead);
}

/* ---------------------------------------------------------------- hints */

/* Under lock: what to fetch after this read; false: nothing. */
static bool
plan(struct mount_run *run, uint64_t offset, uint64_t len, struct job *job)
{
	const uint64_t end = offset + len, size = mount_run_size(run);
	uint64_t window = WINDOW_MIN;

	if (offset > run->read_to + SLACK || offset + SLACK < run->read_to) {
		run->streak = 0;
		run->ahead_to = 0;
		run->read_to = end;
		return false;
	}
	if (end > run->read_to)
		run->read_to = end;
	if (++run->streak < 2)
		return false;
	window = run->streak >= 16 ? WINDOW_MAX : run->streak >= 8 ?
		WINDOW_MAX / 2 : WINDOW_MIN;
	job->from = run->ahead_to > end ? run->ahead_to : end;
	job->to = size - end < window ? size : end + window;
	/* In pieces worth a thread's waking up. */
	if (job->from >= job->to || (job->to - job->from < window / 2 &&
	    job->to != size))
		return false;
	run->ahead_to = job->to;
	job->run = run;
	return true;
}

void
mount_ahead_file(struct mount *mount, struct mount_run *run, uint64_t offset,
	uint64_t len)
{
	struct mount_ahead *ahead = mount->ahead;
	struct job job = {.run = NULL};
	bool is_planned, is_put = false;

	(void)pthread_mutex_lock(&ahead->lock);
	is_planned = plan(run, offset, len, &job);
	(void)pthread_mutex_unlock(&ahead->lock);
	if (!is_planned)
		return;
	mount_run_hold(mount->runs, run);
	(void)pthread_mutex_lock(&ahead->lock);
	is_put = put_job(ahead, &job);
	(void)pthread_mutex_unlock(&ahead->lock);
	if (!is_put)
		mount_run_put(mount->runs, run);
}

/*
 * Under lock: is it time for the entries that follow this one?  When it is
 * among the last quarter of those fetched, or none of them.
 */
static bool
wants_entries(struct mount_dir *dir, const struct mount_entry *entry,
	struct job *job)
{
	const bool is_among = entry->off >= dir->ahead_from &&
		entry->off < dir->ahead_to;
	const uint64_t left = is_among ? dir->ahead_to - entry->off : 0;

	if (dir->is_fetching || entry->next >= dir->size ||
	    (is_among && (dir->ahead_to == dir->size ||
	    left > (dir->ahead_to - dir->ahead_from) / 4)))
		return false;
	job->from = is_among ? dir->ahead_to : entry->next;
	dir->ahead_from = entry->off;
	dir->is_fetching = true;
	return true;
}

void
mount_ahead_small(struct mount *mount, struct mount_dir *dir,
	const struct mount_entry *entry, const struct qs_fetch *item)
{
	struct mount_ahead *ahead = mount->ahead;
	const struct qs_frame_at at = qs_source_frame_of(item);
	struct job job = {.run = NULL, .frame = at};
	bool is_put = false, is_wanted;

	(void)pthread_mutex_lock(&ahead->lock);
	/* On from the frame before, but for a few (of trees) in between. */
	is_wanted = at.pack == ahead->last.pack &&
		at.frame >= ahead->last.frame &&
		at.frame - ahead->last.frame <= 4;
	for (uint32_t i = 1; is_wanted && at.frame != ahead->last.frame &&
	    i <= WORKERS; i++) {
		job.frame.frame = at.frame + i;
		(void)put_job(ahead, &job);
	}
	ahead->last = at;
	is_wanted = is_wanted && wants_entries(dir, entry, &job);
	(void)pthread_mutex_unlock(&ahead->lock);
	if (!is_wanted)
		return;
	job.dir = mount_dir_get(mount->dirs, dir->number);
	(void)pthread_mutex_lock(&ahead->lock);
	is_put = put_job(ahead, &job);
	if (!is_put)
		dir->is_fetching = false;
	(void)pthread_mutex_unlock(&ahead->lock);
	if (!is_put)
		mount_dir_put(mount->dirs, job.dir);
}
