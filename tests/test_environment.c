/* SPDX-License-Identifier: MIT */
/* What the environment may ask for, and what cannot be accepted. */
#include "suites.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "child.h"
#include "support.h"

static const struct {
    const char *name, *word;
} bad_names[] = {{"", "empty"},          {"a/b", "0x2f"},      {"../scalar", "0x2e"}, {"/tmp/x", "0x2f"},
                 {"Scalar", "0x53"},     {"SCALAR", "0x53"},   {"sca lar", "0x20"},   {"sc\xff", "0xff"},
                 {"sc\xc3\xa4", "0xc3"}, {"scalar\n", "0x0a"}, {".", "0x2e"},         {"scalar.so", "0x2e"}};

static void expect_bad_name(const char *name, const char *word) {
    outcome found;
    const char *const words[] = {"Q8K_BACKEND", word, NULL}, *const option[] = {"options.backend", word, NULL};
    child_run(&(child_environment){.backend_dir = test_folder("Q8K_BACKEND_DIR"), .backend = name}, &found);
    expect_refused(&found, Q8K_ERROR_ENVIRONMENT, words, name);
    child_run(&(child_environment){.backend_dir = test_folder("Q8K_BACKEND_DIR"), .option = name}, &found);
    expect_refused(&found, Q8K_ERROR_ENVIRONMENT, option, name);
    for (const char *at = found.error; *at != '\0'; at++)
        require((unsigned char)*at >= 0x20 && (unsigned char)*at < 0x7f, "%s", found.error);
}

START_TEST(malformed_names_are_refused) {
    expect_bad_name(bad_names[_i].name, bad_names[_i].word);
}
END_TEST

START_TEST(names_have_a_limit) {
    outcome found;
    char name[100001];
    memset(name, 'a', sizeof name);
    name[100000] = '\0';
    expect_bad_name(name, "100000");
    name[33] = '\0';
    expect_bad_name(name, "33");
    name[32] = '\0';
    child_run(&(child_environment){.backend_dir = test_folder("Q8K_BACKEND_DIR"), .backend = name}, &found);
    expect_refused(&found, Q8K_ERROR_BACKEND, (const char *const[]){name, "No such file", NULL}, "32 characters");
}
END_TEST

START_TEST(unknown_names_are_errors) {
    outcome found;
    child_run(&(child_environment){.backend_dir = test_folder("Q8K_BACKEND_DIR"), .backend = "no-such_1"}, &found);
    expect_refused(&found, Q8K_ERROR_BACKEND,
                   (const char *const[]){"Q8K_BACKEND", "no-such_1", "libq8k-no-such_1.so", "No such file", NULL},
                   "unknown");
    require(strstr(found.list, "no-such_1 rejected") != NULL, "%s", found.list);
}
END_TEST

/* A folder that is refused: automatic mode does without plugins and tells why, a named plugin is an error, and the
 * built-in backend needs no folder. */
static void expect_bad_folder(const char *folder, const char *word) {
    outcome found;
    const char *const words[] = {"Q8K_BACKEND_DIR", word, NULL};
    child_run(&(child_environment){.backend_dir = folder}, &found);
    expect_fallback(&found, words, folder);
    require(strstr(found.problem, word) != NULL, "%s", found.problem);
    ck_assert_str_eq(found.source, "Q8K_BACKEND_DIR");
    child_run(&(child_environment){.backend_dir = folder, .backend = "scalar"}, &found);
    expect_refused(&found, Q8K_ERROR_ENVIRONMENT, words, folder);
    child_run(&(child_environment){.backend_dir = folder, .backend = "builtin"}, &found);
    expect_used(&found, "builtin", folder);
}

