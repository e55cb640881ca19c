/* SPDX-License-Identifier: ISC */
/* A folder in a fresh place, and machines that use it: for tests. */
#ifndef QS_FOLDER_RIG_H
#define QS_FOLDER_RIG_H

#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "snapshot/folder_internal.h"

#define RIG_TROUBLES 32

struct rig {
	char root[96], store[128];
	uint8_t id[QS_FOLDER_ID_LEN];
	uint8_t key[32]; /* what the first slot's key file hashes to */
	struct qs_slot_secret secret; /* a test's: not in locked memory */
	size_t trouble_count;
	struct qs_err troubles[RIG_TROUBLES];
};

static struct qs_err err;

#define OK(call) \
	do { \
		enum qs_code got_ = (call); \
		if (got_ != QS_OK) \
			fail_msg("%s: %s", qs_code_word(got_), err.msg); \
	} while (0)

static void
rig_trouble(void *arg, const struct qs_err *trouble)
{
	struct rig *rig = (struct rig *)arg;

	if (rig->trouble_count < RIG_TROUBLES)
		rig->troubles[rig->trouble_count] = *trouble;
	rig->trouble_count++;
}

static inline void
rig_quiet(struct rig *rig)
{
	if (rig->trouble_count > 0)
		fail_msg("trouble: %s", rig->troubles[0].msg);
}

/* A trouble of this code that says so; all are forgotten then. */
static inline void
rig_told(struct rig *rig, enum qs_code code, const char *words)
{
	size_t count = rig->trouble_count;

	rig->trouble_count = 0;
	for (size_t i = 0; i < count && i < RIG_TROUBLES; i++) {
		if (rig->troubles[i].code == code &&
			strstr(rig->troubles[i].msg, words) != NULL)
			return;
	}
	fail_msg("nothing was told of: %s (but %zu things, first: %s)", words,
		count, count > 0 ? rig->troubles[0].msg : "");
}

struct machine { /* a name for its cache and state folders */
	char cache[192], state[192];
	struct qs_folder_options options;
};

static inline struct machine *
rig_machine(struct rig *rig, const char *name)
{
	struct machine *machine = calloc(1, sizeof(*machine));

	(void)snprintf(machine->cache, sizeof(machine->cache), "%s/%s.cache",
		rig->root, name);
	(void)snprintf(machine->state, sizeof(machine->state), "%s/%s.state",
		rig->root, name);
	machine->options = (struct qs_folder_options){
		.cache_dir = machine->cache,
		.state_dir = machine->state,
		.trouble = rig_trouble,
		.trouble_arg = rig,
	};
	return machine;
}

static inline enum qs_code
rig_try(struct rig *rig, const struct machine *machine,
	struct qs_folder **out)
{
	struct qs_store *store;

	OK(qs_store_open(rig->store, rig->id, &store, &err));
	return qs_folder_open(store, &rig->secret, &machine->options, out,
		&err);
}

/* The folder as this machine sees it; machine is freed unless kept. */
static inline struct qs_folder *
rig_open(struct rig *rig, const char *name)
{
	struct machine *machine = rig_machine(rig, name);
	struct qs_folder *folder;

	OK(rig_try(rig, machine, &folder));
	free(machine);
	return folder;
}

static inline void
rig_sh(struct rig *rig, const char *command)
{
	char line[1024];

	(void)snprintf(line, sizeof(line), "cd %s && %s", rig->root, command);
	assert_int_equal(system(line), 0);
}

/* The one file that matches, below the rig's root. */
static inline void
rig_path(struct rig *rig, const char *pattern, char out[static 512])
{
	char full[512];
	glob_t found;

	(void)snprintf(full, sizeof(full), "%s/%s", rig->root, pattern);
	assert_int_equal(glob(full, 0, NULL, &found), 0);
	assert_int_equal(found.gl_pathc, 1);
	(void)snprintf(out, 512, "%s", found.gl_pathv[0]);
	globfree(&found);
}

