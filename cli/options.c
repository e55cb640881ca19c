/* SPDX-License-Identifier: ISC */
/*
 * Options from tables: each says where in a struct its value goes, so that
 * parsing, help and completion cannot disagree.
 */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>

#include "cli/cli_internal.h"

#define OPTIONS_MAX 64
#define KEY_BASE 1000 /* getopt's value of option i is KEY_BASE + i */

struct table { /* both option tables as one, and getopt's view of it */
	const struct qs_cli_option *options[OPTIONS_MAX];
	bool is_global[OPTIONS_MAX];
	struct option longs[OPTIONS_MAX + 1];
	char shorts[3 + 2 * OPTIONS_MAX];
	size_t count;
};

enum qs_code
qs_cli_list_add(struct qs_cli_list *list, const char *item,
	struct qs_err *err)
{
	/* items is const char **: free() and realloc() take no const */
	void *items = realloc((void *)(uintptr_t)list->items,
		(list->count + 1) * sizeof(*list->items));

	if (items == NULL)
		return qs_fail_nomem(err, "reading the options");
	list->items = items;
	list->items[list->count++] = item;
	return QS_OK;
}

enum qs_code
qs_cli_list_add_copy(struct qs_cli_list *list, const char *item, size_t len,
	struct qs_err *err)
{
	char **owned = realloc(list->owned,
		(list->owned_count + 1) * sizeof(*owned));

	if (owned == NULL)
		return qs_fail_nomem(err, "reading the options");
	list->owned = owned;
	owned[list->owned_count] = strndup(item, len);
	if (owned[list->owned_count] == NULL)
		return qs_fail_nomem(err, "reading the options");
	list->owned_count++;
	return qs_cli_list_add(list, owned[list->owned_count - 1], err);
}

void
qs_cli_list_clear(struct qs_cli_list *list)
{
	for (size_t i = 0; i < list->owned_count; i++)
		free(list->owned[i]);
	free(list->owned);
	free((void *)(uintptr_t)list->items);
	*list = (struct qs_cli_list){NULL, 0, NULL, 0};
}

static enum qs_code
add_commas(struct qs_cli_list *list, const char *value, struct qs_err *err)
{
	for (;;) {
		size_t len = strcspn(value, ",");
		enum qs_code rc = QS_OK;

		if (len > 0)
			rc = qs_cli_list_add_copy(list, value, len, err);
		if (rc != QS_OK || value[len] == '\0')
			return rc;
		value += len + 1;
	}
}

static enum qs_code
parse_number(const char *value, unsigned *out, struct qs_err *err)
{
	unsigned long number;
	char *end;

	errno = 0;
	number = strtoul(value, &end, 10);
	if (errno != 0 || value[0] < '0' || value[0] > '9' || *end != '\0' ||
		number < 1 || number > 1000000)
		return qs_fail(err, QS_EINVAL, "\"%s\" is not a number from 1 "
			"to 1000000", value);
	*out = (unsigned)number;
	return QS_OK;
}

static enum qs_code
take(const struct qs_cli_option *option, uint8_t *base, const char *value,
	struct qs_err *err)
{
	void *to = base + option->at;
	enum qs_code rc = QS_OK;

	switch (option->kind) {
	case QS_CLI_FLAG:
		*(bool *)to = true;
		break;
	case QS_CLI_COUNT:
		(*(unsigned *)to)++;
		break;
	case QS_CLI_TEXT:
		*(const char **)to = value;
		break;
	case QS_CLI_LIST:
		rc = qs_cli_list_add(to, value, err);
		break;
	case QS_CLI_COMMAS:
		rc = add_commas(to, value, err);
		break;
	case QS_CLI_SIZE:
		rc = qs_cli_parse_size(value, to, err);
		break;
	case QS_CLI_NUMBER:
		rc = parse_number(value, to, err);
		break;
	}
	if (rc != QS_OK)
		return qs_fail_while(err, "--%s", option->name);
	return QS_OK;
}

