/* SPDX-License-Identifier: ISC */
/*
 * Retirement: the records of a log, and which of them know of which RETIRE.
 * The RETIREs, a tree by prev, are numbered so that those behind one make a
 * range: who knows one of the range knows the first.
 */
#include <stdlib.h>

#include "store/retirement_internal.h"

enum qs_code
ret_room(void *array_pointer, size_t count, size_t *cap, size_t item_size,
	struct qs_err *err)
{
	void *old, *array;
	size_t more = *cap == 0 ? 64 : *cap * 2;

	if (count < *cap)
		return QS_OK;
	memcpy(&old, array_pointer, sizeof(old));
	array = reallocarray(old, more, item_size);
	if (array == NULL)
		return qs_fail_nomem(err, "reading what is retired");
	memcpy(array_pointer, &array, sizeof(array));
	*cap = more;
	return QS_OK;
}

void
ret_chains_clear(struct ret_chains *chains)
{
	free(chains->nodes);
	free(chains->devices);
	free(chains->retires);
	free(chains->by_seen);
	free(chains->missed);
	free(chains->tree_first);
	free(chains->tree_end);
	qs_buf_clear(&chains->heads);
	memset(chains, 0, sizeof(*chains));
}

bool
ret_is_admin(const struct ret_chains *chains, const uint8_t *device)
{
	return memcmp(chains->adm_pk, device, QS_DEVICE_LEN) == 0;
}

/* -------------------------------------------------------- record by record */

static enum qs_code
device_for(struct ret_chains *chains, const struct qs_record *record,
	struct ret_device **out, struct qs_err *err)
{
	size_t count = chains->device_count;
	struct ret_device *device;
	enum qs_code rc;

	if (count > 0 && memcmp(chains->devices[count - 1].id, record->signer,
		QS_DEVICE_LEN) == 0) {
		*out = &chains->devices[count - 1];
		return QS_OK;
	}
	rc = ret_room(&chains->devices, count, &chains->device_cap,
		sizeof(*device), err);
	if (rc != QS_OK)
		return rc;
	device = &chains->devices[chains->device_count++];
	*device = (struct ret_device){.forked_at = UINT64_MAX};
	memcpy(device->id, record->signer, QS_DEVICE_LEN);
	device->first = device->end = chains->count;
	*out = device;
	return QS_OK;
}

/* What the record's place in its chain says of the chain. */
static void
link_node(const struct ret_chains *chains, struct ret_device *device,
	struct ret_node *node, const struct qs_name *prev)
{
	bool is_any = false;
	size_t at = device->end;

	node->parent = RET_NONE;
	if (at > device->first && chains->nodes[at - 1].seq == node->seq &&
		node->seq < device->forked_at)
		device->forked_at = node->seq;
	if (node->seq == 0) {
		node->is_whole = true;
		return;
	}
	while (at > device->first && chains->nodes[at - 1].seq == node->seq)
		at--;
	for (; at > device->first &&
		chains->nodes[at - 1].seq == node->seq - 1; at--) {
		is_any = true;
		if (memcmp(chains->nodes[at - 1].name.b, prev->b, 32) == 0)
			node->parent = (uint32_t)(at - 1);
	}
	if (node->parent != RET_NONE) {
		node->is_whole = chains->nodes[node->parent].is_whole;
		return;
	}
	/* The one it follows is not there; another of that number may be. */
	if (is_any && node->seq - 1 < device->forked_at)
		device->forked_at = node->seq - 1;
	device->has_gap = true;
	device->gap_end = node->seq;
}

static enum qs_code
add_retire(struct ret_chains *chains, const struct qs_record *record,
	struct ret_node *node, struct qs_err *err)
{
	struct qs_retire_body body;
	struct ret_retire *retire;
	enum qs_code rc = qs_retire_decode(record->public_body, &body, err);

	if (rc == QS_OK)
		rc = ret_room(&chains->retires, chains->retire_count,
			&chains->retire_cap, sizeof(*retire), err);
	if (rc != QS_OK)
		return rc;
	retire = &chains->retires[chains->retire_count];
	*retire = (struct ret_retire){
		.node = (uint32_t)chains->count,
		.parent = node->retire,
		.seen = qs_retire_seen(&record->name),
		.head_at = chains->heads.len,
		.head_count = body.heads.len / QS_RETIRE_HEAD,
	};
	if (body.heads.len > 0)
		rc = qs_buf_append(&chains->heads, body.heads.data,
			body.heads.len, err);
	if (rc == QS_OK)
		node->retire = (uint32_t)chains->retire_count++;
	return rc;
}

enum qs_code
ret_chains_take(struct ret_chains *chains, const struct qs_record *record,
	struct qs_err *err)
{
	struct ret_node node = {
		.name = record->name,
		.seq = record->seq,
		.low = UINT32_MAX,
		.retire = RET_NONE,
		.type = (uint8_t)record->type,
	};
	struct ret_device *device;
	uint32_t known;
	enum qs_code rc = device_for(chains, record, &device, err);

