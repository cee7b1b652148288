/* SPDX-License-Identifier: MIT */
/* What every file of the program uses: ending with a message, and memory. */
#ifndef LLM_COMMON_H
#define LLM_COMMON_H

#include <stddef.h>
#include <stdio.h>

#include <q8k/q8k.h>

/* Prints "llm: " and the text to standard error, and ends the program with status 1. Any thread may call it. */
_Noreturn void die(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Ends the program with the library's own text if a call failed. To be called by the thread that made the call, since
 * each has a text of its own; `what` was to be done to `name`. */
void need(q8k_status status, const char *what, const char *name);

/* Zeroed, at a multiple of 64 bytes; ends the program if there is no memory or the product overflows. */
void *allocate(size_t count, size_t size);

/* A file to be written, and its end, where a full disk is noticed. */
FILE *create_file(const char *path);
void close_file(FILE *file, const char *path);

#endif
