/* SPDX-License-Identifier: ISC */
/*
 * qstore-hub, the keyless program: its commands.  Each gets its own words, with
 * the command's name first, and gives the exit code: 0, 1 fatal, 3 something is
 * left to be looked at.
 */
#ifndef QS_HUB_INTERNAL_H
#define QS_HUB_INTERNAL_H

#include "hub/hub.h"

int qs_hub_cmd_serve(int argc, char **argv);
int qs_hub_cmd_scrub(int argc, char **argv);
int qs_hub_cmd_status(int argc, char **argv);
int qs_hub_cmd_tidy(int argc, char **argv);
int qs_hub_cmd_undelete(int argc, char **argv);

/* "qstore-hub: <message>" on standard error, made harmless; gives 1. */
int qs_hub_failed(const struct qs_err *err);

/* ------------------------------------------------------- which folders */

/* "~/qstore", heap-allocated. */
QS_MUST_CHECK enum qs_code qs_hub_default_dir(char **out, struct qs_err *err);
/* "~/.config/qstore/acl.conf", heap-allocated. */
QS_MUST_CHECK enum qs_code qs_hub_default_acl(char **out, struct qs_err *err);

/*
 * Called for each store; name is the hub folder's, or NULL for a bare path.
 * Anything but 0 is kept as the exit code, and the next one is done.
 */
typedef int (*qs_hub_store_fn)(void *arg, const char *name, const char *path,
	const uint8_t folder_id[static QS_FOLDER_ID_LEN]);

/*
 * For each folder of the stores at paths, or, with none given, of all hub
 * folders in hub (NULL: the default).  The exit code: the worst.
 */
int qs_hub_each(const char *hub, char *const *paths, size_t count,
	qs_hub_store_fn fn, void *arg);

#endif
