/* SPDX-License-Identifier: MIT */
/*
 * Float32 rows to blocks: for each format a search for small squared error, made of float32 and float64 additions,
 * multiplications and divisions in a fixed order, so that the bytes are the same on every CPU and compiler.
 */
#ifndef Q8K_LIB_QUANTIZERS_H
#define Q8K_LIB_QUANTIZERS_H

#include <stddef.h>
#include <stdint.h>

/*
 * The largest magnitudes that a format holds whatever else stands in the block, with fp16 factors of at most 65504;
 * all are float32 numbers.
 *
 * Q4_K, Q5_K, Q2_K: a negative value is reached through dmin * min, and min is at most 63, or 15. (A block without negative values
 * reaches further, through d * scale * q, which no caller should have to think about.)
 * Q6_K, Q3_K: a group may hold both signs, so quants of -31 to 31 or -3 to 3 have to do, times a scale of -128 or -32.
 * Q8_0: quants reach 127 upwards.
 * Q8_K: quants reach 127 upwards, times a scale of 15; the offset may be 0.
 */
#define Q8K_QUANTIZE_LIMIT_Q4_K (65504.0f * 63.0f)
#define Q8K_QUANTIZE_LIMIT_Q5_K (65504.0f * 63.0f)
#define Q8K_QUANTIZE_LIMIT_Q6_K (65504.0f * 3968.0f)
#define Q8K_QUANTIZE_LIMIT_Q2_K (65504.0f * 15.0f)
#define Q8K_QUANTIZE_LIMIT_Q3_K (65504.0f * 96.0f)
#define Q8K_QUANTIZE_LIMIT_Q8_0 (65504.0f * 127.0f)
#define Q8K_QUANTIZE_LIMIT_Q8_K (65504.0f * 1905.0f)

/* Quantizes `blocks` blocks of 256 finite values, none beyond the format's limit; writes every byte of the blocks. */
void q8k_quantize_row_q2_k(size_t blocks, const float *input, uint8_t *weights);
void q8k_quantize_row_q3_k(size_t blocks, const float *input, uint8_t *weights);
void q8k_quantize_row_q4_k(size_t blocks, const float *input, uint8_t *weights);
void q8k_quantize_row_q5_k(size_t blocks, const float *input, uint8_t *weights);
void q8k_quantize_row_q6_k(size_t blocks, const float *input, uint8_t *weights);
void q8k_quantize_row_q8_0(size_t blocks, const float *input, uint8_t *weights);
void q8k_quantize_row_q8_k(size_t blocks, const float *input, uint8_t *weights);

#endif
