/* SPDX-License-Identifier: ISC */
/*
 * mount_view: the snapshots by time, id, host and tag, as the log has them.  A
 * view is made once and never changes; when the log has changed, a new one
 * takes its place, and the old one goes with its last user.
 */
#include <stdlib.h>

#include "fuse/mount_internal.h"

#define REFRESH_NS 1000000000
#define BUSY_NS INT64_C(30000000000) /* after which that is told */

struct mount_views {
	struct qs_folder *folder;
	const struct qs_filter *filter;
	pthread_mutex_t look; /* held by who looks at the log */
	/* guarded by look; monotonic: */
	int64_t looked_ns;
	int64_t busy_ns; /* since when others write the index; 0: they don't */
	pthread_mutex_t lock;
	struct mount_view *view; /* guarded by lock */
};

static void
shot_clear(struct mount_shot *shot)
{
	free(shot->time_name);
	free(shot->id_name);
	free(shot->host);
	for (size_t i = 0; shot->tags != NULL && shot->tags[i] != NULL; i++)
		free(shot->tags[i]);
	free(shot->tags);
	free((void *)(uintptr_t)shot->root.refs);
}

static void
view_free(struct mount_view *view)
{
	if (view == NULL)
		return;
	for (size_t i = 0; i < view->count; i++)
		shot_clear(&view->shots[i]);
	free(view->shots);
	for (size_t i = 0; i < view->host_count; i++)
		free(view->hosts[i]);
	free(view->hosts);
	for (size_t i = 0; i < view->tag_count; i++)
		free(view->tags[i]);
	free(view->tags);
	free(view);
}

/* -------------------------------------------------------------- making */

static enum qs_code
shot_fill(struct mount_shot *shot, const struct qs_snapshot *snapshot,
	struct qs_err *err)
{
	const size_t len = (size_t)snapshot->root_count * QS_REF_LEN;
	uint8_t *refs = malloc(len + 1);
	enum qs_code rc;

	if (refs == NULL)
		return qs_fail_nomem(err, "reading the snapshots");
	shot->root = qs_snapshot_root(snapshot);
	if (len > 0)
		memcpy(refs, shot->root.refs, len);
	shot->root.refs = refs;
	shot->record = snapshot->record;
	shot->time_ns = snapshot->time_ns;
	shot->bytes = snapshot->totals.bytes;
	shot->files = snapshot->totals.files;
	rc = mount_name_of(snapshot->host, &shot->host, err);
	if (rc != QS_OK)
		return rc;
	shot->tags = calloc(snapshot->tag_count + 1, sizeof(char *));
	if (shot->tags == NULL)
		return qs_fail_nomem(err, "reading the snapshots");
	for (size_t i = 0; rc == QS_OK && i < snapshot->tag_count; i++)
		rc = mount_name_of(snapshot->tags[i], &shot->tags[i], err);
	return rc;
}

static enum qs_code
add_name(char ***names, size_t *count, const char *name, struct qs_err *err)
{
	char **grown = realloc(*names, (*count + 1) * sizeof(char *));

	if (grown == NULL)
		return qs_fail_nomem(err, "reading the snapshots");
	*names = grown;
	grown[*count] = strdup(name);
	if (grown[*count] == NULL)
		return qs_fail_nomem(err, "reading the snapshots");
	++*count;
	return QS_OK;
}

static enum qs_code
gather_names(struct mount_view *view, struct qs_err *err)
{
	enum qs_code rc = QS_OK;

	for (size_t i = 0; rc == QS_OK && i < view->count; i++) {
		const struct mount_shot *shot = &view->shots[i];

		rc = add_name(&view->hosts, &view->host_count, shot->host,
			err);
		for (size_t t = 0; rc == QS_OK && shot->tags[t] != NULL; t++)
			rc = add_name(&view->tags, &view->tag_count,
				shot->tags[t], err);
	}
	view->host_count = mount_names_sort(view->hosts, view->host_count);
	view->tag_count = mount_names_sort(view->tags, view->tag_count);
	return rc;
}

