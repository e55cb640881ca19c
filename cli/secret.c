/* SPDX-License-Identifier: ISC */
/*
 * Where passphrases, key files and recovery codes come from.  They live in
 * locked memory from the first byte read on.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli/cli_internal.h"

#define KEY_FILE_MIN 32
#define KEY_FILE_MAX (64u << 10)
#define LEAST 8   /* characters, refused below */
#define ADVISED 12

enum qs_code
qs_cli_secret_new(struct qs_cli_secret *out, struct qs_err *err)
{
	/* one more, so that what is too long shows */
	uint8_t *data = qs_secret_alloc(QS_PASSPHRASE_MAX + 1);

	if (data == NULL)
		return qs_fail(err, QS_ENOMEM, "there is no locked memory for "
			"a passphrase (see ulimit -l)");
	*out = (struct qs_cli_secret){data, 0};
	return QS_OK;
}

void
qs_cli_secret_clear(struct qs_cli_secret *secret)
{
	qs_secret_free(secret->data);
	*secret = (struct qs_cli_secret){NULL, 0};
}

/* The first line is what counts. */
static enum qs_code
first_line(struct qs_cli_secret *secret, const char *what, struct qs_err *err)
{
	uint8_t *end = memchr(secret->data, '\n', secret->len);

	if (end != NULL)
		secret->len = (size_t)(end - secret->data);
	if (secret->len > 0 && secret->data[secret->len - 1] == '\r')
		secret->len--;
	if (secret->len > QS_PASSPHRASE_MAX)
		return qs_fail(err, QS_EINVAL, "passphrase from %s: it is "
			"longer than %d bytes", what, QS_PASSPHRASE_MAX);
	if (secret->len == 0)
		return qs_fail(err, QS_EINVAL, "passphrase from %s: it is "
			"empty", what);
	return QS_OK;
}

static enum qs_code
from_fd(int fd, const char *what, struct qs_cli_secret *out,
	struct qs_err *err)
{
	enum qs_code rc = qs_fd_read(fd, out->data, QS_PASSPHRASE_MAX + 1,
		&out->len, err);

	if (rc != QS_OK)
		return qs_fail_while(err, "passphrase from %s", what);
	return first_line(out, what, err);
}

static enum qs_code
from_file(const char *path, struct qs_cli_secret *out, struct qs_err *err)
{
	enum qs_code rc;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);

	if (fd < 0)
		return qs_fail_errno(err, "passphrase from %s", path);
	rc = from_fd(fd, path, out, err);
	qs_fd_close(&fd);
	return rc;
}

static enum qs_code
from_command(const char *command, struct qs_cli_secret *out,
	struct qs_err *err)
{
	enum qs_code rc = qs_process_read(command, out->data,
		QS_PASSPHRASE_MAX + 1, &out->len, err);

	if (rc != QS_OK)
		return qs_fail_while(err, "passphrase from a command");
	return first_line(out, "a command", err);
}

static enum qs_code
from_fd_number(const char *text, struct qs_cli_secret *out,
	struct qs_err *err)
{
	char *end;
	long fd;

	errno = 0;
	fd = strtol(text, &end, 10);
	if (errno != 0 || end == text || *end != '\0' || fd < 0 ||
		fd > INT32_MAX)
		return qs_fail(err, QS_EINVAL, "QSTORE_PASSWORD_FD: \"%s\" is "
			"not the number of a descriptor", text);
	return from_fd((int)fd, "QSTORE_PASSWORD_FD", out, err);
}

enum qs_code
qs_cli_passphrase_ok(const struct qs_cli_secret *secret, struct qs_err *err)
{
	size_t characters = 0;

	for (size_t i = 0; i < secret->len; i++)
		characters += (secret->data[i] & 0xc0) != 0x80;
	if (characters < LEAST)
		return qs_fail(err, QS_EINVAL, "new passphrase: it has fewer "
			"than %d characters", LEAST);
	if (characters < ADVISED)
		(void)fprintf(stderr, "warning: new passphrase: it has fewer "
			"than %d characters; somebody with the store's files "
			"can guess at leisure\n", ADVISED);
	return QS_OK;
}

static enum qs_code
ask_twice(const char *question, struct qs_cli_secret *out,
	struct qs_err *err)
{
	struct qs_cli_secret again = {NULL, 0};
	enum qs_code rc = qs_cli_prompt(question, out, err);

	if (rc == QS_OK)
		rc = qs_cli_passphrase_ok(out, err);
	if (rc == QS_OK)
		rc = qs_cli_secret_new(&again, err);
	if (rc == QS_OK)
		rc = qs_cli_prompt("once more", &again, err);
	if (rc == QS_OK && (again.len != out->len ||
		!qs_equal(again.data, out->data, out->len)))
		rc = qs_fail(err, QS_EINVAL, "new passphrase: the two are not "
			"the same");
	qs_cli_secret_clear(&again);
	return rc;
}

enum qs_code
qs_cli_new_passphrase(const char *file, const char *question,
	struct qs_cli_secret *out, struct qs_err *err)
{
	struct qs_cli_secret secret = {NULL, 0};
	enum qs_code rc = qs_cli_secret_new(&secret, err);

