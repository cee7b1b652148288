/* SPDX-License-Identifier: MIT */
/* IEEE half precision, as block fields store it: two little-endian bytes. */
#ifndef Q8K_FORMATS_HALF_H
#define Q8K_FORMATS_HALF_H

#include <stdint.h>
#include <string.h>

/* Exact for every pattern: float32 holds every half, the subnormal ones as normal numbers. */
static inline float half_load(const uint8_t *bytes) {
    uint32_t half = (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8;
    uint32_t sign = (half & 0x8000u) << 16, exponent = (half >> 10) & 31u, fraction = half & 1023u;
    uint32_t bits = sign;
    float value;
    if (exponent == 31)
        bits |= 0x7f800000u | fraction << 13;
    else if (exponent != 0)
        bits |= (exponent + 112u) << 23 | fraction << 13;
    else if (fraction != 0) {
        value = (float)fraction * 0x1p-24f;
        return sign != 0 ? -value : value;
    }
    memcpy(&value, &bits, sizeof value);
    return value;
}

#endif
