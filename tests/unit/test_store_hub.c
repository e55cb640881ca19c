/* SPDX-License-Identifier: ISC */
/*
 * The contract of struct store at a hub's other end: through a command, a Unix
 * socket, ssh and qrexec (both by programs of their names that start the hub).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/suite/store_help.h"
#include "tests/suite/store_suite.h"
#include "wire/wire.h"

enum way { COMMAND, SOCKET, SSH, QREXEC };

struct hub_suite {
	enum way way;
	char *dir;
	pid_t listener;
	char url[512];
};

static void
write_file(const char *dir, const char *name, mode_t mode, const char *text)
{
	char path[512];
	FILE *file;

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	file = fopen(path, "w");
	assert_non_null(file);
	(void)fputs(text, file);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(chmod(path, mode), 0);
}

static void
make_place(struct hub_suite *suite)
{
	char path[512];

	suite->dir = help_dir_make();
	(void)snprintf(path, sizeof(path), "%s/hub", suite->dir);
	assert_int_equal(mkdir(path, 0700), 0);
	(void)snprintf(path, sizeof(path), "%s/hub/photos", suite->dir);
	assert_int_equal(mkdir(path, 0700), 0);
	(void)snprintf(path, sizeof(path), "%s/bin", suite->dir);
	assert_int_equal(mkdir(path, 0700), 0);
}

/* A program of that name in front of all others. */
static void
put_program(const struct hub_suite *suite, const char *name, const char *body)
{
	char text[2048], path[4096], bin[512];
	const char *old = getenv("PATH");

	(void)snprintf(bin, sizeof(bin), "%s/bin", suite->dir);
	(void)snprintf(text, sizeof(text), "#!/bin/sh\nHUB='%s/hub'\n"
		"ACL='%s/acl.conf'\nPROGRAM='%s'\n%s", suite->dir, suite->dir,
		QS_HUB_PROGRAM, body);
	write_file(bin, name, 0700, text);
	if (strncmp(old, bin, strlen(bin)) != 0) {
		(void)snprintf(path, sizeof(path), "%s:%s", bin, old);
		assert_int_equal(setenv("PATH", path, 1), 0);
	}
}

/* A socket is there before anybody listens on it. */
static bool
is_listening(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool is;

	assert_true(strlen(path) < sizeof(address.sun_path));
	memcpy(address.sun_path, path, strlen(path));
	is = connect(fd, (const struct sockaddr *)&address,
		sizeof(address)) == 0;
	(void)close(fd);
	return is;
}

static void
start_listener(struct hub_suite *suite)
{
	char socket[256], hub[256], acl[256];
	char program[] = QS_HUB_PROGRAM, serve[] = "serve",
		listen[] = "--listen", at[] = "--hub", list[] = "--acl";
	char *const argv[] = {program, serve, listen, socket, at, hub, list,
		acl, NULL};

	(void)snprintf(socket, sizeof(socket), "%s/s", suite->dir);
	(void)snprintf(hub, sizeof(hub), "%s/hub", suite->dir);
	(void)snprintf(acl, sizeof(acl), "%s/acl.conf", suite->dir);
	assert_int_equal(posix_spawn(&suite->listener, program, NULL, NULL,
		argv, environ), 0);
	while (!is_listening(socket))
		(void)usleep(1000);
}

static void
set_up(struct hub_suite *suite)
{
	char acl[256];

	make_place(suite);
	(void)snprintf(acl, sizeof(acl), "user:%lu photos rw\n"
		"qube:laptop photos rw\n", (unsigned long)getuid());
	write_file(suite->dir, "acl.conf", 0600, acl);
	switch (suite->way) {
	case COMMAND:
		(void)snprintf(suite->url, sizeof(suite->url),
			"exec:'%s' serve --store '%s/hub/photos'",
			QS_HUB_PROGRAM, suite->dir);
		break;
	case SOCKET:
		start_listener(suite);
		(void)snprintf(suite->url, sizeof(suite->url),
			"unix:%s/s#photos", suite->dir);
		break;
	case SSH: /* ssh -- HOST "qstore serve --store 'PATH'" */
		put_program(suite, "ssh", "shift 2\n"
			"qstore() { exec \"$PROGRAM\" \"$@\"; }\n"
			"eval \"$1\"\n");
		(void)snprintf(suite->url, sizeof(suite->url),
			"ssh://nas%s/hub/photos", suite->dir);
		break;
	case QREXEC:
		put_program(suite, "qrexec-client-vm",
			"export QREXEC_REMOTE_DOMAIN=laptop\n"
			"export QREXEC_SERVICE_FULL_NAME=$2\n"
			"export QREXEC_SERVICE_ARGUMENT=${2#*+}\n"
			"exec \"$PROGRAM\" serve --qrexec --hub \"$HUB\" "
			"--acl \"$ACL\"\n");
		(void)snprintf(suite->url, sizeof(suite->url),
			"qrexec://sys-qstore/photos");
		break;
	}
}

static enum qs_code
suite_make(void *arg, const uint8_t folder_id[static QS_FOLDER_ID_LEN],
	struct qs_store **out, struct qs_err *err)
{
	struct hub_suite *suite = arg;

	set_up(suite);
	return qs_url_create(suite->url, folder_id, out, err);
}

static enum qs_code
suite_open(void *arg, const uint8_t folder_id[static QS_FOLDER_ID_LEN],
	struct qs_store **out, struct qs_err *err)
{
	const struct hub_suite *suite = arg;

	return qs_url_open(suite->url, folder_id, out, err);
}

static void
suite_remove(void *arg)
{
	struct hub_suite *suite = arg;

	if (suite->listener > 0) {
		(void)kill(suite->listener, SIGTERM);
		(void)waitpid(suite->listener, NULL, 0);
	}
	suite->listener = 0;
	help_dir_remove(suite->dir);
	suite->dir = NULL;
}

int
main(void)
{
	static const char *const names[] = {
		[COMMAND] = "hub through a command",
		[SOCKET] = "hub behind a socket",
		[SSH] = "hub through ssh",
		[QREXEC] = "hub through qrexec",
	};
	const struct sigaction ignore = {.sa_handler = SIG_IGN};
	int failed = 0;

	(void)sigaction(SIGPIPE, &ignore, NULL);
	for (enum way way = COMMAND; way <= QREXEC; way++) {
		struct hub_suite place = {.way = way};
		const struct store_suite suite = {
			.name = names[way],
			.arg = &place,
			.make = suite_make,
			.open = suite_open,
			.remove = suite_remove,
		};

		failed += store_suite_run(&suite);
	}
	return failed;
}
