/* SPDX-License-Identifier: ISC */
/*
 * restore_walk: through the tree of the snapshot in the caller's thread: what
 * is wanted, what is there already, folders, and the work for the others.
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "snapshot/restore_internal.h"

struct level {
	struct restore_folder *folder;
	size_t path_len;    /* as walked */
	bool is_incomplete; /* some of its entries could not be read */
	struct restore_extra *extra; /* or NULL */
};

struct walk {
	struct restore *restore;
	struct restore_folder *target;
	const struct qs_node *root; /* what becomes the target */
	struct qs_buf path; /* as in the snapshot, with '/' in front */
	size_t prefix_len;
	struct level *levels;
	size_t depth;
	struct qs_err failure; /* of the walk itself */
};

/* --------------------------------------------------- what is there already */

enum verdict { VERDICT_NEW, VERDICT_REPLACE, VERDICT_KEEP };

static bool
is_unchanged(const struct stat *st, const struct qs_node *node)
{
	if (restore_mtime(st) != node->mtime_ns)
		return false;
	if (node->type == QS_NODE_FILE)
		return S_ISREG(st->st_mode) &&
			(uint64_t)st->st_size == node->size;
	return node->type == QS_NODE_SYMLINK && S_ISLNK(st->st_mode) &&
		(uint64_t)st->st_size == node->target.len;
}

static enum verdict
judge(const struct restore *restore, const struct stat *st,
	const struct qs_node *node)
{
	switch (restore->options->overwrite) {
	case QS_OVERWRITE_ALWAYS:
		return VERDICT_REPLACE;
	case QS_OVERWRITE_IF_CHANGED:
		return is_unchanged(st, node) ? VERDICT_KEEP :
			VERDICT_REPLACE;
	case QS_OVERWRITE_IF_NEWER:
		return restore_mtime(st) < node->mtime_ns ? VERDICT_REPLACE :
			VERDICT_KEEP;
	case QS_OVERWRITE_NEVER:
		break;
	}
	return VERDICT_KEEP;
}

/* A folder where the snapshot has none: away with it, if that is allowed. */
static enum qs_code
clear_way(const struct restore *restore, const struct restore_folder *folder,
	const char *path, struct qs_err *err)
{
	const struct qs_restore_options *options = restore->options;
	bool is_left = false;
	enum qs_code rc;

	/* Nothing tells whether what is in it is older. */
	if (!options->delete_extra ||
	    options->overwrite == QS_OVERWRITE_NEVER ||
	    options->overwrite == QS_OVERWRITE_IF_NEWER)
		return qs_fail(err, QS_EEXIST, "a folder is in the way");
	rc = restore_remove(restore, folder->fd, strrchr(path, '/') + 1,
		path, &is_left, err);
	if (rc != QS_OK)
		return qs_fail_while(err, "a folder is in the way");
	return !is_left ? QS_OK : qs_fail(err, QS_EEXIST,
		"a folder is in the way, and what is excluded is in it");
}

/* *st: what is there, unless the verdict is VERDICT_NEW. */
static enum qs_code
decide(const struct restore *restore, const struct restore_folder *folder,
	const struct qs_node *node, const char *path, struct stat *st,
	enum verdict *verdict, struct qs_err *err)
{
	const char *name = strrchr(path, '/') + 1;

	*verdict = VERDICT_NEW;
	if (folder->is_fresh || folder->fd < 0)
		return QS_OK;
	if (fstatat(folder->fd, name, st, AT_SYMLINK_NOFOLLOW) != 0)
		return errno == ENOENT ? QS_OK : qs_fail_errno(err,
			"cannot look at what is there");
	if (S_ISDIR(st->st_mode))
		return clear_way(restore, folder, path, err);
	*verdict = judge(restore, st, node);
	return QS_OK;
}

/*
 * A name that may stay as it is, of a file with several.  One that is another
 * file than the names before it becomes a link to those, where what has
 * changed may be overwritten.
 */
static enum verdict
judge_link(struct restore *restore, const struct stat *st,
	const struct qs_node *node, const char *path, size_t skip)
{
	/* Other bytes under a name that was not there would be a lie. */
	if (restore->options->dry_run || node->link_group == 0 ||
	    node->links < 2 || !is_unchanged(st, node))
		return VERDICT_KEEP;
	if (restore_link_keep(restore, st, node, path + skip) ||
	    restore->options->overwrite != QS_OVERWRITE_IF_CHANGED)
		return VERDICT_KEEP;
	return VERDICT_REPLACE;
}

/* ---------------------------------------------------------------- entries */

static void
kept(struct restore *restore, const struct qs_node *node, const char *path)
{
	if (node->type == QS_NODE_FILE) {
		restore->files_skipped++;
		restore->bytes_skipped += node->size;
		(void)atomic_fetch_add(&restore->report->progress->files_done,
			1);
		(void)atomic_fetch_add(&restore->report->progress->bytes_done,
			node->size);
	}
	restore_event(restore, QS_EVENT_KEPT, path, node);
}

