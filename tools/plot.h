/* SPDX-License-Identifier: MIT */
/* Pictures of reports, drawn by gnuplot as SVG. */
#ifndef Q8K_TOOLS_PLOT_H
#define Q8K_TOOLS_PLOT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

/* Members of a report. */
static inline const char *text_at(const json_t *object, const char *key) {
    return json_string_value(json_object_get(object, key));
}

static inline double number_at(const json_t *object, const char *key) {
    return json_number_value(json_object_get(object, key));
}

/* Whether there is gnuplot and the file can be written; else says what is wrong. */
bool plot_ready(const char *path);

/* Draws what `chart` writes of a report as gnuplot's script. On failure says why, and the file is what it was. */
bool plot_draw(const char *path, void (*chart)(FILE *script, const json_t *report), const json_t *report);

#endif
