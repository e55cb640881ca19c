/* SPDX-License-Identifier: ISC */
/*
 * Retire what nothing needs.  The order, so that it may be killed anywhere:
 *
 *   1. what each signer's newest record is, as the log was walked
 *   2. what is in use, by what was known then
 *   3. new packs with what is in use in packs that go, durable
 *   4. a record of this device's that lists them, right behind what was walked
 *   5. the RETIRE, with the heads of 1 and the record of 4
 *
 * Whatever somebody else writes after 1 is in front of none of these heads, so
 * the RETIRE does not count then (docs/FORMAT.md, "What is retired").
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "retention/retention_internal.h"

#define NAMES_MAX (1u << 20) /* in one RETIRE; the rest is for the next */

struct job {
	struct qs_folder *folder;
	const struct qs_retire_options *options;
	struct qs_retire_result result;
	struct qs_mark *heads; /* as walked */
	size_t head_count;
	struct qs_buf logged; /* struct qs_name: of all records, sorted */
	struct qs_buf retire; /* those to go */
	struct live live;
	struct plan plan;
};

static enum qs_code
unknown(struct qs_err *err, const char *what)
{
	return qs_fail(err, QS_ECORRUPT, "%.350s: so nobody knows what is in "
		"use, and nothing is retired; qstore check says more", what);
}

/* Every record of each chain, from the first to the head. */
static enum qs_code
check_whole(const struct qs_folder *folder, struct qs_err *err)
{
	for (size_t i = 0; i < folder->chain_count; i++) {
		const struct qs_chain *chain = &folder->chains[i];
		uint64_t next = 0;
		char device[2 * QS_DEVICE_LEN + 1], what[128];

		qs_hex(device, chain->device, QS_DEVICE_LEN);
		for (size_t j = 0; j < chain->link_count; j++) {
			const uint64_t seq = chain->links[j].seq;

			if (seq > next) {
				(void)snprintf(what, sizeof(what),
					"device %.8s: record %" PRIu64
					" can't be read", device, next);
				return unknown(err, what);
			}
			next = seq == next ? next + 1 : next;
		}
	}
	return QS_OK;
}

static enum qs_code
check_may(struct qs_folder *folder, struct qs_err *err)
{
	enum qs_code rc;

	if (folder->index == NULL)
		return qs_fail(err, QS_EINVAL,
			"the folder was opened without its index");
	if (qs_keys_admin(folder->keys) == NULL)
		return qs_fail(err, QS_EKEY, "the folder was opened without "
			"the admin key that retiring objects takes");
	rc = qs_folder_can_write(folder, err);
	if (rc == QS_OK && folder->blind.code != QS_OK)
		rc = unknown(err, folder->blind.msg);
	return rc == QS_OK ? check_whole(folder, err) : rc;
}

static int
by_device(const void *a, const void *b)
{
	return memcmp(((const struct qs_mark *)a)->device,
		((const struct qs_mark *)b)->device, QS_DEVICE_LEN);
}

/* What the walk has seen, before anything is written. */
static enum qs_code
note_walked(struct job *job, struct qs_err *err)
{
	const struct qs_folder *folder = job->folder;
	enum qs_code rc;

	/* One more: this device may be new. */
	job->heads = calloc(folder->chain_count + 1, sizeof(*job->heads));
	if (job->heads == NULL)
		return qs_fail_nomem(err, "retiring objects");
	for (size_t i = 0; i < folder->chain_count; i++) {
		if (folder->chains[i].has_head)
			job->heads[job->head_count++] =
				folder->chains[i].head;
	}
	rc = qs_folder_each_logged(job->folder, qs_names_collect, &job->logged,
		err);
	if (rc == QS_OK)
		job->logged.len = 32 * qs_names_sort((struct qs_name *)
			job->logged.data, job->logged.len / 32);
	return rc;
}

static enum qs_code
find_live(struct job *job, struct qs_err *err)
{
	struct qs_folder *folder = job->folder;
	enum qs_code rc = QS_OK;

	for (size_t i = folder->snapshot_count; rc == QS_OK && i > 0; i--)
		rc = live_add_snapshot(&job->live, folder->snapshots[i - 1],
			err);
	if (rc == QS_OK)
		rc = live_add_covers(&job->live, folder, err);
	if (rc == QS_OK)
		rc = plan_make(&job->plan, folder, &job->live, job->options,
			err);
	if (rc == QS_ENOTFOUND || rc == QS_ECORRUPT || rc == QS_EUNSUPPORTED ||
		rc == QS_EKEY) {
		struct qs_err cause = *err;

		return unknown(err, cause.msg);
	}
	return rc;
}

/* ---------------------------------------------------------- what to retire */

static void
count_packs(struct job *job)
{
	struct qs_retire_result *result = &job->result;

	result->snapshots = job->folder->snapshot_count;
	result->forgotten = job->folder->forgotten_count;
	result->packs = job->plan.count;
	for (size_t i = 0; i < job->plan.count; i++) {
		const struct plan_pack *pack = &job->plan.packs[i];

		result->pack_bytes += pack->size;
		switch (pack->fate) {
		case PLAN_KEEP:
			result->kept++;
			result->waste_bytes += pack->used - pack->own;
			break;
		case PLAN_REPACK:
			result->repacked++;
			result->repacked_bytes += pack->size;
			break;
		case PLAN_RETIRE:
			result->unused++;
			result->unused_bytes += pack->size;
			break;
		}
	}
}

