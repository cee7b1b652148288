/* SPDX-License-Identifier: MIT */
/**
 * @file q8k.h
 * libq8k: float32 activations times K-quantized weights, on CPUs.
 *
 * A weight matrix has `out_features` rows of `in_features` weights each; the activations are `batch` rows of
 * `in_features` float32 values; the product is `batch` rows of `out_features` float32 values:
 *
 *     output[b][r] = sum over k of weight[r][k] * input[b][k]
 *
 * The weights are read straight from the caller's memory, at any alignment, and are never written out decoded.
 *
 * Same bits everywhere. Inside a block of 256 weights every sum is an exact integer, and blocks are added in order
 * with one fused multiply-add each. So a result depends on the weights, the input and the precision alone: not on
 * the CPU, the backend, the batch size, the number of parts or the alignment of anything.
 *
 * Rules that hold for every function here:
 *
 * Errors      A function that can fail returns a q8k_status: Q8K_OK (0) or a positive number. On failure nothing is
 *             written through any argument, and q8k_last_error() names, for the calling thread, the argument, its
 *             value and the limit. No function prints (unless Q8K_VERBOSE asks for it), aborts or exits.
 * Threads     Every function may be called from any thread at any time. The library starts no thread and takes no
 *             lock. Calls that write the same memory are the caller's to keep apart.
 * Ownership   The library keeps no pointer that it is given beyond the call. What a `_create` function makes, the
 *             caller gives back to the `_destroy` function of the same name, which accepts NULL.
 * Structs     Every argument struct starts with `size`, which the caller sets to sizeof of the struct as compiled.
 *             Later releases add members at the end, for which zero means what this release does. A size smaller
 *             than the first release's is refused, and so is a larger one with a non-zero byte that this release
 *             does not know. Set a struct to zero before filling it in.
 * Contexts    A `const q8k_context *` may be NULL: the process-wide default, made on first use.
 * Units       `_stride` of weights counts bytes, `_stride` of float arrays counts floats. 0 means rows that follow
 *             one another without a gap.
 *
 * Numbers are computed in the floating-point environment of the calling thread, which is left as it was found. The
 * promises on bits are for the default one: rounding to nearest, subnormals kept.
 *
 * The environment is read when a context is made, and ignored in set-user-id programs:
 *
 *     Q8K_BACKEND      the one backend to use, by name; not having it is an error
 *     Q8K_BACKEND_DIR  the absolute folder to take plugins from, instead of the one the library was built with
 *     Q8K_VERBOSE      1: tell on standard error what was chosen, and why the others were not
 */
#ifndef Q8K_Q8K_H
#define Q8K_Q8K_H

#include <stddef.h>
#include <stdint.h>

/** Version of this header. q8k_version() tells that of the library in use, which may be newer. */
#define Q8K_VERSION_MAJOR 0
#define Q8K_VERSION_MINOR 9
#define Q8K_VERSION_PATCH 0
/** One number that grows with every release, for comparisons by the preprocessor. */
#define Q8K_VERSION_NUMBER (Q8K_VERSION_MAJOR * 1000000 + Q8K_VERSION_MINOR * 1000 + Q8K_VERSION_PATCH)

#if defined(__GNUC__)
#define Q8K_API __attribute__((visibility("default")))
#else
#define Q8K_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/** @return "MAJOR.MINOR.PATCH" of the library in use; static. */
Q8K_API const char *q8k_version(void);

/** @return Q8K_VERSION_NUMBER of the library in use. */
Q8K_API uint32_t q8k_version_number(void);

/* ------------------------------------------------------------------------------------------------- status --- */

/** What became of a call: one of the Q8K_OK and Q8K_ERROR_* values below. */
typedef int32_t q8k_status;

