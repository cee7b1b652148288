/* SPDX-License-Identifier: MIT */
/* q8k bench --plot: the picture, from the report to the file. */
#define _GNU_SOURCE
#include "bench.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench_report.h"
#include "escape.h"
#include "gnuplot.h"
#include "output.h"

enum { SHOWN_BYTES = 512 };

static bool refuse(const char *path, const char *error) {
    char shown[SHOWN_BYTES];
    command_say("--plot: %s: %s", escape_path(shown, sizeof shown, path), error);
    return false;
}

bool bench_plot_ready(const char *path) {
    char error[OUTPUT_ERROR_BYTES];
    output out;
    if (!output_open(&out, path, error)) {
        return refuse(path, error);
    }
    output_abandon(&out);
    return gnuplot_ready();
}

static bool write_file(const char *path, const char *bytes, size_t count) {
    char error[OUTPUT_ERROR_BYTES];
    output out;
    if (!output_open(&out, path, error)) {
        return refuse(path, error);
    }
    if (!output_write(&out, bytes, count, error)) {
        output_abandon(&out);
        return refuse(path, error);
    }
    return output_finish(&out, error) || refuse(path, error);
}

bool bench_plot(const json_t *report, const char *path) {
    char *picture;
    size_t bytes;
    FILE *script = tmpfile();
    if (script == NULL) {
        command_say("--plot: no temporary file: %s", strerror(errno));
        return false;
    }
    bench_chart(script, report);
    /* The file is not opened before the picture is there: gnuplot's name for it is a pipe. */
    bool good = gnuplot_run(script, &picture, &bytes);
    fclose(script);
    if (good) {
        good = write_file(path, picture, bytes);
        free(picture);
    }
    return good;
}
