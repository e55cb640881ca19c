/* SPDX-License-Identifier: ISC */
/* qstore-hub tidy, undelete: what was retired goes, slowly, or comes back. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/hub_internal.h"

#define HOLD_DAYS 30 /* as long as it takes to see what went wrong */

static const char tidy_usage[] =
	"usage: qstore-hub tidy [OPTION]... [PATH]...\n"
	"\n"
	"Carries out what was retired: into the trash, and later for good.\n"
	"\n"
	"  -n, --dry-run      only tell\n"
	"  --trash-days N     retired for so long: into the trash (14)\n"
	"  --purge-days N     in the trash for so long: gone for good (30)\n"
	"  --share N          at most so many percent of a folder a day (10)\n"
	"  --hub DIR          where the folders are (~/qstore)\n"
	"  --json             a line of JSON for each folder\n"
	"\n"
	"example: qstore-hub tidy --dry-run\n";

static const char undelete_usage[] =
	"usage: qstore-hub undelete [OPTION]... [PATH]...\n"
	"\n"
	"Everything out of the trash; nothing goes into it for a while.\n"
	"\n"
	"  --hold-days N      for so long (30); 0: a hold that is on ends\n"
	"  --hub DIR          where the folders are (~/qstore)\n"
	"  --json             a line of JSON for each folder\n"
	"\n"
	"example: qstore-hub undelete /srv/qstore/photos\n";

struct job {
	const char *hub;
	struct qs_tidy_options options;
	unsigned hold_days;
	bool is_json;
};

static const char *
shown(const char *name, const char *path)
{
	return name != NULL ? name : path;
}

/* Of hub folders the letters are few; a path may have any. */
static void
print_text(const char *text, bool is_json)
{
	for (; *text != '\0'; text++) {
		unsigned char c = (unsigned char)*text;

		if (c < 0x20 || c == 0x7f)
			(void)putchar('?');
		else if (is_json && (c == '"' || c == '\\'))
			(void)printf("\\%c", c);
		else
			(void)putchar(c);
	}
}

static void
print_folder(const char *name, const char *path,
	const uint8_t id[static QS_FOLDER_ID_LEN], bool is_json)
{
	char hex[2 * QS_FOLDER_ID_LEN + 1];

	if (!is_json) {
		print_text(shown(name, path), false);
		return;
	}
	qs_hex(hex, id, QS_FOLDER_ID_LEN);
	(void)printf("{\"folder\":\"");
	print_text(shown(name, path), true);
	(void)printf("\",\"folder_id\":\"%s\"", hex);
}

static void
print_tidied(const struct job *job, const struct qs_tidy_result *result)
{
	const char *dry = job->options.dry_run ? "would be " : "";

	if (job->is_json) {
		(void)printf(",\"dry_run\":%s,\"retired\":%" PRIu64
			",\"retired_bytes\":%" PRIu64 ",\"trashed\":%" PRIu64
			",\"trashed_bytes\":%" PRIu64 ",\"restored\":%" PRIu64
			",\"purged\":%" PRIu64 ",\"purged_bytes\":%" PRIu64
			",\"postponed\":%" PRIu64 ",\"void_retirements\":%"
			PRIu64 "}\n", job->options.dry_run ? "true" : "false",
			result->retired, result->retired_bytes,
			result->trashed, result->trashed_bytes,
			result->restored, result->purged,
			result->purged_bytes, result->postponed,
			result->void_retirements);
		return;
	}
	(void)printf(": %" PRIu64 " %sput into the trash (%" PRIu64
		" bytes), %" PRIu64 " %sremoved (%" PRIu64 " bytes), %" PRIu64
		" %sbrought back; %" PRIu64 " retired objects stay for now\n",
		result->trashed, dry, result->trashed_bytes, result->purged,
		dry, result->purged_bytes, result->restored, dry,
		result->retired);
	if (result->postponed > 0)
		(void)printf("  %" PRIu64 " more are due: tomorrow, since only "
			"%u %% of the folder may go in a day\n",
			result->postponed, job->options.share);
	if (result->void_retirements > 0)
		(void)printf("  %" PRIu64 " retirements do not count: a "
			"snapshot knew nothing of them; the next qstore "
			"retire takes it into account\n",
			result->void_retirements);
}

