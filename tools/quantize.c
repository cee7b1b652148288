/* SPDX-License-Identifier: MIT */
#include "command.h"

#include <stdlib.h>

static int run(const command_arguments *arguments) {
    npy_array floats, blocks;
    if (!command_read_floats(arguments->files[0], &floats)) {
        return EXIT_FAILURE;
    }
    bool good = command_quantize_array(arguments->files[0], arguments->format, &floats, &blocks);
    npy_free(&floats);
    if (!good) {
        return EXIT_FAILURE;
    }
    int status = command_write(arguments->files[1], &blocks);
    npy_free(&blocks);
    return status;
}

const command command_quantize = {
    .name = "quantize",
    .files = "IN.npy OUT.npy",
    .summary = "Turn rows of float weights into blocks",
    .help = "IN.npy holds float16, float32 or float64, rows x columns, with columns a multiple of 256.\n"
            "OUT.npy becomes uint8, rows x bytes of a row.\n",
    .options = OPTION_FORMAT,
    .run = run,
};
