/* SPDX-License-Identifier: MIT */
/*
 * A backend of a third party for libq8k, in plain C: libq8k-example.so. It is written against <q8k/backend.h> alone and
 * is meant to be read beside that header; "the arithmetic" below is the one that stands there.
 *
 * It has kernels for Q4_K and Q6_K, the formats that a Q4_K_M file consists of. The others are not in its table, so the
 * library computes them with its own scalar kernels.
 *
 * What is its own is the order of the prepared input: the activations of up to four batch rows lie side by side, so
 * that a weight which has been taken out of its block meets all four. With a batch of 1 it is a row like any other.
 *
 * Of the C library it needs libm: fmaf(), rintf(), frexpf(), ldexpf().
 */
#include <math.h>
#include <string.h>

#include <q8k/backend.h>

enum { BLOCK = 256, STEP = 4 };

static size_t smaller(size_t a, size_t b) {
    return a < b ? a : b;
}

/* ---- The prepared input ----
 *
 * The batch is divided into steps of STEP rows. The last step has what rows are left, and is not padded: for a batch of
 * 1 prepared_bytes() has no room for more rows. One block of a step of n rows is
 *
 *     int16_t limbs[1 or 2][BLOCK][n]   FLOAT: all hi, then all lo; HALF and BYTE: X
 *     float s[n]
 *
 * The blocks of a step follow one another, and so do the steps. Whoever prepares a rectangle writes whole blocks of
 * whole steps, so no two threads write the same bytes.
 */

static size_t limb_count(q8k_precision precision) {
    return precision == Q8K_PRECISION_FLOAT ? 2 : 1;
}

/* Bytes of one block of one batch row. */
static size_t row_block_bytes(q8k_precision precision) {
    return limb_count(precision) * BLOCK * sizeof(int16_t) + sizeof(float);
}

static size_t prepared_bytes(q8k_precision precision, size_t batch, size_t blocks) {
    return row_block_bytes(precision) * batch * blocks;
}

/* Where block i begins of the step whose first batch row is `first`. Every step before it is full. */
static char *find_block(const void *prepared, q8k_precision precision, size_t batch, size_t blocks, size_t first,
                        size_t i) {
    size_t n = smaller(STEP, batch - first);
    return (char *)(uintptr_t)prepared + (first * blocks + i * n) * row_block_bytes(precision);
}

/* The largest |x|; NaN if any is NaN or infinite. */
static float largest(const float *x) {
    float m = 0;
    for (size_t k = 0; k < BLOCK; k++) {
        if (!isfinite(x[k]))
            return NAN;
        m = fmaxf(m, fabsf(x[k]));
    }
    return m;
}

/* s of FLOAT and HALF, for m > 0. All the arithmetic is exact, since s is a power of two. */
static float power_step(float m, int bits, float limit) {
    int e;
    (void)frexpf(m, &e);
    float s = ldexpf(1, e - bits > -126 ? e - bits : -126);
    return rintf(m / s) > limit ? 2 * s : s;
}

/* Activations of one block to integers; returns s. */
static float to_integers(q8k_precision precision, const float *x, int32_t X[BLOCK]) {
    float m = largest(x);
    memset(X, 0, BLOCK * sizeof *X);
    if (isnan(m) || m == 0)
        return isnan(m) ? m : 1;
    if (precision == Q8K_PRECISION_BYTE) {
        float s = fmaxf(m / 127, 0x1p-126f), r = 1 / s;
        for (size_t k = 0; k < BLOCK; k++)
            X[k] = (int32_t)fmaxf(-127, fminf(127, rintf(x[k] * r)));
        return s;
    }
    int full = precision == Q8K_PRECISION_FLOAT;
    float s = power_step(m, full ? 24 : 12, full ? 16775167 : 4095);
    for (size_t k = 0; k < BLOCK; k++)
        X[k] = (int32_t)rintf(x[k] / s);
    return s;
}

/* One block of a step of n batch rows, `stride` floats apart. */
static void prepare_block(q8k_precision precision, const float *x, size_t stride, size_t n, char *block) {
    size_t limbs = limb_count(precision);
    int16_t *to = (int16_t *)(void *)block;
    float *steps = (float *)(void *)(to + limbs * BLOCK * n);
    for (size_t c = 0; c < n; c++) {
        int32_t X[BLOCK];
        steps[c] = to_integers(precision, x + c * stride, X);
        for (size_t k = 0; k < BLOCK; k++) {
            /* The division rounds down because 4096 * 4096 makes it one of a positive number. */
            int32_t hi = limbs == 2 ? (X[k] + 2048 + 4096 * 4096) / 4096 - 4096 : 0;
            if (limbs == 2)
                to[k * n + c] = (int16_t)hi;
            to[((limbs - 1) * BLOCK + k) * n + c] = (int16_t)(X[k] - 4096 * hi);
        }
    }
}

