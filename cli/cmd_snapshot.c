/* SPDX-License-Identifier: ISC */
/* qstore snapshot (alias backup): save files as they are now. */
#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli/cmd_snapshot_internal.h"

#define AT(field) offsetof(struct qs_snapshot_options, field)

static const struct qs_cli_option option_table[] = {
	{"exclude", 'e', QS_CLI_LIST, AT(exclude), "PATTERN",
		"leave out what matches"},
	{"iexclude", 0, QS_CLI_LIST, AT(iexclude), "PATTERN",
		"the same, whatever the case"},
	{"exclude-file", 0, QS_CLI_LIST, AT(exclude_files), "FILE",
		"patterns from FILE, one a line"},
	{"exclude-caches", 0, QS_CLI_FLAG, AT(exclude_caches), NULL,
		"leave out folders marked with CACHEDIR.TAG"},
	{"exclude-if-present", 0, QS_CLI_LIST, AT(if_present), "NAME[:HEAD]",
		"leave out folders that have this file"},
	{"exclude-larger-than", 0, QS_CLI_SIZE, AT(larger_than), "SIZE",
		"leave out larger files"},
	{"files-from", 0, QS_CLI_LIST, AT(files_from), "FILE",
		"what to save: patterns from FILE (- : stdin)"},
	{"files-from-verbatim", 0, QS_CLI_LIST, AT(files_verbatim), "FILE",
		"what to save: paths from FILE, one a line"},
	{"files-from-raw", 0, QS_CLI_LIST, AT(files_raw), "FILE",
		"what to save: paths from FILE, NUL after each"},
	{"one-file-system", 'x', QS_CLI_FLAG, AT(one_file_system), NULL,
		"do not enter other file systems"},
	{"tag", 0, QS_CLI_COMMAS, AT(tags), "TAG[,TAG...]",
		"tags of the snapshot"},
	{"host", 'H', QS_CLI_TEXT, AT(host), "HOST",
		"this machine's name (QSTORE_HOST)"},
	{"time", 0, QS_CLI_TEXT, AT(time), "TIME",
		"\"YYYY-MM-DD HH:MM:SS\" instead of now"},
	{"parent", 0, QS_CLI_TEXT, AT(parent), "SNAPSHOT",
		"compare with this one"},
	{"force", 'f', QS_CLI_FLAG, AT(force), NULL,
		"read every file, changed or not"},
	{"skip-if-unchanged", 0, QS_CLI_FLAG, AT(skip_if_unchanged), NULL,
		"save nothing when nothing has changed"},
	{"stdin", 0, QS_CLI_FLAG, AT(from_stdin), NULL,
		"save what standard input gives"},
	{"stdin-filename", 0, QS_CLI_TEXT, AT(stdin_name), "NAME",
		"the name for it (default: stdin)"},
	{"dry-run", 'n', QS_CLI_FLAG, AT(dry_run), NULL, "save nothing"},
	{"read-concurrency", 0, QS_CLI_NUMBER, AT(readers), "N",
		"files to read at once"},
	{"no-scan", 0, QS_CLI_FLAG, AT(no_scan), NULL,
		"do not count first for the estimate"},
};

struct scan { /* counts for the estimate while files are saved */
	const struct qs_create_options *create;
	struct qs_progress progress;
};

static void
scan(void *arg)
{
	struct scan *job = arg;
	struct qs_err unused;

	/* What it stumbles over, create stumbles over and reports. */
	if (qs_create_scan(job->create, &job->progress, &unused) != QS_OK) {
		atomic_store(&job->progress.files_total, 0);
		atomic_store(&job->progress.bytes_total, 0);
	}
}

static enum qs_code
create(struct qs_cli *cli, struct qs_folder *folder, bool counts,
	const struct qs_create_options *create_options,
	struct qs_create_result *result, struct qs_err *err)
{
	struct scan job = {.create = create_options};
	struct qs_thread *thread = NULL;
	struct qs_view *view = NULL;
	struct qs_report report;
	enum qs_code rc = qs_view_open(cli, QS_VIEW_SNAPSHOT, counts ?
		&job.progress : NULL, &report, &view, err);

	if (rc == QS_OK && counts)
		rc = qs_thread_start(&thread, scan, &job, "scan", err);
	if (rc == QS_OK)
		rc = qs_create(folder, create_options, &report, result, err);
	/* The totals are of no use any more. */
	atomic_store(&job.progress.cancel, true);
	qs_thread_join(thread);
	(void)qs_view_close(view);
	return rc;
}

static void
tell_json(const struct qs_cli *cli, const struct qs_create_result *result,
	bool is_dry)
{
	const struct qs_totals *totals = &result->totals;
	struct qs_json json = qs_json(stdout);

	(void)cli;
	qs_json_open(&json, NULL, '{');
	qs_json_text(&json, "message_type", "summary");
	qs_json_bool(&json, "dry_run", is_dry);
	qs_json_number(&json, "files_new", totals->files_new);
	qs_json_number(&json, "files_changed", totals->files_changed);
	qs_json_number(&json, "files_unmodified", totals->files_unmodified);
	qs_json_number(&json, "dirs_new", totals->dirs_new);
	qs_json_number(&json, "dirs_changed", totals->dirs_changed);
	qs_json_number(&json, "dirs_unmodified", totals->dirs_unmodified);
	qs_json_number(&json, "data_blobs", totals->data_blobs);
	qs_json_number(&json, "tree_blobs", totals->tree_blobs);
	qs_json_number(&json, "data_added", totals->data_added);
	qs_json_number(&json, "data_added_packed", totals->data_added_packed);
	qs_json_number(&json, "total_files_processed", totals->files);
	qs_json_number(&json, "total_bytes_processed", totals->bytes);
	qs_json_real(&json, "total_duration", (double)totals->duration_ns /
		1e9);
	qs_json_number(&json, "num_errors", totals->errors);
	if (result->saved)
		qs_json_hex(&json, "snapshot_id", result->record.b,
			sizeof(result->record.b));
	qs_json_close(&json, '}');
	qs_json_end(&json);
}

