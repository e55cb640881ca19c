/* SPDX-License-Identifier: ISC */
/* qstore ls: what is in a snapshot. */
#include <inttypes.h>
#include <stdlib.h>

#include "cli/cli_internal.h"
#include "cli/tree_internal.h"

struct options {
	struct qs_cli_filter filter;
	bool is_long;
	unsigned depth;
};

#define AT(field) offsetof(struct options, field)

static const struct qs_cli_option option_table[] = {
	{"long", 'l', QS_CLI_FLAG, AT(is_long), NULL,
		"with mode, owner, size and time"},
	{"depth", 0, QS_CLI_NUMBER, AT(depth), "N",
		"only N levels (1: what is right there)"},
	{"host", 'H', QS_CLI_LIST, AT(filter.hosts), "HOST",
		"\"latest\" is this host's"},
	{"tag", 0, QS_CLI_LIST, AT(filter.tags), "TAG",
		"\"latest\" has this tag"},
	{"path", 0, QS_CLI_LIST, AT(filter.paths), "PATH",
		"\"latest\" is of this path"},
};

void
qs_cli_put_node(const struct qs_node *node, const char *path, bool is_long)
{
	char mode[11], time[QS_CLI_TEXT_LEN];

	if (is_long) {
		qs_cli_mode(node, mode);
		qs_cli_time(node->mtime_ns, time);
		(void)printf("%s %5" PRIu32 " %5" PRIu32 " %10" PRIu64
			" %s ", mode, node->uid, node->gid,
			node->type == QS_NODE_FILE ? node->size : 0, time);
	}
	qs_cli_escape_text(stdout, path);
	if (is_long && node->type == QS_NODE_SYMLINK) {
		(void)fputs(" -> ", stdout);
		qs_cli_escape(stdout, node->target.data, node->target.len);
	}
	(void)putchar('\n');
}

struct listing {
	struct qs_cli *cli;
	const struct options *options;
	struct qs_buf path;
	size_t base_len;
	enum qs_code code;
	struct qs_err *err;
};

static void
put(struct listing *listing, const struct qs_node *node, const char *path)
{
	if (listing->cli->global.json) {
		struct qs_json json = qs_json(stdout);

		qs_json_open(&json, NULL, '{');
		qs_json_text(&json, "message_type", "node");
		qs_json_text(&json, "struct_type", "node");
		qs_json_node(&json, node, path);
		qs_json_close(&json, '}');
		(void)fputc('\n', stdout);
		return;
	}
	qs_cli_put_node(node, path, listing->options->is_long);
}

static enum qs_visit_next
visit(void *arg, const struct qs_visit *one)
{
	struct listing *listing = arg;

	if (one->what == QS_VISIT_LEAVE)
		return QS_VISIT_GO;
	if (qs_cli_interrupted()) {
		listing->code = qs_fail(listing->err, QS_ECANCELED,
			"interrupted");
		return QS_VISIT_STOP;
	}
	if (one->path_len == 0)
		return QS_VISIT_GO;
	listing->code = qs_cli_join(&listing->path, listing->base_len,
		one->path, one->path_len, listing->err);
	if (listing->code != QS_OK)
		return QS_VISIT_STOP;
	put(listing, one->node, (const char *)listing->path.data);
	if (listing->options->depth > 0 && qs_cli_depth(one) >=
		listing->options->depth)
		return QS_VISIT_SKIP;
	return ferror(stdout) ? QS_VISIT_STOP : QS_VISIT_GO;
}

static void
on_trouble(void *arg, const char *path, const struct qs_err *trouble)
{
	struct listing *listing = arg;

	listing->cli->partial = true;
	qs_cli_warn(listing->cli, path, trouble);
}

static void
put_head(const struct qs_cli *cli, const struct qs_snapshot *snapshot)
{
	struct qs_json json = qs_json(stdout);

	if (!cli->global.json)
		return;
	qs_json_open(&json, NULL, '{');
	qs_json_text(&json, "message_type", "snapshot");
	qs_json_text(&json, "struct_type", "snapshot");
	qs_json_snapshot(&json, snapshot);
	qs_json_close(&json, '}');
	qs_json_end(&json);
}

static enum qs_code
list_tree(struct listing *listing, struct qs_source *source,
	const struct qs_node *node, struct qs_err *err)
{
	const struct qs_visitor visitor = {visit, on_trouble, listing};
	enum qs_code rc;

	if (node->type != QS_NODE_DIR) {
		put(listing, node, (const char *)listing->path.data);
		return QS_OK;
	}
	rc = qs_tree_walk(source, &node->content, &visitor, err);
	return rc != QS_OK ? rc : listing->code;
}

static enum qs_code
run(struct qs_cli *cli, const void *opts, size_t argc, char **argv,
	struct qs_err *err)
{
	const struct options *options = opts;
	struct listing listing = {.cli = cli, .options = options,
		.err = err};
	const struct qs_snapshot *snapshot = NULL;
	struct qs_folder *folder = NULL;
	struct qs_source *source = NULL;
	struct qs_buf bytes = {NULL, 0, 0};
	struct qs_node node;
	const char *sub = "";
	enum qs_code rc = qs_cli_words(cli, argc, 1, 1, err);

	if (rc == QS_OK)
		rc = qs_cli_open_source(cli, QS_CLI_READ, &folder, &source,
			err);
	if (rc == QS_OK)
		rc = qs_cli_snapshot(folder, argv[0], &options->filter,
			&snapshot, &sub, err);
	if (rc != QS_OK)
		goto out;
	rc = qs_cli_find_node(source, snapshot, sub, &bytes, &node, err);
	if (rc == QS_OK)
		rc = qs_cli_base(&listing.path, sub, &listing.base_len, err);
	if (rc != QS_OK)
		goto out;
	put_head(cli, snapshot);
	rc = list_tree(&listing, source, &node, err);
out:
	qs_buf_clear(&listing.path);
	qs_buf_clear(&bytes);
	qs_source_free(source);
	qs_folder_close(folder);
	return rc;
}

const struct qs_cli_command qs_cmd_ls = {
	.name = "ls",
	.args = "[OPTION...] SNAPSHOT[:PATH]",
	.brief = "list the files of a snapshot",
	.example = "qstore ls -l latest:/home/anna",
	.options = option_table,
	.option_count = sizeof(option_table) / sizeof(option_table[0]),
	.options_size = sizeof(struct options),
	.run = run,
};
