/* SPDX-License-Identifier: ISC */
/*
 * qstore init: a new folder with its key slots.  The folder's name is checked
 * and the passphrases are asked for before anything is made.
 */
#include <stdlib.h>
#include <unistd.h>

#include "cli/cli_internal.h"

struct options {
	bool no_recovery, no_confirm, generate, separate_admin;
	const char *admin_file, *label;
};

#define AT(field) offsetof(struct options, field)

static const struct qs_cli_option option_table[] = {
	{"label", 0, QS_CLI_TEXT, AT(label), "TEXT",
		"the passphrase slot's label (default: passphrase)"},
	{"generate-passphrase", 0, QS_CLI_FLAG, AT(generate), NULL,
		"make a passphrase and print it"},
	{"no-recovery", 0, QS_CLI_FLAG, AT(no_recovery), NULL,
		"make no recovery code"},
	{"no-confirm", 0, QS_CLI_FLAG, AT(no_confirm), NULL,
		"do not ask to type the recovery code back"},
	{"separate-admin", 0, QS_CLI_FLAG, AT(separate_admin), NULL,
		"a second passphrase for deleting"},
	{"admin-password-file", 0, QS_CLI_TEXT, AT(admin_file), "FILE",
		"that second passphrase: first line of FILE"},
};

struct keys { /* what the slots are made from; in locked memory */
	struct qs_cli_secret passphrase, admin, code;
	uint8_t *key_file, *recovery;
	struct qs_factor daily[2], admin_factor, recovery_factor;
	struct qs_new_slot slots[3];
	size_t count;
};

static enum qs_code
generate(struct qs_cli_secret *out, struct qs_err *err)
{
	const size_t cap = QS_PASSPHRASE_TEXT_CAP(QS_PASSPHRASE_WORDS);
	enum qs_code rc = qs_cli_secret_new(out, err);

	if (rc != QS_OK)
		return rc;
	qs_passphrase_generate((char *)out->data, cap, QS_PASSPHRASE_WORDS);
	out->len = strlen((const char *)out->data);
	return QS_OK;
}

static enum qs_code
make_recovery(struct keys *keys, struct qs_err *err)
{
	enum qs_code rc = qs_cli_secret_new(&keys->code, err);

	if (rc != QS_OK)
		return rc;
	keys->recovery = qs_secret_alloc(QS_KEY_LEN);
	if (keys->recovery == NULL)
		return qs_fail(err, QS_ENOMEM, "there is no locked memory for "
			"a recovery code (see ulimit -l)");
	qs_random(keys->recovery, QS_KEY_LEN);
	qs_recovery_encode(keys->recovery, (char *)keys->code.data);
	keys->recovery_factor = (struct qs_factor){
		.type = QS_FACTOR_RECOVERY,
		.secret = qs_span(keys->recovery, QS_KEY_LEN)};
	keys->slots[keys->count++] = (struct qs_new_slot){"recovery",
		&keys->recovery_factor, 1, true};
	return QS_OK;
}

static enum qs_code
gather(struct qs_cli *cli, const struct options *options, struct keys *keys,
	struct qs_err *err)
{
	size_t factors = 1;
	enum qs_code rc;

	qs_cli_warn_swap(cli);
	rc = options->generate ?
		generate(&keys->passphrase, err) : qs_cli_passphrase(cli,
		"new passphrase", true, &keys->passphrase, err);

	if (rc == QS_OK && cli->global.key_file != NULL)
		rc = qs_cli_key_file(cli->global.key_file, &keys->key_file,
			err);
	if (rc != QS_OK)
		return rc;
	keys->daily[0] = (struct qs_factor){QS_FACTOR_PASSPHRASE,
		qs_span(keys->passphrase.data, keys->passphrase.len),
		cli->argon};
	if (keys->key_file != NULL)
		keys->daily[factors++] = (struct qs_factor){
			.type = QS_FACTOR_KEYFILE,
			.secret = qs_span(keys->key_file, QS_KEY_LEN)};
	keys->slots[keys->count++] = (struct qs_new_slot){
		options->label != NULL ? options->label : "passphrase",
		keys->daily, factors, !options->separate_admin};
	if (options->separate_admin) {
		rc = qs_cli_new_passphrase(options->admin_file,
			"new passphrase for deleting", &keys->admin, err);
		if (rc != QS_OK)
			return rc;
		keys->admin_factor = (struct qs_factor){QS_FACTOR_PASSPHRASE,
			qs_span(keys->admin.data, keys->admin.len),
			cli->argon};
		keys->slots[keys->count++] = (struct qs_new_slot){"admin",
			&keys->admin_factor, 1, true};
	}
	return options->no_recovery ? QS_OK : make_recovery(keys, err);
}

