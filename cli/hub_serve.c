/* SPDX-License-Identifier: ISC */
/*
 * qstore-hub serve: who calls, for which folder, and what it may do; then one
 * connection.  The principal comes from where the caller can't reach: dom0's
 * word, the forced command of a key, the kernel's word about a socket's peer.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <syslog.h>
#include <unistd.h>

#include "cli/hub_internal.h"

struct serving { /* as the command line has it */
	const char *hub, *acl, *principal, *folder, *mode, *listen, *store;
	bool is_qrexec, is_uncaged;
	enum qs_wire_mode most; /* what --mode says; 0: nothing */
};

static const char usage[] =
	"usage: qstore-hub serve --qrexec\n"
	"       qstore-hub serve --principal NAME --folder F [--mode M]\n"
	"       qstore-hub serve --listen PATH [--folder F]\n"
	"       qstore-hub serve --store PATH [--mode M]\n"
	"\n"
	"Serves a folder over standard input and output, or a Unix socket.\n"
	"\n"
	"  --qrexec          as dom0 says: QREXEC_REMOTE_DOMAIN, the service\n"
	"  --principal NAME  for the forced command of an ssh key\n"
	"  --folder F        the hub's folder\n"
	"  --mode M          what the list has (rw or transfer), or ro\n"
	"  --listen PATH     make a socket there, a process for each call\n"
	"  --store PATH      a bare path, for whoever could write it anyway\n"
	"  --hub DIR         where the folders are (~/qstore)\n"
	"  --acl FILE        the access list (~/.config/qstore/acl.conf)\n"
	"  --no-sandbox      without Landlock, seccomp and limits\n"
	"\n"
	"example: qstore-hub serve --principal laptop --folder work\n";

static enum qs_code
parse_mode(const char *text, enum qs_wire_mode *out, struct qs_err *err)
{
	if (strcmp(text, "ro") == 0)
		*out = QS_MODE_RO;
	else if (strcmp(text, "rw") == 0)
		*out = QS_MODE_RW;
	else if (strcmp(text, "transfer") == 0)
		*out = QS_MODE_TRANSFER;
	else
		return qs_fail(err, QS_EINVAL, "--mode: \"%s\" is none of ro, "
			"rw, transfer", text);
	return QS_OK;
}

/*
 * What is asked for narrows what is granted; it never widens it.  rw is the
 * most there is; transfer is what only who is listed so may be.
 */
static enum qs_code
narrow(enum qs_wire_mode asked, struct qs_grant *grant, const char *principal,
	const char *folder, struct qs_err *err)
{
	if (asked == QS_MODE_RW || asked == grant->mode)
		return QS_OK;
	if (asked == QS_MODE_RO) {
		grant->mode = asked;
		return QS_OK;
	}
	return qs_fail(err, QS_EKEY, "%s may not do that on folder %s",
		principal, folder);
}

/* ------------------------------------------------------- one connection */

/* Takes the descriptors. */
static enum qs_code
serve_grant(const struct serving *serving, const char *principal,
	const char *folder, const struct qs_grant *grant, int in, int out,
	struct qs_err *err)
{
	struct qs_serve_options options = {
		.principal = principal,
		.folder = folder,
		.grant = *grant,
		.is_caged = !serving->is_uncaged,
	};
	char *root = NULL;
	enum qs_code rc = QS_OK;

	if (folder == NULL)
		root = strdup(serving->store);
	else if (asprintf(&root, "%s/%s", serving->hub, folder) < 0)
		root = NULL;
	if (root == NULL)
		rc = qs_fail_nomem(err, "serving");
	options.root = root;
	if (rc == QS_OK) {
		rc = qs_serve(&options, in, out, err);
	} else {
		qs_serve_refuse(in, out, err);
	}
	free(root);
	return rc;
}

/*
 * What is wrong with the list is its keeper's business: a caller, who also sees
 * our standard error through ssh and exec:, is told that something is.
 */
