/* SPDX-License-Identifier: MIT */
#include "weights.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "decode.h"
#include "escape.h"
#include "input.h"

enum { MAGIC_BYTES = 6, LARGEST_BLOCK = 256 };

/* ---- .npy ---- */

static uint32_t type_of(npy_type type) {
    static const uint32_t types[] = {
        [NPY_UINT8] = GGUF_TYPE_I8,
        [NPY_FLOAT16] = GGUF_TYPE_F16,
        [NPY_FLOAT32] = GGUF_TYPE_F32,
        [NPY_FLOAT64] = GGUF_TYPE_F64,
    };
    return types[type];
}

/* A file's name without folder and extension. */
static gguf_text name_of(const char *path) {
    const char *slash = strrchr(path, '/'), *name = slash != NULL ? slash + 1 : path;
    return (gguf_text){name, strlen(name) - (input_ends_as(name, ".npy") ? strlen(".npy") : 0)};
}

/* What GGUF does not have, no rows or no columns, is no obstacle here. */
static bool describe(weights_file *file, const npy_header *header, char error[WEIGHTS_ERROR_BYTES]) {
    uint32_t type = file->array.data != NULL && header->type != NPY_UINT8 ? GGUF_TYPE_F32 : type_of(header->type);
    file->tensor = (gguf_tensor){
        .name = name_of(file->path),
        .dimensions = 2,
        .dimension = {file->array.cols, file->array.rows, 1, 1},
        .rows = file->array.rows,
        .cols = file->array.cols,
        .offset = header->data_offset,
    };
    return gguf_set_type(&file->tensor, type) ||
           input_refuse(file->path, "shape = more bytes than can be counted", error);
}

static bool open_npy(weights_file *file, char error[WEIGHTS_ERROR_BYTES]) {
    npy_header header;
    file->is_npy = true;
    file->file = npy_open(file->path, &header, error);
    if (file->file < 0) {
        return false;
    }
    /* An array that lies the other way round is turned in memory; one row or column lies in any way. */
    bool good = npy_shape(&header, file->path, &file->array, error);
    if (good && header.fortran_order && file->array.rows > 1 && file->array.cols > 1) {
        good = npy_read(file->path, &file->array, error);
    }
    if (good && !describe(file, &header, error)) {
        npy_free(&file->array);
        good = false;
    }
    if (!good) {
        close(file->file);
    }
    return good;
}

bool weights_take_blocks(weights_file *file, q8k_format format, char error[WEIGHTS_ERROR_BYTES]) {
    char text[160];
    gguf_tensor *tensor = &file->tensor;
    size_t block_bytes = q8k_format_block_bytes(format), block_columns = q8k_format_block_columns(format);
    if (tensor->type != GGUF_TYPE_I8) {
        snprintf(text, sizeof text, "descr = a float type (limit '%s': %s blocks are bytes)", npy_descr(NPY_UINT8),
                 q8k_format_name(format));
        return input_refuse(file->path, text, error);
    }
    if (tensor->cols % block_bytes != 0) {
        snprintf(text, sizeof text, "row bytes = %" PRIu64 " (limit a multiple of %zu, the bytes of a %s block)",
                 tensor->cols, block_bytes, q8k_format_name(format));
        return input_refuse(file->path, text, error);
    }
    gguf_tensor blocks = *tensor;
    blocks.cols = tensor->cols / block_bytes * block_columns;
    if (!gguf_set_format(&blocks, format)) {
        snprintf(text, sizeof text, "row bytes = %" PRIu64 " (limit fewer)", tensor->cols);
        return input_refuse(file->path, text, error);
    }
    *tensor = blocks;
    return true;
}

/* ---- either ---- */

