/* SPDX-License-Identifier: ISC */
/* Key slots, the keyring, tags, and how a snapshot is named. */
#include "tests/unit/folder_rig.h"

#define DAY INT64_C(86400000000000)

static struct qs_factor
keyfile(const uint8_t *key)
{
	return (struct qs_factor){
		.type = QS_FACTOR_KEYFILE,
		.secret = qs_span(key, 32),
	};
}

static struct qs_slot_list
load(struct qs_folder *folder, struct rig *rig)
{
	struct qs_slot_list list = {0};

	OK(qs_slots_load(qs_folder_store(folder), &list, rig_trouble, rig,
		&err));
	return list;
}

/* --------------------------------------------------------------- slots */

static void
slot_opens_with_its_factors_only(void **state)
{
	struct rig *rig = (struct rig *)*state;
	struct qs_folder *a = rig_open(rig, "a");
	struct qs_slot_list list = load(a, rig);
	struct qs_slot_secret *secret = qs_secret_alloc(sizeof(*secret));
	struct qs_factor factors[2] = {keyfile(rig->key), keyfile(rig->key)};
	uint8_t wrong[32] = {1};
	size_t which = 9;

	assert_int_equal(list.count, 1);
	assert_string_equal(list.slots[0].info.label, "first");
	OK(qs_slots_open(&list, factors, 1, secret, &which, &err));
	assert_int_equal(which, 0);
	assert_memory_equal(secret, &rig->secret, sizeof(*secret));
	assert_int_equal(qs_slots_open(&list, factors, 2, secret, &which,
		&err), QS_EAUTH);
	factors[0].type = QS_FACTOR_RECOVERY;
	assert_int_equal(qs_slots_open(&list, factors, 1, secret, &which,
		&err), QS_EAUTH);
	assert_non_null(strstr(err.msg, "a recovery code"));
	factors[0] = keyfile(wrong);
	assert_int_equal(qs_slots_open(&list, factors, 1, secret, &which,
		&err), QS_EAUTH);
	qs_secret_free(secret);
	qs_slots_clear(&list);
	qs_folder_close(a);
	rig_quiet(rig);
}

static void
factors_may_be_given_in_any_order(void **state)
{
	struct rig *rig = (struct rig *)*state;
	struct qs_folder *a = rig_open(rig, "a");
	uint8_t code[32] = {3}, key[32] = {4};
	struct qs_factor made[2] = {
		{.type = QS_FACTOR_RECOVERY, .secret = qs_span(code, 32)},
		keyfile(key),
	};
	struct qs_factor given[2] = {made[1], made[0]};
	struct qs_new_slot slot = {"both", made, 2, false};
	struct qs_slot_secret *secret = qs_secret_alloc(sizeof(*secret));
	struct qs_slot_list list;
	struct qs_name name;
	size_t which;

	OK(qs_folder_slot_add(a, &slot, &name, &err));
	list = load(a, rig);
	OK(qs_slots_open(&list, given, 2, secret, &which, &err));
	assert_memory_equal(list.slots[which].name.b, name.b, 32);
	assert_true(qs_is_zero(secret->adm_seed, 32));
	qs_secret_free(secret);
	qs_slots_clear(&list);
	qs_folder_close(a);
}

static void
damaged_slot_does_not_lock_out_the_others(void **state)
{
	struct rig *rig = (struct rig *)*state;
	struct qs_folder *a = rig_open(rig, "a");
	uint8_t key[32] = {4};
	struct qs_factor factor = keyfile(key);
	struct qs_new_slot slot = {"second", &factor, 1, true};
	struct qs_slot_list list = load(a, rig);
	struct qs_name name;
	char hex[QS_HEX_LEN + 1], line[384];

	qs_hex(hex, list.slots[0].name.b, 32);
	qs_slots_clear(&list);
	OK(qs_folder_slot_add(a, &slot, &name, &err));
	(void)snprintf(line, sizeof(line), "printf ZZ | dd of=$(echo "
		"store/*/keys/%s.key) bs=1 seek=99 conv=notrunc 2>/dev/null"
		" && touch $(echo store/*/keys)/hello.txt", hex);
	rig_sh(rig, line);
	list = load(a, rig);
	assert_int_equal(rig->trouble_count, 2);
	rig_told(rig, QS_EINVAL, "hello.txt");
	assert_int_equal(list.count, 1);
	assert_string_equal(list.slots[0].info.label, "second");
	qs_slots_clear(&list);
	/* The only one that is whole can't go; the damaged one can. */
	assert_int_equal(qs_folder_slot_remove(a, &name, &err), QS_EINVAL);
	assert_true(qs_unhex(name.b, 32, hex));
	OK(qs_folder_slot_remove(a, &name, &err));
	rig_sh(rig, "rm store/*/keys/*");
	assert_int_equal(qs_slots_load(qs_folder_store(a), &list, rig_trouble,
		rig, &err), QS_EKEY);
	qs_folder_close(a);
}

