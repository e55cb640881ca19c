/* SPDX-License-Identifier: ISC */
/* Unit tests of qs_folder_reload, and of diff around what can't be read. */
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
		RIG_TEST(diff_goes_around_what_can_not_be_read),
	};

	if (qs_crypto_init(&err) != QS_OK)
		return 1;
	return cmocka_run_group_tests_name("reload", tests, NULL, NULL);
}
