/* SPDX-License-Identifier: MIT */
/* Writing .npy files: the target is the old file or the whole new one, whatever happens, and nothing else is left. */
#define _GNU_SOURCE
#include "test_npy.h"

#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support.h"
#include "tools/npy.h"
#include "tools/output.h"

static float numbers[6] = {1, -2.5F, 3, 4, 5e-40F, 6};
static const npy_array matrix = {.type = NPY_FLOAT32, .rows = 2, .cols = 3, .data = numbers};
static char folder[TEST_PATH_BYTES], path[TEST_PATH_BYTES];

static void set_up(void) {
    folder_make(folder);
    test_path(path, folder, "file.npy");
}

static void tear_down(void) {
    folder_remove(folder);
}

static int count_entries(void) {
    int count = 0;
    DIR *entries = opendir(folder);
    ck_assert_ptr_nonnull(entries);
    for (const struct dirent *entry; (entry = readdir(entries)) != NULL;)
        count += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    closedir(entries);
    return count;
}

static void expect_written(const char *name) {
    char error[NPY_ERROR_BYTES] = "";
    ck_assert_msg(npy_write(name, &matrix, error), "%s", error);
}

static void expect_unwritten(const char *name, const char *fragment) {
    char error[NPY_ERROR_BYTES] = "";
    ck_assert_msg(!npy_write(name, &matrix, error), "written: %s", name);
    ck_assert_msg(strstr(error, fragment) != NULL, "message '%s' lacks '%s'", error, fragment);
}

static void expect_content(const char *name, const char *text) {
    size_t bytes;
    uint8_t *content = file_read(name, &bytes);
    ck_assert_uint_eq(bytes, strlen(text));
    ck_assert_mem_eq(content, text, bytes);
    free(content);
}

/* To the byte what numpy.save() writes. */
START_TEST(writes_as_numpy_does) {
    static const char start[] = "\x93NUMPY\x01\0\x76\0{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }";
    size_t bytes;
    expect_written(path);
    uint8_t *content = file_read(path, &bytes);
    ck_assert_uint_eq(bytes, 128 + sizeof numbers);
    ck_assert_mem_eq(content, start, sizeof start - 1);
    for (size_t i = sizeof start - 1; i < 127; i++)
        ck_assert_uint_eq(content[i], ' ');
    ck_assert_uint_eq(content[127], '\n');
    ck_assert_mem_eq(content + 128, numbers, sizeof numbers);
    free(content);
    ck_assert_int_eq(count_entries(), 1);
}
END_TEST

START_TEST(reads_back_what_it_wrote) {
    enum { ROWS = 301, COLS = 257 };
    char error[NPY_ERROR_BYTES];
    uint8_t *bytes = test_alloc(ROWS * COLS * sizeof(float));
    test_random random = random_start(0x77726974);
    for (size_t i = 0; i < ROWS * COLS * sizeof(float); i++)
        bytes[i] = (uint8_t)random_next(&random);
    for (int type = 0; type < 2; type++) {
        npy_array array = {type == 0 ? NPY_UINT8 : NPY_FLOAT32, ROWS, COLS, bytes}, back;
        ck_assert_msg(npy_write(path, &array, error), "%s", error);
        ck_assert_msg(npy_read(path, &back, error), "%s", error);
        ck_assert_int_eq(back.type, array.type);
        ck_assert_uint_eq(back.rows, ROWS);
        ck_assert_uint_eq(back.cols, COLS);
        ck_assert_mem_eq(back.data, bytes, ROWS * COLS * npy_type_bytes(array.type));
        npy_free(&back);
    }
    free(bytes);
}
END_TEST

START_TEST(writes_empty_arrays) {
    npy_array empty = {.type = NPY_UINT8, .rows = 0, .cols = 144}, back;
    char error[NPY_ERROR_BYTES];
    ck_assert_msg(npy_write(path, &empty, error), "%s", error);
    ck_assert_msg(npy_read(path, &back, error), "%s", error);
    ck_assert_uint_eq(back.rows, 0);
    ck_assert_uint_eq(back.cols, 144);
}
END_TEST

START_TEST(honours_the_mask_of_modes) {
    static const mode_t masks[] = {0, 022, 077};
    for (size_t i = 0; i < sizeof masks / sizeof *masks; i++) {
        struct stat status;
        umask(masks[i]);
        expect_written(path);
        ck_assert_int_eq(stat(path, &status), 0);
        ck_assert_uint_eq(status.st_mode & 0777, 0666 & ~masks[i]);
    }
}
END_TEST

START_TEST(follows_symbolic_links) {
    char link[TEST_PATH_BYTES];
    struct stat status;
    test_path(link, folder, "link.npy");
    file_write(path, "old", 3);
    ck_assert_int_eq(symlink("file.npy", link), 0);
    expect_written(link);
    ck_assert_int_eq(lstat(link, &status), 0);
    ck_assert(S_ISLNK(status.st_mode));
    ck_assert_int_eq(stat(path, &status), 0);
    ck_assert_int_eq(status.st_size, 128 + sizeof numbers);
    ck_assert_int_eq(count_entries(), 2);
}
END_TEST

/* The file is made under another name: that name must fit as well. */
START_TEST(takes_the_longest_name) {
    char name[256];
    memset(name, 'n', 255);
    name[255] = '\0';
    test_path(path, folder, name);
    expect_written(path);
    ck_assert_int_eq(count_entries(), 1);
}
END_TEST