static enum qs_code
view_make(const struct mount_views *views, struct mount_view **out,
	struct qs_err *err)
{
	const size_t all = qs_folder_snapshot_count(views->folder);
	struct mount_view *view = calloc(1, sizeof(*view));
	enum qs_code rc = QS_OK;

	if (view == NULL)
		return qs_fail_nomem(err, "reading the snapshots");
	view->users = 1;
	view->made_ns = qs_now_ns();
	view->shots = calloc(all + 1, sizeof(*view->shots));
	if (view->shots == NULL) {
		rc = qs_fail_nomem(err, "reading the snapshots");
		goto out;
	}
	for (size_t i = 0; rc == QS_OK && i < all; i++) {
		const struct qs_snapshot *snapshot =
			qs_folder_snapshot(views->folder, i);

		if (!qs_filter_match(views->filter, snapshot))
			continue;
		view->bytes += snapshot->totals.bytes;
		view->files += snapshot->totals.files;
		rc = shot_fill(&view->shots[view->count++], snapshot, err);
	}
	if (rc == QS_OK)
		rc = mount_names_shots(view, err);
	if (rc == QS_OK)
		rc = gather_names(view, err);
	if (rc != QS_OK)
		goto out;
	*out = view;
	view = NULL; /* handed over */
out:
	view_free(view);
	return rc;
}

enum qs_code
mount_views_new(struct qs_folder *folder, const struct qs_filter *filter,
	struct mount_views **out, struct qs_err *err)
{
	struct mount_views *views = calloc(1, sizeof(*views));
	enum qs_code rc;

	if (views == NULL)
		return qs_fail_nomem(err, "mounting");
	(void)pthread_mutex_init(&views->look, NULL);
	(void)pthread_mutex_init(&views->lock, NULL);
	views->folder = folder;
	views->filter = filter;
	views->looked_ns = qs_mono_ns();
	rc = view_make(views, &views->view, err);
	if (rc != QS_OK) {
		mount_views_free(views);
		return rc;
	}
	*out = views;
	return QS_OK;
}

void
mount_views_free(struct mount_views *views)
{
	if (views == NULL)
		return;
	view_free(views->view);
	(void)pthread_mutex_destroy(&views->look);
	(void)pthread_mutex_destroy(&views->lock);
	free(views);
}

/* ---------------------------------------------------------- getting it */

/* It is looked again soon: others write the index for moments, as a rule. */
static void
pass_over_busy(struct mount_views *views, struct qs_err *trouble)
{
	const int64_t now_ns = qs_mono_ns();

	if (views->busy_ns == 0)
		views->busy_ns = now_ns;
	if (now_ns - views->busy_ns < BUSY_NS)
		trouble->code = QS_OK;
	else
		(void)qs_fail_while(trouble,
			"snapshots made since are not shown yet");
}

/* With look held. */
static void
refresh(struct mount_views *views, struct qs_err *trouble)
{
	struct mount_view *made = NULL, *old = NULL;
	bool has_changed = false;
	enum qs_code rc = qs_folder_reload(views->folder, &has_changed,
		trouble);

	if (rc == QS_OK && has_changed)
		rc = view_make(views, &made, trouble);
	if (rc == QS_EBUSY)
		pass_over_busy(views, trouble);
	else
		views->busy_ns = 0;
	if (rc != QS_OK || made == NULL)
		return;
	(void)pthread_mutex_lock(&views->lock);
	old = views->view;
	views->view = made;
	(void)pthread_mutex_unlock(&views->lock);
	mount_view_put(views, old);
}

