/* SPDX-License-Identifier: MIT */
/* The subcommand compare: which tensors of two files belong together. */
#include "compare.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "escape.h"
#include "patterns.h"
#include "plot.h"
#include "progress.h"

enum { SHOWN_PATH_BYTES = 512, REASON_BYTES = 160 };

/* One command. */
typedef struct comparison_run {
    const command_arguments *arguments;
    weights_file a, b;
    comparison_files files;
    json_t *report;
    progress bar;
    size_t compared;
} comparison_run;

static bool fail(comparison_run *r, const char *error) {
    progress_clear(&r->bar);
    command_say("%s", error);
    return false;
}

static bool leave_out(comparison_run *r, const gguf_tensor *tensor, const char *reason) {
    return compare_report_leave_out(r->report, tensor, reason) || fail(r, "no memory for the report");
}

static bool compare_pair(comparison_run *r, const gguf_tensor *a, const gguf_tensor *b) {
    char reason[REASON_BYTES], error[WEIGHTS_ERROR_BYTES], name[WEIGHTS_NAME_BYTES];
    comparison found;
    if (a->cols != b->cols || a->rows != b->rows) {
        snprintf(reason, sizeof reason, "%" PRIu64 "x%" PRIu64 " in a, %" PRIu64 "x%" PRIu64 " in b", a->rows, a->cols,
                 b->rows, b->cols);
        return leave_out(r, a, reason);
    }
    if (!weights_known(a) || !weights_known(b)) {
        snprintf(reason, sizeof reason, "%s cannot be decoded", weights_kind(weights_known(a) ? b : a));
        return leave_out(r, a, reason);
    }
    if (!compare_tensors(&r->files, a, b, &found, error)) {
        return fail(r, error);
    }
    r->compared++;
    progress_step(&r->bar, a->bytes, weights_name(a, name));
    return compare_report_add(r->report, a, b, &found) || fail(r, "no memory for the report");
}

/* ---- pairs ---- */

/* The tensors of one name in two GGUF files, in the order of the first one. */
static bool compare_names(comparison_run *r) {
    gguf_tensor a, b;
    for (size_t i = 0; i < weights_count(&r->a); i++) {
        a = weights_at(&r->a, i);
        bool good = !patterns_choose(&r->arguments->tensors, &a) ||
                    (weights_find(&r->b, a.name, &b) ? compare_pair(r, &a, &b) : leave_out(r, &a, "not in b"));
        if (!good) {
            return false;
        }
    }
    for (size_t i = 0; i < weights_count(&r->b); i++) {
        b = weights_at(&r->b, i);
        if (patterns_choose(&r->arguments->tensors, &b) && !weights_find(&r->a, b.name, &a) &&
            !leave_out(r, &b, "not in a")) {
            return false;
        }
    }
    return true;
}

/* The one tensor that a file has, or that --tensor chooses. */
static bool find_only(const comparison_run *r, const weights_file *file, gguf_tensor *only) {
    char shown[SHOWN_PATH_BYTES];
    size_t found = 0;
    for (size_t i = 0; i < weights_count(file); i++) {
        gguf_tensor tensor = weights_at(file, i);
        if (file->is_npy || patterns_choose(&r->arguments->tensors, &tensor)) {
            *only = tensor;
            found++;
        }
    }
    if (found != 1) {
        command_say("%s: %zu tensors for the one of a .npy file (limit 1, which --tensor chooses)",
                    escape_path(shown, sizeof shown, file->path), found);
    }
    return found == 1;
}

static bool compare_files(comparison_run *r) {
    gguf_tensor a, b;
    if (!r->a.is_npy && !r->b.is_npy) {
        return compare_names(r);
    }
    return find_only(r, &r->a, &a) && find_only(r, &r->b, &b) && compare_pair(r, &a, &b);
}

/* ---- the command ---- */

static uint64_t bytes_of(const comparison_run *r) {
    uint64_t bytes = 0;
    for (size_t i = 0; i < weights_count(&r->a); i++) {
        gguf_tensor tensor = weights_at(&r->a, i);
        bytes += r->a.is_npy || patterns_choose(&r->arguments->tensors, &tensor) ? tensor.bytes : 0;
    }
    return bytes;
}

