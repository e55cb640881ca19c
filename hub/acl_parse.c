/* SPDX-License-Identifier: ISC */
/*
 * The access list's text.  A line that is not understood is a fault of the
 * whole list: it may have been the one that takes something away.
 */
#include <stdio.h>
#include <stdlib.h>

#include "hub/acl_internal.h"

#define WORD_MAX 127 /* longer than any that means something */
#define WORDS_MAX 8

struct place { /* where a fault is */
	const char *path;
	unsigned number;
	struct qs_err *err;
};

struct words { /* of one line */
	char text[WORDS_MAX][WORD_MAX + 1];
	size_t count;
};

static enum qs_code fault(const struct place *place, const char *fmt, ...)
	QS_PRINTF(2, 3);

static enum qs_code
fault(const struct place *place, const char *fmt, ...)
{
	char what[256];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(what, sizeof(what), fmt, args);
	va_end(args);
	return qs_fail(place->err, QS_EINVAL, "%s:%u: %s", place->path,
		place->number, what);
}

/* ---------------------------------------------------------------- numbers */

/* Digits without a sign or leading zero, at most max. */
static bool
parse_digits(const char *text, size_t len, uint64_t max, uint64_t *out)
{
	uint64_t value = 0;

	if (len == 0 || (text[0] == '0' && len > 1))
		return false;
	for (size_t i = 0; i < len; i++) {
		unsigned digit = (unsigned)(text[i] - '0');

		if (text[i] < '0' || text[i] > '9' ||
			value > (max - digit) / 10)
			return false;
		value = value * 10 + digit;
	}
	*out = value;
	return true;
}

/* "40G": 1024 is a K.  Never 0, which would read as "none". */
static bool
parse_size(const char *text, uint64_t *out)
{
	static const char units[] = "KMGT";
	size_t len = strlen(text);
	const char *unit = len > 0 ? strchr(units, text[len - 1]) : NULL;
	unsigned shift = 0;
	uint64_t value;

	if (unit != NULL) {
		shift = 10 * ((unsigned)(unit - units) + 1);
		len--;
	}
	if (!parse_digits(text, len, (uint64_t)INT64_MAX >> shift, &value) ||
		value == 0)
		return false;
	*out = value << shift;
	return true;
}

/* ------------------------------------------------------------- principals */

static bool
is_number(const char *text)
{
	return text[strspn(text, "0123456789")] == '\0';
}

bool
qs_acl_principal(const char *text, enum qs_principal_kind *kind,
	char who[static QS_ACL_NAME])
{
	static const struct {
		const char *prefix;
		enum qs_principal_kind kind;
	} kinds[] = {
		{"qube:", QS_PRINCIPAL_QUBE},
		{"key:", QS_PRINCIPAL_KEY},
		{"user:", QS_PRINCIPAL_USER},
	};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		size_t len = strlen(kinds[i].prefix);
		uint64_t uid;

		if (strncmp(text, kinds[i].prefix, len) != 0)
			continue;
		if (!qs_wire_name_ok(text + len))
			return false;
		/* The last uid means "none". */
		if (kinds[i].kind == QS_PRINCIPAL_USER &&
			is_number(text + len) && !parse_digits(text + len,
				strlen(text + len), UINT32_MAX - 1, &uid))
			return false;
		*kind = kinds[i].kind;
		(void)snprintf(who, QS_ACL_NAME, "%s", text + len);
		return true;
	}
	return false;
}

/* ------------------------------------------------------------------ lines */

static enum qs_code
split(const char *text, size_t len, struct words *out,
	const struct place *place)
{
	size_t at = 0;

	out->count = 0;
	for (;;) {
		size_t from;

		while (at < len && (text[at] == ' ' || text[at] == '\t'))
			at++;
		from = at;
		if (at == len || (out->count == 0 && text[at] == '#'))
			return QS_OK;
		for (; at < len && text[at] != ' ' && text[at] != '\t'; at++) {
			if (text[at] == '\r')
				return fault(place, "ends in a carriage "
					"return, as DOS text does");
			if (text[at] < 0x21 || text[at] > 0x7e)
				return fault(place, "has a byte (%d) that is "
					"no printable ASCII",
					(unsigned char)text[at]);
		}
		if (text[from] == '#')
			return fault(place, "a comment needs a line of its "
				"own");
		if (at - from > WORD_MAX)
			return fault(place, "has a word of %zu bytes",
				at - from);
		if (out->count == WORDS_MAX)
			return fault(place, "has more than %d words",
				WORDS_MAX);
		memcpy(out->text[out->count], text + from, at - from);
		out->text[out->count][at - from] = '\0';
		out->count++;
	}
}

