/* SPDX-License-Identifier: ISC */
/*
 * The assembler: takes the jobs in order and makes the trees.  A folder's
 * entries are collected in parts, which become tree chunks; the references to
 * them are the content of the folder's own entry in the one above.
 */
#include <stdlib.h>

#include "snapshot/create_internal.h"

struct open_dir {
	struct event event;   /* its ENTER; borrows from kept */
	struct qs_buf kept;   /* its entry without content, its prior entry */
	struct qs_buf part;   /* QS_TREE_HEAD free bytes, entries */
	uint32_t part_count, count;
	struct qs_content_builder content;
	struct row_writer row;
	bool same, writes_rows, made_up;
	bool is_partial; /* something in it could not be saved */
	uint8_t path_hash[32];
	size_t path_len; /* of the path before its own name */
};

struct assembler {
	struct create *create;
	struct packer *packer;
	struct open_dir *dirs;
	size_t depth, cap;
	struct qs_content_builder file;
	struct qs_buf path;
	bool done;
	bool leaving_made_up; /* the entry being added is of such a folder */
};

static enum qs_code
emit_list(void *arg, struct qs_span list, struct qs_id *id, struct qs_err *err)
{
	return packer_add_chunk(arg, QS_KIND_LIST, list, id, err);
}

/* ---- paths, for people */

static enum qs_code
path_push(struct assembler *a, struct qs_span name, struct qs_err *err)
{
	enum qs_code rc = qs_buf_append(&a->path, "/", 1, err);

	if (rc == QS_OK)
		rc = qs_buf_append(&a->path, name.data, name.len, err);
	if (rc == QS_OK)
		rc = qs_buf_append(&a->path, "", 1, err);
	if (rc == QS_OK)
		a->path.len--; /* the NUL stands behind the end */
	return rc;
}

static void
path_cut(struct assembler *a, size_t len)
{
	a->path.len = len;
	if (a->path.data != NULL)
		a->path.data[len] = '\0';
}

static enum qs_code
report(struct assembler *a, const struct event *event,
	const struct qs_node *node, enum event_state state, struct qs_err *err)
{
	static const enum qs_event_kind kinds[] = {
		[STATE_NEW] = QS_EVENT_NEW,
		[STATE_CHANGED] = QS_EVENT_CHANGED,
		[STATE_SAME] = QS_EVENT_UNMODIFIED,
	};
	bool wanted = a->create->report->event != NULL;
	size_t len = a->path.len;
	enum qs_code rc = QS_OK;

	if (!wanted)
		return QS_OK;
	if ((rc = path_push(a, node->name, err)) != QS_OK)
		return rc;
	if (event->trouble != NULL)
		create_warn(a->create, (char *)a->path.data, event->trouble);
	if (!event->failed)
		create_event(a->create, kinds[state], (char *)a->path.data,
			node->type, node->size);
	path_cut(a, len);
	return QS_OK;
}

/* ---- parts of a folder's tree */

static enum qs_code
flush_part(struct assembler *a, struct open_dir *dir, struct qs_err *err)
{
	uint64_t before = a->create->new_chunks;
	struct qs_id id;
	enum qs_code rc;

	if (dir->part_count == 0)
		return QS_OK;
	qs_tree_head(dir->part.data, dir->part_count);
	rc = packer_add_chunk(a->packer, QS_KIND_TREE, qs_buf_span(&dir->part),
		&id, err);
	if (rc == QS_OK)
		rc = qs_content_builder_add(&dir->content, &id, dir->part.len,
			err);
	if (dir->made_up)
		a->create->new_chunks = before;
	dir->part.len = QS_TREE_HEAD;
	dir->part_count = 0;
	return rc;
}

/* Parts end at names chosen by a hash, so that an insertion moves one cut. */
static bool
part_ends(const struct assembler *a, const struct open_dir *dir,
	struct qs_span name)
{
	uint8_t hash[8];

	if (dir->part.len < CREATE_PART_BYTES)
		return false;
	if (dir->part.len >= CREATE_PART_MAX)
		return true;
	qs_b2b(hash, sizeof(hash), qs_keys_id(a->create->keys, 0), "split",
		name.data, name.len);
	return (hash[0] & 0x7f) == 0;
}

static int64_t
entry_ctime(const struct event *event)
{
	return event->racy ? -1 : event->facts.ctime_ns;
}