static void
removed_slot_that_comes_back_is_told(void **state)
{
	struct rig *rig = (struct rig *)*state;
	struct qs_folder *a = rig_open(rig, "a");
	uint8_t key[32] = {4}, none[32] = {0};
	struct qs_factor factor = keyfile(key);
	struct qs_new_slot slot = {"second", &factor, 1, false};
	struct qs_slot_list list = load(a, rig);
	struct qs_name first = list.slots[0].name, second;

	qs_slots_clear(&list);
	assert_int_equal(qs_folder_slot_remove(a, &first, &err), QS_EINVAL);
	assert_non_null(strstr(err.msg, "last key slot"));
	OK(qs_folder_slot_add(a, &slot, &second, &err));
	rig_sh(rig, "cp -a store/*/keys old");
	OK(qs_folder_slot_remove(a, &first, &err));
	assert_int_equal(qs_folder_slot_remove(a, &first, &err),
		QS_ENOTFOUND);
	assert_int_equal(qs_folder_slot_remove(a, &second, &err), QS_EINVAL);
	qs_folder_close(a);
	a = rig_open(rig, "a");
	rig_quiet(rig);
	qs_folder_close(a);
	rig_sh(rig, "cp -an old/. store/*/keys/");
	memcpy(rig->secret.adm_seed, none, 32);
	a = rig_open(rig, "a");
	rig_told(rig, QS_EROLLBACK, "was removed and is in");
	assert_int_equal(qs_folder_slot_remove(a, &first, &err), QS_EKEY);
	slot.with_admin = true;
	assert_int_equal(qs_folder_slot_add(a, &slot, &second, &err),
		QS_EKEY);
	qs_folder_close(a);
}

static void
slot_that_came_back_is_dropped_without_a_record(void **state)
{
	struct rig *rig = (struct rig *)*state;
	struct qs_folder *a = rig_open(rig, "a");
	uint8_t key[32] = {4};
	struct qs_factor factor = keyfile(key);
	struct qs_new_slot slot = {"second", &factor, 1, true};
	struct qs_slot_list list = load(a, rig);
	struct qs_name first = list.slots[0].name, second;
	char before[QS_HEAD_TOKEN_LEN + 1], after[QS_HEAD_TOKEN_LEN + 1];

	qs_slots_clear(&list);
	OK(qs_folder_slot_add(a, &slot, &second, &err));
	rig_sh(rig, "cp -a store/*/keys old");
	OK(qs_folder_slot_remove(a, &first, &err));
	qs_folder_close(a);
	rig_sh(rig, "cp -an old/. store/*/keys/");
	a = rig_open(rig, "a");
	rig_told(rig, QS_EROLLBACK, "key slot");
	/* One that is retired does not count as another way in. */
	assert_int_equal(qs_folder_slot_remove(a, &second, &err), QS_EINVAL);
	qs_folder_head_token(a, before);
	OK(qs_folder_slot_remove(a, &first, &err));
	qs_folder_head_token(a, after);
	assert_string_equal(before, after);
	qs_folder_close(a);
	a = rig_open(rig, "b");
	rig_quiet(rig);
	qs_folder_close(a);
}

/* ------------------------------------------------------------- keyring */

static void
keyring_gives_back_what_it_got(void **state)
{
	struct rig *rig = (struct rig *)*state;
	struct qs_slot_secret *secret = qs_secret_alloc(sizeof(*secret));
	uint8_t other[QS_FOLDER_ID_LEN];
	enum qs_code rc = qs_keyring_put(rig->id, &rig->secret, 60, &err);

	/* Random as the folder's own: the user's keyring is all runs'. */
	memcpy(other, rig->id, sizeof(other));
	other[0] ^= 1;
	if (rc != QS_OK) {
		/* Containers and old kernels: said in words, not a failure. */
		assert_int_equal(rc, QS_EUNSUPPORTED);
		assert_int_equal(qs_keyring_get(rig->id, secret, &err),
			QS_ENOTFOUND);
		qs_secret_free(secret);
		skip();
	}
	OK(qs_keyring_get(rig->id, secret, &err));
	assert_memory_equal(secret, &rig->secret, sizeof(*secret));
	assert_int_equal(qs_keyring_get(other, secret, &err), QS_ENOTFOUND);
	OK(qs_keyring_drop(rig->id, &err));
	assert_int_equal(qs_keyring_get(rig->id, secret, &err), QS_ENOTFOUND);
	OK(qs_keyring_drop(rig->id, &err));
	/* Somebody else's secret under this folder's name. */
	OK(qs_keyring_put(other, &rig->secret, 60, &err));
	rc = qs_keyring_get(other, secret, &err);
	OK(qs_keyring_drop(other, &err));
	assert_int_equal(rc, QS_ECORRUPT);
	assert_int_equal(qs_keyring_put(rig->id, &rig->secret, 0, &err),
		QS_EINVAL);
	qs_secret_free(secret);
}

