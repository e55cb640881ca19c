/* SPDX-License-Identifier: ISC */
/* qstore: the command table, and what each failure exits with. */
#include <locale.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli/cli_internal.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define UNDER_SANITIZER 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define UNDER_SANITIZER 1
#endif

static const struct qs_cli_command *const commands[] = {
	&qs_cmd_init, &qs_cmd_snapshot, &qs_cmd_snapshots, &qs_cmd_ls,
	&qs_cmd_find, &qs_cmd_diff, &qs_cmd_dump, &qs_cmd_restore,
	&qs_cmd_mount, &qs_cmd_umount, &qs_cmd_check, &qs_cmd_stats,
	&qs_cmd_tag, &qs_cmd_forget, &qs_cmd_retire, &qs_cmd_undelete,
	&qs_cmd_key,
	&qs_cmd_unlock, &qs_cmd_lock, &qs_cmd_benchmark, &qs_cmd_version,
	&qs_cmd_completion, &qs_cmd_help,
};

#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

const struct qs_cli_command *const *
qs_cli_commands(size_t *count)
{
	*count = COMMANDS;
	return commands;
}

const struct qs_cli_command *
qs_cli_command(const char *name)
{
	for (size_t i = 0; i < COMMANDS; i++) {
		const struct qs_cli_command *command = commands[i];

		if (strcmp(name, command->name) == 0 ||
			(command->alias != NULL &&
			strcmp(name, command->alias) == 0))
			return command;
	}
	return NULL;
}

static int
exit_code(enum qs_code code)
{
	switch (code) {
	case QS_OK:
		return 0;
	case QS_ENOSTORE:
		return 10;
	case QS_EBUSY:
		return 11;
	case QS_EAUTH:
		return 12;
	case QS_ECANCELED:
		return 130;
	case QS_ENOMEM:
	case QS_EIO:
	case QS_ENOSPC:
	case QS_ENOTFOUND:
	case QS_EEXIST:
	case QS_EINVAL:
	case QS_ECORRUPT:
	case QS_EKEY:
	case QS_ENET:
	case QS_EQUOTA:
	case QS_ECONFLICT:
	case QS_EPROTO:
	case QS_EUNSUPPORTED:
	case QS_EROLLBACK:
	case QS_EINDEX:
		break;
	}
	return 1;
}

static void
tell_failure(const struct qs_cli *cli, const struct qs_err *err, int status)
{
	if (cli->global.json) {
		struct qs_json json = qs_json(stderr);

		qs_json_open(&json, NULL, '{');
		qs_json_text(&json, "message_type", "exit_error");
		qs_json_number(&json, "code", (uint64_t)status);
		qs_json_text(&json, "message", err->msg);
		qs_json_close(&json, '}');
		qs_json_end(&json);
		return;
	}
	(void)fputs("qstore: ", stderr);
	if (cli->command != NULL && err->code == QS_EINVAL)
		(void)fprintf(stderr, "%s: ", cli->command->name);
	qs_cli_escape_text(stderr, err->msg);
	(void)fputc('\n', stderr);
}

static enum qs_code
tell_version(struct qs_cli *cli, struct qs_err *err)
{
	cli->command = &qs_cmd_version;
	return qs_cmd_version.run(cli, NULL, 0, NULL, err);
}

static enum qs_code
run_command(struct qs_cli *cli, size_t argc, char **argv, struct qs_err *err)
{
	const struct qs_cli_command *command = cli->command;
	void *options = calloc(1, command->options_size + 1);
	enum qs_code rc;

	if (options == NULL)
		return qs_fail_nomem(err, "reading the options");
	rc = qs_cli_parse(cli, command, options, &argc, &argv, err);
	if (rc == QS_OK && cli->global.help) {
		qs_cli_help(command);
		goto out;
	}
	if (rc == QS_OK && cli->global.version) {
		rc = tell_version(cli, err);
		goto out;
	}
	if (rc == QS_OK)
		rc = qs_cli_environment(cli, err);
	if (rc == QS_OK)
		rc = command->run(cli, options, argc, argv, err);
	if (rc == QS_EINDEX && command->can_repeat && !cli->read_stdin) {
		/* Closing has set it aside: now there is a new one. */
		qs_cli_warn(cli, NULL, err);
		cli->partial = false;
		cli->troubles = 0;
		rc = command->run(cli, options, argc, argv, err);
	} else if (rc == QS_EINDEX) {
		(void)qs_fail_while(err, "not done, but it can be tried again "
			"right away");
	}
out:
	qs_cli_options_clear(command, options);
	return rc;
}

static enum qs_code
run(struct qs_cli *cli, size_t argc, char **argv, struct qs_err *err)
{
	enum qs_code rc = qs_crypto_init(err);

#ifndef UNDER_SANITIZER
	/* No core file with keys in it. */
	if (rc == QS_OK)
		qs_crypto_harden(&cli->is_locked);
#endif
	if (rc == QS_OK)
		rc = qs_cli_parse(cli, NULL, NULL, &argc, &argv, err);
	if (rc != QS_OK)
		return rc;
	if (argc == 0 && cli->global.version && !cli->global.help)
		return tell_version(cli, err);
	if (argc == 0) {
		qs_cli_help(NULL);
		return cli->global.help ? QS_OK : qs_fail(err, QS_EINVAL,
			"say what to do, for example: qstore snapshot ~/work");
	}
	cli->command = qs_cli_command(argv[0]);
	if (cli->command == NULL && qs_cli_sibling(argv[0]) != NULL)
		return qs_fail(err, QS_EINVAL, "%s takes its options behind "
			"it: qstore help %s lists them", argv[0], argv[0]);
	if (cli->command == NULL)
		return qs_fail(err, QS_EINVAL, "there is no command \"%s\"; "
			"qstore help lists them", argv[0]);
	return run_command(cli, argc, argv, err);
}

int
main(int argc, char **argv)
{
	struct qs_cli cli = {.is_locked = true};
	struct qs_err err = {.code = QS_OK};
	int status;

	(void)setlocale(LC_TIME, "C");
	err.code = qs_cli_try_sibling(argc, argv, &err);
	qs_cli_signals();
	if (err.code == QS_OK)
		err.code = run(&cli, argc > 0 ? (size_t)argc : 0, argv, &err);
	if (err.code == QS_OK && (fflush(stdout) != 0 || ferror(stdout)))
		err.code = qs_fail_errno(&err, "standard output");
	status = exit_code(err.code);
	if (err.code != QS_OK)
		tell_failure(&cli, &err, status);
	else if (cli.partial)
		status = 3;
	qs_cli_secret_clear(&cli.env_password);
	qs_secret_free(cli.secret);
	return status;
}
