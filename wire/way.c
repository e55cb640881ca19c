/* SPDX-License-Identifier: ISC */
/*
 * The way to a hub: a program of which we hold both ends, or a socket.  What
 * the program complains of on its standard error is never shown as it comes (it
 * may be the hub's words): the end of it is kept, for when the connection
 * fails.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "wire/wire_internal.h"

#define PIPE_SIZE (1 << 20) /* fewer switches between the two programs */

extern char **environ;

/* ------------------------------------------------------------ complaints */

/* Reads a program's stderr, so that it never waits; keeps the end of it. */
struct qs_drain {
	int fd, stop[2];
	struct qs_thread *thread;
	size_t len;
	char text[2 * TAIL_MAX];
};

static void
keep(struct qs_drain *drain, const char *text, size_t len)
{
	if (len > TAIL_MAX) {
		text += len - TAIL_MAX;
		len = TAIL_MAX;
	}
	if (drain->len + len > sizeof(drain->text)) {
		size_t old = sizeof(drain->text) - len;

		if (old > drain->len)
			old = drain->len;
		memmove(drain->text, drain->text + drain->len - old, old);
		drain->len = old;
	}
	memcpy(drain->text + drain->len, text, len);
	drain->len += len;
}

static void
run_drain(void *arg)
{
	struct qs_drain *drain = arg;
	char text[4096];

	for (;;) {
		struct pollfd fds[2] = {
			{.fd = drain->fd, .events = POLLIN},
			{.fd = drain->stop[0], .events = POLLIN},
		};
		ssize_t n;

		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			return;
		n = read(drain->fd, text, sizeof(text));
		if (n > 0)
			keep(drain, text, (size_t)n);
		else if (n == 0 || (errno != EAGAIN && errno != EINTR) ||
			fds[1].revents != 0)
			return;
	}
}

/* Takes fd, also on failure. */
static enum qs_code
start_drain(int fd, struct qs_drain **out, struct qs_err *err)
{
	struct qs_drain *drain = calloc(1, sizeof(*drain));
	enum qs_code rc;

	if (drain == NULL || pipe2(drain->stop, O_CLOEXEC) != 0) {
		(void)qs_fail_nomem(err, "making a connection");
		free(drain);
		qs_fd_close(&fd);
		return err->code;
	}
	drain->fd = fd;
	(void)fcntl(fd, F_SETFL, O_NONBLOCK);
	rc = qs_thread_start(&drain->thread, run_drain, drain, "qs-errors",
		err);
	if (rc != QS_OK) {
		qs_fd_close(&drain->fd);
		qs_fd_close(&drain->stop[0]);
		qs_fd_close(&drain->stop[1]);
		free(drain);
		return rc;
	}
	*out = drain;
	return QS_OK;
}

/* The last of what came, on one line. */
static void
end_drain(struct qs_drain *drain, char tail[static TAIL_MAX])
{
	size_t len, skip;

	qs_fd_close(&drain->stop[1]);
	qs_thread_join(drain->thread);
	len = drain->len;
	while (len > 0 && (drain->text[len - 1] == '\n' ||
		drain->text[len - 1] == '\r'))
		len--;
	skip = len >= TAIL_MAX ? len - (TAIL_MAX - 1) : 0;
	for (size_t i = skip; i < len; i++) {
		char c = drain->text[i];

		tail[i - skip] = c >= 0x20 && c < 0x7f ? c : ' ';
	}
	tail[len - skip] = '\0';
	qs_fd_close(&drain->fd);
	qs_fd_close(&drain->stop[0]);
	free(drain);
}

/* -------------------------------------------------------------- program */

struct ends { /* [0] is read, [1] written */
	int down[2], up[2], errors[2];
};

static void
close_ends(struct ends *ends)
{
	for (int i = 0; i < 2; i++) {
		qs_fd_close(&ends->down[i]);
		qs_fd_close(&ends->up[i]);
		qs_fd_close(&ends->errors[i]);
	}
}

static enum qs_code
make_ends(struct ends *ends, struct qs_err *err)
{
	*ends = (struct ends){{-1, -1}, {-1, -1}, {-1, -1}};
	if (pipe2(ends->down, O_CLOEXEC) != 0 ||
		pipe2(ends->up, O_CLOEXEC) != 0 ||
		pipe2(ends->errors, O_CLOEXEC) != 0) {
		(void)qs_fail_errno(err, "make a pipe");
		close_ends(ends);
		return err->code;
	}
#ifdef F_SETPIPE_SZ
	(void)fcntl(ends->down[1], F_SETPIPE_SZ, PIPE_SIZE);
	(void)fcntl(ends->up[1], F_SETPIPE_SZ, PIPE_SIZE);
#endif
	return QS_OK;
}

