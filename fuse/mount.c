/* SPDX-License-Identifier: ISC */
/* mount: set up, serve, take down. */
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "fuse/mount_internal.h"
#include "fuse/umount_internal.h"

/* ------------------------------------------------------------ mount point */

static enum qs_code
check_point(const char *dir, struct qs_err *err)
{
	struct stat stat_buf;
	struct statvfs fs;
	enum mount_found found;

	/* Attributes may be the kernel's own, what is free never is. */
	if (statvfs(dir, &fs) != 0 &&
	    (errno == ENOTCONN || errno == ECONNABORTED))
		return qs_fail(err, QS_EINVAL, "%s: the program of an earlier "
			"mount there has died; clear it away with: qstore "
			"umount %s", dir, dir);
	if (stat(dir, &stat_buf) != 0) {
		if (errno == ENOENT)
			return qs_fail(err, QS_EINVAL, "%s: there is no such "
				"directory; make it first: mkdir %s", dir,
				dir);
		return qs_fail_errno(err, "mount point %s", dir);
	}
	if (!S_ISDIR(stat_buf.st_mode))
		return qs_fail(err, QS_EINVAL, "%s: it is no directory, so "
			"nothing can be mounted there", dir);
	if (mount_find(dir, &found, err) == QS_OK && found == MOUNT_OURS)
		return qs_fail(err, QS_EEXIST, "%s: snapshots are mounted "
			"there already; qstore umount %s ends that", dir,
			dir);
	return QS_OK;
}

/* ---------------------------------------------------------------- set-up */

/*
 * The parents of what is shown are not, so that their modes can't keep others
 * out: nobody is let in whom they would have.
 */
static enum qs_code
check_parents(struct mount *mount, const struct qs_content *root,
	const char *subpath, struct qs_err *err)
{
	char *path = strdup(subpath);
	struct qs_buf bytes = {NULL, 0, 0};
	enum qs_code rc = path == NULL ? qs_fail_nomem(err, "mounting") :
		QS_OK;

	for (char *slash = path; rc == QS_OK && *slash != '\0' &&
	    (slash = strchr(slash + 1, '/')) != NULL; *slash = '/') {
		struct qs_node node;

		*slash = '\0';
		rc = qs_tree_find(mount->source, root, path, &bytes, &node,
			err);
		if (rc == QS_OK && (mount_mode_least(&node) & 01) == 0)
			rc = qs_fail(err, QS_EINVAL, "--allow-other: %s is not "
				"open to others, so nothing below it is shown "
				"to them by itself", path);
	}
	qs_buf_clear(&bytes);
	free(path);
	return rc;
}

static enum qs_code
set_tree(struct mount *mount, struct mount_dir *root, struct qs_err *err)
{
	const struct qs_snapshot *snapshot = mount->options.snapshot;
	const struct mount_shot shot = {
		.record = snapshot->record,
		.time_ns = snapshot->time_ns,
		.root = qs_snapshot_root(snapshot),
	};
	const char *subpath = mount->options.subpath;
	struct qs_node node;
	enum qs_code rc;

	mount_top_dir(&shot, root);
	mount->tree_bytes = snapshot->totals.bytes;
	mount->tree_files = snapshot->totals.files;
	if (subpath == NULL || *subpath == '\0')
		return QS_OK;
	rc = mount->options.allow_other ? check_parents(mount, &shot.root,
		subpath, err) : QS_OK;
	if (rc == QS_OK)
		rc = qs_tree_find(mount->source, &shot.root, subpath,
			&mount->root_bytes, &node, err);
	if (rc != QS_OK)
		return rc;
	if (node.type != QS_NODE_DIR)
		return qs_fail(err, QS_EINVAL, "%s: it is no directory, so it "
			"can't be mounted", subpath);
	root->ino = mount_ino(root->ino, subpath, strlen(subpath));
	root->size = node.size;
	root->content = node.content;
	mount->has_root_node = true;
	mount->root_node = node;
	return QS_OK;
}

