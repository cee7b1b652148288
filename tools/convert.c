/* SPDX-License-Identifier: MIT */
/* What becomes of each tensor, and the files around it. */
#define _GNU_SOURCE
#include "convert.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "escape.h"
#include "input.h"
#include "patterns.h"

enum { SHOWN_PATH_BYTES = 512, SHAPE_BYTES = 96, OTHERS_NAME_BYTES = 63, MOST_WIDTH = 48 };

static const char *shown_path(const char *path, char buffer[SHOWN_PATH_BYTES]) {
    return escape_path(buffer, SHOWN_PATH_BYTES, path);
}

/* ---- which tensors ---- */

/* Whether a tensor can become float32; else why not. */
static bool can_decode(conversion_step *step, bool to_npy) {
    bool already = step->from.type == GGUF_TYPE_F32 && !to_npy;
    if (!weights_known(&step->from) || already) {
        snprintf(step->reason, sizeof step->reason, "%s", already ? "already f32" : "cannot be decoded");
        return false;
    }
    return gguf_set_type(&step->to, GGUF_TYPE_F32);
}

/* Whether a tensor can be quantized; else why not. */
static bool can_quantize(conversion_step *step, q8k_format format) {
    const gguf_tensor *from = &step->from;
    const char *kind = weights_kind(from);
    bool numbers = weights_known(from) && (from->format == 0 || from->type == GGUF_TYPE_Q8_0);
    if (from->format == format || !numbers) {
        const gguf_type *type = gguf_type_get(from->type);
        bool already = from->format != 0 || (type != NULL && type->block_columns > 1);
        snprintf(step->reason, sizeof step->reason, "%s%s", already ? "already " : "no weights: ", kind);
        return false;
    }
    if (from->dimensions < 2) {
        snprintf(step->reason, sizeof step->reason, "%s", from->dimensions == 1 ? "one-dimensional" : "scalar");
        return false;
    }
    if (!gguf_set_format(&step->to, format)) {
        snprintf(step->reason, sizeof step->reason, "columns = %" PRIu64 " (limit a multiple of %zu)", from->cols,
                 q8k_format_block_columns(format));
        return false;
    }
    return true;
}

conversion_step convert_plan(const conversion *c, size_t index) {
    gguf_tensor tensor = weights_at(&c->in, index);
    conversion_step step = {.from = tensor, .to = tensor};
    const pattern_list *only = &c->arguments->tensors, *kept = &c->arguments->kept;
    step.selected = patterns_choose(only, &tensor) && !patterns_match(kept, &tensor);
    if (step.selected) {
        step.converts = c->format != 0 ? can_quantize(&step, c->format) : can_decode(&step, c->to_npy);
    } else {
        snprintf(step.reason, sizeof step.reason, "%s", patterns_match(kept, &tensor) ? "--keep" : "not in --tensor");
    }
    return step;
}

/* ---- what is said ---- */

static const char *shape_of(const gguf_tensor *tensor, char buffer[SHAPE_BYTES]) {
    size_t used = 0;
    snprintf(buffer, SHAPE_BYTES, "scalar");
    for (int i = tensor->dimensions - 1; i >= 0; i--) {
        used += (size_t)snprintf(buffer + used, SHAPE_BYTES - used, "%" PRIu64 "%s",
                                 i > 0 ? tensor->dimension[i] : tensor->cols, i > 0 ? "x" : "");
    }
    return buffer;
}

/* How wide names and shapes are, up to a limit. */
static void measure(conversion *c) {
    char name[WEIGHTS_NAME_BYTES], shape[SHAPE_BYTES];
    for (size_t i = 0; i < weights_count(&c->in); i++) {
        gguf_tensor tensor = weights_at(&c->in, i);
        int width = (int)strlen(weights_name(&tensor, name));
        c->name_width = width > c->name_width && width <= MOST_WIDTH ? width : c->name_width;
        width = (int)strlen(shape_of(&tensor, shape));
        c->shape_width = width > c->shape_width && width <= MOST_WIDTH ? width : c->shape_width;
    }
}

