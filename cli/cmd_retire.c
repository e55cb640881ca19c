/* SPDX-License-Identifier: ISC */
/* qstore retire: let go of what nothing needs that is remembered. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "cli/cli_internal.h"

struct options {
	const char *max_unused;
	bool dry_run;
};

#define AT(field) offsetof(struct options, field)

static const struct qs_cli_option option_table[] = {
	{"dry-run", 'n', QS_CLI_FLAG, AT(dry_run), NULL,
		"say what would go, and do nothing"},
	{"max-unused", 0, QS_CLI_TEXT, AT(max_unused), "LIMIT",
		"may stay unused: 5% (default), 2G, unlimited"},
};

enum qs_code
qs_cli_max_unused(const char *text, struct qs_retire_options *out,
	struct qs_err *err)
{
	char *end;
	double percent;

	out->max_unused = 0.05;
	if (text == NULL)
		return QS_OK;
	if (strcmp(text, "unlimited") == 0) {
		out->is_unlimited = true;
		return QS_OK;
	}
	if (strchr(text, '%') == NULL) {
		out->has_bytes = true;
		if (qs_cli_parse_size(text, &out->max_unused_bytes, err) !=
			QS_OK)
			return qs_fail_while(err, "--max-unused");
		return QS_OK;
	}
	errno = 0;
	percent = strtod(text, &end);
	if (errno != 0 || text[0] < '0' || text[0] > '9' ||
		strcmp(end, "%") != 0 || !(percent >= 0 && percent < 100))
		return qs_fail(err, QS_EINVAL, "--max-unused: \"%s\" is not a "
			"share from 0%% to below 100%%", text);
	out->max_unused = percent / 100;
	return QS_OK;
}

static void
tell_json(const struct qs_retire_result *result, bool dry_run)
{
	struct qs_json json = qs_json(stdout);

	qs_json_open(&json, NULL, '{');
	qs_json_text(&json, "message_type", "retire_summary");
	qs_json_bool(&json, "dry_run", dry_run);
	qs_json_number(&json, "snapshots", result->snapshots);
	qs_json_number(&json, "forgotten", result->forgotten);
	qs_json_number(&json, "packs", result->packs);
	qs_json_number(&json, "pack_bytes", result->pack_bytes);
	qs_json_number(&json, "packs_kept", result->kept);
	qs_json_number(&json, "packs_unused", result->unused);
	qs_json_number(&json, "unused_bytes", result->unused_bytes);
	qs_json_number(&json, "packs_repacked", result->repacked);
	qs_json_number(&json, "repacked_bytes", result->repacked_bytes);
	qs_json_number(&json, "packs_written", result->written);
	qs_json_number(&json, "written_bytes", result->written_bytes);
	qs_json_number(&json, "waste_bytes", result->waste_bytes);
	qs_json_number(&json, "retired", result->retired);
	qs_json_bool(&json, "void", result->is_void);
	qs_json_close(&json, '}');
	qs_json_end(&json);
}

static void
tell(const struct qs_retire_result *result, bool dry_run)
{
	char unused[QS_CLI_TEXT_LEN], repacked[QS_CLI_TEXT_LEN];
	char written[QS_CLI_TEXT_LEN], waste[QS_CLI_TEXT_LEN];

	qs_cli_bytes(result->unused_bytes, unused);
	qs_cli_bytes(result->repacked_bytes, repacked);
	qs_cli_bytes(result->written_bytes, written);
	qs_cli_bytes(result->waste_bytes, waste);
	(void)printf("snapshots: %" PRIu64 " remembered, %" PRIu64
		" forgotten\n", result->snapshots, result->forgotten);
	(void)printf("objects: %" PRIu64 " of %" PRIu64 " are kept, in which "
		"%s are unused\n", result->kept, result->packs, waste);
	(void)printf("%" PRIu64 " are unused (%s), %" PRIu64 " partly (%s)",
		result->unused, unused, result->repacked, repacked);
	if (result->written > 0)
		(void)printf(", packed anew into %" PRIu64 " (%s)",
			result->written, written);
	(void)printf("\n%s %" PRIu64 " object%s\n", dry_run ?
		"would retire" : "retired", result->retired,
		result->retired == 1 ? "" : "s");
	if (result->is_void)
		(void)printf("but somebody wrote to the log meanwhile, so "
			"nothing goes yet: say it again\n");
	else if (!dry_run && result->retired > 0)
		(void)printf("they go after some weeks; until then qstore "
			"undelete can bring them back\n");
}

enum qs_code
qs_cli_retire(struct qs_cli *cli, struct qs_folder *folder,
	const struct qs_retire_options *options, struct qs_err *err)
{
	struct qs_retire_result result = {0};
	struct qs_view *view = NULL;
	struct qs_report report;
	enum qs_code rc = qs_view_open(cli, QS_VIEW_OTHER, NULL, &report,
		&view, err);

	if (rc != QS_OK)
		return rc;
	rc = qs_retire(folder, options, report.progress, &result, err);
	(void)qs_view_close(view);
	if (rc != QS_OK)
		return rc;
	if (cli->global.json)
		tell_json(&result, options->dry_run);
	else if (!cli->global.quiet)
		tell(&result, options->dry_run);
	/* Also what earlier ones have retired, when its time has come. */
	return options->dry_run ? QS_OK : qs_cli_tidy_here(cli, err);
}

static enum qs_code
run(struct qs_cli *cli, const void *opts, size_t argc, char **argv,
	struct qs_err *err)
{
	const struct options *options = opts;
	struct qs_retire_options retire = {.dry_run = options->dry_run,
		.level = cli->level};
	struct qs_folder *folder = NULL;
	enum qs_code rc = qs_cli_words(cli, argc, 0, 0, err);

	(void)argv;
	if (rc == QS_OK)
		rc = qs_cli_max_unused(options->max_unused, &retire, err);
	if (rc == QS_OK)
		rc = qs_cli_open(cli, QS_CLI_WRITE, &folder, err);
	if (rc == QS_OK)
		rc = qs_cli_retire(cli, folder, &retire, err);
	qs_folder_close(folder);
	return rc;
}

const struct qs_cli_command qs_cmd_retire = {
	.name = "retire",
	.alias = "prune",
	.args = "[OPTION...]",
	.brief = "let go of what no remembered snapshot needs",
	.example = "qstore retire --dry-run",
	.options = option_table,
	.option_count = sizeof(option_table) / sizeof(option_table[0]),
	.options_size = sizeof(struct options),
	.run = run,
};
