/* SPDX-License-Identifier: MIT */
/* First use where something is lacking: folders, descriptors, memory, stack. */
#define _GNU_SOURCE
#include "suites.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "child.h"
#include "support.h"

/* --------------------------------------------------------------------------------------------------- folders --- */

/* In a folder that holds nothing but plugins, or not even those: the C library is there already. */
static int in_another_root(void *data) {
    if (chroot(data) != 0 || chdir("/") != 0)
        return 90;
    setenv("Q8K_BACKEND_DIR", "/", 1);
    const int found = child_uses("scalar");
    setenv("Q8K_BACKEND_DIR", "/nowhere", 1);
    return found != 0 ? found : child_uses("builtin") * 10;
}

/* What was loaded before is used after, though its file is out of reach. */
static int into_another_root(void *data) {
    char wrong[512];
    q8k_context *context = NULL;
    if (q8k_context_create(&context, NULL) != Q8K_OK || strcmp(q8k_context_backend(context), "scalar") != 0)
        return 1;
    if (chroot(data) != 0 || chdir("/") != 0)
        return 90;
    if (!child_products_right(context, wrong, sizeof wrong) || !child_products_right(NULL, wrong, sizeof wrong))
        return 2;
    q8k_context_destroy(context);
    return 0;
}

START_TEST(another_root) {
    char folder[TEST_PATH_BYTES], own[TEST_PATH_BYTES];
    plugin_path(own, test_folder("Q8K_BACKEND_DIR"), "scalar");
    plugin_folder(folder, own, "scalar");
    ck_assert_int_eq(child_call(&(child_environment){.backend_dir = folder}, in_another_root, folder), 0);
    ck_assert_int_eq(child_call(&(child_environment){.backend_dir = folder}, into_another_root, folder), 0);
    folder_remove(folder);
}
END_TEST

/* ---------------------------------------------------------------------------------------------------- limits --- */

static int without_descriptors(void *data) {
    struct rlimit whole, none;
    (void)data;
    int next = dup(STDIN_FILENO);
    if (next < 0 || getrlimit(RLIMIT_NOFILE, &whole) != 0)
        return 90;
    close(next);
    none = (struct rlimit){(rlim_t)next, whole.rlim_max};
    if (setrlimit(RLIMIT_NOFILE, &none) != 0)
        return 91;
    const int found = child_uses("builtin");
    const char *problem = NULL;
    q8k_context *context = NULL;
    q8k_context_options options = {.size = sizeof options, .backend = "scalar"};
    if (q8k_context_create(&context, &options) != Q8K_ERROR_BACKEND ||
        strstr(problem = q8k_last_error(), strerror(EMFILE)) == NULL) {
        printf("%s\n", problem);
        return 4;
    }
    /* One is all that it takes. */
    none.rlim_cur++;
    if (setrlimit(RLIMIT_NOFILE, &none) != 0)
        return 92;
    return found != 0 ? found : 10 * child_uses("scalar");
}

START_TEST(first_use_without_descriptors) {
    char folder[TEST_PATH_BYTES], own[TEST_PATH_BYTES];
    plugin_path(own, test_folder("Q8K_BACKEND_DIR"), "scalar");
    plugin_folder(folder, own, "scalar");
    ck_assert_int_eq(child_call(&(child_environment){.backend_dir = folder}, without_descriptors, NULL), 0);
    folder_remove(folder);
}
END_TEST

static size_t address_space(void) {
    size_t pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file == NULL || fscanf(file, "%zu", &pages) != 1)
        abort();
    fclose(file);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

/* Whatever fails for lack of address space, the program goes on: with another backend, or without a result and later
 * with one. Returns what happened. */
enum { WITH_PLUGIN = 1, WITH_BUILTIN, WITHOUT_CONTEXT, WITHOUT_RESULT, LIMIT_OUTCOMES };
static int with_little_memory(void *more) {
    struct rlimit whole;
    char wrong[512];
    q8k_context *context = NULL;
    if (getrlimit(RLIMIT_AS, &whole) != 0)
        return 90;
    struct rlimit low = {address_space() + *(size_t *)more, whole.rlim_max};
    if (setrlimit(RLIMIT_AS, &low) != 0)
        return 91;
    q8k_status status = q8k_context_create(&context, NULL);
    if (status != Q8K_OK && status != Q8K_ERROR_MEMORY)
        return 92;
    const bool right = status == Q8K_OK && child_products_right(context, wrong, sizeof wrong);
    const bool builtin = context != NULL && strcmp(q8k_context_backend(context), "builtin") == 0;
    const bool lacks = !right && strstr(q8k_last_error(), "memory") != NULL;
    q8k_context_destroy(context);
    setrlimit(RLIMIT_AS, &whole);
    if ((!right && !lacks) || child_uses("scalar") != 0)
        return 93;
    return status != Q8K_OK ? WITHOUT_CONTEXT : !right ? WITHOUT_RESULT : builtin ? WITH_BUILTIN : WITH_PLUGIN;
}

