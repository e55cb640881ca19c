/* SPDX-License-Identifier: ISC */
/* Unit tests of hub/: the access list, and that any fault in it refuses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "hub/acl_internal.h"
#include "tests/suite/store_help.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct list { /* a list in a file of its own */
	char *dir;
	char path[512];
};

static int
make_list(void **state)
{
	struct list *list = calloc(1, sizeof(*list));

	assert_non_null(list);
	list->dir = help_dir_make();
	(void)snprintf(list->path, sizeof(list->path), "%s/acl.conf",
		list->dir);
	*state = list;
	return 0;
}

static int
end_list(void **state)
{
	struct list *list = *state;

	help_dir_remove(list->dir);
	free(list);
	return 0;
}

static void
put(const struct list *list, const void *text, size_t len)
{
	FILE *file = fopen(list->path, "w");

	assert_non_null(file);
	assert_int_equal(fwrite(text, 1, len, file), len);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(chmod(list->path, 0600), 0);
}

static void
write_list(const struct list *list, const char *text)
{
	put(list, text, strlen(text));
}

static struct qs_grant
granted(const struct list *list, const char *principal, const char *folder)
{
	struct qs_grant grant = {.quota = 99};
	struct qs_err err;

	help_ok(qs_acl_find(list->path, principal, folder, &grant, &err),
		&err);
	return grant;
}

static void
refused(const struct list *list, const char *principal, const char *folder,
	enum qs_code code, const char *words)
{
	struct qs_grant grant;
	struct qs_err err;

	memset(&grant, 0x5a, sizeof(grant));
	help_fails(qs_acl_find(list->path, principal, folder, &grant, &err),
		&err, code, words);
	assert_int_equal(grant.connections, 0x5a5a5a5a);
}

static const char sample[] =
	"# who may do what\n"
	"\n"
	"qube:photos   photos   rw         quota=40G rate=50M connections=8\n"
	"qube:media    photos   ro\n"
	"\tqube:sys-net  photos   transfer quota=3T\n"
	"  # and keys\n"
	"key:laptop work rw quota=1 rate=7K\n"
	"user:4242 work ro\n"
	"qube:photos other ro"; /* the last line may lack its end */

static void
a_line_gives_its_principal_its_folder(void **state)
{
	const struct list *list = *state;
	struct qs_grant grant;

	write_list(list, sample);
	grant = granted(list, "qube:photos", "photos");
	assert_int_equal(grant.mode, QS_MODE_RW);
	assert_int_equal(grant.quota, UINT64_C(40) << 30);
	assert_int_equal(grant.rate, UINT64_C(50) << 20);
	assert_int_equal(grant.connections, 8);
	grant = granted(list, "qube:media", "photos");
	assert_int_equal(grant.mode, QS_MODE_RO);
	assert_int_equal(grant.quota, 0);
	assert_int_equal(grant.rate, 0);
	assert_int_equal(grant.connections, 0);
	grant = granted(list, "qube:sys-net", "photos");
	assert_int_equal(grant.mode, QS_MODE_TRANSFER);
	assert_int_equal(grant.quota, UINT64_C(3) << 40);
	grant = granted(list, "key:laptop", "work");
	assert_int_equal(grant.quota, 1);
	assert_int_equal(grant.rate, 7 << 10);
	assert_int_equal(granted(list, "user:4242", "work").mode, QS_MODE_RO);
	assert_int_equal(granted(list, "qube:photos", "other").mode,
		QS_MODE_RO);
}

static void
what_is_not_listed_is_refused(void **state)
{
	const struct list *list = *state;
	char name[80];

	refused(list, "qube:photos", "photos", QS_EKEY, "no access list");
	write_list(list, "");
	refused(list, "qube:photos", "photos", QS_EKEY,
		"qube:photos may not use folder photos");
	write_list(list, sample);
	refused(list, "qube:media", "work", QS_EKEY, "qube:media");
	refused(list, "key:photos", "photos", QS_EKEY, "key:photos");
	refused(list, "user:photos", "photos", QS_EKEY, "user:photos");
	refused(list, "qube:photo", "photos", QS_EKEY, "qube:photo");
	refused(list, "qube:photoss", "photos", QS_EKEY, "qube:photoss");
	refused(list, "qube:photos", "photo", QS_EKEY, "photo");
	refused(list, "photos", "photos", QS_EKEY, "no name");
	refused(list, "", "photos", QS_EKEY, "no name");
	refused(list, "qube:", "photos", QS_EKEY, "no name");
	refused(list, "qube:../x", "photos", QS_EKEY, "no name");
	refused(list, "qube:a\nb", "photos", QS_EKEY, "no name");
	refused(list, "qube:photos", "", QS_EKEY, "a name that none has");
	refused(list, "qube:photos", "..", QS_EKEY, "a name that none has");
	memset(name, 'a', sizeof(name));
	name[79] = '\0';
	refused(list, "qube:photos", name, QS_EKEY, "a name that none has");
}

