/* SPDX-License-Identifier: ISC */
/*
 * restore_verify: what was written is read back and its chunks' ids are
 * computed anew, many at a time.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "snapshot/restore_internal.h"
#include "snapshot/source_internal.h"

#define VERIFY_LANES 16
#define VERIFY_DOMAINS 256 /* all there can be */
#define VERIFY_BYTES (2 * QS_CHUNK_MAX)

struct reading {
	struct restore *restore;
	int fd;
	uint8_t *bytes;
	struct qs_hash_job jobs[VERIFY_LANES];
	struct qs_id ids[VERIFY_LANES];
	size_t count, used;
	uint8_t domain; /* that of the chunk before: most often right */
};

static bool
is_chunk(const struct reading *reading, uint8_t domain, const uint8_t *data,
	size_t len, const struct qs_id *id)
{
	struct qs_id found;

	qs_chunk_id(reading->restore->source->keys, QS_KIND_DATA, domain,
		qs_span(data, len), &found);
	return qs_equal(found.b, id->b, sizeof(found.b));
}

/* Bytes that have the id in any domain are the right ones. */
static enum qs_code
check_ids(struct reading *reading, struct qs_err *err)
{
	qs_hash_many(qs_keys_id(reading->restore->source->keys,
		reading->domain), qs_kind_tag(QS_KIND_DATA), reading->jobs,
		reading->count);
	for (size_t i = 0; i < reading->count; i++) {
		const struct qs_hash_job *job = &reading->jobs[i];
		bool is_right = qs_equal(job->out, reading->ids[i].b, 32);

		for (unsigned d = 0; d < VERIFY_DOMAINS && !is_right; d++) {
			is_right = is_chunk(reading, (uint8_t)d, job->data,
				job->len, &reading->ids[i]);
			if (is_right)
				reading->domain = (uint8_t)d;
		}
		if (!is_right)
			return qs_fail(err, QS_ECORRUPT,
				"what was read back is not what was saved");
	}
	reading->count = reading->used = 0;
	return QS_OK;
}

static enum qs_code
check_hole(struct reading *reading, uint64_t len, uint64_t offset,
	struct qs_err *err)
{
	const uint64_t end = offset + len;

	while (offset < end) {
		off_t data = lseek(reading->fd, (off_t)offset, SEEK_DATA);
		size_t want = QS_CHUNK_MAX, got = 0;
		enum qs_code rc;

		if (data < 0 && errno == ENXIO)
			return QS_OK;
		if (data > (off_t)offset)
			offset = (uint64_t)data;
		if (offset >= end)
			return QS_OK;
		if (want > end - offset)
			want = (size_t)(end - offset);
		rc = qs_fd_pread(reading->fd, reading->bytes, want, offset,
			&got, err);
		if (rc != QS_OK)
			return rc;
		if (got != want || !qs_is_zero(reading->bytes, got))
			return qs_fail(err, QS_ECORRUPT,
				"what was read back is not what was saved");
		offset += want;
	}
	return QS_OK;
}

static enum qs_code
read_piece(void *arg, const struct qs_id *id, uint64_t len, uint64_t offset,
	struct qs_err *err)
{
	struct reading *reading = arg;
	const bool is_hole = qs_is_zero(id->b, sizeof(id->b));
	size_t got = 0;
	enum qs_code rc = QS_OK;

	if (restore_stopped(reading->restore))
		return qs_fail(err, QS_ECANCELED, "interrupted");
	if (is_hole || reading->count == VERIFY_LANES ||
	    reading->used + len > VERIFY_BYTES)
		rc = check_ids(reading, err);
	if (rc != QS_OK)
		return rc;
	if (is_hole)
		return check_hole(reading, len, offset, err);
	if (len > QS_CHUNK_MAX)
		return qs_fail(err, QS_ECORRUPT, "a part of it is too long");
	rc = qs_fd_pread(reading->fd, reading->bytes + reading->used,
		(size_t)len, offset, &got, err);
	if (rc == QS_OK && got != len)
		rc = qs_fail(err, QS_ECORRUPT, "it became too short");
	if (rc != QS_OK)
		return rc;
	reading->jobs[reading->count].data = reading->bytes + reading->used;
	reading->jobs[reading->count].len = (size_t)len;
	reading->ids[reading->count++] = *id;
	reading->used += (size_t)len;
	return QS_OK;
}

#define OPEN_AGAIN (O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)

/*
 * A file that its mode hides from its owner, who we are: it gets that mode back
 * before a byte is read.
 */
