/* SPDX-License-Identifier: ISC */
/*
 * A JSON writer.  Output is always valid UTF-8: where a name is not, each bad
 * byte becomes U+FFFD and a field KEY_raw gives the true bytes in hex.
 */
#include <inttypes.h>
#include <math.h>

#include "cli/cli_internal.h"

struct qs_json
qs_json(FILE *file)
{
	return (struct qs_json){.file = file};
}

/* *is_exact: nothing was lost. */
static void
put_string(FILE *file, const uint8_t *data, size_t len, bool *is_exact)
{
	*is_exact = true;
	(void)fputc('"', file);
	while (len > 0) {
		uint32_t c = 0;
		size_t n = qs_utf8_next(data, len, &c);

		if (n == 0) {
			*is_exact = false;
			n = 1;
			(void)fputs("\\ufffd", file);
		} else if (c == '"' || c == '\\') {
			(void)fprintf(file, "\\%c", (char)c);
		} else if (c == '\n') {
			(void)fputs("\\n", file);
		} else if (c < 0x20 || (c >= 0x7f && c < 0xa0) ||
			(c >= 0x2028 && c <= 0x202e)) {
			(void)fprintf(file, "\\u%04x", (unsigned)c);
		} else {
			(void)fwrite(data, 1, n, file);
		}
		data += n;
		len -= n;
	}
	(void)fputc('"', file);
}

static void
begin(struct qs_json *json, const char *key)
{
	bool is_exact;

	if (json->comma)
		(void)fputc(',', json->file);
	json->comma = true;
	if (key == NULL)
		return;
	put_string(json->file, (const uint8_t *)key, strlen(key), &is_exact);
	(void)fputc(':', json->file);
}

void
qs_json_open(struct qs_json *json, const char *key, char bracket)
{
	begin(json, key);
	(void)fputc(bracket, json->file);
	json->comma = false;
}

void
qs_json_close(struct qs_json *json, char bracket)
{
	(void)fputc(bracket, json->file);
	json->comma = true;
}

void
qs_json_text(struct qs_json *json, const char *key, const char *text)
{
	bool is_exact;

	begin(json, key);
	put_string(json->file, (const uint8_t *)text, strlen(text),
		&is_exact);
}

void
qs_json_name(struct qs_json *json, const char *key, const void *data,
	size_t len)
{
	const uint8_t *bytes = (const uint8_t *)data;
	char raw[64];
	bool is_exact;

	begin(json, key);
	put_string(json->file, bytes, len, &is_exact);
	if (is_exact || key == NULL)
		return;
	(void)snprintf(raw, sizeof(raw), "%s_raw", key);
	qs_json_hex(json, raw, data, len);
}

void
qs_json_number(struct qs_json *json, const char *key, uint64_t value)
{
	begin(json, key);
	(void)fprintf(json->file, "%" PRIu64, value);
}

void
qs_json_real(struct qs_json *json, const char *key, double value)
{
	begin(json, key);
	/* JSON knows neither infinity nor NaN */
	(void)fprintf(json->file, "%.6g", isfinite(value) ? value : 0.0);
}

void
qs_json_bool(struct qs_json *json, const char *key, bool value)
{
	begin(json, key);
	(void)fputs(value ? "true" : "false", json->file);
}

void
qs_json_hex(struct qs_json *json, const char *key, const void *data,
	size_t len)
{
	const uint8_t *bytes = (const uint8_t *)data;

	begin(json, key);
	(void)fputc('"', json->file);
	for (size_t i = 0; i < len; i++)
		(void)fprintf(json->file, "%02x", bytes[i]);
	(void)fputc('"', json->file);
}

void
qs_json_time(struct qs_json *json, const char *key, int64_t ns)
{
	char text[QS_CLI_TEXT_LEN];

	qs_cli_time_json(ns, text);
	qs_json_text(json, key, text);
}

void
qs_json_end(struct qs_json *json)
{
	(void)fputc('\n', json->file);
	(void)fflush(json->file);
	json->comma = false;
}
