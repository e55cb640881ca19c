/* SPDX-License-Identifier: ISC */
/*
 * A hub as a store: what is added to it.  An object goes to the hub as soon as
 * it is staged, under no name, and stays here until it is named from our own
 * copy of its bytes: the hub computes the name as well and refuses another.
 */
#include <stdlib.h>

#include "wire/client_internal.h"

/* -------------------------------------------------------------- staging */

/* Room for one more object in memory; waits until there may be. */
static uint8_t *
hold(struct client *client)
{
	uint8_t *room = NULL;

	(void)pthread_mutex_lock(&client->lock);
	while (client->held >= CLIENT_HELD_MAX)
		(void)pthread_cond_wait(&client->changed, &client->lock);
	client->held++;
	if (client->spare_count > 0)
		room = client->spare[--client->spare_count];
	(void)pthread_mutex_unlock(&client->lock);
	return room != NULL ? room : malloc(QS_PACK_MAX);
}

static void
let_go(struct client *client, struct client_stage *stage)
{
	(void)pthread_mutex_lock(&client->lock);
	client->held--;
	if (stage->object != NULL)
		client->spare[client->spare_count++] = stage->object;
	(void)pthread_cond_broadcast(&client->changed);
	(void)pthread_mutex_unlock(&client->lock);
	free(stage);
}

enum qs_code
qs_client_stage(void *arg, struct qs_span object, struct qs_stage **out,
	struct qs_err *err)
{
	struct client *client = arg;
	struct client_stage *stage;
	uint8_t head[4];
	enum qs_code rc;

	if (object.len > QS_PACK_MAX)
		return qs_fail(err, QS_EINVAL, "an object of %zu bytes is too "
			"long", object.len);
	stage = calloc(1, sizeof(*stage));
	if (stage == NULL)
		return qs_fail_nomem(err, "sending an object");
	stage->object = hold(client);
	stage->len = object.len;
	rc = stage->object == NULL ? qs_fail_nomem(err, "sending an object") :
		QS_OK;
	if (rc == QS_OK) {
		memcpy(stage->object, object.data, object.len);
		qs_store32(head, (uint32_t)object.len);
		rc = qs_client_send(client, QS_VERB_STAGE,
			qs_span(head, sizeof(head)), QS_VERB_DATA, object,
			&stage->request, &stage->link_number, err);
	}
	if (rc != QS_OK) {
		let_go(client, stage);
		return rc;
	}
	*out = (struct qs_stage *)stage;
	return QS_OK;
}

enum qs_code
qs_client_stage_read(void *arg, struct qs_stage *opaque, uint64_t offset,
	uint8_t *out, size_t len, size_t *got, struct qs_err *err)
{
	const struct client_stage *stage = (const struct client_stage *)opaque;
	size_t left;

	(void)arg;
	(void)err;
	left = offset >= stage->len ? 0 : stage->len - (size_t)offset;
	if (left > len)
		left = len;
	if (left > 0)
		memcpy(out, stage->object + offset, left);
	*got = left;
	return QS_OK;
}

struct qs_span
qs_client_stage_bytes(void *arg, const struct qs_stage *opaque)
{
	const struct client_stage *stage =
		(const struct client_stage *)opaque;

	(void)arg;
	return qs_span(stage->object, stage->len);
}

/* What was staged on a connection that broke is gone at the hub. */
static enum qs_code
check_link(struct client *client, struct qs_stage *const *stages, size_t count,
	struct qs_err *err)
{
	uint64_t number;

	(void)pthread_mutex_lock(&client->lock);
	number = client->link_number;
	(void)pthread_mutex_unlock(&client->lock);
	for (size_t i = 0; i < count; i++) {
		if (((const struct client_stage *)stages[i])->link_number !=
			number)
			return qs_fail(err, QS_ENET, "%s: the connection was "
				"lost while objects were on their way; run it "
				"again", client->place);
	}
	return QS_OK;
}

void
qs_client_discard(void *arg, struct qs_stage *opaque)
{
	struct client *client = arg;
	struct client_stage *stage = (struct client_stage *)opaque;
	uint8_t request[8];
	const struct client_ask ask = {
		.verb = QS_VERB_DISCARD,
		.request = qs_span(request, sizeof(request)),
	};
	struct qs_err ignored;

	if (stage == NULL)
		return;
	/* It goes with the connection, too; a new one never had it. */
	qs_store64(request, stage->request);
	if (check_link(client, &opaque, 1, &ignored) == QS_OK &&
		qs_client_ask(client, &ask, &ignored) != QS_OK)
		qs_log("discarding a staged object: %s", ignored.msg);
	let_go(client, stage);
}

