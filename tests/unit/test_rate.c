/* SPDX-License-Identifier: ISC */
/* Unit tests of hub/: the rate, by a clock that only goes when told to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "hub/rate_internal.h"
#include "tests/suite/store_help.h"

#define SECOND INT64_C(1000000000)
#define RATE 1000 /* bytes a second */

struct fixture {
	char *dir;
	int fd;
	int64_t now, slept; /* ns */
	unsigned sleeps;
	struct qs_rate_clock clock;
};

static int64_t
now_ns(void *arg)
{
	const struct fixture *f = arg;

	return f->now;
}

static void
sleep_ns(void *arg, int64_t ns)
{
	struct fixture *f = arg;

	assert_true(ns > 0);
	assert_true(ns <= SECOND); /* never asked to wait for longer */
	f->now += ns;
	f->slept += ns;
	f->sleeps++;
}

static int
begin(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct qs_err err;

	assert_non_null(f);
	f->dir = help_dir_make();
	help_ok(qs_dir_open(AT_FDCWD, f->dir, &f->fd, &err), &err);
	f->now = 1000 * SECOND;
	f->clock = (struct qs_rate_clock){now_ns, sleep_ns, f};
	*state = f;
	return 0;
}

static int
end(void **state)
{
	struct fixture *f = *state;

	qs_fd_close(&f->fd);
	help_dir_remove(f->dir);
	free(f);
	return 0;
}

static struct qs_rate *
open_rate(struct fixture *f, uint64_t bytes_per_second)
{
	struct qs_rate *rate = NULL;
	struct qs_err err;

	help_ok(qs_rate_open_clocked(f->fd, "rate", bytes_per_second,
		&f->clock, &rate, &err), &err);
	return rate;
}

/* What is in the file as its number. */
static void
plant(const struct fixture *f, int64_t number)
{
	int fd = openat(f->fd, "rate", O_WRONLY | O_CREAT, 0600);

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, &number, 8, 8), 8);
	assert_int_equal(close(fd), 0);
}

static void
a_burst_is_free_and_then_it_takes_its_time(void **state)
{
	struct fixture *f = *state;
	struct qs_rate *rate = open_rate(f, RATE);

	qs_rate_take(rate, 10 * RATE);
	assert_int_equal(f->slept, 0);
	qs_rate_take(rate, RATE / 2);
	assert_int_equal(f->slept, SECOND / 2);
	qs_rate_take(rate, 20 * RATE);
	assert_int_equal(f->slept, 20 * SECOND + SECOND / 2);
	f->now += 3 * SECOND;
	f->slept = 0;
	qs_rate_take(rate, 3 * RATE);
	assert_int_equal(f->slept, 0);
	qs_rate_take(rate, 1);
	assert_int_equal(f->slept, SECOND / RATE);
	/* However long nothing came, a burst is a burst. */
	f->now += 1000 * SECOND;
	f->slept = 0;
	qs_rate_take(rate, 11 * RATE);
	assert_int_equal(f->slept, SECOND);
	qs_rate_close(rate);
}

static void
connections_share_it(void **state)
{
	struct fixture *f = *state;
	struct qs_rate *one = open_rate(f, RATE), *other = open_rate(f, RATE);

	qs_rate_take(one, 6 * RATE);
	qs_rate_take(other, 4 * RATE);
	assert_int_equal(f->slept, 0);
	qs_rate_take(one, RATE);
	qs_rate_take(other, RATE);
	assert_int_equal(f->slept, 2 * SECOND);
	qs_rate_close(one);
	/* And one that comes later. */
	one = open_rate(f, RATE);
	qs_rate_take(one, RATE);
	assert_int_equal(f->slept, 3 * SECOND);
	qs_rate_close(one);
	qs_rate_close(other);
}

