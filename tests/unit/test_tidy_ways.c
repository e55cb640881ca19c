/* SPDX-License-Identifier: ISC */
/*
 * Unit tests of hub/: a snapshot and a RETIRE meet on a store in a directory,
 * in all the ways in which four steps can follow each other.  (More, with more
 * machines, and without files: test_retire_model.c.)
 */
#include <sys/stat.h>
#include <unistd.h>

#include "tidy_fixture.h"

#define STEPS 4

enum step {
	BUILD_UPON,  /* a snapshot of one who knew nothing of the RETIRE */
	STORE_AGAIN, /* one of one who knew */
	TRASH_DAY,   /* tidied up after 20 days */
	PURGE_DAY,   /* after 60 */
	UNDELETE,
	CUT_SHORT,   /* a move that was killed in the middle */
	STEP_KINDS,
};

struct way {
	struct world *world;
	struct qs_name name;     /* of the object that is retired */
	uint64_t next;           /* number of device 1's next record */
	bool is_used, is_purged; /* some snapshot needs it; it was gone once */
};

static void
paths_of(const struct way *way, char here[static 512], char there[static 512])
{
	char folder[33], hex[65];

	qs_hex(folder, way->world->keys->folder_id, 16);
	qs_hex(hex, way->name.b, 32);
	(void)snprintf(here, 512, "%s/%s/obj/%.2s/%s", way->world->dir, folder,
		hex, hex);
	(void)snprintf(there, 512, "%s/%s/trash/%s", way->world->dir, folder,
		hex);
}

/* As rename is done where it can't be done in one step. */
static void
cut_short(const struct way *way)
{
	char here[512], there[512];

	paths_of(way, here, there);
	if (access(here, F_OK) == 0)
		(void)!link(here, there);
	else
		(void)!link(there, here);
}

static void
take(struct way *way, enum step step)
{
	struct world *world = way->world;
	struct qs_name name = way->name;
	uint64_t restored;

	switch (step) {
	case BUILD_UPON:
		/* Later than the grace it is no promise. */
		if (way->is_purged || way->next > 1)
			break;
		snapshot(world, 1, way->next++, 0, NULL, 0);
		way->is_used = true;
		break;
	case STORE_AGAIN:
		if (way->next > 1)
			break;
		if (!is_readable(world, &name))
			(void)put(world, 1);
		snapshot(world, 1, way->next++, 3, &name, 1);
		way->is_used = true;
		way->is_purged = false;
		break;
	case TRASH_DAY:
		(void)tidy(world, 20);
		break;
	case PURGE_DAY:
		(void)tidy(world, 60);
		way->is_purged |= !is_readable(world, &name);
		break;
	case UNDELETE:
		help_ok(qs_tidy_undelete(world->dir, world->keys->folder_id, 0,
			&restored, &err), &err);
		break;
	case CUT_SHORT:
		cut_short(way);
		break;
	case STEP_KINDS:
		break;
	}
}

static void
go(const enum step steps[static STEPS])
{
	struct way way = {.next = 0};
	struct qs_name names[2], sorted[2];
	void *state;

	(void)world_make(&state);
	way.world = state;
	names[0] = put(way.world, 1);
	names[1] = put(way.world, 2);
	memcpy(sorted, names, sizeof(sorted));
	snapshot(way.world, 0, 4, 0, sorted, 2);
	retire(way.world, 3, 4, names, 1);
	way.name = names[0];
	for (int i = 0; i < STEPS; i++) {
		take(&way, steps[i]);
		if (way.is_used && !is_readable(way.world, &way.name))
			fail_msg("lost after step %d of %d %d %d %d", i + 1,
				steps[0], steps[1], steps[2], steps[3]);
		assert_true(is_readable(way.world, &names[1]));
	}
	/* In the end what is in use is in its place, the rest is gone. */
	(void)tidy(way.world, 500);
	(void)tidy(way.world, 600);
	assert_int_equal(listed(way.world, QS_AREA_OBJ),
		1 + (unsigned)way.is_used);
	assert_int_equal(is_readable(way.world, &way.name), way.is_used);
	(void)world_end(&state);
}

static void
nothing_needed_is_lost_in_any_order(void **state)
{
	enum step steps[STEPS];
	int ways = 1;

	(void)state;
	for (int i = 0; i < STEPS; i++)
		ways *= STEP_KINDS;
	for (int way = 0; way < ways; way++) {
		bool is_any = false;

		for (int i = 0, rest = way; i < STEPS; i++) {
			steps[i] = (enum step)(rest % STEP_KINDS);
			rest /= STEP_KINDS;
			is_any |= steps[i] <= STORE_AGAIN;
		}
		if (is_any) /* else nothing could be lost */
			go(steps);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_needed_is_lost_in_any_order),
	};

	/* Nothing here is about what is durable: memory will do. */
	if (access("/dev/shm", W_OK) == 0)
		(void)setenv("TMPDIR", "/dev/shm", 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
