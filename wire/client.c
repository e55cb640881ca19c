/* SPDX-License-Identifier: ISC */
/*
 * A hub as a struct qs_store: URLs, the connection and its renewal.  What only
 * reads is asked once more on a new connection when the old one broke: a mount
 * outlives its hub's restart.
 */
#include <stdlib.h>

#include "wire/client_internal.h"

#define RETRY_NS ((int64_t)5 * 1000000000) /* between two connections */

/* --------------------------------------------------------------- answers */

enum qs_code
qs_client_gather(void *arg, uint32_t len, uint8_t **into, struct qs_err *err)
{
	struct client_answer *answer = arg;

	if (len > answer->max - answer->bytes.len)
		return qs_fail(err, QS_EPROTO, "an answer is longer than it "
			"can be");
	return qs_buf_extend(&answer->bytes, len, into, err);
}

void
qs_client_restart(void *arg)
{
	struct client_answer *answer = arg;

	answer->bytes.len = 0;
}

/* ---------------------------------------------------------------- links */

/* Open (or create) the folder on a link; verb says which. */
static enum qs_code
enter_folder(struct qs_link *link, enum qs_verb verb, const uint8_t *folder_id,
	struct qs_err *err)
{
	return qs_link_call(link, verb, qs_span(folder_id, QS_FOLDER_ID_LEN),
		NULL, 0, err);
}

static enum qs_code
open_link(const struct qs_url *url, const uint8_t *folder_id,
	struct qs_link **out, struct qs_err *err)
{
	struct qs_link *link = NULL;
	enum qs_code rc = qs_link_open(url, &link, err);

	if (rc == QS_OK)
		rc = enter_folder(link, QS_VERB_OPEN, folder_id, err);
	if (rc != QS_OK) {
		qs_link_close(link);
		return rc;
	}
	*out = link;
	return QS_OK;
}

static bool
may_renew(const struct client *client)
{
	return client->link == NULL || (client->link_users == 0 &&
		qs_link_is_dead(client->link));
}

/* With the lock held; a dead link that nobody is on any more is replaced. */
static enum qs_code
renew(struct client *client, struct qs_err *err)
{
	struct qs_link *old = client->link, *link = NULL;
	int64_t now = qs_mono_ns();
	enum qs_code rc;

	client->link = NULL;
	if (old != NULL)
		qs_link_failure(old, &client->lost);
	qs_link_close(old);
	/* Why it was lost is what a user can do something about. */
	if (client->tried != 0 && now - client->tried < RETRY_NS) {
		*err = client->lost;
		return err->code;
	}
	client->tried = now;
	rc = open_link(&client->url, client->folder_id, &link, err);
	if (rc != QS_OK) {
		client->lost = *err;
		return rc;
	}
	client->link = link;
	client->link_number++;
	return QS_OK;
}

/* With the lock held: dead, and others are still on it, who soon leave. */
static bool
is_being_left(const struct client *client)
{
	return client->link != NULL && client->link_users > 0 &&
		qs_link_is_dead(client->link);
}

/*
 * One to call on, to be given back.  Of several threads whose link died under
 * them the first to be back waits for the others: else it would be given the
 * dead one again, and fail where one alone would go on.
 */
static enum qs_code
take_link(struct client *client, struct qs_link **out, uint64_t *number,
	struct qs_err *err)
{
	enum qs_code rc = QS_OK;

	(void)pthread_mutex_lock(&client->lock);
	while (is_being_left(client))
		(void)pthread_cond_wait(&client->changed, &client->lock);
	if (may_renew(client))
		rc = renew(client, err);
	if (rc == QS_OK) {
		client->link_users++;
		*out = client->link;
		*number = client->link_number;
	}
	(void)pthread_mutex_unlock(&client->lock);
	return rc;
}

static void
give_link(struct client *client)
{
	(void)pthread_mutex_lock(&client->lock);
	client->link_users--;
	(void)pthread_cond_broadcast(&client->changed);
	(void)pthread_mutex_unlock(&client->lock);
}

enum qs_code
qs_client_ask(struct client *client, const struct client_ask *ask,
	struct qs_err *err)
{
	enum qs_code rc = QS_OK;

