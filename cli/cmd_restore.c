/* SPDX-License-Identifier: ISC */
/* qstore restore: bring files back. */
#include <inttypes.h>
#include <stdlib.h>

#include "cli/cli_internal.h"

struct options {
	struct qs_cli_filter filter;
	struct qs_cli_list include, iinclude, exclude, iexclude;
	const char *target, *overwrite, *expect_head;
	bool delete_extra, verify, sparse, privileged, by_name, dry_run;
};

#define AT(field) offsetof(struct options, field)

static const struct qs_cli_option option_table[] = {
	{"target", 't', QS_CLI_TEXT, AT(target), "DIR",
		"where to; it is made if need be"},
	{"include", 'i', QS_CLI_LIST, AT(include), "PATTERN",
		"only what matches"},
	{"iinclude", 0, QS_CLI_LIST, AT(iinclude), "PATTERN",
		"the same, whatever the case"},
	{"exclude", 'e', QS_CLI_LIST, AT(exclude), "PATTERN",
		"all but what matches"},
	{"iexclude", 0, QS_CLI_LIST, AT(iexclude), "PATTERN",
		"the same, whatever the case"},
	{"overwrite", 0, QS_CLI_TEXT, AT(overwrite), "WHEN",
		"always, if-changed, if-newer or never"},
	{"delete", 0, QS_CLI_FLAG, AT(delete_extra), NULL,
		"delete what the snapshot does not have"},
	{"verify", 0, QS_CLI_FLAG, AT(verify), NULL,
		"read everything back and compare"},
	{"sparse", 0, QS_CLI_FLAG, AT(sparse), NULL,
		"runs of zeros become holes"},
	{"privileged", 0, QS_CLI_FLAG, AT(privileged), NULL,
		"setuid bits, devices, capabilities too"},
	{"ownership-by-name", 0, QS_CLI_FLAG, AT(by_name), NULL,
		"owners by name, not by number"},
	{"dry-run", 'n', QS_CLI_FLAG, AT(dry_run), NULL, "write nothing"},
	{"expect-head", 0, QS_CLI_TEXT, AT(expect_head), "TOKEN",
		"fail unless the store is as it was then"},
	{"host", 'H', QS_CLI_LIST, AT(filter.hosts), "HOST",
		"\"latest\" is this host's"},
	{"tag", 0, QS_CLI_LIST, AT(filter.tags), "TAG",
		"\"latest\" has this tag"},
	{"path", 0, QS_CLI_LIST, AT(filter.paths), "PATH",
		"\"latest\" is of this path"},
};

static enum qs_code
read_overwrite(const char *word, enum qs_overwrite *out, struct qs_err *err)
{
	static const char *const words[] = {
		[QS_OVERWRITE_ALWAYS] = "always",
		[QS_OVERWRITE_IF_CHANGED] = "if-changed",
		[QS_OVERWRITE_IF_NEWER] = "if-newer",
		[QS_OVERWRITE_NEVER] = "never",
	};

	*out = QS_OVERWRITE_ALWAYS;
	if (word == NULL)
		return QS_OK;
	for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcmp(word, words[i]) == 0) {
			*out = (enum qs_overwrite)i;
			return QS_OK;
		}
	}
	return qs_fail(err, QS_EINVAL, "--overwrite: \"%s\" is none of always,"
		" if-changed, if-newer, never", word);
}

static enum qs_code
make_patterns(const struct qs_cli_list *exact, const struct qs_cli_list *any,
	struct qs_patterns **out, struct qs_err *err)
{
	struct qs_patterns *patterns = NULL;
	enum qs_code rc;

	if (exact->count + any->count == 0)
		return QS_OK;
	rc = qs_patterns_new(&patterns, err);
	for (size_t i = 0; rc == QS_OK && i < exact->count; i++)
		rc = qs_patterns_add(patterns, exact->items[i], false, err);
	for (size_t i = 0; rc == QS_OK && i < any->count; i++)
		rc = qs_patterns_add(patterns, any->items[i], true, err);
	if (rc != QS_OK) {
		qs_patterns_free(patterns);
		return rc;
	}
	*out = patterns;
	return QS_OK;
}

static enum qs_code
check_head(const struct qs_folder *folder, const char *expected,
	struct qs_err *err)
{
	char token[QS_HEAD_TOKEN_LEN + 1];

	if (expected == NULL)
		return QS_OK;
	qs_folder_head_token(folder, token);
	if (strcasecmp(token, expected) == 0)
		return QS_OK;
	return qs_fail(err, QS_EROLLBACK, "the store's head is %s, not %s: it "
		"is older or newer than expected", token, expected);
}

