/* SPDX-License-Identifier: ISC */
/* The options of qstore snapshot, and what is made of them. */
#ifndef QS_CMD_SNAPSHOT_INTERNAL_H
#define QS_CMD_SNAPSHOT_INTERNAL_H

#include "cli/cli_internal.h"

struct qs_snapshot_options {
	struct qs_cli_list exclude, iexclude, exclude_files, if_present;
	struct qs_cli_list files_from, files_verbatim, files_raw, tags;
	uint64_t larger_than;
	const char *host, *time, *parent, *stdin_name;
	bool exclude_caches, one_file_system, force, skip_if_unchanged;
	bool from_stdin, dry_run, no_scan;
	unsigned readers;
};

/* What to save: the words and the files of --files-from. */
QS_MUST_CHECK enum qs_code qs_snapshot_paths(
	const struct qs_snapshot_options *options, char *const *words,
	size_t count, struct qs_cli_list *out, struct qs_err *err);
/* The user's patterns, and our own files. */
QS_MUST_CHECK enum qs_code qs_snapshot_excludes(const struct qs_cli *cli,
	const struct qs_snapshot_options *options,
	const struct qs_cli_list *paths, struct qs_patterns **out,
	struct qs_err *err);
/* The rest but paths, exclude and parent. */
QS_MUST_CHECK enum qs_code qs_snapshot_fill(const struct qs_cli *cli,
	const struct qs_snapshot_options *options,
	struct qs_create_options *out, struct qs_err *err);

#endif