	for (int tries = 0; tries < 2; tries++) {
		struct qs_link *link = NULL;
		uint64_t number;
		bool was_lost;

		rc = take_link(client, &link, &number, err);
		if (rc != QS_OK)
			return rc;
		rc = qs_link_call(link, ask->verb, ask->request, ask->sink,
			ask->wait_s, err);
		was_lost = rc == QS_ENET && qs_link_is_dead(link);
		give_link(client);
		if (!was_lost || ask->restart == NULL)
			return rc;
		ask->restart(ask->arg);
	}
	return rc;
}

enum qs_code
qs_client_send(struct client *client, enum qs_verb verb, struct qs_span head,
	enum qs_verb more, struct qs_span body, uint64_t *request,
	uint64_t *link_number, struct qs_err *err)
{
	struct qs_link *link = NULL;
	enum qs_code rc = take_link(client, &link, link_number, err);

	if (rc != QS_OK)
		return rc;
	rc = qs_link_send(link, verb, head, more, body, request, err);
	give_link(client);
	return rc;
}

/* -------------------------------------------------------------- opening */

static void
client_close(void *arg)
{
	struct client *client = arg;

	qs_link_close(client->link);
	qs_url_clear(&client->url);
	while (client->spare_count > 0)
		free(client->spare[--client->spare_count]);
	(void)pthread_cond_destroy(&client->changed);
	(void)pthread_mutex_destroy(&client->lock);
	free(client);
}

static const struct qs_store_ops client_ops = {
	.list = qs_client_list,
	.get = qs_client_get,
	.have = qs_client_have,
	.settle = qs_client_settle,
	.stage = qs_client_stage,
	.stage_read = qs_client_stage_read,
	.stage_bytes = qs_client_stage_bytes,
	.commit = qs_client_commit,
	.discard = qs_client_discard,
	.append = qs_client_append,
	.put_key = qs_client_put_key,
	.drop_key = qs_client_drop_key,
	.close = client_close,
};

enum qs_code
qs_client_new(struct qs_url *url, struct qs_link **link,
	const uint8_t folder_id[static QS_FOLDER_ID_LEN],
	struct qs_store **out, struct qs_err *err)
{
	struct qs_store *store = calloc(1, sizeof(*store));
	struct client *client = calloc(1, sizeof(*client));
	char *place = strdup(url->place);

	if (store == NULL || client == NULL || place == NULL) {
		free(client);
		free(store);
		free(place);
		return qs_fail_nomem(err, "opening a store");
	}
	(void)pthread_mutex_init(&client->lock, NULL);
	(void)pthread_cond_init(&client->changed, NULL);
	client->url = *url;
	client->link = *link;
	memset(url, 0, sizeof(*url)); /* handed over */
	*link = NULL;
	memcpy(client->folder_id, folder_id, QS_FOLDER_ID_LEN);
	client->place = place;
	*store = (struct qs_store){
		.ops = &client_ops,
		.self = client,
		.place = place,
		.batch = CLIENT_BATCH,
	};
	memcpy(store->folder_id, folder_id, QS_FOLDER_ID_LEN);
	*out = store;
	return QS_OK;
}

static int
compare_ids(const void *a, const void *b)
{
	return memcmp(a, b, QS_FOLDER_ID_LEN);
}

enum qs_code
qs_client_folders(struct qs_link *link, const char *place,
	struct qs_folder_list *out, struct qs_err *err)
{
	struct client_answer answer = {.max = QS_WIRE_LEN_MAX};
	const struct qs_sink sink = {qs_client_gather, &answer};
	struct qs_folder_list list = {0};
	enum qs_code rc = qs_link_call(link, QS_VERB_FOLDERS,
		qs_span(NULL, 0), &sink, 0, err);
	const size_t len = answer.bytes.len;

	if (rc == QS_OK && len % QS_FOLDER_ID_LEN != 0)
		rc = qs_fail(err, QS_EPROTO, "%s: its list of folders is "
			"malformed", place);
	if (rc == QS_OK && len == 0)
		rc = qs_fail(err, QS_ENOSTORE, "no qstore store at %s "
			"(create one with: qstore init)", place);
	if (rc == QS_OK) {
		list.ids = malloc(len);
		if (list.ids == NULL)
			rc = qs_fail_nomem(err, "listing folders");
	}
	if (rc == QS_OK) {
		list.count = len / QS_FOLDER_ID_LEN;
		memcpy(list.ids, answer.bytes.data, len);
		qsort(list.ids, list.count, sizeof(*list.ids), compare_ids);
		*out = list;
	}
	qs_buf_clear(&answer.bytes);
	return rc;
}

