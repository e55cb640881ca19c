/* SPDX-License-Identifier: ISC */
/* tree_walk: depth-first through a tree, and the node at a path. */
#include <stdlib.h>

#include "snapshot/content_internal.h"
#include "snapshot/dir_internal.h"

/* ---------------------------------------------------------------- paths */

enum qs_code
qs_path_set(struct qs_path *path, size_t len, struct qs_span name,
	struct qs_err *err)
{
	enum qs_code rc = qs_buf_reserve(&path->buf, len + name.len + 2, err);

	if (rc != QS_OK)
		return rc;
	if (len > 0)
		path->buf.data[len++] = '/';
	memcpy(path->buf.data + len, name.data, name.len);
	path->buf.len = len + name.len;
	path->buf.data[path->buf.len] = '\0';
	return QS_OK;
}

void
qs_path_cut(struct qs_path *path, size_t len)
{
	if (path->buf.data == NULL)
		return;
	path->buf.len = len;
	path->buf.data[len] = '\0';
}

const char *
qs_path_text(const struct qs_path *path)
{
	return path->buf.data == NULL ? "" : (const char *)path->buf.data;
}

/* ----------------------------------------------------------------- walk */

struct level {
	struct qs_dir *dir;
	size_t path_len;     /* of this folder's path */
	struct qs_buf entry; /* its node's bytes: LEAVE gives it again */
};

struct walk {
	struct qs_source *source;
	const struct qs_visitor *visitor;
	const struct qs_content *root;
	struct qs_path path;
	struct level *levels;
	size_t depth, cap; /* of levels */
};

/* A folder node for what has none: the root. */
static struct qs_node
root_node(const struct qs_content *root)
{
	struct qs_node node = {.type = QS_NODE_DIR, .mode = 0755, .links = 1,
		.content = *root};

	for (uint32_t i = 0; i < root->count; i++)
		node.size += qs_content_len(root, i);
	return node;
}

static enum qs_visit_next
visit(struct walk *walk, bool is_leave, const struct qs_node *node)
{
	struct qs_visit it = {.node = node, .depth = walk->depth,
		.path = qs_path_text(&walk->path),
		.path_len = walk->path.buf.len};

	it.what = is_leave ? QS_VISIT_LEAVE : QS_VISIT_NODE;
	return walk->visitor->visit(walk->visitor->arg, &it);
}

static size_t
open_bytes(const struct walk *walk)
{
	size_t sum = 0;

	for (size_t i = 0; i < walk->depth; i++)
		sum += qs_dir_bytes(walk->levels[i].dir) +
			walk->levels[i].entry.cap;
	return sum;
}

static enum qs_code
grow(struct walk *walk, struct qs_err *err)
{
	const size_t cap = walk->cap == 0 ? 32 : walk->cap * 2;
	struct level *levels;

	if (walk->depth < walk->cap)
		return QS_OK;
	levels = realloc(walk->levels, cap * sizeof(*levels));
	if (levels == NULL)
		return qs_fail_nomem(err, "walking a tree");
	walk->levels = levels;
	walk->cap = cap;
	return QS_OK;
}

/* Open the folder at walk->path; QS_ENOMEM is the walk's failure. */
static enum qs_code
enter(struct walk *walk, const struct qs_node *node, struct qs_err *err)
{
	struct level level = {.path_len = walk->path.buf.len};
	enum qs_code rc;

	if (walk->depth >= QS_DEPTH_MAX)
		return qs_fail(err, QS_ECORRUPT,
			"it is more than %d folders deep", QS_DEPTH_MAX);
	if (open_bytes(walk) > QS_WALK_BYTES_MAX)
		return qs_fail(err, QS_ECORRUPT,
			"the folders above it are too large together");
	rc = grow(walk, err);
	if (rc == QS_OK && node->encoded.len > 0)
		rc = qs_buf_append(&level.entry, node->encoded.data,
			node->encoded.len, err);
	if (rc == QS_OK)
		rc = qs_dir_read(walk->source, &node->content, &level.dir,
			err);
	if (rc != QS_OK) {
		qs_buf_clear(&level.entry);
		return rc;
	}
	walk->levels[walk->depth++] = level;
	return QS_OK;
}

static void
close_top(struct walk *walk)
{
	struct level *level = &walk->levels[--walk->depth];

	qs_dir_close(level->dir);
	qs_buf_clear(&level->entry);
}

/* The top folder is done with. */
static enum qs_code
leave(struct walk *walk, bool *stop, struct qs_err *err)
{
	const struct level *level = &walk->levels[walk->depth - 1];
	struct qs_node node = root_node(walk->root);
	enum qs_code rc = QS_OK;
	size_t used;

	qs_path_cut(&walk->path, level->path_len);
	if (level->entry.len > 0)
		rc = qs_node_decode(qs_buf_span(&level->entry), &node, &used,
			err);
	if (rc != QS_OK)
		return rc;
	walk->depth--; /* the depth its own visit had */
	*stop = visit(walk, true, &node) == QS_VISIT_STOP;
	walk->depth++;
	close_top(walk);
	return QS_OK;
}

/* Show a node, and enter it if it is a folder that is wanted. */
static enum qs_code
show(struct walk *walk, const struct qs_node *node, bool *stop,
	struct qs_err *err)
{
	const enum qs_visit_next next = visit(walk, false, node);
	struct qs_err trouble;
	enum qs_code rc;