/* What was named by itself, for --skip-if-unchanged and for the next run. */
static enum qs_code
added_target(struct assembler *a, const struct open_dir *dir,
	const struct event *event, struct qs_span entry, struct qs_span name,
	bool row_same, struct qs_err *err)
{
	struct create *create = a->create;
	size_t len = a->path.len;
	enum qs_code rc;

	if ((rc = path_push(a, name, err)) != QS_OK ||
		(rc = qs_buf_append(&create->target_paths, a->path.data,
			a->path.len + 1, err)) != QS_OK ||
		(rc = qs_buf_append(&create->targets, entry.data, entry.len,
			err)) != QS_OK)
		return rc;
	path_cut(a, len);
	if (create->options->dry_run || (row_same && event->prior_entry_fresh))
		return QS_OK;
	return row_put_target(create->index, dir->path_hash, name,
		event->facts.ino, entry_ctime(event), entry, err);
}

/* The entry just put at the end of dir->part, entry_len bytes. */
static enum qs_code
added(struct assembler *a, struct open_dir *dir, const struct event *event,
	size_t entry_len, struct qs_span name, bool *same, struct qs_err *err)
{
	struct qs_span entry = qs_span(dir->part.data + dir->part.len -
		entry_len, entry_len);
	int64_t ctime_ns = entry_ctime(event);
	enum qs_code rc = QS_OK;
	bool row_same;

	*same = event->prior.len == entry.len &&
		memcmp(event->prior.data, entry.data, entry.len) == 0;
	row_same = *same && event->prior_ino == event->facts.ino &&
		event->prior_ctime_ns == ctime_ns;
	if (!row_same || event->prior_place != dir->count)
		dir->same = dir->row.same = false;
	if (dir->made_up && !a->leaving_made_up && (rc = added_target(a, dir,
		event, entry, name, row_same, err)) != QS_OK)
		return rc;
	dir->count++;
	dir->part_count++;
	if (dir->writes_rows) {
		rc = row_add(&dir->row, event->facts.ino, ctime_ns, entry,
			err);
		if (rc == QS_OK && dir->row.count == CREATE_ROW_ENTRIES) {
			if (dir->row.same && dir->event.prior_fresh) {
				dir->row.bytes.len = 0;
				dir->row.count = 0;
				dir->row.segment++;
			} else {
				rc = row_put(a->create->index, dir->path_hash,
					&dir->row, false, NULL, err);
			}
		}
	}
	if (rc == QS_OK && part_ends(a, dir, name))
		rc = flush_part(a, dir, err);
	return rc;
}

/* ---- folders */

static void
dir_clear(struct open_dir *dir)
{
	qs_buf_clear(&dir->kept);
	qs_buf_clear(&dir->part);
	qs_buf_clear(&dir->row.bytes);
	qs_content_builder_clear(&dir->content);
}

/* What the ENTER event borrows must outlive its job. */
static enum qs_code
keep_enter(struct open_dir *dir, const struct event *event,
	struct qs_err *err)
{
	struct qs_node bare = event->node;
	size_t used, need;
	enum qs_code rc;

	dir->event = *event;
	dir->event.folder = NULL;
	dir->event.trouble = NULL; /* in the job's arena; given by enter */
	dir->kept.len = 0;
	bare.content = (struct qs_content){0};
	bare.size = 0;
	bare.is_partial = false; /* that is known when it ends */
	if (bare.name.len == 0) /* the root has no entry */
		return QS_OK;
	if ((rc = qs_node_encode(&bare, &dir->kept, err)) != QS_OK)
		return rc;
	need = dir->kept.len;
	if ((rc = qs_buf_append(&dir->kept, event->prior.data,
		event->prior.len, err)) != QS_OK)
		return rc;
	dir->event.prior.data = dir->kept.data + need;
	return qs_node_decode(qs_span(dir->kept.data, need), &dir->event.node,
		&used, err);
}

