/* SPDX-License-Identifier: ISC */
/* qstore forget: hide snapshots, by name or by a policy, as restic does. */
#include <inttypes.h>
#include <stdlib.h>

#include "cli/cli_internal.h"

struct options {
	const char *keep[QS_PERIODS], *within[QS_PERIODS];
	struct qs_cli_list keep_tags;
	struct qs_cli_filter filter;
	const char *group_by, *max_unused;
	bool remove_all, dry_run, retire;
};

#define AT(field) offsetof(struct options, field)

static const struct qs_cli_option option_table[] = {
	{"keep-last", 'l', QS_CLI_TEXT, AT(keep[QS_PERIOD_LAST]), "N",
		"keep the newest N (or \"unlimited\")"},
	{"keep-hourly", 0, QS_CLI_TEXT, AT(keep[QS_PERIOD_HOURLY]), "N",
		"keep the newest of each of N hours"},
	{"keep-daily", 'd', QS_CLI_TEXT, AT(keep[QS_PERIOD_DAILY]), "N",
		"keep the newest of each of N days"},
	{"keep-weekly", 'w', QS_CLI_TEXT, AT(keep[QS_PERIOD_WEEKLY]), "N",
		"keep the newest of each of N weeks"},
	{"keep-monthly", 'm', QS_CLI_TEXT, AT(keep[QS_PERIOD_MONTHLY]), "N",
		"keep the newest of each of N months"},
	{"keep-yearly", 'y', QS_CLI_TEXT, AT(keep[QS_PERIOD_YEARLY]), "N",
		"keep the newest of each of N years"},
	{"keep-within", 0, QS_CLI_TEXT, AT(within[QS_PERIOD_LAST]), "SPAN",
		"keep what is up to so much older than the newest"},
	{"keep-within-hourly", 0, QS_CLI_TEXT, AT(within[QS_PERIOD_HOURLY]),
		"SPAN", "thereof one of each hour"},
	{"keep-within-daily", 0, QS_CLI_TEXT, AT(within[QS_PERIOD_DAILY]),
		"SPAN", "one of each day"},
	{"keep-within-weekly", 0, QS_CLI_TEXT, AT(within[QS_PERIOD_WEEKLY]),
		"SPAN", "one of each week"},
	{"keep-within-monthly", 0, QS_CLI_TEXT,
		AT(within[QS_PERIOD_MONTHLY]), "SPAN", "one of each month"},
	{"keep-within-yearly", 0, QS_CLI_TEXT, AT(within[QS_PERIOD_YEARLY]),
		"SPAN", "one of each year"},
	{"keep-tag", 0, QS_CLI_LIST, AT(keep_tags), "TAG[,TAG...]",
		"keep those with all these tags"},
	{"group-by", 'g', QS_CLI_TEXT, AT(group_by), "host,paths,tags",
		"a policy is for each group (default: host,paths)"},
	{"host", 'H', QS_CLI_LIST, AT(filter.hosts), "HOST",
		"only those of this host"},
	{"tag", 0, QS_CLI_LIST, AT(filter.tags), "TAG",
		"only those with this tag"},
	{"path", 0, QS_CLI_LIST, AT(filter.paths), "PATH",
		"only those of this path"},
	{"unsafe-allow-remove-all", 0, QS_CLI_FLAG, AT(remove_all), NULL,
		"also when nothing of a group is kept"},
	{"dry-run", 'n', QS_CLI_FLAG, AT(dry_run), NULL,
		"say what would be forgotten, and do nothing"},
	{"retire", 0, QS_CLI_FLAG, AT(retire), NULL,
		"afterwards let go of what nothing needs"},
	{"prune", 0, QS_CLI_FLAG, AT(retire), NULL, "the same"},
	{"max-unused", 0, QS_CLI_TEXT, AT(max_unused), "LIMIT",
		"for --retire: how much may stay unused"},
};

/* -------------------------------------------------------------- options */

static enum qs_code
parse_keep(const char *text, int *out, struct qs_err *err)
{
	char *end;
	long number;

	if (text == NULL)
		return QS_OK;
	if (strcmp(text, "unlimited") == 0) {
		*out = QS_KEEP_ALL;
		return QS_OK;
	}
	number = strtol(text, &end, 10);
	if (end == text || *end != '\0' || number < -1 || number > 1000000)
		return qs_fail(err, QS_EINVAL, "\"%s\" is neither a number nor "
			"\"unlimited\"", text);
	*out = (int)number;
	return QS_OK;
}

static enum qs_code
read_policy(const struct options *options, struct qs_policy *out,
	struct qs_err *err)
{
	enum qs_code rc = QS_OK;

