/* SPDX-License-Identifier: ISC */
/*
 * Names from a tree or from a store on their way to a terminal: what could
 * move the cursor, change colours or turn the reading direction is shown as
 * \xHH.
 */
#include "cli/cli_internal.h"

size_t
qs_utf8_next(const uint8_t *data, size_t len, uint32_t *out)
{
	static const uint32_t least[5] = {0, 0, 0x80, 0x800, 0x10000};
	uint32_t c = data[0];
	size_t need = c < 0x80 ? 1 : (c & 0xe0) == 0xc0 ? 2 :
		(c & 0xf0) == 0xe0 ? 3 : (c & 0xf8) == 0xf0 ? 4 : 0;

	if (need == 0 || need > len)
		return 0;
	if (need > 1)
		c &= 0x7fu >> need;
	for (size_t i = 1; i < need; i++) {
		if ((data[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (data[i] & 0x3f);
	}
	/* overlong, surrogates, beyond Unicode */
	if (c < least[need] || (c >= 0xd800 && c <= 0xdfff) || c > 0x10ffff)
		return 0;
	*out = c;
	return need;
}

static bool
is_harmful(uint32_t c)
{
	if (c < 0x20 || (c >= 0x7f && c < 0xa0))
		return true;
	if (c == 0xad || c == 0x61c || c == 0x180e || c == 0xfeff)
		return true;
	return (c >= 0x200b && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) ||
		(c >= 0x2060 && c <= 0x206f) || (c >= 0xe0000 && c <= 0xe007f);
}

void
qs_cli_escape(FILE *file, const void *data, size_t len)
{
	const uint8_t *at = (const uint8_t *)data;

	while (len > 0) {
		uint32_t c = 0;
		size_t n = qs_utf8_next(at, len, &c);
		bool show = n > 0 && !is_harmful(c);

		if (n == 0)
			n = 1;
		if (show) {
			(void)fwrite(at, 1, n, file);
		} else {
			for (size_t i = 0; i < n; i++)
				(void)fprintf(file, "\\x%02x", at[i]);
		}
		at += n;
		len -= n;
	}
}

void
qs_cli_escape_text(FILE *file, const char *text)
{
	qs_cli_escape(file, text, strlen(text));
}
