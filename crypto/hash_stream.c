/* SPDX-License-Identifier: ISC */
/*
 * Multi-lane BLAKE2b of messages that come in slices.  The last block of a
 * message is compressed differently, and a slice does not say whether it is
 * the last: so the last block seen is held back until more comes or the end.
 */
#include <assert.h>
#include <sodium.h>
#include <stdlib.h>

#include "crypto/hash_internal.h"

struct message {
	uint64_t h[8], t;
	const uint8_t *next; /* blocks to compress now, and how many */
	size_t blocks;
	uint8_t held[QS_B2_BLOCK];
	size_t held_len;
};

struct qs_lanes {
	const struct qs_b2_kernels *kernels; /* NULL: `single` is used */
	size_t count;
	struct message messages[QS_LANES_MAX];
	crypto_generichash_blake2b_state single[QS_LANES_MAX];
};

enum qs_code
qs_lanes_new(struct qs_lanes **out, struct qs_err *err)
{
	/* libsodium's state wants 64, and C11 a multiple of the alignment */
	const size_t size = (sizeof(struct qs_lanes) + 63) & ~(size_t)63;
	struct qs_lanes *lanes = (struct qs_lanes *)aligned_alloc(64, size);

	if (lanes == NULL)
		return qs_fail_nomem(err, "hashing object names");
	qs_lanes_reset(lanes, QS_LANES_MAX);
	*out = lanes;
	return QS_OK;
}

void
qs_lanes_free(struct qs_lanes *lanes)
{
	free(lanes);
}

void
qs_lanes_reset(struct qs_lanes *lanes, size_t count)
{
	assert(count <= QS_LANES_MAX);
	memset(lanes, 0, sizeof(*lanes));
	lanes->kernels = qs_b2_kernels();
	lanes->count = count;
	for (size_t i = 0; i < count; i++) {
		qs_b2_start(lanes->messages[i].h, 0, NULL);
		if (crypto_generichash_blake2b_init(&lanes->single[i], NULL,
			0, sizeof(struct qs_name)) != 0)
			sodium_misuse();
	}
}

/*
 * Put the messages that have blocks to compress side by side, and compress as
 * many as the shortest of them has.  false: there was nothing to do.
 */
static bool
run_some(struct qs_lanes *lanes, bool last)
{
	struct qs_b2_lanes side = {.t = {0}};
	struct message *running[QS_LANES_MAX];
	unsigned active = 0;
	size_t blocks = SIZE_MAX;

	for (size_t i = 0; i < lanes->count; i++) {
		struct message *message = &lanes->messages[i];

		if (message->blocks == 0)
			continue;
		for (unsigned w = 0; w < 8; w++)
			side.h[w][active] = message->h[w];
		side.t[active] = message->t;
		side.step[active] = last ? message->held_len : QS_B2_BLOCK;
		side.last[active] = last ? UINT64_MAX : 0;
		side.data[active] = message->next;
		if (message->blocks < blocks)
			blocks = message->blocks;
		running[active++] = message;
	}
	if (active == 0)
		return false;
	qs_b2_run(lanes->kernels, &side, active, blocks);
	for (unsigned i = 0; i < active; i++) {
		for (unsigned w = 0; w < 8; w++)
			running[i]->h[w] = side.h[w][i];
		running[i]->t = side.t[i];
		running[i]->next = side.data[i];
		running[i]->blocks -= blocks;
	}
	return true;
}

static void
hold(struct message *message, struct qs_span *rest, size_t len)
{
	if (len == 0)
		return;
	memcpy(message->held + message->held_len, rest->data, len);
	message->held_len += len;
	rest->data += len;
	rest->len -= len;
}

void
qs_lanes_update(struct qs_lanes *lanes, const struct qs_span *slices)
{
	struct qs_span rest[QS_LANES_MAX] = {{NULL, 0}};

	if (lanes->kernels == NULL) {
		for (size_t i = 0; i < lanes->count; i++)
			if (crypto_generichash_blake2b_update(
				&lanes->single[i], slices[i].data,
				slices[i].len) != 0)
				sodium_misuse();
		return;
	}
	for (size_t i = 0; i < lanes->count; i++) {
		struct message *message = &lanes->messages[i];
		const size_t room = QS_B2_BLOCK - message->held_len;

		rest[i] = slices[i];
		hold(message, &rest[i], rest[i].len < room ?
			rest[i].len : room);
		if (rest[i].len == 0)
			continue;
		/* More follows, so the full block held is not the last. */
		message->next = message->held;
		message->blocks = 1;
		message->held_len = 0;
	}
	run_some(lanes, false);
	for (size_t i = 0; i < lanes->count; i++) {
		if (rest[i].len == 0)
			continue;
		lanes->messages[i].next = rest[i].data;
		lanes->messages[i].blocks = (rest[i].len - 1) / QS_B2_BLOCK;
		rest[i].data += lanes->messages[i].blocks * QS_B2_BLOCK;
		rest[i].len -= lanes->messages[i].blocks * QS_B2_BLOCK;
	}
	while (run_some(lanes, false))
		continue;
	for (size_t i = 0; i < lanes->count; i++)
		hold(&lanes->messages[i], &rest[i], rest[i].len);
}

void
qs_lanes_final(struct qs_lanes *lanes, struct qs_name *names)
{
	for (size_t i = 0; i < lanes->count && lanes->kernels == NULL; i++)
		if (crypto_generichash_blake2b_final(&lanes->single[i],
			names[i].b, sizeof(names[i].b)) != 0)
			sodium_misuse();
	if (lanes->kernels == NULL)
		return;
	for (size_t i = 0; i < lanes->count; i++) {
		struct message *message = &lanes->messages[i];

		memset(message->held + message->held_len, 0,
			QS_B2_BLOCK - message->held_len);
		message->next = message->held;
		message->blocks = 1;
	}
	run_some(lanes, true);
	for (size_t i = 0; i < lanes->count; i++)
		for (size_t w = 0; w < sizeof(names[i].b) / 8; w++)
			qs_store64(names[i].b + 8 * w,
				lanes->messages[i].h[w]);
}
