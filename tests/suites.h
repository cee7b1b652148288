/* SPDX-License-Identifier: MIT */
#ifndef Q8K_TESTS_SUITES_H
#define Q8K_TESTS_SUITES_H

#include <check.h>

Suite *suite_definition(void);
Suite *suite_formats(void);
Suite *suite_arithmetic(void);
Suite *suite_specials(void);
Suite *suite_layout(void);
Suite *suite_arguments(void);
Suite *suite_part_arguments(void);
Suite *suite_loader(void);
Suite *suite_elf(void);
Suite *suite_environment(void);
Suite *suite_flips(void);
Suite *suite_plugins(void);
Suite *suite_surroundings(void);
Suite *suite_disturbances(void);
Suite *suite_threads(void);
Suite *suite_quantize(void);
Suite *suite_npy(void);
Suite *suite_gguf(void);
Suite *suite_gguf_files(void);
/* In a runner of its own, check_cpu. */
Suite *suite_cpu(void);
Suite *suite_memory(void);
Suite *suite_privileges(void);
Suite *suite_split(void);

#endif
