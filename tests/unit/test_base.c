/* SPDX-License-Identifier: ISC */
/* Unit tests of base/: descriptors, files, folders, queues, commands. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/base.h"

#define OK(call) assert_int_equal((call), QS_OK)

static char top[256]; /* a fresh folder for each test */

static const char *
in_top(const char *name)
{
	static char path[1024];

	(void)snprintf(path, sizeof(path), "%s/%s", top, name);
	return path;
}

static int
enter_fresh_folder(void **state)
{
	const char *tmp = getenv("TMPDIR");

	(void)state;
	(void)snprintf(top, sizeof(top), "%s/qs-base-XXXXXX",
		tmp != NULL ? tmp : "/tmp");
	return mkdtemp(top) == NULL ? -1 : 0;
}

static int
remove_folder(void **state)
{
	char command[300];

	(void)state;
	(void)snprintf(command, sizeof(command), "rm -rf '%s'", top);
	return system(command); /* NOLINT(cert-env33-c) */
}

static size_t
count_entries(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	size_t n = 0;

	assert_non_null(dir);
	while ((entry = readdir(dir)) != NULL)
		if (strcmp(entry->d_name, ".") != 0 &&
			strcmp(entry->d_name, "..") != 0)
			n++;
	(void)closedir(dir);
	return n;
}

static size_t
count_descriptors(void)
{
	return count_entries("/proc/self/fd");
}

/* -------------------------------------------------------- descriptors */

struct pipe_job {
	int fd;
	pthread_t interrupt;
	uint8_t *data;
	size_t len;
};

static void
on_signal(int number)
{
	(void)number;
}

static void
interrupt_and_write(void *arg)
{
	struct pipe_job *job = (struct pipe_job *)arg;
	struct qs_err err;

	for (int i = 0; i < 20; i++) {
		(void)pthread_kill(job->interrupt, SIGUSR1);
		(void)usleep(500);
	}
	OK(qs_fd_write(job->fd, job->data, job->len, &err));
	qs_fd_close(&job->fd);
}

static void
transfers_survive_signals_and_full_pipes(void **state)
{
	const struct sigaction action = {.sa_handler = on_signal};
	const size_t len = 1000000;
	struct pipe_job job = {.len = len, .interrupt = pthread_self()};
	uint8_t *back = (uint8_t *)calloc(len, 1);
	struct qs_thread *thread = NULL;
	struct qs_err err;
	size_t got = 0;
	int fds[2];

	(void)state;
	assert_int_equal(sigaction(SIGUSR1, &action, NULL), 0);
	for (int round = 0; round < 2; round++) {
		/* Blocking, then not: the second must be waited for. */
		assert_int_equal(pipe2(fds, O_CLOEXEC |
			(round == 1 ? O_NONBLOCK : 0)), 0);
		job.fd = fds[1];
		job.data = (uint8_t *)malloc(len);
		assert_non_null(job.data);
		for (size_t i = 0; i < len; i++)
			job.data[i] = (uint8_t)(i * 31 >> 3);
		OK(qs_thread_start(&thread, interrupt_and_write, &job, "w",
			&err));
		OK(qs_fd_read(fds[0], back, len, &got, &err));
		assert_int_equal(got, len);
		assert_memory_equal(back, job.data, len);
		OK(qs_fd_read(fds[0], back, len, &got, &err));
		assert_int_equal(got, 0);
		qs_thread_join(thread);
		qs_fd_close(&fds[0]);
		assert_int_equal(fds[0], -1);
		qs_fd_close(&fds[0]);
		free(job.data);
	}
	free(back);
}

