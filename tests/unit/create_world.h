/* SPDX-License-Identifier: ISC */
/* A folder of its own, a place for files, and ways to save them. */
#ifndef CREATE_WORLD_H
#define CREATE_WORLD_H

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "snapshot/snapshot.h"

struct world {
	char dir[64], url[96], cache[96], state[96], data[96];
	struct qs_folder *folder;
	uint8_t code[32];
	struct qs_progress progress;
	size_t warnings;
	char last_warning[512];
};

static inline void
on_trouble(void *arg, const struct qs_err *trouble)
{
	(void)arg;
	fprintf(stderr, "trouble: %s\n", trouble->msg);
}

static inline void
on_event(void *arg, const struct qs_event *event)
{
	struct world *w = arg;

	if (event->kind == QS_EVENT_WARNING) {
		w->warnings++;
		snprintf(w->last_warning, sizeof(w->last_warning), "%s",
			event->err->msg);
	}
}

static inline struct qs_folder_options
folder_options(struct world *w)
{
	return (struct qs_folder_options){.cache_dir = w->cache,
		.state_dir = w->state, .trouble = on_trouble};
}

static inline void
reopen(struct world *w)
{
	struct qs_folder_options o = folder_options(w);
	struct qs_factor factor = {.type = QS_FACTOR_RECOVERY,
		.secret = qs_span(w->code, 32)};
	struct qs_slot_secret *secret = qs_secret_alloc(sizeof(*secret));
	struct qs_folder_list folders = {0};
	struct qs_slot_list slots = {0};
	struct qs_store *store;
	struct qs_err err;
	size_t which;

	qs_folder_close(w->folder);
	assert_int_equal(qs_store_folders(w->url, &folders, &err), QS_OK);
	assert_int_equal(qs_store_open(w->url, folders.ids[0], &store, &err),
		QS_OK);
	assert_int_equal(qs_slots_load(store, &slots, on_trouble, NULL, &err),
		QS_OK);
	assert_int_equal(qs_slots_open(&slots, &factor, 1, secret, &which,
		&err), QS_OK);
	assert_int_equal(qs_folder_open(store, secret, &o, &w->folder, &err),
		QS_OK);
	qs_slots_clear(&slots);
	qs_folder_list_clear(&folders);
	qs_secret_free(secret);
}

static inline int
set_up(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	struct qs_folder_options o;
	struct qs_factor factor;
	struct qs_new_slot slot = {.label = "test", .count = 1,
		.with_admin = true};
	struct qs_err err;

	assert_non_null(w);
	assert_int_equal(qs_crypto_init(&err), QS_OK);
	snprintf(w->dir, sizeof(w->dir), "/tmp/qs-create-XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	snprintf(w->url, sizeof(w->url), "%s/store", w->dir);
	snprintf(w->cache, sizeof(w->cache), "%s/cache", w->dir);
	snprintf(w->state, sizeof(w->state), "%s/state", w->dir);
	snprintf(w->data, sizeof(w->data), "%s/data", w->dir);
	assert_int_equal(mkdir(w->data, 0755), 0);
	qs_random(w->code, sizeof(w->code));
	o = folder_options(w);
	factor = (struct qs_factor){.type = QS_FACTOR_RECOVERY,
		.secret = qs_span(w->code, 32)};
	slot.factors = &factor;
	assert_int_equal(qs_folder_create(w->url, &o, &slot, 1, &w->folder,
		&err), QS_OK);
	*state = w;
	return 0;
}

static inline int
tear_down(void **state)
{
	struct world *w = *state;
	char command[128];

	qs_folder_close(w->folder);
	snprintf(command, sizeof(command), "rm -rf %s", w->dir);
	assert_int_equal(system(command), 0);
	free(w);
	return 0;
}

static inline void
put(struct world *w, const char *name, const void *data, size_t len)
{
	char path[512];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", w->data, name);
	fd = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0644);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, len), (ssize_t)len);
	close(fd);
}

static inline void
put_noise(struct world *w, const char *name, size_t len)
{
	uint8_t *data = malloc(len);

	assert_non_null(data);
	qs_random(data, len);
	put(w, name, data, len);
	free(data);
}

static inline void
make_dir(struct world *w, const char *name)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/%s", w->data, name);
	assert_int_equal(mkdir(path, 0755), 0);
}

/* ctime must be older than the clock's tick, or a file counts as racy. */
static inline void
let_it_settle(void)
{
	usleep(60000);
}

static inline enum qs_code
save(struct world *w, const struct qs_create_options *given,
	struct qs_create_result *result, struct qs_err *err)
{
	struct qs_create_options o = *given;
	const char *path = w->data;
	struct qs_report report = {on_event, w, &w->progress};

	if (o.path_count == 0) {
		o.paths = &path;
		o.path_count = 1;
	}
	if (o.stdin_name == NULL)
		o.stdin_fd = -1;
	w->warnings = 0;
	return qs_create(w->folder, &o, &report, result, err);
}

static inline struct qs_totals
saved(struct world *w, struct qs_create_options o)
{
	struct qs_create_result result;
	struct qs_err err = {0};

	if (save(w, &o, &result, &err) != QS_OK)
		fail_msg("not saved: %s", err.msg);
	return result.totals;
}

static inline struct qs_create_options
normal(void)
{
	return (struct qs_create_options){.level = QS_LEVEL_DEFAULT};
}

/*
 * No file's bytes; the folders on the way (/, /tmp) belong to others, too, and
 * may have new times.
 */
static inline void
adds_nothing(const struct qs_totals *t)
{
	assert_int_equal(t->data_blobs, 0);
	assert_true(t->data_added < 2000);
}

static inline uint64_t
stored_packs(struct world *w)
{
	struct qs_index_counts counts;
	struct qs_err err;

	assert_int_equal(qs_index_count(qs_folder_index(w->folder), &counts,
		&err), QS_OK);
	return counts.packs;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

#endif
