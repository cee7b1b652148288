/* SPDX-License-Identifier: MIT */
/* The probe and the choice of a backend on CPUs that this one is not, against a build of the core in which a test says
 * what CPUID or the auxiliary vector reports. A program of its own: hidden symbols of that build are used. */
#define _GNU_SOURCE
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/cpu.h"
#include "lib/loader.h"

#define BIT(n) (UINT32_C(1) << (n))

/* Leaf 1, ECX. */
#define SSE (BIT(9) | BIT(19))
#define OSXSAVE (BIT(26) | BIT(27))
#define AVX BIT(28)
#define F16C BIT(29)
#define FMA BIT(12)
#define MOVBE BIT(22)
/* Leaf 7, EBX, ECX and EDX. */
#define BMI (BIT(3) | BIT(8))
#define AVX2 BIT(5)
#define AVX512 (BIT(16) | BIT(17) | BIT(28) | BIT(30) | BIT(31))
#define VBMI BIT(1)
#define VNNI BIT(11)
#define AMX (BIT(24) | BIT(25))
/* Leaf 7.1, EAX; leaf 0x80000001, ECX. */
#define AVX_VNNI BIT(4)
#define BF16 BIT(5)
#define LZCNT BIT(5)

#define HASWELL_1 (SSE | OSXSAVE | AVX | F16C | FMA | MOVBE)
#define HASWELL_7 (BMI | AVX2)

