/* SPDX-License-Identifier: ISC */
/* Which factors to ask for, and what to say when no slot opens. */
#include <stdlib.h>

#include "cli/cli_internal.h"

struct given { /* all in locked memory */
	struct qs_cli_secret passphrase;
	uint8_t *key_file, *recovery;
};

void
qs_cli_warn_swap(struct qs_cli *cli)
{
	struct qs_err what;

	if (cli->is_locked || cli->global.quiet)
		return;
	cli->is_locked = true; /* once is enough */
	(void)qs_fail(&what, QS_ENOMEM, "the limit on locked memory (ulimit "
		"-l) is too small: keys may reach the swap");
	qs_cli_warn(cli, NULL, &what);
}

void
qs_cli_factors(const struct qs_slot_info *info, char *out, size_t cap)
{
	size_t used = 0;

	out[0] = '\0';
	for (size_t i = 0; i < info->factor_count && used < cap; i++) {
		const char *word = "unknown";

		switch (info->factors[i]) {
		case QS_FACTOR_PASSPHRASE:
			word = "passphrase";
			break;
		case QS_FACTOR_RECOVERY:
			word = "recovery code";
			break;
		case QS_FACTOR_KEYFILE:
			word = "key file";
			break;
		}
		used += (size_t)snprintf(out + used, cap - used, "%s%s",
			i == 0 ? "" : " + ", word);
	}
}

static enum qs_code
fail_slots(const struct qs_store *store, const struct qs_slot_list *list,
	const struct given *given, struct qs_err *err)
{
	const char *what = given->recovery != NULL ? "recovery code" :
		given->passphrase.data == NULL ? "key file" :
		given->key_file != NULL ? "passphrase or key file" :
		"passphrase";
	char hex[2 * QS_FOLDER_ID_LEN + 1], slots[320] = "";
	size_t used = 0;

	for (size_t i = 0; i < list->count && used < sizeof(slots); i++) {
		char factors[80];

		qs_cli_factors(&list->slots[i].info, factors,
			sizeof(factors));
		used += (size_t)snprintf(slots + used, sizeof(slots) - used,
			"%s\"%s\" (%s)", i == 0 ? "" : ", ",
			list->slots[i].info.label, factors);
	}
	qs_hex(hex, store->folder_id, QS_FOLDER_ID_LEN);
	return qs_fail(err, QS_EAUTH, "folder %.8s: wrong %s; its key slots "
		"are %s", hex, what, slots);
}

static bool
any_slot(const struct qs_slot_list *list, enum qs_factor_type type,
	bool alone)
{
	for (size_t i = 0; i < list->count; i++) {
		const struct qs_slot_info *info = &list->slots[i].info;
		bool has = false;

		for (size_t j = 0; j < info->factor_count; j++)
			has = has || info->factors[j] == type;
		if (has && (!alone || info->factor_count == 1))
			return true;
	}
	return false;
}

/* Is there a slot that takes the key file together with a passphrase? */
static bool
any_slot_of_both(const struct qs_slot_list *list)
{
	for (size_t i = 0; i < list->count; i++) {
		const struct qs_slot_info *info = &list->slots[i].info;
		bool has_file = false, has_phrase = false;

		for (size_t j = 0; j < info->factor_count; j++) {
			has_file |= info->factors[j] == QS_FACTOR_KEYFILE;
			has_phrase |= info->factors[j] ==
				QS_FACTOR_PASSPHRASE;
		}
		if (has_file && has_phrase)
			return true;
	}
	return false;
}

static enum qs_code
try(struct qs_cli *cli, const struct qs_slot_list *list,
	const struct given *given, struct qs_slot_secret *out,
	struct qs_err *err)
{
	struct qs_factor factors[3];
	size_t count = 0, which = 0;
	enum qs_code rc;

	if (given->recovery != NULL)
		factors[count++] = (struct qs_factor){
			.type = QS_FACTOR_RECOVERY,
			.secret = qs_span(given->recovery, QS_KEY_LEN)};
	if (given->passphrase.data != NULL)
		factors[count++] = (struct qs_factor){
			.type = QS_FACTOR_PASSPHRASE,
			.secret = qs_span(given->passphrase.data,
				given->passphrase.len)};
	if (given->key_file != NULL)
		factors[count++] = (struct qs_factor){
			.type = QS_FACTOR_KEYFILE,
			.secret = qs_span(given->key_file, QS_KEY_LEN)};
	rc = qs_slots_open(list, factors, count, out, &which, err);
	if (rc == QS_OK) {
		cli->slot = list->slots[which].name;
		cli->slot_info = list->slots[which].info;
		cli->has_slot = true;
	}
	return rc;
}

static enum qs_code
ask(struct qs_cli *cli, const struct qs_slot_list *list, struct given *given,
	const struct qs_store *store, struct qs_slot_secret *out,
	struct qs_err *err)
{
	char question[64], hex[2 * QS_FOLDER_ID_LEN + 1];
	enum qs_code rc;

	if (cli->global.recovery_code) {
		rc = qs_cli_recovery("recovery code", &given->recovery, err);
		return rc != QS_OK ? rc : try(cli, list, given, out, err);
	}
	if (cli->global.key_file != NULL) {
		rc = qs_cli_key_file(cli->global.key_file, &given->key_file,
			err);
		if (rc != QS_OK)
			return rc;
		if (any_slot(list, QS_FACTOR_KEYFILE, true)) {
			rc = try(cli, list, given, out, err);
			if (rc != QS_EAUTH)
				return rc;
		}
		if (!any_slot_of_both(list))
			return qs_fail(err, QS_EAUTH, "wrong key file");
	}
	qs_hex(hex, store->folder_id, QS_FOLDER_ID_LEN);
	(void)snprintf(question, sizeof(question), "passphrase of folder %.8s",
		hex);
	rc = qs_cli_passphrase(cli, question, false, &given->passphrase, err);
	return rc != QS_OK ? rc : try(cli, list, given, out, err);
}

enum qs_code
qs_cli_unlock(struct qs_cli *cli, struct qs_store *store,
	struct qs_slot_secret *secret, struct qs_err *err)
{
	const bool is_told = cli->global.password_file != NULL ||
		cli->global.password_command != NULL ||
		cli->global.key_file != NULL || cli->global.recovery_code;
	struct given given = {.key_file = NULL};
	struct qs_slot_list list = {NULL, 0};
	struct qs_err trouble;
	enum qs_code rc;

	qs_cli_warn_swap(cli);
	/* Whoever names a secret on the command line wants it to be used. */
	if (!is_told && !cli->ask_anew && qs_keyring_get(store->folder_id,
		secret, &trouble) == QS_OK)
		return QS_OK;
	rc = qs_slots_load(store, &list, qs_cli_trouble, cli, err);
	if (rc != QS_OK)
		return rc;
	rc = ask(cli, &list, &given, store, secret, err);
	if (rc == QS_EAUTH && (given.passphrase.data != NULL ||
		given.key_file != NULL || given.recovery != NULL))
		rc = fail_slots(store, &list, &given, err);
	qs_slots_clear(&list);
	qs_secret_free(given.key_file);
	qs_secret_free(given.recovery);
	qs_cli_secret_clear(&given.passphrase);
	return rc;
}
