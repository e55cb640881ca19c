/* SPDX-License-Identifier: ISC */
/* Unit tests of qs_folder_reload, and of diff around what can't be read. */
#include "index/index_internal.h"
#include "snapshot_rig.h"

#define DAY INT64_C(86400000000000)

static void
another_ones_snapshot_is_taken_in(void **state)
{
	struct rig *rig = *state;
	struct qs_folder *a = rig_open(rig, "a"), *b;
	bool changed = false;

	(void)rig_save(a, DAY, NULL, 0);
	OK(qs_folder_reload(a, &changed, &err));
	OK(qs_folder_reload(a, &changed, &err));
	assert_false(changed);
	assert_int_equal(qs_folder_snapshot_count(a), 1);
	b = rig_open(rig, "b");
	(void)rig_save(b, 2 * DAY, NULL, 0);
	OK(qs_folder_reload(a, &changed, &err));
	assert_true(changed);
	assert_int_equal(qs_folder_snapshot_count(a), 2);
	/* And it can be written to as before. */
	(void)rig_save(a, 3 * DAY, NULL, 0);
	assert_int_equal(qs_folder_snapshot_count(a), 3);
	qs_folder_close(b);
	qs_folder_close(a);
	rig_quiet(rig);
}

static const struct qs_store_ops *inner;
static bool is_list_bad, is_get_bad;

static enum qs_code
list(void *self, enum qs_area area, qs_list_fn fn, void *arg,
	struct qs_err *list_err)
{
	if (is_list_bad)
		return qs_fail(list_err, QS_EIO, "the store is gone");
	return inner->list(self, area, fn, arg, list_err);
}

static enum qs_code
get(void *self, const struct qs_ref *ref, uint64_t offset, uint8_t *out,
	size_t len, size_t *got, struct qs_err *get_err)
{
	if (is_get_bad)
		return qs_fail(get_err, QS_EIO, "the store is gone");
	return inner->get(self, ref, offset, out, len, got, get_err);
}

static void
after_a_failure_it_is_as_before(void **state)
{
	struct rig *rig = *state;
	struct qs_folder *a = rig_open(rig, "a"), *b = rig_open(rig, "b");
	struct qs_store *store = qs_folder_store(a);
	struct qs_store_ops ops = *store->ops;
	bool changed = false;

	(void)rig_save(a, DAY, NULL, 0);
	OK(qs_folder_reload(a, &changed, &err));
	(void)rig_save(b, 2 * DAY, NULL, 0);
	qs_folder_close(b);
	inner = store->ops;
	ops.list = list;
	ops.get = get;
	store->ops = &ops;
	is_list_bad = true;
	assert_int_equal(qs_folder_reload(a, &changed, &err), QS_EIO);
	is_list_bad = false;
	assert_int_equal(qs_folder_snapshot_count(a), 1);
	assert_int_equal(qs_folder_snapshot(a, 0)->time_ns, DAY);
	/* Records that can't be read now are looked for again. */
	is_get_bad = true;
	OK(qs_folder_reload(a, &changed, &err));
	rig_told(rig, QS_EIO, "gone");
	is_get_bad = false;
	OK(qs_folder_reload(a, &changed, &err));
	assert_true(changed);
	assert_int_equal(qs_folder_snapshot_count(a), 2);
	store->ops = inner;
	qs_folder_close(a);
}

static unsigned
count_absent(struct qs_folder *folder)
{
	struct qs_buf names = {0};
	unsigned count;

	OK(qs_folder_absent(folder, &names, &err));
	count = (unsigned)(names.len / 32);
	qs_buf_clear(&names);
	return count;
}

/* As in a store that is being copied, the log first. */
static void
what_comes_after_its_record_is_taken_in(void **state)
{
	struct rig *rig = *state;
	struct qs_folder *a = rig_open(rig, "a"), *b = rig_open(rig, "b");
	bool changed = false;

	rig_sh(rig, "mkdir files && seq 1000 >files/x");
	(void)rig_snap(rig, b);
	qs_folder_close(b);
	rig_sh(rig, "cp -a store/*/obj away && rm -f store/*/obj/*/*");
	OK(qs_folder_reload(a, &changed, &err));
	assert_true(changed);
	rig_told(rig, QS_ENOTFOUND, "is missing");
	assert_true(count_absent(a) > 0);
	OK(qs_folder_reload(a, &changed, &err));
	assert_false(changed);
	rig_sh(rig, "cp -a away/. store/*/obj/");
	a->ask_ns = 0; /* as if the pause were over */
	OK(qs_folder_reload(a, &changed, &err));
	assert_true(changed);
	rig_quiet(rig);
	assert_int_equal(count_absent(a), 0);
	OK(qs_folder_reload(a, &changed, &err));
	assert_false(changed);
	qs_folder_close(a);
}

