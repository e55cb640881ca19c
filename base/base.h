/* SPDX-License-Identifier: ISC */
/*
 * base: errors, bytes, files, threads and queues, child processes, log: the
 * portability layer every other folder stands on.
 *
 * Error model.  Whatever can fail returns an enum qs_code and takes, as its
 * last argument, a struct qs_err that the caller owns (on its stack or in its
 * job), never NULL.  QS_OK means that *err was not touched.  Messages name the
 * thing and the cause, begin in lower case, end without a full stop and hold
 * no secret.  Out-parameters are untouched on failure.
 */
#ifndef QS_BASE_H
#define QS_BASE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>
#include <time.h>

#define QS_MUST_CHECK __attribute__((warn_unused_result))
#define QS_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))

/* ------------------------------------------------------------- errors */

/*
 * What a caller can act on.  The values are pinned: they go over the wire.
 */
enum qs_code {
	QS_OK = 0,
	QS_ENOMEM = 1,       /* out of memory, or of locked memory */
	QS_EIO = 2,          /* the system refused a read, write, open ... */
	QS_ENOSPC = 3,       /* disk full or disk quota */
	QS_ENOTFOUND = 4,    /* the named thing does not exist */
	QS_EEXIST = 5,       /* it exists already */
	QS_EBUSY = 6,        /* another process has it */
	QS_EINVAL = 7,       /* the caller's (the user's) words are wrong */
	QS_ECORRUPT = 8,     /* bytes are damaged or forged */
	QS_EAUTH = 9,        /* wrong passphrase, code or key file */
	QS_EKEY = 10,        /* a key that is needed is not at hand */
	QS_ENET = 11,        /* the other end failed; a retry may help */
	QS_EQUOTA = 12,      /* the store's own quota */
	QS_ECONFLICT = 13,   /* somebody else wrote first; read again */
	QS_EPROTO = 14,      /* the other end broke the protocol */
	QS_EUNSUPPORTED = 15, /* made by a newer version, or not for this OS */
	QS_ECANCELED = 16,   /* by the user, or a sibling's failure */
	QS_ENOSTORE = 17,    /* there is no qstore store at this place */
	QS_EROLLBACK = 18,   /* the store went back in time */
	QS_EINDEX = 19,      /* this machine's index is damaged; a cache */
};

struct qs_err {
	enum qs_code code;
	int sys; /* errno, or 0 */
	char msg[512];
};

/* Set *err and return its code.  code is not QS_OK. */
enum qs_code qs_fail(struct qs_err *err, enum qs_code code, const char *fmt,
	...) QS_PRINTF(3, 4);
/* The same from errno: the code is chosen by errno, ": strerror" is added. */
enum qs_code qs_fail_errno(struct qs_err *err, const char *fmt, ...)
	QS_PRINTF(2, 3);
/* "out of memory while <what>" */
enum qs_code qs_fail_nomem(struct qs_err *err, const char *what);
/* Prefix context to a failure on its way up; returns err->code. */
enum qs_code qs_fail_while(struct qs_err *err, const char *fmt, ...)
	QS_PRINTF(2, 3);
enum qs_code qs_code_from_errno(int sys);
/* The nearest errno for a code (for FUSE and for tests). */
int qs_code_to_errno(enum qs_code code);
/* A word for a code: "corrupt", "not found" ...; never NULL. */
const char *qs_code_word(enum qs_code code);

/* -------------------------------------------------------------- bytes */

struct qs_span { /* borrowed bytes */
	const uint8_t *data;
	size_t len;
};

struct qs_buf { /* owned bytes; all-zero is the empty buffer */
	uint8_t *data;
	size_t len, cap;
};

static inline struct qs_span
qs_span(const void *data, size_t len)
{
	return (struct qs_span){(const uint8_t *)data, len};
}

static inline struct qs_span
qs_buf_span(const struct qs_buf *buf)
{
	return (struct qs_span){buf->data, buf->len};
}

/* Room for at least cap bytes in all; grows by half. */
QS_MUST_CHECK enum qs_code qs_buf_reserve(struct qs_buf *buf, size_t cap,
	struct qs_err *err);
QS_MUST_CHECK enum qs_code qs_buf_append(struct qs_buf *buf, const void *data,
	size_t len, struct qs_err *err);
/* Room for len more bytes, counted in, uninitialised; *out points at them. */
QS_MUST_CHECK enum qs_code qs_buf_extend(struct qs_buf *buf, size_t len,
	uint8_t **out, struct qs_err *err);
