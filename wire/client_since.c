/* SPDX-License-Identifier: ISC */
/* A hub as a store: what came since, for whoever copies it elsewhere. */
#include "wire/client_internal.h"

#define ARRIVAL (8 + QS_WIRE_FILE + 8)

static enum qs_code
take_arrivals(const struct client *client, const struct qs_buf *bytes,
	uint64_t *since, qs_arrival_fn fn, void *arg, struct qs_err *err)
{
	for (size_t at = 8; at < bytes->len; at += ARRIVAL) {
		const uint8_t *entry = bytes->data + at;
		const uint64_t number = qs_load64(entry);
		struct qs_ref ref;
		enum qs_code rc = qs_wire_file_decode(entry + 8, &ref, err);

		if (rc == QS_OK && number <= *since)
			rc = qs_fail(err, QS_EPROTO, "arrivals are not in "
				"order");
		if (rc != QS_OK)
			return qs_fail_while(err, "%s", client->place);
		ref.size = qs_load64(entry + 8 + QS_WIRE_FILE);
		*since = number;
		rc = fn(arg, number, &ref, err);
		if (rc != QS_OK)
			return rc;
	}
	return QS_OK;
}

enum qs_code
qs_wire_since(struct qs_store *store, uint64_t since, qs_arrival_fn fn,
	void *arg, uint64_t *newest, struct qs_err *err)
{
	struct client_answer answer = {
		.max = 8 + (size_t)QS_WIRE_SINCE_MAX * ARRIVAL,
	};
	const struct qs_sink sink = {qs_client_gather, &answer};
	struct client *client = NULL;
	enum qs_code rc = qs_client_of(store, &client, err);
	bool is_more = true;

	while (rc == QS_OK && is_more) {
		uint8_t request[12];
		const struct client_ask ask = {
			QS_VERB_SINCE, qs_span(request, sizeof(request)),
			&sink, 0, qs_client_restart, &answer,
		};

		answer.bytes.len = 0;
		qs_store64(request, since);
		qs_store32(request + 8, QS_WIRE_SINCE_MAX);
		rc = qs_client_ask(client, &ask, err);
		if (rc == QS_OK && (answer.bytes.len < 8 ||
			(answer.bytes.len - 8) % ARRIVAL != 0))
			rc = qs_fail(err, QS_EPROTO, "%s: arrivals are "
				"malformed", client->place);
		if (rc != QS_OK)
			break;
		is_more = answer.bytes.len > 8;
		*newest = qs_load64(answer.bytes.data);
		rc = take_arrivals(client, &answer.bytes, &since, fn, arg,
			err);
	}
	qs_buf_clear(&answer.bytes);
	return rc;
}

enum qs_code
qs_wire_news(struct qs_store *store, uint64_t since, unsigned seconds,
	uint64_t *newest, struct qs_err *err)
{
	struct client_answer answer = {.max = 8};
	const struct qs_sink sink = {qs_client_gather, &answer};
	uint8_t request[12];
	const struct client_ask ask = {
		QS_VERB_NEWS, qs_span(request, sizeof(request)), &sink,
		seconds, qs_client_restart, &answer,
	};
	struct client *client = NULL;
	enum qs_code rc = qs_client_of(store, &client, err);

	if (rc != QS_OK)
		return rc;
	qs_store64(request, since);
	qs_store32(request + 8, seconds);
	rc = qs_client_ask(client, &ask, err);
	if (rc == QS_OK && answer.bytes.len != 8)
		rc = qs_fail(err, QS_EPROTO, "%s: its news are malformed",
			client->place);
	if (rc == QS_OK)
		*newest = qs_load64(answer.bytes.data);
	qs_buf_clear(&answer.bytes);
	return rc;
}
