/* SPDX-License-Identifier: ISC */
/*
 * diff: two trees side by side, folder by folder, in order of name.  A folder
 * whose content is the same on both sides is not read at all.
 */
#include <stdlib.h>

#include "snapshot/content_internal.h"
#include "snapshot/dir_internal.h"
#include "snapshot/folder_internal.h"
#include "snapshot/idset_internal.h"

struct side {
	struct qs_dir *dir; /* NULL: there is no such folder on this side */
	struct qs_node node;
	bool has_node;
	bool at_end;
};

struct pair {
	struct side before, after;
	size_t path_len;
};

struct diff {
	struct qs_source *source;
	bool metadata;
	qs_diff_fn fn;
	void (*trouble)(void *arg, const char *path, const struct qs_err *err);
	void *arg;
	struct qs_diff_stat stat;
	struct qs_path path;
	struct qs_buf line; /* the path as it is told */
	struct pair *pairs;
	size_t depth, cap;
};

/* ------------------------------------------------------------- telling */

static enum qs_code
tell(struct diff *diff, const char *changes, bool is_folder,
	struct qs_err *err)
{
	enum qs_code rc;

	diff->line.len = 0;
	rc = qs_buf_append(&diff->line, "/", 1, err);
	if (rc == QS_OK)
		rc = qs_buf_append(&diff->line, diff->path.buf.data,
			diff->path.buf.len, err);
	if (rc == QS_OK && is_folder)
		rc = qs_buf_append(&diff->line, "/", 1, err);
	if (rc == QS_OK)
		rc = qs_buf_append(&diff->line, "", 1, err);
	if (rc == QS_OK)
		diff->fn(diff->arg, changes, (const char *)diff->line.data);
	return rc;
}

/*
 * What can't be read is gone around; false: it is no fault of an object, and
 * the whole fails.
 */
static bool
go_around(struct diff *diff, const struct qs_err *cause, struct qs_err *err)
{
	if (!qs_is_object_fault(cause->code) && cause->code != QS_EIO) {
		*err = *cause;
		return false;
	}
	diff->trouble(diff->arg, qs_path_text(&diff->path), cause);
	return true;
}

static void
count_added(struct diff *diff, const struct qs_node *node)
{
	if (node->type == QS_NODE_FILE) {
		diff->stat.files_new++;
		diff->stat.bytes_new += node->size;
	} else if (node->type == QS_NODE_DIR) {
		diff->stat.dirs_new++;
	} else {
		diff->stat.others_new++;
	}
}

static void
count_removed(struct diff *diff, const struct qs_node *node)
{
	if (node->type == QS_NODE_FILE) {
		diff->stat.files_removed++;
		diff->stat.bytes_removed += node->size;
	} else if (node->type == QS_NODE_DIR) {
		diff->stat.dirs_removed++;
	} else {
		diff->stat.others_removed++;
	}
}

/* ------------------------------------------------------------- folders */

static enum qs_code
grow(struct diff *diff, struct qs_err *err)
{
	const size_t cap = diff->cap == 0 ? 32 : diff->cap * 2;
	struct pair *pairs;

	if (diff->depth < diff->cap)
		return QS_OK;
	pairs = realloc(diff->pairs, cap * sizeof(*pairs));
	if (pairs == NULL)
		return qs_fail_nomem(err, "comparing trees");
	diff->pairs = pairs;
	diff->cap = cap;
	return QS_OK;
}

static size_t
open_bytes(const struct diff *diff)
{
	size_t sum = 0;

	for (size_t i = 0; i < diff->depth; i++) {
		const struct pair *pair = &diff->pairs[i];

		if (pair->before.dir != NULL)
			sum += qs_dir_bytes(pair->before.dir);
		if (pair->after.dir != NULL)
			sum += qs_dir_bytes(pair->after.dir);
	}
	return sum;
}