struct mount_view *
mount_view_get(struct mount_views *views, struct qs_err *trouble)
{
	struct mount_view *view;

	trouble->code = QS_OK;
	/* Nobody waits for another one's look: the store may hang. */
	if (pthread_mutex_trylock(&views->look) == 0) {
		if (qs_mono_ns() - views->looked_ns >= REFRESH_NS) {
			refresh(views, trouble);
			/* From its end on: a slow store is asked less. */
			views->looked_ns = qs_mono_ns();
		}
		(void)pthread_mutex_unlock(&views->look);
	}
	(void)pthread_mutex_lock(&views->lock);
	view = views->view;
	view->users++;
	(void)pthread_mutex_unlock(&views->lock);
	return view;
}

void
mount_view_put(struct mount_views *views, struct mount_view *view)
{
	bool is_last;

	(void)pthread_mutex_lock(&views->lock);
	is_last = --view->users == 0;
	(void)pthread_mutex_unlock(&views->lock);
	if (is_last)
		view_free(view);
}

void
mount_views_sums(struct mount_views *views, uint64_t *bytes, uint64_t *files)
{
	(void)pthread_mutex_lock(&views->lock);
	*bytes = views->view->bytes;
	*files = views->view->files;
	(void)pthread_mutex_unlock(&views->lock);
}

/* -------------------------------------------------------------- names */

static bool
is_in(const struct mount_shot *shot, const struct mount_dir *dir)
{
	if (dir->kind == MOUNT_HOST)
		return strcmp(shot->host, dir->name) == 0;
	if (dir->kind != MOUNT_TAG)
		return true;
	for (size_t i = 0; shot->tags[i] != NULL; i++) {
		if (strcmp(shot->tags[i], dir->name) == 0)
			return true;
	}
	return false;
}

static bool
next_shot(const struct mount_view *view, const struct mount_dir *dir,
	size_t *at, struct mount_item *out)
{
	for (; *at < view->count; ++*at) {
		const struct mount_shot *shot = &view->shots[*at];

		if (!is_in(shot, dir))
			continue;
		out->kind = MOUNT_TREE;
		out->shot = shot;
		out->name = dir->kind == MOUNT_IDS ? shot->id_name :
			shot->time_name;
		++*at;
		return true;
	}
	return false;
}

static bool
next_of_root(const struct mount_view *view, size_t *at,
	struct mount_item *out)
{
	static const struct mount_item items[] = {
		{"hosts", MOUNT_HOSTS, NULL},
		{"ids", MOUNT_IDS, NULL},
		{"snapshots", MOUNT_SNAPSHOTS, NULL},
		{"tags", MOUNT_TAGS, NULL},
	};
	const size_t count = sizeof(items) / sizeof(items[0]);

	if (*at < count) {
		*out = items[(*at)++];
		return true;
	}
	if (*at > count || view->count == 0)
		return false;
	++*at;
	*out = (struct mount_item){"latest", MOUNT_TREE,
		&view->shots[view->count - 1]};
	return true;
}

static bool
next_group(char *const *names, size_t count, enum mount_kind kind,
	size_t *at, struct mount_item *out)
{
	if (*at >= count)
		return false;
	*out = (struct mount_item){names[(*at)++], kind, NULL};
	return true;
}

bool
mount_view_next(const struct mount_view *view, const struct mount_dir *dir,
	size_t *at, struct mount_item *out)
{
	switch (dir->kind) {
	case MOUNT_ROOT:
		return next_of_root(view, at, out);
	case MOUNT_HOSTS:
		return next_group(view->hosts, view->host_count, MOUNT_HOST,
			at, out);
	case MOUNT_TAGS:
		return next_group(view->tags, view->tag_count, MOUNT_TAG, at,
			out);
	case MOUNT_SNAPSHOTS:
	case MOUNT_IDS:
	case MOUNT_HOST:
	case MOUNT_TAG:
		return next_shot(view, dir, at, out);
	case MOUNT_TREE:
		break;
	}
	return false;
}

bool
mount_view_named(const struct mount_view *view, const struct mount_dir *dir,
	const char *name, struct mount_item *out)
{
	size_t at = 0;

	while (mount_view_next(view, dir, &at, out)) {
		if (strcmp(out->name, name) == 0)
			return true;
	}
	return false;
}
