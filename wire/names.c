/* SPDX-License-Identifier: ISC */
/* Names of qubes, hub folders and principals: one rule for all of them. */
#include "wire/wire.h"

#define NAME_LEN_MAX 63

static bool
is_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

bool
qs_wire_name_ok(const char *name)
{
	size_t len = 0;

	for (; name[len] != '\0'; len++) {
		char c = name[len];

		if (len == NAME_LEN_MAX)
			return false;
		if (is_alnum(c))
			continue;
		if (len == 0 || (c != '.' && c != '_' && c != '-'))
			return false;
		/* A path never goes up, whatever it is joined with. */
		if (c == '.' && name[len - 1] == '.')
			return false;
	}
	return len > 0;
}
