/* SPDX-License-Identifier: MIT */
/* Many threads, forks, and uses before main() and after exit(). */
#define _GNU_SOURCE
#include "suites.h"

#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "blocks.h"
#include "child.h"
#include "crew.h"
#include "golden.h"
#include "support.h"

/* ---------------------------------------------------------------------------------------------- first calls --- */

static void *first_call(void *data) {
    const member *me = data;
    char wrong[512];
    pthread_barrier_wait(&me->crew->start);
    const char *backend = q8k_context_backend(NULL);
    if (backend == NULL || strcmp(backend, "scalar") != 0)
        me->crew->failures[me->number]++;
    if (!child_products_right(NULL, wrong, sizeof wrong))
        me->crew->failures[me->number]++;
    return NULL;
}

static int first_calls(void *data) {
    (void)data;
    return run_crew(first_call, NULL) == 0 ? 0 : 1;
}

/* With a plugin that leaves a byte in a file each time that it is mapped. */
START_TEST(first_calls_load_one_plugin_once) {
    char folder[TEST_PATH_BYTES], file[TEST_PATH_BYTES], count[TEST_PATH_BYTES];
    struct stat status;
    fake_path(file, "counting");
    plugin_folder(folder, file, "scalar");
    test_path(count, folder, "count");
    child_environment environment = {.backend_dir = folder, .fake_name = "scalar", .count_file = count, .limit = 50};
    ck_assert_int_eq(child_call(&environment, first_calls, NULL), 0);
    ck_assert_int_eq(stat(count, &status), 0);
    ck_assert_int_eq((int)status.st_size, 1);
    folder_remove(folder);
}
END_TEST

START_TEST(first_calls_on_the_own_plugin_are_right) {
    child_environment environment = {.backend_dir = test_folder("Q8K_BACKEND_DIR"), .backend = "scalar", .limit = 50};
    ck_assert_int_eq(child_call(&environment, first_calls, NULL), 0);
}
END_TEST

/* ----------------------------------------------------------------------------------------- contexts in races --- */

static void *make_contexts(void *data) {
    static const char *const names[] = {"scalar", "builtin", NULL};
    const member *me = data;
    char wrong[512];
    pthread_barrier_wait(&me->crew->start);
    for (size_t i = 0; i < (child_is_quick() ? 5 : 20); i++) {
        q8k_context_options options = {.size = sizeof options, .backend = names[(me->number + i) % 3]};
        q8k_backend_list *list = NULL;
        q8k_context *context = NULL;
        if (q8k_context_create(&context, &options) != Q8K_OK)
            me->crew->failures[me->number]++;
        else if (i == 0 && !child_products_right(context, wrong, sizeof wrong))
            me->crew->failures[me->number]++;
        q8k_context_destroy(context);
        if (q8k_backend_list_create(&list, NULL) != Q8K_OK || q8k_backend_list_count(list) < 2)
            me->crew->failures[me->number]++;
        q8k_backend_list_destroy(list);
        /* Each thread has the text of its own failure. */
        char name[32];
        snprintf(name, sizeof name, "x-%zu-%zu", me->number, i);
        options.backend = name;
        if (q8k_context_create(&context, &options) != Q8K_ERROR_BACKEND || strstr(q8k_last_error(), name) == NULL)
            me->crew->failures[me->number]++;
    }
    return NULL;
}

static int contexts_in_races(void *data) {
    (void)data;
    return run_crew(make_contexts, NULL) == 0 ? 0 : 1;
}

START_TEST(contexts_may_be_made_in_races) {
    child_environment environment = {.backend_dir = test_folder("Q8K_BACKEND_DIR"), .limit = 50};
    ck_assert_int_eq(child_call(&environment, contexts_in_races, NULL), 0);
}
END_TEST

/* --------------------------------------------------------------------------------- one context, many threads --- */

typedef struct shared_work {
    const q8k_context *context;
    const product *p;
    q8k_input_args input;
    q8k_matmul_args args;
    uint8_t *prepared;
    size_t bytes;
    pthread_barrier_t *prepared_all;
} shared_work;

static void *one_part(void *data) {
    const member *me = data;
    const shared_work *work = me->crew->data;
    pthread_barrier_wait(&me->crew->start);
    if (q8k_input_prepare(work->context, &work->input, work->prepared, work->bytes, me->number, THREADS) != Q8K_OK)
        me->crew->failures[me->number]++;
    pthread_barrier_wait(work->prepared_all);
    if (q8k_matmul_prepared(work->context, &work->args, work->prepared, work->bytes, me->number, THREADS) != Q8K_OK)
        me->crew->failures[me->number]++;
    return NULL;
}

static void check_threads(const q8k_context *context, const void *data) {
    const product *p = data;
    pthread_barrier_t prepared_all;
    shared_work work = {.context = context, .p = p, .args = p->args, .prepared_all = &prepared_all};
    work.input = (q8k_input_args){.size = sizeof work.input,
                                  .precision = p->args.precision,
                                  .in_features = p->args.in_features,
                                  .batch = p->args.batch,
                                  .input = p->input};
    work.args.output = test_alloc(p->args.batch * p->args.out_features * sizeof(float));
    ck_assert_int_eq(q8k_input_bytes(context, &work.input, &work.bytes), Q8K_OK);
    work.prepared = test_alloc(work.bytes);
    ck_assert_int_eq(pthread_barrier_init(&prepared_all, NULL, THREADS), 0);
    ck_assert_uint_eq(run_crew(one_part, &work), 0);
    product_compare(context, p, work.args.output, p->args.out_features, "64 threads");
    pthread_barrier_destroy(&prepared_all);
    free(work.prepared);
    free(work.args.output);
}