	if (rc != QS_OK)
		return rc;
	if (file == NULL) {
		rc = ask_twice(question, &secret, err);
	} else {
		rc = from_file(file, &secret, err);
		if (rc == QS_OK)
			rc = qs_cli_passphrase_ok(&secret, err);
	}
	if (rc != QS_OK) {
		qs_cli_secret_clear(&secret);
		return rc;
	}
	*out = secret;
	return QS_OK;
}

/* *found false: nothing says where it is, ask. */
static enum qs_code
without_asking(struct qs_cli *cli, struct qs_cli_secret *out, bool *found,
	struct qs_err *err)
{
	const char *fd = getenv("QSTORE_PASSWORD_FD");
	const char *file = getenv("QSTORE_PASSWORD_FILE");
	const char *command = getenv("QSTORE_PASSWORD_COMMAND");

	*found = true;
	/* What was typed for this command counts before the environment. */
	if (cli->global.password_file != NULL)
		return from_file(cli->global.password_file, out, err);
	if (cli->global.password_command != NULL)
		return from_command(cli->global.password_command, out, err);
	if (file != NULL)
		return from_file(file, out, err);
	if (command != NULL)
		return from_command(command, out, err);
	if (fd != NULL)
		return from_fd_number(fd, out, err);
	if (cli->env_password.data != NULL) {
		memcpy(out->data, cli->env_password.data,
			cli->env_password.len);
		out->len = cli->env_password.len;
		return first_line(out, "QSTORE_PASSWORD", err);
	}
	*found = false;
	return QS_OK;
}

enum qs_code
qs_cli_passphrase(struct qs_cli *cli, const char *question, bool is_new,
	struct qs_cli_secret *out, struct qs_err *err)
{
	struct qs_cli_secret secret = {NULL, 0};
	bool found;
	enum qs_code rc = qs_cli_secret_new(&secret, err);

	if (rc == QS_OK)
		rc = without_asking(cli, &secret, &found, err);
	if (rc == QS_OK && found && is_new)
		rc = qs_cli_passphrase_ok(&secret, err);
	else if (rc == QS_OK && !found)
		rc = is_new ? ask_twice(question, &secret, err) :
			qs_cli_prompt(question, &secret, err);
	if (rc == QS_OK && secret.len == 0)
		rc = qs_fail(err, QS_EAUTH, "the passphrase is empty");
	if (rc != QS_OK) {
		qs_cli_secret_clear(&secret);
		return rc;
	}
	*out = secret;
	return QS_OK;
}

enum qs_code
qs_cli_key_file(const char *path, uint8_t **out, struct qs_err *err)
{
	uint8_t *bytes = qs_secret_alloc(KEY_FILE_MAX + 1);
	uint8_t *hash = qs_secret_alloc(QS_KEY_LEN);
	enum qs_code rc = QS_OK;
	size_t len = 0;
	int fd = -1;

	if (bytes == NULL || hash == NULL) {
		rc = qs_fail(err, QS_ENOMEM, "key file %s: there is no locked "
			"memory for it (see ulimit -l)", path);
		goto out;
	}
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0) {
		rc = qs_fail_errno(err, "key file %s", path);
		goto out;
	}
	rc = qs_fd_read(fd, bytes, KEY_FILE_MAX + 1, &len, err);
	if (rc != QS_OK) {
		rc = qs_fail_while(err, "key file %s", path);
		goto out;
	}
	if (len < KEY_FILE_MIN || len > KEY_FILE_MAX) {
		rc = qs_fail(err, QS_EINVAL, "key file %s: it must have %d to "
			"%u bytes", path, KEY_FILE_MIN, KEY_FILE_MAX);
		goto out;
	}
	qs_hash_plain(hash, QS_KEY_LEN, qs_span(bytes, len));
	*out = hash;
	hash = NULL; /* handed over */
out:
	qs_fd_close(&fd);
	qs_secret_free(hash);
	qs_secret_free(bytes);
	return rc;
}

enum qs_code
qs_cli_recovery(const char *question, uint8_t **out, struct qs_err *err)
{
	struct qs_cli_secret text = {NULL, 0};
	uint8_t *secret = qs_secret_alloc(QS_KEY_LEN);
	enum qs_code rc;

	if (secret == NULL)
		return qs_fail(err, QS_ENOMEM, "there is no locked memory for "
			"a recovery code (see ulimit -l)");
	rc = qs_cli_secret_new(&text, err);
	if (rc == QS_OK && getenv("QSTORE_RECOVERY_FILE") != NULL)
		rc = from_file(getenv("QSTORE_RECOVERY_FILE"), &text, err);
	else if (rc == QS_OK)
		rc = qs_cli_prompt(question, &text, err);
	if (rc == QS_OK) {
		text.data[text.len] = '\0';
		rc = qs_recovery_decode((const char *)text.data, secret, err);
	}
	qs_cli_secret_clear(&text);
	if (rc != QS_OK) {
		qs_secret_free(secret);
		return rc;
	}
	*out = secret;
	return QS_OK;
}
