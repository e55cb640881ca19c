/* SPDX-License-Identifier: ISC */
/* The server: what is read from the folder. */
#include <poll.h>
#include <stdlib.h>

#include "hub/serve_internal.h"

/* -------------------------------------------------------------- folders */

enum qs_code
qs_served_folders(struct served *served, const struct served_request *request,
	struct qs_err *err)
{
	struct qs_folder_list list = {0};
	enum qs_code rc = qs_store_folders(served->options->root, &list, err);

	/* None yet: the client will say so. */
	if (rc == QS_ENOSTORE)
		return qs_served_answer(served, request, qs_span(NULL, 0),
			false, err);
	if (rc == QS_OK && list.count > QS_WIRE_LEN_MAX / QS_FOLDER_ID_LEN)
		list.count = QS_WIRE_LEN_MAX / QS_FOLDER_ID_LEN;
	if (rc == QS_OK)
		rc = qs_served_answer(served, request, qs_span(list.ids,
			list.count * QS_FOLDER_ID_LEN), false, err);
	qs_folder_list_clear(&list);
	return rc;
}

/* -------------------------------------------------------------- listing */

struct listing {
	struct served *served;
	const struct served_request *request;
	size_t used; /* of the reply */
};

static enum qs_code
put_entry(void *arg, const struct qs_ref *ref, struct qs_err *err)
{
	struct listing *listing = arg;
	uint8_t *at;
	const size_t path_len = ref->foreign == NULL ? 0 :
		strnlen(ref->foreign, QS_WIRE_PATH_MAX);
	const size_t len = QS_WIRE_FILE + 10 + path_len;

	if (listing->used + len > QS_WIRE_LEN_MAX) {
		enum qs_code rc = qs_served_answer(listing->served,
			listing->request, qs_span(listing->served->reply,
			listing->used), true, err);

		if (rc != QS_OK)
			return rc;
		listing->used = 0;
	}
	at = listing->served->reply + listing->used;
	if (ref->foreign != NULL) {
		const struct qs_ref none = {.area = ref->area};

		qs_wire_file_encode(&none, at);
	} else {
		qs_wire_file_encode(ref, at);
	}
	qs_store64(at + QS_WIRE_FILE, ref->foreign == NULL ? ref->size : 0);
	qs_store16(at + QS_WIRE_FILE + 8, (uint16_t)path_len);
	if (path_len > 0)
		memcpy(at + QS_WIRE_FILE + 10, ref->foreign, path_len);
	listing->used += len;
	return QS_OK;
}

/*
 * A failure after the first frame ends the connection: an answer that has begun
 * can't become a refusal, and must not look like a short listing.
 */
enum qs_code
qs_served_list(struct served *served, const struct served_request *request,
	struct qs_err *err)
{
	struct listing listing = {served, request, 0};
	const enum qs_area area = (enum qs_area)request->bytes.data[0];
	enum qs_code rc;

	if (request->bytes.data[0] < QS_AREA_KEYS ||
		request->bytes.data[0] > QS_AREA_BESIDE ||
		(area != QS_AREA_OBJ && request->bytes.data[1] != 0))
		return qs_served_malformed(request, err);
	rc = qs_store_list_part(served->store, area, request->bytes.data[1],
		put_entry, &listing, err);
	if (rc != QS_OK)
		return rc;
	return qs_served_answer(served, request, qs_span(served->reply,
		listing.used), false, err);
}

/* -------------------------------------------------------------- getting */

enum qs_code
qs_served_get(struct served *served, const struct served_request *request,
	struct qs_err *err)
{
	const uint8_t *untrusted = request->bytes.data;
	uint64_t offset = qs_load64(untrusted + QS_WIRE_FILE);
	size_t left = qs_load32(untrusted + QS_WIRE_FILE + 8);
	uint64_t size = 0;
	struct qs_ref ref;
	int fd = -1;
	enum qs_code rc = qs_wire_file_decode(untrusted, &ref, err);

	if (rc != QS_OK)
		return rc;
	if (left == 0 || left > QS_WIRE_GET_MAX || offset > INT64_MAX - left ||
		ref.area == QS_AREA_BESIDE || (ref.area == QS_AREA_OBJ &&
		(offset % QS_SLICE != 0 || left % QS_SLICE != 0)))
		return qs_served_malformed(request, err);
	rc = qs_store_open_file(served->store, &ref, &fd, &size, err);
	if (rc != QS_OK)
		return rc;
	if (offset >= size)
		left = 0;
	else if (left > size - offset)
		left = (size_t)(size - offset);
	do {
		struct qs_wire_head head = {
			.len = (uint32_t)(left < QS_WIRE_LEN_MAX ? left :
				QS_WIRE_LEN_MAX),
			.verb = request->verb,
			.request = request->number,
		};

		left -= head.len;
		head.flags = left > 0 ? QS_WIRE_MORE_FOLLOWS : 0;
		rc = qs_wire_write_file(served->wire, &head, fd, offset,
			served->patience_s, err);
		offset += head.len;
	} while (rc == QS_OK && left > 0);
	qs_fd_close(&fd);
	/* Half an answer can't become a refusal. */
	if (rc != QS_OK)
		err->code = QS_ENET;
	return rc == QS_OK ? QS_OK : QS_ENET;
}

