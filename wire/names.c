/* SPDX-License-Identifier: ISC */
/* Names that go through other programs' hands. */
#include "wire/wire.h"

#define NAME_LEN_MAX 63

bool
qs_wire_name_ok(const char *name)
{
	size_t len = strlen(name);

	/*
	 * What dom0 lets through unchanged (it replaces other bytes, so that
	 * two names could become one), and no option, hidden file or way up.
	 */
	return len >= 1 && len <= NAME_LEN_MAX &&
		strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789._-") ==
			len &&
		name[0] != '.' && name[0] != '_' && name[0] != '-' &&
		strstr(name, "..") == NULL;
}
