/* SPDX-License-Identifier: ISC */
/* Unit tests of snapshot/patterns: what matches, what could below. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <stdio.h>
#include <unistd.h>

#include "patterns/patterns.h"

#define OK(call) assert_int_equal((call), QS_OK)

struct row {
	const char *pattern, *path;
	bool match, below; /* below is looked at when it does not match */
};

static const struct row rows[] = {
	/* without '/': any component */
	{"foo", "/foo", true, true},
	{"foo", "/a/b/foo", true, true},
	{"foo", "/a/foo/b", true, true},
	{"foo", "/a/foobar", false, true},
	{"*.o", "/src/main.o", true, true},
	{"*.o", "/src/main.c", false, true},
	{"*.o", "/src/.o", true, true},
	{".*", "/home/.cache/x", true, true},
	{"*", "/x", true, true},
	{"foo/", "/a/foo", true, true},
	{"?", "/a/\xc3\xa4", true, true},
	{"?", "/aa/\xff", true, true},
	{"??", "/\xc3\xa4", false, true},
	/* a '/' inside: a run of components anywhere */
	{"foo/bar", "/foo/bar", true, true},
	{"foo/bar", "/x/foo/bar/y", true, true},
	{"foo/bar", "/foo/x/bar", false, true},
	{"foo/bar", "/foo", false, true},
	{"foo/*.c", "/a/foo/b.c", true, true},
	{"foo/*.c", "/a/foo/d/b.c", false, true},
	{"./foo//bar/", "/foo/bar", true, true},
	/* absolute */
	{"/foo", "/foo", true, true},
	{"/foo", "/foo/bar/baz", true, true},
	{"/foo", "/bar/foo", false, false},
	{"/foo/bar", "/foo", false, true},
	{"/foo/bar", "/fo", false, false},
	{"/foo/bar", "/foo/baz", false, false},
	{"/foo/bar", "/", false, true},
	{"/*/bar", "/x", false, true},
	{"/*/bar", "/x/y", false, false},
	{"/*/bar", "/x/bar", true, true},
	/* any number of components */
	{"/a/**/z", "/a/z", true, true},
	{"/a/**/z", "/a/b/c/z/more", true, true},
	{"/a/**/z", "/a/b/c", false, true},
	{"/a/**/z", "/b/z", false, false},
	{"/a/**", "/a/x/y", true, true},
	{"/a/**", "/b", false, false},
	{"**", "/", true, true},
	{"**/x", "/a/b/x", true, true},
	{"a/**/**/b", "/q/a/1/2/b", true, true},
	{"a**b", "/axxb", true, true},
	/* sets and escapes */
	{"[abc]", "/b", true, true},
	{"[!abc]", "/b", false, true},
	{"[^abc]", "/d", true, true},
	{"[a-c]x", "/bx", true, true},
	{"[]a]", "/]", true, true},
	{"[a-]", "/-", true, true},
	{"[\xc3\xa4-\xc3\xb6]", "/\xc3\xb5", true, true},
	{"\\*", "/*", true, true},
	{"\\*", "/x", false, true},
	{"\\[a", "/[a", true, true},
	{"a*b*c", "/a1b2bc", true, true},
	{"a*b*c", "/a1b2cb", false, true},
};

static struct qs_patterns *
made_of(const char *const *list, size_t count, bool ignore_case)
{
	struct qs_patterns *patterns = NULL;
	struct qs_err err;

	OK(qs_patterns_new(&patterns, &err));
	for (size_t i = 0; i < count; i++)
		OK(qs_patterns_add(patterns, list[i], ignore_case, &err));
	return patterns;
}

static void
patterns_match_as_restics_do(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct row *row = &rows[i];
		struct qs_patterns *patterns =
			made_of(&row->pattern, 1, false);
		bool below = false;
		const bool match = qs_patterns_match(patterns, row->path,
			&below);

		if (match != row->match || below != row->below)
			fail_msg("'%s' on '%s': %d %d", row->pattern,
				row->path, match, below);
		assert_int_equal(match,
			qs_patterns_match(patterns, row->path, NULL));
		qs_patterns_free(patterns);
	}
}

static void
negation_takes_back_an_earlier_match(void **state)
{
	const char *const list[] = {"*.log", "!keep.log", "/tmp"};
	struct qs_patterns *patterns = made_of(list, 3, false);

	(void)state;
	assert_true(qs_patterns_match(patterns, "/a/x.log", NULL));
	assert_false(qs_patterns_match(patterns, "/a/keep.log", NULL));
	assert_true(qs_patterns_match(patterns, "/tmp/keep.log", NULL));
	qs_patterns_free(patterns);
}

