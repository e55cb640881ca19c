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
	uint8_t what[9 + 32];

	what[0] = (uint8_t)node->type;
	qs_store32(what + 1, node->rdev_major);
	qs_store32(what + 5, node->rdev_minor);
	/* depth follows from size and count in a canonical content. */
	if (node->type == QS_NODE_FILE)
		qs_hash_plain(what + 9, 32, qs_span(node->content.refs,
			(size_t)node->content.count * QS_REF_LEN));
	else
		qs_hash_plain(what + 9, 32, node->target);
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
