/* SPDX-License-Identifier: ISC */
/*
 * Unit tests of hub/: the cage.  Each in a child, since there is no way out;
 * what this kernel lacks is said and skipped.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "hub/cage_internal.h"
#include "tests/suite/log_world.h"

#define LACKS 77

/* In the child: asserts of cmocka would go on in the parent's place. */
#define CHECK(wanted) do { \
	if (!(wanted)) { \
		(void)fprintf(stderr, "%s:%d: not so: %s (errno %d)\n", \
			__FILE__, __LINE__, #wanted, errno); \
		_exit(1); \
	} \
} while (0)
#define CHECK_OK(call) do { \
	if ((call) != QS_OK) { \
		(void)fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, \
			err.msg); \
		_exit(1); \
	} \
} while (0)

static void
in_a_child(void **state, void (*fn)(struct world *world))
{
	int status = 0;
	pid_t child = fork();

	assert_true(child >= 0);
	if (child == 0) {
		fn(*state);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	if (WIFEXITED(status) && WEXITSTATUS(status) == LACKS)
		skip();
	assert_int_equal(status, 0);
}

static int
open_root(const struct world *world)
{
	int fd = open(world->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	CHECK(fd >= 0);
	return fd;
}

static struct qs_cage
enter(const struct world *world, bool read_only)
{
	struct qs_cage cage = {open_root(world), read_only, false, false};
	struct qs_err err;

	CHECK_OK(qs_cage_enter(&cage, &err));
	return cage;
}

static void
need(bool has, const char *what)
{
	if (has)
		return;
	(void)fprintf(stderr, "skipped: this kernel has no %s\n", what);
	_exit(LACKS);
}

/* ---------------------------------------------- what has to go on working */

/* As docs/FORMAT.md has it: not more than a head that anybody can read. */
static void
make_object(const struct world *world, uint8_t *out)
{
	memset(out, 0, QS_PACK_MIN);
	qs_pack_header(world->keys, out, out);
}

static void
use_store(struct world *world)
{
	static uint8_t object[QS_PACK_MIN], slot[QS_SLOT_LEN];
	struct qs_store *store = world->store;
	struct qs_stage *stage = NULL;
	struct qs_name name, again;
	struct qs_buf bytes = {0};
	struct qs_ref ref = {.area = QS_AREA_OBJ};
	uint64_t size = 0;
	struct qs_err err;

	make_object(world, object);
	qs_hash_name(qs_span(object, sizeof(object)), &name);
	CHECK_OK(store->ops->stage(store->self, qs_span(object,
		sizeof(object)), &stage, &err));
	CHECK_OK(qs_store_name(store, &stage, 1, &again, &err));
	CHECK(memcmp(name.b, again.b, 32) == 0);
	CHECK_OK(store->ops->commit(store->self, &stage, &name, 1, &err));
	CHECK_OK(store->ops->have(store->self, &name, 1, &size, &err));
	CHECK(size == sizeof(object));
	ref.name = name;
	CHECK_OK(qs_store_load(store, &ref, QS_PACK_MAX, &bytes, &err));
	qs_buf_clear(&bytes);
	world_snapshot(world, 0, 4);
	CHECK_OK(store->ops->put_key(store->self, qs_span(slot, sizeof(slot)),
		&name, &err));
	CHECK_OK(store->ops->drop_key(store->self, &name, &err));
}

static void
run_sql(sqlite3 *db, const char *text)
{
	char *message = NULL;

	if (sqlite3_exec(db, text, NULL, NULL, &message) == SQLITE_OK)
		return;
	(void)fprintf(stderr, "%s: %s\n", text, message);
	_exit(1);
}

static void
use_sqlite(const struct world *world, const char *where, int flags)
{
	sqlite3 *db = NULL;
	char path[600];

	(void)snprintf(path, sizeof(path), "%s/%s", world->dir, where);
	CHECK(sqlite3_open_v2(path, &db, flags, NULL) == SQLITE_OK);
	run_sql(db, "PRAGMA temp_store=MEMORY");
	run_sql(db, "PRAGMA journal_mode=WAL");
	run_sql(db, "CREATE TABLE IF NOT EXISTS t (a INTEGER PRIMARY KEY, b)");
	run_sql(db, "BEGIN IMMEDIATE");
	run_sql(db, "INSERT INTO t (b) VALUES (randomblob(100000))");
	run_sql(db, "COMMIT");
	run_sql(db, "SELECT count(*) FROM t ORDER BY b");
	run_sql(db, "PRAGMA wal_checkpoint(TRUNCATE)");
	CHECK(sqlite3_close(db) == SQLITE_OK);
}

static void
count_up(void *arg)
{
	struct timespec a_moment = {0, 1000};
	void *memory = malloc(1 << 20);

	CHECK(memory != NULL);
	(void)nanosleep(&a_moment, NULL);
	(void)sched_yield();
	free(memory);
	atomic_fetch_add((atomic_uint *)arg, 1);
}

static void
use_threads(void)
{
	struct qs_thread *threads[8];
	atomic_uint count = 0;
	struct qs_err err;

	for (size_t i = 0; i < 8; i++)
		CHECK_OK(qs_thread_start(&threads[i], count_up, &count,
			"worker", &err));
	for (size_t i = 0; i < 8; i++)
		qs_thread_join(threads[i]);
	CHECK(count == 8);
	CHECK(qs_cpu_count() > 0);
}

static void
use_memory_and_time(const struct world *world)
{
	size_t len = 64 << 20;
	uint8_t random[32], *memory = malloc(len);
	struct qs_rate *rate = NULL;
	int root = open_root(world);
	struct qs_err err;

	CHECK(memory != NULL);
	memset(memory, 1, len);
	memory = realloc(memory, 2 * len);
	CHECK(memory != NULL);
	free(memory);
	qs_random(random, sizeof(random));
	CHECK(qs_now_ns() > 0 && qs_mono_ns() > 0);
	CHECK_OK(qs_rate_open(root, "rate", 1 << 30, &rate, &err));
	qs_rate_take(rate, 1000);
	qs_rate_close(rate);
	CHECK(flock(root, LOCK_EX) == 0);
	CHECK(close(root) == 0);
}

static void
serve(struct world *world)
{
	int streams[2];
	char byte = 0;

	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, streams) == 0);
	(void)enter(world, false);
	CHECK(write(streams[0], "x", 1) == 1);
	CHECK(read(streams[1], &byte, 1) == 1 && byte == 'x');
	use_store(world);
	use_sqlite(world, "catalogue.sqlite", SQLITE_OPEN_READWRITE |
		SQLITE_OPEN_CREATE);
	use_threads();
	use_memory_and_time(world);
}

