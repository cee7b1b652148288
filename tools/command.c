/* SPDX-License-Identifier: MIT */
/* Matrices in and out of the subcommands, and what else they share. */
#include "command.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#ifdef _OPENMP
#include <omp.h>
#endif

#include "escape.h"

enum { SHOWN_PATH_BYTES = 512 };

bool command_threads(const command_arguments *arguments, int *threads) {
#ifdef _OPENMP
    int usual = omp_get_max_threads();
    *threads = arguments->threads > 0        ? (int)arguments->threads
               : usual > COMMAND_MAX_THREADS ? COMMAND_MAX_THREADS
                                             : usual;
#else
    if (arguments->threads > 1) {
        command_say("--threads = %zu (limit 1: this q8k was built without OpenMP)", arguments->threads);
        return false;
    }
    *threads = 1;
#endif
    return true;
}

bool command_context(const char *backend, q8k_context **context) {
    static const char field[] = "options.backend";
    q8k_context_options options = {.size = sizeof options, .backend = backend};
    if (q8k_context_create(context, &options) == Q8K_OK) {
        return true;
    }
    /* Who reads it knows the field by the name of the option that filled it. */
    const char *error = q8k_last_error();
    bool named = strncmp(error, field, strlen(field)) == 0;
    command_say("%s%s", named ? "--backend" : "", named ? error + strlen(field) : error);
    return false;
}

bool command_keeps(const char *input, const char *output) {
    char shown[SHOWN_PATH_BYTES];
    struct stat from, to;
    if (stat(input, &from) == 0 && stat(output, &to) == 0 && from.st_dev == to.st_dev && from.st_ino == to.st_ino) {
        command_say("%s: the output is the input (limit another file)", escape_path(shown, sizeof shown, output));
        return false;
    }
    return true;
}

bool command_read_floats(const char *path, npy_array *array) {
    char error[NPY_ERROR_BYTES], shown[SHOWN_PATH_BYTES];
    if (!npy_read(path, array, error)) {
        command_say("%s", error);
        return false;
    }
    if (array->type != NPY_FLOAT32) {
        command_say("%s: descr = '%s' (limit '<f2', '<f4', '<f8': numbers are wanted here, not blocks)",
                    escape_path(shown, sizeof shown, path), npy_descr(array->type));
        npy_free(array);
        return false;
    }
    return true;
}

bool command_make_array(npy_array *array, npy_type type, size_t rows, size_t cols) {
    *array = (npy_array){.type = type, .rows = rows, .cols = cols};
    if (rows == 0 || cols == 0) {
        return true;
    }
    if (cols <= PTRDIFF_MAX / npy_type_bytes(type) / rows) {
        array->data = malloc(rows * cols * npy_type_bytes(type));
    }
    if (array->data == NULL) {
        command_say("no memory for a result of %zu rows and %zu columns", rows, cols);
    }
    return array->data != NULL;
}

int command_write(const char *path, const npy_array *array) {
    char error[NPY_ERROR_BYTES];
    return npy_write(path, array, error) ? EXIT_SUCCESS : command_fail("%s", error);
}
