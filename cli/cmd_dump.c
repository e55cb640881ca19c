/* SPDX-License-Identifier: ISC */
/* qstore dump: a file's bytes, or a folder as a tar archive, to a pipe. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "cli/cli_internal.h"
#include "cli/tree_internal.h"

struct options {
	struct qs_cli_filter filter;
	const char *archive, *target;
};

#define AT(field) offsetof(struct options, field)

static const struct qs_cli_option option_table[] = {
	{"archive", 'a', QS_CLI_TEXT, AT(archive), "tar",
		"what a folder is written as"},
	{"target", 't', QS_CLI_TEXT, AT(target), "FILE",
		"write to FILE, which must not exist yet"},
	{"host", 'H', QS_CLI_LIST, AT(filter.hosts), "HOST",
		"\"latest\" is this host's"},
	{"tag", 0, QS_CLI_LIST, AT(filter.tags), "TAG",
		"\"latest\" has this tag"},
	{"path", 0, QS_CLI_LIST, AT(filter.paths), "PATH",
		"\"latest\" is of this path"},
};

static enum qs_code
write_tar(struct qs_cli *cli, struct qs_source *source,
	const struct qs_node *node, const char *sub, int fd,
	struct qs_err *err)
{
	struct qs_buf path = {NULL, 0, 0};
	struct qs_report report;
	struct qs_view *view = NULL;
	size_t len = 0;
	enum qs_code rc = qs_cli_base(&path, sub, &len, err);

	if (rc == QS_OK)
		rc = qs_view_open(cli, QS_VIEW_OTHER, NULL, &report, &view,
			err);
	/* Names in archives are relative: no leading slash. */
	if (rc == QS_OK)
		rc = qs_dump_tar(source, &node->content,
			(const char *)path.data + 1, fd, &report, err);
	if (qs_view_close(view) > 0)
		cli->partial = true;
	qs_buf_clear(&path);
	return rc;
}

static enum qs_code
dump(struct qs_cli *cli, const struct options *options,
	struct qs_source *source, const struct qs_node *node,
	const char *sub, struct qs_err *err)
{
	int fd = STDOUT_FILENO, opened = -1;
	enum qs_code rc;

	if (options->target != NULL) {
		opened = open(options->target, O_WRONLY | O_CREAT | O_EXCL |
			O_CLOEXEC, 0600);
		if (opened < 0)
			return qs_fail_errno(err, "create %s",
				options->target);
		fd = opened;
	}
	if (node->type == QS_NODE_FILE && options->archive == NULL) {
		rc = qs_dump_file(source, node, fd, qs_cli_progress(), err);
	} else if (node->type == QS_NODE_DIR) {
		if (isatty(fd))
			rc = qs_fail(err, QS_EINVAL, "an archive is not for a "
				"terminal: give --target, or > FILE");
		else
			rc = write_tar(cli, source, node, sub, fd, err);
	} else {
		rc = qs_fail(err, QS_EINVAL, "%s: it is a %s, which can't be "
			"written %s", sub, qs_cli_type(node->type),
			options->archive != NULL ? "as an archive" : "out");
	}
	if (rc == QS_OK && opened >= 0)
		rc = qs_fd_sync(opened, err);
	qs_fd_close(&opened);
	/* Half a file under the name asked for would look like the whole. */
	if (rc != QS_OK && options->target != NULL)
		(void)unlink(options->target);
	return rc;
}

static enum qs_code
run(struct qs_cli *cli, const void *opts, size_t argc, char **argv,
	struct qs_err *err)
{
	const struct options *options = opts;
	const struct qs_snapshot *snapshot = NULL;
	struct qs_folder *folder = NULL;
	struct qs_source *source = NULL;
	struct qs_buf bytes = {NULL, 0, 0};
	struct qs_node node;
	const char *sub = "";
	enum qs_code rc = qs_cli_words(cli, argc, 1, 2, err);

	if (rc == QS_OK && options->archive != NULL &&
		strcmp(options->archive, "tar") != 0)
		rc = qs_fail(err, QS_EUNSUPPORTED, "--archive: \"%s\" is not "
			"tar", options->archive);
	if (rc == QS_OK)
		rc = qs_cli_open_source(cli, QS_CLI_READ, &folder, &source,
			err);
	if (rc == QS_OK)
		rc = qs_cli_snapshot(folder, argv[0], &options->filter,
			&snapshot, &sub, err);
	if (rc == QS_OK && argc == 2 && *sub != '\0')
		rc = qs_fail(err, QS_EINVAL, "give the path once: SNAPSHOT "
			"PATH or SNAPSHOT:PATH");
	if (rc != QS_OK)
		goto out;
	if (argc == 2)
		sub = argv[1];
	rc = qs_cli_find_node(source, snapshot, sub, &bytes, &node, err);
	if (rc == QS_OK)
		rc = dump(cli, options, source, &node, sub, err);
out:
	qs_buf_clear(&bytes);
	qs_source_free(source);
	qs_folder_close(folder);
	return rc;
}

const struct qs_cli_command qs_cmd_dump = {
	.name = "dump",
	.args = "[OPTION...] SNAPSHOT PATH",
	.brief = "write a file, or a folder as tar, to standard output",
	.example = "qstore dump latest /home/anna/list.txt | less",
	.options = option_table,
	.option_count = sizeof(option_table) / sizeof(option_table[0]),
	.options_size = sizeof(struct options),
	.run = run,
};
