/* SPDX-License-Identifier: MIT */
/* NaN and infinity, and the floating-point environment. */
#define _GNU_SOURCE
#include "suites.h"

#include <fenv.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "blocks.h"
#include "child.h"
#include "support.h"
#include "tools/definition.h"

enum { SPECIAL_ROWS = 5, SPECIAL_BLOCKS = 3, SPECIAL_BATCH = 5 };

typedef struct special_case {
    const product *p;  /* with the special value in it; its `expected` is from before */
    size_t row, batch; /* what depends on it; SIZE_MAX: all */
    const char *what;
} special_case;

static void check_special_output(const q8k_context *context, const special_case *c, const float *output,
                                 const char *how) {
    for (size_t i = 0; i < SPECIAL_BATCH * SPECIAL_ROWS; i++) {
        size_t b = i / SPECIAL_ROWS, r = i % SPECIAL_ROWS;
        bool reached = (c->row == SIZE_MAX || c->row == r) && (c->batch == SIZE_MAX || c->batch == b);
        require(reached ? !isfinite(output[i]) : same_float(output[i], c->p->expected[i]),
                "%s, %s by %s: row %zu, batch row %zu: %a", c->what, how, q8k_context_backend(context), r, b,
                (double)output[i]);
    }
}

static void check_special(const q8k_context *context, const void *data) {
    const special_case *c = data;
    float output[SPECIAL_BATCH * SPECIAL_ROWS];
    q8k_matmul_args args = c->p->args;
    args.output = output;
    require(q8k_matmul(context, &args) == Q8K_OK, "%s", q8k_last_error());
    check_special_output(context, c, output, "q8k_matmul");
    for (size_t i = 0; i < SPECIAL_BATCH * SPECIAL_ROWS; i++) {
        q8k_accumulate_args one = {.size = sizeof one,
                                   .format = args.format,
                                   .precision = args.precision,
                                   .in_features = args.in_features,
                                   .weights = c->p->weights + i % SPECIAL_ROWS * c->p->row_bytes,
                                   .weights_bytes = c->p->row_bytes,
                                   .input = c->p->input + i / SPECIAL_ROWS * args.in_features,
                                   .sum = &output[i]};
        output[i] = 0;
        require(q8k_accumulate(context, &one) == Q8K_OK, "%s", q8k_last_error());
    }
    check_special_output(context, c, output, "q8k_accumulate");
}

static product special_product(test_random *random, int index) {
    product p =
        product_make(random, format_of(index), precision_of(index), SPECIAL_ROWS, SPECIAL_BLOCKS, SPECIAL_BATCH);
    size_t block_bytes = definition_block_bytes(p.args.format);
    for (size_t i = 0; i < SPECIAL_ROWS * SPECIAL_BLOCKS; i++)
        block_fill(random, p.args.format, BLOCK_RANDOM, p.weights + i * block_bytes);
    for (size_t i = 0; i < SPECIAL_BATCH * SPECIAL_BLOCKS; i++)
        input_fill(random, p.args.precision, INPUT_NORMAL, p.input + i * 256);
    product_expect(&p);
    for (size_t i = 0; i < SPECIAL_BATCH * SPECIAL_ROWS; i++)
        ck_assert(isfinite(p.expected[i]));
    return p;
}

START_TEST(a_special_activation_reaches_its_batch_row) {
    static const size_t places[] = {0, 1, 7, 31, 127, 128, 255};
    const float values[] = {NAN, INFINITY, -INFINITY};
    test_random random = random_start(801 + (uint64_t)_i);
    product p = special_product(&random, _i);
    for (size_t i = 0; i < sizeof places / sizeof *places * 3; i++) {
        special_case c = {
            .p = &p, .row = SIZE_MAX, .batch = random_below(&random, SPECIAL_BATCH), .what = "activation"};
        float *x = p.input + c.batch * p.args.in_features + random_below(&random, SPECIAL_BLOCKS) * 256 + places[i / 3];
        float before = *x;
        *x = values[i % 3];
        on_every_backend(check_special, &c);
        *x = before;
    }
    product_free(&p);
}
END_TEST

START_TEST(a_special_factor_reaches_its_row) {
    static const unsigned values[] = {0x7c00, 0xfc00, 0x7e00, 0x7c01, 0xffff};
    test_random random = random_start(901 + (uint64_t)_i);
    product p = special_product(&random, _i);
    size_t block_bytes = definition_block_bytes(p.args.format);
    bool has_min = definition_has_min(p.args.format);
    for (size_t i = 0; i < sizeof values / sizeof *values * (has_min ? 2 : 1); i++) {
        special_case c = {.p = &p, .row = random_below(&random, SPECIAL_ROWS), .batch = SIZE_MAX};
        uint8_t *block = p.weights + c.row * p.row_bytes + random_below(&random, SPECIAL_BLOCKS) * block_bytes;
        uint8_t before[292];
        memcpy(before, block, block_bytes);
        c.what = i < 5 ? "d" : "dmin";
        block_factors(p.args.format, block, 0x3000, i < 5 ? 0x3000 : values[i - 5]);
        /* One d of several is enough. */
        uint8_t *d = definition_d(p.args.format, block, i);
        d = d != NULL ? d : definition_d(p.args.format, block, 0);
        d[0] = (uint8_t)(i < 5 ? values[i] : 0x00);
        d[1] = (uint8_t)(i < 5 ? values[i] >> 8 : 0x30);
        on_every_backend(check_special, &c);
        memcpy(block, before, block_bytes);
    }
    product_free(&p);
}
END_TEST

/* ---------------------------------------------------------------------------------------------- environment --- */

