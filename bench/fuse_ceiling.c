/* SPDX-License-Identifier: ISC */
/*
 * fuse_ceiling DIR [DIRS FILES BYTES]: a mount that has nothing to do: DIRS
 * directories of FILES files of BYTES each, out of memory, and "big", 1 GiB.
 * What a reader gets from it is the most that any FUSE mount can give here:
 * attributes come with listings, open and opendir are answered ENOSYS.
 */
#define FUSE_USE_VERSION 314
#include <errno.h>
#include <fuse_lowlevel.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define FOREVER 1e9
#define BIG (UINT64_C(1) << 30)

static uint64_t dirs = 4800, files = 16, bytes = 16384;
static char data[1 << 20];

/* Node ids: 1 the root, 2 big, then 4 + d * (files + 1) + f. */
static void
attr_of(fuse_ino_t node, struct stat *out)
{
	const uint64_t in_dir = node < 4 ? 0 : (node - 4) % (files + 1);
	const int is_dir = node == 1 || (node >= 4 && in_dir == 0);

	memset(out, 0, sizeof(*out));
	out->st_ino = node;
	out->st_mode = is_dir ? S_IFDIR | 0755 : S_IFREG | 0644;
	out->st_nlink = 1;
	out->st_size = node == 2 ? (off_t)BIG : is_dir ? 0 : (off_t)bytes;
	out->st_mtime = 1700000000;
}

static void
op_init(void *userdata, struct fuse_conn_info *conn)
{
	(void)userdata;
	conn->want &= ~(unsigned)FUSE_CAP_READDIRPLUS_AUTO;
}

static fuse_ino_t
child_of(fuse_ino_t parent, uint64_t i, char name[static 32])
{
	if (parent == 1 && i == 0) {
		(void)strcpy(name, "big");
		return 2;
	}
	if (parent == 1 && i <= dirs) {
		(void)snprintf(name, 32, "dir%06llu",
			(unsigned long long)(i - 1));
		return 4 + (i - 1) * (files + 1);
	}
	if (parent != 1 && i < files) {
		(void)snprintf(name, 32, "file%06llu.c",
			(unsigned long long)i);
		return parent + 1 + i;
	}
	return 0;
}

static void
op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct fuse_entry_param entry = {.attr_timeout = FOREVER,
		.entry_timeout = FOREVER};
	char found[32];

	for (uint64_t i = 0;; i++) {
		entry.ino = child_of(parent, i, found);
		if (entry.ino == 0 || strcmp(found, name) == 0)
			break;
	}
	attr_of(entry.ino, &entry.attr);
	(void)fuse_reply_entry(req, &entry);
}

static void
op_getattr(fuse_req_t req, fuse_ino_t node, struct fuse_file_info *info)
{
	struct stat stat;

	(void)info;
	attr_of(node, &stat);
	(void)fuse_reply_attr(req, &stat, FOREVER);
}

static void
op_readdirplus(fuse_req_t req, fuse_ino_t node, size_t size, off_t off,
	struct fuse_file_info *info)
{
	char *out = malloc(size);
	size_t used = 0;

	(void)info;
	if (out == NULL)
		abort();
	for (uint64_t i = (uint64_t)off;; i++) {
		struct fuse_entry_param entry = {.attr_timeout = FOREVER,
			.entry_timeout = FOREVER};
		char name[32];
		size_t len;

		entry.ino = child_of(node, i, name);
		if (entry.ino == 0)
			break;
		attr_of(entry.ino, &entry.attr);
		len = fuse_add_direntry_plus(req, out + used, size - used,
			name, &entry, (off_t)i + 1);
		if (len > size - used)
			break;
		used += len;
	}
	(void)fuse_reply_buf(req, out, used);
	free(out);
}

static void
op_nosys(fuse_req_t req, fuse_ino_t node, struct fuse_file_info *info)
{
	(void)node;
	(void)info;
	(void)fuse_reply_err(req, ENOSYS);
}

static void
op_read(fuse_req_t req, fuse_ino_t node, size_t size, off_t off,
	struct fuse_file_info *info)
{
	const uint64_t end = node == 2 ? BIG : bytes;

	(void)info;
	if ((uint64_t)off >= end)
		size = 0;
	else if (size > end - (uint64_t)off)
		size = (size_t)(end - (uint64_t)off);
	(void)fuse_reply_buf(req, data, size < sizeof(data) ? size :
		sizeof(data));
}

static const struct fuse_lowlevel_ops ops = {
	.init = op_init, .lookup = op_lookup, .getattr = op_getattr,
	.readdirplus = op_readdirplus, .open = op_nosys,
	.opendir = op_nosys, .read = op_read,
};

int
main(int argc, char **argv)
{
	struct fuse_args args = FUSE_ARGS_INIT(1, argv);
	struct fuse_loop_config *config = fuse_loop_cfg_create();
	struct fuse_session *session;
	int rc;

	if (argc != 2 && argc != 5) {
		(void)fputs("usage: fuse_ceiling DIR [DIRS FILES BYTES]\n",
			stderr);
		return 1;
	}
	if (argc == 5) {
		dirs = strtoull(argv[2], NULL, 10);
		files = strtoull(argv[3], NULL, 10);
		bytes = strtoull(argv[4], NULL, 10);
	}
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (char)(i * 7);
	session = fuse_session_new(&args, &ops, sizeof(ops), NULL);
	if (session == NULL || fuse_set_signal_handlers(session) != 0 ||
	    fuse_session_mount(session, argv[1]) != 0)
		return 1;
	fuse_loop_cfg_set_clone_fd(config, 1);
	rc = fuse_session_loop_mt(session, config);
	fuse_session_unmount(session);
	fuse_session_destroy(session);
	fuse_loop_cfg_destroy(config);
	return rc < 0;
}