static void prepare(const q8k_backend_input *in) {
    size_t end = in->batch_first + in->batch_count;
    for (size_t first = in->batch_first; first < end; first += STEP)
        for (size_t i = in->block_first; i < in->block_first + in->block_count; i++)
            prepare_block(in->precision, in->input + first * in->input_stride + i * BLOCK, in->input_stride,
                          smaller(STEP, in->batch - first),
                          find_block(in->prepared, in->precision, in->batch, in->blocks, first, i));
}

/* ---- The formats ---- */

/* A block taken apart: weight k is d * scale[k] * q[k] + min_factor * min[k]. */
typedef struct parts {
    int16_t scale[BLOCK], q[BLOCK], min[BLOCK];
    float d, min_factor;
} parts;

typedef struct format {
    size_t block_bytes;
    /* Weights whose products make one exact sum. */
    size_t span;
    int has_min;
    void (*take_apart)(const uint8_t *block, parts *p);
} format;

/* IEEE half precision, little-endian; exact. */
static float half(const uint8_t *bytes) {
    int bits = bytes[0] | bytes[1] << 8, exponent = bits >> 10 & 31, fraction = bits & 1023;
    float value;
    if (exponent == 31)
        value = fraction != 0 ? NAN : INFINITY;
    else
        value = exponent == 0 ? ldexpf((float)fraction, -24) : ldexpf((float)(1024 + fraction), exponent - 25);
    return bits >> 15 ? -value : value;
}

/* 0: d, 2: dmin, 4: scales and mins of the groups of 32, six bits each, 16: quants of four bits. */
static void take_apart_q4_k(const uint8_t *block, parts *p) {
    const uint8_t *s = block + 4;
    p->d = half(block);
    p->min_factor = -half(block + 2);
    for (int j = 0; j < 8; j++) {
        int scale = j < 4 ? s[j] & 63 : (s[j + 4] & 15) | s[j - 4] >> 6 << 4;
        int min = j < 4 ? s[j + 4] & 63 : s[j + 4] >> 4 | s[j] >> 6 << 4;
        for (int l = 0; l < 32; l++) {
            p->scale[32 * j + l] = (int16_t)scale;
            p->min[32 * j + l] = (int16_t)min;
            p->q[32 * j + l] = (int16_t)(block[16 + 32 * (j / 2) + l] >> 4 * (j % 2) & 15);
        }
    }
}

static int signed_byte(uint8_t byte) {
    return byte < 128 ? byte : byte - 256;
}

/* 0: low four bits of the quants, 128: high two bits, 192: scales of the groups of 16, 208: d. */
static void take_apart_q6_k(const uint8_t *block, parts *p) {
    p->d = half(block + 208);
    p->min_factor = 0;
    memset(p->min, 0, sizeof p->min);
    for (int k = 0; k < BLOCK; k++) {
        int h = k / 128, t = k % 128 / 32, l = k % 32;
        int low = block[64 * h + 32 * (t % 2) + l] >> 4 * (t / 2) & 15;
        int high = block[128 + 32 * h + l] >> 2 * t & 3;
        p->scale[k] = (int16_t)signed_byte(block[192 + k / 16]);
        p->q[k] = (int16_t)((low | high << 4) - 32);
    }
}

static const format q4_k = {144, 256, 1, take_apart_q4_k};
static const format q6_k = {210, 128, 0, take_apart_q6_k};

/* ---- The kernels ---- */

/*
 * sums[c] += factor * s[c] * sum of w[k] * X[k][c] over one span, whose activations begin at `limbs`; from one limb to
 * the next it is BLOCK * n. The sums of integers are exact in int32: 256 * 63 * 15 * 4095 (Q4_K) and
 * 128 * 128 * 32 * 4095 (Q6_K) are both below 2^31.
 */
static void add_term(q8k_precision precision, size_t span, const int16_t *w, const int16_t *limbs, size_t n,
                     float factor, const float *s, float sums[STEP]) {
    int32_t exact[2][STEP] = {{0}};
    for (size_t limb = 0; limb < limb_count(precision); limb++)
        for (size_t k = 0; k < span; k++)
            for (size_t c = 0; c < n; c++)
                exact[limb][c] += w[k] * limbs[(limb * BLOCK + k) * n + c];
    for (size_t c = 0; c < n; c++) {
        float t = (float)exact[0][c];
        if (precision == Q8K_PRECISION_FLOAT)
            t = fmaf(t, 4096, (float)exact[1][c]);
        sums[c] = fmaf(t, factor * s[c], sums[c]);
    }
}

