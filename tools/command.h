/* SPDX-License-Identifier: MIT */
/* What the subcommands of q8k share: how they are described, their arguments, and how they fail. */
#ifndef Q8K_TOOLS_COMMAND_H
#define Q8K_TOOLS_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <q8k/q8k.h>

#include "npy.h"
#include "option_values.h"

/* Exit status, as are EXIT_SUCCESS and EXIT_FAILURE: the command line itself is wrong. */
enum { EXIT_USAGE = 2 };

enum {
    COMMAND_MAX_FILES = 3,
    COMMAND_MAX_THREADS = 1024,
    COMMAND_MAX_PARTS = 1048576,
    COMMAND_MAX_BATCH = 16384,
    COMMAND_MAX_REPEAT = 64
};

/* The options, as bits of what a subcommand takes. */
enum {
    OPTION_FORMAT = 1, /* and needs */
    OPTION_PRECISION = 2,
    OPTION_BACKEND = 4,
    OPTION_THREADS = 8,
    OPTION_PARTS = 16,
    OPTION_SEED = 32,
    OPTION_JSON = 64,
    OPTION_ONE_FORMAT = 256, /* and need not */
    OPTION_ONE_PRECISION = 512,
    OPTION_SHAPE = 1024,
    OPTION_BATCHES = 2048,
    OPTION_THREAD_LIST = 4096,
    OPTION_REPEAT = 8192,
    OPTION_QUICK = 16384,
    OPTION_GGML = 32768,
    OPTION_PLOT = 65536,
    OPTION_MMAP = 131072,
    OPTION_BLOCKS_FORMAT = 262144, /* needed for some files only */
    OPTION_TENSORS = 524288,
    OPTION_KEEP = 1048576,
    OPTION_QUIET = 2097152,
    OPTION_TENSOR = 4194304,
    OPTION_ONE_BACKEND = 8388608
};

/* The command line of a subcommand; what was not given has the value in brackets. */
typedef struct command_arguments {
    const char *files[COMMAND_MAX_FILES];
    q8k_format format;       /* [0] */
    q8k_precision precision; /* [Q8K_PRECISION_FLOAT] */
    const char *backend;     /* [NULL] */
    size_t threads;          /* [0] */
    size_t parts;            /* [0] */
    uint64_t seed;           /* [1] */
    bool json;               /* [false] */
    bool one_precision;      /* whether --precision was given [false] */
    option_list batches;     /* [none] */
    option_list thread_list; /* [none] */
    size_t rows, cols;       /* --shape [0, 0] */
    size_t repeat;           /* [0] */
    bool quick;              /* [false] */
    const char *ggml;        /* [NULL] */
    const char *plot;        /* [NULL] */
    bool map;                /* [false] */
    pattern_list tensors;    /* --tensor GLOB [none] */
    pattern_list kept;       /* --keep GLOB [none] */
    const char *tensor;      /* --tensor NAME [NULL] */
    bool quiet;              /* [false] */
} command_arguments;

typedef struct command {
    const char *name;
    /* What they are called in the help, separated by spaces; "" for none. One in brackets need not be given. */
    const char *files;
    const char *summary; /* one line */
    const char *help;    /* further lines */
    unsigned options;
    /* Returns an exit status. */
    int (*run)(const command_arguments *arguments);
} command;

extern const command command_info, command_inspect, command_quantize, command_dequantize, command_matmul,
    command_verify, command_compare, command_bench;

/* Reads the command line from argv[1] on. Returns true if the subcommand is to run; else *status is the exit status:
 * help was asked for, or the line is wrong and that has been said. */
bool command_parse(const command *self, int argc, char **argv, command_arguments *arguments, int *status);

/* Prints "q8k SUBCOMMAND: " and the message on standard error. */
__attribute__((format(printf, 1, 2))) void command_say(const char *format, ...);

/* The same, and returns EXIT_FAILURE. */
__attribute__((format(printf, 1, 2))) int command_fail(const char *format, ...);

/* Says that --format is missing, and `where` it is needed unless that is NULL; returns EXIT_USAGE. */
int command_missing_format(const char *where);

/* How many threads are to compute; false, with a message, if there can be only one. */
bool command_threads(const command_arguments *arguments, int *threads);

/* Reads a matrix of float32, or fails with a message. */
bool command_read_floats(const char *path, npy_array *array);

/* Makes room for rows x cols elements of a type (uint8 or float32), or fails with a message. */
bool command_make_array(npy_array *array, npy_type type, size_t rows, size_t cols);

/* A context with the backend that --backend asks for; NULL: the best one. Else fails with a message. */
bool command_context(const char *backend, q8k_context **context);

/* Whether the output is another file than the input, by whatever name; else fails with a message: what was read would be
 * gone for good. */
bool command_keeps(const char *input, const char *output);

/* Writes a matrix and returns the exit status. */
int command_write(const char *path, const npy_array *array);

#endif
