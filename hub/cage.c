/* SPDX-License-Identifier: ISC */
/*
 * What a process that serves one folder gives up before it reads the first
 * byte: memory beyond a bound, new privileges, all files but the folder's, all
 * system calls but those it takes.  Each is good without the others.
 */
#include <dirent.h>
#include <errno.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "hub/cage_internal.h"

/* Both limits, and never up. */
static enum qs_code
limit(int what, const char *name, uint64_t most, struct qs_err *err)
{
	struct rlimit now, new;

	if (getrlimit((__rlimit_resource_t)what, &now) != 0)
		return qs_fail_errno(err, "cage: limit of %s", name);
	new.rlim_max = now.rlim_max < most ? now.rlim_max : (rlim_t)most;
	new.rlim_cur = new.rlim_max;
	if (setrlimit((__rlimit_resource_t)what, &new) != 0)
		return qs_fail_errno(err, "cage: limit of %s", name);
	return QS_OK;
}

/*
 * RLIMIT_NPROC counts all of a user's threads, those of the other connections
 * too, so that no number is right; that there is no new process is seccomp's.
 */
static enum qs_code
set_limits(struct qs_err *err)
{
	const struct sigaction ignore = {.sa_handler = SIG_IGN};
	enum qs_code rc = QS_OK;

#ifdef __GLIBC__
	/* Else each thread reserves 64 MiB of what is left. */
	(void)mallopt(M_ARENA_MAX, 1);
#endif
	if (!QS_CAGE_SANITIZED)
		rc = limit(RLIMIT_AS, "memory", QS_CAGE_MEMORY, err);
	if (rc == QS_OK)
		rc = limit(RLIMIT_NOFILE, "open files", QS_CAGE_FILES, err);
	if (rc == QS_OK)
		rc = limit(RLIMIT_FSIZE, "a file's size", QS_CAGE_FILE, err);
	if (rc == QS_OK)
		rc = limit(RLIMIT_CORE, "core dumps", 0, err);
	/* A write beyond fails, and is reported, instead of killing us. */
	if (rc == QS_OK && sigaction(SIGXFSZ, &ignore, NULL) != 0)
		return qs_fail_errno(err, "cage: signals");
	return rc;
}

/*
 * Landlock and seccomp are of a thread and those that it starts: one that is
 * there already would stay outside.
 */
static enum qs_code
check_alone(struct qs_err *err)
{
	unsigned count = 0;
	DIR *tasks;

	if (QS_CAGE_SANITIZED)
		return QS_OK;
	tasks = opendir("/proc/self/task");
	if (tasks == NULL) /* no /proc: the caller's word has to do */
		return QS_OK;
	for (const struct dirent *entry; (entry = readdir(tasks)) != NULL;)
		count += entry->d_name[0] != '.';
	(void)closedir(tasks);
	if (count > 1)
		return qs_fail(err, QS_EINVAL, "cage: %u threads are there "
			"already", count);
	return QS_OK;
}

enum qs_code
qs_cage_enter(struct qs_cage *cage, struct qs_err *err)
{
	bool has_landlock = false, has_seccomp = false;
	enum qs_code rc = check_alone(err);

	if (rc == QS_OK)
		rc = set_limits(err);
	if (rc != QS_OK)
		return rc;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return qs_fail_errno(err, "cage: no new privileges");
	/* Another process of this user neither traces us nor sees /proc/us. */
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
		return qs_fail_errno(err, "cage: not to be traced");
	rc = qs_cage_landlock(cage->root_fd, cage->read_only, &has_landlock,
		err);
	if (rc == QS_OK)
		rc = qs_cage_seccomp(&has_seccomp, err);
	if (rc != QS_OK)
		return rc;
	if (!has_landlock)
		qs_log("cage: this kernel has no Landlock");
	if (!has_seccomp)
		qs_log("cage: this kernel has no seccomp");
	cage->has_landlock = has_landlock;
	cage->has_seccomp = has_seccomp;
	return QS_OK;
}
