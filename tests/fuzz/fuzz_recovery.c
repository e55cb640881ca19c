/* SPDX-License-Identifier: ISC */
/*
 * Fuzz target: recovery codes as people type them.  The first byte chooses:
 * 't', text; 'b', 32 bytes to be written down and typed back.
 */
#include <stdlib.h>

#include "crypto/crypto.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The digits alone, as the code writes them; heap-allocated. */
static char *
digits_of(const char *text)
{
	char *out = malloc(strlen(text) + 1), *at = out;

	if (out == NULL)
		abort();
	for (; *text != '\0'; text++) {
		char c = *text;

		if (strchr("- \t\r\n", c) != NULL)
			continue;
		if (c >= 'a' && c <= 'z')
			c = (char)(c - 'a' + 'A');
		*at++ = c == 'O' ? '0' : c == 'I' || c == 'L' ? '1' : c;
	}
	*at = '\0';
	return out;
}

/* A secret has one code, whatever way it was typed. */
static void
fuzz_text(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1), *typed, *written;
	char again[QS_RECOVERY_TEXT_LEN + 1];
	uint8_t secret[QS_KEY_LEN];
	struct qs_err err;

	if (text == NULL)
		abort();
	memcpy(text, data, size);
	text[size] = '\0';
	if (qs_recovery_decode(text, secret, &err) == QS_OK) {
		qs_recovery_encode(secret, again);
		typed = digits_of(text);
		written = digits_of(again);
		if (strcmp(typed, written) != 0)
			abort();
		free(typed);
		free(written);
	}
	free(text);
}

static void
fuzz_secret(const uint8_t *secret)
{
	char text[QS_RECOVERY_TEXT_LEN + 1];
	uint8_t back[QS_KEY_LEN];
	struct qs_err err;

	qs_recovery_encode(secret, text);
	if (strlen(text) != QS_RECOVERY_TEXT_LEN ||
		qs_recovery_decode(text, back, &err) != QS_OK ||
		memcmp(back, secret, sizeof(back)) != 0)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	if (data[0] == 't')
		fuzz_text(data + 1, size - 1);
	else if (data[0] == 'b' && size >= 1 + QS_KEY_LEN)
		fuzz_secret(data + 1);
	return 0;
}