/* The control bits of the floating-point unit: rounding, flushing of subnormals, traps. */
static uint64_t control_bits(void) {
#if defined(__x86_64__) || defined(__SSE__)
    return __builtin_ia32_stmxcsr() & 0xffc0;
#elif defined(__aarch64__)
    uint64_t bits;
    __asm__ volatile("mrs %0, fpcr" : "=r"(bits));
    return bits;
#else
    return (uint64_t)fegetround();
#endif
}

static void set_control_bits(uint64_t bits) {
#if defined(__x86_64__) || defined(__SSE__)
    __builtin_ia32_ldmxcsr((unsigned)bits);
#elif defined(__aarch64__)
    __asm__ volatile("msr fpcr, %0" : : "r"(bits));
#else
    fesetround((int)bits);
#endif
}

/* Every function that computes. */
static void compute_everything(const q8k_context *context, const product *p) {
    size_t elements = p->args.out_features * p->args.in_features;
    float *floats = test_alloc(elements * sizeof *floats);
    product_check_matmul(context, p);
    product_check_parts(context, p, 2, 2, false);
    product_check_accumulate(context, p, 1);
    q8k_dequantize_args decode = {.size = sizeof decode,
                                  .format = p->args.format,
                                  .rows = p->args.out_features,
                                  .cols = p->args.in_features,
                                  .weights = p->weights,
                                  .weights_bytes = p->args.weights_bytes,
                                  .output = floats};
    ck_assert_int_eq(q8k_dequantize(context, &decode), Q8K_OK);
    q8k_quantize_args encode = {.size = sizeof encode,
                                .format = p->args.format,
                                .rows = p->args.batch,
                                .cols = p->args.in_features,
                                .input = p->input,
                                .weights = test_alloc(p->args.batch * p->row_bytes),
                                .weights_bytes = p->args.batch * p->row_bytes};
    ck_assert_int_eq(q8k_quantize(&encode), Q8K_OK);
    free(encode.weights);
    free(floats);
}

#if defined(__x86_64__) || defined(__SSE__)
static const uint64_t modes[] = {0x1f80, 0x3f80, 0x5f80, 0x7f80, 0x9fc0, 0xffc0};
#elif defined(__aarch64__)
static const uint64_t modes[] = {0, 1 << 22, 2 << 22, 3 << 22, 1 << 24, 7 << 22};
#else
static const uint64_t modes[] = {FE_TONEAREST};
#endif
enum { MODES = sizeof modes / sizeof *modes };

/* The promises on bits are for the default mode alone, but sums of small integers come out the same in all. */
static void check_modes(const q8k_context *context, const void *data) {
    uint64_t before = control_bits();
    for (size_t i = 0; i < MODES; i++) {
        set_control_bits(modes[i]);
        uint64_t set = control_bits();
        compute_everything(context, data);
        uint64_t after = control_bits();
        set_control_bits(before);
        require(after == set, "%s: floating-point control 0x%x became 0x%x", q8k_context_backend(context),
                (unsigned)set, (unsigned)after);
    }
}

START_TEST(the_floating_point_environment_is_left_alone) {
    test_random random = random_start(1001 + (uint64_t)_i);
    product p = special_product(&random, _i);
    size_t block_bytes = definition_block_bytes(p.args.format);
    for (size_t i = 0; i < SPECIAL_ROWS * SPECIAL_BLOCKS; i++) {
        block_fill(&random, p.args.format, BLOCK_LARGEST, p.weights + i * block_bytes);
        block_factors(p.args.format, p.weights + i * block_bytes, 0x3c00, 0x3c00);
    }
    /* One activation a row: no output is zero, the sign of which depends on the mode. */
    for (size_t i = 0; i < SPECIAL_BATCH * SPECIAL_BLOCKS * 256; i++)
        p.input[i] = i % (SPECIAL_BLOCKS * 256) == 77 ? 127.0F : 0.0F;
    product_expect(&p);
    on_every_backend(check_modes, &p);
    product_free(&p);
}
END_TEST

/* The known answers are computed in the default mode, whatever the caller's is. */
typedef struct first_use {
    uint64_t mode;
    char wanted[64];
} first_use;

static int use_in_mode(void *data) {
    const first_use *use = data;
    q8k_context *context = NULL;
    set_control_bits(use->mode);
    uint64_t set = control_bits();
    if (q8k_context_create(&context, NULL) != Q8K_OK)
        return 1;
    int found = control_bits() != set ? 2 : strcmp(q8k_context_backend(context), use->wanted) != 0 ? 3 : 0;
    q8k_context_destroy(context);
    return found;
}

START_TEST(the_first_use_may_be_in_any_mode) {
    first_use use = {.mode = modes[_i]};
    outcome found;
    child_environment environment = {.backend_dir = test_folder("Q8K_BACKEND_DIR")};
    child_run(&environment, &found);
    memcpy(use.wanted, found.backend, sizeof use.wanted);
    ck_assert_str_ne(use.wanted, "builtin");
    ck_assert_int_eq(child_call(&environment, use_in_mode, &use), 0);
}
END_TEST

Suite *suite_specials(void) {
    Suite *suite = suite_create("specials");
    TCase *tests = tcase_create("specials");
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, a_special_activation_reaches_its_batch_row, 0, EVERY_PAIR);
    tcase_add_loop_test(tests, a_special_factor_reaches_its_row, 0, EVERY_PAIR);
    tcase_add_loop_test(tests, the_floating_point_environment_is_left_alone, 0, EVERY_PAIR);
#ifndef Q8K_BUILTIN_BACKENDS
    tcase_add_loop_test(tests, the_first_use_may_be_in_any_mode, 0, MODES);
#else
    (void)the_first_use_may_be_in_any_mode;
#endif
    suite_add_tcase(suite, tests);
    return suite;
}
