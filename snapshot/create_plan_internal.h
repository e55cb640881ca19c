/* SPDX-License-Identifier: ISC */
/* The planner, between its two files. */
#ifndef QS_CREATE_PLAN_INTERNAL_H
#define QS_CREATE_PLAN_INTERNAL_H

#include "snapshot/create_internal.h"

struct plan_level;

struct plan { /* one thread */
	struct create *create;
	struct job *job; /* being filled */
	struct plan_level *levels;
	size_t depth, cap;
};

/* Send the job off and begin another. */
enum qs_code plan_send(struct plan *plan, struct qs_err *err);
/* An event of the open job (a new one if it is full). */
enum qs_code plan_event(struct plan *plan, enum event_kind kind,
	struct event **out, struct qs_err *err);
/* Attach a warning to the event, to be given in order. */
enum qs_code plan_trouble(struct job *job, struct event *event, bool failed,
	const struct qs_err *trouble, struct qs_err *err);
/*
 * Read and cut a big or sparse file; event, the open job's newest, is taken
 * back and made again after the file's pieces.
 */
enum qs_code plan_big(struct plan *plan, struct event *event, int folder_fd,
	const char *name, struct qs_err *err);
/* The dedup domain of the folder at hand. */
uint8_t create_level_domain(const struct plan *plan);
enum qs_code plan_stdin(struct plan *plan, struct qs_err *err);

#endif
