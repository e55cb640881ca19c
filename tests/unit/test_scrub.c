/* SPDX-License-Identifier: ISC */
/* Unit tests of qs_scrub, qs_hub_status: what is found, written, repaired. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <fcntl.h>
#include <unistd.h>

#include <cmocka.h>

#include "hub/hub.h"
#include "tests/suite/log_world.h"

#define OBJECTS 12
#define OK(call) help_ok((call), &err)

static struct qs_err err;

struct rig { /* a world whose fifth snapshot names objects */
	struct world *world;
	struct qs_name names[OBJECTS];
	struct qs_name slot;
	struct qs_scrub_result result;
	char findings[8192]; /* a line each */
	unsigned calls, cancel_after;
	_Atomic bool cancel;
};

static int
by_name(const void *a, const void *b)
{
	return memcmp(a, b, 32);
}

static void
put_objects(struct rig *rig, struct qs_store *store)
{
	uint32_t state = 7;

	for (unsigned i = 0; i < OBJECTS; i++) {
		size_t len = (size_t)65536 << i % 3;
		uint8_t *bytes = malloc(len);
		struct qs_stage *stage = NULL;

		help_fill(bytes, len, &state);
		qs_hash_name(qs_span(bytes, len), &rig->names[i]);
		OK(store->ops->stage(store->self, qs_span(bytes, len), &stage,
			&err));
		OK(store->ops->commit(store->self, &stage, &rig->names[i], 1,
			&err));
		free(bytes);
	}
	qsort(rig->names, OBJECTS, sizeof(rig->names[0]), by_name);
}

static int
make(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	uint8_t slot[QS_SLOT_LEN];
	uint32_t seed = 3;
	void *world = NULL;

	assert_int_equal(world_make(&world), 0);
	rig->world = world;
	put_objects(rig, rig->world->store);
	world_append(rig->world, &rig->world->devices[0], QS_RECORD_SNAPSHOT,
		qs_span(rig->names, sizeof(rig->names)),
		rig->world->device[0], 4);
	help_fill(slot, sizeof(slot), &seed);
	OK(rig->world->store->ops->put_key(rig->world->store->self,
		qs_span(slot, sizeof(slot)), &rig->slot, &err));
	*state = rig;
	return 0;
}

static int
end(void **state)
{
	struct rig *rig = *state;
	void *world = rig->world;

	assert_int_equal(world_end(&world), 0);
	free(rig);
	return 0;
}

static void
on_finding(void *arg, const struct qs_finding *finding)
{
	static const char *const words[] = {"damaged", "missing", "foreign",
		"incomplete", "log", "repaired"};
	struct rig *rig = arg;
	size_t len = strlen(rig->findings);

	(void)snprintf(rig->findings + len, sizeof(rig->findings) - len,
		"%s: %s\n", words[finding->kind], finding->text);
	if (++rig->calls == rig->cancel_after)
		rig->cancel = true;
}

static struct qs_scrub_options
options_of(struct rig *rig, enum qs_scrub_depth depth)
{
	return (struct qs_scrub_options){.depth = depth,
		.finding = on_finding, .arg = rig, .cancel = &rig->cancel,
		.threads = 3};
}

static void
scrub_with(struct rig *rig, const struct qs_scrub_options *options)
{
	rig->findings[0] = '\0';
	OK(qs_scrub(rig->world->dir, rig->world->keys->folder_id, options,
		&rig->result, &err));
}

static void
scrub(struct rig *rig, enum qs_scrub_depth depth)
{
	struct qs_scrub_options options = options_of(rig, depth);

	scrub_with(rig, &options);
}

static void
is_clean(const struct rig *rig)
{
	if (rig->findings[0] != '\0')
		fail_msg("%s", rig->findings);
	assert_true(rig->result.finished);
	assert_int_equal(rig->result.objects, OBJECTS);
	assert_int_equal(rig->result.records, 3 + 5);
	assert_int_equal(rig->result.slots, 1);
	assert_int_equal(rig->result.damaged + rig->result.missing +
		rig->result.incomplete + rig->result.troubles, 0);
}

static const char *
path_of(const struct rig *rig, const char *below)
{
	static char path[1024];
	char folder[33];

	qs_hex(folder, rig->world->keys->folder_id, 16);
	(void)snprintf(path, sizeof(path), "%s/%s/%s", rig->world->dir, folder,
		below);
	return path;
}

