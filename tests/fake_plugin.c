/* SPDX-License-Identifier: MIT */
/*
 * A third party's backend, written against q8k/backend.h alone: plain, slow, and right, but for what a variant gets
 * wrong on purpose. Its steps are not 1, so that divided work has tails, and its prepared form is not the library's.
 * Under what name it runs is up to the test that copies it into a folder: FAKE_NAME in the environment, else "fake".
 * The variants, each built as the module tests/.libs/fake_NAME.so from this file and tools/definition.c:
 *
 * variant good:
 * variant counting: -DFAKE_COUNTING
 * variant early: -DFAKE_EARLY
 * variant some_formats: -DFAKE_SOME_FORMATS
 * variant wide: -DFAKE_BATCH_STEP=16
 * variant long_table: -DFAKE_LONG_TABLE
 * variant magic: -DFAKE_MAGIC
 * variant abi_up: -DFAKE_ABI_UP
 * variant abi_down: -DFAKE_ABI_DOWN
 * variant short_table: -DFAKE_SHORT_TABLE
 * variant short_kernels: -DFAKE_SHORT_KERNELS
 * variant null_prepared_bytes: -DFAKE_NULL_PREPARED_BYTES
 * variant null_prepare: -DFAKE_NULL_PREPARE
 * variant null_matmul: -DFAKE_NULL_MATMUL
 * variant null_accumulate: -DFAKE_NULL_ACCUMULATE
 * variant null_decode: -DFAKE_NULL_DECODE
 * variant null_format: -DFAKE_NULL_FORMAT
 * variant null_formats: -DFAKE_NULL_FORMATS
 * variant null_name: -DFAKE_NULL_NAME
 * variant null_entry: -DFAKE_NULL_ENTRY
 * variant no_entry: -DFAKE_NO_ENTRY
 * variant undefined_symbol: -DFAKE_UNDEFINED_SYMBOL
 * variant wrong_name: -DFAKE_WRONG_NAME
 * variant zero_row_step: -DFAKE_ZERO_ROW_STEP
 * variant zero_batch_step: -DFAKE_ZERO_BATCH_STEP
 * variant large_prepared: -DFAKE_LARGE_PREPARED
 * variant needs_cpu: -DFAKE_NEEDS_CPU
 * variant needs_future: -DFAKE_NEEDS_FUTURE
 * variant wrong_row: -DFAKE_WRONG_ROW
 * variant wrong_batch: -DFAKE_WRONG_BATCH
 * variant wrong_precision: -DFAKE_WRONG_PRECISION
 * variant wrong_one: -DFAKE_WRONG_SIZE=1
 * variant wrong_three: -DFAKE_WRONG_SIZE=3
 * variant wrong_eleven: -DFAKE_WRONG_SIZE=11
 * variant wrong_chunk: -DFAKE_WRONG_CHUNK
 * variant wrong_group: -DFAKE_WRONG_GROUP -DFAKE_BATCH_STEP=16
 * variant wrong_block: -DFAKE_WRONG_BLOCK
 * variant wrong_prepare: -DFAKE_WRONG_PREPARE
 * variant wrong_accumulate: -DFAKE_WRONG_ACCUMULATE
 * variant wrong_start: -DFAKE_WRONG_START
 * variant wrong_decode: -DFAKE_WRONG_DECODE
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <q8k/backend.h>

#include "tools/definition.h"

#ifndef FAKE_BATCH_STEP
#define FAKE_BATCH_STEP 2
#endif
enum { BLOCK = 256, ROW_STEP = 3, BATCH_STEP = FAKE_BATCH_STEP };

/* For what some variants leave out. */
#define UNUSED __attribute__((unused))

/* What the plugin was made to do: blocks of activations prepared, and met by a weight row in a product. Other plugins
 * export one symbol; this one's are for the test that counts. */
Q8K_API size_t fake_prepared_blocks, fake_multiplied_blocks;
size_t fake_prepared_blocks, fake_multiplied_blocks;

static void count(size_t *counter, size_t blocks) {
    __atomic_fetch_add(counter, blocks, __ATOMIC_RELAXED);
}

