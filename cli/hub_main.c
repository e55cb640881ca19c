/* SPDX-License-Identifier: ISC */
/* qstore-hub: the commands of a place that holds stores and no key. */
#include <errno.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/hub_internal.h"

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *brief;
} commands[] = {
	{"serve", qs_hub_cmd_serve, "serve a folder to one client"},
	{"scrub", qs_hub_cmd_scrub, "look at every file for damage"},
	{"status", qs_hub_cmd_status, "how much there is, and since when"},
	{"tidy", qs_hub_cmd_tidy, "carry out what was retired"},
	{"undelete", qs_hub_cmd_undelete, "everything out of the trash"},
};

#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

static void
help(FILE *file)
{
	(void)fputs("qstore-hub: keeps encrypted folders, without any key\n\n"
		"usage: qstore-hub COMMAND [OPTION]... [PATH]...\n\n",
		file);
	for (size_t i = 0; i < COMMANDS; i++)
		(void)fprintf(file, "  %-10s %s\n", commands[i].name,
			commands[i].brief);
	(void)fputs("\nexample: qstore-hub status\n"
		"\"qstore-hub help COMMAND\" says more, man qstore-hub all.\n",
		file);
}

int
qs_hub_failed(const struct qs_err *err)
{
	(void)fputs("qstore-hub: ", stderr);
	for (const char *at = err->msg; *at != '\0'; at++)
		(void)fputc(*at >= 0x20 && *at < 0x7f ? *at : '?', stderr);
	(void)fputc('\n', stderr);
	return 1;
}

int
main(int argc, char **argv)
{
	const struct sigaction ignore = {.sa_handler = SIG_IGN};
	char ask_help[] = "--help";
	struct qs_err err;
	int status = 1;

	(void)setlocale(LC_TIME, "C");
	/* A client that goes is a failed write, not our end. */
	(void)sigaction(SIGPIPE, &ignore, NULL);
	if (qs_crypto_init(&err) != QS_OK)
		return qs_hub_failed(&err);
	if (argc == 3 && strcmp(argv[1], "help") == 0) {
		argv[1] = argv[2];
		argv[2] = ask_help;
	}
	if (argc < 2 || strcmp(argv[1], "--help") == 0 ||
		strcmp(argv[1], "help") == 0) {
		help(argc < 2 ? stderr : stdout);
		return argc < 2 ? 1 : 0;
	}
	if (strcmp(argv[1], "--version") == 0) {
		(void)printf("qstore-hub %s\n", QS_VERSION);
		return 0;
	}
	for (size_t i = 0; i < COMMANDS; i++) {
		if (strcmp(argv[1], commands[i].name) == 0) {
			status = commands[i].run(argc - 1, argv + 1);
			if (fflush(stdout) != 0 && status == 0) {
				(void)qs_fail_errno(&err, "standard output");
				status = qs_hub_failed(&err);
			}
			return status;
		}
	}
	(void)qs_fail(&err, QS_EINVAL, "there is no command \"%s\"; "
		"qstore-hub help lists them", argv[1]);
	return qs_hub_failed(&err);
}
