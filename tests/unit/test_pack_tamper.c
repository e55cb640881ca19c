/* SPDX-License-Identifier: ISC */
/*
 * Unit tests of store/: packs that were tampered with.  Nothing here relies on
 * an object's name; each change must fail, and at its stage.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/suite/pack_help.h"

static struct qs_keys *keys;
static struct qs_opener *opener;
static struct sealed_pack good, second;
static struct qs_pack_head good_head;
static struct qs_pack_dir good_dir;

static struct sealed_pack
make_pack(uint32_t seed)
{
	uint8_t *plain = malloc(9000);
	struct qs_compressor *compressor = NULL;
	struct qs_pack_builder *builder = NULL;
	struct sealed_pack pack;
	struct qs_err err;

	help_ok(qs_pack_builder_new(keys, &builder, &err), &err);
	help_ok(qs_compressor_new(QS_LEVEL_DEFAULT, &compressor, &err), &err);
	help_fill(plain, 9000, &seed);
	pack_help_add(builder, keys, QS_KIND_DATA, 5, NULL,
		qs_span(plain, 3000), 2);
	memset(plain + 100, 'y', 8900);
	pack_help_add(builder, keys, QS_KIND_TREE, 0, compressor,
		qs_span(plain, 9000), 3);
	pack_help_add(builder, keys, QS_KIND_DATA, 5, NULL,
		qs_span(plain, 3000), 1);
	pack = pack_help_seal(builder, false);
	qs_pack_builder_free(builder);
	qs_compressor_free(compressor);
	free(plain);
	return pack;
}

static int
set_up(void **state)
{
	struct qs_err err;

	(void)state;
	help_ok(qs_crypto_init(&err), &err);
	keys = help_keys();
	help_ok(qs_opener_new(keys, &opener, &err), &err);
	good = make_pack(1);
	second = make_pack(2);
	help_ok(qs_pack_open(opener, &good.name,
		qs_span(good.object, good.size), &good_head, &good_dir, &err),
		&err);
	assert_int_equal(good_dir.frames[1].comp, QS_COMP_ZSTD);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	qs_pack_dir_clear(&good_dir);
	free(good.object);
	free(second.object);
	qs_opener_free(opener);
	qs_keys_free(keys);
	return 0;
}

static enum qs_code
open_bytes(const uint8_t *object, size_t size, struct qs_err *err)
{
	struct qs_pack_head head;
	struct qs_pack_dir dir;
	enum qs_code rc = qs_pack_open(opener, &good.name,
		qs_span(object, size), &head, &dir, err);

	if (rc == QS_OK)
		qs_pack_dir_clear(&dir);
	return rc;
}

/* ------------------------------------------------------- flips, stages */

static void
stage_of(size_t at, enum qs_code *code, const char **words)
{
	static const struct {
		size_t end;
		enum qs_code code;
		const char *words;
	} stages[] = {
		{8, QS_ECORRUPT, "wrong magic"},
		{9, QS_EUNSUPPORTED, "pack version"},
		{10, QS_EUNSUPPORTED, "pack suite"},
		{12, QS_ECORRUPT, "reserved bytes"},
		{16, QS_EKEY, "epoch"},
		{32, QS_EKEY, "another folder"},
		{96, QS_ECORRUPT, "commitment"},
		{160, QS_ECORRUPT, "superblock does not verify"},
		{SIZE_MAX, QS_ECORRUPT, "directory does not verify"},
	};
	size_t i = 0;

	while (at >= stages[i].end)
		i++;
	*code = stages[i].code;
	*words = stages[i].words;
}

static void
flip_and_open(size_t at, uint8_t bits)
{
	enum qs_code wanted;
	const char *words;
	struct qs_err err;

	stage_of(at, &wanted, &words);
	good.object[at] ^= bits;
	help_fails(open_bytes(good.object, good.size, &err), &err, wanted,
		words);
	good.object[at] ^= bits;
}

static void
every_bit_of_the_head_is_covered(void **state)
{
	(void)state;
	for (size_t at = 0; at < QS_PACK_HEAD; at++) {
		for (unsigned bit = 0; bit < 8; bit++)
			flip_and_open(at, (uint8_t)(1u << bit));
	}
}

static void
every_byte_of_the_directory_is_covered(void **state)
{
	size_t at = good_head.dir_off;
	size_t entries = at + 3 * 16 + 6 * 48;

	(void)state;
	while (at < good.size) {
		flip_and_open(at, (uint8_t)(1u << at % 8));
		at += at < entries + 16 || at + 64 > good.size ? 1 : 997;
	}
}

static enum qs_code
open_frame(uint32_t number, const struct qs_frame_entry *entry,
	const uint8_t *sealed, size_t len, struct qs_err *err)
{
	static uint8_t plain[9000];

	return qs_frame_open(opener, &good.ref, number, entry,
		qs_span(sealed, len), plain, err);
}

