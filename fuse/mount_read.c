/* SPDX-License-Identifier: ISC */
/*
 * mount_read: a file's bytes.  The reply is sent right out of opened frames;
 * only a read over more chunks than may be pinned is put together first.  A
 * reply shorter than asked for means the end of the file to the kernel, so it
 * is never shorter anywhere else.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

#include "fuse/mount_internal.h"

#define PINS 6 /* chunks at once: a thread pins 6 MiB at most */
/*
 * A read of at most so much is a program's at a random place: it waits for the
 * chunk to be read and authenticated, not for its id, which takes as long
 * again.  That is checked right after the reply.
 */
#define HASTY_MAX (16u << 10)
#define ZEROS (128u << 10)

static const uint8_t zeros[ZEROS]; /* what holes read as */

struct reading {
	struct mount *mount;
	struct mount_dir *dir;
	struct mount_run *run;    /* more than one chunk, or ... */
	struct mount_entry entry; /* ... at most one, which is this: */
	struct mount_place only;
	uint64_t size; /* of the file */
};

static enum qs_code
reading_open(struct reading *reading, fuse_ino_t node, struct qs_err *err)
{
	struct mount *mount = reading->mount;
	const uint64_t off = mount_node_off(node);
	const struct qs_content *content = &reading->entry.node.content;
	enum qs_code rc;

	reading->dir = mount_dir_get(mount->dirs, mount_node_dir(node));
	if (reading->dir == NULL || off == 0 ||
	    reading->dir->kind != MOUNT_TREE)
		return qs_fail(err, QS_EINVAL, "it is no file");
	reading->run = mount_run_of_node(mount->runs, reading->dir, off);
	if (reading->run != NULL) {
		reading->size = mount_run_size(reading->run);
		return QS_OK;
	}
	rc = mount_entry_at(mount, reading->dir, off, &reading->entry, err);
	if (rc != QS_OK)
		return rc;
	if (reading->entry.node.type != QS_NODE_FILE)
		return qs_fail(err, QS_EINVAL, "it is no file");
	reading->size = reading->entry.node.size;
	if (content->depth > 0 || content->count > 1)
		return mount_run_make(mount->runs, reading->dir, off, content,
			&reading->run, err);
	if (content->count == 1) {
		reading->only = (struct mount_place){
			qs_content_id(content, 0), 0, reading->size, false};
		reading->only.is_hole = qs_is_zero(reading->only.id.b, 32);
	}
	return QS_OK;
}

static void
reading_close(struct reading *reading)
{
	mount_entry_release(reading->mount, &reading->entry);
	mount_run_put(reading->mount->runs, reading->run);
	mount_dir_put(reading->mount->dirs, reading->dir);
}

static enum qs_code
place_at(struct reading *reading, uint64_t offset, struct mount_place *out,
	struct qs_err *err)
{
	if (reading->run != NULL)
		return mount_run_find(reading->mount, reading->run, offset,
			out, err);
	*out = reading->only;
	return QS_OK;
}

/* Chunks side by side, and what of them is wanted. */
struct pinned {
	struct qs_fetch items[PINS];
	size_t item_count;
	struct {
		size_t item; /* PINS: a hole */
		size_t skip, len;
	} parts[PINS];
	size_t part_count;
	size_t len; /* of all parts */
};

static enum qs_code
pin(struct reading *reading, uint64_t offset, size_t len,
	struct pinned *pinned, struct qs_err *err)
{
	const bool is_hasty = len <= HASTY_MAX;
	enum qs_code rc = QS_OK;