enum qs_code
qs_served_have(struct served *served, const struct served_request *request,
	struct qs_err *err)
{
	const size_t count = request->bytes.len / 32;
	struct qs_name *names;
	uint64_t *sizes;
	enum qs_code rc = QS_OK;

	if (request->bytes.len % 32 != 0)
		return qs_served_malformed(request, err);
	names = calloc(count + 1, sizeof(*names));
	sizes = calloc(count + 1, sizeof(*sizes));
	if (names == NULL || sizes == NULL)
		rc = qs_fail_nomem(err, "looking for objects");
	if (rc == QS_OK && count > 0) {
		memcpy(names, request->bytes.data, request->bytes.len);
		rc = served->store->ops->have(served->store->self, names,
			count, sizes, err);
	}
	for (size_t i = 0; rc == QS_OK && i < count; i++)
		qs_store32(served->reply + 4 * i, sizes[i] < UINT32_MAX ?
			(uint32_t)sizes[i] : UINT32_MAX);
	free(names);
	free(sizes);
	if (rc == QS_OK)
		rc = qs_served_answer(served, request, qs_span(served->reply,
			4 * count), false, err);
	return rc;
}

/* -------------------------------------------------------------- arrivals */

#define ARRIVAL (8 + QS_WIRE_FILE + 8)

static enum qs_code
put_arrival(void *arg, const struct qs_item *item, struct qs_err *err)
{
	struct listing *listing = arg;
	uint8_t *at = listing->served->reply + listing->used;

	(void)err;
	qs_store64(at, item->number);
	qs_wire_file_encode(&item->ref, at + 8);
	qs_store64(at + 8 + QS_WIRE_FILE, item->ref.size);
	listing->used += ARRIVAL;
	return QS_OK;
}

enum qs_code
qs_served_since(struct served *served, const struct served_request *request,
	struct qs_err *err)
{
	const uint64_t since = qs_load64(request->bytes.data);
	const uint32_t most = qs_load32(request->bytes.data + 8);
	struct listing listing = {served, request, 8};
	uint64_t newest = 0;
	enum qs_code rc;

	if (most == 0 || most > QS_WIRE_SINCE_MAX)
		return qs_served_malformed(request, err);
	rc = qs_catalogue_newest(served->catalogue, &newest, err);
	if (rc == QS_OK)
		rc = qs_catalogue_each(served->catalogue, since, most,
			put_arrival, &listing, err);
	/* What it asks for after it has, which is what the backlog tells. */
	if (rc == QS_OK && served->options->grant.mode == QS_MODE_TRANSFER)
		rc = qs_catalogue_fact_put(served->catalogue,
			"transfer_since", since < newest ? since : newest,
			err);
	if (rc != QS_OK)
		return rc;
	qs_store64(served->reply, newest);
	return qs_served_answer(served, request, qs_span(served->reply,
		listing.used), false, err);
}

#define NEWS_MAX_S 3600
#define NEWS_STEP_MS 500

enum qs_code
qs_served_news(struct served *served, const struct served_request *request,
	struct qs_err *err)
{
	const uint64_t since = qs_load64(request->bytes.data);
	const uint32_t seconds = qs_load32(request->bytes.data + 8);
	const int64_t until = qs_mono_ns() + (int64_t)seconds * 1000000000;
	uint64_t newest = 0;
	enum qs_code rc;

	if (seconds > NEWS_MAX_S)
		return qs_served_malformed(request, err);
	for (;;) {
		struct pollfd fd = {
			.fd = qs_wire_in_fd(served->wire),
			.events = POLLIN,
		};

		rc = qs_catalogue_newest(served->catalogue, &newest, err);
		if (rc != QS_OK)
			return rc;
		/* Another request ends the waiting, and so does the end. */
		if (newest > since || qs_mono_ns() >= until ||
			qs_wire_is_ahead(served->wire) ||
			poll(&fd, 1, NEWS_STEP_MS) > 0)
			break;
	}
	qs_store64(served->reply, newest);
	return qs_served_answer(served, request, qs_span(served->reply, 8),
		false, err);
}
