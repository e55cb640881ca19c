/* SPDX-License-Identifier: ISC */
/* A hub as a store: what is read from it. */
#include <inttypes.h>
#include <stdlib.h>

#include "wire/client_internal.h"

/* -------------------------------------------------------------- listing */

/* Of a part of the objects, or of the whole log. */
#define LISTING_MAX ((size_t)256 << 20)
#define ENTRY (QS_WIRE_FILE + 10)

static enum qs_code
take_entry(struct qs_reader *reader, enum qs_area area, struct qs_ref *ref,
	char path[static QS_WIRE_PATH_MAX + 1], struct qs_err *err)
{
	const uint8_t *file = qs_read_bytes(reader, QS_WIRE_FILE);
	const uint64_t size = qs_read64(reader);
	const uint16_t path_len = qs_read16(reader);
	const uint8_t *foreign = qs_read_bytes(reader, path_len);
	enum qs_code rc;

	if (reader->failed || path_len > QS_WIRE_PATH_MAX)
		return qs_fail(err, QS_EPROTO, "a listing is malformed");
	rc = qs_wire_file_decode(file, ref, err);
	if (rc != QS_OK)
		return rc;
	if (ref->area != area ||
		(area == QS_AREA_BESIDE && path_len == 0) ||
		(path_len > 0 && memchr(foreign, '\0', path_len) != NULL))
		return qs_fail(err, QS_EPROTO, "a listing is malformed");
	ref->size = size;
	if (path_len > 0) {
		memcpy(path, foreign, path_len);
		path[path_len] = '\0';
		ref->foreign = path;
	}
	return QS_OK;
}

static enum qs_code
take_listing(const struct client *client, const struct qs_buf *bytes,
	enum qs_area area, unsigned part, qs_list_fn fn, void *fn_arg,
	struct qs_err *err)
{
	struct qs_reader reader = qs_reader(qs_buf_span(bytes));

	while (reader.left > 0) {
		char path[QS_WIRE_PATH_MAX + 1];
		struct qs_ref ref;
		enum qs_code rc = take_entry(&reader, area, &ref, path, err);

		if (rc == QS_OK && area == QS_AREA_OBJ && ref.foreign == NULL &&
			ref.name.b[0] != part)
			rc = qs_fail(err, QS_EPROTO, "a listing has what does "
				"not belong into it");
		if (rc != QS_OK)
			return qs_fail_while(err, "%s", client->place);
		rc = fn(fn_arg, &ref, err);
		if (rc != QS_OK)
			return rc;
	}
	return QS_OK;
}

enum qs_code
qs_client_list(void *arg, enum qs_area area, qs_list_fn fn, void *fn_arg,
	struct qs_err *err)
{
	struct client *client = arg;
	struct client_answer answer = {.max = LISTING_MAX};
	const struct qs_sink sink = {qs_client_gather, &answer};
	const unsigned parts = area == QS_AREA_OBJ ? 256 : 1;
	enum qs_code rc = QS_OK;

	for (unsigned part = 0; rc == QS_OK && part < parts; part++) {
		const uint8_t request[2] = {(uint8_t)area, (uint8_t)part};
		const struct client_ask ask = {
			QS_VERB_LIST, qs_span(request, sizeof(request)),
			&sink, 0, qs_client_restart, &answer,
		};

		answer.bytes.len = 0;
		rc = qs_client_ask(client, &ask, err);
		if (rc == QS_OK)
			rc = take_listing(client, &answer.bytes, area, part,
				fn, fn_arg, err);
	}
	qs_buf_clear(&answer.bytes);
	return rc;
}

/* -------------------------------------------------------------- getting */

struct target { /* of a GET: the caller's memory */
	uint8_t *out;
	size_t len, got;
};

static enum qs_code
take_bytes(void *arg, uint32_t len, uint8_t **into, struct qs_err *err)
{
	struct target *target = arg;

	if (len > target->len - target->got)
		return qs_fail(err, QS_EPROTO, "more bytes than were asked "
			"for");
	*into = target->out + target->got;
	target->got += len;
	return QS_OK;
}

static void
restart_bytes(void *arg)
{
	struct target *target = arg;

	target->got = 0;
}

static enum qs_code
get_part(struct client *client, const struct qs_ref *ref, uint64_t offset,
	struct target *target, struct qs_err *err)
{
	uint8_t request[QS_WIRE_FILE + 12];
	const struct qs_sink sink = {take_bytes, target};
	const struct client_ask ask = {
		QS_VERB_GET, qs_span(request, sizeof(request)), &sink, 0,
		restart_bytes, target,
	};

	qs_wire_file_encode(ref, request);
	qs_store64(request + QS_WIRE_FILE, offset);
	qs_store32(request + QS_WIRE_FILE + 8, (uint32_t)target->len);
	return qs_client_ask(client, &ask, err);
}

enum qs_code
qs_client_get(void *arg, const struct qs_ref *ref, uint64_t offset,
	uint8_t *out, size_t len, size_t *got, struct qs_err *err)
{
	struct client *client = arg;
	size_t done = 0;

	if (ref->area == QS_AREA_OBJ &&
		(offset % QS_SLICE != 0 || len % QS_SLICE != 0))
		return qs_fail(err, QS_EINVAL, "object: %zu bytes at "
			"%" PRIu64 " are not whole slices", len, offset);
	while (done < len) {
		struct target target = {out + done, len - done, 0};
		enum qs_code rc;

		if (target.len > QS_WIRE_GET_MAX)
			target.len = QS_WIRE_GET_MAX;
		rc = get_part(client, ref, offset + done, &target, err);
		if (rc != QS_OK)
			return rc;
		done += target.got;
		if (target.got < target.len)
			break;
	}
	*got = done;
	return QS_OK;
}

/* --------------------------------------------------------------- having */

enum qs_code
qs_client_have(void *arg, const struct qs_name *names, size_t count,
	uint64_t *sizes, struct qs_err *err)
{
	struct client *client = arg;
	struct client_answer answer = {.max = (size_t)4 * QS_WIRE_HAVE_MAX};
	const struct qs_sink sink = {qs_client_gather, &answer};
	enum qs_code rc = QS_OK;

	for (size_t at = 0; rc == QS_OK && at < count;) {
		size_t part = count - at;
		struct client_ask ask = {
			.verb = QS_VERB_HAVE,
			.sink = &sink,
			.restart = qs_client_restart,
			.arg = &answer,
		};

		if (part > QS_WIRE_HAVE_MAX)
			part = QS_WIRE_HAVE_MAX;
		ask.request = qs_span(names + at, part * sizeof(*names));
		answer.bytes.len = 0;
		rc = qs_client_ask(client, &ask, err);
		if (rc == QS_OK && answer.bytes.len != 4 * part)
			rc = qs_fail(err, QS_EPROTO, "%s: it answered for "
				"other names than were asked for",
				client->place);
		for (size_t i = 0; rc == QS_OK && i < part; i++) {
			uint32_t size = qs_load32(answer.bytes.data + 4 * i);

			sizes[at + i] = size == UINT32_MAX ?
				QS_SIZE_UNKNOWN : size;
		}
		at += part;
	}
	qs_buf_clear(&answer.bytes);
	return rc;
}
