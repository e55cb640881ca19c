/* SPDX-License-Identifier: ISC */
/*
 * seccomp: the system calls that serving a folder takes, and no others.
 *
 * What is not listed fails with ENOSYS, as in a kernel that lacks it.  Killing
 * would gain nothing, since there is nothing in reach to be saved from the next
 * try, and would turn a question that a newer libc or SQLite asks and can do
 * without (they know ENOSYS, they do not expect EPERM) into lost connections.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "hub/cage_internal.h"

static const int allowed[] = {
	/* streams and files that are open */
	SCMP_SYS(read), SCMP_SYS(readv), SCMP_SYS(pread64), SCMP_SYS(preadv),
	SCMP_SYS(write), SCMP_SYS(writev), SCMP_SYS(pwrite64),
	SCMP_SYS(pwritev), SCMP_SYS(lseek), SCMP_SYS(close), SCMP_SYS(dup),
	SCMP_SYS(poll), SCMP_SYS(ppoll), SCMP_SYS(shutdown),
	SCMP_SYS(sendfile),
	SCMP_SYS(ftruncate), SCMP_SYS(fallocate), SCMP_SYS(fsync),
	SCMP_SYS(fdatasync), SCMP_SYS(sync_file_range), SCMP_SYS(fadvise64),
	SCMP_SYS(flock), SCMP_SYS(fchmod), SCMP_SYS(fchown),
	/* names: which of them is Landlock's business */
	SCMP_SYS(open), SCMP_SYS(openat), SCMP_SYS(getdents64),
	SCMP_SYS(fstat), SCMP_SYS(stat), SCMP_SYS(lstat),
	SCMP_SYS(newfstatat), SCMP_SYS(statx), SCMP_SYS(statfs),
	SCMP_SYS(fstatfs), SCMP_SYS(access), SCMP_SYS(faccessat),
	SCMP_SYS(readlink), SCMP_SYS(readlinkat), SCMP_SYS(getcwd),
	SCMP_SYS(mkdir), SCMP_SYS(mkdirat), SCMP_SYS(unlink),
	SCMP_SYS(unlinkat), SCMP_SYS(rename), SCMP_SYS(renameat),
	SCMP_SYS(renameat2), SCMP_SYS(link), SCMP_SYS(linkat),
	SCMP_SYS(umask),
	/* memory; mmap and mprotect are below */
	SCMP_SYS(brk), SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(madvise),
	/* threads and signals of our own; clone is below */
	SCMP_SYS(futex), SCMP_SYS(set_robust_list), SCMP_SYS(rseq),
	SCMP_SYS(sched_yield), SCMP_SYS(sched_getaffinity), SCMP_SYS(getcpu),
	SCMP_SYS(gettid), SCMP_SYS(getpid), SCMP_SYS(membarrier),
	SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(rt_sigreturn), SCMP_SYS(rt_sigtimedwait),
	SCMP_SYS(sigaltstack), SCMP_SYS(restart_syscall), SCMP_SYS(exit),
	SCMP_SYS(exit_group),
	/* time, chance, who we are */
	SCMP_SYS(clock_gettime), SCMP_SYS(clock_getres),
	SCMP_SYS(clock_nanosleep), SCMP_SYS(nanosleep),
	SCMP_SYS(gettimeofday), SCMP_SYS(time), SCMP_SYS(getrandom),
	SCMP_SYS(getuid), SCMP_SYS(geteuid), SCMP_SYS(getgid),
	SCMP_SYS(getegid), SCMP_SYS(getrlimit), SCMP_SYS(getrusage),
	SCMP_SYS(sysinfo), SCMP_SYS(uname),
};

/* SQLite's locks, and descriptors; nothing that sends signals. */
static const int fcntls[] = {
	F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_GETLK, F_SETLK, F_SETLKW,
	F_OFD_GETLK, F_OFD_SETLK, F_OFD_SETLKW, F_DUPFD_CLOEXEC,
};