/* The prepared form: the activations as they are, the rows of a batch step side by side, block by block. */
static float *prepared_block(const void *prepared, size_t batch, size_t blocks, size_t b, size_t i) {
    const size_t first = b / BATCH_STEP * BATCH_STEP, width = batch - first < BATCH_STEP ? batch - first : BATCH_STEP;
    return (float *)(uintptr_t)prepared + (first * blocks + i * width + b - first) * BLOCK;
}

UNUSED static size_t prepared_bytes(q8k_precision precision, size_t batch, size_t blocks) {
    (void)precision;
#ifdef FAKE_LARGE_PREPARED
    return 4096 * batch * blocks + 4097;
#else
    return batch * blocks * BLOCK * sizeof(float);
#endif
}

UNUSED static void prepare(const q8k_backend_input *in) {
    count(&fake_prepared_blocks, in->batch_count * in->block_count);
    for (size_t b = in->batch_first; b < in->batch_first + in->batch_count; b++)
        for (size_t i = in->block_first; i < in->block_first + in->block_count; i++) {
            float *block = prepared_block(in->prepared, in->batch, in->blocks, b, i);
            memcpy(block, in->input + b * in->input_stride + i * BLOCK, BLOCK * sizeof *block);
#ifdef FAKE_WRONG_PREPARE
            block[255] = block[254];
#endif
        }
}

static float one_output(q8k_format format, const q8k_backend_product *p, size_t r, size_t b) {
    const uint8_t *row = (const uint8_t *)p->weights + r * p->weights_stride;
    float sum = 0;
#ifdef FAKE_WRONG_BLOCK
    const size_t stuck = 1;
#else
    const size_t stuck = 0;
#endif
    for (size_t i = 0; i < p->blocks; i++)
        sum = definition_accumulate(format, p->precision, 1, row + (stuck ? 0 : i) * definition_block_bytes(format),
                                    prepared_block(p->prepared, p->batch, p->blocks, p->batch_first + b, i), sum);
#ifdef FAKE_WRONG_ROW
    if (r == 13)
        sum += sum * 0x1p-22F;
#endif
#ifdef FAKE_WRONG_BATCH
    if (b == 30)
        sum += sum * 0x1p-22F;
#endif
#ifdef FAKE_WRONG_SIZE
    if (p->batch == FAKE_WRONG_SIZE && b == p->batch - 1)
        sum += sum * 0x1p-22F;
#endif
#ifdef FAKE_WRONG_CHUNK
    if (r == 48)
        sum += sum * 0x1p-22F;
#endif
#ifdef FAKE_WRONG_GROUP
    if (b == 128 + 13)
        sum += sum * 0x1p-22F;
#endif
#ifdef FAKE_WRONG_PRECISION
    if (format == Q8K_FORMAT_Q6_K && p->precision == Q8K_PRECISION_BYTE)
        sum += sum * 0x1p-22F;
#endif
    return sum;
}

static void matmul(q8k_format format, const q8k_backend_product *p) {
    count(&fake_multiplied_blocks, p->row_count * p->batch_count * p->blocks);
    for (size_t b = 0; b < p->batch_count; b++)
        for (size_t r = 0; r < p->row_count; r++)
            p->output[b * p->output_stride + r] = one_output(format, p, r, b);
}

static void accumulate(q8k_format format, q8k_precision precision, size_t blocks, const void *weights,
                       const float *input, float *sum) {
#ifdef FAKE_WRONG_START
    *sum = 0;
#endif
    *sum = definition_accumulate(format, precision, blocks, weights, input, *sum);
#ifdef FAKE_WRONG_ACCUMULATE
    if (format == Q8K_FORMAT_Q5_K)
        *sum += *sum * 0x1p-22F;
#endif
}

static void decode(q8k_format format, size_t blocks, const void *weights, float *output) {
    for (size_t i = 0; i < blocks; i++)
        definition_decode(format, (const uint8_t *)weights + i * definition_block_bytes(format), output + i * BLOCK);
#ifdef FAKE_WRONG_DECODE
    output[BLOCK - 1] = output[BLOCK - 2];
#endif
}

