/* SPDX-License-Identifier: ISC */
/*
 * mount_watch: no request waits for ever.  A store may hang (a network file
 * system whose server is gone); a read that hangs can't be called back, but who
 * asked is given an EIO in time, and while several hang the next are refused at
 * once.  No more than MOUNT_ACTIVE_MAX ask the store at a time, the others wait
 * for them (but not longer than for the store), so that there is always a
 * thread to take what comes.
 */
#include <errno.h>
#include <stdlib.h>

#include "fuse/mount_internal.h"

#define TICK_NS 250000000
#define GRACE_NS INT64_C(5000000000) /* for what hangs while unmounting */

struct mount_watch {
	struct mount *mount;
	struct qs_thread *thread;
	int64_t timeout_ns;
	pthread_mutex_t lock;
	pthread_cond_t wake; /* the watch itself */
	pthread_cond_t room; /* who waits to ask the store */
	/* guarded by lock: */
	struct mount_call *calls;
	size_t active;
	size_t stuck; /* answered for them, and still not back */
	bool is_ending;
};

static void
tell_silent(struct mount_watch *watch)
{
	struct qs_err trouble;

	(void)qs_fail(&trouble, QS_ENET, "the store at %s has not answered for "
		"%u seconds: what needs it can't be read until it does",
		qs_folder_store(watch->mount->folder)->place,
		watch->mount->options.timeout_s);
	mount_tell(watch->mount->told, NULL, &trouble);
}

/* Under lock: answer what has waited for too long. */
static bool
answer_late(struct mount_watch *watch, int64_t now_ns)
{
	bool is_any = false;

	for (struct mount_call *call = watch->calls; call != NULL;
	    call = call->next) {
		if (call->is_answered ||
		    now_ns - call->begun_ns < watch->timeout_ns)
			continue;
		call->is_answered = true;
		watch->stuck++;
		(void)pthread_cond_broadcast(&watch->room);
		(void)fuse_reply_err(call->req, EIO);
		is_any = true;
	}
	return is_any;
}

/*
 * The loop has ended and waits for threads that do not come back: what they
 * wait for is nothing that this process can end in order.
 */
static void
give_up(struct mount_watch *watch)
{
	const struct qs_mount_options *options = &watch->mount->options;
	struct qs_err trouble;

	(void)qs_fail(&trouble, QS_ENET, "unmounted, but the store at %s still "
		"does not answer: giving up",
		qs_folder_store(watch->mount->folder)->place);
	mount_tell(watch->mount->told, NULL, &trouble);
	fuse_session_unmount(watch->mount->session);
	if (options->give_up != NULL)
		options->give_up(options->give_up_arg);
}

static struct timespec
when(int64_t ns)
{
	return (struct timespec){(time_t)(ns / 1000000000),
		(long)(ns % 1000000000)};
}

static void
run(void *arg)
{
	struct mount_watch *watch = arg;
	int64_t exit_ns = 0;

	(void)pthread_mutex_lock(&watch->lock);
	while (!watch->is_ending) {
		const struct timespec until = when(qs_mono_ns() + TICK_NS);
		int64_t now_ns;
		bool is_late;

		(void)pthread_cond_timedwait(&watch->wake, &watch->lock,
			&until);
		now_ns = qs_mono_ns();
		is_late = answer_late(watch, now_ns);
		if (!fuse_session_exited(watch->mount->session) ||
		    watch->calls == NULL)
			exit_ns = 0;
		else if (exit_ns == 0)
			exit_ns = now_ns;
		if (!is_late && (exit_ns == 0 ||
		    now_ns - exit_ns < GRACE_NS))
			continue;
		(void)pthread_mutex_unlock(&watch->lock);
		if (is_late)
			tell_silent(watch);
		else
			give_up(watch);
		(void)pthread_mutex_lock(&watch->lock);
	}
	(void)pthread_mutex_unlock(&watch->lock);
}

enum qs_code
mount_watch_new(struct mount *mount, struct mount_watch **out,
	struct qs_err *err)
{
	struct mount_watch *watch = calloc(1, sizeof(*watch));
	pthread_condattr_t attr;
	enum qs_code rc;

	if (watch == NULL)
		return qs_fail_nomem(err, "mounting");
	watch->mount = mount;
	watch->timeout_ns = (int64_t)mount->options.timeout_s * 1000000000;
	(void)pthread_mutex_init(&watch->lock, NULL);
	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&watch->wake, &attr);
	(void)pthread_cond_init(&watch->room, &attr);
	(void)pthread_condattr_destroy(&attr);
	rc = qs_thread_start(&watch->thread, run, watch, "qs-watch", err);
	if (rc != QS_OK) {
		mount_watch_free(watch);
		return rc;
	}
	*out = watch;
	return QS_OK;
}

void
mount_watch_free(struct mount_watch *watch)
{
	if (watch == NULL)
		return;
	(void)pthread_mutex_lock(&watch->lock);
	watch->is_ending = true;
	(void)pthread_cond_broadcast(&watch->wake);
	(void)pthread_mutex_unlock(&watch->lock);
	qs_thread_join(watch->thread);
	(void)pthread_cond_destroy(&watch->wake);
	(void)pthread_cond_destroy(&watch->room);
	(void)pthread_mutex_destroy(&watch->lock);
	free(watch);
}

/* Under lock: true: it may ask the store, and is counted. */
static bool
admit(struct mount_watch *watch, int64_t begun_ns)
{
	const struct timespec until = when(begun_ns + watch->timeout_ns);
	int sys = 0;

	while (watch->active >= MOUNT_ACTIVE_MAX && sys == 0 &&
	    watch->stuck < MOUNT_STUCK_MAX)
		sys = pthread_cond_timedwait(&watch->room, &watch->lock,
			&until);
	if (watch->stuck >= MOUNT_STUCK_MAX ||
	    watch->active >= MOUNT_ACTIVE_MAX)
		return false;
	watch->active++;
	return true;
}

bool
mount_call_begin(struct mount_watch *watch, struct mount_call *call,
	fuse_req_t req, bool asks_store)
{
	bool is_refused;

	*call = (struct mount_call){.req = req, .begun_ns = qs_mono_ns(),
		.is_active = asks_store};
	(void)pthread_mutex_lock(&watch->lock);
	is_refused = asks_store && !admit(watch, call->begun_ns);
	if (!is_refused) {
		call->next = watch->calls;
		if (call->next != NULL)
			call->next->prev = call;
		watch->calls = call;
	}
	(void)pthread_mutex_unlock(&watch->lock);
	if (is_refused)
		(void)fuse_reply_err(req, EIO);
	return !is_refused;
}

bool
mount_call_end(struct mount_watch *watch, struct mount_call *call)
{
	(void)pthread_mutex_lock(&watch->lock);
	if (call->next != NULL)
		call->next->prev = call->prev;
	if (call->prev != NULL)
		call->prev->next = call->next;
	else
		watch->calls = call->next;
	if (call->is_answered)
		watch->stuck--;
	if (call->is_active) {
		watch->active--;
		if (watch->active + 1 >= MOUNT_ACTIVE_MAX)
			(void)pthread_cond_signal(&watch->room);
	}
	(void)pthread_mutex_unlock(&watch->lock);
	return !call->is_answered;
}