/* What the vendors' and kernels' documentation gives for each. Words in the order of cpu.h, then XCR0. */
static const struct sample {
    const char *name;
    q8k_cpu_kind kind;
    q8k_cpu_words words;
    const char *backend;
    uint64_t usable, unusable; /* some of the features that must be, and must not be */
} samples[] = {
    {"Nehalem", Q8K_CPU_KIND_X86, {{SSE}, 0}, "scalar", Q8K_CPU_BIT(Q8K_CPU_SSE4_1), Q8K_CPU_BIT(Q8K_CPU_AVX)},
    {"Sandy Bridge", Q8K_CPU_KIND_X86, {{SSE | OSXSAVE | AVX}, 7}, "scalar", Q8K_CPU_BIT(Q8K_CPU_AVX), 0},
    {"Ivy Bridge",
     Q8K_CPU_KIND_X86,
     {{SSE | OSXSAVE | AVX | F16C}, 7},
     "scalar",
     Q8K_CPU_BIT(Q8K_CPU_F16C),
     Q8K_CPU_BIT(Q8K_CPU_AVX2)},
    {"Haswell",
     Q8K_CPU_KIND_X86,
     {{HASWELL_1, HASWELL_7, 0, 0, 0, 0, LZCNT}, 7},
     "avx2",
     Q8K_CPU_BIT(Q8K_CPU_AVX2),
     Q8K_CPU_BIT(Q8K_CPU_AVX512F)},
    {"Zen 2",
     Q8K_CPU_KIND_X86,
     {{HASWELL_1, HASWELL_7, 0, 0, 0, 0, LZCNT}, 0x207},
     "avx2",
     Q8K_CPU_BIT(Q8K_CPU_FMA),
     Q8K_CPU_BIT(Q8K_CPU_AVX_VNNI)},
    {"Skylake-X",
     Q8K_CPU_KIND_X86,
     {{HASWELL_1, HASWELL_7 | AVX512, 0, 0, 0, 0, LZCNT}, 0x2e7},
     "avx2",
     Q8K_CPU_BIT(Q8K_CPU_AVX512BW),
     Q8K_CPU_BIT(Q8K_CPU_AVX512_VNNI)},
    {"Ice Lake",
     Q8K_CPU_KIND_X86,
     {{HASWELL_1, HASWELL_7 | AVX512, VBMI | VNNI, 0, 0, 0, LZCNT}, 0x2e7},
     "avx512",
     Q8K_CPU_BIT(Q8K_CPU_AVX512_VNNI),
     Q8K_CPU_BIT(Q8K_CPU_AVX_VNNI)},
    {"Alder Lake",
     Q8K_CPU_KIND_X86,
     {{HASWELL_1, HASWELL_7, 0, 0, AVX_VNNI, 0, LZCNT}, 0x207},
     "avxvnni",
     Q8K_CPU_BIT(Q8K_CPU_AVX_VNNI),
     Q8K_CPU_BIT(Q8K_CPU_AVX512F)},
    {"Zen 4",
     Q8K_CPU_KIND_X86,
     {{HASWELL_1, HASWELL_7 | AVX512, VBMI | VNNI, 0, BF16, 0, LZCNT}, 0x2e7},
     "avx512",
     Q8K_CPU_BIT(Q8K_CPU_AVX512_BF16),
     Q8K_CPU_BIT(Q8K_CPU_AVX_VNNI)},
    {"Zen 5",
     Q8K_CPU_KIND_X86,
     {{HASWELL_1, HASWELL_7 | AVX512, VBMI | VNNI, 0, BF16 | AVX_VNNI, 0, LZCNT}, 0x2e7},
     "avx512",
     Q8K_CPU_BIT(Q8K_CPU_AVX_VNNI),
     Q8K_CPU_BIT(Q8K_CPU_AMX_TILE)},
    {"Sapphire Rapids",
     Q8K_CPU_KIND_X86,
     {{HASWELL_1, HASWELL_7 | AVX512, VBMI | VNNI, AMX, BF16 | AVX_VNNI, 0, LZCNT}, 0x602e7},
     "avx512",
     Q8K_CPU_BIT(Q8K_CPU_AMX_INT8),
     0},
    {"AVX-512 that XCR0 denies",
     Q8K_CPU_KIND_X86,
     {{HASWELL_1, HASWELL_7 | AVX512, VBMI | VNNI, 0, 0, 0, LZCNT}, 7},
     "avx2",
     Q8K_CPU_BIT(Q8K_CPU_AVX2),
     Q8K_CPU_BIT(Q8K_CPU_AVX512F)},
    {"no OSXSAVE",
     Q8K_CPU_KIND_X86,
     {{HASWELL_1 & ~OSXSAVE, HASWELL_7, 0, 0, 0, 0, LZCNT}, 0},
     "scalar",
     Q8K_CPU_BIT(Q8K_CPU_BMI2),
     Q8K_CPU_BIT(Q8K_CPU_AVX2)},
    {"FMA masked",
     Q8K_CPU_KIND_X86,
     {{HASWELL_1 & ~FMA, HASWELL_7, 0, 0, 0, 0, LZCNT}, 7},
     "scalar",
     Q8K_CPU_BIT(Q8K_CPU_AVX2),
     Q8K_CPU_BIT(Q8K_CPU_FMA)},
    {"LZCNT masked",
     Q8K_CPU_KIND_X86,
     {{HASWELL_1, HASWELL_7}, 7},
     "scalar",
     Q8K_CPU_BIT(Q8K_CPU_AVX2),
     Q8K_CPU_BIT(Q8K_CPU_LZCNT)},
    {"Cortex-A53", Q8K_CPU_KIND_ARM, {{BIT(1)}, 0}, "neon", Q8K_CPU_BIT(Q8K_CPU_NEON), Q8K_CPU_BIT(Q8K_CPU_DOTPROD)},
    {"Neoverse N1",
     Q8K_CPU_KIND_ARM,
     {{BIT(1) | BIT(10) | BIT(20)}, 0},
     "neon",
     Q8K_CPU_BIT(Q8K_CPU_DOTPROD) | Q8K_CPU_BIT(Q8K_CPU_FP16),
     Q8K_CPU_BIT(Q8K_CPU_I8MM)},
    {"Apple-like",
     Q8K_CPU_KIND_ARM,
     {{BIT(1) | BIT(10) | BIT(20), BIT(13) | BIT(14)}, 0},
     "neon",
     Q8K_CPU_BIT(Q8K_CPU_I8MM) | Q8K_CPU_BIT(Q8K_CPU_BF16),
     Q8K_CPU_BIT(Q8K_CPU_SVE)},
};

enum { SAMPLES = sizeof samples / sizeof *samples };

START_TEST(the_table_chooses) {
    const struct sample *s = &samples[_i];
    q8k_cpu cpu = q8k_cpu_decode(s->kind, &s->words);
    const q8k_known_backends *known = &q8k_known[s->kind];
    size_t first = 0;
    ck_assert_msg((s->usable & ~cpu.usable) == 0, "%s: usable %#llx", s->name, (unsigned long long)cpu.usable);
    ck_assert_msg((s->unusable & cpu.usable) == 0, "%s: usable %#llx", s->name, (unsigned long long)cpu.usable);
    ck_assert_msg((cpu.usable & ~cpu.seen) == 0, "%s", s->name);
    while (first < known->count && (known->backends[first].cpu_features & ~cpu.usable) != 0)
        first++;
    ck_assert_msg(first < known->count, "%s: no backend", s->name);
    ck_assert_msg(strcmp(known->backends[first].name, s->backend) == 0, "%s: %s, not %s", s->name,
                  known->backends[first].name, s->backend);
}
END_TEST

