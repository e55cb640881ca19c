/* SPDX-License-Identifier: ISC */
/* What the tests of store/ share: fixed keys, fresh directories, vectors. */
#ifndef QS_STORE_HELP_H
#define QS_STORE_HELP_H

#include "store/store_internal.h"

/* Fails the running cmocka test with the message unless code is QS_OK. */
void help_ok(enum qs_code code, const struct qs_err *err);
/* ... unless it is this code and the message has this in it. */
void help_fails(enum qs_code code, const struct qs_err *err,
	enum qs_code wanted, const char *words);

/*
 * FMK 00..1f, DS 80..9f; the admin's seed is 32 times 0x11, of which follow
 * adm_pk and the folder id.
 */
struct qs_keys *help_keys(void);
/* Keys of another folder, from another FMK byte. */
struct qs_keys *help_other_keys(uint8_t first);
/* The device key whose seed is 32 times number. */
void help_device(struct qs_sign_key *out, uint8_t number);

/* A fresh directory, heap-allocated name; removed with all it holds. */
char *help_dir_make(void);
void help_dir_remove(char *dir);

/* xorshift, so that every run tests the same. */
uint32_t help_random(uint32_t *state);
void help_fill(uint8_t *out, size_t len, uint32_t *state);

/* Encode and parse; *bytes owns what *out borrows. */
void help_record(const struct qs_keys *keys, const struct qs_sign_key *signer,
	const struct qs_record *draft, struct qs_span payload,
	struct qs_buf *bytes, struct qs_record *out);

/*
 * A vector file has lines "name hex"; '#' begins a comment.  The hex of one
 * name, as bytes (to be cleared); fails the test when there is none.
 */
struct qs_buf help_vector(const char *file, const char *name);
/* Do the bytes match the vector of this name? */
void help_matches(const char *file, const char *name, const void *bytes,
	size_t len);

#endif
