/* SPDX-License-Identifier: ISC */
/* Unit tests of a hub's catalogue: rows, totals, kills, damage, full disks. */
#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "index/catalogue_internal.h"
#include "tests/unit/index_fixture.h"

static struct qs_catalogue *
open_new(bool is_new_wanted)
{
	struct qs_catalogue *catalogue = NULL;
	bool is_new = !is_new_wanted;

	OK(qs_catalogue_open(in_top("hub"), folder, &catalogue, &is_new, &err));
	assert_int_equal(is_new, is_new_wanted);
	return catalogue;
}

static struct qs_catalogue *
open_filled(void)
{
	struct qs_catalogue *catalogue = open_new(true);

	OK(qs_catalogue_fact_put(catalogue, QS_CATALOGUE_FILLED, 1, &err));
	return catalogue;
}

static struct qs_item
object(uint64_t n)
{
	return (struct qs_item){
		.ref = {.area = QS_AREA_OBJ, .name = name_of(n),
			.size = 65536},
		.arrived_ms = 1000 + n,
		.xxh3 = UINT64_MAX - n,
		.has_xxh3 = true,
		.state_ms = 1000 + n,
	};
}

static struct qs_item
record(uint64_t seq, enum qs_record_type type, uint64_t arrived_ms)
{
	return (struct qs_item){
		.ref = {.area = QS_AREA_LOG, .name = name_of(seq),
			.device = "device!", .seq = seq, .size = 4096},
		.arrived_ms = arrived_ms,
		.record_type = (uint8_t)type,
	};
}

static void
add(struct qs_catalogue *catalogue, struct qs_item item)
{
	OK(qs_catalogue_add(catalogue, &item, 1, &err));
}

static struct qs_item
get(struct qs_catalogue *catalogue, struct qs_item item)
{
	struct qs_item out = {.number = 0};
	bool found = false;

	OK(qs_catalogue_get(catalogue, &item.ref, &out, &found, &err));
	assert_int_equal(found, out.number != 0);
	return out;
}

static enum qs_code
drop(struct qs_catalogue *catalogue, struct qs_item item)
{
	return qs_catalogue_drop(catalogue, &item.ref, &err);
}

static struct qs_catalogue_counts
count(struct qs_catalogue *catalogue)
{
	struct qs_catalogue_counts counts;

	OK(qs_catalogue_count(catalogue, &counts, &err));
	return counts;
}

/* ------------------------------------------------------------------ rows */

static void
a_row_comes_back_as_it_was_given(void **state)
{
	struct qs_catalogue *catalogue = open_new(true);
	struct qs_item last = record(UINT64_MAX, QS_RECORD_SNAPSHOT, 77), row;

	(void)state;
	add(catalogue, object(1));
	add(catalogue, last);
	qs_catalogue_close(catalogue);
	catalogue = open_new(true); /* nobody has said that it is filled */
	row = get(catalogue, object(1));
	assert_memory_equal(row.ref.name.b, object(1).ref.name.b, 32);
	assert_int_equal(row.ref.area, QS_AREA_OBJ);
	assert_int_equal(row.ref.size, 65536);
	assert_true(row.has_xxh3);
	assert_true(row.xxh3 == UINT64_MAX - 1);
	assert_int_equal(row.arrived_ms, 1001);
	row = get(catalogue, last);
	assert_true(row.ref.seq == UINT64_MAX);
	assert_memory_equal(row.ref.device, "device!", 8);
	assert_int_equal(row.record_type, QS_RECORD_SNAPSHOT);
	assert_false(row.has_xxh3);
	assert_int_equal(get(catalogue, object(2)).number, 0);
	qs_catalogue_close(catalogue);
}

static void
a_file_that_is_there_keeps_its_number_and_time(void **state)
{
	struct qs_catalogue *catalogue = open_new(true);
	struct qs_item again = object(1);
	uint64_t first, newest;

	(void)state;
	add(catalogue, object(1));
	first = get(catalogue, object(1)).number;
	again.arrived_ms = 9;
	add(catalogue, again);
	OK(qs_catalogue_newest(catalogue, &newest, &err));
	assert_true(newest == first);
	assert_int_equal(get(catalogue, object(1)).arrived_ms, 1001);
	add(catalogue, object(2));
	assert_true(get(catalogue, object(2)).number == first + 1);
	qs_catalogue_close(catalogue);
}

