/* SPDX-License-Identifier: ISC */
/* Unit tests of snapshot/check: damage costs what it hits and nothing else. */
#include <stdlib.h>

#include "check_fixture.h"

struct place { /* of a file's first chunk */
	struct qs_id id;
	struct qs_chunk_loc loc;
	struct qs_name pack;
	char path[512];
	off_t frame; /* where in the object */
};

static void
place_of(struct rig *rig, struct qs_folder *folder, const char *file,
	struct place *out)
{
	struct qs_index *index = qs_folder_index(folder);
	struct qs_index_pack known;
	uint32_t number = 0;

	chunk_of(rig, folder, file, out->path, &out->pack, &out->id);
	OK(qs_index_find(index, &out->id, 1, &out->loc, &err));
	OK(qs_index_pack_number(index, &out->pack, &number, &err));
	assert_int_equal(out->loc.pack, number);
	OK(qs_index_pack(index, number, &known, &err));
	out->frame = known.frames[out->loc.frame].off;
	free(known.frames);
}

static bool
is_known(struct qs_folder *folder, const struct qs_id *id)
{
	struct qs_chunk_loc loc;

	OK(qs_index_find(qs_folder_index(folder), id, 1, &loc, &err));
	return loc.pack != 0;
}

static uint32_t
data_chunks_of(struct qs_folder *folder, const struct qs_name *pack)
{
	struct qs_index *index = qs_folder_index(folder);
	struct qs_pack_dir dir;
	uint32_t number = 0, count = 0;

	OK(qs_index_pack_number(index, pack, &number, &err));
	OK(qs_index_pack_dir(index, number, &dir, &err));
	for (uint32_t i = 0; i < dir.chunk_count; i++)
		count += dir.frames[dir.chunks[i].frame].kind == QS_KIND_DATA;
	qs_pack_dir_clear(&dir);
	return count;
}

/* The bad one's name is "07". */
static void
all_others_can_be_read(struct rig *rig, struct qs_folder *folder)
{
	for (int i = 0; i < 20; i++) {
		struct qs_name name;
		char file[32], path[512];

		(void)snprintf(file, sizeof(file), "d/%02d", i);
		if (i != 7)
			object_of(rig, folder, file, path, &name);
	}
}

static struct qs_folder *
twenty_files(struct rig *rig)
{
	struct qs_folder *folder = rig_open(rig, "a");

	rig_sh(rig, "mkdir -p files/d && for i in $(seq -w 0 19); do "
		"head -c 100000 /dev/urandom >files/d/$i; done");
	(void)rig_snap(rig, folder);
	return folder;
}

static void
a_bad_frame_costs_its_files_and_nothing_else(void **state)
{
	struct rig *rig = *state;
	struct qs_folder *folder = twenty_files(rig);
	struct told *told = told_new();
	struct qs_check_result result;
	struct place bad, anew;
	char hex[17];

	place_of(rig, folder, "d/07", &bad);
	flip(bad.path, bad.frame + 50);
	result = check(folder, told, true);
	assert_int_equal(result.damaged_packs, 1);
	assert_int_equal(result.files_affected, 1);
	assert_int_equal(result.errors, 2);
	qs_hex(hex, bad.pack.b, 8);
	told_says(told, hex);
	told_says(told, "its bytes do not have its name; 1 of its ");
	told_says(told, "/files/d/07: in snapshot ");
	told_says(told, "run snapshot again");
	assert_false(is_known(folder, &bad.id));
	all_others_can_be_read(rig, folder);
	/* Its structure is not taken for its contents. */
	result = check(folder, told, false);
	assert_int_equal(result.damaged_packs, 1);
	assert_int_equal(result.files_affected, 1);
	assert_false(is_known(folder, &bad.id));
	all_others_can_be_read(rig, folder);
	/* Stored anew: that chunk and no other. */
	(void)rig_snap(rig, folder);
	place_of(rig, folder, "d/07", &anew);
	assert_memory_equal(&anew.id, &bad.id, sizeof(bad.id));
	assert_memory_not_equal(&anew.pack, &bad.pack, sizeof(bad.pack));
	assert_int_equal(data_chunks_of(folder, &anew.pack), 1);
	result = check(folder, told, false);
	assert_string_equal(told->text, "");
	result = check(folder, told, true);
	assert_int_equal(result.damaged_packs, 1);
	assert_int_equal(result.errors, 1);
	assert_int_equal(result.files_affected, 0);
	assert_true(is_known(folder, &bad.id));
	qs_folder_close(folder);
	free(told);
}

static void
chunks_are_put_back_when_they_verify(void **state)
{
	struct rig *rig = *state;
	struct qs_folder *folder = twenty_files(rig);
	struct told *told = told_new();
	struct place bad, other;

	place_of(rig, folder, "d/07", &bad);
	place_of(rig, folder, "d/08", &other);
	flip(bad.path, bad.frame + 50);
	assert_int_equal(check(folder, told, true).files_affected, 1);
	/* Of two rows that are missing one is of a sound chunk. */
	OK(qs_index_forget_chunks(qs_folder_index(folder), &bad.pack,
		&other.id, 1, &err));
	assert_int_equal(check(folder, told, false).files_affected, 1);
	assert_true(is_known(folder, &other.id));
	assert_false(is_known(folder, &bad.id));
	/* The same of an index that does not have the object at all. */
	OK(qs_index_forget(qs_folder_index(folder), &bad.pack, &err));
	assert_int_equal(check(folder, told, false).files_affected, 1);
	all_others_can_be_read(rig, folder);
	assert_false(is_known(folder, &bad.id));
	/* A good copy is fetched. */
	flip(bad.path, bad.frame + 50);
	assert_int_equal(check(folder, told, false).errors, 0);
	told_says(told, "they were added");
	assert_true(is_known(folder, &bad.id));
	(void)check(folder, told, true);
	assert_string_equal(told->text, "");
	qs_folder_close(folder);
	free(told);
}

