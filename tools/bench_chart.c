/* SPDX-License-Identifier: MIT */
/* The picture, as a script for gnuplot: a panel for products of one row of activations, and one for the most rows. Each
 * format has a group of bars: the library's in each precision, before the limit that applies, then those of the peers.
 */
#include "bench_report.h"

#include <math.h>
#include <string.h>

#include "bench.h"
#include "gnuplot.h"

/* In pixels, down from the top; gnuplot does not tell how wide a letter is. */
enum { WIDTH = 1300, LEFT = 48, RIGHT = 12, HEAD = 96, FOOT = 22 };
enum { PANEL_HEAD = 40, PANEL_PLOT = 215, PANEL_FOOT = 32, PANEL = PANEL_HEAD + PANEL_PLOT + PANEL_FOOT };
enum { TITLE = 26, LEGEND = 56, LEGEND_LINE = 22, LEGEND_BOX = 12, LEGEND_GAP = 34, LETTER = 7, PANEL_TITLE = 22 };

/* In units of a bar, and of the highest bar. */
static const double bar_width = 0.9, peers_gap = 0.3, formats_gap = 1.2, least_across = 16, headroom = 1.18;

typedef struct look {
    const char *key, *title;
    unsigned colour;
} look;

/* Hues that the colour-blind tell apart, and within a hue different lightness. The last is anything else. */
static const look precisions[] = {
    {"float", "libq8k float", 0x08519C},
    {"half", "libq8k half", 0x4292C6},
    {"byte", "libq8k byte", 0x9ECAE1},
    {NULL, "libq8k", 0x000000},
};
static const look peers[] = {
    {"decode_loops", "decode + plain loops", 0xE5D96B},
    {"group_calls", "a call per 8 weights", 0x333333},
    {"decode_openblas", "decode + OpenBLAS", 0xB35900},
    {"ggml", "ggml (int8)", 0x00735C},
    {"ggml_repack", "ggml repacked (int8)", 0x66C2A5},
    {"openblas", "OpenBLAS on float32", 0xE69F00},
    {NULL, "others", 0x000000},
};
static const look limits = {NULL, "limit of this machine", 0xE6E6E6};

/* Of one number of threads. */
typedef struct chart {
    FILE *script;
    const json_t *report, *results;
    double threads;
    int height;
} chart;

typedef struct panel {
    double batch;
    const char *rate; /* the key of what is drawn */
} panel;

static const look *look_of(const look *looks, const char *key) {
    while (looks->key != NULL && strcmp(looks->key, key) != 0) {
        looks++;
    }
    return looks;
}

static double largest(const json_t *results, const char *key) {
    double most = 0;
    size_t i;
    json_t *result;
    json_array_foreach(results, i, result) {
        most = fmax(most, number_at(result, key));
    }
    return most;
}

/* Products from the caches are left out. */
static bool shows(const chart *c, const panel *p, const json_t *result) {
    return number_at(result, "threads") == c->threads && number_at(result, "batch") == p->batch &&
           json_is_true(json_object_get(result, "cold"));
}

/* The first result from the i-th on that a panel shows, and its place; NULL if there is none. */
static const json_t *next_shown(const chart *c, const panel *p, size_t *i) {
    const json_t *result;
    while ((result = json_array_get(c->results, *i)) != NULL && !shows(c, p, result)) {
        ++*i;
    }
    return result;
}

/* ---- bars: lines of x, rate, width, colour, limit, and two labels: the rate, and its percents of the limit ---- */

/* What is gathered on the way. */
typedef struct bars {
    double x, highest;
    size_t groups;
    const char *formats[BENCH_FORMATS];
    double middles[BENCH_FORMATS];
} bars;

/* A fraction of 0: no limit applies. */
static void write_bar(const chart *c, bars *b, double rate, double fraction, unsigned colour) {
    double limit = fraction > 0 ? rate / fraction : 0;
    fprintf(c->script, "%.2f %.6g %.2f %u ", b->x, rate, bar_width, colour);
    if (fraction > 0) {
        fprintf(c->script, "%.6g \"%.*f\" \"%.0f%%\"\n", limit, rate < 9.95, rate, 100 * fraction);
    } else {
        fprintf(c->script, "NaN \"%.*f\" \"\"\n", rate < 9.95, rate);
    }
    b->highest = fmax(b->highest, fmax(rate, limit));
    b->x++;
}

