/* SPDX-License-Identifier: MIT */
/**
 * @file backend.h
 * The plugin ABI of libq8k: what a backend is, complete enough to write one from this file and q8k.h alone.
 *
 * A backend NAME is the file `libq8k-NAME.so` in the plugin folder (`pkg-config --variable=backenddir q8k`), where
 * NAME is 1 to 32 of the characters a-z, 0-9, _ and -. It exports one symbol, q8k_backend_entry(), which returns a
 * table of functions. One that is not in the library's own table of backends is opened only when Q8K_BACKEND, or the
 * option of q8k_context_create(), names it.
 *
 * The name "builtin" is the library's own. A file with another name of the library's table is taken without being asked
 * for, under the CPU needs of that name as well as its own.
 *
 * How to build one. As a shared object, with the section headers left in (plain `strip` leaves them). Do not link with
 * libq8k; the C library and libm are what you may count on. Compile with -ffp-contract=off and without -ffast-math: a
 * product fused with a sum that the arithmetic keeps apart gives other bits. Have no static initialisers.
 *
 * How a plugin is loaded. Each step must succeed; else the plugin is rejected, and the reason can be read with
 * q8k_backend_list_create():
 *  1. The CPU has what the library's table asks for, where the name is in it.
 *  2. The file is checked before the dynamic linker sees it: a regular file; ELF of the process's class, byte order and
 *     machine; ET_DYN; 1 to 64 segments, one of them PT_DYNAMIC and some PT_LOAD, each inside the file; 2 to 4096
 *     section headers, all of them and their sections inside the file and none blank. (The section headers come last in
 *     a file, and are how one that was cut off is told from a whole one.)
 *  3. dlopen() with RTLD_NOW | RTLD_LOCAL. For a third party's plugin this is before its needs of the CPU are known.
 *  4. q8k_backend_entry(Q8K_BACKEND_ABI) returns a table with the right magic, ABI number, sizes and name; with no
 *     function and no table of kernels missing, of known formats or not; and with no step of 0. It must run on the
 *     baseline CPU.
 *  5. The CPU has every feature in `cpu_features`, and the operating system has enabled it. No kernel runs before.
 *  6. Known answers: every kernel of the table gives the same bits as the library's built-in scalar kernels, on
 *     blocks and activations chosen to catch a wrong lane, tail or layout: 5 to 53 rows of one block or two, in batches
 *     of 1 to 7, 11, 18, 35 and 9 * batch_step - 2 (at most 254). This does not prove other sizes: `q8k verify` tries
 *     more.
 * A plugin is never unloaded. All steps may be run by several threads at once.
 *
 * What kernels may rely on. Every argument has been checked; pointers are not NULL where there is something to read
 * or write; counts are above zero; weights have any alignment, floats that of float, a prepared input 64. What kernels
 * must keep to: no allocation, no check, no print, no lock, no thread, no state; rounding mode and other modes of
 * floating-point arithmetic left as found (status flags may be raised); at most 64 KiB of stack, since they run on the
 * caller's threads; no read or write outside the buffers described; nothing written between the rows of a strided
 * output; and the arithmetic below, to the bit. Where a result is NaN, any NaN will do.
 *
 * The arithmetic. Activations of one batch row and one block become integers X with a step s; let m be the largest
 * |x| of the 256. If any x is NaN or infinite: s = NaN, all X = 0. If m = 0: s = 1, all X = 0. Otherwise
 *     FLOAT  2^(e-1) <= m < 2^e; s = 2^max(e - 24, -126), doubled if rint(m / s) > 16775167; X = rint(x / s);
 *            hi = floor((X + 2048) / 4096), lo = X - 4096 * hi
 *     HALF   the same with 12 for 24 and 4095 for 16775167
 *     BYTE   s = max(m / 127, 2^-126), r = 1 / s, X = rint(x * r) limited to -127..127; all in float32
 * and one output is, from acc = +0 and for each span of the row in order (256 weights; in Q6_K 128; in Q8_0 32, each
 * with its own d), with exact integer sums over the span,
 *     FLOAT       t = fma((float)sum(w * hi), 4096, (float)sum(w * lo))
 *     HALF, BYTE  t = (float)sum(w * X)
 *     acc = fma(t, d * s, acc)
 * where w = scale * q; then, in formats with a min term, the same once more with w replaced by the min of the
 * weight's group and d by -dmin (Q2_K, Q4_K, Q5_K), or by 1 and +dmin (Q8_K). d * s is a float32 product; rint rounds
 * to nearest, ties to even; fma rounds once. q8k.h has the formats' layouts. All these sums fit int32, whatever the
 * block holds: at most 256 * 1953 * 4095 (Q5_K) and 128 * 4096 * 4095 (Q6_K). Decoding is float32 arithmetic in the
 * order (d * scale) * q, then + (-dmin) * min or + dmin, each product exact but the last of Q6_K.
 */
#ifndef Q8K_BACKEND_H
#define Q8K_BACKEND_H

#include <q8k/q8k.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * The number of this ABI. It changes only when a plugin built for the old one could not work; the library's own
 * version and its SONAME are numbered apart. Additions that old plugins survive only grow the structs: a plugin may
 * have larger tables than the library knows, never smaller ones; and in the structs that kernels receive, members
 * beyond the given `size` are not there and count as zero.
 */
#define Q8K_BACKEND_ABI 1

/** Tells a table of this ABI from anything else: "q8kB" as a little-endian number. */
#define Q8K_BACKEND_MAGIC UINT32_C(0x426b3871)