enum {
    Q8K_OK = 0,
    /** A pointer that is needed is NULL. */
    Q8K_ERROR_NULL = 1,
    /** The `size` of a struct is too small, or a member that this release does not know is set. */
    Q8K_ERROR_STRUCT = 2,
    /** Not a weight format that this release knows. */
    Q8K_ERROR_FORMAT = 3,
    /** Not one of the Q8K_PRECISION_* values. */
    Q8K_ERROR_PRECISION = 4,
    /** The number of columns (`in_features`, `cols`) is not a multiple of the format's block. */
    Q8K_ERROR_COLUMNS = 5,
    /** A count of bytes does not fit the shape: usually another format or another matrix than was meant. */
    Q8K_ERROR_BYTES = 6,
    /** A size computed from the arguments exceeds what this machine can address. */
    Q8K_ERROR_OVERFLOW = 7,
    /** A stride is shorter than the row it steps over. */
    Q8K_ERROR_STRIDE = 8,
    /** The output overlaps something that is read. */
    Q8K_ERROR_OVERLAP = 9,
    /** `parts` is 0, or `part` is not below it. */
    Q8K_ERROR_PART = 10,
    /** The prepared input was made for another shape, precision or backend, or was never made. */
    Q8K_ERROR_PREPARED = 11,
    /** A value to be quantized is NaN or infinite. */
    Q8K_ERROR_NOT_FINITE = 12,
    /** A value to be quantized is larger than the format can hold. */
    Q8K_ERROR_RANGE = 13,
    /** No memory. Trying again later may work. */
    Q8K_ERROR_MEMORY = 14,
    /** The backend that was asked for by name is unknown, broken, or needs a CPU feature that is missing. */
    Q8K_ERROR_BACKEND = 15,
    /** An environment variable or option that has to do with backends has a value that cannot be accepted. */
    Q8K_ERROR_ENVIRONMENT = 16,
    /** An index is not below the count it counts in. */
    Q8K_ERROR_INDEX = 17,
    /** No format or precision has this name, or no format this GGUF type. */
    Q8K_ERROR_NAME = 18
};

/** @return the name of a status, such as "Q8K_ERROR_STRIDE", or "unknown status"; static. */
Q8K_API const char *q8k_status_name(q8k_status status);

/**
 * The text of the last failure of a call made by this thread, for people: one line, without a newline at its end.
 * Successful calls leave it alone.
 * @return valid until the next failure on this thread or the thread's end; "" if nothing failed yet. Never NULL.
 */
Q8K_API const char *q8k_last_error(void);

/* ------------------------------------------------------------------------------------------------ formats --- */

/**
 * A weight format: one of the Q8K_FORMAT_* values. All store blocks of 256 consecutive weights of one row; a row is
 * its blocks, one after another. Fields are little-endian, `half` is IEEE binary16. Any sequence of bytes is a legal
 * block. Below, [a] is a field's offset in the block, k is 0 to 255, and // divides and rounds down.
 */
typedef uint32_t q8k_format;