static void
every_byte_of_a_frame_is_covered(void **state)
{
	struct qs_err err;

	(void)state;
	for (uint32_t i = 0; i < good_dir.frame_count; i++) {
		const struct qs_frame_entry *frame = &good_dir.frames[i];
		uint8_t *sealed = good.object + frame->off;

		help_ok(open_frame(i, frame, sealed, frame->sealed_len, &err),
			&err);
		for (size_t at = 0; at < frame->sealed_len; at += 3) {
			sealed[at] ^= 0x10;
			help_fails(open_frame(i, frame, sealed,
				frame->sealed_len, &err), &err, QS_ECORRUPT,
				"does not verify");
			sealed[at] ^= 0x10;
		}
	}
}

/* ---------------------------------------------- lengths and transplants */

static void
another_length_is_refused(void **state)
{
	uint8_t *longer = calloc(2, good.size);
	struct qs_err err;

	(void)state;
	memcpy(longer, good.object, good.size);
	for (size_t size = 0; size < good.size; size += 1 + size / 2)
		help_fails(open_bytes(longer, size, &err), &err, QS_ECORRUPT,
			"not the length of a pack");
	help_fails(open_bytes(longer, good.size - 1, &err), &err, QS_ECORRUPT,
		"not the length of a pack");
	help_fails(open_bytes(longer, good.size + 64, &err), &err, QS_ECORRUPT,
		"not the length of a pack");
	/* A class size, but not the one that was sealed. */
	help_fails(open_bytes(longer, 2 * good.size, &err), &err, QS_ECORRUPT,
		"superblock is out of bounds");
	free(longer);
}

static void
parts_of_another_pack_do_not_fit(void **state)
{
	uint8_t *mixed = malloc(good.size);
	struct qs_err err;

	(void)state;
	memcpy(mixed, good.object, good.size);
	memcpy(mixed + 96, second.object + 96, good.size - 96);
	help_fails(open_bytes(mixed, good.size, &err), &err, QS_ECORRUPT,
		"superblock does not verify");
	memcpy(mixed, good.object, 160);
	help_fails(open_bytes(mixed, good.size, &err), &err, QS_ECORRUPT,
		"directory does not verify");
	memcpy(mixed, second.object, 64);
	help_fails(open_bytes(mixed, good.size, &err), &err, QS_ECORRUPT,
		"commitment");
	free(mixed);
}

static void
frames_cannot_be_exchanged_or_cut(void **state)
{
	const struct qs_frame_entry *frames = good_dir.frames;
	const uint8_t *first = good.object + frames[0].off;
	const uint8_t *third = good.object + frames[2].off;
	struct qs_frame_entry entry = frames[0];
	struct qs_err err;

	(void)state;
	assert_int_equal(frames[0].sealed_len, frames[2].sealed_len);
	help_fails(open_frame(0, &frames[0], third, frames[0].sealed_len,
		&err), &err, QS_ECORRUPT, "does not verify");
	help_fails(open_frame(2, &frames[2], first, frames[0].sealed_len,
		&err), &err, QS_ECORRUPT, "does not verify");
	help_fails(open_frame(2, &frames[0], first, frames[0].sealed_len,
		&err), &err, QS_ECORRUPT, "does not verify");
	help_fails(open_frame(0, &frames[0], first, frames[0].sealed_len - 1,
		&err), &err, QS_ECORRUPT, "cut short");
	help_fails(open_frame(QS_PACK_CHUNKS, &frames[0], first,
		frames[0].sealed_len, &err), &err, QS_ECORRUPT,
		"out of bounds");
	entry.kind = QS_KIND_TREE;
	help_fails(open_frame(0, &entry, first, entry.sealed_len, &err), &err,
		QS_ECORRUPT, "does not verify");
	entry = frames[0];
	entry.domain++;
	help_fails(open_frame(0, &entry, first, entry.sealed_len, &err), &err,
		QS_ECORRUPT, "does not verify");
	entry = frames[0];
	entry.plain_len--;
	help_fails(open_frame(0, &entry, first, entry.sealed_len, &err), &err,
		QS_ECORRUPT, "out of bounds");
}

/* ---------------------------------------------------------- other keys */

static enum qs_code
open_with(struct qs_keys *other, struct qs_err *err)
{
	struct qs_opener *stranger = NULL;
	struct qs_pack_head head;
	enum qs_code rc;

	help_ok(qs_opener_new(other, &stranger, err), err);
	rc = qs_pack_open_head(stranger, &good.name,
		qs_span(good.object, QS_PACK_HEAD), good.size, &head, err);
	qs_opener_free(stranger);
	return rc;
}

