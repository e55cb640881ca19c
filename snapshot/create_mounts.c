/* SPDX-License-Identifier: ISC */
/*
 * create_mounts: is a file system one of qstore's own mounts?  Saving all
 * snapshots into the next one would multiply them.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/sysmacros.h>

#include "snapshot/create_list_internal.h"

/* A line of mountinfo(5): id, parent, major:minor ... - type ... */
static bool
is_line_of(char *line, uint64_t dev)
{
	unsigned major_number, minor_number;
	const char *type = strstr(line, " - ");

	return type != NULL && sscanf(line, "%*u %*u %u:%u", &major_number,
		&minor_number) == 2 && major_number == major(dev) &&
		minor_number == minor(dev) &&
		strncmp(type + 3, "fuse.qstore ", 12) == 0;
}

bool
create_is_own_mount(uint64_t dev)
{
	FILE *table = fopen("/proc/self/mountinfo", "re");
	char *line = NULL;
	size_t cap = 0;
	bool is_own = false;

	if (table == NULL)
		return false;
	while (!is_own && getline(&line, &cap, table) > 0)
		is_own = is_line_of(line, dev);
	free(line);
	(void)fclose(table);
	return is_own;
}

/* Spaces and the like are written as \ooo. */
static void
unescape(char *text)
{
	char *out = text;

	for (const char *in = text; *in != '\0'; out++) {
		unsigned byte;
		int len = 0;

		if (sscanf(in, "\\%3o%n", &byte, &len) == 1 && len == 4) {
			*out = (char)byte;
			in += len;
		} else {
			*out = *in++;
		}
	}
	*out = '\0';
}

/* The fifth word of the line is where it is mounted. */
static bool
is_line_at(char *line, const char *path)
{
	const char *type = strstr(line, " - ");
	char *point = line, *end;

	if (type == NULL || strncmp(type + 3, "fuse.qstore ", 12) != 0)
		return false;
	for (int i = 0; i < 4; i++) {
		point = strchr(point, ' ');
		if (point == NULL)
			return false;
		point++;
	}
	end = strchr(point, ' ');
	if (end == NULL)
		return false;
	*end = '\0';
	unescape(point);
	return strcmp(point, path) == 0;
}

bool
create_is_closed_mount(int at_fd, const char *name)
{
	char self[40], *folder = NULL, *path = NULL, *line = NULL;
	FILE *table = fopen("/proc/self/mountinfo", "re");
	size_t cap = 0;
	bool is_ours = false;

	/* The path at which the kernel has it, whatever led here. */
	(void)snprintf(self, sizeof(self), "/proc/self/fd/%d", at_fd);
	folder = realpath(self, NULL);
	if (table != NULL && folder != NULL && asprintf(&path, "%s/%s",
	    strcmp(folder, "/") == 0 ? "" : folder, name) < 0)
		path = NULL;
	while (path != NULL && !is_ours && getline(&line, &cap, table) > 0)
		is_ours = is_line_at(line, path);
	free(line);
	free(path);
	free(folder);
	if (table != NULL)
		(void)fclose(table);
	return is_ours;
}