static void
numbers_are_never_given_twice(void **state)
{
	struct qs_catalogue *catalogue = open_new(true);
	uint64_t number, newest;

	(void)state;
	add(catalogue, object(1));
	number = get(catalogue, object(1)).number;
	assert_int_equal(drop(catalogue, object(2)), QS_ENOTFOUND);
	OK(drop(catalogue, object(1)));
	qs_catalogue_close(catalogue);
	catalogue = open_new(true);
	OK(qs_catalogue_newest(catalogue, &newest, &err));
	assert_true(newest == number);
	add(catalogue, object(1));
	assert_true(get(catalogue, object(1)).number > number);
	OK(qs_catalogue_clear(catalogue, &err));
	assert_int_equal(count(catalogue).objects, 0);
	add(catalogue, object(1));
	assert_true(get(catalogue, object(1)).number > number + 1);
	qs_catalogue_close(catalogue);
}

static void
an_update_leaves_what_it_does_not_know(void **state)
{
	struct qs_catalogue *catalogue = open_new(true);
	struct qs_item change = {.ref = object(1).ref,
		.state = QS_ITEM_TRASH, .state_ms = 5}, row;

	(void)state;
	add(catalogue, object(1));
	change.ref.size = 0;
	OK(qs_catalogue_update(catalogue, &change, &err));
	row = get(catalogue, object(1));
	assert_int_equal(row.state, QS_ITEM_TRASH);
	assert_int_equal(row.state_ms, 5);
	assert_int_equal(row.ref.size, 65536);
	assert_true(row.has_xxh3);
	change.ref.name = name_of(99);
	assert_int_equal(qs_catalogue_update(catalogue, &change, &err),
		QS_ENOTFOUND);
	OK(qs_catalogue_update_all(catalogue, &change, 1, &err));
	change.ref.area = QS_AREA_BESIDE;
	assert_int_equal(qs_catalogue_add(catalogue, &change, 1, &err),
		QS_EINVAL);
	qs_catalogue_close(catalogue);
}

static void
totals_follow_the_rows(void **state)
{
	struct qs_catalogue *catalogue = open_new(true);
	struct qs_catalogue_counts counts;
	struct qs_item item = object(1);

	(void)state;
	for (uint64_t i = 1; i <= 4; i++)
		add(catalogue, object(i));
	add(catalogue, record(0, QS_RECORD_GENESIS, 900));
	add(catalogue, record(1, QS_RECORD_SNAPSHOT, 500));
	add(catalogue, record(2, QS_RECORD_SNAPSHOT, 300));
	item.state = QS_ITEM_TRASH;
	OK(qs_catalogue_update(catalogue, &item, &err));
	item = object(2);
	item.state = QS_ITEM_DAMAGED;
	OK(qs_catalogue_update(catalogue, &item, &err));
	item = object(3);
	item.state = QS_ITEM_MISSING;
	OK(qs_catalogue_update(catalogue, &item, &err));
	counts = count(catalogue);
	assert_int_equal(counts.objects, 2);
	assert_int_equal(counts.records, 3);
	assert_int_equal(counts.bytes, 2 * 65536 + 3 * 4096);
	assert_int_equal(counts.trash_objects, 1);
	assert_int_equal(counts.trash_bytes, 65536);
	assert_int_equal(counts.damaged, 1);
	assert_int_equal(counts.missing, 1);
	assert_int_equal(counts.last_snapshot_ms, 500);
	OK(drop(catalogue, object(1)));
	OK(drop(catalogue, object(2)));
	counts = count(catalogue);
	assert_int_equal(counts.objects, 1);
	assert_int_equal(counts.trash_objects, 0);
	assert_int_equal(counts.damaged, 0);
	qs_catalogue_close(catalogue);
}

struct going {
	struct qs_catalogue *catalogue;
	uint64_t seen, last, stop_after;
};

