/* SPDX-License-Identifier: MIT */
/* Values of options that consist of numbers. */
#ifndef Q8K_TOOLS_OPTION_VALUES_H
#define Q8K_TOOLS_OPTION_VALUES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { OPTION_LIST_MAX = 32, OPTION_PATTERNS_MAX = 64, OPTION_MAX_ROWS = 1048576 };

/* Different numbers. */
typedef struct option_list {
    size_t count;
    size_t values[OPTION_LIST_MAX];
} option_list;

/* Values of an option that may be given several times. */
typedef struct pattern_list {
    size_t count;
    const char *values[OPTION_PATTERNS_MAX];
} pattern_list;

/* The value `text` of the option --name, or a message that names the limits. */
bool option_number(const char *name, const char *text, uint64_t smallest, uint64_t largest, uint64_t *number);
bool option_numbers(const char *name, const char *text, size_t smallest, size_t largest, option_list *list);

/* Adds the pattern `text`. */
bool option_pattern(const char *name, const char *text, pattern_list *patterns);

/* ROWSxCOLS of a matrix of weights. */
bool option_shape(const char *name, const char *text, size_t *rows, size_t *cols);

#endif
