/* SPDX-License-Identifier: ISC */
/*
 * The server: one connection, one folder, one thread.  What comes from the
 * other end is untrusted until the line that checks it.  Order: the caller has
 * found out who calls and what it may do; then the cage; then the first byte.
 */
#include <fcntl.h>
#include <stdlib.h>

#include "hub/scrub_internal.h"
#include "hub/serve_internal.h"

#define PATIENCE_S 300
#define IDLE_S 3600

/* -------------------------------------------------------------- answers */

enum qs_code
qs_served_answer(struct served *served, const struct served_request *request,
	struct qs_span bytes, bool more_follow, struct qs_err *err)
{
	const struct qs_wire_head head = {
		.verb = request->verb,
		.flags = more_follow ? QS_WIRE_MORE_FOLLOWS : 0,
		.request = request->number,
	};

	return qs_wire_write(served->wire, &head, bytes, served->patience_s,
		err);
}

enum qs_code
qs_served_malformed(const struct served_request *request, struct qs_err *err)
{
	return qs_fail(err, QS_EPROTO, "a malformed request (verb %u, %zu "
		"bytes)", (unsigned)request->verb, request->bytes.len);
}

/* Refusals are counted by kind; that a count is lost is no matter. */
static void
count_refusal(struct served *served, enum qs_code code)
{
	struct qs_err ignored;
	char key[QS_REFUSAL_KEY];

	if (served->catalogue == NULL)
		return;
	qs_hub_refusal_key(code, key);
	if (qs_catalogue_fact_add(served->catalogue, key, 1, &ignored) !=
		QS_OK || qs_catalogue_fact_add(served->catalogue,
		"refused_total", 1, &ignored) != QS_OK)
		qs_log("counting a refusal: %s", ignored.msg);
}

enum qs_code
qs_served_refuse(struct served *served, const struct served_request *request,
	const struct qs_err *why, struct qs_err *err)
{
	const struct qs_wire_head head = {
		.verb = request->verb,
		.code = why->code,
		.request = request->number,
	};
	size_t len = strnlen(why->msg, QS_WIRE_TEXT_MAX);

	/* What is not there was not refused; it was looked for. */
	if (request->verb != QS_VERB_GET && why->code != QS_ECONFLICT)
		count_refusal(served, why->code);
	return qs_wire_write(served->wire, &head, qs_span(why->msg, len),
		served->patience_s, err);
}

/* ---------------------------------------------------------------- verbs */

enum need { ANY = 0, FOLDER = 1, WRITER = 2, CATALOGUE = 4, OWNER = 8 };

static const struct {
	served_verb run;
	uint32_t least, most; /* bytes of the request */
	unsigned need;
} verbs[] = {
	[QS_VERB_FOLDERS] = {qs_served_folders, 0, 0, ANY},
	[QS_VERB_OPEN] = {qs_served_open, QS_FOLDER_ID_LEN, QS_FOLDER_ID_LEN,
		ANY},
	[QS_VERB_CREATE] = {qs_served_open, QS_FOLDER_ID_LEN,
		QS_FOLDER_ID_LEN, WRITER},
	[QS_VERB_LIST] = {qs_served_list, 2, 2, FOLDER},
	[QS_VERB_GET] = {qs_served_get, QS_WIRE_FILE + 12, QS_WIRE_FILE + 12,
		FOLDER},
	[QS_VERB_HAVE] = {qs_served_have, 0, 32 * QS_WIRE_HAVE_MAX, FOLDER},
	[QS_VERB_STAGE] = {qs_served_begin, 4, 4, FOLDER | WRITER},
	[QS_VERB_DATA] = {qs_served_more, 1, QS_WIRE_LEN_MAX,
		FOLDER | WRITER},
	[QS_VERB_COMMIT] = {qs_served_commit, 40, 40 * QS_WIRE_STAGED_MAX,
		FOLDER | WRITER},
	[QS_VERB_DISCARD] = {qs_served_discard, 8, 8, FOLDER | WRITER},
	[QS_VERB_APPEND] = {qs_served_begin, 4, 4, FOLDER | WRITER},
	[QS_VERB_MORE] = {qs_served_more, 1, QS_WIRE_LEN_MAX,
		FOLDER | WRITER},
	[QS_VERB_PUT_KEY] = {qs_served_put_key, QS_SLOT_LEN, QS_SLOT_LEN,
		FOLDER | WRITER},
	[QS_VERB_SINCE] = {qs_served_since, 12, 12, FOLDER | CATALOGUE},
	[QS_VERB_NEWS] = {qs_served_news, 12, 12, FOLDER | CATALOGUE},
	[QS_VERB_SETTLE] = {qs_served_settle, 32, 32 * QS_WIRE_HAVE_MAX,
		FOLDER | WRITER},
	[QS_VERB_DROP_KEY] = {qs_served_drop_key, 32, 32,
		FOLDER | WRITER | OWNER},
};

