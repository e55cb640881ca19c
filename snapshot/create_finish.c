/* SPDX-License-Identifier: ISC */
/*
 * The end of a snapshot: index chunks if many packs have none, the tail pack,
 * and, when every pack is durable, the record that makes it a snapshot.
 */
#include <stdlib.h>

#include "snapshot/create_internal.h"

struct names { /* a growing list */
	struct qs_name *list;
	size_t count, cap;
};

static enum qs_code
add_name(void *arg, const struct qs_name *name, struct qs_err *err)
{
	struct names *names = arg;

	if (names->count == names->cap) {
		size_t cap = names->cap ? names->cap * 2 : 64;
		struct qs_name *more = realloc(names->list,
			cap * sizeof(*more));

		if (more == NULL)
			return qs_fail_nomem(err, "finishing the snapshot");
		names->list = more;
		names->cap = cap;
	}
	names->list[names->count++] = *name;
	return QS_OK;
}

static int
by_name(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct qs_name));
}

static void
sort_unique(struct names *names)
{
	size_t kept = 0;

	if (names->count == 0)
		return;
	qsort(names->list, names->count, sizeof(*names->list), by_name);
	for (size_t i = 0; i < names->count; i++)
		if (i == 0 || by_name(&names->list[i], &names->list[kept - 1]))
			names->list[kept++] = names->list[i];
	names->count = kept;
}

/* What of the cover is still to be found directly, or through what chunk. */
struct plan_cover {
	struct names direct; /* not covered by an index chunk (yet) */
	struct qs_index_at *indexes;
	size_t index_count, index_cap;
};

static enum qs_code
add_index(struct plan_cover *cover, const struct qs_index_at *at,
	struct qs_err *err)
{
	if (cover->index_count == cover->index_cap) {
		size_t cap = cover->index_cap ? cover->index_cap * 2 : 16;
		struct qs_index_at *more = realloc(cover->indexes,
			cap * sizeof(*more));

		if (more == NULL)
			return qs_fail_nomem(err, "finishing the snapshot");
		cover->indexes = more;
		cover->index_cap = cap;
	}
	cover->indexes[cover->index_count++] = *at;
	return QS_OK;
}

/*
 * Take over the old cover.  Small index chunks, when there are many, are given
 * up: what they covered is covered anew by a larger one.
 */
static enum qs_code
take_cover(struct create *create, const struct qs_cover *old,
	struct plan_cover *cover, struct qs_err *err)
{
	size_t small = 0;
	enum qs_code rc = QS_OK;

	for (size_t i = 0; i < old->index_count; i++)
		small += old->indexes[i].len < QS_INDEX_SMALL;
	for (size_t i = 0; i < old->index_count && rc == QS_OK; i++) {
		const struct qs_index_at *at = &old->indexes[i];
		struct qs_name *names = NULL;
		size_t count = 0;

		if (small < QS_DIRECT_MAX || at->len >= QS_INDEX_SMALL) {
			rc = add_index(cover, at, err);
			continue;
		}
		/* One that can't be read stays: its packs may come back. */
		if (qs_index_chunk_names(create->folder, at, &names, &count,
			err) != QS_OK) {
			rc = add_index(cover, at, err);
			continue;
		}
		for (size_t j = 0; j < count && rc == QS_OK; j++)
			rc = add_name(&cover->direct, &names[j], err);
		free(names);
	}
	for (size_t i = 0; i < old->direct_count && rc == QS_OK; i++)
		rc = add_name(&cover->direct, &old->direct[i], err);
	return rc;
}

/* Packs that the index no longer has (damaged, gone) need no cover. */
static enum qs_code
drop_unknown(struct create *create, struct names *names, struct qs_err *err)
{
	bool *known = calloc(names->count + 1, sizeof(bool));
	size_t kept = 0;
	enum qs_code rc;

	if (known == NULL)
		return qs_fail_nomem(err, "finishing the snapshot");
	rc = qs_index_has_packs(create->index, names->list, names->count,
		known, err);
	for (size_t i = 0; rc == QS_OK && i < names->count; i++)
		if (known[i])
			names->list[kept++] = names->list[i];
	if (rc == QS_OK)
		names->count = kept;
	free(known);
	return rc;
}

static enum qs_code
write_indexes(struct create *create, struct packer *packer,
	struct plan_cover *cover, struct qs_err *err)
{
	struct qs_buf chunk = {0};
	size_t from = 0, done;
	enum qs_code rc = QS_OK;

