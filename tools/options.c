/* SPDX-License-Identifier: MIT */
/* The command line of a subcommand, and its help, from one table of options. */
#define _GNU_SOURCE
#include "command.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "escape.h"

enum { OPTION_HELP = 128, OPTION_COUNT = 24, SHOWN_BYTES = 256, LIST_BYTES = 256 };

static const struct {
    unsigned bit;
    const char *name, *value, *help;
} options[OPTION_COUNT] = {
    {OPTION_FORMAT, "format", "F", "the weight format"},
    {OPTION_BLOCKS_FORMAT, "format", "F", "the weight format, where the files do not say it"},
    {OPTION_TENSORS, "tensor", "GLOB", "only tensors with such names [all]"},
    {OPTION_KEEP, "keep", "GLOB", "not tensors with such names [none]"},
    {OPTION_TENSOR, "tensor", "TENSOR", "the tensor of a GGUF file, by its name"},
    {OPTION_PRECISION, "precision", "P", "how many bits of the activations are kept [float]"},
    {OPTION_BACKEND, "backend", "NAME", "the backend to use [Q8K_BACKEND, else the best]"},
    {OPTION_ONE_BACKEND, "backend", "NAME", "test this backend only [all]"},
    {OPTION_THREADS, "threads", "N", "compute on N threads [one per processor]"},
    {OPTION_PARTS, "parts", "N", "divide the work into N parts [as many as threads]"},
    {OPTION_SEED, "seed", "N", "start the random numbers from N [1]"},
    {OPTION_ONE_FORMAT, "format", "F", "this weight format only [all]"},
    {OPTION_ONE_PRECISION, "precision", "P", "this precision only [all]"},
    {OPTION_SHAPE, "shape", "ROWSxCOLS", "the matrix of weights [4096x4096]"},
    {OPTION_BATCHES, "batch", "LIST", "rows of activations [1,4,16,64,512]"},
    {OPTION_THREAD_LIST, "threads", "LIST", "numbers of threads [1 and one per processor]"},
    {OPTION_REPEAT, "repeat", "N", "measure everything N times [7]"},
    {OPTION_QUICK, "quick", NULL, "end within 40 seconds: fewer batches, a smaller matrix"},
    {OPTION_GGML, "ggml", "DIR", "the folder of ggml's shared libraries, as a peer"},
    {OPTION_PLOT, "plot", "FILE.svg", "draw the figures too, with gnuplot"},
    {OPTION_MMAP, "mmap", NULL, "map the file instead of reading it: for one that nobody cuts off meanwhile"},
    {OPTION_QUIET, "quiet", NULL, "tell nothing but errors"},
    {OPTION_JSON, "json", NULL, "print one JSON object"},
    {OPTION_HELP, "help", NULL, "print this help"},
};

static void list_formats(char list[LIST_BYTES]) {
    size_t used = 0;
    for (size_t i = 0; i < q8k_format_count() && used < LIST_BYTES; i++) {
        used += (size_t)snprintf(list + used, LIST_BYTES - used, "%s%s", i > 0 ? ", " : "",
                                 q8k_format_name(q8k_format_at(i)));
    }
}

static void list_precisions(char list[LIST_BYTES]) {
    size_t used = 0;
    for (q8k_precision i = 0; q8k_precision_name(i) != NULL && used < LIST_BYTES; i++) {
        used += (size_t)snprintf(list + used, LIST_BYTES - used, "%s%s", i > 0 ? ", " : "", q8k_precision_name(i));
    }
}

static void list_options(const command *self, char list[LIST_BYTES]) {
    size_t used = 0;
    for (int i = 0; i < OPTION_COUNT; i++) {
        if (((self->options | OPTION_HELP) & options[i].bit) && used < LIST_BYTES) {
            used += (size_t)snprintf(list + used, LIST_BYTES - used, "%s--%s", used > 0 ? ", " : "", options[i].name);
        }
    }
}