/* A format's bars. Its results follow one another, and to the peers their precision makes no difference. */
static size_t write_group(const chart *c, const panel *p, bars *b, size_t first) {
    const json_t *result, *some = json_array_get(c->results, first);
    const char *name, *format = text_at(some, "format");
    json_t *peer;
    size_t i = first;
    double left = b->x;
    for (; (result = next_shown(c, p, &i)) != NULL && strcmp(text_at(result, "format"), format) == 0; i++) {
        write_bar(c, b, number_at(result, p->rate), number_at(result, "fraction"),
                  look_of(precisions, text_at(result, "precision"))->colour);
    }
    b->x += peers_gap;
    json_object_foreach(json_object_get(some, "peers"), name, peer) {
        write_bar(c, b, number_at(some, p->rate) / number_at(peer, "ratio"), 0, look_of(peers, name)->colour);
    }
    b->formats[b->groups] = format;
    b->middles[b->groups++] = (left + b->x - 1) / 2;
    b->x += formats_gap;
    return i;
}

static bars write_bars(const chart *c, const panel *p) {
    bars b = {.x = 0};
    size_t i = 0;
    fputs("$bars << END\n", c->script);
    while (next_shown(c, p, &i) != NULL && b.groups < BENCH_FORMATS) {
        i = write_group(c, p, &b, i);
    }
    fputs("END\n", c->script);
    return b;
}

/* ---- what stands around them ---- */

static double across(double pixels) {
    return pixels / WIDTH;
}

static double up(const chart *c, double pixels) {
    return 1 - pixels / c->height;
}

static void write_text(const chart *c, double x, double y, const char *text, const char *font) {
    fprintf(c->script, "set label at screen %.5f,%.5f ", across(x), up(c, y));
    gnuplot_quote(c->script, text);
    fprintf(c->script, " left font 'sans-serif%s'\n", font);
}

/* Returns where the next one goes. */
static double write_legend_entry(const chart *c, double x, double y, const look *l) {
    fprintf(c->script,
            "set object rectangle from screen %.5f,%.5f to screen %.5f,%.5f fillstyle solid noborder "
            "fillcolor rgb %u\n",
            across(x), up(c, y + LEGEND_BOX / 2.0), across(x + LEGEND_BOX), up(c, y - LEGEND_BOX / 2.0), l->colour);
    write_text(c, x + LEGEND_BOX + 6, y, l->title, ",12");
    return x + LEGEND_GAP + LETTER * (double)strlen(l->title);
}

/* Whether anything shown has that peer. */
static bool has_peer(const chart *c, const char *name) {
    size_t i;
    json_t *result;
    json_array_foreach(c->results, i, result) {
        if (json_object_get(json_object_get(result, "peers"), name) != NULL) {
            return true;
        }
    }
    return false;
}

static bool has_precision(const chart *c, const char *name) {
    size_t i;
    json_t *result;
    json_array_foreach(c->results, i, result) {
        if (strcmp(text_at(result, "precision"), name) == 0) {
            return true;
        }
    }
    return false;
}

static void write_legend(const chart *c) {
    double x = LEFT;
    for (const look *l = precisions; l->key != NULL; l++) {
        if (has_precision(c, l->key)) {
            x = write_legend_entry(c, x, LEGEND, l);
        }
    }
    write_legend_entry(c, x, LEGEND, &limits);
    x = LEFT;
    for (const look *l = peers; l->key != NULL; l++) {
        if (has_peer(c, l->key)) {
            x = write_legend_entry(c, x, LEGEND + LEGEND_LINE, l);
        }
    }
}

static void write_title(const chart *c) {
    const json_t *any = json_array_get(c->results, 0);
    char title[256];
    snprintf(title, sizeof title, "libq8k %s, backend %s, weights %.0f x %.0f, %.0f thread%s",
             text_at(c->report, "version"), text_at(any, "backend"), number_at(any, "rows"), number_at(any, "cols"),
             c->threads, c->threads == 1 ? "" : "s");
    write_text(c, LEFT, TITLE, title, " Bold,16");
}

