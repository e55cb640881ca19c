/* SPDX-License-Identifier: ISC */
/* Unit tests of snapshot/tree and snapshot/content: the bytes of a tree. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <stdio.h>

#include "snapshot/content_internal.h"

#define OK(call) assert_int_equal((call), QS_OK)

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

/* A file with everything a file can have. */
struct sample {
	uint8_t refs[3 * QS_REF_LEN];
	struct qs_buf xattrs;
	struct qs_node node;
};

static void
fill_sample(struct sample *sample)
{
	struct qs_err err;

	memset(sample, 0, sizeof(*sample));
	make_ref(sample->refs, 1, 1000);
	make_ref(sample->refs + QS_REF_LEN, 0, (uint64_t)1 << 40);
	make_ref(sample->refs + 2 * QS_REF_LEN, 2, QS_CHUNK_MAX);
	OK(qs_xattr_append(&sample->xattrs, text("user.a"), text("x"), &err));
	OK(qs_xattr_append(&sample->xattrs, text("user.b"), text(""), &err));
	sample->node = (struct qs_node){.type = QS_NODE_FILE, .mode = 04755,
		.uid = 1000, .gid = 100, .mtime_ns = -5, .size = 1000 +
		((uint64_t)1 << 40) + QS_CHUNK_MAX, .link_group = 7,
		.links = 2, .name = text("photo \xff.jpg"),
		.user = text("anna"), .group = text("users"),
		.xattr_count = 2, .xattrs = qs_buf_span(&sample->xattrs),
		.content = {0, 3, sample->refs}};
}

static void
assert_span(struct qs_span a, struct qs_span b)
{
	assert_int_equal(a.len, b.len);
	if (a.len > 0)
		assert_memory_equal(a.data, b.data, a.len);
}

static void
assert_same(const struct qs_node *a, const struct qs_node *b)
{
	assert_int_equal(a->type, b->type);
	assert_int_equal(a->mode, b->mode);
	assert_int_equal(a->uid, b->uid);
	assert_int_equal(a->gid, b->gid);
	assert_true(a->mtime_ns == b->mtime_ns && a->size == b->size);
	assert_true(a->link_group == b->link_group);
	assert_int_equal(a->links, b->links);
	assert_int_equal(a->rdev_major, b->rdev_major);
	assert_int_equal(a->rdev_minor, b->rdev_minor);
	assert_span(a->name, b->name);
	assert_span(a->user, b->user);
	assert_span(a->group, b->group);
	assert_span(a->target, b->target);
	assert_int_equal(a->xattr_count, b->xattr_count);
	assert_span(a->xattrs, b->xattrs);
	assert_int_equal(a->content.depth, b->content.depth);
	assert_int_equal(a->content.count, b->content.count);
	assert_span(qs_span(a->content.refs, a->content.count * QS_REF_LEN),
		qs_span(b->content.refs, b->content.count * QS_REF_LEN));
}

static void
round_trip(const struct qs_node *node)
{
	struct qs_buf buf = {NULL, 0, 0};
	struct qs_node back;
	struct qs_err err;
	size_t used = 0;

	OK(qs_node_encode(node, &buf, &err));
	OK(qs_buf_append(&buf, "more", 4, &err));
	OK(qs_node_decode(qs_buf_span(&buf), &back, &used, &err));
	assert_int_equal(used, buf.len - 4);
	assert_same(node, &back);
	assert_span(back.encoded, qs_span(buf.data, used));
	qs_buf_clear(&buf);
}

static void
every_type_comes_back_as_it_went(void **state)
{
	struct sample sample;
	struct qs_node node = {.links = 1, .name = text("x")};
	struct qs_span at, name, value;

	(void)state;
	fill_sample(&sample);
	round_trip(&sample.node);
	at = sample.node.xattrs;
	assert_true(qs_xattr_next(&at, &name, &value));
	assert_span(name, text("user.a"));
	assert_span(value, text("x"));
	assert_true(qs_xattr_next(&at, &name, &value));
	assert_span(name, text("user.b"));
	assert_int_equal(value.len, 0);
	assert_false(qs_xattr_next(&at, &name, &value));
	for (int type = QS_NODE_FILE; type <= QS_NODE_SOCKET; type++) {
		node.type = (enum qs_node_type)type;
		node.target = type == QS_NODE_SYMLINK ? text("../y") :
			text("");
		node.rdev_major = type == QS_NODE_CHARDEV ||
			type == QS_NODE_BLOCKDEV ? 8 : 0;
		round_trip(&node);
	}
	qs_buf_clear(&sample.xattrs);
}

