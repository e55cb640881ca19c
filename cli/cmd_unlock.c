/* SPDX-License-Identifier: ISC */
/*
 * qstore unlock and lock: the folder's keys into the kernel's keyring for a
 * while, and out of it.
 */
#include "cli/cli_internal.h"

struct options {
	const char *timeout;
};

static const struct qs_cli_option unlock_table[] = {
	{"timeout", 0, QS_CLI_TEXT, offsetof(struct options, timeout), "TIME",
		"for how long, for example 15m or 8h (default: 1h)"},
};

static void
tell(const struct qs_cli *cli, const struct qs_store *store, bool is_open,
	unsigned seconds)
{
	char hex[2 * QS_FOLDER_ID_LEN + 1], time[QS_CLI_TEXT_LEN];
	struct qs_json json = qs_json(stdout);

	qs_hex(hex, store->folder_id, QS_FOLDER_ID_LEN);
	if (cli->global.json) {
		qs_json_open(&json, NULL, '{');
		qs_json_text(&json, "message_type", is_open ? "unlocked" :
			"locked");
		qs_json_text(&json, "id", hex);
		if (is_open)
			qs_json_number(&json, "timeout", seconds);
		qs_json_close(&json, '}');
		qs_json_end(&json);
		return;
	}
	qs_cli_duration(seconds, time);
	if (!cli->global.quiet && is_open)
		(void)printf("folder %.8s is unlocked for %s\n", hex, time);
	else if (!cli->global.quiet)
		(void)printf("folder %.8s is locked\n", hex);
}

static enum qs_code
unlock(struct qs_cli *cli, const void *opts, size_t argc, char **argv,
	struct qs_err *err)
{
	const struct options *options = opts;
	struct qs_slot_secret *secret = NULL;
	struct qs_store *store = NULL;
	unsigned seconds = 3600;
	enum qs_code rc = qs_cli_words(cli, argc, 0, 0, err);

	(void)argv;
	if (rc == QS_OK && options->timeout != NULL) {
		rc = qs_cli_parse_span(options->timeout, &seconds, err);
		if (rc != QS_OK)
			rc = qs_fail_while(err, "--timeout");
	}
	if (rc == QS_OK)
		rc = qs_cli_store(cli, &store, err);
	if (rc != QS_OK)
		return rc;
	secret = qs_secret_alloc(sizeof(*secret));
	cli->ask_anew = true;
	rc = secret == NULL ? qs_fail(err, QS_ENOMEM, "there is no locked "
		"memory for keys (see ulimit -l)") :
		qs_cli_unlock(cli, store, secret, err);
	if (rc == QS_OK)
		rc = qs_keyring_put(store->folder_id, secret, seconds, err);
	if (rc == QS_OK)
		tell(cli, store, true, seconds);
	qs_secret_free(secret);
	qs_store_close(store);
	return rc;
}

static enum qs_code
lock(struct qs_cli *cli, const void *opts, size_t argc, char **argv,
	struct qs_err *err)
{
	struct qs_store *store = NULL;
	struct qs_err trouble;
	enum qs_code rc = qs_cli_words(cli, argc, 0, 0, err);

	(void)opts;
	(void)argv;
	if (rc == QS_OK)
		rc = qs_cli_store(cli, &store, err);
	if (rc != QS_OK)
		return rc;
	rc = qs_keyring_drop(store->folder_id, &trouble);
	/* It was not unlocked: then it is as it should be. */
	if (rc == QS_ENOTFOUND)
		rc = QS_OK;
	if (rc != QS_OK)
		*err = trouble;
	else
		tell(cli, store, false, 0);
	qs_store_close(store);
	return rc;
}

const struct qs_cli_command qs_cmd_unlock = {
	.name = "unlock",
	.args = "[--timeout TIME]",
	.brief = "do not ask for the passphrase for a while",
	.example = "qstore unlock --timeout 8h",
	.options = unlock_table,
	.option_count = sizeof(unlock_table) / sizeof(unlock_table[0]),
	.options_size = sizeof(struct options),
	.run = unlock,
};

const struct qs_cli_command qs_cmd_lock = {
	.name = "lock",
	.args = "",
	.brief = "forget what unlock remembered",
	.example = "qstore lock",
	.run = lock,
};
