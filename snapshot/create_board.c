/* SPDX-License-Identifier: ISC */
/*
 * The switchboard of the pipeline: who waits for what.  One lock and one
 * condition; waits are for whole jobs and packs, so there are few.
 *
 * Invariants while lock is not held: every job is in exactly one of idle,
 * ready, ring, or with the thread that took it; every builder in free, full,
 * or with a thread.  Jobs leave the ring in order of their numbers.
 *
 * No cycle of waits: the planner waits for idle jobs (given by the assembler),
 * the assembler for done jobs and free builders (given by workers), a worker
 * with a sealed pack for room among the staged (given by the committer), the
 * committer for the store only.
 */
#include <stdlib.h>

#include "snapshot/create_internal.h"

enum qs_code
board_init(struct board *board, const struct qs_keys *keys, struct qs_err *err)
{
	enum qs_code rc = QS_OK;

	*board = (struct board){0};
	pthread_mutex_init(&board->lock, NULL);
	pthread_cond_init(&board->changed, NULL);
	for (size_t i = 0; i < CREATE_JOBS && rc == QS_OK; i++) {
		rc = job_new(&board->idle[i], err);
		if (rc == QS_OK)
			board->idle_count++;
	}
	for (size_t i = 0; i < CREATE_BUILDERS && rc == QS_OK; i++) {
		rc = qs_pack_builder_new(keys, &board->free_builders[i], err);
		if (rc == QS_OK)
			board->free_count++;
	}
	return rc;
}

void
board_clear(struct board *board)
{
	for (size_t i = 0; i < board->idle_count; i++)
		job_free(board->idle[i]);
	for (size_t i = 0; i < board->ready_count; i++)
		job_free(board->ready[i]);
	for (size_t i = 0; i < CREATE_JOBS; i++)
		job_free(board->ring[i]);
	for (size_t i = 0; i < board->free_count; i++)
		qs_pack_builder_free(board->free_builders[i]);
	for (size_t i = 0; i < board->full_count; i++)
		qs_pack_builder_free(board->full[i]);
	pthread_cond_destroy(&board->changed);
	pthread_mutex_destroy(&board->lock);
}

static void
lock(struct board *board)
{
	pthread_mutex_lock(&board->lock);
}

static void
unlock(struct board *board)
{
	pthread_mutex_unlock(&board->lock);
}

static void
changed(struct board *board)
{
	pthread_cond_broadcast(&board->changed);
}

static void
await(struct board *board)
{
	pthread_cond_wait(&board->changed, &board->lock);
}

void
board_fail(struct board *board, const struct qs_err *err)
{
	lock(board);
	if (!board->failed)
		board->failure = *err;
	board->failed = true;
	changed(board);
	unlock(board);
}

bool
board_failed(struct board *board)
{
	bool failed;

	lock(board);
	failed = board->failed;
	unlock(board);
	return failed;
}

struct job *
board_take_idle(struct board *board)
{
	struct job *job = NULL;

	lock(board);
	while (board->idle_count == 0 && !board->failed)
		await(board);
	if (!board->failed) {
		job = board->idle[--board->idle_count];
		job->number = board->next_number++;
	}
	unlock(board);
	return job;
}

void
board_put_idle(struct board *board, struct job *job)
{
	job_reset(job);
	lock(board);
	board->idle[board->idle_count++] = job;
	changed(board);
	unlock(board);
}

void
board_put_ready(struct board *board, struct job *job)
{
	lock(board);
	board->ready[board->ready_count++] = job;
	changed(board);
	unlock(board);
}

void
board_planned_all(struct board *board)
{
	lock(board);
	board->planned_all = true;
	changed(board);
	unlock(board);
}