/* Either may be NULL. */
static enum qs_code
enter(struct diff *diff, const struct qs_content *before,
	const struct qs_content *after, struct qs_err *err)
{
	struct pair pair = {.path_len = diff->path.buf.len};
	struct qs_err cause;
	enum qs_code rc;

	if (diff->depth >= QS_DEPTH_MAX ||
	    open_bytes(diff) > 2 * QS_WALK_BYTES_MAX)
		rc = qs_fail(&cause, QS_ECORRUPT,
			"too many or too large folders in folders");
	else
		rc = grow(diff, &cause);
	if (rc == QS_OK && before != NULL)
		rc = qs_dir_read(diff->source, before, &pair.before.dir,
			&cause);
	if (rc == QS_OK && after != NULL)
		rc = qs_dir_read(diff->source, after, &pair.after.dir,
			&cause);
	if (rc != QS_OK) {
		qs_dir_close(pair.before.dir);
		return go_around(diff, &cause, err) ? QS_OK : err->code;
	}
	pair.before.at_end = before == NULL;
	pair.after.at_end = after == NULL;
	diff->pairs[diff->depth++] = pair;
	return QS_OK;
}

static void
leave(struct diff *diff)
{
	struct pair *pair = &diff->pairs[--diff->depth];

	qs_dir_close(pair->before.dir);
	qs_dir_close(pair->after.dir);
}

static enum qs_code
advance(struct side *side, struct qs_err *err)
{
	enum qs_code rc;

	if (side->has_node || side->at_end)
		return QS_OK;
	rc = qs_dir_next(side->dir, &side->node, &side->at_end, err);
	if (rc != QS_OK)
		return rc;
	side->has_node = !side->at_end;
	return QS_OK;
}

/* ------------------------------------------------------------ contents */

