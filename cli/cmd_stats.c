/* SPDX-License-Identifier: ISC */
/* qstore stats: how much is it? */
#include <inttypes.h>
#include <stdlib.h>

#include "cli/cli_internal.h"

struct options {
	struct qs_cli_filter filter;
	const char *mode;
};

#define AT(field) offsetof(struct options, field)

static const struct qs_cli_option option_table[] = {
	{"mode", 0, QS_CLI_TEXT, AT(mode), "MODE",
		"restore-size, files-by-contents or raw-data"},
	{"host", 'H', QS_CLI_LIST, AT(filter.hosts), "HOST",
		"only those of this host"},
	{"tag", 0, QS_CLI_LIST, AT(filter.tags), "TAG",
		"only those with this tag"},
	{"path", 0, QS_CLI_LIST, AT(filter.paths), "PATH",
		"only those of this path"},
};

static const char *const modes[] = {
	[QS_STATS_RESTORE_SIZE] = "restore-size",
	[QS_STATS_FILES_BY_CONTENTS] = "files-by-contents",
	[QS_STATS_RAW_DATA] = "raw-data",
};

static enum qs_code
read_mode(const char *word, enum qs_stats_mode *out, struct qs_err *err)
{
	*out = QS_STATS_RESTORE_SIZE;
	if (word == NULL)
		return QS_OK;
	for (unsigned i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		if (strcmp(word, modes[i]) == 0) {
			*out = (enum qs_stats_mode)i;
			return QS_OK;
		}
	}
	return qs_fail(err, QS_EINVAL, "--mode: \"%s\" is none of "
		"restore-size, files-by-contents, raw-data", word);
}

static double
ratio(uint64_t before, uint64_t after)
{
	return after > 0 ? (double)before / (double)after : 1;
}

static void
tell_json(enum qs_stats_mode mode, const struct qs_stats *stats)
{
	struct qs_json json = qs_json(stdout);

	qs_json_open(&json, NULL, '{');
	switch (mode) {
	case QS_STATS_RESTORE_SIZE:
		qs_json_number(&json, "total_size", stats->bytes);
		qs_json_number(&json, "total_file_count", stats->files);
		qs_json_number(&json, "total_dir_count", stats->dirs);
		qs_json_number(&json, "total_other_count", stats->others);
		break;
	case QS_STATS_FILES_BY_CONTENTS:
		qs_json_number(&json, "total_size", stats->unique_bytes);
		qs_json_number(&json, "total_file_count",
			stats->unique_files);
		break;
	case QS_STATS_RAW_DATA:
		qs_json_number(&json, "total_size", stats->stored_bytes);
		qs_json_number(&json, "total_uncompressed_size",
			stats->blob_bytes);
		qs_json_real(&json, "compression_ratio",
			ratio(stats->blob_bytes, stats->stored_bytes));
		qs_json_number(&json, "total_blob_count", stats->blobs);
		qs_json_number(&json, "total_pack_count", stats->packs);
		qs_json_number(&json, "total_pack_size", stats->pack_bytes);
		break;
	}
	qs_json_number(&json, "snapshots_count", stats->snapshots);
	qs_json_close(&json, '}');
	qs_json_end(&json);
}

static void
put_size(const char *what, uint64_t bytes)
{
	char text[QS_CLI_TEXT_LEN];

	qs_cli_bytes(bytes, text);
	(void)printf("%25s:  %s\n", what, text);
}

static void
put_count(const char *what, uint64_t count)
{
	(void)printf("%25s:  %" PRIu64 "\n", what, count);
}

static void
tell(enum qs_stats_mode mode, const struct qs_stats *stats)
{
	(void)printf("Stats in %s mode:\n", modes[mode]);
	put_count("Snapshots processed", stats->snapshots);
	switch (mode) {
	case QS_STATS_RESTORE_SIZE:
		put_count("Total File Count", stats->files);
		put_count("Total Folder Count", stats->dirs);
		put_size("Total Size", stats->bytes);
		break;
	case QS_STATS_FILES_BY_CONTENTS:
		put_count("Total File Count", stats->unique_files);
		put_size("Total Size", stats->unique_bytes);
		break;
	case QS_STATS_RAW_DATA:
		put_count("Total Chunk Count", stats->blobs);
		put_size("Total Uncompressed Size", stats->blob_bytes);
		put_size("Total Size", stats->stored_bytes);
		(void)printf("%25s:  %.2fx\n", "Compression Ratio",
			ratio(stats->blob_bytes, stats->stored_bytes));
		put_count("Packs", stats->packs);
		put_size("Size Of Packs", stats->pack_bytes);
		break;
	}
}

static enum qs_code
run(struct qs_cli *cli, const void *opts, size_t argc, char **argv,
	struct qs_err *err)
{
	const struct options *options = opts;
	const struct qs_snapshot **list = NULL;
	struct qs_stats stats = {.files = 0};
	struct qs_folder *folder = NULL;
	struct qs_view *view = NULL;
	struct qs_report report;
	enum qs_stats_mode mode;
	size_t count = 0;
	enum qs_code rc = read_mode(options->mode, &mode, err);

	if (rc == QS_OK)
		rc = qs_cli_open(cli, QS_CLI_READ, &folder, err);
	if (rc == QS_OK)
		rc = qs_cli_snapshots(folder, argv, argc, &options->filter,
			&list, &count, err);
	if (rc == QS_OK)
		rc = qs_view_open(cli, QS_VIEW_OTHER, NULL, &report, &view,
			err);
	if (rc == QS_OK)
		rc = qs_stats(folder, list, count, mode, report.progress,
			&stats, err);
	(void)qs_view_close(view);
	if (rc == QS_OK && cli->global.json)
		tell_json(mode, &stats);
	else if (rc == QS_OK)
		tell(mode, &stats);
	free((void *)(uintptr_t)list);
	qs_folder_close(folder);
	return rc;
}

const struct qs_cli_command qs_cmd_stats = {
	.name = "stats",
	.args = "[OPTION...] [SNAPSHOT...]",
	.brief = "how much is in the snapshots",
	.example = "qstore stats --mode raw-data",
	.options = option_table,
	.option_count = sizeof(option_table) / sizeof(option_table[0]),
	.options_size = sizeof(struct options),
	.can_repeat = true,
	.run = run,
};
