/* SPDX-License-Identifier: ISC */
/*
 * Heads of the chains: is the store where it was when this machine saw it
 * last, and is everything there that the snapshots' writers saw?
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "snapshot/folder_internal.h"

#define DEVICE_HEX (2 * QS_DEVICE_LEN + 1)

/* ------------------------------------------------------- this machine's */

void
qs_marks_check(struct qs_folder *folder)
{
	char device[DEVICE_HEX], when[QS_TIME_TEXT];

	if (folder->accept_rollback)
		return;
	for (size_t i = 0; i < folder->mark_count; i++) {
		const struct qs_mark *mark = &folder->marks[i];

		if (folder->mark_met[i])
			continue;
		qs_hex(device, mark->device, QS_DEVICE_LEN);
		qs_time_text(mark->time_ms, when);
		/* The walk has told of it; here is what follows from it. */
		(void)qs_fail(&folder->refuse, QS_EROLLBACK, "%s: record "
			"%" PRIu64 " of %s by device %.8s was there and is "
			"now missing or damaged; nothing is written until it "
			"is copied back from another copy of the store, or "
			"until the loss is accepted (--accept-rollback)",
			folder->store->place, mark->seq, when, device);
		return;
	}
}

/* ------------------------------------------------------------ others' */

static int
by_mark(const void *a, const void *b)
{
	const struct qs_claim *left = (const struct qs_claim *)a;
	const struct qs_claim *right = (const struct qs_claim *)b;
	int order = memcmp(left->mark.device, right->mark.device,
		QS_DEVICE_LEN);

	if (order != 0)
		return order;
	if (left->mark.seq != right->mark.seq)
		return left->mark.seq < right->mark.seq ? -1 : 1;
	return qs_name_compare(&left->mark.name, &right->mark.name);
}

enum claim_state { CLAIM_HELD, CLAIM_MISSING, CLAIM_REPLACED };

static enum claim_state
check_claim(const struct qs_chain *chain, const struct qs_claim *claim)
{
	size_t low = 0, high;
	uint64_t seq = claim->mark.seq;

	if (chain == NULL || !chain->has_head || chain->head.seq < seq)
		return CLAIM_MISSING;
	high = chain->link_count;
	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (chain->links[mid].seq < seq)
			low = mid + 1;
		else
			high = mid;
	}
	/* A gap: the walk has told of it. */
	if (low == chain->link_count || chain->links[low].seq != seq)
		return CLAIM_HELD;
	for (; low < chain->link_count && chain->links[low].seq == seq; low++) {
		if (qs_name_compare(&chain->links[low].name,
			&claim->mark.name) == 0)
			return CLAIM_HELD;
	}
	return CLAIM_REPLACED;
}

static void
tell_claim(struct qs_folder *folder, const struct qs_claim *claim,
	enum claim_state state)
{
	char by[QS_HEX_LEN + 1], device[DEVICE_HEX];
	char by_when[QS_TIME_TEXT], when[QS_TIME_TEXT];
	struct qs_err trouble;

	qs_hex(by, claim->by.b, 32);
	qs_hex(device, claim->mark.device, QS_DEVICE_LEN);
	qs_time_text(claim->by_time_ms, by_when);
	qs_time_text(claim->mark.time_ms, when);
	(void)qs_fail(&trouble, QS_EROLLBACK, "the snapshot %.8s of %s saw "
		"record %" PRIu64 " of %s by device %.8s, which is %s", by,
		by_when, claim->mark.seq, when, device,
		state == CLAIM_MISSING ? "missing now" :
		"now another one: the device's history was replaced");
	qs_folder_tell(folder, &trouble);
}

/* Several seqs of a device may be claimed: the highest missing one is told. */
static bool
is_outdone(const struct qs_folder *folder, const struct qs_claim *claims,
	size_t i, size_t count, enum claim_state state)
{
	if (state != CLAIM_MISSING || i + 1 == count || memcmp(
		claims[i + 1].mark.device, claims[i].mark.device,
		QS_DEVICE_LEN) != 0)
		return false;
	return check_claim(qs_folder_chain(folder, claims[i].mark.device),
		&claims[i + 1]) == CLAIM_MISSING;
}

void
qs_claims_check(struct qs_folder *folder, struct qs_claim *claims,
	size_t count)
{
	if (count > 1)
		qsort(claims, count, sizeof(*claims), by_mark);
	for (size_t i = 0; i < count; i++) {
		const struct qs_chain *chain = qs_folder_chain(folder,
			claims[i].mark.device);
		enum claim_state state = check_claim(chain, &claims[i]);

		if (i > 0 && by_mark(&claims[i - 1], &claims[i]) == 0)
			continue;
		if (state != CLAIM_HELD &&
			!is_outdone(folder, claims, i, count, state))
			tell_claim(folder, &claims[i], state);
	}
}

/* --------------------------------------------------------------- token */

#define TOKEN_HEAD (QS_DEVICE_LEN + 8 + 32)

static int
by_device(const void *a, const void *b)
{
	return memcmp(a, b, QS_DEVICE_LEN);
}

/* 80 bits, five at a time, the first bits first. */
static void
encode_token(const uint8_t hash[static 10],
	char out[static QS_HEAD_TOKEN_LEN + 1])
{
	static const char digits[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

	for (size_t i = 0; i < QS_HEAD_TOKEN_LEN; i++) {
		size_t bit = 5 * i, byte = bit / 8;
		unsigned two = (unsigned)hash[byte] << 8;

		if (byte + 1 < 10)
			two |= hash[byte + 1];
		out[i] = digits[two >> (11 - bit % 8) & 31];
	}
	out[QS_HEAD_TOKEN_LEN] = '\0';
}

void
qs_folder_head_token(const struct qs_folder *folder,
	char out[static QS_HEAD_TOKEN_LEN + 1])
{
	uint8_t hash[10], *heads = calloc(folder->chain_count + 1, TOKEN_HEAD);
	size_t count = 0;

	if (heads == NULL) { /* no token is better than a wrong one */
		memset(out, '?', QS_HEAD_TOKEN_LEN);
		out[QS_HEAD_TOKEN_LEN] = '\0';
		return;
	}
	for (size_t i = 0; i < folder->chain_count; i++) {
		const struct qs_chain *chain = &folder->chains[i];
		uint8_t *at = heads + count * TOKEN_HEAD;

		if (!chain->has_head)
			continue;
		memcpy(at, chain->device, QS_DEVICE_LEN);
		qs_store64(at + QS_DEVICE_LEN, chain->head.seq);
		memcpy(at + QS_DEVICE_LEN + 8, chain->head.name.b, 32);
		count++;
	}
	qsort(heads, count, TOKEN_HEAD, by_device);
	qs_b2b(hash, sizeof(hash), NULL, "head", heads, count * TOKEN_HEAD);
	encode_token(hash, out);
	free(heads);
}
