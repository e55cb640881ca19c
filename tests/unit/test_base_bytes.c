/* SPDX-License-Identifier: ISC */
/* Unit tests of base/: errors, bytes, threads, processor, clocks, log, XDG. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "base/base.h"

#define OK(call) assert_int_equal((call), QS_OK)

/* ------------------------------------------------------------- errors */

static void
failure_keeps_code_message_and_errno(void **state)
{
	struct qs_err err = {0};

	(void)state;
	assert_int_equal(qs_fail(&err, QS_ECORRUPT, "pack %d: bad tag", 7),
		QS_ECORRUPT);
	assert_string_equal(err.msg, "pack 7: bad tag");
	assert_int_equal(err.sys, 0);
	errno = ENOENT;
	assert_int_equal(qs_fail_errno(&err, "open %s", "a/b"), QS_ENOTFOUND);
	assert_string_equal(err.msg, "open a/b: No such file or directory");
	assert_int_equal(err.sys, ENOENT);
	assert_int_equal(qs_fail_while(&err, "restore %s", "x"), QS_ENOTFOUND);
	assert_string_equal(err.msg,
		"restore x: open a/b: No such file or directory");
	assert_int_equal(err.sys, ENOENT);
	assert_int_equal(qs_fail_nomem(&err, "packing"), QS_ENOMEM);
	assert_string_equal(err.msg, "out of memory while packing");
	qs_fail(&err, QS_EIO, "again: %s", err.msg);
	assert_string_equal(err.msg, "again: out of memory while packing");
}

static void
long_message_keeps_thing_and_cause(void **state)
{
	char path[8000];
	struct qs_err err = {0};
	size_t len;

	(void)state;
	for (size_t i = 0; i < sizeof(path) - 1; i++)
		path[i] = (char)(i % 2 == 0 ? 0xc3 : 0xa4); /* UTF-8 a umlaut */
	path[sizeof(path) - 1] = '\0';
	errno = EACCES;
	qs_fail_errno(&err, "open %s", path);
	for (int i = 0; i < 2; i++) {
		len = strlen(err.msg);
		assert_true(len > 500 && len < sizeof(err.msg));
		assert_memory_equal(err.msg, i == 0 ? "open \xc3" : "while ",
			6);
		assert_string_equal(err.msg + len - 19,
			": Permission denied");
		/* No half characters beside the dots. */
		assert_non_null(strstr(err.msg, "\xa4...\xc3"));
		qs_fail_while(&err, "while %s", path);
	}
}

static void
codes_and_errnos_agree(void **state)
{
	(void)state;
	for (int i = 0; i <= QS_EROLLBACK; i++) {
		const enum qs_code code = (enum qs_code)i;

		assert_string_not_equal(qs_code_word(code), "unknown error");
		assert_true((qs_code_to_errno(code) == 0) == (i == 0));
	}
	for (int i = QS_ENOMEM; i <= QS_EINVAL; i++)
		assert_int_equal(qs_code_from_errno(
			qs_code_to_errno((enum qs_code)i)), i);
	assert_int_equal(qs_code_from_errno(EDQUOT), QS_ENOSPC);
	assert_int_equal(qs_code_from_errno(EWOULDBLOCK), QS_EBUSY);
	assert_int_equal(qs_code_from_errno(EPIPE), QS_ENET);
	assert_int_equal(qs_code_from_errno(99999), QS_EIO);
	assert_string_equal(qs_code_word((enum qs_code)77), "unknown error");
	assert_int_equal(qs_code_to_errno((enum qs_code)77), EIO);
}

/* -------------------------------------------------------------- bytes */

static void
buffer_grows_and_is_empty_again(void **state)
{
	struct qs_buf buf = {0};
	struct qs_err err;
	uint8_t *end = NULL;

	(void)state;
	OK(qs_buf_append(&buf, NULL, 0, &err));
	OK(qs_buf_extend(&buf, 0, &end, &err));
	assert_non_null(end);
	for (unsigned i = 0; i < 1000; i++)
		OK(qs_buf_append(&buf, &i, sizeof(i), &err));
	OK(qs_buf_extend(&buf, 3, &end, &err));
	memcpy(end, "abc", 3);
	OK(qs_buf_printf(&buf, &err, "%s-%d", "def", 42));
	assert_int_equal(buf.len, 4009);
	assert_int_equal(qs_load32(buf.data + 999 * 4), 999);
	assert_string_equal((char *)buf.data + 4000, "abcdef-42");
	OK(qs_buf_reserve(&buf, 10000, &err));
	assert_true(buf.cap >= 10000 && buf.len == 4009);
	assert_int_equal(qs_buf_extend(&buf, SIZE_MAX - 5, &end, &err),
		QS_ENOMEM);
	assert_int_equal(buf.len, 4009);
	qs_buf_clear(&buf);
	assert_true(buf.data == NULL && buf.len == 0 && buf.cap == 0);
	qs_buf_clear(&buf);
	qs_buf_clear(NULL);
}

