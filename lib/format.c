/* SPDX-License-Identifier: MIT */
#include "lib/format.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "lib/error.h"
#include "lib/quantizers.h"

#define FORMAT_INFO(name_, NAME)                                                                                       \
    {                                                                                                                  \
        .name = #name_,                                                                                                \
        .format = Q8K_FORMAT_##NAME,                                                                                   \
        .block_bytes = NAME##_BLOCK_BYTES,                                                                             \
        .gguf_type = NAME##_GGUF_TYPE,                                                                                 \
        .d = NAME##_D,                                                                                                 \
        .dmin = NAME##_DMIN,                                                                                           \
        .parts = NAME##_PARTS,                                                                                         \
        .quantize_row = q8k_quantize_row_##name_,                                                                      \
        .quantize_limit = Q8K_QUANTIZE_LIMIT_##NAME,                                                                   \
    },

const q8k_format_info q8k_formats[Q8K_FORMAT_COUNT] = {Q8K_EACH_FORMAT(FORMAT_INFO)};

static const char *const precisions[] = {
    [Q8K_PRECISION_FLOAT] = "float",
    [Q8K_PRECISION_HALF] = "half",
    [Q8K_PRECISION_BYTE] = "byte",
};

enum { PRECISION_COUNT = sizeof precisions / sizeof *precisions, GGML_BLOCK_Q8_K = 15 };

const q8k_format_info *q8k_format_find(q8k_format format) {
    for (size_t i = 0; i < Q8K_FORMAT_COUNT; i++)
        if (q8k_formats[i].format == format)
            return &q8k_formats[i];
    return NULL;
}

q8k_format_list q8k_list_formats(q8k_list_kind kind) {
    q8k_format_list list = {""};
    size_t used = 0;
    for (const q8k_format_info *f = q8k_formats; f < q8k_formats + Q8K_FORMAT_COUNT && used < sizeof list.text; f++) {
        const char *separator = used > 0 ? ", " : "";
        char *to = list.text + used;
        const size_t left = sizeof list.text - used;
        if (kind == Q8K_LIST_NAMES)
            used += (size_t)snprintf(to, left, "%s%s", separator, f->name);
        else if (kind == Q8K_LIST_NUMBERS)
            used += (size_t)snprintf(to, left, "%s%u (%s)", separator, (unsigned)f->format, f->name);
        else if (f->gguf_type >= 0)
            used += (size_t)snprintf(to, left, "%s%d", separator, (int)f->gguf_type);
    }
    return list;
}

size_t q8k_format_count(void) {
    return Q8K_FORMAT_COUNT;
}

q8k_format q8k_format_at(size_t index) {
    return index < Q8K_FORMAT_COUNT ? q8k_formats[index].format : 0;
}

const char *q8k_format_name(q8k_format format) {
    const q8k_format_info *info = q8k_format_find(format);
    return info != NULL ? info->name : NULL;
}

q8k_status q8k_format_from_name(const char *name, q8k_format *format) {
    if (name == NULL || format == NULL)
        return q8k_fail(Q8K_ERROR_NULL, "%s = NULL: must be a pointer", name == NULL ? "name" : "format");
    for (size_t i = 0; i < Q8K_FORMAT_COUNT; i++)
        if (strcasecmp(name, q8k_formats[i].name) == 0) {
            *format = q8k_formats[i].format;
            return Q8K_OK;
        }
    return q8k_fail(Q8K_ERROR_NAME, "name = \"%.64s\": no weight format is called so; known are %s", name,
                    q8k_list_formats(Q8K_LIST_NAMES).text);
}

q8k_status q8k_format_from_gguf_type(uint32_t type, q8k_format *format) {
    if (format == NULL)
        return q8k_fail(Q8K_ERROR_NULL, "format = NULL: must be a pointer");
    if (type == GGML_BLOCK_Q8_K)
        return q8k_fail(Q8K_ERROR_NAME, "type = 15: ggml's block_q8_K, which holds activations and is not libq8k's "
                                        "Q8_K, whatever its name and size");
    for (size_t i = 0; i < Q8K_FORMAT_COUNT; i++)
        if (q8k_formats[i].gguf_type >= 0 && (uint32_t)q8k_formats[i].gguf_type == type) {
            *format = q8k_formats[i].format;
            return Q8K_OK;
        }
    return q8k_fail(Q8K_ERROR_NAME, "type = %u: no weight format has this GGUF type; known are %s", (unsigned)type,
                    q8k_list_formats(Q8K_LIST_TYPES).text);
}

int32_t q8k_format_gguf_type(q8k_format format) {
    const q8k_format_info *info = q8k_format_find(format);
    return info != NULL ? info->gguf_type : -1;
}

size_t q8k_format_block_columns(q8k_format format) {
    return q8k_format_find(format) != NULL ? BLOCK : 0;
}

size_t q8k_format_block_bytes(q8k_format format) {
    const q8k_format_info *info = q8k_format_find(format);
    return info != NULL ? info->block_bytes : 0;
}

const char *q8k_precision_name(q8k_precision precision) {
    return precision < PRECISION_COUNT ? precisions[precision] : NULL;
}

q8k_status q8k_precision_from_name(const char *name, q8k_precision *precision) {
    if (name == NULL || precision == NULL)
        return q8k_fail(Q8K_ERROR_NULL, "%s = NULL: must be a pointer", name == NULL ? "name" : "precision");
    for (q8k_precision i = 0; i < PRECISION_COUNT; i++)
        if (strcmp(name, precisions[i]) == 0) {
            *precision = i;
            return Q8K_OK;
        }
    return q8k_fail(Q8K_ERROR_NAME, "name = \"%.64s\": no precision is called so; known are float, half, byte", name);
}
