/* SPDX-License-Identifier: MIT */
#include "option_values.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "escape.h"

/* Columns of every format are whole blocks of this many; decoded, a matrix is at most 1 GiB. */
enum { SHOWN_BYTES = 256, BLOCK = 256, MAX_WEIGHTS = 268435456 };

/* A decimal number without sign, space or prefix, up to `end`. */
static bool parse_number(const char *text, const char *end, uint64_t smallest, uint64_t largest, uint64_t *number) {
    if (text == end || text + strspn(text, "0123456789") < end) {
        return false;
    }
    errno = 0;
    *number = strtoull(text, NULL, 10);
    return errno == 0 && *number >= smallest && *number <= largest;
}

bool option_number(const char *name, const char *text, uint64_t smallest, uint64_t largest, uint64_t *number) {
    char shown[SHOWN_BYTES];
    if (!parse_number(text, text + strlen(text), smallest, largest, number)) {
        command_say("--%s = '%s' (limit %llu to %llu)", name, escape_text(shown, sizeof shown, text, strlen(text)),
                    (unsigned long long)smallest, (unsigned long long)largest);
        return false;
    }
    return true;
}

static bool contains(const option_list *list, size_t number) {
    for (size_t i = 0; i < list->count; i++) {
        if (list->values[i] == number) {
            return true;
        }
    }
    return false;
}

static bool parse_list(const char *text, size_t smallest, size_t largest, option_list *list) {
    list->count = 0;
    for (;; text++) {
        const char *end = text + strcspn(text, ",");
        uint64_t number;
        if (list->count == OPTION_LIST_MAX || !parse_number(text, end, smallest, largest, &number) ||
            contains(list, (size_t)number)) {
            return false;
        }
        list->values[list->count++] = (size_t)number;
        text = end;
        if (*text == '\0') {
            return true;
        }
    }
}

bool option_numbers(const char *name, const char *text, size_t smallest, size_t largest, option_list *list) {
    char shown[SHOWN_BYTES];
    if (!parse_list(text, smallest, largest, list)) {
        command_say("--%s = '%s' (limit %d different numbers, %zu to %zu, separated by commas)", name,
                    escape_text(shown, sizeof shown, text, strlen(text)), OPTION_LIST_MAX, smallest, largest);
        return false;
    }
    return true;
}

bool option_pattern(const char *name, const char *text, pattern_list *patterns) {
    if (patterns->count == OPTION_PATTERNS_MAX) {
        command_say("--%s is given more than %d times (limit %d)", name, OPTION_PATTERNS_MAX, OPTION_PATTERNS_MAX);
        return false;
    }
    patterns->values[patterns->count++] = text;
    return true;
}

bool option_shape(const char *name, const char *text, size_t *rows, size_t *cols) {
    char shown[SHOWN_BYTES];
    const char *times = text + strcspn(text, "xX");
    uint64_t r = 0, c = 0;
    if (*times == '\0' || !parse_number(text, times, 1, OPTION_MAX_ROWS, &r) ||
        !parse_number(times + 1, text + strlen(text), BLOCK, MAX_WEIGHTS / r, &c) || c % BLOCK != 0) {
        command_say("--%s = '%s' (limit ROWSxCOLS, 1 to %d rows, columns a multiple of %d, %d weights)", name,
                    escape_text(shown, sizeof shown, text, strlen(text)), OPTION_MAX_ROWS, BLOCK, MAX_WEIGHTS);
        return false;
    }
    *rows = (size_t)r;
    *cols = (size_t)c;
    return true;
}