static const char *
object_path(const struct rig *rig, unsigned i)
{
	char hex[65], below[80];

	qs_hex(hex, rig->names[i].b, 32);
	(void)snprintf(below, sizeof(below), "obj/%.2s/%s", hex, hex);
	return path_of(rig, below);
}

static void
says(const struct rig *rig, const char *words)
{
	if (strstr(rig->findings, words) == NULL)
		fail_msg("no \"%s\" in: %s", words, rig->findings);
}

static struct qs_hub_status
status(const struct rig *rig)
{
	struct qs_hub_status out;

	OK(qs_hub_status(rig->world->dir, rig->world->keys->folder_id, &out,
		&err));
	return out;
}

static struct qs_catalogue *
open_catalogue(const struct rig *rig)
{
	struct qs_catalogue *catalogue = NULL;
	bool is_new;

	OK(qs_catalogue_open(path_of(rig, "hub"), rig->world->keys->folder_id,
		&catalogue, &is_new, &err));
	return catalogue;
}

static struct qs_item
row_of(const struct rig *rig, const struct qs_ref *ref)
{
	struct qs_catalogue *catalogue = open_catalogue(rig);
	struct qs_item item = {.number = 0};
	bool found = false;

	OK(qs_catalogue_get(catalogue, ref, &item, &found, &err));
	qs_catalogue_close(catalogue);
	return item;
}

static struct qs_item
object_row(const struct rig *rig, unsigned i)
{
	struct qs_ref ref = {.area = QS_AREA_OBJ, .name = rig->names[i]};

	return row_of(rig, &ref);
}

/* ------------------------------------------------------------- clean */

static void
a_whole_folder_is_clean_and_gets_its_rows(void **state)
{
	struct rig *rig = *state;
	struct qs_hub_status before = status(rig), after;
	struct qs_ref record = {.area = QS_AREA_LOG, .seq = 4,
		.name = rig->world->device[0][4].name};

	assert_false(before.has_catalogue);
	assert_int_equal(before.objects, OBJECTS);
	assert_int_equal(access(path_of(rig, "hub"), F_OK), -1);
	scrub(rig, QS_SCRUB_FAST);
	is_clean(rig);
	scrub(rig, QS_SCRUB_FAST);
	is_clean(rig);
	scrub(rig, QS_SCRUB_FULL);
	is_clean(rig);
	after = status(rig);
	assert_true(after.has_catalogue);
	assert_int_equal(after.objects, OBJECTS);
	assert_int_equal(after.records, 8);
	assert_int_equal(after.slots, 1);
	assert_true(after.bytes == before.bytes);
	assert_true(after.last_record_ms > 0);
	assert_true(after.last_scrub_ms > 0);
	assert_true(after.backlog == UINT64_MAX);
	memcpy(record.device, rig->world->devices[0].pk, QS_DEVICE_LEN);
	assert_int_equal(row_of(rig, &record).record_type, QS_RECORD_SNAPSHOT);
	assert_true(object_row(rig, 0).has_xxh3);
}

static enum qs_code
check_order(void *arg, const struct qs_item *item, struct qs_err *failure)
{
	struct qs_item *last = arg;

	(void)failure;
	/* objects, slots, records; each device's in order */
	if (item->ref.area == QS_AREA_OBJ)
		assert_int_equal(last->ref.area == 0 ? QS_AREA_OBJ :
			last->ref.area, QS_AREA_OBJ);
	if (item->ref.area == QS_AREA_LOG && last->ref.area != QS_AREA_LOG)
		assert_int_equal(item->record_type, QS_RECORD_GENESIS);
	if (item->ref.area == QS_AREA_LOG && last->ref.area == QS_AREA_LOG &&
		memcmp(item->ref.device, last->ref.device, 8) == 0)
		assert_true(item->ref.seq == last->ref.seq + 1);
	*last = *item;
	return QS_OK;
}