static void
any_fault_refuses_everybody_and_says_where(void **state)
{
	static const struct {
		const char *line, *words;
	} faults[] = {
		{"qube:a", "needs a principal, a folder and a mode"},
		{"qube:a b", "needs"},
		{"a b rw", "a principal is"},
		{"quux:a b rw", "a principal is"},
		{"qube: b rw", "a principal is"},
		{"qube:A b rw", "a principal is"},
		{"qube:a..b b rw", "a principal is"},
		{"qube:-a b rw", "a principal is"},
		{"user:007 b rw", "a principal is"},
		{"user:4294967295 b rw", "a principal is"},
		{"user:99999999999999999999 b rw", "a principal is"},
		{"qube:a ../b rw", "not a folder's name"},
		{"qube:a * rw", "not a folder's name"},
		{"qube:a b rx", "a mode is"},
		{"qube:a b RW", "a mode is"},
		{"qube:a b quota=1G", "a mode is"},
		{"qube:a b rw quota", "neither"},
		{"qube:a b rw qota=1G", "neither"},
		{"qube:a b rw quota=", "a size is like"},
		{"qube:a b rw quota=G", "a size is like"},
		{"qube:a b rw quota=0", "a size is like"},
		{"qube:a b rw quota=-1", "a size is like"},
		{"qube:a b rw quota=1g", "a size is like"},
		{"qube:a b rw quota=1GB", "a size is like"},
		{"qube:a b rw quota=1.5G", "a size is like"},
		{"qube:a b rw quota=0x10", "a size is like"},
		{"qube:a b rw quota=8388608T", "a size is like"},
		{"qube:a b rw quota=18446744073709551616", "a size is like"},
		{"qube:a b rw quota=1G quota=2G", "twice"},
		{"qube:a b rw rate=1M rate=1M", "twice"},
		{"qube:a b rw rate=x", "a second"},
		{"qube:a b rw connections=0", "from 1 to"},
		{"qube:a b rw connections=1025", "from 1 to"},
		{"qube:a b rw connections=8 connections=8", "twice"},
		{"qube:a b rw # for now", "a line of its own"},
		{"qube:a b rw\r", "carriage return"},
		{"qube:a b rw\v", "byte (11)"},
		{"qube:\303\244 b rw", "byte (195)"},
		{"qube:a b rw quota=1G rate=1 connections=1 x", "neither"},
		{"1 2 3 4 5 6 7 8 9", "more than 8 words"},
		{"qube:good folder ro", "same principal and folder as in line "
			"1"},
	};
	const struct list *list = *state;

	for (size_t i = 0; i < COUNT(faults); i++) {
		char text[512], where[600];
		uint64_t quota = 7;
		struct qs_err err;

		(void)snprintf(text, sizeof(text),
			"qube:good folder rw\n\n%s\nqube:last folder rw\n",
			faults[i].line);
		write_list(list, text);
		(void)snprintf(where, sizeof(where), "%s:3: ", list->path);
		refused(list, "qube:good", "folder", QS_EINVAL, where);
		refused(list, "qube:nobody", "folder", QS_EINVAL,
			faults[i].words);
		help_fails(qs_acl_quota(list->path, "folder", &quota, &err),
			&err, QS_EINVAL, where);
		assert_int_equal(quota, 7);
	}
}

static void
a_zero_byte_or_a_word_without_end_is_a_fault(void **state)
{
	static const char zero[] = "qube:good folder rw\nqube:a\0b c rw\n";
	const struct list *list = *state;
	char *text = calloc(1, QS_ACL_MAX + 1);

	assert_non_null(text);
	put(list, zero, sizeof(zero) - 1);
	refused(list, "qube:good", "folder", QS_EINVAL, "byte (0)");
	memset(text, 'a', 4096);
	put(list, text, 4096);
	refused(list, "qube:good", "folder", QS_EINVAL, "4096 bytes");
	memset(text, '\n', QS_ACL_MAX + 1);
	put(list, text, QS_ACL_MAX);
	refused(list, "qube:good", "folder", QS_EKEY, "not in the access");
	put(list, text, QS_ACL_MAX + 1);
	refused(list, "qube:good", "folder", QS_EINVAL, "longer than");
	free(text);
}

