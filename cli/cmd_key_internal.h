/* SPDX-License-Identifier: ISC */
/* The parts of qstore key that change slots. */
#ifndef QS_CMD_KEY_INTERNAL_H
#define QS_CMD_KEY_INTERNAL_H

#include "cli/cli_internal.h"

struct qs_key_options {
	const char *label, *new_file, *new_key_file;
	bool no_admin;
};

QS_MUST_CHECK enum qs_code qs_key_add(struct qs_cli *cli,
	const struct qs_key_options *options, struct qs_err *err);
QS_MUST_CHECK enum qs_code qs_key_remove(struct qs_cli *cli,
	const char *prefix, struct qs_err *err);
QS_MUST_CHECK enum qs_code qs_key_passwd(struct qs_cli *cli,
	const struct qs_key_options *options, struct qs_err *err);
QS_MUST_CHECK enum qs_code qs_key_recovery(struct qs_cli *cli,
	const struct qs_key_options *options, struct qs_err *err);

#endif
