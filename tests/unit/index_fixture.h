/* SPDX-License-Identifier: ISC */
/* What the unit tests of index/ share: a fresh folder, packs made up. */
#ifndef QS_INDEX_FIXTURE_H
#define QS_INDEX_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <stdio.h>
#include <sys/mount.h>
#include <unistd.h>

#include "index/index_internal.h"

#define OK(call) assert_int_equal((call), QS_OK)

static char top[256]; /* a fresh folder for each test */
static struct qs_err err;
static const uint8_t folder[QS_FOLDER_ID_LEN] = "the folder's id";
static const uint8_t other_folder[QS_FOLDER_ID_LEN] = "another's id...";
static const uint8_t key_a[QS_DIR_KEY_LEN] = "directory a....";
static const uint8_t key_b[QS_DIR_KEY_LEN] = "directory b....";

static inline const char *
in_top(const char *name)
{
	static char path[1024];

	(void)snprintf(path, sizeof(path), "%s/%s", top, name);
	return path;
}

static inline int
enter_fresh_folder(void **state)
{
	const char *tmp = getenv("TMPDIR");

	(void)state;
	(void)snprintf(top, sizeof(top), "%s/qs-index-XXXXXX",
		tmp != NULL ? tmp : "/tmp");
	return mkdtemp(top) == NULL ? -1 : 0;
}

static inline int
remove_folder(void **state)
{
	char command[300];

	(void)state;
	(void)umount2(top, MNT_DETACH); /* a failed test's full disk */
	(void)snprintf(command, sizeof(command), "rm -rf '%s'", top);
	return system(command); /* NOLINT(cert-env33-c) */
}

static inline struct qs_index *
open_index(void)
{
	struct qs_index *index = NULL;
	bool rebuilt = true;

	OK(qs_index_open(in_top("db"), folder, &index, &rebuilt, &err));
	assert_false(rebuilt);
	return index;
}

static inline struct qs_index *
open_bad_index(const uint8_t *id)
{
	struct qs_index *index = NULL;
	bool rebuilt = false;

	OK(qs_index_open(in_top("db"), id, &index, &rebuilt, &err));
	assert_true(rebuilt);
	assert_int_equal(access(in_top("db.damaged"), F_OK), 0);
	return index;
}

