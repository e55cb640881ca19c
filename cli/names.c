/* SPDX-License-Identifier: ISC */
/*
 * What this machine calls folders: the file `names` in the state folder, a
 * line "ID NAME" each.  A name pins its id: a store that offers another folder
 * in its place is found out.
 */
#include <fcntl.h>
#include <stdlib.h>

#include "cli/cli_internal.h"

#define NAME_MAX_LEN 64
#define FILE_MAX ((size_t)1 << 20)
#define ID_HEX ((size_t)2 * QS_FOLDER_ID_LEN)

enum qs_code
qs_cli_dir(const char *given, enum qs_xdg which, char **out,
	struct qs_err *err)
{
	char *dir;

	if (given == NULL)
		return qs_dir_xdg(which, out, err);
	dir = strdup(given);
	if (dir == NULL)
		return qs_fail_nomem(err, "finding a folder's name");
	*out = dir;
	return QS_OK;
}

static enum qs_code
names_path(const struct qs_cli *cli, char **dir, char **path,
	struct qs_err *err)
{
	enum qs_code rc = qs_cli_dir(cli->global.state_dir, QS_XDG_STATE,
		dir, err);

	if (rc != QS_OK)
		return rc;
	if (asprintf(path, "%s/names", *dir) < 0) {
		*path = NULL;
		return qs_fail_nomem(err, "finding a folder's name");
	}
	return QS_OK;
}

static enum qs_code
load(const char *path, struct qs_buf *out, struct qs_err *err)
{
	struct qs_err trouble;
	enum qs_code rc = qs_file_load(AT_FDCWD, path, FILE_MAX, out,
		&trouble);

	if (rc == QS_OK || rc == QS_ENOTFOUND)
		return QS_OK;
	*err = trouble;
	return qs_fail_while(err, "names of folders");
}

/* The id on the line of that name. */
static bool
find(struct qs_span text, const char *name, uint8_t *id)
{
	const size_t name_len = strlen(name);
	const char *at = (const char *)text.data;
	size_t left = text.len;

	while (left > 0) {
		const char *end = memchr(at, '\n', left);
		size_t len = end == NULL ? left : (size_t)(end - at);

		if (len == ID_HEX + 1 + name_len && at[ID_HEX] == ' ' &&
			memcmp(at + ID_HEX + 1, name, name_len) == 0) {
			char hex[ID_HEX + 1];

			memcpy(hex, at, ID_HEX);
			hex[ID_HEX] = '\0';
			return qs_unhex(id, QS_FOLDER_ID_LEN, hex);
		}
		len = len == left ? len : len + 1;
		at += len;
		left -= len;
	}
	return false;
}

enum qs_code
qs_cli_name_find(const struct qs_cli *cli, const char *name,
	uint8_t id[static QS_FOLDER_ID_LEN], bool *found, struct qs_err *err)
{
	struct qs_buf text = {NULL, 0, 0};
	char *dir = NULL, *path = NULL;
	enum qs_code rc = names_path(cli, &dir, &path, err);

	if (rc == QS_OK)
		rc = load(path, &text, err);
	if (rc == QS_OK)
		*found = find(qs_buf_span(&text), name, id);
	qs_buf_clear(&text);
	free(path);
	free(dir);
	return rc;
}

enum qs_code
qs_cli_name_check(const struct qs_cli *cli, const char *name,
	struct qs_err *err)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyz"
		"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
	uint8_t id[QS_FOLDER_ID_LEN];
	size_t len = strlen(name);
	bool found = false;
	enum qs_code rc;

	if (len == 0 || len > NAME_MAX_LEN || strspn(name, allowed) != len)
		return qs_fail(err, QS_EINVAL, "folder \"%s\": a name has 1 to "
			"%d letters, digits, dots, dashes and underscores",
			name, NAME_MAX_LEN);
	rc = qs_cli_name_find(cli, name, id, &found, err);
	if (rc == QS_OK && found) {
		char hex[ID_HEX + 1];

		qs_hex(hex, id, QS_FOLDER_ID_LEN);
		return qs_fail(err, QS_EEXIST, "folder \"%s\": this machine "
			"has one of that name already, with id %.8s", name,
			hex);
	}
	return rc;
}

enum qs_code
qs_cli_name_add(const struct qs_cli *cli, const char *name,
	const uint8_t id[static QS_FOLDER_ID_LEN], struct qs_err *err)
{
	struct qs_buf text = {NULL, 0, 0};
	char *dir = NULL, *path = NULL;
	char hex[ID_HEX + 1];
	enum qs_code rc = names_path(cli, &dir, &path, err);

	qs_hex(hex, id, QS_FOLDER_ID_LEN);
	if (rc == QS_OK)
		rc = qs_dir_make(dir, 0700, err);
	if (rc == QS_OK)
		rc = load(path, &text, err);
	if (rc == QS_OK && text.len > 0 && text.data[text.len - 1] != '\n')
		rc = qs_buf_append(&text, "\n", 1, err);
	if (rc == QS_OK)
		rc = qs_buf_printf(&text, err, "%s %s\n", hex, name);
	if (rc == QS_OK)
		rc = qs_file_replace(AT_FDCWD, path, 0600,
			qs_buf_span(&text), err);
	qs_buf_clear(&text);
	free(path);
	free(dir);
	return rc;
}
