/* SPDX-License-Identifier: ISC */
/* Unit tests of store/: the trash of a directory store. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/suite/log_world.h"

static struct qs_err err;

/* An object of one slice, filled with n. */
static struct qs_ref
put(struct world *world, uint8_t n)
{
	struct qs_store *store = world->store;
	struct qs_ref ref = {.area = QS_AREA_OBJ};
	struct qs_stage *stage;
	uint8_t bytes[4096];

	memset(bytes, n, sizeof(bytes));
	qs_hash_name(qs_span(bytes, sizeof(bytes)), &ref.name);
	help_ok(store->ops->stage(store->self, qs_span(bytes, sizeof(bytes)),
		&stage, &err), &err);
	help_ok(store->ops->commit(store->self, &stage, &ref.name, 1, &err),
		&err);
	ref.size = sizeof(bytes);
	return ref;
}

static void
path_of(const struct world *world, const struct qs_ref *ref, bool in_trash,
	char out[static 512])
{
	char folder[33], hex[65];

	qs_hex(folder, world->keys->folder_id, 16);
	qs_hex(hex, ref->name.b, 32);
	if (in_trash)
		(void)snprintf(out, 512, "%s/%s/trash/%s%s", world->dir,
			folder, hex, ref->area == QS_AREA_KEYS ? ".key" : "");
	else if (ref->area == QS_AREA_KEYS)
		(void)snprintf(out, 512, "%s/%s/keys/%s.key", world->dir,
			folder, hex);
	else
		(void)snprintf(out, 512, "%s/%s/obj/%.2s/%s", world->dir,
			folder, hex, hex);
}

static bool
is_at(const struct world *world, const struct qs_ref *ref, bool in_trash)
{
	char path[512];

	path_of(world, ref, in_trash, path);
	return access(path, F_OK) == 0;
}

/* As whoever reads the store sees it. */
static bool
is_readable(struct world *world, const struct qs_ref *ref, uint8_t n)
{
	struct qs_store *store = world->store;
	uint8_t *bytes = calloc(1, QS_SLICE);
	uint64_t size = 0;
	size_t got = 0;
	enum qs_code rc = store->ops->get(store->self, ref, 0, bytes, QS_SLICE,
		&got, &err);

	help_ok(store->ops->have(store->self, &ref->name, 1, &size, &err),
		&err);
	assert_int_equal(rc == QS_OK, size == 4096);
	if (rc == QS_OK) {
		assert_int_equal(got, 4096);
		assert_int_equal(bytes[0], n);
	}
	free(bytes);
	return rc == QS_OK;
}

static enum qs_code
count_one(void *arg, const struct qs_ref *ref, struct qs_err *unused)
{
	(void)unused;
	(void)ref;
	(*(unsigned *)arg)++;
	return QS_OK;
}

static unsigned
count_in(struct world *world, enum qs_area area)
{
	unsigned count = 0;

	help_ok(world->store->ops->list(world->store->self, area, count_one,
		&count, &err), &err);
	return count;
}

struct trashed {
	unsigned count;
	struct qs_ref last;
	uint64_t ms;
};

static enum qs_code
take_trashed(void *arg, const struct qs_ref *ref, uint64_t ms,
	struct qs_err *unused)
{
	struct trashed *trashed = arg;

	(void)unused;
	trashed->count++;
	trashed->last = *ref;
	trashed->ms = ms;
	return QS_OK;
}

static struct trashed
list_trash(struct world *world)
{
	struct trashed trashed = {0};

	help_ok(qs_store_each_trashed(world->store, take_trashed, &trashed,
		&err), &err);
	return trashed;
}

/* ---------------------------------------------------------------- moving */

