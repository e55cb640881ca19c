/* SPDX-License-Identifier: ISC */
/* restore: set up, start the workers, walk, and say what came of it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "snapshot/restore_internal.h"

#define RESTORE_CACHE QS_SOURCE_CACHE

/* ---------------------------------------------------------------- set up */

static void
warn_space(struct restore *restore, const struct qs_snapshot *snapshot)
{
	const struct qs_restore_options *options = restore->options;
	struct statvfs fs;
	struct qs_err err;
	uint64_t free_bytes;

	if (snapshot == NULL || options->include != NULL ||
	    (options->subpath != NULL && options->subpath[0] != '\0') ||
	    restore->target_fd < 0)
		return;
	restore->report->progress->files_total = snapshot->totals.files;
	restore->report->progress->bytes_total = snapshot->totals.bytes;
	if (fstatvfs(restore->target_fd, &fs) != 0)
		return;
	if (__builtin_mul_overflow((uint64_t)fs.f_bavail,
	    (uint64_t)fs.f_frsize, &free_bytes) ||
	    free_bytes >= snapshot->totals.bytes)
		return;
	(void)qs_fail(&err, QS_ENOSPC, "target %s: %llu bytes are free, the "
		"snapshot has %llu: it may not fit", options->target,
		(unsigned long long)free_bytes,
		(unsigned long long)snapshot->totals.bytes);
	restore_note(restore, NULL, &err);
}

static enum qs_code
set_up(struct restore *restore, struct qs_err *err)
{
	enum qs_code rc;
	int count;

	restore->euid = geteuid();
	restore->egid = getegid();
	count = getgroups(0, NULL);
	if (count > 0) {
		restore->groups = calloc((size_t)count, sizeof(gid_t));
		if (restore->groups == NULL)
			return qs_fail_nomem(err, "restoring");
		count = getgroups(count, restore->groups);
		restore->group_count = count > 0 ? (size_t)count : 0;
	}
	qs_random(&restore->partial_base, sizeof(restore->partial_base));
	restore_room_set(restore);
	restore->jobs = calloc(restore->job_count, sizeof(*restore->jobs));
	if (restore->jobs == NULL)
		return qs_fail_nomem(err, "restoring");
	rc = qs_queue_new(restore->job_count, &restore->idle, err);
	if (rc == QS_OK)
		rc = qs_queue_new(restore->job_count, &restore->ready, err);
	for (size_t i = 0; rc == QS_OK && i < restore->job_count; i++)
		(void)qs_queue_push(restore->idle, &restore->jobs[i]);
	return rc;
}

static void
tear_down(struct restore *restore)
{
	for (size_t i = 0; restore->jobs != NULL && i < restore->job_count;
	    i++)
		qs_buf_clear(&restore->jobs[i].bytes);
	free(restore->jobs);
	free(restore->groups);
	qs_queue_free(restore->idle);
	qs_queue_free(restore->ready);
	qs_buf_clear(&restore->marks);
	restore_links_clear(&restore->links);
	pthread_cond_destroy(&restore->link_done);
	pthread_cond_destroy(&restore->job_done);
	pthread_mutex_destroy(&restore->lock);
}

/* ------------------------------------------------------------------- run */

static enum qs_code
walk_or_one(struct restore *restore, const struct qs_node *node,
	const char *prefix, struct restore_folder *target, struct qs_err *err)
{
	bool below;

	if (node->type == QS_NODE_DIR)
		return restore_walk(restore, node, prefix, target, err);
	if (restore_selects(restore, prefix, &below))
		restore_entry(restore, target, node, prefix,
			(size_t)(strrchr(prefix, '/') + 1 - prefix));
	restore_flush(restore);
	return QS_OK;
}

static enum qs_code
with_workers(struct restore *restore, const struct qs_node *node,
	const char *prefix, struct restore_folder *target, struct qs_err *err)
{
	const size_t count = restore->thread_count;
	struct qs_thread **threads = calloc(count, sizeof(*threads));
	enum qs_code rc = QS_OK;

	if (threads == NULL)
		return qs_fail_nomem(err, "restoring");
	for (size_t i = 0; rc == QS_OK && i < count; i++)
		rc = qs_thread_start(&threads[i], restore_work_run, restore,
			"restore", err);
	if (rc == QS_OK)
		rc = walk_or_one(restore, node, prefix, target, err);
	qs_queue_close(restore->ready);
	for (size_t i = 0; i < count; i++)
		qs_thread_join(threads[i]);
	free(threads);
	return rc;
}

static enum qs_code
verify_all(struct restore *restore, const struct qs_node *node,
	const char *prefix, struct qs_err *err)
{
	restore->number = 0;
	if (node->type == QS_NODE_DIR)
		return restore_verify(restore, &node->content, prefix, err);
	if (node->type == QS_NODE_FILE)
		restore_verify_file(restore, node, prefix,
			(size_t)(strrchr(prefix, '/') + 1 - prefix));
	return QS_OK;
}

