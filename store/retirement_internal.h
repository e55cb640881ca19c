/* SPDX-License-Identifier: ISC */
/*
 * What retirement's files share: retirement.c has the names, the others have
 * the records: who knew of which RETIRE, and which of these count.
 */
#ifndef QS_RETIREMENT_INTERNAL_H
#define QS_RETIREMENT_INTERNAL_H

#include "store/store_internal.h"

#define RET_NONE UINT32_MAX

/* A record, in the order of the walk. */
struct ret_node {
	struct qs_name name;
	uint64_t seq;
	uint32_t parent; /* the node that prev names; RET_NONE */
	/*
	 * SNAPSHOT: the place (struct ret_retire's first) of the RETIRE that it
	 * knows, 0 for none.  From here to the end of the device these are the
	 * least and the greatest; without a SNAPSHOT UINT32_MAX and 0.
	 */
	uint32_t low, high;
	uint32_t retire; /* admin's: the nearest RETIRE in front, or itself */
	uint8_t type;
	bool is_whole; /* admin's: nothing is missing in front of it */
};

struct ret_device {
	uint8_t id[QS_DEVICE_LEN];
	size_t first, end;   /* its nodes */
	uint64_t forked_at;  /* least seq of two records; UINT64_MAX: none */
	bool has_gap;
	uint64_t gap_end;    /* greatest seq of a record behind a gap */
};

/*
 * A RETIRE.  They are numbered so that those behind one have the places
 * first .. end - 1, itself having first; from 1.
 */
struct ret_retire {
	uint32_t node;
	uint32_t parent; /* the RETIRE in front of it; RET_NONE */
	uint32_t first, end;
	uint32_t seen;   /* what records that know it say */
	size_t head_at, head_count; /* in struct ret_chains.heads */
	bool counts;
};

struct ret_missed { /* a record that can't be read */
	uint8_t device[QS_DEVICE_LEN];
	uint64_t seq;
};

struct ret_chains {
	uint8_t adm_pk[32];
	struct ret_node *nodes;
	size_t count, cap;
	struct ret_device *devices;
	size_t device_count, device_cap;
	struct ret_retire *retires;
	size_t retire_count, retire_cap;
	uint32_t *by_seen; /* retires, ascending by seen */
	struct qs_buf heads; /* of all RETIREs, as in their bodies */
	struct ret_missed *missed;
	size_t missed_count, missed_cap;
	/* The admin's tree of records, when it is forked: as first, end. */
	uint32_t *tree_first, *tree_end;
};

void ret_chains_clear(struct ret_chains *chains);
/* The next record; ret_chains_seal before the first one not the admin's. */
QS_MUST_CHECK enum qs_code ret_chains_take(struct ret_chains *chains,
	const struct qs_record *record, struct qs_err *err);
/* After the admin's last record: all RETIREs are there. */
QS_MUST_CHECK enum qs_code ret_chains_seal(struct ret_chains *chains,
	struct qs_err *err);
/* The RETIRE that a retire_seen means; RET_NONE. */
uint32_t ret_chains_known(const struct ret_chains *chains, uint32_t seen);
/* Is one the other, or in front of it? */
bool ret_chains_is_behind(const struct ret_chains *chains, uint32_t retire,
	uint32_t known);
QS_MUST_CHECK enum qs_code ret_chains_miss(struct ret_chains *chains,
	const uint8_t device[static QS_DEVICE_LEN], uint64_t seq,
	struct qs_err *err);
/* After the last record: which RETIREs count. */
QS_MUST_CHECK enum qs_code ret_chains_finish(struct ret_chains *chains,
	struct qs_err *err);
bool ret_is_admin(const struct ret_chains *chains, const uint8_t *device);

/* Room for one more item; *array may move. */
QS_MUST_CHECK enum qs_code ret_room(void *array_pointer, size_t count,
	size_t *cap, size_t item_size, struct qs_err *err);

#endif
