/* SPDX-License-Identifier: MIT */
#include "command.h"

#include <stdlib.h>

static bool decode(q8k_format format, const npy_array *blocks, npy_array *floats) {
    q8k_dequantize_args args = {
        .size = sizeof args,
        .format = format,
        .rows = blocks->rows,
        .cols = floats->cols,
        .weights = blocks->data,
        .weights_bytes = blocks->rows * blocks->cols,
        .output = floats->data,
    };
    if (q8k_dequantize(NULL, &args) != Q8K_OK) {
        command_say("%s", q8k_last_error());
        return false;
    }
    return true;
}

static int run(const command_arguments *arguments) {
    npy_array blocks, floats;
    size_t cols;
    int status = EXIT_FAILURE;
    if (!command_read_blocks(arguments->files[0], arguments->format, &blocks, &cols)) {
        return status;
    }
    if (command_make_array(&floats, NPY_FLOAT32, blocks.rows, cols)) {
        if (decode(arguments->format, &blocks, &floats)) {
            status = command_write(arguments->files[1], &floats);
        }
        npy_free(&floats);
    }
    npy_free(&blocks);
    return status;
}

const command command_dequantize = {
    .name = "dequantize",
    .files = "IN.npy OUT.npy",
    .summary = "Turn blocks back into rows of float32 weights",
    .help = "IN.npy holds uint8, rows x bytes of a row. OUT.npy becomes float32, rows x columns.\n",
    .options = OPTION_FORMAT,
    .run = run,
};
