/* SPDX-License-Identifier: ISC */
/*
 * Which snapshots a policy keeps: restic's rules, in local time.  Pure: no
 * folder, no clock of its own.
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "retention/retention.h"

#define NS_PER_S INT64_C(1000000000)

static const char *const period_names[QS_PERIODS] = {
	"last", "hourly", "daily", "weekly", "monthly", "yearly",
};

static bool
is_no_time(const struct qs_within *within)
{
	return within->years == 0 && within->months == 0 &&
		within->days == 0 && within->hours == 0;
}

bool
qs_policy_is_empty(const struct qs_policy *policy)
{
	bool is_empty = policy->tag_count == 0;

	for (size_t i = 0; i < QS_PERIODS; i++)
		is_empty = is_empty && policy->keep[i] == 0 &&
			is_no_time(&policy->within[i]);
	return is_empty;
}

/* ---------------------------------------------------------- durations */

/* One number and its unit; false: that is none. */
static bool
parse_part(const char **text, struct qs_within *within)
{
	int *const units[] = {&within->years, &within->months, &within->days,
		&within->hours};
	static const char letters[] = "ymdh";
	const char *at = *text, *letter;
	int number = 0;

	if (*at < '0' || *at > '9')
		return false;
	for (; *at >= '0' && *at <= '9' && number < 100000; at++)
		number = number * 10 + (*at - '0');
	letter = *at == '\0' ? NULL : strchr(letters, *at);
	if (letter == NULL)
		return false;
	*units[letter - letters] = number;
	*text = at + 1;
	return true;
}

enum qs_code
qs_within_parse(const char *text, struct qs_within *out, struct qs_err *err)
{
	struct qs_within within = {0};
	const char *at = text;
	bool is_right = true;

	while (is_right && *at != '\0')
		is_right = parse_part(&at, &within);
	if (!is_right || is_no_time(&within))
		return qs_fail(err, QS_EINVAL, "\"%.64s\" is no span of time "
			"like 1y5m7d2h (years, months, days, hours)", text);
	*out = within;
	return QS_OK;
}

static void
within_text(const struct qs_within *within, char *out, size_t cap)
{
	const int values[] = {within->years, within->months, within->days,
		within->hours};
	size_t used = 0;

	out[0] = '\0';
	for (size_t i = 0; i < 4; i++) {
		if (values[i] != 0 && used < cap)
			used += (size_t)snprintf(out + used, cap - used,
				"%d%c", values[i], "ymdh"[i]);
	}
}

/* -------------------------------------------------------------- times */

static time_t
seconds_of(int64_t ns)
{
	int64_t s = ns / NS_PER_S;

	return (time_t)(ns % NS_PER_S < 0 ? s - 1 : s);
}

/* A number that two moments share when they are in the same period. */
static int64_t
period_of(enum qs_period period, int64_t ns, size_t nr)
{
	const time_t s = seconds_of(ns);
	struct tm tm = {0};
	char week[16];
	int64_t year;

	if (period == QS_PERIOD_LAST)
		return (int64_t)nr;
	if (localtime_r(&s, &tm) == NULL)
		return s; /* a year beyond all calendars */
	year = (int64_t)tm.tm_year + 1900;
	switch (period) {
	case QS_PERIOD_HOURLY:
		return ((year * 100 + tm.tm_mon + 1) * 100 + tm.tm_mday) *
			100 + tm.tm_hour;
	case QS_PERIOD_DAILY:
		return (year * 100 + tm.tm_mon + 1) * 100 + tm.tm_mday;
	case QS_PERIOD_WEEKLY: /* ISO 8601: the year is that of the week */
		if (strftime(week, sizeof(week), "%G%V", &tm) == 0)
			return s;
		return strtoll(week, NULL, 10);
	case QS_PERIOD_MONTHLY:
		return year * 100 + tm.tm_mon + 1;
	case QS_PERIOD_YEARLY:
	case QS_PERIOD_LAST:
	case QS_PERIODS:
		break;
	}
	return year;
}

