/* SPDX-License-Identifier: ISC */
/* Unit tests of snapshot/diff and snapshot/stats, on real snapshots. */
#include "check_fixture.h"

struct changes {
	struct rig *rig;
	char text[8192];
};

/* The paths below <root>/files, in the order in which they are told. */
static void
take_change(void *arg, const char *letters, const char *path)
{
	struct changes *changes = arg;
	const size_t used = strlen(changes->text);
	const char *inner = strstr(path, "/files/");

	assert_int_equal(path[0], '/');
	if (inner == NULL)
		return;
	(void)snprintf(changes->text + used, sizeof(changes->text) - used,
		"%s %s\n", letters, inner + 7);
}

static void
take_trouble(void *arg, const char *path, const struct qs_err *trouble)
{
	struct changes *changes = arg;
	const size_t used = strlen(changes->text);
	const char *inner = strstr(path, "/files/");

	(void)snprintf(changes->text + used, sizeof(changes->text) - used,
		"? %s: %s\n", inner == NULL ? path : inner + 7,
		qs_code_word(trouble->code));
}

static struct qs_diff_stat
compare(struct rig *rig, struct qs_folder *folder,
	const struct qs_snapshot *a, const struct qs_snapshot *b,
	bool metadata, const char *expected)
{
	struct qs_content before = qs_snapshot_root(a);
	struct qs_content after = qs_snapshot_root(b);
	struct changes *changes = calloc(1, sizeof(*changes));
	struct qs_source *source = NULL;
	struct qs_diff_stat stat;

	changes->rig = rig;
	OK(qs_source_new(folder, QS_SOURCE_CACHE, &source, &err));
	OK(qs_diff(source, &before, &after, metadata, take_change,
		take_trouble, changes, &stat, &err));
	assert_string_equal(changes->text, expected);
	qs_source_free(source);
	free(changes);
	return stat;
}

/* Snapshots may move when another is added. */
static const struct qs_snapshot *
nth(struct qs_folder *folder, size_t i)
{
	return qs_folder_snapshot(folder, i);
}

static void
changes_are_told_by_letters(void **state)
{
	struct rig *rig = *state;
	struct qs_folder *folder = rig_open(rig, "a");
	struct qs_diff_stat stat;

	rig_sh(rig, "mkdir -p files/same files/gone/deep files/kind && "
		"cd files && echo same >same/a && echo gone >gone/deep/x && "
		"echo v1 >changed && echo meta >meta && chmod 600 meta && "
		"echo f >kind/file-to-dir && mkdir kind/dir-to-file && "
		"echo y >kind/dir-to-file/inner && ln -s one link && "
		"echo z >removed && touch -d @1000 * */* && touch -d @1000 .");
	(void)rig_snap(rig, folder);
	rig_sh(rig, "cd files && rm -r gone removed && mkdir new && "
		"echo n >new/n && echo v2 >changed && chmod 644 meta && "
		"rm kind/file-to-dir && mkdir kind/file-to-dir && "
		"echo q >kind/file-to-dir/q && rm -r kind/dir-to-file && "
		"echo w >kind/dir-to-file && ln -sfn two link && "
		"touch -h -d @1000 * */* && touch -d @1000 .");
	(void)rig_snap(rig, folder);
	assert_int_equal(qs_folder_snapshot_count(folder), 2);
	stat = compare(rig, folder, nth(folder, 0), nth(folder, 1), false,
		"M changed\n"
		"- gone/\n- gone/deep/\n- gone/deep/x\n"
		"T kind/dir-to-file\n- kind/dir-to-file/inner\n"
		"T kind/file-to-dir/\n+ kind/file-to-dir/q\n"
		"M link\n"
		"+ new/\n+ new/n\n"
		"- removed\n");
	assert_int_equal(stat.files_changed, 1);
	assert_int_equal(stat.files_new, 3);     /* q, dir-to-file, n */
	assert_int_equal(stat.files_removed, 4); /* x, inner, f-to-d, removed */
	assert_int_equal(stat.dirs_new, 2);      /* file-to-dir, new */
	assert_int_equal(stat.dirs_removed, 3);  /* gone, deep, dir-to-file */
	assert_int_equal(stat.bytes_new, 3 + 2 + 2 + 2);
	assert_int_equal(stat.bytes_removed, 3 + 5 + 2 + 2 + 2);
	(void)compare(rig, folder, nth(folder, 0), nth(folder, 0), true, "");
	qs_folder_close(folder);
	rig_quiet(rig);
}

