/* SPDX-License-Identifier: MIT */
/*
 * Plugins with one bit flipped, each opened in a process of its own. Of what the loader can check before any code of a
 * plugin runs, no flip may end the process; what a flip in linked tables, code or data does is counted and printed, since
 * it may be anything: an instruction that is none ends a process before any answer can be compared.
 */
#define _GNU_SOURCE
#include "suites.h"

#include <elf.h>
#include <link.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "blocks.h"
#include "child.h"
#include "support.h"

/* Where a bit is: what the loader reads itself, what the dynamic linker reads, and what is run. The rest of a file is not
 * read by anyone. */
enum place { HEADERS, LINKING, CODE, DATA, PLACES, UNREAD };
static const char *const place_names[] = {"headers", "linking", "code", "data"};

/* What became of it. */
enum result { CHECKED, UNLINKED, ANSWERED, RIGHT, WRONG, ENDED, STUCK, RESULTS };
static const char *const result_names[] = {"refused by file or table",
                                           "refused by the linker",
                                           "refused by known answers",
                                           "used, results right",
                                           "used, a result wrong",
                                           "ended by a signal",
                                           "stuck"};

typedef struct plugin {
    const char *name;
    uint8_t *data;
    size_t bytes;
} plugin;

static bool within(size_t at, size_t start, size_t bytes) {
    return at >= start && at - start < bytes;
}

static enum place place_of(const plugin *p, size_t at) {
    const ElfW(Ehdr) *header = (const void *)p->data;
    const ElfW(Shdr) *sections = (const void *)(p->data + header->e_shoff);
    if (at < sizeof *header || within(at, header->e_phoff, header->e_phnum * sizeof(ElfW(Phdr))) ||
        within(at, header->e_shoff, header->e_shnum * sizeof *sections))
        return HEADERS;
    for (size_t i = 1; i < header->e_shnum; i++) {
        const ElfW(Shdr) *s = &sections[i];
        if (s->sh_type == SHT_NOBITS || !(s->sh_flags & SHF_ALLOC) || !within(at, s->sh_offset, s->sh_size))
            continue;
        if (s->sh_flags & SHF_EXECINSTR)
            return CODE;
        return s->sh_type == SHT_PROGBITS || s->sh_type == SHT_INIT_ARRAY || s->sh_type == SHT_FINI_ARRAY ? DATA
                                                                                                          : LINKING;
    }
    return UNREAD;
}

/* Every kind of kernel, in shapes that reach its tails. */
static product products[EVERY_PAIR];

static bool all_right(const q8k_context *context) {
    enum { ROWS = 35, BATCH = 19 };
    static float output[ROWS * BATCH];
    for (size_t i = 0; i < EVERY_PAIR; i++) {
        q8k_matmul_args args = products[i].args;
        args.output = output;
        if (q8k_matmul(context, &args) != Q8K_OK)
            return false;
        for (size_t k = 0; k < args.batch * args.out_features; k++)
            if (!same_float(output[k], products[i].expected[k]))
                return false;
    }
    return true;
}

/* What a process that may use the plugin or the one after it has to do: anything but a result is a fault. The one after it
 * takes its time: whether it is used is asked only if `next_too`. */
enum { FAULT = 50 };
static int use(const char *folder, const char *name, int next_too) {
    char path[TEST_PATH_BYTES];
    q8k_context *context = NULL;
    plugin_path(path, folder, name);
    if (q8k_context_create(&context, NULL) != Q8K_OK)
        return FAULT;
    if (strcmp(q8k_context_backend(context), name) == 0)
        return all_right(context) ? RIGHT : WRONG;
    const char *next = strcmp(name, "scalar") == 0 ? "builtin" : "scalar";
    if (strcmp(q8k_context_backend(context), next) != 0 || (next_too && !all_right(context)))
        return FAULT + 1;
    q8k_context_options options = {.size = sizeof options, .backend = name};
    if (q8k_context_create(&context, &options) != Q8K_ERROR_BACKEND)
        return FAULT + 2;
    const char *text = strstr(q8k_last_error(), path);
    if (text == NULL)
        return FAULT + 3;
    return strstr(text, "known answer") != NULL || strstr(text, "prepared_bytes is") != NULL ? ANSWERED
           : strstr(text + 1, path) != NULL                                                  ? UNLINKED
                                                                                             : CHECKED;
}

static enum result run(const char *folder, const char *name, int next_too) {
    int status = 0;
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        setenv("Q8K_BACKEND_DIR", folder, 1);
        unsetenv("Q8K_BACKEND");
        if (freopen("/dev/null", "w", stderr) == NULL)
            _exit(FAULT + 4);
        /* Of the processor's time: a machine with other work to do may be slow. */
        const rlim_t seconds = (rlim_t)(5 * child_slowdown());
        setrlimit(RLIMIT_CPU, &(struct rlimit){seconds, seconds});
        setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
        signal(SIGXCPU, SIG_DFL);
        _exit(use(folder, name, next_too));
    }
    require(child > 0 && waitpid(child, &status, 0) == child, "no child");
    if (WIFSIGNALED(status))
        return WTERMSIG(status) == SIGXCPU || WTERMSIG(status) == SIGKILL ? STUCK : ENDED;
    /* Code that was changed may call exit(), too. */
    return WEXITSTATUS(status) < ENDED ? (enum result)WEXITSTATUS(status) : ENDED;
}

