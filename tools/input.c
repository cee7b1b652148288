/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "input.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "escape.h"

enum { SHOWN_PATH_BYTES = 512 };

bool input_ends_as(const char *path, const char *extension) {
    const char *slash = strrchr(path, '/'), *name = slash != NULL ? slash + 1 : path;
    const size_t length = strlen(name), extended = strlen(extension);
    return length > extended && strcasecmp(name + length - extended, extension) == 0;
}

bool input_refuse(const char *path, const char *text, char error[INPUT_ERROR_BYTES]) {
    char shown[SHOWN_PATH_BYTES];
    snprintf(error, INPUT_ERROR_BYTES, "%s: %.500s", escape_path(shown, sizeof shown, path), text);
    return false;
}

static bool refuse_errno(const char *path, const char *what, char error[INPUT_ERROR_BYTES]) {
    char text[256];
    snprintf(text, sizeof text, "%s: %s", what, strerror(errno));
    return input_refuse(path, text, error);
}

int input_open(const char *path, uint64_t *length, char error[INPUT_ERROR_BYTES]) {
    struct stat status;
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (file < 0) {
        refuse_errno(path, "cannot be opened", error);
        return -1;
    }
    if (fstat(file, &status) != 0 || !S_ISREG(status.st_mode)) {
        input_refuse(path, S_ISDIR(status.st_mode) ? "is a directory" : "is not a regular file", error);
        close(file);
        return -1;
    }
    *length = (uint64_t)status.st_size;
    return file;
}

bool input_read(int file, const char *path, void *to, size_t count, uint64_t offset, char error[INPUT_ERROR_BYTES]) {
    char *bytes = to;
    while (count > 0) {
        ssize_t got = pread(file, bytes, count, (off_t)offset);
        if (got == 0) {
            return input_refuse(path, "became shorter while it was read", error);
        }
        if (got < 0 && errno != EINTR) {
            return refuse_errno(path, "cannot be read", error);
        }
        if (got > 0) {
            bytes += got;
            offset += (uint64_t)got;
            count -= (size_t)got;
        }
    }
    return true;
}

uint64_t input_number(const uint8_t *bytes, size_t count) {
    uint64_t value = 0;
    for (size_t i = 0; i < count; i++) {
        value |= (uint64_t)bytes[i] << (8 * i);
    }
    return value;
}