bool weights_is_npy(const char *path, bool *is_npy, char error[WEIGHTS_ERROR_BYTES]) {
    char start[MAGIC_BYTES], shown[4 * MAGIC_BYTES + 1], text[160];
    uint64_t length;
    int file = input_open(path, &length, error);
    if (file < 0) {
        return false;
    }
    size_t count = length < sizeof start ? (size_t)length : sizeof start;
    bool good = input_read(file, path, start, count, 0, error);
    close(file);
    if (!good) {
        return false;
    }
    bool is_gguf = count >= 4 && memcmp(start, "GGUF", 4) == 0;
    *is_npy = count == sizeof start && memcmp(start, "\x93NUMPY", sizeof start) == 0;
    if (is_gguf || *is_npy) {
        return true;
    }
    /* A file that is neither is measured by what its name promises. */
    *is_npy = input_ends_as(path, ".npy");
    if (*is_npy || input_ends_as(path, ".gguf")) {
        return true;
    }
    snprintf(text, sizeof text, "magic = '%s' at byte 0 (limit 'GGUF' or '\\x93NUMPY')",
             escape_text(shown, sizeof shown, start, count));
    return input_refuse(path, text, error);
}

bool weights_open(weights_file *file, const char *path, char error[WEIGHTS_ERROR_BYTES]) {
    weights_file opened = {.path = path};
    bool is_npy;
    if (!weights_is_npy(path, &is_npy, error)) {
        return false;
    }
    if (is_npy ? !open_npy(&opened, error) : !gguf_open(&opened.gguf, path, false, error)) {
        return false;
    }
    *file = opened;
    return true;
}

void weights_close(weights_file *file) {
    if (file->is_npy) {
        npy_free(&file->array);
        close(file->file);
    } else {
        gguf_close(&file->gguf);
    }
}

size_t weights_count(const weights_file *file) {
    return file->is_npy ? 1 : file->gguf.header.tensor_count;
}

gguf_tensor weights_at(const weights_file *file, size_t index) {
    return file->is_npy ? file->tensor : gguf_tensor_at(&file->gguf.header, index);
}

bool weights_find(const weights_file *file, gguf_text name, gguf_tensor *tensor) {
    if (!file->is_npy) {
        return gguf_find_tensor(&file->gguf.header, name, tensor);
    }
    *tensor = file->tensor;
    return name.length == tensor->name.length && memcmp(name.bytes, tensor->name.bytes, name.length) == 0;
}

bool weights_known(const gguf_tensor *tensor) {
    return decode_knows(tensor->type, tensor->format);
}

const char *weights_kind(const gguf_tensor *tensor) {
    const char *format = q8k_format_name(tensor->format);
    const gguf_type *type = gguf_type_get(tensor->type);
    return format != NULL ? format : type != NULL ? type->name : "unknown";
}

const char *weights_name(const gguf_tensor *tensor, char buffer[WEIGHTS_NAME_BYTES]) {
    return escape_text(buffer, WEIGHTS_NAME_BYTES, tensor->name.bytes, tensor->name.length);
}

bool weights_bytes(const weights_file *file, const gguf_tensor *tensor, uint64_t first, size_t count, void *to,
                   char error[WEIGHTS_ERROR_BYTES]) {
    if (!file->is_npy) {
        return gguf_read(&file->gguf, tensor->offset + first, count, to, error);
    }
    if (file->array.data == NULL) {
        return input_read(file->file, file->path, to, count, tensor->offset + first, error);
    }
    memcpy(to, (const uint8_t *)file->array.data + first, count);
    return true;
}

static bool refuse_value(const weights_file *file, const gguf_tensor *tensor, uint64_t index, const uint8_t *bytes,
                         char error[WEIGHTS_ERROR_BYTES]) {
    char text[WEIGHTS_NAME_BYTES + 160], name[WEIGHTS_NAME_BYTES];
    snprintf(text, sizeof text, "%s[%" PRIu64 "] = %g at byte %" PRIu64 " (limit 3.4028235e+38 in float32)",
             file->is_npy ? "data" : weights_name(tensor, name), index, decode_double(bytes),
             tensor->offset + index * sizeof(double));
    return input_refuse(file->path, text, error);
}