static void
tell(const struct qs_cli *cli, const struct qs_restore_options *restore,
	const struct qs_restore_result *result, uint64_t seconds)
{
	char bytes[QS_CLI_TEXT_LEN], total[QS_CLI_TEXT_LEN];
	char time[QS_CLI_TEXT_LEN];

	if (cli->global.json) {
		struct qs_json json = qs_json(stdout);

		qs_json_open(&json, NULL, '{');
		qs_json_text(&json, "message_type", "summary");
		qs_json_number(&json, "seconds_elapsed", seconds);
		qs_json_number(&json, "total_files", result->total_files);
		qs_json_number(&json, "files_restored",
			result->files_restored);
		qs_json_number(&json, "files_skipped", result->files_skipped);
		qs_json_number(&json, "files_deleted", result->files_deleted);
		qs_json_number(&json, "total_bytes", result->total_bytes);
		qs_json_number(&json, "bytes_restored",
			result->bytes_restored);
		qs_json_number(&json, "bytes_skipped", result->bytes_skipped);
		qs_json_number(&json, "files_verified", result->verified);
		qs_json_number(&json, "num_errors", result->errors);
		qs_json_bool(&json, "dry_run", restore->dry_run);
		qs_json_close(&json, '}');
		qs_json_end(&json);
		return;
	}
	if (cli->global.quiet)
		return;
	qs_cli_bytes(result->bytes_restored, bytes);
	qs_cli_bytes(result->total_bytes, total);
	qs_cli_duration(seconds, time);
	(void)printf("Summary: %s %" PRIu64 " / %" PRIu64 " files (%s / %s) "
		"and %" PRIu64 " folders in %s\n", restore->dry_run ?
		"would restore" : "restored", result->files_restored,
		result->total_files, bytes, total, result->dirs, time);
	if (result->files_skipped > 0)
		(void)printf("left as they were: %" PRIu64 " files\n",
			result->files_skipped);
	if (result->files_deleted > 0)
		(void)printf("%s: %" PRIu64 " files\n", restore->dry_run ?
			"would delete" : "deleted", result->files_deleted);
	if (restore->verify)
		(void)printf("verified: %" PRIu64 " files\n",
			result->verified);
	if (result->errors > 0)
		(void)printf("errors: %" PRIu64 "\n", result->errors);
}

static enum qs_code
restore(struct qs_cli *cli, const struct qs_restore_options *options,
	const char *name, const struct qs_cli_filter *filter,
	struct qs_folder *folder, struct qs_err *err)
{
	struct qs_restore_options full = *options;
	struct qs_restore_result result = {.errors = 0};
	const struct qs_snapshot *snapshot = NULL;
	struct qs_report report;
	struct qs_view *view = NULL;
	const int64_t start = qs_mono_ns();
	char id[QS_CLI_SHORT + 1];
	enum qs_code rc = qs_cli_snapshot(folder, name, filter, &snapshot,
		&full.subpath, err);

	if (rc != QS_OK)
		return rc;
	qs_cli_short_id(snapshot, id);
	if (!cli->global.json && !cli->global.quiet) {
		char time[QS_CLI_TEXT_LEN];

		qs_cli_time(snapshot->time_ns, time);
		(void)printf("restoring snapshot %s of %s to ", id, time);
		qs_cli_escape_text(stdout, full.target);
		(void)putchar('\n');
		(void)fflush(stdout);
	}
	rc = qs_view_open(cli, QS_VIEW_RESTORE, NULL, &report, &view, err);
	if (rc != QS_OK)
		return rc;
	rc = qs_restore(folder, snapshot, &full, &report, &result, err);
	if (qs_view_close(view) > 0 || result.errors > 0)
		cli->partial = true;
	if (rc == QS_ENOTFOUND && *full.subpath != '\0')
		return qs_fail_while(err, "snapshot %s", id);
	/* What was not restored was not to be found, for all we know. */
	if (rc == QS_OK && result.errors > 0 &&
		qs_index_is_damaged(qs_folder_index(folder)))
		return qs_fail(err, QS_EINDEX, "the index of this machine is "
			"damaged: it is set aside and made anew from the "
			"store");
	if (rc == QS_OK)
		tell(cli, &full, &result,
			(uint64_t)(qs_mono_ns() - start) / 1000000000);
	return rc;
}

static enum qs_code
run(struct qs_cli *cli, const void *opts, size_t argc, char **argv,
	struct qs_err *err)
{
	const struct options *options = opts;
	struct qs_restore_options full = {
		.target = options->target,
		.delete_extra = options->delete_extra,
		.verify = options->verify,
		.sparse = options->sparse,
		.privileged = options->privileged,
		.ownership_by_name = options->by_name,
		.dry_run = options->dry_run,
	};
	struct qs_patterns *include = NULL, *exclude = NULL;
	struct qs_folder *folder = NULL;
	enum qs_code rc = qs_cli_words(cli, argc, 1, 1, err);

	if (rc == QS_OK && options->target == NULL)
		rc = qs_fail(err, QS_EINVAL, "say where to with --target");
	if (rc == QS_OK)
		rc = read_overwrite(options->overwrite, &full.overwrite, err);
	if (rc == QS_OK)
		rc = make_patterns(&options->include, &options->iinclude,
			&include, err);
	if (rc == QS_OK)
		rc = make_patterns(&options->exclude, &options->iexclude,
			&exclude, err);
	if (rc == QS_OK && include != NULL && exclude != NULL)
		rc = qs_fail(err, QS_EINVAL, "--include and --exclude can't be "
			"used together");
	if (rc == QS_OK)
		rc = qs_cli_open(cli, QS_CLI_READ, &folder, err);
	if (rc == QS_OK)
		rc = check_head(folder, options->expect_head, err);
	if (rc == QS_OK) {
		full.include = include;
		full.exclude = exclude;
		rc = restore(cli, &full, argv[0], &options->filter, folder,
			err);
	}
	qs_folder_close(folder);
	qs_patterns_free(include);
	qs_patterns_free(exclude);
	return rc;
}

const struct qs_cli_command qs_cmd_restore = {
	.name = "restore",
	.args = "[OPTION...] SNAPSHOT[:PATH] --target DIR",
	.brief = "bring files back",
	.example = "qstore restore latest:/home/anna --target /tmp/back",
	.options = option_table,
	.option_count = sizeof(option_table) / sizeof(option_table[0]),
	.options_size = sizeof(struct options),
	.can_repeat = true,
	.run = run,
};
