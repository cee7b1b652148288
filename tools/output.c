/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "output.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

static const int signals[OUTPUT_SIGNALS] = {SIGHUP, SIGINT, SIGTERM, SIGABRT};

/* The file that a signal must remove. It is set before the file is made: its name is random, so removing it can hit
 * nothing else, and no moment is left in which the file is there and unknown. */
static char *volatile pending;
static pthread_t writer;

/* A signal may reach any thread. The writer alone removes the file: seen from another thread, it could be about to make
 * one that was not there yet when its name was removed. abort(), by which a library ends the program, waits for nobody. */
static void remove_pending(int signal_number) {
    char *path = pending;
    if (signal_number != SIGABRT && !pthread_equal(pthread_self(), writer)) {
        pthread_kill(writer, signal_number);
        return;
    }
    if (path != NULL) {
        unlink(path);
    }
    /* The signal is blocked in its own handler: its default action takes place as soon as this returns. */
    signal(signal_number, SIG_DFL);
    raise(signal_number);
}

/* Libraries may end the program: OpenMP's does so when it cannot start a thread. */
static void remove_at_exit(void) {
    char *path = pending;
    if (path != NULL) {
        unlink(path);
    }
}

static void catch_signals(output *out) {
    struct sigaction action = {.sa_handler = remove_pending};
    sigemptyset(&action.sa_mask);
    for (int i = 0; i < OUTPUT_SIGNALS; i++) {
        sigaction(signals[i], NULL, &out->previous[i]);
        if (out->previous[i].sa_handler != SIG_IGN) {
            sigaction(signals[i], &action, NULL);
        }
    }
}

static void close_output(output *out) {
    pending = NULL;
    for (int i = 0; i < OUTPUT_SIGNALS; i++) {
        sigaction(signals[i], &out->previous[i], NULL);
    }
    free(out->target);
    free(out->temporary);
}

static bool refuse(char error[OUTPUT_ERROR_BYTES], const char *what, int number) {
    snprintf(error, OUTPUT_ERROR_BYTES, "%s: %s", what, strerror(number));
    return false;
}

/* The path that rename() must replace: where symbolic links lead, if anything is there. */
static char *resolve(const char *path, char error[OUTPUT_ERROR_BYTES]) {
    struct stat status;
    if (stat(path, &status) != 0) {
        char *copy = errno == ENOENT && *path != '\0' && lstat(path, &status) != 0 ? strdup(path) : NULL;
        if (copy == NULL) {
            refuse(error, "cannot be written", errno);
        }
        return copy;
    }
    if (!S_ISREG(status.st_mode)) {
        snprintf(error, OUTPUT_ERROR_BYTES, "cannot be written: it is there and not a regular file");
        return NULL;
    }
    char *resolved = realpath(path, NULL);
    if (resolved == NULL) {
        refuse(error, "cannot be written", errno);
    }
    return resolved;
}

/* A name of fixed length, so that a target whose own name is as long as names can be is no exception. */
static char *temporary_name(const char *target) {
    const char *slash = strrchr(target, '/');
    int folder = slash == NULL ? 0 : (int)(slash - target) + 1;
    uint64_t random;
    char *name = NULL;
    if (getrandom(&random, sizeof random, 0) != sizeof random ||
        asprintf(&name, "%.*s.q8k-%016llx.tmp", folder, target, (unsigned long long)random) < 0) {
        return NULL;
    }
    return name;
}

bool output_open(output *out, const char *path, char error[OUTPUT_ERROR_BYTES]) {
    static bool registered;
    if (!registered && atexit(remove_at_exit) != 0) {
        return refuse(error, "cannot be removed at exit", ENOMEM);
    }
    registered = true;
    out->target = resolve(path, error);
    if (out->target == NULL) {
        return false;
    }
    out->temporary = temporary_name(out->target);
    if (out->temporary == NULL) {
        free(out->target);
        return refuse(error, "no name for a temporary file", errno);
    }
    pending = out->temporary;
    writer = pthread_self();
    catch_signals(out);
    out->file = open(out->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (out->file < 0) {
        refuse(error, "cannot make a file in its folder", errno);
        close_output(out);
        return false;
    }
    return true;
}

bool output_write(output *out, const void *bytes, size_t count, char error[OUTPUT_ERROR_BYTES]) {
    const char *from = bytes;
    while (count > 0) {
        ssize_t written = write(out->file, from, count);
        if (written < 0 && errno != EINTR) {
            return refuse(error, "cannot be written", errno);
        }
        if (written > 0) {
            from += written;
            count -= (size_t)written;
        }
    }
    return true;
}

bool output_finish(output *out, char error[OUTPUT_ERROR_BYTES]) {
    /* Network file systems report a full disk here. */
    bool good = close(out->file) == 0 || refuse(error, "cannot be written", errno);
    if (good && rename(out->temporary, out->target) != 0) {
        good = refuse(error, "cannot be put in place", errno);
    }
    if (!good) {
        unlink(out->temporary);
    }
    close_output(out);
    return good;
}

void output_abandon(output *out) {
    close(out->file);
    unlink(out->temporary);
    close_output(out);
}
