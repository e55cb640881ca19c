/* SPDX-License-Identifier: ISC */
/* Snapshot payloads, GENESIS payloads and index chunks: codecs of ours. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "snapshot/folder_internal.h"

static struct qs_err err;

#define OK(call) assert_int_equal(call, QS_OK)

static char host[] = "work", user[] = "anna", program[] = "qstore 1";
static char path_a[] = "/home/anna", path_b[] = "/srv/a\xff b";
static char tag_a[] = "daily", tag_b[] = "keep";
static char *paths[] = {path_a, path_b, NULL};
static char *tags[] = {tag_a, tag_b, NULL};
static uint8_t refs[2 * QS_REF_LEN];
static struct qs_index_at indexes[1];
static struct qs_name direct[2];
static struct qs_mark heads[2];

/* Borrowed all through: never cleared. */
static struct qs_payload
sample(void)
{
	struct qs_payload payload = {.kind = QS_PAYLOAD_SNAPSHOT};
	struct qs_snapshot *snapshot = &payload.snapshot;

	memset(refs, 7, sizeof(refs));
	memset(indexes, 3, sizeof(indexes));
	indexes[0].len = 4000;
	memset(direct, 9, sizeof(direct));
	direct[1].b[0] = 10;
	memset(heads, 1, sizeof(heads));
	memset(heads[1].device, 2, sizeof(heads[1].device));
	snapshot->time_ns = -5;
	memset(snapshot->parent.b, 4, 32);
	snapshot->host = host;
	snapshot->user = user;
	snapshot->program = program;
	snapshot->uid = 1000;
	snapshot->gid = 1001;
	snapshot->paths = paths;
	snapshot->path_count = 2;
	snapshot->tags = tags;
	snapshot->tag_count = 2;
	snapshot->totals.files = 11;
	snapshot->totals.duration_ns = 12;
	snapshot->root_depth = 1;
	snapshot->root_count = 2;
	snapshot->root_refs = refs;
	payload.cover.indexes = indexes;
	payload.cover.index_count = 1;
	payload.cover.direct = direct;
	payload.cover.direct_count = 2;
	payload.heads = heads;
	payload.head_count = 2;
	return payload;
}

static struct qs_buf
encode(const struct qs_payload *payload)
{
	struct qs_buf buf = {0};

	OK(qs_payload_encode(payload, &buf, &err));
	return buf;
}

static enum qs_code
decode(const uint8_t *data, size_t len)
{
	struct qs_payload out = {0};
	enum qs_code rc = qs_payload_decode(qs_span(data, len), &out, &err);

	qs_payload_clear(&out);
	return rc;
}

static void
snapshot_survives_a_round_trip(void **state)
{
	struct qs_payload payload = sample(), back;
	struct qs_buf bytes = encode(&payload), again;
	uint8_t *zeros;

	(void)state;
	/* With the padding that sealing adds. */
	OK(qs_buf_extend(&bytes, 1000, &zeros, &err));
	memset(zeros, 0, 1000);
	OK(qs_payload_decode(qs_buf_span(&bytes), &back, &err));
	assert_int_equal(back.kind, QS_PAYLOAD_SNAPSHOT);
	assert_string_equal(back.snapshot.host, "work");
	assert_string_equal(back.snapshot.paths[1], path_b);
	assert_null(back.snapshot.paths[2]);
	assert_int_equal(back.snapshot.tag_count, 2);
	assert_int_equal(back.snapshot.time_ns, -5);
	assert_int_equal(back.snapshot.totals.duration_ns, 12);
	assert_int_equal(back.cover.indexes[0].len, 4000);
	assert_memory_equal(back.cover.direct, direct, sizeof(direct));
	assert_memory_equal(back.heads[1].device, heads[1].device, 8);
	again = encode(&back);
	assert_int_equal(again.len + 1000, bytes.len);
	assert_memory_equal(again.data, bytes.data, again.len);
	qs_payload_clear(&back);
	qs_buf_clear(&bytes);
	qs_buf_clear(&again);
}

