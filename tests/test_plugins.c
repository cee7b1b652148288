/* SPDX-License-Identifier: MIT */
/* Plugins that are right or wrong in one thing: tests/fake_plugin.c lists them. */
#define _GNU_SOURCE
#include "suites.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <q8k/backend.h>

#include "child.h"
#include "support.h"

/* Runs a variant in place of the library's own plugin, where what is wrong with it costs speed alone, and by a name of
 * its own, where it is an error. */
static void run_both(const char *variant, outcome *automatic, outcome *forced) {
    char folder[TEST_PATH_BYTES], file[TEST_PATH_BYTES];
    fake_path(file, variant);
    plugin_folder(folder, file, "scalar");
    child_run(&(child_environment){.backend_dir = folder, .fake_name = "scalar"}, automatic);
    folder_remove(folder);
    plugin_folder(folder, file, "fake");
    child_run(&(child_environment){.backend_dir = folder, .backend = "fake"}, forced);
    folder_remove(folder);
}

static const char *const good_variants[] = {"good", "some_formats", "long_table", "wide"};

START_TEST(good_plugins_are_used) {
    outcome automatic, forced;
    run_both(good_variants[_i], &automatic, &forced);
    expect_used(&automatic, "scalar", good_variants[_i]);
    expect_used(&forced, "fake", good_variants[_i]);
    ck_assert_str_eq(automatic.printed, "");
    ck_assert_str_eq(forced.printed, "");
}
END_TEST

/* All that the arithmetic suites ask of the library's own kernels is asked of a product in parts as well, since the
 * fake's steps are not 1 and its prepared form is its own; formats it lacks take another. */
static int compute_parts(void *data) {
    (void)data;
    char wrong[512];
    q8k_context_options options = {.size = sizeof options, .backend = "fake"};
    q8k_context *context = NULL;
    if (q8k_context_create(&context, &options) != Q8K_OK || !child_products_right(context, wrong, sizeof wrong))
        return 1;
    for (q8k_format format = 1; format <= 4; format++) {
        enum { ROWS = 10, BATCH = 7 };
        uint8_t weights[ROWS * 292];
        float input[BATCH * 256], whole[BATCH * ROWS], parts[BATCH * ROWS];
        memset(weights, 0x31, sizeof weights);
        for (size_t i = 0; i < (size_t)BATCH * 256; i++)
            input[i] = (float)(i % 77);
        q8k_input_args in = {.size = sizeof in, .in_features = 256, .batch = BATCH, .input = input};
        q8k_matmul_args args = {.size = sizeof args,
                                .format = format,
                                .out_features = ROWS,
                                .in_features = 256,
                                .batch = BATCH,
                                .weights = weights,
                                .weights_bytes = ROWS * q8k_format_block_bytes(format),
                                .input = input,
                                .output = whole};
        size_t bytes = 0;
        if (q8k_matmul(NULL, &args) != Q8K_OK || q8k_input_bytes(context, &in, &bytes) != Q8K_OK)
            return 2;
        void *prepared = malloc(bytes);
        args.output = parts;
        for (size_t i = 0; i < 5; i++)
            if (prepared == NULL || q8k_input_prepare(context, &in, prepared, bytes, 4 - i, 5) != Q8K_OK)
                return 3;
        for (size_t i = 0; i < 9; i++)
            if (q8k_matmul_prepared(context, &args, prepared, bytes, 8 - i, 9) != Q8K_OK)
                return 4;
        free(prepared);
        if (memcmp(whole, parts, sizeof whole) != 0)
            return 5;
    }
    q8k_context_destroy(context);
    return 0;
}

START_TEST(good_plugins_compute_in_parts) {
    char folder[TEST_PATH_BYTES], file[TEST_PATH_BYTES];
    fake_path(file, good_variants[_i]);
    plugin_folder(folder, file, "fake");
    ck_assert_int_eq(child_call(&(child_environment){.backend_dir = folder}, compute_parts, NULL), 0);
    folder_remove(folder);
}
END_TEST

