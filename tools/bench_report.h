/* SPDX-License-Identifier: MIT */
/* The report as a JSON object, which the table and the picture are made from. */
#ifndef Q8K_TOOLS_BENCH_REPORT_H
#define Q8K_TOOLS_BENCH_REPORT_H

#include "plot.h"

/* Writes gnuplot's script of the picture. */
void bench_chart(FILE *script, const json_t *report);

#endif
