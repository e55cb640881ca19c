/* SPDX-License-Identifier: ISC */
/* Unit tests of index/: kills, damage, full disks, other processes, threads. */
#include <fcntl.h>
#include <pthread.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "tests/unit/index_fixture.h"

static void
the_child_went_well(pid_t pid)
{
	int status = -1;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* ----------------------------------------------------------------- kills */

static void
a_killed_process_leaves_what_it_had_committed(void **state)
{
	struct qs_index *index;
	pid_t pid = fork();

	(void)state;
	assert_true(pid >= 0);
	if (pid == 0) {
		index = open_index();
		OK(qs_index_run_begin(index, &err));
		add_pack(index, 1, 100, 10);
		put_dir(index, key_a, "one");
		OK(qs_index_commit(index, &err));
		add_pack(index, 2, 200, 10);
		put_dir(index, key_a, "two");
		OK(qs_index_fact_put(index, "f", qs_span("x", 1), &err));
		_exit(0);
	}
	the_child_went_well(pid);
	index = open_index();
	check_pack(index, 1, 100, 10);
	assert_int_equal(number_of(index, 2), 0);
	assert_int_equal(find(index, 200).pack, 0);
	check_dir(index, key_a, "one", false);
	add_pack(index, 2, 200, 10);
	OK(qs_index_commit(index, &err));
	check_pack(index, 2, 200, 10);
	qs_index_close(index);
}

static void
a_kill_in_the_middle_of_a_transaction_leaves_none_of_it(void **state)
{
	struct qs_index *index;
	pid_t pid = fork();

	(void)state;
	assert_true(pid >= 0);
	if (pid == 0) {
		index = open_index();
		add_pack(index, 1, 100, 10);
		OK(qs_index_begin(index, true, &err));
		assert_int_equal(sqlite3_exec(index->db.handle,
			"INSERT INTO runs VALUES (1, 1)", NULL, NULL, NULL),
			SQLITE_OK);
		_exit(0);
	}
	the_child_went_well(pid);
	index = open_index();
	OK(qs_index_run_begin(index, &err));
	put_dir(index, key_a, "one");
	OK(qs_index_commit(index, &err));
	check_dir(index, key_a, "one", false);
	qs_index_close(index);
}

/* ---------------------------------------------------------------- damage */

static void
make_index_with_one_pack(void)
{
	struct qs_index *index = open_index();

	OK(qs_index_run_begin(index, &err));
	add_pack(index, 1, 100, 100);
	put_dir(index, key_a, "one");
	OK(qs_index_fact_put(index, "f", qs_span("x", 1), &err));
	OK(qs_index_run_end(index, &err));
	qs_index_close(index);
}

static void
the_new_index_is_empty_and_works(struct qs_index *index)
{
	assert_int_equal(number_of(index, 1), 0);
	check_dir(index, key_a, "", false);
	add_pack(index, 1, 100, 10);
	OK(qs_index_commit(index, &err));
	qs_index_close(index);
	index = open_index();
	check_pack(index, 1, 100, 10);
	qs_index_close(index);
}

static void
write_at(long offset, size_t len)
{
	uint8_t junk[4096];
	int fd = open(in_top("db"), O_WRONLY | O_CLOEXEC);

	memset(junk, 0xa5, sizeof(junk));
	assert_true(fd >= 0);
	OK(qs_fd_pwrite(fd, junk, len, (uint64_t)offset, &err));
	qs_fd_close(&fd);
}

/* What a killed process leaves beside the database. */
static void
leave_log(void)
{
	int fd = open(in_top("db-wal"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	OK(qs_fd_write(fd, "log", 3, &err));
	qs_fd_close(&fd);
}

static void
a_file_that_is_no_database_is_set_aside(void **state)
{
	(void)state;
	make_index_with_one_pack();
	write_at(0, 100);
	the_new_index_is_empty_and_works(open_bad_index(folder));
	/* Once more, over what was set aside first, with a killed one's log. */
	write_at(0, 100);
	leave_log();
	the_new_index_is_empty_and_works(open_bad_index(folder));
}

static void
a_damaged_schema_is_set_aside(void **state)
{
	(void)state;
	make_index_with_one_pack();
	write_at(100, 3000); /* the rest of the first page */
	the_new_index_is_empty_and_works(open_bad_index(folder));
}

static void
another_folders_index_is_set_aside(void **state)
{
	struct qs_index *index;

	(void)state;
	make_index_with_one_pack();
	index = open_bad_index(other_folder);
	assert_int_equal(number_of(index, 1), 0);
	qs_index_close(index);
	the_new_index_is_empty_and_works(open_bad_index(folder));
}

static void
another_version_and_a_stranger_are_set_aside(void **state)
{
	(void)state;
	make_index_with_one_pack();
	inject("PRAGMA user_version = 2");
	qs_index_close(open_bad_index(folder));
	inject("PRAGMA application_id = 5");
	qs_index_close(open_bad_index(folder));
	inject("DROP TABLE spares");
	qs_index_close(open_bad_index(folder));
	inject("PRAGMA application_id = 0"); /* but not empty */
	the_new_index_is_empty_and_works(open_bad_index(folder));
}

static void
damage_found_later_is_mended_by_closing(void **state)
{
	struct qs_index *index;
	struct qs_id id = id_of(100);
	struct qs_chunk_loc loc = {.pack = 77};
	struct stat st;

	(void)state;
	make_index_with_one_pack();
	assert_int_equal(stat(in_top("db"), &st), 0);
	for (long at = 4096; at < st.st_size; at += 4096) {
		/* Not the page with the folder's id: opening reads it. */
		if (at != 4096)
			write_at(at, 4096);
	}
	index = open_index();
	assert_false(qs_index_is_damaged(index));
	assert_int_equal(qs_index_find(index, &id, 1, &loc, &err), QS_EINDEX);
	assert_int_equal(loc.pack, 77);
	assert_non_null(strstr(err.msg, "made anew"));
	assert_non_null(strstr(err.msg, in_top("db")));
	assert_true(qs_index_is_damaged(index));
	qs_index_close(index);
	assert_int_equal(stat(in_top("db.damaged"), &st), 0);
	assert_int_not_equal(stat(in_top("db"), &st), 0);
	the_new_index_is_empty_and_works(open_index());
}

/* Another process was first: what stands there now is its new index. */
static void
a_damaged_index_is_set_aside_once(void **state)
{
	struct qs_index *index, *other;
	struct qs_id id = id_of(100);
	struct qs_chunk_loc loc;

	(void)state;
	make_index_with_one_pack();
	inject("UPDATE chunks SET pack = 0");
	index = open_index();
	other = open_index();
	assert_int_equal(qs_index_find(index, &id, 1, &loc, &err), QS_EINDEX);
	assert_int_equal(qs_index_find(other, &id, 1, &loc, &err), QS_EINDEX);
	qs_index_close(index);
	make_index_with_one_pack();
	qs_index_close(other);
	index = open_index();
	OK(qs_index_find(index, &id, 1, &loc, &err));
	assert_int_not_equal(loc.pack, 0);
	qs_index_close(index);
}

static void
the_files_are_private(void **state)
{
	struct qs_index *index = open_index();
	const char *const files[] = {"db", "db-wal", "db-shm"};
	struct stat st;

	(void)state;
	OK(qs_index_run_begin(index, &err));
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(stat(in_top(files[i]), &st), 0);
		assert_int_equal(st.st_mode & 07777, 0600);
	}
	qs_index_close(index);
}

/* ---------------------------------------------------------- hostile rows */

/* One bad value each, and which call has to notice it. */
static const struct {
	const char *sql;
	char call;
} bad_values[] = {
	{"UPDATE chunks SET pack = 0", 'f'},
	{"UPDATE chunks SET pack = -1", 'f'},
	{"UPDATE chunks SET pack = 4294967296", 'f'},
	{"UPDATE chunks SET frame = 65536", 'f'},
	{"UPDATE chunks SET off = 4194304", 'f'},
	{"UPDATE chunks SET len = 1 << 40", 'f'},
	{"UPDATE chunks SET len = x'00'", 'f'},
	{"UPDATE packs SET size = 16777217", 'p'},
	{"UPDATE packs SET size = 1", 'p'},
	{"UPDATE packs SET epoch = 'one'", 'p'},
	{"UPDATE packs SET salt = x'0011'", 'p'},
	{"UPDATE pack_dirs SET frames = x'00'", 'p'},
	{"UPDATE pack_dirs SET frames = zeroblob(16)", 'p'},
	{"UPDATE pack_dirs SET frames = zeroblob(16 * 65537)", 'p'},
	{"UPDATE pack_dirs SET frames = 'text'", 'p'},
	{"UPDATE pack_dirs SET frames = x''", 'd'},
	{"UPDATE pack_dirs SET chunks = zeroblob(47)", 'd'},
	{"UPDATE pack_dirs SET chunks = zeroblob(48 * 65537)", 'd'},
	{"UPDATE pack_dirs SET chunks = zeroblob(47)", 'g'},
	{"DELETE FROM pack_dirs", 'g'},
	{"UPDATE meta SET value = 'x' WHERE key = 'generation'", 'g'},
	{"UPDATE meta SET value = 9223372036854775807"
	 " WHERE key = 'generation'", 'g'},
	{"UPDATE dirs SET row = 'text'", 'r'},
	{"UPDATE dirs SET row = 5", 'r'},
	{"UPDATE dirs SET row = zeroblob(100000000)", 'r'},
	{"UPDATE meta SET value = 0 WHERE key = 'next_run'", 'b'},
	{"DELETE FROM meta WHERE key = 'next_run'", 'b'},
	{"UPDATE meta SET value = 4294967290 WHERE key = 'next_pack'", 'a'},
	{"UPDATE facts SET value = zeroblob(1048577)", 'v'},
	{"INSERT INTO names VALUES (1, x'0011')", 'n'},
	{"UPDATE packs SET size = 9223372036854775807;"
	 "INSERT INTO packs VALUES (99, x'00', 5, 0, x'00', 1)", 'c'},
	{"UPDATE packs SET chunk_count = -5", 'c'},
	{"UPDATE packs SET name = x'00'", 'e'},
};

static enum qs_code
ignore_pack(void *arg, uint32_t number, const struct qs_pack_ref *ref,
	struct qs_err *e)
{
	(void)arg;
	(void)number;
	(void)ref;
	(void)e;
	return QS_OK;
}

static enum qs_code
make_call(struct qs_index *index, char call, struct qs_buf *buf)
{
	struct pack *pack = make_pack(2, 200, 1);
	struct qs_name name = name_of(1);
	struct qs_id id = id_of(100);
	struct qs_chunk_loc loc;
	struct qs_index_pack got;
	struct qs_index_counts counts;
	enum qs_code rc = QS_OK;
	size_t names = 0;
	bool found, fresh;

	if (call == 'f')
		rc = qs_index_find(index, &id, 1, &loc, &err);
	else if (call == 'p')
		rc = qs_index_pack(index, 1, &got, &err);
	else if (call == 'd')
		rc = qs_index_pack_dir(index, 1, &pack->dir, &err);
	else if (call == 'g')
		rc = qs_index_forget(index, &name, &err);
	else if (call == 'r')
		rc = qs_index_dir_get(index, key_a, buf, &found, &fresh,
			&err);
	else if (call == 'b')
		rc = qs_index_run_begin(index, &err);
	else if (call == 'a')
		rc = qs_index_add(index, &pack->ref, &pack->dir, &err);
	else if (call == 'v')
		rc = qs_index_fact_get(index, "f", buf, &found, &err);
	else if (call == 'n')
		rc = qs_index_each_pending(index, count_name, &names, &err);
	else if (call == 'c')
		rc = qs_index_count(index, &counts, &err);
	else if (call == 'e')
		rc = qs_index_each_pack(index, ignore_pack, NULL, &err);
	free(pack);
	return rc;
}

static void
bad_values_are_refused(void **state)
{
	struct qs_index *index;
	struct qs_buf buf = {0};

	(void)state;
	for (size_t i = 0; i < sizeof(bad_values) / sizeof(*bad_values);
		i++) {
		(void)unlink(in_top("db"));
		make_index_with_one_pack();
		inject(bad_values[i].sql);
		index = open_index();
		if (make_call(index, bad_values[i].call, &buf) != QS_EINDEX)
			fail_msg("not noticed: %s", bad_values[i].sql);
		assert_non_null(strstr(err.msg, "is damaged"));
		assert_int_equal(buf.len, 0);
		/* The transaction is over: others can go on. */
		assert_true(sqlite3_get_autocommit(index->db.handle));
		qs_index_close(index);
	}
	qs_buf_clear(&buf);
}

/* ------------------------------------------------------- processes, threads */

#define ROUNDS 40

static void
work(uint64_t family)
{
	struct qs_index *index = open_index();

	for (uint64_t i = 0; i < ROUNDS; i++) {
		add_pack(index, family + i, (family + i) * 10, 10);
		add_pack(index, 5000 + i, (5000 + i) * 10, 10); /* both */
		OK(qs_index_commit(index, &err));
		assert_int_equal(find(index, (family + i) * 10).pack,
			number_of(index, family + i));
	}
	qs_index_close(index);
}

static void
two_processes_write_by_turns(void **state)
{
	struct qs_index *index;
	struct qs_index_counts counts;
	pid_t pid = fork();

	(void)state;
	assert_true(pid >= 0);
	work(pid == 0 ? 1000 : 2000); /* both may be the one to create it */
	if (pid == 0)
		_exit(0);
	the_child_went_well(pid);
	index = open_index();
	OK(qs_index_count(index, &counts, &err));
	assert_int_equal(counts.packs, 3 * ROUNDS);
	assert_int_equal(counts.chunks, 30 * ROUNDS);
	for (uint64_t i = 0; i < ROUNDS; i++) {
		check_pack(index, 1000 + i, (1000 + i) * 10, 10);
		check_pack(index, 2000 + i, (2000 + i) * 10, 10);
		check_pack(index, 5000 + i, (5000 + i) * 10, 10);
	}
	qs_index_close(index);
}

static void
a_number_given_out_still_leads_to_its_pack(void **state)
{
	struct qs_index *ours = open_index(), *theirs = open_index();
	struct qs_chunk_loc before;
	struct qs_index_pack got = {0};
	struct qs_index_counts counts;
	struct qs_name name = name_of(1);

	(void)state;
	add_pack(theirs, 1, 100, 10);
	add_pack(ours, 1, 100, 10); /* neither sees the other's yet */
	before = find(ours, 105);
	OK(qs_index_commit(theirs, &err));
	OK(qs_index_commit(ours, &err));
	assert_int_not_equal(find(ours, 105).pack, before.pack);
	OK(qs_index_pack(ours, before.pack, &got, &err));
	assert_memory_equal(&got.ref.name, &name, sizeof(name));
	free(got.frames);
	check_pack(ours, 1, 100, 10);
	OK(qs_index_count(ours, &counts, &err));
	assert_int_equal(counts.packs, 1);
	assert_int_equal(counts.chunks, 10); /* no spares of a lost number */
	qs_index_close(ours);
	qs_index_close(theirs);
}

static void
another_process_forgetting_takes_freshness_here(void **state)
{
	struct qs_index *ours = open_index(), *theirs = open_index();

	(void)state;
	OK(qs_index_run_begin(ours, &err));
	add_pack(ours, 1, 100, 10);
	put_dir(ours, key_a, "one");
	OK(qs_index_commit(ours, &err));
	forget(theirs, 1);
	OK(qs_index_run_end(ours, &err));
	check_dir(ours, key_a, "one", false);
	assert_int_equal(find(ours, 100).pack, 0);
	qs_index_close(ours);
	qs_index_close(theirs);
}

static void
a_writer_that_does_not_let_go_is_reported(void **state)
{
	struct qs_index *ours = open_index(), *theirs = open_index();
	struct qs_name name = name_of(1);

	(void)state;
	(void)sqlite3_busy_timeout(ours->db.handle, 10);
	add_pack(ours, 1, 100, 10); /* takes its number */
	OK(qs_index_begin(theirs, true, &err));
	assert_int_equal(qs_index_commit(ours, &err), QS_EBUSY);
	assert_non_null(strstr(err.msg, "another qstore process"));
	assert_int_equal(qs_index_pending_add(ours, &name, 1, &err), QS_EBUSY);
	check_dir(ours, key_a, "", false); /* reading goes on */
	assert_int_equal(find(ours, 105).frame, 2);
	OK(qs_index_end(theirs, QS_OK, &err));
	OK(qs_index_commit(ours, &err));
	assert_int_equal(count_pending(ours), 0); /* what failed is undone */
	check_pack(theirs, 1, 100, 10);
	qs_index_close(ours);
	qs_index_close(theirs);
}

static void *
work_in_thread(void *arg)
{
	struct qs_index *index = arg;
	struct pack *pack = make_pack(1, 0, 50);
	struct qs_err e;
	struct qs_chunk_loc loc = {0};
	uintptr_t failures = 0;

	for (uint64_t i = 0; i < 50; i++) {
		pack->ref.name = name_of(i);
		for (uint64_t j = 0; j < 50; j++)
			pack->chunks[j].id = id_of(i * 50 + j);
		failures += qs_index_add(index, &pack->ref, &pack->dir, &e) !=
			QS_OK;
		failures += qs_index_find(index, &pack->chunks[7].id, 1, &loc,
			&e) != QS_OK || loc.pack == 0;
		if (i % 7 == 0)
			failures += qs_index_commit(index, &e) != QS_OK;
	}
	free(pack);
	return (void *)failures;
}

static void
several_threads_share_an_index(void **state)
{
	struct qs_index *index = open_index();
	struct qs_index_counts counts;
	pthread_t threads[4];
	void *failures;

	(void)state;
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL,
			work_in_thread, index), 0);
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(pthread_join(threads[i], &failures), 0);
		assert_null(failures);
	}
	OK(qs_index_count(index, &counts, &err));
	assert_int_equal(counts.packs, 50);
	assert_int_equal(counts.chunks, 2500);
	qs_index_close(index);
}

