/* SPDX-License-Identifier: ISC */
/* Unit tests of wire/: what a URL means, and what is wrong with one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <signal.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/suite/store_help.h"
#include "wire/wire_internal.h"

/* That the URL leads to this program with these words. */
static void
runs(const char *text, const char *const *words, const char *folder)
{
	struct qs_url url;
	struct qs_err err;
	size_t i = 0;

	assert_true(qs_url_is_remote(text));
	help_ok(qs_url_parse(text, &url, &err), &err);
	assert_int_equal(url.kind, QS_URL_COMMAND);
	for (; words[i] != NULL; i++) {
		assert_non_null(url.argv[i]);
		assert_string_equal(url.argv[i], words[i]);
	}
	assert_null(url.argv[i]);
	assert_string_equal(url.folder, folder);
	assert_string_equal(url.place, text);
	qs_url_clear(&url);
}

#define RUNS(text, folder, ...) \
	runs(text, (const char *const[]){__VA_ARGS__, NULL}, folder)

static void
qrexec_calls_a_qubes_service(void **state)
{
	(void)state;
	RUNS("qrexec://sys-qstore/photos", "photos", "qrexec-client-vm",
		"sys-qstore", "qstore.Store+photos");
	RUNS("qrexec://Vault_2/a.b?ro", "a.b", "qrexec-client-vm", "Vault_2",
		"qstore.Fetch+a.b");
	RUNS("qrexec:///photos?transfer", "photos", "qrexec-client-vm",
		"@default", "qstore.Transfer+photos");
}

static void
ssh_runs_qstore_there(void **state)
{
	(void)state;
	RUNS("ssh://nas/srv/q", "", "ssh", "--", "nas",
		"qstore serve --store '/srv/q'");
	RUNS("ssh://me@nas.local:2222/srv/it's", "", "ssh", "-p", "2222",
		"--", "me@nas.local",
		"qstore serve --store '/srv/it'\\''s'");
	RUNS("ssh://nas/~/backup", "", "ssh", "--", "nas",
		"qstore serve --store 'backup'");
	RUNS("ssh://[fe80::1]/q", "", "ssh", "--", "fe80::1",
		"qstore serve --store '/q'");
	RUNS("ssh://[fe80::1]:22/q", "", "ssh", "-p", "22", "--", "fe80::1",
		"qstore serve --store '/q'");
	RUNS("ssh://me@[fe80::1]/q", "", "ssh", "--", "me@fe80::1",
		"qstore serve --store '/q'");
	/* A shell there sees one word. */
	RUNS("ssh://nas/a b;reboot $(x) \"", "", "ssh", "--", "nas",
		"qstore serve --store '/a b;reboot $(x) \"'");
}

static void
exec_runs_what_it_says(void **state)
{
	(void)state;
	RUNS("exec:ssh -J a b 'qstore serve'", "", "/bin/sh", "-c",
		"ssh -J a b 'qstore serve'");
}

static void
a_socket_has_a_path_and_perhaps_a_folder(void **state)
{
	struct qs_url url;
	struct qs_err err;

	(void)state;
	help_ok(qs_url_parse("unix:/run/q", &url, &err), &err);
	assert_int_equal(url.kind, QS_URL_SOCKET);
	assert_string_equal(url.socket, "/run/q");
	assert_string_equal(url.folder, "");
	qs_url_clear(&url);
	help_ok(qs_url_parse("unix:/run/a#b#photos", &url, &err), &err);
	assert_string_equal(url.socket, "/run/a#b");
	assert_string_equal(url.folder, "photos");
	qs_url_clear(&url);
}

static void
what_is_not_understood_is_a_path(void **state)
{
	static const char *const paths[] = {"", "/srv/q", "store", "ssh:/x",
		"qrexec:/x", "http://nas/", "Exec:x", " exec:x"};
	struct qs_url url;
	struct qs_err err;

	(void)state;
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		assert_false(qs_url_is_remote(paths[i]));
		help_ok(qs_url_parse(paths[i], &url, &err), &err);
		assert_int_equal(url.kind, QS_URL_PATH);
		qs_url_clear(&url);
	}
}