enum {
    /**
     * libq8k's own: 292 bytes a block, 9.125 bits per weight.
     *
     *     [0]   int8 q[256]
     *     [256] uint8 scales[32]; the last 16 are reserved: written as zero, ignored when read
     *     [288] half d
     *     [290] half dmin
     *
     *     scale(g)  = (scales[g // 2] >> 4 * (g % 2)) & 15        for the groups of 8 weights, g = 0 to 31
     *     weight[k] = d * scale(k // 8) * q[k] + dmin             the offset is added, once per weight
     *
     * This is NOT ggml's block_q8_K (GGUF type 15), which has the same name and size but other contents.
     */
    Q8K_FORMAT_Q8_K = 1,
    /**
     * As Q4_K of ggml and GGUF files (type 12): 144 bytes a block, 4.5 bits per weight.
     *
     *     [0]   half d
     *     [2]   half dmin
     *     [4]   uint8 s[12]
     *     [16]  uint8 qs[128]
     *
     * Groups of 32 weights, j = 0 to 7:
     *     j < 4    scale = s[j] & 63                              min = s[j + 4] & 63
     *     j >= 4   scale = (s[j + 4] & 15) | (s[j - 4] >> 6) << 4  min = s[j + 4] >> 4 | (s[j] >> 6) << 4
     * q of weight l of group j is the low nibble (j even) or the high one (j odd) of qs[32 * (j // 2) + l].
     *     weight[32 * j + l] = d * scale * q - dmin * min
     */
    Q8K_FORMAT_Q4_K = 2,
    /**
     * As Q5_K of ggml and GGUF files (type 13): 176 bytes a block, 5.5 bits per weight.
     *
     *     [0]   half d
     *     [2]   half dmin
     *     [4]   uint8 s[12]
     *     [16]  uint8 qh[32]
     *     [48]  uint8 qs[128]
     *
     * As Q4_K, and q is larger by 16 where bit j of qh[l] is set.
     */
    Q8K_FORMAT_Q5_K = 3,
    /**
     * As Q6_K of ggml and GGUF files (type 14): 210 bytes a block, 6.5625 bits per weight.
     *
     *     [0]   uint8 ql[128]
     *     [128] uint8 qh[64]
     *     [192] int8 scales[16]
     *     [208] half d
     *
     * Weight k = 128 * h + 32 * t + l, with h = 0 or 1, t = 0 to 3, l = 0 to 31:
     *     low  = the low nibble (t < 2) or the high one (t >= 2) of ql[64 * h + 32 * (t % 2) + l]
     *     high = (qh[32 * h + l] >> 2 * t) & 3
     *     weight[k] = d * scales[k // 16] * ((low | high << 4) - 32)
     */
    Q8K_FORMAT_Q6_K = 4,
    /**
     * As Q2_K of ggml and GGUF files (type 10): 84 bytes a block, 2.625 bits per weight.
     *
     *     [0]   uint8 s[16]
     *     [16]  uint8 qs[64]
     *     [80]  half d
     *     [82]  half dmin
     *
     * Weight k = 128 * h + 32 * t + l, with h = 0 or 1, t = 0 to 3, l = 0 to 31:
     *     q = (qs[32 * h + l] >> 2 * t) & 3
     *     weight[k] = d * (s[k // 16] & 15) * q - dmin * (s[k // 16] >> 4)
     */
    Q8K_FORMAT_Q2_K = 5,
    /**
     * As Q3_K of ggml and GGUF files (type 11): 110 bytes a block, 3.4375 bits per weight.
     *
     *     [0]   uint8 hmask[32]
     *     [32]  uint8 qs[64]
     *     [96]  uint8 s[12]
     *     [108] half d
     *
     * Weight k = 128 * h + 32 * t + l as in Q2_K, of group g = k // 16:
     *     q     = (qs[32 * h + l] >> 2 * t) & 3, and 4 more where bit 4 * h + t of hmask[l] is set
     *     low   = the low nibble (g < 8) or the high one (g >= 8) of s[g % 8]
     *     high  = (s[8 + g % 4] >> 2 * (g // 4)) & 3
     *     weight[k] = d * ((low | high << 4) - 32) * (q - 4)
     */
    Q8K_FORMAT_Q3_K = 6,
    /**
     * As Q8_0 of ggml and GGUF files (type 8): 8.5 bits per weight. Its blocks have 32 weights there; eight of them are
     * a block here, of 256 weights and 272 bytes, so a row whose columns are not a multiple of 256 cannot be taken.
     *
     *     [34 * p]      half d[p]                       p = 0 to 7
     *     [34 * p + 2]  int8 q[32]
     *
     *     weight[32 * p + l] = d[p] * q[l]
     */
    Q8K_FORMAT_Q8_0 = 7
};

/** @return how many formats this release knows. */
Q8K_API size_t q8k_format_count(void);

/** @return the format at `index` (0 to q8k_format_count() - 1) in the order of their values; 0 beyond the end. */
Q8K_API q8k_format q8k_format_at(size_t index);

/** @return the lower-case name of a format, such as "q4_k"; static; NULL if the format is unknown. */
Q8K_API const char *q8k_format_name(q8k_format format);

/**
 * The format of a name, in lower or upper case.
 * @return Q8K_ERROR_NAME if no format has it.
 */
Q8K_API q8k_status q8k_format_from_name(const char *name, q8k_format *format);

