/* SPDX-License-Identifier: MIT */
#ifndef Q8K_LIB_ERROR_H
#define Q8K_LIB_ERROR_H

#include <q8k/q8k.h>

/* Longer texts are cut; a path that fits the loader's limit does. */
enum { Q8K_TEXT_BYTES = 1024 };

/* A reason on its way to the caller. */
typedef struct q8k_text {
    char text[Q8K_TEXT_BYTES];
} q8k_text;

/* Keeps the text of a failure for q8k_last_error() of this thread, and returns the status. */
__attribute__((format(printf, 2, 3))) q8k_status q8k_fail(q8k_status status, const char *format, ...);

/* Writes a reason and returns 0, so that a check can end with `return q8k_say(why, ...)`. */
__attribute__((format(printf, 2, 3))) int q8k_say(q8k_text *why, const char *format, ...);

#endif