	*stop = next == QS_VISIT_STOP;
	if (next != QS_VISIT_GO || node->type != QS_NODE_DIR)
		return QS_OK;
	rc = enter(walk, node, &trouble);
	if (rc == QS_ENOMEM) {
		*err = trouble;
		return rc;
	}
	if (rc != QS_OK)
		walk->visitor->trouble(walk->visitor->arg,
			qs_path_text(&walk->path), &trouble);
	return QS_OK;
}

/* One node of the top folder, or its end. */
static enum qs_code
step(struct walk *walk, bool *stop, struct qs_err *err)
{
	const struct level *level = &walk->levels[walk->depth - 1];
	const size_t path_len = level->path_len;
	struct qs_err trouble;
	struct qs_node node;
	bool end = false;
	enum qs_code rc = qs_dir_next(level->dir, &node, &end, &trouble);

	if (rc == QS_ENOMEM) {
		*err = trouble;
		return rc;
	}
	if (rc != QS_OK) {
		/* The rest of this folder is left out; what is above is not. */
		qs_path_cut(&walk->path, path_len);
		walk->visitor->trouble(walk->visitor->arg,
			qs_path_text(&walk->path), &trouble);
		end = true;
	}
	if (end)
		return leave(walk, stop, err);
	rc = qs_path_set(&walk->path, path_len, node.name, err);
	return rc == QS_OK ? show(walk, &node, stop, err) : rc;
}

enum qs_code
qs_tree_walk(struct qs_source *source, const struct qs_content *root,
	const struct qs_visitor *visitor, struct qs_err *err)
{
	struct walk walk = {.source = source, .visitor = visitor,
		.root = root};
	struct qs_node node = root_node(root);
	bool stop = false;
	enum qs_code rc = show(&walk, &node, &stop, err);

	while (rc == QS_OK && !stop && walk.depth > 0)
		rc = step(&walk, &stop, err);
	while (walk.depth > 0)
		close_top(&walk);
	free(walk.levels);
	qs_buf_clear(&walk.path.buf);
	return rc;
}

/* ----------------------------------------------------------------- find */

/* The next component of a path; false at its end. */
static bool
next_component(const char **path, struct qs_span *name)
{
	const char *begin = *path;
	const char *end;

	while (*begin == '/')
		begin++;
	end = strchr(begin, '/');
	if (end == NULL)
		end = begin + strlen(begin);
	*name = qs_span(begin, (size_t)(end - begin));
	*path = end;
	return name->len > 0;
}

/* The entry of one name, copied into entry; QS_ENOTFOUND. */
static enum qs_code
find_name(struct qs_source *source, const struct qs_content *content,
	struct qs_span name, struct qs_buf *entry, struct qs_err *err)
{
	struct qs_dir *dir = NULL;
	struct qs_node node;
	int order = 1;
	bool end = false;
	enum qs_code rc = qs_dir_read(source, content, &dir, err);

	while (rc == QS_OK && order > 0) {
		rc = qs_dir_next(dir, &node, &end, err);
		if (rc != QS_OK || end)
			break;
		order = qs_name_order(name, node.name);
	}
	if (rc == QS_OK && (end || order < 0))
		rc = qs_fail(err, QS_ENOTFOUND, "no such file or folder");
	if (rc == QS_OK)
		rc = qs_buf_append(entry, node.encoded.data, node.encoded.len,
			err);
	qs_dir_close(dir);
	return rc;
}

/* The root as a node that borrows from entry. */
static enum qs_code
keep_root(const struct qs_content *root, struct qs_buf *entry,
	struct qs_node *node, struct qs_err *err)
{
	enum qs_code rc = qs_buf_append(entry, root->refs,
		(size_t)root->count * QS_REF_LEN, err);

	if (rc != QS_OK)
		return rc;
	*node = root_node(root);
	node->content.refs = entry->data;
	return QS_OK;
}

enum qs_code
qs_tree_find(struct qs_source *source, const struct qs_content *root,
	const char *path, struct qs_buf *bytes, struct qs_node *node,
	struct qs_err *err)
{
	struct qs_buf entry = {NULL, 0, 0}, next = {NULL, 0, 0};
	struct qs_node at = root_node(root);
	const char *rest = path;
	struct qs_span name;
	size_t used;
	enum qs_code rc = QS_OK;

	while (rc == QS_OK && next_component(&rest, &name)) {
		if (at.type != QS_NODE_DIR) {
			rc = qs_fail(err, QS_ENOTFOUND,
				"%.*s is not a folder", (int)(rest - path) -
				(int)name.len, path);
			break;
		}
		rc = find_name(source, &at.content, name, &next, err);
		if (rc != QS_OK) {
			rc = qs_fail_while(err, "%.*s", (int)(rest - path),
				path);
			break;
		}
		/* at borrows from entry until here */
		qs_buf_clear(&entry);
		entry = next;
		next = (struct qs_buf){NULL, 0, 0};
		rc = qs_node_decode(qs_buf_span(&entry), &at, &used, err);
	}
	if (rc == QS_OK && entry.len == 0)
		rc = keep_root(root, &entry, &at, err);
	if (rc == QS_OK) {
		/* root may borrow from bytes: they go last. */
		qs_buf_clear(bytes);
		*bytes = entry;
		entry = (struct qs_buf){NULL, 0, 0}; /* handed over */
		*node = at;
	}
	qs_buf_clear(&entry);
	qs_buf_clear(&next);
	return rc;
}