static void
a_bad_url_is_told_in_a_sentence(void **state)
{
	static const struct {
		const char *url, *words;
	} lies[] = {
		{"qrexec://vault", "say qrexec://VM/FOLDER"},
		{"qrexec://vault/", "a hub folder's name is of"},
		{"qrexec://vault/Photos", "a hub folder's name is of"},
		{"qrexec://vault/a/b", "a hub folder's name is of"},
		{"qrexec://vault/../x", "a hub folder's name is of"},
		{"qrexec://vault/a+b", "a hub folder's name is of"},
		{"qrexec://vault/a-name-of-more-than-the-forty-seven-bytes-"
			"of-all",
			"a hub folder's name is of"},
		{"qrexec://vault/a-name-of-more-than-the-sixty-three-bytes-"
			"that-any-name-has-at-most",
			"a hub folder's name is of"},
		{"qrexec://vault/a?rw", "only ?ro or ?transfer"},
		{"qrexec://vault?ro/a", "only ?ro or ?transfer"},
		{"qrexec://-vault/a", "the name of a qube"},
		{"qrexec://@adminvm/a", "the name of a qube"},
		{"qrexec://va ult/a", "the name of a qube"},
		{"qrexec://1vault/a", "the name of a qube"},
		{"ssh://", "say ssh://HOST/PATH"},
		{"ssh://nas", "say ssh://HOST/PATH"},
		{"ssh://nas/", "say ssh://HOST/PATH"},
		{"ssh:///srv", "say ssh://HOST/PATH"},
		{"ssh://nas/~/", "say ssh://HOST/PATH"},
		{"ssh://nas:/x", "the port is to be a number"},
		{"ssh://nas:ssh/x", "the port is to be a number"},
		{"ssh://nas:222222/x", "the port is to be a number"},
		{"ssh://-oProxyCommand=x/y", "can't be a host's name"},
		{"ssh://me@-oProxyCommand=x/y", "can't be a host's name"},
		{"ssh://me@/y", "can't be a host's name"},
		{"ssh://[]/y", "can't be a host's name"},
		{"ssh://:22/y", "can't be a host's name"},
		{"unix:", "say unix:PATH"},
		{"unix:#photos", "say unix:PATH"},
		{"unix:/run/q#", "can't have that name"},
		{"unix:/run/q#Photos", "can't have that name"},
		{"unix:/run/q#a-name-of-more-than-the-forty-seven-bytes-of-all",
			"can't have that name"},
		{"exec:", "say exec:COMMAND"},
	};
	struct qs_err err;

	(void)state;
	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		struct qs_url url = {.kind = QS_URL_PATH};

		print_message("%s\n", lies[i].url);
		help_fails(qs_url_parse(lies[i].url, &url, &err), &err,
			QS_EINVAL, lies[i].words);
		assert_memory_equal(err.msg, lies[i].url,
			strlen(lies[i].url));
		assert_null(url.place);
	}
}

static void
who_can_not_be_reached_is_told_in_a_sentence(void **state)
{
	static const uint8_t id[QS_FOLDER_ID_LEN] = {1};
	struct qs_store *store = NULL;
	char url[200];
	struct qs_err err;

	(void)state;
	help_fails(qs_url_open("unix:/nowhere/socket", id, &store, &err), &err,
		QS_ENET, "unix:/nowhere/socket: no hub listens there");
	memset(url, 'x', sizeof(url));
	memcpy(url, "unix:", 5);
	url[sizeof(url) - 1] = '\0';
	help_fails(qs_url_open(url, id, &store, &err), &err, QS_EINVAL,
		"a socket's path has at most");
	help_fails(qs_url_open("exec:exit 3", id, &store, &err), &err,
		QS_ENET, "exec:exit 3: the connection ended");
	help_fails(qs_url_open("exec:echo 'no \33[31mway' >&2", id, &store,
		&err), &err, QS_ENET, "the connection ended (no  [31mway)");
	assert_null(store);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(qrexec_calls_a_qubes_service),
		cmocka_unit_test(ssh_runs_qstore_there),
		cmocka_unit_test(exec_runs_what_it_says),
		cmocka_unit_test(a_socket_has_a_path_and_perhaps_a_folder),
		cmocka_unit_test(what_is_not_understood_is_a_path),
		cmocka_unit_test(a_bad_url_is_told_in_a_sentence),
		cmocka_unit_test(who_can_not_be_reached_is_told_in_a_sentence),
	};

	const struct sigaction ignore = {.sa_handler = SIG_IGN};

	(void)sigaction(SIGPIPE, &ignore, NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
