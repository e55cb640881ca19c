/* SPDX-License-Identifier: ISC */
/*
 * The pass over the catalogue's rows.  Its place (the last number of the last
 * whole batch) is written down after each batch, so that the next run can go
 * on from there.
 */
#include <fcntl.h>
#include <stdlib.h>

#include "hub/scrub_internal.h"

#define ROWS 1024                     /* of the catalogue, at a time */
#define BATCH_FIRST ((uint64_t)256 << 20)
#define BATCH_LEAST ((uint64_t)16 << 20)
#define BATCH_MOST ((uint64_t)2 << 30)
#define NS 1000000000

#define FACT_CURSOR "scrub_cursor"
#define FACT_PASS_BYTES "scrub_pass_bytes"

struct pass {
	struct scrub *scrub;
	uint64_t cursor, end, bytes; /* bytes: of this pass, other runs too */
	uint64_t batch_bytes;
	struct scrub_job jobs[ROWS];
	struct scrub_job *order[ROWS];
	struct qs_item updates[ROWS];
	size_t job_count, update_count;
};

/* ------------------------------------------------------- what came of it */

static void
count_file(struct scrub *scrub, const struct scrub_job *job)
{
	if (job->item.ref.area == QS_AREA_OBJ)
		scrub->result.objects++;
	else if (job->item.ref.area == QS_AREA_LOG)
		scrub->result.records++;
	else
		scrub->result.slots++;
	scrub->result.bytes += job->size;
}

static void
write_down(struct pass *pass, const struct scrub_job *job,
	enum qs_item_state state)
{
	struct qs_item item = job->item;
	bool is_same = item.state == state;

	if (!is_same) {
		item.state = state;
		item.state_ms = pass->scrub->now_ms;
	}
	if (state == QS_ITEM_HERE) {
		is_same = is_same && (!job->has_xxh3 || (item.has_xxh3 &&
			item.xxh3 == job->xxh3)) &&
			item.ref.size == job->size &&
			(job->record_type == 0 ||
			item.record_type == job->record_type);
		item.ref.size = job->size;
		item.record_type = job->record_type;
		item.has_xxh3 = job->has_xxh3;
		item.xxh3 = job->xxh3;
	}
	if (!is_same)
		pass->updates[pass->update_count++] = item;
}

static enum qs_code
mend(struct pass *pass, const struct scrub_job *job, bool is_gone,
	struct qs_err *err)
{
	struct scrub *scrub = pass->scrub;
	const struct qs_ref *ref = &job->item.ref;
	struct qs_hub_words words = qs_hub_words(ref);
	const char *what = is_gone ? "is missing" : job->why;
	struct qs_err text = {.msg = ""};
	bool repaired = false;
	enum qs_code rc = QS_OK;

	if (scrub->options->repair_from != NULL)
		rc = scrub_repair(scrub, ref, &repaired, &text, err);
	if (rc != QS_OK)
		return rc;
	if (repaired) {
		struct scrub_job good = {.item = job->item};
		struct qs_file_path path = qs_file_path(ref);
		struct stat st;

		/* Its XXH3 is as it was, or for the next pass to find out. */
		good.size = fstatat(scrub->fd, path.text, &st,
			AT_SYMLINK_NOFOLLOW) == 0 ? (uint64_t)st.st_size :
			ref->size;
		write_down(pass, &good, QS_ITEM_HERE);
		scrub_tell(scrub, QS_FINDING_REPAIRED, ref, is_gone ?
			"%s was missing; a good copy was fetched" :
			"%s was damaged; a good copy was fetched, the damaged "
			"one is in the trash", words.text);
		return QS_OK;
	}
	write_down(pass, job, is_gone ? QS_ITEM_MISSING : QS_ITEM_DAMAGED);
	scrub_tell(scrub, is_gone ? QS_FINDING_MISSING : QS_FINDING_DAMAGED,
		ref, is_gone ? "%s %s%s%s" : "%s is damaged: %s%s%s",
		words.text, what, text.msg[0] != '\0' ?
		"; no good copy: " : "", text.msg);
	return QS_OK;
}