static void
serving_goes_on_inside(void **state)
{
	in_a_child(state, serve);
}

/* /proc/self/fd, by which a file gets its name, is not everybody's. */
static void
serve_as_nobody(struct world *world)
{
	char command[600];

	if (geteuid() != 0)
		_exit(0);
	(void)snprintf(command, sizeof(command), "chown -R 65534:65534 '%s'",
		world->dir);
	CHECK(system(command) == 0);
	CHECK(setgroups(0, NULL) == 0 && setgid(65534) == 0 &&
		setuid(65534) == 0);
	serve(world);
}

static void
serving_goes_on_as_a_user_without_rights(void **state)
{
	in_a_child(state, serve_as_nobody);
}

/* --------------------------------------------------- what is out of reach */

static void
look_outside(struct world *world)
{
	char path[600];
	struct qs_cage cage;
	int fd, root = open_root(world);

	(void)snprintf(path, sizeof(path), "%s-beside", world->dir);
	cage = enter(world, false);
	need(cage.has_landlock, "Landlock");
	CHECK(open("/etc/passwd", O_RDONLY) < 0 && errno == EACCES);
	CHECK(open("/", O_RDONLY | O_DIRECTORY) < 0 && errno == EACCES);
	CHECK(open(path, O_WRONLY | O_CREAT, 0600) < 0 && errno == EACCES);
	CHECK(mkdir(path, 0700) < 0 && errno == EACCES);
	CHECK(openat(root, "..", O_RDONLY | O_DIRECTORY) < 0 &&
		errno == EACCES);
	CHECK(openat(root, "README.txt", O_RDONLY) >= 0);
	CHECK(renameat(root, "README.txt", AT_FDCWD, path) < 0);
	CHECK(linkat(root, "README.txt", AT_FDCWD, path, 0) < 0);
	/* Inside: plain files and directories, nothing else. */
	fd = openat(root, "new", O_WRONLY | O_CREAT | O_EXCL, 0600);
	CHECK(fd >= 0);
	CHECK(symlinkat("/etc/passwd", root, "link") < 0);
	CHECK(mknodat(root, "pipe", S_IFIFO | 0600, 0) < 0);
}

