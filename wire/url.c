/* SPDX-License-Identifier: ISC */
/* Which hub a URL means, and the command that gets there. */
#include <stdio.h>
#include <stdlib.h>

#include "wire/wire_internal.h"

#define QREXEC "qrexec://"
#define SSH "ssh://"
#define UNIX "unix:"
#define EXEC "exec:"

static bool
begins(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

bool
qs_url_is_remote(const char *url)
{
	return begins(url, QREXEC) || begins(url, SSH) || begins(url, UNIX) ||
		begins(url, EXEC);
}

void
qs_url_clear(struct qs_url *url)
{
	for (size_t i = 0; i < sizeof(url->argv) / sizeof(url->argv[0]); i++)
		free(url->argv[i]);
	free(url->socket);
	free(url->place);
	memset(url, 0, sizeof(*url));
}

/* The next word of the command: a copy of len bytes. */
static bool
add_word(struct qs_url *url, const char *text, size_t len)
{
	size_t i = 0;

	while (url->argv[i] != NULL)
		i++;
	if (i + 1 >= sizeof(url->argv) / sizeof(url->argv[0]))
		return false;
	url->argv[i] = strndup(text, len);
	return url->argv[i] != NULL;
}

static bool
add_text(struct qs_url *url, const char *text)
{
	return add_word(url, text, strlen(text));
}

/* --------------------------------------------------------------- qrexec */

/* A qube's name as dom0 allows it: no option, and nothing to interpret. */
static bool
is_qube(const char *text, size_t len)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz"
		"ABCDEFGHIJKLMNOPQRSTUVWXYZ";

	return len >= 1 && len <= 63 && strchr(letters, text[0]) != NULL &&
		strspn(text, "abcdefghijklmnopqrstuvwxyz"
		"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") >= len;
}

/* qrexec://VM/FOLDER[?ro|?transfer]; no VM: dom0's policy chooses */
static enum qs_code
parse_qrexec(const char *text, struct qs_url *url, struct qs_err *err)
{
	const char *rest = text + strlen(QREXEC);
	const char *slash = strchr(rest, '/');
	const char *query = strchr(rest, '?');
	const char *service = "qstore.Store";
	char *folder = url->folder, call[96];
	size_t len;

	if (slash == NULL)
		return qs_fail(err, QS_EINVAL, "%s: say qrexec://VM/FOLDER",
			text);
	if (query != NULL && strcmp(query, "?ro") == 0)
		service = "qstore.Fetch";
	else if (query != NULL && strcmp(query, "?transfer") == 0)
		service = "qstore.Transfer";
	else if (query != NULL)
		return qs_fail(err, QS_EINVAL, "%s: after the folder only ?ro "
			"or ?transfer can stand", text);
	len = (query != NULL ? (size_t)(query - slash) : strlen(slash)) - 1;
	(void)snprintf(folder, sizeof(url->folder), "%.*s",
		len <= QS_WIRE_NAME_MAX ? (int)len : 0, slash + 1);
	if (!qs_wire_name_ok(folder))
		return qs_fail(err, QS_EINVAL, "%s: a hub folder's name is of "
			"a-z, 0-9, '.', '_' and '-', begins with a letter or "
			"digit, and has at most %d bytes", text,
			QS_WIRE_NAME_MAX);
	if (slash != rest && !is_qube(rest, (size_t)(slash - rest)))
		return qs_fail(err, QS_EINVAL, "%s: that can't be the name of "
			"a qube", text);
	(void)snprintf(call, sizeof(call), "%s+%s", service, folder);
	url->kind = QS_URL_COMMAND;
	if (!add_text(url, "qrexec-client-vm") || !add_word(url,
		slash == rest ? "@default" : rest, slash == rest ?
		strlen("@default") : (size_t)(slash - rest)) ||
		!add_text(url, call))
		return qs_fail_nomem(err, "reading a URL");
	return QS_OK;
}

/* ------------------------------------------------------------------ ssh */

/* In single quotes for the shell at the other end. */
static char *
quote(const char *text)
{
	struct qs_buf out = {0};
	struct qs_err ignored;
	enum qs_code rc = qs_buf_append(&out, "'", 1, &ignored);

	for (; rc == QS_OK && *text != '\0'; text++)
		rc = *text == '\'' ? qs_buf_append(&out, "'\\''", 4, &ignored) :
			qs_buf_append(&out, text, 1, &ignored);
	if (rc == QS_OK)
		rc = qs_buf_append(&out, "'", 2, &ignored); /* and a NUL */
	if (rc != QS_OK)
		qs_buf_clear(&out);
	return (char *)out.data;
}

static bool
add_serve(struct qs_url *url, const char *path)
{
	static const char serve[] = "qstore serve --store ";
	char *quoted = quote(path), *all = NULL;
	bool ok = quoted != NULL &&
		asprintf(&all, "%s%s", serve, quoted) >= 0;

	ok = ok && add_text(url, all);
	free(quoted);
	free(all);
	return ok;
}

