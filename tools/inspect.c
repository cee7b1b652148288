/* SPDX-License-Identifier: MIT */
/* The subcommand inspect: what is in a file. */
#define _GNU_SOURCE
#include "inspect.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "command.h"
#include "escape.h"
#include "weights.h"

enum { SHOWN_BYTES = 4096 };

const char *inspect_type(uint32_t number, char buffer[INSPECT_TYPE_BYTES]) {
    const gguf_type *type = gguf_type_get(number);
    if (type != NULL) {
        snprintf(buffer, INSPECT_TYPE_BYTES, "%s%s", type->name, type->block_columns == 0 ? " (removed)" : "");
    } else {
        snprintf(buffer, INSPECT_TYPE_BYTES, "%" PRIu32 " (unknown)", number);
    }
    return buffer;
}

/* The total that a tensor belongs to. Files have few types; were each tensor of an unknown one of its own, this must
 * still take linear time: those are one total. */
static inspect_total *find_total(inspect_total *totals, size_t *count, const gguf_tensor *tensor) {
    uint32_t type = gguf_type_get(tensor->type) != NULL ? tensor->type : UINT32_MAX;
    for (size_t i = 0; i < *count; i++) {
        if (totals[i].type == type && totals[i].format == tensor->format) {
            return &totals[i];
        }
    }
    totals[*count] = (inspect_total){.type = type, .format = tensor->format};
    return &totals[(*count)++];
}

inspect_total *inspect_totals(const gguf *header, size_t *count) {
    size_t types = 0;
    while (gguf_type_get((uint32_t)types) != NULL) {
        types++;
    }
    /* Of i8 there are two, and of what is unknown one. */
    inspect_total *totals = calloc(types + 2, sizeof *totals);
    *count = 0;
    for (size_t i = 0; totals != NULL && i < header->tensor_count; i++) {
        gguf_tensor tensor = gguf_tensor_at(header, i);
        inspect_total *total = find_total(totals, count, &tensor);
        total->tensors++;
        total->bytes += tensor.bytes;
    }
    return totals;
}

/* The width of the terminal; 0 if there is none, and nothing is to be cut. */
static size_t terminal_width(void) {
    const char *columns = getenv("COLUMNS");
    struct winsize size;
    if (columns != NULL && strlen(columns) <= 4 && strspn(columns, "0123456789") == strlen(columns)) {
        return (size_t)atoi(columns);
    }
    return isatty(STDOUT_FILENO) && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

static int print_json(json_t *report) {
    if (report == NULL) {
        return command_fail("no memory for the report");
    }
    /* Text of a file can hold what would command a terminal. */
    bool good = json_dumpf(report, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII) == 0;
    json_decref(report);
    putchar('\n');
    /* What cannot be written is told when the command ends. */
    return good || ferror(stdout) ? EXIT_SUCCESS : command_fail("no memory for the report");
}

static json_t *npy_json(const char *path, const npy_header *header) {
    char shown[SHOWN_BYTES];
    json_t *shape = json_array();
    for (int i = 0; i < header->dimensions; i++) {
        if (json_array_append_new(shape, json_integer((json_int_t)header->shape[i])) != 0) {
            json_decref(shape);
            return NULL;
        }
    }
    return json_pack("{s:s, s:s, s:s, s:b, s:o, s:I, s:I}", "file", escape_path(shown, sizeof shown, path), "kind",
                     "npy", "descr", npy_descr(header->type), "fortran_order", header->fortran_order, "shape", shape,
                     "data_offset", (json_int_t)header->data_offset, "data_bytes", (json_int_t)header->data_bytes);
}

static int inspect_npy(const command_arguments *arguments) {
    npy_header header;
    char error[NPY_ERROR_BYTES], shown[SHOWN_BYTES];
    const char *path = arguments->files[0];
    if (!npy_read_header(path, &header, error)) {
        return command_fail("%s", error);
    }
    if (arguments->json) {
        return print_json(npy_json(path, &header));
    }
    printf("%s: NumPy array of '%s', ", escape_path(shown, sizeof shown, path), npy_descr(header.type));
    for (int i = 0; i < header.dimensions; i++) {
        printf("%s%zu", i > 0 ? " x " : "", header.shape[i]);
    }
    printf("%s, %s order, %zu bytes of data from byte %zu on\n", header.dimensions == 0 ? "a scalar" : "",
           header.fortran_order ? "Fortran" : "C", header.data_bytes, header.data_offset);
    return EXIT_SUCCESS;
}

static int inspect_gguf(const command_arguments *arguments) {
    gguf_file file;
    char error[GGUF_ERROR_BYTES];
    int status = EXIT_SUCCESS;
    if (!gguf_open(&file, arguments->files[0], arguments->map, error)) {
        return command_fail("%s", error);
    }
    if (arguments->json) {
        status = print_json(inspect_json(arguments->files[0], &file.header));
    } else if (!inspect_print(arguments->files[0], &file.header, terminal_width())) {
        status = command_fail("no memory for the totals");
    }
    gguf_close(&file);
    return status;
}

static int run(const command_arguments *arguments) {
    char error[WEIGHTS_ERROR_BYTES];
    bool is_npy;
    if (!weights_is_npy(arguments->files[0], &is_npy, error)) {
        return command_fail("%s", error);
    }
    return is_npy ? inspect_npy(arguments) : inspect_gguf(arguments);
}

const command command_inspect = {
    .name = "inspect",
    .files = "FILE",
    .summary = "Tell what is in a GGUF or .npy file",
    .help = "Prints the metadata, in which long values are shortened; the tensors, with the format that libq8k\n"
            "multiplies them in, or - ; and the totals of each type. Lines fit the terminal, or COLUMNS.\n\n"
            "The JSON object has these keys, and all values whole:\n"
            "  file, kind        the name; \"gguf\" or \"npy\"\n"
            "of a GGUF file:\n"
            "  version, bytes, alignment, data_offset\n"
            "  metadata          an array of key, type, element_type (of arrays, else null), value. A number that\n"
            "                    JSON cannot hold (infinite, NaN, above 2^63 - 1) is a string\n"
            "  tensors           an array of name, type, type_number, dimensions (as stored, the columns first),\n"
            "                    rows, cols (of weights), offset (in the file), bytes (null: the type is unknown\n"
            "                    or removed), format (null: libq8k does not multiply it)\n"
            "  types             an array of type (null: unknown), format, tensors, bytes\n"
            "of a .npy file:\n"
            "  descr, fortran_order, shape, data_offset, data_bytes\n",
    .options = OPTION_MMAP | OPTION_JSON,
    .run = run,
};
