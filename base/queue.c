/* SPDX-License-Identifier: ISC */
/* The bounded queue between the stages of a pipeline. */
#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/base.h"

/*
 * A ring: the count items from head on, modulo capacity, are queued.
 * 0 <= count <= capacity and head < capacity.  Once closed is set it stays so
 * and count only falls.
 */
struct qs_queue {
	pthread_mutex_t lock;
	pthread_cond_t not_empty, not_full; /* or closed */
	void **items;      /* guarded by lock */
	size_t head, count; /* guarded by lock */
	bool closed;       /* guarded by lock */
	size_t capacity;   /* does not change */
};

/* None of these can fail on a mutex or condition that is set up. */
static void
lock(struct qs_queue *queue)
{
	int sys = pthread_mutex_lock(&queue->lock);

	assert(sys == 0);
	(void)sys;
}

static void
unlock(struct qs_queue *queue)
{
	int sys = pthread_mutex_unlock(&queue->lock);

	assert(sys == 0);
	(void)sys;
}

enum qs_code
qs_queue_new(size_t capacity, struct qs_queue **out, struct qs_err *err)
{
	struct qs_queue *queue;
	void **items;

	if (capacity == 0)
		return qs_fail(err, QS_EINVAL,
			"a queue with room for no item was asked for");
	queue = (struct qs_queue *)calloc(1, sizeof(*queue));
	items = (void **)calloc(capacity, sizeof(*items));
	if (queue == NULL || items == NULL) {
		free(queue);
		free(items);
		return qs_fail_nomem(err, "making a queue");
	}
	queue->items = items;
	queue->capacity = capacity;
	/* Default attributes: nothing is allocated, these can't fail. */
	(void)pthread_mutex_init(&queue->lock, NULL);
	(void)pthread_cond_init(&queue->not_empty, NULL);
	(void)pthread_cond_init(&queue->not_full, NULL);
	*out = queue;
	return QS_OK;
}

void
qs_queue_free(struct qs_queue *queue)
{
	if (queue == NULL)
		return;
	(void)pthread_cond_destroy(&queue->not_full);
	(void)pthread_cond_destroy(&queue->not_empty);
	(void)pthread_mutex_destroy(&queue->lock);
	free(queue->items);
	free(queue);
}

bool
qs_queue_push(struct qs_queue *queue, void *item)
{
	bool taken;

	assert(item != NULL); /* for pop, NULL is "closed" */
	lock(queue);
	while (queue->count == queue->capacity && !queue->closed)
		(void)pthread_cond_wait(&queue->not_full, &queue->lock);
	taken = !queue->closed;
	if (taken) {
		/* Neither sum overflows: an array of pointers is shorter. */
		queue->items[(queue->head + queue->count) % queue->capacity] =
			item;
		queue->count++;
		(void)pthread_cond_signal(&queue->not_empty);
	}
	unlock(queue);
	return taken;
}

/* The first item or NULL; with the lock held. */
static void *
take(struct qs_queue *queue)
{
	void *item;

	if (queue->count == 0)
		return NULL;
	item = queue->items[queue->head];
	queue->head = (queue->head + 1) % queue->capacity;
	queue->count--;
	(void)pthread_cond_signal(&queue->not_full);
	return item;
}

void *
qs_queue_pop(struct qs_queue *queue)
{
	void *item;

	lock(queue);
	while (queue->count == 0 && !queue->closed)
		(void)pthread_cond_wait(&queue->not_empty, &queue->lock);
	item = take(queue);
	unlock(queue);
	return item;
}

void *
qs_queue_try_pop(struct qs_queue *queue)
{
	void *item;

	lock(queue);
	item = take(queue);
	unlock(queue);
	return item;
}

void
qs_queue_close(struct qs_queue *queue)
{
	lock(queue);
	queue->closed = true;
	(void)pthread_cond_broadcast(&queue->not_empty);
	(void)pthread_cond_broadcast(&queue->not_full);
	unlock(queue);
}