/* How many files there can be, and how many must be. */
static int count_files(const command *self, int *needed) {
    int count = *self->files != '\0', optional = 0;
    for (const char *p = self->files; *p != '\0'; p++) {
        count += *p == ' ';
        optional += *p == '[';
    }
    *needed = count - optional;
    return count;
}

static void print_usage(const command *self, FILE *to) {
    fprintf(to, "usage: q8k %s%s%s%s [OPTION]...\n", self->name, *self->files ? " " : "", self->files,
            self->options & OPTION_FORMAT ? " --format F" : "");
}

static void print_help(const command *self) {
    char list[LIST_BYTES];
    print_usage(self, stdout);
    printf("%s.\n\n", self->summary);
    for (int i = 0; i < OPTION_COUNT; i++) {
        if ((self->options | OPTION_HELP) & options[i].bit) {
            char left[32];
            snprintf(left, sizeof left, "--%s%s%s", options[i].name, options[i].value ? " " : "",
                     options[i].value ? options[i].value : "");
            printf("  %-17s  %s\n", left, options[i].help);
        }
    }
    if (self->options & (OPTION_FORMAT | OPTION_ONE_FORMAT | OPTION_BLOCKS_FORMAT)) {
        list_formats(list);
        printf("\nFormats: %s. q8_k is libq8k's own format.\n"
               "It is not ggml's block_q8_K (GGUF type 15), which has the same name and size but other contents:\n"
               "blocks of one are garbage to the other.\n",
               list);
    }
    if (self->options & (OPTION_PRECISION | OPTION_ONE_PRECISION)) {
        list_precisions(list);
        printf("Precisions: %s.\n", list);
    }
    printf("%s%s", *self->help ? "\n" : "", self->help);
}

int command_missing_format(const char *where) {
    char list[LIST_BYTES];
    list_formats(list);
    command_say("--format is missing%s%s (limit %s)", where != NULL ? ", " : "", where != NULL ? where : "", list);
    return EXIT_USAGE;
}

static bool wrong(const command *self, int *status) {
    fprintf(stderr, "Try 'q8k %s --help'.\n", self->name);
    *status = EXIT_USAGE;
    return false;
}

static bool take_format(q8k_format *format) {
    char list[LIST_BYTES], shown[SHOWN_BYTES];
    if (q8k_format_from_name(optarg, format) == Q8K_OK) {
        return true;
    }
    list_formats(list);
    command_say("--format = '%s' (limit %s)", escape_text(shown, sizeof shown, optarg, strlen(optarg)), list);
    return false;
}

static bool take_precision(q8k_precision *precision) {
    char list[LIST_BYTES], shown[SHOWN_BYTES];
    if (q8k_precision_from_name(optarg, precision) == Q8K_OK) {
        return true;
    }
    list_precisions(list);
    command_say("--precision = '%s' (limit %s)", escape_text(shown, sizeof shown, optarg, strlen(optarg)), list);
    return false;
}

