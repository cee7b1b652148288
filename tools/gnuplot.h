/* SPDX-License-Identifier: MIT */
/* gnuplot, a program that may be there or not. */
#ifndef Q8K_TOOLS_GNUPLOT_H
#define Q8K_TOOLS_GNUPLOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* Whether gnuplot is on PATH and makes SVG; else says what is wrong. */
bool gnuplot_ready(void);

/* Runs a script, a file from its beginning on, and takes what it prints. On failure says why, and there is nothing to
 * free. What gnuplot itself has to say goes to standard error. */
bool gnuplot_run(FILE *script, char **printed, size_t *bytes);

/* Writes a text to a script, in quotes; nothing in it is taken for more than a letter. */
void gnuplot_quote(FILE *script, const char *text);

#endif
