/* SPDX-License-Identifier: ISC */
/*
 * restore_room: how many folders may be open.  When there are as many, the
 * walker waits until jobs are done with theirs; those that are open only
 * because it is in them are closed (parked), the outermost first, and opened
 * again by ".." on its way back.  So no limit is too low for a deep tree.
 */
#include <errno.h>
#include <sys/resource.h>
#include <unistd.h>

#include "snapshot/restore_internal.h"

#define RESTORE_THREADS_MAX 64
#define ROOM_LIMIT ((size_t)4096) /* descriptors, where so many are allowed */
#define ROOM_OTHERS 24  /* the store, the index, what the walker opens */
#define ROOM_WORKER 2   /* a pack and a file */
#define ROOM_THREAD 16  /* descriptors for which a thread is worth it */
#define ROOM_LEAST 6    /* folders: fewer would not do */

static size_t
descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return 256;
	if (limit.rlim_cur < ROOM_LIMIT) {
		limit.rlim_cur = limit.rlim_max < ROOM_LIMIT ?
			limit.rlim_max : ROOM_LIMIT;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
		(void)getrlimit(RLIMIT_NOFILE, &limit);
	}
	return limit.rlim_cur < ROOM_LIMIT ? (size_t)limit.rlim_cur :
		ROOM_LIMIT;
}

void
restore_room_set(struct restore *restore)
{
	const size_t limit = descriptors();
	size_t threads = restore->options->threads, taken;

	if (threads == 0)
		threads = qs_cpu_count() < 2 ? 2 : qs_cpu_count();
	if (threads > RESTORE_THREADS_MAX)
		threads = RESTORE_THREADS_MAX;
	if (threads > limit / ROOM_THREAD)
		threads = limit < ROOM_THREAD ? 1 : limit / ROOM_THREAD;
	restore->thread_count = threads;
	restore->job_count = 2 * threads + 4;
	/* Each job may be of another large file, which is open. */
	taken = ROOM_OTHERS + ROOM_WORKER * threads + restore->job_count;
	restore->folder_room = limit < taken + ROOM_LEAST ? ROOM_LEAST :
		limit - taken;
}

/* The outermost that nobody needs now; not the target, not folder's own. */
static bool
park_one(struct restore *restore, struct restore_folder *folder)
{
	struct restore_folder *found = NULL;
	struct restore_folder *at = folder->parent;

	for (; at->parent != NULL; at = at->parent)
		if (at != folder->parent && at->fd >= 0)
			found = at;
	if (found == NULL)
		return false;
	found->is_parked = true;
	restore_room_close(restore, found);
	return true;
}

/* Until fewer than count are open, or no job is under way. */
static void
wait_for_jobs(struct restore *restore, size_t count)
{
	if (atomic_load(&restore->open_folders) < count)
		return;
	restore_flush(restore);
	pthread_mutex_lock(&restore->lock);
	while (restore->jobs_out > 0 &&
	    atomic_load(&restore->open_folders) >= count)
		pthread_cond_wait(&restore->job_done, &restore->lock);
	pthread_mutex_unlock(&restore->lock);
}

static bool
let_go(struct restore *restore, struct restore_folder *folder)
{
	const size_t before = atomic_load(&restore->open_folders);

	wait_for_jobs(restore, before);
	/* Otherwise no job is under way: none needs what is parked. */
	return atomic_load(&restore->open_folders) < before ||
		park_one(restore, folder);
}

int
restore_room_open(struct restore *restore, struct restore_folder *folder)
{
	int fd;

	while (atomic_load(&restore->open_folders) >= restore->folder_room &&
	    let_go(restore, folder))
		;
	do {
		fd = openat(folder->parent->fd, folder->name, O_RDONLY |
			O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd >= 0 || (errno != EMFILE && errno != ENFILE))
			return fd;
	} while (let_go(restore, folder));
	errno = EMFILE;
	return -1;
}

void
restore_room_close(struct restore *restore, struct restore_folder *folder)
{
	if (folder->fd < 0)
		return;
	qs_fd_close(&folder->fd);
	(void)atomic_fetch_sub(&restore->open_folders, 1);
}

void
restore_room_return(struct restore *restore, struct restore_folder *folder)
{
	struct restore_folder *parent = folder->parent;
	struct qs_err err;
	struct stat st;

	if (parent == NULL || !parent->is_parked)
		return;
	/* Those it comes from may be open for their files. */
	wait_for_jobs(restore, restore->folder_room);
	errno = ENOENT;
	if (folder->fd >= 0)
		parent->fd = openat(folder->fd, "..",
			O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (parent->fd < 0) {
		(void)qs_fail_errno(&err, "cannot open the folder again");
		restore_warn_folder(restore, parent, &err);
		return;
	}
	(void)atomic_fetch_add(&restore->open_folders, 1);
	/* What it is in may have been moved elsewhere meanwhile. */
	if (fstat(parent->fd, &st) != 0 || st.st_dev != parent->dev ||
	    st.st_ino != parent->ino) {
		restore_room_close(restore, parent);
		(void)qs_fail(&err, QS_EEXIST,
			"what is in it was moved while it was restored");
		restore_warn_folder(restore, parent, &err);
		return;
	}
	parent->is_parked = false;
}
