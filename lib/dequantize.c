/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "lib/arguments.h"
#include "lib/context.h"

q8k_status q8k_dequantize(const q8k_context *context, const q8k_dequantize_args *given) {
    q8k_dequantize_args args = {0};
    const q8k_format_info *info;
    q8k_range weights, output;
    q8k_status status;
    if ((status = q8k_check_struct("args", given, Q8K_FIRST_SIZE(q8k_dequantize_args, output_stride), &args,
                                   sizeof args)) != Q8K_OK ||
        (status = q8k_check_format(args.format, &info)) != Q8K_OK)
        return status;
    q8k_blocks_args blocks = {.info = info,
                              .rows_name = "rows",
                              .columns_name = "cols",
                              .rows = args.rows,
                              .columns = args.cols,
                              .weights = args.weights,
                              .bytes = args.weights_bytes,
                              .stride = args.weights_stride};
    q8k_floats_args floats = {.name = "output",
                              .rows_name = "rows",
                              .columns_name = "cols",
                              .stride_name = "output_stride",
                              .rows = args.rows,
                              .columns = args.cols,
                              .floats = args.output,
                              .stride = args.output_stride};
    if ((status = q8k_check_blocks(&blocks, &args.weights_stride, &weights)) != Q8K_OK ||
        (status = q8k_check_floats(&floats, &args.output_stride, &output)) != Q8K_OK ||
        (status = q8k_check_overlap(&output, &weights)) != Q8K_OK)
        return status;
    const q8k_loaded *backend = q8k_context_loaded(context, &status);
    if (backend == NULL || args.cols == 0)
        return status;
    for (size_t r = 0; r < args.rows; r++)
        backend->kernels[info - q8k_formats]->decode(args.cols / BLOCK,
                                                     (const char *)args.weights + r * args.weights_stride,
                                                     args.output + r * args.output_stride);
    return Q8K_OK;
}