static void print_counts(const plugin *p, const char *where, const size_t counts[RESULTS]) {
    printf("flips: %s, %s:", p->name, where);
    for (size_t i = 0; i < RESULTS; i++)
        printf("%s %zu %s", i > 0 ? "," : "", counts[i], result_names[i]);
    printf("\n");
    fflush(stdout);
}

/* A folder for the plugin and the one after it. */
static void folder_for(const plugin *p, char folder[TEST_PATH_BYTES], char path[TEST_PATH_BYTES]) {
    char own[TEST_PATH_BYTES], scalar[TEST_PATH_BYTES];
    folder_make(folder);
    plugin_path(path, folder, p->name);
    plugin_path(own, test_folder("Q8K_BACKEND_DIR"), "scalar");
    plugin_path(scalar, folder, "scalar");
    if (strcmp(p->name, "scalar") != 0)
        ck_assert_int_eq(symlink(own, scalar), 0);
}

/* What becomes of the plugin, written to `path`, with a bit of one byte flipped. `headers`: nothing wrong may. */
static enum result run_flipped(const plugin *p, const char *folder, const char *path, size_t at, unsigned bit,
                               int next_too, bool headers) {
    p->data[at] ^= (uint8_t)(1U << bit);
    file_write(path, p->data, p->bytes);
    p->data[at] ^= (uint8_t)(1U << bit);
    enum result result = run(folder, p->name, next_too);
    require(!headers || result < WRONG, "%s, byte %zu, bit %u: %s", p->name, at, bit, result_names[result]);
    return result;
}

/* The headers that the dynamic linker follows, each `step`th bit of them. */
static void flip_linked_headers(const plugin *p, size_t step) {
    char folder[TEST_PATH_BYTES], path[TEST_PATH_BYTES];
    const ElfW(Ehdr) *header = (const void *)p->data;
    const size_t bytes = header->e_phoff + header->e_phnum * sizeof(ElfW(Phdr));
    size_t counts[RESULTS] = {0};
    folder_for(p, folder, path);
    for (size_t i = 0; i < 8 * bytes; i += step)
        counts[run_flipped(p, folder, path, i / 8, i % 8, 0, true)]++;
    print_counts(p, "linked headers", counts);
    folder_remove(folder);
}

static void flip_bits(const plugin *p, size_t flips) {
    char folder[TEST_PATH_BYTES], path[TEST_PATH_BYTES];
    size_t counts[PLACES][RESULTS] = {{0}};
    test_random random = random_start(6101);
    folder_for(p, folder, path);
    for (size_t i = 0; i < flips; i++) {
        size_t at;
        do
            at = random_below(&random, p->bytes);
        while (place_of(p, at) != i % PLACES);
        unsigned bit = (unsigned)random_below(&random, 8);
        counts[i % PLACES][run_flipped(p, folder, path, at, bit, 1, i % PLACES == HEADERS)]++;
    }
    for (size_t i = 0; i < PLACES; i++)
        print_counts(p, place_names[i], counts[i]);
    folder_remove(folder);
}

START_TEST(flipped_bits) {
    const size_t flips = child_is_quick() ? 40 : 400;
    bool first = true;
    q8k_backend_list *list = NULL;
    test_random random = random_start(6100);
    for (int i = 0; i < EVERY_PAIR; i++)
        products[i] = product_make(&random, format_of(i), precision_of(i), 35, 3, 19);
    ck_assert_int_eq(q8k_backend_list_create(&list, NULL), Q8K_OK);
    for (size_t i = 0; i < q8k_backend_list_count(list); i++) {
        q8k_backend_info info = {.size = sizeof info};
        ck_assert_int_eq(q8k_backend_list_get(list, i, &info), Q8K_OK);
        if (info.state == Q8K_BACKEND_REJECTED || strcmp(info.name, "builtin") == 0)
            continue;
        plugin p = {.name = info.name};
        p.data = file_read(info.file, &p.bytes);
        flip_bits(&p, flips);
        /* Every bit of one plugin's, since linkers write all of them alike. */
        flip_linked_headers(&p, first && !child_is_quick() ? 1 : 37);
        first = false;
        free(p.data);
    }
    q8k_backend_list_destroy(list);
}
END_TEST

Suite *suite_flips(void) {
    Suite *suite = suite_create("flips");
    TCase *tests = tcase_create("flips");
    tcase_set_timeout(tests, 600);
    /* Sanitizers report the signals that end some of the processes. */
    if (!SANITIZED)
        tcase_add_test(tests, flipped_bits);
    suite_add_tcase(suite, tests);
    return suite;
}
