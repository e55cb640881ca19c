/* SPDX-License-Identifier: ISC */
/* A folder with an admin, two devices and a log, for the tests of the log. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/suite/log_world.h"

void
world_append(struct world *world, const struct qs_sign_key *signer,
	enum qs_record_type type, struct qs_span body, struct written *all,
	uint64_t seq)
{
	struct qs_record draft = {
		.type = type,
		.seq = seq,
		.time_ms = NOON + seq * MINUTE,
		.public_body = body,
	}, record;
	struct qs_buf bytes = {0};
	char folder[33], device[17], hex[65];
	struct qs_err err;

	if (seq > 0)
		draft.prev = all[seq - 1].name;
	help_record(world->keys, signer, &draft, qs_span("payload", 7),
		&bytes, &record);
	help_ok(world->store->ops->append(world->store->self, &record, &err),
		&err);
	all[seq].name = record.name;
	all[seq].seq = seq;
	qs_hex(folder, world->keys->folder_id, 16);
	qs_hex(device, signer->pk, 8);
	qs_hex(hex, record.name.b, 32);
	(void)snprintf(all[seq].path, sizeof(all[seq].path),
		"%s/%s/log/%s/%016llx-%s", world->dir, folder, device,
		(unsigned long long)seq, hex);
	qs_buf_clear(&bytes);
}

void
world_cert(struct world *world, enum qs_record_type type, unsigned device,
	uint32_t rights, uint64_t last, uint64_t seq)
{
	struct qs_cert_body cert = {.rights = rights, .not_after_seq = last};
	uint8_t body[48];

	memcpy(cert.device_pk, world->devices[device].pk, 32);
	qs_cert_encode(&cert, body);
	world_append(world, qs_keys_admin(world->keys), type, qs_span(body, 48),
		world->admin, seq);
}

void
world_snapshot(struct world *world, unsigned device, uint64_t seq)
{
	world_append(world, &world->devices[device], QS_RECORD_SNAPSHOT,
		qs_span(NULL, 0), world->device[device], seq);
}

int
world_make(void **state)
{
	struct world *world = calloc(1, sizeof(*world));
	struct qs_genesis_body genesis;
	uint8_t body[64];
	struct qs_err err;

	help_ok(qs_crypto_init(&err), &err);
	world->dir = help_dir_make();
	world->keys = help_keys();
	help_device(&world->devices[0], 0x22);
	help_device(&world->devices[1], 0x33);
	help_ok(qs_store_create(world->dir, world->keys->folder_id,
		&world->store, &err), &err);
	memcpy(genesis.adm_pk, world->keys->adm_pk, 32);
	qs_fmk_commit(world->keys->fmk, genesis.fmk0_commit);
	qs_genesis_encode(&genesis, body);
	world_append(world, qs_keys_admin(world->keys), QS_RECORD_GENESIS,
		qs_span(body, 64), world->admin, 0);
	world_cert(world, QS_RECORD_CERT, 0, QS_RIGHT_WRITE, UINT64_MAX, 1);
	world_cert(world, QS_RECORD_CERT, 1, QS_RIGHT_WRITE, 1, 2);
	for (uint64_t seq = 0; seq < 4; seq++)
		world_snapshot(world, 0, seq);
	*state = world;
	return 0;
}

int
world_end(void **state)
{
	struct world *world = *state;

	qs_store_close(world->store);
	qs_keys_free(world->keys);
	help_dir_remove(world->dir);
	free(world);
	return 0;
}

enum qs_code
world_take_record(void *arg, const struct qs_record *record, struct qs_err *err)
{
	struct seen *seen = arg;

	assert_true(seen->record_count < 64);
	seen->names[seen->record_count++] = record->name;
	if (seen->stop_with != QS_OK)
		return qs_fail(err, seen->stop_with, "stopped");
	return QS_OK;
}

void
world_take_trouble(void *arg, const struct qs_err *trouble)
{
	struct seen *seen = arg;

	assert_true(seen->trouble_count < 16);
	seen->troubles[seen->trouble_count++] = *trouble;
}

struct seen
world_walk(struct world *world, const struct qs_mark *marks, size_t mark_count,
	size_t records, size_t troubles)
{
	struct seen seen = {.stop_with = QS_OK};
	struct qs_err err;

	help_ok(qs_log_walk(world->store, NULL, marks, mark_count,
		world_take_record, world_take_trouble, &seen, &err), &err);
	for (size_t i = troubles; i < seen.trouble_count; i++)
		print_error("trouble: %s\n", seen.troubles[i].msg);
	assert_int_equal(seen.record_count, records);
	assert_int_equal(seen.trouble_count, troubles);
	return seen;
}

void
world_says(const struct seen *seen, size_t at, enum qs_code code,
	const char *words)
{
	help_fails(seen->troubles[at].code, &seen->troubles[at], code, words);
}

struct qs_mark
world_mark(const struct world *world, unsigned device,
	const struct written *written)
{
	struct qs_mark mark = {
		.seq = written->seq,
		.name = written->name,
		.time_ms = NOON + written->seq * MINUTE,
	};

	memcpy(mark.device, world->devices[device].pk, QS_DEVICE_LEN);
	return mark;
}

void
world_damage(const char *path, long at)
{
	FILE *file;
	int c;

	assert_int_equal(chmod(path, 0600), 0);
	file = fopen(path, "r+");
	assert_non_null(file);
	assert_int_equal(fseek(file, at, SEEK_SET), 0);
	c = getc(file);
	assert_int_equal(fseek(file, at, SEEK_SET), 0);
	assert_int_not_equal(putc(c ^ 1, file), EOF);
	assert_int_equal(fclose(file), 0);
}

void
world_plant(const struct world *world, struct qs_span bytes, const char *device,
	unsigned long long seq, const struct qs_name *name)
{
	char folder[33], hex[65], path[512];
	FILE *file;

	qs_hex(folder, world->keys->folder_id, 16);
	qs_hex(hex, name->b, 32);
	(void)snprintf(path, sizeof(path), "%s/%s/log/%s", world->dir, folder,
		device);
	(void)mkdir(path, 0700);
	(void)snprintf(path, sizeof(path), "%s/%s/log/%s/%016llx-%s",
		world->dir, folder, device, seq, hex);
	file = fopen(path, "w");
	assert_non_null(file);
	assert_int_equal(fwrite(bytes.data, 1, bytes.len, file), bytes.len);
	assert_int_equal(fclose(file), 0);
}

void
world_plant_record(const struct world *world, const struct qs_sign_key *signer,
	const struct qs_record *draft)
{
	struct qs_record record;
	struct qs_buf bytes = {0};
	char device[17];

	help_record(world->keys, signer, draft, qs_span("forked", 6), &bytes,
		&record);
	qs_hex(device, signer->pk, 8);
	world_plant(world, record.bytes, device, record.seq, &record.name);
	qs_buf_clear(&bytes);
}