/* ------------------------------------------------------ hostile entries */

struct lie { /* bytes put at an offset of the sample's entry */
	const char *what;
	size_t at;
	uint64_t value;
	size_t len;
};

#define NAME_AT 72u
#define XATTRS_AT (NAME_AT + 11 + 4 + 5) /* behind "anna" and "users" */
#define REFS_AT (XATTRS_AT + 6 + 6 + 1 + 6 + 6)

static const struct lie lies[] = {
	{"entry too long", 0, 1000000, 4},
	{"entry too short", 0, 100, 4},
	{"entry empty", 0, 0, 4},
	{"type 0", 4, 0, 1},
	{"type 8", 4, 8, 1},
	{"a folder with a hole", 4, QS_NODE_DIR, 1},
	{"a symlink without a target", 4, QS_NODE_SYMLINK, 1},
	{"a fifo with content", 4, QS_NODE_FIFO, 1},
	{"a file in part", 5, 1, 1},
	{"unknown flag", 5, 2, 1},
	{"mode", 6, 010000, 2},
	{"size", 24, 5, 8},
	{"no links", 40, 0, 4},
	{"device number, major", 44, 1, 4},
	{"device number, minor", 48, 1, 4},
	{"no name", 52, 0, 2},
	{"long name", 52, 256, 2},
	{"target", 54, 3, 2},
	{"user", 56, 255, 1},
	{"group", 57, 255, 1},
	{"fewer xattrs", 58, 1, 2},
	{"more xattrs", 58, 3, 2},
	{"xattr bytes", 60, UINT32_MAX, 4},
	{"depth 9", 64, 9, 1},
	{"a hole at depth 1", 64, 1, 1},
	{"reserved 65", 65, 1, 1},
	{"reserved 66", 66, 1, 1},
	{"reserved 67", 67, 1, 1},
	{"reference count", 68, UINT32_MAX, 4},
	{"reference count that wraps", 68, 0x66666669, 4},
	{"NUL in the name", NAME_AT, 0, 1},
	{"slash in the name", NAME_AT + 3, '/', 1},
	{"NUL in the user", NAME_AT + 11, 0, 1},
	{"NUL in the group", NAME_AT + 15, 0, 1},
	{"xattr without a name", XATTRS_AT, 0, 2},
	{"xattr name past the end", XATTRS_AT, 60000, 2},
	{"xattr value past the end", XATTRS_AT + 2, UINT32_MAX, 4},
	{"NUL in an xattr's name", XATTRS_AT + 6, 0, 1},
	{"xattrs out of order", XATTRS_AT + 11, 'z', 1},
	{"xattrs twice", XATTRS_AT + 11, 'b', 1},
	{"empty reference", REFS_AT + 32, 0, 8},
	{"reference over a chunk", REFS_AT + 32, QS_CHUNK_MAX + 1, 8},
	{"lengths that wrap", REFS_AT + 72, UINT64_MAX - 1000, 8},
};

static void
every_wrong_field_is_refused(void **state)
{
	struct sample sample;
	struct qs_buf good = {NULL, 0, 0};
	struct qs_node node;
	struct qs_err err;
	size_t used;

	(void)state;
	fill_sample(&sample);
	OK(qs_node_encode(&sample.node, &good, &err));
	assert_int_equal(good.len, REFS_AT + 3 * QS_REF_LEN);
	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		/* Of its own size, so that a read past it is noticed. */
		uint8_t *bad = malloc(good.len), number[8];

		assert_non_null(bad);
		memcpy(bad, good.data, good.len);
		qs_store64(number, lies[i].value);
		memcpy(bad + lies[i].at, number, lies[i].len);
		if (qs_node_decode(qs_span(bad, good.len), &node, &used,
		    &err) != QS_ECORRUPT)
			fail_msg("%s", lies[i].what);
		free(bad);
	}
	for (size_t len = 0; len < good.len; len++) {
		uint8_t *bad = malloc(len + 1);

		assert_non_null(bad);
		memcpy(bad, good.data, len);
		assert_int_equal(qs_node_decode(qs_span(bad, len), &node,
			&used, &err), QS_ECORRUPT);
		free(bad);
	}
	qs_buf_clear(&good);
	qs_buf_clear(&sample.xattrs);
}

