/* SPDX-License-Identifier: ISC */
/* qstore help, version and completion: made from the option tables. */
#include "cli/cli_internal.h"

#define COLUMN 30

static void
put_options(const struct qs_cli_option *options, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct qs_cli_option *option = &options[i];
		char left[80];

		(void)snprintf(left, sizeof(left), "  %c%c%s --%s%s%s",
			option->letter != '\0' ? '-' : ' ',
			option->letter != '\0' ? option->letter : ' ',
			option->letter != '\0' ? "," : " ", option->name,
			option->arg != NULL ? " " : "",
			option->arg != NULL ? option->arg : "");
		if (strlen(left) > COLUMN)
			(void)printf("%s\n%*s", left, COLUMN + 1, "");
		else
			(void)printf("%-*s ", COLUMN, left);
		(void)printf("%s\n", option->help);
	}
}

static void
put_overview(void)
{
	size_t count;
	const struct qs_cli_command *const *commands =
		qs_cli_commands(&count);
	const struct qs_cli_sibling *siblings;

	(void)printf("use: qstore [OPTION...] COMMAND [OPTION...] [WORD...]\n"
		"\nEncrypted, deduplicated snapshots of your files.\n\n");
	for (size_t i = 0; i < count; i++)
		(void)printf("  %-12s %s\n", commands[i]->name,
			commands[i]->brief);
	siblings = qs_cli_siblings(&count);
	(void)printf("\nWhere the store is kept (no key is needed):\n");
	for (size_t i = 0; i < count; i++)
		(void)printf("  %-12s %s\n", siblings[i].name,
			siblings[i].brief);
	(void)printf("\n\"qstore help COMMAND\" and \"qstore help options\" "
		"say more, man qstore all.\n");
}

static void
put_globals(void)
{
	size_t count;
	const struct qs_cli_option *globals = qs_cli_global_options(&count);

	(void)printf("Options of all commands:\n\n");
	put_options(globals, count);
	(void)printf("\nexample: qstore -r ssh://nas.local/srv/photos "
		"snapshots\n"
		"A store is at a PATH, or behind a hub at qrexec://VM/FOLDER,\n"
		"ssh://[USER@]HOST[:PORT]/PATH, unix:SOCKET#FOLDER or "
		"exec:COMMAND.\n");
}

void
qs_cli_help(const struct qs_cli_command *command)
{
	if (command == NULL) {
		put_overview();
		return;
	}
	(void)printf("use: qstore %s %s\n\n%s%s%s%s\n", command->name,
		command->args, command->brief,
		command->alias != NULL ? " (also: " : "",
		command->alias != NULL ? command->alias : "",
		command->alias != NULL ? ")" : "");
	if (command->option_count > 0)
		(void)putchar('\n');
	put_options(command->options, command->option_count);
	(void)printf("\nexample: %s\n"
		"Options of all commands: qstore help options\n",
		command->example);
}

static enum qs_code
help(struct qs_cli *cli, const void *opts, size_t argc, char **argv,
	struct qs_err *err)
{
	const struct qs_cli_command *command = NULL;
	enum qs_code rc = qs_cli_words(cli, argc, 0, 1, err);

	(void)opts;
	if (rc != QS_OK)
		return rc;
	if (argc == 1 && strcmp(argv[0], "options") == 0) {
		put_globals();
		return QS_OK;
	}
	if (argc == 1 && qs_cli_sibling(argv[0]) != NULL)
		return qs_cli_sibling_help(qs_cli_sibling(argv[0]), err);
	if (argc == 1) {
		command = qs_cli_command(argv[0]);
		if (command == NULL)
			return qs_fail(err, QS_EINVAL, "there is no command "
				"\"%s\"", argv[0]);
	}
	qs_cli_help(command);
	return QS_OK;
}

static enum qs_code
version(struct qs_cli *cli, const void *opts, size_t argc, char **argv,
	struct qs_err *err)
{
	struct qs_json json = qs_json(stdout);
	enum qs_code rc = qs_cli_words(cli, argc, 0, 0, err);

	(void)opts;
	(void)argv;
	if (rc != QS_OK)
		return rc;
	if (!cli->global.json) {
		(void)printf("qstore %s, hashing with %s\n", QS_VERSION,
			qs_hash_kernel());
		return QS_OK;
	}
	qs_json_open(&json, NULL, '{');
	qs_json_text(&json, "message_type", "version");
	qs_json_text(&json, "version", QS_VERSION);
	qs_json_text(&json, "hash_kernel", qs_hash_kernel());
	qs_json_close(&json, '}');
	qs_json_end(&json);
	return QS_OK;
}

static void
put_words(const struct qs_cli_option *options, size_t count)
{
	for (size_t i = 0; i < count; i++)
		(void)printf(" --%s", options[i].name);
}

