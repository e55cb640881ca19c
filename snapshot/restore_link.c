/* SPDX-License-Identifier: ISC */
/* restore_link: files with several names, found by the group they share. */
#include <stdlib.h>

#include "snapshot/restore_internal.h"

static size_t
bucket_of(const struct restore_links *links, uint64_t group)
{
	/* Groups are hashes in honest trees; mixing costs nothing. */
	return (size_t)((group * 0x9e3779b97f4a7c15u) >> 32) &
		(links->bucket_count - 1);
}

struct restore_link *
restore_links_find(struct restore_links *links, uint64_t group)
{
	struct restore_link *link;

	if (links->bucket_count == 0)
		return NULL;
	link = links->buckets[bucket_of(links, group)];
	while (link != NULL && link->group != group)
		link = link->next;
	return link;
}

static enum qs_code
grow(struct restore_links *links, struct qs_err *err)
{
	struct restore_links more = {.bucket_count = links->bucket_count == 0 ?
		256 : links->bucket_count * 2, .count = links->count};

	if (links->count < links->bucket_count)
		return QS_OK;
	more.buckets = calloc(more.bucket_count, sizeof(struct restore_link *));
	if (more.buckets == NULL)
		return qs_fail_nomem(err, "remembering hard links");
	for (size_t i = 0; i < links->bucket_count; i++) {
		while (links->buckets[i] != NULL) {
			struct restore_link *link = links->buckets[i];
			const size_t at = bucket_of(&more, link->group);

			links->buckets[i] = link->next;
			link->next = more.buckets[at];
			more.buckets[at] = link;
		}
	}
	free(links->buckets);
	*links = more;
	return QS_OK;
}

static void
digest_of(const struct qs_node *node, uint8_t out[static 32])
{
	uint8_t what[10 + 32];

	what[0] = (uint8_t)node->type;
	qs_store32(what + 1, node->rdev_major);
	qs_store32(what + 5, node->rdev_minor);
	what[9] = node->content.depth;
	if (node->type == QS_NODE_FILE)
		qs_hash_plain(what + 10, 32, qs_span(node->content.refs,
			(size_t)node->content.count * QS_REF_LEN));
	else
		qs_hash_plain(what + 10, 32, node->target);
	qs_hash_plain(out, 32, qs_span(what, sizeof(what)));
}

enum qs_code
restore_links_add(struct restore_links *links, const struct qs_node *node,
	const char *path, struct restore_link **out, struct qs_err *err)
{
	struct restore_link *link;
	size_t at;
	enum qs_code rc = grow(links, err);

	if (rc != QS_OK)
		return rc;
	link = calloc(1, sizeof(*link));
	if (link == NULL)
		return qs_fail_nomem(err, "remembering hard links");
	link->path = strdup(path);
	if (link->path == NULL) {
		free(link);
		return qs_fail_nomem(err, "remembering hard links");
	}
	link->group = node->link_group;
	link->size = node->size;
	link->seen = 1;
	digest_of(node, link->digest);
	at = bucket_of(links, link->group);
	link->next = links->buckets[at];
	links->buckets[at] = link;
	links->count++;
	*out = link;
	return QS_OK;
}

bool
restore_link_fits(const struct restore_link *link, const struct qs_node *node)
{
	uint8_t digest[32];

	if (link->size != node->size)
		return false;
	digest_of(node, digest);
	return memcmp(digest, link->digest, sizeof(digest)) == 0;
}

void
restore_links_drop(struct restore_links *links, struct restore_link *link)
{
	struct restore_link **at =
		&links->buckets[bucket_of(links, link->group)];

	while (*at != link)
		at = &(*at)->next;
	*at = link->next;
	links->count--;
	free(link->path);
	free(link);
}

void
restore_links_clear(struct restore_links *links)
{
	for (size_t i = 0; i < links->bucket_count; i++)
		while (links->buckets[i] != NULL)
			restore_links_drop(links, links->buckets[i]);
	free(links->buckets);
	*links = (struct restore_links){NULL, 0, 0};
}

/* ------------------------------------------------- names that are met */

