/* SPDX-License-Identifier: ISC */
/*
 * mount_told: what went wrong, told once for each object.  A damaged pack may
 * have thousands of files, each read again and again.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "fuse/mount_internal.h"

#define TOLD 256   /* remembered; the oldest is forgotten first */
#define WAITING 32 /* not yet told; more are dropped */

#define NAMED 3    /* objects in a line */

struct mount_told {
	struct qs_folder *folder;
	qs_trouble_fn fn;
	void *arg;
	struct qs_thread *thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	/* guarded by lock: */
	uint8_t keys[TOLD][32];
	size_t count, next;
	struct qs_err waiting[WAITING];
	size_t first, waiting_count;
	bool is_ending;
};

/*
 * Whoever reads what is told may be slow, or stuck: nobody who serves requests
 * waits for that.
 */
static void
tell_all(void *arg)
{
	struct mount_told *told = arg;
	struct qs_err trouble;

	(void)pthread_mutex_lock(&told->lock);
	for (;;) {
		while (told->waiting_count == 0 && !told->is_ending)
			(void)pthread_cond_wait(&told->wake, &told->lock);
		if (told->waiting_count == 0)
			break;
		trouble = told->waiting[told->first];
		told->first = (told->first + 1) % WAITING;
		told->waiting_count--;
		(void)pthread_mutex_unlock(&told->lock);
		told->fn(told->arg, &trouble);
		(void)pthread_mutex_lock(&told->lock);
	}
	(void)pthread_mutex_unlock(&told->lock);
}

enum qs_code
mount_told_new(struct qs_folder *folder, qs_trouble_fn fn, void *arg,
	struct mount_told **out, struct qs_err *err)
{
	struct mount_told *told = calloc(1, sizeof(*told));
	enum qs_code rc;

	if (told == NULL)
		return qs_fail_nomem(err, "mounting");
	(void)pthread_mutex_init(&told->lock, NULL);
	(void)pthread_cond_init(&told->wake, NULL);
	told->folder = folder;
	told->fn = fn;
	told->arg = arg;
	rc = qs_thread_start(&told->thread, tell_all, told, "qs-tell", err);
	if (rc != QS_OK) {
		mount_told_free(told);
		return rc;
	}
	*out = told;
	return QS_OK;
}

void
mount_told_end(struct mount_told *told)
{
	if (told == NULL)
		return;
	(void)pthread_mutex_lock(&told->lock);
	told->is_ending = true;
	(void)pthread_cond_signal(&told->wake);
	(void)pthread_mutex_unlock(&told->lock);
	qs_thread_join(told->thread);
	told->thread = NULL;
}

void
mount_told_free(struct mount_told *told)
{
	if (told == NULL)
		return;
	mount_told_end(told);
	(void)pthread_cond_destroy(&told->wake);
	(void)pthread_mutex_destroy(&told->lock);
	free(told);
}

/*
 * A chunk that is in no object the index knows: which one had it nobody can
 * tell, but which ones are missing.  The same words for all such chunks.
 */
static void
say_missing(const struct mount_told *told, struct qs_err *out)
{
	const char *place = qs_folder_store(told->folder)->place;
	struct qs_buf names = {0};
	struct qs_err unused;
	char hex[QS_HEX_LEN + 1], list[NAMED * 18 + 32] = "";
	size_t count = 0, used = 0;

	if (qs_folder_absent(told->folder, &names, &unused) == QS_OK)
		count = names.len / 32;
	for (size_t i = 0; i < count && i < NAMED; i++) {
		qs_hex(hex, names.data + 32 * i, 32);
		used += (size_t)snprintf(list + used, sizeof(list) - used,
			"%s%.16s", i > 0 ? ", " : "", hex);
	}
	if (count > NAMED)
		(void)snprintf(list + used, sizeof(list) - used,
			" and %zu more", count - NAMED);
	if (count > 0)
		(void)qs_fail(out, QS_ENOTFOUND, "files need what is missing "
			"from %s: object%s %s", place, count > 1 ? "s" : "",
			list);
	else
		(void)qs_fail(out, QS_ENOTFOUND, "files need what is in no "
			"object known in %s: qstore check tells more", place);
	qs_buf_clear(&names);
}

void
mount_tell(struct mount_told *told, const struct qs_name *object,
	const struct qs_err *trouble)
{
	struct qs_err damaged, missing;
	uint8_t key[32];
	bool is_known = false;

	if (object != NULL && trouble->code == QS_ENOTFOUND &&
	    qs_is_zero(object->b, sizeof(object->b))) {
		say_missing(told, &missing);
		trouble = &missing;
	}
	if (trouble->code == QS_EINDEX) {
		(void)qs_fail(&damaged, QS_EINDEX, "the index of this machine "
			"is damaged: unmount and mount again, and it is made "
			"anew from the store");
		trouble = &damaged;
		object = NULL;
	}
	if (object != NULL && !qs_is_zero(object->b, sizeof(object->b)))
		memcpy(key, object->b, sizeof(key));
	else
		qs_hash_plain(key, sizeof(key), qs_span(trouble->msg,
			strlen(trouble->msg)));
	(void)pthread_mutex_lock(&told->lock);
	for (size_t i = 0; !is_known && i < told->count; i++)
		is_known = memcmp(told->keys[i], key, sizeof(key)) == 0;
	if (!is_known && told->waiting_count < WAITING) {
		memcpy(told->keys[told->next], key, sizeof(key));
		told->next = (told->next + 1) % TOLD;
		if (told->count < TOLD)
			told->count++;
		told->waiting[(told->first + told->waiting_count++) %
			WAITING] = *trouble;
		(void)pthread_cond_signal(&told->wake);
	}
	(void)pthread_mutex_unlock(&told->lock);
}

int
mount_errno(const struct qs_err *err)
{
	/* QS_ENOTFOUND is an object here: names are asked for elsewhere. */
	if (err->code == QS_ENOMEM || err->code == QS_EINVAL)
		return qs_code_to_errno(err->code);
	return EIO;
}
