/* SPDX-License-Identifier: MIT */
/* Running the library for the first time in a process of its own, with an environment of its own. */
#ifndef Q8K_TESTS_CHILD_H
#define Q8K_TESTS_CHILD_H

#include <stdbool.h>

#include <q8k/q8k.h>

#include "support.h"

/* What a process that makes a context found. It is written in memory that parent and child share. */
typedef struct outcome {
    int wait_status;
    double seconds;
    q8k_status status;  /* of q8k_context_create() */
    char error[2048];   /* its text, if it failed */
    char backend[64];   /* of the context */
    bool right;         /* every format's product and decoded weights were right to the bit */
    char wrong[512];    /* else what was not */
    char list[16384];   /* a line per backend: "name state file: reason" */
    char problem[2048]; /* of the plugin folder */
    char folder[8192], source[64];
    char printed[8192]; /* on standard output and error */
} outcome;

/* What to run it with. NULL members: the variable is not set. */
typedef struct child_environment {
    const char *backend_dir, *backend, *verbose, *fake_name, *count_file;
    const char *option; /* q8k_context_options.backend */
    bool unprivileged;  /* as another user than root */
    unsigned limit;     /* seconds until it is ended; 0: 5, longer than any load may take */
} child_environment;

/* By how much Check's limits of time are multiplied, at least 1: what slows down all of Check, such as a sanitizer or an
 * emulator, slows down a child too. */
double child_slowdown(void);
/* Whether fewer cases are to do: Q8K_TEST_QUICK is set, or programs run slowly. */
bool child_is_quick(void);

/* Fails the test unless the process ends by itself, in time, without a signal. */
void child_run(const child_environment *environment, outcome *found);

/* The same for any function, which returns the exit status. */
int child_call(const child_environment *environment, int (*function)(void *), void *data);

/* Every format in every precision against the definition, on the calling thread. Returns false and says what is
 * wrong. It may be called by many threads at once. */
bool child_products_right(const q8k_context *context, char *wrong, size_t bytes);

/* 0 if a new context takes this backend and computes well with it, else a number below 10. */
int child_uses(const char *backend);

/* The file of a fake plugin, in the build's folder. */
void fake_path(char path[TEST_PATH_BYTES], const char *variant);
/* A folder with the plugin `file` as that of the backend `name`. */
void plugin_folder(char folder[TEST_PATH_BYTES], const char *file, const char *name);

/* The library's own scalar plugin as built, malloc'ed. */
uint8_t *own_plugin(size_t *bytes);

/* The path of a backend's plugin in a folder. */
void plugin_path(char path[TEST_PATH_BYTES], const char *folder, const char *name);

/* Whether the outcome is: the built-in backend, chosen because "scalar" was refused for a reason with these words. */
void expect_fallback(const outcome *found, const char *const *words, const char *what);
/* Whether it is: no context, this status, and a text with these words. */
void expect_refused(const outcome *found, q8k_status status, const char *const *words, const char *what);
/* Whether it is: this backend, and right results. */
void expect_used(const outcome *found, const char *backend, const char *what);
/* Runs with a folder in which "scalar" is broken: it falls back, and with that name it is refused. */
void expect_broken(const char *folder, const char *const *words, const char *what);

#endif