static void
note_survives_a_round_trip(void **state)
{
	struct qs_payload payload = sample(), back;
	struct qs_buf bytes;

	(void)state;
	payload.kind = QS_PAYLOAD_NOTE;
	memset(payload.note_record.b, 6, 32);
	bytes = encode(&payload);
	OK(qs_payload_decode(qs_buf_span(&bytes), &back, &err));
	assert_int_equal(back.kind, QS_PAYLOAD_NOTE);
	assert_memory_equal(back.note_record.b, payload.note_record.b, 32);
	assert_string_equal(back.snapshot.tags[0], "daily");
	assert_int_equal(back.head_count, 2);
	assert_null(back.snapshot.root_refs);
	qs_payload_clear(&back);
	qs_buf_clear(&bytes);
}

static void
turns_survive_a_round_trip_and_have_one_form(void **state)
{
	struct qs_turn turns[2] = {{.is_forgotten = true}, {{{0}}, false}};
	struct qs_payload payload = {.kind = QS_PAYLOAD_TURNS,
		.turns = turns, .turn_count = 2, .heads = heads,
		.head_count = 0}, back;
	struct qs_buf buf;

	(void)state;
	memset(turns[1].record.b, 5, 32);
	buf = encode(&payload);
	OK(qs_payload_decode(qs_buf_span(&buf), &back, &err));
	assert_int_equal(back.kind, QS_PAYLOAD_TURNS);
	assert_int_equal(back.turn_count, 2);
	assert_true(back.turns[0].is_forgotten);
	assert_false(back.turns[1].is_forgotten);
	assert_memory_equal(&back.turns[1].record, &turns[1].record, 32);
	qs_payload_clear(&back);
	/* Cut short, another state, a byte that is to be zero, the order. */
	for (size_t len = 0; len < buf.len; len++)
		assert_int_equal(decode(buf.data, len), QS_ECORRUPT);
	buf.data[12 + 32] = 2;
	assert_int_equal(decode(buf.data, buf.len), QS_ECORRUPT);
	buf.data[12 + 32] = 0;
	buf.data[12 + 39] = 1;
	assert_int_equal(decode(buf.data, buf.len), QS_ECORRUPT);
	buf.data[12 + 39] = 0;
	OK(decode(buf.data, buf.len));
	memset(buf.data + 12, 6, 32);
	assert_int_equal(decode(buf.data, buf.len), QS_ECORRUPT);
	memset(buf.data + 12, 5, 32);
	assert_int_equal(decode(buf.data, buf.len), QS_ECORRUPT);
	qs_buf_clear(&buf);
	memset(turns[0].record.b, 5, 32);
	assert_int_equal(qs_payload_encode(&payload, &buf, &err), QS_EINVAL);
	qs_buf_clear(&buf);
}

static void
every_cut_short_payload_is_refused(void **state)
{
	struct qs_payload payload = sample();
	struct qs_buf bytes = encode(&payload);

	(void)state;
	for (size_t len = 0; len < bytes.len; len++) {
		/* A copy of its own, so that reading past it shows. */
		uint8_t *copy = malloc(len + 1);

		memcpy(copy, bytes.data, len);
		copy = realloc(copy, len == 0 ? 1 : len);
		assert_int_equal(decode(copy, len), QS_ECORRUPT);
		free(copy);
	}
	OK(decode(bytes.data, bytes.len));
	qs_buf_clear(&bytes);
}

/* Set a byte at an offset, expect a code, put it back. */
static void
expect(struct qs_buf *bytes, size_t at, uint8_t value, enum qs_code code)
{
	uint8_t old = bytes->data[at];

	bytes->data[at] = value;
	assert_int_equal(decode(bytes->data, bytes->len), code);
	bytes->data[at] = old;
}