static void
another_key_fails_at_the_commitment(void **state)
{
	struct qs_keys *other = help_other_keys(1);
	struct qs_err err;

	(void)state;
	help_fails(open_with(other, &err), &err, QS_EKEY, "another folder");
	/* Another key under this folder's id. */
	memcpy(other->folder_id, keys->folder_id, QS_FOLDER_ID_LEN);
	help_fails(open_with(other, &err), &err, QS_ECORRUPT, "commitment");
	qs_keys_free(other);
}

static void
a_chunk_must_be_what_its_id_says(void **state)
{
	static uint8_t plain[3000];
	struct qs_frame_entry frame = good_dir.frames[0];
	struct qs_chunk_entry chunk = good_dir.chunks[0];
	struct qs_span all = qs_span(plain, sizeof(plain)), out;
	struct qs_err err;

	(void)state;
	help_ok(qs_frame_open(opener, &good.ref, 0, &frame,
		qs_span(good.object + frame.off, frame.sealed_len), plain,
		&err), &err);
	help_ok(qs_chunk_check(keys, &good.ref, &frame, &chunk, all, &out,
		&err), &err);
	plain[chunk.off] ^= 1;
	help_fails(qs_chunk_check(keys, &good.ref, &frame, &chunk, all, &out,
		&err), &err, QS_ECORRUPT, "not what its id says");
	plain[chunk.off] ^= 1;
	/* Data that looks like a tree is none. */
	frame.kind = QS_KIND_TREE;
	help_fails(qs_chunk_check(keys, &good.ref, &frame, &chunk, all, &out,
		&err), &err, QS_ECORRUPT, "not what its id says");
	frame.kind = QS_KIND_DATA;
	chunk.len = 3001;
	help_fails(qs_chunk_check(keys, &good.ref, &frame, &chunk, all, &out,
		&err), &err, QS_ECORRUPT, "out of bounds");
	chunk.off = UINT32_MAX;
	help_fails(qs_chunk_check(keys, &good.ref, &frame, &chunk, all, &out,
		&err), &err, QS_ECORRUPT, "out of bounds");
}

/* ------------------------------------------------- hostile directories */

struct small_dir { /* two frames, two chunks, padding */
	struct qs_frame_entry frames[2];
	struct qs_chunk_entry chunks[2];
	uint8_t bytes[2 * 16 + 2 * 48 + 32];
};

static void
encode_small(struct small_dir *dir)
{
	memset(dir->bytes, 0, sizeof(dir->bytes));
	for (unsigned i = 0; i < 2; i++) {
		qs_frame_entry_encode(&dir->frames[i], dir->bytes + 16 * i);
		qs_chunk_entry_encode(&dir->chunks[i],
			dir->bytes + 32 + 48 * i);
	}
}

static struct small_dir
small(void)
{
	struct small_dir dir = {
		.frames = {
			{160, 116, 100, QS_COMP_RAW, QS_KIND_DATA, 0},
			{276, 66, 200, QS_COMP_ZSTD, QS_KIND_LIST, 9},
		},
		.chunks = {
			{.frame = 0, .off = 0, .len = 100},
			{.frame = 1, .off = 50, .len = 150},
		},
	};

	encode_small(&dir);
	return dir;
}

static enum qs_code
decode_small(const struct small_dir *dir, struct qs_err *err)
{
	struct qs_pack_dir out;
	enum qs_code rc = qs_pack_dir_decode(
		qs_span(dir->bytes, sizeof(dir->bytes)), 2, 2, 342, &out, err);

	if (rc == QS_OK)
		qs_pack_dir_clear(&out);
	return rc;
}

#define REFUSES(change, words) \
	do { \
		struct small_dir dir = small(); \
		struct qs_err refusal; \
\
		change; \
		encode_small(&dir); \
		help_fails(decode_small(&dir, &refusal), &refusal, \
			QS_ECORRUPT, words); \
	} while (0)

static void
frames_must_tile(void **state)
{
	struct small_dir whole = small();
	struct qs_err err;

	(void)state;
	help_ok(decode_small(&whole, &err), &err);
	REFUSES(dir.frames[0].off = 161, "frame 0 is out");
	REFUSES(dir.frames[0].off = 0, "frame 0 is out");
	REFUSES(dir.frames[1].off = 277, "frame 1 is out");
	REFUSES(dir.frames[1].off = 275, "frame 1 is out");
	REFUSES(dir.frames[1].off = UINT32_MAX, "frame 1 is out");
	REFUSES(dir.frames[1].sealed_len = 65, "do not reach");
	REFUSES(dir.frames[1].sealed_len = 67, "frame 1 is out");
	REFUSES(dir.frames[1].sealed_len = UINT32_MAX, "frame 1 is out");
	REFUSES(dir.frames[1].sealed_len = 16, "frame 1 is out");
	REFUSES(dir.frames[1].sealed_len = 0, "frame 1 is out");
}

