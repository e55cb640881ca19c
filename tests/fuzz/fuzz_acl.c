/* SPDX-License-Identifier: ISC */
/*
 * Fuzz target: the access list's parser.  What it takes holds names that are
 * names and numbers within bounds, each principal and folder once.
 */
#include <stdlib.h>

#include "hub/acl_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_line(const struct qs_acl_line *line)
{
	const struct qs_grant *grant = &line->grant;

	if (!qs_wire_name_ok(line->who) || !qs_wire_name_ok(line->folder) ||
		line->kind > QS_PRINCIPAL_USER ||
		grant->mode < QS_MODE_RO || grant->mode > QS_MODE_TRANSFER ||
		grant->quota > INT64_MAX || grant->rate > INT64_MAX ||
		grant->connections > QS_ACL_CONNECTIONS_MAX)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct qs_acl acl = {0};
	struct qs_err err;
	enum qs_code rc = qs_acl_parse(qs_span(data, size), "acl", &acl,
		&err);

	if (rc != QS_OK) {
		if ((rc != QS_EINVAL && rc != QS_ENOMEM) || err.code != rc ||
			acl.lines != NULL)
			abort();
		return 0;
	}
	for (size_t i = 0; i < acl.count; i++) {
		check_line(&acl.lines[i]);
		for (size_t j = 0; j < i && i < 64; j++)
			if (acl.lines[i].kind == acl.lines[j].kind &&
				strcmp(acl.lines[i].who,
					acl.lines[j].who) == 0 &&
				strcmp(acl.lines[i].folder,
					acl.lines[j].folder) == 0)
				abort();
	}
	qs_acl_clear(&acl);
	return 0;
}
