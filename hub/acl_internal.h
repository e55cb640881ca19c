/* SPDX-License-Identifier: ISC */
/* The access list parsed, for its tests and fuzzer; and who a user is. */
#ifndef QS_ACL_INTERNAL_H
#define QS_ACL_INTERNAL_H

#include "hub/hub.h"

#define QS_ACL_MAX (1u << 20) /* bytes of a list */
#define QS_ACL_NAME 64        /* a name and its NUL */
#define QS_ACL_CONNECTIONS_MAX 1024

struct qs_acl_line {
	enum qs_principal_kind kind;
	char who[QS_ACL_NAME], folder[QS_ACL_NAME];
	struct qs_grant grant;
	unsigned number; /* of the line, from 1 */
};

struct qs_acl { /* owned; sorted by kind, who, folder */
	struct qs_acl_line *lines;
	size_t count, cap;
};

/* path is for messages.  QS_EINVAL: "path:line: what is wrong". */
QS_MUST_CHECK enum qs_code qs_acl_parse(struct qs_span text, const char *path,
	struct qs_acl *out, struct qs_err *err);
void qs_acl_clear(struct qs_acl *acl);
/* "qube:NAME", "key:NAME", "user:NAME" or "user:UID"; else false. */
bool qs_acl_principal(const char *text, enum qs_principal_kind *kind,
	char who[static QS_ACL_NAME]);
/*
 * The other way to write a user: the name of a uid, the uid of a name; false
 * when there is none that a list could have.
 */
bool qs_acl_other_user(const char *who, char other[static QS_ACL_NAME]);

#endif
