/* SPDX-License-Identifier: ISC */
/* Unit tests of hub/: what may come in, told without a key. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "hub/hub.h"
#include "tests/suite/log_world.h"

/* ---------------------------------------------------------------- records */

struct offer { /* a record that somebody sends */
	const struct qs_sign_key *signer;
	enum qs_record_type type;
	uint64_t seq;
	struct qs_span body;
	size_t flip; /* change this byte of it; 0: none */
};

static enum qs_code
send(struct qs_admission *admission, const struct qs_keys *keys,
	const struct offer *offer, struct qs_err *err)
{
	struct qs_record draft = {
		.type = offer->type,
		.seq = offer->seq,
		.time_ms = NOON,
		.public_body = offer->body,
	}, record, out;
	struct qs_buf bytes = {0};
	enum qs_code rc;

	memset(draft.prev.b, offer->seq > 0 ? 7 : 0, 32);
	help_record(keys, offer->signer, &draft, qs_span("payload", 7), &bytes,
		&record);
	bytes.data[offer->flip] ^= offer->flip != 0;
	rc = qs_admit_record(admission, qs_buf_span(&bytes), &out, err);
	if (rc == QS_OK) {
		assert_int_equal(out.type, offer->type);
		assert_memory_equal(out.name.b, record.name.b, 32);
	}
	qs_buf_clear(&bytes);
	return rc;
}

static struct offer
snapshot_of(const struct qs_sign_key *signer, uint64_t seq)
{
	return (struct offer){signer, QS_RECORD_SNAPSHOT, seq,
		qs_span(NULL, 0), 0};
}

static struct qs_admission *
admission_to(struct qs_store *store)
{
	struct qs_admission *admission = NULL;
	struct qs_err err;

	help_ok(qs_admission_new(store, &admission, &err), &err);
	return admission;
}

static void
takes(struct qs_admission *admission, const struct world *world,
	struct offer offer)
{
	struct qs_err err;

	help_ok(send(admission, world->keys, &offer, &err), &err);
}

static void
refuses(struct qs_admission *admission, const struct world *world,
	struct offer offer, const char *words)
{
	struct qs_err err;

	help_fails(send(admission, world->keys, &offer, &err), &err,
		QS_ECORRUPT, words);
}

static void
the_admin_and_certified_devices_may_append(void **state)
{
	struct world *world = *state;
	struct qs_admission *admission = admission_to(world->store);

	takes(admission, world, snapshot_of(&world->devices[0], 4));
	takes(admission, world, snapshot_of(&world->devices[1], 1));
	takes(admission, world, snapshot_of(qs_keys_admin(world->keys), 3));
	qs_admission_free(admission);
}

static void
others_may_not_and_are_told_why(void **state)
{
	struct world *world = *state;
	struct qs_admission *admission = admission_to(world->store);
	struct qs_sign_key stranger;
	struct offer offer = snapshot_of(&world->devices[0], 4);

	help_device(&stranger, 0x44);
	refuses(admission, world, snapshot_of(&stranger, 0), "not certified");
	refuses(admission, world, snapshot_of(&world->devices[1], 2),
		"its certificate ends with record 1");
	offer.flip = 105; /* the claimed time */
	refuses(admission, world, offer, "signature does not verify");
	world_cert(world, QS_RECORD_REVOKE, 0, 0, 0, 3);
	offer.flip = 0;
	refuses(admission, world, offer, "was revoked");
	qs_admission_free(admission);
}

static void
types_other_than_snapshot_are_the_admins(void **state)
{
	static const enum qs_record_type types[] = {QS_RECORD_GENESIS,
		QS_RECORD_CERT, QS_RECORD_REVOKE, QS_RECORD_EPOCH,
		QS_RECORD_CHECKPOINT};
	static const size_t lengths[] = {64, 48, 48, 0, 0};
	struct world *world = *state;
	struct qs_admission *admission = admission_to(world->store);
	uint8_t body[64] = {1};

	for (size_t i = 0; i < 5; i++) {
		struct offer offer = {&world->devices[0], types[i], 4,
			qs_span(body, lengths[i]), 0};
		struct qs_err err;

		help_fails(send(admission, world->keys, &offer, &err), &err,
			QS_ECORRUPT, "only the admin key");
		offer.signer = qs_keys_admin(world->keys);
		offer.seq = 3;
		if (types[i] != QS_RECORD_GENESIS)
			takes(admission, world, offer);
	}
	qs_admission_free(admission);
}

