/* SPDX-License-Identifier: MIT */
/* Runs the suites that need their own build of the library. As `check_cpu report` it prints what that chooses. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <q8k/q8k.h>

#include "suites.h"

static int report(void) {
    q8k_context *context = NULL;
    q8k_backend_list *list = NULL;
    if (q8k_context_create(&context, NULL) != Q8K_OK || q8k_backend_list_create(&list, NULL) != Q8K_OK) {
        printf("%s\n", q8k_last_error());
        return EXIT_SUCCESS;
    }
    printf("%s from %s, %s\n", q8k_context_backend(context), q8k_backend_list_directory(list, NULL),
           q8k_backend_list_directory_source(list));
    q8k_backend_list_destroy(list);
    q8k_context_destroy(context);
    return EXIT_SUCCESS;
}

int main(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "report") == 0)
        return report();
    SRunner *runner = srunner_create(suite_cpu());
    srunner_add_suite(runner, suite_memory());
    srunner_add_suite(runner, suite_privileges());
    srunner_add_suite(runner, suite_split());
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
