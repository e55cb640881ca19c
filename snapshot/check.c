/* SPDX-License-Identifier: ISC */
/*
 * check: is everything there that the snapshots need?  The objects first, so
 * that a bad one is out of the index when the trees are walked: what needs it
 * is then found and named.
 */
#include <stdio.h>
#include <stdlib.h>

#include "snapshot/check_internal.h"

void
check_tell(struct check *check, const char *path, enum qs_node_type type,
	uint64_t size, const struct qs_err *what)
{
	const struct qs_event event = {.kind = QS_EVENT_WARNING, .path = path,
		.type = type, .size = size, .err = what};

	pthread_mutex_lock(&check->lock);
	check->report->event(check->report->arg, &event);
	pthread_mutex_unlock(&check->lock);
}

bool
check_is_cancelled(const struct check *check)
{
	return atomic_load(&check->report->progress->cancel);
}

bool
check_is_finding(enum qs_code code)
{
	switch (code) {
	case QS_ECORRUPT:
	case QS_ENOTFOUND:
	case QS_EIO:
	case QS_EKEY:
	case QS_EUNSUPPORTED:
		return true;
	case QS_OK:
	case QS_ENOMEM:
	case QS_ENOSPC:
	case QS_EEXIST:
	case QS_EBUSY:
	case QS_EINVAL:
	case QS_EAUTH:
	case QS_ENET:
	case QS_EQUOTA:
	case QS_ECONFLICT:
	case QS_EPROTO:
	case QS_ECANCELED:
	case QS_ENOSTORE:
	case QS_EROLLBACK:
	case QS_EINDEX:
		break;
	}
	return false;
}

/* The cause without the object's name in front, which is said anyway. */
static const char *
bare_cause(const char *msg, const char *hex)
{
	static const char word[] = "object ";
	const size_t word_len = sizeof(word) - 1;

	if (strncmp(msg, word, word_len) != 0 ||
	    strncmp(msg + word_len, hex, 16) != 0 ||
	    strncmp(msg + word_len + 16, ": ", 2) != 0)
		return msg;
	return msg + word_len + 16 + 2;
}

void
check_count_error(struct check *check)
{
	pthread_mutex_lock(&check->lock);
	check->result.errors++;
	pthread_mutex_unlock(&check->lock);
	atomic_fetch_add(&check->report->progress->errors, 1);
}

/* It was not said that the object is gone or bad: only that it did not come. */
static void
tell_unreadable(struct check *check, const struct check_pack *pack,
	const char *hex, const struct qs_err *cause)
{
	struct qs_err what;

	check_count_error(check);
	(void)qs_fail(&what, cause->code, "object %s cannot be read: %.250s; "
		"it may be whole: see to the disk, then check again", hex,
		bare_cause(cause->msg, hex));
	check_tell(check, NULL, QS_NODE_FILE, pack->size, &what);
}

void
check_tell_damage(struct check *check, const struct check_pack *pack,
	const struct check_found *found)
{
	struct qs_err what;
	char hex[17], left[96] = "nothing in it is lost";

	qs_hex(hex, pack->name.b, 8);
	check_count_error(check);
	pthread_mutex_lock(&check->lock);
	check->result.damaged_packs++;
	if (found->lost > 0)
		check->has_loss = true;
	pthread_mutex_unlock(&check->lock);
	if (found->lost > 0)
		(void)snprintf(left, sizeof(left), "%u of its %u chunks "
			"cannot be read, files that suffer are named below",
			(unsigned)found->lost,
			(unsigned)found->dir.chunk_count);
	(void)qs_fail(&what, QS_ECORRUPT, "object %s is damaged: %.250s; %s",
		hex, bare_cause(found->cause.msg, hex), left);
	check_tell(check, NULL, QS_NODE_FILE, pack->size, &what);
}

enum qs_code
check_want_again(struct check *check, const struct qs_name *name,
	struct qs_err *err)
{
	enum qs_code rc;

