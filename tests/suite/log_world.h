/* SPDX-License-Identifier: ISC */
/* A folder with an admin, two devices and a log, for the tests of the log. */
#ifndef QS_LOG_WORLD_H
#define QS_LOG_WORLD_H

#include "tests/suite/store_help.h"

#define NOON UINT64_C(1763632800000) /* 2025-11-20 10:00 UTC */
#define MINUTE UINT64_C(60000)

struct written { /* where a record's file is */
	char path[512];
	struct qs_name name;
	uint64_t seq;
};

struct world { /* a folder, an admin and two devices */
	char *dir;
	struct qs_keys *keys;
	struct qs_store *store;
	struct qs_sign_key devices[2];
	struct written admin[8], device[2][8];
};

struct seen { /* what a walk told */
	struct qs_err troubles[16];
	size_t trouble_count, record_count;
	struct qs_name names[64];
	enum qs_code stop_with;
};

void world_append(struct world *world, const struct qs_sign_key *signer,
	enum qs_record_type type, struct qs_span body, struct written *all,
	uint64_t seq);
void world_cert(struct world *world, enum qs_record_type type, unsigned device,
	uint32_t rights, uint64_t last, uint64_t seq);
void world_snapshot(struct world *world, unsigned device, uint64_t seq);
/* GENESIS and CERTs of both devices; four snapshots of the first. */
int world_make(void **state);
int world_end(void **state);
enum qs_code world_take_record(void *arg, const struct qs_record *record,
	struct qs_err *err);
void world_take_trouble(void *arg, const struct qs_err *trouble);
/* A walk that must succeed, with so many records and troubles. */
struct seen world_walk(struct world *world, const struct qs_mark *marks,
	size_t mark_count, size_t records, size_t troubles);
void world_says(const struct seen *seen, size_t at, enum qs_code code,
	const char *words);
struct qs_mark world_mark(const struct world *world, unsigned device,
	const struct written *written);
/* Change a byte in a file. */
void world_damage(const char *path, long at);
/* A record's bytes under any file name. */
void world_plant(const struct world *world, struct qs_span bytes,
	const char *device, unsigned long long seq,
	const struct qs_name *name);
void world_plant_record(const struct world *world,
	const struct qs_sign_key *signer, const struct qs_record *draft);

#define WORLD_TEST(f) \
	cmocka_unit_test_setup_teardown(f, world_make, world_end)

#endif
