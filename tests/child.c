/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "child.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tools/definition.h"
#include "golden.h"

double child_slowdown(void) {
    const char *factor = getenv("CK_TIMEOUT_MULTIPLIER");
    double value = factor != NULL ? strtod(factor, NULL) : 1;
    return value >= 1 ? value : 1;
}

/* Its own end, and not Check's, which would end the whole test at once. */
static void set_alarm(const child_environment *environment) {
    signal(SIGALRM, SIG_DFL);
    alarm((unsigned)(child_slowdown() * (environment->limit > 0 ? environment->limit : 5)));
}

bool child_is_quick(void) {
    const char *quick = getenv("Q8K_TEST_QUICK");
    return (quick != NULL && *quick != '\0') || child_slowdown() > 1;
}

static void set_or_unset(const char *name, const char *value) {
    if (value != NULL)
        setenv(name, value, 1);
    else
        unsetenv(name);
}

static void apply(const child_environment *environment) {
    set_or_unset("Q8K_BACKEND_DIR", environment->backend_dir);
    set_or_unset("Q8K_BACKEND", environment->backend);
    set_or_unset("Q8K_VERBOSE", environment->verbose);
    set_or_unset("FAKE_NAME", environment->fake_name);
    set_or_unset("FAKE_COUNT_FILE", environment->count_file);
    if (environment->unprivileged && geteuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0))
        _exit(99);
}

/* Of the process, which other work on the machine does not change. What waits instead of working is ended by its alarm. */
static double cpu_seconds(void) {
    struct timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static int wait_for(pid_t child) {
    int status = 0;
    ck_assert(child > 0);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    return status;
}

int child_call(const child_environment *environment, int (*function)(void *), void *data) {
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        apply(environment);
        set_alarm(environment);
        _exit(function(data));
    }
    int status = wait_for(child);
    require(!WIFSIGNALED(status), "ended by signal %d", WTERMSIG(status));
    return WEXITSTATUS(status);
}

/* One row of one block of any bytes with moderate factors, by the definition and by the library. */
static bool product_right(const q8k_context *context, q8k_format format, q8k_precision precision, char *wrong,
                          size_t bytes) {
    enum { ROWS = 5, BATCH = 3, BLOCKS = 2 };
    uint8_t weights[ROWS * BLOCKS * 292];
    float input[BATCH * BLOCKS * 256], output[BATCH * ROWS];
    size_t block = definition_block_bytes(format);
    for (size_t i = 0; i < ROWS * BLOCKS * block; i++)
        weights[i] = (uint8_t)(i * 37 + i / 11);
    for (uint8_t *at = weights; at < weights + ROWS * BLOCKS * block; at += block) {
        for (size_t part = 0; definition_d(format, at, part) != NULL; part++)
            definition_d(format, at, part)[1] = 0x30;
        if (definition_has_min(format))
            definition_dmin(format, at)[1] = 0x30;
    }
    for (size_t i = 0; i < BATCH * BLOCKS * 256; i++)
        input[i] = (float)(i * 7919 % 1009) / 64 - 8;
    q8k_matmul_args args = {.size = sizeof args,
                            .format = format,
                            .precision = precision,
                            .out_features = ROWS,
                            .in_features = (size_t)BLOCKS * 256,
                            .batch = BATCH,
                            .weights = weights,
                            .weights_bytes = ROWS * BLOCKS * block,
                            .input = input,
                            .output = output};
    q8k_status status = q8k_matmul(context, &args);
    for (size_t i = 0; status == Q8K_OK && i < BATCH * ROWS; i++)
        if (!same_float(output[i], definition_accumulate(format, precision, BLOCKS, weights + i % ROWS * BLOCKS * block,
                                                         input + i / ROWS * BLOCKS * 256, 0))) {
            snprintf(wrong, bytes, "%s %s output %zu: %a", q8k_format_name(format), q8k_precision_name(precision), i,
                     (double)output[i]);
            return false;
        }
    if (status != Q8K_OK)
        snprintf(wrong, bytes, "%s", q8k_last_error());
    return status == Q8K_OK;
}

