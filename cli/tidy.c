/* SPDX-License-Identifier: ISC */
/* A directory's retirements are carried out by the hub's program. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/cli_internal.h"

#define HUB "qstore-hub"

extern char **environ;

/* Beside the running program; false: it is not there. */
static bool
find_hub(char out[static PATH_MAX])
{
	ssize_t len = readlink("/proc/self/exe", out, PATH_MAX - 1);
	char *slash;

	if (len <= 0)
		return false;
	out[len] = '\0';
	slash = strrchr(out, '/');
	if (slash == NULL ||
		(size_t)(slash - out) + 1 + sizeof(HUB) > PATH_MAX)
		return false;
	memcpy(slash + 1, HUB, sizeof(HUB));
	return access(out, X_OK) == 0;
}

/* Other places look after themselves. */
static bool
is_directory(const char *url)
{
	return url != NULL && !qs_url_is_remote(url);
}

/* Our environment without what is qstore's: it may have a passphrase in it. */
static char **
plain_environment(void)
{
	size_t count = 0, kept = 0;
	char **out;

	while (environ[count] != NULL)
		count++;
	out = calloc(count + 1, sizeof(*out));
	for (size_t i = 0; out != NULL && i < count; i++) {
		if (strncmp(environ[i], "QSTORE_", 7) != 0)
			out[kept++] = environ[i];
	}
	return out;
}

/* quiet: what it prints is thrown away, its warnings are not. */
static int
start(const char *hub, const char *repo, bool quiet, pid_t *child)
{
	char tidy[] = "tidy", *name = strdup(hub), *path = strdup(repo);
	char **plain = plain_environment();
	char *argv[] = {name, tidy, path, NULL};
	posix_spawn_file_actions_t actions;
	int failed = ENOMEM;

	if (name == NULL || path == NULL || plain == NULL ||
		posix_spawn_file_actions_init(&actions) != 0)
		goto out;
	failed = quiet ? posix_spawn_file_actions_addopen(&actions,
		STDOUT_FILENO, "/dev/null", O_WRONLY, 0) : 0;
	if (failed == 0)
		failed = posix_spawn(child, hub, &actions, NULL, argv, plain);
	posix_spawn_file_actions_destroy(&actions);
out:
	free(name);
	free(path);
	free(plain);
	return failed;
}

enum qs_code
qs_cli_tidy_here(struct qs_cli *cli, struct qs_err *err)
{
	char hub[PATH_MAX];
	pid_t child;
	int status = 0, failed;

	if (!is_directory(cli->global.repo) || !find_hub(hub))
		return QS_OK;
	(void)fflush(stdout);
	failed = start(hub, cli->global.repo, cli->global.quiet ||
		cli->global.json, &child);
	if (failed != 0) {
		errno = failed;
		return qs_fail_errno(err, "%s", hub);
	}
	while (waitpid(child, &status, 0) < 0) {
		if (errno != EINTR)
			return qs_fail_errno(err, "%s", hub);
	}
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return QS_OK;
	return qs_fail(err, QS_EIO, "%s tidy %.200s: failed", HUB,
		cli->global.repo);
}
