/* SPDX-License-Identifier: ISC */
/* The same under several processes, kills, damage, full disks. */
#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "tests/unit/catalogue_fixture.h"

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

int
main(void)
{
	const struct CMUnitTest tests[] = {
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

	return cmocka_run_group_tests_name("catalogue trouble", tests, NULL,
		NULL);
}
