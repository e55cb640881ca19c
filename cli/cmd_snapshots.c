/* SPDX-License-Identifier: ISC */
/* qstore snapshots: the table of what was saved when. */
#include <stdlib.h>

#include "cli/cli_internal.h"

struct options {
	struct qs_cli_filter filter;
	unsigned latest;
};

#define AT(field) offsetof(struct options, field)

static const struct qs_cli_option option_table[] = {
	{"latest", 0, QS_CLI_NUMBER, AT(latest), "N",
		"only the last N of each host and set of paths"},
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

/* Columns as wide as what stands in them, within reason. */
static size_t
width_of(const char *text, size_t least)
{
	size_t columns = 0;

	for (; *text != '\0'; text++)
		columns += ((uint8_t)*text & 0xc0) != 0x80;
	return columns > 40 ? 40 : columns > least ? columns : least;
}

static void
put_column(const char *text, size_t width)
{
	size_t columns = width_of(text, 0);

	qs_cli_escape_text(stdout, text);
	for (; columns < width; columns++)
		(void)putchar(' ');
	(void)fputs("  ", stdout);
}

static const char *
nth(char *const *texts, size_t count, size_t i)
{
	return i < count ? texts[i] : "";
}

static void
put_rows(const struct qs_snapshot *one, size_t host, size_t tag, size_t path)
{
	char id[QS_CLI_SHORT + 1], time[QS_CLI_TEXT_LEN];
	char size[QS_CLI_TEXT_LEN];
	size_t rows = one->path_count > one->tag_count ? one->path_count :
		one->tag_count;

	qs_cli_short_id(one, id);
	qs_cli_time(one->time_ns, time);
	qs_cli_bytes(one->totals.bytes, size);
	for (size_t i = 0; i < rows || i == 0; i++) {
		put_column(i == 0 ? id : "", QS_CLI_SHORT);
		put_column(i == 0 ? time : "", 19);
		put_column(i == 0 ? one->host : "", host);
		put_column(nth(one->tags, one->tag_count, i), tag);
		put_column(nth(one->paths, one->path_count, i), path);
		(void)printf("%s\n", i == 0 ? size : "");
	}
}

static void
put_table(const struct qs_snapshot *const *list, size_t count)
{
	size_t host = 4, tag = 4, path = 5, line;

	for (size_t i = 0; i < count; i++) {
		host = width_of(list[i]->host, host);
		for (size_t j = 0; j < list[i]->tag_count; j++)
			tag = width_of(list[i]->tags[j], tag);
		for (size_t j = 0; j < list[i]->path_count; j++)
			path = width_of(list[i]->paths[j], path);
	}
	put_column("ID", QS_CLI_SHORT);
	put_column("Date", 19);
	put_column("Host", host);
	put_column("Tags", tag);
	put_column("Paths", path);
	(void)puts("Size");
	line = QS_CLI_SHORT + 19 + host + tag + path + 5 * 2 + 11;
	for (size_t i = 0; i < line; i++)
		(void)putchar('-');
	(void)putchar('\n');
	for (size_t i = 0; i < count; i++)
		put_rows(list[i], host, tag, path);
	for (size_t i = 0; i < line; i++)
		(void)putchar('-');
	(void)printf("\n%zu snapshot%s\n", count, count == 1 ? "" : "s");
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

	if (rc == QS_OK)
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
	put_table(list, count);
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
