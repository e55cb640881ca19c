/* SPDX-License-Identifier: ISC */
/* qstore-hub: which stores a command is about. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/hub_internal.h"

enum qs_code
qs_hub_default_dir(char **out, struct qs_err *err)
{
	const char *home = getenv("HOME");

	if (home == NULL || home[0] != '/')
		return qs_fail(err, QS_EINVAL, "HOME is not set; say which "
			"hub with --hub DIR");
	if (asprintf(out, "%s/qstore", home) < 0)
		return qs_fail_nomem(err, "finding the hub");
	return QS_OK;
}

enum qs_code
qs_hub_default_acl(char **out, struct qs_err *err)
{
	char *dir = NULL;
	enum qs_code rc = qs_dir_xdg(QS_XDG_CONFIG, &dir, err);

	if (rc == QS_OK && asprintf(out, "%s/acl.conf", dir) < 0)
		rc = qs_fail_nomem(err, "finding the access list");
	free(dir);
	return rc;
}

static int
worse(int a, int b)
{
	return a == 1 || b == 1 ? 1 : a > b ? a : b;
}

static int
each_folder(const char *name, const char *path, qs_hub_store_fn fn, void *arg)
{
	struct qs_folder_list list = {0};
	struct qs_err err;
	enum qs_code rc = qs_store_folders(path, &list, &err);
	int status = 0;

	/* A hub folder that nothing was put in yet. */
	if (rc == QS_ENOSTORE && name != NULL)
		return 0;
	if (rc != QS_OK)
		return qs_hub_failed(&err);
	for (size_t i = 0; i < list.count; i++)
		status = worse(status, fn(arg, name, path, list.ids[i]));
	qs_folder_list_clear(&list);
	return status;
}

static int
by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

#define FOLDERS_MAX 4096

/* The names of the hub's folders, sorted. */
static enum qs_code
list_hub(const char *hub, char ***out, size_t *out_count, struct qs_err *err)
{
	char **names = calloc(FOLDERS_MAX, sizeof(*names));
	DIR *stream = opendir(hub);
	struct dirent *entry;
	size_t count = 0;

	if (names == NULL || stream == NULL) {
		(void)qs_fail_errno(err, "hub %s", hub);
		free(names);
		if (stream != NULL)
			(void)closedir(stream);
		return err->code;
	}
	while (count < FOLDERS_MAX && (entry = readdir(stream)) != NULL) {
		if (!qs_wire_name_ok(entry->d_name))
			continue;
		names[count] = strdup(entry->d_name);
		if (names[count] != NULL)
			count++;
	}
	(void)closedir(stream);
	if (count > 1)
		qsort(names, count, sizeof(*names), by_text);
	*out = names;
	*out_count = count;
	return QS_OK;
}

int
qs_hub_each(const char *hub, char *const *paths, size_t count,
	qs_hub_store_fn fn, void *arg)
{
	char *own = NULL, **names = NULL;
	size_t name_count = 0;
	struct qs_err err;
	enum qs_code rc = QS_OK;
	int status = 0;

	for (size_t i = 0; i < count; i++)
		status = worse(status, each_folder(NULL, paths[i], fn, arg));
	if (count > 0)
		return status;
	if (hub == NULL)
		rc = qs_hub_default_dir(&own, &err);
	if (rc == QS_OK)
		rc = list_hub(hub != NULL ? hub : own, &names, &name_count,
			&err);
	for (size_t i = 0; rc == QS_OK && i < name_count; i++) {
		char *path = NULL;

		if (asprintf(&path, "%s/%s", hub != NULL ? hub : own,
			names[i]) < 0) {
			rc = qs_fail_nomem(&err, "listing the hub");
			break;
		}
		status = worse(status, each_folder(names[i], path, fn, arg));
		free(path);
	}
	for (size_t i = 0; i < name_count; i++)
		free(names[i]);
	free(names);
	free(own);
	return rc == QS_OK ? status : qs_hub_failed(&err);
}
