/* SPDX-License-Identifier: ISC */
/*
 * Adding and removing key slots.  A change is the new slot first and then the
 * old one's end: there is no moment at which nothing opens the folder.
 */
#include <stdlib.h>

#include "cli/cmd_key_internal.h"

static void
tell(const struct qs_cli *cli, const char *what, const struct qs_name *name,
	const char *code)
{
	char id[QS_CLI_SHORT + 1];
	struct qs_json json = qs_json(stdout);

	qs_hex(id, name->b, QS_CLI_SHORT / 2);
	if (cli->global.json) {
		qs_json_open(&json, NULL, '{');
		qs_json_text(&json, "message_type", what);
		qs_json_hex(&json, "id", name->b, sizeof(name->b));
		if (code != NULL)
			qs_json_text(&json, "recovery_code", code);
		qs_json_close(&json, '}');
		qs_json_end(&json);
		return;
	}
	if (!cli->global.quiet)
		(void)printf("%s key slot %s\n", what, id);
	(void)fflush(stdout);
	if (code != NULL)
		(void)fprintf(stderr, "\nThe recovery code, shown this once:"
			"\n\n    %s\n\n", code);
}

/* A slot can't give what this session does not have. */
static bool
has_admin(const struct qs_folder *folder)
{
	return qs_keys_admin(qs_folder_keys(folder)) != NULL;
}

enum qs_code
qs_key_add(struct qs_cli *cli, const struct qs_key_options *options,
	struct qs_err *err)
{
	struct qs_cli_secret secret = {NULL, 0};
	struct qs_folder *folder = NULL;
	struct qs_factor factor;
	struct qs_new_slot slot;
	struct qs_name name;
	uint8_t *key_file = NULL;
	enum qs_code rc = QS_OK;

	if (options->new_file != NULL && options->new_key_file != NULL)
		return qs_fail(err, QS_EINVAL, "--new-password-file and "
			"--new-key-file can't be used together");
	rc = qs_cli_open(cli, QS_CLI_WRITE | QS_CLI_NO_INDEX, &folder, err);
	if (rc == QS_OK && options->new_key_file != NULL)
		rc = qs_cli_key_file(options->new_key_file, &key_file, err);
	else if (rc == QS_OK)
		rc = qs_cli_new_passphrase(options->new_file,
			"new passphrase", &secret, err);
	if (rc != QS_OK)
		goto out;
	factor = key_file != NULL ?
		(struct qs_factor){.type = QS_FACTOR_KEYFILE,
			.secret = qs_span(key_file, QS_KEY_LEN)} :
		(struct qs_factor){QS_FACTOR_PASSPHRASE,
			qs_span(secret.data, secret.len), cli->argon};
	slot = (struct qs_new_slot){options->label != NULL ? options->label :
		key_file != NULL ? "key file" : "passphrase", &factor, 1,
		has_admin(folder) && !options->no_admin};
	rc = qs_folder_slot_add(folder, &slot, &name, err);
	if (rc == QS_OK)
		tell(cli, "added", &name, NULL);
out:
	qs_secret_free(key_file);
	qs_cli_secret_clear(&secret);
	qs_folder_close(folder);
	return rc;
}

enum qs_code
qs_key_recovery(struct qs_cli *cli, const struct qs_key_options *options,
	struct qs_err *err)
{
	struct qs_cli_secret code = {NULL, 0};
	uint8_t *bytes = qs_secret_alloc(QS_KEY_LEN);
	struct qs_folder *folder = NULL;
	struct qs_factor factor = {.type = QS_FACTOR_RECOVERY};
	struct qs_new_slot slot;
	struct qs_name name;
	enum qs_code rc;

	if (bytes == NULL)
		return qs_fail(err, QS_ENOMEM, "there is no locked memory for "
			"a recovery code (see ulimit -l)");
	rc = qs_cli_open(cli, QS_CLI_WRITE | QS_CLI_NO_INDEX, &folder, err);
	if (rc == QS_OK)
		rc = qs_cli_secret_new(&code, err);
	if (rc != QS_OK)
		goto out;
	qs_random(bytes, QS_KEY_LEN);
	qs_recovery_encode(bytes, (char *)code.data);
	factor.secret = qs_span(bytes, QS_KEY_LEN);
	slot = (struct qs_new_slot){options->label != NULL ? options->label :
		"recovery", &factor, 1, has_admin(folder) &&
		!options->no_admin};
	rc = qs_folder_slot_add(folder, &slot, &name, err);
	if (rc == QS_OK)
		tell(cli, "added", &name, (const char *)code.data);
out:
	qs_cli_secret_clear(&code);
	qs_secret_free(bytes);
	qs_folder_close(folder);
	return rc;
}