static const struct {
    const char *variant;
    const char *words[5];
} bad_variants[] = {
    {"magic", {"magic", "0x426b3871", "0x426b3971"}},
    {"abi_up", {"ABI", "1", "2"}},
    {"abi_down", {"ABI", "0", "1"}},
    {"short_table", {"table"}},
    {"short_kernels", {"formats[0]"}},
    {"null_prepared_bytes", {"prepared_bytes"}},
    {"null_prepare", {"prepare is NULL"}},
    {"null_matmul", {"matmul", "NULL"}},
    {"null_accumulate", {"accumulate", "NULL"}},
    {"null_decode", {"decode", "NULL"}},
    {"null_format", {"formats[8]", "NULL"}},
    {"null_formats", {"formats", "NULL"}},
    {"null_name", {"table"}},
    {"null_entry", {"q8k_backend_entry", "NULL"}},
    {"no_entry", {"q8k_backend_entry"}},
    {"undefined_symbol", {"fake_missing_function"}},
    {"wrong_name", {"another"}},
    {"zero_row_step", {"row_step"}},
    {"zero_batch_step", {"batch_step"}},
    {"large_prepared", {"prepared_bytes"}},
#if defined(__x86_64__) || defined(__i386__)
    {"needs_cpu", {"this CPU lacks", "sve2"}},
#else
    {"needs_cpu", {"this CPU lacks", "avx"}},
#endif
    {"needs_future", {"this CPU lacks", "feature-63"}},
    {"wrong_row", {"known answer", "matmul"}},
    {"wrong_batch", {"known answer", "matmul"}},
    {"wrong_precision", {"known answer", "matmul", "q6_k", "byte"}},
    {"wrong_one", {"known answer", "matmul", "batch 1:"}},
    {"wrong_three", {"known answer", "matmul", "batch 3:"}},
    {"wrong_eleven", {"known answer", "matmul", "batch 11:"}},
    {"wrong_chunk", {"known answer", "matmul", "53 rows", "output 48 of"}},
    {"wrong_group", {"known answer", "matmul", "batch 142:", "batch row 141 "}},
    {"wrong_block", {"known answer", "matmul"}},
    {"wrong_prepare", {"known answer", "matmul"}},
    {"wrong_accumulate", {"known answer", "accumulate", "q5_k"}},
    {"wrong_start", {"known answer", "accumulate", "row 3 "}},
    {"wrong_decode", {"known answer", "decode"}},
};

START_TEST(bad_plugins_are_refused) {
    const char *variant = bad_variants[_i].variant;
    outcome automatic, forced;
    run_both(variant, &automatic, &forced);
    expect_fallback(&automatic, bad_variants[_i].words, variant);
    expect_refused(&forced, Q8K_ERROR_BACKEND, bad_variants[_i].words, variant);
    require(strstr(forced.error, "libq8k-fake.so") != NULL, "%s", forced.error);
}
END_TEST

/* Sizes are told with the numbers that a plugin's author needs. */
START_TEST(short_tables_are_refused_with_both_sizes) {
    outcome automatic, forced;
    char have[32], need[32];
    run_both("short_table", &automatic, &forced);
    snprintf(have, sizeof have, " %zu ", sizeof(q8k_backend) - 1);
    snprintf(need, sizeof need, " %zu", sizeof(q8k_backend));
    expect_refused(&forced, Q8K_ERROR_BACKEND, (const char *const[]){have, need, NULL}, "short table");
}
END_TEST