/**
 * The format of a GGUF tensor type (8, 10, 11, 12, 13, 14). Type 15 is refused with a text of its own: it is ggml's
 * block_q8_K, not ours.
 * @return Q8K_ERROR_NAME if the type is none that libq8k multiplies.
 */
Q8K_API q8k_status q8k_format_from_gguf_type(uint32_t type, q8k_format *format);

/** @return the GGUF tensor type of a format; -1 if it has none (Q8_K) or is unknown. */
Q8K_API int32_t q8k_format_gguf_type(q8k_format format);

/** @return weights in one block: 256 in every format of this release; 0 if the format is unknown. */
Q8K_API size_t q8k_format_block_columns(q8k_format format);

/** @return bytes of one block; 0 if the format is unknown. */
Q8K_API size_t q8k_format_block_bytes(q8k_format format);

/**
 * Bytes of one packed row.
 * @param cols weights in the row, a multiple of q8k_format_block_columns().
 * @return 0 for 0 columns, and on failure: an unknown format, columns that are not a multiple, overflow.
 */
Q8K_API size_t q8k_row_bytes(q8k_format format, size_t cols);

/* -------------------------------------------------------------------------------------------- precisions --- */

/** How many bits of the activations are kept, per block of 256: one of the Q8K_PRECISION_* values. */
typedef uint32_t q8k_precision;

enum {
    /** 24 bits and sign: float32 accuracy. The default. */
    Q8K_PRECISION_FLOAT = 0,
    /** 12 bits and sign: the accuracy of fp16 activations, at up to twice the speed. */
    Q8K_PRECISION_HALF = 1,
    /** 7 bits and sign: the accuracy of the int8 activations that other libraries use, faster still. For Q8_0 they take
     *  a step for each 32 of them and are more accurate: there HALF is the better choice. */
    Q8K_PRECISION_BYTE = 2
};

/** @return "float", "half" or "byte"; static; NULL if the precision is unknown. */
Q8K_API const char *q8k_precision_name(q8k_precision precision);

/** The precision of a lower-case name. @return Q8K_ERROR_NAME if none has it. */
Q8K_API q8k_status q8k_precision_from_name(const char *name, q8k_precision *precision);

/* ----------------------------------------------------------------------------------------------- contexts --- */

/** A chosen backend. Immutable once made; any number of threads may use one at the same time. */
typedef struct q8k_context q8k_context;

typedef struct q8k_context_options {
    size_t size;
    /**
     * The backend to use, by name ("scalar", "builtin", ... or a third party's); it overrides Q8K_BACKEND.
     * NULL: what Q8K_BACKEND names or, without that, the best that works on this CPU.
     */
    const char *backend;
} q8k_context_options;

/**
 * Chooses and, on first use, loads and tests a backend.
 *
 * Without a name, a plugin that is missing or broken costs speed, never the program: the next one is taken, in the
 * end the scalar kernels built into the library, and q8k_backend_list_create() tells the reason. With a name there
 * is no fallback.
 *
 * @param out      receives the context, to be given to q8k_context_destroy().
 * @param options  NULL: all defaults.
 * @return Q8K_ERROR_NULL, _STRUCT, _MEMORY; Q8K_ERROR_BACKEND if a named backend cannot be had; Q8K_ERROR_ENVIRONMENT
 *         if the name, or for a named backend the plugin folder, cannot be accepted.
 */
Q8K_API q8k_status q8k_context_create(q8k_context **out, const q8k_context_options *options);

/** Frees a context, which no thread may be using. NULL is fine. Plugins stay loaded. */
Q8K_API void q8k_context_destroy(q8k_context *context);

/**
 * @param context NULL: the default one, which is made if need be.
 * @return the name of the backend in use; valid until the process ends. NULL if the default context cannot be made.
 */
Q8K_API const char *q8k_context_backend(const q8k_context *context);

/** How a backend fared. */
typedef int32_t q8k_backend_state;