START_TEST(threads_share_a_context) {
    static const size_t rows[] = {1, 40, 150}, batches[] = {150, 40, 1};
    test_random random = random_start(3001 + (uint64_t)_i);
    for (size_t i = 0; i < 3; i++) {
        product p = product_make(&random, (q8k_format)(_i + 1), (q8k_precision)i, rows[i], 2, batches[i]);
        on_every_backend(check_threads, &p);
        product_free(&p);
    }
}
END_TEST

static void *whole_products(void *data) {
    const member *me = data;
    char wrong[512];
    pthread_barrier_wait(&me->crew->start);
    for (size_t i = 0; i < (child_is_quick() ? 1 : 3); i++)
        if (!child_products_right(me->crew->data, wrong, sizeof wrong))
            me->crew->failures[me->number]++;
    return NULL;
}

static void check_whole_products(const q8k_context *context, const void *data) {
    (void)data;
    ck_assert_uint_eq(run_crew(whole_products, context), 0);
}

START_TEST(threads_compute_whole_products) {
    on_every_backend(check_whole_products, NULL);
}
END_TEST

/* ----------------------------------------------------------------------------------- fork, early and late --- */

static int products_in_fork(void *data) {
    char wrong[512];
    int status = 0;
    if (!child_products_right(data, wrong, sizeof wrong))
        return 1;
    pid_t child = fork();
    if (child == 0)
        _exit(child_products_right(data, wrong, sizeof wrong) && q8k_context_backend(NULL) != NULL ? 0 : 1);
    if (child < 0 || waitpid(child, &status, 0) != child)
        return 2;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : 3;
}

START_TEST(a_fork_goes_on) {
    child_environment environment = {.backend_dir = test_folder("Q8K_BACKEND_DIR"), .limit = 50};
    ck_assert_int_eq(child_call(&environment, products_in_fork, NULL), 0);
    q8k_context *context = NULL;
    ck_assert_int_eq(q8k_context_create(&context, NULL), Q8K_OK);
    ck_assert_int_eq(child_call(&environment, products_in_fork, context), 0);
    q8k_context_destroy(context);
}
END_TEST

static void *use_until_told(void *stop) {
    char wrong[512];
    q8k_context *context = NULL;
    while (!__atomic_load_n((int *)stop, __ATOMIC_RELAXED)) {
        if (q8k_context_create(&context, NULL) != Q8K_OK || !child_products_right(context, wrong, sizeof wrong))
            abort();
        q8k_context_destroy(context);
    }
    return NULL;
}

/* Forks while another thread is inside the library, mostly in a product: the child finds nothing locked. */
static int forks_beside_threads(void *data) {
    int stop = 0, failures = 0;
    pthread_t thread;
    (void)data;
    /* What the dynamic linker may hold locked is not the library's: the plugin is loaded before. */
    if (q8k_context_backend(NULL) == NULL)
        return 3;
    if (pthread_create(&thread, NULL, use_until_told, &stop) != 0)
        return 1;
    for (int i = 0; i < (child_is_quick() ? 10 : 50); i++) {
        int status = 1;
        char wrong[512];
        pid_t child = fork();
        if (child == 0) {
            signal(SIGALRM, SIG_DFL);
            alarm(30);
            _exit(child_products_right(NULL, wrong, sizeof wrong) ? 0 : 1);
        }
        if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
            failures++;
    }
    __atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
    pthread_join(thread, NULL);
    return failures == 0 ? 0 : 2;
}

START_TEST(a_fork_beside_threads_goes_on) {
    static const char *const backends[] = {"builtin", "scalar", NULL};
    child_environment environment = {
        .backend_dir = test_folder("Q8K_BACKEND_DIR"), .backend = backends[_i], .limit = 50};
    ck_assert_int_eq(child_call(&environment, forks_beside_threads, NULL), 0);
}
END_TEST

static int open_early(void *data) {
    void *handle = dlopen(data, RTLD_NOW);
    if (handle == NULL)
        return 1;
    const char *result = getenv("FAKE_EARLY_RESULT");
    if (result == NULL || strcmp(result, "1") != 0)
        return 2;
    /* The handler that the module registered ends the process with 17 if the library still works. */
    exit(3);
}

START_TEST(constructors_and_exit_handlers_may_use_it) {
    char file[TEST_PATH_BYTES];
    fake_path(file, "early");
    child_environment environment = {.backend_dir = test_folder("Q8K_BACKEND_DIR"), .backend = "scalar", .limit = 50};
    ck_assert_int_eq(child_call(&environment, open_early, file), 17);
}
END_TEST

Suite *suite_threads(void) {
    Suite *suite = suite_create("threads");
    TCase *tests = tcase_create("threads");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, first_calls_load_one_plugin_once);
    tcase_add_test(tests, first_calls_on_the_own_plugin_are_right);
    tcase_add_test(tests, contexts_may_be_made_in_races);
    tcase_add_loop_test(tests, threads_share_a_context, 0, FORMAT_COUNT);
    tcase_add_test(tests, threads_compute_whole_products);
    tcase_add_test(tests, a_fork_goes_on);
    /* The sanitizers' own allocators stay locked in a child that is forked while another thread allocates. */
    if (!SANITIZED)
        tcase_add_loop_test(tests, a_fork_beside_threads_goes_on, 0, 3);
    tcase_add_test(tests, constructors_and_exit_handlers_may_use_it);
    suite_add_tcase(suite, tests);
    return suite;
}