/* The row may be another's by now: things move while we read. */
static enum qs_code
see_bad(struct pass *pass, struct scrub_job *job, struct qs_err *err)
{
	struct scrub *scrub = pass->scrub;
	const bool is_gone = job->verdict == SCRUB_GONE;
	struct qs_file_path trash = qs_file_trash_path(&job->item.ref);
	struct qs_item row;
	struct stat st;
	bool found = false;
	enum qs_code rc = qs_catalogue_get(scrub->catalogue, &job->item.ref,
		&row, &found, err);

	if (rc != QS_OK || !found || row.state == QS_ITEM_TRASH)
		return rc;
	job->item = row;
	if (is_gone && row.ref.area != QS_AREA_LOG && fstatat(scrub->fd,
		trash.text, &st, AT_SYMLINK_NOFOLLOW) == 0) {
		write_down(pass, job, QS_ITEM_TRASH);
		return QS_OK;
	}
	if (is_gone && scrub_is_retired(scrub, &row.ref))
		return qs_catalogue_drop(scrub->catalogue, &row.ref, err);
	if (!is_gone)
		count_file(scrub, job);
	return mend(pass, job, is_gone, err);
}

static enum qs_code
take_batch(struct pass *pass, struct qs_err *err)
{
	enum qs_code rc = QS_OK;

	pass->update_count = 0;
	for (size_t i = 0; i < pass->scrub->job_count && rc == QS_OK; i++) {
		struct scrub_job *job = pass->scrub->jobs[i];

		if (job->verdict == SCRUB_GOOD) {
			count_file(pass->scrub, job);
			write_down(pass, job, QS_ITEM_HERE);
		} else {
			rc = see_bad(pass, job, err);
		}
	}
	if (rc == QS_OK)
		rc = qs_catalogue_update_all(pass->scrub->catalogue,
			pass->updates, pass->update_count, err);
	return rc;
}

/* --------------------------------------------------------------- reading */

/* Files of one size side by side keep all lanes busy. */
static int
compare_sizes(const void *a, const void *b)
{
	const struct scrub_job *const *x = a, *const *y = b;

	if ((*x)->item.ref.size != (*y)->item.ref.size)
		return (*x)->item.ref.size > (*y)->item.ref.size ? -1 : 1;
	return (*x)->item.number < (*y)->item.number ? -1 : 1;
}

static enum qs_code
read_batch(struct pass *pass, size_t first, size_t count, struct qs_err *err)
{
	struct scrub *scrub = pass->scrub;
	unsigned started = 0;
	enum qs_code rc = QS_OK;

	for (size_t i = 0; i < count; i++)
		pass->order[i] = &pass->jobs[first + i];
	if (scrub->options->depth == QS_SCRUB_FULL)
		qsort(pass->order, count, sizeof(pass->order[0]),
			compare_sizes);
	scrub->jobs = pass->order;
	scrub->job_count = count;
	atomic_store(&scrub->next, 0);
	for (; started + 1 < scrub->reader_count && rc == QS_OK; started++) {
		struct scrub_reader *reader = &scrub->readers[started + 1];

		if ((size_t)(started + 1) * QS_LANES_MAX >= count)
			break;
		rc = qs_thread_start(&reader->thread, scrub_read_files, reader,
			"scrub", err);
		if (rc != QS_OK)
			break;
	}
	if (rc == QS_OK)
		scrub_read_files(&scrub->readers[0]);
	else
		atomic_store(&scrub->next, count);
	for (unsigned i = 0; i < started; i++)
		qs_thread_join(scrub->readers[i + 1].thread);
	if (rc == QS_OK && atomic_load(&scrub->stopped)) {
		*err = scrub->failure;
		rc = err->code;
	}
	return rc;
}

/* Batches of about a second: the time that is set is kept, more or less. */
static void
adapt(struct pass *pass, int64_t took_ns)
{
	if (took_ns < NS / 2 && pass->batch_bytes < BATCH_MOST)
		pass->batch_bytes *= 2;
	else if (took_ns > 2 * (int64_t)NS && pass->batch_bytes > BATCH_LEAST)
		pass->batch_bytes /= 2;
}

static enum qs_code
save_place(struct pass *pass, struct qs_err *err)
{
	struct qs_catalogue *catalogue = pass->scrub->catalogue;
	enum qs_code rc = qs_catalogue_fact_put(catalogue, FACT_PASS_BYTES,
		pass->bytes, err);

	if (rc == QS_OK)
		rc = qs_catalogue_fact_put(catalogue, FACT_CURSOR,
			pass->cursor, err);
	return rc;
}

static bool
is_time_over(const struct scrub *scrub)
{
	return scrub->deadline_ns != 0 && qs_mono_ns() >= scrub->deadline_ns;
}