static void report(conversion *c, const conversion_step *step) {
    char name[WEIGHTS_NAME_BYTES], shape[SHAPE_BYTES];
    weights_name(&step->from, name);
    shape_of(&step->from, shape);
    if (step->converts) {
        progress_say(&c->progress, "%-*s  %-*s  %s -> %s, %" PRIu64 " -> %" PRIu64 " bytes", c->name_width, name,
                     c->shape_width, shape, weights_kind(&step->from), weights_kind(&step->to), step->from.bytes,
                     step->to.bytes);
    } else {
        progress_say(&c->progress, "%-*s  %-*s  %s, copied: %s", c->name_width, name, c->shape_width, shape,
                     weights_kind(&step->from), step->reason);
    }
}

static int summarize(conversion *c) {
    char shown[SHOWN_PATH_BYTES];
    struct stat before, after;
    const char *to = c->arguments->files[1];
    if (stat(c->in.path, &before) == 0 && stat(to, &after) == 0) {
        progress_say(&c->progress, "%s: %zu %s, %zu copied, %lld -> %lld bytes in %.1f s", shown_path(to, shown),
                     c->converted, c->format != 0 ? "quantized" : "decoded", c->copied, (long long)before.st_size,
                     (long long)after.st_size, progress_seconds(&c->progress));
    }
    progress_clear(&c->progress);
    return EXIT_SUCCESS;
}

/* ---- to GGUF ---- */

/* Whether all of it can be written: a tensor of an unknown type has no known length. */
static bool check_tensor(const conversion *c, const conversion_step *step) {
    char name[WEIGHTS_NAME_BYTES], path[SHOWN_PATH_BYTES];
    weights_name(&step->from, name);
    if (!step->converts && step->from.bytes == 0) {
        command_say("%s: %s: type = %" PRIu32 " (limit one whose size is known)", shown_path(c->in.path, path), name,
                    step->from.type);
        return false;
    }
    if (c->in.is_npy && step->from.name.length > OTHERS_NAME_BYTES) {
        command_say("%s: its name without .npy, which the tensor is to have, is of %zu bytes (limit %d)",
                    shown_path(c->in.path, path), step->from.name.length, OTHERS_NAME_BYTES);
        return false;
    }
    if (c->in.is_npy && !step->converts) {
        command_say("%s: %s", shown_path(c->in.path, path), step->reason);
        return false;
    }
    return true;
}

static bool put_tensors(conversion *c, conversion_output *out) {
    for (size_t i = 0; i < weights_count(&c->in); i++) {
        conversion_step step = convert_plan(c, i);
        if (!convert_data(c, &step, out)) {
            return false;
        }
        *(step.converts ? &c->converted : &c->copied) += 1;
        report(c, &step);
    }
    return true;
}

static int write_gguf(conversion *c) {
    char error[GGUF_ERROR_BYTES];
    conversion_output out = {.is_npy = false};
    uint64_t bytes = 0;
    gguf_writer_begin(&out.gguf);
    convert_metadata(c, &out.gguf);
    for (size_t i = 0; i < weights_count(&c->in); i++) {
        conversion_step step = convert_plan(c, i);
        if (!check_tensor(c, &step)) {
            gguf_writer_abandon(&out.gguf);
            return EXIT_FAILURE;
        }
        bytes += step.from.bytes;
        gguf_add_tensor(&out.gguf, &step.to);
    }
    if (!gguf_writer_open(&out.gguf, c->arguments->files[1], error)) {
        return command_fail("%s", error);
    }
    progress_begin(&c->progress, bytes, c->arguments->quiet);
    measure(c);
    if (!put_tensors(c, &out)) {
        gguf_writer_abandon(&out.gguf);
        return EXIT_FAILURE;
    }
    progress_clear(&c->progress);
    return gguf_writer_finish(&out.gguf, error) ? summarize(c) : command_fail("%s", error);
}

/* ---- to .npy ---- */