static enum qs_code
run(struct restore *restore, const struct qs_node *node, const char *prefix,
	const struct qs_snapshot *snapshot, struct qs_err *err)
{
	struct restore_folder *target = NULL;
	enum qs_code rc = restore_target_open(restore,
		node->type == QS_NODE_DIR ? prefix : "", &target, err);

	if (rc != QS_OK)
		return rc;
	restore->target_fd = target->fd;
	warn_space(restore, snapshot);
	rc = with_workers(restore, node, prefix, target, err);
	if (rc == QS_OK && restore->failure.code == QS_OK &&
	    target->fd >= 0 && !restore->options->dry_run) {
		/* One for all: each file alone would cost a disk's turn. */
		if (syncfs(target->fd) != 0 && errno != ENOSYS &&
		    errno != EINVAL)
			rc = qs_fail_errno(err, "target %s: cannot sync",
				restore->options->target);
		if (rc == QS_OK && restore->options->verify)
			rc = verify_all(restore, node, prefix, err);
	}
	restore_folder_drop(restore, target);
	if (rc == QS_OK && restore->failure.code != QS_OK) {
		*err = restore->failure;
		rc = err->code;
	}
	return rc;
}

/* "/a/b" from what the user gave; "" for the root. */
static enum qs_code
make_prefix(const char *subpath, struct qs_buf *prefix, struct qs_err *err)
{
	enum qs_code rc = QS_OK;

	while (rc == QS_OK && subpath != NULL && *subpath != '\0') {
		const size_t len = strcspn(subpath, "/");

		if (len > 0) {
			rc = qs_buf_append(prefix, "/", 1, err);
			if (rc == QS_OK)
				rc = qs_buf_append(prefix, subpath, len, err);
		}
		subpath += len;
		subpath += *subpath == '/';
	}
	return rc == QS_OK ? qs_buf_append(prefix, "", 1, err) : rc;
}

static void
fill_result(const struct restore *restore, struct qs_restore_result *out)
{
	*out = (struct qs_restore_result){
		.files_restored = restore->files_restored,
		.files_skipped = restore->files_skipped,
		.files_deleted = restore->files_deleted,
		.dirs = restore->dirs,
		.others = restore->others,
		.total_files = restore->total_files,
		.total_bytes = restore->total_bytes,
		.bytes_restored = restore->bytes_restored,
		.bytes_skipped = restore->bytes_skipped,
		.errors = restore->errors,
		.verified = restore->verified,
	};
}

/* Is the root only on the way to what was saved? */
static bool
is_made_up(const struct qs_snapshot *snapshot)
{
	for (size_t i = 0; i < snapshot->path_count; i++)
		if (strcmp(snapshot->paths[i], "/") == 0)
			return false;
	return true;
}

enum qs_code
qs_restore_tree(struct qs_source *source, const struct qs_content *root,
	const struct qs_snapshot *snapshot,
	const struct qs_restore_options *options,
	const struct qs_report *report, struct qs_restore_result *out,
	struct qs_err *err)
{
	struct restore restore = {.source = source, .root = root,
		.options = options, .report = report, .target_fd = -1};
	struct qs_buf bytes = {NULL, 0, 0}, prefix = {NULL, 0, 0};
	struct qs_node node;
	enum qs_code rc;

	restore.failure.code = QS_OK;
	(void)pthread_mutex_init(&restore.lock, NULL);
	(void)pthread_cond_init(&restore.link_done, NULL);
	(void)pthread_cond_init(&restore.job_done, NULL);
	rc = set_up(&restore, err);
	if (rc == QS_OK)
		rc = make_prefix(options->subpath, &prefix, err);
	if (rc == QS_OK)
		rc = qs_tree_find(source, root, (const char *)prefix.data,
			&bytes, &node, err);
	if (rc == QS_OK && prefix.len == 1 && snapshot != NULL)
		node.is_partial = is_made_up(snapshot);
	if (rc == QS_OK)
		rc = run(&restore, &node, (const char *)prefix.data, snapshot,
			err);
	if (rc == QS_OK) {
		restore_tell_dropped(&restore);
		fill_result(&restore, out);
	}
	tear_down(&restore);
	qs_buf_clear(&prefix);
	qs_buf_clear(&bytes);
	return rc;
}

enum qs_code
qs_restore(struct qs_folder *folder, const struct qs_snapshot *snapshot,
	const struct qs_restore_options *options,
	const struct qs_report *report, struct qs_restore_result *out,
	struct qs_err *err)
{
	const struct qs_content root = qs_snapshot_root(snapshot);
	struct qs_source *source = NULL;
	enum qs_code rc = qs_source_new(folder, RESTORE_CACHE, &source, err);

	if (rc == QS_OK)
		rc = qs_restore_tree(source, &root, snapshot, options, report,
			out, err);
	qs_source_free(source);
	return rc;
}