/* ------------------------------------------------------ tags and names */

/* A note as a machine writes it whose clock is ahead by a day. */
static void
tag_from_the_future(struct qs_folder *folder, const struct qs_name *record)
{
	static const char *const tags[] = {"future"};
	struct qs_payload note = {.kind = QS_PAYLOAD_NOTE};
	struct qs_buf payload = {0};
	struct qs_draft draft = {.type = QS_RECORD_SNAPSHOT};
	struct qs_mark mark;
	int lock;

	note.note_record = *record;
	OK(qs_texts_copy(tags, 1, &note.snapshot.tags, &err));
	note.snapshot.tag_count = 1;
	OK(qs_payload_encode(&note, &payload, &err));
	draft.fixed = qs_buf_span(&payload);
	draft.not_before_ms = (uint64_t)((qs_now_ns() + DAY) / 1000000);
	OK(qs_state_lock(folder, &lock, &err));
	OK(qs_chain_append(folder, folder->device, &draft, &mark, &err));
	qs_fd_close(&lock);
	qs_buf_clear(&payload);
	qs_payload_clear(&note);
}

static void
tags_are_replaced_for_everybody(void **state)
{
	struct rig *rig = (struct rig *)*state;
	static const char *const one[] = {"one"}, *const two[] = {"x", "two"};
	struct qs_folder *a = rig_open(rig, "a"), *b;
	const struct qs_snapshot *snapshot;
	char token[QS_HEAD_TOKEN_LEN + 1], after[QS_HEAD_TOKEN_LEN + 1];

	(void)rig_save(a, DAY, NULL, 0);
	snapshot = qs_folder_snapshot(a, 0);
	OK(qs_folder_tag(a, snapshot, one, 1, &err));
	assert_string_equal(snapshot->tags[0], "one");
	assert_int_equal(qs_folder_snapshot_count(a), 1);
	qs_folder_head_token(a, token);
	qs_folder_close(a);
	b = rig_open(rig, "b");
	snapshot = qs_folder_snapshot(b, 0);
	assert_string_equal(snapshot->tags[0], "one");
	qs_folder_head_token(b, after);
	assert_string_equal(token, after);
	qs_folder_close(b);
	a = rig_open(rig, "a");
	tag_from_the_future(a, &qs_folder_snapshot(a, 0)->record);
	qs_folder_close(a);
	b = rig_open(rig, "b");
	assert_string_equal(qs_folder_snapshot(b, 0)->tags[0], "future");
	OK(qs_folder_tag(b, qs_folder_snapshot(b, 0), two, 2, &err));
	qs_folder_close(b);
	a = rig_open(rig, "a");
	snapshot = qs_folder_snapshot(a, 0);
	assert_int_equal(snapshot->tag_count, 2);
	assert_string_equal(snapshot->tags[1], "two");
	OK(qs_folder_tag(a, snapshot, NULL, 0, &err));
	assert_int_equal(snapshot->tag_count, 0);
	qs_folder_close(a);
	b = rig_open(rig, "b");
	assert_int_equal(qs_folder_snapshot(b, 0)->tag_count, 0);
	qs_folder_close(b);
	rig_quiet(rig);
}

static enum qs_code
find(struct qs_folder *folder, const char *text,
	const struct qs_filter *filter, int64_t expected)
{
	const struct qs_snapshot *found = NULL;
	enum qs_code rc = qs_folder_find(folder, text, filter, &found, &err);

	if (rc == QS_OK)
		assert_int_equal(found->time_ns, expected);
	return rc;
}