static enum qs_code
drop_as_it_goes(void *arg, const struct qs_item *item, struct qs_err *failure)
{
	struct going *going = arg;

	assert_true(item->number > going->last);
	going->last = item->number;
	if (++going->seen == going->stop_after)
		return qs_fail(failure, QS_ECANCELED, "enough");
	return qs_catalogue_drop(going->catalogue, &item->ref, failure);
}

static void
going_through_the_rows_leaves_them_free_to_change(void **state)
{
	struct qs_catalogue *catalogue = open_new(true);
	struct qs_item *items = calloc(1000, sizeof(*items));
	struct going going = {.catalogue = catalogue, .stop_after = 600};

	(void)state;
	for (uint64_t i = 0; i < 1000; i++)
		items[i] = object(i);
	OK(qs_catalogue_add(catalogue, items, 1000, &err));
	assert_int_equal(qs_catalogue_each(catalogue, 0, 0, drop_as_it_goes,
		&going, &err), QS_ECANCELED);
	assert_int_equal(going.seen, 600);
	assert_int_equal(count(catalogue).objects, 401);
	going = (struct going){.catalogue = catalogue, .last = going.last};
	OK(qs_catalogue_each(catalogue, going.last, 10, drop_as_it_goes,
		&going, &err));
	assert_int_equal(going.seen, 10);
	OK(qs_catalogue_each(catalogue, UINT64_MAX, 0, drop_as_it_goes,
		&going, &err));
	assert_int_equal(going.seen, 10);
	free(items);
	qs_catalogue_close(catalogue);
}

static void
facts_are_numbers(void **state)
{
	struct qs_catalogue *catalogue = open_new(true);
	uint64_t value = 0;
	bool found = true;

	(void)state;
	OK(qs_catalogue_fact_get(catalogue, "x", &value, &found, &err));
	assert_false(found);
	OK(qs_catalogue_fact_add(catalogue, "x", 3, &err));
	OK(qs_catalogue_fact_add(catalogue, "x", 4, &err));
	OK(qs_catalogue_fact_get(catalogue, "x", &value, &found, &err));
	assert_true(found);
	assert_int_equal(value, 7);
	OK(qs_catalogue_fact_put(catalogue, "x", UINT64_MAX - 1, &err));
	OK(qs_catalogue_fact_add(catalogue, "x", 4, &err));
	OK(qs_catalogue_fact_get(catalogue, "x", &value, &found, &err));
	assert_true(value == UINT64_MAX);
	qs_catalogue_close(catalogue);
}

/* ------------------------------------------------- processes, threads */