/* All names with this between them; the aliases, too, if they are wanted. */
static void
put_names(const char *between, bool with_aliases)
{
	size_t count;
	const struct qs_cli_command *const *commands =
		qs_cli_commands(&count);
	const struct qs_cli_sibling *siblings;

	for (size_t i = 0; i < count; i++) {
		(void)printf("%s%s", i > 0 ? between : "", commands[i]->name);
		if (with_aliases && commands[i]->alias != NULL)
			(void)printf("%s%s", between, commands[i]->alias);
	}
	siblings = qs_cli_siblings(&count);
	for (size_t i = 0; i < count; i++)
		(void)printf("%s%s", between, siblings[i].name);
}

/* A line for each command: what may follow it. */
static void
put_cases(void)
{
	size_t count;
	const struct qs_cli_command *const *commands =
		qs_cli_commands(&count);
	const struct qs_cli_sibling *siblings;

	(void)printf("\t'') all+=' ");
	put_names(" ", false);
	(void)printf("';;\n");
	for (size_t i = 0; i < count; i++) {
		(void)printf("\t%s%s%s) all+='", commands[i]->name,
			commands[i]->alias != NULL ? "|" : "",
			commands[i]->alias != NULL ? commands[i]->alias : "");
		put_words(commands[i]->options, commands[i]->option_count);
		if (commands[i] == &qs_cmd_key)
			(void)printf(" list add remove passwd recovery");
		if (commands[i] == &qs_cmd_completion)
			(void)printf(" bash");
		if (commands[i] == &qs_cmd_help) {
			(void)printf(" options ");
			put_names(" ", true);
		}
		(void)printf("';;\n");
	}
	/* These are another program's: it has options of its own only. */
	siblings = qs_cli_siblings(&count);
	for (size_t i = 0; i < count; i++)
		(void)printf("\t%s) all='%s';;\n", siblings[i].name,
			siblings[i].options);
}

static enum qs_code
completion(struct qs_cli *cli, const void *opts, size_t argc, char **argv,
	struct qs_err *err)
{
	const struct qs_cli_option *globals;
	size_t count;
	enum qs_code rc = qs_cli_words(cli, argc, 1, 1, err);

	(void)opts;
	if (rc == QS_OK && strcmp(argv[0], "bash") != 0)
		rc = qs_fail(err, QS_EUNSUPPORTED, "completion: \"%s\" is not "
			"bash", argv[0]);
	if (rc != QS_OK)
		return rc;
	globals = qs_cli_global_options(&count);
	(void)printf("# shellcheck shell=bash\n"
		"# bash completion for qstore: source it, or keep it as\n"
		"# ~/.local/share/bash-completion/completions/qstore\n"
		"_qstore() {\n"
		"\tlocal word=${COMP_WORDS[COMP_CWORD]} verb='' i\n"
		"\tlocal before=${COMP_WORDS[COMP_CWORD - 1]}\n"
		"\tlocal all='");
	put_words(globals, count);
	(void)printf("'\n\tfor ((i = 1; i < COMP_CWORD; i++)); do\n"
		"\t\tcase ${COMP_WORDS[i]} in\n\t\t");
	put_names("|", true);
	(void)printf(")\n\t\t\tverb=${COMP_WORDS[i]}; break;;\n"
		"\t\tesac\n\tdone\n"
		/* A colon ends a word for bash: what follows is a path. */
		"\tcase $before in\n"
		"\t-r|--repo|--repair-from)\n"
		"\t\tmapfile -t COMPREPLY < <(compgen -W \\\n"
		"\t\t\t'qrexec:// ssh:// unix: exec:' -- \"$word\"\n"
		"\t\t\tcompgen -f -- \"$word\")\n"
		"\t\tcompopt -o nospace\n\t\treturn;;\n"
		"\t:)\tmapfile -t COMPREPLY < <(compgen -f -- \"$word\")\n"
		"\t\treturn;;\n"
		"\tesac\n\tcase $verb in\n");
	put_cases();
	(void)printf("\tesac\n"
		"\tif [[ $word == -* || -z $verb || $verb == key ||\n"
		"\t\t$verb == completion || $verb == help ]]; then\n"
		"\t\tmapfile -t COMPREPLY < <(compgen -W \"$all\" -- "
		"\"$word\")\n\telse\n"
		"\t\tmapfile -t COMPREPLY < <(compgen -f -- \"$word\")\n"
		"\tfi\n}\ncomplete -o filenames -o bashdefault -F _qstore "
		"qstore\n");
	return QS_OK;
}

const struct qs_cli_command qs_cmd_help = {
	.name = "help",
	.args = "[COMMAND | options]",
	.brief = "how a command is used",
	.example = "qstore help snapshot",
	.run = help,
};

const struct qs_cli_command qs_cmd_version = {
	.name = "version",
	.args = "",
	.brief = "which version this is",
	.example = "qstore version",
	.run = version,
};

const struct qs_cli_command qs_cmd_completion = {
	.name = "completion",
	.args = "bash",
	.brief = "a script that completes commands in the shell",
	.example = "qstore completion bash > /etc/bash_completion.d/qstore",
	.run = completion,
};
