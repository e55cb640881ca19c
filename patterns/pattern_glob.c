/* SPDX-License-Identifier: ISC */
/*
 * pattern_glob: '*', '?', '[...]' and '\' within one component.  A character
 * is one of UTF-8; a byte that is none stands for itself.
 */
#include <locale.h>
#include <stdlib.h>
#include <wchar.h>
#include <wctype.h>

#include "patterns/pattern_internal.h"

#define NOT_UTF8 0x110000u /* + the byte */

struct qs_fold {
	locale_t locale; /* (locale_t)0: only A to Z are known */
};

struct qs_fold *
qs_fold_new(void)
{
	struct qs_fold *fold = malloc(sizeof(*fold));

	if (fold != NULL)
		fold->locale = newlocale(LC_CTYPE_MASK, "C.UTF-8",
			(locale_t)0);
	return fold;
}

void
qs_fold_free(struct qs_fold *fold)
{
	if (fold == NULL)
		return;
	if (fold->locale != (locale_t)0)
		freelocale(fold->locale);
	free(fold);
}

static uint32_t
fold_char(const struct qs_fold *fold, uint32_t c)
{
	if (fold == NULL || c >= NOT_UTF8)
		return c;
	if (c < 0x80)
		return c >= 'A' && c <= 'Z' ? c + 32 : c;
	if (fold->locale == (locale_t)0)
		return c;
	return (uint32_t)towlower_l((wint_t)c, fold->locale);
}

/* Length of the character at text[i], by its first byte; 0: none. */
static size_t
char_len(uint8_t first)
{
	if (first < 0x80)
		return 1;
	if (first >= 0xc2 && first < 0xe0)
		return 2;
	if (first >= 0xe0 && first < 0xf0)
		return 3;
	return first >= 0xf0 && first < 0xf5 ? 4 : 0;
}

