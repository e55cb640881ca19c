/* SPDX-License-Identifier: ISC */
/*
 * The known answers of snapshot/: tree.txt, content.txt, index.txt and
 * payload.txt of tests/vectors say what is in them.  Exactly these bytes are
 * made, and taken in again.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <stdio.h>

#include "snapshot/content_internal.h"
#include "snapshot/folder_internal.h"
#include "tests/suite/store_help.h"

#define OK(call) help_ok(call, &err)

static struct qs_keys *keys;
static struct qs_err err;

static struct qs_span
text(const char *s)
{
	return qs_span(s, strlen(s));
}

static void
make_ref(uint8_t *ref, uint8_t fill, uint64_t len)
{
	memset(ref, fill, 32);
	qs_store64(ref + 32, len);
}

static void
id_matches(const char *file, const char *name, enum qs_kind kind,
	struct qs_span chunk)
{
	struct qs_id id;

	qs_chunk_id(keys, kind, 0, chunk, &id);
	help_matches(file, name, id.b, sizeof(id.b));
}

/* ---------------------------------------------------------------- trees */

#define TREE "tree.txt"

static void
add_entry(struct qs_buf *tree, const char *name, const struct qs_node *node)
{
	struct qs_buf wanted = help_vector(TREE, name);
	struct qs_buf entry = {0}, again = {0};
	struct qs_node back;
	size_t used = 0;

	OK(qs_node_encode(node, &entry, &err));
	help_matches(TREE, name, entry.data, entry.len);
	OK(qs_node_decode(qs_buf_span(&wanted), &back, &used, &err));
	assert_int_equal(used, wanted.len);
	OK(qs_node_encode(&back, &again, &err));
	help_matches(TREE, name, again.data, again.len);
	OK(qs_buf_append(tree, entry.data, entry.len, &err));
	qs_buf_clear(&entry);
	qs_buf_clear(&wanted);
	qs_buf_clear(&again);
}

static void
tree_matches(const char *name, const char *id_name, uint32_t count,
	const struct qs_buf *tree)
{
	uint32_t found = 99;

	qs_tree_head(tree->data, count);
	help_matches(TREE, name, tree->data, tree->len);
	id_matches(TREE, id_name, QS_KIND_TREE, qs_buf_span(tree));
	OK(qs_tree_check(qs_buf_span(tree), &found, &err));
	assert_int_equal(found, count);
}

static void
trees_are_these_bytes(void **state)
{
	uint8_t file_refs[3 * QS_REF_LEN], sub_refs[2 * QS_REF_LEN], *head;
	struct qs_buf xattrs = {0}, tree = {0};
	struct qs_node node = {.type = QS_NODE_BLOCKDEV, .mode = 0660,
		.gid = 6, .mtime_ns = INT64_C(1700000000000000000), .links = 1,
		.rdev_major = 8, .rdev_minor = 17, .name = text("disk"),
		.user = text("root"), .group = text("disk")};

	(void)state;
	OK(qs_buf_extend(&tree, QS_TREE_HEAD, &head, &err));
	tree_matches("tree_empty", "tree_empty_id", 0, &tree);
	add_entry(&tree, "entry_device", &node);
	node = (struct qs_node){.type = QS_NODE_FIFO, .mode = 0600,
		.links = 1, .name = text("fifo")};
	add_entry(&tree, "entry_fifo", &node);
	make_ref(file_refs, 1, 1000);
	make_ref(file_refs + QS_REF_LEN, 0, UINT64_C(1) << 40);
	make_ref(file_refs + 2 * QS_REF_LEN, 2, QS_CHUNK_MAX);
	OK(qs_xattr_append(&xattrs, text("user.a"), text("x"), &err));
	OK(qs_xattr_append(&xattrs, text("user.b"), text(""), &err));
	node = (struct qs_node){.type = QS_NODE_FILE, .mode = 04755,
		.uid = 1000, .gid = 100, .mtime_ns = -5,
		.size = 1000 + (UINT64_C(1) << 40) + QS_CHUNK_MAX,
		.link_group = 7, .links = 2, .name = text("photo \xff.jpg"),
		.user = text("anna"), .group = text("users"),
		.xattr_count = 2, .xattrs = qs_buf_span(&xattrs),
		.content = {0, 3, file_refs}};
	add_entry(&tree, "entry_file", &node);
	make_ref(sub_refs, 3, 5000);
	make_ref(sub_refs + QS_REF_LEN, 4, 60);
	node = (struct qs_node){.type = QS_NODE_DIR, .mode = 0755,
		.uid = 1000, .gid = 100, .mtime_ns = 1, .size = 5060,
		.links = 3, .name = text("sub"), .content = {1, 2, sub_refs}};
	add_entry(&tree, "entry_folder", &node);
	node = (struct qs_node){.type = QS_NODE_SYMLINK, .mode = 0777,
		.links = 1, .name = text("to"), .target = text("../sub")};
	add_entry(&tree, "entry_link", &node);
	node = (struct qs_node){.type = QS_NODE_DIR, .is_partial = true,
		.mode = 0700, .links = 1, .name = text("unread")};
	add_entry(&tree, "entry_partial", &node);
	tree_matches("tree_all", "tree_all_id", 6, &tree);
	qs_buf_clear(&xattrs);
	qs_buf_clear(&tree);
}

