/* SPDX-License-Identifier: MIT */
/* GGUF files made at test time, right or wrong byte by byte. */
#ifndef Q8K_TESTS_TEST_GGUF_H
#define Q8K_TESTS_TEST_GGUF_H

#include <check.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "support.h"
#include "tools/gguf.h"

/* Bytes that are put together, with room that ends where they end: checkers of memory see what lies beyond. */
typedef struct image {
    uint8_t *bytes;
    size_t length;
} image;

void image_put(image *to, const void *bytes, size_t count);
void image_number(image *to, uint64_t number, size_t count);
void image_text(image *to, const char *text);
/* The first fields of a file. */
image image_start(uint32_t version, uint64_t tensors, uint64_t keys);
/* A key up to its value. */
void image_key(image *to, const char *key, uint32_t type);
void image_key_number(image *to, const char *key, uint32_t type, uint64_t value);
void image_key_text(image *to, const char *key, const char *value);
/* A tensor's entry; dimensions up to the first 0. */
void image_tensor(image *to, const char *name, const uint64_t *dimension, uint32_t type, uint64_t offset);
/* Zeros up to a multiple of `alignment`, then `count` more. */
void image_data(image *to, size_t alignment, size_t count);
void image_free(image *of);

/* A file with every type of value, three tensors, and the alignment 64. */
image image_sample(uint32_t version);

/* Parses it all; ends the test if it is refused. */
gguf expect_parsed(const image *of);
/* Ends the test unless it is refused with this text in the message. Frees it. */
void expect_refused_image(image of, const char *fragment);

/* A fixture: a folder, and the path of a file that is not yet in it. */
extern char gguf_folder[TEST_PATH_BYTES], gguf_path[TEST_PATH_BYTES];
void gguf_folder_start(void);
void gguf_folder_stop(void);

/* Parts of suite_gguf(). */
TCase *tcase_gguf_hostile(void);
TCase *tcase_gguf_write(void);

#endif
