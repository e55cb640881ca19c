/* SPDX-License-Identifier: ISC */
/* What --keep-* keeps: restic's rules, in local time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "retention/retention.h"

#define MOST 64

static struct qs_err err;
static char host[] = "work";
static struct qs_snapshot snapshots[MOST];
static const struct qs_snapshot *list[MOST];
static size_t count;
static struct qs_verdict *verdicts;

static void
zone(const char *name)
{
	assert_int_equal(setenv("TZ", name, 1), 0);
	tzset();
}

/* "2020-02-03 04:05:06" in UTC. */
static int64_t
utc(const char *text)
{
	struct tm tm = {0};

	assert_int_equal(sscanf(text, "%d-%d-%d %d:%d:%d", &tm.tm_year,
		&tm.tm_mon, &tm.tm_mday, &tm.tm_hour, &tm.tm_min, &tm.tm_sec),
		6);
	tm.tm_year -= 1900;
	tm.tm_mon -= 1;
	return (int64_t)timegm(&tm) * INT64_C(1000000000);
}

/* In the order given; numbered from 1 by the first byte of the record. */
static void
given(const char *const *times)
{
	qs_verdicts_free(verdicts, count);
	verdicts = NULL;
	memset(snapshots, 0, sizeof(snapshots));
	for (count = 0; times[count] != NULL; count++) {
		snapshots[count].host = host;
		snapshots[count].time_ns = utc(times[count]);
		snapshots[count].record.b[0] = (uint8_t)(count + 1);
		list[count] = &snapshots[count];
	}
}

#define GIVEN(...) given((const char *const[]){__VA_ARGS__, NULL})

static void
judged_at(const struct qs_policy *policy, int64_t now)
{
	qs_verdicts_free(verdicts, count);
	verdicts = NULL;
	assert_int_equal(qs_policy_apply(policy, list, count, now, &verdicts,
		&err), QS_OK);
}

/* The numbers of what is kept, the newest first, as "3 1". */
static void
keeps(const struct qs_policy *policy, const char *wanted)
{
	char found[256] = "";

	judged_at(policy, utc("2030-01-01 00:00:00"));
	for (size_t i = 0; i < count; i++) {
		const size_t used = strlen(found);

		assert_int_equal(verdicts[i].is_kept,
			verdicts[i].reason_count > 0);
		if (verdicts[i].is_kept)
			(void)snprintf(found + used, sizeof(found) - used,
				"%s%d", used > 0 ? " " : "",
				verdicts[i].snapshot->record.b[0]);
	}
	assert_string_equal(found, wanted);
}

/* Why the i-th newest is kept, joined by "; ". */
static void
because(size_t i, const char *wanted)
{
	char found[512] = "";

	for (size_t j = 0; j < verdicts[i].reason_count; j++) {
		const size_t used = strlen(found);

		(void)snprintf(found + used, sizeof(found) - used, "%s%s",
			j > 0 ? "; " : "", verdicts[i].reasons[j]);
	}
	assert_string_equal(found, wanted);
}

static struct qs_policy
keep(enum qs_period period, int n)
{
	struct qs_policy policy = {.tag_count = 0};

	policy.keep[period] = n;
	return policy;
}

static struct qs_policy
within(enum qs_period period, const char *span)
{
	struct qs_policy policy = {.tag_count = 0};

	assert_int_equal(qs_within_parse(span, &policy.within[period], &err),
		QS_OK);
	return policy;
}

static void
no_snapshots_and_no_policy(void **state)
{
	struct qs_policy policy = {.tag_count = 0};

	(void)state;
	zone("UTC");
	assert_true(qs_policy_is_empty(&policy));
	given((const char *const[]){NULL});
	keeps(&policy, "");
	GIVEN("2020-01-01 00:00:00");
	keeps(&policy, "");
	policy = keep(QS_PERIOD_DAILY, 1);
	assert_false(qs_policy_is_empty(&policy));
	policy = within(QS_PERIOD_YEARLY, "1h");
	assert_false(qs_policy_is_empty(&policy));
}

static void
the_last_n_whatever_their_times(void **state)
{
	struct qs_policy policy = keep(QS_PERIOD_LAST, 2);

	(void)state;
	zone("UTC");
	GIVEN("2020-01-01 00:00:00", "2020-01-01 00:00:00",
		"2019-01-01 00:00:00", "2021-01-01 00:00:00");
	keeps(&policy, "4 2");
	because(0, "last snapshot");
	policy.keep[QS_PERIOD_LAST] = QS_KEEP_ALL;
	keeps(&policy, "4 2 1 3");
	policy.keep[QS_PERIOD_LAST] = 100;
	keeps(&policy, "4 2 1 3");
}