static enum qs_code
enter(struct assembler *a, const struct event *event, struct qs_err *err)
{
	struct open_dir *dir;
	uint8_t *head;
	enum qs_code rc;

	if (a->depth == a->cap) {
		size_t cap = a->cap ? a->cap * 2 : 32;

		dir = realloc(a->dirs, cap * sizeof(*dir));
		if (dir == NULL)
			return qs_fail_nomem(err, "saving a folder");
		a->dirs = dir;
		a->cap = cap;
	}
	dir = &a->dirs[a->depth];
	*dir = (struct open_dir){.same = true, .path_len = a->path.len};
	qs_content_builder_init(&dir->content, emit_list, a->packer);
	a->depth++;
	dir->row.same = true;
	if (event->folder != NULL) {
		memcpy(dir->path_hash, event->folder->path_hash, 32);
		dir->made_up = event->folder->made_up;
		dir->writes_rows = !event->folder->made_up &&
			event->folder->fd >= 0 && !a->create->options->dry_run;
	}
	if ((rc = qs_buf_extend(&dir->part, QS_TREE_HEAD, &head, err)) !=
		QS_OK || (rc = keep_enter(dir, event, err)) != QS_OK)
		return rc;
	if (a->depth == 1)
		return QS_OK;
	rc = path_push(a, event->node.name, err);
	if (rc == QS_OK && event->trouble != NULL)
		create_warn(a->create, (char *)a->path.data, event->trouble);
	return rc;
}

static enum qs_code
take_root(struct assembler *a, const struct qs_content *content,
	struct qs_err *err)
{
	struct create *create = a->create;
	enum qs_code rc = qs_buf_append(&create->root_bytes, content->refs,
		(size_t)content->count * QS_REF_LEN, err);

	create->root = *content;
	create->root.refs = create->root_bytes.data;
	a->done = true;
	return rc;
}

static enum qs_code
enter_above(struct assembler *a, struct open_dir *dir,
	const struct qs_content *content, uint64_t size, struct qs_err *err)
{
	struct open_dir *above = &a->dirs[a->depth - 2];
	struct qs_node *node = &dir->event.node;
	struct qs_totals *totals = &a->create->totals;
	enum event_state state = STATE_NEW;
	size_t before = above->part.len;
	bool same = false;
	enum qs_code rc;

	node->content = *content;
	node->size = size;
	node->is_partial = dir->is_partial;
	path_cut(a, dir->path_len);
	rc = qs_node_encode(node, &above->part, err);
	a->leaving_made_up = dir->made_up;
	if (rc == QS_OK)
		rc = added(a, above, &dir->event, above->part.len - before,
			node->name, &same, err);
	a->leaving_made_up = false;
	if (rc != QS_OK)
		return rc;
	if (dir->event.prior.len > 0)
		state = same ? STATE_SAME : STATE_CHANGED;
	totals->dirs++;
	totals->dirs_new += state == STATE_NEW;
	totals->dirs_changed += state == STATE_CHANGED;
	totals->dirs_unmodified += state == STATE_SAME;
	return report(a, &dir->event, node, state, err);
}

static enum qs_code
leave(struct assembler *a, const struct event *event, struct qs_err *err)
{
	struct open_dir *dir = &a->dirs[a->depth - 1];
	struct qs_content content;
	uint64_t size = 0;
	/*
	 * Only when a single row holds all of it: the rows of a large folder
	 * may come from several runs, and the last one's content with them.
	 */
	bool same = dir->same && event->all_same && event->prior_fresh &&
		dir->content.size == 0 && dir->row.segment == 0;
	enum qs_code rc = QS_OK;

	dir->is_partial |= event->is_partial;
	if (same) { /* its tree is in the store: no need to hash it */
		content = event->prior_content;
		for (uint32_t i = 0; i < content.count; i++)
			size += qs_content_len(&content, i);
	} else {
		rc = flush_part(a, dir, err);
		if (rc == QS_OK)
			rc = qs_content_builder_finish(&dir->content, &content,
				&size, err);
	}
	if (rc == QS_OK && dir->writes_rows && !same)
		rc = row_put(a->create->index, dir->path_hash, &dir->row,
			true, &content, err);
	if (rc == QS_OK)
		rc = a->depth == 1 ? take_root(a, &content, err) :
			enter_above(a, dir, &content, size, err);
	dir_clear(dir);
	a->depth--;
	return rc;
}

/* ---- files and the rest */