static enum qs_code
parse_option(const char *word, struct qs_grant *grant,
	const struct place *place)
{
	uint64_t count;

	if (strncmp(word, "quota=", 6) == 0) {
		if (grant->quota != 0)
			return fault(place, "quota is there twice");
		if (!parse_size(word + 6, &grant->quota))
			return fault(place, "%s: a size is like 500M or 40G",
				word);
		return QS_OK;
	}
	if (strncmp(word, "rate=", 5) == 0) {
		if (grant->rate != 0)
			return fault(place, "rate is there twice");
		if (!parse_size(word + 5, &grant->rate))
			return fault(place, "%s: a size (a second) is like "
				"500K or 50M", word);
		return QS_OK;
	}
	if (strncmp(word, "connections=", 12) == 0) {
		if (grant->connections != 0)
			return fault(place, "connections is there twice");
		if (!parse_digits(word + 12, strlen(word + 12),
			QS_ACL_CONNECTIONS_MAX, &count) || count == 0)
			return fault(place, "%s: a number from 1 to %d", word,
				QS_ACL_CONNECTIONS_MAX);
		grant->connections = (unsigned)count;
		return QS_OK;
	}
	return fault(place, "%s: neither quota=, rate= nor connections=",
		word);
}

static bool
parse_mode(const char *word, enum qs_wire_mode *out)
{
	if (strcmp(word, "ro") == 0)
		*out = QS_MODE_RO;
	else if (strcmp(word, "rw") == 0)
		*out = QS_MODE_RW;
	else if (strcmp(word, "transfer") == 0)
		*out = QS_MODE_TRANSFER;
	else
		return false;
	return true;
}

static enum qs_code
parse_line(const struct words *words, struct qs_acl_line *out,
	const struct place *place)
{
	enum qs_code rc = QS_OK;

	if (words->count < 3)
		return fault(place, "needs a principal, a folder and a mode");
	if (!qs_acl_principal(words->text[0], &out->kind, out->who))
		return fault(place, "%s: a principal is qube:NAME, key:NAME, "
			"user:NAME or user:UID", words->text[0]);
	if (!qs_wire_name_ok(words->text[1]))
		return fault(place, "%s: not a folder's name (a-z, 0-9, then "
			"also . _ -, at most 63)", words->text[1]);
	(void)snprintf(out->folder, sizeof(out->folder), "%.63s",
		words->text[1]);
	if (!parse_mode(words->text[2], &out->grant.mode))
		return fault(place, "%s: a mode is ro, rw or transfer",
			words->text[2]);
	for (size_t i = 3; rc == QS_OK && i < words->count; i++)
		rc = parse_option(words->text[i], &out->grant, place);
	return rc;
}

/* ------------------------------------------------------------------- list */

static int
compare(const struct qs_acl_line *a, const struct qs_acl_line *b)
{
	int order;

	if (a->kind != b->kind)
		return a->kind < b->kind ? -1 : 1;
	order = strcmp(a->who, b->who);
	return order != 0 ? order : strcmp(a->folder, b->folder);
}

static int
compare_lines(const void *a, const void *b)
{
	const struct qs_acl_line *one = a, *other = b;
	int order = compare(one, other);

	if (order != 0)
		return order;
	return one->number < other->number ? -1 : one->number > other->number;
}

static enum qs_code
check_twice(const struct qs_acl *acl, struct place *place)
{
	for (size_t i = 1; i < acl->count; i++) {
		const struct qs_acl_line *line = &acl->lines[i];

		if (compare(line - 1, line) != 0)
			continue;
		place->number = line->number;
		return fault(place, "the same principal and folder as in "
			"line %u", (line - 1)->number);
	}
	return QS_OK;
}

static enum qs_code
add_line(struct qs_acl *acl, const struct words *words,
	const struct place *place)
{
	struct qs_acl_line line = {.number = place->number};
	enum qs_code rc;

	if (words->count == 0)
		return QS_OK;
	rc = parse_line(words, &line, place);
	if (rc != QS_OK)
		return rc;
	if (acl->count == acl->cap) {
		size_t cap = acl->cap == 0 ? 16 : acl->cap * 2;
		struct qs_acl_line *lines = realloc(acl->lines,
			cap * sizeof(*lines));

		if (lines == NULL)
			return qs_fail_nomem(place->err,
				"reading the access list");
		acl->lines = lines;
		acl->cap = cap;
	}
	acl->lines[acl->count++] = line;
	return QS_OK;
}

enum qs_code
qs_acl_parse(struct qs_span text, const char *path, struct qs_acl *out,
	struct qs_err *err)
{
	const char *at = (const char *)text.data;
	size_t left = text.len;
	struct place place = {path, 0, err};
	struct qs_acl acl = {0};
	struct words words;
	enum qs_code rc = QS_OK;

	if (text.len > QS_ACL_MAX)
		return qs_fail(err, QS_EINVAL, "%s: longer than %u bytes",
			path, QS_ACL_MAX);
	while (rc == QS_OK && left > 0) {
		const char *end = memchr(at, '\n', left);
		size_t len = end != NULL ? (size_t)(end - at) : left;

		place.number++;
		rc = split(at, len, &words, &place);
		if (rc == QS_OK)
			rc = add_line(&acl, &words, &place);
		len += end != NULL;
		at += len;
		left -= len;
	}
	if (rc == QS_OK && acl.count > 1)
		qsort(acl.lines, acl.count, sizeof(*acl.lines), compare_lines);
	if (rc == QS_OK)
		rc = check_twice(&acl, &place);
	if (rc != QS_OK) {
		qs_acl_clear(&acl);
		return rc;
	}
	*out = acl;
	return QS_OK;
}

void
qs_acl_clear(struct qs_acl *acl)
{
	free(acl->lines);
	memset(acl, 0, sizeof(*acl));
}
