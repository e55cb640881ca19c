/* SPDX-License-Identifier: ISC */
/*
 * dump_tar: a subtree as a tar archive (pax).
 *
 * Two writers of libarchive write turns of one archive, as one that was told
 * that names are any bytes says so of every entry, and GNU tar then warns at
 * each: names that are UTF-8 go to one, the others to the other.
 *
 * A file whose bytes can't be
 * read is left out when none of it was written yet, else padded with zeros to
 * the size that its header gives; either is told as a warning.
 */
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <locale.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "snapshot/dump_internal.h"
#include "snapshot/restore_internal.h"

#define TAR_BUFFER ((size_t)1 << 16)

struct tar {
	struct qs_source *source;
	const struct qs_report *report;
	const char *prefix;
	int fd;
	struct archive *utf8, *binary;
	struct archive *archive; /* which of the two has the entry */
	locale_t locale, before; /* in which the names are UTF-8 */
	struct archive_entry *entry;
	struct restore_links links;
	struct qs_buf path, scratch;
	struct qs_buf out; /* not written yet */
	bool is_over;       /* what is written now goes nowhere */
	bool is_header_out; /* of the file being written */
	uint64_t written;   /* of its bytes */
	enum qs_code rc;    /* what ends it all, with failure */
	struct qs_err failure, io;
};

static void
tell(struct tar *tar, enum qs_event_kind kind, const struct qs_node *node,
	const struct qs_err *err)
{
	const struct qs_event event = {.kind = kind,
		.path = tar->path.data == NULL ? "" :
			(const char *)tar->path.data,
		.type = node != NULL ? node->type : QS_NODE_FILE,
		.size = node != NULL ? node->size : 0, .err = err};

	if (kind == QS_EVENT_WARNING)
		(void)atomic_fetch_add(&tar->report->progress->errors, 1);
	if (tar->report->event != NULL)
		tar->report->event(tar->report->arg, &event);
}

static enum qs_code
fail_archive(struct tar *tar, struct qs_err *err)
{
	const char *why = archive_error_string(tar->archive);

	if (tar->io.code != QS_OK) {
		*err = tar->io;
		return err->code;
	}
	return qs_fail(err, QS_EIO, "cannot write the archive: %s",
		why != NULL ? why : "unknown cause");
}

static enum qs_code
flush_out(struct tar *tar)
{
	const enum qs_code rc = qs_fd_write(tar->fd, tar->out.data,
		tar->out.len, &tar->io);

	tar->out.len = 0;
	return rc;
}

/* What libarchive wants to be written: small parts, so that turns can end. */
static la_ssize_t
write_out(struct archive *archive, void *arg, const void *data, size_t len)
{
	struct tar *tar = arg;
	enum qs_code rc = QS_OK;

	if (tar->is_over)
		return (la_ssize_t)len;
	if (tar->out.len + len > TAR_BUFFER)
		rc = flush_out(tar);
	if (rc == QS_OK)
		rc = len < TAR_BUFFER ?
			qs_buf_append(&tar->out, data, len, &tar->io) :
			qs_fd_write(tar->fd, data, len, &tar->io);
	if (rc == QS_OK)
		return (la_ssize_t)len;
	archive_set_error(archive, EIO, "%s", tar->io.msg);
	return -1;
}

static unsigned
type_bits(enum qs_node_type type)
{
	switch (type) {
	case QS_NODE_FILE:
		return AE_IFREG;
	case QS_NODE_DIR:
		return AE_IFDIR;
	case QS_NODE_SYMLINK:
		return AE_IFLNK;
	case QS_NODE_FIFO:
		return AE_IFIFO;
	case QS_NODE_CHARDEV:
		return AE_IFCHR;
	case QS_NODE_BLOCKDEV:
		return AE_IFBLK;
	case QS_NODE_SOCKET:
		break;
	}
	return AE_IFSOCK;
}

