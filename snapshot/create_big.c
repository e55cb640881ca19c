/* SPDX-License-Identifier: ISC */
/*
 * Big and sparse files, and standard input: read in order and cut, two
 * megabytes at a time, as pieces that the workers hash and compress while the
 * next are being read.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "snapshot/create_plan_internal.h"

struct big {
	struct plan *plan;
	int fd;
	uint64_t size;  /* bytes of the file so far, holes included */
	size_t pending; /* uncut bytes at the end of the job's data */
	uint8_t domain;
	bool is_stream; /* may be silent for long: ask whether to stop */
	bool bad_read;  /* the failure is the file's own */
};

/* Count the chunk in with the newest piece, or begin a piece. */
static enum qs_code
add_chunk(struct big *big, size_t off, size_t len, struct qs_err *err)
{
	struct job *job = big->plan->job;
	struct event *event = job->event_count > 0 ?
		&job->events[job->event_count - 1] : NULL;
	struct job_chunk *chunk = job_add_chunk(job);

	if (chunk == NULL)
		return qs_fail_nomem(err, "cutting a file");
	*chunk = (struct job_chunk){.off = (uint32_t)off,
		.len = (uint32_t)len, .domain = big->domain};
	if (event != NULL && event->kind == EVENT_PIECE && event->hole == 0) {
		event->chunk_count++;
		return QS_OK;
	}
	event = &job->events[job->event_count++]; /* room: see make_room */
	*event = (struct event){.kind = EVENT_PIECE,
		.chunk_first = (uint32_t)(job->chunk_count - 1),
		.chunk_count = 1};
	return QS_OK;
}

/* A fresh job, into which the uncut bytes move. */
static enum qs_code
next_job(struct big *big, struct qs_err *err)
{
	struct job *old = big->plan->job;
	uint8_t *keep = NULL;
	enum qs_code rc;

	if (big->pending > 0) {
		keep = malloc(big->pending);
		if (keep == NULL)
			return qs_fail_nomem(err, "cutting a file");
		memcpy(keep, old->data + old->data_used - big->pending,
			big->pending);
		old->data_used -= big->pending;
	}
	rc = plan_send(big->plan, err);
	if (rc == QS_OK && big->pending > 0) {
		memcpy(big->plan->job->data, keep, big->pending);
		big->plan->job->data_used = big->pending;
	}
	free(keep);
	return rc;
}

static enum qs_code
make_room(struct big *big, struct qs_err *err)
{
	struct job *job = big->plan->job;

	if (job != NULL && job->event_count + 2 < CREATE_EVENTS &&
		job->data_used < CREATE_ARENA)
		return QS_OK;
	return next_job(big, err);
}

/* Cut what can be cut of the pending bytes. */
static enum qs_code
cut(struct big *big, bool is_last, struct qs_err *err)
{
	struct job *job = big->plan->job;
	enum qs_code rc = QS_OK;

	while (big->pending > 0 && rc == QS_OK) {
		size_t at = job->data_used - big->pending;
		size_t len = qs_chunker_next(&big->plan->create->chunker,
			job->data + at, big->pending, is_last);

		if (len == 0)
			break;
		rc = add_chunk(big, at, len, err);
		big->pending -= len;
	}
	return rc;
}

/* What there is of a stream, once there is something. */
static enum qs_code
read_stream(struct big *big, uint8_t *out, size_t want, size_t *got,
	struct qs_err *err)
{
	struct pollfd wait = {.fd = big->fd, .events = POLLIN};
	ssize_t n;

	for (;;) {
		int ready = poll(&wait, 1, 200);

		if (create_stopped(big->plan->create))
			return qs_fail(err, QS_ECANCELED, "interrupted");
		if (ready < 0 && errno != EINTR)
			return qs_fail_errno(err, "waiting for input");
		if (ready <= 0)
			continue;
		n = read(big->fd, out, want);
		if (n >= 0) {
			*got = (size_t)n;
			return QS_OK;
		}
		if (errno != EINTR && errno != EAGAIN)
			return qs_fail_errno(err, "read");
	}
}

