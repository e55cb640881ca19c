/* SPDX-License-Identifier: ISC */
/* Where a folder's files lie, and what they are called in sentences. */
#include <inttypes.h>
#include <stdio.h>

#include "hub/scrub_internal.h"

struct qs_hub_path
qs_hub_path(const struct qs_ref *ref)
{
	struct qs_hub_path path = {""};
	char hex[QS_HEX_LEN + 1], device[2 * QS_DEVICE_LEN + 1];

	qs_hex(hex, ref->name.b, 32);
	qs_hex(device, ref->device, QS_DEVICE_LEN);
	switch (ref->area) {
	case QS_AREA_KEYS:
		(void)snprintf(path.text, sizeof(path.text), "keys/%s.key",
			hex);
		break;
	case QS_AREA_LOG:
		(void)snprintf(path.text, sizeof(path.text), "log/%s/%016"
			PRIx64 "-%s", device, ref->seq, hex);
		break;
	case QS_AREA_OBJ:
		(void)snprintf(path.text, sizeof(path.text), "obj/%.2s/%s",
			hex, hex);
		break;
	case QS_AREA_BESIDE: /* nothing of ours is there */
		break;
	}
	return path;
}

struct qs_hub_path
qs_hub_trash_path(const struct qs_ref *ref)
{
	struct qs_hub_path path;
	char hex[QS_HEX_LEN + 1];

	qs_hex(hex, ref->name.b, 32);
	(void)snprintf(path.text, sizeof(path.text), "trash/%s%s", hex,
		ref->area == QS_AREA_KEYS ? ".key" : "");
	return path;
}

struct qs_hub_path
qs_hub_words(const struct qs_ref *ref)
{
	struct qs_hub_path words;
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