/*
 * The moment that long before: by the calendar first (the same time of day),
 * then by the clock.
 */
static int64_t
moment_before(int64_t ns, const struct qs_within *within)
{
	const time_t s = seconds_of(ns);
	const int64_t rest = ns - (int64_t)s * NS_PER_S;
	struct tm tm = {0};
	time_t before;

	if (localtime_r(&s, &tm) == NULL)
		return INT64_MIN;
	tm.tm_year -= within->years;
	tm.tm_mon -= within->months;
	tm.tm_mday -= within->days;
	tm.tm_isdst = -1;
	before = mktime(&tm) - (time_t)within->hours * 3600;
	if (before <= INT64_MIN / NS_PER_S)
		return INT64_MIN;
	return (int64_t)before * NS_PER_S + rest;
}

/* ------------------------------------------------------------ judging */

struct bucket {
	int left;
	bool is_begun;
	int64_t last;
};

struct judge {
	const struct qs_policy *policy;
	struct bucket keep[QS_PERIODS], within[QS_PERIODS];
	int64_t since[QS_PERIODS]; /* "within" reaches back to here */
};

static enum qs_code
add_reason(struct qs_verdict *verdict, const char *text, struct qs_err *err)
{
	char **more = realloc(verdict->reasons,
		(verdict->reason_count + 2) * sizeof(*more));

	if (more == NULL)
		return qs_fail_nomem(err, "choosing snapshots");
	verdict->reasons = more;
	more[verdict->reason_count] = strdup(text);
	if (more[verdict->reason_count] == NULL)
		return qs_fail_nomem(err, "choosing snapshots");
	more[++verdict->reason_count] = NULL;
	verdict->is_kept = true;
	return QS_OK;
}

static enum qs_code
judge_tags(const struct judge *judge, struct qs_verdict *verdict,
	struct qs_err *err)
{
	enum qs_code rc = QS_OK;

	for (size_t i = 0; rc == QS_OK && i < judge->policy->tag_count; i++) {
		const char *list = judge->policy->tags[i];
		const struct qs_filter filter = {.tags = &list,
			.tag_count = 1};
		char text[320];
		size_t used;

		if (!qs_filter_match(&filter, verdict->snapshot))
			continue;
		used = (size_t)snprintf(text, sizeof(text), "has tags [");
		for (; *list != '\0' && used < sizeof(text) - 4; list++) {
			text[used++] = *list;
			if (*list == ',')
				text[used++] = ' ';
		}
		text[used++] = ']';
		text[used] = '\0';
		rc = add_reason(verdict, text, err);
	}
	return rc;
}

/* Is the period another one than that of the last that was kept for it? */
static bool
is_new_period(struct bucket *bucket, int64_t value)
{
	return !bucket->is_begun || bucket->last != value;
}

static enum qs_code
judge_counts(struct judge *judge, struct qs_verdict *verdict, size_t nr,
	bool is_oldest, struct qs_err *err)
{
	enum qs_code rc = QS_OK;

	for (unsigned i = 0; rc == QS_OK && i < QS_PERIODS; i++) {
		struct bucket *bucket = &judge->keep[i];
		int64_t value;
		bool is_new;
		char text[64];

		if (bucket->left == 0)
			continue;
		value = period_of((enum qs_period)i,
			verdict->snapshot->time_ns, nr);
		is_new = is_new_period(bucket, value);
		/* While some are left the history is as long as can be. */
		if (!is_new && !is_oldest)
			continue;
		bucket->is_begun = true;
		bucket->last = value;
		if (bucket->left > 0)
			bucket->left--;
		(void)snprintf(text, sizeof(text), "%s%s snapshot",
			is_new ? "" : "oldest ", period_names[i]);
		rc = add_reason(verdict, text, err);
	}
	return rc;
}