static void
hostile_values_are_refused(void **state)
{
	struct qs_payload payload = sample();
	struct qs_buf bytes = encode(&payload);
	/* Where things lie, as docs/FORMAT.md says. */
	size_t root = 8 + 48 + 128, texts = root + 8 + 80;
	size_t heads_at = bytes.len - 2 * 56;
	size_t direct_at = heads_at - 4 - 64;
	size_t index_at = direct_at - 4 - 72;

	(void)state;
	expect(&bytes, 0, 'X', QS_ECORRUPT);
	expect(&bytes, 4, 2, QS_EUNSUPPORTED);
	expect(&bytes, 6, 4, QS_EUNSUPPORTED);
	expect(&bytes, root, 9, QS_ECORRUPT);          /* depth */
	expect(&bytes, root + 1, 1, QS_ECORRUPT);      /* reserved */
	expect(&bytes, root + 4, 0, QS_ECORRUPT);      /* no reference */
	expect(&bytes, root + 7, 0xff, QS_ECORRUPT);   /* 4 billion */
	expect(&bytes, texts, 0xff, QS_ECORRUPT);      /* length */
	expect(&bytes, texts + 3, 0, QS_ECORRUPT);     /* NUL in the host */
	expect(&bytes, index_at - 1, 0x40, QS_ECORRUPT);
	expect(&bytes, index_at + 68, 1, QS_ECORRUPT); /* reserved */
	expect(&bytes, index_at + 67, 1, QS_ECORRUPT); /* its length */
	expect(&bytes, direct_at - 1, 0xff, QS_ECORRUPT);
	expect(&bytes, heads_at - 1, 0xff, QS_ECORRUPT);
	expect(&bytes, heads_at, 3, QS_ECORRUPT);      /* out of order */
	expect(&bytes, heads_at + 56, 0, QS_ECORRUPT);
	OK(qs_buf_append(&bytes, "\0\0\1", 3, &err));
	assert_int_equal(decode(bytes.data, bytes.len), QS_ECORRUPT);
	qs_buf_clear(&bytes);
}

static void
hole_in_the_root_is_refused(void **state)
{
	struct qs_payload payload = sample();
	struct qs_buf bytes;

	(void)state;
	memset(refs + QS_REF_LEN, 0, 32);
	bytes = encode(&payload);
	assert_int_equal(decode(bytes.data, bytes.len), QS_ECORRUPT);
	qs_buf_clear(&bytes);
}

static enum qs_code
refused(const struct qs_payload *payload)
{
	struct qs_buf bytes = {0};
	enum qs_code rc = qs_payload_encode(payload, &bytes, &err);

	assert_int_equal(bytes.len, 0);
	qs_buf_clear(&bytes);
	return rc;
}

static void
encoder_signs_nothing_that_no_reader_takes(void **state)
{
	static char long_host[300], *empty_tag[] = {host + 4, NULL};
	struct qs_payload payload = sample();

	(void)state;
	memset(long_host, 'h', sizeof(long_host) - 1);
	payload.snapshot.host = long_host;
	assert_int_equal(refused(&payload), QS_EINVAL);
	assert_non_null(strstr(err.msg, "host"));
	payload = sample();
	payload.snapshot.tags = empty_tag;
	payload.snapshot.tag_count = 1;
	assert_int_equal(refused(&payload), QS_EINVAL);
	payload = sample();
	payload.snapshot.root_count = 0;
	assert_int_equal(refused(&payload), QS_EINVAL);
	payload = sample();
	heads[1] = heads[0];
	assert_int_equal(refused(&payload), QS_EINVAL);
	payload = sample();
	payload.snapshot.tag_count = QS_TAGS_MAX + 1;
	assert_int_equal(refused(&payload), QS_EINVAL);
	payload = sample();
	indexes[0].len = QS_CHUNK_MAX + 1;
	assert_int_equal(refused(&payload), QS_EINVAL);
}

/* ------------------------------------------------------------- genesis */

