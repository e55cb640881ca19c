/* SPDX-License-Identifier: ISC */
/*
 * Asking for a secret on the terminal with the echo switched off; whatever
 * happens, the echo comes back.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <termios.h>
#include <unistd.h>

#include "cli/cli_internal.h"
#include "cli/prompt_internal.h"

/* For the signal handler; written before terminal_fd says that it is so. */
static struct termios saved;
static _Atomic int terminal_fd = -1;

void
qs_prompt_restore(void)
{
	int fd = atomic_exchange(&terminal_fd, -1);

	if (fd >= 0)
		(void)tcsetattr(fd, TCSAFLUSH, &saved);
}

bool
qs_cli_has_terminal(void)
{
	int fd = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);

	if (fd < 0)
		return false;
	qs_fd_close(&fd);
	return true;
}

static enum qs_code
read_line(int fd, struct qs_cli_secret *out, struct qs_err *err)
{
	bool too_long = false;
	uint8_t c = 0;

	out->len = 0;
	for (;;) {
		ssize_t n = read(fd, &c, 1);

		if (qs_cli_interrupted())
			return qs_fail(err, QS_ECANCELED, "interrupted");
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return qs_fail_errno(err, "read the terminal");
		if (n == 0 && out->len == 0)
			return qs_fail(err, QS_ECANCELED, "the terminal gave "
				"no answer");
		if (n == 0 || c == '\n' || c == '\r')
			break;
		if (out->len == QS_PASSPHRASE_MAX)
			too_long = true;
		else
			out->data[out->len++] = c;
	}
	qs_wipe(&c, 1);
	if (too_long)
		return qs_fail(err, QS_EINVAL, "the answer is longer than %d "
			"bytes", QS_PASSPHRASE_MAX);
	return QS_OK;
}

enum qs_code
qs_cli_prompt(const char *question, struct qs_cli_secret *out,
	struct qs_err *err)
{
	sigset_t stops, before;
	struct termios quiet;
	enum qs_code rc = QS_OK;
	int fd = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);

	if (fd < 0)
		return qs_fail(err, QS_EKEY, "%s: there is no terminal to ask "
			"on; give --password-file, --password-command or "
			"QSTORE_PASSWORD_FILE", question);
	/* Suspended in the middle, the shell would be left without echo. */
	(void)sigemptyset(&stops);
	(void)sigaddset(&stops, SIGTSTP);
	(void)pthread_sigmask(SIG_BLOCK, &stops, &before);
	if (tcgetattr(fd, &saved) < 0) {
		rc = qs_fail_errno(err, "terminal settings");
		goto out;
	}
	atomic_store(&terminal_fd, fd);
	quiet = saved;
	quiet.c_lflag &= ~(tcflag_t)(ECHO | ECHOE | ECHOK | ECHONL);
	quiet.c_lflag |= ICANON | ISIG;
	if (tcsetattr(fd, TCSAFLUSH, &quiet) < 0) {
		rc = qs_fail_errno(err, "switch off the echo");
		goto out;
	}
	(void)dprintf(fd, "%s: ", question);
	rc = read_line(fd, out, err);
	(void)dprintf(fd, "\n");
out:
	qs_prompt_restore();
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	qs_fd_close(&fd);
	return rc;
}