static void
nothing_outside_the_folder_is_reached(void **state)
{
	in_a_child(state, look_outside);
}

static void
call_others(struct world *world)
{
	char *const argv[] = {(char *)(uintptr_t)"true", NULL};
	struct qs_cage cage = enter(world, false);
	struct rlimit files = {4096, 4096};

	need(cage.has_seccomp, "seccomp");
	CHECK(socket(AF_INET, SOCK_STREAM, 0) < 0);
	CHECK(socket(AF_UNIX, SOCK_STREAM, 0) < 0);
	CHECK(execve("/bin/true", argv, argv + 1) < 0 && errno == ENOSYS);
	CHECK(syscall(SYS_setuid, 0) < 0);
	CHECK(syscall(SYS_unshare, CLONE_NEWUSER) < 0);
	CHECK(syscall(SYS_io_uring_setup, 1, NULL) < 0 && errno == ENOSYS);
	CHECK(syscall(SYS_bpf, 0, NULL, 0) < 0 && errno == ENOSYS);
	CHECK(syscall(SYS_inotify_init1, 0) < 0 && errno == ENOSYS);
	CHECK(chmod(world->dir, 0777) < 0 && errno == ENOSYS);
	if (QS_CAGE_SANITIZED) /* is let for its own sake */
		return;
	CHECK(fork() < 0);
	CHECK(syscall(SYS_clone3, NULL, 0) < 0 && errno == ENOSYS);
	CHECK(ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0 && errno == ENOSYS);
	CHECK(kill(getppid(), 0) < 0);
	CHECK(setrlimit(RLIMIT_NOFILE, &files) < 0);
	CHECK(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) < 0);
	CHECK(fcntl(0, F_SETOWN, getpid()) < 0);
	CHECK(mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
		MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED);
}

static void
nothing_else_is_called(void **state)
{
	in_a_child(state, call_others);
}

/* -------------------------------------------------------------- read only */

