/* SPDX-License-Identifier: ISC */
/* Errors: the message a caller owns, and the one table of code and errno. */
#include <assert.h>
#include <errno.h>
#include <stdio.h>

#include "base/base.h"

/*
 * Messages are put together here and then shortened, so that two whole paths
 * may take part in one and its arguments may point into err->msg.
 */
#define TEXT_SIZE 9216
#define CAUSE_ROOM 640 /* ": " and a whole err->msg, or what errno means */
#define MSG_MAX (sizeof(((struct qs_err *)0)->msg) - 1)

static_assert(CAUSE_ROOM > MSG_MAX + 2, "room for a cause");

static size_t format(char *text, size_t size, const char *fmt, va_list args)
	QS_PRINTF(3, 0);

static size_t
format(char *text, size_t size, const char *fmt, va_list args)
{
	int n = vsnprintf(text, size, fmt, args);

	if (n < 0) { /* better the bare words than none */
		(void)snprintf(text, size, "%s", fmt);
		return strlen(text);
	}
	return (size_t)n < size ? (size_t)n : size - 1;
}

static bool
is_continuation(char c)
{
	return ((unsigned char)c & 0xc0) == 0x80;
}

/*
 * What is too long loses its middle: the thing is named at the front and the
 * cause at the end.  UTF-8 characters are not cut in half.
 */
static void
set_message(struct qs_err *err, const char *text, size_t len)
{
	static const char dots[] = "...";
	const size_t ndots = sizeof(dots) - 1;
	size_t head = (MSG_MAX - ndots) / 2, tail = MSG_MAX - ndots - head;

	if (len <= MSG_MAX) {
		memcpy(err->msg, text, len);
		err->msg[len] = '\0';
		return;
	}
	for (int i = 0; i < 3 && is_continuation(text[head]); i++)
		head--;
	for (int i = 0; i < 3 && is_continuation(text[len - tail]); i++)
		tail--;
	memcpy(err->msg, text, head);
	memcpy(err->msg + head, dots, ndots);
	memcpy(err->msg + head + ndots, text + len - tail, tail);
	err->msg[head + ndots + tail] = '\0';
}

enum qs_code
qs_fail(struct qs_err *err, enum qs_code code, const char *fmt, ...)
{
	char text[TEXT_SIZE];
	size_t len;
	va_list args;

	assert(code != QS_OK);
	va_start(args, fmt);
	len = format(text, sizeof(text), fmt, args);
	va_end(args);
	set_message(err, text, len);
	err->code = code;
	err->sys = 0;
	return code;
}

static void
append_cause(char *text, size_t *len, const char *cause)
{
	int n = snprintf(text + *len, TEXT_SIZE - *len, ": %s", cause);

	if (n > 0)
		*len += (size_t)n;
	if (*len > TEXT_SIZE - 1)
		*len = TEXT_SIZE - 1;
}

enum qs_code
qs_fail_errno(struct qs_err *err, const char *fmt, ...)
{
	const int sys = errno;
	char text[TEXT_SIZE], room[64];
	size_t len;
	va_list args;
	const char *cause;

	va_start(args, fmt);
	len = format(text, sizeof(text) - CAUSE_ROOM, fmt, args);
	va_end(args);
	/*
	 * strerror_r translates once a program has called setlocale, and
	 * messages must not depend on that; it serves for numbers without a
	 * description only.
	 */
	cause = strerrordesc_np(sys);
	if (sys == 0)
		cause = "the system gave no reason";
	else if (cause == NULL)
		cause = strerror_r(sys, room, sizeof(room));
	append_cause(text, &len, cause);
	set_message(err, text, len);
	err->code = qs_code_from_errno(sys);
	err->sys = sys;
	return err->code;
}

enum qs_code
qs_fail_nomem(struct qs_err *err, const char *what)
{
	return qs_fail(err, QS_ENOMEM, "out of memory while %s", what);
}

