/* SPDX-License-Identifier: ISC */
/*
 * Snapshots that are forgotten and remembered: a signed list in this machine's
 * chain (payload kind 3).  Their own records stay as they are.
 */
#include <stdlib.h>

#include "retention/retention_internal.h"

size_t
qs_forgotten_count(const struct qs_folder *folder)
{
	return folder->forgotten_count;
}

const struct qs_snapshot *
qs_forgotten(const struct qs_folder *folder, size_t i)
{
	return folder->forgotten[i];
}

enum qs_code
qs_forgotten_find(const struct qs_folder *folder, const char *text,
	const struct qs_snapshot **out, struct qs_err *err)
{
	return qs_snapshots_find(folder->forgotten, folder->forgotten_count,
		"forgotten snapshot", text, out, err);
}

static int
by_record(const void *a, const void *b)
{
	return qs_name_compare(&((const struct qs_turn *)a)->record,
		&((const struct qs_turn *)b)->record);
}

/* This process's own view of what it has written. */
static enum qs_code
take_over(struct qs_folder *folder, const struct qs_turn *turns, size_t count,
	struct qs_err *err)
{
	struct qs_snapshot **lists[] = {folder->snapshots, folder->forgotten};
	const size_t counts[] = {folder->snapshot_count,
		folder->forgotten_count};

	for (size_t list = 0; list < 2; list++) {
		for (size_t i = 0; i < counts[list]; i++) {
			struct qs_snapshot *snapshot = lists[list][i];
			const struct qs_turn key = {.record =
				snapshot->record};
			const struct qs_turn *turn = count == 0 ? NULL :
				bsearch(&key, turns, count, sizeof(key),
					by_record);

			if (turn != NULL)
				snapshot->is_forgotten = turn->is_forgotten;
		}
	}
	return qs_folder_part_forgotten(folder, err);
}

/*
 * The index has the record, unless it lacks an object that is listed there: one
 * that was brought back is taken in when the log is walked.
 */
static enum qs_code
settle(struct qs_folder *folder, struct qs_span objects,
	const struct qs_mark *mark, struct qs_err *err)
{
	const struct qs_name *names = (const struct qs_name *)objects.data;
	const size_t count = objects.len / sizeof(*names);
	bool *known = calloc(count + 1, sizeof(*known));
	bool is_all = true;
	enum qs_code rc;

	if (known == NULL)
		return qs_fail_nomem(err, "forgetting snapshots");
	rc = qs_index_has_packs(folder->index, names, count, known, err);
	for (size_t i = 0; i < count; i++)
		is_all = is_all && known[i];
	if (rc == QS_OK && is_all)
		rc = qs_folder_settle_index(folder, names, count, mark, err);
	free(known);
	return rc;
}

static enum qs_code
write_turns(struct qs_folder *folder, struct qs_turn *turns, size_t count,
	struct qs_span objects, bool is_exact, struct qs_err *err)
{
	struct qs_payload payload = {.kind = QS_PAYLOAD_TURNS,
		.turns = turns, .turn_count = count, .is_exact = is_exact};
	struct qs_chain *chain;
	struct qs_mark mark;
	struct qs_err fault;
	enum qs_code rc = qs_folder_log_payload(folder, &payload, objects,
		&mark, err);

	payload.turns = NULL; /* the caller's */
	qs_payload_clear(&payload);
	if (rc != QS_OK)
		return rc;
	/* From here on it is so; the rest is this process's own view. */
	chain = qs_folder_chain(folder, mark.device);
	rc = qs_cover_extend(&chain->cover, objects, &fault);
	if (rc == QS_OK)
		rc = take_over(folder, turns, count, &fault);
	if (rc == QS_OK && folder->index != NULL)
		rc = settle(folder, objects, &mark, &fault);
	if (rc != QS_OK)
		qs_folder_tell(folder, &fault);
	return QS_OK;
}

/* Sorted, once each; *kept says how many. */
static enum qs_code
make_turns(const struct qs_name *records, size_t count, bool is_forgotten,
	struct qs_turn **out, size_t *kept, struct qs_err *err)
{
	struct qs_turn *turns = calloc(count + 1, sizeof(*turns));
	size_t n = 0;

	if (turns == NULL)
		return qs_fail_nomem(err, "forgetting snapshots");
	for (size_t i = 0; i < count; i++)
		turns[i] = (struct qs_turn){records[i], is_forgotten};
	if (count > 1)
		qsort(turns, count, sizeof(*turns), by_record);
	for (size_t i = 0; i < count; i++) {
		if (n == 0 || by_record(&turns[n - 1], &turns[i]) != 0)
			turns[n++] = turns[i];
	}
	*out = turns;
	*kept = n;
	return QS_OK;
}

enum qs_code
qs_turn(struct qs_folder *folder, const struct qs_name *records, size_t count,
	bool is_forgotten, struct qs_span objects, bool is_exact,
	struct qs_err *err)
{
	struct qs_turn *turns = NULL;
	size_t kept = 0, from = 0;
	enum qs_code rc = make_turns(records, count, is_forgotten, &turns,
		&kept, err);

	if (rc != QS_OK)
		return rc;
	do {
		const size_t left = kept - from;
		const size_t n = left < QS_TURNS_MAX ? left : QS_TURNS_MAX;

		rc = write_turns(folder, turns + from, n, objects, is_exact,
			err);
		objects = qs_span(NULL, 0);
		is_exact = false;
		from += n;
	} while (rc == QS_OK && from < kept);
	free(turns);
	return rc;
}

enum qs_code
qs_forget_pretend(struct qs_folder *folder, const struct qs_name *records,
	size_t count, struct qs_err *err)
{
	struct qs_turn *turns = NULL;
	size_t kept = 0;
	enum qs_code rc = make_turns(records, count, true, &turns, &kept,
		err);

	if (rc == QS_OK)
		rc = take_over(folder, turns, kept, err);
	free(turns);
	return rc;
}

enum qs_code
qs_forget(struct qs_folder *folder, const struct qs_name *records,
	size_t count, struct qs_err *err)
{
	if (count == 0)
		return QS_OK;
	return qs_turn(folder, records, count, true, qs_span(NULL, 0), false,
		err);
}