/* The bytes from where fd stands up to (not including) end. */
static enum qs_code
read_extent(struct big *big, uint64_t end, bool *eof, struct qs_err *err)
{
	enum qs_code rc;

	*eof = false;
	while (!*eof && big->size < end) {
		struct job *job;
		size_t want, got = 0;

		if ((rc = make_room(big, err)) != QS_OK)
			return rc;
		job = big->plan->job;
		want = CREATE_ARENA - job->data_used;
		if (want > end - big->size)
			want = (size_t)(end - big->size);
		rc = big->is_stream ? read_stream(big, job->data +
			job->data_used, want, &got, err) : qs_fd_read(big->fd,
			job->data + job->data_used, want, &got, err);
		big->bad_read = rc != QS_OK;
		if (rc != QS_OK)
			return rc;
		*eof = big->is_stream ? got == 0 : got < want;
		job->data_used += got;
		big->pending += got;
		big->size += got;
		/* Too few bytes left to tell: then it is the next job's. */
		if ((rc = cut(big, *eof || big->size == end, err)) != QS_OK)
			return rc;
		if (create_stopped(big->plan->create))
			return qs_fail(err, QS_ECANCELED, "interrupted");
	}
	return QS_OK;
}

static enum qs_code
add_hole(struct big *big, uint64_t len, struct qs_err *err)
{
	struct event *event;
	enum qs_code rc = make_room(big, err);

	if (rc != QS_OK || (rc = plan_event(big->plan, EVENT_PIECE, &event,
		err)) != QS_OK)
		return rc;
	event->hole = len;
	big->size += len;
	return QS_OK;
}

/* Extents of data and holes as the file system tells them. */
static enum qs_code
read_sparse(struct big *big, uint64_t size, struct qs_err *err)
{
	bool eof = false;
	enum qs_code rc = QS_OK;

	while (rc == QS_OK && big->size < size && !eof) {
		off_t data = lseek(big->fd, (off_t)big->size, SEEK_DATA), hole;
		uint64_t end = size;

		if (data < 0 && errno == ENXIO)
			return add_hole(big, size - big->size, err);
		if (data < 0 || (uint64_t)data < big->size) /* can't tell */
			return read_extent(big, size, &eof, err);
		if ((uint64_t)data > size)
			data = (off_t)size;
		if ((uint64_t)data > big->size && (rc = add_hole(big,
			(uint64_t)data - big->size, err)) != QS_OK)
			return rc;
		hole = lseek(big->fd, data, SEEK_HOLE);
		if (hole > data && (uint64_t)hole < size)
			end = (uint64_t)hole;
		if (lseek(big->fd, data, SEEK_SET) < 0)
			return qs_fail_errno(err, "seeking");
		rc = read_extent(big, end, &eof, err);
	}
	return rc;
}

static int
open_file(int folder_fd, const char *name)
{
	int flags = O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
	int fd = openat(folder_fd, name, flags | O_NOATIME);

	return fd < 0 && errno == EPERM ? openat(folder_fd, name, flags) : fd;
}

/* The FILE event that ends the pieces. template borrows from old's arena. */
static enum qs_code
end_file(struct big *big, const struct event *template,
	const struct qs_buf *kept, struct qs_err *trouble, bool failed,
	struct qs_err *err)
{
	struct plan *plan = big->plan;
	struct event *event;
	size_t used;
	enum qs_code rc = plan_event(plan, EVENT_FILE, &event, err);
	uint8_t *copy;

	if (rc != QS_OK)
		return rc;
	copy = arena_copy(&plan->job->arena, kept->data, kept->len);
	if (copy == NULL)
		return qs_fail_nomem(err, "planning");
	*event = *template;
	event->kind = EVENT_FILE;
	/* kept: the node's entry (without content), then the prior entry. */
	rc = qs_node_decode(qs_span(copy, kept->len), &event->node, &used,
		err);
	if (rc != QS_OK)
		return rc;
	event->prior.data = copy + used;
	event->node.size = big->size;
	if (trouble != NULL)
		return plan_trouble(plan->job, event, failed, trouble, err);
	return QS_OK;
}

static enum qs_code
keep_event(struct event *event, struct qs_buf *kept, struct qs_err *err)
{
	enum qs_code rc;

	event->node.content = (struct qs_content){0};
	event->node.size = 0;
	rc = qs_node_encode(&event->node, kept, err);
	if (rc == QS_OK)
		rc = qs_buf_append(kept, event->prior.data, event->prior.len,
			err);
	return rc;
}