static void
expect_refused(struct qs_node node)
{
	struct qs_buf buf = {NULL, 0, 0};
	struct qs_err err;

	assert_int_equal(qs_node_encode(&node, &buf, &err), QS_EINVAL);
	assert_int_equal(buf.len, 0);
	qs_buf_clear(&buf);
}

static void
what_could_not_be_read_back_is_not_written(void **state)
{
	static char long_text[70000];
	struct qs_node good = {.type = QS_NODE_FILE, .links = 1,
		.name = text("x")};
	struct qs_node node;

	(void)state;
	memset(long_text, 'a', sizeof(long_text) - 1);
#define WITH(field, to) node = good, node.field = (to), expect_refused(node)
	WITH(name, text("."));
	WITH(name, text(".."));
	WITH(name, text(""));
	WITH(name, text("a/b"));
	WITH(name, qs_span("a\0b", 3));
	WITH(name, qs_span(long_text, 256));
	WITH(user, qs_span(long_text, 256));
	WITH(group, qs_span(long_text, 256));
	WITH(target, text("y"));
	WITH(size, 1);
	WITH(type, (enum qs_node_type)8);
	WITH(type, (enum qs_node_type)0);
	WITH(links, 0);
	good.type = QS_NODE_DIR;
	WITH(link_group, 1);
	good.type = QS_NODE_SYMLINK;
	WITH(target, text(""));
	WITH(target, qs_span(long_text, 65536));
	WITH(target, qs_span("a\0", 2));
	good.target = text("t");
	WITH(size, 1);
#undef WITH
}

static void
a_content_of_lists_has_two_at_least(void **state)
{
	uint8_t refs[2 * QS_REF_LEN];
	struct qs_node node = {.type = QS_NODE_FILE, .links = 1, .size = 10,
		.name = text("x"), .content = {1, 1, refs}};

	(void)state;
	make_ref(refs, 1, 10);
	make_ref(refs + QS_REF_LEN, 2, 20);
	expect_refused(node);
	node.content.count = 2;
	node.size = 30;
	round_trip(&node);
}

static void
a_name_may_begin_with_dots(void **state)
{
	struct qs_node node = {.type = QS_NODE_FILE, .links = 1};

	(void)state;
	node.name = text("...");
	round_trip(&node);
	node.name = text(".x");
	round_trip(&node);
	node.name = text("\n");
	round_trip(&node);
}

static void
xattrs_have_limits(void **state)
{
	static const uint8_t zeros[QS_XATTR_VALUE_MAX + 1];
	struct qs_node node = {.type = QS_NODE_FILE, .links = 1,
		.name = text("x")};
	struct qs_buf xattrs = {NULL, 0, 0}, out = {NULL, 0, 0};
	struct qs_err err;
	char name[16];

	(void)state;
	assert_int_equal(qs_xattr_append(&xattrs, text(""), text(""), &err),
		QS_EINVAL);
	assert_int_equal(qs_xattr_append(&xattrs, text("a"), qs_span(zeros,
		sizeof(zeros)), &err), QS_EINVAL);
	assert_int_equal(xattrs.len, 0);
	/* Each within its limit, but too much together for a chunk. */
	for (int i = 0; i < 65; i++) {
		(void)snprintf(name, sizeof(name), "a%03d", i);
		OK(qs_xattr_append(&xattrs, text(name), qs_span(zeros,
			QS_XATTR_VALUE_MAX), &err));
	}
	node.xattrs = qs_buf_span(&xattrs);
	node.xattr_count = 65;
	assert_int_equal(qs_node_encode(&node, &out, &err), QS_EINVAL);
	qs_buf_clear(&xattrs);
	for (int i = 0; i <= QS_XATTRS_MAX; i++) {
		(void)snprintf(name, sizeof(name), "a%05d", i);
		OK(qs_xattr_append(&xattrs, text(name), text(""), &err));
		node.xattrs = qs_buf_span(&xattrs);
		node.xattr_count = (uint16_t)(i + 1);
		if (i == QS_XATTRS_MAX - 1)
			round_trip(&node);
	}
	expect_refused(node);
	qs_buf_clear(&xattrs);
	qs_buf_clear(&out);
}

/* --------------------------------------------------------- tree chunks */

