/* SPDX-License-Identifier: MIT */
/* Weights as files store them, to float32. Types are GGUF's; a format of libq8k comes before the type, since Q8_K has
 * no type of its own. */
#ifndef Q8K_TOOLS_DECODE_H
#define Q8K_TOOLS_DECODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <q8k/q8k.h>

/* A number of IEEE 754 or bfloat16, little-endian. */
float decode_half(const uint8_t *bytes);
float decode_bfloat(const uint8_t *bytes);
float decode_single(const uint8_t *bytes);
double decode_double(const uint8_t *bytes);

/* The other way: float32 as a file has it. */
void decode_put_single(uint8_t *bytes, float value);

/* Whether weights of a type, or of a format that is not 0, can be decoded. */
bool decode_knows(uint32_t type, q8k_format format);

/* Decodes `count` weights, which are whole blocks. Returns false for a float64 that is finite and beyond float32, with
 * its index in *wrong, and on a failure of the library, with `count` there. */
bool decode_weights(uint32_t type, q8k_format format, const uint8_t *bytes, size_t count, float *to, size_t *wrong);

#endif
