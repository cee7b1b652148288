/* SPDX-License-Identifier: MIT */
/* What all suites share: random numbers, buffers beside guard pages, folders, and a context per backend. */
#ifndef Q8K_TESTS_SUPPORT_H
#define Q8K_TESTS_SUPPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <check.h>

#include <q8k/q8k.h>

/* ck_assert_msg() for loops: that one writes a mark to a file each time that all is well. */
#define require(condition, ...)                                                                                        \
    do {                                                                                                               \
        if (!(condition))                                                                                              \
            ck_abort_msg(__VA_ARGS__);                                                                                 \
    } while (0)

/* Ends the test unless `error`, in a buffer of so many bytes, is a message: one line without control characters. */
void expect_message(const char *error, size_t room);

/* The same for what is refused in a file: it names the value, the byte where it stands, and the limit. */
void expect_placed_message(const char *error, size_t room);

/* Whether checkers of memory or of threads are built in, which take memory, time and locks for themselves. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#define SANITIZED                                                                                                      \
    (__has_feature(address_sanitizer) || __has_feature(memory_sanitizer) || __has_feature(thread_sanitizer))
#else
#define SANITIZED 0
#endif

/* ---- random numbers: the same ones in every run with the same seed ---- */

/* Q8K_TEST_SEED, or a fixed number. */
uint64_t test_seed(void);

typedef struct test_random {
    uint64_t state;
} test_random;

/* A generator for one test, which `salt` tells from the others. */
test_random random_start(uint64_t salt);
uint64_t random_next(test_random *random);
/* 0 to limit - 1. */
size_t random_below(test_random *random, size_t limit);
/* About normal, with variance 1. */
float random_normal(test_random *random);

/* ---- memory ---- */

/* malloc that ends the test if there is no memory. */
void *test_alloc(size_t bytes);

/* A buffer between two pages that may not be touched. */
typedef struct guarded {
    void *mapping;
    size_t mapping_bytes, bytes;
    uint8_t *at_start; /* `bytes` bytes right behind the first guard page */
    uint8_t *at_end;   /* `bytes` bytes right before the second one */
} guarded;

guarded guarded_make(size_t bytes);
void guarded_free(guarded *buffer);

/* Allows reading alone, so that a write ends the test. */
void guarded_read_only(guarded *buffer);

/* Whether two results are the same: the same bits, or both NaN. */
bool same_float(float a, float b);

/* ---- folders ---- */

/* "FOLDER/NAME", or ends the test if it does not fit. */
enum { TEST_PATH_BYTES = 1024 };
void test_path(char path[TEST_PATH_BYTES], const char *folder, const char *name);
/* The folder that the environment variable names; ends the test if it is not set. */
const char *test_folder(const char *variable);
/* A new, empty folder. */
void folder_make(char path[TEST_PATH_BYTES]);
/* Removes a folder with the files in it. */
void folder_remove(const char *path);
/* The whole file, malloc'ed. */
uint8_t *file_read(const char *path, size_t *bytes);
void file_write(const char *path, const void *data, size_t bytes);

/* ---- backends ---- */

/* Runs a test on a context of every backend that works here. There are always two at least: the scalar plugin and
 * the built-in copy of it. */
void on_every_backend(void (*test)(const q8k_context *context, const void *data), const void *data);

#endif