static void
trash_is_read_but_not_listed(void **state)
{
	struct world *world = *state;
	struct qs_ref a = put(world, 1), b = put(world, 2);
	uint64_t before = (uint64_t)(qs_now_ns() / 1000000), arrived;
	struct trashed trashed;

	assert_int_equal(list_trash(world).count, 0);
	help_ok(qs_store_arrived(world->store, &a, &arrived, &err), &err);
	assert_true(arrived + 5000 > before && arrived < before + 60000);
	help_ok(qs_store_trash(world->store, &a, &err), &err);
	assert_true(is_at(world, &a, true) && !is_at(world, &a, false));
	assert_true(is_readable(world, &a, 1));
	assert_int_equal(count_in(world, QS_AREA_OBJ), 1);
	assert_int_equal(count_in(world, QS_AREA_BESIDE), 0);
	trashed = list_trash(world);
	assert_int_equal(trashed.count, 1);
	assert_memory_equal(&trashed.last.name, &a.name, 32);
	assert_int_equal(trashed.last.area, QS_AREA_OBJ);
	assert_int_equal(trashed.last.size, 4096);
	/* Coarse clocks may lag behind by a tick. */
	assert_true(trashed.ms + 1000 > before);
	help_fails(qs_store_trash(world->store, &a, &err), &err, QS_ENOTFOUND,
		"missing");
	help_ok(qs_store_untrash(world->store, &a, &err), &err);
	assert_true(!is_at(world, &a, true) && is_at(world, &a, false));
	assert_true(is_readable(world, &a, 1) && is_readable(world, &b, 2));
	help_ok(qs_store_untrash(world->store, &a, &err), &err);
	assert_int_equal(list_trash(world).count, 0);
}

static void
only_what_is_in_the_trash_is_purged(void **state)
{
	struct world *world = *state;
	struct qs_ref a = put(world, 1);
	struct qs_ref record = {.area = QS_AREA_LOG};

	help_fails(qs_store_purge(world->store, &a, &err), &err, QS_ENOTFOUND,
		"missing");
	assert_true(is_readable(world, &a, 1));
	help_ok(qs_store_trash(world->store, &a, &err), &err);
	help_ok(qs_store_purge(world->store, &a, &err), &err);
	assert_false(is_readable(world, &a, 1));
	help_fails(qs_store_untrash(world->store, &a, &err), &err,
		QS_ENOTFOUND, "missing");
	help_fails(qs_store_trash(world->store, &record, &err), &err,
		QS_EINVAL, "only objects");
	help_fails(qs_store_purge(world->store, &record, &err), &err,
		QS_EINVAL, "only objects");
}

static void
one_copy_is_left_of_two(void **state)
{
	struct world *world = *state;
	struct qs_ref a = put(world, 1);
	char here[512], there[512];

	help_ok(qs_store_trash(world->store, &a, &err), &err);
	(void)put(world, 1); /* stored again meanwhile */
	assert_true(is_at(world, &a, true) && is_at(world, &a, false));
	help_ok(qs_store_untrash(world->store, &a, &err), &err);
	assert_true(!is_at(world, &a, true) && is_at(world, &a, false));
	help_ok(qs_store_trash(world->store, &a, &err), &err);
	(void)put(world, 1);
	help_ok(qs_store_trash(world->store, &a, &err), &err);
	assert_true(is_at(world, &a, true) && !is_at(world, &a, false));
	/* Which of two is damaged is for scrub to say. */
	(void)put(world, 1);
	path_of(world, &a, true, there);
	path_of(world, &a, false, here);
	assert_int_equal(truncate(there, 100), 0);
	help_fails(qs_store_trash(world->store, &a, &err), &err, QS_ECORRUPT,
		"length");
	help_fails(qs_store_untrash(world->store, &a, &err), &err, QS_ECORRUPT,
		"length");
	assert_true(is_readable(world, &a, 1));
}

static void
others_files_in_the_trash_are_left(void **state)
{
	struct world *world = *state;
	struct qs_ref a = put(world, 1);
	char path[512], line[600];

	help_ok(qs_store_trash(world->store, &a, &err), &err);
	path_of(world, &a, true, path);
	(void)snprintf(line, sizeof(line), "%s.x", path);
	assert_int_equal(mkdir(line, 0700), 0);
	(void)snprintf(line, sizeof(line), "%s.key", path);
	assert_int_equal(symlink("x", line), 0);
	assert_int_equal(list_trash(world).count, 1);
}

static void
other_stores_have_no_trash(void **state)
{
	struct world *world = *state;
	struct qs_store_ops ops = *world->store->ops;
	struct qs_store other = *world->store;
	struct qs_ref a = put(world, 1);
	int lock = -1;

	other.ops = &ops;
	help_fails(qs_store_trash(&other, &a, &err), &err, QS_EUNSUPPORTED,
		"not a directory here");
	help_fails(qs_store_hold_log(&other, &lock, &err), &err,
		QS_EUNSUPPORTED, "not a directory here");
	assert_int_equal(lock, -1);
}

