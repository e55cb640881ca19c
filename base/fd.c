/* SPDX-License-Identifier: ISC */
/* Descriptors: whole reads and writes, whatever signals and pipes do. */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <unistd.h>

#include "base/base.h"

/* Some systems refuse more at once, and Linux transfers no more anyway. */
#define TRANSFER_MAX ((size_t)1 << 30)

void
qs_fd_close(int *fd)
{
	const int saved = errno;

	if (*fd < 0)
		return;
	/* Not repeated on EINTR: the descriptor is gone already. */
	(void)close(*fd);
	*fd = -1;
	errno = saved;
}

/*
 * After a failed transfer: may it be tried again?  A pipe or terminal that
 * another process made non-blocking is waited for.
 */
static bool
try_again(int fd, short events)
{
	struct pollfd pfd = {.fd = fd, .events = events};

	if (errno == EINTR)
		return true;
	if (errno != EAGAIN && errno != EWOULDBLOCK)
		return false;
	return poll(&pfd, 1, -1) >= 0 || errno == EINTR || errno == EAGAIN;
}

static size_t
at_most(size_t len)
{
	return len < TRANSFER_MAX ? len : TRANSFER_MAX;
}

static enum qs_code
check_range(const char *verb, uint64_t offset, size_t len, struct qs_err *err)
{
	if (len > INT64_MAX || offset > INT64_MAX - len)
		return qs_fail(err, QS_EINVAL,
			"%s %zu bytes at %" PRIu64
			": beyond what a file can hold", verb, len, offset);
	return QS_OK;
}

enum qs_code
qs_fd_read(int fd, void *data, size_t len, size_t *got, struct qs_err *err)
{
	uint8_t *p = (uint8_t *)data;
	size_t done = 0;

	while (done < len) {
		ssize_t n = read(fd, p + done, at_most(len - done));

		if (n == 0)
			break;
		if (n > 0)
			done += (size_t)n;
		else if (!try_again(fd, POLLIN))
			return qs_fail_errno(err, "read");
	}
	*got = done;
	return QS_OK;
}

enum qs_code
qs_fd_pread(int fd, void *data, size_t len, uint64_t offset, size_t *got,
	struct qs_err *err)
{
	uint8_t *p = (uint8_t *)data;
	size_t done = 0;
	enum qs_code rc = check_range("read", offset, len, err);

	if (rc != QS_OK)
		return rc;
	while (done < len) {
		ssize_t n = pread(fd, p + done, at_most(len - done),
			(off_t)(offset + done));

		if (n == 0)
			break;
		if (n > 0)
			done += (size_t)n;
		else if (!try_again(fd, POLLIN))
			return qs_fail_errno(err, "read at %" PRIu64,
				offset + done);
	}
	*got = done;
	return QS_OK;
}

enum qs_code
qs_fd_write(int fd, const void *data, size_t len, struct qs_err *err)
{
	const uint8_t *p = (const uint8_t *)data;
	size_t done = 0;

	while (done < len) {
		ssize_t n = write(fd, p + done, at_most(len - done));

		if (n > 0)
			done += (size_t)n;
		else if (n == 0)
			return qs_fail(err, QS_EIO,
				"write: the system took no bytes");
		else if (!try_again(fd, POLLOUT))
			return qs_fail_errno(err, "write");
	}
	return QS_OK;
}

enum qs_code
qs_fd_pwrite(int fd, const void *data, size_t len, uint64_t offset,
	struct qs_err *err)
{
	const uint8_t *p = (const uint8_t *)data;
	size_t done = 0;
	enum qs_code rc = check_range("write", offset, len, err);

	if (rc != QS_OK)
		return rc;
	while (done < len) {
		ssize_t n = pwrite(fd, p + done, at_most(len - done),
			(off_t)(offset + done));

		if (n > 0)
			done += (size_t)n;
		else if (n == 0)
			return qs_fail(err, QS_EIO,
				"write at %" PRIu64
				": the system took no bytes", offset + done);
		else if (!try_again(fd, POLLOUT))
			return qs_fail_errno(err, "write at %" PRIu64,
				offset + done);
	}
	return QS_OK;
}

enum qs_code
qs_fd_sync(int fd, struct qs_err *err)
{
	/*
	 * Repeated on EINTR only: after EIO the kernel has dropped the dirty
	 * pages, and a second fsync would call them safe.
	 */
	while (fsync(fd) != 0) {
		if (errno == EINTR)
			continue;
		if (errno == EINVAL || errno == ENOTSUP)
			return QS_OK;
		return qs_fail_errno(err, "fsync");
	}
	return QS_OK;
}
