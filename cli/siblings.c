/* SPDX-License-Identifier: ISC */
/*
 * The commands that other programs of the family carry out, as git has it:
 * people only ever type qstore.
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli/cli_internal.h"

static const struct {
	const char *name, *program, *word, *brief;
} siblings[] = {
	{"serve", "qstore-hub", "serve", "serve a folder to one client"},
	{"scrub", "qstore-hub", "scrub", "look at every file for damage"},
	{"status", "qstore-hub", "status", "how much a hub holds"},
	{"tidy", "qstore-hub", "tidy", "carry out what was retired"},
	{"hub-undelete", "qstore-hub", "undelete",
		"everything out of the trash"},
};

#define SIBLINGS (sizeof(siblings) / sizeof(siblings[0]))

void
qs_cli_put_siblings(void)
{
	(void)printf("\nWhere the store is kept (no key is needed):\n");
	for (size_t i = 0; i < SIBLINGS; i++)
		(void)printf("  %-12s %s\n", siblings[i].name,
			siblings[i].brief);
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
qs_cli_sibling(int argc, char **argv, struct qs_err *err)
{
	for (size_t i = 0; argc >= 2 && i < SIBLINGS; i++) {
		if (strcmp(argv[1], siblings[i].name) == 0)
			return become(siblings[i].program, siblings[i].word,
				argc, argv, err);
	}
	return QS_OK;
}
