/* SPDX-License-Identifier: MIT */
/* A file that is written under a temporary name in its target's folder and renamed into place, so that the target is
 * either what it was or the whole new file. SIGHUP, SIGINT and SIGTERM, unless they are ignored, remove the temporary
 * file before they end the process, whichever thread they reach. */
#ifndef Q8K_TOOLS_OUTPUT_H
#define Q8K_TOOLS_OUTPUT_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>

enum { OUTPUT_SIGNALS = 4, OUTPUT_ERROR_BYTES = 1024 };

typedef struct output {
    int file;
    char *target;    /* free of symbolic links */
    char *temporary; /* in the target's folder */
    struct sigaction previous[OUTPUT_SIGNALS];
} output;

/* One output can be open at a time, and only the thread that opens it uses it. On failure there is nothing to clean up; `error` receives one line without the
 * path. The target may be missing or a regular file, not anything else: a device would be replaced by a file. */
bool output_open(output *out, const char *path, char error[OUTPUT_ERROR_BYTES]);

/* The bytes that follow those written before. After a failure only output_abandon() may be called. */
bool output_write(output *out, const void *bytes, size_t count, char error[OUTPUT_ERROR_BYTES]);

/* Puts the file in place. On failure as on success the output is closed and no temporary file left. */
bool output_finish(output *out, char error[OUTPUT_ERROR_BYTES]);

/* Gives the file up. */
void output_abandon(output *out);

#endif