/* "USER@" or nothing, and the host. */
static bool
add_login(struct qs_url *url, struct qs_span user, struct qs_span host)
{
	char *all = NULL;
	bool ok = asprintf(&all, "%.*s%.*s", (int)user.len,
		(const char *)user.data, (int)host.len,
		(const char *)host.data) >= 0;

	ok = ok && add_text(url, all);
	free(all);
	return ok;
}

/* ssh://[USER@]HOST[:PORT]/PATH; /~/PATH is below the home directory */
static enum qs_code
parse_ssh(const char *text, struct qs_url *url, struct qs_err *err)
{
	const char *host = text + strlen(SSH);
	const char *slash = strchr(host, '/');
	const char *end, *name, *colon = NULL, *path;
	size_t user_len;

	if (slash == NULL || slash == host || slash[1] == '\0')
		return qs_fail(err, QS_EINVAL, "%s: say ssh://HOST/PATH", text);
	end = slash;
	for (const char *at = slash; at > host && colon == NULL; at--) {
		if (at[-1] == ']' || at[-1] == '@')
			break;
		if (at[-1] == ':')
			colon = at - 1;
	}
	path = strncmp(slash, "/~/", 3) == 0 ? slash + 3 : slash;
	if (path[0] == '\0')
		return qs_fail(err, QS_EINVAL, "%s: say ssh://HOST/PATH", text);
	url->kind = QS_URL_COMMAND;
	if (!add_text(url, "ssh"))
		return qs_fail_nomem(err, "reading a URL");
	if (colon != NULL) {
		size_t digits = strspn(colon + 1, "0123456789");

		if (digits == 0 || digits > 5 || colon + 1 + digits != slash)
			return qs_fail(err, QS_EINVAL, "%s: the port is to be "
				"a number", text);
		if (!add_text(url, "-p") || !add_word(url, colon + 1, digits))
			return qs_fail_nomem(err, "reading a URL");
		end = colon;
	}
	name = memrchr(host, '@', (size_t)(end - host));
	name = name == NULL ? host : name + 1;
	user_len = (size_t)(name - host);
	/* An IPv6 address has its brackets for the URL only. */
	if (name[0] == '[' && end[-1] == ']') {
		name++;
		end--;
	}
	if (end == name || host[0] == '-' || name[0] == '-')
		return qs_fail(err, QS_EINVAL, "%s: that can't be a host's "
			"name", text);
	if (!add_text(url, "--") ||
		!add_login(url, qs_span(host, user_len),
			qs_span(name, (size_t)(end - name))) ||
		!add_serve(url, path))
		return qs_fail_nomem(err, "reading a URL");
	return QS_OK;
}

/* ---------------------------------------------------------- unix, exec */

/* unix:PATH[#FOLDER] */
static enum qs_code
parse_unix(const char *text, struct qs_url *url, struct qs_err *err)
{
	const char *path = text + strlen(UNIX);
	const char *sharp = strrchr(path, '#');
	size_t len = sharp != NULL ? (size_t)(sharp - path) : strlen(path);

	if (len == 0)
		return qs_fail(err, QS_EINVAL, "%s: say unix:PATH or "
			"unix:PATH#FOLDER", text);
	if (sharp != NULL && (!qs_wire_name_ok(sharp + 1) ||
		strlen(sharp + 1) > QS_WIRE_NAME_MAX))
		return qs_fail(err, QS_EINVAL, "%s: a hub folder can't have "
			"that name", text);
	if (sharp != NULL)
		(void)snprintf(url->folder, sizeof(url->folder), "%s",
			sharp + 1);
	url->kind = QS_URL_SOCKET;
	url->socket = strndup(path, len);
	return url->socket != NULL ? QS_OK :
		qs_fail_nomem(err, "reading a URL");
}

static enum qs_code
parse_exec(const char *text, struct qs_url *url, struct qs_err *err)
{
	const char *command = text + strlen(EXEC);

	if (command[0] == '\0')
		return qs_fail(err, QS_EINVAL, "%s: say exec:COMMAND", text);
	url->kind = QS_URL_COMMAND;
	if (!add_text(url, "/bin/sh") || !add_text(url, "-c") ||
		!add_text(url, command))
		return qs_fail_nomem(err, "reading a URL");
	return QS_OK;
}

enum qs_code
qs_url_parse(const char *text, struct qs_url *out, struct qs_err *err)
{
	struct qs_url url = {.kind = QS_URL_PATH};
	enum qs_code rc = QS_OK;

	url.place = strdup(text);
	if (url.place == NULL)
		return qs_fail_nomem(err, "reading a URL");
	if (begins(text, QREXEC))
		rc = parse_qrexec(text, &url, err);
	else if (begins(text, SSH))
		rc = parse_ssh(text, &url, err);
	else if (begins(text, UNIX))
		rc = parse_unix(text, &url, err);
	else if (begins(text, EXEC))
		rc = parse_exec(text, &url, err);
	if (rc != QS_OK) {
		qs_url_clear(&url);
		return rc;
	}
	*out = url;
	return QS_OK;
}