static void
the_newest_of_each_period(void **state)
{
	struct qs_policy policy = keep(QS_PERIOD_HOURLY, 2);

	(void)state;
	zone("UTC");
	/* Duplicates within an hour, then within a day and so on. */
	GIVEN("2020-03-04 10:59:59", "2020-03-04 10:00:00",
		"2020-03-04 09:59:59", "2020-03-04 09:00:00",
		"2020-03-03 09:00:00", "2020-02-29 23:00:00",
		"2019-12-30 12:00:00", "2019-12-29 12:00:00",
		"2018-01-01 00:00:00");
	keeps(&policy, "1 3");
	because(2, "hourly snapshot");
	policy = keep(QS_PERIOD_DAILY, 3);
	keeps(&policy, "1 5 6");
	/* 2019-12-30 is a Monday: it begins the first week of 2020. */
	policy = keep(QS_PERIOD_WEEKLY, 4);
	keeps(&policy, "1 6 7 8");
	policy = keep(QS_PERIOD_MONTHLY, 3);
	keeps(&policy, "1 6 7");
	policy = keep(QS_PERIOD_YEARLY, 2);
	keeps(&policy, "1 7");
}

static void
days_of_the_turn_of_the_year_are_in_one_week(void **state)
{
	struct qs_policy policy = keep(QS_PERIOD_WEEKLY, 3);

	(void)state;
	zone("UTC");
	GIVEN("2020-01-05 12:00:00", "2020-01-01 12:00:00",
		"2019-12-31 12:00:00", "2019-12-29 12:00:00",
		"2019-12-20 12:00:00");
	keeps(&policy, "1 4 5");
}

static void
the_oldest_stays_while_some_are_left(void **state)
{
	struct qs_policy policy = keep(QS_PERIOD_YEARLY, 3);

	(void)state;
	zone("UTC");
	GIVEN("2020-05-01 00:00:00", "2020-03-01 00:00:00",
		"2020-02-01 00:00:00");
	keeps(&policy, "1 3");
	because(2, "oldest yearly snapshot");
	policy.keep[QS_PERIOD_YEARLY] = 1;
	keeps(&policy, "1");
	policy.keep[QS_PERIOD_YEARLY] = QS_KEEP_ALL;
	keeps(&policy, "1 3");
}

static void
what_is_kept_is_the_union(void **state)
{
	struct qs_policy policy = keep(QS_PERIOD_LAST, 1);

	(void)state;
	zone("UTC");
	GIVEN("2020-05-03 12:00:00", "2020-05-03 11:00:00",
		"2020-05-02 11:00:00", "2020-04-02 11:00:00");
	policy.keep[QS_PERIOD_DAILY] = 2;
	policy.keep[QS_PERIOD_MONTHLY] = 2;
	keeps(&policy, "1 3 4");
	because(0, "last snapshot; daily snapshot; monthly snapshot");
	because(2, "daily snapshot");
	because(3, "monthly snapshot");
}

static void
days_are_those_of_the_local_calendar(void **state)
{
	struct qs_policy policy = keep(QS_PERIOD_DAILY, 2);

	(void)state;
	GIVEN("2020-06-02 23:30:00", "2020-06-02 21:30:00",
		"2020-06-02 01:00:00");
	zone("UTC");
	keeps(&policy, "1 3"); /* the oldest */
	because(2, "oldest daily snapshot");
	zone("Europe/Berlin"); /* two hours ahead in summer: 3 days */
	keeps(&policy, "1 2");
	zone("America/New_York");
	keeps(&policy, "1 3");
	because(2, "daily snapshot");
}

static void
the_hour_that_comes_twice_is_one(void **state)
{
	struct qs_policy policy = keep(QS_PERIOD_HOURLY, 3);

	(void)state;
	zone("Europe/Berlin");
	/* 02:30 summer time, 02:30 winter time, 03:30, and 01:30 before. */
	GIVEN("2020-10-25 02:30:00", "2020-10-25 01:30:00",
		"2020-10-25 00:30:00", "2020-10-24 23:30:00");
	keeps(&policy, "1 2 4");
	because(1, "hourly snapshot");
	/* In spring an hour is missing: nothing is special. */
	GIVEN("2020-03-29 01:30:00", "2020-03-29 00:30:00");
	keeps(&policy, "1 2");
}

static void
ties_are_the_same_everywhere(void **state)
{
	struct qs_policy policy = keep(QS_PERIOD_DAILY, 1);

	(void)state;
	zone("UTC");
	GIVEN("2020-01-02 00:00:00", "2020-01-02 00:00:00",
		"2020-01-02 00:00:00");
	keeps(&policy, "3");
	list[0] = &snapshots[2];
	list[2] = &snapshots[0];
	keeps(&policy, "3");
}

static void
within_is_measured_from_the_newest(void **state)
{
	struct qs_policy policy = within(QS_PERIOD_LAST, "1m1d");

	(void)state;
	zone("UTC");
	GIVEN("2020-03-31 12:00:00", "2020-03-01 12:00:01",
		"2020-03-01 12:00:00", "2020-02-29 12:00:00");
	/* Before March 31st that is February 30th, which is March 1st. */
	keeps(&policy, "1 2");
	because(0, "within 1m1d");
	policy = within(QS_PERIOD_LAST, "24h");
	keeps(&policy, "1");
	policy = within(QS_PERIOD_LAST, "10y");
	keeps(&policy, "1 2 3 4");
	policy = within(QS_PERIOD_MONTHLY, "3m");
	keeps(&policy, "1 4");
	because(0, "monthly within 3m");
}

