/* SPDX-License-Identifier: MIT */
/* Types of tensors and of values: facts of the format, and what follows from them alone. */
#include <string.h>

#include "gguf.h"
#include "gguf_parse.h"

/* By their numbers in the file. What has no sizes was removed from ggml. 15 is a working format of ggml's, which a file
 * should not hold; as q8_1, it is only known to be skipped. */
static const gguf_type types[] = {
    [0] = {"f32", 1, 4},         [1] = {"f16", 1, 2},         [2] = {"q4_0", 32, 18},      [3] = {"q4_1", 32, 20},
    [4] = {"q4_2", 0, 0},        [5] = {"q4_3", 0, 0},        [6] = {"q5_0", 32, 22},      [7] = {"q5_1", 32, 24},
    [8] = {"q8_0", 32, 34},      [9] = {"q8_1", 32, 36},      [10] = {"q2_K", 256, 84},    [11] = {"q3_K", 256, 110},
    [12] = {"q4_K", 256, 144},   [13] = {"q5_K", 256, 176},   [14] = {"q6_K", 256, 210},   [15] = {"q8_K", 256, 292},
    [16] = {"iq2_xxs", 256, 66}, [17] = {"iq2_xs", 256, 74},  [18] = {"iq3_xxs", 256, 98}, [19] = {"iq1_s", 256, 50},
    [20] = {"iq4_nl", 32, 18},   [21] = {"iq3_s", 256, 110},  [22] = {"iq2_s", 256, 82},   [23] = {"iq4_xs", 256, 136},
    [24] = {"i8", 1, 1},         [25] = {"i16", 1, 2},        [26] = {"i32", 1, 4},        [27] = {"i64", 1, 8},
    [28] = {"f64", 1, 8},        [29] = {"iq1_m", 256, 56},   [30] = {"bf16", 1, 2},       [31] = {"q4_0_4_4", 0, 0},
    [32] = {"q4_0_4_8", 0, 0},   [33] = {"q4_0_8_8", 0, 0},   [34] = {"tq1_0", 256, 54},   [35] = {"tq2_0", 256, 66},
    [36] = {"iq4_nl_4_4", 0, 0}, [37] = {"iq4_nl_4_8", 0, 0}, [38] = {"iq4_nl_8_8", 0, 0}, [39] = {"mxfp4", 32, 17},
    [40] = {"nvfp4", 64, 36},    [41] = {"q1_0", 128, 18},    [42] = {"q2_0", 64, 18},
};

static const struct {
    const char *name;
    size_t bytes; /* of one; 0 where it depends */
} value_types[GGUF_VALUE_TYPES] = {
    [GGUF_UINT8] = {"uint8", 1},     [GGUF_INT8] = {"int8", 1},     [GGUF_UINT16] = {"uint16", 2},
    [GGUF_INT16] = {"int16", 2},     [GGUF_UINT32] = {"uint32", 4}, [GGUF_INT32] = {"int32", 4},
    [GGUF_FLOAT32] = {"float32", 4}, [GGUF_BOOL] = {"bool", 1},     [GGUF_STRING] = {"string", 0},
    [GGUF_ARRAY] = {"array", 0},     [GGUF_UINT64] = {"uint64", 8}, [GGUF_INT64] = {"int64", 8},
    [GGUF_FLOAT64] = {"float64", 8},
};

const gguf_type *gguf_type_get(uint32_t number) {
    return number < sizeof types / sizeof types[0] ? &types[number] : NULL;
}

const char *gguf_value_type_name(gguf_value_type type) {
    return value_types[type].name;
}

size_t gguf_value_bytes(gguf_value_type type) {
    return value_types[type].bytes;
}

bool gguf_text_is(gguf_text text, const char *string) {
    return text.length == strlen(string) && memcmp(text.bytes, string, text.length) == 0;
}

uint64_t gguf_unsigned(const gguf_value *value, uint64_t index) {
    size_t bytes = gguf_value_bytes(value->type);
    return input_number(value->bytes + index * bytes, bytes);
}

int64_t gguf_signed(const gguf_value *value, uint64_t index) {
    uint64_t number = gguf_unsigned(value, index);
    uint64_t sign = UINT64_C(1) << (8 * gguf_value_bytes(value->type) - 1);
    number = (number ^ sign) - sign;
    int64_t result;
    memcpy(&result, &number, sizeof result);
    return result;
}

double gguf_real(const gguf_value *value, uint64_t index) {
    uint64_t bits = gguf_unsigned(value, index);
    if (value->type == GGUF_FLOAT32) {
        uint32_t word = (uint32_t)bits;
        float single;
        memcpy(&single, &word, sizeof single);
        return (double)single;
    }
    double real;
    memcpy(&real, &bits, sizeof real);
    return real;
}

gguf_text gguf_next_text(const gguf_value *value, size_t *at) {
    gguf_text text = {(const char *)value->bytes + *at + 8, (size_t)input_number(value->bytes + *at, 8)};
    *at += 8 + text.length;
    return text;
}

bool gguf_set_type(gguf_tensor *tensor, uint32_t number) {
    const gguf_type *type = gguf_type_get(number);
    if (type == NULL || type->block_columns == 0 || tensor->cols % type->block_columns != 0) {
        return false;
    }
    uint64_t blocks = tensor->cols / type->block_columns;
    if (blocks > INT64_MAX / type->block_bytes / (tensor->rows > 0 ? tensor->rows : 1)) {
        return false;
    }
    tensor->type = number;
    tensor->dimension[0] = tensor->cols;
    tensor->row_bytes = blocks * type->block_bytes;
    tensor->bytes = tensor->row_bytes * tensor->rows;
    /* A type's own blocks may be shorter than those that libq8k computes with. */
    if (q8k_format_from_gguf_type(number, &tensor->format) != Q8K_OK ||
        tensor->cols % q8k_format_block_columns(tensor->format) != 0) {
        tensor->format = 0;
    }
    return true;
}

bool gguf_set_format(gguf_tensor *tensor, q8k_format format) {
    size_t columns = q8k_format_block_columns(format), bytes = q8k_format_block_bytes(format);
    if (columns == 0 || tensor->cols % columns != 0) {
        return false;
    }
    if (format != Q8K_FORMAT_Q8_K) {
        int32_t type = q8k_format_gguf_type(format);
        return type >= 0 && gguf_set_type(tensor, (uint32_t)type);
    }
    /* As bytes, of which there are as many as blocks of ggml's format of the same name would have. */
    gguf_tensor stored = *tensor;
    if (tensor->cols / columns > INT64_MAX / bytes) {
        return false;
    }
    stored.cols = tensor->cols / columns * bytes;
    if (!gguf_set_type(&stored, GGUF_TYPE_I8)) {
        return false;
    }
    stored.cols = tensor->cols;
    stored.format = format;
    *tensor = stored;
    return true;
}
