/* SPDX-License-Identifier: ISC */
/* From the options of qstore snapshot to what the library wants. */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli/cmd_snapshot_internal.h"

#define LIST_MAX ((size_t)64 << 20)

enum list_kind { LIST_GLOBS, LIST_VERBATIM, LIST_RAW };

static enum qs_code
load(const char *path, struct qs_buf *out, struct qs_err *err)
{
	enum qs_code rc = QS_OK;
	size_t got = 1;

	if (strcmp(path, "-") != 0) {
		rc = qs_file_load(AT_FDCWD, path, LIST_MAX, out, err);
		return rc != QS_OK ? qs_fail_while(err, "--files-from") : rc;
	}
	while (rc == QS_OK && got > 0 && out->len < LIST_MAX) {
		uint8_t *at;

		rc = qs_buf_extend(out, 65536, &at, err);
		if (rc != QS_OK)
			break;
		rc = qs_fd_read(STDIN_FILENO, at, 65536, &got, err);
		out->len -= 65536 - (rc == QS_OK ? got : 0);
	}
	return rc;
}

static enum qs_code
add_glob(const char *pattern, struct qs_cli_list *out, struct qs_err *err)
{
	glob_t found;
	enum qs_code rc = QS_OK;
	int got = glob(pattern, GLOB_NOSORT, NULL, &found);

	if (got == GLOB_NOMATCH)
		return qs_fail(err, QS_ENOTFOUND, "--files-from: nothing "
			"matches \"%s\"", pattern);
	if (got != 0)
		return qs_fail(err, QS_EIO, "--files-from: \"%s\" can't be "
			"looked up", pattern);
	for (size_t i = 0; rc == QS_OK && i < found.gl_pathc; i++)
		rc = qs_cli_list_add_copy(out, found.gl_pathv[i],
			strlen(found.gl_pathv[i]), err);
	globfree(&found);
	return rc;
}

static enum qs_code
add_line(const char *line, size_t len, enum list_kind kind,
	struct qs_cli_list *out, struct qs_err *err)
{
	char *pattern;
	enum qs_code rc;

	if (kind != LIST_RAW && len > 0 && line[len - 1] == '\r')
		len--;
	if (kind == LIST_GLOBS) {
		while (len > 0 && (*line == ' ' || *line == '\t')) {
			line++;
			len--;
		}
	}
	if (len == 0 || (kind == LIST_GLOBS && *line == '#'))
		return QS_OK;
	if (memchr(line, '\0', len) != NULL)
		return qs_fail(err, QS_EINVAL, "--files-from: a line has a "
			"zero byte (use --files-from-raw)");
	if (kind != LIST_GLOBS)
		return qs_cli_list_add_copy(out, line, len, err);
	pattern = strndup(line, len);
	if (pattern == NULL)
		return qs_fail_nomem(err, "reading --files-from");
	rc = add_glob(pattern, out, err);
	free(pattern);
	return rc;
}

static enum qs_code
add_files(const struct qs_cli_list *files, enum list_kind kind,
	struct qs_cli_list *out, struct qs_err *err)
{
	const char end = kind == LIST_RAW ? '\0' : '\n';
	enum qs_code rc = QS_OK;

	for (size_t i = 0; rc == QS_OK && i < files->count; i++) {
		struct qs_buf text = {NULL, 0, 0};
		size_t at = 0;

		rc = load(files->items[i], &text, err);
		while (rc == QS_OK && at < text.len) {
			const char *line = (const char *)text.data + at;
			const char *stop = memchr(line, end, text.len - at);
			size_t len = stop == NULL ? text.len - at :
				(size_t)(stop - line);

			rc = add_line(line, len, kind, out, err);
			at += len + 1;
		}
		qs_buf_clear(&text);
	}
	return rc;
}

enum qs_code
qs_snapshot_paths(const struct qs_snapshot_options *options,
	char *const *words, size_t count, struct qs_cli_list *out,
	struct qs_err *err)
{
	const bool has_lists = options->files_from.count +
		options->files_verbatim.count + options->files_raw.count > 0;
	enum qs_code rc = QS_OK;

