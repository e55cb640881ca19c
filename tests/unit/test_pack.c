/* SPDX-License-Identifier: ISC */
/*
 * Unit tests of store/: packs and frames out and in again, their sizes, their
 * salts, and the known answers in tests/vectors/pack.txt.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/suite/pack_help.h"

#define VECTORS "pack.txt"

static struct qs_keys *keys;
static struct qs_pack_builder *builder;
static struct qs_opener *opener;

static int
set_up(void **state)
{
	struct qs_err err;

	(void)state;
	help_ok(qs_crypto_init(&err), &err);
	keys = help_keys();
	help_ok(qs_pack_builder_new(keys, &builder, &err), &err);
	help_ok(qs_opener_new(keys, &opener, &err), &err);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	qs_pack_builder_free(builder);
	qs_opener_free(opener);
	qs_keys_free(keys);
	return 0;
}

/* ---------------------------------------------------------- round trips */

/* Open every frame of a pack and check every chunk. */
static void
check_all(const struct sealed_pack *pack, const struct qs_pack_dir *dir)
{
	uint8_t *plain = malloc(QS_CHUNK_MAX);
	struct qs_err err;

	for (uint32_t i = 0; i < dir->frame_count; i++) {
		const struct qs_frame_entry *frame = &dir->frames[i];

		assert_true(qs_frame_entry_ok(frame, (uint32_t)pack->size));
		help_ok(qs_frame_open(opener, &pack->ref, i, frame,
			qs_span(pack->object + frame->off, frame->sealed_len),
			plain, &err), &err);
		for (uint32_t j = 0; j < dir->chunk_count; j++) {
			struct qs_span chunk;

			if (dir->chunks[j].frame != i)
				continue;
			help_ok(qs_chunk_check(keys, &pack->ref, frame,
				&dir->chunks[j],
				qs_span(plain, frame->plain_len), &chunk,
				&err), &err);
			assert_int_equal(chunk.len, dir->chunks[j].len);
		}
	}
	free(plain);
}

static void
open_and_check(const struct sealed_pack *pack)
{
	struct qs_pack_head head;
	struct qs_pack_dir dir, lent;
	struct qs_err err;

	help_ok(qs_pack_open(opener, &pack->name,
		qs_span(pack->object, pack->size), &head, &dir, &err), &err);
	qs_pack_builder_dir(builder, &lent);
	assert_int_equal(dir.frame_count, lent.frame_count);
	assert_int_equal(dir.chunk_count, lent.chunk_count);
	assert_memory_equal(dir.frames, lent.frames,
		dir.frame_count * sizeof(*dir.frames));
	assert_memory_equal(dir.chunks, lent.chunks,
		dir.chunk_count * sizeof(*dir.chunks));
	assert_memory_equal(head.ref.salt, pack->ref.salt, 32);
	assert_int_equal(head.ref.size, pack->size);
	check_all(pack, &dir);
	qs_pack_dir_clear(&dir);
}

static void
random_packs_come_back_whole(void **state)
{
	static const enum qs_level levels[] = {QS_LEVEL_OFF,
		QS_LEVEL_FASTEST, QS_LEVEL_DEFAULT, QS_LEVEL_BETTER,
		QS_LEVEL_MAX};
	uint32_t seed = 4711;
	uint8_t *plain = calloc(1, 300000);
	struct qs_err err;

	(void)state;
	for (unsigned round = 0; round < 10; round++) {
		struct qs_compressor *compressor = NULL;
		struct sealed_pack pack;
		unsigned frames = 1 + help_random(&seed) % 12;

		help_ok(qs_compressor_new(levels[round % 5], &compressor,
			&err), &err);
		qs_pack_builder_reset(builder);
		assert_true(qs_pack_builder_is_empty(builder));
		for (unsigned i = 0; i < frames; i++) {
			size_t len = 8 + help_random(&seed) % 100000;

			memset(plain, 'x', len);
			help_fill(plain, len / (1 + i % 4), &seed);
			pack_help_add(builder, keys,
				(enum qs_kind)(1 + i % 4),
				(uint8_t)help_random(&seed), compressor,
				qs_span(plain, len), 1 + i % 8);
		}
		pack = pack_help_seal(builder, round % 2 == 1);
		open_and_check(&pack);
		free(pack.object);
		qs_compressor_free(compressor);
	}
	free(plain);
}

static void
a_pack_without_frames_is_legal(void **state)
{
	struct sealed_pack pack;

	(void)state;
	qs_pack_builder_reset(builder);
	pack = pack_help_seal(builder, false);
	assert_int_equal(pack.size, QS_PACK_MIN);
	open_and_check(&pack);
	free(pack.object);
}

