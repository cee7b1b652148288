/* SPDX-License-Identifier: MIT */
#include "kernels.h"

/* SplitMix64, by Sebastiano Vigna, in the public domain. */
uint64_t numbers_next(numbers *n) {
    uint64_t z = n->state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

numbers numbers_start(uint64_t seed, const uint64_t *keys, size_t count) {
    numbers n = {seed};
    for (size_t i = 0; i < count; i++)
        n.state = numbers_next(&n) ^ keys[i];
    return n;
}

size_t numbers_below(numbers *n, size_t limit) {
    return (size_t)((numbers_next(n) >> 11) % limit);
}

int numbers_between(numbers *n, int low, int high) {
    return low + (int)numbers_below(n, (size_t)(high - low) + 1);
}

float numbers_normal(numbers *n) {
    double sum = 0;
    for (int i = 0; i < 4; i++) {
        uint64_t bits = numbers_next(n);
        sum += (double)(uint32_t)bits + (double)(uint32_t)(bits >> 32);
    }
    /* Eight numbers below 2^32, of variance 1/12 each when scaled to 1. */
    return (float)((sum * 0x1p-32 - 4) * 1.2247448713915890);
}
