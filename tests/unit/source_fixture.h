/* SPDX-License-Identifier: ISC */
/*
 * A real store and index in a fresh folder, with packs made by hand, for the
 * tests of what reads chunks.
 */
#ifndef SOURCE_FIXTURE_H
#define SOURCE_FIXTURE_H

#include <fcntl.h>
#include <ftw.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "snapshot/content_internal.h"
#include "snapshot/source_internal.h"

#define OK(call) assert_int_equal((call), QS_OK)

#define FIXTURE_PACKS 64

struct fixture {
	char top[64];
	struct qs_keys *keys;
	struct qs_store *store;
	struct qs_index *index;
	struct qs_source *source;
	struct qs_pack_builder *builder;
	struct qs_name packs[FIXTURE_PACKS];
	size_t pack_count;
	/* the store's own ops, behind those that count and fail */
	const struct qs_store_ops *inner;
	struct qs_store_ops ops;
};

/* Written by the reading threads, too. */
static _Atomic uint64_t fixture_gets, fixture_bytes;
static int64_t fixture_bad_slice = -1; /* a read of it fails: QS_EIO */
static const struct qs_store_ops *fixture_inner;
/* If set: the most bytes that it held at a read. */
static struct qs_source *fixture_watched;
static _Atomic size_t fixture_peak;

static void
fixture_watch(void)
{
	size_t now, peak;

	if (fixture_watched == NULL)
		return;
	now = qs_source_bytes(fixture_watched);
	peak = atomic_load(&fixture_peak);
	while (now > peak &&
	    !atomic_compare_exchange_weak(&fixture_peak, &peak, now))
		;
}

static enum qs_code
fixture_get(void *self, const struct qs_ref *ref, uint64_t offset,
	uint8_t *out, size_t len, size_t *got, struct qs_err *err)
{
	const uint64_t bad = (uint64_t)fixture_bad_slice * QS_SLICE;
	enum qs_code rc;

	fixture_gets++;
	fixture_watch();
	if (fixture_bad_slice >= 0 && offset <= bad && bad < offset + len)
		return qs_fail(err, QS_EIO, "a bad place of the disk");
	rc = fixture_inner->get(self, ref, offset, out, len, got, err);
	if (rc == QS_OK)
		fixture_bytes += *got;
	return rc;
}

static void
fixture_source(struct fixture *fx, size_t cache)
{
	struct qs_err err;

	fixture_watched = NULL;
	fixture_peak = 0;
	qs_source_free(fx->source);
	fx->source = NULL;
	OK(qs_source_new_parts(fx->store, fx->keys, fx->index, cache,
		&fx->source, &err));
}

static void
fixture_open(struct fixture *fx)
{
	struct qs_err err;
	bool rebuilt;

	memset(fx, 0, sizeof(*fx));
	(void)snprintf(fx->top, sizeof(fx->top), "/tmp/test_source.XXXXXX");
	assert_non_null(mkdtemp(fx->top));
	OK(qs_crypto_init(&err));
	OK(qs_keys_create(&fx->keys, &err));
	OK(qs_store_create(fx->top, qs_keys_folder_id(fx->keys), &fx->store,
		&err));
	fixture_inner = fx->store->ops;
	fx->ops = *fx->store->ops;
	fx->ops.get = fixture_get;
	fx->store->ops = &fx->ops;
	OK(qs_index_open(":memory:", qs_keys_folder_id(fx->keys), &fx->index,
		&rebuilt, &err));
	OK(qs_pack_builder_new(fx->keys, &fx->builder, &err));
	fixture_bad_slice = -1;
	fixture_source(fx, QS_SOURCE_CACHE);
}