static void
a_half_copied_one_is_news_once(void **state)
{
	struct rig *rig = *state;
	struct qs_folder *a = rig_open(rig, "a"), *b = rig_open(rig, "b");
	bool changed = false;

	(void)rig_save(b, DAY, NULL, 0);
	OK(qs_folder_reload(a, &changed, &err));
	rig_sh(rig, "mkdir files && seq 1000 >files/x");
	(void)rig_snap(rig, b);
	qs_folder_close(b);
	rig_sh(rig, "mkdir away; for f in store/*/obj/*/*; do cp $f away/; "
		"chmod 600 $f; truncate -s 100 $f; done");
	OK(qs_folder_reload(a, &changed, &err));
	assert_true(changed);
	assert_true(rig->trouble_count > 0);
	rig->trouble_count = 0;
	for (unsigned i = 0; i < 2; i++) {
		a->ask_ns = 0;
		OK(qs_folder_reload(a, &changed, &err));
		assert_true(changed == (i == 0));
	}
	rig->trouble_count = 0;
	rig_sh(rig, "for f in store/*/obj/*/*; do "
		"cat away/${f##*/} >$f; done");
	a->ask_ns = 0;
	OK(qs_folder_reload(a, &changed, &err));
	assert_true(changed);
	rig_quiet(rig);
	assert_int_equal(count_absent(a), 0);
	qs_folder_close(a);
}

/* Reads would wait with it, for as long as the other one likes. */
static void
it_does_not_wait_for_who_writes_the_index(void **state)
{
	struct rig *rig = *state;
	struct qs_folder *a = rig_open(rig, "a"), *b = rig_open(rig, "b");
	struct qs_index *other = NULL;
	int64_t begun_ns;
	bool changed = false;
	char path[512];

	(void)rig_save(b, DAY, NULL, 0);
	qs_folder_close(b);
	rig_path(rig, "a.cache/*/index.sqlite", path);
	OK(qs_index_open(path, rig->id, &other, &changed, &err));
	assert_false(changed);
	OK(qs_index_begin(other, true, &err));
	begun_ns = qs_mono_ns();
	assert_int_equal(qs_folder_reload(a, &changed, &err), QS_EBUSY);
	assert_true(qs_mono_ns() - begun_ns < INT64_C(500000) *
		QS_INDEX_BUSY_MS);
	assert_int_equal(qs_folder_snapshot_count(a), 0);
	OK(qs_index_end(other, QS_OK, &err));
	OK(qs_folder_reload(a, &changed, &err));
	assert_true(changed);
	assert_int_equal(qs_folder_snapshot_count(a), 1);
	qs_index_close(other);
	qs_folder_close(a);
	rig_quiet(rig);
}

struct lines {
	char text[4096];
};

static void
take_change(void *arg, const char *changes, const char *path)
{
	struct lines *lines = arg;
	const size_t used = strlen(lines->text);

	(void)snprintf(lines->text + used, sizeof(lines->text) - used,
		"%s %s\n", changes, path);
}

static void
take_trouble(void *arg, const char *path, const struct qs_err *trouble)
{
	take_change(arg, qs_code_word(trouble->code), path);
}

static void
diff_goes_around_what_can_not_be_read(void **state)
{
	struct rig *rig = *state;
	struct qs_folder *folder = rig_open(rig, "a");
	struct lines lines = {""};
	struct qs_content before, after;
	struct qs_source *source = NULL;
	struct qs_diff_stat stat;

	rig_sh(rig, "mkdir -p files/d && echo one >files/d/x");
	(void)rig_snap(rig, folder);
	rig_sh(rig, "cp -a store first; echo two >files/d/x; echo n >files/n");
	(void)rig_snap(rig, folder);
	rig_sh(rig, "cd store/*/obj && for f in */*; do "
		"[ -e ../../../first/*/obj/$f ] || rm -f $f; done");
	before = qs_snapshot_root(qs_folder_snapshot(folder, 0));
	after = qs_snapshot_root(qs_folder_snapshot(folder, 1));
	OK(qs_source_new(folder, 0, &source, &err));
	OK(qs_diff(source, &before, &after, false, take_change, take_trouble,
		&lines, &stat, &err));
	assert_non_null(strstr(lines.text, "not found "));
	qs_source_free(source);
	qs_folder_close(folder);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(another_ones_snapshot_is_taken_in),
		RIG_TEST(after_a_failure_it_is_as_before),
		RIG_TEST(what_comes_after_its_record_is_taken_in),
		RIG_TEST(a_half_copied_one_is_news_once),
		RIG_TEST(it_does_not_wait_for_who_writes_the_index),
		RIG_TEST(diff_goes_around_what_can_not_be_read),
	};

	if (qs_crypto_init(&err) != QS_OK)
		return 1;
	return cmocka_run_group_tests_name("reload", tests, NULL, NULL);
}