	/* One at a time: it is read, added to, and written. */
	pthread_mutex_lock(&check->lock);
	rc = qs_folder_note_absent(check->folder, name, err);
	pthread_mutex_unlock(&check->lock);
	return rc;
}

enum qs_code
check_bad_pack(struct check *check, struct check_pack *pack,
	const struct qs_err *cause, struct qs_err *err)
{
	const bool is_missing = cause->code == QS_ENOTFOUND;
	struct qs_err what;
	char hex[17];
	enum qs_code rc;

	qs_hex(hex, pack->name.b, 8);
	pack->is_bad = true;
	if (cause->code == QS_EIO) {
		tell_unreadable(check, pack, hex, cause);
		return QS_OK;
	}
	check_count_error(check);
	pthread_mutex_lock(&check->lock);
	check->has_loss = true;
	if (is_missing)
		check->result.missing_packs++;
	else
		check->result.damaged_packs++;
	pthread_mutex_unlock(&check->lock);
	if (is_missing)
		(void)qs_fail(&what, cause->code, "object %s is missing from "
			"%s; files that need it are named below", hex,
			check->store->place);
	else
		(void)qs_fail(&what, cause->code, "object %s is damaged: "
			"%.250s; files that need it are named below", hex,
			bare_cause(cause->msg, hex));
	check_tell(check, NULL, QS_NODE_FILE, pack->size, &what);
	rc = check_want_again(check, &pack->name, err);
	if (rc == QS_OK)
		rc = qs_index_forget(check->index, &pack->name, err);
	pack->number = 0;
	return rc;
}

static void
tell_what_to_do(struct check *check)
{
	const uint64_t damaged = check->result.damaged_packs;
	const uint64_t missing = check->result.missing_packs;
	struct qs_err what;

	if (damaged + missing == 0)
		return;
	(void)qs_fail(&what, QS_ECORRUPT, "%llu damaged and %llu missing "
		"objects: fetch good copies from another place that has them "
		"and check again%s", (unsigned long long)damaged,
		(unsigned long long)missing, check->has_loss ?
		", or run snapshot again: what is still on this machine is "
		"stored anew" : "; nothing in them is lost");
	check_tell(check, NULL, QS_NODE_FILE, 0, &what);
}

static enum qs_code
run(struct check *check, struct qs_err *err)
{
	enum qs_code rc = check_list(check, err);

	if (rc == QS_OK)
		rc = check_foreign(check, err);
	if (rc == QS_OK)
		rc = check_packs(check, err);
	if (rc == QS_OK)
		rc = check_read(check, err);
	/* Also for other processes: nothing is deduplicated against it. */
	if (rc == QS_OK)
		rc = qs_index_commit(check->index, err);
	if (rc != QS_OK)
		return rc;
	tell_what_to_do(check);
	rc = check_trees(check, err);
	return rc == QS_OK ? check_unlisted(check, err) : rc;
}

enum qs_code
qs_check(struct qs_folder *folder, const struct qs_check_options *options,
	const struct qs_report *report, struct qs_check_result *out,
	struct qs_err *err)
{
	struct check check = {.folder = folder, .options = options,
		.report = report, .store = qs_folder_store(folder),
		.index = qs_folder_index(folder)};
	enum qs_code rc;

	if (check.index == NULL)
		return qs_fail(err, QS_EINVAL,
			"the folder was opened without its index");
	if (options->parts > 0 && (options->part < 1 ||
	    options->part > options->parts || options->parts > 256))
		return qs_fail(err, QS_EINVAL, "part %u of %u: the first is 1, "
			"and there are at most 256", options->part,
			options->parts);
	(void)pthread_mutex_init(&check.lock, NULL);
	rc = run(&check, err);
	pthread_mutex_destroy(&check.lock);
	free(check.packs);
	free(check.uses);
	if (rc == QS_OK)
		*out = check.result;
	return rc;
}
