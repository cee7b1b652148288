/* SPDX-License-Identifier: MIT */
/* Files in the plugin's place that are not whole plugins. */
#define _GNU_SOURCE
#include "suites.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "child.h"
#include "support.h"

START_TEST(the_own_plugin_is_used) {
    outcome found;
    child_run(&(child_environment){.backend_dir = test_folder("Q8K_BACKEND_DIR"), .backend = "scalar"}, &found);
    expect_used(&found, "scalar", "own plugin");
    ck_assert_str_eq(found.folder, test_folder("Q8K_BACKEND_DIR"));
    ck_assert_str_eq(found.source, "Q8K_BACKEND_DIR");
    ck_assert_str_eq(found.problem, "");
    ck_assert_str_eq(found.printed, "");
}
END_TEST

/* --------------------------------------------------------------------------------------- damaged by length --- */

/* Damages to the end of a file, at every 64th byte from the last to the first: each must be refused. */
typedef struct damage {
    const char *path;
    void (*apply)(const char *path, size_t at, size_t bytes);
    size_t first, last, bytes;
} damage;

static void cut_off(const char *path, size_t at, size_t bytes) {
    (void)bytes;
    if (truncate(path, (off_t)at) != 0)
        abort();
}

static void zero_tail(const char *path, size_t at, size_t bytes) {
    cut_off(path, at, bytes);
    cut_off(path, bytes, bytes);
}

/* In a process of its own, which nothing but a good plugin may change. */
static int refuses_damages(void *data) {
    const damage *d = data;
    for (size_t at = d->last;; at -= 64) {
        q8k_context *context = NULL;
        d->apply(d->path, at, d->bytes);
        if (q8k_context_create(&context, NULL) != Q8K_OK || strcmp(q8k_context_backend(context), "builtin") != 0)
            return 1;
        q8k_context_destroy(context);
        if (at < d->first + 64)
            return 0;
    }
}

/* All of a file, some damages to a process. */
static void expect_damages_refused(void (*apply)(const char *path, size_t at, size_t bytes), const char *what) {
    char folder[TEST_PATH_BYTES], path[TEST_PATH_BYTES];
    size_t bytes;
    uint8_t *data = own_plugin(&bytes);
    folder_make(folder);
    plugin_path(path, folder, "scalar");
    file_write(path, data, bytes);
    /* The last 16 bytes are the end of a section header, which may be zero as it is. */
    damage d = {.path = path, .apply = apply, .last = apply == cut_off ? bytes - 1 : bytes - 17, .bytes = bytes};
    for (; d.last > 0; d.last = d.first == 0 ? 0 : d.first - 1) {
        d.first = d.last < 4096 ? 0 : d.last - 4096;
        int failed = child_call(&(child_environment){.backend_dir = folder}, refuses_damages, &d);
        require(failed == 0, "%s between byte %zu and %zu: not refused", what, d.first, d.last);
    }
    for (d.last = (bytes - 1) / 64 * 64; d.last > 0; d.last = d.first) {
        d.first = d.last < 4096 ? 0 : d.last - 4096;
        int failed = child_call(&(child_environment){.backend_dir = folder}, refuses_damages, &d);
        require(failed == 0, "%s between byte %zu and %zu: not refused", what, d.first, d.last);
    }
    expect_broken(folder, NULL, what);
    free(data);
    folder_remove(folder);
}

START_TEST(plugins_cut_off_anywhere_are_refused) {
    expect_damages_refused(cut_off, "cut off");
}
END_TEST

START_TEST(plugins_with_a_zeroed_tail_are_refused) {
    expect_damages_refused(zero_tail, "zeroed");
}
END_TEST

/* A process that found a plugin broken uses it once it is whole: nothing of a failure is kept. */
static int uses_repaired(void *data) {
    const char *path = data;
    char good[TEST_PATH_BYTES];
    q8k_context *context = NULL;
    size_t bytes;
    uint8_t *whole = file_read(path, &bytes);
    cut_off(path, 100, bytes);
    if (q8k_context_create(&context, NULL) != Q8K_OK || strcmp(q8k_context_backend(context), "builtin") != 0)
        return 1;
    q8k_context_destroy(context);
    /* Written beside it and renamed, as installers do. */
    snprintf(good, sizeof good, "%.900s.new", path);
    file_write(good, whole, bytes);
    if (rename(good, path) != 0 || q8k_context_create(&context, NULL) != Q8K_OK)
        return 2;
    int used = strcmp(q8k_context_backend(context), "scalar") == 0;
    q8k_context_destroy(context);
    free(whole);
    return used ? 0 : 3;
}

START_TEST(a_repaired_plugin_is_used) {
    char folder[TEST_PATH_BYTES], path[TEST_PATH_BYTES], own[TEST_PATH_BYTES];
    plugin_path(own, test_folder("Q8K_BACKEND_DIR"), "scalar");
    plugin_folder(folder, own, "scalar");
    plugin_path(path, folder, "scalar");
    ck_assert_int_eq(child_call(&(child_environment){.backend_dir = folder}, uses_repaired, path), 0);
    folder_remove(folder);
}
END_TEST

