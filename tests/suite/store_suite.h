/* SPDX-License-Identifier: ISC */
/*
 * The contract of struct store, as tests: every kind of store runs them.
 */
#ifndef QS_STORE_SUITE_H
#define QS_STORE_SUITE_H

#include "store/store.h"

/* How to make a store of the kind that is tested. */
struct store_suite {
	const char *name;
	void *arg;
	/* A fresh, empty place with this folder; called before each test. */
	enum qs_code (*make)(void *arg,
		const uint8_t folder_id[static QS_FOLDER_ID_LEN],
		struct qs_store **out, struct qs_err *err);
	/* One more client of the place that was made last. */
	enum qs_code (*open)(void *arg,
		const uint8_t folder_id[static QS_FOLDER_ID_LEN],
		struct qs_store **out, struct qs_err *err);
	/* Called after each test, when all clients are closed. */
	void (*remove)(void *arg);
};

/* The number of tests that failed; to be returned from main. */
int store_suite_run(const struct store_suite *suite);

#endif