enum {
    /** It is what a context made now, with the same options, uses. */
    Q8K_BACKEND_SELECTED = 0,
    /** It was loaded and passed its tests, and can be asked for by name. */
    Q8K_BACKEND_AVAILABLE = 1,
    /** It cannot be used; the reason says why. */
    Q8K_BACKEND_REJECTED = 2
};

typedef struct q8k_backend_info {
    size_t size;
    /** Its name, as Q8K_BACKEND takes it. */
    const char *name;
    /** The absolute path of its plugin; "" for what is built in, or where the plugin folder is refused. */
    const char *file;
    /** The CPU features it needs, their names separated by spaces; "" if none, or if a third party's plugin could
     *  not be asked. */
    const char *needs;
    /** Why it is rejected, or why it is not the selected one; "" for the selected one. */
    const char *reason;
    q8k_backend_state state;
} q8k_backend_info;

/** What became of every backend: a snapshot. */
typedef struct q8k_backend_list q8k_backend_list;

/**
 * Tries every backend of the library's table, best first, and the one that the options or Q8K_BACKEND name if it is
 * not in the table. This loads the plugins that the CPU can run.
 * @param options as for q8k_context_create(); a backend that cannot be had is not an error here but a rejected entry.
 * @return Q8K_ERROR_NULL, _STRUCT, _MEMORY.
 */
Q8K_API q8k_status q8k_backend_list_create(q8k_backend_list **out, const q8k_context_options *options);

/** Frees a list and the texts it gave out. NULL is fine. */
Q8K_API void q8k_backend_list_destroy(q8k_backend_list *list);

/** @return the number of entries; 0 for NULL. */
Q8K_API size_t q8k_backend_list_count(const q8k_backend_list *list);

/**
 * @param index 0 to q8k_backend_list_count() - 1.
 * @param info  its `size` set by the caller; receives pointers that are valid until the list is destroyed.
 * @return Q8K_ERROR_NULL, _STRUCT, _INDEX.
 */
Q8K_API q8k_status q8k_backend_list_get(const q8k_backend_list *list, size_t index, q8k_backend_info *info);

/**
 * @param problem NULL, or receives why the folder is refused; "" if it is not. Valid until the list is destroyed.
 * @return the folder that plugins are taken from, as configured or as Q8K_BACKEND_DIR gives it; "", with a problem, in a
 *         library that was built to open no plugins; NULL for NULL.
 */
Q8K_API const char *q8k_backend_list_directory(const q8k_backend_list *list, const char **problem);

/** @return where the folder's name comes from: "built in" or "Q8K_BACKEND_DIR"; static; NULL for NULL. */
Q8K_API const char *q8k_backend_list_directory_source(const q8k_backend_list *list);

/* ---------------------------------------------------------------------------------------------------- CPU --- */

/**
 * A CPU feature that matters to backends, found once when the library is loaded.
 * @param index  0 upwards.
 * @param seen   NULL, or receives 1 if the CPU reports the feature, else 0.
 * @param usable NULL, or receives 1 if the operating system has also enabled the registers it needs, else 0.
 * @return its name, such as "avx2"; static; NULL beyond the last feature of this kind of CPU, when nothing is written.
 */
Q8K_API const char *q8k_cpu_feature(size_t index, int32_t *seen, int32_t *usable);

/* ---------------------------------------------------------------------------------------------- products --- */

typedef struct q8k_matmul_args {
    size_t size;
    q8k_format format;
    q8k_precision precision;
    /** Rows of the weight matrix. */
    size_t out_features;
    /** Columns of the weight matrix, a multiple of 256. */
    size_t in_features;
    /** Rows of the input and of the output. */
    size_t batch;
    /** `out_features` rows of q8k_row_bytes(format, in_features) bytes, at any alignment. */
    const void *weights;
    /** Bytes there are at `weights`: all rows with a stride of 0; else at least up to the last row's end and at most
     *  up to where one more row would start. It guards against a tensor of another format or shape. */
    size_t weights_bytes;
    /** Bytes from one row to the next; 0: q8k_row_bytes(). */
    size_t weights_stride;
    /** `batch` rows of `in_features` floats. */
    const float *input;
    /** Floats from one input row to the next; 0: in_features. */
    size_t input_stride;
    /** `batch` rows of `out_features` floats; must not overlap the input or the weights. What lies between the rows
     *  of a strided output is never written. */
    float *output;
    /** Floats from one output row to the next; 0: out_features. */
    size_t output_stride;
} q8k_matmul_args;

