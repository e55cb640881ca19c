/* SPDX-License-Identifier: ISC */
/*
 * mount_entry: entries of stored directories, by place and by name.  A large
 * directory is several tree chunks, "parts"; names are in order across them, so
 * that a name is found by halving.
 */
#include "fuse/mount_internal.h"

/* -------------------------------------------------------------- parts */

static void
part_release(struct mount *mount, struct mount_entry *entry)
{
	qs_source_release(mount->source, &entry->part, 1);
	entry->part.data = NULL;
}

void
mount_entry_release(struct mount *mount, struct mount_entry *entry)
{
	part_release(mount, entry);
}

/* The reference to the part that has this byte of the directory. */
static enum qs_code
find_part(struct mount *mount, const struct mount_dir *dir, uint64_t off,
	struct mount_place *out, struct qs_err *err)
{
	struct mount_run *run;
	enum qs_code rc;

	if (dir->content.depth == 0 && dir->content.count == 1) {
		*out = (struct mount_place){qs_content_id(&dir->content, 0),
			0, qs_content_len(&dir->content, 0), false};
		return QS_OK;
	}
	run = mount_run_of_node(mount->runs, dir, 0);
	if (run == NULL) {
		rc = mount_run_make(mount->runs, dir, 0, &dir->content, &run,
			err);
		if (rc != QS_OK)
			return rc;
	}
	rc = mount_run_find(mount, run, off, out, err);
	mount_run_put(mount->runs, run);
	return rc;
}

static enum qs_code
part_fetch(struct mount *mount, const struct mount_place *place,
	struct mount_entry *entry, struct qs_err *err)
{
	uint32_t count;
	enum qs_code rc;

	if (place->is_hole || place->len > QS_CHUNK_MAX)
		return qs_fail(err, QS_ECORRUPT,
			"a directory has a hole where none can be");
	entry->part = (struct qs_fetch){.id = place->id,
		.kind = QS_KIND_TREE, .len = (uint32_t)place->len};
	entry->part_start = place->start;
	rc = qs_source_fetch(mount->source, &entry->part, 1, err);
	if (rc == QS_OK)
		rc = qs_tree_head_decode(qs_span(entry->part.data,
			entry->part.len), &count, err);
	if (rc != QS_OK) {
		mount_tell(mount->told, &entry->part.pack, err);
		part_release(mount, entry);
	}
	return rc;
}

/* The part with this byte is there (again). */
static enum qs_code
part_at(struct mount *mount, const struct mount_dir *dir, uint64_t off,
	struct mount_entry *entry, struct qs_err *err)
{
	struct mount_place place;
	enum qs_code rc;

	if (entry->part.data != NULL && off >= entry->part_start &&
	    off - entry->part_start < entry->part.len)
		return QS_OK;
	part_release(mount, entry);
	if (off >= dir->size)
		return qs_fail(err, QS_ECORRUPT,
			"a directory ends before one of its entries");
	rc = find_part(mount, dir, off, &place, err);
	return rc == QS_OK ? part_fetch(mount, &place, entry, err) : rc;
}

static enum qs_code
decode_at(struct mount *mount, size_t at, struct mount_entry *entry,
	struct qs_err *err)
{
	size_t used = 0;
	enum qs_code rc = qs_node_decode(qs_span(entry->part.data + at,
		entry->part.len - at), &entry->node, &used, err);

	if (rc != QS_OK) {
		mount_tell(mount->told, &entry->part.pack, err);
		return rc;
	}
	entry->off = entry->part_start + at;
	entry->next = entry->off + used;
	if (entry->off > MOUNT_OFF_MAX)
		return qs_fail(err, QS_EUNSUPPORTED,
			"a directory is too large to be shown");
	return QS_OK;
}

/* ----------------------------------------------------------- by place */

enum qs_code
mount_entry_at(struct mount *mount, const struct mount_dir *dir,
	uint64_t off, struct mount_entry *out, struct qs_err *err)
{
	enum qs_code rc = part_at(mount, dir, off, out, err);

	if (rc == QS_OK)
		rc = decode_at(mount, (size_t)(off - out->part_start), out,
			err);
	return rc;
}

/*
 * Where the first entry at or after at begins in the part, going from its
 * head: an offset may be any number.  The part's length when there is none.
 */
static enum qs_code
align(struct mount *mount, const struct mount_entry *entry, size_t at,
	size_t *out, struct qs_err *err)
{
	size_t here = QS_TREE_HEAD;

	while (here < at && here < entry->part.len) {
		struct qs_span name;
		const size_t len = qs_node_peek(qs_span(entry->part.data +
			here, entry->part.len - here), &name);

		if (len == 0) {
			(void)qs_fail(err, QS_ECORRUPT,
				"tree entry: cut short");
			mount_tell(mount->told, &entry->part.pack, err);
			return err->code;
		}
		here += len;
	}
	*out = here;
	return QS_OK;
}

enum qs_code
mount_entry_next(struct mount *mount, const struct mount_dir *dir,
	uint64_t off, struct mount_entry *entry, bool *end,
	struct qs_err *err)
{
	/* Right behind the entry of the call before: known to be one. */
	const bool is_sure = entry->part.data != NULL && off == entry->next;

