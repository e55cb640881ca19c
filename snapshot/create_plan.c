/* SPDX-License-Identifier: ISC */
/*
 * The planner: compares each file with what was there last time.  What is
 * unchanged costs no more than that; small files are assigned to jobs for the
 * workers to read; big ones are read and cut here, in create_big.c.
 */
#include <stdlib.h>

#include "snapshot/create_plan_internal.h"

struct plan_level {
	struct folder *folder; /* a reference */
	struct prior *prior;
	uint32_t matched;
	bool all_same;
};

enum qs_code
plan_send(struct plan *plan, struct qs_err *err)
{
	if (plan->job != NULL)
		board_put_ready(&plan->create->board, plan->job);
	plan->job = board_take_idle(&plan->create->board);
	return plan->job ? QS_OK : qs_fail(err, QS_ECANCELED, "stopped");
}

enum qs_code
plan_event(struct plan *plan, enum event_kind kind, struct event **out,
	struct qs_err *err)
{
	enum qs_code rc;

	if ((plan->job == NULL || plan->job->event_count == CREATE_EVENTS) &&
		(rc = plan_send(plan, err)) != QS_OK)
		return rc;
	*out = &plan->job->events[plan->job->event_count++];
	**out = (struct event){.kind = kind};
	return QS_OK;
}

enum qs_code
plan_trouble(struct job *job, struct event *event, bool failed,
	const struct qs_err *trouble, struct qs_err *err)
{
	event->failed = event->failed || failed;
	if (event->trouble != NULL)
		return QS_OK; /* the first says it */
	event->trouble = arena_copy(&job->arena, trouble, sizeof(*trouble));
	return event->trouble ? QS_OK : qs_fail_nomem(err, "planning");
}

uint8_t
create_level_domain(const struct plan *plan)
{
	return plan->levels[plan->depth - 1].folder->domain;
}

static enum qs_code
set_name(struct plan *plan, struct event *event, const char *name, size_t len,
	struct qs_err *err)
{
	void *copy = arena_copy(&plan->job->arena, name, len + 1);

	if (copy == NULL)
		return qs_fail_nomem(err, "planning");
	event->node.name = qs_span(copy, len);
	return QS_OK;
}

/* Keep the entry as it was, for comparing and perhaps for using it again. */
static enum qs_code
set_prior(struct plan *plan, struct event *event,
	const struct prior_entry *prior, struct qs_err *err)
{
	void *copy;

	if (prior == NULL)
		return QS_OK;
	event->state = STATE_CHANGED;
	copy = arena_copy(&plan->job->arena, prior->node.encoded.data,
		prior->node.encoded.len);
	if (copy == NULL)
		return qs_fail_nomem(err, "planning");
	event->prior = qs_span(copy, prior->node.encoded.len);
	event->prior_ino = prior->ino;
	event->prior_ctime_ns = prior->has_inode ? prior->ctime_ns : -1;
	event->prior_place = prior->has_inode ? prior->place : UINT32_MAX;
	event->prior_entry_fresh = prior->is_fresh;
	return QS_OK;
}

static bool
same_inode(const struct prior_entry *prior, const struct facts *facts)
{
	return prior->has_inode && prior->ctime_ns == facts->ctime_ns &&
		prior->ino == facts->ino &&
		prior->node.mtime_ns == facts->mtime_ns;
}

/* Are all of an unchanged file's chunks still to be had? */
static bool
content_known(struct plan *plan, const struct qs_content *content)
{
	struct qs_chunk_loc *locs;
	struct qs_id *ids;
	struct qs_err ignored;
	size_t n = 0;
	bool known;

	if (content->depth > 0)
		return false; /* what a list names is not at hand: read it */
	locs = calloc((size_t)content->count + 1, sizeof(*locs));
	ids = calloc((size_t)content->count + 1, sizeof(*ids));
	known = locs != NULL && ids != NULL;
	for (uint32_t i = 0; known && i < content->count; i++) {
		ids[n] = qs_content_id(content, i);
		if (!qs_is_zero(ids[n].b, sizeof(ids[n].b)))
			n++;
	}
	known = known && qs_index_find(plan->create->index, ids, n, locs,
		&ignored) == QS_OK;
	for (size_t i = 0; known && i < n; i++)
		known = locs[i].pack != 0;
	free(locs);
	free(ids);
	return known;
}

/* Decode the copy in the arena, so that the node borrows from there. */
static bool
reuse_node(struct event *event)
{
	struct qs_err ignored;
	size_t used;

	return qs_node_decode(event->prior, &event->node, &used, &ignored) ==
		QS_OK;
}