#ifdef FAKE_SHORT_KERNELS
#define KERNELS_SIZE (sizeof(q8k_backend_kernels) - 1)
#elif defined(FAKE_LONG_TABLE)
#define KERNELS_SIZE sizeof(longer_kernels)
#else
#define KERNELS_SIZE sizeof(q8k_backend_kernels)
#endif
#ifdef FAKE_ZERO_ROW_STEP
#define TABLE_ROW_STEP 0
#else
#define TABLE_ROW_STEP ROW_STEP
#endif
#ifdef FAKE_NULL_MATMUL
#define TABLE_MATMUL(name) NULL
#else
#define TABLE_MATMUL(name) name##_matmul
#endif
#ifdef FAKE_NULL_ACCUMULATE
#define TABLE_ACCUMULATE(name) NULL
#else
#define TABLE_ACCUMULATE(name) name##_accumulate
#endif
#ifdef FAKE_NULL_DECODE
#define TABLE_DECODE(name) NULL
#else
#define TABLE_DECODE(name) name##_decode
#endif

/* What a later release might append. */
typedef struct longer_kernels {
    q8k_backend_kernels known;
    void (*unknown)(void);
} longer_kernels;
typedef struct longer_table {
    q8k_backend known;
    void (*unknown[3])(void);
} longer_table;

#define DEFINE_KERNELS(name, value)                                                                                    \
    UNUSED static void name##_matmul(const q8k_backend_product *product) {                                             \
        matmul(value, product);                                                                                        \
    }                                                                                                                  \
    UNUSED static void name##_accumulate(q8k_precision precision, size_t blocks, const void *weights,                  \
                                         const float *input, float *sum) {                                             \
        accumulate(value, precision, blocks, weights, input, sum);                                                     \
    }                                                                                                                  \
    UNUSED static void name##_decode(size_t blocks, const void *weights, float *output) {                              \
        decode(value, blocks, weights, output);                                                                        \
    }                                                                                                                  \
    static const longer_kernels name = {.known = {.size = KERNELS_SIZE,                                                \
                                                  .format = value,                                                     \
                                                  .row_step = TABLE_ROW_STEP,                                          \
                                                  .matmul = TABLE_MATMUL(name),                                        \
                                                  .accumulate = TABLE_ACCUMULATE(name),                                \
                                                  .decode = TABLE_DECODE(name)}};

DEFINE_KERNELS(q4_k, Q8K_FORMAT_Q4_K)
DEFINE_KERNELS(q6_k, Q8K_FORMAT_Q6_K)
#ifndef FAKE_SOME_FORMATS
DEFINE_KERNELS(q8_k, Q8K_FORMAT_Q8_K)
DEFINE_KERNELS(q5_k, Q8K_FORMAT_Q5_K)
DEFINE_KERNELS(q2_k, Q8K_FORMAT_Q2_K)
DEFINE_KERNELS(q3_k, Q8K_FORMAT_Q3_K)
DEFINE_KERNELS(q8_0, Q8K_FORMAT_Q8_0)
#endif
/* A format that no release knows: to be ignored. */
DEFINE_KERNELS(unknown_format, 4711)

/* Not in the order of the format's values. */
UNUSED static const q8k_backend_kernels *const formats[] = {
    &q6_k.known, &q4_k.known, &unknown_format.known,
#ifndef FAKE_SOME_FORMATS
    &q8_k.known, &q5_k.known, &q8_0.known,           &q2_k.known, &q3_k.known,
#endif
#ifdef FAKE_NULL_FORMAT
    NULL,
#endif
};

static char own_name[64] = "fake";

