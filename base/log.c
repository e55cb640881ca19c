/* SPDX-License-Identifier: ISC */
/* The log for debugging: off unless QSTORE_DEBUG=1 or somebody enables it. */
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/base.h"

#define LINE_SIZE 1024

enum state {
	STATE_UNKNOWN, /* the environment was not looked at yet */
	STATE_OFF,
	STATE_ON,
};

static _Atomic int state = STATE_UNKNOWN;

static bool
is_on(void)
{
	int now = atomic_load_explicit(&state, memory_order_relaxed);
	const char *word;
	int expected = STATE_UNKNOWN;

	if (now != STATE_UNKNOWN)
		return now == STATE_ON;
	word = getenv("QSTORE_DEBUG");
	now = word != NULL && strcmp(word, "1") == 0 ? STATE_ON : STATE_OFF;
	/* Who calls qs_log_enable meanwhile wins. */
	if (!atomic_compare_exchange_strong(&state, &expected, now))
		now = expected;
	return now == STATE_ON;
}

void
qs_log_enable(bool on)
{
	atomic_store_explicit(&state, on ? STATE_ON : STATE_OFF,
		memory_order_relaxed);
}

void
qs_log(const char *fmt, ...)
{
	const int saved = errno;
	char line[LINE_SIZE];
	int64_t ms;
	size_t len;
	va_list args;
	struct qs_err ignored;
	int n;

	if (!is_on())
		return;
	ms = qs_mono_ns() / 1000000;
	n = snprintf(line, sizeof(line), "qstore[%ld.%ld] %lld.%03d: ",
		(long)getpid(), (long)gettid(), (long long)(ms / 1000),
		(int)(ms % 1000));
	len = n > 0 ? (size_t)n : 0;
	va_start(args, fmt);
	n = vsnprintf(line + len, sizeof(line) - len, fmt, args);
	va_end(args);
	if (n > 0)
		len += (size_t)n;
	if (len > sizeof(line) - 2) /* cut short, for the end of the line */
		len = sizeof(line) - 2;
	line[len++] = '\n';
	/* One write: lines of several threads don't mix, and no lock. */
	if (qs_fd_write(STDERR_FILENO, line, len, &ignored) != QS_OK)
		qs_log_enable(false); /* nobody can be told */
	errno = saved;
}