bool child_products_right(const q8k_context *context, char *wrong, size_t bytes) {
    for (q8k_format format = 1; format <= FORMAT_COUNT; format++)
        for (q8k_precision precision = 0; precision < PRECISION_COUNT; precision++)
            if (!product_right(context, format, precision, wrong, bytes))
                return false;
    return true;
}

int child_uses(const char *backend) {
    char wrong[512];
    q8k_context *context = NULL;
    if (q8k_context_create(&context, NULL) != Q8K_OK)
        return 1;
    const bool right = child_products_right(context, wrong, sizeof wrong);
    const bool same = strcmp(q8k_context_backend(context), backend) == 0;
    q8k_context_destroy(context);
    return !right ? 2 : same ? 0 : 3;
}

static void record_list(outcome *found, const q8k_context_options *options) {
    static const char *const states[] = {"selected", "available", "rejected"};
    q8k_backend_list *list = NULL;
    const char *problem = NULL;
    size_t used = 0;
    if (q8k_backend_list_create(&list, options) != Q8K_OK) {
        snprintf(found->list, sizeof found->list, "no list: %s", q8k_last_error());
        return;
    }
    for (size_t i = 0; i < q8k_backend_list_count(list); i++) {
        q8k_backend_info info = {.size = sizeof info};
        if (q8k_backend_list_get(list, i, &info) != Q8K_OK || used >= sizeof found->list)
            break;
        used += (size_t)snprintf(found->list + used, sizeof found->list - used, "%s %s %s: %s\n", info.name,
                                 states[info.state], info.file, info.reason);
    }
    snprintf(found->folder, sizeof found->folder, "%s", q8k_backend_list_directory(list, &problem));
    snprintf(found->problem, sizeof found->problem, "%s", problem);
    snprintf(found->source, sizeof found->source, "%s", q8k_backend_list_directory_source(list));
    q8k_backend_list_destroy(list);
}

/* What the child does. */
static void record(const child_environment *environment, outcome *found) {
    q8k_context_options options = {.size = sizeof options, .backend = environment->option};
    q8k_context *context = NULL;
    double start = cpu_seconds();
    found->status = q8k_context_create(&context, &options);
    found->seconds = cpu_seconds() - start;
    snprintf(found->error, sizeof found->error, "%s", found->status == Q8K_OK ? "" : q8k_last_error());
    if (context != NULL) {
        snprintf(found->backend, sizeof found->backend, "%s", q8k_context_backend(context));
        found->right = child_products_right(context, found->wrong, sizeof found->wrong);
    }
    q8k_context_destroy(context);
    record_list(found, &options);
}

static void read_printed(FILE *file, outcome *found) {
    ssize_t bytes = pread(fileno(file), found->printed, sizeof found->printed - 1, 0);
    found->printed[bytes > 0 ? bytes : 0] = '\0';
    fclose(file);
}

static void run_once(const child_environment *environment, outcome *found) {
    outcome *shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert(shared != MAP_FAILED);
    FILE *output = tmpfile();
    ck_assert(output != NULL);
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        if (dup2(fileno(output), STDOUT_FILENO) < 0 || dup2(fileno(output), STDERR_FILENO) < 0)
            _exit(98);
        apply(environment);
        set_alarm(environment);
        record(environment, shared);
        fflush(NULL);
        _exit(0);
    }
    shared->wait_status = wait_for(child);
    *found = *shared;
    munmap(shared, sizeof *shared);
    read_printed(output, found);
    require(!WIFSIGNALED(found->wait_status), "ended by signal %d; %s", WTERMSIG(found->wait_status), found->printed);
    ck_assert_int_eq(WEXITSTATUS(found->wait_status), 0);
}

void child_run(const child_environment *environment, outcome *found) {
    double limit = child_slowdown();
    /* A machine with other work to do may be slow once or twice. */
    for (int i = 0; i < 3; i++) {
        run_once(environment, found);
        if (found->seconds < limit)
            return;
    }
    ck_abort_msg("took %g seconds (limit %g)", found->seconds, limit);
}

