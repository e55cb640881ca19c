/* SPDX-License-Identifier: ISC */
/*
 * restore_report: what is told, what stops the run, which nodes are selected
 * and which were written.
 */
#include "snapshot/restore_internal.h"

/* ------------------------------------------------------------- reporting */

static void
tell(struct restore *restore, const struct qs_event *event)
{
	if (restore->report->event == NULL)
		return;
	pthread_mutex_lock(&restore->lock);
	restore->report->event(restore->report->arg, event);
	pthread_mutex_unlock(&restore->lock);
}

void
restore_event(struct restore *restore, enum qs_event_kind kind,
	const char *path, const struct qs_node *node)
{
	const struct qs_event event = {.kind = kind, .path = path,
		.type = node->type, .size = node->size};

	tell(restore, &event);
}

void
restore_note(struct restore *restore, const char *path,
	const struct qs_err *err)
{
	const struct qs_event event = {.kind = QS_EVENT_WARNING,
		.path = path, .err = err};

	tell(restore, &event);
}

void
restore_warn(struct restore *restore, const char *path,
	const struct qs_err *err)
{
	/* These befall every file to come, too. */
	if (err->code == QS_ENOSPC || err->code == QS_ENOMEM ||
	    err->code == QS_ECANCELED) {
		struct qs_err fatal = *err;

		(void)qs_fail_while(&fatal, "%s",
			path == NULL ? "target" : path);
		restore_stop(restore, &fatal);
		return;
	}
	(void)atomic_fetch_add(&restore->errors, 1);
	(void)atomic_fetch_add(&restore->report->progress->errors, 1);
	restore_note(restore, path, err);
}

void
restore_stop(struct restore *restore, const struct qs_err *err)
{
	pthread_mutex_lock(&restore->lock);
	if (restore->failure.code == QS_OK)
		restore->failure = *err;
	pthread_mutex_unlock(&restore->lock);
	atomic_store(&restore->is_stopped, true);
}

bool
restore_stopped(struct restore *restore)
{
	struct qs_err err;

	if (atomic_load(&restore->is_stopped))
		return true;
	if (!atomic_load(&restore->report->progress->cancel))
		return false;
	(void)qs_fail(&err, QS_ECANCELED, "restoring was interrupted");
	restore_stop(restore, &err);
	return true;
}

bool
restore_selects(const struct restore *restore, const char *path, bool *below)
{
	const struct qs_restore_options *options = restore->options;

	*below = false;
	if (options->exclude != NULL &&
	    qs_patterns_match(options->exclude, path, NULL))
		return false;
	if (options->include == NULL || qs_patterns_empty(options->include))
		return true;
	return qs_patterns_match(options->include, path, below);
}

/* The folders' names are kept once: a long path costs when it is told only. */
enum qs_code
restore_folder_path(const struct restore_folder *folder, struct qs_buf *out,
	struct qs_err *err)
{
	const struct restore_folder *at;
	size_t len = 0;
	enum qs_code rc;

	for (at = folder; at->parent != NULL; at = at->parent)
		len += strlen(at->name) + 1;
	len += strlen(at->name); /* the target: "" or "/a/b" */
	rc = qs_buf_reserve(out, len + 1, err);
	if (rc != QS_OK)
		return rc;
	out->len = len;
	out->data[len] = '\0';
	for (at = folder; at != NULL; at = at->parent) {
		const size_t part = strlen(at->name);

		len -= part;
		memcpy(out->data + len, at->name, part);
		if (at->parent != NULL)
			out->data[--len] = '/';
	}
	return QS_OK;
}

void
restore_warn_folder(struct restore *restore,
	const struct restore_folder *folder, const struct qs_err *err)
{
	struct qs_buf path = {NULL, 0, 0};
	struct qs_err trouble;

	if (restore_folder_path(folder, &path, &trouble) != QS_OK)
		restore_warn(restore, folder->name, err);
	else
		restore_warn(restore, path.len == 0 ? "/" :
			(const char *)path.data, err);
	qs_buf_clear(&path);
}

enum qs_code
restore_number(struct restore *restore, uint64_t *number, struct qs_err *err)
{
	enum qs_code rc = QS_OK;
	uint8_t *more;

	if (restore->options->verify &&
	    restore->number / 8 >= restore->marks.len) {
		pthread_mutex_lock(&restore->lock);
		rc = qs_buf_extend(&restore->marks, 4096, &more, err);
		if (rc == QS_OK)
			memset(more, 0, 4096);
		pthread_mutex_unlock(&restore->lock);
	}
	if (rc == QS_OK)
		*number = restore->number++;
	return rc;
}

void
restore_mark(struct restore *restore, uint64_t number)
{
	if (!restore->options->verify)
		return;
	pthread_mutex_lock(&restore->lock);
	if (number / 8 < restore->marks.len)
		restore->marks.data[number / 8] |= (uint8_t)(1u << number % 8);
	pthread_mutex_unlock(&restore->lock);
}

bool
restore_is_marked(struct restore *restore, uint64_t number)
{
	return number / 8 < restore->marks.len &&
		(restore->marks.data[number / 8] >> number % 8 & 1) != 0;
}

static void
tell_count(struct restore *restore, uint64_t count, const char *what)
{
	struct qs_err err;

	if (count == 0)
		return;
	(void)qs_fail(&err, QS_EUNSUPPORTED, "%llu %s",
		(unsigned long long)count, what);
	restore_note(restore, NULL, &err);
}

void
restore_tell_dropped(struct restore *restore)
{
	tell_count(restore, restore->dropped_modes, "files were restored "
		"without their setuid, setgid or sticky bits");
	tell_count(restore, restore->dropped_xattrs, "privileged attributes "
		"(trusted.*, capabilities) were left out");
	tell_count(restore, restore->dropped_devices,
		"device nodes were left out");
	tell_count(restore, restore->refused_xattrs, "extended attributes "
		"were left out: the target's file system takes none");
}
