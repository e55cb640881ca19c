/* SPDX-License-Identifier: ISC */
/* Trees with contents made by hand, and a target to restore them to. */
#ifndef RESTORE_FIXTURE_H
#define RESTORE_FIXTURE_H

#include <pthread.h>
#include <sys/xattr.h>

#include "snapshot/restore_internal.h"
#include "source_fixture.h"
#include "tree_fixture.h"

#define T0 1700000000000000123

struct scene {
	struct fixture fx;
	struct maker maker;
	char target[128], outside[128];
	struct qs_progress progress;
	struct qs_restore_options options;
	struct qs_restore_result result;
	unsigned warnings, restored, kept, deleted;
	const char *spoil; /* written over this file once it is there */
	char warning[512], warned[512]; /* the last: its text and path */
	struct qs_err err;
};

static void
scene_event(void *arg, const struct qs_event *event)
{
	struct scene *scene = arg;

	scene->restored += event->kind == QS_EVENT_RESTORED;
	scene->kept += event->kind == QS_EVENT_KEPT;
	scene->deleted += event->kind == QS_EVENT_DELETED;
	if (scene->spoil != NULL && event->kind == QS_EVENT_RESTORED) {
		int fd = open(scene->spoil, O_WRONLY | O_CLOEXEC);

		assert_int_equal(pwrite(fd, "X", 1, 0), 1);
		(void)close(fd);
	}
	if (event->kind != QS_EVENT_WARNING)
		return;
	scene->warnings++;
	(void)snprintf(scene->warning, sizeof(scene->warning), "%s",
		event->err->msg);
	(void)snprintf(scene->warned, sizeof(scene->warned), "%s",
		event->path == NULL ? "" : event->path);
}

static void
scene_open(struct scene *scene)
{
	memset(scene, 0, sizeof(*scene));
	fixture_open(&scene->fx);
	maker_init(&scene->maker, &scene->fx);
	(void)snprintf(scene->target, sizeof(scene->target), "%s/target",
		scene->fx.top);
	(void)snprintf(scene->outside, sizeof(scene->outside), "%s/outside",
		scene->fx.top);
	assert_int_equal(mkdir(scene->outside, 0700), 0);
	scene->options.target = scene->target;
}

static void
scene_close(struct scene *scene)
{
	maker_clear(&scene->maker);
	fixture_close(&scene->fx);
}

/* What becomes of a finished root. */
static inline enum qs_code
scene_restore(struct scene *scene, const struct folder *root)
{
	const struct qs_report report = {scene_event, scene,
		&scene->progress};

	scene->warnings = scene->restored = scene->kept = 0;
	scene->deleted = 0;
	return qs_restore_tree(scene->fx.source, &root->content, NULL,
		&scene->options, &report, &scene->result, &scene->err);
}

static inline void
scene_seal(struct scene *scene, struct folder *root)
{
	maker_finish(&scene->maker, root);
	fixture_flush(&scene->fx);
}

/* The first frame of a pack. */
static inline void
scene_damage(const struct scene *scene, size_t pack)
{
	fixture_damage(&scene->fx, pack, QS_PACK_HEAD + 3);
}

struct file { /* of a tree */
	const char *name, *text;
	uint16_t mode;
	int64_t mtime_ns;
	uint64_t group, hole; /* hole: bytes after text */
};

static inline void
scene_file(struct scene *scene, struct folder *folder, const struct file *file)
{
	uint8_t refs[2 * QS_REF_LEN] = {0};
	const size_t len = file->text == NULL ? 0 : strlen(file->text);
	struct qs_node node = {.type = QS_NODE_FILE,
		.links = file->group == 0 ? 1 : 9,
		.mode = file->mode == 0 ? 0644 : file->mode,
		.mtime_ns = file->mtime_ns == 0 ? T0 : file->mtime_ns,
		.link_group = file->group, .uid = geteuid(), .gid = getegid(),
		.size = len + file->hole,
		.name = qs_span(file->name, strlen(file->name))};
	uint8_t *at = refs;

	if (len > 0) {
		const struct qs_id id = fixture_chunk(&scene->fx,
			QS_KIND_DATA, qs_span(file->text, len));

		memcpy(at, id.b, sizeof(id.b));
		qs_store64(at + 32, len);
		at += QS_REF_LEN;
	}
	if (file->hole > 0) {
		qs_store64(at + 32, file->hole);
		at += QS_REF_LEN;
	}
	node.content.refs = refs;
	node.content.count = (uint32_t)((at - refs) / QS_REF_LEN);
	maker_node(&scene->maker, folder, &node);
}

static inline void
scene_text(struct scene *scene, struct folder *folder, const char *name,
	const char *text)
{
	const struct file file = {.name = name, .text = text};

	scene_file(scene, folder, &file);
}

static inline void
scene_other(struct scene *scene, struct folder *folder, const char *name,
	enum qs_node_type type, const char *target)
{
	struct qs_node node = {.type = type, .links = 1, .mode = 0640,
		.mtime_ns = T0, .uid = geteuid(), .gid = getegid(),
		.name = qs_span(name, strlen(name))};

	if (target != NULL)
		node.target = qs_span(target, strlen(target));
	if (type == QS_NODE_CHARDEV) {
		node.rdev_major = 1;
		node.rdev_minor = 3;
	}
	maker_node(&scene->maker, folder, &node);
}

/* Finishes inner and puts it into folder. */
static inline void
scene_folder(struct scene *scene, struct folder *folder, const char *name,
	uint16_t mode, struct folder *inner)
{
	struct qs_node node = {.type = QS_NODE_DIR, .links = 1, .mode = mode,
		.mtime_ns = T0, .uid = geteuid(), .gid = getegid(),
		.name = qs_span(name, strlen(name))};

	maker_finish(&scene->maker, inner);
	node.content = inner->content;
	node.size = inner->size;
	maker_node(&scene->maker, folder, &node);
}

static inline void
scene_at(const struct scene *scene, const char *path, char out[static 512])
{
	(void)snprintf(out, 512, "%s/%s", scene->target, path);
}

static inline bool
scene_stat(const struct scene *scene, const char *path, struct stat *st)
{
	char full[512];

	scene_at(scene, path, full);
	return lstat(full, st) == 0;
}

static inline bool
scene_has(const struct scene *scene, const char *path)
{
	struct stat st;

	return scene_stat(scene, path, &st);
}

static inline void
scene_is(const struct scene *scene, const char *path, const char *text)
{
	char full[512];
	struct qs_buf buf = {NULL, 0, 0};
	struct qs_err err;

	scene_at(scene, path, full);
	OK(qs_file_load(AT_FDCWD, full, 1 << 20, &buf, &err));
	assert_int_equal(buf.len, strlen(text));
	if (buf.len > 0)
		assert_memory_equal(buf.data, text, buf.len);
	qs_buf_clear(&buf);
}

static inline void
scene_put(const struct scene *scene, const char *path, const char *text)
{
	char full[512];
	struct qs_err err;

	scene_at(scene, path, full);
	OK(qs_file_replace(AT_FDCWD, full, 0600, qs_span(text, strlen(text)),
		&err));
}

static inline int64_t
scene_mtime(const struct scene *scene, const char *path)
{
	struct stat st;

	assert_true(scene_stat(scene, path, &st));
	return (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
}

#endif
