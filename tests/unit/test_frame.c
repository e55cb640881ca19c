/* SPDX-License-Identifier: ISC */
/* Unit tests of store/: hostile zstd payloads behind a good seal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/suite/store_help.h"

#define PLAIN 5000

static struct qs_unpacker *unpacker;
static uint8_t packed[2 * PLAIN], out[PLAIN], zeros[PLAIN];
static size_t packed_len;

static int
set_up(void **state)
{
	struct qs_compressor *compressor = NULL;
	enum qs_comp comp = QS_COMP_RAW;
	struct qs_err err;

	(void)state;
	help_ok(qs_unpacker_new(&unpacker, &err), &err);
	help_ok(qs_compressor_new(QS_LEVEL_DEFAULT, &compressor, &err), &err);
	help_ok(qs_frame_compress(compressor, qs_span(zeros, PLAIN), packed,
		&packed_len, &comp, &err), &err);
	assert_int_equal(comp, QS_COMP_ZSTD);
	qs_compressor_free(compressor);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	qs_unpacker_free(unpacker);
	return 0;
}

static enum qs_code
unpack(const uint8_t *payload, size_t len, uint32_t plain_len,
	struct qs_err *err)
{
	struct qs_frame_entry entry = {160, (uint32_t)len + 16, plain_len,
		QS_COMP_ZSTD, QS_KIND_DATA, 0};

	memset(out, 0x55, sizeof(out));
	return qs_frame_unpack(unpacker, &entry, qs_span(payload, len), out,
		err);
}

static void
a_frame_unpacks(void **state)
{
	struct qs_err err;

	(void)state;
	help_ok(unpack(packed, packed_len, PLAIN, &err), &err);
	assert_memory_equal(out, zeros, PLAIN);
}

static void
the_size_must_be_right(void **state)
{
	struct qs_err err;

	(void)state;
	help_fails(unpack(packed, packed_len, PLAIN - 1, &err), &err,
		QS_ECORRUPT, "another size");
	assert_int_equal(out[0], 0x55);
	help_fails(unpack(packed, 4, PLAIN, &err), &err, QS_ECORRUPT,
		"not a zstd frame");
	help_fails(unpack(packed, 0, PLAIN, &err), &err, QS_ECORRUPT,
		"not a zstd frame");
	help_fails(unpack(zeros, 100, PLAIN, &err), &err, QS_ECORRUPT,
		"not a zstd frame");
}

static void
exactly_one_frame_is_taken(void **state)
{
	static const uint8_t skippable[] = {0x50, 0x2a, 0x4d, 0x18, 0, 0, 0,
		0};
	uint8_t two[2 * PLAIN];
	struct qs_err err;

	(void)state;
	memcpy(two, packed, packed_len);
	two[packed_len] = 0;
	help_fails(unpack(two, packed_len + 1, PLAIN, &err), &err,
		QS_ECORRUPT, "not exactly one");
	memcpy(two + packed_len, packed, packed_len);
	help_fails(unpack(two, 2 * packed_len, PLAIN, &err), &err,
		QS_ECORRUPT, "not exactly one");
	memcpy(two + packed_len, skippable, sizeof(skippable));
	help_fails(unpack(two, packed_len + sizeof(skippable), PLAIN, &err),
		&err, QS_ECORRUPT, "not exactly one");
	memcpy(two, skippable, sizeof(skippable));
	memcpy(two + sizeof(skippable), packed, packed_len);
	help_fails(unpack(two, packed_len + sizeof(skippable), PLAIN, &err),
		&err, QS_ECORRUPT, "another size");
	help_fails(unpack(packed, packed_len - 1, PLAIN, &err), &err,
		QS_ECORRUPT, "not exactly one");
}

/* A frame of one raw block of 100 zeros, by hand (RFC 8878). */
static size_t
by_hand(uint8_t *at, uint8_t window, uint8_t dict_id)
{
	uint8_t *start = at;

	qs_store32(at, 0xfd2fb528);
	/* content size of 4 bytes; no single segment; dictionary id? */
	at[4] = (uint8_t)(0x80 | (dict_id != 0));
	at[5] = window;
	at += 6;
	if (dict_id != 0)
		*at++ = dict_id;
	qs_store32(at, 100);
	qs_store16(at + 4, (uint16_t)(100 << 3 | 1));
	at[6] = 0;
	memset(at + 7, 0, 100);
	return (size_t)(at + 107 - start);
}

static void
windows_are_bounded(void **state)
{
	uint8_t frame[128];
	size_t len = by_hand(frame, 13 << 3, 0);
	struct qs_err err;

	(void)state;
	help_ok(unpack(frame, len, 100, &err), &err); /* 2^23 */
	len = by_hand(frame, 13 << 3 | 1, 0);
	help_fails(unpack(frame, len, 100, &err), &err, QS_ECORRUPT,
		"window is too large");
	len = by_hand(frame, 14 << 3, 0);
	help_fails(unpack(frame, len, 100, &err), &err, QS_ECORRUPT,
		"window is too large");
	len = by_hand(frame, 0xff, 0);
	help_fails(unpack(frame, len, 100, &err), &err, QS_ECORRUPT, "");
}

static void
dictionaries_are_refused(void **state)
{
	uint8_t frame[128];
	size_t len = by_hand(frame, 0, 7);
	struct qs_err err;

	(void)state;
	help_fails(unpack(frame, len, 100, &err), &err, QS_ECORRUPT,
		"dictionary");
}

static void
damage_leaves_nothing_half_done(void **state)
{
	uint8_t bad[PLAIN];
	struct qs_err err;

	(void)state;
	for (size_t at = 0; at < packed_len; at++) {
		enum qs_code rc;

		memcpy(bad, packed, packed_len);
		bad[at] ^= 0x81;
		rc = unpack(bad, packed_len, PLAIN, &err);
		/* zstd alone need not notice; the seal does. */
		if (rc != QS_OK)
			assert_true(out[0] == 0x55 ||
				qs_is_zero(out, PLAIN));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_frame_unpacks),
		cmocka_unit_test(the_size_must_be_right),
		cmocka_unit_test(exactly_one_frame_is_taken),
		cmocka_unit_test(windows_are_bounded),
		cmocka_unit_test(dictionaries_are_refused),
		cmocka_unit_test(damage_leaves_nothing_half_done),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
