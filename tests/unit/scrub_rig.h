/* SPDX-License-Identifier: ISC */
/* A folder with objects, a log and a slot, for the tests of the scrub. */
#ifndef QS_SCRUB_RIG_H
#define QS_SCRUB_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
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

static inline int
by_name(const void *a, const void *b)
{
	return memcmp(a, b, 32);
}

static inline void
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

static inline int
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

static inline int
end(void **state)
{
	struct rig *rig = *state;
	void *world = rig->world;

	assert_int_equal(world_end(&world), 0);
	free(rig);
	return 0;
}

static inline void
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

static inline struct qs_scrub_options
options_of(struct rig *rig, enum qs_scrub_depth depth)
{
	return (struct qs_scrub_options){.depth = depth,
		.finding = on_finding, .arg = rig, .cancel = &rig->cancel,
		.threads = 3};
}

static inline void
scrub_with(struct rig *rig, const struct qs_scrub_options *options)
{
	rig->findings[0] = '\0';
	OK(qs_scrub(rig->world->dir, rig->world->keys->folder_id, options,
		&rig->result, &err));
}

static inline void
scrub(struct rig *rig, enum qs_scrub_depth depth)
{
	struct qs_scrub_options options = options_of(rig, depth);

	scrub_with(rig, &options);
}

static inline void
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

static inline const char *
path_of(const struct rig *rig, const char *below)
{
	static char path[1024];
	char folder[33];

	qs_hex(folder, rig->world->keys->folder_id, 16);
	(void)snprintf(path, sizeof(path), "%s/%s/%s", rig->world->dir, folder,
		below);
	return path;
}

static inline const char *
object_path(const struct rig *rig, unsigned i)
{
	char hex[65], below[80];

	qs_hex(hex, rig->names[i].b, 32);
	(void)snprintf(below, sizeof(below), "obj/%.2s/%s", hex, hex);
	return path_of(rig, below);
}

static inline void
says(const struct rig *rig, const char *words)
{
	if (strstr(rig->findings, words) == NULL)
		fail_msg("no \"%s\" in: %s", words, rig->findings);
}

static inline struct qs_hub_status
status(const struct rig *rig)
{
	struct qs_hub_status out;

	OK(qs_hub_status(rig->world->dir, rig->world->keys->folder_id, &out,
		&err));
	return out;
}

static inline struct qs_catalogue *
open_catalogue(const struct rig *rig)
{
	struct qs_catalogue *catalogue = NULL;
	bool is_new;

	OK(qs_catalogue_open(path_of(rig, "hub"), rig->world->keys->folder_id,
		&catalogue, &is_new, &err));
	return catalogue;
}

static inline struct qs_item
row_of(const struct rig *rig, const struct qs_ref *ref)
{
	struct qs_catalogue *catalogue = open_catalogue(rig);
	struct qs_item item = {.number = 0};
	bool found = false;

	OK(qs_catalogue_get(catalogue, ref, &item, &found, &err));
	qs_catalogue_close(catalogue);
	return item;
}

static inline struct qs_item
object_row(const struct rig *rig, unsigned i)
{
	struct qs_ref ref = {.area = QS_AREA_OBJ, .name = rig->names[i]};

	return row_of(rig, &ref);
}

#define T(name) cmocka_unit_test_setup_teardown(name, make, end)

#endif