static enum qs_code
set_up(struct mount *mount, struct qs_err *err)
{
	struct mount_dir root = {.kind = MOUNT_ROOT, .ino = FUSE_ROOT_ID};
	enum qs_code rc = qs_source_new(mount->folder,
		mount->options.cache_bytes, &mount->source, err);

	if (rc == QS_OK && mount->options.snapshot != NULL)
		rc = set_tree(mount, &root, err);
	else if (rc == QS_OK)
		rc = mount_views_new(mount->folder, &mount->options.filter,
			&mount->views, err);
	if (rc == QS_OK)
		rc = mount_dirs_new(&root, &mount->dirs, err);
	if (rc == QS_OK)
		rc = mount_runs_new(&mount->runs, err);
	if (rc == QS_OK)
		rc = mount_blocks_new(&mount->blocks, err);
	return rc;
}

static void
take_down(struct mount *mount)
{
	qs_buf_clear(&mount->root_bytes);
	mount_blocks_free(mount->blocks);
	mount_runs_free(mount->runs);
	mount_dirs_free(mount->dirs);
	mount_views_free(mount->views);
	qs_source_free(mount->source);
}

/* --------------------------------------------------------------- libfuse */

static char fuse_words[256]; /* the last thing libfuse had to say */

static void QS_PRINTF(2, 0)
keep_words(enum fuse_log_level level, const char *format, va_list args)
{
	if (level <= FUSE_LOG_ERR)
		(void)vsnprintf(fuse_words, sizeof(fuse_words), format, args);
}

static enum qs_code
fail_fuse(const struct mount *mount, struct qs_err *err)
{
	fuse_words[strcspn(fuse_words, "\n")] = '\0';
	return qs_fail(err, QS_EIO, "%s: mounting was refused%s%s%s",
		mount->options.dir, *fuse_words != '\0' ? ": " : "",
		fuse_words, mount->options.allow_other && geteuid() != 0 ?
		" (--allow-other needs a line user_allow_other in "
		"/etc/fuse.conf)" : access("/dev/fuse", R_OK | W_OK) != 0 ?
		" (there is no /dev/fuse that this user may open)" : "");
}

static enum qs_code
session_new(struct mount *mount, struct qs_err *err)
{
	char options[128];
	char name[] = "qstore", flag[] = "-o";
	char *argv[] = {name, flag, options, NULL};
	struct fuse_args args = FUSE_ARGS_INIT(3, argv);

	(void)snprintf(options, sizeof(options),
		"ro,nosuid,nodev,noatime,fsname=qstore,subtype=qstore%s",
		mount->options.allow_other ?
		",allow_other,default_permissions" : "");
	*fuse_words = '\0';
	fuse_set_log_func(keep_words);
	mount->session = fuse_session_new(&args, &mount_ops,
		sizeof(mount_ops), mount);
	fuse_opt_free_args(&args);
	return mount->session != NULL ? QS_OK : fail_fuse(mount, err);
}

static const int signals[] = {SIGINT, SIGTERM, SIGHUP};

#define SIGNALS (sizeof(signals) / sizeof(signals[0]))

/*
 * From before it is mounted until libfuse's handlers are set, and again from
 * the loop's end until it is unmounted, signals wait: handled in between they
 * would be lost, or the end of a process that leaves its mount behind.
 */
static void
block_signals(sigset_t *old)
{
	sigset_t blocked;

	(void)sigemptyset(&blocked);
	for (size_t i = 0; i < SIGNALS; i++)
		(void)sigaddset(&blocked, signals[i]);
	(void)pthread_sigmask(SIG_BLOCK, &blocked, old);
}

/* Signals are blocked, but for the loop's time. */
static enum qs_code
run_loop(struct mount *mount, struct fuse_loop_config *config,
	const sigset_t *mask, struct qs_err *err)
{
	enum qs_code rc = QS_OK;
	sigset_t unused;
	int result;

	(void)pthread_sigmask(SIG_SETMASK, mask, NULL);
	/* By one that has waited until now. */
	if (fuse_session_exited(mount->session)) {
		rc = qs_fail(err, QS_ECANCELED, "interrupted");
	} else {
		if (mount->options.ready != NULL)
			mount->options.ready(mount->options.ready_arg);
		result = fuse_session_loop_mt(mount->session, config);
		/* Above 0: the signal that ended it, as was asked for. */
		if (result < 0) {
			errno = -result;
			rc = qs_fail_errno(err, "%s: serving the mount",
				mount->options.dir);
		}
	}
	block_signals(&unused);
	return rc;
}

