/* SPDX-License-Identifier: ISC */
/* What a folder's files and refusals are called. */
#include <inttypes.h>
#include <stdio.h>

#include "hub/scrub_internal.h"

struct qs_hub_words
qs_hub_words(const struct qs_ref *ref)
{
	struct qs_hub_words words;
	char hex[17], device[9];

	qs_hex(hex, ref->name.b, 8);
	qs_hex(device, ref->device, 4);
	if (ref->area == QS_AREA_LOG)
		(void)snprintf(words.text, sizeof(words.text),
			"log record %s (device %s, number %" PRIu64 ")", hex,
			device, ref->seq);
	else
		(void)snprintf(words.text, sizeof(words.text), "%s %s",
			ref->area == QS_AREA_KEYS ? "key slot" : "object",
			hex);
	return words;
}

void
qs_hub_refusal_key(enum qs_code code, char out[static QS_REFUSAL_KEY])
{
	(void)snprintf(out, QS_REFUSAL_KEY, "refused_%s", qs_code_word(code));
	for (char *at = out; *at != '\0'; at++) {
		if (*at == ' ')
			*at = '_';
	}
}

uint64_t
qs_hub_ms(const struct timespec *time)
{
	if (time->tv_sec < 0)
		return 0;
	return (uint64_t)time->tv_sec * 1000 +
		(uint64_t)time->tv_nsec / 1000000;
}