	pinned->item_count = pinned->part_count = 0;
	pinned->len = 0;
	while (len > 0 && pinned->part_count < PINS) {
		struct mount_place place;
		uint64_t skip, part;

		rc = place_at(reading, offset, &place, err);
		if (rc != QS_OK)
			break;
		if (!place.is_hole && place.len > QS_CHUNK_MAX) {
			rc = qs_fail(err, QS_ECORRUPT,
				"content: a chunk is too long");
			break;
		}
		skip = offset - place.start;
		part = place.len - skip < len ? place.len - skip : len;
		pinned->parts[pinned->part_count].item = PINS;
		pinned->parts[pinned->part_count].skip = (size_t)skip;
		pinned->parts[pinned->part_count].len = (size_t)part;
		if (!place.is_hole) {
			pinned->parts[pinned->part_count].item =
				pinned->item_count;
			pinned->items[pinned->item_count++] =
				(struct qs_fetch){.id = place.id,
				.kind = QS_KIND_DATA,
				.len = (uint32_t)place.len,
				.is_hasty = is_hasty && part < place.len};
		}
		pinned->part_count++;
		pinned->len += (size_t)part;
		offset += part;
		len -= (size_t)part;
	}
	if (rc == QS_OK && pinned->item_count > 0)
		rc = qs_source_fetch(reading->mount->source, pinned->items,
			pinned->item_count, err);
	for (size_t i = 0; rc != QS_OK && i < pinned->item_count; i++) {
		if (pinned->items[i].code != rc)
			continue;
		mount_tell(reading->mount->told, &pinned->items[i].pack, err);
		break;
	}
	return rc;
}

static void
unpin(struct reading *reading, struct pinned *pinned)
{
	qs_source_release(reading->mount->source, pinned->items,
		pinned->item_count);
}

/* ---------------------------------------------------------------- reply */

#define VECS 32 /* enough for a reply that is not put together first */

/* The parts as they lie; 0: there are too many pieces. */
static int
gather(const struct pinned *pinned, struct iovec vecs[static VECS])
{
	int count = 0;

	for (size_t i = 0; i < pinned->part_count; i++) {
		const size_t item = pinned->parts[i].item;
		size_t left = pinned->parts[i].len;

		while (left > 0) {
			const size_t n = item == PINS && left > ZEROS ?
				ZEROS : left;
			const uint8_t *data = item == PINS ? zeros :
				pinned->items[item].data +
				pinned->parts[i].skip;

			if (count == VECS)
				return 0;
			/* Only read from. */
			vecs[count].iov_base = (void *)(uintptr_t)data;
			vecs[count++].iov_len = n;
			left -= n;
		}
	}
	return count;
}

static void
copy_parts(const struct pinned *pinned, uint8_t *out)
{
	for (size_t i = 0; i < pinned->part_count; i++) {
		const size_t item = pinned->parts[i].item;
		const size_t len = pinned->parts[i].len;

		if (item == PINS)
			memset(out, 0, len);
		else
			memcpy(out, pinned->items[item].data +
				pinned->parts[i].skip, len);
		out += len;
	}
}

static enum qs_code
put_together(struct reading *reading, uint64_t offset, size_t len,
	uint8_t *out, struct qs_err *err)
{
	struct pinned pinned;
	enum qs_code rc = QS_OK;

	while (rc == QS_OK && len > 0) {
		rc = pin(reading, offset, len, &pinned, err);
		if (rc == QS_OK) {
			copy_parts(&pinned, out);
			out += pinned.len;
			offset += pinned.len;
			len -= pinned.len;
			rc = qs_source_check(reading->mount->source,
				pinned.items, pinned.item_count, err);
		}
		unpin(reading, &pinned);
	}
	return rc;
}

/* Long reads, in one piece of memory. */
static void
reply_copied(struct reading *reading, struct mount_call *call,
	uint64_t offset, size_t len)
{
	uint8_t *bytes = malloc(len);
	struct qs_err err;
	enum qs_code rc = bytes == NULL ? qs_fail_nomem(&err, "reading") :
		put_together(reading, offset, len, bytes, &err);

	if (mount_call_end(reading->mount->watch, call)) {
		if (rc == QS_OK)
			(void)fuse_reply_buf(call->req, (const char *)bytes,
				len);
		else
			(void)fuse_reply_err(call->req, mount_errno(&err));
	}
	free(bytes);
}