	while (from < cover->direct.count && rc == QS_OK) {
		struct qs_index_at at = {{{0}}, {{0}}, 0};

		chunk.len = 0;
		rc = qs_index_chunk_encode(create->index, cover->direct.list +
			from, cover->direct.count - from, &chunk, &done, err);
		if (rc != QS_OK)
			break;
		rc = packer_add_chunk(packer, QS_KIND_INDEX,
			qs_buf_span(&chunk), &at.id, err);
		at.len = (uint32_t)chunk.len;
		if (rc == QS_OK)
			rc = add_index(cover, &at, err);
		from += done;
	}
	if (rc == QS_OK)
		cover->direct.count = 0;
	qs_buf_clear(&chunk);
	return rc;
}

/* In which pack each new index chunk came to lie. */
static enum qs_code
locate_indexes(struct create *create, struct plan_cover *cover,
	struct qs_err *err)
{
	for (size_t i = 0; i < cover->index_count; i++) {
		struct qs_index_at *at = &cover->indexes[i];
		struct qs_index_pack pack;
		struct qs_chunk_loc loc;
		enum qs_code rc;

		if (!qs_is_zero(at->pack.b, sizeof(at->pack.b)))
			continue;
		rc = qs_index_find(create->index, &at->id, 1, &loc, err);
		if (rc == QS_OK && loc.pack == 0)
			rc = qs_fail(err, QS_EIO, "an index chunk just written "
				"is not in the index");
		if (rc == QS_OK)
			rc = qs_index_pack(create->index, loc.pack, &pack, err);
		if (rc != QS_OK)
			return rc;
		at->pack = pack.ref.name;
		free(pack.frames);
	}
	return QS_OK;
}

static enum qs_code
set_text(char **out, const char *text, struct qs_err *err)
{
	*out = strdup(text);
	return *out ? QS_OK : qs_fail_nomem(err, "finishing the snapshot");
}

static enum qs_code
set_texts(char ***out, size_t *out_count, const char *const *texts,
	size_t count, struct qs_err *err)
{
	*out = calloc(count + 1, sizeof(char *));
	if (*out == NULL)
		return qs_fail_nomem(err, "finishing the snapshot");
	for (size_t i = 0; i < count; i++) {
		enum qs_code rc = set_text(&(*out)[i], texts[i], err);

		if (rc != QS_OK)
			return rc;
		*out_count = i + 1;
	}
	return QS_OK;
}

static enum qs_code
fill_snapshot(struct create *create, struct qs_snapshot *s,
	struct qs_err *err)
{
	const struct qs_create_options *o = create->options;
	enum qs_code rc;

	s->time_ns = o->time_ns ? o->time_ns : create->began_ns;
	s->uid = create->uid;
	s->gid = create->gid;
	if (create->parent != NULL)
		s->parent = create->parent->record;
	s->totals = create->totals;
	s->root_depth = create->root.depth;
	s->root_count = create->root.count;
	s->root_refs = malloc((size_t)s->root_count * QS_REF_LEN + 1);
	if (s->root_refs == NULL)
		return qs_fail_nomem(err, "finishing the snapshot");
	if (s->root_count > 0)
		memcpy(s->root_refs, create->root.refs,
			(size_t)s->root_count * QS_REF_LEN);
	if ((rc = set_text(&s->host, create->host, err)) != QS_OK ||
		(rc = set_text(&s->user, create->user, err)) != QS_OK ||
		(rc = set_text(&s->program, "qstore " QS_VERSION, err)) !=
			QS_OK ||
		(rc = set_texts(&s->paths, &s->path_count,
			(const char *const *)create->paths, create->path_count,
			err)) != QS_OK)
		return rc;
	return set_texts(&s->tags, &s->tag_count, o->tags, o->tag_count, err);
}

/*
 * Are the targets what they were in the parent, which had the same paths?  The
 * parent's entries are looked up one by one.
 */
static bool
same_targets(struct create *create)
{
	struct qs_content root = qs_snapshot_root(create->parent);
	size_t at = 0, path_at = 0;
	struct qs_buf bytes = {0};
	bool same = create->target_paths.len > 0 &&
		!atomic_load(&create->target_lost);

	while (path_at < create->target_paths.len && same) {
		const char *path = (char *)create->target_paths.data + path_at;
		struct qs_node node;
		struct qs_err ignored;

		same = qs_tree_find(create->source, &root, path, &bytes, &node,
			&ignored) == QS_OK && node.encoded.len > 0 &&
			node.encoded.len <= create->targets.len - at &&
			memcmp(create->targets.data + at, node.encoded.data,
				node.encoded.len) == 0;
		if (same)
			at += node.encoded.len;
		path_at += strlen(path) + 1;
	}
	qs_buf_clear(&bytes);
	return same && at == create->targets.len;
}

static bool
same_as_parent(struct create *create)
{
	struct qs_content before;

	if (create->parent == NULL)
		return false;
	before = qs_snapshot_root(create->parent);
	if (before.depth == create->root.depth &&
		before.count == create->root.count && memcmp(before.refs,
		create->root.refs, (size_t)before.count * QS_REF_LEN) == 0)
		return true;
	return same_targets(create);
}