/* To stop the world for a leak check, and to print a stack. */
static const int for_sanitizers[] = {
	SCMP_SYS(clone), SCMP_SYS(ptrace), SCMP_SYS(wait4), SCMP_SYS(prctl),
	SCMP_SYS(mmap), SCMP_SYS(mprotect), SCMP_SYS(kill), SCMP_SYS(tgkill),
	SCMP_SYS(getppid), SCMP_SYS(prlimit64), SCMP_SYS(setrlimit),
	SCMP_SYS(personality), SCMP_SYS(mincore), SCMP_SYS(mlock),
	SCMP_SYS(munlock), SCMP_SYS(arch_prctl), SCMP_SYS(fcntl),
	SCMP_SYS(getdents),
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
/* A new thread of this process, in no namespace of its own. */
#define CLONE_THREADS (CLONE_VM | CLONE_THREAD)
#define CLONE_NAMESPACES (CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | \
	CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET)

static int
allow_all(scmp_filter_ctx filter, const int *calls, size_t count)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < count; i++)
		rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, calls[i], 0);
	return rc;
}

/* libseccomp's macros for these leave fields out, which clang minds. */
static struct scmp_arg_cmp
equals(unsigned arg, scmp_datum_t value)
{
	return (struct scmp_arg_cmp){arg, SCMP_CMP_EQ, value, 0};
}

/* Of the bits in mask, these are set and no others. */
static struct scmp_arg_cmp
has_bits(unsigned arg, scmp_datum_t mask, scmp_datum_t bits)
{
	return (struct scmp_arg_cmp){arg, SCMP_CMP_MASKED_EQ, mask, bits};
}

static int
allow_one(scmp_filter_ctx filter, int call, struct scmp_arg_cmp arg)
{
	return seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, call, 1, &arg);
}

/* Calls that are fine with some arguments only. */
static int
allow_checked(scmp_filter_ctx filter)
{
	/* No code is made or loaded any more. */
	const struct scmp_arg_cmp no_code = has_bits(2, PROT_EXEC, 0);
	/* To ask, and about ourselves. */
	const struct scmp_arg_cmp only_ask[] = {
		equals(0, 0), equals(2, 0),
	};
	int rc = allow_one(filter, SCMP_SYS(mmap), no_code);

	if (rc == 0)
		rc = allow_one(filter, SCMP_SYS(mprotect), no_code);
	/* clone3's flags are behind a pointer: it is not there, libc knows. */
	if (rc == 0)
		rc = allow_one(filter, SCMP_SYS(clone), has_bits(0,
			CLONE_THREADS | CLONE_NAMESPACES, CLONE_THREADS));
	if (rc == 0)
		rc = allow_one(filter, SCMP_SYS(prctl), equals(0,
			PR_SET_NAME));
	/* abort() */
	if (rc == 0)
		rc = allow_one(filter, SCMP_SYS(tgkill), equals(0,
			(scmp_datum_t)getpid()));
	if (rc == 0)
		rc = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW,
			SCMP_SYS(prlimit64), COUNT(only_ask), only_ask);
	for (size_t i = 0; rc == 0 && i < COUNT(fcntls); i++)
		rc = allow_one(filter, SCMP_SYS(fcntl), equals(1,
			(scmp_datum_t)fcntls[i]));
	return rc;
}

enum qs_code
qs_cage_seccomp(bool *done, struct qs_err *err)
{
	scmp_filter_ctx filter;
	int rc;

	*done = false;
	if (prctl(PR_GET_SECCOMP, 0, 0, 0, 0) < 0 && errno == EINVAL)
		return QS_OK; /* a kernel without */
	filter = seccomp_init(SCMP_ACT_ERRNO(ENOSYS));
	if (filter == NULL)
		return qs_fail_nomem(err, "making a seccomp filter");
	/* Calls by the numbers of another architecture. */
	rc = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH,
		SCMP_ACT_KILL_PROCESS);
	if (rc == 0)
		rc = allow_all(filter, allowed, COUNT(allowed));
	if (rc == 0 && !QS_CAGE_SANITIZED)
		rc = allow_checked(filter);
	if (rc == 0 && QS_CAGE_SANITIZED)
		rc = allow_all(filter, for_sanitizers, COUNT(for_sanitizers));
	if (rc == 0)
		rc = seccomp_load(filter);
	seccomp_release(filter);
	if (rc != 0) {
		errno = -rc;
		return qs_fail_errno(err, "cage: seccomp");
	}
	*done = true;
	return QS_OK;
}
