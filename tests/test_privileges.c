/* SPDX-License-Identifier: MIT */
/* A set-user-id program must not believe the environment. It takes root to make one. */
#define _GNU_SOURCE
#include "suites.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "child.h"
#include "support.h"

/* What `program report` prints, run by another user with everything set that would be obeyed. */
static void run_report(const char *program, const char *folder, char printed[4096]) {
    int ends[2], status = 0;
    ck_assert_int_eq(pipe(ends), 0);
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        setenv("Q8K_BACKEND_DIR", folder, 1);
        setenv("Q8K_BACKEND", "no-such", 1);
        setenv("Q8K_VERBOSE", "1", 1);
        if (dup2(ends[1], STDOUT_FILENO) < 0 || dup2(ends[1], STDERR_FILENO) < 0 || setgid(65534) != 0 ||
            setuid(65534) != 0)
            _exit(98);
        execl(program, program, "report", (char *)NULL);
        _exit(99);
    }
    close(ends[1]);
    FILE *output = fdopen(ends[0], "r");
    ck_assert(child > 0 && output != NULL);
    printed[fread(printed, 1, 4095, output)] = '\0';
    fclose(output);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    require(status == 0, "exit status 0x%x: %s", (unsigned)status, printed);
}

START_TEST(set_user_id_programs_ignore_the_environment) {
    char folder[TEST_PATH_BYTES], program[TEST_PATH_BYTES], printed[4096];
    struct statvfs system;
    size_t bytes;
    uint8_t *data = file_read("/proc/self/exe", &bytes);
    folder_make(folder);
    ck_assert_int_eq(chmod(folder, 0755), 0);
    test_path(program, folder, "program");
    file_write(program, data, bytes);
    free(data);
    ck_assert_int_eq(statvfs(program, &system), 0);
    require((system.f_flag & ST_NOSUID) == 0, "%s is on a file system without set-user-id: set TMPDIR", folder);

    /* Without the bit it obeys, which shows that there was something to ignore. */
    ck_assert_int_eq(chmod(program, 0755), 0);
    run_report(program, folder, printed);
    require(strstr(printed, "q8k: no backend") != NULL && strstr(printed, folder) != NULL, "%s", printed);

    ck_assert_int_eq(chmod(program, 04755), 0);
    run_report(program, folder, printed);
    require(strstr(printed, ", built in\n") != NULL && strstr(printed, folder) == NULL &&
                strstr(printed, "no-such") == NULL && strstr(printed, "q8k:") == NULL,
            "%s", printed);
    folder_remove(folder);
}
END_TEST

Suite *suite_privileges(void) {
    Suite *suite = suite_create("privileges");
    TCase *tests = tcase_create("privileges");
    /* An emulator would have to be set-user-id, too. */
    if (geteuid() == 0 && child_slowdown() <= 1)
        tcase_add_test(tests, set_user_id_programs_ignore_the_environment);
    else
        printf("set-user-id programs: not tested, which takes root and no emulator\n");
    suite_add_tcase(suite, tests);
    return suite;
}
