/* SPDX-License-Identifier: ISC */
/*
 * Landlock: of all files those below one directory, and no network.
 *
 * The rights are by number where linux/landlock.h of Debian 12 lacks them; what
 * the running kernel has is asked from it.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "hub/cage_internal.h"

#define FS_FIRST ((UINT64_C(1) << 13) - 1) /* the thirteen of ABI 1 */
#define FS_REFER (UINT64_C(1) << 13)       /* ABI 2: move between folders */
#define FS_TRUNCATE (UINT64_C(1) << 14)    /* ABI 3 */
#define FS_IOCTL_DEV (UINT64_C(1) << 15)   /* ABI 5 */
#define NET_ALL UINT64_C(3)    /* ABI 4: bind and connect TCP */
#define SCOPE_ALL UINT64_C(3)  /* ABI 6: abstract sockets, signals */

#define FS_READ ((uint64_t)(LANDLOCK_ACCESS_FS_READ_FILE | \
	LANDLOCK_ACCESS_FS_READ_DIR))
#define FS_WRITE ((uint64_t)(LANDLOCK_ACCESS_FS_WRITE_FILE | \
	LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_DIR | \
	LANDLOCK_ACCESS_FS_MAKE_REG) | FS_REFER | FS_TRUNCATE)

struct rules { /* landlock_ruleset_attr, as of ABI 6 */
	uint64_t fs, net, scoped;
};

/* 0: there is none.  EPERM is what an outer sandbox says. */
static enum qs_code
ask_abi(long *out, struct qs_err *err)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0,
		LANDLOCK_CREATE_RULESET_VERSION);

	if (abi < 0 && errno != ENOSYS && errno != EOPNOTSUPP &&
		errno != EPERM)
		return qs_fail_errno(err, "cage: Landlock");
	*out = abi < 0 ? 0 : abi;
	return QS_OK;
}

/* Everything this kernel can take away, and how much of the struct it knows. */
static size_t
all_rules(long abi, struct rules *out)
{
	*out = (struct rules){.fs = FS_FIRST};
	if (abi >= 2)
		out->fs |= FS_REFER;
	if (abi >= 3)
		out->fs |= FS_TRUNCATE;
	if (abi >= 5)
		out->fs |= FS_IOCTL_DEV;
	if (abi >= 4)
		out->net = NET_ALL;
	if (abi >= 6)
		out->scoped = SCOPE_ALL;
	return abi >= 6 ? 24 : abi >= 4 ? 16 : 8;
}

static enum qs_code
allow(int ruleset, int dir, uint64_t rights, struct qs_err *err)
{
	const struct landlock_path_beneath_attr rule = {
		.allowed_access = rights,
		.parent_fd = dir,
	};

	if (syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH,
		&rule, 0) != 0)
		return qs_fail_errno(err, "cage: Landlock: add a rule");
	return QS_OK;
}

/* A folder's hub/: what is below it is the hub's own, whoever reads. */
static enum qs_code
allow_own(int ruleset, int root_fd, const char *folder, uint64_t rights,
	struct qs_err *err)
{
	uint8_t id[QS_FOLDER_ID_LEN];
	char path[2 * QS_FOLDER_ID_LEN + 8];
	enum qs_code rc;
	int fd;

	if (!qs_unhex(id, sizeof(id), folder))
		return QS_OK;
	(void)snprintf(path, sizeof(path), "%.32s/hub", folder);
	fd = openat(root_fd, path, O_PATH | O_DIRECTORY | O_NOFOLLOW |
		O_CLOEXEC);
	if (fd < 0) /* there is none */
		return QS_OK;
	rc = allow(ruleset, fd, rights, err);
	qs_fd_close(&fd);
	return rc;
}

/*
 * Who only reads makes the hub write all the same: into the catalogue (what
 * was refused, SQLite's shared memory), which is not the folder's contents.
 */
static enum qs_code
allow_all_own(int ruleset, int root_fd, uint64_t rights, struct qs_err *err)
{
	const struct dirent *entry;
	DIR *stream;
	int fd = -1;
	enum qs_code rc = qs_dir_open(root_fd, ".", &fd, err);

	if (rc != QS_OK)
		return qs_fail_while(err, "cage");
	stream = fdopendir(fd);
	if (stream == NULL) {
		rc = qs_fail_errno(err, "cage: list the place");
		qs_fd_close(&fd);
		return rc;
	}
	while (rc == QS_OK && (entry = readdir(stream)) != NULL)
		rc = allow_own(ruleset, root_fd, entry->d_name, rights, err);
	(void)closedir(stream);
	return rc;
}

/* Leak checks and symbols are read from there. */
static enum qs_code
allow_sanitizer(int ruleset, struct qs_err *err)
{
	int fd = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	enum qs_code rc = QS_OK;

	if (fd >= 0)
		rc = allow(ruleset, fd, FS_READ, err);
	qs_fd_close(&fd);
	return rc;
}

enum qs_code
qs_cage_landlock(int root_fd, bool read_only, bool *done, struct qs_err *err)
{
	struct rules rules;
	uint64_t written;
	size_t len;
	long abi = 0;
	int ruleset;
	enum qs_code rc = ask_abi(&abi, err);

	*done = false;
	if (rc != QS_OK || abi == 0)
		return rc;
	len = all_rules(abi, &rules);
	ruleset = (int)syscall(SYS_landlock_create_ruleset, &rules, len, 0);
	if (ruleset < 0)
		return qs_fail_errno(err, "cage: Landlock: make rules");
	/* A rule can't give what is not taken away. */
	written = (FS_READ | FS_WRITE) & rules.fs;
	rc = allow(ruleset, root_fd, read_only ? FS_READ : written, err);
	if (rc == QS_OK && read_only)
		rc = allow_all_own(ruleset, root_fd, written, err);
	if (rc == QS_OK && QS_CAGE_SANITIZED)
		rc = allow_sanitizer(ruleset, err);
	if (rc == QS_OK &&
		syscall(SYS_landlock_restrict_self, ruleset, 0) != 0)
		rc = qs_fail_errno(err, "cage: Landlock: enter");
	qs_fd_close(&ruleset);
	if (rc == QS_OK)
		*done = true;
	return rc;
}