static void
add_named(struct qs_buf *tree, const char *name)
{
	struct qs_node node = {.type = QS_NODE_FILE, .links = 1,
		.name = text(name)};
	struct qs_err err;

	OK(qs_node_encode(&node, tree, &err));
}

static void
begin_tree(struct qs_buf *tree, uint32_t count)
{
	uint8_t *head;
	struct qs_err err;

	tree->len = 0;
	OK(qs_buf_extend(tree, QS_TREE_HEAD, &head, &err));
	qs_tree_head(head, count);
}

static enum qs_code
check(const struct qs_buf *tree)
{
	uint32_t count = 0;
	struct qs_err err;

	return qs_tree_check(qs_buf_span(tree), &count, &err);
}

static void
a_tree_is_in_strict_order_and_nothing_follows(void **state)
{
	struct qs_buf tree = {NULL, 0, 0};
	uint32_t count = 0;
	struct qs_err err;

	(void)state;
	begin_tree(&tree, 4);
	add_named(&tree, "a");
	add_named(&tree, "a.");
	add_named(&tree, "ab");
	add_named(&tree, "\xff");
	OK(qs_tree_check(qs_buf_span(&tree), &count, &err));
	assert_int_equal(count, 4);
	tree.data[0] ^= 1;
	assert_int_equal(check(&tree), QS_ECORRUPT);
	tree.data[0] ^= 1;
	tree.data[4] = 2;
	assert_int_equal(check(&tree), QS_EUNSUPPORTED);
	tree.data[4] = 1;
	tree.data[6] = 1;
	assert_int_equal(check(&tree), QS_ECORRUPT);
	tree.data[6] = 0;
	for (uint32_t n = 0; n < 9; n++) {
		qs_store32(tree.data + 8, n);
		assert_int_equal(check(&tree), n == 4 ? QS_OK : QS_ECORRUPT);
	}
	qs_store32(tree.data + 8, UINT32_MAX);
	assert_int_equal(check(&tree), QS_ECORRUPT);
	begin_tree(&tree, 2);
	add_named(&tree, "b");
	add_named(&tree, "a");
	assert_int_equal(check(&tree), QS_ECORRUPT);
	begin_tree(&tree, 2);
	add_named(&tree, "b");
	add_named(&tree, "b");
	assert_int_equal(check(&tree), QS_ECORRUPT);
	begin_tree(&tree, 0);
	OK(check(&tree));
	qs_buf_clear(&tree);
}

/* ------------------------------------------------------------- content */

struct emitted {
	size_t count;
	uint8_t depths[4096];
	uint32_t counts[4096];
	uint64_t sums[4096];
};

static enum qs_code
take_list(void *arg, struct qs_span list, struct qs_id *id,
	struct qs_err *err)
{
	struct emitted *emitted = arg;
	const size_t i = emitted->count++;
	const uint8_t *refs;

	emitted->depths[i] = list.data[6];
	OK(qs_list_decode(list, list.data[6], &refs, &emitted->counts[i],
		&emitted->sums[i], err));
	memset(id->b, 0xee, sizeof(id->b));
	return QS_OK;
}

static void
build(struct qs_content_builder *builder, size_t count,
	struct qs_content *content)
{
	struct qs_id id = {{1}};
	uint64_t size = 0;
	struct qs_err err;

	((struct emitted *)builder->arg)->count = 0;
	qs_content_builder_reset(builder);
	for (size_t i = 0; i < count; i++)
		OK(qs_content_builder_add(builder, &id, 3, &err));
	OK(qs_content_builder_finish(builder, content, &size, &err));
	assert_int_equal(size, 3 * count);
}

static void
contents_are_cut_into_full_lists(void **state)
{
	static struct emitted got;
	struct qs_content_builder builder;
	struct qs_content content;
	const size_t two = (size_t)QS_LIST_REFS * QS_LIST_REFS;

	(void)state;
	qs_content_builder_init(&builder, take_list, &got);
	build(&builder, 0, &content);
	assert_int_equal(content.count, 0);
	assert_int_equal(content.depth, 0);
	build(&builder, QS_LIST_REFS, &content);
	assert_int_equal(content.depth, 0);
	assert_int_equal(content.count, QS_LIST_REFS);
	assert_int_equal(got.count, 0);
	build(&builder, QS_LIST_REFS + 1, &content);
	assert_int_equal(content.depth, 1);
	assert_int_equal(content.count, 2);
	assert_int_equal(got.count, 2);
	assert_int_equal(got.counts[0], QS_LIST_REFS);
	assert_int_equal(got.counts[1], 1);
	assert_int_equal(qs_content_len(&content, 0), 3 * QS_LIST_REFS);
	assert_int_equal(qs_content_len(&content, 1), 3);
	build(&builder, two, &content);
	assert_int_equal(content.depth, 1);
	assert_int_equal(content.count, QS_LIST_REFS);
	build(&builder, two + 1, &content);
	assert_int_equal(content.depth, 2);
	assert_int_equal(content.count, 2);
	assert_int_equal(got.count, QS_LIST_REFS + 1 + 2);
	assert_int_equal(got.depths[got.count - 1], 1);
	assert_int_equal(got.counts[got.count - 1], 1);
	assert_int_equal(qs_content_len(&content, 0), 3 * two);
	qs_content_builder_clear(&builder);
}