static bool
unchanged(struct plan *plan, const struct prior_entry *prior,
	const struct list_item *item)
{
	const struct qs_create_options *o = plan->create->options;
	const struct facts *facts = &item->facts;
	bool is_file = S_ISREG(facts->mode);
	struct qs_node now = {0};

	if (prior == NULL || o->force)
		return false;
	meta_from_facts(&now, facts, plan->create->owners);
	if (prior->node.type != now.type)
		return false;
	if (is_file && prior->node.size != facts->size)
		return false;
	if (!same_inode(prior, facts) && !(is_file && o->trust_parent &&
		!prior->has_inode && prior->node.mtime_ns == facts->mtime_ns))
		return false;
	return !is_file || prior->is_fresh ||
		content_known(plan, &prior->node.content);
}

/* Attributes and target of what is not read as a file. */
static enum qs_code
plan_meta(struct plan *plan, struct event *event, const struct list_item *item,
	const char *name, struct qs_err *err)
{
	struct qs_err trouble;
	enum qs_code rc = QS_OK;
	struct arena *arena = &plan->job->arena;

	if (event->node.type == QS_NODE_SYMLINK) {
		rc = meta_target(arena, item->folder->fd, name,
			item->facts.size, &event->node, &trouble);
		if (rc != QS_OK)
			return plan_trouble(plan->job, event, true, &trouble,
				err);
	}
	rc = meta_xattrs(arena, -1, item->folder->fd, name, &event->node,
		&trouble);
	if (rc != QS_OK)
		return plan_trouble(plan->job, event, rc == QS_ENOTFOUND,
			&trouble, err);
	return QS_OK;
}

static enum qs_code
plan_small(struct plan *plan, struct event *event,
	const struct list_item *item)
{
	event->kind = EVENT_FILE;
	event->planned = true;
	event->arena_off = (uint32_t)plan->job->data_used;
	event->room = (uint32_t)item->facts.size;
	event->folder = item->folder;
	folder_take(item->folder);
	plan->job->data_used += item->facts.size;
	return QS_OK;
}

static bool
is_sparse(const struct facts *facts)
{
	return facts->blocks * 512 + 4096 < facts->size;
}

static enum qs_code
plan_entry(struct plan *plan, const struct list_item *item, const char *name,
	struct qs_err *err)
{
	struct plan_level *level = &plan->levels[plan->depth - 1];
	const struct prior_entry *prior = prior_seek(level->prior,
		qs_span(name, item->name_len), true);
	bool is_file = S_ISREG(item->facts.mode), same, small;
	struct event *event;
	enum qs_code rc;

	same = unchanged(plan, prior, item);
	small = is_file && item->facts.size <= CREATE_SMALL &&
		!is_sparse(&item->facts);
	if (is_file && !same && small && plan->job != NULL &&
		plan->job->data_used + item->facts.size > CREATE_JOB_BYTES &&
		(rc = plan_send(plan, err)) != QS_OK)
		return rc;
	if ((rc = plan_event(plan, EVENT_NODE, &event, err)) != QS_OK ||
		(rc = set_prior(plan, event, prior, err)) != QS_OK)
		return rc;
	event->facts = item->facts;
	if (prior != NULL && prior->has_inode && same)
		level->matched++;
	else
		level->all_same = false;
	if (same && reuse_node(event)) {
		event->state = STATE_SAME;
		event->racy = meta_racy(&item->facts);
		if (prior->has_inode)
			return QS_OK; /* ctime vouches for the rest, too */
		/* From the parent's tree: the content; the rest is as now. */
		struct qs_content content = event->node.content;
		uint64_t size = event->node.size;

		meta_from_facts(&event->node, &item->facts,
			plan->create->owners);
		event->node.content = content;
		event->node.size = size;
		if ((rc = set_name(plan, event, name, item->name_len, err)) !=
			QS_OK)
			return rc;
		return plan_meta(plan, event, item, name, err);
	}
	if ((rc = set_name(plan, event, name, item->name_len, err)) != QS_OK)
		return rc;
	meta_from_facts(&event->node, &item->facts, plan->create->owners);
	event->racy = meta_racy(&item->facts);
	if (!is_file || item->facts.size == 0)
		return plan_meta(plan, event, item, name, err);
	if (small)
		return plan_small(plan, event, item);
	return plan_big(plan, event, item->folder->fd, name, err);
}

static enum qs_code
push_level(struct plan *plan, struct folder *folder,
	const struct qs_content *parent_content, struct qs_err *err)
{
	struct plan_level *level;

	if (plan->depth == plan->cap) {
		size_t cap = plan->cap ? plan->cap * 2 : 32;

		level = realloc(plan->levels, cap * sizeof(*level));
		if (level == NULL)
			return qs_fail_nomem(err, "planning");
		plan->levels = level;
		plan->cap = cap;
	}
	level = &plan->levels[plan->depth];
	*level = (struct plan_level){.folder = folder, .all_same = true};
	folder_take(folder);
	plan->depth++;
	return prior_open(plan->create, folder, parent_content, &level->prior,
		err);
}