static enum qs_code
hide_fault(struct qs_err *err)
{
	openlog("qstore-hub", LOG_PID, LOG_DAEMON);
	syslog(LOG_ERR, "nobody is served: %s", err->msg);
	closelog();
	return qs_fail(err, QS_EKEY, "this hub's access list can't be used; "
		"ask its keeper");
}

/* ask: what the call itself limits it to; 0: nothing. */
static enum qs_code
find_grant(const struct serving *serving, const char *principal,
	const char *folder, enum qs_wire_mode ask, struct qs_grant *out,
	struct qs_err *err)
{
	enum qs_code rc;

	if (!qs_wire_name_ok(folder))
		return qs_fail(err, QS_EKEY, "there can be no folder of that "
			"name");
	rc = qs_acl_find(serving->acl, principal, folder, out, err);
	if (rc != QS_OK && rc != QS_EKEY)
		return hide_fault(err);
	if (rc == QS_OK && ask != 0)
		rc = narrow(ask, out, principal, folder, err);
	if (rc == QS_OK && serving->most != 0)
		rc = narrow(serving->most, out, principal, folder, err);
	return rc;
}

static enum qs_code
serve_listed(const struct serving *serving, const char *principal,
	const char *folder, enum qs_wire_mode ask, struct qs_err *err)
{
	struct qs_grant grant;
	enum qs_code rc = find_grant(serving, principal, folder, ask, &grant,
		err);

	if (rc != QS_OK) {
		qs_serve_refuse(dup(STDIN_FILENO), dup(STDOUT_FILENO), err);
		return rc;
	}
	return serve_grant(serving, principal, folder, &grant,
		dup(STDIN_FILENO), dup(STDOUT_FILENO), err);
}

/* --------------------------------------------------------------- qrexec */

/*
 * dom0 sets these; whatever else is named so it has taken away.  Without the
 * first one this was not called by qrexec, and nobody is believed.
 */
static enum qs_code
serve_qrexec(const struct serving *serving, struct qs_err *err)
{
	const char *domain = getenv("QREXEC_REMOTE_DOMAIN");
	const char *service = getenv("QREXEC_SERVICE_FULL_NAME");
	const char *folder = getenv("QREXEC_SERVICE_ARGUMENT");
	char principal[80];
	enum qs_wire_mode ask = QS_MODE_RO;
	enum qs_code rc = QS_OK;

	/* Qubes' names have capitals too; what we can't list we don't serve. */
	if (domain == NULL || service == NULL || folder == NULL ||
		!qs_wire_name_ok(domain))
		rc = qs_fail(err, QS_EKEY, "not called by qrexec with a "
			"folder, or by a qube whose name has other letters "
			"than a-z, 0-9, '.', '_', '-'");
	else if (strncmp(service, "qstore.Store+", 13) == 0)
		ask = QS_MODE_RW;
	else if (strncmp(service, "qstore.Fetch+", 13) == 0)
		ask = QS_MODE_RO;
	else if (strncmp(service, "qstore.Transfer+", 16) == 0)
		ask = QS_MODE_TRANSFER;
	else
		rc = qs_fail(err, QS_EKEY, "called as a service that is none "
			"of qstore's");
	if (rc != QS_OK) {
		qs_serve_refuse(dup(STDIN_FILENO), dup(STDOUT_FILENO), err);
		return rc;
	}
	(void)snprintf(principal, sizeof(principal), "qube:%s", domain);
	return serve_listed(serving, principal, folder, ask, err);
}

/* ---------------------------------------------------------------- socket */

/* The folder that the client greets with decides; so its greeting is peeked at
 * before the grant is looked up. */