enum qs_code
plan_big(struct plan *plan, struct event *event, int folder_fd,
	const char *name, struct qs_err *err)
{
	struct big big = {.plan = plan, .fd = -1,
		.domain = create_level_domain(plan)};
	struct event template;
	struct qs_buf kept = {0};
	struct qs_err trouble;
	struct facts after;
	struct stat st;
	bool bad = false, failed = false;
	enum qs_code rc;

	big.fd = open_file(folder_fd, name);
	if (big.fd < 0) {
		qs_fail_errno(&trouble, "cannot be read, not saved");
		return plan_trouble(plan->job, event, true, &trouble, err);
	}
	if (meta_xattrs(&plan->job->arena, big.fd, -1, name, &event->node,
		&trouble) != QS_OK)
		bad = true;
	if (fstat(big.fd, &st) != 0 || !S_ISREG(st.st_mode)) {
		qs_fail(&trouble, QS_EIO, "is not a file any more, not saved");
		rc = plan_trouble(plan->job, event, true, &trouble, err);
		goto out;
	}
	if ((rc = keep_event(event, &kept, err)) != QS_OK)
		goto out;
	template = *event;
	plan->job->event_count--; /* it comes after the pieces */
	if (plan->job->data_used > 0 && (rc = plan_send(plan, err)) != QS_OK)
		goto out;
	rc = read_sparse(&big, (uint64_t)st.st_size, err);
	if (rc != QS_OK && big.bad_read) { /* save no half of it */
		trouble = *err;
		qs_fail_while(&trouble, "cannot be read to its end, not saved");
		bad = failed = true;
		big.pending = 0;
		rc = QS_OK;
	}
	if (rc != QS_OK)
		goto out;
	if (fstat(big.fd, &st) == 0) {
		facts_from_stat(&after, &st);
		template.racy = meta_racy(&after);
		if (!failed && (after.size != big.size || after.mtime_ns !=
			template.facts.mtime_ns)) {
			qs_fail(&trouble, QS_EIO, "changed while being read; "
				"it may be saved half old, half new");
			bad = template.racy = true;
		}
	}
	rc = end_file(&big, &template, &kept, bad ? &trouble : NULL, failed,
		err);
out:
	qs_buf_clear(&kept);
	qs_fd_close(&big.fd);
	return rc;
}

static enum qs_code
made_up_event(struct plan *plan, enum event_kind kind, const char *name,
	uint32_t mode, struct event **out, struct qs_err *err)
{
	size_t len = strlen(name);
	void *copy;
	enum qs_code rc = plan_event(plan, kind, out, err);

	if (rc != QS_OK)
		return rc;
	copy = arena_copy(&plan->job->arena, name, len + 1);
	if (copy == NULL)
		return qs_fail_nomem(err, "planning");
	(*out)->facts = (struct facts){.mode = mode, .uid = geteuid(),
		.gid = getegid(), .links = 1, .mtime_ns = qs_now_ns()};
	meta_from_facts(&(*out)->node, &(*out)->facts, plan->create->owners);
	(*out)->node.name = qs_span(copy, len);
	(*out)->racy = true;
	return QS_OK;
}

enum qs_code
plan_stdin(struct plan *plan, struct qs_err *err)
{
	const struct qs_create_options *o = plan->create->options;
	struct big big = {.plan = plan, .fd = o->stdin_fd,
		.is_stream = true};
	struct event *event;
	bool eof;
	enum qs_code rc;

	if ((rc = made_up_event(plan, EVENT_ENTER, "", S_IFDIR | 0755, &event,
		err)) != QS_OK)
		return rc;
	rc = read_extent(&big, UINT64_MAX, &eof, err);
	if (rc != QS_OK)
		return qs_fail_while(err, "reading standard input");
	if ((rc = made_up_event(plan, EVENT_FILE, o->stdin_name,
		S_IFREG | 0644, &event, err)) != QS_OK)
		return rc;
	event->node.size = big.size;
	return plan_event(plan, EVENT_LEAVE, &event, err);
}
