/* SPDX-License-Identifier: ISC */
/* mount_names: file names out of times, ids, hosts and tags. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "fuse/mount_internal.h"

enum qs_code
mount_name_of(const char *text, char **out, struct qs_err *err)
{
	char *name = strndup(*text == '\0' ? "_" : text, QS_NAME_MAX);

	if (name == NULL)
		return qs_fail_nomem(err, "reading the snapshots");
	for (char *at = name; *at != '\0'; at++) {
		if (*at == '/')
			*at = '_';
	}
	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		name[0] = '_';
	*out = name;
	return QS_OK;
}

static int
by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

size_t
mount_names_sort(char **names, size_t count)
{
	size_t kept = 0;

	if (count == 0)
		return 0;
	qsort(names, count, sizeof(*names), by_text);
	for (size_t i = 1; i < count; i++) {
		if (strcmp(names[kept], names[i]) == 0)
			free(names[i]);
		else
			names[++kept] = names[i];
	}
	return kept + 1;
}

/* "2026-11-24_10-52-23", local time: a name on every system. */
static void
time_name(int64_t ns, char out[static 64])
{
	const time_t seconds = (time_t)(ns / 1000000000 -
		(ns % 1000000000 < 0));
	struct tm tm;

	if (localtime_r(&seconds, &tm) == NULL ||
	    strftime(out, 64, "%Y-%m-%d_%H-%M-%S", &tm) == 0)
		(void)snprintf(out, 64, "%lld", (long long)ns);
}

struct sorting {
	char *name;
	struct mount_shot *shot;
};

static int
by_name_then_place(const void *a, const void *b)
{
	const struct sorting *x = a, *y = b;
	const int order = strcmp(x->name, y->name);

	return order != 0 ? order : (x->shot > y->shot) -
		(x->shot < y->shot);
}

/*
 * The oldest of several has the plain name, and keeps it when others come; the
 * others have the id behind it.
 */
static enum qs_code
name_times(struct sorting *sorted, size_t count, struct qs_err *err)
{
	qsort(sorted, count, sizeof(*sorted), by_name_then_place);
	for (size_t i = 0; i < count; i++) {
		struct mount_shot *shot = sorted[i].shot;
		char hex[QS_HEX_LEN + 1];
		int len;

		qs_hex(hex, shot->record.b, sizeof(shot->record.b));
		if (i == 0 || strcmp(sorted[i].name, sorted[i - 1].name) != 0)
			len = asprintf(&shot->time_name, "%s",
				sorted[i].name);
		else
			len = asprintf(&shot->time_name, "%s_%.16s",
				sorted[i].name, hex);
		if (len < 0) {
			shot->time_name = NULL;
			return qs_fail_nomem(err, "reading the snapshots");
		}
	}
	return QS_OK;
}

static int
by_record(const void *a, const void *b)
{
	const struct sorting *x = a, *y = b;

	return memcmp(x->shot->record.b, y->shot->record.b, 32);
}

/* 8 digits, or all where others begin with the same. */
static enum qs_code
name_ids(struct sorting *sorted, size_t count, struct qs_err *err)
{
	qsort(sorted, count, sizeof(*sorted), by_record);
	for (size_t i = 0; i < count; i++) {
		const uint8_t *id = sorted[i].shot->record.b;
		const bool is_twin = (i > 0 && memcmp(id,
			sorted[i - 1].shot->record.b, 4) == 0) ||
			(i + 1 < count && memcmp(id,
			sorted[i + 1].shot->record.b, 4) == 0);
		char hex[QS_HEX_LEN + 1];

		qs_hex(hex, id, is_twin ? 32 : 4);
		sorted[i].shot->id_name = strdup(hex);
		if (sorted[i].shot->id_name == NULL)
			return qs_fail_nomem(err, "reading the snapshots");
	}
	return QS_OK;
}

enum qs_code
mount_names_shots(struct mount_view *view, struct qs_err *err)
{
	struct sorting *sorted = calloc(view->count + 1, sizeof(*sorted));
	enum qs_code rc = QS_OK;

	if (sorted == NULL)
		return qs_fail_nomem(err, "reading the snapshots");
	for (size_t i = 0; i < view->count; i++) {
		char name[64];

		time_name(view->shots[i].time_ns, name);
		sorted[i].shot = &view->shots[i];
		sorted[i].name = strdup(name);
		if (sorted[i].name == NULL) {
			rc = qs_fail_nomem(err, "reading the snapshots");
			goto out;
		}
	}
	rc = name_times(sorted, view->count, err);
	if (rc == QS_OK)
		rc = name_ids(sorted, view->count, err);
out:
	for (size_t i = 0; i < view->count; i++)
		free(sorted[i].name);
	free(sorted);
	return rc;
}
