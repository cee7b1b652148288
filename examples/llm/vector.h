/* SPDX-License-Identifier: MIT */
/* Vectors as wide as the compiler is allowed to use, by GCC's and clang's extension. With -march=native the loops of
 * this program run at the CPU's speed; without it they are right all the same. */
#ifndef LLM_VECTOR_H
#define LLM_VECTOR_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#if defined(__AVX512F__)
enum { LANES = 16 };
#elif defined(__AVX__)
enum { LANES = 8 };
#else
enum { LANES = 4 };
#endif

typedef float vector __attribute__((vector_size(4 * LANES)));
typedef int32_t integers __attribute__((vector_size(4 * LANES)));

static inline vector load(const float *from) {
    vector v;
    memcpy(&v, from, sizeof v);
    return v;
}

static inline void store(float *to, vector v) {
    memcpy(to, &v, sizeof v);
}

/* Where the mask's lanes are set (-1) those of a, else (0) those of b. */
static inline vector select(integers mask, vector a, vector b) {
    return (vector)(((integers)a & mask) | ((integers)b & ~mask));
}

static inline float sum_of(vector v) {
    float sum = 0;
    for (int i = 0; i < LANES; i++)
        sum += v[i];
    return sum;
}

static inline float largest_of(vector v) {
    float most = v[0];
    for (int i = 1; i < LANES; i++)
        most = v[i] > most ? v[i] : most;
    return most;
}

/* e to the power of x, within two units of the last place; 0 where that would be below 2^-126, as of -INFINITY, and
 * limited to e^88 above. NaN stays NaN.
 * With x = n * log(2) + r and |r| <= log(2) / 2, it is 2^n times the series of e^r, of which the eighth power is too
 * small to count. log(2) is taken in two pieces, the first with so few bits that n times it is exact. */
static inline vector exponential(vector x) {
    const float least = -87.33654F, most = 88.0F, rounder = 12582912.0F; /* 1.5 * 2^23: adding it rounds to integers */
    vector limited = select(x < least, (vector){0} + least, x);
    limited = select(limited > most, (vector){0} + most, limited);
    vector n = limited * (float)(1 / 0.693147180559945309) + rounder - rounder;
    vector r = limited - n * 0.693359375F;
    r -= n * (float)(0.693147180559945309 - 0.693359375);
    vector e = r * (1.0F / 5040) + 1.0F / 720;
    e = e * r + 1.0F / 120;
    e = e * r + 1.0F / 24;
    e = e * r + 1.0F / 6;
    e = e * r + 1.0F / 2;
    e = e * r + 1.0F;
    e = e * r + 1.0F;
    e = (vector)((integers)e + __builtin_convertvector(n, integers) * (1 << 23));
    return select(x < least, (vector){0}, e);
}

#endif