	*out = (struct qs_policy){.tags = options->keep_tags.items,
		.tag_count = options->keep_tags.count};
	for (size_t i = 0; rc == QS_OK && i < QS_PERIODS; i++) {
		rc = parse_keep(options->keep[i], &out->keep[i], err);
		if (rc == QS_OK && options->within[i] != NULL)
			rc = qs_within_parse(options->within[i],
				&out->within[i], err);
	}
	return rc;
}

/* Also what does not go together. */
static enum qs_code
check_words(const struct options *options, const struct qs_policy *policy,
	size_t argc, struct qs_err *err)
{
	const struct qs_cli_filter *filter = &options->filter;

	if (argc > 0 && !qs_policy_is_empty(policy))
		return qs_fail(err, QS_EINVAL, "say either which snapshots to "
			"forget or what to keep");
	if (argc > 0 || !qs_policy_is_empty(policy))
		return QS_OK;
	if (!options->remove_all)
		return qs_fail(err, QS_EINVAL, "say which snapshots to forget, "
			"or what to keep, as in --keep-daily 7");
	if (filter->hosts.count + filter->tags.count + filter->paths.count ==
		0)
		return qs_fail(err, QS_EINVAL, "--unsafe-allow-remove-all "
			"without anything to keep: say of which host, tag or "
			"path");
	return QS_OK;
}

/* --------------------------------------------------------------- groups */

struct grouping {
	bool host, paths, tags;
};

static enum qs_code
read_grouping(const char *text, struct grouping *out, struct qs_err *err)
{
	const char *at = text == NULL ? "host,paths" : text;

	*out = (struct grouping){false, false, false};
	while (*at != '\0') {
		const size_t len = strcspn(at, ",");

		if ((len == 4 && strncmp(at, "host", len) == 0) ||
			(len == 5 && strncmp(at, "hosts", len) == 0))
			out->host = true;
		else if ((len == 5 && strncmp(at, "paths", len) == 0) ||
			(len == 4 && strncmp(at, "path", len) == 0))
			out->paths = true;
		else if ((len == 4 && strncmp(at, "tags", len) == 0) ||
			(len == 3 && strncmp(at, "tag", len) == 0))
			out->tags = true;
		else
			return qs_fail(err, QS_EINVAL, "--group-by: \"%.*s\" "
				"is none of host, paths, tags", (int)len, at);
		at += len;
		at += *at == ',';
	}
	return QS_OK;
}

/* The least of the texts above after; NULL: none. */
static const char *
next_text(char *const *texts, size_t count, const char *after)
{
	const char *least = NULL;

	for (size_t i = 0; i < count; i++) {
		if ((after == NULL || strcmp(texts[i], after) > 0) &&
			(least == NULL || strcmp(texts[i], least) < 0))
			least = texts[i];
	}
	return least;
}

/* As sets: the order in which they were given says nothing. */
static int
compare_sets(char *const *a, size_t a_count, char *const *b, size_t b_count)
{
	const char *left = NULL, *right = NULL;

	for (;;) {
		left = next_text(a, a_count, left);
		right = next_text(b, b_count, right);
		if (left == NULL || right == NULL)
			return (left != NULL) - (right != NULL);
		if (strcmp(left, right) != 0)
			return strcmp(left, right);
	}
}

static int
compare_groups(const struct qs_snapshot *a, const struct qs_snapshot *b,
	const struct grouping *by)
{
	int order = by->host ? strcmp(a->host, b->host) : 0;

	if (order == 0 && by->paths)
		order = compare_sets(a->paths, a->path_count, b->paths,
			b->path_count);
	if (order == 0 && by->tags)
		order = compare_sets(a->tags, a->tag_count, b->tags,
			b->tag_count);
	return order;
}

static int
by_group(const void *a, const void *b, void *by)
{
	const struct qs_snapshot *left =
		*(const struct qs_snapshot *const *)a;
	const struct qs_snapshot *right =
		*(const struct qs_snapshot *const *)b;
	int order = compare_groups(left, right, by);

	return order != 0 ? order : memcmp(left->record.b, right->record.b,
		sizeof(left->record.b));
}

/* ------------------------------------------------------------- printing */

static void
put_words(const char *what, char *const *texts, size_t count)
{
	(void)printf("%s [", what);
	for (size_t i = 0; i < count; i++) {
		(void)fputs(i > 0 ? ", " : "", stdout);
		qs_cli_escape_text(stdout, texts[i]);
	}
	(void)putchar(']');
}

static void
put_head(const struct qs_snapshot *one, const struct grouping *by)
{
	const char *comma = "";

	if (!by->host && !by->paths && !by->tags)
		return;
	(void)fputs("snapshots for (", stdout);
	if (by->host) {
		(void)fputs("host [", stdout);
		qs_cli_escape_text(stdout, one->host);
		(void)putchar(']');
		comma = ", ";
	}
	if (by->tags) {
		(void)fputs(comma, stdout);
		put_words("tags", one->tags, one->tag_count);
		comma = ", ";
	}
	if (by->paths) {
		(void)fputs(comma, stdout);
		put_words("paths", one->paths, one->path_count);
	}
	(void)puts("):\n");
}