static bool show(const comparison_run *r) {
    char shown[SHOWN_PATH_BYTES];
    if (!compare_report_types(r->report)) {
        command_say("no memory for the report");
        return false;
    }
    if (r->arguments->json) {
        json_dumpf(r->report, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII | JSON_REAL_PRECISION(9));
        putchar('\n');
    } else {
        compare_print(r->report);
    }
    if (r->compared == 0) {
        command_say("%s: no tensor could be compared (limit one at least)",
                    escape_path(shown, sizeof shown, r->arguments->files[0]));
        return false;
    }
    return r->arguments->plot == NULL || plot_draw(r->arguments->plot, compare_chart, r->report);
}

/* Of blocks in a .npy file. Returns an exit status. */
static int take_format(weights_file *file, q8k_format format) {
    char error[WEIGHTS_ERROR_BYTES];
    if (!file->is_npy || file->tensor.type != GGUF_TYPE_I8) {
        return EXIT_SUCCESS;
    }
    if (format == 0) {
        return command_missing_format("for blocks in a .npy file");
    }
    return weights_take_blocks(file, format, error) ? EXIT_SUCCESS : command_fail("%s", error);
}

/* Both files'. Returns an exit status. */
static int take_formats(comparison_run *r) {
    q8k_format format = r->arguments->format;
    if (format != 0 && !r->a.is_npy && !r->b.is_npy) {
        command_say("--format = '%s' (limit none: a GGUF file itself says what its tensors are)",
                    q8k_format_name(format));
        return EXIT_USAGE;
    }
    int status = take_format(&r->a, format);
    return status == EXIT_SUCCESS ? take_format(&r->b, format) : status;
}

static bool compare_and_show(comparison_run *r) {
    r->files.a = &r->a;
    r->files.b = &r->b;
    r->report = compare_report(r->arguments->files[0], r->arguments->files[1]);
    if (r->report == NULL) {
        command_say("no memory for the report");
        return false;
    }
    progress_begin(&r->bar, bytes_of(r), false);
    bool good = compare_files(r);
    progress_clear(&r->bar);
    good = good && show(r);
    json_decref(r->report);
    return good;
}

static int run(const command_arguments *arguments) {
    comparison_run r = {.arguments = arguments};
    char error[WEIGHTS_ERROR_BYTES];
    if (!command_threads(arguments, &r.files.threads)) {
        return EXIT_USAGE;
    }
    if (arguments->plot != NULL &&
        (!command_keeps(arguments->files[0], arguments->plot) || !command_keeps(arguments->files[1], arguments->plot) ||
         !plot_ready(arguments->plot))) {
        return EXIT_FAILURE;
    }
    if (!weights_open(&r.a, arguments->files[0], error)) {
        return command_fail("%s", error);
    }
    if (!weights_open(&r.b, arguments->files[1], error)) {
        weights_close(&r.a);
        return command_fail("%s", error);
    }
    int status = take_formats(&r);
    if (status == EXIT_SUCCESS) {
        /* Beside a .npy file they choose what it is compared with. */
        status = ((r.a.is_npy && !r.b.is_npy) || patterns_are_used(&r.a, "tensor", &arguments->tensors)) &&
                         compare_and_show(&r)
                     ? EXIT_SUCCESS
                     : EXIT_FAILURE;
    }
    weights_close(&r.a);
    weights_close(&r.b);
    return status;
}

const command command_compare = {
    .name = "compare",
    .files = "A.gguf|A.npy B.gguf|B.npy",
    .summary = "Tell how far the weights of one file are from those of another",
    .help =
        "Compares the tensors of the same name, decoded to float32; of a .npy file, its matrix with the tensor that\n"
        "--tensor chooses, or with another such file. A is what B was made from.\n\n"
        "The JSON object has these keys:\n"
        "  version, a, b     of the library; the names of the files\n"
        "  tensors           an array of name, type_a, type_b, rows, cols, bits_a, bits_b (of a weight), magnitude\n"
        "                    (root mean square of a's weights), rms, worst (of the differences), relative_rms,\n"
        "                    relative_worst (by the magnitude; null: it is 0), not_finite (weights, left out)\n"
        "  types             an array of type_a, type_b, bits_a, bits_b, tensors, weights, relative_rms: of all\n"
        "                    tensors of these types together\n"
        "  left_out          an array of name, reason\n",
    .options = OPTION_BLOCKS_FORMAT | OPTION_TENSORS | OPTION_THREADS | OPTION_PLOT | OPTION_JSON,
    .run = run,
};