static void
rows_come_in_an_order_in_which_files_could_have(void **state)
{
	struct rig *rig = *state;
	struct qs_scrub_options options = options_of(rig, QS_SCRUB_FAST);
	struct qs_item last = {.number = 0};
	struct qs_catalogue *catalogue;
	uint64_t number;

	scrub(rig, QS_SCRUB_FAST);
	number = object_row(rig, 0).number;
	options.rebuild = true;
	scrub_with(rig, &options);
	is_clean(rig);
	assert_true(object_row(rig, 0).number > number);
	catalogue = open_catalogue(rig);
	OK(qs_catalogue_each(catalogue, 0, 0, check_order, &last, &err));
	assert_int_equal(last.ref.area, QS_AREA_LOG);
	OK(qs_catalogue_fact_put(catalogue, "transfer_since", last.number - 3,
		&err));
	OK(qs_catalogue_fact_put(catalogue, "refused_total", 5, &err));
	qs_catalogue_close(catalogue);
	assert_int_equal(status(rig).backlog, 3);
	assert_int_equal(status(rig).refused, 5);
}

/* ------------------------------------------------------------ damage */

static void
damage_is_found_either_way_written_down_and_taken_back(void **state)
{
	struct rig *rig = *state;
	const enum qs_scrub_depth depths[] = {QS_SCRUB_FAST, QS_SCRUB_FULL};

	scrub(rig, QS_SCRUB_FAST);
	for (unsigned i = 0; i < 2; i++) {
		world_damage(object_path(rig, 3), 65000);
		scrub(rig, depths[i]);
		says(rig, "damaged: object ");
		says(rig, "do not match");
		assert_int_equal(rig->result.damaged, 1);
		assert_int_equal(object_row(rig, 3).state, QS_ITEM_DAMAGED);
		assert_int_equal(status(rig).scrub_findings, 1);
		world_damage(object_path(rig, 3), 65000); /* and back */
		scrub(rig, depths[i]);
		is_clean(rig);
		assert_int_equal(object_row(rig, 3).state, QS_ITEM_HERE);
		assert_int_equal(status(rig).scrub_findings, 0);
	}
}

static void
damage_from_before_the_catalogue_is_found_too(void **state)
{
	struct rig *rig = *state;

	world_damage(object_path(rig, 0), 5);
	scrub(rig, QS_SCRUB_FAST);
	assert_int_equal(rig->result.damaged, 1);
	scrub(rig, QS_SCRUB_FAST);
	assert_int_equal(rig->result.damaged, 1);
}

static void
a_wrong_catalogue_is_no_damage(void **state)
{
	struct rig *rig = *state;
	struct qs_catalogue *catalogue;
	struct qs_item item;

	scrub(rig, QS_SCRUB_FAST);
	item = object_row(rig, 5);
	item.xxh3 ^= 1;
	catalogue = open_catalogue(rig);
	OK(qs_catalogue_update(catalogue, &item, &err));
	qs_catalogue_close(catalogue);
	scrub(rig, QS_SCRUB_FAST);
	is_clean(rig);
	assert_true(object_row(rig, 5).xxh3 == (item.xxh3 ^ 1));
}

static void
what_is_gone_is_missing_and_its_snapshot_incomplete(void **state)
{
	struct rig *rig = *state;

	/* One that never had a row, and one that had. */
	assert_int_equal(unlink(object_path(rig, 1)), 0);
	scrub(rig, QS_SCRUB_FAST);
	assert_int_equal(unlink(object_path(rig, 2)), 0);
	scrub(rig, QS_SCRUB_FAST);
	assert_int_equal(rig->result.missing, 2);
	assert_int_equal(rig->result.incomplete, 1);
	says(rig, "number 4): 2 of the 12 objects");
	assert_int_equal(object_row(rig, 2).state, QS_ITEM_MISSING);
	assert_int_equal(status(rig).objects, OBJECTS - 2);
}

static void
troubles_of_the_log_are_told(void **state)
{
	struct rig *rig = *state;

	world_damage(rig->world->device[0][2].path, 300);
	assert_int_equal(unlink(rig->world->device[0][1].path), 0);
	scrub(rig, QS_SCRUB_FULL);
	says(rig, "log: ");
	says(rig, "damaged: log record");
	assert_true(rig->result.troubles >= 2);
	assert_int_equal(rig->result.damaged, 1);
	/* Without its beginning nothing in the log can be believed. */
	assert_int_equal(unlink(rig->world->admin[0].path), 0);
	scrub(rig, QS_SCRUB_FAST);
	says(rig, "log: ");
	assert_true(rig->result.finished);
}