static void
positioned_transfers_and_their_bounds(void **state)
{
	char text[8] = "";
	struct qs_err err;
	size_t got = 99;
	int fd = open(in_top("f"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	(void)state;
	assert_true(fd >= 0);
	OK(qs_fd_pwrite(fd, "hello", 5, 3, &err));
	OK(qs_fd_pread(fd, text, 8, 4, &got, &err));
	assert_int_equal(got, 4);
	assert_memory_equal(text, "ello", 4);
	got = 99;
	assert_int_equal(qs_fd_pread(fd, text, 8, UINT64_MAX - 3, &got, &err),
		QS_EINVAL);
	assert_int_equal(qs_fd_pwrite(fd, text, 8, INT64_MAX, &err),
		QS_EINVAL);
	OK(qs_fd_sync(fd, &err));
	qs_fd_close(&fd);
	assert_int_equal(qs_fd_read(-1, text, 8, &got, &err), QS_EIO);
	assert_int_equal(got, 99);
	assert_int_equal(qs_fd_sync(-1, &err), QS_EIO);
}

static void
full_disk_is_no_space_and_pipes_need_no_fsync(void **state)
{
	struct qs_err err;
	int fd = open("/dev/full", O_WRONLY | O_CLOEXEC), fds[2];

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(qs_fd_write(fd, "x", 1, &err), QS_ENOSPC);
	assert_string_equal(err.msg, "write: No space left on device");
	qs_fd_close(&fd);
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	OK(qs_fd_sync(fds[1], &err));
	qs_fd_close(&fds[0]);
	qs_fd_close(&fds[1]);
}

/* -------------------------------------------------------------- files */

static void
replaced_file_loads_back(void **state)
{
	static uint8_t big[100000];
	struct qs_buf buf = {0};
	struct qs_err err;
	struct stat st;
	size_t before = count_descriptors();
	int dir = -1;

	(void)state;
	memset(big, 'b', sizeof(big));
	OK(qs_dir_open(AT_FDCWD, top, &dir, &err));
	OK(qs_dir_make(in_top("a/b"), 0700, &err));
	OK(qs_file_replace(dir, "a/b/f", 0600, qs_span("old", 3), &err));
	OK(qs_file_replace(AT_FDCWD, in_top("a/b/f"), 0640,
		qs_span(big, sizeof(big)), &err));
	OK(qs_buf_append(&buf, "x", 1, &err));
	OK(qs_file_load(dir, "a/b/f", sizeof(big), &buf, &err));
	assert_int_equal(buf.len, sizeof(big) + 1);
	assert_memory_equal(buf.data + 1, big, sizeof(big));
	assert_int_equal(qs_file_load(dir, "a/b/f", sizeof(big) - 1, &buf,
		&err), QS_ECORRUPT);
	assert_non_null(strstr(err.msg, "a/b/f"));
	assert_int_equal(buf.len, sizeof(big) + 1);
	assert_int_equal(fstatat(dir, "a/b/f", &st, 0), 0);
	assert_int_equal(st.st_mode & 0707, 0600);
	assert_int_equal(count_entries(in_top("a/b")), 1);
	OK(qs_file_replace(dir, "empty", 0600, qs_span(NULL, 0), &err));
	qs_buf_clear(&buf);
	OK(qs_file_load(dir, "empty", 0, &buf, &err));
	assert_int_equal(buf.len, 0);
	qs_fd_close(&dir);
	qs_buf_clear(&buf);
	assert_int_equal(count_descriptors(), before);
}

static void
load_takes_files_without_a_size(void **state)
{
	struct qs_buf buf = {0};
	struct qs_err err;

	(void)state;
	OK(qs_file_load(AT_FDCWD, "/proc/self/status", SIZE_MAX, &buf, &err));
	assert_true(buf.len > 100);
	buf.len = 7;
	assert_int_equal(qs_file_load(AT_FDCWD, "/dev/zero", 70000, &buf,
		&err), QS_ECORRUPT);
	assert_int_equal(buf.len, 7);
	assert_int_equal(qs_file_load(AT_FDCWD, in_top("none"), 9, &buf,
		&err), QS_ENOTFOUND);
	assert_non_null(strstr(err.msg, "none: No such file or directory"));
	assert_int_equal(qs_file_load(AT_FDCWD, top, 9, &buf, &err),
		QS_EINVAL);
	/* A pipe without a writer must not stop us. */
	assert_int_equal(mkfifo(in_top("pipe"), 0600), 0);
	buf.len = 0;
	OK(qs_file_load(AT_FDCWD, in_top("pipe"), 9, &buf, &err));
	assert_int_equal(buf.len, 0);
	qs_buf_clear(&buf);
}

static void
failed_replace_leaves_the_old_file_alone(void **state)
{
	static uint8_t big[100000];
	struct rlimit old_limit, limit;
	struct qs_buf buf = {0};
	struct qs_err err;
	size_t before = count_descriptors();

	(void)state;
	OK(qs_file_replace(AT_FDCWD, in_top("f"), 0600, qs_span("old", 3),
		&err));
	(void)signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old_limit), 0);
	limit = (struct rlimit){5000, old_limit.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	assert_int_equal(qs_file_replace(AT_FDCWD, in_top("f"), 0600,
		qs_span(big, sizeof(big)), &err), QS_EIO);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old_limit), 0);
	assert_non_null(strstr(err.msg, "/f: write: File too large"));
	OK(qs_file_load(AT_FDCWD, in_top("f"), 9, &buf, &err));
	assert_int_equal(buf.len, 3);
	qs_buf_clear(&buf);
	/* Neither can a folder be replaced. */
	OK(qs_dir_make(in_top("d"), 0700, &err));
	assert_int_equal(qs_file_replace(AT_FDCWD, in_top("d"), 0600,
		qs_span("x", 1), &err), QS_EINVAL);
	assert_int_equal(qs_file_replace(AT_FDCWD, in_top("d/"), 0600,
		qs_span("x", 1), &err), QS_EINVAL);
	assert_int_equal(qs_file_replace(AT_FDCWD, in_top("no/f"), 0600,
		qs_span("x", 1), &err), QS_ENOTFOUND);
	assert_int_equal(count_entries(top), 2);
	assert_int_equal(count_descriptors(), before);
}

