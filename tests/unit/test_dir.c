/* SPDX-License-Identifier: ISC */
/* Unit tests of snapshot/dir_read, tree_walk and content, on a real store. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "source_fixture.h"
#include "tree_fixture.h"

/* ------------------------------------------------------------- contents */

struct seen {
	uint64_t offset;
	size_t count, holes, fail_at;
};

static enum qs_code
see_ref(void *arg, const struct qs_id *id, uint64_t len, uint64_t offset,
	struct qs_err *err)
{
	struct seen *seen = arg;

	assert_true(offset == seen->offset);
	assert_true(len == 1 + seen->count % 5);
	seen->offset += len;
	if (qs_is_zero(id->b, sizeof(id->b)))
		seen->holes++;
	else
		assert_int_equal(qs_load32(id->b), seen->count);
	if (++seen->count == seen->fail_at)
		return qs_fail(err, QS_ECANCELED, "enough");
	return QS_OK;
}

/* A content of count made-up references, every 7th a hole. */
static void
make_content(struct fixture *fx, struct qs_content_builder *builder,
	size_t count, struct qs_content *content)
{
	uint64_t size = 0;
	struct qs_err err;

	qs_content_builder_init(builder, fixture_emit, fx);
	for (size_t i = 0; i < count; i++) {
		struct qs_id id = {{0}};

		if (i % 7 != 3) {
			memset(id.b, 1, sizeof(id.b));
			qs_store32(id.b, (uint32_t)i);
		}
		OK(qs_content_builder_add(builder, &id, 1 + i % 5, &err));
	}
	OK(qs_content_builder_finish(builder, content, &size, &err));
	fixture_flush(fx);
}

static void
contents_are_flattened_in_order(void **state)
{
	static const size_t counts[] = {0, 1, 1024, 1025, 2500, 1049000};
	static struct fixture fx;
	struct qs_content_builder builder;
	struct qs_content content;
	struct qs_err err;

	(void)state;
	fixture_open(&fx);
	for (size_t i = 0; i < 6; i++) {
		struct seen seen = {.count = 0};

		make_content(&fx, &builder, counts[i], &content);
		OK(qs_content_each(fx.source, &content, see_ref, &seen,
			&err));
		assert_int_equal(seen.count, counts[i]);
		if (counts[i] > 100) {
			seen = (struct seen){.fail_at = counts[i] / 2};
			assert_int_equal(qs_content_each(fx.source, &content,
				see_ref, &seen, &err), QS_ECANCELED);
			assert_int_equal(seen.count, seen.fail_at);
		}
		qs_content_builder_clear(&builder);
	}
	fixture_close(&fx);
}

static void
lists_that_do_not_add_up_are_refused(void **state)
{
	static struct fixture fx;
	struct qs_content_builder builder;
	struct qs_content content;
	struct seen seen = {.count = 0};
	uint8_t refs[2 * QS_REF_LEN];
	struct qs_err err;

	(void)state;
	fixture_open(&fx);
	make_content(&fx, &builder, 2000, &content);
	memcpy(refs, content.refs, sizeof(refs));
	content.refs = refs;
	qs_store64(refs + QS_REF_LEN + 32,
		qs_content_len(&content, 1) - 1);
	assert_int_equal(qs_content_each(fx.source, &content, see_ref, &seen,
		&err), QS_ECORRUPT);
	assert_int_equal(seen.count, QS_LIST_REFS);
	content.depth = 2;
	assert_int_equal(qs_content_each(fx.source, &content, see_ref, &seen,
		&err), QS_ECORRUPT);
	content.depth = 9;
	assert_int_equal(qs_content_each(fx.source, &content, see_ref, &seen,
		&err), QS_ECORRUPT);
	qs_content_builder_clear(&builder);
	fixture_close(&fx);
}

/* -------------------------------------------------------------- folders */

