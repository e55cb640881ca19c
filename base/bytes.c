/* SPDX-License-Identifier: ISC */
/* Bytes: growing buffers, the reader of foreign bytes, and hex. */
#include <stdio.h>
#include <stdlib.h>

#include "base/base.h"

enum qs_code
qs_buf_reserve(struct qs_buf *buf, size_t cap, struct qs_err *err)
{
	size_t grown;
	uint8_t *data;

	if (cap <= buf->cap)
		return QS_OK;
	if (!qs_add_size(buf->cap, buf->cap / 2, &grown) || grown < cap)
		grown = cap;
	data = (uint8_t *)realloc(buf->data, grown);
	if (data == NULL)
		return qs_fail(err, QS_ENOMEM,
			"out of memory for a buffer of %zu bytes", grown);
	buf->data = data;
	buf->cap = grown;
	return QS_OK;
}

/* Room for len bytes after what is there; at least one, so never NULL. */
static enum qs_code
make_room(struct qs_buf *buf, size_t len, struct qs_err *err)
{
	size_t cap;

	if (!qs_add_size(buf->len, len > 0 ? len : 1, &cap))
		return qs_fail(err, QS_ENOMEM,
			"a buffer of %zu bytes can't take %zu more", buf->len,
			len);
	return qs_buf_reserve(buf, cap, err);
}

enum qs_code
qs_buf_extend(struct qs_buf *buf, size_t len, uint8_t **out,
	struct qs_err *err)
{
	enum qs_code rc = make_room(buf, len, err);

	if (rc != QS_OK)
		return rc;
	*out = buf->data + buf->len;
	buf->len += len;
	return QS_OK;
}

enum qs_code
qs_buf_append(struct qs_buf *buf, const void *data, size_t len,
	struct qs_err *err)
{
	uint8_t *end = NULL;
	enum qs_code rc;

	if (len == 0) /* data may be NULL */
		return QS_OK;
	rc = qs_buf_extend(buf, len, &end, err);
	if (rc != QS_OK)
		return rc;
	memcpy(end, data, len);
	return QS_OK;
}

enum qs_code
qs_buf_printf(struct qs_buf *buf, struct qs_err *err, const char *fmt, ...)
{
	enum qs_code rc;
	va_list args;
	int n;
	size_t size;

	va_start(args, fmt);
	n = vsnprintf(NULL, 0, fmt, args);
	va_end(args);
	if (n < 0)
		return qs_fail(err, QS_EINVAL, "text can't be formatted");
	size = (size_t)n + 1;
	rc = make_room(buf, size, err);
	if (rc != QS_OK)
		return rc;
	va_start(args, fmt);
	(void)vsnprintf((char *)buf->data + buf->len, size, fmt, args);
	va_end(args);
	buf->len += (size_t)n; /* the NUL is there but does not count */
	return QS_OK;
}

void
qs_buf_clear(struct qs_buf *buf)
{
	if (buf == NULL)
		return;
	free(buf->data);
	*buf = (struct qs_buf){0};
}

const uint8_t *
qs_read_bytes(struct qs_reader *reader, size_t len)
{
	static const uint8_t nothing[1];
	const uint8_t *bytes = reader->data;

	if (reader->failed || len > reader->left) {
		reader->failed = true;
		reader->left = 0;
		return NULL;
	}
	if (len == 0) /* an empty span may be NULL, which would say "failed" */
		return bytes != NULL ? bytes : nothing;
	reader->data += len;
	reader->left -= len;
	return bytes;
}

uint8_t
qs_read8(struct qs_reader *reader)
{
	const uint8_t *b = qs_read_bytes(reader, 1);

	return b != NULL ? b[0] : 0;
}

uint16_t
qs_read16(struct qs_reader *reader)
{
	const uint8_t *b = qs_read_bytes(reader, 2);

	return b != NULL ? qs_load16(b) : 0;
}

uint32_t
qs_read32(struct qs_reader *reader)
{
	const uint8_t *b = qs_read_bytes(reader, 4);

	return b != NULL ? qs_load32(b) : 0;
}

uint64_t
qs_read64(struct qs_reader *reader)
{
	const uint8_t *b = qs_read_bytes(reader, 8);

	return b != NULL ? qs_load64(b) : 0;
}

bool
qs_is_zero(const void *data, size_t len)
{
	const uint8_t *b = (const uint8_t *)data;

	/* The first byte is zero and each equals the one before it. */
	return len == 0 || (b[0] == 0 && memcmp(b, b + 1, len - 1) == 0);
}

void
qs_hex(char *out, const void *data, size_t len)
{
	static const char digits[] = "0123456789abcdef";
	const uint8_t *b = (const uint8_t *)data;

	for (size_t i = 0; i < len; i++) {
		out[2 * i] = digits[b[i] >> 4];
		out[2 * i + 1] = digits[b[i] & 15];
	}
	out[2 * len] = '\0';
}

static int
digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1; /* the NUL too */
}

bool
qs_unhex(void *out, size_t len, const char *hex)
{
	uint8_t *b = (uint8_t *)out;
	size_t ndigits;

	if (!qs_mul_size(len, 2, &ndigits))
		return false;
	/* First all checks: out stays as it is when one fails. */
	for (size_t i = 0; i < ndigits; i++)
		if (digit(hex[i]) < 0)
			return false;
	if (hex[ndigits] != '\0')
		return false;
	for (size_t i = 0; i < len; i++)
		b[i] = (uint8_t)(digit(hex[2 * i]) * 16 +
			digit(hex[2 * i + 1]));
	return true;
}
