/* SPDX-License-Identifier: MIT */
/* Runs every suite, or those that CK_RUN_SUITE names. Where the library has its backends inside, those about plugins are
 * left out. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "suites.h"
#include "support.h"

int main(void) {
    /* The suites that need a process that never used the library come first: without fork (CK_FORK=no) the others
     * would leave them none. */
    SRunner *runner = srunner_create(NULL);
#ifndef Q8K_BUILTIN_BACKENDS
    srunner_add_suite(runner, suite_loader());
    srunner_add_suite(runner, suite_elf());
    srunner_add_suite(runner, suite_environment());
    srunner_add_suite(runner, suite_flips());
    srunner_add_suite(runner, suite_plugins());
    srunner_add_suite(runner, suite_surroundings());
    srunner_add_suite(runner, suite_disturbances());
    srunner_add_suite(runner, suite_threads());
#endif
    srunner_add_suite(runner, suite_definition());
    srunner_add_suite(runner, suite_formats());
    srunner_add_suite(runner, suite_arithmetic());
    srunner_add_suite(runner, suite_specials());
    srunner_add_suite(runner, suite_layout());
    srunner_add_suite(runner, suite_arguments());
    srunner_add_suite(runner, suite_part_arguments());
    srunner_add_suite(runner, suite_quantize());
    srunner_add_suite(runner, suite_npy());
    srunner_add_suite(runner, suite_gguf());
    srunner_add_suite(runner, suite_gguf_files());
    printf("Q8K_TEST_SEED=%" PRIu64 "\n", test_seed());
    fflush(stdout);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    if (failed != 0)
        printf("to repeat: Q8K_TEST_SEED=%" PRIu64 "\n", test_seed());
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