/* ------------------------------------------------------------- contents */

#define CONTENT "content.txt"

struct lists {
	uint32_t count; /* of references; part of the vectors' names */
	unsigned made;
};

static enum qs_code
emit(void *arg, struct qs_span list, struct qs_id *id, struct qs_err *unused)
{
	struct lists *lists = arg;
	const uint8_t *refs;
	char name[64], id_name[72];
	struct qs_name hash;
	uint32_t count;
	uint64_t sum;

	(void)unused;
	qs_chunk_id(keys, QS_KIND_LIST, 0, list, id);
	if (lists == NULL)
		return QS_OK;
	(void)snprintf(name, sizeof(name), "list_%u_%u",
		(unsigned)lists->count, lists->made++);
	(void)snprintf(id_name, sizeof(id_name), "%s_id", name);
	qs_hash_name(list, &hash);
	if (list.len < 1024)
		help_matches(CONTENT, name, list.data, list.len);
	else
		help_matches(CONTENT, name, hash.b, sizeof(hash.b));
	help_matches(CONTENT, id_name, id->b, sizeof(id->b));
	OK(qs_list_decode(list, 0, &refs, &count, &sum, &err));
	assert_int_equal(count, (list.len - QS_LIST_HEAD) / QS_REF_LEN);
	return QS_OK;
}

static void
root_matches(const char *name, struct qs_content_builder *builder,
	uint64_t size)
{
	struct qs_content content;
	struct qs_buf root = {0};
	struct qs_name hash;
	uint64_t found = 0;

	OK(qs_content_builder_finish(builder, &content, &found, &err));
	assert_true(found == size);
	OK(qs_buf_append(&root, &content.depth, 1, &err));
	OK(qs_buf_append(&root, content.refs,
		(size_t)content.count * QS_REF_LEN, &err));
	qs_hash_name(qs_buf_span(&root), &hash);
	if (root.len < 1024)
		help_matches(CONTENT, name, root.data, root.len);
	else
		help_matches(CONTENT, name, hash.b, sizeof(hash.b));
	qs_buf_clear(&root);
	qs_content_builder_clear(builder);
}

static void
contents_are_these_bytes(void **state)
{
	static const uint32_t counts[] = {3, 1024, 1027};

	(void)state;
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		struct lists lists = {counts[i], 0};
		struct qs_content_builder builder;
		const uint64_t n = counts[i];
		char name[32];

		qs_content_builder_init(&builder, emit, &lists);
		for (uint32_t j = 0; j < counts[i]; j++) {
			struct qs_id id = {{0}};
			uint8_t number[4];

			qs_store32(number, j);
			if (j % 7 != 6)
				qs_hash_plain(id.b, 32, qs_span(number, 4));
			OK(qs_content_builder_add(&builder, &id,
				(uint64_t)j + 1, &err));
		}
		(void)snprintf(name, sizeof(name), "root_%u",
			(unsigned)counts[i]);
		root_matches(name, &builder, n * (n + 1) / 2);
		assert_int_equal(lists.made, n > QS_LIST_REFS ? 2 : 0);
	}
}

