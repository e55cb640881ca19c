/* SPDX-License-Identifier: ISC */
/* qstore key: the ways to open a folder: list them, add, remove, change. */
#include <stdlib.h>

#include "cli/cmd_key_internal.h"

#define AT(field) offsetof(struct qs_key_options, field)

static const struct qs_cli_option option_table[] = {
	{"label", 0, QS_CLI_TEXT, AT(label), "TEXT", "the new slot's label"},
	{"new-password-file", 0, QS_CLI_TEXT, AT(new_file), "FILE",
		"the new passphrase: first line of FILE"},
	{"new-key-file", 0, QS_CLI_TEXT, AT(new_key_file), "FILE",
		"add: open with this key file alone"},
	{"no-admin", 0, QS_CLI_FLAG, AT(no_admin), NULL,
		"add: it opens without the right to delete"},
};

/* Needs no key: what is read here is public. */
static enum qs_code
list(struct qs_cli *cli, struct qs_err *err)
{
	struct qs_slot_list slots = {NULL, 0};
	struct qs_json json = qs_json(stdout);
	struct qs_store *store = NULL;
	enum qs_code rc = qs_cli_store(cli, &store, err);

	if (rc == QS_OK)
		rc = qs_slots_load(store, &slots, qs_cli_trouble, cli, err);
	if (rc != QS_OK)
		goto out;
	if (cli->global.json)
		qs_json_open(&json, NULL, '[');
	else
		(void)printf("%-8s  %-32s  %s\n", "ID", "Label", "Opens with");
	for (size_t i = 0; i < slots.count; i++) {
		const struct qs_slot *slot = &slots.slots[i];
		char factors[80], id[QS_CLI_SHORT + 1];

		qs_cli_factors(&slot->info, factors, sizeof(factors));
		qs_hex(id, slot->name.b, QS_CLI_SHORT / 2);
		if (cli->global.json) {
			qs_json_open(&json, NULL, '{');
			qs_json_hex(&json, "id", slot->name.b, 32);
			qs_json_text(&json, "short_id", id);
			qs_json_text(&json, "label", slot->info.label);
			qs_json_text(&json, "factors", factors);
			qs_json_number(&json, "epoch", slot->info.epoch);
			qs_json_close(&json, '}');
			continue;
		}
		(void)printf("%s  ", id);
		qs_cli_escape_text(stdout, slot->info.label);
		(void)printf("%*s  %s\n", (int)(QS_SLOT_LABEL_LEN -
			strlen(slot->info.label)), "", factors);
	}
	if (cli->global.json) {
		qs_json_close(&json, ']');
		qs_json_end(&json);
	}
out:
	qs_slots_clear(&slots);
	qs_store_close(store);
	return rc;
}

static enum qs_code
run(struct qs_cli *cli, const void *opts, size_t argc, char **argv,
	struct qs_err *err)
{
	const struct qs_key_options *options = opts;
	const char *verb = argc > 0 ? argv[0] : "";
	enum qs_code rc = qs_cli_words(cli, argc, 1,
		strcmp(verb, "remove") == 0 ? 2 : 1, err);

	if (rc != QS_OK)
		return rc;
	if (strcmp(verb, "list") == 0)
		return list(cli, err);
	if (strcmp(verb, "add") == 0)
		return qs_key_add(cli, options, err);
	if (strcmp(verb, "passwd") == 0)
		return qs_key_passwd(cli, options, err);
	if (strcmp(verb, "recovery") == 0)
		return qs_key_recovery(cli, options, err);
	if (strcmp(verb, "remove") == 0) {
		if (argc < 2)
			return qs_fail(err, QS_EINVAL, "remove: say which slot"
				" (qstore key list shows their ids)");
		return qs_key_remove(cli, argv[1], err);
	}
	return qs_fail(err, QS_EINVAL, "\"%s\" is none of list, add, remove, "
		"passwd, recovery", verb);
}

const struct qs_cli_command qs_cmd_key = {
	.name = "key",
	.args = "list | add | remove ID | passwd | recovery",
	.brief = "passphrases, key files and recovery codes",
	.example = "qstore key add --label work-laptop",
	.options = option_table,
	.option_count = sizeof(option_table) / sizeof(option_table[0]),
	.options_size = sizeof(struct qs_key_options),
	.run = run,
};