static void
a_day_of_23_hours_is_a_day(void **state)
{
	struct qs_policy policy = within(QS_PERIOD_LAST, "1d");

	(void)state;
	zone("Europe/Berlin");
	/* Noon of the day that summer time begins, noon and 12:30 before. */
	GIVEN("2020-03-29 10:00:00", "2020-03-28 11:30:00",
		"2020-03-28 11:00:00");
	keeps(&policy, "1 2");
	policy = within(QS_PERIOD_LAST, "24h");
	keeps(&policy, "1 2 3");
}

static void
times_to_come_are_no_measure(void **state)
{
	struct qs_policy policy = within(QS_PERIOD_LAST, "2d");

	(void)state;
	zone("UTC");
	GIVEN("2025-01-01 00:00:00", "2020-01-03 00:00:00",
		"2020-01-02 00:00:00", "2019-12-01 00:00:00");
	judged_at(&policy, utc("2020-01-04 00:00:00"));
	assert_true(verdicts[0].is_kept);
	assert_true(verdicts[1].is_kept);
	assert_true(verdicts[2].is_kept);
	assert_false(verdicts[3].is_kept);
	/* All are to come: all are kept. */
	judged_at(&policy, utc("2000-01-01 00:00:00"));
	for (size_t i = 0; i < count; i++)
		assert_true(verdicts[i].is_kept);
	/* They count as the last ones all the same. */
	policy = keep(QS_PERIOD_LAST, 1);
	judged_at(&policy, utc("2020-01-04 00:00:00"));
	assert_int_equal(verdicts[0].snapshot->record.b[0], 1);
	assert_true(verdicts[0].is_kept);
	assert_false(verdicts[1].is_kept);
}

static void
tags_are_kept_uncounted(void **state)
{
	static char tag_a[] = "a", tag_b[] = "b";
	char *both[] = {tag_a, tag_b, NULL};
	const char *wanted[] = {"a,b", ""};
	struct qs_policy policy = keep(QS_PERIOD_LAST, 1);

	(void)state;
	zone("UTC");
	GIVEN("2020-01-03 00:00:00", "2020-01-02 00:00:00",
		"2020-01-01 00:00:00");
	snapshots[0].tags = both;
	snapshots[0].tag_count = 1;
	snapshots[1].tags = both;
	snapshots[1].tag_count = 2;
	policy.tags = wanted;
	policy.tag_count = 1;
	keeps(&policy, "1 2");
	because(1, "has tags [a, b]");
	policy.tag_count = 2; /* "": those without any */
	keeps(&policy, "1 2 3");
}

static void
times_before_1970_have_periods(void **state)
{
	struct qs_policy policy = keep(QS_PERIOD_YEARLY, 2);

	(void)state;
	zone("UTC");
	GIVEN("1970-01-01 00:00:00", "1969-12-31 23:59:59",
		"1969-06-01 00:00:00");
	snapshots[1].time_ns = -1;
	keeps(&policy, "1 2");
}

static void
spans_are_parsed_strictly(void **state)
{
	static const char *const bad[] = {"", "1", "y", "1y5", "1y ", "-1d",
		"1w", "0d", "1000000d", "1Y", "99999999999999999999d"};
	struct qs_within span;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(qs_within_parse(bad[i], &span, &err),
			QS_EINVAL);
	assert_int_equal(qs_within_parse("1y5m7d2h", &span, &err), QS_OK);
	assert_int_equal(span.years, 1);
	assert_int_equal(span.months, 5);
	assert_int_equal(span.days, 7);
	assert_int_equal(span.hours, 2);
}

static int
tear_down(void **state)
{
	(void)state;
	qs_verdicts_free(verdicts, count);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_snapshots_and_no_policy),
		cmocka_unit_test(the_last_n_whatever_their_times),
		cmocka_unit_test(the_newest_of_each_period),
		cmocka_unit_test(days_of_the_turn_of_the_year_are_in_one_week),
		cmocka_unit_test(the_oldest_stays_while_some_are_left),
		cmocka_unit_test(what_is_kept_is_the_union),
		cmocka_unit_test(days_are_those_of_the_local_calendar),
		cmocka_unit_test(the_hour_that_comes_twice_is_one),
		cmocka_unit_test(ties_are_the_same_everywhere),
		cmocka_unit_test(within_is_measured_from_the_newest),
		cmocka_unit_test(a_day_of_23_hours_is_a_day),
		cmocka_unit_test(times_to_come_are_no_measure),
		cmocka_unit_test(tags_are_kept_uncounted),
		cmocka_unit_test(times_before_1970_have_periods),
		cmocka_unit_test(spans_are_parsed_strictly),
	};

	return cmocka_run_group_tests(tests, NULL, tear_down);
}