START_TEST(takes_a_name_without_folder) {
    ck_assert_int_eq(chdir(folder), 0);
    expect_written("bare.npy");
    ck_assert_int_eq(access("bare.npy", R_OK), 0);
    ck_assert_int_eq(count_entries(), 1);
}
END_TEST

START_TEST(refuses_what_is_no_file) {
    char other[TEST_PATH_BYTES];
    struct stat status;
    test_path(other, folder, "fifo");
    ck_assert_int_eq(mkfifo(other, 0600), 0);
    expect_unwritten(other, "fifo: cannot be written: it is there and not a regular file");
    expect_unwritten(folder, "not a regular file");
    expect_unwritten("/dev/null", "/dev/null: cannot be written: it is there and not a regular file");
    ck_assert_int_eq(stat("/dev/null", &status), 0);
    ck_assert(S_ISCHR(status.st_mode));
    test_path(other, folder, "none/file.npy");
    expect_unwritten(other, "none/file.npy: cannot make a file in its folder: No such file or directory");
    test_path(other, folder, "dangling");
    ck_assert_int_eq(symlink("nowhere", other), 0);
    expect_unwritten(other, "dangling: cannot be written: No such file or directory");
    ck_assert_int_eq(count_entries(), 2);
}
END_TEST

/* Writes with so small a limit on files that only the first bytes can be. Check writes a file of its own on every
 * assertion, so there is none here. */
_Noreturn static void write_on_a_full_disk(const npy_array *array) {
    const struct rlimit limit = {140, 140};
    char error[NPY_ERROR_BYTES];
    signal(SIGXFSZ, SIG_IGN);
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0 || npy_write(path, array, error))
        _exit(1);
    _exit(strstr(error, "file.npy: cannot be written: File too large") != NULL ? 0 : 2);
}

START_TEST(leaves_nothing_when_the_disk_is_full) {
    float values[64] = {0};
    const npy_array array = {NPY_FLOAT32, 1, 64, values};
    int status;
    file_write(path, "old", 3);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0)
        write_on_a_full_disk(&array);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %d", status);
    ck_assert_int_eq(count_entries(), 1);
    expect_content(path, "old");
}
END_TEST

static void *raise_signal(void *number) {
    raise(*(const int *)number);
    return NULL;
}

/* Writes some bytes, then ends by a signal, which reaches this thread or another. */
_Noreturn static void be_interrupted(int number, bool elsewhere) {
    output out;
    pthread_t other;
    char error[OUTPUT_ERROR_BYTES];
    if (!output_open(&out, path, error) || !output_write(&out, "new", 3, error) || count_entries() != 2)
        _exit(EXIT_FAILURE);
    if (!elsewhere)
        raise(number);
    else if (pthread_create(&other, NULL, raise_signal, &number) == 0)
        pthread_join(other, NULL);
    _exit(EXIT_SUCCESS);
}

START_TEST(leaves_nothing_when_interrupted) {
    static const int signals[] = {SIGHUP, SIGINT, SIGTERM};
    const int number = signals[_i / 2];
    int status;
    file_write(path, "old", 3);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        signal(number, SIG_DFL);
        be_interrupted(number, _i % 2 != 0);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFSIGNALED(status));
    ck_assert_int_eq(WTERMSIG(status), number);
    ck_assert_int_eq(count_entries(), 1);
    expect_content(path, "old");
}
END_TEST

/* nohup and background jobs ignore signals; so does the file. */
START_TEST(goes_on_when_signals_are_ignored) {
    output out;
    char error[OUTPUT_ERROR_BYTES];
    signal(SIGHUP, SIG_IGN);
    ck_assert(output_open(&out, path, error));
    raise(SIGHUP);
    ck_assert(output_write(&out, "new", 3, error));
    ck_assert(output_finish(&out, error));
    expect_content(path, "new");
}
END_TEST

START_TEST(restores_signals_and_can_be_given_up) {
    output out;
    char error[OUTPUT_ERROR_BYTES];
    struct sigaction action;
    file_write(path, "old", 3);
    signal(SIGINT, SIG_DFL);
    ck_assert(output_open(&out, path, error));
    ck_assert(output_write(&out, "new", 3, error));
    output_abandon(&out);
    sigaction(SIGINT, NULL, &action);
    ck_assert(action.sa_handler == SIG_DFL);
    ck_assert_int_eq(count_entries(), 1);
    expect_content(path, "old");
}
END_TEST

TCase *tcase_npy_write(void) {
    TCase *write = tcase_create("write");
    tcase_add_checked_fixture(write, set_up, tear_down);
    tcase_add_test(write, writes_as_numpy_does);
    tcase_add_test(write, reads_back_what_it_wrote);
    tcase_add_test(write, writes_empty_arrays);
    tcase_add_test(write, honours_the_mask_of_modes);
    tcase_add_test(write, follows_symbolic_links);
    tcase_add_test(write, takes_the_longest_name);
    tcase_add_test(write, takes_a_name_without_folder);
    tcase_add_test(write, refuses_what_is_no_file);
    tcase_add_test(write, leaves_nothing_when_the_disk_is_full);
    tcase_add_loop_test(write, leaves_nothing_when_interrupted, 0, 6);
    tcase_add_test(write, goes_on_when_signals_are_ignored);
    tcase_add_test(write, restores_signals_and_can_be_given_up);
    return write;
}