/* --------------------------------------------------------------------------------------------- not plugins --- */

static void make_fifo(const char *path) {
    ck_assert_int_eq(mkfifo(path, 0644), 0);
}

static void make_directory(const char *path) {
    ck_assert_int_eq(mkdir(path, 0755), 0);
}

static void make_socket(const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int socket_file = socket(AF_UNIX, SOCK_STREAM, 0);
    ck_assert_uint_lt(strlen(path), sizeof address.sun_path);
    strcpy(address.sun_path, path);
    ck_assert_int_eq(bind(socket_file, (const struct sockaddr *)&address, sizeof address), 0);
    close(socket_file);
}

static void make_loop(const char *path) {
    ck_assert_int_eq(symlink(path, path), 0);
}

static void make_dangling(const char *path) {
    ck_assert_int_eq(symlink("/nonexistent/file", path), 0);
}

static void make_zeros(const char *path) {
    ck_assert_int_eq(symlink("/dev/zero", path), 0);
}

static void make_terminal(const char *path) {
    ck_assert_int_eq(symlink("/dev/tty", path), 0);
}

static void make_empty(const char *path) {
    file_write(path, "", 0);
}

static void make_text(const char *path) {
    static const char text[] = "INPUT(libq8k.so)\nThis is a text, as a linker script would be, and not a plugin.\n"
                               "It is longer than the header of an ELF file.\n";
    file_write(path, text, sizeof text - 1);
}

static void make_sparse(const char *path) {
    make_empty(path);
    ck_assert_int_eq(truncate(path, (off_t)1 << 40), 0);
}

static void make_nothing(const char *path) {
    (void)path;
}

static const struct {
    void (*make)(const char *path);
    const char *what, *word;
} strange_files[] = {
    {make_nothing, "nothing", "No such file"},   {make_empty, "empty", "0 bytes"},
    {make_text, "text", "not an ELF file"},      {make_fifo, "FIFO", "regular"},
    {make_directory, "directory", "regular"},    {make_socket, "socket", "libq8k-scalar.so"},
    {make_loop, "symlink loop", "symbolic"},     {make_dangling, "dangling", "No such file"},
    {make_zeros, "/dev/zero", "regular"},        {make_terminal, "/dev/tty", "libq8k-scalar.so"},
    {make_sparse, "a sparse TiB", "not an ELF"},
};

START_TEST(strange_files_are_refused) {
    char folder[TEST_PATH_BYTES], path[TEST_PATH_BYTES];
    folder_make(folder);
    plugin_path(path, folder, "scalar");
    strange_files[_i].make(path);
    expect_broken(folder, (const char *const[]){strange_files[_i].word, NULL}, strange_files[_i].what);
    folder_remove(folder);
}
END_TEST

START_TEST(unreadable_files_and_folders_are_refused) {
    char folder[TEST_PATH_BYTES], path[TEST_PATH_BYTES];
    outcome found;
    size_t bytes;
    uint8_t *data = own_plugin(&bytes);
    folder_make(folder);
    plugin_path(path, folder, "scalar");
    file_write(path, data, bytes);
    free(data);
    ck_assert_int_eq(chmod(path, 0), 0);
    child_run(&(child_environment){.backend_dir = folder, .unprivileged = true}, &found);
    expect_fallback(&found, (const char *const[]){"denied", NULL}, "unreadable file");
    ck_assert_int_eq(chmod(path, 0644), 0);
    ck_assert_int_eq(chmod(folder, 0), 0);
    child_run(&(child_environment){.backend_dir = folder, .unprivileged = true}, &found);
    expect_fallback(&found, (const char *const[]){"denied", NULL}, "unreadable folder");
    ck_assert_int_eq(chmod(folder, 0755), 0);
    child_run(&(child_environment){.backend_dir = folder, .unprivileged = true}, &found);
    expect_used(&found, "scalar", "readable again");
    folder_remove(folder);
    child_run(&(child_environment){.backend_dir = folder}, &found);
    expect_fallback(&found, (const char *const[]){"No such file", NULL}, "missing folder");
}
END_TEST

Suite *suite_loader(void) {
    Suite *suite = suite_create("loader");
    TCase *tests = tcase_create("loader");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, the_own_plugin_is_used);
    tcase_add_test(tests, plugins_cut_off_anywhere_are_refused);
    tcase_add_test(tests, plugins_with_a_zeroed_tail_are_refused);
    tcase_add_test(tests, a_repaired_plugin_is_used);
    tcase_add_loop_test(tests, strange_files_are_refused, 0, (int)(sizeof strange_files / sizeof *strange_files));
    tcase_add_test(tests, unreadable_files_and_folders_are_refused);
    suite_add_tcase(suite, tests);
    return suite;
}