/* The character at text[*at]; there is at least a byte. */
static uint32_t
next_char(struct qs_span text, size_t *at)
{
	static const uint32_t least[5] = {0, 0, 0x80, 0x800, 0x10000};
	const uint8_t *in = text.data + *at;
	const size_t len = char_len(in[0]);
	uint32_t c;

	if (len == 1) {
		*at += 1;
		return in[0];
	}
	if (len == 0 || len > text.len - *at)
		goto bad;
	c = in[0] & (0x7fu >> len);
	for (size_t i = 1; i < len; i++) {
		if ((in[i] & 0xc0) != 0x80)
			goto bad;
		c = c << 6 | (in[i] & 0x3fu);
	}
	if (c < least[len] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
		goto bad;
	*at += len;
	return c;
bad:
	*at += 1;
	return NOT_UTF8 + in[0];
}

static void
put_char(struct qs_glob *glob, uint32_t c)
{
	uint8_t *out = glob->text + glob->len;

	if (c >= NOT_UTF8) {
		out[0] = (uint8_t)(c - NOT_UTF8);
		glob->len += 1;
	} else if (c < 0x80) {
		out[0] = (uint8_t)c;
		glob->len += 1;
	} else if (c < 0x800) {
		out[0] = (uint8_t)(0xc0 | c >> 6);
		out[1] = (uint8_t)(0x80 | (c & 0x3f));
		glob->len += 2;
	} else if (c < 0x10000) {
		out[0] = (uint8_t)(0xe0 | c >> 12);
		out[1] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
		out[2] = (uint8_t)(0x80 | (c & 0x3f));
		glob->len += 3;
	} else {
		out[0] = (uint8_t)(0xf0 | c >> 18);
		out[1] = (uint8_t)(0x80 | (c >> 12 & 0x3f));
		out[2] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
		out[3] = (uint8_t)(0x80 | (c & 0x3f));
		glob->len += 4;
	}
}

/* ---------------------------------------------------------------- sets */

/* A character of a set, with its '\' if it has one; false: the end. */
static bool
set_char(struct qs_span text, size_t *at, uint32_t *c)
{
	if (*at < text.len && text.data[*at] == '\\')
		*at += 1;
	if (*at >= text.len)
		return false;
	*c = next_char(text, at);
	return true;
}

/*
 * text[*at] follows a '['.  *is_in says whether c is in the set.  false: it
 * has no end, or a range is upside down.
 */
static bool
match_set(struct qs_span text, size_t *at, uint32_t c, bool *is_in)
{
	bool is_negated = false, is_found = false;
	uint32_t low, high;

	if (*at < text.len && (text.data[*at] == '!' ||
	    text.data[*at] == '^')) {
		is_negated = true;
		*at += 1;
	}
	for (bool is_first = true;; is_first = false) {
		if (*at >= text.len)
			return false;
		if (text.data[*at] == ']' && !is_first)
			break;
		if (!set_char(text, at, &low))
			return false;
		high = low;
		if (*at + 1 < text.len && text.data[*at] == '-' &&
		    text.data[*at + 1] != ']') {
			*at += 1;
			if (!set_char(text, at, &high) || high < low)
				return false;
		}
		is_found |= c >= low && c <= high;
	}
	*at += 1;
	*is_in = is_found != is_negated;
	return true;
}

/* ------------------------------------------------------------- compile */

/* What is wrong with a component, or NULL; *is_literal: no magic in it. */
static const char *
fault_of(struct qs_span text, bool *is_literal)
{
	bool ignored;

	*is_literal = true;
	for (size_t at = 0; at < text.len;) {
		const uint8_t c = text.data[at++];

		if (c == '*' || c == '?' || c == '[' || c == '\\')
			*is_literal = false;
		if (c == '\\' && at++ >= text.len)
			return "there is nothing after its last '\\'";
		if (c == '[' && !match_set(text, &at, 0, &ignored))
			return "a '[' has no ']', or a range is upside down";
	}
	return NULL;
}

enum qs_code
qs_glob_compile(struct qs_span text, bool ignore_case,
	const struct qs_fold *fold, struct qs_glob *out, struct qs_err *err)
{
	struct qs_glob glob = {.fold = ignore_case ? fold : NULL};
	const char *fault;

	/* Folding makes a character of two bytes one of three at most. */
	glob.text = malloc(text.len * 2 + 1);
	if (glob.text == NULL)
		return qs_fail_nomem(err, "reading patterns");
	for (size_t at = 0; at < text.len;)
		put_char(&glob, fold_char(glob.fold, next_char(text, &at)));
	fault = fault_of(qs_span(glob.text, glob.len), &glob.is_literal);
	if (fault != NULL) {
		free(glob.text);
		return qs_fail(err, QS_EINVAL, "%s", fault);
	}
	glob.is_literal = glob.is_literal && glob.fold == NULL;
	glob.is_any_depth = glob.len == 2 && memcmp(glob.text, "**", 2) == 0;
	*out = glob;
	return QS_OK;
}

void
qs_glob_clear(struct qs_glob *glob)
{
	free(glob->text);
	memset(glob, 0, sizeof(*glob));
}

/* --------------------------------------------------------------- match */

/* The element at text[*p] (no '*') against the character at name[*s]. */
static bool
match_char(const struct qs_glob *glob, size_t *p, struct qs_span name,
	size_t *s)
{
	const struct qs_span text = qs_span(glob->text, glob->len);
	const uint32_t c = fold_char(glob->fold, next_char(name, s));
	bool is_in = false;

	switch (text.data[*p]) {
	case '?':
		*p += 1;
		return true;
	case '[':
		*p += 1;
		return match_set(text, p, c, &is_in) && is_in;
	case '\\':
		*p += 1;
		break;
	default:
		break;
	}
	return next_char(text, p) == c;
}

bool
qs_glob_match(const struct qs_glob *glob, struct qs_span name)
{
	size_t p = 0, s = 0, star_p = 0, star_s = 0;
	bool has_star = false;

	if (glob->is_literal)
		return glob->len == name.len &&
			memcmp(glob->text, name.data, name.len) == 0;
	/* Only the last '*' needs to be tried again: no recursion. */
	while (s < name.len) {
		size_t next_p = p, next_s = s;

		if (p < glob->len && glob->text[p] == '*') {
			has_star = true;
			star_p = ++p;
			star_s = s;
		} else if (p < glob->len &&
		    match_char(glob, &next_p, name, &next_s)) {
			p = next_p;
			s = next_s;
		} else if (has_star) {
			(void)next_char(name, &star_s);
			p = star_p;
			s = star_s;
		} else {
			return false;
		}
	}
	while (p < glob->len && glob->text[p] == '*')
		p++;
	return p == glob->len;
}
