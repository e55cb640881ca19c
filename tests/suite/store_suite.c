/* SPDX-License-Identifier: ISC */
/* The contract of struct store, as tests: what its parts share. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/suite/store_suite_internal.h"

int
suite_set_up(void **state)
{
	struct suite_case *it = calloc(1, sizeof(*it));
	struct qs_err err;

	help_ok(qs_crypto_init(&err), &err);
	it->suite = *state;
	it->keys = help_keys();
	help_ok(it->suite->make(it->suite->arg, qs_keys_folder_id(it->keys),
		&it->store, &err), &err);
	*state = it;
	return 0;
}

int
suite_tear_down(void **state)
{
	struct suite_case *it = *state;

	qs_store_close(it->store);
	it->suite->remove(it->suite->arg);
	qs_keys_free(it->keys);
	free(it);
	return 0;
}

enum qs_code
suite_count_one(void *arg, const struct qs_ref *ref, struct qs_err *err)
{
	struct count *count = arg;

	if (ref->foreign != NULL)
		count->foreign++;
	else
		count->files++;
	count->bytes += ref->size;
	if (count->files == count->stop_after)
		return qs_fail(err, QS_ECANCELED, "enough");
	return QS_OK;
}

struct count
suite_list(struct qs_store *store, enum qs_area area)
{
	struct count count = {.stop_after = 0};
	struct qs_err err;

	help_ok(store->ops->list(store->self, area, suite_count_one, &count,
		&err), &err);
	return count;
}

int
store_suite_run(const struct store_suite *suite)
{
	return store_suite_run_objects(suite) + store_suite_run_log(suite);
}
