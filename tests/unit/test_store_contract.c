/* SPDX-License-Identifier: ISC */
/*
 * Unit tests of store/: the contract of struct store, on directories, with
 * every way of giving a file its name.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/suite/store_help.h"
#include "tests/suite/store_suite.h"

struct dir_suite {
	char *dir;
	unsigned lacks;
};

static enum qs_code
suite_make(void *arg, const uint8_t folder_id[static QS_FOLDER_ID_LEN],
	struct qs_store **out, struct qs_err *err)
{
	struct dir_suite *suite = arg;
	enum qs_code rc;

	suite->dir = help_dir_make();
	rc = qs_store_create(suite->dir, folder_id, out, err);
	if (rc == QS_OK)
		qs_store_dir_limit(*out, suite->lacks);
	return rc;
}

static enum qs_code
suite_open(void *arg, const uint8_t folder_id[static QS_FOLDER_ID_LEN],
	struct qs_store **out, struct qs_err *err)
{
	const struct dir_suite *suite = arg;
	enum qs_code rc = qs_store_open(suite->dir, folder_id, out, err);

	if (rc == QS_OK)
		qs_store_dir_limit(*out, suite->lacks);
	return rc;
}

static void
suite_remove(void *arg)
{
	struct dir_suite *suite = arg;

	help_dir_remove(suite->dir);
	suite->dir = NULL;
}

int
main(void)
{
	static const struct {
		const char *name;
		unsigned lacks;
	} ways[] = {
		{"directory", 0},
		{"directory without O_TMPFILE", QS_DIR_NO_TMPFILE},
		{"directory without links", QS_DIR_NO_TMPFILE | QS_DIR_NO_LINK},
	};
	int failed = 0;

	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		struct dir_suite place = {.lacks = ways[i].lacks};
		const struct store_suite suite = {
			.name = ways[i].name,
			.arg = &place,
			.make = suite_make,
			.open = suite_open,
			.remove = suite_remove,
		};

		failed += store_suite_run(&suite);
	}
	return failed;
}
