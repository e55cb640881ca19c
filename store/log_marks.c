/* SPDX-License-Identifier: ISC */
/* A device's log that went back in time, in words a person understands. */
#include <inttypes.h>

#include "store/store_internal.h"

struct when { /* a record's time, in words */
	char text[32];
};

static struct when
when(uint64_t time_ms)
{
	struct when out = {"an unknown date"};
	time_t seconds = (time_t)(time_ms / 1000);
	struct tm tm;

	/* The claimed time is foreign; the end of the year 9999 is enough. */
	if (time_ms / 1000 <= UINT64_C(253402300799) &&
		gmtime_r(&seconds, &tm) != NULL)
		(void)strftime(out.text, sizeof(out.text),
			"%Y-%m-%d %H:%M UTC", &tm);
	return out;
}

enum qs_code
qs_log_rollback(const struct qs_mark *mark, const struct qs_mark *head,
	struct qs_err *err)
{
	struct qs_short device = qs_short_device(mark->device);
	struct when was = when(mark->time_ms);

	if (head == NULL)
		return qs_fail(err, QS_EROLLBACK, "device %.8s: was at "
			"record %" PRIu64 " of %s, now has no record at all: "
			"the store went back in time", device.hex, mark->seq,
			was.text);
	if (head->seq < mark->seq)
		return qs_fail(err, QS_EROLLBACK, "device %.8s: was at "
			"record %" PRIu64 " of %s, is now at record %" PRIu64
			" of %s: the store went back in time", device.hex,
			mark->seq, was.text, head->seq,
			when(head->time_ms).text);
	return qs_fail(err, QS_EROLLBACK, "device %.8s: was at record "
		"%" PRIu64 " of %s, which is no longer there; is now at "
		"record %" PRIu64 " of %s: its history was replaced",
		device.hex, mark->seq, was.text, head->seq,
		when(head->time_ms).text);
}