/* The known answers' work, counted by a plugin whose steps are those of AVX-512: all of it before the first product. */
static int count_work(void *file) {
    q8k_context_options options = {.size = sizeof options, .backend = "fake"};
    q8k_context *context = NULL;
    if (q8k_context_create(&context, &options) != Q8K_OK)
        return 1;
    void *plugin = dlopen(file, RTLD_NOW | RTLD_NOLOAD);
    const size_t *prepared = plugin != NULL ? dlsym(plugin, "fake_prepared_blocks") : NULL;
    const size_t *multiplied = plugin != NULL ? dlsym(plugin, "fake_multiplied_blocks") : NULL;
    if (prepared == NULL || multiplied == NULL)
        return 2;
    printf("known answers: %zu blocks prepared, %zu multiplied\n", *prepared, *multiplied);
    /* In each of three precisions the input, in each of 21 pairs the weights. What is more is felt at every start. */
    const bool some = *prepared > 3 * 200 && *multiplied > 21 * 2000;
    const bool few = *prepared < 3 * 350 && *multiplied < 21 * 3500;
    q8k_context_destroy(context);
    fflush(stdout);
    return some && few ? 0 : 3;
}

START_TEST(known_answers_are_little_work) {
    char folder[TEST_PATH_BYTES], file[TEST_PATH_BYTES];
    fake_path(file, "wide");
    plugin_folder(folder, file, "fake");
    plugin_path(file, folder, "fake");
    ck_assert_int_eq(child_call(&(child_environment){.backend_dir = folder}, count_work, file), 0);
    folder_remove(folder);
}
END_TEST

/* The context's option asks for a backend as the variable does, and overrides it. */
START_TEST(the_option_names_a_backend) {
    char folder[TEST_PATH_BYTES], file[TEST_PATH_BYTES];
    outcome found;
    fake_path(file, "good");
    plugin_folder(folder, file, "fake");
    child_run(&(child_environment){.backend_dir = folder, .option = "fake"}, &found);
    expect_used(&found, "fake", "option");
    child_run(&(child_environment){.backend_dir = folder, .option = "fake", .backend = "builtin"}, &found);
    expect_used(&found, "fake", "option before variable");
    child_run(&(child_environment){.backend_dir = folder, .option = "builtin", .backend = "fake"}, &found);
    expect_used(&found, "builtin", "option before variable");
    /* Nobody asked for it: it is not even listed. */
    child_run(&(child_environment){.backend_dir = folder}, &found);
    expect_used(&found, "builtin", "not asked for");
    require(strstr(found.list, "fake") == NULL || strstr(found.list, "libq8k-fake") == NULL, "%s", found.list);
    folder_remove(folder);
}
END_TEST

/* A plugin that is not asked for is not opened: this one would leave a byte in the file. */
START_TEST(plugins_that_nobody_asks_for_are_not_opened) {
    char folder[TEST_PATH_BYTES], file[TEST_PATH_BYTES], count[TEST_PATH_BYTES];
    outcome found;
    fake_path(file, "counting");
    plugin_folder(folder, file, "fake");
    test_path(count, folder, "count");
    child_run(&(child_environment){.backend_dir = folder, .count_file = count}, &found);
    expect_used(&found, "builtin", "not asked for");
    ck_assert_int_ne(access(count, F_OK), 0);
    child_run(&(child_environment){.backend_dir = folder, .count_file = count, .backend = "fake"}, &found);
    expect_used(&found, "fake", "asked for");
    ck_assert_int_eq(access(count, F_OK), 0);
    folder_remove(folder);
}
END_TEST

Suite *suite_plugins(void) {
    Suite *suite = suite_create("plugins");
    TCase *tests = tcase_create("plugins");
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, good_plugins_are_used, 0, (int)(sizeof good_variants / sizeof *good_variants));
    tcase_add_loop_test(tests, good_plugins_compute_in_parts, 0, (int)(sizeof good_variants / sizeof *good_variants));
    tcase_add_loop_test(tests, bad_plugins_are_refused, 0, (int)(sizeof bad_variants / sizeof *bad_variants));
    tcase_add_test(tests, short_tables_are_refused_with_both_sizes);
    tcase_add_test(tests, known_answers_are_little_work);
    tcase_add_test(tests, the_option_names_a_backend);
    tcase_add_test(tests, plugins_that_nobody_asks_for_are_not_opened);
    suite_add_tcase(suite, tests);
    return suite;
}
