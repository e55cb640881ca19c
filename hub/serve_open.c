/* SPDX-License-Identifier: ISC */
/* The server: opening the folder that a connection is about. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hub/scrub_internal.h"
#include "hub/serve_internal.h"

#define SEATS_DEFAULT 16
#define SEATS_MAX 1024 /* as the access list may have it */
#define DIR_MODE 0700

/* ------------------------------------------------------------ catalogue */

/* Rows for what was there before there was a catalogue. */
static enum qs_code
fill_catalogue(struct served *served, struct qs_err *err)
{
	struct qs_hub_fill fill = {
		.store = served->store,
		.catalogue = served->catalogue,
		.fd = -1,
	};
	enum qs_code rc = qs_dir_open(served->hub_fd, "..", &fill.fd, err);

	if (rc == QS_OK)
		rc = qs_hub_fill(&fill, err);
	qs_fd_close(&fill.fd);
	return rc;
}

/* ---------------------------------------------------------------- seats */

/* One of so many locks, which go with the process. */
static enum qs_code
take_seat(struct served *served, struct qs_err *err)
{
	unsigned seats = served->options->grant.connections;

	if (seats == 0)
		seats = SEATS_DEFAULT;
	if (seats > SEATS_MAX)
		seats = SEATS_MAX;
	for (unsigned i = 0; i < seats; i++) {
		char name[32];
		int fd;

		(void)snprintf(name, sizeof(name), "connection-%u", i);
		fd = openat(served->hub_fd, name, O_RDWR | O_CREAT |
			O_CLOEXEC | O_NOFOLLOW, 0600);
		if (fd < 0)
			return qs_fail_errno(err, "open hub/%s", name);
		if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
			served->seat = fd;
			return QS_OK;
		}
		qs_fd_close(&fd);
	}
	return qs_fail(err, QS_EBUSY, "this folder is in use already, by as "
		"many as may be at once (%u); try again later", seats);
}

/* -------------------------------------------------------------- opening */

static enum qs_code
open_hub_dir(struct served *served, char **out, struct qs_err *err)
{
	char hex[2 * QS_FOLDER_ID_LEN + 1];
	char *path = NULL;
	enum qs_code rc;

	qs_hex(hex, served->store->folder_id, QS_FOLDER_ID_LEN);
	if (asprintf(&path, "%s/%s/hub", served->options->root, hex) < 0)
		return qs_fail_nomem(err, "opening a folder");
	rc = qs_dir_make(path, DIR_MODE, err);
	if (rc == QS_OK)
		rc = qs_dir_open(AT_FDCWD, path, &served->hub_fd, err);
	if (rc != QS_OK) {
		free(path);
		return rc;
	}
	*out = path;
	return QS_OK;
}

/* Who only reads changes nothing, but takes a seat where there are some. */
static enum qs_code
open_reader(struct served *served, struct qs_err *err)
{
	char hex[2 * QS_FOLDER_ID_LEN + 1];
	char *path = NULL;
	enum qs_code rc;

	qs_hex(hex, served->store->folder_id, QS_FOLDER_ID_LEN);
	if (asprintf(&path, "%s/%s/hub", served->options->root, hex) < 0)
		return qs_fail_nomem(err, "opening a folder");
	rc = qs_dir_open(AT_FDCWD, path, &served->hub_fd, err);
	free(path);
	if (rc != QS_OK) /* a store that no hub has served yet */
		return QS_OK;
	rc = take_seat(served, err);
	return rc == QS_EBUSY ? rc : QS_OK;
}

static enum qs_code
count_record(void *arg, const struct qs_ref *ref, struct qs_err *err)
{
	uint64_t *count = arg;

	(void)err;
	*count += ref->foreign == NULL;
	return QS_OK;
}

/*
 * A server that was killed between a record and its row, or somebody who wrote
 * the directory itself, has left files without one.
 */
static enum qs_code
fill_gaps(struct served *served, struct qs_err *err)
{
	struct qs_catalogue_counts counts;
	uint64_t listed = 0;
	enum qs_code rc = qs_catalogue_count(served->catalogue, &counts, err);

	if (rc == QS_OK)
		rc = served->store->ops->list(served->store->self,
			QS_AREA_LOG, count_record, &listed, err);
	if (rc == QS_OK && listed > counts.records)
		rc = fill_catalogue(served, err);
	return rc;
}

/* What only those need who add something. */
static enum qs_code
open_writer(struct served *served, struct qs_err *err)
{
	bool is_new = false;
	char *path = NULL;
	enum qs_code rc = open_hub_dir(served, &path, err);

	if (rc == QS_OK)
		rc = take_seat(served, err);
	if (rc == QS_OK)
		rc = qs_catalogue_open(path, served->store->folder_id,
			&served->catalogue, &is_new, err);
	free(path);
	if (rc == QS_OK)
		rc = is_new ? fill_catalogue(served, err) :
			fill_gaps(served, err);
	if (rc == QS_OK)
		rc = qs_admission_new(served->store, &served->admission, err);
	if (rc == QS_OK && served->options->grant.rate > 0)
		rc = qs_rate_open(served->hub_fd, "rate",
			served->options->grant.rate, &served->rate, err);
	return rc;
}

/* A hub folder holds one folder; a bare path as many as there are. */
static enum qs_code
check_empty(const struct served *served, struct qs_err *err)
{
	struct qs_folder_list list = {0};
	struct qs_err none;
	enum qs_code rc;

	if (served->options->folder == NULL)
		return QS_OK;
	rc = qs_store_folders(served->options->root, &list, &none);
	qs_folder_list_clear(&list);
	if (rc == QS_OK)
		return qs_fail(err, QS_EEXIST, "the hub's folder %s holds a "
			"folder already", served->options->folder);
	if (rc == QS_ENOSTORE)
		return QS_OK;
	*err = none;
	return rc;
}

enum qs_code
qs_served_open(struct served *served, const struct served_request *request,
	struct qs_err *err)
{
	const uint8_t *folder_id = request->bytes.data;
	const char *root = served->options->root;
	enum qs_code rc;

	if (served->store != NULL)
		return qs_fail(err, QS_EPROTO, "a second folder on one "
			"connection");
	if (request->verb == QS_VERB_CREATE) {
		rc = check_empty(served, err);
		if (rc == QS_OK)
			rc = qs_store_create(root, folder_id, &served->store,
				err);
	} else {
		rc = qs_store_open(root, folder_id, &served->store, err);
	}
	if (rc == QS_OK)
		rc = served->options->grant.mode == QS_MODE_RO ?
			open_reader(served, err) : open_writer(served, err);
	if (rc != QS_OK) {
		qs_served_close(served);
		return rc;
	}
	return qs_served_answer(served, request, qs_span(NULL, 0), false, err);
}

void
qs_served_close(struct served *served)
{
	for (size_t i = 0; i < QS_WIRE_STAGED_MAX; i++) {
		if (served->stages[i].request != 0)
			served->store->ops->discard(served->store->self,
				served->stages[i].stage);
		served->stages[i].request = 0;
	}
	qs_rate_close(served->rate);
	qs_admission_free(served->admission);
	qs_catalogue_close(served->catalogue);
	qs_fd_close(&served->seat);
	qs_fd_close(&served->hub_fd);
	qs_store_close(served->store);
	qs_buf_clear(&served->body.bytes);
	served->rate = NULL;
	served->admission = NULL;
	served->catalogue = NULL;
	served->store = NULL;
}