/**
 * output = input * transpose(weights), on the calling thread.
 *
 * With no rows or no batch nothing is touched, and pointers may be NULL; with no columns the output becomes zero.
 * A NaN or infinity in an activation or in a block's fp16 field makes every output that depends on it NaN or
 * infinite, and no other.
 *
 * Allocates its workspace (q8k_input_bytes()) for the length of the call.
 *
 * @return Q8K_ERROR_NULL, _STRUCT, _FORMAT, _PRECISION, _COLUMNS, _BYTES, _OVERFLOW, _STRIDE, _OVERLAP, _MEMORY; with
 *         a NULL context also what q8k_context_create() returns.
 */
Q8K_API q8k_status q8k_matmul(const q8k_context *context, const q8k_matmul_args *args);

/*
 * The same work for callers with threads of their own. First every part of the input is prepared, then, once all of
 * them are, every part of any number of products with that input is computed:
 *
 *     q8k_input_bytes(ctx, &in, &bytes);            once, to plan memory
 *     q8k_input_prepare(ctx, &in, p, bytes, t, T);  on thread t of T
 *     ... wait for all ...
 *     q8k_matmul_prepared(ctx, &query, p, bytes, t, T);
 *     q8k_matmul_prepared(ctx, &key, p, bytes, t, T);
 *
 * None of the three allocates, waits or keeps state. Parts may run in any order, at the same time or one after
 * another, on any thread, and the number of parts need not be the same in both steps. A part may turn out empty.
 * What is prepared depends on the input, the precision and the context's backend, not on weights or their format, so
 * one preparation serves every matrix that takes the same input.
 */

typedef struct q8k_input_args {
    size_t size;
    q8k_precision precision;
    /** Columns, a multiple of 256. */
    size_t in_features;
    /** Rows. */
    size_t batch;
    /** `batch` rows of `in_features` floats. q8k_input_bytes() does not look at it. */
    const float *input;
    /** Floats from one row to the next; 0: in_features. */
    size_t input_stride;
} q8k_input_args;

/**
 * The size of a prepared input: at most twice that of the input, and a constant. A third party's backend that lacks
 * formats needs a second preparation for the built-in kernels that stand in: at most 1.2 times the input more.
 * @param bytes receives it; a buffer of that size may have any alignment.
 * @return Q8K_ERROR_NULL, _STRUCT, _PRECISION, _COLUMNS, _OVERFLOW; with a NULL context also what
 *         q8k_context_create() returns.
 */
Q8K_API q8k_status q8k_input_bytes(const q8k_context *context, const q8k_input_args *args, size_t *bytes);

/**
 * Prepares one part of an input.
 * @param prepared       the caller's buffer, written by this call; must not overlap the input, and may not be moved
 *                       or copied between this and its uses.
 * @param prepared_bytes its size, at least what q8k_input_bytes() says.
 * @param part, parts    0 <= part < parts.
 * @return as q8k_input_bytes(), and Q8K_ERROR_STRIDE, _BYTES, _OVERLAP, _PART.
 */
Q8K_API q8k_status q8k_input_prepare(const q8k_context *context, const q8k_input_args *args, void *prepared,
                                     size_t prepared_bytes, size_t part, size_t parts);

/**
 * Computes one part of a product from a prepared input. `input` and `input_stride` of the arguments are not looked
 * at; precision, in_features and batch must be those of the preparation. Each output is written by exactly one part.
 * @param prepared, prepared_bytes as given to q8k_input_prepare(), all parts of which have been made.
 * @return as q8k_matmul(), but never Q8K_ERROR_MEMORY with a context that is not NULL; and Q8K_ERROR_PART, _PREPARED.
 */