static void
snapshots_are_found_by_their_names(void **state)
{
	struct rig *rig = (struct rig *)*state;
	struct qs_folder *a = rig_open(rig, "a");
	const char *no_host[] = {"play"}, *home[] = {"/home/anna"};
	struct qs_filter filter = {.hosts = no_host, .host_count = 1};
	struct qs_name record;
	char hex[QS_HEX_LEN + 1];

	assert_int_equal(find(a, "latest", NULL, 0), QS_ENOTFOUND);
	(void)rig_save(a, 3 * DAY, NULL, 0);
	record = rig_save(a, DAY, NULL, 0);
	(void)rig_save(a, 2 * DAY, NULL, 0);
	qs_hex(hex, record.b, 32);
	OK(find(a, "latest", NULL, 3 * DAY));
	OK(find(a, "latest~0", NULL, 3 * DAY));
	OK(find(a, "latest~2", NULL, DAY));
	assert_int_equal(find(a, "latest~3", NULL, 0), QS_ENOTFOUND);
	OK(find(a, hex, NULL, DAY));
	hex[8] = '\0';
	for (size_t i = 0; i < 8; i++)
		hex[i] = (char)(hex[i] >= 'a' ? hex[i] - 'a' + 'A' : hex[i]);
	OK(find(a, hex, NULL, DAY));
	assert_int_equal(find(a, "abc", NULL, 0), QS_EINVAL);
	assert_int_equal(find(a, "lately", NULL, 0), QS_EINVAL);
	assert_int_equal(find(a, "latest~", NULL, 0), QS_EINVAL);
	assert_int_equal(find(a, "latest~1x", NULL, 0), QS_EINVAL);
	assert_int_equal(find(a, "latest~99999999999999999999", NULL, 0),
		QS_EINVAL);
	assert_int_equal(find(a, "", NULL, 0), QS_EINVAL);
	assert_int_equal(find(a, "latest", &filter, 0), QS_ENOTFOUND);
	filter = (struct qs_filter){.paths = home, .path_count = 1};
	OK(find(a, "latest~1", &filter, 2 * DAY));
	/* Two with one beginning. */
	memcpy(a->snapshots[0]->record.b, a->snapshots[1]->record.b, 4);
	qs_hex(hex, a->snapshots[0]->record.b, 4);
	assert_int_equal(find(a, hex, NULL, 0), QS_EINVAL);
	assert_non_null(strstr(err.msg, "ambiguous: "));
	memset(a->snapshots[0]->record.b, 0x77, 32);
	memset(a->snapshots[1]->record.b, 0x77, 32);
	memset(a->snapshots[2]->record.b, 0x77, 32);
	assert_int_equal(find(a, "fffe", NULL, 0), QS_ENOTFOUND);
	qs_folder_close(a);
}

static void
filters_match_as_people_expect(void **state)
{
	char host[] = "work", path[] = "/home", x[] = "x", y[] = "y";
	char *paths[] = {path, NULL}, *tags[] = {x, y, NULL};
	struct qs_snapshot snapshot = {
		.host = host, .paths = paths, .path_count = 1,
		.tags = tags, .tag_count = 2,
	};
	static const struct {
		const char *tag;
		bool tagged, untagged;
	} cases[] = {
		{"x", true, false}, {"x,y", true, false},
		{"y,x", true, false}, {"x,z", false, false},
		{"", false, true}, {"xy", false, false},
	};
	const char *hosts[] = {"play", "work"};
	const char *two[] = {"/home", "/srv"};
	struct qs_filter filter = {0};

	(void)state;
	assert_true(qs_filter_match(&filter, &snapshot));
	filter.hosts = hosts;
	filter.host_count = 2;
	assert_true(qs_filter_match(&filter, &snapshot));
	filter.host_count = 1;
	assert_false(qs_filter_match(&filter, &snapshot));
	filter = (struct qs_filter){.paths = two, .path_count = 2};
	assert_false(qs_filter_match(&filter, &snapshot));
	filter.path_count = 1;
	assert_true(qs_filter_match(&filter, &snapshot));
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		filter = (struct qs_filter){.tags = &cases[i].tag,
			.tag_count = 1};
		snapshot.tag_count = 2;
		assert_int_equal(qs_filter_match(&filter, &snapshot),
			cases[i].tagged);
		snapshot.tag_count = 0;
		assert_int_equal(qs_filter_match(&filter, &snapshot),
			cases[i].untagged);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(slot_opens_with_its_factors_only),
		RIG_TEST(factors_may_be_given_in_any_order),
		RIG_TEST(damaged_slot_does_not_lock_out_the_others),
		RIG_TEST(removed_slot_that_comes_back_is_told),
		RIG_TEST(slot_that_came_back_is_dropped_without_a_record),
		RIG_TEST(keyring_gives_back_what_it_got),
		RIG_TEST(tags_are_replaced_for_everybody),
		RIG_TEST(snapshots_are_found_by_their_names),
		cmocka_unit_test(filters_match_as_people_expect),
	};

	if (qs_crypto_init(&err) != QS_OK)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
