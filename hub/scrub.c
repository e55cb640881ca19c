/* SPDX-License-Identifier: ISC */
/* qs_scrub: what is opened for it, its parts, its facts. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>

#include "hub/scrub_internal.h"

#define THREADS_DEFAULT 8
#define THREADS_MAX 64

bool
scrub_is_cancelled(const struct scrub *scrub)
{
	return scrub->options->cancel != NULL &&
		atomic_load(scrub->options->cancel);
}

static void
count_finding(struct qs_scrub_result *result, enum qs_finding_kind kind)
{
	switch (kind) {
	case QS_FINDING_DAMAGED:
		result->damaged++;
		return;
	case QS_FINDING_MISSING:
		result->missing++;
		return;
	case QS_FINDING_FOREIGN:
		result->foreign++;
		return;
	case QS_FINDING_INCOMPLETE:
		result->incomplete++;
		return;
	case QS_FINDING_LOG:
		result->troubles++;
		return;
	case QS_FINDING_REPAIRED:
		result->repaired++;
		return;
	}
}

void
scrub_tell(struct scrub *scrub, enum qs_finding_kind kind,
	const struct qs_ref *ref, const char *fmt, ...)
{
	struct qs_finding finding = {.kind = kind, .ref = ref};
	char text[1024];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	finding.text = text;
	count_finding(&scrub->result, kind);
	if (scrub->options->finding != NULL)
		scrub->options->finding(scrub->options->arg, &finding);
}

static void
see_foreign(void *arg, const char *path)
{
	scrub_tell(arg, QS_FINDING_FOREIGN, NULL, "%s is no file of this store",
		path);
}

/* ------------------------------------------------------------ opening */

static enum qs_code
lock_scrub(struct scrub *scrub, struct qs_err *err)
{
	if (mkdirat(scrub->fd, "hub", 0700) != 0 && errno != EEXIST)
		return qs_fail_errno(err, "make a place for the catalogue of "
			"%s", scrub->store->place);
	scrub->lock_fd = openat(scrub->fd, "hub/scrub.lock", O_RDWR | O_CREAT |
		O_CLOEXEC | O_NOFOLLOW, 0600);
	if (scrub->lock_fd < 0)
		return qs_fail_errno(err, "open hub/scrub.lock");
	if (flock(scrub->lock_fd, LOCK_EX | LOCK_NB) != 0 &&
		errno == EWOULDBLOCK)
		return qs_fail(err, QS_EBUSY, "another scrub of %s is running",
			scrub->store->place);
	return QS_OK;
}

static enum qs_code
open_all(struct scrub *scrub, const char *path, const uint8_t *folder_id,
	struct qs_err *err)
{
	char hex[2 * QS_FOLDER_ID_LEN + 1], *folder = NULL, *hub = NULL;
	unsigned threads = scrub->options->threads;
	bool is_new = false;
	enum qs_code rc = qs_store_open(path, folder_id, &scrub->store, err);

	if (rc != QS_OK)
		return rc;
	qs_hex(hex, folder_id, QS_FOLDER_ID_LEN);
	if (asprintf(&folder, "%s/%s", path, hex) < 0)
		folder = NULL;
	if (folder == NULL || asprintf(&hub, "%s/hub", folder) < 0)
		hub = NULL;
	if (hub == NULL)
		rc = qs_fail_nomem(err, "starting a scrub");
	if (rc == QS_OK)
		rc = qs_dir_open(AT_FDCWD, folder, &scrub->fd, err);
	if (rc == QS_OK)
		rc = lock_scrub(scrub, err);
	if (rc == QS_OK)
		rc = qs_catalogue_open(hub, folder_id, &scrub->catalogue,
			&is_new, err);
	free(folder);
	free(hub);
	if (rc != QS_OK)
		return rc;
	if (threads == 0)
		threads = qs_cpu_count() < THREADS_DEFAULT ? qs_cpu_count() :
			THREADS_DEFAULT;
	return scrub_readers_new(scrub, threads < THREADS_MAX ? threads :
		THREADS_MAX, err);
}

static void
close_all(struct scrub *scrub)
{
	scrub_readers_free(scrub);
	qs_catalogue_close(scrub->catalogue);
	qs_retirement_free(scrub->retirement);
	qs_store_close(scrub->store);
	qs_fd_close(&scrub->lock_fd);
	qs_fd_close(&scrub->fd);
}

/* --------------------------------------------------------------- parts */

static enum qs_code
finish(struct scrub *scrub, struct qs_err *err)
{
	struct qs_scrub_result *result = &scrub->result;
	struct qs_catalogue_counts counts;
	enum qs_code rc = qs_catalogue_count(scrub->catalogue, &counts, err);

	if (rc != QS_OK)
		return rc;
	/* What earlier runs of this pass have found is still so. */
	if (counts.damaged > result->damaged)
		result->damaged = counts.damaged;
	if (counts.missing > result->missing)
		result->missing = counts.missing;
	if (!result->finished)
		return QS_OK;
	rc = qs_catalogue_fact_put(scrub->catalogue, SCRUB_FACT_PASS, 0, err);
	if (rc != QS_OK)
		return rc;
	/* Foreign files do no harm. */
	rc = qs_catalogue_fact_put(scrub->catalogue, "scrub_findings",
		result->damaged + result->missing + result->incomplete +
		result->troubles, err);
	if (rc == QS_OK)
		rc = qs_catalogue_fact_put(scrub->catalogue, "last_scrub_ms",
			(uint64_t)(qs_now_ns() / 1000000), err);
	return rc;
}

static enum qs_code
run(struct scrub *scrub, struct qs_err *err)
{
	const struct qs_hub_fill fill = {
		.store = scrub->store,
		.fd = scrub->fd,
		.catalogue = scrub->catalogue,
		.foreign = see_foreign,
		.arg = scrub,
		.cancel = scrub->options->cancel,
	};
	bool finished = false;
	enum qs_code rc = QS_OK;

	if (scrub->options->rebuild)
		rc = scrub_clear(scrub, err);
	if (rc == QS_OK)
		rc = qs_hub_fill(&fill, err);
	if (rc == QS_OK)
		rc = scrub_log_troubles(scrub, err);
	if (rc == QS_OK)
		rc = scrub_pass(scrub, &finished, err);
	if (rc == QS_OK && finished)
		rc = scrub_log_snapshots(scrub, err);
	if (rc == QS_OK)
		scrub->result.finished = finished;
	/* Between files or at one of them: the same to the caller. */
	if (rc == QS_ECANCELED && scrub_is_cancelled(scrub))
		rc = QS_OK;
	return rc == QS_OK ? finish(scrub, err) : rc;
}

enum qs_code
qs_scrub(const char *path, const uint8_t folder_id[static QS_FOLDER_ID_LEN],
	const struct qs_scrub_options *options, struct qs_scrub_result *out,
	struct qs_err *err)
{
	enum qs_code rc = QS_EINDEX;

	/* A catalogue that is damaged is set aside, and we begin again. */
	for (unsigned i = 0; i < 2 && rc == QS_EINDEX; i++) {
		struct scrub scrub = {.options = options, .fd = -1,
			.lock_fd = -1};

		scrub.now_ms = (uint64_t)(qs_now_ns() / 1000000);
		if (options->max_seconds > 0)
			scrub.deadline_ns = qs_mono_ns() +
				(int64_t)options->max_seconds * 1000000000;
		rc = open_all(&scrub, path, folder_id, err);
		if (rc == QS_OK)
			rc = run(&scrub, err);
		if (rc == QS_OK)
			*out = scrub.result;
		close_all(&scrub);
	}
	return rc;
}
