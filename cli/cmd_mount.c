/* SPDX-License-Identifier: ISC */
/* qstore mount and umount: snapshots as plain directories. */
#include <stdlib.h>
#include <unistd.h>

#include "cli/cli_internal.h"
#include "fuse/fuse.h"

struct options {
	struct qs_cli_filter filter;
	const char *snapshot, *owner, *timeout;
	bool foreground, allow_other;
	uint64_t cache_size;
};

#define AT(field) offsetof(struct options, field)

static const struct qs_cli_option option_table[] = {
	{"foreground", 'f', QS_CLI_FLAG, AT(foreground), NULL,
		"stay in front; Ctrl-C unmounts"},
	{"snapshot", 's', QS_CLI_TEXT, AT(snapshot), "SNAPSHOT[:PATH]",
		"only this one, its files right at DIR"},
	{"owner", 0, QS_CLI_TEXT, AT(owner), "WHOSE",
		"whose files are: stored (root's default) or mine"},
	{"allow-other", 0, QS_CLI_FLAG, AT(allow_other), NULL,
		"other users may look in, as modes and ACLs allow"},
	{"cache-size", 0, QS_CLI_SIZE, AT(cache_size), "SIZE",
		"memory for opened data (64M)"},
	{"timeout", 0, QS_CLI_TEXT, AT(timeout), "TIME",
		"a read fails after so long a silence (30s)"},
	{"host", 'H', QS_CLI_LIST, AT(filter.hosts), "HOST",
		"only snapshots of this host"},
	{"tag", 0, QS_CLI_LIST, AT(filter.tags), "TAG",
		"only snapshots with this tag"},
	{"path", 0, QS_CLI_LIST, AT(filter.paths), "PATH",
		"only snapshots of this path"},
};

struct mounting {
	struct qs_cli *cli;
	const char *dir;
	int ready; /* -1: in front */
};

static void
on_ready(void *arg)
{
	struct mounting *mounting = arg;

	if (mounting->ready < 0 && !mounting->cli->global.quiet) {
		(void)printf("mounted at %s; Ctrl-C or \"qstore umount\" "
			"ends it\n", mounting->dir);
		(void)fflush(stdout);
	}
	qs_cli_background_ready(mounting->cli, &mounting->ready);
}

/* Threads hang in a store that does not answer. */
static void
on_give_up(void *arg)
{
	(void)arg;
	_exit(1);
}

static enum qs_code
read_options(const struct options *options, struct qs_mount_options *out,
	struct qs_err *err)
{
	out->filter = qs_cli_filter(&options->filter);
	out->allow_other = options->allow_other;
	out->cache_bytes = (size_t)options->cache_size;
	if (options->cache_size != 0 &&
		(options->cache_size < QS_MOUNT_CACHE_MIN ||
		options->cache_size > SIZE_MAX / 2))
		return qs_fail(err, QS_EINVAL,
			"--cache-size: at least 8M are needed");
	if (options->owner == NULL)
		out->owner = QS_OWNER_DEFAULT;
	else if (strcmp(options->owner, "stored") == 0)
		out->owner = QS_OWNER_STORED;
	else if (strcmp(options->owner, "mine") == 0)
		out->owner = QS_OWNER_MOUNTER;
	else
		return qs_fail(err, QS_EINVAL, "--owner: \"%s\" is neither "
			"stored nor mine", options->owner);
	if (options->timeout == NULL)
		return QS_OK;
	return qs_cli_parse_span(options->timeout, &out->timeout_s, err);
}

static enum qs_code
run(struct qs_cli *cli, const void *opts, size_t argc, char **argv,
	struct qs_err *err)
{
	const struct options *options = opts;
	struct mounting mounting = {cli, NULL, -1};
	struct qs_mount_options out = {.ready = on_ready,
		.ready_arg = &mounting, .give_up = on_give_up,
		.progress = qs_cli_progress(),
		.trouble = qs_cli_trouble,
		.trouble_arg = cli};
	struct qs_folder *folder = NULL;
	char *dir = NULL;
	enum qs_code rc = qs_cli_words(cli, argc, 1, 1, err);

	if (rc == QS_OK)
		rc = read_options(options, &out, err);
	if (rc == QS_OK && !options->foreground)
		rc = qs_cli_background(cli, &mounting.ready, err);
	if (rc == QS_OK)
		rc = qs_cli_open(cli, QS_CLI_READ, &folder, err);
	if (rc == QS_OK && options->snapshot != NULL)
		rc = qs_cli_snapshot(folder, options->snapshot,
			&options->filter, &out.snapshot, &out.subpath, err);
	if (rc != QS_OK)
		goto out;
	/* The process in the background leaves its directory. */
	dir = realpath(argv[0], NULL);
	mounting.dir = out.dir = dir != NULL ? dir : argv[0];
	rc = qs_mount(folder, &out, err);
	/* Whatever was told meanwhile: it was unmounted as asked. */
	cli->partial = false;
out:
	free(dir);
	qs_folder_close(folder);
	qs_fd_close(&mounting.ready);
	return rc;
}

const struct qs_cli_command qs_cmd_mount = {
	.name = "mount",
	.args = "[OPTION...] DIR",
	.brief = "show all snapshots as plain directories in DIR",
	.example = "qstore mount ~/snapshots; ls ~/snapshots/latest",
	.options = option_table,
	.option_count = sizeof(option_table) / sizeof(option_table[0]),
	.options_size = sizeof(struct options),
	.run = run,
};

struct umount_options {
	bool lazy;
};

static const struct qs_cli_option umount_table[] = {
	{"lazy", 'z', QS_CLI_FLAG, offsetof(struct umount_options, lazy), NULL,
		"even if files are open; ends when they are closed"},
};

static enum qs_code
run_umount(struct qs_cli *cli, const void *opts, size_t argc, char **argv,
	struct qs_err *err)
{
	const struct umount_options *options = opts;
	enum qs_code rc = qs_cli_words(cli, argc, 1, 1, err);

	return rc == QS_OK ? qs_umount(argv[0], options->lazy, err) : rc;
}

const struct qs_cli_command qs_cmd_umount = {
	.name = "umount",
	.args = "[--lazy] DIR",
	.brief = "end a mount, also one whose program has died",
	.example = "qstore umount ~/snapshots",
	.options = umount_table,
	.option_count = sizeof(umount_table) / sizeof(umount_table[0]),
	.options_size = sizeof(struct umount_options),
	.run = run_umount,
};
