/* SPDX-License-Identifier: MIT */
#include "lib/known_answer.h"

#include <stdlib.h>
#include <string.h>

#include "backends/backend.h"
#include "lib/cpu.h"

/*
 * Everyone who uses the library waits for this test, so the slow part of it, the scalar kernels' answers, is found once
 * for few rows and serves every shape: weight row r is row r % WEIGHT_ROWS again, and batch row b is b % INPUT_ROWS.
 * Both are primes, and larger than 7: a kernel that takes the row before or behind a tile, chunk or panel, which are
 * of 4, 6, 8, 12, 14, 16, 24 or 48 rows, finds another one there.
 */
enum { WEIGHT_ROWS = 11, INPUT_ROWS = 13, BLOCKS_MAX = 2, COLUMNS = BLOCKS_MAX * BLOCK };

struct shape {
    size_t rows, batch, blocks;
};

/*
 * Kernels choose their way by the batch, and for what is left of it. The first shapes are for those that take few batch
 * rows; then panels of 16 and less, two at a time and one, with a remainder; then more weight rows than are decoded at a
 * time. (Not 17 in a batch: what `q8k verify` tries more is tested with that.) One block is enough where the blocks are
 * nothing new. The last shape's batch is large_batch().
 */
static const struct shape shapes[] = {{19, 1, 2}, {6, 2, 2},  {7, 3, 2},   {5, 4, 2},   {6, 5, 2}, {7, 6, 2},
                                      {5, 7, 2},  {5, 11, 2}, {14, 35, 2}, {53, 18, 1}, {5, 0, 1}};
enum { SHAPES = sizeof shapes / sizeof *shapes };

/* The most rows; the largest batch of two blocks, and of the last shape; the most outputs, which that one has. */
enum { ROWS_MAX = 53, DEEP_BATCH = 35, BATCH_MAX = 254, OUTPUTS_MAX = 5 * BATCH_MAX };

/* More panels than eight, which kernels may take as a group, and a last one that is not full. */
static size_t large_batch(const q8k_backend *table) {
    return table->batch_step > BATCH_MAX / 9 ? BATCH_MAX : 9 * table->batch_step - 2;
}

static struct shape shape_of(const q8k_backend *table, size_t i) {
    struct shape shape = shapes[i];
    shape.batch = i + 1 == SHAPES ? large_batch(table) : shape.batch;
    return shape;
}

#define MAX_BLOCK_BYTES 512
#define CHECK_BLOCK_BYTES(name, NAME) _Static_assert(NAME##_BLOCK_BYTES <= MAX_BLOCK_BYTES, "room for a block");
Q8K_EACH_FORMAT(CHECK_BLOCK_BYTES)

/* Of a preparation: what q8k/backend.h says. */
static size_t prepared_limit(size_t blocks) {
    return 2048 * blocks + 4096;
}

/* Answers of all formats in one precision, after one block and after both. */
typedef float answers[Q8K_FORMAT_COUNT][BLOCKS_MAX][INPUT_ROWS][WEIGHT_ROWS];

struct workspace {
    uint8_t weights[Q8K_FORMAT_COUNT][ROWS_MAX * BLOCKS_MAX * MAX_BLOCK_BYTES];
    answers expected;
    float decoded[2][COLUMNS], got[OUTPUTS_MAX];
    /* Behind it, where they are as large as the largest batch makes them. */
    float *input;
    uint8_t *prepared;
};

/* One side of the comparison: a backend, and what it made of the input. */
struct side {
    const q8k_backend *table;
    const q8k_backend_kernels *const *kernels;
};

static const struct side reference = {&q8k_scalar_backend, q8k_scalar_kernels};

static uint32_t next_random(uint64_t *state) {
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(*state >> 32);
}

/* Activations of all sizes, the last column of the last row largest; one block of zeros; one of the largest integers
 * there are, for what saturates or wraps; one with an activation just beyond them, by which the step is doubled. */