static void
lists_of_lists_are_these_bytes(void **state)
{
	const uint64_t count = (uint64_t)QS_LIST_REFS * QS_LIST_REFS + 1;
	struct qs_content_builder builder;
	struct qs_id id;

	(void)state;
	memset(id.b, 1, sizeof(id.b));
	qs_content_builder_init(&builder, emit, NULL);
	for (uint64_t i = 0; i < count; i++)
		OK(qs_content_builder_add(&builder, &id, 1, &err));
	root_matches("deep", &builder, count);
}

/* --------------------------------------------------------- index chunks */

#define INDEX "index.txt"

static enum qs_code
add_again(void *arg, const struct qs_pack_ref *ref,
	const struct qs_pack_dir *dir, struct qs_err *unused)
{
	(void)unused;
	OK(qs_index_add(arg, ref, dir, &err));
	return QS_OK;
}

static struct qs_index *
new_index(void)
{
	static const uint8_t id[QS_FOLDER_ID_LEN];
	struct qs_index *index = NULL;
	bool rebuilt;

	OK(qs_index_open(":memory:", id, &index, &rebuilt, &err));
	return index;
}

static void
index_matches(struct qs_index *index)
{
	struct qs_name names[2];
	struct qs_buf chunk = {0};
	size_t done = 0;

	memset(names[0].b, 0x40, 32);
	memset(names[1].b, 0x41, 32);
	OK(qs_index_commit(index, &err));
	OK(qs_index_chunk_encode(index, names, 2, &chunk, &done, &err));
	assert_int_equal(done, 2);
	help_matches(INDEX, "index", chunk.data, chunk.len);
	id_matches(INDEX, "index_id", QS_KIND_INDEX, qs_buf_span(&chunk));
	qs_buf_clear(&chunk);
	qs_index_close(index);
}

static void
index_chunks_are_these_bytes(void **state)
{
	struct qs_frame_entry frames[2] = {
		{160, 116, 100, QS_COMP_RAW, QS_KIND_DATA, 0},
		{276, 56, 50, QS_COMP_ZSTD, QS_KIND_TREE, 1},
	};
	struct qs_chunk_entry chunks[3] = {
		{.frame = 0, .off = 0, .len = 60},
		{.frame = 0, .off = 60, .len = 40},
		{.frame = 1, .off = 0, .len = 50},
	};
	const struct qs_pack_dir dir = {frames, chunks, 2, 3}, none = {0};
	struct qs_pack_ref ref = {.size = QS_PACK_MIN};
	struct qs_index *index = new_index();
	struct qs_buf wanted = help_vector(INDEX, "index");

	(void)state;
	for (int i = 0; i < 3; i++)
		memset(chunks[i].id.b, i + 1, 32);
	memset(ref.name.b, 0x40, 32);
	memset(ref.salt, 0x11, 32);
	OK(qs_index_add(index, &ref, &dir, &err));
	ref.size = QS_PACK_MAX;
	memset(ref.name.b, 0x41, 32);
	memset(ref.salt, 0x22, 32);
	OK(qs_index_add(index, &ref, &none, &err));
	index_matches(index);

	index = new_index();
	OK(qs_index_chunk_decode(qs_buf_span(&wanted), add_again, index,
		&err));
	index_matches(index);
	qs_buf_clear(&wanted);
}

/* ------------------------------------------------------------- payloads */

#define PAYLOAD "payload.txt"

static void
payload_matches(const char *name, const struct qs_payload *payload)
{
	struct qs_buf made = {0}, wanted = help_vector(PAYLOAD, name);
	struct qs_payload back;

	OK(qs_payload_encode(payload, &made, &err));
	help_matches(PAYLOAD, name, made.data, made.len);
	OK(qs_payload_decode(qs_buf_span(&wanted), &back, &err));
	made.len = 0;
	OK(qs_payload_encode(&back, &made, &err));
	help_matches(PAYLOAD, name, made.data, made.len);
	qs_payload_clear(&back);
	qs_buf_clear(&made);
	qs_buf_clear(&wanted);
}