static void
the_child_went_well(pid_t pid)
{
	int status = -1;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void
two_processes_write_by_turns(void **state)
{
	struct qs_catalogue *catalogue;
	pid_t pids[2];

	(void)state;
	qs_catalogue_close(open_filled());
	for (unsigned p = 0; p < 2; p++) {
		pids[p] = fork();
		assert_true(pids[p] >= 0);
		if (pids[p] != 0)
			continue;
		catalogue = open_new(false);
		for (uint64_t i = 0; i < 200; i++)
			add(catalogue, object(p * 100 + i));
		qs_catalogue_close(catalogue);
		_exit(0);
	}
	the_child_went_well(pids[0]);
	the_child_went_well(pids[1]);
	catalogue = open_new(false);
	assert_int_equal(count(catalogue).objects, 300);
	qs_catalogue_close(catalogue);
}

static void
add_many(void *arg)
{
	for (uint64_t i = 0; i < 100; i++)
		add(arg, object(i));
}

static void
several_threads_share_a_catalogue(void **state)
{
	struct qs_catalogue *catalogue = open_new(true);
	struct qs_thread *threads[4];

	(void)state;
	for (unsigned i = 0; i < 4; i++)
		OK(qs_thread_start(&threads[i], add_many, catalogue, "adder",
			&err));
	for (unsigned i = 0; i < 4; i++)
		qs_thread_join(threads[i]);
	assert_int_equal(count(catalogue).objects, 100);
	qs_catalogue_close(catalogue);
}

/* The rows that are there are a prefix, and the totals are theirs. */
static void
check_prefix(uint64_t at_least)
{
	struct qs_catalogue *catalogue = open_new(false);
	uint64_t n = 0;

	while (get(catalogue, object(n)).number != 0)
		n++;
	assert_true(n >= at_least);
	assert_int_equal(count(catalogue).objects, n);
	assert_int_equal(count(catalogue).bytes, n * 65536);
	qs_catalogue_close(catalogue);
}

static void
a_killed_process_leaves_what_it_was_told_is_there(void **state)
{
	struct qs_catalogue *catalogue;
	uint64_t told = 0;

	(void)state;
	qs_catalogue_close(open_filled());
	for (unsigned round = 1; round <= 5; round++) {
		int pipe_fds[2];
		pid_t pid;
		uint64_t n;

		assert_int_equal(pipe(pipe_fds), 0);
		pid = fork();
		assert_true(pid >= 0);
		if (pid == 0) {
			catalogue = open_new(false);
			for (n = told;; n++) {
				add(catalogue, object(n));
				if (write(pipe_fds[1], &n, sizeof(n)) < 0)
					_exit(1);
			}
		}
		(void)close(pipe_fds[1]);
		while (told < round * 30 && read(pipe_fds[0], &n, sizeof(n)) ==
			(ssize_t)sizeof(n))
			told = n + 1;
		assert_int_equal(kill(pid, SIGKILL), 0);
		while (read(pipe_fds[0], &n, sizeof(n)) == (ssize_t)sizeof(n))
			told = n + 1;
		(void)close(pipe_fds[0]);
		assert_int_equal(waitpid(pid, NULL, 0), pid);
		check_prefix(told);
	}
}

/* Rights on dir alone, and below. */
static bool
enter_landlock(const char *dir)
{
	struct landlock_ruleset_attr attr = {.handled_access_fs =
		(LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1};
	struct landlock_path_beneath_attr below = {
		.allowed_access = attr.handled_access_fs,
		.parent_fd = open(dir, O_PATH | O_CLOEXEC),
	};
	int ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr,
		sizeof(attr), 0);

	return ruleset >= 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
		syscall(SYS_landlock_add_rule, ruleset,
			LANDLOCK_RULE_PATH_BENEATH, &below, 0) == 0 &&
		syscall(SYS_landlock_restrict_self, ruleset, 0) == 0;
}

static void
rights_on_the_folder_alone_are_enough(void **state)
{
	struct qs_catalogue *catalogue;
	pid_t pid = fork();
	int status = -1;

	(void)state;
	assert_true(pid >= 0);
	if (pid == 0) {
		if (!enter_landlock(top))
			_exit(77);
		catalogue = open_filled();
		for (uint64_t i = 0; i < 50; i++)
			add(catalogue, object(i));
		qs_catalogue_close(catalogue);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		skip();
	assert_int_equal(status, 0);
	check_prefix(50);
}

/* ------------------------------------------------------------ damage */

static void
write_junk(const char *name, long offset)
{
	uint8_t junk[512];
	int fd = open(in_top(name), O_WRONLY | O_CLOEXEC);

	memset(junk, 0xa5, sizeof(junk));
	assert_true(fd >= 0);
	OK(qs_fd_pwrite(fd, junk, sizeof(junk), (uint64_t)offset, &err));
	qs_fd_close(&fd);
}

static void
a_damaged_one_is_set_aside_and_numbers_go_on(void **state)
{
	struct qs_catalogue *catalogue = open_filled();
	uint64_t number;

	(void)state;
	add(catalogue, object(1));
	number = get(catalogue, object(1)).number;
	qs_catalogue_close(catalogue);
	write_junk("hub/catalogue.sqlite", 0);
	catalogue = open_new(true);
	assert_int_equal(access(in_top("hub/catalogue.sqlite.damaged"), F_OK),
		0);
	assert_int_equal(count(catalogue).objects, 0);
	add(catalogue, object(1));
	assert_true(get(catalogue, object(1)).number > number);
	qs_catalogue_close(catalogue);
}

static void
inject_sql(const char *text)
{
	sqlite3 *db = NULL;

	assert_int_equal(sqlite3_open(in_top("hub/catalogue.sqlite"), &db),
		SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, text, NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void
another_folders_and_another_version_are_set_aside(void **state)
{
	struct qs_catalogue *catalogue = NULL;
	bool is_new = false;

	(void)state;
	qs_catalogue_close(open_filled());
	OK(qs_catalogue_open(in_top("hub"), other_folder, &catalogue, &is_new,
		&err));
	assert_true(is_new);
	OK(qs_catalogue_fact_put(catalogue, QS_CATALOGUE_FILLED, 1, &err));
	qs_catalogue_close(catalogue);
	qs_catalogue_close(open_filled());
	inject_sql("PRAGMA user_version = 99");
	qs_catalogue_close(open_new(true));
}

static void
bad_rows_are_damage_and_closing_sets_it_aside(void **state)
{
	static const char *const bad[] = {
		"UPDATE items SET key = x'03'",
		"UPDATE items SET key = x'09' || zeroblob(32)",
		"UPDATE items SET size = -1",
		"UPDATE items SET state = 4",
		"UPDATE items SET record_type = 256",
		"UPDATE items SET xxh3 = 'x'",
		"UPDATE totals SET files = -5",
		"UPDATE facts SET value = 'x'",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct qs_catalogue *catalogue = open_filled();
		struct qs_catalogue_counts counts;
		struct going going = {.catalogue = catalogue};
		uint64_t value;
		bool found;
		enum qs_code rc;

		add(catalogue, object(1));
		OK(qs_catalogue_fact_put(catalogue, "x", 1, &err));
		inject_sql(bad[i]);
		rc = qs_catalogue_each(catalogue, 0, 0, drop_as_it_goes,
			&going, &err);
		if (rc == QS_OK)
			rc = qs_catalogue_count(catalogue, &counts, &err);
		if (rc == QS_OK)
			rc = qs_catalogue_fact_get(catalogue, "x", &value,
				&found, &err);
		assert_int_equal(rc, QS_EINDEX);
		qs_catalogue_close(catalogue);
	}
	qs_catalogue_close(open_new(true));
}

static void
a_full_disk_is_told_and_loses_nothing(void **state)
{
	struct qs_catalogue *catalogue;
	uint64_t n = 0;
	enum qs_code rc = QS_OK;

	(void)state;
	if (mount("tmpfs", top, "tmpfs", 0, "size=1m") != 0)
		skip();
	catalogue = open_filled();
	while (rc == QS_OK) {
		struct qs_item item = object(n);

		assert_true(n < 100000);
		rc = qs_catalogue_add(catalogue, &item, 1, &err);
		n += rc == QS_OK;
	}
	assert_int_equal(rc, QS_ENOSPC);
	assert_int_equal(count(catalogue).objects, n);
	assert_int_equal(mount("tmpfs", top, "tmpfs", MS_REMOUNT, "size=30m"),
		0);
	add(catalogue, object(n));
	qs_catalogue_close(catalogue);
	check_prefix(n + 1);
	assert_int_equal(umount(top), 0);
}

static void
the_files_are_private(void **state)
{
	struct qs_catalogue *catalogue = open_new(true);
	struct stat st;

	(void)state;
	add(catalogue, object(1));
	assert_int_equal(stat(in_top("hub/catalogue.sqlite"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(stat(in_top("hub/catalogue.sqlite-wal"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	qs_catalogue_close(catalogue);
	qs_catalogue_close(NULL);
}

#define T(name) \
	cmocka_unit_test_setup_teardown(name, enter_fresh_folder, remove_folder)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_row_comes_back_as_it_was_given),
		T(a_file_that_is_there_keeps_its_number_and_time),
		T(numbers_are_never_given_twice),
		T(an_update_leaves_what_it_does_not_know),
		T(totals_follow_the_rows),
		T(going_through_the_rows_leaves_them_free_to_change),
		T(facts_are_numbers),
		T(two_processes_write_by_turns),
		T(several_threads_share_a_catalogue),
		T(a_killed_process_leaves_what_it_was_told_is_there),
		T(rights_on_the_folder_alone_are_enough),
		T(a_damaged_one_is_set_aside_and_numbers_go_on),
		T(another_folders_and_another_version_are_set_aside),
		T(bad_rows_are_damage_and_closing_sets_it_aside),
		T(a_full_disk_is_told_and_loses_nothing),
		T(the_files_are_private),
	};

	return cmocka_run_group_tests_name("catalogue", tests, NULL, NULL);
}