static void fill_input(float *input, size_t batch) {
    uint64_t state = 1;
    for (size_t i = 0; i < (size_t)INPUT_ROWS * COLUMNS; i++) {
        float value = (float)(next_random(&state) >> 8) * 0x1p-23f - 1.0f;
        input[i] = i % 37 == 0 ? value * 1000.0f : value;
    }
    for (size_t k = 0; k < BLOCK; k++) {
        input[COLUMNS + k] = 0.0f;
        input[2 * COLUMNS + BLOCK + k] = 4095.25f;
    }
    input[3 * COLUMNS] = -4095.75f;
    input[(size_t)INPUT_ROWS * COLUMNS - 1] = -4097.75f;
    for (size_t b = INPUT_ROWS; b < batch; b++)
        memcpy(input + b * COLUMNS, input + (b - INPUT_ROWS) * COLUMNS, COLUMNS * sizeof *input);
}

/* Every byte at random, so that all quants, scales and reserved bits occur; the first row full scale in every field;
 * the fp16 fields finite, of either sign, and far from overflow. */
static void fill_weights(const q8k_format_info *info, uint8_t *weights) {
    uint64_t state = 2;
    const size_t row = BLOCKS_MAX * info->block_bytes;
    for (size_t i = 0; i < (size_t)WEIGHT_ROWS * BLOCKS_MAX; i++) {
        uint8_t *block = weights + i * info->block_bytes;
        uint32_t random = 0;
        for (size_t k = 0; k < info->block_bytes; k++) {
            random = k % 4 == 0 ? next_random(&state) : random >> 8;
            block[k] = i == 0 ? 0x80 : i == 1 ? 0xff : (uint8_t)random;
        }
        for (uint8_t *d = block + info->d; d < block + info->block_bytes; d += info->block_bytes / info->parts)
            d[1] = (uint8_t)((d[1] & 0x83) | 0x30);
        if (info->dmin >= 0)
            block[info->dmin + 1] = (uint8_t)((block[info->dmin + 1] & 0x83) | 0x34);
    }
    for (size_t r = WEIGHT_ROWS; r < ROWS_MAX; r++)
        memcpy(weights + r * row, weights + (r - WEIGHT_ROWS) * row, row);
}

/* Block by block, as several threads might. */
static void prepare(const struct side *side, q8k_precision precision, size_t batch, size_t blocks,
                    const struct workspace *w) {
    q8k_backend_input in = {.size = sizeof in,
                            .precision = precision,
                            .batch = batch,
                            .blocks = blocks,
                            .input = w->input,
                            .input_stride = COLUMNS,
                            .prepared = w->prepared,
                            .batch_count = batch,
                            .block_count = 1};
    for (; in.block_first < blocks; in.block_first++)
        side->table->prepare(&in);
}

static void multiply(const struct side *side, q8k_precision precision, const struct shape *shape, size_t index,
                     const struct workspace *w, float *output) {
    q8k_backend_product product = {.size = sizeof product,
                                   .precision = precision,
                                   .batch = shape->batch,
                                   .blocks = shape->blocks,
                                   .prepared = w->prepared,
                                   .weights = w->weights[index],
                                   .weights_stride = BLOCKS_MAX * q8k_formats[index].block_bytes,
                                   .row_count = shape->rows,
                                   .batch_count = shape->batch,
                                   .output = output,
                                   .output_stride = shape->rows,
                                   .cpu_features = q8k_cpu_probe().usable};
    side->kernels[index]->matmul(&product);
}

/* A backend's own formats; the others are the reference itself. */
static int has_format(const struct side *side, size_t index) {
    return side->kernels[index] != q8k_scalar_kernels[index];
}

static void find_answers(const struct side *side, q8k_precision precision, struct workspace *w) {
    struct shape shape = {WEIGHT_ROWS, INPUT_ROWS, 1};
    for (; shape.blocks <= BLOCKS_MAX; shape.blocks++) {
        prepare(&reference, precision, INPUT_ROWS, shape.blocks, w);
        for (size_t i = 0; i < Q8K_FORMAT_COUNT; i++)
            if (has_format(side, i))
                multiply(&reference, precision, &shape, i, w, w->expected[i][shape.blocks - 1][0]);
    }
}

