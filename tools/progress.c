/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "progress.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

enum { LINE_BYTES = 512, BAR_WIDTH = 24, USUAL_WIDTH = 80, LEAST_WIDTH = 20 };

/* Often enough for eyes, and seldom enough to cost nothing. */
static const double between = 0.1;

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

void progress_begin(progress *p, uint64_t total, bool quiet) {
    *p = (progress){.total = total, .quiet = quiet, .bar = !quiet && isatty(STDERR_FILENO), .start = now()};
    p->shown = p->start;
}

double progress_seconds(const progress *p) {
    return now() - p->start;
}

static size_t terminal_width(void) {
    struct winsize size;
    return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : USUAL_WIDTH;
}

static void put_time(char *out, size_t room, double seconds) {
    /* What takes longer than a hundred hours, or what is not known yet. */
    if (!(seconds < 360000)) {
        snprintf(out, room, "-:--");
    } else if (seconds < 3600) {
        snprintf(out, room, "%d:%02d", (int)seconds / 60, (int)seconds % 60);
    } else {
        snprintf(out, room, "%d:%02d:%02d", (int)seconds / 3600, (int)seconds / 60 % 60, (int)seconds % 60);
    }
}

static void draw(progress *p, const char *name) {
    char line[LINE_BYTES], left[32], bar[BAR_WIDTH + 1];
    double share = p->total > 0 ? (double)p->done / (double)p->total : 1, seconds = progress_seconds(p);
    double rate = (double)p->done / seconds;
    size_t width = terminal_width(), filled = (size_t)(share * BAR_WIDTH);
    memset(bar, ' ', BAR_WIDTH);
    memset(bar, '#', filled < BAR_WIDTH ? filled : BAR_WIDTH);
    bar[BAR_WIDTH] = '\0';
    put_time(left, sizeof left, (double)(p->total - p->done) / rate);
    int used = snprintf(line, sizeof line, "[%s] %3d%%  %.1f MB/s  ETA %s  %s", bar, (int)(100 * share), rate / 1e6,
                        left, name);
    /* One column less: a cursor behind the last one may be on the next line. */
    size_t room = width > LEAST_WIDTH ? width - 1 : LEAST_WIDTH;
    size_t length = used < LINE_BYTES ? (size_t)used : LINE_BYTES - 1;
    length = length < room ? length : room;
    /* Not in the middle of a character of UTF-8. */
    while (length > 0 && ((uint8_t)line[length] & 0xc0) == 0x80) {
        length--;
    }
    line[length] = '\0';
    fprintf(stderr, "\r%s%*s", line, p->width > length ? (int)(p->width - length) : 0, "");
    fflush(stderr);
    p->width = p->width > length ? p->width : length;
}

void progress_step(progress *p, uint64_t bytes, const char *name) {
    p->done += bytes;
    if (p->bar && now() - p->shown >= between) {
        draw(p, name);
        p->shown = now();
    }
}

void progress_clear(progress *p) {
    if (p->width > 0) {
        fprintf(stderr, "\r%*s\r", (int)p->width, "");
        p->width = 0;
    }
}

void progress_say(progress *p, const char *format, ...) {
    va_list arguments;
    if (p->quiet) {
        return;
    }
    progress_clear(p);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
}
