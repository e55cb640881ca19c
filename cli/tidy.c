/* SPDX-License-Identifier: ISC */
/* A directory's retirements are carried out by the hub's program. */
#include <errno.h>
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
	return url != NULL && strchr(url, ':') == NULL;
}

enum qs_code
qs_cli_tidy_here(struct qs_cli *cli, struct qs_err *err)
{
	char hub[PATH_MAX], tidy[] = "tidy", *path;
	char *argv[4];
	pid_t child;
	int status = 0, failed;

	if (!is_directory(cli->global.repo) || !find_hub(hub))
		return QS_OK;
	path = strdup(cli->global.repo);
	if (path == NULL)
		return qs_fail_nomem(err, "tidying up");
	argv[0] = hub;
	argv[1] = tidy;
	argv[2] = path;
	argv[3] = NULL;
	failed = posix_spawn(&child, hub, NULL, NULL, argv, environ);
	free(path);
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
