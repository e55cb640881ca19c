/* SPDX-License-Identifier: ISC */
/*
 * A shim for LD_PRELOAD that makes the n-th call of a kind fail, or kills the
 * process there, so that tests can see what is left.
 *
 *   QS_FAULT=OP:N        the N-th OP fails once      (N counts from 1)
 *   QS_FAULT=OP:N+       the N-th and all later ones fail
 *   QS_FAULT=kill:OP:N   SIGKILL in place of the N-th OP
 *   QS_FAULT=hang:OP:N+  the N-th and all later ones never come back
 *   QS_FAULT=term:OP:N   SIGTERM right before the N-th OP, which goes on
 *   QS_FAULT_WHEN=FILE   nothing of this before FILE exists
 *   QS_FAULT_COUNT=FILE  at exit, one line "OP COUNT" for each kind
 *
 * OP is write (write, pwrite: ENOSPC), fsync (fsync, fdatasync: EIO), link
 * (link, linkat, rename, renameat, renameat2: EIO), malloc (malloc, calloc,
 * realloc: ENOMEM), read (read, pread: EIO), pread (that alone), mount
 * (statvfs, mount: EIO), or any, which counts write, fsync and link together.
 * Standard input, output and error are left alone: what a program says is no
 * part of what it stores.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <sys/types.h>
#include <unistd.h>

enum op {
	OP_WRITE, OP_FSYNC, OP_LINK, OP_MALLOC, OP_READ, OP_PREAD, OP_MOUNT,
	OP_ANY, OP_COUNT
};

static const char *const names[OP_COUNT] = {
	"write", "fsync", "link", "malloc", "read", "pread", "mount",
	"any"
};
static const int errors[OP_COUNT] = {
	ENOSPC, EIO, EIO, ENOMEM, EIO, EIO, EIO, EIO
};

/* Set before main() by the constructor, then only the counters change. */
static enum op chosen = OP_COUNT;
static unsigned long when;
static bool for_good, kills, hangs, terminates;
static const char *gate; /* a path, or NULL */
static atomic_ulong counts[OP_COUNT];

/* glibc's own allocator: dlsym() allocates, so it can't be asked for these. */
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *old, size_t size);

static void
bad_words(void)
{
	static const char text[] =
		"fault: QS_FAULT is not [kill:|hang:|term:]OP:N[+]\n";

	(void)!write(STDERR_FILENO, text, sizeof(text) - 1);
	_exit(99);
}

__attribute__((constructor)) static void
read_plan(void)
{
	const char *text = getenv("QS_FAULT");
	char *end = NULL;

	if (text == NULL || text[0] == '\0')
		return;
	if (strncmp(text, "kill:", 5) == 0) {
		kills = true;
		text += 5;
	} else if (strncmp(text, "hang:", 5) == 0) {
		hangs = true;
		text += 5;
	} else if (strncmp(text, "term:", 5) == 0) {
		terminates = true;
		text += 5;
	}
	gate = getenv("QS_FAULT_WHEN");
	for (int i = 0; i < OP_COUNT; i++) {
		size_t len = strlen(names[i]);

		if (strncmp(text, names[i], len) != 0 || text[len] != ':')
			continue;
		when = strtoul(text + len + 1, &end, 10);
		for_good = end != NULL && *end == '+';
		if (when == 0 || end == NULL ||
			(*end != '\0' && strcmp(end, "+") != 0))
			bad_words();
		chosen = (enum op)i;
		return;
	}
	bad_words();
}

__attribute__((destructor)) static void
write_counts(void)
{
	const char *path = getenv("QS_FAULT_COUNT");
	FILE *file;

	chosen = OP_COUNT;
	if (path == NULL)
		return;
	file = fopen(path, "we");
	if (file == NULL)
		return;
	for (int i = 0; i < OP_COUNT; i++)
		(void)fprintf(file, "%s %lu\n", names[i],
			atomic_load(&counts[i]));
	(void)fclose(file);
}

