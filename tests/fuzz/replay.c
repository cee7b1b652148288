/* SPDX-License-Identifier: MIT */
/* What all targets share. Without libFuzzer (FUZZ_ENGINE) a target is a test:
 *
 *   tests/fuzz/TARGET                  its seeds, its corpus, and 10,000 random changes of them; a tenth of that with
 *                                      Q8K_TEST_QUICK. What ends it is left in the file fuzz-failed
 *   tests/fuzz/TARGET FILE...          each file as it is: what libFuzzer has left behind, say
 *   tests/fuzz/TARGET --write FOLDER   writes the seeds and the corpus as files, for libFuzzer to start from
 *   tests/fuzz/TARGET --text FILE...   prints each file as a line of a corpus
 *
 * A corpus is a text, corpus/TARGET.txt: an input on each line, in which \NN is a byte in hexadecimal and \NN*COUNT; so
 * many of them. Lines that start with # are comments. Q8K_TEST_DATA names the folder tests/, Q8K_TEST_SEED a seed. */
#define _GNU_SOURCE
#include "fuzz.h"

#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "tests/support.h"

void fuzz_fail(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "%s: ", fuzz_name);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    fflush(stderr);
    abort();
}

void fuzz_check_message(const char *error, size_t room, const char *name, bool placed) {
    size_t length = strnlen(error, room);
    demand(length > 0 && length < room, "a message of %zu bytes (limit 1 to %zu)", length, room - 1);
    for (size_t i = 0; i < length; i++)
        demand((uint8_t)error[i] >= ' ' && error[i] != 0x7f && memcmp(error + i, "\xc2\x9b", 2) != 0,
               "control character in: %s", error);
    demand(strstr(error, name) != NULL, "no '%s' in: %s", name, error);
    demand(!placed || (strstr(error, " = ") != NULL && strstr(error, " at byte ") != NULL &&
                       (strstr(error, "limit ") != NULL || strstr(error, "(expected ") != NULL)),
           "no value, byte or limit in: %s", error);
}

const char *fuzz_file(const uint8_t *data, size_t size) {
    static char path[64];
    static int file = -1;
    if (file < 0) {
        file = memfd_create("fuzz", MFD_CLOEXEC);
        demand(file >= 0, "no file in memory");
        snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    }
    demand(ftruncate(file, 0) == 0 && pwrite(file, data, size, 0) == (ssize_t)size, "no %zu bytes for a file", size);
    return path;
}

/* Of this process: what others do to the machine is not the input's fault. */
static double processor_seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    double begun = processor_seconds();
    fuzz_input(data, size);
    double seconds = processor_seconds() - begun;
    demand(seconds < 1, "%.2f s of processor time for %zu bytes (limit 1)", seconds, size);
    return 0;
}

#ifndef FUZZ_ENGINE

enum { CHANGES = 10000, INPUTS_MAX = 4096 };

typedef struct input {
    uint8_t *bytes;
    size_t size;
} input;

static input inputs[INPUTS_MAX];
static size_t input_count;

static void keep(const uint8_t *bytes, size_t size) {
    demand(input_count < INPUTS_MAX, "more than %d inputs", INPUTS_MAX);
    input *to = &inputs[input_count++];
    *to = (input){test_alloc(size), size};
    memcpy(to->bytes, bytes, size);
}

/* The one that is being tried, for the file that is left if it ends the program. */
static const uint8_t *volatile tried;
static volatile size_t tried_size;

