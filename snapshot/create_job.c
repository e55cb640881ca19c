/* SPDX-License-Identifier: ISC */
/* Jobs: buffers that go through the pipeline and come back. */
#include <stdlib.h>

#include "snapshot/create_internal.h"

enum qs_code
job_new(struct job **out, struct qs_err *err)
{
	struct job *job = calloc(1, sizeof(struct job));

	if (job == NULL)
		return qs_fail_nomem(err, "starting the snapshot");
	job->data = malloc(CREATE_ARENA);
	job->out = malloc(CREATE_ARENA);
	job->events = malloc(CREATE_EVENTS * sizeof(struct event));
	if (job->data == NULL || job->out == NULL || job->events == NULL) {
		job_free(job);
		return qs_fail_nomem(err, "starting the snapshot");
	}
	*out = job;
	return QS_OK;
}

void
job_free(struct job *job)
{
	if (job == NULL)
		return;
	job_reset(job);
	arena_clear(&job->arena);
	free(job->data);
	free(job->out);
	free(job->events);
	free(job->chunks);
	free(job->entries);
	free(job->frames);
	free(job);
}

void
job_reset(struct job *job)
{
	for (size_t i = 0; i < job->event_count; i++)
		folder_drop(job->events[i].folder);
	arena_reset(&job->arena);
	job->data_used = 0;
	job->event_count = 0;
	job->chunk_count = 0;
	job->entry_count = 0;
	job->frame_count = 0;
}

/* Room for one more of an array of items of that size; NULL: no memory. */
static void *
grow(void *array, size_t count, size_t *cap, size_t size)
{
	size_t more = *cap == 0 ? 64 : *cap * 2;

	if (count < *cap)
		return array;
	array = realloc(array, more * size);
	if (array != NULL)
		*cap = more;
	return array;
}

struct job_chunk *
job_add_chunk(struct job *job)
{
	struct job_chunk *chunks = grow(job->chunks, job->chunk_count,
		&job->chunk_cap, sizeof(struct job_chunk));

	if (chunks == NULL)
		return NULL;
	job->chunks = chunks;
	return &chunks[job->chunk_count++];
}

struct qs_chunk_entry *
job_add_entry(struct job *job)
{
	struct qs_chunk_entry *entries = grow(job->entries, job->entry_count,
		&job->entry_cap, sizeof(struct qs_chunk_entry));

	if (entries == NULL)
		return NULL;
	job->entries = entries;
	return &entries[job->entry_count++];
}

struct job_frame *
job_add_frame(struct job *job)
{
	struct job_frame *frames = grow(job->frames, job->frame_count,
		&job->frame_cap, sizeof(struct job_frame));

	if (frames == NULL)
		return NULL;
	job->frames = frames;
	return &frames[job->frame_count++];
}
