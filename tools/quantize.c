/* SPDX-License-Identifier: MIT */
#include "convert.h"

static int run(const command_arguments *arguments) {
    return convert_run(arguments, arguments->format);
}

const command command_quantize = {
    .name = "quantize",
    .files = "IN.gguf|IN.npy OUT.gguf|OUT.npy",
    .summary = "Quantize the weights of a GGUF or .npy file",
    .help = "Of a GGUF file, matrices of f32, f16, bf16, f64 and q8_0 are quantized. What cannot be (one-dimensional,\n"
            "columns no multiple of 256), what is quantized already and what --tensor and --keep leave out is\n"
            "copied as it is, and so are all metadata but what they say of the types. GLOB is a pattern as the\n"
            "shell has them for files, and must match a tensor; several may be given.\n"
            "A .npy file holds one matrix of float16, float32 or float64, rows x columns, and is quantized as a\n"
            "whole. To OUT.npy goes one tensor, as uint8, rows x bytes of a row.\n"
            "GGUF has no type for q8_k: it is stored as i8, and the metadata say what it is.\n",
    .options = OPTION_FORMAT | OPTION_TENSORS | OPTION_KEEP | OPTION_THREADS | OPTION_QUIET,
    .run = run,
};