	*end = false;
	while (off < dir->size) {
		size_t at;
		enum qs_code rc = part_at(mount, dir, off, entry, err);

		if (rc != QS_OK)
			return rc;
		at = (size_t)(off - entry->part_start);
		if (!is_sure || at < QS_TREE_HEAD)
			rc = align(mount, entry, at, &at, err);
		if (rc != QS_OK)
			return rc;
		if (at < entry->part.len)
			return decode_at(mount, at, entry, err);
		off = entry->part_start + entry->part.len;
	}
	*end = true;
	return QS_OK;
}

/* ------------------------------------------------------------ by name */

/* a < b: as the names of a directory are in order */
static int
compare(struct qs_span a, struct qs_span b)
{
	const int order = memcmp(a.data, b.data,
		a.len < b.len ? a.len : b.len);

	return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

/* Halve the directory's bytes until one part is left that can have it. */
static enum qs_code
find_part_of(struct mount *mount, const struct mount_dir *dir,
	struct qs_span name, struct mount_place *out, struct qs_err *err)
{
	struct mount_entry probe = {.part = {.data = NULL}};
	uint64_t low = 0, high = dir->size;
	bool is_found = false;
	enum qs_code rc = QS_OK;

	while (low < high) {
		struct mount_place place = {.len = 0};
		struct qs_span first;

		rc = find_part(mount, dir, low + (high - low) / 2, &place,
			err);
		if (rc != QS_OK)
			return rc;
		/* The only one left, or the first: no need to look into it. */
		if (place.start <= low && place.start + place.len >= high &&
		    !is_found) {
			*out = place;
			return QS_OK;
		}
		rc = part_fetch(mount, &place, &probe, err);
		if (rc != QS_OK)
			return rc;
		if (probe.part.len > QS_TREE_HEAD && qs_node_peek(qs_span(
		    probe.part.data + QS_TREE_HEAD,
		    probe.part.len - QS_TREE_HEAD), &first) > 0 &&
		    compare(name, first) < 0) {
			high = place.start;
		} else {
			*out = place;
			is_found = true;
			low = place.start + place.len;
		}
		part_release(mount, &probe);
	}
	return is_found ? QS_OK : qs_fail(err, QS_ENOTFOUND, "no such name");
}

enum qs_code
mount_entry_named(struct mount *mount, const struct mount_dir *dir,
	struct qs_span name, struct mount_entry *out, struct qs_err *err)
{
	struct mount_place place;
	size_t at = QS_TREE_HEAD;
	enum qs_code rc;

	if (dir->size == 0)
		return qs_fail(err, QS_ENOTFOUND, "no such name");
	rc = find_part_of(mount, dir, name, &place, err);
	if (rc == QS_OK) {
		part_release(mount, out);
		rc = part_fetch(mount, &place, out, err);
		/* An object that is not there is no name that is not there. */
		if (rc == QS_ENOTFOUND)
			rc = err->code = QS_EIO;
	}
	if (rc != QS_OK)
		return rc;
	while (at < out->part.len) {
		struct qs_span found = {NULL, 0};
		const size_t len = qs_node_peek(qs_span(out->part.data + at,
			out->part.len - at), &found);
		int order;

		if (len == 0) {
			(void)qs_fail(err, QS_ECORRUPT,
				"tree entry: cut short");
			mount_tell(mount->told, &out->part.pack, err);
			return err->code;
		}
		order = compare(name, found);
		if (order == 0)
			return decode_at(mount, at, out, err);
		if (order < 0)
			break;
		at += len;
	}
	return qs_fail(err, QS_ENOTFOUND, "no such name");
}

/* --------------------------------------------------------- directories */

enum qs_code
mount_entry_dir(struct mount *mount, struct mount_dir *dir,
	const struct mount_entry *entry, struct mount_dir **out,
	struct qs_err *err)
{
	const struct mount_dir what = {
		.kind = MOUNT_TREE,
		.key = entry->off,
		.ino = mount_ino(dir->ino, entry->node.name.data,
			entry->node.name.len),
		.top_ino = dir->top_ino,
		.top_time_ns = dir->top_time_ns,
		.size = entry->node.size,
		.content = entry->node.content,
	};

	return mount_dir_child(mount->dirs, dir, &what, out, err);
}

void
mount_top_dir(const struct mount_shot *shot, struct mount_dir *out)
{
	uint64_t size = 0;

	for (uint32_t i = 0; i < shot->root.count; i++)
		if (__builtin_add_overflow(size,
		    qs_content_len(&shot->root, i), &size))
			size = UINT64_MAX; /* refused when it is read */
	*out = (struct mount_dir){
		.kind = MOUNT_TREE,
		.key = qs_load64(shot->record.b),
		.ino = mount_ino(0, shot->record.b, sizeof(shot->record.b)),
		.is_top = true,
		.top_time_ns = shot->time_ns,
		.size = size,
		.content = shot->root,
	};
	out->top_ino = out->ino;
}

enum qs_code
mount_item_dir(struct mount *mount, struct mount_dir *dir,
	const struct mount_item *item, struct mount_dir **out,
	struct qs_err *err)
{
	struct mount_dir what = {.kind = item->kind};

	if (item->kind == MOUNT_TREE) {
		mount_top_dir(item->shot, &what);
	} else {
		what.ino = mount_ino(dir->ino, item->name,
			strlen(item->name));
		what.key = what.ino;
		/* Copied by who keeps it. */
		what.name = (char *)(uintptr_t)item->name;
	}
	return mount_dir_child(mount->dirs, dir, &what, out, err);
}
