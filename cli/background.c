/* SPDX-License-Identifier: ISC */
/*
 * A command that goes on in the background.  It forks first, before there are
 * threads, keys or an open index; the process that stays in front waits until
 * the other one says that it is ready, or ends as that one did; an interruption
 * is passed on.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <syslog.h>
#include <unistd.h>

#include "cli/cli_internal.h"

/* Locked memory is not locked in a child: what is in it moves. */
static enum qs_code
relock(struct qs_cli_secret *secret, struct qs_err *err)
{
	struct qs_cli_secret fresh;
	enum qs_code rc;

	if (secret->data == NULL)
		return QS_OK;
	rc = qs_cli_secret_new(&fresh, err);
	if (rc != QS_OK)
		return rc;
	memcpy(fresh.data, secret->data, secret->len);
	fresh.len = secret->len;
	qs_cli_secret_clear(secret);
	*secret = fresh;
	return QS_OK;
}

/* Who interrupts the one in front means the one that works. */
static void
pass_on(pid_t child, bool *is_passed_on)
{
	if (!qs_cli_interrupted() || *is_passed_on)
		return;
	*is_passed_on = true;
	(void)kill(child, SIGTERM);
}

static _Noreturn void
wait_for(pid_t child, int fd)
{
	static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
	struct pollfd end = {.fd = fd, .events = POLLIN};
	sigset_t blocked, old;
	bool is_passed_on = false;
	char byte;
	int status = 0;
	ssize_t n;

	/* Open to signals only while it waits: none comes in between. */
	(void)sigemptyset(&blocked);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		(void)sigaddset(&blocked, numbers[i]);
	(void)sigprocmask(SIG_BLOCK, &blocked, &old);
	do
		pass_on(child, &is_passed_on);
	while (ppoll(&end, 1, NULL, &old) < 0 && errno == EINTR);
	do
		n = read(fd, &byte, 1);
	while (n < 0 && errno == EINTR);
	(void)sigprocmask(SIG_SETMASK, &old, NULL);
	pass_on(child, &is_passed_on);
	if (n == 1 && !is_passed_on)
		_exit(0);
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	/* Ready at the same moment: it was unmounted, which is no failure. */
	if (is_passed_on && WIFEXITED(status) && WEXITSTATUS(status) == 0)
		_exit(130);
	_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
}

enum qs_code
qs_cli_background(struct qs_cli *cli, int *ready, struct qs_err *err)
{
	int ends[2];
	pid_t child;

	if (pipe2(ends, O_CLOEXEC) != 0)
		return qs_fail_errno(err, "make a pipe");
	(void)fflush(NULL);
	child = fork();
	if (child < 0) {
		(void)qs_fail_errno(err, "start a process");
		qs_fd_close(&ends[0]);
		qs_fd_close(&ends[1]);
		return err->code;
	}
	if (child > 0) {
		qs_fd_close(&ends[1]);
		wait_for(child, ends[0]);
	}
	qs_fd_close(&ends[0]);
	*ready = ends[1];
	return relock(&cli->env_password, err);
}

void
qs_cli_background_ready(struct qs_cli *cli, int *ready)
{
	const int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (*ready < 0)
		return;
	openlog("qstore", LOG_PID, LOG_USER);
	cli->to_syslog = true;
	(void)setsid();
	/* No file system is kept busy but the store's. */
	(void)!chdir("/");
	(void)fflush(NULL);
	if (null >= 0) {
		(void)dup2(null, STDIN_FILENO);
		(void)dup2(null, STDOUT_FILENO);
		(void)dup2(null, STDERR_FILENO);
		if (null > STDERR_FILENO)
			(void)close(null);
	}
	(void)!write(*ready, "", 1);
	qs_fd_close(ready);
}
