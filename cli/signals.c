/* SPDX-License-Identifier: ISC */
/*
 * Signals: the first SIGINT, SIGTERM or SIGHUP asks the workers to stop, the
 * second one ends the program at once; SIGUSR1 asks for a line of status.
 */
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

#include "cli/cli_internal.h"
#include "cli/prompt_internal.h"

/* Written by the handlers, hence atomics outside of any struct. */
static struct qs_progress progress;
static _Atomic bool is_interrupted, is_status_wanted;

_Static_assert(ATOMIC_BOOL_LOCK_FREE == 2, "handlers may set a flag");

static void
on_stop(int number)
{
	(void)number;
	if (atomic_load(&is_interrupted)) {
		qs_prompt_restore();
		_exit(130);
	}
	atomic_store(&is_interrupted, true);
	atomic_store(&progress.cancel, true);
}

static void
on_status(int number)
{
	(void)number;
	atomic_store(&is_status_wanted, true);
}

void
qs_cli_signals(void)
{
	struct sigaction action = {.sa_handler = on_stop};

	(void)sigemptyset(&action.sa_mask);
	/* No SA_RESTART: a read from the terminal has to end. */
	(void)sigaction(SIGINT, &action, NULL);
	(void)sigaction(SIGTERM, &action, NULL);
	(void)sigaction(SIGHUP, &action, NULL);
	action.sa_handler = on_status;
	action.sa_flags = SA_RESTART;
	(void)sigaction(SIGUSR1, &action, NULL);
	action.sa_handler = SIG_IGN;
	action.sa_flags = 0;
	(void)sigaction(SIGPIPE, &action, NULL);
	/* A parent may have left it ignored; waiting for a child would fail. */
	action.sa_handler = SIG_DFL;
	(void)sigaction(SIGCHLD, &action, NULL);
}

struct qs_progress *
qs_cli_progress(void)
{
	return &progress;
}

bool
qs_cli_interrupted(void)
{
	return atomic_load(&is_interrupted);
}

bool
qs_cli_status_wanted(void)
{
	return atomic_exchange(&is_status_wanted, false);
}
