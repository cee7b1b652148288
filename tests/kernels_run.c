/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kernels.h"

/* One function on one case and one backend. */
typedef struct run {
    const kernel_case *c;
    reference *ref;
    const backend *b;
    results *r;
    const char *function;
    bool failed;
} run;

enum { REPORTS_MAX = 40 };

static struct { arena weights, input, prepared, output; } memory;

/* ------------------------------------------------------------------------------------------------- reports --- */

/* Kept up to date for the signal handler, which can no longer print. */
static char running[512] = "while backends were loaded\n";

static void describe(const run *t) {
    const kernel_case *c = t->c;
    snprintf(running, sizeof running,
             "%s: tests/kernels --backend %s --format %s --precision %s --kind %s --rows %zu --cols %zu --batch %zu "
             "--parts %zu --seed %" PRIu64 "\n",
             t->function, t->b->name, q8k_format_name(c->format), q8k_precision_name(c->precision), kind_name(c->kind),
             c->rows, c->blocks * BLOCK, c->batch, c->parts, c->seed);
}

/* The first failure of a run counts. Returns false. */
__attribute__((format(printf, 2, 3))) static bool fail(run *t, const char *text, ...) {
    va_list arguments;
    if (!t->failed && t->r->failed < REPORTS_MAX) {
        printf("FAILED %s    ", running);
        va_start(arguments, text);
        vprintf(text, arguments);
        va_end(arguments);
        printf("\n");
    } else if (!t->failed && t->r->failed == REPORTS_MAX) {
        printf("FAILED: more, which are only counted\n");
    }
    t->failed = true;
    return false;
}

static bool succeeds(run *t, q8k_status status) {
    return status == Q8K_OK || fail(t, "%s: %s", q8k_status_name(status), q8k_last_error());
}

static void write_text(const char *text) {
    if (write(STDOUT_FILENO, text, strlen(text)) < 0)
        _exit(1);
}

static void on_signal(int number) {
    static const struct {
        int number;
        const char *text;
    } known[] = {{SIGSEGV, "SIGSEGV, most likely a guard page was touched"},
                 {SIGBUS, "SIGBUS"},
                 {SIGILL, "SIGILL"},
                 {SIGFPE, "SIGFPE"},
                 {SIGABRT, "SIGABRT, most likely beside an allocation"}};
    write_text("FAILED (");
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (known[i].number == number)
            write_text(known[i].text);
    write_text(") ");
    write_text(running);
    _exit(1);
}

void report_signals(void) {
    static const int numbers_of[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT};
    struct sigaction action = {.sa_handler = on_signal};
    for (size_t i = 0; i < sizeof numbers_of / sizeof *numbers_of; i++)
        sigaction(numbers_of[i], &action, NULL);
}

/* -------------------------------------------------------------------------------------------------- layout --- */

static const uint8_t *place_weights(const run *t, const layout *l, size_t *bytes, size_t *stride) {
    const size_t row = t->c->blocks * t->ref->block_bytes;
    *stride = row + l->weights_gap;
    *bytes = (t->c->rows - 1) * *stride + row;
    uint8_t *to = arena_take(&memory.weights, *bytes, l->weights);
    memset(to, CANARY, *bytes);
    for (size_t r = 0; r < t->c->rows; r++)
        memcpy(to + r * *stride, reference_weights(t->ref, r, 0), row);
    return to;
}

/* Bytes of `rows` rows of floats, `gap` floats apart. */
static size_t floats_bytes(size_t rows, size_t columns, size_t gap) {
    return rows == 0 ? 0 : ((rows - 1) * (columns + gap) + columns) * sizeof(float);
}

static const float *place_input(const run *t, const layout *l) {
    const size_t columns = t->c->blocks * BLOCK, bytes = floats_bytes(t->c->batch, columns, l->input_gap);
    uint8_t *to = arena_take(&memory.input, bytes, l->input);
    /* What lies between rows is a NaN. */
    memset(to, 0xff, bytes);
    for (size_t b = 0; b < t->c->batch; b++)
        memcpy(to + b * (columns + l->input_gap) * sizeof(float), reference_input(t->ref, b, 0),
               columns * sizeof(float));
    return (const float *)(const void *)to;
}

static float *place_output(size_t rows, size_t columns, const layout *l) {
    const size_t bytes = floats_bytes(rows, columns, l->output_gap);
    uint8_t *to = arena_take(&memory.output, bytes, l->output);
    memset(to, CANARY, bytes);
    return (float *)(void *)to;
}

/* --------------------------------------------------------------------------------------------- comparisons --- */

/* The same bits, or both NaN. */
static bool same(float a, float b) {
    return memcmp(&a, &b, sizeof a) == 0 || (a != a && b != b);
}

