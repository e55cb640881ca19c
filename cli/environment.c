/* SPDX-License-Identifier: ISC */
/*
 * The global options, and the environment that stands in for them.  A value
 * that makes no sense is an error: guessing would save to the wrong place.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli/cli_internal.h"

#define AT(field) offsetof(struct qs_cli_globals, field)

static const struct qs_cli_option global_options[] = {
	{"repo", 'r', QS_CLI_TEXT, AT(repo), "URL",
		"where the store is: a path, or a hub (below)"},
	{"folder", 'F', QS_CLI_TEXT, AT(folder), "NAME",
		"which folder: a name, or its id's first digits"},
	{"password-file", 'p', QS_CLI_TEXT, AT(password_file), "FILE",
		"passphrase: first line of FILE"},
	{"password-command", 0, QS_CLI_TEXT, AT(password_command), "COMMAND",
		"passphrase: first line that COMMAND prints"},
	{"key-file", 0, QS_CLI_TEXT, AT(key_file), "FILE",
		"key file that is a factor of the slot"},
	{"recovery-code", 0, QS_CLI_FLAG, AT(recovery_code), NULL,
		"ask for the recovery code instead"},
	{"cache-dir", 0, QS_CLI_TEXT, AT(cache_dir), "DIR",
		"where the index is kept"},
	{"no-cache", 0, QS_CLI_FLAG, AT(no_cache), NULL,
		"write no cache (reading commands only)"},
	{"compression", 0, QS_CLI_TEXT, AT(compression), "LEVEL",
		"off, fastest, default, better or max"},
	{"accept-rollback", 0, QS_CLI_FLAG, AT(accept_rollback), NULL,
		"the store went back in time, and that is right"},
	{"json", 0, QS_CLI_FLAG, AT(json), NULL, "print JSON"},
	{"quiet", 'q', QS_CLI_FLAG, AT(quiet), NULL,
		"print nothing but errors and what was asked for"},
	{"verbose", 'v', QS_CLI_COUNT, AT(verbose), NULL,
		"say more (twice: still more)"},
	{"help", 'h', QS_CLI_FLAG, AT(help), NULL, "this text"},
	{"version", 0, QS_CLI_FLAG, AT(version), NULL,
		"which version this is, as version prints it"},
};

const struct qs_cli_option *
qs_cli_global_options(size_t *count)
{
	*count = sizeof(global_options) / sizeof(global_options[0]);
	return global_options;
}

enum qs_code
qs_cli_level(const char *word, enum qs_level *out, struct qs_err *err)
{
	static const struct {
		const char *word;
		enum qs_level level;
	} levels[] = {
		{"off", QS_LEVEL_OFF}, {"fastest", QS_LEVEL_FASTEST},
		{"default", QS_LEVEL_DEFAULT}, {"auto", QS_LEVEL_DEFAULT},
		{"better", QS_LEVEL_BETTER}, {"max", QS_LEVEL_MAX},
	};

	for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++) {
		if (strcmp(word, levels[i].word) == 0) {
			*out = levels[i].level;
			return QS_OK;
		}
	}
	return qs_fail(err, QS_EINVAL, "compression \"%s\": it is none of off,"
		" fastest, default, better, max", word);
}

/* The environment must not hand the passphrase on to child processes. */
static enum qs_code
take_password(struct qs_cli *cli, struct qs_err *err)
{
	char *value = getenv("QSTORE_PASSWORD");
	size_t len;
	enum qs_code rc;

	if (value == NULL)
		return QS_OK;
	len = strlen(value);
	rc = qs_cli_secret_new(&cli->env_password, err);
	if (rc == QS_OK && len > QS_PASSPHRASE_MAX)
		rc = qs_fail(err, QS_EINVAL, "QSTORE_PASSWORD: it is longer "
			"than %d bytes", QS_PASSPHRASE_MAX);
	if (rc == QS_OK) {
		memcpy(cli->env_password.data, value, len);
		cli->env_password.len = len;
	}
	qs_wipe(value, len);
	(void)unsetenv("QSTORE_PASSWORD");
	return rc;
}

static enum qs_code
take_text(const char *name, const char **to, struct qs_err *err)
{
	const char *value = getenv(name);

	if (value == NULL)
		return QS_OK;
	if (*value == '\0')
		return qs_fail(err, QS_EINVAL, "%s: it is empty", name);
	if (*to == NULL)
		*to = value;
	return QS_OK;
}