static void
genesis_keeps_secret_and_descriptor(void **state)
{
	struct qs_chunker_params params = qs_chunker_params_default(), back;
	uint8_t ds[32], bytes[QS_GENESIS_LEN + 8] = {0};
	const uint8_t *found;

	(void)state;
	memset(ds, 5, sizeof(ds));
	qs_genesis_payload_encode(ds, &params, bytes);
	OK(qs_genesis_payload_decode(qs_span(bytes, sizeof(bytes)), &found,
		&back, &err));
	assert_memory_equal(found, ds, 32);
	assert_int_equal(back.min, params.min);
	assert_int_equal(back.s_large, params.s_large);
	for (size_t i = 0; i < sizeof(bytes); i++) {
		enum qs_code rc;

		/* The secret may be anything, and a size many things. */
		if ((i >= 8 && i < 40) || (i >= 52 && i < QS_GENESIS_LEN))
			continue;
		bytes[i] ^= 0x80;
		rc = qs_genesis_payload_decode(qs_span(bytes, sizeof(bytes)),
			&found, &back, &err);
		assert_true(rc == QS_ECORRUPT || rc == QS_EUNSUPPORTED);
		bytes[i] ^= 0x80;
	}
	bytes[40]++;
	assert_int_equal(qs_genesis_payload_decode(qs_span(bytes,
		sizeof(bytes)), &found, &back, &err), QS_EUNSUPPORTED);
	assert_int_equal(qs_genesis_payload_decode(qs_span(bytes, 63), &found,
		&back, &err), QS_ECORRUPT);
}

/* -------------------------------------------------------- index chunks */

/* An index in memory with packs of two frames and three chunks each. */
static struct qs_index *
make_index(struct qs_name *names, size_t count)
{
	static const uint8_t id[QS_FOLDER_ID_LEN];
	struct qs_index *index;
	bool rebuilt;

	OK(qs_index_open(":memory:", id, &index, &rebuilt, &err));
	for (size_t i = 0; i < count; i++) {
		struct qs_frame_entry frames[2] = {
			{160, 116, 100, QS_COMP_RAW, QS_KIND_DATA, 0},
			{276, 66, 50, QS_COMP_RAW, QS_KIND_TREE, 1},
		};
		struct qs_chunk_entry chunks[3] = {
			{.frame = 0, .off = 0, .len = 60},
			{.frame = 0, .off = 60, .len = 40},
			{.frame = 1, .off = 0, .len = 50},
		};
		struct qs_pack_dir dir = {frames, chunks, 2, 3};
		struct qs_pack_ref ref = {.size = QS_PACK_MIN};

		memset(ref.salt, (int)i, sizeof(ref.salt));
		memset(ref.name.b, 0x40 + (int)i, 32);
		names[i] = ref.name;
		for (unsigned j = 0; j < 3; j++)
			memset(chunks[j].id.b, (int)(1 + 3 * i + j), 32);
		OK(qs_index_add(index, &ref, &dir, &err));
	}
	OK(qs_index_commit(index, &err));
	return index;
}

struct seen {
	size_t packs, chunks;
	uint8_t last_salt;
};

static enum qs_code
see(void *arg, const struct qs_pack_ref *ref, const struct qs_pack_dir *dir,
	struct qs_err *unused)
{
	struct seen *seen = (struct seen *)arg;

	(void)unused;
	assert_int_equal(dir->frames[1].off, 276);
	assert_int_equal(ref->name.b[3], 0x40 + ref->salt[0]);
	seen->packs++;
	seen->chunks += dir->chunk_count;
	seen->last_salt = ref->salt[0];
	return QS_OK;
}

static void
index_chunk_survives_a_round_trip(void **state)
{
	struct qs_name names[4], unknown = {{1}};
	struct qs_index *index = make_index(names, 4);
	struct qs_buf chunk = {0};
	struct seen seen = {0};
	size_t done;

	(void)state;
	OK(qs_index_chunk_encode(index, names + 1, 3, &chunk, &done, &err));
	assert_int_equal(done, 3);
	assert_int_equal(chunk.len, 12 + 3 * (80 + 2 * 16 + 3 * 48));
	OK(qs_index_chunk_decode(qs_buf_span(&chunk), see, &seen, &err));
	assert_int_equal(seen.packs, 3);
	assert_int_equal(seen.chunks, 9);
	assert_int_equal(seen.last_salt, 3);
	assert_int_equal(qs_index_chunk_encode(index, &unknown, 1, &chunk,
		&done, &err), QS_ENOTFOUND);
	assert_int_equal(chunk.len, 12 + 3 * (80 + 2 * 16 + 3 * 48));
	qs_buf_clear(&chunk);
	qs_index_close(index);
}

