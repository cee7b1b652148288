/* SPDX-License-Identifier: MIT */
/* What `q8k compare` finds of two files. */
#ifndef Q8K_TOOLS_COMPARE_H
#define Q8K_TOOLS_COMPARE_H

#include <jansson.h>
#include <stdio.h>

#include "weights.h"

/* How far the weights of one tensor are from those of another one. Where either weight is not finite, it is counted, and
 * left out of all else. */
typedef struct comparison {
    uint64_t weights, not_finite;
    double squares;     /* of the first one's weights */
    double differences; /* their squares */
    double worst;       /* the largest of them in magnitude */
} comparison;

/* Two files with the tensors to be compared. */
typedef struct comparison_files {
    const weights_file *a, *b;
    int threads;
} comparison_files;

/* Compares two tensors of the same number of weights, which can be decoded. Does not depend on the threads. */
bool compare_tensors(const comparison_files *files, const gguf_tensor *a, const gguf_tensor *b, comparison *found,
                     char error[WEIGHTS_ERROR_BYTES]);

/* A report without tensors, and one more tensor of it; then what all of a type have in common. NULL, or false, if there
 * is no memory. */
json_t *compare_report(const char *a, const char *b);
bool compare_report_add(json_t *report, const gguf_tensor *a, const gguf_tensor *b, const comparison *found);
bool compare_report_leave_out(json_t *report, const gguf_tensor *tensor, const char *reason);
bool compare_report_types(json_t *report);

/* Prints it for people. */
void compare_print(const json_t *report);

/* Writes gnuplot's script of the picture. */
void compare_chart(FILE *script, const json_t *report);

#endif