/* The one tensor that is selected. */
static bool find_only(const conversion *c, conversion_step *only) {
    char path[SHOWN_PATH_BYTES], name[WEIGHTS_NAME_BYTES];
    size_t selected = 0;
    for (size_t i = 0; i < weights_count(&c->in); i++) {
        conversion_step step = convert_plan(c, i);
        if (step.selected) {
            *only = step;
            selected++;
        }
    }
    if (selected != 1) {
        command_say("%s: %zu tensors for a .npy file (limit 1, which --tensor selects)", shown_path(c->in.path, path),
                    selected);
        return false;
    }
    if (!only->converts) {
        command_say("%s: %s%s%s", shown_path(c->in.path, path), c->in.is_npy ? "" : weights_name(&only->from, name),
                    c->in.is_npy ? "" : ": ", only->reason);
        return false;
    }
    return true;
}

static int write_npy(conversion *c) {
    char error[NPY_ERROR_BYTES];
    conversion_output out = {.is_npy = true};
    conversion_step step;
    if (!find_only(c, &step)) {
        return EXIT_FAILURE;
    }
    bool blocks = step.to.format != 0;
    uint64_t row_bytes = step.to.row_bytes, cols = step.to.cols;
    if (!npy_writer_open(&out.npy, c->arguments->files[1], blocks ? NPY_UINT8 : NPY_FLOAT32, (size_t)step.to.rows,
                         (size_t)(blocks ? row_bytes : cols), error)) {
        return command_fail("%s", error);
    }
    progress_begin(&c->progress, step.from.bytes, c->arguments->quiet);
    if (!convert_data(c, &step, &out)) {
        npy_writer_abandon(&out.npy);
        return EXIT_FAILURE;
    }
    c->converted = 1;
    progress_clear(&c->progress);
    if (!npy_writer_finish(&out.npy, error)) {
        return command_fail("%s", error);
    }
    report(c, &step);
    return EXIT_SUCCESS;
}

/* ---- either ---- */

/* Whether the output is a .npy file: by its name, else as the input is. */
static bool is_npy_name(const char *path, bool otherwise) {
    return input_ends_as(path, ".npy") || (otherwise && !input_ends_as(path, ".gguf"));
}

/* What only an input of one of the two kinds can have. Returns an exit status. */
static int take_npy(conversion *c) {
    char error[WEIGHTS_ERROR_BYTES], shown[SHOWN_PATH_BYTES];
    if (c->format != 0) {
        return c->in.tensor.type != GGUF_TYPE_I8
                   ? EXIT_SUCCESS
                   : command_fail("%s: descr = '%s' (limit '<f2', '<f4', '<f8': numbers are wanted here, not blocks)",
                                  shown_path(c->in.path, shown), npy_descr(NPY_UINT8));
    }
    if (c->arguments->format == 0) {
        return command_missing_format("for blocks in a .npy file");
    }
    return weights_take_blocks(&c->in, c->arguments->format, error) ? EXIT_SUCCESS : command_fail("%s", error);
}

static int convert_open(conversion *c) {
    if (c->in.is_npy) {
        int status = take_npy(c);
        if (status != EXIT_SUCCESS) {
            return status;
        }
    } else if (c->format == 0 && c->arguments->format != 0) {
        command_say("--format = '%s' (limit none: a GGUF file itself says what its tensors are)",
                    q8k_format_name(c->arguments->format));
        return EXIT_USAGE;
    }
    c->to_npy = is_npy_name(c->arguments->files[1], c->in.is_npy);
    if (!patterns_are_used(&c->in, "tensor", &c->arguments->tensors) ||
        !patterns_are_used(&c->in, "keep", &c->arguments->kept)) {
        return EXIT_FAILURE;
    }
    return c->to_npy ? write_npy(c) : write_gguf(c);
}

int convert_run(const command_arguments *arguments, q8k_format format) {
    conversion c = {.arguments = arguments, .format = format};
    char error[WEIGHTS_ERROR_BYTES];
    if (!command_threads(arguments, &c.threads)) {
        return EXIT_USAGE;
    }
    if (!weights_open(&c.in, arguments->files[0], error)) {
        return command_fail("%s", error);
    }
    int status = command_keeps(arguments->files[0], arguments->files[1]) ? convert_open(&c) : EXIT_FAILURE;
    weights_close(&c.in);
    return status;
}
