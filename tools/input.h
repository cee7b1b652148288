/* SPDX-License-Identifier: MIT */
/* Regular files, to be read at any place. */
#ifndef Q8K_TOOLS_INPUT_H
#define Q8K_TOOLS_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { INPUT_ERROR_BYTES = 1024 };

/* Opens a file without waiting for a FIFO's other end; nothing but a regular file has a length to hold a header
 * against. Returns its descriptor; or -1, with "PATH: what is wrong" in `error`. */
int input_open(const char *path, uint64_t *length, char error[INPUT_ERROR_BYTES]);

/* Reads `count` bytes from `offset` on. */
bool input_read(int file, const char *path, void *to, size_t count, uint64_t offset, char error[INPUT_ERROR_BYTES]);

/* A little-endian number of `count` bytes, at most eight. */
uint64_t input_number(const uint8_t *bytes, size_t count);

/* Whether a file is called something with this extension, which begins with a point, in whatever case of letters. */
bool input_ends_as(const char *path, const char *extension);

/* "PATH: text" in `error`; returns false. */
bool input_refuse(const char *path, const char *text, char error[INPUT_ERROR_BYTES]);

#endif