static void
reply_bytes(struct reading *reading, struct mount_call *call,
	uint64_t offset, size_t len)
{
	struct iovec vecs[VECS];
	struct pinned pinned;
	struct qs_err err;
	int count = 0;
	enum qs_code rc = pin(reading, offset, len, &pinned, &err);

	if (rc == QS_OK && pinned.len == len)
		count = gather(&pinned, vecs);
	if (rc == QS_OK && count == 0) {
		unpin(reading, &pinned);
		reply_copied(reading, call, offset, len);
		return;
	}
	if (mount_call_end(reading->mount->watch, call)) {
		if (rc == QS_OK)
			(void)fuse_reply_iov(call->req, vecs, count);
		else
			(void)fuse_reply_err(call->req, mount_errno(&err));
	}
	if (rc == QS_OK && qs_source_check(reading->mount->source,
	    pinned.items, pinned.item_count, &err) != QS_OK)
		mount_tell(reading->mount->told, &pinned.items[0].pack, &err);
	if (rc == QS_OK && reading->run != NULL)
		mount_ahead_file(reading->mount, reading->run, offset, len);
	else if (rc == QS_OK && pinned.item_count == 1)
		mount_ahead_small(reading->mount, reading->dir,
			&reading->entry, &pinned.items[0]);
	unpin(reading, &pinned);
}

void
mount_op_read(fuse_req_t req, fuse_ino_t node, size_t size, off_t off,
	struct fuse_file_info *info)
{
	struct reading reading = {.mount = mount_of(req)};
	const uint64_t offset = off < 0 ? 0 : (uint64_t)off;
	struct mount_call call;
	struct qs_err err;
	enum qs_code rc;

	(void)info;
	if (!mount_call_begin(reading.mount->watch, &call, req, true))
		return;
	rc = reading_open(&reading, node, &err);
	if (rc == QS_OK && offset < reading.size) {
		if (reading.size - offset < size)
			size = (size_t)(reading.size - offset);
		reply_bytes(&reading, &call, offset, size);
	} else if (mount_call_end(reading.mount->watch, &call)) {
		if (rc == QS_OK)
			(void)fuse_reply_buf(req, NULL, 0);
		else
			(void)fuse_reply_err(req, mount_errno(&err));
	}
	reading_close(&reading);
}

/* ---------------------------------------------------------------- lseek */

/* The first byte from offset on that is (in) a hole, or is not. */
static enum qs_code
seek(struct reading *reading, fuse_req_t req, uint64_t offset, bool to_hole,
	uint64_t *out, struct qs_err *err)
{
	for (size_t steps = 1; offset < reading->size; steps++) {
		struct mount_place place;
		enum qs_code rc = place_at(reading, offset, &place, err);

		if (rc != QS_OK)
			return rc;
		if (place.is_hole == to_hole)
			break;
		offset = place.start + place.len;
		if (steps % 4096 == 0 && fuse_req_interrupted(req))
			return qs_fail(err, QS_ECANCELED, "interrupted");
	}
	*out = offset;
	return QS_OK;
}

void
mount_op_lseek(fuse_req_t req, fuse_ino_t node, off_t off, int whence,
	struct fuse_file_info *info)
{
	struct reading reading = {.mount = mount_of(req)};
	struct mount_call call;
	struct qs_err err;
	uint64_t found = 0;
	int sys = 0;
	enum qs_code rc;

	(void)info;
	if (!mount_call_begin(reading.mount->watch, &call, req, true))
		return;
	rc = reading_open(&reading, node, &err);
	if (rc == QS_OK && whence != SEEK_DATA && whence != SEEK_HOLE)
		sys = EINVAL;
	else if (rc == QS_OK && (off < 0 || (uint64_t)off >= reading.size))
		sys = ENXIO;
	else if (rc == QS_OK)
		rc = seek(&reading, req, (uint64_t)off, whence == SEEK_HOLE,
			&found, &err);
	/* There is always a hole at the end, and no data. */
	if (rc == QS_OK && sys == 0 && whence == SEEK_DATA &&
	    found >= reading.size)
		sys = ENXIO;
	if (rc != QS_OK)
		sys = rc == QS_ECANCELED ? EINTR : mount_errno(&err);
	if (mount_call_end(reading.mount->watch, &call)) {
		if (sys == 0)
			(void)fuse_reply_lseek(req, (off_t)found);
		else
			(void)fuse_reply_err(req, sys);
	}
	reading_close(&reading);
}
