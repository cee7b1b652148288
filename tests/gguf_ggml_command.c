/* SPDX-License-Identifier: MIT */
/* What `q8k quantize` and `q8k dequantize` make of a file that ggml wrote, as ggml reads it: types, shapes and bytes, and
 * decoded values to the bit. */
#define _GNU_SOURCE
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ggml.h"
#include "tools/gguf.h"

enum { PATH_BYTES = 4096, MEMORY = 1 << 24, MOST = 32, ARGUMENTS = 12, HALVES = 65536, LONGEST_NAME = 63 };

/* A tensor of the file, and its weights as ggml decodes them. */
typedef struct sample {
    char name[GGUF_MAX_NAME_BYTES];
    int type, dimensions;
    int64_t cols, rows;
    const void *data; /* ggml's */
    size_t bytes;
    float *floats; /* NULL if it has no weights */
} sample;

static sample samples[MOST];
static int count;
static const char *folder;

static const char *in_folder(const char *name, char path[PATH_BYTES]) {
    snprintf(path, PATH_BYTES, "%s/%s", folder, name);
    return path;
}

/* Runs the command with these arguments, up to a NULL, which must succeed. */
static void run_command(const char *first, ...) {
    char *arguments[ARGUMENTS] = {getenv("Q8K")};
    va_list more;
    int used = 1;
    va_start(more, first);
    for (const char *next = first; next != NULL; next = va_arg(more, const char *)) {
        require(used < ARGUMENTS - 1);
        arguments[used++] = strdup(next);
    }
    va_end(more);
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        execv(arguments[0], arguments);
        _exit(127);
    }
    int status;
    require(waitpid(child, &status, 0) == child);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        stop("q8k %s fails with status %d", first, status);
    while (used > 1)
        free(arguments[--used]);
}

/* ---- the file ---- */

static uint64_t state = 1;

