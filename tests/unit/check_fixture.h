/* SPDX-License-Identifier: ISC */
/* On top of snapshot_rig.h: checking, finding a file's object, damaging it. */
#ifndef QS_CHECK_FIXTURE_H
#define QS_CHECK_FIXTURE_H

#include <fcntl.h>
#include <sys/stat.h>

#include "snapshot_rig.h"

static inline struct qs_check_result
check_with(struct qs_folder *folder, struct told *told,
	const struct qs_check_options *options)
{
	struct qs_check_result result;

	told->text[0] = '\0';
	told->count = 0;
	OK(qs_check(folder, options, &told->report, &result, &err));
	return result;
}

static inline struct qs_check_result
check(struct qs_folder *folder, struct told *told, bool read_data)
{
	const struct qs_check_options options = {.read_data = read_data,
		.subset = 1.0};

	return check_with(folder, told, &options);
}

/* The first chunk of this file, the object it is in, and that one's path. */
static inline void
chunk_of(struct rig *rig, struct qs_folder *folder, const char *file,
	char out[static 512], struct qs_name *name, struct qs_id *chunk)
{
	const struct qs_snapshot *snapshot = qs_folder_snapshot(folder,
		qs_folder_snapshot_count(folder) - 1);
	struct qs_content root = qs_snapshot_root(snapshot);
	struct qs_source *source = NULL;
	struct qs_buf bytes = {0};
	struct qs_fetch fetch = {.kind = QS_KIND_DATA};
	struct qs_node node;
	char path[256], hex[65], id[33];

	OK(qs_source_new(folder, QS_SOURCE_CACHE, &source, &err));
	(void)snprintf(path, sizeof(path), "%s/files/%s", rig->root, file);
	OK(qs_tree_find(source, &root, path, &bytes, &node, &err));
	if (node.type == QS_NODE_DIR)
		fetch.kind = QS_KIND_TREE;
	fetch.id = qs_content_id(&node.content, 0);
	OK(qs_source_fetch(source, &fetch, 1, &err));
	*name = fetch.pack;
	*chunk = fetch.id;
	qs_source_release(source, &fetch, 1);
	qs_source_free(source);
	qs_buf_clear(&bytes);
	qs_hex(hex, name->b, 32);
	qs_hex(id, rig->id, sizeof(rig->id));
	(void)snprintf(out, 512, "%s/%s/obj/%.2s/%s", rig->store, id, hex,
		hex);
}

static inline void
object_of(struct rig *rig, struct qs_folder *folder, const char *file,
	char out[static 512], struct qs_name *name)
{
	struct qs_id chunk;

	chunk_of(rig, folder, file, out, name, &chunk);
}

static inline void
flip(const char *path, off_t at)
{
	uint8_t byte;
	int fd;

	assert_int_equal(chmod(path, 0600), 0);
	fd = open(path, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(pread(fd, &byte, 1, at), 1);
	byte ^= 1;
	assert_int_equal(pwrite(fd, &byte, 1, at), 1);
	(void)close(fd);
}

#endif
