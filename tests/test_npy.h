/* SPDX-License-Identifier: MIT */
#ifndef Q8K_TESTS_TEST_NPY_H
#define Q8K_TESTS_TEST_NPY_H

#include <check.h>

/* Writing .npy files, a part of suite_npy(). */
TCase *tcase_npy_write(void);

#endif
