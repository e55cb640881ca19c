/* SPDX-License-Identifier: ISC */
/* qstore tag: change the tags of snapshots; their ids stay. */
#include <inttypes.h>
#include <stdlib.h>

#include "cli/cli_internal.h"

struct options {
	struct qs_cli_filter filter;
	struct qs_cli_list set, add, remove;
};

#define AT(field) offsetof(struct options, field)

static const struct qs_cli_option option_table[] = {
	{"set", 0, QS_CLI_COMMAS, AT(set), "TAG[,TAG...]",
		"these and no others"},
	{"add", 0, QS_CLI_COMMAS, AT(add), "TAG[,TAG...]", "these as well"},
	{"remove", 0, QS_CLI_COMMAS, AT(remove), "TAG[,TAG...]",
		"not these any more"},
	{"host", 'H', QS_CLI_LIST, AT(filter.hosts), "HOST",
		"only those of this host"},
	{"tag", 0, QS_CLI_LIST, AT(filter.tags), "TAG",
		"only those with this tag"},
	{"path", 0, QS_CLI_LIST, AT(filter.paths), "PATH",
		"only those of this path"},
};

static bool
has(const char *const *tags, size_t count, const char *tag)
{
	for (size_t i = 0; i < count; i++) {
		if (strcmp(tags[i], tag) == 0)
			return true;
	}
	return false;
}

static enum qs_code
add_once(struct qs_cli_list *list, const char *tag, struct qs_err *err)
{
	if (has(list->items, list->count, tag))
		return QS_OK;
	return qs_cli_list_add_copy(list, tag, strlen(tag), err);
}

/* Copies: the folder's own strings may move while tags are written. */
static enum qs_code
new_tags(const struct options *options, const struct qs_snapshot *snapshot,
	struct qs_cli_list *out, struct qs_err *err)
{
	enum qs_code rc = QS_OK;

	for (size_t i = 0; rc == QS_OK && i < options->set.count; i++)
		rc = add_once(out, options->set.items[i], err);
	if (options->set.count > 0)
		return rc;
	for (size_t i = 0; rc == QS_OK && i < snapshot->tag_count; i++) {
		if (!has(options->remove.items, options->remove.count,
			snapshot->tags[i]))
			rc = add_once(out, snapshot->tags[i], err);
	}
	for (size_t i = 0; rc == QS_OK && i < options->add.count; i++)
		rc = add_once(out, options->add.items[i], err);
	return rc;
}

static bool
is_same(const struct qs_snapshot *snapshot, const struct qs_cli_list *tags)
{
	if (snapshot->tag_count != tags->count)
		return false;
	for (size_t i = 0; i < tags->count; i++) {
		if (strcmp(snapshot->tags[i], tags->items[i]) != 0)
			return false;
	}
	return true;
}

static enum qs_code
change(struct qs_folder *folder, const struct options *options,
	const struct qs_name *record, uint64_t *changed, struct qs_err *err)
{
	struct qs_cli_list tags = {NULL, 0, NULL, 0};
	const struct qs_snapshot *snapshot = NULL;
	char hex[QS_HEX_LEN + 1];
	enum qs_code rc;

	qs_hex(hex, record->b, sizeof(record->b));
	rc = qs_cli_snapshot(folder, hex, NULL, &snapshot,
		&(const char *){NULL}, err);
	if (rc == QS_OK)
		rc = new_tags(options, snapshot, &tags, err);
	if (rc == QS_OK && !is_same(snapshot, &tags)) {
		rc = qs_folder_tag(folder, snapshot, tags.items, tags.count,
			err);
		*changed += rc == QS_OK;
	}
	qs_cli_list_clear(&tags);
	return rc;
}

static void
tell(const struct qs_cli *cli, uint64_t changed)
{
	struct qs_json json = qs_json(stdout);

	if (!cli->global.json) {
		if (!cli->global.quiet)
			(void)printf("changed the tags of %" PRIu64
				" snapshot%s\n", changed, changed == 1 ? "" :
				"s");
		return;
	}
	qs_json_open(&json, NULL, '{');
	qs_json_text(&json, "message_type", "summary");
	qs_json_number(&json, "changed_snapshots", changed);
	qs_json_close(&json, '}');
	qs_json_end(&json);
}

static enum qs_code
run(struct qs_cli *cli, const void *opts, size_t argc, char **argv,
	struct qs_err *err)
{
	const struct options *options = opts;
	const struct qs_snapshot **list = NULL;
	struct qs_name *names = NULL;
	struct qs_folder *folder = NULL;
	size_t count = 0;
	uint64_t changed = 0;
	enum qs_code rc = QS_OK;

	if (options->set.count + options->add.count + options->remove.count
		== 0)
		return qs_fail(err, QS_EINVAL, "say what to change with --set,"
			" --add or --remove");
	if (options->set.count > 0 &&
		options->add.count + options->remove.count > 0)
		return qs_fail(err, QS_EINVAL, "--set can't be used together "
			"with --add or --remove");
	rc = qs_cli_open(cli, QS_CLI_WRITE | QS_CLI_NO_INDEX, &folder, err);
	if (rc == QS_OK)
		rc = qs_cli_snapshots(folder, argv, argc, &options->filter,
			&list, &count, err);
	if (rc != QS_OK)
		goto out;
	names = calloc(count + 1, sizeof(*names));
	if (names == NULL) {
		rc = qs_fail_nomem(err, "changing tags");
		goto out;
	}
	for (size_t i = 0; i < count; i++)
		names[i] = list[i]->record;
	for (size_t i = 0; rc == QS_OK && i < count; i++)
		rc = qs_cli_interrupted() ? qs_fail(err, QS_ECANCELED,
			"interrupted") : change(folder, options, &names[i],
			&changed, err);
	if (rc == QS_OK)
		tell(cli, changed);
out:
	free(names);
	free((void *)(uintptr_t)list);
	qs_folder_close(folder);
	return rc;
}

const struct qs_cli_command qs_cmd_tag = {
	.name = "tag",
	.args = "[OPTION...] [SNAPSHOT...]",
	.brief = "change the tags of snapshots",
	.example = "qstore tag --add keep latest",
	.options = option_table,
	.option_count = sizeof(option_table) / sizeof(option_table[0]),
	.options_size = sizeof(struct options),
	.run = run,
};