static enum qs_code
check_rights(const struct served *served,
	const struct served_request *request, struct qs_err *err)
{
	const unsigned need = verbs[request->verb].need;
	const enum qs_wire_mode mode = served->options->grant.mode;

	if ((need & FOLDER) != 0 && served->store == NULL)
		return qs_fail(err, QS_EPROTO, "verb %u before a folder was "
			"opened", (unsigned)request->verb);
	if ((need & WRITER) != 0 && mode == QS_MODE_RO)
		return qs_fail(err, QS_EKEY, "%s may only read here",
			served->options->principal);
	if ((need & OWNER) != 0 && mode != QS_MODE_RW)
		return qs_fail(err, QS_EKEY, "%s may only add here",
			served->options->principal);
	if ((need & CATALOGUE) != 0 && served->catalogue == NULL)
		return qs_fail(err, QS_EKEY, "%s may not ask what came when",
			served->options->principal);
	return QS_OK;
}

/* Read one frame, whose head has come. */
static enum qs_code
take_request(struct served *served, const uint8_t untrusted[QS_WIRE_HEAD],
	struct served_request *out, struct qs_err *err)
{
	struct qs_wire_head head;
	enum qs_code rc = qs_wire_head_decode(untrusted, &head, err);

	if (rc != QS_OK)
		return rc;
	*out = (struct served_request){
		.verb = head.verb,
		.number = head.request,
		.bytes = qs_span(served->frame, head.len),
	};
	if (head.flags != 0 || head.code != QS_OK ||
		head.len < verbs[head.verb].least ||
		head.len > verbs[head.verb].most)
		return qs_served_malformed(out, err);
	return qs_wire_read(served->wire, served->frame, head.len,
		served->patience_s, NULL, err);
}

static enum qs_code
serve_one(struct served *served, const uint8_t untrusted[QS_WIRE_HEAD],
	struct qs_err *err)
{
	struct served_request request;
	struct qs_err why;
	enum qs_code rc = take_request(served, untrusted, &request, err);

	if (rc != QS_OK)
		return rc;
	rc = check_rights(served, &request, &why);
	/* These have no answer of their own: their STAGE was refused. */
	if (rc == QS_EKEY && (request.verb == QS_VERB_DATA ||
		request.verb == QS_VERB_MORE))
		return QS_OK;
	if (rc == QS_OK)
		rc = verbs[request.verb].run(served, &request, &why);
	if (rc == QS_OK)
		return QS_OK;
	if (rc == QS_ENET || rc == QS_EPROTO) {
		*err = why;
		return rc;
	}
	return qs_served_refuse(served, &request, &why, err);
}

static enum qs_code
serve_all(struct served *served, struct qs_err *err)
{
	for (;;) {
		uint8_t untrusted[QS_WIRE_HEAD];
		bool end = false;
		enum qs_code rc = qs_wire_read(served->wire, untrusted, 1,
			served->idle_s, &end, err);

		if (rc == QS_OK && end)
			return QS_OK;
		/* A frame that was begun is waited for less long than one. */
		if (rc == QS_OK)
			rc = qs_wire_read(served->wire, untrusted + 1,
				sizeof(untrusted) - 1, served->patience_s,
				NULL, err);
		if (rc == QS_OK)
			rc = serve_one(served, untrusted, err);
		if (rc != QS_OK)
			return rc;
	}
}

/* -------------------------------------------------------------- greeting */

static enum qs_code
check_hello(const struct served *served, const struct qs_wire_hello *hello,
	struct qs_err *err)
{
	const char *folder = served->options->folder;

	if (hello->least > QS_WIRE_VERSION || hello->highest < QS_WIRE_VERSION)
		return qs_fail(err, QS_EUNSUPPORTED, "this hub speaks version "
			"%d of the protocol, the client %u to %u",
			QS_WIRE_VERSION, hello->least, hello->highest);
	if (hello->folder[0] != '\0' && folder != NULL &&
		strcmp(hello->folder, folder) != 0)
		return qs_fail(err, QS_EKEY, "the call is for folder %s, the "
			"greeting for %s", folder, hello->folder);
	return QS_OK;
}

static enum qs_code
send_welcome(struct qs_wire *wire, const struct qs_wire_welcome *welcome,
	const char *text, unsigned seconds, struct qs_err *err)
{
	uint8_t bytes[QS_WIRE_GREETING + QS_WIRE_TEXT_MAX];

	qs_wire_welcome_encode(welcome, bytes);
	memcpy(bytes + QS_WIRE_GREETING, text, welcome->text_len);
	return qs_wire_write_raw(wire, qs_span(bytes, QS_WIRE_GREETING +
		welcome->text_len), seconds, err);
}

