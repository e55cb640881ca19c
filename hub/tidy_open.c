/* SPDX-License-Identifier: ISC */
/*
 * Tidying up: the folder, and its catalogue if there is one to be had.  Facts
 * and rows that can't be written (a full disk) stop nothing: what is moved is
 * told by the files themselves.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#include "hub/tidy_internal.h"

void
qs_tidy_defaults(struct qs_tidy_options *out)
{
	*out = (struct qs_tidy_options){
		.trash_days = 14,
		.purge_days = 30,
		.orphan_days = 60,
		.share = 10,
	};
}

/* Of the folder's keys/, which is always there; dies with us. */
static enum qs_code
lock_folder(struct tidy *tidy, const char *folder, struct qs_err *err)
{
	char *path = NULL;
	enum qs_code rc;

	if (asprintf(&path, "%s/keys", folder) < 0)
		return qs_fail_nomem(err, "tidying up");
	rc = qs_dir_open(AT_FDCWD, path, &tidy->lock, err);
	free(path);
	if (rc == QS_OK && flock(tidy->lock, LOCK_EX | LOCK_NB) != 0 &&
		errno == EWOULDBLOCK)
		return qs_fail(err, QS_EBUSY, "%s is being tidied up already",
			folder);
	return rc;
}

/* A dry run makes none. */
static void
open_catalogue(struct tidy *tidy, const char *folder, bool is_dry)
{
	char *dir = NULL, *file = NULL;
	struct qs_err fault;
	bool is_new;

	if (asprintf(&dir, "%s/hub", folder) < 0)
		dir = NULL;
	if (asprintf(&file, "%s/hub/catalogue.sqlite", folder) < 0)
		file = NULL;
	if (dir != NULL && file != NULL &&
		(!is_dry || access(file, F_OK) == 0) &&
		qs_catalogue_open(dir, tidy->store->folder_id,
			&tidy->catalogue, &is_new, &fault) != QS_OK) {
		qs_log("tidying up without a catalogue: %s", fault.msg);
		tidy->catalogue = NULL;
	}
	free(dir);
	free(file);
}

enum qs_code
tidy_open(struct tidy *tidy, const char *path,
	const uint8_t folder_id[static QS_FOLDER_ID_LEN], bool is_dry,
	struct qs_err *err)
{
	char hex[2 * QS_FOLDER_ID_LEN + 1];
	char *folder = NULL;
	enum qs_code rc = qs_store_open(path, folder_id, &tidy->store, err);

	tidy->lock = -1;
	if (rc != QS_OK)
		return rc;
	qs_hex(hex, folder_id, QS_FOLDER_ID_LEN);
	if (asprintf(&folder, "%s/%s", path, hex) < 0)
		return qs_fail_nomem(err, "tidying up");
	rc = lock_folder(tidy, folder, err);
	if (rc == QS_OK)
		open_catalogue(tidy, folder, is_dry);
	free(folder);
	return rc;
}

void
tidy_close(struct tidy *tidy)
{
	tidy_log_clear(tidy);
	qs_catalogue_close(tidy->catalogue);
	qs_store_close(tidy->store);
	qs_fd_close(&tidy->lock);
}

uint64_t
tidy_fact(struct tidy *tidy, const char *key)
{
	struct qs_err fault;
	uint64_t value = 0;
	bool found = false;

	if (tidy->catalogue == NULL || qs_catalogue_fact_get(tidy->catalogue,
		key, &value, &found, &fault) != QS_OK || !found)
		return 0;
	return value;
}

void
tidy_fact_put(struct tidy *tidy, const char *key, uint64_t value)
{
	struct qs_err fault;

	if (tidy->catalogue != NULL && qs_catalogue_fact_put(tidy->catalogue,
		key, value, &fault) != QS_OK)
		qs_log("tidying up: %s", fault.msg);
}

void
tidy_note(struct tidy *tidy, const struct qs_ref *ref,
	enum qs_item_state state)
{
	const struct qs_item item = {
		.ref = *ref,
		.state = state,
		.state_ms = tidy->now_ms,
	};
	struct qs_err fault;

	if (tidy->catalogue != NULL && qs_catalogue_update_all(tidy->catalogue,
		&item, 1, &fault) != QS_OK)
		qs_log("tidying up: %s", fault.msg);
}

void
tidy_note_gone(struct tidy *tidy, const struct qs_ref *ref)
{
	struct qs_err fault;

	if (tidy->catalogue != NULL && qs_catalogue_drop(tidy->catalogue, ref,
		&fault) != QS_OK)
		qs_log("tidying up: %s", fault.msg);
}
