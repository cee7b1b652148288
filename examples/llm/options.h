/* SPDX-License-Identifier: MIT */
#ifndef LLM_OPTIONS_H
#define LLM_OPTIONS_H

#include <stdbool.h>

#include <q8k/q8k.h>

typedef struct settings {
    const char *model, *prompt, *tokens, *logits;
    q8k_precision precision;
    size_t generate, threads, batch;
    uint64_t seed;
    double temperature;
    bool echo, ids, ignore_end;
} settings;

/* Ends the program if they are wrong, or have been asked for help. */
settings take_settings(int argc, char **argv);

/* The number that the value of option `name` is; ends the program if it is none from `least` to `most`. */
size_t whole_number(const char *name, const char *value, size_t least, size_t most);

#endif