Q8K_API q8k_status q8k_matmul_prepared(const q8k_context *context, const q8k_matmul_args *args, const void *prepared,
                                       size_t prepared_bytes, size_t part, size_t parts);

typedef struct q8k_accumulate_args {
    size_t size;
    q8k_format format;
    q8k_precision precision;
    /** Columns, a multiple of 256. */
    size_t in_features;
    /** One row of q8k_row_bytes(format, in_features) bytes. */
    const void *weights;
    /** Exactly that number of bytes. */
    size_t weights_bytes;
    /** `in_features` floats. */
    const float *input;
    /** One float, read and written; must not overlap the weights or the input. */
    float *sum;
} q8k_accumulate_args;

/**
 * Adds the terms of one row's blocks to *sum, in order: from *sum = 0, exactly what q8k_matmul() computes for that
 * row. A row may be taken in several calls, some blocks at a time, with the same result. Does not allocate.
 * @return Q8K_ERROR_NULL, _STRUCT, _FORMAT, _PRECISION, _COLUMNS, _BYTES, _OVERFLOW, _OVERLAP; with a NULL context
 *         also what q8k_context_create() returns.
 */
Q8K_API q8k_status q8k_accumulate(const q8k_context *context, const q8k_accumulate_args *args);

/* -------------------------------------------------------------------------------- quantize and dequantize --- */

typedef struct q8k_quantize_args {
    size_t size;
    q8k_format format;
    size_t rows;
    /** A multiple of 256. */
    size_t cols;
    /** `rows` rows of `cols` floats. */
    const float *input;
    /** Floats from one input row to the next; 0: cols. */
    size_t input_stride;
    /** `rows` rows of q8k_row_bytes(format, cols) bytes; must not overlap the input. */
    void *weights;
    /** Bytes there are at `weights`; as in q8k_matmul_args. */
    size_t weights_bytes;
    /** Bytes from one row to the next; 0: q8k_row_bytes(). What lies between rows is never written. */
    size_t weights_stride;
} q8k_quantize_args;

/**
 * Quantizes rows of float32 weights, each block of 256 by itself, searching for small root-mean-square error. The
 * result does not depend on the backend, the CPU, or on which rows share a call, so callers with threads divide the
 * rows as they like. Does not allocate.
 *
 * Blocks of values so small that their fp16 factors would be subnormal or zero lose accuracy accordingly.
 *
 * @return Q8K_ERROR_NULL, _STRUCT, _FORMAT, _COLUMNS, _BYTES, _OVERFLOW, _STRIDE, _OVERLAP; Q8K_ERROR_NOT_FINITE and
 *         Q8K_ERROR_RANGE, whose text names the row and the column.
 */
Q8K_API q8k_status q8k_quantize(const q8k_quantize_args *args);

typedef struct q8k_dequantize_args {
    size_t size;
    q8k_format format;
    size_t rows;
    /** A multiple of 256. */
    size_t cols;
    /** `rows` rows of q8k_row_bytes(format, cols) bytes. */
    const void *weights;
    /** Bytes there are at `weights`; as in q8k_matmul_args. */
    size_t weights_bytes;
    /** Bytes from one row to the next; 0: q8k_row_bytes(). */
    size_t weights_stride;
    /** `rows` rows of `cols` floats; must not overlap the weights. */
    float *output;
    /** Floats from one output row to the next; 0: cols. What lies between rows is never written. */
    size_t output_stride;
} q8k_dequantize_args;

/**
 * Decodes weights to float32: each is the format's formula rounded once, on every backend; the sign of a zero is that
 * of (d * scale) * q, with the min term added after. Does not allocate.
 * @return Q8K_ERROR_NULL, _STRUCT, _FORMAT, _COLUMNS, _BYTES, _OVERFLOW, _STRIDE, _OVERLAP; with a NULL context also
 *         what q8k_context_create() returns.
 */
Q8K_API q8k_status q8k_dequantize(const q8k_context *context, const q8k_dequantize_args *args);

#ifdef __cplusplus
}
#endif

#endif
