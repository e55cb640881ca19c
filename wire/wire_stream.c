/* SPDX-License-Identifier: ISC */
/*
 * A framed stream over two descriptors.  They are made non-blocking, and every
 * wait is a poll with a deadline, so that neither a silent peer nor one that
 * stops reading can hold us for ever.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/sendfile.h>
#include <sys/uio.h>
#include <unistd.h>

#include "wire/wire_internal.h"

#define BUFFER ((size_t)64 << 10)

#define PATIENCE_S 300

static _Atomic unsigned patience;

void
qs_wire_set_patience(unsigned seconds)
{
	atomic_store(&patience, seconds);
}

unsigned
qs_wire_patience(void)
{
	unsigned seconds = atomic_load(&patience);

	return seconds == 0 ? PATIENCE_S : seconds;
}

struct qs_wire {
	int in, out, wake[2];
	uint8_t *buffer;
	size_t at, end; /* what is in it: [at, end) */
};

static enum qs_code
make_nonblocking(int fd, struct qs_err *err)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0)
		return qs_fail_errno(err, "prepare the connection");
	return QS_OK;
}

enum qs_code
qs_wire_new(int in, int out, struct qs_wire **out_p, struct qs_err *err)
{
	struct qs_wire *wire = calloc(1, sizeof(*wire));
	enum qs_code rc;

	if (wire == NULL) {
		qs_fd_close(&in);
		if (out != in)
			qs_fd_close(&out);
		return qs_fail_nomem(err, "making a connection");
	}
	*wire = (struct qs_wire){.in = in, .out = out, .wake = {-1, -1}};
	wire->buffer = malloc(BUFFER);
	rc = wire->buffer == NULL ? qs_fail_nomem(err, "making a connection") :
		make_nonblocking(in, err);
	if (rc == QS_OK)
		rc = make_nonblocking(out, err);
	if (rc == QS_OK && pipe2(wire->wake, O_CLOEXEC | O_NONBLOCK) != 0)
		rc = qs_fail_errno(err, "make a pipe");
	if (rc != QS_OK) {
		qs_wire_free(wire);
		return rc;
	}
	*out_p = wire;
	return QS_OK;
}

void
qs_wire_free(struct qs_wire *wire)
{
	if (wire == NULL)
		return;
	if (wire->out != wire->in)
		qs_fd_close(&wire->out);
	qs_fd_close(&wire->in);
	qs_fd_close(&wire->wake[0]);
	qs_fd_close(&wire->wake[1]);
	free(wire->buffer);
	free(wire);
}

void
qs_wire_wake(struct qs_wire *wire)
{
	ssize_t ignored = write(wire->wake[1], "", 1);

	(void)ignored;
}

bool
qs_wire_is_ahead(const struct qs_wire *wire)
{
	return wire->at < wire->end;
}

int
qs_wire_in_fd(const struct qs_wire *wire)
{
	return wire->in;
}

/* ------------------------------------------------------------- waiting */

/* Monotonic ns; INT64_MAX: never. */
static int64_t
deadline_in(unsigned seconds)
{
	return seconds == 0 ? INT64_MAX :
		qs_mono_ns() + (int64_t)seconds * 1000000000;
}

static enum qs_code
await(const struct qs_wire *wire, int fd, short events, int64_t deadline,
	unsigned seconds, struct qs_err *err)
{
	for (;;) {
		struct pollfd fds[2] = {
			{.fd = fd, .events = events},
			{.fd = wire->wake[0], .events = POLLIN},
		};
		int wait = -1, ready;

		if (deadline != INT64_MAX) {
			int64_t left = (deadline - qs_mono_ns()) / 1000000;

			wait = left < 0 ? 0 : left > 60000 ? 60000 : (int)left;
		}
		ready = poll(fds, 2, wait);
		if (ready < 0 && errno != EINTR)
			return qs_fail_errno(err, "wait for the other end");
		if (ready > 0 && fds[1].revents != 0)
			return qs_fail(err, QS_ENET,
				"the connection was given up");
		if (ready > 0)
			return QS_OK;
		if (deadline != INT64_MAX && qs_mono_ns() >= deadline)
			return qs_fail(err, QS_ENET, "%s for %u seconds",
				events == POLLIN ? "has not answered" :
				"has not read what we send", seconds);
	}
}

/* ------------------------------------------------------------- reading */

static size_t
from_buffer(struct qs_wire *wire, uint8_t *out, size_t len)
{
	size_t n = wire->end - wire->at;

	if (n > len)
		n = len;
	memcpy(out, wire->buffer + wire->at, n);
	wire->at += n;
	return n;
}