static void
reader_fails_for_good_past_the_end(void **state)
{
	static const uint8_t bytes[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12,
		13, 14, 15, 16};
	struct qs_reader r = qs_reader(qs_span(bytes, sizeof(bytes)));
	struct qs_reader empty = qs_reader(qs_span(NULL, 0));

	(void)state;
	assert_int_equal(qs_read8(&r), 1);
	assert_int_equal(qs_read16(&r), 0x0302);
	assert_int_equal(qs_read32(&r), 0x07060504);
	assert_true(qs_read64(&r) == 0x0f0e0d0c0b0a0908);
	assert_true(r.left == 1 && !r.failed);
	assert_int_equal(qs_read16(&r), 0);
	assert_true(r.failed && r.left == 0);
	assert_int_equal(qs_read8(&r), 0);
	assert_null(qs_read_bytes(&r, 0));
	assert_non_null(qs_read_bytes(&empty, 0));
	assert_false(empty.failed);
	assert_null(qs_read_bytes(&empty, SIZE_MAX));
	assert_true(empty.failed);
}

static void
hex_is_canonical(void **state)
{
	const uint8_t bytes[4] = {0x00, 0x9a, 0xbc, 0xff};
	uint8_t back[4] = {1, 2, 3, 4};
	char hex[9];

	(void)state;
	qs_hex(hex, bytes, 4);
	assert_string_equal(hex, "009abcff");
	assert_false(qs_unhex(back, 4, "009abcf"));
	assert_false(qs_unhex(back, 4, "009abcff0"));
	assert_false(qs_unhex(back, 4, "009aBcff"));
	assert_false(qs_unhex(back, 4, "009abcf/"));
	assert_false(qs_unhex(back, 4, "009abcg0"));
	assert_false(qs_unhex(back, SIZE_MAX, ""));
	assert_int_equal(back[0], 1);
	assert_true(qs_unhex(back, 4, hex));
	assert_memory_equal(back, bytes, 4);
	assert_true(qs_unhex(back, 0, ""));
}

static void
zeros_and_little_endian(void **state)
{
	uint8_t b[100] = {0};
	size_t n = 0;

	(void)state;
	assert_true(qs_is_zero(b, 0) && qs_is_zero(b, 100));
	for (size_t i = 0; i < sizeof(b); i++) {
		b[i] = 1;
		assert_false(qs_is_zero(b, 100));
		assert_true(qs_is_zero(b, i));
		b[i] = 0;
	}
	qs_store64(b + 1, 0x1122334455667788);
	assert_int_equal(b[1], 0x88);
	assert_int_equal(b[8], 0x11);
	assert_true(qs_load64(b + 1) == 0x1122334455667788);
	assert_false(qs_add_size(SIZE_MAX, 1, &n));
	assert_false(qs_mul_size(SIZE_MAX / 2, 3, &n));
	assert_true(qs_mul_size(6, 7, &n) && n == 42);
}

/* ------------------------------------------------------------ threads */

struct seen {
	sigset_t blocked;
	char name[32];
};

static void
look_around(void *arg)
{
	struct seen *seen = (struct seen *)arg;

	(void)pthread_sigmask(SIG_BLOCK, NULL, &seen->blocked);
	(void)pthread_getname_np(pthread_self(), seen->name,
		sizeof(seen->name));
}

static void
thread_has_a_name_and_leaves_signals_to_main(void **state)
{
	struct qs_thread *thread = NULL;
	struct qs_err err;
	struct seen seen;
	sigset_t mine;

	(void)state;
	OK(qs_thread_start(&thread, look_around, &seen,
		"a-name-that-is-too-long", &err));
	qs_thread_join(thread);
	qs_thread_join(NULL);
	assert_string_equal(seen.name, "a-name-that-is-");
	assert_true(sigismember(&seen.blocked, SIGINT));
	assert_true(sigismember(&seen.blocked, SIGTERM));
	assert_true(sigismember(&seen.blocked, SIGHUP));
	assert_int_equal(pthread_sigmask(SIG_BLOCK, NULL, &mine), 0);
	assert_false(sigismember(&mine, SIGINT));
	assert_true(qs_cpu_count() >= 1);
}

