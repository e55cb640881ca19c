/* SPDX-License-Identifier: ISC */
/* qstore find: where is that file? */
#include <fnmatch.h>
#include <stdlib.h>

#include "cli/cli_internal.h"
#include "cli/tree_internal.h"

struct options {
	struct qs_cli_filter filter;
	struct qs_cli_list snapshots;
	const char *newest, *oldest;
	bool is_long, any_case, reverse;
};

#define AT(field) offsetof(struct options, field)

static const struct qs_cli_option option_table[] = {
	{"ignore-case", 'i', QS_CLI_FLAG, AT(any_case), NULL,
		"whatever the case"},
	{"long", 'l', QS_CLI_FLAG, AT(is_long), NULL,
		"with mode, owner, size and time"},
	{"newest", 'N', QS_CLI_TEXT, AT(newest), "TIME",
		"changed at this time or before"},
	{"oldest", 'O', QS_CLI_TEXT, AT(oldest), "TIME",
		"changed at this time or after"},
	{"reverse", 'R', QS_CLI_FLAG, AT(reverse), NULL,
		"oldest snapshot first"},
	{"snapshot", 's', QS_CLI_LIST, AT(snapshots), "SNAPSHOT",
		"only in this one"},
	{"host", 'H', QS_CLI_LIST, AT(filter.hosts), "HOST",
		"only in those of this host"},
	{"tag", 0, QS_CLI_LIST, AT(filter.tags), "TAG",
		"only in those with this tag"},
	{"path", 0, QS_CLI_LIST, AT(filter.paths), "PATH",
		"only in those of this path"},
};

struct search {
	struct qs_cli *cli;
	const struct options *options;
	char *const *patterns;
	size_t pattern_count;
	int64_t newest, oldest;
	const struct qs_snapshot *snapshot;
	struct qs_json json;
	size_t hits, all_hits;
	struct qs_buf path, name;
	enum qs_code code;
	struct qs_err *err;
};

/* A pattern with a slash is for the whole path, else for the name. */
static bool
matches(const struct search *search, const struct qs_node *node)
{
	const int flags = search->options->any_case ? FNM_CASEFOLD : 0;

	if (node->mtime_ns > search->newest ||
		node->mtime_ns < search->oldest)
		return false;
	for (size_t i = 0; i < search->pattern_count; i++) {
		const char *pattern = search->patterns[i];
		const struct qs_buf *text = strchr(pattern, '/') != NULL ?
			&search->path : &search->name;

		if (fnmatch(pattern, (const char *)text->data, flags) == 0)
			return true;
	}
	return false;
}

static void
put_hit(struct search *search, const struct qs_node *node)
{
	const char *path = (const char *)search->path.data;

	search->all_hits++;
	if (search->cli->global.json) {
		if (search->hits++ == 0) {
			qs_json_open(&search->json, NULL, '{');
			qs_json_open(&search->json, "matches", '[');
		}
		qs_json_open(&search->json, NULL, '{');
		qs_json_node(&search->json, node, path);
		qs_json_close(&search->json, '}');
		return;
	}
	if (search->hits++ == 0) {
		char id[QS_CLI_SHORT + 1], time[QS_CLI_TEXT_LEN];

		qs_cli_short_id(search->snapshot, id);
		qs_cli_time(search->snapshot->time_ns, time);
		(void)printf("%sFound matching entries in snapshot %s from "
			"%s\n", search->all_hits > 1 ? "\n" : "", id, time);
	}
	qs_cli_put_node(node, path, search->options->is_long);
}

