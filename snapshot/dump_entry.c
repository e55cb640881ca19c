/* SPDX-License-Identifier: ISC */
/* dump_entry: what an entry of a tar archive says in words of its own. */
#include <archive_entry.h>
#include <string.h>

#include "snapshot/dump_internal.h"

/* ------------------------------------------------------------------ ACLs */

/* As the kernel gives them: u32 version, then u16 tag, u16 rights, u32 id. */
#define ACL_VERSION 2
#define ACL_HEAD 4
#define ACL_ENTRY 8

static int
acl_tag(uint16_t tag)
{
	switch (tag) {
	case 0x01:
		return ARCHIVE_ENTRY_ACL_USER_OBJ;
	case 0x02:
		return ARCHIVE_ENTRY_ACL_USER;
	case 0x04:
		return ARCHIVE_ENTRY_ACL_GROUP_OBJ;
	case 0x08:
		return ARCHIVE_ENTRY_ACL_GROUP;
	case 0x10:
		return ARCHIVE_ENTRY_ACL_MASK;
	case 0x20:
		return ARCHIVE_ENTRY_ACL_OTHER;
	default:
		return -1;
	}
}

static bool
is_acl(struct qs_span value)
{
	if (value.len < ACL_HEAD || (value.len - ACL_HEAD) % ACL_ENTRY != 0 ||
	    qs_load32(value.data) != ACL_VERSION)
		return false;
	for (size_t at = ACL_HEAD; at < value.len; at += ACL_ENTRY)
		if (acl_tag(qs_load16(value.data + at)) < 0 ||
		    qs_load16(value.data + at + 2) > 7)
			return false;
	return true;
}

static bool
is_named(struct qs_span name, const char *text)
{
	return name.len == strlen(text) &&
		memcmp(name.data, text, name.len) == 0;
}

bool
qs_dump_acl(struct archive_entry *entry, struct qs_span name,
	struct qs_span value)
{
	int type = ARCHIVE_ENTRY_ACL_TYPE_ACCESS;

	if (is_named(name, "system.posix_acl_default"))
		type = ARCHIVE_ENTRY_ACL_TYPE_DEFAULT;
	else if (!is_named(name, "system.posix_acl_access"))
		return false;
	if (!is_acl(value))
		return false;
	for (size_t at = ACL_HEAD; at < value.len; at += ACL_ENTRY) {
		const uint8_t *in = value.data + at;
		const int tag = acl_tag(qs_load16(in));
		/* Only these two have one: it is all ones elsewhere. */
		const bool has_id = tag == ARCHIVE_ENTRY_ACL_USER ||
			tag == ARCHIVE_ENTRY_ACL_GROUP;

		/* x is 1, w is 2 and r is 4 there, too. */
		(void)archive_entry_acl_add_entry(entry, type,
			qs_load16(in + 2), tag, has_id ?
			(int)qs_load32(in + 4) : -1, NULL);
	}
	return true;
}

/* ----------------------------------------------------------------- names */

/* Bytes of the character at text, 0: it is none. */
static size_t
character(const uint8_t *text, size_t len)
{
	/* Least and largest second byte, by the first: RFC 3629. */
	const uint8_t first = text[0];
	uint8_t least = 0x80, most = 0xbf;
	size_t count;

	if (first < 0x80)
		return 1;
	if (first >= 0xc2 && first <= 0xdf)
		count = 2;
	else if (first >= 0xe0 && first <= 0xef)
		count = 3;
	else if (first >= 0xf0 && first <= 0xf4)
		count = 4;
	else
		return 0;
	if (first == 0xe0)
		least = 0xa0;
	else if (first == 0xed)
		most = 0x9f; /* halves of UTF-16 are no characters */
	else if (first == 0xf0)
		least = 0x90;
	else if (first == 0xf4)
		most = 0x8f;
	if (len < count || text[1] < least || text[1] > most)
		return 0;
	for (size_t i = 2; i < count; i++)
		if ((text[i] & 0xc0) != 0x80)
			return 0;
	return count;
}

bool
qs_dump_is_utf8(const char *text)
{
	const uint8_t *at = (const uint8_t *)text;
	size_t len = strlen(text);

	while (len > 0) {
		const size_t step = character(at, len);

		if (step == 0)
			return false;
		at += step;
		len -= step;
	}
	return true;
}
