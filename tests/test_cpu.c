/* SPDX-License-Identifier: MIT */
/*
 * The probe and the choice of a backend on CPUs that this one is not, against a build of the library in which a test
 * says what the CPU reports. Whatever this machine can run is also run, each time in a process of its own: the right
 * plugin, and no other, is opened there.
 */
#define _GNU_SOURCE
#include <link.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "child.h"
#include "cpu_samples.h"
#include "lib/loader.h"
#include "suites.h"

/* A set of plugins: bit i is the library's i-th one for this kind of CPU; FOREIGN any other. */
typedef unsigned plugin_set;
#define FOREIGN (1U << 31)

static const q8k_known_backends *own_backends(void) {
    return &q8k_known[Q8K_CPU_KIND];
}

static int add_opened(struct dl_phdr_info *info, size_t bytes, void *data) {
    plugin_set *opened = data;
    char name[64];
    const char *at = strrchr(info->dlpi_name, '/');
    (void)bytes;
    if (at == NULL || strncmp(at, "/libq8k-", 8) != 0)
        return 0;
    for (size_t i = 0; i < own_backends()->count; i++) {
        snprintf(name, sizeof name, "/libq8k-%s.so", own_backends()->backends[i].name);
        if (strcmp(at, name) == 0) {
            *opened |= 1U << i;
            return 0;
        }
    }
    *opened |= FOREIGN;
    return 0;
}

static plugin_set opened_plugins(void) {
    plugin_set opened = 0;
    dl_iterate_phdr(add_opened, &opened);
    return opened;
}

/* What a process with the sample's CPU found, in memory shared with it. */
typedef struct report {
    bool with_list;
    q8k_status status;
    char error[2048];
    char backend[64];
    plugin_set opened; /* once the context was made */
    bool right;
    char wrong[512];
    plugin_set opened_by_list;
    size_t count;
    struct {
        char name[64], reason[1024];
        q8k_backend_state state;
    } entries[8];
} report;

static void record_list(report *found) {
    q8k_backend_list *list = NULL;
    if (q8k_backend_list_create(&list, NULL) != Q8K_OK)
        return;
    for (size_t i = 0; i < q8k_backend_list_count(list) && found->count < 8; i++) {
        q8k_backend_info info = {.size = sizeof info};
        if (q8k_backend_list_get(list, i, &info) != Q8K_OK)
            return;
        snprintf(found->entries[i].name, sizeof found->entries[i].name, "%s", info.name);
        snprintf(found->entries[i].reason, sizeof found->entries[i].reason, "%s", info.reason);
        found->entries[i].state = info.state;
        found->count++;
    }
    q8k_backend_list_destroy(list);
    found->opened_by_list = opened_plugins();
}

static int record(void *data) {
    report *found = data;
    q8k_context *context = NULL;
    found->status = q8k_context_create(&context, NULL);
    found->opened = opened_plugins();
    if (context == NULL) {
        snprintf(found->error, sizeof found->error, "%s", q8k_last_error());
    } else {
        snprintf(found->backend, sizeof found->backend, "%s", q8k_context_backend(context));
        found->right = child_products_right(context, found->wrong, sizeof found->wrong);
    }
    q8k_context_destroy(context);
    if (found->with_list)
        record_list(found);
    return 0;
}

/* A first use of the library in a new process on the sample's CPU, with `backend` as Q8K_BACKEND. */
static report run(const cpu_sample *sample, const char *backend, bool with_list) {
    child_environment environment = {.backend_dir = test_folder("Q8K_BACKEND_DIR"), .backend = backend, .limit = 120};
    report *shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert(shared != MAP_FAILED);
    shared->with_list = with_list;
    q8k_test_cpu = &sample->words;
    int status = child_call(&environment, record, shared);
    q8k_test_cpu = NULL;
    report found = *shared;
    munmap(shared, sizeof *shared);
    require(status == 0, "%s: exit status %d", sample->name, status);
    return found;
}

static q8k_cpu decode(const cpu_sample *sample) {
    return q8k_cpu_decode(sample->kind, &sample->words);
}

/* The library's own plugins that the sample's CPU can run. */
static plugin_set usable_plugins(const cpu_sample *sample) {
    plugin_set usable = 0;
    for (size_t i = 0; i < own_backends()->count; i++)
        if ((own_backends()->backends[i].cpu_features & ~decode(sample).usable) == 0)
            usable |= 1U << i;
    return usable;
}

static bool is_built(const char *backend) {
    char path[TEST_PATH_BYTES];
    plugin_path(path, test_folder("Q8K_BACKEND_DIR"), backend);
    return access(path, R_OK) == 0;
}