/* A pack with one chunk of the byte n repeated, durable in the store. */
static inline struct qs_name
rig_pack(struct qs_folder *folder, unsigned n, bool into_index)
{
	struct qs_store *store = qs_folder_store(folder);
	struct qs_pack_builder *builder;
	struct qs_pack_ref ref;
	struct qs_pack_dir dir;
	struct qs_chunk_entry chunk = {.len = 1000};
	struct qs_stage *stage;
	struct qs_span object;
	uint8_t plain[1000];

	memset(plain, (int)n, sizeof(plain));
	qs_chunk_id(qs_folder_keys(folder), QS_KIND_DATA, 0,
		qs_span(plain, sizeof(plain)), &chunk.id);
	OK(qs_pack_builder_new(qs_folder_keys(folder), &builder, &err));
	qs_pack_builder_add(builder, QS_KIND_DATA, 0, QS_COMP_RAW,
		qs_span(plain, sizeof(plain)), sizeof(plain), &chunk, 1);
	OK(qs_pack_builder_seal(builder, false, &object, &err));
	OK(store->ops->stage(store->self, object, &stage, &err));
	qs_pack_builder_ref(builder, &ref);
	qs_pack_builder_dir(builder, &dir);
	OK(qs_store_name(store, &stage, 1, &ref.name, &err));
	OK(store->ops->commit(store->self, &stage, &ref.name, 1, &err));
	if (into_index) {
		OK(qs_index_add(qs_folder_index(folder), &ref, &dir, &err));
		OK(qs_index_commit(qs_folder_index(folder), &err));
	}
	qs_pack_builder_free(builder);
	return ref.name;
}

static inline struct qs_id
rig_id(struct qs_folder *folder, unsigned n)
{
	struct qs_id id;
	uint8_t plain[1000];

	memset(plain, (int)n, sizeof(plain));
	qs_chunk_id(qs_folder_keys(folder), QS_KIND_DATA, 0,
		qs_span(plain, sizeof(plain)), &id);
	return id;
}

static inline bool
rig_knows(struct qs_folder *folder, unsigned n)
{
	struct qs_id id = rig_id(folder, n);
	struct qs_chunk_loc loc;

	OK(qs_index_find(qs_folder_index(folder), &id, 1, &loc, &err));
	return loc.pack != 0;
}

/* An index chunk of these packs, in a pack of its own. */
static inline struct qs_name
rig_index_pack(struct qs_folder *folder, const struct qs_name *names,
	size_t count, struct qs_index_at *at)
{
	struct qs_store *store = qs_folder_store(folder);
	struct qs_pack_builder *builder;
	struct qs_pack_ref ref;
	struct qs_pack_dir dir;
	struct qs_chunk_entry chunk = {0};
	struct qs_stage *stage;
	struct qs_span object;
	struct qs_buf bytes = {0};
	size_t done;

	OK(qs_index_chunk_encode(qs_folder_index(folder), names, count,
		&bytes, &done, &err));
	assert_int_equal(done, count);
	chunk.len = (uint32_t)bytes.len;
	qs_chunk_id(qs_folder_keys(folder), QS_KIND_INDEX, 0,
		qs_buf_span(&bytes), &chunk.id);
	OK(qs_pack_builder_new(qs_folder_keys(folder), &builder, &err));
	qs_pack_builder_add(builder, QS_KIND_INDEX, 0, QS_COMP_RAW,
		qs_buf_span(&bytes), chunk.len, &chunk, 1);
	OK(qs_pack_builder_seal(builder, false, &object, &err));
	OK(store->ops->stage(store->self, object, &stage, &err));
	OK(qs_store_name(store, &stage, 1, &ref.name, &err));
	at->pack = ref.name;
	at->id = chunk.id;
	at->len = chunk.len;
	OK(store->ops->commit(store->self, &stage, &ref.name, 1, &err));
	qs_pack_builder_ref(builder, &ref);
	ref.name = at->pack;
	qs_pack_builder_dir(builder, &dir);
	OK(qs_index_add(qs_folder_index(folder), &ref, &dir, &err));
	OK(qs_index_commit(qs_folder_index(folder), &err));
	qs_pack_builder_free(builder);
	qs_buf_clear(&bytes);
	return at->pack;
}