static void
a_pack_can_be_filled_to_the_last_byte(void **state)
{
	size_t overhead = QS_PACK_HEAD + QS_TAG_LEN + 16 + 48 + QS_TAG_LEN;
	uint8_t *plain = calloc(1, QS_CHUNK_MAX);
	struct sealed_pack pack;
	struct qs_pack_dir dir;
	size_t left;

	(void)state;
	qs_pack_builder_reset(builder);
	for (unsigned i = 0; i < 3; i++) {
		plain[0] = (uint8_t)i;
		pack_help_add(builder, keys, QS_KIND_DATA, 0, NULL,
			qs_span(plain, QS_CHUNK_MAX), 1);
	}
	left = QS_PACK_MAX - overhead -
		3 * (QS_CHUNK_MAX + QS_TAG_LEN + 16 + 48);
	assert_true(left <= QS_CHUNK_MAX);
	assert_false(qs_pack_builder_fits(builder, left + 1, 1));
	assert_false(qs_pack_builder_fits(builder, left, 2));
	assert_true(qs_pack_builder_fits(builder, left, 1));
	pack_help_add(builder, keys, QS_KIND_DATA, 0, NULL,
		qs_span(plain, left), 1);
	assert_false(qs_pack_builder_fits(builder, 1, 0));
	/* Its jitter is capped: there is nothing larger. */
	pack = pack_help_seal(builder, true);
	assert_int_equal(pack.size, QS_PACK_MAX);
	qs_pack_builder_dir(builder, &dir);
	check_all(&pack, &dir);
	free(pack.object);
	free(plain);
}

static void
counts_are_bounded(void **state)
{
	(void)state;
	qs_pack_builder_reset(builder);
	assert_true(qs_pack_builder_fits(builder, 1, QS_PACK_CHUNKS));
	assert_false(qs_pack_builder_fits(builder, 1, QS_PACK_CHUNKS + 1));
	assert_false(qs_pack_builder_fits(builder, QS_CHUNK_MAX + 1, 1));
	assert_false(qs_pack_builder_fits(builder, SIZE_MAX, SIZE_MAX));
}

static void
seal_seeded(uint8_t random, uint32_t jitter, bool is_tail,
	struct qs_span *object)
{
	struct qs_pack_seed seed = {.jitter = jitter};
	struct qs_err err;

	memset(seed.random, random, sizeof(seed.random));
	help_ok(qs_pack_builder_seal_seeded(builder, is_tail, &seed, object,
		&err), &err);
}

static size_t
size_of(size_t payload, bool is_tail, uint32_t jitter)
{
	uint8_t *plain = calloc(1, payload);
	struct qs_span object = {NULL, 0};

	qs_pack_builder_reset(builder);
	pack_help_add(builder, keys, QS_KIND_DATA, 0, NULL,
		qs_span(plain, payload), 1);
	seal_seeded(1, jitter, is_tail, &object);
	free(plain);
	return object.len;
}

static void
sizes_are_powers_of_two(void **state)
{
	size_t rest = QS_PACK_HEAD + QS_TAG_LEN + 64 + QS_TAG_LEN;
	size_t fits = 65536 - rest;

	(void)state;
	assert_int_equal(size_of(1, false, 0), 65536);
	assert_int_equal(size_of(fits, false, 0), 65536);
	assert_int_equal(size_of(fits + 1, false, 0), 131072);
	assert_int_equal(size_of(fits, true, 0), 65536);
	assert_int_equal(size_of(fits, true, 1), 131072);
	assert_int_equal(size_of(fits - 32767, true, 32767), 65536);
	assert_int_equal(size_of(1000000, false, 0), 1048576);
}

/* ---------------------------------------------------------------- salts */

static void
the_same_random_bytes_do_not_repeat_a_salt(void **state)
{
	uint8_t plain[100] = {0}, first[32], second[32];
	struct qs_span object = {NULL, 0};
	struct qs_name one, other;

	(void)state;
	qs_pack_builder_reset(builder);
	pack_help_add(builder, keys, QS_KIND_DATA, 0, NULL,
		qs_span(plain, sizeof(plain)), 1);
	seal_seeded(7, 0, false, &object);
	memcpy(first, object.data + 32, 32);
	qs_hash_name(object, &one);

	plain[99] ^= 1;
	qs_pack_builder_reset(builder);
	pack_help_add(builder, keys, QS_KIND_DATA, 0, NULL,
		qs_span(plain, sizeof(plain)), 1);
	seal_seeded(7, 0, false, &object);
	memcpy(second, object.data + 32, 32);
	assert_memory_not_equal(first, second, 32);

	/* The same content gives the same object: nothing leaks. */
	plain[99] ^= 1;
	qs_pack_builder_reset(builder);
	pack_help_add(builder, keys, QS_KIND_DATA, 0, NULL,
		qs_span(plain, sizeof(plain)), 1);
	seal_seeded(7, 0, false, &object);
	qs_hash_name(object, &other);
	assert_memory_equal(one.b, other.b, 32);
}