void fake_path(char path[TEST_PATH_BYTES], const char *variant) {
    char name[128];
    snprintf(name, sizeof name, ".libs/fake_%s.so", variant);
    test_path(path, test_folder("Q8K_TEST_BUILD"), name);
}

void plugin_path(char path[TEST_PATH_BYTES], const char *folder, const char *name) {
    char file[128];
    snprintf(file, sizeof file, "libq8k-%s.so", name);
    test_path(path, folder, file);
}

void plugin_folder(char folder[TEST_PATH_BYTES], const char *file, const char *name) {
    char path[TEST_PATH_BYTES];
    size_t bytes;
    uint8_t *data = file_read(file, &bytes);
    folder_make(folder);
    plugin_path(path, folder, name);
    file_write(path, data, bytes);
    free(data);
}

uint8_t *own_plugin(size_t *bytes) {
    char path[TEST_PATH_BYTES];
    plugin_path(path, test_folder("Q8K_BACKEND_DIR"), "scalar");
    return file_read(path, bytes);
}

/* The line of one backend in the list. */
static const char *list_line(const outcome *found, const char *name, char line[4096]) {
    char start[128];
    snprintf(start, sizeof start, "%s ", name);
    for (const char *at = found->list; *at != '\0'; at = strchr(at, '\n') + 1)
        if (strncmp(at, start, strlen(start)) == 0) {
            snprintf(line, 4096, "%.*s", (int)(strchr(at, '\n') - at), at);
            return line;
        }
    return NULL;
}

static void expect_words(const char *text, const char *const *words, const char *what) {
    for (; words != NULL && *words != NULL; words++)
        require(strstr(text, *words) != NULL, "%s: \"%s\" not in \"%s\"", what, *words, text);
}

void expect_fallback(const outcome *found, const char *const *words, const char *what) {
    char line[4096];
    require(found->status == Q8K_OK, "%s: %s", what, found->error);
    require(strcmp(found->backend, "builtin") == 0, "%s: it is used as %s", what, found->backend);
    require(found->right, "%s: %s", what, found->wrong);
    require(list_line(found, "scalar", line) != NULL, "%s: %s", what, found->list);
    require(strncmp(line, "scalar rejected ", 16) == 0, "%s: %s", what, line);
    require(strlen(strstr(line, ": ")) > 2, "%s: no reason: %s", what, line);
    expect_words(line, words, what);
    require(list_line(found, "builtin", line) != NULL, "%s: %s", what, found->list);
    require(strncmp(line, "builtin selected ", 17) == 0, "%s: %s", what, line);
    require(found->printed[0] == '\0', "%s: %s", what, found->printed);
}

void expect_refused(const outcome *found, q8k_status status, const char *const *words, const char *what) {
    require(found->status == status, "%s: %s, not %s: %s", what, q8k_status_name(found->status),
            q8k_status_name(status), found->error);
    require(strchr(found->error, '\n') == NULL, "%s: %s", what, found->error);
    ck_assert_str_eq(found->backend, "");
    expect_words(found->error, words, what);
    require(strstr(found->list, " selected ") == NULL, "%s: %s", what, found->list);
    require(found->printed[0] == '\0', "%s: %s", what, found->printed);
}

void expect_used(const outcome *found, const char *backend, const char *what) {
    char line[4096], start[128];
    require(found->status == Q8K_OK, "%s: %s", what, found->error);
    require(strcmp(found->backend, backend) == 0, "%s: %s is used, not %s: %s", what, found->backend, backend,
            found->list);
    require(found->right, "%s: %s", what, found->wrong);
    snprintf(start, sizeof start, "%s selected ", backend);
    require(list_line(found, backend, line) != NULL && strncmp(line, start, strlen(start)) == 0, "%s: %s", what,
            found->list);
}

void expect_broken(const char *folder, const char *const *words, const char *what) {
    outcome found;
    child_run(&(child_environment){.backend_dir = folder}, &found);
    expect_fallback(&found, words, what);
    child_run(&(child_environment){.backend_dir = folder, .backend = "scalar"}, &found);
    expect_refused(&found, Q8K_ERROR_BACKEND, words, what);
    require(strstr(found.error, "libq8k-scalar.so") != NULL, "%s: %s", what, found.error);
}
