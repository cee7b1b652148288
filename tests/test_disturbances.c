/* SPDX-License-Identifier: MIT */
/* What else is in the process: another version of the library, cancellation, signals. */
#define _GNU_SOURCE
#include "suites.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "child.h"
#include "support.h"

/* ----------------------------------------------------------------------------------------------- other versions --- */

/* A copy of the library that says it is another version, opened beside this one, which came first and is global. */
static int with_another_version(void *path) {
    static const char *const names[] = {"scalar", "builtin"};
    q8k_context *mine = NULL, *other = NULL;
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL), *symbols[5];
    static const char *const functions[] = {"q8k_version", "q8k_context_create", "q8k_matmul", "q8k_last_error",
                                            "q8k_context_backend"};
    const char *(*version)(void), *(*last_error)(void), *(*backend_of)(const q8k_context *);
    q8k_status (*create)(q8k_context **, const q8k_context_options *),
        (*matmul)(const q8k_context *, const q8k_matmul_args *);
    if (handle == NULL)
        return 90;
    for (size_t i = 0; i < 5; i++)
        if ((symbols[i] = dlsym(handle, functions[i])) == NULL)
            return 91;
    memcpy(&version, &symbols[0], sizeof version);
    memcpy(&create, &symbols[1], sizeof create);
    memcpy(&matmul, &symbols[2], sizeof matmul);
    memcpy(&last_error, &symbols[3], sizeof last_error);
    memcpy(&backend_of, &symbols[4], sizeof backend_of);
    if (strcmp(version(), "0.0.0") != 0 || strcmp(q8k_version(), "0.0.0") == 0)
        return 1;
    for (size_t i = 0; i < 2; i++) {
        q8k_context_options options = {.size = sizeof options, .backend = names[i]};
        if (create(&other, &options) != Q8K_OK || strcmp(backend_of(other), names[i]) != 0 ||
            q8k_context_create(&mine, &options) != Q8K_OK || child_uses("scalar") != 0)
            return 2;
        q8k_context_destroy(mine);
    }
    /* Each has its own text of a failure. The format's name in one is from the same library, too. */
    q8k_matmul_args args = {.size = sizeof args, .format = Q8K_FORMAT_Q6_K, .in_features = 255};
    if (q8k_matmul(NULL, NULL) != Q8K_ERROR_NULL || strcmp(last_error(), "") != 0 ||
        matmul(other, &args) != Q8K_ERROR_COLUMNS || strstr(last_error(), "255") == NULL ||
        strstr(q8k_last_error(), "255") != NULL)
        return 3;
    /* What it prints is its own text, not that of the first version's last failure. */
    char printed[1024] = "";
    FILE *output = tmpfile();
    if (output == NULL || dup2(fileno(output), STDERR_FILENO) < 0)
        return 92;
    setenv("Q8K_VERBOSE", "1", 1);
    q8k_context_options bad = {.size = sizeof bad, .backend = "no-such"};
    if (create(&other, &bad) != Q8K_ERROR_BACKEND || strstr(q8k_last_error(), "no-such") != NULL)
        return 4;
    return pread(fileno(output), printed, sizeof printed - 1, 0) > 0 && strstr(printed, "no-such") != NULL ? 0 : 5;
}

START_TEST(another_version_beside_it) {
    char folder[TEST_PATH_BYTES], copy[TEST_PATH_BYTES];
    Dl_info own;
    void *symbol = dlsym(RTLD_DEFAULT, "q8k_version");
    ck_assert(symbol != NULL && dladdr(symbol, &own) != 0);
    size_t bytes, found = 0, length = strlen(q8k_version());
    uint8_t *data = file_read(own.dli_fname, &bytes);
    for (size_t i = 0; i + length < bytes; i++)
        if (memcmp(data + i, q8k_version(), length + 1) == 0) {
            memcpy(data + i, "0.0.0", length < 5 ? length : 5);
            found++;
        }
    ck_assert_uint_ge(found, 1);
    folder_make(folder);
    test_path(copy, folder, "libq8k.so.0");
    file_write(copy, data, bytes);
    free(data);
    child_environment environment = {.backend_dir = test_folder("Q8K_BACKEND_DIR"), .backend = "scalar"};
    ck_assert_int_eq(child_call(&environment, with_another_version, copy), 0);
    folder_remove(folder);
}
END_TEST