UNUSED static const longer_table table = {
    .known =
        {
#ifdef FAKE_SHORT_TABLE
            .size = sizeof(q8k_backend) - 1,
#elif defined(FAKE_LONG_TABLE)
            .size = sizeof(longer_table),
#else
            .size = sizeof(q8k_backend),
#endif
#ifdef FAKE_MAGIC
            .magic = Q8K_BACKEND_MAGIC ^ 0x100,
#else
            .magic = Q8K_BACKEND_MAGIC,
#endif
#ifdef FAKE_ABI_UP
            .abi = Q8K_BACKEND_ABI + 1,
#elif defined(FAKE_ABI_DOWN)
            .abi = Q8K_BACKEND_ABI - 1,
#else
            .abi = Q8K_BACKEND_ABI,
#endif
#ifndef FAKE_NULL_NAME
            .name = own_name,
#endif
#ifdef FAKE_NEEDS_FUTURE
            .cpu_features = Q8K_CPU_BIT(63),
#elif defined(FAKE_NEEDS_CPU) && (defined(__x86_64__) || defined(__i386__))
            .cpu_features = Q8K_CPU_BIT(Q8K_CPU_SVE2),
#elif defined(FAKE_NEEDS_CPU)
            .cpu_features = Q8K_CPU_BIT(Q8K_CPU_AVX),
#endif
#ifdef FAKE_ZERO_BATCH_STEP
            .batch_step = 0,
#else
            .batch_step = BATCH_STEP,
#endif
#ifndef FAKE_NULL_PREPARED_BYTES
            .prepared_bytes = prepared_bytes,
#endif
#ifndef FAKE_NULL_PREPARE
            .prepare = prepare,
#endif
            .format_count = sizeof formats / sizeof *formats,
#ifndef FAKE_NULL_FORMATS
            .formats = formats,
#endif
        },
};

#ifdef FAKE_UNDEFINED_SYMBOL
extern void fake_missing_function(void);
void (*fake_missing)(void) = fake_missing_function;
#endif

#ifdef FAKE_COUNTING
/* One byte in the file that the environment names, each time that the module is mapped. */
__attribute__((constructor)) static void count_load(void) {
    const char *path = getenv("FAKE_COUNT_FILE");
    int file = path != NULL ? open(path, O_WRONLY | O_CREAT | O_APPEND, 0600) : -1;
    if (file < 0 || write(file, "x", 1) != 1)
        abort();
    close(file);
}
#endif

#ifdef FAKE_EARLY
/* Not a backend: a library of some program's, whose constructor is the first to use q8k, and which uses it again when
 * the process ends. The result of the product, or a negative status, is left in the environment. */
static void early_product(const char *variable) {
    uint8_t block[210] = {0};
    float input[BLOCK], output = 0;
    char text[32];
    block[192] = 1;    /* scale of the first 16 weights, which are all -32 */
    block[209] = 0x3c; /* d = 1 */
    for (int k = 0; k < BLOCK; k++)
        input[k] = 1;
    q8k_matmul_args args = {.size = sizeof args,
                            .format = Q8K_FORMAT_Q6_K,
                            .out_features = 1,
                            .in_features = BLOCK,
                            .batch = 1,
                            .weights = block,
                            .weights_bytes = sizeof block,
                            .input = input,
                            .output = &output};
    q8k_status status = q8k_matmul(NULL, &args);
    text[0] = status == Q8K_OK && output == -512 ? '1' : '0';
    text[1] = '\0';
    setenv(variable, text, 1);
}

static void late(void) {
    early_product("FAKE_LATE_RESULT");
    _exit(strcmp(getenv("FAKE_LATE_RESULT"), "1") == 0 ? 17 : 18);
}

__attribute__((constructor)) static void early(void) {
    early_product("FAKE_EARLY_RESULT");
    atexit(late);
}
#endif

/* In a constructor, which a real plugin must not have: the entry may be called by many threads at once. */
__attribute__((constructor)) static void take_name(void) {
    const char *name = getenv("FAKE_NAME");
    if (name != NULL)
        strncpy(own_name, name, sizeof own_name - 1);
#ifdef FAKE_WRONG_NAME
    strcpy(own_name, "another");
#endif
}

#ifdef FAKE_NO_ENTRY
Q8K_API const q8k_backend *q8k_backend_entrance(uint32_t abi);
#define q8k_backend_entry q8k_backend_entrance
#endif

const q8k_backend *q8k_backend_entry(uint32_t abi) {
    (void)abi;
#ifdef FAKE_NULL_ENTRY
    return NULL;
#else
    return &table.known;
#endif
}
