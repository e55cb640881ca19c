/* SPDX-License-Identifier: ISC */
/* Threads: start one, join it, and how many are worth starting. */
#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/base.h"

struct qs_thread {
	pthread_t id;
	void (*fn)(void *arg);
	void *arg;
	char name[16]; /* what the kernel keeps */
};

static void *
run(void *arg)
{
	struct qs_thread *thread = (struct qs_thread *)arg;

	(void)pthread_setname_np(pthread_self(), thread->name);
	thread->fn(thread->arg);
	return NULL;
}

enum qs_code
qs_thread_start(struct qs_thread **out, void (*fn)(void *arg), void *arg,
	const char *name, struct qs_err *err)
{
	struct qs_thread *thread;
	sigset_t blocked, old;
	int sys;

	thread = (struct qs_thread *)calloc(1, sizeof(*thread));
	if (thread == NULL)
		return qs_fail_nomem(err, "starting a thread");
	thread->fn = fn;
	thread->arg = arg;
	(void)snprintf(thread->name, sizeof(thread->name), "%.15s", name);

	/*
	 * Blocked here and inherited: were it done in the new thread, a signal
	 * could reach it before.
	 */
	(void)sigemptyset(&blocked);
	(void)sigaddset(&blocked, SIGINT);
	(void)sigaddset(&blocked, SIGTERM);
	(void)sigaddset(&blocked, SIGHUP);
	(void)pthread_sigmask(SIG_BLOCK, &blocked, &old);
	sys = pthread_create(&thread->id, NULL, run, thread);
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);

	if (sys != 0) {
		free(thread);
		errno = sys;
		(void)qs_fail_errno(err, "start thread %s", name);
		if (sys == EAGAIN) /* no more threads, not a lock */
			err->code = QS_ENOMEM;
		return err->code;
	}
	*out = thread;
	return QS_OK;
}

void
qs_thread_join(struct qs_thread *thread)
{
	int sys;

	if (thread == NULL)
		return;
	sys = pthread_join(thread->id, NULL);
	assert(sys == 0); /* it can fail only for a thread that is not ours */
	(void)sys;
	free(thread);
}

unsigned
qs_cpu_count(void)
{
	cpu_set_t set;
	long n;

	CPU_ZERO(&set);
	if (sched_getaffinity(0, sizeof(set), &set) == 0)
		n = CPU_COUNT(&set);
	else /* more processors than a cpu_set_t can name */
		n = sysconf(_SC_NPROCESSORS_ONLN);
	return n > 0 ? (unsigned)n : 1;
}