bool weights_read(const weights_file *file, const gguf_tensor *tensor, uint64_t first, size_t count,
                  weights_scratch *scratch, char error[WEIGHTS_ERROR_BYTES]) {
    float *to = scratch->floats;
    /* A tensor that is in memory has been decoded, if it has not got blocks. */
    if (file->is_npy && file->array.data != NULL && tensor->format == 0) {
        memcpy(to, (const float *)file->array.data + first, count * sizeof *to);
        return true;
    }
    bool own = tensor->format == Q8K_FORMAT_Q8_K;
    const gguf_type *type = gguf_type_get(tensor->type);
    size_t columns = own ? q8k_format_block_columns(tensor->format) : type->block_columns;
    size_t bytes = own ? q8k_format_block_bytes(tensor->format) : type->block_bytes, wrong;
    if (!weights_bytes(file, tensor, first / columns * bytes, count / columns * bytes, scratch->bytes, error)) {
        return false;
    }
    if (decode_weights(tensor->type, tensor->format, scratch->bytes, count, to, &wrong)) {
        return true;
    }
    return wrong < count ? refuse_value(file, tensor, first + wrong, scratch->bytes + sizeof(double) * wrong, error)
                         : input_refuse(file->path, q8k_last_error(), error);
}

/* Whether one value by itself can be quantized; else the library's last error is about it. */
static bool holds(q8k_format format, float value, float *block, uint8_t *blocks) {
    q8k_quantize_args args = {
        .size = sizeof args,
        .format = format,
        .rows = 1,
        .cols = q8k_format_block_columns(format),
        .input = block,
        .weights = blocks,
        .weights_bytes = q8k_format_block_bytes(format),
    };
    memset(block, 0, args.cols * sizeof *block);
    block[0] = value;
    return q8k_quantize(&args) == Q8K_OK;
}

/* The library counts rows and columns from the piece's beginning: the value is looked for, and what the library has to say
 * behind its place is said of the real one. The buffer holds blocks of more than one block. */
static bool refuse_weight(const weights_file *file, const gguf_tensor *tensor, q8k_format format, uint64_t first,
                          size_t count, uint8_t *blocks, const float *floats, char error[WEIGHTS_ERROR_BYTES]) {
    char name[WEIGHTS_NAME_BYTES], text[WEIGHTS_NAME_BYTES + 320];
    float block[LARGEST_BLOCK];
    snprintf(text, sizeof text, "%.300s", q8k_last_error());
    for (size_t i = 0; q8k_format_block_columns(format) <= LARGEST_BLOCK && i < count; i++) {
        if (!holds(format, floats[i], block, blocks)) {
            const char *limit = strstr(q8k_last_error(), ": ");
            snprintf(text, sizeof text, "%s = %.9g at row %" PRIu64 ", column %" PRIu64 "%.200s",
                     file->is_npy ? "data" : weights_name(tensor, name), (double)floats[i], (first + i) / tensor->cols,
                     (first + i) % tensor->cols, limit != NULL ? limit : "");
            break;
        }
    }
    return input_refuse(file->path, text, error);
}

bool weights_quantize(const weights_file *file, const gguf_tensor *tensor, q8k_format format, uint64_t first,
                      size_t count, uint8_t *to, weights_scratch *scratch, char error[WEIGHTS_ERROR_BYTES]) {
    size_t columns = q8k_format_block_columns(format);
    if (!weights_read(file, tensor, first, count, scratch, error)) {
        return false;
    }
    q8k_quantize_args args = {
        .size = sizeof args,
        .format = format,
        .rows = count / columns,
        .cols = columns,
        .input = scratch->floats,
        .weights = to,
        .weights_bytes = q8k_row_bytes(format, count),
    };
    return q8k_quantize(&args) == Q8K_OK ||
           refuse_weight(file, tensor, format, first, count, to, scratch->floats, error);
}