/* Nothing but the trees of folders on the way to the targets is new. */
static bool
stored_nothing(const struct create *create)
{
	return create->totals.data_blobs == 0 && create->new_chunks == 0 &&
		create->committed_count == 0;
}

/*
 * Is there a pack that no record lists?  Snapshots that are there may need it:
 * only a record makes it known to others.
 */
static enum qs_code
has_unlisted(struct create *create, bool *out, struct qs_err *err)
{
	struct names unlogged = {0};
	enum qs_code rc = qs_index_each_unlogged(create->index, add_name,
		&unlogged, err);

	if (rc == QS_OK)
		rc = drop_unknown(create, &unlogged, err);
	if (rc == QS_OK)
		*out = unlogged.count > 0;
	free(unlogged.list);
	return rc;
}

/* Every object that no record names yet, in order, and the record. */
static enum qs_code
write_record(struct create *create, struct plan_cover *cover,
	struct qs_create_result *result, struct qs_err *err)
{
	struct qs_payload payload = {.kind = QS_PAYLOAD_SNAPSHOT};
	struct names added = {0};
	enum qs_code rc;

	rc = qs_retired_list_used(create->folder, err);
	if (rc == QS_OK)
		rc = qs_index_each_unlogged(create->index, add_name, &added,
			err);
	if (rc == QS_OK) /* an interrupted run's that are gone by now */
		rc = drop_unknown(create, &added, err);
	sort_unique(&added);
	sort_unique(&cover->direct);
	payload.cover = (struct qs_cover){cover->indexes, cover->index_count,
		cover->direct.list, cover->direct.count};
	if (rc == QS_OK)
		rc = fill_snapshot(create, &payload.snapshot, err);
	if (rc == QS_OK)
		rc = qs_folder_append(create->folder, &payload, added.list,
			added.count, &result->record, err);
	/* It may have grown there: what others logged in the meantime. */
	cover->direct.list = payload.cover.direct;
	cover->direct.count = cover->direct.cap = payload.cover.direct_count;
	if (rc == QS_OK) {
		rc = qs_index_run_end(create->index, err);
		if (rc == QS_EINDEX) /* it is saved all the same */
			rc = QS_OK;
	}
	payload.cover = (struct qs_cover){0}; /* the caller's */
	qs_payload_clear(&payload);
	free(added.list);
	return rc;
}

enum qs_code
create_finish(struct create *create, struct packer *packer,
	struct qs_create_result *result, struct qs_err *err)
{
	const struct qs_create_options *o = create->options;
	struct plan_cover cover = {0};
	size_t before;
	bool is_owed = false;
	enum qs_code rc = QS_OK;

	result->saved = false;
	if (o->dry_run)
		return packer_flush_frames(packer, err);
	if (o->skip_if_unchanged)
		rc = has_unlisted(create, &is_owed, err);
	if (rc != QS_OK)
		return rc;
	/* Chunks stored anew (their pack was lost) are worth a record. */
	if (o->skip_if_unchanged && !is_owed && stored_nothing(create) &&
		same_as_parent(create))
		return QS_OK; /* rows of this run stay to be verified */
	/* Only packs that are durable can go into an index chunk. */
	if (!board_flush(&create->board))
		return qs_fail(err, QS_ECANCELED, "stopped");
	rc = take_cover(create, qs_folder_cover(create->folder), &cover, err);
	/* Those of this run, and what an interrupted one left behind. */
	if (rc == QS_OK)
		rc = qs_index_each_unlogged(create->index, add_name,
			&cover.direct, err);
	sort_unique(&cover.direct);
	if (rc == QS_OK)
		rc = drop_unknown(create, &cover.direct, err);
	if (rc == QS_OK && cover.direct.count > QS_DIRECT_MAX)
		rc = write_indexes(create, packer, &cover, err);
	before = create->committed_count;
	if (rc == QS_OK)
		rc = packer_finish(packer, err);
	if (rc == QS_OK && !board_flush(&create->board))
		rc = qs_fail(err, QS_ECANCELED, "stopped");
	for (size_t i = before; i < create->committed_count && rc == QS_OK; i++)
		rc = add_name(&cover.direct, &create->committed[i], err);
	if (rc == QS_OK)
		rc = locate_indexes(create, &cover, err);
	create->totals.duration_ns = (uint64_t)(qs_mono_ns() -
		create->began_mono_ns);
	if (rc == QS_OK)
		rc = write_record(create, &cover, result, err);
	result->saved = rc == QS_OK;
	free(cover.direct.list);
	free(cover.indexes);
	return rc;
}
