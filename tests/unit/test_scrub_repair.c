/* SPDX-License-Identifier: ISC */
/* The same: good copies, passes that go on, what is retired. */
#include "tests/unit/scrub_rig.h"

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

static int
by_device(const void *a, const void *b)
{
	const struct qs_mark *x = a, *y = b;

	return memcmp(x->device, y->device, QS_DEVICE_LEN);
}

/* Forty days later: it is purged, and the catalogue still has it. */
static void
what_was_retired_is_nobodys_loss(void **state)
{
	struct rig *rig = *state;
	struct world *world = rig->world;
	struct qs_ref ref = {.area = QS_AREA_OBJ, .name = rig->names[2]};
	struct qs_mark heads[2] = {{.seq = 2, .name = world->admin[2].name},
		{.seq = 4, .name = world->device[0][4].name}};
	struct qs_buf body = {0};

	memcpy(heads[0].device, qs_keys_admin(world->keys)->pk, QS_DEVICE_LEN);
	memcpy(heads[1].device, world->devices[0].pk, QS_DEVICE_LEN);
	qsort(heads, 2, sizeof(heads[0]), by_device);
	scrub(rig, QS_SCRUB_FAST);
	OK(qs_retire_encode(heads, 2, qs_span(&rig->names[2], 32), &body,
		&err));
	world_append(world, qs_keys_admin(world->keys), QS_RECORD_RETIRE,
		qs_buf_span(&body), world->admin, 3);
	qs_buf_clear(&body);
	OK(qs_store_trash(world->store, &ref, &err));
	OK(qs_store_purge(world->store, &ref, &err));
	scrub(rig, QS_SCRUB_FAST);
	assert_string_equal(rig->findings, "");
	assert_int_equal(rig->result.objects, OBJECTS - 1);
	assert_int_equal(rig->result.missing + rig->result.incomplete, 0);
	assert_int_equal(object_row(rig, 2).number, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(good_copies_are_fetched_and_the_damaged_kept),
		T(a_bad_copy_is_not_taken),
		T(an_interrupted_pass_goes_on),
		T(one_scrub_at_a_time),
		T(what_is_in_the_trash_is_not_missing),
		T(what_was_retired_is_nobodys_loss),
	};

	return cmocka_run_group_tests_name("scrub repair", tests, NULL, NULL);
}