static void
frames_must_make_sense(void **state)
{
	(void)state;
	REFUSES(dir.frames[0].plain_len = 99, "frame 0 is out");
	REFUSES(dir.frames[0].comp = 2, "frame 0 is out");
	REFUSES(dir.frames[0].kind = 0, "frame 0 is out");
	REFUSES(dir.frames[0].kind = 5, "frame 0 is out");
	REFUSES(dir.frames[1].plain_len = 50, "frame 1 is out");
	REFUSES(dir.frames[1].plain_len = 0, "frame 1 is out");
	REFUSES(dir.frames[1].plain_len = QS_CHUNK_MAX + 1, "frame 1 is out");
}

static void
chunks_must_lie_in_their_frames(void **state)
{
	(void)state;
	REFUSES(dir.chunks[1].frame = 2, "chunk 1 is out");
	REFUSES(dir.chunks[1].frame = UINT32_MAX, "chunk 1 is out");
	REFUSES((dir.chunks[0].frame = 1, dir.chunks[1].frame = 0,
		dir.chunks[1].len = 50),
		"chunk 1 is out");
	REFUSES(dir.chunks[0].len = 0, "chunk 0 is out");
	REFUSES(dir.chunks[0].len = 101, "chunk 0 is out");
	REFUSES(dir.chunks[1].off = 51, "chunk 1 is out");
	REFUSES(dir.chunks[1].off = UINT32_MAX, "chunk 1 is out");
	REFUSES(dir.chunks[1].len = UINT32_MAX, "chunk 1 is out");
}

static void
reserved_bytes_and_counts_are_checked(void **state)
{
	struct small_dir dir = small();
	struct qs_span all = qs_span(dir.bytes, sizeof(dir.bytes));
	struct qs_pack_dir out;
	struct qs_err err;

	(void)state;
	dir.bytes[15] = 1;
	help_fails(decode_small(&dir, &err), &err, QS_ECORRUPT, "frame 0");
	dir = small();
	dir.bytes[32 + 47] = 1;
	help_fails(decode_small(&dir, &err), &err, QS_ECORRUPT, "chunk 0");
	dir = small();
	dir.bytes[sizeof(dir.bytes) - 1] = 1;
	help_fails(decode_small(&dir, &err), &err, QS_ECORRUPT,
		"padding is not zero");
	dir = small();
	help_fails(qs_pack_dir_decode(all, 2, 3, 342, &out, &err), &err,
		QS_ECORRUPT, "shorter than its entries");
	help_fails(qs_pack_dir_decode(all, UINT32_MAX, 0, 342, &out, &err),
		&err, QS_ECORRUPT, "too many entries");
	help_fails(qs_pack_dir_decode(all, 2, UINT32_MAX, 342, &out, &err),
		&err, QS_ECORRUPT, "too many entries");
	help_fails(qs_pack_dir_decode(all, 2, 1, 342, &out, &err), &err,
		QS_ECORRUPT, "padding is not zero");
	help_fails(qs_pack_dir_decode(qs_span(NULL, 0), 0, 0, 161, &out,
		&err), &err, QS_ECORRUPT, "do not reach");
	help_ok(qs_pack_dir_decode(qs_span(NULL, 0), 0, 0, 160, &out, &err),
		&err);
	qs_pack_dir_clear(&out);
}

static void
a_frame_entry_is_checked_against_the_pack(void **state)
{
	struct qs_frame_entry entry = {160, 65536 - 160 - 16,
		65536 - 160 - 32, QS_COMP_RAW, QS_KIND_DATA, 0};

	(void)state;
	assert_true(qs_frame_entry_ok(&entry, 65536));
	assert_false(qs_frame_entry_ok(&entry, 0));
	assert_false(qs_frame_entry_ok(&entry, 15));
	assert_false(qs_frame_entry_ok(&entry, UINT32_MAX));
	entry.off++;
	assert_false(qs_frame_entry_ok(&entry, 65536));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_bit_of_the_head_is_covered),
		cmocka_unit_test(every_byte_of_the_directory_is_covered),
		cmocka_unit_test(every_byte_of_a_frame_is_covered),
		cmocka_unit_test(another_length_is_refused),
		cmocka_unit_test(parts_of_another_pack_do_not_fit),
		cmocka_unit_test(frames_cannot_be_exchanged_or_cut),
		cmocka_unit_test(another_key_fails_at_the_commitment),
		cmocka_unit_test(a_chunk_must_be_what_its_id_says),
		cmocka_unit_test(frames_must_tile),
		cmocka_unit_test(frames_must_make_sense),
		cmocka_unit_test(chunks_must_lie_in_their_frames),
		cmocka_unit_test(reserved_bytes_and_counts_are_checked),
		cmocka_unit_test(a_frame_entry_is_checked_against_the_pack),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