/* libfuse's handlers end the loop; they are only set over the default. */
static enum qs_code
loop(struct mount *mount, const sigset_t *mask, struct qs_err *err)
{
	struct sigaction old[SIGNALS];
	const struct sigaction plain = {.sa_handler = SIG_DFL};
	struct fuse_loop_config *config = fuse_loop_cfg_create();
	enum qs_code rc;

	if (config == NULL)
		return qs_fail_nomem(err, "mounting");
	fuse_loop_cfg_set_clone_fd(config, 1);
	fuse_loop_cfg_set_max_threads(config, MOUNT_THREADS);
	fuse_loop_cfg_set_idle_threads(config, MOUNT_THREADS);
	for (size_t i = 0; i < SIGNALS; i++)
		(void)sigaction(signals[i], &plain, &old[i]);
	if (fuse_set_signal_handlers(mount->session) != 0) {
		rc = qs_fail(err, QS_EIO, "mounting: signals can't be set up");
	} else {
		rc = run_loop(mount, config, mask, err);
		fuse_remove_signal_handlers(mount->session);
	}
	for (size_t i = 0; i < SIGNALS; i++)
		(void)sigaction(signals[i], &old[i], NULL);
	fuse_loop_cfg_destroy(config);
	return rc;
}

/* Signals are blocked; mask is what they were before, and are at the end. */
static enum qs_code
serve_mounted(struct mount *mount, const sigset_t *mask, struct qs_err *err)
{
	enum qs_code rc = mount_told_new(mount->folder,
		mount->options.trouble, mount->options.trouble_arg,
		&mount->told, err);

	if (rc == QS_OK)
		rc = mount_watch_new(mount, &mount->watch, err);
	if (rc == QS_OK)
		rc = mount_ahead_new(mount, &mount->ahead, err);
	if (rc == QS_OK)
		rc = loop(mount, mask, err);
	fuse_session_unmount(mount->session);
	(void)pthread_sigmask(SIG_SETMASK, mask, NULL);
	/* The watch goes last: any of the others may hang. */
	if (mount->watch != NULL)
		mount_watch_end(mount->watch);
	mount_ahead_free(mount->ahead);
	mount_told_end(mount->told);
	mount_watch_free(mount->watch);
	mount_told_free(mount->told);
	return rc;
}

static enum qs_code
serve(struct mount *mount, struct qs_err *err)
{
	struct qs_progress *progress = mount->options.progress;
	sigset_t mask;
	enum qs_code rc = session_new(mount, err);

	if (rc != QS_OK)
		return rc;
	block_signals(&mask);
	if (progress != NULL && atomic_load(&progress->cancel))
		rc = qs_fail(err, QS_ECANCELED, "interrupted");
	else if (fuse_session_mount(mount->session, mount->options.dir) != 0)
		rc = fail_fuse(mount, err);
	if (rc == QS_OK)
		rc = serve_mounted(mount, &mask, err);
	else
		(void)pthread_sigmask(SIG_SETMASK, &mask, NULL);
	fuse_session_destroy(mount->session);
	return rc;
}

enum qs_code
qs_mount(struct qs_folder *folder, const struct qs_mount_options *options,
	struct qs_err *err)
{
	struct mount mount = {.options = *options, .folder = folder,
		.uid = getuid(), .gid = getgid()};
	enum qs_code rc = check_point(options->dir, err);

	if (rc != QS_OK)
		return rc;
	if (mount.options.cache_bytes == 0)
		mount.options.cache_bytes = QS_MOUNT_CACHE;
	if (mount.options.timeout_s == 0)
		mount.options.timeout_s = QS_MOUNT_TIMEOUT;
	mount.is_owner_stored = options->owner == QS_OWNER_STORED ||
		(options->owner == QS_OWNER_DEFAULT && geteuid() == 0);
	rc = set_up(&mount, err);
	if (rc == QS_OK)
		rc = serve(&mount, err);
	take_down(&mount);
	return rc;
}
