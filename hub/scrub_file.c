/* SPDX-License-Identifier: ISC */
/*
 * Reading files and saying whether they are what they should be.  XXH3 alone,
 * where the catalogue knows it, in a slice that stays in the cache; else NAME,
 * several files side by side.  What XXH3 does not like is asked for its NAME,
 * since the catalogue is only a cache.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <xxhash.h>

#include "hub/scrub_internal.h"

#define SLICE ((size_t)128 << 10) /* a multiple of BLAKE2b's 128 */
#define RECORD_TYPE_AT 9          /* in a record's head: docs/FORMAT.md */

static void
fail_readers(struct scrub *scrub, const struct qs_err *err)
{
	if (!atomic_exchange(&scrub->stopped, true))
		scrub->failure = *err;
}

/* Trouble of this process, and not of the file. */
static bool
is_ours(enum qs_code code, int sys)
{
	return code == QS_ENOMEM || sys == EMFILE || sys == ENFILE;
}

static void
condemn(struct scrub_job *job, const char *why)
{
	job->verdict = SCRUB_DAMAGED;
	(void)snprintf(job->why, sizeof(job->why), "%s", why);
	qs_fd_close(&job->fd);
}

size_t
scrub_size_max(enum qs_area area)
{
	switch (area) {
	case QS_AREA_KEYS:
		return QS_SLOT_LEN;
	case QS_AREA_LOG:
		return QS_RECORD_MAX;
	case QS_AREA_OBJ:
		return QS_PACK_MAX;
	case QS_AREA_BESIDE:
		break;
	}
	return 0;
}

static bool
is_possible_size(enum qs_area area, uint64_t size)
{
	if (size == 0 || size > scrub_size_max(area))
		return false;
	if (area == QS_AREA_OBJ)
		return size >= QS_PACK_MIN && (size & (size - 1)) == 0;
	if (area == QS_AREA_KEYS)
		return size == QS_SLOT_LEN;
	return size % QS_RECORD_UNIT == 0;
}

