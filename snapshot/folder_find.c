/* SPDX-License-Identifier: ISC */
/* How people say which snapshot they mean. */
#include <stdio.h>

#include "snapshot/folder_internal.h"

#define PREFIX_MIN 4

static bool
has_text(char *const *texts, size_t count, const char *text, size_t len)
{
	for (size_t i = 0; i < count; i++) {
		if (strncmp(texts[i], text, len) == 0 && texts[i][len] == '\0')
			return true;
	}
	return false;
}

/* "a,b": both of them; "": a snapshot without any. */
static bool
has_all_tags(const struct qs_snapshot *snapshot, const char *list)
{
	if (list[0] == '\0')
		return snapshot->tag_count == 0;
	while (*list != '\0') {
		size_t len = strcspn(list, ",");

		if (len > 0 && !has_text(snapshot->tags, snapshot->tag_count,
			list, len))
			return false;
		list += len;
		list += *list == ',';
	}
	return true;
}

bool
qs_filter_match(const struct qs_filter *filter,
	const struct qs_snapshot *snapshot)
{
	bool found = filter->host_count == 0;

	for (size_t i = 0; !found && i < filter->host_count; i++)
		found = strcmp(filter->hosts[i], snapshot->host) == 0;
	if (!found)
		return false;
	found = filter->tag_count == 0;
	for (size_t i = 0; !found && i < filter->tag_count; i++)
		found = has_all_tags(snapshot, filter->tags[i]);
	if (!found)
		return false;
	for (size_t i = 0; i < filter->path_count; i++) {
		const char *path = filter->paths[i];

		if (!has_text(snapshot->paths, snapshot->path_count, path,
			strlen(path)))
			return false;
	}
	return true;
}

/* "latest" and "latest~N"; *back is N. */
static bool
parse_latest(const char *text, size_t *back)
{
	size_t n = 0;

	if (strncmp(text, "latest", 6) != 0)
		return false;
	text += 6;
	if (*text == '\0') {
		*back = 0;
		return true;
	}
	if (text[0] != '~' || text[1] == '\0' || strlen(text) > 10)
		return false;
	for (text++; *text != '\0'; text++) {
		if (*text < '0' || *text > '9')
			return false;
		n = n * 10 + (size_t)(*text - '0');
	}
	*back = n;
	return true;
}

static enum qs_code
find_latest(const struct qs_folder *folder, const char *text, size_t back,
	const struct qs_filter *filter, const struct qs_snapshot **out,
	struct qs_err *err)
{
	size_t matching = 0;

	for (size_t i = folder->snapshot_count; i > 0; i--) {
		const struct qs_snapshot *snapshot = folder->snapshots[i - 1];

		if (filter != NULL && !qs_filter_match(filter, snapshot))
			continue;
		if (matching++ == back) {
			*out = snapshot;
			return QS_OK;
		}
	}
	if (folder->snapshot_count == 0)
		return qs_fail(err, QS_ENOTFOUND, "no snapshot matches %s: "
			"there is none yet", text);
	if (matching == 0)
		return qs_fail(err, QS_ENOTFOUND, "no snapshot matches %s: "
			"none is of this host, path or tag", text);
	return qs_fail(err, QS_ENOTFOUND, "no snapshot matches %s: there "
		"%s only %zu", text, matching == 1 ? "is" : "are", matching);
}

/* Lower-case digits of text into out; false when it is no prefix. */
static bool
parse_prefix(const char *text, char out[static QS_HEX_LEN + 1])
{
	size_t len = strlen(text);

	if (len < PREFIX_MIN || len > QS_HEX_LEN)
		return false;
	for (size_t i = 0; i < len; i++) {
		char c = text[i];

		if (c >= 'A' && c <= 'F')
			c = (char)(c - 'A' + 'a');
		if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
			return false;
		out[i] = c;
	}
	out[len] = '\0';
	return true;
}

enum qs_code
qs_snapshots_find(struct qs_snapshot *const *snapshots, size_t count,
	const char *what, const char *text, const struct qs_snapshot **out,
	struct qs_err *err)
{
	const struct qs_snapshot *found = NULL;
	char prefix[QS_HEX_LEN + 1];
	size_t len;

	if (!parse_prefix(text, prefix))
		return qs_fail(err, QS_EINVAL, "%s does not name a %s: those "
			"are 4 to 64 hex digits", text, what);
	len = strlen(prefix);
	for (size_t i = 0; i < count; i++) {
		const struct qs_snapshot *snapshot = snapshots[i];
		char hex[QS_HEX_LEN + 1], other[QS_HEX_LEN + 1];

		qs_hex(hex, snapshot->record.b, 32);
		if (strncmp(hex, prefix, len) != 0)
			continue;
		if (found != NULL) {
			qs_hex(other, found->record.b, 32);
			return qs_fail(err, QS_EINVAL, "ambiguous: %s is the "
				"beginning of %.16s and %.16s", prefix, other,
				hex);
		}
		found = snapshot;
	}
	if (found == NULL)
		return qs_fail(err, QS_ENOTFOUND, "no %s matches %s", what,
			prefix);
	*out = found;
	return QS_OK;
}

/* Said of one that is not among those that are shown. */
static bool
is_forgotten(const struct qs_folder *folder, const char *text)
{
	const struct qs_snapshot *snapshot;
	struct qs_err ignored;

	return qs_snapshots_find(folder->forgotten, folder->forgotten_count,
		"snapshot", text, &snapshot, &ignored) == QS_OK;
}

enum qs_code
qs_folder_find(const struct qs_folder *folder, const char *text,
	const struct qs_filter *filter, const struct qs_snapshot **out,
	struct qs_err *err)
{
	char prefix[QS_HEX_LEN + 1];
	size_t back;
	enum qs_code rc;

	if (parse_latest(text, &back))
		return find_latest(folder, text, back, filter, out, err);
	if (parse_prefix(text, prefix)) {
		rc = qs_snapshots_find(folder->snapshots,
			folder->snapshot_count, "snapshot", text, out, err);
		if (rc == QS_ENOTFOUND && is_forgotten(folder, text))
			return qs_fail(err, rc, "snapshot %s is forgotten; "
				"qstore undelete %s brings it back", prefix,
				prefix);
		return rc;
	}
	return qs_fail(err, QS_EINVAL, "%s does not name a snapshot: it is "
		"\"latest\", \"latest~N\" or 4 to 64 hex digits", text);
}