enum qs_code
qs_wire_read(struct qs_wire *wire, void *out, size_t len, unsigned seconds,
	bool *end, struct qs_err *err)
{
	const int64_t deadline = deadline_in(seconds);
	uint8_t *at = out;
	size_t done = from_buffer(wire, at, len);

	if (end != NULL)
		*end = false;
	while (done < len) {
		/* Much is read where it is wanted, little by the buffer. */
		const bool is_direct = len - done >= BUFFER;
		ssize_t n = is_direct ? read(wire->in, at + done, len - done) :
			read(wire->in, wire->buffer, BUFFER);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
			enum qs_code rc = await(wire, wire->in, POLLIN,
				deadline, seconds, err);

			if (rc != QS_OK)
				return rc;
			continue;
		}
		if (n < 0 && errno == ECONNRESET) /* what we sent was unread */
			return qs_fail(err, QS_ENET, "the connection ended");
		if (n < 0) {
			(void)qs_fail_errno(err, "read from the other end");
			return err->code = QS_ENET;
		}
		if (n == 0 && done == 0 && end != NULL) {
			*end = true;
			return QS_OK;
		}
		if (n == 0)
			return qs_fail(err, QS_ENET, "the connection ended");
		if (is_direct) {
			done += (size_t)n;
		} else {
			wire->at = 0;
			wire->end = (size_t)n;
			done += from_buffer(wire, at + done, len - done);
		}
	}
	return QS_OK;
}

/* ------------------------------------------------------------- writing */

static enum qs_code
write_parts(struct qs_wire *wire, struct iovec *parts, int count,
	unsigned seconds, struct qs_err *err)
{
	const int64_t deadline = deadline_in(seconds);

	while (count > 0) {
		ssize_t n;

		if (parts[0].iov_len == 0) {
			parts++;
			count--;
			continue;
		}
		n = writev(wire->out, parts, count);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
			enum qs_code rc = await(wire, wire->out, POLLOUT,
				deadline, seconds, err);

			if (rc != QS_OK)
				return rc;
			continue;
		}
		if (n < 0 && (errno == EPIPE || errno == ECONNRESET))
			return qs_fail(err, QS_ENET, "the connection ended");
		if (n < 0) {
			(void)qs_fail_errno(err, "write to the other end");
			return err->code = QS_ENET;
		}
		for (size_t left = (size_t)n; left > 0;) {
			size_t part = parts[0].iov_len < left ?
				parts[0].iov_len : left;

			parts[0].iov_base = (uint8_t *)parts[0].iov_base + part;
			parts[0].iov_len -= part;
			left -= part;
			if (parts[0].iov_len == 0) {
				parts++;
				count--;
			}
		}
	}
	return QS_OK;
}

/* writev wants what it does not touch as if it could be written. */
static struct iovec
part(struct qs_span span)
{
	struct iovec out = {.iov_len = span.len};

	memcpy(&out.iov_base, &span.data, sizeof(out.iov_base));
	return out;
}

enum qs_code
qs_wire_write(struct qs_wire *wire, const struct qs_wire_head *head,
	struct qs_span bytes, unsigned seconds, struct qs_err *err)
{
	uint8_t encoded[QS_WIRE_HEAD];
	struct qs_wire_head full = *head;
	struct iovec parts[2];

	full.len = (uint32_t)bytes.len;
	qs_wire_head_encode(&full, encoded);
	parts[0] = part(qs_span(encoded, sizeof(encoded)));
	parts[1] = part(bytes);
	return write_parts(wire, parts, 2, seconds, err);
}

/* Where splice and sendfile can't: through a buffer. */
static enum qs_code
copy_file(struct qs_wire *wire, int fd, uint64_t offset, size_t len,
	unsigned seconds, struct qs_err *err)
{
	uint8_t *bytes = malloc(BUFFER);
	enum qs_code rc = QS_OK;

	if (bytes == NULL)
		return qs_fail_nomem(err, "sending a file");
	while (rc == QS_OK && len > 0) {
		size_t step = len < BUFFER ? len : BUFFER, got = 0;

		rc = qs_fd_pread(fd, bytes, step, offset, &got, err);
		if (rc == QS_OK && got < step)
			rc = qs_fail(err, QS_EIO, "a file became shorter while "
				"it was sent");
		if (rc == QS_OK)
			rc = qs_wire_write_raw(wire, qs_span(bytes, got),
				seconds, err);
		offset += got;
		len -= got;
	}
	free(bytes);
	return rc;
}

enum qs_code
qs_wire_write_file(struct qs_wire *wire, const struct qs_wire_head *head,
	int fd, uint64_t offset, unsigned seconds, struct qs_err *err)
{
	const int64_t deadline = deadline_in(seconds);
	uint8_t encoded[QS_WIRE_HEAD];
	size_t left = head->len;
	off_t at = (off_t)offset;
	enum qs_code rc;

	qs_wire_head_encode(head, encoded);
	rc = qs_wire_write_raw(wire, qs_span(encoded, sizeof(encoded)),
		seconds, err);
	while (rc == QS_OK && left > 0) {
		ssize_t n = sendfile(wire->out, fd, &at, left);

		if (n > 0)
			left -= (size_t)n;
		else if (n < 0 && errno == EINTR)
			continue;
		else if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			rc = await(wire, wire->out, POLLOUT, deadline,
				seconds, err);
		else if (n < 0 && (errno == EPIPE || errno == ECONNRESET))
			rc = qs_fail(err, QS_ENET, "the connection ended");
		else /* the end came early, or it can't do that at all */
			return copy_file(wire, fd, (uint64_t)at, left,
				seconds, err);
	}
	return rc;
}

enum qs_code
qs_wire_write_raw(struct qs_wire *wire, struct qs_span bytes, unsigned seconds,
	struct qs_err *err)
{
	struct iovec one = part(bytes);

	return write_parts(wire, &one, 1, seconds, err);
}