static void
a_list_that_others_may_write_is_no_list(void **state)
{
	const struct list *list = *state;

	write_list(list, sample);
	assert_int_equal(chmod(list->path, 0620), 0);
	refused(list, "qube:media", "photos", QS_EINVAL, "chmod go-w");
	assert_int_equal(chmod(list->path, 0602), 0);
	refused(list, "qube:media", "photos", QS_EINVAL, "others may write");
	assert_int_equal(chmod(list->path, 0644), 0);
	assert_int_equal(granted(list, "qube:media", "photos").mode,
		QS_MODE_RO);
	if (geteuid() == 0) { /* else it can't be given away */
		assert_int_equal(chown(list->path, 65534, 65534), 0);
		refused(list, "qube:media", "photos", QS_EINVAL,
			"belongs to user 65534");
	}
	assert_int_equal(unlink(list->path), 0);
	assert_int_equal(mkdir(list->path, 0700), 0);
	refused(list, "qube:media", "photos", QS_EINVAL, "regular file");
	assert_int_equal(rmdir(list->path), 0);
	assert_int_equal(mkfifo(list->path, 0600), 0);
	refused(list, "qube:media", "photos", QS_EINVAL, "regular file");
}

/* root is uid 0 on every system that this runs on. */
static void
a_user_is_found_by_name_and_by_number(void **state)
{
	const struct list *list = *state;

	write_list(list, "user:root work rw\nuser:0 photos ro\n");
	assert_int_equal(granted(list, "user:0", "work").mode, QS_MODE_RW);
	assert_int_equal(granted(list, "user:root", "work").mode, QS_MODE_RW);
	assert_int_equal(granted(list, "user:0", "photos").mode, QS_MODE_RO);
	assert_int_equal(granted(list, "user:root", "photos").mode,
		QS_MODE_RO);
	refused(list, "user:1", "photos", QS_EKEY, "user:1");
	write_list(list, "user:root work rw\nuser:0 work ro\n");
	refused(list, "user:0", "work", QS_EINVAL,
		":2: user:0 is user:root of line 1");
	refused(list, "user:root", "work", QS_EINVAL,
		":2: user:0 is user:root of line 1");
	refused(list, "user:1", "work", QS_EKEY, "user:1");
	/* A key or a qube of that name is somebody else. */
	write_list(list, "qube:root work rw\nkey:root work ro\n");
	refused(list, "user:0", "work", QS_EKEY, "user:0");
}

static void
a_folders_quota_is_the_least_of_its_lines(void **state)
{
	const struct list *list = *state;
	uint64_t quota = 7;
	struct qs_err err;

	help_ok(qs_acl_quota(list->path, "photos", &quota, &err), &err);
	assert_int_equal(quota, 0);
	write_list(list, sample);
	help_ok(qs_acl_quota(list->path, "photos", &quota, &err), &err);
	assert_int_equal(quota, UINT64_C(40) << 30);
	help_ok(qs_acl_quota(list->path, "other", &quota, &err), &err);
	assert_int_equal(quota, 0);
}

static void
names_are_of_one_kind(void **state)
{
	static const char *const good[] = {"a", "0", "sys-qstore", "a.b",
		"a.b.c", "a._-", "a-", "work_2026", "1000"};
	static const char *const bad[] = {"", ".", "..", ".a", "-a", "_a",
		"a..b", "a..", "A", "aB", "a/b", "a b", "a+b", "a\n", "\303\244",
		"a:b", "a*"};
	char name[65];

	(void)state;
	for (size_t i = 0; i < COUNT(good); i++)
		assert_true(qs_wire_name_ok(good[i]));
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_false(qs_wire_name_ok(bad[i]));
	memset(name, 'a', sizeof(name));
	name[63] = '\0';
	assert_true(qs_wire_name_ok(name));
	name[63] = 'a';
	name[64] = '\0';
	assert_false(qs_wire_name_ok(name));
}

#define LIST_TEST(f) cmocka_unit_test_setup_teardown(f, make_list, end_list)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		LIST_TEST(a_line_gives_its_principal_its_folder),
		LIST_TEST(what_is_not_listed_is_refused),
		LIST_TEST(any_fault_refuses_everybody_and_says_where),
		LIST_TEST(a_zero_byte_or_a_word_without_end_is_a_fault),
		LIST_TEST(a_list_that_others_may_write_is_no_list),
		LIST_TEST(a_user_is_found_by_name_and_by_number),
		LIST_TEST(a_folders_quota_is_the_least_of_its_lines),
		cmocka_unit_test(names_are_of_one_kind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
