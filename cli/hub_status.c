/* SPDX-License-Identifier: ISC */
/* qstore-hub status: how much there is of each folder, and since when. */
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli/cli_internal.h"
#include "cli/hub_internal.h"

#define NS_PER_MS 1000000

static const char usage[] =
	"usage: qstore-hub status [OPTION]... [PATH]...\n"
	"\n"
	"Shows the folders of the hub, or the stores at PATH: how much there\n"
	"is, the last snapshot, the last scrub, and what the Transfer qube\n"
	"has not taken yet.\n"
	"\n"
	"  --hub DIR   where the folders are (~/qstore)\n"
	"  --acl FILE  the access list (~/.config/qstore/acl.conf)\n"
	"  --json      a JSON document\n"
	"\n"
	"example: qstore-hub status\n";

struct showing {
	const char *hub, *acl;
	char *own_acl;
	bool writes_json;
	struct qs_json json;
};

static void
put_time(struct qs_json *json, const char *key, uint64_t ms)
{
	if (ms > 0 && ms <= INT64_MAX / NS_PER_MS)
		qs_json_time(json, key, (int64_t)ms * NS_PER_MS);
}

static void
put_json(struct qs_json *json, const char *path,
	const struct qs_hub_status *status)
{
	qs_json_open(json, NULL, '{');
	if (status->name[0] != '\0')
		qs_json_text(json, "name", status->name);
	qs_json_name(json, "path", path, strlen(path));
	qs_json_hex(json, "folder", status->folder_id, QS_FOLDER_ID_LEN);
	qs_json_number(json, "objects", status->objects);
	qs_json_number(json, "records", status->records);
	qs_json_number(json, "slots", status->slots);
	qs_json_number(json, "bytes", status->bytes);
	if (status->quota > 0)
		qs_json_number(json, "quota", status->quota);
	qs_json_number(json, "trash_objects", status->trash_objects);
	qs_json_number(json, "trash_bytes", status->trash_bytes);
	put_time(json, "last_snapshot", status->last_record_ms);
	put_time(json, "last_scrub", status->last_scrub_ms);
	qs_json_number(json, "scrub_findings", status->scrub_findings);
	if (status->backlog != UINT64_MAX)
		qs_json_number(json, "backlog", status->backlog);
	qs_json_number(json, "refused", status->refused);
	qs_json_open(json, "refused_for", '{');
	for (int code = 1; code < QS_REFUSAL_KINDS; code++) {
		if (status->refused_by[code] > 0)
			qs_json_number(json, qs_code_word((enum qs_code)code),
				status->refused_by[code]);
	}
	qs_json_close(json, '}');
	put_time(json, "hold_until", status->hold_until_ms);
	qs_json_bool(json, "has_catalogue", status->has_catalogue);
	qs_json_close(json, '}');
}

static void
print_time(const char *what, uint64_t ms, const char *otherwise)
{
	char text[QS_CLI_TEXT_LEN];

	if (ms > 0 && ms <= INT64_MAX / NS_PER_MS)
		qs_cli_time((int64_t)ms * NS_PER_MS, text);
	else
		(void)snprintf(text, sizeof(text), "%s", otherwise);
	(void)printf("  %-14s %s", what, text);
}