static void
tell(const struct qs_cli *cli, const struct qs_create_result *result,
	const struct qs_folder *folder, bool is_dry)
{
	const struct qs_totals *totals = &result->totals;
	char added[QS_CLI_TEXT_LEN], stored[QS_CLI_TEXT_LEN];
	char bytes[QS_CLI_TEXT_LEN], time[QS_CLI_TEXT_LEN];
	char id[QS_CLI_SHORT + 1], token[QS_HEAD_TOKEN_LEN + 1];

	if (cli->global.json) {
		tell_json(cli, result, is_dry);
		return;
	}
	if (cli->global.quiet)
		return;
	qs_cli_bytes(totals->data_added, added);
	qs_cli_bytes(totals->data_added_packed, stored);
	qs_cli_bytes(totals->bytes, bytes);
	qs_cli_duration(totals->duration_ns / 1000000000, time);
	(void)printf("\nFiles:       %5" PRIu64 " new, %5" PRIu64
		" changed, %5" PRIu64 " unmodified\n", totals->files_new,
		totals->files_changed, totals->files_unmodified);
	(void)printf("Dirs:        %5" PRIu64 " new, %5" PRIu64
		" changed, %5" PRIu64 " unmodified\n", totals->dirs_new,
		totals->dirs_changed, totals->dirs_unmodified);
	(void)printf("%s the store: %s (%s stored)\n\n", is_dry ?
		"Would add to" : "Added to", added, stored);
	(void)printf("processed %" PRIu64 " files, %s in %s\n", totals->files,
		bytes, time);
	if (is_dry) {
		(void)puts("dry run: nothing was saved");
	} else if (!result->saved) {
		(void)puts("nothing has changed: no snapshot was saved");
	} else {
		qs_hex(id, result->record.b, QS_CLI_SHORT / 2);
		(void)printf("snapshot %s saved\n", id);
	}
	if (cli->global.verbose > 0) {
		qs_folder_head_token(folder, token);
		(void)printf("head %s\n", token);
	}
	if (totals->errors > 0)
		(void)fprintf(stderr, "warning: %" PRIu64 " file%s could not "
			"be read in full; the snapshot lacks %s\n",
			totals->errors, totals->errors == 1 ? "" : "s",
			totals->errors == 1 ? "it" : "them");
}

/* What names things once the folder is open: the parent. */
static enum qs_code
set_parent(const struct qs_folder *folder, const char *name,
	struct qs_create_options *create_options, struct qs_err *err)
{
	const char *sub = "";
	enum qs_code rc;

	if (name == NULL)
		return QS_OK;
	rc = qs_cli_snapshot(folder, name, NULL, &create_options->parent,
		&sub, err);
	create_options->trust_parent = true;
	return rc;
}

static bool
has_dash(const struct qs_cli_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		if (strcmp(list->items[i], "-") == 0)
			return true;
	return false;
}

static enum qs_code
run(struct qs_cli *cli, const void *opts, size_t argc, char **argv,
	struct qs_err *err)
{
	const struct qs_snapshot_options *options = opts;
	struct qs_cli_list paths = {NULL, 0, NULL, 0};
	struct qs_patterns *exclude = NULL;
	struct qs_folder *folder = NULL;
	struct qs_create_options full = {.stdin_fd = -1};
	struct qs_create_result result = {.saved = false};
	bool counts;
	enum qs_code rc;

	cli->read_stdin = options->from_stdin ||
		has_dash(&options->files_from) ||
		has_dash(&options->files_verbatim) ||
		has_dash(&options->files_raw) ||
		has_dash(&options->exclude_files);
	rc = qs_snapshot_paths(options, argv, argc, &paths, err);
	if (rc == QS_OK)
		rc = qs_snapshot_excludes(cli, options, &paths, &exclude,
			err);
	if (rc == QS_OK)
		rc = qs_snapshot_fill(cli, options, &full, err);
	if (rc == QS_OK)
		rc = qs_cli_open(cli, QS_CLI_WRITE, &folder, err);
	if (rc == QS_OK)
		rc = set_parent(folder, options->parent, &full, err);
	if (rc != QS_OK)
		goto out;
	full.paths = paths.items;
	full.path_count = paths.count;
	full.exclude = exclude;
	counts = qs_view_is_terminal(cli) && !options->no_scan &&
		!options->from_stdin;
	rc = create(cli, folder, counts, &full, &result, err);
	if (rc != QS_OK)
		goto out;
	if (result.totals.errors > 0)
		cli->partial = true;
	tell(cli, &result, folder, full.dry_run);
out:
	qs_folder_close(folder);
	qs_patterns_free(exclude);
	qs_cli_list_clear(&paths);
	return rc;
}

const struct qs_cli_command qs_cmd_snapshot = {
	.name = "snapshot",
	.alias = "backup",
	.args = "[OPTION...] PATH...",
	.brief = "save files as they are now",
	.example = "qstore snapshot --exclude '*.tmp' --tag daily ~/work",
	.options = option_table,
	.option_count = sizeof(option_table) / sizeof(option_table[0]),
	.options_size = sizeof(struct qs_snapshot_options),
	.can_repeat = true,
	.run = run,
};