/** CPU features, as bits of q8k_backend::cpu_features. Numbers are never reused. */
enum {
    Q8K_CPU_SSSE3 = 0,
    Q8K_CPU_SSE4_1 = 1,
    Q8K_CPU_AVX = 2,
    Q8K_CPU_F16C = 3,
    Q8K_CPU_FMA = 4,
    Q8K_CPU_AVX2 = 5,
    Q8K_CPU_BMI2 = 6,
    Q8K_CPU_AVX_VNNI = 7,
    Q8K_CPU_AVX_VNNI_INT8 = 8,
    Q8K_CPU_AVX512F = 9,
    Q8K_CPU_AVX512BW = 10,
    Q8K_CPU_AVX512DQ = 11,
    Q8K_CPU_AVX512VL = 12,
    Q8K_CPU_AVX512_VNNI = 13,
    Q8K_CPU_AVX512_VBMI = 14,
    Q8K_CPU_AVX512_BF16 = 15,
    Q8K_CPU_AMX_TILE = 16,
    Q8K_CPU_AMX_INT8 = 17,
    Q8K_CPU_BMI1 = 18,
    Q8K_CPU_LZCNT = 19,
    Q8K_CPU_MOVBE = 20,
    Q8K_CPU_AVX512CD = 21,
    /** AMD's CPUs have it, Intel's have not. */
    Q8K_CPU_SSE4A = 22,
    Q8K_CPU_NEON = 32,
    Q8K_CPU_FP16 = 33,
    Q8K_CPU_DOTPROD = 34,
    Q8K_CPU_I8MM = 35,
    Q8K_CPU_BF16 = 36,
    Q8K_CPU_SVE = 37,
    Q8K_CPU_SVE2 = 38
};

/** A feature's bit. */
#define Q8K_CPU_BIT(feature) (UINT64_C(1) << (feature))

/** A rectangle of activations to prepare: some batch rows, some blocks of each. */
typedef struct q8k_backend_input {
    size_t size;
    q8k_precision precision;
    uint32_t reserved;
    /** The whole input: batch rows, and blocks of 256 in each. */
    size_t batch, blocks;
    /** Activation k of batch row b is input[b * input_stride + k]. */
    const float *input;
    size_t input_stride;
    /** The whole prepared input: prepared_bytes() bytes at a multiple of 64. */
    void *prepared;
    /** The rectangle. batch_first is a multiple of the backend's batch_step, and so is batch_count, unless the
     *  rectangle reaches the last batch row. Rectangles are prepared by several threads at once and in any order;
     *  each must write memory of its own. */
    size_t batch_first, batch_count, block_first, block_count;
} q8k_backend_input;

/** A rectangle of outputs to compute: some rows of weights, some batch rows. */
typedef struct q8k_backend_product {
    size_t size;
    q8k_precision precision;
    uint32_t reserved;
    /** The whole prepared input, as in q8k_backend_input. */
    size_t batch, blocks;
    const void *prepared;
    /** The rectangle's first row of weights, at any alignment; bytes from one row to the next; rows. */
    const void *weights;
    size_t weights_stride, row_count;
    /** The rectangle's batch rows, in the steps of q8k_backend_input. */
    size_t batch_first, batch_count;
    /** Output of weight row r and batch row b, both counted from the rectangle's first: output[b * output_stride + r].
     */
    float *output;
    size_t output_stride;
    /** What the CPU can do, Q8K_CPU_BIT()s: more than the kernels need, perhaps, which may tell how best to do it. */
    uint64_t cpu_features;
} q8k_backend_product;

/** The kernels of one weight format. */
typedef struct q8k_backend_kernels {
    size_t size;
    q8k_format format;
    /** Weight rows are divided among parts in multiples of this; at least 1. */
    uint32_t row_step;
    /** The fused product: reads blocks, writes outputs. */
    void (*matmul)(const q8k_backend_product *product);
    /** Adds the terms of `blocks` blocks of one row to *sum, in order. Prepares the activations itself. */
    void (*accumulate)(q8k_precision precision, size_t blocks, const void *weights, const float *input, float *sum);
    /** Decodes `blocks` blocks into 256 floats each: (d * scale) * q, then the min term. */
    void (*decode)(size_t blocks, const void *weights, float *output);
} q8k_backend_kernels;

/** A backend. Everything it points to lives as long as the plugin. */
typedef struct q8k_backend {
    size_t size;
    /** Q8K_BACKEND_MAGIC and Q8K_BACKEND_ABI. */
    uint32_t magic, abi;
    /** The NAME of the file. */
    const char *name;
    /** Q8K_CPU_BIT()s of what the kernels need; 0: the baseline. */
    uint64_t cpu_features;
    /** The input is divided among parts in multiples of this many batch rows; at least 1. */
    size_t batch_step;
    /** Bytes of the prepared form of an input of batch x blocks blocks: at most 2048 * batch * blocks + 4096, for every
     *  size; so small batches cannot be padded to batch_step without care. Never called with sizes for which that
     *  overflows. */
    size_t (*prepared_bytes)(q8k_precision precision, size_t batch, size_t blocks);
    /** Turns activations into integers, in the order that the backend's matmul kernels want them. */
    void (*prepare)(const q8k_backend_input *input);
    /** Tables of kernels, one per format, in any order; of two for one format the later counts. For formats that are
     *  not there the built-in scalar kernels stand in, for which the input is then prepared a second time. Formats that
     *  the library does not know are not used, but their tables must be as whole as the others. */
    size_t format_count;
    const q8k_backend_kernels *const *formats;
} q8k_backend;

/** The type of the entry function. */
typedef const q8k_backend *q8k_backend_entry_function(uint32_t abi);

/**
 * The one symbol that a plugin exports.
 * @param abi the library's Q8K_BACKEND_ABI.
 * @return the table, the same on every call; NULL to refuse.
 */
Q8K_API const q8k_backend *q8k_backend_entry(uint32_t abi);

#ifdef __cplusplus
}
#endif

#endif