static int
tidy_one(void *arg, const char *name, const char *path,
	const uint8_t folder_id[static QS_FOLDER_ID_LEN])
{
	const struct job *job = arg;
	struct qs_tidy_result result;
	struct qs_err err;

	if (qs_tidy(path, folder_id, &job->options, &result, &err) != QS_OK)
		return qs_hub_failed(&err);
	print_folder(name, path, folder_id, job->is_json);
	print_tidied(job, &result);
	return 0;
}

static int
undelete_one(void *arg, const char *name, const char *path,
	const uint8_t folder_id[static QS_FOLDER_ID_LEN])
{
	const struct job *job = arg;
	uint64_t restored;
	struct qs_err err;

	if (qs_tidy_undelete(path, folder_id, job->hold_days, &restored,
		&err) != QS_OK)
		return qs_hub_failed(&err);
	print_folder(name, path, folder_id, job->is_json);
	if (job->is_json)
		(void)printf(",\"restored\":%" PRIu64 ",\"hold_days\":%u}\n",
			restored, job->hold_days);
	else if (job->hold_days > 0)
		(void)printf(": %" PRIu64 " brought back; nothing goes into "
			"the trash for %u days\n", restored, job->hold_days);
	else
		(void)printf(": %" PRIu64 " brought back; no hold is on\n",
			restored);
	return 0;
}

/* --------------------------------------------------------- command line */

static enum qs_code
parse_number(const char *option, const char *text, unsigned max,
	unsigned *out, struct qs_err *err)
{
	unsigned long value;
	char *end;

	errno = 0;
	value = strtoul(text, &end, 10);
	if (errno != 0 || text[0] < '0' || text[0] > '9' || *end != '\0' ||
		value > max)
		return qs_fail(err, QS_EINVAL, "--%s: \"%s\" is not a number "
			"from 0 to %u", option, text, max);
	*out = (unsigned)value;
	return QS_OK;
}

#define DAYS_MAX 36500

static const struct option tidy_options[] = {
	{"dry-run", no_argument, NULL, 'n'},
	{"trash-days", required_argument, NULL, 't'},
	{"purge-days", required_argument, NULL, 'p'},
	{"share", required_argument, NULL, 's'},
	{"hub", required_argument, NULL, 'H'},
	{"json", no_argument, NULL, 'j'},
	{"help", no_argument, NULL, 'h'},
	{NULL, 0, NULL, 0},
};

static const struct option undelete_options[] = {
	{"hold-days", required_argument, NULL, 'd'},
	{"hub", required_argument, NULL, 'H'},
	{"json", no_argument, NULL, 'j'},
	{"help", no_argument, NULL, 'h'},
	{NULL, 0, NULL, 0},
};

static enum qs_code
take_option(struct job *job, int c, struct qs_err *err)
{
	struct qs_tidy_options *options = &job->options;

	switch (c) {
	case 'n':
		options->dry_run = true;
		return QS_OK;
	case 't':
		return parse_number("trash-days", optarg, DAYS_MAX,
			&options->trash_days, err);
	case 'p':
		return parse_number("purge-days", optarg, DAYS_MAX,
			&options->purge_days, err);
	case 's':
		return parse_number("share", optarg, 100, &options->share,
			err);
	case 'd':
		return parse_number("hold-days", optarg, DAYS_MAX,
			&job->hold_days, err);
	case 'H':
		job->hub = optarg;
		return QS_OK;
	case 'j':
		job->is_json = true;
		return QS_OK;
	default:
		break;
	}
	return qs_fail(err, QS_EINVAL, "there is no such option; --help tells "
		"which there are");
}

static int
run(int argc, char **argv, const char *letters, const struct option *options,
	const char *usage, qs_hub_store_fn fn)
{
	struct job job = {.hold_days = HOLD_DAYS};
	struct qs_err err;
	int c;

	qs_tidy_defaults(&job.options);
	opterr = 0;
	optind = 1;
	while ((c = getopt_long(argc, argv, letters, options, NULL)) != -1) {
		if (c == 'h') {
			(void)fputs(usage, stdout);
			return 0;
		}
		if (take_option(&job, c, &err) != QS_OK)
			return qs_hub_failed(&err);
	}
	return qs_hub_each(job.hub, argv + optind, (size_t)(argc - optind),
		fn, &job);
}

int
qs_hub_cmd_tidy(int argc, char **argv)
{
	return run(argc, argv, "n", tidy_options, tidy_usage, tidy_one);
}

int
qs_hub_cmd_undelete(int argc, char **argv)
{
	return run(argc, argv, "", undelete_options, undelete_usage,
		undelete_one);
}
