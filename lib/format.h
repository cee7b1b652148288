/* SPDX-License-Identifier: MIT */
#ifndef Q8K_LIB_FORMAT_H
#define Q8K_LIB_FORMAT_H

#include <q8k/q8k.h>

#include "backends/formats/formats.h"

/* What the core knows of a format. */
typedef struct q8k_format_info {
    const char *name;
    q8k_format format;
    size_t block_bytes;
    int32_t gguf_type;
    /* Offsets of the fp16 fields in a block; -1: none. Each of so many equal parts of the block has a d. */
    int d, dmin;
    size_t parts;
    void (*quantize_row)(size_t blocks, const float *input, uint8_t *weights);
    /* The largest magnitude that quantize_row takes. */
    float quantize_limit;
} q8k_format_info;

extern const q8k_format_info q8k_formats[Q8K_FORMAT_COUNT];

/* NULL if the format is unknown. Entries and kernels of a format share their index: info - q8k_formats. */
const q8k_format_info *q8k_format_find(q8k_format format);

/* For messages. What of each format: its name; its number and name; its GGUF type, where it has one. */
typedef enum q8k_list_kind { Q8K_LIST_NAMES, Q8K_LIST_NUMBERS, Q8K_LIST_TYPES } q8k_list_kind;

typedef struct q8k_format_list {
    char text[160];
} q8k_format_list;

/* All formats in the order of their values, separated by commas. */
q8k_format_list q8k_list_formats(q8k_list_kind kind);

#endif
