/* SPDX-License-Identifier: ISC */
/*
 * folder_seen: which records the index has taken in, as facts in it: of each
 * signer up to which number, and a sum of their names, so that one that is lost
 * or comes late shows.
 */
#include "snapshot/folder_internal.h"

#define SEEN_KEY (sizeof("seen:") + 2 * QS_DEVICE_LEN)
#define SEEN_LEN (8 + 32) /* seq, sum of the names up to there */
#define DEVICES_KEY "devices" /* all signers of which something was seen */

static void
seen_key(const struct qs_chain *chain, char out[static SEEN_KEY])
{
	memcpy(out, "seen:", 5);
	qs_hex(out + 5, chain->device, QS_DEVICE_LEN);
}

/* Names are hashes: their sum tells a set of them, in whatever order. */
static void
sum_up_to(const struct qs_chain *chain, uint64_t seq, uint8_t out[static 32])
{
	memset(out, 0, 32);
	for (size_t i = 0; i < chain->link_count; i++) {
		for (size_t k = 0; k < 32 && chain->links[i].seq <= seq; k++)
			out[k] ^= chain->links[i].name.b[k];
	}
}

bool
qs_chain_is_as_seen(const struct qs_chain *chain)
{
	uint8_t sum[32];

	sum_up_to(chain, chain->seen, sum);
	return !chain->is_seen || memcmp(sum, chain->seen_sum, 32) == 0;
}

enum qs_code
qs_chain_seen_load(struct qs_folder *folder, struct qs_chain *chain,
	struct qs_err *err)
{
	struct qs_buf value = {0};
	char key[SEEN_KEY];
	bool found;
	enum qs_code rc;

	seen_key(chain, key);
	rc = qs_index_fact_get(folder->index, key, &value, &found, err);
	/* Any other form: as if it had never been written. */
	chain->is_seen = rc == QS_OK && found && value.len == SEEN_LEN;
	chain->seen = chain->is_seen ? qs_load64(value.data) : 0;
	if (chain->is_seen)
		memcpy(chain->seen_sum, value.data + 8, 32);
	qs_buf_clear(&value);
	return rc;
}

/* So that a chain of which nothing is left is missed, too. */
static enum qs_code
note_device(struct qs_folder *folder, const struct qs_chain *chain,
	struct qs_err *err)
{
	struct qs_buf devices = {0};
	bool found;
	enum qs_code rc = qs_index_fact_get(folder->index, DEVICES_KEY,
		&devices, &found, err);

	for (size_t at = 0; rc == QS_OK && at + QS_DEVICE_LEN <= devices.len;
		at += QS_DEVICE_LEN) {
		if (memcmp(devices.data + at, chain->device,
			QS_DEVICE_LEN) == 0)
			goto out;
	}
	if (rc == QS_OK)
		rc = qs_buf_append(&devices, chain->device, QS_DEVICE_LEN,
			err);
	if (rc == QS_OK)
		rc = qs_index_fact_put(folder->index, DEVICES_KEY,
			qs_buf_span(&devices), err);
out:
	qs_buf_clear(&devices);
	return rc;
}

enum qs_code
qs_chain_seen_save(struct qs_folder *folder, struct qs_chain *chain,
	uint64_t seq, struct qs_err *err)
{
	uint8_t value[SEEN_LEN];
	char key[SEEN_KEY];
	enum qs_code rc = note_device(folder, chain, err);

	if (rc != QS_OK)
		return rc;
	seen_key(chain, key);
	qs_store64(value, seq);
	sum_up_to(chain, seq, value + 8);
	rc = qs_index_fact_put(folder->index, key, qs_span(value, SEEN_LEN),
		err);
	if (rc == QS_OK) {
		chain->is_seen = true;
		chain->seen = seq;
		memcpy(chain->seen_sum, value + 8, 32);
	}
	return rc;
}

static bool
has_records(const struct qs_folder *folder,
	const uint8_t device[static QS_DEVICE_LEN])
{
	const struct qs_chain *chain = qs_folder_chain(folder, device);

	return chain != NULL && chain->has_head;
}

enum qs_code
qs_seen_is_gone(struct qs_folder *folder, bool *is_gone, struct qs_err *err)
{
	struct qs_buf devices = {0};
	bool found;
	enum qs_code rc = qs_index_fact_get(folder->index, DEVICES_KEY,
		&devices, &found, err);

	*is_gone = false;
	for (size_t at = 0; rc == QS_OK && at + QS_DEVICE_LEN <= devices.len;
		at += QS_DEVICE_LEN)
		*is_gone |= !has_records(folder, devices.data + at);
	qs_buf_clear(&devices);
	return rc;
}

enum qs_code
qs_seen_forget_gone(struct qs_folder *folder, struct qs_err *err)
{
	struct qs_buf devices = {0}, left = {0};
	bool found;
	enum qs_code rc = qs_index_fact_get(folder->index, DEVICES_KEY,
		&devices, &found, err);

	for (size_t at = 0; rc == QS_OK && at + QS_DEVICE_LEN <= devices.len;
		at += QS_DEVICE_LEN) {
		struct qs_chain chain = {.link_count = 0};
		char key[SEEN_KEY];

		memcpy(chain.device, devices.data + at, QS_DEVICE_LEN);
		if (has_records(folder, chain.device)) {
			rc = qs_buf_append(&left, chain.device, QS_DEVICE_LEN,
				err);
			continue;
		}
		seen_key(&chain, key);
		rc = qs_index_fact_put(folder->index, key, qs_span("", 1),
			err);
	}
	if (rc == QS_OK)
		rc = qs_index_fact_put(folder->index, DEVICES_KEY,
			qs_buf_span(&left), err);
	qs_buf_clear(&devices);
	qs_buf_clear(&left);
	return rc;
}

/* Has another process of this machine taken in more since we looked? */
enum qs_code
qs_seen_is_ahead(struct qs_folder *folder, const struct qs_chain *chain,
	bool *is_ahead, struct qs_err *err)
{
	struct qs_chain stored = {.link_count = 0};
	enum qs_code rc;

	memcpy(stored.device, chain->device, QS_DEVICE_LEN);
	rc = qs_chain_seen_load(folder, &stored, err);
	/* What we found ourselves is no more than the head, or no longer so. */
	*is_ahead = rc == QS_OK && stored.is_seen &&
		stored.seen > chain->head.seq && stored.seen != chain->seen;
	return rc;
}