static void
copy_over(const char *from, const char *to)
{
	char line[1800];

	(void)snprintf(line, sizeof(line), "mkdir -p \"$(dirname %s)\" && "
		"cp -f %s %s", to, from, to);
	assert_int_equal(system(line), 0);
}

static void
a_wrong_name_on_sound_bytes_forgets_nothing(void **state)
{
	struct rig *rig = *state;
	struct qs_folder *folder = twenty_files(rig);
	struct qs_index *index = qs_folder_index(folder);
	struct told *told = told_new();
	struct qs_check_result result;
	struct qs_index_pack known;
	struct qs_pack_dir dir;
	struct place place;
	char path[512], hex[65];

	place_of(rig, folder, "d/07", &place);
	OK(qs_index_pack(index, place.loc.pack, &known, &err));
	OK(qs_index_pack_dir(index, place.loc.pack, &dir, &err));
	known.ref.name.b[31] ^= 1;
	qs_hex(hex, known.ref.name.b, 32);
	(void)snprintf(path, sizeof(path), "%.*s%s",
		(int)strlen(place.path) - 64, place.path, hex);
	copy_over(place.path, path);
	/* All chunks are where only the wrong name leads. */
	OK(qs_index_forget(index, &place.pack, &err));
	OK(qs_index_add(index, &known.ref, &dir, &err));
	assert_int_equal(unlink(place.path), 0);
	free(known.frames);
	qs_pack_dir_clear(&dir);
	result = check(folder, told, true);
	assert_int_equal(result.damaged_packs, 1);
	assert_int_equal(result.missing_packs, 1);
	assert_int_equal(result.files_affected, 0);
	told_says(told, "do not have its name; nothing in it is lost");
	all_others_can_be_read(rig, folder);
	assert_true(is_known(folder, &place.id));
	qs_folder_close(folder);
	free(told);
}

static void
another_objects_bytes_are_not_taken_in(void **state)
{
	struct rig *rig = *state;
	struct qs_folder *folder = rig_open(rig, "a");
	struct told *told = told_new();
	struct place one, two;

	rig_sh(rig, "mkdir -p files && echo 1 >files/one");
	(void)rig_snap(rig, folder);
	rig_sh(rig, "echo 2 >files/two");
	(void)rig_snap(rig, folder);
	place_of(rig, folder, "one", &one);
	place_of(rig, folder, "two", &two);
	copy_over(two.path, one.path);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(check(folder, told, false).damaged_packs, 1);
		told_says(told, "files that need it are named below");
		told_says(told, "/files/one: in snapshot");
		assert_false(is_known(folder, &one.id));
		assert_true(is_known(folder, &two.id));
	}
	qs_folder_close(folder);
	free(told);
}

static struct { /* a store whose disk does not read objects so long */
	const struct qs_store_ops *real;
	size_t least;
} sick;

static enum qs_code
sick_get(void *self, const struct qs_ref *ref, uint64_t offset, uint8_t *out,
	size_t len, size_t *got, struct qs_err *e)
{
	if (ref->area == QS_AREA_OBJ && len >= sick.least)
		return qs_fail(e, QS_EIO, "read it: Input/output error");
	return sick.real->get(self, ref, offset, out, len, got, e);
}

static void
a_disk_that_does_not_read_makes_nothing_forgotten(void **state)
{
	struct rig *rig = *state;
	struct qs_folder *folder = twenty_files(rig);
	struct qs_store *store = qs_folder_store(folder);
	struct told *told = told_new();
	struct qs_store_ops ops = *store->ops;
	struct qs_index_counts before, after;

	OK(qs_index_count(qs_folder_index(folder), &before, &err));
	sick.real = store->ops;
	ops.get = sick_get;
	store->ops = &ops;
	/* The whole object, and then not even its head. */
	for (int i = 0; i < 2; i++) {
		struct qs_check_result result;

		sick.least = i == 0 ? 2u << 20 : 0;
		result = check(folder, told, true);
		assert_int_equal(result.damaged_packs, 0);
		assert_int_equal(result.missing_packs, 0);
		assert_true(result.errors >= 1);
		assert_int_equal(result.packs_read, 1 - i);
		told_says(told, "cannot be read: read it: Input/output error; "
			"it may be whole");
	}
	store->ops = sick.real;
	OK(qs_index_count(qs_folder_index(folder), &after, &err));
	assert_memory_equal(&before, &after, sizeof(before));
	(void)check(folder, told, true);
	assert_string_equal(told->text, "");
	qs_folder_close(folder);
	free(told);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(a_bad_frame_costs_its_files_and_nothing_else),
		RIG_TEST(chunks_are_put_back_when_they_verify),
		RIG_TEST(a_wrong_name_on_sound_bytes_forgets_nothing),
		RIG_TEST(another_objects_bytes_are_not_taken_in),
		RIG_TEST(a_disk_that_does_not_read_makes_nothing_forgotten),
	};

	if (qs_crypto_init(&err) != QS_OK)
		return 1;
	return cmocka_run_group_tests_name("check_damage", tests, NULL, NULL);
}