/* Those that are kept or not; oldest first, as other tables are. */
static enum qs_code
put_list(const struct qs_verdict *verdicts, size_t count, bool is_kept,
	struct qs_err *err)
{
	const struct qs_snapshot **list = calloc(count + 1,
		sizeof(const struct qs_snapshot *));
	struct qs_verdict *chosen = calloc(count + 1, sizeof(*chosen));
	size_t n = 0;

	if (list != NULL && chosen != NULL) {
		for (size_t i = count; i > 0; i--) {
			if (verdicts[i - 1].is_kept != is_kept)
				continue;
			chosen[n] = verdicts[i - 1];
			list[n++] = verdicts[i - 1].snapshot;
		}
		if (n > 0) {
			(void)printf("%s %zu snapshot%s:\n", is_kept ? "keep" :
				"remove", n, n == 1 ? "" : "s");
			qs_cli_table(list, is_kept ? chosen : NULL, n);
			(void)putchar('\n');
		}
	}
	free((void *)(uintptr_t)list);
	free(chosen);
	return list != NULL && chosen != NULL ? QS_OK :
		qs_fail_nomem(err, "listing snapshots");
}

static void
json_texts(struct qs_json *json, const char *key, bool is_given,
	char *const *texts, size_t count)
{
	qs_json_open(json, key, '[');
	for (size_t i = 0; is_given && i < count; i++)
		qs_json_text(json, NULL, texts[i]);
	qs_json_close(json, ']');
}

static void
json_one(struct qs_json *json, const char *key,
	const struct qs_snapshot *one)
{
	qs_json_open(json, key, '{');
	qs_json_snapshot(json, one);
	qs_json_close(json, '}');
}

static void
json_group(struct qs_json *json, const struct qs_verdict *verdicts,
	size_t count, const struct grouping *by)
{
	const struct qs_snapshot *one = verdicts[0].snapshot;

	qs_json_open(json, NULL, '{');
	json_texts(json, "tags", by->tags, one->tags, one->tag_count);
	qs_json_text(json, "host", by->host ? one->host : "");
	json_texts(json, "paths", by->paths, one->paths, one->path_count);
	for (int is_kept = 1; is_kept >= 0; is_kept--) {
		qs_json_open(json, is_kept ? "keep" : "remove", '[');
		for (size_t i = 0; i < count; i++) {
			if (verdicts[i].is_kept == (is_kept != 0))
				json_one(json, NULL, verdicts[i].snapshot);
		}
		qs_json_close(json, ']');
	}
	qs_json_open(json, "reasons", '[');
	for (size_t i = 0; i < count; i++) {
		if (!verdicts[i].is_kept)
			continue;
		qs_json_open(json, NULL, '{');
		json_one(json, "snapshot", verdicts[i].snapshot);
		json_texts(json, "matches", true, verdicts[i].reasons,
			verdicts[i].reason_count);
		qs_json_close(json, '}');
	}
	qs_json_close(json, ']');
	qs_json_close(json, '}');
}

/* -------------------------------------------------------------- choosing */

struct choice {
	struct qs_cli *cli;
	const struct options *options;
	struct qs_policy policy;
	struct grouping by;
	struct qs_json json;
	struct qs_buf records; /* struct qs_name: to be forgotten */
};

static enum qs_code
judge_group(struct choice *choice, const struct qs_snapshot *const *list,
	size_t count, struct qs_err *err)
{
	const struct qs_cli *cli = choice->cli;
	struct qs_verdict *verdicts = NULL;
	size_t kept = 0;
	enum qs_code rc = qs_policy_apply(&choice->policy, list, count,
		qs_now_ns(), &verdicts, err);

	if (rc != QS_OK)
		return rc;
	for (size_t i = 0; rc == QS_OK && i < count; i++) {
		kept += verdicts[i].is_kept;
		if (!verdicts[i].is_kept)
			rc = qs_buf_append(&choice->records,
				verdicts[i].snapshot->record.b, 32, err);
	}
	if (rc == QS_OK && kept == 0 && !choice->options->remove_all)
		rc = qs_fail(err, QS_EINVAL, "this would keep none of %zu "
			"snapshots of host %.100s, %.200s: nothing is done; "
			"--unsafe-allow-remove-all allows it", count,
			list[0]->host, list[0]->path_count > 0 ?
			list[0]->paths[0] : "");
	if (rc == QS_OK && cli->global.json) {
		json_group(&choice->json, verdicts, count, &choice->by);
	} else if (rc == QS_OK && !cli->global.quiet) {
		put_head(list[0], &choice->by);
		rc = put_list(verdicts, count, true, err);
		if (rc == QS_OK)
			rc = put_list(verdicts, count, false, err);
	}
	qs_verdicts_free(verdicts, count);
	return rc;
}