/* 0 or an errno.  Its signals are as a new program's. */
static int
spawn(char *const *argv, const struct ends *ends, pid_t *pid)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	sigset_t none, to_default;
	int sys = posix_spawn_file_actions_init(&actions);

	if (sys != 0)
		return sys;
	sys = posix_spawnattr_init(&attr);
	if (sys != 0) {
		(void)posix_spawn_file_actions_destroy(&actions);
		return sys;
	}
	(void)sigemptyset(&none);
	(void)sigemptyset(&to_default);
	(void)sigaddset(&to_default, SIGPIPE);
	sys = posix_spawn_file_actions_adddup2(&actions, ends->down[0], 0);
	if (sys == 0)
		sys = posix_spawn_file_actions_adddup2(&actions, ends->up[1],
			1);
	if (sys == 0)
		sys = posix_spawn_file_actions_adddup2(&actions,
			ends->errors[1], 2);
	if (sys == 0)
		sys = posix_spawnattr_setsigmask(&attr, &none);
	if (sys == 0)
		sys = posix_spawnattr_setsigdefault(&attr, &to_default);
	if (sys == 0)
		sys = posix_spawnattr_setflags(&attr,
			POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	if (sys == 0)
		sys = posix_spawnp(pid, argv[0], &actions, &attr, argv,
			environ);
	(void)posix_spawnattr_destroy(&attr);
	(void)posix_spawn_file_actions_destroy(&actions);
	return sys;
}

static enum qs_code
open_command(const struct qs_url *url, struct qs_way *out, struct qs_err *err)
{
	struct ends ends;
	pid_t pid = 0;
	int sys;
	enum qs_code rc = make_ends(&ends, err);

	if (rc != QS_OK)
		return rc;
	sys = spawn(url->argv, &ends, &pid);
	if (sys != 0) {
		close_ends(&ends);
		if (sys == ENOENT)
			return qs_fail(err, QS_ENOTFOUND, "%s: there is no "
				"program \"%s\" here", url->place,
				url->argv[0]);
		errno = sys;
		return qs_fail_errno(err, "%s: start \"%s\"", url->place,
			url->argv[0]);
	}
	*out = (struct qs_way){pid, ends.up[0], ends.down[1], NULL};
	ends.up[0] = ends.down[1] = -1; /* handed over */
	rc = start_drain(ends.errors[0], &out->drain, err);
	ends.errors[0] = -1;
	close_ends(&ends);
	if (rc != QS_OK) {
		char tail[TAIL_MAX];

		qs_fd_close(&out->in);
		qs_fd_close(&out->out);
		qs_way_close(out, true, tail);
	}
	return rc;
}

/* --------------------------------------------------------------- socket */

static enum qs_code
open_socket(const struct qs_url *url, struct qs_way *out, struct qs_err *err)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd;

	if (strlen(url->socket) >= sizeof(address.sun_path))
		return qs_fail(err, QS_EINVAL, "%s: a socket's path has at "
			"most %zu bytes", url->place,
			sizeof(address.sun_path) - 1);
	memcpy(address.sun_path, url->socket, strlen(url->socket));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return qs_fail_errno(err, "%s: make a socket", url->place);
	if (connect(fd, (const struct sockaddr *)&address,
		sizeof(address)) != 0) {
		if (errno == ENOENT || errno == ECONNREFUSED)
			(void)qs_fail(err, QS_ENET, "%s: no hub listens there",
				url->place);
		else
			(void)qs_fail_errno(err, "%s: connect", url->place);
		qs_fd_close(&fd);
		return err->code;
	}
	*out = (struct qs_way){0, fd, fd, NULL};
	return QS_OK;
}

enum qs_code
qs_way_open(const struct qs_url *url, struct qs_way *out, struct qs_err *err)
{
	return url->kind == QS_URL_SOCKET ? open_socket(url, out, err) :
		open_command(url, out, err);
}

/* -------------------------------------------------------------- closing */

#define WAIT_STEP_MS 10
#define WAIT_STEPS 100

void
qs_way_close(struct qs_way *way, bool kill_it, char tail[static TAIL_MAX])
{
	int status;

	tail[0] = '\0';
	for (int i = 0; way->pid > 0 && i < WAIT_STEPS; i++) {
		const struct timespec step = {0, WAIT_STEP_MS * 1000000};

		if (waitpid(way->pid, &status, WNOHANG) != 0)
			way->pid = 0;
		else
			(void)nanosleep(&step, NULL);
	}
	/*
	 * One that stays may have work of its own to do for the place (it
	 * tidies up once a day): it is left to that, unless it went wrong.
	 */
	if (way->pid > 0 && kill_it) {
		(void)kill(way->pid, SIGKILL);
		(void)waitpid(way->pid, &status, 0);
	}
	way->pid = 0;
	if (way->drain != NULL)
		end_drain(way->drain, tail);
	way->drain = NULL;
}