/* The names of the plugins that are mapped, each followed by a space. */
static void mapped_plugins(char *text, size_t bytes) {
    char line[4096];
    FILE *maps = fopen("/proc/self/maps", "r");
    ck_assert_ptr_nonnull(maps);
    text[0] = '\0';
    while (fgets(line, sizeof line, maps) != NULL) {
        char *name = strstr(line, "/libq8k-"), *end = name != NULL ? strstr(name, ".so") : NULL;
        if (end == NULL)
            continue;
        end[0] = ' ';
        end[1] = '\0';
        name += strlen("/libq8k-");
        if (strstr(text, name) == NULL)
            strncat(text, name, bytes - strlen(text) - 1);
    }
    fclose(maps);
}

/* Whether this machine can run, and this build has, what the sample's CPU would get. */
static int can_run(const struct sample *s) {
    char path[Q8K_PATH_BYTES];
    const char *folder = getenv("Q8K_BACKEND_DIR");
    q8k_cpu wanted = q8k_cpu_decode(s->kind, &s->words), real = q8k_cpu_probe();
    ck_assert_ptr_nonnull(folder);
    snprintf(path, sizeof path, "%s/libq8k-%s.so", folder, s->backend);
    if (s->kind == Q8K_CPU_KIND && (wanted.usable & q8k_known_find(s->backend)->cpu_features & ~real.usable) == 0 &&
        access(path, R_OK) == 0)
        return 1;
    printf("%s: %s cannot be run here; only the choice was tested\n", s->name, s->backend);
    return 0;
}

/* Check runs each test in a process of its own, so nothing is mapped before. */
START_TEST(only_the_chosen_plugin_is_opened) {
    const struct sample *s = &samples[_i];
    char mapped[256], expected[64];
    q8k_context *context;
    if (!can_run(s))
        return;
    q8k_test_cpu = &s->words;
    ck_assert_msg(q8k_context_create(&context, NULL) == Q8K_OK, "%s", q8k_last_error());
    ck_assert_str_eq(q8k_context_backend(context), s->backend);
    mapped_plugins(mapped, sizeof mapped);
    snprintf(expected, sizeof expected, "%s ", s->backend);
    ck_assert_msg(strcmp(mapped, expected) == 0, "%s: mapped are %s", s->name, mapped);
    q8k_context_destroy(context);
}
END_TEST

#if defined(__x86_64__) || defined(__i386__)

START_TEST(a_name_does_not_override_the_cpu) {
    const q8k_context_options options = {.size = sizeof options, .backend = "avx512"};
    q8k_context *context = NULL;
    char mapped[256];
    q8k_test_cpu = &samples[3].words;
    ck_assert_int_eq(q8k_context_create(&context, &options), Q8K_ERROR_BACKEND);
    ck_assert_ptr_null(context);
    ck_assert_ptr_nonnull(strstr(q8k_last_error(), "this CPU lacks avx512f"));
    ck_assert_ptr_nonnull(strstr(q8k_last_error(), "avx512vnni"));
    mapped_plugins(mapped, sizeof mapped);
    ck_assert_str_eq(mapped, "");
}
END_TEST

START_TEST(the_list_tells_the_reason) {
    q8k_backend_list *list;
    q8k_backend_info info = {.size = sizeof info};
    q8k_test_cpu = &samples[11].words;
    ck_assert_int_eq(q8k_backend_list_create(&list, NULL), Q8K_OK);
    ck_assert_int_eq(q8k_backend_list_get(list, 0, &info), Q8K_OK);
    ck_assert_str_eq(info.name, "avx512");
    ck_assert_int_eq(info.state, Q8K_BACKEND_REJECTED);
    ck_assert_ptr_nonnull(strstr(info.reason, "avx512f"));
    ck_assert_ptr_nonnull(strstr(info.reason, "the operating system has not enabled it"));
    q8k_backend_list_destroy(list);
}
END_TEST

#endif

int main(void) {
    Suite *suite = suite_create("cpu");
    TCase *tests = tcase_create("cpu");
    tcase_add_loop_test(tests, the_table_chooses, 0, SAMPLES);
    tcase_add_loop_test(tests, only_the_chosen_plugin_is_opened, 0, SAMPLES);
#if defined(__x86_64__) || defined(__i386__)
    tcase_add_test(tests, a_name_does_not_override_the_cpu);
    tcase_add_test(tests, the_list_tells_the_reason);
#endif
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