/* One block of weights times one block of a step of n batch rows. */
static void add_block(const format *f, q8k_precision precision, const uint8_t *weights, const char *block, size_t n,
                      float sums[STEP]) {
    const int16_t *limbs = (const int16_t *)(const void *)block;
    const float *s = (const float *)(const void *)(limbs + limb_count(precision) * BLOCK * n);
    int16_t w[BLOCK];
    parts p;
    f->take_apart(weights, &p);
    for (size_t k = 0; k < BLOCK; k++)
        w[k] = (int16_t)(p.scale[k] * p.q[k]);
    for (size_t k = 0; k < BLOCK; k += f->span) {
        add_term(precision, f->span, w + k, limbs + k * n, n, p.d, s, sums);
        if (f->has_min)
            add_term(precision, f->span, p.min + k, limbs + k * n, n, p.min_factor, s, sums);
    }
}

static void matmul(const format *f, const q8k_backend_product *p) {
    for (size_t r = 0; r < p->row_count; r++)
        for (size_t b = 0; b < p->batch_count; b += STEP) {
            const uint8_t *row = (const uint8_t *)p->weights + r * p->weights_stride;
            size_t first = p->batch_first + b, n = smaller(STEP, p->batch - first);
            float sums[STEP] = {0};
            for (size_t i = 0; i < p->blocks; i++)
                add_block(f, p->precision, row + i * f->block_bytes,
                          find_block(p->prepared, p->precision, p->batch, p->blocks, first, i), n, sums);
            for (size_t c = 0; c < n; c++)
                p->output[(b + c) * p->output_stride + r] = sums[c];
        }
}

/* A block at a time on the stack, as a step of one row. */
static void accumulate(const format *f, q8k_precision precision, size_t blocks, const void *weights, const float *input,
                       float *sum) {
    float block[(2 * BLOCK * sizeof(int16_t) + sizeof(float)) / sizeof(float)], sums[STEP] = {*sum};
    for (size_t i = 0; i < blocks; i++) {
        prepare_block(precision, input + i * BLOCK, 0, 1, (char *)block);
        add_block(f, precision, (const uint8_t *)weights + i * f->block_bytes, (const char *)block, 1, sums);
    }
    *sum = sums[0];
}

/* In double all operations but the last are exact. They are in the order of the formula, which decides the sign of a
 * zero. */
static void decode(const format *f, size_t blocks, const void *weights, float *output) {
    for (size_t i = 0; i < blocks; i++) {
        parts p;
        f->take_apart((const uint8_t *)weights + i * f->block_bytes, &p);
        for (size_t k = 0; k < BLOCK; k++) {
            double weight = (double)p.d * p.scale[k] * p.q[k];
            output[i * BLOCK + k] = (float)(f->has_min ? weight + (double)p.min_factor * p.min[k] : weight);
        }
    }
}

/* ---- The table ----
 *
 * Functions know their format by themselves, and every struct states its own size, so that the library can tell what
 * it was compiled with.
 */

#define DEFINE_KERNELS(name, value)                                                                                    \
    static void name##_matmul(const q8k_backend_product *product) {                                                    \
        matmul(&name, product);                                                                                        \
    }                                                                                                                  \
    static void name##_accumulate(q8k_precision precision, size_t blocks, const void *weights, const float *input,     \
                                  float *sum) {                                                                        \
        accumulate(&name, precision, blocks, weights, input, sum);                                                     \
    }                                                                                                                  \
    static void name##_decode(size_t blocks, const void *weights, float *output) {                                     \
        decode(&name, blocks, weights, output);                                                                        \
    }                                                                                                                  \
    static const q8k_backend_kernels name##_kernels = {                                                                \
        .size = sizeof(q8k_backend_kernels),                                                                           \
        .format = value,                                                                                               \
        .row_step = 1, /* any number of rows may be asked for at once */                                               \
        .matmul = name##_matmul,                                                                                       \
        .accumulate = name##_accumulate,                                                                               \
        .decode = name##_decode,                                                                                       \
    };

DEFINE_KERNELS(q4_k, Q8K_FORMAT_Q4_K)
DEFINE_KERNELS(q6_k, Q8K_FORMAT_Q6_K)

static const q8k_backend_kernels *const formats[] = {&q4_k_kernels, &q6_k_kernels};

static const q8k_backend backend = {
    .size = sizeof backend,
    .magic = Q8K_BACKEND_MAGIC,
    .abi = Q8K_BACKEND_ABI,
    .name = "example",
    .cpu_features = 0, /* runs on every CPU that it can be compiled for */
    .batch_step = STEP,
    .prepared_bytes = prepared_bytes,
    .prepare = prepare,
    .format_count = sizeof formats / sizeof *formats,
    .formats = formats,
};

/* The library compares the ABI numbers itself, and tells both where they differ. */
const q8k_backend *q8k_backend_entry(uint32_t abi) {
    (void)abi;
    return &backend;
}