static enum qs_code
take_fps(struct qs_cli *cli, struct qs_err *err)
{
	const char *value = getenv("QSTORE_PROGRESS_FPS");
	char *end;

	if (value == NULL)
		return QS_OK;
	errno = 0;
	cli->fps = strtod(value, &end);
	if (errno != 0 || end == value || *end != '\0' ||
		!isfinite(cli->fps) || cli->fps < 0.01 || cli->fps > 60)
		return qs_fail(err, QS_EINVAL, "QSTORE_PROGRESS_FPS: \"%s\" is "
			"not a number from 0.01 to 60", value);
	return QS_OK;
}

/* base reads it; here it is only checked. */
static enum qs_code
check_cpu(struct qs_err *err)
{
	const char *word = getenv("QSTORE_CPU");

	if (word == NULL || strcmp(word, "scalar") == 0 ||
		strcmp(word, "avx2") == 0 || strcmp(word, "avx512") == 0)
		return QS_OK;
	return qs_fail(err, QS_EINVAL, "QSTORE_CPU: \"%s\" is none of scalar, "
		"avx2, avx512", word);
}

/* How long a hub may be silent. */
static enum qs_code
take_timeout(struct qs_err *err)
{
	const char *value = getenv("QSTORE_TIMEOUT");
	unsigned seconds;
	enum qs_code rc;

	if (value == NULL)
		return QS_OK;
	rc = qs_cli_parse_span(value, &seconds, err);
	if (rc == QS_OK && (seconds == 0 || seconds > 86400))
		rc = qs_fail(err, QS_EINVAL, "it is to be from 1s to 1d");
	if (rc != QS_OK)
		return qs_fail_while(err, "QSTORE_TIMEOUT");
	qs_wire_set_patience(seconds);
	return QS_OK;
}

/*
 * The descriptor that a passphrase will be read from must not reach the
 * programs that lead to a hub.
 */
static void
keep_password_fd(void)
{
	const char *value = getenv("QSTORE_PASSWORD_FD");
	char *end;
	long fd;

	if (value == NULL)
		return;
	fd = strtol(value, &end, 10);
	if (end != value && *end == '\0' && fd > STDERR_FILENO &&
		fd <= INT_MAX)
		(void)fcntl((int)fd, F_SETFD, FD_CLOEXEC);
}

enum qs_code
qs_cli_environment(struct qs_cli *cli, struct qs_err *err)
{
	struct qs_cli_globals *global = &cli->global;
	const char *argon = getenv("QSTORE_ARGON"), *unused = NULL;
	/* First of all: whatever fails later, it is gone from there. */
	enum qs_code rc = take_password(cli, err);
	const struct {
		const char *name;
		const char **to;
	} texts[] = {
		{"QSTORE_REPOSITORY", &global->repo},
		{"QSTORE_FOLDER", &global->folder},
		{"QSTORE_CACHE_DIR", &global->cache_dir},
		{"QSTORE_STATE_DIR", &global->state_dir},
		{"QSTORE_COMPRESSION", &global->compression},
		{"QSTORE_HOST", &cli->host},
		{"QSTORE_PASSWORD_FILE", &unused},
		{"QSTORE_PASSWORD_COMMAND", &unused},
		{"QSTORE_PASSWORD_FD", &unused},
	};

	for (size_t i = 0; rc == QS_OK &&
		i < sizeof(texts) / sizeof(texts[0]); i++)
		rc = take_text(texts[i].name, texts[i].to, err);
	if (rc == QS_OK)
		rc = take_fps(cli, err);
	if (rc == QS_OK)
		rc = check_cpu(err);
	if (rc == QS_OK)
		rc = take_timeout(err);
	keep_password_fd();
	cli->level = QS_LEVEL_DEFAULT;
	if (rc == QS_OK && global->compression != NULL)
		rc = qs_cli_level(global->compression, &cli->level, err);
	cli->argon = QS_ARGON_DEFAULT;
	if (rc == QS_OK && argon != NULL) {
		if (strcmp(argon, "min") != 0)
			return qs_fail(err, QS_EINVAL, "QSTORE_ARGON: \"%s\" "
				"is not min", argon);
		cli->argon = QS_ARGON_MIN;
	}
	return rc;
}