static void
add_file(struct restore *restore, struct restore_folder *folder,
	const struct qs_node *node, const char *path, size_t skip,
	bool replaces, uint64_t number)
{
	struct restore_file file = {.folder = folder, .replaces = replaces,
		.number = number};

	if (restore->options->dry_run) {
		(void)atomic_fetch_add(&restore->files_restored, 1);
		(void)atomic_fetch_add(&restore->bytes_restored, node->size);
		restore_event(restore, QS_EVENT_RESTORED, path, node);
		return;
	}
	if (node->link_group != 0 && node->links > 1 && restore_link_try(
	    restore, folder, node, path, skip, replaces, &file.link))
		return;
	restore_folder_take(folder);
	restore_file_add(restore, &file, node, path);
}

static void
add_other(struct restore *restore, struct restore_folder *folder,
	const struct qs_node *node, const char *path, size_t skip,
	bool replaces)
{
	const char *name = strrchr(path, '/') + 1;
	struct restore_link *link = NULL;
	enum qs_code rc;
	const bool is_device = node->type == QS_NODE_CHARDEV ||
		node->type == QS_NODE_BLOCKDEV;
	struct qs_err err;

	if (is_device && !restore->options->privileged) {
		(void)atomic_fetch_add(&restore->dropped_devices, 1);
		return;
	}
	if (!restore->options->dry_run) {
		if (node->link_group != 0 && node->links > 1 &&
		    restore_link_try(restore, folder, node, path, skip,
		    replaces, &link))
			return;
		rc = restore_node(restore, folder, node, name, replaces, &err);
		restore_link_made(restore, folder, name, link, rc == QS_OK);
		if (rc != QS_OK) {
			restore_warn(restore, path, &err);
			return;
		}
	}
	(void)atomic_fetch_add(&restore->others, 1);
	restore_event(restore, QS_EVENT_RESTORED, path, node);
}

void
restore_entry(struct restore *restore, struct restore_folder *folder,
	const struct qs_node *node, const char *path, size_t skip)
{
	enum verdict verdict = VERDICT_NEW;
	uint64_t number = 0;
	struct stat st;
	struct qs_err err;
	enum qs_code rc = restore_folder_make(restore, folder, &err);

	if (node->type == QS_NODE_FILE) {
		restore->total_files++;
		restore->total_bytes += node->size;
		if (rc == QS_OK)
			rc = restore_number(restore, &number, &err);
		else
			restore->number++;
	}
	if (rc == QS_OK)
		rc = decide(restore, folder, node, path, &st, &verdict, &err);
	if (rc == QS_OK && verdict == VERDICT_KEEP)
		verdict = judge_link(restore, &st, node, path, skip);
	if (rc != QS_OK)
		restore_warn(restore, path, &err);
	else if (verdict == VERDICT_KEEP)
		kept(restore, node, path);
	else if (node->type == QS_NODE_FILE)
		add_file(restore, folder, node, path, skip,
			verdict == VERDICT_REPLACE, number);
	else
		add_other(restore, folder, node, path, skip,
			verdict == VERDICT_REPLACE);
}

/* ---------------------------------------------------------------- folders */

static void
pop(struct walk *walk, bool is_complete)
{
	struct level *level = &walk->levels[--walk->depth];

	if (level->extra != NULL && is_complete && !level->is_incomplete)
		restore_extra_upto(walk->restore, level->extra, level->folder,
			qs_span(NULL, 0));
	restore_extra_free(level->extra);
	restore_room_return(walk->restore, level->folder);
	restore_folder_drop(walk->restore, level->folder);
}

/*
 * What is in a folder on another file system than the one above, or in one
 * that was not saved whole, is not what the snapshot knows of: nobody has said
 * that it is not wanted.
 */
static bool
may_delete_in(const struct restore_folder *folder, const struct qs_node *node,
	struct qs_err *err)
{
	if (node->is_partial)
		(void)qs_fail(err, QS_EUNSUPPORTED, "is not deleted, nor is "
			"anything beside it: not all that was in this folder "
			"was saved");
	else if (folder->parent != NULL && folder->dev != folder->parent->dev)
		(void)qs_fail(err, QS_EUNSUPPORTED, "is not deleted, nor is "
			"anything beside it: another file system begins with "
			"this folder");
	else
		return true;
	return false;
}

/* Takes the folder; node is its entry. */
static void
push(struct walk *walk, struct restore_folder *folder,
	const struct qs_node *node, size_t path_len)
{
	struct level *level = &walk->levels[walk->depth++];
	struct qs_err err;

	*level = (struct level){.folder = folder, .path_len = path_len};
	if (!walk->restore->options->delete_extra || folder->is_fresh)
		return;
	if (folder->fd < 0)
		restore_folder_look(walk->restore, folder);
	if (folder->fd < 0)
		return;
	if (restore_extra_read(folder, &level->extra, &err) != QS_OK)
		restore_warn_folder(walk->restore, folder, &err);
	else if (!may_delete_in(folder, node, &err))
		restore_extra_spare(level->extra, &err);
}

