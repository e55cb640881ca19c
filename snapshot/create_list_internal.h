/* SPDX-License-Identifier: ISC */
/* The walk through the targets, for the pipeline and for counting. */
#ifndef QS_CREATE_LIST_INTERNAL_H
#define QS_CREATE_LIST_INTERNAL_H

#include "snapshot/create_internal.h"

struct level;

struct lister {
	const struct qs_create_options *options;
	struct qs_buf path; /* "/a/b" and a NUL; "" and a NUL for the root */
	struct level *levels;
	size_t depth, cap;
	size_t targets_found;
	bool target_lost; /* one could not be looked at */
	/* what to do with it; folder references are borrowed */
	void *arg;
	enum qs_code (*enter)(void *arg, struct folder *folder,
		const char *name, const struct facts *facts,
		struct qs_err *err);
	enum qs_code (*entry)(void *arg, struct folder *folder,
		const char *name, const struct facts *facts,
		struct qs_err *err);
	enum qs_code (*leave)(void *arg, struct qs_err *err);
	void (*warn)(void *arg, const char *path, const struct qs_err *err);
	bool (*stopped)(void *arg);
};

enum qs_code lister_run(struct lister *lister, struct target *root,
	struct qs_err *err);
void lister_clear(struct lister *lister);

/*
 * The dedup domain of a folder: what others may send us (downloads, mail,
 * browser caches) is not deduplicated against what we wrote ourselves, so that
 * its volume tells nobody whether we have a given file.  docs/THREATS.md.
 */
uint8_t create_domain(const char *name, uint8_t parent);

/* create_mounts.c: is it the device of a mount of qstore's? */
bool create_is_own_mount(uint64_t dev);
/*
 * Is a mount of qstore's there?  For one that can't be looked at: another
 * user's, or one whose program has died.
 */
bool create_is_closed_mount(int at_fd, const char *name);

#endif
