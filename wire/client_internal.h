/* SPDX-License-Identifier: ISC */
/* A hub as a store, between its own files. */
#ifndef QS_CLIENT_INTERNAL_H
#define QS_CLIENT_INTERNAL_H

#include "wire/wire_internal.h"

/*
 * Objects that are staged at the hub are kept here until they are named: a hub
 * is not believed what it says of their bytes.  No more than this many.
 */
#define CLIENT_HELD_MAX 5
#define CLIENT_BATCH 4 /* named and committed together */

struct client {
	struct qs_url url;
	uint8_t folder_id[QS_FOLDER_ID_LEN];
	const char *place; /* the store's */
	pthread_mutex_t lock;  /* of what follows */
	pthread_cond_t changed;
	struct qs_link *link;
	unsigned link_users; /* calls that are on it */
	unsigned held;       /* staged objects */
	/* Room of QS_PACK_MAX that was used before: new memory costs time. */
	uint8_t *spare[CLIENT_HELD_MAX];
	unsigned spare_count;
	uint64_t link_number; /* how many links there have been */
	int64_t tried;       /* when a new one was tried last; monotonic */
	struct qs_err lost;  /* why there is none, when link is NULL */
};

struct client_stage {
	uint64_t request;     /* of its STAGE */
	uint64_t link_number; /* on which it is staged */
	uint8_t *object;      /* QS_PACK_MAX of room */
	size_t len;
};

/* What is asked on a link, and where the answer goes. */
struct client_ask {
	enum qs_verb verb;
	struct qs_span request;
	const struct qs_sink *sink;
	unsigned wait_s;
	void (*restart)(void *arg); /* forget what came; then it may be asked
				     * once more on a new connection */
	void *arg;
};

QS_MUST_CHECK enum qs_code qs_client_ask(struct client *client,
	const struct client_ask *ask, struct qs_err *err);
/*
 * The same for what is sent in several frames, never sent twice.
 */
QS_MUST_CHECK enum qs_code qs_client_send(struct client *client,
	enum qs_verb verb, struct qs_span head, enum qs_verb more,
	struct qs_span body, uint64_t *request, uint64_t *link_number,
	struct qs_err *err);

/* A store at the end of a link; takes *url and *link on success. */
QS_MUST_CHECK enum qs_code qs_client_new(struct qs_url *url,
	struct qs_link **link, const uint8_t folder_id[static QS_FOLDER_ID_LEN],
	struct qs_store **out, struct qs_err *err);
/* The folders that a hub tells of; place is for messages. */
QS_MUST_CHECK enum qs_code qs_client_folders(struct qs_link *link,
	const char *place, struct qs_folder_list *out, struct qs_err *err);

/* QS_EUNSUPPORTED when the store is of another kind. */
QS_MUST_CHECK enum qs_code qs_client_of(struct qs_store *store,
	struct client **out, struct qs_err *err);

/* An answer gathered whole, up to max bytes. */
struct client_answer {
	struct qs_buf bytes;
	size_t max;
};

enum qs_code qs_client_gather(void *arg, uint32_t len, uint8_t **into,
	struct qs_err *err);
void qs_client_restart(void *arg);

/* client_read.c */
enum qs_code qs_client_list(void *arg, enum qs_area area, qs_list_fn fn,
	void *fn_arg, struct qs_err *err);
enum qs_code qs_client_get(void *arg, const struct qs_ref *ref,
	uint64_t offset, uint8_t *out, size_t len, size_t *got,
	struct qs_err *err);
enum qs_code qs_client_have(void *arg, const struct qs_name *names,
	size_t count, uint64_t *sizes, struct qs_err *err);

/* client_write.c */
enum qs_code qs_client_settle(void *arg, const struct qs_name *names,
	size_t count, struct qs_err *err);
enum qs_code qs_client_stage(void *arg, struct qs_span object,
	struct qs_stage **out, struct qs_err *err);
enum qs_code qs_client_stage_read(void *arg, struct qs_stage *stage,
	uint64_t offset, uint8_t *out, size_t len, size_t *got,
	struct qs_err *err);
struct qs_span qs_client_stage_bytes(void *arg, const struct qs_stage *stage);
enum qs_code qs_client_commit(void *arg, struct qs_stage **stages,
	const struct qs_name *names, size_t count, struct qs_err *err);
void qs_client_discard(void *arg, struct qs_stage *stage);
enum qs_code qs_client_append(void *arg, const struct qs_record *record,
	struct qs_err *err);
enum qs_code qs_client_put_key(void *arg, struct qs_span slot,
	struct qs_name *name, struct qs_err *err);
enum qs_code qs_client_drop_key(void *arg, const struct qs_name *name,
	struct qs_err *err);

#endif