static void
tell(const struct qs_cli *cli, const struct options *options,
	const struct keys *keys, const char *id)
{
	if (cli->global.json) {
		struct qs_json json = qs_json(stdout);

		qs_json_open(&json, NULL, '{');
		qs_json_text(&json, "message_type", "initialized");
		qs_json_text(&json, "id", id);
		qs_json_text(&json, "repository", cli->global.repo);
		if (cli->global.folder != NULL)
			qs_json_text(&json, "folder", cli->global.folder);
		if (keys->code.data != NULL)
			qs_json_text(&json, "recovery_code",
				(const char *)keys->code.data);
		if (options->generate)
			qs_json_text(&json, "passphrase",
				(const char *)keys->passphrase.data);
		qs_json_close(&json, '}');
		qs_json_end(&json);
		return;
	}
	if (!cli->global.quiet) {
		(void)printf("created folder %.8s at ", id);
		qs_cli_escape_text(stdout, cli->global.repo);
		(void)putchar('\n');
		(void)fflush(stdout);
	}
	if (options->generate)
		(void)fprintf(stderr, "\nThe passphrase, shown this once:\n\n"
			"    %s\n", (const char *)keys->passphrase.data);
	if (keys->code.data != NULL)
		(void)fprintf(stderr, "\nThe recovery code, shown this once. "
			"Write it down and keep it\naway from this computer: "
			"with it alone everything can be read.\n\n    %s\n\n",
			(const char *)keys->code.data);
	if (!cli->global.quiet)
		(void)fprintf(stderr, "Without the passphrase%s nothing can "
			"be restored.\n", keys->code.data != NULL ?
			" or the recovery code" : "");
}

/* Three tries; what was made stays in any case. */
static enum qs_code
confirm(const struct keys *keys, struct qs_err *err)
{
	struct qs_err wrong = {.code = QS_OK};

	for (int tries = 0; tries < 3; tries++) {
		uint8_t *typed = NULL;
		enum qs_code rc = qs_cli_recovery("type the code back",
			&typed, &wrong);
		bool is_same;

		if (rc == QS_ECANCELED) {
			*err = wrong;
			return rc;
		}
		is_same = rc == QS_OK && qs_equal(typed, keys->recovery,
			QS_KEY_LEN);
		qs_secret_free(typed);
		if (is_same) {
			(void)fputs("that is right\n", stderr);
			return QS_OK;
		}
		(void)fprintf(stderr, "not right: %s\n", rc != QS_OK ?
			wrong.msg : "this is another code");
	}
	return qs_fail(err, QS_EINVAL, "the folder is made, but the recovery "
		"code was not typed back; make a new one with qstore key "
		"recovery");
}

static void
clear(struct keys *keys)
{
	qs_cli_secret_clear(&keys->passphrase);
	qs_cli_secret_clear(&keys->admin);
	qs_cli_secret_clear(&keys->code);
	qs_secret_free(keys->key_file);
	qs_secret_free(keys->recovery);
}

/*
 * A second folder without a name would make every later command ask which one
 * is meant.
 */
static enum qs_code
check_alone(const struct qs_cli *cli, struct qs_err *err)
{
	struct qs_folder_list list = {NULL, 0};
	char id[2 * QS_FOLDER_ID_LEN + 1];
	struct qs_err fault;
	enum qs_code rc = qs_url_folders(cli->global.repo, &list, &fault);

	/* None yet, or what making one will say better. */
	if (rc != QS_OK)
		return QS_OK;
	qs_hex(id, list.ids[0], QS_FOLDER_ID_LEN);
	qs_folder_list_clear(&list);
	return qs_fail(err, QS_EEXIST, "%s: there is a folder already (%.8s); "
		"give another one a name with -F", cli->global.repo, id);
}

static enum qs_code
run(struct qs_cli *cli, const void *opts, size_t argc, char **argv,
	struct qs_err *err)
{
	const struct options *options = opts;
	struct qs_folder_options folder_options;
	struct qs_folder *folder = NULL;
	struct keys keys = {.count = 0};
	char id[2 * QS_FOLDER_ID_LEN + 1];
	enum qs_code rc = qs_cli_words(cli, argc, 0, 0, err);

	(void)argv;
	if (rc == QS_OK && cli->global.repo == NULL)
		rc = qs_fail(err, QS_EINVAL, "say where the store is to be "
			"with -r or QSTORE_REPOSITORY");
	if (rc == QS_OK && options->admin_file != NULL &&
		!options->separate_admin)
		rc = qs_fail(err, QS_EINVAL, "--admin-password-file: it needs "
			"--separate-admin");
	if (rc == QS_OK && cli->global.folder != NULL)
		rc = qs_cli_name_check(cli, cli->global.folder, err);
	else if (rc == QS_OK)
		rc = check_alone(cli, err);
	if (rc == QS_OK)
		rc = gather(cli, options, &keys, err);
	if (rc != QS_OK)
		goto out;
	qs_cli_folder_options(cli, QS_CLI_WRITE, &folder_options);
	rc = qs_folder_create(cli->global.repo, &folder_options, keys.slots,
		keys.count, &folder, err);
	if (rc != QS_OK)
		goto out;
	qs_hex(id, qs_keys_folder_id(qs_folder_keys(folder)),
		QS_FOLDER_ID_LEN);
	/* The code first: a failure below must not swallow it. */
	tell(cli, options, &keys, id);
	if (cli->global.folder != NULL)
		rc = qs_cli_name_add(cli, cli->global.folder,
			qs_keys_folder_id(qs_folder_keys(folder)), err);
	if (rc == QS_OK && keys.recovery != NULL && !options->no_confirm &&
		!cli->global.json && isatty(STDIN_FILENO) &&
		isatty(STDERR_FILENO) && qs_cli_has_terminal())
		rc = confirm(&keys, err);
out:
	qs_folder_close(folder);
	clear(&keys);
	return rc;
}

const struct qs_cli_command qs_cmd_init = {
	.name = "init",
	.args = "[OPTION...]",
	.brief = "make a new folder in a store",
	.example = "qstore -r /mnt/backup -F photos init",
	.options = option_table,
	.option_count = sizeof(option_table) / sizeof(option_table[0]),
	.options_size = sizeof(struct options),
	.run = run,
};
