/* SPDX-License-Identifier: ISC */
/* qstore check: is everything there, and is it what it was? */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "cli/cli_internal.h"

struct options {
	bool read_data;
	const char *subset;
};

#define AT(field) offsetof(struct options, field)

static const struct qs_cli_option option_table[] = {
	{"read-data", 0, QS_CLI_FLAG, AT(read_data), NULL,
		"read every byte of the store"},
	{"read-data-subset", 0, QS_CLI_TEXT, AT(subset), "5%|N/T",
		"read a random share, or the N-th of T parts"},
};

static enum qs_code
read_subset(const char *text, struct qs_check_options *out,
	struct qs_err *err)
{
	char *end;

	errno = 0;
	if (text[0] < '0' || text[0] > '9')
		goto bad;
	if (strchr(text, '/') != NULL) {
		unsigned long part = strtoul(text, &end, 10), parts;

		if (*end != '/' || end[1] < '0' || end[1] > '9')
			goto bad;
		parts = strtoul(end + 1, &end, 10);
		if (errno != 0 || *end != '\0' || part < 1 || part > parts ||
			parts > 100000)
			goto bad;
		out->part = (unsigned)part;
		out->parts = (unsigned)parts;
	} else {
		double share = strtod(text, &end);

		if (errno != 0 || strcmp(end, "%") != 0 || !isfinite(share) ||
			share <= 0 || share > 100)
			goto bad;
		out->subset = share / 100;
	}
	out->read_data = true;
	return QS_OK;
bad:
	return qs_fail(err, QS_EINVAL, "--read-data-subset: \"%s\" is neither "
		"a share such as 5%% nor a part such as 1/12", text);
}

static void
tell(const struct qs_cli *cli, const struct qs_check_options *check,
	const struct qs_check_result *result)
{
	char bytes[QS_CLI_TEXT_LEN];

	if (cli->global.json) {
		struct qs_json json = qs_json(stdout);

		qs_json_open(&json, NULL, '{');
		qs_json_text(&json, "message_type", "summary");
		qs_json_number(&json, "num_errors", result->errors);
		qs_json_number(&json, "snapshots", result->snapshots);
		qs_json_number(&json, "packs", result->packs);
		qs_json_number(&json, "packs_read", result->packs_read);
		qs_json_number(&json, "bytes_read", result->bytes_read);
		qs_json_number(&json, "damaged_packs", result->damaged_packs);
		qs_json_number(&json, "missing_packs", result->missing_packs);
		qs_json_number(&json, "foreign_files", result->foreign_files);
		qs_json_number(&json, "unreferenced_packs",
			result->unreferenced_packs);
		qs_json_number(&json, "unlisted_packs",
			result->unlisted_packs);
		qs_json_number(&json, "files_affected",
			result->files_affected);
		qs_json_close(&json, '}');
		qs_json_end(&json);
		return;
	}
	if (cli->global.quiet)
		return;
	(void)printf("checked %" PRIu64 " snapshots and %" PRIu64 " packs\n",
		result->snapshots, result->packs);
	if (check->read_data) {
		qs_cli_bytes(result->bytes_read, bytes);
		(void)printf("read %" PRIu64 " packs, %s\n",
			result->packs_read, bytes);
	}
	if (result->unreferenced_packs > 0)
		(void)printf("%" PRIu64 " packs belong to no snapshot (an "
			"interrupted one's; harmless)\n",
			result->unreferenced_packs);
	if (result->unlisted_packs > 0)
		(void)printf("%" PRIu64 " packs that snapshots need are in no "
			"record: run qstore snapshot\n",
			result->unlisted_packs);
	if (result->foreign_files > 0)
		(void)printf("%" PRIu64 " files in the store are not its "
			"own\n", result->foreign_files);
	if (result->damaged_packs + result->missing_packs > 0)
		(void)printf("damaged packs: %" PRIu64 ", missing packs: %"
			PRIu64 ", files that suffer: %" PRIu64 "\n",
			result->damaged_packs, result->missing_packs,
			result->files_affected);
	if (result->errors == 0)
		(void)puts("no errors were found");
}

static enum qs_code
run(struct qs_cli *cli, const void *opts, size_t argc, char **argv,
	struct qs_err *err)
{
	const struct options *options = opts;
	struct qs_check_options check = {.read_data = options->read_data,
		.subset = 1};
	struct qs_check_result result = {.errors = 0};
	struct qs_folder *folder = NULL;
	struct qs_view *view = NULL;
	struct qs_report report;
	enum qs_code rc = qs_cli_words(cli, argc, 0, 0, err);

	(void)argv;
	if (rc == QS_OK && options->subset != NULL && options->read_data)
		rc = qs_fail(err, QS_EINVAL, "--read-data and "
			"--read-data-subset can't be used together");
	if (rc == QS_OK && options->subset != NULL)
		rc = read_subset(options->subset, &check, err);
	if (rc == QS_OK)
		rc = qs_cli_open(cli, QS_CLI_READ, &folder, err);
	if (rc == QS_OK)
		rc = qs_view_open(cli, QS_VIEW_CHECK, NULL, &report, &view,
			err);
	if (rc == QS_OK)
		rc = qs_check(folder, &check, &report, &result, err);
	(void)qs_view_close(view);
	qs_folder_close(folder);
	if (rc != QS_OK)
		return rc;
	/* What was told of the log is found, too, and not left out. */
	result.errors += cli->troubles;
	cli->partial = false;
	tell(cli, &check, &result);
	if (result.errors > 0)
		return qs_fail(err, QS_ECORRUPT, "check: %" PRIu64 " error%s "
			"found; what is still at hand is stored anew by the "
			"next snapshot", result.errors, result.errors == 1 ?
			" was" : "s were");
	return QS_OK;
}

const struct qs_cli_command qs_cmd_check = {
	.name = "check",
	.args = "[OPTION...]",
	.brief = "is everything there and whole?",
	.example = "qstore check --read-data-subset=5%",
	.options = option_table,
	.option_count = sizeof(option_table) / sizeof(option_table[0]),
	.options_size = sizeof(struct options),
	.can_repeat = true,
	.run = run,
};