/* The verdict is given when it can't be read at all. */
static void
open_file(struct scrub *scrub, struct scrub_job *job)
{
	struct qs_file_path path = qs_file_path(&job->item.ref);
	struct qs_err err;
	struct stat st;
	char why[100];

	/* O_NONBLOCK: a pipe in a file's place must not stop us. */
	do {
		job->fd = openat(scrub->fd, path.text, O_RDONLY | O_CLOEXEC |
			O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	} while (job->fd < 0 && errno == EINTR);
	if (job->fd < 0 && (errno == ENOENT || errno == ENOTDIR)) {
		job->verdict = SCRUB_GONE;
		return;
	}
	if (job->fd < 0 && errno != ELOOP && errno != ENXIO) {
		(void)qs_fail_errno(&err, "it can't be opened");
		if (is_ours(err.code, err.sys))
			fail_readers(scrub, &err);
		else
			condemn(job, err.msg);
		return;
	}
	if (job->fd < 0 || fstat(job->fd, &st) != 0 || !S_ISREG(st.st_mode)) {
		condemn(job, "it is not a regular file");
		return;
	}
	job->size = (uint64_t)st.st_size;
	if (!is_possible_size(job->item.ref.area, job->size)) {
		(void)snprintf(why, sizeof(why), "it has %" PRIu64 " bytes, "
			"which no such file has", job->size);
		condemn(job, why);
		return;
	}
	(void)posix_fadvise(job->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
}

/* The next slice.  false: the verdict is given, or the scrub is stopped. */
static bool
read_slice(struct scrub *scrub, struct scrub_job *job, uint64_t offset,
	uint8_t *out, size_t *got)
{
	struct qs_err err;

	if (scrub_is_cancelled(scrub) || atomic_load(&scrub->stopped)) {
		qs_fd_close(&job->fd);
		return false;
	}
	if (qs_fd_pread(job->fd, out, SLICE, offset, got, &err) != QS_OK) {
		if (is_ours(err.code, err.sys)) {
			fail_readers(scrub, &err);
			qs_fd_close(&job->fd);
		} else {
			condemn(job, err.msg);
		}
		return false;
	}
	if (offset == 0 && job->item.ref.area == QS_AREA_LOG &&
		*got > RECORD_TYPE_AT)
		job->record_type = out[RECORD_TYPE_AT];
	if (scrub->options->bytes_done != NULL)
		atomic_fetch_add(scrub->options->bytes_done, *got);
	return true;
}

/* ---------------------------------------------------------------- XXH3 */

/* false: it needs another look */
static bool
is_as_written_down(struct scrub_reader *reader, struct scrub_job *job)
{
	XXH3_state_t *hash = reader->hash[0];
	uint64_t offset = 0;
	size_t got = SLICE;

	if (!job->item.has_xxh3 || job->item.ref.size != job->size)
		return false;
	(void)XXH3_64bits_reset(hash);
	while (got == SLICE && offset < job->size) {
		if (!read_slice(reader->scrub, job, offset, reader->slices,
			&got))
			return true; /* there is nothing more to see */
		(void)XXH3_64bits_update(hash, reader->slices, got);
		offset += got;
	}
	if (offset != job->size ||
		XXH3_64bits_digest(hash) != job->item.xxh3)
		return false;
	job->verdict = SCRUB_GOOD;
	qs_fd_close(&job->fd);
	return true;
}

/* ---------------------------------------------------------------- NAME */

static void
judge(struct scrub_job *job, const struct qs_name *name, XXH3_state_t *hash,
	uint64_t read)
{
	if (job->fd < 0) /* it was given up on the way */
		return;
	if (read != job->size || memcmp(name->b, job->item.ref.name.b, 32) !=
		0) {
		condemn(job, "its bytes do not match its name");
		return;
	}
	job->xxh3 = XXH3_64bits_digest(hash);
	job->has_xxh3 = true;
	job->verdict = SCRUB_GOOD;
	qs_fd_close(&job->fd);
}

static void
check_names(struct scrub_reader *reader, struct scrub_job **jobs, size_t count)
{
	struct qs_span spans[QS_LANES_MAX];
	struct qs_name names[QS_LANES_MAX];
	uint64_t read[QS_LANES_MAX] = {0};
	size_t running = count;

	if (count == 0)
		return;
	qs_lanes_reset(reader->lanes, count);
	for (size_t i = 0; i < count; i++)
		(void)XXH3_64bits_reset(reader->hash[i]);
	for (uint64_t offset = 0; running > 0; offset += SLICE) {
		running = 0;
		for (size_t i = 0; i < count; i++) {
			uint8_t *at = reader->slices + i * SLICE;
			size_t got = 0;

			/* One that grew is told by its length. */
			if (jobs[i]->fd >= 0 && offset < jobs[i]->size &&
				read[i] == offset &&
				read_slice(reader->scrub, jobs[i], offset, at,
					&got)) {
				read[i] += got;
				(void)XXH3_64bits_update(reader->hash[i], at,
					got);
				running++;
			}
			spans[i] = qs_span(at, got);
		}
		qs_lanes_update(reader->lanes, spans);
	}
	qs_lanes_final(reader->lanes, names);
	for (size_t i = 0; i < count; i++)
		judge(jobs[i], &names[i], reader->hash[i], read[i]);
}

/* ------------------------------------------------------------- threads */

static void
read_some(struct scrub_reader *reader, struct scrub_job **jobs, size_t count)
{
	struct scrub *scrub = reader->scrub;
	struct scrub_job *named[QS_LANES_MAX];
	size_t named_count = 0;

	for (size_t i = 0; i < count; i++) {
		open_file(scrub, jobs[i]);
		if (jobs[i]->fd < 0)
			continue;
		if (scrub->options->depth == QS_SCRUB_FAST &&
			is_as_written_down(reader, jobs[i]))
			continue;
		if (jobs[i]->fd >= 0)
			named[named_count++] = jobs[i];
	}
	check_names(reader, named, named_count);
}

void
scrub_read_files(void *arg)
{
	struct scrub_reader *reader = arg;
	struct scrub *scrub = reader->scrub;

	while (!atomic_load(&scrub->stopped) && !scrub_is_cancelled(scrub)) {
		size_t first = atomic_fetch_add(&scrub->next, QS_LANES_MAX);
		size_t count = QS_LANES_MAX;

		if (first >= scrub->job_count)
			return;
		if (count > scrub->job_count - first)
			count = scrub->job_count - first;
		read_some(reader, scrub->jobs + first, count);
	}
}

enum qs_code
scrub_readers_new(struct scrub *scrub, unsigned count, struct qs_err *err)
{
	enum qs_code rc = QS_OK;

	scrub->readers = calloc(count, sizeof(*scrub->readers));
	if (scrub->readers == NULL)
		return qs_fail_nomem(err, "starting a scrub");
	scrub->reader_count = count;
	for (unsigned i = 0; i < count && rc == QS_OK; i++) {
		struct scrub_reader *reader = &scrub->readers[i];
		bool is_short;

		reader->scrub = scrub;
		reader->slices = malloc(QS_LANES_MAX * SLICE);
		is_short = reader->slices == NULL;
		for (size_t k = 0; k < QS_LANES_MAX; k++) {
			reader->hash[k] = XXH3_createState();
			is_short = is_short || reader->hash[k] == NULL;
		}
		rc = is_short ? qs_fail_nomem(err, "starting a scrub") :
			qs_lanes_new(&reader->lanes, err);
	}
	return rc;
}

void
scrub_readers_free(struct scrub *scrub)
{
	for (unsigned i = 0; i < scrub->reader_count; i++) {
		struct scrub_reader *reader = &scrub->readers[i];

		free(reader->slices);
		qs_lanes_free(reader->lanes);
		for (size_t k = 0; k < QS_LANES_MAX; k++)
			(void)XXH3_freeState(reader->hash[k]);
	}
	free(scrub->readers);
}