/* jobs[first ...]; *count: how many of them were done, 0: cancelled */
static enum qs_code
do_batch(struct pass *pass, size_t first, size_t *count, struct qs_err *err)
{
	struct scrub *scrub = pass->scrub;
	const int64_t start = qs_mono_ns();
	uint64_t bytes = 0;
	size_t n = 0;
	enum qs_code rc;

	while (first + n < pass->job_count && (n == 0 ||
		bytes < pass->batch_bytes))
		bytes += pass->jobs[first + n++].item.ref.size;
	rc = read_batch(pass, first, n, err);
	*count = 0;
	if (rc != QS_OK || scrub_is_cancelled(scrub))
		return rc;
	rc = take_batch(pass, err);
	if (rc != QS_OK)
		return rc;
	pass->cursor = pass->jobs[first + n - 1].item.number;
	pass->bytes += bytes;
	*count = n;
	adapt(pass, qs_mono_ns() - start);
	return save_place(pass, err);
}

static enum qs_code
take_row(void *arg, const struct qs_item *item, struct qs_err *err)
{
	struct pass *pass = arg;

	(void)err;
	/* What is in the trash goes away; what is new was read as it came. */
	if (item->number <= pass->end && item->state != QS_ITEM_TRASH) {
		struct scrub_job *job = &pass->jobs[pass->job_count++];

		*job = (struct scrub_job){.item = *item, .fd = -1};
	} else {
		pass->cursor = pass->job_count == 0 ? item->number :
			pass->cursor;
	}
	return QS_OK;
}

static enum qs_code
go_through(struct pass *pass, bool *finished, struct qs_err *err)
{
	enum qs_code rc = QS_OK;

	while (pass->cursor < pass->end) {
		const uint64_t before = pass->cursor;

		pass->job_count = 0;
		rc = qs_catalogue_each(pass->scrub->catalogue, pass->cursor,
			ROWS, take_row, pass, err);
		if (rc != QS_OK)
			return rc;
		if (pass->job_count == 0 && pass->cursor == before)
			break; /* the last rows were dropped */
		for (size_t at = 0, n; at < pass->job_count; at += n) {
			rc = do_batch(pass, at, &n, err);
			if (rc != QS_OK)
				return rc;
			if (n == 0 || (is_time_over(pass->scrub) &&
				pass->cursor < pass->end))
				return QS_OK;
		}
	}
	*finished = true;
	return QS_OK;
}

/* ------------------------------------------------------------------ whole */

static enum qs_code
find_place(struct pass *pass, struct qs_err *err)
{
	struct scrub *scrub = pass->scrub;
	const uint64_t this_pass = (uint64_t)scrub->options->depth + 1;
	uint64_t found_pass = 0;
	bool found = false;
	enum qs_code rc = qs_catalogue_newest(scrub->catalogue, &pass->end,
		err);

	if (rc == QS_OK)
		rc = qs_catalogue_fact_get(scrub->catalogue, SCRUB_FACT_PASS,
			&found_pass, &found, err);
	if (rc != QS_OK)
		return rc;
	if (!scrub->options->anew && !scrub->options->rebuild &&
		found_pass == this_pass) {
		rc = qs_catalogue_fact_get(scrub->catalogue, FACT_CURSOR,
			&pass->cursor, &found, err);
		if (rc == QS_OK)
			rc = qs_catalogue_fact_get(scrub->catalogue,
				FACT_PASS_BYTES, &pass->bytes, &found, err);
		return rc;
	}
	rc = save_place(pass, err);
	if (rc == QS_OK)
		rc = qs_catalogue_fact_put(scrub->catalogue, SCRUB_FACT_PASS,
			this_pass, err);
	return rc;
}

enum qs_code
scrub_pass(struct scrub *scrub, bool *finished, struct qs_err *err)
{
	struct qs_catalogue_counts counts;
	struct pass *pass = calloc(1, sizeof(*pass));
	enum qs_code rc;

	if (pass == NULL)
		return qs_fail_nomem(err, "starting a scrub");
	pass->scrub = scrub;
	pass->batch_bytes = BATCH_FIRST;
	rc = find_place(pass, err);
	if (rc == QS_OK)
		rc = qs_catalogue_count(scrub->catalogue, &counts, err);
	if (rc == QS_OK && scrub->options->bytes_total != NULL)
		atomic_store(scrub->options->bytes_total,
			counts.bytes > pass->bytes ? counts.bytes -
			pass->bytes : 0);
	if (rc == QS_OK)
		rc = go_through(pass, finished, err);
	free(pass);
	return rc;
}