static enum qs_code
plan_enter(struct plan *plan, const struct list_item *item, const char *name,
	struct qs_err *err)
{
	const struct prior_entry *prior = NULL;
	struct qs_content parent = {0};
	struct qs_err trouble;
	struct event *event;
	bool is_root = plan->depth == 0, reused;
	enum qs_code rc;

	if ((rc = plan_event(plan, EVENT_ENTER, &event, err)) != QS_OK)
		return rc;
	if (!is_root) {
		struct plan_level *above = &plan->levels[plan->depth - 1];

		prior = prior_seek(above->prior, qs_span(name,
			item->name_len), !item->folder->made_up);
		if (prior != NULL && prior->node.type != QS_NODE_DIR)
			prior = NULL;
		if (prior != NULL && prior->has_inode)
			above->matched++;
		else
			above->all_same = false;
	}
	if ((rc = set_prior(plan, event, prior, err)) != QS_OK)
		return rc;
	event->facts = item->facts;
	event->folder = item->folder;
	folder_take(item->folder);
	event->racy = meta_racy(&item->facts);
	reused = prior != NULL && same_inode(prior, &item->facts) &&
		reuse_node(event);
	if (prior != NULL && (reused || reuse_node(event)))
		parent = event->node.content;
	if (is_root && plan->create->parent != NULL)
		parent = qs_snapshot_root(plan->create->parent);
	if (!reused) {
		event->node = (struct qs_node){0};
		meta_from_facts(&event->node, &item->facts,
			plan->create->owners);
		if ((rc = set_name(plan, event, name, item->name_len, err)) !=
			QS_OK)
			return rc;
		if (!is_root && item->folder->fd >= 0 &&
			!item->folder->made_up && meta_xattrs(
			&plan->job->arena, item->folder->fd, -1, name,
			&event->node, &trouble) != QS_OK && (rc = plan_trouble(
			plan->job, event, false, &trouble, err)) != QS_OK)
			return rc;
	}
	rc = push_level(plan, item->folder, parent.refs ? &parent : NULL, err);
	if (rc == QS_OK)
		event->prior_fresh = prior_fresh(
			plan->levels[plan->depth - 1].prior);
	return rc;
}

static void
pop_level(struct plan *plan)
{
	struct plan_level *level = &plan->levels[--plan->depth];

	prior_close(level->prior);
	folder_drop(level->folder);
}

static enum qs_code
plan_leave(struct plan *plan, struct qs_err *err)
{
	struct plan_level *level = &plan->levels[plan->depth - 1];
	struct event *event;
	struct qs_content content;
	enum qs_code rc;

	if ((rc = plan_event(plan, EVENT_LEAVE, &event, err)) != QS_OK)
		return rc;
	event->all_same = level->all_same && prior_all_matched(level->prior,
		level->matched);
	event->prior_fresh = prior_fresh(level->prior);
	event->is_partial = level->folder->is_partial;
	if (event->all_same) {
		content = prior_content(level->prior);
		content.refs = arena_copy(&plan->job->arena, content.refs,
			(size_t)content.count * QS_REF_LEN);
		if (content.refs == NULL)
			return qs_fail_nomem(err, "planning");
		event->prior_content = content;
	}
	pop_level(plan);
	return QS_OK;
}

static enum qs_code
plan_batch(struct plan *plan, const struct list_batch *batch,
	struct qs_err *err)
{
	enum qs_code rc = QS_OK;

	for (size_t i = 0; i < batch->count && rc == QS_OK; i++) {
		const struct list_item *item = &batch->items[i];
		const char *name = (char *)batch->names.data + item->name_off;

		switch (item->kind) {
		case LIST_ENTER:
			rc = plan_enter(plan, item, name, err);
			break;
		case LIST_ENTRY:
			rc = plan_entry(plan, item, name, err);
			break;
		case LIST_LEAVE:
			rc = plan_leave(plan, err);
			break;
		}
	}
	return rc;
}

void
create_plan_run(void *arg)
{
	struct create *create = arg;
	struct plan plan = {.create = create};
	struct list_batch *batch;
	struct qs_err err;
	enum qs_code rc = QS_OK;
	bool last = false;

	if (rc == QS_OK && create->options->stdin_fd >= 0) {
		rc = plan_stdin(&plan, &err);
		last = true;
	}
	while (rc == QS_OK && !last) {
		batch = qs_queue_pop(create->batches);
		if (batch == NULL)
			break; /* stopped */
		rc = plan_batch(&plan, batch, &err);
		last = batch->last;
		list_batch_clear(batch);
		if (!qs_queue_push(create->empty_batches, batch)) {
			list_batch_free(batch); /* stopped */
			break;
		}
	}
	while (plan.depth > 0)
		pop_level(&plan);
	free(plan.levels);
	if (plan.job != NULL)
		board_put_ready(&create->board, plan.job);
	if (rc != QS_OK)
		board_fail(&create->board, &err);
	else if (last)
		board_planned_all(&create->board);
}