	if (rc == QS_OK)
		rc = ret_room(&chains->nodes, chains->count, &chains->cap,
			sizeof(node), err);
	if (rc != QS_OK)
		return rc;
	if (chains->count >= RET_NONE)
		return qs_fail(err, QS_EUNSUPPORTED, "log: too many records");
	link_node(chains, device, &node, &record->prev);
	if (ret_is_admin(chains, record->signer)) {
		if (node.parent != RET_NONE)
			node.retire = chains->nodes[node.parent].retire;
		/* Not known yet what it means: see ret_chains_seal. */
		node.high = record->retire_seen;
		if (record->type == QS_RECORD_RETIRE)
			rc = add_retire(chains, record, &node, err);
	} else if (record->type == QS_RECORD_SNAPSHOT) {
		known = ret_chains_known(chains, record->retire_seen);
		node.low = node.high = known == RET_NONE ? 0 :
			chains->retires[known].first;
	}
	if (rc != QS_OK)
		return rc;
	chains->nodes[chains->count++] = node;
	device->end = chains->count;
	return QS_OK;
}

/* ------------------------------------------------------ the admin's chain */

static int
by_seen(const void *a, const void *b, void *arg)
{
	const struct ret_chains *chains = (const struct ret_chains *)arg;
	uint32_t left = chains->retires[*(const uint32_t *)a].seen;
	uint32_t right = chains->retires[*(const uint32_t *)b].seen;

	return left < right ? -1 : left > right;
}

uint32_t
ret_chains_known(const struct ret_chains *chains, uint32_t seen)
{
	size_t low = 0, high = chains->retire_count;

	if (seen == 0 || chains->by_seen == NULL)
		return RET_NONE;
	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (chains->retires[chains->by_seen[mid]].seen < seen)
			low = mid + 1;
		else
			high = mid;
	}
	if (low == chains->retire_count ||
		chains->retires[chains->by_seen[low]].seen != seen)
		return RET_NONE;
	/* Two that look alike: either may be meant. */
	if (low + 1 < chains->retire_count &&
		chains->retires[chains->by_seen[low + 1]].seen == seen)
		return RET_NONE;
	return chains->by_seen[low];
}

bool
ret_chains_is_behind(const struct ret_chains *chains, uint32_t retire,
	uint32_t known)
{
	const struct ret_retire *it = &chains->retires[retire];

	return known != RET_NONE && chains->retires[known].first >= it->first &&
		chains->retires[known].first < it->end;
}

/*
 * Number a forest whose parents come before their children: the range of a node
 * is itself and all below it.  next has room for count.
 */
static void
number_tree(size_t count, uint32_t (*parent_of)(const void *, size_t),
	const void *of, uint32_t *first, uint32_t *end, uint32_t *next)
{
	uint32_t root = 1;

	for (size_t i = 0; i < count; i++)
		end[i] = 1; /* its size, for now */
	for (size_t i = count; i-- > 0;) {
		uint32_t parent = parent_of(of, i);

		if (parent != RET_NONE)
			end[parent] += end[i];
	}
	for (size_t i = 0; i < count; i++) {
		uint32_t parent = parent_of(of, i);
		uint32_t *free_place = parent == RET_NONE ? &root :
			&next[parent];

		first[i] = *free_place;
		*free_place += end[i];
		next[i] = first[i] + 1;
		end[i] += first[i];
	}
}

static uint32_t
retire_parent(const void *of, size_t i)
{
	return ((const struct ret_chains *)of)->retires[i].parent;
}

static uint32_t
record_parent(const void *of, size_t i)
{
	return ((const struct ret_chains *)of)->nodes[i].parent;
}

static enum qs_code
number_retires(struct ret_chains *chains, struct qs_err *err)
{
	size_t count = chains->retire_count;
	uint32_t *room = calloc(count + 1, 3 * sizeof(*room));

	chains->by_seen = calloc(count + 1, sizeof(*chains->by_seen));
	if (room == NULL || chains->by_seen == NULL) {
		free(room);
		return qs_fail_nomem(err, "reading what is retired");
	}
	number_tree(count, retire_parent, chains, room, room + count,
		room + 2 * count);
	for (size_t i = 0; i < count; i++) {
		chains->retires[i].first = room[i];
		chains->retires[i].end = room[count + i];
		chains->by_seen[i] = (uint32_t)i;
	}
	free(room);
	qsort_r(chains->by_seen, count, sizeof(*chains->by_seen), by_seen,
		chains);
	return QS_OK;
}

/* All nodes are the admin's by now. */
static enum qs_code
number_records(struct ret_chains *chains, struct qs_err *err)
{
	size_t count = chains->count;
	uint32_t *next = calloc(count + 1, sizeof(*next));

	chains->tree_first = calloc(count + 1, sizeof(*chains->tree_first));
	chains->tree_end = calloc(count + 1, sizeof(*chains->tree_end));
	if (next == NULL || chains->tree_first == NULL ||
		chains->tree_end == NULL) {
		free(next);
		return qs_fail_nomem(err, "reading what is retired");
	}
	number_tree(count, record_parent, chains, chains->tree_first,
		chains->tree_end, next);
	free(next);
	return QS_OK;
}

enum qs_code
ret_chains_seal(struct ret_chains *chains, struct qs_err *err)
{
	enum qs_code rc = number_retires(chains, err);

	if (rc == QS_OK && chains->device_count > 0 &&
		chains->devices[0].forked_at != UINT64_MAX)
		rc = number_records(chains, err);
	if (rc != QS_OK)
		return rc;
	for (size_t i = 0; i < chains->count; i++) {
		struct ret_node *node = &chains->nodes[i];
		uint32_t known = ret_chains_known(chains, node->high);

		if (node->type != QS_RECORD_SNAPSHOT)
			node->high = 0;
		else
			node->low = node->high = known == RET_NONE ? 0 :
				chains->retires[known].first;
	}
	return QS_OK;
}