static double limit_at(const chart *c, const char *name) {
    char key[32];
    snprintf(key, sizeof key, "%.0f", c->threads);
    return number_at(json_object_get(json_object_get(c->report, "limits"), name), key);
}

static void write_panel_title(const chart *c, const panel *p, double top) {
    char title[256];
    if (p->batch == 1) {
        snprintf(title, sizeof title,
                 "Batch 1: GB/s of weights from memory. Limit: reading one stream per thread, %.1f GB/s",
                 limit_at(c, "read_gbps"));
    } else {
        snprintf(
            title, sizeof title,
            "Batch %.0f: GFLOP/s. Limits: multiplying and adding float32 %.0f, int16 (half) %.0f, int8 (byte) %.0f",
            p->batch, limit_at(c, "f32_gflops"), limit_at(c, "i16_gops"), limit_at(c, "i8_gops"));
    }
    write_text(c, LEFT, top + PANEL_TITLE, title, ",13");
}

/* ---- panels ---- */

static void write_panel(const chart *c, const panel *p, double top) {
    const bars b = write_bars(c, p);
    fprintf(c->script,
            "set lmargin at screen %.5f; set rmargin at screen %.5f\n"
            "set tmargin at screen %.5f; set bmargin at screen %.5f\n"
            "set xrange [-1:%.2f]; set yrange [0:%.6g]\nset xtics (",
            across(LEFT), across(WIDTH - RIGHT), up(c, top + PANEL_HEAD), up(c, top + PANEL_HEAD + PANEL_PLOT),
            fmax(b.x - formats_gap, least_across), headroom * b.highest);
    for (size_t i = 0; i < b.groups; i++) {
        fputs(i > 0 ? ", " : "", c->script);
        gnuplot_quote(c->script, b.formats[i]);
        fprintf(c->script, " %.3f", b.middles[i]);
    }
    fprintf(c->script,
            ") scale 0 font 'sans-serif Bold,13' textcolor rgb '#000000'\n"
            "plot $bars using 1:5:3 with boxes fillstyle solid noborder linecolor rgb %u notitle, "
            "$bars using 1:2:3:4 with boxes fillstyle solid noborder linecolor rgb variable notitle, "
            "$bars using 1:2:6 with labels offset 0,0.55 font 'sans-serif,11' notitle, "
            "$bars using 1:2:7 with labels offset 0,1.45 font 'sans-serif,10' textcolor rgb '#505050' notitle\n",
            limits.colour);
}

void bench_chart(FILE *script, const json_t *report) {
    chart c = {.script = script, .report = report, .results = json_object_get(report, "results")};
    panel panels[] = {{1, "weight_gbps"}, {largest(c.results, "batch"), "gflops"}};
    size_t count = 0;
    c.threads = largest(c.results, "threads");
    for (size_t i = 0, at = 0; i < 2; i++, at = 0) {
        if ((i == 0 || panels[i].batch > 1) && next_shown(&c, &panels[i], &at) != NULL) {
            panels[count++] = panels[i];
        }
    }
    c.height = HEAD + (int)count * PANEL + FOOT;
    fprintf(script,
            "set terminal svg noenhanced size %d,%d font 'sans-serif,12' background '#ffffff' name 'q8k_bench'\n"
            "set border 1 linecolor rgb '#808080'; set ytics nomirror scale 0; set grid ytics linecolor rgb '#d0d0d0'\n"
            "set grid back\n",
            WIDTH, c.height);
    write_title(&c);
    write_legend(&c);
    for (size_t i = 0; i < count; i++) {
        write_panel_title(&c, &panels[i], HEAD + (double)i * PANEL);
    }
    fputs("set multiplot\n", script);
    for (size_t i = 0; i < count; i++) {
        write_panel(&c, &panels[i], HEAD + (double)i * PANEL);
        /* They are in place once. */
        fputs("unset label; unset object\n", script);
    }
    fputs("unset multiplot\n", script);
}
