/* SPDX-License-Identifier: ISC */
/*
 * mount_told: what went wrong, told once for each object.  A damaged pack may
 * have thousands of files, each read again and again.
 */
#include <errno.h>
#include <stdlib.h>

#include "fuse/mount_internal.h"

#define TOLD 256 /* remembered; the oldest is forgotten first */

struct mount_told {
	qs_trouble_fn fn;
	void *arg;
	pthread_mutex_t lock; /* also: one call of fn at a time */
	uint8_t keys[TOLD][32];
	size_t count, next;
};

enum qs_code
mount_told_new(qs_trouble_fn fn, void *arg, struct mount_told **out,
	struct qs_err *err)
{
	struct mount_told *told = calloc(1, sizeof(*told));

	if (told == NULL)
		return qs_fail_nomem(err, "mounting");
	(void)pthread_mutex_init(&told->lock, NULL);
	told->fn = fn;
	told->arg = arg;
	*out = told;
	return QS_OK;
}

void
mount_told_free(struct mount_told *told)
{
	if (told == NULL)
		return;
	(void)pthread_mutex_destroy(&told->lock);
	free(told);
}

void
mount_tell(struct mount_told *told, const struct qs_name *object,
	const struct qs_err *trouble)
{
	uint8_t key[32];
	bool is_known = false;

	if (object != NULL && !qs_is_zero(object->b, sizeof(object->b)))
		memcpy(key, object->b, sizeof(key));
	else
		qs_hash_plain(key, sizeof(key), qs_span(trouble->msg,
			strlen(trouble->msg)));
	(void)pthread_mutex_lock(&told->lock);
	for (size_t i = 0; !is_known && i < told->count; i++)
		is_known = memcmp(told->keys[i], key, sizeof(key)) == 0;
	if (!is_known) {
		memcpy(told->keys[told->next], key, sizeof(key));
		told->next = (told->next + 1) % TOLD;
		if (told->count < TOLD)
			told->count++;
		told->fn(told->arg, trouble);
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