static void
print_text(const char *path, const struct qs_hub_status *status)
{
	char bytes[QS_CLI_TEXT_LEN], other[QS_CLI_TEXT_LEN], hex[33];

	qs_hex(hex, status->folder_id, QS_FOLDER_ID_LEN);
	qs_cli_bytes(status->bytes, bytes);
	qs_cli_escape_text(stdout, status->name[0] != '\0' ? status->name :
		path);
	(void)printf(" (%s)\n  %-14s %s in %" PRIu64 " objects, %" PRIu64
		" log records, %" PRIu64 " key slots\n", hex, "holds", bytes,
		status->objects, status->records, status->slots);
	if (status->quota > 0) {
		qs_cli_bytes(status->quota, other);
		(void)printf("  %-14s %s, %.1f%% used\n", "quota", other,
			100.0 * (double)status->bytes /
			(double)status->quota);
	}
	if (status->trash_objects > 0) {
		qs_cli_bytes(status->trash_bytes, other);
		(void)printf("  %-14s %s in %" PRIu64 " files\n", "trash",
			other, status->trash_objects);
	}
	if (!status->has_catalogue) {
		(void)printf("  %-14s none yet: scrub makes one\n",
			"catalogue");
		return;
	}
	print_time("last snapshot", status->last_record_ms, "none");
	(void)putchar('\n');
	print_time("last scrub", status->last_scrub_ms, "never");
	if (status->scrub_findings > 0)
		(void)printf(", %" PRIu64 " findings",
			status->scrub_findings);
	(void)putchar('\n');
	if (status->hold_until_ms > 0) {
		print_time("hold until", status->hold_until_ms, "");
		(void)putchar('\n');
	}
	if (status->backlog != UINT64_MAX)
		(void)printf("  %-14s %" PRIu64 " files not asked for yet\n",
			"transfer", status->backlog);
	if (status->refused > 0)
		(void)printf("  %-14s %" PRIu64 " requests\n", "refused",
			status->refused);
}

static enum qs_code
ask(const struct showing *showing, const char *name, const char *path,
	const uint8_t *folder_id, struct qs_hub_status *out, struct qs_err *err)
{
	enum qs_code rc = qs_hub_status(path, folder_id, out, err);

	if (rc != QS_OK || name == NULL)
		return rc;
	(void)snprintf(out->name, sizeof(out->name), "%.63s", name);
	/* A hub without a list serves nobody, and has no quotas. */
	if (access(showing->acl, F_OK) != 0)
		return QS_OK;
	return qs_acl_quota(showing->acl, name, &out->quota, err);
}

static int
show_one(void *arg, const char *name, const char *path,
	const uint8_t folder_id[static QS_FOLDER_ID_LEN])
{
	struct showing *showing = arg;
	struct qs_hub_status status;
	struct qs_err err;
	enum qs_code rc = ask(showing, name, path, folder_id, &status, &err);

	if (rc != QS_OK) {
		(void)qs_fail_while(&err, "%s", name != NULL ? name : path);
		return qs_hub_failed(&err);
	}
	if (showing->writes_json)
		put_json(&showing->json, path, &status);
	else
		print_text(path, &status);
	return 0;
}

enum { HUB = 1, ACL, JSON, HELP };

static const struct option long_options[] = {
	{"hub", required_argument, NULL, HUB},
	{"acl", required_argument, NULL, ACL},
	{"json", no_argument, NULL, JSON},
	{"help", no_argument, NULL, HELP},
	{NULL, 0, NULL, 0},
};

int
qs_hub_cmd_status(int argc, char **argv)
{
	struct showing showing = {.hub = NULL};
	struct qs_err err;
	int option, status;

	while ((option = getopt_long(argc, argv, "", long_options, NULL)) !=
		-1) {
		switch (option) {
		case HUB:
			showing.hub = optarg;
			break;
		case ACL:
			showing.acl = optarg;
			break;
		case JSON:
			showing.writes_json = true;
			break;
		case HELP:
			(void)fputs(usage, stdout);
			return 0;
		default:
			(void)qs_fail(&err, QS_EINVAL, "status --help lists "
				"the options");
			return qs_hub_failed(&err);
		}
	}
	if (showing.acl == NULL && qs_hub_default_acl(&showing.own_acl,
		&err) != QS_OK)
		return qs_hub_failed(&err);
	if (showing.acl == NULL)
		showing.acl = showing.own_acl;
	showing.json = qs_json(stdout);
	if (showing.writes_json)
		qs_json_open(&showing.json, NULL, '[');
	status = qs_hub_each(showing.hub, argv + optind,
		(size_t)(argc - optind), show_one, &showing);
	if (showing.writes_json) {
		qs_json_close(&showing.json, ']');
		qs_json_end(&showing.json);
	}
	free(showing.own_acl);
	return status;
}
