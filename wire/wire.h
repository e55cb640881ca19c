/* SPDX-License-Identifier: ISC */
/*
 * wire: the store protocol (docs/PROTOCOL.md): its bytes, which both ends
 * share, and the client, which makes a hub at the other end of a qrexec call,
 * an ssh session, a socket or a pipe a struct qs_store like any other.
 *
 * Keyless: nothing here knows what the objects hold.
 */
#ifndef QS_WIRE_H
#define QS_WIRE_H

#include "base/base.h"
#include "store/store.h"

/* -------------------------------------------------------------- places */

/*
 * The places that a URL can mean:
 *   PATH                  a directory store
 *   qrexec://VM/FOLDER    the hub in a qube, through qrexec-client-vm
 *   ssh://[USER@]HOST[:PORT]/PATH   PATH on a host, through the system's ssh
 *   unix:PATH[#FOLDER]    a hub that listens on a Unix socket
 *   exec:COMMAND          a program that speaks the protocol, through sh -c
 *
 * As qs_store_folders, qs_store_open and qs_store_create, for every one of
 * them.  QS_ENET when the other end can't be reached or went away, QS_EPROTO
 * when it broke the protocol.  A store of the others' kind may be used from
 * several threads; it has one connection.
 */
QS_MUST_CHECK enum qs_code qs_url_folders(const char *url,
	struct qs_folder_list *out, struct qs_err *err);
QS_MUST_CHECK enum qs_code qs_url_open(const char *url,
	const uint8_t folder_id[static QS_FOLDER_ID_LEN],
	struct qs_store **out, struct qs_err *err);
QS_MUST_CHECK enum qs_code qs_url_create(const char *url,
	const uint8_t folder_id[static QS_FOLDER_ID_LEN],
	struct qs_store **out, struct qs_err *err);
/* Chooses one of the folders (there is at least one) into id. */
typedef enum qs_code (*qs_choose_fn)(void *arg,
	const struct qs_folder_list *list, uint8_t id[static QS_FOLDER_ID_LEN],
	struct qs_err *err);
/* List, choose and open on one connection. */
QS_MUST_CHECK enum qs_code qs_url_open_one(const char *url,
	qs_choose_fn choose, void *arg, struct qs_store **out,
	struct qs_err *err);
/* Is it one of the others' kinds (and not the path of a directory)? */
bool qs_url_is_remote(const char *url);

/*
 * Seconds of silence until a hub is given up (300, and 120 for its greeting,
 * unless told otherwise).  For the whole program.
 */
void qs_wire_set_patience(unsigned seconds);

/* ---------------------------------------------- what came since, remote */

/* Called for each file that arrived after a number, in that order. */
typedef enum qs_code (*qs_arrival_fn)(void *arg, uint64_t number,
	const struct qs_ref *ref, struct qs_err *err);

/*
 * Of a remote store (QS_EUNSUPPORTED else): the files that arrived after
 * number since; *newest is the highest number there.
 */
QS_MUST_CHECK enum qs_code qs_wire_since(struct qs_store *store,
	uint64_t since, qs_arrival_fn fn, void *arg, uint64_t *newest,
	struct qs_err *err);
/* Wait until something arrives after since, at most so many seconds. */
QS_MUST_CHECK enum qs_code qs_wire_news(struct qs_store *store,
	uint64_t since, unsigned seconds, uint64_t *newest,
	struct qs_err *err);

/* --------------------------------------------------------------- frames */

#define QS_WIRE_VERSION 1
#define QS_WIRE_HEAD 16
#define QS_WIRE_LEN_MAX (1u << 20)  /* bytes after a frame's head */
#define QS_WIRE_GREETING 64
#define QS_WIRE_TEXT_MAX 500        /* bytes of a refusal's sentence */
#define QS_WIRE_NAME_MAX 47         /* of a hub folder's name */
#define QS_WIRE_FILE 56             /* an encoded file */
#define QS_WIRE_PATH_MAX 4096       /* of a foreign file */
#define QS_WIRE_HAVE_MAX 4096       /* names in one HAVE */
#define QS_WIRE_SINCE_MAX 4096      /* entries that one SINCE gives */
#define QS_WIRE_GET_MAX (16u << 20)
#define QS_WIRE_STAGED_MAX 64       /* staged objects of a connection */
#define QS_WIRE_PENDING_MAX 1024    /* unanswered requests */

enum qs_verb {
	QS_VERB_FOLDERS = 1,
	QS_VERB_OPEN = 2,
	QS_VERB_CREATE = 3,
	QS_VERB_LIST = 4,
	QS_VERB_GET = 5,
	QS_VERB_HAVE = 6,
	QS_VERB_STAGE = 7,
	QS_VERB_DATA = 8,
	QS_VERB_COMMIT = 9,
	QS_VERB_DISCARD = 10,
	QS_VERB_APPEND = 11,
	QS_VERB_MORE = 12,
	QS_VERB_PUT_KEY = 13,
	QS_VERB_SINCE = 14,
	QS_VERB_NEWS = 15,
	QS_VERB_DROP_KEY = 16,
	QS_VERB_SETTLE = 17,
};

