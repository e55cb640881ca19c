/* SPDX-License-Identifier: ISC */
/* qstore snapshots: the table of what was saved when. */
#include <stdlib.h>

#include "cli/cli_internal.h"

struct options {
	struct qs_cli_filter filter;
	unsigned latest;
	bool forgotten;
};

#define AT(field) offsetof(struct options, field)

static const struct qs_cli_option option_table[] = {
	{"latest", 0, QS_CLI_NUMBER, AT(latest), "N",
		"only the last N of each host and set of paths"},
	{"forgotten", 0, QS_CLI_FLAG, AT(forgotten), NULL,
		"those that are forgotten, and not the others"},
	{"host", 'H', QS_CLI_LIST, AT(filter.hosts), "HOST",
		"only those of this host"},
	{"tag", 0, QS_CLI_LIST, AT(filter.tags), "TAG",
		"only those with this tag"},
	{"path", 0, QS_CLI_LIST, AT(filter.paths), "PATH",
		"only those of this path"},
};

static bool
is_same_group(const struct qs_snapshot *a, const struct qs_snapshot *b)
{
	if (strcmp(a->host, b->host) != 0 || a->path_count != b->path_count)
		return false;
	for (size_t i = 0; i < a->path_count; i++) {
		if (strcmp(a->paths[i], b->paths[i]) != 0)
			return false;
	}
	return true;
}

/* Keeps the newest `latest` of each group; they are ordered oldest first. */
static size_t
narrow(const struct qs_snapshot **list, size_t count, unsigned latest)
{
	size_t kept = 0;

	for (size_t i = 0; i < count; i++) {
		size_t newer = 0;

		for (size_t j = i + 1; j < count && newer < latest; j++)
			newer += is_same_group(list[i], list[j]);
		if (newer < latest)
			list[kept++] = list[i];
	}
	return kept;
}

static enum qs_code
run(struct qs_cli *cli, const void *opts, size_t argc, char **argv,
	struct qs_err *err)
{
	const struct options *options = opts;
	const struct qs_snapshot **list = NULL;
	struct qs_folder *folder = NULL;
	size_t count = 0;
	enum qs_code rc = qs_cli_open(cli, QS_CLI_NO_INDEX, &folder, err);

	if (rc == QS_OK && options->forgotten)
		rc = qs_cli_forgotten(folder, argv, argc, &options->filter,
			&list, &count, err);
	else if (rc == QS_OK)
		rc = qs_cli_snapshots(folder, argv, argc, &options->filter,
			&list, &count, err);
	if (rc != QS_OK)
		goto out;
	if (options->latest > 0)
		count = narrow(list, count, options->latest);
	if (cli->global.json) {
		struct qs_json json = qs_json(stdout);

		qs_json_open(&json, NULL, '[');
		for (size_t i = 0; i < count; i++) {
			qs_json_open(&json, NULL, '{');
			qs_json_snapshot(&json, list[i]);
			qs_json_close(&json, '}');
		}
		qs_json_close(&json, ']');
		qs_json_end(&json);
		goto out;
	}
	qs_cli_table(list, NULL, count);
	if (cli->global.verbose > 0) {
		char token[QS_HEAD_TOKEN_LEN + 1];

		qs_folder_head_token(folder, token);
		(void)printf("head %s\n", token);
	}
out:
	free((void *)(uintptr_t)list);
	qs_folder_close(folder);
	return rc;
}

const struct qs_cli_command qs_cmd_snapshots = {
	.name = "snapshots",
	.args = "[OPTION...] [SNAPSHOT...]",
	.brief = "list the snapshots",
	.example = "qstore snapshots --host laptop --latest 3",
	.options = option_table,
	.option_count = sizeof(option_table) / sizeof(option_table[0]),
	.options_size = sizeof(struct options),
	.run = run,
};
