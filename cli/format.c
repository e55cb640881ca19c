/* SPDX-License-Identifier: ISC */
/* Sizes, times, spans of time and modes as people write and read them. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "cli/cli_internal.h"

#define NS 1000000000

void
qs_cli_bytes(uint64_t bytes, char out[static QS_CLI_TEXT_LEN])
{
	static const char *const units[] = {"KiB", "MiB", "GiB", "TiB", "PiB",
		"EiB"};
	double value = (double)bytes / 1024;
	size_t i = 0;

	if (bytes < 1024) {
		(void)snprintf(out, QS_CLI_TEXT_LEN, "%" PRIu64 " B", bytes);
		return;
	}
	for (; value >= 1024 && i < 5; i++)
		value /= 1024;
	(void)snprintf(out, QS_CLI_TEXT_LEN, "%.3f %s", value, units[i]);
}

void
qs_cli_duration(uint64_t seconds, char out[static QS_CLI_TEXT_LEN])
{
	unsigned s = (unsigned)(seconds % 60);
	unsigned m = (unsigned)(seconds / 60 % 60);
	uint64_t h = seconds / 3600;

	if (h > 0)
		(void)snprintf(out, QS_CLI_TEXT_LEN, "%" PRIu64 ":%02u:%02u",
			h, m, s);
	else
		(void)snprintf(out, QS_CLI_TEXT_LEN, "%u:%02u", m, s);
}

/* Rounds down, also before 1970. */
static void
split(int64_t ns, time_t *seconds, long *rest)
{
	int64_t s = ns / NS, r = ns % NS;

	if (r < 0) {
		r += NS;
		s--;
	}
	*seconds = (time_t)s;
	*rest = (long)r;
}

void
qs_cli_time(int64_t ns, char out[static QS_CLI_TEXT_LEN])
{
	struct tm tm;
	time_t seconds;
	long rest;

	split(ns, &seconds, &rest);
	if (localtime_r(&seconds, &tm) == NULL ||
		strftime(out, QS_CLI_TEXT_LEN, "%Y-%m-%d %H:%M:%S", &tm) == 0)
		(void)snprintf(out, QS_CLI_TEXT_LEN, "?");
}

void
qs_cli_time_json(int64_t ns, char out[static QS_CLI_TEXT_LEN])
{
	char date[32] = "", zone[8] = "";
	struct tm tm;
	time_t seconds;
	long rest;

	split(ns, &seconds, &rest);
	if (localtime_r(&seconds, &tm) != NULL) {
		(void)strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm);
		(void)strftime(zone, sizeof(zone), "%z", &tm);
	}
	/* RFC 3339 wants +02:00, strftime gives +0200 */
	(void)snprintf(out, QS_CLI_TEXT_LEN, "%s.%09ld%.3s:%s", date, rest,
		zone, strlen(zone) > 3 ? zone + 3 : "00");
}

enum qs_code
qs_cli_parse_time(const char *text, int64_t *ns, struct qs_err *err)
{
	struct tm tm = {.tm_isdst = -1};
	const char *end = strptime(text, "%Y-%m-%d %H:%M:%S", &tm);
	time_t seconds;

	if (end == NULL) {
		tm = (struct tm){.tm_isdst = -1};
		end = strptime(text, "%Y-%m-%d", &tm);
	}
	if (end == NULL || *end != '\0')
		return qs_fail(err, QS_EINVAL, "time \"%s\": it is not "
			"YYYY-MM-DD HH:MM:SS", text);
	seconds = mktime(&tm);
	if (seconds <= 0 || seconds > INT64_MAX / NS)
		return qs_fail(err, QS_EINVAL, "time \"%s\": it is out of "
			"range", text);
	*ns = (int64_t)seconds * NS;
	return QS_OK;
}

enum qs_code
qs_cli_parse_span(const char *text, unsigned *seconds, struct qs_err *err)
{
	const char *at = text;
	uint64_t sum = 0;

	if (*at == '\0')
		goto bad;
	while (*at != '\0') {
		uint64_t value = 0, unit = 1;
		const char *first = at;

		for (; *at >= '0' && *at <= '9'; at++) {
			value = value * 10 + (uint64_t)(*at - '0');
			if (value > UINT32_MAX)
				goto bad;
		}
		if (at == first)
			goto bad;
		switch (*at) {
		case 's':
		case '\0':
			break;
		case 'm':
			unit = 60;
			break;
		case 'h':
			unit = 3600;
			break;
		case 'd':
			unit = 86400;
			break;
		default:
			goto bad;
		}
		if (*at != '\0')
			at++;
		sum += value * unit;
		if (sum > INT32_MAX)
			goto bad;
	}
	if (sum == 0)
		goto bad;
	*seconds = (unsigned)sum;
	return QS_OK;
bad:
	return qs_fail(err, QS_EINVAL, "\"%s\" is not a span of time such as "
		"90s, 15m, 1h30m or 2d", text);
}

enum qs_code
qs_cli_parse_size(const char *text, uint64_t *out, struct qs_err *err)
{
	static const char units[] = "kmgt";
	char *end;
	uint64_t value;
	unsigned shift = 0;

	errno = 0;
	value = strtoull(text, &end, 10);
	if (errno != 0 || text[0] < '0' || text[0] > '9')
		goto bad;
	if (*end != '\0') {
		const char *unit = strchr(units, *end | 0x20);

		if (unit == NULL)
			goto bad;
		shift = 10 * (unsigned)(unit - units + 1);
		end++;
		if (end[0] == 'i' && end[1] == 'B')
			end++;
		if (*end == 'B' || *end == 'b')
			end++;
	}
	if (*end != '\0' || value > UINT64_MAX >> shift)
		goto bad;
	*out = value << shift;
	return QS_OK;
bad:
	return qs_fail(err, QS_EINVAL, "\"%s\" is not a size such as 500K, "
		"20M or 4G", text);
}

static const struct {
	const char *word;
	char letter;
} types[] = {
	[QS_NODE_FILE] = {"file", '-'},
	[QS_NODE_DIR] = {"dir", 'd'},
	[QS_NODE_SYMLINK] = {"symlink", 'l'},
	[QS_NODE_FIFO] = {"fifo", 'p'},
	[QS_NODE_CHARDEV] = {"chardev", 'c'},
	[QS_NODE_BLOCKDEV] = {"dev", 'b'},
	[QS_NODE_SOCKET] = {"socket", 's'},
};

const char *
qs_cli_type(enum qs_node_type type)
{
	if ((unsigned)type < 1 || (unsigned)type > QS_NODE_SOCKET)
		return "?";
	return types[type].word;
}

void
qs_cli_mode(const struct qs_node *node, char out[static 11])
{
	static const char letters[] = "rwxrwxrwx";
	unsigned mode = node->mode;

	out[0] = types[node->type].letter;
	for (unsigned i = 0; i < 9; i++)
		out[1 + i] = mode & 0400u >> i ? letters[i] : '-';
	if (mode & 04000)
		out[3] = mode & 0100 ? 's' : 'S';
	if (mode & 02000)
		out[6] = mode & 010 ? 's' : 'S';
	if (mode & 01000)
		out[9] = mode & 01 ? 't' : 'T';
	out[10] = '\0';
}