static enum qs_code
peek_folder(int fd, struct qs_wire_hello *out, struct qs_err *err)
{
	uint8_t untrusted[QS_WIRE_GREETING];
	size_t got = 0;

	while (got < sizeof(untrusted)) {
		ssize_t n = recv(fd, untrusted, sizeof(untrusted),
			MSG_PEEK | MSG_WAITALL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return qs_fail_errno(err, "read the greeting");
		if ((size_t)n <= got)
			return qs_fail(err, QS_EPROTO, "no greeting came");
		got = (size_t)n;
	}
	return qs_wire_hello_decode(untrusted, out, err);
}

/* By the user's name where it has one; the list may have the number instead. */
static enum qs_code
grant_peer(const struct serving *serving, uid_t uid, const char *folder,
	char principal[static 80], struct qs_grant *out, struct qs_err *err)
{
	const struct passwd *user = getpwuid(uid);

	if (user != NULL && qs_wire_name_ok(user->pw_name))
		(void)snprintf(principal, 80, "user:%s", user->pw_name);
	else
		(void)snprintf(principal, 80, "user:%lu", (unsigned long)uid);
	return find_grant(serving, principal, folder, 0, out, err);
}

/* In a process of its own; takes fd. */
static enum qs_code
serve_peer(const struct serving *serving, int fd, struct qs_err *err)
{
	/* Nobody knows yet whether he may call at all. */
	const struct timeval patience = {.tv_sec = 10};
	struct ucred peer;
	socklen_t len = sizeof(peer);
	struct qs_wire_hello hello = {.folder = ""};
	struct qs_grant grant;
	char principal[80];
	const char *folder = serving->folder;
	enum qs_code rc = QS_OK;

	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience,
		sizeof(patience));
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) != 0)
		rc = qs_fail_errno(err, "who called");
	if (rc == QS_OK && folder == NULL) {
		rc = peek_folder(fd, &hello, err);
		folder = hello.folder;
	}
	if (rc == QS_OK && folder[0] == '\0')
		rc = qs_fail(err, QS_EINVAL, "say which folder: unix:PATH#"
			"FOLDER");
	if (rc == QS_OK)
		rc = grant_peer(serving, peer.uid, folder, principal, &grant,
			err);
	if (rc != QS_OK) {
		qs_serve_refuse(fd, fd, err);
		return rc;
	}
	return serve_grant(serving, principal, folder, &grant, fd, fd, err);
}

static volatile sig_atomic_t is_over;

static void
end_listening(int number)
{
	(void)number;
	is_over = 1;
}

/* Is somebody listening there? */
static bool
is_taken(const struct sockaddr_un *address)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool taken = fd >= 0 && connect(fd, (const struct sockaddr *)address,
		sizeof(*address)) == 0;

	qs_fd_close(&fd);
	return taken;
}

/*
 * The socket gets its name when it listens: who finds it can call.  One there
 * that nobody listens on is what a killed hub has left.
 */
static enum qs_code
make_socket(const char *path, int *out, struct qs_err *err)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct sockaddr_un fresh = address;
	struct stat st;
	bool is_made;
	int fd;
	mode_t old;

	if (snprintf(fresh.sun_path, sizeof(fresh.sun_path), "%s.new", path) >=
		(int)sizeof(fresh.sun_path))
		return qs_fail(err, QS_EINVAL, "--listen %s: the path is too "
			"long for a socket", path);
	memcpy(address.sun_path, path, strlen(path));
	if (lstat(path, &st) == 0 && !S_ISSOCK(st.st_mode))
		return qs_fail(err, QS_EEXIST, "--listen %s: there is a file "
			"of that name", path);
	if (is_taken(&address))
		return qs_fail(err, QS_EBUSY, "--listen %s: another hub "
			"listens there", path);
	(void)unlink(fresh.sun_path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	/* Whoever can reach it is asked who he is; the list decides. */
	old = umask(0111);
	is_made = fd >= 0 && bind(fd, (const struct sockaddr *)&fresh,
		sizeof(fresh)) == 0 && listen(fd, 64) == 0 &&
		rename(fresh.sun_path, path) == 0;
	if (!is_made)
		(void)qs_fail_errno(err, "--listen %s", path);
	(void)umask(old);
	if (!is_made) {
		qs_fd_close(&fd);
		return err->code;
	}
	*out = fd;
	return QS_OK;
}

