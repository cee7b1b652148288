/* SPDX-License-Identifier: MIT */
/* Matrices in and out of the subcommands, and what else they share. */
#include "command.h"

#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef _OPENMP
#include <omp.h>
#endif

#include "escape.h"

enum { SHOWN_PATH_BYTES = 512, NAME_BYTES = 512 };

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

bool command_matches(const char *pattern, const char *name, size_t length) {
    char text[NAME_BYTES];
    if (length >= sizeof text) {
        return false;
    }
    memcpy(text, name, length);
    text[length] = '\0';
    return fnmatch(pattern, text, 0) == 0;
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

bool command_check_blocks(const char *path, q8k_format format, const npy_array *array, size_t *cols) {
    char shown[SHOWN_PATH_BYTES];
    const char *name = escape_path(shown, sizeof shown, path);
    size_t block_bytes = q8k_format_block_bytes(format), block_columns = q8k_format_block_columns(format);
    if (array->type != NPY_UINT8) {
        command_say("%s: descr = a float type (limit '%s': %s blocks are bytes)", name, npy_descr(NPY_UINT8),
                    q8k_format_name(format));
        return false;
    }
    if (array->cols % block_bytes != 0) {
        command_say("%s: row bytes = %zu (limit a multiple of %zu, the bytes of a %s block)", name, array->cols,
                    block_bytes, q8k_format_name(format));
        return false;
    }
    if (array->cols / block_bytes > SIZE_MAX / block_columns) {
        command_say("%s: row bytes = %zu (limit %zu)", name, array->cols, SIZE_MAX / block_columns * block_bytes);
        return false;
    }
    *cols = array->cols / block_bytes * block_columns;
    return true;
}

bool command_read_blocks(const char *path, q8k_format format, npy_array *array, size_t *cols) {
    char error[NPY_ERROR_BYTES];
    if (!npy_read(path, array, error)) {
        command_say("%s", error);
        return false;
    }
    if (!command_check_blocks(path, format, array, cols)) {
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

bool command_quantize_array(const char *path, q8k_format format, const npy_array *floats, npy_array *blocks) {
    char shown[SHOWN_PATH_BYTES];
    const char *name = escape_path(shown, sizeof shown, path);
    size_t multiple = q8k_format_block_columns(format);
    if (floats->cols % multiple != 0) {
        command_say("%s: columns = %zu (limit a multiple of %zu)", name, floats->cols, multiple);
        return false;
    }
    if (!command_make_array(blocks, NPY_UINT8, floats->rows, q8k_row_bytes(format, floats->cols))) {
        return false;
    }
    q8k_quantize_args args = {
        .size = sizeof args,
        .format = format,
        .rows = floats->rows,
        .cols = floats->cols,
        .input = floats->data,
        .weights = blocks->data,
        .weights_bytes = blocks->rows * blocks->cols,
    };
    if (q8k_quantize(&args) != Q8K_OK) {
        command_say("%s: %s", name, q8k_last_error());
        npy_free(blocks);
        return false;
    }
    return true;
}

int command_write(const char *path, const npy_array *array) {
    char error[NPY_ERROR_BYTES];
    return npy_write(path, array, error) ? EXIT_SUCCESS : command_fail("%s", error);
}
