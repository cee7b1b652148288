/* SPDX-License-Identifier: MIT */
/*
 * Kernel tests and kernel benchmark, through the public API: every backend that works here against the plain definition.
 *
 * A case is a product's format, precision and shape, the kind of its numbers, and a seed. Its numbers, its layout in
 * memory and the order of its parts follow from these alone, so that one command line runs it again. A block of weights
 * depends on its row and place in the row, not on the shape: cases of different shapes share one reference.
 */
#ifndef Q8K_TESTS_KERNELS_H
#define Q8K_TESTS_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <q8k/q8k.h>

enum { BLOCK = 256, BLOCK_BYTES_MAX = 292, BACKENDS_MAX = 16 };

/* ---- random numbers: kernels_numbers.c ---- */

typedef struct numbers {
    uint64_t state;
} numbers;

/* A generator that any change of a key makes another one. */
numbers numbers_start(uint64_t seed, const uint64_t *keys, size_t count);
uint64_t numbers_next(numbers *n);
/* 0 to limit - 1. */
size_t numbers_below(numbers *n, size_t limit);
/* low to high. */
int numbers_between(numbers *n, int low, int high);
/* About normal, with variance 1. */
float numbers_normal(numbers *n);

/* ---- cases ---- */

typedef enum kind {
    KIND_RANDOM, /* bytes at random with moderate factors, activations of many sizes */
    KIND_EXTREME, /* the ends of every field and limb, and what makes each sum the largest; each row with each batch row */
    KIND_ROUNDING, /* FLOAT sums that come out wrong where a multiply-add rounds twice */
    KIND_SPECIAL,  /* any bits in the factors; zero, tiny, huge, NaN and infinite activations */
    KIND_COUNT
} kind;

const char *kind_name(kind k);

typedef struct kernel_case {
    q8k_format format;
    q8k_precision precision;
    kind kind;
    uint64_t seed;
    size_t rows, blocks, batch;
    size_t parts; /* of the input's preparation, and of the product */
} kernel_case;

/* Pairs of a factor d and a sum t whose product is a power of two but for its last bit: 2^exponent +- 1. */
enum { NEAR_POWERS = 5 };
typedef struct near_power {
    int exponent, d, t;
} near_power;
extern const near_power near_powers[NEAR_POWERS];

/* The block `block` of weight row `row`: kernels_weights.c. */
void fill_weights(const kernel_case *c, size_t row, size_t block, uint8_t *to);
/* The 256 activations of block `block` of batch row `batch`: kernels_input.c. */
void fill_input(const kernel_case *c, size_t batch, size_t block, float *to);

/* ---- the reference: kernels_reference.c ---- */

/* The numbers of the largest shape, and what the definition says of them, found when it is asked for. The cases of a
 * reference differ in shape and parts alone. */
typedef struct reference {
    kernel_case largest;
    size_t block_bytes;
    uint8_t *weights; /* rows x blocks */
    float *input;     /* batch x blocks x 256 */
    float *decoded;   /* rows x blocks x 256 */
    float *sums;      /* rows x batch x blocks: after each block */
    size_t *decoded_blocks, *summed_blocks;
} reference;

reference reference_make(const kernel_case *largest);
void reference_free(reference *ref);

const uint8_t *reference_weights(const reference *ref, size_t row, size_t block);
const float *reference_input(const reference *ref, size_t batch, size_t block);
/* The sum of the first `blocks` blocks of a row, from 0. */
float reference_sum(reference *ref, size_t row, size_t batch, size_t blocks);
/* The floats of the first `blocks` blocks of a row. */
const float *reference_decoded(reference *ref, size_t row, size_t blocks);

/* ---- memory: kernels_memory.c ---- */

/* What stands where nothing may be written. */
enum { CANARY = 0xa5 };
bool all_canaries(const uint8_t *bytes, size_t count);

/* malloc, or the end of the program. */
void *need_memory(size_t bytes);

/* Memory between two pages that may not be touched. It grows, and is then another one. */
typedef struct arena {
    uint8_t *start, *end;
} arena;

/* Where a buffer lies: bytes behind the first guard page, or right before the second one. */
typedef struct place {
    bool at_end;
    size_t shift;
} place;

/* A buffer in an arena; before it and behind it, up to the guard pages, stands what arena_intact() looks for. */
uint8_t *arena_take(arena *a, size_t bytes, place where);
bool arena_intact(const arena *a, const uint8_t *buffer, size_t bytes);
void arena_free(arena *a);

/* Where everything of a case lies. The two layouts of a case have each buffer at opposite guard pages. */
typedef struct layout {
    place weights, input, prepared, output;
    size_t weights_gap;           /* bytes between rows */
    size_t input_gap, output_gap; /* floats between rows */
    bool backwards;               /* the last part first */
} layout;

layout layout_of(const kernel_case *c, bool second);

/* ---- running: kernels_run.c ---- */

typedef struct backend {
    const char *name;
    q8k_context *context;
} backend;

typedef struct results {
    size_t passed, failed;
} results;

/* Every function on one case and one backend. Failures are printed with the command that repeats them. */
void run_case(const kernel_case *c, reference *ref, const backend *b, results *r);

/* From now on a signal that a faulty kernel can cause is reported with the case that was running. */
void report_signals(void);

/* ---- options: kernels_options.c ---- */

/* Numbers that the rows, columns, batches and parts of cases are taken from. Empty: not given. */
typedef struct list {
    size_t count, at[64];
} list;

typedef struct options {
    const char *backend;
    q8k_format format; /* 0: all */
    int precision;     /* -1: all */
    int kind;          /* -1: all */
    list rows, columns, batch, parts;
    uint64_t seed;
    bool bench, quick, stop;
} options;

/* Whatever is wrong with them ends the program. */
options parse_options(int argc, char **argv);

/* ---- the benchmark: kernels_bench.c ---- */

/* Prints a row per backend: times, rates, and how many times as fast as backends[base] it is. */
void bench_case(const kernel_case *c, const backend *backends, size_t count, size_t base);
void bench_header(void);

#endif