/* Snapshots that are named: all of them go, in one group without a name. */
static enum qs_code
take_named(struct choice *choice, const struct qs_snapshot *const *list,
	size_t count, struct qs_err *err)
{
	static const struct grouping none;
	struct qs_verdict *verdicts = calloc(count + 1, sizeof(*verdicts));
	enum qs_code rc = QS_OK;

	if (verdicts == NULL)
		return qs_fail_nomem(err, "choosing snapshots");
	for (size_t i = 0; rc == QS_OK && i < count; i++) {
		verdicts[i].snapshot = list[i];
		rc = qs_buf_append(&choice->records, list[i]->record.b, 32,
			err);
	}
	if (rc == QS_OK && count > 0 && choice->cli->global.json)
		json_group(&choice->json, verdicts, count, &none);
	free(verdicts);
	return rc;
}

static enum qs_code
choose(struct choice *choice, const struct qs_snapshot **list, size_t count,
	bool is_named, struct qs_err *err)
{
	size_t from = 0;
	enum qs_code rc = QS_OK;

	if (choice->cli->global.json)
		qs_json_open(&choice->json, NULL, '[');
	if (is_named)
		rc = take_named(choice, list, count, err);
	else if (count > 1)
		qsort_r(list, count, sizeof(const struct qs_snapshot *),
			by_group, &choice->by);
	while (rc == QS_OK && !is_named && from < count) {
		size_t to = from + 1;

		while (to < count && compare_groups(list[from], list[to],
			&choice->by) == 0)
			to++;
		rc = judge_group(choice, list + from, to - from, err);
		from = to;
	}
	if (choice->cli->global.json) {
		qs_json_close(&choice->json, ']');
		qs_json_end(&choice->json);
	}
	return rc;
}

/* ------------------------------------------------------------------ run */

static enum qs_code
forget(const struct choice *choice, struct qs_folder *folder,
	struct qs_err *err)
{
	const struct qs_cli *cli = choice->cli;
	const struct qs_name *records = (const struct qs_name *)
		choice->records.data;
	const size_t count = choice->records.len / 32;
	enum qs_code rc = choice->options->dry_run ?
		qs_forget_pretend(folder, records, count, err) :
		qs_forget(folder, records, count, err);

	if (rc == QS_OK && !cli->global.json && !cli->global.quiet)
		(void)printf("%s %zu snapshot%s\n", choice->options->dry_run ?
			"would forget" : "forgot", count, count == 1 ? "" :
			"s");
	return rc;
}

static enum qs_code
run(struct qs_cli *cli, const void *opts, size_t argc, char **argv,
	struct qs_err *err)
{
	const struct options *options = opts;
	struct qs_retire_options retire = {.level = cli->level,
		.dry_run = options->dry_run};
	struct choice choice = {.cli = cli, .options = options,
		.json = qs_json(stdout)};
	const struct qs_snapshot **list = NULL;
	struct qs_folder *folder = NULL;
	size_t count = 0;
	enum qs_code rc = read_policy(options, &choice.policy, err);

	if (rc == QS_OK)
		rc = check_words(options, &choice.policy, argc, err);
	if (rc == QS_OK)
		rc = read_grouping(options->group_by, &choice.by, err);
	if (rc == QS_OK)
		rc = qs_cli_max_unused(options->max_unused, &retire, err);
	if (rc == QS_OK)
		rc = qs_cli_open(cli, QS_CLI_WRITE | (options->retire ? 0 :
			QS_CLI_NO_INDEX), &folder, err);
	if (rc == QS_OK)
		rc = qs_cli_snapshots(folder, argv, argc, &options->filter,
			&list, &count, err);
	if (rc == QS_OK)
		rc = choose(&choice, list, count, argc > 0, err);
	if (rc == QS_OK)
		rc = forget(&choice, folder, err);
	if (rc == QS_OK && options->retire)
		rc = qs_cli_retire(cli, folder, &retire, err);
	free((void *)(uintptr_t)list);
	qs_buf_clear(&choice.records);
	qs_folder_close(folder);
	return rc;
}

const struct qs_cli_command qs_cmd_forget = {
	.name = "forget",
	.args = "[OPTION...] [SNAPSHOT...]",
	.brief = "forget snapshots, by name or by what to keep",
	.example = "qstore forget --keep-daily 7 --keep-weekly 5 "
		"--keep-monthly 12",
	.options = option_table,
	.option_count = sizeof(option_table) / sizeof(option_table[0]),
	.options_size = sizeof(struct options),
	.run = run,
};
