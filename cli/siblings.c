/* SPDX-License-Identifier: ISC */
/*
 * The commands that other programs of the family carry out, as git has it:
 * people only ever type qstore.
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli/cli_internal.h"

static const struct qs_cli_sibling siblings[] = {
	{"serve", "qstore-hub", "serve", "serve a folder to one client",
		" --qrexec --principal --folder --mode --listen --store --hub"
		" --acl --no-sandbox --help"},
	{"scrub", "qstore-hub", "scrub", "look at every file for damage",
		" --fast --full --rebuild --anew --max-duration --threads"
		" --repair-from --hub --json --help"},
	{"status", "qstore-hub", "status", "how much a hub holds",
		" --hub --acl --json --help"},
	{"tidy", "qstore-hub", "tidy", "carry out what was retired",
		" --dry-run --trash-days --purge-days --share --hub --json"
		" --help"},
	{"hub-undelete", "qstore-hub", "undelete",
		"everything out of the trash",
		" --hold-days --hub --json --help"},
};

#define SIBLINGS (sizeof(siblings) / sizeof(siblings[0]))

const struct qs_cli_sibling *
qs_cli_siblings(size_t *count)
{
	*count = SIBLINGS;
	return siblings;
}

const struct qs_cli_sibling *
qs_cli_sibling(const char *name)
{
	for (size_t i = 0; i < SIBLINGS; i++) {
		if (strcmp(name, siblings[i].name) == 0)
			return &siblings[i];
	}
	return NULL;
}

/* Beside this program, or else wherever PATH has it. */
static enum qs_code
find_program(const char *program, char **out, struct qs_err *err)
{
	char self[4096];
	ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *slash;

	self[len > 0 ? len : 0] = '\0';
	slash = strrchr(self, '/');
	if (slash != NULL) {
		*slash = '\0';
		if (asprintf(out, "%s/%s", self, program) < 0)
			return qs_fail_nomem(err, "finding a program");
		if (access(*out, X_OK) == 0)
			return QS_OK;
		free(*out);
	}
	*out = strdup(program);
	return *out != NULL ? QS_OK :
		qs_fail_nomem(err, "finding a program");
}

static enum qs_code
become(const char *program, const char *word, int argc, char **argv,
	struct qs_err *err)
{
	char **words = calloc((size_t)argc + 1, sizeof(*words));
	char *path = NULL, *copy = strdup(word);
	enum qs_code rc;

	if (words == NULL || copy == NULL)
		return qs_fail_nomem(err, "starting a program");
	rc = find_program(program, &path, err);
	if (rc != QS_OK)
		return rc;
	words[0] = path;
	words[1] = copy;
	for (int i = 2; i < argc; i++)
		words[i] = argv[i];
	(void)execvp(path, words);
	if (errno == ENOENT)
		return qs_fail(err, QS_ENOTFOUND, "%s is not installed here: "
			"it belongs to where a store is kept", program);
	return qs_fail_errno(err, "start %s", path);
}

enum qs_code
qs_cli_try_sibling(int argc, char **argv, struct qs_err *err)
{
	const struct qs_cli_sibling *sibling = argc < 2 ? NULL :
		qs_cli_sibling(argv[1]);

	return sibling == NULL ? QS_OK : become(sibling->program,
		sibling->word, argc, argv, err);
}

enum qs_code
qs_cli_sibling_help(const struct qs_cli_sibling *sibling, struct qs_err *err)
{
	char help[] = "--help";
	char *argv[] = {NULL, NULL, help};

	return become(sibling->program, sibling->word, 3, argv, err);
}
