/* SPDX-License-Identifier: MIT */
/* Text from files, arguments and the environment, made fit for a terminal and for JSON. */
#ifndef Q8K_TOOLS_ESCAPE_H
#define Q8K_TOOLS_ESCAPE_H

#include <stddef.h>

/* Copies `length` bytes of text to `out` as UTF-8 without control characters: they, and bytes that are not UTF-8,
 * become \xNN. What does not fit in `out_bytes` is cut off; the result always ends with NUL. Returns `out`. */
char *escape_text(char *out, size_t out_bytes, const void *text, size_t length);

/* The same for a string that must be shown to its end, such as a path: what does not fit is cut off in front. */
char *escape_path(char *out, size_t out_bytes, const char *path);

#endif