static enum qs_code
add_pieces(struct assembler *a, const struct job *job,
	const struct event *event, struct qs_err *err)
{
	static const struct qs_id hole;
	enum qs_code rc = QS_OK;

	if (event->hole > 0)
		return qs_content_builder_add(&a->file, &hole, event->hole,
			err);
	for (uint32_t i = 0; i < event->chunk_count && rc == QS_OK; i++) {
		const struct job_chunk *chunk =
			&job->chunks[event->chunk_first + i];

		rc = qs_content_builder_add(&a->file, &chunk->id, chunk->len,
			err);
		atomic_fetch_add(&a->create->report->progress->bytes_done,
			chunk->len);
	}
	return rc;
}

static void
count(struct assembler *a, const struct event *event,
	const struct qs_node *node)
{
	struct qs_totals *totals = &a->create->totals;
	struct qs_progress *progress = a->create->report->progress;

	if (node->type != QS_NODE_FILE) {
		totals->others++;
		return;
	}
	totals->files++;
	totals->bytes += node->size;
	totals->files_new += event->state == STATE_NEW;
	totals->files_changed += event->state == STATE_CHANGED;
	totals->files_unmodified += event->state == STATE_SAME;
	atomic_fetch_add(&progress->files_done, 1);
	if (event->state == STATE_SAME)
		atomic_fetch_add(&progress->bytes_done, node->size);
}

static enum qs_code
add_node(struct assembler *a, const struct job *job, struct event *event,
	struct qs_err *err)
{
	struct open_dir *dir = &a->dirs[a->depth - 1];
	size_t before = dir->part.len;
	struct qs_node *node = &event->node;
	bool same;
	enum qs_code rc = QS_OK;

	if (event->kind == EVENT_FILE && !event->failed) {
		if (event->planned)
			rc = add_pieces(a, job, event, err);
		if (rc == QS_OK)
			rc = qs_content_builder_finish(&a->file,
				&node->content, &node->size, err);
	}
	if (rc == QS_OK && !event->failed) {
		/* As stored last time, or made anew. */
		rc = event->state == STATE_SAME && node->encoded.len > 0 ?
			qs_buf_append(&dir->part, node->encoded.data,
				node->encoded.len, err) :
			qs_node_encode(node, &dir->part, err);
		if (rc == QS_OK)
			rc = added(a, dir, event, dir->part.len - before,
				node->name, &same, err);
		if (rc == QS_OK)
			count(a, event, node);
	}
	if (event->kind == EVENT_FILE)
		qs_content_builder_reset(&a->file);
	if (event->failed) {
		dir->same = dir->row.same = false;
		/* What has vanished is not missed. */
		dir->is_partial |= event->trouble == NULL ||
			event->trouble->code != QS_ENOTFOUND;
		if (dir->made_up)
			atomic_store(&a->create->target_lost, true);
	}
	return rc == QS_OK ? report(a, event, node, event->state, err) : rc;
}

static enum qs_code
assemble_job(struct assembler *a, struct job *job, struct qs_err *err)
{
	enum qs_code rc = packer_add_job(a->packer, job, err);

	for (size_t i = 0; i < job->event_count && rc == QS_OK; i++) {
		struct event *event = &job->events[i];

		switch (event->kind) {
		case EVENT_ENTER:
			rc = enter(a, event, err);
			break;
		case EVENT_LEAVE:
			rc = leave(a, event, err);
			break;
		case EVENT_PIECE:
			rc = add_pieces(a, job, event, err);
			break;
		case EVENT_NODE:
		case EVENT_FILE:
			rc = add_node(a, job, event, err);
			break;
		}
	}
	return rc;
}

enum qs_code
create_assemble(struct create *create, struct packer *packer,
	struct qs_err *err)
{
	struct assembler a = {.create = create, .packer = packer};
	struct job *job;
	enum qs_code rc = QS_OK;

	qs_content_builder_init(&a.file, emit_list, packer);
	for (uint64_t number = 0; rc == QS_OK; number++) {
		job = board_next_done(&create->board, number);
		if (job == NULL)
			break;
		rc = assemble_job(&a, job, err);
		board_put_idle(&create->board, job);
		if (rc == QS_OK && create_stopped(create))
			rc = qs_fail(err, QS_ECANCELED, "interrupted");
	}
	if (rc == QS_OK && !a.done)
		rc = qs_fail(err, QS_ECANCELED, "stopped");
	while (a.depth > 0)
		dir_clear(&a.dirs[--a.depth]);
	free(a.dirs);
	qs_content_builder_clear(&a.file);
	qs_buf_clear(&a.path);
	return rc;
}
