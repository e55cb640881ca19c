/* SPDX-License-Identifier: ISC */
/*
 * patterns: restic's patterns against paths, component by component.
 *
 * A pattern is a row of components, '**' standing for any number of them.  All
 * places in the row that a path can have come to are carried along at once (a
 * bit each), so the time is at most components x components, whatever the
 * pattern.  A pattern without a leading '/' may begin at any component; one
 * that has been gone through to its end matches all that lies below.
 */
#include <fcntl.h>
#include <stdlib.h>

#include "patterns/pattern_internal.h"

#define PATTERN_PARTS 1023 /* components of a pattern */
#define STATE_WORDS ((PATTERN_PARTS + 64) / 64)
#define PATTERN_FILE_MAX (16u << 20)

struct pattern {
	bool is_negated, is_absolute, ignore_case;
	size_t count;
	struct qs_glob *parts;
};

struct qs_patterns {
	struct pattern *list;
	size_t count, cap;
	bool has_negated;
	struct qs_fold *fold;
};

enum qs_code
qs_patterns_new(struct qs_patterns **out, struct qs_err *err)
{
	struct qs_patterns *patterns = calloc(1, sizeof(*patterns));

	if (patterns == NULL)
		return qs_fail_nomem(err, "reading patterns");
	patterns->fold = qs_fold_new();
	if (patterns->fold == NULL) {
		free(patterns);
		return qs_fail_nomem(err, "reading patterns");
	}
	*out = patterns;
	return QS_OK;
}

static void
clear_pattern(struct pattern *pattern)
{
	for (size_t i = 0; i < pattern->count; i++)
		qs_glob_clear(&pattern->parts[i]);
	free(pattern->parts);
}

void
qs_patterns_free(struct qs_patterns *patterns)
{
	if (patterns == NULL)
		return;
	for (size_t i = 0; i < patterns->count; i++)
		clear_pattern(&patterns->list[i]);
	free(patterns->list);
	qs_fold_free(patterns->fold);
	free(patterns);
}

bool
qs_patterns_empty(const struct qs_patterns *patterns)
{
	return patterns == NULL || patterns->count == 0;
}

/* ------------------------------------------------------------- reading */

/* The next component of text that is neither empty nor "."; false: none. */
static bool
next_part(struct qs_span *text, struct qs_span *part)
{
	while (text->len > 0) {
		const uint8_t *slash = memchr(text->data, '/', text->len);
		const size_t len = slash == NULL ? text->len :
			(size_t)(slash - text->data);
		const size_t skip = len + (slash != NULL);

		*part = qs_span(text->data, len);
		*text = qs_span(text->data + skip, text->len - skip);
		if (len > 0 && !(len == 1 && part->data[0] == '.'))
			return true;
	}
	return false;
}

static enum qs_code
add_part(const struct qs_patterns *patterns, struct pattern *pattern,
	struct qs_span text, struct qs_err *err)
{
	struct qs_glob *parts;
	struct qs_glob glob;
	enum qs_code rc;

	if (pattern->count >= PATTERN_PARTS)
		return qs_fail(err, QS_EINVAL,
			"it has more than %d components", PATTERN_PARTS);
	rc = qs_glob_compile(text, pattern->ignore_case, patterns->fold,
		&glob, err);
	if (rc != QS_OK)
		return rc;
	/* Two '**' in a row are one. */
	if (glob.is_any_depth && pattern->count > 0 &&
	    pattern->parts[pattern->count - 1].is_any_depth) {
		qs_glob_clear(&glob);
		return QS_OK;
	}
	parts = realloc(pattern->parts,
		(pattern->count + 1) * sizeof(*parts));
	if (parts == NULL) {
		qs_glob_clear(&glob);
		return qs_fail_nomem(err, "reading patterns");
	}
	parts[pattern->count++] = glob;
	pattern->parts = parts;
	return QS_OK;
}

static enum qs_code
compile(const struct qs_patterns *patterns, const char *text,
	struct pattern *pattern, struct qs_err *err)
{
	struct qs_span rest, part;
	enum qs_code rc = QS_OK;

	if (*text == '!') {
		pattern->is_negated = true;
		text++;
	}
	pattern->is_absolute = *text == '/';
	rest = qs_span(text, strlen(text));
	while (rc == QS_OK && next_part(&rest, &part))
		rc = add_part(patterns, pattern, part, err);
	if (rc == QS_OK && pattern->count == 0)
		rc = qs_fail(err, QS_EINVAL, "it is empty");
	return rc;
}

