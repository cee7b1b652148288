/* SPDX-License-Identifier: MIT */
/* Fuzzing. A target is a program of one file, which defines what stands first here; replay.c is the rest of it, and tells
 * how it is called. With libFuzzer instead of replay.c's main() it looks for inputs that break it: tests/fuzz/run. */
#ifndef Q8K_TESTS_FUZZ_FUZZ_H
#define Q8K_TESTS_FUZZ_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The longest seed, and the longest input that libFuzzer makes. */
enum { FUZZ_MAX_BYTES = 16384 };

/* ---- of the target ---- */

/* Its name, and so that of its corpus. */
extern const char fuzz_name[];

/* Writes the input `index`, 0, 1, ..., made by what knows how inputs look. Returns its length; 0: there are no more. */
size_t fuzz_seed(size_t index, uint8_t to[FUZZ_MAX_BYTES]);

/* Must return for any input whatever, within a second. Ends the program by fuzz_fail() if anything is not as it must be.
 * The bytes are followed by memory that is not the input's. */
void fuzz_input(const uint8_t *data, size_t size);

/* ---- of replay.c ---- */

/* Prints the message and aborts. */
__attribute__((format(printf, 1, 2))) _Noreturn void fuzz_fail(const char *format, ...);

#define demand(condition, ...)                                                                                         \
    do {                                                                                                               \
        if (!(condition))                                                                                              \
            fuzz_fail(__VA_ARGS__);                                                                                    \
    } while (0)

/* Fails unless `error`, in a buffer of so many bytes, is one line without control characters that holds `name`, and the
 * value that was refused, its place and the limit if they are `placed`. */
void fuzz_check_message(const char *error, size_t room, const char *name, bool placed);

/* The path of a file in memory with these bytes, until the next call. */
const char *fuzz_file(const uint8_t *data, size_t size);

/* What libFuzzer calls. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
