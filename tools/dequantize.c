/* SPDX-License-Identifier: MIT */
#include "convert.h"

static int run(const command_arguments *arguments) {
    return convert_run(arguments, 0);
}

const command command_dequantize = {
    .name = "dequantize",
    .files = "IN.gguf|IN.npy OUT.gguf|OUT.npy",
    .summary = "Decode weights to float32",
    .help = "Of a GGUF file, all tensors become f32 that are of f16, bf16, f64, q8_0 or a format of libq8k; the\n"
            "others, and what --tensor and --keep leave out, are copied as they are. GLOB is a pattern as the\n"
            "shell has them for files, and must match a tensor; several may be given.\n"
            "A .npy file holds blocks of the format --format: uint8, rows x bytes of a row. To OUT.npy goes one\n"
            "tensor, as float32, rows x columns.\n",
    .options = OPTION_BLOCKS_FORMAT | OPTION_TENSORS | OPTION_KEEP | OPTION_THREADS | OPTION_QUIET,
    .run = run,
};
