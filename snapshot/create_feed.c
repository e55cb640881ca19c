/* SPDX-License-Identifier: ISC */
/* The two users of the walk: the lister's thread, and counting for an ETA. */
#include <stdlib.h>

#include "snapshot/create_list_internal.h"

#define BATCH_NAMES (64u << 10)

uint8_t
create_domain(const char *name, uint8_t parent)
{
	static const char *const foreign[] = {
		".cache", ".mail", ".mozilla", ".thunderbird", "Downloads",
		"Mail", "Maildir", "QubesIncoming", "mail",
	};

	if (parent != 0)
		return parent;
	for (size_t i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++)
		if (strcmp(name, foreign[i]) == 0)
			return 1;
	return 0;
}

void
list_batch_clear(struct list_batch *batch)
{
	for (size_t i = 0; i < batch->count; i++)
		folder_drop(batch->items[i].folder);
	batch->count = 0;
	batch->names.len = 0;
	batch->last = false;
}

void
list_batch_free(struct list_batch *batch)
{
	if (batch == NULL)
		return;
	list_batch_clear(batch);
	qs_buf_clear(&batch->names);
	free(batch);
}

/* ------------------------------------------------------- lister's thread */

struct feed {
	struct create *create;
	struct list_batch *batch;
};

static enum qs_code
send_batch(struct feed *feed, struct qs_err *err)
{
	if (!qs_queue_push(feed->create->batches, feed->batch))
		return qs_fail(err, QS_ECANCELED, "stopped");
	feed->batch = qs_queue_pop(feed->create->empty_batches);
	if (feed->batch == NULL)
		return qs_fail(err, QS_ECANCELED, "stopped");
	return QS_OK;
}

static enum qs_code
add_item(struct feed *feed, enum list_kind kind, struct folder *folder,
	const char *name, const struct facts *facts, struct qs_err *err)
{
	size_t len = strlen(name);
	struct list_item *item;
	enum qs_code rc;

	if ((feed->batch->count == CREATE_BATCH ||
		feed->batch->names.len > BATCH_NAMES) &&
		(rc = send_batch(feed, err)) != QS_OK)
		return rc;
	item = &feed->batch->items[feed->batch->count];
	*item = (struct list_item){
		.kind = kind,
		.name_off = (uint32_t)feed->batch->names.len,
		.name_len = (uint32_t)len,
		.folder = folder,
	};
	if (facts != NULL)
		item->facts = *facts;
	rc = qs_buf_append(&feed->batch->names, name, len + 1, err);
	if (rc != QS_OK)
		return rc;
	if (folder != NULL)
		folder_take(folder);
	feed->batch->count++;
	return QS_OK;
}

static enum qs_code
feed_enter(void *arg, struct folder *folder, const char *name,
	const struct facts *facts, struct qs_err *err)
{
	return add_item(arg, LIST_ENTER, folder, name, facts, err);
}

static enum qs_code
feed_entry(void *arg, struct folder *folder, const char *name,
	const struct facts *facts, struct qs_err *err)
{
	return add_item(arg, LIST_ENTRY, folder, name, facts, err);
}

static enum qs_code
feed_leave(void *arg, struct qs_err *err)
{
	return add_item(arg, LIST_LEAVE, NULL, "", NULL, err);
}

static void
feed_warn(void *arg, const char *path, const struct qs_err *err)
{
	create_warn(((struct feed *)arg)->create, path, err);
}

static bool
feed_stopped(void *arg)
{
	return create_stopped(((struct feed *)arg)->create);
}

void
create_list_run(void *arg)
{
	struct create *create = arg;
	const struct qs_create_options *o = create->options;
	struct feed feed = {.create = create};
	struct lister lister = {
		.options = o,
		.arg = &feed,
		.enter = feed_enter,
		.entry = feed_entry,
		.leave = feed_leave,
		.warn = feed_warn,
		.stopped = feed_stopped,
	};
	struct target *root = NULL;
	struct qs_err err;
	enum qs_code rc;

	feed.batch = qs_queue_pop(create->empty_batches);
	if (feed.batch == NULL)
		return;
	rc = create_targets(o->paths, o->path_count, &root, &err);
	if (rc == QS_OK)
		rc = lister_run(&lister, root, &err);
	if (rc == QS_OK && lister.targets_found == 0)
		rc = qs_fail(&err, QS_ENOTFOUND, "nothing to save: %s %s",
			o->path_count == 1 ? o->paths[0] :
			"none of the paths given",
			o->path_count == 1 ? "does not exist or cannot be "
			"read" : "can be read");
	if (lister.target_lost)
		atomic_store(&create->target_lost, true);
	lister_clear(&lister);
	create_targets_free(root);
	if (rc == QS_OK) {
		feed.batch->last = true;
		if (qs_queue_push(create->batches, feed.batch))
			return;
	} else {
		board_fail(&create->board, &err);
	}
	list_batch_free(feed.batch); /* no more is wanted */
}

/* -------------------------------------------------------------- counting */

static enum qs_code
count_enter(void *arg, struct folder *folder, const char *name,
	const struct facts *facts, struct qs_err *err)
{
	(void)arg, (void)folder, (void)name, (void)facts, (void)err;
	return QS_OK;
}

static enum qs_code
count_entry(void *arg, struct folder *folder, const char *name,
	const struct facts *facts, struct qs_err *err)
{
	struct qs_progress *progress = arg;

	(void)folder, (void)name, (void)err;
	if (S_ISREG(facts->mode)) {
		atomic_fetch_add(&progress->files_total, 1);
		atomic_fetch_add(&progress->bytes_total, facts->size);
	}
	return QS_OK;
}

static enum qs_code
count_leave(void *arg, struct qs_err *err)
{
	(void)arg, (void)err;
	return QS_OK;
}

static void
count_warn(void *arg, const char *path, const struct qs_err *err)
{
	(void)arg, (void)path, (void)err; /* the lister warns */
}

static bool
count_stopped(void *arg)
{
	return atomic_load(&((struct qs_progress *)arg)->cancel);
}

enum qs_code
qs_create_scan(const struct qs_create_options *options,
	struct qs_progress *progress, struct qs_err *err)
{
	struct lister lister = {
		.options = options,
		.arg = progress,
		.enter = count_enter,
		.entry = count_entry,
		.leave = count_leave,
		.warn = count_warn,
		.stopped = count_stopped,
	};
	struct target *root;
	enum qs_code rc;

	rc = create_targets(options->paths, options->path_count, &root, err);
	if (rc != QS_OK)
		return rc;
	rc = lister_run(&lister, root, err);
	lister_clear(&lister);
	create_targets_free(root);
	return rc;
}