static void
case_is_ignored_when_asked(void **state)
{
	const char *const list[] = {"*.JPG", "\xc3\x84rger/[A-C]?", "lit"};
	struct qs_patterns *patterns = made_of(list, 3, true);
	struct qs_patterns *strict = made_of(list, 3, false);

	(void)state;
	assert_true(qs_patterns_match(patterns, "/a.jpg", NULL));
	assert_true(qs_patterns_match(patterns, "/a.JpG", NULL));
	assert_true(qs_patterns_match(patterns, "/LIT", NULL));
	assert_true(qs_patterns_match(patterns, "/\xc3\xa4RGER/bX", NULL));
	assert_false(qs_patterns_match(patterns, "/\xc3\xa4RGER/dX", NULL));
	assert_false(qs_patterns_match(strict, "/a.jpg", NULL));
	assert_false(qs_patterns_match(strict, "/LIT", NULL));
	qs_patterns_free(patterns);
	qs_patterns_free(strict);
}

static void
bad_patterns_are_refused_by_name(void **state)
{
	static const char *const bad[] = {"", "/", "!", "!/", "./", "a[b",
		"x/[", "[]", "[!]", "[z-a]", "a\\", "[a\\", "a[b/c]"};
	struct qs_patterns *patterns = NULL;
	struct qs_err err;

	(void)state;
	OK(qs_patterns_new(&patterns, &err));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char name[32];

		(void)snprintf(name, sizeof(name), "pattern '%s'", bad[i]);
		assert_int_equal(qs_patterns_add(patterns, bad[i], false,
			&err), QS_EINVAL);
		assert_non_null(strstr(err.msg, name));
	}
	assert_true(qs_patterns_empty(patterns));
	qs_patterns_free(patterns);
}

static void
time_does_not_explode(void **state)
{
	/* Exponential in the number of '**' for whoever tries them all. */
	char pattern[5 * 40 + 8] = "", path[2 * 900 + 8] = "";
	const char *const list[] = {pattern, "*a*a*a*a*a*a*a*a*a*a*a*a*b"};
	struct qs_patterns *patterns;

	(void)state;
	for (size_t i = 0; i < 40; i++)
		strcat(pattern, "/**/a");
	strcat(pattern, "/x");
	for (size_t i = 0; i < 900; i++)
		strcat(path, "/a");
	patterns = made_of(list, 2, false);
	assert_false(qs_patterns_match(patterns, path, NULL));
	memset(path + 1, 'a', 1700);
	assert_false(qs_patterns_match(patterns, path, NULL));
	qs_patterns_free(patterns);
}

static void
long_patterns_work_beyond_a_word_of_bits(void **state)
{
	char pattern[400] = "", path[400];
	const char *const list[] = {pattern};
	struct qs_patterns *patterns;
	bool below;

	(void)state;
	for (size_t i = 0; i < 130; i++)
		strcat(pattern, i % 3 == 0 ? "/*" : "/d");
	strcpy(path, pattern);
	patterns = made_of(list, 1, false);
	assert_true(qs_patterns_match(patterns, path, NULL));
	path[strlen(path) - 2] = '\0'; /* a component less */
	assert_false(qs_patterns_match(patterns, path, &below));
	assert_true(below);
	qs_patterns_free(patterns);
}

static void
files_of_patterns_skip_comments_and_name_lines(void **state)
{
	char path[] = "/tmp/test_patterns.XXXXXX";
	static const char good[] = "# a comment\n\n  *.o \r\n/tmp\n!keep.o";
	static const char bad[] = "*.o\n\n[x\n";
	struct qs_patterns *patterns = NULL;
	const int fd = mkstemp(path);
	struct qs_err err;

	(void)state;
	assert_true(fd >= 0);
	OK(qs_fd_write(fd, good, strlen(good), &err));
	OK(qs_patterns_new(&patterns, &err));
	OK(qs_patterns_add_file(patterns, path, false, &err));
	assert_true(qs_patterns_match(patterns, "/a.o", NULL));
	assert_true(qs_patterns_match(patterns, "/tmp/x", NULL));
	assert_false(qs_patterns_match(patterns, "/keep.o", NULL));
	assert_false(qs_patterns_match(patterns, "/# a comment", NULL));
	assert_int_equal(ftruncate(fd, 0), 0);
	OK(qs_fd_pwrite(fd, bad, strlen(bad), 0, &err));
	assert_int_equal(qs_patterns_add_file(patterns, path, false, &err),
		QS_EINVAL);
	assert_non_null(strstr(err.msg, path));
	assert_non_null(strstr(err.msg, "line 3"));
	qs_patterns_free(patterns);
	(void)close(fd);
	(void)unlink(path);
	OK(qs_patterns_new(&patterns, &err));
	assert_int_equal(qs_patterns_add_file(patterns, path, false, &err),
		QS_ENOTFOUND);
	qs_patterns_free(patterns);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(patterns_match_as_restics_do),
		cmocka_unit_test(negation_takes_back_an_earlier_match),
		cmocka_unit_test(case_is_ignored_when_asked),
		cmocka_unit_test(bad_patterns_are_refused_by_name),
		cmocka_unit_test(time_does_not_explode),
		cmocka_unit_test(long_patterns_work_beyond_a_word_of_bits),
		cmocka_unit_test(
			files_of_patterns_skip_comments_and_name_lines),
	};

	return cmocka_run_group_tests_name("patterns", tests, NULL, NULL);
}