	if (options->from_stdin) {
		if (count > 0 || has_lists)
			return qs_fail(err, QS_EINVAL, "--stdin takes no paths"
				" (-r is for the store)");
		return QS_OK;
	}
	for (size_t i = 0; rc == QS_OK && i < count; i++)
		rc = qs_cli_list_add(out, words[i], err);
	if (rc == QS_OK)
		rc = add_files(&options->files_from, LIST_GLOBS, out, err);
	if (rc == QS_OK)
		rc = add_files(&options->files_verbatim, LIST_VERBATIM, out,
			err);
	if (rc == QS_OK)
		rc = add_files(&options->files_raw, LIST_RAW, out, err);
	if (rc == QS_OK && out->count == 0)
		rc = qs_fail(err, QS_EINVAL, "say what to save, for example: "
			"qstore snapshot ~/work");
	return rc;
}

/* Which of a path's forms the tree has; see qs_snapshot_excludes. */
struct own {
	struct qs_patterns *patterns;
	char *cwd; /* NULL: the tree has absolute paths */
};

/* A path as a pattern that matches it and nothing else. */
static enum qs_code
add_exactly(struct qs_patterns *patterns, const char *path,
	struct qs_err *err)
{
	struct qs_buf text = {NULL, 0, 0};
	enum qs_code rc = QS_OK;

	for (const char *at = path; rc == QS_OK && *at != '\0'; at++) {
		if (strchr("*?[]\\", *at) != NULL)
			rc = qs_buf_append(&text, "\\", 1, err);
		if (rc == QS_OK)
			rc = qs_buf_append(&text, at, 1, err);
	}
	if (rc == QS_OK)
		rc = qs_buf_append(&text, "", 1, err);
	if (rc == QS_OK && text.len > 2)
		rc = qs_patterns_add(patterns, (const char *)text.data, false,
			err);
	qs_buf_clear(&text);
	return rc;
}

static enum qs_code
add_path(const struct own *own, const char *path, struct qs_err *err)
{
	char *real = realpath(path, NULL);
	const size_t len = own->cwd == NULL ? 0 : strlen(own->cwd);
	enum qs_code rc = QS_OK;

	if (real == NULL)
		return QS_OK; /* it is not there (yet): nothing to leave out */
	if (own->cwd == NULL) {
		rc = add_exactly(own->patterns, real, err);
		/* the same through a symlink, if that is how it is named */
		if (rc == QS_OK && path[0] == '/' && strcmp(path, real) != 0)
			rc = add_exactly(own->patterns, path, err);
	} else if (strncmp(real, own->cwd, len) == 0 && real[len] == '/') {
		rc = add_exactly(own->patterns, real + len, err);
	}
	free(real);
	return rc;
}

static enum qs_code
add_dir(const struct own *own, const char *given, enum qs_xdg which,
	struct qs_err *err)
{
	char *dir = NULL;
	enum qs_code rc = qs_cli_dir(given, which, &dir, err);

	if (rc == QS_OK)
		rc = add_path(own, dir, err);
	free(dir);
	return rc;
}

/*
 * The store's folders, if it is a path here: one by one and not the path, in
 * which a user may keep other things.
 */
static enum qs_code
add_store(const struct own *own, const struct qs_cli *cli,
	struct qs_err *err)
{
	struct qs_folder_list list = {NULL, 0};
	struct qs_err unused;
	enum qs_code rc = QS_OK;

	/* If it can't be listed, opening it says so, and better. */
	if (cli->global.repo == NULL || qs_url_is_remote(cli->global.repo) ||
		qs_store_folders(cli->global.repo, &list, &unused) != QS_OK)
		return QS_OK;
	for (size_t i = 0; rc == QS_OK && i < list.count; i++) {
		char hex[2 * QS_FOLDER_ID_LEN + 1];

		char *path;

		qs_hex(hex, list.ids[i], QS_FOLDER_ID_LEN);
		if (asprintf(&path, "%s/%s", cli->global.repo, hex) < 0) {
			rc = qs_fail_nomem(err, "leaving out the store");
			break;
		}
		rc = add_path(own, path, err);
		free(path);
	}
	qs_folder_list_clear(&list);
	return rc;
}

static bool
climbs(const char *path)
{
	for (; *path != '\0'; path += strspn(path, "/")) {
		size_t len = strcspn(path, "/");

		if (len == 2 && path[0] == '.' && path[1] == '.')
			return true;
		path += len;
	}
	return false;
}

/*
 * Our own files: cache, state and the store.  Relative paths are kept as they
 * are given, unless one among them is absolute or climbs (as in the tree that
 * qs_create makes).
 */