/* --------------------------------------------------------------- appends */

static enum qs_code
append_naming(struct world *world, const struct qs_ref *refs, size_t count,
	uint64_t seq, uint32_t retire_seen)
{
	struct qs_record draft = {
		.type = QS_RECORD_SNAPSHOT,
		.retire_seen = retire_seen,
		.seq = seq,
		.time_ms = NOON,
		.prev = world->device[0][seq - 1].name,
	}, record;
	struct qs_name names[4];
	struct qs_buf bytes = {0};
	enum qs_code rc;

	for (size_t i = 0; i < count; i++)
		names[i] = refs[i].name;
	if (count == 2 && memcmp(&names[0], &names[1], 32) > 0) {
		names[0] = refs[1].name;
		names[1] = refs[0].name;
	}
	draft.public_body = qs_span(names, 32 * count);
	help_record(world->keys, &world->devices[0], &draft, qs_span("p", 1),
		&bytes, &record);
	rc = world->store->ops->append(world->store->self, &record, &err);
	world->device[0][seq].name = record.name;
	qs_buf_clear(&bytes);
	return rc;
}

static void
append_brings_back_what_it_names(void **state)
{
	struct world *world = *state;
	struct qs_ref refs[2];

	refs[0] = put(world, 1);
	refs[1] = put(world, 2);
	help_ok(qs_store_trash(world->store, &refs[0], &err), &err);
	help_ok(append_naming(world, refs, 2, 4, 0), &err);
	assert_true(is_at(world, &refs[0], false));
	assert_int_equal(list_trash(world).count, 0);
}

static void
append_of_what_is_nowhere_is_refused(void **state)
{
	struct world *world = *state;
	struct qs_ref refs[2];

	refs[0] = put(world, 1);
	refs[1] = put(world, 2);
	help_ok(qs_store_trash(world->store, &refs[0], &err), &err);
	help_ok(qs_store_purge(world->store, &refs[0], &err), &err);
	help_fails(append_naming(world, refs, 2, 4, 0), &err, QS_ENOTFOUND,
		"the record names object");
	assert_int_equal(count_in(world, QS_AREA_LOG), 7);
	(void)put(world, 1);
	help_ok(append_naming(world, refs, 2, 4, 0), &err);
	assert_int_equal(count_in(world, QS_AREA_LOG), 8);
}

/* When a log is copied: the object was retired long ago, and is gone. */
static void
append_of_an_old_record_needs_no_retired_object(void **state)
{
	struct world *world = *state;
	struct qs_ref ref = put(world, 1);
	struct qs_record draft = {
		.type = QS_RECORD_RETIRE,
		.seq = 3,
		.time_ms = NOON,
		.prev = world->admin[2].name,
	}, record;
	struct qs_buf body = {0}, bytes = {0};
	struct qs_name retire;

	help_ok(qs_store_trash(world->store, &ref, &err), &err);
	help_ok(qs_store_purge(world->store, &ref, &err), &err);
	help_fails(append_naming(world, &ref, 1, 4, 0), &err, QS_ENOTFOUND,
		"the record names object");
	help_ok(qs_retire_encode(NULL, 0, qs_span(ref.name.b, 32), &body,
		&err), &err);
	draft.public_body = qs_buf_span(&body);
	help_record(world->keys, qs_keys_admin(world->keys), &draft,
		qs_span(NULL, 0), &bytes, &record);
	retire = record.name;
	usleep(20000); /* the directory's clock is a coarse one */
	help_ok(world->store->ops->append(world->store->self, &record, &err),
		&err);
	help_ok(append_naming(world, &ref, 1, 4, 0), &err);
	/* Who knew of it and lists it all the same has to store it again. */
	help_fails(append_naming(world, &ref, 1, 5, qs_retire_seen(&retire)),
		&err, QS_ENOTFOUND, "the record names object");
	(void)put(world, 1);
	help_ok(append_naming(world, &ref, 1, 5, qs_retire_seen(&retire)),
		&err);
	qs_buf_clear(&body);
	qs_buf_clear(&bytes);
}

