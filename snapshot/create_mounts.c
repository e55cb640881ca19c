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