START_TEST(first_use_with_little_memory) {
    char folder[TEST_PATH_BYTES], own[TEST_PATH_BYTES];
    size_t counts[LIMIT_OUTCOMES] = {0};
    plugin_path(own, test_folder("Q8K_BACKEND_DIR"), "scalar");
    plugin_folder(folder, own, "scalar");
    for (size_t more = 0; more <= 2 << 20; more += 32 << 10) {
        int found = child_call(&(child_environment){.backend_dir = folder}, with_little_memory, &more);
        require(found > 0 && found < LIMIT_OUTCOMES, "%zu bytes more: %d", more, found);
        counts[found]++;
    }
    printf(
        "little memory: %zu with the plugin, %zu with the built-in backend, %zu without context, %zu without result\n",
        counts[WITH_PLUGIN], counts[WITH_BUILTIN], counts[WITHOUT_CONTEXT], counts[WITHOUT_RESULT]);
    fflush(stdout);
    ck_assert_uint_ge(counts[WITH_PLUGIN], 1);
    ck_assert_uint_ge(counts[WITH_BUILTIN], 1);
    folder_remove(folder);
}
END_TEST

/* ----------------------------------------------------------------------------------------------------- stacks --- */

enum { STACK_BYTES = 64 << 10, BELOW_BYTES = 1 << 20 };

static void *everything_once(void *data) {
    char wrong[256];
    q8k_backend_list *list = NULL;
    int *failed = data;
    *failed = child_uses("scalar") + 10 * (q8k_backend_list_create(&list, NULL) != Q8K_OK);
    q8k_backend_list_destroy(list);
    *failed += child_products_right(NULL, wrong, sizeof wrong) ? 0 : 100;
    *failed += q8k_quantize(NULL) == Q8K_ERROR_NULL && q8k_last_error()[0] != '\0' ? 0 : 200;
    return NULL;
}

/* First use and everything else on a stack of 64 KiB, of which the C library's own share for the thread is a part. */
static int on_a_tiny_stack(void *data) {
    int failed = 99;
    pthread_t thread;
    pthread_attr_t attributes;
    (void)data;
    uint8_t *memory = mmap(NULL, BELOW_BYTES + STACK_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED || mprotect(memory + BELOW_BYTES, STACK_BYTES, PROT_READ | PROT_WRITE) != 0)
        return 90;
    memset(memory + BELOW_BYTES, 0xa5, STACK_BYTES);
    if (pthread_attr_init(&attributes) != 0 ||
        pthread_attr_setstack(&attributes, memory + BELOW_BYTES, STACK_BYTES) != 0 ||
        pthread_create(&thread, &attributes, everything_once, &failed) != 0 || pthread_join(thread, NULL) != 0)
        return 91;
    size_t unused = 0;
    while (unused < STACK_BYTES && memory[BELOW_BYTES + unused] == 0xa5)
        unused++;
    printf("tiny stack: %zu of %d bytes used\n", STACK_BYTES - unused, (int)STACK_BYTES);
    fflush(stdout);
    return failed;
}

START_TEST(everything_on_tiny_stacks) {
    char folder[TEST_PATH_BYTES], own[TEST_PATH_BYTES];
    plugin_path(own, test_folder("Q8K_BACKEND_DIR"), "scalar");
    plugin_folder(folder, own, "scalar");
    ck_assert_int_eq(child_call(&(child_environment){.backend_dir = folder}, on_a_tiny_stack, NULL), 0);
    folder_remove(folder);
}
END_TEST

static void *all_products(void *data) {
    char wrong[512];
    const q8k_context **context = data;
    if (!child_products_right(*context, wrong, sizeof wrong))
        *context = NULL;
    return NULL;
}

static int products_on_a_tiny_stack(void *context) {
    const q8k_context *shared = context;
    pthread_t thread;
    pthread_attr_t attributes;
    if (pthread_attr_init(&attributes) != 0 || pthread_attr_setstacksize(&attributes, STACK_BYTES) != 0 ||
        pthread_create(&thread, &attributes, all_products, &shared) != 0 || pthread_join(thread, NULL) != 0)
        return 90;
    return shared != NULL ? 0 : 1;
}

static void check_tiny_stack(const q8k_context *context, const void *data) {
    (void)data;
    child_environment environment = {.backend_dir = test_folder("Q8K_BACKEND_DIR")};
    require(child_call(&environment, products_on_a_tiny_stack, (void *)(uintptr_t)context) == 0, "%s",
            q8k_context_backend(context));
}

START_TEST(products_on_tiny_stacks) {
    on_every_backend(check_tiny_stack, NULL);
}
END_TEST

Suite *suite_surroundings(void) {
    Suite *suite = suite_create("surroundings");
    TCase *tests = tcase_create("surroundings");
    tcase_set_timeout(tests, 120);
    if (geteuid() == 0)
        tcase_add_test(tests, another_root);
    tcase_add_test(tests, first_use_without_descriptors);
    /* Sanitizers and emulators take address space and stacks for themselves. */
    if (!SANITIZED && child_slowdown() <= 1) {
        tcase_add_test(tests, first_use_with_little_memory);
        tcase_add_test(tests, everything_on_tiny_stacks);
        tcase_add_test(tests, products_on_tiny_stacks);
    }
    suite_add_tcase(suite, tests);
    return suite;
}
