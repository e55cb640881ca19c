/* SPDX-License-Identifier: ISC */
/* What the parts of the contract suite share. */
#ifndef QS_STORE_SUITE_INTERNAL_H
#define QS_STORE_SUITE_INTERNAL_H

#include "tests/suite/store_help.h"
#include "tests/suite/store_suite.h"

#define THREADS 4

struct suite_case { /* one test's place */
	const struct store_suite *suite;
	struct qs_keys *keys;
	struct qs_store *store;
};

struct count { /* what a listing held */
	size_t files, foreign;
	uint64_t bytes;
	size_t stop_after; /* 0: never */
};

/* For cmocka: the initial state is the struct store_suite. */
int suite_set_up(void **state);
int suite_tear_down(void **state);
enum qs_code suite_count_one(void *arg, const struct qs_ref *ref,
	struct qs_err *err);
struct count suite_list(struct qs_store *store, enum qs_area area);

/* Each runs its part and returns how many tests failed. */
int store_suite_run_objects(const struct store_suite *suite);
int store_suite_run_log(const struct store_suite *suite);

#define SUITE_RUN(tests, suite) \
	do { \
		struct store_suite state_of_all = *(suite); \
\
		/* cmocka hands a test's state to its set-up. */ \
		for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) \
			tests[i].initial_state = &state_of_all; \
		return _cmocka_run_group_tests((suite)->name, tests, \
			sizeof(tests) / sizeof(tests[0]), NULL, NULL); \
	} while (0)
#define SUITE_CASE(f) \
	cmocka_unit_test_setup_teardown(f, suite_set_up, suite_tear_down)

#endif