static int
open_hidden(int folder_fd, const char *name)
{
	char path[40];
	struct stat st;
	int held = openat(folder_fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	int fd = -1;

	if (held < 0)
		return -1;
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", held);
	/* A change of mode might take the special bits away for good. */
	if (fstat(held, &st) != 0 || !S_ISREG(st.st_mode) ||
	    st.st_uid != geteuid() || (st.st_mode & 07000) != 0 ||
	    chmod(path, (st.st_mode & 0777) | 0400) != 0) {
		errno = EACCES;
	} else {
		fd = openat(folder_fd, name, OPEN_AGAIN);
		(void)chmod(path, st.st_mode & 0777);
	}
	(void)close(held);
	return fd;
}

static enum qs_code
verify_open(struct restore *restore, const struct qs_node *node,
	const char *path, int *out, struct qs_err *err)
{
	const char *name = NULL;
	struct stat st;
	int folder_fd = -1, fd = -1;
	enum qs_code rc = restore_open_parent(restore->target_fd, path,
		&folder_fd, &name, err);

	if (rc != QS_OK)
		return rc;
	fd = openat(folder_fd, name, OPEN_AGAIN);
	if (fd < 0 && errno == EACCES)
		fd = open_hidden(folder_fd, name);
	if (fd < 0 || fstat(fd, &st) != 0)
		rc = qs_fail_errno(err, "cannot open it again");
	else if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size != node->size)
		rc = qs_fail(err, QS_ECORRUPT, "its size is not right");
	qs_fd_close(&folder_fd);
	if (rc == QS_OK)
		*out = fd;
	else
		qs_fd_close(&fd);
	return rc;
}

void
restore_verify_file(struct restore *restore, const struct qs_node *node,
	const char *path, size_t skip)
{
	struct reading reading = {.restore = restore, .fd = -1};
	bool is_hidden;
	struct qs_err err;
	enum qs_code rc;

	if (!restore_is_marked(restore, restore->number++))
		return;
	rc = verify_open(restore, node, path + skip, &reading.fd, &err);
	is_hidden = rc != QS_OK && err.sys == EACCES;
	if (rc == QS_OK) {
		reading.bytes = malloc(VERIFY_BYTES);
		if (reading.bytes == NULL)
			rc = qs_fail_nomem(&err, "reading back");
	}
	if (rc == QS_OK)
		rc = qs_content_each(restore->source, &node->content,
			read_piece, &reading, &err);
	if (rc == QS_OK)
		rc = check_ids(&reading, &err);
	free(reading.bytes);
	qs_fd_close(&reading.fd);
	if (rc == QS_OK) {
		restore->verified++;
		return;
	}
	if (rc == QS_ECANCELED)
		return;
	/* It was written; the mode it was saved with hides it: no error. */
	if (is_hidden) {
		(void)qs_fail_while(&err, "restored, but not read back");
		restore_note(restore, path, &err);
		return;
	}
	(void)qs_fail_while(&err, "verify");
	restore_warn(restore, path, &err);
}

/* ------------------------------------------------------------------- walk */

struct again {
	struct restore *restore;
	struct qs_buf path;
	size_t prefix_len;
};

static enum qs_visit_next
see(void *arg, const struct qs_visit *visit)
{
	struct again *again = arg;
	struct qs_err err;
	const char *path;
	bool is_wanted, below = false;
	enum qs_code rc;

	if (restore_stopped(again->restore))
		return QS_VISIT_STOP;
	if (visit->what == QS_VISIT_LEAVE || visit->depth == 0)
		return QS_VISIT_GO;
	again->path.len = again->prefix_len;
	rc = qs_buf_append(&again->path, "/", 1, &err);
	if (rc == QS_OK)
		rc = qs_buf_append(&again->path, visit->path,
			visit->path_len + 1, &err);
	if (rc != QS_OK) {
		restore_stop(again->restore, &err);
		return QS_VISIT_STOP;
	}
	path = (const char *)again->path.data;
	is_wanted = restore_selects(again->restore, path, &below);
	/* The same nodes are numbered as by the first walk. */
	if (visit->node->type == QS_NODE_FILE && is_wanted)
		restore_verify_file(again->restore, visit->node, path,
			again->prefix_len + 1);
	/* A folder that could not be made was skipped by the first walk. */
	if (visit->node->type == QS_NODE_DIR && (is_wanted || below))
		return restore_is_marked(again->restore,
			again->restore->number++) ? QS_VISIT_GO :
			QS_VISIT_SKIP;
	return QS_VISIT_SKIP;
}

static void
see_trouble(void *arg, const char *path, const struct qs_err *trouble)
{
	/* It was told when its files were restored. */
	(void)arg;
	(void)path;
	(void)trouble;
}

enum qs_code
restore_verify(struct restore *restore, const struct qs_content *root,
	const char *prefix, struct qs_err *err)
{
	struct again again = {.restore = restore,
		.prefix_len = strlen(prefix)};
	const struct qs_visitor visitor = {see, see_trouble, &again};
	enum qs_code rc = qs_buf_append(&again.path, prefix,
		again.prefix_len, err);

	if (rc == QS_OK)
		rc = qs_tree_walk(restore->source, root, &visitor, err);
	qs_buf_clear(&again.path);
	return rc;
}
