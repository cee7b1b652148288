/* SPDX-License-Identifier: MIT */
/* The report as a JSON object, which the table and the picture are made from. */
#include "compare.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "escape.h"
#include "plot.h"

enum { SHOWN_PATH_BYTES = 4096, LEAST_WIDTH = 6, MOST_WIDTH = 48 };

json_t *compare_report(const char *a, const char *b) {
    char shown_a[SHOWN_PATH_BYTES], shown_b[SHOWN_PATH_BYTES];
    return json_pack("{s:s, s:s, s:s, s:[], s:[], s:[]}", "version", q8k_version(), "a",
                     escape_path(shown_a, sizeof shown_a, a), "b", escape_path(shown_b, sizeof shown_b, b), "tensors",
                     "types", "left_out");
}

static double bits_of(const gguf_tensor *tensor) {
    return 8 * (double)tensor->bytes / ((double)tensor->rows * (double)tensor->cols);
}

/* A number, or null where JSON has none. */
static json_t *number(double value) {
    return isfinite(value) ? json_real(value) : json_null();
}

static double share(double part, double whole) {
    return part > 0 ? part / whole : 0;
}

bool compare_report_add(json_t *report, const gguf_tensor *a, const gguf_tensor *b, const comparison *found) {
    char name[WEIGHTS_NAME_BYTES];
    double finite = (double)(found->weights - found->not_finite);
    double rms = finite > 0 ? sqrt(found->squares / finite) : 0;
    double error = finite > 0 ? sqrt(found->differences / finite) : 0;
    json_t *tensor =
        json_pack("{s:s, s:s, s:s, s:I, s:I, s:f, s:f, s:f, s:o, s:o, s:o, s:o, s:I}", "name", weights_name(a, name),
                  "type_a", weights_kind(a), "type_b", weights_kind(b), "rows", (json_int_t)a->rows, "cols",
                  (json_int_t)a->cols, "bits_a", bits_of(a), "bits_b", bits_of(b), "magnitude", rms, "rms",
                  number(error), "worst", number(found->worst), "relative_rms", number(share(error, rms)),
                  "relative_worst", number(share(found->worst, rms)), "not_finite", (json_int_t)found->not_finite);
    return tensor != NULL && json_array_append_new(json_object_get(report, "tensors"), tensor) == 0;
}

bool compare_report_leave_out(json_t *report, const gguf_tensor *tensor, const char *reason) {
    char name[WEIGHTS_NAME_BYTES];
    json_t *entry = json_pack("{s:s, s:s}", "name", weights_name(tensor, name), "reason", reason);
    return entry != NULL && json_array_append_new(json_object_get(report, "left_out"), entry) == 0;
}

/* ---- totals ---- */

static json_t *find_type(json_t *types, const json_t *tensor) {
    size_t i;
    json_t *type;
    json_array_foreach(types, i, type) {
        if (strcmp(text_at(type, "type_a"), text_at(tensor, "type_a")) == 0 &&
            strcmp(text_at(type, "type_b"), text_at(tensor, "type_b")) == 0) {
            return type;
        }
    }
    type = json_pack("{s:s, s:s, s:f, s:f, s:i, s:f, s:f, s:f}", "type_a", text_at(tensor, "type_a"), "type_b",
                     text_at(tensor, "type_b"), "bits_a", number_at(tensor, "bits_a"), "bits_b",
                     number_at(tensor, "bits_b"), "tensors", 0, "weights", 0.0, "squares", 0.0, "differences", 0.0);
    return json_array_append_new(types, type) == 0 ? type : NULL;
}

static bool grow(json_t *object, const char *key, double by) {
    return json_object_set_new(object, key, json_real(number_at(object, key) + by)) == 0;
}