/* Takes the value, in optarg, of an option that has one. */
static bool take_option(unsigned bit, command_arguments *arguments) {
    uint64_t number;
    switch (bit) {
    case OPTION_FORMAT:
    case OPTION_ONE_FORMAT:
    case OPTION_BLOCKS_FORMAT:
        return take_format(&arguments->format);
    case OPTION_ONE_PRECISION:
        arguments->one_precision = true;
        return take_precision(&arguments->precision);
    case OPTION_PRECISION:
        return take_precision(&arguments->precision);
    case OPTION_BACKEND:
    case OPTION_ONE_BACKEND:
        arguments->backend = optarg;
        return true;
    case OPTION_THREADS:
        if (!option_number("threads", optarg, 1, COMMAND_MAX_THREADS, &number)) {
            return false;
        }
        arguments->threads = (size_t)number;
        return true;
    case OPTION_PARTS:
        if (!option_number("parts", optarg, 1, COMMAND_MAX_PARTS, &number)) {
            return false;
        }
        arguments->parts = (size_t)number;
        return true;
    case OPTION_SEED:
        return option_number("seed", optarg, 0, UINT64_MAX, &arguments->seed);
    case OPTION_SHAPE:
        return option_shape("shape", optarg, &arguments->rows, &arguments->cols);
    case OPTION_BATCHES:
        return option_numbers("batch", optarg, 1, COMMAND_MAX_BATCH, &arguments->batches);
    case OPTION_THREAD_LIST:
        return option_numbers("threads", optarg, 1, COMMAND_MAX_THREADS, &arguments->thread_list);
    case OPTION_REPEAT:
        if (!option_number("repeat", optarg, 1, COMMAND_MAX_REPEAT, &number)) {
            return false;
        }
        arguments->repeat = (size_t)number;
        return true;
    case OPTION_QUICK:
        arguments->quick = true;
        return true;
    case OPTION_GGML:
        arguments->ggml = optarg;
        return true;
    case OPTION_MMAP:
        arguments->map = true;
        return true;
    case OPTION_TENSORS:
        return option_pattern("tensor", optarg, &arguments->tensors);
    case OPTION_KEEP:
        return option_pattern("keep", optarg, &arguments->kept);
    case OPTION_TENSOR:
        arguments->tensor = optarg;
        return true;
    case OPTION_QUIET:
        arguments->quiet = true;
        return true;
    case OPTION_PLOT:
        arguments->plot = optarg;
        return true;
    default: /* OPTION_JSON */
        arguments->json = true;
        return true;
    }
}

static void say_unknown(const command *self, int returned, char **argv) {
    char list[LIST_BYTES], shown[SHOWN_BYTES];
    /* For a letter optopt is the letter; for a long option it is 0 or the option's bit. */
    bool is_letter = (optopt & (optopt - 1)) != 0;
    char letter[3] = {'-', (char)optopt, '\0'};
    const char *text = is_letter ? letter : argv[optind - 1];
    escape_text(shown, sizeof shown, text, strlen(text));
    list_options(self, list);
    if (returned == ':') {
        command_say("option '%s' needs a value", shown);
    } else {
        command_say("wrong option '%s' (limit %s)", shown, list);
    }
}

static bool take_files(const command *self, int argc, char **argv, command_arguments *arguments) {
    int needed, wanted = count_files(self, &needed), given = argc - optind;
    if (given < needed || given > wanted) {
        command_say("%d file names (limit %d%s%s)", given, wanted, wanted > 0 ? ": " : "", self->files);
        return false;
    }
    for (int i = 0; i < given; i++) {
        arguments->files[i] = argv[optind + i];
    }
    return true;
}

bool command_parse(const command *self, int argc, char **argv, command_arguments *arguments, int *status) {
    struct option accepted[OPTION_COUNT + 1] = {{0}};
    int count = 0;
    for (int i = 0; i < OPTION_COUNT; i++) {
        if ((self->options | OPTION_HELP) & options[i].bit) {
            accepted[count++] = (struct option){.name = options[i].name,
                                                .has_arg = options[i].value ? required_argument : no_argument,
                                                .val = (int)options[i].bit};
        }
    }
    *arguments = (command_arguments){.seed = 1};
    for (int found; (found = getopt_long(argc, argv, ":", accepted, NULL)) != -1;) {
        if (found == OPTION_HELP) {
            print_help(self);
            *status = EXIT_SUCCESS;
            return false;
        }
        if (found == '?' || found == ':') {
            say_unknown(self, found, argv);
            return wrong(self, status);
        }
        if (!take_option((unsigned)found, arguments)) {
            return wrong(self, status);
        }
    }
    if (!take_files(self, argc, argv, arguments)) {
        return wrong(self, status);
    }
    if ((self->options & OPTION_FORMAT) && arguments->format == 0) {
        command_missing_format(NULL);
        return wrong(self, status);
    }
    return true;
}