/* ------------------------------------------- processor, clocks and log */

static void
processor_features_obey_the_mask(void **state)
{
	const unsigned all = qs_cpu_features();

	(void)state;
	assert_true(all < 32);
	if (all & QS_CPU_AVX512VBMI)
		assert_true(all & QS_CPU_AVX512);
	qs_cpu_mask(0);
	assert_int_equal(qs_cpu_features(), 0);
	qs_cpu_mask(QS_CPU_AVX2);
	assert_int_equal(qs_cpu_features(), all & QS_CPU_AVX2);
	qs_cpu_mask(~0u);
	assert_int_equal(qs_cpu_features(), all);
}

static void
clocks_run_forward(void **state)
{
	const int64_t mono = qs_mono_ns(), now = qs_now_ns();

	(void)state;
	assert_true(qs_mono_ns() >= mono);
	assert_true(now / 1000000000 >= (int64_t)time(NULL) - 60);
}

static void
log_is_one_line_and_only_when_on(void **state)
{
	const int saved = dup(STDERR_FILENO);
	char text[2048], word[2000];
	struct qs_err err;
	size_t got = 0;
	int fds[2];

	(void)state;
	memset(word, 'w', sizeof(word) - 1);
	word[sizeof(word) - 1] = '\0';
	assert_true(saved >= 0);
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	assert_int_equal(dup2(fds[1], STDERR_FILENO), STDERR_FILENO);
	qs_log_enable(false);
	qs_log("not me");
	qs_log_enable(true);
	errno = EBADF;
	qs_log("but %d", 42);
	qs_log("long %s", word);
	assert_int_equal(errno, EBADF);
	qs_log_enable(false);
	assert_int_equal(dup2(saved, STDERR_FILENO), STDERR_FILENO);
	assert_int_equal(close(saved), 0);
	qs_fd_close(&fds[1]);
	OK(qs_fd_read(fds[0], text, sizeof(text) - 1, &got, &err));
	text[got] = '\0';
	assert_null(strstr(text, "not me"));
	assert_non_null(strstr(text, ": but 42\nqstore["));
	assert_true(got > 1000 && got < 1200 && text[got - 1] == '\n');
	qs_fd_close(&fds[0]);
}

static void
xdg_folders_follow_the_environment(void **state)
{
	struct qs_err err;
	char *path = NULL;

	(void)state;
	assert_int_equal(setenv("HOME", "/h", 1), 0);
	assert_int_equal(setenv("XDG_CACHE_HOME", "/c", 1), 0);
	assert_int_equal(setenv("XDG_STATE_HOME", "relative", 1), 0);
	assert_int_equal(unsetenv("XDG_CONFIG_HOME"), 0);
	OK(qs_dir_xdg(QS_XDG_CACHE, &path, &err));
	assert_string_equal(path, "/c/qstore");
	free(path);
	OK(qs_dir_xdg(QS_XDG_STATE, &path, &err));
	assert_string_equal(path, "/h/.local/state/qstore");
	free(path);
	OK(qs_dir_xdg(QS_XDG_CONFIG, &path, &err));
	assert_string_equal(path, "/h/.config/qstore");
	free(path);
	/* The user database may know a home, or not: never a relative path. */
	assert_int_equal(setenv("HOME", "", 1), 0);
	path = NULL;
	if (qs_dir_xdg(QS_XDG_CONFIG, &path, &err) == QS_OK)
		assert_int_equal(path[0], '/');
	else
		assert_int_equal(err.code, QS_ENOTFOUND);
	free(path);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(failure_keeps_code_message_and_errno),
		cmocka_unit_test(long_message_keeps_thing_and_cause),
		cmocka_unit_test(codes_and_errnos_agree),
		cmocka_unit_test(buffer_grows_and_is_empty_again),
		cmocka_unit_test(reader_fails_for_good_past_the_end),
		cmocka_unit_test(hex_is_canonical),
		cmocka_unit_test(zeros_and_little_endian),
		cmocka_unit_test(thread_has_a_name_and_leaves_signals_to_main),
		cmocka_unit_test(processor_features_obey_the_mask),
		cmocka_unit_test(clocks_run_forward),
		cmocka_unit_test(log_is_one_line_and_only_when_on),
		cmocka_unit_test(xdg_folders_follow_the_environment),
	};

	return cmocka_run_group_tests_name("base_bytes", tests, NULL, NULL);
}
