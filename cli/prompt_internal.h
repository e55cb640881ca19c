/* SPDX-License-Identifier: ISC */
/* The one thing a signal handler may ask of the prompt. */
#ifndef QS_PROMPT_INTERNAL_H
#define QS_PROMPT_INTERNAL_H

/* The terminal as it was before the prompt; async-signal-safe. */
void qs_prompt_restore(void);

#endif