/* ------------------------------------------------------------ committing */

#define PAIR 40

static enum qs_code
commit_some(struct client *client, struct qs_stage *const *stages,
	const struct qs_name *names, size_t count, struct qs_err *err)
{
	uint8_t pairs[QS_WIRE_STAGED_MAX * PAIR];
	const struct client_ask ask = {
		.verb = QS_VERB_COMMIT,
		.request = qs_span(pairs, count * PAIR),
	};

	for (size_t i = 0; i < count; i++) {
		const struct client_stage *stage =
			(const struct client_stage *)stages[i];

		qs_store64(pairs + i * PAIR, stage->request);
		memcpy(pairs + i * PAIR + 8, names[i].b, 32);
	}
	return qs_client_ask(client, &ask, err);
}

enum qs_code
qs_client_commit(void *arg, struct qs_stage **stages,
	const struct qs_name *names, size_t count, struct qs_err *err)
{
	struct client *client = arg;
	enum qs_code rc = check_link(client, stages, count, err);

	for (size_t at = 0; rc == QS_OK && at < count;) {
		size_t part = count - at;

		if (part > QS_WIRE_STAGED_MAX)
			part = QS_WIRE_STAGED_MAX;
		rc = commit_some(client, stages + at, names + at, part, err);
		at += part;
	}
	for (size_t i = 0; i < count; i++) {
		let_go(client, (struct client_stage *)stages[i]);
		stages[i] = NULL;
	}
	return rc;
}

static void
no_restart(void *arg)
{
	(void)arg;
}

enum qs_code
qs_client_settle(void *arg, const struct qs_name *names, size_t count,
	struct qs_err *err)
{
	enum qs_code rc = QS_OK;

	for (size_t at = 0; rc == QS_OK && at < count;) {
		size_t part = count - at;
		struct client_ask ask = {
			.verb = QS_VERB_SETTLE,
			.restart = no_restart, /* twice does no harm */
		};

		if (part > QS_WIRE_HAVE_MAX)
			part = QS_WIRE_HAVE_MAX;
		ask.request = qs_span(names + at, part * sizeof(*names));
		rc = qs_client_ask(arg, &ask, err);
		at += part;
	}
	return rc;
}

/* --------------------------------------------------------- log, key slots */

enum qs_code
qs_client_append(void *arg, const struct qs_record *record, struct qs_err *err)
{
	uint8_t head[4];
	uint64_t request, link_number;
	struct qs_name name;

	qs_hash_name(record->bytes, &name);
	if (record->bytes.len < QS_RECORD_UNIT ||
		record->bytes.len > QS_RECORD_MAX ||
		memcmp(name.b, record->name.b, sizeof(name.b)) != 0)
		return qs_fail(err, QS_EINVAL, "log record: its name is not "
			"that of its bytes");
	qs_store32(head, (uint32_t)record->bytes.len);
	return qs_client_send(arg, QS_VERB_APPEND, qs_span(head, sizeof(head)),
		QS_VERB_MORE, record->bytes, &request, &link_number, err);
}

enum qs_code
qs_client_put_key(void *arg, struct qs_span slot, struct qs_name *name,
	struct qs_err *err)
{
	struct client *client = arg;
	struct client_answer answer = {.max = 32};
	const struct qs_sink sink = {qs_client_gather, &answer};
	const struct client_ask ask = {
		.verb = QS_VERB_PUT_KEY,
		.request = slot,
		.sink = &sink,
	};
	struct qs_name ours;
	enum qs_code rc;

	if (slot.len != QS_SLOT_LEN)
		return qs_fail(err, QS_EINVAL, "key slot: %zu bytes is not "
			"the length of one", slot.len);
	qs_hash_name(slot, &ours);
	rc = qs_client_ask(client, &ask, err);
	if (rc == QS_OK && (answer.bytes.len != sizeof(ours.b) ||
		memcmp(answer.bytes.data, ours.b, sizeof(ours.b)) != 0))
		rc = qs_fail(err, QS_EPROTO, "%s: it gave a key slot another "
			"name than it has", client->place);
	qs_buf_clear(&answer.bytes);
	if (rc == QS_OK)
		*name = ours;
	return rc;
}

enum qs_code
qs_client_drop_key(void *arg, const struct qs_name *name, struct qs_err *err)
{
	const struct client_ask ask = {
		.verb = QS_VERB_DROP_KEY,
		.request = qs_span(name->b, sizeof(name->b)),
	};

	return qs_client_ask(arg, &ask, err);
}