/* A span as a string in the scratch buffer, until the next one. */
static const char *
text(struct tar *tar, struct qs_span span)
{
	tar->scratch.len = 0;
	if (qs_buf_append(&tar->scratch, span.data, span.len,
	    &tar->failure) != QS_OK ||
	    qs_buf_append(&tar->scratch, "", 1, &tar->failure) != QS_OK) {
		tar->rc = tar->failure.code;
		return "";
	}
	return (const char *)tar->scratch.data;
}

static void
fill_entry(struct tar *tar, const struct qs_node *node)
{
	struct archive_entry *entry = archive_entry_clear(tar->entry);
	struct qs_span at = node->xattrs, name, value;
	int64_t seconds = node->mtime_ns / 1000000000;
	long rest = (long)(node->mtime_ns % 1000000000);

	if (rest < 0) {
		rest += 1000000000;
		seconds--;
	}
	archive_entry_copy_pathname(entry, (const char *)tar->path.data);
	archive_entry_set_filetype(entry, type_bits(node->type));
	archive_entry_set_perm(entry, node->mode);
	archive_entry_set_uid(entry, node->uid);
	archive_entry_set_gid(entry, node->gid);
	archive_entry_set_mtime(entry, (time_t)seconds, rest);
	archive_entry_set_size(entry, 0);
	if (node->type == QS_NODE_FILE)
		archive_entry_set_size(entry, (la_int64_t)node->size);
	if (node->user.len > 0)
		archive_entry_copy_uname(entry, text(tar, node->user));
	if (node->group.len > 0)
		archive_entry_copy_gname(entry, text(tar, node->group));
	if (node->type == QS_NODE_SYMLINK)
		archive_entry_copy_symlink(entry, text(tar, node->target));
	if (node->type == QS_NODE_CHARDEV || node->type == QS_NODE_BLOCKDEV) {
		archive_entry_set_rdevmajor(entry, node->rdev_major);
		archive_entry_set_rdevminor(entry, node->rdev_minor);
	}
	while (qs_xattr_next(&at, &name, &value))
		if (!qs_dump_acl(entry, name, value))
			archive_entry_xattr_add_entry(entry, text(tar, name),
				value.data, value.len);
}

/* Another name of what is in the archive already. */
static void
fill_link(struct tar *tar, const struct qs_node *node)
{
	struct restore_link *link;

	if (node->type != QS_NODE_FILE || node->link_group == 0 ||
	    node->links < 2)
		return;
	link = restore_links_find(&tar->links, node->link_group);
	if (link == NULL) {
		if (restore_links_add(&tar->links, node,
		    (const char *)tar->path.data, &link, &tar->failure) !=
		    QS_OK)
			tar->rc = tar->failure.code;
	} else if (restore_link_fits(link, node)) {
		archive_entry_copy_hardlink(tar->entry, link->path);
		archive_entry_set_size(tar->entry, 0);
	}
}

static bool
is_text(const char *name)
{
	return name == NULL || qs_dump_is_utf8(name);
}

/* Who writes the entry that is filled. */
static struct archive *
writer_for(const struct tar *tar)
{
	struct archive_entry *entry = tar->entry;

	return tar->utf8 != NULL && is_text(archive_entry_pathname(entry)) &&
		is_text(archive_entry_hardlink(entry)) &&
		is_text(archive_entry_symlink(entry)) &&
		is_text(archive_entry_uname(entry)) &&
		is_text(archive_entry_gname(entry)) ? tar->utf8 : tar->binary;
}

static enum qs_code
put_header(struct tar *tar, struct qs_err *err)
{
	struct archive *last = tar->archive;

	tar->archive = writer_for(tar);
	/* The last entry's padding comes before the other's turn. */
	if (last != NULL && last != tar->archive &&
	    archive_write_finish_entry(last) != ARCHIVE_OK) {
		tar->archive = last;
		return fail_archive(tar, err);
	}
	/* ARCHIVE_WARN: it is written, but not in the best way. */
	if (archive_write_header(tar->archive, tar->entry) < ARCHIVE_WARN)
		return fail_archive(tar, err);
	tar->is_header_out = true;
	return QS_OK;
}

