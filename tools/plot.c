/* SPDX-License-Identifier: MIT */
/* --plot: a picture, from the report to the file. */
#define _GNU_SOURCE
#include "plot.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "escape.h"
#include "gnuplot.h"
#include "input.h"
#include "output.h"

enum { SHOWN_BYTES = 512 };

static bool refuse(const char *path, const char *error) {
    char shown[SHOWN_BYTES];
    command_say("--plot: %s: %s", escape_path(shown, sizeof shown, path), error);
    return false;
}

bool plot_ready(const char *path) {
    char error[OUTPUT_ERROR_BYTES];
    output out;
    if (!output_open(&out, path, error)) {
        return refuse(path, error);
    }
    output_abandon(&out);
    if (!input_ends_as(path, ".svg")) {
        return refuse(path, "the picture is SVG (limit a name that ends in .svg)");
    }
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

bool plot_draw(const char *path, void (*chart)(FILE *script, const json_t *report), const json_t *report) {
    char *picture;
    size_t bytes;
    FILE *script = tmpfile();
    if (script == NULL) {
        command_say("--plot: no temporary file: %s", strerror(errno));
        return false;
    }
    chart(script, report);
    /* The file is not opened before the picture is there: gnuplot's name for it is a pipe. */
    bool good = gnuplot_run(script, &picture, &bytes);
    fclose(script);
    if (good) {
        good = write_file(path, picture, bytes);
        free(picture);
    }
    return good;
}