/* Whether everything that the sample's CPU could run can be run here, and was built; else says what is lacking. */
static bool can_run(const cpu_sample *sample) {
    uint64_t here = q8k_cpu_probe().usable;
    char names[256];
    if (sample->kind != Q8K_CPU_KIND) {
        printf("%s: only the choice was tested: it is of another kind than this CPU\n", sample->name);
        return false;
    }
    for (size_t i = 0; i < own_backends()->count; i++) {
        const q8k_known_backend *known = &own_backends()->backends[i];
        if ((usable_plugins(sample) >> i & 1) == 0)
            continue;
        q8k_cpu_names(known->cpu_features & ~here, names, sizeof names);
        if (names[0] != '\0')
            printf("%s: only the choice was tested: for %s this CPU lacks %s\n", sample->name, known->name, names);
        else if (!is_built(known->name))
            printf("%s: only the choice was tested: %s was not built\n", sample->name, known->name);
        else
            continue;
        return false;
    }
    return true;
}

START_TEST(the_table_chooses) {
    cpu_sample s;
    cpu_sample_get((size_t)_i, &s);
    q8k_cpu cpu = decode(&s);
    const q8k_known_backends *known = &q8k_known[s.kind];
    char extra[256], missing[256];
    q8k_cpu_names(cpu.seen & ~s.seen, extra, sizeof extra);
    q8k_cpu_names(s.seen & ~cpu.seen, missing, sizeof missing);
    ck_assert_msg(cpu.seen == s.seen, "%s: seen without reason: %s; not seen: %s", s.name, extra, missing);
    q8k_cpu_names(cpu.usable & s.denied, extra, sizeof extra);
    q8k_cpu_names(s.seen & ~s.denied & ~cpu.usable, missing, sizeof missing);
    ck_assert_msg(cpu.usable == (s.seen & ~s.denied), "%s: usable without reason: %s; not usable: %s", s.name, extra,
                  missing);
    size_t first = 0;
    while (first < known->count && (known->backends[first].cpu_features & ~cpu.usable) != 0)
        first++;
    ck_assert_msg(first < known->count, "%s: no backend", s.name);
    ck_assert_msg(strcmp(known->backends[first].name, s.backend) == 0, "%s: %s is chosen, not %s", s.name,
                  known->backends[first].name, s.backend);
}
END_TEST

/* The public function tells the same. */
START_TEST(every_feature_is_told) {
    cpu_sample s;
    cpu_sample_get((size_t)_i, &s);
    q8k_cpu told = {0, 0};
    const char *name;
    int32_t seen, usable;
    if (s.kind != Q8K_CPU_KIND)
        return;
    q8k_test_cpu = &s.words;
    for (size_t i = 0; (name = q8k_cpu_feature(i, &seen, &usable)) != NULL; i++)
        for (int bit = 0; bit < 64; bit++) {
            char bit_name[64];
            q8k_cpu_names(Q8K_CPU_BIT(bit), bit_name, sizeof bit_name);
            if (strcmp(bit_name, name) != 0)
                continue;
            told.seen |= seen == 1 ? Q8K_CPU_BIT(bit) : 0;
            told.usable |= usable == 1 ? Q8K_CPU_BIT(bit) : 0;
        }
    q8k_test_cpu = NULL;
    ck_assert_msg(told.seen == s.seen && told.usable == (s.seen & ~s.denied), "%s: %#llx seen, %#llx usable", s.name,
                  (unsigned long long)told.seen, (unsigned long long)told.usable);
}
END_TEST

/* Each usable plugin can be had, and is opened for the list; each other one is rejected for what is missing. */
static void check_list(const cpu_sample *s, const report *found) {
    char names[256];
    ck_assert_msg(found->opened_by_list == usable_plugins(s), "%s: the list has opened the plugins %#x", s->name,
                  found->opened_by_list);
    require(found->count == own_backends()->count + 1, "%s: %zu entries", s->name, found->count);
    for (size_t i = 0; i < own_backends()->count; i++) {
        const q8k_known_backend *known = &own_backends()->backends[i];
        q8k_backend_state state = strcmp(known->name, s->backend) == 0 ? Q8K_BACKEND_SELECTED
                                  : (usable_plugins(s) >> i & 1) != 0  ? Q8K_BACKEND_AVAILABLE
                                                                       : Q8K_BACKEND_REJECTED;
        const char *reason = found->entries[i].reason;
        ck_assert_str_eq(found->entries[i].name, known->name);
        require(found->entries[i].state == state, "%s: %s has the state %d: %s", s->name, known->name,
                found->entries[i].state, reason);
        if (state != Q8K_BACKEND_REJECTED)
            continue;
        q8k_cpu_names(known->cpu_features & ~decode(s).usable, names, sizeof names);
        require(strncmp(reason, "this CPU lacks ", 15) == 0 && strncmp(reason + 15, names, strlen(names)) == 0,
                "%s: %s is rejected because \"%s\"; it lacks %s", s->name, known->name, reason, names);
        bool denied = (known->cpu_features & s->denied) != 0;
        require((strstr(reason, "the operating system has not enabled it") != NULL) == denied, "%s: %s: %s", s->name,
                known->name, reason);
    }
}