static enum qs_visit_next
enter(struct walk *walk, const struct qs_visit *visit, bool is_wanted)
{
	struct restore *restore = walk->restore;
	struct restore_folder *parent = walk->levels[visit->depth - 1].folder;
	const char *path = (const char *)walk->path.data;
	struct restore_folder *folder = NULL;
	uint64_t number = 0;
	struct qs_err err;
	enum qs_code rc = restore_number(restore, &number, &err);

	if (rc == QS_OK)
		rc = restore_folder_new(parent, visit->node, &folder, &err);
	if (rc == QS_OK) {
		folder->is_wanted = is_wanted;
		if (is_wanted)
			rc = restore_folder_make(restore, folder, &err);
	}
	if (rc != QS_OK) {
		restore_warn(restore, path, &err);
		if (folder != NULL)
			folder->is_wanted = false;
		restore_folder_drop(restore, folder);
		return QS_VISIT_SKIP;
	}
	push(walk, folder, visit->node, visit->path_len);
	restore_mark(restore, number);
	if (is_wanted)
		restore_event(restore, QS_EVENT_RESTORED, path, visit->node);
	return QS_VISIT_GO;
}

static enum qs_code
set_path(struct walk *walk, const struct qs_visit *visit, struct qs_err *err)
{
	enum qs_code rc;

	walk->path.len = walk->prefix_len;
	rc = qs_buf_append(&walk->path, "/", 1, err);
	if (rc == QS_OK)
		rc = qs_buf_append(&walk->path, visit->path,
			visit->path_len + 1, err);
	return rc;
}

static enum qs_visit_next
see_node(struct walk *walk, const struct qs_visit *visit)
{
	struct restore *restore = walk->restore;
	const struct level *above;
	bool is_wanted, below = false;

	/* What could not be entered is left without a word from the walk. */
	while (walk->depth > visit->depth)
		pop(walk, false);
	if (visit->depth == 0) {
		restore_folder_take(walk->target);
		push(walk, walk->target, walk->root, 0);
		return QS_VISIT_GO;
	}
	if (set_path(walk, visit, &walk->failure) != QS_OK) {
		restore_stop(restore, &walk->failure);
		return QS_VISIT_STOP;
	}
	above = &walk->levels[visit->depth - 1];
	if (above->extra != NULL)
		restore_extra_upto(restore, above->extra, above->folder,
			visit->node->name);
	is_wanted = restore_selects(restore, (const char *)walk->path.data,
		&below);
	if (visit->node->type == QS_NODE_DIR)
		return is_wanted || below ? enter(walk, visit, is_wanted) :
			QS_VISIT_SKIP;
	if (is_wanted)
		restore_entry(restore, above->folder, visit->node,
			(const char *)walk->path.data, walk->prefix_len + 1);
	return QS_VISIT_GO;
}

static enum qs_visit_next
see(void *arg, const struct qs_visit *visit)
{
	struct walk *walk = arg;

	if (restore_stopped(walk->restore))
		return QS_VISIT_STOP;
	if (visit->what == QS_VISIT_NODE)
		return see_node(walk, visit);
	while (walk->depth > visit->depth + 1)
		pop(walk, false);
	if (walk->depth == visit->depth + 1)
		pop(walk, true);
	return QS_VISIT_GO;
}

static void
see_trouble(void *arg, const char *path, const struct qs_err *trouble)
{
	struct walk *walk = arg;
	const struct level *top;
	struct qs_err err = *trouble;

	while (walk->depth > 1 &&
	    walk->levels[walk->depth - 1].path_len > strlen(path))
		pop(walk, false);
	if (walk->depth == 0)
		return;
	top = &walk->levels[walk->depth - 1];
	/* What can't be read may be in the snapshot: nothing is deleted. */
	walk->levels[walk->depth - 1].is_incomplete = true;
	(void)qs_fail_while(&err, "the folder's list of files");
	restore_warn_folder(walk->restore, top->folder, &err);
}

enum qs_code
restore_walk(struct restore *restore, const struct qs_node *root,
	const char *prefix, struct restore_folder *target, struct qs_err *err)
{
	struct walk walk = {.restore = restore, .target = target,
		.root = root, .prefix_len = strlen(prefix)};
	const struct qs_visitor visitor = {see, see_trouble, &walk};
	enum qs_code rc = qs_buf_append(&walk.path, prefix, walk.prefix_len,
		err);

	walk.levels = calloc(QS_DEPTH_MAX + 2, sizeof(*walk.levels));
	if (walk.levels == NULL)
		rc = qs_fail_nomem(err, "restoring a tree");
	if (rc == QS_OK)
		rc = qs_tree_walk(restore->source, &root->content, &visitor,
			err);
	restore_flush(restore);
	while (walk.depth > 0)
		pop(&walk, false);
	free(walk.levels);
	qs_buf_clear(&walk.path);
	return rc;
}