/* A snapshot of nothing much, at a time; its payload is the caller's. */
static inline struct qs_payload
rig_payload(int64_t time_ns, const char *tag)
{
	struct qs_payload payload = {.kind = QS_PAYLOAD_SNAPSHOT};
	struct qs_snapshot *snapshot = &payload.snapshot;
	static const char *const path[] = {"/home/anna"};

	snapshot->time_ns = time_ns;
	snapshot->host = strdup("work");
	snapshot->user = strdup("anna");
	snapshot->program = strdup("test");
	OK(qs_texts_copy(path, 1, &snapshot->paths, &err));
	snapshot->path_count = 1;
	if (tag != NULL) {
		OK(qs_texts_copy(&tag, 1, &snapshot->tags, &err));
		snapshot->tag_count = 1;
	}
	snapshot->root_count = 1;
	snapshot->root_refs = malloc(QS_REF_LEN);
	memset(snapshot->root_refs, 1, QS_REF_LEN);
	return payload;
}

static inline struct qs_name
rig_save(struct qs_folder *folder, int64_t time_ns, struct qs_name *names,
	size_t count)
{
	struct qs_payload payload = rig_payload(time_ns, NULL);
	struct qs_name record;

	count = qs_names_sort(names, count);
	OK(qs_folder_append(folder, &payload, names, count, &record, &err));
	qs_payload_clear(&payload);
	return record;
}

static inline int
rig_setup(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	const char *tmp = getenv("TMPDIR");
	struct machine *machine;
	struct qs_factor factor = {.type = QS_FACTOR_KEYFILE};
	struct qs_new_slot slot = {"first", &factor, 1, true};
	struct qs_folder *folder;

	(void)snprintf(rig->root, sizeof(rig->root), "%.64s/qsfolderXXXXXX",
		tmp == NULL ? "/tmp" : tmp);
	assert_non_null(mkdtemp(rig->root));
	(void)snprintf(rig->store, sizeof(rig->store), "%s/store", rig->root);
	memset(rig->key, 'k', sizeof(rig->key));
	factor.secret = qs_span(rig->key, sizeof(rig->key));
	machine = rig_machine(rig, "a");
	OK(qs_folder_create(rig->store, &machine->options, &slot, 1, &folder,
		&err));
	free(machine);
	memcpy(rig->id, qs_folder_store(folder)->folder_id, sizeof(rig->id));
	qs_keys_slot_secret(qs_folder_keys(folder), true, &rig->secret);
	qs_folder_close(folder);
	rig_quiet(rig);
	*state = rig;
	return 0;
}

static inline int
rig_teardown(void **state)
{
	struct rig *rig = (struct rig *)*state;
	char line[256];

	(void)snprintf(line, sizeof(line), "rm -rf %s", rig->root);
	assert_int_equal(system(line), 0);
	free(rig);
	return 0;
}

#define RIG_TEST(name) \
	cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)

/* Out of the store, into the rig's directory, and back. */
static inline void
rig_move_object(struct rig *rig, const struct qs_name *name, bool away)
{
	char hex[QS_HEX_LEN + 1], line[512];

	qs_hex(hex, name->b, 32);
	if (away)
		(void)snprintf(line, sizeof(line), "mv store/*/obj/%.2s/%s .",
			hex, hex);
	else
		(void)snprintf(line, sizeof(line), "mv %s store/*/obj/%.2s/",
			hex, hex);
	rig_sh(rig, line);
}

#endif