static enum qs_code
send_refusal(struct qs_wire *wire, const struct qs_err *why,
	unsigned seconds, struct qs_err *err)
{
	const struct qs_wire_welcome welcome = {
		.code = why->code,
		.text_len = (uint32_t)strnlen(why->msg, QS_WIRE_TEXT_MAX),
	};

	return send_welcome(wire, &welcome, why->msg, seconds, err);
}

static enum qs_code
greet(struct served *served, struct qs_err *err)
{
	uint8_t untrusted[QS_WIRE_GREETING];
	struct qs_wire_hello hello;
	struct qs_wire_welcome welcome = {
		.version = QS_WIRE_VERSION,
		.mode = served->options->grant.mode,
	};
	struct qs_err ignored;
	enum qs_code rc = qs_wire_read(served->wire, untrusted,
		sizeof(untrusted), served->patience_s, NULL, err);

	if (rc == QS_OK)
		rc = qs_wire_hello_decode(untrusted, &hello, err);
	if (rc != QS_OK)
		return rc;
	rc = check_hello(served, &hello, err);
	if (rc == QS_OK)
		return send_welcome(served->wire, &welcome, "",
			served->patience_s, err);
	(void)send_refusal(served->wire, err, served->patience_s, &ignored);
	return rc;
}

void
qs_serve_refuse(int in, int out, const struct qs_err *why)
{
	struct qs_wire *wire = NULL;
	struct qs_err ignored;

	if (qs_wire_new(in, out, &wire, &ignored) == QS_OK &&
		send_refusal(wire, why, PATIENCE_S, &ignored) != QS_OK)
		qs_log("refusing a connection: %s", ignored.msg);
	qs_wire_free(wire);
}

/* ----------------------------------------------------------- the whole */

static enum qs_code
enter_cage(const struct qs_serve_options *options, struct qs_err *err)
{
	struct qs_cage cage = {
		.root_fd = -1,
		.read_only = options->grant.mode == QS_MODE_RO,
	};
	enum qs_code rc = qs_dir_open(AT_FDCWD, options->root, &cage.root_fd,
		err);

	if (rc == QS_ENOTFOUND)
		return qs_fail(err, QS_ENOSTORE, "there is no folder %s: make "
			"it first (mkdir)", options->root);
	if (rc == QS_OK)
		rc = qs_cage_enter(&cage, err);
	qs_fd_close(&cage.root_fd);
	return rc;
}

/* Once a day, when the client is gone, the folder is tidied up. */
static void
tidy(const struct served *served)
{
	const struct qs_serve_options *options = served->options;
	const uint64_t day = (uint64_t)(qs_now_ns() / 1000000000 / 86400);
	struct qs_tidy_options how;
	struct qs_tidy_result done;
	struct qs_err err;
	uint64_t last = 0;
	bool found = false;

	if (served->catalogue == NULL || qs_catalogue_fact_get(
		served->catalogue, "tidied_day", &last, &found, &err) !=
		QS_OK || (found && last == day))
		return;
	qs_tidy_defaults(&how);
	if (qs_catalogue_fact_put(served->catalogue, "tidied_day", day,
		&err) != QS_OK || qs_tidy(options->root,
		served->store->folder_id, &how, &done, &err) != QS_OK)
		qs_log("tidying up: %s", err.msg);
}

static enum qs_code
prepare(struct served *served, int in, int out, struct qs_err *err)
{
	enum qs_code rc = qs_wire_new(in, out, &served->wire, err);

	if (rc != QS_OK)
		return rc;
	served->frame = malloc(QS_WIRE_LEN_MAX);
	served->reply = malloc(QS_WIRE_LEN_MAX);
	if (served->frame == NULL || served->reply == NULL)
		return qs_fail_nomem(err, "serving");
	return QS_OK;
}

enum qs_code
qs_serve(const struct qs_serve_options *options, int in, int out,
	struct qs_err *err)
{
	struct served served = {
		.options = options,
		.patience_s = options->patience_s != 0 ? options->patience_s :
			PATIENCE_S,
		.idle_s = options->idle_s != 0 ? options->idle_s : IDLE_S,
		.hub_fd = -1,
		.seat = -1,
	};
	enum qs_code rc = prepare(&served, in, out, err);

	if (rc == QS_OK && options->is_caged) {
		rc = enter_cage(options, err);
		if (rc != QS_OK) {
			struct qs_err ignored;

			(void)send_refusal(served.wire, err,
				served.patience_s, &ignored);
		}
	}
	if (rc == QS_OK)
		rc = greet(&served, err);
	if (rc == QS_OK)
		rc = serve_all(&served, err);
	/* The client need not wait for what follows. */
	qs_wire_free(served.wire);
	tidy(&served);
	qs_served_close(&served);
	free(served.frame);
	free(served.reply);
	return rc;
}