static void
a_record_of_another_folder_is_refused(void **state)
{
	struct world *world = *state;
	struct qs_admission *admission = admission_to(world->store);
	struct qs_keys *other = help_other_keys(0x77);
	struct offer offer = snapshot_of(&world->devices[0], 4);
	struct qs_err err;

	help_fails(send(admission, other, &offer, &err), &err, QS_ECORRUPT,
		"another folder");
	qs_keys_free(other);
	qs_admission_free(admission);
}

/* Certified or revoked through another connection meanwhile. */
static void
what_another_connection_appended_is_learnt(void **state)
{
	struct world *world = *state;
	struct qs_admission *admission = admission_to(world->store);

	refuses(admission, world, snapshot_of(&world->devices[1], 2),
		"certificate ends");
	world_cert(world, QS_RECORD_CERT, 1, QS_RIGHT_WRITE, 5, 3);
	takes(admission, world, snapshot_of(&world->devices[1], 2));
	world_cert(world, QS_RECORD_REVOKE, 1, 0, 0, 4);
	refuses(admission, world, snapshot_of(&world->devices[1], 2),
		"was revoked");
	qs_admission_free(admission);
}

/* Two machines held the admin key: its chain has two records of a number. */
static void
a_fork_of_the_admins_chain_counts_whole(void **state)
{
	struct world *world = *state;
	struct qs_admission *admission = admission_to(world->store);
	struct qs_cert_body cert = {.rights = 0, .not_after_seq = 0};
	uint8_t body[48];
	struct qs_record draft = {
		.type = QS_RECORD_REVOKE,
		.seq = 1,
		.prev = world->admin[0].name,
		.time_ms = NOON,
		.public_body = {body, sizeof(body)},
	};

	takes(admission, world, snapshot_of(&world->devices[0], 4));
	memcpy(cert.device_pk, world->devices[0].pk, 32);
	qs_cert_encode(&cert, body);
	world_plant_record(world, qs_keys_admin(world->keys), &draft);
	refuses(admission, world, snapshot_of(&world->devices[0], 4),
		"was revoked");
	takes(admission, world, snapshot_of(&world->devices[1], 0));
	qs_admission_free(admission);
}

static void
a_mended_certificate_counts_again(void **state)
{
	struct world *world = *state;
	struct qs_admission *admission = admission_to(world->store);

	world_damage(world->admin[1].path, 3000);
	refuses(admission, world, snapshot_of(&world->devices[0], 4),
		"not certified");
	takes(admission, world, snapshot_of(&world->devices[1], 0));
	world_damage(world->admin[1].path, 3000); /* the same bit, back */
	takes(admission, world, snapshot_of(&world->devices[0], 4));
	qs_admission_free(admission);
}

static void
without_a_genesis_nobody_is_believed(void **state)
{
	struct world *world = *state;
	struct qs_admission *admission = admission_to(world->store);

	assert_int_equal(unlink(world->admin[0].path), 0);
	refuses(admission, world, snapshot_of(&world->devices[0], 4),
		"GENESIS");
	qs_admission_free(admission);
}

static void
an_empty_folder_takes_its_own_genesis_only(void **state)
{
	struct world *world = *state;
	struct qs_keys *other = help_other_keys(0x77);
	struct qs_genesis_body genesis;
	struct qs_admission *admission;
	struct qs_store *store = NULL;
	uint8_t body[64];
	struct offer offer = {&world->devices[0], QS_RECORD_GENESIS, 0,
		{body, sizeof(body)}, 0};
	char *dir = help_dir_make();
	struct qs_err err;

	help_ok(qs_store_create(dir, world->keys->folder_id, &store, &err),
		&err);
	admission = admission_to(store);
	refuses(admission, world, snapshot_of(&world->devices[0], 0),
		"GENESIS");
	memcpy(genesis.adm_pk, world->devices[0].pk, 32);
	qs_fmk_commit(other->fmk, genesis.fmk0_commit);
	qs_genesis_encode(&genesis, body);
	refuses(admission, world, offer, "GENESIS does not match");
	memcpy(genesis.adm_pk, world->keys->adm_pk, 32);
	qs_fmk_commit(world->keys->fmk, genesis.fmk0_commit);
	qs_genesis_encode(&genesis, body);
	refuses(admission, world, offer, "only the admin key");
	offer.signer = qs_keys_admin(world->keys);
	takes(admission, world, offer);
	offer.seq = 1;
	refuses(admission, world, offer, "GENESIS does not match");
	qs_admission_free(admission);
	qs_store_close(store);
	qs_keys_free(other);
	help_dir_remove(dir);
}

