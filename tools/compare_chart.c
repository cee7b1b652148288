/* SPDX-License-Identifier: MIT */
/* The picture of a comparison, as a script for gnuplot: for each tensor of B its error against its bits per weight, and
 * for each type that of all its tensors. A line shows what no coder of that many bits can fall below if the weights are
 * normally distributed and independent: an error of 2^-bits. */
#include "compare.h"

#include <math.h>
#include <string.h>

#include "gnuplot.h"
#include "plot.h"

/* In pixels. Tensors of one type have the same bits: they are spread a little, in the order of the file. */
enum { WIDTH = 1000, HEIGHT = 600, LEFT = 84, RIGHT = 24, HEAD = 84, FOOT = 60, COLOURS = 8, MOST_KINDS = 64 };
static const double spread = 0.3;

/* Hues that the colour-blind tell apart. */
static const unsigned colours[COLOURS] = {0x0072B2, 0xD55E00, 0x009E73, 0xCC79A7,
                                          0xE69F00, 0x56B4E9, 0x333333, 0xB3A800};

typedef struct range {
    double low, high;
} range;

static void widen(range *of, double value) {
    of->low = fmin(of->low, value);
    of->high = fmax(of->high, value);
}

static bool has_error(const json_t *entry) {
    return number_at(entry, "relative_rms") > 0;
}

/* What B holds, of the tensors with an error. */
typedef struct kind {
    const char *name;
    size_t tensors;
    double bits, squares, differences;
} kind;

/* Returns how many there are; of more than MOST_KINDS, the first ones. */
static size_t find_kinds(const json_t *tensors, kind kinds[MOST_KINDS]) {
    size_t i, count = 0, k;
    json_t *tensor;
    json_array_foreach(tensors, i, tensor) {
        double finite = number_at(tensor, "rows") * number_at(tensor, "cols") - number_at(tensor, "not_finite");
        for (k = 0; k < count && strcmp(kinds[k].name, text_at(tensor, "type_b")) != 0;) {
            k++;
        }
        if (k == MOST_KINDS || !has_error(tensor)) {
            continue;
        }
        if (k == count) {
            kinds[count++] = (kind){.name = text_at(tensor, "type_b"), .bits = number_at(tensor, "bits_b")};
        }
        kinds[k].tensors++;
        kinds[k].squares += finite * pow(number_at(tensor, "magnitude"), 2);
        kinds[k].differences += finite * pow(number_at(tensor, "rms"), 2);
    }
    return count;
}

/* Lines of bits, error and colour. */
static void write_tensors(FILE *script, const json_t *tensors, const kind *k, unsigned colour, range *errors) {
    size_t i, at = 0;
    json_t *tensor;
    json_array_foreach(tensors, i, tensor) {
        if (has_error(tensor) && strcmp(text_at(tensor, "type_b"), k->name) == 0) {
            double aside = k->tensors > 1 ? spread * ((double)at / (double)(k->tensors - 1) - 0.5) : 0;
            fprintf(script, "%.4f %.6g %u\n", k->bits + aside, number_at(tensor, "relative_rms"), colour);
            widen(errors, number_at(tensor, "relative_rms"));
            at++;
        }
    }
}

/* The tensors, and the kinds: lines of bits, error, colour and label. */
static size_t write_data(FILE *script, const json_t *tensors, range *bits, range *errors) {
    kind kinds[MOST_KINDS];
    size_t count = find_kinds(tensors, kinds);
    fputs("$tensors << END\n", script);
    for (size_t i = 0; i < count; i++) {
        write_tensors(script, tensors, &kinds[i], colours[i % COLOURS], errors);
        widen(bits, kinds[i].bits);
    }
    fputs("END\n$kinds << END\n", script);
    for (size_t i = 0; i < count; i++) {
        double error = sqrt(kinds[i].differences / kinds[i].squares);
        fprintf(script, "%.4f %.6g %u \"%s: %.3g%%\"\n", kinds[i].bits, error, colours[i % COLOURS], kinds[i].name,
                100 * error);
    }
    fputs("END\n", script);
    return count;
}

static void write_label(FILE *script, double y, const char *text, const char *font) {
    fprintf(script, "set label at screen %.5f,%.5f ", (double)LEFT / WIDTH, 1 - y / HEIGHT);
    gnuplot_quote(script, text);
    fprintf(script, " left font 'sans-serif%s'\n", font);
}