static enum link_state
wait_for(struct restore *restore, struct restore_link *link)
{
	enum link_state state;

	/* Its first name may still be in the job that is being filled. */
	restore_flush(restore);
	pthread_mutex_lock(&restore->lock);
	while (link->state == LINK_PENDING)
		pthread_cond_wait(&restore->link_done, &restore->lock);
	state = link->state;
	pthread_mutex_unlock(&restore->lock);
	return state;
}

static enum link_state
state_of(struct restore *restore, struct restore_link *link)
{
	enum link_state state;

	pthread_mutex_lock(&restore->lock);
	state = link->state;
	pthread_mutex_unlock(&restore->lock);
	return state == LINK_PENDING ? wait_for(restore, link) : state;
}

/* One more name of its file is done with. */
static void
count_name(struct restore_links *links, struct restore_link *link,
	const struct qs_node *node)
{
	if (++link->seen >= node->links)
		restore_links_drop(links, link);
}

bool
restore_link_try(struct restore *restore, struct restore_folder *folder,
	const struct qs_node *node, const char *path, size_t skip,
	bool replaces, struct restore_link **link)
{
	const char *name = strrchr(path, '/') + 1;
	struct restore_link *known =
		restore_links_find(&restore->links, node->link_group);
	enum link_state state;
	struct qs_err err;

	*link = NULL;
	if (known == NULL) {
		if (restore_links_add(&restore->links, node, path + skip,
		    link, &err) != QS_OK)
			restore_stop(restore, &err);
		return false;
	}
	if (!restore_link_fits(known, node))
		return false; /* it changed while it was saved */
	state = state_of(restore, known);
	if (state == LINK_DONE && restore_link_make(restore, folder, known,
	    name, replaces, &err) == QS_OK) {
		count_name(&restore->links, known, node);
		if (node->type == QS_NODE_FILE) {
			(void)atomic_fetch_add(&restore->files_restored, 1);
			(void)atomic_fetch_add(
				&restore->report->progress->files_done, 1);
			(void)atomic_fetch_add(
				&restore->report->progress->bytes_done,
				node->size);
		} else {
			(void)atomic_fetch_add(&restore->others, 1);
		}
		restore_event(restore, QS_EVENT_RESTORED, path, node);
		return true;
	}
	if (state == LINK_DONE && !restore_stopped(restore)) {
		(void)qs_fail_while(&err, "restored as a file of its own");
		restore_note(restore, path, &err);
	}
	/* This one becomes the first. */
	restore_links_drop(&restore->links, known);
	if (restore_links_add(&restore->links, node, path + skip, link,
	    &err) != QS_OK)
		restore_stop(restore, &err);
	return false;
}

bool
restore_link_keep(struct restore *restore, const struct stat *st,
	const struct qs_node *node, const char *path)
{
	struct restore_link *link =
		restore_links_find(&restore->links, node->link_group);
	struct qs_err err;

	if (link != NULL && !restore_link_fits(link, node))
		return true; /* it changed while it was saved */
	if (link != NULL && state_of(restore, link) == LINK_DONE) {
		if (link->dev != st->st_dev || link->ino != st->st_ino)
			return false;
		count_name(&restore->links, link, node);
		return true;
	}
	/* It is what further names are linked to. */
	if (link != NULL)
		restore_links_drop(&restore->links, link);
	if (restore_links_add(&restore->links, node, path, &link, &err) !=
	    QS_OK) {
		restore_stop(restore, &err);
		return true;
	}
	link->state = LINK_DONE;
	link->dev = st->st_dev;
	link->ino = st->st_ino;
	return true;
}

void
restore_link_made(struct restore *restore, struct restore_folder *folder,
	const char *name, struct restore_link *link, bool is_made)
{
	struct stat st = {0};

	if (link == NULL)
		return;
	is_made = is_made && fstatat(folder->fd, name, &st,
		AT_SYMLINK_NOFOLLOW) == 0;
	pthread_mutex_lock(&restore->lock);
	link->state = is_made ? LINK_DONE : LINK_FAILED;
	link->dev = st.st_dev;
	link->ino = st.st_ino;
	pthread_mutex_unlock(&restore->lock);
}
