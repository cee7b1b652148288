/* SPDX-License-Identifier: MIT */
/* How far work on a file has come, on standard error: a bar at the foot of a terminal, and lines. */
#ifndef Q8K_TOOLS_PROGRESS_H
#define Q8K_TOOLS_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct progress {
    uint64_t total, done; /* bytes */
    bool quiet, bar;
    double start, shown; /* seconds */
    size_t width;        /* of what is shown, which is to be removed; 0 for nothing */
} progress;

/* `quiet` shows nothing at all. Without a terminal there is no bar. */
void progress_begin(progress *p, uint64_t total, bool quiet);

/* That many bytes more are done, of what is called so. */
void progress_step(progress *p, uint64_t bytes, const char *name);

/* Prints a line. */
__attribute__((format(printf, 2, 3))) void progress_say(progress *p, const char *format, ...);

/* Removes the bar: before messages, and at the end. */
void progress_clear(progress *p);

/* Seconds since the beginning. */
double progress_seconds(const progress *p);

#endif
