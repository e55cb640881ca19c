/* SPDX-License-Identifier: ISC */
/* On top of folder_rig.h: files saved in snapshots, and what is told of it. */
#ifndef QS_SNAPSHOT_RIG_H
#define QS_SNAPSHOT_RIG_H

#include "folder_rig.h"

struct told { /* the warnings */
	struct qs_progress progress;
	struct qs_report report;
	char text[1 << 20];
	size_t count;
};

static void
told_event(void *arg, const struct qs_event *event)
{
	struct told *told = arg;
	const size_t used = strlen(told->text);

	if (event->kind != QS_EVENT_WARNING)
		return;
	told->count++;
	(void)snprintf(told->text + used, sizeof(told->text) - used,
		"%s: %s\n", event->path == NULL ? "-" : event->path,
		event->err->msg);
}

static inline struct told *
told_new(void)
{
	struct told *told = calloc(1, sizeof(*told));

	told->report = (struct qs_report){told_event, told, &told->progress};
	return told;
}

static inline void
told_says(const struct told *told, const char *words)
{
	if (strstr(told->text, words) == NULL)
		fail_msg("nothing was told of: %s, but\n%s", words,
			told->text);
}

/* A snapshot of <root>/files; it is the folder's newest. */
static inline const struct qs_snapshot *
rig_snap(struct rig *rig, struct qs_folder *folder)
{
	char path[160];
	const char *paths[] = {path};
	const struct qs_create_options options = {.paths = paths,
		.path_count = 1, .level = QS_LEVEL_FASTEST, .stdin_fd = -1,
		.force = true};
	struct told *told = told_new();
	struct qs_create_result result;

	(void)snprintf(path, sizeof(path), "%s/files", rig->root);
	OK(qs_create(folder, &options, &told->report, &result, &err));
	assert_string_equal(told->text, "");
	assert_true(result.saved);
	free(told);
	for (size_t i = qs_folder_snapshot_count(folder); i > 0; i--) {
		const struct qs_snapshot *snapshot =
			qs_folder_snapshot(folder, i - 1);

		if (memcmp(snapshot->record.b, result.record.b, 32) == 0)
			return snapshot;
	}
	fail_msg("the snapshot is not among the folder's");
	return NULL;
}

#endif