static enum qs_code
put_bytes(void *arg, const uint8_t *data, size_t len, struct qs_err *err)
{
	struct tar *tar = arg;

	if (!tar->is_header_out && put_header(tar, err) != QS_OK)
		return tar->rc = err->code;
	if (archive_write_data(tar->archive, data, len) != (la_ssize_t)len)
		return tar->rc = fail_archive(tar, err);
	tar->written += len;
	return QS_OK;
}

/* The first chunk is there before the header goes out: see above. */
static enum qs_code
put_file(struct tar *tar, const struct qs_node *node, struct qs_err *err)
{
	enum qs_code rc;

	tar->is_header_out = false;
	tar->written = 0;
	if (node->size == 0 || archive_entry_hardlink(tar->entry) != NULL)
		return put_header(tar, err);
	rc = qs_dump_each(tar->source, node, put_bytes, tar,
		tar->report->progress, err);
	if (rc == QS_OK || tar->rc != QS_OK)
		return rc;
	if (rc == QS_ENOMEM || rc == QS_ECANCELED)
		return rc;
	/* What is not in the archive can't be linked to. */
	if (!tar->is_header_out && node->link_group != 0 &&
	    restore_links_find(&tar->links, node->link_group) != NULL)
		restore_links_drop(&tar->links, restore_links_find(
			&tar->links, node->link_group));
	/* One damaged object costs its files and not the archive. */
	(void)qs_fail_while(err, !tar->is_header_out ? "left out" :
		"cut at byte %llu, the rest is zeros",
		(unsigned long long)tar->written);
	tell(tar, QS_EVENT_WARNING, node, err);
	return QS_OK;
}

static enum qs_code
set_path(struct tar *tar, const struct qs_visit *visit, struct qs_err *err)
{
	enum qs_code rc = QS_OK;

	tar->path.len = 0;
	if (tar->prefix != NULL && tar->prefix[0] != '\0')
		rc = qs_buf_printf(&tar->path, err, "%s%s", tar->prefix,
			visit->path_len > 0 ? "/" : "");
	if (rc == QS_OK)
		rc = qs_buf_append(&tar->path, visit->path, visit->path_len,
			err);
	return rc == QS_OK ? qs_buf_append(&tar->path, "", 1, err) : rc;
}

static enum qs_visit_next
see(void *arg, const struct qs_visit *visit)
{
	struct tar *tar = arg;
	struct qs_err *err = &tar->failure, lack;

	if (visit->what == QS_VISIT_LEAVE || visit->depth == 0)
		return QS_VISIT_GO;
	if (atomic_load(&tar->report->progress->cancel)) {
		tar->rc = qs_fail(err, QS_ECANCELED, "interrupted");
		return QS_VISIT_STOP;
	}
	tar->rc = set_path(tar, visit, err);
	if (tar->rc != QS_OK)
		return QS_VISIT_STOP;
	if (visit->node->type == QS_NODE_SOCKET) {
		(void)qs_fail(&lack, QS_EUNSUPPORTED,
			"left out: a tar archive can't hold a socket");
		tell(tar, QS_EVENT_WARNING, visit->node, &lack);
		return QS_VISIT_GO;
	}
	fill_entry(tar, visit->node);
	fill_link(tar, visit->node);
	if (tar->rc != QS_OK)
		return QS_VISIT_STOP;
	tar->rc = visit->node->type == QS_NODE_FILE ?
		put_file(tar, visit->node, err) : put_header(tar, err);
	if (tar->rc != QS_OK)
		return QS_VISIT_STOP;
	(void)atomic_fetch_add(&tar->report->progress->files_done,
		visit->node->type == QS_NODE_FILE);
	return QS_VISIT_GO;
}