/* Count one call; true: it is to fail, and errno is set. */
static bool
one_fails(enum op op)
{
	unsigned long number;

	if (op == chosen && gate != NULL && access(gate, F_OK) != 0)
		return false;
	number = atomic_fetch_add(&counts[op], 1) + 1;
	if (op != chosen || number < when || (number > when && !for_good))
		return false;
	if (kills)
		(void)kill(getpid(), SIGKILL);
	if (terminates) {
		(void)kill(getpid(), SIGTERM);
		return false;
	}
	while (hangs)
		(void)pause();
	errno = errors[op];
	return true;
}

static bool
fails(enum op op)
{
	bool any = (op == OP_WRITE || op == OP_FSYNC || op == OP_LINK) &&
		one_fails(OP_ANY);

	if (op == OP_PREAD && one_fails(OP_READ))
		return true;
	return one_fails(op) || any;
}

/* The next definition of a function; POSIX's way around the cast. */
static void
next(void *out, const char *name)
{
	void *found = dlsym(RTLD_NEXT, name);

	if (found == NULL)
		abort();
	memcpy(out, &found, sizeof(found));
}

#define WRAP(type, name, params, args, op, spared) \
	type name params; \
	type name params \
	{ \
		static type(*_Atomic real) params; \
		type(*call) params = real; \
	\
		if (call == NULL) { \
			next(&call, #name); \
			real = call; \
		} \
		if (!(spared) && fails(op)) \
			return -1; \
		return call args; \
	}

WRAP(ssize_t, write, (int fd, const void *data, size_t len),
	(fd, data, len), OP_WRITE, fd <= 2)
WRAP(ssize_t, pwrite, (int fd, const void *data, size_t len, off_t at),
	(fd, data, len, at), OP_WRITE, fd <= 2)
WRAP(ssize_t, pwrite64, (int fd, const void *data, size_t len, off64_t at),
	(fd, data, len, at), OP_WRITE, fd <= 2)
WRAP(ssize_t, read, (int fd, void *data, size_t len),
	(fd, data, len), OP_READ, fd <= 2)
WRAP(ssize_t, pread, (int fd, void *data, size_t len, off_t at),
	(fd, data, len, at), OP_PREAD, fd <= 2)
WRAP(ssize_t, pread64, (int fd, void *data, size_t len, off64_t at),
	(fd, data, len, at), OP_PREAD, fd <= 2)
WRAP(int, fsync, (int fd), (fd), OP_FSYNC, false)
WRAP(int, fdatasync, (int fd), (fd), OP_FSYNC, false)
WRAP(int, link, (const char *a, const char *b), (a, b), OP_LINK, false)
WRAP(int, linkat, (int ad, const char *a, int bd, const char *b, int flags),
	(ad, a, bd, b, flags), OP_LINK, false)
WRAP(int, rename, (const char *a, const char *b), (a, b), OP_LINK, false)
WRAP(int, renameat, (int ad, const char *a, int bd, const char *b),
	(ad, a, bd, b), OP_LINK, false)
WRAP(int, renameat2, (int ad, const char *a, int bd, const char *b,
	unsigned flags), (ad, a, bd, b, flags), OP_LINK, false)

WRAP(int, statvfs64, (const char *path, struct statvfs64 *out), (path, out),
	OP_MOUNT, false)
WRAP(int, mount, (const char *what, const char *dir, const char *type,
	unsigned long flags, const void *data), (what, dir, type, flags, data),
	OP_MOUNT, false)

void *
malloc(size_t size)
{
	return fails(OP_MALLOC) ? NULL : __libc_malloc(size);
}

void *
calloc(size_t count, size_t size)
{
	return fails(OP_MALLOC) ? NULL : __libc_calloc(count, size);
}

void *
realloc(void *old, size_t size)
{
	return fails(OP_MALLOC) ? NULL : __libc_realloc(old, size);
}