static void
a_clock_that_went_back_stops_nobody(void **state)
{
	struct fixture *f = *state;
	struct qs_rate *rate = open_rate(f, RATE);

	qs_rate_take(rate, 10 * RATE);
	f->now = 7 * SECOND; /* started anew */
	qs_rate_take(rate, RATE);
	assert_int_equal(f->slept, SECOND);
	f->now = 0;
	f->slept = 0;
	qs_rate_take(rate, RATE);
	assert_int_equal(f->slept, SECOND);
	qs_rate_close(rate);
}

static void
any_number_in_the_file_will_do(void **state)
{
	static const int64_t numbers[] = {0, 1, -1, INT64_MAX, INT64_MIN,
		INT64_MAX - 1, INT64_MIN + 1, 999 * SECOND, 1001 * SECOND};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		struct qs_rate *rate;

		plant(f, numbers[i]);
		rate = open_rate(f, RATE);
		f->now = 1000 * SECOND;
		f->slept = 0;
		qs_rate_take(rate, 12 * RATE);
		/* Between a whole burst in hand and none. */
		assert_true(f->slept >= 2 * SECOND);
		assert_true(f->slept <= 12 * SECOND);
		f->slept = 0;
		qs_rate_take(rate, RATE);
		assert_int_equal(f->slept, SECOND);
		qs_rate_close(rate);
	}
}

static void
extreme_rates_and_amounts_are_taken(void **state)
{
	struct fixture *f = *state;
	struct qs_rate *rate = open_rate(f, INT64_MAX);

	qs_rate_take(rate, UINT64_MAX);
	assert_int_equal(f->slept, 0);
	qs_rate_close(rate);
	rate = open_rate(f, 1);
	qs_rate_take(rate, 100);
	assert_true(f->slept >= 90 * SECOND);
	qs_rate_take(rate, 0);
	qs_rate_close(rate);
	qs_rate_take(NULL, UINT64_MAX);
	qs_rate_close(NULL);
}

static void
what_is_no_file_is_refused(void **state)
{
	struct fixture *f = *state;
	struct qs_rate *rate = NULL;
	struct qs_err err;

	assert_int_equal(mkfifoat(f->fd, "pipe", 0600), 0);
	help_fails(qs_rate_open(f->fd, "pipe", RATE, &rate, &err), &err,
		QS_ECORRUPT, "not a regular file");
	assert_int_equal(symlinkat("/etc/passwd", f->fd, "link"), 0);
	assert_int_not_equal(qs_rate_open(f->fd, "link", RATE, &rate, &err),
		QS_OK);
	help_fails(qs_rate_open(f->fd, "no/rate", RATE, &rate, &err), &err,
		QS_ENOTFOUND, "rate file");
	help_fails(qs_rate_open(f->fd, "rate", 0, &rate, &err), &err,
		QS_EINVAL, "nothing");
	assert_null(rate);
}

/* By the system's clock: that four processes end, and have taken no more. */
static void
processes_that_take_at_once_all_end(void **state)
{
	struct fixture *f = *state;
	struct qs_rate *rate = NULL;
	struct qs_err err;
	pid_t children[4];

	for (size_t i = 0; i < 4; i++) {
		children[i] = fork();
		assert_true(children[i] >= 0);
		if (children[i] != 0)
			continue;
		if (qs_rate_open(f->fd, "rate", 1000000, &rate, &err) != QS_OK)
			_exit(1);
		for (int n = 0; n < 1000; n++)
			qs_rate_take(rate, 2520);
		qs_rate_close(rate);
		_exit(0);
	}
	for (size_t i = 0; i < 4; i++) {
		int status = -1;

		assert_int_equal(waitpid(children[i], &status, 0),
			children[i]);
		assert_int_equal(status, 0);
	}
}

#define RATE_TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		RATE_TEST(a_burst_is_free_and_then_it_takes_its_time),
		RATE_TEST(connections_share_it),
		RATE_TEST(a_clock_that_went_back_stops_nobody),
		RATE_TEST(any_number_in_the_file_will_do),
		RATE_TEST(extreme_rates_and_amounts_are_taken),
		RATE_TEST(what_is_no_file_is_refused),
		RATE_TEST(processes_that_take_at_once_all_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
