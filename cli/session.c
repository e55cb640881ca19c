/* SPDX-License-Identifier: ISC */
/* From the options to an open folder: store, folder, slot, keys. */
#include <stdatomic.h>
#include <stdlib.h>
#include <syslog.h>

#include "cli/cli_internal.h"

#define ID_HEX ((size_t)2 * QS_FOLDER_ID_LEN)

void
qs_cli_warn(struct qs_cli *cli, const char *path, const struct qs_err *err)
{
	if (cli->to_syslog) { /* which others can read: no path */
		syslog(LOG_WARNING, "%s", err->msg);
		return;
	}
	if (cli->global.json) {
		struct qs_json json = qs_json(stderr);

		qs_json_open(&json, NULL, '{');
		qs_json_text(&json, "message_type", "error");
		qs_json_open(&json, "error", '{');
		qs_json_text(&json, "message", err->msg);
		qs_json_close(&json, '}');
		if (path != NULL)
			qs_json_name(&json, "item", path, strlen(path));
		qs_json_close(&json, '}');
		qs_json_end(&json);
		return;
	}
	(void)fputs("warning: ", stderr);
	if (path != NULL && path[0] != '\0') { /* "": the root itself */
		qs_cli_escape_text(stderr, path);
		(void)fputs(": ", stderr);
	}
	qs_cli_escape_text(stderr, err->msg);
	(void)fputc('\n', stderr);
}

void
qs_cli_trouble(void *arg, const struct qs_err *trouble)
{
	struct qs_cli *cli = arg;

	/* Bytes are damaged or withheld: what is read may not be all. */
	if (trouble->code == QS_ECORRUPT || trouble->code == QS_EROLLBACK) {
		cli->troubles++;
		cli->partial = cli->partial || !cli->writes;
	}
	qs_cli_warn(cli, NULL, trouble);
}

static enum qs_code
fail_which(const struct qs_cli *cli, const struct qs_folder_list *list,
	struct qs_err *err)
{
	char ids[256] = "";
	size_t used = 0;

	for (size_t i = 0; i < list->count && used + 16 < sizeof(ids); i++) {
		char hex[ID_HEX + 1];

		qs_hex(hex, list->ids[i], QS_FOLDER_ID_LEN);
		used += (size_t)snprintf(ids + used, sizeof(ids) - used,
			"%s%.8s", i == 0 ? "" : ", ", hex);
	}
	return qs_fail(err, QS_EINVAL, "%s: there are %zu folders (%s%s); say "
		"which with -F", cli->global.repo, list->count, ids,
		used + 16 >= sizeof(ids) ? ", ..." : "");
}

static enum qs_code
by_prefix(const struct qs_cli *cli, const struct qs_folder_list *list,
	uint8_t *id, struct qs_err *err)
{
	const char *prefix = cli->global.folder;
	const size_t len = strlen(prefix);
	size_t found = 0;

	if (len < 4 || len > ID_HEX ||
		strspn(prefix, "0123456789abcdef") != len)
		return qs_fail(err, QS_ENOTFOUND, "folder \"%s\": this machine "
			"has none of that name; give the first digits of its "
			"id", prefix);
	for (size_t i = 0; i < list->count; i++) {
		char hex[ID_HEX + 1];

		qs_hex(hex, list->ids[i], QS_FOLDER_ID_LEN);
		if (strncmp(hex, prefix, len) != 0)
			continue;
		memcpy(id, list->ids[i], QS_FOLDER_ID_LEN);
		found++;
	}
	if (found == 0)
		return qs_fail(err, QS_ENOTFOUND, "folder %s: there is none "
			"with that id at %s", prefix, cli->global.repo);
	if (found > 1)
		return qs_fail(err, QS_EINVAL, "folder %s: the ids of %zu "
			"folders begin so", prefix, found);
	return QS_OK;
}