static void
hostile_files_are_told_and_do_no_harm(void **state)
{
	struct rig *rig = *state;
	int fd;

	scrub(rig, QS_SCRUB_FAST);
	assert_int_equal(unlink(object_path(rig, 0)), 0);
	assert_int_equal(mkfifo(object_path(rig, 0), 0600), 0);
	assert_int_equal(unlink(object_path(rig, 1)), 0);
	assert_int_equal(symlink("/dev/zero", object_path(rig, 1)), 0);
	assert_int_equal(unlink(object_path(rig, 2)), 0);
	assert_int_equal(mkdir(object_path(rig, 2), 0700), 0);
	assert_int_equal(unlink(object_path(rig, 3)), 0);
	fd = open(object_path(rig, 3), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)1 << 42), 0);
	qs_fd_close(&fd);
	assert_int_equal(truncate(object_path(rig, 4), 0), 0);
	fd = open(path_of(rig, "obj/stranger"), O_WRONLY | O_CREAT | O_CLOEXEC,
		0600);
	qs_fd_close(&fd);
	scrub(rig, QS_SCRUB_FAST);
	assert_int_equal(rig->result.damaged, 5);
	assert_true(rig->result.foreign >= 1);
	says(rig, "foreign: obj/stranger is no file of this store");
	says(rig, "it is not a regular file");
	says(rig, "4398046511104 bytes");
	/* The same, when they were there before the catalogue. */
	assert_int_equal(unlink(path_of(rig, "hub/catalogue.sqlite")), 0);
	scrub(rig, QS_SCRUB_FULL);
	assert_int_equal(rig->result.damaged, 2);
}

/* ------------------------------------------------------------ repair */

static void
good_copies_are_fetched_and_the_damaged_kept(void **state)
{
	struct rig *rig = *state;
	struct qs_scrub_options options = options_of(rig, QS_SCRUB_FULL);
	struct qs_store *other = NULL;
	char *copy = help_dir_make(), command[600], hex[65], below[100];

	(void)snprintf(command, sizeof(command), "cp -a %s/. %s",
		rig->world->dir, copy);
	assert_int_equal(system(command), 0); /* NOLINT(cert-env33-c) */
	OK(qs_store_open(copy, rig->world->keys->folder_id, &other, &err));
	scrub(rig, QS_SCRUB_FAST);
	world_damage(object_path(rig, 0), 9);
	assert_int_equal(unlink(object_path(rig, 1)), 0);
	assert_int_equal(unlink(object_path(rig, 2)), 0);
	assert_int_equal(mkdir(object_path(rig, 2), 0700), 0);
	world_damage(rig->world->device[0][1].path, 300);
	assert_int_equal(unlink(rig->world->device[0][4].path), 0);
	qs_hex(hex, rig->slot.b, 32);
	(void)snprintf(below, sizeof(below), "keys/%s.key", hex);
	world_damage(path_of(rig, below), 3);
	options.repair_from = other;
	scrub_with(rig, &options);
	assert_int_equal(rig->result.repaired, 6);
	assert_int_equal(rig->result.damaged + rig->result.missing +
		rig->result.incomplete, 0);
	scrub(rig, QS_SCRUB_FULL);
	is_clean(rig);
	qs_hex(hex, rig->names[0].b, 32);
	(void)snprintf(below, sizeof(below), "trash/damaged-%s", hex);
	assert_int_equal(access(path_of(rig, below), F_OK), 0);
	/* Once more: the first damaged one stays. */
	world_damage(object_path(rig, 0), 9);
	scrub_with(rig, &options);
	assert_int_equal(rig->result.repaired, 1);
	(void)snprintf(below, sizeof(below), "trash/damaged-%s-1", hex);
	assert_int_equal(access(path_of(rig, below), F_OK), 0);
	scrub(rig, QS_SCRUB_FAST);
	is_clean(rig);
	qs_store_close(other);
	help_dir_remove(copy);
}

