/* SPDX-License-Identifier: ISC */
/* qstore undelete: remember forgotten snapshots again. */
#include <inttypes.h>
#include <stdlib.h>

#include "cli/cli_internal.h"

struct options {
	struct qs_cli_filter filter;
	bool all;
};

#define AT(field) offsetof(struct options, field)

static const struct qs_cli_option option_table[] = {
	{"all", 0, QS_CLI_FLAG, AT(all), NULL, "all that are forgotten"},
	{"host", 'H', QS_CLI_LIST, AT(filter.hosts), "HOST",
		"of all: only those of this host"},
	{"tag", 0, QS_CLI_LIST, AT(filter.tags), "TAG",
		"of all: only those with this tag"},
	{"path", 0, QS_CLI_LIST, AT(filter.paths), "PATH",
		"of all: only those of this path"},
};

static void
tell_incomplete(void *arg, const struct qs_snapshot *snapshot,
	const struct qs_err *why)
{
	struct qs_cli *cli = arg;
	struct qs_err what;
	char id[QS_CLI_SHORT + 1];

	qs_cli_short_id(snapshot, id);
	(void)qs_fail(&what, why->code, "snapshot %s is not whole any more: "
		"%.350s", id, why->msg);
	cli->partial = true;
	qs_cli_warn(cli, NULL, &what);
}

static void
tell(const struct qs_cli *cli, const struct qs_undelete_result *result)
{
	struct qs_json json = qs_json(stdout);

	if (!cli->global.json) {
		if (!cli->global.quiet)
			(void)printf("%" PRIu64 " snapshot%s remembered again, "
				"%" PRIu64 " object%s brought back\n",
				result->remembered, result->remembered == 1 ?
				"" : "s", result->brought_back,
				result->brought_back == 1 ? "" : "s");
		return;
	}
	qs_json_open(&json, NULL, '{');
	qs_json_text(&json, "message_type", "summary");
	qs_json_number(&json, "remembered", result->remembered);
	qs_json_number(&json, "brought_back", result->brought_back);
	qs_json_number(&json, "incomplete", result->incomplete);
	qs_json_close(&json, '}');
	qs_json_end(&json);
}

static enum qs_code
undelete(struct qs_cli *cli, struct qs_folder *folder,
	const struct qs_snapshot *const *list, size_t count,
	struct qs_undelete_result *result, struct qs_err *err)
{
	struct qs_name *names = calloc(count + 1, sizeof(*names));
	struct qs_view *view = NULL;
	struct qs_report report;
	enum qs_code rc;

	if (names == NULL)
		return qs_fail_nomem(err, "undeleting");
	for (size_t i = 0; i < count; i++)
		names[i] = list[i]->record;
	rc = qs_view_open(cli, QS_VIEW_OTHER, NULL, &report, &view, err);
	if (rc == QS_OK)
		rc = qs_undelete(folder, names, count, report.progress,
			tell_incomplete, cli, result, err);
	(void)qs_view_close(view);
	free(names);
	return rc;
}

static enum qs_code
run(struct qs_cli *cli, const void *opts, size_t argc, char **argv,
	struct qs_err *err)
{
	const struct options *options = opts;
	const struct qs_snapshot **list = NULL;
	struct qs_undelete_result result = {0};
	struct qs_folder *folder = NULL;
	size_t count = 0;
	enum qs_code rc = QS_OK;

	if (options->all == (argc > 0))
		return qs_fail(err, QS_EINVAL, "say which snapshots, or --all; "
			"qstore snapshots --forgotten lists them");
	rc = qs_cli_open(cli, QS_CLI_WRITE, &folder, err);
	if (rc == QS_OK)
		rc = qs_cli_forgotten(folder, argv, argc, &options->filter,
			&list, &count, err);
	if (rc == QS_OK && count > 0)
		rc = undelete(cli, folder, list, count, &result, err);
	if (rc == QS_OK)
		tell(cli, &result);
	free((void *)(uintptr_t)list);
	qs_folder_close(folder);
	return rc;
}

const struct qs_cli_command qs_cmd_undelete = {
	.name = "undelete",
	.args = "SNAPSHOT... | --all [OPTION...]",
	.brief = "remember forgotten snapshots again",
	.example = "qstore undelete 40dc1520",
	.options = option_table,
	.option_count = sizeof(option_table) / sizeof(option_table[0]),
	.options_size = sizeof(struct options),
	.run = run,
};