static enum qs_code
choose(void *arg, const struct qs_folder_list *list,
	uint8_t id[static QS_FOLDER_ID_LEN], struct qs_err *err)
{
	const struct qs_cli *cli = arg;
	bool found = false;
	enum qs_code rc;

	if (cli->global.folder == NULL) {
		if (list->count == 0)
			return qs_fail(err, QS_ENOSTORE, "%s: there is no "
				"folder in this store", cli->global.repo);
		if (list->count > 1)
			return fail_which(cli, list, err);
		memcpy(id, list->ids[0], QS_FOLDER_ID_LEN);
		return QS_OK;
	}
	rc = qs_cli_name_find(cli, cli->global.folder, id, &found, err);
	if (rc != QS_OK || !found)
		return rc != QS_OK ? rc : by_prefix(cli, list, id, err);
	for (size_t i = 0; i < list->count; i++) {
		if (memcmp(list->ids[i], id, QS_FOLDER_ID_LEN) == 0)
			return QS_OK;
	}
	return qs_fail(err, QS_ENOTFOUND, "folder \"%s\": the folder of that "
		"name on this machine is not at %s", cli->global.folder,
		cli->global.repo);
}

enum qs_code
qs_cli_store(struct qs_cli *cli, struct qs_store **out, struct qs_err *err)
{
	if (cli->global.repo == NULL)
		return qs_fail(err, QS_EINVAL, "say where the store is with "
			"-r or QSTORE_REPOSITORY");
	return qs_url_open_one(cli->global.repo, choose, cli, out, err);
}

void
qs_cli_folder_options(struct qs_cli *cli, unsigned need,
	struct qs_folder_options *out)
{
	*out = (struct qs_folder_options){
		.cache_dir = cli->global.cache_dir,
		.state_dir = cli->global.state_dir,
		.without_index = (need & QS_CLI_NO_INDEX) != 0,
		.in_memory = cli->global.no_cache,
		.accept_rollback = cli->global.accept_rollback,
		.trouble = qs_cli_trouble,
		.trouble_arg = cli,
	};
}

/* Into cli->secret, unless that is there. */
static enum qs_code
unlock(struct qs_cli *cli, struct qs_store *store, struct qs_err *err)
{
	struct qs_slot_secret *secret;
	enum qs_code rc;

	if (cli->secret != NULL)
		return QS_OK;
	secret = qs_secret_alloc(sizeof(*secret));
	if (secret == NULL)
		return qs_fail(err, QS_ENOMEM, "there is no locked memory for "
			"keys (see ulimit -l)");
	rc = qs_cli_unlock(cli, store, secret, err);
	if (rc == QS_OK) {
		cli->secret = secret;
		secret = NULL; /* handed over */
	}
	qs_secret_free(secret);
	return rc;
}

static enum qs_code
open_once(struct qs_cli *cli, unsigned need, struct qs_folder **out,
	struct qs_err *err)
{
	struct qs_folder_options options;
	struct qs_store *store = NULL;
	enum qs_code rc = qs_cli_store(cli, &store, err);

	if (rc == QS_OK)
		rc = unlock(cli, store, err);
	if (rc == QS_OK && qs_cli_interrupted())
		rc = qs_fail(err, QS_ECANCELED, "interrupted");
	if (rc != QS_OK) {
		qs_store_close(store);
		return rc;
	}
	qs_cli_folder_options(cli, need, &options);
	return qs_folder_open(store, cli->secret, &options, out, err);
}

enum qs_code
qs_cli_open(struct qs_cli *cli, unsigned need, struct qs_folder **out,
	struct qs_err *err)
{
	enum qs_code rc;

	cli->writes = (need & QS_CLI_WRITE) != 0;
	if (cli->writes && cli->global.no_cache)
		return qs_fail(err, QS_EINVAL, "--no-cache: this command "
			"writes, and needs to remember what it wrote");
	rc = open_once(cli, need, out, err);
	if (rc == QS_EINDEX) { /* closing has set it aside */
		qs_cli_warn(cli, NULL, err);
		cli->troubles = 0;
		rc = open_once(cli, need, out, err);
	}
	if (!cli->command->can_repeat) {
		qs_secret_free(cli->secret);
		cli->secret = NULL;
	}
	return rc;
}

enum qs_code
qs_cli_open_source(struct qs_cli *cli, unsigned need,
	struct qs_folder **folder, struct qs_source **source,
	struct qs_err *err)
{
	struct qs_folder *opened = NULL;
	enum qs_code rc = qs_cli_open(cli, need, &opened, err);

	if (rc == QS_OK)
		rc = qs_source_new(opened, QS_SOURCE_CACHE, source, err);
	if (rc != QS_OK) {
		qs_folder_close(opened);
		return rc;
	}
	*folder = opened;
	return QS_OK;
}
