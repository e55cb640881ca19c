/* SPDX-License-Identifier: ISC */
/* qstore diff: what changed from one snapshot to another. */
#include <inttypes.h>

#include "cli/cli_internal.h"
#include "cli/tree_internal.h"

struct options {
	bool metadata;
};

static const struct qs_cli_option option_table[] = {
	{"metadata", 0, QS_CLI_FLAG, offsetof(struct options, metadata), NULL,
		"also what changed in attributes only (U)"},
};

struct side {
	const struct qs_snapshot *snapshot;
	const char *sub;
	struct qs_buf bytes;
	struct qs_node node;
};

static enum qs_code
find_side(struct side *side, const struct qs_folder *folder,
	struct qs_source *source, const char *name, struct qs_err *err)
{
	enum qs_code rc = qs_cli_snapshot(folder, name, NULL,
		&side->snapshot, &side->sub, err);

	if (rc != QS_OK)
		return rc;
	rc = qs_cli_find_node(source, side->snapshot, side->sub, &side->bytes,
		&side->node, err);
	if (rc == QS_OK && side->node.type != QS_NODE_DIR)
		return qs_fail(err, QS_EINVAL, "%s: it is not a folder", name);
	return rc;
}

static void
put(void *arg, const char *changes, const char *path)
{
	const struct qs_cli *cli = arg;

	if (cli->global.json) {
		struct qs_json json = qs_json(stdout);

		qs_json_open(&json, NULL, '{');
		qs_json_text(&json, "message_type", "change");
		qs_json_name(&json, "path", path, strlen(path));
		qs_json_text(&json, "modifier", changes);
		qs_json_close(&json, '}');
		(void)fputc('\n', stdout);
		return;
	}
	(void)printf("%-4s %s", changes, *path == '/' ? "" : "/");
	qs_cli_escape_text(stdout, path);
	(void)putchar('\n');
}

static void
on_trouble(void *arg, const char *path, const struct qs_err *trouble)
{
	struct qs_cli *cli = arg;

	cli->partial = true;
	qs_cli_warn(cli, path, trouble);
}

static void
put_side(struct qs_json *json, const char *key, uint64_t files, uint64_t dirs,
	uint64_t others, uint64_t bytes)
{
	qs_json_open(json, key, '{');
	qs_json_number(json, "files", files);
	qs_json_number(json, "dirs", dirs);
	qs_json_number(json, "others", others);
	qs_json_number(json, "bytes", bytes);
	qs_json_close(json, '}');
}

static void
tell(const struct qs_cli *cli, const struct side *sides,
	const struct qs_diff_stat *stat)
{
	char added[QS_CLI_TEXT_LEN], removed[QS_CLI_TEXT_LEN];

	if (cli->global.json) {
		struct qs_json json = qs_json(stdout);

		qs_json_open(&json, NULL, '{');
		qs_json_text(&json, "message_type", "statistics");
		qs_json_hex(&json, "source_snapshot",
			sides[0].snapshot->record.b, 32);
		qs_json_hex(&json, "target_snapshot",
			sides[1].snapshot->record.b, 32);
		qs_json_number(&json, "changed_files", stat->files_changed);
		put_side(&json, "added", stat->files_new, stat->dirs_new,
			stat->others_new, stat->bytes_new);
		put_side(&json, "removed", stat->files_removed,
			stat->dirs_removed, stat->others_removed,
			stat->bytes_removed);
		qs_json_close(&json, '}');
		qs_json_end(&json);
		return;
	}
	if (cli->global.quiet)
		return;
	qs_cli_bytes(stat->bytes_new, added);
	qs_cli_bytes(stat->bytes_removed, removed);
	(void)printf("\nFiles:  %5" PRIu64 " new, %5" PRIu64 " removed, %5"
		PRIu64 " changed\n", stat->files_new, stat->files_removed,
		stat->files_changed);
	(void)printf("Dirs:   %5" PRIu64 " new, %5" PRIu64 " removed\n",
		stat->dirs_new, stat->dirs_removed);
	(void)printf("Others: %5" PRIu64 " new, %5" PRIu64 " removed\n",
		stat->others_new, stat->others_removed);
	(void)printf("Added:   %s\nRemoved: %s\n", added, removed);
}

static enum qs_code
run(struct qs_cli *cli, const void *opts, size_t argc, char **argv,
	struct qs_err *err)
{
	const struct options *options = opts;
	struct side sides[2] = {{.sub = NULL}, {.sub = NULL}};
	struct qs_diff_stat stat = {.files_new = 0};
	struct qs_folder *folder = NULL;
	struct qs_source *source = NULL;
	enum qs_code rc = qs_cli_words(cli, argc, 2, 2, err);

	if (rc == QS_OK)
		rc = qs_cli_open_source(cli, QS_CLI_READ, &folder, &source,
			err);
	for (size_t i = 0; rc == QS_OK && i < 2; i++)
		rc = find_side(&sides[i], folder, source, argv[i], err);
	if (rc == QS_OK)
		rc = qs_diff(source, &sides[0].node.content,
			&sides[1].node.content, options->metadata, put,
			on_trouble, cli, &stat, err);
	if (rc == QS_OK)
		tell(cli, sides, &stat);
	qs_buf_clear(&sides[0].bytes);
	qs_buf_clear(&sides[1].bytes);
	qs_source_free(source);
	qs_folder_close(folder);
	return rc;
}

const struct qs_cli_command qs_cmd_diff = {
	.name = "diff",
	.args = "[OPTION...] SNAPSHOT[:PATH] SNAPSHOT[:PATH]",
	.brief = "what changed between two snapshots",
	.example = "qstore diff latest~1 latest",
	.options = option_table,
	.option_count = sizeof(option_table) / sizeof(option_table[0]),
	.options_size = sizeof(struct options),
	.run = run,
};