START_TEST(only_the_chosen_plugin_is_opened) {
    cpu_sample s;
    cpu_sample_get((size_t)_i, &s);
    if (!can_run(&s))
        return;
    report found = run(&s, NULL, true);
    ck_assert_msg(found.status == Q8K_OK, "%s: %s", s.name, found.error);
    ck_assert_msg(strcmp(found.backend, s.backend) == 0, "%s: %s is used, not %s", s.name, found.backend, s.backend);
    size_t chosen = (size_t)(q8k_known_find(s.backend) - own_backends()->backends);
    ck_assert_msg(found.opened == 1U << chosen, "%s: the plugins %#x are opened, not %#x", s.name, found.opened,
                  1U << chosen);
    ck_assert_msg(found.right, "%s: %s", s.name, found.wrong);
    check_list(&s, &found);
}
END_TEST

/* Nothing is opened here, so any machine can run it. */
START_TEST(a_name_does_not_override_the_cpu) {
    cpu_sample s;
    cpu_sample_get((size_t)_i, &s);
    if (s.kind != Q8K_CPU_KIND)
        return;
    for (size_t i = 0; i < own_backends()->count; i++) {
        const q8k_known_backend *known = &own_backends()->backends[i];
        char expected[512], names[256];
        if ((usable_plugins(&s) >> i & 1) != 0)
            continue;
        report found = run(&s, known->name, false);
        q8k_cpu_names(known->cpu_features & ~decode(&s).usable, names, sizeof names);
        snprintf(expected, sizeof expected, "Q8K_BACKEND = \"%s\": this CPU lacks %s", known->name, names);
        ck_assert_msg(found.status == Q8K_ERROR_BACKEND, "%s, %s: %s", s.name, known->name,
                      q8k_status_name(found.status));
        ck_assert_msg(strncmp(found.error, expected, strlen(expected)) == 0, "%s: \"%s\", not \"%s\"", s.name,
                      found.error, expected);
        ck_assert_msg(found.opened == 0, "%s, %s: the plugins %#x are opened", s.name, known->name, found.opened);
    }
}
END_TEST

/* The whole text, some times. */
static const struct {
    const char *sample, *backend, *text;
} refusals[] = {
    {"Haswell", "avx512",
     "Q8K_BACKEND = \"avx512\": this CPU lacks avx512f avx512bw avx512dq avx512vl avx512vnni avx512cd"},
    {"Skylake-X", "avx512", "Q8K_BACKEND = \"avx512\": this CPU lacks avx512vnni"},
    {"Ivy Bridge", "avx2", "Q8K_BACKEND = \"avx2\": this CPU lacks fma avx2 bmi2 bmi1 lzcnt movbe"},
    {"Haswell, OSXSAVE hidden", "avx2",
     "Q8K_BACKEND = \"avx2\": this CPU lacks avx f16c fma avx2 (or the operating system has not enabled it)"},
    {"Ice Lake", "avxvnni", "Q8K_BACKEND = \"avxvnni\": this CPU lacks avxvnni"},
    {"Arm without Advanced SIMD", "neon", "Q8K_BACKEND = \"neon\": this CPU lacks neon"},
};

START_TEST(a_refusal_names_what_is_missing) {
    cpu_sample s;
    cpu_sample_find(refusals[_i].sample, &s);
    if (s.kind != Q8K_CPU_KIND)
        return;
    report found = run(&s, refusals[_i].backend, false);
    ck_assert_int_eq(found.status, Q8K_ERROR_BACKEND);
    ck_assert_str_eq(found.error, refusals[_i].text);
}
END_TEST

Suite *suite_cpu(void) {
    Suite *suite = suite_create("cpu");
    TCase *tests = tcase_create("cpu");
    int samples = (int)cpu_sample_count;
    tcase_set_timeout(tests, 300);
    tcase_add_loop_test(tests, the_table_chooses, 0, samples);
    tcase_add_loop_test(tests, every_feature_is_told, 0, samples);
    tcase_add_loop_test(tests, only_the_chosen_plugin_is_opened, 0, samples);
    tcase_add_loop_test(tests, a_name_does_not_override_the_cpu, 0, samples);
    tcase_add_loop_test(tests, a_refusal_names_what_is_missing, 0, sizeof refusals / sizeof *refusals);
    suite_add_tcase(suite, tests);
    return suite;
}
