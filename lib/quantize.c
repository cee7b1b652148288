/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <string.h>

#include "lib/arguments.h"
#include "lib/error.h"

/* All values are looked at before the first byte is written. */
static q8k_status check_values(const q8k_quantize_args *args, const q8k_format_info *info) {
    for (size_t r = 0; r < args->rows; r++)
        for (size_t c = 0; c < args->cols; c++) {
            float value = args->input[r * args->input_stride + c];
            if (!isfinite(value))
                return q8k_fail(Q8K_ERROR_NOT_FINITE, "input = %f at row %zu, column %zu: must be finite",
                                (double)value, r, c);
            if (value > info->quantize_limit || value < -info->quantize_limit)
                return q8k_fail(Q8K_ERROR_RANGE, "input = %.9g at row %zu, column %zu: %s holds at most %.9g",
                                (double)value, r, c, info->name, (double)info->quantize_limit);
        }
    return Q8K_OK;
}

q8k_status q8k_quantize(const q8k_quantize_args *given) {
    q8k_quantize_args args = {0};
    const q8k_format_info *info;
    q8k_range weights, input;
    q8k_status status;
    if ((status = q8k_check_struct("args", given, Q8K_FIRST_SIZE(q8k_quantize_args, weights_stride), &args,
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
    q8k_floats_args floats = {.name = "input",
                              .rows_name = "rows",
                              .columns_name = "cols",
                              .stride_name = "input_stride",
                              .rows = args.rows,
                              .columns = args.cols,
                              .floats = args.input,
                              .stride = args.input_stride};
    if ((status = q8k_check_blocks(&blocks, &args.weights_stride, &weights)) != Q8K_OK ||
        (status = q8k_check_floats(&floats, &args.input_stride, &input)) != Q8K_OK ||
        (status = q8k_check_overlap(&weights, &input)) != Q8K_OK || (status = check_values(&args, info)) != Q8K_OK)
        return status;
    for (size_t r = 0; r < args.rows && args.cols != 0; r++)
        info->quantize_row(args.cols / BLOCK, args.input + r * args.input_stride,
                           (uint8_t *)args.weights + r * args.weights_stride);
    return Q8K_OK;
}