static const char *name_of(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

static void write_titles(FILE *script, const json_t *report) {
    const json_t *tensors = json_object_get(report, "tensors"), *worst = NULL;
    char text[512];
    size_t i, same = 0;
    json_t *tensor;
    json_array_foreach(tensors, i, tensor) {
        same += !has_error(tensor);
        if (worst == NULL || number_at(tensor, "relative_rms") > number_at(worst, "relative_rms")) {
            worst = tensor;
        }
    }
    snprintf(text, sizeof text, "%.120s against %.120s", name_of(text_at(report, "b")), name_of(text_at(report, "a")));
    write_label(script, 26, text, " Bold,16");
    int used =
        snprintf(text, sizeof text, "A point is a tensor, in the order of the file; a bar, all tensors of a type.");
    if (same < json_array_size(tensors)) {
        used += snprintf(text + used, sizeof text - (size_t)used, " The largest error is that of %.200s.",
                         text_at(worst, "name"));
    }
    if (same > 0) {
        snprintf(text + used, sizeof text - (size_t)used, " %zu of %zu tensors are the same.", same,
                 json_array_size(tensors));
    }
    write_label(script, 54, text, ",12");
}

/* Percents of the error, three to a power of ten. */
static void write_ticks(FILE *script, range errors) {
    static const double steps[] = {1, 2, 5};
    const char *comma = "";
    fputs("set ytics nomirror scale 0 (", script);
    for (int power = -30; power < 30; power++) {
        for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
            double at = steps[i] * pow(10, power);
            if (at >= errors.low && at <= errors.high) {
                fprintf(script, "%s\"%.10g%%%%\" %.6g", comma, 100 * at, at);
                comma = ", ";
            }
        }
    }
    fputs(")\n", script);
}

void compare_chart(FILE *script, const json_t *report) {
    range bits = {INFINITY, -INFINITY}, errors = {INFINITY, -INFINITY};
    bool any = write_data(script, json_object_get(report, "tensors"), &bits, &errors) > 0;
    if (!any) {
        /* There is nothing but the line. */
        bits = (range){2, 10};
        errors = (range){0.001, 0.3};
    }
    bits = (range){fmax(floor(bits.low - 1), 0), bits.high + 1.4};
    widen(&errors, exp2(-bits.low - 1));
    errors = (range){errors.low / 1.6, errors.high * 1.6};
    fprintf(script,
            "set terminal svg noenhanced size %d,%d font 'sans-serif,12' background '#ffffff' name 'q8k_compare'\n"
            "set border 3 linecolor rgb '#808080'\nset grid xtics ytics linecolor rgb '#d8d8d8'\nset grid back\n"
            "set lmargin at screen %.5f; set rmargin at screen %.5f\n"
            "set tmargin at screen %.5f; set bmargin at screen %.5f\n"
            "set logscale y\nset xrange [%.4f:%.4f]; set yrange [%.6g:%.6g]\n"
            "set xtics 1 nomirror scale 0\n"
            "set xlabel 'bits per weight'\n"
            "set ylabel 'error, relative to the weights (root mean square)'\nset key off\n",
            WIDTH, HEIGHT, (double)LEFT / WIDTH, 1 - (double)RIGHT / WIDTH, 1 - (double)HEAD / HEIGHT,
            (double)FOOT / HEIGHT, bits.low, bits.high, errors.low, errors.high);
    write_ticks(script, errors);
    write_titles(script, report);
    fprintf(
        script,
        "set label 'dashed: the least possible for normally distributed weights, 2^(-bits)' at graph 0.012,0.035 left "
        "font 'sans-serif,11' textcolor rgb '#707070'\n"
        "plot 2**(-x) with lines linewidth 1.5 dashtype 2 linecolor rgb '#909090'%s",
        any ? "" : "\n");
    if (any) {
        fputs(", $tensors using 1:2:3 with points pointtype 7 pointsize 0.45 linecolor rgb variable, "
              "$kinds using ($1-0.25):2:(0.5):(0):3 with vectors nohead linewidth 2.5 linecolor rgb variable, "
              "$kinds using ($1+0.32):2:4 with labels left font 'sans-serif Bold,13'\n",
              script);
    }
}
