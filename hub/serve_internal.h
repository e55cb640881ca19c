/* SPDX-License-Identifier: ISC */
/* One connection being served, between the files of the server. */
#ifndef QS_SERVE_INTERNAL_H
#define QS_SERVE_INTERNAL_H

#include "hub/hub.h"

struct served_stage {
	uint64_t request; /* of its STAGE; 0: free */
	struct qs_stage *stage;
	uint64_t size, xxh3;
};

/* An object or a record that is coming in: one at a time. */
struct served_body {
	enum qs_verb verb; /* STAGE or APPEND; 0: none is */
	uint64_t request;
	size_t len;
	bool is_refused;   /* the rest is read and thrown away */
	size_t got;
	struct qs_buf bytes; /* kept for the next one */
};

struct served {
	const struct qs_serve_options *options;
	struct qs_wire *wire;
	unsigned patience_s, idle_s;    /* as the options have it, not 0 */
	struct qs_store *store;         /* NULL: none is open yet */
	struct qs_catalogue *catalogue; /* NULL in mode ro */
	struct qs_admission *admission; /* likewise */
	struct qs_rate *rate;
	int hub_fd;                     /* the folder's hub/, or -1 */
	int seat;                       /* this connection's lock, or -1 */
	struct served_body body;
	struct served_stage stages[QS_WIRE_STAGED_MAX];
	uint64_t staged_bytes;
	uint8_t *frame; /* QS_WIRE_LEN_MAX + QS_WIRE_HEAD: a request's bytes */
	uint8_t *reply; /* QS_WIRE_LEN_MAX: an answer's */
};

struct served_request {
	enum qs_verb verb;
	uint64_t number;
	struct qs_span bytes;
};

/*
 * Each carries out one verb.  QS_OK: it has answered (or has nothing to answer
 * yet).  A failure before it has answered is the refusal, told by the caller;
 * QS_ENET and QS_EPROTO end the connection.
 */
typedef enum qs_code (*served_verb)(struct served *served,
	const struct served_request *request, struct qs_err *err);

enum qs_code qs_served_folders(struct served *served,
	const struct served_request *request, struct qs_err *err);
enum qs_code qs_served_list(struct served *served,
	const struct served_request *request, struct qs_err *err);
enum qs_code qs_served_get(struct served *served,
	const struct served_request *request, struct qs_err *err);
enum qs_code qs_served_have(struct served *served,
	const struct served_request *request, struct qs_err *err);
enum qs_code qs_served_since(struct served *served,
	const struct served_request *request, struct qs_err *err);
enum qs_code qs_served_news(struct served *served,
	const struct served_request *request, struct qs_err *err);

enum qs_code qs_served_begin(struct served *served,
	const struct served_request *request, struct qs_err *err);
enum qs_code qs_served_more(struct served *served,
	const struct served_request *request, struct qs_err *err);
/* The record that has come whole, into the log. */
enum qs_code qs_served_append(struct served *served, struct qs_err *err);
enum qs_code qs_served_commit(struct served *served,
	const struct served_request *request, struct qs_err *err);
enum qs_code qs_served_settle(struct served *served,
	const struct served_request *request, struct qs_err *err);
enum qs_code qs_served_discard(struct served *served,
	const struct served_request *request, struct qs_err *err);
enum qs_code qs_served_put_key(struct served *served,
	const struct served_request *request, struct qs_err *err);
enum qs_code qs_served_drop_key(struct served *served,
	const struct served_request *request, struct qs_err *err);

enum qs_code qs_served_open(struct served *served,
	const struct served_request *request, struct qs_err *err);
/* Its catalogue, seat, rate and stages. */
void qs_served_close(struct served *served);

/* A frame of a good answer. */
QS_MUST_CHECK enum qs_code qs_served_answer(struct served *served,
	const struct served_request *request, struct qs_span bytes,
	bool more_follow, struct qs_err *err);
/* The same for a refusal, which is counted. */
QS_MUST_CHECK enum qs_code qs_served_refuse(struct served *served,
	const struct served_request *request, const struct qs_err *why,
	struct qs_err *err);
/* The other end broke the protocol. */
enum qs_code qs_served_malformed(const struct served_request *request,
	struct qs_err *err);

#endif