struct work
board_take_work(struct board *board)
{
	struct work work = {0};

	lock(board);
	for (;;) {
		if (board->failed || (board->packed_all &&
			board->full_count == 0))
			break;
		if (board->full_count > 0) { /* first: it frees a buffer */
			work.builder = board->full[0];
			work.is_tail = board->full_tail[0];
			board->full_count--;
			for (size_t i = 0; i < board->full_count; i++) {
				board->full[i] = board->full[i + 1];
				board->full_tail[i] = board->full_tail[i + 1];
			}
			board->sealing++;
			break;
		}
		if (board->ready_count > 0) { /* the oldest */
			work.job = board->ready[0];
			board->ready_count--;
			for (size_t i = 0; i < board->ready_count; i++)
				board->ready[i] = board->ready[i + 1];
			break;
		}
		await(board);
	}
	unlock(board);
	return work;
}

void
board_job_done(struct board *board, struct job *job)
{
	lock(board);
	board->ring[job->number % CREATE_JOBS] = job;
	changed(board);
	unlock(board);
}

struct job *
board_next_done(struct board *board, uint64_t number)
{
	struct job **slot = &board->ring[number % CREATE_JOBS];
	struct job *job = NULL;

	lock(board);
	while (!board->failed && *slot == NULL &&
		!(board->planned_all && number == board->next_number))
		await(board);
	if (!board->failed) {
		job = *slot;
		*slot = NULL;
	}
	unlock(board);
	return job;
}

struct qs_pack_builder *
board_take_builder(struct board *board)
{
	struct qs_pack_builder *builder = NULL;

	lock(board);
	while (board->free_count == 0 && !board->failed)
		await(board);
	if (!board->failed)
		builder = board->free_builders[--board->free_count];
	unlock(board);
	return builder;
}

void
board_put_full(struct board *board, struct qs_pack_builder *builder,
	bool is_tail)
{
	lock(board);
	board->full[board->full_count] = builder;
	board->full_tail[board->full_count++] = is_tail;
	changed(board);
	unlock(board);
}

bool
board_staged(struct board *board, struct qs_pack_builder *builder,
	const struct staged *staged)
{
	bool taken = false;

	/* The buffer is free as soon as the bytes are down. */
	qs_pack_builder_reset(builder);
	lock(board);
	board->free_builders[board->free_count++] = builder;
	if (staged != NULL) {
		/* Room: after a failure nobody takes any, so do not wait. */
		while (board->staged_count == CREATE_STAGED_MAX &&
			!board->failed)
			await(board);
		taken = board->staged_count < CREATE_STAGED_MAX;
		if (taken) {
			board->staged[board->staged_count++] = *staged;
			board->staged_chunks += staged->dir.chunk_count;
		}
	}
	board->sealing--;
	changed(board);
	unlock(board);
	return taken;
}

void
board_packed_all(struct board *board)
{
	lock(board);
	board->packed_all = true;
	changed(board);
	unlock(board);
}

size_t
board_take_staged(struct board *board, struct staged *out, size_t max)
{
	size_t n = 0;

	lock(board);
	for (;;) {
		bool all_in = board->full_count == 0 && board->sealing == 0;

		if (board->failed || (board->packed_all && all_in &&
			board->staged_count == 0))
			break;
		if (board->staged_count >= max ||
			board->staged_chunks >= CREATE_STAGED_CHUNKS ||
			(board->staged_count > 0 && all_in &&
				(board->flush || board->packed_all))) {
			n = board->staged_count < max ? board->staged_count :
				max;
			memcpy(out, board->staged, n * sizeof(*out));
			board->staged_count -= n;
			memmove(board->staged, board->staged + n,
				board->staged_count * sizeof(*out));
			board->staged_taken += n;
			for (size_t i = 0; i < n; i++)
				board->staged_chunks -= out[i].dir.chunk_count;
			changed(board);
			break;
		}
		await(board);
	}
	unlock(board);
	return n;
}

void
board_committed(struct board *board, size_t count)
{
	lock(board);
	board->staged_taken -= count;
	changed(board);
	unlock(board);
}

bool
board_flush(struct board *board)
{
	bool ok;

	lock(board);
	board->flush = true;
	changed(board);
	while (!board->failed && (board->full_count > 0 || board->sealing > 0 ||
		board->staged_count > 0 || board->staged_taken > 0))
		await(board);
	board->flush = false;
	ok = !board->failed;
	unlock(board);
	return ok;
}
