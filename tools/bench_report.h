/* SPDX-License-Identifier: MIT */
/* The report as a JSON object, which the table and the picture are made from. */
#ifndef Q8K_TOOLS_BENCH_REPORT_H
#define Q8K_TOOLS_BENCH_REPORT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

static inline const char *text_at(const json_t *object, const char *key) {
    return json_string_value(json_object_get(object, key));
}

static inline double number_at(const json_t *object, const char *key) {
    return json_number_value(json_object_get(object, key));
}

/* Draws the report and writes the picture. On failure says why, and the file is what it was. */
bool bench_plot(const json_t *report, const char *path);

/* Writes gnuplot's script of the picture. */
void bench_chart(FILE *script, const json_t *report);

#endif
