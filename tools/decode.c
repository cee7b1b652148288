/* SPDX-License-Identifier: MIT */
#include "decode.h"

#include <math.h>
#include <string.h>

#include "gguf.h"
#include "input.h"

enum { Q8_0_COLUMNS = 32, Q8_0_BYTES = 34 };

static float from_bits(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

float decode_half(const uint8_t *bytes) {
    uint32_t half = (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8;
    uint32_t sign = (half & 0x8000U) << 16, exponent = half >> 10 & 31, fraction = half & 1023;
    if (exponent == 0) {
        float value = (float)fraction * 0x1p-24F;
        return sign != 0 ? -value : value;
    }
    return from_bits(sign | (exponent == 31 ? 0x7f800000U : (exponent + 112) << 23) | fraction << 13);
}

float decode_bfloat(const uint8_t *bytes) {
    return from_bits((uint32_t)bytes[0] << 16 | (uint32_t)bytes[1] << 24);
}

float decode_single(const uint8_t *bytes) {
    return from_bits((uint32_t)input_number(bytes, 4));
}

double decode_double(const uint8_t *bytes) {
    uint64_t bits = input_number(bytes, 8);
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

void decode_put_single(uint8_t *bytes, float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    for (unsigned i = 0; i < sizeof bits; i++) {
        bytes[i] = (uint8_t)(bits >> (8 * i));
    }
}

bool decode_knows(uint32_t type, q8k_format format) {
    return format != 0 || type == GGUF_TYPE_F32 || type == GGUF_TYPE_F16 || type == GGUF_TYPE_BF16 ||
           type == GGUF_TYPE_F64 || type == GGUF_TYPE_Q8_0;
}

static bool decode_doubles(const uint8_t *bytes, size_t count, float *to, size_t *wrong) {
    for (size_t i = 0; i < count; i++) {
        double value = decode_double(bytes + 8 * i);
        to[i] = (float)value;
        if (isinf(to[i]) && !isinf(value)) {
            *wrong = i;
            return false;
        }
    }
    return true;
}

/* A factor and 32 quants: the product of 11 bits and 8 is exact. Rows may be of any number of such blocks, which is why
 * this is not left to the library. */
static void decode_q8_0(const uint8_t *bytes, size_t count, float *to) {
    for (size_t i = 0; i < count; i += Q8_0_COLUMNS, bytes += Q8_0_BYTES) {
        float d = decode_half(bytes);
        for (size_t k = 0; k < Q8_0_COLUMNS; k++) {
            to[i + k] = d * (float)(int8_t)bytes[2 + k];
        }
    }
}

static bool decode_format(q8k_format format, const uint8_t *bytes, size_t count, float *to) {
    size_t columns = q8k_format_block_columns(format);
    q8k_dequantize_args args = {
        .size = sizeof args,
        .format = format,
        .rows = count / columns,
        .cols = columns,
        .weights = bytes,
        .weights_bytes = count / columns * q8k_format_block_bytes(format),
        .output = to,
    };
    return q8k_dequantize(NULL, &args) == Q8K_OK;
}

bool decode_weights(uint32_t type, q8k_format format, const uint8_t *bytes, size_t count, float *to, size_t *wrong) {
    *wrong = count;
    if (type == GGUF_TYPE_Q8_0) {
        decode_q8_0(bytes, count, to);
        return true;
    }
    if (format != 0) {
        return decode_format(format, bytes, count, to);
    }
    switch (type) {
    case GGUF_TYPE_F32:
        for (size_t i = 0; i < count; i++) {
            to[i] = decode_single(bytes + 4 * i);
        }
        return true;
    case GGUF_TYPE_F16:
        for (size_t i = 0; i < count; i++) {
            to[i] = decode_half(bytes + 2 * i);
        }
        return true;
    case GGUF_TYPE_BF16:
        for (size_t i = 0; i < count; i++) {
            to[i] = decode_bfloat(bytes + 2 * i);
        }
        return true;
    case GGUF_TYPE_F64:
        return decode_doubles(bytes, count, to, wrong);
    default:
        return false;
    }
}