static int
fixture_unlink(const char *path, const struct stat *st, int flag,
	struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

static void
fixture_close(struct fixture *fx)
{
	fixture_watched = NULL;
	qs_source_free(fx->source);
	qs_pack_builder_free(fx->builder);
	qs_index_close(fx->index);
	fx->store->ops = fixture_inner;
	qs_store_close(fx->store);
	qs_keys_free(fx->keys);
	(void)nftw(fx->top, fixture_unlink, 16, FTW_DEPTH | FTW_PHYS);
}

/* Seal what was added, put it into the store and the index. */
static void
fixture_flush(struct fixture *fx)
{
	const struct qs_store_ops *ops = fx->store->ops;
	struct qs_name *name = &fx->packs[fx->pack_count++];
	struct qs_stage *stage = NULL;
	struct qs_pack_ref ref;
	struct qs_pack_dir dir;
	struct qs_span object;
	struct qs_err err;

	assert_true(fx->pack_count <= FIXTURE_PACKS);
	OK(qs_pack_builder_seal(fx->builder, false, &object, &err));
	OK(ops->stage(fx->store->self, object, &stage, &err));
	qs_hash_name(object, name);
	OK(ops->commit(fx->store->self, &stage, name, 1, &err));
	qs_pack_builder_ref(fx->builder, &ref);
	qs_pack_builder_dir(fx->builder, &dir);
	ref.name = *name;
	OK(qs_index_add(fx->index, &ref, &dir, &err));
	OK(qs_index_commit(fx->index, &err));
	qs_pack_builder_reset(fx->builder);
}

/* One frame of count chunks that lie one after the other in bytes. */
static void
fixture_frame(struct fixture *fx, enum qs_kind kind, const uint8_t *bytes,
	const size_t *lens, size_t count, struct qs_id *ids)
{
	struct qs_chunk_entry *chunks = calloc(count, sizeof(*chunks));
	size_t at = 0;

	assert_non_null(chunks);
	for (size_t i = 0; i < count; i++) {
		qs_chunk_id(fx->keys, kind, 0, qs_span(bytes + at, lens[i]),
			&chunks[i].id);
		chunks[i].off = (uint32_t)at;
		chunks[i].len = (uint32_t)lens[i];
		ids[i] = chunks[i].id;
		at += lens[i];
	}
	if (!qs_pack_builder_fits(fx->builder, at, count))
		fixture_flush(fx);
	qs_pack_builder_add(fx->builder, kind, 0, QS_COMP_RAW,
		qs_span(bytes, at), (uint32_t)at, chunks, count);
	free(chunks);
}

static inline struct qs_id
fixture_chunk(struct fixture *fx, enum qs_kind kind, struct qs_span bytes)
{
	struct qs_id id;

	fixture_frame(fx, kind, bytes.data, &bytes.len, 1, &id);
	return id;
}

/* Forged: a chunk in front of zeros that make its frame as large as can be. */
static inline struct qs_id
fixture_fat(struct fixture *fx, enum qs_kind kind, struct qs_span bytes)
{
	struct qs_compressor *compressor = NULL;
	uint8_t *plain = calloc(1, QS_CHUNK_MAX);
	uint8_t *packed = malloc(QS_CHUNK_MAX);
	struct qs_chunk_entry chunk = {.len = (uint32_t)bytes.len};
	enum qs_comp comp = QS_COMP_RAW;
	size_t len = 0;
	struct qs_err err;

	assert_true(plain != NULL && packed != NULL);
	memcpy(plain, bytes.data, bytes.len);
	qs_chunk_id(fx->keys, kind, 0, bytes, &chunk.id);
	OK(qs_compressor_new(QS_LEVEL_FASTEST, &compressor, &err));
	OK(qs_frame_compress(compressor, qs_span(plain, QS_CHUNK_MAX), packed,
		&len, &comp, &err));
	assert_int_equal(comp, QS_COMP_ZSTD);
	if (!qs_pack_builder_fits(fx->builder, len, 1))
		fixture_flush(fx);
	qs_pack_builder_add(fx->builder, kind, 0, comp, qs_span(packed, len),
		QS_CHUNK_MAX, &chunk, 1);
	qs_compressor_free(compressor);
	free(packed);
	free(plain);
	return chunk.id;
}

static inline void
fixture_path(const struct fixture *fx, size_t pack, char out[static 256])
{
	char folder[33], name[65];

	qs_hex(folder, qs_keys_folder_id(fx->keys), QS_FOLDER_ID_LEN);
	qs_hex(name, fx->packs[pack].b, 32);
	(void)snprintf(out, 256, "%s/%s/obj/%.2s/%s", fx->top, folder, name,
		name);
}

static inline void
fixture_damage(const struct fixture *fx, size_t pack, off_t at)
{
	char path[256];
	uint8_t byte;
	int fd;

	fixture_path(fx, pack, path);
	assert_int_equal(chmod(path, 0600), 0);
	fd = open(path, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(pread(fd, &byte, 1, at), 1);
	byte ^= 0x40;
	assert_int_equal(pwrite(fd, &byte, 1, at), 1);
	(void)close(fd);
}

#endif
