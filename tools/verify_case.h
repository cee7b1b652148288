/* SPDX-License-Identifier: MIT */
/* What `q8k verify` multiplies: matrices and activations from a seed, and what the definition makes of them. */
#ifndef Q8K_TOOLS_VERIFY_CASE_H
#define Q8K_TOOLS_VERIFY_CASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "definition.h"

typedef enum verify_kind {
    VERIFY_RANDOM,  /* every bit of the quants and scales random, factors and activations of ordinary size */
    VERIFY_EXTREME, /* the largest and smallest of everything, in patterns that add up */
    VERIFY_SPECIAL, /* NaN, infinity, zero, subnormal and huge values */
    VERIFY_KINDS
} verify_kind;

typedef struct verify_case {
    verify_kind kind;
    q8k_format format;
    size_t rows, blocks, batch;
    uint8_t *weights; /* rows x blocks; at an odd address, since no alignment may matter */
    float *input;     /* batch x blocks x 256 */
    /* What the definition says, for one precision at a time. */
    q8k_precision precision;
    float *decoded;          /* rows x blocks x 256 */
    float *output;           /* batch x rows */
    definition_exact *exact; /* batch x rows */
    uint8_t *memory;         /* what `weights` points into */
} verify_case;

const char *verify_kind_name(verify_kind kind);

/* A random number, nearly normal with mean 0 and variance 1. */
float verify_normal(uint64_t *state);

/* Returns false if there is no memory; verify_case_free() is to be called in any case. */
bool verify_case_make(verify_case *c, verify_kind kind, q8k_format format, uint64_t seed);

/* Computes `output` and `exact` for a precision. */
void verify_case_expect(verify_case *c, q8k_precision precision);

void verify_case_free(verify_case *c);

#endif