/* The index of the first output that differs; the number of outputs if none does. */
static size_t first_difference(const struct shape *shape, const float *got, float (*expected)[WEIGHT_ROWS]) {
    for (size_t b = 0; b < shape->batch; b++)
        for (size_t r = 0; r < shape->rows; r += WEIGHT_ROWS) {
            const float *found = got + b * shape->rows + r, *right = expected[b % INPUT_ROWS];
            size_t count = shape->rows - r < WEIGHT_ROWS ? shape->rows - r : WEIGHT_ROWS;
            if (memcmp(found, right, count * sizeof *found) == 0)
                continue;
            while (memcmp(found, right++, sizeof *found) == 0)
                found++;
            return (size_t)(found - got);
        }
    return shape->batch * shape->rows;
}

static int check_product(const struct side *side, q8k_precision precision, const struct shape *shape, size_t index,
                         struct workspace *w, q8k_text *why) {
    float(*expected)[WEIGHT_ROWS] = w->expected[index][shape->blocks - 1];
    /* What a kernel forgets to write is a NaN. */
    memset(w->got, 0xff, shape->batch * shape->rows * sizeof *w->got);
    multiply(side, precision, shape, index, w, w->got);
    size_t at = first_difference(shape, w->got, expected), b = at / shape->rows, r = at % shape->rows;
    if (b == shape->batch)
        return 1;
    return q8k_say(why,
                   "known answer of matmul, %s, %s, %zu rows, batch %zu: output %zu of batch row %zu is %a, not %a",
                   q8k_formats[index].name, q8k_precision_name(precision), shape->rows, shape->batch, r, b,
                   (double)w->got[at], (double)expected[b % INPUT_ROWS][r % WEIGHT_ROWS]);
}

/* One preparation serves every format. */
static int check_products(const struct side *side, q8k_precision precision, struct workspace *w, q8k_text *why) {
    for (size_t i = 0; i < SHAPES; i++) {
        struct shape shape = shape_of(side->table, i);
        prepare(side, precision, shape.batch, shape.blocks, w);
        for (size_t index = 0; index < Q8K_FORMAT_COUNT; index++)
            if (has_format(side, index) && !check_product(side, precision, &shape, index, w, why))
                return 0;
    }
    return 1;
}

/* Each row in one call or block by block: an output is the sum that starts from zero. */
static int check_accumulate(const struct side *side, q8k_precision precision, size_t index, const struct workspace *w,
                            q8k_text *why) {
    const size_t block_bytes = q8k_formats[index].block_bytes;
    for (size_t r = 0; r < WEIGHT_ROWS; r++) {
        const uint8_t *row = w->weights[index] + r * BLOCKS_MAX * block_bytes;
        const float *input = w->input + r * COLUMNS, expected = w->expected[index][BLOCKS_MAX - 1][r][r];
        const size_t blocks = r % 2 == 0 ? BLOCKS_MAX : 1;
        float sum = 0;
        for (size_t i = 0; i < BLOCKS_MAX; i += blocks)
            side->kernels[index]->accumulate(precision, blocks, row + i * block_bytes, input + i * BLOCK, &sum);
        if (memcmp(&expected, &sum, sizeof sum) != 0)
            return q8k_say(why, "known answer of accumulate, %s, %s: row %zu is %a, not %a", q8k_formats[index].name,
                           q8k_precision_name(precision), r, (double)sum, (double)expected);
    }
    return 1;
}

static int check_decode(const struct side *side, size_t index, struct workspace *w, q8k_text *why) {
    const size_t row_bytes = BLOCKS_MAX * q8k_formats[index].block_bytes;
    for (size_t r = 0; r < WEIGHT_ROWS; r++) {
        reference.kernels[index]->decode(BLOCKS_MAX, w->weights[index] + r * row_bytes, w->decoded[0]);
        side->kernels[index]->decode(BLOCKS_MAX, w->weights[index] + r * row_bytes, w->decoded[1]);
        for (size_t k = 0; k < COLUMNS; k++)
            if (memcmp(&w->decoded[0][k], &w->decoded[1][k], sizeof(float)) != 0)
                return q8k_say(why, "known answer of decode, %s: weight %zu of row %zu is %a, not %a",
                               q8k_formats[index].name, k, r, (double)w->decoded[1][k], (double)w->decoded[0][k]);
    }
    return 1;
}