START_TEST(folders_must_be_absolute) {
    const char *own = test_folder("Q8K_BACKEND_DIR");
    char up[TEST_PATH_BYTES], inside[TEST_PATH_BYTES], bytes[TEST_PATH_BYTES], control[TEST_PATH_BYTES];
    ck_assert_int_eq(chdir(own), 0);
    test_path(up, own, "..");
    test_path(inside, own, "../.libs");
    test_path(bytes, own, "\xff");
    test_path(control, own, "\x1b[31m");
    expect_bad_folder("", "absolute");
    expect_bad_folder(".", "absolute");
    expect_bad_folder("./", "absolute");
    expect_bad_folder("backends/.libs", "absolute");
    expect_bad_folder("..", "absolute");
    expect_bad_folder(up, "..");
    expect_bad_folder(inside, "..");
    expect_bad_folder("/..", "..");
    expect_bad_folder(bytes, "UTF-8");
    expect_bad_folder("/\xc0\xaf", "UTF-8");
    expect_bad_folder("/\xed\xa0\x80", "UTF-8");
    expect_bad_folder(control, "control");
}
END_TEST

START_TEST(folders_have_a_limit) {
    char *folder = test_alloc(100001);
    memset(folder, 'x', 100000);
    folder[100000] = '\0';
    folder[0] = '/';
    expect_bad_folder(folder, "100000");
    folder[5000] = '\0';
    expect_bad_folder(folder, "5000");
    free(folder);
}
END_TEST

/* What merely looks odd is a folder like any other. */
START_TEST(unusual_folders_are_used) {
    static const char *const names[] = {"..x", "x..", "a b", "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", "%s%n", "..."};
    size_t bytes;
    uint8_t *data = own_plugin(&bytes);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char folder[TEST_PATH_BYTES], inner[TEST_PATH_BYTES], path[TEST_PATH_BYTES];
        outcome found;
        folder_make(folder);
        test_path(inner, folder, names[i]);
        ck_assert_int_eq(mkdir(inner, 0755), 0);
        plugin_path(path, inner, "scalar");
        file_write(path, data, bytes);
        child_run(&(child_environment){.backend_dir = inner, .backend = "scalar"}, &found);
        expect_used(&found, "scalar", names[i]);
        folder_remove(folder);
    }
    free(data);
}
END_TEST

START_TEST(verbose_tells_the_choice_and_the_reasons) {
    static const char text[] = "a text that is longer than the header of an ELF file, which has 64 bytes at most";
    char folder[TEST_PATH_BYTES], path[TEST_PATH_BYTES];
    outcome found;
    folder_make(folder);
    plugin_path(path, folder, "scalar");
    file_write(path, text, sizeof text);
    child_run(&(child_environment){.backend_dir = folder, .verbose = "1"}, &found);
    ck_assert_str_eq(found.backend, "builtin");
    require(strstr(found.printed, "builtin") != NULL && strstr(found.printed, "scalar") != NULL &&
                strstr(found.printed, "not an ELF file") != NULL,
            "%s", found.printed);
    child_run(&(child_environment){.backend_dir = folder, .verbose = "1", .backend = "scalar"}, &found);
    ck_assert_int_eq(found.status, Q8K_ERROR_BACKEND);
    require(strstr(found.printed, "not an ELF file") != NULL, "%s", found.printed);
    child_run(&(child_environment){.backend_dir = test_folder("Q8K_BACKEND_DIR"), .verbose = "1"}, &found);
    require(strstr(found.printed, found.backend) != NULL, "%s", found.printed);
    for (size_t i = 0; i < 2; i++) {
        child_run(&(child_environment){.backend_dir = folder, .verbose = i ? "" : "0"}, &found);
        ck_assert_str_eq(found.printed, "");
    }
    folder_remove(folder);
}
END_TEST

Suite *suite_environment(void) {
    Suite *suite = suite_create("environment");
    TCase *tests = tcase_create("environment");
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, malformed_names_are_refused, 0, (int)(sizeof bad_names / sizeof *bad_names));
    tcase_add_test(tests, names_have_a_limit);
    tcase_add_test(tests, unknown_names_are_errors);
    tcase_add_test(tests, folders_must_be_absolute);
    tcase_add_test(tests, folders_have_a_limit);
    tcase_add_test(tests, unusual_folders_are_used);
    tcase_add_test(tests, verbose_tells_the_choice_and_the_reasons);
    suite_add_tcase(suite, tests);
    return suite;
}