static bool add_to_type(json_t *type, const json_t *tensor) {
    double finite = number_at(tensor, "rows") * number_at(tensor, "cols") - number_at(tensor, "not_finite");
    double magnitude = number_at(tensor, "magnitude"), error = number_at(tensor, "rms");
    return json_object_set_new(type, "tensors",
                               json_integer(json_integer_value(json_object_get(type, "tensors")) + 1)) == 0 &&
           grow(type, "weights", number_at(tensor, "rows") * number_at(tensor, "cols")) &&
           grow(type, "squares", finite * magnitude * magnitude) && grow(type, "differences", finite * error * error);
}

static bool finish_type(json_t *type) {
    double squares = number_at(type, "squares"), differences = number_at(type, "differences");
    return json_object_set_new(type, "weights", json_integer((json_int_t)number_at(type, "weights"))) == 0 &&
           json_object_set_new(type, "relative_rms", number(share(sqrt(differences), sqrt(squares)))) == 0 &&
           json_object_del(type, "squares") == 0 && json_object_del(type, "differences") == 0;
}

bool compare_report_types(json_t *report) {
    json_t *types = json_object_get(report, "types"), *tensor, *type;
    size_t i;
    json_array_foreach(json_object_get(report, "tensors"), i, tensor) {
        type = find_type(types, tensor);
        if (type == NULL || !add_to_type(type, tensor)) {
            return false;
        }
    }
    json_array_foreach(types, i, type) {
        if (!finish_type(type)) {
            return false;
        }
    }
    return true;
}

/* ---- for people ---- */

static int name_width(const json_t *tensors) {
    int width = LEAST_WIDTH;
    size_t i;
    json_t *tensor;
    json_array_foreach(tensors, i, tensor) {
        int own = (int)strlen(text_at(tensor, "name"));
        width = own > width && own <= MOST_WIDTH ? own : width;
    }
    return width;
}

static void print_share(const json_t *object, const char *key) {
    if (json_is_number(json_object_get(object, key))) {
        printf("  %9.2e", number_at(object, key));
    } else {
        printf("  %9s", "-");
    }
}

static void print_tensor(const json_t *tensor, int width) {
    printf("%-*s  %-6s  %-6s  %6.3f", width, text_at(tensor, "name"), text_at(tensor, "type_a"),
           text_at(tensor, "type_b"), number_at(tensor, "bits_b"));
    print_share(tensor, "rms");
    print_share(tensor, "worst");
    print_share(tensor, "relative_rms");
    print_share(tensor, "relative_worst");
    if (number_at(tensor, "not_finite") > 0) {
        printf("  %.0f not finite", number_at(tensor, "not_finite"));
    }
    printf("\n");
}

void compare_print(const json_t *report) {
    const json_t *tensors = json_object_get(report, "tensors");
    int width = name_width(tensors);
    size_t i;
    json_t *entry;
    printf("a: %s\nb: %s\n\n", text_at(report, "a"), text_at(report, "b"));
    printf("%-*s  %-6s  %-6s  %6s  %9s  %9s  %9s  %9s\n", width, "tensor", "a", "b", "bits", "rms", "worst", "rms/a",
           "worst/a");
    json_array_foreach(tensors, i, entry) {
        print_tensor(entry, width);
    }
    printf("\n%-6s  %-6s  %6s  %7s  %12s  %9s\n", "a", "b", "bits", "tensors", "weights", "rms/a");
    json_array_foreach(json_object_get(report, "types"), i, entry) {
        printf("%-6s  %-6s  %6.3f  %7.0f  %12.0f", text_at(entry, "type_a"), text_at(entry, "type_b"),
               number_at(entry, "bits_b"), number_at(entry, "tensors"), number_at(entry, "weights"));
        print_share(entry, "relative_rms");
        printf("\n");
    }
    json_array_foreach(json_object_get(report, "left_out"), i, entry) {
        printf("%sleft out: %s: %s\n", i == 0 ? "\n" : "", text_at(entry, "name"), text_at(entry, "reason"));
    }
    printf("\nbits: a weight in b; rms, worst: the difference of b's weights from a's, root mean square and largest;\n"
           "/a: relative to the root mean square of a's weights\n");
}