/* What was written besides `rows` rows of floats. */
static bool check_surroundings(run *t, const float *output, size_t rows, size_t columns, size_t gap) {
    const uint8_t *bytes = (const uint8_t *)(const void *)output;
    if (!arena_intact(&memory.output, bytes, floats_bytes(rows, columns, gap)))
        return fail(t, "wrote beside the output");
    for (size_t i = 0; i + 1 < rows; i++)
        if (!all_canaries((const uint8_t *)(const void *)(output + i * (columns + gap) + columns), gap * sizeof(float)))
            return fail(t, "wrote between rows %zu and %zu of the output", i, i + 1);
    return true;
}

static bool check_product(run *t, const q8k_matmul_args *args, const layout *l) {
    for (size_t b = 0; b < t->c->batch; b++)
        for (size_t r = 0; r < t->c->rows; r++) {
            float found = args->output[b * args->output_stride + r];
            float expected = reference_sum(t->ref, r, b, t->c->blocks);
            if (!same(found, expected))
                return fail(t, "row %zu, batch row %zu: %a, not %a", r, b, (double)found, (double)expected);
        }
    return check_surroundings(t, args->output, t->c->batch, t->c->rows, l->output_gap);
}

/* ----------------------------------------------------------------------------------------------- functions --- */

static q8k_matmul_args place_product(const run *t, const layout *l) {
    q8k_matmul_args args = {.size = sizeof args,
                            .format = t->c->format,
                            .precision = t->c->precision,
                            .out_features = t->c->rows,
                            .in_features = t->c->blocks * BLOCK,
                            .batch = t->c->batch};
    args.weights = place_weights(t, l, &args.weights_bytes, &args.weights_stride);
    args.input = place_input(t, l);
    args.input_stride = args.in_features + l->input_gap;
    args.output = place_output(args.batch, args.out_features, l);
    args.output_stride = args.out_features + l->output_gap;
    return args;
}

static void run_matmul(run *t, const layout *l) {
    q8k_matmul_args args = place_product(t, l);
    if (succeeds(t, q8k_matmul(t->b->context, &args)))
        check_product(t, &args, l);
}

/* Which part comes as number i. */
static size_t part_of(const run *t, const layout *l, size_t i) {
    return l->backwards ? t->c->parts - 1 - i : i;
}

/* The input of a product, prepared in parts; NULL if that fails. */
static uint8_t *prepare_parts(run *t, const layout *l, q8k_matmul_args *args, size_t *bytes) {
    q8k_input_args input = {.size = sizeof input,
                            .precision = args->precision,
                            .in_features = args->in_features,
                            .batch = args->batch,
                            .input = args->input,
                            .input_stride = args->input_stride};
    if (!succeeds(t, q8k_input_bytes(t->b->context, &input, bytes)))
        return NULL;
    uint8_t *prepared = arena_take(&memory.prepared, *bytes, l->prepared);
    memset(prepared, CANARY, *bytes);
    args->input = NULL;
    for (size_t i = 0; i < t->c->parts; i++)
        if (!succeeds(t, q8k_input_prepare(t->b->context, &input, prepared, *bytes, part_of(t, l, i), t->c->parts)))
            return NULL;
    return prepared;
}

static void run_prepared(run *t, const layout *l) {
    q8k_matmul_args args = place_product(t, l);
    size_t bytes = 0;
    uint8_t *prepared = prepare_parts(t, l, &args, &bytes);
    for (size_t i = 0; prepared != NULL && i < t->c->parts; i++)
        if (!succeeds(t, q8k_matmul_prepared(t->b->context, &args, prepared, bytes, part_of(t, l, i), t->c->parts)))
            return;
    if (prepared == NULL)
        return;
    if (!arena_intact(&memory.prepared, prepared, bytes))
        fail(t, "wrote beside the prepared input");
    check_product(t, &args, l);
}

/* What one part wrote: right, and of no other part. */
static bool check_part(run *t, const q8k_matmul_args *args, size_t part, bool *written) {
    for (size_t b = 0; b < args->batch; b++)
        for (size_t r = 0; r < args->out_features; r++) {
            const float found = args->output[b * args->output_stride + r];
            const float expected = reference_sum(t->ref, r, b, t->c->blocks);
            bool *seen = &written[b * args->out_features + r];
            if (all_canaries((const uint8_t *)(const void *)&found, sizeof found))
                continue;
            if (*seen)
                return fail(t, "part %zu wrote row %zu, batch row %zu, which another part had written", part, r, b);
            if (!same(found, expected))
                return fail(t, "part %zu: row %zu, batch row %zu: %a, not %a", part, r, b, (double)found,
                            (double)expected);
            *seen = true;
        }
    return true;
}

/* Each part by itself: threads that run others meanwhile must not meet it. */
static void run_apart(run *t, const layout *l) {
    q8k_matmul_args args = place_product(t, l);
    size_t bytes = 0;
    uint8_t *prepared = prepare_parts(t, l, &args, &bytes);
    bool *written = need_memory(args.batch * args.out_features * sizeof *written);
    memset(written, 0, args.batch * args.out_features * sizeof *written);
    bool good = prepared != NULL;
    for (size_t part = 0; good && part < t->c->parts; part++) {
        memset(args.output, CANARY, floats_bytes(args.batch, args.out_features, l->output_gap));
        good = succeeds(t, q8k_matmul_prepared(t->b->context, &args, prepared, bytes, part, t->c->parts)) &&
               check_part(t, &args, part, written);
    }
    for (size_t i = 0; good && i < args.batch * args.out_features; i++)
        if (!written[i])
            good = fail(t, "no part wrote row %zu, batch row %zu", i % args.out_features, i / args.out_features);
    free(written);
}

