/* SPDX-License-Identifier: ISC */
/*
 * How much may come in: a token bucket of which all connections of a folder
 * share one number, in a file that they map.
 *
 *   0  8  "QSTORER1"
 *   8  8  the time (ns of the system's monotonic clock) up to which what has
 *         come in is paid for: never later than now, and at most BURST earlier
 *
 * A number later than now is no state that this code leaves: the machine was
 * started anew since, or somebody wrote nonsense.  It counts as now.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hub/rate_internal.h"

#define SECOND INT64_C(1000000000)
#define BURST (10 * SECOND)
#define FILE_LEN 4096 /* a page, so that all of the mapping is file */

static const char magic[8] = "QSTORER1";

struct shared { /* the file */
	char magic[8];
	_Atomic int64_t paid_ns;
};

static_assert(sizeof(struct shared) == 16, "no padding");
static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "shared between processes");

struct qs_rate {
	struct shared *shared;
	uint64_t bytes_per_second;
	struct qs_rate_clock clock;
};

/* ------------------------------------------------------------------ clock */

static int64_t
system_now(void *arg)
{
	(void)arg;
	return qs_mono_ns();
}

static void
system_sleep(void *arg, int64_t ns)
{
	const struct timespec time = {ns / SECOND, ns % SECOND};

	(void)arg;
	/* A signal ends it early; who waits looks again. */
	(void)nanosleep(&time, NULL);
}

static const struct qs_rate_clock system_clock = {
	system_now, system_sleep, NULL,
};

/* ------------------------------------------------------------------- file */

static enum qs_code
map(int dir_fd, const char *path, struct shared **out, struct qs_err *err)
{
	enum qs_code rc = QS_OK;
	struct stat st;
	void *mapped;
	int fd;

	do {
		fd = openat(dir_fd, path, O_RDWR | O_CREAT | O_CLOEXEC |
			O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0600);
	} while (fd < 0 && errno == EINTR);
	if (fd < 0)
		return qs_fail_errno(err, "rate file %s", path);
	if (fstat(fd, &st) != 0) {
		rc = qs_fail_errno(err, "rate file %s", path);
		goto out;
	}
	if (!S_ISREG(st.st_mode)) {
		rc = qs_fail(err, QS_ECORRUPT,
			"rate file %s: not a regular file", path);
		goto out;
	}
	/* Longer only: somebody else may have it mapped. */
	if (st.st_size < FILE_LEN && ftruncate(fd, FILE_LEN) != 0) {
		rc = qs_fail_errno(err, "rate file %s", path);
		goto out;
	}
	mapped = mmap(NULL, FILE_LEN, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		0);
	if (mapped == MAP_FAILED) {
		rc = qs_fail_errno(err, "rate file %s", path);
		goto out;
	}
	*out = mapped;
out:
	qs_fd_close(&fd);
	return rc;
}

enum qs_code
qs_rate_open_clocked(int dir_fd, const char *path, uint64_t bytes_per_second,
	const struct qs_rate_clock *clock, struct qs_rate **out,
	struct qs_err *err)
{
	struct qs_rate *rate;
	enum qs_code rc;

	if (bytes_per_second == 0)
		return qs_fail(err, QS_EINVAL, "a rate of nothing");
	rate = calloc(1, sizeof(*rate));
	if (rate == NULL)
		return qs_fail_nomem(err, "preparing to keep a rate");
	rc = map(dir_fd, path, &rate->shared, err);
	if (rc != QS_OK) {
		free(rate);
		return rc;
	}
	/* Only says what the file is: any number in it will do. */
	memcpy(rate->shared->magic, magic, sizeof(magic));
	rate->bytes_per_second = bytes_per_second;
	rate->clock = *clock;
	*out = rate;
	return QS_OK;
}

enum qs_code
qs_rate_open(int dir_fd, const char *path, uint64_t bytes_per_second,
	struct qs_rate **out, struct qs_err *err)
{
	return qs_rate_open_clocked(dir_fd, path, bytes_per_second,
		&system_clock, out, err);
}

void
qs_rate_close(struct qs_rate *rate)
{
	if (rate == NULL)
		return;
	(void)munmap(rate->shared, FILE_LEN);
	free(rate);
}

/* ----------------------------------------------------------------- taking */

static int64_t
now_of(const struct qs_rate *rate)
{
	return rate->clock.now_ns(rate->clock.arg);
}

/* cost is at most a second, so that it is within the burst. */
static void
take_time(struct qs_rate *rate, int64_t cost)
{
	_Atomic int64_t *shared = &rate->shared->paid_ns;
	int64_t paid = atomic_load(shared);

	for (;;) {
		int64_t now = now_of(rate), after;

		/* Mended, or it would be later than now for ever. */
		if (paid > now) {
			if (atomic_compare_exchange_weak(shared, &paid, now))
				paid = now;
			continue;
		}
		after = (paid < now - BURST ? now - BURST : paid) + cost;
		if (after > now) {
			rate->clock.sleep_ns(rate->clock.arg, after - now);
			paid = atomic_load(shared);
		} else if (atomic_compare_exchange_weak(shared, &paid,
			after)) {
			return;
		}
	}
}

/*
 * In pieces of at most a second: nobody has to wait long enough for the others
 * to overtake him for ever, and no product overflows.
 */
void
qs_rate_take(struct qs_rate *rate, uint64_t bytes)
{
	if (rate == NULL)
		return;
	while (bytes > 0) {
		uint64_t piece = bytes < rate->bytes_per_second ? bytes :
			rate->bytes_per_second;
		double cost = (double)piece * (double)SECOND /
			(double)rate->bytes_per_second;

		take_time(rate, (int64_t)cost);
		bytes -= piece;
	}
}