#define CHILDREN_MAX 256
#define CHILDREN_OF_ONE 64 /* so that one user can't keep the others out */

struct children { /* connections being served */
	pid_t pids[CHILDREN_MAX];
	uid_t uids[CHILDREN_MAX];
	unsigned count;
};

static void
reap(struct children *children)
{
	pid_t pid;

	while ((pid = waitpid(-1, NULL, WNOHANG)) > 0) {
		for (unsigned i = 0; i < children->count; i++) {
			if (children->pids[i] != pid)
				continue;
			children->count--;
			children->pids[i] = children->pids[children->count];
			children->uids[i] = children->uids[children->count];
			break;
		}
	}
}

static bool
may_call(const struct children *children, int client, uid_t *uid)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);
	unsigned count = 0;

	if (children->count >= CHILDREN_MAX || getsockopt(client, SOL_SOCKET,
		SO_PEERCRED, &peer, &len) != 0)
		return false;
	for (unsigned i = 0; i < children->count; i++)
		count += children->uids[i] == peer.uid;
	*uid = peer.uid;
	return count < CHILDREN_OF_ONE;
}

/* As a new program has it: the listener's handlers are not the child's. */
static void
restore_signals(const sigset_t *mask)
{
	struct sigaction action = {.sa_handler = SIG_DFL};

	(void)sigaction(SIGTERM, &action, NULL);
	(void)sigaction(SIGINT, &action, NULL);
	(void)sigprocmask(SIG_SETMASK, mask, NULL);
}

static void
take_client(const struct serving *serving, int *fd, const sigset_t *mask,
	struct children *children, struct qs_err *err)
{
	int client = accept4(*fd, NULL, NULL, SOCK_CLOEXEC);
	uid_t uid = 0;
	pid_t pid;

	if (client < 0)
		return; /* it has gone */
	if (!may_call(children, client, &uid)) {
		qs_fd_close(&client);
		return;
	}
	pid = fork();
	if (pid == 0) {
		restore_signals(mask);
		qs_fd_close(fd);
		exit(serve_peer(serving, client, err) == QS_OK ? 0 :
			qs_hub_failed(err));
	}
	if (pid > 0) {
		children->pids[children->count] = pid;
		children->uids[children->count++] = uid;
	}
	qs_fd_close(&client);
}

/* The two signals come in while it waits, and only then. */
static int
serve_socket(const struct serving *serving, struct qs_err *err)
{
	struct sigaction action = {.sa_handler = end_listening};
	struct children children = {.count = 0};
	sigset_t blocked, mask;
	int fd = -1;

	(void)sigemptyset(&blocked);
	(void)sigaddset(&blocked, SIGTERM);
	(void)sigaddset(&blocked, SIGINT);
	(void)sigprocmask(SIG_BLOCK, &blocked, &mask);
	(void)sigaction(SIGTERM, &action, NULL);
	(void)sigaction(SIGINT, &action, NULL);
	if (make_socket(serving->listen, &fd, err) != QS_OK)
		return qs_hub_failed(err);
	while (!is_over) {
		struct pollfd wait = {.fd = fd, .events = POLLIN};

		reap(&children);
		if (ppoll(&wait, 1, NULL, &mask) > 0)
			take_client(serving, &fd, &mask, &children, err);
	}
	(void)unlink(serving->listen);
	qs_fd_close(&fd);
	return 0;
}

/* ------------------------------------------------------------- options */

enum { QREXEC = 256, PRINCIPAL, FOLDER, MODE, LISTEN, STORE, HUB, ACL,
	UNCAGED };

