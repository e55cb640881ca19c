/* SPDX-License-Identifier: ISC */
/*
 * Fuzz target: what a certified but lying device may seal into its records
 * (snapshot and note payloads, GENESIS), and the local file of heads.  The
 * first byte chooses.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "snapshot/folder_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What was accepted has one encoding, and zeros behind it. */
static void
fuzz_payload(struct qs_span bytes)
{
	struct qs_payload payload;
	struct qs_buf again = {0};
	struct qs_err err;

	if (qs_payload_decode(bytes, &payload, &err) != QS_OK)
		return;
	if (qs_payload_encode(&payload, &again, &err) != QS_OK ||
		again.len > bytes.len ||
		memcmp(again.data, bytes.data, again.len) != 0 ||
		!qs_is_zero(bytes.data + again.len, bytes.len - again.len))
		abort();
	qs_buf_clear(&again);
	qs_payload_clear(&payload);
}

static void
fuzz_genesis(struct qs_span bytes)
{
	struct qs_chunker_params params;
	uint8_t again[QS_GENESIS_LEN];
	const uint8_t *ds;
	struct qs_err err;

	if (qs_genesis_payload_decode(bytes, &ds, &params, &err) != QS_OK)
		return;
	qs_genesis_payload_encode(ds, &params, again);
	if (memcmp(again, bytes.data, sizeof(again)) != 0)
		abort();
}

/* One line for each device, in one way of writing, in order. */
static void
check_lines(struct qs_span text, const struct qs_mark *marks, size_t count)
{
	const char *at = (const char *)text.data;
	size_t left = text.len;

	for (size_t i = 0; i < count; i++) {
		char device[17], name[QS_HEX_LEN + 1], line[160];
		size_t len;

		qs_hex(device, marks[i].device, QS_DEVICE_LEN);
		qs_hex(name, marks[i].name.b, 32);
		(void)snprintf(line, sizeof(line), "%s %" PRIu64 " %s %"
			PRIu64 "\n", device, marks[i].seq, name,
			marks[i].time_ms);
		len = strlen(line);
		if (left < len || memcmp(at, line, len) != 0)
			abort();
		at += len;
		left -= len;
	}
	if (left != 0)
		abort();
}

static void
fuzz_heads(struct qs_span bytes)
{
	struct qs_mark *marks;
	size_t count;
	struct qs_err err;

	if (qs_marks_parse(bytes, &marks, &count, &err) != QS_OK)
		return;
	for (size_t i = 1; i < count; i++) {
		if (memcmp(marks[i - 1].device, marks[i].device,
			QS_DEVICE_LEN) >= 0)
			abort();
	}
	check_lines(bytes, marks, count);
	free(marks);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	switch (data[0]) {
	case 'p':
		fuzz_payload(qs_span(data + 1, size - 1));
		break;
	case 'g':
		fuzz_genesis(qs_span(data + 1, size - 1));
		break;
	case 'h':
		fuzz_heads(qs_span(data + 1, size - 1));
		break;
	default:
		break;
	}
	return 0;
}