static enum qs_code
add_own(struct qs_patterns *patterns, const struct qs_cli *cli,
	const struct qs_cli_list *paths, struct qs_err *err)
{
	struct own own = {patterns, NULL};
	bool is_relative = true;
	enum qs_code rc;

	for (size_t i = 0; i < paths->count; i++)
		is_relative = is_relative && paths->items[i][0] != '/' &&
			!climbs(paths->items[i]);
	if (is_relative) {
		own.cwd = getcwd(NULL, 0);
		if (own.cwd == NULL)
			return qs_fail_errno(err, "current folder");
		if (strcmp(own.cwd, "/") == 0)
			own.cwd[0] = '\0';
	}
	rc = add_dir(&own, cli->global.cache_dir, QS_XDG_CACHE, err);
	if (rc == QS_OK)
		rc = add_dir(&own, cli->global.state_dir, QS_XDG_STATE, err);
	if (rc == QS_OK)
		rc = add_store(&own, cli, err);
	free(own.cwd);
	return rc;
}

enum qs_code
qs_snapshot_excludes(const struct qs_cli *cli,
	const struct qs_snapshot_options *options,
	const struct qs_cli_list *paths, struct qs_patterns **out,
	struct qs_err *err)
{
	struct qs_patterns *patterns = NULL;
	enum qs_code rc = qs_patterns_new(&patterns, err);

	for (size_t i = 0; rc == QS_OK && i < options->exclude_files.count;
		i++)
		rc = qs_patterns_add_file(patterns,
			options->exclude_files.items[i], false, err);
	for (size_t i = 0; rc == QS_OK && i < options->exclude.count; i++)
		rc = qs_patterns_add(patterns, options->exclude.items[i],
			false, err);
	for (size_t i = 0; rc == QS_OK && i < options->iexclude.count; i++)
		rc = qs_patterns_add(patterns, options->iexclude.items[i],
			true, err);
	/* Ours last: a pattern with '!' can't bring them back. */
	if (rc == QS_OK)
		rc = add_own(patterns, cli, paths, err);
	if (rc != QS_OK) {
		qs_patterns_free(patterns);
		return rc;
	}
	*out = patterns;
	return QS_OK;
}

static enum qs_code
check_stdin_name(const char *name, struct qs_err *err)
{
	const size_t len = strlen(name);

	if (len >= 1 && len <= QS_NAME_MAX && strchr(name, '/') == NULL &&
		strcmp(name, ".") != 0 && strcmp(name, "..") != 0)
		return QS_OK;
	return qs_fail(err, QS_EINVAL, "--stdin-filename: \"%.300s\" is not "
		"the name of a file (no path, at most %d bytes)", name,
		QS_NAME_MAX);
}

enum qs_code
qs_snapshot_fill(const struct qs_cli *cli,
	const struct qs_snapshot_options *options,
	struct qs_create_options *out, struct qs_err *err)
{
	enum qs_code rc = QS_OK;

	*out = (struct qs_create_options){
		.exclude_caches = options->exclude_caches,
		.exclude_if_present = options->if_present.items,
		.if_present_count = options->if_present.count,
		.exclude_larger_than = options->larger_than,
		.one_file_system = options->one_file_system,
		.host = options->host != NULL ? options->host : cli->host,
		.tags = options->tags.items,
		.tag_count = options->tags.count,
		.force = options->force,
		.skip_if_unchanged = options->skip_if_unchanged,
		.dry_run = options->dry_run,
		.level = cli->level,
		.read_concurrency = options->readers,
		.stdin_fd = options->from_stdin ? STDIN_FILENO : -1,
		.stdin_name = options->stdin_name,
	};
	if (options->stdin_name != NULL && !options->from_stdin)
		return qs_fail(err, QS_EINVAL, "--stdin-filename needs "
			"--stdin");
	if (options->from_stdin && options->stdin_name == NULL)
		out->stdin_name = "stdin";
	if (options->stdin_name != NULL)
		rc = check_stdin_name(options->stdin_name, err);
	if (rc != QS_OK)
		return rc;
	if (options->force && options->parent != NULL)
		return qs_fail(err, QS_EINVAL, "--force and --parent can't be "
			"used together");
	if (options->time != NULL)
		rc = qs_cli_parse_time(options->time, &out->time_ns, err);
	return rc;
}