/* What another program could do to the file. */
static inline void
inject(const char *text)
{
	sqlite3 *db = NULL;

	assert_int_equal(sqlite3_open(in_top("db"), &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, text, NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

/* 32 bytes that look like a hash, the n-th of a family. */
static inline void
fill(uint8_t out[static 32], uint64_t n)
{
	for (size_t i = 0; i < 4; i++) {
		n += UINT64_C(0x9e3779b97f4a7c15);
		qs_store64(out + 8 * i, (n ^ n >> 29) *
			UINT64_C(0xbf58476d1ce4e5b9));
	}
}

static inline struct qs_id
id_of(uint64_t n)
{
	struct qs_id id;

	fill(id.b, n);
	return id;
}

static inline struct qs_name
name_of(uint64_t n)
{
	struct qs_name name;

	fill(name.b, n + 1000000007);
	return name;
}

#define MANY 300

struct pack {
	struct qs_pack_ref ref;
	struct qs_pack_dir dir;
	struct qs_frame_entry frames[MANY];
	struct qs_chunk_entry chunks[MANY];
};

/* Pack n with the chunks first .. first + count - 1, two to a frame. */
static inline struct pack *
make_pack(uint64_t n, uint64_t first, uint32_t count)
{
	struct pack *pack = calloc(1, sizeof(*pack));

	assert_non_null(pack);
	assert_true(count <= MANY);
	pack->ref.name = name_of(n);
	pack->ref.size = QS_PACK_MIN;
	pack->ref.epoch = 3;
	memset(pack->ref.salt, (int)n, sizeof(pack->ref.salt));
	pack->dir.frames = pack->frames;
	pack->dir.chunks = pack->chunks;
	pack->dir.frame_count = (count + 1) / 2;
	pack->dir.chunk_count = count;
	for (uint32_t i = 0; i < pack->dir.frame_count; i++)
		pack->frames[i] = (struct qs_frame_entry){
			QS_PACK_HEAD + 100 * i, 100, 84, QS_COMP_RAW,
			QS_KIND_DATA, (uint8_t)n};
	for (uint32_t i = 0; i < count; i++) {
		pack->chunks[i] = (struct qs_chunk_entry){
			.frame = i / 2, .off = 42 * (i % 2), .len = 42};
		pack->chunks[i].id = id_of(first + i);
	}
	return pack;
}

static inline void
add_pack(struct qs_index *index, uint64_t n, uint64_t first, uint32_t count)
{
	struct pack *pack = make_pack(n, first, count);

	OK(qs_index_add(index, &pack->ref, &pack->dir, &err));
	free(pack);
}

static inline struct qs_chunk_loc
find(struct qs_index *index, uint64_t n)
{
	struct qs_id id = id_of(n);
	struct qs_chunk_loc loc = {.pack = 77};

	OK(qs_index_find(index, &id, 1, &loc, &err));
	return loc;
}

static inline uint32_t
number_of(struct qs_index *index, uint64_t n)
{
	struct qs_name name = name_of(n);
	uint32_t number = 77;
	bool known = false;

	OK(qs_index_pack_number(index, &name, &number, &err));
	OK(qs_index_has_packs(index, &name, 1, &known, &err));
	assert_int_equal(known, number != 0);
	return number;
}

static inline void
forget(struct qs_index *index, uint64_t n)
{
	struct qs_name name = name_of(n);

	OK(qs_index_forget(index, &name, &err));
}

static inline void
check_pack(struct qs_index *index, uint64_t n, uint64_t first, uint32_t count)
{
	struct pack *pack = make_pack(n, first, count);
	struct qs_index_pack got = {0};
	struct qs_pack_dir dir = {0};
	uint32_t number = number_of(index, n);

	OK(qs_index_pack(index, number, &got, &err));
	assert_memory_equal(&got.ref, &pack->ref, sizeof(got.ref));
	assert_int_equal(got.frame_count, pack->dir.frame_count);
	OK(qs_index_pack_dir(index, number, &dir, &err));
	assert_int_equal(dir.frame_count, pack->dir.frame_count);
	assert_int_equal(dir.chunk_count, count);
	for (uint32_t i = 0; i < got.frame_count; i++) {
		assert_int_equal(got.frames[i].off, pack->frames[i].off);
		assert_int_equal(got.frames[i].domain, (uint8_t)n);
		assert_int_equal(dir.frames[i].plain_len, 84);
	}
	for (uint32_t i = 0; i < count; i++)
		assert_memory_equal(&dir.chunks[i], &pack->chunks[i],
			sizeof(dir.chunks[i]));
	free(got.frames);
	free(dir.frames);
	free(dir.chunks);
	free(pack);
}

static inline void
put_dir(struct qs_index *index, const uint8_t *key, const char *row)
{
	OK(qs_index_dir_put(index, key, qs_span(row, strlen(row)), &err));
}

/* "": no row */
static inline void
check_dir(struct qs_index *index, const uint8_t *key, const char *row,
	bool is_fresh)
{
	struct qs_buf buf = {0};
	bool found = !*row, fresh = !is_fresh;

	OK(qs_index_dir_get(index, key, &buf, &found, &fresh, &err));
	assert_int_equal(found, *row != '\0');
	assert_int_equal(fresh, is_fresh);
	assert_int_equal(buf.len, strlen(row));
	assert_true(buf.len == 0 || memcmp(buf.data, row, buf.len) == 0);
	qs_buf_clear(&buf);
}

static inline enum qs_code
count_name(void *arg, const struct qs_name *name, struct qs_err *e)
{
	(void)name;
	(void)e;
	++*(size_t *)arg;
	return QS_OK;
}

static inline size_t
count_pending(struct qs_index *index)
{
	size_t count = 0;

	OK(qs_index_each_pending(index, count_name, &count, &err));
	return count;
}

static inline size_t
count_unlogged(struct qs_index *index)
{
	size_t count = 0;

	OK(qs_index_each_unlogged(index, count_name, &count, &err));
	return count;
}

#endif