/* Adds blocks `first` to `last` - 1 to what the ones before make. */
static bool run_piece(run *t, const q8k_matmul_args *product, size_t r, size_t b, size_t first, size_t last) {
    float *sum = (float *)(void *)arena_take(&memory.output, sizeof *sum, (place){.at_end = (first + r) % 2 == 0});
    *sum = reference_sum(t->ref, r, b, first);
    q8k_accumulate_args args = {.size = sizeof args,
                                .format = t->c->format,
                                .precision = t->c->precision,
                                .in_features = (last - first) * BLOCK,
                                .weights = (const uint8_t *)product->weights + r * product->weights_stride +
                                           first * t->ref->block_bytes,
                                .weights_bytes = (last - first) * t->ref->block_bytes,
                                .input = product->input + b * product->input_stride + first * BLOCK,
                                .sum = sum};
    if (!succeeds(t, q8k_accumulate(t->b->context, &args)))
        return false;
    float expected = reference_sum(t->ref, r, b, last);
    if (!same(*sum, expected))
        return fail(t, "row %zu, batch row %zu, blocks %zu to %zu: %a, not %a", r, b, first, last - 1, (double)*sum,
                    (double)expected);
    return check_surroundings(t, sum, 1, 1, 0);
}

/* Every output, all blocks at once or some at a time. */
static void run_accumulate(run *t, const layout *l) {
    const q8k_matmul_args product = place_product(t, l);
    for (size_t b = 0; b < t->c->batch; b++)
        for (size_t r = 0; r < t->c->rows; r++) {
            const size_t piece = (r + b) % 2 == 0 ? t->c->blocks : 1 + (r + b) / 2 % t->c->blocks;
            for (size_t first = 0; first < t->c->blocks; first += piece)
                if (!run_piece(t, &product, r, b, first, t->c->blocks - first < piece ? t->c->blocks : first + piece))
                    return;
        }
}

static void run_dequantize(run *t, const layout *l) {
    const size_t rows = t->c->rows, columns = t->c->blocks * BLOCK;
    q8k_dequantize_args args = {.size = sizeof args, .format = t->c->format, .rows = rows, .cols = columns};
    args.weights = place_weights(t, l, &args.weights_bytes, &args.weights_stride);
    args.output = place_output(rows, columns, l);
    args.output_stride = columns + l->output_gap;
    if (!succeeds(t, q8k_dequantize(t->b->context, &args)))
        return;
    for (size_t r = 0; r < rows; r++) {
        const float *found = args.output + r * args.output_stride;
        const float *expected = reference_decoded(t->ref, r, t->c->blocks);
        for (size_t k = 0; k < columns; k++)
            if (!same(found[k], expected[k])) {
                fail(t, "row %zu, weight %zu: %a, not %a", r, k, (double)found[k], (double)expected[k]);
                return;
            }
    }
    check_surroundings(t, args.output, rows, columns, l->output_gap);
}

/* The sums one by one: of few batch rows, and of a shape in which each kind of row meets each kind of activations. */
static bool accumulates(const kernel_case *c) {
    return c->batch <= 2 || (c->rows == 13 && c->batch == 33);
}

/* Parts one by one, which depend on the shape and not on the numbers. */
static bool divides(const kernel_case *c) {
    return c->parts > 1 && c->kind == KIND_RANDOM;
}

/* The weights depend on neither batch nor precision. */
static bool decodes(const kernel_case *c) {
    return c->batch <= 2 && c->precision == Q8K_PRECISION_FLOAT;
}

void run_case(const kernel_case *c, reference *ref, const backend *b, results *r) {
    static const struct {
        const char *name;
        void (*run)(run *t, const layout *l);
        int layouts;
    } functions[] = {{"q8k_matmul", run_matmul, 1}, /* the kernels of the next one, with a workspace of its own */
                     {"q8k_matmul_prepared", run_prepared, 2},
                     {"q8k_matmul_prepared, parts apart", run_apart, 1},
                     {"q8k_accumulate", run_accumulate, 2},
                     {"q8k_dequantize", run_dequantize, 2}};
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        if ((functions[i].run == run_accumulate && !accumulates(c)) ||
            (functions[i].run == run_dequantize && !decodes(c)) || (functions[i].run == run_apart && !divides(c)))
            continue;
        for (int second = 0; second < functions[i].layouts; second++) {
            const layout l = layout_of(c, second == 1);
            run t = {.c = c, .ref = ref, .b = b, .r = r, .function = functions[i].name};
            describe(&t);
            functions[i].run(&t, &l);
            if (t.failed)
                r->failed++;
            else
                r->passed++;
        }
    }
}
