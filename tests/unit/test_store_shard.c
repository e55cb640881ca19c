/* SPDX-License-Identifier: ISC */
/* A directory store's folder of objects that can't be looked into. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/suite/store_help.h"

static const uint8_t folder_id[QS_FOLDER_ID_LEN] = {0xab, 0xcd};

static struct qs_name
save(struct qs_store *store)
{
	uint8_t *object = calloc(1, QS_PACK_MIN);
	struct qs_stage *stage = NULL;
	struct qs_name name;
	struct qs_err err;

	qs_hash_name(qs_span(object, QS_PACK_MIN), &name);
	help_ok(store->ops->stage(store->self, qs_span(object, QS_PACK_MIN),
		&stage, &err), &err);
	help_ok(store->ops->commit(store->self, &stage, &name, 1, &err), &err);
	free(object);
	return name;
}

/* A file where the folder of names that begin with that byte should be. */
static void
block_shard(const char *dir, uint8_t first)
{
	char folder[2 * QS_FOLDER_ID_LEN + 1], path[512];
	int fd;

	qs_hex(folder, folder_id, sizeof(folder_id));
	(void)snprintf(path, sizeof(path), "%.400s/%s/obj/%02x", dir, folder,
		first);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
	assert_true(fd >= 0);
	assert_int_equal(close(fd), 0);
}

static void
a_shard_that_cannot_be_read_costs_only_itself(void **state)
{
	char *dir = help_dir_make();
	struct qs_ref ref = {.area = QS_AREA_OBJ};
	struct qs_store *store;
	struct qs_name names[2];
	struct qs_buf out = {0};
	uint64_t sizes[2] = {0};
	struct qs_err err;

	(void)state;
	help_ok(qs_store_create(dir, folder_id, &store, &err), &err);
	names[0] = names[1] = save(store);
	names[1].b[0] ^= 0xff;
	block_shard(dir, names[1].b[0]);
	help_ok(store->ops->have(store->self, names, 2, sizes, &err), &err);
	assert_int_equal(sizes[0], QS_PACK_MIN);
	assert_true(sizes[1] == QS_SIZE_UNKNOWN);
	ref.name = names[1];
	help_fails(qs_store_load(store, &ref, QS_PACK_MAX, &out, &err), &err,
		QS_EIO, "Not a directory");
	qs_buf_clear(&out);
	qs_store_close(store);
	help_dir_remove(dir);
}

static void
what_cannot_be_settled_is_told(void **state)
{
	char *dir = help_dir_make();
	struct qs_store *store;
	struct qs_name names[2];
	struct qs_err err;

	(void)state;
	help_ok(qs_store_create(dir, folder_id, &store, &err), &err);
	names[0] = names[1] = save(store);
	help_ok(store->ops->settle(store->self, names, 1, &err), &err);
	names[1].b[31] ^= 0xff;
	help_fails(store->ops->settle(store->self, names, 2, &err), &err,
		QS_ENOTFOUND, "is missing");
	names[1].b[0] ^= 0xff;
	block_shard(dir, names[1].b[0]);
	help_fails(store->ops->settle(store->self, names, 2, &err), &err,
		QS_EIO, "make objects durable");
	qs_store_close(store);
	help_dir_remove(dir);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_shard_that_cannot_be_read_costs_only_itself),
		cmocka_unit_test(what_cannot_be_settled_is_told),
	};
	struct qs_err err;

	if (qs_crypto_init(&err) != QS_OK)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
