/* SPDX-License-Identifier: ISC */
/* The word list of generated passphrases, for its test. */
#ifndef QS_WORDS_INTERNAL_H
#define QS_WORDS_INTERNAL_H

#include "crypto/crypto.h"

#define QS_WORD_COUNT 256
#define QS_WORD_LEN_MAX 6

extern const char *const qs_words[QS_WORD_COUNT];

#endif