static void
metadata_is_compared_when_asked(void **state)
{
	struct rig *rig = *state;
	struct qs_folder *folder = rig_open(rig, "a");

	rig_sh(rig, "mkdir -p files/d && cd files && echo 1 >a && echo 1 >b "
		"&& echo 1 >d/c && touch -d @1000 a b d/c d");
	(void)rig_snap(rig, folder);
	rig_sh(rig, "cd files && chmod 600 a && echo 2 >b && touch -d @1000 "
		"b && touch -d @2000 d/c && echo 3 >b && touch -d @1000 d");
	(void)rig_snap(rig, folder);
	(void)compare(rig, folder, nth(folder, 0), nth(folder, 1), false,
		"M b\n");
	(void)compare(rig, folder, nth(folder, 0), nth(folder, 1), true,
		"U a\nMU b\nU d/c\n");
	qs_folder_close(folder);
}

/* Three snapshots: the trees of some folders are only with the second. */
static void
a_folder_that_cannot_be_read_costs_itself_only(void **state)
{
	struct rig *rig = *state;
	struct qs_folder *folder = rig_open(rig, "a");
	struct qs_name name;
	char path[512];
	struct qs_diff_stat stat;

	rig_sh(rig, "mkdir -p files/d/in files/e && cd files && echo 1 >d/x "
		"&& echo 1 >d/in/y && echo 1 >e/z");
	(void)rig_snap(rig, folder);
	rig_sh(rig, "cd files && echo 2 >d/x && mkdir f && echo 2 >f/w");
	(void)rig_snap(rig, folder);
	object_of(rig, folder, "d", path, &name);
	rig_sh(rig, "cd files && echo 3 >e/z && echo 3 >v");
	(void)rig_snap(rig, folder);
	/* Of the second snapshot: d and f, and not the root of the third. */
	assert_int_equal(unlink(path), 0);
	stat = compare(rig, folder, nth(folder, 0), nth(folder, 2), false,
		"? d: not found\nM e/z\n+ f/\n? f: not found\n+ v\n");
	assert_int_equal(stat.files_changed, 1);
	assert_int_equal(stat.dirs_new, 1);
	assert_int_equal(stat.files_new, 1);
	(void)compare(rig, folder, nth(folder, 2), nth(folder, 0), false,
		"? d: not found\nM e/z\n- f/\n? f: not found\n- v\n");
	qs_folder_close(folder);
}

static struct qs_stats
count(struct qs_folder *folder, enum qs_stats_mode mode)
{
	const struct qs_snapshot *list[2] = {nth(folder, 0), nth(folder, 1)};
	struct qs_stats stats;

	OK(qs_stats(folder, list, 2, mode, NULL, &stats, &err));
	assert_int_equal(stats.snapshots, 2);
	assert_true(stats.packs > 0 && stats.pack_bytes >= 65536);
	return stats;
}

static void
stats_count_what_each_mode_says(void **state)
{
	struct rig *rig = *state;
	struct qs_folder *folder = rig_open(rig, "a");
	struct qs_stats stats;

	rig_sh(rig, "mkdir -p files/d && cd files && head -c 200000 "
		"/dev/urandom >big && cp big d/copy && echo x >small && "
		"ln small hard && ln -s x link");
	(void)rig_snap(rig, folder);
	(void)rig_snap(rig, folder);
	stats = count(folder, QS_STATS_RESTORE_SIZE);
	assert_int_equal(stats.files, 2 * 4);
	assert_int_equal(stats.others, 2 * 1);
	assert_int_equal(stats.bytes, 2 * (400000 + 2));
	stats = count(folder, QS_STATS_FILES_BY_CONTENTS);
	assert_int_equal(stats.unique_files, 2);
	assert_int_equal(stats.unique_bytes, 200000 + 2);
	stats = count(folder, QS_STATS_RAW_DATA);
	assert_true(stats.blobs >= 3);
	assert_true(stats.blob_bytes > 200002 && stats.blob_bytes < 230000);
	assert_true(stats.stored_bytes > 200000 &&
		stats.stored_bytes < stats.blob_bytes + 1000);
	qs_folder_close(folder);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(changes_are_told_by_letters),
		RIG_TEST(metadata_is_compared_when_asked),
		RIG_TEST(a_folder_that_cannot_be_read_costs_itself_only),
		RIG_TEST(stats_count_what_each_mode_says),
	};

	if (qs_crypto_init(&err) != QS_OK)
		return 1;
	return cmocka_run_group_tests_name("diff", tests, NULL, NULL);
}