QS_MUST_CHECK enum qs_code qs_buf_printf(struct qs_buf *buf,
	struct qs_err *err, const char *fmt, ...) QS_PRINTF(3, 4);
void qs_buf_clear(struct qs_buf *buf); /* frees; the buffer is empty again */

/* Little-endian, unaligned. */
static inline uint16_t
qs_load16(const void *p)
{
	const uint8_t *b = (const uint8_t *)p;

	return (uint16_t)(b[0] | (uint16_t)b[1] << 8);
}

static inline uint32_t
qs_load32(const void *p)
{
	const uint8_t *b = (const uint8_t *)p;

	return (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 |
		(uint32_t)b[3] << 24;
}

static inline uint64_t
qs_load64(const void *p)
{
	const uint8_t *b = (const uint8_t *)p;

	return (uint64_t)qs_load32(b) | (uint64_t)qs_load32(b + 4) << 32;
}

static inline void
qs_store16(void *p, uint16_t v)
{
	uint8_t *b = (uint8_t *)p;

	b[0] = (uint8_t)v;
	b[1] = (uint8_t)(v >> 8);
}

static inline void
qs_store32(void *p, uint32_t v)
{
	uint8_t *b = (uint8_t *)p;

	qs_store16(b, (uint16_t)v);
	qs_store16(b + 2, (uint16_t)(v >> 16));
}

static inline void
qs_store64(void *p, uint64_t v)
{
	uint8_t *b = (uint8_t *)p;

	qs_store32(b, (uint32_t)v);
	qs_store32(b + 4, (uint32_t)(v >> 32));
}

/*
 * A cursor over foreign bytes.  Reading past the end gives zeros and sets
 * failed for good, so that a parser checks once, at its end.
 */
struct qs_reader {
	const uint8_t *data;
	size_t left;
	bool failed;
};

static inline struct qs_reader
qs_reader(struct qs_span span)
{
	return (struct qs_reader){span.data, span.len, false};
}

/* NULL (and failed) when fewer than len bytes are left. */
const uint8_t *qs_read_bytes(struct qs_reader *reader, size_t len);
uint8_t qs_read8(struct qs_reader *reader);
uint16_t qs_read16(struct qs_reader *reader);
uint32_t qs_read32(struct qs_reader *reader);
uint64_t qs_read64(struct qs_reader *reader);

bool qs_is_zero(const void *data, size_t len); /* not constant time */

static inline bool
qs_add_size(size_t a, size_t b, size_t *sum)
{
	return !__builtin_add_overflow(a, b, sum);
}

static inline bool
qs_mul_size(size_t a, size_t b, size_t *product)
{
	return !__builtin_mul_overflow(a, b, product);
}

/* ----------------------------------------------------------------- ids */

struct qs_id { /* keyed hash of a chunk's plaintext; never leaves the qube */
	uint8_t b[32];
};

struct qs_name { /* BLAKE2b-256 of an object's bytes; public */
	uint8_t b[32];
};

#define QS_HEX_LEN 64

/* Lower-case hex; out has 2*len+1 bytes. */
void qs_hex(char *out, const void *data, size_t len);
/* Exactly 2*len lower-case hex digits and then the end of the string. */
bool qs_unhex(void *out, size_t len, const char *hex);

/* --------------------------------------------------------------- files */

/* close(*fd) if it is >= 0 and set it to -1; never fails. */
void qs_fd_close(int *fd);
/* Read until len bytes or the end of the file; *got says how many. */
QS_MUST_CHECK enum qs_code qs_fd_read(int fd, void *data, size_t len,
	size_t *got, struct qs_err *err);
QS_MUST_CHECK enum qs_code qs_fd_pread(int fd, void *data, size_t len,
	uint64_t offset, size_t *got, struct qs_err *err);
QS_MUST_CHECK enum qs_code qs_fd_write(int fd, const void *data, size_t len,
	struct qs_err *err);
QS_MUST_CHECK enum qs_code qs_fd_pwrite(int fd, const void *data, size_t len,
	uint64_t offset, struct qs_err *err);
/* fsync; a file system that has none (EINVAL, ENOTSUP) counts as success. */
QS_MUST_CHECK enum qs_code qs_fd_sync(int fd, struct qs_err *err);

/*
 * The whole of a small file, at most max bytes (QS_ECORRUPT beyond), appended
 * to buf.  dir_fd may be AT_FDCWD.  QS_ENOTFOUND when there is none.
 */
QS_MUST_CHECK enum qs_code qs_file_load(int dir_fd, const char *path,
	size_t max, struct qs_buf *buf, struct qs_err *err);
/*
 * Replace (or create) a small file so that after a crash it is the old or the
 * new one, whole: temporary file in the same folder, fsync, rename, fsync of
 * the folder.
 */
QS_MUST_CHECK enum qs_code qs_file_replace(int dir_fd, const char *path,
	mode_t mode, struct qs_span data, struct qs_err *err);
/* mkdir -p; existing folders are fine.  Parents are made with mode too. */
QS_MUST_CHECK enum qs_code qs_dir_make(const char *path, mode_t mode,
	struct qs_err *err);
/* Open a folder for *at() calls. */
QS_MUST_CHECK enum qs_code qs_dir_open(int dir_fd, const char *path, int *out,
	struct qs_err *err);

enum qs_xdg {
	QS_XDG_CACHE, /* $XDG_CACHE_HOME or ~/.cache */
	QS_XDG_STATE, /* $XDG_STATE_HOME or ~/.local/state */
	QS_XDG_CONFIG /* $XDG_CONFIG_HOME or ~/.config */
};

/* "<dir>/qstore", heap-allocated, not created. */
QS_MUST_CHECK enum qs_code qs_dir_xdg(enum qs_xdg which, char **out,
	struct qs_err *err);

/* ------------------------------------------------------------- threads */

struct qs_thread;

/* Start fn(arg) in a thread; every thread is joined, none is detached. */
QS_MUST_CHECK enum qs_code qs_thread_start(struct qs_thread **out,
	void (*fn)(void *arg), void *arg, const char *name,
	struct qs_err *err);
void qs_thread_join(struct qs_thread *thread); /* frees; NULL is fine */
/* Processors this process may run on, at least 1. */
unsigned qs_cpu_count(void);

/*
 * A bounded first-in-first-out queue of pointers; thread-safe.  The queue
 * owns nothing: who pops a job owns it.
 */
struct qs_queue;

QS_MUST_CHECK enum qs_code qs_queue_new(size_t capacity,
	struct qs_queue **out, struct qs_err *err);
void qs_queue_free(struct qs_queue *queue);
/* Waits for room.  false: the queue was closed, the item was not taken. */
bool qs_queue_push(struct qs_queue *queue, void *item);
/* Waits for an item.  NULL: closed and empty. */
void *qs_queue_pop(struct qs_queue *queue);
/* An item if there is one now, else NULL. */
void *qs_queue_try_pop(struct qs_queue *queue);
/* No more pushes; pops drain what is left, then give NULL. */
void qs_queue_close(struct qs_queue *queue);

/* ----------------------------------------------------------- processor */

enum qs_cpu_feature {
	QS_CPU_SSE41 = 1,
	QS_CPU_AVX2 = 2,
	QS_CPU_AVX512 = 4, /* F, BW, VL, DQ and the system saves the state */
	QS_CPU_AVX512VBMI = 8,
	QS_CPU_GFNI = 16,
};

/* What this processor has and the mask allows; cheap after the first call. */
unsigned qs_cpu_features(void);
/*
 * Pretend to have only these (tests, `QSTORE_CPU=scalar|avx2|avx512`).  To be
 * called before threads start.
 */
void qs_cpu_mask(unsigned allowed);

/* ----------------------------------------------------------- processes */

/*
 * Run `sh -c command` with our stdin and stderr, and put the first bytes of
 * its stdout, at most max, into out, whose memory the caller provides (so that
 * a passphrase can stay in locked memory).  What it prints beyond them is read
 * and thrown away, up to 1 MiB.  QS_EINVAL when it prints still more (it is
 * killed then) or exits non-zero; out is wiped on failure.
 */
QS_MUST_CHECK enum qs_code qs_process_read(const char *command, uint8_t *out,
	size_t max, size_t *got, struct qs_err *err);

/* ---------------------------------------------------------------- time */

int64_t qs_now_ns(void);  /* wall clock, since 1970 */
int64_t qs_mono_ns(void); /* monotonic */

/* ----------------------------------------------------------------- log */

/*
 * For debugging only (QSTORE_DEBUG=1 writes to stderr): libraries never
 * print.  No secrets, no file names.
 */
void qs_log(const char *fmt, ...) QS_PRINTF(1, 2);
void qs_log_enable(bool on);

#endif