static void
see_trouble(void *arg, const char *path, const struct qs_err *trouble)
{
	struct tar *tar = arg;
	const struct qs_visit visit = {.path = path,
		.path_len = strlen(path)};
	struct qs_err err = *trouble, ignored;

	if (set_path(tar, &visit, &ignored) != QS_OK)
		tar->path.len = 0;
	(void)qs_fail_while(&err, "the folder's list of files");
	tell(tar, QS_EVENT_WARNING, NULL, &err);
}

static enum qs_code
open_writer(struct tar *tar, const char *options, struct archive **out,
	struct qs_err *err)
{
	tar->archive = *out = archive_write_new();
	if (tar->archive == NULL)
		return qs_fail_nomem(err, "making an archive");
	if (archive_write_set_format_pax(tar->archive) != ARCHIVE_OK ||
	    archive_write_set_options(tar->archive, options) != ARCHIVE_OK ||
	    archive_write_set_bytes_per_block(tar->archive, 0) !=
	    ARCHIVE_OK || archive_write_open(tar->archive, tar, NULL,
	    write_out, NULL) != ARCHIVE_OK)
		return fail_archive(tar, err);
	tar->archive = NULL;
	return QS_OK;
}

static enum qs_code
open_archive(struct tar *tar, struct qs_err *err)
{
	enum qs_code rc = QS_OK;

	tar->entry = archive_entry_new();
	if (tar->entry == NULL)
		return qs_fail_nomem(err, "making an archive");
	/* Names are what they are, whatever this machine's locale is. */
	tar->locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
	if (tar->locale != (locale_t)0) {
		tar->before = uselocale(tar->locale);
		rc = open_writer(tar, "xattrheader=SCHILY", &tar->utf8, err);
	}
	return rc != QS_OK ? rc : open_writer(tar,
		"xattrheader=SCHILY,hdrcharset=BINARY", &tar->binary, err);
}

/* The end of the archive is one writer's alone; the other's is thrown away. */
static enum qs_code
close_archive(struct tar *tar, struct qs_err *err)
{
	struct archive *last = tar->archive != NULL ? tar->archive :
		tar->binary;
	enum qs_code rc = QS_OK;

	tar->archive = last;
	if (archive_write_close(last) != ARCHIVE_OK)
		rc = fail_archive(tar, err);
	if (rc == QS_OK && flush_out(tar) != QS_OK)
		rc = fail_archive(tar, err);
	return rc;
}

static void
clear(struct tar *tar)
{
	/* Each would write an end of its own. */
	tar->is_over = true;
	if (tar->utf8 != NULL)
		(void)archive_write_free(tar->utf8);
	if (tar->binary != NULL)
		(void)archive_write_free(tar->binary);
	archive_entry_free(tar->entry);
	if (tar->locale != (locale_t)0) {
		(void)uselocale(tar->before);
		freelocale(tar->locale);
	}
	restore_links_clear(&tar->links);
	qs_buf_clear(&tar->path);
	qs_buf_clear(&tar->scratch);
	qs_buf_clear(&tar->out);
}

enum qs_code
qs_dump_tar(struct qs_source *source, const struct qs_content *root,
	const char *prefix, int fd, const struct qs_report *report,
	struct qs_err *err)
{
	struct tar tar = {.source = source, .report = report,
		.prefix = prefix, .fd = fd};
	const struct qs_visitor visitor = {see, see_trouble, &tar};
	enum qs_code rc;

	tar.rc = QS_OK;
	tar.io.code = QS_OK;
	while (tar.prefix != NULL && *tar.prefix == '/')
		tar.prefix++;
	rc = open_archive(&tar, err);
	if (rc == QS_OK)
		rc = qs_tree_walk(source, root, &visitor, err);
	if (rc == QS_OK && tar.rc != QS_OK) {
		*err = tar.failure;
		rc = tar.rc;
	}
	if (rc == QS_OK)
		rc = close_archive(&tar, err);
	clear(&tar);
	return rc;
}
