/* SPDX-License-Identifier: ISC */
/* dump: one file's bytes, in order, to a descriptor or to whom they go. */
#include "snapshot/dump_internal.h"

static const uint8_t zeros[65536];

struct dump {
	struct qs_source *source;
	qs_dump_fn fn;
	void *arg;
	struct qs_progress *progress;
	struct qs_fetch items[DUMP_PIECES];
	size_t count;
	uint64_t bytes;
};

static enum qs_code
give(struct dump *dump, const uint8_t *data, size_t len, struct qs_err *err)
{
	enum qs_code rc;

	if (atomic_load(&dump->progress->cancel))
		return qs_fail(err, QS_ECANCELED, "interrupted");
	rc = dump->fn(dump->arg, data, len, err);
	if (rc == QS_OK)
		(void)atomic_fetch_add(&dump->progress->bytes_done, len);
	return rc;
}

/* What was gathered, fetched at once and given in order. */
static enum qs_code
flush(struct dump *dump, struct qs_err *err)
{
	enum qs_code rc = qs_source_fetch(dump->source, dump->items,
		dump->count, err);

	for (size_t i = 0; rc == QS_OK && i < dump->count; i++)
		rc = give(dump, dump->items[i].data, dump->items[i].len, err);
	qs_source_release(dump->source, dump->items, dump->count);
	dump->count = 0;
	dump->bytes = 0;
	return rc;
}

static enum qs_code
give_hole(struct dump *dump, uint64_t len, struct qs_err *err)
{
	enum qs_code rc = flush(dump, err);

	while (rc == QS_OK && len > 0) {
		const size_t step = len < sizeof(zeros) ? (size_t)len :
			sizeof(zeros);

		rc = give(dump, zeros, step, err);
		len -= step;
	}
	return rc;
}

static enum qs_code
see_ref(void *arg, const struct qs_id *id, uint64_t len, uint64_t offset,
	struct qs_err *err)
{
	struct dump *dump = arg;
	enum qs_code rc = QS_OK;

	(void)offset;
	if (qs_is_zero(id->b, sizeof(id->b)))
		return give_hole(dump, len, err);
	if (len > QS_CHUNK_MAX)
		return qs_fail(err, QS_ECORRUPT, "a part of it is too long");
	if (dump->count == DUMP_PIECES || dump->bytes + len > DUMP_BYTES)
		rc = flush(dump, err);
	if (rc != QS_OK)
		return rc;
	dump->items[dump->count++] = (struct qs_fetch){.id = *id,
		.kind = QS_KIND_DATA, .len = (uint32_t)len};
	dump->bytes += len;
	return QS_OK;
}

enum qs_code
qs_dump_each(struct qs_source *source, const struct qs_node *node,
	qs_dump_fn fn, void *arg, struct qs_progress *progress,
	struct qs_err *err)
{
	struct dump dump = {.source = source, .fn = fn, .arg = arg,
		.progress = progress};
	enum qs_code rc = qs_content_each(source, &node->content, see_ref,
		&dump, err);

	if (rc == QS_OK)
		rc = flush(&dump, err);
	return rc;
}

static enum qs_code
to_fd(void *arg, const uint8_t *data, size_t len, struct qs_err *err)
{
	const int *fd = arg;

	return qs_fd_write(*fd, data, len, err);
}

enum qs_code
qs_dump_file(struct qs_source *source, const struct qs_node *node, int fd,
	struct qs_progress *progress, struct qs_err *err)
{
	enum qs_code rc;

	if (node->type != QS_NODE_FILE)
		return qs_fail(err, QS_EINVAL, "it is no regular file");
	rc = qs_dump_each(source, node, to_fd, &fd, progress, err);
	if (rc == QS_OK)
		(void)atomic_fetch_add(&progress->files_done, 1);
	return rc;
}