static void
random_salts_differ(void **state)
{
	struct sealed_pack one, other;
	uint8_t plain[10] = {0};

	(void)state;
	qs_pack_builder_reset(builder);
	pack_help_add(builder, keys, QS_KIND_DATA, 0, NULL,
		qs_span(plain, 10), 1);
	one = pack_help_seal(builder, false);
	qs_pack_builder_reset(builder);
	pack_help_add(builder, keys, QS_KIND_DATA, 0, NULL,
		qs_span(plain, 10), 1);
	other = pack_help_seal(builder, false);
	assert_memory_not_equal(one.ref.salt, other.ref.salt, 32);
	free(one.object);
	free(other.object);
}

/* ---------------------------------------------------------- compression */

static void
what_does_not_shrink_stays_raw(void **state)
{
	uint32_t seed = 99;
	uint8_t plain[4096], out[4096];
	struct qs_compressor *compressor = NULL;
	enum qs_comp comp = QS_COMP_ZSTD;
	size_t len = 1;
	struct qs_err err;

	(void)state;
	help_fill(plain, sizeof(plain), &seed);
	help_ok(qs_compressor_new(QS_LEVEL_DEFAULT, &compressor, &err), &err);
	help_ok(qs_frame_compress(compressor, qs_span(plain, sizeof(plain)),
		out, &len, &comp, &err), &err);
	assert_int_equal(comp, QS_COMP_RAW);
	assert_int_equal(len, 0);
	/* 100 zeros in it are not 1/32 of it, 400 are more. */
	memset(plain, 0, 100);
	help_ok(qs_frame_compress(compressor, qs_span(plain, sizeof(plain)),
		out, &len, &comp, &err), &err);
	assert_int_equal(comp, QS_COMP_RAW);
	memset(plain, 0, 400);
	help_ok(qs_frame_compress(compressor, qs_span(plain, sizeof(plain)),
		out, &len, &comp, &err), &err);
	assert_int_equal(comp, QS_COMP_ZSTD);
	assert_true(len <= sizeof(plain) - sizeof(plain) / 32);
	help_ok(qs_frame_compress(compressor, qs_span(plain, 1), out, &len,
		&comp, &err), &err);
	assert_int_equal(comp, QS_COMP_RAW);
	qs_compressor_free(compressor);
	compressor = NULL;
	help_ok(qs_compressor_new(QS_LEVEL_OFF, &compressor, &err), &err);
	memset(plain, 0, sizeof(plain));
	help_ok(qs_frame_compress(compressor, qs_span(plain, sizeof(plain)),
		out, &len, &comp, &err), &err);
	assert_int_equal(comp, QS_COMP_RAW);
	qs_compressor_free(compressor);
	help_fails(qs_compressor_new((enum qs_level)9, &compressor, &err),
		&err, QS_EINVAL, "no level 9");
}

/* ----------------------------------------------------------------- keys */

static void
the_kind_and_the_domain_are_in_the_id(void **state)
{
	struct qs_id data, tree, other;

	(void)state;
	qs_chunk_id(keys, QS_KIND_DATA, 0, qs_span("hello", 5), &data);
	qs_chunk_id(keys, QS_KIND_TREE, 0, qs_span("hello", 5), &tree);
	qs_chunk_id(keys, QS_KIND_DATA, 1, qs_span("hello", 5), &other);
	assert_memory_not_equal(data.b, tree.b, 32);
	assert_memory_not_equal(data.b, other.b, 32);
}