static void
two_hundred_thousand_entries_come_in_order(void **state)
{
	static struct fixture fx;
	struct maker maker;
	struct folder folder = {.count = 0};
	struct qs_dir *dir = NULL;
	struct qs_buf bytes = {NULL, 0, 0};
	struct qs_node node;
	bool end = false;
	char name[32];
	struct qs_err err;

	(void)state;
	fixture_open(&fx);
	maker_init(&maker, &fx);
	for (uint32_t i = 0; i < 200000; i++) {
		(void)snprintf(name, sizeof(name), "f%06u", i);
		maker_file(&maker, &folder, name, i);
		if (i % 500 == 499)
			maker_part(&maker, &folder);
	}
	maker_finish(&maker, &folder);
	fixture_flush(&fx);
	fixture_source(&fx, 1u << 20);
	OK(qs_dir_read(fx.source, &folder.content, &dir, &err));
	for (uint32_t i = 0; i < 200000; i++) {
		OK(qs_dir_next(dir, &node, &end, &err));
		assert_false(end);
		(void)snprintf(name, sizeof(name), "f%06u", i);
		assert_int_equal(node.name.len, 7);
		assert_memory_equal(node.name.data, name, 7);
	}
	for (int i = 0; i < 3; i++) {
		end = false;
		OK(qs_dir_next(dir, &node, &end, &err));
		assert_true(end);
	}
	qs_dir_close(dir);
	OK(qs_tree_find(fx.source, &folder.content, "/f123456", &bytes,
		&node, &err));
	assert_int_equal(node.mtime_ns, 123456);
	assert_true(node.name.data >= bytes.data &&
		node.name.data < bytes.data + bytes.len);
	assert_int_equal(qs_tree_find(fx.source, &folder.content, "f12345",
		&bytes, &node, &err), QS_ENOTFOUND);
	qs_buf_clear(&bytes);
	folder_clear(&folder);
	maker_clear(&maker);
	fixture_close(&fx);
}

static void
names_out_of_order_across_parts_are_refused(void **state)
{
	static struct fixture fx;
	struct maker maker;
	struct folder folder = {.count = 0};
	struct qs_dir *dir = NULL;
	struct qs_node node;
	bool end = false;
	struct qs_err err;

	(void)state;
	fixture_open(&fx);
	maker_init(&maker, &fx);
	maker_file(&maker, &folder, "b", 0);
	maker_part(&maker, &folder);
	maker_file(&maker, &folder, "a", 0);
	maker_finish(&maker, &folder);
	fixture_flush(&fx);
	OK(qs_dir_read(fx.source, &folder.content, &dir, &err));
	OK(qs_dir_next(dir, &node, &end, &err));
	assert_int_equal(qs_dir_next(dir, &node, &end, &err), QS_ECORRUPT);
	OK(qs_dir_next(dir, &node, &end, &err));
	assert_true(end);
	qs_dir_close(dir);
	folder_clear(&folder);
	maker_clear(&maker);
	fixture_close(&fx);
}

/* ----------------------------------------------------------------- walk */

struct notes {
	char text[4096];
	const char *skip, *stop;
	size_t troubles, nodes, deepest;
};

static void
note(struct notes *notes, char mark, const char *path)
{
	const size_t used = strlen(notes->text);

	(void)snprintf(notes->text + used, sizeof(notes->text) - used,
		"%c%.20s ", mark, path);
}

static enum qs_visit_next
note_visit(void *arg, const struct qs_visit *visit)
{
	struct notes *notes = arg;

	assert_int_equal(strlen(visit->path), visit->path_len);
	notes->nodes++;
	if (visit->depth > notes->deepest)
		notes->deepest = visit->depth;
	if (notes->nodes > 100)
		return QS_VISIT_GO;
	if (visit->what == QS_VISIT_LEAVE) {
		assert_int_equal(visit->node->type, QS_NODE_DIR);
		note(notes, '<', visit->path);
		return QS_VISIT_GO;
	}
	note(notes, '>', visit->path);
	if (notes->stop != NULL && strcmp(visit->path, notes->stop) == 0)
		return QS_VISIT_STOP;
	return notes->skip != NULL && strcmp(visit->path, notes->skip) == 0 ?
		QS_VISIT_SKIP : QS_VISIT_GO;
}

static void
note_trouble(void *arg, const char *path, const struct qs_err *trouble)
{
	struct notes *notes = arg;

	assert_true(trouble->msg[0] != '\0');
	notes->troubles++;
	note(notes, '!', path);
}

static void
walk(struct fixture *fx, const struct folder *root, struct notes *notes)
{
	const struct qs_visitor visitor = {note_visit, note_trouble, notes};
	struct qs_err err;

	notes->text[0] = '\0';
	notes->nodes = notes->troubles = 0;
	OK(qs_tree_walk(fx->source, &root->content, &visitor, &err));
}

/* a/{b/{x},c}, d and an empty e */
static void
make_tree(struct maker *maker, struct folder *root)
{
	struct folder a = {.count = 0}, b = {.count = 0}, e = {.count = 0};

	maker_file(maker, &b, "x", 5);
	maker_finish(maker, &b);
	maker_folder(maker, &a, "b", &b);
	maker_file(maker, &a, "c", 6);
	maker_finish(maker, &a);
	maker_finish(maker, &e);
	maker_folder(maker, root, "a", &a);
	maker_file(maker, root, "d", 7);
	maker_folder(maker, root, "e", &e);
	maker_finish(maker, root);
	folder_clear(&a);
	folder_clear(&b);
	folder_clear(&e);
	fixture_flush(maker->fx);
}