static int check_prepared_bytes(const q8k_backend *table, q8k_text *why) {
    for (q8k_precision precision = 0; q8k_precision_name(precision) != NULL; precision++)
        for (size_t i = 0; i < SHAPES; i++) {
            struct shape shape = shape_of(table, i);
            size_t limit = prepared_limit(shape.batch * shape.blocks);
            size_t bytes = table->prepared_bytes(precision, shape.batch, shape.blocks);
            if (bytes > limit)
                return q8k_say(why, "prepared_bytes is %zu for batch %zu of %zu blocks (limit %zu)", bytes, shape.batch,
                               shape.blocks, limit);
        }
    return 1;
}

static int check_precision(const struct side *side, q8k_precision precision, struct workspace *w, q8k_text *why) {
    find_answers(side, precision, w);
    for (size_t i = 0; i < Q8K_FORMAT_COUNT; i++)
        if (has_format(side, i) && !check_accumulate(side, precision, i, w, why))
            return 0;
    return check_products(side, precision, w, why);
}

static __attribute__((noinline)) int check_all(const struct side *side, size_t batch, struct workspace *w,
                                               q8k_text *why) {
    fill_input(w->input, batch);
    for (size_t i = 0; i < Q8K_FORMAT_COUNT; i++) {
        if (!has_format(side, i))
            continue;
        fill_weights(&q8k_formats[i], w->weights[i]);
        if (!check_decode(side, i, w, why))
            return 0;
    }
    for (q8k_precision precision = 0; q8k_precision_name(precision) != NULL; precision++)
        if (!check_precision(side, precision, w, why))
            return 0;
    return 1;
}

/* The promises on bits are for the default floating-point mode, and the caller may be in another one. */
#if defined(__SSE__)
typedef unsigned floating_point_mode;

static floating_point_mode enter_default_mode(void) {
    floating_point_mode before = __builtin_ia32_stmxcsr();
    __builtin_ia32_ldmxcsr(0x1f80);
    return before;
}

static void leave_default_mode(floating_point_mode before) {
    __builtin_ia32_ldmxcsr(before);
}
#elif defined(__aarch64__)
typedef uint64_t floating_point_mode;

static floating_point_mode enter_default_mode(void) {
    floating_point_mode before;
    __asm__ volatile("mrs %0, fpcr\n\tmsr fpcr, xzr" : "=&r"(before) : : "memory");
    return before;
}

static void leave_default_mode(floating_point_mode before) {
    __asm__ volatile("msr fpcr, %0" : : "r"(before) : "memory");
}
#else
typedef int floating_point_mode;

static floating_point_mode enter_default_mode(void) {
    return 0;
}

static void leave_default_mode(floating_point_mode before) {
    (void)before;
}
#endif

int q8k_known_answer(const q8k_loaded *candidate, q8k_text *why) {
    const struct side side = {candidate->table, candidate->kernels};
    const size_t large = large_batch(side.table), batch = large > DEEP_BATCH ? large : DEEP_BATCH;
    const size_t input_bytes = batch * COLUMNS * sizeof(float);
    const size_t prepared_bytes = prepared_limit(large > 2 * DEEP_BATCH ? large : 2 * DEEP_BATCH);
    if (!check_prepared_bytes(side.table, why))
        return 0;
    struct workspace *w = malloc(sizeof *w + input_bytes + prepared_bytes + 63);
    if (w == NULL)
        return -1;
    w->input = (float *)(void *)(w + 1);
    w->prepared = (uint8_t *)(((uintptr_t)w->input + input_bytes + 63) & ~(uintptr_t)63);
    const floating_point_mode before = enter_default_mode();
    int good = check_all(&side, batch, w, why);
    leave_default_mode(before);
    free(w);
    return good;
}