static bool
is_same(struct qs_span a, struct qs_span b)
{
	return a.len == b.len &&
		(a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

static bool
same_content(const struct qs_content *a, const struct qs_content *b)
{
	return a->depth == b->depth && is_same(
		qs_span(a->refs, (size_t)a->count * QS_REF_LEN),
		qs_span(b->refs, (size_t)b->count * QS_REF_LEN));
}

static bool
same_meta(const struct qs_node *a, const struct qs_node *b)
{
	return a->mode == b->mode && a->uid == b->uid && a->gid == b->gid &&
		a->mtime_ns == b->mtime_ns && is_same(a->user, b->user) &&
		is_same(a->group, b->group) && is_same(a->xattrs, b->xattrs);
}

struct tally {
	struct qs_idset *set;
	uint64_t bytes; /* of what is not in it */
};

static enum qs_code
collect(void *arg, const struct qs_id *id, uint64_t len, uint64_t offset,
	struct qs_err *err)
{
	bool is_new;

	(void)len;
	(void)offset;
	return qs_idset_add(arg, id->b, &is_new, err);
}

static enum qs_code
count_missing(void *arg, const struct qs_id *id, uint64_t len,
	uint64_t offset, struct qs_err *err)
{
	struct tally *tally = arg;

	(void)offset;
	(void)err;
	if (!qs_is_zero(id->b, sizeof(id->b)) &&
	    !qs_idset_has(tally->set, id->b))
		tally->bytes += len;
	return QS_OK;
}

/* Bytes of a's chunks that b does not have. */
static enum qs_code
bytes_beyond(struct diff *diff, const struct qs_node *a,
	const struct qs_node *b, uint64_t *bytes, struct qs_err *err)
{
	struct qs_idset set = QS_IDSET(2);
	struct tally tally = {&set, 0};
	enum qs_code rc;

	/* Over a million chunks: the set would not be small any more. */
	if (a->content.depth > 1 || b->content.depth > 1) {
		*bytes += a->size;
		return QS_OK;
	}
	rc = qs_content_each(diff->source, &b->content, collect, &set, err);
	if (rc == QS_OK)
		rc = qs_content_each(diff->source, &a->content,
			count_missing, &tally, err);
	qs_idset_clear(&set);
	if (rc == QS_OK)
		*bytes += tally.bytes;
	return rc;
}

static enum qs_code
changed_file(struct diff *diff, const struct qs_node *before,
	const struct qs_node *after, struct qs_err *err)
{
	struct qs_err cause;
	enum qs_code rc;

	diff->stat.files_changed++;
	rc = bytes_beyond(diff, after, before, &diff->stat.bytes_new, &cause);
	if (rc == QS_OK)
		rc = bytes_beyond(diff, before, after,
			&diff->stat.bytes_removed, &cause);
	return rc == QS_OK || go_around(diff, &cause, err) ? QS_OK : err->code;
}

/* --------------------------------------------------------------- nodes */

/* On one side only, or of another type there. */
static enum qs_code
one_sided(struct diff *diff, const struct qs_node *node, bool is_added,
	struct qs_err *err)
{
	if (is_added)
		count_added(diff, node);
	else
		count_removed(diff, node);
	if (node->type != QS_NODE_DIR)
		return QS_OK;
	return enter(diff, is_added ? NULL : &node->content,
		is_added ? &node->content : NULL, err);
}

static bool
has_changed(const struct qs_node *a, const struct qs_node *b)
{
	if (a->type == QS_NODE_FILE)
		return !same_content(&a->content, &b->content);
	return !is_same(a->target, b->target) ||
		a->rdev_major != b->rdev_major ||
		a->rdev_minor != b->rdev_minor;
}

static enum qs_code
both(struct diff *diff, const struct qs_node *before,
	const struct qs_node *after, struct qs_err *err)
{
	const bool is_folder = after->type == QS_NODE_DIR;
	char changes[4] = "";
	enum qs_code rc = QS_OK;

	if (before->type != after->type) {
		rc = tell(diff, "T", is_folder, err);
		if (rc != QS_OK)
			return rc;
		/* At most one of the two is a folder to be entered. */
		if (is_folder) {
			count_removed(diff, before);
			return one_sided(diff, after, true, err);
		}
		count_added(diff, after);
		return one_sided(diff, before, false, err);
	}
	if (has_changed(before, after)) {
		changes[0] = 'M';
		if (before->type == QS_NODE_FILE)
			rc = changed_file(diff, before, after, err);
	}
	if (diff->metadata && !same_meta(before, after))
		changes[strlen(changes)] = 'U'; /* zeros follow */
	if (rc == QS_OK && changes[0] != '\0')
		rc = tell(diff, changes, is_folder, err);
	if (rc == QS_OK && is_folder &&
	    !same_content(&before->content, &after->content))
		rc = enter(diff, &before->content, &after->content, err);
	return rc;
}

/* The next name of the top pair, or its end. */
static enum qs_code
step(struct diff *diff, struct qs_err *err)
{
	struct pair *pair = &diff->pairs[diff->depth - 1];
	struct side *before = &pair->before, *after = &pair->after;
	struct qs_node a, b;
	struct qs_err cause;
	int order;
	enum qs_code rc;

	qs_path_cut(&diff->path, pair->path_len);
	rc = advance(before, &cause);
	if (rc == QS_OK)
		rc = advance(after, &cause);
	if (rc != QS_OK) {
		/* One side without the other would all be told as changed. */
		if (!go_around(diff, &cause, err))
			return err->code;
		leave(diff);
		return QS_OK;
	}
	if (before->at_end && after->at_end) {
		leave(diff);
		return QS_OK;
	}
	/* A side at its end comes after everything. */
	order = before->at_end ? 1 : after->at_end ? -1 :
		qs_name_order(before->node.name, after->node.name);
	a = before->node;
	b = after->node;
	rc = qs_path_set(&diff->path, pair->path_len,
		order <= 0 ? a.name : b.name, err);
	if (rc != QS_OK)
		return rc;
	/* What a and b borrow stays until these sides advance. */
	before->has_node = before->has_node && order > 0;
	after->has_node = after->has_node && order < 0;
	if (order == 0)
		return both(diff, &a, &b, err);
	rc = tell(diff, order < 0 ? "-" : "+",
		(order < 0 ? a.type : b.type) == QS_NODE_DIR, err);
	return rc != QS_OK ? rc :
		one_sided(diff, order < 0 ? &a : &b, order > 0, err);
}

enum qs_code
qs_diff(struct qs_source *source, const struct qs_content *before,
	const struct qs_content *after, bool metadata, qs_diff_fn fn,
	void (*trouble)(void *arg, const char *path, const struct qs_err *err),
	void *arg, struct qs_diff_stat *stat, struct qs_err *err)
{
	struct diff diff = {.source = source, .metadata = metadata, .fn = fn,
		.trouble = trouble, .arg = arg};
	enum qs_code rc = QS_OK;

	if (!same_content(before, after))
		rc = enter(&diff, before, after, err);
	while (rc == QS_OK && diff.depth > 0)
		rc = step(&diff, err);
	while (diff.depth > 0)
		leave(&diff);
	free(diff.pairs);
	qs_buf_clear(&diff.path.buf);
	qs_buf_clear(&diff.line);
	if (rc == QS_OK)
		*stat = diff.stat;
	return rc;
}