enum qs_code
qs_key_remove(struct qs_cli *cli, const char *prefix, struct qs_err *err)
{
	struct qs_slot_list slots = {NULL, 0};
	struct qs_folder *folder = NULL;
	const size_t len = strlen(prefix);
	const struct qs_slot *found = NULL;
	enum qs_code rc;

	if (len < 4 || strspn(prefix, "0123456789abcdef") != len)
		return qs_fail(err, QS_EINVAL, "key slot \"%s\": give at least "
			"4 digits of its id", prefix);
	/* What opens the folder now is known to be there afterwards. */
	cli->ask_anew = true;
	rc = qs_cli_open(cli, QS_CLI_WRITE | QS_CLI_NO_INDEX, &folder, err);
	if (rc == QS_OK)
		rc = qs_slots_load(qs_folder_store(folder), &slots,
			qs_cli_trouble, cli, err);
	for (size_t i = 0; rc == QS_OK && i < slots.count; i++) {
		char hex[QS_HEX_LEN + 1];

		qs_hex(hex, slots.slots[i].name.b, 32);
		if (strncmp(hex, prefix, len) != 0)
			continue;
		if (found != NULL)
			rc = qs_fail(err, QS_EINVAL, "key slot %s: more than "
				"one id begins so", prefix);
		found = &slots.slots[i];
	}
	if (rc == QS_OK && found == NULL)
		rc = qs_fail(err, QS_ENOTFOUND, "key slot %s: there is none",
			prefix);
	if (rc == QS_OK && memcmp(found->name.b, cli->slot.b, 32) == 0)
		rc = qs_fail(err, QS_EINVAL, "key slot %s: it is the one that "
			"was opened just now, and the only one that is known "
			"to have the right to delete; open the folder with "
			"another one to remove it, or use key passwd", prefix);
	if (rc == QS_OK)
		rc = qs_folder_slot_remove(folder, &found->name, err);
	if (rc == QS_OK)
		tell(cli, "removed", &found->name, NULL);
	qs_slots_clear(&slots);
	qs_folder_close(folder);
	return rc;
}

/* The factors of the slot that was opened, with another passphrase. */
static enum qs_code
change(struct qs_cli *cli, const struct qs_key_options *options,
	struct qs_folder *folder, const struct qs_cli_secret *secret,
	const uint8_t *key_file, struct qs_name *name, struct qs_err *err)
{
	struct qs_factor factors[2] = {{QS_FACTOR_PASSPHRASE,
		qs_span(secret->data, secret->len), cli->argon}};
	struct qs_new_slot slot = {options->label != NULL ? options->label :
		cli->slot_info.label, factors, 1, has_admin(folder) &&
		!options->no_admin};

	if (key_file != NULL) {
		factors[1] = (struct qs_factor){.type = QS_FACTOR_KEYFILE,
			.secret = qs_span(key_file, QS_KEY_LEN)};
		slot.count = 2;
	}
	return qs_folder_slot_add(folder, &slot, name, err);
}

static bool
has_factor(const struct qs_slot_info *info, enum qs_factor_type type)
{
	for (size_t i = 0; i < info->factor_count; i++) {
		if (info->factors[i] == type)
			return true;
	}
	return false;
}

enum qs_code
qs_key_passwd(struct qs_cli *cli, const struct qs_key_options *options,
	struct qs_err *err)
{
	struct qs_cli_secret secret = {NULL, 0};
	struct qs_folder *folder = NULL;
	uint8_t *key_file = NULL;
	struct qs_name name;
	enum qs_code rc;

	/* Only a slot that was opened just now is known to be the user's. */
	cli->ask_anew = true;
	rc = qs_cli_open(cli, QS_CLI_WRITE | QS_CLI_NO_INDEX, &folder, err);
	if (rc == QS_OK && !has_factor(&cli->slot_info, QS_FACTOR_PASSPHRASE))
		rc = qs_fail(err, QS_EINVAL, "passwd: key slot \"%s\" has no "
			"passphrase to change; use key add",
			cli->slot_info.label);
	if (rc == QS_OK && !has_admin(folder))
		rc = qs_fail(err, QS_EKEY, "passwd: this passphrase lacks the "
			"right to delete, which taking the old slot away "
			"needs; add one with the admin passphrase");
	if (rc == QS_OK && has_factor(&cli->slot_info, QS_FACTOR_KEYFILE))
		rc = qs_cli_key_file(cli->global.key_file, &key_file, err);
	if (rc == QS_OK)
		rc = qs_cli_new_passphrase(options->new_file,
			"new passphrase", &secret, err);
	if (rc == QS_OK)
		rc = change(cli, options, folder, &secret, key_file, &name,
			err);
	if (rc == QS_OK) {
		tell(cli, "added", &name, NULL);
		rc = qs_folder_slot_remove(folder, &cli->slot, err);
		if (rc != QS_OK)
			rc = qs_fail_while(err, "the new passphrase opens the "
				"folder, but the old one still does too");
	}
	if (rc == QS_OK)
		tell(cli, "removed", &cli->slot, NULL);
	qs_secret_free(key_file);
	qs_cli_secret_clear(&secret);
	qs_folder_close(folder);
	return rc;
}