static enum qs_visit_next
visit(void *arg, const struct qs_visit *one)
{
	struct search *search = arg;
	const struct qs_span name = one->node->name;

	if (one->what == QS_VISIT_LEAVE || one->path_len == 0)
		return QS_VISIT_GO;
	if (qs_cli_interrupted()) {
		search->code = qs_fail(search->err, QS_ECANCELED,
			"interrupted");
		return QS_VISIT_STOP;
	}
	search->name.len = 0;
	search->code = qs_cli_join(&search->path, 0, one->path,
		one->path_len, search->err);
	if (search->code == QS_OK)
		search->code = qs_buf_append(&search->name, name.data,
			name.len, search->err);
	if (search->code == QS_OK)
		search->code = qs_buf_append(&search->name, "", 1,
			search->err);
	if (search->code != QS_OK)
		return QS_VISIT_STOP;
	if (matches(search, one->node))
		put_hit(search, one->node);
	return ferror(stdout) ? QS_VISIT_STOP : QS_VISIT_GO;
}

static void
on_trouble(void *arg, const char *path, const struct qs_err *trouble)
{
	struct search *search = arg;

	search->cli->partial = true;
	qs_cli_warn(search->cli, path, trouble);
}

static enum qs_code
search_one(struct search *search, struct qs_source *source,
	struct qs_err *err)
{
	const struct qs_visitor visitor = {visit, on_trouble, search};
	const struct qs_content root = qs_snapshot_root(search->snapshot);
	enum qs_code rc;

	search->hits = 0;
	rc = qs_tree_walk(source, &root, &visitor, err);
	if (rc == QS_OK)
		rc = search->code;
	if (search->cli->global.json && search->hits > 0) {
		qs_json_close(&search->json, ']');
		qs_json_number(&search->json, "hits", search->hits);
		qs_json_hex(&search->json, "snapshot",
			search->snapshot->record.b,
			sizeof(search->snapshot->record.b));
		qs_json_close(&search->json, '}');
	}
	return rc;
}

static enum qs_code
search_all(struct search *search, struct qs_folder *folder,
	struct qs_source *source, struct qs_err *err)
{
	const struct options *options = search->options;
	const struct qs_snapshot **list = NULL;
	char *const *ids = (char *const *)(uintptr_t)options->snapshots.items;
	size_t count = 0;
	enum qs_code rc = qs_cli_snapshots(folder, ids,
		options->snapshots.count, &options->filter, &list, &count,
		err);

	if (rc == QS_OK && search->cli->global.json)
		qs_json_open(&search->json, NULL, '[');
	for (size_t i = 0; rc == QS_OK && i < count; i++) {
		search->snapshot = list[options->reverse ? i : count - 1 - i];
		rc = search_one(search, source, err);
	}
	if (rc == QS_OK && search->cli->global.json) {
		qs_json_close(&search->json, ']');
		qs_json_end(&search->json);
	}
	free((void *)(uintptr_t)list);
	return rc;
}

static enum qs_code
run(struct qs_cli *cli, const void *opts, size_t argc, char **argv,
	struct qs_err *err)
{
	const struct options *options = opts;
	struct search search = {.cli = cli, .options = options,
		.patterns = argv, .pattern_count = argc,
		.newest = INT64_MAX, .oldest = INT64_MIN,
		.json = qs_json(stdout), .err = err};
	struct qs_folder *folder = NULL;
	struct qs_source *source = NULL;
	enum qs_code rc = qs_cli_words(cli, argc, 1, 1000, err);

	if (rc == QS_OK && options->newest != NULL)
		rc = qs_cli_parse_time(options->newest, &search.newest, err);
	if (rc == QS_OK && options->oldest != NULL)
		rc = qs_cli_parse_time(options->oldest, &search.oldest, err);
	if (rc == QS_OK)
		rc = qs_cli_open_source(cli, QS_CLI_READ, &folder, &source,
			err);
	if (rc == QS_OK)
		rc = search_all(&search, folder, source, err);
	qs_buf_clear(&search.path);
	qs_buf_clear(&search.name);
	qs_source_free(source);
	qs_folder_close(folder);
	return rc;
}

const struct qs_cli_command qs_cmd_find = {
	.name = "find",
	.args = "[OPTION...] PATTERN...",
	.brief = "find files in the snapshots",
	.example = "qstore find -l '*.jpg'",
	.options = option_table,
	.option_count = sizeof(option_table) / sizeof(option_table[0]),
	.options_size = sizeof(struct options),
	.run = run,
};