static const struct option long_options[] = {
	{"qrexec", no_argument, NULL, QREXEC},
	{"principal", required_argument, NULL, PRINCIPAL},
	{"folder", required_argument, NULL, FOLDER},
	{"mode", required_argument, NULL, MODE},
	{"listen", required_argument, NULL, LISTEN},
	{"store", required_argument, NULL, STORE},
	{"hub", required_argument, NULL, HUB},
	{"acl", required_argument, NULL, ACL},
	{"no-sandbox", no_argument, NULL, UNCAGED},
	{"help", no_argument, NULL, 'h'},
	{NULL, 0, NULL, 0},
};

static enum qs_code
check_ways(const struct serving *serving, struct qs_err *err)
{
	int ways = serving->is_qrexec + (serving->principal != NULL) +
		(serving->listen != NULL) + (serving->store != NULL);

	if (ways != 1)
		return qs_fail(err, QS_EINVAL, "serve: say one of --qrexec, "
			"--principal, --listen and --store (see --help)");
	if (serving->principal != NULL && (serving->folder == NULL ||
		!qs_wire_name_ok(serving->principal)))
		return qs_fail(err, QS_EINVAL, "serve: --principal takes a "
			"name of a-z, 0-9, '.', '_', '-', and --folder with "
			"it");
	return QS_OK;
}

static int
run(struct serving *serving, struct qs_err *err)
{
	char principal[80];
	enum qs_code rc = check_ways(serving, err);

	if (rc == QS_OK && serving->mode != NULL)
		rc = parse_mode(serving->mode, &serving->most, err);
	if (rc != QS_OK)
		return qs_hub_failed(err);
	if (serving->listen != NULL)
		return serve_socket(serving, err);
	if (serving->store != NULL) {
		const struct qs_grant grant = {
			.mode = serving->most != 0 ? serving->most :
				QS_MODE_RW,
		};

		rc = serve_grant(serving, "whoever calls", NULL, &grant,
			dup(STDIN_FILENO), dup(STDOUT_FILENO), err);
	} else if (serving->is_qrexec) {
		rc = serve_qrexec(serving, err);
	} else {
		(void)snprintf(principal, sizeof(principal), "key:%s",
			serving->principal);
		rc = serve_listed(serving, principal, serving->folder, 0,
			err);
	}
	return rc == QS_OK ? 0 : qs_hub_failed(err);
}

int
qs_hub_cmd_serve(int argc, char **argv)
{
	struct serving serving = {0};
	char *hub = NULL, *acl = NULL;
	struct qs_err err;
	enum qs_code rc = QS_OK;
	int option, status;

	while ((option = getopt_long(argc, argv, "h", long_options, NULL)) !=
		-1) {
		switch (option) {
		case QREXEC: serving.is_qrexec = true; break;
		case PRINCIPAL: serving.principal = optarg; break;
		case FOLDER: serving.folder = optarg; break;
		case MODE: serving.mode = optarg; break;
		case LISTEN: serving.listen = optarg; break;
		case STORE: serving.store = optarg; break;
		case HUB: serving.hub = optarg; break;
		case ACL: serving.acl = optarg; break;
		case UNCAGED: serving.is_uncaged = true; break;
		case 'h': (void)fputs(usage, stdout); return 0;
		default: (void)fputs(usage, stderr); return 1;
		}
	}
	if (optind != argc) {
		(void)fputs(usage, stderr);
		return 1;
	}
	if (serving.hub == NULL && serving.store == NULL)
		rc = qs_hub_default_dir(&hub, &err);
	if (rc == QS_OK && serving.acl == NULL && serving.store == NULL)
		rc = qs_hub_default_acl(&acl, &err);
	if (serving.hub == NULL)
		serving.hub = hub;
	if (serving.acl == NULL)
		serving.acl = acl;
	status = rc == QS_OK ? run(&serving, &err) : qs_hub_failed(&err);
	free(hub);
	free(acl);
	return status;
}