static void
a_bad_copy_is_not_taken(void **state)
{
	struct rig *rig = *state;
	struct qs_scrub_options options = options_of(rig, QS_SCRUB_FULL);
	struct qs_store *same = NULL;

	OK(qs_store_open(rig->world->dir, rig->world->keys->folder_id, &same,
		&err));
	world_damage(object_path(rig, 0), 9);
	options.repair_from = same;
	scrub_with(rig, &options);
	assert_int_equal(rig->result.repaired, 0);
	assert_int_equal(rig->result.damaged, 1);
	says(rig, "no good copy: ");
	assert_int_equal(access(object_path(rig, 0), F_OK), 0);
	qs_store_close(same);
}

/* ------------------------------------------------------------- passes */

static void
an_interrupted_pass_goes_on(void **state)
{
	struct rig *rig = *state;
	struct qs_scrub_options options = options_of(rig, QS_SCRUB_FULL);

	scrub(rig, QS_SCRUB_FAST);
	world_damage(object_path(rig, 0), 9);
	rig->calls = 0;
	rig->cancel_after = 1;
	scrub(rig, QS_SCRUB_FULL);
	assert_false(rig->result.finished);
	assert_int_equal(rig->result.damaged, 1);
	rig->cancel_after = 0;
	rig->cancel = false;
	/* What was looked at before is not looked at again, and counts. */
	scrub(rig, QS_SCRUB_FULL);
	assert_true(rig->result.finished);
	assert_int_equal(rig->result.objects, 0);
	assert_int_equal(rig->result.damaged, 1);
	assert_int_equal(status(rig).scrub_findings, 1);
	rig->calls = 0;
	rig->cancel_after = 1;
	scrub(rig, QS_SCRUB_FULL);
	rig->cancel_after = 0;
	rig->cancel = false;
	options.anew = true;
	scrub_with(rig, &options);
	assert_int_equal(rig->result.objects, OBJECTS);
}

static void
one_scrub_at_a_time(void **state)
{
	struct rig *rig = *state;
	struct qs_scrub_options options = options_of(rig, QS_SCRUB_FAST);
	int fd;

	scrub(rig, QS_SCRUB_FAST);
	fd = open(path_of(rig, "hub/scrub.lock"), O_RDWR | O_CLOEXEC);
	assert_int_equal(flock(fd, LOCK_EX), 0);
	assert_int_equal(qs_scrub(rig->world->dir, rig->world->keys->folder_id,
		&options, &rig->result, &err), QS_EBUSY);
	qs_fd_close(&fd);
}

/* -------------------------------------------------------------- trash */

static void
what_is_in_the_trash_is_not_missing(void **state)
{
	struct rig *rig = *state;
	struct qs_ref ref = {.area = QS_AREA_OBJ, .name = rig->names[2]};

	scrub(rig, QS_SCRUB_FAST);
	OK(qs_store_trash(rig->world->store, &ref, &err));
	scrub(rig, QS_SCRUB_FAST);
	assert_string_equal(rig->findings, "");
	assert_int_equal(object_row(rig, 2).state, QS_ITEM_TRASH);
	assert_int_equal(status(rig).trash_objects, 1);
	/* A catalogue that is made anew knows it, too. */
	assert_int_equal(unlink(path_of(rig, "hub/catalogue.sqlite")), 0);
	scrub(rig, QS_SCRUB_FAST);
	assert_int_equal(object_row(rig, 2).state, QS_ITEM_TRASH);
	OK(qs_store_untrash(rig->world->store, &ref, &err));
	scrub(rig, QS_SCRUB_FAST);
	is_clean(rig);
	assert_int_equal(object_row(rig, 2).state, QS_ITEM_HERE);
}

#define T(name) cmocka_unit_test_setup_teardown(name, make, end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_whole_folder_is_clean_and_gets_its_rows),
		T(rows_come_in_an_order_in_which_files_could_have),
		T(damage_is_found_either_way_written_down_and_taken_back),
		T(damage_from_before_the_catalogue_is_found_too),
		T(a_wrong_catalogue_is_no_damage),
		T(what_is_gone_is_missing_and_its_snapshot_incomplete),
		T(troubles_of_the_log_are_told),
		T(hostile_files_are_told_and_do_no_harm),
		T(good_copies_are_fetched_and_the_damaged_kept),
		T(a_bad_copy_is_not_taken),
		T(an_interrupted_pass_goes_on),
		T(one_scrub_at_a_time),
		T(what_is_in_the_trash_is_not_missing),
	};

	return cmocka_run_group_tests_name("scrub", tests, NULL, NULL);
}
