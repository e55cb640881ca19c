/* SPDX-License-Identifier: ISC */
/* Which snapshots a command means. */
#include <stdlib.h>

#include "cli/cli_internal.h"

struct qs_filter
qs_cli_filter(const struct qs_cli_filter *options)
{
	return (struct qs_filter){
		.hosts = options->hosts.items,
		.host_count = options->hosts.count,
		.tags = options->tags.items,
		.tag_count = options->tags.count,
		.paths = options->paths.items,
		.path_count = options->paths.count,
	};
}

void
qs_cli_short_id(const struct qs_snapshot *snapshot,
	char out[static QS_CLI_SHORT + 1])
{
	qs_hex(out, snapshot->record.b, QS_CLI_SHORT / 2);
}

enum qs_code
qs_cli_snapshot(const struct qs_folder *folder, const char *text,
	const struct qs_cli_filter *filter, const struct qs_snapshot **out,
	const char **sub, struct qs_err *err)
{
	static const struct qs_cli_filter none;
	struct qs_filter narrow = qs_cli_filter(filter != NULL ? filter :
		&none);
	const char *colon = strchr(text, ':');
	char *id;
	enum qs_code rc;

	if (colon == NULL) {
		*sub = "";
		return qs_folder_find(folder, text, &narrow, out, err);
	}
	id = strndup(text, (size_t)(colon - text));
	if (id == NULL)
		return qs_fail_nomem(err, "finding a snapshot");
	rc = qs_folder_find(folder, id, &narrow, out, err);
	free(id);
	if (rc == QS_OK)
		*sub = colon + 1;
	return rc;
}

/* A new array for what is chosen from all; heap. */
static enum qs_code
new_list(size_t all, size_t count, const struct qs_snapshot ***out,
	struct qs_err *err)
{
	*out = calloc((all > count ? all : count) + 1,
		sizeof(const struct qs_snapshot *));
	return *out != NULL ? QS_OK : qs_fail_nomem(err,
		"choosing snapshots");
}

static bool
is_among(const struct qs_snapshot *const *list, size_t count,
	const struct qs_snapshot *one)
{
	for (size_t i = 0; i < count; i++) {
		if (list[i] == one)
			return true;
	}
	return false;
}

/* The remembered ones, or the forgotten ones. */
struct choice {
	size_t (*count)(const struct qs_folder *folder);
	const struct qs_snapshot *(*at)(const struct qs_folder *folder,
		size_t i);
	enum qs_code (*find)(const struct qs_folder *folder, const char *text,
		const struct qs_filter *filter, const struct qs_snapshot **out,
		struct qs_err *err);
};

static enum qs_code
choose(const struct choice *choice, const struct qs_folder *folder,
	char *const *ids, size_t count, const struct qs_cli_filter *filter,
	const struct qs_snapshot ***out, size_t *out_count,
	struct qs_err *err)
{
	const struct qs_filter narrow = qs_cli_filter(filter);
	const size_t all = choice->count(folder);
	const struct qs_snapshot **found;
	size_t n = 0;
	enum qs_code rc = new_list(all, count, &found, err);

	for (size_t i = 0; rc == QS_OK && count == 0 && i < all; i++) {
		const struct qs_snapshot *one = choice->at(folder, i);

		if (qs_filter_match(&narrow, one))
			found[n++] = one;
	}
	for (size_t i = 0; rc == QS_OK && i < count; i++) {
		rc = choice->find(folder, ids[i], &narrow, &found[n], err);
		if (rc == QS_OK && !is_among(found, n, found[n]))
			n++;
	}
	if (rc != QS_OK) {
		free((void *)(uintptr_t)found);
		return rc;
	}
	*out = found;
	*out_count = n;
	return QS_OK;
}

enum qs_code
qs_cli_snapshots(const struct qs_folder *folder, char *const *ids,
	size_t count, const struct qs_cli_filter *filter,
	const struct qs_snapshot ***out, size_t *out_count,
	struct qs_err *err)
{
	static const struct choice remembered = {qs_folder_snapshot_count,
		qs_folder_snapshot, qs_folder_find};

	return choose(&remembered, folder, ids, count, filter, out, out_count,
		err);
}

/* "latest" says nothing of these, so there is nothing to narrow. */
static enum qs_code
find_forgotten(const struct qs_folder *folder, const char *text,
	const struct qs_filter *filter, const struct qs_snapshot **out,
	struct qs_err *err)
{
	(void)filter;
	return qs_forgotten_find(folder, text, out, err);
}

enum qs_code
qs_cli_forgotten(const struct qs_folder *folder, char *const *ids,
	size_t count, const struct qs_cli_filter *filter,
	const struct qs_snapshot ***out, size_t *out_count,
	struct qs_err *err)
{
	static const struct choice forgotten = {qs_forgotten_count,
		qs_forgotten, find_forgotten};

	return choose(&forgotten, folder, ids, count, filter, out, out_count,
		err);
}
