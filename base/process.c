/* SPDX-License-Identifier: ISC */
/* Child processes: what a command prints, straight into the caller's bytes. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/base.h"

#define DISCARD_MAX (1u << 20) /* bytes that a command may print in vain */

/*
 * No message here holds the command's text: people write `echo PASSPHRASE`.
 * The caller says which option or variable it came from.
 */

/* The three below give 0 or an errno, as posix_spawn does. */
static int
spawn_with(const posix_spawn_file_actions_t *actions, posix_spawnattr_t *attr,
	const char *command, pid_t *pid)
{
	char sh[] = "sh", flag[] = "-c";
	char *copy = strdup(command); /* posix_spawn has no const */
	char *const argv[] = {sh, flag, copy, NULL};
	int sys;

	if (copy == NULL)
		return ENOMEM;
	sys = posix_spawn(pid, "/bin/sh", actions, attr, argv, environ);
	free(copy);
	return sys;
}

static int
spawn_to(const posix_spawn_file_actions_t *actions, const char *command,
	pid_t *pid)
{
	posix_spawnattr_t attr;
	sigset_t none, to_default;
	int sys = posix_spawnattr_init(&attr);

	if (sys != 0)
		return sys;
	/*
	 * A worker's blocked signals and a SIGPIPE that we ignore are ours,
	 * not the command's.
	 */
	(void)sigemptyset(&none);
	(void)sigemptyset(&to_default);
	(void)sigaddset(&to_default, SIGPIPE);
	sys = posix_spawnattr_setsigmask(&attr, &none);
	if (sys == 0)
		sys = posix_spawnattr_setsigdefault(&attr, &to_default);
	if (sys == 0)
		sys = posix_spawnattr_setflags(&attr,
			POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	if (sys == 0)
		sys = spawn_with(actions, &attr, command, pid);
	(void)posix_spawnattr_destroy(&attr);
	return sys;
}

static int
spawn(const char *command, int out_fd, pid_t *pid)
{
	posix_spawn_file_actions_t actions;
	int sys = posix_spawn_file_actions_init(&actions);

	if (sys != 0)
		return sys;
	/* Every descriptor of ours closes on exec; this copy of one doesn't. */
	sys = posix_spawn_file_actions_adddup2(&actions, out_fd,
		STDOUT_FILENO);
	if (sys == 0)
		sys = spawn_to(&actions, command, pid);
	(void)posix_spawn_file_actions_destroy(&actions);
	return sys;
}

/*
 * A command that is not read to its end dies of SIGPIPE, or hangs; one that
 * never ends must not keep us for ever.
 */
static enum qs_code
discard_rest(int fd, size_t *out, struct qs_err *err)
{
	uint8_t rest[4096];
	size_t n = sizeof(rest), total = 0;
	enum qs_code rc = QS_OK;

	while (rc == QS_OK && n == sizeof(rest) && total <= DISCARD_MAX) {
		rc = qs_fd_read(fd, rest, sizeof(rest), &n, err);
		total += n;
	}
	explicit_bzero(rest, sizeof(rest)); /* a passphrase may be in it */
	*out = total;
	return rc;
}

static enum qs_code
read_all(int fd, uint8_t *out, size_t max, size_t *got, struct qs_err *err)
{
	size_t n = 0, beyond = 0;
	enum qs_code rc = qs_fd_read(fd, out, max, &n, err);

	if (rc == QS_OK && n == max)
		rc = discard_rest(fd, &beyond, err);
	if (rc != QS_OK)
		return qs_fail_while(err, "output of the command");
	if (beyond > DISCARD_MAX)
		return qs_fail(err, QS_EINVAL,
			"the command printed more than %u bytes", DISCARD_MAX);
	*got = n;
	return QS_OK;
}

static enum qs_code
reap(pid_t pid, int *status, struct qs_err *err)
{
	while (waitpid(pid, status, 0) < 0)
		if (errno != EINTR)
			return qs_fail_errno(err, "wait for the command");
	return QS_OK;
}

static enum qs_code
judge(int status, struct qs_err *err)
{
	const char *name;

	if (WIFSIGNALED(status)) {
		name = sigabbrev_np(WTERMSIG(status));
		return qs_fail(err, QS_EINVAL,
			"the command was killed by signal %d (%s%s)",
			WTERMSIG(status), name != NULL ? "SIG" : "unknown",
			name != NULL ? name : "");
	}
	switch (WEXITSTATUS(status)) {
	case 0:
		return QS_OK;
	case 126:
		return qs_fail(err, QS_EINVAL, "the command exited with "
			"status 126 (it can't be executed)");
	case 127:
		return qs_fail(err, QS_EINVAL, "the command exited with "
			"status 127 (it was not found)");
	default:
		return qs_fail(err, QS_EINVAL,
			"the command exited with status %d",
			WEXITSTATUS(status));
	}
}

enum qs_code
qs_process_read(const char *command, uint8_t *out, size_t max, size_t *got,
	struct qs_err *err)
{
	int fds[2], status = 0, sys;
	pid_t pid = -1;
	size_t n = 0;
	enum qs_code rc;
	struct qs_err reaping;

	if (pipe2(fds, O_CLOEXEC) != 0)
		return qs_fail_errno(err, "pipe for a command");
	sys = spawn(command, fds[1], &pid);
	qs_fd_close(&fds[1]); /* or the end of its output is never seen */
	if (sys != 0) {
		qs_fd_close(&fds[0]);
		errno = sys;
		(void)qs_fail_errno(err, "start /bin/sh for a command");
		if (sys == EAGAIN) /* no more processes, not a lock */
			err->code = QS_ENOMEM;
		return err->code;
	}
	rc = read_all(fds[0], out, max, &n, err);
	qs_fd_close(&fds[0]);
	/*
	 * A command that we no longer listen to could run for ever, and then
	 * so would waitpid.
	 */
	if (rc != QS_OK)
		(void)kill(pid, SIGKILL);
	/* Reaped in any case; the first failure is the one to report. */
	if (reap(pid, &status, rc == QS_OK ? err : &reaping) != QS_OK) {
		if (rc == QS_OK)
			rc = err->code;
	} else if (rc == QS_OK) {
		rc = judge(status, err);
	}
	if (rc != QS_OK) {
		if (max > 0)
			explicit_bzero(out, max);
		return rc;
	}
	*got = n;
	return QS_OK;
}