static void
add(struct table *table, const struct qs_cli_option *options, size_t count,
	bool is_global)
{
	char *s = table->shorts + strlen(table->shorts);

	for (size_t i = 0; i < count && table->count < OPTIONS_MAX; i++) {
		const struct qs_cli_option *option = &options[i];
		const bool has_arg = option->kind != QS_CLI_FLAG &&
			option->kind != QS_CLI_COUNT;

		/* a command's own letter hides a global one */
		if (option->letter != '\0' &&
			strchr(table->shorts, option->letter) == NULL) {
			*s++ = option->letter;
			if (has_arg)
				*s++ = ':';
			*s = '\0';
		}
		table->options[table->count] = option;
		table->is_global[table->count] = is_global;
		table->longs[table->count] = (struct option){option->name,
			has_arg ? required_argument : no_argument, NULL,
			KEY_BASE + (int)table->count};
		table->count++;
	}
}

static enum qs_code
refuse(int c, const char *word, struct qs_err *err)
{
	if (c == ':')
		return qs_fail(err, QS_EINVAL, "option %s: it needs a value",
			word);
	if (optopt > 0 && optopt < KEY_BASE)
		return qs_fail(err, QS_EINVAL, "there is no option -%c",
			optopt);
	if (optopt >= KEY_BASE)
		return qs_fail(err, QS_EINVAL, "option %s: it takes no value",
			word);
	return qs_fail(err, QS_EINVAL, "there is no option %s, or it is "
		"ambiguous", word);
}

static size_t
place_of(const struct table *table, int c)
{
	size_t i = 0;

	if (c >= KEY_BASE)
		return (size_t)(c - KEY_BASE);
	while (i < table->count && table->options[i]->letter != (char)c)
		i++;
	return i;
}

enum qs_code
qs_cli_parse(struct qs_cli *cli, const struct qs_cli_command *command,
	void *options, size_t *argc, char ***argv, struct qs_err *err)
{
	struct table table = {.count = 0};
	const struct qs_cli_option *globals;
	size_t global_count;
	enum qs_code rc = QS_OK;
	int c;

	globals = qs_cli_global_options(&global_count);
	/* '+': the command's name ends the first round; ':': no messages */
	memcpy(table.shorts, command == NULL ? "+:" : ":\0", 3);
	if (command != NULL)
		add(&table, command->options, command->option_count, false);
	add(&table, globals, global_count, true);
	optind = 0; /* begin anew, GNU's way */
	opterr = 0;
	while (rc == QS_OK && (c = getopt_long((int)*argc, *argv,
		table.shorts, table.longs, NULL)) != -1) {
		size_t i;

		if (c == '?' || c == ':') {
			rc = refuse(c, (*argv)[optind - 1], err);
			break;
		}
		i = place_of(&table, c);
		rc = take(table.options[i], table.is_global[i] ?
			(uint8_t *)&cli->global : options, optarg, err);
	}
	if (rc != QS_OK)
		return rc;
	*argc -= (size_t)optind;
	*argv += optind;
	return QS_OK;
}

void
qs_cli_options_clear(const struct qs_cli_command *command, void *options)
{
	if (options == NULL)
		return;
	for (size_t i = 0; i < command->option_count; i++) {
		const struct qs_cli_option *option = &command->options[i];

		if (option->kind == QS_CLI_LIST ||
			option->kind == QS_CLI_COMMAS)
			qs_cli_list_clear((void *)((uint8_t *)options +
				option->at));
	}
	free(options);
}

enum qs_code
qs_cli_words(const struct qs_cli *cli, size_t argc, size_t least,
	size_t most, struct qs_err *err)
{
	if (argc >= least && argc <= most)
		return QS_OK;
	return qs_fail(err, QS_EINVAL, "%s; use: qstore %s %s", argc < least ?
		"a word is missing" : "there are too many words",
		cli->command->name, cli->command->args);
}
