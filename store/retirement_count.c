/* SPDX-License-Identifier: ISC */
/*
 * Which RETIRE records count.  One does not while a SNAPSHOT is there that its
 * author had not seen and that did not know of it; and whatever is doubtful (a
 * head that is missing, a fork, a gap) speaks against it: then nothing is taken
 * away.
 *
 * Cost: a RETIRE's question to a device, "do all SNAPSHOTs behind your head
 * know of me", is answered by two numbers kept for each record.  Only a forked
 * admin's chain is asked record by record.
 */
#include <stdlib.h>

#include "store/retirement_internal.h"

static int
by_device(const void *a, const void *b)
{
	return memcmp(((const struct ret_device *)a)->id,
		((const struct ret_device *)b)->id, QS_DEVICE_LEN);
}

/* The node of a head; RET_NONE: it is not there. */
static uint32_t
find_head(const struct ret_chains *chains, const struct ret_device *device,
	const uint8_t *head)
{
	uint64_t seq = qs_load64(head + QS_DEVICE_LEN);
	size_t low = device->first, high = device->end;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (chains->nodes[mid].seq < seq)
			low = mid + 1;
		else
			high = mid;
	}
	for (; low < device->end && chains->nodes[low].seq == seq; low++) {
		if (memcmp(chains->nodes[low].name.b, head + 16, 32) == 0)
			return (uint32_t)low;
	}
	return RET_NONE;
}

/* Do all SNAPSHOTs among a device's nodes from at on know it? */
static bool
all_know(const struct ret_chains *chains, const struct ret_device *device,
	size_t at, const struct ret_retire *retire)
{
	const struct ret_node *node;

	if (at >= device->end)
		return true;
	node = &chains->nodes[at];
	if (node->low > node->high) /* none at all */
		return true;
	return node->low >= retire->first && node->high < retire->end;
}

/* The admin's chain with branches: in front of the head, or knowing. */
static bool
fits_branches(const struct ret_chains *chains,
	const struct ret_device *device, uint32_t head,
	const struct ret_retire *retire)
{
	for (size_t i = device->first; i < device->end; i++) {
		const struct ret_node *node = &chains->nodes[i];

		if (node->type != QS_RECORD_SNAPSHOT)
			continue;
		if (head != RET_NONE &&
			chains->tree_first[i] <= chains->tree_first[head] &&
			chains->tree_first[head] < chains->tree_end[i])
			continue;
		/* Of a tree, low and high are the record's own. */
		if (node->low < retire->first || node->high >= retire->end)
			return false;
	}
	return true;
}

/* Does what this device wrote speak for the RETIRE?  head NULL: none named. */
static bool
fits_device(const struct ret_chains *chains, const struct ret_device *device,
	const uint8_t *head, const struct ret_retire *retire)
{
	uint32_t at = RET_NONE;

	if (head != NULL) {
		at = find_head(chains, device, head);
		if (at == RET_NONE)
			return false;
	}
	if (ret_is_admin(chains, device->id)) {
		/* What is missing may be a RETIRE, or a SNAPSHOT. */
		if (device->has_gap)
			return false;
		if (device->forked_at != UINT64_MAX)
			return fits_branches(chains, device, at, retire);
	} else if (head != NULL) {
		/* The author saw what was in front, here or not; no twin. */
		if (chains->nodes[at].seq >= device->forked_at)
			return false;
		if (device->has_gap &&
			device->gap_end > chains->nodes[at].seq)
			return false;
	} else if (device->has_gap) {
		return false;
	}
	return all_know(chains, device, head == NULL ? device->first :
		(size_t)at + 1, retire);
}

/* Devices and heads are both ascending. */
static bool
does_count(const struct ret_chains *chains, const struct ret_retire *retire)
{
	const uint8_t *heads = chains->heads.data;
	size_t met = 0;

	for (size_t i = 0; i < chains->device_count; i++) {
		const struct ret_device *device = &chains->devices[i];
		const uint8_t *head = NULL;

		if (met < retire->head_count) {
			head = heads + retire->head_at + met * QS_RETIRE_HEAD;
			if (memcmp(head, device->id, QS_DEVICE_LEN) != 0)
				head = NULL;
			else
				met++;
		}
		if (!fits_device(chains, device, head, retire))
			return false;
	}
	/* A device of which nothing is here. */
	return met == retire->head_count;
}

enum qs_code
ret_chains_miss(struct ret_chains *chains,
	const uint8_t device[static QS_DEVICE_LEN], uint64_t seq,
	struct qs_err *err)
{
	struct ret_missed *missed;
	enum qs_code rc = ret_room(&chains->missed, chains->missed_count,
		&chains->missed_cap, sizeof(*missed), err);

	if (rc != QS_OK)
		return rc;
	missed = &chains->missed[chains->missed_count++];
	memcpy(missed->device, device, QS_DEVICE_LEN);
	missed->seq = seq;
	return QS_OK;
}

/* As if a record behind it showed the gap. */
static enum qs_code
count_missed(struct ret_chains *chains, struct qs_err *err)
{
	for (size_t i = 0; i < chains->missed_count; i++) {
		const struct ret_missed *missed = &chains->missed[i];
		uint64_t end = missed->seq + (missed->seq < UINT64_MAX);
		struct ret_device *device = NULL;

		for (size_t k = 0; k < chains->device_count; k++) {
			if (memcmp(chains->devices[k].id, missed->device,
				QS_DEVICE_LEN) == 0)
				device = &chains->devices[k];
		}
		if (device == NULL) {
			enum qs_code rc = ret_room(&chains->devices,
				chains->device_count, &chains->device_cap,
				sizeof(*device), err);

			if (rc != QS_OK)
				return rc;
			device = &chains->devices[chains->device_count++];
			*device = (struct ret_device){
				.forked_at = UINT64_MAX,
				.first = chains->count,
				.end = chains->count,
			};
			memcpy(device->id, missed->device, QS_DEVICE_LEN);
		}
		if (!device->has_gap || device->gap_end < end)
			device->gap_end = end;
		device->has_gap = true;
		/* Another of that number: then it is a twin. */
		for (size_t at = device->first; at < device->end; at++) {
			if (chains->nodes[at].seq == missed->seq &&
				missed->seq < device->forked_at)
				device->forked_at = missed->seq;
		}
	}
	return QS_OK;
}

enum qs_code
ret_chains_finish(struct ret_chains *chains, struct qs_err *err)
{
	enum qs_code rc = count_missed(chains, err);

	if (rc != QS_OK)
		return rc;
	for (size_t i = 0; i < chains->device_count; i++) {
		const struct ret_device *device = &chains->devices[i];

		if (ret_is_admin(chains, device->id) &&
			device->forked_at != UINT64_MAX)
			continue;
		for (size_t at = device->end; at-- > device->first + 1;) {
			struct ret_node *node = &chains->nodes[at - 1];
			const struct ret_node *after = &chains->nodes[at];

			if (after->low < node->low)
				node->low = after->low;
			if (after->high > node->high)
				node->high = after->high;
		}
	}
	if (chains->device_count > 1)
		qsort(chains->devices, chains->device_count,
			sizeof(*chains->devices), by_device);
	for (size_t i = 1; i < chains->device_count; i++) {
		if (by_device(&chains->devices[i - 1],
			&chains->devices[i]) == 0)
			return qs_fail(err, QS_EINVAL, "records are not given "
				"in the order of the log");
	}
	for (size_t i = 0; i < chains->retire_count; i++)
		chains->retires[i].counts = does_count(chains,
			&chains->retires[i]);
	return QS_OK;
}
