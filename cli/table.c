/* SPDX-License-Identifier: ISC */
/* Snapshots as a table. */
#include "cli/cli_internal.h"

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

struct widths {
	size_t host, tag, reason, path;
};

static size_t
larger(size_t a, size_t b)
{
	return a > b ? a : b;
}

/* verdict NULL: no reasons. */
static void
put_rows(const struct qs_snapshot *one, const struct qs_verdict *verdict,
	const struct widths *widths)
{
	const size_t reasons = verdict == NULL ? 0 : verdict->reason_count;
	char id[QS_CLI_SHORT + 1], time[QS_CLI_TEXT_LEN];
	char size[QS_CLI_TEXT_LEN];
	const size_t rows = larger(larger(one->path_count, one->tag_count),
		reasons);

	qs_cli_short_id(one, id);
	qs_cli_time(one->time_ns, time);
	qs_cli_bytes(one->totals.bytes, size);
	for (size_t i = 0; i < rows || i == 0; i++) {
		put_column(i == 0 ? id : "", QS_CLI_SHORT);
		put_column(i == 0 ? time : "", 19);
		put_column(i == 0 ? one->host : "", widths->host);
		put_column(nth(one->tags, one->tag_count, i), widths->tag);
		if (widths->reason > 0)
			put_column(verdict == NULL ? "" :
				nth(verdict->reasons, reasons, i),
				widths->reason);
		put_column(nth(one->paths, one->path_count, i), widths->path);
		(void)printf("%s\n", i == 0 ? size : "");
	}
}

static struct widths
measure(const struct qs_snapshot *const *list,
	const struct qs_verdict *verdicts, size_t count)
{
	struct widths widths = {4, 4, verdicts != NULL ? 7 : 0, 5};

	for (size_t i = 0; i < count; i++) {
		const struct qs_snapshot *one = list[i];

		widths.host = width_of(one->host, widths.host);
		for (size_t j = 0; j < one->tag_count; j++)
			widths.tag = width_of(one->tags[j], widths.tag);
		for (size_t j = 0; j < one->path_count; j++)
			widths.path = width_of(one->paths[j], widths.path);
		for (size_t j = 0; verdicts != NULL &&
			j < verdicts[i].reason_count; j++)
			widths.reason = width_of(verdicts[i].reasons[j],
				widths.reason);
	}
	return widths;
}

void
qs_cli_table(const struct qs_snapshot *const *list,
	const struct qs_verdict *verdicts, size_t count)
{
	const struct widths widths = measure(list, verdicts, count);
	size_t line = QS_CLI_SHORT + 19 + widths.host + widths.tag +
		widths.path + 5 * 2 + 11;

	put_column("ID", QS_CLI_SHORT);
	put_column("Date", 19);
	put_column("Host", widths.host);
	put_column("Tags", widths.tag);
	if (widths.reason > 0) {
		put_column("Reasons", widths.reason);
		line += widths.reason + 2;
	}
	put_column("Paths", widths.path);
	(void)puts("Size");
	for (size_t i = 0; i < line; i++)
		(void)putchar('-');
	(void)putchar('\n');
	for (size_t i = 0; i < count; i++)
		put_rows(list[i], verdicts != NULL ? &verdicts[i] : NULL,
			&widths);
	for (size_t i = 0; i < line; i++)
		(void)putchar('-');
	(void)printf("\n%zu snapshot%s\n", count, count == 1 ? "" : "s");
}