static void
leftover_temporary_files_are_stepped_over(void **state)
{
	char name[256], temp[300];
	struct qs_err err;
	int fd;

	(void)state;
	(void)snprintf(temp, sizeof(temp), ".f.%ld.0.tmp", (long)getpid());
	fd = open(in_top(temp), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	qs_fd_close(&fd);
	OK(qs_file_replace(AT_FDCWD, in_top("f"), 0600, qs_span("x", 1),
		&err));
	assert_int_equal(count_entries(top), 2);
	/* The longest name there is has a temporary one too. */
	memset(name, 'n', 255);
	name[255] = '\0';
	OK(qs_file_replace(AT_FDCWD, in_top(name), 0600, qs_span("x", 1),
		&err));
	assert_int_equal(count_entries(top), 3);
}

static void
folders_are_made_with_their_parents(void **state)
{
	struct qs_err err;
	struct stat st;
	int fd = -1;

	(void)state;
	OK(qs_dir_make(in_top("p//q/./r/"), 0700, &err));
	OK(qs_dir_make(in_top("p/q/r"), 0700, &err));
	OK(qs_dir_make("/", 0700, &err));
	assert_int_equal(stat(in_top("p/q"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	OK(qs_file_replace(AT_FDCWD, in_top("p/f"), 0600, qs_span("x", 1),
		&err));
	assert_int_equal(qs_dir_make(in_top("p/f"), 0700, &err), QS_EEXIST);
	assert_non_null(strstr(err.msg, "not a folder"));
	assert_int_equal(qs_dir_make(in_top("p/f/g"), 0700, &err), QS_EEXIST);
	assert_int_equal(qs_dir_make("", 0700, &err), QS_EINVAL);
	assert_int_equal(qs_dir_open(AT_FDCWD, in_top("p/f"), &fd, &err),
		QS_EINVAL);
	assert_int_equal(fd, -1);
}

/* ------------------------------------------------------------- queues */

#define NITEMS 5000

struct queue_job {
	struct qs_queue *queue;
	int *items;
	int count;
	_Atomic int refused;
};

static void
push_all(void *arg)
{
	struct queue_job *job = (struct queue_job *)arg;

	for (int i = 0; i < job->count; i++)
		if (!qs_queue_push(job->queue, &job->items[i]))
			job->refused++;
}

static void
pop_all(void *arg)
{
	struct queue_job *job = (struct queue_job *)arg;
	int *item;

	while ((item = (int *)qs_queue_pop(job->queue)) != NULL)
		(*item)++; /* whoever popped it owns it */
}

static void
queue_keeps_order_and_drains_after_close(void **state)
{
	int items[4] = {0};
	struct qs_queue *queue = NULL;
	struct qs_err err;

	(void)state;
	assert_int_equal(qs_queue_new(0, &queue, &err), QS_EINVAL);
	assert_null(queue);
	OK(qs_queue_new(3, &queue, &err));
	assert_null(qs_queue_try_pop(queue));
	for (int round = 0; round < 5; round++) {
		assert_true(qs_queue_push(queue, &items[0]));
		assert_true(qs_queue_push(queue, &items[1]));
		assert_ptr_equal(qs_queue_pop(queue), &items[0]);
		assert_ptr_equal(qs_queue_try_pop(queue), &items[1]);
	}
	for (int i = 0; i < 3; i++)
		assert_true(qs_queue_push(queue, &items[i]));
	qs_queue_close(queue);
	qs_queue_close(queue);
	assert_false(qs_queue_push(queue, &items[3]));
	for (int i = 0; i < 3; i++)
		assert_ptr_equal(qs_queue_pop(queue), &items[i]);
	assert_null(qs_queue_pop(queue));
	assert_null(qs_queue_try_pop(queue));
	qs_queue_free(queue);
	qs_queue_free(NULL);
}

static void
every_item_is_popped_once(void **state)
{
	static int items[2][NITEMS];
	struct qs_thread *push[2], *pop[2];
	struct queue_job jobs[2] = {0};
	struct qs_queue *queue = NULL;
	struct qs_err err;

	(void)state;
	OK(qs_queue_new(3, &queue, &err));
	for (int i = 0; i < 2; i++) {
		jobs[i].queue = queue;
		jobs[i].items = items[i];
		jobs[i].count = NITEMS;
		OK(qs_thread_start(&push[i], push_all, &jobs[i], "push",
			&err));
		OK(qs_thread_start(&pop[i], pop_all, &jobs[i], "pop", &err));
	}
	qs_thread_join(push[0]);
	qs_thread_join(push[1]);
	qs_queue_close(queue);
	for (int i = 0; i < 2; i++) {
		qs_thread_join(pop[i]);
		assert_int_equal(jobs[i].refused, 0);
	}
	for (int i = 0; i < NITEMS; i++)
		assert_true(items[0][i] == 1 && items[1][i] == 1);
	qs_queue_free(queue);
}

static void
close_wakes_who_waits(void **state)
{
	static int items[3];
	struct qs_thread *push = NULL, *pop = NULL;
	struct qs_queue *full = NULL, *empty = NULL;
	struct queue_job pusher, popper;
	struct qs_err err;

	(void)state;
	OK(qs_queue_new(1, &full, &err));
	OK(qs_queue_new(1, &empty, &err));
	pusher = (struct queue_job){full, items, 3, 0};
	popper = (struct queue_job){empty, NULL, 0, 0};
	OK(qs_thread_start(&push, push_all, &pusher, "push", &err));
	OK(qs_thread_start(&pop, pop_all, &popper, "pop", &err));
	/* The first came through, so the pusher is at the second or third. */
	assert_ptr_equal(qs_queue_pop(full), &items[0]);
	(void)usleep(20000); /* right without it, but then they rarely wait */
	qs_queue_close(full);
	qs_queue_close(empty);
	qs_thread_join(push);
	qs_thread_join(pop);
	assert_true(pusher.refused >= 1 && pusher.refused <= 2);
	qs_queue_free(full);
	qs_queue_free(empty);
}

/* ---------------------------------------------------------- processes */

static void
command_output_is_taken(void **state)
{
	const size_t before = count_descriptors();
	uint8_t out[16] = {0};
	struct qs_err err;
	size_t got = 99;
	int inherited = 0;

	(void)state;
	OK(qs_process_read("printf 'pass\\nword'", out, 9, &got, &err));
	assert_int_equal(got, 9);
	assert_memory_equal(out, "pass\nword", 9);
	OK(qs_process_read(":", out, sizeof(out), &got, &err));
	assert_int_equal(got, 0);
	OK(qs_process_read(":", NULL, 0, &got, &err));
	/* What does not fit is read all the same, so that it can finish. */
	OK(qs_process_read("printf secretsecretX", out, 12, &got, &err));
	assert_int_equal(got, 12);
	assert_memory_equal(out, "secretsecret", 12);
	OK(qs_process_read("head -c 300000 /dev/zero", out, sizeof(out), &got,
		&err));
	assert_int_equal(got, sizeof(out));
	/* The command has what may be inherited, and ls its folder: no pipe. */
	for (int fd = 0; fd < 1000; fd++) {
		const int flags = fcntl(fd, F_GETFD);

		inherited += flags >= 0 && (flags & FD_CLOEXEC) == 0;
	}
	OK(qs_process_read("ls /proc/self/fd | wc -l", out, sizeof(out) - 1,
		&got, &err));
	out[got] = '\0';
	assert_int_equal(strtol((char *)out, NULL, 10), inherited + 1);
	assert_int_equal(count_descriptors(), before);
}

static void
command_failure_is_told_in_words_without_its_text(void **state)
{
	static const char *const cases[][2] = {
		{"printf secret; exit 3", "the command exited with status 3"},
		{"no-such-secret 2>/dev/null", "the command exited with "
			"status 127 (it was not found)"},
		{": secret; kill -9 $$", "the command was killed by signal 9 "
			"(SIGKILL)"},
		{"printf secretsecretX; exit 3", "the command exited with "
			"status 3"},
		{"yes secret", "the command printed more than 1048576 bytes"},
	};
	struct qs_err err;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint8_t out[12] = {0};
		size_t got = 99;

		assert_int_equal(qs_process_read(cases[i][0], out,
			sizeof(out), &got, &err), QS_EINVAL);
		assert_string_equal(err.msg, cases[i][1]);
		assert_int_equal(got, 99);
		assert_true(qs_is_zero(out, sizeof(out)));
		/* No zombie is left. */
		assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
		assert_int_equal(errno, ECHILD);
	}
}

static void
command_that_goes_on_after_too_much_is_ended(void **state)
{
	uint8_t out[4];
	struct qs_err err;
	size_t got = 0;

	(void)state;
	/* Without an end to it this test would never finish. */
	assert_int_equal(qs_process_read("trap '' TERM PIPE; "
		"head -c 1100000 /dev/zero; while :; do sleep 0.1; done", out,
		sizeof(out), &got, &err), QS_EINVAL);
}

static void
command_starts_with_clean_signals(void **state)
{
	uint8_t out[64] = {0};
	struct qs_err err;
	sigset_t set;
	size_t got = 0;

	(void)state;
	(void)signal(SIGPIPE, SIG_IGN);
	assert_int_equal(sigemptyset(&set), 0);
	assert_int_equal(sigaddset(&set, SIGTERM), 0);
	assert_int_equal(pthread_sigmask(SIG_BLOCK, &set, NULL), 0);
	assert_int_equal(qs_process_read("kill -TERM $$; echo alive", out,
		sizeof(out), &got, &err), QS_EINVAL);
	assert_non_null(strstr(err.msg, "SIGTERM"));
	assert_int_equal(qs_process_read("kill -PIPE $$; echo alive", out,
		sizeof(out), &got, &err), QS_EINVAL);
	assert_non_null(strstr(err.msg, "SIGPIPE"));
	assert_int_equal(pthread_sigmask(SIG_UNBLOCK, &set, NULL), 0);
}

#define FOLDER_TEST(test) cmocka_unit_test_setup_teardown(test, \
	enter_fresh_folder, remove_folder)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(transfers_survive_signals_and_full_pipes),
		FOLDER_TEST(positioned_transfers_and_their_bounds),
		cmocka_unit_test(full_disk_is_no_space_and_pipes_need_no_fsync),
		FOLDER_TEST(replaced_file_loads_back),
		FOLDER_TEST(load_takes_files_without_a_size),
		FOLDER_TEST(failed_replace_leaves_the_old_file_alone),
		FOLDER_TEST(leftover_temporary_files_are_stepped_over),
		FOLDER_TEST(folders_are_made_with_their_parents),
		cmocka_unit_test(queue_keeps_order_and_drains_after_close),
		cmocka_unit_test(every_item_is_popped_once),
		cmocka_unit_test(close_wakes_who_waits),
		cmocka_unit_test(command_output_is_taken),
		cmocka_unit_test(
			command_failure_is_told_in_words_without_its_text),
		cmocka_unit_test(command_that_goes_on_after_too_much_is_ended),
		cmocka_unit_test(command_starts_with_clean_signals),
	};

	return cmocka_run_group_tests_name("base", tests, NULL, NULL);
}