static void
a_walk_shows_folders_before_and_after_what_is_in_them(void **state)
{
	static struct fixture fx;
	struct maker maker;
	struct folder root = {.count = 0};
	struct notes notes = {.skip = NULL};

	(void)state;
	fixture_open(&fx);
	maker_init(&maker, &fx);
	make_tree(&maker, &root);
	walk(&fx, &root, &notes);
	assert_string_equal(notes.text,
		"> >a >a/b >a/b/x <a/b >a/c <a >d >e <e < ");
	notes.skip = "a/b";
	walk(&fx, &root, &notes);
	assert_string_equal(notes.text, "> >a >a/b >a/c <a >d >e <e < ");
	notes.stop = "a/c";
	walk(&fx, &root, &notes);
	assert_string_equal(notes.text, "> >a >a/b >a/c ");
	assert_int_equal(notes.troubles, 0);
	folder_clear(&root);
	maker_clear(&maker);
	fixture_close(&fx);
}

static void
paths_are_found_or_named(void **state)
{
	static const char *const none[] = {"x", "a/b/y", "a/b/x/z", "d/x",
		"a/..", "."};
	static struct fixture fx;
	struct maker maker;
	struct folder root = {.count = 0};
	struct qs_buf bytes = {NULL, 0, 0};
	struct qs_node node;
	struct qs_err err;

	(void)state;
	fixture_open(&fx);
	maker_init(&maker, &fx);
	make_tree(&maker, &root);
	OK(qs_tree_find(fx.source, &root.content, "//a/b//x/", &bytes, &node,
		&err));
	assert_int_equal(node.mtime_ns, 5);
	OK(qs_tree_find(fx.source, &root.content, "/", &bytes, &node, &err));
	assert_int_equal(node.type, QS_NODE_DIR);
	assert_int_equal(node.name.len, 0);
	assert_int_equal(node.content.count, root.content.count);
	OK(qs_tree_find(fx.source, &node.content, "", &bytes, &node, &err));
	OK(qs_tree_find(fx.source, &root.content, "e", &bytes, &node, &err));
	assert_int_equal(node.type, QS_NODE_DIR);
	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		assert_int_equal(qs_tree_find(fx.source, &root.content,
			none[i], &bytes, &node, &err), QS_ENOTFOUND);
	assert_int_equal(qs_tree_find(fx.source, &root.content, "a/b/y",
		&bytes, &node, &err), QS_ENOTFOUND);
	assert_non_null(strstr(err.msg, "a/b/y"));
	qs_buf_clear(&bytes);
	folder_clear(&root);
	maker_clear(&maker);
	fixture_close(&fx);
}

static void
a_folder_that_cannot_be_read_costs_itself_only(void **state)
{
	static struct fixture fx;
	struct maker maker;
	struct folder root = {.count = 0};
	struct notes notes = {.skip = NULL};

	(void)state;
	fixture_open(&fx);
	maker_init(&maker, &fx);
	make_tree(&maker, &root);
	/* The first frame of the pack is a/b's tree. */
	fixture_damage(&fx, 0, QS_PACK_HEAD + 3);
	walk(&fx, &root, &notes);
	assert_string_equal(notes.text,
		"> >a >a/b !a/b <a/b >a/c <a >d >e <e < ");
	folder_clear(&root);
	maker_clear(&maker);
	fixture_close(&fx);
}

static void
a_bottomless_tree_is_cut_off(void **state)
{
	static struct fixture fx;
	struct maker maker;
	struct folder at = {.count = 0};
	struct notes notes = {.skip = NULL};

	(void)state;
	fixture_open(&fx);
	maker_init(&maker, &fx);
	maker_finish(&maker, &at);
	for (int i = 0; i < QS_DEPTH_MAX + 20; i++) {
		struct folder above = {.count = 0};

		maker_folder(&maker, &above, "d", &at);
		maker_finish(&maker, &above);
		folder_clear(&at);
		at = above;
	}
	fixture_flush(&fx);
	walk(&fx, &at, &notes);
	assert_int_equal(notes.troubles, 1);
	assert_int_equal(notes.deepest, QS_DEPTH_MAX);
	folder_clear(&at);
	maker_clear(&maker);
	fixture_close(&fx);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(contents_are_flattened_in_order),
		cmocka_unit_test(lists_that_do_not_add_up_are_refused),
		cmocka_unit_test(two_hundred_thousand_entries_come_in_order),
		cmocka_unit_test(names_out_of_order_across_parts_are_refused),
		cmocka_unit_test(
			a_walk_shows_folders_before_and_after_what_is_in_them),
		cmocka_unit_test(paths_are_found_or_named),
		cmocka_unit_test(
			a_folder_that_cannot_be_read_costs_itself_only),
		cmocka_unit_test(a_bottomless_tree_is_cut_off),
	};

	return cmocka_run_group_tests_name("dir", tests, NULL, NULL);
}
