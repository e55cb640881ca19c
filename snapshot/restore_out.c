/* SPDX-License-Identifier: ISC */
/*
 * restore_out: a regular file from its temporary name to its own.  What is
 * under the final name is always whole, and was checked.
 */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "snapshot/restore_internal.h"

void
restore_partial_name(struct restore *restore, char out[static RESTORE_PARTIAL])
{
	/* Unique is enough: O_EXCL makes sure that it is ours. */
	const uint64_t number = restore->partial_base +
		atomic_fetch_add(&restore->partial_count, 1);

	(void)snprintf(out, RESTORE_PARTIAL, ".%012llx.partial",
		(unsigned long long)(number & 0xffffffffffffu));
}

enum qs_code
restore_out_open(struct restore *restore, struct restore_file *file,
	struct qs_err *err)
{
	file->fd = -1;
	for (int try = 0; try < 16; try++) {
		restore_partial_name(restore, file->partial);
		file->fd = openat(file->folder->fd, file->partial, O_WRONLY |
			O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
		if (file->fd >= 0)
			return QS_OK;
		if (errno != EEXIST)
			break;
	}
	return qs_fail_errno(err, "cannot make a file in its folder");
}

enum qs_code
restore_out_write(struct restore *restore, struct restore_file *file,
	const uint8_t *data, size_t len, uint64_t offset, struct qs_err *err)
{
	size_t begin = 0, at = 0;

	if (!restore->options->sparse)
		return qs_fd_pwrite(file->fd, data, len, offset, err);
	/* Blocks of the file, not of the chunk: only those can be holes. */
	while (at < len) {
		size_t step = RESTORE_BLOCK -
			(size_t)((offset + at) % RESTORE_BLOCK);
		enum qs_code rc = QS_OK;

		if (step > len - at)
			step = len - at;
		if (step == RESTORE_BLOCK && qs_is_zero(data + at, step)) {
			if (at > begin)
				rc = qs_fd_pwrite(file->fd, data + begin,
					at - begin, offset + begin, err);
			if (rc != QS_OK)
				return rc;
			begin = at + step;
		}
		at += step;
	}
	return begin == len ? QS_OK : qs_fd_pwrite(file->fd, data + begin,
		len - begin, offset + begin, err);
}

enum qs_code
restore_rename(const struct restore_folder *folder, const char *partial,
	const char *name, bool replaces, struct qs_err *err)
{
	const int fd = folder->fd;
	struct stat st;

	if (!replaces) {
		if (renameat2(fd, partial, fd, name, RENAME_NOREPLACE) == 0)
			return QS_OK;
		if (errno != EINVAL && errno != ENOSYS)
			return qs_fail_errno(err,
				"cannot give it its name");
		/* A file system without it: as near as can be. */
		if (fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
			return qs_fail(err, QS_EEXIST,
				"something has taken its name meanwhile");
	}
	if (renameat(fd, partial, fd, name) != 0)
		return qs_fail_errno(err, "cannot give it its name");
	return QS_OK;
}

static void
set_link(struct restore *restore, struct restore_link *link,
	enum link_state state, const struct stat *st)
{
	if (link == NULL)
		return;
	pthread_mutex_lock(&restore->lock);
	link->state = state;
	if (st != NULL) {
		link->dev = st->st_dev;
		link->ino = st->st_ino;
	}
	pthread_cond_broadcast(&restore->link_done);
	pthread_mutex_unlock(&restore->lock);
}

static bool
needs_length(const struct restore *restore, const struct qs_node *node)
{
	const uint32_t last = node->content.count - 1;

	/* Only a hole at the end leaves the file too short. */
	return node->size > 0 && (restore->options->sparse ||
		node->content.depth > 0 ||
		qs_is_zero(qs_content_id(&node->content, last).b, 32));
}

enum qs_code
restore_out_finish(struct restore *restore, struct restore_file *file,
	struct qs_err *err)
{
	const struct qs_node *node = &file->node;
	const struct restore_had had = {restore->euid, file->folder->gid,
		0600, file->folder->gives_acl};
	struct qs_err trouble;
	struct stat st;
	enum qs_code rc = QS_OK, meta;

	if (needs_length(restore, node) &&
	    ftruncate(file->fd, (off_t)node->size) != 0)
		rc = qs_fail_errno(err, "cannot make it %llu bytes long",
			(unsigned long long)node->size);
	if (rc == QS_OK && file->link != NULL && fstat(file->fd, &st) != 0)
		rc = qs_fail_errno(err, "cannot look at it");
	if (rc != QS_OK) {
		restore_out_abort(restore, file);
		return rc;
	}
	meta = restore_meta_fd(restore, file->fd, node, &had, &trouble);
	/* An older one goes: not before this one would survive a power cut. */
	if (file->replaces)
		rc = qs_fd_sync(file->fd, err);
	/* Some file systems tell only here that the disk is full. */
	if (close(file->fd) != 0 && errno != EINTR && rc == QS_OK)
		rc = qs_fail_errno(err, "cannot write it");
	file->fd = -1;
	if (rc == QS_OK)
		rc = restore_rename(file->folder, file->partial, file->name,
			file->replaces, err);
	if (rc != QS_OK) {
		restore_out_abort(restore, file);
		return rc;
	}
	set_link(restore, file->link, LINK_DONE, file->link ? &st : NULL);
	restore_mark(restore, file->number);
	(void)atomic_fetch_add(&restore->files_restored, 1);
	(void)atomic_fetch_add(&restore->bytes_restored, node->size);
	(void)atomic_fetch_add(&restore->report->progress->files_done, 1);
	if (meta != QS_OK)
		restore_warn(restore, file->path, &trouble);
	restore_event(restore, QS_EVENT_RESTORED, file->path, node);
	return QS_OK;
}

void
restore_out_abort(struct restore *restore, struct restore_file *file)
{
	if (file->partial[0] != '\0')
		(void)unlinkat(file->folder->fd, file->partial, 0);
	file->partial[0] = '\0';
	qs_fd_close(&file->fd);
	set_link(restore, file->link, LINK_FAILED, NULL);
}
