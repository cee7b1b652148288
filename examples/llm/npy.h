/* SPDX-License-Identifier: MIT */
#ifndef LLM_NPY_H
#define LLM_NPY_H

#include <stddef.h>
#include <stdio.h>

/* The header of a NumPy file of rows x cols float32 values, which are to follow, in this machine's byte order. */
void npy_header(FILE *file, size_t rows, size_t cols);

#endif