static void
only_read(struct world *world)
{
	char folder[33], where[128];
	struct qs_ref ref = {.area = QS_AREA_LOG};
	struct qs_buf bytes = {0};
	struct qs_cage cage;
	int fd, root = open_root(world);
	struct qs_err err;

	qs_hex(folder, world->keys->folder_id, 16);
	(void)snprintf(where, sizeof(where), "%s/hub", folder);
	CHECK(mkdirat(root, where, 0700) == 0);
	cage = enter(world, true);
	need(cage.has_landlock, "Landlock");
	ref.name = world->admin[0].name;
	memcpy(ref.device, qs_keys_admin(world->keys)->pk, QS_DEVICE_LEN);
	CHECK_OK(qs_store_load(world->store, &ref, QS_RECORD_MAX, &bytes,
		&err));
	qs_buf_clear(&bytes);
	CHECK(openat(root, "README.txt", O_RDONLY) >= 0);
	CHECK(openat(root, "README.txt", O_RDWR) < 0 && errno == EACCES);
	CHECK(openat(root, "new", O_WRONLY | O_CREAT, 0600) < 0 &&
		errno == EACCES);
	CHECK(openat(root, folder, O_TMPFILE | O_RDWR, 0600) < 0);
	CHECK(mkdirat(root, "dir", 0700) < 0 && errno == EACCES);
	CHECK(unlinkat(root, "README.txt", 0) < 0 && errno == EACCES);
	CHECK(renameat(root, "README.txt", root, "other") < 0);
	/* The catalogue is the hub's own. */
	(void)snprintf(where, sizeof(where), "%s/hub/catalogue.sqlite",
		folder);
	use_sqlite(world, where, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
	(void)snprintf(where, sizeof(where), "%s/hub/../obj/x", folder);
	fd = openat(root, where, O_WRONLY | O_CREAT, 0600);
	CHECK(fd < 0 && errno == EACCES);
}

static void
who_only_reads_changes_nothing_but_the_hubs_own(void **state)
{
	in_a_child(state, only_read);
}

/* ----------------------------------------------------------------- limits */

static void
look_at_limits(struct world *world)
{
	struct rlimit limit;
	void *volatile memory;

	(void)enter(world, false);
	CHECK(getrlimit(RLIMIT_CORE, &limit) == 0 && limit.rlim_max == 0);
	CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0 &&
		limit.rlim_max <= QS_CAGE_FILES);
	CHECK(getrlimit(RLIMIT_FSIZE, &limit) == 0 &&
		limit.rlim_max <= QS_CAGE_FILE);
	if (QS_CAGE_SANITIZED)
		return;
	CHECK(getrlimit(RLIMIT_AS, &limit) == 0 &&
		limit.rlim_max <= QS_CAGE_MEMORY);
	memory = malloc(QS_CAGE_MEMORY);
	CHECK(memory == NULL);
	CHECK(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 1);
}

static void
what_it_may_use_is_bounded(void **state)
{
	in_a_child(state, look_at_limits);
}

static void
write_too_far(struct world *world)
{
	int fd, root = open_root(world);

	(void)enter(world, false);
	fd = openat(root, "large", O_WRONLY | O_CREAT, 0600);
	CHECK(fd >= 0);
	CHECK(pwrite(fd, "x", 1, (off_t)QS_CAGE_FILE) < 0 && errno == EFBIG);
	CHECK(pwrite(fd, "x", 1, (off_t)QS_CAGE_FILE - 1) == 1);
}

static void
a_file_that_grows_too_large_is_an_error_not_the_end(void **state)
{
	in_a_child(state, write_too_far);
}

static void
wait_for_it(void *arg)
{
	while (!atomic_load((atomic_bool *)arg)) {
		struct timespec a_moment = {0, 1000000};

		(void)nanosleep(&a_moment, NULL);
	}
}

static void
enter_with_a_thread(struct world *world)
{
	struct qs_cage cage = {open_root(world), false, false, false};
	struct qs_thread *thread = NULL;
	atomic_bool stop = false;
	struct qs_err err;

	if (QS_CAGE_SANITIZED) /* they have threads of their own */
		return;
	CHECK_OK(qs_thread_start(&thread, wait_for_it, &stop, "other", &err));
	CHECK(qs_cage_enter(&cage, &err) == QS_EINVAL);
	CHECK(strstr(err.msg, "2 threads") != NULL);
	atomic_store(&stop, true);
	qs_thread_join(thread);
}

static void
a_thread_that_would_stay_outside_is_noticed(void **state)
{
	in_a_child(state, enter_with_a_thread);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_TEST(serving_goes_on_inside),
		WORLD_TEST(serving_goes_on_as_a_user_without_rights),
		WORLD_TEST(nothing_outside_the_folder_is_reached),
		WORLD_TEST(nothing_else_is_called),
		WORLD_TEST(who_only_reads_changes_nothing_but_the_hubs_own),
		WORLD_TEST(what_it_may_use_is_bounded),
		WORLD_TEST(a_file_that_grows_too_large_is_an_error_not_the_end),
		WORLD_TEST(a_thread_that_would_stay_outside_is_noticed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
