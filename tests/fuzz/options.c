/* SPDX-License-Identifier: MIT */
/* The input is a command line: a letter for the subcommand, whatever stands for its name, and its arguments, with a NUL
 * between them. */
#define _GNU_SOURCE
#include "fuzz.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support.h"
#include "tools/command.h"

enum { ARGUMENTS_MAX = 64, SAID_BYTES = 4096 };

const char fuzz_name[] = "options";

static const command *const commands[] = {&command_info,   &command_inspect, &command_quantize, &command_dequantize,
                                          &command_matmul, &command_verify,  &command_bench,    &command_compare};
enum { COMMANDS = sizeof commands / sizeof *commands };

/* ---- what the command says ---- */

static char said[SAID_BYTES];
static int times_said;

__attribute__((format(printf, 1, 0))) static void note(const char *format, va_list arguments) {
    int length = vsnprintf(said, sizeof said, format, arguments);
    demand(length > 0 && length < SAID_BYTES, "a message of %d bytes (limit %d)", length, SAID_BYTES - 1);
    times_said++;
}

void command_say(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    note(format, arguments);
    va_end(arguments);
}

int command_fail(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    note(format, arguments);
    va_end(arguments);
    return EXIT_FAILURE;
}

/* ---- seeds ---- */

size_t fuzz_seed(size_t index, uint8_t to[FUZZ_MAX_BYTES]) {
    static const char *const lines[] = {
        "a|--json",
        "b|--mmap|--json|model.gguf",
        "c|--format|q4_k|in.npy|out.npy",
        "d|in.npy|out.npy|--format=Q8_K",
        "e|--format|q6_k|--precision|half|--backend|avx2|--threads|4|--parts|64|w.npy|x.npy|y.npy",
        "e|--format|q5_k|--|--w|--x|--y",
        "f|--backend|builtin|--seed|18446744073709551615",
        "g|--format|q8_k|--precision|byte|--backend|scalar|--shape|4096x256|--batch|1,4,16|--threads|1,2|--repeat|3",
        "g|--quick|--json|--ggml|/folder|--plot|file.svg|--seed|1",
        "g|--help",
        "h|--tensor|blk.*|--json|--plot|errors.svg|a.gguf|b.gguf",
        "c|--format|q3_k|--tensor|*.weight|--keep|output*|--quiet|in.gguf|out.gguf",
        "e|--tensor|output.weight|model.gguf|x.npy|y.npy",
        "f|--tensor|*|model.gguf",
        "c|--format|q4_k|in.npy",
        "e|--threads|1025|--parts",
        "f|--sed=1|-x|--|-",
        "g|--batch|1,1|--shape|1x1|--threads|,",
        "e|--format|q5_k|--threads|1025|w|x|y",
        "e|--format|q5_k|--parts|1048577|w|x|y",
        "g|--batch|1,16385",
        "g|--threads|1025",
        "g|--repeat|65",
        "g|--shape|1048576x512",
    };
    if (index >= sizeof lines / sizeof *lines)
        return 0;
    size_t length = strlen(lines[index]);
    memcpy(to, lines[index], length);
    for (size_t i = 0; i < length; i++)
        to[i] = to[i] == '|' ? '\0' : to[i];
    return length;
}

/* ---- one command line ---- */

/* Memory of its own for each argument, for checkers of memory to see what lies beyond. */
static int split(const uint8_t *data, size_t size, char *argv[ARGUMENTS_MAX + 1]) {
    int argc = 0;
    for (size_t at = 0; (at < size || argc == 0) && argc < ARGUMENTS_MAX; argc++) {
        size_t length = strnlen((const char *)data + at, size - at);
        argv[argc] = test_alloc(length + 1);
        memcpy(argv[argc], data + at, length);
        argv[argc][length] = '\0';
        at += length + 1;
    }
    argv[argc] = NULL;
    return argc;
}

static void check_list(const option_list *list, size_t largest) {
    demand(list->count <= OPTION_LIST_MAX, "%zu numbers", list->count);
    for (size_t i = 0; i < list->count; i++)
        demand(list->values[i] >= 1 && list->values[i] <= largest, "number %zu = %zu", i, list->values[i]);
}

static void check_accepted(const command *self, const command_arguments *a) {
    size_t files = *self->files != '\0';
    for (const char *c = self->files; *c != '\0'; c++)
        files += *c == ' ';
    /* One in brackets, the last, may be left out. */
    for (size_t i = 0; i < files - (strchr(self->files, '[') != NULL); i++)
        demand(a->files[i] != NULL, "file %zu", i);
    demand(a->format == 0 ? !(self->options & OPTION_FORMAT) : q8k_format_name(a->format) != NULL, "format");
    demand(q8k_precision_name(a->precision) != NULL, "precision");
    demand(a->threads <= COMMAND_MAX_THREADS && a->parts <= COMMAND_MAX_PARTS && a->repeat <= COMMAND_MAX_REPEAT,
           "threads, parts or repeat");
    demand(a->rows <= OPTION_MAX_ROWS && a->cols % 256 == 0 && (a->rows == 0) == (a->cols == 0), "shape");
    check_list(&a->batches, COMMAND_MAX_BATCH);
    check_list(&a->thread_list, COMMAND_MAX_THREADS);
}

void fuzz_input(const uint8_t *data, size_t size) {
    static char thrown_away[1 << 16];
    static bool is_quiet;
    char *argv[ARGUMENTS_MAX + 1], *owned[ARGUMENTS_MAX];
    command_arguments arguments;
    int status = -1;
    /* What it prints stays in the streams' buffers, and is thrown away. */
    if (!is_quiet)
        is_quiet = setvbuf(stderr, thrown_away, _IOFBF, sizeof thrown_away) == 0;
    fflush(stdout);
    if (size == 0)
        return;
    const command *self = commands[(uint8_t)(data[0] - 'a') % COMMANDS];
    int argc = split(data + 1, size - 1, argv);
    memcpy(owned, argv, sizeof owned[0] * (size_t)argc); /* getopt_long() changes their order */
    optind = 0;                                          /* anew, for GNU's */
    times_said = 0;
    bool good = command_parse(self, argc, argv, &arguments, &status);
    __fpurge(stdout);
    __fpurge(stderr);
    if (good) {
        demand(times_said == 0, "accepted, but: %s", said);
        check_accepted(self, &arguments);
    } else if (status != EXIT_SUCCESS) {
        demand(status == EXIT_USAGE && times_said == 1, "status %d, %d messages", status, times_said);
        fuzz_check_message(said, sizeof said, "", false);
        demand(strstr(said, "(limit ") != NULL || strstr(said, "needs a value") != NULL, "no limit in: %s", said);
    } else {
        demand(times_said == 0, "help, but: %s", said);
    }
    for (int i = 0; i < argc; i++)
        free(owned[i]);
}