static void
payloads_are_these_bytes(void **state)
{
	static char host[] = "work", user[] = "anna", program[] = "qstore 1";
	static char path_a[] = "/home/anna", path_b[] = "/srv/a\xff b";
	static char tag_a[] = "daily", tag_b[] = "keep";
	char *paths[] = {path_a, path_b, NULL}, *tags[] = {tag_a, tag_b, NULL};
	uint8_t refs[2 * QS_REF_LEN];
	struct qs_index_at index = {.len = 4000};
	struct qs_name direct[2];
	struct qs_mark heads[2] = {{.seq = 6, .time_ms = 7},
		{.seq = UINT64_MAX, .time_ms = 8}};
	struct qs_turn turns[2] = {{.is_forgotten = true},
		{.is_forgotten = false}};
	struct qs_payload payload = {.kind = QS_PAYLOAD_SNAPSHOT,
		.snapshot = {.root_count = 1, .root_refs = refs}};

	(void)state;
	make_ref(refs, 7, 12);
	payload_matches("snapshot_least", &payload);

	make_ref(refs, 7, 5000);
	make_ref(refs + QS_REF_LEN, 8, 60);
	memset(index.pack.b, 3, 32);
	memset(index.id.b, 5, 32);
	for (int i = 0; i < 2; i++) {
		memset(direct[i].b, 9 + i, 32);
		memset(heads[i].device, 1 + i, QS_DEVICE_LEN);
		memset(heads[i].name.b, 0x0b + i, 32);
	}
	payload.snapshot = (struct qs_snapshot){.time_ns = -5, .uid = 1000,
		.gid = 1001, .host = host, .user = user, .program = program,
		.paths = paths, .path_count = 2, .tags = tags, .tag_count = 2,
		.totals = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15,
			16},
		.root_depth = 1, .root_count = 2, .root_refs = refs};
	memset(payload.snapshot.parent.b, 4, 32);
	payload.cover = (struct qs_cover){&index, 1, direct, 2};
	payload.heads = heads;
	payload.head_count = 2;
	payload_matches("snapshot", &payload);

	payload.kind = QS_PAYLOAD_NOTE;
	memset(payload.note_record.b, 6, 32);
	payload_matches("note", &payload);

	payload.kind = QS_PAYLOAD_TURNS;
	memset(turns[0].record.b, 6, 32);
	memset(turns[1].record.b, 7, 32);
	payload.turns = turns;
	payload.turn_count = 2;
	payload_matches("turns", &payload);
	payload.turn_count = payload.head_count = 0;
	payload_matches("turns_least", &payload);
}

static void
the_genesis_payload_is_these_bytes(void **state)
{
	const struct qs_chunker_params params = qs_chunker_params_default();
	struct qs_buf wanted = help_vector(PAYLOAD, "genesis");
	uint8_t made[QS_GENESIS_LEN];
	struct qs_chunker_params back;
	const uint8_t *ds;

	(void)state;
	qs_genesis_payload_encode(qs_keys_ds(keys), &params, made);
	help_matches(PAYLOAD, "genesis", made, sizeof(made));
	OK(qs_genesis_payload_decode(qs_buf_span(&wanted), &ds, &back, &err));
	qs_genesis_payload_encode(ds, &back, made);
	help_matches(PAYLOAD, "genesis", made, sizeof(made));
	qs_buf_clear(&wanted);
}

static int
set_up(void **state)
{
	(void)state;
	OK(qs_crypto_init(&err));
	keys = help_keys();
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	qs_keys_free(keys);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(trees_are_these_bytes),
		cmocka_unit_test(contents_are_these_bytes),
		cmocka_unit_test(lists_of_lists_are_these_bytes),
		cmocka_unit_test(index_chunks_are_these_bytes),
		cmocka_unit_test(payloads_are_these_bytes),
		cmocka_unit_test(the_genesis_payload_is_these_bytes),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