/* ---------------------------------------------------------------- objects */

static void
an_object_has_a_packs_size_head_and_folder(void **state)
{
	static const struct {
		size_t at;
		enum qs_code code;
		const char *words;
	} wrong[] = {
		{0, QS_ECORRUPT, "magic"},
		{8, QS_EUNSUPPORTED, "newer version"},
		{9, QS_EUNSUPPORTED, "newer version"},
		{10, QS_ECORRUPT, "reserved"},
		{16, QS_EKEY, "another folder"},
	};
	struct world *world = *state;
	uint8_t *object = calloc(1, QS_PACK_MIN);
	struct qs_span whole = qs_span(object, QS_PACK_MIN);
	struct qs_err err;

	assert_non_null(object);
	qs_pack_header(world->keys, object, object); /* any salt */
	help_ok(qs_admit_object(world->store, whole, &err), &err);
	for (size_t i = 0; i < 5; i++) {
		object[wrong[i].at] ^= 0x40;
		help_fails(qs_admit_object(world->store, whole, &err), &err,
			wrong[i].code, wrong[i].words);
		object[wrong[i].at] ^= 0x40;
	}
	help_fails(qs_admit_object(world->store,
		qs_span(object, QS_PACK_MIN - 1), &err), &err, QS_ECORRUPT,
		"length");
	help_fails(qs_admit_object(world->store, qs_span(object, 0), &err),
		&err, QS_ECORRUPT, "length");
	free(object);
}

/* ------------------------------------------------------------------ slots */

/* Well-formed as far as anybody without a factor can see. */
static void
make_slot(const struct world *world, uint8_t salt,
	uint8_t out[static QS_SLOT_LEN])
{
	memset(out, 0, QS_SLOT_LEN);
	memcpy(out, "QSTOREK1\1\1\1", 11);
	memcpy(out + 16, world->keys->folder_id, QS_FOLDER_ID_LEN);
	memset(out + 32, salt, 32);
	out[64] = QS_FACTOR_RECOVERY;
	memset(out + 1376, 0x55, 528);
}

static void
slots_are_of_the_folder_and_sixty_four(void **state)
{
	struct world *world = *state;
	uint8_t slot[QS_SLOT_LEN];
	struct qs_name name;
	struct qs_err err;

	for (uint8_t i = 0; i < 64; i++) {
		make_slot(world, i, slot);
		help_ok(qs_admit_slot(world->store, qs_span(slot, QS_SLOT_LEN),
			&err), &err);
		help_ok(world->store->ops->put_key(world->store->self,
			qs_span(slot, QS_SLOT_LEN), &name, &err), &err);
	}
	/* The 64th once more, after a lost answer. */
	help_ok(qs_admit_slot(world->store, qs_span(slot, QS_SLOT_LEN), &err),
		&err);
	make_slot(world, 64, slot);
	help_fails(qs_admit_slot(world->store, qs_span(slot, QS_SLOT_LEN),
		&err), &err, QS_EQUOTA, "64 are the most");
	slot[16] ^= 1;
	help_fails(qs_admit_slot(world->store, qs_span(slot, QS_SLOT_LEN),
		&err), &err, QS_EKEY, "another folder");
	help_fails(qs_admit_slot(world->store, qs_span(slot, 100), &err), &err,
		QS_ECORRUPT, "100 bytes");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_TEST(the_admin_and_certified_devices_may_append),
		WORLD_TEST(others_may_not_and_are_told_why),
		WORLD_TEST(types_other_than_snapshot_are_the_admins),
		WORLD_TEST(a_record_of_another_folder_is_refused),
		WORLD_TEST(what_another_connection_appended_is_learnt),
		WORLD_TEST(a_fork_of_the_admins_chain_counts_whole),
		WORLD_TEST(a_mended_certificate_counts_again),
		WORLD_TEST(without_a_genesis_nobody_is_believed),
		WORLD_TEST(an_empty_folder_takes_its_own_genesis_only),
		WORLD_TEST(an_object_has_a_packs_size_head_and_folder),
		WORLD_TEST(slots_are_of_the_folder_and_sixty_four),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