/* Whatever records list and nobody needs, the packs of step 3 among them. */
static enum qs_code
choose_names(struct job *job, struct qs_err *err)
{
	const struct qs_name *names = (const struct qs_name *)
		job->logged.data;
	enum qs_code rc = QS_OK;

	for (size_t i = 0; rc == QS_OK && i < job->logged.len / 32 &&
		job->retire.len / 32 < NAMES_MAX; i++) {
		const struct plan_pack *pack = plan_find(&job->plan,
			&names[i]);

		if ((pack != NULL && pack->fate == PLAN_KEEP) ||
			qs_is_retired(job->folder, &names[i]))
			continue;
		job->result.lost += pack == NULL;
		rc = qs_buf_append(&job->retire, names[i].b, 32, err);
	}
	job->result.retired = job->retire.len / 32;
	return rc;
}

/* --------------------------------------------------------------- records */

/* The new packs, and older ones that no record lists and that are needed. */
static enum qs_code
list_packs(struct job *job, struct qs_buf *names, struct qs_err *err)
{
	enum qs_code rc = QS_OK;

	for (size_t i = 0; rc == QS_OK && i < job->plan.count; i++) {
		const struct plan_pack *pack = &job->plan.packs[i];

		if (pack->is_unlogged && pack->own_count > 0)
			rc = qs_buf_append(names, pack->name.b, 32, err);
	}
	if (rc != QS_OK || names->len == 0)
		return rc;
	names->len = 32 * qs_names_sort((struct qs_name *)names->data,
		names->len / 32);
	rc = qs_turn(job->folder, NULL, 0, true, qs_buf_span(names), true,
		err);
	if (rc == QS_ECONFLICT)
		return qs_fail(err, rc, "this machine has saved something "
			"meanwhile: say it again");
	return rc;
}

static void
take_own_head(struct job *job)
{
	const struct qs_chain *own = qs_folder_chain(job->folder,
		job->folder->device->pk);
	size_t i = 0;

	while (i < job->head_count && by_device(&job->heads[i],
		&own->head) != 0)
		i++;
	job->heads[i] = own->head;
	job->head_count += i == job->head_count;
}

static enum qs_code
sign_retire(struct job *job, struct qs_err *err)
{
	struct qs_folder *folder = job->folder;
	struct qs_draft draft = {.type = QS_RECORD_RETIRE};
	struct qs_buf body = {0};
	struct qs_mark mark;
	int lock = -1;
	enum qs_code rc;

	qsort(job->heads, job->head_count, sizeof(*job->heads), by_device);
	rc = qs_retire_encode(job->heads, job->head_count,
		qs_buf_span(&job->retire), &body, err);
	draft.body = qs_buf_span(&body);
	if (rc == QS_OK)
		rc = qs_state_lock(folder, &lock, err);
	if (rc == QS_OK)
		rc = qs_chain_append(folder, qs_keys_admin(folder->keys),
			&draft, &mark, err);
	qs_fd_close(&lock);
	qs_buf_clear(&body);
	return rc;
}

/* It is signed: from now on this is about what to tell, and the index. */
static void
look_again(struct job *job)
{
	struct qs_name first;
	struct qs_err fault;
	bool changed;

	memcpy(first.b, job->retire.data, sizeof(first.b));
	if (qs_folder_reload(job->folder, &changed, &fault) == QS_OK)
		job->result.is_void = !qs_is_retired(job->folder, &first);
	else
		qs_folder_tell(job->folder, &fault);
}

static enum qs_code
carry_out(struct job *job, struct qs_err *err)
{
	struct qs_buf names = {0};
	enum qs_code rc = repack(job->folder, &job->live, &job->plan,
		job->options->level, &names, &job->result, err);

	if (rc == QS_OK)
		rc = list_packs(job, &names, err);
	if (rc == QS_OK && names.len > 0)
		take_own_head(job);
	qs_buf_clear(&names);
	if (rc != QS_OK || job->retire.len == 0)
		return rc;
	rc = sign_retire(job, err);
	if (rc == QS_OK)
		look_again(job);
	return rc;
}

enum qs_code
qs_retire(struct qs_folder *folder, const struct qs_retire_options *options,
	struct qs_progress *progress, struct qs_retire_result *out,
	struct qs_err *err)
{
	struct job job = {.folder = folder, .options = options};
	struct qs_source *source = NULL;
	enum qs_code rc = check_may(folder, err);

	if (rc == QS_OK)
		rc = note_walked(&job, err);
	if (rc == QS_OK)
		rc = qs_source_new(folder, QS_SOURCE_CACHE, &source, err);
	live_init(&job.live, source, progress);
	if (rc == QS_OK)
		rc = find_live(&job, err);
	if (rc == QS_OK) {
		count_packs(&job);
		rc = choose_names(&job, err);
	}
	qs_source_free(source);
	job.live.source = NULL;
	if (rc == QS_OK && !options->dry_run)
		rc = carry_out(&job, err);
	if (rc == QS_OK)
		*out = job.result;
	live_clear(&job.live);
	plan_clear(&job.plan);
	free(job.heads);
	qs_buf_clear(&job.logged);
	qs_buf_clear(&job.retire);
	return rc;
}