/* -------------------------------------------------------------- disk full */

static void
a_full_disk_loses_nothing(void **state)
{
	struct qs_index *index;
	uint64_t n = 0;
	enum qs_code rc = QS_OK;

	(void)state;
	if (mount("tmpfs", top, "tmpfs", 0, "size=3m") != 0)
		skip();
	index = open_index();
	while (rc == QS_OK) {
		assert_true(n < 1000);
		add_pack(index, n, n * MANY, MANY);
		n++;
		rc = qs_index_commit(index, &err);
	}
	assert_int_equal(rc, QS_ENOSPC);
	assert_true(n > 3);
	/* All is there to be read, the last of it in memory. */
	for (uint64_t i = 0; i < n; i++)
		assert_int_not_equal(find(index, i * MANY + 5).pack, 0);
	assert_int_equal(qs_index_commit(index, &err), QS_ENOSPC);
	assert_int_equal(mount("tmpfs", top, "tmpfs", MS_REMOUNT, "size=30m"),
		0);
	OK(qs_index_commit(index, &err));
	qs_index_close(index);
	index = open_index();
	for (uint64_t i = 0; i < n; i++)
		check_pack(index, i, i * MANY, MANY);
	qs_index_close(index);
	assert_int_equal(umount(top), 0);
}

#define T(name) \
	cmocka_unit_test_setup_teardown(name, enter_fresh_folder, remove_folder)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_killed_process_leaves_what_it_had_committed),
		T(a_kill_in_the_middle_of_a_transaction_leaves_none_of_it),
		T(a_file_that_is_no_database_is_set_aside),
		T(a_damaged_schema_is_set_aside),
		T(another_folders_index_is_set_aside),
		T(another_version_and_a_stranger_are_set_aside),
		T(damage_found_later_is_mended_by_closing),
		T(a_damaged_index_is_set_aside_once),
		T(the_files_are_private),
		T(bad_values_are_refused),
		T(two_processes_write_by_turns),
		T(a_number_given_out_still_leads_to_its_pack),
		T(another_process_forgetting_takes_freshness_here),
		T(a_writer_that_does_not_let_go_is_reported),
		T(several_threads_share_an_index),
		T(a_full_disk_loses_nothing),
	};

	return cmocka_run_group_tests_name("index trouble", tests, NULL, NULL);
}