enum qs_wire_mode { /* what the caller may do */
	QS_MODE_RO = 1,
	QS_MODE_RW = 2,
	QS_MODE_TRANSFER = 3,
};

enum qs_wire_flag { QS_WIRE_MORE_FOLLOWS = 1 };

struct qs_wire_head { /* of a frame */
	uint32_t len;
	enum qs_verb verb;
	uint8_t flags;
	enum qs_code code;
	uint64_t request;
};

void qs_wire_head_encode(const struct qs_wire_head *head,
	uint8_t out[static QS_WIRE_HEAD]);
/*
 * QS_EPROTO: len over QS_WIRE_LEN_MAX, an unknown verb, flag or code, request
 * 0.  What the verb allows is the caller's business.
 */
QS_MUST_CHECK enum qs_code qs_wire_head_decode(
	const uint8_t in[static QS_WIRE_HEAD], struct qs_wire_head *out,
	struct qs_err *err);

struct qs_wire_hello { /* the client's greeting */
	uint16_t least, highest;
	char folder[QS_WIRE_NAME_MAX + 1]; /* "": the one that was called */
};

struct qs_wire_welcome { /* the hub's */
	uint16_t version; /* 0: refused, and why: */
	enum qs_code code;
	uint32_t text_len; /* bytes that follow */
	enum qs_wire_mode mode;
};

void qs_wire_hello_encode(const struct qs_wire_hello *hello,
	uint8_t out[static QS_WIRE_GREETING]);
QS_MUST_CHECK enum qs_code qs_wire_hello_decode(
	const uint8_t in[static QS_WIRE_GREETING],
	struct qs_wire_hello *out, struct qs_err *err);
void qs_wire_welcome_encode(const struct qs_wire_welcome *welcome,
	uint8_t out[static QS_WIRE_GREETING]);
QS_MUST_CHECK enum qs_code qs_wire_welcome_decode(
	const uint8_t in[static QS_WIRE_GREETING],
	struct qs_wire_welcome *out, struct qs_err *err);

/* A file as it is named in requests and listings; not its size. */
void qs_wire_file_encode(const struct qs_ref *ref,
	uint8_t out[static QS_WIRE_FILE]);
QS_MUST_CHECK enum qs_code qs_wire_file_decode(
	const uint8_t in[static QS_WIRE_FILE], struct qs_ref *out,
	struct qs_err *err);

/* ^[a-z0-9][a-z0-9._-]{0,62}$ without "..": qubes, hub folders, principals. */
bool qs_wire_name_ok(const char *name);

/* ----------------------------------------------------- a framed stream */

/*
 * Two descriptors (they may be the same) of which one end of the protocol
 * reads and to which it writes.  Reads are buffered.  One thread reads; writes
 * are whole frames, by one thread at a time.
 */
struct qs_wire;

/* Takes the descriptors, also on failure. */
QS_MUST_CHECK enum qs_code qs_wire_new(int in, int out, struct qs_wire **out_p,
	struct qs_err *err);
void qs_wire_free(struct qs_wire *wire); /* closes them; NULL is fine */
/*
 * Exactly len bytes.  seconds: how long to wait for them all, 0: for ever.
 * *end (NULL: an end is a failure) when the stream ends before the first.
 * QS_ENET: it ended within, failed, or the time is over.
 */
QS_MUST_CHECK enum qs_code qs_wire_read(struct qs_wire *wire, void *out,
	size_t len, unsigned seconds, bool *end, struct qs_err *err);
/* A frame: head and bytes in one go.  QS_ENET. */
QS_MUST_CHECK enum qs_code qs_wire_write(struct qs_wire *wire,
	const struct qs_wire_head *head, struct qs_span bytes,
	unsigned seconds, struct qs_err *err);
/*
 * A frame whose bytes are in a file, head->len of them at offset: without
 * copying them where the system can.  QS_EIO: they could not be read and the
 * frame is not whole: the connection is of no more use.
 */
QS_MUST_CHECK enum qs_code qs_wire_write_file(struct qs_wire *wire,
	const struct qs_wire_head *head, int fd, uint64_t offset,
	unsigned seconds, struct qs_err *err);
/* Bytes that are no frame: the greeting. */
QS_MUST_CHECK enum qs_code qs_wire_write_raw(struct qs_wire *wire,
	struct qs_span bytes, unsigned seconds, struct qs_err *err);
/* Are bytes there already, read from the stream and not yet asked for? */
bool qs_wire_is_ahead(const struct qs_wire *wire);
int qs_wire_in_fd(const struct qs_wire *wire);

#endif