enum qs_code
qs_patterns_add(struct qs_patterns *patterns, const char *text,
	bool ignore_case, struct qs_err *err)
{
	struct pattern pattern = {.ignore_case = ignore_case};
	enum qs_code rc = compile(patterns, text, &pattern, err);

	if (rc != QS_OK) {
		rc = qs_fail_while(err, "pattern '%s'", text);
		goto out;
	}
	if (patterns->count == patterns->cap) {
		const size_t cap = patterns->cap == 0 ? 8 : patterns->cap * 2;
		struct pattern *list = realloc(patterns->list,
			cap * sizeof(*list));

		if (list == NULL) {
			rc = qs_fail_nomem(err, "reading patterns");
			goto out;
		}
		patterns->list = list;
		patterns->cap = cap;
	}
	patterns->has_negated |= pattern.is_negated;
	patterns->list[patterns->count++] = pattern;
	memset(&pattern, 0, sizeof(pattern)); /* handed over */
out:
	clear_pattern(&pattern);
	return rc;
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static enum qs_code
add_lines(struct qs_patterns *patterns, char *text, bool ignore_case,
	struct qs_err *err)
{
	size_t number = 0;
	char *next;

	for (; text != NULL; text = next) {
		char *end = strchr(text, '\n');
		enum qs_code rc;

		number++;
		next = end == NULL ? NULL : end + 1;
		if (end == NULL)
			end = text + strlen(text);
		while (text < end && is_blank(*text))
			text++;
		while (end > text && is_blank(end[-1]))
			end--;
		*end = '\0';
		if (*text == '\0' || *text == '#')
			continue;
		rc = qs_patterns_add(patterns, text, ignore_case, err);
		if (rc != QS_OK)
			return qs_fail_while(err, "line %zu", number);
	}
	return QS_OK;
}

enum qs_code
qs_patterns_add_file(struct qs_patterns *patterns, const char *path,
	bool ignore_case, struct qs_err *err)
{
	struct qs_buf text = {NULL, 0, 0};
	enum qs_code rc;

	rc = qs_file_load(AT_FDCWD, path, PATTERN_FILE_MAX, &text, err);
	if (rc == QS_OK && text.len > 0 &&
	    memchr(text.data, '\0', text.len) != NULL)
		rc = qs_fail(err, QS_EINVAL,
			"patterns of %s: there is a NUL in it", path);
	if (rc == QS_OK)
		rc = qs_buf_append(&text, "", 1, err);
	if (rc == QS_OK) {
		rc = add_lines(patterns, (char *)text.data, ignore_case, err);
		if (rc != QS_OK)
			rc = qs_fail_while(err, "patterns of %s", path);
	}
	qs_buf_clear(&text);
	return rc;
}

/* ------------------------------------------------------------ matching */

struct state { /* bit i: the parts before i are gone through */
	uint64_t words[STATE_WORDS];
};

static void
set_bit(struct state *state, const struct pattern *pattern, size_t i)
{
	state->words[i / 64] |= (uint64_t)1 << i % 64;
	/* '**' may stand for nothing; two never follow each other. */
	if (i < pattern->count && pattern->parts[i].is_any_depth)
		state->words[(i + 1) / 64] |= (uint64_t)1 << (i + 1) % 64;
}

static bool
has_bit(const struct state *state, size_t i)
{
	return (state->words[i / 64] >> i % 64 & 1) != 0;
}

static void
advance(const struct pattern *pattern, const struct state *from,
	struct qs_span name, struct state *to)
{
	const size_t words = pattern->count / 64 + 1;

	memset(to->words, 0, words * sizeof(to->words[0]));
	for (size_t w = 0; w < words; w++) {
		for (uint64_t bits = from->words[w]; bits != 0;
		    bits &= bits - 1) {
			const size_t i = w * 64 +
				(size_t)__builtin_ctzll(bits);
			const struct qs_glob *glob;

			if (i >= pattern->count)
				continue;
			glob = &pattern->parts[i];
			if (glob->is_any_depth)
				set_bit(to, pattern, i);
			else if (qs_glob_match(glob, name))
				set_bit(to, pattern, i + 1);
		}
	}
	if (!pattern->is_absolute)
		set_bit(to, pattern, 0);
}

/* One pattern; *below: could something deeper match? */
static bool
match_one(const struct pattern *pattern, struct qs_span path, bool *below)
{
	const size_t words = pattern->count / 64 + 1;
	struct state states[2];
	struct state *now = &states[0], *next = &states[1];
	struct qs_span name;
	bool is_alive = false;

	memset(now->words, 0, words * sizeof(now->words[0]));
	set_bit(now, pattern, 0);
	*below = true;
	if (has_bit(now, pattern->count))
		return true;
	while (next_part(&path, &name)) {
		struct state *swap = now;

		advance(pattern, now, name, next);
		now = next;
		next = swap;
		if (has_bit(now, pattern->count))
			return true;
	}
	for (size_t w = 0; w < words; w++)
		is_alive |= now->words[w] != 0;
	*below = is_alive;
	return false;
}

bool
qs_patterns_match(const struct qs_patterns *patterns, const char *path,
	bool *below)
{
	const struct qs_span span = qs_span(path, strlen(path));
	bool is_match = false, is_below = false;

	for (size_t i = 0; i < patterns->count; i++) {
		const struct pattern *pattern = &patterns->list[i];
		bool deeper;
		const bool is_hit = match_one(pattern, span, &deeper);

		if (pattern->is_negated) {
			is_match = is_match && !is_hit;
			is_below = is_below && !is_hit;
			continue;
		}
		is_match |= is_hit;
		is_below |= deeper;
		if (is_match && is_below && !patterns->has_negated)
			break;
	}
	if (below != NULL)
		*below = is_below;
	return is_match;
}