static void
held_log_takes_no_append(void **state)
{
	struct world *world = *state;
	char path[512], folder[33];
	int lock = -1, other;

	qs_hex(folder, world->keys->folder_id, 16);
	(void)snprintf(path, sizeof(path), "%s/%s/log", world->dir, folder);
	other = open(path, O_RDONLY | O_DIRECTORY);
	assert_true(other >= 0);
	help_ok(qs_store_hold_log(world->store, &lock, &err), &err);
	/* What an append takes first. */
	assert_int_equal(flock(other, LOCK_SH | LOCK_NB), -1);
	assert_int_equal(errno, EWOULDBLOCK);
	qs_fd_close(&lock);
	assert_int_equal(flock(other, LOCK_SH | LOCK_NB), 0);
	/* Appends do not exclude each other. */
	help_ok(append_naming(world, NULL, 0, 4, 0), &err);
	qs_fd_close(&other);
}

/* ----------------------------------------------------------------- slots */

static void
removed_key_slot_is_kept_and_not_served(void **state)
{
	struct world *world = *state;
	struct qs_store *store = world->store;
	static const uint8_t slot[QS_SLOT_LEN] = {1};
	struct qs_ref ref = {.area = QS_AREA_KEYS};
	uint8_t byte;
	size_t got;
	struct trashed trashed;

	help_ok(store->ops->put_key(store->self, qs_span(slot, sizeof(slot)),
		&ref.name, &err), &err);
	help_ok(store->ops->drop_key(store->self, &ref.name, &err), &err);
	assert_true(is_at(world, &ref, true) && !is_at(world, &ref, false));
	help_fails(store->ops->get(store->self, &ref, 0, &byte, 1, &got, &err),
		&err, QS_ENOTFOUND, "missing");
	assert_int_equal(count_in(world, QS_AREA_KEYS), 0);
	trashed = list_trash(world);
	assert_int_equal(trashed.count, 1);
	assert_int_equal(trashed.last.area, QS_AREA_KEYS);
	help_fails(store->ops->drop_key(store->self, &ref.name, &err), &err,
		QS_ENOTFOUND, "missing");
	/* It came back, and is removed once more. */
	help_ok(store->ops->put_key(store->self, qs_span(slot, sizeof(slot)),
		&ref.name, &err), &err);
	help_ok(store->ops->drop_key(store->self, &ref.name, &err), &err);
	assert_true(is_at(world, &ref, true) && !is_at(world, &ref, false));
	help_ok(qs_store_untrash(store, &ref, &err), &err);
	assert_true(is_at(world, &ref, false));
}

#define ROUNDS 2000

struct mover {
	struct qs_store *store;
	struct qs_ref ref;
};

static void
trash_many_times(void *arg)
{
	struct mover *mover = arg;
	struct qs_err unused;

	for (int i = 0; i < ROUNDS; i++) {
		(void)!qs_store_trash(mover->store, &mover->ref, &unused);
		(void)!qs_store_untrash(mover->store, &mover->ref, &unused);
	}
}

/* Of two who move one file, one must not take it for two. */
static void
moving_at_once_never_removes_the_only_file(void **state)
{
	struct world *world = *state;
	struct mover movers[2] = {{world->store, put(world, 9)}};
	struct qs_thread *threads[2];
	char here[512], there[512];

	movers[1].ref = movers[0].ref;
	help_ok(qs_store_open(world->dir, world->keys->folder_id,
		&movers[1].store, &err), &err);
	for (int i = 0; i < 2; i++)
		help_ok(qs_thread_start(&threads[i], trash_many_times,
			&movers[i], "mover", &err), &err);
	for (int i = 0; i < 2; i++)
		qs_thread_join(threads[i]);
	path_of(world, &movers[0].ref, false, here);
	path_of(world, &movers[0].ref, true, there);
	assert_true(access(here, F_OK) == 0 || access(there, F_OK) == 0);
	qs_store_close(movers[1].store);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_TEST(trash_is_read_but_not_listed),
		WORLD_TEST(only_what_is_in_the_trash_is_purged),
		WORLD_TEST(one_copy_is_left_of_two),
		WORLD_TEST(others_files_in_the_trash_are_left),
		WORLD_TEST(other_stores_have_no_trash),
		WORLD_TEST(append_brings_back_what_it_names),
		WORLD_TEST(append_of_what_is_nowhere_is_refused),
		WORLD_TEST(append_of_an_old_record_needs_no_retired_object),
		WORLD_TEST(held_log_takes_no_append),
		WORLD_TEST(moving_at_once_never_removes_the_only_file),
		WORLD_TEST(removed_key_slot_is_kept_and_not_served),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