static void
hostile_index_chunks_are_refused(void **state)
{
	struct qs_name names[2];
	struct qs_index *index = make_index(names, 2);
	struct qs_buf chunk = {0};
	struct seen seen = {0};
	size_t done;
	/* magic, version, zero, count, size, counts, a frame, a chunk */
	static const struct { size_t at; uint8_t value; } cases[] = {
		{0, 'X'}, {4, 2}, {6, 1}, {8, 0}, {8, 3}, {11, 0xff},
		{12 + 32, 1}, {12 + 35, 0xff}, {12 + 72, 3}, {12 + 74, 0xff},
		{12 + 76, 2}, {12 + 78, 0xff}, {12 + 80, 161},
		{12 + 80 + 16 + 4, 0xff}, {12 + 80 + 13, 9},
		{12 + 80 + 32 + 32, 7}, {12 + 80 + 32 + 40, 0xff},
	};

	(void)state;
	OK(qs_index_chunk_encode(index, names, 2, &chunk, &done, &err));
	for (size_t len = 0; len < chunk.len; len++)
		assert_int_not_equal(qs_index_chunk_decode(qs_span(chunk.data,
			len), see, &seen, &err), QS_OK);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint8_t old = chunk.data[cases[i].at];

		chunk.data[cases[i].at] = cases[i].value;
		assert_int_not_equal(qs_index_chunk_decode(
			qs_buf_span(&chunk), see, &seen, &err), QS_OK);
		chunk.data[cases[i].at] = old;
	}
	OK(qs_buf_append(&chunk, "", 1, &err));
	assert_int_equal(qs_index_chunk_decode(qs_buf_span(&chunk), see, &seen,
		&err), QS_ECORRUPT);
	qs_buf_clear(&chunk);
	qs_index_close(index);
}

/* --------------------------------------------------------------- heads */

static enum qs_code
parse_marks(const char *text, size_t *count)
{
	struct qs_mark *marks = NULL;
	enum qs_code rc = qs_marks_parse(qs_span(text, strlen(text)), &marks,
		count, &err);

	free(marks);
	return rc;
}

#define NAME64 "00112233445566778899aabbccddeeff" \
	"00112233445566778899aabbccddeeff"

static void
heads_file_is_parsed_strictly(void **state)
{
	static const char *const bad[] = {
		"0011223344556677 1 " NAME64 " 5",
		"0011223344556677 1 " NAME64 " 5 \n",
		"0011223344556677  1 " NAME64 " 5\n",
		"0011223344556677 01 " NAME64 " 5\n",
		"0011223344556677 -1 " NAME64 " 5\n",
		"0011223344556677 18446744073709551616 " NAME64 " 5\n",
		"001122334455667G 1 " NAME64 " 5\n",
		"0011223344556677 1 " NAME64 "0 5\n",
		"0011223344556677 1 " NAME64 "\n",
		"\n",
		"0011223344556677 1 " NAME64 " 5\n"
		"0011223344556677 2 " NAME64 " 5\n",
	};
	size_t count;

	(void)state;
	OK(parse_marks("", &count));
	assert_int_equal(count, 0);
	OK(parse_marks("0011223344556677 18446744073709551615 " NAME64 " 5\n"
		"0011223344556678 0 " NAME64 " 0\n", &count));
	assert_int_equal(count, 2);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(parse_marks(bad[i], &count), QS_ECORRUPT);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(snapshot_survives_a_round_trip),
		cmocka_unit_test(note_survives_a_round_trip),
		cmocka_unit_test(
			turns_survive_a_round_trip_and_have_one_form),
		cmocka_unit_test(every_cut_short_payload_is_refused),
		cmocka_unit_test(hostile_values_are_refused),
		cmocka_unit_test(hole_in_the_root_is_refused),
		cmocka_unit_test(encoder_signs_nothing_that_no_reader_takes),
		cmocka_unit_test(genesis_keeps_secret_and_descriptor),
		cmocka_unit_test(index_chunk_survives_a_round_trip),
		cmocka_unit_test(hostile_index_chunks_are_refused),
		cmocka_unit_test(heads_file_is_parsed_strictly),
	};

	if (qs_crypto_init(&err) != QS_OK)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
