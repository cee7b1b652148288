/* SPDX-License-Identifier: MIT */
#include "command.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "verify_file.h"
#include "verify_run.h"

static bool add_backend(verify_backends *all, const char *name) {
    q8k_context *context;
    if (!command_context(name, &context)) {
        return false;
    }
    q8k_context **grown = realloc(all->contexts, (all->count + 1) * sizeof *grown);
    if (grown == NULL) {
        command_say("no memory");
        q8k_context_destroy(context);
        return false;
    }
    all->contexts = grown;
    all->contexts[all->count++] = context;
    return true;
}

static void free_backends(verify_backends *all) {
    for (size_t i = 0; i < all->count; i++) {
        q8k_context_destroy(all->contexts[i]);
    }
    free(all->contexts);
}

/* Every backend of the list that works; what does not is told, and why. */
static bool find_backends(verify_backends *all) {
    q8k_backend_list *list;
    if (q8k_backend_list_create(&list, NULL) != Q8K_OK) {
        command_say("%s", q8k_last_error());
        return false;
    }
    bool good = true;
    for (size_t i = 0; good && i < q8k_backend_list_count(list); i++) {
        q8k_backend_info info = {.size = sizeof info};
        q8k_backend_list_get(list, i, &info);
        if (info.state == Q8K_BACKEND_REJECTED) {
            printf("left out: %s: %s\n", info.name, info.reason);
        } else {
            good = add_backend(all, info.name);
        }
    }
    q8k_backend_list_destroy(list);
    return good;
}

static void print_tally(const q8k_context *context, q8k_format format, const char *precision, bool errors, bool units,
                        const verify_tally *tally) {
    printf("%-12.12s  %-6s  %-9s  %8zu  %s", q8k_context_backend(context), q8k_format_name(format), precision,
           tally->values, tally->different == 0 ? "same" : "DIFFERENT");
    if (errors) {
        printf("%s  %9.2e  %9.2e  %6.4f%s", tally->different == 0 ? "     " : "", tally->error, tally->bound,
               verify_share(tally->error, tally->bound), tally->broken == 0 ? "" : " BROKEN");
    }
    if (units) {
        printf("  %7.3f", tally->units);
    }
    printf("\n");
    fflush(stdout);
}

/* Says on standard error what failed first. Returns whether all was well. */
static bool report(const q8k_context *context, q8k_format format, const char *precision, const verify_tally *tally) {
    if (tally->first[0] != '\0') {
        command_say("%s, %s, %s: %zu of %zu values with other bits, %zu promises broken; first: %s",
                    q8k_context_backend(context), q8k_format_name(format), precision, tally->different, tally->values,
                    tally->broken, tally->first);
    }
    return tally->first[0] == '\0';
}

static bool verify_format_decode(const verify_backends *all, q8k_format format, const verify_case cases[VERIFY_KINDS]) {
    bool good = true;
    for (size_t i = 0; i < all->count; i++) {
        verify_tally tally = {.values = 0};
        for (int kind = 0; kind < VERIFY_KINDS; kind++) {
            if (!verify_decode(all->contexts[i], &cases[kind], &tally)) {
                command_say("no memory");
                return false;
            }
        }
        print_tally(all->contexts[i], format, "decode", false, false, &tally);
        good = report(all->contexts[i], format, "decode", &tally) && good;
    }
    return good;
}

static bool verify_precision(const verify_backends *all, q8k_format format, q8k_precision precision,
                             verify_case cases[VERIFY_KINDS]) {
    bool good = true;
    const char *name = q8k_precision_name(precision);
    for (int kind = 0; kind < VERIFY_KINDS; kind++) {
        verify_case_expect(&cases[kind], precision);
    }
    for (size_t i = 0; i < all->count; i++) {
        verify_tally tally = {.values = 0};
        for (int kind = 0; kind < VERIFY_KINDS; kind++) {
            if (!verify_products(all->contexts[i], &cases[kind], &tally)) {
                command_say("no memory");
                return false;
            }
        }
        print_tally(all->contexts[i], format, name, true, precision == Q8K_PRECISION_FLOAT, &tally);
        good = report(all->contexts[i], format, name, &tally) && good;
    }
    return good;
}

static bool verify_format(const verify_backends *all, q8k_format format, uint64_t seed) {
    verify_case cases[VERIFY_KINDS];
    bool made = true;
    for (int kind = 0; kind < VERIFY_KINDS; kind++) {
        made = verify_case_make(&cases[kind], (verify_kind)kind, format, seed) && made;
    }
    bool good = made;
    if (made) {
        good = verify_format_decode(all, format, cases);
        for (q8k_precision precision = 0; q8k_precision_name(precision) != NULL; precision++) {
            good = verify_precision(all, format, precision, cases) && good;
        }
    } else {
        command_say("no memory");
    }
    for (int kind = 0; kind < VERIFY_KINDS; kind++) {
        verify_case_free(&cases[kind]);
    }
    return good;
}

static bool verify_all(const verify_backends *all, uint64_t seed) {
    bool good = true;
    printf("libq8k %s, seed %llu\n\n", q8k_version(), (unsigned long long)seed);
    printf("%-12s  %-6s  %-9s  %8s  %-9s  %9s  %9s  %6s  %7s\n", "backend", "format", "precision", "values", "bits",
           "error", "promised", "share", "u G");
    for (size_t i = 0; i < q8k_format_count(); i++) {
        good = verify_format(all, q8k_format_at(i), seed) && good;
    }
    printf("\nbits      against the definition of the arithmetic in plain C: batch 1 to 17, 1 to 64 parts\n"
           "error     of the output nearest to its bound, against the exact product; promised: that bound;\n"
           "          share: one by the other, at most 1\n"
           "u G       largest error of an ordinary random product in FLOAT, in units of 2^-24 G; at most %g\n"
           "%s\n",
           VERIFY_UNITS, good ? "All promises are kept." : "PROMISES ARE BROKEN: see the messages.");
    return good;
}

static int run(const command_arguments *arguments) {
    if (arguments->files[0] == NULL && arguments->tensors.count > 0) {
        command_say("--tensor is given without FILE.gguf");
        return EXIT_USAGE;
    }
    verify_backends all = {0, NULL};
    q8k_context *context;
    /* A backend that is asked for by name and cannot be had is an error, by the environment too. */
    if (!command_context(arguments->backend, &context)) {
        return EXIT_FAILURE;
    }
    q8k_context_destroy(context);
    bool good = arguments->backend != NULL ? add_backend(&all, arguments->backend) : find_backends(&all);
    const char *path = arguments->files[0];
    good = good && (path != NULL ? verify_file(&all, arguments) : verify_all(&all, arguments->seed));
    free_backends(&all);
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}

const command command_verify = {
    .name = "verify",
    .files = "[FILE.gguf]",
    .summary = "Hold every backend of this machine to what the library promises",
    .help =
        "Without a file, made-up weights are multiplied; of a file, every tensor that libq8k multiplies and --tensor\n"
        "does not leave out, by random activations. Without --backend, every backend that this machine can run\n"
        "is tested, in every format and precision: its bits against the definition of the arithmetic, its error\n"
        "against the exact product. Exit status 1 if a promise is broken; the first case of each is told on\n"
        "standard error.\n",
    .options = OPTION_ONE_BACKEND | OPTION_SEED | OPTION_TENSORS,
    .run = run,
};
