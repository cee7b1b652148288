/* SPDX-License-Identifier: MIT */
/* Runs the suites that need their own build of the library. */
#include <stdlib.h>

#include "suites.h"

int main(void) {
    SRunner *runner = srunner_create(suite_cpu());
    srunner_add_suite(runner, suite_memory());
    srunner_add_suite(runner, suite_split());
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