enum qs_code
qs_fail_while(struct qs_err *err, const char *fmt, ...)
{
	char text[TEXT_SIZE];
	size_t len;
	va_list args;

	va_start(args, fmt);
	len = format(text, sizeof(text) - CAUSE_ROOM, fmt, args);
	va_end(args);
	append_cause(text, &len, err->msg);
	set_message(err, text, len);
	return err->code;
}

enum qs_code
qs_code_from_errno(int sys)
{
	switch (sys) {
	case ENOMEM:
		return QS_ENOMEM;
	case ENOSPC:
	case EDQUOT:
		return QS_ENOSPC;
	case ENOENT:
		return QS_ENOTFOUND;
	case EEXIST:
	case ENOTEMPTY:
		return QS_EEXIST;
	case EBUSY:
	case ETXTBSY:
	case EAGAIN: /* what flock says of a lock that is taken */
		return QS_EBUSY;
	/*
	 * ENOTDIR is not "not found": who then creates the thing would
	 * trip over a file that lies where a folder should be.
	 */
	case ENOTDIR:
	case EISDIR:
	case ENAMETOOLONG:
	case ELOOP:
	case EINVAL:
		return QS_EINVAL;
	case EPIPE:
	case ECONNRESET:
	case ECONNREFUSED:
	case ECONNABORTED:
	case ENOTCONN:
	case ETIMEDOUT:
	case EHOSTUNREACH:
	case ENETUNREACH:
	case ENETDOWN:
		return QS_ENET;
	case EPROTO:
		return QS_EPROTO;
	case EOPNOTSUPP:
	case ENOSYS:
		return QS_EUNSUPPORTED;
	case ECANCELED:
	case EINTR:
		return QS_ECANCELED;
	default:
		return QS_EIO;
	}
}

int
qs_code_to_errno(enum qs_code code)
{
	switch (code) {
	case QS_OK:
		return 0;
	case QS_ENOMEM:
		return ENOMEM;
	case QS_EIO:
	case QS_ECORRUPT: /* the one errno that programs take for damage */
	case QS_EINDEX:
		return EIO;
	case QS_ENOSPC:
		return ENOSPC;
	case QS_ENOTFOUND:
	case QS_ENOSTORE:
		return ENOENT;
	case QS_EEXIST:
		return EEXIST;
	case QS_EBUSY:
		return EBUSY;
	case QS_EINVAL:
		return EINVAL;
	case QS_EAUTH:
	case QS_EKEY:
		return EACCES;
	case QS_ENET:
		return ECONNRESET;
	case QS_EQUOTA:
		return EDQUOT;
	case QS_ECONFLICT:
	case QS_EROLLBACK:
		return ESTALE;
	case QS_EPROTO:
		return EPROTO;
	case QS_EUNSUPPORTED:
		return EOPNOTSUPP;
	case QS_ECANCELED:
		return ECANCELED;
	}
	return EIO; /* a number that came over the wire */
}

const char *
qs_code_word(enum qs_code code)
{
	switch (code) {
	case QS_OK:
		return "ok";
	case QS_ENOMEM:
		return "out of memory";
	case QS_EIO:
		return "input/output error";
	case QS_ENOSPC:
		return "no space left";
	case QS_ENOTFOUND:
		return "not found";
	case QS_EEXIST:
		return "exists already";
	case QS_EBUSY:
		return "busy";
	case QS_EINVAL:
		return "invalid";
	case QS_ECORRUPT:
		return "corrupt";
	case QS_EAUTH:
		return "wrong passphrase or key";
	case QS_EKEY:
		return "key missing";
	case QS_ENET:
		return "connection failed";
	case QS_EQUOTA:
		return "over quota";
	case QS_ECONFLICT:
		return "conflict";
	case QS_EPROTO:
		return "protocol error";
	case QS_EUNSUPPORTED:
		return "unsupported";
	case QS_ECANCELED:
		return "canceled";
	case QS_ENOSTORE:
		return "no store";
	case QS_EROLLBACK:
		return "rolled back";
	case QS_EINDEX:
		return "index damaged";
	}
	return "unknown error"; /* a number that came over the wire */
}