/* ------------------------------------------------------------------------------------ cancellation and signals --- */

static size_t open_descriptors(void) {
    size_t count = 0;
    for (int file = 0; file < 256; file++)
        count += fcntl(file, F_GETFD) >= 0;
    return count;
}

/* Cancelled before its first call, it ends at the first point where a thread may be cancelled: not in the library. */
static void *cancelled_first(void *data) {
    char wrong[512];
    q8k_context *context = NULL;
    q8k_backend_list *list = NULL;
    int *reached = data;
    pthread_cancel(pthread_self());
    if (q8k_context_create(&context, NULL) != Q8K_OK || !child_products_right(NULL, wrong, sizeof wrong) ||
        q8k_backend_list_create(&list, NULL) != Q8K_OK)
        return NULL;
    q8k_backend_list_destroy(list);
    q8k_context_destroy(context);
    *reached = 1;
    pthread_testcancel();
    return NULL;
}

static int cancels(void *data) {
    int reached = 0;
    void *result = NULL;
    pthread_t thread;
    const size_t before = open_descriptors();
    (void)data;
    setenv("Q8K_VERBOSE", "1", 1);
    if (pthread_create(&thread, NULL, cancelled_first, &reached) != 0 || pthread_join(thread, &result) != 0)
        return 90;
    return !reached ? 1 : result != PTHREAD_CANCELED ? 2 : open_descriptors() != before ? 3 : 0;
}

START_TEST(calls_are_no_cancellation_points) {
    child_environment environment = {.backend_dir = test_folder("Q8K_BACKEND_DIR"), .limit = 20};
    ck_assert_int_eq(child_call(&environment, cancels, NULL), 0);
}
END_TEST

enum { ENOUGH_SIGNALS = 1000 };
static atomic_size_t handled;

/* A handler may compute, too: it has registers of its own. */
static void handle(int number) {
    volatile float x = (float)number;
    x = x * 1.5F + 0.25F;
    atomic_fetch_add(&handled, 1);
}

static void *use_often(void *data) {
    char wrong[512];
    for (size_t i = 0; i < 4 || atomic_load(&handled) < ENOUGH_SIGNALS; i++) {
        q8k_context *context = NULL;
        if (q8k_context_create(&context, NULL) != Q8K_OK || !child_products_right(context, wrong, sizeof wrong))
            return data;
        q8k_context_destroy(context);
    }
    return NULL;
}

/* Signals as fast as they can be sent, from the first load on, without SA_RESTART: calls of the system are interrupted. */
static int in_a_storm(void *data) {
    enum { WORKERS = 4 };
    struct sigaction action = {.sa_handler = handle};
    pthread_t threads[WORKERS];
    size_t failures = 0;
    (void)data;
    if (sigaction(SIGUSR1, &action, NULL) != 0)
        return 90;
    for (size_t i = 0; i < WORKERS; i++)
        if (pthread_create(&threads[i], NULL, use_often, &failures) != 0)
            return 91;
    /* The threads stay until they are joined. */
    for (size_t i = 0; atomic_load(&handled) < ENOUGH_SIGNALS; i++)
        pthread_kill(threads[i % WORKERS], SIGUSR1);
    for (size_t i = 0; i < WORKERS; i++) {
        void *failed = NULL;
        pthread_join(threads[i], &failed);
        failures += failed != NULL;
    }
    printf("storm: %zu signals\n", atomic_load(&handled));
    fflush(stdout);
    return failures != 0 ? 1 : 0;
}

START_TEST(signals_disturb_nothing) {
    child_environment environment = {.backend_dir = test_folder("Q8K_BACKEND_DIR"), .limit = 50};
    ck_assert_int_eq(child_call(&environment, in_a_storm, NULL), 0);
}
END_TEST

Suite *suite_disturbances(void) {
    Suite *suite = suite_create("disturbances");
    TCase *tests = tcase_create("disturbances");
    tcase_set_timeout(tests, 120);
    /* Sanitizers count what is there twice. */
    if (!SANITIZED)
        tcase_add_test(tests, another_version_beside_it);
    tcase_add_test(tests, calls_are_no_cancellation_points);
    tcase_add_test(tests, signals_disturb_nothing);
    suite_add_tcase(suite, tests);
    return suite;
}