static enum qs_code
judge_within(struct judge *judge, struct qs_verdict *verdict, size_t nr,
	bool is_oldest, bool is_last, struct qs_err *err)
{
	enum qs_code rc = QS_OK;
	const unsigned first = is_last ? 0 : 1, end = is_last ? 1 : QS_PERIODS;

	for (unsigned i = first; rc == QS_OK && i < end; i++) {
		const struct qs_within *within = &judge->policy->within[i];
		struct bucket *bucket = &judge->within[i];
		int64_t value;
		char span[64], text[96];

		if (is_no_time(within) ||
			verdict->snapshot->time_ns <= judge->since[i])
			continue;
		value = period_of((enum qs_period)i,
			verdict->snapshot->time_ns, nr);
		if (!is_new_period(bucket, value) && !is_oldest)
			continue;
		bucket->is_begun = true;
		bucket->last = value;
		within_text(within, span, sizeof(span));
		(void)snprintf(text, sizeof(text), "%s%swithin %s",
			is_last ? "" : period_names[i], is_last ? "" : " ",
			span);
		rc = add_reason(verdict, text, err);
	}
	return rc;
}

static enum qs_code
judge_one(struct judge *judge, struct qs_verdict *verdict, size_t nr,
	bool is_oldest, struct qs_err *err)
{
	enum qs_code rc = judge_tags(judge, verdict, err);

	if (rc == QS_OK)
		rc = judge_within(judge, verdict, nr, is_oldest, true, err);
	if (rc == QS_OK)
		rc = judge_counts(judge, verdict, nr, is_oldest, err);
	if (rc == QS_OK)
		rc = judge_within(judge, verdict, nr, is_oldest, false, err);
	return rc;
}

static int
newest_first(const void *a, const void *b)
{
	const struct qs_snapshot *left =
		((const struct qs_verdict *)a)->snapshot;
	const struct qs_snapshot *right =
		((const struct qs_verdict *)b)->snapshot;

	if (left->time_ns != right->time_ns)
		return left->time_ns > right->time_ns ? -1 : 1;
	return -memcmp(left->record.b, right->record.b, 32);
}

static void
set_since(struct judge *judge, const struct qs_verdict *verdicts,
	size_t count, int64_t now_ns)
{
	int64_t latest = INT64_MIN;

	/* One of a machine whose clock runs ahead must not be the measure. */
	for (size_t i = count; i > 0; i--) {
		if (verdicts[i - 1].snapshot->time_ns < now_ns)
			latest = verdicts[i - 1].snapshot->time_ns;
	}
	for (unsigned i = 0; i < QS_PERIODS; i++)
		judge->since[i] = latest == INT64_MIN ? INT64_MIN :
			moment_before(latest, &judge->policy->within[i]);
}

enum qs_code
qs_policy_apply(const struct qs_policy *policy,
	const struct qs_snapshot *const *snapshots, size_t count,
	int64_t now_ns, struct qs_verdict **out, struct qs_err *err)
{
	struct qs_verdict *verdicts = calloc(count + 1, sizeof(*verdicts));
	struct judge judge = {.policy = policy};
	enum qs_code rc = QS_OK;

	if (verdicts == NULL)
		return qs_fail_nomem(err, "choosing snapshots");
	for (size_t i = 0; i < count; i++)
		verdicts[i].snapshot = snapshots[i];
	if (count > 1)
		qsort(verdicts, count, sizeof(*verdicts), newest_first);
	for (unsigned i = 0; i < QS_PERIODS; i++)
		judge.keep[i].left = policy->keep[i];
	tzset();
	set_since(&judge, verdicts, count, now_ns);
	for (size_t i = 0; rc == QS_OK && i < count; i++)
		rc = judge_one(&judge, &verdicts[i], i, i + 1 == count, err);
	if (rc != QS_OK) {
		qs_verdicts_free(verdicts, count);
		return rc;
	}
	*out = verdicts;
	return QS_OK;
}

void
qs_verdicts_free(struct qs_verdict *verdicts, size_t count)
{
	if (verdicts == NULL)
		return;
	for (size_t i = 0; i < count; i++) {
		for (size_t j = 0; j < verdicts[i].reason_count; j++)
			free(verdicts[i].reasons[j]);
		free(verdicts[i].reasons);
	}
	free(verdicts);
}