static uint64_t draw(void) {
    uint64_t z = state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static bool same_floats(const float *a, const float *b, int64_t many) {
    for (int64_t i = 0; i < many; i++)
        if (memcmp(&a[i], &b[i], sizeof *a) != 0 && !(isnan(a[i]) && isnan(b[i])))
            return false;
    return true;
}

/* The weights of some data of a type; false for a type that has none. */
static bool decode(int type, const void *data, float *to, int64_t many) {
    const gguf_type *known = gguf_type_get((uint32_t)type);
    if (type == GGUF_TYPE_F32)
        memcpy(to, data, (size_t)many * sizeof *to);
    else if (type == GGUF_TYPE_F16)
        ggml.half_to_floats(data, to, many);
    else if (type == GGUF_TYPE_BF16)
        ggml.bfloat_to_floats(data, to, many);
    else if (known->block_columns > 1 && ggml_find_decode(known->name) != NULL)
        ggml_find_decode(known->name)(data, to, many);
    else
        return false;
    return true;
}

/* Data of a type, made of ordinary weights; or any bytes at all, which for numbers are all patterns of 16 bits. */
static void fill(void *data, int type, int64_t cols, int64_t rows, bool wild, size_t bytes) {
    float *floats = malloc((size_t)(cols * rows) * sizeof *floats);
    require(floats != NULL);
    for (int64_t i = 0; i < cols * rows; i++) {
        /* The sum of three of them: nearly normal. */
        double sum = (double)(draw() >> 11) + (double)(draw() >> 11) + (double)(draw() >> 11);
        floats[i] = (float)(ldexp(sum, -53) - 1.5) * 0.1F;
    }
    if (wild && (type == GGUF_TYPE_F16 || type == GGUF_TYPE_BF16)) {
        for (size_t i = 0; i < bytes; i++)
            ((uint8_t *)data)[i] = (uint8_t)(i / 2 >> (i % 2 * 8));
    } else if (wild || type == GGUF_TYPE_I8) {
        for (size_t i = 0; i < bytes; i++)
            ((uint8_t *)data)[i] = (uint8_t)draw();
    } else if (type == GGUF_TYPE_F32) {
        memcpy(data, floats, bytes);
    } else if (type == GGUF_TYPE_F16) {
        ggml.half_from_floats(floats, data, cols * rows);
    } else if (type == GGUF_TYPE_BF16) {
        ggml.bfloat_from_floats(floats, data, cols * rows);
    } else {
        require(ggml.quantize_chunk(type, floats, data, 0, rows, cols, NULL) == bytes);
    }
    free(floats);
}

static void add(void *context, void *file, const char *name, int type, int64_t cols, int64_t rows, bool wild) {
    void *tensor = ggml.new_tensor_2d(context, type, cols, rows);
    require(count < MOST && tensor != NULL);
    ggml.set_name(tensor, name);
    fill(ggml.get_data(tensor), type, cols, rows, wild, ggml.nbytes(tensor));
    ggml.add_tensor(file, tensor);
    sample *s = &samples[count++];
    *s = (sample){.type = type,
                  .dimensions = ggml.n_dims(tensor),
                  .cols = cols,
                  .rows = rows,
                  .data = ggml.get_data(tensor),
                  .bytes = ggml.nbytes(tensor),
                  .floats = malloc((size_t)(cols * rows) * sizeof(float))};
    require(s->floats != NULL);
    snprintf(s->name, sizeof s->name, "%s", name);
    if (!decode(type, s->data, s->floats, cols * rows)) {
        free(s->floats);
        s->floats = NULL;
    }
}

/* Every source, what cannot be a source, and every format that GGUF has a type for. */
static void write_source(void *context, const char *path) {
    char longest[LONGEST_NAME + 1];
    void *file = ggml.init_empty();
    memset(longest, 'n', LONGEST_NAME);
    longest[LONGEST_NAME] = '\0';
    ggml.set_val_str(file, "general.architecture", "none");
    ggml.set_val_u32(file, "general.file_type", 0);
    add(context, file, "f32", GGUF_TYPE_F32, 512, 64, false);
    add(context, file, "f16", GGUF_TYPE_F16, 512, 5, false);
    add(context, file, "bf16", GGUF_TYPE_BF16, 256, 7, false);
    add(context, file, "q8_0", GGUF_TYPE_Q8_0, 768, 3, false);
    add(context, file, "q4_0", 2, 256, 3, false);
    add(context, file, "vector", GGUF_TYPE_F32, 512, 1, false);
    add(context, file, "narrow", GGUF_TYPE_F16, 96, 4, false);
    add(context, file, "narrow q8_0", GGUF_TYPE_Q8_0, 96, 5, false);
    add(context, file, "bytes", GGUF_TYPE_I8, 256, 3, false);
    add(context, file, longest, GGUF_TYPE_F32, 256, 2, false);
    for (size_t i = 0; i < q8k_format_count(); i++) {
        int32_t type = q8k_format_gguf_type(q8k_format_at(i));
        char name[GGUF_MAX_NAME_BYTES];
        snprintf(name, sizeof name, "format %zu", i);
        if (type >= 0)
            add(context, file, name, type, 512, 3, false);
    }
    require(ggml.write_to_file(file, path, false));
    ggml.file_free(file);
}

/* All patterns. */
static void write_wild(void *context, const char *path) {
    void *file = ggml.init_empty();
    add(context, file, "f16", GGUF_TYPE_F16, 256, HALVES / 256, true);
    add(context, file, "bf16", GGUF_TYPE_BF16, 256, HALVES / 256, true);
    add(context, file, "q8_0", GGUF_TYPE_Q8_0, 32, 500, true);
    for (size_t i = 0; i < q8k_format_count(); i++) {
        int32_t type = q8k_format_gguf_type(q8k_format_at(i));
        char name[GGUF_MAX_NAME_BYTES];
        snprintf(name, sizeof name, "format %zu", i);
        if (type >= 0)
            add(context, file, name, type, 512, 200, true);
    }
    require(ggml.write_to_file(file, path, false));
    ggml.file_free(file);
}

static void forget(void) {
    while (count > 0)
        free(samples[--count].floats);
}

/* ---- what becomes of it ---- */

/* A tensor of a file that ggml has loaded. */
typedef struct loaded {
    void *file, *tensors;
} loaded;

static loaded load(const char *path) {
    loaded l = {.tensors = NULL};
    l.file = ggml.init_from_file(path, (file_parameters){.no_alloc = false, .context = &l.tensors});
    if (l.file == NULL || l.tensors == NULL)
        stop("ggml does not read %s", path);
    require(ggml.get_n_tensors(l.file) == count);
    return l;
}

static void unload(loaded *l) {
    ggml.file_free(l->file);
    ggml.free(l->tensors);
}

/* Holds tensor `index` against its type, rows and bytes. */
static void expect_tensor(const loaded *l, int index, int type, const void *data, size_t bytes) {
    const sample *s = &samples[index];
    const void *found = ggml.get_tensor(l->tensors, s->name);
    if (found == NULL || ggml.find_tensor(l->file, s->name) != index)
        stop("%s is not there or elsewhere", s->name);
    if (ggml.get_tensor_type(l->file, index) != type)
        stop("%s has type %d, not %d", s->name, ggml.get_tensor_type(l->file, index), type);
    if (ggml.nrows(found) != s->rows || ggml.n_dims(found) != s->dimensions || ggml.nbytes(found) != bytes)
        stop("%s has %" PRId64 " rows and %zu bytes, not %zu", s->name, ggml.nrows(found), ggml.nbytes(found), bytes);
    if (memcmp(ggml.get_data(found), data, bytes) != 0)
        stop("%s, type %d: other bytes", s->name, type);
}

static bool is_source(const sample *s, q8k_format format) {
    bool numbers = s->type == GGUF_TYPE_F32 || s->type == GGUF_TYPE_F16 || s->type == GGUF_TYPE_BF16;
    return (numbers || (s->type == GGUF_TYPE_Q8_0 && q8k_format_gguf_type(format) != GGUF_TYPE_Q8_0)) &&
           s->dimensions > 1 && s->cols % 256 == 0;
}

/* Returns how many tensors were quantized. */
static int check_quantized(const char *path, q8k_format format) {
    loaded l = load(path);
    int32_t type = q8k_format_gguf_type(format);
    int quantized = 0;
    for (int i = 0; i < count; i++) {
        const sample *s = &samples[i];
        size_t bytes = (size_t)s->rows * q8k_row_bytes(format, (size_t)s->cols);
        if (!is_source(s, format)) {
            expect_tensor(&l, i, s->type, s->data, s->bytes);
            continue;
        }
        void *blocks = malloc(bytes);
        q8k_quantize_args args = {.size = sizeof args,
                                  .format = format,
                                  .rows = (size_t)s->rows,
                                  .cols = (size_t)s->cols,
                                  .input = s->floats,
                                  .weights = blocks,
                                  .weights_bytes = bytes};
        require(blocks != NULL && q8k_quantize(&args) == Q8K_OK);
        expect_tensor(&l, i, type >= 0 ? type : GGUF_TYPE_I8, blocks, bytes);
        free(blocks);
        quantized++;
    }
    require(ggml.find_key(l.file, "general.quantization_version") >= 0);
    require(ggml.get_val_u32(l.file, ggml.find_key(l.file, "general.quantization_version")) == 2);
    require((ggml.find_key(l.file, "general.file_type") >= 0) == (type >= 0));
    require(strcmp(ggml.get_val_str(l.file, ggml.find_key(l.file, "general.architecture")), "none") == 0);
    unload(&l);
    return quantized;
}

/* A file of floats, made from one that ggml has loaded: values as ggml decodes them. Returns how many tensors. */
static int check_decoded(const char *from, const char *path) {
    loaded before = load(from), after = load(path);
    int decoded = 0;
    for (int i = 0; i < count; i++) {
        const sample *s = &samples[i];
        const void *old = ggml.get_tensor(before.tensors, s->name), *new = ggml.get_tensor(after.tensors, s->name);
        int type = ggml.get_tensor_type(before.file, i);
        int64_t many = s->cols * s->rows;
        float *wanted = malloc((size_t)many * sizeof *wanted);
        require(wanted != NULL && old != NULL && new != NULL);
        q8k_format format = 0;
        bool known = type < 2 || type == GGUF_TYPE_BF16 || type == GGUF_TYPE_Q8_0 ||
                     q8k_format_from_gguf_type((uint32_t)type, &format) == Q8K_OK;
        if (known && decode(type, ggml.get_data(old), wanted, many)) {
            require(ggml.get_tensor_type(after.file, i) == GGUF_TYPE_F32 && ggml.nrows(new) == s->rows);
            if (!same_floats(ggml.get_data(new), wanted, many))
                stop("%s, type %d: other values than ggml's", s->name, type);
            decoded++;
        }
        free(wanted);
    }
    unload(&before);
    unload(&after);
    return decoded;
}

static void check_source(void) {
    char source[PATH_BYTES], quantized[PATH_BYTES], floats[PATH_BYTES];
    void *context = ggml.init((context_parameters){.bytes = MEMORY});
    require(context != NULL);
    write_source(context, in_folder("source.gguf", source));
    in_folder("quantized.gguf", quantized);
    in_folder("floats.gguf", floats);
    for (size_t i = 0; i < q8k_format_count(); i++) {
        q8k_format format = q8k_format_at(i);
        run_command("quantize", source, quantized, "--format", q8k_format_name(format), "--quiet", NULL);
        int many = check_quantized(quantized, format);
        require(many >= 4);
        run_command("dequantize", quantized, floats, "--quiet", NULL);
        int decoded = check_decoded(quantized, floats);
        require(decoded >= 4);
        printf(
            "ok: q8k quantize to %s: ggml reads %d tensors, %d of them quantized, and decodes %d to the same values\n",
            q8k_format_name(format), count, many, decoded);
    }
    forget();
    ggml.free(context);
    unlink(source);
    unlink(quantized);
    unlink(floats);
}

static void check_wild(void) {
    char wild[PATH_BYTES], floats[PATH_BYTES];
    void *context = ggml.init((context_parameters){.bytes = MEMORY});
    require(context != NULL);
    write_wild(context, in_folder("wild.gguf", wild));
    run_command("dequantize", wild, in_folder("floats.gguf", floats), "--quiet", NULL);
    require(check_decoded(wild, floats) == count);
    printf("ok: q8k dequantize: any bytes of %d types are decoded as ggml does, and all 65536 halves\n", count);
    forget();
    ggml.free(context);
    unlink(wild);
    unlink(floats);
}

/* ---- at the edge of what ggml reads ---- */

/* Writes one number without dimensions, in a tensor of this name. */
static void write_scalar(const char *path, const char *name) {
    static const uint8_t pi[4] = {0xdb, 0x0f, 0x49, 0x40};
    char error[GGUF_ERROR_BYTES];
    gguf_tensor tensor = {.name = {name, strlen(name)}, .dimension = {1, 1, 1, 1}, .rows = 1, .cols = 1};
    gguf_writer writer;
    require(gguf_set_type(&tensor, GGUF_TYPE_F32));
    gguf_writer_begin(&writer);
    gguf_add_tensor(&writer, &tensor);
    if (!gguf_writer_open(&writer, path, error) || !gguf_write(&writer, pi, sizeof pi, error) ||
        !gguf_writer_finish(&writer, error))
        stop("%s", error);
}

static void check_edges(void) {
    char path[PATH_BYTES], name[GGUF_MAX_NAME_BYTES + 1];
    gguf_file file;
    char error[GGUF_ERROR_BYTES];
    in_folder("edge.gguf", path);
    for (int length = LONGEST_NAME; length <= GGUF_MAX_NAME_BYTES; length++) {
        void *tensors = NULL;
        memset(name, 'x', (size_t)length);
        name[length] = '\0';
        write_scalar(path, name);
        void *read = ggml.init_from_file(path, (file_parameters){.no_alloc = false, .context = &tensors});
        if ((read != NULL) != (length <= LONGEST_NAME))
            stop("a name of %d bytes: ggml %s it", length, read != NULL ? "reads" : "does not read");
        if (read != NULL) {
            const void *tensor = ggml.get_tensor(tensors, name);
            require(tensor != NULL && ggml.nbytes(tensor) == 4 && *(const uint8_t *)ggml.get_data(tensor) == 0xdb);
            ggml.file_free(read);
            ggml.free(tensors);
        }
        if (!gguf_open(&file, path, false, error))
            stop("%s", error);
        gguf_close(&file);
    }
    unlink(path);
    printf("ok: ggml reads a single number without dimensions, and names of up to %d bytes\n", LONGEST_NAME);
}

void check_command(const char *in) {
    const char *command = getenv("Q8K");
    folder = in;
    check_edges();
    if (command == NULL || access(command, X_OK) != 0) {
        puts("SKIPPED: the command was not held against ggml: Q8K does not name it");
        return;
    }
    check_source();
    check_wild();
}