static void leave_input(int number) {
    static const char left[] = "fuzz-failed\n";
    int file = open("fuzz-failed", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (file >= 0 && write(file, tried, tried_size) == (ssize_t)tried_size && close(file) == 0)
        (void)!write(STDERR_FILENO, left, sizeof left - 1);
    signal(number, SIG_DFL);
    raise(number);
}

/* An input in memory of exactly its size, for checkers of memory to see what lies beyond. */
static void try_input(const uint8_t *bytes, size_t size) {
    uint8_t *copy = test_alloc(size);
    if (size > 0)
        memcpy(copy, bytes, size);
    tried_size = 0;
    tried = copy;
    tried_size = size;
    LLVMFuzzerTestOneInput(copy, size);
    tried_size = 0;
    free(copy);
}

/* ---- the corpus ---- */

static int hexadecimal(const char *digits) {
    unsigned value;
    int length = 0;
    return sscanf(digits, "%2x%n", &value, &length) == 1 && length == 2 ? (int)value : -1;
}

/* Reads a line without its end, in place. */
static size_t decode_line(char *line, uint8_t to[FUZZ_MAX_BYTES]) {
    size_t size = 0;
    while (*line != '\0') {
        unsigned long count = 1;
        int byte = (uint8_t)*line++;
        if (byte == '\\') {
            byte = hexadecimal(line);
            demand(byte >= 0, "corpus: '\\%.2s' (limit two hexadecimal digits)", line);
            line += 2;
            if (*line == '*') {
                count = strtoul(line + 1, &line, 10);
                demand(*line++ == ';', "corpus: a count without ';'");
            }
        }
        demand(count <= FUZZ_MAX_BYTES - size, "corpus: a line of more than %d bytes", FUZZ_MAX_BYTES);
        memset(to + size, byte, count);
        size += count;
    }
    return size;
}

static size_t read_corpus(void) {
    static uint8_t bytes[FUZZ_MAX_BYTES];
    char path[TEST_PATH_BYTES], name[64], *line = NULL;
    size_t room = 0, count = 0;
    snprintf(name, sizeof name, "fuzz/corpus/%s.txt", fuzz_name);
    test_path(path, test_folder("Q8K_TEST_DATA"), name);
    FILE *file = fopen(path, "re");
    demand(file != NULL, "cannot open %s", path);
    while (getline(&line, &room, file) > 0) {
        line[strcspn(line, "\n")] = '\0';
        if (*line == '#' || *line == '\0')
            continue;
        size_t size = decode_line(line, bytes);
        keep(bytes, size);
        count++;
    }
    free(line);
    fclose(file);
    demand(count > 0, "%s has no inputs", path);
    return count;
}

static void print_line(const uint8_t *bytes, size_t size) {
    for (size_t i = 0; i < size;) {
        size_t run = 1;
        while (i + run < size && bytes[i + run] == bytes[i])
            run++;
        bool plain =
            bytes[i] > ' ' && bytes[i] < 0x7f && bytes[i] != '\\' && bytes[i] != '*' && (i > 0 || *bytes != '#');
        if (run > 4)
            printf("\\%02x*%zu;", bytes[i], run);
        for (size_t k = 0; run <= 4 && k < run; k++)
            printf(plain ? "%c" : "\\%02x", bytes[i]);
        i += run;
    }
    putchar('\n');
}

static size_t read_seeds(void) {
    static uint8_t bytes[FUZZ_MAX_BYTES];
    size_t count = 0;
    for (size_t size; (size = fuzz_seed(count, bytes)) > 0; count++)
        keep(bytes, size);
    demand(count > 0, "no seeds");
    return count;
}

/* ---- changes ---- */

/* Numbers that mean something to formats: ends of ranges, and small ones. */
static void change_bytes(uint8_t *bytes, size_t size, test_random *random) {
    static const uint64_t telling[] = {0,
                                       1,
                                       2,
                                       3,
                                       8,
                                       32,
                                       127,
                                       128,
                                       255,
                                       256,
                                       65535,
                                       65536,
                                       INT32_MAX,
                                       UINT32_MAX,
                                       UINT64_C(1) << 32,
                                       UINT64_C(1) << 62,
                                       INT64_MAX,
                                       UINT64_MAX};
    size_t at = random_below(random, size), width = (size_t)1 << random_below(random, 4);
    uint64_t value =
        random_below(random, 2) ? random_next(random) : telling[random_below(random, sizeof telling / sizeof *telling)];
    for (size_t i = 0; i < width && at + i < size; i++)
        bytes[at + i] = (uint8_t)(value >> (8 * i));
}

/* Changes bytes, cuts the end off, takes a piece out or puts one in, from another input or from this one. */
static size_t change(uint8_t bytes[FUZZ_MAX_BYTES], size_t size, test_random *random) {
    const input *other = &inputs[random_below(random, input_count)];
    size_t at = random_below(random, size + 1), length = random_below(random, 16) + 1;
    switch (random_below(random, 8)) {
    case 0:
        return at;
    case 1:
        length = length < size - at ? length : size - at;
        memmove(bytes + at, bytes + at + length, size - at - length);
        return size - length;
    case 2:
        length = length < other->size ? length : other->size;
        if (size + length > FUZZ_MAX_BYTES)
            return size;
        memmove(bytes + at + length, bytes + at, size - at);
        memcpy(bytes + at, other->bytes + random_below(random, other->size - length + 1), length);
        return size + length;
    default:
        if (size > 0)
            change_bytes(bytes, size, random);
        return size;
    }
}

static int try_changes(void) {
    static uint8_t bytes[FUZZ_MAX_BYTES];
    const char *quick = getenv("Q8K_TEST_QUICK");
    int count = quick != NULL && *quick != '\0' ? CHANGES / 10 : CHANGES;
    test_random random = random_start(0x66757a7a);
    for (int i = 0; i < count; i++) {
        const input *from = &inputs[random_below(&random, input_count)];
        size_t size = from->size;
        memcpy(bytes, from->bytes, size);
        for (size_t k = 1 + random_below(&random, 4); k > 0; k--)
            size = change(bytes, size, &random);
        try_input(bytes, size);
    }
    return count;
}

/* ---- the command line ---- */

static int write_inputs(const char *folder) {
    read_seeds();
    read_corpus();
    for (size_t i = 0; i < input_count; i++) {
        char path[TEST_PATH_BYTES], name[32];
        snprintf(name, sizeof name, "%04zu", i);
        test_path(path, folder, name);
        file_write(path, inputs[i].bytes, inputs[i].size);
    }
    return EXIT_SUCCESS;
}

static int each_file(char **paths, void (*act)(const uint8_t *bytes, size_t size)) {
    for (; *paths != NULL; paths++) {
        size_t size;
        uint8_t *bytes = file_read(*paths, &size);
        act(bytes, size);
        free(bytes);
    }
    return EXIT_SUCCESS;
}

/* The most memory that there was, in KiB. */
static long peak_memory(void) {
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    return used.ru_maxrss;
}

static int test(void) {
    const long limit = 4096 + 2 * FUZZ_MAX_BYTES / 1024;
    size_t seeds = read_seeds(), corpus = read_corpus();
    printf("Q8K_TEST_SEED=%" PRIu64 "\n", test_seed());
    fflush(stdout);
    try_input(NULL, 0);
    try_input(inputs[0].bytes, inputs[0].size);
    long before = peak_memory();
    for (size_t i = 0; i < input_count; i++)
        try_input(inputs[i].bytes, inputs[i].size);
    printf("ok: %s: %zu seeds\nok: %s: %zu inputs of the corpus\n", fuzz_name, seeds, fuzz_name, corpus);
    int changes = try_changes();
    printf("ok: %s: %d changes of them, in %.1f s\n", fuzz_name, changes, processor_seconds());
    long grown = peak_memory() - before;
    demand(SANITIZED || grown <= limit, "%ld KiB of memory (limit %ld)", grown, limit);
    printf("ok: %s: %ld KiB of memory (limit %ld)\n", fuzz_name, grown, limit);
    return EXIT_SUCCESS;
}

int main(int argc, char **argv) {
    static const int signals[] = {SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV};
    if (argc == 3 && strcmp(argv[1], "--write") == 0)
        return write_inputs(argv[2]);
    if (argc > 1 && strcmp(argv[1], "--text") == 0)
        return each_file(argv + 2, print_line);
    if (argc > 1)
        return each_file(argv + 1, try_input);
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        signal(signals[i], leave_input);
    return test();
}

#endif