static void
contents_refuse_impossible_references(void **state)
{
	static struct emitted got;
	struct qs_content_builder builder;
	const struct qs_id hole = {{0}}, id = {{1}};
	struct qs_err err;

	(void)state;
	qs_content_builder_init(&builder, take_list, &got);
	OK(qs_content_builder_add(&builder, &hole, UINT64_MAX - 5, &err));
	assert_int_equal(qs_content_builder_add(&builder, &id, 6, &err),
		QS_EINVAL);
	assert_int_equal(qs_content_builder_add(&builder, &id, 0, &err),
		QS_EINVAL);
	assert_int_equal(qs_content_builder_add(&builder, &id,
		QS_CHUNK_MAX + 1, &err), QS_EINVAL);
	OK(qs_content_builder_add(&builder, &id, 5, &err));
	qs_content_builder_clear(&builder);
}

static void
hostile_lists_are_refused(void **state)
{
	uint8_t refs[2 * QS_REF_LEN];
	struct qs_buf list = {NULL, 0, 0};
	const uint8_t *got;
	uint32_t count = 0;
	uint64_t sum = 0;
	struct qs_err err;

	(void)state;
	make_ref(refs, 1, 10);
	make_ref(refs + QS_REF_LEN, 2, 20);
	OK(qs_list_encode(1, refs, 2, &list, &err));
	OK(qs_list_decode(qs_buf_span(&list), 1, &got, &count, &sum, &err));
	assert_int_equal(count, 2);
	assert_int_equal(sum, 30);
	assert_memory_equal(got, refs, sizeof(refs));
#define REFUSED(depth) assert_int_equal(qs_list_decode(qs_buf_span(&list), \
	depth, &got, &count, &sum, &err), QS_ECORRUPT)
#define LIE(at, value) do { const uint8_t was = list.data[at]; \
	list.data[at] = (uint8_t)(value); REFUSED(1); \
	list.data[at] = was; } while (0)
	REFUSED(0);
	REFUSED(2);
	LIE(0, 'X');
	LIE(7, 1);
	LIE(8, 1);
	LIE(8, 3);
	LIE(11, 0x80);
	LIE(QS_LIST_HEAD + 32, 0);
	memset(list.data + QS_LIST_HEAD, 0, 32);
	REFUSED(1);
	memset(list.data + QS_LIST_HEAD, 1, 32);
	memset(list.data + QS_LIST_HEAD + 32, 0xff, 8);
	REFUSED(1);
	list.data[4] = 2;
	assert_int_equal(qs_list_decode(qs_buf_span(&list), 1, &got, &count,
		&sum, &err), QS_EUNSUPPORTED);
	list.data[4] = 1;
	for (list.len = 0; list.len < 12 + 2 * QS_REF_LEN; list.len++)
		REFUSED(1);
	qs_buf_clear(&list);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_type_comes_back_as_it_went),
		cmocka_unit_test(every_wrong_field_is_refused),
		cmocka_unit_test(what_could_not_be_read_back_is_not_written),
		cmocka_unit_test(a_content_of_lists_has_two_at_least),
		cmocka_unit_test(a_name_may_begin_with_dots),
		cmocka_unit_test(xattrs_have_limits),
		cmocka_unit_test(
			a_tree_is_in_strict_order_and_nothing_follows),
		cmocka_unit_test(contents_are_cut_into_full_lists),
		cmocka_unit_test(contents_refuse_impossible_references),
		cmocka_unit_test(hostile_lists_are_refused),
	};

	return cmocka_run_group_tests_name("tree", tests, NULL, NULL);
}