/* ----------------------------------------------------------------- URLs */

static enum qs_code
enter(const char *text, enum qs_verb verb,
	const uint8_t folder_id[static QS_FOLDER_ID_LEN],
	struct qs_store **out, struct qs_err *err)
{
	struct qs_url url = {.kind = QS_URL_PATH};
	struct qs_link *link = NULL;
	enum qs_code rc = qs_url_parse(text, &url, err);

	if (rc == QS_OK)
		rc = qs_link_open(&url, &link, err);
	if (rc == QS_OK)
		rc = enter_folder(link, verb, folder_id, err);
	if (rc == QS_OK)
		rc = qs_client_new(&url, &link, folder_id, out, err);
	qs_link_close(link);
	qs_url_clear(&url);
	return rc;
}

enum qs_code
qs_url_open(const char *url, const uint8_t folder_id[static QS_FOLDER_ID_LEN],
	struct qs_store **out, struct qs_err *err)
{
	return qs_url_is_remote(url) ?
		enter(url, QS_VERB_OPEN, folder_id, out, err) :
		qs_store_open(url, folder_id, out, err);
}

enum qs_code
qs_url_create(const char *url, const uint8_t folder_id[static QS_FOLDER_ID_LEN],
	struct qs_store **out, struct qs_err *err)
{
	return qs_url_is_remote(url) ?
		enter(url, QS_VERB_CREATE, folder_id, out, err) :
		qs_store_create(url, folder_id, out, err);
}

enum qs_code
qs_url_folders(const char *text, struct qs_folder_list *out, struct qs_err *err)
{
	struct qs_url url = {.kind = QS_URL_PATH};
	struct qs_link *link = NULL;
	enum qs_code rc;

	if (!qs_url_is_remote(text))
		return qs_store_folders(text, out, err);
	rc = qs_url_parse(text, &url, err);
	if (rc == QS_OK)
		rc = qs_link_open(&url, &link, err);
	if (rc == QS_OK)
		rc = qs_client_folders(link, text, out, err);
	qs_link_close(link);
	qs_url_clear(&url);
	return rc;
}

static enum qs_code
open_one_there(const char *text, qs_choose_fn choose, void *arg,
	struct qs_store **out, struct qs_err *err)
{
	struct qs_url url = {.kind = QS_URL_PATH};
	struct qs_folder_list list = {0};
	struct qs_link *link = NULL;
	uint8_t id[QS_FOLDER_ID_LEN];
	enum qs_code rc = qs_url_parse(text, &url, err);

	if (rc == QS_OK)
		rc = qs_link_open(&url, &link, err);
	if (rc == QS_OK)
		rc = qs_client_folders(link, text, &list, err);
	if (rc == QS_OK)
		rc = choose(arg, &list, id, err);
	if (rc == QS_OK)
		rc = enter_folder(link, QS_VERB_OPEN, id, err);
	if (rc == QS_OK)
		rc = qs_client_new(&url, &link, id, out, err);
	qs_folder_list_clear(&list);
	qs_link_close(link);
	qs_url_clear(&url);
	return rc;
}

enum qs_code
qs_url_open_one(const char *url, qs_choose_fn choose, void *arg,
	struct qs_store **out, struct qs_err *err)
{
	struct qs_folder_list list = {0};
	uint8_t id[QS_FOLDER_ID_LEN];
	enum qs_code rc;

	if (qs_url_is_remote(url))
		return open_one_there(url, choose, arg, out, err);
	rc = qs_store_folders(url, &list, err);
	if (rc == QS_OK)
		rc = choose(arg, &list, id, err);
	if (rc == QS_OK)
		rc = qs_store_open(url, id, out, err);
	qs_folder_list_clear(&list);
	return rc;
}

enum qs_code
qs_client_of(struct qs_store *store, struct client **out, struct qs_err *err)
{
	if (store->ops != &client_ops)
		return qs_fail(err, QS_EUNSUPPORTED, "%s: only a hub can tell "
			"what came when", store->place);
	*out = store->self;
	return QS_OK;
}