static void
keys_survive_a_slot(void **state)
{
	struct qs_slot_secret *secret = qs_secret_alloc(sizeof(*secret));
	struct qs_keys *made = NULL, *opened = NULL;
	struct qs_err err;

	(void)state;
	assert_non_null(secret);
	help_ok(qs_keys_create(&made, &err), &err);
	assert_non_null(qs_keys_admin(made));
	qs_keys_slot_secret(made, true, secret);
	help_ok(qs_keys_open(secret, qs_keys_folder_id(made), &opened, &err),
		&err);
	assert_memory_equal(made, opened, sizeof(*made));
	qs_keys_free(opened);
	opened = NULL;

	qs_keys_slot_secret(made, false, secret);
	help_ok(qs_keys_open(secret, qs_keys_folder_id(made), &opened, &err),
		&err);
	assert_null(qs_keys_admin(opened));
	assert_memory_equal(qs_keys_id(made, 200), qs_keys_id(opened, 200),
		32);
	assert_memory_equal(qs_keys_fmk(made), qs_keys_fmk(opened), 32);
	assert_memory_equal(qs_keys_ds(made), qs_keys_ds(opened), 32);
	assert_memory_equal(qs_keys_adm_pk(made), qs_keys_adm_pk(opened), 32);
	qs_keys_free(opened);
	opened = NULL;

	secret->adm_seed[0] = 1;
	help_fails(qs_keys_open(secret, qs_keys_folder_id(made), &opened,
		&err), &err, QS_ECORRUPT, "admin key is not the folder's");
	qs_keys_free(made);
	qs_secret_free(secret);
}

/* -------------------------------------------------------------- vectors */

static void
vectors_hold(void **state)
{
	uint8_t numbers[20000];
	struct qs_pack_seed seed = {.jitter = 12345};
	struct qs_buf text = help_vector(VECTORS, "zstd_plain");
	struct qs_buf packed = help_vector(VECTORS, "zstd_payload");
	struct qs_chunk_entry chunk = {.off = 0};
	struct qs_span object = {NULL, 0};
	struct sealed_pack pack;
	struct qs_name name;
	struct qs_err err;

	(void)state;
	for (unsigned i = 0; i < sizeof(numbers); i++)
		numbers[i] = (uint8_t)(i * 7);
	for (unsigned i = 0; i < sizeof(seed.random); i++)
		seed.random[i] = (uint8_t)(0xa0 + (i & 15));
	help_matches(VECTORS, "folder_id", keys->folder_id, 16);
	help_matches(VECTORS, "k_pack", keys->pack, 32);
	help_matches(VECTORS, "k_log", keys->log, 32);
	help_matches(VECTORS, "k_id_3", keys->id[3], 32);
	qs_pack_builder_reset(builder);
	pack_help_add(builder, keys, QS_KIND_DATA, 0, NULL,
		qs_span("hello", 5), 1);
	pack_help_add(builder, keys, QS_KIND_DATA, 3, NULL,
		qs_span(numbers, sizeof(numbers)), 2);
	pack_help_add(builder, keys, QS_KIND_TREE, 0, NULL,
		qs_span("tree!", 5), 1);
	chunk.len = (uint32_t)text.len;
	qs_chunk_id(keys, QS_KIND_INDEX, 0, qs_buf_span(&text), &chunk.id);
	qs_pack_builder_add(builder, QS_KIND_INDEX, 0, QS_COMP_ZSTD,
		qs_buf_span(&packed), (uint32_t)text.len, &chunk, 1);
	help_ok(qs_pack_builder_seal_seeded(builder, true, &seed, &object,
		&err), &err);
	help_matches(VECTORS, "head", object.data, QS_PACK_HEAD);
	help_matches(VECTORS, "frame_0", object.data + QS_PACK_HEAD, 21);
	qs_hash_name(object, &name);
	help_matches(VECTORS, "name", name.b, 32);
	/* And what was frozen still opens. */
	pack.object = malloc(object.len);
	memcpy(pack.object, object.data, object.len);
	pack.size = object.len;
	pack.name = name;
	qs_pack_builder_ref(builder, &pack.ref);
	open_and_check(&pack);
	free(pack.object);
	qs_buf_clear(&text);
	qs_buf_clear(&packed);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_packs_come_back_whole),
		cmocka_unit_test(a_pack_without_frames_is_legal),
		cmocka_unit_test(a_pack_can_be_filled_to_the_last_byte),
		cmocka_unit_test(counts_are_bounded),
		cmocka_unit_test(sizes_are_powers_of_two),
		cmocka_unit_test(the_same_random_bytes_do_not_repeat_a_salt),
		cmocka_unit_test(random_salts_differ),
		cmocka_unit_test(what_does_not_shrink_stays_raw),
		cmocka_unit_test(the_kind_and_the_domain_are_in_the_id),
		cmocka_unit_test(keys_survive_a_slot),
		cmocka_unit_test(vectors_hold),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
